// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, Convert, FeedId, SignerGrant} from "../../contracts/group/Types.sol";
import {PerpetualTest} from "./PerpetualTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice Keepers buy the assets of accounts that owe cash, 5 % below the index price, as far as the debt goes.
/// @dev Erin has 5 ether at 2000 dollars and no cash; she is long 1000 lots of bitcoin from 50,000.
contract ConversionsTest is PerpetualTest {
    TestToken private eth;
    FeedId private ethFeed;
    Trader private erin;

    function setUp() public override {
        super.setUp();
        (eth, ethFeed) = addAsset("ETH");
        (erin.owner, erin.key) = makeAddrAndKey("erin");
        erin.account = deposit(erin.owner, NEW_ACCOUNT, address(eth), 5e18);
        settlePrice(ethFeed, 2000);
        exchange(erin, bob, btc, 1000, 50_000);
    }

    /// @dev A debt of 1000 dollars at 1900 an ether: ⌈0.526315789473684210526…⌉, for ⌈1000.0000000000000009⌉ dollars.
    function test_as_much_is_sold_as_pays_the_debt() public {
        reprice(btcFeed, 49_000);
        assertEq(usdOf(erin), -1_000 * DOLLAR);
        vm.expectEmit(address(group));
        emit IRiskGroup.Converted(erin.account, carol.account, ethFeed, 526_315_789_473_684_211, 1_000_000_001);
        convertNow(5e18);
        assertEq(usdOf(erin), 1);
        assertEq(balanceOf(erin, ethFeed), 5e18 - 526_315_789_473_684_211);
        assertEq(balanceOf(carol, ethFeed), 526_315_789_473_684_211);
        assertEq(cashOf(carol), 10_000 * DOLLAR - 1_000_000_001);
        // ⌊⌊4.473684210526315789 · 2000⌋ · 90 %⌋ and an atom, less 3 % of 49,000; before it was 6,530 dollars.
        assertEq(maintenanceHealthOf(erin), 6_582_631_579);
    }

    function test_a_keeper_buys_no_more_than_it_asked_for() public {
        reprice(btcFeed, 49_000);
        convertNow(0.1e18);
        assertEq(balanceOf(carol, ethFeed), 0.1e18);
        assertEq(cashOf(carol), 9_810 * DOLLAR);
        assertEq(usdOf(erin), -810 * DOLLAR);
    }

    /// @dev 9,600 dollars are lost; 5 ether bring 9,500.
    function test_a_keeper_buys_no_more_than_is_there() public {
        reprice(btcFeed, 40_400);
        convertNow(100e18);
        assertEq(balanceOf(erin, ethFeed), 0);
        assertEq(heldBy(erin), 1 << FeedId.unwrap(btcFeed));
        assertEq(usdOf(erin), -100 * DOLLAR);
        assertEq(cashOf(carol), 500 * DOLLAR);
    }

    function test_what_a_keeper_pays_rounds_up() public {
        reprice(btcFeed, 49_000);
        // A wei costs 0.0000000019 atoms.
        convertNow(1);
        assertEq(cashOf(carol), 10_000 * DOLLAR - 1);
        assertEq(balanceOf(carol, ethFeed), 1);
        assertEq(usdOf(erin), -1_000 * DOLLAR + 1);
    }

    function test_who_owes_nothing_keeps_its_assets() public {
        assertRefused(
            batchOf(conversion(carol, convertMessage(carol, erin, ethFeed, 1e18))),
            abi.encodeWithSelector(IRiskGroup.AccountOwesNothing.selector, erin.account, int256(0))
        );
    }

    function test_there_must_be_something_to_convert() public {
        exchange(alice, bob, btc, 2000, 50_000);
        reprice(btcFeed, 44_000);
        assertRefused(
            batchOf(conversion(carol, convertMessage(carol, alice, ethFeed, 1e18))),
            abi.encodeWithSelector(IRiskGroup.NothingToConvert.selector, alice.account, ethFeed)
        );
        assertRefused(
            batchOf(conversion(carol, convertMessage(carol, erin, ethFeed, 0))),
            abi.encodeWithSelector(IRiskGroup.NothingToConvert.selector, erin.account, ethFeed)
        );
        assertRefused(
            batchOf(conversion(carol, convertMessage(carol, erin, btcFeed, 1))),
            abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, btcFeed)
        );
    }

    function test_nothing_is_converted_at_an_old_price() public {
        passFreshly(61, 49_000);
        assertRefused(
            batchOf(conversion(carol, convertMessage(carol, erin, ethFeed, 1e18))),
            abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, ethFeed)
        );
    }

    function test_nobody_converts_its_own_assets() public {
        Trader memory second = Trader(erin.key, erin.owner, deposit(erin.owner, NEW_ACCOUNT, 10_000 * DOLLARS));
        reprice(btcFeed, 49_000);
        assertRefused(
            batchOf(conversion(second, convertMessage(second, erin, ethFeed, 1e18))),
            abi.encodeWithSelector(IRiskGroup.SameOwner.selector, second.account, erin.account, erin.owner)
        );
        assertRefused(
            batchOf(conversion(erin, convertMessage(erin, erin, ethFeed, 1e18))),
            abi.encodeWithSelector(IRiskGroup.SameOwner.selector, erin.account, erin.account, erin.owner)
        );
    }

    function test_a_keeper_pays_with_money_that_it_has() public {
        Trader memory poor = openAccount("poor", 500 * DOLLARS);
        reprice(btcFeed, 49_000);
        assertRefused(
            batchOf(conversion(poor, convertMessage(poor, erin, ethFeed, 5e18))),
            abi.encodeWithSelector(IRiskGroup.CashShortfall.selector, poor.account, int256(-500_000_001))
        );
    }

    function test_a_keeper_names_its_highest_price() public {
        reprice(btcFeed, 49_000);
        Convert memory request = convertMessage(carol, erin, ethFeed, 1e17);
        request.limit = 2000e12 - 1;
        assertRefused(
            batchOf(conversion(carol, request)),
            abi.encodeWithSelector(
                IRiskGroup.PriceWorseThanKeeperLimit.selector, carol.account, uint256(2000e12 - 1), uint256(2000e12)
            )
        );
        request.limit = 2000e12;
        settleRescue(conversion(carol, request));
    }

    function test_a_keeper_signs_once_in_time() public {
        reprice(btcFeed, 49_000);
        Convert memory request = convertMessage(carol, erin, ethFeed, 1e17);
        request.expiry = nowMs() - 1;
        assertRefused(
            batchOf(conversion(carol, request)),
            abi.encodeWithSelector(
                IRiskGroup.MessageExpired.selector, carol.account, request.nonce, request.expiry, nowMs()
            )
        );
        request.expiry = nowMs();
        settleRescue(conversion(carol, request));
        assertRefused(
            batchOf(conversion(carol, request)),
            abi.encodeWithSelector(IRiskGroup.NonceSpent.selector, carol.account, request.nonce)
        );
        // An order's nonce is as spent as a conversion's.
        request = convertMessage(dave, erin, ethFeed, 1e17);
        exchange(dave, bob, btc, 1, 49_000);
        request.nonce += 1;
        assertRefused(
            batchOf(conversion(dave, request)),
            abi.encodeWithSelector(IRiskGroup.NonceSpent.selector, dave.account, request.nonce)
        );
    }

    /// @dev An asset belongs to no venue.
    function test_a_key_converts_only_if_it_may_trade_everywhere() public {
        Trader memory key = Trader(uint256(keccak256("key")), vm.addr(uint256(keccak256("key"))), carol.account);
        SignerGrant memory grant = grantTo(key.owner);
        grant.venues[0] = VENUE;
        setSigner(carol, grant);
        reprice(btcFeed, 49_000);
        Convert memory request = convertMessage(carol, erin, ethFeed, 1e17);
        assertRefused(
            batchOf(conversion(key, request)),
            abi.encodeWithSelector(
                IRiskGroup.MessageSignedByAnother.selector, carol.account, request.nonce, carol.owner, key.owner
            )
        );
        setSigner(carol, grantTo(key.owner));
        settleInbox();
        settleRescue(conversion(key, request));
        assertEq(balanceOf(carol, ethFeed), 1e17);
    }

    function convertNow(uint128 amount) private {
        settleRescue(conversion(carol, convertMessage(carol, erin, ethFeed, amount)));
    }
}
