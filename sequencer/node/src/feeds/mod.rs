//! Who listens to what. Nothing here ever waits for a listener: a book shows a slow one only the latest state, a list of
//! trades or account events ends for one that falls too far behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use xos_api::{BookInfo, Level, TradeInfo};
use xos_engine::Engine;
use xos_types::{AccountId, Event, MarketId, TimeMs};

use crate::history;

/// Levels of each side that a subscriber sees.
const BOOK_DEPTH: usize = 20;
/// Trades by which a listener may fall behind.
const TRADES_BEHIND: usize = 4096;
/// Events of its account by which a listener may fall behind.
const EVENTS_BEHIND: usize = 1024;

/// What happened to an account.
#[derive(Debug)]
pub(crate) struct AccountEvent {
    pub(crate) sequence: u64,
    pub(crate) event: Event,
}

/// The books that somebody listens to. They are looked at by the sequencer when a window ends, and shown when the window is
/// durable.
#[derive(Debug, Default)]
pub(crate) struct Books {
    listeners: BTreeMap<MarketId, watch::Sender<Arc<BookInfo>>>,
    /// Markets whose book changed in this window and is listened to.
    changed: BTreeSet<MarketId>,
}

/// A book that listeners are to see.
pub(crate) struct BookUpdate {
    listeners: watch::Sender<Arc<BookInfo>>,
    book: Arc<BookInfo>,
}

impl BookUpdate {
    pub(crate) fn show(self) {
        self.listeners.send_if_modified(|shown| {
            // Who has come since may have begun with a later one.
            let is_news = shown.sequence < self.book.sequence;
            if is_news {
                *shown = self.book;
            }
            is_news
        });
    }
}

impl Books {
    /// The book as it stands, and every change from here on; `None` if there is no such market.
    pub(crate) fn listen(&mut self, engine: &Engine, market: MarketId) -> Option<watch::Receiver<Arc<BookInfo>>> {
        self.listeners.retain(|_, listeners| listeners.receiver_count() > 0);
        let book = book_info(engine, market, BOOK_DEPTH)?;
        let mut receiver = match self.listeners.get(&market) {
            // What it shows is durable and about to be followed by what has happened since.
            Some(listeners) => listeners.subscribe(),
            None => {
                let (sender, receiver) = watch::channel(Arc::new(book));
                self.listeners.insert(market, sender);
                receiver
            }
        };
        receiver.mark_changed();
        Some(receiver)
    }

    /// Takes note of what one command changed.
    pub(crate) fn note(&mut self, events: &[Event]) {
        if self.listeners.is_empty() {
            return;
        }
        let changed = events.iter().filter_map(changed_book);
        self.changed.extend(changed.filter(|market| self.listeners.contains_key(market)));
    }

    /// The books that this window changed.
    pub(crate) fn end_window(&mut self, engine: &Engine) -> Vec<BookUpdate> {
        let updates = std::mem::take(&mut self.changed).into_iter().filter_map(|market| {
            let listeners = self.listeners.get(&market)?.clone();
            Some(BookUpdate { listeners, book: Arc::new(book_info(engine, market, BOOK_DEPTH)?) })
        });
        updates.collect()
    }
}

/// The listeners to what happens: trades, and what concerns an account.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    trades: BTreeMap<Option<MarketId>, broadcast::Sender<TradeInfo>>,
    accounts: BTreeMap<AccountId, broadcast::Sender<Arc<AccountEvent>>>,
}

impl Feeds {
    /// Every trade of a market, or of all, from here on.
    pub(crate) fn trades(&mut self, market: Option<MarketId>) -> broadcast::Receiver<TradeInfo> {
        self.prune();
        self.trades.entry(market).or_insert_with(|| broadcast::channel(TRADES_BEHIND).0).subscribe()
    }

    /// What happens to an account from here on.
    pub(crate) fn account(&mut self, account: AccountId) -> broadcast::Receiver<Arc<AccountEvent>> {
        self.prune();
        self.accounts.entry(account).or_insert_with(|| broadcast::channel(EVENTS_BEHIND).0).subscribe()
    }

    /// Tells listeners what one command caused.
    pub(crate) fn publish(&mut self, sequence: u64, time: TimeMs, events: &[Event]) {
        for trade in history::trades(sequence, time, events) {
            for topic in [None, Some(trade.market)] {
                if let Some(listeners) = self.trades.get(&topic) {
                    // Nobody listens any more: pruned at the next subscription.
                    let _ = listeners.send(trade);
                }
            }
        }
        if self.accounts.is_empty() {
            return;
        }
        for event in events {
            let others = if let Event::Deleveraged { others, .. } = event { others.as_slice() } else { &[] };
            let others = others.iter().map(|other| other.account);
            for account in concerned(event).into_iter().flatten().chain(others) {
                if let Some(listeners) = self.accounts.get(&account) {
                    let _ = listeners.send(Arc::new(AccountEvent { sequence, event: event.clone() }));
                }
            }
        }
    }

    fn prune(&mut self) {
        self.trades.retain(|_, listeners| listeners.receiver_count() > 0);
        self.accounts.retain(|_, listeners| listeners.receiver_count() > 0);
    }
}

/// A book as it travels; `None` if there is no such market.
pub(crate) fn book_info(engine: &Engine, market: MarketId, depth: usize) -> Option<BookInfo> {
    let book = engine.book(market, depth)?;
    let levels = |levels: Vec<xos_engine::BookLevel>| {
        levels.into_iter().map(|level| Level { price: level.price, size: level.lots, orders: level.orders }).collect()
    };
    Some(BookInfo { market, sequence: engine.sequence(), bids: levels(book.bids), asks: levels(book.asks) })
}

fn changed_book(event: &Event) -> Option<MarketId> {
    match event {
        Event::Filled(fill) => Some(fill.market),
        Event::AuctionFilled(fill) => Some(fill.market),
        Event::Rested { market, .. }
        | Event::Reduced { market, .. }
        | Event::Refilled { market, .. }
        | Event::Cancelled { market, .. } => Some(*market),
        _ => None,
    }
}

fn concerned(event: &Event) -> [Option<AccountId>; 2] {
    match event {
        Event::Filled(fill) if fill.maker != fill.taker => [Some(fill.maker), Some(fill.taker)],
        Event::Filled(fill) => [Some(fill.taker), None],
        Event::AuctionFilled(fill) => [Some(fill.buyer.account), Some(fill.seller.account)],
        Event::AccountOpened { account, .. }
        | Event::Deposited { account, .. }
        | Event::Redeemed { account, .. }
        | Event::Rested { account, .. }
        | Event::Reduced { account, .. }
        | Event::Cancelled { account, .. }
        | Event::Triggered { account, .. }
        | Event::Released { account, .. }
        | Event::Refused { account, .. }
        | Event::Refilled { account, .. }
        | Event::CancelAfterSet { account, .. }
        | Event::FloorRaised { account, .. }
        | Event::Withdrawn { account, .. }
        | Event::AssetDeposited { account, .. }
        | Event::AssetWithdrawn { account, .. }
        | Event::Failing { account }
        | Event::Flagged { account }
        | Event::CloseForced { account, .. }
        | Event::TakenOver { account, .. }
        | Event::Deleveraged { account, .. }
        | Event::Bankrupt { account, .. }
        | Event::PaidInPart { account, .. }
        | Event::RescueQueued { keeper: account, .. }
        | Event::RescueRefused { keeper: account, .. }
        | Event::Closed { account, .. }
        | Event::SignerSet { account, .. }
        | Event::MembershipSet { account, .. }
        | Event::ReferrerSet { account, .. }
        | Event::BuilderSet { account, .. }
        | Event::FeesPaid { account, .. }
        | Event::Rejected { account, .. } => [Some(*account), None],
        Event::Accepted { order } | Event::Planned { order, .. } => [Some(order.account), None],
        Event::Transferred { account, to, .. } => [Some(*account), Some(*to)],
        Event::Liquidated { account, keeper, .. } | Event::Converted { account, keeper, .. } => {
            [Some(*account), Some(*keeper)]
        }
        Event::Swept { account, .. } => [Some(*account), Some(AccountId::INSURANCE)],
        Event::EventOpened { .. }
        | Event::EventResolved { .. }
        | Event::PhaseSet { .. }
        | Event::HoursSet { .. }
        | Event::SessionTurned { .. }
        | Event::AuctionHeld { .. }
        | Event::VenueSet { .. }
        | Event::TermsSet(_)
        | Event::AssetSet { .. }
        | Event::SpotListed { .. }
        | Event::PerpetualSet { .. }
        | Event::Priced { .. }
        | Event::PriceLeftOut { .. }
        | Event::Funded { .. }
        | Event::LossesRepaid { .. }
        | Event::FrameSealed(_) => [None, None],
    }
}
