//! An arriving order: checked, matched by price and time, then rested or dropped.

use xos_book::Handle;
use xos_types::{
    AccountId, Atoms, BuilderId, CancelReason, Crossing, Event, FeedId, Fill, Instructions, Lots, MarketId, MarketKind,
    Nonce, Order, OrderKind, Phase, Ppm, Reject, SelfTrade, Side, Signed, Ticks, TimeMs,
};

use crate::account::{Account, Progress, Standing};
use crate::engine::{Engine, Listing, account_index, event_index, tell};
use crate::fees::{FeeCredit, builder_reserve, rebate};
use crate::frame::{LineRef, Trade};
use crate::gas;
use crate::holdings::{Fall, Foreseen, atoms};
use crate::limits::{BUILDER_FEE_MAX, MATCHES_MAX, ORDERS_MAX, SIZE_MAX};
use crate::orders::{Hot, ToRest};
use crate::plans::Waiting;
use crate::terms::Terms;
use crate::watch::spends;
use crate::wide::{MILLION, ceil};

/// The part of an arriving order that is still to be matched.
pub(crate) struct Arriving<'a> {
    signed: &'a Signed<Order>,
    instructions: Instructions,
    /// The worst at which it trades, and where it rests.
    price: Ticks,
    remaining: Lots,
    /// Lots that were taken off it and did not fill.
    less: Lots,
    /// What of it the book shows at a time; 0 for all.
    display: Lots,
    rest: Rest,
    gone: Option<&'a Gone>,
    /// What was foreseen when margin was checked, as long as nothing has happened since.
    foreseen: Option<&'a Foreseen>,
    credit: FeeCredit,
    line: LineRef,
    /// Why matching ended though it might have gone on.
    stopped: Option<CancelReason>,
}

/// What becomes of the part that does not fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// What the order's kind says.
    AsSigned,
    /// It is a slice: it waits for the next one, with so many lots that did not come.
    Waits(Lots),
}

/// Where an order that is checked comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    New,
    /// It waited: its nonce is spent, and it counts among its account's orders already.
    Waiting,
}

impl<'a> Arriving<'a> {
    /// So many lots of an order that passed its checks.
    pub(crate) fn new(
        signed: &'a Signed<Order>,
        instructions: Instructions,
        checked: Checked,
        remaining: Lots,
    ) -> Self {
        Self {
            signed,
            instructions,
            price: checked.price,
            remaining,
            less: Lots(0),
            display: Lots(0),
            rest: Rest::AsSigned,
            gone: None,
            foreseen: None,
            credit: FeeCredit::default(),
            line: LineRef::default(),
            stopped: None,
        }
    }

    /// The same, of which the book shows so much at a time; 0 for all.
    pub(crate) fn show(self, display: Lots) -> Self {
        Self { display, ..self }
    }

    /// The same, going on from what its order has been through.
    pub(crate) fn resume(self, waiting: &Waiting, rest: Rest) -> Self {
        let line = if waiting.filled > Lots(0) { LineRef::EARLIER } else { LineRef::default() };
        Self { less: waiting.less, credit: waiting.credit, line, rest, ..self }
    }

    /// Lots of what was signed that are not filled: the contract does not know that some may never.
    fn unfilled(&self) -> u64 {
        let kept = match self.rest {
            Rest::AsSigned => Lots(0),
            Rest::Waits(kept) => kept,
        };
        self.remaining.0 + self.less.0 + kept.0
    }
}

/// What matching left of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) remaining: Lots,
    pub(crate) less: Lots,
    pub(crate) credit: FeeCredit,
}

/// How an account carries an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// Whatever of it fills, and of all others, breaks no rule of margin.
    Fully,
    /// It only reduces and makes nothing worse, or other collateral carries its losses: its fills are looked at one by one.
    Watched,
}

/// What came of an order's checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    /// The worst price at which it may trade and will rest: its own, or a better one if it slides.
    price: Ticks,
    carried: Carried,
}

/// A resting order that another one replaces. Until that one rests, or does not, the margin of their account still holds it.
#[derive(Clone, Copy)]
pub(crate) struct Gone {
    handle: Handle,
    standing: Standing,
    fee: i128,
}

impl Engine {
    pub(crate) fn place(&mut self, signed: &Signed<Order>, instructions: Instructions, events: &mut Vec<Event>) {
        let Order { account, nonce, .. } = signed.message;
        let mut foreseen = None;
        match self.check_order(signed, instructions, None, Origin::New, &mut foreseen) {
            Ok(checked) => self.accept(signed, instructions, checked, None, foreseen.as_ref(), events),
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
        if !self.may_replace(standing.market, signed.message.market) {
            let reject = Reject::UnknownOrder { account, nonce: old };
            return events.push(Event::Rejected { account, nonce, reject });
        }
        let fee = self.orders.reserved(handle, &self.listings[event_index(standing.market.event())].terms);
        let gone = Gone { handle, standing, fee };
        let mut foreseen = None;
        match self.check_order(signed, instructions, Some(&gone), Origin::New, &mut foreseen) {
            Ok(checked) => {
                self.remove_resting(handle);
                if self.accounts[account_index(account)].links > 0 {
                    // What follows or excludes an order that moves goes with it.
                    self.plans.rename(account, old, nonce);
                }
                let Standing { market, side, price, lots: remaining } = standing;
                let reason = CancelReason::Replaced;
                tell(events, || Event::Cancelled { account, nonce: old, market, side, price, remaining, reason });
                self.accept(signed, instructions, checked, Some(&gone), foreseen.as_ref(), events);
            }
            Err(reject) => events.push(Event::Rejected { account, nonce, reject }),
        }
    }

    /// Margin lets go of one order and takes up the other at once: between outcomes anywhere, else in the same market only, as
    /// two markets may share what is held at an index price.
    fn may_replace(&self, old: MarketId, new: MarketId) -> bool {
        let kind = |market: MarketId| self.find_market(market).map(|listing| listing.terms.kind);
        old == new || [old, new].map(kind) == [Some(MarketKind::Outcome); 2] || kind(new).is_none()
    }

    /// Matches an order that passed every check, and rests or drops what is left.
    fn accept(
        &mut self,
        signed: &Signed<Order>,
        instructions: Instructions,
        checked: Checked,
        gone: Option<&Gone>,
        foreseen: Option<&Foreseen>,
        events: &mut Vec<Event>,
    ) {
        let order = &signed.message;
        self.accounts[account_index(order.account)].nonces.spend(order.nonce);
        tell(events, || Event::Accepted { order: signed.message });
        let arriving = Arriving { gone, foreseen, ..Arriving::new(signed, instructions, checked, order.size) };
        self.enter(arriving, checked, events);
    }

    /// Matches what arrives of an order, and rests, keeps or drops what is left.
    pub(crate) fn enter(&mut self, mut arriving: Arriving<'_>, checked: Checked, events: &mut Vec<Event>) -> Left {
        let order = &arriving.signed.message;
        let feed = self.listings[event_index(order.market.event())].terms.feed;
        if feed != FeedId(0) {
            self.open_place(order.account, feed);
        }
        if checked.carried == Carried::Watched {
            self.watch(order.account);
        }

        if self.awaits_auction(order.market) {
            self.wait_for_auction(&mut arriving, events);
        } else {
            self.match_order(&mut arriving, events);
        }
        let Arriving { remaining, less, credit, .. } = arriving;
        self.finish(&mut arriving, events);

        if feed != FeedId(0) {
            self.tidy(order.account, feed);
        }
        let account = &self.accounts[account_index(order.account)];
        let sound = account.watched || account.available() >= 0;
        assert!(sound, "margin was checked for the whole order at its limit and the higher fee");
        if account.links > 0 && self.live((order.account, order.nonce)).is_none() {
            self.follow_end((order.account, order.nonce), events);
        }
        Left { remaining, less, credit }
    }

    /// What an order must satisfy whenever it goes to the book, cheap checks first: account and signer; market; unsupported
    /// fields; price and size; expiry; nonce; fee; number of orders, of which so many are leaving.
    pub(crate) fn check_form(
        &self,
        signed: &Signed<Order>,
        origin: Origin,
        leaving: usize,
    ) -> Result<(&Account, &Listing), Reject> {
        let order = &signed.message;
        let account = self.find_account(order.account).ok_or(Reject::UnknownAccount { account: order.account })?;
        let listing = self.find_market(order.market);
        let may_sign = |listing: &Listing| account.may_sign(signed.signer, listing, order, self.frame.time);
        if signed.signer != account.owner && !listing.is_some_and(may_sign) {
            return Err(account.not_authorized(order.account, signed.signer));
        }
        let listing = open_listing(order, listing)?;
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
        if origin == Origin::New && account.nonces.is_spent(order.nonce) {
            return Err(Reject::NonceSpent { nonce: order.nonce, next: account.nonces.next() });
        }
        let required = Ppm(terms.highest_fee().0 + order.builder_fee.0);
        if order.max_fee < required {
            return Err(Reject::FeeTooLow { max_fee: order.max_fee, required });
        }
        let orders = account.orders.len() + account.waiting as usize;
        if orders - leaving - usize::from(origin == Origin::Waiting) >= ORDERS_MAX {
            return Err(Reject::TooManyOrders { limit: ORDERS_MAX as u64 });
        }
        Ok((account, listing))
    }

    /// Everything that an order must satisfy: its form; post-only; fill-or-kill; only reducing; position limit; margin. It is
    /// judged as if the order `gone` were. What its margin would then be is left in `foreseen`.
    pub(crate) fn check_order(
        &self,
        signed: &Signed<Order>,
        instructions: Instructions,
        gone: Option<&Gone>,
        origin: Origin,
        foreseen: &mut Option<Foreseen>,
    ) -> Result<Checked, Reject> {
        let order = &signed.message;
        let (account, listing) = self.check_form(signed, origin, usize::from(gone.is_some()))?;
        let terms = &listing.terms;
        let rate = terms.highest_fee();
        let leaving = gone.map(|gone| gone.handle);

        let price = match order.kind {
            OrderKind::GoodTillCancelled | OrderKind::ImmediateOrCancel => order.price,
            OrderKind::PostOnly => self.check_post_only(listing, order, instructions.crossing, leaving)?,
            OrderKind::FillOrKill => self.check_fill_or_kill(listing, order, instructions.self_trade, leaving)?,
        };

        let standing = Standing { market: order.market, side: order.side, price, lots: order.size };
        let on_this_side = |gone: &&Gone| (gone.standing.market, gone.standing.side) == (order.market, order.side);
        let freed = gone.filter(on_this_side).map_or(Lots(0), |gone| gone.standing.lots);
        self.check_reducing(account, listing, order, freed)?;
        let exposure =
            account.exposure(terms, order.market, order.side) + i128::from(order.size.0) - i128::from(freed.0);
        if exposure > i128::from(terms.position_max) {
            return Err(Reject::PositionLimit { market: order.market, limit: Lots(terms.position_max) });
        }
        self.check_place(account, terms)?;
        if terms.kind == MarketKind::Spot && order.side == Side::Sell {
            self.check_balance(account, terms, order.size, gone)?;
        }
        // As if all of it stood at its limit and paid the higher fee. A better price only improves this: a buyer pays less,
        // and a seller gains more, by at least what the fees on it (on the curve: on either side of the middle) can grow,
        // because they are at most the value.
        let builder = builder_reserve(terms, price, order.builder_fee) * i128::from(order.size.0);
        let fee = FeeCredit::default().outstanding(terms.fee_base(price, order.size), rate) + builder;
        let carried = self.check_margin(listing, order, standing, fee, gone, foreseen)?;
        if carried == Carried::Watched && order.kind == OrderKind::FillOrKill {
            // Its fills are looked at one by one, and the last may not happen.
            return Err(Reject::NotFillable { size: order.size, fillable: Lots(0) });
        }
        Ok(Checked { price, carried })
    }

    /// Whether the account can carry an order with `fee` when `gone` is gone, and how; see [`Carried`].
    fn check_margin(
        &self,
        listing: &Listing,
        order: &Order,
        standing: Standing,
        fee: i128,
        gone: Option<&Gone>,
        foreseen: &mut Option<Foreseen>,
    ) -> Result<Carried, Reject> {
        let (account, terms) = (&self.accounts[account_index(order.account)], &listing.terms);
        // What goes counts together with what comes where they share a listing, and else by itself.
        let here = gone.map(|gone| gone.standing).filter(|gone| gone.market.event() == order.market.event());
        let fall = account.foresee(terms, &self.board, standing, here, foreseen);
        let freed = gone.filter(|_| here.is_none()).map(|gone| self.freed_by(account, gone.standing));
        let freed_fee = gone.map_or(0, |gone| gone.fee);
        let (freed_usd, freed_initial) = freed.map_or((0, 0), |freed| (-freed.usd, -freed.initial));
        let usd = account.usd_with_orders() + freed_usd + freed_fee - fall.usd - fee;
        let initial = account.initial_with_orders() + freed_initial + freed_fee - fall.initial - fee;
        // What may leave the group depends on the fund, so it takes no chances.
        let needs_cash = spends(terms, order.side) || order.account == AccountId::INSURANCE;
        let only_reduces = || {
            let on_this_side = |gone: &Standing| (gone.market, gone.side) == (order.market, order.side);
            let leaving = here.filter(on_this_side).map_or(0, |gone| gone.lots.0);
            let resting = account.resting_lots(terms, order.market, order.side) - leaving;
            order.size.0.saturating_add(resting) <= account.reducible(terms, order.market, order.side)
        };
        if account.watched && !only_reduces() && account.health(&self.board).blocked {
            return Err(Reject::HoldsStalePrice { account: order.account });
        }
        if initial >= 0 && (usd >= 0 || !needs_cash) {
            return Ok(if usd >= 0 && !account.watched { Carried::Fully } else { Carried::Watched });
        }
        // Outcomes need no price, so an account of nothing else is never short, and needs no way out.
        let lots = Lots(order.size.0.min(account.reducible(terms, order.market, order.side)));
        let has_prices = account.watched || account.holdings.len() > 0;
        let may = has_prices && (only_reduces() || order.reduce_only) && order.account != AccountId::INSURANCE;
        if may && self.reduces_without_harm(order.account, terms, Standing { lots, ..standing }, fee) {
            return Ok(Carried::Watched);
        }
        Err(self.insufficient(account, standing, fee, gone))
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
    fn check_balance(&self, account: &Account, terms: &Terms, size: Lots, gone: Option<&Gone>) -> Result<(), Reject> {
        let required = atoms(&self.board[terms.feed], size);
        let sold = gone.filter(|gone| {
            let of = &self.listings[event_index(gone.standing.market.event())].terms;
            of.kind == MarketKind::Spot && of.feed == terms.feed && gone.standing.side == Side::Sell
        });
        let freed = sold.map_or(0, |gone| atoms(&self.board[terms.feed], gone.standing.lots));
        let available = account.holdings.asset(terms.feed).map_or(0, |held| held.balance - held.ask_atoms) + freed;
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

    /// By how much health falls when an order is gone: it rises, so these are negative.
    fn freed_by(&self, account: &Account, gone: Standing) -> Fall {
        let terms = &self.listings[event_index(gone.market.event())].terms;
        account.fall(terms, &self.board, Standing { lots: Lots(0), ..gone }, Some(gone))
    }

    /// The refusal of an order that its account cannot pay, in the numbers that would hold if `gone` were.
    #[cold]
    fn insufficient(&self, account: &Account, standing: Standing, fee: i128, gone: Option<&Gone>) -> Reject {
        let terms = &self.listings[event_index(standing.market.event())].terms;
        let here = gone.map(|gone| gone.standing).filter(|gone| gone.market.event() == standing.market.event());
        let freed = gone.map_or(Fall::default(), |gone| self.freed_by(account, gone.standing));
        let freed_here = here.map_or(Fall::default(), |gone| self.freed_by(account, gone));
        let fall = account.fall(terms, &self.board, standing, here);
        let required = (fall.usd - freed_here.usd).max(fall.initial - freed_here.initial) + fee;
        let held_back = gone.map_or(0, |gone| gone.fee) - freed.usd.max(freed.initial);
        account.insufficient(required, held_back)
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
        if listing.phase == Phase::Auction || book.best_crossing(order.side, order.price).is_none() {
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
        // What an iceberg does not show comes behind everything at its price, and in more matches than are counted here.
        let mut hidden_at = None;
        let queue = book.queue(&self.orders.resting, order.side.opposite());
        for handle in queue.filter(|handle| Some(*handle) != gone).take(MATCHES_MAX as usize) {
            let limit_reached = match order.side {
                Side::Buy => self.orders.price(handle) > order.price,
                Side::Sell => self.orders.price(handle) < order.price,
            };
            let price = self.orders.price(handle);
            let beyond_hidden = hidden_at.is_some_and(|hidden| hidden != price);
            let maker = &self.accounts[account_index(self.orders.account(handle))];
            makers += dearest(maker, self.orders.pays_builder(handle));
            if limit_reached
                || beyond_hidden
                || fillable >= order.size.0
                || !gas::certain(dearest(taker, order.builder != 0), makers)
            {
                break;
            }
            hidden_at = hidden_at.or(self.orders.hides(handle).then_some(price));
            // Those of makers that are watched or only reduce may not happen, nor those that another's fill excludes.
            let excluded = || {
                let name = (self.orders.account(handle), self.orders.nonce(handle));
                maker.links > 0 && self.plans.pair(name).is_some()
            };
            let certain = !maker.watched
                && !self.orders.reduces(handle)
                && !excluded()
                && (!is_spot || order.side == Side::Sell || sells_freely(maker));
            if self.orders.account(handle) != order.account && certain {
                fillable += self.orders.shown(handle).0;
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
        let terms = self.listings[event_index(order.market.event())].terms;
        let gas_max = self.frame.gas() + gas::MATCHES;
        let mut met = 0;
        let dearest = |account: &Account, pays_builder| {
            gas::dearest_line(terms.kind, terms.outcomes, account.holdings.len(), pays_builder)
        };
        while arriving.remaining.0 > 0
            && let Some(handle) = self.first_crossing(order, arriving.price)
        {
            let maker = self.orders.account(handle);
            let (taking, making) = (&self.accounts[account_index(order.account)], &self.accounts[account_index(maker)]);
            // The next match may open a line for each side.
            let next = dearest(taking, order.builder != 0) + dearest(making, self.orders.pays_builder(handle));
            if met == MATCHES_MAX || self.frame.gas() + next > gas_max {
                arriving.stopped = Some(CancelReason::MatchLimit);
                return;
            }
            met += 1;
            arriving.foreseen = None;
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

    /// Meets only orders of its own account: whoever waits for an auction must not trade with itself there.
    fn wait_for_auction(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let feed = self.listings[event_index(order.market.event())].terms.feed;
        for handle in self.own_crossing(order, arriving.price) {
            arriving.foreseen = None;
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
    pub(crate) fn sellable(&self, seller: &Account, market: MarketId, reduces: bool) -> Lots {
        let listing = &self.listings[event_index(market.event())];
        let must_reduce = reduces || self.restriction(seller, listing).is_some();
        let held = seller.holdings.asset(listing.terms.feed);
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

    /// Whether a match would take the market's open interest above what it may be.
    pub(crate) fn exceeds_open_interest(&self, maker: AccountId, order: &Order, size: Lots) -> bool {
        let listing = &self.listings[event_index(order.market.event())];
        let change = self.open_interest_change(maker, order, size);
        let open = i128::from(listing.open_interest(order.market));
        change > 0 && open + change > i128::from(listing.terms.open_interest_max)
    }

    /// By how much a match changes the sum of long positions. What is held of an asset is nobody's debt, so none is counted.
    pub(crate) fn open_interest_change(&self, maker: AccountId, taker: &Order, size: Lots) -> i128 {
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

    fn first_crossing(&self, order: &Order, limit: Ticks) -> Option<Handle> {
        self.find_book(order.market)?.first_crossing(&self.orders.resting, order.side, limit)
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
        let maker_leaves = maker_remaining.0 == 0;
        let still_reserved = credit.outstanding(terms.fee_base(price, maker_remaining), terms.maker_fee.fee());
        // The contract remembers how far an order is filled unless it is full or may not rest.
        let taker_completes = arriving.unfilled() == 0 || !may_rest(taker.kind);

        let state = &self.accounts[account_index(maker)];
        let trade = Trade { price, size, fee: maker_fee };
        let partly_filled = line.has_filled();
        let netted = self.frame.fill((maker, maker_nonce, market), &mut line, trade, market_state, || {
            let signed = self.orders.signed(handle, &self.accounts);
            let is_whole = self.orders.altered(handle).is_none_or(|altered| altered.less == Lots(0));
            let progress = Progress { partly_filled, completes: maker_leaves && is_whole };
            let payees = [maker_referrer, builder_of(&signed.message)];
            (signed, state.line_state(&terms, &signed.message, progress, payees))
        });
        let maker_builder = netted.builder_fee(&terms, trade);
        let maker_held_back = netted.builder_reserve(&terms, price) * i128::from(size.0);
        let hot = self.orders.hot_mut(handle);
        (hot.credit, hot.line) = (credit, line);
        let state = &self.accounts[account_index(taker.account)];
        let progress = Progress { partly_filled: arriving.line.has_filled(), completes: taker_completes };
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
        let state = &mut self.accounts[account_index(maker)];
        let released = reserved - still_reserved + maker_held_back;
        state.trade_resting(&terms, &self.board, frame, given, maker_fee + maker_builder, released);
        state.nonces.settle(maker_nonce);
        let state = &mut self.accounts[account_index(taker.account)];
        state.trade_arriving(&terms, &self.board, frame, taken, taker_fee + taker_builder);
        state.nonces.settle(taker.nonce);
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
        let (frame, index) = (self.frame.id(), account_index(account));
        let listing = &self.listings[event_index(market.event())];
        if reduces || self.restriction(&self.accounts[index], listing).is_some() {
            self.lingering.push((account, terms.feed));
            let feed = &self.board[terms.feed];
            self.accounts[index].holdings.change(terms.feed, feed, |held| held.asset().note(frame, 0, true));
        }
    }

    /// The margin lets go of an order that was replaced.
    fn release_gone(&mut self, account: AccountId, gone: Option<&Gone>) {
        if let Some(&Gone { standing, fee, .. }) = gone {
            let terms = &self.listings[event_index(standing.market.event())].terms;
            let feed = terms.feed;
            self.accounts[account_index(account)].release(terms, &self.board, standing, fee);
            if feed != FeedId(0) {
                self.tidy(account, feed);
            }
        }
    }

    /// What is left rests, or is dropped and says why.
    fn finish(&mut self, arriving: &mut Arriving<'_>, events: &mut Vec<Event>) {
        let order = &arriving.signed.message;
        let Order { account, nonce, market, side, .. } = *order;
        let (price, remaining) = (arriving.price, arriving.remaining);
        if remaining.0 == 0 || arriving.rest != Rest::AsSigned {
            return self.release_gone(account, arriving.gone);
        }
        let listing = &self.listings[event_index(market.event())];
        let reducible = self.accounts[account_index(account)].reducible(&listing.terms, market, side);
        // What is more than there is to reduce never fills.
        let nothing_to_reduce = (order.reduce_only && reducible == 0).then_some(CancelReason::OnlyReducing);
        let dropped = arriving.stopped.or(nothing_to_reduce).or(match order.kind {
            OrderKind::GoodTillCancelled | OrderKind::PostOnly => None,
            OrderKind::ImmediateOrCancel => Some(CancelReason::Immediate),
            OrderKind::FillOrKill => unreachable!("checked to fill within the limits of matches and open interest"),
        });
        if let Some(reason) = dropped {
            tell(events, || Event::Cancelled { account, nonce, market, side, price, remaining, reason });
            return self.release_gone(account, arriving.gone);
        }
        let shares_event = |gone: &Gone| gone.standing.market.event() == market.event();
        if !arriving.gone.is_none_or(shares_event) {
            self.release_gone(account, arriving.gone.take());
        }
        let listing = &mut self.listings[event_index(market.event())];
        let terms = &listing.terms;
        let book = &mut listing.books[usize::from(market.outcome())];
        let state = &mut self.accounts[account_index(account)];
        let Arriving { signed, less, display, gone, foreseen, credit, line, .. } = *arriving;
        let shown = if display == Lots(0) { remaining } else { display.min(remaining) };
        let resting = ToRest { signed, price, remaining, less, display, shown, credit, line };
        let handle = self.orders.insert(book, state, &resting);
        let builder = builder_reserve(terms, price, order.builder_fee) * i128::from(remaining.0);
        let fee = credit.outstanding(terms.fee_base(price, remaining), terms.maker_fee.fee()) + builder;
        let standing = Standing { market, side, price, lots: remaining };
        match (foreseen, gone) {
            (Some(foreseen), gone) => {
                state.fee_reserve += fee - gone.map_or(0, |gone| gone.fee);
                state.holdings.fulfil(terms.feed, foreseen);
            }
            (None, Some(gone)) => state.swap(terms, &self.board, (gone.standing, gone.fee), (standing, fee)),
            (None, None) => state.reserve(terms, &self.board, standing, fee),
        }
        if order.expiry != TimeMs(0) {
            self.expiries.insert((order.expiry, account, nonce));
        }
        if self.awaits_auction(market) {
            self.note_crossing(market);
        }
        tell(events, || Event::Rested { account, nonce, market, side, price, remaining });
        if order.reduce_only
            && let Some(place) = self.reducing_place(handle)
        {
            self.reducing.insert(place, price, nonce, remaining);
            self.accounts[account_index(account)].reducing += 1;
            self.trim(account, market, events);
        }
    }
}

/// The listing, if its markets take an order like that.
fn open_listing<'a>(order: &Order, listing: Option<&'a Listing>) -> Result<&'a Listing, Reject> {
    let market = order.market;
    let listing = listing.ok_or(Reject::UnknownMarket { market })?;
    let event = market.event();
    if listing.payouts.is_some() {
        return Err(Reject::MarketClosed { market, event });
    }
    if listing.closed && listing.phase != Phase::Delisted {
        return Err(Reject::OutsideHours { market });
    }
    match listing.phase {
        Phase::Open | Phase::ReduceOnly => Ok(listing),
        Phase::Pending => Err(Reject::MarketPending { market }),
        Phase::Auction if may_rest(order.kind) => Ok(listing),
        Phase::Auction => Err(Reject::OnlyWaiting { market }),
        Phase::PostOnly if order.kind == OrderKind::PostOnly => Ok(listing),
        Phase::PostOnly => Err(Reject::OnlyPostOnly { market }),
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
