//! What a group and its events are made of.

use alloy_primitives::{Address, B256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{AccountId, FeedId, Lots, Ppm, Rate, TimeMs, VenueId};

/// Identity of one risk group: what the EIP-712 domain binds orders to, and what the journal belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Chain id of the contracts.
    pub chain_id: u64,
    /// The risk group contract.
    pub group: Address,
    /// Its settlement token.
    pub token: Address,
    /// Owner of the insurance fund and of the protocol's treasury.
    pub governance: Address,
    /// The terms that it was created with; its inbox may bring others.
    pub terms: GroupTerms,
}

/// What a market charges, and whom it lets in. Mirrors `TradingTerms` in `Types.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradingTerms {
    /// The venue that lists it.
    pub venue: VenueId,
    /// Atoms per tick·lot.
    pub quantum: u64,
    /// Highest fee of an order that took, of value.
    pub taker_fee: Ppm,
    /// Highest fee of an order that made, of value, or its highest rebate.
    pub maker_fee: Rate,
    /// Fees are on `price · (1 − price)` instead of on value.
    pub curve: bool,
    /// Only members of the venue may take new risk.
    pub restricted: bool,
    /// Only isolated accounts may hold it.
    pub isolated_only: bool,
    /// Most lots that an account may hold either way; 0 for no cap.
    pub position_cap: Lots,
    /// Most lots that may be open in a market; 0 for no cap.
    pub open_interest_cap: Lots,
}

impl TradingTerms {
    /// The terms of an open market of that venue: no fees, no caps, nothing restricted.
    #[must_use]
    pub const fn free(venue: VenueId, quantum: u64) -> Self {
        Self {
            venue,
            quantum,
            taker_fee: Ppm(0),
            maker_fee: Rate(0),
            curve: false,
            restricted: false,
            isolated_only: false,
            position_cap: Lots(0),
            open_interest_cap: Lots(0),
        }
    }

    /// The highest rate that an order may be charged.
    #[must_use]
    pub fn highest_fee(&self) -> Ppm {
        self.taker_fee.max(self.maker_fee.fee())
    }
}

/// How the outcome markets of one event trade, and who decides it. Mirrors `EventConfig` in `Types.sol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfig {
    /// What its markets charge, and whom they let in.
    pub terms: TradingTerms,
    /// Number of outcomes, 2 to 128.
    pub outcomes: u8,
    /// Price of certainty; prices run from 1 to `ticks - 1`.
    pub ticks: u32,
    /// Who may resolve the event.
    pub resolver: Address,
    /// What the event asks, for people.
    pub title: String,
    /// What each outcome is called, for people.
    pub labels: Vec<String>,
}

impl EventConfig {
    /// Atoms that a winning lot pays.
    #[must_use]
    pub fn payout_per_lot(&self) -> i128 {
        i128::from(self.ticks) * i128::from(self.terms.quantum)
    }
}

/// What a market trades; the discriminants are the contract's `MarketKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum MarketKind {
    /// Shares of "this outcome pays 1".
    Outcome = 0,
    /// An asset.
    Spot = 1,
    /// Contracts settled in cash, with funding.
    Perpetual = 2,
}

/// An index price: who says it, and what is believed of it. Mirrors `FeedConfig` in `Types.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedConfig {
    /// Contract that verifies prices.
    pub source: Address,
    /// What the source calls it.
    pub name: B256,
    /// Index price per dollar of the source's price: atoms of cash per lot, times 1e9.
    #[serde(with = "crate::Number")]
    pub unit: u128,
    /// Milliseconds after which the last price is too old for new risk.
    pub max_age: u32,
    /// Longest time between two prices, in milliseconds; a longer one makes the price suspect.
    pub max_gap: u32,
    /// Largest move of the last price per second; a larger one is clamped and suspect.
    pub max_move: Ppm,
}

/// A token other than the settlement token: what spot markets trade, and collateral at its weights. Mirrors `AssetConfig` in
/// `Types.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetConfig {
    /// The token.
    pub token: Address,
    /// Its atoms per lot, the unit of its index price and of its spot markets.
    pub lot: u64,
    /// Share of its value that counts towards initial health.
    pub initial_weight: Ppm,
    /// The same for maintenance health; not less.
    pub maintenance_weight: Ppm,
    /// What a keeper pays less than its index price.
    pub conversion_discount: Ppm,
    /// Most atoms that the group takes in.
    #[serde(with = "crate::Number")]
    pub cap: u128,
    /// Its index price.
    pub feed: FeedConfig,
}

/// A spot market. Mirrors `SpotConfig` in `Types.sol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotConfig {
    /// What it charges, and whom it lets in.
    pub terms: TradingTerms,
    /// The asset that its lots are lots of.
    pub asset: FeedId,
    /// What it is called, for people.
    pub title: String,
}

/// A perpetual: linear, settled in cash, margined at its index price. Mirrors `PerpetualConfig` in `Types.sol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerpetualConfig {
    /// What it charges, and whom it lets in.
    pub terms: TradingTerms,
    /// Its index price.
    pub feed: FeedConfig,
    /// Requirement for new risk as a share of notional, by tier.
    pub initial_fractions: [Ppm; 4],
    /// Requirement to stay, by tier; less than the initial one.
    pub maintenance_fractions: [Ppm; 4],
    /// Highest notional of the first three tiers, in millions of atoms, ascending.
    pub tier_bounds: [u32; 3],
    /// What a liquidation or a forced close costs the account, of notional.
    pub penalty: Ppm,
    /// Most that the funding index may move in an hour, of the index price.
    pub funding_cap: Ppm,
    /// Most atoms that this market may cost others.
    #[serde(with = "crate::Number")]
    pub loss_cap: u128,
    /// What it is called, for people.
    pub title: String,
}

/// Where a venue's fees go: shares of each, the rest to the treasury. Mirrors `VenueConfig` in `Types.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueConfig {
    /// Account that receives what is not shared.
    pub treasury: AccountId,
    /// Share of the protocol's treasury.
    pub protocol_share: Ppm,
    /// Share of the insurance fund.
    pub insurance_share: Ppm,
    /// Share of whoever referred the trader.
    pub referrer_share: Ppm,
}

/// What whoever trades much at a venue pays there. Mirrors `FeeTier` in `Types.sol`.
///
/// Of a venue's tiers each is of more volume than the one before, and its shares are not higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeTier {
    /// Atoms that an account must have traded there, taking and making, in the trailing period.
    #[serde(with = "crate::Number")]
    pub volume: u128,
    /// What it pays of a market's taker fee.
    pub taker_share: Ppm,
    /// What it pays of a market's maker fee; a rebate stays as it is.
    pub maker_share: Ppm,
}

impl FeeTier {
    /// Most tiers that a venue has.
    pub const MOST: usize = 8;

    /// Who has traded less than the first tier asks for pays every fee in full.
    pub const NONE: Self = Self { volume: 0, taker_share: Ppm(1_000_000), maker_share: Ppm(1_000_000) };
}

/// What may change of a group while it runs. Mirrors `GroupTerms` in `Types.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTerms {
    /// Whose signature batches need.
    pub sequencer: Address,
    /// Most assets and perpetuals that an account may hold at once.
    pub max_holdings: u8,
    /// What a keeper gets of a liquidation's penalty.
    pub keeper_share: Ppm,
    /// Milliseconds that keepers have before the insurance fund takes over.
    pub grace: u32,
}

impl GroupTerms {
    /// What the deploy script gives a group.
    #[must_use]
    pub const fn usual(sequencer: Address) -> Self {
        Self { sequencer, max_holdings: 16, keeper_share: Ppm(500_000), grace: 5_000 }
    }
}

/// What a key may do for an account. Mirrors `SignerGrant` in `Types.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerGrant {
    /// The key's address.
    pub signer: Address,
    /// Last millisecond at which it may; 0 revokes the key.
    pub expiry: TimeMs,
    /// Highest value in atoms of one order at its limit price; 0 for no limit.
    #[serde(with = "crate::Number")]
    pub max_notional: u128,
    /// May sign orders.
    pub trade: bool,
    /// May sign withdrawals to the owner and transfers to the owner's accounts.
    pub withdraw: bool,
    /// The venues it may trade on; all zero for every venue.
    pub venues: [VenueId; 3],
}

impl SignerGrant {
    /// Whether the key may trade on the venue for so much, at that time.
    #[must_use]
    pub fn may_trade(&self, venue: VenueId, notional: u128, time: TimeMs) -> bool {
        let every_venue = self.venues == [VenueId(0); 3];
        self.trade
            && self.expiry >= time
            && (self.max_notional == 0 || notional <= self.max_notional)
            && (every_venue || (venue != VenueId(0) && self.venues.contains(&venue)))
    }

    /// Whether the key may send money to the owner, at that time.
    #[must_use]
    pub fn may_withdraw(&self, time: TimeMs) -> bool {
        self.withdraw && self.expiry >= time
    }
}

const MINUTE_MS: u64 = 60_000;
const MINUTES_OF_DAY: u64 = 1_440;

/// When a market trades, week for week in UTC. In between its orders wait, and nothing trades. Mirrors `Hours` in `Types.sol`.
///
/// ```
/// use xos_types::{Hours, TimeMs};
///
/// // Monday to Friday, half past two in the afternoon to nine.
/// let hours = Hours { weekdays: 0b001_1111, opens: 14 * 60 + 30, closes: 21 * 60 };
/// // 2026-06-11 was a Thursday, 2026-06-13 a Saturday.
/// let (thursday, hour) = (1_781_136_000_000, 3_600_000);
/// assert!(hours.contains(TimeMs(thursday + 15 * hour)) && !hours.contains(TimeMs(thursday + 21 * hour)));
/// assert!(!hours.contains(TimeMs(thursday + 2 * 24 * hour + 15 * hour)));
/// // It closes in six hours, and after Friday's session opens on Monday.
/// assert_eq!(hours.next_turn(TimeMs(thursday + 15 * hour)), Some(TimeMs(thursday + 21 * hour)));
/// let (friday, monday) = (thursday + 24 * hour, thursday + 4 * 24 * hour);
/// assert_eq!(hours.next_turn(TimeMs(friday + 22 * hour)), Some(TimeMs(monday + 14 * hour + hour / 2)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hours {
    /// The days on which a session opens: bit 0 is Monday, bit 6 Sunday; 0 for a market that never closes.
    pub weekdays: u8,
    /// Minute of the day at which it opens.
    pub opens: u16,
    /// Minute at which it closes, of the next day if it is not later than `opens`.
    pub closes: u16,
}

impl Hours {
    /// Whether a market with these hours trades at a time.
    #[must_use]
    pub fn contains(&self, time: TimeMs) -> bool {
        if self.weekdays == 0 {
            return true;
        }
        let minutes = time.0 / MINUTE_MS;
        let (day, minute) = (minutes / MINUTES_OF_DAY, minutes % MINUTES_OF_DAY);
        let (opens, closes) = (u64::from(self.opens), u64::from(self.closes));
        let over_midnight = closes <= opens;
        let of_today = self.opens_on(day) && minute >= opens && (over_midnight || minute < closes);
        of_today || over_midnight && self.opens_on(day + 6) && minute < closes
    }

    /// When such a market next opens or closes after a time; `None` if it never does.
    #[must_use]
    pub fn next_turn(&self, after: TimeMs) -> Option<TimeMs> {
        let (opens, closes) = (u64::from(self.opens), u64::from(self.closes));
        let length = if closes <= opens { closes + MINUTES_OF_DAY - opens } else { closes - opens };
        let today = after.0 / MINUTE_MS / MINUTES_OF_DAY;
        // A session of yesterday may end today; every weekday comes again within a week.
        let days = (today.saturating_sub(1)..=today + 8).filter(|day| self.opens_on(*day));
        let turns = days.map(|day| day * MINUTES_OF_DAY + opens).flat_map(|opens| [opens, opens + length]);
        let mut turns: Vec<TimeMs> = turns.map(|minutes| TimeMs(minutes * MINUTE_MS)).collect();
        turns.sort_unstable();
        // Where one session ends and the next begins nothing turns.
        let turns_at = |at: &TimeMs| self.contains(*at) != self.contains(TimeMs(at.0 - 1));
        turns.into_iter().filter(|at| *at > after).find(turns_at)
    }

    /// The first of January 1970 was a Thursday, day 3 of the week.
    fn opens_on(&self, day: u64) -> bool {
        self.weekdays >> ((day + 3) % 7) & 1 == 1
    }
}

/// How far a market's life has come: what its deployer, or to stop it the guardian, has set. The discriminants are the contract's
/// `Phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// It takes no orders yet.
    Pending = 1,
    /// Orders wait for a call auction, which is held whenever a frame opens. A market that stays here is one of auctions.
    Auction = 2,
    /// It takes post-only orders, and nothing trades yet.
    PostOnly = 3,
    /// Its markets trade.
    #[default]
    Open = 4,
    /// Positions may only become smaller.
    ReduceOnly = 5,
    /// Nothing trades.
    Halted = 6,
    /// Nothing trades any more: positions in a perpetual are paid at its last price. An event ends by its resolution
    /// instead.
    Delisted = 7,
}
