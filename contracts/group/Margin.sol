// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId} from "./Types.sol";

/// @notice An account's money. What its positions count for is kept as a sum, so that health costs one read.
/// @param cash Atoms; negative while positions back it.
/// @param worstPayoff Sum over events of the least that the account's positions there can pay, in atoms.
/// @param owner Whose account it is; zero if it does not exist.
struct Account {
    int128 cash;
    int128 worstPayoff;
    address owner;
}

/// @notice What an account is worth when every event goes as badly for it as it can.
/// @dev Outcome positions are the only kind so far. They need no price and no requirement, so initial and maintenance
/// health are one number and everything that counts is in `worstPayoff`. A kind that is re-priced (perpetual, spot)
/// adds its equity and requirement in `health`; cash moves and position changes stay as they are.
library Margin {
    using SafeCast for int256;

    function health(Account storage self) internal view returns (int256) {
        return int256(self.cash) + self.worstPayoff;
    }

    /// @notice Adds signed atoms to the account's cash.
    function addCash(Account storage self, int256 atoms) internal {
        self.cash = (self.cash + atoms).toInt128();
    }

    /// @notice Adds signed atoms to the sum of the account's worst payoffs.
    function addWorstPayoff(Account storage self, int256 atoms) internal {
        self.worstPayoff = (self.worstPayoff + atoms).toInt128();
    }

    function requireHealthy(Account storage self, AccountId id) internal view {
        int256 value = health(self);
        if (value < 0) revert IRiskGroup.MarginShortfall(id, value);
    }
}
