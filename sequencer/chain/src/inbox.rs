//! Reads the group's inbox: every `InboxQueued` log, in order, without gaps, checked against what the contract stored.
//!
//! An item counts once its block has the configured number of confirmations. A reorganisation that goes deeper is noticed: the
//! blocks of the items handed out last are looked at again and again, and where one is another block now, what follows is
//! read anew. Items that are still the same are left alone; from the first that is not, all are taken back
//! ([`InboxNews::TakenBack`]) and what the chain says now is handed out.

use std::collections::VecDeque;
use std::time::Duration;

use alloy::primitives::B256;
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use futures::future::try_join_all;
use tokio::sync::mpsc;
use tracing::{debug, warn};
use xos_types::{InboxItem, TimeMs};

use crate::abi::IRiskGroup::InboxQueued;
use crate::chain::{At, Chain};
use crate::deployment::Deployment;
use crate::error::ChainError;
use crate::payload::{decode_inbox_item, inbox_item_hash};
use crate::rpc::Backoff;
use crate::settled::LOG_CHUNK;

/// Stored hashes asked for at a time.
const HASHES_AT_ONCE: usize = 16;
/// An endpoint that keeps leaving logs out, or contradicts itself, is broken; this many tries leave it ample time to catch up with
/// itself, and with a reorganisation between two questions.
const MOST_DOUBTS: u32 = 20;

/// Items of blocks that may be reorganised; more than any reorganisation is deep.
const REMEMBERED: usize = 1_024;

/// What the chain says.
#[allow(clippy::large_enum_variant, reason = "nearly all of them are items")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxNews {
    /// The next item.
    Item(InboxItem),
    /// Its block was reorganised away: items from this number on are not, or not yet, in the inbox.
    TakenBack(u64),
}

/// An item that was handed out.
#[derive(Clone, Copy, Debug)]
struct Handed {
    index: u64,
    hash: B256,
    block: u64,
    block_hash: B256,
}

/// How to read the inbox.
#[derive(Clone, Copy, Debug)]
pub struct InboxConfig {
    /// Blocks on top of the one that an item stands in before it counts.
    pub confirmations: u64,
    /// Blocks per log query.
    pub chunk: u64,
    /// How often to look for new blocks; by default often on a local endpoint, seldom elsewhere.
    pub poll_interval: Option<Duration>,
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self { confirmations: 0, chunk: LOG_CHUNK, poll_interval: None }
    }
}

/// What no waiting cures. Everything else may be a matter of the endpoint: the one that is asked after another may not even have the block
/// yet that the question is about.
const fn is_final(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::MalformedItem { .. }
            | ChainError::UnservedItem { .. }
            | ChainError::WrongChain { .. }
            | ChainError::NoContract { .. }
    )
}

/// What an endpoint says when it contradicts itself.
const fn is_doubtful(error: &ChainError) -> bool {
    matches!(error, ChainError::InboxGap { .. } | ChainError::InboxMismatch { .. })
}

/// Reads the inbox from a given item on.
#[derive(Debug)]
pub struct InboxReader {
    chain: Chain,
    config: InboxConfig,
    /// The next item to hand out.
    next_index: u64,
    /// The first block not read yet; before the first look, `None`.
    next_block: Option<u64>,
    /// The block of the last item handed out: where to go back to when logs were left out.
    last_block: u64,
    /// The last items handed out, in order.
    handed: VecDeque<Handed>,
}

impl InboxReader {
    /// A reader whose first item is number `next_index`: 0 for a new log, else how many items the log has consumed.
    ///
    /// # Errors
    /// If the URL is not one.
    pub fn new(url: &str, deployment: &Deployment, config: InboxConfig, next_index: u64) -> Result<Self, ChainError> {
        Ok(Self::on(Chain::new(url, deployment)?, config, next_index))
    }

    /// As [`Self::new`], on a chain that is connected already.
    #[must_use]
    pub fn on(chain: Chain, config: InboxConfig, next_index: u64) -> Self {
        let first_block = chain.deployment().block;
        // Nothing was handed out yet, so nothing has to be searched for.
        let next_block = (next_index == 0).then_some(first_block);
        Self { chain, config, next_index, next_block, last_block: first_block, handed: VecDeque::new() }
    }

    /// Hands every item to `news`, for ever; returns when nobody takes them any more. Waits while the queue is full,
    /// and for an endpoint that does not answer.
    ///
    /// # Errors
    /// If an item cannot be decoded or is not what the contract stored, or logs stay away: the log must not go on then.
    pub async fn run(mut self, news: mpsc::Sender<InboxNews>) -> Result<(), ChainError> {
        let pause = self.config.poll_interval.unwrap_or_else(|| self.chain.rpc.poll_interval());
        let mut backoff = Backoff::new();
        while let Err(error) = self.chain.check().await {
            if is_final(&error) {
                return Err(error);
            }
            warn!(%error, "inbox: trying again");
            backoff.pause().await;
        }
        let mut doubts = 0;
        loop {
            match self.poll().await {
                Ok(new) => {
                    doubts = 0;
                    backoff.reset();
                    for piece in new {
                        if news.send(piece).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Err(error) if is_final(&error) || doubts == MOST_DOUBTS => return Err(error),
                Err(error) => {
                    warn!(%error, "inbox: trying again");
                    doubts += u32::from(is_doubtful(&error));
                    backoff.pause().await;
                }
            }
            tokio::select! {
                // The same order every time, so that a simulated life can be lived again.
                biased;
                () = tokio::time::sleep(pause) => {}
                () = news.closed() => return Ok(()),
            }
        }
    }

    /// Every item that is confirmed by now and was not handed out before, and what is taken back. After an error, call again.
    ///
    /// # Errors
    /// As [`Self::run`], and if the endpoint does not answer.
    pub async fn poll(&mut self) -> Result<Vec<InboxNews>, ChainError> {
        let Some(confirmed) = self.chain.block_number().await?.checked_sub(self.config.confirmations) else {
            return Ok(Vec::new());
        };
        let from = match self.next_block {
            Some(block) => block,
            None => {
                self.last_block = self.walk_back(confirmed).await?;
                self.last_block
            }
        };
        if let Some(fork) = self.fork(confirmed).await? {
            return self.read_anew(fork, confirmed).await;
        }
        if confirmed < from {
            return Ok(Vec::new());
        }
        // If this fails, nothing of it is handed out, and the next look begins where something last was.
        self.next_block = Some(self.last_block);
        let (items, handed) = self.read(self.next_index, from, confirmed).await?;
        debug!(from, to = confirmed, items = items.len(), "inbox read");
        self.hand_out(handed, confirmed);
        Ok(items.into_iter().map(InboxNews::Item).collect())
    }

    /// Takes note of what is handed out.
    fn hand_out(&mut self, handed: Vec<Handed>, confirmed: u64) {
        self.next_block = Some(confirmed + 1);
        for handed in handed {
            self.next_index = handed.index + 1;
            self.last_block = handed.block;
            self.handed.push_back(handed);
        }
        while self.handed.len() > REMEMBERED {
            self.handed.pop_front();
        }
    }

    /// How many of the remembered items stand in blocks that are still there, if not all.
    async fn fork(&self, confirmed: u64) -> Result<Option<usize>, ChainError> {
        let mut kept = self.handed.len();
        while let Some(last) = kept.checked_sub(1).map(|at| self.handed[at]) {
            // Of a block that the endpoint does not have yet nothing can be said.
            if last.block > confirmed {
                return Ok(None);
            }
            if self.chain.block_hash(last.block).await? == Some(last.block_hash) {
                break;
            }
            kept = self.handed.partition_point(|item| item.block < last.block);
        }
        Ok((kept < self.handed.len()).then_some(kept))
    }

    /// Reads on from the last remembered item that still stands where it stood, and compares.
    async fn read_anew(&mut self, kept: usize, confirmed: u64) -> Result<Vec<InboxNews>, ChainError> {
        let (first, from) = match kept.checked_sub(1).map(|at| self.handed[at]) {
            Some(last) => (last.index + 1, last.block),
            None => (self.handed.front().map_or(self.next_index, |item| item.index), self.chain.deployment().block),
        };
        let (items, handed) = self.read(first, from, confirmed).await?;
        let gone = self.handed.iter().skip(kept);
        let same = gone.zip(&handed).take_while(|(before, now)| before.hash == now.hash).count();
        let changed = first + same as u64;
        let mut news = Vec::new();
        if changed < self.next_index {
            warn!(from = changed, to = self.next_index - 1, "inbox items were reorganised away");
            news.push(InboxNews::TakenBack(changed));
        }
        // Those that are the same stand in other blocks now.
        self.handed.truncate(kept);
        (self.next_index, self.last_block) = (first, from);
        self.hand_out(handed, confirmed);
        news.extend(items.into_iter().skip(same).map(InboxNews::Item));
        Ok(news)
    }

    /// The items from number `expected` on in these blocks, when they are found to be all and right.
    async fn read(
        &self,
        mut expected: u64,
        mut from: u64,
        confirmed: u64,
    ) -> Result<(Vec<InboxItem>, Vec<Handed>), ChainError> {
        let (mut items, mut handed) = (Vec::new(), Vec::new());
        while from <= confirmed {
            let to = confirmed.min(from + self.config.chunk.max(1) - 1);
            for (block, block_hash, queued) in self.queued(from, to).await? {
                if queued.index < expected {
                    continue;
                }
                if queued.index > expected {
                    return Err(self.gap(expected, queued.index));
                }
                let item = decode_inbox_item(expected, queued.kind.into(), TimeMs(queued.time), &queued.payload)?;
                handed.push(Handed { index: expected, hash: inbox_item_hash(&item), block, block_hash });
                items.push(item);
                expected += 1;
            }
            from = to + 1;
        }
        let at = At::Block(confirmed);
        let range = self.chain.inbox(at).await?;
        if range.tail > expected {
            return Err(self.gap(range.tail, expected));
        }
        // What a batch has consumed is no longer stored; the chain itself checked it then.
        let unsettled: Vec<&Handed> = handed.iter().filter(|item| item.index >= range.head).collect();
        for some in unsettled.chunks(HASHES_AT_ONCE) {
            try_join_all(some.iter().map(|item| self.check_stored(item, at))).await?;
        }
        Ok((items, handed))
    }

    /// Every item queued in a range of blocks, with its block.
    async fn queued(&self, from: u64, to: u64) -> Result<Vec<(u64, B256, InboxQueued)>, ChainError> {
        let logs = self.chain.logs(InboxQueued::SIGNATURE, InboxQueued::SIGNATURE_HASH, from, to).await?;
        let read = |log: Log| {
            let (block, hash) = log.block_number.zip(log.block_hash).ok_or("it is in no block")?;
            let queued = InboxQueued::decode_log(&log.inner).map_err(|error| error.to_string())?;
            Ok((block, hash, queued.data))
        };
        let malformed = |reason: String| ChainError::MalformedItem { index: self.next_index, reason };
        logs.into_iter().map(|log| read(log).map_err(malformed)).collect()
    }

    /// The block to read on from: that of the last item handed out by an earlier life, found from the newest block back.
    async fn walk_back(&self, confirmed: u64) -> Result<u64, ChainError> {
        let first = self.chain.deployment().block;
        let mut to = confirmed;
        loop {
            let from = first.max(to.saturating_sub(self.config.chunk.max(1) - 1));
            let before = self.queued(from, to).await?.into_iter().rfind(|(.., queued)| queued.index < self.next_index);
            match before {
                Some((block, ..)) => return Ok(block),
                None if from == first => return Ok(first),
                None => to = from - 1,
            }
        }
    }

    async fn check_stored(&self, item: &Handed, at: At) -> Result<(), ChainError> {
        let (expected, got) = (self.chain.inbox_hash(item.index, at).await?, item.hash);
        if expected == got { Ok(()) } else { Err(ChainError::InboxMismatch { index: item.index, expected, got }) }
    }

    fn gap(&self, expected: u64, got: u64) -> ChainError {
        ChainError::InboxGap { url: self.chain.rpc.url(), expected, got }
    }
}
