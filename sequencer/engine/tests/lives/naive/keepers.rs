//! Keepers: their messages wait for the next frame, and happen then or never.

use xos_engine::limits::{KEEPERS_QUEUE_MAX, rescue_gas};

use super::rescue::Budget;
use super::*;

#[derive(Clone, Debug)]
pub(super) enum Request {
    Liquidation(Signed<Liquidate>),
    Conversion(Signed<Convert>),
}

/// Who asks, for whose, and until when.
struct Asked {
    keeper: AccountId,
    account: AccountId,
    nonce: Nonce,
    expiry: TimeMs,
    signer: Address,
}

impl Request {
    fn asked(&self) -> Asked {
        let (keeper, account, nonce, expiry, signer) = match self {
            Self::Liquidation(Signed { message: of, signer, .. }) => {
                (of.keeper, of.account, of.nonce, of.expiry, signer)
            }
            Self::Conversion(Signed { message: of, signer, .. }) => {
                (of.keeper, of.account, of.nonce, of.expiry, signer)
            }
        };
        Asked { keeper, account, nonce, expiry, signer: *signer }
    }
}

impl Naive {
    pub(super) fn queue_request(&mut self, request: Request, out: &mut Vec<Event>) {
        let Asked { keeper, account, nonce, .. } = request.asked();
        let unknown = match &request {
            Request::Liquidation(signed) => self.not_perpetual(signed.message.market),
            Request::Conversion(signed) => {
                let feed = signed.message.asset;
                let is_asset = self.feeds.get(&feed).is_some_and(|feed| matches!(feed.kept, Kept::Asset(_)));
                (!is_asset).then_some(Reject::NotPriced { feed })
            }
        };
        let refusal = self
            .no_keeper(&request)
            .or(unknown)
            .or_else(|| self.spent(keeper, nonce))
            .or_else(|| self.same_owner(keeper, account))
            .or_else(|| {
                let limit = KEEPERS_QUEUE_MAX as u64;
                (self.requests.len() >= KEEPERS_QUEUE_MAX).then_some(Reject::QueueFull { limit })
            });
        if let Some(reject) = refusal {
            return out.push(Event::Rejected { account: keeper, nonce, reject });
        }
        self.accounts.get_mut(&keeper).unwrap().used.insert(nonce.0);
        self.requests.push(request);
        out.push(Event::RescueQueued { keeper, nonce });
        self.ended(keeper, nonce, out);
    }

    pub(crate) fn waiting_requests(&self) -> usize {
        self.requests.len()
    }

    fn no_keeper(&self, request: &Request) -> Option<Reject> {
        let Asked { keeper, expiry, signer, .. } = request.asked();
        let Some(state) = self.accounts.get(&keeper) else { return Some(Reject::UnknownAccount { account: keeper }) };
        if state.closed {
            return Some(Reject::AccountClosed { account: keeper });
        }
        self.signer(keeper, signer).or_else(|| self.expired(expiry))
    }

    fn not_perpetual(&self, market: MarketId) -> Option<Reject> {
        match self.known(market).map(|listing| listing.kind) {
            None => Some(Reject::UnknownMarket { market }),
            Some(MarketKind::Perpetual) => None,
            Some(_) => Some(Reject::NotPerpetual { market }),
        }
    }

    fn same_owner(&self, keeper: AccountId, account: AccountId) -> Option<Reject> {
        let Some(state) = self.accounts.get(&account) else { return Some(Reject::UnknownAccount { account }) };
        (state.owner == self.accounts[&keeper].owner).then_some(Reject::SameOwner { keeper, account })
    }

    /// In order of arrival, as far as gas goes. Accounts that have taken something in this frame wait for the next.
    pub(super) fn serve_keepers(&mut self, out: &mut Vec<Event>) {
        let mut budget = Budget::new();
        let mut waiting = std::mem::take(&mut self.requests).into_iter();
        for request in waiting.by_ref() {
            let Asked { keeper, account, nonce, .. } = request.asked();
            if self.busy.contains(&account) {
                self.requests.push(request);
                continue;
            }
            let (held, own) = (self.gas_places(account), self.gas_places(keeper));
            let cost = match &request {
                Request::Liquidation(_) => rescue_gas::liquidation(held, own),
                Request::Conversion(_) => rescue_gas::conversion(held, own),
            };
            if !budget.allows(cost) {
                self.requests.push(request);
                break;
            }
            let below = nonce.0 < self.accounts[&keeper].floor;
            let next = Nonce(self.next_nonce(keeper));
            let below = below.then_some(Reject::NonceSpent { nonce, next });
            let refusal = self.no_keeper(&request).or(below).or_else(|| match &request {
                Request::Liquidation(signed) => self.liquidate(&signed.message, false, out),
                Request::Conversion(signed) => self.convert(&signed.message, out),
            });
            if let Some(reject) = refusal {
                out.push(Event::RescueRefused { keeper, nonce, reject });
                continue;
            }
            budget.spend(cost);
            self.open.rescues.push(match request {
                Request::Liquidation(signed) => Rescue::Liquidation(signed),
                Request::Conversion(signed) => Rescue::Conversion(signed),
            });
        }
        self.requests.extend(waiting);
    }

    pub(super) fn force_liquidation(&mut self, request: &Liquidate, out: &mut Vec<Event>) {
        if let Some(reject) = self.liquidate(request, true, out) {
            out.push(Event::RescueRefused { keeper: request.keeper, nonce: request.nonce, reject });
        }
    }

    // ------------------------------------------------------------------ liquidation

    /// The keeper pays index price less its part of the penalty, the account receives index price less all of it, and the fund
    /// has the difference; as many lots as restore initial health. Returns why not, if not.
    fn liquidate(&mut self, request: &Liquidate, forced: bool, out: &mut Vec<Event>) -> Option<Reject> {
        let Liquidate { keeper, account, market, nonce, .. } = *request;
        if let Some(reject) = self.no_liquidation(request, forced) {
            return Some(reject);
        }
        let (state, feed) = (&self.accounts[&account], self.feed(market).unwrap());
        let held = state.lots(market);
        let most = held.abs().min(request.size.0.into());
        let restores = |lots: &i128| {
            let (value, charge) = (feed.value(held.signum() * lots), feed.penalty(held.signum() * lots));
            self.health(&self.handed(state, market, -held.signum() * lots, value - charge)).initial() >= 0
        };
        let lots = held.signum() * (1..most).find(restores).unwrap_or(most);
        let health = self.health(state);
        let value = feed.value(lots);
        // It pays no penalty that it has not got: its equity is shared out as at the bankruptcy price.
        let part = feed.requirement(held, feed.perpetual().maintenance_fractions);
        let of_position = floor(health.maintenance_equity.max(0) * part, health.maintenance_requirement);
        let charge = feed.penalty(lots).min(floor(of_position * lots.abs(), held.abs()));
        let keeper_part = floor(charge * i128::from(self.terms.keeper_share.0), MILLION);
        self.feed_mut(market).loss += (-health.maintenance_equity).max(0);
        let (size, [value_, charge_, part_]) =
            (Position(lots.try_into().unwrap()), [value, charge, keeper_part].map(Atoms));
        out.push(Event::Liquidated {
            account,
            keeper,
            nonce,
            market,
            size,
            value: value_,
            charge: charge_,
            keeper_part: part_,
            forced,
        });
        self.close(account, market, -lots, value - charge);
        self.take(keeper, market, lots, keeper_part - value);
        self.insure(charge - keeper_part, out);
        None
    }

    fn no_liquidation(&self, request: &Liquidate, forced: bool) -> Option<Reject> {
        let Liquidate { keeper, account, market, size, limit, .. } = *request;
        match self.accounts.get(&keeper) {
            None => return Some(Reject::UnknownAccount { account: keeper }),
            Some(state) if state.closed => return Some(Reject::AccountClosed { account: keeper }),
            Some(_) => {}
        }
        if let Some(reject) = self.not_perpetual(market).or_else(|| self.same_owner(keeper, account)) {
            return Some(reject);
        }
        let (listing, feed) = (self.listing(market), self.feed(market).unwrap());
        if feed.stale || feed.price == 0 {
            return Some(Reject::NotPriced { feed: listing.feed.unwrap() });
        }
        if !forced && listing.phase == Phase::Delisted {
            return Some(Reject::MarketClosed { market, event: market.event() });
        }
        let held = self.accounts[&account].lots(market);
        if held == 0 || size.0 == 0 {
            return Some(Reject::NothingToLiquidate { account, market });
        }
        let price = feed.price.unsigned_abs();
        if if held > 0 { price > limit } else { price < limit } {
            return Some(Reject::KeeperLimit { limit, price });
        }
        self.not_failing(request).or_else(|| {
            let most = held.signum() * held.abs().min(size.0.into());
            self.cannot_carry(keeper, market, most, -feed.value(most))
        })
    }

    /// Who has no equity leaves a debt with the last position, so that goes whole; and its market's losses have a cap.
    fn not_failing(&self, request: &Liquidate) -> Option<Reject> {
        let Liquidate { account, market, size, .. } = *request;
        let (state, feed) = (&self.accounts[&account], self.feed(market).unwrap());
        let health = self.health(state);
        if health.maintenance() >= 0 {
            return Some(Reject::NotFailing { account, maintenance: Atoms(health.maintenance()) });
        }
        if health.maintenance_equity >= 0 {
            return None;
        }
        let is_last = self.perpetuals().all(|(other, _)| other == market || state.lots(other) == 0);
        if !is_last || i128::from(size.0) < state.lots(market).abs() {
            return Some(Reject::NotWholeLastPosition { account, market });
        }
        let (loss, cap) = ((feed.loss - health.maintenance_equity).unsigned_abs(), feed.perpetual().loss_cap);
        (loss > cap).then_some(Reject::LossAboveCap { market, loss, cap })
    }

    /// The keeper must carry all that it asked for, and an atom more.
    fn cannot_carry(&self, keeper: AccountId, market: MarketId, lots: i128, cash: i128) -> Option<Reject> {
        let state = &self.accounts[&keeper];
        let initial = self.health(&self.handed(state, market, lots, cash)).initial();
        if initial < 1 {
            return Some(Reject::KeeperShort { keeper, missing: Atoms(1 - initial) });
        }
        if self.health(state).blocked {
            return Some(Reject::HoldsStalePrice { account: keeper });
        }
        (!self.has_room(state, market, lots)).then(|| self.too_many())
    }

    // ------------------------------------------------------------------ conversion

    /// The keeper buys an asset at index price less the discount, as much of it as brings `usd` back to zero.
    fn convert(&mut self, request: &Convert, out: &mut Vec<Event>) -> Option<Reject> {
        let Convert { keeper, account, asset, nonce, limit, amount, .. } = *request;
        if let Some(reject) = self.same_owner(keeper, account) {
            return Some(reject);
        }
        let feed = self.feeds.get(&asset).filter(|feed| matches!(feed.kept, Kept::Asset(_)) && !feed.stale);
        let Some(feed) = feed else { return Some(Reject::NotPriced { feed: asset }) };
        let price = feed.price.unsigned_abs();
        if price > limit {
            return Some(Reject::KeeperLimit { limit, price });
        }
        let state = &self.accounts[&account];
        let (usd, balance) = (self.health(state).usd, state.balance(asset));
        if usd >= 0 {
            return Some(Reject::OwesNothing { account, usd: Atoms(usd) });
        }
        let asked = feed.price * (MILLION - i128::from(feed.asset().conversion_discount.0));
        let scale = i128::from(feed.asset().lot) * SCALE * MILLION;
        // Both round in favour of the account in need.
        let enough = ceil(-usd * scale, asked);
        let atoms = i128::try_from(amount).unwrap_or(i128::MAX).min(enough).min(balance);
        if atoms == 0 {
            return Some(Reject::NothingToConvert { account, asset });
        }
        let paid = ceil(atoms * asked, scale);
        let mut buyer = self.accounts[&keeper].clone();
        buyer.cash -= paid;
        *buyer.balances.entry(asset).or_default() += atoms;
        let health = self.health(&buyer);
        let short = health.usd.min(health.initial());
        if short < 0 {
            return Some(Reject::KeeperShort { keeper, missing: Atoms(-short) });
        }
        if health.blocked {
            return Some(Reject::HoldsStalePrice { account: keeper });
        }
        if health.holdings > self.places_max() {
            return Some(self.too_many());
        }

        let offers = |order: &Order| order.side == Side::Sell && self.listing(order.market).feed == Some(asset);
        for offer in self.newest(account, offers) {
            if self.free_atoms(account, asset) < atoms {
                self.cancel(account, offer, CancelReason::Margin, out);
            }
        }
        *self.purse(account, asset) -= atoms;
        *self.purse(account, FeedId(0)) += paid;
        *self.purse(keeper, asset) += atoms;
        *self.purse(keeper, FeedId(0)) -= paid;
        self.open.grew.insert(keeper);
        self.open.spent.insert(keeper);
        self.busy.insert(keeper);
        let (amount, paid) = (atoms.unsigned_abs(), Atoms(paid));
        out.push(Event::Converted { account, keeper, nonce, asset, amount, paid });
        None
    }
}
