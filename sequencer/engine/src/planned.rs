//! Planned orders taken in: what is wrong with a plan, and where its order begins to wait.
//!
//! A plan holds no margin and promises none, so what is to go later is checked by its form only.

use xos_types::{
    CancelReason, Event, EventId, Instructions, Lots, MarketKind, Order, OrderKind, Pace, Plan, PlanFault, Reject,
    Signed, Ticks, TimeMs, TriggerSource,
};

use crate::check::Origin;
use crate::engine::{Engine, event_index, tell};
use crate::fees::FeeCredit;
use crate::follow::Live;
use crate::limits::{ICEBERG_PARTS_MAX, SIZE_MAX, TWAP_INTERVAL_MAX, TWAP_INTERVAL_MIN, WAITING_MAX};
use crate::place::Arriving;
use crate::plans::{Bond, Name, Pair, Stage, Waiting};
use crate::terms::Terms;

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
        let (state, _) = self.check_form(signed, Origin::New, 0)?;
        if state.waiting >= WAITING_MAX {
            return Err(Reject::TooManyWaiting { limit: WAITING_MAX });
        }
        let Planned { followed, bond } = self.check_plan(&signed.message, &plan)?;
        self.begin_plan(&signed.message, instructions, plan, bond, events);
        let stage = self.first_stage(&plan, followed, plan.after.is_none());
        self.wait(signed, instructions, plan, followed, stage);
        Ok(())
    }

    /// What an order waits for at first. `over` says that nothing more comes of an order that it follows.
    pub(crate) fn first_stage(&self, plan: &Plan, followed: Lots, over: bool) -> Stage {
        match plan.trigger {
            Some(_) if plan.after.is_none() || followed > Lots(0) => Stage::Armed,
            None if over => Stage::Ready(self.plans.opening() + 1),
            _ => Stage::Asleep,
        }
    }

    /// An order begins to wait.
    pub(crate) fn wait(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        plan: Plan,
        followed: Lots,
        stage: Stage,
    ) {
        let Order { account, nonce, expiry, .. } = signed.message;
        if expiry != TimeMs(0) {
            self.expiries.insert((expiry, account, nonce));
        }
        self.orders.trees.hold(&signed.signature);
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
        self.check_plan_form(order, plan)?;
        let Order { account, .. } = *order;
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

    /// What is wrong with a plan whatever else rests or waits.
    pub(crate) fn check_plan_form(&self, order: &Order, plan: &Plan) -> Result<(), Reject> {
        let terms = &self.listings[event_index(order.market.event())].terms;
        check_trigger(order, plan, terms)?;
        check_pace(order, plan.pace)?;
        let nonce = order.nonce;
        if plan.after == Some(nonce) || plan.cancels == Some(nonce) {
            return Err(bad(PlanFault::Itself { nonce }));
        }
        Ok(())
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
        self.orders.trees.release(&waiting.signed.signature);
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
pub(crate) fn display(pace: Pace) -> Lots {
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
