//! Planned orders in the most obvious way: a list of what waits, a list of pairs, and a walk through them when anything happens.

use super::*;

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) signed: Signed<Order>,
    instructions: Instructions,
    plan: Plan,
    pub(super) arrival: u64,
    /// Its size now, counting what has filled.
    size: u64,
    pub(crate) filled: u64,
    /// Σ base·rate of its slices' fills.
    traded: i128,
    /// Lots that the order filled which it follows, and whether that one is over.
    followed: u64,
    is_over: bool,
    /// At which opening its price had come, or it had nothing to wait for any more.
    ready: Option<u64>,
    /// When its first slice was due, and when the next one is.
    began: Option<u64>,
    next: u64,
    /// Whether it waits for the time of its next slice.
    paced: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Pair {
    account: AccountId,
    orders: [Nonce; 2],
    shared: bool,
}

impl Waiting {
    pub(crate) fn account(&self) -> AccountId {
        self.signed.message.account
    }

    pub(crate) fn nonce(&self) -> Nonce {
        self.signed.message.nonce
    }

    pub(super) fn market(&self) -> MarketId {
        self.signed.message.market
    }

    pub(super) fn after(&self) -> Option<Nonce> {
        self.plan.after
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.size - self.filled
    }

    fn is_awake(&self) -> bool {
        self.plan.after.is_none() || self.followed > 0
    }
}

fn bad(fault: PlanFault) -> Option<Reject> {
    Some(Reject::BadPlan { fault })
}

impl Naive {
    pub(super) fn plan(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        plan: Plan,
        out: &mut Vec<Event>,
    ) {
        let order = signed.message;
        let Order { account, nonce, market, side, size, .. } = order;
        let at_once =
            plan.after.is_none() && plan.trigger.is_none() && matches!(plan.pace, Pace::Whole | Pace::Iceberg { .. });
        let bad_form = self.bad_form(signed, |order| self.spent(order.account, order.nonce));
        let bad_now = || if at_once { self.bad_now(&order, instructions) } else { None };
        let too_many =
            (!at_once && self.waiting_of(account).len() >= 200).then_some(Reject::TooManyWaiting { limit: 200 });
        if let Some(reject) = bad_form.or_else(bad_now).or(too_many).or_else(|| self.bad_plan(&order, &plan)) {
            out.push(Event::Rejected { account, nonce, reject });
            return;
        }
        out.push(Event::Planned { order, instructions, plan });
        self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
        if let Some(other) = plan.cancels {
            let named = self.order_of(account, other).unwrap();
            let same_place = (named.market, named.side) == (market, side);
            let shared = named.reduce_only && order.reduce_only && same_place;
            self.pairs.push(Pair { account, orders: [nonce, other], shared });
        }
        if at_once {
            out.push(Event::Released { account, nonce, size });
            let mut arriving = self.arriving(*signed, instructions, size.0);
            arriving.display = if let Pace::Iceberg { display } = plan.pace { display.0 } else { 0 };
            let left = self.enter(arriving, instructions, out);
            self.settle_down(left, out);
            return;
        }
        let followed = plan.after.and_then(|after| self.lots(account, after));
        let immediate = plan.after.is_none() && plan.trigger.is_none();
        self.arrivals += 1;
        self.waiting.push(Waiting {
            signed: *signed,
            instructions,
            plan,
            arrival: self.arrivals,
            size: size.0,
            filled: 0,
            traded: 0,
            followed: followed.map_or(0, |(size, remaining)| size - remaining),
            is_over: false,
            ready: immediate.then_some(self.openings + 1),
            began: None,
            next: 0,
            paced: false,
        });
    }

    /// What is wrong with a plan whatever else rests or waits.
    fn bad_plan_form(&self, order: &Order, plan: &Plan) -> Option<Reject> {
        let Order { nonce, market, kind, size, .. } = *order;
        if let Some(Trigger { source, price, .. }) = plan.trigger {
            let highest = Ticks(self.listing(market).ticks - 1);
            if source == TriggerSource::Index && self.listing(market).feed.is_none() {
                return bad(PlanFault::NoIndex { market });
            }
            if price.0 == 0 {
                return bad(PlanFault::TriggerPrice { price, highest, nearest: Ticks(1) });
            }
            if price > highest {
                return bad(PlanFault::TriggerPrice { price, highest, nearest: highest });
            }
        }
        match plan.pace {
            Pace::Whole => {}
            Pace::Iceberg { display } => {
                if kind == OrderKind::ImmediateOrCancel || kind == OrderKind::FillOrKill {
                    return bad(PlanFault::EndsAtOnce { kind });
                }
                let (smallest, largest) = (Lots(size.0.div_ceil(1_000)), size);
                if display < smallest || display > largest {
                    return bad(PlanFault::Display { display, smallest, largest });
                }
            }
            Pace::Twap { slices, interval } => {
                if kind != OrderKind::GoodTillCancelled {
                    return bad(PlanFault::EndsAtOnce { kind });
                }
                let most = u16::try_from(size.0).unwrap_or(u16::MAX);
                if slices < 2 || slices > most {
                    return bad(PlanFault::Slices { slices, most });
                }
                let (shortest, longest) = (1_000, 86_400_000);
                if interval < shortest || interval > longest {
                    return bad(PlanFault::Interval { interval, shortest, longest });
                }
            }
        }
        if plan.after == Some(nonce) || plan.cancels == Some(nonce) {
            return bad(PlanFault::Itself { nonce });
        }
        None
    }

    fn bad_plan(&self, order: &Order, plan: &Plan) -> Option<Reject> {
        let Order { account, .. } = *order;
        if let Some(reject) = self.bad_plan_form(order, plan) {
            return Some(reject);
        }
        if let Some(after) = plan.after
            && self.order_of(account, after).is_none()
            && self.spent(account, after).is_some()
        {
            return Some(Reject::UnknownOrder { account, nonce: after });
        }
        if let Some(other) = plan.cancels {
            if self.order_of(account, other).is_none() {
                return Some(Reject::UnknownOrder { account, nonce: other });
            }
            if let Some((with, _)) = self.partner(account, other) {
                return bad(PlanFault::Paired { nonce: other, with });
            }
        }
        None
    }

    /// One order waits in another's place; it waits as that one did unless it says otherwise.
    pub(super) fn replan(
        &mut self,
        old: Nonce,
        signed: &Signed<Order>,
        instructions: Instructions,
        wait: Option<(Option<Trigger>, Pace)>,
        out: &mut Vec<Event>,
    ) {
        let order = signed.message;
        let Order { account, nonce, market: wanted, .. } = order;
        let rests = |naive: &Self| naive.unknown(account, old).is_none().then_some(Reject::Rests { nonce: old });
        let refusal = self.signer(account, signed.signer).or_else(|| rests(self));
        if let Some(reject) = refusal.or_else(|| self.unknown_anywhere(account, old)) {
            return out.push(Event::Rejected { account, nonce, reject });
        }
        let index = self.position_of(account, old).unwrap();
        let was = self.waiting[index].clone();
        let market = was.market();
        let (trigger, pace) = wait.unwrap_or((was.plan.trigger, was.plan.pace));
        let plan = Plan { after: was.plan.after, trigger, cancels: None, pace };
        let mut without = self.clone();
        without.waiting.remove(index);
        let elsewhere = (market != wanted).then_some(Reject::OtherMarket { nonce: old, market, wanted });
        let bad_form = || without.bad_form(signed, |order| self.spent(order.account, order.nonce));
        if let Some(reject) = elsewhere.or_else(bad_form).or_else(|| self.bad_plan_form(&order, &plan)) {
            return out.push(Event::Rejected { account, nonce, reject });
        }
        let Order { side, price, .. } = was.signed.message;
        let (remaining, reason) = (Lots(was.remaining()), CancelReason::Replaced);
        self.waiting.remove(index);
        self.accounts.get_mut(&account).unwrap().used.insert(nonce.0);
        self.rename(account, old, nonce);
        out.push(Event::Cancelled { account, nonce: old, market, side, price, remaining, reason });
        out.push(Event::Planned { order, instructions, plan });
        self.arrivals += 1;
        let mut waiting = Waiting {
            signed: *signed,
            instructions,
            plan,
            arrival: self.arrivals,
            size: order.size.0,
            filled: 0,
            traded: 0,
            followed: was.followed - was.filled.min(was.followed),
            is_over: was.is_over,
            ready: was.ready,
            began: None,
            next: was.next,
            paced: was.paced,
        };
        if wait.is_some() {
            let at_once = trigger.is_none() && (plan.after.is_none() || was.is_over);
            (waiting.ready, waiting.paced) = (at_once.then_some(self.openings + 1), false);
        }
        self.waiting.push(waiting);
    }

    // ------------------------------------------------------------------ orders, wherever they are

    fn order_of(&self, account: AccountId, nonce: Nonce) -> Option<Order> {
        let resting = self.orders.iter().map(|resting| resting.signed.message);
        let mut all = resting.chain(self.waiting.iter().map(|waiting| waiting.signed.message));
        all.find(|order| (order.account, order.nonce) == (account, nonce))
    }

    fn position_of(&self, account: AccountId, nonce: Nonce) -> Option<usize> {
        self.waiting.iter().position(|waiting| (waiting.account(), waiting.nonce()) == (account, nonce))
    }

    /// Size and remaining lots.
    pub(super) fn lots(&self, account: AccountId, nonce: Nonce) -> Option<(u64, u64)> {
        let resting = self.orders.iter().find(|resting| resting.is(account, nonce));
        let resting = resting.map(|resting| (resting.size, resting.remaining));
        let waiting = self.position_of(account, nonce).map(|index| &self.waiting[index]);
        resting.or(waiting.map(|waiting| (waiting.size, waiting.remaining())))
    }

    pub(super) fn unknown_anywhere(&self, account: AccountId, nonce: Nonce) -> Option<Reject> {
        self.order_of(account, nonce).is_none().then_some(Reject::UnknownOrder { account, nonce })
    }

    pub(super) fn waits(&self, account: AccountId, nonce: Nonce) -> bool {
        self.position_of(account, nonce).is_some()
    }

    /// What waits of an account, by nonce.
    pub(crate) fn waiting_of(&self, account: AccountId) -> Vec<Waiting> {
        let mut own: Vec<_> = self.waiting.iter().filter(|waiting| waiting.account() == account).cloned().collect();
        own.sort_by_key(Waiting::nonce);
        own
    }

    pub(super) fn cancel_anywhere(
        &mut self,
        account: AccountId,
        nonce: Nonce,
        reason: CancelReason,
        out: &mut Vec<Event>,
    ) {
        if self.unknown(account, nonce).is_none() {
            self.cancel(account, nonce, reason, out);
        } else {
            self.cancel_waiting(account, nonce, reason, out);
        }
    }

    pub(super) fn cancel_waiting(
        &mut self,
        account: AccountId,
        nonce: Nonce,
        reason: CancelReason,
        out: &mut Vec<Event>,
    ) {
        let Some(index) = self.position_of(account, nonce) else { return };
        self.drop_waiting(index, reason, out);
        self.ended(account, nonce, out);
    }

    fn drop_waiting(&mut self, index: usize, reason: CancelReason, out: &mut Vec<Event>) {
        let waiting = self.waiting.remove(index);
        let Order { account, nonce, market, side, price, .. } = waiting.signed.message;
        let remaining = Lots(waiting.remaining());
        out.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
    }

    /// Takes lots off an order, and cancels it if there are no more.
    pub(super) fn take_off(
        &mut self,
        account: AccountId,
        nonce: Nonce,
        by: u64,
        reason: CancelReason,
        out: &mut Vec<Event>,
    ) {
        let Some((_, remaining)) = self.lots(account, nonce) else { return };
        if remaining <= by {
            self.cancel_anywhere(account, nonce, reason, out);
        } else if let Some(index) = self.position_of(account, nonce) {
            let waiting = &mut self.waiting[index];
            waiting.size -= by;
            let Order { market, side, price, .. } = waiting.signed.message;
            let (by, remaining) = (Lots(by), Lots(waiting.remaining()));
            out.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
        } else {
            let index = self.orders.iter().position(|resting| resting.is(account, nonce)).unwrap();
            self.reduce(index, by, reason, out);
        }
    }

    // ------------------------------------------------------------------ what hangs together

    /// The other one of a pair, and whether they share their lots.
    pub(super) fn partner(&self, account: AccountId, nonce: Nonce) -> Option<(Nonce, bool)> {
        let pair = self.pairs.iter().find(|pair| pair.account == account && pair.orders.contains(&nonce))?;
        let [one, other] = pair.orders;
        Some((if one == nonce { other } else { one }, pair.shared))
    }

    fn part(&mut self, account: AccountId, nonce: Nonce) {
        self.pairs.retain(|pair| pair.account != account || !pair.orders.contains(&nonce));
    }

    pub(super) fn rename(&mut self, account: AccountId, old: Nonce, new: Nonce) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.account() == account) {
            if waiting.plan.after == Some(old) {
                waiting.plan.after = Some(new);
            }
        }
        for pair in self.pairs.iter_mut().filter(|pair| pair.account == account) {
            pair.orders = pair.orders.map(|nonce| if nonce == old { new } else { nonce });
        }
    }

    pub(super) fn filled(&mut self, order: &Order, lots: u64, out: &mut Vec<Event>) {
        let Order { account, nonce, market, .. } = *order;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.account() == account) {
            if waiting.plan.after == Some(nonce) {
                waiting.followed += lots;
            }
        }
        match self.partner(account, nonce) {
            Some((other, true)) => self.take_off(account, other, lots, CancelReason::OneCancelsOther, out),
            Some((other, false)) => {
                self.part(account, nonce);
                self.cancel_anywhere(account, other, CancelReason::OneCancelsOther, out);
            }
            None => {}
        }
        self.trim(account, market, out);
    }

    pub(super) fn ended(&mut self, account: AccountId, nonce: Nonce, out: &mut Vec<Event>) {
        let mut generation = vec![nonce];
        while !generation.is_empty() {
            let mut next = vec![];
            for nonce in generation {
                self.part(account, nonce);
                for follower in self.waiting_of(account) {
                    if follower.plan.after != Some(nonce) {
                        continue;
                    }
                    let index = self.position_of(account, follower.nonce()).unwrap();
                    let ready = self.openings + 1;
                    let waiting = &mut self.waiting[index];
                    if follower.followed == 0 {
                        self.drop_waiting(index, CancelReason::NothingToFollow, out);
                        next.push(follower.nonce());
                    } else if !waiting.is_over {
                        waiting.is_over = true;
                        if waiting.plan.trigger.is_none() {
                            waiting.ready = Some(ready);
                        }
                    }
                }
            }
            generation = next;
        }
    }

    /// Reduce-only orders that are more than there is to reduce: the worst price first, then the newest.
    pub(super) fn trim(&mut self, account: AccountId, market: MarketId, out: &mut Vec<Event>) {
        // What an order of a spot market sells is held for it.
        let sides = if self.listing(market).kind == MarketKind::Spot { vec![] } else { vec![Side::Buy, Side::Sell] };
        for side in sides {
            loop {
                let mut own: Vec<_> = self.side(market, side).into_iter().map(|index| &self.orders[index]).collect();
                own.retain(|resting| resting.signed.message.account == account && resting.signed.message.reduce_only);
                own.sort_by_key(|resting| {
                    let price = i128::from(resting.price);
                    (if side == Side::Buy { -price } else { price }, resting.signed.message.nonce)
                });
                let lots: u64 = own.iter().map(|resting| resting.remaining).sum();
                let excess = i128::from(lots) - self.closable(account, market, side);
                if excess <= 0 {
                    break;
                }
                let (last, by) = (own.last().unwrap().signed.message.nonce, u64::try_from(excess).unwrap());
                let by = by.min(own.last().unwrap().remaining);
                self.take_off(account, last, by, CancelReason::OnlyReducing, out);
            }
        }
    }

    // ------------------------------------------------------------------ a frame opens

    /// Of an outcome the median of best bid, best ask and last trade; elsewhere that of index, book and last trade. Atoms per lot,
    /// times 1e9.
    fn mark(&self, market: MarketId) -> Option<i128> {
        if let Some(feed) = self.feed(market) {
            return (feed.price != 0).then(|| self.blended(market));
        }
        let listing = self.listing(market);
        let price = |side| self.side(market, side).first().map(|index| self.orders[*index].price);
        let last = self.last_trades.get(&market)?;
        let mut three = [price(Side::Buy).unwrap_or(0), *last, price(Side::Sell).unwrap_or(listing.ticks)];
        three.sort_unstable();
        Some(listing.value(three[1], 1) * SCALE)
    }

    fn is_reached(&self, waiting: &Waiting) -> bool {
        let Some(Trigger { source, when, price }) = waiting.plan.trigger else { return false };
        let market = waiting.market();
        let waits = waiting.is_awake() && waiting.ready.is_none() && !waiting.paced;
        let level = self.listing(market).value(price.0, 1) * SCALE;
        let seen = match source {
            TriggerSource::Mark => self.mark(market),
            TriggerSource::Index => self.feed(market).map(|feed| feed.price).filter(|price| *price != 0),
        };
        waits
            && !self.is_shut(market)
            && seen.is_some_and(|seen| match when {
                TriggerWhen::AtOrAbove => seen >= level,
                TriggerWhen::AtOrBelow => seen <= level,
            })
    }

    pub(super) fn open_plans(&mut self, out: &mut Vec<Event>) {
        if self.waiting.is_empty() && self.pairs.is_empty() {
            return;
        }
        self.openings += 1;
        let mut reached: Vec<_> = self.waiting.iter().filter(|waiting| self.is_reached(waiting)).cloned().collect();
        // By market, mark before index, upwards before downwards, the level first that the price met first, then who came first.
        reached.sort_by_key(|waiting| {
            let Trigger { source, when, price } = waiting.plan.trigger.unwrap();
            let upwards = when == TriggerWhen::AtOrAbove;
            let level = if upwards { i128::from(price.0) } else { -i128::from(price.0) };
            (waiting.market(), source == TriggerSource::Index, !upwards, level, waiting.arrival)
        });
        // These worlds are too small to reach what one opening may trigger.
        for Waiting { signed, plan, .. } in reached {
            let Order { account, nonce, .. } = signed.message;
            let Some(index) = self.position_of(account, nonce) else { continue };
            out.push(Event::Triggered { account, nonce });
            self.waiting[index].ready = Some(self.openings);
            if let Some((other, false)) = self.partner(account, nonce) {
                self.part(account, nonce);
                self.cancel_anywhere(account, other, CancelReason::OneCancelsOther, out);
            }
            if let Some(after) = plan.after
                && self.order_of(account, after).is_some()
            {
                self.cancel_anywhere(account, after, CancelReason::Followed, out);
            }
        }
        for waiting in &mut self.waiting {
            if waiting.paced && waiting.next <= self.open.time {
                (waiting.ready, waiting.paced) = (Some(self.openings), false);
            }
        }
        let mut turn: Vec<_> = self.waiting.iter().filter_map(|waiting| Some((waiting.ready?, waiting))).collect();
        turn.retain(|(ready, _)| *ready <= self.openings);
        turn.sort_by_key(|(ready, waiting)| (*ready, waiting.market(), waiting.arrival));
        let turn: Vec<_> = turn.iter().map(|(_, waiting)| (waiting.account(), waiting.nonce())).collect();
        // These worlds are too small to reach what one opening may release.
        for (account, nonce) in turn {
            let Some(index) = self.position_of(account, nonce) else { continue };
            if !self.is_shut(self.waiting[index].market()) {
                self.release(index, out);
            }
        }
    }

    fn release(&mut self, index: usize, out: &mut Vec<Event>) {
        let Waiting { signed, plan, followed, began, .. } = self.waiting[index].clone();
        let Order { account, nonce, .. } = signed.message;
        let excess = self.waiting[index].remaining().saturating_sub(followed);
        if plan.after.is_some() && began.is_none() && excess > 0 {
            self.take_off(account, nonce, excess, CancelReason::NothingToFollow, out);
        }
        match plan.pace {
            Pace::Twap { slices, interval } => self.release_slice(index, slices, interval, out),
            Pace::Whole => self.release_whole(index, 0, out),
            Pace::Iceberg { display } => self.release_whole(index, display.0, out),
        }
    }

    /// Why so many lots of an order may not go to the book now.
    fn bad_release(&self, waiting: &Waiting, lots: u64, kind: OrderKind) -> Option<Reject> {
        let size = waiting.signed.message.size;
        if kind == OrderKind::FillOrKill && lots < size.0 {
            return Some(Reject::NotFillable { size, fillable: Lots(lots) });
        }
        let order = Order { size: Lots(lots), kind, ..waiting.signed.message };
        let mut without = self.clone();
        without.waiting.retain(|other| (other.account(), other.nonce()) != (order.account, order.nonce));
        let part = Signed { message: order, ..waiting.signed };
        without.bad_form(&part, |_| None).or_else(|| self.bad_now(&order, waiting.instructions))
    }

    fn release_whole(&mut self, index: usize, display: u64, out: &mut Vec<Event>) {
        let waiting = self.waiting[index].clone();
        let Order { account, nonce, market, side, price, kind, .. } = waiting.signed.message;
        let (lots, size) = (waiting.remaining(), Lots(waiting.remaining()));
        let refusal = self.bad_release(&waiting, lots, kind);
        self.waiting.remove(index);
        if let Some(reject) = refusal {
            out.push(Event::Refused { account, nonce, size, reject });
            let (remaining, reason) = (size, CancelReason::Refused);
            out.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            self.ended(account, nonce, out);
            return;
        }
        out.push(Event::Released { account, nonce, size });
        let arriving = self.arriving(waiting.signed, waiting.instructions, lots);
        let left = self.enter(Resting { display, ..arriving }, waiting.instructions, out);
        self.settle_down(left, out);
    }

    fn release_slice(&mut self, index: usize, slices: u16, interval: u32, out: &mut Vec<Event>) {
        let (slices, interval) = (u64::from(slices), u64::from(interval));
        let waiting = self.waiting[index].clone();
        let Order { account, nonce, .. } = waiting.signed.message;
        if self.phase(waiting.market()) == Phase::Auction {
            let waiting = &mut self.waiting[index];
            (waiting.ready, waiting.paced, waiting.next) = (None, true, self.open.time + interval);
            return;
        }
        let began = waiting.began.unwrap_or(self.open.time);
        let number = ((self.open.time - began) / interval + 1).min(slices);
        let due = waiting.size * number / slices;
        let lots = due.saturating_sub(waiting.filled).min(3 * waiting.size.div_ceil(slices));
        self.waiting[index].began = Some(began);
        if lots > 0 {
            if let Some(reject) = self.bad_release(&waiting, lots, OrderKind::ImmediateOrCancel) {
                out.push(Event::Refused { account, nonce, size: Lots(lots), reject });
            } else {
                out.push(Event::Released { account, nonce, size: Lots(lots) });
                let arriving = self.arriving(waiting.signed, waiting.instructions, lots);
                let slice = Resting { traded: waiting.traded, ..arriving };
                let (left, _) = self.enter(slice, waiting.instructions, out);
                let index = self.position_of(account, nonce).unwrap();
                let waiting = &mut self.waiting[index];
                waiting.filled += left.size - left.remaining;
                waiting.size -= lots - left.size;
                waiting.traded = left.traded;
            }
        }
        let index = self.position_of(account, nonce).unwrap();
        if self.waiting[index].remaining() == 0 {
            self.waiting.remove(index);
            self.ended(account, nonce, out);
        } else if number == slices {
            self.cancel_waiting(account, nonce, CancelReason::Immediate, out);
        } else {
            (self.waiting[index].ready, self.waiting[index].paced) = (None, true);
            self.waiting[index].next = began + number * interval;
        }
    }
}
