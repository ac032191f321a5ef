//! One JSON-RPC endpoint: asks, tells temporary failures from answers, and tries again.

use std::future::Future;
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

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Attempts of a caller who wants an answer now: with doubling pauses they take some three seconds.
const ATTEMPTS: u32 = 6;

/// A handle on an endpoint; clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    provider: RootProvider,
    /// Without user, path and query, which may hold secrets.
    url: String,
    local: bool,
    attempts: u32,
}

impl Rpc {
    pub(crate) fn new(url: &str) -> Result<Self, ChainError> {
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
        Ok(Self { provider, url: shown, local, attempts: ATTEMPTS })
    }

    /// The same endpoint, for somebody who would rather hear that it does not answer than wait.
    pub(crate) fn impatient(&self) -> Self {
        Self { attempts: 1, ..self.clone() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How long to wait between looks at the chain.
    pub(crate) const fn poll_interval(&self) -> Duration {
        if self.local { Duration::from_millis(50) } else { Duration::from_millis(500) }
    }

    /// Asks once.
    pub(crate) async fn once<T, Fut>(&self, asked: &str, ask: impl FnOnce(RootProvider) -> Fut) -> Result<T, ChainError>
    where
        Fut: Future<Output = Result<T, TransportError>>,
    {
        ask(self.provider.clone()).await.map_err(|error| self.explain(asked, error))
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
            url: self.url.clone(),
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

    pub(crate) fn explain(&self, asked: &str, error: TransportError) -> ChainError {
        let (url, asked) = (self.url.clone(), asked.to_owned());
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
