// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {MarketKind} from "../../contracts/group/Types.sol";
import {StakedOkb} from "../../contracts/venue/StakedOkb.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipGovernor} from "../../contracts/xip/XipGovernor.sol";
import {Category, Procedure, XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {TestToken} from "../group/TestToken.sol";
import {XipTest} from "./XipTest.sol";

/// @notice Authors and voters who do what they may, and try what they may not, in any order and at any time.
contract Voters is Test {
    TestToken private immutable okb;
    StakedOkb private immutable stake;
    XipGovernor private immutable governor;
    address[3] private actors;
    uint64 public drafted;
    /// @notice Deposits that nobody has had back yet.
    uint256 public deposited;
    uint256 public executed;
    mapping(XipNumber => uint256) private queuedAt;

    constructor(TestToken okb_, StakedOkb stake_, XipGovernor governor_, address[3] memory actors_) {
        (okb, stake, governor, actors) = (okb_, stake_, governor_, actors_);
    }

    function draft(uint256 who, uint256 which, uint64 number) external {
        (XipKind kind, bytes memory payload) = payloadOf(which, number);
        vm.prank(actors[who % 3]);
        governor.draft(kind, payload, vm.toString(which % 2));
        ++drafted;
        payloads[drafted] = payload;
        uris[drafted] = vm.toString(which % 2);
    }

    mapping(uint64 => bytes) private payloads;
    mapping(uint64 => string) private uris;

    function payloadOf(uint256 which, uint64 number) private pure returns (XipKind, bytes memory) {
        which %= 5;
        if (which == 0) return (XipKind.SetCooldown, abi.encode(uint64(14 days + number % 100 days)));
        if (which == 1) return (XipKind.SetBaseSlots, abi.encode(MarketKind(number % 3), uint32(number % 100)));
        if (which == 2) return (XipKind.SetAllowed, abi.encode(address(uint160(number)), number % 2 == 0));
        if (which == 3) return (XipKind.RevokeXip, abi.encode(XipNumber.wrap(number % 8)));
        Procedure memory procedure = Procedure(0, 200_000, 666_667, 9 ether, 1 hours, 1 days, 7 days);
        procedure.delay += uint32(number % 5 days);
        return (XipKind.SetProcedure, abi.encode(Category.Constitutional, procedure));
    }

    function submit(uint256 which) external {
        (XipNumber number, XipStatus status) = pick(which);
        if (status != XipStatus.Draft) return;
        XipGovernor.Xip memory xip = governor.xipOf(number);
        uint256 deposit = governor.procedureOf(xip.category).deposit;
        okb.mint(xip.author, deposit);
        vm.startPrank(xip.author);
        okb.approve(address(governor), deposit);
        governor.submit(number, payloads[XipNumber.unwrap(number)], uris[XipNumber.unwrap(number)]);
        vm.stopPrank();
        deposited += deposit;
    }

    /// @notice From the draft into the vote, which chance alone seldom finds.
    function campaign(uint256 which) external {
        this.submit(which);
        (XipNumber number, XipStatus status) = pick(which);
        if (status != XipStatus.Review) return;
        vm.warp(governor.proposalSnapshot(governor.xipOf(number).proposalId) + 1);
    }

    function vote(uint256 which, uint256 who, uint8 support, bool veto) external {
        (XipNumber number, XipStatus status) = pick(which);
        uint256 proposal = governor.xipOf(number).proposalId;
        address voter = actors[who % 3];
        if (status != XipStatus.Voting || governor.hasVoted(proposal, voter)) return;
        bytes memory params = veto ? governor.VETO() : bytes("");
        // Twice as often for as against, so that something comes of it.
        support = support % 4 == 0 ? 0 : support % 4 == 1 ? 2 : 1;
        vm.prank(voter);
        governor.castVoteWithReasonAndParams(proposal, support, "", params);
    }

    function queue(uint256 which) external {
        (XipNumber number, XipStatus status) = pick(which);
        uint256 proposal = governor.xipOf(number).proposalId;
        if (status == XipStatus.Voting) {
            vm.warp(governor.proposalDeadline(proposal) + 1);
            status = governor.statusOf(number);
        }
        if (status != XipStatus.Queued || governor.proposalEta(proposal) != 0) return;
        governor.queue(proposal);
        queuedAt[number] = block.timestamp;
    }

    /// @notice Whenever and whatever: what is executed was approved, queued, and has waited.
    function execute(uint256 which, bool wait) external {
        (XipNumber number, XipStatus status) = pick(which);
        XipGovernor.Xip memory xip = governor.xipOf(number);
        if (xip.proposalId == 0) return;
        uint256 eta = governor.proposalEta(xip.proposalId);
        if (wait && status == XipStatus.Queued && eta > block.timestamp) vm.warp(eta);
        try governor.execute(xip.proposalId) {
            ++executed;
            assertEq(uint8(status), uint8(XipStatus.Queued), "only what is queued is executed");
            assertGe(block.timestamp, queuedAt[number] + xip.procedure.delay, "it has waited its delay");
            assertGe(xip.procedure.delay, governor.leastDelay(xip.category));
            (uint256 against, uint256 inFavour, uint256 abstained) = governor.proposalVotes(xip.proposalId);
            assertGe(inFavour + abstained, governor.quorumOf(number), "it had its quorum");
            assertGt(inFavour * 1e6, (inFavour + against) * xip.procedure.approval, "and its majority");
        } catch {}
    }

    function withdraw(uint256 which) external {
        (XipNumber number, XipStatus status) = pick(which);
        if (status != XipStatus.Draft && status != XipStatus.Review) return;
        if (which % 5 != 0) return;
        vm.prank(governor.xipOf(number).author);
        governor.withdraw(number);
    }

    function settleDeposit(uint256 which) external {
        (XipNumber number, XipStatus status) = pick(which);
        XipGovernor.Xip memory xip = governor.xipOf(number);
        if (xip.proposalId == 0 || xip.depositSettled || status < XipStatus.Executed) return;
        bool vetoed = governor.isVetoed(number);
        address to = vetoed ? governor.timelock() : xip.author;
        uint256 before = okb.balanceOf(to);
        governor.settleDeposit(number);
        assertEq(okb.balanceOf(to), before + xip.procedure.deposit);
        if (vetoed) assertEq(uint8(status), uint8(XipStatus.Rejected));
        deposited -= xip.procedure.deposit;
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + time % 4 days);
    }

    function pick(uint256 which) private view returns (XipNumber number, XipStatus status) {
        number = XipNumber.wrap(drafted == 0 ? 1 : uint64(1 + which % drafted));
        status = governor.statusOf(number);
    }
}

/// @notice What holds of XIPs whatever authors and voters do.
contract XipInvariantsTest is XipTest {
    Voters private voters;

    function setUp() public override {
        super.setUp();
        voters = new Voters(okb, stake, governor, [alice, bob, carol]);
        targetContract(address(voters));
        bytes4[] memory readings = new bytes4[](3);
        (readings[0], readings[1]) = (voters.drafted.selector, voters.deposited.selector);
        readings[2] = voters.executed.selector;
        excludeSelector(FuzzSelector(address(voters), readings));
    }

    function invariant_the_governor_holds_the_deposits_that_are_not_settled() public view {
        assertEq(okb.balanceOf(address(governor)), voters.deposited());
    }

    function invariant_each_xip_has_a_status_and_what_was_executed_is_counted() public view {
        uint256 executed;
        for (uint64 number = 1; number <= voters.drafted(); ++number) {
            XipStatus status = xips.status(XipNumber.wrap(number));
            assertTrue(status != XipStatus.None);
            if (status == XipStatus.Executed) ++executed;
        }
        assertEq(executed, voters.executed());
        assertEq(xips.count(), voters.drafted());
    }

    function invariant_procedures_stay_within_their_bounds() public view {
        for (uint8 category = 0; category < 4; ++category) {
            Procedure memory procedure = governor.procedureOf(Category(category));
            assertGe(procedure.delay, governor.leastDelay(Category(category)));
            assertGe(procedure.review, 1 hours);
            assertGe(procedure.voting, 1 days);
            assertGe(procedure.approval, 500_000);
        }
        assertGe(stake.cooldown(), stake.MIN_COOLDOWN());
    }

    /// @dev The handler reaches the end often enough for the above to mean something.
    function test_a_campaign_can_end_in_an_execution() public {
        voters.draft(0, 0, 5);
        voters.campaign(0);
        voters.vote(0, 0, 2, false);
        voters.vote(0, 1, 2, false);
        voters.queue(0);
        voters.execute(0, false);
        assertEq(voters.executed(), 0);
        voters.execute(0, true);
        assertEq(voters.executed(), 1);
        voters.settleDeposit(0);
        assertEq(voters.deposited(), 0);
    }
}
