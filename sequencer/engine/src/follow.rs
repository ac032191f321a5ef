//! What follows when an order fills or ends: orders that it excludes, orders that follow it, and reduce-only orders that have
//! less to reduce.
//!
//! All of it happens right behind the fill, before the next one, so that no two orders fill of which one excludes the other. It
//! takes lots away and wakes what waits; nothing of it trades, so no match begins inside another. An account of which no
//! orders hang together and none only reduces costs a look at two of its fields.

use xos_book::Handle;
use xos_types::{AccountId, CancelReason, Event, Lots, MarketId, Nonce, Order};

use crate::engine::{Engine, tell};
use crate::plans::{Bond, Name, Pair, Stage, Waiting};

/// Where an order is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Live {
    Resting(Handle),
    Waiting,
}

impl Engine {
    /// The order, if anything of it rests or waits.
    pub(crate) fn live(&self, (account, nonce): Name) -> Option<Live> {
        let resting = self.resting(account, nonce).map(Live::Resting);
        // Most accounts have nothing that waits.
        let waits = || self.find_account(account).is_some_and(|state| state.waiting > 0);
        let waiting = || (waits() && self.plans.get((account, nonce)).is_some()).then_some(Live::Waiting);
        resting.or_else(waiting)
    }

    /// Whether fills of the account's orders have to be followed up.
    #[inline]
    pub(crate) fn is_followed_up(&self, account: AccountId) -> bool {
        let state = &self.accounts[account];
        state.links | state.reducing != 0
    }

    /// An order filled so many lots.
    pub(crate) fn follow_fill(&mut self, name: Name, market: MarketId, lots: Lots, events: &mut Vec<Event>) {
        let (account, _) = name;
        if self.accounts[account].links > 0 {
            for nonce in self.plans.followers_of(name) {
                let waiting = self.plans.get_mut((account, nonce)).expect("whoever follows waits");
                waiting.followed.0 += lots.0;
                if waiting.stage == Stage::Asleep && waiting.plan.trigger.is_some() {
                    self.plans.set_stage((account, nonce), Stage::Armed);
                }
            }
            match self.plans.pair(name) {
                Some(Pair { with, bond: Bond::Exclusive }) => self.exclude((account, with), events),
                Some(Pair { with, bond: Bond::Shared }) => {
                    self.take_off((account, with), lots, CancelReason::OneCancelsOther, events);
                }
                None => {}
            }
        }
        if self.accounts[account].reducing > 0 {
            self.trim(account, market, events);
        }
    }

    /// Nothing of an order rests or waits any more, or its nonce went to something else.
    #[inline]
    pub(crate) fn follow_end(&mut self, name: Name, events: &mut Vec<Event>) {
        if self.accounts[name.0].links > 0 {
            self.end_what_followed(name, events);
        }
    }

    #[cold]
    fn end_what_followed(&mut self, (account, nonce): Name, events: &mut Vec<Event>) {
        // Who follows may be followed in turn: a list, and no recursion, however long the chain.
        let (mut ended, mut next) = (vec![nonce], 0);
        while let Some(nonce) = ended.get(next).copied() {
            next += 1;
            self.untie((account, nonce));
            for follower in self.plans.followers_of((account, nonce)) {
                let name = (account, follower);
                let waiting = self.plans.get(name).expect("whoever follows waits");
                if waiting.followed == Lots(0) {
                    self.drop_waiting(name, CancelReason::NothingToFollow, events);
                    ended.push(follower);
                } else if waiting.stage == Stage::Asleep {
                    self.make_ready(name, self.plans.opening() + 1);
                }
            }
        }
    }

    /// Cancels the other order of a pair.
    pub(crate) fn exclude(&mut self, name: Name, events: &mut Vec<Event>) {
        self.untie(name);
        self.cancel_live(name, CancelReason::OneCancelsOther, events);
    }

    /// Cancels an order wherever it is, if it is.
    pub(crate) fn cancel_live(&mut self, name: Name, reason: CancelReason, events: &mut Vec<Event>) {
        match self.live(name) {
            Some(Live::Resting(handle)) => self.cancel(handle, reason, events),
            Some(Live::Waiting) => self.cancel_waiting(name, reason, events),
            None => {}
        }
    }

    /// Takes lots off an order wherever it is; it ends if there are no more.
    pub(crate) fn take_off(&mut self, name: Name, by: Lots, reason: CancelReason, events: &mut Vec<Event>) {
        let remaining = match self.live(name) {
            Some(Live::Resting(handle)) => self.orders.remaining(handle),
            Some(Live::Waiting) => self.plans.get(name).expect("it waits").remaining(),
            None => return,
        };
        match self.live(name) {
            _ if remaining <= by => self.cancel_live(name, reason, events),
            Some(Live::Resting(handle)) => self.reduce(handle, by, reason, events),
            _ => self.reduce_waiting(name, by, reason, events),
        }
    }

    /// Takes lots off an order that waits and goes on waiting.
    pub(crate) fn reduce_waiting(&mut self, name: Name, by: Lots, reason: CancelReason, events: &mut Vec<Event>) {
        let waiting = self.plans.get_mut(name).expect("it waits");
        waiting.less.0 += by.0;
        let remaining = waiting.remaining();
        let Order { account, nonce, market, side, price, .. } = waiting.signed.message;
        events.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
    }

    /// Cancels an order that waits.
    pub(crate) fn cancel_waiting(&mut self, name: Name, reason: CancelReason, events: &mut Vec<Event>) {
        self.drop_waiting(name, reason, events);
        self.follow_end(name, events);
    }

    /// Cancels those of an account's waiting orders, by nonce.
    pub(crate) fn cancel_waiting_of(
        &mut self,
        account: AccountId,
        reason: CancelReason,
        goes: impl Fn(&Self, &Waiting) -> bool,
        events: &mut Vec<Event>,
    ) {
        if self.accounts[account].waiting == 0 {
            return;
        }
        let chosen = self.plans.of_account(account).filter(|waiting| goes(self, waiting));
        for name in chosen.map(Waiting::name).collect::<Vec<_>>() {
            // It may have followed one before it.
            if self.plans.get(name).is_some() {
                self.cancel_waiting(name, reason, events);
            }
        }
    }

    /// Cancels an order that waits, and leaves what follows from that to the caller.
    pub(crate) fn drop_waiting(&mut self, name: Name, reason: CancelReason, events: &mut Vec<Event>) {
        let waiting = self.take_waiting(name);
        let remaining = waiting.remaining();
        let Order { account, nonce, market, side, price, .. } = waiting.signed.message;
        tell(events, || Event::Cancelled { account, nonce, market, side, price, remaining, reason });
    }

    /// Two orders of an account exclude each other from now on.
    pub(crate) fn tie(&mut self, account: AccountId, one: Nonce, other: Nonce, bond: Bond) {
        self.plans.tie(account, one, other, bond);
        self.accounts[account].links += 2;
    }

    fn untie(&mut self, name: Name) {
        if self.plans.untie(name) {
            self.accounts[name.0].links -= 2;
        }
    }
}
