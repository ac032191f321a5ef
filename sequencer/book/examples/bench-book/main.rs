//! The book alone on one core: `cargo run --release -p xos-book --example bench-book`.
//!
//! The usual mix ([`mix`]) on about 1,000 resting orders of 1,000 accounts in 750 price slots. Orders are found by account and
//! nonce, and whoever trades reads maker, price and size of every fill; there is no margin and no journal.
//!
//! Beside it, on the same commands and in alternating runs, the book that everybody writes first ([`btree`]). Then both
//! once more with a million resting orders at 15,000 prices, and the insertions of liquibook's own benchmark. Each result is a line of JSON.
//! Speeds are those of the fastest run, because what else a machine does can only slow one down (the median stands beside
//! it); ratios are medians over pairs of runs.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::float_arithmetic, clippy::cast_precision_loss)]

mod btree;
mod ladder;
#[path = "../mix/mod.rs"]
mod mix;
mod stream;

use std::time::Instant;

use btree::BTreeBook;
use ladder::LadderBook;
use stream::{Command, Crowd, Stream};

const COMMANDS: usize = 400_000;
const RUNS: usize = 51;

/// A book that can be measured.
trait Contender {
    fn new(accounts: usize) -> Self;
    fn apply(&mut self, command: &Command, fills: &mut Fills);
    /// Resting orders and occupied price slots.
    fn size(&self) -> (usize, usize);
}

/// What came of a run; equal for every book that keeps price-time order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fills {
    count: u64,
    lots: u64,
    /// Over makers, prices and sizes, in the order in which they filled.
    digest: u64,
}

impl Fills {
    fn add(&mut self, (account, nonce): (u32, u64), price: u64, lots: u64) {
        self.count += 1;
        self.lots += lots;
        let fill = u64::from(account) << 40 ^ nonce << 20 ^ price << 10 ^ lots;
        self.digest = (self.digest.rotate_left(5) ^ fill).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Nanoseconds that the commands take after the first `warm`, and what came of them.
fn run<B: Contender>(accounts: usize, commands: &[Command], warm: usize) -> (u128, Fills, (usize, usize)) {
    let mut book = B::new(accounts);
    let mut fills = Fills::default();
    for command in &commands[..warm] {
        book.apply(command, &mut fills);
    }
    let start = Instant::now();
    for command in &commands[warm..] {
        book.apply(command, &mut fills);
    }
    (start.elapsed().as_nanos(), fills, book.size())
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("durations and ratios are ordered"));
    values[values.len() / 2]
}

fn fastest(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

fn print(bench: &str, value: f64, unit: &str) {
    println!(r#"{{"bench":"{bench}","value":{value:.2},"unit":"{unit}"}}"#);
}

fn mixed(bench: &str, crowd: Crowd, commands: usize, runs: usize) {
    let stream = Stream::mixed(commands, crowd);
    stream.mix.check();
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (ours, fills, size) = run::<LadderBook>(stream::ACCOUNTS, &stream.commands, stream.warm);
        let (theirs, same_fills, same_size) = run::<BTreeBook>(stream::ACCOUNTS, &stream.commands, stream.warm);
        assert_eq!((fills, size), (same_fills, same_size), "both books fill the same orders");
        let (orders, slots) = size;
        assert!(orders.abs_diff(crowd.orders) <= crowd.orders / 10, "{orders} orders");
        assert!(slots.abs_diff(crowd.slots) <= crowd.slots / 10, "{slots} prices");
        rates.push(commands as f64 * 1e9 / ours as f64);
        ratios.push(theirs as f64 / ours as f64);
    }
    print(&format!("{bench}.throughput"), fastest(&rates), "commands/s");
    print(&format!("{bench}.throughput_median"), median(rates), "commands/s");
    print(&format!("{bench}.vs_btreemap"), median(ratios), "x");
}

fn main() {
    mixed("engine.book", Crowd { orders: 1_000, spread: 810, slots: 750 }, COMMANDS, RUNS);
    // Where hardly anything is in a cache.
    let million = Crowd { orders: 1_000_000, spread: 7_500, slots: 15_000 };
    mixed("engine.book.million", million, COMMANDS, RUNS / 10);

    let inserts = Stream::liquibook(COMMANDS);
    let rates = (0..RUNS).map(|_| {
        let (ours, ..) = run::<LadderBook>(stream::ACCOUNTS, &inserts.commands, inserts.warm);
        inserts.commands.len() as f64 * 1e9 / ours as f64
    });
    print("engine.book.liquibook", fastest(&rates.collect::<Vec<_>>()), "inserts/s");
}
