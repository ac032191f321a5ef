// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    FundingUpdate,
    InboxItem,
    MarketFills,
    MarketId,
    OrderTree,
    PriceUpdate,
    Redemption,
    Rescue,
    Signature,
    SignedTransfer,
    SignedWithdraw
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @dev Sends two batches in one transaction.
contract TwoAtOnce {
    function send(
        IRiskGroup group,
        Batch calldata a,
        Signature calldata signatureA,
        Batch calldata b,
        Signature calldata signatureB
    ) external {
        group.settle(a, signatureA);
        group.settle(b, signatureB);
    }
}

/// @notice The chain of batches: each follows the last, is the sequencer's, and is of its time.
contract BatchesTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    MarketId internal first;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
        first = market(openEvent(2), 0);
        settleInbox();
    }

    function test_a_batch_becomes_the_parent_of_the_next() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        bytes32 hash = hashBatch(batch);
        Signature memory signature = signBatch(batch);
        vm.expectEmit();
        emit IRiskGroup.BatchSettled(2, hash, batch.time, batch.sequence, batch.logHash, 5);
        group.settle(batch, signature);
        (uint64 id, bytes32 last, uint64 time, uint64 sequence) = views.lastBatch();
        assertEq(id, 2);
        assertEq(last, hash);
        assertEq(time, batch.time);
        assertEq(sequence, batch.sequence);
    }

    function test_the_first_batch_has_id_1_and_no_parent() public {
        use(newDeployment());
        Batch memory batch = nextBatch();
        assertEq(batch.id, 1);
        assertEq(batch.parent, 0);
        settle(batch);
    }

    function test_a_replayed_batch_is_refused() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        settle(batch);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.WrongBatchId.selector, 3, 2));
    }

    function test_a_batch_cannot_be_skipped() public {
        Batch memory batch = nextBatch();
        batch.id += 1;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.WrongBatchId.selector, 2, 3));
    }

    function test_a_batch_with_another_parent_is_refused() public {
        Batch memory batch = nextBatch();
        bytes32 parent = batch.parent;
        batch.parent = keccak256("another history");
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.WrongParent.selector, parent, batch.parent));
    }

    function test_a_batch_that_somebody_else_signed_is_refused() public {
        Batch memory batch = nextBatch();
        assertRefused(batch, sign(alice.key, hashBatch(batch)), wrongSequencer(alice.owner));
        assertRefused(batch, Signature(0, 0), wrongSequencer(address(0)));
    }

    function test_altering_any_part_of_a_signed_batch_is_refused() public {
        for (uint256 part = 0; part < 12; ++part) {
            Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
            Signature memory signature = signBatch(batch);
            if (part == 0) batch.time += 1;
            if (part == 1) batch.sequence += 1;
            if (part == 2) batch.logHash = keccak256("another log");
            if (part == 3) batch.inbox = new InboxItem[](1);
            if (part == 4) batch.redemptions = new Redemption[](1);
            if (part == 5) raise(batch.markets[0].fills[0], -1);
            if (part == 6) batch.withdrawals = new SignedWithdraw[](1);
            if (part == 7) batch.prices = new PriceUpdate[](1);
            if (part == 8) batch.funding = new FundingUpdate[](1);
            if (part == 9) batch.rescues = new Rescue[](1);
            if (part == 10) batch.trees = new OrderTree[](1);
            if (part == 11) batch.transfers = new SignedTransfer[](1);
            assertRefused(batch, signature, wrongSequencer(recover(hashBatch(batch), signature)));
        }
    }

    function test_a_batch_of_a_twin_deployment_is_refused() public {
        Batch memory batch = nextBatch();
        (batch.id, batch.parent) = (1, 0);
        Signature memory signature = signBatch(batch);
        use(newDeployment());
        assertRefused(batch, signature, wrongSequencer(recover(hashBatch(batch), signature)));
    }

    function test_anyone_may_relay_a_batch() public {
        Batch memory batch = nextBatch();
        Signature memory signature = signBatch(batch);
        vm.prank(makeAddr("anyone"));
        group.settle(batch, signature);
    }

    function test_bytes_after_the_batch_are_signed_too() public {
        Batch memory batch = nextBatch();
        Signature memory signature = signBatch(batch);
        bytes memory padded = bytes.concat(abi.encodeCall(IRiskGroup.settle, (batch, signature)), hex"00");
        (bool settled, bytes memory failure) = address(group).call(padded);
        assertFalse(settled);
        assertEq(bytes4(failure), IRiskGroup.WrongSequencer.selector);
    }

    /// @dev As nodes say who brought a batch about (ERC-8021, here with the code `xos`).
    function test_a_signed_suffix_changes_nothing_but_the_hash() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        bytes memory suffix = hex"786f730300" hex"80218021802180218021802180218021";
        bytes memory content = bytes.concat(encoded(batch), suffix);
        bytes32 hash = hashBatch(batch.id, batch.parent, keccak256(content));
        Signature memory signature = sign(SEQUENCER_KEY, hash);
        bytes memory call =
            bytes.concat(IRiskGroup.settle.selector, bytes32(uint256(0x60)), signature.r, signature.vs, content);
        (bool settled,) = address(group).call(call);
        assertTrue(settled);
        (, bytes32 last,,) = views.lastBatch();
        assertEq(last, hash);
        assertNotEq(last, hashBatch(batch));
        assertEq(positionOf(alice, first), 10);
    }

    /// @dev The hash covers the calldata from the batch's one place on; elsewhere it could be swapped unsigned.
    function test_a_batch_anywhere_else_in_the_calldata_is_refused() public {
        Batch memory batch = nextBatch();
        Signature memory signature = signBatch(batch);
        bytes memory moved = bytes.concat(
            IRiskGroup.settle.selector, bytes32(uint256(0x80)), signature.r, signature.vs, bytes32(0), encoded(batch)
        );
        (bool settled, bytes memory failure) = address(group).call(moved);
        assertFalse(settled);
        assertEq(failure, abi.encodeWithSelector(IRiskGroup.MalformedCalldata.selector));
    }

    /// @dev The contract hashes a fill as it lies in the calldata, so a word with bits that its type does not have must
    /// not pass for another value.
    function test_a_fill_with_bits_beyond_its_types_is_malformed() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        bytes memory clean = encoded(batch);
        // The market list's offset is the batch's word 11; its first fill begins five words into it.
        uint256 fill = wordOf(clean, 11) / 32 + 5;
        assertEq(wordOf(clean, fill), AccountId.unwrap(alice.account));
        uint16[16] memory widths = [uint16(64), 32, 1, 2, 1, 64, 64, 64, 64, 32, 32, 32, 64, 128, 128, 32];
        for (uint256 i = 0; i < 16; ++i) {
            for (uint256 bit = widths[i]; bit < 256; bit += 255 - widths[i]) {
                bytes memory dirty = encoded(batch);
                dirty[(fill + i) * 32 + 31 - bit / 8] ^= bytes1(uint8(1 << bit % 8));
                Signature memory signature = sign(SEQUENCER_KEY, hashBatch(batch.id, batch.parent, keccak256(dirty)));
                (bool settled, bytes memory failure) = address(group)
                    .call(
                        bytes.concat(
                            IRiskGroup.settle.selector, bytes32(uint256(0x60)), signature.r, signature.vs, dirty
                        )
                    );
                assertFalse(settled);
                assertEq(failure, abi.encodeWithSelector(IRiskGroup.MalformedCalldata.selector));
            }
        }
    }

    // ----------------------------------------------------------------- time

    function test_frame_time_never_goes_back() public {
        (,, uint64 last,) = views.lastBatch();
        Batch memory batch = nextBatch();
        batch.time = last - 1;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FrameTimeWentBack.selector, last, last - 1));
        batch.time = last;
        settle(batch);
    }

    function test_sequence_never_goes_back() public {
        Batch memory batch = nextBatch();
        batch.sequence = 5;
        settle(batch);
        batch = nextBatch();
        batch.sequence = 4;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.SequenceWentBack.selector, 5, 4));
        batch.sequence = 5;
        settle(batch);
    }

    function test_frame_time_stays_within_a_week_behind_and_a_minute_ahead_of_block_time() public {
        vm.warp(vm.getBlockTimestamp() + 8 days);
        uint64 earliest = nowMs() - 7 days * 1000;
        uint64 latest = nowMs() + 60_000;
        Batch memory batch = nextBatch();
        batch.time = earliest - 1;
        assertRefused(batch, outOfTime(batch.time, earliest, latest));
        batch.time = earliest;
        settle(batch);
        batch = nextBatch();
        batch.time = latest + 1;
        assertRefused(batch, outOfTime(batch.time, earliest, latest));
        batch.time = latest;
        settle(batch);
    }

    // ----------------------------------------------------------------- several in one transaction

    /// @dev Marks of what a batch touched live in transient storage: the first batch's must not hide the second's.
    function test_two_batches_in_one_transaction_each_settle_in_full() public {
        Batch memory a = batchOf(trade(alice, bob, first, 10, 500));
        MarketFills memory more = trade(alice, bob, first, 5, 500);
        Batch memory b = batchOf(more);
        (b.id, b.parent, b.sequence) = (a.id + 1, hashBatch(a), a.sequence + 1);
        new TwoAtOnce().send(group, a, signBatch(a), b, signBatch(b));
        assertEq(positionOf(alice, first), 15);
        assertEq(worstPayoffOf(bob), -150_000);
        assertEq(worstPayoffOf(alice), 0);
    }

    // ----------------------------------------------------------------- probe

    function test_probe_reports_gas_and_changes_nothing() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        Signature memory signature = signBatch(batch);
        bytes memory failure = probe(abi.encodeCall(IRiskGroup.probe, (batch, signature)));
        assertEq(failure, "");
        assertEq(positionOf(alice, first), 0);
        group.settle(batch, signature);
        assertEq(positionOf(alice, first), 10);
    }

    function test_probe_reports_the_error_that_settle_would_fail_with() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        raise(batch.markets[0].fills[0], 1);
        bytes memory failure = probe(abi.encodeCall(IRiskGroup.probe, (batch, signBatch(batch))));
        assertEq(failure, abi.encodeWithSelector(IRiskGroup.PriceWorseThanLimit.selector, alice.account, 1, 5000, 5001));
    }

    function test_probe_reports_what_cannot_be_decoded() public {
        Batch memory batch = batchOf(trade(alice, bob, first, 10, 500));
        bytes memory content = encoded(batch);
        // The offset of the inbox, far beyond the calldata's end; and the sequencer signed it so.
        content[5 * 32] = 0x7f;
        Signature memory signature = sign(SEQUENCER_KEY, hashBatch(batch.id, batch.parent, keccak256(content)));
        bytes memory call =
            bytes.concat(IRiskGroup.probe.selector, bytes32(uint256(0x60)), signature.r, signature.vs, content);
        assertEq(probe(call), abi.encodeWithSelector(IRiskGroup.MalformedCalldata.selector));
    }

    // ----------------------------------------------------------------- words

    function probe(bytes memory call) private returns (bytes memory failure) {
        (bool succeeded, bytes memory answer) = address(group).call(call);
        assertFalse(succeeded);
        assertEq(bytes4(answer), IRiskGroup.Probed.selector);
        bytes memory arguments = new bytes(answer.length - 4);
        for (uint256 i = 0; i < arguments.length; ++i) {
            arguments[i] = answer[i + 4];
        }
        uint256 gasUsed;
        (gasUsed, failure) = abi.decode(arguments, (uint256, bytes));
        assertGt(gasUsed, 0);
        assertLt(gasUsed, 500_000);
    }

    /// @dev The batch's encoding as an argument, without the offset that leads to it.
    function encoded(Batch memory batch) private pure returns (bytes memory tail) {
        bytes memory whole = abi.encode(batch);
        tail = new bytes(whole.length - 32);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = whole[i + 32];
        }
    }

    function wordOf(bytes memory data, uint256 index) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(data, mul(add(index, 1), 32)))
        }
    }

    function wrongSequencer(address recovered) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.WrongSequencer.selector, vm.addr(SEQUENCER_KEY), recovered);
    }

    function outOfTime(uint64 time, uint64 earliest, uint64 latest) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.FrameTimeOutOfRange.selector, time, earliest, latest);
    }
}
