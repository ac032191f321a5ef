// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId, EventId, MarketId} from "./Types.sol";

/// @notice Signed lots that accounts hold, market by market, and the worst of them event by event.
/// @dev A position is an `int64`, four markets to a slot; markets of one event have neighbouring numbers. The worst
/// position over an event's outcomes is read from the one slot of a *narrow* event (up to four outcomes). A *wide* one
/// also has a summary for each account: the worst position and an outcome where it stands. A fill then looks at its own
/// slot and the summary only; all the others are read when the worst position itself has risen, once at the batch's end.
library Positions {
    struct Ledger {
        mapping(uint256 key => uint256 word) words;
    }

    uint256 private constant LANE = type(uint64).max;
    uint256 private constant NARROW = 4;
    /// @dev Market numbers leave an event 64 words; its at most 128 outcomes use 32 of them.
    uint256 private constant SUMMARY = 63;
    /// @dev A summary: the worst position in the low 64 bits, its outcome in the next 8, then whether it must be found
    /// anew. Zero is right for an account that holds nothing.
    uint256 private constant OUTCOME_SHIFT = 64;
    uint256 private constant STALE = 1 << 72;

    /// @notice Adds signed lots to the account's position in the market of an event with that many outcomes.
    /// @return before The position before.
    /// @return position The position now.
    function add(Ledger storage self, AccountId account, MarketId market, uint256 outcomes, int256 lots)
        internal
        returns (int256 before, int256 position)
    {
        uint256 key = _firstKey(account, market.eventOf());
        uint256 outcome = market.outcomeOf();
        // Keys are below 2^94, an outcome below 2^8, a position and lots below 2^64.
        unchecked {
            uint256 shift = outcome % 4 * 64;
            uint256 place = key + outcome / 4;
            uint256 word = self.words[place];
            before = _lane(word, outcome % 4);
            position = before + lots;
            // Casting is safe because whether it fits is the question.
            // forge-lint: disable-next-line(unsafe-typecast)
            if (position != int64(position)) revert IRiskGroup.PositionOutOfRange(account, market, position);
            self.words[place] = word & ~(LANE << shift) | _bits(position) << shift;
        }
        if (outcomes > NARROW) _summarize(self, key, outcome, position);
    }

    /// @notice The smallest position over the event's outcomes: what the account receives, in winning lots, if the
    /// outcome that suits it least wins.
    function worst(Ledger storage self, AccountId account, EventId eventId, uint256 outcomes)
        internal
        returns (int256)
    {
        uint256 key = _firstKey(account, eventId);
        if (outcomes <= NARROW) return _worstInWord(self.words[key], outcomes);

        uint256 summary = self.words[key + SUMMARY];
        if (summary & STALE != 0) {
            summary = _scan(self, key, outcomes);
            self.words[key + SUMMARY] = summary;
        }
        return _lane(summary, 0);
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
        for (uint256 outcome = 0; outcome < payouts.length; outcome += 4) {
            uint256 word = self.words[key + outcome / 4];
            if (word == 0) continue;
            held = true;
            for (uint256 lane = 0; lane < 4 && outcome + lane < payouts.length; ++lane) {
                value += _lane(word, lane) * int256(uint256(payouts[outcome + lane]));
            }
            delete self.words[key + outcome / 4];
        }
        if (payouts.length > NARROW) delete self.words[key + SUMMARY];
    }

    function list(Ledger storage self, AccountId account, EventId eventId, uint256 outcomes)
        internal
        view
        returns (int64[] memory positions)
    {
        positions = new int64[](outcomes);
        uint256 key = _firstKey(account, eventId);
        for (uint256 outcome = 0; outcome < outcomes; ++outcome) {
            // casting to 'int64' is safe because that is how a position is stored
            // forge-lint: disable-next-line(unsafe-typecast)
            positions[outcome] = int64(_lane(self.words[key + outcome / 4], outcome % 4));
        }
    }

    /// @dev Brings a wide event's summary in line with the outcome's new position.
    function _summarize(Ledger storage self, uint256 key, uint256 outcome, int256 position) private {
        uint256 summary = self.words[key + SUMMARY];
        if (summary & STALE != 0) return;
        int256 least = _lane(summary, 0);
        if (position < least) {
            self.words[key + SUMMARY] = _bits(position) | outcome << OUTCOME_SHIFT;
        } else if (position > least && (summary >> OUTCOME_SHIFT) % 256 == outcome) {
            self.words[key + SUMMARY] = summary | STALE;
        }
    }

    /// @dev A wide event's summary from all its positions.
    function _scan(Ledger storage self, uint256 key, uint256 outcomes) private view returns (uint256 summary) {
        int256 least = type(int256).max;
        for (uint256 outcome = 0; outcome < outcomes; outcome += 4) {
            uint256 word = self.words[key + outcome / 4];
            uint256 lanes = outcomes - outcome < 4 ? outcomes - outcome : 4;
            for (uint256 lane = 0; lane < lanes; ++lane) {
                int256 position = _lane(word, lane);
                if (position >= least) continue;
                least = position;
                summary = _bits(position) | (outcome + lane) << OUTCOME_SHIFT;
            }
        }
    }

    function _worstInWord(uint256 word, uint256 outcomes) private pure returns (int256 least) {
        least = _lane(word, 0);
        for (uint256 lane = 1; lane < outcomes; ++lane) {
            int256 position = _lane(word, lane);
            if (position < least) least = position;
        }
    }

    function _firstKey(AccountId account, EventId eventId) private pure returns (uint256) {
        return uint256(AccountId.unwrap(account)) << 30 | uint256(EventId.unwrap(eventId)) << 6;
    }

    function _lane(uint256 word, uint256 lane) private pure returns (int256) {
        // casting to 'uint64' and 'int64' is safe because the lane is meant to be cut out, and is signed
        // forge-lint: disable-next-line(unsafe-typecast)
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast)
            return int64(uint64(word >> (lane * 64)));
        }
    }

    /// @dev A position, which is within 64 bits, as `_lane` reads it.
    function _bits(int256 position) private pure returns (uint256) {
        // casting to 'uint256' is safe because the sign's copies above bit 63 are cut off
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint256(position) & LANE;
    }
}
