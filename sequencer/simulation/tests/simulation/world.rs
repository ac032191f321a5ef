//! What all of a life's inhabitants share.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex};

use xos_chain::Chain;
use xos_types::GroupConfig;

use crate::blocks::Blocks;
use crate::dice::Dice;
use crate::endpoint::Endpoint;
use crate::evm::Genesis;
use crate::stream::Stream;
use crate::trace::Trace;
use crate::truth::Truth;

/// Unix milliseconds when a life begins.
pub(crate) const START: u64 = 1_781_000_000_000;

/// How a life is set up; from its seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// One node alone, or several that replicate.
    pub(crate) nodes: usize,
    /// The deepest reorganisation.
    pub(crate) deepest: u64,
    /// Blocks that the nodes wait for.
    pub(crate) confirmations: u64,
    pub(crate) endpoints: usize,
    /// Whether endpoints show what waits in the pool.
    pub(crate) shows_pending: bool,
    pub(crate) segment_bytes: u64,
    /// Commands between two saved states.
    pub(crate) snapshot_every: u64,
}

impl Setup {
    /// Whether the chain may take back what the log has consumed.
    pub(crate) fn is_shallow(&self) -> bool {
        self.confirmations < self.deepest
    }

    pub(crate) fn of(dice: &Dice) -> Self {
        let deepest = dice.pick(&[1, 2, 3, 5, 8, 12, 20]);
        Self {
            nodes: dice.pick(&[1, 2, 3]),
            deepest,
            // Seldom too few: then the product must stop when what it rests on is taken back.
            confirmations: if dice.chance(60) { dice.between(0, deepest - 1) } else { deepest },
            endpoints: dice.pick(&[1, 2, 3]),
            shows_pending: dice.chance(500),
            segment_bytes: dice.pick(&[4 << 10, 16 << 10, 64 << 10]),
            snapshot_every: dice.pick(&[0, 30, 100, 400]),
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    pub(crate) trace: Trace,
    pub(crate) truth: RefCell<Truth>,
    pub(crate) blocks: Arc<Mutex<Blocks>>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// None for a node alone.
    pub(crate) stream: Option<Stream>,
    /// People trade and pay in.
    pub(crate) busy: Cell<bool>,
    /// Blocks that were mined, those that a reorganisation put in the place of others not counted.
    pub(crate) mined: Cell<u64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let setup = Setup::of(&Dice::new(seed, "setup"));
        let trace = Trace::begin();
        trace.note("seed", format!("{seed}: {setup:?}"));
        let dice = |whose: &str| Dice::new(seed, whose);
        let blocks = Blocks::new(START / 1000, setup.deepest, dice("blocks"), trace.clone());
        let blocks = Arc::new(Mutex::new(blocks));
        let endpoint = |number| {
            let name = format!("rpc {number}");
            let dice = dice(&name);
            Endpoint::new(&name, Arc::clone(&blocks), setup.shows_pending, dice, trace.clone())
        };
        let endpoints = (1..=setup.endpoints).map(endpoint).collect();
        let stream = (setup.nodes > 1).then(|| Stream::new(dice("stream"), trace.clone()));
        let truth = RefCell::new(Truth::new(group(), trace.clone()));
        Self { seed, setup, trace, truth, blocks, endpoints, stream, busy: Cell::new(true), mined: Cell::new(0) }
    }

    pub(crate) fn dice(&self, whose: &str) -> Dice {
        Dice::new(self.seed, whose)
    }

    /// Unix milliseconds.
    pub(crate) fn unix_ms(&self) -> u64 {
        START + self.trace.now()
    }

    /// A node's way to the chain.
    pub(crate) fn chain(&self) -> Chain {
        let clients = self.endpoints.iter().map(Endpoint::client).collect();
        Chain::over(clients, &Genesis::get().deployment).unwrap()
    }
}

pub(crate) fn group() -> GroupConfig {
    Genesis::get().deployment.group_config()
}
