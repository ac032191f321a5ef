//! Settles sealed frames: in order, several in flight, whatever happens to transactions and blocks.
//!
//! Everything here can be interrupted anywhere and started over. Each round looks at one block: which batch is the last there,
//! and which nonce of the relayer comes next. From these two and the batches at hand follows what is to be done, so a round
//! after a restart, after a failed request or after a reorganisation is a round like any other:
//!
//! - Batches that are settled there are looked up, compared, reported, and remembered until their block is final. The relayer's
//!   nonces from there on are those of the batches at hand, one after the other. One that was not sent under its nonce, or
//!   waits for too long, is sent, with higher fees than what was sent under that nonce before.
//! - A block that is no longer there takes its batches back to the ones at hand.
//!
//! The first batch is probed at the newest block and never sent if the group refuses it. Those behind it are probed at the
//! pending block: an endpoint that shows pending transactions there tells what they cost; from one that does not they get as
//! much gas as a transaction may have, on the engine's word that the group takes them. If one reverts after all, those behind
//! it revert too, and are sent again.
//!
//! The relayer's key belongs to one submitter alone: its next nonce is the one that settles.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{BlockId, TransactionRequest};
use alloy::sol_types::{SolError, SolInterface};
use alloy::transports::RpcError;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use xos_auth::{Domain, Key};
use xos_types::{Frame, TimeMs};

use crate::abi::IRiskGroup::{IRiskGroupErrors, Probed};
use crate::batch::SettleCall;
use crate::chain::{At, BatchHead, Chain};
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
/// With the pauses between them, so many take seven seconds.
const REFUSALS_TO_HALT: u32 = 8;
const REVERTS_TO_HALT: u32 = 3;
/// Blocks after which one is taken as final where the endpoint does not say which are.
const FINAL_DEPTH: u64 = 64;
/// How long after a transaction was sent it is looked for in the pool, and how long between two looks.
const LOOK_AFTER: Duration = Duration::from_millis(1_500);
/// With nothing to settle, blocks that are not final are looked at this many times less often.
const IDLE_ROUNDS: u32 = 10;

/// How to submit.
#[derive(Clone, Copy, Debug)]
pub struct SubmitterConfig {
    /// Gas that no transaction may exceed.
    pub gas_limit: u64,
    /// Wei per gas that is never exceeded, however long a batch waits.
    pub fee_cap: u128,
    /// How long to wait for a transaction before it is sent again with higher fees.
    pub resend_after: Duration,
    /// Batches that are sent before the first of them is mined; at least 1.
    pub in_flight: usize,
}

impl Default for SubmitterConfig {
    fn default() -> Self {
        Self {
            gas_limit: TRANSACTION_GAS_CAP,
            fee_cap: 500_000_000_000,
            resend_after: Duration::from_secs(8),
            in_flight: 5,
        }
    }
}

/// Where settlement stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettlementStatus {
    /// Last frame handed in.
    pub sealed: u64,
    /// Last batch known to be settled; lower than before if its block was reorganised away.
    pub settled: u64,
    /// Last batch in a block that no reorganisation can take back any more.
    pub finalized: u64,
    /// Batches that were settled in blocks which were reorganised away.
    pub reorganised: u64,
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
    /// The last frame handed in, and its batch's hash.
    tip: Option<(u64, B256)>,
    /// Batches at hand, in order: the first is the next that the group takes.
    queue: VecDeque<Flight>,
    /// Batches settled in blocks that are not final yet, in order.
    recent: VecDeque<Landed>,
    /// The highest fees offered for each nonce of the relayer in this life.
    offers: BTreeMap<u64, Fees>,
    /// How often in a row the first batch was refused, and how often it reverted.
    refusals: u32,
    reverts: u32,
}

/// A batch on its way.
#[derive(Debug)]
struct Flight {
    call: SettleCall,
    parent: B256,
    sent: Option<Sent>,
}

/// What was sent of a batch in this life, under one nonce.
#[derive(Debug)]
struct Sent {
    nonce: u64,
    at: Instant,
    transactions: Vec<B256>,
    /// The newest of them as it was sent, and when it was sent or looked for last.
    raw: Vec<u8>,
    looked_at: Instant,
}

/// A batch that is on chain.
#[derive(Debug)]
struct Landed {
    call: SettleCall,
    parent: B256,
    block: u64,
    block_hash: B256,
}

/// What the group says to a batch.
enum Answer {
    /// It takes it, for so much gas.
    Takes(u64),
    /// It does not know the batch before: the endpoint does not show pending transactions.
    TooEarly,
    /// It refuses it.
    Refuses(Vec<u8>),
}

impl Submitter {
    /// A submitter that signs batches as `sequencer` and sends and pays for them as `relayer` (which may be the same
    /// key, but must not be used by anybody else meanwhile).
    ///
    /// # Errors
    /// If the URL is not one. Whether the group obeys the key is asked when it runs: the key may have been changed since the
    /// deployment.
    pub fn new(
        url: &str,
        deployment: &Deployment,
        sequencer: Key,
        relayer: Key,
        config: SubmitterConfig,
    ) -> Result<Self, ChainError> {
        Ok(Self::on(Chain::new(url, deployment)?, sequencer, relayer, config))
    }

    /// As [`Self::new`], on a chain that is connected already.
    #[must_use]
    pub fn on(chain: Chain, sequencer: Key, relayer: Key, config: SubmitterConfig) -> Self {
        Self {
            logs: SettledLogs::new(chain.clone()),
            domain: chain.deployment().domain(),
            chain,
            sequencer,
            relayer,
            config,
            status: watch::Sender::default(),
            tip: None,
            queue: VecDeque::new(),
            recent: VecDeque::new(),
            offers: BTreeMap::new(),
            refusals: 0,
            reverts: 0,
        }
    }

    /// To follow how it goes; valid before and while it runs, and after.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<SettlementStatus> {
        self.status.subscribe()
    }

    /// Settles every frame handed in, in order, and reports each to `settled`, again if a reorganisation put it into another
    /// block; returns when `frames` is closed and all are done. Frames that are on chain already are not sent: their hash is
    /// compared, and they are reported as well. So after a restart hand in the frames from the first on whose block may not
    /// be final.
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
        let mut backoff = Backoff::new();
        let mut open = true;
        loop {
            while open && self.has_room() {
                match frames.try_recv() {
                    Ok(frame) => self.take(&frame).await?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => open = false,
                }
            }
            if self.queue.is_empty() && !open {
                return Ok(());
            }
            match self.round(settled).await {
                Ok(()) => {
                    // Only what is refused again and again counts.
                    self.refusals = 0;
                    backoff.reset();
                    self.go_on();
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    self.wait(&error, &mut backoff).await;
                    continue;
                }
            }
            let idle = self.queue.is_empty();
            let pause = self.chain.rpc.poll_interval() * if idle { IDLE_ROUNDS } else { 1 };
            tokio::select! {
                // The same order every time, so that a simulated life can be lived again.
                biased;
                () = tokio::time::sleep(pause) => {}
                frame = frames.recv(), if open && self.has_room() => match frame {
                    Some(frame) => self.take(&frame).await?,
                    None => open = false,
                },
            }
        }
    }

    fn has_room(&self) -> bool {
        self.queue.len() < self.config.in_flight.max(1)
    }

    /// Makes a batch of a frame.
    async fn take(&mut self, frame: &Frame) -> Result<(), ChainError> {
        self.status.send_modify(|status| status.sealed = frame.id);
        let parent = match self.tip {
            Some((id, hash)) if frame.id == id + 1 => hash,
            Some((id, _)) => return Err(ChainError::FrameGap { expected: id + 1, got: frame.id }),
            None => self.parent_of(frame.id).await?,
        };
        let call =
            SettleCall::build(frame, parent, &self.domain, &self.chain.deployment().attribution, &self.sequencer);
        self.tip = Some((call.id, call.hash));
        self.queue.push_back(Flight { call, parent, sent: None });
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

    /// Looks at the newest block and does what follows from it.
    async fn round(&mut self, settled: &mpsc::UnboundedSender<Settled>) -> Result<(), ChainError> {
        let block = self.chain.block_number().await?;
        let last = self.chain.last_batch(At::Block(block)).await?;
        let nonce = self.chain.nonce(self.relayer.address(), block).await?;
        self.rewind(block).await?;
        self.land(last, settled).await?;
        self.finalize(block).await?;
        let Some(first) = self.queue.front() else { return Ok(()) };
        if last.id + 1 != first.call.id {
            return Err(self.behind(last.id + 1, first.call.id));
        }
        if last.hash != first.parent {
            return Err(ChainError::ForeignBatch { id: last.id, on_chain: last.hash, ours: first.parent });
        }
        if self.was_mined().await? {
            // In a block after the one that was looked at.
            return Ok(());
        }
        self.offers = self.offers.split_off(&nonce);
        self.send_due(nonce).await
    }

    /// Takes back what was settled in blocks that are no longer there.
    async fn rewind(&mut self, block: u64) -> Result<(), ChainError> {
        while let Some(last) = self.recent.back() {
            // A node that is late knows neither this block nor a better one.
            if block < last.block && self.refusals < REFUSALS_TO_HALT - 1 {
                return Err(self.behind(last.call.id, last.call.id + 1));
            }
            if self.chain.block_hash(last.block).await? == Some(last.block_hash) {
                break;
            }
            let Some(Landed { call, parent, block, .. }) = self.recent.pop_back() else { break };
            warn!(batch = call.id, block, "the block of a settled batch was reorganised away");
            self.refusals = 0;
            // The logs are those of the blocks that are gone.
            self.logs = SettledLogs::new(self.chain.clone());
            self.status.send_modify(|status| {
                status.reorganised += 1;
                status.settled = call.id - 1;
            });
            self.queue.push_front(Flight { call, parent, sent: None });
        }
        Ok(())
    }

    /// Reports the batches at hand that are settled.
    async fn land(&mut self, last: BatchHead, settled: &mpsc::UnboundedSender<Settled>) -> Result<(), ChainError> {
        while let Some(flight) = self.queue.front().filter(|flight| flight.call.id <= last.id) {
            let id = flight.call.id;
            let (report, block_hash) = self.look_up(id).await?;
            let Some(Flight { call, parent, .. }) = self.queue.pop_front() else { break };
            info!(
                batch = id,
                sequence = call.sequence,
                transaction = %report.transaction,
                block = report.block,
                orders = report.orders_filled,
                gas = report.gas_used,
                "batch settled"
            );
            (self.refusals, self.reverts) = (0, 0);
            self.recent.push_back(Landed { call, parent, block: report.block, block_hash });
            self.status.send_modify(|status| status.settled = id);
            // Settlement does not depend on anybody watching it.
            let _ = settled.send(report);
        }
        Ok(())
    }

    /// Forgets batches whose blocks are final.
    async fn finalize(&mut self, block: u64) -> Result<(), ChainError> {
        if self.recent.is_empty() {
            return Ok(());
        }
        let finalized = self.chain.finalized().await?.unwrap_or(block.saturating_sub(FINAL_DEPTH));
        while let Some(landed) = self.recent.pop_front_if(|landed| landed.block <= finalized) {
            self.status.send_modify(|status| status.finalized = landed.call.id);
        }
        Ok(())
    }

    /// Sends the batches that are not on their way under their nonces, and once more what waits for too long.
    async fn send_due(&mut self, next: u64) -> Result<(), ChainError> {
        let mut late = None;
        self.send_forgotten(next).await?;
        for (place, nonce) in (0..self.queue.len()).zip(next..) {
            let flight = &self.queue[place];
            if let Some(sent) = flight.sent.as_ref().filter(|sent| sent.nonce == nonce) {
                if sent.at.elapsed() < self.config.resend_after {
                    continue;
                }
                if place == 0 {
                    late = sent.transactions.last().copied();
                }
            }
            let gas_limit = match (self.probe(&flight.call, place).await?, place) {
                (Answer::Takes(gas), 0) => self.gas_limit(place, gas)?,
                (Answer::Refuses(failure), 0) => return Err(self.refused(&failure)),
                (Answer::Takes(gas), _) => match self.gas_limit(place, gas) {
                    Ok(limit) => limit,
                    // Its turn comes, and then it is judged.
                    Err(_) => break,
                },
                (Answer::TooEarly, _) => self.config.gas_limit,
                (Answer::Refuses(_), _) => break,
            };
            self.send(place, nonce, gas_limit).await?;
        }
        match (late, self.queue.front()) {
            (Some(transaction), Some(first)) => Err(ChainError::NotMined {
                asked: format!("settle batch {}", first.call.id),
                transaction,
                waited: self.config.resend_after,
            }),
            _ => Ok(()),
        }
    }

    /// Sends once more, as they were, transactions that the pool no longer knows: whoever lost one does not pay for it with the
    /// patience that a full block deserves. An endpoint that does not count what waits in its pool hears of each of them again,
    /// and says that it knows it.
    async fn send_forgotten(&mut self, next: u64) -> Result<(), ChainError> {
        let is_due = |flight: &Flight| flight.sent.as_ref().is_some_and(|sent| sent.looked_at.elapsed() >= LOOK_AFTER);
        if !self.queue.iter().any(is_due) {
            return Ok(());
        }
        let pending = self.chain.pending_nonce(self.relayer.address()).await?;
        for (place, nonce) in (0..self.queue.len()).zip(next..) {
            let id = self.queue[place].call.id;
            let Some(sent) = self.queue[place].sent.as_mut().filter(|sent| sent.nonce == nonce) else { return Ok(()) };
            if sent.looked_at.elapsed() < LOOK_AFTER {
                continue;
            }
            sent.looked_at = Instant::now();
            if nonce >= pending {
                let raw = sent.raw.clone();
                let taken = transaction::send(&self.chain.rpc, &format!("settle batch {id}"), &raw).await?;
                debug!(batch = id, nonce, ?taken, "the pool does not know it any more; settle sent again");
            }
        }
        Ok(())
    }

    /// What the group would say to a batch: the first one now, another one once those before it are mined.
    async fn probe(&self, call: &SettleCall, place: usize) -> Result<Answer, ChainError> {
        let rpc = &self.chain.rpc;
        let at = if place == 0 { BlockId::latest() } else { BlockId::pending() };
        let request = TransactionRequest::default()
            .from(self.relayer.address())
            .to(self.chain.deployment().group)
            .input(call.probe_calldata().into());
        let answer = rpc
            .ask("probe", |provider| {
                let request = request.clone();
                async move {
                    // `probe` answers by reverting, so here the error is the answer.
                    match provider.call(request).block(at).await {
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
        if probed.failure.is_empty() {
            // More than any block holds is as bad as the most that can be counted with.
            return Ok(Answer::Takes(u64::try_from(probed.gasUsed).unwrap_or(u64::MAX).min(u64::from(u32::MAX))));
        }
        let out_of_turn = matches!(
            IRiskGroupErrors::abi_decode(&probed.failure),
            Ok(IRiskGroupErrors::WrongBatchId(_) | IRiskGroupErrors::WrongParent(_))
        );
        Ok(if place > 0 && out_of_turn { Answer::TooEarly } else { Answer::Refuses(probed.failure.to_vec()) })
    }

    /// Batches before this one are missing on chain, or the node that answered is late.
    fn behind(&mut self, expected: u64, got: u64) -> ChainError {
        self.refusals += 1;
        if self.refusals >= REFUSALS_TO_HALT {
            return ChainError::FrameGap { expected, got };
        }
        ChainError::Unreachable {
            url: self.chain.rpc.url(),
            asked: format!("the batch before {got}"),
            reason: format!("batch {expected} comes next there; it may be behind"),
        }
    }

    fn refused(&mut self, failure: &[u8]) -> ChainError {
        let id = self.queue.front().map_or(0, |first| first.call.id);
        let reason = describe_revert(failure);
        // A chain whose clock is behind ours catches up.
        let early = matches!(
            IRiskGroupErrors::abi_decode(failure),
            Ok(IRiskGroupErrors::FrameTimeOutOfRange(range)) if range.time > range.latest
        );
        self.refusals += u32::from(!early);
        if self.refusals >= REFUSALS_TO_HALT {
            ChainError::BatchRefused { id, reason }
        } else {
            ChainError::Refused { asked: format!("probe of batch {id}"), reason }
        }
    }

    fn gas_limit(&self, place: usize, probed: u64) -> Result<u64, ChainError> {
        let (call, limit) = (&self.queue[place].call, self.config.gas_limit);
        let needed = call.gas_needed(probed);
        if needed > limit {
            return Err(ChainError::BatchTooLarge { id: call.id, needed, limit });
        }
        let margin = probed / 100 * GAS_MARGIN_PERCENT + TRANSFER_RESERVE;
        Ok((needed + margin).min(limit))
    }

    async fn send(&mut self, place: usize, nonce: u64, gas_limit: u64) -> Result<(), ChainError> {
        let rpc = &self.chain.rpc;
        let estimated = Fees::estimate(rpc).await?;
        let fees = match self.offers.get(&nonce) {
            Some(before) => estimated.at_least(before.bumped()),
            None => estimated,
        };
        let fees = fees.capped(self.config.fee_cap);
        let call = &self.queue[place].call;
        let request = Request {
            chain_id: self.chain.deployment().chain_id,
            nonce,
            gas_limit,
            fees,
            to: self.chain.deployment().group,
            value: U256::ZERO,
            input: call.calldata.clone(),
        };
        let (raw, transaction) = request.sign(&self.relayer);
        let asked = format!("settle batch {}", call.id);
        let taken = transaction::send(rpc, &asked, &raw).await?;
        debug!(batch = call.id, %transaction, nonce, gas_limit, ?fees, ?taken, "settle sent");
        self.offers.insert(nonce, fees);
        self.status.send_modify(|status| status.fee_offered = fees.max);
        if taken == Taken::Underpriced && fees.max < self.config.fee_cap {
            return Err(ChainError::Rpc {
                url: rpc.url(),
                asked,
                reason: "an earlier attempt is pending and pays as much; raising the fees".into(),
            });
        }
        // Pending, or one of this nonce was mined in this moment, and the next round sees what it was. At the cap all that
        // is left is to wait for the one that is pending.
        let flight = &mut self.queue[place];
        let before = flight.sent.take().filter(|sent| sent.nonce == nonce);
        let mut transactions = before.map(|sent| sent.transactions).unwrap_or_default();
        if !transactions.contains(&transaction) {
            transactions.push(transaction);
        }
        let now = Instant::now();
        flight.sent = Some(Sent { nonce, at: now, transactions, raw, looked_at: now });
        Ok(())
    }

    /// Whether a transaction of the first batch is mined.
    ///
    /// # Errors
    /// If it reverted: the probe promised success, so the next one tells what changed.
    async fn was_mined(&mut self) -> Result<bool, ChainError> {
        let Some(first) = self.queue.front() else { return Ok(false) };
        let (id, sent) = (first.call.id, first.sent.as_ref());
        for transaction in sent.map(|sent| sent.transactions.clone()).unwrap_or_default() {
            let Some(receipt) = transaction::receipt(&self.chain.rpc, transaction).await? else { continue };
            if receipt.status() {
                return Ok(true);
            }
            self.status.send_modify(|status| status.reverted += 1);
            self.reverts += 1;
            if let Some(first) = self.queue.front_mut() {
                first.sent = None;
            }
            let error = transaction::reverted(&self.chain.rpc, &format!("settle batch {id}"), &receipt).await;
            error!(gas = receipt.gas_used, %error);
            if self.reverts >= REVERTS_TO_HALT {
                let reason = format!("its transaction reverts though the probe succeeds (last {transaction})");
                return Err(ChainError::BatchRefused { id, reason });
            }
            return Err(error);
        }
        Ok(false)
    }

    /// What the chain says about the first batch, which it has settled; and its block's hash.
    async fn look_up(&mut self, id: u64) -> Result<(Settled, B256), ChainError> {
        let found = self.logs.find(id).await?;
        let not_yet = |what: &str| ChainError::Unreachable {
            url: self.chain.rpc.url(),
            asked: format!("the receipt of batch {id}"),
            reason: what.into(),
        };
        let receipt = transaction::receipt(&self.chain.rpc, found.transaction)
            .await?
            .ok_or_else(|| not_yet("the log is there, the receipt not yet"))?;
        let block_hash = receipt.block_hash.ok_or_else(|| not_yet("it is in no block"))?;
        let call = &self.queue[0].call;
        if found.hash != call.hash {
            return Err(ChainError::ForeignBatch { id, on_chain: found.hash, ours: call.hash });
        }
        let settled = Settled {
            id,
            hash: found.hash,
            transaction: found.transaction,
            block: found.block,
            gas_used: receipt.gas_used,
            calldata_gas: call.calldata_gas,
            orders_filled: call.orders_filled,
            time: call.time,
        };
        Ok((settled, block_hash))
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
