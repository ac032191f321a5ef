//! Planned orders on their way into the books when a frame opens: triggered, released whole or by the slice.
//!
//! What goes to the book is checked as if it had just arrived, and if it is refused then, an event says why. Prices change only
//! when a frame opens, so triggers are looked at only then, after everything that the chain and the prices changed; one that
//! holds already when its order arrives waits for that moment too.
//!
//! **Prices.** The index is the feed's. The mark is what funding is reckoned with ([`crate::feeds`]). An outcome has no index;
//! its mark is the median of best bid, best ask and last trade, where a missing bid is 0 and a missing ask certainty, and there
//! is none before the first trade.
//!
//! **Order.** Whatever is to go to the book does so by how long it has waited for its turn, by market and by arrival, as long
//! as the frame has room for it; the rest has its turn in the next frame. In a market in which nothing may trade for now it
//! stays, and a slice stays where orders wait for an auction.
//!
//! **Bounds.** However many prices come at once, a frame triggers so many orders, lets so many slices fall due, and releases so
//! many ([`crate::limits`]). The others keep their turn.

use std::collections::BTreeSet;

use xos_types::{
    CancelReason, Event, Lots, MarketId, MarketKind, Order, OrderKind, Pace, Phase, Reject, Side, Signed, Ticks,
    TimeMs, TriggerSource,
};

use crate::check::{Checked, Origin};
use crate::engine::{Engine, event_index, tell};
use crate::gas;
use crate::limits::{RELEASES_MAX, TRIGGERS_MAX, TWAP_CATCH_UP};
use crate::place::{Arriving, Rest};
use crate::planned::display;
use crate::plans::{Bond, Name, Pair, Stage, Waiting};
use crate::wide::PRICE_SCALE;

impl Engine {
    /// A frame opens: what has waited for its prices or its time goes to the book.
    pub(crate) fn open_plans(&mut self, events: &mut Vec<Event>) {
        if self.plans.is_empty() {
            return;
        }
        self.plans.begin_opening();
        // All prices are those of the opening, whatever its orders then do to the books.
        for market in self.plans.triggers.markets() {
            if !self.is_shut(market) {
                self.cut_reached(market);
            }
        }
        for _ in 0..TRIGGERS_MAX {
            let Some(name) = self.plans.triggers.next() else { break };
            self.fire(name, events);
        }
        for name in self.plans.due(self.frame.time, TRIGGERS_MAX) {
            self.make_ready(name, self.plans.opening());
        }
        self.release_ready(events);
    }

    fn release_ready(&mut self, events: &mut Vec<Event>) {
        let turn_of = |engine: &Self, market| engine.plans.next_ready(market).map(|(opening, _)| (opening, market));
        let markets = self.plans.ready_markets().filter(|market| !self.is_shut(*market));
        let mut turns: BTreeSet<(u64, MarketId)> = markets.filter_map(|market| turn_of(self, market)).collect();
        let (gas_before, mut released) = (self.frame.gas(), 0);
        while let Some((opening, market)) = turns.pop_first() {
            // What was ready may have been cancelled by what went before it.
            if let Some((since, name)) = self.plans.next_ready(market)
                && since == opening
            {
                let spent = self.frame.gas() - gas_before;
                let is_full = spent >= gas::RELEASES_PER_FRAME || self.frame.gas() >= gas::TARGET_MAX;
                if released == RELEASES_MAX || is_full {
                    return;
                }
                released += 1;
                self.release(name, events);
            }
            turns.extend(turn_of(self, market));
        }
    }

    /// Whether nothing may trade in a market for now.
    fn is_shut(&self, market: MarketId) -> bool {
        let listing = &self.listings[event_index(market.event())];
        listing.closed || matches!(listing.phase, Phase::Pending | Phase::PostOnly | Phase::Halted)
    }

    /// Sets apart whose price has come.
    fn cut_reached(&mut self, market: MarketId) {
        let tick = self.listings[event_index(market.event())].terms.quantum * PRICE_SCALE;
        let (mark, index) = (self.mark_price(market), self.index_price(market));
        self.plans.triggers.cut(market, tick, |source| match source {
            TriggerSource::Mark => mark,
            TriggerSource::Index => index,
        });
    }

    /// Atoms per lot, times 1e9.
    fn index_price(&self, market: MarketId) -> Option<i128> {
        let terms = &self.listings[event_index(market.event())].terms;
        self.board.find(terms.feed).map(|feed| feed.price).filter(|price| *price != 0)
    }

    /// The same; see the module's head.
    fn mark_price(&self, market: MarketId) -> Option<i128> {
        let listing = &self.listings[event_index(market.event())];
        let book = &listing.books[usize::from(market.outcome())];
        if listing.terms.kind != MarketKind::Outcome {
            return self.index_price(market).map(|_| self.mark(listing));
        }
        let last = listing.last_trades[usize::from(market.outcome())];
        let bid = book.best(Side::Buy).unwrap_or(Ticks(0));
        let ask = book.best(Side::Sell).unwrap_or(Ticks(listing.terms.ticks));
        // While it waits for an auction a book may be crossed.
        let median = last.clamp(bid.min(ask), ask.max(bid));
        (last != Ticks(0)).then(|| i128::from(median.0) * listing.terms.quantum * PRICE_SCALE)
    }

    /// The price of an order has come.
    fn fire(&mut self, name: Name, events: &mut Vec<Event>) {
        let (account, nonce) = name;
        let after = self.plans.get(name).expect("what a price has reached waits").plan.after;
        tell(events, || Event::Triggered { account, nonce });
        self.make_ready(name, self.plans.opening());
        if let Some(Pair { with, bond: Bond::Exclusive }) = self.plans.pair(name) {
            self.exclude((account, with), events);
        }
        // What it is to close grows no more.
        if let Some(followed) = after {
            self.cancel_live((account, followed), CancelReason::Followed, events);
        }
    }

    /// It goes to the book when the frame of that number opens, or as soon after as there is room.
    pub(crate) fn make_ready(&mut self, name: Name, opening: u64) {
        self.plans.set_stage(name, Stage::Ready(opening));
    }

    /// Lets an order into the book, or the next slice of it.
    fn release(&mut self, name: Name, events: &mut Vec<Event>) {
        let waiting = self.plans.get(name).expect("it is ready");
        let begins = waiting.began.is_none();
        let (followed, remaining) = (waiting.followed, waiting.remaining());
        if begins && waiting.plan.after.is_some() && remaining > followed {
            let excess = Lots(remaining.0 - followed.0);
            self.reduce_waiting(name, excess, CancelReason::NothingToFollow, events);
        }
        let waiting = self.plans.get(name).expect("it is ready").clone();
        match waiting.plan.pace {
            Pace::Whole | Pace::Iceberg { .. } => self.release_whole(&waiting, events),
            Pace::Twap { slices, interval } => {
                let began = waiting.began.unwrap_or(self.frame.time);
                self.release_slice(&waiting, began, (slices, interval), events);
            }
        }
    }

    fn release_whole(&mut self, waiting: &Waiting, events: &mut Vec<Event>) {
        let ((account, nonce), size) = (waiting.name(), waiting.remaining());
        let Order { kind, market, side, price, .. } = waiting.signed.message;
        let checked = self.check_release(waiting, size, kind);
        // Its tree stays while it goes to the book.
        self.orders.trees.hold(&waiting.signed.signature);
        self.take_waiting(waiting.name());
        match checked {
            Ok(checked) => {
                tell(events, || Event::Released { account, nonce, size });
                let whole = Arriving::new(&waiting.signed, waiting.instructions, checked, size);
                let whole = whole.resume(waiting, Rest::AsSigned).show(display(waiting.plan.pace));
                self.enter(whole, checked, events);
            }
            Err(reject) => {
                events.push(Event::Refused { account, nonce, size, reject });
                let (remaining, reason) = (size, CancelReason::Refused);
                events.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
                self.follow_end(waiting.name(), events);
            }
        }
        self.orders.trees.release(&waiting.signed.signature);
    }

    /// What is due by now and has not filled, up to three slices of it.
    fn release_slice(
        &mut self,
        waiting: &Waiting,
        began: TimeMs,
        (slices, interval): (u16, u32),
        events: &mut Vec<Event>,
    ) {
        let name = waiting.name();
        let (account, nonce) = name;
        if self.awaits_auction(waiting.market()) {
            // It takes from the book, and there is nobody to take from: what it misses is caught up when the market trades.
            let next = self.frame.time.0.saturating_add(interval.into());
            return self.plans.set_stage(name, Stage::Paced(TimeMs(next)));
        }
        let elapsed = self.frame.time.0.saturating_sub(began.0) / u64::from(interval);
        // The number of the slice, from 1.
        let number = elapsed.saturating_add(1).min(slices.into());
        let size = waiting.size().0;
        // Differences of these add up to the size exactly, however it divides.
        let due = u128::from(size) * u128::from(number) / u128::from(slices);
        let due = u64::try_from(due).expect("a part of 64 bits");
        let largest = TWAP_CATCH_UP * size.div_ceil(slices.into());
        let lots = Lots(due.saturating_sub(waiting.filled.0).min(largest));
        self.plans.get_mut(name).expect("it is ready").began = Some(began);
        if lots > Lots(0) {
            match self.check_release(waiting, lots, OrderKind::ImmediateOrCancel) {
                Ok(checked) => {
                    tell(events, || Event::Released { account, nonce, size: lots });
                    let slice = Arriving::new(&waiting.signed, waiting.instructions, checked, lots);
                    let kept = Lots(waiting.remaining().0 - lots.0);
                    let left = self.enter(slice.resume(waiting, Rest::Waits(kept)), checked, events);
                    let waiting = self.plans.get_mut(name).expect("a slice leaves the rest of its order where it is");
                    let lost = left.less.0 - waiting.less.0;
                    waiting.filled.0 += lots.0 - left.remaining.0 - lost;
                    (waiting.less, waiting.credit) = (left.less, left.credit);
                }
                Err(reject) => events.push(Event::Refused { account, nonce, size: lots, reject }),
            }
        }
        let remaining = self.plans.get(name).expect("it is still there").remaining();
        if remaining == Lots(0) {
            self.take_waiting(name);
            self.follow_end(name, events);
        } else if number == u64::from(slices) {
            self.cancel_waiting(name, CancelReason::Immediate, events);
        } else {
            let next = began.0.saturating_add(number * u64::from(interval));
            self.plans.set_stage(name, Stage::Paced(TimeMs(next)));
        }
    }

    /// As if lots of the order arrived now, and were of that kind.
    fn check_release(&self, waiting: &Waiting, size: Lots, kind: OrderKind) -> Result<Checked, Reject> {
        let signed = waiting.signed.message.size;
        if kind == OrderKind::FillOrKill && size < signed {
            // The contract settles it whole or not at all.
            return Err(Reject::NotFillable { size: signed, fillable: size });
        }
        let order = Order { size, kind, ..waiting.signed.message };
        let part = Signed { message: order, ..waiting.signed };
        self.check_order(&part, waiting.instructions, None, Origin::Waiting)
    }
}
