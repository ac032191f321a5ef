//! One WebSocket: reads messages, starts work on them in order, writes the answers as they come.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt};
use jsonrpsee::core::server::{BoundedSubscriptions, ConnectionId, MethodSink};
use jsonrpsee::types::error::reject_too_big_request;
use jsonrpsee::types::{ErrorObject, Id, Response, ResponsePayload};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use xos_api::{Budget, are_alike};

use super::calls::Calls;
use super::client::Client;
use super::session::Sessions;
use super::threads::{Stream, Threads, Work};
use super::turn::Turns;
use super::{Door, entry};
use crate::rpc::Rpc;

/// Bytes that are read at a time: a request or a few, since there may be thousands of idle connections.
const READ_BYTES: usize = 8 << 10;
/// Requests of one connection that are worked on; at the limit nothing is read.
const REQUESTS_MAX: usize = 1024;
/// Messages of one kind that have been read are worked on together, up to so many bytes: fewer commands than one message may have.
const TOGETHER_BYTES: usize = READ_BYTES;
/// How many times the room each request takes while nothing good has come of the connection: it has sixteen worked on, so that
/// others do not wait behind thousands of its kind.
const STRANGE_SHARE: u32 = 64;
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A connection that was not heard for so long, pings notwithstanding, is closed.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the last answers may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One connection, before it is served.
pub(crate) struct Socket {
    rpc: Arc<Rpc>,
    calls: Calls,
    request_bytes: usize,
    client: Client,
    threads: Threads,
    sessions: Arc<Sessions>,
    /// What subscriptions have sent.
    updates: mpsc::Receiver<Box<RawValue>>,
    answered: mpsc::Receiver<Message>,
    /// Where answers go to.
    answers: mpsc::Sender<Message>,
    stop: jsonrpsee::server::StopHandle,
}

impl Socket {
    pub(crate) fn new(door: &Door, number: usize, client: Client, sessions: Arc<Sessions>) -> Self {
        let size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let limits = door.limits;
        let (sink, updates) = mpsc::channel(size(limits.message_buffer));
        let (answers, answered) = mpsc::channel(size(limits.message_buffer));
        let calls = Calls {
            methods: door.methods.clone(),
            connection: ConnectionId(number),
            subscriptions: Arc::new(BoundedSubscriptions::new(limits.subscriptions)),
            sink: MethodSink::new(sink),
            response_bytes: size(limits.response_bytes),
            batch_requests: size(limits.batch_requests),
        };
        let (rpc, stop, threads) = (Arc::clone(&door.rpc), door.stop.clone(), door.threads.clone());
        let client = client.with_sessions(Arc::clone(&sessions));
        let request_bytes = size(limits.request_bytes);
        Self { rpc, calls, request_bytes, client, threads, sessions, updates, answered, answers, stop }
    }

    /// Serves until the client leaves, is not heard any more, breaks the protocol, or the node stops. When the node stops, what is
    /// being worked on is answered first. `begun` is what was read of the stream already.
    pub(crate) async fn serve(self, stream: Stream, begun: Bytes) {
        let Self { rpc, calls, request_bytes, client, threads, sessions, .. } = self;
        let Self { mut updates, mut answered, answers, stop, .. } = self;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(request_bytes))
            .max_frame_size(Some(request_bytes));
        let stream = WebSocketStream::from_partially_read(stream, begun.into(), Role::Server, Some(config)).await;
        let (mut writer, mut reader) = stream.split();

        let (finish, mut finished) = oneshot::channel::<CloseFrame>();
        let write = async move {
            let mut ping = tokio::time::interval(PING_INTERVAL);
            ping.tick().await;
            loop {
                let first = tokio::select! {
                    Some(answer) = answered.recv() => answer,
                    Some(update) = updates.recv() => text_message(update),
                    _ = ping.tick() => Message::Ping(Bytes::new()),
                    // If it is dropped, nobody reads any more either.
                    Ok(frame) = &mut finished => {
                        // Behind the last answers.
                        while let Some(message) = next_of(&mut answered, &mut updates) {
                            writer.feed(message).await?;
                        }
                        return writer.send(Message::Close(Some(frame))).await;
                    }
                };
                writer.feed(first).await?;
                // Answers are let out together, each to its own task: the others' go with it.
                tokio::task::yield_now().await;
                while let Some(message) = next_of(&mut answered, &mut updates) {
                    writer.feed(message).await?;
                }
                writer.flush().await?;
            }
        };
        let (write, mut written) = write.map(|_: Result<(), Error>| ()).remote_handle();
        threads.serve(client.known(), Work::Messages, write);

        let room = Arc::new(Semaphore::new(REQUESTS_MAX));
        let mut turns = Turns::default();
        let mut heard = Instant::now();
        // A timer that is set anew for every message costs as much as reading it: this one looks again when it ends.
        let mut silence = pin!(sleep_until(heard + SILENCE_MAX));
        let (mut stopping, mut left) = (pin!(stop.shutdown()), pin!(answers.closed()));
        // What was read behind messages that came together, and is none of them.
        let mut read_already = None;
        let end = loop {
            let read = tokio::select! {
                biased;
                () = &mut stopping => break Some((CloseCode::Away, "the node is stopping")),
                () = &mut left => break None,
                read = async { if read_already.is_some() { read_already.take() } else { reader.next().await } } => read,
                () = &mut silence => {
                    if heard.elapsed() >= SILENCE_MAX {
                        break None;
                    }
                    silence.set(sleep_until(heard + SILENCE_MAX));
                    continue;
                }
            };
            heard = Instant::now();
            let message = match read {
                Some(Ok(message)) => message,
                Some(Err(Error::Capacity(_))) => {
                    // What follows it cannot be told from it any more.
                    let most = u32::try_from(request_bytes).unwrap_or(u32::MAX);
                    let _ = answers.send(text_message(no_request(reject_too_big_request(most)))).await;
                    break Some((CloseCode::Size, "the message is too large"));
                }
                Some(Err(Error::Utf8(_))) => break Some((CloseCode::Invalid, "a text message is not UTF-8")),
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => break None,
                Some(Err(Error::Protocol(_))) => break Some((CloseCode::Protocol, "that is no frame of a WebSocket")),
                // Closed or cut off.
                Some(Err(_)) | None => break None,
            };
            if client.pays_for_message(message.len()).is_err() {
                break Some((CloseCode::Policy, "more was asked for than the budget has, again and again"));
            }
            // Who takes no answers is not listened to for ever.
            let is_known = client.is_known();
            let share = if is_known { 1 } else { STRANGE_SHARE };
            let mut place = match Arc::clone(&room).try_acquire_many_owned(share) {
                Ok(place) => place,
                Err(_) => match timeout(SILENCE_MAX, Arc::clone(&room).acquire_many_owned(share)).await {
                    Ok(Ok(place)) => place,
                    Ok(Err(_)) | Err(_) => break None,
                },
            };
            // Tasks are moved about when they are started, so what is large in them is boxed.
            match message {
                Message::Text(text) => {
                    let (client, calls, answers) = (client.clone(), calls.clone(), answers.clone());
                    let work = async move {
                        if let (Some(answer), budget) = client.clone().asks(Box::pin(calls.execute(&text))).await {
                            client.pays_for_answer(answer.get().len());
                            // If the client has left, it does not want to know.
                            let _ = answers.send(with_budget(answer, budget)).await;
                        }
                        drop(place);
                    };
                    threads.spawn(is_known, turns.next().of(work));
                }
                Message::Binary(bytes) => {
                    // The busier the node, the more came meanwhile, and the less each costs.
                    let (mut length, mut messages) = (bytes.len(), vec![bytes]);
                    while is_known && length < TOGETHER_BYTES {
                        let Ok(another) = Arc::clone(&room).try_acquire_owned() else { break };
                        match reader.next().now_or_never() {
                            Some(Some(Ok(Message::Binary(next))))
                                if are_alike(&messages[0], &next)
                                    && length + next.len() <= TOGETHER_BYTES
                                    && client.pays_for_message(next.len()).is_ok() =>
                            {
                                length += next.len();
                                messages.push(next);
                                place.merge(another);
                            }
                            Some(next) => {
                                read_already = next;
                                break;
                            }
                            None => break,
                        }
                    }
                    let (client, rpc, answers) = (client.clone(), Arc::clone(&rpc), answers.clone());
                    let work = async move {
                        let (answered, budget) = client.asks(Box::pin(entry::answers(&rpc, &messages))).await;
                        for answer in answered {
                            let answer = answer.with_budget(budget).encode();
                            let _ = answers.send(Message::Binary(Bytes::from(answer))).await;
                        }
                        drop(place);
                    };
                    threads.spawn(is_known, turns.next().of(work));
                }
                // The library answers pings; it ends by itself after a close.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        };
        let every = u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX);
        if let Some((code, reason)) = end {
            // All that is worked on is answered; subscriptions end with the connection.
            let farewell = async {
                let _ = room.acquire_many(every).await;
                let _ = finish.send(CloseFrame { code, reason: reason.into() });
                (&mut written).await;
            };
            // Who is too slow to take them goes without.
            let _ = timeout(LAST_WORDS, farewell).await;
        }
        // What is not written by now never is.
        drop(written);
        // A node that stops takes nothing more, and its clients come back: their orders stay.
        if !matches!(end, Some((CloseCode::Away, _))) {
            // Behind all that it has asked for, which nobody waits for any more.
            let _ = room.acquire_many(every).await;
            sessions.end(&rpc).await;
        }
    }
}

fn next_of(answered: &mut mpsc::Receiver<Message>, updates: &mut mpsc::Receiver<Box<RawValue>>) -> Option<Message> {
    answered.try_recv().or_else(|_| updates.try_recv().map(text_message)).ok()
}

/// The answer with what is left to the client, beside `result` or `error`; of a batch in the last one.
fn with_budget(answer: Box<RawValue>, budget: Budget) -> Message {
    let mut text = String::from(Box::<str>::from(answer));
    if let (Some(end), Ok(budget)) = (text.rfind('}'), serde_json::to_string(&budget)) {
        text.insert_str(end, &format!(",\"budget\":{budget}"));
    }
    Message::Text(Utf8Bytes::from(text))
}

fn text_message(text: Box<RawValue>) -> Message {
    Message::Text(Utf8Bytes::from(String::from(Box::<str>::from(text))))
}

/// The answer to what is no request.
fn no_request(error: ErrorObject<'static>) -> Box<RawValue> {
    let response: Response<'_, ()> = Response::new(ResponsePayload::error(error), Id::Null);
    serde_json::value::to_raw_value(&response).unwrap_or_default()
}
