//! An arriving order: checked, matched by price and time, then rested or dropped.

use xos_book::Handle;
use xos_types::{
    AccountId, Atoms, BuilderId, CancelReason, Event, FeedId, Fill, Lots, MarketId, MarketKind, Order, OrderKind,
    Phase, Ppm, Reject, Side, Signed, Ticks, TimeMs,
};

use crate::account::{Account, Progress, Standing};
use crate::engine::{Engine, Listing, account_index, event_index};
use crate::fees::{FeeCredit, builder_reserve, rebate};
use crate::frame::{LineRef, Trade};
use crate::gas;
use crate::holdings::atoms;
use crate::limits::{BUILDER_FEE_MAX, MATCHES_MAX, ORDERS_MAX, SIZE_MAX};
use crate::orders::{Hot, ToRest};
use crate::terms::Terms;
use crate::watch::spends;
use crate::wide::{MILLION, PRICE_SCALE, ceil};

/// The part of an arriving order that is still to be matched.
struct Arriving<'a> {
    signed: &'a Signed<Order>,
    remaining: Lots,
    credit: FeeCredit,
    line: LineRef,
    /// Why matching ended though it might have gone on.
    stopped: Option<CancelReason>,
}

/// How an account carries an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    /// Whatever of it fills, and of all others, breaks no rule of margin.
    Fully,
    /// It only reduces and makes nothing worse, or other collateral carries its losses: its fills are looked at one by one.
    Watched,
}

impl Engine {
    pub(crate) fn place(&mut self, signed: &Signed<Order>, events: &mut Vec<Event>) {
        let order = signed.message;
        let carried = match self.check_order(signed) {
            Ok(carried) => carried,
            Err(reject) => {
                events.push(Event::Rejected { account: order.account, nonce: order.nonce, reject });
                return;
            }
        };
        self.accounts[account_index(order.account)].nonces.spend(order.nonce);
        events.push(Event::Accepted { order });
        let feed = self.listings[event_index(order.market.event())].terms.feed;
        if feed != FeedId(0) {
            self.open_place(order.account, feed);
        }
        if carried == Carried::Watched {
            self.watch(order.account);
        }

        let mut arriving = Arriving {
            signed,
            remaining: order.size,
            credit: FeeCredit::default(),
            line: LineRef::default(),
            stopped: None,
        };
        self.match_order(&mut arriving, events);
        self.finish(arriving, events);

        if feed != FeedId(0) {
            self.tidy(order.account, feed);
        }
        let account = &self.accounts[account_index(order.account)];
        let sound = account.watched || account.available() >= 0;
        assert!(sound, "margin was checked for the whole order at its limit and the higher fee");
    }

    /// Everything that an order must satisfy, cheap checks first: account and signer; market; unsupported fields; price
    /// and size; expiry; nonce; fee; number of orders; post-only; fill-or-kill; only reducing; position limit; margin.
    fn check_order(&self, signed: &Signed<Order>) -> Result<Carried, Reject> {
        let order = &signed.message;
        let account = self.find_account(order.account).ok_or(Reject::UnknownAccount { account: order.account })?;
        let listing = self.find_market(order.market);
        let may_sign = |listing: &Listing| account.may_sign(signed.signer, listing, order, self.frame.time);
        if signed.signer != account.owner && !listing.is_some_and(may_sign) {
            return Err(account.not_authorized(order.account, signed.signer));
        }
        let listing = open_listing(order.market, listing)?;
        let terms = &listing.terms;
        self.check_builder(order)?;

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
        let rate = terms.highest_fee();
        let required = Ppm(rate.0 + order.builder_fee.0);
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

        self.check_reducing(account, listing, order)?;
        let standing = Standing { market: order.market, side: order.side, price: order.price, lots: order.size };
        let exposure = account.exposure(terms, order.market, order.side) + i128::from(order.size.0);
        if exposure > i128::from(terms.position_max) {
            return Err(Reject::PositionLimit { market: order.market, limit: Lots(terms.position_max) });
        }
        self.check_place(account, terms)?;
        if terms.kind == MarketKind::Spot && order.side == Side::Sell {
            self.check_balance(account, terms, order.size)?;
        }
        // As if all of it stood at its limit and paid the higher fee. A better price only improves this: a buyer pays less,
        // and a seller gains more, by at least what the fees on it (on the curve: on either side of the middle) can grow,
        // because they are at most the value.
        let builder = builder_reserve(terms, order.price, order.builder_fee) * i128::from(order.size.0);
        let fee = FeeCredit::default().outstanding(terms.fee_base(order.price, order.size), rate) + builder;
        let carried = self.check_margin(account, listing, order, standing, fee)?;
        if carried == Carried::Watched && order.kind == OrderKind::FillOrKill {
            // Its fills are looked at one by one, and the last may not happen.
            return Err(Reject::NotFillable { size: order.size, fillable: Lots(0) });
        }
        Ok(carried)
    }

    /// Whether the account can carry an order with `fee`, and how; see [`Carried`].
    fn check_margin(
        &self,
        account: &Account,
        listing: &Listing,
        order: &Order,
        standing: Standing,
        fee: i128,
    ) -> Result<Carried, Reject> {
        let terms = &listing.terms;
        let fall = account.fall(terms, &self.board, standing);
        let usd = account.usd_with_orders() - fall.usd - fee;
        let initial = account.initial_with_orders() - fall.initial - fee;
        // What may leave the group depends on the fund, so it takes no chances.
        let needs_cash = spends(terms, order.side) || order.account == AccountId::INSURANCE;
        let reducible = account.reducible(terms, order.market, order.side);
        let resting = account.resting_lots(terms, order.market, order.side);
        let only_reduces = order.size.0.saturating_add(resting) <= reducible;
        if account.watched && !only_reduces && account.health(&self.board).blocked {
            return Err(Reject::HoldsStalePrice { account: order.account });
        }
        if initial >= 0 && (usd >= 0 || !needs_cash) {
            return Ok(if usd >= 0 && !account.watched { Carried::Fully } else { Carried::Watched });
        }
        // Outcomes need no price, so an account of nothing else is never short, and needs no way out.
        let lots = Lots(order.size.0.min(reducible));
        let has_prices = account.watched || account.holdings.len() > 0;
        let may = has_prices && (only_reduces || order.reduce_only) && order.account != AccountId::INSURANCE;
        if may && self.reduces_without_harm(order.account, terms, Standing { lots, ..standing }, fee) {
            return Ok(Carried::Watched);
        }
        Err(account.insufficient(fall.usd.max(fall.initial) + fee))
    }

    /// An order in a market at an index price needs a place among what the account may hold.
    fn check_place(&self, account: &Account, terms: &Terms) -> Result<(), Reject> {
        let limit = self.holdings_max();
        if terms.kind == MarketKind::Outcome
            || account.holdings.find(terms.feed).is_some()
            || account.holdings.len() < limit
        {
            return Ok(());
        }
        Err(Reject::TooManyHoldings { limit: u8::try_from(limit).expect("at most 32") })
    }

    /// What is offered must be there.
    fn check_balance(&self, account: &Account, terms: &Terms, size: Lots) -> Result<(), Reject> {
        let required = atoms(&self.board[terms.feed], size);
        let available = account.holdings.asset(terms.feed).map_or(0, |held| held.balance - held.ask_atoms);
        if required <= available { Ok(()) } else { Err(Reject::InsufficientAsset { available, required }) }
    }

    /// A builder is paid if it is registered, and whoever names none pays none.
    fn check_builder(&self, order: &Order) -> Result<(), Reject> {
        let builder = BuilderId(order.builder);
        if order.builder_fee > BUILDER_FEE_MAX {
            return Err(Reject::BuilderFeeTooHigh { builder_fee: order.builder_fee, highest: BUILDER_FEE_MAX });
        }
        let named = order.builder != 0 || order.builder_fee != Ppm(0);
        if named && !self.builders.contains_key(&builder) {
            return Err(Reject::UnknownBuilder { builder });
        }
        Ok(())
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
        let Terms { kind, outcomes, .. } = listing.terms;
        let dearest =
            |account: &Account, pays_builder| gas::dearest_line(kind, outcomes, account.holdings.len(), pays_builder);
        let taker = &self.accounts[account_index(order.account)];
        let reducible = Lots(taker.reducible(&listing.terms, order.market, order.side));
        if order.reduce_only && reducible < order.size {
            return Err(Reject::NotFillable { size: order.size, fillable: reducible });
        }
        let sells_freely = |account: &Account| {
            let held = account.holdings.asset(listing.terms.feed);
            self.restriction(account, listing).is_none() && held.is_none_or(|held| held.sells_freely(self.frame.id()))
        };
        let is_spot = kind == MarketKind::Spot;
        if is_spot && order.side == Side::Sell && (order.reduce_only || !sells_freely(taker)) {
            let sellable = self.sellable(taker, order.market, order.reduce_only);
            if sellable < order.size {
                return Err(Reject::NotFillable { size: order.size, fillable: sellable });
            }
        }
        let (mut fillable, mut makers) = (0u64, 0u64);
        for handle in book.queue(&self.orders.resting, order.side.opposite()).take(MATCHES_MAX as usize) {
            let limit_reached = match order.side {
                Side::Buy => self.orders.price(handle) > order.price,
                Side::Sell => self.orders.price(handle) < order.price,
            };
            let maker = &self.accounts[account_index(self.orders.account(handle))];
            makers += dearest(maker, self.orders.pays_builder(handle));
            if limit_reached || fillable >= order.size.0 || !gas::certain(dearest(taker, order.builder != 0), makers) {
                break;
            }
            // Those of makers that are watched or only reduce may not happen.
            let certain = !maker.watched
                && !self.orders.reduces(handle)
                && (!is_spot || order.side == Side::Sell || sells_freely(maker));
            if self.orders.account(handle) != order.account && certain {
                fillable += self.orders.remaining(handle).0;
            }
        }
        if fillable < order.size.0 {
            return Err(Reject::NotFillable { size: order.size, fillable: Lots(fillable) });
        }
        // A fill opens at most its own lots.
        let open = listing.open_interest(order.market);
        if u128::from(open) + u128::from(order.size.0) > u128::from(listing.terms.open_interest_max) {
            let cap = Lots(listing.terms.open_interest_max);
            return Err(Reject::OpenInterestCap { market: order.market, open: Lots(open), cap });
        }
        Ok(())
    }

    /// Meets resting orders, best price and oldest first, until nothing is left, nothing crosses, or a limit is reached: so
    /// many orders, so much gas that settling their lines may cost, or the market's open interest. One order cannot make a
    /// frame outgrow a transaction.
    fn match_order(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let terms = self.listings[event_index(order.market.event())].terms;
        let gas_max = self.frame.gas() + gas::MATCHES;
        let dearest = |account: &Account, pays_builder| {
            gas::dearest_line(terms.kind, terms.outcomes, account.holdings.len(), pays_builder)
        };
        for _ in 0..MATCHES_MAX {
            if arriving.remaining.0 == 0 {
                return;
            }
            let Some(handle) = self.first_crossing(order) else { return };
            let maker = self.orders.account(handle);
            let (taking, making) = (&self.accounts[account_index(order.account)], &self.accounts[account_index(maker)]);
            // The next match may open a line for each side.
            let next = dearest(taking, order.builder != 0) + dearest(making, self.orders.pays_builder(handle));
            if self.frame.gas() + next > gas_max {
                return;
            }
            if maker == order.account {
                self.cancel(handle, CancelReason::SelfTrade, events);
                if terms.feed != FeedId(0) {
                    // It may have been all that its place was for.
                    self.open_place(order.account, terms.feed);
                }
                continue;
            }
            let mut size = self.orders.remaining(handle).min(arriving.remaining);
            if order.reduce_only {
                size = size.min(Lots(taking.reducible(&terms, order.market, order.side)));
                if size.0 == 0 {
                    arriving.stopped = Some(CancelReason::OnlyReducing);
                    return;
                }
            }
            if self.orders.reduces(handle) {
                size = size.min(Lots(making.reducible(&terms, order.market, order.side.opposite())));
                if size.0 == 0 {
                    self.cancel(handle, CancelReason::OnlyReducing, events);
                    continue;
                }
            }
            if terms.kind == MarketKind::Spot {
                let (seller, reduces) = match order.side {
                    Side::Sell => (taking, order.reduce_only),
                    Side::Buy => (making, self.orders.reduces(handle)),
                };
                let sellable = self.sellable(seller, order.market, reduces);
                size = size.min(sellable);
                if size.0 == 0 && order.side == Side::Sell {
                    arriving.stopped = Some(CancelReason::OnlyReducing);
                    return;
                }
                if size.0 == 0 {
                    self.cancel(handle, CancelReason::OnlyReducing, events);
                    continue;
                }
            }
            if self.exceeds_open_interest(maker, order, size) {
                arriving.stopped = Some(CancelReason::OpenInterestCap);
                return;
            }
            if making.watched || taking.watched {
                let price = self.orders.price(handle);
                let trade = |side| Standing { market: order.market, side, price, lots: size };
                // No more than this is charged; what is charged less only helps.
                let fee = |rate: Ppm| ceil(terms.fee_base(price, size) * i128::from(rate.0), MILLION);
                let builder = |rate: Ppm| builder_reserve(&terms, price, rate) * i128::from(size.0);
                let making_fee = fee(terms.maker_fee.fee()) + builder(self.orders.order(handle).builder_fee);
                if making.watched && !self.may_trade(maker, &terms, trade(order.side.opposite()), making_fee) {
                    self.cancel(handle, CancelReason::Margin, events);
                    continue;
                }
                let taking_fee = fee(terms.taker_fee) + builder(order.builder_fee);
                if taking.watched && !self.may_trade(order.account, &terms, trade(order.side), taking_fee) {
                    arriving.stopped = Some(CancelReason::Margin);
                    return;
                }
            }
            self.fill(handle, arriving, size, events);
        }
    }

    /// Lots of a spot market that an account may still sell in the frame.
    fn sellable(&self, seller: &Account, market: MarketId, reduces: bool) -> Lots {
        let listing = &self.listings[event_index(market.event())];
        let must_reduce = reduces || self.restriction(seller, listing).is_some();
        let held = seller.holdings.asset(listing.terms.feed);
        Lots(held.map_or(0, |held| held.sellable(self.frame.id(), must_reduce, listing.terms.lot)))
    }

    /// Whether a match would take the market's open interest above what it may be.
    fn exceeds_open_interest(&self, maker: AccountId, order: &Order, size: Lots) -> bool {
        let listing = &self.listings[event_index(order.market.event())];
        let change = self.open_interest_change(maker, order, size);
        let open = i128::from(listing.open_interest(order.market));
        change > 0 && open + change > i128::from(listing.terms.open_interest_max)
    }

    /// By how much a match changes the sum of long positions. What is held of an asset is nobody's debt, so none is counted.
    fn open_interest_change(&self, maker: AccountId, taker: &Order, size: Lots) -> i128 {
        let terms = &self.listings[event_index(taker.market.event())].terms;
        if terms.kind == MarketKind::Spot {
            return 0;
        }
        let lots = i64::try_from(size.0).expect("an order is at most SIZE_MAX lots");
        let position = |account| self.accounts[account_index(account)].position(terms, taker.market);
        let (buyer, seller) = match taker.side {
            Side::Buy => (position(taker.account), position(maker)),
            Side::Sell => (position(maker), position(taker.account)),
        };
        opened(buyer, buyer + lots) + opened(seller, seller - lots)
    }

    fn first_crossing(&self, order: &Order) -> Option<Handle> {
        self.find_book(order.market)?.first_crossing(&self.orders.resting, order.side, order.price)
    }

    /// Trades at the resting order's price.
    fn fill(&mut self, handle: Handle, arriving: &mut Arriving<'_>, size: Lots, events: &mut Vec<Event>) {
        let taker = &arriving.signed.message;
        let market = taker.market;
        let opened = self.open_interest_change(self.orders.account(handle), taker, size);
        let frame = self.frame.id();
        let listing = &self.listings[event_index(market.event())];
        let terms = listing.terms;
        let referrer_share = self.referrer_share(taker.account, &self.venues[&terms.venue]);
        let market_state = self.market_state(market);
        let cash_word = |payee: AccountId| (payee, self.accounts[account_index(payee)].cash_word());
        let taker_referrer = self.referrer_of(taker.account).map(cash_word);
        let maker_referrer = self.referrer_of(self.orders.account(handle)).map(cash_word);
        let builder_of = |order: &Order| self.builders.get(&BuilderId(order.builder)).copied().map(cash_word);

        let (maker, maker_nonce, price) =
            (self.orders.account(handle), self.orders.nonce(handle), self.orders.price(handle));
        let resting = self.orders.remaining(handle);
        let maker_reduces = self.orders.reduces(handle);
        let base = terms.fee_base(price, size);
        let taker_fee = arriving.credit.charge(base, terms.taker_fee);
        let reserved = self.orders.reserved_fee(handle, &terms);
        let Hot { mut credit, mut line, .. } = *self.orders.hot_mut(handle);
        let maker_fee = credit.charge(base, terms.maker_fee.fee())
            - rebate(base, terms.maker_fee.rebate(), taker_fee, referrer_share);
        let maker_remaining = Lots(resting.0 - size.0);
        arriving.remaining = Lots(arriving.remaining.0 - size.0);
        // The contract remembers how far an order is filled unless it is full or may not rest.
        let maker_completes = maker_remaining.0 == 0;
        let still_reserved = credit.outstanding(terms.fee_base(price, maker_remaining), terms.maker_fee.fee());
        let taker_completes = arriving.remaining.0 == 0 || !may_rest(taker.kind);

        let state = &self.accounts[account_index(maker)];
        let trade = Trade { price, size, fee: maker_fee };
        let netted = self.frame.fill((maker, maker_nonce, market), &mut line, trade, market_state, || {
            let partly_filled = resting < self.orders.size(handle);
            let signed = self.orders.signed(handle, &self.accounts);
            let progress = Progress { partly_filled, completes: maker_completes };
            let payees = [maker_referrer, builder_of(&signed.message)];
            (signed, state.line_state(&terms, &signed.message, progress, payees))
        });
        let maker_builder = netted.builder_fee(&terms, trade);
        let maker_held_back = netted.builder_reserve(&terms, price) * i128::from(size.0);
        let hot = self.orders.hot_mut(handle);
        (hot.credit, hot.line) = (credit, line);
        let state = &self.accounts[account_index(taker.account)];
        let progress = Progress { partly_filled: false, completes: taker_completes };
        let trade = Trade { price, size, fee: taker_fee };
        let netted =
            self.frame.fill((taker.account, taker.nonce, market), &mut arriving.line, trade, market_state, || {
                let payees = [taker_referrer, builder_of(taker)];
                (*arriving.signed, state.line_state(&terms, taker, progress, payees))
            });
        let taker_builder = netted.builder_fee(&terms, trade);

        let listing = &mut self.listings[event_index(market.event())];
        listing.volume += u128::from(size.0);
        listing.fees += maker_fee + taker_fee;
        let open = &mut listing.open_interest[usize::from(market.outcome())];
        *open = u64::try_from(i128::from(*open) + opened).expect("checked against a limit of 64 bits");
        if maker_completes {
            self.remove_resting(handle);
        } else {
            listing.books[usize::from(market.outcome())].reduce(&mut self.orders.resting, handle, size);
        }

        let bought = Standing { market, side: Side::Buy, price, lots: size };
        let sold = Standing { side: Side::Sell, ..bought };
        let (given, taken) = match taker.side {
            Side::Buy => (sold, bought),
            Side::Sell => (bought, sold),
        };
        if terms.kind == MarketKind::Spot {
            let (seller, reduces) = match taker.side {
                Side::Sell => (taker.account, taker.reduce_only),
                Side::Buy => (maker, maker_reduces),
            };
            let listing = &self.listings[event_index(market.event())];
            let index = account_index(seller);
            if reduces || self.restriction(&self.accounts[index], listing).is_some() {
                self.lingering.push((seller, terms.feed));
                let feed = &self.board[terms.feed];
                self.accounts[index].holdings.change(terms.feed, feed, |held| held.asset().note(frame, 0, true));
            }
        }
        let state = &mut self.accounts[account_index(maker)];
        let released = reserved - still_reserved + maker_held_back;
        state.trade_resting(&terms, &self.board, frame, given, maker_fee + maker_builder, released);
        state.nonces.settle(maker_nonce);
        let state = &mut self.accounts[account_index(taker.account)];
        state.trade_arriving(&terms, &self.board, frame, taken, taker_fee + taker_builder);
        state.nonces.settle(taker.nonce);
        if terms.kind != MarketKind::Outcome {
            self.board[terms.feed].last_trade = i128::from(price.0) * terms.quantum * PRICE_SCALE;
            self.tidy(maker, terms.feed);
        }

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

    /// What is left rests, or is dropped and says why.
    fn finish(&mut self, arriving: Arriving<'_>, events: &mut Vec<Event>) {
        let order = arriving.signed.message;
        let Order { account, nonce, market, side, price, .. } = order;
        let remaining = arriving.remaining;
        if remaining.0 == 0 {
            return;
        }
        let listing = &self.listings[event_index(market.event())];
        let reducible = self.accounts[account_index(account)].reducible(&listing.terms, market, side);
        // What is more than there is to reduce never fills.
        let nothing_to_reduce = (order.reduce_only && reducible == 0).then_some(CancelReason::OnlyReducing);
        let crosses = || self.first_crossing(&order).map(|_| CancelReason::MatchLimit);
        let dropped = arriving.stopped.or_else(crosses).or(nothing_to_reduce).or(match order.kind {
            OrderKind::GoodTillCancelled | OrderKind::PostOnly => None,
            OrderKind::ImmediateOrCancel => Some(CancelReason::Immediate),
            OrderKind::FillOrKill => unreachable!("checked to fill within the limits of matches and open interest"),
        });
        if let Some(reason) = dropped {
            events.push(Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            return;
        }
        let listing = &mut self.listings[event_index(market.event())];
        let terms = listing.terms;
        let book = &mut listing.books[usize::from(market.outcome())];
        let state = &mut self.accounts[account_index(account)];
        let resting = ToRest { signed: arriving.signed, remaining, credit: arriving.credit, line: arriving.line };
        let handle = self.orders.insert(book, state, &resting);
        state.reserve(&terms, &self.board, self.orders.standing(handle), self.orders.reserved(handle, &terms));
        if order.expiry != TimeMs(0) {
            self.expiries.insert((order.expiry, account, nonce));
        }
        events.push(Event::Rested { account, nonce, market, side, price, remaining });
    }
}

/// The listing, if its markets trade.
fn open_listing(market: MarketId, listing: Option<&Listing>) -> Result<&Listing, Reject> {
    let listing = listing.ok_or(Reject::UnknownMarket { market })?;
    let event = market.event();
    if listing.payouts.is_some() {
        return Err(Reject::MarketClosed { market, event });
    }
    match listing.phase {
        Phase::Open | Phase::ReduceOnly => Ok(listing),
        Phase::Halted => Err(Reject::MarketHalted { market, event }),
        Phase::Delisted => Err(Reject::MarketClosed { market, event }),
    }
}

/// By how much open interest changes when one position becomes another.
fn opened(before: i64, after: i64) -> i128 {
    i128::from(after.max(0)) - i128::from(before.max(0))
}

fn may_rest(kind: OrderKind) -> bool {
    match kind {
        OrderKind::GoodTillCancelled | OrderKind::PostOnly => true,
        OrderKind::ImmediateOrCancel | OrderKind::FillOrKill => false,
    }
}
