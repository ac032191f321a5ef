//! JSON-RPC over HTTP: takes a request's body in, in time and no larger than it may be, and gives it to jsonrpsee.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::middleware::http::ProxyGetRequestLayer;
use jsonrpsee::server::{BatchRequestConfig, HttpBody, HttpResponse, Server, ServerConfig, http::response};
use tower::Service;
use xos_api::Budget;

use super::Door;
use super::client::Client;
use super::metered::Metered;
use crate::params::NamedParams;

/// What a response says is left to the client.
pub(super) const RATE_LIMIT: &str = "ratelimit";
/// How long a client may take for a request's body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Measures how far its reader is from the node.
const LATENCY: &str = include_str!("latency.html");
/// It has all that it needs, and talks to nodes.
const LATENCY_MAY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src ws: wss:";

/// The page for people, if they ask for it.
pub(super) fn page(client: &Client, request: &Request<Incoming>) -> Option<HttpResponse> {
    if request.method() != Method::GET || request.uri().path() != "/latency" {
        return None;
    }
    if client.pays_for_message(LATENCY.len()).is_err() {
        return Some(over_budget());
    }
    let mut response = HttpResponse::new(HttpBody::from(LATENCY));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(LATENCY_MAY));
    Some(response)
}

/// Answers one request.
pub(super) async fn answer<S>(client: Client, request: Request<Incoming>, most: u32, mut service: S) -> HttpResponse
where
    S: Service<Request<Full<Bytes>>, Response = HttpResponse>,
{
    let (parts, body) = request.into_parts();
    // What says that it will be too large is not waited for.
    if body.size_hint().lower() > most.into() {
        return last(response::too_large(most));
    }
    let most_bytes = usize::try_from(most).unwrap_or(usize::MAX);
    let body = match tokio::time::timeout(BODY_WAIT, Limited::new(body, most_bytes).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return response::too_large(most),
        // Nobody is there to read it.
        Ok(Err(_)) => return refused(StatusCode::BAD_REQUEST, "the request broke off"),
        Err(_) => return last(refused(StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive")),
    };
    if client.pays_for_message(body.len()).is_err() {
        return over_budget();
    }
    let work = service.call(Request::from_parts(parts, Full::new(body)));
    let (response, budget) = client.clone().asks(work).await;
    // It answers every request, if with an error.
    let mut response = response.unwrap_or_else(|_| refused(StatusCode::BAD_REQUEST, ""));
    client.pays_for_answer(usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX));
    response.headers_mut().insert(RATE_LIMIT, rate_limit(budget));
    response
}

/// As in the IETF's draft of RateLimit fields: `"address";r=49990, "account";r=9999`.
fn rate_limit(budget: Budget) -> HeaderValue {
    let address = format!("\"address\";r={}", budget.address);
    let text = match budget.account {
        Some(account) => format!("{address}, \"account\";r={account}"),
        None => address,
    };
    HeaderValue::try_from(text).expect("digits and letters")
}

/// A response in plain words.
pub(super) fn refused(status: StatusCode, why: &str) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(format!("{why}\n")));
    *response.status_mut() = status;
    response
}

/// Who goes on asking all the same is disconnected.
fn over_budget() -> HttpResponse {
    let mut response =
        refused(StatusCode::TOO_MANY_REQUESTS, "more was asked for than the budget has, again and again");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    last(response)
}

/// The last response on its connection.
fn last(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

impl Door {
    /// JSON-RPC over HTTP, which jsonrpsee serves.
    pub(super) fn http(
        &self,
    ) -> impl Service<Request<Full<Bytes>>, Response = HttpResponse, Future: Send> + Clone + Send + use<> {
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
        let named =
            RpcServiceBuilder::new().layer_fn(move |inner| NamedParams { inner: Metered(inner), response_bytes });
        Server::builder()
            .set_config(settings)
            .set_http_middleware(tower::ServiceBuilder::new().layer(plain_paths))
            .set_rpc_middleware(named)
            .to_service_builder()
            .build(self.methods.clone(), self.stop.clone())
    }
}
