// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, Fill, MarketFills, MarketId, Order, Phase, Side, TickLots} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice A call auction has one price, whoever trades in it; and before a market opens nothing trades.
contract AuctionsTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    Trader internal carol;
    MarketId internal where;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000_000);
        bob = openAccount("bob", 1_000_000_000_000);
        carol = openAccount("carol", 1_000_000_000_000);
        where = market(openEvent(2), 0);
        setPhase(where, Phase.Auction);
        settleInbox();
    }

    function test_all_who_trade_in_an_auction_trade_at_its_one_price() public {
        settle(batchOf(threeLines(500, 500)));
        assertEq(positionOf(alice, where), 10);
        assertEq(positionOf(bob, where), -4);
        assertEq(positionOf(carol, where), -6);
    }

    function test_an_auction_with_two_prices_is_refused() public {
        MarketFills memory lines = threeLines(490, 515);
        // The buyer's line is at 505, so sums are zero and every limit is kept; the first line sets the price.
        assertRefused(batchOf(lines), notOnePrice(lines.fills[1], 10, 5050));
    }

    function test_a_continuous_market_may_trade_at_many_prices_in_a_frame() public {
        setPhase(where, Phase.Open);
        settleInbox();
        settle(batchOf(threeLines(490, 515)));
        assertEq(positionOf(alice, where), 10);
    }

    function test_nothing_trades_before_a_market_opens() public {
        Phase[2] memory early = [Phase.Pending, Phase.PostOnly];
        for (uint256 i = 0; i < 2; ++i) {
            setPhase(where, early[i]);
            settleInbox();
            Batch memory batch = batchOf(threeLines(500, 500));
            assertRefused(batch, abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, where));
        }
    }

    function testFuzz_an_auction_settles_if_and_only_if_it_has_one_price(uint64 low, uint64 high) public {
        (low, high) = (uint64(bound(low, 1, 99)) * 5, uint64(bound(high, 1, 99)) * 5);
        MarketFills memory lines = threeLines(low, high);
        if (low == high) {
            settle(batchOf(lines));
        } else {
            uint256 notional = uint256(low) * 4 + uint256(high) * 6;
            assertRefused(batchOf(lines), notOnePrice(lines.fills[1], 10, notional));
        }
    }

    /// @dev One buys 10 of two who sell 4 and 6 at these prices; everybody's limit allows it.
    function threeLines(uint64 low, uint64 high) private returns (MarketFills memory lines) {
        lines.market = where;
        lines.fills = new Fill[](3);
        lines.fills[0] = fill(alice, order(alice, where, Side.Buy, 10, 999), 10, 1);
        lines.fills[1] = fill(bob, order(bob, where, Side.Sell, 4, 1), 4, low);
        lines.fills[2] = fill(carol, order(carol, where, Side.Sell, 6, 1), 6, high);
        lines.fills[0].notional = TickLots.wrap(uint128(low) * 4 + uint128(high) * 6);
    }

    function notOnePrice(Fill memory line, uint256 lots, uint256 notional) private pure returns (bytes memory) {
        Order memory signed = line.order;
        return abi.encodeWithSelector(IRiskGroup.NotOnePrice.selector, signed.account, signed.nonce, lots, notional);
    }
}
