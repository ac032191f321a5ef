//! Closes that owners force, offered in the books once before anybody else takes them.

use super::*;

impl Naive {
    pub(super) fn offer_forced_closes(&mut self, out: &mut Vec<Event>) {
        for (account, market) in self.forced.keys().copied().collect::<Vec<_>>() {
            let health = self.health(&self.accounts[&account]);
            let traded = |part: &frame::Part| {
                let order = part.signed.message;
                (order.account, order.market) == (account, market)
            };
            let due = !self.forced[&(account, market)].offered
                && self.phase(market) != Phase::Delisted
                && !self.feed(market).unwrap().stale
                && health.maintenance() >= 0
                && !self.open.parts.iter().any(traded);
            if due
                && self.offer(account, market, out)
                && let Some(forced) = self.forced.get_mut(&(account, market))
            {
                forced.offered = true;
            }
        }
    }

    /// Whether the book takes no more.
    fn offer(&mut self, account: AccountId, market: MarketId, out: &mut Vec<Event>) -> bool {
        let held = self.accounts[&account].lots(market);
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let listing = self.listing(market).clone();
        let open = !listing.closed && matches!(self.phase(market), Phase::Open | Phase::ReduceOnly);
        let Some(price) = self.worst_forced_price(market, side).filter(|_| open) else { return true };
        let size = self.forced[&(account, market)].lots.min(held.abs());
        let message = Order {
            account,
            market,
            side,
            kind: OrderKind::ImmediateOrCancel,
            reduce_only: true,
            size: Lots(size.try_into().unwrap()),
            price,
            nonce: Nonce::FORCED,
            expiry: TimeMs(0),
            max_fee: listing.terms.highest_fee(),
            builder: 0,
            builder_fee: Ppm(0),
        };
        if self.opposite(&message, price).is_empty() {
            return true;
        }
        self.watch(account);
        let signed = Signed { message, signature: Signature::default(), signer: self.accounts[&account].owner };
        let (price, lots) = (price.0, message.size.0);
        self.arrivals += 1;
        let arrival = self.arrivals;
        let taker = Resting { signed, price, remaining: lots, shown: lots, display: 0, size: lots, traded: 0, arrival };
        let (left, stopped) = self.enter(taker, Instructions::default(), out);
        if let Some(forced) = self.forced.get_mut(&(account, market)) {
            forced.lots -= i128::from(lots - left.remaining);
        }
        self.forced.retain(|_, forced| forced.lots > 0);
        stopped != Some(CancelReason::MatchLimit)
    }

    /// The last price, going from good to bad, at which one lot still brings what must come in, or costs no more than may go out.
    fn worst_forced_price(&self, market: MarketId, side: Side) -> Option<Ticks> {
        let (listing, feed) = (self.listing(market), self.feed(market).unwrap());
        let penalty = i128::from(feed.perpetual().penalty.0);
        let is_good = |price: u64| {
            let value = listing.value(price, 1);
            let fee = ceil(value * i128::from(listing.terms.taker_fee.0), MILLION);
            match side {
                Side::Sell => (value - fee) * MILLION * SCALE >= feed.price * (MILLION - penalty),
                Side::Buy => (value + fee) * MILLION * SCALE <= feed.price * (MILLION + penalty),
            }
        };
        let (mut low, mut high) = (1, listing.ticks - 1);
        // The first good one of a seller, the last one of a buyer.
        while low < high {
            let middle = if side == Side::Sell { low.midpoint(high) } else { low + (high - low).div_ceil(2) };
            match (side, is_good(middle)) {
                (Side::Sell, true) => high = middle,
                (Side::Sell, false) => low = middle + 1,
                (Side::Buy, true) => low = middle,
                (Side::Buy, false) => high = middle - 1,
            }
        }
        is_good(low).then_some(Ticks(low))
    }
}
