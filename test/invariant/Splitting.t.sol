// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    Batch,
    EventConfig,
    EventId,
    FeedId,
    Fill,
    MarketFills,
    MarketId,
    Order,
    PerpetualConfig,
    Side
} from "../../contracts/group/Types.sol";
import {GroupTest} from "../group/GroupTest.sol";

/// @notice Doing a thing in parts gains nobody an atom: over lines, over batches or over accounts.
/// @dev The fees here are the highest that the group lets the sequencer charge, found by asking it.
contract SplittingTest is GroupTest {
    uint256 private constant RATE = 1000;
    uint256 private constant POOL_SLOT = 5;

    Trader private whole;
    Trader private left;
    Trader private right;
    Trader private other;
    MarketId private perpetual;
    FeedId private feed;
    EventId private eventId;

    function setUp() public override {
        super.setUp();
        PerpetualConfig memory config = perpetualConfig("BTC");
        (config.terms.quantum, config.fundingCap) = (3, 40_000);
        // One tier, as two small positions need less than a large one by intent.
        config.initialFractions = [uint24(50_000), 50_000, 50_000, 50_000];
        config.maintenanceFractions = [uint24(30_000), 30_000, 30_000, 30_000];
        config.feed.maxMove = 1_000_000;
        (perpetual, feed) = listPerpetual(config);
        EventConfig memory curved = eventConfig(3);
        (curved.terms.curve, curved.terms.quantum) = (true, 7);
        eventId = openEvent(curved);
        settleInbox();
        settlePrice(feed, 50_000);
        whole = openAccount("whole", 1e15);
        left = openAccount("left", 5e14);
        right = openAccount("right", 5e14);
        other = openAccount("other", 1e18);
        settleInbox();
    }

    // ----------------------------------------------------------------- fees

    function testFuzz_an_order_in_two_lines_pays_no_less_in_fees(uint64 a, uint64 b, uint64 price, bool curve) public {
        (a, b) = (uint64(bound(a, 1, 5000)), uint64(bound(b, 1, 5000)));
        price = uint64(bound(price, 1, TICKS - 1));
        MarketId where = curve ? market(eventId, 1) : perpetual;
        uint256 once = highestFee(where, a + b, price);
        uint256 twice = highestFee(where, a, price) + highestFee(where, b, price);
        assertGe(twice, once, "the limits of parts are no less than that of the whole");
        assertLe(twice, once + 1, "nor more by an atom a line");

        // What the engine charges: the ceiling over the order's life, frame by frame what is new of it.
        int256 before = cashOf(whole);
        Order memory order_ = order(whole, where, Side.Buy, a + b, price);
        uint256 first = highestFee(where, a, price);
        settleLine(order_, a, price, first);
        settleLine(order_, b, price, once - first);
        int256 value = int256(uint256(a + b) * price * quantumOf(curve));
        assertEq(before - cashOf(whole), value + int256(once), "in two frames the same as in one");
    }

    /// @dev By the rule of fees: the ceiling of the rate on the ceiling of the base.
    function highestFee(MarketId where, uint64 size, uint64 price) private view returns (uint256) {
        bool curve = MarketId.unwrap(where) != MarketId.unwrap(perpetual);
        uint256 base = uint256(size) * price * quantumOf(curve);
        if (curve) base = (base * (TICKS - price) + TICKS - 1) / TICKS;
        return (base * RATE + 999_999) / 1e6;
    }

    function settleLine(Order memory signed, uint64 size, uint64 price, uint256 fee) private {
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](1);
        Fill memory sold = fill(other, order(other, signed.market, Side.Sell, size, price));
        batch.markets[0] = fills(signed.market, fill(whole, signed, size, price), sold);
        // One atom more is too much.
        batch.markets[0].fills[0].fee = int128(int256(highestFee(signed.market, size, price))) + 1;
        (bool settled,) = address(group).call(abi.encodeCall(group.settle, (batch, signBatch(batch))));
        assertFalse(settled, "above the limit");
        batch.markets[0].fills[0].fee = int128(int256(fee));
        settle(batch);
    }

    function quantumOf(bool curve) private pure returns (uint256) {
        return curve ? 7 : 3;
    }

    // ----------------------------------------------------------------- positions in two accounts

    /// @dev The value of a perpetual, its funding, what it needs, and what a round trip brings.
    function testFuzz_two_accounts_are_worth_no_more_than_one(uint64 a, uint64 b, uint256 seed, bool buys) public {
        (a, b) = (uint64(bound(a, 1, 100_000)), uint64(bound(b, 1, 100_000)));
        meet(whole, a + b, buys, 50_000);
        meet(left, a, buys, 50_000);
        meet(right, b, buys, 50_000);
        assertNoMore("as traded");

        for (uint256 i = 0; i < 3; ++i) {
            pass(600);
            Batch memory batch = nextBatch();
            uint256 price = 30_000e18 + uint256(keccak256(abi.encode(seed, i))) % 40_000e18;
            addPriceAt(batch, feed, price, batch.time);
            uint256 cap = price * 6 / 1e9;
            int256 index = views.feed(feed).fundingIndex;
            addFunding(
                batch,
                feed,
                int128(index + int256(uint256(keccak256(abi.encode(seed, i, "funding"))) % (2 * cap)) - int256(cap))
            );
            settle(batch);
            assertNoMore("with funding due");
        }
        meet(whole, a + b, !buys, 50_000);
        meet(left, a, !buys, 50_000);
        meet(right, b, !buys, 50_000);
        assertLe(cashOf(left) + cashOf(right), cashOf(whole), "a round trip");
        assertGe(cashOf(left) + cashOf(right) + 1, cashOf(whole), "but for one atom of its funding");
    }

    function testFuzz_many_trades_are_worth_no_more_than_one(uint64 size, uint256 cuts, uint256 seed, bool buys)
        public
    {
        size = uint64(bound(size, 8, 100_000));
        cuts = bound(cuts, 2, 8);
        meet(whole, size, buys, 50_000);
        // Over batches, with funding and a price of its own at each.
        uint64 done;
        for (uint256 i = 1; i <= cuts; ++i) {
            uint64 part = uint64(size * i / cuts) - done;
            done += part;
            meet(left, part, buys, 50_000);
        }
        int256 ahead = cashOf(whole) - cashOf(left);
        assertEq(ahead, 5e14, "trades never round");
        pass(3600);
        Batch memory batch = nextBatch();
        addPriceAt(batch, feed, 50_000e18 + seed % 1e18, batch.time);
        addFunding(batch, feed, int128(int256(seed % 1e12) - 5e11));
        settle(batch);
        // One closes at once, the other in parts, and pays its funding at the first.
        meet(whole, size, !buys, 50_000);
        done = 0;
        for (uint256 i = 1; i <= cuts; ++i) {
            uint64 part = uint64(size * i / cuts) - done;
            done += part;
            meet(left, part, !buys, 50_000);
        }
        assertEq(cashOf(whole) - cashOf(left), ahead, "nor does paying early or late");
    }

    function meet(Trader memory who, uint64 size, bool buys, uint64 price) private {
        settle(batchOf(trade(buys ? who : other, buys ? other : who, perpetual, size, price)));
    }

    function assertNoMore(string memory when) private view {
        assertLe(usdOf(left) + usdOf(right), usdOf(whole), when);
        assertLe(initialHealthOf(left) + initialHealthOf(right), initialHealthOf(whole), when);
        assertLe(maintenanceHealthOf(left) + maintenanceHealthOf(right), maintenanceHealthOf(whole), when);
        // Two divisions each for value, funding, notional and requirement.
        assertGe(initialHealthOf(left) + initialHealthOf(right) + 5, initialHealthOf(whole), when);
    }

    // ----------------------------------------------------------------- shared losses

    /// @dev In parts, in one batch or by turns with others, nobody takes more out than at once; and who stays loses nothing.
    function testFuzz_leaving_in_parts_pays_no_more(uint256 amount, uint256 cuts, uint128 tokens, uint128 missing)
        public
    {
        tokens = uint128(bound(tokens, 1e12, 2e15));
        missing = uint128(bound(missing, 1, 1e15));
        (amount, cuts) = (bound(amount, 1e6, tokens / 2 < 1e15 ? tokens / 2 : 1e15), bound(cuts, 2, 6));
        vm.store(address(group), bytes32(POOL_SLOT), bytes32(uint256(missing) << 128 | tokens));
        (uint128 pool, uint128 debt,) = views.pool();
        assertTrue(pool == tokens && debt == missing);

        uint256 state = vm.snapshotState();
        uint256 paid = withdrawn(amount, 1);
        (uint128 poolAfter, uint128 debtAfter,) = views.pool();
        assertGe(uint256(poolAfter) * (uint256(pool) + debt), uint256(pool) * (uint256(poolAfter) + debtAfter));
        assertTrue(vm.revertToState(state));
        uint256 inParts = withdrawn(amount, cuts);
        assertLe(inParts, paid, "no more in parts");
        assertGe(inParts + 2 * cuts, paid, "and less by rounding only");
    }

    /// @dev In and out again: what is paid in comes back, less what rounds, and never more.
    function testFuzz_depositing_and_leaving_gains_nothing(
        uint256 amount,
        uint256 cuts,
        uint128 tokens,
        uint128 missing
    ) public {
        (tokens, missing) = (uint128(bound(tokens, 1e6, 2e15)), uint128(bound(missing, 1, 1e15)));
        (amount, cuts) = (bound(amount, 1e3, 1e13), bound(cuts, 1, 4));
        vm.store(address(group), bytes32(POOL_SLOT), bytes32(uint256(missing) << 128 | tokens));
        int256 before = cashOf(whole);
        for (uint256 i = 1; i <= cuts; ++i) {
            deposit(whole.owner, whole.account, amount * i / cuts - amount * (i - 1) / cuts);
        }
        settleInbox();
        uint256 claim = uint256(cashOf(whole) - before);
        assertLe(withdrawn(claim, 1), amount, "nothing gained");
    }

    /// @return paid Tokens that left for that much cash, in so many withdrawals.
    function withdrawn(uint256 amount, uint256 cuts) private returns (uint256 paid) {
        uint256 before = token.balanceOf(whole.owner);
        for (uint256 i = 1; i <= cuts; ++i) {
            settle(batchOf(withdrawal(whole, uint128(amount * i / cuts - amount * (i - 1) / cuts))));
        }
        return token.balanceOf(whole.owner) - before;
    }
}
