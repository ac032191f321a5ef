//! Has every call paid for before it is executed.

use std::future::Future;

use jsonrpsee::core::middleware::{Batch, Notification, RpcServiceT};
use jsonrpsee::core::server::MethodResponse;
use jsonrpsee::types::{ErrorObjectOwned, Request};

use super::budget::weight;
use super::client;

/// Wraps a service so that whoever asks pays for it.
#[derive(Clone)]
pub(crate) struct Metered<S>(pub(crate) S);

impl<S> RpcServiceT for Metered<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let inner = self.0.clone();
        async move {
            match client::pay(weight(request.method_name())) {
                Ok(()) => inner.call(request).await,
                Err(short) => MethodResponse::error(request.id, ErrorObjectOwned::from(short)),
            }
        }
    }

    // The calls of a batch come one by one.
    fn batch<'a>(&self, requests: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let inner = self.0.clone();
        async move { inner.batch(requests).await }
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let inner = self.0.clone();
        async move { inner.notification(notification).await }
    }
}
