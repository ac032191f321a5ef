//! What an order must satisfy before it goes to a book, whether it has just arrived or waited.

use xos_book::Handle;
use xos_types::{
    AccountId, BuilderId, Crossing, Instructions, Lots, MarketKind, Order, OrderKind, Phase, Ppm, Reject, SelfTrade,
    Side, Signed, Ticks,
};

use crate::account::{Account, Standing};
use crate::engine::{Engine, Listing, event_index};
use crate::fees::{FeeCredit, builder_reserve};
use crate::gas;
use crate::holdings::{Fall, atoms};
use crate::limits::{BUILDER_FEE_MAX, MATCHES_MAX, ORDERS_MAX, SIZE_MAX};
use crate::terms::Terms;
use crate::watch::spends;

/// Where an order that is checked comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    New,
    /// It waited: its nonce is spent, and it counts among its account's orders already.
    Waiting,
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
    pub(crate) price: Ticks,
    pub(crate) carried: Carried,
}

/// A resting order that another one replaces. Until that one rests, or does not, the margin of their account still holds it.
#[derive(Clone, Copy)]
pub(crate) struct Gone {
    pub(crate) handle: Handle,
    pub(crate) standing: Standing,
    pub(crate) fee: i128,
}

impl Engine {
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
        let may_sign = |listing: &Listing| {
            self.accounts.parent(order.account).may_sign(signed.signer, listing, order, self.frame.time)
        };
        if signed.signer != account.owner && !listing.is_some_and(may_sign) {
            return Err(account.not_authorized(order.account, signed.signer));
        }
        let listing = open_listing(order, listing)?;
        self.check_settled(order.account)?;
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
    /// judged as if the order `gone` were.
    pub(crate) fn check_order(
        &self,
        signed: &Signed<Order>,
        instructions: Instructions,
        gone: Option<&Gone>,
        origin: Origin,
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
        self.check_reducing(listing, order, freed)?;
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
        let carried = self.check_margin(listing, order, standing, fee, gone)?;
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
    ) -> Result<Carried, Reject> {
        let (account, terms) = (&self.accounts[order.account], &listing.terms);
        // What goes counts together with what comes where they share a listing, and else by itself.
        let here = gone.map(|gone| gone.standing).filter(|gone| gone.market.event() == order.market.event());
        let fall = account.fall(terms, &self.board, standing, here);
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
        if terms.kind == MarketKind::Outcome || account.holdings.contains(terms.feed) || account.holdings.len() < limit
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
        let usd = account.usd_with_orders() - freed.usd;
        let left = usd.min(account.initial_with_orders() - freed.initial) + gone.map_or(0, |gone| gone.fee);
        account.insufficient(required, left - account.available())
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
        let taker = &self.accounts[order.account];
        let reducible = Lots(taker.reducible(&listing.terms, order.market, order.side));
        if order.reduce_only && reducible < order.size {
            return Err(Reject::NotFillable { size: order.size, fillable: reducible });
        }
        let sells_freely = |account: AccountId| {
            let held = self.accounts[account].holdings.asset(listing.terms.feed);
            self.restriction(account, listing).is_none() && held.is_none_or(|held| held.sells_freely(self.frame.id()))
        };
        let is_spot = kind == MarketKind::Spot;
        if is_spot && order.side == Side::Sell && (order.reduce_only || !sells_freely(order.account)) {
            let sellable = self.sellable(order.account, order.market, order.reduce_only);
            if sellable < order.size {
                return Err(Reject::NotFillable { size: order.size, fillable: sellable });
            }
        }
        let (mut fillable, mut makers) = (0u64, 0u64);
        let left = self.matches_end().saturating_sub(self.frame.gas());
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
            let maker = &self.accounts[self.orders.account(handle)];
            makers += dearest(maker, self.orders.pays_builder(handle));
            if limit_reached
                || beyond_hidden
                || fillable >= order.size.0
                || !gas::certain(dearest(taker, order.builder != 0), makers, left)
            {
                break;
            }
            hidden_at = hidden_at.or((self.orders.remaining(handle) > self.orders.shown(handle)).then_some(price));
            // Those of makers that are watched or only reduce may not happen, nor those that another's fill excludes.
            let excluded = || {
                let name = (self.orders.account(handle), self.orders.nonce(handle));
                maker.links > 0 && self.plans.pair(name).is_some()
            };
            let certain = !maker.watched
                && !self.orders.reduces(handle)
                && !excluded()
                && (!is_spot || order.side == Side::Sell || sells_freely(self.orders.account(handle)));
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

pub(crate) fn may_rest(kind: OrderKind) -> bool {
    match kind {
        OrderKind::GoodTillCancelled | OrderKind::PostOnly => true,
        OrderKind::ImmediateOrCancel | OrderKind::FillOrKill => false,
    }
}
