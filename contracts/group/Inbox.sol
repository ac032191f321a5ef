// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {InboxItem, InboxKind} from "./Types.sol";

/// @notice The ordered queue of everything that the chain tells the sequencer.
/// @dev Only an item's hash and time are stored; its content is in the `InboxQueued` log and a batch supplies it again.
library Inbox {
    struct Entry {
        bytes32 hash;
        uint64 time;
    }

    /// @param feeds Number of the group's feeds, numbered from 1: it stands here because every batch reads this slot.
    struct Queue {
        uint64 head;
        uint64 tail;
        uint8 feeds;
        mapping(uint64 index => Entry) entries;
    }

    function push(Queue storage self, InboxKind kind, bytes memory payload) internal {
        uint64 index = self.tail++;
        uint64 time = nowMs();
        self.entries[index] = Entry({hash: hashItem(kind, time, payload), time: time});
        emit IRiskGroup.InboxQueued(index, kind, time, payload);
    }

    /// @notice Takes the next item off the queue if it is the one supplied.
    function consume(Queue storage self, InboxItem calldata item) internal {
        uint64 index = self.head++;
        bytes32 expected = self.entries[index].hash;
        bytes32 got = hashItem(item.kind, item.time, item.payload);
        // A hash of a time is not a time.
        // slither-disable-next-line timestamp
        if (got != expected) revert IRiskGroup.InboxMismatch(index, expected, got);
        delete self.entries[index];
    }

    /// @notice Takes an item off the queue out of its turn, as only a frozen group may.
    function take(Queue storage self, uint64 index, InboxItem calldata item) internal {
        bytes32 expected = self.entries[index].hash;
        bytes32 got = hashItem(item.kind, item.time, item.payload);
        // A hash of a time is not a time.
        // slither-disable-next-line timestamp
        if (got != expected) revert IRiskGroup.InboxMismatch(index, expected, got);
        delete self.entries[index];
    }

    /// @notice Whether the next item has waited longer than `deadline` milliseconds at `time`.
    function isOverdue(Queue storage self, uint64 deadline, uint64 time) internal view returns (bool) {
        return self.head != self.tail && uint256(self.entries[self.head].time) + deadline < time;
    }

    /// @notice Refuses a frame that ignored the next item for too long.
    /// @dev By the frame's time, not the block's: a frame that was sealed in time may settle late.
    function requireNotOverdue(Queue storage self, uint64 deadline, uint64 time) internal view {
        if (isOverdue(self, deadline, time)) {
            revert IRiskGroup.InboxOverdue(self.head, self.entries[self.head].time, deadline);
        }
    }

    function hashItem(InboxKind kind, uint64 time, bytes memory payload) internal pure returns (bytes32) {
        return keccak256(abi.encode(kind, time, payload));
    }

    /// @notice Block time in unix milliseconds.
    function nowMs() internal view returns (uint64) {
        // casting to 'uint64' is safe because a block's timestamp in milliseconds needs 41 bits
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(block.timestamp * 1000);
    }
}
