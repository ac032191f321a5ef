// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

uint256 constant PPM = 1_000_000;

/// @dev Index prices and funding indices are atoms per lot times this.
uint256 constant PRICE_SCALE = 1e9;

/// @notice Division that says which way it rounds. Divisors are positive.
library Rounding {
    function up(uint256 a, uint256 b) internal pure returns (uint256) {
        // Not zero less one, divided, plus one: within 256 bits.
        unchecked {
            return a == 0 ? 0 : (a - 1) / b + 1;
        }
    }

    /// @notice Towards minus infinity: what an account receives is never more, what it owes never less.
    function floor(int256 a, uint256 b) internal pure returns (int256 quotient) {
        // casting to 'int256' is safe because divisors are constants and lots, far below 2^255
        // forge-lint: disable-next-line(unsafe-typecast)
        int256 divisor = int256(b);
        // The quotient is no further from zero than `a`, and amounts are far above the lowest int256.
        unchecked {
            quotient = a / divisor;
            // The product asks whether the division left a rest.
            // slither-disable-next-line divide-before-multiply
            if (a < 0 && quotient * divisor != a) --quotient;
        }
    }

    function abs(int256 a) internal pure returns (uint256) {
        // The lowest int256 is its own negative, which as a uint256 is its absolute value.
        unchecked {
            // casting to 'uint256' is safe because the value is not negative
            // forge-lint: disable-next-line(unsafe-typecast)
            return uint256(a < 0 ? -a : a);
        }
    }
}
