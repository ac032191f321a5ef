//! What operators and their machines ask over plain HTTP, on an address of its own: `/metrics`, `/health`, `/ready`.
//!
//! It is up before everything else and goes down last, so that a node that takes long to start, or does not stop, says why.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::metrics;
use crate::node::NodeError;
use crate::vitals::{Life, Missing, Vitals};

/// Connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 32;
/// A connection that has not asked for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

type Answer = Response<Full<Bytes>>;

/// A bound address that does not answer yet.
pub(crate) struct Operations {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Serialize)]
struct Health {
    alive: bool,
    life: Life,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    missing: Vec<Missing>,
}

impl Operations {
    /// # Errors
    /// If the address is taken, or not ours.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { address, setting: "operations_listen", source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve(self, vitals: Arc<Vitals>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            // Nobody closes the semaphore.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let vitals = Arc::clone(&vitals);
                    connections.spawn(async move {
                        converse(stream, vitals).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection for operators");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, vitals: Arc<Vitals>) {
    let answer = |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &vitals);
        async move { Ok::<_, Infallible>(answer) }
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    // Who hangs up, or sends what is no HTTP, gets no answer.
    let _ = served.await;
}

fn answer(method: &Method, path: &str, vitals: &Vitals) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => text(StatusCode::OK, metrics::CONTENT_TYPE, vitals.metrics_text()),
        "/health" => {
            let reason = vitals.hangs();
            let alive = reason.is_none();
            json(alive, &Health { alive, life: vitals.life(), reason })
        }
        "/ready" => {
            let missing = vitals.missing();
            let ready = missing.is_empty();
            json(ready, &Ready { ready, missing })
        }
        _ => text(StatusCode::NOT_FOUND, "text/plain", "/metrics, /health and /ready are here\n".into()),
    }
}

fn json(good: bool, content: &impl Serialize) -> Answer {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Texts and booleans become JSON without fail.
    text(status, "application/json", serde_json::to_string(content).unwrap_or_default() + "\n")
}

fn text(status: StatusCode, kind: &'static str, content: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(content)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
