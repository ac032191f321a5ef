// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AllOfRule} from "../../contracts/compliance/AllOfRule.sol";
import {Credential, CredentialRule} from "../../contracts/compliance/CredentialRule.sol";
import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";
import {Registrar} from "../../contracts/compliance/Registrar.sol";
import {SanctionsRule} from "../../contracts/compliance/SanctionsRule.sol";
import {
    EventConfig,
    EventId,
    Fill,
    InboxKind,
    MarketFills,
    MarketId,
    Order,
    Redemption,
    eventOf
} from "../../contracts/group/Types.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {VenueRegistry} from "../../contracts/venue/VenueRegistry.sol";
import {Group, GroupNumber, Venue, VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {GroupTest} from "../group/GroupTest.sol";
import {MoodyRule} from "./MoodyRule.sol";
import {SanctionsStandIn} from "./StandIns.sol";

/// @notice A registry that knows one venue.
contract RegistryStandIn {
    Venue private _venue;
    Group private _group;

    function know(Venue calldata venue, Group calldata group) external {
        (_venue, _group) = (venue, group);
    }

    function venueOf(VenueNumber) external view returns (Venue memory) {
        return _venue;
    }

    function groupOf(GroupNumber) external view returns (Group memory) {
        return _group;
    }
}

/// @notice Members trade in a restricted market by signed orders. Whoever is no longer a member leaves by every door, and
/// on the way out nobody asks the registrar or the rule, whatever they would say.
contract ExitsTest is GroupTest {
    uint32 private constant TERM = 30 days;
    VenueNumber private constant NUMBER = VenueNumber.wrap(1);

    Registrar private doors;
    MoodyRule private rule;
    MarketId private where;
    Trader private alice;
    Trader private bob;

    function setUp() public override {
        RegistryStandIn registry = new RegistryStandIn();
        doors = new Registrar(VenueRegistry(address(registry)), 3 days);
        registrar = address(doors);
        super.setUp();
        registry.know(
            Venue(GroupNumber.wrap(1), VENUE, deployer, registrar, true),
            Group(address(group), address(gateway), address(0), deployer, true)
        );
        rule = new MoodyRule();
        vm.prank(deployer);
        doors.setRule(NUMBER, rule, TERM);
        EventConfig memory config = eventConfig(2);
        config.terms.restricted = true;
        EventId id = openEvent(config);
        where = market(id, 0);
        alice = openAccount("alice", 1_000_000_000_000);
        bob = openAccount("bob", 1_000_000_000_000);
        settleInbox();
    }

    function join(Trader memory trader) private {
        rule.say(trader.owner, type(uint64).max);
        uint64 until = doors.join(NUMBER, trader.account, "");
        noteQueued(InboxKind.MembershipSet, abi.encode(trader.account, VENUE, until * 1000));
        settleInbox();
    }

    function revoke(Trader memory trader) private {
        rule.say(trader.owner, 0);
        doors.revoke(NUMBER, trader.account, "");
        noteQueued(InboxKind.MembershipSet, abi.encode(trader.account, VENUE, 0));
        settleInbox();
    }

    /// @dev From here on nobody may ask either of them anything; and whoever did would burn all gas.
    function neverAsked() private {
        rule.setMood(MoodyRule.Mood.Burns);
        vm.expectCall(address(rule), "", 0);
        vm.expectCall(address(doors), "", 0);
    }

    function onlyReducing(Fill memory line, int256 before, int256 position) private pure returns (bytes memory) {
        Order memory signed = line.order;
        return abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, signed.account, signed.nonce, before, position);
    }

    function test_who_passes_trades_and_who_does_not_waits_outside() public {
        join(bob);
        MarketFills memory made = trade(alice, bob, where, 10, 500);
        assertRefused(batchOf(made), onlyReducing(made.fills[0], 0, 10));
        join(alice);
        settle(batchOf(made));
        assertEq(positionOf(alice, where), 10);
    }

    function test_who_is_revoked_takes_no_new_risk_and_closes_its_position() public {
        join(alice);
        join(bob);
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        revoke(alice);
        neverAsked();
        MarketFills memory more = trade(alice, bob, where, 1, 500);
        assertRefused(batchOf(more), onlyReducing(more.fills[0], 10, 11));
        settle(batchOf(trade(bob, alice, where, 10, 500)));
        assertEq(positionOf(alice, where), 0);
    }

    function test_a_membership_that_ends_by_itself_leaves_the_same_way_out() public {
        join(alice);
        join(bob);
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        neverAsked();
        pass(TERM + 1);
        MarketFills memory more = trade(alice, bob, where, 1, 500);
        assertRefused(batchOf(more), onlyReducing(more.fills[0], 10, 11));
        settle(batchOf(trade(bob, alice, where, 10, 500)));
        assertEq(positionOf(alice, where), 0);
    }

    function test_who_never_joined_or_was_revoked_deposits_and_withdraws_by_every_door() public {
        join(alice);
        revoke(alice);
        neverAsked();
        uint128 amount = 1_000_000;
        settle(batchOf(withdrawal(alice, amount)));
        requestWithdrawal(alice, amount);
        requestCancelAll(alice, 50);
        settleInbox();
        assertEq(token.balanceOf(alice.owner), 2 * uint256(amount));
        settle(batchOf(withdrawal(bob, amount)));
        requestWithdrawal(bob, amount);
        settleInbox();
        assertEq(token.balanceOf(bob.owner), 2 * uint256(amount));
        deposit(alice.owner, alice.account, amount);
        settleInbox();
    }

    function test_a_revoked_member_is_paid_when_its_event_resolves() public {
        join(alice);
        join(bob);
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        revoke(alice);
        neverAsked();
        uint64[] memory payouts = new uint64[](2);
        payouts[0] = uint64(TICKS);
        resolveEvent(eventOf(where), payouts);
        settleInbox();
        int256 before = views.account(alice.account).cash;
        settle(batchOf(Redemption(alice.account, where)));
        assertGt(views.account(alice.account).cash, before);
    }

    /// @dev The whole way, with the rules that a venue of this kind would have.
    function test_a_customer_who_is_sanctioned_leaves_with_what_is_hers() public {
        SanctionsStandIn sanctions = new SanctionsStandIn();
        (address issuer, uint256 key) = makeAddrAndKey("issuer");
        uint16[] memory jurisdictions = new uint16[](1);
        jurisdictions[0] = 756;
        CredentialRule credentials = new CredentialRule(issuer, jurisdictions, 1);
        IComplianceRule[] memory rules = new IComplianceRule[](2);
        (rules[0], rules[1]) = (new SanctionsRule(sanctions), credentials);
        IComplianceRule both = new AllOfRule(rules);
        vm.prank(deployer);
        doors.setRule(NUMBER, both, TERM);
        pass(3 days);
        doors.applyRule(NUMBER);

        bytes memory evidence = credentialOf(alice, credentials, key, 756);
        joinWith(alice, evidence);
        joinWith(bob, credentialOf(bob, credentials, key, 756));
        bytes memory elsewhere = credentialOf(alice, credentials, key, 643);
        assertEq(doors.look(NUMBER, alice.account, elsewhere), 0, "a jurisdiction that was not named");
        settle(batchOf(trade(alice, bob, where, 10, 500)));

        sanctions.sanction(alice.owner, true);
        doors.revoke(NUMBER, alice.account, evidence);
        noteQueued(InboxKind.MembershipSet, abi.encode(alice.account, VENUE, 0));
        settleInbox();
        vm.expectCall(address(doors), "", 0);
        vm.expectCall(address(both), "", 0);
        MarketFills memory more = trade(alice, bob, where, 1, 500);
        assertRefused(batchOf(more), onlyReducing(more.fills[0], 10, 11));
        settle(batchOf(trade(bob, alice, where, 10, 500)));
        uint128 all = uint128(uint256(int256(views.account(alice.account).cash)));
        settle(batchOf(withdrawal(alice, all)));
        assertEq(token.balanceOf(alice.owner), all);
        assertEq(views.account(alice.account).cash, 0);
    }

    function credentialOf(Trader memory trader, CredentialRule credentials, uint256 key, uint16 jurisdiction)
        private
        view
        returns (bytes memory)
    {
        Credential memory about = Credential(trader.owner, jurisdiction, 1, uint64(vm.getBlockTimestamp()) + 90 days, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, credentials.hashCredential(about));
        bytes[] memory parts = new bytes[](2);
        parts[1] = abi.encode(about, abi.encodePacked(r, s, v));
        return abi.encode(parts);
    }

    function joinWith(Trader memory trader, bytes memory evidence) private {
        uint64 until = doors.join(NUMBER, trader.account, evidence);
        noteQueued(InboxKind.MembershipSet, abi.encode(trader.account, VENUE, until * 1000));
        settleInbox();
    }
}
