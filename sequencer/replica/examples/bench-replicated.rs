//! Cost of durability on several servers: `cargo run --release -p xos-replica --example bench-replicated [directory]`.
//!
//! Three real `nats-server` processes on this machine, which sync every write before they answer, keep the blocks of a journal in the given
//! directory (default: the current one). A command counts as durable when the journal's disk and a majority of the servers have
//! it. All of it shares the cores and the disk of one machine, the four copies too. Prints one line of JSON for each of:
//!
//! - `replicated.throughput`: three million signed orders are encoded, handed over in windows of 64, and durable at the end.
//! - `replicated.p50_us`, `.p99_us`: 100,000 orders a second for ten seconds, in an open loop, from when an order was due
//!   until a thread that waits for durability has seen it; the first second warms up.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use xos_journal::{Journal, Settings, Tip};
use xos_replica::{
    BLOCK_BYTES, JetStream, JetStreamConfig, LocalBlocks, NodeId, Publisher, ReplicaError, Standing, join,
};
use xos_types::{Address, GroupConfig, GroupTerms};

use paced::{at_a_pace, order};
use servers::Servers;

#[path = "../../journal/examples/paced/mod.rs"]
mod paced;
#[path = "../tests/servers/mod.rs"]
mod servers;

const COMMANDS: u64 = 3_000_000;
const WINDOW_COMMANDS: u64 = 64;
const LEASE: Duration = Duration::from_millis(500);

/// A group of its own for each measurement, and so a stream of its own.
fn group(number: u8) -> GroupConfig {
    GroupConfig {
        chain_id: 1,
        group: Address::repeat_byte(number),
        token: Address::ZERO,
        governance: Address::ZERO,
        terms: GroupTerms::usual(Address::ZERO),
    }
}

/// What carries blocks to the servers.
type Carrying = JoinHandle<Result<(), ReplicaError>>;

/// A journal whose blocks go to the servers, and what carries them.
fn replicated(
    runtime: &Runtime,
    servers: &Servers,
    group: GroupConfig,
    dir: &Path,
) -> Result<(Journal, Carrying), Box<dyn Error>> {
    let settings = Settings { block_bytes: BLOCK_BYTES, ..Settings::default() };
    let recovery = Journal::open(dir, &group, settings)?;
    let config = JetStreamConfig { servers: servers.list(), replicas: 3, credentials: None };
    let node = NodeId::random();
    let tips = recovery.tips(1)?;
    let lead = runtime.block_on(async {
        let log = loop {
            // The servers may still be choosing who leads among them.
            match JetStream::connect(&config, &group).await {
                Ok(log) => break log,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let joined = join(&log, node, &tips, LEASE).await?;
        assert_eq!(joined.standing, Standing::Follows, "an empty journal and an empty log");
        let mut standby = xos_replica::Standby::new(log.clone(), node, &joined, LEASE);
        loop {
            if let xos_replica::News::Lead(lead) = standby.next().await? {
                return Ok::<_, ReplicaError>((log, lead));
            }
        }
    })?;
    let mut journal = recovery.resume()?;
    let durability = journal.durability();
    let nothing = Arc::new(|_: Tip, _: u64| Ok(Box::new(std::iter::empty()) as LocalBlocks));
    let publisher = Publisher::new(lead.0, lead.1, Tip::genesis(&group), nothing, move |to| durability.confirm(to));
    let (offer, mut blocks) = mpsc::channel(1);
    journal.replicate(move |block| {
        let _ = offer.blocking_send(block);
    });
    let carrying = runtime.spawn(async move { publisher.run(&mut blocks).await });
    Ok((journal, carrying))
}

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let (dir, paced) = (tempfile::tempdir_in(&parent)?, tempfile::tempdir_in(&parent)?);
    let runtime = Runtime::new()?;
    let servers = Servers::start_in(Path::new(&parent), 3);

    let (journal, carrying) = replicated(&runtime, &servers, group(1), paced.path())?;
    let latency_us = at_a_pace(journal)?;
    runtime.block_on(carrying)??;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let value = latency_us.value_at_quantile(quantile);
        println!(r#"{{"bench":"replicated.{name}_us","value":{value},"unit":"us"}}"#);
    }

    let (mut journal, carrying) = replicated(&runtime, &servers, group(2), dir.path())?;
    let start = Instant::now();
    let mut window = Vec::new();
    for first in (0..COMMANDS).step_by(usize::try_from(WINDOW_COMMANDS)?) {
        window.clear();
        window.extend((first..COMMANDS.min(first + WINDOW_COMMANDS)).map(order));
        journal.append(&window)?;
    }
    journal.durability().wait_for(COMMANDS)?;
    let rate = u128::from(COMMANDS) * 1_000_000_000 / start.elapsed().as_nanos().max(1);
    println!(r#"{{"bench":"replicated.throughput","value":{rate},"unit":"commands/s"}}"#);
    journal.close()?;
    runtime.block_on(carrying)??;
    Ok(())
}
