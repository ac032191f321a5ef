// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    EventId,
    FeedId,
    MarketId,
    Order,
    Redemption,
    Side,
    SignedWithdraw,
    VenueConfig
} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice Debts with nothing behind them: the insurance fund pays what it can, and all accounts share the rest.
/// @dev Alice is long 2,000 lots from 50,000 with 10,000 dollars; at 44,000 she has lost 12,000. Carol takes the position at
/// 44,000 and Alice owes 2,000, for she has nothing to pay a penalty with. The fund is empty.
contract BankruptcyTest is PerpetualTest {
    /// @dev 40,000 dollars and the treasury's atom; 2,000 dollars are missing.
    uint256 private constant POOL = 40_000_000_001;
    uint256 private constant DEBT = 2_000_000_000;

    function setUp() public override {
        super.setUp();
        exchange(alice, bob, btc, 2000, 50_000);
    }

    // ----------------------------------------------------------------- when

    function test_a_debt_is_recognised_after_the_grace_only() public {
        ruinAlice();
        assertEq(usdOf(alice), -2_000 * DOLLAR);
        assertRefused(
            batchOf(bankruptcy(alice)),
            abi.encodeWithSelector(IRiskGroup.KeepersHaveTime.selector, alice.account, 0, 10_000, nowMs())
        );
        settleRescue(flag(alice));
        uint64 since = nowMs();
        pass(9);
        assertRefused(
            batchOf(bankruptcy(alice)),
            abi.encodeWithSelector(IRiskGroup.KeepersHaveTime.selector, alice.account, since, 10_000, nowMs())
        );
        passFreshly(1, 44_000);
        settleRescue(bankruptcy(alice));
    }

    function test_who_owes_nothing_is_not_bankrupt() public {
        assertRefused(
            batchOf(bankruptcy(bob)),
            abi.encodeWithSelector(IRiskGroup.AccountOwesNothing.selector, bob.account, 10_000 * DOLLAR)
        );
    }

    function test_who_still_holds_a_position_is_not_bankrupt() public {
        reprice(btcFeed, 44_000);
        exhaustGrace(alice, 44_000);
        assertRefused(
            batchOf(bankruptcy(alice)), abi.encodeWithSelector(IRiskGroup.StillHolds.selector, alice.account, btcFeed)
        );
    }

    // ----------------------------------------------------------------- who pays

    function test_the_fund_pays_what_it_can_and_all_share_the_rest() public {
        fundInsurance(440 * DOLLARS);
        ruinAlice();
        settleRescue(flag(alice));
        passFreshly(10, 44_000);
        vm.expectEmit(address(group));
        emit IRiskGroup.Bankrupt(alice.account, 2_000e6, 440e6);
        settleRescue(bankruptcy(alice));
        assertEq(usdOf(alice), 0);
        assertEq(usdOf(fund), 0);
        assertEq(poolTokens(), POOL + 440e6);
        assertEq(badDebt(), DEBT - 440e6);
        // 22,000 + 10,000 + 10,000 + an atom
        assertEq(usdOf(bob) + usdOf(carol) + usdOf(dave) + 1, int256(POOL + DEBT));
    }

    function test_a_fund_that_can_pays_it_all() public {
        fundInsurance(3_000 * DOLLARS);
        bankruptAlice();
        assertEq(cashOf(INSURANCE), 1_000 * DOLLAR);
        assertEq(badDebt(), 0);
    }

    /// @dev The fund's 3,000 dollars carry 1,000 lots at 50,000, which need 2,500: it spares 500.
    function test_the_fund_pays_only_what_its_own_positions_do_not_need() public {
        fundInsurance(3_000 * DOLLARS);
        settle(batchOf(trade(fund, bob, btc, 1000, 50_000)));
        ruinAlice();
        // 1,000 lots have lost 6,000: nothing to spare at all.
        assertEq(usdOf(fund), 3_000 * DOLLAR - 6_000 * DOLLAR);
        settleRescue(flag(alice));
        passFreshly(10, 50_000);
        assertEq(usdOf(fund), 3_000 * DOLLAR);
        settleRescue(bankruptcy(alice));
        assertEq(usdOf(fund), 2_500 * DOLLAR);
        assertEq(badDebt(), 1_500e6);
    }

    function test_a_funds_own_debt_is_shared_by_all() public {
        fundInsurance(300 * DOLLARS);
        exchange(fund, bob, btc, 100, 50_000);
        reprice(btcFeed, 44_000);
        assertEq(usdOf(fund), -300 * DOLLAR);
        settleRescue(liquidation(carol, liquidateMessage(carol, fund, btc, 100)));
        assertEq(usdOf(fund), -300 * DOLLAR);
        exhaustGrace(fund, 44_000);
        settleRescue(bankruptcy(fund));
        assertEq(usdOf(fund), 0);
        assertEq(badDebt(), 300e6);
        // It is not closed.
        assertEq(views.account(INSURANCE).nonceFloor, 0);
    }

    // ----------------------------------------------------------------- sharing

    /// @dev 10,000 dollars · 40,000,000,001 / 42,000,000,001 = 9,523.809523…
    function test_a_withdrawal_pays_its_part_of_the_pool() public {
        bankruptAlice();
        settle(batchOf(withdrawal(dave, 10_000 * DOLLARS)));
        assertEq(token.balanceOf(dave.owner), 9_523_809_523);
        assertEq(usdOf(dave), 0);
        assertEq(poolTokens(), POOL - 9_523_809_523);
        assertEq(badDebt(), DEBT - (10_000e6 - 9_523_809_523));
    }

    /// @dev Three accounts without positions leave in every order and in parts: each is paid at the ratio, give or take what
    /// rounding left to those who stayed.
    function testFuzz_withdrawals_pay_the_same_in_any_order(uint8 seed, uint64 part) public {
        Trader memory erin = openAccount("erin", 777_777_777);
        Trader memory frank = openAccount("frank", 3_333_333_333);
        settleInbox();
        bankruptAlice();
        (uint256 pool, uint256 claims) = (poolTokens(), poolTokens() + badDebt());
        Trader[3] memory leavers = [dave, erin, frank];
        uint256 first = seed % 3;
        uint256 second = (first + 1 + seed / 3 % 2) % 3;
        uint256[3] memory places = [first, second, 3 - first - second];
        for (uint256 i = 0; i < 3; ++i) {
            Trader memory leaver = leavers[places[i]];
            uint128 claim = uint128(uint256(cashOf(leaver)));
            uint128 some = uint128(bound(part, 2, claim - 2));
            settle(batchOf(withdrawal(leaver, some)));
            settle(batchOf(withdrawal(leaver, claim - some)));
            uint256 fair = uint256(claim) * pool / claims;
            uint256 paid = token.balanceOf(leaver.owner);
            assertGe(paid + 1, fair);
            assertLe(paid, fair + 4);
        }
    }

    /// @dev 9,523,809,524 atoms buy a claim of ⌊9,523,809,524 · 42,000,000,001 / 40,000,000,001⌋.
    function test_a_deposit_buys_claims_at_their_worth() public {
        bankruptAlice();
        deposit(dave.owner, dave.account, 9_523_809_524);
        settleInbox();
        assertEq(cashOf(dave), 10_000 * DOLLAR + 10_000_000_000);
        assertEq(poolTokens(), POOL + 9_523_809_524);
        assertEq(badDebt(), DEBT + 10_000_000_000 - 9_523_809_524);
        // And may leave at the price at which it came.
        settle(batchOf(withdrawal(dave, 10_000 * DOLLARS)));
        assertEq(token.balanceOf(dave.owner), 9_523_809_523);
    }

    function testFuzz_coming_and_leaving_gains_nothing(uint64 amount) public {
        bankruptAlice();
        uint128 paidIn = uint128(bound(amount, 2, 1e15));
        deposit(dave.owner, dave.account, paidIn);
        settleInbox();
        uint128 credited = uint128(uint256(cashOf(dave) - 10_000 * DOLLAR));
        settle(batchOf(withdrawal(dave, credited)));
        assertLe(token.balanceOf(dave.owner), paidIn);
        assertGe(token.balanceOf(dave.owner) + 2, paidIn);
    }

    function test_an_atom_that_is_worth_less_stays() public {
        bankruptAlice();
        assertRefused(
            batchOf(withdrawal(dave, 1)),
            abi.encodeWithSelector(IRiskGroup.PoolExhausted.selector, dave.account, 1, POOL)
        );
        // Forced through the inbox, it does not stop the batch.
        requestWithdrawal(dave, 1);
        requestWithdrawal(dave, 10_000 * DOLLARS);
        settleInbox();
        assertEq(usdOf(dave), 0);
        assertEq(token.balanceOf(dave.owner), 9_523_809_523);
        (uint64 head, uint64 tail) = views.inbox();
        assertEq(head, tail);
    }

    /// @dev Everything that the fund is paid: here its whole share of a fee of 50 dollars.
    function test_what_the_fund_earns_repays_the_loss_first() public {
        VenueConfig memory config = venueConfig();
        config.insuranceShare = 1_000_000;
        setVenue(config);
        settleInbox();
        bankruptAlice();
        Batch memory batch = batchOf(trade(dave, carol, btc, 1000, 44_000));
        batch.markets[0].fills[0].fee = 44e6;
        settle(batch);
        assertEq(badDebt(), DEBT - 44e6);
        assertEq(cashOf(INSURANCE), 0);
    }

    // ----------------------------------------------------------------- the closed account

    function test_a_closed_account_signs_nothing() public {
        bankruptAlice();
        deposit(alice.owner, alice.account, 1_000 * DOLLARS);
        settleInbox();
        uint64 last = type(uint64).max;
        Order memory signed = order(alice, btc, Side.Buy, 1, 44_000);
        signed.nonce = last;
        Batch memory batch =
            batchOf(fills(btc, fill(alice, signed), fill(dave, order(dave, btc, Side.Sell, 1, 44_000))));
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.NonceBelowFloor.selector, alice.account, last, last));
        SignedWithdraw memory leaving = withdrawal(alice, 1);
        leaving.withdraw.nonce = last;
        leaving.signature = sign(alice.key, hashWithdraw(leaving.withdraw));
        assertRefused(
            batchOf(leaving), abi.encodeWithSelector(IRiskGroup.NonceBelowFloor.selector, alice.account, last, last)
        );
        // What is paid in by mistake is still its owner's, through the inbox.
        requestWithdrawal(alice, 2_000 * DOLLARS);
        settleInbox();
        assertEq(usdOf(alice), 0);
        // ⌊⌊1e9 · 42,000,000,001 / 40,000,000,001⌋ · the same the other way⌋
        assertEq(token.balanceOf(alice.owner), 999_999_999);
    }

    function test_nothing_is_sent_to_a_closed_account() public {
        Trader memory second = Trader(alice.key, alice.owner, deposit(alice.owner, NEW_ACCOUNT, 100 * DOLLARS));
        settleInbox();
        bankruptAlice();
        assertRefused(
            batchOf(transfer(second, alice.account, 1)),
            abi.encodeWithSelector(IRiskGroup.AccountClosed.selector, alice.account)
        );
    }

    /// @dev Alice paid 40 dollars for lots that pay 100 if outcome 0 wins; at worst they pay nothing, so they backed no debt.
    function test_what_a_closed_account_wins_is_the_funds() public {
        EventId id = openEvent(2);
        settleInbox();
        exchange(alice, dave, market(id, 0), 10_000, 400);
        bankruptAlice();
        // 40 dollars more are missing, and are not there to be shared: Dave has them.
        assertEq(badDebt(), DEBT + 40e6);
        resolveEvent(id, winner(2, 0));
        settleInbox();
        settle(batchOf(Redemption(alice.account, market(id, 0))));
        assertEq(usdOf(alice), 0);
        assertEq(badDebt(), DEBT + 40e6 - 100e6);
        settle(batchOf(Redemption(dave.account, market(id, 0))));
        assertEq(cashOf(dave), 10_000 * DOLLAR + 40 * DOLLAR - 100 * DOLLAR);
    }

    /// @dev 0.0005 ether are worth a dollar: dust, which the fund sweeps. An atom more keeps the account's debt open.
    function test_dust_is_swept_and_no_more() public {
        (TestToken eth, FeedId ethFeed) = addAsset("ETH");
        deposit(alice.owner, alice.account, address(eth), 0.0005e18 + 5e8);
        settlePrice(ethFeed, 2000);
        ruinAlice();
        settleRescue(flag(alice));
        pass(10);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 44_000);
        addPrice(batch, ethFeed, 2000);
        settle(batch);
        assertRefused(
            batchOf(bankruptcy(alice)), abi.encodeWithSelector(IRiskGroup.StillHolds.selector, alice.account, ethFeed)
        );
        reprice(ethFeed, 1999);
        settleRescue(bankruptcy(alice));
        assertEq(balanceOf(alice, ethFeed), 0);
        assertEq(heldBy(alice), 0);
        assertEq(balanceOf(fund, ethFeed), 0.0005e18 + 5e8);
        assertEq(usdOf(alice), 0);
    }

    // ----------------------------------------------------------------- the gate

    /// @dev The fund holds 2,000 lots taken over at 45,000 dollars a bitcoin; at 42,000 it has lost 6,000 of its 5,000.
    function test_while_the_fund_is_negative_only_principal_leaves() public {
        sinkFund();
        assertEq(usdOf(bob), 26_000 * DOLLAR);
        assertRefused(
            batchOf(withdrawal(bob, 10_000 * DOLLARS + 1)),
            abi.encodeWithSelector(IRiskGroup.ProfitsWait.selector, bob.account, 10_000e6 + 1, 10_000e6)
        );
        settle(batchOf(withdrawal(bob, 4_000 * DOLLARS)));
        assertRefused(
            batchOf(withdrawal(bob, 6_000 * DOLLARS + 1)),
            abi.encodeWithSelector(IRiskGroup.ProfitsWait.selector, bob.account, 6_000e6 + 1, 6_000e6)
        );
        // Nor through another account of the same owner: principal stays where it was paid in.
        AccountId second = deposit(bob.owner, NEW_ACCOUNT, 1 * DOLLARS);
        settleInbox();
        settle(batchOf(transfer(bob, second, 7_000 * DOLLARS)));
        assertRefused(
            batchOf(withdrawal(Trader(bob.key, bob.owner, second), 1 * DOLLARS + 1)),
            abi.encodeWithSelector(IRiskGroup.ProfitsWait.selector, second, 1e6 + 1, 1e6)
        );
        settle(batchOf(withdrawal(bob, 6_000 * DOLLARS)));
        assertEq(token.balanceOf(bob.owner), 10_000 * DOLLARS);
    }

    function test_the_gate_holds_for_forced_withdrawals_too() public {
        sinkFund();
        requestWithdrawal(bob, 20_000 * DOLLARS);
        requestWithdrawal(bob, 20_000 * DOLLARS);
        settleInbox();
        assertEq(token.balanceOf(bob.owner), 10_000 * DOLLARS);
    }

    function test_profits_leave_again_when_the_fund_has_recovered() public {
        sinkFund();
        fundInsurance(1_000 * DOLLARS);
        assertEq(usdOf(fund), 0);
        settle(batchOf(withdrawal(bob, 12_000 * DOLLARS)));
        assertEq(token.balanceOf(bob.owner), 12_000 * DOLLARS);
    }

    // ----------------------------------------------------------------- words

    function ruinAlice() private {
        reprice(btcFeed, 44_000);
        settleRescue(liquidation(carol, liquidateMessage(carol, alice, btc, 2000)));
    }

    function bankruptAlice() private {
        ruinAlice();
        exhaustGrace(alice, 44_000);
        settleRescue(bankruptcy(alice));
    }

    function sinkFund() private {
        fundInsurance(5_000 * DOLLARS);
        reprice(btcFeed, 46_000);
        exhaustGrace(alice, 46_000);
        settleRescue(takeover(alice, btc));
        reprice(btcFeed, 42_000);
        assertEq(usdOf(fund), -1_000 * DOLLAR);
    }
}
