//! Closes that owners force, in the books (DESIGN.md, section 9; `contracts/group/ForcedCloses.sol`).
//!
//! When a frame has its prices and its rescues are done, and before anything else trades in it, each such close meets what rests
//! at index price less the market's penalty or better, the fee included. It is offered once. What the book does not take goes to
//! the insurance fund or the opposite side at that price when the next frame opens (`exits`), because a batch settles rescues
//! before fills.
//!
//! ```text
//! a sale:      price · quantum − fee ≥ index − penalty          a purchase:      price · quantum + fee ≤ index + penalty
//! ```
//!
//! Nobody signs it: the inbox item is its authority, up to the lots that were forced. Its lines go by [`Nonce::FORCED`]. A market
//! in which nobody can take now (its hours, its phase, a call auction and its one price) leaves all of it to the fund. It waits
//! while its market has no price it can rely on, and while its account fails and is the keepers'.

use xos_types::{
    AccountId, CancelReason, Event, Instructions, Lots, MarketId, Nonce, Order, OrderKind, Phase, Ppm, Side, Signature,
    Signed, Ticks, TimeMs,
};

use crate::check::{Carried, Checked};
use crate::engine::{Engine, Listing, event_index};
use crate::feeds::Feed;
use crate::gas;
use crate::limits::SIZE_MAX;
use crate::place::Arriving;
use crate::terms::Terms;
use crate::wide::{MILLION, PRICE_SCALE, ceil, floor};

impl Engine {
    /// Offers what owners have forced, by account and market, until that has brought the frame as much as it may; the rest is
    /// offered when the next frames open.
    pub(crate) fn offer_forced_closes(&mut self, events: &mut Vec<Event>) {
        let gas_before = self.frame.gas();
        for (account, market, lots) in self.rescues.to_offer() {
            let spent = self.frame.gas() - gas_before;
            if spent >= gas::FORCED_CLOSES_PER_FRAME || self.frame.gas() >= gas::TARGET_MAX {
                return;
            }
            if self.may_offer(account, market) && self.offer_forced_close(account, market, lots, events) {
                self.rescues.note_offered(account, market);
            }
        }
    }

    /// Whether it is time for the book. Whoever was met by another forced close before, in this very frame, waits for the next:
    /// the contract may have seen its position end.
    fn may_offer(&self, account: AccountId, market: MarketId) -> bool {
        let listing = &self.listings[event_index(market.event())];
        listing.phase != Phase::Delisted
            && !self.board[listing.terms.feed].stale
            && self.accounts[account].health(&self.board).maintenance() >= 0
            && !self.frame.has_traded(account, market)
    }

    /// Meets what it may; whether the book takes no more of it.
    fn offer_forced_close(
        &mut self,
        account: AccountId,
        market: MarketId,
        lots: Lots,
        events: &mut Vec<Event>,
    ) -> bool {
        let listing = &self.listings[event_index(market.event())];
        let (feed, terms) = (listing.terms.feed, listing.terms);
        let held = self.size_of(account, feed);
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let price = limit(&terms, &self.board[feed], side).filter(|_| is_taken_in(listing));
        let Some(price) = price.filter(|price| listing.books[0].best_crossing(side, *price).is_some()) else {
            return true;
        };
        let size = lots.min(Lots(held.unsigned_abs())).min(Lots(SIZE_MAX));
        let message = Order {
            account,
            market,
            side,
            kind: OrderKind::ImmediateOrCancel,
            reduce_only: true,
            size,
            price,
            nonce: Nonce::FORCED,
            expiry: TimeMs(0),
            max_fee: terms.highest_fee(),
            builder: 0,
            builder_fee: Ppm(0),
        };
        let signed = Signed { message, signature: Signature::default(), signer: self.accounts[account].owner };
        // Its owner did not ask whether its other orders go with it, so each fill is judged as the contract will.
        self.watch(account);
        let checked = Checked { price, carried: Carried::Watched };
        let mut arriving = Arriving::new(&signed, Instructions::default(), checked, size);
        self.match_order(&mut arriving, events);
        let (left, stopped) = (arriving.remaining, arriving.stopped);
        self.rescues.reduce_forced(account, market, size.0 - left.0);
        self.tidy(account, feed);
        stopped != Some(CancelReason::MatchLimit)
    }
}

/// Whether whoever arrives may trade there now.
fn is_taken_in(listing: &Listing) -> bool {
    !listing.closed && matches!(listing.phase, Phase::Open | Phase::ReduceOnly)
}

/// The worst price at which a lot brings no less, or costs no more, than the contract asks of it. The fee of many lots, rounded
/// up once, is no more than that of each of them rounded up, so what is good for one is good for all.
fn limit(terms: &Terms, feed: &Feed, side: Side) -> Option<Ticks> {
    let (penalty, rate) = (i128::from(feed.penalty().0), i128::from(terms.taker_fee.0));
    let highest = i128::from(terms.ticks - 1);
    let price = match side {
        Side::Sell => {
            let net = ceil(feed.price * (MILLION - penalty), MILLION * PRICE_SCALE);
            let kept = MILLION - rate;
            if kept <= 0 {
                return None;
            }
            ceil(net * MILLION, kept * terms.quantum).max(1)
        }
        Side::Buy => {
            let most = floor(feed.price * (MILLION + penalty), MILLION * PRICE_SCALE);
            floor(most * MILLION, (MILLION + rate) * terms.quantum).min(highest)
        }
    };
    (1..=highest).contains(&price).then(|| Ticks(u64::try_from(price).expect("it is within the market's prices")))
}
