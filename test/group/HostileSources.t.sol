// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Batch, FeedId, PerpetualConfig, PriceUpdate} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice A price source with every bad habit that a contract can have.
contract MoodySource {
    enum Mood {
        Reverts,
        Burns,
        AnswersShort,
        AnswersNothing,
        AnswersEndlessly,
        FromTheFuture,
        CallsBack
    }

    Mood private _mood;
    address private _target;
    bytes private _call;

    function setMood(Mood mood) external {
        _mood = mood;
    }

    function callBack(address target, bytes calldata call) external {
        (_mood, _target, _call) = (Mood.CallsBack, target, call);
    }

    /// @dev Called back in vain it says a good price, or none where the call went through.
    function priceAt(bytes32, uint64 time, bytes calldata) external returns (uint256, uint64) {
        if (_mood == Mood.Reverts) revert("no");
        while (_mood == Mood.Burns) {}
        if (_mood == Mood.AnswersShort) answer(63);
        if (_mood == Mood.AnswersNothing) answer(0);
        if (_mood == Mood.AnswersEndlessly) answer(1_000_000);
        if (_mood == Mood.FromTheFuture) return (100e18, time + 1);
        (bool done,) = _target.call(_call);
        return (done ? 0 : 100e18, time);
    }

    function answer(uint256 size) private pure {
        assembly ("memory-safe") {
            return(0, size)
        }
    }
}

/// @notice A market whose price source does its worst: a batch that brings its price is refused, and one that does not settles. So
/// all that it can do is to keep its own market from having a price.
contract HostileSourcesTest is PerpetualTest {
    MoodySource private hostile;
    FeedId private feed;

    function setUp() public override {
        super.setUp();
        hostile = new MoodySource();
        PerpetualConfig memory config = perpetualConfig("HOSTILE");
        config.feed.source = address(hostile);
        (, feed) = listPerpetual(config);
        settleInbox();
        exchange(alice, bob, btc, 10, 50_000);
    }

    function test_whatever_a_source_does_only_its_own_price_is_missing() public {
        for (uint8 mood = 0; mood < uint8(MoodySource.Mood.CallsBack); ++mood) {
            hostile.setMood(MoodySource.Mood(mood));
            pass(1);
            Batch memory batch = hostileBatch();
            bytes memory call = abi.encodeCall(group.settle, (batch, signBatch(batch)));
            (bool settled,) = address(group).call{gas: 15_000_000}(call);
            assertFalse(settled, "no price comes of it");
            settlePrice(btcFeed, 50_000);
            exchange(alice, bob, btc, 1, 50_000);
            uint256 before = token.balanceOf(alice.owner);
            settle(batchOf(withdrawal(alice, DOLLARS)));
            assertEq(token.balanceOf(alice.owner), before + DOLLARS);
        }
        assertEq(views.feed(feed).time, 0);
    }

    /// @dev It is asked without leave to change state: the price that it then says counts, and nothing else has happened.
    function test_a_source_that_calls_back_changes_nothing() public {
        Batch memory inner = nextBatch();
        bytes[4] memory calls = [
            abi.encodeCall(group.settle, (inner, signBatch(inner))),
            abi.encodeCall(group.freeze, ()),
            abi.encodeCall(group.claim, (address(token), address(hostile))),
            abi.encodeCall(gateway.registerBuilder, (alice.account))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            hostile.callBack(i == 3 ? address(gateway) : address(group), calls[i]);
            pass(1);
            (, uint64 tail) = views.inbox();
            settle(hostileBatch());
            assertEq(views.feed(feed).price, 100 * 1e12);
            (, uint64 after_) = views.inbox();
            assertEq(after_, tail);
        }
    }

    function hostileBatch() private view returns (Batch memory batch) {
        batch = nextBatch();
        batch.prices = new PriceUpdate[](1);
        batch.prices[0] = PriceUpdate({feed: feed, proof: ""});
    }
}
