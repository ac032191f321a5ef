//! How the node is doing. Whoever does something tells it here; whoever asks (`/metrics`, `/health`, `/ready`, `xos_ready`)
//! is answered from here, so all of them say the same.
//!
//! *Alive* means that a restart would not help: the node is on its way up or down, or its sequencer comes by. *Ready* means
//! that traders can count on it; what is missing is said with its reason.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use xos_chain::{Chain, ChainError, Pulse};
use xos_types::{Address, Frame, GroupConfig, InboxItem, TimeMs};

use crate::ingress::Sequencer;
use crate::metrics::{Metrics, amount, number, seconds};
use crate::sequencer::unix_ms;
use crate::settlement::Settlement;

/// Between two looks at the chain.
const PULSE_INTERVAL: Duration = Duration::from_secs(2);
/// A look that takes longer has failed.
const PULSE_PATIENCE: Duration = Duration::from_secs(4);
/// The chain may be silent for so long before the node counts as cut off from it.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// The sequencer's thread comes by once a frame interval at least; so much more than that means that it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(10);
/// The inbox's deadline is near when less than this part of it is left.
const DEADLINE_NEAR: u64 = 4;
/// Less free space than this, and the journal may soon have nowhere to go.
pub(crate) const DISK_FREE_MIN: u64 = 1 << 30;

/// What the node is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Life {
    /// It looks at configuration and chain.
    Starting,
    /// It replays the journal.
    Recovering,
    /// It takes orders.
    Serving,
    /// It takes no more orders, and finishes what it has.
    Stopping,
}

/// A part of readiness that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    /// Which part.
    pub(crate) check: &'static str,
    /// Why, and what to do.
    pub(crate) reason: String,
}

/// The parts of readiness, in the order in which they are looked at.
const CHECKS: [&str; 8] =
    ["serving", "sequencer", "commands", "settlement", "chain", "group", "inbox_deadline", "disk"];

/// What is known once all parts stand.
struct Parts {
    sequencer: Sequencer,
    settlement: Arc<Settlement>,
    /// Milliseconds that an inbox item may wait.
    inbox_deadline: u64,
}

/// What the chain was last heard to say.
#[derive(Default)]
struct Heard {
    pulse: Option<(Instant, Pulse)>,
    /// Why the last look failed, if it did.
    trouble: Option<String>,
}

struct Unsettled {
    id: u64,
    time: TimeMs,
    value: u128,
}

/// See the module.
pub(crate) struct Vitals {
    pub(crate) metrics: Metrics,
    started: Instant,
    data: PathBuf,
    frame_interval: Duration,
    life: Mutex<Life>,
    /// Milliseconds after `started` at which the sequencer's thread last came by.
    heartbeat: AtomicU64,
    heard: Mutex<Heard>,
    unsettled: Mutex<VecDeque<Unsettled>>,
    /// When items were queued that no settled batch is known to have consumed.
    inbox: Mutex<BTreeMap<u64, TimeMs>>,
    parts: OnceLock<Parts>,
    /// What has panicked, if something has that nothing goes on without.
    broken: OnceLock<&'static str>,
}

impl Vitals {
    pub(crate) fn new(group: &GroupConfig, data: &Path, frame_interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            metrics: Metrics::new(group),
            started: Instant::now(),
            data: data.to_owned(),
            frame_interval,
            life: Mutex::new(Life::Starting),
            heartbeat: AtomicU64::new(0),
            heard: Mutex::default(),
            unsettled: Mutex::default(),
            inbox: Mutex::default(),
            parts: OnceLock::new(),
            broken: OnceLock::new(),
        })
    }

    // What is told.

    pub(crate) fn enter(&self, life: Life) {
        *lock(&self.life) = life;
    }

    /// All parts stand.
    pub(crate) fn attach(&self, sequencer: Sequencer, settlement: Arc<Settlement>, inbox_deadline: u64) {
        // There is one start in a life.
        let _ = self.parts.set(Parts { sequencer, settlement, inbox_deadline });
    }

    /// Something panicked that nothing goes on without.
    pub(crate) fn broke(&self, what: &'static str) {
        // The first says what is wrong.
        let _ = self.broken.set(what);
    }

    /// The sequencer's thread came by.
    pub(crate) fn beat(&self, now: Instant) {
        self.heartbeat.store(milliseconds(now.saturating_duration_since(self.started)), Ordering::Relaxed);
    }

    /// The engine has applied a block since `begun`. Answers when that was.
    pub(crate) fn executed(&self, sequence: u64, begun: Instant) -> Instant {
        let now = Instant::now();
        self.metrics.execute.observe((now - begun).as_secs_f64());
        self.metrics.executed.set(sequence);
        now
    }

    /// A window of so many commands, applied at `executed`, is on disk.
    pub(crate) fn durable(&self, sequence: u64, commands: usize, executed: Instant) {
        let took = executed.elapsed();
        self.metrics.journal_commit.observe(took.as_secs_f64());
        self.metrics.durable.set(sequence);
        let first = (sequence + 1).saturating_sub(u64::try_from(commands).unwrap_or(u64::MAX));
        tracing::debug!(first, last = sequence, ?took, "window durable");
    }

    /// A frame was sealed, in which so many atoms changed hands.
    pub(crate) fn sealed(&self, frame: &Frame, value: u128) {
        tracing::debug!(batch = frame.id, sequence = frame.sequence, inbox = frame.inbox.len(), value, "frame sealed");
        lock(&self.unsettled).push_back(Unsettled { id: frame.id, time: frame.time, value });
    }

    /// A batch is on chain.
    pub(crate) fn settled(&self, id: u64, lines: u64, gas: u64) {
        self.metrics.batch_lines.inc_by(lines);
        self.metrics.batch_gas.inc_by(gas);
        let mut unsettled = lock(&self.unsettled);
        while unsettled.front().is_some_and(|frame| frame.id <= id) {
            unsettled.pop_front();
        }
    }

    /// The chain has queued these items, as far as is known.
    pub(crate) fn queued<'a>(&self, items: impl IntoIterator<Item = &'a InboxItem>) {
        let head = lock(&self.heard).pulse.map_or(0, |(_, pulse)| pulse.inbox.head);
        let waiting = items.into_iter().filter(|item| item.index >= head);
        lock(&self.inbox).extend(waiting.map(|item| (item.index, item.time)));
    }

    /// The chain took back what it had queued from this item on.
    pub(crate) fn taken_back(&self, from: u64) {
        lock(&self.inbox).split_off(&from);
    }

    /// Sealed frames that are not settled.
    pub(crate) fn unsettled(&self) -> usize {
        lock(&self.unsettled).len()
    }

    fn hear(&self, answer: Result<Pulse, String>) {
        if let Ok(pulse) = &answer {
            let mut inbox = lock(&self.inbox);
            *inbox = inbox.split_off(&pulse.inbox.head);
        }
        let mut heard = lock(&self.heard);
        match answer {
            Ok(pulse) => *heard = Heard { pulse: Some((Instant::now(), pulse)), trouble: None },
            Err(trouble) => heard.trouble = Some(trouble),
        }
    }

    /// Looks at the chain for ever.
    pub(crate) async fn watch(&self, chain: Chain, relayer: Address) {
        let chain = chain.impatient();
        loop {
            let answer = tokio::time::timeout(PULSE_PATIENCE, chain.pulse(relayer)).await;
            self.hear(match answer {
                Ok(answer) => answer.map_err(|error: ChainError| error.to_string()),
                Err(_) => Err(format!("RPC {} gave no answer within {PULSE_PATIENCE:?}", chain.url())),
            });
            tokio::time::sleep(PULSE_INTERVAL).await;
        }
    }

    // What is asked.

    pub(crate) fn life(&self) -> Life {
        *lock(&self.life)
    }

    pub(crate) fn heartbeat_age(&self) -> Duration {
        let now = milliseconds(self.started.elapsed());
        Duration::from_millis(now.saturating_sub(self.heartbeat.load(Ordering::Relaxed)))
    }

    /// Why a restart might help, if so.
    pub(crate) fn hangs(&self) -> Option<String> {
        if let Some(what) = self.broken.get() {
            return Some(format!("{what} panicked, which is a bug; the node's log says where"));
        }
        let age = self.heartbeat_age();
        let hangs = self.life() == Life::Serving && age > self.frame_interval + HANGS_AFTER;
        hangs.then(|| format!("the sequencer's thread has not come by for {} s; is the disk stuck?", age.as_secs()))
    }

    /// What keeps traders from counting on this node; nothing if it is ready.
    pub(crate) fn missing(&self) -> Vec<Missing> {
        let parts = self.parts.get();
        let found: [Option<String>; CHECKS.len()] = [
            match self.life() {
                Life::Serving => None,
                Life::Starting => Some("the node is starting: it looks at the chain".into()),
                Life::Recovering => Some("the node is replaying its journal".into()),
                Life::Stopping => Some("the node is stopping".into()),
            },
            self.hangs(),
            parts.and_then(|parts| parts.sequencer.ready().err()).map(|refused| refused.to_string()),
            parts
                .and_then(|parts| parts.settlement.halted())
                .map(|reason| format!("settlement stands still: {reason}")),
            self.cut_off(),
            self.frozen(),
            parts.and_then(|parts| self.deadline_near(parts.inbox_deadline)),
            self.disk_full(),
        ];
        let missing = |(check, reason): (&'static str, Option<String>)| Some(Missing { check, reason: reason? });
        CHECKS.into_iter().zip(found).filter_map(missing).collect()
    }

    fn cut_off(&self) -> Option<String> {
        let heard = lock(&self.heard);
        let silent = heard.pulse.map_or_else(|| self.started.elapsed(), |(at, _)| at.elapsed());
        let said = || heard.trouble.clone().unwrap_or_else(|| "nothing was heard of it yet".into());
        let cut_off = heard.pulse.is_none() || silent > SILENCE_MAX;
        cut_off.then(|| format!("the chain has not answered for {} s: {}", silent.as_secs(), said()))
    }

    fn frozen(&self) -> Option<String> {
        let since = lock(&self.heard).pulse?.1.frozen_at?;
        Some(format!(
            "the group was frozen at {} and settles nothing any more; everybody leaves through its escape hatch",
            since.0
        ))
    }

    fn deadline_near(&self, deadline: u64) -> Option<String> {
        let left = self.deadline_left(deadline);
        (left < deadline / DEADLINE_NEAR).then(|| {
            format!(
                "an inbox item has waited so long that anyone may freeze the group in {} s; see that batches settle",
                left / 1000
            )
        })
    }

    /// Milliseconds until the oldest inbox item is overdue.
    fn deadline_left(&self, deadline: u64) -> u64 {
        let oldest = lock(&self.inbox).values().next().copied();
        oldest.map_or(deadline, |queued| (queued.0 + deadline).saturating_sub(unix_ms()))
    }

    fn disk_full(&self) -> Option<String> {
        let free = disk_free(&self.data)?;
        (free < DISK_FREE_MIN).then(|| {
            let data = self.data.display();
            format!("only {} MiB are free where {data} lies, less than {}; make room", free >> 20, DISK_FREE_MIN >> 20)
        })
    }

    /// What Prometheus reads.
    pub(crate) fn metrics_text(&self) -> String {
        let metrics = &self.metrics;
        metrics.journal_lag.set(number(metrics.executed.get().saturating_sub(metrics.durable.get())));
        let serving = self.life() == Life::Serving;
        metrics.heartbeat_age.set(if serving { self.heartbeat_age().as_secs_f64() } else { 0.0 });
        if let Some(free) = disk_free(&self.data) {
            metrics.disk_free.set(number(free));
        }
        let missing = self.missing();
        for check in CHECKS {
            metrics.set_ready(check, missing.iter().all(|missing| missing.check != check));
        }
        self.measure_settlement();
        self.measure_chain();
        metrics.text()
    }

    fn measure_settlement(&self) {
        let (metrics, unsettled) = (&self.metrics, lock(&self.unsettled));
        let age = unsettled.front().map_or(0, |oldest| unix_ms().saturating_sub(oldest.time.0));
        metrics.batch_lag.set(seconds(age));
        metrics.unsettled_value.set(amount(unsettled.iter().map(|frame| frame.value).sum()));
        let Some(parts) = self.parts.get() else { return };
        let role = parts.sequencer.role();
        metrics.leads.set(number(u64::from(role.leads())));
        metrics.epoch.set(number(role.epoch()));
        for (queue, at) in
            ["commands", "cancellations", "questions", "frames"].into_iter().zip(parts.sequencer.queues())
        {
            metrics.set_queue(queue, at.depth, at.limit);
        }
        let info = parts.settlement.info(0);
        metrics.sealed_frame.set(number(info.sealed));
        metrics.settled_batch.set(number(info.settled));
        metrics.batches_reverted.inner().store(info.reverted, Ordering::Relaxed);
        metrics.fee_offered.set(amount(parts.settlement.fee_offered()));
        metrics.inbox_deadline.set(seconds(parts.inbox_deadline));
        metrics.inbox_deadline_left.set(seconds(self.deadline_left(parts.inbox_deadline)));
    }

    fn measure_chain(&self) {
        let (metrics, heard) = (&self.metrics, lock(&self.heard));
        let silence = heard.pulse.map_or_else(|| self.started.elapsed(), |(at, _)| at.elapsed());
        metrics.chain_silence.set(silence.as_secs_f64());
        let Some((_, pulse)) = heard.pulse else { return };
        metrics.chain_block.set(number(pulse.block));
        metrics.chain_block_age.set(seconds(unix_ms().saturating_sub(pulse.block_time.0)));
        metrics.gas_price.set(number(pulse.base_fee));
        metrics.relayer_balance.set(amount(pulse.relayer_balance));
        metrics.inbox_waiting.set(number(pulse.inbox.tail.saturating_sub(pulse.inbox.head)));
    }
}

/// Bytes that are free where a folder lies, or will lie.
pub(crate) fn disk_free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists()).filter(|folder| !folder.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(existing.unwrap_or_else(|| Path::new("."))).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A panic elsewhere leaves nothing here half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use xos_chain::{InboxRange, SettlementStatus};
    use xos_types::InboxPayload;

    use super::*;
    use crate::ingress::Backlog;
    use crate::settlement::Batches;
    use crate::testing::GROUP;

    const DEADLINE: u64 = 86_400_000;

    /// A node whose chain answers and whose sequencer has just come by.
    fn serving(folder: &Path) -> Arc<Vitals> {
        let vitals = Vitals::new(&GROUP, folder, Duration::from_secs(1));
        let backlog = Backlog::new(5, 3, 10);
        let (sequencer, _) = Sequencer::channel(
            7,
            8,
            Arc::clone(&backlog),
            crate::testing::idle_disk(),
            crate::replication::Role::alone(),
        );
        let batches = Batches::open(&folder.join("batches.jsonl")).unwrap();
        let (_, status) = tokio::sync::watch::channel(SettlementStatus::default());
        let settlement = Arc::new(Settlement::new(batches, status, backlog));
        vitals.attach(sequencer, settlement, DEADLINE);
        vitals.enter(Life::Serving);
        vitals.beat(Instant::now());
        vitals.hear(Ok(pulse(0, 0)));
        vitals
    }

    fn pulse(head: u64, tail: u64) -> Pulse {
        let block_time = TimeMs(unix_ms());
        let inbox = InboxRange { head, tail };
        Pulse { block: 9, block_time, base_fee: 7, relayer_balance: 10, inbox, frozen_at: None }
    }

    fn missing(vitals: &Vitals) -> Vec<&'static str> {
        vitals.missing().into_iter().map(|missing| missing.check).collect()
    }

    fn value(text: &str, metric: &str) -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{metric} ")));
        line.unwrap_or_else(|| panic!("{metric}: {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn a_node_is_ready_only_when_it_serves() {
        let folder = tempfile::tempdir().unwrap();
        let vitals = serving(folder.path());
        assert_eq!(vitals.missing(), []);
        for life in [Life::Starting, Life::Recovering, Life::Stopping] {
            vitals.enter(life);
            assert_eq!(missing(&vitals), ["serving"], "{life:?}");
            assert_eq!(vitals.hangs(), None, "a node on its way up or down is left alone");
        }
    }

    #[test]
    fn silence_of_the_chain_is_told_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let vitals = serving(folder.path());
        vitals.hear(Err("RPC http://x did not answer".into()));
        assert_eq!(missing(&vitals), [""; 0], "one look that fails is none");
        lock(&vitals.heard).pulse.as_mut().unwrap().0 -= SILENCE_MAX + Duration::from_secs(1);
        let cut_off = vitals.missing().remove(0);
        assert_eq!(cut_off.check, "chain");
        assert!(cut_off.reason.contains("for 9 s: RPC http://x did not answer"), "{}", cut_off.reason);
        vitals.hear(Ok(pulse(0, 0)));
        assert_eq!(missing(&vitals), [""; 0]);
    }

    #[test]
    fn a_frozen_group_and_a_silent_sequencer_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let vitals = serving(folder.path());
        vitals.hear(Ok(Pulse { frozen_at: Some(TimeMs(77)), ..pulse(0, 0) }));
        assert_eq!(missing(&vitals), ["group"]);
        // It came by when the node started, and not since.
        let long_ago = Vitals { started: Instant::now() - Duration::from_secs(60), ..Arc::into_inner(vitals).unwrap() };
        long_ago.beat(long_ago.started);
        assert!(missing(&long_ago).contains(&"sequencer"));
        assert!(long_ago.hangs().is_some());
    }

    #[test]
    fn the_inbox_is_near_its_deadline_until_the_chain_has_settled_the_item() {
        let folder = tempfile::tempdir().unwrap();
        let vitals = serving(folder.path());
        let item = |index, age| InboxItem {
            index,
            time: TimeMs(unix_ms() - age),
            payload: InboxPayload::CancelAll { account: xos_types::AccountId(3), floor: xos_types::Nonce(1) },
        };
        vitals.hear(Ok(pulse(4, 6)));
        vitals.queued(&[item(3, DEADLINE), item(4, DEADLINE / 2)]);
        assert_eq!(missing(&vitals), [""; 0], "half of it is left, and what is settled counts no more");
        vitals.queued(&[item(4, DEADLINE / 5 * 4), item(5, 0)]);
        assert_eq!(missing(&vitals), ["inbox_deadline"]);
        let text = vitals.metrics_text();
        assert!((17_270.0..=17_280.0).contains(&value(&text, "xos_inbox_deadline_left_seconds")), "{text}");
        assert!((value(&text, "xos_inbox_waiting") - 2.0).abs() < 0.1);
        vitals.hear(Ok(pulse(5, 6)));
        assert_eq!(missing(&vitals), [""; 0]);
    }

    #[test]
    fn what_is_unsettled_ends_with_its_batch() {
        let folder = tempfile::tempdir().unwrap();
        let vitals = serving(folder.path());
        let frame = |id, age| Frame {
            id,
            time: TimeMs(unix_ms() - age),
            sequence: id * 10,
            log_hash: [0; 32],
            inbox: Vec::new(),
            prices: Vec::new(),
            funding: Vec::new(),
            redemptions: Vec::new(),
            rescues: Vec::new(),
            trees: Vec::new(),
            markets: Vec::new(),
            withdrawals: Vec::new(),
            transfers: Vec::new(),
        };
        vitals.sealed(&frame(1, 9_000), 500);
        vitals.sealed(&frame(2, 3_000), 70);
        let text = vitals.metrics_text();
        assert!((value(&text, "xos_unsettled_value_atoms") - 570.0).abs() < 0.1, "{text}");
        assert!((9.0..10.0).contains(&value(&text, "xos_batch_lag_seconds")), "{text}");
        vitals.settled(1, 4, 100_000);
        let text = vitals.metrics_text();
        assert!((value(&text, "xos_unsettled_value_atoms") - 70.0).abs() < 0.1, "{text}");
        assert!((3.0..4.0).contains(&value(&text, "xos_batch_lag_seconds")), "{text}");
        assert!((value(&text, "xos_batch_gas_total") - 100_000.0).abs() < 0.1, "{text}");
    }
}
