// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, Counterparty, FeedId, Lots, MarketId} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice What the insurance fund cannot carry, the most profitable opposite accounts close, at the bankruptcy price.
/// @dev Alice is long 2,000 lots from 50,000 with 10,000 dollars, so 45,000 is her bankruptcy price; Bob is short 1,200 of
/// them and Carol 800. The fund is empty.
contract DeleveragingTest is PerpetualTest {
    function setUp() public override {
        super.setUp();
        exchange(alice, bob, btc, 1200, 50_000);
        exchange(alice, carol, btc, 800, 50_000);
    }

    /// @dev 54,000 and 36,000 dollars of the 90,000 that Alice receives.
    function test_opposite_accounts_close_at_the_bankruptcy_price() public {
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        Counterparty[] memory others = opposite(bob, 1200, carol, 800);
        vm.expectEmit(address(group));
        emit IRiskGroup.Deleveraged(alice.account, btc, 2000, 90_000 * DOLLAR, others);
        settleRescue(deleveraging(alice, btc, others));
        assertEq(cashOf(alice), 0);
        // Each has the profit of 5,000 dollars a bitcoin.
        assertEq(cashOf(bob), 16_000 * DOLLAR);
        assertEq(cashOf(carol), 14_000 * DOLLAR);
        assertEq(heldBy(bob), 0);
        assertEq(openInterestOf(btc), 0);
    }

    function test_longs_close_against_a_failing_short() public {
        exchange(dave, bob, btc, 800, 50_000); // Bob is short 2,000
        reprice(btcFeed, 56_000);
        exhaustGrace(bob, 56_000);
        settleRescue(deleveraging(bob, btc, opposite(alice, 2000)));
        // 110,000 dollars for what is worth 112,000
        assertEq(cashOf(bob), 0);
        assertEq(cashOf(alice), 20_000 * DOLLAR);
    }

    /// @dev A part at a time: 500 of 2,000 lots, 22,500 of 90,000 dollars.
    function test_a_position_may_close_in_parts() public {
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        settleRescue(deleveraging(alice, btc, opposite(bob, 500)));
        assertEq(positionOf(alice, btc), 1500);
        assertEq(cashOf(alice), -90_000 * DOLLAR + 22_500 * DOLLAR);
        assertEq(positionOf(bob, btc), -700);
        assertEq(cashOf(bob), 70_000 * DOLLAR - 22_500 * DOLLAR);
        // Bob's profit weighs less now that he holds less.
        settleRescue(deleveraging(alice, btc, opposite(carol, 800, bob, 700)));
        assertEq(cashOf(alice), 0);
    }

    /// @dev Erin bought 3 lots with 15.000001 dollars, so she receives 134.999999: 44.999999, 45 and 45 of it from each.
    function test_parts_add_up_to_the_atom() public {
        Trader memory erin = openAccount("erin", 15_000_001);
        settleInbox();
        exchange(erin, bob, btc, 3, 50_000);
        exchange(bob, dave, btc, 1, 50_000);
        reprice(btcFeed, 45_500);
        exhaustGrace(erin, 45_500);
        int256[3] memory before = [cashOf(bob), cashOf(carol), cashOf(dave)];
        Counterparty[] memory others = new Counterparty[](3);
        // Bob's and Carol's equity carries more than Dave's, whose profit per lot is the same.
        others[0] = Counterparty(bob.account, Lots.wrap(1));
        others[1] = Counterparty(carol.account, Lots.wrap(1));
        others[2] = Counterparty(dave.account, Lots.wrap(1));
        settleRescue(deleveraging(erin, btc, others));
        assertEq(cashOf(erin), 0);
        assertEq(cashOf(bob), before[0] - 44_999_999);
        assertEq(cashOf(carol), before[1] - 45_000_000);
        assertEq(cashOf(dave), before[2] - 45_000_000);
    }

    // ----------------------------------------------------------------- in order

    /// @dev Both gained 10.2 %: 102,000 ppm. Bob's 53,880 dollars of notional stand on 16,120 of equity, 3,342,431 ppm, Carol's
    /// 35,920 on 14,080, 2,551,136 ppm.
    function test_the_most_profitable_come_first() public {
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(carol, 800, bob, 1200))),
            abi.encodeWithSelector(
                IRiskGroup.NotInRankedOrder.selector,
                bob.account,
                uint256(102_000) * 3_342_431,
                uint256(102_000) * 2_551_136
            )
        );
    }

    /// @dev Dave sold at 44,000 and has lost: he is last, however small his equity.
    function test_who_has_lost_comes_last() public {
        exchange(carol, dave, btc, 100, 44_000);
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(dave, 100, bob, 1200))),
            abi.encodeWithSelector(
                IRiskGroup.NotInRankedOrder.selector, bob.account, uint256(102_000) * 3_342_431, uint256(0)
            )
        );
        settleRescue(deleveraging(alice, btc, opposite(bob, 1200, dave, 100)));
        assertEq(positionOf(dave, btc), 0);
    }

    // ----------------------------------------------------------------- not without need, not too much

    function test_what_the_fund_can_carry_is_the_funds() public {
        fundInsurance(5_000 * DOLLARS);
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(bob, 1200))),
            abi.encodeWithSelector(IRiskGroup.FundCanCarry.selector, btc, int256(2000))
        );
    }

    function test_a_healthy_account_and_one_within_its_grace_deleverage_nobody() public {
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(bob, 1200))),
            abi.encodeWithSelector(IRiskGroup.NotFailing.selector, alice.account, int256(7_000e6))
        );
        reprice(btcFeed, 44_900);
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(bob, 1200))),
            abi.encodeWithSelector(IRiskGroup.KeepersHaveTime.selector, alice.account, 0, 10_000, nowMs())
        );
        settleRescue(flag(alice));
        pass(60);
        Batch memory batch = batchOf(deleveraging(alice, btc, opposite(bob, 1200)));
        batch.time += 1;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed));
    }

    function test_only_the_other_side_closes_and_no_more_than_it_holds() public {
        exchange(dave, bob, btc, 10, 50_000);
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        assertNotOpposite(dave, 10, 10);
        assertNotOpposite(treasury, 0, 10);
        assertNotOpposite(alice, 2000, 10);
        assertNotOpposite(bob, -1210, 1211);
        assertNotOpposite(bob, -1210, 0);
    }

    function test_no_more_closes_than_the_position() public {
        exchange(dave, bob, btc, 10, 50_000);
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(bob, 1210, carol, 800))),
            abi.encodeWithSelector(
                IRiskGroup.DeleveragedTooMuch.selector, alice.account, btc, uint256(2000), uint256(2010)
            )
        );
        // An account named twice counts twice.
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(bob, 1210, bob, 1))),
            abi.encodeWithSelector(IRiskGroup.NotAnOppositePosition.selector, bob.account, btc, int256(0), uint256(1))
        );
    }

    // ----------------------------------------------------------------- who was deleveraged

    /// @dev Erin is short 100 lots of bitcoin and long ether that lost 1,500 dollars. At 42,000 Alice lacks 6,000, so closing
    /// costs Erin 3 dollars a lot and frees 1.26: her health goes from −81 to −255 dollars.
    function test_who_is_deleveraged_is_not_refused_for_it() public {
        Trader memory erin = openAccount("erin", 1_000 * DOLLARS);
        (MarketId eth, FeedId ethFeed) = listPerpetual("ETH");
        settlePrice(ethFeed, 2000);
        exchange(bob, erin, btc, 100, 50_000);
        exchange(erin, dave, eth, 5000, 2000);
        pass(1);
        Batch memory batch = nextBatch();
        addPrice(batch, btcFeed, 42_000);
        addPrice(batch, ethFeed, 1700);
        settle(batch);
        assertEq(maintenanceHealthOf(erin), -81 * DOLLAR);
        exhaustGrace(alice, 42_000);
        settleRescue(deleveraging(alice, btc, opposite(erin, 100)));
        assertEq(maintenanceHealthOf(erin), -255 * DOLLAR);
        assertEq(positionOf(erin, btc), 0);
        // What it is now is what the next trades may not make worse.
        exchange(dave, erin, eth, 100, 1700);
        assertEq(positionOf(erin, eth), 4900);
    }

    /// @dev In the same batch Bob sells what the deleveraging left him the money for.
    function test_who_is_deleveraged_may_trade_in_the_same_batch() public {
        reprice(btcFeed, 44_900);
        exhaustGrace(alice, 44_900);
        Batch memory batch = batchOf(trade(dave, bob, btc, 100, 44_900));
        batch.rescues =
        rescues(deleveraging(alice, btc, opposite(bob, 1200)), deleveraging(alice, btc, opposite(carol, 800))).rescues;
        settle(batch);
        assertEq(positionOf(bob, btc), -100);
        assertEq(entryOf(bob, btcFeed), 44_900);
        assertEq(positionOf(carol, btc), 0);
    }

    function assertNotOpposite(Trader memory other, int256 size, uint64 lots) private {
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(other, lots))),
            abi.encodeWithSelector(IRiskGroup.NotAnOppositePosition.selector, other.account, btc, size, uint256(lots))
        );
    }
}
