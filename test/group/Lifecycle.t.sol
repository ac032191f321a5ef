// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, EventId, GroupTerms, MarketId, Phase, Redemption} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice One event from opening to the last withdrawal.
contract LifecycleTest is GroupTest {
    function test_an_event_opens_trades_resolves_pays_and_everyone_leaves() public {
        Trader memory alice = openAccount("alice", 10_000_000);
        Trader memory bob = openAccount("bob", 10_000_000);
        EventId id = openEvent(3);
        settleInbox();
        assertEq(cashOf(alice), 10_000_000);
        assertTrue(views.market(market(id, 0)).phase == Phase.Open);

        // Alice buys 100 lots of outcome 1 at 0.400 from Bob and pays the taker's fee: 100 · 400 · 10 · 0.1 %.
        MarketId where = market(id, 1);
        Batch memory batch = batchOf(trade(alice, bob, where, 100, 400));
        batch.markets[0].fills[0].fee = 400;
        settle(batch);
        assertEq(cashOf(alice), 10_000_000 - 400_000 - 400);
        assertEq(cashOf(bob), 10_000_000 + 400_000);
        assertEq(cashOf(treasury), 401);
        assertEq(positionOf(alice, where), 100);
        assertEq(positionOf(bob, where), -100);
        assertEq(worstPayoffOf(alice), 0);
        assertEq(worstPayoffOf(bob), -1_000_000);

        resolveEvent(id, winner(3, 1));
        batch = inboxBatch();
        batch.redemptions = new Redemption[](2);
        batch.redemptions[0] = Redemption(alice.account, market(id, 0));
        batch.redemptions[1] = Redemption(bob.account, market(id, 0));
        settle(batch);
        assertEq(cashOf(alice), 10_000_000 - 400_400 + 1_000_000);
        assertEq(cashOf(bob), 10_000_000 + 400_000 - 1_000_000);
        assertEq(worstPayoffOf(bob), 0);

        settle(batchOf(withdrawal(alice, 10_599_600)));
        settle(batchOf(withdrawal(bob, 9_400_000)));
        settle(batchOf(withdrawal(treasury, 401)));
        assertEq(token.balanceOf(alice.owner), 10_599_600);
        assertEq(token.balanceOf(bob.owner), 9_400_000);
        assertEq(token.balanceOf(address(group)), 0);
    }

    function test_a_group_says_what_it_was_made_with() public view {
        assertEq(group.settlementToken(), address(token));
        assertEq(group.gateway(), address(gateway));
        assertEq(gateway.group(), address(group));
        assertEq(views.terms().sequencer, vm.addr(SEQUENCER_KEY));
        assertEq(views.account(INSURANCE).owner, governor);
        assertEq(views.account(PROTOCOL).owner, governor);
        assertEq(group.inboxDeadline(), DEADLINE);
        assertEq(group.domainSeparator(), separatorOf(address(group), block.chainid));
    }

    function test_a_group_is_not_made_without_what_it_needs() public {
        address someone = makeAddr("someone");
        GroupTerms memory terms = groupTerms();
        assertNotMade(abi.encode(someone, someone, someone, someone, 1, terms), "token");
        assertNotMade(abi.encode(token, address(0), someone, someone, 1, terms), "gateway");
        assertNotMade(abi.encode(token, someone, address(0), someone, 1, terms), "escapeHatch");
        assertNotMade(abi.encode(token, someone, someone, address(0), 1, terms), "governance");
        assertNotMade(abi.encode(token, someone, someone, someone, 0, terms), "inboxDeadline");
        terms.sequencer = address(0);
        assertNotMade(abi.encode(token, someone, someone, someone, 1, terms), "sequencer");
    }

    function assertNotMade(bytes memory arguments, bytes32 field) private {
        bytes memory creation = bytes.concat(vm.getCode("RiskGroup.sol:RiskGroup"), arguments);
        address made;
        bytes memory refusal;
        assembly ("memory-safe") {
            made := create(0, add(creation, 32), mload(creation))
            refusal := mload(0x40)
            mstore(refusal, returndatasize())
            returndatacopy(add(refusal, 32), 0, returndatasize())
            mstore(0x40, add(refusal, add(32, returndatasize())))
        }
        assertEq(made, address(0));
        assertEq(refusal, abi.encodeWithSelector(IRiskGroup.InvalidGroupConfig.selector, field));
    }

    /// @dev EIP-170; a test would run a larger contract, a chain would not.
    function test_the_group_and_its_gateway_are_small_enough_to_be_deployed() public view {
        assertLe(address(group).code.length, 24_576);
        assertLe(address(gateway).code.length, 24_576);
    }
}
