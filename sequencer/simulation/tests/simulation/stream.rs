//! The simulated log service: one list of messages, as a majority of its servers holds it, and a way to it for each node that may be
//! slow, cut, or lose what is on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::sleep;
use xos_replica::{Ack, AppendError, Beats, Log, LogError, Messages};

use crate::dice::Dice;
use crate::trace::Trace;

/// A client's patience with the service.
const TIMEOUT: Duration = Duration::from_secs(5);
const BEATS: usize = 1_024;

/// What is wrong with the ways to the service, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Appends that never arrive.
    pub(crate) lost: u64,
    /// Answers that never arrive: what was asked is done.
    pub(crate) answers_lost: u64,
    /// Appends that arrive twice.
    pub(crate) twice: u64,
    /// Appends that are overtaken by later ones.
    pub(crate) overtaken: u64,
    /// How long a message takes at most.
    pub(crate) latency_ms: u64,
}

/// The service; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Stream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    messages: Mutex<Vec<Bytes>>,
    /// There are more of them.
    changed: Notify,
    beats: broadcast::Sender<(String, Bytes)>,
    /// Nodes that cannot reach it.
    cut: Mutex<BTreeSet<String>>,
    weather: Mutex<Weather>,
    dice: Dice,
    trace: Trace,
}

/// A node's way to the service.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    stream: Stream,
    node: String,
}

impl Stream {
    pub(crate) fn new(dice: Dice, trace: Trace) -> Self {
        let (changed, beats) = (Notify::new(), broadcast::Sender::new(BEATS));
        let (messages, cut, weather) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { messages, changed, beats, cut, weather, dice, trace }))
    }

    pub(crate) fn way(&self, node: &str) -> Way {
        Way { stream: self.clone(), node: node.to_owned() }
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.0.trace.note("stream", format!("{weather:?}"));
        *self.0.weather.lock().unwrap() = weather;
    }

    pub(crate) fn cut(&self, node: &str) {
        self.0.trace.note("stream", format!("{node} is cut off"));
        self.0.cut.lock().unwrap().insert(node.to_owned());
    }

    pub(crate) fn join(&self, node: &str) {
        if self.0.cut.lock().unwrap().remove(node) {
            self.0.trace.note("stream", format!("{node} is back"));
        }
    }

    /// All servers lose their newest messages, which they had acknowledged.
    pub(crate) fn lose(&self, most: u64) {
        let mut messages = self.0.messages.lock().unwrap();
        let most = usize::try_from(most).unwrap().min(messages.len());
        let left = messages.len() - most;
        messages.truncate(left);
        self.0.trace.note("stream", format!("lost {most} messages, {left} are left"));
    }

    /// Until there are more than so many messages. (A `watch` channel would do, but wakes those who wait in an order of chance.)
    async fn until_longer(&self, than: usize) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.0.messages.lock().unwrap().len() > than {
                return;
            }
            changed.await;
        }
    }

    fn weather(&self) -> Weather {
        *self.0.weather.lock().unwrap()
    }

    fn append(&self, after: u64, message: &Bytes, node: &str) -> Result<u64, AppendError> {
        let mut messages = self.0.messages.lock().unwrap();
        if messages.len() as u64 != after {
            self.0
                .trace
                .note("stream", format!("refuses {node} message {}: {} is the last", after + 1, messages.len()));
            return Err(AppendError::NotLast);
        }
        messages.push(message.clone());
        let number = messages.len();
        self.0.trace.note("stream", format!("message {number} of {} bytes by {node}", message.len()));
        self.0.changed.notify_waiters();
        Ok(number as u64)
    }
}

impl Way {
    fn is_cut(&self) -> bool {
        self.stream.0.cut.lock().unwrap().contains(&self.node)
    }

    fn travel(&self) -> Duration {
        self.stream.0.dice.ms(1, 3 + self.stream.weather().latency_ms)
    }

    /// There and back.
    async fn ask<T>(&self, answer: impl FnOnce(&[Bytes]) -> T) -> Result<T, LogError> {
        sleep(self.travel()).await;
        if self.is_cut() {
            sleep(TIMEOUT).await;
            return Err(LogError("no answer".into()));
        }
        let answer = answer(&self.stream.0.messages.lock().unwrap());
        sleep(self.travel()).await;
        if self.is_cut() || self.stream.0.dice.chance(self.stream.weather().answers_lost) {
            sleep(TIMEOUT).await;
            return Err(LogError("no answer".into()));
        }
        Ok(answer)
    }
}

impl Log for Way {
    async fn send(&self, after: u64, message: Bytes) -> Ack {
        let (told, answer) = oneshot::channel();
        let (way, weather, dice) = (self.clone(), self.stream.weather(), self.stream.0.dice.clone());
        // What is on its way does not care whether its sender still lives.
        tokio::spawn(async move {
            sleep(way.travel() + if dice.chance(weather.overtaken) { dice.ms(1, 500) } else { Duration::ZERO }).await;
            if way.is_cut() || dice.chance(weather.lost) {
                return;
            }
            let outcome = way.stream.append(after, &message, &way.node);
            if dice.chance(weather.twice) {
                sleep(way.travel()).await;
                let _ = way.stream.append(after, &message, &way.node);
            }
            sleep(way.travel()).await;
            if !way.is_cut() && !dice.chance(weather.answers_lost) {
                let _ = told.send(outcome);
            } else {
                way.stream.0.trace.note("stream", format!("the answer to {} is lost", way.node));
                // Kept open: no answer is not even the news that there will be none.
                sleep(TIMEOUT).await;
            }
        });
        Box::pin(async move {
            let unknown = || Err(AppendError::Unknown("no answer".into()));
            match tokio::time::timeout(TIMEOUT, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => unknown(),
            }
        })
    }

    async fn last(&self) -> Result<u64, LogError> {
        self.ask(|messages| messages.len() as u64).await
    }

    async fn first(&self) -> Result<u64, LogError> {
        Ok(1)
    }

    async fn get(&self, number: u64) -> Result<Option<Bytes>, LogError> {
        let index = usize::try_from(number).unwrap().checked_sub(1);
        self.ask(|messages| index.and_then(|index| messages.get(index).cloned())).await
    }

    async fn read(&self, from: u64) -> Result<Messages, LogError> {
        self.ask(|_| ()).await?;
        let begin = (self.clone(), usize::try_from(from).unwrap() - 1);
        let messages = futures::stream::unfold(begin, |(way, next)| async move {
            // It ends only with the one who listens: a subscription that hears nothing looks like one with nothing to hear.
            way.stream.until_longer(next).await;
            while way.is_cut() {
                sleep(Duration::from_millis(50)).await;
            }
            sleep(Duration::from_millis(1)).await;
            let message = way.stream.0.messages.lock().unwrap().get(next).cloned();
            let item = message.map(|message| (next as u64 + 1, message)).ok_or_else(|| LogError("it is gone".into()));
            Some((item, (way, next + 1)))
        });
        Ok(messages.boxed())
    }

    async fn beat(&self, beat: Bytes) {
        let way = self.clone();
        tokio::spawn(async move {
            sleep(way.travel()).await;
            if !way.is_cut() {
                // Nobody may be listening.
                let _ = way.stream.0.beats.send((way.node, beat));
            }
        });
    }

    async fn beats(&self) -> Result<Beats, LogError> {
        let receiver = self.stream.0.beats.subscribe();
        let beats = futures::stream::unfold((self.clone(), receiver), |(way, mut receiver)| async move {
            loop {
                match receiver.recv().await {
                    Ok((from, beat)) if from != way.node && !way.is_cut() => return Some((beat, (way, receiver))),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Ok(beats.boxed())
    }
}
