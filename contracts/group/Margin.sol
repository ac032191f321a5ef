// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Board} from "./Board.sol";
import {Holdings} from "./Holdings.sol";
import {PPM, PRICE_SCALE, Rounding} from "./Rounding.sol";
import {Account, GroupState} from "./State.sol";
import {Touched} from "./Touched.sol";
import {AccountId, FeedId} from "./Types.sol";

/// @notice What an account is worth and what it must be worth (DESIGN.md, section 5):
///
///     usd      = cash + Σ perpetuals ⌊size·index⌋ + Σ ⌊funding⌋ + Σ events' worst payoff
///     equity*  = usd + Σ assets ⌊⌊balance·index⌋·weight*⌋
///     require* = Σ perpetuals ⌈⌈|size|·index⌉·fraction*⌉
///     health*  = equity* − require*          (* initial or maintenance)
///
/// @dev Every division rounds against the account. Amounts: sizes are int64, balances uint128, prices uint128, so no
/// product reaches 2^192 and a sum over 255 holdings none 2^200.
library Margin {
    using Board for Board.Prices;

    /// @param holdings How many assets and perpetuals the account holds, and which: a bit each.
    /// @param overdrawn An asset of which the account has sold more than it had; 0 for none.
    /// @param blocked A perpetual's price is stale: no new risk, nothing may leave. A stale asset counts for nothing towards
    /// initial health instead.
    struct Health {
        int256 usd;
        int256 initialEquity;
        int256 maintenanceEquity;
        uint256 initialRequirement;
        uint256 maintenanceRequirement;
        uint256 holdings;
        uint256 held;
        bool blocked;
        FeedId overdrawn;
    }

    function initial(Health memory self) internal pure returns (int256) {
        return self.initialEquity - int256(self.initialRequirement);
    }

    function maintenance(Health memory self) internal pure returns (int256) {
        return self.maintenanceEquity - int256(self.maintenanceRequirement);
    }

    /// @notice The account's health as it is.
    function health(GroupState storage s, Board.Prices memory board, AccountId id)
        internal
        view
        returns (Health memory result)
    {
        Account storage account = s.accounts[id];
        result.usd = int256(account.cash) + account.worstPayoff;
        _weigh(s, board, id, account.held, false, result);
    }

    /// @notice The account's health as it was before the batch, at the batch's prices, its funding paid. For listed accounts.
    function healthBefore(GroupState storage s, Board.Prices memory board, AccountId id)
        internal
        view
        returns (Health memory result)
    {
        result.usd = Touched.moneyBefore(id);
        // Bits of what was sold off in the batch are still set: they go when the account has been judged.
        _weigh(s, board, id, s.accounts[id].held, true, result);
    }

    /// @notice What a perpetual position counts for.
    /// @return value Atoms, rounded down.
    /// @return initialRequirement Atoms, rounded up.
    /// @return maintenanceRequirement Atoms, rounded up.
    function weighPerpetual(uint256 price, uint256 tiers, int256 size)
        internal
        pure
        returns (int256 value, uint256 initialRequirement, uint256 maintenanceRequirement)
    {
        // A size is an int64, a price below 2^128, a fraction below 2^20: no product reaches 2^212.
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast)
            value = Rounding.floor(size * int256(price), PRICE_SCALE);
            uint256 notional = Rounding.up(Rounding.abs(size) * price, PRICE_SCALE);
            (uint256 initialFraction, uint256 maintenanceFraction) = fractions(tiers, notional);
            initialRequirement = Rounding.up(notional * initialFraction, PPM);
            maintenanceRequirement = Rounding.up(notional * maintenanceFraction, PPM);
        }
    }

    /// @notice What an asset's balance is worth, in atoms of cash, rounded down.
    function assetValue(uint256 price, uint256 lot, uint256 balance) internal pure returns (uint256) {
        return balance * price / (lot * PRICE_SCALE);
    }

    // ----------------------------------------------------------------- packed terms

    /// @dev Tiers: bounds (three of 32 bits, in millions of atoms) in the low 96 bits, then four initial and four maintenance
    /// fractions of 20 bits each.
    function packTiers(uint24[4] memory initial_, uint24[4] memory maintenance_, uint32[3] memory bounds)
        internal
        pure
        returns (uint256 tiers)
    {
        for (uint256 i = 0; i < 3; ++i) {
            tiers |= uint256(bounds[i]) << 32 * i;
        }
        for (uint256 i = 0; i < 4; ++i) {
            tiers |= uint256(initial_[i]) << 96 + 20 * i | uint256(maintenance_[i]) << 176 + 20 * i;
        }
    }

    /// @notice The fractions of the tier that a notional in atoms falls in.
    function fractions(uint256 tiers, uint256 notional) internal pure returns (uint256 initial_, uint256 maintenance_) {
        uint256 tier;
        while (tier < 3 && notional > (tiers >> 32 * tier & type(uint32).max) * 1e6) ++tier;
        initial_ = tiers >> 96 + 20 * tier & 0xFFFFF;
        maintenance_ = tiers >> 176 + 20 * tier & 0xFFFFF;
    }

    function packWeights(uint24 initial_, uint24 maintenance_) internal pure returns (uint256) {
        return uint256(maintenance_) << 24 | initial_;
    }

    // ----------------------------------------------------------------- the sum over what is held

    function _weigh(
        GroupState storage s,
        Board.Prices memory board,
        AccountId id,
        uint256 held,
        bool before,
        Health memory result
    ) private view {
        while (held != 0) {
            uint256 bit = held & (~held + 1);
            held ^= bit;
            // casting to 'uint8' is safe because a bit of a word has such a number
            // forge-lint: disable-next-line(unsafe-typecast)
            FeedId feed = FeedId.wrap(uint8(Math.log2(bit)));
            uint256 place = board.find(s, feed);
            uint256 word = Holdings.read(s, id, feed);
            bool counts = board.isPerpetual(place)
                ? _addPerpetual(board, place, id, feed, word, before, result)
                : _addAsset(board, place, id, feed, word, before, result);
            if (!counts) continue;
            ++result.holdings;
            result.held |= bit;
        }
        // Until here the equities were those of the assets alone.
        result.initialEquity += result.usd;
        result.maintenanceEquity += result.usd;
    }

    function _addPerpetual(
        Board.Prices memory board,
        uint256 place,
        AccountId id,
        FeedId feed,
        uint256 word,
        bool before,
        Health memory result
    ) private view returns (bool) {
        int256 size = Holdings.size(word);
        int256 index = board.fundingIndex(place);
        // The index has rarely moved since the account last paid.
        if (index != Holdings.paidUpTo(word)) {
            result.usd += Rounding.floor(Holdings.funding(word, index), PRICE_SCALE);
        }
        if (before) size = Touched.holdingBefore(id, feed, size);
        if (size == 0) return false;
        (int256 value, uint256 initial_, uint256 maintenance_) =
            weighPerpetual(board.price(place), board.risk(place), size);
        result.usd += value;
        result.initialRequirement += initial_;
        result.maintenanceRequirement += maintenance_;
        if (board.isStale(place)) result.blocked = true;
        return true;
    }

    function _addAsset(
        Board.Prices memory board,
        uint256 place,
        AccountId id,
        FeedId feed,
        uint256 word,
        bool before,
        Health memory result
    ) private view returns (bool) {
        // casting to 'int256' and back is safe because a balance is within 128 bits and was not negative before
        // forge-lint: disable-next-line(unsafe-typecast)
        int256 balance = int256(word);
        if (before) balance = Touched.holdingBefore(id, feed, balance);
        if (balance < 0) result.overdrawn = feed;
        if (balance <= 0) return false;
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 value = assetValue(board.price(place), board.lot(place), uint256(balance));
        uint256 weights = board.risk(place);
        // Casting is safe because a balance times a price, divided, is far below 2^255.
        // forge-lint: disable-next-line(unsafe-typecast)
        result.maintenanceEquity += int256(value * (weights >> 24) / PPM);
        // forge-lint: disable-next-line(unsafe-typecast)
        if (!board.isStale(place)) result.initialEquity += int256(value * (weights & 0xFFFFFF) / PPM);
        return true;
    }
}
