// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {AccountId, Batch, Counterparty, FeedId, Lots, Rescue} from "../../contracts/group/Types.sol";
import {Markets} from "./Markets.sol";
import {Textbook} from "./Textbook.sol";

/// @notice Accounts that fail: found, or made by a bet that is too large and a price that turns against it; and what the
/// textbook says must become of them.
abstract contract Failing is Markets {
    uint256 internal constant PENALTY = 10_000;
    uint64 internal constant FLAG_LIFE_MS = 60_000;

    /// @notice An account that fails with a position at the feed. The last frame's prices say so.
    /// @param usdToo Whether it must owe cash besides.
    function failing(uint256 seed, FeedId feed, bool usdToo) internal returns (bool found, Trader memory who) {
        (found, who) = findFailing(feed, usdToo);
        if (found || silent[feed]) return (found, who);
        return makeFailing(seed, feed, usdToo);
    }

    function findFailing(FeedId feed, bool usdToo) private view returns (bool, Trader memory who) {
        for (uint256 i = 0; i <= traders.length; ++i) {
            who = i == 0 ? fund : traders[i - 1];
            Quote[] memory said = quotesAt(nowMs());
            Textbook.Facts memory facts = factsOf(who.account, said);
            Textbook.Health memory health = Textbook.health(facts);
            bool fails = health.maintenance < 0 && (!usdToo || health.usd < 0);
            if (fails && facts.perpetuals[FeedId.unwrap(feed) - 1].size != 0 && !said[FeedId.unwrap(feed)].stale) {
                return (true, who);
            }
        }
        return (false, who);
    }

    /// @dev Somebody bets all that he can against the maker, and the price goes the other way until he fails.
    function makeFailing(uint256 seed, FeedId feed, bool usdToo) private returns (bool, Trader memory who) {
        who = traders[1 + draw(seed, "gambler") % (traders.length - 1)];
        Deal memory deal = dealIn(marketOf[feed], feed, same(feed, BITCOIN) ? 120_000 : 1_999_999, ticksOf(feed));
        bool buys = draw(seed, "bets") % 2 == 0;
        meet(deal, who, maker, buys);
        for (uint256 i = 0; i < 3; ++i) {
            uint64 size = fit(deal);
            if (size == 0) break;
            settleDeal(deal, size, seed);
            pass(1);
            deal.size = size / 2;
        }
        (int256 held,,) = views.holding(who.account, feed);
        if (held == 0) return (false, who);
        for (uint256 percent = 2; percent <= 40; percent += 2) {
            uint256 turned = truth[feed] * (held > 0 ? 100 - percent : 100 + percent) / 100;
            Quote[] memory said = quotesAt(nowMs());
            said[FeedId.unwrap(feed)].price = indexOf(turned);
            Textbook.Health memory health = Textbook.health(factsOf(who.account, said));
            if (health.maintenance >= 0 || (usdToo && health.usd >= 0)) continue;
            truth[feed] = turned;
            tickAfter(30);
            pass(1);
            return (isFailing(who.account), who);
        }
        return (false, who);
    }

    // ----------------------------------------------------------------- flags

    /// @notice The account is flagged, and keepers have had their time. Whether it still fails.
    function outwait(Trader memory who) internal returns (bool) {
        uint64 since = views.flaggedAt(who.account);
        if (since == 0 || since + FLAG_LIFE_MS < nowMs()) {
            if (!isFailing(who.account)) return false;
            rescue(flag(who));
            did("flags");
            assertEq(views.flaggedAt(who.account), nowMs());
            since = nowMs();
        }
        if (nowMs() < since + GRACE_SECONDS * 1000) tickAfter((since + GRACE_SECONDS * 1000 - nowMs()) / 1000);
        pass(1);
        if (nowMs() > since + FLAG_LIFE_MS) return false;
        Textbook.Health memory health = Textbook.health(factsOf(who.account, quotesAt(nowMs())));
        return health.maintenance < 0;
    }

    function rescue(Rescue memory only) internal {
        Batch memory batch = frame();
        batch.rescues = new Rescue[](1);
        batch.rescues[0] = only;
        settleFrame(batch);
    }

    // ----------------------------------------------------------------- what the textbook says

    /// @notice What the failing account gets for its whole position, and whether the fund can carry it at that.
    function exitOf(Trader memory who, FeedId feed) internal view returns (int256 received, bool fundCan) {
        uint256 place = FeedId.unwrap(feed) - 1;
        Quote[] memory said = quotesAt(nowMs());
        Textbook.Facts memory facts = factsOf(who.account, said);
        Textbook.Perpetual memory held = facts.perpetuals[place];
        received = Textbook.bankruptcyValue(Textbook.health(facts), held);

        fundCan = fundCarries(feed, held, received, received - Textbook.value(held));
    }

    /// @notice Whether the fund's initial health and the market's loss cap allow it to take the position for that.
    function fundCarries(FeedId feed, Textbook.Perpetual memory position, int256 received, int256 loss)
        internal
        view
        returns (bool)
    {
        IGroupViews.FeedView memory info = views.feed(feed);
        if (loss > 0 && uint256(loss) + info.loss > info.lossCap) return false;
        Textbook.Facts memory carrier = paidFacts(INSURANCE, quotesAt(nowMs()));
        if (Textbook.health(carrier).blocked) return false;
        carrier.cash -= received;
        carrier.perpetuals[FeedId.unwrap(feed) - 1].size += position.size;
        return Textbook.health(carrier).initial >= 0;
    }

    /// @notice The accounts on the other side, the most profitable first, with as many lots as there are to close.
    function queueAgainst(int256 size, FeedId feed) internal view returns (Counterparty[] memory queue) {
        AccountId[] memory all = everyone();
        int256[] memory ranks = new int256[](all.length);
        Counterparty[] memory sorted = new Counterparty[](all.length);
        uint256 count;
        for (uint256 i = 0; i < all.length; ++i) {
            (int256 held,,) = views.holding(all[i], feed);
            if (held == 0 || held > 0 == size > 0) continue;
            int256 rank = rankOf(all[i], feed);
            uint256 place = count++;
            for (; place > 0 && ranks[place - 1] < rank; --place) {
                (ranks[place], sorted[place]) = (ranks[place - 1], sorted[place - 1]);
            }
            ranks[place] = rank;
            sorted[place] = Counterparty(all[i], Lots.wrap(uint64(abs(held))));
        }
        uint256 left = abs(size);
        uint256 used;
        for (; left > 0; ++used) {
            uint64 lots = Lots.unwrap(sorted[used].size);
            if (lots > left) sorted[used].size = Lots.wrap(uint64(left));
            left -= Lots.unwrap(sorted[used].size);
        }
        queue = new Counterparty[](used);
        for (uint256 i = 0; i < used; ++i) {
            queue[i] = sorted[i];
        }
    }

    function rankOf(AccountId id, FeedId feed) private view returns (int256) {
        Textbook.Facts memory facts = factsOf(id, quotesAt(nowMs()));
        Textbook.Perpetual memory held = facts.perpetuals[FeedId.unwrap(feed) - 1];
        (, uint256 entry,) = views.holding(id, feed);
        int256 entryValue = int256(entry * DOLLAR_QUANTUM) * Textbook.size(held);
        return Textbook.rank(held, entryValue, Textbook.health(facts).maintenanceEquity);
    }

    /// @notice What a keeper gets of an asset of an account that owes cash, and pays.
    function conversionOf(Textbook.Facts memory facts, FeedId asset, uint256 most)
        internal
        pure
        returns (int256 amount, int256 paid)
    {
        Textbook.Asset memory held = facts.assets[FeedId.unwrap(asset) - 3];
        int256 asked = int256(held.price) * 950_000;
        int256 scale = int256(held.lot) * 1e15;
        amount = Textbook.ceil(-Textbook.health(facts).usd * scale, asked);
        if (amount > int256(most)) amount = int256(most);
        if (amount > held.balance) amount = held.balance;
        paid = Textbook.ceil(amount * asked, scale);
    }
}
