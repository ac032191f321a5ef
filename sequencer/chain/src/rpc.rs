//! JSON-RPC endpoints: asks one, tells temporary failures from answers, and tries again, at the next one if there are several.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{BlockId, TransactionRequest};
use alloy::sol_types::SolCall;
use alloy::transports::http::Http;
use alloy::transports::http::reqwest;
use alloy::transports::{RpcError, TransportError};
use tracing::warn;

use crate::error::{ChainError, describe_revert};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an endpoint is waited for. A request that was lost holds settlement up for as long, so it is not much longer than the
/// slowest answer takes.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Two blocks: whoever is back is noticed as soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Attempts of a caller who wants an answer now: with doubling pauses they take some three seconds.
const ATTEMPTS: u32 = 6;

/// A handle on one endpoint or several; clones share their connections, and which of them is asked.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    shared: Arc<Endpoints>,
    attempts: u32,
}

#[derive(Debug)]
struct Endpoints {
    /// Never empty.
    list: Vec<Endpoint>,
    /// Which one is asked until it fails.
    current: AtomicUsize,
}

#[derive(Debug)]
struct Endpoint {
    provider: RootProvider,
    /// Without user, path and query, which may hold secrets.
    url: String,
    local: bool,
}

impl Endpoint {
    fn new(url: &str) -> Result<Self, ChainError> {
        let bad = |reason: String| ChainError::BadUrl { reason };
        let url: reqwest::Url = url.parse().map_err(|error| bad(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("scheme `{}` is not http or https", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| bad("it names no host".into()))?;
        let shown = match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        };
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| bad(error.to_string()))?;
        let provider = RootProvider::new(RpcClient::new(Http::with_client(http, url), local));
        Ok(Self { provider, url: shown, local })
    }
}

impl Rpc {
    /// Asks these clients instead of URLs; errors call each by the name beside it.
    pub(crate) fn over(clients: Vec<(String, RpcClient)>) -> Result<Self, ChainError> {
        if clients.is_empty() {
            return Err(ChainError::BadUrl { reason: "there is no endpoint".into() });
        }
        let endpoint = |(url, client)| Endpoint { provider: RootProvider::new(client), url, local: false };
        Ok(Self::among(clients.into_iter().map(endpoint).collect()))
    }

    /// Takes one URL, or several with commas between them: whenever the one that is asked fails to answer, the next one is
    /// asked from then on.
    pub(crate) fn new(urls: &str) -> Result<Self, ChainError> {
        Ok(Self::among(urls.split(',').map(|url| Endpoint::new(url.trim())).collect::<Result<_, _>>()?))
    }

    fn among(list: Vec<Endpoint>) -> Self {
        Self { shared: Arc::new(Endpoints { list, current: AtomicUsize::new(0) }), attempts: ATTEMPTS }
    }

    /// The same endpoints, for somebody who would rather hear that one does not answer than wait.
    pub(crate) fn impatient(&self) -> Self {
        Self { attempts: 1, ..self.clone() }
    }

    fn current(&self) -> (usize, &Endpoint) {
        let index = self.shared.current.load(Ordering::Relaxed);
        (index, &self.shared.list[index])
    }

    /// That of the endpoint that is asked now.
    pub(crate) fn url(&self) -> String {
        self.current().1.url.clone()
    }

    /// How long to wait between looks at the chain.
    pub(crate) fn poll_interval(&self) -> Duration {
        if self.current().1.local { Duration::from_millis(50) } else { Duration::from_millis(500) }
    }

    /// Asks once. If there is no answer, the next endpoint is asked next time.
    pub(crate) async fn once<T, Fut>(&self, asked: &str, ask: impl FnOnce(RootProvider) -> Fut) -> Result<T, ChainError>
    where
        Fut: Future<Output = Result<T, TransportError>>,
    {
        let (index, Endpoint { provider, url, .. }) = self.current();
        let answer = ask(provider.clone()).await.map_err(|error| explain(url, asked, error));
        let next = (index + 1) % self.shared.list.len();
        if next != index
            && answer.as_ref().is_err_and(ChainError::is_temporary)
            && self.shared.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            warn!(from = %url, to = %self.shared.list[next].url, "the endpoint does not answer; asking the next one");
        }
        answer
    }

    /// Asks until there is an answer, a few times unless impatient.
    pub(crate) async fn ask<T, Fut>(&self, asked: &str, ask: impl Fn(RootProvider) -> Fut) -> Result<T, ChainError>
    where
        Fut: Future<Output = Result<T, TransportError>>,
    {
        let mut pause = FIRST_PAUSE;
        for _ in 1..self.attempts {
            match self.once(asked, &ask).await {
                Err(error) if error.is_temporary() => warn!(%error, "trying again"),
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.once(asked, &ask).await
    }

    /// Calls a view of a contract.
    pub(crate) async fn view<C: SolCall>(&self, to: Address, call: &C, at: BlockId) -> Result<C::Return, ChainError> {
        let answer = self.call(to, C::SIGNATURE, call.abi_encode().into(), at).await?;
        C::abi_decode_returns(&answer).map_err(|error| ChainError::Rpc {
            url: self.url(),
            asked: C::SIGNATURE.into(),
            reason: format!("the answer cannot be decoded: {error}; is {to} the right contract?"),
        })
    }

    async fn call(&self, to: Address, asked: &str, data: Bytes, at: BlockId) -> Result<Bytes, ChainError> {
        let request = TransactionRequest::default().to(to).input(data.into());
        self.ask(asked, |provider| {
            let request = request.clone();
            async move { provider.call(request).block(at).await }
        })
        .await
    }
}

/// What came back, in our words.
fn explain(url: &str, asked: &str, error: TransportError) -> ChainError {
    let (url, asked) = (url.to_owned(), asked.to_owned());
    match error {
        RpcError::ErrorResp(payload) => match payload.as_revert_data() {
            Some(data) => ChainError::Refused { asked, reason: describe_revert(&data) },
            None if payload.is_retry_err() => {
                ChainError::Unreachable { url, asked, reason: payload.message.into_owned() }
            }
            None => ChainError::Rpc { url, asked, reason: payload.message.into_owned() },
        },
        RpcError::Transport(kind) => {
            // The transport's own words may repeat the URL with its secrets: say what kind of failure it was.
            let reason = match kind.as_http_error() {
                Some(http) => format!("HTTP status {}", http.status),
                None => "no connection, or it broke".into(),
            };
            ChainError::Unreachable { url, asked, reason }
        }
        // A broken answer is a matter of the endpoint too: a proxy's error page, say.
        RpcError::NullResp | RpcError::DeserError { .. } => {
            ChainError::Unreachable { url, asked, reason: "the answer is not what JSON-RPC says".into() }
        }
        RpcError::UnsupportedFeature(_) | RpcError::LocalUsageError(_) | RpcError::SerError(_) => {
            ChainError::Rpc { url, asked, reason: error.to_string() }
        }
    }
}

/// Pauses that double up to a few seconds, for tasks that never give up.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
    }

    pub(crate) const fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }
}
