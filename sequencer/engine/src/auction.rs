//! Call auctions: in a market that is in its auction phase nobody is first. Orders wait, so that bids may stand above asks,
//! and whenever a frame opens those who can agree trade at one price.
//!
//! The price is the one at which
//!
//! 1. most lots trade,
//! 2. then fewest are left over on the longer side,
//! 3. then nearest to the last price of the market, or to the middle of the best bid and ask if there is none yet;
//! 4. then the lower one.
//!
//! Source: the rules that Euronext and Xetra publish for their call phases (maximum executable volume, minimum surplus,
//! reference price). Best prices trade first, and the oldest order first at each. Nobody takes liquidity, so both sides pay
//! what an order pays that makes, and nobody is paid a rebate: nobody would pay for it.
//!
//! What an iceberg hides does not count towards the price; at that price it trades like the rest, part by part, behind what
//! others show.
//!
//! An auction comes after the frame's prices and everything that they do, so nobody trades who can no longer afford it. What
//! is more than a frame has gas for waits for the next one, at the price that is right then. A book that is still crossed when
//! its market opens is cleared in the same way: whoever arrives in between trades with what it crosses, like anywhere.

use xos_book::{Book, Handle};
use xos_types::{
    AccountId, Atoms, AuctionFill, AuctionParty, BuilderId, CancelReason, Event, FeedId, Lots, MarketId, MarketKind,
    Order, Phase, Side, Ticks,
};

use crate::account::{Progress, Standing};
use crate::engine::{Engine, event_index, tell};
use crate::fees::builder_reserve;
use crate::frame::Trade;
use crate::gas;
use crate::orders::{Hot, Orders};
use crate::wide::{MILLION, ceil};

/// Where an auction trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clearing {
    price: Ticks,
    /// Lots that bids would buy there, and asks would sell.
    demand: u128,
    supply: u128,
}

/// A price and the lots that stand at it.
type Level = (Ticks, u128);

impl Clearing {
    /// The best price for these levels of a crossed book, each side from its best.
    fn of(bids: &[Level], asks: &[Level], last: Option<Ticks>) -> Self {
        let (highest, lowest) = (bids[0].0, asks[0].0);
        let reference = last.unwrap_or(Ticks(lowest.0.midpoint(highest.0))).clamp(lowest, highest);
        // Demand and supply change from one of these to the next only, so the best price is one of them.
        let ends = |of: &[Level], beside: fn(u64) -> u64| -> Vec<u64> {
            of.iter().flat_map(|(price, _)| [price.0, beside(price.0)]).collect()
        };
        let mut prices = ends(bids, |price| price + 1);
        prices.extend(ends(asks, |price| price - 1));
        prices.push(reference.0);
        prices.retain(|price| (lowest.0..=highest.0).contains(price));
        prices.sort_unstable();
        prices.dedup();

        let mut demand: u128 = bids.iter().map(|(_, lots)| lots).sum();
        let mut supply = 0;
        let (mut bids, mut asks) = (bids.iter().rev().peekable(), asks.iter().peekable());
        let clearings = prices.into_iter().map(|price| {
            while let Some((_, lots)) = bids.next_if(|(bid, _)| bid.0 < price) {
                demand -= lots;
            }
            while let Some((_, lots)) = asks.next_if(|(ask, _)| ask.0 <= price) {
                supply += lots;
            }
            Self { price: Ticks(price), demand, supply }
        });
        clearings
            .min_by_key(|clearing| {
                let volume = clearing.demand.min(clearing.supply);
                let surplus = clearing.demand.abs_diff(clearing.supply);
                (core::cmp::Reverse(volume), surplus, clearing.price.0.abs_diff(reference.0), clearing.price)
            })
            .expect("the best bid is among the prices")
    }
}

/// Whether bids stand at or above asks.
pub(crate) fn is_crossed(book: &Book) -> bool {
    book.best(Side::Buy).zip(book.best(Side::Sell)).is_some_and(|(bid, ask)| bid >= ask)
}

impl Engine {
    /// Clears every crossed book whose market may trade, market by market.
    pub(crate) fn hold_auctions(&mut self, events: &mut Vec<Event>) {
        let gas_max = (self.frame.gas() + gas::AUCTION_GAS_PER_FRAME).min(gas::TARGET_MAX);
        let mut crossed = std::mem::take(&mut self.crossed);
        crossed.retain(|market| {
            let listing = &self.listings[event_index(market.event())];
            let trades = match listing.phase {
                Phase::Auction | Phase::Open | Phase::ReduceOnly => !listing.closed,
                Phase::Pending | Phase::PostOnly | Phase::Halted | Phase::Delisted => false,
            };
            if trades {
                self.hold_auction(*market, gas_max, events);
            }
            is_crossed(self.book_of(*market))
        });
        self.crossed = crossed;
    }

    fn hold_auction(&mut self, market: MarketId, gas_max: u64, events: &mut Vec<Event>) {
        if !self.has_gas_for_auction(market, gas_max) {
            return;
        }
        let listing = &self.listings[event_index(market.event())];
        let book = &listing.books[usize::from(market.outcome())];
        let last = Some(listing.last_trades[usize::from(market.outcome())]).filter(|last| *last != Ticks(0));
        let (bids, asks) = (crossing(book, &self.orders, Side::Buy), crossing(book, &self.orders, Side::Sell));
        let Clearing { price, demand, supply } = Clearing::of(&bids, &asks, last);
        events.push(Event::AuctionHeld { market, price, demand, supply });
        while self.has_gas_for_auction(market, gas_max)
            && let Some(bid) = self.book_of(market).first_crossing(&self.orders.resting, Side::Sell, price)
            && let Some(ask) = self.book_of(market).first_crossing(&self.orders.resting, Side::Buy, price)
        {
            self.meet_in_auction(bid, ask, price, events);
        }
    }

    /// Whether the frame has gas for the lines of the best bid and ask, if they cross.
    fn has_gas_for_auction(&self, market: MarketId, gas_max: u64) -> bool {
        let terms = &self.listings[event_index(market.event())].terms;
        let dearest = |side| {
            let handle = self.book_of(market).queue(&self.orders.resting, side).next()?;
            let account = &self.accounts[self.orders.account(handle)];
            let pays_builder = self.orders.pays_builder(handle);
            Some(gas::dearest_line(terms.kind, terms.outcomes, account.holdings.len(), pays_builder))
        };
        let lines = dearest(Side::Buy).zip(dearest(Side::Sell)).map(|(bid, ask)| bid + ask);
        is_crossed(self.book_of(market)) && lines.is_some_and(|lines| self.frame.gas() + lines <= gas_max)
    }

    /// Trades between the best bid and the best ask, or takes away the one that must not trade.
    fn meet_in_auction(&mut self, bid: Handle, ask: Handle, price: Ticks, events: &mut Vec<Event>) {
        let (buyer, seller) = (self.orders.account(bid), self.orders.account(ask));
        assert_ne!(buyer, seller, "an account's orders never cross each other");
        let market = self.orders.market(bid);
        let terms = self.listings[event_index(market.event())].terms;
        let mut size = self.orders.shown(bid).min(self.orders.shown(ask));
        for (handle, side) in [(bid, Side::Buy), (ask, Side::Sell)] {
            let account = &self.accounts[self.orders.account(handle)];
            if self.orders.reduces(handle) {
                size = size.min(Lots(account.reducible(&terms, market, side)));
            }
            if terms.kind == MarketKind::Spot && side == Side::Sell {
                size = size.min(self.sellable(self.orders.account(handle), market, self.orders.reduces(handle)));
            }
            if size.0 == 0 {
                return self.cancel(handle, CancelReason::OnlyReducing, events);
            }
        }
        let opened = self.open_interest_change(seller, &self.orders.order(bid), size);
        if self.exceeds_open_interest(market, 0, opened) {
            // Somebody's long position would be opened, and this is the order that would open it.
            return self.cancel(bid, CancelReason::OpenInterestCap, events);
        }
        for (handle, side) in [(bid, Side::Buy), (ask, Side::Sell)] {
            let account = self.orders.account(handle);
            if self.accounts[account].watched {
                let trade = Standing { market, side, price, lots: size };
                let fee = ceil(terms.fee_base(price, size) * i128::from(terms.maker_fee.fee().0), MILLION);
                let builder = builder_reserve(&terms, price, self.orders.order(handle).builder_fee);
                if !self.may_trade(account, &terms, trade, fee + builder * i128::from(size.0)) {
                    return self.cancel(handle, CancelReason::Margin, events);
                }
            }
        }

        self.open_lines(market);
        let (buyer, bid_refilled) = self.fill_in_auction(bid, price, size);
        let (seller, ask_refilled) = self.fill_in_auction(ask, price, size);
        let listing = &mut self.listings[event_index(market.event())];
        listing.volume += u128::from(size.0);
        listing.fees += buyer.fee.0 + seller.fee.0;
        listing.note_trade(market, price, opened);
        if terms.feed != FeedId(0) {
            self.board[terms.feed].note_trade(&terms, price);
            self.tidy(buyer.account, terms.feed);
            self.tidy(seller.account, terms.feed);
        }
        tell(events, || Event::AuctionFilled(AuctionFill { market, price, size, buyer, seller }));
        for (party, side, refilled) in [(buyer, Side::Buy, bid_refilled), (seller, Side::Sell, ask_refilled)] {
            let AuctionParty { account, nonce, limit: price, .. } = party;
            if let Some(shown) = refilled {
                events.push(Event::Refilled { account, nonce, market, side, price, shown });
            }
        }
        for AuctionParty { account, nonce, remaining, .. } in [buyer, seller] {
            if self.is_followed_up(account) {
                self.follow_fill((account, nonce), market, size, events);
                if remaining == Lots(0) {
                    self.follow_end((account, nonce), events);
                }
            }
        }
    }

    /// One side of a trade at a price that is its order's or better; and what an iceberg shows then, if it shows its next part.
    fn fill_in_auction(&mut self, handle: Handle, price: Ticks, size: Lots) -> (AuctionParty, Option<Lots>) {
        let (account, nonce) = (self.orders.account(handle), self.orders.nonce(handle));
        let standing = self.orders.standing(handle);
        let Standing { market, side, price: limit, lots } = standing;
        let terms = self.listings[event_index(market.event())].terms;
        let remaining = Lots(lots.0 - size.0);
        let reserved = self.orders.reserved(handle, standing, &terms);
        let signed = self.orders.signed(handle, &self.accounts);
        let Hot { mut credit, mut line, .. } = *self.orders.hot_mut(handle);
        let fee = credit.charge(terms.fee_base(price, size), self.maker_rate(&terms, account));

        let cash_word = |payee: AccountId| (payee, self.accounts[payee].cash_word());
        let builder = self.builders.get(&BuilderId(signed.message.builder)).copied();
        let payees = [self.referrer_of(account).map(cash_word), builder.map(cash_word)];
        let is_whole = self.orders.altered(handle).is_none_or(|altered| altered.less == Lots(0));
        let progress = Progress { partly_filled: line.has_filled(), completes: remaining.0 == 0 && is_whole };
        let state = &self.accounts[account];
        let trade = Trade { price, size, fee };
        let netted = self.frame.fill(&self.orders.trees, (account, nonce, market), &mut line, trade, || {
            (signed, state.line_state(&terms, &signed.message, progress, payees))
        });
        let builder_fee = netted.builder_fee(&terms, trade);

        let hot = self.orders.hot_mut(handle);
        (hot.credit, hot.line) = (credit, line);
        let mut refilled = None;
        if remaining.0 == 0 {
            self.remove_resting(handle);
        } else {
            let listing = &mut self.listings[event_index(market.event())];
            refilled = self.orders.fill(&mut listing.books[usize::from(market.outcome())], handle, size);
            if let Some(place) = self.reducing_place(handle) {
                self.reducing.reduce(place, size);
            }
        }
        let left = Standing { lots: remaining, ..standing };
        let still_reserved = if remaining.0 == 0 { 0 } else { self.orders.reserved(handle, left, &terms) };
        let frame = self.frame.id();
        self.note_lingering(account, &terms, market, side, signed.message.reduce_only);
        let state = &mut self.accounts[account];
        let before = state.available();
        state.release(
            &terms,
            &self.board,
            Standing { market, side, price: limit, lots: size },
            reserved - still_reserved,
        );
        let trade = Standing { market, side, price, lots: size };
        state.trade_arriving(&terms, &self.board, frame, trade, fee + builder_fee);
        assert!(
            state.watched || state.available() >= before,
            "a price as good as the order's costs no more than it reserved"
        );
        state.nonces.settle(nonce);
        (AuctionParty { account, nonce, fee: Atoms(fee), limit, remaining }, refilled)
    }

    /// Whether a market waits for auctions, which take no order that cannot wait.
    pub(crate) fn awaits_auction(&self, market: MarketId) -> bool {
        self.listings[event_index(market.event())].phase == Phase::Auction
    }

    /// Remembers a book that an order which rests there may have crossed.
    pub(crate) fn note_crossing(&mut self, market: MarketId) {
        if is_crossed(self.book_of(market)) {
            self.crossed.insert(market);
        }
    }

    /// Own orders that one would meet in an auction, by nonce.
    pub(crate) fn own_crossing(&self, order: &Order, price: Ticks) -> Vec<Handle> {
        let account = &self.accounts[order.account];
        let terms = &self.listings[event_index(order.market.event())].terms;
        if account.resting_lots(terms, order.market, order.side.opposite()) == 0 {
            return Vec::new();
        }
        let crosses = |handle: &Handle| {
            let standing = self.orders.standing(*handle);
            let (bid, ask) = match order.side {
                Side::Buy => (price, standing.price),
                Side::Sell => (standing.price, price),
            };
            standing.market == order.market && standing.side != order.side && bid >= ask
        };
        let mut own: Vec<Handle> = account.orders.iter().filter(crosses).collect();
        own.sort_unstable_by_key(|handle| self.orders.nonce(*handle));
        own
    }

    fn book_of(&self, market: MarketId) -> &Book {
        &self.listings[event_index(market.event())].books[usize::from(market.outcome())]
    }
}

/// The levels of a side that the other one crosses, best first.
fn crossing(book: &Book, orders: &Orders, side: Side) -> Vec<Level> {
    let against = book.best(side.opposite()).expect("the book is crossed");
    let crosses = |price: Ticks| if side == Side::Buy { price >= against } else { price <= against };
    let levels = book.levels(&orders.resting, side).take_while(|(price, _)| crosses(*price));
    levels.map(|(price, level)| (price, level.lots())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every price between the best bid and ask, judged by the rules one after the other.
    fn textbook(bids: &[Level], asks: &[Level], last: Option<Ticks>) -> Clearing {
        let (lowest, highest) = (asks[0].0.0, bids[0].0.0);
        let reference = last.map_or((lowest + highest) / 2, |last| last.0.clamp(lowest, highest));
        let mut best: Option<(Clearing, u128, u128, u64)> = None;
        for price in lowest..=highest {
            let demand: u128 = bids.iter().filter(|(bid, _)| bid.0 >= price).map(|(_, lots)| lots).sum();
            let supply: u128 = asks.iter().filter(|(ask, _)| ask.0 <= price).map(|(_, lots)| lots).sum();
            let (volume, surplus) = (demand.min(supply), demand.abs_diff(supply));
            let distance = price.abs_diff(reference);
            let better = best.is_none_or(|(_, most, least, nearest)| {
                volume > most
                    || volume == most && surplus < least
                    || volume == most && surplus == least && distance < nearest
            });
            if better {
                best = Some((Clearing { price: Ticks(price), demand, supply }, volume, surplus, distance));
            }
        }
        best.unwrap().0
    }

    fn levels(prices: std::ops::Range<u64>, descending: bool) -> impl Strategy<Value = Vec<Level>> {
        proptest::collection::btree_map(prices, 1u128..9, 1..8).prop_map(move |levels| {
            let mut levels: Vec<Level> = levels.into_iter().map(|(price, lots)| (Ticks(price), lots)).collect();
            if descending {
                levels.reverse();
            }
            levels
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_price_is_the_textbooks(
            bids in levels(20..60, true), asks in levels(1..40, false), last in proptest::option::of(1u64..60),
        ) {
            let (best_bid, best_ask) = (bids[0].0, asks[0].0);
            prop_assume!(best_bid >= best_ask);
            let bids: Vec<Level> = bids.into_iter().filter(|(price, _)| *price >= best_ask).collect();
            let asks: Vec<Level> = asks.into_iter().filter(|(price, _)| *price <= best_bid).collect();
            let last = last.map(Ticks);
            prop_assert_eq!(Clearing::of(&bids, &asks, last), textbook(&bids, &asks, last));
        }
    }

    #[test]
    fn where_every_price_is_as_good_the_last_one_decides() {
        let (bids, asks) = ([(Ticks(60), 10)], [(Ticks(40), 10)]);
        let price = |last| Clearing::of(&bids, &asks, last).price;
        assert_eq!(price(Some(Ticks(47))), Ticks(47));
        assert_eq!(price(Some(Ticks(90))), Ticks(60));
        assert_eq!(price(Some(Ticks(1))), Ticks(40));
        assert_eq!(price(None), Ticks(50));
    }

    #[test]
    fn the_longer_side_pulls_the_price_its_way() {
        // 10 trade anywhere from 50 to 60, and 5 bids are left over until 56.
        let clearing = Clearing::of(&[(Ticks(60), 10), (Ticks(55), 5)], &[(Ticks(50), 10)], Some(Ticks(50)));
        assert_eq!(clearing, Clearing { price: Ticks(56), demand: 10, supply: 10 });
    }
}
