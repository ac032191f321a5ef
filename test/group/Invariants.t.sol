// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {
    AccountId,
    Batch,
    EventId,
    InboxItem,
    InboxKind,
    Lots,
    MarketFills,
    MarketId,
    Order,
    OrderKind,
    Phase,
    Redemption,
    Signature,
    TickLots,
    Ticks
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {MoodyToken} from "./MoodyToken.sol";

/// @notice What holds after every step of every life of a group: no money from nothing, nobody short.
/// @dev The test is its own handler. Each action draws arguments that should work and counts whether they did.
contract InvariantsTest is GroupTest {
    uint8 private constant MAX_EVENTS = 8;
    int256 private constant PAYOUT = int256(uint256(TICKS) * QUANTUM);

    MoodyToken internal moody;
    Trader[] internal traders;
    /// @dev A partly filled order and who signed it, to be filled further.
    Order internal resting;
    uint256 internal restingTrader;
    uint64 internal restingFilled;
    /// @dev Events from which somebody has redeemed.
    mapping(EventId => bool) internal redeeming;
    uint256 internal attempts;
    uint256 internal successes;

    function setUp() public override {
        super.setUp();
        traders.push(treasury);
        deposit(treasury.owner, treasury.account, 5_000_000);
        for (uint256 i = 1; i < 6; ++i) {
            traders.push(openAccount(string.concat("trader", vm.toString(i)), 5_000_000));
        }
        openEvent(2);
        openEvent(9);
        settleInbox();

        bytes4[] memory actions = new bytes4[](10);
        actions[0] = this.deposits.selector;
        actions[1] = this.opensAnEvent.selector;
        actions[2] = this.trades.selector;
        actions[3] = this.tradesSeveralMarketsAtOnce.selector;
        actions[4] = this.fillsAnOrderFurther.selector;
        actions[5] = this.overreaches.selector;
        actions[6] = this.withdraws.selector;
        actions[7] = this.forcesAWithdrawal.selector;
        actions[8] = this.resolvesAnEvent.selector;
        actions[9] = this.redeems.selector;
        targetContract(address(this));
        targetSelector(FuzzSelector({addr: address(this), selectors: actions}));
    }

    function newToken() internal override returns (SimulatedToken) {
        moody = new MoodyToken();
        return moody;
    }

    // ----------------------------------------------------------------- actions

    function deposits(uint256 who, uint256 amount, bool consume) external attempt {
        Trader memory trader = pick(who);
        deposit(trader.owner, trader.account, bound(amount, 1, 10_000_000));
        if (consume) settleInbox();
        ++successes;
    }

    function opensAnEvent(uint256 outcomes) external attempt {
        if (gateway.listings() == MAX_EVENTS) return nothingToDo();
        openEvent(uint8(bound(outcomes, 2, 13)));
        settleInbox();
        ++successes;
    }

    function trades(uint256 buyer, uint256 seller, uint256 where, uint256 size, uint256 price, uint256 kind)
        external
        attempt
    {
        MarketFills memory made = affordable(pick(buyer), pick(seller), where, size, price, 1);
        if (made.fills.length == 0) return;
        OrderKind chosen = OrderKind(kind % 4);
        Order memory buy = made.fills[0].order;
        buy.kind = chosen;
        made.fills[0].signature = sign(keyOf(buy.account), hashOrder(buy));
        settle(batchOf(made));
        ++successes;
    }

    function tradesSeveralMarketsAtOnce(uint256 seed) external attempt {
        EventId eventId = EventId.wrap(uint24(MarketId.unwrap(openMarket(seed % (1 << 24))) >> 8));
        uint256 outcomes = infoOf(eventId).outcomes;
        MarketFills[] memory markets = new MarketFills[](outcomes);
        uint256 count;
        for (uint256 outcome = 0; outcome < outcomes; ++outcome) {
            uint256 draw = uint256(keccak256(abi.encode(seed, outcome)));
            uint256 where = MarketId.unwrap(market(eventId, uint8(outcome)));
            MarketFills memory made = affordable(pick(draw), pick(draw >> 32), where, draw >> 64, draw >> 128, outcomes);
            if (made.fills.length != 0) markets[count++] = made;
        }
        if (count == 0) return;
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](count);
        for (uint256 i = 0; i < count; ++i) {
            batch.markets[i] = markets[i];
        }
        settle(batch);
        ++successes;
    }

    /// @dev A large order stays in the book and fills frame by frame.
    function fillsAnOrderFurther(uint256 buyer, uint256 seller, uint256 where, uint256 size, uint256 price)
        external
        attempt
    {
        bool fresh = restingFilled == Lots.unwrap(resting.size) || !isOpen(resting.market);
        uint256 who = fresh ? bound(buyer, 0, traders.length - 1) : restingTrader;
        MarketFills memory made = affordable(
            traders[who],
            pick(seller),
            fresh ? where : MarketId.unwrap(resting.market),
            size,
            fresh ? price : Ticks.unwrap(resting.price),
            1
        );
        if (made.fills.length == 0) return;
        if (fresh) {
            resting = made.fills[0].order;
            resting.size = Lots.wrap(Lots.unwrap(made.fills[0].filled) * 3);
            (restingTrader, restingFilled) = (who, 0);
        }
        uint64 filled = Lots.unwrap(made.fills[0].filled);
        uint64 left = Lots.unwrap(resting.size) - restingFilled;
        if (filled > left) filled = left;
        uint64 at = Ticks.unwrap(resting.price);
        made.fills[0] = fill(traders[who], resting, filled, at);
        made.fills[1].filled = Lots.wrap(filled);
        made.fills[1].notional = TickLots.wrap(uint128(filled) * at);
        settle(batchOf(made));
        restingFilled += filled;
        ++successes;
    }

    /// @dev More than the buyer or the seller can bear: the group must say so, and nothing else.
    function overreaches(uint256 buyer, uint256 seller, uint256 where, uint256 price) external attempt {
        MarketId market_ = openMarket(where);
        uint64 price_ = uint64(bound(price, 1, TICKS - 1));
        (Trader memory a, Trader memory b) = (pick(buyer), pick(seller));
        if (MarketId.unwrap(market_) == 0 || AccountId.unwrap(a.account) == AccountId.unwrap(b.account)) return;
        // More lots than all deposits together could pay a tick for.
        Batch memory batch = batchOf(trade(a, b, market_, 1e12, price_));
        Signature memory signature = signBatch(batch);
        (bool settled, bytes memory failure) =
            address(group).call(abi.encodeCall(IRiskGroup.settle, (batch, signature)));
        assertFalse(settled);
        assertEq(bytes4(failure), IRiskGroup.MarginShortfall.selector);
        ++successes;
    }

    function withdraws(uint256 who, uint256 amount, uint256 mood) external attempt {
        Trader memory trader = pick(who);
        int256 health = worthOf(trader);
        if (health == 0) return;
        moody.setMood(MoodyToken.Mood(mood % 9));
        // A token that answers two has not paid, whatever it did; here it did not.
        settle(batchOf(withdrawal(trader, uint128(bound(amount, 1, uint256(health) / 4 + 1)))));
        moody.setMood(MoodyToken.Mood.Good);
        uint256 owed = views.claimable(trader.owner, address(token));
        if (owed != 0 && amount % 2 == 0) {
            vm.prank(trader.owner);
            assertEq(group.claim(address(token), trader.owner), owed);
        }
        ++successes;
    }

    function forcesAWithdrawal(uint256 who, uint256 amount, bool refuse) external attempt {
        Trader memory trader = pick(who);
        requestWithdrawal(trader, uint128(bound(amount, 1, 2_000_000)));
        if (refuse) moody.setMood(MoodyToken.Mood.Reverts);
        settleInbox();
        moody.setMood(MoodyToken.Mood.Good);
        ++successes;
    }

    function resolvesAnEvent(uint256 which, uint256 outcome, uint256 part) external attempt {
        EventId id = EventId.wrap(uint24(bound(which, 1, gateway.listings())));
        IGroupViews.MarketView memory info = infoOf(id);
        // Leave one event open for the others to trade in.
        if (info.phase != Phase.Open || openEvents() == 1) return nothingToDo();
        uint64[] memory payouts = new uint64[](info.outcomes);
        uint64 first = uint64(bound(part, 0, TICKS));
        payouts[outcome % info.outcomes] += first;
        payouts[(outcome / 7) % info.outcomes] += TICKS - first;
        resolveEvent(id, payouts);
        settleInbox();
        ++successes;
    }

    /// @dev Somebody redeems; others keep their positions for now.
    function redeems(uint256 seed) external attempt {
        for (uint24 event_ = 1; event_ <= gateway.listings(); ++event_) {
            EventId id = EventId.wrap(event_);
            if (infoOf(id).phase != Phase.Delisted) continue;
            for (uint256 i = 0; i < traders.length; ++i) {
                Trader memory trader = pick(seed % traders.length + i);
                if (!holdsSomething(trader, id)) continue;
                settle(batchOf(Redemption(trader.account, market(id, 0))));
                redeeming[id] = true;
                ++successes;
                return;
            }
        }
        nothingToDo();
    }

    // ----------------------------------------------------------------- invariants

    /// @dev One campaign for all of them: each sees every step.
    function invariant_a_group_is_whole_after_every_step() public view {
        every_token_is_owed_to_somebody_and_nothing_more_is_owed();
        positions_of_a_market_sum_to_zero();
        nobody_is_short();
        the_stored_worst_payoff_is_what_positions_say();
    }

    function every_token_is_owed_to_somebody_and_nothing_more_is_owed() private view {
        int256 owed;
        int256 claimable;
        for (uint256 i = 0; i < traders.length; ++i) {
            claimable += int256(views.claimable(traders[i].owner, address(token)));
            owed += cashOf(traders[i]) + unredeemedOf(traders[i]);
        }
        owed += claimable;
        int256 held = int256(token.balanceOf(address(group)));
        assertEq(owed + cashOf(INSURANCE) + cashOf(PROTOCOL) + pendingDeposits(), held);
        (uint128 pool, uint128 badDebt,) = views.pool();
        assertEq(int256(uint256(pool)) + claimable + pendingDeposits(), held);
        assertEq(badDebt, 0);
    }

    function positions_of_a_market_sum_to_zero() private view {
        for (uint24 event_ = 1; event_ <= gateway.listings(); ++event_) {
            EventId id = EventId.wrap(event_);
            if (redeeming[id]) continue;
            uint256 outcomes = infoOf(id).outcomes;
            int256[] memory sums = new int256[](outcomes);
            for (uint256 i = 0; i < traders.length; ++i) {
                int64[] memory held = views.positions(traders[i].account, id);
                for (uint256 k = 0; k < outcomes; ++k) {
                    sums[k] += held[k];
                }
            }
            for (uint256 k = 0; k < outcomes; ++k) {
                assertEq(sums[k], 0);
            }
        }
    }

    function nobody_is_short() private view {
        for (uint256 i = 0; i < traders.length; ++i) {
            assertGe(worthOf(traders[i]), 0);
        }
    }

    function the_stored_worst_payoff_is_what_positions_say() private view {
        for (uint256 i = 0; i < traders.length; ++i) {
            int256 sum;
            for (uint24 event_ = 1; event_ <= gateway.listings(); ++event_) {
                int64[] memory held = views.positions(traders[i].account, EventId.wrap(event_));
                int256 least = held[0];
                for (uint256 k = 1; k < held.length; ++k) {
                    if (held[k] < least) least = held[k];
                }
                sum += least * PAYOUT;
            }
            assertEq(worstPayoffOf(traders[i]), sum);
        }
    }

    /// @dev An invariant that is never put to the test holds nothing.
    function afterInvariant() public view {
        assertGe(successes * 2, attempts, "most actions should have found something to do");
    }

    // ----------------------------------------------------------------- words

    modifier attempt() {
        ++attempts;
        pass(1);
        _;
    }

    /// @dev There is nothing to do for this action: that is no failure.
    function nothingToDo() private {
        --attempts;
    }

    /// @dev A trade that both sides can bear alone with a `share`-th of their health; without fills if there is none.
    function affordable(
        Trader memory buyer,
        Trader memory seller,
        uint256 where,
        uint256 size,
        uint256 price,
        uint256 share
    ) private returns (MarketFills memory none) {
        MarketId market_ = openMarket(where);
        if (MarketId.unwrap(market_) == 0) return none;
        uint64 price_ = uint64(bound(price, 1, TICKS - 1));
        uint256 buyable = uint256(worthOf(buyer)) / share / (uint256(price_) * QUANTUM + 1);
        uint256 sellable = uint256(worthOf(seller)) / share / (uint256(TICKS - price_) * QUANTUM);
        uint256 most = buyable < sellable ? buyable : sellable;
        if (most < 2) return none;
        uint64 size_ = uint64(bound(size, 1, most / 2));
        return trade(buyer, seller, market_, size_, price_);
    }

    /// @dev The market if it is open, else the next one that is, else 0.
    function openMarket(uint256 where) private view returns (MarketId) {
        uint256 count = gateway.listings();
        uint256 start = bound(where >> 8, 1, count);
        for (uint256 i = 0; i < count; ++i) {
            EventId id = EventId.wrap(uint24((start - 1 + i) % count + 1));
            IGroupViews.MarketView memory info = infoOf(id);
            if (info.phase == Phase.Open) return market(id, uint8(where % 256 % info.outcomes));
        }
        return MarketId.wrap(0);
    }

    function infoOf(EventId id) private view returns (IGroupViews.MarketView memory) {
        return views.market(market(id, 0));
    }

    function isOpen(MarketId where) private view returns (bool) {
        EventId id = EventId.wrap(uint24(MarketId.unwrap(where) >> 8));
        return infoOf(id).phase == Phase.Open;
    }

    function openEvents() private view returns (uint256 count) {
        for (uint24 event_ = 1; event_ <= gateway.listings(); ++event_) {
            if (infoOf(EventId.wrap(event_)).phase == Phase.Open) ++count;
        }
    }

    function holdsSomething(Trader memory trader, EventId id) private view returns (bool) {
        int64[] memory held = views.positions(trader.account, id);
        for (uint256 k = 0; k < held.length; ++k) {
            if (held[k] != 0) return true;
        }
        return false;
    }

    /// @dev What the account's positions in resolved events are worth.
    function unredeemedOf(Trader memory trader) private view returns (int256 value) {
        for (uint24 event_ = 1; event_ <= gateway.listings(); ++event_) {
            EventId id = EventId.wrap(event_);
            uint64[] memory payouts = views.payouts(id);
            int64[] memory held = views.positions(trader.account, id);
            for (uint256 k = 0; k < payouts.length; ++k) {
                value += int256(held[k]) * int64(payouts[k]) * int64(QUANTUM);
            }
        }
    }

    function pendingDeposits() private view returns (int256 sum) {
        (uint64 head, uint64 tail) = views.inbox();
        for (uint64 i = head; i < tail; ++i) {
            InboxItem memory item = queued(i);
            if (item.kind != InboxKind.Deposit) continue;
            (,,, uint128 amount) = abi.decode(item.payload, (AccountId, address, address, uint128));
            sum += int256(uint256(amount));
        }
    }

    function worthOf(Trader memory trader) private view returns (int256) {
        return cashOf(trader) + worstPayoffOf(trader);
    }

    function pick(uint256 who) private view returns (Trader memory) {
        return traders[who % traders.length];
    }

    function keyOf(AccountId id) private view returns (uint256) {
        return traders[AccountId.unwrap(id) - 3].key;
    }
}
