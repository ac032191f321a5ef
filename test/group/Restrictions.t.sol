// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    EventConfig,
    FeedId,
    Fill,
    Lots,
    MarketFills,
    MarketId,
    Order,
    PerpetualConfig,
    Phase,
    Redemption
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {TestToken} from "./TestToken.sol";

/// @notice Whom a market lets in, when, and for how much. Whatever it forbids, leaving stays allowed.
contract RestrictionsTest is GroupTest {
    Trader internal alice;
    Trader internal bob;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000_000);
        bob = openAccount("bob", 1_000_000_000_000);
        settleInbox();
    }

    // ----------------------------------------------------------------- membership

    function test_only_members_open_positions_in_a_restricted_market() public {
        MarketId where = restricted();
        member(bob, type(uint64).max);
        MarketFills memory made = trade(alice, bob, where, 10, 500);
        assertRefused(batchOf(made), onlyReducing(made.fills[0], 0, 10));
        member(alice, type(uint64).max);
        settle(batchOf(made));
        assertEq(views.membership(alice.account, VENUE), type(uint64).max);
    }

    function test_a_membership_lasts_until_its_last_millisecond() public {
        MarketId where = restricted();
        member(bob, type(uint64).max);
        uint64 until = nowMs();
        member(alice, until);
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        Batch memory late = batchOf(trade(alice, bob, where, 10, 500));
        late.time = until + 1;
        assertRefused(late, onlyReducing(late.markets[0].fills[0], 10, 20));
    }

    function test_a_former_member_may_leave_but_not_turn_around() public {
        MarketId where = restricted();
        member(bob, type(uint64).max);
        member(alice, type(uint64).max);
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        member(alice, 0);
        MarketFills memory turned = trade(bob, alice, where, 11, 500);
        assertRefused(batchOf(turned), onlyReducing(turned.fills[1], 10, -1));
        settle(batchOf(trade(bob, alice, where, 4, 500)));
        settle(batchOf(trade(bob, alice, where, 6, 500)));
        assertEq(positionOf(alice, where), 0);
        MarketFills memory again = trade(bob, alice, where, 1, 500);
        assertRefused(batchOf(again), onlyReducing(again.fills[1], 0, -1));
    }

    function test_a_membership_counts_from_the_batch_that_consumes_it() public {
        MarketId where = restricted();
        member(bob, type(uint64).max);
        setMembership(alice, type(uint64).max);
        MarketFills memory made = trade(alice, bob, where, 10, 500);
        assertRefused(batchOf(made), onlyReducing(made.fills[0], 0, 10));
        Batch memory batch = batchOf(made);
        batch.inbox = takeInbox();
        settle(batch);
    }

    function test_an_isolated_account_is_a_member_with_its_parent() public {
        MarketId where = restricted();
        member(bob, type(uint64).max);
        Trader memory apart = isolatedOf(alice, where);
        settle(batchOf(transfer(alice, apart.account, 1_000_000)));
        MarketFills memory made = trade(apart, bob, where, 10, 500);
        assertRefused(batchOf(made), onlyReducing(made.fills[0], 0, 10));
        member(alice, type(uint64).max);
        settle(batchOf(made));
        assertEq(views.membership(apart.account, VENUE), type(uint64).max);
    }

    function test_an_open_market_asks_for_no_membership() public {
        MarketId where = market(openEvent(2), 0);
        settleInbox();
        settle(batchOf(trade(alice, bob, where, 10, 500)));
    }

    // ----------------------------------------------------------------- isolated accounts

    function test_an_isolated_only_market_is_held_by_isolated_accounts_of_it_only() public {
        EventConfig memory config = eventConfig(2);
        config.terms.isolatedOnly = true;
        MarketId where = market(openEvent(config), 0);
        MarketId elsewhere = market(openEvent(2), 0);
        settleInbox();
        (Trader memory a, Trader memory b) = (isolatedOf(alice, where), isolatedOf(bob, where));
        Trader memory wrong = isolatedOf(alice, elsewhere);
        settle(batchOf(transfer(alice, a.account, 1_000_000)));
        settle(batchOf(transfer(alice, wrong.account, 1_000_000)));
        settle(batchOf(transfer(bob, b.account, 1_000_000)));

        MarketFills memory made = trade(alice, b, where, 10, 500);
        assertRefused(batchOf(made), onlyReducing(made.fills[0], 0, 10));
        made = trade(wrong, b, where, 10, 500);
        assertRefused(batchOf(made), onlyReducing(made.fills[0], 0, 10));
        settle(batchOf(trade(a, b, where, 10, 500)));
        assertEq(positionOf(a, where), 10);
        assertEq(positionOf(alice, where), 0);
    }

    function test_whoever_held_it_before_it_became_isolated_only_may_leave() public {
        (MarketId where, FeedId feed) = perpetual();
        settle(batchOf(trade(alice, bob, where, 10, 1000)));
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.isolatedOnly = true;
        setPerpetual(where, config);
        settleInbox();
        MarketFills memory more = trade(alice, bob, where, 1, 1000);
        assertRefused(batchOf(more), onlyReducing(more.fills[0], 10, 11));
        settle(batchOf(trade(bob, alice, where, 10, 1000)));
        assertEq(views.account(alice.account).held, 0);
        assertTrue(views.feed(feed).perpetual);
    }

    // ----------------------------------------------------------------- phases

    function test_a_market_of_every_kind_only_reduces_while_its_phase_says_so() public {
        MarketId[3] memory markets = everyKind();
        for (uint256 i = 0; i < 3; ++i) {
            uint64 price = i == 0 ? 500 : 1000;
            settle(batchOf(trade(alice, bob, markets[i], 10, price)));
            setPhase(markets[i], Phase.ReduceOnly);
            settleInbox();
            MarketFills memory more = trade(alice, bob, markets[i], 1, price);
            int256 lot = i == 2 ? int256(1e15) : int256(1);
            assertRefused(batchOf(more), onlyReducing(more.fills[0], 10 * lot, 11 * lot));
            if (i == 2) continue;
            settle(batchOf(trade(bob, alice, markets[i], 10, price)));
            assertEq(positionOf(alice, markets[i]), 0);
        }
    }

    function test_a_halted_market_of_any_kind_fills_nothing_until_it_opens_again() public {
        MarketId[3] memory markets = everyKind();
        for (uint256 i = 0; i < 3; ++i) {
            uint64 price = i == 0 ? 500 : 1000;
            settle(batchOf(trade(alice, bob, markets[i], 10, price)));
            setPhase(markets[i], Phase.Halted);
            settleInbox();
            MarketFills memory closing = trade(bob, alice, markets[i], 10, price);
            assertRefused(batchOf(closing), abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, markets[i]));
            setPhase(markets[i], Phase.Open);
            settleInbox();
            settle(batchOf(closing));
        }
    }

    function test_a_phase_counts_from_the_batch_that_consumes_it() public {
        MarketId where = market(openEvent(2), 0);
        settleInbox();
        setPhase(where, Phase.Halted);
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        Batch memory batch = batchOf(trade(alice, bob, where, 10, 500));
        batch.inbox = takeInbox();
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, where));
    }

    function test_a_phase_of_an_event_is_that_of_all_its_outcomes() public {
        MarketId where = market(openEvent(3), 0);
        setPhase(where, Phase.Halted);
        settleInbox();
        MarketId last = market(where.eventOf(), 2);
        assertRefused(
            batchOf(trade(alice, bob, last, 10, 500)), abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, last)
        );
    }

    function test_a_delisted_perpetual_pays_its_last_price_and_takes_no_further_one() public {
        (MarketId where, FeedId feed) = perpetual();
        settle(batchOf(trade(alice, bob, where, 10, 900)));
        setPhase(where, Phase.Delisted);
        settleInbox();
        assertRefused(
            batchOf(trade(bob, alice, where, 10, 1000)),
            abi.encodeWithSelector(IRiskGroup.MarketNotOpen.selector, where)
        );
        Batch memory batch = nextBatch();
        addPrice(batch, feed, 2000);
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, feed));

        pass(1 days);
        batch = nextBatch();
        batch.redemptions = new Redemption[](2);
        batch.redemptions[0] = Redemption(alice.account, where);
        batch.redemptions[1] = Redemption(bob.account, where);
        settle(batch);
        // Ten lots of a thousandth, bought at 900 dollars and paid out at 1000.
        assertEq(cashOf(alice), 1_000_000_000_000 + 1_000_000);
        assertEq(cashOf(bob), 1_000_000_000_000 - 1_000_000);
        assertEq(views.market(where).openInterest, 0);
        assertRefused(
            batchOf(Redemption(alice.account, where)),
            abi.encodeWithSelector(IRiskGroup.NothingToRedeem.selector, alice.account, where)
        );
    }

    function test_a_delisted_spot_market_leaves_the_asset_where_it_is() public {
        MarketId where = everyKind()[2];
        settle(batchOf(trade(alice, bob, where, 10, 1000)));
        setPhase(where, Phase.Delisted);
        settleInbox();
        assertRefused(
            batchOf(Redemption(alice.account, where)),
            abi.encodeWithSelector(IRiskGroup.NothingToRedeem.selector, alice.account, where)
        );
        assertEq(balanceOf(alice, views.market(where).feed), 1e16);
    }

    // ----------------------------------------------------------------- caps

    function test_no_account_holds_more_than_the_position_cap() public {
        EventConfig memory config = eventConfig(2);
        config.terms.positionCap = Lots.wrap(10);
        MarketId where = market(openEvent(config), 1);
        settleInbox();
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        MarketFills memory more = trade(alice, bob, where, 1, 500);
        assertRefused(batchOf(more), aboveCap(alice, where, 11));
        (more.fills[0], more.fills[1]) = (more.fills[1], more.fills[0]);
        assertRefused(batchOf(more), aboveCap(bob, where, -11));
        // All the way to the other side is as far as that.
        settle(batchOf(trade(bob, alice, where, 20, 500)));
        assertEq(positionOf(alice, where), -10);
    }

    function test_a_cap_that_falls_below_a_position_lets_it_shrink_only() public {
        (MarketId where,) = perpetual();
        settle(batchOf(trade(alice, bob, where, 10, 1000)));
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.positionCap = Lots.wrap(5);
        setPerpetual(where, config);
        settleInbox();
        assertRefused(batchOf(trade(alice, bob, where, 1, 1000)), aboveCapOf(alice, where, 5, 11));
        settle(batchOf(trade(bob, alice, where, 2, 1000)));
        assertEq(positionOf(alice, where), 8);
    }

    /// @dev Of outcomes it is counted only where there is a cap.
    function test_open_interest_is_the_sum_of_long_lots() public {
        EventConfig memory config = eventConfig(2);
        config.terms.openInterestCap = Lots.wrap(type(uint64).max);
        MarketId where = market(openEvent(config), 0);
        deposit(treasury.owner, treasury.account, 1_000_000_000);
        settleInbox();
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        assertEq(views.market(where).openInterest, 10);
        // A position that changes hands is no new one.
        settle(batchOf(trade(treasury, alice, where, 4, 500)));
        assertEq(views.market(where).openInterest, 10);
        settle(batchOf(trade(bob, treasury, where, 4, 500)));
        assertEq(views.market(where).openInterest, 6);
        settle(batchOf(trade(bob, alice, where, 6, 500)));
        assertEq(views.market(where).openInterest, 0);
        assertEq(views.market(market(where.eventOf(), 1)).openInterest, 0);
    }

    function test_open_interest_stays_below_its_cap_market_by_market() public {
        EventConfig memory config = eventConfig(2);
        config.terms.openInterestCap = Lots.wrap(10);
        MarketId where = market(openEvent(config), 0);
        settleInbox();
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        settle(batchOf(trade(alice, bob, market(where.eventOf(), 1), 10, 500)));
        assertRefused(
            batchOf(trade(alice, bob, where, 1, 500)),
            abi.encodeWithSelector(IRiskGroup.OpenInterestAboveCap.selector, where, 10, 11)
        );
        settle(batchOf(trade(bob, alice, where, 20, 500)));
        assertEq(views.market(where).openInterest, 10);
    }

    /// @dev Only the market's end of the batch counts, as with margin.
    function test_open_interest_may_be_above_its_cap_in_between() public {
        EventConfig memory config = eventConfig(2);
        config.terms.openInterestCap = Lots.wrap(10);
        MarketId where = market(openEvent(config), 0);
        settleInbox();
        settle(batchOf(trade(alice, bob, where, 10, 500)));
        MarketFills memory both;
        both.market = where;
        both.fills = new Fill[](4);
        MarketFills memory opening = trade(alice, bob, where, 5, 500);
        MarketFills memory closing = trade(bob, alice, where, 5, 500);
        (both.fills[0], both.fills[1]) = (opening.fills[0], opening.fills[1]);
        (both.fills[2], both.fills[3]) = (closing.fills[0], closing.fills[1]);
        settle(batchOf(both));
    }

    function test_open_interest_above_a_cap_that_fell_may_shrink_only() public {
        (MarketId where,) = perpetual();
        settle(batchOf(trade(alice, bob, where, 10, 1000)));
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.openInterestCap = Lots.wrap(5);
        setPerpetual(where, config);
        settleInbox();
        assertRefused(
            batchOf(trade(alice, bob, where, 1, 1000)),
            abi.encodeWithSelector(IRiskGroup.OpenInterestAboveCap.selector, where, 5, 11)
        );
        settle(batchOf(trade(bob, alice, where, 1, 1000)));
        assertEq(views.market(where).openInterest, 9);
    }

    // ----------------------------------------------------------------- words

    function restricted() private returns (MarketId where) {
        EventConfig memory config = eventConfig(2);
        config.terms.restricted = true;
        where = market(openEvent(config), 0);
        settleInbox();
    }

    function member(Trader memory trader, uint64 until) private {
        setMembership(trader, until);
        settleInbox();
    }

    /// @dev A perpetual at 1000 dollars.
    function perpetual() private returns (MarketId where, FeedId feed) {
        (where, feed) = listPerpetual("BTC");
        settlePrice(feed, 1000);
    }

    /// @dev An outcome, a perpetual and a spot market, both at 1000 dollars; both traders hold a unit of the asset.
    function everyKind() private returns (MarketId[3] memory markets) {
        markets[0] = market(openEvent(2), 0);
        (TestToken coin, FeedId asset) = addAsset("ETH");
        deposit(bob.owner, bob.account, address(coin), 1e18);
        markets[2] = listSpot(asset);
        FeedId feed;
        (markets[1], feed) = listPerpetual("BTC");
        Batch memory batch = inboxBatch();
        addPrice(batch, asset, 1000);
        addPrice(batch, feed, 1000);
        settle(batch);
    }

    function onlyReducing(Fill memory line, int256 before, int256 position) private pure returns (bytes memory) {
        Order memory signed = line.order;
        return abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, signed.account, signed.nonce, before, position);
    }

    function aboveCap(Trader memory trader, MarketId where, int256 position) private pure returns (bytes memory) {
        return aboveCapOf(trader, where, 10, position);
    }

    function aboveCapOf(Trader memory trader, MarketId where, uint256 cap, int256 position)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IRiskGroup.PositionAboveCap.selector, trader.account, where, cap, position);
    }
}
