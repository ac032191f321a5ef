// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {
    EventConfig,
    EventId,
    MarketId,
    Phase,
    eventOf as eventOfMarket,
    firstMarket
} from "../../contracts/group/Types.sol";
import {SignerSet} from "../../contracts/oracle/SignerSet.sol";
import {CommitteeResolver} from "../../contracts/resolver/CommitteeResolver.sol";
import {Payouts} from "../../contracts/resolver/Payouts.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {VenueTest} from "../venue/VenueTest.sol";

/// @notice Events that three of five decide.
contract CommitteeResolverTest is VenueTest {
    uint256 private constant MEMBERS = 5;
    uint256 private constant QUORUM = 3;

    CommitteeResolver private committee;
    uint64 private deadline;
    /// @dev In ascending order of their addresses.
    uint256[] private keys;
    address[] private members;
    VenueNumber private venue;
    IGateway private gateway;
    EventId private id;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < MEMBERS; ++i) {
            keys.push(uint256(keccak256(abi.encode("member", i))));
        }
        for (uint256 i = 0; i < MEMBERS; ++i) {
            for (uint256 j = i + 1; j < MEMBERS; ++j) {
                if (vm.addr(keys[j]) < vm.addr(keys[i])) (keys[i], keys[j]) = (keys[j], keys[i]);
            }
            members.push(vm.addr(keys[i]));
        }
        venue = openVenue();
        deadline = uint64(vm.getBlockTimestamp()) + 30 days;
        committee = new CommitteeResolver(members, QUORUM, deadline);
        gateway = gatewayOf(venue);
        id = openEvent();
        settleInbox(venue);
    }

    function openEvent() private returns (EventId) {
        EventConfig memory config = eventOf(venue);
        config.resolver = address(committee);
        vm.prank(deployer);
        return eventOfMarket(listings.listEvent(venue, config));
    }

    function pays(uint64 yes) private pure returns (uint64[] memory payouts) {
        payouts = new uint64[](2);
        (payouts[0], payouts[1]) = (yes, 1000 - yes);
    }

    function signed(uint256 key, uint64 yes) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, committee.hashResolution(gateway, id, pays(yes), "evidence"));
        return abi.encodePacked(r, s, v);
    }

    /// @notice The signatures of the members whose bits are set.
    function signatures(uint256 whose, uint64 yes) private view returns (bytes[] memory list) {
        uint256 count;
        for (uint256 i = 0; i < MEMBERS; ++i) {
            count += whose >> i & 1;
        }
        list = new bytes[](count);
        count = 0;
        for (uint256 i = 0; i < MEMBERS; ++i) {
            if (whose >> i & 1 == 1) list[count++] = signed(keys[i], yes);
        }
    }

    function assertPaid(uint64 yes) private {
        settleInbox(venue);
        assertEq(viewsOf(venue).payouts(id)[0], yes);
        assertEq(uint8(phaseOf(venue, firstMarket(id))), uint8(Phase.Delisted));
    }

    function testFuzz_a_quorum_decides_and_fewer_do_not(uint256 whose, uint64 yes) public {
        whose %= 1 << MEMBERS;
        yes %= 1001;
        bytes[] memory list = signatures(whose, yes);
        vm.prank(bob);
        if (list.length < QUORUM) {
            vm.expectRevert(abi.encodeWithSelector(CommitteeResolver.TooFewSignatures.selector, list.length, QUORUM));
            committee.resolve(gateway, id, pays(yes), "evidence", list);
            return;
        }
        committee.resolve(gateway, id, pays(yes), "evidence", list);
        assertPaid(yes);
    }

    function test_nobody_counts_twice() public {
        bytes[] memory list = signatures(7, 1000);
        list[1] = list[0];
        vm.expectRevert(abi.encodeWithSelector(SignerSet.SignersNotAscending.selector, members[0], members[0]));
        committee.resolve(gateway, id, pays(1000), "evidence", list);
        list = signatures(7, 1000);
        (list[1], list[2]) = (list[2], list[1]);
        vm.expectRevert(abi.encodeWithSelector(SignerSet.SignersNotAscending.selector, members[2], members[1]));
        committee.resolve(gateway, id, pays(1000), "evidence", list);
    }

    function testFuzz_whoever_is_no_member_does_not_count(uint256 key) public {
        key = bound(key, 1, 1e40);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            vm.assume(keys[i] != key);
        }
        bytes[] memory list = signatures(7, 1000);
        list[0] = signed(key, 1000);
        vm.expectRevert(abi.encodeWithSelector(CommitteeResolver.NotMember.selector, vm.addr(key)));
        committee.resolve(gateway, id, pays(1000), "evidence", list);
        list[0] = "unreadable";
        vm.expectRevert(abi.encodeWithSelector(CommitteeResolver.NotMember.selector, address(0)));
        committee.resolve(gateway, id, pays(1000), "evidence", list);
    }

    function test_what_was_signed_decides_nothing_else() public {
        bytes[] memory list = signatures(7, 1000);
        EventId other = openEvent();
        settleInbox(venue);
        vm.expectPartialRevert(CommitteeResolver.NotMember.selector);
        committee.resolve(gateway, id, pays(0), "evidence", list);
        vm.expectPartialRevert(CommitteeResolver.NotMember.selector);
        committee.resolve(gateway, id, pays(1000), "other evidence", list);
        vm.expectPartialRevert(CommitteeResolver.NotMember.selector);
        committee.resolve(gateway, other, pays(1000), "evidence", list);
        vm.expectPartialRevert(CommitteeResolver.NotMember.selector);
        committee.resolve(IGateway(address(this)), id, pays(1000), "evidence", list);
        CommitteeResolver twin = new CommitteeResolver(members, QUORUM, deadline);
        vm.expectPartialRevert(CommitteeResolver.NotMember.selector);
        twin.resolve(gateway, id, pays(1000), "evidence", list);
        committee.resolve(gateway, id, pays(1000), "evidence", list);
        assertPaid(1000);
    }

    function test_a_resolution_is_hashed_as_eip_712_says() public view {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Exchange OS Resolutions"),
                keccak256("1"),
                block.chainid,
                address(committee)
            )
        );
        bytes32 body = keccak256(
            abi.encode(
                keccak256("Resolution(address gateway,uint24 eventId,uint64[] payouts,bytes32 evidence)"),
                gateway,
                id,
                keccak256(abi.encode(uint256(300), uint256(700))),
                bytes32("evidence")
            )
        );
        assertEq(
            committee.hashResolution(gateway, id, pays(300), "evidence"),
            keccak256(abi.encodePacked(hex"1901", separator, body))
        );
    }

    /// @notice An early close: the market trades, its deadline is a month away, and what it asks is already known.
    function test_an_event_that_trades_is_closed_early_and_stays_closed() public {
        assertEq(uint8(phaseOf(venue, firstMarket(id))), uint8(Phase.Open));
        assertGt(deadline, vm.getBlockTimestamp() + 29 days);
        committee.resolve(gateway, id, pays(1000), "evidence", signatures(7, 1000));
        assertPaid(1000);
        MarketId market = firstMarket(id);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.PhaseNotAllowed.selector, market, Phase.Delisted, Phase.Open));
        listings.setPhase(venue, market, Phase.Open);
    }

    function test_an_event_is_decided_once() public {
        committee.resolve(gateway, id, pays(1000), "evidence", signatures(7, 1000));
        bytes[] memory list = signatures(28, 0);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AlreadyResolved.selector, id));
        committee.resolve(gateway, id, pays(0), "evidence", list);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IGateway.AlreadyResolved.selector, id));
        committee.void(gateway, id);
        assertPaid(1000);
    }

    function test_an_event_that_names_somebody_else_is_not_reached() public {
        EventId other = eventOfMarket(listEvent(venue));
        settleInbox(venue);
        id = other;
        bytes[] memory list = signatures(7, 1000);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotResolver.selector, other, committee, resolver));
        committee.resolve(gateway, other, pays(1000), "evidence", list);
    }

    function test_what_is_not_decided_by_the_deadline_anyone_may_void() public {
        vm.warp(deadline - 1);
        vm.expectRevert(abi.encodeWithSelector(CommitteeResolver.NotDueYet.selector, deadline));
        committee.void(gateway, id);
        vm.warp(deadline);
        vm.prank(bob);
        committee.void(gateway, id);
        assertPaid(500);
    }

    function test_a_late_committee_still_decides_what_nobody_has_voided() public {
        vm.warp(deadline + 1 days);
        committee.resolve(gateway, id, pays(0), "evidence", signatures(31, 0));
        assertPaid(0);
    }

    function test_an_event_that_no_batch_has_opened_cannot_be_voided() public {
        id = openEvent();
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(Payouts.NotSettledYet.selector, gateway, id));
        committee.void(gateway, id);
    }

    function test_a_committee_has_a_quorum_of_more_than_half_and_a_deadline_to_come() public {
        vm.expectRevert(abi.encodeWithSelector(SignerSet.QuorumOutOfBounds.selector, 2, 5));
        new CommitteeResolver(members, 2, deadline);
        vm.expectRevert(abi.encodeWithSelector(CommitteeResolver.DeadlineOver.selector, uint64(vm.getBlockTimestamp())));
        new CommitteeResolver(members, QUORUM, uint64(vm.getBlockTimestamp()));
    }
}
