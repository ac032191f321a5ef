//! One subscription: lets a reader in, hands it what its topic says, and tells it why that ends.

use std::time::Duration;

use jsonrpsee::core::SubscriptionResult;
use jsonrpsee::core::server::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use xos_api::{ApiError, Code, Interval, Sequence};
use xos_types::MarketId;

use super::publisher::{Joined, NotJoined};
use super::ring::{Next, NotKept};
use super::{Feeds, NoAnswer, Topic};
use crate::ingress::Sequencer;
use crate::rpc::{unknown_account, unknown_market};
use crate::sequencer::View;

/// How often a book or a candle is begun for a reader before it is told that it cannot be.
const ATTEMPTS: usize = 5;
/// How long the history may take to come to where a candle begins, and between two looks.
const HISTORY_WAIT: Duration = Duration::from_secs(4);
const HISTORY_LOOK: Duration = Duration::from_millis(25);

/// What subscriptions need.
pub(crate) struct Subscriptions {
    feeds: Feeds,
    sequencer: Sequencer,
    past: xos_history::History,
    /// One book or candle is begun at a time, so that a thousand readers who come together begin it once.
    beginning: Mutex<()>,
}

impl Subscriptions {
    pub(crate) fn new(feeds: Feeds, sequencer: Sequencer, past: xos_history::History) -> Self {
        Self { feeds, sequencer, past, beginning: Mutex::default() }
    }

    /// Serves a subscription to its end.
    pub(crate) async fn serve(
        &self,
        pending: PendingSubscriptionSink,
        topic: Topic,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        let mut joined = match self.open(topic, from.map(|from| from.0)).await {
            Ok(joined) => joined,
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            }
        };
        let sink = pending.accept().await?;
        loop {
            if let Some(whole) = joined.whole.take() {
                send(&sink, &whole).await?;
            }
            let next = tokio::select! {
                next = joined.reader.next() => next,
                () = sink.closed() => return Ok(()),
            };
            match next {
                Next::Message(text) => send(&sink, &text).await?,
                Next::Behind(missed) if matches!(topic.slow(), super::topic::Slow::Ends) => {
                    let why = format!(
                        "too slow: {missed} messages were missed; ask for the state, and subscribe again without `from`"
                    );
                    return Err(why.into());
                }
                // It gets the whole anew, which it needs no history for.
                Next::Behind(_) => joined = self.open(topic, None).await.map_err(|error| error.message)?,
                Next::Ended(why) => return Err(why.into()),
            }
        }
    }

    async fn open(&self, topic: Topic, from: Option<u64>) -> Result<Joined, ApiError> {
        if let Topic::Account(account) = topic {
            let known = self.sequencer.query(move |view| view.engine.account(account).is_some()).await?;
            if !known {
                return Err(unknown_account(account));
            }
        }
        match self.feeds.join(topic, from).await? {
            Err(NotJoined::Asleep | NotJoined::NeedsBook(_) | NotJoined::NeedsCandle(..)) => {}
            answer => return answer.map_err(ApiError::from),
        }
        let _alone = self.beginning.lock().await;
        for _ in 0..ATTEMPTS {
            match self.feeds.join(topic, from).await? {
                Err(NotJoined::Asleep) => self.wake().await?,
                Err(NotJoined::NeedsBook(market)) => self.follow_book(market).await?,
                Err(NotJoined::NeedsCandle(market, interval)) => self.follow_candle(market, interval).await?,
                answer => return answer.map_err(ApiError::from),
            }
        }
        Err(NoAnswer::Busy.into())
    }

    async fn wake(&self) -> Result<(), ApiError> {
        let place = |view: View<'_>| (view.engine.sequence(), view.engine.frame_time());
        let wake = |feeds: &mut Feeds, (sequence, time)| feeds.wake(sequence, time);
        Ok(self.sequencer.query_and_then(place, wake).await?)
    }

    async fn follow_book(&self, market: MarketId) -> Result<(), ApiError> {
        let copy = move |view: View<'_>| view.engine.depth(market).map(|depth| (view.engine.sequence(), depth));
        // Handed over before anything later is let out.
        let follow = move |feeds: &mut Feeds, copy| {
            if let Some((sequence, depth)) = copy {
                feeds.follow(market, sequence, depth);
            }
        };
        Ok(self.sequencer.query_and_then(copy, follow).await?)
    }

    async fn follow_candle(&self, market: MarketId, interval: Interval) -> Result<(), ApiError> {
        let (sequence, time) = self.feeds.watch_candle(market, interval).await?;
        let unavailable = |why: String| {
            let message = format!("the history does not say what the candle was before ({why}); try again");
            ApiError::new(Code::Unavailable, message, json!({ "why": why }))
        };
        let begun = tokio::time::Instant::now();
        loop {
            let past = self.past.clone();
            let look = move || {
                let written = past.cursor()? >= sequence;
                Ok::<_, xos_history::HistoryError>(if written {
                    Some(past.candle(market, interval, time)?)
                } else {
                    None
                })
            };
            match tokio::task::spawn_blocking(look).await {
                Ok(Ok(Some(so_far))) => return Ok(self.feeds.begin_candle(market, interval, so_far)?),
                Ok(Ok(None)) if begun.elapsed() < HISTORY_WAIT => tokio::time::sleep(HISTORY_LOOK).await,
                Ok(Ok(None)) => return Err(unavailable("it is too far behind".to_owned())),
                Ok(Err(error)) => return Err(unavailable(error.to_string())),
                Err(_) => return Err(unavailable("the question ended unexpectedly".to_owned())),
            }
        }
    }
}

/// The text goes as it is; only the subscription's number is put before it.
async fn send(sink: &SubscriptionSink, text: &RawValue) -> SubscriptionResult {
    sink.send(SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), &text)?).await?;
    Ok(())
}

impl From<NoAnswer> for ApiError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Busy => {
                let message = "the feeds have too much to do; try again in a moment";
                Self::new(Code::Overloaded, message, json!({ "what": "feeds", "retryMs": 1000 }))
            }
            NoAnswer::Stopped => Self::new(Code::Unavailable, "the feeds have stopped", json!({})),
        }
    }
}

impl From<NotJoined> for ApiError {
    fn from(not_joined: NotJoined) -> Self {
        match not_joined {
            NotJoined::UnknownMarket(market) => unknown_market(market),
            NotJoined::NotKept(NotKept { from, oldest }) => {
                let message = format!(
                    "what came after {from} is not kept: the earliest place to resume from is {oldest}; ask for the state, and \
                     subscribe without `from`"
                );
                Self::new(Code::NotKept, message, json!({ "from": from.to_string(), "oldest": oldest.to_string() }))
            }
            NotJoined::Asleep | NotJoined::NeedsBook(_) | NotJoined::NeedsCandle(..) => NoAnswer::Busy.into(),
        }
    }
}
