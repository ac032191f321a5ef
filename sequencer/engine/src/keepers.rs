//! Keepers: who takes positions of failing accounts, and buys assets of those that owe cash, because the price is good
//! (`Rescues.sol`).
//!
//! A batch settles rescues before its fills, so a keeper's message cannot happen in the middle of a frame, at a state that
//! fills have changed already. It waits in a queue, its nonce spent, and is judged when the next frame has its prices: it
//! happens then or never (`docs/decisions/0018-keepers-wait-for-the-next-frame.md`). A liquidation that comes through the
//! contract's inbox is judged with the frame that takes its item.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use xos_types::{
    AccountId, Address, Atoms, Convert, Event, EventId, FeedId, Liquidate, Lots, MarketKind, Nonce, Phase, Position,
    Reject, Rescue, Signed, TimeMs, VenueId,
};

use crate::engine::Engine;
use crate::gas;
use crate::handover::{Handover, toward};
use crate::health::{Health, Weight};
use crate::inbox::Given;
use crate::limits::KEEPERS_QUEUE_MAX;
use crate::rescue::Budget;
use crate::wide::{MILLION, PRICE_SCALE, mul_div, mul_div_up};

/// A keeper's message that waits for the next frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Liquidation(Signed<Liquidate>),
    Conversion(Signed<Convert>),
}

pub(crate) type Queue = VecDeque<Request>;

/// Who asks for what, and until when.
#[derive(Clone, Copy, Debug)]
struct Asked {
    keeper: AccountId,
    account: AccountId,
    /// Where a key must be allowed to trade; 0 for everywhere.
    venue: VenueId,
    nonce: Nonce,
    expiry: TimeMs,
    signer: Address,
}

/// What a keeper takes.
#[derive(Clone, Copy, Debug)]
struct Portion {
    listing: EventId,
    feed: FeedId,
    /// Signed lots: what restores initial health, or as much as was asked for.
    size: i64,
    /// What they are worth at index price.
    value: i128,
    /// The penalty that the account pays.
    charge: i128,
    keeper_part: i128,
    /// What the account will be left owing.
    missing: u128,
}

/// What a keeper buys.
#[derive(Clone, Copy, Debug)]
struct Purchase {
    amount: u128,
    paid: i128,
}

impl Request {
    fn asked(&self, engine: &Engine) -> Asked {
        match self {
            Self::Liquidation(Signed { message: request, signer, .. }) => Asked {
                keeper: request.keeper,
                account: request.account,
                venue: engine.find_market(request.market).map_or(VenueId(0), |listing| listing.terms.venue),
                nonce: request.nonce,
                expiry: request.expiry,
                signer: *signer,
            },
            Self::Conversion(Signed { message: request, signer, .. }) => Asked {
                keeper: request.keeper,
                account: request.account,
                venue: VenueId(0),
                nonce: request.nonce,
                expiry: request.expiry,
                signer: *signer,
            },
        }
    }
}

impl Engine {
    pub(crate) fn queue_liquidation(&mut self, signed: &Signed<Liquidate>, events: &mut Vec<Event>) {
        let market = signed.message.market;
        let perpetual = match self.find_market(market) {
            None => Err(Reject::UnknownMarket { market }),
            Some(listing) if listing.terms.kind != MarketKind::Perpetual => Err(Reject::NotPerpetual { market }),
            Some(_) => Ok(()),
        };
        self.queue(Request::Liquidation(*signed), perpetual, events);
    }

    pub(crate) fn queue_conversion(&mut self, signed: &Signed<Convert>, events: &mut Vec<Event>) {
        let feed = signed.message.asset;
        let asset = self.board.find(feed).is_some_and(|feed| !feed.is_perpetual());
        let asset = if asset { Ok(()) } else { Err(Reject::NotPriced { feed }) };
        self.queue(Request::Conversion(*signed), asset, events);
    }

    /// Lets a request wait that is not hopeless already.
    fn queue(&mut self, request: Request, known: Result<(), Reject>, events: &mut Vec<Event>) {
        let asked = request.asked(self);
        let (keeper, nonce) = (asked.keeper, asked.nonce);
        match self.check_keeper(asked).and(known).and_then(|()| self.check_queue(asked)) {
            Ok(()) => {
                self.accounts[keeper].nonces.spend(nonce);
                self.rescues.queue.push_back(request);
                events.push(Event::RescueQueued { keeper, nonce });
                self.follow_end((keeper, nonce), events);
            }
            Err(reject) => events.push(Event::Rejected { account: keeper, nonce, reject }),
        }
    }

    /// The keeper is there, not closed, and somebody signed who may; it is in time.
    fn check_keeper(&self, asked: Asked) -> Result<(), Reject> {
        let Asked { keeper, venue, expiry, signer, .. } = asked;
        let state = self.find_account(keeper).ok_or(Reject::UnknownAccount { account: keeper })?;
        if state.nonces.is_closed() {
            return Err(Reject::AccountClosed { account: keeper });
        }
        // The value of what a keeper takes is known when it is taken, so a key with a limit on it cannot sign for one.
        if !self.accounts.parent(keeper).may_trade(signer, venue, u128::MAX, self.frame.time) {
            return Err(state.not_authorized(keeper, signer));
        }
        self.check_expiry(expiry)
    }

    fn check_queue(&self, asked: Asked) -> Result<(), Reject> {
        let Asked { keeper, account, nonce, .. } = asked;
        let nonces = &self.accounts[keeper].nonces;
        if nonces.is_spent(nonce) {
            return Err(Reject::NonceSpent { nonce, next: nonces.next() });
        }
        self.check_owners(keeper, account)?;
        if self.rescues.queue.len() >= KEEPERS_QUEUE_MAX {
            return Err(Reject::QueueFull { limit: KEEPERS_QUEUE_MAX as u64 });
        }
        Ok(())
    }

    fn check_owners(&self, keeper: AccountId, account: AccountId) -> Result<(), Reject> {
        let [of_keeper, of_account] = [keeper, account].map(|id| self.find_account(id).map(|state| state.owner));
        if of_account.is_none() {
            return Err(Reject::UnknownAccount { account });
        }
        if of_keeper == of_account { Err(Reject::SameOwner { keeper, account }) } else { Ok(()) }
    }

    /// What waits is judged at the frame's prices, in order of arrival, as far as gas goes.
    pub(crate) fn serve_keepers(&mut self, mut budget: Budget, events: &mut Vec<Event>) {
        let mut postponed = Queue::new();
        while let Some(request) = self.rescues.queue.pop_front() {
            let asked = request.asked(self);
            // What is done to it now would be told apart wrongly from what happened to it already.
            if self.rescues.busy.contains(&asked.account) {
                postponed.push_back(request);
                continue;
            }
            let cost = match request {
                Request::Liquidation(_) => self.liquidation_gas(asked.account, asked.keeper),
                Request::Conversion(_) => gas::conversion(self.places(asked.account), self.places(asked.keeper)),
            };
            if !budget.allows(cost) {
                self.rescues.queue.push_front(request);
                break;
            }
            let done = self.check_again(asked).and_then(|()| match &request {
                Request::Liquidation(signed) => self.liquidate(&signed.message, Forced::No, events),
                Request::Conversion(signed) => self.convert(&signed.message, events),
            });
            match done {
                Ok(()) => {
                    budget.spend(cost);
                    self.accounts[asked.keeper].nonces.settle(asked.nonce);
                    let rescue = match request {
                        Request::Liquidation(signed) => Rescue::Liquidation(signed),
                        Request::Conversion(signed) => Rescue::Conversion(signed),
                    };
                    self.frame.rescue(rescue, cost);
                }
                Err(reject) => {
                    let (keeper, nonce) = (asked.keeper, asked.nonce);
                    events.push(Event::RescueRefused { keeper, nonce, reject });
                }
            }
        }
        postponed.append(&mut self.rescues.queue);
        self.rescues.queue = postponed;
    }

    /// What may have changed since the message came: keys, time, and a floor that the chain or the keeper raised.
    fn check_again(&self, asked: Asked) -> Result<(), Reject> {
        self.check_keeper(asked)?;
        let nonces = &self.accounts[asked.keeper].nonces;
        if asked.nonce < nonces.floor() {
            return Err(Reject::NonceSpent { nonce: asked.nonce, next: nonces.next() });
        }
        Ok(())
    }

    /// A liquidation that a keeper forced through the inbox. It happens if it can.
    pub(crate) fn force_liquidation(&mut self, request: &Liquidate, events: &mut Vec<Event>) {
        self.frame.charge(self.liquidation_gas(request.account, request.keeper));
        if let Err(reject) = self.liquidate(request, Forced::Yes, events) {
            events.push(Event::RescueRefused { keeper: request.keeper, nonce: request.nonce, reject });
        }
    }

    pub(crate) fn liquidation_gas(&self, account: AccountId, keeper: AccountId) -> u64 {
        gas::liquidation(self.places(account), self.places(keeper))
    }

    /// Places that an account's holdings and orders take; one that does not exist has none.
    pub(crate) fn places(&self, account: AccountId) -> usize {
        self.find_account(account).map_or(0, |state| state.holdings.len())
    }

    // ---------------------------------------------------------------- liquidation

    /// The keeper pays index price less its part of the penalty, the account receives index price less all of it, and the
    /// insurance fund has the difference. An account pays no penalty that it has not got: the fund would pay it in the end, and
    /// whoever owns both sides would be paid for failing.
    fn liquidate(&mut self, request: &Liquidate, forced: Forced, events: &mut Vec<Event>) -> Result<(), Reject> {
        let Liquidate { keeper, account, market, nonce, .. } = *request;
        let portion = self.check_liquidation(request, forced)?;
        let Portion { listing, feed, size, value, charge, keeper_part, missing } = portion;
        self.board[feed].loss += missing;
        events.push(Event::Liquidated {
            account,
            keeper,
            nonce,
            market,
            size: Position(size),
            value: Atoms(value),
            charge: Atoms(charge),
            keeper_part: Atoms(keeper_part),
            forced: forced == Forced::Yes,
        });
        self.close(account, Handover { listing, lots: -size, cash: value - charge });
        self.take(keeper, Handover { listing, lots: size, cash: keeper_part - value });
        self.insure(charge - keeper_part, events);
        Ok(())
    }

    /// `_refusal` of the contract, and what the keeper takes.
    fn check_liquidation(&self, request: &Liquidate, forced: Forced) -> Result<Portion, Reject> {
        let Liquidate { keeper, account, market, size: asked, limit, .. } = *request;
        let taker = self.find_account(keeper).ok_or(Reject::UnknownAccount { account: keeper })?;
        if taker.nonces.is_closed() {
            return Err(Reject::AccountClosed { account: keeper });
        }
        let listing = self.find_market(market).ok_or(Reject::UnknownMarket { market })?;
        let terms = listing.terms;
        if terms.kind != MarketKind::Perpetual {
            return Err(Reject::NotPerpetual { market });
        }
        self.check_owners(keeper, account)?;
        // Here the contract asks for the very market, which of a perpetual is the only one.
        if terms.isolated_only && !(keeper.is_isolated() && keeper.isolated_market() == market) {
            return Err(Reject::IsolatedOnly { keeper, market });
        }
        if terms.restricted && !self.is_member(keeper, terms.venue) {
            return Err(Reject::NotMember { account: keeper, venue: terms.venue });
        }
        let feed = &self.board[terms.feed];
        if feed.stale || feed.price == 0 {
            return Err(Reject::NotPriced { feed: terms.feed });
        }
        // The contract would let it happen; a position that is about to be paid is none to take.
        if forced == Forced::No && listing.phase == Phase::Delisted {
            return Err(Reject::MarketClosed { market, event: market.event() });
        }
        let held = self.size_of(account, terms.feed);
        if held == 0 || asked.0 == 0 {
            return Err(Reject::NothingToLiquidate { account, market });
        }
        let price = feed.price.unsigned_abs();
        if if held > 0 { price > limit } else { price < limit } {
            return Err(Reject::KeeperLimit { limit, price });
        }
        let health = self.accounts[account].health(&self.board);
        self.check_failing(request, &health, held)?;

        let most = held.unsigned_abs().min(asked.0);
        // The keeper must be able to carry the whole that it asked for, so that what it forces never stops a batch; and have an
        // atom more than that, because rounding may make a part of it an atom dearer than the whole.
        let (whole_value, _) = feed.value_and_charge(toward(held, most));
        self.check_carries(keeper, terms.feed, toward(held, most), -whole_value)?;

        let size = toward(held, self.enough(terms.feed, &health, held, most));
        let (value, charge) = feed.value_and_charge(size);
        let charge = charge.min(self.affordable(terms.feed, &health, held, size));
        let keeper_part = charge * i128::from(self.group_terms.keeper_share.0) / MILLION;
        let missing = health.maintenance_equity.min(0).unsigned_abs();
        Ok(Portion { listing: market.event(), feed: terms.feed, size, value, charge, keeper_part, missing })
    }

    /// An account without equity is left with a debt, as a keeper pays index price. So that no position that stays behind is
    /// closed at a price that carries the whole debt, it must be the last; and the debt counts as the market's loss.
    fn check_failing(&self, request: &Liquidate, health: &Health, held: i64) -> Result<(), Reject> {
        let Liquidate { account, market, size: Lots(asked), .. } = *request;
        let maintenance = health.maintenance();
        if maintenance >= 0 {
            return Err(Reject::NotFailing { account, maintenance: Atoms(maintenance) });
        }
        if health.maintenance_equity >= 0 {
            return Ok(());
        }
        let feed = &self.board[self.find_market(market).expect("was just found").terms.feed];
        let is_last = Weight::of(feed, held).maintenance == health.maintenance_requirement;
        if !is_last || asked < held.unsigned_abs() {
            return Err(Reject::NotWholeLastPosition { account, market });
        }
        let loss = feed.loss + health.maintenance_equity.unsigned_abs();
        let cap = feed.loss_cap();
        if loss > cap { Err(Reject::LossAboveCap { market, loss, cap }) } else { Ok(()) }
    }

    /// Whether an account may take so many lots for that cash.
    fn check_carries(&self, keeper: AccountId, id: FeedId, lots: i64, cash: i128) -> Result<(), Reject> {
        let own = self.size_of(keeper, id);
        let health = self.accounts[keeper].health(&self.board);
        let limit = u8::try_from(self.holdings_max()).expect("at most 32");
        let Some(after) = own.checked_add(lots) else { return Err(Reject::TooManyHoldings { limit }) };
        let initial = health.initial_after(&self.board[id], own, after, cash);
        if initial < 1 {
            return Err(Reject::KeeperShort { keeper, missing: Atoms(1 - initial) });
        }
        if health.blocked {
            return Err(Reject::HoldsStalePrice { account: keeper });
        }
        if !self.has_room(health.holdings, own, lots) {
            return Err(Reject::TooManyHoldings { limit });
        }
        Ok(())
    }

    /// The fewest lots whose liquidation restores initial health, or `most` if that many do not: by bisection, as the contract
    /// finds them.
    fn enough(&self, id: FeedId, health: &Health, held: i64, most: u64) -> u64 {
        let feed = &self.board[id];
        let (mut low, mut high) = (1, most);
        while low < high {
            let middle = low + (high - low) / 2;
            let size = toward(held, middle);
            let (value, charge) = feed.value_and_charge(size);
            if health.initial_after(feed, held, held - size, value - charge) >= 0 {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        high
    }

    /// What these lots' part of the account's equity is, shared out as at the bankruptcy price; rounded down.
    fn affordable(&self, id: FeedId, health: &Health, held: i64, size: i64) -> i128 {
        if health.maintenance_equity <= 0 {
            return 0;
        }
        let requirement = Weight::of(&self.board[id], held).maintenance.unsigned_abs();
        let all = health.maintenance_requirement.unsigned_abs();
        let share = mul_div(health.maintenance_equity.unsigned_abs(), requirement, all);
        let share = mul_div(share, size.unsigned_abs().into(), held.unsigned_abs().into());
        i128::try_from(share).expect("no more than the equity")
    }

    // ---------------------------------------------------------------- conversion

    /// The keeper pays index price less the discount for as much as brings the account's `usd` back to zero.
    fn convert(&mut self, request: &Convert, events: &mut Vec<Event>) -> Result<(), Reject> {
        let Convert { keeper, account, nonce, .. } = *request;
        let asset = request.asset;
        let Purchase { amount, paid } = self.check_conversion(request)?;
        let balance = self.accounts[account].holdings.asset(asset).map_or(0, |held| held.balance);
        self.fit_offers(account, asset, balance - amount, events);
        self.take_asset(account, asset, amount);
        self.accounts[account].cash += paid;
        self.give_asset(keeper, asset, amount, Given::ByDeposit);
        let frame = self.frame.id();
        let taker = &mut self.accounts[keeper];
        taker.cash -= paid;
        taker.note(frame, true, true);
        self.suspects.extend([account, keeper]);
        self.rescues.busy.insert(keeper);
        let paid = Atoms(paid);
        events.push(Event::Converted { account, keeper, nonce, asset, amount, paid });
        Ok(())
    }

    fn check_conversion(&self, request: &Convert) -> Result<Purchase, Reject> {
        let Convert { keeper, account, limit, .. } = *request;
        let id = request.asset;
        self.check_owners(keeper, account)?;
        let feed = self.board.find(id).filter(|feed| !feed.is_perpetual() && !feed.stale);
        let feed = feed.ok_or(Reject::NotPriced { feed: id })?;
        let price = feed.price.unsigned_abs();
        if price > limit {
            return Err(Reject::KeeperLimit { limit, price });
        }
        let state = &self.accounts[account];
        let usd = state.health(&self.board).usd;
        if usd >= 0 {
            return Err(Reject::OwesNothing { account, usd: Atoms(usd) });
        }
        let asked = price * (MILLION.unsigned_abs() - u128::from(feed.penalty().0));
        let scale = u128::from(feed.as_asset().lot) * (PRICE_SCALE * MILLION).unsigned_abs();
        // Rounds up: the last atom of the asset may pay a little more than the debt.
        let enough = mul_div_up(usd.unsigned_abs(), scale, asked);
        let balance = state.holdings.asset(id).map_or(0, |held| held.balance);
        let amount = request.amount.min(enough).min(balance);
        if amount == 0 {
            return Err(Reject::NothingToConvert { account, asset: id });
        }
        // Rounds up, in favour of the account in need.
        let paid = mul_div_up(amount, asked, scale);
        let paid = i128::try_from(paid).expect("about the debt, or what an atom of the asset is worth");
        self.check_buys(keeper, id, amount, paid)?;
        Ok(Purchase { amount, paid })
    }

    /// What the contract will ask of the keeper when it judges it.
    fn check_buys(&self, keeper: AccountId, id: FeedId, amount: u128, paid: i128) -> Result<(), Reject> {
        let state = &self.accounts[keeper];
        let health = state.health_with_asset(&self.board, id, amount, paid);
        let short = health.usd.min(health.initial());
        if short < 0 {
            return Err(Reject::KeeperShort { keeper, missing: Atoms(-short) });
        }
        if health.blocked {
            return Err(Reject::HoldsStalePrice { account: keeper });
        }
        if health.holdings > self.holdings_max() {
            let limit = u8::try_from(self.holdings_max()).expect("at most 32");
            return Err(Reject::TooManyHoldings { limit });
        }
        Ok(())
    }
}

/// Whether a keeper came through the contract's inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    No,
    Yes,
}
