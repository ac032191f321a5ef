// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, FeedId, MarketId, Rescue, Signature, VenueConfig} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice A debt with nothing behind it is everybody's in proportion, whoever leaves first; and it is paid back first.
/// @dev Alice put in 1000 dollars, bought fifteen coins at 1000 from Bob, and the price halved. The keeper took them at 500,
/// for she had nothing to pay a penalty with. Her debt of 6500 is what all share.
contract SharedLossesTest is GroupTest {
    uint256 private constant DEBT = 6_500_000_000;
    uint256 private constant POOL = 101_000_000_001;

    Trader internal alice;
    Trader internal bob;
    Trader internal keeper;
    MarketId internal where;
    FeedId internal feed;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 50_000_000_000);
        keeper = openAccount("keeper", 50_000_000_000);
        (where, feed) = listPerpetual("BTC");
        settlePrice(feed, 1000);
        settle(batchOf(trade(alice, bob, where, 15_000, 1000)));
        pass(1);
        Batch memory batch = nextBatch();
        addPrice(batch, feed, 500);
        batch.rescues = new Rescue[](2);
        batch.rescues[0] = flag(alice);
        batch.rescues[1] = liquidation(keeper, liquidateMessage(keeper, alice, where, 15_000));
        settle(batch);
        pass(10);
        batch = batchOf(bankruptcy(alice));
        Signature memory signature = signBatch(batch);
        vm.expectEmit();
        emit IRiskGroup.Bankrupt(alice.account, DEBT, 0);
        group.settle(batch, signature);
        assertLosses(POOL, DEBT);
    }

    function test_a_withdrawal_pays_its_part_of_what_is_there() public {
        settle(batchOf(withdrawal(keeper, 1_000_000_000)));
        uint256 paid = 1_000_000_000 * POOL / (POOL + DEBT);
        assertEq(token.balanceOf(keeper.owner), paid);
        assertEq(cashOf(keeper), 50_000_000_000 - 7_500_000_000 - 1_000_000_000);
        assertLosses(POOL - paid, DEBT - (1_000_000_000 - paid));
        // The next to leave gets as much for a dollar.
        settle(batchOf(withdrawal(bob, 1_000_000_000)));
        assertApproxEqAbs(token.balanceOf(bob.owner), paid, 1);
    }

    function test_a_forced_withdrawal_pays_its_part_too() public {
        requestWithdrawal(keeper, 1_000_000_000);
        settleInbox();
        assertEq(token.balanceOf(keeper.owner), 1_000_000_000 * POOL / (POOL + DEBT));
    }

    /// @dev An atom's part is less than an atom. The sequencer may leave a signed withdrawal out, but not an inbox item.
    function test_a_forced_withdrawal_of_less_than_an_atom_stops_no_batch() public {
        requestWithdrawal(keeper, 1);
        settleInbox();
        assertEq(token.balanceOf(keeper.owner), 0);
        assertEq(cashOf(keeper), 50_000_000_000 - 7_500_000_000);
        assertRefused(
            batchOf(withdrawal(keeper, 1)),
            abi.encodeWithSelector(IRiskGroup.PoolExhausted.selector, keeper.account, 1, POOL)
        );
    }

    function test_new_cash_buys_claims_at_what_claims_are_worth() public {
        deposit(bob.owner, bob.account, 1_000_000_000);
        int256 before = cashOf(bob);
        settleInbox();
        uint256 credited = 1_000_000_000 * (POOL + DEBT) / POOL;
        assertEq(cashOf(bob) - before, int256(credited));
        assertLosses(POOL + 1_000_000_000, DEBT + credited - 1_000_000_000);
    }

    function test_what_the_fund_earns_pays_the_losses_first() public {
        VenueConfig memory config = venueConfig();
        config.insuranceShare = 1_000_000;
        setVenue(config);
        settleInbox();
        Batch memory batch = batchOf(trade(bob, keeper, where, 100, 500));
        batch.markets[0].fills[0].fee = 50_000;
        settle(batch);
        assertLosses(POOL, DEBT - 50_000);
        assertEq(cashOf(INSURANCE), 0);
    }

    function test_an_asset_that_the_group_does_not_have_is_not_converted() public {
        for (uint8 none = 0; none < 3; none += 2) {
            assertRefused(
                batchOf(conversion(keeper, convertMessage(keeper, bob, FeedId.wrap(none), 1))),
                abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, none)
            );
        }
    }

    function test_a_bankrupt_account_is_closed() public {
        assertEq(views.account(alice.account).nonceFloor, type(uint64).max);
        assertEq(cashOf(alice), 0);
        Trader memory fresh = openAccount("alice", 1_000_000);
        settleInbox();
        assertRefused(
            batchOf(transfer(fresh, alice.account, 1)),
            abi.encodeWithSelector(IRiskGroup.AccountClosed.selector, alice.account)
        );
        assertRefused(
            batchOf(withdrawal(alice, 1)),
            abi.encodeWithSelector(IRiskGroup.NonceBelowFloor.selector, alice.account, 2, type(uint64).max)
        );
    }

    // ----------------------------------------------------------------- words

    function assertLosses(uint256 tokens, uint256 debt) private view {
        (uint128 pool, uint128 badDebt,) = views.pool();
        assertEq(pool, tokens);
        assertEq(badDebt, debt);
    }
}
