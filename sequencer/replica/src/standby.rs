//! The follower's side: reads what the leader appends, checks it, and takes over when nothing is heard of a leader for a lease.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use xos_journal::{SealedBlock, Tip};

use crate::ReplicaError;
use crate::join::Joined;
use crate::log::{Beats, Log, LogError, Messages};
use crate::message::{Beat, EpochRecord, Message, NodeId};
use crate::publisher::Leadership;

/// Before the log is read anew after it failed.
const PAUSE: Duration = Duration::from_millis(100);
/// What an epoch record may take at most before the log is asked what became of it.
const ATTEMPT: Duration = Duration::from_secs(2);

/// What a standby learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The next block.
    Block(SealedBlock),
    /// A leader is there.
    Beat(Beat),
    /// Another node leads from here on.
    Epoch(EpochRecord),
    /// This node leads from here on. Nothing more comes.
    Lead(Leadership),
}

/// Reads the log, in order.
pub struct Standby<L> {
    log: L,
    node: NodeId,
    lease: Duration,
    position: u64,
    epoch: u64,
    tip: Tip,
    messages: Option<Messages>,
    beats: Option<Beats>,
    deadline: Instant,
}

impl<L: Log> Standby<L> {
    /// A standby whose journal ends where it joined the log. It tries to take over when it has heard nothing for `lease` and a little more:
    /// up to a quarter, by its name, so that two do not try at the same moment.
    pub fn new(log: L, node: NodeId, joined: &Joined, lease: Duration) -> Self {
        let lease = lease + lease * u32::from(node.0[0]) / 1024;
        let Joined { position, epoch, tip, .. } = *joined;
        Self { log, node, lease, position, epoch, tip, messages: None, beats: None, deadline: Instant::now() + lease }
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// If the log holds what it should not, or less than it did.
    pub async fn next(&mut self) -> Result<News, ReplicaError> {
        loop {
            self.listen().await;
            let (Some(messages), Some(beats)) = (&mut self.messages, &mut self.beats) else {
                // There is nobody to take over from while the log itself is not to be had.
                sleep(PAUSE).await;
                continue;
            };
            tokio::select! {
                biased;
                message = messages.next() => match message {
                    Some(Ok((number, _))) if number <= self.position => {}
                    Some(Ok((number, bytes))) => match self.take(number, bytes)? {
                        // It was a while ago, and somebody else may have taken over since.
                        News::Lead(lead) if self.log.last().await.is_ok_and(|last| last > lead.position) => {}
                        news => return Ok(news),
                    },
                    Some(Err(error)) => self.lost(Some(error)),
                    None => self.lost(None),
                },
                beat = beats.next() => match beat.map(|beat| Beat::decode(&beat)) {
                    Some(Some(beat)) if beat.epoch >= self.epoch => {
                        self.deadline = Instant::now() + self.lease;
                        return Ok(News::Beat(beat));
                    }
                    Some(_) => {}
                    None => self.beats = None,
                },
                () = sleep_until(self.deadline) => {
                    if let Some(lead) = self.try_to_lead().await? {
                        return Ok(News::Lead(lead));
                    }
                }
            }
        }
    }

    async fn listen(&mut self) {
        if self.messages.is_none() {
            match self.log.read(self.position + 1).await {
                Ok(messages) => self.messages = Some(messages),
                Err(error) => tracing::warn!(%error, "cannot read the log; trying again"),
            }
        }
        if self.beats.is_none() {
            self.beats = self.log.beats().await.ok();
        }
    }

    fn lost(&mut self, error: Option<LogError>) {
        tracing::warn!(error = error.map(|error| error.to_string()), "reading the log anew");
        self.messages = None;
    }

    fn take(&mut self, number: u64, bytes: Bytes) -> Result<News, ReplicaError> {
        let bad = |what: String| ReplicaError::BadMessage { number, what };
        if number != self.position + 1 {
            return Err(bad(format!("comes after message {}: some are missing", self.position)));
        }
        let message = Message::decode(bytes).map_err(bad)?;
        let continues = match &message {
            Message::Block { epoch, block } => *epoch == self.epoch && block.before() == self.tip,
            Message::Epoch(record) => record.epoch > self.epoch && record.tip == self.tip,
        };
        if !continues {
            return Err(bad(format!(
                "does not continue what came before (command {}, epoch {})",
                self.tip.sequence, self.epoch
            )));
        }
        self.position = number;
        self.epoch = message.epoch();
        self.tip = message.tip();
        self.deadline = Instant::now() + self.lease;
        Ok(match message {
            Message::Block { block, .. } => News::Block(block),
            // Our own, of an attempt whose answer was lost.
            Message::Epoch(record) if record.leader == self.node => News::Lead(self.leadership()),
            Message::Epoch(record) => News::Epoch(record),
        })
    }

    fn leadership(&self) -> Leadership {
        Leadership { node: self.node, epoch: self.epoch, position: self.position, tip: self.tip }
    }

    /// Appends an epoch record, if this node has read everything. Whatever becomes of it is in the log.
    async fn try_to_lead(&mut self) -> Result<Option<Leadership>, ReplicaError> {
        self.deadline = Instant::now() + self.lease / 4;
        let Ok(last) = self.log.last().await else { return Ok(None) };
        if last > self.position {
            // There is more to read, and reading has perhaps stalled.
            self.messages = None;
            return Ok(None);
        }
        if last < self.position {
            return Err(ReplicaError::Diverged(format!(
                "the log ends with message {last}, but message {} was read from it: it lost what it had; start again, so that this \
                 node brings it level or follows one that has",
                self.position
            )));
        }
        let record = EpochRecord { epoch: self.epoch + 1, leader: self.node, tip: self.tip };
        let ack = self.log.send(self.position, Message::Epoch(record).encode()).await;
        match timeout(ATTEMPT, ack).await {
            Ok(Ok(number)) if number == self.position + 1 => {
                (self.position, self.epoch) = (number, record.epoch);
                Ok(Some(self.leadership()))
            }
            outcome => {
                tracing::info!(?outcome, "did not take the lead; reading on");
                self.messages = None;
                Ok(None)
            }
        }
    }
}
