// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Feed, GroupState} from "./State.sol";
import {FeedId} from "./Types.sol";

/// @notice The price board of a batch: each feed's price, funding and risk terms, read from storage once and kept in
/// memory, where forty accounts that hold the same perpetual find them at the price of a few loads.
/// @dev A place on the board is three words: the first three slots of a `Feed`.
library Board {
    /// @param time The frame's time.
    struct Prices {
        uint256[] words;
        uint64 time;
    }

    function open(GroupState storage s, uint64 time) internal view returns (Prices memory) {
        return Prices({words: new uint256[](3 * (uint256(s.inbox.feeds) + 1)), time: time});
    }

    /// @notice Where the feed's words lie; they are fetched if they are not there yet.
    function find(Prices memory self, GroupState storage s, FeedId id) internal view returns (uint256 place) {
        place = 3 * uint256(FeedId.unwrap(id));
        // A feed's first word holds its `maxAge`, which is never zero.
        if (self.words[place] != 0) return place;
        Feed storage feed = s.feed[id];
        uint256[] memory words = self.words;
        assembly ("memory-safe") {
            let target := add(words, mul(add(place, 1), 32))
            mstore(target, sload(feed.slot))
            mstore(add(target, 32), sload(add(feed.slot, 1)))
            mstore(add(target, 64), sload(add(feed.slot, 2)))
        }
    }

    /// @notice Atoms per lot, times 1e9.
    function price(Prices memory self, uint256 place) internal pure returns (uint256) {
        return _low128(self.words[place]);
    }

    /// @notice Whether new risk may not rely on the price: it is too old, broke a rule, or was never given.
    function isStale(Prices memory self, uint256 place) internal pure returns (bool) {
        uint256 word = self.words[place];
        uint256 time = word >> 128 & type(uint64).max;
        uint256 maxAge = word >> 192 & type(uint32).max;
        return word >> 232 & 0xFF != 0 || time + maxAge < self.time;
    }

    function isPerpetual(Prices memory self, uint256 place) internal pure returns (bool) {
        return self.words[place] >> 224 & 0xFF != 0;
    }

    function fundingIndex(Prices memory self, uint256 place) internal pure returns (int256) {
        // casting to 'int128' is safe because that is how the index is stored
        // forge-lint: disable-next-line(unsafe-typecast)
        return int128(uint128(_low128(self.words[place + 1])));
    }

    /// @notice Atoms of the token per lot.
    function lot(Prices memory self, uint256 place) internal pure returns (uint256) {
        return self.words[place + 1] >> 192;
    }

    function risk(Prices memory self, uint256 place) internal pure returns (uint256) {
        return self.words[place + 2];
    }

    function _low128(uint256 word) private pure returns (uint256) {
        return word & type(uint128).max;
    }
}
