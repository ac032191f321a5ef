//! The state machine: takes a command apart, keeps the log's hash, and owns every part of the state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xos_book::{Book, Handle};
use xos_types::{
    AccountId, Address, Atoms, BuilderId, Cancel, CancelAll, CancelReason, Command, Event, EventConfig, EventId,
    FeedId, GroupConfig, GroupTerms, Hash, Hours, InboxItem, InboxPayload, Logged, MarketId, MarketKind, Nonce,
    PerpetualConfig, Phase, PriceUpdate, Redemption, Reject, Side, Signed, SpotConfig, Ticks, TimeMs, VenueConfig,
    VenueId,
};

use crate::account::{Account, Standing};
use crate::accounts::Accounts;
use crate::cancels::Switches;
use crate::feeds::{Board, Feed};
use crate::follow::Live;
use crate::frame::OpenFrame;
use crate::gas;
use crate::log::{HashBlocks, Log};
use crate::losses::{Pool, tell_cut};
use crate::orders::Orders;
use crate::owners::Owners;
use crate::perpetual::Perpetual;
use crate::plans::Plans;
use crate::reducing::Reducing;
use crate::replan::Wait;
use crate::rescue::Rescues;
use crate::rights::Rights;
use crate::terms::Terms;
use crate::tiers::Tiers;
use crate::watch::{Before, Moved, Suspects};
use crate::wide::{PRICE_SCALE, floor};

/// One risk group: its accounts, books and open frame, and the log position that they stand for.
///
/// ```
/// use xos_engine::Engine;
/// use xos_types::{Address, Command, GroupConfig, GroupTerms, Logged, TimeMs};
///
/// let config = GroupConfig { chain_id: 1952, group: Address::ZERO, token: Address::ZERO, governance: Address::ZERO, terms: GroupTerms::usual(Address::ZERO) };
/// let mut engine = Engine::new(config);
/// let mut events = Vec::new();
/// let first = Logged::new(Command::Frame { time: TimeMs(1_000), inbox: vec![], prices: vec![] });
/// engine.apply(&first, &mut events);
/// assert_eq!((engine.sequence(), engine.frame_time()), (1, TimeMs(1_000)));
/// assert!(events.is_empty(), "the frame before held nothing");
/// ```
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: GroupConfig,
    pub(crate) log: Log,
    pub(crate) accounts: Accounts,
    /// Derived from `accounts`.
    pub(crate) owners: Owners,
    /// Events, spot and perpetual markets by number, from 1.
    pub(crate) listings: Vec<Listing>,
    /// Index prices, and what is held at them.
    pub(crate) board: Board,
    /// Accounts whose fills are looked at one by one.
    pub(crate) watched: BTreeMap<AccountId, Before>,
    /// Accounts that may come to be watched with the frame's prices; empty once they are known.
    pub(crate) suspects: Suspects,
    /// Assets of accounts of which a line that must reduce has filled in the open frame.
    pub(crate) lingering: Vec<(AccountId, FeedId)>,
    /// Feeds whose holders must be valued anew with the frame's prices; empty once they are known.
    pub(crate) moved: BTreeSet<FeedId>,
    /// Where each venue's fees go.
    pub(crate) venues: BTreeMap<VenueId, VenueConfig>,
    /// Of venues that have any.
    pub(crate) tiers: BTreeMap<VenueId, Tiers>,
    /// Where the fees of builders and referrers go.
    pub(crate) builders: BTreeMap<BuilderId, AccountId>,
    /// The group's terms now.
    pub(crate) group_terms: GroupTerms,
    /// Ends of keys that may trade and of memberships, soonest first. Derived from `accounts`.
    pub(crate) rights: Rights,
    pub(crate) orders: Orders,
    /// Resting and waiting orders that expire, soonest first.
    pub(crate) expiries: BTreeSet<(TimeMs, AccountId, Nonce)>,
    pub(crate) switches: Switches,
    /// Listings whose hours were ever set. Derived from the listings.
    pub(crate) timed: BTreeSet<EventId>,
    /// Markets in which bids may stand at or above asks, and every one in which they do. Derived from the books.
    pub(crate) crossed: BTreeSet<MarketId>,
    /// Orders that wait outside the books.
    pub(crate) plans: Plans,
    pub(crate) reducing: Reducing,
    /// Accounts with positions in resolved events and delisted perpetuals that wait to be paid.
    pub(crate) redemptions: BTreeSet<(EventId, AccountId)>,
    pub(crate) frame: OpenFrame,
    pub(crate) next_inbox: u64,
    /// Deposits less withdrawals of the settlement token, and what accounts own on paper beyond that.
    pub(crate) pool: Pool,
    /// Accounts that fail, and who rescues them.
    pub(crate) rescues: Rescues,
    /// While a tree is being placed: see [`Engine::matches_end`].
    pub(crate) tree_matches_end: Option<u64>,
}

/// An event with its books, or a market with its one.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) config: ListingConfig,
    pub(crate) terms: Terms,
    /// One for each outcome.
    pub(crate) books: Vec<Book>,
    /// Ticks per lot and outcome, once decided.
    pub(crate) payouts: Option<Vec<u64>>,
    /// Whether its markets trade, before they are decided.
    pub(crate) phase: Phase,
    /// The last trade of each market; 0 before the first.
    pub(crate) last_trades: Vec<Ticks>,
    /// Lots open in each market: the sum of long positions. Derived from `accounts`.
    pub(crate) open_interest: Vec<u64>,
    /// Fees charged so far, less rebates.
    pub(crate) fees: i128,
    /// Lots traded so far.
    pub(crate) volume: u128,
    pub(crate) hours: Hours,
    /// The frame's time is outside of its hours.
    pub(crate) closed: bool,
}

/// What is listed, as it was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ListingConfig {
    Event(EventConfig),
    Spot(SpotConfig),
    Perpetual(PerpetualConfig),
}

impl Listing {
    /// What was just listed under that number. Panics on terms that the contract refuses to list.
    pub(crate) fn new(number: EventId, terms: Terms, config: ListingConfig) -> Self {
        Self {
            books: (0..terms.outcomes).map(|k| Book::new(MarketId::new(number, k))).collect(),
            last_trades: vec![Ticks(0); usize::from(terms.outcomes)],
            open_interest: vec![0; usize::from(terms.outcomes)],
            config,
            terms,
            payouts: None,
            phase: Phase::Open,
            fees: 0,
            volume: 0,
            hours: Hours::default(),
            closed: false,
        }
    }

    /// A trade happened at that price, and `opened` lots more are open since.
    pub(crate) fn note_trade(&mut self, market: MarketId, price: Ticks, opened: i128) {
        let open = &mut self.open_interest[usize::from(market.outcome())];
        *open = u64::try_from(i128::from(*open) + opened).expect("checked against a limit of 64 bits");
        self.last_trades[usize::from(market.outcome())] = price;
    }

    /// Lots open in one of its markets.
    pub(crate) fn open_interest(&self, market: MarketId) -> u64 {
        self.open_interest[usize::from(market.outcome())]
    }
}

impl Engine {
    /// An empty group before its first command: the insurance fund and the protocol's treasury exist.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        let encoded = postcard::to_allocvec(&config).expect("plain data always encodes");
        let founders = [AccountId::INSURANCE, AccountId::PROTOCOL];
        let (mut accounts, mut owners) = (Accounts::default(), Owners::default());
        for founder in founders {
            owners.insert(config.governance, founder);
            accounts.open(founder, Account::new(config.governance));
        }
        Self {
            config,
            log: Log::new(&encoded),
            accounts,
            owners,
            listings: Vec::new(),
            board: Board::default(),
            watched: BTreeMap::new(),
            suspects: Suspects::new(),
            lingering: Vec::new(),
            moved: BTreeSet::new(),
            venues: BTreeMap::new(),
            tiers: BTreeMap::new(),
            builders: BTreeMap::new(),
            group_terms: config.terms,
            rights: Rights::default(),
            orders: Orders::default(),
            expiries: BTreeSet::new(),
            switches: Switches::default(),
            timed: BTreeSet::new(),
            crossed: BTreeSet::new(),
            plans: Plans::default(),
            reducing: Reducing::default(),
            redemptions: BTreeSet::new(),
            frame: OpenFrame::new(1, TimeMs(0)),
            next_inbox: 0,
            pool: Pool { tokens: 0, bad_debt: 0 },
            rescues: Rescues::default(),
            tree_matches_end: None,
        }
    }

    /// Applies one command and appends what came of it. A trader's command is applied or rejected, never a panic.
    ///
    /// # Panics
    /// If a [`Command::Frame`] breaks what contract and node guarantee: an inbox item out of order, or terms that the
    /// contract refuses.
    pub fn apply(&mut self, logged: &Logged, events: &mut Vec<Event>) {
        if let Command::Frame { .. } = logged.command() {
            self.seal(events);
        }
        self.log.extend(logged.bytes());
        match logged.command() {
            Command::Place { order, instructions } => self.place(order, *instructions, events),
            Command::Replace { nonce, order, instructions } => self.replace(*nonce, order, *instructions, events),
            Command::Plan { order, instructions, plan } => self.plan(order, *instructions, *plan, events),
            Command::Replan { nonce, order, instructions, trigger, pace } => {
                self.replan(*nonce, order, *instructions, Wait { trigger: *trigger, pace: *pace }, events);
            }
            Command::PlaceTree { tree, replaces, instructions } => {
                self.place_tree(tree, replaces, *instructions, events);
            }
            Command::Cancel(Signed { message: Cancel { account, nonce }, signer, .. }) => {
                self.cancel_one(*account, *nonce, *signer, events);
            }
            Command::Amend(signed) => self.amend(signed, events),
            Command::CancelAll(Signed { message: CancelAll { account, below }, signer, .. }) => {
                self.cancel_all(*account, *below, *signer, events);
            }
            Command::CancelMany(signed) => self.cancel_many(signed, events),
            Command::CancelAfter(signed) => self.set_switch(signed, events),
            Command::InSession { login, act } => self.act(login, *act, events),
            Command::Withdraw(signed) => self.withdraw(signed, events),
            Command::Transfer(signed) => self.transfer(signed, events),
            Command::Window { .. } => {}
            Command::Liquidate(signed) => self.queue_liquidation(signed, events),
            Command::Convert(signed) => self.queue_conversion(signed, events),
            Command::Frame { time, inbox, prices } => self.open(*time, inbox, prices, events),
        }
    }

    /// Commands applied so far; the last one's number.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.log.sequence()
    }

    /// Rolling hash of the log up to here; costs the hashing of up to 16 KiB.
    ///
    /// `h₀ = blake3(postcard(config))` and `hₙ₊₁ = blake3(hₙ ‖ blockₙ)`, where a block is the bytes of consecutive commands
    /// ([`Logged::bytes`]); it ends with the command that brings it to 16,384 bytes or more, and before every
    /// [`Command::Frame`]. The log's hash is `blake3(hₙ ‖ bytes of the block so far)`, or `hₙ` if there are none.
    #[must_use]
    pub fn log_hash(&self) -> Hash {
        self.log.hash()
    }

    /// Lets the log's blocks be hashed by somebody else from now on. Every hash stays what it is.
    pub fn hash_elsewhere(&mut self, elsewhere: Box<dyn HashBlocks>) {
        self.log.hash_elsewhere(elsewhere);
    }

    fn seal(&mut self, events: &mut Vec<Event>) {
        let (sequence, log_hash) = (self.log.sequence(), self.log.end_block());
        let fees = self.frame_fees();
        let (pool, paid) = self.settled_pool(fees.repaid);
        self.settle_entries();
        self.count_volume();
        for (account, asset) in std::mem::take(&mut self.lingering) {
            let holdings = &mut self.accounts[account].holdings;
            if holdings.contains(asset) {
                holdings.amend(asset, |held| held.asset().forget());
            }
            self.tidy(account, asset);
        }
        if let Some(frame) = self.frame.seal(sequence, log_hash) {
            events.push(Event::FrameSealed(Box::new(frame)));
            self.pay_fees(fees, events);
            self.pool = pool;
            for (account, claim, paid) in paid {
                tell_cut(account, claim, paid, events);
            }
        }
    }

    /// Entry prices as the contract reckons them, line by line; and the places of positions that the frame closed.
    fn settle_entries(&mut self) {
        // Lines and places are parts of the same state.
        let open = std::mem::replace(&mut self.frame, OpenFrame::new(0, TimeMs(0)));
        for (market, lines) in open.markets() {
            let terms = self.listings[event_index(market.event())].terms;
            if terms.kind != MarketKind::Perpetual {
                continue;
            }
            for line in lines {
                let order = &line.order.message;
                let holdings = &mut self.accounts[order.account].holdings;
                // A place is kept until the frame is sealed.
                let (before, after) = holdings.settle(terms.feed, order.side, line.filled, line.notional);
                self.rescues.end_forced(order.account, *market, before, after);
            }
            for line in lines {
                let account = line.order.message.account;
                // The first of its lines may have been all that it had a place for.
                if self.accounts[account].holdings.settled(terms.feed) == Some(0) {
                    self.tidy(account, terms.feed);
                }
            }
        }
        self.frame = open;
    }

    /// The start of a frame, in the order of the batch's steps: what the chain said, prices and funding, withdrawals and
    /// liquidations that are forced, redemptions, rescues, then fills: forced closes, auctions, and what has waited for prices or
    /// time. Each sees the state that the contract will see.
    fn open(&mut self, time: TimeMs, inbox: &[InboxItem], prices: &[PriceUpdate], events: &mut Vec<Event>) {
        let before = self.frame.time;
        self.frame.time = before.max(time);
        self.turn_periods(before);
        self.expire(events);
        self.fire_switches(events);
        self.lapse(events);
        for item in inbox {
            self.consume(item, events);
        }
        self.keep_hours(events);
        let turned_stale = self.take_prices(prices, events);
        let funded = self.fund(events);
        let moved = std::mem::take(&mut self.moved).into_iter().map(|feed| (feed, Moved::Price));
        self.revalue(&moved.chain(funded.into_iter().map(|feed| (feed, Moved::Funding))).collect());
        // What orders lose against the index is known at its new price before any of them leaves.
        for feed in turned_stale {
            self.keep_reducing_at(feed, events);
        }
        for item in inbox {
            match &item.payload {
                InboxPayload::ForcedWithdrawal { account, token, amount } => {
                    self.force_withdrawal(*account, *token, *amount, events);
                }
                InboxPayload::ForcedLiquidation(request) => self.force_liquidation(request, events),
                _ => {}
            }
        }
        self.redeem_queue(events);
        let failing = self.rescue(events);
        self.review(&failing, events);
        self.offer_forced_closes(events);
        self.hold_auctions(events);
        self.open_plans(events);
    }

    /// Takes the frame's prices, in ascending order of feeds; those that the contract would refuse are left out.
    /// Returns the feeds that no new risk may rely on any more.
    fn take_prices(&mut self, prices: &[PriceUpdate], events: &mut Vec<Event>) -> Vec<FeedId> {
        let time = self.frame.time;
        let mut previous = FeedId(0);
        for update in prices {
            let id = update.feed;
            let known = id > previous && self.board.find(id).is_some();
            if !known || !self.board[id].accept(update, time) {
                events.push(Event::PriceLeftOut { feed: id });
                continue;
            }
            previous = id;
            self.moved.insert(id);
            self.frame.price(update.clone());
            let Feed { price, time, breached, .. } = self.board[id];
            events.push(Event::Priced { feed: id, price: price.unsigned_abs(), published_at: time, breached });
        }
        let mut turned_stale = Vec::new();
        for id in self.board.ids() {
            let stale = self.board[id].is_stale_at(time);
            if std::mem::replace(&mut self.board[id].stale, stale) != stale {
                self.moved.insert(id);
                if stale {
                    turned_stale.push(id);
                }
            }
        }
        turned_stale
    }

    /// Moves the funding index of every perpetual by the premium of its mark price. Returns those of which nothing else moved.
    fn fund(&mut self, events: &mut Vec<Event>) -> Vec<FeedId> {
        let mut funded = Vec::new();
        let time = self.frame.time;
        for event in (1u32..).map(EventId).take(self.listings.len()) {
            let listing = &self.listings[event_index(event)];
            let terms = listing.terms;
            if terms.kind != MarketKind::Perpetual {
                continue;
            }
            let mark = self.mark(listing);
            if let Some(update) = self.board[terms.feed].fund(terms.feed, mark, time) {
                if !self.moved.contains(&update.feed) {
                    funded.push(update.feed);
                }
                self.frame.fund(update);
                events.push(Event::Funded { feed: update.feed, index: update.index });
            }
        }
        funded
    }

    /// The mark price of a market that has an index: atoms per lot, times 1e9.
    pub(crate) fn mark(&self, listing: &Listing) -> i128 {
        let scaled = |price: Ticks| i128::from(price.0) * listing.terms.quantum * PRICE_SCALE;
        let book = &listing.books[0];
        let best = book.best(Side::Buy).zip(book.best(Side::Sell)).map(|(bid, ask)| (scaled(bid), scaled(ask)));
        self.board[listing.terms.feed].mark(best)
    }

    /// The contract settles a fill only if the frame's time is at most the order's expiry.
    fn expire(&mut self, events: &mut Vec<Event>) {
        while let Some(&(expiry, account, nonce)) = self.expiries.first() {
            if expiry >= self.frame.time {
                break;
            }
            self.cancel_live((account, nonce), CancelReason::Expired, events);
        }
    }

    fn redeem_queue(&mut self, events: &mut Vec<Event>) {
        let mut spent = 0;
        while let Some(&(event, account)) = self.redemptions.first() {
            let listing = &self.listings[event_index(event)];
            let terms = listing.terms;
            let holdings = self.accounts[account].holdings.len();
            let cost = gas::redemption(terms.kind, terms.outcomes) + gas::holdings(holdings);
            spent += cost;
            if spent > gas::REDEMPTION_GAS_PER_FRAME {
                break;
            }
            self.redemptions.pop_first();
            let market = MarketId::new(event, 0);
            self.frame.redeem(Redemption { account, market }, cost);
            if terms.kind == MarketKind::Perpetual {
                let amount = self.close_delisted(account, event);
                self.rescues.close_delisted(account, market);
                events.push(Event::Closed { account, market, amount: Atoms(amount) });
                continue;
            }
            let payouts = listing.payouts.as_ref().expect("only resolved events are queued");
            let (amount, surplus) = self.accounts[account].redeem(&terms, event, payouts);
            events.push(Event::Redeemed { account, event, amount: Atoms(amount) });
            self.insure(surplus, events);
        }
    }

    /// Pays a position in a delisted perpetual at the last price that its feed had (`Redemptions.sol`); returns what that
    /// brought, without funding.
    fn close_delisted(&mut self, account: AccountId, event: EventId) -> i128 {
        let terms = self.listings[event_index(event)].terms;
        let feed = &self.board[terms.feed];
        let state = &mut self.accounts[account];
        let (value, funding, long) = state.holdings.change(terms.feed, feed, |held| {
            let held = held.perpetual();
            let size = i128::from(held.size);
            let worth = (floor(size * feed.price, PRICE_SCALE), held.funding(feed), size.max(0));
            *held = Perpetual::default();
            worth
        });
        state.cash += value + funding;
        let open = &mut self.listings[event_index(event)].open_interest[0];
        *open -= u64::try_from(long).expect("a position is within 64 bits");
        self.tidy(account, terms.feed);
        value
    }

    /// The order, resting or waiting, if `signer` may cancel it: the owner, or a key that may trade on its venue.
    pub(crate) fn check_live(&self, account: AccountId, nonce: Nonce, signer: Address) -> Result<Live, Reject> {
        let state = self.find_account(account).ok_or(Reject::UnknownAccount { account })?;
        let live = self.live((account, nonce));
        if signer != state.owner {
            let market = live.map(|live| match live {
                Live::Resting(handle) => self.orders.market(handle),
                Live::Waiting => self.plans.get((account, nonce)).expect("it waits").market(),
            });
            let venue = market.and_then(|market| self.find_listing(market.event()));
            let venue = venue.map_or(VenueId(0), |listing| listing.terms.venue);
            if !self.accounts.parent(account).may_trade(signer, venue, 0, self.frame.time) {
                return Err(state.not_authorized(account, signer));
            }
        }
        live.ok_or(Reject::UnknownOrder { account, nonce })
    }

    pub(crate) fn cancel_one(&mut self, account: AccountId, nonce: Nonce, signer: Address, events: &mut Vec<Event>) {
        match self.check_live(account, nonce, signer) {
            Ok(Live::Resting(handle)) => self.cancel(handle, CancelReason::Requested, events),
            Ok(Live::Waiting) => self.cancel_waiting((account, nonce), CancelReason::Requested, events),
            Err(reject) => events.push(Event::Rejected { account, nonce, reject }),
        }
    }

    pub(crate) fn cancel_all(&mut self, account: AccountId, below: Nonce, signer: Address, events: &mut Vec<Event>) {
        // It touches every venue, so a key for some of them will not do.
        match self.check_canceller(account, signer, VenueId(0)) {
            Ok(()) => self.raise_floor(account, below, events),
            Err(reject) => events.push(Event::Rejected { account, nonce: below, reject }),
        }
    }

    /// Spends every nonce below `floor` and cancels the orders that have them.
    pub(crate) fn raise_floor(&mut self, account: AccountId, floor: Nonce, events: &mut Vec<Event>) {
        let state = &mut self.accounts[account];
        state.nonces.raise_floor(floor);
        let handles = state.orders.by_nonce(&self.orders.resting);
        let raised = state.nonces.floor();
        for (_, handle) in handles.into_iter().take_while(|(nonce, _)| *nonce < floor) {
            self.cancel(handle, CancelReason::BelowFloor, events);
        }
        self.cancel_waiting_of(account, CancelReason::BelowFloor, |_, waiting| waiting.name().1 < floor, events);
        if self.accounts[account].links > 0 {
            // Some were to follow orders that now never come.
            for followed in self.plans.followed_below(account, floor) {
                self.follow_end((account, followed), events);
            }
        }
        events.push(Event::FloorRaised { account, floor: raised });
    }

    #[inline]
    pub(crate) fn check_expiry(&self, expiry: TimeMs) -> Result<(), Reject> {
        let time = self.frame.time;
        if expiry != TimeMs(0) && expiry < time { Err(Reject::Expired { expiry, time }) } else { Ok(()) }
    }

    /// Takes an order out of its book and frees what it reserved.
    pub(crate) fn cancel(&mut self, handle: Handle, reason: CancelReason, events: &mut Vec<Event>) {
        let (account, nonce) = (self.orders.account(handle), self.orders.nonce(handle));
        let standing = self.orders.standing(handle);
        let terms = &self.listings[event_index(standing.market.event())].terms;
        let fee = self.orders.reserved(handle, standing, terms);
        self.remove_resting(handle);
        let terms = &self.listings[event_index(standing.market.event())].terms;
        let (kind, feed) = (terms.kind, terms.feed);
        self.accounts[account].release(terms, &self.board, standing, fee);
        if kind != MarketKind::Outcome {
            self.tidy(account, feed);
        }
        let Standing { market, side, price, lots: remaining } = standing;
        tell(events, || Event::Cancelled { account, nonce, market, side, price, remaining, reason });
        self.follow_end((account, nonce), events);
    }

    /// Forgets a resting order everywhere but in its account's margin.
    pub(crate) fn remove_resting(&mut self, handle: Handle) {
        let (market, account) = (self.orders.market(handle), self.orders.account(handle));
        let expiry = self.orders.expiry(handle);
        if expiry != TimeMs(0) {
            self.expiries.remove(&(expiry, account, self.orders.nonce(handle)));
        }
        if self.orders.reduces(handle)
            && let Some(place) = self.reducing_place(handle)
        {
            let (price, nonce) = (self.orders.price(handle), self.orders.nonce(handle));
            self.reducing.remove(place, price, nonce, self.orders.remaining(handle));
            self.accounts[account].reducing -= 1;
        }
        let book = &mut self.listings[event_index(market.event())].books[usize::from(market.outcome())];
        self.orders.remove(book, &mut self.accounts[account], handle);
    }

    #[inline]
    pub(crate) fn resting(&self, account: AccountId, nonce: Nonce) -> Option<Handle> {
        self.find_account(account)?.orders.find(&self.orders.resting, nonce)
    }

    #[inline]
    pub(crate) fn find_account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.get(account)
    }

    #[inline]
    pub(crate) fn find_listing(&self, event: EventId) -> Option<&Listing> {
        self.listings.get(usize::try_from(event.0.checked_sub(1)?).ok()?)
    }

    /// The listing of a market that exists.
    #[inline]
    pub(crate) fn find_market(&self, market: MarketId) -> Option<&Listing> {
        self.find_listing(market.event()).filter(|listing| market.outcome() < listing.terms.outcomes)
    }

    #[inline]
    pub(crate) fn find_book(&self, market: MarketId) -> Option<&Book> {
        self.find_listing(market.event())?.books.get(usize::from(market.outcome()))
    }
}

/// Adds an event, made where it will lie: building it elsewhere and copying it makes the processor wait for the stores. So
/// there is room before it is made, and the compiler knows.
#[inline(always)]
pub(crate) fn tell(events: &mut Vec<Event>, event: impl FnOnce() -> Event) {
    events.extend(std::iter::once_with(event));
}

/// Index of an event that exists.
#[inline]
pub(crate) fn event_index(event: EventId) -> usize {
    usize::try_from(event.0 - 1).expect("an event that exists has an index")
}
