//! The door for clients: one address, JSON-RPC over HTTP and WebSocket, and [binary order entry](entry) over the same
//! WebSocket.
//!
//! Bounds. Connections are counted, and further ones wait to be accepted; those of one [address](addresses) are closed at their
//! limit. A client that does not finish its request's head or body in time is disconnected, as is one that answers no ping. A
//! connection has so many requests worked on, and no more is read from it until one of them is answered; so many answers wait
//! for it, and none is given until it takes one. Everything is paid for from a [budget], and whatever strangers have the node do
//! takes [threads] that leave most of the time to others.

mod addresses;
pub(crate) mod budget;
mod calls;
pub(crate) mod client;
mod entry;
#[cfg(test)]
mod hostile;
mod http;
mod metered;
pub(crate) mod naps;
mod origins;
pub(crate) mod session;
mod socket;
pub(crate) mod threads;
pub(crate) mod turn;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::server::{HttpBody, HttpResponse, Methods, ServerHandle, StopHandle, stop_channel};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tower::Service;

use crate::config::{Config, Limits, Origins, Prefix};
use crate::node::NodeError;
use crate::rpc::Rpc;
use addresses::{Crowd, Present};
use client::Client;
use session::Sessions;
use socket::Socket;
use threads::{Strangers, Stream, Threads, Work};

/// How long a client may take for a request's head, or leave a connection idle between two.
const HEAD_WAIT: Duration = Duration::from_secs(15);
/// After an address could not be accepted from, for want of files mostly.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
struct Door {
    rpc: Arc<Rpc>,
    methods: Methods,
    limits: Limits,
    stop: StopHandle,
    crowd: Arc<Crowd>,
    proxies: Arc<[Prefix]>,
    origins: Arc<Origins>,
    threads: Threads,
}

/// An open door, as long as its strangers are kept.
pub(crate) struct Opened {
    pub(crate) address: SocketAddr,
    pub(crate) server: ServerHandle,
    pub(crate) strangers: Strangers,
}

/// Listens, and serves until the handle is told to stop and dropped by every connection.
///
/// # Errors
/// If the address is taken, or not ours.
pub(crate) fn open(config: &Config, rpc: Rpc) -> Result<Opened, NodeError> {
    let failed = |source| NodeError::Listen { address: config.listen, setting: "listen", source };
    let (threads, strangers) = Threads::start().map_err(failed)?;
    let listener = std::net::TcpListener::bind(config.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let listener = threads.listen(listener).map_err(failed)?;
    let (stop, handle) = stop_channel();
    let methods = Methods::from(rpc.clone().module());
    let limits = config.limits;
    let crowd = Crowd::new(limits.address_connections);
    let (proxies, origins) = (config.trusted_proxies.clone().into(), Arc::new(config.allowed_origins.clone()));
    let rpc = Arc::new(rpc);
    let door = Door { rpc, methods, limits, stop, crowd, proxies, origins, threads: threads.clone() };
    threads.spawn(false, accept(listener, door));
    Ok(Opened { address, server: handle, strangers })
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
            Ok((stream, peer)) => {
                let peer = peer.ip();
                // A proxy has the connections of many.
                let is_proxy = door.proxies.iter().any(|proxy| proxy.contains(peer));
                let present = if is_proxy { None } else { door.crowd.enter(peer.into()) };
                if present.is_none() && !is_proxy {
                    tracing::debug!(%peer, "a connection beyond the limit of its address was closed");
                    continue;
                }
                number += 1;
                let (door, is_known) = (door.clone(), Arc::<AtomicBool>::default());
                let (threads, known) = (door.threads.clone(), Arc::clone(&is_known));
                threads.serve(is_known, Work::Requests, async move {
                    door.converse(stream, peer, number, known).await;
                    drop((place, present));
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
    async fn converse(self, stream: TcpStream, peer: IpAddr, number: usize, is_known: Arc<AtomicBool>) {
        // An answer is not worth waiting for the next one.
        let _ = stream.set_nodelay(true);
        let (upgraded, mut socket) = tokio::sync::oneshot::channel();
        let upgraded = Mutex::new(Some(upgraded));
        let service = self.http();
        let stream = Stream::new(stream, self.threads.clone(), Arc::clone(&is_known));
        let answer = |request: Request<Incoming>| {
            let (door, upgraded, service) = (&self, &upgraded, service.clone());
            let address = addresses::client(peer, request.headers(), &door.proxies);
            let client = Client::new(address, Arc::clone(&door.rpc.budgets), Arc::clone(&is_known));
            async move { Ok::<_, Infallible>(door.answer(request, peer, client, upgraded, service).await) }
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
        if let Ok(Upgraded { coming, client, _present }) = socket.try_recv()
            && let Ok(upgraded) = coming.await
            && let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<Stream>>()
        {
            match Sessions::new() {
                Ok(sessions) => {
                    let socket = Socket::new(&self, number, client, Arc::new(sessions));
                    socket.serve(io.into_inner(), read_buf).await;
                }
                Err(error) => tracing::error!(%error, "the machine has no randomness for a connection's challenge"),
            }
        }
    }

    async fn answer<S>(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
        client: Client,
        upgraded: &Mutex<Option<oneshot::Sender<Upgraded>>>,
        service: S,
    ) -> HttpResponse
    where
        S: Service<Request<Full<Bytes>>, Response = HttpResponse>,
    {
        let allowed = match self.origins.allow(request.headers()) {
            Ok(allowed) => allowed,
            Err(refused) => return refused,
        };
        if request.method() == Method::OPTIONS {
            return allowed.preflight();
        }
        if !is_upgrade(request.headers()) {
            if let Some(page) = http::page(&client, &request) {
                return page;
            }
            return allowed.read(http::answer(client, request, self.limits.request_bytes, service).await);
        }
        // Who comes by a proxy was not counted yet.
        let is_counted = client.address == peer.into();
        let present = if is_counted { None } else { self.crowd.enter(client.address) };
        if present.is_none() && !is_counted {
            return http::refused(
                StatusCode::TOO_MANY_REQUESTS,
                "there are as many connections of that address as may be",
            );
        }
        let coming = hyper::upgrade::on(&mut request);
        match create_response_with_body(&request, HttpBody::empty) {
            Ok(response) => {
                if let Some(wanted) = upgraded.lock().ok().and_then(|mut upgraded| upgraded.take()) {
                    // Its receiver waits for the connection's HTTP to end.
                    let _ = wanted.send(Upgraded { coming, client, _present: present });
                }
                response
            }
            Err(error) => http::refused(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }
}

/// A connection that goes on as WebSocket.
struct Upgraded {
    coming: OnUpgrade,
    client: Client,
    /// Its place among those of its address, if it came by a proxy.
    _present: Option<Present>,
}

/// Whether the client wants to go on with WebSocket.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let says = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    says(CONNECTION, "upgrade") && says(UPGRADE, "websocket")
}
