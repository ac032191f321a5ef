//! Answers for the RPC, the chain and audits; nothing here changes anything.

use serde::Serialize;
use xos_book::Handle;
use xos_types::{
    AccountId, Address, Atoms, EventConfig, EventId, FeedId, GroupConfig, Lots, MarketId, Nonce, Order, Phase,
    Position, Side, Ticks, TimeMs, VenueConfig, VenueId,
};

use crate::account::Account;
use crate::engine::{Engine, ListingConfig};
use crate::health::Health;
use crate::holdings::{Held, Holdings};

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

/// What an account holds at an index price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HoldingView {
    /// Which feed.
    pub feed: FeedId,
    /// Signed lots of a perpetual, atoms of an asset.
    #[serde(with = "xos_types::number")]
    pub amount: i128,
    /// Average price at which a perpetual was entered, as of the last sealed frame; 0 of an asset.
    pub entry: Ticks,
    /// Funding index up to which a perpetual has paid; 0 of an asset.
    #[serde(with = "xos_types::number")]
    pub paid_up_to: i128,
    /// Atoms of an asset that resting orders offer.
    #[serde(with = "xos_types::number")]
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
    #[serde(with = "xos_types::number")]
    pub price: u128,
    /// When that was published.
    pub time: TimeMs,
    /// It broke a rule.
    pub breached: bool,
    /// New risk may not rely on it.
    pub stale: bool,
    /// What a long lot of a perpetual has paid, atoms times 1e9.
    #[serde(with = "xos_types::number")]
    pub funding_index: i128,
    /// Atoms of an asset that accounts hold.
    #[serde(with = "xos_types::number")]
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
    /// They trade.
    Open,
    /// Positions may only become smaller.
    ReduceOnly,
    /// Nothing trades for now.
    Halted,
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

    /// Deposits less withdrawals: what the contract must hold for its accounts once every sealed frame is settled.
    #[must_use]
    pub fn custody(&self) -> Atoms {
        Atoms(self.custody)
    }

    /// Redemptions that wait for a later frame's gas.
    #[must_use]
    pub fn pending_redemptions(&self) -> usize {
        self.redemptions.len()
    }

    /// Every account's number, ascending.
    pub fn account_ids(&self) -> impl Iterator<Item = AccountId> + use<> {
        (1..=self.accounts.len() as u64).map(AccountId)
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

    /// The accounts of an owner, ascending.
    #[must_use]
    pub fn accounts_of(&self, owner: Address) -> &[AccountId] {
        self.owners.get(&owner).map_or(&[], Vec::as_slice)
    }

    /// Positions that are not zero, by market.
    #[must_use]
    pub fn positions(&self, account: AccountId) -> Vec<(MarketId, Position)> {
        let margins = self.find_account(account).map(|state| state.margins.iter());
        let held = margins.into_iter().flatten().flat_map(|(event, margin)| {
            (0u8..).zip(&margin.outcomes).map(|(k, outcome)| (MarketId::new(*event, k), Position(outcome.position)))
        });
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
        let held = holdings.into_iter().flat_map(Holdings::iter).filter(|holding| holding.is_held());
        held.map(|holding| match holding.held {
            Held::Perpetual(held) => HoldingView {
                feed: holding.feed,
                amount: held.size.into(),
                entry: Ticks(held.entry),
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

    /// Where a venue's fees go.
    #[must_use]
    pub fn venue(&self, venue: VenueId) -> Option<VenueConfig> {
        self.venues.get(&venue).copied()
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
                (None, Phase::Open) => EventStatus::Open,
                (None, Phase::ReduceOnly) => EventStatus::ReduceOnly,
                (None, Phase::Halted) => EventStatus::Halted,
                (None, Phase::Delisted) => unreachable!("an event ends by its resolution"),
            },
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

    /// Number of resting orders in all books.
    #[must_use]
    pub fn resting_orders(&self) -> usize {
        self.orders.len()
    }

    fn order_view(&self, handle: Handle) -> OrderView {
        let (price, remaining) = (self.orders.price(handle), self.orders.remaining(handle));
        OrderView { order: self.orders.order(handle), price, remaining }
    }
}
