//! A node, as the product's is, on one thread: the real engine, journal, recovery, replication, submitter and inbox reader, joined
//! under the rule that nothing leaves before its command is durable.

mod durable;
mod leading;
mod several;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;
use xos_chain::At;
use xos_engine::Engine;
use xos_journal::{Journal, JournalError, Settings, Stepwise, Tip};
use xos_node::parts::Anchor;
use xos_node::{NodeError, parts};
use xos_replica::{Joined, NodeId, ReplicaError, Standing, join};
use xos_types::{Command, Frame, Hash, InboxItem, Logged};

use crate::dice::Dice;
use crate::disk;
use crate::disk::Flip;
use crate::process::Process;
use crate::stream::Way;
use crate::truth::kind;
use crate::world::{World, group};

const FRAME_INTERVAL: Duration = Duration::from_secs(1);
const INGRESS_WINDOW: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(2);
/// Frames by which settlement may be behind before commands are refused.
const UNSETTLED_MAX: u64 = 200;
/// As in the product: frames that wait when settlement counts as behind, and intervals that a frame is put off at most.
const FRAMES_BEHIND: u64 = 3;
const PUT_OFF_MAX: u32 = 4;
/// Inbox items of one frame.
const FRAME_ITEMS: usize = 8;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is number so and so of the log.
    Done(u64),
    Rejected(String),
}

/// Why nothing was done, or nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The node is not there, or does not lead.
    NotHere,
    /// It takes nothing at the moment.
    Refused,
    /// It ended before it answered.
    Gone,
}

struct Request {
    commands: Vec<Command>,
    reply: oneshot::Sender<Vec<Answer>>,
}

/// What waits for the disk, and for the stream.
enum Held {
    Answers { told: Vec<(u64, Logged)>, head: (u64, Hash), reply: oneshot::Sender<Vec<Answer>>, answers: Vec<Answer> },
    Frame(Box<Frame>),
}

/// A machine with a disk, and the process on it when one runs.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) world: Rc<World>,
    dir: PathBuf,
    dice: Dice,
    /// The process that serves, or follows.
    life: RefCell<Option<Rc<Life>>>,
    /// Ends one that is just starting.
    killed: Notify,
    /// There is no process.
    down: Notify,
    /// Not to be started.
    held_down: Cell<bool>,
    /// How far its clock is off, in milliseconds.
    pub(crate) clock: Cell<i64>,
    /// How long a write or a sync takes at most.
    pub(crate) disk_ms: Cell<u64>,
    pub(crate) disk_full: Cell<bool>,
    /// Its next sync fails.
    pub(crate) sync_fails: Cell<bool>,
    /// It crashes after so many steps of saving a state, and whether by its power.
    pub(crate) crash_in_save: Cell<Option<(u32, bool)>>,
    /// Where a bit of its journal was turned.
    flip: RefCell<Option<Flip>>,
    /// What a frame rests on was taken back by the chain: the product refuses to go on, and so it should.
    pub(crate) ended: Cell<bool>,
}

/// What a process has in memory.
struct Life {
    process: Rc<Process>,
    /// The disk has refused something: from then on nobody may be told anything.
    refused: Cell<bool>,
    /// Steps that were taken of saving a state; 0 while none is saved.
    saving: Cell<u32>,
    journal: RefCell<Option<Stepwise>>,
    state: RefCell<State>,
    /// Something was handed to the journal.
    appended: Notify,
    /// More is durable.
    advanced: Arc<Notify>,
    arrived: Notify,
}

struct State {
    engine: Engine,
    /// All frames from the one that was handed in first.
    frames: Vec<Frame>,
    requests: Vec<Request>,
    waiting: VecDeque<InboxItem>,
    held: VecDeque<(u64, Held)>,
    /// To the submitter; None for who does not lead.
    sealed: Option<mpsc::UnboundedSender<Frame>>,
    settled: u64,
    put_off: u32,
}

impl Node {
    pub(crate) fn new(name: &'static str, world: &Rc<World>, dir: PathBuf) -> Rc<Self> {
        Rc::new(Self {
            name,
            world: Rc::clone(world),
            dir,
            dice: world.dice(name),
            life: RefCell::default(),
            killed: Notify::new(),
            down: Notify::new(),
            held_down: Cell::new(false),
            clock: Cell::new(0),
            disk_ms: Cell::new(2),
            disk_full: Cell::new(false),
            sync_fails: Cell::new(false),
            crash_in_save: Cell::new(None),
            flip: RefCell::default(),
            ended: Cell::new(false),
        })
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.world.trace.note(self.name, what);
    }

    fn broken(&self, what: impl std::fmt::Display) {
        self.world.trace.broken(self.name, what);
    }

    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.dir.join("journal")
    }

    fn snapshots_dir(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    fn way(&self) -> Option<Way> {
        self.world.stream.as_ref().map(|stream| stream.way(self.name))
    }

    pub(crate) fn runs(&self) -> bool {
        self.life.borrow().is_some()
    }

    pub(crate) fn leads(&self) -> bool {
        self.life.borrow().as_ref().is_some_and(|life| life.state.borrow().sealed.is_some())
    }

    /// Frames sealed, and whether the open one has something in it.
    pub(crate) fn sealed(&self) -> Option<(u64, u64)> {
        let life = self.life.borrow();
        let state = life.as_ref()?.state.borrow();
        Some((state.engine.frames_sealed(), state.engine.sequence()))
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Engine) -> T) -> Option<T> {
        self.life.borrow().as_ref().map(|life| look(&life.state.borrow().engine))
    }

    // ---------------------------------------------------------------- coming and going

    /// Starts the node whenever it is down.
    pub(crate) async fn supervise(self: Rc<Self>) {
        loop {
            while self.held_down.get() || self.ended.get() {
                self.down.notified().await;
            }
            tokio::select! {
                biased;
                () = self.killed.notified() => self.note("is killed while it starts"),
                started = self.start() => match started {
                    Ok(()) => {
                        while self.runs() {
                            self.down.notified().await;
                        }
                    }
                    Err(Ended::Damaged) => self.mend().await,
                    Err(Ended::TakenBack(index)) => {
                        self.end_for_good(format!("the chain took back inbox item {index}"));
                    }
                    Err(Ended::Unreachable(why)) => self.note(format!("cannot start: {why}")),
                },
            }
            sleep(self.dice.ms(100, 3_000)).await;
        }
    }

    /// The process is gone. After a power failure, so is what was not synced.
    pub(crate) fn crash(&self, power_fails: bool) {
        let Some(life) = self.life.take() else {
            self.killed.notify_one();
            return;
        };
        life.process.kill();
        let journal = life.journal.take().expect("a process has a journal");
        let unsynced = journal.unsynced();
        drop(journal);
        let lost = match unsynced {
            Some(unsynced) if power_fails => disk::lose(&unsynced, &self.dice),
            _ => "nothing is lost".to_owned(),
        };
        self.note(format!("{}: {lost}", if power_fails { "its power fails" } else { "is killed" }));
        if power_fails && self.dice.chance(300) {
            disk::spoil_spare(&self.journal_dir(), &self.dice);
        }
        if life.saving.get() > 0 {
            let what = disk::unsettle_state(&self.snapshots_dir(), life.saving.get(), power_fails, &self.dice);
            self.note(what);
        }
        self.down.notify_one();
    }

    pub(crate) fn hold_down(&self, hold: bool) {
        self.held_down.set(hold);
        self.down.notify_one();
    }

    pub(crate) fn pause(&self) {
        if let Some(life) = &*self.life.borrow() {
            self.note("stands still");
            life.process.pause();
        }
    }

    pub(crate) fn resume(&self) {
        if let Some(life) = &*self.life.borrow()
            && life.process.stands_still()
        {
            self.note("goes on");
            life.process.resume();
        }
    }

    /// It ends by itself.
    fn stop(&self, why: impl std::fmt::Display) {
        self.note(format!("stops: {why}"));
        self.crash(false);
    }

    /// What was acknowledged rests on something that the chain took back: nobody goes on, and a person must look.
    fn end_for_good(&self, why: String) {
        if !self.world.setup.is_shallow() {
            self.broken(&why);
        }
        self.ended.set(true);
        self.stop(why);
    }

    /// A bit of an old block, or of the last one, turns while the node is down.
    pub(crate) fn flip_a_bit(&self) {
        if self.runs() || self.flip.borrow().is_some() {
            return;
        }
        let turn = self.dice.pick(&[Flip::in_the_middle, Flip::in_the_last_block]);
        if let Some(flip) = turn(&self.journal_dir(), &self.dice) {
            self.note(format!("a bit turns in its journal, at byte {}", flip.offset));
            *self.flip.borrow_mut() = Some(flip);
        }
    }

    /// The node refused to start on a damaged journal: it is repaired from another one, or from a backup.
    async fn mend(&self) {
        let Some(flip) = self.flip.take() else {
            self.broken("refuses its journal, which nobody damaged");
            return;
        };
        let others = ["A", "B", "C"].into_iter().filter(|name| *name != self.name);
        for other in others {
            let replica = self.dir.parent().expect("nodes have a folder each").join(other).join("journal");
            if !replica.exists() {
                continue;
            }
            match xos_journal::repair(self.journal_dir(), &replica, |_| {}) {
                Ok(repaired) => {
                    self.note(format!("is repaired from {other}'s journal: {} commands", repaired.commands));
                    return;
                }
                Err(error) => self.note(format!("cannot be repaired from {other}'s journal: {}", kind(&error))),
            }
        }
        flip.turn();
        self.note("is restored from a backup");
    }

    async fn start(self: &Rc<Self>) -> Result<(), Ended> {
        let settings = Settings { segment_bytes: self.world.setup.segment_bytes, block_bytes: 2 << 10 };
        let mut opened = Journal::open(self.journal_dir(), &group(), settings)?;
        let chain = self.world.chain();
        let way = self.way();
        let id = NodeId(std::array::from_fn(|_| u8::try_from(self.dice.between(0, 255)).unwrap()));
        let mut place = None;
        // A start takes on trust what stands before its snapshot. Here all of it is read, or a bit that turned there would be found
        // by those who look at the whole journal later.
        opened.tips(1)?;
        let genesis = Tip::genesis(&group());
        if let Some(way) = &way {
            let tips = opened.tips(1)?;
            let joined = match join(way, id, &tips, LEASE).await {
                Ok(joined) => joined,
                Err(ReplicaError::Log(error)) => return Err(Ended::Unreachable(error.to_string())),
                Err(error) => {
                    self.broken(format!("cannot join the log: {error}"));
                    return Err(Ended::Unreachable("it cannot join".into()));
                }
            };
            let Joined { position, tip, standing, .. } = joined;
            self.note(format!("joins the log at message {position}, command {}: {}", tip.sequence, word(&standing)));
            if matches!(standing, Standing::Cut) {
                if tip.sequence < self.world.truth.borrow().last() {
                    let told = self.world.truth.borrow().last();
                    self.note(format!("takes back its end behind {}; told was {told}", tip.sequence));
                }
                opened = opened.cut_behind(tip)?;
            }
            place = Some(joined);
        }
        let anchor = if way.is_some() { Anchor::default() } else { parts::anchor(&chain).await? };
        // Every frame, so that whoever takes the lead has those that the chain may still lose.
        let restored = parts::restore(opened, &self.snapshots_dir(), group(), anchor, 1, way.is_none())?;
        if way.is_none() {
            let queued = chain.inbox(At::Latest).await?.tail;
            if restored.engine.next_inbox() > queued {
                self.note("has consumed more of the inbox than there is; looking again");
                return Err(Ended::Unreachable("the chain is behind".into()));
            }
            parts::check_consumed(&chain, &restored.frames, anchor.id).await?;
        }
        let journal = restored.journal.step_by_step()?;
        if let Some(joined) = &place {
            journal.hold_back(joined.tip.sequence);
        }
        let told = if way.is_none() { self.world.truth.borrow().last() } else { 0 };
        let replayed = self.world.truth.borrow_mut().check_journal(self.name, &self.journal_dir(), told);
        let (sequence, state_hash) = (restored.engine.sequence(), restored.engine.state_hash());
        if replayed.is_some_and(|replayed| (replayed.sequence, replayed.state_hash) != (sequence, state_hash)) {
            self.broken("snapshot and replay lead elsewhere than replay alone");
        }
        self.note(format!("stands after command {sequence}"));
        let life = Rc::new(Life {
            process: Rc::default(),
            refused: Cell::new(false),
            saving: Cell::new(0),
            journal: RefCell::new(Some(journal)),
            state: RefCell::new(State {
                engine: restored.engine,
                frames: restored.frames,
                requests: Vec::new(),
                waiting: VecDeque::new(),
                held: VecDeque::new(),
                sealed: None,
                settled: anchor.id,
                put_off: 0,
            }),
            appended: Notify::new(),
            advanced: Arc::default(),
            arrived: Notify::new(),
        });
        *self.life.borrow_mut() = Some(Rc::clone(&life));
        let (node, writes, saves) = (Rc::clone(self), Rc::clone(self), Rc::clone(self));
        life.process.spawn(writes.write(Rc::clone(&life)));
        life.process.spawn(saves.save(Rc::clone(&life)));
        life.process.spawn(Rc::clone(self).let_out(Rc::clone(&life)));
        let running = Rc::clone(&life);
        life.process.spawn(async move {
            match (way, place) {
                (Some(way), Some(place)) => node.take_part(running, way, id, place, genesis).await,
                _ => node.lead(&running).await,
            }
        });
        Ok(())
    }
}

/// Why a start came to nothing.
enum Ended {
    Damaged,
    TakenBack(u64),
    Unreachable(String),
}

impl From<JournalError> for Ended {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Damaged { .. } | JournalError::NotAJournal { .. } => Self::Damaged,
            other => Self::Unreachable(kind(&other).to_owned()),
        }
    }
}

impl From<NodeError> for Ended {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Journal(error) => error.into(),
            NodeError::InboxTakenBack { index } => Self::TakenBack(index),
            other => Self::Unreachable(short(&other.to_string())),
        }
    }
}

impl From<xos_chain::ChainError> for Ended {
    fn from(error: xos_chain::ChainError) -> Self {
        Self::Unreachable(short(&error.to_string()))
    }
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Follows => "follows",
        Standing::Cut => "takes back its end, then follows",
        Standing::Leads(_) => "leads",
    }
}

/// The first words, so that a line of the trace stays one.
fn short(text: &str) -> String {
    text.chars().take(120).collect()
}
