// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    FORCED,
    Fill,
    MarketFills,
    MarketId,
    Order,
    Phase,
    Redemption,
    Side,
    Signature
} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice An owner forces a close: matched in the book at no worse than index less the penalty, else taken by the fund at
/// that price, else by those on the other side; or else the group freezes.
/// @dev Alice is long 100 lots at 50,000 dollars: worth 5,000, and 50 less is the worst that she can get.
contract ForcedCloseTest is PerpetualTest {
    function setUp() public override {
        super.setUp();
        exchange(alice, bob, btc, 100, 50_000);
    }

    // ----------------------------------------------------------------- the request

    function test_a_request_is_for_the_position_as_it_is() public {
        requestClose(alice, btc);
        uint64 since = nowMs();
        pass(5);
        settleInbox();
        assertForced(alice, 100, since);
        exchange(alice, bob, btc, 50, 50_000);
        assertForced(alice, 100, since);
        // Asking again renews the size and not the time.
        pass(5);
        requestClose(alice, btc);
        settleInbox();
        assertForced(alice, 150, since);
    }

    function test_without_a_position_there_is_nothing_to_close() public {
        requestClose(carol, btc);
        settleInbox();
        assertForced(carol, 0, 0);
    }

    function test_only_its_owner_forces_an_accounts_close() public {
        uint256 fee = gateway.requestFee();
        vm.deal(bob.owner, fee);
        vm.prank(bob.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotOwner.selector, alice.account, bob.owner, alice.owner));
        gateway.requestClose{value: fee}(alice.account, btc);
    }

    // ----------------------------------------------------------------- in the book

    function test_a_forced_line_needs_no_signature_and_closes_once() public {
        forceClose(alice);
        settle(batchOf(forcedSale(60, 49_900)));
        assertEq(positionOf(alice, btc), 40);
        // 5,000 dollars of cash, and 60 lots at 49.9
        assertEq(cashOf(alice), 5_000 * DOLLAR + 2_994 * DOLLAR);
        assertForced(alice, 40, nowMs());
        assertNotForced(forcedSale(41, 49_900), alice, 40, 41);
        settle(batchOf(forcedSale(40, 49_900)));
        assertForced(alice, 0, 0);
        exchange(alice, bob, btc, 100, 50_000);
        assertNotForced(forcedSale(1, 49_900), alice, 0, 1);
    }

    /// @dev 100 lots: index value 5,000 dollars; at 49,499 they bring 4,949.9.
    function test_a_forced_sale_brings_index_less_the_penalty() public {
        forceClose(alice);
        assertRefused(
            batchOf(forcedSale(100, 49_499)),
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanLimit.selector, alice.account, 0, uint256(5_000e6), uint256(4_949_900_000)
            )
        );
        settle(batchOf(forcedSale(100, 49_500)));
        assertEq(cashOf(alice), 9_950 * DOLLAR);
    }

    function test_a_forced_purchase_costs_index_and_the_penalty() public {
        forceClose(bob);
        Fill memory forced = forcedLine(bob, Side.Buy, 100, 50_501);
        Fill memory sold = fill(alice, order(alice, btc, Side.Sell, 100, 50_501));
        assertRefused(
            batchOf(fills(btc, forced, sold)),
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanLimit.selector, bob.account, 0, uint256(5_000e6), uint256(5_050_100_000)
            )
        );
        forced = forcedLine(bob, Side.Buy, 100, 50_500);
        sold = fill(alice, order(alice, btc, Side.Sell, 100, 50_500));
        settle(batchOf(fills(btc, forced, sold)));
        assertEq(cashOf(bob), 9_950 * DOLLAR);
    }

    /// @dev A tick a lot more pays the fee of 0.1 % on 4,955 dollars; an atom of fee too many does not.
    function test_a_forced_lines_fee_is_part_of_its_price() public {
        forceClose(alice);
        Batch memory batch = batchOf(forcedSale(100, 49_500));
        batch.markets[0].fills[0].fee = 1;
        assertRefused(
            batch,
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanLimit.selector, alice.account, 0, uint256(5_000e6), uint256(4_950e6)
            )
        );
        batch = batchOf(forcedSale(100, 49_549));
        batch.markets[0].fills[0].fee = 4_900_001;
        assertRefused(
            batch,
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanLimit.selector, alice.account, 0, uint256(5_000e6), uint256(4_954_900_000)
            )
        );
        batch = batchOf(forcedSale(100, 49_549));
        batch.markets[0].fills[0].fee = 4_900_000;
        settle(batch);
        assertEq(cashOf(alice), 9_950 * DOLLAR);
    }

    function test_a_forced_line_only_reduces() public {
        forceClose(alice);
        MarketFills memory lines = fills(
            btc, forcedLine(alice, Side.Buy, 100, 50_000), fill(carol, order(carol, btc, Side.Sell, 100, 50_000))
        );
        assertRefused(
            batchOf(lines),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 0, int256(100), int256(200))
        );
    }

    function test_nobody_is_forced_who_did_not_ask() public {
        assertNotForced(forcedSale(1, 50_000), alice, 0, 1);
        forceClose(alice);
        MarketFills memory lines =
            fills(btc, forcedLine(bob, Side.Buy, 1, 50_000), fill(carol, order(carol, btc, Side.Sell, 1, 50_000)));
        assertNotForced(lines, bob, 0, 1);
    }

    // ----------------------------------------------------------------- the fund, and the other side

    function test_what_the_book_does_not_take_the_fund_takes() public {
        fundInsurance(1_000 * DOLLARS);
        forceClose(alice);
        settle(batchOf(forcedSale(60, 50_000)));
        settleRescue(takeover(alice, btc));
        // 40 lots are worth 2,000 dollars, and cost 1 % of it.
        assertEq(cashOf(alice), 9_980 * DOLLAR);
        assertEq(positionOf(fund, btc), 40);
        assertEq(usdOf(fund), 1_020 * DOLLAR);
        assertEq(views.feed(btcFeed).loss, 0);
        assertForced(alice, 0, 0);
    }

    /// @dev The 50 dollars of penalty are no margin for 5,000: 250 are.
    function test_what_the_fund_cannot_take_the_other_side_does() public {
        forceClose(alice);
        assertRefused(
            batchOf(takeover(alice, btc)),
            abi.encodeWithSelector(IRiskGroup.FundCannotCarry.selector, btc, int256(100), int256(0))
        );
        settleRescue(deleveraging(alice, btc, opposite(bob, 100)));
        assertEq(cashOf(alice), 9_950 * DOLLAR);
        assertEq(cashOf(bob), 10_050 * DOLLAR);
        assertForced(alice, 0, 0);
    }

    function test_the_other_side_is_left_alone_while_the_fund_can() public {
        fundInsurance(1_000 * DOLLARS);
        forceClose(alice);
        assertRefused(
            batchOf(deleveraging(alice, btc, opposite(bob, 100))),
            abi.encodeWithSelector(IRiskGroup.FundCanCarry.selector, btc, int256(100))
        );
    }

    function test_only_what_was_asked_for_is_taken() public {
        fundInsurance(1_000 * DOLLARS);
        forceClose(alice);
        exchange(alice, bob, btc, 50, 50_000);
        settleRescue(takeover(alice, btc));
        assertEq(positionOf(alice, btc), 50);
        assertForced(alice, 0, 0);
    }

    // ----------------------------------------------------------------- the owner was faster

    function test_an_owner_who_closed_is_forced_no_more() public {
        fundInsurance(1_000 * DOLLARS);
        forceClose(alice);
        exchange(bob, alice, btc, 100, 50_000);
        assertForced(alice, 0, 0);
        // What is opened later is another position.
        exchange(alice, bob, btc, 100, 50_000);
        assertNotForced(forcedSale(100, 50_000), alice, 0, 100);
        assertRefused(
            batchOf(takeover(alice, btc)),
            abi.encodeWithSelector(IRiskGroup.NotFailing.selector, alice.account, int256(9_850e6))
        );
        pass(1 days + 1);
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.CloseNotOverdue.selector, alice.account, btc, 0, 0, DEADLINE));
        group.freezeForClose(alice.account, btc);
    }

    function test_a_position_that_changed_sides_is_another_one() public {
        forceClose(alice);
        exchange(bob, alice, btc, 150, 50_000);
        assertEq(positionOf(alice, btc), -50);
        assertForced(alice, 0, 0);
    }

    function test_what_was_redeemed_is_closed() public {
        forceClose(alice);
        setPhase(btc, Phase.Delisted);
        settleInbox();
        settle(batchOf(Redemption(alice.account, btc)));
        assertForced(alice, 0, 0);
    }

    function test_who_closed_a_part_has_the_rest_closed() public {
        fundInsurance(1_000 * DOLLARS);
        forceClose(alice);
        exchange(bob, alice, btc, 70, 50_000);
        settleRescue(takeover(alice, btc));
        assertEq(positionOf(alice, btc), 0);
        assertForced(alice, 0, 0);
        assertEq(positionOf(fund, btc), 30);
    }

    // ----------------------------------------------------------------- nobody did

    function test_a_close_that_nobody_carried_out_freezes_the_group() public {
        requestClose(alice, btc);
        uint64 since = nowMs();
        settleInbox();
        pass(1 days);
        vm.expectRevert(
            abi.encodeWithSelector(IRiskGroup.CloseNotOverdue.selector, alice.account, btc, 100, since, DEADLINE)
        );
        group.freezeForClose(alice.account, btc);
        pass(1);
        vm.expectEmit(address(group));
        emit IRiskGroup.Frozen(nowMs());
        vm.prank(dave.owner); // anyone
        group.freezeForClose(alice.account, btc);
        assertRefused(nextBatch(), abi.encodeWithSelector(IRiskGroup.GroupFrozen.selector, uint256(nowMs())));
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.GroupFrozen.selector, uint256(nowMs())));
        group.freezeForClose(alice.account, btc);
    }

    function test_a_close_that_was_carried_out_freezes_nothing() public {
        forceClose(alice);
        settle(batchOf(forcedSale(100, 50_000)));
        pass(2 days);
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.CloseNotOverdue.selector, alice.account, btc, 0, 0, DEADLINE));
        group.freezeForClose(alice.account, btc);
    }

    // ----------------------------------------------------------------- words

    function forceClose(Trader memory trader) private {
        requestClose(trader, btc);
        settleInbox();
    }

    /// @notice A line of the account's that nobody signed.
    function forcedLine(Trader memory trader, Side side, uint64 size, uint64 price) private returns (Fill memory line) {
        Order memory unsigned = order(trader, btc, side, size, price);
        unsigned.nonce = 0;
        line = fill(trader, unsigned);
        (line.tree, line.signature) = (FORCED, Signature(0, 0));
    }

    /// @notice Carol buys what Alice is forced to sell.
    function forcedSale(uint64 size, uint64 price) private returns (MarketFills memory) {
        return
            fills(btc, forcedLine(alice, Side.Sell, size, price), fill(carol, order(carol, btc, Side.Buy, size, price)));
    }

    function assertForced(Trader memory trader, uint64 size, uint64 since) private view {
        (uint64 actualSize, uint64 actualSince) = views.forcedClose(trader.account, btc);
        assertEq(actualSize, size);
        assertEq(actualSince, since);
    }

    function assertNotForced(MarketFills memory lines, Trader memory trader, uint256 left, uint256 filled) private {
        assertRefused(
            batchOf(lines), abi.encodeWithSelector(IRiskGroup.NotForced.selector, trader.account, btc, left, filled)
        );
    }
}
