// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Positions} from "../../contracts/group/Positions.sol";
import {AccountId, EventId, MarketId} from "../../contracts/group/Types.sol";

/// @notice The worst payoff that `Positions` keeps is the least position over the event's outcomes, whatever is traded.
/// @dev Two kinds of proof. By induction: from *any* stored words that the invariant below allows, one trade of any lots in
/// any outcome keeps it; as an empty account is allowed, so is everything that trades can lead to. And as a check of the
/// induction itself, a few trades from nothing. Wide events have 6 outcomes here, so their last word is partly used;
/// outcomes beyond add words of the same form. Each
/// outcome is a case of its own, so that all keys are numbers: Halmos does not see that a symbolic key may equal one.
///
///     invariant of a wide event: its summary is stale, or names the least position and an outcome where it stands
contract PositionsProofs is Test {
    using Positions for Positions.Ledger;

    AccountId private constant ACCOUNT = AccountId.wrap(7);
    EventId private constant EVENT = EventId.wrap(3);
    uint256 private constant FIRST_KEY = 7 << 30 | 3 << 6;
    uint256 private constant SUMMARY_KEY = FIRST_KEY + 63;
    uint256 private constant STALE = 1 << 72;
    uint256 private constant WIDE = 6;

    Positions.Ledger private _positions;

    /// @notice In an event of two to four outcomes the worst payoff is the least position, after any trade; other positions stay.
    /// @dev Fails when `_worstInWord` looks at four lanes whatever the number of outcomes.
    function check_a_narrow_event_knows_its_worst(uint256 word, uint8 outcomes, uint8 outcome, int64 lots) public {
        vm.assume(outcomes >= 2 && outcomes <= 4 && outcome < outcomes);
        _positions.words[FIRST_KEY] = word;
        (int256 before, int256 position) = _add(outcome, outcomes, lots);
        assert(before == _lane(word, outcome));
        assert(position == before + lots && position == _lane(_positions.words[FIRST_KEY], outcome));
        assert(_othersUntouched(word, _positions.words[FIRST_KEY], outcome));
        assert(_isLeast(_positions.worst(ACCOUNT, EVENT, outcomes), outcomes));
    }

    /// @notice A trade in a wide event keeps the summary stale or right.
    /// @dev Fails when `_summarize` does not mark as stale.
    function check_a_wide_event_keeps_its_summary(
        uint256 word0,
        uint256 word1,
        uint256 summary,
        uint8 outcome,
        int64 lots
    ) public {
        vm.assume(outcome < WIDE);
        (_positions.words[FIRST_KEY], _positions.words[FIRST_KEY + 1]) = (word0, word1);
        _positions.words[SUMMARY_KEY] = summary;
        vm.assume(_summaryHolds());
        (int256 before, int256 position) = _add(outcome, WIDE, lots);
        assert(before == _lane(outcome < 4 ? word0 : word1, outcome % 4) && position == before + lots);
        assert(_summaryHolds());
    }

    /// @notice Whatever the summary says, the worst payoff of a wide event is its least position, and the summary is right from then on.
    /// @dev Fails when `_scan` reads four lanes of the last word.
    function check_a_wide_event_knows_its_worst(uint256 word0, uint256 word1, uint256 summary) public {
        (_positions.words[FIRST_KEY], _positions.words[FIRST_KEY + 1]) = (word0, word1);
        _positions.words[SUMMARY_KEY] = summary;
        vm.assume(_summaryHolds());
        assert(_isLeast(_positions.worst(ACCOUNT, EVENT, WIDE), WIDE));
        assert(_positions.words[SUMMARY_KEY] & STALE == 0 && _summaryHolds());
    }

    /// @notice From nothing, any four trades leave the worst payoff at the least position.
    /// @dev Outcome 5 rises after it was the worst, or not. Fails when `_summarize` does not mark as stale.
    function check_a_wide_event_after_four_trades(int64[4] memory lots) public {
        _add(5, WIDE, lots[0]);
        _add(2, WIDE, lots[1]);
        _add(5, WIDE, lots[2]);
        assert(_isLeast(_positions.worst(ACCOUNT, EVENT, WIDE), WIDE));
        _add(2, WIDE, lots[3]);
        assert(_isLeast(_positions.worst(ACCOUNT, EVENT, WIDE), WIDE));
    }

    // ----------------------------------------------------------------- what is proven against: the words, read plainly

    /// @dev Takes every outcome as a case of its own.
    function _add(uint256 outcome, uint256 outcomes, int256 lots) private returns (int256, int256) {
        for (uint8 each = 0; each < WIDE; ++each) {
            if (outcome != each) continue;
            MarketId market = MarketId.wrap(uint32(EventId.unwrap(EVENT)) << 8 | each);
            return _positions.add(ACCOUNT, market, outcomes, lots);
        }
        revert("no such outcome");
    }

    function _summaryHolds() private view returns (bool holds) {
        uint256 summary = _positions.words[SUMMARY_KEY];
        int256 stated = _lane(summary, 0);
        (bool least,, uint256 places) = _rank(stated, WIDE);
        uint256 stale = STALE;
        assembly ("memory-safe") {
            let outcome := shr(64, summary)
            let names := and(lt(outcome, 8), and(shr(outcome, places), 1))
            holds := or(iszero(iszero(and(summary, stale))), and(least, names))
        }
    }

    /// @dev Said of each position and without branches, so that the solver meets one case and not one for each order of
    /// the positions.
    /// @return least Whether no position is below the stated one.
    /// @return taken Whether some position equals it.
    /// @return places The outcomes where one does, a bit each.
    function _rank(int256 stated, uint256 outcomes) private view returns (bool least, bool taken, uint256 places) {
        least = true;
        for (uint256 outcome = 0; outcome < outcomes; ++outcome) {
            int256 position = _lane(_positions.words[FIRST_KEY + outcome / 4], outcome % 4);
            assembly ("memory-safe") {
                least := and(least, iszero(slt(position, stated)))
                taken := or(taken, eq(position, stated))
                places := or(places, shl(outcome, eq(position, stated)))
            }
        }
    }

    function _isLeast(int256 stated, uint256 outcomes) private view returns (bool) {
        (bool least, bool taken,) = _rank(stated, outcomes);
        return least && taken;
    }

    function _othersUntouched(uint256 before, uint256 now_, uint256 outcome) private pure returns (bool) {
        return (before ^ now_) & ~(uint256(type(uint64).max) << outcome * 64) == 0;
    }

    function _lane(uint256 word, uint256 lane) private pure returns (int256 position) {
        assembly ("memory-safe") {
            position := signextend(7, shr(mul(lane, 64), word))
        }
    }
}
