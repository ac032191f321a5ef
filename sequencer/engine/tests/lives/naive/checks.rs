//! What an order must satisfy.

use xos_engine::limits::{BUILDER_FEE_MAX, fits_one_order};

use super::*;

impl Naive {
    pub(super) fn signer(&self, account: AccountId, recovered: Address) -> Option<Reject> {
        match self.accounts.get(&account) {
            None => Some(Reject::UnknownAccount { account }),
            Some(state) if state.owner != recovered => {
                Some(Reject::NotAuthorized { account, recovered, expected: state.owner })
            }
            Some(_) => None,
        }
    }

    pub(super) fn expired(&self, expiry: TimeMs) -> Option<Reject> {
        let time = TimeMs(self.open.time);
        (expiry.0 != 0 && expiry < time).then_some(Reject::Expired { expiry, time })
    }

    pub(crate) fn next_nonce(&self, account: AccountId) -> u64 {
        let state = &self.accounts[&account];
        state.floor.max(state.used.last().map_or(0, |nonce| nonce + 1))
    }

    pub(super) fn spent(&self, account: AccountId, nonce: Nonce) -> Option<Reject> {
        let state = &self.accounts[&account];
        // The last nonce of all is nobody's.
        let spent = nonce.0 == u64::MAX || nonce.0 < state.floor || state.used.contains(&nonce.0);
        spent.then(|| Reject::NonceSpent { nonce, next: Nonce(self.next_nonce(account)) })
    }

    /// An order of a market at an index price is replaced in its own market.
    pub(super) fn cannot_replace(&self, old: &Order, new: &Order) -> Option<Reject> {
        let kind = |market: MarketId| self.known(market).map(|listing| listing.kind);
        let outcomes = [old.market, new.market].map(kind) == [Some(MarketKind::Outcome); 2];
        let may = old.market == new.market || outcomes || kind(new.market).is_none();
        (!may).then_some(Reject::OtherMarket { nonce: old.nonce, market: old.market, wanted: new.market })
    }

    pub(super) fn known(&self, market: MarketId) -> Option<&Listing> {
        self.listings.get(&market.event()).filter(|listing| market.outcome() < listing.outcomes)
    }

    /// The worst price at which the order trades, and where it rests.
    pub(super) fn limit(&self, order: &Order, instructions: Instructions) -> Ticks {
        let met = self.opposite(order, order.price);
        let slides = order.kind == OrderKind::PostOnly
            && self.phase(order.market) != Phase::Auction
            && instructions.crossing == Crossing::Slide;
        match met.first().map(|index| self.orders[*index].price) {
            Some(best) if slides && order.side == Side::Buy => Ticks(best - 1),
            Some(best) if slides => Ticks(best + 1),
            _ => order.price,
        }
    }

    pub(super) fn refusal(&self, signed: &Signed<Order>, instructions: Instructions) -> Option<Reject> {
        let spent = |order: &Order| self.spent(order.account, order.nonce);
        self.bad_form(signed, spent).or_else(|| self.bad_now(&signed.message, instructions))
    }

    /// What an order must satisfy even if it only waits.
    pub(super) fn bad_form(&self, signed: &Signed<Order>, spent: impl Fn(&Order) -> Option<Reject>) -> Option<Reject> {
        let order = &signed.message;
        let Order { account, market, price, size, .. } = *order;
        if let Some(reject) = self.signer(account, signed.signer) {
            return Some(reject);
        }
        let event = market.event();
        let Some(listing) = self.known(market) else { return Some(Reject::UnknownMarket { market }) };
        if listing.payouts.is_some() || listing.phase == Phase::Delisted {
            return Some(Reject::MarketClosed { market, event });
        }
        if listing.closed {
            return Some(Reject::OutsideHours { market });
        }
        let rests = matches!(order.kind, OrderKind::GoodTillCancelled | OrderKind::PostOnly);
        match listing.phase {
            Phase::Halted => return Some(Reject::MarketHalted { market, event }),
            Phase::Pending => return Some(Reject::MarketPending { market }),
            Phase::PostOnly if order.kind != OrderKind::PostOnly => return Some(Reject::OnlyPostOnly { market }),
            Phase::Auction if !rests => return Some(Reject::OnlyWaiting { market }),
            _ => {}
        }
        let (builder, builder_fee) = (BuilderId(order.builder), order.builder_fee);
        if builder_fee > BUILDER_FEE_MAX {
            return Some(Reject::BuilderFeeTooHigh { builder_fee, highest: BUILDER_FEE_MAX });
        }
        if (builder.0 != 0 || builder_fee.0 != 0) && !self.builders.contains_key(&builder) {
            return Some(Reject::UnknownBuilder { builder });
        }
        let highest = Ticks(listing.ticks - 1);
        if price.0 == 0 {
            return Some(Reject::BadPrice { price, highest, nearest: Ticks(1) });
        }
        if price > highest {
            return Some(Reject::BadPrice { price, highest, nearest: highest });
        }
        if size.0 == 0 || size.0 > SIZE_MAX {
            return Some(Reject::BadSize { size, largest: Lots(SIZE_MAX) });
        }
        if let Some(reject) = self.expired(order.expiry).or_else(|| spent(order)) {
            return Some(reject);
        }
        let required = Ppm(listing.terms.highest_fee().0 + builder_fee.0);
        if order.max_fee < required {
            return Some(Reject::FeeTooLow { max_fee: order.max_fee, required });
        }
        (self.nonces_of(account).len() + self.waiting_of(account).len() >= ORDERS_MAX)
            .then_some(Reject::TooManyOrders { limit: ORDERS_MAX as u64 })
    }

    /// What it must satisfy to go to the book.
    pub(super) fn bad_now(&self, order: &Order, instructions: Instructions) -> Option<Reject> {
        self.bad_crossing(order, instructions)
            .or_else(|| self.not_fillable(order, instructions))
            .or_else(|| self.does_not_reduce(order))
            .or_else(|| self.too_large(order))
            .or_else(|| self.too_poor(order, instructions))
    }

    /// A post-only order must not trade.
    fn bad_crossing(&self, order: &Order, instructions: Instructions) -> Option<Reject> {
        let Order { market, price, kind, .. } = *order;
        let limit = self.limit(order, instructions);
        let best = *self.opposite(order, price).first()?;
        let waits = kind != OrderKind::PostOnly || self.phase(market) == Phase::Auction;
        let slides = limit != price && limit.0 != 0 && limit.0 < self.listing(market).ticks;
        (!waits && !slides).then(|| Reject::WouldTrade { price, best: Ticks(self.orders[best].price) })
    }

    /// A fill-or-kill order must fill for certain.
    fn not_fillable(&self, order: &Order, instructions: Instructions) -> Option<Reject> {
        let Order { account, market, side, size, .. } = *order;
        if order.kind != OrderKind::FillOrKill {
            return None;
        }
        let listing = self.listing(market);
        let too_few = |lots: i128| {
            (lots < size.0.into()).then(|| Reject::NotFillable { size, fillable: Lots(lots.try_into().unwrap()) })
        };
        if order.reduce_only
            && let Some(reject) = too_few(self.closable(account, market, side))
        {
            return Some(reject);
        }
        if listing.kind == MarketKind::Spot
            && side == Side::Sell
            && (order.reduce_only || !self.sells_freely(account, market))
            && let Some(reject) = too_few(self.sellable(account, market, order.reduce_only))
        {
            return Some(reject);
        }
        // As many as one order's gas pays for whatever they cost.
        let met = self.opposite(order, order.price);
        let met: Vec<&Resting> = met.iter().map(|index| &self.orders[*index]).collect();
        let dear = |order: &Order| (self.places(order.account).len(), order.builder != 0);
        let makers: Vec<_> = met.iter().map(|resting| dear(&resting.signed.message)).collect();
        let fits = |count: usize| fits_one_order(listing.kind, listing.outcomes, dear(order), &makers[..count]);
        let most = (1..=met.len()).take_while(|count| fits(*count)).count().min(MATCHES_MAX as usize);
        // What does not fill for certain: own ones, those that only reduce or are watched, those that another's fill may cancel.
        let doubtful = |resting: &&&Resting| {
            let maker = &resting.signed.message;
            maker.account == account
                || maker.reduce_only
                || self.accounts[&maker.account].watched.is_some()
                || self.partner(maker.account, maker.nonce).is_some()
                || (listing.kind == MarketKind::Spot && side == Side::Buy && !self.sells_freely(maker.account, market))
        };
        let goes_on = instructions.self_trade == SelfTrade::CancelMaker;
        let mut certain: Vec<&&Resting> =
            met[..most].iter().take_while(|resting| goes_on || !doubtful(resting)).collect();
        // Nor what comes behind the hidden lots of an iceberg.
        let hides = |resting: &&&&Resting| resting.remaining > resting.shown;
        if let Some(hidden) = certain.iter().find(hides).map(|resting| resting.price) {
            certain.retain(|resting| sign(side) * (i128::from(resting.price) - i128::from(hidden)) <= 0);
        }
        let certain = certain.iter().filter(|resting| !doubtful(resting));
        let fillable = certain.fold(0, |lots, resting| if lots < size.0 { lots + resting.shown } else { lots });
        too_few(fillable.into()).or_else(|| {
            // A fill opens at most its own lots.
            let (open, cap) = (self.open_interest(market), Lots(listing.open_max()));
            let open_after = if listing.kind == MarketKind::Spot { 0 } else { open + i128::from(size.0) };
            let open = Lots(open.try_into().unwrap());
            (open_after > cap.0.into()).then_some(Reject::OpenInterestCap { market, open, cap })
        })
    }

    fn too_large(&self, order: &Order) -> Option<Reject> {
        let Order { account, market, side, size, .. } = *order;
        let listing = self.listing(market);
        if let Some(limit) = listing.position_max() {
            let filled = self.resting(account, market, side) + i128::from(size.0);
            if sign(side) * self.position(account, market) + filled > limit.into() {
                return Some(Reject::PositionLimit { market, limit: Lots(limit) });
            }
        }
        let places = self.places(account);
        if listing.feed.is_some_and(|feed| !places.contains(&feed)) && places.len() >= self.places_max() {
            return Some(self.too_many());
        }
        if listing.kind == MarketKind::Spot && side == Side::Sell {
            let (required, available) = (self.atoms(order), self.free_atoms(account, listing.feed.unwrap()));
            let [required, available] = [required, available].map(|atoms| atoms.try_into().unwrap());
            return (required > available).then_some(Reject::InsufficientAsset { available, required });
        }
        None
    }

    /// An order must leave initial health and what it spends covered, all resting orders counted. One that only reduces may go
    /// on where that makes maintenance health no worse.
    fn too_poor(&self, order: &Order, instructions: Instructions) -> Option<Reject> {
        let Order { account, market, side, size, kind, .. } = *order;
        let (standing, fee) = self.at_its_limit(order, instructions);
        let now = self.at_worst(account, None);
        let then = self.at_worst(account, Some((standing, fee)));
        let health = self.health(&self.accounts[&account]);
        let closable = self.closable(account, market, side);
        let only_reduces = i128::from(size.0) + self.resting(account, market, side) <= closable;
        if !only_reduces && health.blocked {
            return Some(Reject::HoldsStalePrice { account });
        }
        let is_fund = account == AccountId::INSURANCE;
        let covered = then.initial >= 0 && (then.usd >= 0 || !(self.spends(order) || is_fund));
        if !covered {
            let has_prices = self.accounts[&account].watched.is_some() || !self.places(account).is_empty();
            let lots = Lots(size.0.min(closable.try_into().unwrap()));
            let harmless = || {
                self.health(&self.after(&Order { size: lots, ..standing }, fee)).maintenance() >= health.maintenance()
            };
            let may = has_prices && (only_reduces || order.reduce_only) && !is_fund;
            if !(may && harmless()) {
                return Some(self.short(account, (now.usd - then.usd).max(now.initial - then.initial)));
            }
        }
        let judged = then.available() < 0 || self.accounts[&account].watched.is_some();
        // Its fills are looked at one by one, and the last may not happen.
        (judged && kind == OrderKind::FillOrKill).then_some(Reject::NotFillable { size, fillable: Lots(0) })
    }

    /// An order where it would rest, and the most that it may be charged.
    pub(super) fn at_its_limit(&self, order: &Order, instructions: Instructions) -> (Order, i128) {
        let listing = self.listing(order.market);
        let standing = Order { price: self.limit(order, instructions), ..*order };
        (standing, self.dearest_fee(&standing, listing.terms.highest_fee()))
    }
}
