// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The vocabulary of a risk group: ids, orders, inbox items and batches.
/// @dev Units. `price` is in ticks, `size` in lots; a market's `quantum` is the number of cash atoms per tick·lot, so
/// `size · price · quantum` is an exact number of atoms of the settlement token. Rates are parts per million. Times in
/// orders and batches are unix milliseconds.

/// @notice Number of an account in one group; 0 names none.
type AccountId is uint64;

/// @notice Number of an event in one group; 0 names none.
type EventId is uint24;

/// @notice Number of a market. Markets of one event share their upper 24 bits (the event) and differ in the lowest
/// 8 bits (the outcome, from 0), so what the markets of an event have in common is stored once.
type MarketId is uint32;

using {eventOf, outcomeOf} for MarketId global;

function eventOf(MarketId market) pure returns (EventId) {
    return EventId.wrap(uint24(MarketId.unwrap(market) >> 8));
}

function outcomeOf(MarketId market) pure returns (uint8) {
    return uint8(MarketId.unwrap(market));
}

/// @notice A signature in the compact form of ERC-2098: `vs` is `s` with the parity of `y` in its highest bit.
struct Signature {
    bytes32 r;
    bytes32 vs;
}

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

/// @notice What a trader signs.
/// @param price Worst price in ticks that the trader accepts: the highest for a buy, the lowest for a sell.
/// @param nonce With `account`, the order's name for ever: one nonce is one order body.
/// @param expiry Last millisecond (unix) at which the order may fill; 0 for no end.
/// @param maxFee Highest total fee in parts per million of the filled value.
struct Order {
    AccountId account;
    MarketId market;
    Side side;
    OrderKind kind;
    bool reduceOnly;
    uint64 size;
    uint64 price;
    uint64 nonce;
    uint64 expiry;
    uint32 maxFee;
    uint32 builder;
    uint32 builderFee;
}

/// @notice A signed request to pay `amount` atoms of `token` to the account's owner.
struct Withdraw {
    AccountId account;
    address token;
    uint128 amount;
    uint64 nonce;
    uint64 expiry;
}

/// @notice One order's netted execution in a frame: an order that met forty others is one line.
/// @param filled Lots filled in this frame.
/// @param notional Sum of size·price over those fills, in tick·lots.
/// @param fee Fee in atoms charged for those fills.
struct Fill {
    Order order;
    uint64 filled;
    uint128 notional;
    uint128 fee;
    Signature signature;
}

/// @notice Every fill of one market in a frame; their signed sizes and notionals sum to zero.
struct MarketFills {
    MarketId market;
    Fill[] fills;
}

/// @notice Pays an account for its positions in a resolved event and clears them.
struct Redemption {
    AccountId account;
    EventId eventId;
}

struct SignedWithdraw {
    Withdraw withdraw;
    Signature signature;
}

/// @notice What the chain tells the sequencer. The order of the values is part of the protocol.
enum InboxKind {
    /// payload: `abi.encode(AccountId account, address owner, address token, uint128 amount)`
    Deposit,
    /// payload: `abi.encode(EventId eventId, EventConfig config)`
    EventOpened,
    /// payload: `abi.encode(EventId eventId, uint64[] payouts)`, in ticks per lot, one per outcome
    EventResolved,
    /// payload: `abi.encode(AccountId account, address token, uint128 amount)`
    ForcedWithdrawal
}

/// @param time Block time (unix milliseconds) at which the item was queued.
struct InboxItem {
    InboxKind kind;
    uint64 time;
    bytes payload;
}

/// @notice How the outcome markets of one event trade, and who decides it.
/// @param venue The venue that lists it.
/// @param outcomes Number of outcomes, 2 to 128; exactly one pays, or they share the payout.
/// @param ticks Price of certainty: a winning lot pays `ticks · quantum` atoms; prices run from 1 to `ticks - 1`.
/// @param quantum Cash atoms per tick·lot.
/// @param takerFee Highest taker fee of the venue, parts per million of value.
/// @param makerFee Highest maker fee of the venue, parts per million of value.
/// @param treasury Account that receives the fees.
/// @param resolver The one address that may resolve the event.
/// @param title What the event asks, for people.
/// @param labels What each outcome is called, for people, one per outcome.
struct EventConfig {
    uint32 venue;
    uint8 outcomes;
    uint64 ticks;
    uint64 quantum;
    uint32 takerFee;
    uint32 makerFee;
    AccountId treasury;
    address resolver;
    string title;
    string[] labels;
}

/// @notice One settled frame.
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
    Redemption[] redemptions;
    MarketFills[] markets;
    SignedWithdraw[] withdrawals;
}
