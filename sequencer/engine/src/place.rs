//! An arriving order: checked, matched by price and time, then rested or dropped.

use xos_book::Handle;
use xos_types::{
    AccountId, Atoms, CancelReason, Crossing, Event, Fill, Instructions, Lots, MarketId, Nonce, Order, OrderKind,
    Phase, Ppm, Reject, SelfTrade, Side, Signed, Ticks, TimeMs,
};

use crate::account::{Account, Progress, Standing, exposure, risk};
use crate::engine::{Engine, Listing, account_index, event_index, tell};
use crate::fees::{FeeCredit, rebate};
use crate::frame::{LineRef, Trade};
use crate::gas;
use crate::limits::{MATCHES_MAX, ORDERS_MAX, SIZE_MAX, fill_or_kill_matches_max};
use crate::orders::{Hot, ToRest};

/// The part of an arriving order that is still to be matched.
struct Arriving<'a> {
    signed: &'a Signed<Order>,
    instructions: Instructions,
    /// The worst at which it trades, and where it rests.
    price: Ticks,
    remaining: Lots,
    /// Lots that were taken off it and did not fill.
    less: Lots,
    gone: Option<Gone>,
    credit: FeeCredit,
    line: LineRef,
    /// Why matching ended though it might have gone on.
    stopped: Option<CancelReason>,
}

/// A resting order that another one replaces. Until that one rests, or does not, the margin of their account still holds it.
#[derive(Clone, Copy)]
struct Gone {
    handle: Handle,
    standing: Standing,
    fee: i128,
}

impl Engine {
    pub(crate) fn place(&mut self, signed: &Signed<Order>, instructions: Instructions, events: &mut Vec<Event>) {
        let Order { account, nonce, .. } = signed.message;
        match self.check_order(signed, instructions, None) {
            Ok(price) => self.accept(signed, instructions, price, None, events),
            Err(reject) => events.push(Event::Rejected { account, nonce, reject }),
        }
    }

    /// Takes one order out and places another, or does neither.
    pub(crate) fn replace(
        &mut self,
        old: Nonce,
        signed: &Signed<Order>,
        instructions: Instructions,
        events: &mut Vec<Event>,
    ) {
        let Order { account, nonce, .. } = signed.message;
        let handle = match self.check_cancel(account, old, signed.signer) {
            Ok(handle) => handle,
            Err(reject) => return events.push(Event::Rejected { account, nonce, reject }),
        };
        let standing = self.orders.standing(handle);
        let fee = self.orders.reserved_fee(handle, &self.listings[event_index(standing.market.event())].terms);
        let gone = Gone { handle, standing, fee };
        match self.check_order(signed, instructions, Some(gone)) {
            Ok(limit) => {
                self.remove_resting(handle);
                let Standing { market, side, price, lots: remaining } = standing;
                let reason = CancelReason::Replaced;
                tell(events, || Event::Cancelled { account, nonce: old, market, side, price, remaining, reason });
                self.accept(signed, instructions, limit, Some(gone), events);
            }
            Err(reject) => events.push(Event::Rejected { account, nonce, reject }),
        }
    }

    /// Matches an order that passed every check, and rests or drops what is left.
    fn accept(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        price: Ticks,
        gone: Option<Gone>,
        events: &mut Vec<Event>,
    ) {
        let order = &signed.message;
        self.accounts[account_index(order.account)].nonces.spend(order.nonce);
        tell(events, || Event::Accepted { order: signed.message });

        let mut arriving = Arriving {
            signed,
            instructions,
            price,
            remaining: order.size,
            less: Lots(0),
            gone,
            credit: FeeCredit::default(),
            line: LineRef::default(),
            stopped: None,
        };
        self.match_order(&mut arriving, events);
        self.finish(arriving, events);

        let account = &self.accounts[account_index(order.account)];
        assert!(account.available() >= 0, "margin was checked for the whole order at its limit and the higher fee");
    }

    /// Everything that an order must satisfy, cheap checks first: account and signer; market; unsupported fields; price
    /// and size; expiry; nonce; fee; number of orders; post-only; fill-or-kill; only reducing; position limit; margin.
    /// It is judged as if the order `gone` were. Returns the worst price at which the order may trade and will rest: its own, or a better one if it slides.
    fn check_order(
        &self,
        signed: &Signed<Order>,
        instructions: Instructions,
        gone: Option<Gone>,
    ) -> Result<Ticks, Reject> {
        let order = &signed.message;
        let leaving = gone.map(|gone| gone.handle);
        let account = self.find_account(order.account).ok_or(Reject::UnknownAccount { account: order.account })?;
        let listing = self.find_market(order.market);
        let may_sign = |listing: &Listing| account.may_sign(signed.signer, listing, order, self.frame.time);
        if signed.signer != account.owner && !listing.is_some_and(may_sign) {
            return Err(account.not_authorized(order.account, signed.signer));
        }
        let listing = open_listing(order.market, listing)?;
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
        if account.orders.len() - usize::from(gone.is_some()) >= ORDERS_MAX {
            return Err(Reject::TooManyOrders { limit: ORDERS_MAX as u64 });
        }

        let price = match order.kind {
            OrderKind::GoodTillCancelled | OrderKind::ImmediateOrCancel => order.price,
            OrderKind::PostOnly => self.check_post_only(listing, order, instructions.crossing, leaving)?,
            OrderKind::FillOrKill => self.check_fill_or_kill(listing, order, instructions.self_trade, leaving)?,
        };

        let standing = Standing { market: order.market, side: order.side, price, lots: order.size };
        let on_this_side = |gone: &Gone| (gone.standing.market, gone.standing.side) == (order.market, order.side);
        let freed = gone.filter(on_this_side).map_or(Lots(0), |gone| gone.standing.lots);
        self.check_reducing(account, listing, order, freed)?;
        let event = order.market.event();
        let margin = account.margins.get(&event);
        let exposure = exposure(margin, order.market, order.side) + i128::from(order.size.0) - i128::from(freed.0);
        if exposure > i128::from(terms.position_max) {
            return Err(Reject::PositionLimit { market: order.market, limit: Lots(terms.position_max) });
        }
        // As if all of it stood at its limit and paid the higher fee. A better price only improves this: a buyer pays less,
        // and a seller gains more, by at least what the fee on it (on the curve: on either side of the middle) can grow,
        // because a fee is at most the value.
        let fee = FeeCredit::default().outstanding(terms.fee_base(price, order.size), required);
        // What goes counts together with what comes where they share an event, and else by itself.
        let here = gone.map(|gone| gone.standing).filter(|gone| gone.market.event() == event);
        let elsewhere = gone.filter(|_| here.is_none()).map_or(0, |gone| self.freed_elsewhere(account, gone.standing));
        let required = risk(margin, terms, standing, here) + fee;
        let freed = elsewhere + gone.map_or(0, |gone| gone.fee);
        if required > account.available() + freed {
            return Err(self.insufficient(account, standing, fee, gone));
        }
        Ok(price)
    }

    /// By how much Σ worst with orders rises when an order is gone.
    fn freed_elsewhere(&self, account: &Account, gone: Standing) -> i128 {
        let event = gone.market.event();
        let terms = &self.listings[event_index(event)].terms;
        -risk(account.margins.get(&event), terms, Standing { lots: Lots(0), ..gone }, Some(gone))
    }

    /// The refusal of an order that its account cannot pay, in the numbers that would hold if `gone` were.
    #[cold]
    fn insufficient(&self, account: &Account, standing: Standing, fee: i128, gone: Option<Gone>) -> Reject {
        let terms = &self.listings[event_index(standing.market.event())].terms;
        let margin = account.margins.get(&standing.market.event());
        let gone_here = gone.map(|gone| gone.standing).filter(|gone| gone.market.event() == standing.market.event());
        let freed = gone.map_or(0, |gone| self.freed_elsewhere(account, gone.standing) + gone.fee);
        let freed_here = gone_here.map_or(0, |gone| self.freed_elsewhere(account, gone));
        let required = risk(margin, terms, standing, gone_here) + freed_here + fee;
        account.insufficient(required, freed)
    }

    /// The price at which it rests. It would cross the account's own orders too, so they count.
    fn check_post_only(
        &self,
        listing: &Listing,
        order: &Order,
        crossing: Crossing,
        gone: Option<Handle>,
    ) -> Result<Ticks, Reject> {
        let book = &listing.books[usize::from(order.market.outcome())];
        if book.best_crossing(order.side, order.price).is_none() {
            return Ok(order.price);
        }
        let mut met = book.queue(&self.orders.resting, order.side.opposite()).filter(|handle| Some(*handle) != gone);
        let Some(best) = met.next().map(|handle| self.orders.price(handle)) else { return Ok(order.price) };
        let slid = match order.side {
            Side::Buy if best > order.price => return Ok(order.price),
            Side::Sell if best < order.price => return Ok(order.price),
            Side::Buy => Ticks(best.0 - 1),
            Side::Sell => Ticks(best.0 + 1),
        };
        let exists = slid >= Ticks(1) && slid.0 < listing.terms.ticks;
        if crossing == Crossing::Slide && exists {
            return Ok(slid);
        }
        Err(Reject::WouldTrade { price: order.price, best })
    }

    /// Walks the orders that matching is certain to meet. Own ones fill nothing: they would be cancelled and count as met, or
    /// end it.
    fn check_fill_or_kill(
        &self,
        listing: &Listing,
        order: &Order,
        self_trade: SelfTrade,
        gone: Option<Handle>,
    ) -> Result<Ticks, Reject> {
        let book = &listing.books[usize::from(order.market.outcome())];
        let met_max = fill_or_kill_matches_max(listing.terms.outcomes) as usize;
        let mut fillable = 0u64;
        let queue = book.queue(&self.orders.resting, order.side.opposite());
        for handle in queue.filter(|handle| Some(*handle) != gone).take(met_max) {
            let limit_reached = match order.side {
                Side::Buy => self.orders.price(handle) > order.price,
                Side::Sell => self.orders.price(handle) < order.price,
            };
            if limit_reached || fillable >= order.size.0 {
                break;
            }
            if self.orders.account(handle) != order.account {
                fillable += self.orders.remaining(handle).0;
            } else if self_trade != SelfTrade::CancelMaker {
                break;
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
        Ok(order.price)
    }

    /// Meets resting orders, best price and oldest first, until nothing is left, nothing crosses, or a limit is reached: so
    /// many orders, so much gas that settling their lines may cost, or the market's open interest. One order cannot make a
    /// frame outgrow a transaction.
    fn match_order(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let gas_before = self.frame.gas();
        let mut met = 0;
        while arriving.remaining.0 > 0
            && let Some(handle) = self.first_crossing(order, arriving.price)
        {
            // The next match may open a line for each side.
            let dearest = || 2 * gas::dearest_line(self.listings[event_index(order.market.event())].terms.outcomes);
            if met == MATCHES_MAX || self.frame.gas() - gas_before + dearest() > gas::MATCHES {
                arriving.stopped = Some(CancelReason::MatchLimit);
                return;
            }
            met += 1;
            if self.orders.account(handle) == order.account {
                self.meet_own(handle, arriving, events);
                if arriving.stopped.is_some() {
                    return;
                }
            } else if self.exceeds_open_interest(handle, arriving) {
                arriving.stopped = Some(CancelReason::OpenInterestCap);
                return;
            } else {
                self.fill(handle, arriving, events);
            }
        }
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

    /// Whether a match would take the market's open interest above what it may be.
    fn exceeds_open_interest(&self, handle: Handle, arriving: &Arriving<'_>) -> bool {
        let order = &arriving.signed.message;
        let listing = &self.listings[event_index(order.market.event())];
        let change = self.open_interest_change(handle, arriving);
        let open = i128::from(listing.open_interest(order.market));
        change > 0 && open + change > i128::from(listing.terms.open_interest_max)
    }

    /// By how much a match changes the sum of long positions.
    fn open_interest_change(&self, handle: Handle, arriving: &Arriving<'_>) -> i128 {
        let (maker, taker) = (self.orders.account(handle), &arriving.signed.message);
        let lots = i64::try_from(self.orders.remaining(handle).min(arriving.remaining).0)
            .expect("an order is at most SIZE_MAX lots");
        let position = |account| self.accounts[account_index(account)].position(taker.market);
        let (buyer, seller) = match taker.side {
            Side::Buy => (position(taker.account), position(maker)),
            Side::Sell => (position(maker), position(taker.account)),
        };
        opened(buyer, buyer + lots) + opened(seller, seller - lots)
    }

    fn first_crossing(&self, order: &Order, limit: Ticks) -> Option<Handle> {
        self.find_book(order.market)?.first_crossing(&self.orders.resting, order.side, limit)
    }

    /// Trades as much as both orders have left, at the resting order's price.
    fn fill(&mut self, handle: Handle, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let taker = &arriving.signed.message;
        let market = taker.market;
        let opened = self.open_interest_change(handle, arriving);
        let listing = &self.listings[event_index(market.event())];
        let terms = listing.terms;
        let referrer_share = self.referrer_share(taker.account, &self.venues[&terms.venue]);
        let market_state = self.market_state(market);
        let cash_word = |payee: AccountId| (payee, self.accounts[account_index(payee)].cash_word());
        let taker_referrer = self.referrer_of(taker.account).map(cash_word);
        let maker_referrer = self.referrer_of(self.orders.account(handle)).map(cash_word);

        let (maker, maker_nonce, price) =
            (self.orders.account(handle), self.orders.nonce(handle), self.orders.price(handle));
        let resting = self.orders.remaining(handle);
        let size = resting.min(arriving.remaining);
        let base = terms.fee_base(price, size);
        let taker_fee = arriving.credit.charge(base, terms.taker_fee);
        let reserved = self.orders.reserved_fee(handle, &terms);
        let Hot { mut credit, mut line, .. } = *self.orders.hot_mut(handle);
        let maker_fee = credit.charge(base, terms.maker_fee.fee())
            - rebate(base, terms.maker_fee.rebate(), taker_fee, referrer_share);
        let maker_remaining = Lots(resting.0 - size.0);
        arriving.remaining = Lots(arriving.remaining.0 - size.0);
        let maker_leaves = maker_remaining.0 == 0;
        let still_reserved = credit.outstanding(terms.fee_base(price, maker_remaining), terms.maker_fee.fee());
        // The contract remembers how far an order is filled unless it is full or may not rest.
        let taker_completes = arriving.remaining.0 + arriving.less.0 == 0 || !may_rest(taker.kind);

        let state = &self.accounts[account_index(maker)];
        let trade = Trade { price, size, fee: maker_fee };
        let partly_filled = line.has_filled();
        self.frame.fill((maker, maker_nonce, market), &mut line, trade, market_state, || {
            let signed = self.orders.signed(handle, &self.accounts);
            let is_whole = self.orders.altered(handle).is_none_or(|altered| altered.less == Lots(0));
            let progress = Progress { partly_filled, completes: maker_leaves && is_whole };
            (signed, state.line_state(&terms, &signed.message, progress, maker_referrer))
        });
        let hot = self.orders.hot_mut(handle);
        (hot.credit, hot.line) = (credit, line);
        let state = &self.accounts[account_index(taker.account)];
        let progress = Progress { partly_filled: false, completes: taker_completes };
        let trade = Trade { price, size, fee: taker_fee };
        self.frame.fill((taker.account, taker.nonce, market), &mut arriving.line, trade, market_state, || {
            (*arriving.signed, state.line_state(&terms, taker, progress, taker_referrer))
        });

        let listing = &mut self.listings[event_index(market.event())];
        listing.volume += u128::from(size.0);
        listing.fees += maker_fee + taker_fee;
        let open = &mut listing.open_interest[usize::from(market.outcome())];
        *open = u64::try_from(i128::from(*open) + opened).expect("checked against a limit of 64 bits");
        if maker_leaves {
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
        let state = &mut self.accounts[account_index(maker)];
        state.trade_resting(&terms, given, maker_fee, reserved - still_reserved);
        state.nonces.settle(maker_nonce);
        let state = &mut self.accounts[account_index(taker.account)];
        state.trade_arriving(&terms, taken, taker_fee);
        state.nonces.settle(taker.nonce);

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
    }

    /// The margin lets go of an order that was replaced.
    fn release_gone(&mut self, account: AccountId, gone: Option<Gone>) {
        if let Some(Gone { standing, fee, .. }) = gone {
            let terms = &self.listings[event_index(standing.market.event())].terms;
            self.accounts[account_index(account)].release(terms, standing, fee);
        }
    }

    /// What is left rests, or is dropped and says why.
    fn finish(&mut self, mut arriving: Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let Order { account, nonce, market, side, .. } = *order;
        let (price, remaining) = (arriving.price, arriving.remaining);
        if remaining.0 == 0 {
            return self.release_gone(account, arriving.gone);
        }
        let dropped = arriving.stopped.or(match order.kind {
            OrderKind::GoodTillCancelled | OrderKind::PostOnly => None,
            OrderKind::ImmediateOrCancel => Some(CancelReason::Immediate),
            OrderKind::FillOrKill => unreachable!("checked to fill within the limits of matches and open interest"),
        });
        if let Some(reason) = dropped {
            tell(events, || Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            return self.release_gone(account, arriving.gone);
        }
        let shares_event = |gone: &Gone| gone.standing.market.event() == market.event();
        if !arriving.gone.as_ref().is_none_or(shares_event) {
            self.release_gone(account, arriving.gone.take());
        }
        let listing = &mut self.listings[event_index(market.event())];
        let terms = &listing.terms;
        let book = &mut listing.books[usize::from(market.outcome())];
        let state = &mut self.accounts[account_index(account)];
        let Arriving { signed, less, gone, credit, line, .. } = arriving;
        let resting = ToRest { signed, price, remaining, less, credit, line };
        self.orders.insert(book, state, &resting);
        let fee = credit.outstanding(terms.fee_base(price, remaining), terms.maker_fee.fee());
        let standing = Standing { market, side, price, lots: remaining };
        match gone {
            Some(gone) => state.swap(terms, (gone.standing, gone.fee), (standing, fee)),
            None => state.reserve(terms, standing, fee),
        }
        if order.expiry != TimeMs(0) {
            self.expiries.insert((order.expiry, account, nonce));
        }
        tell(events, || Event::Rested { account, nonce, market, side, price, remaining });
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
