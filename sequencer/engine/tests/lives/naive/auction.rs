//! Call auctions, with every price tried.

use super::*;

impl Naive {
    /// At the end of a frame's opening.
    pub(super) fn hold_auctions(&mut self, out: &mut Vec<Event>) {
        for market in self.markets() {
            if !self.is_shut(market) {
                self.hold_auction(market, out);
            }
        }
    }

    fn hold_auction(&mut self, market: MarketId, out: &mut Vec<Event>) {
        let best = |naive: &Self, side| Some(naive.orders[*naive.side(market, side).first()?].price);
        let (Some(highest), Some(lowest)) = (best(self, Side::Buy), best(self, Side::Sell)) else { return };
        if highest < lowest {
            return;
        }
        let lots = |naive: &Self, side, stands: &dyn Fn(u64) -> bool| -> u128 {
            let orders = naive.side(market, side).into_iter().map(|index| &naive.orders[index]);
            orders.filter(|order| stands(order.price)).map(|order| u128::from(order.shown)).sum()
        };
        let reference =
            self.last_trades.get(&market).map_or((lowest + highest) / 2, |last| (*last).clamp(lowest, highest));
        let rank = |price: u64| {
            let demand = lots(self, Side::Buy, &|bid| bid >= price);
            let supply = lots(self, Side::Sell, &|ask| ask <= price);
            (
                demand,
                supply,
                (u128::MAX - demand.min(supply), demand.abs_diff(supply), price.abs_diff(reference), price),
            )
        };
        let (demand, supply, (.., price)) = (lowest..=highest).map(rank).min_by_key(|(.., rank)| *rank).unwrap();
        out.push(Event::AuctionHeld { market, price: Ticks(price), demand, supply });
        while let (Some(bid), Some(ask)) = (best(self, Side::Buy), best(self, Side::Sell))
            && bid >= price
            && ask <= price
        {
            self.meet(market, price, out);
        }
    }

    /// The best bid and the best ask trade, or one that may not leaves.
    fn meet(&mut self, market: MarketId, price: u64, out: &mut Vec<Event>) {
        let indices = [Side::Buy, Side::Sell].map(|side| self.side(market, side)[0]);
        let orders = indices.map(|index| self.orders[index].signed.message);
        let size = match self.may_meet(indices, price) {
            Ok(size) => size,
            Err((which, reason)) => return self.cancel(orders[which].account, orders[which].nonce, reason, out),
        };
        let listing = self.listing(market).clone();
        let [buyer, seller] = indices.map(|index| {
            let rate = self.maker_rate(&self.orders[index].signed.message);
            let resting = &mut self.orders[index];
            let fee = resting.charge(listing.base(price, size), rate);
            resting.fill(size);
            let (signed, limit, remaining) = (resting.signed, Ticks(resting.price), Lots(resting.remaining));
            let Order { account, nonce, .. } = signed.message;
            self.give(frame::Part { signed, price, size, fee });
            AuctionParty { account, nonce, fee: Atoms(fee), limit, remaining }
        });
        self.note_trade(market, price);
        self.orders.retain(|resting| resting.remaining > 0);
        out.push(Event::AuctionFilled(AuctionFill { market, price: Ticks(price), size: Lots(size), buyer, seller }));
        for order in orders {
            self.refill(&order, out);
        }
        for (order, party) in orders.into_iter().zip([buyer, seller]) {
            self.filled(&order, size, out);
            if party.remaining == Lots(0) {
                self.ended(order.account, order.nonce, out);
            }
        }
    }

    /// How many lots the two may trade, or which of them must leave.
    fn may_meet(&self, indices: [usize; 2], price: u64) -> Result<u64, (usize, CancelReason)> {
        let parties = indices.map(|index| &self.orders[index]);
        let mut size = i128::from(parties[0].shown.min(parties[1].shown));
        for (which, party) in parties.into_iter().enumerate() {
            size = size.min(self.allowed(party));
            if size == 0 {
                return Err((which, CancelReason::OnlyReducing));
            }
        }
        let size = size.try_into().unwrap();
        let trades = parties.map(|party| Order { price: Ticks(price), size: Lots(size), ..party.signed.message });
        if self.exceeds_open_interest(&trades[0], &trades[1]) {
            // Somebody's long position would be opened, and the bid would open it.
            return Err((0, CancelReason::OpenInterestCap));
        }
        let rate = self.listing(trades[0].market).terms.maker_fee.fee();
        let refused = trades.iter().position(|trade| !self.may_trade(trade, rate));
        refused.map_or(Ok(size), |which| Err((which, CancelReason::Margin)))
    }
}
