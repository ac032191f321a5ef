//! An order meets those that rest: by price and time, and never one of its own account.

use xos_book::Handle;
use xos_types::{
    AccountId, Atoms, BuilderId, CancelReason, Event, FeedId, Fill, Lots, MarketId, MarketKind, Nonce, Order, Ppm,
    SelfTrade, Side, Ticks,
};

use crate::account::{Account, Progress, Standing};
use crate::check::may_rest;
use crate::engine::{Engine, event_index, tell};
use crate::fees::{builder_reserve, rebate};
use crate::frame::Trade;
use crate::gas;
use crate::limits::MATCHES_MAX;
use crate::orders::Hot;
use crate::place::Arriving;
use crate::shares::referrer;
use crate::terms::Terms;
use crate::wide::{MILLION, ceil};

impl Engine {
    /// Meets resting orders, best price and oldest first, until nothing is left, nothing crosses, or a limit is reached: so
    /// many orders, so much gas that settling their lines may cost, or the market's open interest. One order cannot make a
    /// frame outgrow a transaction.
    pub(crate) fn match_order(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let terms = self.listings[event_index(order.market.event())].terms;
        let gas_max = self.matches_end();
        let mut met = 0;
        let dearest = |account: &Account, pays_builder| {
            gas::dearest_line(terms.kind, terms.outcomes, account.holdings.len(), pays_builder)
        };
        while arriving.remaining.0 > 0
            && let Some(handle) = self.first_crossing(order, arriving.price)
        {
            let maker = self.orders.account(handle);
            let (taking, making) = (&self.accounts[order.account], &self.accounts[maker]);
            // The next match may open a line for each side.
            let next = dearest(taking, order.builder != 0) + dearest(making, self.orders.pays_builder(handle));
            if met == MATCHES_MAX || self.frame.gas() + next > gas_max {
                arriving.stopped = Some(CancelReason::MatchLimit);
                return;
            }
            met += 1;
            if maker == order.account {
                self.meet_own(handle, arriving, events);
                if terms.feed != FeedId(0) {
                    // It may have been all that its place was for.
                    self.open_place(order.account, terms.feed);
                }
                if arriving.stopped.is_some() {
                    return;
                }
                continue;
            }
            let mut size = self.orders.shown(handle).min(arriving.remaining);
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
                    Side::Sell => (order.account, order.reduce_only),
                    Side::Buy => (maker, self.orders.reduces(handle)),
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
            let opened = self.open_interest_change(maker, order, size);
            if self.exceeds_open_interest(order.market, 0, opened) {
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
            self.fill(handle, arriving, size, opened, events);
        }
    }

    /// Meets only orders of its own account: whoever waits for an auction must not trade with itself there.
    pub(crate) fn wait_for_auction(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let feed = self.listings[event_index(order.market.event())].terms.feed;
        for handle in self.own_crossing(order, arriving.price) {
            self.meet_own(handle, arriving, events);
            if feed != FeedId(0) {
                // It may have been all that its place was for.
                self.open_place(order.account, feed);
            }
            if arriving.stopped.is_some() {
                return;
            }
        }
    }

    /// Lots of a spot market that an account may still sell in the frame.
    pub(crate) fn sellable(&self, seller: AccountId, market: MarketId, reduces: bool) -> Lots {
        let listing = &self.listings[event_index(market.event())];
        let must_reduce = reduces || self.restriction(seller, listing).is_some();
        let held = self.accounts[seller].holdings.asset(listing.terms.feed);
        Lots(held.map_or(0, |held| held.sellable(self.frame.id(), must_reduce, listing.terms.lot)))
    }

    /// Does with two orders of one account what the arriving one asks for.
    fn meet_own(&mut self, handle: Handle, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let reason = CancelReason::SelfTrade;
        match arriving.instructions.self_trade {
            SelfTrade::CancelMaker => self.cancel(handle, reason, events),
            SelfTrade::CancelTaker => arriving.stopped = Some(reason),
            SelfTrade::CancelBoth => {
                self.cancel(handle, reason, events);
                arriving.stopped = Some(reason);
            }
            SelfTrade::Decrement => {
                let resting = self.orders.remaining(handle);
                let by = resting.min(arriving.remaining);
                if by == resting {
                    self.cancel(handle, reason, events);
                } else {
                    self.reduce(handle, by, reason, events);
                }
                if by == arriving.remaining {
                    arriving.stopped = Some(reason);
                    return;
                }
                arriving.remaining.0 -= by.0;
                arriving.less.0 += by.0;
                let Order { account, nonce, market, side, .. } = arriving.signed.message;
                let (price, remaining) = (arriving.price, arriving.remaining);
                events.push(Event::Reduced { account, nonce, market, side, price, by, remaining, reason });
            }
        }
    }

    /// Whether a match that opens so many lots would take the market's open interest above what it may be, if it had changed by
    /// `before` already.
    pub(crate) fn exceeds_open_interest(&self, market: MarketId, before: i128, opened: i128) -> bool {
        let listing = &self.listings[event_index(market.event())];
        let open = i128::from(listing.open_interest(market)) + before;
        opened > 0 && open + opened > i128::from(listing.terms.open_interest_max)
    }

    /// By how much a match changes the sum of long positions. What is held of an asset is nobody's debt, so none is counted.
    pub(crate) fn open_interest_change(&self, maker: AccountId, taker: &Order, size: Lots) -> i128 {
        let terms = &self.listings[event_index(taker.market.event())].terms;
        if terms.kind == MarketKind::Spot {
            return 0;
        }
        let lots = i64::try_from(size.0).expect("an order is at most SIZE_MAX lots");
        let position = |account| self.accounts[account].position(terms, taker.market);
        let (buyer, seller) = match taker.side {
            Side::Buy => (position(taker.account), position(maker)),
            Side::Sell => (position(maker), position(taker.account)),
        };
        opened(buyer, buyer + lots) + opened(seller, seller - lots)
    }

    fn first_crossing(&self, order: &Order, limit: Ticks) -> Option<Handle> {
        self.find_book(order.market)?.first_crossing(&self.orders.resting, order.side, limit)
    }

    /// Trades at the resting order's price, which opens so many lots.
    fn fill(&mut self, handle: Handle, arriving: &mut Arriving<'_>, size: Lots, opened: i128, events: &mut Vec<Event>) {
        let taker = &arriving.signed.message;
        let market = taker.market;
        let frame = self.frame.id();
        self.open_lines(market);
        let terms = self.listings[event_index(market.event())].terms;
        let rebate_rate = terms.maker_fee.rebate();
        let referrer_share = match rebate_rate {
            Ppm(0) => Ppm(0),
            _ => self.referrer_share(taker.account, &self.venues[&terms.venue]),
        };

        let (maker, maker_nonce) = (self.orders.account(handle), self.orders.nonce(handle));
        let standing = self.orders.standing(handle);
        let Standing { price, lots: resting, .. } = standing;
        let maker_reduces = self.orders.reduces(handle);
        let base = terms.fee_base(price, size);
        let taker_fee = arriving.credit.charge(base, self.taker_rate(&terms, taker.account));
        let reserved = self.orders.reserved_fee(handle, standing, &terms);
        let Hot { mut credit, mut line, .. } = *self.orders.hot_mut(handle);
        let maker_fee =
            credit.charge(base, self.maker_rate(&terms, maker)) - rebate(base, rebate_rate, taker_fee, referrer_share);
        let maker_remaining = Lots(resting.0 - size.0);
        arriving.remaining = Lots(arriving.remaining.0 - size.0);
        let maker_leaves = maker_remaining.0 == 0;
        let still_reserved = credit.outstanding(terms.fee_base(price, maker_remaining), terms.maker_fee.fee());
        // The contract remembers how far an order is filled unless it is full or may not rest.
        let taker_completes = arriving.unfilled() == 0 || !may_rest(taker.kind);

        // What only an order's first fill of a frame asks for.
        let payees = |order: &Order| {
            let referrer = referrer(&self.builders, &self.accounts[order.account]);
            let builder = self.builders.get(&BuilderId(order.builder)).copied();
            [referrer, builder].map(|payee| payee.map(|payee| (payee, self.accounts[payee].cash_word())))
        };
        let state = &self.accounts[maker];
        let trade = Trade { price, size, fee: maker_fee };
        let trees = &self.orders.trees;
        let partly_filled = line.has_filled();
        let netted = self.frame.fill(trees, (maker, maker_nonce, market), &mut line, trade, || {
            let signed = self.orders.signed(handle, &self.accounts);
            let is_whole = self.orders.altered(handle).is_none_or(|altered| altered.less == Lots(0));
            let progress = Progress { partly_filled, completes: maker_leaves && is_whole };
            (signed, state.line_state(&terms, &signed.message, progress, payees(&signed.message)))
        });
        let maker_builder = netted.builder_fee(&terms, trade);
        let maker_held_back = netted.builder_reserve(&terms, price) * i128::from(size.0);
        let hot = self.orders.hot_mut(handle);
        (hot.credit, hot.line) = (credit, line);
        let state = &self.accounts[taker.account];
        let progress = Progress { partly_filled: arriving.line.has_filled(), completes: taker_completes };
        let trade = Trade { price, size, fee: taker_fee };
        let trees = &self.orders.trees;
        let name = (taker.account, taker.nonce, market);
        let netted = self.frame.fill(trees, name, &mut arriving.line, trade, || {
            (*arriving.signed, state.line_state(&terms, taker, progress, payees(taker)))
        });
        let taker_builder = netted.builder_fee(&terms, trade);

        let listing = &mut self.listings[event_index(market.event())];
        listing.volume += u128::from(size.0);
        listing.fees += maker_fee + taker_fee;
        listing.note_trade(market, price, opened);
        let mut refilled = None;
        if maker_leaves {
            self.remove_resting(handle);
        } else {
            refilled = self.orders.fill(&mut listing.books[usize::from(market.outcome())], handle, size);
            if maker_reduces && let Some(place) = self.reducing_place(handle) {
                self.reducing.reduce(place, size);
            }
        }

        let bought = Standing { market, side: Side::Buy, price, lots: size };
        let sold = Standing { side: Side::Sell, ..bought };
        let (given, taken) = match taker.side {
            Side::Buy => (sold, bought),
            Side::Sell => (bought, sold),
        };
        self.note_lingering(taker.account, &terms, market, taker.side, taker.reduce_only);
        self.note_lingering(maker, &terms, market, taker.side.opposite(), maker_reduces);
        let state = &mut self.accounts[maker];
        let released = reserved - still_reserved + maker_held_back;
        state.trade_resting(&terms, &self.board, frame, given, maker_fee + maker_builder, released);
        state.nonces.settle(maker_nonce);
        let state = &mut self.accounts[taker.account];
        state.trade_arriving(&terms, &self.board, frame, taken, taker_fee + taker_builder);
        if taker.nonce != Nonce::FORCED {
            state.nonces.settle(taker.nonce);
        }
        if terms.kind != MarketKind::Outcome {
            self.board[terms.feed].note_trade(&terms, price);
            self.tidy(maker, terms.feed);
        }

        let (taker_side, taker_account, taker_nonce) = (taker.side, taker.account, taker.nonce);
        tell(events, || {
            Event::Filled(Fill {
                market,
                price,
                size,
                taker_side,
                maker,
                maker_nonce,
                maker_fee: Atoms(maker_fee),
                maker_remaining,
                taker: taker_account,
                taker_nonce,
                taker_fee: Atoms(taker_fee),
            })
        });
        if let Some(shown) = refilled {
            let (account, nonce, side) = (maker, maker_nonce, taker_side.opposite());
            events.push(Event::Refilled { account, nonce, market, side, price, shown });
        }
        if self.is_followed_up(maker) {
            self.follow_fill((maker, maker_nonce), market, size, events);
            if maker_leaves {
                self.follow_end((maker, maker_nonce), events);
            }
        }
        if self.is_followed_up(taker_account) {
            self.follow_fill((taker_account, taker_nonce), market, size, events);
        }
    }

    /// A sale of an asset that must reduce: the contract has seen what the seller held before it.
    pub(crate) fn note_lingering(
        &mut self,
        account: AccountId,
        terms: &Terms,
        market: MarketId,
        side: Side,
        reduces: bool,
    ) {
        if terms.kind != MarketKind::Spot || side == Side::Buy {
            return;
        }
        let frame = self.frame.id();
        let listing = &self.listings[event_index(market.event())];
        if reduces || self.restriction(account, listing).is_some() {
            self.lingering.push((account, terms.feed));
            let feed = &self.board[terms.feed];
            self.accounts[account].holdings.change(terms.feed, feed, |held| held.asset().note(frame, 0, true));
        }
    }
}

/// By how much open interest changes when one position becomes another.
pub(crate) fn opened(before: i64, after: i64) -> i128 {
    i128::from(after.max(0)) - i128::from(before.max(0))
}
