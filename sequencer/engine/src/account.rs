//! An account: cash, positions, resting orders, spent nonces, and running sums of its margin.
//!
//! With every resting order at its worst case (DESIGN.md, section 5),
//!
//! ```text
//! usd     = cash + Σ events' worst with orders + Σ perpetuals' value − Σ resting buys of assets − Σ fees still to come
//! initial = usd + Σ assets' weighted value − Σ perpetuals' requirement
//! ```
//!
//! and what is available is the lesser of both. It is not negative but by a move of prices or an order that reduces: an order
//! must leave it so, and fills, cancels and resolutions never lower it. The sums are kept incrementally: what is touched is
//! re-derived and nothing else is looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xos_book::{OpenOrders, fetch};
use xos_types::{
    AccountId, Address, Atoms, BuilderId, EventId, Lots, MarketId, MarketKind, Order, Reject, Side, SignerGrant, Ticks,
    TimeMs, VenueId,
};

use crate::feeds::Board;
use crate::gas::{LineState, Word};
use crate::holdings::{Fall, Holdings, Offer};
use crate::margin::Outcome;
use crate::margins::Margins;
use crate::nonces::Nonces;
use crate::perpetual::grows;
use crate::principal::Principal;
use crate::terms::Terms;

/// State of one account. What every order asks for comes first and together, in this order: of many accounts each line of the
/// cache is one that has to be fetched.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Account {
    pub(crate) cash: i128,
    /// Σ worst with orders, less the fees that resting orders may still cost.
    pub(crate) pledged: i128,
    /// Positions in perpetuals, balances of assets, and their orders.
    pub(crate) holdings: Holdings,
    /// Resting orders by nonce.
    pub(crate) orders: OpenOrders,
    pub(crate) owner: Address,
    /// How many of its orders wait outside the books, how many follow or exclude others (counted from both sides), and how many
    /// rest that only reduce. Derived from the orders.
    pub(crate) waiting: u32,
    pub(crate) links: u32,
    pub(crate) reducing: u32,
    /// Whether its fills are looked at one by one; see `watch`.
    pub(crate) watched: bool,
    /// Who is paid a share of its fees; 0 for nobody.
    pub(crate) referrer: BuilderId,
    /// Positions and orders by event; there is no entry where there are neither.
    pub(crate) margins: Margins,
    pub(crate) nonces: Nonces,
    /// Σ worst payoff of the positions; the contract keeps the same number.
    pub(crate) worst_payoff: i128,
    /// What it did in the open frame.
    did: PackedDid,
    /// What was paid in less what was taken out.
    pub(crate) principal: Principal,
    granted: Option<Box<Granted>>,
}

const _: () = assert!(size_of::<Account>() == 272);

/// What an account was granted. Most have nothing of it.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    /// Keys that were ever allowed to act for it, and what they may.
    pub(crate) signers: BTreeMap<Address, SignerGrant>,
    /// Until when it is a member of venues.
    pub(crate) memberships: BTreeMap<VenueId, TimeMs>,
}

static NOTHING_GRANTED: Granted = Granted { signers: BTreeMap::new(), memberships: BTreeMap::new() };

/// What an account did in a frame, which takes half as much memory.
#[derive(Clone, Copy, Debug, Default)]
struct PackedDid(u64);

impl PackedDid {
    fn pack(did: Did) -> Self {
        Self(did.frame << 2 | u64::from(did.grew) << 1 | u64::from(did.spent))
    }

    fn unpack(self) -> Did {
        Did { frame: self.0 >> 2, grew: self.0 & 2 != 0, spent: self.0 & 1 != 0 }
    }
}

/// What an account did in a frame that the contract's margin rules ask about (`Touched.sol`).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Did {
    /// Which frame.
    frame: u64,
    /// A position grew or changed sign, or value left.
    pub(crate) grew: bool,
    /// Money left for something else than a perpetual's loss, funding or a fee.
    pub(crate) spent: bool,
}

/// A resting order's part in its account's margin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) market: MarketId,
    pub(crate) side: Side,
    pub(crate) price: Ticks,
    pub(crate) lots: Lots,
}

/// How far an order has come when it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// It filled before.
    pub(crate) partly_filled: bool,
    /// After this fill nothing more of it can fill.
    pub(crate) completes: bool,
}

impl Standing {
    /// What it offers, in atoms a lot.
    pub(crate) fn offer(self, terms: &Terms) -> Offer {
        Offer::new(self.side, terms.lot_price(self.price), self.lots)
    }
}

impl Account {
    pub(crate) fn new(owner: Address) -> Self {
        Self {
            owner,
            cash: 0,
            nonces: Nonces::default(),
            referrer: BuilderId(0),
            granted: None,
            orders: OpenOrders::default(),
            margins: Margins::default(),
            worst_payoff: 0,
            pledged: 0,
            holdings: Holdings::default(),
            principal: Principal::default(),
            did: PackedDid::default(),
            watched: false,
            waiting: 0,
            links: 0,
            reducing: 0,
        }
    }

    /// Its money and what it holds, without a name and without its orders but for what margin holds for them: to try on it what
    /// would become of it.
    pub(crate) fn sketch(&self) -> Self {
        Self {
            cash: self.cash,
            pledged: self.pledged,
            holdings: self.holdings.clone(),
            margins: self.margins.clone(),
            worst_payoff: self.worst_payoff,
            did: self.did,
            watched: self.watched,
            ..Self::new(self.owner)
        }
    }

    /// Keys and memberships.
    pub(crate) fn granted(&self) -> &Granted {
        self.granted.as_deref().unwrap_or(&NOTHING_GRANTED)
    }

    /// The same, to be changed.
    pub(crate) fn granted_mut(&mut self) -> &mut Granted {
        self.granted.get_or_insert_default()
    }

    /// Fetches what every order asks for.
    #[inline]
    pub(crate) fn fetch(&self) {
        fetch(&self.cash);
        fetch(&self.holdings);
        fetch(&self.orders);
        fetch(&self.owner);
        fetch(&self.margins);
        fetch(&self.nonces);
        fetch(&self.did);
    }

    /// Cash and what counts as such, every resting order at its worst.
    #[inline(always)]
    pub(crate) fn usd_with_orders(&self) -> i128 {
        self.cash + self.pledged + self.holdings.sums.usd
    }

    /// Initial health, every resting order at its worst.
    #[inline(always)]
    pub(crate) fn initial_with_orders(&self) -> i128 {
        self.usd_with_orders() + self.holdings.sums.margin
    }

    /// What may be withdrawn or put at risk.
    #[inline(always)]
    pub(crate) fn available(&self) -> i128 {
        self.usd_with_orders().min(self.initial_with_orders())
    }

    /// What the account did in that frame so far.
    pub(crate) fn did(&self, frame: u64) -> Did {
        let did = self.did.unpack();
        if did.frame == frame { did } else { Did { frame, ..Did::default() } }
    }

    /// What it did in the last frame in which it did anything.
    pub(crate) fn last_did(&self) -> Did {
        self.did.unpack()
    }

    /// What it did, as a snapshot has it.
    pub(crate) fn restore_did(&mut self, did: Did) {
        self.did = PackedDid::pack(did);
    }

    /// Adds to what the account did.
    pub(crate) fn note(&mut self, frame: u64, grew: bool, spent: bool) {
        let did = self.did(frame);
        self.did = PackedDid::pack(Did { frame, grew: did.grew | grew, spent: did.spent | spent });
    }

    /// What resting orders hold back.
    pub(crate) fn reserved(&self) -> i128 {
        self.cash + self.worst_payoff - self.available()
    }

    /// The refusal for something that would lower `available` by `required`, after orders that hold back `freed` are gone.
    pub(crate) fn insufficient(&self, required: i128, freed: i128) -> Reject {
        Reject::InsufficientFunds {
            cash: Atoms(self.cash),
            worst_payoff: Atoms(self.worst_payoff),
            reserved: Atoms(self.reserved() - freed),
            available: Atoms(self.available() + freed),
            required: Atoms(required),
        }
    }

    /// Lots that the account would hold in the direction of `side` if its orders on that side filled. Of an asset there is no
    /// limit to what is held.
    #[inline]
    pub(crate) fn exposure(&self, terms: &Terms, market: MarketId, side: Side) -> i128 {
        let (held, [bids, asks]) = match terms.kind {
            MarketKind::Spot => return 0,
            MarketKind::Outcome => return self.margins.outcome(market).exposure(side),
            MarketKind::Perpetual => self.holdings.position(terms.feed),
        };
        match side {
            Side::Buy => i128::from(bids) + i128::from(held),
            Side::Sell => i128::from(asks) - i128::from(held),
        }
    }

    /// Signed lots held in a market; of a spot market the lots of its asset.
    pub(crate) fn position(&self, terms: &Terms, market: MarketId) -> i64 {
        match terms.kind {
            MarketKind::Outcome => self.margins.outcome(market).position,
            MarketKind::Perpetual => self.holdings.position(terms.feed).0,
            MarketKind::Spot => {
                let lots = self.holdings.asset(terms.feed).map_or(0, |held| held.balance) / u128::from(terms.lot);
                i64::try_from(lots).unwrap_or(i64::MAX)
            }
        }
    }

    /// Lots of the account's resting orders on one side of a market; of an asset, in all its markets.
    pub(crate) fn resting_lots(&self, terms: &Terms, market: MarketId, side: Side) -> u64 {
        match (terms.kind, side) {
            (MarketKind::Outcome, Side::Buy) => self.margins.outcome(market).bid_lots,
            (MarketKind::Outcome, Side::Sell) => self.margins.outcome(market).ask_lots,
            (MarketKind::Perpetual, side) => self.holdings.position(terms.feed).1[side as usize],
            (MarketKind::Spot, Side::Buy) => self.holdings.asset(terms.feed).map_or(0, |held| held.bid_lots),
            (MarketKind::Spot, Side::Sell) => {
                let offered = self.holdings.asset(terms.feed).map_or(0, |held| held.ask_atoms);
                u64::try_from(offered / u128::from(terms.lot)).unwrap_or(u64::MAX)
            }
        }
    }

    /// What the contract holds of this account before a line of `order`.
    pub(crate) fn line_state(
        &self,
        terms: &Terms,
        order: &Order,
        progress: Progress,
        [referrer, builder]: [Option<(AccountId, Word)>; 2],
    ) -> LineState {
        // The contract's word of an outcome's position holds four.
        let word = |market: MarketId| market.outcome() / 4;
        let in_word =
            |(market, outcome): (MarketId, Outcome)| word(market) == word(order.market) && outcome.position != 0;
        let position = match terms.kind {
            MarketKind::Outcome => Word::used_if(self.margins.of_event(order.market.event()).any(in_word)),
            // A position may have gone to zero and come back within the frame, so the dearer.
            MarketKind::Perpetual | MarketKind::Spot => Word::Unused,
        };
        LineState {
            kind: terms.kind,
            holdings: self.holdings.len() as u64,
            outcomes: terms.outcomes,
            partly_filled: progress.partly_filled,
            completes: progress.completes,
            nonce_word: Word::used_if(self.nonces.is_word_settled(order.nonce)),
            position_word: position,
            cash_word: self.cash_word(),
            referrer,
            builder,
        }
    }

    /// Whether the contract's word of the account's money holds anything.
    pub(crate) fn cash_word(&self) -> Word {
        Word::used_if(self.cash != 0 || self.worst_payoff != 0)
    }

    /// By how much health would fall if this order stood and the other, of the same listing, did not; without fees.
    #[inline]
    pub(crate) fn fall(&self, terms: &Terms, board: &Board, order: Standing, gone: Option<Standing>) -> Fall {
        if terms.kind != MarketKind::Outcome {
            let gone = gone.map(|gone| gone.offer(terms));
            return self.holdings.fall(terms.feed, &board[terms.feed], order.offer(terms), gone);
        }
        let risk = self.margins.fall(terms, order, gone);
        Fall { usd: risk, initial: risk }
    }

    /// An order of a listing no longer rests, another of the same listing begins to, or both; each with the most that it may
    /// still be charged.
    #[inline]
    pub(crate) fn requote(
        &mut self,
        terms: &Terms,
        board: &Board,
        gone: Option<(Standing, i128)>,
        comes: Option<(Standing, i128)>,
    ) {
        let fee = |order: Option<(Standing, i128)>| order.map_or(0, |(_, fee)| fee);
        self.pledged -= fee(comes) - fee(gone);
        if terms.kind != MarketKind::Outcome {
            let offer = |order: Option<(Standing, i128)>| order.map(|(standing, _)| standing.offer(terms));
            return self.holdings.requote(terms.feed, &board[terms.feed], offer(gone), offer(comes));
        }
        let (gone, comes) = (gone.map(|(order, _)| order), comes.map(|(order, _)| order));
        let release = |outcome: &mut Outcome, gone: Standing| outcome.release(terms, gone.side, gone.price, gone.lots);
        let reserve =
            |outcome: &mut Outcome, comes: Standing| outcome.reserve(terms, comes.side, comes.price, comes.lots);
        match (gone, comes) {
            (Some(gone), Some(comes)) if gone.market == comes.market => self.change(terms, gone.market, |outcome| {
                release(outcome, gone);
                reserve(outcome, comes);
            }),
            _ => {
                gone.into_iter().for_each(|gone| self.change(terms, gone.market, |outcome| release(outcome, gone)));
                comes.into_iter().for_each(|comes| self.change(terms, comes.market, |outcome| reserve(outcome, comes)));
            }
        }
    }

    /// On one side of a market an order leaves (one of no lots, if there was none) and another comes, unless that side's orders
    /// could then make the position too large, or what is offered is not there; whether they did. If not, nothing has changed.
    #[inline]
    pub(crate) fn shift(
        &mut self,
        terms: &Terms,
        board: &Board,
        market: MarketId,
        side: Side,
        gone: (Ticks, Lots),
        comes: (Ticks, Lots),
    ) -> bool {
        if terms.kind == MarketKind::Perpetual {
            let offer = |(price, lots)| Offer::new(side, terms.lot_price(price), lots);
            return self.holdings.shift(terms.feed, &board[terms.feed], offer(gone), offer(comes), terms.position_max);
        }
        self.shift_others(terms, board, market, side, gone, comes)
    }

    fn shift_others(
        &mut self,
        terms: &Terms,
        board: &Board,
        market: MarketId,
        side: Side,
        gone: (Ticks, Lots),
        comes: (Ticks, Lots),
    ) -> bool {
        let ((gone_price, gone_lots), (price, lots)) = (gone, comes);
        if terms.kind == MarketKind::Spot {
            let offer = |price, lots| Offer::new(side, terms.lot_price(price), lots);
            let (gone, comes) = (offer(gone_price, gone_lots), offer(price, lots));
            return self.holdings.shift_asset(terms.feed, &board[terms.feed], gone, comes);
        }
        let moved = self.margins.change_if(terms, market, |outcome| {
            outcome.release(terms, side, gone_price, gone_lots);
            outcome.reserve(terms, side, price, lots);
            outcome.exposure(side) <= i128::from(terms.position_max)
        });
        let Some(moved) = moved else { return false };
        self.worst_payoff += moved.payoff;
        self.pledged += moved.with_orders;
        true
    }

    /// An order no longer rests, or so many lots of it.
    #[inline]
    pub(crate) fn release(&mut self, terms: &Terms, board: &Board, order: Standing, fee: i128) {
        self.requote(terms, board, Some((order, fee)), None);
    }

    /// Lots of a resting order trade at its own price; `released` is what its reserve for fees falls by.
    ///
    /// `available` does not fall: the worst case had counted this fill, and the reserve falls by the fee at least.
    pub(crate) fn trade_resting(
        &mut self,
        terms: &Terms,
        board: &Board,
        frame: u64,
        order: Standing,
        fee: i128,
        released: i128,
    ) {
        let before = self.available();
        self.note_trade(terms, frame, order);
        self.pledged += released;
        self.cash += cash_of(terms, order.side, order.price, order.lots) - fee;
        if terms.kind == MarketKind::Outcome {
            self.change(terms, order.market, |outcome| {
                outcome.release(terms, order.side, order.price, order.lots);
                outcome.trade(order.side, order.lots);
            });
        } else {
            let (feed, traded) = (&board[terms.feed], (order.side, order.lots));
            self.cash += self.holdings.trade(terms.feed, feed, frame, traded, Some(order.offer(terms)));
        }
        assert!(self.available() >= before, "a resting order's fill never costs more than was reserved for it");
    }

    /// Lots of an arriving order trade; margin was checked for the whole of it at its limit.
    pub(crate) fn trade_arriving(&mut self, terms: &Terms, board: &Board, frame: u64, trade: Standing, fee: i128) {
        self.note_trade(terms, frame, trade);
        self.cash += cash_of(terms, trade.side, trade.price, trade.lots) - fee;
        if terms.kind == MarketKind::Outcome {
            self.change(terms, trade.market, |outcome| outcome.trade(trade.side, trade.lots));
        } else {
            let (feed, traded) = (&board[terms.feed], (trade.side, trade.lots));
            self.cash += self.holdings.trade(terms.feed, feed, frame, traded, None);
        }
    }

    /// What a trade is to the contract's margin rules.
    pub(crate) fn trade_does(&self, terms: &Terms, trade: Standing) -> (bool, bool) {
        match (terms.kind, trade.side) {
            (MarketKind::Spot, side) => (side == Side::Buy, side == Side::Buy),
            (kind, side) => {
                let before = self.position(terms, trade.market);
                let lots = i64::try_from(trade.lots.0).expect("an order is at most SIZE_MAX lots");
                let after = if side == Side::Buy { before + lots } else { before - lots };
                (grows(before, after), kind == MarketKind::Outcome)
            }
        }
    }

    fn note_trade(&mut self, terms: &Terms, frame: u64, trade: Standing) {
        let (grew, spent) = self.trade_does(terms, trade);
        self.note(frame, grew, spent);
    }

    /// Pays out and clears the positions in a resolved event. Returns what the account gets, and what a closed one would get
    /// above what counted for it: that belongs to the insurance fund, which paid its debt.
    pub(crate) fn redeem(&mut self, terms: &Terms, event: EventId, payouts: &[u64]) -> (i128, i128) {
        let (worst, payoff) = (self.margins.worst(terms, event), self.margins.payoff(terms, event, payouts));
        self.margins.remove(event);
        assert!(payoff >= worst.payoff, "no resolution pays less than the worst payoff");
        assert!(worst.payoff == worst.with_orders, "orders were cancelled when the event was resolved");
        self.worst_payoff -= worst.payoff;
        self.pledged -= worst.with_orders;
        let surplus = if self.nonces.is_closed() { payoff - worst.payoff } else { 0 };
        self.cash += payoff - surplus;
        (payoff - surplus, surplus)
    }

    /// Changes what is held or ordered in an outcome market and carries what that moves into the sums.
    #[inline]
    pub(crate) fn change(&mut self, terms: &Terms, market: MarketId, change: impl FnOnce(&mut Outcome)) {
        let moved = self.margins.change(terms, market, change);
        self.worst_payoff += moved.payoff;
        self.pledged += moved.with_orders;
    }
}

/// Cash that a trade brings: positive for a sale.
pub(crate) fn cash_of(terms: &Terms, side: Side, price: Ticks, lots: Lots) -> i128 {
    match side {
        Side::Buy => -terms.value(price, lots),
        Side::Sell => terms.value(price, lots),
    }
}
