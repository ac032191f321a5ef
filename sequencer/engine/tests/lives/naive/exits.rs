//! Positions that nobody takes by choice, and how positions change hands past the books.

use xos_engine::limits::rescue_gas;

use super::rescue::Budget;
use super::*;

/// Where a position changes hands.
#[derive(Clone, Copy, Debug)]
struct Exit {
    account: AccountId,
    market: MarketId,
    /// Signed lots that leave.
    size: i128,
    received: i128,
    /// What whoever takes it loses; negative is what it gains.
    loss: i128,
}

impl Naive {
    /// The insurance fund takes a position while it can, else opposite ones close against it; `false` if the budget is used up.
    pub(super) fn close_out(
        &mut self,
        account: AccountId,
        market: MarketId,
        budget: &mut Budget,
        out: &mut Vec<Event>,
    ) -> bool {
        let Some(exit) = self.exit(account, market) else { return true };
        let fund = AccountId::INSURANCE;
        let (own, of_fund) = (self.gas_places(account), self.gas_places(fund));
        if self.fund_can_carry(&exit) {
            // Who has spent cash must not end the frame owing some.
            let after = self.handed(&self.accounts[&fund], market, exit.size, -exit.received);
            if self.open.spent.contains(&fund) && self.health(&after).usd < 0 {
                return true;
            }
            let cost = rescue_gas::takeover(own, of_fund);
            if budget.allows(cost) {
                budget.spend(cost);
                self.take_over(exit, out);
                return true;
            }
            return false;
        }
        let cost_of = |naive: &Self, other| rescue_gas::counterparty(naive.gas_places(other));
        let ranked = self.ranked(&exit);
        let Some((first, _)) = ranked.first() else { return true };
        let mut cost = rescue_gas::deleveraging(own, of_fund);
        if !budget.allows(cost + cost_of(self, *first)) {
            return false;
        }
        let (mut left, mut others) = (exit.size.abs(), vec![]);
        for (other, lots) in ranked {
            let more = cost_of(self, other);
            if left == 0 || !others.is_empty() && !budget.has(cost + more) {
                break;
            }
            let size = lots.abs().min(left);
            (left, cost) = (left - size, cost + more);
            others.push(Counterparty { account: other, size: Lots(size.try_into().unwrap()) });
        }
        budget.spend(cost);
        self.deleverage(exit, others, out);
        true
    }

    /// The bankruptcy price of a failing account whose keepers' time is over: its equity, or what is missing, is shared out over
    /// its positions by their maintenance requirements. Of a close that an owner forced, index price less the penalty.
    fn exit(&self, account: AccountId, market: MarketId) -> Option<Exit> {
        let (state, feed) = (&self.accounts[&account], self.feed(market).unwrap());
        let size = state.lots(market);
        if self.busy.contains(&account) || self.phase(market) == Phase::Delisted || size == 0 || feed.stale {
            return None;
        }
        let health = self.health(state);
        if health.maintenance() >= 0 {
            let forced = self.forced.get(&(account, market)).filter(|forced| forced.offered)?;
            let size = size.signum() * forced.lots.min(size.abs());
            let received = feed.value(size) - feed.penalty(size);
            return Some(Exit { account, market, size, received, loss: 0 });
        }
        if !self.is_grace_over(account) {
            return None;
        }
        let part = feed.requirement(size, feed.perpetual().maintenance_fractions);
        let share = ceil(health.maintenance_equity * part, health.maintenance_requirement);
        // A position carries no more debt than it is worth.
        let share = share.max(-feed.value(size).abs());
        Some(Exit { account, market, size, received: feed.value(size) - share, loss: -share })
    }

    fn fund_can_carry(&self, exit: &Exit) -> bool {
        let Exit { market, size, received, loss, .. } = *exit;
        let (fund, feed) = (&self.accounts[&AccountId::INSURANCE], self.feed(market).unwrap());
        let cap = i128::try_from(feed.perpetual().loss_cap).unwrap();
        let after = self.handed(fund, market, size, -received);
        let within_cap = loss <= 0 || loss + feed.loss <= cap;
        let health = self.health(fund);
        within_cap && !health.blocked && self.has_room(fund, market, size) && self.health(&after).initial() >= 0
    }

    fn take_over(&mut self, exit: Exit, out: &mut Vec<Event>) {
        let Exit { account, market, size, received, loss } = exit;
        self.feed_mut(market).loss += loss.max(0);
        self.close(account, market, -size, received);
        self.take(AccountId::INSURANCE, market, size, -received);
        self.open.rescues.push(Rescue::Takeover { account, market });
        let (size, received) = (Position(size.try_into().unwrap()), Atoms(received));
        out.push(Event::TakenOver { account, market, size, received });
    }

    /// Opposite positions: who won most, at the highest leverage, first; among equals the lower account number.
    fn ranked(&self, exit: &Exit) -> Vec<(AccountId, i128)> {
        let positions = self.accounts.iter().map(|(account, state)| (*account, state.lots(exit.market)));
        let is_opposite =
            |(account, lots): &(AccountId, i128)| lots.signum() == -exit.size.signum() && !self.busy.contains(account);
        let mut all: Vec<_> = positions.filter(is_opposite).collect();
        all.sort_by_key(|(account, _)| (-self.rank(*account, exit.market), *account));
        all
    }

    /// Profit over entry value, times notional over equity.
    fn rank(&self, account: AccountId, market: MarketId) -> i128 {
        let state = &self.accounts[&account];
        let (lots, feed) = (state.lots(market), self.feed(market).unwrap());
        let now = feed.value(lots.abs());
        let paid = self.entry(account, market).1 * lots.abs() * self.listing(market).quantum();
        let profit = lots.signum() * (now - paid);
        let equity = self.health(state).maintenance_equity;
        if paid == 0 || profit <= 0 || equity <= 0 { 0 } else { (profit * MILLION / paid) * (now * MILLION / equity) }
    }

    fn deleverage(&mut self, exit: Exit, others: Vec<Counterparty>, out: &mut Vec<Event>) {
        let Exit { account, market, size, received, .. } = exit;
        let (mut closed, mut so_far) = (0, 0);
        for other in &others {
            // Parts of one sum, rounded so that they add up to it.
            closed += i128::from(other.size.0);
            let total = floor(received * closed, size.abs());
            self.close(other.account, market, size.signum() * i128::from(other.size.0), so_far - total);
            so_far = total;
        }
        let size = size.signum() * closed;
        self.close(account, market, -size, so_far);
        self.open.rescues.push(Rescue::Deleveraging { account, market, others: others.clone() });
        let (size, received) = (Position(size.try_into().unwrap()), Atoms(so_far));
        out.push(Event::Deleveraged { account, market, size, received, others });
    }

    // ------------------------------------------------------------------ positions change hands

    /// Lots that somebody else decided to close.
    pub(super) fn close(&mut self, account: AccountId, market: MarketId, lots: i128, cash: i128) {
        self.hand_over(account, market, lots, cash, 0);
        if let Some(forced) = self.forced.get_mut(&(account, market)) {
            forced.lots -= lots.abs();
        }
        self.forced.retain(|_, forced| forced.lots > 0);
    }

    /// The other side, for one who chose it.
    pub(super) fn take(&mut self, account: AccountId, market: MarketId, lots: i128, cash: i128) {
        let before = self.accounts[&account].lots(market);
        let notional = cash.abs() / self.listing(market).quantum();
        self.hand_over(account, market, lots, cash, notional);
        if turns_or_grows(before, before + lots) {
            self.open.grew.insert(account);
        }
        self.busy.insert(account);
    }

    fn hand_over(&mut self, account: AccountId, market: MarketId, lots: i128, cash: i128, notional: i128) {
        let entry = entered(self.entry(account, market), lots, notional);
        let mut after = self.handed(&self.accounts[&account], market, lots, cash);
        after.entries.insert(market, entry);
        let before = self.accounts[&account].lots(market);
        self.accounts.insert(account, after);
        self.end_forced(account, market, before, before + lots);
        self.moved.insert((market, account));
        if self.phase(market) == Phase::Delisted {
            // It will be paid at the market's last price, if there is any of it.
            self.queue.remove(&(market.event(), account));
            if before + lots != 0 {
                self.queue.insert((market.event(), account));
            }
        }
    }

    /// An account with so many lots of a perpetual more, and so much cash; what funding it owed is paid.
    pub(super) fn handed(&self, state: &Account, market: MarketId, lots: i128, cash: i128) -> Account {
        let mut after = state.clone();
        after.cash += cash + self.funding(state, market);
        *after.positions.entry(market).or_default() += lots;
        let index = if after.lots(market) == 0 { 0 } else { self.feed(market).unwrap().funding };
        after.paid_up_to.insert(market, index);
        after
    }

    /// Whether an account may hold one more, if it is one more and not a part less.
    pub(super) fn has_room(&self, state: &Account, market: MarketId, lots: i128) -> bool {
        let before = state.lots(market);
        let holdings = self.health(state).holdings + usize::from(before == 0);
        holdings <= self.places_max() || !turns_or_grows(before, before + lots)
    }

    /// Orders leave that positions which changed hands have no room for, the newest first.
    pub(super) fn fit_orders(&mut self, out: &mut Vec<Event>) {
        let moved = std::mem::take(&mut self.moved);
        for &(market, account) in &moved {
            self.trim(account, market, out);
            for side in [Side::Buy, Side::Sell] {
                let own = self.newest(account, |order| (order.market, order.side) == (market, side));
                for nonce in own {
                    let exposure = sign(side) * self.position(account, market) + self.resting(account, market, side);
                    if exposure > self.listing(market).position_max().unwrap().into() {
                        self.cancel(account, nonce, CancelReason::Margin, out);
                    }
                }
            }
        }
        let events: BTreeSet<EventId> = moved.into_iter().map(|(market, _)| market.event()).collect();
        for event in events {
            self.keep_reducing(event, out);
        }
    }

    /// An account's orders of a sort, the newest first.
    pub(super) fn newest(&self, account: AccountId, is_meant: impl Fn(&Order) -> bool) -> Vec<Nonce> {
        let mut own = self.nonces_of(account);
        own.retain(|nonce| is_meant(&self.orders[self.index_of(account, *nonce).unwrap()].signed.message));
        own.reverse();
        own
    }
}

/// Whether a position becomes larger, or another.
pub(super) fn turns_or_grows(before: i128, after: i128) -> bool {
    after != 0 && (after.abs() > before.abs() || after.signum() != before.signum())
}
