//! Planned orders on their way: taken in, triggered, and let into the books when a frame opens.
//!
//! A plan holds no margin and promises none: what goes to the book is checked as if it had just arrived, and if it is refused
//! then, an event says why. Prices change only when a frame opens, so triggers are looked at only then, after everything that
//! the chain and the prices changed; one that holds already when its order arrives waits for that moment too.
//!
//! **Prices.** The index is the feed's. The mark is what funding is reckoned with ([`crate::feeds`]). An outcome has no index;
//! its mark is the median of best bid, best ask and last trade, where a missing bid is 0 and a missing ask certainty, and there
//! is none before the first trade. Levels are compared in atoms per lot times 1e9, without a division.
//!
//! **Order.** Whatever is to go to the book does so by how long it has waited for its turn, by market and by arrival, as long
//! as the frame has room for it; the rest has its turn in the next frame. In a market in
//! which nothing may trade for now it stays.

use xos_types::{
    CancelReason, Event, EventId, Instructions, Lots, MarketId, MarketKind, Order, OrderKind, Pace, Phase, Plan,
    PlanFault, Reject, Side, Signed, Ticks, TimeMs, TriggerSource, TriggerWhen,
};

use crate::check::{Checked, Origin};
use crate::engine::{Engine, event_index, tell};
use crate::fees::FeeCredit;
use crate::follow::Live;
use crate::gas;
use crate::limits::{
    ICEBERG_PARTS_MAX, RELEASES_MAX, SIZE_MAX, TWAP_CATCH_UP, TWAP_INTERVAL_MAX, TWAP_INTERVAL_MIN, WAITING_MAX,
};
use crate::place::{Arriving, Rest};
use crate::plans::{Bond, Name, Pair, Stage, Waiting};
use crate::terms::Terms;
use crate::wide::PRICE_SCALE;

/// What a good plan comes to.
struct Planned {
    /// Lots that the order has filled which it follows.
    followed: Lots,
    /// How it and the order that it names exclude each other.
    bond: Bond,
}

impl Engine {
    pub(crate) fn plan(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        plan: Plan,
        events: &mut Vec<Event>,
    ) {
        let Order { account, nonce, .. } = signed.message;
        let taken = if plan.goes_at_once() {
            self.plan_at_once(signed, instructions, plan, events)
        } else {
            self.plan_for_later(signed, instructions, plan, events)
        };
        if let Err(reject) = taken {
            events.push(Event::Rejected { account, nonce, reject });
        }
    }

    /// An order that goes to the book as it comes: an iceberg, or one of a pair.
    fn plan_at_once(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        plan: Plan,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let Order { account, nonce, size, .. } = signed.message;
        let checked = self.check_order(signed, instructions, None, Origin::New)?;
        let Planned { bond, .. } = self.check_plan(&signed.message, &plan)?;
        self.begin_plan(&signed.message, instructions, plan, bond, events);
        tell(events, || Event::Released { account, nonce, size });
        let whole = Arriving::new(signed, instructions, checked, size);
        self.enter(whole.show(display(plan.pace)), checked, events);
        Ok(())
    }

    fn plan_for_later(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        plan: Plan,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let Order { account, nonce, expiry, .. } = signed.message;
        let (state, _) = self.check_form(signed, Origin::New, 0)?;
        if state.waiting >= WAITING_MAX {
            return Err(Reject::TooManyWaiting { limit: WAITING_MAX });
        }
        let Planned { followed, bond } = self.check_plan(&signed.message, &plan)?;
        self.begin_plan(&signed.message, instructions, plan, bond, events);
        if expiry != TimeMs(0) {
            self.expiries.insert((expiry, account, nonce));
        }
        let awake = plan.after.is_none() || followed > Lots(0);
        let stage = match (plan.after, plan.trigger) {
            (_, Some(_)) if awake => Stage::Armed,
            (None, None) => Stage::Ready(self.plans.opening() + 1),
            _ => Stage::Asleep,
        };
        let state = &mut self.accounts[account];
        state.waiting += 1;
        state.links += u32::from(plan.after.is_some());
        let arrival = self.plans.next_arrival();
        self.plans.insert(Waiting {
            signed: *signed,
            instructions,
            plan,
            arrival,
            less: Lots(0),
            filled: Lots(0),
            credit: FeeCredit::default(),
            followed,
            began: None,
            stage,
        });
        Ok(())
    }

    /// A plan that passed every check: its nonce is spent, and the order that it names excludes it.
    fn begin_plan(
        &mut self,
        order: &Order,
        instructions: Instructions,
        plan: Plan,
        bond: Bond,
        events: &mut Vec<Event>,
    ) {
        self.accounts[order.account].nonces.spend(order.nonce);
        tell(events, || Event::Planned { order: *order, instructions, plan });
        if let Some(other) = plan.cancels {
            self.tie(order.account, order.nonce, other, bond);
        }
    }

    /// What is wrong with a plan of an order that is not: trigger, pace, the order that it follows, the one that it excludes.
    fn check_plan(&self, order: &Order, plan: &Plan) -> Result<Planned, Reject> {
        let terms = &self.listings[event_index(order.market.event())].terms;
        check_trigger(order, plan, terms)?;
        check_pace(order, plan.pace)?;
        let Order { account, nonce, .. } = *order;
        if plan.after == Some(nonce) || plan.cancels == Some(nonce) {
            return Err(bad(PlanFault::Itself { nonce }));
        }
        let mut followed = Lots(0);
        if let Some(after) = plan.after {
            match self.live((account, after)) {
                Some(live) => followed = self.filled_by((account, after), live),
                // It may still come: who sends an entry with its exits sends the exits first, so that it cannot be too late.
                None if !self.accounts[account].nonces.is_spent(after) => {}
                None => return Err(Reject::UnknownOrder { account, nonce: after }),
            }
        }
        let mut bond = Bond::Exclusive;
        if let Some(other) = plan.cancels {
            let named = (account, other);
            let live = self.live(named).ok_or(Reject::UnknownOrder { account, nonce: other })?;
            if let Some(Pair { with, .. }) = self.plans.pair(named) {
                return Err(bad(PlanFault::Paired { nonce: other, with }));
            }
            let (market, side, reduces) = match live {
                Live::Resting(handle) => {
                    (self.orders.market(handle), self.orders.side(handle), self.orders.reduces(handle))
                }
                Live::Waiting => {
                    let other = self.plans.get(named).expect("it waits").signed.message;
                    (other.market, other.side, other.reduce_only)
                }
            };
            if reduces && order.reduce_only && (market, side) == (order.market, order.side) {
                bond = Bond::Shared;
            }
        }
        Ok(Planned { followed, bond })
    }

    /// Lots that an order has filled so far.
    fn filled_by(&self, name: Name, live: Live) -> Lots {
        match live {
            Live::Resting(handle) => Lots(self.orders.size(handle).0 - self.orders.remaining(handle).0),
            Live::Waiting => self.plans.get(name).expect("it waits").filled,
        }
    }

    /// Takes an order out of what waits.
    pub(crate) fn take_waiting(&mut self, name: Name) -> Waiting {
        let waiting = self.plans.remove(name);
        let (account, nonce) = name;
        let state = &mut self.accounts[account];
        state.waiting -= 1;
        state.links -= u32::from(waiting.plan.after.is_some());
        let expiry = waiting.signed.message.expiry;
        if expiry != TimeMs(0) {
            self.expiries.remove(&(expiry, account, nonce));
        }
        waiting
    }

    /// A frame opens: what has waited for its prices or its time goes to the book.
    pub(crate) fn open_plans(&mut self, events: &mut Vec<Event>) {
        if self.plans.is_empty() {
            return;
        }
        self.plans.begin_opening();
        // All prices are those of the opening, whatever its orders then do to the books.
        let markets = self.plans.armed_markets();
        let reached: Vec<Name> = markets.into_iter().flat_map(|market| self.reached(market)).collect();
        for name in reached {
            self.fire(name, events);
        }
        for name in self.plans.due(self.frame.time) {
            self.make_ready(name, self.plans.opening());
        }
        let gas_before = self.frame.gas();
        let (mut released, mut last) = (0, None);
        while let Some(turn) = self.plans.next_ready(last) {
            last = Some(turn);
            let (_, market, _, name) = turn;
            if self.is_shut(market) {
                continue;
            }
            let spent = self.frame.gas() - gas_before;
            if released == RELEASES_MAX || spent >= gas::RELEASES_PER_FRAME || self.frame.gas() >= gas::TARGET_MAX {
                break;
            }
            released += 1;
            self.release(name, events);
        }
    }

    /// Whether nothing may trade in a market for now.
    fn is_shut(&self, market: MarketId) -> bool {
        let listing = &self.listings[event_index(market.event())];
        listing.closed || matches!(listing.phase, Phase::Pending | Phase::PostOnly | Phase::Halted)
    }

    /// Orders of a market whose price is there.
    fn reached(&self, market: MarketId) -> Vec<Name> {
        if self.is_shut(market) {
            return Vec::new();
        }
        let quantum = self.listings[event_index(market.event())].terms.quantum;
        let (mark, index) = (self.mark_price(market), self.index_price(market));
        self.plans.reached(market, |source, when, level| {
            let price = match source {
                TriggerSource::Mark => mark,
                TriggerSource::Index => index,
            };
            let level = i128::from(level.0) * quantum * PRICE_SCALE;
            price.is_some_and(|price| match when {
                TriggerWhen::AtOrAbove => price >= level,
                TriggerWhen::AtOrBelow => price <= level,
            })
        })
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
        // One before it may have cancelled it.
        let Some(after) = self.plans.get(name).map(|waiting| waiting.plan.after) else { return };
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

    /// Cancels what waits in a listing's markets, market by market, in order of arrival.
    pub(crate) fn cancel_waiting_in(&mut self, event: EventId, reason: CancelReason, events: &mut Vec<Event>) {
        for name in self.plans.of_event(event) {
            // It may have followed one before it.
            if self.plans.get(name).is_some() {
                self.cancel_waiting(name, reason, events);
            }
        }
    }
}

fn bad(fault: PlanFault) -> Reject {
    Reject::BadPlan { fault }
}

/// What the book shows of an order at a time; 0 for all of it.
fn display(pace: Pace) -> Lots {
    match pace {
        Pace::Iceberg { display } => display,
        Pace::Whole | Pace::Twap { .. } => Lots(0),
    }
}

fn check_trigger(order: &Order, plan: &Plan, terms: &Terms) -> Result<(), Reject> {
    let Some(trigger) = plan.trigger else { return Ok(()) };
    if trigger.source == TriggerSource::Index && terms.kind == MarketKind::Outcome {
        return Err(bad(PlanFault::NoIndex { market: order.market }));
    }
    let (price, highest) = (trigger.price, Ticks(terms.ticks - 1));
    if price < Ticks(1) || price > highest {
        let nearest = price.clamp(Ticks(1), highest);
        return Err(bad(PlanFault::TriggerPrice { price, highest, nearest }));
    }
    Ok(())
}

fn check_pace(order: &Order, pace: Pace) -> Result<(), Reject> {
    let (kind, size) = (order.kind, order.size);
    let ends_at_once = Err(bad(PlanFault::EndsAtOnce { kind }));
    match pace {
        Pace::Whole => Ok(()),
        Pace::Iceberg { display } => {
            if !matches!(kind, OrderKind::GoodTillCancelled | OrderKind::PostOnly) {
                return ends_at_once;
            }
            let (smallest, largest) = (Lots(size.0.div_ceil(ICEBERG_PARTS_MAX)), size);
            if display < smallest || display > largest {
                return Err(bad(PlanFault::Display { display, smallest, largest }));
            }
            Ok(())
        }
        Pace::Twap { slices, interval } => {
            if kind != OrderKind::GoodTillCancelled {
                return ends_at_once;
            }
            let most = u16::try_from(size.0.min(SIZE_MAX)).unwrap_or(u16::MAX);
            if slices < 2 || slices > most {
                return Err(bad(PlanFault::Slices { slices, most }));
            }
            let (shortest, longest) = (TWAP_INTERVAL_MIN, TWAP_INTERVAL_MAX);
            if !(shortest..=longest).contains(&interval) {
                return Err(bad(PlanFault::Interval { interval, shortest, longest }));
            }
            Ok(())
        }
    }
}
