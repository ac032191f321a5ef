// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Registrar} from "../../contracts/compliance/Registrar.sol";
import {AccountId} from "../../contracts/group/Types.sol";
import {ComplianceTest} from "./ComplianceTest.sol";
import {MoodyRule} from "./MoodyRule.sol";

/// @notice Traders who join, renew, are revoked and leave with their money, under rules that change what they say, break and
/// are replaced, in any order; a batch after every step.
/// @dev The handler is the test contract itself, so that it has the words of `VenueTest`.
contract MembersInvariantsTest is ComplianceTest {
    uint256 private constant TRADERS = 4;

    address[] private traders;
    AccountId[] private ids;
    /// @dev What was told of each account at its last join, and what has become of it since.
    mapping(AccountId => uint64) private expected;
    MoodyRule private next;
    uint32 private term = TERM;
    uint32 private nextTerm;
    bool private shut;
    uint256 private joins;
    uint256 private revocations;
    uint256 private exits;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < TRADERS; ++i) {
            traders.push(makeAddr(string.concat("trader", vm.toString(i))));
            ids.push(deposit(venue, traders[i], 1000e6));
        }
        settleInbox(venue);
        bytes4[] memory steps = new bytes4[](9);
        steps[0] = this.doSay.selector;
        steps[1] = this.doJoin.selector;
        steps[2] = this.doRevoke.selector;
        steps[3] = this.doExit.selector;
        steps[4] = this.doMood.selector;
        steps[5] = this.doAnnounce.selector;
        steps[6] = this.doApply.selector;
        steps[7] = this.doDoor.selector;
        steps[8] = this.doPass.selector;
        targetContract(address(this));
        targetSelector(FuzzSelector(address(this), steps));
    }

    // ----------------------------------------------------------------- what happens

    modifier settled() {
        _;
        vm.roll(vm.getBlockNumber() + 1);
        settleInbox(venue);
    }

    /// @dev What the rule means now, told without asking it.
    function truth(address trader) private view returns (uint64) {
        if (rule.mood() != MoodyRule.Mood.Honest) return 0;
        uint64 until = rule.says(trader);
        return until <= nowS() ? 0 : until;
    }

    function doSay(uint256 who, uint256 days_) external settled {
        days_ %= 60;
        rule.say(traders[who % TRADERS], days_ == 0 ? 0 : days_ == 1 ? ALWAYS : nowS() + uint64(days_) * 1 days);
    }

    function doJoin(uint256 who) external settled {
        (address trader, AccountId id) = (traders[who % TRADERS], ids[who % TRADERS]);
        uint64 passes = truth(trader);
        vm.prank(traders[(who >> 8) % TRADERS]);
        try doors.join(venue, id, "") returns (uint64 until) {
            assertFalse(shut, "through a shut door");
            assertGt(passes, nowS(), "who does not pass");
            assertEq(until, passes < nowS() + term ? passes : nowS() + term);
            expected[id] = until;
            ++joins;
        } catch (bytes memory reason) {
            bool already = bytes4(reason) == Registrar.MemberAlready.selector;
            assertTrue(shut || passes == 0 || already, "who passes joins");
        }
    }

    function doRevoke(uint256 who) external settled {
        (address trader, AccountId id) = (traders[who % TRADERS], ids[who % TRADERS]);
        bool member = expected[id] > nowS();
        bool passes = truth(trader) != 0;
        try doors.revoke(venue, id, "") {
            assertTrue(member && !passes);
            expected[id] = 0;
            ++revocations;
        } catch {
            assertTrue(!member || passes, "who does not pass is revoked");
        }
    }

    /// @notice Money leaves in whatever mood the rule is; a revert here fails the run.
    function doExit(uint256 who) external settled {
        AccountId id = ids[who % TRADERS];
        if (viewsOf(venue).account(id).cash < 1e6) return;
        uint256 before = simulated.balanceOf(traders[who % TRADERS]);
        withdraw(venue, id, 1e6);
        settleInbox(venue);
        assertEq(simulated.balanceOf(traders[who % TRADERS]), before + 1e6);
        ++exits;
    }

    function doMood(uint256 mood) external settled {
        // Mostly honest.
        mood = mood % 32;
        rule.setMood(mood > uint8(MoodyRule.Mood.TooLarge) ? MoodyRule.Mood.Honest : MoodyRule.Mood(uint8(mood)));
    }

    function doAnnounce(uint256 term_) external settled {
        (next, nextTerm) = (new MoodyRule(), uint32(bound(term_, 1 hours, 366 days)));
        setRule(next, nextTerm);
    }

    function doApply() external settled {
        uint64 dueAt = doors.changeOf(venue).dueAt;
        bool due = dueAt != 0 && dueAt <= nowS();
        try doors.applyRule(venue) {
            assertTrue(due, "before its notice");
            (rule, term) = (next, nextTerm);
        } catch {
            assertFalse(due);
        }
    }

    function doDoor(uint256 which) external settled {
        shut = which % 4 == 0;
        vm.prank(deployer);
        shut ? doors.shut(venue) : doors.reopen(venue);
    }

    function doPass(uint256 hours_) external settled {
        pass((hours_ % (20 * 24)) * 1 hours);
    }

    // ----------------------------------------------------------------- what always holds

    /// @dev The steps do what they are for; of a run of them at random, nobody could say so.
    function test_the_steps_reach_joins_revocations_and_exits() public {
        this.doSay(0, 1);
        this.doJoin(0);
        this.doAnnounce(30 days);
        this.doPass(4 * 24);
        this.doApply();
        assertEq(address(rule), address(next));
        this.doRevoke(0);
        this.doSay(0, 20);
        this.doJoin(0);
        this.doMood(uint8(MoodyRule.Mood.Burns));
        this.doExit(0);
        this.doRevoke(0);
        this.doDoor(0);
        this.doMood(0);
        this.doJoin(0);
        assertEq(joins, 2);
        assertEq(revocations, 2);
        assertEq(exits, 1);
    }

    /// @notice The group's members are those who passed when they last joined, until the date that they were told, and who
    /// have not been shown not to pass since.
    function invariant_members_are_who_passed_when_they_joined() public view {
        for (uint256 i = 0; i < TRADERS; ++i) {
            assertEq(membershipOf(ids[i]), expected[ids[i]] * 1000);
            assertEq(doors.memberOf(venue, ids[i]).until, expected[ids[i]]);
        }
        // She never asked to be one.
        assertEq(membershipOf(account), 0);
    }
}
