//! The ordinary order: it meets nobody, comes to rest, and nothing hangs on it.
//!
//! Nine in ten orders of the usual mix are of this sort, most of them in the place of an order that rests on the same side of
//! the same book. There is one way for everything ([`Engine::place`] and [`Engine::replace`]): checks, then matching, then
//! rest, each ready for whatever else an order, a market or an account may be. Here is the short one. Its questions are chosen
//! so that each is cheap and all together leave one outcome; whatever they do not settle, refusals included, goes the
//! other way from its beginning, as if nobody had asked. So this decides how fast an order rests and never what happens to it.
//!
//! The margin is the one thing that is not asked first: the account takes the order up, which values what moves, and lets it go
//! again if it cannot carry it. Valuing twice, once to ask and once to do, would cost as much as all the rest.

use xos_book::Limit;
use xos_types::{
    AccountId, CancelReason, Event, Lots, MarketKind, Nonce, Order, OrderKind, Phase, Ppm, Signed, Ticks, TimeMs,
};

use crate::account::{Account, Standing};
use crate::engine::{Engine, Listing, tell};
use crate::fees::FeeCredit;
use crate::limits::{ORDERS_MAX, SIZE_MAX};

impl Engine {
    /// Lets an order rest that meets nobody, in the place of another one of its account or beside them; whether it did. If not,
    /// nothing has changed.
    #[inline]
    pub(crate) fn rest_quietly(&mut self, old: Option<Nonce>, signed: &Signed<Order>, events: &mut Vec<Event>) -> bool {
        let order = &signed.message;
        let Order { account: id, nonce, market, side, price, size, .. } = *order;
        let Some(account) = self.accounts.numbered_mut(id) else { return false };
        let Some(listing) = self.listings.get_mut((market.event().0 as usize).wrapping_sub(1)) else { return false };
        let Some(book) = listing.books.get(usize::from(market.outcome())) else { return false };
        if !(is_plain(order)
            && signed.signer == account.owner
            && account.is_plain()
            && id != AccountId::INSURANCE
            && listing.is_plain())
        {
            return false;
        }
        let terms = &listing.terms;
        if terms.kind != MarketKind::Outcome && self.board[terms.feed].stale {
            return false;
        }
        let rate = terms.highest_fee();
        let is_formed = price >= Ticks(1)
            && price.0 < terms.ticks
            && size.0 >= 1
            && size.0 <= SIZE_MAX
            && order.max_fee >= rate
            && account.orders.len() + (account.waiting as usize) < ORDERS_MAX
            && !account.nonces.is_spent(nonce);
        if !is_formed || book.best_crossing(side, price).is_some() {
            return false;
        }
        let (mut gone, mut gone_price, mut gone_lots, mut gone_fee) = (None, Ticks(1), Lots(0), 0);
        if let Some(old) = old {
            let Some(found) = account.orders.place(&self.orders.resting, old) else { return false };
            let handle = found.1;
            let (gone_market, limit) = self.orders.resting.limit(handle);
            if gone_market != market || limit.side != side || !self.orders.is_plain(handle) {
                return false;
            }
            (gone, gone_price, gone_lots) = (Some(found), limit.price, limit.lots);
            gone_fee = terms.outstanding(self.orders.credit(handle), gone_price, gone_lots, terms.maker_fee.fee());
        }

        // It was to be carried at the higher fee, and rests at the maker's.
        let fee = terms.outstanding(FeeCredit::default(), price, size, terms.maker_fee.fee());
        let above = terms.outstanding(FeeCredit::default(), price, size, rate) - fee;
        if !account.shift(terms, &self.board, market, side, (gone_price, gone_lots), (price, size)) {
            return false;
        }
        account.pledged -= fee - gone_fee;
        if account.available() < above {
            let order = |price, lots, fee| Some((Standing { market, side, price, lots }, fee));
            account.requote(terms, &self.board, order(price, size, fee), order(gone_price, gone_lots, gone_fee));
            return false;
        }

        account.nonces.spend(nonce);
        let book = &mut listing.books[usize::from(market.outcome())];
        let limit = Limit { side, price, lots: size };
        match (gone, old) {
            (Some(found), Some(nonce)) => {
                self.orders.replace(book, account, found, signed, limit);
                let (price, remaining, reason) = (gone_price, gone_lots, CancelReason::Replaced);
                tell(events, || Event::Cancelled { account: id, nonce, market, side, price, remaining, reason });
            }
            _ => self.orders.insert_plain(book, account, signed, limit),
        }
        tell(events, || Event::Accepted { order: signed.message });
        tell(events, || Event::Rested { account: id, nonce, market, side, price, remaining: size });
        true
    }
}

/// Nothing but a price and a size, until it is cancelled.
fn is_plain(order: &Order) -> bool {
    let may_rest = matches!(order.kind, OrderKind::GoodTillCancelled | OrderKind::PostOnly);
    may_rest && !order.reduce_only && order.expiry == TimeMs(0) && order.builder == 0 && order.builder_fee == Ppm(0)
}

impl Account {
    /// No fill of it needs a closer look, and none of its orders hangs on another.
    fn is_plain(&self) -> bool {
        !self.watched && self.links == 0
    }
}

impl Listing {
    /// Anybody may trade there now.
    fn is_plain(&self) -> bool {
        self.payouts.is_none()
            && !self.closed
            && self.phase == Phase::Open
            && !self.terms.restricted
            && !self.terms.isolated_only
    }
}
