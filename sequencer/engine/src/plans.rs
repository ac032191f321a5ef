//! Orders that wait outside the books: what each waits for, and which orders hang together.
//!
//! ```text
//!                 the order that it                    the price
//!                 follows fills                        is there
//!   Asleep ─────────────────────────▶ Armed ──────────────────────▶ Ready ───▶ the book, when a frame opens
//!      │    (with a trigger)                                          ▲  │
//!      └── that order ends, having filled (without one) ──────────────┤  │ a slice of a TWAP
//!                                                                     │  ▼
//!                                                                    Paced
//! ```
//!
//! Nothing that waits holds margin; it is checked as if it arrived when it goes to the book. Everything here is kept by key,
//! so what happens does not depend on how it came to be in memory. [`crate::planned`] takes orders in, [`crate::replan`] lets one
//! take another's place, [`crate::triggers`] finds them by price, [`crate::releases`] lets them into the books, and
//! [`crate::follow`] says what follows from fills and ends.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xos_types::{AccountId, EventId, Instructions, Lots, MarketId, Nonce, Order, Pace, Plan, Signed, TimeMs, Trigger};

use crate::fees::FeeCredit;
use crate::triggers::Triggers;

/// An order's name.
pub(crate) type Name = (AccountId, Nonce);

/// An order of which something waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) signed: Signed<Order>,
    pub(crate) instructions: Instructions,
    pub(crate) plan: Plan,
    /// Numbers those that wait, in the order in which they came.
    pub(crate) arrival: u64,
    /// Lots that were taken off it and did not fill.
    pub(crate) less: Lots,
    /// Lots that its slices filled.
    pub(crate) filled: Lots,
    /// What they prepaid of fees.
    pub(crate) credit: FeeCredit,
    /// Lots that the order filled which it follows.
    pub(crate) followed: Lots,
    /// When its first slice was due.
    pub(crate) began: Option<TimeMs>,
    pub(crate) stage: Stage,
}

/// What an order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// The order that it follows.
    Asleep,
    /// A price.
    Armed,
    /// The time of its next slice.
    Paced(TimeMs),
    /// The opening of a frame with this number, or a later one if that has no room.
    Ready(u64),
}

impl Waiting {
    pub(crate) fn name(&self) -> Name {
        (self.signed.message.account, self.signed.message.nonce)
    }

    pub(crate) fn market(&self) -> MarketId {
        self.signed.message.market
    }

    /// Its size now, counting what has filled.
    pub(crate) fn size(&self) -> Lots {
        Lots(self.signed.message.size.0 - self.less.0)
    }

    /// Whether its lots can be what is left of what was signed, and it waits for something that its plan has.
    pub(crate) fn is_possible(&self) -> bool {
        let Plan { after, trigger, pace, .. } = self.plan;
        let left = self.signed.message.size.0.checked_sub(self.less.0);
        let waits = match self.stage {
            Stage::Asleep => after.is_some(),
            Stage::Armed => trigger.is_some(),
            Stage::Paced(_) => matches!(pace, Pace::Twap { .. }),
            Stage::Ready(_) => true,
        };
        waits && left.is_some_and(|left| self.filled.0 <= left) && self.credit.is_possible()
    }

    fn entry(&self) -> Entry {
        let (name, market) = (self.name(), self.market());
        Entry { name, market, arrival: self.arrival, trigger: self.plan.trigger, stage: self.stage }
    }

    /// Lots that wait.
    pub(crate) fn remaining(&self) -> Lots {
        Lots(self.size().0 - self.filled.0)
    }
}

/// By what an order is found while it waits.
#[derive(Clone, Copy)]
struct Entry {
    name: Name,
    market: MarketId,
    arrival: u64,
    trigger: Option<Trigger>,
    stage: Stage,
}

/// Two orders that exclude each other, seen from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) with: Nonce,
    pub(crate) bond: Bond,
}

/// How two orders exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bond {
    /// What one fills is taken off the other: both reduce the same position.
    Shared,
    /// One fill, or the price of one, cancels the other.
    Exclusive,
}

/// Every order that waits, with the indexes by which it is found.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    arrivals: u64,
    /// Frames that were opened while something waited.
    openings: u64,
    waiting: BTreeMap<Name, Waiting>,
    /// Orders that exclude another, resting or waiting; each pair is here twice.
    pairs: BTreeMap<Name, Pair>,
    /// Who follows whom: account, the order that is followed, the one that follows. This and all below derive from `waiting`.
    followers: BTreeSet<(AccountId, Nonce, Nonce)>,
    by_market: BTreeSet<(MarketId, u64, Name)>,
    pub(crate) triggers: Triggers,
    timers: BTreeSet<(TimeMs, u64, Name)>,
    ready: BTreeMap<MarketId, BTreeSet<Turn>>,
}

/// When an order goes to its market's book: since which opening it has been ready, and its arrival.
type Turn = (u64, u64, Name);

impl Plans {
    /// Nothing waits and no orders exclude each other.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.pairs.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn get(&self, name: Name) -> Option<&Waiting> {
        self.waiting.get(&name)
    }

    /// To change how much of it there is; its stage is changed by [`Self::set_stage`].
    pub(crate) fn get_mut(&mut self, name: Name) -> Option<&mut Waiting> {
        self.waiting.get_mut(&name)
    }

    /// Every waiting order, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// What waits of an account, by nonce.
    pub(crate) fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Waiting> {
        self.waiting.range((account, Nonce(0))..=(account, Nonce(u64::MAX))).map(|(_, waiting)| waiting)
    }

    /// What waits in a listing's markets: market by market, in order of arrival.
    pub(crate) fn of_event(&self, event: EventId) -> Vec<Name> {
        let least = (AccountId(0), Nonce(0));
        let from = (MarketId::new(event, 0), 0, least);
        let until = (MarketId::new(event, u8::MAX), u64::MAX, (AccountId(u64::MAX), Nonce(u64::MAX)));
        self.by_market.range(from..=until).map(|(_, _, name)| *name).collect()
    }

    /// Numbers what arrives.
    pub(crate) fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    pub(crate) fn insert(&mut self, waiting: Waiting) {
        let (account, nonce) = waiting.name();
        if let Some(followed) = waiting.plan.after {
            self.followers.insert((account, followed, nonce));
        }
        self.by_market.insert((waiting.market(), waiting.arrival, waiting.name()));
        self.index(waiting.entry());
        self.waiting.insert(waiting.name(), waiting);
    }

    pub(crate) fn remove(&mut self, name: Name) -> Waiting {
        let waiting = self.waiting.remove(&name).expect("only what waits is taken out");
        self.unindex(waiting.entry());
        if let Some(followed) = waiting.plan.after {
            self.followers.remove(&(name.0, followed, name.1));
        }
        self.by_market.remove(&(waiting.market(), waiting.arrival, name));
        waiting
    }

    /// It waits for something else from now on.
    pub(crate) fn set_stage(&mut self, name: Name, stage: Stage) {
        let waiting = self.waiting.get_mut(&name).expect("only what waits waits for something else");
        let before = waiting.entry();
        waiting.stage = stage;
        let after = waiting.entry();
        self.unindex(before);
        self.index(after);
    }

    fn index(&mut self, Entry { name, market, arrival, trigger, stage }: Entry) {
        match stage {
            Stage::Asleep => {}
            Stage::Armed => {
                self.triggers.arm(market, trigger.expect("armed is what has a trigger"), arrival, name);
            }
            Stage::Paced(next) => {
                self.timers.insert((next, arrival, name));
            }
            Stage::Ready(opening) => {
                self.ready.entry(market).or_default().insert((opening, arrival, name));
            }
        }
    }

    fn unindex(&mut self, Entry { name, market, arrival, trigger, stage }: Entry) {
        match stage {
            Stage::Asleep => {}
            Stage::Armed => {
                self.triggers.disarm(market, trigger.expect("armed is what has a trigger"), arrival, name);
            }
            Stage::Paced(next) => {
                self.timers.remove(&(next, arrival, name));
            }
            Stage::Ready(opening) => {
                let turns = self.ready.get_mut(&market).expect("it was put there");
                turns.remove(&(opening, arrival, name));
                if turns.is_empty() {
                    self.ready.remove(&market);
                }
            }
        }
    }

    /// Orders whose next slice is due, soonest first, so many at most.
    pub(crate) fn due(&self, now: TimeMs, most: usize) -> Vec<Name> {
        self.timers.iter().take_while(|(time, ..)| *time <= now).take(most).map(|(_, _, name)| *name).collect()
    }

    /// A frame opens.
    pub(crate) fn begin_opening(&mut self) {
        self.openings += 1;
    }

    /// The frame that opens, or opened last.
    pub(crate) fn opening(&self) -> u64 {
        self.openings
    }

    /// Markets for which something is ready, now or when the next frame opens.
    pub(crate) fn ready_markets(&self) -> impl Iterator<Item = MarketId> {
        self.ready.keys().copied()
    }

    /// Who is to go to a market's book next as the frame opens, and since which opening: what has waited longest, then by arrival.
    pub(crate) fn next_ready(&self, market: MarketId) -> Option<(u64, Name)> {
        let (opening, _, name) = self.ready.get(&market)?.first()?;
        (*opening <= self.openings).then_some((*opening, *name))
    }

    /// Orders that follow one, by nonce.
    pub(crate) fn followers_of(&self, (account, nonce): Name) -> Vec<Nonce> {
        let range = (account, nonce, Nonce(0))..=(account, nonce, Nonce(u64::MAX));
        self.followers.range(range).map(|(_, _, follower)| *follower).collect()
    }

    /// Orders below a nonce that others follow, ascending.
    pub(crate) fn followed_below(&self, account: AccountId, floor: Nonce) -> BTreeSet<Nonce> {
        let range = (account, Nonce(0), Nonce(0))..(account, floor, Nonce(0));
        self.followers.range(range).map(|(_, followed, _)| *followed).collect()
    }

    pub(crate) fn pair(&self, name: Name) -> Option<Pair> {
        self.pairs.get(&name).copied()
    }

    /// Every pair, from both sides.
    pub(crate) fn pairs(&self) -> &BTreeMap<Name, Pair> {
        &self.pairs
    }

    pub(crate) fn tie(&mut self, account: AccountId, one: Nonce, other: Nonce, bond: Bond) {
        self.pairs.insert((account, one), Pair { with: other, bond });
        self.pairs.insert((account, other), Pair { with: one, bond });
    }

    /// Whether it was one of a pair.
    pub(crate) fn untie(&mut self, (account, nonce): Name) -> bool {
        let pair = self.pairs.remove(&(account, nonce));
        if let Some(Pair { with, .. }) = pair {
            self.pairs.remove(&(account, with));
        }
        pair.is_some()
    }

    /// Whatever hangs on one order hangs on another from now on.
    pub(crate) fn rename(&mut self, account: AccountId, old: Nonce, new: Nonce) {
        for follower in self.followers_of((account, old)) {
            let mut waiting = self.remove((account, follower));
            waiting.plan.after = Some(new);
            self.insert(waiting);
        }
        if let Some(Pair { with, bond }) = self.pair((account, old)) {
            self.untie((account, old));
            self.tie(account, new, with, bond);
        }
    }

    /// The numbers that go on, for the state's records.
    pub(crate) fn counters(&self) -> (u64, u64) {
        (self.arrivals, self.openings)
    }

    /// As a snapshot has them; what waits is inserted one by one.
    pub(crate) fn restore((arrivals, openings): (u64, u64), pairs: BTreeMap<Name, Pair>) -> Self {
        Self { arrivals, openings, pairs, ..Self::default() }
    }

    /// Orders whose price has come and that are still to be triggered, for the state's records.
    pub(crate) fn reached(&self) -> Vec<Vec<Name>> {
        self.triggers.reached()
    }

    /// As a snapshot has them, when what waits is there; `false` if one of them waits for no price.
    pub(crate) fn restore_reached(&mut self, batches: Vec<Vec<Name>>) -> bool {
        let armed = |name: Name| {
            let Waiting { stage: Stage::Armed, .. } = self.waiting.get(&name)? else { return None };
            let Entry { market, arrival, trigger, .. } = self.waiting[&name].entry();
            Some((market, trigger?, arrival, name))
        };
        let found: Option<Vec<Vec<_>>> =
            batches.into_iter().map(|batch| batch.into_iter().map(armed).collect()).collect();
        let Some(found) = found else { return false };
        found.into_iter().for_each(|batch| self.triggers.restore_reached(batch));
        true
    }

    /// # Panics
    /// If an index is not what `waiting` says.
    pub(crate) fn check(&self) {
        let mut fresh = Self::restore(self.counters(), self.pairs.clone());
        self.waiting.values().for_each(|waiting| fresh.insert(waiting.clone()));
        assert_eq!(fresh.followers, self.followers, "who follows whom");
        assert_eq!(fresh.by_market, self.by_market, "waiting orders by market");
        assert!(fresh.restore_reached(self.reached()), "whatever a price has reached is armed");
        assert_eq!(fresh.triggers, self.triggers, "armed orders by level");
        assert_eq!(fresh.timers, self.timers, "slices by time");
        assert_eq!(fresh.ready, self.ready, "orders that are to go to the book");
        for ((account, nonce), Pair { with, bond }) in &self.pairs {
            let back = self.pairs.get(&(*account, *with));
            assert_eq!(back, Some(&Pair { with: *nonce, bond: *bond }), "orders exclude each other");
        }
    }
}
