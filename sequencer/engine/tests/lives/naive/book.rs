//! Orders that rest: one list, in no order.

use super::*;

#[derive(Clone, Debug)]
pub(crate) struct Resting {
    pub(crate) signed: Signed<Order>,
    /// Where it rests.
    pub(crate) price: u64,
    pub(crate) remaining: u64,
    /// What the book shows of it, and what of an iceberg at a time.
    pub(crate) shown: u64,
    pub(super) display: u64,
    /// Its size now, counting what has filled.
    pub(super) size: u64,
    /// Σ base·rate of the fills that it paid for.
    pub(super) traded: i128,
    pub(super) arrival: u64,
}

impl Resting {
    pub(crate) fn is(&self, account: AccountId, nonce: Nonce) -> bool {
        (self.signed.message.account, self.signed.message.nonce) == (account, nonce)
    }

    /// What is left of it, as an order at the price where it rests.
    pub(crate) fn standing(&self) -> Order {
        Order { price: Ticks(self.price), size: Lots(self.remaining), ..self.signed.message }
    }

    /// The fee for a fill: rounded up over the order's whole life.
    pub(super) fn charge(&mut self, base: i128, rate: Ppm) -> i128 {
        let before = ceil(self.traded, MILLION);
        self.traded += base * i128::from(rate.0);
        ceil(self.traded, MILLION) - before
    }

    pub(super) fn fill(&mut self, lots: u64) {
        self.remaining -= lots;
        self.shown -= lots;
    }
}

impl Naive {
    pub(super) fn index_of(&self, account: AccountId, nonce: Nonce) -> Option<usize> {
        self.orders.iter().position(|resting| resting.is(account, nonce))
    }

    pub(super) fn unknown(&self, account: AccountId, nonce: Nonce) -> Option<Reject> {
        self.index_of(account, nonce).is_none().then_some(Reject::UnknownOrder { account, nonce })
    }

    pub(super) fn nonces_of(&self, account: AccountId) -> Vec<Nonce> {
        let own = self.orders.iter().filter(|resting| resting.signed.message.account == account);
        let mut nonces: Vec<_> = own.map(|resting| resting.signed.message.nonce).collect();
        nonces.sort();
        nonces
    }

    /// Orders of one side of a market, best first.
    pub(crate) fn side(&self, market: MarketId, side: Side) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.orders.len())
            .filter(|index| {
                let order = self.orders[*index].signed.message;
                (order.market, order.side) == (market, side)
            })
            .collect();
        found.sort_by_key(|index| {
            let Resting { price, arrival, .. } = self.orders[*index];
            (-sign(side) * i128::from(price), arrival)
        });
        found
    }

    /// What an order would meet, in order.
    pub(super) fn opposite(&self, order: &Order, limit: Ticks) -> Vec<usize> {
        let mut met = self.side(order.market, order.side.opposite());
        met.retain(|index| {
            let price = self.orders[*index].price;
            if order.side == Side::Buy { price <= limit.0 } else { price >= limit.0 }
        });
        met
    }

    /// If all that is shown of an order has filled, the next part of it is, behind all others.
    pub(super) fn refill(&mut self, order: &Order, out: &mut Vec<Event>) {
        let Order { account, nonce, market, side, .. } = *order;
        let empty = self.orders.iter_mut().find(|resting| resting.is(account, nonce) && resting.shown == 0);
        if let Some(rest) = empty {
            rest.shown = rest.display.min(rest.remaining);
            self.arrivals += 1;
            rest.arrival = self.arrivals;
            let (price, shown) = (Ticks(rest.price), Lots(rest.shown));
            out.push(Event::Refilled { account, nonce, market, side, price, shown });
        }
    }

    pub(super) fn cancel(&mut self, account: AccountId, nonce: Nonce, reason: CancelReason, out: &mut Vec<Event>) {
        let resting = self.orders.remove(self.index_of(account, nonce).unwrap());
        let Order { market, side, .. } = resting.signed.message;
        let price = Ticks(resting.price);
        out.push(Event::Cancelled { account, nonce, market, side, price, remaining: Lots(resting.remaining), reason });
        self.ended(account, nonce, out);
    }

    /// All orders of an account go, those that rest before those that wait.
    pub(super) fn cancel_all_of(&mut self, account: AccountId, reason: CancelReason, out: &mut Vec<Event>) {
        for nonce in self.nonces_of(account) {
            self.cancel(account, nonce, reason, out);
        }
        for waiting in self.waiting_of(account) {
            self.cancel_waiting(account, waiting.nonce(), reason, out);
        }
    }

    /// All orders of a listing go, market by market, bids before asks, in the order in which they would have filled; then those
    /// that wait.
    pub(super) fn cancel_listing(&mut self, event: EventId, reason: CancelReason, out: &mut Vec<Event>) {
        let markets = self.markets().into_iter().filter(|market| market.event() == event);
        let sides = markets.flat_map(|market| [(market, Side::Buy), (market, Side::Sell)]);
        let found: Vec<usize> = sides.flat_map(|(market, side)| self.side(market, side)).collect();
        let names: Vec<_> = found.into_iter().map(|index| self.orders[index].signed.message).collect();
        for Order { account, nonce, .. } in names {
            self.cancel(account, nonce, reason, out);
        }
        let mut here = self.waiting.clone();
        here.retain(|waiting| waiting.market().event() == event);
        here.sort_by_key(|waiting| (waiting.market(), waiting.arrival));
        for waiting in here {
            self.cancel_waiting(waiting.account(), waiting.nonce(), reason, out);
        }
    }

    pub(super) fn reduce(&mut self, index: usize, by: u64, reason: CancelReason, out: &mut Vec<Event>) {
        let resting = &mut self.orders[index];
        resting.remaining -= by;
        resting.size -= by;
        // What nobody sees goes first.
        resting.shown = resting.shown.min(resting.remaining);
        let Order { account, nonce, market, side, .. } = resting.signed.message;
        let (price, by, remaining) = (Ticks(resting.price), Lots(by), Lots(resting.remaining));
        out.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
    }
}
