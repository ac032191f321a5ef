// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, EventId} from "./Types.sol";

/// @notice The accounts that a batch changed, and in which events: what must be judged at its end, each once.
/// @dev The list is memory; whether an (account, event) is on it is transient storage. A mark is the batch's id, so the
/// marks of an earlier batch in the same transaction mean nothing. Marks lie at `account · 2^24 + event`, below 2^88;
/// the reentrancy guard's slot is a hash.
library Touched {
    struct List {
        uint64 batch;
        uint256 length;
        uint256[] entries;
    }

    function create(uint64 batch, uint256 capacity) internal pure returns (List memory) {
        return List({batch: batch, length: 0, entries: new uint256[](capacity)});
    }

    /// @notice Puts an account on the list for its cash alone.
    /// @dev An account may be on it more than once; judging it again changes nothing and costs less than a mark.
    function add(List memory self, AccountId account) internal pure {
        self.entries[self.length++] = uint256(AccountId.unwrap(account)) << 24;
    }

    /// @notice Puts an account on the list for its positions in an event.
    /// @return first Whether it was not there yet.
    function add(List memory self, AccountId account, EventId eventId) internal returns (bool first) {
        uint256 entry = uint256(AccountId.unwrap(account)) << 24 | EventId.unwrap(eventId);
        uint256 mark;
        assembly ("memory-safe") {
            mark := tload(entry)
        }
        if (mark == self.batch) return false;
        mark = self.batch;
        assembly ("memory-safe") {
            tstore(entry, mark)
        }
        self.entries[self.length++] = entry;
        return true;
    }

    /// @return account The account of entry `index`.
    /// @return eventId The event whose positions changed; 0 if none did.
    function read(List memory self, uint256 index) internal pure returns (AccountId account, EventId eventId) {
        uint256 entry = self.entries[index];
        // casting to 'uint64' and 'uint24' is safe because an entry is made of such an account and such an event
        // forge-lint: disable-next-line(unsafe-typecast)
        return (AccountId.wrap(uint64(entry >> 24)), EventId.wrap(uint24(entry)));
    }
}
