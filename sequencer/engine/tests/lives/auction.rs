//! Call auctions, with every price tried.

use super::*;

impl Naive {
    /// At the end of a frame's opening.
    pub(super) fn hold_auctions(&mut self, out: &mut Vec<Event>) {
        for (event, outcomes) in
            self.events.iter().map(|(event, (config, _))| (*event, config.outcomes)).collect::<Vec<_>>()
        {
            if !self.is_shut(MarketId::new(event, 0)) {
                (0..outcomes).for_each(|k| self.hold_auction(MarketId::new(event, k), out));
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

    fn meet(&mut self, market: MarketId, price: u64, out: &mut Vec<Event>) {
        let indices = [Side::Buy, Side::Sell].map(|side| self.side(market, side)[0]);
        let size = indices.map(|index| self.orders[index].shown).into_iter().min().unwrap();
        let terms = self.terms(market).clone();
        let [buyer, seller] = indices.map(|index| {
            let Resting { signed, price: limit, remaining, shown, traded, .. } = &mut self.orders[index];
            let before = ceil(*traded);
            *traded += base(&terms, price, size) * i128::from(terms.terms.maker_fee.fee().0);
            let fee = ceil(*traded) - before;
            *remaining -= size;
            *shown -= size;
            let Order { account, nonce, side, .. } = signed.message;
            let party =
                AuctionParty { account, nonce, fee: Atoms(fee), limit: Ticks(*limit), remaining: Lots(*remaining) };
            self.open.parts.push(Part { signed: *signed, price, size, fee });
            let state = self.accounts.get_mut(&account).unwrap();
            let sign = if side == Side::Buy { 1 } else { -1 };
            *state.positions.entry(market).or_default() += sign * i128::from(size);
            state.cash -= sign * i128::from(price) * i128::from(size) * i128::from(terms.terms.quantum) + fee;
            party
        });
        self.last_trades.insert(market, price);
        let orders = indices.map(|index| self.orders[index].signed.message);
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
}
