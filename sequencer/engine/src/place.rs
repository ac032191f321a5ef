//! An arriving order: checked, matched by price and time, then rested or dropped.

use xos_types::{
    AccountId, CancelReason, Event, Fill, Lots, MarketId, Order, OrderKind, Reject, Side, Signed, Ticks, TimeMs,
};
use xos_types::{Atoms, Ppm};

use crate::account::Standing;
use crate::book::{RestingOrder, Slot};
use crate::engine::{Engine, Listing, account_index, event_index};
use crate::fees::FeeCredit;
use crate::frame::{LineRef, Trade};
use crate::gas;
use crate::limits::{MATCHES_MAX, ORDERS_MAX, POSITION_MAX, SIZE_MAX, fill_or_kill_matches_max};

/// The part of an arriving order that is still to be matched.
struct Arriving<'a> {
    signed: &'a Signed<Order>,
    remaining: Lots,
    credit: FeeCredit,
    line: Option<LineRef>,
}

impl Engine {
    pub(crate) fn place(&mut self, signed: &Signed<Order>, events: &mut Vec<Event>) {
        let order = signed.message;
        if let Err(reject) = self.check_order(signed) {
            events.push(Event::Rejected { account: order.account, nonce: order.nonce, reject });
            return;
        }
        self.accounts[account_index(order.account)].nonces.spend(order.nonce);
        events.push(Event::Accepted { order });

        let mut arriving = Arriving { signed, remaining: order.size, credit: FeeCredit::default(), line: None };
        self.match_order(&mut arriving, events);
        self.finish(arriving, events);

        let account = &self.accounts[account_index(order.account)];
        assert!(account.available() >= 0, "margin was checked for the whole order at its limit and the higher fee");
    }

    /// Everything that an order must satisfy, cheap checks first: account and signer; market; unsupported fields; price
    /// and size; expiry; nonce; fee; number of orders; post-only; fill-or-kill; position limit; margin.
    fn check_order(&self, signed: &Signed<Order>) -> Result<(), Reject> {
        let order = &signed.message;
        let account = self.authorized(order.account, signed.signer)?;
        let listing = self.open_listing(order.market)?;
        let terms = &listing.terms;
        check_supported(order)?;

        let highest = Ticks(terms.ticks - 1);
        if order.price < Ticks(1) || order.price > highest {
            let nearest = order.price.clamp(Ticks(1), highest);
            return Err(Reject::BadPrice { price: order.price, highest, nearest });
        }
        if order.size.0 == 0 || order.size.0 > SIZE_MAX {
            return Err(Reject::BadSize { size: order.size, largest: Lots(SIZE_MAX) });
        }
        self.check_expiry(order.expiry)?;
        if account.nonces.is_spent(order.nonce) {
            return Err(Reject::NonceSpent { nonce: order.nonce, next: account.nonces.next() });
        }
        let required = terms.highest_fee();
        if order.max_fee < required {
            return Err(Reject::FeeTooLow { max_fee: order.max_fee, required });
        }
        if account.orders.len() >= ORDERS_MAX {
            return Err(Reject::TooManyOrders { limit: ORDERS_MAX as u64 });
        }

        match order.kind {
            OrderKind::GoodTillCancelled | OrderKind::ImmediateOrCancel => {}
            OrderKind::PostOnly => self.check_post_only(listing, order)?,
            OrderKind::FillOrKill => self.check_fill_or_kill(listing, order)?,
        }

        let standing = Standing { market: order.market, side: order.side, price: order.price, lots: order.size };
        let exposure = account.exposure(order.market, order.side) + i128::from(order.size.0);
        if exposure > i128::from(POSITION_MAX) {
            return Err(Reject::PositionLimit { market: order.market, limit: Lots(POSITION_MAX) });
        }
        // As if all of it stood at its limit and paid the higher fee. A better price only improves this: a buyer pays less,
        // and a seller gains at least the fee on what it gains, because a fee is at most the value.
        let fee = FeeCredit::default().outstanding(terms.value(order.price, order.size), required);
        let required = account.risk_of(terms, standing) + fee;
        if required > account.available() {
            return Err(account.insufficient(required));
        }
        Ok(())
    }

    fn open_listing(&self, market: MarketId) -> Result<&Listing, Reject> {
        let event = market.event();
        let listing = self.find_listing(event).filter(|listing| market.outcome() < listing.terms.outcomes);
        let listing = listing.ok_or(Reject::UnknownMarket { market })?;
        if listing.payouts.is_some() { Err(Reject::MarketClosed { market, event }) } else { Ok(listing) }
    }

    /// Refused against the account's own orders too: resting beside them would cross the book.
    fn check_post_only(&self, listing: &Listing, order: &Order) -> Result<(), Reject> {
        let book = &listing.books[usize::from(order.market.outcome())];
        match book.best_crossing(order.side, order.price) {
            Some(best) => Err(Reject::WouldTrade { price: order.price, best }),
            None => Ok(()),
        }
    }

    /// Walks the orders that matching is certain to meet. Own ones would be cancelled, so they fill nothing but count as met.
    fn check_fill_or_kill(&self, listing: &Listing, order: &Order) -> Result<(), Reject> {
        let book = &listing.books[usize::from(order.market.outcome())];
        let met_max = fill_or_kill_matches_max(listing.terms.outcomes) as usize;
        let mut fillable = 0u64;
        for slot in book.queue(&self.orders, order.side.opposite()).take(met_max) {
            let resting = self.orders.get(slot);
            let limit_reached = match order.side {
                Side::Buy => resting.order().price > order.price,
                Side::Sell => resting.order().price < order.price,
            };
            if limit_reached || fillable >= order.size.0 {
                break;
            }
            if resting.account() != order.account {
                fillable += resting.remaining.0;
            }
        }
        if fillable >= order.size.0 {
            return Ok(());
        }
        Err(Reject::NotFillable { size: order.size, fillable: Lots(fillable) })
    }

    /// Meets resting orders, best price and oldest first, until nothing is left, nothing crosses, or a limit is reached: so
    /// many orders, or so much gas that settling their lines may cost. One order cannot make a frame outgrow a transaction.
    fn match_order(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let outcomes = self.listings[event_index(order.market.event())].terms.outcomes;
        let gas_max = self.frame.gas() + gas::MATCHES;
        // The next match may open a line for each side.
        let dearest_match = 2 * gas::dearest_line(outcomes);
        for _ in 0..MATCHES_MAX {
            if arriving.remaining.0 == 0 || self.frame.gas() + dearest_match > gas_max {
                return;
            }
            let Some(slot) = self.first_crossing(order) else { return };
            if self.orders.get(slot).account() == order.account {
                self.cancel(slot, CancelReason::SelfTrade, events);
            } else {
                self.fill(slot, arriving, events);
            }
        }
    }

    fn first_crossing(&self, order: &Order) -> Option<Slot> {
        self.find_book(order.market)?.first_crossing(order.side, order.price)
    }

    /// Trades as much as both orders have left, at the resting order's price.
    fn fill(&mut self, slot: Slot, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let taker = &arriving.signed.message;
        let market = taker.market;
        let listing = &mut self.listings[event_index(market.event())];
        let terms = listing.terms;

        let resting = self.orders.get_mut(slot);
        let (maker, maker_nonce, price) = (resting.account(), resting.nonce(), resting.order().price);
        let size = resting.remaining.min(arriving.remaining);
        let value = terms.value(price, size);
        let maker_fee = resting.credit.charge(value, terms.maker_fee);
        let taker_fee = arriving.credit.charge(value, terms.taker_fee);
        let maker_remaining = Lots(resting.remaining.0 - size.0);
        arriving.remaining = Lots(arriving.remaining.0 - size.0);
        // The contract remembers how far an order is filled unless it is full or may not rest.
        let maker_completes = maker_remaining.0 == 0;
        let taker_completes = arriving.remaining.0 == 0 || !may_rest(taker.kind);

        let state = &self.accounts[account_index(maker)];
        self.frame.fill(&mut resting.line, &resting.signed, Trade { price, size, fee: maker_fee }, || {
            let order = &resting.signed.message;
            state.line_state(&terms, order, resting.remaining < order.size, maker_completes)
        });
        let state = &self.accounts[account_index(taker.account)];
        self.frame.fill(&mut arriving.line, arriving.signed, Trade { price, size, fee: taker_fee }, || {
            state.line_state(&terms, taker, false, taker_completes)
        });

        listing.volume += u128::from(size.0);
        listing.fees += maker_fee + taker_fee;
        let treasury = listing.config.treasury;
        if maker_completes {
            self.remove_resting(slot);
        } else {
            listing.books[usize::from(market.outcome())].reduce(&mut self.orders, slot, size);
        }

        let bought = Standing { market, side: Side::Buy, price, lots: size };
        let sold = Standing { side: Side::Sell, ..bought };
        let (given, taken) = match taker.side {
            Side::Buy => (sold, bought),
            Side::Sell => (bought, sold),
        };
        let state = &mut self.accounts[account_index(maker)];
        state.trade_resting(&terms, given, maker_fee);
        state.nonces.settle(maker_nonce);
        let state = &mut self.accounts[account_index(taker.account)];
        state.trade_arriving(&terms, taken, taker_fee);
        state.nonces.settle(taker.nonce);
        self.credit_fees(treasury, maker_fee + taker_fee);

        events.push(Event::Filled(Fill {
            market,
            price,
            size,
            taker_side: taker.side,
            maker,
            maker_nonce,
            maker_fee: Atoms(maker_fee),
            maker_remaining,
            taker: taker.account,
            taker_nonce: taker.nonce,
            taker_fee: Atoms(taker_fee),
        }));
    }

    fn credit_fees(&mut self, treasury: AccountId, fees: i128) {
        if fees > 0 {
            self.accounts[account_index(treasury)].cash += fees;
        }
    }

    /// What is left rests, or is dropped and says why.
    fn finish(&mut self, arriving: Arriving<'_>, events: &mut Vec<Event>) {
        let order = arriving.signed.message;
        let Order { account, nonce, market, side, price, .. } = order;
        let remaining = arriving.remaining;
        if remaining.0 == 0 {
            return;
        }
        let dropped = if self.first_crossing(&order).is_some() {
            Some(CancelReason::MatchLimit)
        } else {
            match order.kind {
                OrderKind::GoodTillCancelled | OrderKind::PostOnly => None,
                OrderKind::ImmediateOrCancel => Some(CancelReason::Immediate),
                OrderKind::FillOrKill => unreachable!("checked to fill within the limit of matches"),
            }
        };
        if let Some(reason) = dropped {
            events.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            return;
        }
        let listing = &mut self.listings[event_index(market.event())];
        let terms = listing.terms;
        let resting = RestingOrder::new(*arriving.signed, remaining, arriving.credit, arriving.line);
        let standing = resting.standing();
        let slot = listing.books[usize::from(market.outcome())].insert(&mut self.orders, resting);
        let state = &mut self.accounts[account_index(account)];
        state.orders.insert(nonce, slot);
        state.reserve(&terms, standing, arriving.credit.outstanding(terms.value(price, remaining), terms.maker_fee));
        if order.expiry != TimeMs(0) {
            self.expiries.insert((order.expiry, account, nonce));
        }
        events.push(Event::Rested { account, nonce, market, side, price, remaining });
    }
}

fn may_rest(kind: OrderKind) -> bool {
    match kind {
        OrderKind::GoodTillCancelled | OrderKind::PostOnly => true,
        OrderKind::ImmediateOrCancel | OrderKind::FillOrKill => false,
    }
}

fn check_supported(order: &Order) -> Result<(), Reject> {
    let field = if order.reduce_only {
        "reduce_only"
    } else if order.builder != 0 {
        "builder"
    } else if order.builder_fee != Ppm(0) {
        "builder_fee"
    } else {
        return Ok(());
    };
    Err(Reject::Unsupported { field: field.to_owned() })
}
