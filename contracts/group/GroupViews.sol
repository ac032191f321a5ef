// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Board} from "./Board.sol";
import {Holdings} from "./Holdings.sol";
import {IGroupViews} from "./IGroupViews.sol";
import {Ledger} from "./Ledger.sol";
import {Margin} from "./Margin.sol";
import {Nonces} from "./Nonces.sol";
import {Positions} from "./Positions.sol";
import {Account, Feed, ForcedClose, Grant, GroupState, LastBatch, Market, MarketTerms} from "./State.sol";
import {TypedData} from "./TypedData.sol";
import {
    AccountId,
    BuilderId,
    EventId,
    FeedId,
    GroupTerms,
    MarketId,
    SignerGrant,
    VenueConfig,
    VenueId,
    firstMarket
} from "./Types.sol";

/// @notice What can be asked of a risk group: `IGroupViews`, read from the group's storage.
/// @dev `RiskGroup` runs this code on its own storage for every call that it does not know, so every function here must be
/// a view, and `s()` must be where the group keeps its state.
// A library cannot inherit from an interface.
// slither-disable-next-line missing-inheritance
library GroupViews {
    using Margin for Margin.Health;
    using Nonces for Nonces.Ledger;
    using Positions for Positions.Ledger;

    /// @dev `GroupStorage` is the first contract that `RiskGroup` inherits from, so its state begins at slot 0.
    function s() private pure returns (GroupState storage state) {
        assembly ("memory-safe") {
            state.slot := 0
        }
    }

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
        )
    {
        // Name, version, chain and contract; run by the group, so `this` is the group.
        return (hex"0f", TypedData.NAME, TypedData.VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    function terms() external view returns (GroupTerms memory) {
        return s().terms;
    }

    function lastBatch() external view returns (uint64 id, bytes32 hash, uint64 time, uint64 sequence) {
        LastBatch memory last = s().last;
        return (last.id, last.hash, last.time, last.sequence);
    }

    function inbox() external view returns (uint64 head, uint64 tail) {
        return (s().inbox.head, s().inbox.tail);
    }

    function inboxHash(uint64 index) external view returns (bytes32) {
        return s().inbox.entries[index].hash;
    }

    function pool() external view returns (uint128 tokens, uint128 badDebt, uint64 frozenAt) {
        return (s().pool, s().badDebt, s().last.frozenAt);
    }

    function isolatedCount() external view returns (uint64) {
        return s().isolatedCount;
    }

    function isolated(uint64 index) external view returns (AccountId) {
        return s().isolated[index];
    }

    function account(AccountId id) external view returns (IGroupViews.AccountView memory) {
        Account storage account_ = s().accounts[id];
        return IGroupViews.AccountView({
            owner: account_.owner,
            cash: account_.cash,
            worstPayoff: account_.worstPayoff,
            referrer: BuilderId.wrap(account_.referrer),
            nonceFloor: account_.nonceFloor,
            held: account_.held
        });
    }

    function health(AccountId id) external view returns (IGroupViews.HealthView memory) {
        Margin.Health memory now_ = Margin.health(s(), Board.open(s(), s().last.time), id);
        return IGroupViews.HealthView({
            usd: now_.usd,
            initialEquity: now_.initialEquity,
            maintenanceEquity: now_.maintenanceEquity,
            initialRequirement: now_.initialRequirement,
            maintenanceRequirement: now_.maintenanceRequirement,
            blocked: now_.blocked
        });
    }

    function holding(AccountId id, FeedId feed_)
        external
        view
        returns (int256 amount, uint256 entryPrice, int256 paidUpTo)
    {
        uint256 word = Holdings.read(s(), id, feed_);
        // casting to 'int256' is safe because a settled balance is not negative
        // forge-lint: disable-next-line(unsafe-typecast)
        if (!s().feed[feed_].perpetual) return (int256(word), 0, 0);
        return (Holdings.size(word), Holdings.entry(word), Holdings.paidUpTo(word));
    }

    function positions(AccountId id, EventId eventId) external view returns (int64[] memory) {
        return s().positions.list(id, eventId, s().markets[firstMarket(eventId)].terms.outcomes);
    }

    function principal(AccountId id, FeedId feed_) external view returns (uint128) {
        return s().principal[Holdings.key(id, feed_)];
    }

    function market(MarketId id) external view returns (IGroupViews.MarketView memory) {
        Market storage record = s().markets[id.listing()];
        MarketTerms memory terms_ = record.terms;
        return IGroupViews.MarketView({
            venue: terms_.venue,
            kind: terms_.kind,
            phase: terms_.phase,
            outcomes: terms_.outcomes,
            feed: terms_.feed,
            ticks: terms_.ticks,
            quantum: terms_.quantum,
            takerFee: terms_.takerFee,
            makerFee: terms_.makerFee,
            curve: terms_.curve,
            restricted: terms_.restricted,
            isolatedOnly: terms_.isolatedOnly,
            positionCap: record.positionCap,
            openInterestCap: record.openInterestCap,
            openInterest: s().openInterest[id]
        });
    }

    function payouts(EventId id) external view returns (uint64[] memory) {
        return s().markets[firstMarket(id)].payouts;
    }

    function feeds() external view returns (uint8) {
        return s().inbox.feeds;
    }

    function feed(FeedId id) external view returns (IGroupViews.FeedView memory) {
        Feed storage feed_ = s().feed[id];
        return IGroupViews.FeedView({
            perpetual: feed_.perpetual,
            breached: feed_.breached,
            price: feed_.price,
            time: feed_.time,
            fundingIndex: feed_.fundingIndex,
            lot: feed_.lot,
            penalty: feed_.penalty,
            loss: feed_.loss,
            lossCap: feed_.lossCap,
            market: feed_.market,
            token: feed_.token,
            source: feed_.source
        });
    }

    function assetFeed(address token) external view returns (FeedId) {
        return s().assets[token];
    }

    function venue(VenueId id) external view returns (VenueConfig memory) {
        return s().venues[id];
    }

    function builder(BuilderId id) external view returns (AccountId) {
        return s().builders[id];
    }

    function incidents() external view returns (uint64) {
        return s().incidentCount;
    }

    function incident(uint64 number) external view returns (bytes32) {
        return s().incidents[number];
    }

    function signer(AccountId id, address key) external view returns (SignerGrant memory grant) {
        Grant memory stored = s().signers[Ledger.parentOf(id)][key];
        grant.signer = key;
        (grant.expiry, grant.maxNotional) = (stored.expiry, stored.maxNotional);
        (grant.trade, grant.withdraw) = (stored.trade, stored.withdraw);
        grant.venues = [VenueId.wrap(stored.venue0), VenueId.wrap(stored.venue1), VenueId.wrap(stored.venue2)];
    }

    function membership(AccountId id, VenueId venue_) external view returns (uint64 until) {
        return s().memberships[Ledger.parentOf(id)][venue_];
    }

    function forcedClose(AccountId id, MarketId market_) external view returns (uint64 size, uint64 since) {
        ForcedClose memory forced = s().forced[id][market_];
        return (forced.size, forced.time);
    }

    function flaggedAt(AccountId id) external view returns (uint64) {
        return s().flagged[id];
    }

    function nonceState(AccountId id, uint64 nonce) external view returns (bool spent, uint64 filled) {
        (spent, filled) = s().nonces.state(id, nonce);
        if (nonce < s().accounts[id].nonceFloor) spent = true;
    }

    function claimable(address owner, address token) external view returns (uint256) {
        return s().claimable[owner][token];
    }
}
