// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {SlotAuction} from "../../contracts/venue/SlotAuction.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipActions} from "../../contracts/xip/XipActions.sol";
import {XipGovernor} from "../../contracts/xip/XipGovernor.sol";
import {IXipProcedure, XipRegistry} from "../../contracts/xip/XipRegistry.sol";
import {XipTimelock} from "../../contracts/xip/XipTimelock.sol";
import {Category, Procedure, XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {TestToken} from "../group/TestToken.sol";

/// @notice The governance as it is deployed, with stakers who hold 100,000 votes together.
abstract contract XipTest is Test {
    string internal constant URI = "ipfs://xip";

    TestToken internal okb;
    StakedOkb internal stake;
    Slots internal slots;
    SlotAuction internal auction;
    XipTimelock internal timelock;
    XipRegistry internal xips;
    XipActions internal actions;
    XipGovernor internal governor;
    address internal registry = makeAddr("registry");
    address internal listings = makeAddr("listings");
    /// @dev 40 %, 35 % and 25 % of all votes.
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal carol = makeAddr("carol");

    function setUp() public virtual {
        vm.warp(1_781_000_000);
        okb = new TestToken("WOKB", 18);
        uint64 nonce = vm.getNonce(address(this));
        address governorAt = vm.computeCreateAddress(address(this), nonce + 6);
        timelock = new XipTimelock(governorAt);
        IXipProcedure[] memory procedures = new IXipProcedure[](1);
        procedures[0] = IXipProcedure(governorAt);
        xips = new XipRegistry(address(timelock), procedures);
        Slots slotsAt = Slots(vm.computeCreateAddress(address(this), nonce + 3));
        address auctionAt = vm.computeCreateAddress(address(this), nonce + 4);
        stake = new StakedOkb(okb, slotsAt, address(timelock), 21 days);
        uint32[3] memory base = [uint32(3), 2, 1];
        slots = new Slots(stake, registry, listings, auctionAt, address(timelock), 1000 ether, base);
        SlotAuction.Terms memory terms =
            SlotAuction.Terms({floor: 10 ether, first: 100 ether, fall: 1 days, multiple: 2_000_000});
        auction = new SlotAuction(okb, slots, address(timelock), address(timelock), terms);
        actions = new XipActions(
            XipActions.Contracts(stake, slots, auction, XipGovernor(payable(governorAt)), timelock, xips)
        );
        governor = new XipGovernor(stake, timelock, okb, xips, actions, procedureTable());
        assertEq(address(governor), governorAt);
        stakeAs(alice, 40_000 ether);
        stakeAs(bob, 35_000 ether);
        stakeAs(carol, 25_000 ether);
        pass(1);
    }

    function procedureTable() internal pure returns (Procedure[4] memory table) {
        table[0] = Procedure(1000, 100_000, 666_667, 50 ether, 1 hours, 1 days, 1 hours);
        table[1] = Procedure(1000, 50_000, 500_000, 50 ether, 12 hours, 3 days, 1 days);
        table[2] = Procedure(1000, 80_000, 500_000, 100 ether, 2 days, 5 days, 3 days);
        table[3] = Procedure(5000, 200_000, 666_667, 500 ether, 3 days, 10 days, 14 days);
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
        assertEq(uint8(xips.statusOf(number)), uint8(status));
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
