//! The leader's side: puts the journal's blocks into the log, in order, one at a time.
//!
//! **Why not several at a time.** The fence is the number of the last message, and a leader knows that number only of messages
//! that are answered. Were a second block on its way behind one that is not, and an epoch record took the first one's place, then
//! the second would name the record's number and be appended behind it: a block of a leader that was replaced, which continues
//! nothing, and no reader could go on past it. While a block is on its way the journal makes the next one larger, so little
//! is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use xos_journal::{SealedBlock, Tip};

use crate::ReplicaError;
use crate::log::{AppendError, Log, LogError};
use crate::message::{EpochRecord, Message, NodeId};

/// Between two attempts to find out where the log stands.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Blocks of the local journal, in order.
pub type LocalBlocks = Box<dyn Iterator<Item = Result<SealedBlock, String>> + Send>;
/// The blocks of the local journal behind a tip that it holds, up to the one that ends with a command which it was handed; may wait
/// until the disk has that.
pub type Refill = Arc<dyn Fn(Tip, u64) -> Result<LocalBlocks, String> + Send + Sync>;

/// The right to append, until somebody else takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Who leads.
    pub node: NodeId,
    /// Since when.
    pub epoch: u64,
    /// The log's last message.
    pub position: u64,
    /// Where the chain stands in the log; the leader's journal may be further.
    pub tip: Tip,
}

/// Appends blocks as long as it leads.
pub struct Publisher<L, C> {
    log: L,
    lead: Leadership,
    /// Where the group's chain begins.
    genesis: Tip,
    /// Told the sequence number up to which the log has the commands.
    confirm: C,
    refill: Refill,
    /// Blocks that the log is not known to have, oldest first, with the bytes that are sent.
    pending: VecDeque<(Tip, Bytes)>,
}

impl<L: Log, C: FnMut(u64) + Send> Publisher<L, C> {
    /// Ready to append behind `lead`.
    pub fn new(log: L, lead: Leadership, genesis: Tip, refill: Refill, confirm: C) -> Self {
        Self { log, lead, genesis, confirm, refill, pending: VecDeque::new() }
    }

    /// Brings the log level with the local journal, which ends with command `end`, if it is behind.
    ///
    /// # Errors
    /// If another node leads, or the journal cannot be read.
    pub async fn level(&mut self, end: u64) -> Result<(), ReplicaError> {
        let refill = Arc::clone(&self.refill);
        for block in refill(self.lead.tip, end).map_err(ReplicaError::Journal)? {
            self.queue(&block.map_err(ReplicaError::Journal)?);
            self.drain().await?;
        }
        Ok(())
    }

    /// Appends what comes until nothing more can come, and all of it is confirmed.
    ///
    /// # Errors
    /// When somebody else leads, or the log holds what it should not. While the log does not answer it goes on trying: nobody is told
    /// anything meanwhile.
    pub async fn run(mut self, blocks: &mut mpsc::Receiver<SealedBlock>) -> Result<(), ReplicaError> {
        while let Some(block) = blocks.recv().await {
            self.queue(&block);
            self.drain().await?;
        }
        Ok(())
    }

    /// Until the log has everything that is pending.
    async fn drain(&mut self) -> Result<(), ReplicaError> {
        while let Some((tip, message)) = self.pending.front() {
            if is_unfenced() {
                (self.confirm)(tip.sequence);
            }
            let ack = self.log.send(self.lead.position, message.clone()).await;
            self.acknowledged(ack.await).await?;
        }
        Ok(())
    }

    fn queue(&mut self, block: &SealedBlock) {
        let message = Message::Block { epoch: self.lead.epoch, block: block.clone() };
        self.pending.push_back((block.tip(), message.encode()));
    }

    async fn acknowledged(&mut self, ack: Result<u64, AppendError>) -> Result<(), ReplicaError> {
        match ack {
            Ok(number) if number == self.lead.position + 1 => {
                self.confirmed();
                Ok(())
            }
            Ok(number) => {
                let expected = self.lead.position + 1;
                Err(ReplicaError::Diverged(format!("the log says that it appended message {number}, not {expected}")))
            }
            Err(error) => {
                tracing::warn!(%error, waiting = self.pending.len(), "the log did not take a block; looking where it stands");
                self.realign().await
            }
        }
    }

    /// The log has the oldest pending block.
    fn confirmed(&mut self) {
        if let Some((tip, _)) = self.pending.pop_front() {
            self.lead.position += 1;
            self.lead.tip = tip;
            (self.confirm)(tip.sequence);
        }
    }

    /// Nobody knows what became of the oldest pending block: finds out. If it is not there it is sent again; whichever attempt arrives
    /// last is then refused, because it names a message that is no longer the last.
    async fn realign(&mut self) -> Result<(), ReplicaError> {
        let mut pause = PAUSE;
        while let Err(error) = self.look().await? {
            tracing::warn!(%error, "the log does not answer; nobody is told anything until it does");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Compares the log's end with what is pending.
    async fn look(&mut self) -> Result<Result<(), LogError>, ReplicaError> {
        let last = match self.log.last().await {
            Ok(last) => last,
            Err(error) => return Ok(Err(error)),
        };
        while self.lead.position < last {
            let number = self.lead.position + 1;
            let bytes = match self.log.get(number).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Err(LogError(format!("message {number} is not there yet")))),
                Err(error) => return Ok(Err(error)),
            };
            if self.pending.front().is_some_and(|(_, ours)| *ours == bytes) {
                self.confirmed();
                continue;
            }
            return Err(match Message::decode(bytes) {
                Ok(message) if message.epoch() > self.lead.epoch => ReplicaError::Deposed { epoch: message.epoch() },
                Ok(_) => ReplicaError::BadMessage { number, what: "is not what this leader appended".to_owned() },
                Err(what) => ReplicaError::BadMessage { number, what },
            });
        }
        if last < self.lead.position {
            return self.find_end(last).await;
        }
        Ok(Ok(()))
    }

    /// The log has lost what it had acknowledged: goes back to its end and fills it up again from the journal.
    async fn find_end(&mut self, last: u64) -> Result<Result<(), LogError>, ReplicaError> {
        let lost = self.lead.position - last;
        tracing::error!(lost, "the log lost messages that it had acknowledged; refilling it from the journal");
        // Up to here it had them; what is pending is not among those.
        let end = self.lead.tip.sequence;
        if last == 0 {
            let record = EpochRecord { epoch: self.lead.epoch, leader: self.lead.node, tip: self.genesis };
            return match self.log.send(0, Message::Epoch(record).encode()).await.await {
                Ok(number) => self.go_back(number, self.genesis, end).map(Ok),
                Err(error) => Ok(Err(LogError(error.to_string()))),
            };
        }
        let bytes = match self.log.get(last).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Err(LogError(format!("message {last}, its last one, cannot be read")))),
            Err(error) => return Ok(Err(error)),
        };
        let message = Message::decode(bytes).map_err(|what| ReplicaError::BadMessage { number: last, what })?;
        if message.epoch() > self.lead.epoch {
            return Err(ReplicaError::Deposed { epoch: message.epoch() });
        }
        self.go_back(last, message.tip(), end).map(Ok)
    }

    /// The log ends with that message: whatever it had up to command `end` is pending again.
    fn go_back(&mut self, position: u64, tip: Tip, end: u64) -> Result<(), ReplicaError> {
        (self.lead.position, self.lead.tip) = (position, tip);
        let newer = std::mem::take(&mut self.pending);
        let refill = Arc::clone(&self.refill);
        for block in refill(tip, end).map_err(ReplicaError::Journal)? {
            self.queue(&block.map_err(ReplicaError::Journal)?);
        }
        self.pending.extend(newer);
        Ok(())
    }
}

/// The bug that is put in to see that it is found.
fn is_unfenced() -> bool {
    cfg!(feature = "canary") && std::env::var_os("XOS_CANARY").is_some_and(|bug| bug == "unfenced")
}
