//! The whole exchange on one thread in virtual time, seed after seed; `docs/simulation.md` is its page.
//!
//! `SEED=7` lives one life and prints its trace; `SEEDS=1000 FIRST_SEED=50` lives so many.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../chain/tests/artifact/mod.rs"]
mod artifact;
mod blocks;
mod client;
mod dice;
mod disk;
mod endpoint;
mod evm;
mod faults;
mod life;
mod node;
mod process;
mod stream;
mod trace;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use life::Lived;

/// Seeds of a usual run.
const SEEDS: u64 = 50;
/// Lines of a failed life's trace that are shown.
const LINES: usize = 60;

/// Lives a seed's life on a thread of its own and a folder in memory, where there is one.
fn live(seed: u64, lines: usize) -> Lived {
    let memory = Path::new("/dev/shm");
    let dir = if memory.exists() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let here = tokio::task::LocalSet::new();
    let lived = here.block_on(&runtime, life::live(seed, dir.path(), lines));
    drop(here);
    lived
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = number("SEED") {
        let lived = live(seed, usize::MAX);
        println!("{}", lived.end);
        assert_eq!(lived.broken, None);
        return;
    }
    let (first, count) = (number("FIRST_SEED").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS));
    let next = AtomicU64::new(first);
    let totals = std::sync::Mutex::new((0, 0, 0, BTreeMap::new(), Vec::new()));
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let lived = live(seed, LINES);
                    let mut totals = totals.lock().unwrap();
                    totals.0 += lived.acknowledged;
                    totals.1 += lived.batches;
                    totals.2 += lived.blocks;
                    for (kind, blocks) in lived.level {
                        let most: &mut u64 = totals.3.entry(kind).or_default();
                        *most = blocks.max(*most);
                    }
                    if let Some(broken) = lived.broken {
                        println!("seed {seed}: {broken}\n{}\n", lived.end);
                        totals.4.push((seed, broken));
                    }
                }
            });
        }
    });
    let (acknowledged, batches, blocks, level, mut failed) = totals.into_inner().unwrap();
    failed.sort();
    println!(
        "{count} seeds in {:.1} s: {acknowledged} commands acknowledged, {batches} batches in {blocks} blocks",
        begun.elapsed().as_secs_f64()
    );
    let level: Vec<_> = level
        .into_iter()
        .map(|(kind, blocks)| format!("{} {blocks}", kind.map_or("all together".into(), |kind| format!("{kind:?}"))))
        .collect();
    println!("blocks until settlement was level again, at most: {}", level.join(", "));
    for (seed, broken) in &failed {
        println!("SEED={seed} cargo test --release -p xos-simulation -- --nocapture    # {broken}");
    }
    assert!(failed.is_empty(), "{} of {count} seeds broke a promise", failed.len());
    // A life in which nothing happens keeps every promise too.
    assert!(acknowledged > 20 * usize::try_from(count).unwrap() && batches > 5 * count, "{acknowledged} {batches}");
}

#[test]
fn a_seed_is_the_same_life_every_time() {
    for seed in 0..3 {
        let (once, again) = (live(seed, usize::MAX), live(seed, usize::MAX));
        if once.hash != again.hash {
            let differs = once.end.lines().zip(again.end.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let from = |lived: &Lived| {
                lived.end.lines().skip(differs.saturating_sub(5)).take(8).collect::<Vec<_>>().join("\n")
            };
            panic!("seed {seed} went\n{}\nand then\n{}", from(&once), from(&again));
        }
    }
}
