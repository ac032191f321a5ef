// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    BuilderId,
    EventId,
    FeedId,
    GroupTerms,
    Lots,
    MarketId,
    MarketKind,
    Phase,
    SignerGrant,
    VenueConfig,
    VenueId
} from "./Types.sol";

/// @title What can be asked of a risk group
/// @notice Every answer is as of the last settled batch. Amounts are in atoms of the settlement token unless said
/// otherwise; index prices and funding indices are atoms per lot, times 1e9.
interface IGroupViews {
    /// @notice ERC-5267: what wallets and tools need to know of the group's EIP-712 domain.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );

    struct AccountView {
        address owner;
        int128 cash;
        int128 worstPayoff;
        BuilderId referrer;
        uint64 nonceFloor;
        uint256 held;
    }

    /// @param openInterest Sum of long lots; of outcomes it is counted only where there is a cap.
    struct MarketView {
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
        Lots positionCap;
        Lots openInterestCap;
        uint64 openInterest;
    }

    struct FeedView {
        bool perpetual;
        bool breached;
        uint128 price;
        uint64 time;
        int128 fundingIndex;
        uint64 lot;
        uint24 penalty;
        uint96 loss;
        uint96 lossCap;
        MarketId market;
        address token;
        address source;
    }

    /// @param usd Cash, perpetuals at index price, funding, and events at their worst payoff.
    struct HealthView {
        int256 usd;
        int256 initialEquity;
        int256 maintenanceEquity;
        uint256 initialRequirement;
        uint256 maintenanceRequirement;
        bool blocked;
    }

    function terms() external view returns (GroupTerms memory);

    /// @notice Id, hash, frame time and log sequence of the last settled batch.
    function lastBatch() external view returns (uint64 id, bytes32 hash, uint64 time, uint64 sequence);
    /// @notice The inbox holds items from `head` (the next to consume) up to but excluding `tail`.
    function inbox() external view returns (uint64 head, uint64 tail);
    function inboxHash(uint64 index) external view returns (bytes32);
    /// @notice What accounts own together, the losses that they share, and when the group was frozen (0 if it is not).
    function pool() external view returns (uint128 tokens, uint128 badDebt, uint64 frozenAt);
    /// @notice Number of isolated accounts, and the account behind each number from 0.
    function isolatedCount() external view returns (uint64);
    function isolated(uint64 index) external view returns (AccountId);

    function account(AccountId id) external view returns (AccountView memory);
    /// @notice The account's health at the last settled prices, its events at their worst.
    function health(AccountId id) external view returns (HealthView memory);
    /// @notice What the account holds at a feed: atoms of an asset, or signed lots of a perpetual with its average entry
    /// price in ticks and the funding index that it has paid up to.
    function holding(AccountId id, FeedId feed)
        external
        view
        returns (int256 amount, uint256 entryPrice, int256 paidUpTo);
    /// @notice Lots per outcome that the account holds in an event; negative is short.
    function positions(AccountId id, EventId eventId) external view returns (int64[] memory);
    /// @notice What was paid in of a token less what was taken out: what may leave while the fund is negative.
    function principal(AccountId id, FeedId feed) external view returns (uint128);

    function market(MarketId id) external view returns (MarketView memory);
    /// @notice Ticks per lot that each outcome of a resolved event pays.
    function payouts(EventId id) external view returns (uint64[] memory);
    function feeds() external view returns (uint8);
    function feed(FeedId id) external view returns (FeedView memory);
    function assetFeed(address token) external view returns (FeedId);
    function venue(VenueId id) external view returns (VenueConfig memory);
    function builder(BuilderId id) external view returns (AccountId);
    /// @notice Number of incidents so far, numbered from 0, and the hash of each one's content (`Incident`).
    function incidents() external view returns (uint64);
    function incident(uint64 number) external view returns (bytes32);

    function signer(AccountId id, address key) external view returns (SignerGrant memory);
    function membership(AccountId id, VenueId venue) external view returns (uint64 until);
    function forcedClose(AccountId id, MarketId market) external view returns (uint64 size, uint64 since);
    function flaggedAt(AccountId id) external view returns (uint64);
    /// @notice Whether the nonce can never fill again, and how much of a partly filled order is filled.
    function nonceState(AccountId id, uint64 nonce) external view returns (bool spent, uint64 filled);
    /// @notice What `owner` may `claim` of a token.
    function claimable(address owner, address token) external view returns (uint256);
}
