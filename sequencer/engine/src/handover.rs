//! Positions that change hands outside the books, as `Rescues.sol` moves them: by a liquidation, a takeover or a deleveraging,
//! when a frame opens and nothing in it has traded yet.
//!
//! The books go on as if nothing had happened, so what rests there may fit no more: an order that could carry a position beyond
//! its cap, or that only reduces what is there no longer. [`Engine::fit_orders`] takes such orders away.

use xos_book::Handle;
use xos_types::{AccountId, CancelReason, Event, EventId, FeedId, Lots, MarketId, Phase, Side};

use crate::engine::{Engine, event_index};
use crate::perpetual::grows;

/// What changes hands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    /// The listing of the perpetual.
    pub(crate) listing: EventId,
    /// Signed lots that the account gains.
    pub(crate) lots: i64,
    /// Cash that it gains, funding apart.
    pub(crate) cash: i128,
}

impl Engine {
    /// Closes lots of a position that somebody else decided to close. The contract takes what the account is then for what it
    /// was before, so it is not judged for it.
    pub(crate) fn close(&mut self, account: AccountId, handover: Handover) {
        self.hand_over(account, handover, 0);
        self.rescues.reduce_forced(account, MarketId::new(handover.listing, 0), handover.lots.unsigned_abs());
    }

    /// The other side of a close, for one who chose it and is judged like any trader.
    pub(crate) fn take(&mut self, account: AccountId, handover: Handover) {
        let quantum = self.listings[event_index(handover.listing)].terms.quantum;
        // For the entry price: what was paid or received, in tick·lots.
        let notional = handover.cash.unsigned_abs() / quantum.unsigned_abs();
        let (before, after) = self.hand_over(account, handover, notional);
        let frame = self.frame.id();
        self.accounts[account].note(frame, grows(before, after), false);
        self.rescues.busy.insert(account);
    }

    /// The position before and after.
    fn hand_over(&mut self, account: AccountId, handover: Handover, notional: u128) -> (i64, i64) {
        let Handover { listing, lots, cash } = handover;
        let market = MarketId::new(listing, 0);
        let id = self.listings[event_index(listing)].terms.feed;
        self.open_place(account, id);
        let (state, feed) = (&mut self.accounts[account], &self.board[id]);
        let (before, after, funding) = state.holdings.change(id, feed, |held| {
            let held = held.perpetual();
            let before = held.size;
            let funding = held.hand_over(feed, lots, notional);
            (before, held.size, funding)
        });
        state.cash += cash + funding;
        let listed = &mut self.listings[event_index(listing)];
        let open = i128::from(listed.open_interest[0]) + i128::from(after.max(0)) - i128::from(before.max(0));
        listed.open_interest[0] = u64::try_from(open).expect("lots that change hands open no more than there are");
        if listed.phase == Phase::Delisted {
            // It will be paid at the market's last price, if there is any of it.
            self.redemptions.remove(&(listing, account));
            if after != 0 {
                self.redemptions.insert((listing, account));
            }
        }
        self.rescues.end_forced(account, market, before, after);
        self.rescues.moved.insert((listing, account));
        self.suspects.insert(account);
        self.tidy(account, id);
        (before, after)
    }

    /// Takes orders away that the positions that changed hands leave no room for, the newest first.
    pub(crate) fn fit_orders(&mut self, events: &mut Vec<Event>) {
        let moved = std::mem::take(&mut self.rescues.moved);
        for &(listing, account) in &moved {
            let terms = self.listings[event_index(listing)].terms;
            let market = MarketId::new(listing, 0);
            if self.accounts[account].reducing > 0 {
                self.trim(account, market, events);
            }
            for side in [Side::Buy, Side::Sell] {
                for handle in self.newest_orders(account, |market_, side_| (market_, side_) == (market, side)) {
                    let state = &self.accounts[account];
                    if state.exposure(&terms, market, side) <= i128::from(terms.position_max) {
                        break;
                    }
                    self.cancel(handle, CancelReason::Margin, events);
                }
            }
        }
        let mut listings: Vec<EventId> = moved.into_iter().map(|(listing, _)| listing).collect();
        listings.dedup();
        for listing in listings {
            self.keep_reducing(listing, events);
        }
    }

    /// Takes away what an account offers of an asset beyond what will be left of it, the newest offers first.
    pub(crate) fn fit_offers(&mut self, account: AccountId, asset: FeedId, left: u128, events: &mut Vec<Event>) {
        let listings = &self.listings;
        let offers = |market: MarketId, side: Side| {
            side == Side::Sell && listings[event_index(market.event())].terms.feed == asset
        };
        for handle in self.newest_orders(account, offers) {
            let offered = self.accounts[account].holdings.asset(asset).map_or(0, |held| held.ask_atoms);
            if offered <= left {
                break;
            }
            self.cancel(handle, CancelReason::Margin, events);
        }
    }

    /// An account's orders in markets and on sides that are wanted, by descending nonce.
    fn newest_orders(&self, account: AccountId, wanted: impl Fn(MarketId, Side) -> bool) -> Vec<Handle> {
        let orders = self.accounts[account].orders.by_nonce(&self.orders.resting);
        let wanted = |handle: &Handle| wanted(self.orders.market(*handle), self.orders.side(*handle));
        orders.into_iter().rev().map(|(_, handle)| handle).filter(wanted).collect()
    }

    /// Whether an account has room for a position, however healthy it is with it (`_roomRefusal`). `holdings` is how many it
    /// has.
    pub(crate) fn has_room(&self, holdings: usize, before: i64, gained: i64) -> bool {
        let Some(after) = before.checked_add(gained) else { return false };
        let more = usize::from(before == 0);
        holdings + more <= self.holdings_max() || !grows(before, after)
    }

    /// Signed lots that an account holds of a perpetual.
    pub(crate) fn size_of(&self, account: AccountId, feed: FeedId) -> i64 {
        self.accounts[account].holdings.perpetual(feed).map_or(0, |held| held.size)
    }
}

/// So many lots in the direction of a position.
pub(crate) fn toward(held: i64, lots: u64) -> i64 {
    let lots = i64::try_from(lots).expect("no more than the position");
    if held < 0 { -lots } else { lots }
}

/// The unsigned size of a position.
pub(crate) fn lots_of(size: i64) -> Lots {
    Lots(size.unsigned_abs())
}
