//! A node, as the product's is, on one thread: the real engine, journal, recovery, replication, submitter and inbox reader, joined
//! under the rule that nothing leaves before its command is durable.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use xos_chain::{At, InboxConfig, InboxNews, InboxReader, Submitter, SubmitterConfig};
use xos_engine::Engine;
use xos_journal::{Journal, JournalError, Settings, Stepwise, Tip};
use xos_node::NodeError;
use xos_node::parts::{self, Anchor, SavedState};
use xos_replica::{Beat, Joined, Leadership, News, NodeId, Publisher, ReplicaError, Standby, Standing, join};
use xos_types::{Command, Event, Frame, Hash, InboxItem, Logged, TimeMs, WindowOrder};

use crate::dice::Dice;
use crate::disk::{self, Flip};
use crate::evm::sequencer;
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

    // ---------------------------------------------------------------- the disk

    async fn write(self: Rc<Self>, life: Rc<Life>) {
        loop {
            let wrote = {
                let mut journal = life.journal.borrow_mut();
                let journal = journal.as_mut().expect("a process has a journal");
                journal.set_room(self.disk_full.get().then(|| "no space left".to_owned()));
                journal.write()
            };
            match wrote {
                Ok(false) => {
                    life.appended.notified().await;
                    continue;
                }
                Ok(true) => {}
                Err(error) => return self.stop(kind(&error)),
            }
            sleep(self.dice.ms(0, self.disk_ms.get())).await;
            let synced = {
                let mut journal = life.journal.borrow_mut();
                let journal = journal.as_mut().expect("a process has a journal");
                if self.sync_fails.take() {
                    journal.fail_sync();
                }
                journal.commit()
            };
            if let Err(error) = synced {
                life.refused.set(true);
                self.note(format!("stops: {}", kind(&error)));
                // Nobody knows what of it is on the disk: as little as after a power failure, perhaps.
                return self.crash(true);
            }
            life.advanced.notify_one();
            sleep(self.dice.ms(0, 2)).await;
        }
    }

    /// What the follower does: saves the state now and then, from the files.
    async fn save(self: Rc<Self>, life: Rc<Life>) {
        let every = self.world.setup.snapshot_every;
        if every == 0 {
            return;
        }
        let mut state = SavedState::newest(&self.snapshots_dir(), group()).expect("the folder is there");
        let mut saved = state.sequence();
        loop {
            sleep(Duration::from_millis(500)).await;
            let durable = life.journal.borrow().as_ref().expect("a process has a journal").durability().sequence();
            if durable < saved + every {
                continue;
            }
            let Ok(replay) = xos_journal::read_only(self.journal_dir(), state.sequence() + 1) else { return };
            for read in replay {
                let Ok((sequence, command)) = read else { return };
                if sequence <= state.sequence() {
                    continue;
                }
                state.apply(&command);
                if sequence == durable {
                    break;
                }
            }
            let step = async || {
                life.saving.set(life.saving.get() + 1);
                if let Some((steps, power_fails)) = self.crash_in_save.get().filter(|(at, _)| *at == life.saving.get())
                {
                    self.crash_in_save.set(None);
                    self.note(format!("is to crash at step {steps} of saving a state"));
                    self.crash(power_fails);
                }
                sleep(self.dice.ms(0, 20)).await;
            };
            state.save(&self.snapshots_dir(), step).await.expect("there is room for it");
            life.saving.set(0);
            saved = state.sequence();
            self.note(format!("saves the state after command {saved}"));
        }
    }

    /// Lets out what is durable.
    async fn let_out(self: Rc<Self>, life: Rc<Life>) {
        loop {
            life.advanced.notified().await;
            let durable = life.journal.borrow().as_ref().expect("a process has a journal").durability().sequence();
            loop {
                let held = {
                    let mut state = life.state.borrow_mut();
                    if state.held.front().is_none_or(|(sequence, _)| *sequence > durable) {
                        break;
                    }
                    state.held.pop_front().expect("it was just looked at").1
                };
                self.tell(&life, held);
            }
        }
    }

    fn tell(&self, life: &Life, held: Held) {
        if life.refused.get() {
            self.broken("tells somebody something after its disk has refused");
        }
        let mut truth = self.world.truth.borrow_mut();
        match held {
            Held::Answers { told, head, reply, answers } => {
                for (sequence, command) in &told {
                    truth.told(self.name, *sequence, command, head);
                    if let Command::Place { order, .. } = command.command() {
                        truth.accepted(self.name, order.message.account, order.message.nonce, *sequence);
                    }
                }
                // Its sender may have given up.
                let _ = reply.send(answers);
            }
            Held::Frame(frame) => {
                truth.sealed(self.name, &frame);
                if let Some(sealed) = &life.state.borrow().sealed {
                    // The submitter ended only if it halted, which it has said.
                    let _ = sealed.send(*frame);
                }
            }
        }
    }

    // ---------------------------------------------------------------- leading

    /// Takes commands, inbox items and time, from here on.
    async fn lead(self: Rc<Self>, life: &Rc<Life>) {
        let chain = self.world.chain();
        let anchor = loop {
            match parts::anchor(&chain).await {
                Ok(anchor) => break anchor,
                Err(error) => self.note(format!("cannot see the chain: {}", short(&error.to_string()))),
            }
            sleep(Duration::from_millis(500)).await;
        };
        let frames = life.state.borrow().frames.clone();
        if let Some(frame) = frames.iter().find(|frame| frame.id == anchor.id)
            && (frame.sequence, frame.log_hash) != (anchor.sequence, anchor.log_hash)
        {
            self.broken(format!("batch {} on chain is not its frame", anchor.id));
        }
        if anchor.id > life.state.borrow().engine.frames_sealed() {
            return match &self.world.stream {
                // It was replaced already and does not know it.
                Some(_) => self.stop(format!("the chain has settled batch {} already", anchor.id)),
                None => self.broken(format!("leads, and the chain has settled batch {} already", anchor.id)),
            };
        }
        loop {
            match parts::check_consumed(&chain, &frames, anchor.id).await {
                Ok(()) => break,
                Err(NodeError::InboxTakenBack { index }) => {
                    return self.end_for_good(format!("the chain took back inbox item {index}"));
                }
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        }
        let (sealed, mut frames_sealed) = mpsc::unbounded_channel::<Frame>();
        let (hand_in, handed_in) = mpsc::channel(16);
        let (reports, mut settled) = mpsc::unbounded_channel();
        // They are durable, so they are let out, whatever the last life came to.
        frames.iter().for_each(|frame| self.world.truth.borrow_mut().sealed(self.name, frame));
        // As the product hands them in: what a reorganisation may still take back.
        for frame in frames.into_iter().filter(|frame| frame.id + 320 > anchor.id) {
            let _ = sealed.send(frame);
        }
        let next_inbox = {
            let mut state = life.state.borrow_mut();
            (state.sealed, state.settled) = (Some(sealed), anchor.id);
            state.engine.next_inbox()
        };
        self.note(format!("leads; {} is the last batch on chain", anchor.id));
        life.process.spawn(async move {
            while let Some(frame) = frames_sealed.recv().await {
                if hand_in.send(frame).await.is_err() {
                    return;
                }
            }
        });
        let submitter = Submitter::on(chain.clone(), sequencer(), sequencer(), SubmitterConfig::default());
        let node = Rc::clone(&self);
        life.process.spawn(async move {
            if let Err(error) = submitter.run(handed_in, reports).await {
                if node.world.setup.is_shallow() {
                    node.end_for_good(format!("settlement halts: {}", short(&error.to_string())));
                } else {
                    node.broken(format!("settlement halts: {error}"));
                }
            }
        });
        let notes = Rc::clone(life);
        life.process.spawn(async move {
            while let Some(batch) = settled.recv().await {
                let mut state = notes.state.borrow_mut();
                state.settled = state.settled.max(batch.id);
            }
        });
        let config = InboxConfig { confirmations: self.world.setup.confirmations, ..InboxConfig::default() };
        let reader = InboxReader::on(chain, config, next_inbox);
        let (news, mut inbox) = mpsc::channel(64);
        let node = Rc::clone(&self);
        life.process.spawn(async move {
            if let Err(error) = reader.run(news).await {
                node.broken(format!("the inbox cannot be read any further: {error}"));
            }
        });
        let mut next_frame = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sleep_until(next_frame) => {
                    next_frame = (next_frame + FRAME_INTERVAL).max(Instant::now());
                    while let Ok(piece) = inbox.try_recv() {
                        if let Some(index) = hear(&mut life.state.borrow_mut(), piece) {
                            return self.end_for_good(format!("the chain took back inbox item {index}"));
                        }
                    }
                    if !puts_off(&mut life.state.borrow_mut()) {
                        self.frame(life);
                    }
                }
                () = life.arrived.notified() => {
                    sleep(INGRESS_WINDOW).await;
                    self.window(life);
                }
            }
        }
    }

    /// A client's commands arrive.
    pub(crate) fn arrive(&self, commands: Vec<Command>) -> Result<oneshot::Receiver<Vec<Answer>>, Unanswered> {
        let life = self.life.borrow();
        let life = life.as_ref().ok_or(Unanswered::NotHere)?;
        let mut state = life.state.borrow_mut();
        if state.sealed.is_none() {
            return Err(Unanswered::NotHere);
        }
        let short = life.journal.borrow().as_ref().is_some_and(|journal| journal.durability().shortage().is_some());
        let places = commands.iter().any(|command| matches!(command, Command::Place { .. }));
        if (short && places) || state.engine.frames_sealed().saturating_sub(state.settled) >= UNSETTLED_MAX {
            return Err(Unanswered::Refused);
        }
        let (reply, answer) = oneshot::channel();
        state.requests.push(Request { commands, reply });
        life.arrived.notify_one();
        Ok(answer)
    }

    fn apply(&self, state: &mut State, command: &Logged) -> Vec<Event> {
        let mut events = Vec::new();
        state.engine.apply(command, &mut events);
        for event in &events {
            if let Event::FrameSealed(frame) = event {
                state.frames.push((**frame).clone());
            }
        }
        events
    }

    fn append(&self, life: &Life, commands: &[Logged]) {
        let mut journal = life.journal.borrow_mut();
        journal.as_mut().expect("a process has a journal").append(commands).expect("commands of these clients fit");
        life.appended.notify_one();
    }

    fn window(&self, life: &Life) {
        let mut state = life.state.borrow_mut();
        let requests = std::mem::take(&mut state.requests);
        if requests.is_empty() {
            return;
        }
        let opening = Logged::new(Command::Window { time: TimeMs(self.unix_ms()) });
        self.apply(&mut state, &opening);
        let mut block = vec![opening];
        let mut replies = Vec::new();
        let mut window = WindowOrder::default();
        let mut order = Vec::new();
        for (index, Request { commands, reply }) in requests.into_iter().enumerate() {
            order.extend(commands.into_iter().map(|command| (window.next(&command), index, command)));
            replies.push((reply, Vec::new(), Vec::new()));
        }
        order.sort_by_key(|(turn, ..)| *turn);
        for (_, index, command) in order {
            let command = Logged::new(command);
            let events = self.apply(&mut state, &command);
            let rejected = events.iter().find_map(|event| match event {
                Event::Rejected { reject, .. } => Some(reject.to_string()),
                _ => None,
            });
            let sequence = state.engine.sequence();
            let (_, answers, told) = &mut replies[index];
            answers.push(rejected.map_or(Answer::Done(sequence), Answer::Rejected));
            if matches!(answers.last(), Some(Answer::Done(_))) {
                told.push((sequence, command.clone()));
            }
            block.push(command);
        }
        self.append(life, &block);
        let head = (state.engine.sequence(), state.engine.log_hash());
        for (reply, answers, told) in replies {
            state.held.push_back((head.0, Held::Answers { told, head, reply, answers }));
        }
    }

    fn frame(&self, life: &Life) {
        let mut state = life.state.borrow_mut();
        let items = state.waiting.len().min(FRAME_ITEMS);
        let inbox = state.waiting.drain(..items).collect();
        let time = TimeMs(self.unix_ms().max(state.engine.frame_time().0 + 1));
        let command = Logged::new(Command::Frame { time, inbox, prices: Vec::new() });
        let events = self.apply(&mut state, &command);
        self.append(life, &[command]);
        let sequence = state.engine.sequence();
        for event in events {
            if let Event::FrameSealed(frame) = event {
                state.held.push_back((sequence, Held::Frame(frame)));
            }
        }
        self.world.truth.borrow_mut().stands(self.name, &state.engine);
    }

    /// What its own clock says.
    fn unix_ms(&self) -> u64 {
        self.world.unix_ms().saturating_add_signed(self.clock.get())
    }

    // ---------------------------------------------------------------- several nodes

    async fn take_part(self: Rc<Self>, life: Rc<Life>, way: Way, id: NodeId, joined: Joined, genesis: Tip) {
        let lead = match joined.standing {
            Standing::Leads(lead) => lead,
            Standing::Follows | Standing::Cut => match self.follow(&life, &way, id, &joined).await {
                Some(lead) => lead,
                None => return,
            },
        };
        self.note(format!("takes the lead: epoch {}, message {}", lead.epoch, lead.position));
        if !self.publish(&life, way.clone(), lead, genesis).await {
            return;
        }
        // It may have been replaced already and not know it; then it can tell nobody anything.
        self.world.truth.borrow_mut().check_journal(self.name, &self.journal_dir(), 0);
        let (node, beats) = (Rc::clone(&self), Rc::clone(&life));
        life.process.spawn(async move {
            loop {
                let (frame, log_hash) = {
                    let state = beats.state.borrow();
                    state.frames.last().map_or((0, [0; 32]), |frame| (frame.id, frame.log_hash))
                };
                let beat = Beat { epoch: lead.epoch, leader: id, frame, log_hash, address: node.name.to_owned() };
                xos_replica::Log::beat(&way, beat.encode()).await;
                sleep(LEASE / 4).await;
            }
        });
        self.lead(&life).await;
    }

    /// Applies what the leader writes, until this node leads.
    async fn follow(&self, life: &Life, way: &Way, id: NodeId, joined: &Joined) -> Option<Leadership> {
        let mut standby = Standby::new(way.clone(), id, joined, LEASE);
        loop {
            match standby.next().await {
                Ok(News::Block(block)) => {
                    let mut state = life.state.borrow_mut();
                    for command in block.commands().expect("a leader's block") {
                        self.apply(&mut state, &command);
                    }
                    self.world.truth.borrow_mut().stands(self.name, &state.engine);
                    life.journal.borrow_mut().as_mut().expect("a process has a journal").append_block(block);
                    life.appended.notify_one();
                }
                Ok(News::Beat(beat)) => {
                    let differs = life
                        .state
                        .borrow()
                        .frames
                        .iter()
                        .any(|frame| frame.id == beat.frame && frame.log_hash != beat.log_hash);
                    if differs {
                        self.broken(format!("differs from the leader at frame {}", beat.frame));
                    }
                }
                Ok(News::Epoch(record)) => self.note(format!("hears of epoch {}", record.epoch)),
                Ok(News::Lead(lead)) => {
                    // The product waits for its disk, too, before it takes commands.
                    loop {
                        let local = {
                            let journal = life.journal.borrow();
                            let journal = journal.as_ref().expect("a process has a journal");
                            journal.durability().local_sequence() >= journal.last_sequence()
                        };
                        if local {
                            return Some(lead);
                        }
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                Err(error) => {
                    self.stop(format!("it cannot follow: {}", short(&error.to_string())));
                    return None;
                }
            }
        }
    }

    /// Brings the stream level with the journal; from then on it must have what anybody is told of.
    async fn publish(self: &Rc<Self>, life: &Rc<Life>, way: Way, lead: Leadership, genesis: Tip) -> bool {
        let (durability, end) = {
            let journal = life.journal.borrow();
            let journal = journal.as_ref().expect("a process has a journal");
            (journal.durability(), journal.last_sequence())
        };
        let dir = self.journal_dir();
        let refill = Arc::new(move |tip: Tip, end: u64| {
            let say = |error: JournalError| error.to_string();
            let blocks = xos_journal::blocks(&dir, &group(), tip.sequence + 1).map_err(say)?;
            let wanted =
                blocks.take_while(move |block| block.as_ref().map_or(true, |block| block.tip().sequence <= end));
            Ok(Box::new(wanted.map(move |block| block.map_err(say))) as xos_replica::LocalBlocks)
        });
        let advanced = Arc::clone(&life.advanced);
        let confirm = move |sequence| {
            durability.confirm(sequence);
            advanced.notify_one();
        };
        let mut publisher = Publisher::new(way, lead, genesis, refill, confirm);
        if let Err(error) = publisher.level(end).await {
            self.leads_no_more(&error);
            return false;
        }
        let (offer, mut blocks) = mpsc::channel(10_000);
        life.journal.borrow_mut().as_mut().expect("a process has a journal").replicate(move |block| {
            // If nobody takes it, the node has just learned that it leads no more.
            let _ = offer.try_send(block);
        });
        let node = Rc::clone(self);
        life.process.spawn(async move {
            if let Err(error) = publisher.run(&mut blocks).await {
                node.leads_no_more(&error);
            }
        });
        true
    }

    fn leads_no_more(&self, error: &ReplicaError) {
        match error {
            ReplicaError::Deposed { .. } => self.stop("another node leads"),
            other => self.broken(format!("cannot lead any more: {other}")),
        }
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

/// Takes note of what the chain says; the first item that it took back although the log has consumed it.
fn hear(state: &mut State, news: InboxNews) -> Option<u64> {
    match news {
        InboxNews::Item(item) => state.waiting.push_back(item),
        InboxNews::TakenBack(from) if from < state.engine.next_inbox() => return Some(from),
        InboxNews::TakenBack(from) => state.waiting.retain(|item| item.index < from),
    }
    None
}

fn puts_off(state: &mut State) -> bool {
    let behind = state.engine.frames_sealed().saturating_sub(state.settled) >= FRAMES_BEHIND;
    let put_off = state.put_off < PUT_OFF_MAX && behind && state.waiting.is_empty();
    state.put_off = if put_off { state.put_off + 1 } else { 0 };
    put_off
}
