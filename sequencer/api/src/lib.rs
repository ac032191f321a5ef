//! The public JSON-RPC: methods, wire types and error codes, for servers and clients.
