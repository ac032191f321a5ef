//! What Prometheus reads: every metric with its name and its help. `docs/operations.md` says of each when to worry, and a
//! test holds the two together.
//!
//! Counters and gauges are single atomics. A histogram takes a lock that is hardly ever contended; the sequencer's thread
//! touches one a few times in an ingress window, and never for each command.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use xos_types::{Act, Command, GroupConfig};

use crate::ingress::Refused;

/// Format of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A number that goes up and down.
pub(crate) type Number = Gauge<f64, AtomicU64>;

/// From 10 µs to 5 s, each bucket twice as wide as the one before.
fn timing() -> Histogram {
    Histogram::new(exponential_buckets(10e-6, 2.0, 20))
}

/// What a command asked for, and whether it took effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    check: &'static str,
}

/// Every metric of a node.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    commands: Family<Answered, Counter>,
    refused: Family<Reason, Counter>,
    /// Recovering the signers of a request.
    verify: Histogram,
    /// From a request's handover to the moment that its window executes; of a window's first request.
    pub(crate) queue: Histogram,
    /// Applying a block of commands to the engine.
    pub(crate) execute: Histogram,
    /// Telling history and listeners.
    pub(crate) publish: Histogram,
    /// From a request's handover to its acknowledgement.
    pub(crate) acknowledgement: Histogram,
    /// Writing a block and syncing it.
    pub(crate) journal_commit: Histogram,
    pub(crate) executed: Gauge<u64, AtomicU64>,
    pub(crate) durable: Gauge<u64, AtomicU64>,
    pub(crate) journal_lag: Number,
    pub(crate) leads: Number,
    pub(crate) epoch: Number,
    pub(crate) heartbeat_age: Number,
    depth: Family<Queue, Number>,
    limit: Family<Queue, Number>,
    pub(crate) sealed_frame: Number,
    pub(crate) settled_batch: Number,
    pub(crate) batch_lag: Number,
    pub(crate) unsettled_value: Number,
    pub(crate) batch_lines: Counter,
    pub(crate) batch_gas: Counter,
    pub(crate) gas_correction: Number,
    pub(crate) batches_reverted: Counter,
    pub(crate) gas_price: Number,
    pub(crate) fee_offered: Number,
    pub(crate) relayer_balance: Number,
    pub(crate) chain_block: Number,
    pub(crate) chain_block_age: Number,
    pub(crate) chain_silence: Number,
    pub(crate) inbox_waiting: Number,
    pub(crate) inbox_deadline: Number,
    pub(crate) inbox_deadline_left: Number,
    pub(crate) disk_free: Number,
    ready: Family<Check, Number>,
}

/// Gives each metric its name and help as it is made.
struct Catalogue(Registry);

impl Catalogue {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    /// Prometheus wants the unit at the end of the name, and sees to it.
    fn measure<M: Metric + Clone>(&mut self, name: &str, unit: Unit, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }

    fn seconds(&mut self, name: &str, help: &str) -> Number {
        self.measure(name, Unit::Seconds, help, Number::default())
    }

    fn number(&mut self, name: &str, help: &str) -> Number {
        self.add(name, help, Number::default())
    }
}

impl Metrics {
    pub(crate) fn new(group: &GroupConfig) -> Self {
        let mut all = Catalogue(Registry::with_prefix("xos"));
        let node = vec![
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("chain_id", group.chain_id.to_string()),
            ("group", group.group.to_string()),
        ];
        all.0.register("node", "Whose node this is, and of which version", Info::new(node));
        let stages: Family<Stage, Histogram> = all.measure(
            "stage",
            Unit::Seconds,
            "Time spent in one stage of a command's way",
            Family::new_with_constructor(timing),
        );
        let stage = |stage| stages.get_or_create_owned(&Stage { stage });
        Self {
            commands: all.add("commands", "Commands answered, by kind and result", Family::default()),
            refused: all.add("refused", "Requests of which nothing was done, by reason", Family::default()),
            verify: stage("verify"),
            queue: stage("queue"),
            execute: stage("execute"),
            publish: stage("publish"),
            acknowledgement: all.measure(
                "acknowledgement",
                Unit::Seconds,
                "From a request's handover to the sequencer until it is durable and answered",
                timing(),
            ),
            journal_commit: all.measure(
                "journal_commit",
                Unit::Seconds,
                "From a window's execution until it is on disk",
                timing(),
            ),
            executed: all.add("log_executed_sequence", "Last command that the engine applied", Gauge::default()),
            durable: all.add("log_durable_sequence", "Last command that is on disk", Gauge::default()),
            journal_lag: all.number("journal_lag_commands", "Commands applied that are not durable yet"),
            leads: all.number("leads", "Whether this node takes commands (1), or follows one that does (0)"),
            epoch: all.number("epoch", "Of the leader that was heard last; 0 for a node that is alone"),
            heartbeat_age: all.seconds("heartbeat_age", "Since the sequencer's thread last came by"),
            depth: all.add("queue_depth", "What waits, by queue", Family::default()),
            limit: all.add(
                "queue_limit",
                "The most that may wait, by queue; at it requests are refused",
                Family::default(),
            ),
            sealed_frame: all.number("sealed_frame", "Number of the last sealed frame"),
            settled_batch: all.number("settled_batch", "Number of the last settled batch"),
            batch_lag: all.seconds("batch_lag", "Age of the oldest sealed frame that is not settled; 0 if all are"),
            unsettled_value: all.number(
                "unsettled_value_atoms",
                "Cash that changed hands in sealed frames that are not settled, in atoms of the settlement token",
            ),
            batch_lines: all.add("batch_lines", "Netted order lines in settled batches", Counter::default()),
            batch_gas: all.add("batch_gas", "Gas that settled batches used", Counter::default()),
            gas_correction: all.number(
                "gas_correction",
                "What estimates of a frame's gas are multiplied with; above 1 if a batch used more than was estimated",
            ),
            batches_reverted: all.add(
                "batches_reverted",
                "Batch transactions that were mined and reverted",
                Counter::default(),
            ),
            gas_price: all.number("gas_price_wei", "Base fee of the newest block, per gas"),
            fee_offered: all.number("fee_offered_wei", "What the last batch transaction offered at most, per gas"),
            relayer_balance: all.number("relayer_balance_wei", "What the relayer has left to pay for gas"),
            chain_block: all.number("chain_block", "Number of the newest block"),
            chain_block_age: all.seconds("chain_block_age", "Since the newest block's time, by this machine's clock"),
            chain_silence: all.seconds("chain_silence", "Since the chain's endpoint last answered"),
            inbox_waiting: all.number("inbox_waiting", "Inbox items that no settled batch has consumed"),
            inbox_deadline: all
                .seconds("inbox_deadline", "How long an inbox item may wait before anyone may freeze the group"),
            inbox_deadline_left: all.seconds(
                "inbox_deadline_left",
                "Until the oldest waiting inbox item is overdue; the whole deadline if none waits",
            ),
            disk_free: all.measure("disk_free", Unit::Bytes, "Free space where the journal lies", Number::default()),
            ready: all.add("ready", "1 if this part of readiness holds, 0 if not", Family::default()),
            registry: all.0,
        }
    }

    /// What `verify` answers, with the time that it took noted.
    pub(crate) fn verifying<R>(&self, verify: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let verified = verify();
        self.verify.observe(begun.elapsed().as_secs_f64());
        verified
    }

    /// A command that was answered.
    pub(crate) fn answered(&self, command: &Command, done: bool) {
        let result = if done { "done" } else { "rejected" };
        self.commands.get_or_create(&Answered { kind: kind(command), result }).inc();
    }

    /// A tree that was answered: so many of its orders were accepted, and so many not.
    pub(crate) fn answered_tree(&self, done: usize, rejected: usize) {
        for (result, count) in [("done", done), ("rejected", rejected)] {
            if count > 0 {
                self.commands.get_or_create(&Answered { kind: "place_tree", result }).inc_by(count as u64);
            }
        }
    }

    /// A request that was not handed over.
    pub(crate) fn refused(&self, refused: &Refused) {
        let reason = match refused {
            Refused::Overloaded { .. } => "overloaded",
            Refused::DiskFull { .. } => "disk_full",
            Refused::Standby { .. } => "standby",
            Refused::Stopping | Refused::Stopped => "stopping",
        };
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn set_queue(&self, queue: &'static str, depth: usize, limit: usize) {
        self.depth.get_or_create(&Queue { queue }).set(number(depth));
        self.limit.get_or_create(&Queue { queue }).set(number(limit));
    }

    pub(crate) fn set_ready(&self, check: &'static str, holds: bool) {
        self.ready.get_or_create(&Check { check }).set(f64::from(u8::from(holds)));
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written to it.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// As a metric shows it; beyond 2⁵³ the last digits are lost, which no alarm looks at.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().map_or(f64::INFINITY, |count| count as f64)
}

/// The same of more than 64 bits.
#[allow(clippy::cast_precision_loss, reason = "as above")]
pub(crate) const fn amount(amount: u128) -> f64 {
    amount as f64
}

/// Milliseconds in seconds.
pub(crate) fn seconds(milliseconds: u64) -> f64 {
    Duration::from_millis(milliseconds).as_secs_f64()
}

const fn kind(command: &Command) -> &'static str {
    match command {
        Command::Place { .. } => "place",
        Command::PlaceTree { .. } => "place_tree",
        Command::Replace { .. } => "replace",
        Command::Plan { .. } => "plan",
        Command::Replan { .. } => "replan",
        Command::Amend(_) => "amend",
        Command::Cancel(_) | Command::InSession { act: Act::Cancel { .. }, .. } => "cancel",
        Command::CancelMany(_) | Command::InSession { act: Act::CancelMany { .. }, .. } => "cancel_many",
        Command::CancelAll(_) | Command::InSession { act: Act::CancelAll { .. }, .. } => "cancel_all",
        Command::CancelAfter(_) | Command::InSession { act: Act::CancelAfter { .. }, .. } => "cancel_after",
        Command::Withdraw(_) => "withdraw",
        Command::Transfer(_) => "transfer",
        Command::Liquidate(_) => "liquidate",
        Command::Convert(_) => "convert",
        Command::Window { .. } => "window",
        Command::Frame { .. } => "frame",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{GROUP, cancel, order};

    const PAGE: &str = include_str!("../../../docs/operations.md");

    fn used() -> Metrics {
        let metrics = Metrics::new(&GROUP);
        metrics.answered(&cancel(1), true);
        metrics.refused(&Refused::Stopping);
        metrics.set_queue("commands", 1, 2);
        metrics.set_ready("chain", true);
        metrics.verify.observe(0.1);
        metrics
    }

    #[test]
    fn the_page_describes_exactly_the_metrics_that_are_served() {
        let text = used().text();
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let served: BTreeSet<String> = families
            .map(|family| match family.split_once(' ').unwrap() {
                (name, kind @ "info") => format!("{name}_{kind}"),
                (name, "counter") => format!("{name}_total"),
                (name, _) => name.to_owned(),
            })
            .collect();
        let described: BTreeSet<String> = PAGE
            .lines()
            .filter_map(|line| line.strip_prefix("| `xos_")?.split(['`', '{']).next())
            .map(|name| format!("xos_{name}"))
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_metric_has_help_and_names_carry_their_units() {
        let text = used().text();
        for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = family.split(' ').next().unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has help");
        }
        assert!(text.contains("# UNIT xos_journal_commit_seconds seconds"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn commands_are_counted_by_kind_and_result() {
        let metrics = used();
        metrics.answered(&order(1, xos_types::OrderKind::PostOnly), false);
        metrics.answered(&cancel(2), true);
        let text = metrics.text();
        assert!(text.contains("xos_commands_total{kind=\"cancel\",result=\"done\"} 2"), "{text}");
        assert!(text.contains("xos_commands_total{kind=\"place\",result=\"rejected\"} 1"), "{text}");
    }
}
