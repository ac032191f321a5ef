//! What replication asks of a log service.

use std::future::Future;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// The service did not answer, or said no for a reason that may pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log service: {0}")]
pub struct LogError(pub String);

/// Why an append is not known to have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another message is the last one.
    #[error("another message is the last one")]
    NotLast,
    /// No answer, or none that says whether it happened; it may still happen.
    #[error("it is unknown whether it was appended: {0}")]
    Unknown(String),
}

/// The number that an appended message got.
pub type Ack = BoxFuture<'static, Result<u64, AppendError>>;
/// Messages with their numbers, in order and without gaps.
pub type Messages = BoxStream<'static, Result<(u64, Bytes), LogError>>;
/// What leaders say of themselves.
pub type Beats = BoxStream<'static, Bytes>;

/// A log that several nodes read and one at a time appends to.
///
/// An implementation promises three things: an append happens only if the message that it names is the last one at that moment; an
/// acknowledged message is not lost while a majority of its servers keep what they have written; and messages are read as they were
/// appended. Everything else (answers that are late, or never come) is dealt with here.
pub trait Log: Clone + Send + Sync + 'static {
    /// Sends a message that is appended if message `after` is the last one (0: if there is none). Messages are sent in the order of the
    /// calls; the answer comes later.
    fn send(&self, after: u64, message: Bytes) -> impl Future<Output = Ack> + Send;

    /// The last message's number; 0 if there is none.
    fn last(&self) -> impl Future<Output = Result<u64, LogError>> + Send;

    /// The oldest message's number that is still kept; one more than the last if there is none.
    fn first(&self) -> impl Future<Output = Result<u64, LogError>> + Send;

    /// One message; `None` if it is not there.
    fn get(&self, number: u64) -> impl Future<Output = Result<Option<Bytes>, LogError>> + Send;

    /// The messages from number `from` on, those that are still to come too. After an error it is read anew.
    fn read(&self, from: u64) -> impl Future<Output = Result<Messages, LogError>> + Send;

    /// Says something to whoever listens now; may be lost.
    fn beat(&self, beat: Bytes) -> impl Future<Output = ()> + Send;

    /// What is said from now on.
    fn beats(&self) -> impl Future<Output = Result<Beats, LogError>> + Send;
}
