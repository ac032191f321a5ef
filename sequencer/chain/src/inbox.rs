//! Reads the group's inbox: every `InboxQueued` log, in order, without gaps, checked against what the contract stored.
//!
//! Limits: an item counts once its block has the configured number of confirmations. A reorganisation deeper than that
//! is not followed: it shows as [`ChainError::InboxMismatch`] or as a refused batch, and stops the node. On a chain with a
//! single producer (a local node, X Layer's sealed blocks) 0 confirmations are in order.

use std::time::Duration;

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
/// An endpoint that keeps leaving logs out is broken; this many tries leave it ample time to catch up with itself.
const MOST_GAPS: u32 = 20;

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
}

impl InboxReader {
    /// A reader whose first item is number `next_index`: 0 for a new log, else how many items the log has consumed.
    ///
    /// # Errors
    /// If the URL is not one.
    pub fn new(url: &str, deployment: &Deployment, config: InboxConfig, next_index: u64) -> Result<Self, ChainError> {
        let chain = Chain::new(url, deployment)?;
        // Nothing was handed out yet, so nothing has to be searched for.
        let next_block = (next_index == 0).then_some(deployment.block);
        Ok(Self { chain, config, next_index, next_block, last_block: deployment.block })
    }

    /// Hands every item to `items`, for ever; returns when nobody takes them any more. Waits while the queue is full,
    /// and for an endpoint that does not answer.
    ///
    /// # Errors
    /// If an item cannot be decoded or is not what the contract stored, or logs stay away: the log must not go on then.
    pub async fn run(mut self, items: mpsc::Sender<InboxItem>) -> Result<(), ChainError> {
        let pause = self.config.poll_interval.unwrap_or_else(|| self.chain.rpc.poll_interval());
        let mut backoff = Backoff::new();
        while let Err(error) = self.chain.check().await {
            if !error.is_temporary() {
                return Err(error);
            }
            warn!(%error, "inbox: trying again");
            backoff.pause().await;
        }
        let mut gaps = 0;
        loop {
            match self.poll().await {
                Ok(new) => {
                    gaps = 0;
                    backoff.reset();
                    for item in new {
                        if items.send(item).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Err(error) if error.is_temporary() && gaps < MOST_GAPS => {
                    warn!(%error, "inbox: trying again");
                    gaps += u32::from(matches!(error, ChainError::InboxGap { .. }));
                    backoff.pause().await;
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = items.closed() => return Ok(()),
            }
        }
    }

    /// Every item that is confirmed by now and was not handed out before. After an error, call again.
    ///
    /// # Errors
    /// As [`Self::run`], and if the endpoint does not answer.
    pub async fn poll(&mut self) -> Result<Vec<InboxItem>, ChainError> {
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
        if confirmed < from {
            return Ok(Vec::new());
        }
        // If this fails, nothing of it is handed out, and the next look begins where something last was.
        self.next_block = Some(self.last_block);
        let (items, last_block) = self.read(from, confirmed).await?;
        debug!(from, to = confirmed, items = items.len(), "inbox read");
        self.next_index += u64::try_from(items.len()).expect("a length fits 64 bits");
        self.next_block = Some(confirmed + 1);
        self.last_block = last_block;
        Ok(items)
    }

    /// The items in these blocks and the block of the last one, when they are found to be all and right.
    async fn read(&self, mut from: u64, confirmed: u64) -> Result<(Vec<InboxItem>, u64), ChainError> {
        let mut items = Vec::new();
        let mut last_block = self.last_block;
        let mut expected = self.next_index;
        while from <= confirmed {
            let to = confirmed.min(from + self.config.chunk.max(1) - 1);
            for (block, queued) in self.queued(from, to).await? {
                if queued.index < expected {
                    continue;
                }
                if queued.index > expected {
                    return Err(self.gap(expected, queued.index));
                }
                let item = decode_inbox_item(expected, queued.kind.into(), TimeMs(queued.time), &queued.payload)?;
                items.push(item);
                last_block = block;
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
        let unsettled: Vec<&InboxItem> = items.iter().filter(|item| item.index >= range.head).collect();
        for some in unsettled.chunks(HASHES_AT_ONCE) {
            try_join_all(some.iter().map(|item| self.check_stored(item, at))).await?;
        }
        Ok((items, last_block))
    }

    /// Every item queued in a range of blocks, with its block.
    async fn queued(&self, from: u64, to: u64) -> Result<Vec<(u64, InboxQueued)>, ChainError> {
        let logs = self.chain.logs(InboxQueued::SIGNATURE, InboxQueued::SIGNATURE_HASH, from, to).await?;
        let read = |log: Log| {
            let block = log.block_number.ok_or("it is in no block")?;
            let queued = InboxQueued::decode_log(&log.inner).map_err(|error| error.to_string())?;
            Ok((block, queued.data))
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
            let before = self.queued(from, to).await?.into_iter().rfind(|(_, queued)| queued.index < self.next_index);
            match before {
                Some((block, _)) => return Ok(block),
                None if from == first => return Ok(first),
                None => to = from - 1,
            }
        }
    }

    async fn check_stored(&self, item: &InboxItem, at: At) -> Result<(), ChainError> {
        let (expected, got) = (self.chain.inbox_hash(item.index, at).await?, inbox_item_hash(item));
        if expected == got { Ok(()) } else { Err(ChainError::InboxMismatch { index: item.index, expected, got }) }
    }

    fn gap(&self, expected: u64, got: u64) -> ChainError {
        ChainError::InboxGap { url: self.chain.rpc.url().into(), expected, got }
    }
}
