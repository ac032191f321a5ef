//! Batches that the chain has settled, as its logs tell them.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
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

/// Walks the `BatchSettled` logs forward, so that finding batches in order reads each block once.
#[derive(Debug)]
pub(crate) struct SettledLogs {
    chain: Chain,
    next_block: u64,
    found: BTreeMap<u64, SettledBatch>,
}

impl SettledLogs {
    pub(crate) fn new(chain: Chain) -> Self {
        let next_block = chain.deployment().block;
        Self { chain, next_block, found: BTreeMap::new() }
    }

    /// A batch that `lastBatch` says is settled; ask in ascending order.
    pub(crate) async fn find(&mut self, id: u64) -> Result<SettledBatch, ChainError> {
        loop {
            if let Some(batch) = self.found.remove(&id) {
                self.found = self.found.split_off(&id);
                return Ok(batch);
            }
            let head = self.chain.block_number().await?;
            if self.next_block > head {
                // The endpoint knows that it is settled, but not the log: it lags behind itself.
                self.next_block = self.chain.deployment().block;
                return Err(ChainError::Unreachable {
                    url: self.chain.rpc.url().into(),
                    asked: format!("the BatchSettled log of batch {id}"),
                    reason: "the log is not there yet".into(),
                });
            }
            let to = head.min(self.next_block + LOG_CHUNK - 1);
            let filter = Filter::new()
                .address(self.chain.deployment().group)
                .event_signature(BatchSettled::SIGNATURE_HASH)
                .from_block(self.next_block)
                .to_block(to);
            let logs = self
                .chain
                .rpc
                .ask("eth_getLogs BatchSettled", |provider| {
                    let filter = filter.clone();
                    async move { provider.get_logs(&filter).await }
                })
                .await?;
            self.found.extend(logs.iter().filter_map(read).map(|batch| (batch.id, batch)));
            self.next_block = to + 1;
        }
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
