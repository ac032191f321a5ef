//! Positions that nobody takes by choice: the insurance fund takes them while it can, else those close against them who won
//! most (`Rescues.sol`).
//!
//! For a failing account the price is the bankruptcy price: what remains of its equity, or is missing, is shared out over its
//! positions in proportion to their maintenance requirements, so closing all of them leaves nothing. For what the book left of a
//! close that an owner forced it is index price less the market's penalty, which is below every requirement.
//!
//! ```text
//! received = ⌊size · index⌋ − ⌈equity · requirement(position) / requirement(all)⌉, between nothing and twice ⌊size · index⌋
//! ```
//!
//! Source of the formula: dYdX v4, bankruptcy price in quote quantums. Who is deleveraged follows from the ranking by profit and
//! effective leverage that Hyperliquid publishes; among equals the lower account number goes first.

use core::cmp::Reverse;

use xos_types::{
    AccountId, Atoms, Counterparty, Event, EventId, FeedId, MarketId, MarketKind, Phase, Position, Rescue, U256,
};

use crate::engine::{Engine, event_index};
use crate::gas;
use crate::handover::{Handover, lots_of, toward};
use crate::health::Weight;
use crate::rescue::Budget;
use crate::wide::{MILLION, PRICE_SCALE, mul_div_floor};

/// Where a position changes hands: the atoms that its account receives for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    account: AccountId,
    listing: EventId,
    feed: FeedId,
    size: i64,
    received: i128,
    /// What whoever takes it loses; negative is what it gains.
    loss: i128,
}

impl Exit {
    fn market(&self) -> MarketId {
        MarketId::new(self.listing, 0)
    }
}

impl Engine {
    /// Closes a position that the insurance fund or the opposite side must take, as far as the budget goes; `false` if it does
    /// not go far enough.
    pub(crate) fn close_out(
        &mut self,
        account: AccountId,
        listing: EventId,
        budget: &mut Budget,
        events: &mut Vec<Event>,
    ) -> bool {
        let Some(exit) = self.exit(account, listing) else { return true };
        let fund = AccountId::INSURANCE;
        if self.fund_can_carry(&exit) {
            if self.fund_overspends(&exit) {
                return true;
            }
            let cost = gas::takeover(self.places(account), self.places(fund));
            if !budget.allows(cost) {
                return false;
            }
            budget.spend(cost);
            self.take_over(exit, cost, events);
            return true;
        }
        let base = gas::deleveraging(self.places(account), self.places(fund));
        let others = self.counterparties(&exit, base, *budget);
        let Some(first) = others.first() else { return true };
        if !budget.allows(base + gas::counterparty(self.places(first.account))) {
            return false;
        }
        let cost = base + others.iter().map(|other| gas::counterparty(self.places(other.account))).sum::<u64>();
        budget.spend(cost);
        self.deleverage(exit, others, cost, events);
        true
    }

    /// At which price a position leaves its account, if it is due: its account fails and the keepers' time is over, or its
    /// owner forced the close and the book did not take it, and the market has a price.
    fn exit(&self, account: AccountId, listing: EventId) -> Option<Exit> {
        if self.rescues.busy.contains(&account) {
            return None;
        }
        let listed = &self.listings[event_index(listing)];
        let id = listed.terms.feed;
        // Positions in a delisted perpetual are about to be paid.
        if listed.terms.kind != MarketKind::Perpetual || listed.phase == Phase::Delisted {
            return None;
        }
        let feed = &self.board[id];
        let size = self.size_of(account, id);
        if size == 0 || feed.stale {
            return None;
        }
        let health = self.accounts[account].health(&self.board);
        let mut exit = Exit { account, listing, feed: id, size, received: 0, loss: 0 };
        if health.maintenance() < 0 {
            if !self.rescues.is_grace_over(account, self.frame.time, self.group_terms.grace) {
                return None;
            }
            let weight = Weight::of(feed, size);
            let (part, all) = (weight.maintenance.unsigned_abs(), health.maintenance_requirement.unsigned_abs());
            let share = -mul_div_floor(-health.maintenance_equity, part, all);
            // What is left of a larger position does not carry more than itself: beyond that a debt stays.
            let share = share.max(-weight.value.abs());
            exit.received = weight.value - share;
            exit.loss = -share;
        } else {
            let forced = self.rescues.forced_rest(account, exit.market())?;
            exit.size = toward(size, forced.min(size.unsigned_abs()));
            let (value, charge) = feed.value_and_charge(exit.size);
            exit.received = value - charge;
        }
        Some(exit)
    }

    /// Whether the fund has room for it, its initial health stays above zero and the market's loss within its cap.
    fn fund_can_carry(&self, exit: &Exit) -> bool {
        let feed = &self.board[exit.feed];
        let loss = exit.loss.max(0).unsigned_abs();
        if loss != 0 && loss + feed.loss > feed.loss_cap() {
            return false;
        }
        let own = self.size_of(AccountId::INSURANCE, exit.feed);
        let health = self.accounts[AccountId::INSURANCE].health(&self.board);
        !health.blocked
            && self.has_room(health.holdings, own, exit.size)
            && health.initial_after(feed, own, own + exit.size, -exit.received) >= 0
    }

    /// Whether the fund has spent cash in this frame, as a keeper does who buys an asset, and would owe some after a takeover: the
    /// contract would refuse the batch, however well assets carry it (`Judgement.sol`). So the position waits for the next frame.
    fn fund_overspends(&self, exit: &Exit) -> bool {
        let (fund, feed) = (&self.accounts[AccountId::INSURANCE], &self.board[exit.feed]);
        let own = self.size_of(AccountId::INSURANCE, exit.feed);
        let usd = fund.health(&self.board).usd_after(feed, own, own + exit.size, -exit.received);
        fund.did(self.frame.id()).spent && usd < 0
    }

    fn take_over(&mut self, exit: Exit, cost: u64, events: &mut Vec<Event>) {
        let Exit { account, listing, size, received, loss, .. } = exit;
        let market = exit.market();
        self.board[exit.feed].loss += loss.max(0).unsigned_abs();
        self.close(account, Handover { listing, lots: -size, cash: received });
        self.take(AccountId::INSURANCE, Handover { listing, lots: size, cash: -received });
        self.frame.rescue(Rescue::Takeover { account, market }, cost);
        events.push(Event::TakenOver { account, market, size: Position(size), received: Atoms(received) });
    }

    /// Opposite accounts in ranked order, as many as the position needs and the budget allows, one at least. Whoever has taken
    /// something in this frame is left out of it: the contract judges it by what it was before, and a loss that comes in between
    /// would be told apart wrongly.
    fn counterparties(&self, exit: &Exit, base: u64, budget: Budget) -> Vec<Counterparty> {
        let opposite = |account: &AccountId| {
            let size = self.size_of(*account, exit.feed);
            size.signum() == -exit.size.signum() && !self.rescues.busy.contains(account)
        };
        let holders = self.board[exit.feed].holders.iter();
        let mut ranked: Vec<_> =
            holders.filter(opposite).map(|account| (Reverse(self.rank(exit, account)), account)).collect();
        ranked.sort_unstable();
        let (mut left, mut cost) = (exit.size.unsigned_abs(), base);
        let mut others = Vec::new();
        for (_, account) in ranked {
            cost += gas::counterparty(self.places(account));
            if left == 0 || (!others.is_empty() && !budget.has(cost)) {
                break;
            }
            let size = lots_of(self.size_of(account, exit.feed)).min(xos_types::Lots(left));
            left -= size.0;
            others.push(Counterparty { account, size });
        }
        others
    }

    /// How profitable and how leveraged an opposite account is: profit of the position over its entry value, times notional over
    /// the account's equity, each in parts per million. Losing positions rank 0.
    fn rank(&self, exit: &Exit, other: AccountId) -> U256 {
        let state = &self.accounts[other];
        let held = state.holdings.perpetual(exit.feed).expect("a holder has a place");
        let (feed, quantum) = (&self.board[exit.feed], self.listings[event_index(exit.listing)].terms.quantum);
        let size = U256::from(held.size.unsigned_abs());
        let now = size * U256::from(feed.price.unsigned_abs()) / U256::from(PRICE_SCALE.unsigned_abs());
        let entry = U256::from(held.entry) * size * U256::from(quantum.unsigned_abs());
        let wins = if held.size > 0 { now > entry } else { now < entry };
        let equity = state.health(&self.board).maintenance_equity;
        if entry == U256::ZERO || !wins || equity <= 0 {
            return U256::ZERO;
        }
        let million = U256::from(MILLION.unsigned_abs());
        let profit = if held.size > 0 { now - entry } else { entry - now };
        (profit * million / entry) * (now * million / U256::from(equity.unsigned_abs()))
    }

    /// The others close against it. They do not choose, so they are not judged for it.
    fn deleverage(&mut self, exit: Exit, others: Vec<Counterparty>, cost: u64, events: &mut Vec<Event>) {
        let Exit { account, listing, .. } = exit;
        let market = exit.market();
        let whole = u128::from(exit.size.unsigned_abs());
        let (mut closed, mut received) = (0, 0);
        for other in &others {
            closed += other.size.0;
            // Parts of one sum, each the difference of two rounded totals, so they add up to it.
            let total = mul_div_floor(exit.received, closed.into(), whole);
            let lots = toward(exit.size, other.size.0);
            self.close(other.account, Handover { listing, lots, cash: received - total });
            received = total;
        }
        let size = toward(exit.size, closed);
        self.close(account, Handover { listing, lots: -size, cash: received });
        self.frame.rescue(Rescue::Deleveraging { account, market, others: others.clone() }, cost);
        events.push(Event::Deleveraged { account, market, size: Position(size), received: Atoms(received), others });
    }
}
