// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {GroupState} from "./State.sol";
import {AccountId, FeedId} from "./Types.sol";

/// @notice What an account holds at an index price: a perpetual's signed lots or an asset's atoms, a word each.
/// @dev An asset's word is its balance. A perpetual's is
///
///     int64 size (low) | uint64 entry price in ticks | int128 funding index up to which it has paid (high)
///
/// and the entry price ranks accounts for deleveraging; no money depends on it. Settlement keeps both as `int256`.
library Holdings {
    function key(AccountId account, FeedId feed) internal pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 8 | FeedId.unwrap(feed);
    }

    function read(GroupState storage s, AccountId account, FeedId feed) internal view returns (uint256 word) {
        return s.holdings[key(account, feed)];
    }

    /// @notice Signed lots of a perpetual's word.
    function size(uint256 word) internal pure returns (int256) {
        // casting to 'int64' is safe because that is how the size is stored
        // forge-lint: disable-next-line(unsafe-typecast)
        return int64(uint64(word));
    }

    /// @notice Average entry price in ticks, rounded down.
    function entry(uint256 word) internal pure returns (uint256) {
        return word >> 64 & type(uint64).max;
    }

    function paidUpTo(uint256 word) internal pure returns (int256) {
        // casting to 'int256' is safe because the sign is in the word's highest bit
        // forge-lint: disable-next-line(unsafe-typecast)
        return int256(word) >> 128;
    }

    /// @notice The word of a perpetual position; zero when there is none.
    function pack(int256 size_, uint256 entry_, int256 paidUpTo_) internal pure returns (uint256) {
        if (size_ == 0) return 0;
        // casting to 'uint256' is safe because the parts are cut to their widths
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint256(paidUpTo_) << 128 | (entry_ & type(uint64).max) << 64 | uint256(size_) & type(uint64).max;
    }

    /// @notice What the account's position pays for funding up to the index; negative is what it pays.
    function funding(uint256 word, int256 index) internal pure returns (int256 atomsScaled) {
        // An int64 times the difference of two int128.
        unchecked {
            return -size(word) * (index - paidUpTo(word));
        }
    }
}
