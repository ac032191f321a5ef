//! Settles sealed frames: one batch after the other, each probed before it is sent.
//!
//! Everything here can be interrupted anywhere and started over. What counts is what `lastBatch` says: a step begins by
//! asking it, and a batch that is settled already (by a transaction of an earlier life, or by anybody who relayed it)
//! is only looked up. A failure to reach the endpoint starts the step over in the same way as a restart would. The
//! relayer's key belongs to one submitter alone: its next nonce is the one that settles.
//!
//! Limits: one batch is in flight at a time, as the next one cannot be probed before it is mined; so at most one batch a
//! block. A batch whose block is reorganised away is sent again only if its frame is handed in again (by a restart).

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{BlockId, TransactionReceipt, TransactionRequest};
use alloy::sol_types::{SolError, SolInterface};
use alloy::transports::RpcError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use xos_auth::{Domain, Key};
use xos_types::{Frame, TimeMs};

use crate::abi::IRiskGroup::{IRiskGroupErrors, Probed};
use crate::batch::SettleCall;
use crate::chain::{At, Chain};
use crate::deployment::Deployment;
use crate::error::{ChainError, describe_revert};
use crate::rpc::Backoff;
use crate::settled::SettledLogs;
use crate::transaction::{self, Fees, Request, TRANSACTION_GAS_CAP, Taken};

/// Execution may cost more than the probe saw: the state moves on in between, but only by inbox items queued.
const GAS_MARGIN_PERCENT: u64 = 20;
/// The contract makes sure that a token transfer has this much left, whether it uses it or not.
const TRANSFER_RESERVE: u64 = 250_000;
/// Behind one URL there may be several nodes, some a little late: a refusal counts when it is repeated.
/// With the pauses between them, so many take six seconds.
const REFUSALS_TO_HALT: u32 = 7;
const REVERTS_TO_HALT: u32 = 3;

/// How to submit.
#[derive(Clone, Copy, Debug)]
pub struct SubmitterConfig {
    /// Gas that no transaction may exceed.
    pub gas_limit: u64,
    /// Wei per gas that is never exceeded, however long a batch waits.
    pub fee_cap: u128,
    /// How long to wait for a transaction before it is sent again with higher fees.
    pub resend_after: Duration,
}

impl Default for SubmitterConfig {
    fn default() -> Self {
        Self { gas_limit: TRANSACTION_GAS_CAP, fee_cap: 500_000_000_000, resend_after: Duration::from_secs(8) }
    }
}

/// Where settlement stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettlementStatus {
    /// Last frame handed in.
    pub sealed: u64,
    /// Last batch known to be settled.
    pub settled: u64,
    /// Transactions that were mined and reverted.
    pub reverted: u64,
    /// Wei per gas that the last transaction offered at most; 0 before the first.
    pub fee_offered: u128,
    /// What it waits for at the moment, if anything is amiss (the endpoint, gas money). It goes on by itself.
    pub waiting: Option<String>,
    /// Why settlement stopped for good, if it did.
    pub halted: Option<String>,
}

/// A batch that is on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its number.
    pub id: u64,
    /// Its hash, as stored by the contract.
    pub hash: B256,
    /// The transaction.
    pub transaction: B256,
    /// The block.
    pub block: u64,
    /// Gas used, all in.
    pub gas_used: u64,
    /// Gas of the calldata alone (16 a byte, 4 a zero byte).
    pub calldata_gas: u64,
    /// Netted order lines in it.
    pub orders_filled: u64,
    /// The frame's time.
    pub time: TimeMs,
}

/// The task that settles frames.
#[derive(Debug)]
pub struct Submitter {
    chain: Chain,
    domain: Domain,
    sequencer: Key,
    relayer: Key,
    config: SubmitterConfig,
    logs: SettledLogs,
    status: watch::Sender<SettlementStatus>,
    attempt: Attempt,
}

/// What was tried for the batch at hand in this life.
#[derive(Debug, Default)]
struct Attempt {
    transactions: Vec<B256>,
    fees: Option<Fees>,
    refusals: u32,
    reverts: u32,
}

impl Submitter {
    /// A submitter that signs batches as `sequencer` and sends and pays for them as `relayer` (which may be the same
    /// key, but must not be used by anybody else meanwhile).
    ///
    /// # Errors
    /// If the URL is not one, or the key is not the deployment's sequencer.
    pub fn new(
        url: &str,
        deployment: &Deployment,
        sequencer: Key,
        relayer: Key,
        config: SubmitterConfig,
    ) -> Result<Self, ChainError> {
        let (expected, got) = (deployment.sequencer, sequencer.address());
        if expected != got {
            return Err(ChainError::WrongSequencer { expected, got });
        }
        let chain = Chain::new(url, deployment)?;
        Ok(Self {
            logs: SettledLogs::new(chain.clone()),
            chain,
            domain: deployment.domain(),
            sequencer,
            relayer,
            config,
            status: watch::Sender::default(),
            attempt: Attempt::default(),
        })
    }

    /// To follow how it goes; valid before and while it runs, and after.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<SettlementStatus> {
        self.status.subscribe()
    }

    /// Settles every frame handed in, in order, and reports each to `settled` exactly once; returns when `frames` is
    /// closed and all are done. Frames that are on chain already are not sent: their hash is compared, and they are
    /// reported as well. So after a restart hand in the frames from the last one reported on, and better that one too.
    ///
    /// Dropping the future is safe at any point.
    ///
    /// # Errors
    /// When settlement must stop: a batch is refused, or the chain holds another one in its place. The status says so
    /// too. Failures to reach the endpoint are waited out.
    pub async fn run(
        mut self,
        mut frames: mpsc::Receiver<Frame>,
        settled: mpsc::UnboundedSender<Settled>,
    ) -> Result<(), ChainError> {
        let result = self.serve(&mut frames, &settled).await;
        if let Err(error) = &result {
            error!(%error, "settlement halted");
            self.status.send_modify(|status| status.halted = Some(error.to_string()));
        }
        result
    }

    async fn serve(
        &mut self,
        frames: &mut mpsc::Receiver<Frame>,
        settled: &mpsc::UnboundedSender<Settled>,
    ) -> Result<(), ChainError> {
        self.check().await?;
        let mut last: Option<(u64, B256)> = None;
        while let Some(frame) = frames.recv().await {
            self.status.send_modify(|status| status.sealed = frame.id);
            let parent = match last {
                Some((id, hash)) if frame.id == id + 1 => hash,
                Some((id, _)) => return Err(ChainError::FrameGap { expected: id + 1, got: frame.id }),
                None => self.parent_of(frame.id).await?,
            };
            let call = SettleCall::build(&frame, parent, &self.domain, &self.sequencer);
            let report = self.settle(&call, parent).await?;
            info!(
                batch = report.id,
                sequence = frame.sequence,
                transaction = %report.transaction,
                block = report.block,
                orders = report.orders_filled,
                gas = report.gas_used,
                "batch settled"
            );
            last = Some((call.id, call.hash));
            self.status.send_modify(|status| status.settled = report.id);
            // Settlement does not depend on anybody watching it.
            let _ = settled.send(report);
        }
        Ok(())
    }

    async fn check(&mut self) -> Result<(), ChainError> {
        let mut backoff = Backoff::new();
        loop {
            let checked = async {
                self.chain.check().await?;
                self.chain.sequencer().await
            };
            match checked.await {
                Ok(expected) if expected != self.sequencer.address() => {
                    return Err(ChainError::WrongSequencer { expected, got: self.sequencer.address() });
                }
                Ok(_) => {
                    self.go_on();
                    return Ok(());
                }
                Err(error @ (ChainError::WrongChain { .. } | ChainError::NoContract { .. })) => return Err(error),
                Err(error) => self.wait(&error, &mut backoff).await,
            }
        }
    }

    /// Hash of the batch before the first frame handed in.
    async fn parent_of(&mut self, id: u64) -> Result<B256, ChainError> {
        if id <= 1 {
            return Ok(B256::ZERO);
        }
        let mut backoff = Backoff::new();
        loop {
            match self.look_up_parent(id).await {
                Err(error) if !is_final(&error) => self.wait(&error, &mut backoff).await,
                found => {
                    self.go_on();
                    return found;
                }
            }
        }
    }

    async fn look_up_parent(&mut self, id: u64) -> Result<B256, ChainError> {
        let last = self.chain.last_batch(At::Latest).await?;
        if last.id + 1 < id {
            return Err(self.behind(last.id + 1, id));
        }
        if last.id + 1 == id { Ok(last.hash) } else { Ok(self.logs.find(id - 1).await?.hash) }
    }

    /// Until the batch is settled, whoever settles it.
    async fn settle(&mut self, call: &SettleCall, parent: B256) -> Result<Settled, ChainError> {
        self.attempt = Attempt::default();
        let mut backoff = Backoff::new();
        loop {
            match self.step(call, parent).await {
                Ok(report) => {
                    self.go_on();
                    return Ok(report);
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => self.wait(&error, &mut backoff).await,
            }
        }
    }

    async fn step(&mut self, call: &SettleCall, parent: B256) -> Result<Settled, ChainError> {
        let last = self.chain.last_batch(At::Latest).await?;
        if last.id >= call.id {
            return self.look_up(call).await;
        }
        if last.id + 1 != call.id {
            return Err(self.behind(last.id + 1, call.id));
        }
        if last.hash != parent {
            return Err(ChainError::ForeignBatch { id: last.id, on_chain: last.hash, ours: parent });
        }
        let probed = self.probe(call).await?;
        let gas_limit = self.gas_limit(call, probed)?;
        self.send(call, gas_limit).await?;
        self.watch(call).await
    }

    /// Gas that `settle` would use.
    async fn probe(&mut self, call: &SettleCall) -> Result<u64, ChainError> {
        let rpc = &self.chain.rpc;
        let request = TransactionRequest::default()
            .from(self.relayer.address())
            .to(self.chain.deployment().group)
            .input(call.probe_calldata().into());
        let answer = rpc
            .ask("probe", |provider| {
                let request = request.clone();
                async move {
                    // `probe` answers by reverting, so here the error is the answer.
                    match provider.call(request).block(BlockId::latest()).await {
                        Err(RpcError::ErrorResp(payload)) => match payload.as_revert_data() {
                            Some(data) => Ok(data),
                            None => Err(RpcError::ErrorResp(payload)),
                        },
                        other => other,
                    }
                }
            })
            .await?;
        let Ok(probed) = Probed::abi_decode(&answer) else {
            return Err(ChainError::Refused { asked: "probe".into(), reason: describe_revert(&answer) });
        };
        if !probed.failure.is_empty() {
            return Err(self.refused(call, &probed.failure));
        }
        self.attempt.refusals = 0;
        // More than any block holds is as bad as the most that can be counted with.
        Ok(u64::try_from(probed.gasUsed).unwrap_or(u64::MAX).min(u64::from(u32::MAX)))
    }

    /// Batches before this one are missing on chain, or the node that answered is late.
    fn behind(&mut self, expected: u64, got: u64) -> ChainError {
        self.attempt.refusals += 1;
        if self.attempt.refusals >= REFUSALS_TO_HALT {
            return ChainError::FrameGap { expected, got };
        }
        ChainError::Unreachable {
            url: self.chain.rpc.url().into(),
            asked: format!("the batch before {got}"),
            reason: format!("batch {expected} comes next there; it may be behind"),
        }
    }

    fn refused(&mut self, call: &SettleCall, failure: &[u8]) -> ChainError {
        let reason = describe_revert(failure);
        // A chain whose clock is behind ours catches up.
        let early = matches!(
            IRiskGroupErrors::abi_decode(failure),
            Ok(IRiskGroupErrors::FrameTimeOutOfRange(range)) if range.time > range.latest
        );
        self.attempt.refusals += u32::from(!early);
        if self.attempt.refusals >= REFUSALS_TO_HALT {
            ChainError::BatchRefused { id: call.id, reason }
        } else {
            ChainError::Refused { asked: format!("probe of batch {}", call.id), reason }
        }
    }

    fn gas_limit(&self, call: &SettleCall, probed: u64) -> Result<u64, ChainError> {
        let limit = self.config.gas_limit;
        let needed = call.gas_needed(probed);
        if needed > limit {
            return Err(ChainError::BatchTooLarge { id: call.id, needed, limit });
        }
        let margin = probed / 100 * GAS_MARGIN_PERCENT + TRANSFER_RESERVE;
        Ok((needed + margin).min(limit))
    }

    async fn send(&mut self, call: &SettleCall, gas_limit: u64) -> Result<(), ChainError> {
        let relayer = self.relayer.address();
        let rpc = &self.chain.rpc;
        // The nonce after the last mined one: whatever is pending there is an earlier attempt at this very batch.
        let nonce =
            rpc.ask("eth_getTransactionCount", |provider| async move {
                provider.get_transaction_count(relayer).latest().await
            })
            .await?;
        let estimated = Fees::estimate(rpc).await?;
        let fees = match self.attempt.fees {
            Some(before) => estimated.at_least(before.bumped()),
            None => estimated,
        };
        let request = Request {
            chain_id: self.chain.deployment().chain_id,
            nonce,
            gas_limit,
            fees: fees.capped(self.config.fee_cap),
            to: self.chain.deployment().group,
            value: U256::ZERO,
            input: call.calldata.clone(),
        };
        let (raw, transaction) = request.sign(&self.relayer);
        if !self.attempt.transactions.contains(&transaction) {
            self.attempt.transactions.push(transaction);
        }
        let asked = format!("settle batch {}", call.id);
        let taken = transaction::send(rpc, &asked, &raw).await?;
        let offered = fees.capped(self.config.fee_cap);
        self.attempt.fees = Some(offered);
        self.status.send_modify(|status| status.fee_offered = offered.max);
        debug!(batch = call.id, %transaction, nonce, gas_limit, ?fees, ?taken, "settle sent");
        match taken {
            // One of this nonce was mined in this moment: the watch will see what it was.
            Taken::Pending | Taken::NonceUsed => Ok(()),
            // At the cap all that is left is to wait for the pending one.
            Taken::Underpriced if fees.max >= self.config.fee_cap => Ok(()),
            Taken::Underpriced => Err(ChainError::Rpc {
                url: rpc.url().into(),
                asked,
                reason: "an earlier attempt is pending and pays as much; raising the fees".into(),
            }),
        }
    }

    /// Until the batch is settled, a transaction reverts, or it is time to send again.
    async fn watch(&mut self, call: &SettleCall) -> Result<Settled, ChainError> {
        let deadline = Instant::now() + self.config.resend_after;
        loop {
            if self.chain.last_batch(At::Latest).await?.id >= call.id {
                return self.look_up(call).await;
            }
            for transaction in self.attempt.transactions.clone() {
                if let Some(receipt) = transaction::receipt(&self.chain.rpc, transaction).await?
                    && !receipt.status()
                {
                    return Err(self.reverted(call, &receipt));
                }
            }
            if Instant::now() >= deadline {
                let transaction = self.attempt.transactions.last().copied().unwrap_or_default();
                let asked = format!("settle batch {}", call.id);
                return Err(ChainError::NotMined { asked, transaction, waited: self.config.resend_after });
            }
            tokio::time::sleep(self.chain.rpc.poll_interval()).await;
        }
    }

    /// The probe promised success, so the next step's probe tells what changed.
    fn reverted(&mut self, call: &SettleCall, receipt: &TransactionReceipt) -> ChainError {
        self.status.send_modify(|status| status.reverted += 1);
        self.attempt.transactions.clear();
        self.attempt.fees = None;
        self.attempt.reverts += 1;
        let transaction = receipt.transaction_hash;
        error!(batch = call.id, %transaction, gas = receipt.gas_used, "settle reverted");
        if self.attempt.reverts >= REVERTS_TO_HALT {
            let reason = format!("its transaction reverts though the probe succeeds (last {transaction})");
            return ChainError::BatchRefused { id: call.id, reason };
        }
        ChainError::Reverted { asked: format!("settle batch {}", call.id), transaction }
    }

    /// What the chain says about a batch that it has settled.
    async fn look_up(&mut self, call: &SettleCall) -> Result<Settled, ChainError> {
        let found = self.logs.find(call.id).await?;
        if found.hash != call.hash {
            return Err(ChainError::ForeignBatch { id: call.id, on_chain: found.hash, ours: call.hash });
        }
        let receipt =
            transaction::receipt(&self.chain.rpc, found.transaction).await?.ok_or_else(|| ChainError::Unreachable {
                url: self.chain.rpc.url().into(),
                asked: format!("the receipt of batch {}", call.id),
                reason: "the log is there, the receipt not yet".into(),
            })?;
        Ok(Settled {
            id: call.id,
            hash: found.hash,
            transaction: found.transaction,
            block: found.block,
            gas_used: receipt.gas_used,
            calldata_gas: call.calldata_gas,
            orders_filled: call.orders_filled,
            time: call.time,
        })
    }

    fn go_on(&self) {
        self.status.send_if_modified(|status| status.waiting.take().is_some());
    }

    async fn wait(&self, error: &ChainError, backoff: &mut Backoff) {
        let text = explain_wait(error, self.relayer.address());
        warn!(reason = %text, "settlement waits");
        self.status.send_modify(|status| status.waiting = Some(text));
        backoff.pause().await;
    }
}

/// What no waiting cures.
const fn is_final(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::BatchRefused { .. }
            | ChainError::BatchTooLarge { .. }
            | ChainError::ForeignBatch { .. }
            | ChainError::FrameGap { .. }
    )
}

fn explain_wait(error: &ChainError, relayer: Address) -> String {
    match error {
        ChainError::Rpc { reason, .. } if reason.to_lowercase().contains("insufficient funds") => {
            format!("{relayer}, who sends batches, has no gas money left; send it some ({reason})")
        }
        error => error.to_string(),
    }
}
