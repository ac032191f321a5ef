//! Answers for the RPC, the chain and audits; nothing here changes anything.

use serde::Serialize;
use xos_book::Handle;
use xos_types::{
    AccountId, Address, Atoms, EventConfig, EventId, FeedId, GroupConfig, Hours, InboxPayload, Lots, MarketId, Nonce,
    Order, Phase, Plan, Position, Side, Ticks, TimeMs, VenueConfig, VenueId,
};

use crate::account::Account;
use crate::engine::{Engine, ListingConfig, event_index};
use crate::feeds::Feed;
use crate::gas;
use crate::health::Health;
use crate::holdings::{Held, Holdings};
use crate::limits::{ORDERS_MAX, WAITING_MAX};
use crate::perpetual::Perpetual;
use crate::plans::{Stage, Waiting};

/// An account as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its number.
    pub account: AccountId,
    /// Who may act for it.
    pub owner: Address,
    /// Atoms; may be negative while positions of a certain payoff cover it.
    pub cash: Atoms,
    /// What its positions pay at worst; equal to the contract's.
    pub worst_payoff: Atoms,
    /// What its resting orders hold back.
    pub reserved: Atoms,
    /// cash + worst payoff − reserved: what may be withdrawn or put at risk.
    pub available: Atoms,
    /// Nonces below are spent.
    pub floor: Nonce,
    /// The lowest nonce above every one used, and not below the floor.
    pub next_nonce: Nonce,
    /// Number of resting orders.
    pub open_orders: usize,
}

/// What an account may have many of: how many it has, and the most that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitsView {
    /// Orders, resting or waiting.
    pub orders: (usize, usize),
    /// Of these, orders that wait.
    pub waiting: (usize, usize),
    /// Assets and perpetuals that it holds or has orders for.
    pub holdings: (usize, usize),
}

/// What an account holds at an index price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HoldingView {
    /// Which feed.
    pub feed: FeedId,
    /// Signed lots of a perpetual, atoms of an asset.
    #[serde(with = "xos_types::Number")]
    pub amount: i128,
    /// Average price at which a perpetual was entered, once the open frame is settled; 0 of an asset.
    pub entry: Ticks,
    /// Funding index up to which a perpetual has paid; 0 of an asset.
    #[serde(with = "xos_types::Number")]
    pub paid_up_to: i128,
    /// Atoms of an asset that resting orders offer.
    #[serde(with = "xos_types::Number")]
    pub offered: u128,
}

/// An index price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FeedView {
    /// Its number.
    pub feed: FeedId,
    /// Whether a perpetual is held at it, or an asset.
    pub perpetual: bool,
    /// Atoms per lot, times 1e9; 0 before the first.
    #[serde(with = "xos_types::Number")]
    pub price: u128,
    /// When that was published.
    pub time: TimeMs,
    /// It broke a rule.
    pub breached: bool,
    /// New risk may not rely on it.
    pub stale: bool,
    /// What a long lot of a perpetual has paid, atoms times 1e9.
    #[serde(with = "xos_types::Number")]
    pub funding_index: i128,
    /// What a perpetual has cost others, in atoms.
    #[serde(with = "xos_types::Number")]
    pub loss: u128,
    /// Atoms of an asset that accounts hold.
    #[serde(with = "xos_types::Number")]
    pub custody: u128,
}

/// A resting order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// What was signed.
    pub order: Order,
    /// Where it rests: at what was signed, or better if it slid.
    pub price: Ticks,
    /// Lots that still rest.
    pub remaining: Lots,
    /// How many of them the book does not show.
    pub hidden: Lots,
}

/// An order of which something waits outside the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedView {
    /// What was signed.
    pub order: Order,
    /// When it goes to the book, and in which parts.
    pub plan: Plan,
    /// Lots that wait.
    pub remaining: Lots,
    /// Lots that its slices filled.
    pub filled: Lots,
    /// The order with which it excludes each other, if any.
    pub excludes: Option<Nonce>,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a planned order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// The order that it follows.
    Order,
    /// A price.
    Price,
    /// The time of its next slice.
    Time(TimeMs),
    /// The next frame.
    Frame,
}

/// A market's book, best prices first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BookView {
    /// Who would buy.
    pub bids: Vec<BookLevel>,
    /// Who would sell.
    pub asks: Vec<BookLevel>,
}

/// The orders of one side at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BookLevel {
    /// Their price.
    pub price: Ticks,
    /// Their lots together.
    pub lots: Lots,
    /// How many they are.
    pub orders: u32,
}

/// Whether an event's markets trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// They take no orders yet.
    Pending,
    /// Their orders wait for call auctions.
    Auction,
    /// They take post-only orders, and nothing trades yet.
    PostOnly,
    /// They trade.
    Open,
    /// Positions may only become smaller.
    ReduceOnly,
    /// Nothing trades for now.
    Halted,
    /// Nothing trades until the next session, by its hours.
    Closed,
    /// It is decided; positions are being, or have been, paid.
    Resolved,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EventView<'a> {
    /// Its number.
    pub event: EventId,
    /// Its terms.
    pub config: &'a EventConfig,
    /// Whether it trades.
    pub status: EventStatus,
    /// When it trades, if it does not always.
    pub hours: Option<Hours>,
    /// Ticks per lot and outcome, once decided.
    pub payouts: Option<&'a [u64]>,
    /// Fees charged so far, less rebates; its venue shares them.
    pub fees: Atoms,
    /// Lots traded so far.
    pub volume: u128,
    /// Accounts whose positions still wait to be paid.
    pub unredeemed: usize,
}

impl Engine {
    /// Identity of the group.
    #[must_use]
    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// Estimated gas of settling the open frame; from above.
    #[must_use]
    pub fn frame_gas(&self) -> u64 {
        self.frame.gas()
    }

    /// Estimated gas of an inbox item in a frame; from above.
    #[must_use]
    pub fn inbox_gas(&self, payload: &InboxPayload) -> u64 {
        let tried = match payload {
            InboxPayload::ForcedLiquidation(request) => self.liquidation_gas(request.account, request.keeper),
            _ => 0,
        };
        gas::inbox_item(payload) + tried
    }

    /// Time of the open frame; 0 before the first.
    #[must_use]
    pub fn frame_time(&self) -> TimeMs {
        self.frame.time
    }

    /// Frames sealed so far; the last one's id.
    #[must_use]
    pub fn frames_sealed(&self) -> u64 {
        self.frame.id() - 1
    }

    /// The inbox item to consume next.
    #[must_use]
    pub fn next_inbox(&self) -> u64 {
        self.next_inbox
    }

    /// Deposits less withdrawals: what the contract must hold for its accounts once every frame, the open one included, is
    /// settled.
    #[must_use]
    pub fn custody(&self) -> Atoms {
        Atoms(self.settled_pool(self.frame_fees().repaid).0.tokens)
    }

    /// Losses that all accounts share then: what they own on paper beyond that.
    #[must_use]
    pub fn bad_debt(&self) -> Atoms {
        Atoms(self.settled_pool(self.frame_fees().repaid).0.bad_debt)
    }

    /// When an account was last flagged as failing.
    #[must_use]
    pub fn flagged_at(&self, account: AccountId) -> Option<TimeMs> {
        self.rescues.flagged_at(account)
    }

    /// What is left of a close that an owner forced, and since when, once the open frame is settled.
    #[must_use]
    pub fn forced_close(&self, account: AccountId, market: MarketId) -> Option<(Lots, TimeMs)> {
        let left = self.rescues.forced_close(account, market)?;
        let (_, ended) = self.settled_position(account, market);
        (!ended).then_some(left)
    }

    /// Requests of keepers that wait for the next frame.
    #[must_use]
    pub fn waiting_keepers(&self) -> usize {
        self.rescues.queue.len()
    }

    fn settled_entry(&self, account: AccountId, held: &Perpetual, feed: &Feed) -> u64 {
        let listing = feed.listing().expect("a perpetual has a listing");
        if held.unsettled { self.settled_position(account, MarketId::new(listing, 0)).0.entry } else { held.entry }
    }

    /// An account's position in a perpetual as the open frame's lines leave it, and whether one of them ended the position that
    /// was there.
    fn settled_position(&self, account: AccountId, market: MarketId) -> (Perpetual, bool) {
        let terms = self.listings[event_index(market.event())].terms;
        let held = self.accounts[account].holdings.perpetual(terms.feed);
        let (mut held, mut ended) = (held.unwrap_or_default(), false);
        let lines = self.frame.markets().get(&market).into_iter().flatten();
        for line in lines.filter(|line| line.order.message.account == account) {
            let before = held.settled_size;
            held.settle(line.order.message.side, line.filled, line.notional);
            ended |= before != 0 && before.signum() != held.settled_size.signum();
        }
        (held, ended)
    }

    /// Redemptions that wait for a later frame's gas.
    #[must_use]
    pub fn pending_redemptions(&self) -> usize {
        self.redemptions.len()
    }

    /// Every account's number: ascending without a gap, then isolated ones in the order in which they were opened.
    pub fn account_ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.ids()
    }

    /// How many accounts are isolated.
    #[must_use]
    pub fn isolated_accounts(&self) -> usize {
        self.accounts.isolated_len()
    }

    /// One account.
    #[must_use]
    pub fn account(&self, account: AccountId) -> Option<AccountView> {
        let state = self.find_account(account)?;
        Some(AccountView {
            account,
            owner: state.owner,
            cash: Atoms(state.cash),
            worst_payoff: Atoms(state.worst_payoff),
            reserved: Atoms(state.reserved()),
            available: Atoms(state.available()),
            floor: state.nonces.floor(),
            next_nonce: state.nonces.next(),
            open_orders: state.orders.len(),
        })
    }

    /// How much an account uses of what is limited: of each, so many of so many.
    #[must_use]
    pub fn limits(&self, account: AccountId) -> Option<LimitsView> {
        let state = self.find_account(account)?;
        let waiting = state.waiting as usize;
        Some(LimitsView {
            orders: (state.orders.len() + waiting, ORDERS_MAX),
            waiting: (waiting, WAITING_MAX as usize),
            holdings: (state.holdings.len(), self.holdings_max()),
        })
    }

    /// The accounts of an owner, ascending.
    #[must_use]
    pub fn accounts_of(&self, owner: Address) -> Vec<AccountId> {
        let own = self.owners.candidates(owner).filter(|account| self.accounts[*account].owner == owner);
        let mut accounts: Vec<AccountId> = own.flat_map(|account| self.accounts.family(account)).collect();
        accounts.sort_unstable();
        accounts
    }

    /// Positions that are not zero, by market.
    #[must_use]
    pub fn positions(&self, account: AccountId) -> Vec<(MarketId, Position)> {
        let margins = self.find_account(account).into_iter().flat_map(|state| state.margins.iter());
        let held = margins.map(|(market, outcome)| (market, Position(outcome.position)));
        held.filter(|(_, position)| position.0 != 0).collect()
    }

    /// What the contract will say of an account's margin, orders apart; `None` if there is no such account.
    #[must_use]
    pub fn health(&self, account: AccountId) -> Option<Health> {
        self.find_account(account).map(|state| state.health(&self.board))
    }

    /// What an account holds at index prices, by feed.
    #[must_use]
    pub fn holdings(&self, account: AccountId) -> Vec<HoldingView> {
        let holdings = self.find_account(account).map(|state| &state.holdings);
        let held = holdings.into_iter().flat_map(Holdings::iter).filter(|holding| holding.held.is_held());
        held.map(|holding| match holding.held {
            Held::Perpetual(held) => HoldingView {
                feed: holding.feed,
                amount: held.size.into(),
                entry: Ticks(self.settled_entry(account, &held, &self.board[holding.feed])),
                paid_up_to: held.paid_up_to,
                offered: 0,
            },
            Held::Asset(held) => HoldingView {
                feed: holding.feed,
                amount: i128::try_from(held.balance).expect("the contract keeps balances within 127 bits"),
                entry: Ticks(0),
                paid_up_to: 0,
                offered: held.ask_atoms,
            },
        })
        .collect()
    }

    /// Every feed, by number.
    pub fn feeds(&self) -> impl Iterator<Item = FeedView> + use<'_> {
        self.board.ids().map(|id| {
            let feed = &self.board[id];
            FeedView {
                feed: id,
                perpetual: feed.is_perpetual(),
                price: feed.price.unsigned_abs(),
                time: feed.time,
                breached: feed.breached,
                stale: feed.stale,
                funding_index: feed.funding_index,
                loss: feed.loss,
                custody: feed.custody,
            }
        })
    }

    /// What was paid into an account of a token (0 for the settlement token), less what was taken out.
    #[must_use]
    pub fn principal(&self, account: AccountId, asset: FeedId) -> u128 {
        self.find_account(account).map_or(0, |state| state.principal.of(asset))
    }

    /// Lots open in a market: the sum of long positions.
    #[must_use]
    pub fn open_interest(&self, market: MarketId) -> Option<Lots> {
        self.find_market(market).map(|listing| Lots(listing.open_interest(market)))
    }

    /// When all orders of an account will be cancelled, if its dead-man switch is set.
    #[must_use]
    pub fn cancel_after(&self, account: AccountId) -> Option<TimeMs> {
        self.switches.of(account)
    }

    /// Resting orders of an account, by nonce.
    #[must_use]
    pub fn open_orders(&self, account: AccountId) -> Vec<OrderView> {
        let orders = self.find_account(account).map(|state| state.orders.by_nonce(&self.orders.resting));
        orders.into_iter().flatten().map(|(_, handle)| self.order_view(handle)).collect()
    }

    /// Orders of an account of which something waits, by nonce.
    #[must_use]
    pub fn planned_orders(&self, account: AccountId) -> Vec<PlannedView> {
        self.plans.of_account(account).map(|waiting| self.planned_view(waiting)).collect()
    }

    /// One of them.
    #[must_use]
    pub fn planned_order(&self, account: AccountId, nonce: Nonce) -> Option<PlannedView> {
        self.plans.get((account, nonce)).map(|waiting| self.planned_view(waiting))
    }

    fn planned_view(&self, waiting: &Waiting) -> PlannedView {
        PlannedView {
            order: waiting.signed.message,
            plan: waiting.plan,
            remaining: waiting.remaining(),
            filled: waiting.filled,
            excludes: self.plans.pair(waiting.name()).map(|pair| pair.with),
            waits_for: match waiting.stage {
                Stage::Asleep => WaitsFor::Order,
                Stage::Armed => WaitsFor::Price,
                Stage::Paced(next) => WaitsFor::Time(next),
                Stage::Ready(_) => WaitsFor::Frame,
            },
        }
    }

    /// One resting order.
    #[must_use]
    pub fn order(&self, account: AccountId, nonce: Nonce) -> Option<OrderView> {
        self.resting(account, nonce).map(|handle| self.order_view(handle))
    }

    /// Whether a nonce can no longer be used; `None` if there is no such account.
    #[must_use]
    pub fn nonce_spent(&self, account: AccountId, nonce: Nonce) -> Option<bool> {
        self.find_account(account).map(|state: &Account| state.nonces.is_spent(nonce))
    }

    /// A market's best `depth` levels of each side; `None` if there is no such market.
    #[must_use]
    pub fn book(&self, market: MarketId, depth: usize) -> Option<BookView> {
        let book = self.find_book(market)?;
        let side = |side: Side| {
            let levels = book.levels(&self.orders.resting, side).take(depth);
            // A crowd at one price may hold more lots than the type; the view then shows the most that it can.
            levels.map(|(price, level)| BookLevel {
                price,
                lots: Lots(u64::try_from(level.lots()).unwrap_or(u64::MAX)),
                orders: level.orders(),
            })
        };
        Some(BookView { bids: side(Side::Buy).collect(), asks: side(Side::Sell).collect() })
    }

    /// Every venue, by number, and where its fees go.
    pub fn venues(&self) -> impl Iterator<Item = (VenueId, VenueConfig)> + use<'_> {
        self.venues.iter().map(|(venue, config)| (*venue, *config))
    }

    /// Every event, by number.
    pub fn events(&self) -> impl Iterator<Item = EventView<'_>> {
        (1u32..).zip(&self.listings).filter_map(|(number, _)| self.event(EventId(number)))
    }

    /// One event.
    #[must_use]
    pub fn event(&self, event: EventId) -> Option<EventView<'_>> {
        let listing = self.find_listing(event)?;
        let ListingConfig::Event(config) = &listing.config else { return None };
        let waiting = self.redemptions.range((event, AccountId(0))..=(event, AccountId(u64::MAX)));
        Some(EventView {
            event,
            config,
            status: match (&listing.payouts, listing.phase) {
                (Some(_), _) => EventStatus::Resolved,
                (None, Phase::Auction | Phase::PostOnly | Phase::Open | Phase::ReduceOnly) if listing.closed => {
                    EventStatus::Closed
                }
                (None, Phase::Pending) => EventStatus::Pending,
                (None, Phase::Auction) => EventStatus::Auction,
                (None, Phase::PostOnly) => EventStatus::PostOnly,
                (None, Phase::Open) => EventStatus::Open,
                (None, Phase::ReduceOnly) => EventStatus::ReduceOnly,
                (None, Phase::Halted) => EventStatus::Halted,
                (None, Phase::Delisted) => unreachable!("an event ends by its resolution"),
            },
            hours: Some(listing.hours).filter(|hours| *hours != Hours::default()),
            payouts: listing.payouts.as_deref(),
            fees: Atoms(listing.fees),
            volume: listing.volume,
            unredeemed: waiting.count(),
        })
    }

    /// The market's best bid and ask.
    #[must_use]
    pub fn best_prices(&self, market: MarketId) -> Option<(Option<Ticks>, Option<Ticks>)> {
        self.find_book(market).map(|book| (book.best(Side::Buy), book.best(Side::Sell)))
    }

    /// Atoms per tick·lot of a market.
    #[must_use]
    pub fn quantum(&self, market: MarketId) -> Option<u128> {
        self.find_listing(market.event()).map(|listing| listing.terms.quantum.unsigned_abs())
    }

    /// Number of resting orders in all books.
    #[must_use]
    pub fn resting_orders(&self) -> usize {
        self.orders.len()
    }

    fn order_view(&self, handle: Handle) -> OrderView {
        let (price, remaining) = (self.orders.price(handle), self.orders.remaining(handle));
        let hidden = Lots(remaining.0 - self.orders.shown(handle).0);
        OrderView { order: self.orders.order(handle), price, remaining, hidden }
    }
}
