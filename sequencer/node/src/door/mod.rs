//! The door for clients: one address, JSON-RPC over HTTP and WebSocket, and [binary order entry](entry) over the same
//! WebSocket.
//!
//! Bounds. Connections are counted, and further ones wait to be accepted. A client that does not finish its request's head in
//! time is disconnected, as is one that answers no ping. A connection has so many requests worked on, and no more is read
//! from it until one of them is answered; so many answers wait for it, and none is given until it takes one.

mod calls;
mod entry;
mod socket;
pub(crate) mod turn;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::middleware::http::ProxyGetRequestLayer;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpResponse, Methods, Server, ServerConfig, ServerHandle, StopHandle, stop_channel,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tower::Service;
use xos_api::XosApiServer;

use crate::config::{Config, Limits};
use crate::node::NodeError;
use crate::params::NamedParams;
use crate::rpc::Rpc;
use socket::Socket;

/// How long a client may take for a request's head, or leave a connection idle between two.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// After an address could not be accepted from, for want of files mostly.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
struct Door {
    rpc: Rpc,
    methods: Methods,
    limits: Limits,
    stop: StopHandle,
}

/// Listens, and serves until the handle is told to stop and dropped by every connection.
///
/// # Errors
/// If the address is taken, or not ours.
pub(crate) async fn open(config: &Config, rpc: Rpc) -> Result<(SocketAddr, ServerHandle), NodeError> {
    let failed = |source| NodeError::Listen { address: config.listen, setting: "listen", source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, handle) = stop_channel();
    let methods = Methods::from(rpc.clone().into_rpc());
    tokio::spawn(accept(listener, Door { rpc, methods, limits: config.limits, stop }));
    Ok((address, handle))
}

async fn accept(listener: TcpListener, door: Door) {
    let room = Arc::new(Semaphore::new(usize::try_from(door.limits.connections).unwrap_or(usize::MAX)));
    let mut number = 0;
    loop {
        // Nobody closes the semaphore.
        let place = tokio::select! {
            place = Arc::clone(&room).acquire_owned() => place,
            () = door.stop.clone().shutdown() => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.stop.clone().shutdown() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                number += 1;
                let door = door.clone();
                tokio::spawn(async move {
                    door.converse(stream, number).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

impl Door {
    async fn converse(self, stream: TcpStream, number: usize) {
        // An answer is not worth waiting for the next one.
        let _ = stream.set_nodelay(true);
        let (upgraded, mut socket) = tokio::sync::oneshot::channel();
        let upgraded = Mutex::new(Some(upgraded));
        let http = self.http();
        let answer = |mut request: Request<Incoming>| {
            let wanted = is_upgrade(request.headers()).then(|| upgraded.lock().ok()?.take()).flatten();
            let mut http = http.clone();
            async move {
                let Some(wanted) = wanted else {
                    // It answers every request, if with an error.
                    return Ok::<HttpResponse, Infallible>(http.call(request).await.unwrap_or_else(|_| refused("")));
                };
                let coming = hyper::upgrade::on(&mut request);
                match create_response_with_body(&request, HttpBody::empty) {
                    Ok(response) => {
                        let _ = wanted.send(coming);
                        Ok(response)
                    }
                    Err(error) => Ok(refused(&error.to_string())),
                }
            }
        };
        let mut served = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WAIT)
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .with_upgrades()
        );
        let done = tokio::select! {
            done = served.as_mut() => done,
            () = self.stop.clone().shutdown() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        // Who hangs up, or sends what is no HTTP, gets no answer.
        if done.is_err() {
            return;
        }
        if let Ok(coming) = socket.try_recv()
            && let Ok(upgraded) = coming.await
        {
            Socket::new(&self, number).serve(TokioIo::new(upgraded)).await;
        }
    }

    /// JSON-RPC over HTTP, which jsonrpsee serves.
    fn http(
        &self,
    ) -> impl Service<Request<Incoming>, Response = HttpResponse, Future: Send, Error: Send> + Clone + Send + use<>
    {
        let limits = self.limits;
        let settings = ServerConfig::builder()
            .http_only()
            // They are counted here.
            .max_connections(u32::MAX)
            .max_request_body_size(limits.request_bytes)
            .max_response_body_size(limits.response_bytes)
            .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_requests))
            .build();
        let plain_paths =
            ProxyGetRequestLayer::new([("/health", "xos_health"), ("/ready", "xos_ready"), ("/info", "xos_info")])
                .expect("the paths differ and begin with a slash");
        let response_bytes = usize::try_from(limits.response_bytes).unwrap_or(usize::MAX);
        let named = RpcServiceBuilder::new().layer_fn(move |inner| NamedParams { inner, response_bytes });
        Server::builder()
            .set_config(settings)
            .set_http_middleware(tower::ServiceBuilder::new().layer(plain_paths))
            .set_rpc_middleware(named)
            .to_service_builder()
            .build(self.methods.clone(), self.stop.clone())
    }
}

/// Whether the client wants to go on with WebSocket.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let says = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    says(CONNECTION, "upgrade") && says(UPGRADE, "websocket")
}

fn refused(why: &str) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(format!("{why}\n")));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
