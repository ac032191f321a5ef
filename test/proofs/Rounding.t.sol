// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Holdings} from "../../contracts/group/Holdings.sol";
import {Margin} from "../../contracts/group/Margin.sol";
import {PPM, PRICE_SCALE, Rounding} from "../../contracts/group/Rounding.sol";

/// @notice Nobody gains an atom by cutting something into parts: what an account receives rounds down and what it must have
/// rounds up, so the parts together are never better than the whole.
/// @dev Widths are those of the contracts: a size is an int64, a price at most 120 bits (`Prices.MAX_PRICE`), a difference
/// of funding indices 129 bits. 192 bits hold every product of them.
/// @custom:halmos --solver-command tools/smt
contract RoundingProofs is Test {
    /// @notice What an account receives is the greatest whole number of atoms that is no more than its due.
    /// @dev Fails when `floor` leaves out its `--quotient`.
    function check_floor_is_the_greatest_whole_number_below(int192 a) public pure {
        int256 quotient = Rounding.floor(a, PRICE_SCALE);
        int256 rest = int256(a) - quotient * int256(PRICE_SCALE);
        assert(rest >= 0 && rest < int256(PRICE_SCALE));
    }

    /// @notice What an account owes is the smallest whole number of atoms that is no less than its debt.
    /// @dev Fails when `up` is `a / b + 1`.
    function check_up_is_the_smallest_whole_number_above(uint192 a) public pure {
        uint256 quotient = Rounding.up(a, PPM);
        assert(quotient * PPM >= a);
        assert(quotient == 0 || (quotient - 1) * PPM < a);
    }

    /// @notice What is received in two parts is no more than in one.
    /// @dev Fails when `floor` leaves out its `--quotient`, which rounds what is owed down.
    function check_floors_of_parts_are_no_more(int192 a, int192 b) public pure {
        int256 parts = Rounding.floor(a, PRICE_SCALE) + Rounding.floor(b, PRICE_SCALE);
        assert(parts <= Rounding.floor(int256(a) + b, PRICE_SCALE));
    }

    /// @notice What is owed in two parts is no less than in one.
    /// @dev Fails when `up` is `a / b`.
    function check_ceilings_of_parts_are_no_less(uint192 a, uint192 b) public pure {
        assert(Rounding.up(a, PPM) + Rounding.up(b, PPM) >= Rounding.up(uint256(a) + b, PPM));
    }

    /// @notice An asset's balance in two accounts is worth no more than in one.
    /// @dev Assets of 1, 10^6, 10^9 and 10^18 atoms a lot; `a` and `b` stand for balance times price. Fails when `assetValue` rounds up.
    function check_assets_in_parts_are_worth_no_more(uint192 a, uint192 b, uint8 which) public pure {
        uint256 lot = which == 0 ? 1 : which == 1 ? 1e6 : which == 2 ? 1e9 : 1e18;
        uint256 parts = Margin.assetValue(1, lot, a) + Margin.assetValue(1, lot, b);
        assert(parts <= Margin.assetValue(1, lot, uint256(a) + b));
    }

    /// @notice A perpetual is worth the floor of size times price, and requires the ceiling of its notional at its fraction.
    /// @dev Fails when `weighPerpetual` rounds the value towards zero.
    function check_a_perpetual_counts_floor_of_its_product(uint120 price, int64 size, uint24 fraction) public pure {
        vm.assume(fraction <= PPM);
        uint24[4] memory all = [fraction, fraction, fraction, fraction];
        uint256 tiers = Margin.packTiers(all, all, [type(uint32).max, type(uint32).max, type(uint32).max]);
        (int256 value, uint256 initial, uint256 maintenance) = Margin.weighPerpetual(price, tiers, size);
        uint256 lots = size < 0 ? uint256(-int256(size)) : uint256(int256(size));
        assert(value == Rounding.floor(int256(size) * int256(uint256(price)), PRICE_SCALE));
        uint256 required = Rounding.up(Rounding.up(lots * price, PRICE_SCALE) * fraction, PPM);
        assert(initial == required && maintenance == required);
    }

    /// @notice Funding is the exact product of what is held and what the index moved, so it rounds once.
    /// @dev Fails when `funding` has the other sign.
    function check_funding_is_the_exact_product(int64 size, int128 paidUpTo, int128 index) public pure {
        vm.assume(size != 0);
        uint256 word = Holdings.pack(size, 0, paidUpTo);
        assert(Holdings.size(word) == size && Holdings.paidUpTo(word) == paidUpTo);
        assert(Holdings.funding(word, index) == -int256(size) * (int256(index) - paidUpTo));
    }
}
