// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {
    EventConfig,
    EventId,
    MarketId,
    Phase,
    eventOf as eventOfMarket,
    firstMarket
} from "../../contracts/group/Types.sol";
import {OptimisticResolver} from "../../contracts/resolver/OptimisticResolver.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {MoodyToken} from "../group/MoodyToken.sol";
import {VenueTest} from "../venue/VenueTest.sol";

/// @notice A gateway, a group and its settlement token in one that say whatever suits their maker.
contract MadeUp {
    address public resolver;
    address public settlementToken;

    constructor(address resolver_, address token) {
        (resolver, settlementToken) = (resolver_, token);
    }

    function group() external view returns (address) {
        return address(this);
    }

    function resolverOf(EventId) external view returns (address) {
        return resolver;
    }

    function market(MarketId) external pure returns (IGroupViews.MarketView memory view_) {
        (view_.outcomes, view_.ticks, view_.quantum) = (2, 1000, 10);
    }

    function resolveEvent(EventId, uint64[] calldata) external {
        // It tries to have it paid twice.
        uint64[] memory payouts = new uint64[](2);
        payouts[0] = 1000;
        try OptimisticResolver(resolver).finalize(IGateway(address(this)), EventId.wrap(1), payouts) {
            revert("paid twice");
        } catch {}
    }
}

/// @notice Events that are decided by what nobody disputes.
contract OptimisticResolverTest is VenueTest {
    uint96 private constant BOND_OF_CLAIM = 50e6;
    uint64 private constant WINDOW = 2 hours;
    uint64 private constant PATIENCE = 14 days;

    OptimisticResolver private resolving;
    VenueNumber private venue;
    IGateway private gateway;
    EventId private id;
    address private arbiter = makeAddr("arbiter");
    address private treasury = makeAddr("treasury");

    function setUp() public override {
        super.setUp();
        resolving = new OptimisticResolver(arbiter, treasury, WINDOW, PATIENCE, BOND_OF_CLAIM, 10_000);
        venue = openVenue();
        gateway = gatewayOf(venue);
        EventConfig memory config = eventOf(venue);
        config.resolver = address(resolving);
        vm.prank(deployer);
        id = eventOfMarket(listings.listEvent(venue, config));
        settleInbox(venue);
    }

    function pays(uint64 yes) private pure returns (uint64[] memory payouts) {
        payouts = new uint64[](2);
        (payouts[0], payouts[1]) = (yes, 1000 - yes);
    }

    function claimAs(address who, uint64 yes) private returns (uint96 bond) {
        bond = resolving.bondOf(gateway, id);
        simulated.mint(who, bond);
        vm.startPrank(who);
        simulated.approve(address(resolving), bond);
        resolving.claim(gateway, id, pays(yes), "evidence");
        vm.stopPrank();
    }

    function assertPaid(uint64 yes) private {
        settleInbox(venue);
        assertEq(viewsOf(venue).payouts(id)[0], yes);
        assertEq(uint8(phaseOf(venue, firstMarket(id))), uint8(Phase.Delisted));
        uint256 owed = resolving.owed(simulated, alice) + resolving.owed(simulated, bob)
            + resolving.owed(simulated, carol) + resolving.owed(simulated, treasury);
        assertEq(simulated.balanceOf(address(resolving)), owed, "every bond is somebody's");
    }

    function test_what_nobody_disputes_is_final_after_its_window() public {
        assertEq(claimAs(alice, 1000), BOND_OF_CLAIM);
        uint64 closes = uint64(vm.getBlockTimestamp()) + WINDOW;
        vm.warp(closes - 1);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.WindowOpen.selector, closes));
        resolving.finalize(gateway, id, pays(1000));
        vm.warp(closes);
        vm.expectRevert(OptimisticResolver.NotTheLastClaim.selector);
        resolving.finalize(gateway, id, pays(0));
        resolving.finalize(gateway, id, pays(1000));
        assertPaid(1000);
        vm.prank(alice);
        assertEq(resolving.withdraw(simulated), BOND_OF_CLAIM);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NothingOwed.selector, alice));
        resolving.withdraw(simulated);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.AlreadyDecided.selector, gateway, id));
        resolving.finalize(gateway, id, pays(1000));
    }

    function test_a_dispute_costs_twice_the_bond_and_begins_the_window_anew() public {
        claimAs(alice, 1000);
        pass(WINDOW - 1);
        assertEq(claimAs(bob, 0), 2 * BOND_OF_CLAIM);
        pass(WINDOW - 1);
        vm.expectRevert(
            abi.encodeWithSelector(OptimisticResolver.WindowOpen.selector, uint64(vm.getBlockTimestamp()) + 1)
        );
        resolving.finalize(gateway, id, pays(0));
        pass(1);
        resolving.finalize(gateway, id, pays(0));
        assertPaid(0);
        assertEq(resolving.owed(simulated, alice), 0);
        assertEq(resolving.owed(simulated, bob), 2 * BOND_OF_CLAIM + BOND_OF_CLAIM / 2);
        assertEq(resolving.owed(simulated, treasury), BOND_OF_CLAIM / 2);
    }

    function test_a_dispute_that_comes_late_or_says_the_same_is_none() public {
        claimAs(alice, 1000);
        simulated.mint(bob, 1000e6);
        vm.startPrank(bob);
        simulated.approve(address(resolving), 1000e6);
        vm.expectRevert(OptimisticResolver.SameClaim.selector);
        resolving.claim(gateway, id, pays(1000), "evidence");
        pass(WINDOW);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.WindowOver.selector, uint64(vm.getBlockTimestamp())));
        resolving.claim(gateway, id, pays(0), "evidence");
        vm.stopPrank();
    }

    function test_the_third_claim_goes_to_the_arbiter_who_may_find_for_anyone() public {
        claimAs(alice, 1000);
        claimAs(bob, 0);
        assertEq(claimAs(carol, 1000), 4 * BOND_OF_CLAIM);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.WithArbiter.selector, gateway, id));
        resolving.finalize(gateway, id, pays(1000));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NotArbiter.selector, alice, arbiter));
        resolving.rule(gateway, id, pays(1000));
        vm.prank(arbiter);
        resolving.rule(gateway, id, pays(1000));
        assertPaid(1000);
        assertEq(resolving.owed(simulated, alice), BOND_OF_CLAIM, "who was right has lost nothing");
        assertEq(resolving.owed(simulated, carol), 4 * BOND_OF_CLAIM + BOND_OF_CLAIM);
        assertEq(resolving.owed(simulated, treasury), BOND_OF_CLAIM);
    }

    function test_if_nobody_was_right_all_bonds_are_the_treasurys() public {
        claimAs(alice, 1000);
        claimAs(bob, 0);
        claimAs(carol, 1000);
        vm.prank(arbiter);
        resolving.rule(gateway, id, pays(500));
        assertPaid(500);
        assertEq(resolving.owed(simulated, treasury), 7 * BOND_OF_CLAIM);
    }

    function test_without_a_ruling_the_event_is_void_and_everyone_has_his_bond() public {
        claimAs(alice, 1000);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NotWithArbiter.selector, gateway, id));
        resolving.void(gateway, id);
        claimAs(bob, 0);
        claimAs(carol, 700);
        uint64 closes = uint64(vm.getBlockTimestamp()) + PATIENCE;
        vm.warp(closes - 1);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.WindowOpen.selector, closes));
        resolving.void(gateway, id);
        vm.warp(closes);
        resolving.void(gateway, id);
        assertPaid(500);
        assertEq(resolving.owed(simulated, carol), 4 * BOND_OF_CLAIM);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.AlreadyDecided.selector, gateway, id));
        resolving.rule(gateway, id, pays(1000));
    }

    /// @dev However late it is: a void is a claim like any other.
    function test_what_nobody_has_answered_for_a_year_ends_a_window_after_somebody_says_void() public {
        pass(365 days);
        claimAs(bob, 500);
        pass(WINDOW);
        resolving.finalize(gateway, id, pays(500));
        assertPaid(500);
        assertEq(resolving.owed(simulated, bob), BOND_OF_CLAIM);
    }

    /// @dev Claims may come at any moment of their windows, up to the last. The end depends on nobody in particular.
    function testFuzz_once_claimed_an_event_ends_within_two_windows_and_the_patience(
        uint256 count,
        uint64[2] memory waits
    ) public {
        count = bound(count, 1, 3);
        uint256 begun = vm.getBlockTimestamp();
        claimAs(alice, 1000);
        for (uint256 i = 1; i < count; ++i) {
            pass(bound(waits[i - 1], 0, WINDOW - 1));
            claimAs(i == 1 ? bob : carol, i == 1 ? 0 : 1000);
        }
        vm.warp(resolving.questionOf(gateway, id).closes);
        uint64 paid = count == 3 ? 500 : count == 2 ? 0 : 1000;
        vm.prank(makeAddr("anyone"));
        if (count == 3) resolving.void(gateway, id);
        else resolving.finalize(gateway, id, pays(paid));
        assertPaid(paid);
        assertLe(vm.getBlockTimestamp() - begun, 2 * WINDOW + PATIENCE);
    }

    function test_the_cores_resolver_has_governance_as_its_arbiter() public {
        resolving = optimistic;
        EventConfig memory config = eventOf(venue);
        config.resolver = address(resolving);
        vm.prank(deployer);
        id = eventOfMarket(listings.listEvent(venue, config));
        settleInbox(venue);
        claimAs(alice, 1000);
        claimAs(bob, 0);
        claimAs(carol, 1000);
        enact(XipKind.RuleEvent, abi.encode(gateway, id, pays(0)));
        settleInbox(venue);
        assertEq(viewsOf(venue).payouts(id)[0], 0);
        assertEq(resolving.owed(simulated, bob), 2 * BOND_OF_CLAIM + 5 * BOND_OF_CLAIM / 2);
        assertLt(vm.getBlockTimestamp(), resolving.questionOf(gateway, id).closes, "in time");
    }

    function test_a_made_up_gateway_touches_no_bond_but_its_own() public {
        claimAs(alice, 1000);
        IGateway real = gateway;
        gateway = IGateway(address(new MadeUp(address(resolving), address(simulated))));
        id = EventId.wrap(1);
        claimAs(bob, 1000);
        pass(WINDOW);
        resolving.finalize(gateway, id, pays(1000));
        assertEq(resolving.owed(simulated, bob), BOND_OF_CLAIM);
        vm.prank(bob);
        resolving.withdraw(simulated);
        assertEq(simulated.balanceOf(address(resolving)), BOND_OF_CLAIM, "alice's is there");
        resolving.finalize(real, EventId.wrap(1), pays(1000));
        vm.prank(alice);
        resolving.withdraw(simulated);
    }

    function test_a_token_that_takes_a_fee_is_no_bond() public {
        MoodyToken token = new MoodyToken();
        token.mint(bob, BOND_OF_CLAIM);
        gateway = IGateway(address(new MadeUp(address(resolving), address(token))));
        token.setMood(MoodyToken.Mood.TakesAFee);
        vm.startPrank(bob);
        token.approve(address(resolving), BOND_OF_CLAIM);
        vm.expectPartialRevert(OptimisticResolver.BondNotReceived.selector);
        resolving.claim(gateway, id, pays(1000), "evidence");
        vm.stopPrank();
    }

    function test_the_arbiter_decides_nothing_that_is_not_disputed() public {
        claimAs(alice, 1000);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NotWithArbiter.selector, gateway, id));
        resolving.rule(gateway, id, pays(0));
    }

    function test_what_a_gateway_would_refuse_cannot_be_claimed() public {
        uint64[] memory payouts = pays(1000);
        payouts[1] = 1;
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.InvalidPayouts.selector, 2, 1000));
        resolving.claim(gateway, id, payouts, "evidence");
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.InvalidPayouts.selector, 2, 1000));
        resolving.claim(gateway, id, new uint64[](3), "evidence");
        EventId other = eventOfMarket(listEvent(venue));
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NotOurs.selector, gateway, other));
        resolving.claim(gateway, other, pays(0), "evidence");
        EventConfig memory config = eventOf(venue);
        config.resolver = address(resolving);
        vm.prank(deployer);
        other = eventOfMarket(listings.listEvent(venue, config));
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NotSettledYet.selector, gateway, other));
        resolving.claim(gateway, other, pays(0), "evidence");
        vm.expectRevert(abi.encodeWithSelector(OptimisticResolver.NothingClaimed.selector, gateway, other));
        resolving.finalize(gateway, other, pays(0));
    }
}
