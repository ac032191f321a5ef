// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, FeedId, MarketFills, MarketId, Signature} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice The dearest account there can be is still liquidated for a small part of a batch.
/// @dev Each call is a transaction of its own, with cold storage. The failing account and its keeper hold all of the 32
/// perpetuals that an account may hold; the insurance fund too, where it is asked.
/// forge-config: default.isolate = true
contract LiquidationGasTest is PerpetualTest {
    /// @dev A tenth of what a batch has.
    uint256 private constant MOST = 1_200_000;
    uint256 private constant BASE = 21_000;

    MarketId[] private perpetuals;

    function setUp() public override {
        super.setUp();
        perpetuals.push(btc);
        for (uint256 i = 1; i < 32; ++i) {
            (MarketId id, FeedId feed) = listPerpetual(bytes32(bytes(string.concat("P", vm.toString(i)))));
            perpetuals.push(id);
            settlePrice(feed, 1000);
        }
        // Alice: 1,800 lots of bitcoin for 90,000 dollars, and 100 dollars' worth of each of the others.
        settle(batchOfAll(alice, bob, 1800));
        settle(batchOfAll(carol, dave, 10));
        fundInsurance(10_000 * DOLLARS);
        settle(batchOfAll(fund, dave, 10));
        // 1,900 dollars of equity, 2,550 to keep it all.
        reprice(btcFeed, 45_500);
        assertEq(maintenanceHealthOf(alice), -650 * DOLLAR);
        assertEq(views.health(alice.account).maintenanceRequirement, 2_550e6);
    }

    function test_gas_of_a_liquidation_of_an_account_with_32_perpetuals() public {
        measure(
            "liquidation of an account with 32 perpetuals",
            batchOf(liquidation(carol, liquidateMessage(carol, alice, btc, 1800)))
        );
        assertGe(initialHealthOf(alice), 0);
    }

    function test_gas_of_a_takeover_from_an_account_with_32_perpetuals() public {
        exhaustGrace(alice, 45_500);
        measure("takeover from an account with 32 perpetuals", batchOf(takeover(alice, btc)));
        assertEq(positionOf(alice, btc), 0);
    }

    function measure(string memory name, Batch memory batch) private {
        Signature memory signature = signBatch(batch);
        bytes memory call = abi.encodeCall(IRiskGroup.settle, (batch, signature));
        (bool settled,) = address(group).call(call);
        uint256 total = vm.lastCallGas().gasTotalUsed;
        assertTrue(settled);
        uint256 execution = total - BASE - calldataGasOf(call);
        vm.snapshotValue("settle", name, execution);
        assertLt(execution, MOST);
    }

    function batchOfAll(Trader memory buyer, Trader memory seller, uint64 bitcoins)
        private
        returns (Batch memory batch)
    {
        batch = nextBatch();
        batch.markets = new MarketFills[](32);
        batch.markets[0] = trade(buyer, seller, btc, bitcoins, 50_000);
        for (uint256 i = 1; i < 32; ++i) {
            batch.markets[i] = trade(buyer, seller, perpetuals[i], 100, 1000);
        }
    }

    function calldataGasOf(bytes memory call) private pure returns (uint256 gas) {
        for (uint256 i = 0; i < call.length; ++i) {
            gas += call[i] == 0 ? 4 : 16;
        }
    }
}
