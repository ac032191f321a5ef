//! Batches that the chain has settled, as its logs tell them.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use xos_types::TimeMs;

use crate::abi::IRiskGroup::BatchSettled;
use crate::chain::Chain;
use crate::error::ChainError;

/// Blocks per `eth_getLogs`; public endpoints allow a few thousand.
pub(crate) const LOG_CHUNK: u64 = 2_000;

/// One settled batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledBatch {
    /// Its number.
    pub id: u64,
    /// Its hash.
    pub hash: B256,
    /// The transaction that settled it.
    pub transaction: B256,
    /// The block.
    pub block: u64,
    /// Its frame's time.
    pub time: TimeMs,
    /// The log's sequence number at its end.
    pub sequence: u64,
    /// The log's rolling hash there.
    pub log_hash: B256,
    /// The first inbox item that it left.
    pub inbox_head: u64,
}

/// Finds batches by their logs, each block read once: backwards to the first batch asked for, then forward.
#[derive(Debug)]
pub(crate) struct SettledLogs {
    chain: Chain,
    /// The first block not read yet; `None` before the first question.
    next_block: Option<u64>,
    found: BTreeMap<u64, SettledBatch>,
}

impl SettledLogs {
    pub(crate) fn new(chain: Chain) -> Self {
        Self { chain, next_block: None, found: BTreeMap::new() }
    }

    /// A batch that `lastBatch` says is settled; ask in ascending order.
    pub(crate) async fn find(&mut self, id: u64) -> Result<SettledBatch, ChainError> {
        let head = self.chain.block_number().await?;
        let mut next = match self.next_block {
            Some(next) => next,
            None => self.walk_back(id, head).await?,
        };
        loop {
            self.next_block = Some(next);
            if let Some(batch) = self.found.remove(&id) {
                self.found = self.found.split_off(&id);
                return Ok(batch);
            }
            if next > head {
                // The endpoint knows that it is settled, but not the log: it lags behind itself.
                self.next_block = None;
                return Err(ChainError::Unreachable {
                    url: self.chain.rpc.url(),
                    asked: format!("the BatchSettled log of batch {id}"),
                    reason: "the log is not there yet".into(),
                });
            }
            let to = head.min(next + LOG_CHUNK - 1);
            self.read(id, next, to).await?;
            next = to + 1;
        }
    }

    /// Reads back from the head until a batch up to `id` shows; answers the block after the head.
    async fn walk_back(&mut self, id: u64, head: u64) -> Result<u64, ChainError> {
        let first = self.chain.deployment().block;
        let mut to = head;
        loop {
            let from = first.max(to.saturating_sub(LOG_CHUNK - 1));
            let earliest = self.read(id, from, to).await?;
            if from == first || earliest.is_some_and(|earliest| earliest <= id) {
                return Ok(head + 1);
            }
            to = from - 1;
        }
    }

    /// Keeps the batches from `id` on; answers the earliest number seen.
    async fn read(&mut self, id: u64, from: u64, to: u64) -> Result<Option<u64>, ChainError> {
        let logs = self.chain.logs(BatchSettled::SIGNATURE, BatchSettled::SIGNATURE_HASH, from, to).await?;
        let batches: Vec<SettledBatch> = logs.iter().filter_map(read).collect();
        let earliest = batches.iter().map(|batch| batch.id).min();
        self.found.extend(batches.into_iter().filter(|batch| batch.id >= id).map(|batch| (batch.id, batch)));
        Ok(earliest)
    }
}

fn read(log: &Log) -> Option<SettledBatch> {
    let event = BatchSettled::decode_log(&log.inner).ok()?;
    Some(SettledBatch {
        id: event.id,
        hash: event.hash,
        transaction: log.transaction_hash?,
        block: log.block_number?,
        time: TimeMs(event.time),
        sequence: event.sequence,
        log_hash: event.logHash,
        inbox_head: event.inboxHead,
    })
}
