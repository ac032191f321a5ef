//! One WebSocket: reads messages, starts work on them in order, writes the answers as they come.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use jsonrpsee::core::server::{BoundedSubscriptions, ConnectionId, MethodSink};
use jsonrpsee::types::error::reject_too_big_request;
use jsonrpsee::types::{ErrorObject, Id, Response, ResponsePayload};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use super::calls::Calls;
use super::turn::Turns;
use super::{Door, entry};
use crate::rpc::Rpc;

/// Bytes that are read at a time: a request or a few, since there may be thousands of idle connections.
const READ_BYTES: usize = 8 << 10;
/// Requests of one connection that are worked on; at the limit nothing is read.
const REQUESTS_MAX: usize = 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A connection that was not heard for so long, pings notwithstanding, is closed.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the last answers may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One connection, before it is served.
pub(crate) struct Socket {
    rpc: Rpc,
    calls: Calls,
    request_bytes: usize,
    texts: mpsc::Receiver<Box<RawValue>>,
    binaries: mpsc::Receiver<Vec<u8>>,
    /// Where binary answers go to.
    answers: mpsc::Sender<Vec<u8>>,
    sink: mpsc::Sender<Box<RawValue>>,
    stop: jsonrpsee::server::StopHandle,
}

impl Socket {
    pub(crate) fn new(door: &Door, number: usize) -> Self {
        let size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let limits = door.limits;
        let (sink, texts) = mpsc::channel(size(limits.message_buffer));
        let (answers, binaries) = mpsc::channel(size(limits.message_buffer));
        let calls = Calls {
            methods: door.methods.clone(),
            connection: ConnectionId(number),
            subscriptions: Arc::new(BoundedSubscriptions::new(limits.subscriptions)),
            sink: MethodSink::new(sink.clone()),
            response_bytes: size(limits.response_bytes),
            batch_requests: size(limits.batch_requests),
        };
        let (rpc, stop) = (door.rpc.clone(), door.stop.clone());
        Self { rpc, calls, request_bytes: size(limits.request_bytes), texts, binaries, answers, sink, stop }
    }

    /// Serves until the client leaves, is not heard any more, breaks the protocol, or the node stops. When the node stops, what is
    /// being worked on is answered first.
    pub(crate) async fn serve(self, stream: TokioIo<Upgraded>) {
        let Self { rpc, calls, request_bytes, mut texts, mut binaries, answers, sink, stop } = self;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(request_bytes))
            .max_frame_size(Some(request_bytes));
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let (mut writer, mut reader) = stream.split();

        let (finish, mut finished) = oneshot::channel::<CloseFrame>();
        let write = async move {
            let mut ping = tokio::time::interval(PING_INTERVAL);
            ping.tick().await;
            loop {
                let first = tokio::select! {
                    Some(bytes) = binaries.recv() => binary_message(bytes),
                    Some(text) = texts.recv() => text_message(text),
                    _ = ping.tick() => Message::Ping(Bytes::new()),
                    // If it is dropped, nobody reads any more either.
                    Ok(frame) = &mut finished => {
                        // Behind the last answers.
                        while let Some(message) = next_of(&mut binaries, &mut texts) {
                            writer.feed(message).await?;
                        }
                        return writer.send(Message::Close(Some(frame))).await;
                    }
                };
                writer.feed(first).await?;
                // What waits goes with it.
                while let Some(message) = next_of(&mut binaries, &mut texts) {
                    writer.feed(message).await?;
                }
                writer.flush().await?;
            }
        };
        let mut write = tokio::spawn(write);

        let room = Arc::new(Semaphore::new(REQUESTS_MAX));
        let mut turns = Turns::default();
        let mut heard = Instant::now();
        let mut stopping = pin!(stop.shutdown());
        let end = loop {
            let read = tokio::select! {
                read = reader.next() => read,
                () = tokio::time::sleep(SILENCE_MAX.saturating_sub(heard.elapsed())) => break None,
                () = &mut stopping => break Some((CloseCode::Away, "the node is stopping")),
                () = sink.closed() => break None,
            };
            heard = Instant::now();
            let message = match read {
                Some(Ok(message)) => message,
                Some(Err(Error::Capacity(_))) => {
                    // What follows it cannot be told from it any more.
                    let most = u32::try_from(request_bytes).unwrap_or(u32::MAX);
                    let _ = sink.send(no_request(reject_too_big_request(most))).await;
                    break Some((CloseCode::Size, "the message is too large"));
                }
                // Closed, cut off, or no WebSocket any more.
                Some(Err(_)) | None => break None,
            };
            // Who takes no answers is not listened to for ever.
            let place = tokio::time::timeout(SILENCE_MAX, Arc::clone(&room).acquire_owned()).await;
            let Ok(Ok(place)) = place else { break None };
            match message {
                Message::Text(text) => {
                    let (calls, sink) = (calls.clone(), sink.clone());
                    let work = async move {
                        if let Some(answer) = calls.execute(&text).await {
                            // If the client has left, it does not want to know.
                            let _ = sink.send(answer).await;
                        }
                        drop(place);
                    };
                    tokio::spawn(turns.next().of(work));
                }
                Message::Binary(bytes) => {
                    let (rpc, answers) = (rpc.clone(), answers.clone());
                    let work = async move {
                        let answer = entry::answer(&rpc, &bytes).await;
                        let _ = answers.send(answer.encode()).await;
                        drop(place);
                    };
                    tokio::spawn(turns.next().of(work));
                }
                // The library answers pings; it ends by itself after a close.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        };
        if let Some((code, reason)) = end {
            // All that is worked on is answered; subscriptions end with the connection.
            let every = u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX);
            let farewell = async {
                let _ = room.acquire_many(every).await;
                let _ = finish.send(CloseFrame { code, reason: reason.into() });
                let _ = (&mut write).await;
            };
            if tokio::time::timeout(LAST_WORDS, farewell).await.is_ok() {
                return;
            }
        }
        write.abort();
    }
}

fn next_of(binaries: &mut mpsc::Receiver<Vec<u8>>, texts: &mut mpsc::Receiver<Box<RawValue>>) -> Option<Message> {
    binaries.try_recv().map(binary_message).or_else(|_| texts.try_recv().map(text_message)).ok()
}

fn binary_message(bytes: Vec<u8>) -> Message {
    Message::Binary(Bytes::from(bytes))
}

fn text_message(text: Box<RawValue>) -> Message {
    Message::Text(Utf8Bytes::from(String::from(Box::<str>::from(text))))
}

/// The answer to what is no request.
fn no_request(error: ErrorObject<'static>) -> Box<RawValue> {
    let response: Response<'_, ()> = Response::new(ResponsePayload::error(error), Id::Null);
    serde_json::value::to_raw_value(&response).unwrap_or_default()
}
