// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Core, CoreDeployment, CoreTerms, GroupCode, ResolverTerms} from "../../script/Core.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {OptimisticResolver} from "../../contracts/resolver/OptimisticResolver.sol";
import {Listings} from "../../contracts/venue/Listings.sol";
import {ProtocolLimits} from "../../contracts/venue/ProtocolLimits.sol";
import {SimulatedTokens} from "../../contracts/venue/SimulatedTokens.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {VenueRegistry} from "../../contracts/venue/VenueRegistry.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {Reviews} from "../../contracts/xip/Reviews.sol";
import {Rollout} from "../../contracts/xip/Rollout.sol";
import {XipActions} from "../../contracts/xip/XipActions.sol";
import {XipGovernor} from "../../contracts/xip/XipGovernor.sol";
import {XipRegistry} from "../../contracts/xip/XipRegistry.sol";
import {XipTimelock} from "../../contracts/xip/XipTimelock.sol";
import {Procedure, XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {TestToken} from "../group/TestToken.sol";

/// @notice The governance as it is deployed, with stakers who hold 100,000 votes together.
abstract contract XipTest is Test {
    string internal constant URI = "ipfs://xip";

    uint88 internal constant REQUIRED = 1000 ether;
    uint96 internal constant BOND = 10 ether;
    uint64 internal constant NOTICE = 3 days;
    uint256 internal constant SEQUENCER_KEY = uint256(keccak256("sequencer"));

    TestToken internal okb;
    SimulatedTokens internal simulatedTokens;
    SimulatedToken internal simulated;
    StakedOkb internal stake;
    Slots internal slots;
    SlotAuction internal auction;
    XipTimelock internal timelock;
    XipRegistry internal xips;
    XipActions internal actions;
    XipGovernor internal governor;
    Rollout internal rollout;
    Reviews internal reviews;
    ProtocolLimits internal limits;
    VenueRegistry internal registry;
    Listings internal listings;
    OptimisticResolver internal optimistic;
    /// @dev 40 %, 35 % and 25 % of all votes.
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal carol = makeAddr("carol");
    /// @dev On the rollout's list, without a stake yet.
    address internal deployer = makeAddr("deployer");
    address internal guardian = makeAddr("guardian");

    function setUp() public virtual {
        vm.warp(1_781_000_000);
        okb = new TestToken("WOKB", 18);
        simulatedTokens = new SimulatedTokens();
        simulated = simulatedTokens.make();
        Core memory core = CoreDeployment.deploy(address(this), coreTerms(), groupCode());
        (timelock, xips, actions, governor) = (core.timelock, core.xips, core.actions, core.governor);
        (stake, slots, auction, limits) = (core.stake, core.slots, core.auction, core.limits);
        (rollout, reviews, registry, listings) = (core.rollout, core.reviews, core.registry, core.listings);
        optimistic = core.resolver;
        stakeAs(alice, 40_000 ether);
        stakeAs(bob, 35_000 ether);
        stakeAs(carol, 25_000 ether);
        pass(1);
    }

    function coreTerms() internal view returns (CoreTerms memory terms) {
        terms.okb = okb;
        terms.procedures = CoreDeployment.procedures();
        terms.limits = CoreDeployment.limits();
        (terms.cooldown, terms.requiredStake, terms.baseSlots) = (21 days, REQUIRED, [uint32(3), 2, 1]);
        terms.auction = SlotAuction.Terms({floor: 10 ether, first: 100 ether, fall: 1 days, multiple: 2_000_000});
        (terms.sequencer, terms.guardian) = (vm.addr(SEQUENCER_KEY), guardian);
        (terms.notice, terms.bond) = (NOTICE, BOND);
        terms.resolver = ResolverTerms({window: 2 hours, patience: 21 days, leastBond: 50e6, bondShare: 10_000});
        (terms.allowed, terms.simulated) = (new address[](1), simulatedTokens);
        terms.allowed[0] = deployer;
    }

    /// @dev From the artifacts, linked to libraries that forge has deployed.
    function groupCode() internal view returns (GroupCode memory) {
        return GroupCode({
            group: vm.getCode("RiskGroup.sol:RiskGroup"),
            gateway: vm.getCode("Gateway.sol:Gateway"),
            escapeHatch: vm.getCode("EscapeHatch.sol:EscapeHatch")
        });
    }

    function procedureTable() internal pure returns (Procedure[4] memory) {
        return CoreDeployment.procedures();
    }

    // ----------------------------------------------------------------- a XIP's life

    function draft(address author, XipKind kind, bytes memory payload) internal returns (XipNumber number) {
        vm.prank(author);
        number = governor.draft(kind, payload, URI);
    }

    function submit(XipNumber number, address author, bytes memory payload) internal returns (uint256 proposal) {
        okb.mint(author, 1000 ether);
        vm.startPrank(author);
        okb.approve(address(governor), type(uint256).max);
        proposal = governor.submit(number, payload, URI);
        vm.stopPrank();
    }

    /// @notice Drafts and submits a XIP of alice's, and goes to the first second of its vote.
    function toVote(XipKind kind, bytes memory payload) internal returns (XipNumber number, uint256 proposal) {
        number = draft(alice, kind, payload);
        proposal = submit(number, alice, payload);
        vm.warp(governor.proposalSnapshot(proposal) + 1);
    }

    function vote(uint256 proposal, address voter, uint8 support) internal {
        vm.prank(voter);
        governor.castVote(proposal, support);
    }

    function veto(uint256 proposal, address voter) internal {
        bytes memory params = governor.VETO();
        vm.prank(voter);
        governor.castVoteWithReasonAndParams(proposal, 0, "", params);
    }

    /// @notice Goes on to the first second at which the vote is over.
    function endVote(uint256 proposal) internal {
        vm.warp(governor.proposalDeadline(proposal) + 1);
    }

    /// @notice Everybody votes for a XIP, and it is queued.
    function toQueue(XipKind kind, bytes memory payload) internal returns (XipNumber number, uint256 proposal) {
        (number, proposal) = toVote(kind, payload);
        vote(proposal, alice, 1);
        vote(proposal, bob, 1);
        vote(proposal, carol, 1);
        endVote(proposal);
        governor.queue(proposal);
    }

    /// @notice A XIP that everybody wants, from its draft to its execution.
    function enact(XipKind kind, bytes memory payload) internal returns (XipNumber number) {
        uint256 proposal;
        (number, proposal) = toQueue(kind, payload);
        vm.warp(governor.proposalEta(proposal));
        governor.execute(proposal);
    }

    function assertStatus(XipNumber number, XipStatus status) internal view {
        assertEq(uint8(xips.status(number)), uint8(status));
    }

    // ----------------------------------------------------------------- small words

    function stakeAs(address account, uint256 amount) internal {
        okb.mint(account, amount);
        vm.startPrank(account);
        okb.approve(address(stake), amount);
        stake.stake(amount);
        vm.stopPrank();
    }

    function pass(uint256 secondsLong) internal {
        vm.warp(vm.getBlockTimestamp() + secondsLong);
    }
}
