//! What waits for the sequencer, how much of it may wait, and in which order a window of it executes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc as tokio_mpsc, oneshot};
use xos_journal::{Durability, SealedBlock, Shortage};
use xos_types::{Command, Hash, Precedence, WindowOrder};

use crate::door::{client, turn};
use crate::feeds::Feeds;
use crate::receipt::Outcome;
use crate::replication::Role;
use crate::sealing::Sealing;
use crate::sequencer::View;

/// Between two looks at whether the queue is empty.
const DRAIN_POLL: Duration = Duration::from_millis(2);
/// Questions of strangers that the sequencer has at a time, and whatever comes behind them waits for.
const STRANGERS_ASKING: usize = 4;

/// One request's commands; they share a window.
pub(crate) struct Ingress {
    pub(crate) commands: Vec<Command>,
    /// When they were handed over.
    pub(crate) since: Instant,
    reply: oneshot::Sender<Vec<Outcome>>,
    queued: Permit,
}

impl Ingress {
    /// How many commands it counts for.
    pub(crate) fn count(&self) -> usize {
        self.queued.count
    }

    /// Answers, and makes room in the queue.
    pub(crate) fn answer(self, outcomes: Vec<Outcome>) {
        // If nobody waits any more the commands still happened; `xos_order` tells.
        let _ = self.reply.send(outcomes);
    }
}

/// A question that is answered between two windows. What it comes to is delivered when all that it looked at is durable.
pub(crate) struct Query {
    pub(crate) run: Box<dyn FnOnce(View<'_>) -> Delivery + Send>,
}

/// Tells an asker the answer; may have it listen to what follows, and nothing else, from there on.
pub(crate) type Delivery = Box<dyn FnOnce(&mut Feeds) + Send>;

pub(crate) enum Item {
    Commands(Ingress),
    Query(Query),
    Following(Following),
    Stop,
}

/// What a standby is told by the log.
pub(crate) enum Following {
    /// The leader's next block. The place is given back when it was applied.
    Block { block: SealedBlock, place: OwnedSemaphorePermit },
    /// The leader says that its log has this hash at this frame.
    Claimed { frame: u64, log_hash: Hash },
    /// This node leads from here on: its journal's blocks go to `offer`, and `ready` gets the number of the next inbox item.
    Lead { offer: tokio_mpsc::Sender<SealedBlock>, ready: oneshot::Sender<u64> },
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A bound was reached.
    #[error(
        "the node has {queued} {what} waiting, the most it takes ({limit}); nothing was done; try again a little later"
    )]
    Overloaded {
        /// What waits.
        what: &'static str,
        /// How many of it.
        queued: usize,
        /// The most that may.
        limit: usize,
    },
    /// The disk is nearly full.
    #[error(
        "the disk of the node has no room for more of its log ({why}), and keeps the {bytes_left} bytes that are left for \
         what takes risk away; nothing was done; cancel or withdraw, or place orders again when its operator has made room"
    )]
    DiskFull {
        /// What came back when more was asked of it.
        why: String,
        /// What can still be written.
        bytes_left: u64,
    },
    /// Another node leads.
    #[error(
        "this node is a standby, which takes no commands; nothing was done; send it to the leader{}",
        leader.as_ref().map(|leader| format!(", {leader}")).unwrap_or_default()
    )]
    Standby {
        /// Where the leader was last heard to take requests.
        leader: Option<String>,
    },
    /// The node is being shut down and takes nothing more.
    #[error("the node is shutting down and takes nothing more; nothing was done; try again when it is back")]
    Stopping,
    /// The sequencer stopped before it answered.
    #[error("the node is stopping; whether the command took effect can be asked with xos_order once it is back")]
    Stopped,
}

/// How many of something may wait.
#[derive(Debug)]
struct Gauge {
    what: &'static str,
    queued: AtomicUsize,
    limit: usize,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) what: &'static str,
    pub(crate) depth: usize,
    pub(crate) limit: usize,
}

/// Room for `count` of something, given back when dropped.
struct Permit {
    gauge: Arc<Gauge>,
    count: usize,
}

impl Gauge {
    fn new(what: &'static str, limit: usize) -> Arc<Self> {
        Arc::new(Self { what, queued: AtomicUsize::new(0), limit })
    }

    fn take(self: &Arc<Self>, count: usize) -> Result<Permit, Refused> {
        // In one order with the look at whether the node stops; see `Sequencer::drain`.
        let queued = self.queued.fetch_add(count, Ordering::SeqCst);
        let permit = Permit { gauge: Arc::clone(self), count };
        if queued + count > self.limit {
            return Err(Refused::Overloaded { what: self.what, queued, limit: self.limit });
        }
        Ok(permit)
    }

    fn depth(&self) -> Depth {
        Depth { what: self.what, depth: self.queued.load(Ordering::SeqCst), limit: self.limit }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gauge.queued.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Sealed frames that wait for settlement, and how many may.
#[derive(Debug)]
pub(crate) struct Backlog {
    sealed: AtomicU64,
    settled: AtomicU64,
    finalized: AtomicU64,
    limit: u64,
    /// What their batches were thought to cost, and what they cost.
    pub(crate) gas: Sealing,
}

impl Backlog {
    pub(crate) fn new(sealed: u64, settled: u64, limit: u64) -> Arc<Self> {
        let (sealed, settled, finalized) = (AtomicU64::new(sealed), AtomicU64::new(settled), AtomicU64::new(0));
        Arc::new(Self { sealed, settled, finalized, limit, gas: Sealing::default() })
    }

    pub(crate) fn sealed(&self) -> u64 {
        self.sealed.load(Ordering::Relaxed)
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    pub(crate) fn set_sealed(&self, id: u64) {
        self.sealed.fetch_max(id, Ordering::Relaxed);
    }

    pub(crate) fn set_settled(&self, id: u64) {
        self.settled.fetch_max(id, Ordering::Relaxed);
    }

    /// The last one whose batch no reorganisation takes back, as far as is known.
    pub(crate) fn finalized(&self) -> u64 {
        self.finalized.load(Ordering::Relaxed)
    }

    pub(crate) fn set_finalized(&self, id: u64) {
        self.finalized.fetch_max(id, Ordering::Relaxed);
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.sealed().saturating_sub(self.settled())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting() >= self.limit
    }

    fn refused(&self) -> Refused {
        let Depth { what, depth: queued, limit } = self.depth();
        Refused::Overloaded { what, queued, limit }
    }

    fn depth(&self) -> Depth {
        let count = |frames: u64| usize::try_from(frames).unwrap_or(usize::MAX);
        Depth { what: "unsettled frames", depth: count(self.waiting()), limit: count(self.limit) }
    }
}

/// The way to the sequencer thread; cheap to clone.
#[derive(Clone)]
pub(crate) struct Sequencer {
    items: mpsc::Sender<Item>,
    commands: Arc<Gauge>,
    /// What only takes orders away has room of its own, so that no flood of orders keeps anybody from leaving.
    cancellations: Arc<Gauge>,
    queries: Arc<Gauge>,
    /// Places for questions of clients of whom nothing good has come.
    strangers: Arc<Semaphore>,
    backlog: Arc<Backlog>,
    disk: Durability,
    role: Arc<Role>,
    stopping: Arc<AtomicBool>,
}

impl Sequencer {
    /// A queue that holds at most so many commands, as many cancellations beside them, and so many queries. It is closed to
    /// orders while the disk is nearly full, and to all but cancellations while the backlog is.
    pub(crate) fn channel(
        commands: usize,
        queries: usize,
        backlog: Arc<Backlog>,
        disk: Durability,
        role: Arc<Role>,
    ) -> (Self, mpsc::Receiver<Item>) {
        let (items, receiver) = mpsc::channel();
        let queue = Self {
            items,
            commands: Gauge::new("commands", commands),
            cancellations: Gauge::new("cancellations", commands),
            queries: Gauge::new("questions", queries),
            strangers: Arc::new(Semaphore::new(STRANGERS_ASKING)),
            backlog,
            disk,
            role,
            stopping: Arc::default(),
        };
        (queue, receiver)
    }

    /// Hands commands over, kept together and in order within their precedence, and waits until they are durable.
    ///
    /// # Errors
    /// If they were not handed over, or the sequencer stopped meanwhile.
    pub(crate) async fn submit(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, Refused> {
        self.role_allows()?;
        let only_cancels = commands.iter().all(|command| Precedence::of(command) == Some(Precedence::Cancel));
        if !only_cancels {
            self.settlement_keeps_up()?;
        }
        if commands.iter().any(Command::is_order) {
            self.disk_has_room()?;
        }
        let turn = turn::mine().await;
        let lane = if only_cancels { &self.cancellations } else { &self.commands };
        let permit = lane.take(commands.iter().map(Command::count).sum())?;
        // Again, now that `drain` waits for the permit.
        self.going_on()?;
        let (reply, outcomes) = oneshot::channel();
        let item = Item::Commands(Ingress { commands, since: Instant::now(), reply, queued: permit });
        self.items.send(item).map_err(|_| Refused::Stopped)?;
        drop(turn);
        outcomes.await.map_err(|_| Refused::Stopped)
    }

    /// Asks a question of the state as it stands between two windows. The answer waits until that state is durable.
    ///
    /// # Errors
    /// If it was not asked, or the sequencer stopped meanwhile.
    pub(crate) async fn query<R: Send + 'static>(
        &self,
        question: impl FnOnce(View<'_>) -> R + Send + 'static,
    ) -> Result<R, Refused> {
        self.query_and_then(question, |_, answer| answer).await
    }

    /// The same, and what is done with the answer when it is durable, before anything later is let out.
    ///
    /// # Errors
    /// Those of [`Self::query`].
    pub(crate) async fn query_and_then<A: Send + 'static, R: Send + 'static>(
        &self,
        question: impl FnOnce(View<'_>) -> A + Send + 'static,
        then: impl FnOnce(&mut Feeds, A) -> R + Send + 'static,
    ) -> Result<R, Refused> {
        let turn = turn::mine().await;
        // Who waits for a place takes no room from those who need none.
        let place = if client::is_known() {
            None
        } else {
            Some(Arc::clone(&self.strangers).acquire_owned().await.map_err(|_| Refused::Stopped)?)
        };
        let permit = self.queries.take(1)?;
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |view: View<'_>| {
            let answer = question(view);
            drop(place);
            let deliver = move |feeds: &mut Feeds| {
                // Nobody to answer: the connection is gone.
                let _ = reply.send(then(feeds, answer));
                drop(permit);
            };
            Box::new(deliver) as Delivery
        });
        self.items.send(Item::Query(Query { run })).map_err(|_| Refused::Stopped)?;
        drop(turn);
        answer.await.map_err(|_| Refused::Stopped)
    }

    /// Whether all commands are taken at the moment.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn ready(&self) -> Result<(), Refused> {
        self.role_allows()
            .and_then(|()| self.going_on())
            .and_then(|()| self.settlement_keeps_up())
            .and_then(|()| self.disk_has_room())
    }

    fn role_allows(&self) -> Result<(), Refused> {
        if self.role.leads() { Ok(()) } else { Err(Refused::Standby { leader: self.role.leader() }) }
    }

    fn disk_has_room(&self) -> Result<(), Refused> {
        match self.disk.shortage() {
            Some(Shortage { why, bytes_left }) => Err(Refused::DiskFull { why, bytes_left }),
            None => Ok(()),
        }
    }

    fn settlement_keeps_up(&self) -> Result<(), Refused> {
        if self.backlog.is_full() { Err(self.backlog.refused()) } else { Ok(()) }
    }

    fn going_on(&self) -> Result<(), Refused> {
        if self.stopping.load(Ordering::SeqCst) { Err(Refused::Stopping) } else { Ok(()) }
    }

    /// Refuses commands from here on, and waits until those taken before are answered. So of every command its sender
    /// hears either what became of it, or that nothing was done.
    pub(crate) async fn drain(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        while self.commands.depth().depth + self.cancellations.depth().depth > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    /// Nothing that is not durable yet ever will be.
    pub(crate) fn fail(&self, why: &impl std::fmt::Display) {
        self.disk.fail(why.to_string());
    }

    /// Tells a standby what the log says; false if the sequencer has stopped.
    pub(crate) fn follow(&self, news: Following) -> bool {
        self.items.send(Item::Following(news)).is_ok()
    }

    /// How full the queues are.
    pub(crate) fn queues(&self) -> [Depth; 4] {
        [self.commands.depth(), self.cancellations.depth(), self.queries.depth(), self.backlog.depth()]
    }

    pub(crate) fn stop(&self) {
        // If the thread is gone already, it has stopped.
        let _ = self.items.send(Item::Stop);
    }
}

/// A command with where its answer belongs: the request, and its place in it.
pub(crate) struct Placed {
    pub(crate) request: usize,
    pub(crate) position: usize,
    pub(crate) command: Command,
}

/// The order in which a window executes the commands that arrived in this one.
pub(crate) fn maker_friendly(mut placed: Vec<Placed>) -> Vec<Placed> {
    // Stable sorts: what has the same precedence stays in order of arrival.
    if !placed.iter().any(|placed| takes_orders(&placed.command)) {
        placed.sort_by_key(|placed| Precedence::of(&placed.command));
        return placed;
    }
    let mut window = WindowOrder::default();
    let mut turns: Vec<_> = placed.into_iter().map(|placed| (window.next(&placed.command), placed)).collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, placed)| placed).collect()
}

/// Whether it may take away an order of the same window.
fn takes_orders(command: &Command) -> bool {
    let replaces = match command {
        Command::Replace { .. } | Command::Replan { .. } => true,
        Command::PlaceTree { replaces, .. } => !replaces.is_empty(),
        _ => false,
    };
    replaces || Precedence::of(command) == Some(Precedence::Cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cancel, idle_disk, order, withdraw};
    use xos_types::OrderKind::{GoodTillCancelled, PostOnly};

    fn executed(commands: Vec<Command>) -> Vec<usize> {
        let placed =
            commands.into_iter().enumerate().map(|(position, command)| Placed { request: 0, position, command });
        maker_friendly(placed.collect()).iter().map(|placed| placed.position).collect()
    }

    #[test]
    fn cancels_go_first_then_post_only_then_the_rest_each_in_order_of_arrival() {
        let (taker, quote) = (|nonce| order(nonce, GoodTillCancelled), |nonce| order(nonce, PostOnly));
        let window = vec![taker(1), quote(2), withdraw(3), cancel(40), quote(5), taker(6), cancel(70)];
        assert_eq!(executed(window), [3, 6, 1, 4, 0, 2, 5]);
        assert_eq!(executed(vec![taker(1), quote(2), taker(3)]), [1, 0, 2]);
    }

    #[test]
    fn what_takes_an_order_of_the_same_window_away_goes_behind_it_and_all_else_as_ever() {
        let (taker, quote) = (|nonce| order(nonce, GoodTillCancelled), |nonce| order(nonce, PostOnly));
        assert_eq!(executed(vec![taker(1), cancel(1), cancel(9)]), [2, 0, 1]);
        assert_eq!(executed(vec![taker(8), quote(1), cancel(1)]), [1, 2, 0]);
        assert_eq!(executed(vec![cancel(1), taker(1)]), [0, 1], "it came before");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_room_comes_back() {
        let (queue, receiver) = Sequencer::channel(3, 1, Backlog::new(0, 0, 10), idle_disk(), Role::alone());
        let (first, second) = (queue.clone(), queue.clone());
        let waiting = tokio::spawn(async move { first.submit(vec![withdraw(1), withdraw(2)]).await });
        while queue.commands.queued.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        let refused = second.submit(vec![cancel(3), withdraw(4)]).await;
        assert!(matches!(refused, Err(Refused::Overloaded { queued: 2, limit: 3, .. })));
        let leaving = tokio::spawn(async move { second.submit(vec![cancel(5), cancel(6)]).await });
        while queue.cancellations.depth().depth < 2 {
            tokio::task::yield_now().await;
        }
        drop(receiver.recv().unwrap());
        drop(receiver.recv().unwrap());
        assert!(matches!(waiting.await.unwrap(), Err(Refused::Stopped)));
        assert!(matches!(leaving.await.unwrap(), Err(Refused::Stopped)), "it was let in, and lost with the receiver");
        assert_eq!(queue.queues()[..2].iter().map(|queue| queue.depth).sum::<usize>(), 0);
    }

    #[tokio::test]
    async fn a_queue_that_is_drained_refuses_and_lets_out_what_it_has() {
        let (queue, receiver) = Sequencer::channel(10, 1, Backlog::new(0, 0, 10), idle_disk(), Role::alone());
        let taken = queue.clone();
        let waiting = tokio::spawn(async move { taken.submit(vec![cancel(1)]).await });
        while queue.cancellations.depth().depth == 0 {
            tokio::task::yield_now().await;
        }
        let drained = queue.clone();
        let drained = tokio::spawn(async move { drained.drain().await });
        while queue.ready().is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.submit(vec![cancel(2)]).await.err(), Some(Refused::Stopping));
        tokio::time::sleep(DRAIN_POLL * 5).await;
        assert!(!drained.is_finished(), "one is not answered yet");
        let Item::Commands(request) = receiver.recv().unwrap() else { panic!("a command waits") };
        request.answer(Vec::new());
        drained.await.unwrap();
        assert_eq!(waiting.await.unwrap().map(|outcomes| outcomes.len()), Ok(0));
        assert!(receiver.try_recv().is_err(), "nothing else was handed over");
    }

    #[tokio::test]
    async fn commands_wait_while_settlement_is_too_far_behind() {
        let backlog = Backlog::new(7, 3, 5);
        let (queue, _receiver) = Sequencer::channel(10, 10, Arc::clone(&backlog), idle_disk(), Role::alone());
        assert!(queue.ready().is_ok());
        backlog.set_sealed(8);
        let refused = queue.submit(vec![cancel(1), withdraw(2)]).await;
        assert!(matches!(refused, Err(Refused::Overloaded { what: "unsettled frames", .. })));
        let leaving = queue.clone();
        tokio::spawn(async move { leaving.submit(vec![cancel(3)]).await });
        while queue.cancellations.depth().depth == 0 {
            tokio::task::yield_now().await;
        }
    }
}
