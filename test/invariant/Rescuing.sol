// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    Batch,
    Convert,
    FORCED,
    FeedId,
    Fill,
    Liquidate,
    Lots,
    MarketFills,
    MarketId,
    SignedWithdraw
} from "../../contracts/group/Types.sol";
import {Failing} from "./Failing.sol";
import {Textbook} from "./Textbook.sol";

/// @notice What the group does with accounts that fail, and with closes that owners force.
abstract contract Rescuing is Failing {
    /// @dev Each bankruptcy opens an account; so many are enough for a life.
    uint64 private constant MOST_ACCOUNTS = 24;
    uint256 internal bankruptcies;

    // ----------------------------------------------------------------- keepers

    function liquidates(uint256 seed) external action("liquidates") {
        FeedId feed = perpetual(seed);
        (bool found, Trader memory who) = failing(seed, feed, false);
        if (!found) return;
        uint64 size = carried(who, feed, uint64(1 + draw(seed, "size") % 3_000_000));
        if (size == 0) return;
        Liquidate memory request = liquidateMessage(keeper, who, marketOf[feed], size);
        bool isForced = seed % 3 == 0;
        if (isForced) requestLiquidation(keeper, request);
        (Textbook.Facts memory facts, int256 held) = heldBy(who, feed);
        if (isForced) settleFrame(frame());
        else rescue(liquidation(keeper, request));
        assertFewest(who, feed, facts, held, size);
        did(isForced ? bytes32("forced liquidations") : bytes32("liquidates"));
    }

    /// @notice As many of the lots as the keeper can carry.
    function carried(Trader memory who, FeedId feed, uint64 size) internal view returns (uint64) {
        (Textbook.Facts memory facts, int256 held) = heldBy(who, feed);
        Deal memory deal = dealIn(marketOf[feed], feed, size, 1);
        if (abs(held) < size) deal.size = uint64(abs(held));
        uint256 place = FeedId.unwrap(feed) - 1;
        uint256 price = facts.perpetuals[place].price;
        if (facts.perpetuals[place].stale) return 0;
        facts = paidFacts(keeper.account, quotesAt(nowMs()));
        if (Textbook.health(facts).blocked) return 0;
        for (; deal.size > 0; deal.size /= 2) {
            int256 lots = held > 0 ? int256(uint256(deal.size)) : -int256(uint256(deal.size));
            int256 value = Textbook.floor(lots * int256(price), 1e9);
            facts.perpetuals[place].size += lots;
            facts.cash -= value;
            bool enough = Textbook.health(facts).initial >= 0;
            facts.perpetuals[place].size -= lots;
            facts.cash += value;
            if (enough) break;
        }
        return deal.size;
    }

    /// @dev No more lots were taken than restore initial health, and no fewer while the keeper would have taken more.
    function assertFewest(Trader memory who, FeedId feed, Textbook.Facts memory facts, int256 held, uint64 asked)
        private
        view
    {
        (Textbook.Facts memory now_, int256 left) = heldBy(who, feed);
        uint256 lots = abs(held) - abs(left);
        uint256 price = facts.perpetuals[FeedId.unwrap(feed) - 1].price;
        (int256 received, int256 charge) = Textbook.liquidationOf(price, held, lots, PENALTY);
        charge = Textbook.affordable(Textbook.health(facts), facts.perpetuals[FeedId.unwrap(feed) - 1], lots, charge);
        // The fund itself is paid a part of what it is charged.
        if (same(who.account, INSURANCE)) return;
        assertEq(now_.cash, facts.cash + received - charge, "index price less the penalty");
        assertTrue(lots == asked || Textbook.health(now_).initial >= 0, "enough lots");
        if (lots == 1) return;
        (received, charge) = Textbook.liquidationOf(price, held, lots - 1, PENALTY);
        now_.cash = facts.cash + received - charge;
        now_.perpetuals[FeedId.unwrap(feed) - 1].size += held > 0 ? int256(1) : -1;
        assertLt(Textbook.health(now_).initial, 0, "one lot less is too few");
    }

    /// @dev Of a trader who owes cash, or is made to.
    function converts(uint256 seed) external action("converts") {
        (bool found, Trader memory who) = debtor();
        if (!found) (found, who) = failing(seed, perpetual(seed), true);
        if (!found) return;
        for (uint256 i = 0; i < 2; ++i) {
            FeedId asset = (seed + i) % 2 == 0 ? OKB : GOLD;
            if (convertOne(who, asset, uint128(1 + draw(seed, "amount") % (same(asset, OKB) ? 400 ether : 20e6)))) {
                return;
            }
        }
    }

    function debtor() private view returns (bool, Trader memory who) {
        for (uint256 i = 1; i < traders.length; ++i) {
            who = traders[i];
            Textbook.Facts memory facts = factsOf(who.account, quotesAt(nowMs()));
            if (facts.assets[0].balance + facts.assets[1].balance == 0) continue;
            if (Textbook.health(facts).usd < 0) return (true, who);
        }
        return (false, who);
    }

    function convertOne(Trader memory who, FeedId asset, uint128 most) internal returns (bool) {
        Textbook.Facts memory facts = paidFacts(who.account, quotesAt(nowMs()));
        uint256 place = FeedId.unwrap(asset) - 3;
        if (facts.assets[place].balance == 0 || facts.assets[place].stale || Textbook.health(facts).usd >= 0) {
            return false;
        }
        (int256 amount, int256 paid) = conversionOf(facts, asset, most);
        Textbook.Health memory health = healthOf(keeper.account);
        if (health.blocked || health.usd < 2 * paid || health.initial < 2 * paid) return false;
        int256 before = cashOf(who);
        rescue(conversion(keeper, convertMessage(keeper, who, asset, most)));
        assertEq(balanceOf(who, asset), facts.assets[place].balance - amount, "bought");
        assertEq(cashOf(who) - before, paid, "paid");
        ++done["converts"];
        return true;
    }

    // ----------------------------------------------------------------- exits

    /// @dev No keeper came: the fund takes the position if it can, else the other side closes against it.
    function exits(uint256 seed) external action("exits") {
        FeedId feed = perpetual(seed);
        (bool found, Trader memory who) = failing(seed, feed, false);
        if (found && outwait(who)) exitOne(who, feed);
    }

    function exitOne(Trader memory who, FeedId feed) internal {
        (Textbook.Facts memory facts, int256 held) = heldBy(who, feed);
        if (held == 0 || facts.perpetuals[FeedId.unwrap(feed) - 1].stale) return;
        (int256 received, bool fundCan) = exitOf(who, feed);
        if (fundCan) rescue(takeover(who, marketOf[feed]));
        else rescue(deleveraging(who, marketOf[feed], queueAgainst(held, feed)));
        (Textbook.Facts memory now_, int256 left) = heldBy(who, feed);
        if (!same(who.account, INSURANCE)) {
            assertEq(left, 0, "all of it");
            assertEq(now_.cash, facts.cash + received, "at the bankruptcy price");
        }
        did(fundCan ? bytes32("takeovers") : bytes32("deleveragings"));
        ++done["exits"];
    }

    /// @dev The worst case: a bet lost beyond everything, sold by keepers to the last atom; the debt is the fund's and then
    /// everybody's. Its owner begins anew with another account.
    function bankrupts(uint256 seed) external action("bankrupts") {
        if (gateway.accounts() >= MOST_ACCOUNTS) return;
        FeedId feed = perpetual(seed);
        (bool found, Trader memory who) = failing(seed, feed, true);
        if (!found || same(who.account, INSURANCE)) return;
        for (uint8 i = 1; i <= 2; ++i) {
            (Textbook.Facts memory facts, int256 held) = heldBy(who, FeedId.wrap(i));
            if (held == 0 || Textbook.health(facts).maintenance >= 0) continue;
            uint64 size = carried(who, FeedId.wrap(i), type(uint64).max);
            if (size == 0) return;
            rescue(liquidation(keeper, liquidateMessage(keeper, who, marketOf[FeedId.wrap(i)], size)));
            pass(1);
        }
        for (uint8 i = 3; i <= 4; ++i) {
            if (convertOne(who, FeedId.wrap(i), type(uint128).max)) pass(1);
        }
        Textbook.Facts memory left = paidFacts(who.account, quotesAt(nowMs()));
        if (Textbook.holdings(left) != 0 || Textbook.health(left).usd >= 0 || !outwait(who)) return;
        if (seed % 2 == 0) drainFund();
        declareBankrupt(who);
    }

    /// @dev Its owner takes what it can spare, so that a debt is everybody's.
    function drainFund() private {
        uint256 most = withdrawable(INSURANCE, FeedId.wrap(0));
        (uint128 tokens, uint128 debt,) = views.pool();
        if (Textbook.paidOut(most, tokens, debt) == 0) return;
        Batch memory batch = frame();
        batch.withdrawals = new SignedWithdraw[](1);
        batch.withdrawals[0] = withdrawal(fund, uint128(most));
        settleFrame(batch);
        pass(1);
    }

    function declareBankrupt(Trader memory who) private {
        int256 debt = -Textbook.health(factsOf(who.account, quotesAt(nowMs()))).usd;
        Textbook.Health memory spare = Textbook.health(factsOf(INSURANCE, quotesAt(nowMs())));
        int256 pays = spare.initial < spare.usd ? spare.initial : spare.usd;
        if (pays < 0 || spare.blocked) pays = 0;
        if (pays > debt) pays = debt;
        (, uint128 before,) = views.pool();
        rescue(bankruptcy(who));
        (, uint128 now_,) = views.pool();
        assertEq(int256(uint256(now_ - before)), debt - pays, "what the fund could not pay");
        assertEq(healthOf(who.account).usd, 0);
        if (now_ > before) did("shares losses");
        ++bankruptcies;
        ++done["bankrupts"];
        for (uint256 i = 0; i < traders.length; ++i) {
            if (!same(traders[i].account, who.account)) continue;
            traders[i].account = deposit(who.owner, NEW_ACCOUNT, 100_000e6);
            give(traders[i], OKB, 300 ether);
        }
        tick();
    }

    // ----------------------------------------------------------------- closes that owners force

    function forces_closes(uint256 seed) external action("forces closes") {
        FeedId feed = perpetual(seed);
        for (uint256 i = 0; i < traders.length; ++i) {
            Trader memory who = traders[addmod(seed, i, traders.length)];
            (, int256 held) = heldBy(who, feed);
            if (held == 0) continue;
            requestClose(who, marketOf[feed]);
            tick();
            pass(1);
            (uint64 left,) = views.forcedClose(who.account, marketOf[feed]);
            assertEq(left, abs(held));
            bool inBook = seed % 3 != 0;
            if (!(inBook ? fillForced(who, feed, held, seed) : exitForced(who, feed, held))) continue;
            ++done["forces closes"];
            return;
        }
    }

    /// @dev In the book, at no worse than the penalty below (or above) index price, without anybody's signature.
    function fillForced(Trader memory who, FeedId feed, int256 held, uint256 seed) private returns (bool) {
        Quote memory said = quotesAt(nowMs())[FeedId.unwrap(feed)];
        uint64 price = uint64(said.price * (held > 0 ? 995 : 1005) / 1000 / 1e9 / DOLLAR_QUANTUM);
        Deal memory deal = dealIn(marketOf[feed], feed, uint64(abs(held)), price);
        meet(deal, who, maker, held < 0);
        (deal.buyerReduces, deal.sellerReduces) = (held < 0, held > 0);
        if (price == 0) return false;
        uint64 size = fit(deal);
        if (size == 0) return false;
        deal.size = size;
        settleForced(deal, held > 0 ? 1 : 0, seed);
        (uint64 left,) = views.forcedClose(who.account, marketOf[feed]);
        assertEq(left, abs(held) - size, "what is left to close");
        return true;
    }

    /// @dev Nobody met it in the book: the fund takes it at the same price, or the other side closes against it.
    function exitForced(Trader memory who, FeedId feed, int256 held) private returns (bool) {
        (Textbook.Facts memory facts,) = heldBy(who, feed);
        Textbook.Perpetual memory position = facts.perpetuals[FeedId.unwrap(feed) - 1];
        if (position.stale || Textbook.health(facts).maintenance < 0) return false;
        (int256 received, int256 charge) = Textbook.liquidationOf(position.price, held, abs(held), PENALTY);
        bool fundCan = fundCarries(feed, position, received - charge, 0);
        if (fundCan) rescue(takeover(who, marketOf[feed]));
        else rescue(deleveraging(who, marketOf[feed], queueAgainst(held, feed)));
        (Textbook.Facts memory now_, int256 left) = heldBy(who, feed);
        assertEq(left, 0, "closed");
        assertEq(now_.cash, facts.cash + received - charge, "index price less the penalty");
        did(fundCan ? bytes32("forced takeovers") : bytes32("forced deleveragings"));
        return true;
    }

    function settleForced(Deal memory deal, uint256 forcedLine, uint256 seed) private {
        MarketFills memory made = fillsOf(deal, seed);
        Fill memory line = made.fills[forcedLine];
        (line.tree, line.order.nonce, line.order.expiry) = (FORCED, 0, 0);
        delete line.signature;
        Batch memory batch = frame();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = made;
        settleFrame(batch);
    }

    /// @dev What the fund took over it sells again.
    function unwinds_the_fund(uint256 seed) external action("unwinds the fund") {
        for (uint8 i = 1; i <= 2; ++i) {
            FeedId feed = FeedId.wrap(i);
            (, int256 held) = heldBy(fund, feed);
            if (held == 0) continue;
            Deal memory deal = dealIn(marketOf[feed], feed, uint64(abs(held)), ticksOf(feed));
            if (closes(deal, fund, held > 0, seed)) ++done["unwinds the fund"];
            return;
        }
    }

    // ----------------------------------------------------------------- words

    function perpetual(uint256 seed) internal pure returns (FeedId) {
        return draw(seed, "perpetual") % 2 == 0 ? BITCOIN : ETHER;
    }

    /// @notice The account's facts at the next frame, its funding paid, and its position at the feed.
    function heldBy(Trader memory who, FeedId feed) internal view returns (Textbook.Facts memory facts, int256 held) {
        facts = paidFacts(who.account, quotesAt(nowMs()));
        held = facts.perpetuals[FeedId.unwrap(feed) - 1].size;
    }
}
