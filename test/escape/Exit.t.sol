// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscapeHatch} from "../../contracts/group/IEscapeHatch.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {AccountId, Batch, FeedId} from "../../contracts/group/Types.sol";
import {MoodyToken} from "../group/MoodyToken.sol";
import {TestToken} from "../group/TestToken.sol";
import {EscapeTest} from "./EscapeTest.sol";

/// @notice Who leaves with what: money by the share, assets whole, and debtors when they have paid.
contract ExitTest is EscapeTest {
    Trader private alice;
    Trader private bob;
    Trader private carol;
    TestToken private ether_;
    FeedId private etherFeed;

    function setUp() public override {
        super.setUp();
        alice = openSettled("alice", 100 * DOLLAR);
        bob = openSettled("bob", 200 * DOLLAR);
        carol = openSettled("carol", 300 * DOLLAR);
        ether_ = new TestToken("ETH", 18);
        etherFeed = addAsset(assetConfig(address(ether_), "ETH"));
        settleInbox();
        settlePrice(etherFeed, 2_000);
    }

    function newToken() internal override returns (SimulatedToken) {
        return new MoodyToken();
    }

    function test_the_owner_is_paid_whoever_calls() public {
        freezeAndTally();
        (uint256 due,,) = hatch.previewExit(alice.account);
        assertEq(due, 100 * DOLLAR);
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.Exited(alice.account, alice.owner, 100 * DOLLAR);
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.Paid(alice.account, alice.owner, address(token), 100 * DOLLAR);
        vm.prank(makeAddr("anyone"));
        assertEq(hatch.exit(alice.account), 100 * DOLLAR);
        assertEq(walletOf(alice), 100 * DOLLAR);
        assertTrue(hatch.hasExited(alice.account));
        assertFalse(hatch.hasExited(bob.account));
    }

    function test_nobody_exits_twice() public {
        freezeAndTally();
        hatch.exit(alice.account);
        expectRefusal(IEscapeHatch.AlreadyExited.selector, alice);
        hatch.exit(alice.account);
        expectRefusal(IEscapeHatch.AlreadyExited.selector, alice);
        hatch.previewExit(alice.account);
        expectRefusal(IEscapeHatch.NothingDue.selector, alice);
        hatch.collect(alice.account);
        assertEq(walletOf(alice), 100 * DOLLAR);
    }

    function test_accounts_that_do_not_exist_are_not_paid() public {
        freezeAndTally();
        Trader memory nobody;
        nobody.account = AccountId.wrap(99);
        expectRefusal(IEscapeHatch.NoSuchAccount.selector, nobody);
        hatch.exit(nobody.account);
        expectRefusal(IEscapeHatch.NoSuchAccount.selector, nobody);
        hatch.collect(nobody.account);
        expectRefusal(IEscapeHatch.OwesNothing.selector, nobody);
        hatch.repay(nobody.account);
        nobody.account = AccountId.wrap(0);
        expectRefusal(IEscapeHatch.NoSuchAccount.selector, nobody);
        hatch.exit(nobody.account);
    }

    function test_longs_and_shorts_leave_at_the_last_price() public {
        settleTrade(alice, bob, perpetual, 20, 50_000);
        movePrice(51_000);
        freezeAndTally();
        assertEq(hatch.exit(alice.account), 120 * DOLLAR);
        assertEq(hatch.exit(bob.account), 180 * DOLLAR);
    }

    function test_funding_that_was_not_paid_yet_counts() public {
        settleTrade(alice, bob, perpetual, 20, 50_000);
        pass(60);
        Batch memory batch = nextBatch();
        addPrice(batch, perpetualFeed, 50_000);
        // Longs pay shorts 1,000 atoms a lot.
        addFunding(batch, perpetualFeed, int128(int256(1000 * PRICE_SCALE)));
        settle(batch);
        freezeAndTally();
        assertEq(hatch.exit(alice.account), 100 * DOLLAR - 20_000);
        assertEq(hatch.exit(bob.account), 200 * DOLLAR + 20_000);
    }

    function test_assets_leave_whole_and_in_kind() public {
        deposit(alice.owner, alice.account, address(ether_), 3e18);
        deposit(bob.owner, bob.account, address(ether_), 2e18);
        settleInbox();
        // Carol's unpaid debt makes the pool short; assets are not of the pool.
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
        freezeAndTally();
        (uint256 paid, address[] memory tokens, uint256[] memory amounts) = hatch.previewExit(alice.account);
        assertEq(paid, shareOf(100 * DOLLAR));
        assertLt(paid, 100 * DOLLAR);
        assertEq(tokens.length, 1);
        assertEq(tokens[0], address(ether_));
        assertEq(amounts[0], 3e18);
        vm.expectEmit(address(hatch));
        emit IEscapeHatch.Paid(alice.account, alice.owner, address(ether_), 3e18);
        assertEq(hatch.exit(alice.account), paid);
        hatch.exit(bob.account);
        assertEq(ether_.balanceOf(alice.owner), 3e18);
        assertEq(ether_.balanceOf(bob.owner), 2e18);
        assertEq(ether_.balanceOf(address(group)), 0);
    }

    function test_a_debtor_s_assets_stay_until_its_debt_is_paid_and_all_gain_by_it() public {
        indebtCarolWithEther();
        assertEq(usdOf(carol), -int256(50 * DOLLAR));
        freezeAndTally();
        assertRatio(600 * DOLLAR + 1, 650 * DOLLAR + 1);
        uint256 early = hatch.exit(bob.account);
        assertEq(early, shareOf(550 * DOLLAR));
        expectOwes(carol, 50 * DOLLAR);
        hatch.exit(carol.account);
        expectOwes(carol, 50 * DOLLAR);
        hatch.previewExit(carol.account);
        assertEq(hatch.debtOf(carol.account), 50 * DOLLAR);

        assertEq(repayFrom(makeAddr("friend"), carol), 50 * DOLLAR);
        assertRatio(650 * DOLLAR + 1, 650 * DOLLAR + 1);
        assertEq(hatch.debtOf(carol.account), 0);
        assertEq(hatch.exit(carol.account), 0);
        assertEq(ether_.balanceOf(carol.owner), 1e18);
        expectRefusal(IEscapeHatch.OwesNothing.selector, carol);
        hatch.repay(carol.account);

        // Who left before the debt was paid collects what was missing.
        assertEq(hatch.dueTo(bob.account), 550 * DOLLAR - early);
        assertEq(hatch.collect(bob.account), 550 * DOLLAR - early);
        assertEq(hatch.exit(alice.account), 100 * DOLLAR);
        assertEq(hatch.exit(treasury.account), 1);
        assertEq(token.balanceOf(address(group)), 0);
    }

    function test_repaying_needs_the_payer_s_tokens() public {
        indebtCarolWithEther();
        freezeAndTally();
        vm.expectRevert();
        hatch.repay(carol.account);
        assertEq(hatch.debtOf(carol.account), 50 * DOLLAR);
        assertRatio(600 * DOLLAR + 1, 650 * DOLLAR + 1);
    }

    function test_of_a_repayment_what_arrives_counts() public {
        indebtCarolWithEther();
        freezeAndTally();
        MoodyToken(address(token)).setMood(MoodyToken.Mood.TakesAFee);
        assertEq(repayFrom(carol.owner, carol), 45 * DOLLAR);
        assertEq(hatch.debtOf(carol.account), 5 * DOLLAR);
        assertRatio(645 * DOLLAR + 1, 650 * DOLLAR + 1);
        expectOwes(carol, 5 * DOLLAR);
        hatch.exit(carol.account);
        MoodyToken(address(token)).setMood(MoodyToken.Mood.Good);
        assertEq(repayFrom(carol.owner, carol), 5 * DOLLAR);
        hatch.exit(carol.account);
    }

    function test_what_a_token_refuses_to_send_can_be_claimed_later() public {
        freezeAndTally();
        MoodyToken.Mood[6] memory moods = [
            MoodyToken.Mood.ReturnsFalse,
            MoodyToken.Mood.ReturnsTwo,
            MoodyToken.Mood.ReturnsOneByte,
            MoodyToken.Mood.Reverts,
            MoodyToken.Mood.RevertsAtLength,
            MoodyToken.Mood.BurnsAllGas
        ];
        for (uint256 i = 0; i < moods.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            MoodyToken(address(token)).setMood(moods[i]);
            assertEq(hatch.exit(alice.account), 100 * DOLLAR);
            assertEq(views.claimable(alice.owner, address(token)), 100 * DOLLAR);
            assertTrue(hatch.hasExited(alice.account));
            MoodyToken(address(token)).setMood(MoodyToken.Mood.Good);
            hatch.exit(bob.account);
            hatch.exit(carol.account);
            hatch.exit(treasury.account);
            vm.prank(alice.owner);
            group.claim(address(token), alice.owner);
            assertEq(walletOf(alice), 100 * DOLLAR);
            assertEq(token.balanceOf(address(group)), 0);
            vm.revertToState(snapshot);
        }
    }

    function test_an_asset_that_refuses_stops_nothing_else() public {
        MoodyToken moody = new MoodyToken();
        addAsset(assetConfig(address(moody), "MOODY"));
        settleInbox();
        deposit(alice.owner, alice.account, address(moody), 5e18);
        deposit(alice.owner, alice.account, address(ether_), 1e18);
        settleInbox();
        freezeAndTally();
        moody.setMood(MoodyToken.Mood.BurnsAllGas);
        hatch.exit(alice.account);
        assertEq(walletOf(alice), 100 * DOLLAR);
        assertEq(ether_.balanceOf(alice.owner), 1e18);
        assertEq(views.claimable(alice.owner, address(moody)), 5e18);
    }

    function test_a_token_that_calls_back_gets_nothing_twice() public {
        freezeAndTally();
        MoodyToken(address(token)).setCallback(address(hatch), abi.encodeCall(hatch.exit, (bob.account)));
        hatch.exit(alice.account);
        assertFalse(MoodyToken(address(token)).callbackSucceeded());
        assertEq(walletOf(alice), 100 * DOLLAR);
        assertEq(walletOf(bob), 0);
        MoodyToken(address(token)).setMood(MoodyToken.Mood.Good);
        assertEq(hatch.exit(bob.account), 200 * DOLLAR);
    }

    function test_the_insurance_fund_and_the_treasury_leave_like_everyone() public {
        deposit(governor, INSURANCE, 30 * DOLLAR);
        deposit(governor, PROTOCOL, 20 * DOLLAR);
        settleInbox();
        freezeAndTally();
        assertEq(hatch.exit(INSURANCE), 30 * DOLLAR);
        assertEq(hatch.exit(PROTOCOL), 20 * DOLLAR);
        assertEq(token.balanceOf(governor), 50 * DOLLAR);
        assertEq(hatch.exit(treasury.account), 1);
    }

    /// @dev By the proof in the contract this cannot be; so the books are made to lie.
    function test_wrong_books_never_reach_what_is_not_the_pool_s() public {
        (, uint64 index) = views.inbox();
        deposit(carol.owner, carol.account, 70 * DOLLAR);
        freezeGroup();
        IGroupViews.HealthView memory lie = views.health(alice.account);
        lie.usd = int256(1000 * DOLLAR);
        vm.mockCall(address(group), abi.encodeCall(IGroupViews.health, (alice.account)), abi.encode(lie));
        tallyAll();
        assertEq(hatch.exit(bob.account), 200 * DOLLAR);
        assertEq(hatch.exit(alice.account), 400 * DOLLAR + 1);
        assertEq(hatch.exit(carol.account), 0);
        assertEq(hatch.paidOut(), poolTokens());
        group.applyFrozen(index, queued(index));
        vm.prank(carol.owner);
        assertEq(group.claim(address(token), carol.owner), 70 * DOLLAR);
    }

    // ----------------------------------------------------------------- the same share in any order

    function testFuzz_an_insolvent_group_pays_everyone_the_same_in_any_order(uint256 seed, uint256 fall) public {
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(50_000 - bound(fall, 6_001, 25_000));
        freezeAndTally();
        AccountId[5] memory ids = [alice.account, bob.account, treasury.account, INSURANCE, PROTOCOL];
        uint256[5] memory shares;
        for (uint256 i = 0; i < ids.length; ++i) {
            shares[i] = shareOf(uint256(views.health(ids[i]).usd));
        }
        for (uint256 left = ids.length; left > 0; --left) {
            uint256 pick = uint256(keccak256(abi.encode(seed, left))) % left;
            assertEq(hatch.exit(ids[pick]), shares[pick]);
            (ids[pick], shares[pick]) = (ids[left - 1], shares[left - 1]);
        }
        assertLe(hatch.paidOut(), poolTokens());
        assertGe(hatch.paidOut() + ids.length, poolTokens());
    }

    function testFuzz_a_debt_paid_between_exits_serves_all_alike(uint8 when, uint256 fall) public {
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(50_000 - bound(fall, 6_001, 25_000));
        freezeAndTally();
        AccountId[3] memory ids = [bob.account, alice.account, treasury.account];
        for (uint256 i = 0; i < 3; ++i) {
            if (i == when % 4) repayFrom(carol.owner, carol);
            hatch.exit(ids[i]);
        }
        if (when % 4 == 3) repayFrom(carol.owner, carol);
        for (uint256 i = 0; i < 3; ++i) {
            if (hatch.dueTo(ids[i]) != 0) hatch.collect(ids[i]);
        }
        assertEq(walletOf(bob), uint256(usdOf(bob)));
        assertEq(walletOf(alice), 100 * DOLLAR);
        assertEq(token.balanceOf(address(group)), 0);
    }

    /// @notice Carol holds an ether and has lost 350 dollars of 300 to Bob.
    function indebtCarolWithEther() private {
        deposit(carol.owner, carol.account, address(ether_), 1e18);
        settleInbox();
        settleTrade(carol, bob, perpetual, 50, 50_000);
        movePrice(43_000);
    }
}
