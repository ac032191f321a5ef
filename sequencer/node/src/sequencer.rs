//! The one thread that changes state: gathers an ingress window, executes it, hands it to the journal, and goes on.
//!
//! A window is applied to the engine before it is written, so a frame can be sealed at the very command that fills it, and
//! the engine never waits for the disk. Nobody sees the result until it is durable: everything that leaves goes through the
//! [output stage](crate::output). If a write fails the thread ends with the error and the process with it: the engine is then
//! ahead of the log, and a restart comes back to the log.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc as tokio_mpsc;
use xos_chain::InboxNews;
use xos_engine::{Engine, INBOX_GAS_PER_FRAME, Lookout};
use xos_journal::{Journal, JournalError, SealedBlock};
use xos_types::{
    Command, Event, FillLine, Frame, Hash, InboxItem, InboxPayload, Logged, MarketId, Order, Reject, TimeMs,
};

use crate::feeds;
use crate::history::History;
use crate::ingress::{Backlog, Following, Ingress, Item, Placed, Query, maker_friendly};
use crate::output::{Applied, Output, Outputs};
use crate::prices::Prices;
use crate::receipt::{Done, Effect, Head, Outcome, RefusedOrder, Terms, TreeDone};
use crate::vitals::Vitals;

/// Frames that wait for settlement when it counts as behind: one being mined, one being probed, one sealed meanwhile.
const FRAMES_BEHIND: u64 = 3;
/// Inbox items that wait when no more are taken in.
const INBOX_WAITING: usize = 4_096;
/// Intervals by which a frame is put off at most while settlement is behind.
const PUT_OFF_MAX: u32 = 4;
/// How often a standby that hears nothing shows that it is there.
const STANDBY_TICK: Duration = Duration::from_millis(100);
/// Frames whose hashes a standby remembers, for a leader that is heard late.
const FRAMES_REMEMBERED: usize = 1024;

/// How the sequencer paces itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From one frame to the next.
    pub frame_interval: Duration,
    /// How long commands are gathered.
    pub ingress_window: Duration,
    /// How many commands make a window full.
    pub window_commands: usize,
    /// Inbox items of one frame.
    pub frame_inbox_items: usize,
    /// Their payload bytes.
    pub frame_inbox_bytes: usize,
    /// Estimated gas at which a frame is sealed before its time.
    pub frame_gas: u64,
}

/// The state between two windows.
pub(crate) struct View<'a> {
    /// Accounts, books, events.
    pub engine: &'a Engine,
    /// What happened lately.
    pub history: &'a History,
}

/// State, log, and what leaves them.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) history: History,
    pub(crate) journal: Journal,
    pub(crate) outputs: Outputs,
    pub(crate) pace: Pace,
    /// What the chain said and no frame has consumed yet.
    pub(crate) inbox: tokio_mpsc::Receiver<InboxNews>,
    /// Items that wait for a frame with room for them.
    pub(crate) waiting: VecDeque<InboxItem>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) vitals: Arc<Vitals>,
    /// What reporters say; without any, feeds stay without a price and their markets only reduce.
    pub(crate) prices: Arc<Prices>,
    /// Time of the last frame whose prices were told.
    pub(crate) priced: TimeMs,
    /// Whether it takes commands from the start, or follows a leader first.
    pub(crate) leads: bool,
}

/// Why the sequencer stops by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A reorganisation went deeper than the confirmations that are waited for.
    #[error("the chain took back inbox item {0}, which the log has consumed")]
    InboxTakenBack(u64),
    /// The same log led this engine and the leader's to different events.
    #[error("at frame {0} this engine's log hash is not the leader's")]
    Differs(u64),
    /// A block of the leader's cannot be read.
    #[error("a block of the log cannot be read: {0}")]
    Unreadable(String),
}

/// How a standby ends.
enum Followed {
    Leads,
    Stopped,
}

/// Hashes of the log at frames: this engine's, and those that the leader claims.
#[derive(Default)]
struct Compared {
    ours: BTreeMap<u64, Hash>,
    claimed: Option<(u64, Hash)>,
}

impl Compared {
    fn sealed(&mut self, frame: &Frame) -> Result<(), Stopped> {
        self.ours.insert(frame.id, frame.log_hash);
        if self.ours.len() > FRAMES_REMEMBERED {
            self.ours.pop_first();
        }
        self.compare()
    }

    fn claimed(&mut self, frame: u64, log_hash: Hash) -> Result<(), Stopped> {
        // The older claim first, if this engine has not come so far.
        if self.claimed.is_none() {
            self.claimed = Some((frame, log_hash));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<(), Stopped> {
        let Some((frame, claimed)) = self.claimed else { return Ok(()) };
        let sealed = self.ours.last_key_value().is_some_and(|(last, _)| *last >= frame);
        match self.ours.get(&frame) {
            Some(ours) if *ours != claimed => return Err(Stopped::Differs(frame)),
            // Not there yet.
            None if !sealed => return Ok(()),
            // The same; or older than what is remembered, and not to be compared.
            Some(_) | None => self.claimed = None,
        }
        Ok(())
    }
}

impl Core {
    /// Runs until it is told to stop, the journal fails, or the chain takes back what the log has consumed. Before it stops it
    /// seals the open frame, so that what was traded can settle while nobody trades. Then everything that was executed is durable
    /// and has been let out, or there is an error.
    pub(crate) fn run(mut self, items: &Receiver<Item>) -> Result<(), Stopped> {
        let followed = if self.leads { Ok(Followed::Leads) } else { self.follow(items) };
        let ended = match followed {
            Ok(Followed::Leads) => self.sequence(items).and_then(|()| self.frame(false)),
            Ok(Followed::Stopped) => Ok(()),
            Err(stopped) => Err(stopped),
        };
        self.outputs.end();
        ended.and(self.journal.close().map_err(Stopped::from))
    }

    /// Applies what another node writes, until this one leads.
    fn follow(&mut self, items: &Receiver<Item>) -> Result<Followed, Stopped> {
        let mut compared = Compared::default();
        loop {
            self.vitals.beat(Instant::now());
            match items.recv_timeout(STANDBY_TICK) {
                Ok(Item::Following(Following::Block { block, place })) => {
                    self.replay(block, &mut compared)?;
                    drop(place);
                }
                Ok(Item::Following(Following::Claimed { frame, log_hash })) => compared.claimed(frame, log_hash)?,
                Ok(Item::Following(Following::Lead { offer, ready })) => {
                    self.journal.durability().wait_for(self.journal.last_sequence())?;
                    self.journal.replicate(move |block| {
                        // If nobody takes it the log is another's, and whoever learned that has failed the journal.
                        let _ = offer.blocking_send(block);
                    });
                    let _ = ready.send(self.engine.next_inbox());
                    return Ok(Followed::Leads);
                }
                // The door refuses commands meanwhile; their sender hears that nobody knows.
                Ok(Item::Commands(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Item::Query(query)) => self.answer(query),
                Ok(Item::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(Followed::Stopped),
            }
        }
    }

    /// One block of the leader's: onto the disk as it is, through the engine, and out.
    fn replay(&mut self, block: SealedBlock, compared: &mut Compared) -> Result<(), Stopped> {
        let commands = block.commands().map_err(Stopped::Unreadable)?;
        let begun = Instant::now();
        self.journal.append_block(block)?;
        let mut applied = Vec::with_capacity(commands.len());
        let mut lookout = Lookout::default();
        for (place, command) in commands.iter().enumerate() {
            self.engine.look_ahead(&mut lookout, &commands[place..], Logged::command);
            applied.push(self.apply(command));
        }
        let executed = self.vitals.executed(self.engine.sequence(), begun);
        for event in applied.iter().flat_map(|applied| &applied.events) {
            if let Event::FrameSealed(frame) = event {
                compared.sealed(frame)?;
            }
        }
        self.let_out(applied, executed);
        Ok(())
    }

    fn sequence(&mut self, items: &Receiver<Item>) -> Result<(), Stopped> {
        let mut next_frame = Instant::now();
        let mut queries = Vec::new();
        let mut put_off = 0;
        loop {
            let now = Instant::now();
            self.vitals.beat(now);
            if now >= next_frame {
                if self.puts_off(put_off) {
                    put_off += 1;
                } else {
                    put_off = 0;
                    self.frame(true)?;
                }
                next_frame += self.pace.frame_interval;
                if next_frame <= now {
                    // Ticks that could not be kept are skipped, not made up for.
                    next_frame = now + self.pace.frame_interval;
                }
            }
            match items.recv_timeout(next_frame.saturating_duration_since(Instant::now())) {
                Ok(Item::Commands(first)) => {
                    let (requests, stop) = self.gather(first, items, &mut queries);
                    self.window(requests)?;
                    for query in queries.drain(..) {
                        self.answer(query);
                    }
                    if stop {
                        return Ok(());
                    }
                }
                Ok(Item::Query(query)) => self.answer(query),
                Ok(Item::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // Whoever leads follows nobody.
                Ok(Item::Following(_)) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The estimate at which the open frame is full.
    fn full_at(&self) -> u64 {
        self.backlog.gas.full_at(self.pace.frame_gas)
    }

    /// Whether the open frame goes on although its time has come: settlement is behind, and two small batches cost the chain
    /// more than one. Never for a frame that has much in it, nor while the chain has more to say than fits into one, nor for
    /// long, because orders expire and deposits arrive by frames.
    fn puts_off(&self, so_far: u32) -> bool {
        let small = self.engine.frame_gas() < self.full_at() / 2;
        so_far < PUT_OFF_MAX && self.backlog.waiting() >= FRAMES_BEHIND && small && self.waiting.is_empty()
    }

    /// Collects requests until the window has passed or is full. Queries that come meanwhile wait for its end. What comes while
    /// this sleeps costs nobody a waking.
    fn gather(&self, first: Ingress, items: &Receiver<Item>, queries: &mut Vec<Query>) -> (Vec<Ingress>, bool) {
        let end = Instant::now() + self.pace.ingress_window;
        let mut count = first.count();
        let mut requests = vec![first];
        loop {
            while count < self.pace.window_commands {
                match items.try_recv() {
                    Ok(Item::Commands(request)) => {
                        count += request.count();
                        requests.push(request);
                    }
                    Ok(Item::Query(query)) => queries.push(query),
                    Ok(Item::Following(_)) => {}
                    Ok(Item::Stop) | Err(TryRecvError::Disconnected) => return (requests, true),
                    Err(TryRecvError::Empty) => break,
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || count >= self.pace.window_commands {
                return (requests, false);
            }
            std::thread::sleep(left);
        }
    }

    /// Executes one window, and answers it when it is durable.
    fn window(&mut self, mut requests: Vec<Ingress>) -> Result<(), Stopped> {
        let mut outcomes: Vec<Vec<Option<Outcome>>> = Vec::with_capacity(requests.len());
        let mut placed = Vec::new();
        for (request, ingress) in requests.iter_mut().enumerate() {
            let commands = std::mem::take(&mut ingress.commands).into_iter().enumerate();
            let refusals = commands.map(|(position, command)| {
                // A stranger's command is refused without a place in the log, which strangers could fill otherwise.
                if let Some(reject) = self.stranger(&command) {
                    return Some(Outcome::Rejected { reject, terms: None, spent: false });
                }
                placed.push(Placed { request, position, command });
                None
            });
            outcomes.push(refusals.collect());
        }
        let mut rest = maker_friendly(placed).into_iter();
        let mut lookout = Lookout::default();
        let mut opening = Some(Logged::new(Command::Window { time: TimeMs(unix_ms()) }));
        let mut last_head = None;
        let mut begun = Instant::now();
        self.vitals.metrics.queue.observe(requests.first().map_or(0.0, |first| (begun - first.since).as_secs_f64()));
        while !rest.as_slice().is_empty() {
            let mut block = Vec::new();
            let mut applied = Vec::new();
            let mut places = Vec::new();
            loop {
                self.engine.look_ahead(&mut lookout, rest.as_slice(), |placed| &placed.command);
                let Some(Placed { request, position, command }) = rest.next() else { break };
                let answered = (Logged::new(command), Some((request, position)));
                for (command, place) in opening.take().map(|window| (window, None)).into_iter().chain([answered]) {
                    applied.push(self.apply(&command));
                    places.push(place);
                    block.push(command);
                }
                if self.engine.frame_gas() >= self.full_at() {
                    break;
                }
            }
            let executed = self.vitals.executed(self.engine.sequence(), begun);
            self.journal.append(&block)?;
            let head = Head::new(self.engine.sequence(), self.engine.log_hash());
            for ((command, applied), place) in block.iter().zip(&applied).zip(places) {
                let Some((request, position)) = place else { continue };
                outcomes[request][position] = Some(self.outcome(command.command(), applied, &head));
            }
            last_head = Some(head);
            self.let_out(applied, executed);
            if self.engine.frame_gas() >= self.full_at() {
                self.frame(false)?;
            }
            begun = Instant::now();
        }
        let outcomes = outcomes.into_iter().map(|outcomes| outcomes.into_iter().flatten().collect());
        let answers = requests.into_iter().zip(outcomes).collect();
        self.outputs.hold(self.engine.sequence(), Output::Answered(answers, last_head));
        Ok(())
    }

    /// What a command came to.
    fn outcome(&self, command: &Command, Applied { sequence, events, .. }: &Applied, head: &Arc<Head>) -> Outcome {
        let (sequence, head) = (*sequence, Arc::clone(head));
        if let Command::PlaceTree { tree, .. } = command {
            let effects = Effect::read_tree(tree.orders(), events).into_iter().zip(tree.orders());
            let refused = |reject, order: &Order| {
                let spent = self.is_spent(order);
                Box::new(RefusedOrder { reject, terms: self.terms(order.market), spent })
            };
            let orders = effects.map(|(effect, order)| effect.map_err(|reject| refused(reject, order)));
            return Outcome::Tree(TreeDone { sequence, head, orders: orders.collect() });
        }
        match Effect::read(command, events) {
            Ok(effect) => Outcome::Done(Done { sequence, head, effect }),
            Err(reject) => {
                let order = order_in(command);
                let terms = order.and_then(|order| self.terms(order.market));
                Outcome::Rejected { reject, terms, spent: order.is_some_and(|order| self.is_spent(order)) }
            }
        }
    }

    /// Why the command's signer may not act for its account, if so.
    fn stranger(&self, command: &Command) -> Option<Reject> {
        let (account, signer) = command.signer()?;
        self.engine.check_signer(account, signer).err()
    }

    /// Whether the nonce of an order that was refused is one that cannot be used. Asked behind its window, so an order that
    /// came right behind it may have spent it.
    fn is_spent(&self, order: &Order) -> bool {
        self.engine.nonce_spent(order.account, order.nonce).unwrap_or(false)
    }

    fn terms(&self, market: MarketId) -> Option<Terms> {
        Some(Terms::of(self.engine.event(market.event())?.config))
    }

    /// Seals the open frame and opens the next, a window of its own. `on_time` frames take inbox items with them; one that
    /// is sealed early because it is full does not, so that what comes in cannot fill the next one too.
    fn frame(&mut self, on_time: bool) -> Result<(), Stopped> {
        self.hear()?;
        let inbox = if on_time && !self.backlog.is_full() { self.take_inbox() } else { Vec::new() };
        // Strictly later than the frame before, whatever the machine's clock does.
        let time = TimeMs(unix_ms().max(self.engine.frame_time().0 + 1));
        let prices = self.prices.at(time, self.engine.feed_sources());
        let command = Logged::new(Command::Frame { time, inbox, prices });
        let (begun, estimate) = (Instant::now(), self.engine.frame_gas());
        let applied = self.apply(&command);
        let executed = self.vitals.executed(self.engine.sequence(), begun);
        self.journal.append(&[command])?;
        for event in &applied.events {
            if let Event::FrameSealed(frame) = event {
                self.backlog.gas.sealed(frame.id, estimate);
            }
        }
        self.let_out(vec![applied], executed);
        if on_time && self.engine.frame_gas() >= self.pace.frame_gas {
            // What the chain said fills it alone; a command on top could outgrow a transaction.
            self.frame(false)?;
        }
        Ok(())
    }

    /// Takes note of what the chain says.
    fn hear(&mut self) -> Result<(), Stopped> {
        while self.waiting.len() < INBOX_WAITING
            && let Ok(news) = self.inbox.try_recv()
        {
            match news {
                InboxNews::Item(item) => self.waiting.push_back(item),
                InboxNews::TakenBack(from) if from < self.engine.next_inbox() => {
                    return Err(Stopped::InboxTakenBack(from));
                }
                InboxNews::TakenBack(from) => self.waiting.retain(|item| item.index < from),
            }
        }
        Ok(())
    }

    fn take_inbox(&mut self) -> Vec<InboxItem> {
        let mut taken = Vec::new();
        let (mut bytes, mut gas) = (0, 0);
        while taken.len() < self.pace.frame_inbox_items
            && let Some(item) = self.waiting.front()
        {
            bytes += payload_bytes(&item.payload);
            gas += self.engine.inbox_gas(&item.payload);
            let too_much = bytes > self.pace.frame_inbox_bytes || gas > INBOX_GAS_PER_FRAME;
            if too_much && !taken.is_empty() {
                break;
            }
            taken.extend(self.waiting.pop_front());
        }
        taken
    }

    fn apply(&mut self, command: &Logged) -> Applied {
        // An order that moves makes three.
        let mut events = Vec::with_capacity(3 * command.command().count());
        self.engine.apply(command, &mut events);
        Applied { sequence: self.engine.sequence(), time: self.engine.frame_time(), events }
    }

    /// Takes note of what happened, and lets it out when it is durable.
    fn let_out(&mut self, applied: Vec<Applied>, executed: Instant) {
        for Applied { sequence, time, events } in &applied {
            self.history.record(*sequence, *time, events);
            for event in events {
                if let Event::FrameSealed(frame) = event {
                    self.vitals.sealed(frame, turnover(&self.engine, frame));
                }
            }
        }
        let time = self.engine.frame_time();
        let opened = std::mem::replace(&mut self.priced, time) != time;
        let prices = opened.then(|| feeds::prices(&self.engine));
        self.outputs.hold(self.engine.sequence(), Output::Happened { applied, prices, executed });
    }

    fn answer(&mut self, query: Query) {
        let view = View { engine: &self.engine, history: &self.history };
        // A question changes neither state nor log, so a bug in one costs its asker the answer and nobody else anything.
        match catch_unwind(AssertUnwindSafe(|| (query.run)(view))) {
            Ok(delivery) => self.outputs.hold(self.engine.sequence(), Output::Told(delivery)),
            Err(_) => tracing::error!("a query panicked; its asker gets no answer"),
        }
    }
}

/// Atoms that changed hands in a frame. Each fill is in two lines, the buyer's and the seller's.
pub(crate) fn turnover(engine: &Engine, frame: &Frame) -> u128 {
    let market = |(market, lines): &(_, Vec<FillLine>)| {
        let notional: u128 = lines.iter().map(|line| line.notional).sum();
        (notional / 2).saturating_mul(engine.quantum(*market).unwrap_or(0))
    };
    frame.markets.iter().map(market).fold(0, u128::saturating_add)
}

/// Unix milliseconds of the machine's clock.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The order that a command brings under a signature of its own.
fn order_in(command: &Command) -> Option<&Order> {
    match command {
        Command::Place { order, .. }
        | Command::Replace { order, .. }
        | Command::Plan { order, .. }
        | Command::Replan { order, .. } => Some(&order.message),
        _ => None,
    }
}

/// About how long the payload is in a batch; from above.
fn payload_bytes(payload: &InboxPayload) -> usize {
    const WORD: usize = 32;
    const ITEM: usize = 16 * WORD;
    let text = |text: &String| 3 * WORD + text.len();
    ITEM + match payload {
        InboxPayload::Deposit { .. }
        | InboxPayload::ForcedWithdrawal { .. }
        | InboxPayload::CancelAll { .. }
        | InboxPayload::ForcedClose { .. }
        | InboxPayload::ForcedLiquidation(_)
        | InboxPayload::SignerSet { .. }
        | InboxPayload::MembershipSet { .. }
        | InboxPayload::ReferrerSet { .. }
        | InboxPayload::BuilderSet { .. }
        | InboxPayload::VenueSet { .. }
        | InboxPayload::PhaseSet { .. }
        | InboxPayload::HoursSet { .. }
        | InboxPayload::AssetSet { .. }
        | InboxPayload::TermsSet(_) => 0,
        InboxPayload::SpotListed { config, .. } => text(&config.title),
        InboxPayload::PerpetualSet { config, .. } => 2 * ITEM + text(&config.title),
        InboxPayload::EventOpened { config, .. } => {
            ITEM + text(&config.title) + config.labels.iter().map(text).sum::<usize>()
        }
        InboxPayload::EventResolved { payouts, .. } => payouts.len() * WORD,
        InboxPayload::FeeTiersSet { tiers, .. } => 3 * tiers.len() * WORD,
    }
}

#[cfg(test)]
mod tests {
    use std::thread::JoinHandle;

    use tempfile::TempDir;
    use xos_auth::{Domain, Key, LogHead, recover};
    use xos_types::OrderKind::{GoodTillCancelled, ImmediateOrCancel, PostOnly};
    use xos_types::{AccountId, Frame, Side};

    use super::*;
    use crate::ingress::{Refused, Sequencer};
    use crate::recovery::{Anchor, Recovered, RecoveryError};
    use crate::replication::Role;
    use crate::testing::{
        ALICE, BOB, GROUP, MARKET, SMALL_DISK, cancel_of, idle_feeds, idle_vitals, inbox, order_of, trader, withdraw,
    };

    const SLOW: Pace = Pace {
        frame_interval: Duration::from_secs(3600),
        ingress_window: Duration::from_millis(1),
        window_commands: 1000,
        frame_inbox_items: 100,
        frame_inbox_bytes: 1 << 16,
        frame_gas: u64::MAX,
    };

    /// A sequencer on a journal of its own, with two funded accounts and one event.
    struct Harness {
        sequencer: Sequencer,
        frames: tokio_mpsc::UnboundedReceiver<Frame>,
        thread: JoinHandle<Result<(), Stopped>>,
        data: TempDir,
    }

    fn fresh() -> Recovered {
        Recovered { engine: Engine::new(GROUP), history: History::default(), unsettled: Vec::new() }
    }

    /// A core that has not run, with what the test's chain says waiting.
    struct Ready {
        core: Core,
        /// To say more.
        chain: tokio_mpsc::Sender<InboxNews>,
        frames: tokio_mpsc::UnboundedReceiver<Frame>,
        sequencer: Sequencer,
        items: Receiver<Item>,
    }

    fn ready(data: &TempDir, pace: Pace) -> Ready {
        let journal = Journal::open(data.path(), &GROUP, SMALL_DISK).unwrap().resume().unwrap();
        let (chain, news) = tokio_mpsc::channel(16);
        for item in inbox() {
            chain.try_send(InboxNews::Item(item)).unwrap();
        }
        let (sealed, frames) = tokio_mpsc::unbounded_channel();
        let (backlog, vitals) = (Backlog::new(0, 0, 100), idle_vitals());
        let (sequencer, items) =
            Sequencer::channel(10_000, 100, Arc::clone(&backlog), journal.durability(), Role::alone());
        let told = (Arc::clone(&backlog), sequencer.clone(), Arc::clone(&vitals));
        let outputs = Outputs::start(journal.durability(), sealed, told.0, told.1, told.2, idle_feeds()).unwrap();
        let core = Core {
            engine: Engine::new(GROUP),
            history: History::default(),
            journal,
            outputs,
            pace,
            inbox: news,
            waiting: VecDeque::new(),
            backlog,
            vitals,
            prices: Arc::default(),
            priced: TimeMs(0),
            leads: true,
        };
        Ready { core, chain, frames, sequencer, items }
    }

    #[test]
    fn what_the_chain_takes_back_is_forgotten_or_stops_the_sequencer() {
        let data = tempfile::tempdir().unwrap();
        let Ready { mut core, chain, frames: _frames, sequencer: _sequencer, items: _items } = ready(&data, SLOW);
        // Four items wait. The last two are taken back, and another one comes in their place.
        chain.try_send(InboxNews::TakenBack(2)).unwrap();
        let third = inbox().remove(2);
        chain.try_send(InboxNews::Item(third)).unwrap();
        core.frame(true).unwrap();
        assert_eq!(core.engine.next_inbox(), 3);
        // What was not consumed may go; what was may not.
        chain.try_send(InboxNews::TakenBack(3)).unwrap();
        core.frame(true).unwrap();
        chain.try_send(InboxNews::TakenBack(2)).unwrap();
        assert!(matches!(core.frame(true), Err(Stopped::InboxTakenBack(2))));
        core.journal.close().unwrap();
        assert_eq!(xos_journal::read_only(data.path(), 1).unwrap().count(), 2, "nothing is written after that");
    }

    impl Harness {
        async fn start(pace: Pace) -> Self {
            let data = tempfile::tempdir().unwrap();
            let Ready { core, frames, sequencer, items, .. } = ready(&data, pace);
            let thread = std::thread::spawn(move || core.run(&items));
            // Answered after the first frame, which consumes the inbox.
            assert_eq!(sequencer.query(|view| view.engine.next_inbox()).await, Ok(4));
            Self { sequencer, frames, thread, data }
        }

        /// Submits from several tasks, each as soon as the one before is queued.
        async fn submit_all(&self, requests: Vec<Vec<Command>>) -> Vec<Vec<Outcome>> {
            let mut waiting = Vec::new();
            for commands in requests {
                let sequencer = self.sequencer.clone();
                waiting.push(tokio::spawn(async move { sequencer.submit(commands).await.unwrap() }));
                tokio::task::yield_now().await;
            }
            let mut outcomes = Vec::new();
            for waiting in waiting {
                outcomes.push(waiting.await.unwrap());
            }
            outcomes
        }

        fn logged(&self) -> Vec<Command> {
            let replay = xos_journal::read_only(self.data.path(), 1).unwrap();
            replay.map(|command| command.unwrap().1.into_command()).collect()
        }

        async fn state_hash(&self) -> [u8; 32] {
            self.sequencer.query(|view| view.engine.state_hash()).await.unwrap()
        }

        /// The journal as a sudden death would leave it now.
        fn copy(&self) -> TempDir {
            let copy = tempfile::tempdir().unwrap();
            for file in std::fs::read_dir(self.data.path()).unwrap() {
                let path = file.unwrap().path();
                std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
            copy
        }

        fn stop(self) -> TempDir {
            self.sequencer.stop();
            self.thread.join().unwrap().unwrap();
            self.data
        }
    }

    fn sequence(outcome: &Outcome) -> u64 {
        match outcome {
            Outcome::Done(done) => done.sequence,
            Outcome::Tree(done) => done.sequence,
            Outcome::Rejected { reject, .. } => panic!("rejected: {reject}"),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_acknowledged_command_is_in_the_journal_and_its_receipt_is_signed() {
        let harness = Harness::start(SLOW).await;
        let place = order_of(ALICE, 1, Side::Buy, GoodTillCancelled, 400);
        let outcomes = harness.submit_all(vec![vec![place.clone()]]).await;
        let Outcome::Done(Done { sequence, head, effect }) = &outcomes[0][0] else { panic!("{outcomes:?}") };
        assert_eq!(harness.logged()[usize::try_from(*sequence).unwrap() - 1], place);
        assert_eq!(effect.remaining.0, 10);

        let (key, domain) = (Key::from_bytes([9; 32]).unwrap(), Domain::from(&GROUP));
        let promise = LogHead { sequence: head.sequence, log_hash: head.log_hash };
        let signature = head.signature(&key, &domain);
        assert_eq!(recover(domain.digest(&promise), &signature).unwrap(), key.address());
        harness.stop();
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_window_executes_maker_friendly_and_the_journal_shows_it() {
        let harness = Harness::start(Pace { ingress_window: Duration::from_millis(200), ..SLOW }).await;
        let resting = order_of(ALICE, 1, Side::Sell, GoodTillCancelled, 500);
        harness.submit_all(vec![vec![resting]]).await;
        // A taker arrives first, but the quote is withdrawn and replaced in the same window.
        let taker = order_of(BOB, 1, Side::Buy, ImmediateOrCancel, 600);
        let (cancel, quote) = (cancel_of(ALICE, 1), order_of(ALICE, 2, Side::Sell, PostOnly, 550));
        let outcomes = harness.submit_all(vec![vec![taker.clone()], vec![quote.clone()], vec![cancel.clone()]]).await;
        let at = |outcomes: &[Outcome]| sequence(&outcomes[0]);
        assert!(at(&outcomes[2]) < at(&outcomes[1]) && at(&outcomes[1]) < at(&outcomes[0]));
        let logged = harness.logged();
        assert_eq!(logged[logged.len() - 3..], [cancel, quote, taker]);
        let Outcome::Done(Done { effect, .. }) = &outcomes[0][0] else { panic!() };
        assert_eq!(effect.fills[0].price.0, 550);
        harness.stop();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_frame_is_sealed_at_the_command_that_fills_it() {
        let mut harness = Harness::start(Pace { frame_gas: 400_000, ..SLOW }).await;
        let mut requests = Vec::new();
        for nonce in 1..=40 {
            requests.push(order_of(ALICE, nonce, Side::Sell, GoodTillCancelled, 500));
            requests.push(order_of(BOB, nonce, Side::Buy, GoodTillCancelled, 500));
        }
        let outcomes = harness.submit_all(vec![requests]).await;
        outcomes[0].iter().for_each(|outcome| assert!(sequence(outcome) > 0));
        let mut lines = 0;
        let mut last = 0;
        while let Ok(frame) = harness.frames.try_recv() {
            assert_eq!(frame.id, last + 1);
            last = frame.id;
            lines += frame.markets.iter().map(|(_, lines)| lines.len()).sum::<usize>();
        }
        assert!(last >= 3, "{last} frames");
        assert!((60..=80).contains(&lines), "{lines} lines were sealed on the way");
        let data = harness.stop();
        let mut replay = xos_journal::read_only(data.path(), 1).unwrap();
        let recovered = crate::recovery::recover(fresh(), &mut replay, Anchor::default(), 1).unwrap();
        assert_eq!(recovered.unsettled.len(), usize::try_from(last).unwrap(), "replay seals the same frames");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_that_used_more_than_was_estimated_makes_the_next_frames_smaller() {
        let lines_of_frames = async |used: u64| {
            let data = tempfile::tempdir().unwrap();
            let ready = ready(&data, Pace { frame_gas: 1_600_000, ..SLOW });
            let (backlog, sequencer, mut frames) = (Arc::clone(&ready.core.backlog), ready.sequencer, ready.frames);
            backlog.gas.sealed(0, 2_000_000);
            backlog.gas.settled(0, used);
            let (core, items) = (ready.core, ready.items);
            let thread = std::thread::spawn(move || core.run(&items));
            assert_eq!(sequencer.query(|view| view.engine.next_inbox()).await, Ok(4));
            let order = |nonce, account, side| order_of(account, nonce, side, GoodTillCancelled, 500);
            let pairs = (1..=60).flat_map(|nonce| [order(nonce, ALICE, Side::Sell), order(nonce, BOB, Side::Buy)]);
            sequencer.submit(pairs.collect()).await.unwrap();
            let first = frames.recv().await.unwrap();
            sequencer.stop();
            thread.join().unwrap().unwrap();
            first.markets.iter().map(|(_, lines)| lines.len()).sum::<usize>()
        };
        let (right, low, wrong) =
            (lines_of_frames(2_000_000).await, lines_of_frames(900_000).await, lines_of_frames(2_800_000).await);
        assert!(right > 20 && right == low, "{right} and {low} lines: cheap batches make no frame fuller");
        // What is estimated four tenths too low is sealed at seven tenths of the target, of which what came before the lines is
        // the same.
        assert!(wrong * 10 <= right * 7 && wrong * 3 > right, "{wrong} lines instead of {right}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sequencer_that_is_told_to_stop_seals_what_was_traded() {
        let mut harness = Harness::start(SLOW).await;
        let pair = vec![
            order_of(ALICE, 1, Side::Sell, GoodTillCancelled, 500),
            order_of(BOB, 1, Side::Buy, GoodTillCancelled, 500),
        ];
        harness.submit_all(vec![pair]).await;
        assert!(harness.frames.try_recv().is_err(), "its frame is open");
        harness.sequencer.stop();
        let frame = harness.frames.recv().await.unwrap();
        assert_eq!((frame.id, frame.markets.len(), frame.markets[0].1.len()), (1, 1, 2));
        assert_eq!(harness.frames.recv().await, None, "nothing comes behind it");
        harness.thread.join().unwrap().unwrap();
        let mut replay = xos_journal::read_only(harness.data.path(), 1).unwrap();
        let recovered = crate::recovery::recover(fresh(), &mut replay, Anchor::default(), 1).unwrap();
        assert_eq!(recovered.unsettled, [frame], "the journal has it");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn strangers_leave_no_trace_in_the_log() {
        let harness = Harness::start(SLOW).await;
        let before = harness.logged();
        let Command::Place { order: mut forged, .. } = order_of(ALICE, 1, Side::Buy, GoodTillCancelled, 400) else {
            panic!()
        };
        forged.signer = trader(BOB);
        let unknown = order_of(7, 1, Side::Buy, GoodTillCancelled, 400);
        let outcomes = harness.submit_all(vec![vec![Command::place(forged), unknown]]).await;
        let rejects: Vec<_> = outcomes[0]
            .iter()
            .map(|outcome| match outcome {
                Outcome::Rejected { reject, .. } => reject.clone(),
                Outcome::Done(_) | Outcome::Tree(_) => panic!("a stranger's order was taken"),
            })
            .collect();
        assert!(matches!(rejects[0], Reject::NotAuthorized { recovered, .. } if recovered == trader(BOB)));
        assert_eq!(rejects[1], Reject::UnknownAccount { account: AccountId(7) });
        assert_eq!(harness.logged(), before);
        harness.stop();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_journal_leads_back_to_the_same_state_and_only_the_chain_s_own_is_taken() {
        let mut harness = Harness::start(Pace { frame_gas: 400_000, ..SLOW }).await;
        for nonce in 1..=20 {
            let pair = vec![
                order_of(ALICE, nonce, Side::Sell, GoodTillCancelled, 480 + nonce),
                order_of(BOB, nonce, Side::Buy, GoodTillCancelled, 520 - nonce),
            ];
            harness.submit_all(vec![pair]).await;
        }
        let hash = harness.state_hash().await;
        let first = harness.frames.try_recv().unwrap();
        let data = harness.copy();
        harness.stop();
        let replay = || xos_journal::read_only(data.path(), 1).unwrap();

        let settled = Anchor { id: first.id, sequence: first.sequence, log_hash: first.log_hash };
        let recovered = crate::recovery::recover(fresh(), &mut replay(), settled, first.id + 1).unwrap();
        assert_eq!(recovered.engine.state_hash(), hash);
        assert_eq!(recovered.unsettled[0].id, first.id + 1);
        assert!(!recovered.history.trades(MARKET, 10).is_empty());

        let altered = Anchor { log_hash: [1; 32], ..settled };
        let error = crate::recovery::recover(fresh(), &mut replay(), altered, 1).unwrap_err();
        assert!(matches!(error, RecoveryError::Diverged { id: 1, .. }), "{error}");
        let ahead = Anchor { id: 1000, ..settled };
        let short = crate::recovery::recover(fresh(), &mut replay(), ahead, 1).unwrap();
        short.reaches(settled).unwrap();
        let error = short.reaches(ahead).unwrap_err();
        assert!(matches!(error, RecoveryError::ChainAhead { settled: 1000, .. }), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn when_the_journal_fails_the_sequencer_ends_and_who_was_answered_is_in_the_log() {
        let harness = Harness::start(SLOW).await;
        // What is open stays open, but nothing can be made there any more. Orders would be refused for that; withdrawals go on.
        let elsewhere = tempfile::tempdir().unwrap();
        let (from, to) = (harness.data.path().to_owned(), elsewhere.path().join("journal"));
        std::fs::rename(&from, &to).unwrap();
        let mut answered = Vec::new();
        let refused = loop {
            let nonce = 1 + answered.len() as u64;
            match harness.sequencer.submit(vec![withdraw(nonce)]).await {
                Ok(outcomes) => answered.push(sequence(&outcomes[0])),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused, Refused::Stopped);
        let Harness { thread, sequencer, .. } = harness;
        let error = thread.join().unwrap().unwrap_err();
        assert!(matches!(error, Stopped::Journal(JournalError::Failed { .. })), "{error}");
        assert_eq!(sequencer.query(|_| ()).await, Err(Refused::Stopped));
        let logged = xos_journal::read_only(&to, 1).unwrap().map(Result::unwrap).count() as u64;
        assert!(answered.len() > 50 && answered.iter().all(|sequence| *sequence <= logged), "{answered:?}, {logged}");
        std::fs::create_dir(&from).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_question_that_panics_hurts_nobody() {
        let harness = Harness::start(SLOW).await;
        harness.submit_all(vec![vec![order_of(ALICE, 1, Side::Buy, PostOnly, 100)]]).await;
        let panicked = harness.sequencer.query(|_| panic!("a bug in a question")).await;
        assert!(panicked.is_err());
        assert_eq!(harness.sequencer.query(|view| view.engine.resting_orders()).await.unwrap(), 1);
        harness.stop();
    }
}
