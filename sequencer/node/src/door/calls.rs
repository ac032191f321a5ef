//! JSON-RPC on a WebSocket: reads a message, has its calls executed, and gives the answer. The methods are jsonrpsee's; its
//! own WebSocket server is not used because it forgets in which order messages came (`docs/decisions/`, 31).

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use futures::future::join_all;
use jsonrpsee::core::middleware::{Batch, Notification, RpcServiceT};
use jsonrpsee::core::server::{
    BatchResponseBuilder, BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink, Methods,
    SubscriptionState,
};
use jsonrpsee::server::RandomIntegerIdProvider;
use jsonrpsee::types::error::{ErrorCode, reject_too_big_batch_request, reject_too_many_subscriptions};
use jsonrpsee::types::{ErrorObject, Id, InvalidRequest, Params, Request};
use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::client;
use super::metered::Metered;
use super::turn::{self, Turns};
use crate::params::NamedParams;

/// What the calls of one connection share.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) methods: Methods,
    pub(crate) connection: ConnectionId,
    pub(crate) subscriptions: Arc<BoundedSubscriptions>,
    /// Where subscriptions send to.
    pub(crate) sink: MethodSink,
    pub(crate) response_bytes: usize,
    pub(crate) batch_requests: usize,
}

impl Calls {
    /// Executes one message; `None` if it asks for no answer, or a subscription has given it. The calls of a batch are
    /// begun one after the other and answered together.
    pub(crate) async fn execute(self, message: &str) -> Option<Box<RawValue>> {
        let message = message.trim_start();
        let answer = match message.as_bytes().first() {
            Some(b'[') => self.batch(message).await?,
            Some(b'{') => self.single(message).await?,
            _ => no_request(message).await,
        };
        let succeeded = answer.is_success();
        let (json, told, _) = answer.into_parts();
        if let Some(told) = told {
            told.notify(succeeded);
        }
        Some(json)
    }

    async fn single(self, message: &str) -> Option<MethodResponse> {
        match serde_json::from_str::<Request<'_>>(message) {
            Ok(request) => {
                let response_bytes = self.response_bytes;
                let answer = NamedParams { inner: Metered(self), response_bytes }.call(request).await;
                (!answer.is_subscription()).then_some(answer)
            }
            Err(_) => {
                client::pause().await;
                if is_notification(message) { None } else { Some(no_request(message).await) }
            }
        }
    }

    async fn batch(self, message: &str) -> Option<MethodResponse> {
        let mut too_many = false;
        let calls = match at_most(self.batch_requests, message, &mut too_many) {
            Ok(calls) => calls,
            Err(_) if too_many => {
                client::is_now_known(false);
                return Some(MethodResponse::error(Id::Null, reject_too_big_batch_request(self.batch_requests)));
            }
            Err(_) => return Some(no_request(message).await),
        };
        client::pause().await;
        if calls.is_empty() {
            return Some(MethodResponse::error(Id::Null, ErrorObject::from(ErrorCode::InvalidRequest)));
        }
        let turns = turn::take().unwrap_or_else(|| Turns::default().next()).shared_by(calls.len());
        let answers = calls.into_iter().zip(turns).map(|(call, turn)| turn.of(self.clone().single(call.get())));
        let answers = join_all(answers).await;
        let mut together = BatchResponseBuilder::new_with_limit(self.response_bytes);
        for answer in answers.into_iter().flatten() {
            if let Err(too_large) = together.append(answer) {
                return Some(too_large);
            }
        }
        (!together.is_empty()).then(|| MethodResponse::from_batch(together.finish()))
    }
}

/// Reads a list of calls. If there are too many, none behind them is read, and it says so.
fn at_most<'a>(most: usize, list: &'a str, too_many: &mut bool) -> serde_json::Result<Vec<&'a RawValue>> {
    let mut list = serde_json::Deserializer::from_str(list);
    let calls = list.deserialize_seq(AtMost { most, too_many })?;
    list.end()?;
    Ok(calls)
}

struct AtMost<'a> {
    most: usize,
    too_many: &'a mut bool,
}

impl<'de> Visitor<'de> for AtMost<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {} calls", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut calls = Vec::new();
        while let Some(call) = list.next_element()? {
            if calls.len() == self.most {
                *self.too_many = true;
                return Err(A::Error::invalid_length(calls.len() + 1, &self));
            }
            calls.push(call);
        }
        Ok(calls)
    }
}

/// Says what is wrong with what is no request: whether it is JSON at all decides.
async fn no_request(message: &str) -> MethodResponse {
    client::is_now_known(false);
    // Each reading of a long message takes a while.
    client::pause().await;
    let id = serde_json::from_str::<InvalidRequest<'_>>(message).map_or(Id::Null, |request| request.id.into_owned());
    client::pause().await;
    let is_json = serde_json::from_str::<&RawValue>(message).is_ok();
    let code = if is_json { ErrorCode::InvalidRequest } else { ErrorCode::ParseError };
    MethodResponse::error(id, ErrorObject::from(code))
}

/// A call without an id wants no answer, and every method here is about its answer: nothing is done.
fn is_notification(message: &str) -> bool {
    serde_json::from_str::<jsonrpsee::types::Notification<'_, Option<&RawValue>>>(message).is_ok()
}

impl RpcServiceT for Calls {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Self { methods, connection, subscriptions, sink, response_bytes, .. } = self.clone();
        async move {
            let Request { id, method, params, extensions, .. } = request;
            let params = Params::new(params.as_ref().map(|params| params.get()));
            match methods.method(&method) {
                None => MethodResponse::error(id, ErrorObject::from(ErrorCode::MethodNotFound)),
                Some(MethodCallback::Async(call)) => {
                    call(id.into_owned(), params.into_owned(), connection, response_bytes, extensions).await
                }
                Some(MethodCallback::Sync(call)) => call(id, params, response_bytes, extensions),
                Some(MethodCallback::Unsubscription(call)) => call(id, params, connection, response_bytes, extensions),
                Some(MethodCallback::Subscription(call)) => {
                    let Some(subscription_permit) = subscriptions.acquire() else {
                        return MethodResponse::error(id, reject_too_many_subscriptions(subscriptions.max()));
                    };
                    let id_provider = &RandomIntegerIdProvider;
                    let state = SubscriptionState { conn_id: connection, id_provider, subscription_permit };
                    call(id, params, sink, state, extensions).await
                }
            }
        }
    }

    // Both are taken apart before.
    fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        ready(MethodResponse::error(Id::Null, ErrorObject::from(ErrorCode::InvalidRequest)))
    }

    fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        ready(MethodResponse::notification())
    }
}
