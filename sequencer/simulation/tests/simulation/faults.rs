//! What goes wrong, and when. Each seed has its own choice among the kinds: some break only together, and some only alone.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::blocks::QUIET_FEE;
use crate::client::Crowd;
use crate::dice::Dice;
use crate::endpoint::Ailment;
use crate::node::Node;
use crate::stream::Weather;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A process is killed; its disk keeps everything.
    Kill,
    /// The power fails; the disk keeps what was synced.
    Power,
    /// A process stands still, and then goes on as if nothing had been.
    Pause,
    /// A bit of a node's journal turns while it is down, in the middle or in the last block.
    Flip,
    /// A sync fails.
    Sync,
    /// A process dies, or its power fails, while it saves its state.
    Save,
    SlowDisk,
    FullDisk,
    Clock,
    Reorganisation,
    /// The pool forgets transactions.
    Pool,
    Fees,
    /// An endpoint does not answer.
    Down,
    /// Requests and answers get lost.
    Unwell,
    /// An endpoint hears of no blocks for a while.
    Late,
    /// Clients' requests and answers get lost.
    Clients,
    /// A node cannot reach the stream.
    Cut,
    /// The ways to the stream are bad.
    Weather,
    /// The stream loses what it had acknowledged. It comes back from the leader's journal, so not while that can be lost, too.
    Loss,
}

/// What may go wrong at the time of [`Kind::Loss`].
const BESIDE_LOSS: [Kind; 9] = [
    Kind::SlowDisk,
    Kind::Clock,
    Kind::Reorganisation,
    Kind::Pool,
    Kind::Fees,
    Kind::Unwell,
    Kind::Late,
    Kind::Clients,
    Kind::Loss,
];

const KINDS: [Kind; 18] = [
    Kind::Kill,
    Kind::Power,
    Kind::Pause,
    Kind::Flip,
    Kind::Sync,
    Kind::Save,
    Kind::SlowDisk,
    Kind::FullDisk,
    Kind::Clock,
    Kind::Reorganisation,
    Kind::Pool,
    Kind::Fees,
    Kind::Down,
    Kind::Unwell,
    Kind::Late,
    Kind::Clients,
    Kind::Cut,
    Kind::Weather,
];

pub(crate) struct Faults {
    world: Rc<World>,
    nodes: Vec<Rc<Node>>,
    crowd: Rc<Crowd>,
    dice: Dice,
    kinds: Vec<Kind>,
    /// Between two of them, at most.
    pace_ms: u64,
    /// Each waits until the one before is over and settlement is level again.
    pub(crate) one_at_a_time: bool,
}

impl Faults {
    pub(crate) fn new(world: &Rc<World>, nodes: &[Rc<Node>], crowd: &Rc<Crowd>) -> Self {
        let dice = world.dice("faults");
        let share = dice.pick(&[200, 500, 800, 1000]);
        let loses = world.stream.is_some() && dice.chance(120);
        let choice = if loses { &BESIDE_LOSS[..] } else { &KINDS[..] };
        let kinds: Vec<Kind> = choice.iter().copied().filter(|_| dice.chance(share)).collect();
        let pace_ms = dice.pick(&[1_000, 3_000, 8_000]);
        let one_at_a_time = dice.chance(300);
        let how = if one_at_a_time { "one at a time" } else { "whatever else there is" };
        world.trace.note("faults", format!("{kinds:?}, every {pace_ms} ms or sooner, {how}"));
        let (world, crowd) = (Rc::clone(world), Rc::clone(crowd));
        Self { world, nodes: nodes.to_vec(), crowd, dice, kinds, pace_ms, one_at_a_time }
    }

    pub(crate) fn pause(&self) -> Duration {
        self.dice.ms(50, self.pace_ms)
    }

    /// One more thing goes wrong: which, and how long it lasts. What dies is started again by its machine, which is no longer the
    /// fault but the recovery from it.
    pub(crate) fn strike(&mut self) -> Option<(Kind, Duration)> {
        if self.kinds.is_empty() {
            return None;
        }
        let node = Rc::clone(&self.nodes[self.dice.index(self.nodes.len())]);
        // Leaders more often than others: they have more to lose.
        let leader = self.nodes.iter().find(|node| node.leads()).filter(|_| self.dice.chance(500)).cloned();
        let node = leader.unwrap_or(node);
        let (dice, trace) = (self.dice.clone(), &self.world.trace);
        let endpoint = self.world.endpoints[dice.index(self.world.endpoints.len())].clone();
        let long = dice.ms(200, 8_000);
        let kind = dice.pick(&self.kinds);
        let mut lasts = Duration::ZERO;
        match kind {
            Kind::Kill => node.crash(false),
            Kind::Power => node.crash(true),
            Kind::Pause => {
                node.pause();
                lasts = long;
                later(long, move || node.resume());
            }
            Kind::Flip => {
                node.crash(false);
                node.flip_a_bit();
            }
            Kind::Sync => {
                trace.note(node.name, "its next sync will fail");
                node.sync_fails.set(true);
            }
            Kind::Save => node.crash_in_save.set(Some((u32::try_from(dice.between(1, 6)).unwrap(), dice.chance(500)))),
            Kind::SlowDisk => {
                node.disk_ms.set(dice.pick(&[20, 200, 1_500]));
                trace.note(node.name, format!("its disk takes up to {} ms", node.disk_ms.get()));
                lasts = long;
                later(long, move || node.disk_ms.set(2));
            }
            Kind::FullDisk => {
                trace.note(node.name, "its disk is full");
                node.disk_full.set(true);
                lasts = long;
                later(long, move || node.disk_full.set(false));
            }
            Kind::Clock => {
                let by = dice.pick(&[-60_000, -3_000, -200, 200, 3_000, 12_000]);
                trace.note(node.name, format!("its clock jumps by {by} ms"));
                node.clock.set(by);
                if self.one_at_a_time {
                    // What was sealed with a time to come can settle when that has come.
                    lasts = long + Duration::from_millis(by.max(0).unsigned_abs());
                    later(long, move || node.clock.set(0));
                }
            }
            Kind::Reorganisation => {
                let depth = dice.between(1, self.world.setup.deepest);
                let now = self.world.unix_ms() / 1000;
                self.world.blocks.lock().unwrap().reorganise(depth, now);
            }
            Kind::Pool => self.world.blocks.lock().unwrap().drop_pending(dice.pick(&[300, 1000])),
            Kind::Fees => {
                let times = dice.pick(&[2, 20, 100]);
                trace.note("chain", format!("gas costs {times} times as much"));
                let blocks = self.world.blocks.clone();
                blocks.lock().unwrap().base_fee = QUIET_FEE * times;
                lasts = long;
                later(long, move || blocks.lock().unwrap().base_fee = QUIET_FEE);
            }
            Kind::Down => {
                endpoint.ail(Ailment { down: true, ..Ailment::default() });
                lasts = long;
                later(long, move || endpoint.heal());
            }
            Kind::Unwell => {
                endpoint.ail(Ailment {
                    requests_lost: dice.pick(&[0, 100]),
                    answers_lost: dice.pick(&[0, 100, 300]),
                    refused: dice.pick(&[0, 100]),
                    latency_ms: dice.pick(&[10, 300, 2_000]),
                    ..Ailment::default()
                });
                lasts = long;
                later(long, move || endpoint.heal());
            }
            Kind::Late => {
                lasts = dice.ms(500, dice.pick(&[3_000, 20_000]));
                endpoint.lag(lasts);
            }
            Kind::Clients => {
                let crowd = Rc::clone(&self.crowd);
                crowd.lost.set(dice.pick(&[50, 300]));
                lasts = long;
                later(long, move || crowd.lost.set(0));
            }
            Kind::Cut => {
                if let Some(stream) = self.world.stream.clone() {
                    stream.cut(node.name);
                    lasts = long;
                    later(long, move || stream.join(node.name));
                }
            }
            Kind::Weather => {
                if let Some(stream) = self.world.stream.clone() {
                    stream.set_weather(Weather {
                        lost: dice.pick(&[0, 100]),
                        answers_lost: dice.pick(&[0, 100]),
                        twice: dice.pick(&[0, 200]),
                        overtaken: dice.pick(&[0, 100]),
                        latency_ms: dice.pick(&[5, 50, 400]),
                    });
                    lasts = long;
                    later(long, move || stream.set_weather(Weather::default()));
                }
            }
            Kind::Loss => {
                if let Some(stream) = self.world.stream.as_ref().filter(|_| self.nodes.iter().any(|node| node.leads()))
                {
                    stream.lose(dice.between(1, 5));
                }
            }
        }
        Some((kind, lasts))
    }

    /// From here on nothing goes wrong any more; what is broken heals.
    pub(crate) fn end(&self) {
        self.world.trace.note("faults", "nothing goes wrong any more");
        for node in &self.nodes {
            node.resume();
            node.hold_down(false);
            node.disk_ms.set(2);
            node.disk_full.set(false);
            node.sync_fails.set(false);
            node.crash_in_save.set(None);
            node.clock.set(0);
            if let Some(stream) = &self.world.stream {
                stream.join(node.name);
            }
        }
        if let Some(stream) = &self.world.stream {
            stream.set_weather(Weather::default());
        }
        self.world.endpoints.iter().for_each(crate::endpoint::Endpoint::heal);
        self.world.blocks.lock().unwrap().base_fee = QUIET_FEE;
        self.crowd.lost.set(0);
    }
}

fn later(by: Duration, what: impl FnOnce() + 'static) {
    tokio::task::spawn_local(async move {
        sleep(by).await;
        what();
    });
}
