//! What the chain says: the inbox is the only door (DESIGN.md, law 1), and the contract applies the same items to the same
//! effect when it settles the frame.

use xos_book::Handle;
use xos_types::{
    AccountId, Address, AssetConfig, Atoms, BuilderId, CancelReason, Event, EventConfig, EventId, FeedId, Hours,
    InboxItem, InboxPayload, MarketId, MarketKind, PerpetualConfig, Phase, Side, SpotConfig, VenueConfig, VenueId,
};

use crate::account::Account;
use crate::engine::{Engine, Listing, ListingConfig, event_index};
use crate::feeds::Feed;
use crate::holdings::{Held, asset_value};
use crate::limits::DEPOSIT_MAX;
use crate::terms::Terms;
use crate::wide::{MILLION, PRICE_SCALE, mul_div_up};

/// How an asset comes to an account: a deposit before everything else of a frame, a transfer after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    ByDeposit,
    ByTransfer,
}

/// Terms that it refuses never reach the inbox.
const LISTED: &str = "the contract lists markets on terms that it allows";

impl Engine {
    /// Applies one inbox item.
    ///
    /// Its assertions name what contract and node guarantee; a group whose inbox contradicts its state must stop.
    pub(crate) fn consume(&mut self, item: &InboxItem, events: &mut Vec<Event>) {
        assert_eq!(item.index, self.next_inbox, "the node passes inbox items on in order, without gaps");
        self.next_inbox += 1;
        match &item.payload {
            InboxPayload::Deposit { account, owner, token, amount } => {
                self.open_account(*account, *owner, events);
                if *token == self.config.token {
                    self.deposit(*account, *amount, events);
                } else {
                    self.deposit_asset(*account, self.known_asset(*token), *amount, events);
                }
            }
            InboxPayload::EventOpened { event, config } => self.open_event(*event, config, events),
            InboxPayload::EventResolved { event, payouts } => self.resolve_event(*event, payouts, events),
            // As on chain they wait until there are prices: [`Engine::force_withdrawal`], [`Engine::force_liquidation`].
            InboxPayload::ForcedWithdrawal { .. } | InboxPayload::ForcedLiquidation(_) => {}
            InboxPayload::CancelAll { account, floor } => {
                if self.knows(*account) {
                    self.raise_floor(*account, *floor, events);
                } else {
                    let promise = self.accounts.promise(*account);
                    promise.floor = promise.floor.max(*floor);
                }
            }
            InboxPayload::ForcedClose { account, market } => self.force_close(*account, *market, item.time, events),
            InboxPayload::SignerSet { account, grant } => self.set_signer(*account, *grant, events),
            InboxPayload::MembershipSet { account, venue, until } => {
                self.set_membership(*account, *venue, *until, events);
            }
            InboxPayload::ReferrerSet { account, referrer } => {
                if self.knows(*account) {
                    self.refer(*account, *referrer, events);
                } else {
                    self.accounts.promise(*account).referrer = *referrer;
                }
            }
            InboxPayload::BuilderSet { builder, account } => self.set_builder(*builder, *account, events),
            InboxPayload::VenueSet { venue, config } => self.set_venue(*venue, *config, events),
            InboxPayload::FeeTiersSet { venue, tiers } => self.set_fee_tiers(*venue, tiers, events),
            InboxPayload::PhaseSet { market, phase } => self.set_phase(*market, *phase, events),
            InboxPayload::HoursSet { market, hours } => self.set_hours(*market, *hours, events),
            InboxPayload::TermsSet(terms) => {
                self.group_terms = *terms;
                // Some may hold more now than they may.
                let most = usize::from(terms.max_holdings);
                let crowded = self.accounts.entries().filter(|(_, state)| state.holdings.len() > most);
                self.suspects.extend(crowded.map(|(id, _)| id));
                events.push(Event::TermsSet(*terms));
            }
            InboxPayload::AssetSet { feed, config } => self.set_asset(*feed, *config, events),
            InboxPayload::SpotListed { market, config } => self.list_spot(*market, config, events),
            InboxPayload::PerpetualSet { market, feed, config } => self.set_perpetual(*market, *feed, config, events),
        }
        self.frame.consume(item.clone());
    }

    fn known_asset(&self, token: Address) -> FeedId {
        self.board.asset_of(token).expect("the contract moves tokens that it knows")
    }

    /// Whether a request concerns an account that exists. Owners may also ask for isolated accounts before a transfer opens
    /// them: they hold nothing, so nothing comes of what asks for something of theirs.
    pub(crate) fn knows(&self, account: AccountId) -> bool {
        let known = self.find_account(account).is_some();
        assert!(known || account.is_isolated(), "the contract takes requests of accounts that exist");
        known
    }

    fn set_builder(&mut self, builder: BuilderId, account: AccountId, events: &mut Vec<Event>) {
        assert!(self.find_account(account).is_some(), "the contract registers accounts that exist as builders");
        self.builders.insert(builder, account);
        events.push(Event::BuilderSet { builder, account });
    }

    fn set_venue(&mut self, venue: VenueId, config: VenueConfig, events: &mut Vec<Event>) {
        assert!(self.find_account(config.treasury).is_some(), "the contract opens venues with a treasury that exists");
        let shares = u64::from(config.protocol_share.0)
            + u64::from(config.insurance_share.0)
            + u64::from(config.referrer_share.0);
        assert!(shares <= 1_000_000, "the contract shares no more than a venue's fees");
        self.venues.insert(venue, config);
        events.push(Event::VenueSet { venue, config });
    }

    /// A halted market keeps its orders; where only reducing is allowed, the others leave.
    fn set_phase(&mut self, market: MarketId, phase: Phase, events: &mut Vec<Event>) {
        let event = market.event();
        assert!(self.find_listing(event).is_some(), "the contract moves listings that exist");
        let listing = &mut self.listings[event_index(event)];
        if listing.payouts.is_some() {
            return;
        }
        if listing.phase == Phase::Delisted {
            return;
        }
        listing.phase = phase;
        events.push(Event::PhaseSet { event, phase });
        match phase {
            Phase::Pending | Phase::Auction | Phase::PostOnly | Phase::Open | Phase::Halted => {}
            Phase::ReduceOnly => self.keep_reducing(event, events),
            Phase::Delisted => self.delist(event, events),
        }
    }

    fn set_hours(&mut self, market: MarketId, hours: Hours, events: &mut Vec<Event>) {
        let event = market.event();
        assert!(self.find_listing(event).is_some(), "the contract sets hours of listings that exist");
        self.listings[event_index(event)].hours = hours;
        self.timed.insert(event);
        events.push(Event::HoursSet { event, hours });
    }

    /// Opens and closes the sessions of markets that have hours. What rests stays, in the hope of the next session.
    pub(crate) fn keep_hours(&mut self, events: &mut Vec<Event>) {
        for event in &self.timed {
            let listing = &mut self.listings[event_index(*event)];
            let closed = !listing.hours.contains(self.frame.time);
            if std::mem::replace(&mut listing.closed, closed) != closed {
                events.push(Event::SessionTurned { event: *event, open: !closed });
            }
        }
    }

    /// Orders leave; positions in a perpetual wait to be paid at its last price, as it takes no further one.
    fn delist(&mut self, event: EventId, events: &mut Vec<Event>) {
        self.cancel_listing(event, CancelReason::Delisted, events);
        let terms = self.listings[event_index(event)].terms;
        match terms.kind {
            MarketKind::Spot => {}
            MarketKind::Perpetual => {
                let feed = &mut self.board[terms.feed];
                feed.config = None;
                let held = |holder: &AccountId| {
                    self.accounts[*holder].holdings.perpetual(terms.feed).is_some_and(|held| held.size != 0)
                };
                self.redemptions.extend(feed.holders.iter().filter(held).map(|holder| (event, holder)));
            }
            MarketKind::Outcome => unreachable!("the contract ends an event by its resolution"),
        }
    }

    /// Cancels every order of a listing, market by market, bids before asks, in the order in which they would have filled; then
    /// those that wait.
    fn cancel_listing(&mut self, event: EventId, reason: CancelReason, events: &mut Vec<Event>) {
        let books = &self.listings[event_index(event)].books;
        let handles: Vec<Handle> = books
            .iter()
            .flat_map(|book| [Side::Buy, Side::Sell].map(|side| book.queue(&self.orders.resting, side)))
            .flatten()
            .collect();
        for handle in handles {
            self.cancel(handle, reason, events);
        }
        self.cancel_waiting_in(event, reason, events);
    }

    /// Opens an account that is not there yet.
    pub(crate) fn open_account(&mut self, account: AccountId, owner: Address, events: &mut Vec<Event>) {
        if self.find_account(account).is_none() {
            self.accounts.open(account, Account::new(owner));
            self.owners.insert(owner, account);
            events.push(Event::AccountOpened { account, owner });
        }
    }

    fn deposit(&mut self, account: AccountId, amount: u128, events: &mut Vec<Event>) {
        assert!(amount <= DEPOSIT_MAX, "the contract bounds what one deposit may bring");
        let state = &mut self.accounts[account];
        state.principal.set(FeedId(0), state.principal.of(FeedId(0)) + amount);
        let claim = self.buy_claim(amount);
        self.accounts[account].cash += claim;
        events.push(Event::Deposited { account, amount: Atoms(claim) });
    }

    /// No deposit may stop an account from trading, as one holding too many would: it waits to be claimed instead.
    fn deposit_asset(&mut self, account: AccountId, asset: FeedId, amount: u128, events: &mut Vec<Event>) {
        assert!(amount <= DEPOSIT_MAX, "the contract bounds what one deposit may bring");
        let state = &mut self.accounts[account];
        let holds = state.holdings.find(asset).is_some_and(Held::is_held);
        let credited = holds || state.holdings.held() < self.holdings_max();
        if credited {
            self.give_asset(account, asset, amount, Given::ByDeposit);
            let principal = &mut self.accounts[account].principal;
            principal.set(asset, principal.of(asset) + amount);
            self.board[asset].custody += amount;
        }
        events.push(Event::AssetDeposited { account, asset, amount, credited });
    }

    /// Adds atoms to a balance.
    pub(crate) fn give_asset(&mut self, account: AccountId, asset: FeedId, amount: u128, way: Given) {
        let frame = self.frame.id();
        self.open_place(account, asset);
        let most = self.holdings_max();
        let state = &mut self.accounts[account];
        let feed = &self.board[asset];
        state.holdings.change(asset, feed, |held| {
            let held = held.asset();
            held.balance += amount;
            if way == Given::ByTransfer {
                held.note(frame, amount, false);
            }
        });
        // Its orders may want places too.
        if state.holdings.len() > most {
            self.suspects.insert(account);
        }
    }

    /// Takes atoms from a balance that has them free.
    pub(crate) fn take_asset(&mut self, account: AccountId, asset: FeedId, amount: u128) {
        let state = &mut self.accounts[account];
        let feed = &self.board[asset];
        state.holdings.change(asset, feed, |held| held.asset().balance -= amount);
        self.tidy(account, asset);
    }

    fn set_asset(&mut self, id: FeedId, config: AssetConfig, events: &mut Vec<Event>) {
        if usize::from(id.0) == self.board.len() + 1 {
            self.board.push(Feed::asset(config));
        } else {
            let before = self.board.find(id).expect("the contract numbers feeds from 1 without gaps");
            let (asset, kept) = (before.as_asset(), (config.token, config.lot));
            assert_eq!((asset.token, asset.lot), kept, "the contract keeps an asset's token and lot");
            self.board[id].set_asset(config);
        }
        self.moved.insert(id);
        events.push(Event::AssetSet { feed: id, config });
    }

    fn list_spot(&mut self, market: MarketId, config: &SpotConfig, events: &mut Vec<Event>) {
        let lot =
            self.board.find(config.asset).expect("the contract lists markets of assets that exist").as_asset().lot;
        let terms = Terms::spot(lot, config).expect(LISTED);
        self.list(market.event(), terms, ListingConfig::Spot(config.clone()));
        events.push(Event::SpotListed { market, config: config.clone() });
    }

    /// Opens a perpetual, or changes the terms of one. Then its orders leave: they were accepted under others.
    fn set_perpetual(&mut self, market: MarketId, id: FeedId, config: &PerpetualConfig, events: &mut Vec<Event>) {
        let event = market.event();
        let terms = Terms::perpetual(id, config).expect(LISTED);
        if self.find_listing(event).is_none() {
            assert_eq!(usize::from(id.0), self.board.len() + 1, "the contract numbers feeds from 1 without gaps");
            self.board.push(Feed::perpetual(market, config, self.frame.time));
            self.list(event, terms, ListingConfig::Perpetual(config.clone()));
        } else {
            self.cancel_listing(event, CancelReason::TermsChanged, events);
            let listing = &mut self.listings[event_index(event)];
            assert_eq!((listing.terms.feed, listing.terms.quantum), (id, terms.quantum), "the contract keeps both");
            (listing.terms, listing.config) = (terms, ListingConfig::Perpetual(config.clone()));
            self.board[id].set_perpetual(market, config);
        }
        self.moved.insert(id);
        events.push(Event::PerpetualSet { market, feed: id, config: config.clone() });
    }

    /// Adds a listing: the contract counts events, spot and perpetual markets together.
    fn list(&mut self, number: EventId, terms: Terms, config: ListingConfig) {
        let next = u32::try_from(self.listings.len() + 1).expect("listings' numbers have 24 bits");
        assert_eq!(number, EventId(next), "the contract numbers listings from 1 without gaps");
        assert!(self.venues.contains_key(&terms.venue), "the contract lists markets of venues that exist");
        self.listings.push(Listing::new(number, terms, config));
    }

    fn open_event(&mut self, event: EventId, config: &EventConfig, events: &mut Vec<Event>) {
        self.list(event, Terms::event(config).expect(LISTED), ListingConfig::Event(config.clone()));
        events.push(Event::EventOpened { event, config: config.clone() });
    }

    /// Cancels the event's orders market by market, bids before asks, in the order in which they would have filled, and
    /// queues every holder for redemption. Payouts add up to the price of certainty, so what is paid adds up to nothing.
    fn resolve_event(&mut self, event: EventId, payouts: &[u64], events: &mut Vec<Event>) {
        let listing = self.find_listing(event).expect("the contract resolves events that it opened");
        assert!(listing.payouts.is_none(), "the contract resolves an event once");
        assert_eq!(payouts.len(), usize::from(listing.terms.outcomes), "the contract takes a payout for each outcome");
        let total: u128 = payouts.iter().map(|payout| u128::from(*payout)).sum();
        assert_eq!(total, u128::from(listing.terms.ticks), "the contract takes payouts that add up to certainty");

        self.cancel_listing(event, CancelReason::EventResolved, events);
        let listing = &mut self.listings[event_index(event)];
        listing.payouts = Some(payouts.to_vec());
        events.push(Event::EventResolved { event, payouts: payouts.to_vec() });

        for (id, account) in self.accounts.entries() {
            // Its orders are gone, so what is left of an entry is positions.
            if account.margins.of_event(event).next().is_some() {
                self.redemptions.insert((event, id));
            }
        }
    }

    /// Pays as much of `amount` as the account can spare without its orders, as the contract, which knows none of them, does.
    /// While the insurance fund is negative no more than was paid in may leave.
    pub(crate) fn force_withdrawal(
        &mut self,
        account: AccountId,
        token: Address,
        amount: u128,
        events: &mut Vec<Event>,
    ) {
        if !self.knows(account) {
            return;
        }
        let asset = if token == self.config.token { FeedId(0) } else { self.known_asset(token) };
        let state = &self.accounts[account];
        for (_, handle) in state.orders.by_nonce(&self.orders.resting) {
            self.cancel(handle, CancelReason::ForcedWithdrawal, events);
        }
        self.cancel_waiting_of(account, CancelReason::ForcedWithdrawal, |_, _| true, events);
        let paid = amount.min(self.spare(account, asset)).min(self.gate(account, asset));
        let worthless = asset == FeedId(0) && self.pool.covered(paid.cast_signed()) == 0;
        if paid == 0 || worthless {
            return;
        }
        self.take_out(account, asset, paid);
        let event = if asset == FeedId(0) {
            let amount = Atoms(i128::try_from(paid).expect("cash is within 128 bits"));
            Event::Withdrawn { account, amount, forced: true }
        } else {
            Event::AssetWithdrawn { account, asset, amount: paid, forced: true }
        };
        events.push(event);
        if asset == FeedId(0) {
            self.pay_claim(account, paid.cast_signed(), events);
        } else {
            self.rescues.busy.insert(account);
        }
    }

    /// What can leave: of cash, what neither initial health nor `usd` needs, as far as the pool has it. Of an asset, the whole
    /// balance if the account is healthy without it, else as many atoms as its spare health covers (`InboxItems.sol`).
    fn spare(&self, account: AccountId, asset: FeedId) -> u128 {
        let state = &self.accounts[account];
        let health = state.health(&self.board);
        if health.blocked || health.initial() < 0 {
            return 0;
        }
        if asset == FeedId(0) {
            return health.spare().min(self.pool.tokens).unsigned_abs();
        }
        let feed = &self.board[asset];
        let balance = state.holdings.asset(asset).map_or(0, |held| held.balance);
        let (lot, weight) = (feed.as_asset().lot, if feed.stale { 0 } else { feed.as_asset().initial_weight.0 });
        let counted = asset_value(feed, balance) * i128::from(weight) / MILLION;
        if counted <= health.initial() {
            return balance;
        }
        // Two divisions were rounded down, so what remains must count for its part and two atoms of cash more.
        let needed = (counted - health.initial() + 2).unsigned_abs();
        let scale = u128::from(lot) * (MILLION * PRICE_SCALE).unsigned_abs();
        // A ceiling of a ceiling is the ceiling of the whole.
        let kept = mul_div_up(needed, scale, u128::from(weight) * feed.price.unsigned_abs());
        balance.saturating_sub(kept)
    }
}
