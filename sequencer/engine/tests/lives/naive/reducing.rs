//! Who may only reduce, and by how much.

use super::*;

impl Naive {
    /// Signed lots of a market; of a spot market the lots of its asset.
    pub(super) fn position(&self, account: AccountId, market: MarketId) -> i128 {
        let (listing, state) = (self.listing(market), &self.accounts[&account]);
        match listing.kind {
            MarketKind::Spot => {
                let asset = listing.feed.unwrap();
                state.balance(asset) / i128::from(self.feeds[&asset].asset().lot)
            }
            MarketKind::Outcome | MarketKind::Perpetual => state.lots(market),
        }
    }

    /// Lots of the account's resting orders on one side of a market; of an asset, in all its markets.
    pub(super) fn resting(&self, account: AccountId, market: MarketId, side: Side) -> i128 {
        let listing = self.listing(market);
        let own = self.orders.iter().filter(|resting| {
            let other = resting.signed.message;
            let here = other.market == market
                || listing.kind == MarketKind::Spot && self.listing(other.market).feed == listing.feed;
            (other.account, other.side) == (account, side) && here
        });
        own.map(|resting| i128::from(resting.remaining)).sum()
    }

    /// Lots that orders of that side may close.
    pub(super) fn closable(&self, account: AccountId, market: MarketId, side: Side) -> i128 {
        (-sign(side) * self.position(account, market)).max(0)
    }

    /// Atoms of an asset that no order offers.
    pub(super) fn free_atoms(&self, account: AccountId, asset: FeedId) -> i128 {
        let asks = self.orders.iter().map(Resting::standing).filter(|order| {
            (order.account, order.side) == (account, Side::Sell) && self.listing(order.market).feed == Some(asset)
        });
        let offered: i128 = asks
            .filter(|order| self.listing(order.market).kind == MarketKind::Spot)
            .map(|order| self.atoms(&order))
            .sum();
        self.accounts[&account].balance(asset) - offered
    }

    /// Why nobody takes new risk in a market, if so.
    fn restriction(&self, market: MarketId) -> Option<Restriction> {
        if self.phase(market) == Phase::ReduceOnly {
            return Some(Restriction::Phase);
        }
        self.feed(market).is_some_and(|feed| feed.stale).then_some(Restriction::Price)
    }

    pub(super) fn does_not_reduce(&self, order: &Order) -> Option<Reject> {
        let Order { account, market, side, size, .. } = *order;
        let closable = self.closable(account, market, side);
        let (why, left) = match self.restriction(market) {
            Some(why) => (why, (closable - self.resting(account, market, side)).max(0)),
            // It may be of more lots than there are to reduce; it never fills more.
            None if order.reduce_only && closable == 0 => (Restriction::Order, 0),
            None => return None,
        };
        let position = Position(self.position(account, market).try_into().unwrap());
        let reducible = Lots(left.try_into().unwrap());
        (size > reducible).then_some(Reject::OnlyReducing { market, position, reducible, why })
    }

    /// What must only reduce of a listing's orders stays as far as it does; those that would fill first, first.
    pub(super) fn keep_reducing(&mut self, event: EventId, out: &mut Vec<Event>) {
        for k in 0..self.listings[&event].outcomes {
            let market = MarketId::new(event, k);
            if self.restriction(market).is_none() {
                continue;
            }
            for side in [Side::Buy, Side::Sell] {
                let mut kept: BTreeMap<AccountId, i128> = BTreeMap::new();
                let mut doomed = vec![];
                for index in self.side(market, side) {
                    let Resting { signed, remaining, .. } = &self.orders[index];
                    let (account, nonce) = (signed.message.account, signed.message.nonce);
                    let so_far = kept.entry(account).or_default();
                    if *so_far + i128::from(*remaining) <= self.closable(account, market, side) {
                        *so_far += i128::from(*remaining);
                    } else {
                        doomed.push((account, nonce));
                    }
                }
                for (account, nonce) in doomed {
                    self.cancel(account, nonce, CancelReason::OnlyReducing, out);
                }
            }
        }
    }

    // ------------------------------------------------------------------ sales of an asset that must reduce

    /// The contract takes one market after the other, and what was bought in a later one is not there yet. So once a sale that
    /// must reduce has happened, all that is sold in the frame was there when it began.
    pub(super) fn sellable(&self, account: AccountId, market: MarketId, reduces: bool) -> i128 {
        let asset = self.listing(market).feed.unwrap();
        let name = (account, asset);
        let must_reduce = reduces || !self.sells_freely(account, market);
        let came = if must_reduce { self.open.came.get(&name).copied().unwrap_or(0) } else { 0 };
        (self.accounts[&account].balance(asset) - came).max(0) / i128::from(self.feeds[&asset].asset().lot)
    }

    pub(super) fn sells_freely(&self, account: AccountId, market: MarketId) -> bool {
        let asset = self.listing(market).feed.unwrap();
        self.restriction(market).is_none() && !self.open.reduced.contains(&(account, asset))
    }

    /// Something of an order trades: whether the sale of an asset had to reduce.
    pub(super) fn note_sale(&mut self, order: &Order) {
        let listing = self.listing(order.market);
        let is_sale = listing.kind == MarketKind::Spot && order.side == Side::Sell;
        if is_sale && (order.reduce_only || self.restriction(order.market).is_some()) {
            self.open.reduced.insert((order.account, listing.feed.unwrap()));
        }
    }
}
