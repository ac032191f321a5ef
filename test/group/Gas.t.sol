// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {console} from "forge-std/console.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    EventId,
    FeedId,
    Fill,
    Lots,
    MarketFills,
    MarketId,
    Order,
    OrderTree,
    Side,
    Signature
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice What settlement costs in the steady state: accounts, positions and the nonces' words exist already.
/// @dev Each call is a transaction of its own, with cold storage. `snapshots/` holds the execution gas; a change shows in
/// its diff. Calldata is counted at 16 gas per non-zero and 4 per zero byte (EIP-2028). The floor is what EIP-7623 makes
/// of it: a transaction pays at least 40 and 10.
/// forge-config: default.isolate = true
contract GasTest is GroupTest {
    uint256 private constant BASE = 21_000;

    Trader[] internal traders;
    EventId internal narrow;
    EventId internal wide;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < 40; ++i) {
            traders.push(openAccount(string.concat("trader", vm.toString(i)), 1e12));
        }
        narrow = openEvent(3);
        wide = openEvent(48);
        settleInbox();
        // A longer history: every account has spent nonces and holds a position in every market that is measured.
        for (uint8 outcome = 0; outcome < 3; ++outcome) {
            settle(batchOf(crowd(market(narrow, outcome), 80, 40, 0)));
        }
        for (uint8 outcome = 0; outcome < 48; outcome += 4) {
            settle(batchOf(crowd(market(wide, outcome), 80, 40, 0)));
        }
    }

    function test_gas_of_one_pair() public {
        measure("one pair", batchOf(crowd(market(narrow, 1), 2, 2, 0)), 2);
    }

    function test_gas_of_ten_pairs() public {
        measure("ten pairs of 4 accounts", batchOf(crowd(market(narrow, 1), 20, 4, 0)), 20);
    }

    function test_gas_of_a_hundred_orders_of_ten_accounts() public {
        measure("100 orders of 10 accounts", batchOf(crowd(market(narrow, 1), 100, 10, 0)), 100);
    }

    function test_gas_of_a_hundred_pairs() public {
        measure("hundred pairs of 40 accounts", batchOf(crowd(market(narrow, 1), 200, 40, 0)), 200);
    }

    function test_gas_of_two_hundred_orders_with_one_in_five_partly_filled() public {
        measure("200 orders of 40 accounts, 40 partly filled", batchOf(crowd(market(narrow, 1), 200, 40, 5)), 200);
    }

    function test_gas_of_two_hundred_orders_over_three_outcomes() public {
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](3);
        batch.markets[0] = crowd(market(narrow, 0), 80, 40, 5);
        batch.markets[1] = crowd(market(narrow, 1), 80, 40, 5);
        batch.markets[2] = crowd(market(narrow, 2), 40, 40, 5);
        measure("200 orders of 40 accounts over 3 outcomes, 40 partly filled", batch, 200);
    }

    function test_gas_of_a_wide_event() public {
        measure("40 orders of 40 accounts in an event of 48 outcomes", batchOf(crowd(market(wide, 8), 40, 40, 0)), 40);
    }

    /// @dev Nothing exists but the account: every word that the order writes is written for the first time.
    function test_gas_of_first_orders_that_stay_partly_filled() public {
        openNewcomers();
        MarketFills memory made = crowd(market(narrow, 1), 10, 10, 1);
        measure("10 first orders of 10 accounts, all partly filled", batchOf(made), 10);
    }

    /// @dev As above, and the worst position rises, so that all of the widest event's words are read.
    function test_gas_of_first_orders_in_the_widest_event() public {
        openNewcomers();
        EventId widest = openEvent(128);
        settleInbox();
        MarketFills memory made = crowd(market(widest, 0), 10, 10, 1);
        measure("10 first orders of 10 accounts, all partly filled, in an event of 128 outcomes", batchOf(made), 10);
    }

    function test_gas_of_a_perpetual() public {
        (MarketId where,) = openPerpetuals(1);
        measure("200 orders of 40 accounts in a perpetual, 40 partly filled", batchOf(crowd(where, 200, 40, 5)), 200);
    }

    /// @dev The margin of each depends on all of its eight positions.
    function test_gas_of_accounts_with_eight_perpetuals() public {
        (MarketId where, FeedId last) = openPerpetuals(8);
        Batch memory batch = batchOf(crowd(where, 40, 40, 0));
        for (uint8 feed = 1; feed <= FeedId.unwrap(last); ++feed) {
            addPrice(batch, FeedId.wrap(feed), 400);
        }
        measure("40 orders of 40 accounts that hold eight perpetuals, eight prices", batch, 40);
    }

    function test_gas_of_a_spot_market() public {
        (TestToken coin, FeedId asset) = addAsset("ETH");
        MarketId where = listSpot(asset);
        for (uint256 i = 0; i < 40; ++i) {
            deposit(traders[i].owner, traders[i].account, address(coin), 1e20);
        }
        settlePrice(asset, 400);
        settle(batchOf(crowd(where, 80, 40, 0)));
        measure("200 orders of 40 accounts in a spot market, 40 partly filled", batchOf(crowd(where, 200, 40, 5)), 200);
    }

    /// @dev Ten makers, sixteen orders each under one signature; the other side signs alone.
    function test_gas_of_ladders() public {
        MarketFills memory made = crowd(market(narrow, 1), 320, 20, 0);
        Batch memory batch = batchOf(made);
        batch.trees = new OrderTree[](10);
        for (uint32 maker = 0; maker < 10; ++maker) {
            Fill[] memory rungs = new Fill[](16);
            for (uint256 k = 0; k < 16; ++k) {
                rungs[k] = made.fills[20 * k + 2 * maker];
            }
            batch.trees[maker] = treeOf(traders[2 * maker].key, maker + 1, rungs);
        }
        measure("320 orders of 20 accounts, half of them in ten trees of sixteen", batch, 320);
    }

    function test_gas_of_an_empty_batch() public {
        Batch memory batch = nextBatch();
        Signature memory signature = signBatch(batch);
        group.settle(batch, signature);
        vm.snapshotGasLastCall("settle", "empty batch");
    }

    function test_gas_of_deposits_and_withdrawals() public {
        for (uint256 i = 0; i < 10; ++i) {
            deposit(traders[i].owner, traders[i].account, 1000);
        }
        settleInbox();
        vm.snapshotGasLastCall("settle", "ten deposits");
        settle(batchOf(withdrawal(traders[0], 1000)));
        vm.snapshotGasLastCall("settle", "one withdrawal");
        Deployment memory there = newDeployment();
        settle(batchOf(transfer(traders[0], address(there.gateway), NEW_ACCOUNT, address(token), 1000)));
        vm.snapshotGasLastCall("settle", "one transfer to another group");
    }

    // ----------------------------------------------------------------- words

    /// @dev Ten accounts without a past take the first places.
    function openNewcomers() private {
        delete traders;
        for (uint256 i = 0; i < 10; ++i) {
            traders.push(openAccount(string.concat("newcomer", vm.toString(i)), 1e12));
        }
        settleInbox();
    }

    /// @dev Perpetuals at 400 dollars, in each of which every account holds a position.
    function openPerpetuals(uint256 count) private returns (MarketId where, FeedId feed) {
        for (uint256 i = 0; i < count; ++i) {
            (where, feed) = listPerpetual(bytes32(i + 1));
            settlePrice(feed, 400);
            settle(batchOf(crowd(where, 80, 40, 0)));
        }
    }

    /// @dev `orders` orders of as many accounts as named, half of them buying; every `partly`-th stays partly filled.
    function crowd(MarketId where, uint256 orders, uint256 accounts, uint256 partly)
        private
        returns (MarketFills memory result)
    {
        result.market = where;
        result.fills = new Fill[](orders);
        for (uint256 i = 0; i < orders; ++i) {
            Trader memory trader = traders[i % accounts];
            // An account always trades the same way, as those who hold a position do.
            Side side = i % accounts % 2 == 0 ? Side.Buy : Side.Sell;
            Order memory made = order(trader, where, side, 10, 400);
            if (partly != 0 && i % partly == 0) made.size = Lots.wrap(20);
            result.fills[i] = fill(trader, made, 10, 400);
            if (side == Side.Buy) result.fills[i].fee = 40;
        }
    }

    function measure(string memory name, Batch memory batch, uint256 orders) private {
        Signature memory signature = signBatch(batch);
        bytes memory call = abi.encodeCall(IRiskGroup.settle, (batch, signature));
        (uint256 calldataGas, uint256 floor) = calldataGasOf(call);
        (bool settled,) = address(group).call(call);
        uint256 total = vm.lastCallGas().gasTotalUsed;
        assertTrue(settled);
        uint256 execution = total - BASE - calldataGas;
        console.log(name);
        console.log("  execution per order", execution / orders);
        console.log("  calldata per order ", calldataGas / orders);
        console.log("  all per order      ", total / orders);
        console.log("  EIP-7623 floor     ", (BASE + floor) / orders);
        assertGt(total, BASE + floor);
        vm.snapshotValue("settle", string.concat(name, ": execution"), execution);
        vm.snapshotValue("settle", string.concat(name, ": calldata"), calldataGas);
        vm.snapshotValue("settle", string.concat(name, ": all, per order"), total / orders);
    }

    function calldataGasOf(bytes memory call) private pure returns (uint256 gas, uint256 floor) {
        uint256 zeros;
        for (uint256 i = 0; i < call.length; ++i) {
            if (call[i] == 0) ++zeros;
        }
        uint256 others = call.length - zeros;
        return (zeros * 4 + others * 16, zeros * 10 + others * 40);
    }
}
