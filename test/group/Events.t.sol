// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    EventConfig,
    EventId,
    Lots,
    MarketId,
    MarketKind,
    Phase,
    Redemption,
    VenueId
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice Events open as their deployer says, resolve once as their resolver says, and pay what that says.
contract EventsTest is GroupTest {
    Trader internal alice;
    Trader internal bob;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
    }

    // ----------------------------------------------------------------- opening

    function test_an_event_is_pending_until_a_batch_opens_it() public {
        EventId id = openEvent(3);
        assertEq(EventId.unwrap(id), 1);
        assertEq(gateway.listings(), 1);
        assertTrue(views.market(market(id, 0)).phase == Phase.None);
        settleInbox();
        IGroupViews.MarketView memory info = views.market(market(id, 2));
        assertTrue(info.kind == MarketKind.Outcome);
        assertTrue(info.phase == Phase.Open);
        assertEq(VenueId.unwrap(info.venue), 1);
        assertEq(info.outcomes, 3);
        assertEq(info.ticks, TICKS);
        assertEq(info.quantum, QUANTUM);
        assertEq(info.takerFee, 1000);
        assertEq(info.makerFee, 0);
        assertFalse(info.curve || info.restricted || info.isolatedOnly);
        assertEq(Lots.unwrap(info.positionCap), 0);
        assertEq(Lots.unwrap(info.openInterestCap), 0);
        assertEq(gateway.resolverOf(id), resolver);
    }

    function test_only_the_deployer_opens_events() public {
        EventConfig memory config = eventConfig(2);
        vm.prank(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotDeployer.selector, VENUE, alice.owner, deployer));
        gateway.openEvent(config);
    }

    function test_an_event_with_a_senseless_term_is_refused_by_its_name() public {
        EventConfig memory config = eventConfig(2);
        config.outcomes = 1;
        config.labels = new string[](1);
        assertInvalid(config, "outcomes");
        assertInvalid(eventConfig(129), "outcomes");
        config = eventConfig(2);
        config.labels = new string[](3);
        assertInvalid(config, "labels");
        config = eventConfig(2);
        config.ticks = 1;
        assertInvalid(config, "ticks");
        config.ticks = 1_000_001;
        assertInvalid(config, "ticks");
        config = eventConfig(2);
        config.terms.quantum = 0;
        assertInvalid(config, "quantum");
        config.terms.quantum = 1e12 + 1;
        assertInvalid(config, "quantum");
        config = eventConfig(2);
        config.terms.takerFee = 100_001;
        assertInvalid(config, "takerFee");
        config = eventConfig(2);
        config.terms.makerFee = 100_001;
        assertInvalid(config, "makerFee");
        config.terms.takerFee = 100;
        config.terms.makerFee = -101;
        assertInvalid(config, "makerFee");
        config = eventConfig(2);
        config.resolver = address(0);
        assertInvalid(config, "resolver");
        config = eventConfig(2);
        config.title = string(new bytes(16 * 1024));
        assertInvalid(config, "payload");
    }

    function test_the_extremes_of_every_term_are_accepted() public {
        EventConfig memory config = eventConfig(128);
        (config.ticks, config.terms.quantum, config.terms.takerFee, config.terms.makerFee) =
        (1_000_000, 1e12, 100_000, 100_000);
        openEvent(config);
        config = eventConfig(2);
        (config.ticks, config.terms.quantum, config.terms.takerFee, config.terms.makerFee) = (2, 1, 0, 0);
        openEvent(config);
        config = eventConfig(2);
        (config.terms.takerFee, config.terms.makerFee, config.terms.curve) = (100_000, -100_000, true);
        openEvent(config);
        settleInbox();
        assertEq(gateway.listings(), 3);
        assertEq(views.market(market(EventId.wrap(3), 0)).makerFee, -100_000);
    }

    // ----------------------------------------------------------------- resolving

    function test_only_the_resolver_resolves() public {
        EventId id = openEvent(2);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotResolver.selector, id, deployer, resolver));
        gateway.resolveEvent(id, winner(2, 0));
    }

    function test_an_event_that_does_not_exist_has_no_resolver() public {
        vm.prank(resolver);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotResolver.selector, 7, resolver, address(0)));
        gateway.resolveEvent(EventId.wrap(7), winner(2, 0));
    }

    function test_an_event_resolves_once() public {
        EventId id = openEvent(2);
        resolveEvent(id, winner(2, 0));
        vm.prank(resolver);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AlreadyResolved.selector, id));
        gateway.resolveEvent(id, winner(2, 1));
        settleInbox();
        vm.prank(resolver);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AlreadyResolved.selector, id));
        gateway.resolveEvent(id, winner(2, 1));
    }

    function test_payouts_are_one_per_outcome_and_add_up_to_certainty() public {
        EventId id = openEvent(3);
        uint64[] memory split = new uint64[](3);
        (split[0], split[1]) = (500, 499);
        assertPayoutsRefused(id, split, 3, 999);
        split[2] = 2;
        assertPayoutsRefused(id, split, 3, 1001);
        assertPayoutsRefused(id, winner(2, 0), 2, 1000);
        assertPayoutsRefused(id, new uint64[](0), 0, 0);
        (split[0], split[1], split[2]) = (type(uint64).max, 1001, type(uint64).max);
        assertPayoutsRefused(id, split, 3, 2 * uint256(type(uint64).max) + 1001);
    }

    function test_an_event_may_be_resolved_before_a_batch_has_opened_it() public {
        EventId id = openEvent(2);
        resolveEvent(id, winner(2, 1));
        settleInbox();
        assertTrue(views.market(market(id, 0)).phase == Phase.Delisted);
        assertEq(views.payouts(id)[1], TICKS);
    }

    // ----------------------------------------------------------------- redeeming

    function test_a_winner_pays_the_winning_side_from_the_losing_one() public {
        EventId id = tradedEvent(100, 400);
        redeemBoth(id, winner(3, 1));
        assertEq(cashOf(alice), 1_000_000_000 - 400_000 + 1_000_000);
        assertEq(cashOf(bob), 1_000_000_000 + 400_000 - 1_000_000);
    }

    function test_a_loser_pays_nothing() public {
        EventId id = tradedEvent(100, 400);
        redeemBoth(id, winner(3, 0));
        assertEq(cashOf(alice), 1_000_000_000 - 400_000);
        assertEq(cashOf(bob), 1_000_000_000 + 400_000);
    }

    function test_a_split_pays_each_outcome_its_part() public {
        EventId id = tradedEvent(100, 400);
        uint64[] memory split = new uint64[](3);
        (split[0], split[1], split[2]) = (499, 500, 1);
        redeemBoth(id, split);
        assertEq(cashOf(alice), 1_000_000_000 - 400_000 + 500_000);
    }

    /// @dev 1000 ticks do not divide by three; the payouts say who gets the odd one.
    function test_a_void_event_pays_all_outcomes_alike() public {
        EventId id = tradedEvent(100, 400);
        uint64[] memory even = new uint64[](3);
        (even[0], even[1], even[2]) = (334, 333, 333);
        redeemBoth(id, even);
        assertEq(cashOf(alice), 1_000_000_000 - 400_000 + 333_000);
    }

    function test_redemption_clears_positions_and_their_worst_payoff_of_that_event_only() public {
        EventId id = tradedEvent(100, 400);
        EventId other = tradedEvent(10, 400);
        assertEq(worstPayoffOf(bob), -1_100_000);
        redeemBoth(id, winner(3, 0));
        assertEq(worstPayoffOf(bob), -100_000);
        assertEq(positionOf(bob, market(id, 1)), 0);
        assertEq(positionOf(bob, market(other, 1)), -10);
        assertEq(cashOf(alice) + cashOf(bob), 2_000_000_000);
    }

    function test_every_outcome_of_a_wide_event_redeems() public {
        EventId id = openEvent(48);
        settleInbox();
        int256 value;
        uint64[] memory split = new uint64[](48);
        for (uint8 i = 0; i < 48; ++i) {
            uint64 price = i < 40 ? 21 : 20; // 40 · 21 + 8 · 20 = 1000
            split[i] = price;
            if (i % 5 == 3) continue;
            settle(batchOf(trade(alice, bob, market(id, i), 1 + i, price)));
            value += int256(uint256(1 + i)) * int64(price) * 10;
        }
        assertEq(cashOf(alice), 1_000_000_000 - value);
        assertEq(worstPayoffOf(bob), -48 * 10_000);
        redeemBoth(id, split);
        assertEq(cashOf(alice), 1_000_000_000);
        assertEq(cashOf(bob), 1_000_000_000);
    }

    function test_an_event_that_is_not_resolved_does_not_redeem() public {
        EventId id = tradedEvent(100, 400);
        bytes memory refusal = notDelisted(market(id, 0));
        assertRefused(batchOf(Redemption(alice.account, market(id, 0))), refusal);
        // Nor while the resolution waits in the inbox.
        resolveEvent(id, winner(3, 0));
        assertRefused(batchOf(Redemption(alice.account, market(id, 0))), refusal);
    }

    function test_an_event_that_is_not_even_open_does_not_redeem() public {
        EventId id = openEvent(2);
        MarketId pending = market(id, 0);
        MarketId nowhere = market(EventId.wrap(EventId.unwrap(id) + 1), 0);
        assertRefused(batchOf(Redemption(alice.account, pending)), notDelisted(pending));
        assertRefused(batchOf(Redemption(alice.account, nowhere)), notDelisted(nowhere));
    }

    /// @dev The event is redeemed whole, under the number of its first outcome.
    function test_an_event_does_not_redeem_outcome_by_outcome() public {
        EventId id = tradedEvent(100, 400);
        resolveEvent(id, winner(3, 1));
        settleInbox();
        assertRefused(batchOf(Redemption(alice.account, market(id, 1))), notDelisted(market(id, 1)));
    }

    function test_a_position_redeems_once() public {
        EventId id = tradedEvent(100, 400);
        redeemBoth(id, winner(3, 1));
        assertRefused(
            batchOf(Redemption(alice.account, market(id, 0))),
            abi.encodeWithSelector(IRiskGroup.NothingToRedeem.selector, alice.account, market(id, 0))
        );
    }

    function test_an_account_without_a_position_redeems_nothing() public {
        EventId id = tradedEvent(100, 400);
        resolveEvent(id, winner(3, 1));
        settleInbox();
        assertRefused(
            batchOf(Redemption(treasury.account, market(id, 0))),
            abi.encodeWithSelector(IRiskGroup.NothingToRedeem.selector, treasury.account, market(id, 0))
        );
    }

    // ----------------------------------------------------------------- words

    /// @dev An open event in which Alice holds `lots` of outcome 1 and Bob is short of them.
    function tradedEvent(uint64 lots, uint64 price) private returns (EventId id) {
        id = openEvent(3);
        MarketId where = market(id, 1);
        Batch memory batch = batchOf(trade(alice, bob, where, lots, price));
        batch.inbox = inboxBatch().inbox;
        settle(batch);
    }

    function redeemBoth(EventId id, uint64[] memory payouts) private {
        resolveEvent(id, payouts);
        Batch memory batch = inboxBatch();
        batch.redemptions = new Redemption[](2);
        batch.redemptions[0] = Redemption(alice.account, market(id, 0));
        batch.redemptions[1] = Redemption(bob.account, market(id, 0));
        settle(batch);
    }

    function notDelisted(MarketId where) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.MarketNotDelisted.selector, where);
    }

    function assertInvalid(EventConfig memory config, bytes32 field) private {
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.InvalidConfig.selector, field));
        gateway.openEvent(config);
    }

    function assertPayoutsRefused(EventId id, uint64[] memory payouts, uint256 length, uint256 sum) private {
        vm.prank(resolver);
        vm.expectRevert(abi.encodeWithSelector(IGateway.InvalidPayouts.selector, 3, length, TICKS, sum));
        gateway.resolveEvent(id, payouts);
    }
}
