// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    Batch,
    BuilderId,
    EventId,
    FeedId,
    Fill,
    MarketFills,
    MarketId,
    Order,
    OrderKind,
    Phase,
    Side
} from "../../contracts/group/Types.sol";
import {Textbook} from "./Textbook.sol";
import {World} from "./World.sol";

/// @notice Trades that two accounts can bear, by the textbook: as large as asked for, or halved until both can.
abstract contract Deals is World {
    /// @notice Who buys from whom, what, and for which fees.
    /// @param feed The perpetual's or the asset's; 0 for an outcome, which is that of `events[place]`.
    /// @param rate What the buyer pays of the fee's base; the seller is paid a rebate of it if `rebate`.
    struct Deal {
        Trader buyer;
        Trader seller;
        MarketId where;
        FeedId feed;
        uint256 place;
        uint64 quantum;
        uint64 size;
        uint64 price;
        uint32 rate;
        bool rebate;
        bool withBuilder;
        bool curve;
        bool buyerReduces;
        bool sellerReduces;
    }

    /// @dev By market, or by an event's first market.
    mapping(MarketId => Phase) internal phaseNow;
    mapping(EventId => bool) internal isResolved;
    /// @dev Keys that may trade and withdraw for an account; 0 for none.
    mapping(AccountId => uint256 key) internal signerKeys;
    /// @dev Nonces that must stay spent.
    AccountId[] internal spentAccounts;
    uint64[] internal spentNonces;

    // ----------------------------------------------------------------- making one

    function dealIn(MarketId where, FeedId feed, uint64 size, uint64 price) internal pure returns (Deal memory deal) {
        (deal.where, deal.feed, deal.size, deal.price) = (where, feed, size, price);
        deal.quantum = FeedId.unwrap(feed) == 0 ? QUANTUM : DOLLAR_QUANTUM;
    }

    function outcomeDeal(uint256 place, uint8 outcome, uint64 size, uint64 price)
        internal
        view
        returns (Deal memory deal)
    {
        deal = dealIn(market(events[place], outcome), FeedId.wrap(0), size, price);
        deal.place = place;
        deal.curve = views.market(deal.where).outcomes > 4;
    }

    /// @notice The deal is between these two.
    function meet(Deal memory deal, Trader memory who, Trader memory other, bool buys) internal pure {
        deal.buyer = buys ? who : other;
        deal.seller = buys ? other : who;
    }

    /// @notice The size that both sides can bear at the next frame; 0 if not one lot.
    function fit(Deal memory deal) internal view returns (uint64 size) {
        if (same(deal.buyer.account, deal.seller.account)) return 0;
        Phase phase = phaseOf(deal.where);
        if (phase == Phase.Halted || phase == Phase.Delisted) return 0;
        Quote[] memory said = quotesAt(nowMs());
        bool stale = FeedId.unwrap(deal.feed) != 0 && said[FeedId.unwrap(deal.feed)].stale;
        if (phase == Phase.ReduceOnly || stale) (deal.buyerReduces, deal.sellerReduces) = (true, true);
        Textbook.Facts memory buyer = paidFacts(deal.buyer.account, said);
        Textbook.Facts memory seller = paidFacts(deal.seller.account, said);
        for (size = deal.size; size > 0; size /= 2) {
            if (bears(buyer, deal, size, true) && bears(seller, deal, size, false)) break;
        }
    }

    function paidFacts(AccountId id, Quote[] memory said) internal view returns (Textbook.Facts memory facts) {
        facts = factsOf(id, said);
        Textbook.settleFunding(facts);
    }

    function phaseOf(MarketId where) internal view returns (Phase) {
        Phase phase = phaseNow[where.listing()];
        return phase == Phase.None ? Phase.Open : phase;
    }

    /// @notice Whether the account may do its side of the deal: section 5's rule for the end of a frame.
    function bears(Textbook.Facts memory facts, Deal memory deal, uint64 size, bool buys) internal pure returns (bool) {
        int256 before = positionIn(facts, deal);
        Textbook.Health memory healthBefore = Textbook.health(facts);
        int256 cash = facts.cash;
        add(facts, deal, size, buys);
        int256 position = positionIn(facts, deal);
        Textbook.Health memory health = Textbook.health(facts);
        uint256 count = Textbook.holdings(facts);
        undo(facts, deal, size, buys, cash);

        bool grows = isLarger(before, position);
        if ((buys ? deal.buyerReduces : deal.sellerReduces) && (grows || before == 0)) return false;
        if (health.overdrawn) return false;
        bool isSpot = FeedId.unwrap(deal.feed) > FeedId.unwrap(ETHER);
        if (isSpot && !buys) grows = false;
        if (same(deal.feed, ETHER) && grows && abs(position) > ETHER_CAP) return false;
        if (grows && (health.initial < 0 || health.blocked || count > 32)) return false;
        if (health.maintenance < 0 && health.maintenance < healthBefore.maintenance) return false;
        bool spends = FeedId.unwrap(deal.feed) == 0 || (isSpot && buys);
        return !spends || health.usd >= 0 || health.usd >= healthBefore.usd;
    }

    function isLarger(int256 before, int256 position) internal pure returns (bool) {
        if (position == 0) return false;
        return before == 0 || (before > 0) != (position > 0) || abs(position) > abs(before);
    }

    function abs(int256 a) internal pure returns (uint256) {
        return uint256(a < 0 ? -a : a);
    }

    function same(FeedId a, FeedId b) internal pure returns (bool) {
        return FeedId.unwrap(a) == FeedId.unwrap(b);
    }

    // ----------------------------------------------------------------- what it changes

    function positionIn(Textbook.Facts memory facts, Deal memory deal) internal pure returns (int256) {
        uint256 feed = FeedId.unwrap(deal.feed);
        if (feed == 0) return facts.events[deal.place].positions[deal.where.outcomeOf()];
        return feed <= 2 ? facts.perpetuals[feed - 1].size : facts.assets[feed - 3].balance;
    }

    /// @notice Adds the deal's one side to the facts.
    function add(Textbook.Facts memory facts, Deal memory deal, uint64 size, bool buys) internal pure {
        (int256 buyerFee, int256 sellerFee, int256 builderFee) = feesOf(deal, size);
        int256 value = int256(uint256(size) * deal.price * deal.quantum);
        facts.cash += buys ? -value - buyerFee - builderFee : value - sellerFee;
        move(facts, deal, buys ? int256(uint256(size)) : -int256(uint256(size)));
    }

    function undo(Textbook.Facts memory facts, Deal memory deal, uint64 size, bool buys, int256 cash) private pure {
        move(facts, deal, buys ? -int256(uint256(size)) : int256(uint256(size)));
        facts.cash = cash;
    }

    function move(Textbook.Facts memory facts, Deal memory deal, int256 lots) private pure {
        uint256 feed = FeedId.unwrap(deal.feed);
        if (feed == 0) facts.events[deal.place].positions[deal.where.outcomeOf()] += lots;
        else if (feed <= 2) facts.perpetuals[feed - 1].size += lots;
        else facts.assets[feed - 3].balance += lots * int256(facts.assets[feed - 3].lot);
    }

    /// @notice Fees of a line: what the buyer pays, what the seller does (negative), and what the builder gets of the buyer.
    function feesOf(Deal memory deal, uint64 size) internal pure returns (int256 buyer, int256 seller, int256 builds) {
        int256 value = int256(uint256(size) * deal.price * deal.quantum);
        int256 base = value;
        if (deal.curve) {
            base = Textbook.ceil(value * int256(uint256(TICKS - deal.price)), int256(uint256(TICKS)));
        }
        buyer = Textbook.ceil(base * int256(uint256(deal.rate)), 1e6);
        if (deal.rebate) seller = -Textbook.floor(base * int256(uint256(MAKER_REBATE)), 1e6);
        if (deal.withBuilder) builds = Textbook.floor(value * 300, 1e6);
    }

    // ----------------------------------------------------------------- settling one

    /// @notice Settles a deal of that size, which must happen exactly as the textbook says.
    function settleDeal(Deal memory deal, uint64 size, uint256 seed) internal {
        deal.size = size;
        Textbook.Facts memory buyer = paidFacts(deal.buyer.account, quotesAt(nowMs()));
        Textbook.Facts memory seller = paidFacts(deal.seller.account, quotesAt(nowMs()));
        (int256 before, int256 sold) = (positionIn(buyer, deal), positionIn(seller, deal));
        add(buyer, deal, size, true);
        add(seller, deal, size, false);

        Batch memory batch = frame();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = fillsOf(deal, seed);
        settleFrame(batch);

        assertHappened(deal, deal.buyer.account, buyer, before);
        bool spot = FeedId.unwrap(deal.feed) > 2;
        assertHappened(deal, deal.seller.account, seller, spot ? type(int256).max : sold);
        noteSpent(batch.markets[0].fills[0].order);
        noteSpent(batch.markets[0].fills[1].order);
    }

    /// @dev Its facts are as foreseen; and if it grew, it is healthy.
    function assertHappened(Deal memory deal, AccountId id, Textbook.Facts memory foreseen, int256 before)
        private
        view
    {
        Textbook.Facts memory now_ = paidFacts(id, quotes());
        assertEq(now_.cash, foreseen.cash, "cash as foreseen");
        assertEq(positionIn(now_, deal), positionIn(foreseen, deal), "position as foreseen");
        if (!isLarger(before, positionIn(now_, deal))) return;
        Textbook.Health memory health = Textbook.health(now_);
        assertGe(health.initial, 0, "who grew is healthy");
        assertFalse(health.blocked, "who grew holds nothing stale");
    }

    /// @notice Two orders that meet at the deal's price.
    function fillsOf(Deal memory deal, uint256 seed) internal returns (MarketFills memory made) {
        Order memory buy = orderOf(deal, deal.buyer, Side.Buy, deal.size, seed);
        Order memory sell = orderOf(deal, deal.seller, Side.Sell, deal.size, seed);
        made = fills(deal.where, lineOf(deal, deal.buyer, buy, deal.size), lineOf(deal, deal.seller, sell, deal.size));
    }

    /// @dev Its limit may be better for the other side than what it traded at.
    function orderOf(Deal memory deal, Trader memory who, Side side, uint64 size, uint256 seed)
        internal
        returns (Order memory made)
    {
        uint64 slack = uint64(draw(seed, "slack") % 5);
        uint64 highest = FeedId.unwrap(deal.feed) == 0 ? TICKS - 1 : type(uint64).max;
        uint64 limit = side == Side.Buy ? deal.price + slack : deal.price > slack ? deal.price - slack : 1;
        made = order(who, deal.where, side, size, limit > highest ? highest : limit);
        made.kind = OrderKind(draw(seed, "kind") % 4);
        made.reduceOnly = side == Side.Buy ? deal.buyerReduces : deal.sellerReduces;
        made.expiry = seed % 2 == 0 ? 0 : nowMs();
        made.maxFee = 2000;
        if (side == Side.Buy && deal.withBuilder) (made.builder, made.builderFee) = (builder, 300);
    }

    /// @notice A line of `filled` lots, with its fee; signed by the owner or by the account's key.
    function lineOf(Deal memory deal, Trader memory who, Order memory made, uint64 filled)
        internal
        view
        returns (Fill memory line)
    {
        uint256 key = signerKeys[who.account];
        line = fill(Trader(key == 0 ? who.key : key, who.owner, who.account), made, filled, deal.price);
        (int256 buyerFee, int256 sellerFee,) = feesOf(deal, filled);
        line.fee = int128(made.side == Side.Buy ? buyerFee : sellerFee);
    }

    function noteSpent(Order memory made) internal {
        spentAccounts.push(made.account);
        spentNonces.push(made.nonce);
    }
}
