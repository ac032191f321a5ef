//! An arriving order: checked (`check`), matched (`matching`), then rested or dropped.

use xos_types::{
    AccountId, CancelReason, Event, FeedId, Instructions, Lots, MarketId, MarketKind, Nonce, Order, OrderKind, Reject,
    Signed, Ticks, TimeMs,
};

use crate::account::Standing;
use crate::check::{Carried, Checked, Gone, Origin};
use crate::engine::{Engine, event_index, tell};
use crate::fees::{FeeCredit, builder_reserve};
use crate::follow::Live;
use crate::frame::LineRef;
use crate::orders::ToRest;
use crate::plans::Waiting;

/// The part of an arriving order that is still to be matched.
pub(crate) struct Arriving<'a> {
    pub(crate) signed: &'a Signed<Order>,
    pub(crate) instructions: Instructions,
    /// The worst at which it trades, and where it rests.
    pub(crate) price: Ticks,
    pub(crate) remaining: Lots,
    /// Lots that were taken off it and did not fill.
    pub(crate) less: Lots,
    /// What of it the book shows at a time; 0 for all.
    pub(crate) display: Lots,
    pub(crate) rest: Rest,
    pub(crate) gone: Option<&'a Gone>,
    pub(crate) credit: FeeCredit,
    pub(crate) line: LineRef,
    /// Why matching ended though it might have gone on.
    pub(crate) stopped: Option<CancelReason>,
}

/// What becomes of the part that does not fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// What the order's kind says.
    AsSigned,
    /// It is a slice: it waits for the next one, with so many lots that did not come.
    Waits(Lots),
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
    pub(crate) fn unfilled(&self) -> u64 {
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

impl Engine {
    pub(crate) fn place(&mut self, signed: &Signed<Order>, instructions: Instructions, events: &mut Vec<Event>) {
        if self.rest_quietly(None, signed, events) {
            return;
        }
        let Order { account, nonce, .. } = signed.message;
        match self.check_order(signed, instructions, None, Origin::New) {
            Ok(checked) => self.accept(signed, instructions, checked, None, events),
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
        if self.rest_quietly(Some(old), signed, events) {
            return;
        }
        let Order { account, nonce, .. } = signed.message;
        let handle = match self.check_live(account, old, signed.signer) {
            Ok(Live::Resting(handle)) => handle,
            Ok(Live::Waiting) => {
                if let Err(reject) = self.take_the_place_of(old, signed, instructions, None, events) {
                    events.push(Event::Rejected { account, nonce, reject });
                }
                return;
            }
            Err(reject) => return events.push(Event::Rejected { account, nonce, reject }),
        };
        let standing = self.orders.standing(handle);
        if !self.may_replace(standing.market, signed.message.market) {
            let reject = Reject::OtherMarket { nonce: old, market: standing.market, wanted: signed.message.market };
            return events.push(Event::Rejected { account, nonce, reject });
        }
        let terms = &self.listings[event_index(standing.market.event())].terms;
        let fee = self.orders.reserved(handle, standing, terms);
        let gone = Gone { handle, standing, fee };
        match self.check_order(signed, instructions, Some(&gone), Origin::New) {
            Ok(checked) => {
                self.remove_resting(handle);
                if self.accounts[account].links > 0 {
                    // What follows or excludes an order that moves goes with it.
                    self.plans.rename(account, old, nonce);
                }
                let Standing { market, side, price, lots: remaining } = standing;
                let reason = CancelReason::Replaced;
                tell(events, || Event::Cancelled { account, nonce: old, market, side, price, remaining, reason });
                self.accept(signed, instructions, checked, Some(&gone), events);
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
        events: &mut Vec<Event>,
    ) {
        let order = &signed.message;
        self.accounts[order.account].nonces.spend(order.nonce);
        tell(events, || Event::Accepted { order: signed.message });
        let arriving = Arriving { gone, ..Arriving::new(signed, instructions, checked, order.size) };
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
        let account = &self.accounts[order.account];
        let sound = account.watched || account.available() >= 0;
        assert!(sound, "margin was checked for the whole order at its limit and the higher fee");
        if account.links > 0 && self.live((order.account, order.nonce)).is_none() {
            self.follow_end((order.account, order.nonce), events);
        }
        Left { remaining, less, credit }
    }

    /// The margin lets go of an order that was replaced.
    fn release_gone(&mut self, account: AccountId, gone: Option<&Gone>) {
        if let Some(&Gone { standing, fee, .. }) = gone {
            let terms = &self.listings[event_index(standing.market.event())].terms;
            let feed = terms.feed;
            self.accounts[account].release(terms, &self.board, standing, fee);
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
        let reducible = || self.accounts[account].reducible(&listing.terms, market, side);
        // What is more than there is to reduce never fills.
        let nothing_to_reduce = (order.reduce_only && reducible() == 0).then_some(CancelReason::OnlyReducing);
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
        let state = &mut self.accounts[account];
        let Arriving { signed, less, display, gone, credit, line, .. } = *arriving;
        let shown = if display == Lots(0) { remaining } else { display.min(remaining) };
        let resting = ToRest { signed, price, remaining, less, display, shown, credit, line };
        let handle = self.orders.insert(book, state, &resting);
        let builder = builder_reserve(terms, price, order.builder_fee) * i128::from(remaining.0);
        let fee = credit.outstanding(terms.fee_base(price, remaining), terms.maker_fee.fee()) + builder;
        let standing = Standing { market, side, price, lots: remaining };
        state.requote(terms, &self.board, gone.map(|gone| (gone.standing, gone.fee)), Some((standing, fee)));
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
            self.accounts[account].reducing += 1;
            self.trim(account, market, events);
        }
    }
}
