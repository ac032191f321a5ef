//! What is known of settled batches, and how far settlement is behind.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use xos_api::{BatchInfo, CommandSettlement, FrameInfo, SettlementInfo, SettlementStage};
use xos_chain::{Settled, SettlementStatus};
use xos_types::Frame;

use crate::feeds::Feeds;
use crate::ingress::Backlog;
use crate::vitals::Vitals;

/// Batches that are kept for `xos_batches`.
const KEPT: usize = 10_000;

/// Settled batches, one JSON line each, so that their gas is known after a restart. Not part of what must not be lost: a
/// line that is missing is asked of the chain again, because its frame is handed to the submitter again.
#[derive(Debug)]
pub(crate) struct Batches {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// Without gaps, oldest first.
    batches: VecDeque<BatchInfo>,
    file: File,
}

impl Batches {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut batches = VecDeque::new();
        if path.exists() {
            for line in BufReader::new(File::open(path)?).lines() {
                // The last line may be torn; what follows a gap is of no use.
                let Ok(batch) = serde_json::from_str::<BatchInfo>(&line?) else { break };
                forget_from(&mut batches, batch.id);
                if batches.back().is_some_and(|last| batch.id != last.id + 1) {
                    break;
                }
                push(&mut batches, batch);
            }
        }
        // Written anew, so that a torn line is gone and the file does not grow without end.
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
        for batch in &batches {
            write_line(&mut file, batch)?;
        }
        std::fs::rename(&fresh, path)?;
        Ok(Self { path: path.to_owned(), kept: Mutex::new(Kept { batches, file }) })
    }

    /// The first batch that is not known here.
    pub(crate) fn next(&self) -> u64 {
        self.lock().batches.back().map_or(1, |last| last.id + 1)
    }

    pub(crate) fn list(&self, from: u64, limit: usize) -> Vec<BatchInfo> {
        self.lock().batches.iter().filter(|batch| batch.id >= from).take(limit).cloned().collect()
    }

    fn get(&self, id: u64) -> Option<BatchInfo> {
        let kept = self.lock();
        let place = id.checked_sub(kept.batches.front()?.id)?;
        kept.batches.get(usize::try_from(place).ok()?).cloned()
    }

    fn add(&self, batch: BatchInfo) {
        let mut kept = self.lock();
        if kept.batches.iter().rev().any(|known| *known == batch) {
            return;
        }
        // A reorganisation put it elsewhere, and those behind it come again too.
        forget_from(&mut kept.batches, batch.id);
        if let Err(error) = write_line(&mut kept.file, &batch) {
            tracing::warn!(path = %self.path.display(), %error, "cannot note a settled batch; it is looked up again after a restart");
        }
        push(&mut kept.batches, batch);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the batches from number `id` on.
fn forget_from(batches: &mut VecDeque<BatchInfo>, id: u64) {
    while batches.back().is_some_and(|last| last.id >= id) {
        batches.pop_back();
    }
}

fn push(batches: &mut VecDeque<BatchInfo>, batch: BatchInfo) {
    if batches.len() == KEPT {
        batches.pop_front();
    }
    batches.push_back(batch);
}

fn write_line(file: &mut File, batch: &BatchInfo) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(batch)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// How settlement stands, for everybody who asks.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) batches: Batches,
    status: watch::Receiver<SettlementStatus>,
    backlog: Arc<Backlog>,
    inbox_seen: AtomicU64,
    inbox_halted: Mutex<Option<String>>,
}

impl Settlement {
    pub(crate) fn new(batches: Batches, status: watch::Receiver<SettlementStatus>, backlog: Arc<Backlog>) -> Self {
        Self { batches, status, backlog, inbox_seen: AtomicU64::new(0), inbox_halted: Mutex::default() }
    }

    pub(crate) fn info(&self, inbox_consumed: u64) -> SettlementInfo {
        let status = self.status.borrow().clone();
        SettlementInfo {
            sealed: self.backlog.sealed(),
            settled: self.backlog.settled(),
            finalized: status.finalized,
            reorganised: status.reorganised,
            inbox_consumed,
            inbox_seen: self.inbox_seen.load(Ordering::Relaxed).max(inbox_consumed),
            reverted: status.reverted,
            waiting: status.waiting,
            halted: self.halted(),
        }
    }

    /// How far a command is, whose frame is this one once it is sealed.
    pub(crate) fn of(&self, sequence: u64, frame: Option<FrameInfo>) -> CommandSettlement {
        let stage = match frame {
            None => SettlementStage::Open,
            Some(frame) if frame.id <= self.status.borrow().finalized => SettlementStage::Final,
            Some(frame) if frame.id <= self.backlog.settled() => SettlementStage::Settled,
            Some(_) => SettlementStage::Sealed,
        };
        let settled = frame.filter(|_| stage >= SettlementStage::Settled);
        CommandSettlement { sequence, stage, frame, batch: settled.and_then(|frame| self.batches.get(frame.id)) }
    }

    /// Why nothing more is settled, or read from the inbox, if so.
    pub(crate) fn halted(&self) -> Option<String> {
        let halted = self.status.borrow().halted.clone();
        halted.or_else(|| self.inbox_halted.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Wei per gas that the last batch offered at most.
    pub(crate) fn fee_offered(&self) -> u128 {
        self.status.borrow().fee_offered
    }

    pub(crate) fn set_inbox_seen(&self, items: u64) {
        self.inbox_seen.store(items, Ordering::Relaxed);
    }

    pub(crate) fn halt_inbox(&self, reason: String) {
        *self.inbox_halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Takes note of what the submitter settles, until it ends.
    pub(crate) async fn note(&self, mut settled: mpsc::UnboundedReceiver<Settled>, vitals: &Vitals, feeds: &Feeds) {
        while let Some(batch) = settled.recv().await {
            if batch.id > self.backlog.settled() {
                // Else it is looked up again after a restart, or settled again after a reorganisation.
                vitals.settled(batch.id, batch.orders_filled, batch.gas_used);
            }
            // Whoever hears of it may ask for it at once.
            self.batches.add(batch_info(&batch));
            self.backlog.set_settled(batch.id);
            self.backlog.set_finalized(self.status.borrow().finalized);
            self.backlog.gas.settled(batch.id, batch.gas_used);
            vitals.metrics.gas_correction.set(self.backlog.gas.factor());
            feeds.settled(batch_info(&batch));
        }
    }
}

/// Passes sealed frames on, those that were held first, from a queue that never holds up the sequencer to one that waits for the submitter. What
/// bounds the first is the [`Backlog`]: while it is full no frame gets anything to settle.
pub(crate) async fn pass_on(
    mut held: VecDeque<Frame>,
    mut sealed: mpsc::UnboundedReceiver<Frame>,
    submitter: mpsc::Sender<Frame>,
) {
    loop {
        let frame = match held.pop_front() {
            Some(frame) => frame,
            None => match sealed.recv().await {
                Some(frame) => frame,
                None => return,
            },
        };
        if submitter.send(frame).await.is_err() {
            // The submitter has stopped and said why. The frames are in the log.
            return;
        }
    }
}

fn batch_info(settled: &Settled) -> BatchInfo {
    BatchInfo {
        id: settled.id,
        hash: settled.hash,
        transaction: settled.transaction,
        block: settled.block,
        time: settled.time,
        orders_filled: settled.orders_filled,
        gas_used: settled.gas_used,
        calldata_gas: settled.calldata_gas,
    }
}
