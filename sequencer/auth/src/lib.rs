//! EIP-712 digests and the signatures over them.
