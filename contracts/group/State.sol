// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Inbox} from "./Inbox.sol";
import {Nonces} from "./Nonces.sol";
import {Positions} from "./Positions.sol";
import {
    AccountId,
    BuilderId,
    FeedId,
    GroupTerms,
    Lots,
    MarketId,
    MarketKind,
    Phase,
    VenueConfig,
    VenueId
} from "./Types.sol";

/// @notice An account's money and what it holds.
/// @param cash Atoms; negative while positions back it.
/// @param worstPayoff Sum over events of the least that the account's positions there can pay, in atoms.
/// @param owner Whose account it is; zero if it does not exist.
/// @param referrer Who is paid a share of its fees; 0 for nobody.
/// @param holds Whether there is anything in `held`, so that who trades outcomes only never pays for a look at it.
/// @param nonceFloor Every nonce below is spent. The highest value closes the account: nothing can be signed for it.
/// @param held The feeds of the assets and perpetuals that it holds, a bit each.
struct Account {
    int128 cash;
    int128 worstPayoff;
    address owner;
    uint24 referrer;
    bool holds;
    uint64 nonceFloor;
    uint256 held;
}

/// @notice What every fill of a market needs to know, in one slot.
/// @param capped Whether there is a cap to look at.
struct MarketTerms {
    VenueId venue;
    MarketKind kind;
    Phase phase;
    uint8 outcomes;
    FeedId feed;
    uint32 ticks;
    uint64 quantum;
    uint24 takerFee;
    int24 makerFee;
    bool curve;
    bool restricted;
    bool isolatedOnly;
    bool capped;
}

/// @notice A listing: a spot market, a perpetual, or an event with its outcome markets.
/// @param payouts Ticks per lot and outcome, once an event is resolved.
struct Market {
    MarketTerms terms;
    Lots positionCap;
    Lots openInterestCap;
    uint64[] payouts;
}

/// @notice An index price, and how what is held at that price counts.
/// @dev The first three slots are what margin reads; `Board` reads them as words.
/// @param price Atoms per lot, times 1e9; 0 before the first.
/// @param time When that price was published.
/// @param perpetual Whether a perpetual is held at it, or an asset.
/// @param breached Whether the last price broke a rule; until a clean one its market only reduces.
/// @param fundingIndex What a long lot has paid so far, atoms times 1e9. Of an asset 0.
/// @param fundingTime Frame time of the last change of the index.
/// @param lot Atoms of the token per lot. Of a perpetual 0.
/// @param risk Tiers of a perpetual or weights of an asset, as `Margin` packs them.
/// @param source Who verifies prices; zero when nobody will any more (delisted).
/// @param penalty Of a perpetual the liquidation's penalty, of an asset the conversion's discount.
/// @param loss What the insurance fund has lost on takeovers here so far.
/// @param token The asset.
struct Feed {
    uint128 price;
    uint64 time;
    uint32 maxAge;
    bool perpetual;
    bool breached;
    int128 fundingIndex;
    uint64 fundingTime;
    uint64 lot;
    uint256 risk;
    address source;
    uint96 unit;
    bytes32 name;
    uint32 maxGap;
    uint32 maxMove;
    uint24 penalty;
    uint32 fundingCap;
    uint96 lossCap;
    MarketId market;
    uint96 loss;
    address token;
}

/// @notice A key that may act for an account, in one slot.
struct Grant {
    uint48 expiry;
    uint96 maxNotional;
    bool trade;
    bool withdraw;
    uint32 venue0;
    uint32 venue1;
    uint32 venue2;
}

/// @notice A close that an owner has forced: how much of it is left, and since when.
struct ForcedClose {
    uint64 size;
    uint64 time;
}

/// @param frozenAt Block time (unix milliseconds) at which the group was frozen; 0 while it lives.
struct LastBatch {
    bytes32 hash;
    uint64 id;
    uint64 time;
    uint64 sequence;
    uint64 frozenAt;
}

/// @notice All that a risk group knows. One struct, so that the linked libraries of `settle` work on it by reference.
/// @param assets The feed of a token.
/// @param holdings By account and feed: a perpetual position's word or an asset's balance (`Holdings`).
/// @param principal By account and feed: what was put in less what was taken out, floored at 0.
/// @param pool Atoms of the settlement token that accounts own together.
/// @param badDebt What accounts own on paper beyond that: losses that all of them share.
/// @param incidents By number, from 0: the hash of an `Incident`'s content.
struct GroupState {
    LastBatch last;
    GroupTerms terms;
    Inbox.Queue inbox;
    uint128 pool;
    uint128 badDebt;
    uint64 incidentCount;
    uint64 isolatedCount;
    mapping(AccountId => Account) accounts;
    mapping(uint64 index => AccountId) isolated;
    mapping(MarketId listing => Market) markets;
    mapping(MarketId => uint64) openInterest;
    mapping(FeedId => Feed) feed;
    mapping(address token => FeedId) assets;
    mapping(VenueId => VenueConfig) venues;
    mapping(BuilderId => AccountId) builders;
    Positions.Ledger positions;
    Nonces.Ledger nonces;
    mapping(uint256 accountFeed => uint256 word) holdings;
    mapping(uint256 accountFeed => uint128) principal;
    mapping(AccountId => mapping(address signer => Grant)) signers;
    mapping(AccountId => mapping(VenueId => uint64 until)) memberships;
    mapping(AccountId => mapping(MarketId => ForcedClose)) forced;
    mapping(AccountId => uint64 time) flagged;
    mapping(address owner => mapping(address token => uint256)) claimable;
    mapping(uint64 => bytes32) incidents;
}

/// @notice Where a group keeps its state: at slot 0 of whatever inherits from this first.
abstract contract GroupStorage {
    GroupState internal _s;
}
