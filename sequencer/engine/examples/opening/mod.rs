//! What the engine's benchmarks begin with: accounts with money, and markets of every kind whose index prices are known.
#![allow(dead_code, reason = "each benchmark uses a part")]

use xos_types::{
    AccountId, Address, AssetConfig, B256, Command, EventConfig, EventId, FeedConfig, FeedId, GroupConfig, GroupTerms,
    InboxItem, InboxPayload, Lots, MarketId, MarketKind, Nonce, Order, OrderKind, PerpetualConfig, Ppm, PriceUpdate,
    Side, Signature, Signed, SpotConfig, Ticks, TimeMs, TradingTerms, VenueConfig, VenueId,
};

pub(crate) const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: Address::ZERO,
    governance: Address::ZERO,
    terms: GroupTerms { sequencer: Address::ZERO, max_holdings: 32, keeper_share: Ppm(0), grace: 0 },
};
const VENUE: VenueId = VenueId(1);
/// Number of the first account that a deposit opens.
pub(crate) const FIRST: u64 = 3;
/// Atoms per tick and lot.
const QUANTUM: u64 = 100;
const DOLLAR: u128 = 1_000_000_000_000_000_000;

/// Which accounts and markets there are. Listings are numbered in this order: events, spot markets, perpetuals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) accounts: u64,
    /// Atoms of cash that each begins with.
    pub(crate) cash: u128,
    /// Events of two outcomes.
    pub(crate) events: u32,
    /// Spot markets, each of an asset of its own.
    pub(crate) spots: u32,
    pub(crate) perpetuals: u32,
    /// Price of certainty in an event; half of it is the middle of every market.
    pub(crate) ticks: u32,
}

impl Opening {
    /// Every market, listing by listing.
    pub(crate) fn markets(&self) -> Vec<MarketId> {
        let outcomes = (1..=self.events).flat_map(|event| [0, 1].map(|outcome| MarketId::new(EventId(event), outcome)));
        let others =
            (self.events + 1..=self.events + self.spots + self.perpetuals).map(|n| MarketId::new(EventId(n), 0));
        outcomes.chain(others).collect()
    }

    pub(crate) fn kind(&self, market: MarketId) -> MarketKind {
        match market.event().0 {
            number if number <= self.events => MarketKind::Outcome,
            number if number <= self.events + self.spots => MarketKind::Spot,
            _ => MarketKind::Perpetual,
        }
    }

    pub(crate) fn middle(&self) -> u64 {
        u64::from(self.ticks) / 2
    }

    /// The feed of a spot or perpetual market: they are numbered alike.
    fn feed(&self, market: MarketId) -> FeedId {
        FeedId(u8::try_from(market.event().0 - self.events).expect("at most 255 feeds"))
    }

    /// The first frame: accounts, the venue, every market and its price. Each account also gets `assets` lots of every
    /// asset whose market `trades` says is among its own.
    pub(crate) fn frame(&self, assets: u64, trades: impl Fn(AccountId, MarketId) -> bool) -> Command {
        let accounts = || (FIRST..FIRST + self.accounts).map(AccountId);
        let deposit = |account, token, amount| InboxPayload::Deposit { account, owner: owner(account), token, amount };
        let mut payloads: Vec<_> = accounts().map(|account| deposit(account, Address::ZERO, self.cash)).collect();
        let treasury = AccountId::PROTOCOL;
        let config =
            VenueConfig { treasury, protocol_share: Ppm(0), insurance_share: Ppm(50_000), referrer_share: Ppm(0) };
        payloads.push(InboxPayload::VenueSet { venue: VENUE, config });
        let mut listings: Vec<_> = self.markets();
        listings.dedup_by_key(|market| market.event());
        for market in listings {
            match self.kind(market) {
                MarketKind::Outcome => {
                    payloads.push(InboxPayload::EventOpened { event: market.event(), config: event(self.ticks) });
                }
                MarketKind::Spot => {
                    let feed = self.feed(market);
                    let config = asset(token(feed));
                    payloads.push(InboxPayload::AssetSet { feed, config });
                    let config = SpotConfig { terms: terms_of_trade(), asset: feed, title: String::new() };
                    payloads.push(InboxPayload::SpotListed { market, config });
                    let holders = accounts().filter(|account| trades(*account, market));
                    let amount = u128::from(assets) * u128::from(LOT);
                    payloads.extend(holders.map(|account| deposit(account, token(feed), amount)));
                }
                MarketKind::Perpetual => {
                    let feed = self.feed(market);
                    payloads.push(InboxPayload::PerpetualSet { market, feed, config: perpetual() });
                }
            }
        }
        let item = |(index, payload)| InboxItem { index, time: TimeMs(0), payload };
        let inbox = (0..).zip(payloads).map(item).collect();
        Command::Frame { time: TimeMs(1), inbox, prices: self.prices(1, 0) }
    }

    /// Every feed's price at `time`: half a tick and `above` ticks above the middle.
    pub(crate) fn prices(&self, time: u64, above: u64) -> Vec<PriceUpdate> {
        // A source says dollars, and a feed's unit makes half a tick of each.
        let answer = u128::from(2 * (self.middle() + above) + 1) * DOLLAR;
        let feeds = (1..=self.spots + self.perpetuals).map(|feed| u8::try_from(feed).expect("at most 255 feeds"));
        feeds
            .map(|feed| PriceUpdate { feed: FeedId(feed), answer, published_at: TimeMs(time), proof: Vec::new() })
            .collect()
    }
}

/// A frame without inbox and prices.
pub(crate) fn empty_frame(time: u64) -> Command {
    Command::Frame { time: TimeMs(time), inbox: Vec::new(), prices: Vec::new() }
}

pub(crate) fn owner(account: AccountId) -> Address {
    Address::left_padding_from(&account.0.to_be_bytes())
}

pub(crate) fn sign<T>(message: T, account: AccountId) -> Signed<T> {
    let mut signature = Signature { r: [0x5a; 32], vs: [0xa5; 32] };
    signature.r[..8].copy_from_slice(&account.0.to_le_bytes());
    Signed { message, signature, signer: owner(account) }
}

/// One lot at that price until it is cancelled.
pub(crate) fn order(account: AccountId, nonce: Nonce, market: MarketId, side: Side, price: u64) -> Order {
    Order {
        account,
        market,
        side,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(1),
        price: Ticks(price),
        nonce,
        expiry: TimeMs(0),
        max_fee: Ppm(1_000),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

const LOT: u64 = 1_000_000;

fn token(feed: FeedId) -> Address {
    Address::repeat_byte(feed.0)
}

fn terms_of_trade() -> TradingTerms {
    TradingTerms { taker_fee: Ppm(500), ..TradingTerms::free(VENUE, QUANTUM) }
}

fn event(ticks: u32) -> EventConfig {
    EventConfig {
        terms: terms_of_trade(),
        outcomes: 2,
        ticks,
        resolver: Address::ZERO,
        title: "Champion".into(),
        labels: vec!["Yes".into(), "No".into()],
    }
}

fn asset(token: Address) -> AssetConfig {
    AssetConfig {
        token,
        lot: LOT,
        initial_weight: Ppm(800_000),
        maintenance_weight: Ppm(900_000),
        conversion_discount: Ppm(0),
        cap: u128::MAX,
        feed: source(),
    }
}

fn perpetual() -> PerpetualConfig {
    PerpetualConfig {
        terms: terms_of_trade(),
        feed: source(),
        initial_fractions: [50_000, 100_000, 200_000, 500_000].map(Ppm),
        maintenance_fractions: [25_000, 50_000, 100_000, 250_000].map(Ppm),
        tier_bounds: [1_000_000, 10_000_000, 100_000_000],
        penalty: Ppm(10_000),
        funding_cap: Ppm(40_000),
        loss_cap: u128::MAX,
        title: String::new(),
    }
}

fn source() -> FeedConfig {
    FeedConfig {
        source: Address::ZERO,
        name: B256::ZERO,
        // Half a tick: atoms per lot, times 1e9.
        unit: u128::from(QUANTUM) * 1_000_000_000 / 2,
        max_age: 600_000,
        max_gap: 600_000,
        max_move: Ppm(1_000_000),
    }
}
