// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The vocabulary of a risk group: ids, orders, configurations, inbox items and batches.
/// @dev Units. A price is in ticks, a size in lots; a market's `quantum` is the number of cash atoms per tick·lot, so
/// `size · price · quantum` is an exact number of atoms of the settlement token. Index prices and funding indices are
/// cash atoms per lot, times 1e9. Rates are parts per million. Times in orders, items and batches are unix milliseconds.

/// @notice Number of an account in one group; 0 names none, 1 is the insurance fund, 2 the protocol's treasury. With the
/// highest bit set it is an isolated account: `1 | 31 bits of its parent's number | 32 bits of its market`.
type AccountId is uint64;

/// @notice Number of an event in one group; 0 names none.
type EventId is uint24;

/// @notice Number of a market. Markets of one event share their upper 24 bits (the event) and differ in the lowest 8 bits
/// (the outcome, from 0), so what the markets of an event have in common is stored once. Of a spot or perpetual market
/// the lowest 8 bits are 0.
type MarketId is uint32;

/// @notice Number of an index price in one group. Each asset and each perpetual has its own, so it also numbers what an
/// account can hold at such a price: one bit of a word. 0 is the settlement token, which needs no price.
type FeedId is uint8;

/// @notice Number of a venue, and of a builder or referrer; 0 names none.
type VenueId is uint32;
type BuilderId is uint32;

/// @notice An amount to trade, a price, and their product summed over fills.
type Lots is uint64;
type Ticks is uint64;
type TickLots is uint128;

using {eventOf, outcomeOf, listing} for MarketId global;

function eventOf(MarketId market) pure returns (EventId) {
    return EventId.wrap(uint24(MarketId.unwrap(market) >> 8));
}

function outcomeOf(MarketId market) pure returns (uint8) {
    return uint8(MarketId.unwrap(market));
}

/// @notice The number under which the market's terms are stored: its own, or that of its event's first outcome.
function listing(MarketId market) pure returns (MarketId) {
    return MarketId.wrap(MarketId.unwrap(market) & ~uint32(0xFF));
}

/// @notice The market of an event's first outcome, under whose number the event's terms are stored.
function firstMarket(EventId eventId) pure returns (MarketId) {
    return MarketId.wrap(uint32(EventId.unwrap(eventId)) << 8);
}

/// @notice A signature in the compact form of ERC-2098: `vs` is `s` with the parity of `y` in its highest bit.
struct Signature {
    bytes32 r;
    bytes32 vs;
}

// ----------------------------------------------------------------- what people sign

enum Side {
    Buy,
    Sell
}

/// @notice What becomes of the part of an order that does not fill at once.
enum OrderKind {
    GoodTillCancelled,
    ImmediateOrCancel,
    FillOrKill,
    PostOnly
}

/// @notice What a trader signs, alone or as a leaf of a tree.
/// @param price Worst price in ticks that the trader accepts: the highest for a buy, the lowest for a sell.
/// @param nonce With `account`, the order's name for ever: one nonce is one order body.
/// @param expiry Last millisecond (unix) at which the order may fill; 0 for no end.
/// @param maxFee Highest total fee, the builder's included, in parts per million of the filled value.
/// @param builder Who is paid `builderFee`; 0 for nobody.
/// @param builderFee Parts per million of the filled value.
struct Order {
    AccountId account;
    MarketId market;
    Side side;
    OrderKind kind;
    bool reduceOnly;
    Lots size;
    Ticks price;
    uint64 nonce;
    uint64 expiry;
    uint32 maxFee;
    BuilderId builder;
    uint32 builderFee;
}

/// @notice Pay `amount` atoms of `token` to the account's owner.
struct Withdraw {
    AccountId account;
    address token;
    uint128 amount;
    uint64 nonce;
    uint64 expiry;
}

/// @notice Move `amount` atoms of `token` to another account.
/// @param gateway The zero address for an account of the same group, which must be of the same owner and is opened if it
/// is an isolated one; else the gateway of another group, where `to` is a number of that group and 0 opens an account.
struct Transfer {
    AccountId account;
    address gateway;
    AccountId to;
    address token;
    uint128 amount;
    uint64 nonce;
    uint64 expiry;
}

/// @notice A keeper takes up to `size` lots of a failing account's perpetual.
/// @param limit Worst index price (per lot, times 1e9) for the keeper: the highest at which it takes a long position, the
/// lowest for a short one.
struct Liquidate {
    AccountId keeper;
    AccountId account;
    MarketId market;
    Lots size;
    uint128 limit;
    uint64 nonce;
    uint64 expiry;
}

/// @notice A keeper buys up to `amount` atoms of an asset of an account that owes cash.
/// @param limit Highest index price (per lot, times 1e9) at which the keeper buys.
struct Convert {
    AccountId keeper;
    AccountId account;
    FeedId asset;
    uint128 amount;
    uint128 limit;
    uint64 nonce;
    uint64 expiry;
}

/// @notice What a key may do for an account.
/// @param expiry Last millisecond at which it may; 0 revokes the key.
/// @param maxNotional Highest value in atoms of one order at its limit price; 0 for no limit.
/// @param trade May sign orders, liquidations and conversions.
/// @param withdraw May sign withdrawals to the owner and transfers to the owner's accounts.
/// @param venues The venues it may trade on; all zero for every venue.
struct SignerGrant {
    address signer;
    uint64 expiry;
    uint96 maxNotional;
    bool trade;
    bool withdraw;
    VenueId[3] venues;
}

// ----------------------------------------------------------------- configurations

enum MarketKind {
    Outcome,
    Spot,
    Perpetual
}

/// @notice How far a market's life has come. The order of the values is part of the protocol.
/// @dev Settlement tells four cases apart: fills (`Open`, `Auction`), fills that only reduce (`ReduceOnly`), redemption
/// (`Delisted`, also of a resolved event), and nothing at all (the others).
enum Phase {
    None,
    Pending,
    Auction,
    PostOnly,
    Open,
    ReduceOnly,
    Halted,
    Delisted
}

/// @notice When a market trades, week for week in UTC. In between its orders wait, and nothing trades.
/// @param weekdays The days on which a session opens: bit 0 is Monday, bit 6 Sunday; 0 for a market that never closes.
/// @param opens Minute of the day at which it opens.
/// @param closes Minute at which it closes, of the next day if it is not later than `opens`.
struct Hours {
    uint8 weekdays;
    uint16 opens;
    uint16 closes;
}

/// @notice What a market charges, and whom it lets in.
/// @param venue The venue that lists it.
/// @param quantum Cash atoms per tick·lot.
/// @param takerFee Highest fee of an order that took, parts per million.
/// @param makerFee Highest fee of an order that made; negative for a rebate, which takers' fees of the frame must cover.
/// @param curve For outcomes: fees are on `price · (1 − price)` instead of on value.
/// @param restricted Only members of the venue may take new risk.
/// @param isolatedOnly Only isolated accounts may hold it.
/// @param positionCap Most lots that an account may hold either way; 0 for no cap.
/// @param openInterestCap Most lots that may be open in a market; 0 for no cap.
struct TradingTerms {
    VenueId venue;
    uint64 quantum;
    uint24 takerFee;
    int24 makerFee;
    bool curve;
    bool restricted;
    bool isolatedOnly;
    Lots positionCap;
    Lots openInterestCap;
}

/// @notice An index price: who says it, and what is believed of it.
/// @param source Contract that verifies prices (`IPriceSource`).
/// @param name What the source calls it.
/// @param unit Index price per dollar of the source's price: atoms of cash per lot, times 1e9.
/// @param maxAge Milliseconds after which the last price is too old for new risk.
/// @param maxGap Longest time between two prices, in milliseconds; a longer gap is an incident.
/// @param maxMove Largest move in parts per million of the last price per second; a larger one is clamped, an incident.
struct FeedConfig {
    address source;
    bytes32 name;
    uint96 unit;
    uint32 maxAge;
    uint32 maxGap;
    uint32 maxMove;
}

/// @notice A token other than the settlement token: what spot markets trade, and collateral at its weights.
/// @param lot Atoms of the token per lot, the unit of its index price and of its spot markets.
/// @param initialWeight Share of its value that counts towards initial health, parts per million.
/// @param maintenanceWeight The same for maintenance health; not less.
/// @param conversionDiscount What a keeper pays less than its index price, parts per million.
/// @param cap Most atoms that the group takes in.
struct AssetConfig {
    address token;
    uint64 lot;
    uint24 initialWeight;
    uint24 maintenanceWeight;
    uint24 conversionDiscount;
    uint128 cap;
    FeedConfig feed;
}

/// @notice How the outcome markets of one event trade, and who decides it.
/// @param outcomes Number of outcomes, 2 to 128; exactly one pays, or they share the payout.
/// @param ticks Price of certainty: a winning lot pays `ticks · quantum` atoms; prices run from 1 to `ticks - 1`.
/// @param resolver The one address that may resolve the event.
/// @param title What the event asks, for people.
/// @param labels What each outcome is called, for people, one per outcome.
struct EventConfig {
    TradingTerms terms;
    uint8 outcomes;
    uint32 ticks;
    address resolver;
    string title;
    string[] labels;
}

/// @param asset The asset that its lots are lots of.
struct SpotConfig {
    TradingTerms terms;
    FeedId asset;
    string title;
}

/// @notice A perpetual: linear, settled in cash, margined at its index price.
/// @param initialFractions Requirement for new risk as a share of notional, by tier, parts per million.
/// @param maintenanceFractions Requirement to stay, by tier; less than the initial one.
/// @param tierBounds Highest notional of the first three tiers, in millions of atoms (dollars, at 6 decimals), ascending.
/// @param penalty What a liquidation or a forced close costs the account, parts per million of notional; at most the lowest maintenance
/// fraction, so that a liquidation never makes an account worse.
/// @param fundingCap Most that the funding index may move in an hour, parts per million of the index price.
/// @param lossCap Most atoms that this market may cost others: what the fund loses on takeovers, and what accounts without
/// equity owe when keepers take their positions. Beyond it the opposite side is deleveraged.
struct PerpetualConfig {
    TradingTerms terms;
    FeedConfig feed;
    uint24[4] initialFractions;
    uint24[4] maintenanceFractions;
    uint32[3] tierBounds;
    uint24 penalty;
    uint32 fundingCap;
    uint96 lossCap;
    string title;
}

/// @notice Where a venue's fees go: shares in parts per million of each, the rest to `treasury`.
struct VenueConfig {
    AccountId treasury;
    uint24 protocolShare;
    uint24 insuranceShare;
    uint24 referrerShare;
}

/// @notice What whoever trades much at a venue pays there. The sequencer keeps count of volumes; batches are held to the rates of
/// the markets themselves, which a tier only ever lowers.
/// @param volume Atoms that an account must have traded there, taking and making, in the trailing period.
/// @param takerShare What it pays of a market's `takerFee`, parts per million.
/// @param makerShare What it pays of a market's `makerFee`, parts per million; a rebate stays as it is.
struct FeeTier {
    uint128 volume;
    uint24 takerShare;
    uint24 makerShare;
}

/// @notice What may change of a group while it runs.
/// @param sequencer Whose signature batches need.
/// @param maxHoldings Most assets and perpetuals that an account may hold at once.
/// @param keeperShare What a keeper gets of a liquidation's penalty, parts per million; the insurance fund gets the rest.
/// @param grace Milliseconds that keepers have before the insurance fund takes over.
struct GroupTerms {
    address sequencer;
    uint8 maxHoldings;
    uint24 keeperShare;
    uint32 grace;
}

// ----------------------------------------------------------------- inbox

/// @notice What the chain tells the sequencer. The order of the values is part of the protocol.
enum InboxKind {
    /// payload: `abi.encode(AccountId account, address owner, address token, uint128 amount)`
    Deposit,
    /// payload: `abi.encode(EventId eventId, EventConfig config)`
    EventOpened,
    /// payload: `abi.encode(EventId eventId, uint64[] payouts)`, in ticks per lot, one per outcome
    EventResolved,
    /// payload: `abi.encode(AccountId account, address token, uint128 amount)`
    ForcedWithdrawal,
    /// payload: `abi.encode(AccountId account, uint64 floor)`; every nonce below is spent
    CancelAll,
    /// payload: `abi.encode(AccountId account, MarketId market)`
    ForcedClose,
    /// payload: `abi.encode(Liquidate)`, as its keeper's owner asked by transaction
    ForcedLiquidation,
    /// payload: `abi.encode(AccountId account, SignerGrant grant)`
    SignerSet,
    /// payload: `abi.encode(AccountId account, VenueId venue, uint64 until)`
    MembershipSet,
    /// payload: `abi.encode(AccountId account, BuilderId referrer)`
    ReferrerSet,
    /// payload: `abi.encode(BuilderId builder, AccountId account)`
    BuilderSet,
    /// payload: `abi.encode(VenueId venue, VenueConfig config)`
    VenueSet,
    /// payload: `abi.encode(FeedId feed, AssetConfig config)`; listing it again changes all but the token and the lot
    AssetSet,
    /// payload: `abi.encode(MarketId market, SpotConfig config)`
    SpotListed,
    /// payload: `abi.encode(MarketId market, FeedId feed, PerpetualConfig config)`; listing it again changes all but the
    /// feed and the quantum
    PerpetualSet,
    /// payload: `abi.encode(MarketId market, Phase phase)`
    PhaseSet,
    /// payload: `abi.encode(GroupTerms terms)`
    TermsSet,
    /// payload: `abi.encode(MarketId market, Hours tradingHours)`; the sequencer keeps them
    HoursSet,
    /// payload: `abi.encode(VenueId venue, FeeTier[] tiers)`; the sequencer keeps them
    FeeTiersSet
}

/// @param time Block time (unix milliseconds) at which the item was queued.
struct InboxItem {
    InboxKind kind;
    uint64 time;
    bytes payload;
}

// ----------------------------------------------------------------- batches

/// @notice A feed's price for the frame, as its source verifies it.
struct PriceUpdate {
    FeedId feed;
    bytes proof;
}

/// @notice A perpetual's cumulative funding: what a long lot has paid since the market began, atoms times 1e9.
struct FundingUpdate {
    FeedId feed;
    int128 index;
}

/// @notice Pays an account for its positions in a resolved event or a delisted perpetual and clears them.
struct Redemption {
    AccountId account;
    MarketId market;
}

/// @notice What happens when an account fails (`IRiskGroup`, "accounts that fail"), in the order in which it happened.
enum RescueKind {
    /// payload: `abi.encode(AccountId account)`: its maintenance health is below zero; the keepers' time begins
    Flag,
    /// payload: `abi.encode(Liquidate, Signature)`
    Liquidation,
    /// payload: `abi.encode(Convert, Signature)`
    Conversion,
    /// payload: `abi.encode(AccountId account, MarketId market)`: the insurance fund takes the position
    Takeover,
    /// payload: `abi.encode(AccountId account, MarketId market, Counterparty[])`
    Deleveraging,
    /// payload: `abi.encode(AccountId account)`: nothing is left but a debt
    Bankruptcy
}

struct Rescue {
    RescueKind kind;
    bytes payload;
}

/// @notice An account that is deleveraged, and by how much.
struct Counterparty {
    AccountId account;
    Lots size;
}

/// @notice One signature for many orders: EIP-712 `OrderTree(bytes32 root)`, `root` that of a Merkle tree (pairs hashed in
/// ascending order) whose leaves are the orders' struct hashes.
/// @param depth Number of proof words of each order.
/// @param proofs The proofs of the batch's fills that name this tree, one after the other in the order of the fills.
struct OrderTree {
    bytes32 root;
    Signature signature;
    uint8 depth;
    bytes32[] proofs;
}

/// @notice One order's netted execution in a frame: an order that met forty others is one line.
/// @param filled Lots filled in this frame.
/// @param notional Sum of size·price over those fills.
/// @param fee Atoms charged for those fills, without the builder's; negative for a rebate.
/// @param tree 0 for an order with a signature of its own; else the number, from 1, of the batch's tree that holds it;
/// `FORCED` for a forced close, which has no signature.
struct Fill {
    Order order;
    Lots filled;
    TickLots notional;
    int128 fee;
    uint32 tree;
    Signature signature;
}

uint32 constant FORCED = type(uint32).max;

/// @notice Every fill of one market in a frame; their signed sizes and notionals sum to zero.
struct MarketFills {
    MarketId market;
    Fill[] fills;
}

struct SignedWithdraw {
    Withdraw withdraw;
    Signature signature;
}

struct SignedTransfer {
    Transfer transfer;
    Signature signature;
}

/// @notice One settled frame. Its parts are applied in the order in which they stand here.
/// @param id Follows the last settled batch; the first is 1.
/// @param parent Hash of the batch before; zero for the first.
/// @param time The frame's time, unix milliseconds.
/// @param sequence Sequence number of the log's last command in the frame.
/// @param logHash Rolling hash of the log at `sequence`.
/// @param inbox The inbox items that the frame consumes, from the head on, re-supplied in full.
struct Batch {
    uint64 id;
    bytes32 parent;
    uint64 time;
    uint64 sequence;
    bytes32 logHash;
    InboxItem[] inbox;
    PriceUpdate[] prices;
    FundingUpdate[] funding;
    Redemption[] redemptions;
    Rescue[] rescues;
    OrderTree[] trees;
    MarketFills[] markets;
    SignedWithdraw[] withdrawals;
    SignedTransfer[] transfers;
}
