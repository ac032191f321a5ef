// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    FeedId,
    Fill,
    MarketFills,
    MarketId,
    Order,
    OrderKind,
    OrderTree,
    Phase,
    Side
} from "../../contracts/group/Types.sol";
import {Deals} from "./Deals.sol";

/// @notice What traders do in the books; and the count of what came of it.
abstract contract Trading is Deals {
    mapping(bytes32 action => uint256) internal tried;
    mapping(bytes32 action => uint256) internal done;
    bytes32[] internal actionNames;

    /// @dev How many actions there were, and at which one a market was shut or a source fell silent.
    uint256 internal steps;
    uint256 internal shutAt;
    uint256 private constant SHUT_FOR = 3;
    int256 private constant POOR = 20_000e6;

    /// @dev A second passes and a frame settles, so that nothing waits in the inbox and prices are fresh. Nothing stays shut
    /// for long, and nobody stays poor, or there would be little to do.
    modifier action(bytes32 name) {
        note(name);
        if (++steps > shutAt + SHUT_FOR) restore();
        Trader memory next = traders[steps % traders.length];
        if (healthOf(next.account).initial < POOR) deposit(next.owner, next.account, 100_000e6);
        if (steps % 16 == 0) deposit(fund.owner, fund.account, 50_000e6);
        tick();
        pass(1);
        _;
    }

    function note(bytes32 name) private {
        if (tried[name]++ == 0) actionNames.push(name);
    }

    /// @notice It happened.
    function did(bytes32 name) internal {
        if (tried[name] == 0) note(name);
        ++done[name];
    }

    function restore() private {
        for (uint8 i = 1; i <= FEEDS; ++i) {
            silent[FeedId.wrap(i)] = false;
            MarketId where = i == FEEDS ? market(events[0], 0) : marketOf[FeedId.wrap(i)];
            if (phaseOf(where) == Phase.Open || (i == FEEDS && isResolved[events[0]])) continue;
            setPhase(where, Phase.Open);
            phaseNow[where] = Phase.Open;
        }
        shutAt = type(uint256).max - SHUT_FOR;
    }

    // ----------------------------------------------------------------- actions

    function trades_outcomes(uint256 seed) external action("trades outcomes") {
        (bool found, uint256 place) = openPlace(seed);
        if (!found) return;
        Deal memory deal = outcomeDeal(place, outcomeIn(place, seed), sizeOf(seed, 2_000_000), priceOf(seed));
        if (strike(deal, seed)) ++done["trades outcomes"];
    }

    function trades_perpetuals(uint256 seed) external action("trades perpetuals") {
        if (strike(perpetualDeal(seed), seed)) ++done["trades perpetuals"];
    }

    function trades_spot(uint256 seed) external action("trades spot") {
        uint64 price = skew(ticksOf(OKB), seed);
        if (strike(dealIn(marketOf[OKB], OKB, sizeOf(seed, 200_000), price), seed)) ++done["trades spot"];
    }

    /// @dev Whoever holds something sells or buys a part of it back; in any health, at any age of the price.
    function reduces(uint256 seed) external action("reduces") {
        for (uint256 i = 0; i < traders.length; ++i) {
            Trader memory who = traders[addmod(seed, i, traders.length)];
            FeedId feed = FeedId.wrap(uint8(1 + draw(seed, "feed") % 3));
            (int256 held,,) = views.holding(who.account, feed);
            if (same(feed, OKB)) held /= 1e15;
            if (held == 0) continue;
            Deal memory deal = dealIn(marketOf[feed], feed, uint64(abs(held)), skew(ticksOf(feed), seed));
            deal.size = uint64(1 + draw(seed, "size") % deal.size);
            if (!closes(deal, who, held > 0, seed)) continue;
            ++done["reduces"];
            return;
        }
    }

    /// @dev An order stays in the book and fills in three frames; its nonce is its own all the while.
    function fills_further(uint256 seed) external action("fills further") {
        Deal memory deal = perpetualDeal(seed);
        (deal.buyer, deal.seller) = (pick(seed, "buyer"), maker);
        deal.size = 1 + deal.size / 1000;
        uint64 size = fit(deal);
        if (size == 0) return;
        Order memory resting = orderOf(deal, deal.buyer, Side.Buy, 3 * size, 0);
        (resting.kind, resting.expiry) = (OrderKind.GoodTillCancelled, 0);
        for (uint64 part = 1; part <= 3; ++part) {
            deal.size = size;
            if (fit(deal) < size) return;
            MarketFills memory made = fillsOf(deal, seed);
            made.fills[0] = lineOf(deal, deal.buyer, resting, size);
            Batch memory batch = frame();
            batch.markets = new MarketFills[](1);
            batch.markets[0] = made;
            settleFrame(batch);
            pass(1);
            (bool spent, uint64 filled) = views.nonceState(resting.account, resting.nonce);
            assertTrue(part < 3 ? !spent && filled == part * size : spent, "as much as was filled");
            if (part == 1) refuseAnotherBody(deal, resting);
            if (part == 3) noteSpent(resting);
        }
        ++done["fills further"];
    }

    function refuseAnotherBody(Deal memory deal, Order memory resting) private {
        Order memory other = abi.decode(abi.encode(resting), (Order));
        other.expiry = type(uint64).max;
        MarketFills memory made = fillsOf(deal, 0);
        made.fills[0] = lineOf(deal, deal.buyer, other, deal.size);
        Batch memory batch = frame();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = made;
        assertRefused(
            batch, abi.encodeWithSelector(IRiskGroup.NonceOfAnotherOrder.selector, resting.account, resting.nonce)
        );
    }

    /// @dev A market maker's ladder of four orders under one signature meets one order.
    function trades_by_tree(uint256 seed) external action("trades by tree") {
        Deal memory deal = perpetualDeal(seed);
        (deal.buyer, deal.seller) = (pick(seed, "buyer"), pick(seed, "seller"));
        deal.rate = 0;
        deal.size = 4 + deal.size / 100;
        uint64 size = fit(deal) / 4;
        if (size == 0) return;
        MarketFills memory made;
        made.market = deal.where;
        made.fills = new Fill[](5);
        Fill[] memory ladder = new Fill[](4);
        for (uint256 i = 0; i < 4; ++i) {
            ladder[i] = lineOf(deal, deal.buyer, orderOf(deal, deal.buyer, Side.Buy, size, seed), size);
            made.fills[i] = ladder[i];
        }
        made.fills[4] = lineOf(deal, deal.seller, orderOf(deal, deal.seller, Side.Sell, 4 * size, seed), 4 * size);
        Batch memory batch = frame();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = made;
        batch.trees = new OrderTree[](1);
        batch.trees[0] = treeOf(deal.buyer.key, 1, ladder);
        settleFrame(batch);
        for (uint256 i = 0; i < 5; ++i) {
            noteSpent(made.fills[i].order);
        }
        ++done["trades by tree"];
    }

    // ----------------------------------------------------------------- finding a deal

    /// @notice The first two traders, from where the seed says, who can bear at least one lot of it, trade.
    function strike(Deal memory deal, uint256 seed) internal returns (bool) {
        decorate(deal, seed);
        deal.buyer = pick(seed, "buyer");
        deal.seller = another(seed, deal.buyer);
        uint64 size = fit(deal);
        for (uint256 i = 0; size == 0 && i < 4; ++i) {
            deal.buyer = i % 2 == 0 ? maker : traders[addmod(draw(seed, "again"), i, traders.length)];
            deal.seller = i % 2 == 0 ? traders[addmod(draw(seed, "again"), i, traders.length)] : maker;
            size = fit(deal);
        }
        if (size == 0) return false;
        settleDeal(deal, size, seed);
        return true;
    }

    /// @notice The account reduces what it holds, against whoever can bear it.
    function closes(Deal memory deal, Trader memory who, bool sells, uint256 seed) internal returns (bool) {
        for (uint256 i = 0; i <= traders.length; ++i) {
            Trader memory other = i == 0 ? maker : traders[addmod(draw(seed, "other"), i, traders.length)];
            meet(deal, who, other, !sells);
            (deal.buyerReduces, deal.sellerReduces) = sells ? (false, true) : (true, false);
            uint64 size = fit(deal);
            if (size == 0) continue;
            settleDeal(deal, size, seed);
            return true;
        }
        return false;
    }

    function perpetualDeal(uint256 seed) internal view returns (Deal memory) {
        FeedId feed = draw(seed, "which") % 2 == 0 ? BITCOIN : ETHER;
        uint64 most = same(feed, BITCOIN) ? 100_000 : 1_500_000;
        return dealIn(marketOf[feed], feed, sizeOf(seed, most), skew(ticksOf(feed), seed));
    }

    function decorate(Deal memory deal, uint256 seed) private pure {
        uint256 mood = draw(seed, "fees");
        deal.rate = uint32(mood % 2 == 0 ? 0 : mood % 4 == 1 ? TAKER_FEE : 400 + mood % 600);
        deal.rebate = deal.rate != 0 && FeedId.unwrap(deal.feed) != 0 && mood % 3 == 0;
        deal.withBuilder = mood % 5 == 0;
    }

    /// @notice An event that is not resolved.
    function openPlace(uint256 seed) internal view returns (bool, uint256) {
        for (uint256 i = 0; i < events.length; ++i) {
            uint256 place = addmod(draw(seed, "event"), i, events.length);
            if (!isResolved[events[place]]) return (true, place);
        }
        return (false, 0);
    }

    function outcomeIn(uint256 place, uint256 seed) internal view returns (uint8) {
        return uint8(draw(seed, "outcome") % views.market(market(events[place], 0)).outcomes);
    }

    /// @dev As often small as large.
    function sizeOf(uint256 seed, uint64 most) internal pure returns (uint64) {
        uint256 size = draw(seed, "size") % most >> draw(seed, "magnitude") % 16;
        return uint64(size == 0 ? 1 : size);
    }

    /// @dev Of an outcome, in ticks.
    function priceOf(uint256 seed) internal pure returns (uint64) {
        return uint64(1 + draw(seed, "price") % (TICKS - 1));
    }

    /// @dev Mostly within a hundredth of the price, sometimes anywhere from a third to three times of it.
    function skew(uint64 price, uint256 seed) internal pure returns (uint64) {
        uint256 mood = draw(seed, "skew");
        uint256 rate = mood % 8 != 0 ? 990_000 + mood % 20_001 : 333_334 + mood % 2_666_666;
        uint256 skewed = price * rate / 1e6;
        return uint64(skewed == 0 ? 1 : skewed);
    }
}
