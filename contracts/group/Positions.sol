// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId, EventId, MarketId} from "./Types.sol";

/// @notice Signed lots that accounts hold, market by market.
/// @dev An `int64` each, four markets to a slot. Markets of one event have neighbouring numbers, so an event of up to
/// four outcomes is one slot per account, and the worst payoff over an event is read from a few.
library Positions {
    struct Ledger {
        mapping(uint256 key => uint256 word) words;
    }

    uint256 private constant LANE = type(uint64).max;

    /// @notice Adds signed lots to the account's position in the market.
    function add(Ledger storage self, AccountId account, MarketId market, int256 lots) internal {
        uint256 key = _key(account, market);
        uint256 word = self.words[key];
        uint256 lane = MarketId.unwrap(market) % 4;
        int256 position = int256(_lane(word, lane)) + lots;
        if (position < type(int64).min || position > type(int64).max) {
            revert IRiskGroup.PositionOutOfRange(account, market, position);
        }
        // casting to 'int64' is safe because the range was just checked
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 bits = uint64(int64(position));
        self.words[key] = word & ~(LANE << (lane * 64)) | (bits << (lane * 64));
    }

    /// @notice The smallest position over the event's outcomes: what the account receives, in winning lots, if the
    /// outcome that suits it least wins.
    function worst(Ledger storage self, AccountId account, EventId eventId, uint256 outcomes)
        internal
        view
        returns (int256 least)
    {
        least = type(int256).max;
        uint256 key = _firstKey(account, eventId);
        for (uint256 outcome = 0; outcome < outcomes; ++key) {
            uint256 word = self.words[key];
            uint256 end = outcome + 4 < outcomes ? outcome + 4 : outcomes;
            if (word == 0) {
                if (least > 0) least = 0;
                outcome = end;
                continue;
            }
            for (; outcome < end; ++outcome) {
                int256 position = _lane(word, outcome % 4);
                if (position < least) least = position;
            }
        }
    }

    /// @notice Takes the account's positions in the event away.
    /// @param payouts What a lot of each outcome pays.
    /// @return held Whether there was any position.
    /// @return value Sum of position times payout.
    function clear(Ledger storage self, AccountId account, EventId eventId, uint64[] memory payouts)
        internal
        returns (bool held, int256 value)
    {
        uint256 key = _firstKey(account, eventId);
        for (uint256 first = 0; first < payouts.length; first += 4) {
            uint256 word = self.words[key];
            if (word != 0) {
                held = true;
                for (uint256 lane = 0; lane < 4 && first + lane < payouts.length; ++lane) {
                    value += int256(_lane(word, lane)) * int256(uint256(payouts[first + lane]));
                }
                delete self.words[key];
            }
            ++key;
        }
    }

    function list(Ledger storage self, AccountId account, EventId eventId, uint256 outcomes)
        internal
        view
        returns (int64[] memory positions)
    {
        positions = new int64[](outcomes);
        uint256 firstKey = _firstKey(account, eventId);
        for (uint256 outcome = 0; outcome < outcomes; ++outcome) {
            positions[outcome] = _lane(self.words[firstKey + outcome / 4], outcome % 4);
        }
    }

    /// @dev An event's 256 outcomes fill 64 words, so the 30 upper bits of a market number name its word.
    function _key(AccountId account, MarketId market) private pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 30 | MarketId.unwrap(market) >> 2;
    }

    function _firstKey(AccountId account, EventId eventId) private pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 30 | uint256(EventId.unwrap(eventId)) << 6;
    }

    function _lane(uint256 word, uint256 lane) private pure returns (int64) {
        // casting to 'uint64' is safe because the lane is meant to be cut out
        // forge-lint: disable-next-line(unsafe-typecast)
        return int64(uint64(word >> (lane * 64)));
    }
}
