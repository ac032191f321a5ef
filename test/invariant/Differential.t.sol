// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {
    AccountId,
    AssetConfig,
    Batch,
    EventConfig,
    EventId,
    FeedId,
    Liquidate,
    MarketFills,
    MarketId,
    PerpetualConfig
} from "../../contracts/group/Types.sol";
import {GroupTest} from "../group/GroupTest.sol";
import {TestToken} from "../group/TestToken.sol";
import {Textbook} from "./Textbook.sol";

/// @notice Random portfolios, which the group and the textbook must judge alike, to the atom. What the textbook is told is
/// what the test configured, traded and said, never what the group answers.
/// @dev Portfolios come about by trades and deposits, except for the cash of an account that shall fail and for losses that
/// all share: those are written into storage (`State.sol`: accounts are a mapping at slot 7, cash in the low half of the
/// first word; slot 5 is the pool and, above it, what is missing of it). Each such write is read back through the views.
contract DifferentialTest is GroupTest {
    uint256 private constant PERPETUALS = 4;
    uint256 private constant ASSETS = 4;
    uint256 private constant POOL_SLOT = 5;
    uint256 private constant ACCOUNTS_SLOT = 7;
    int256 private constant PENALTY = 5000;

    Trader private subject;
    Trader private other;
    Trader private keeper;
    MarketId[PERPETUALS] private perpetuals;
    TestToken[ASSETS] private assets;
    EventId[2] private events;
    uint64[2] private quanta;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < PERPETUALS; ++i) {
            PerpetualConfig memory config = perpetualConfig(bytes32(i + 1));
            config.lossCap = type(uint96).max;
            (perpetuals[i],) = listPerpetual(config);
        }
        for (uint256 i = 0; i < ASSETS; ++i) {
            assets[i] = new TestToken("ASSET", uint8(6 + 4 * i));
            addAsset(assetConfig(address(assets[i]), bytes32(i + 100)));
        }
        quanta = [uint64(10), 7];
        for (uint256 i = 0; i < 2; ++i) {
            EventConfig memory config = eventConfig(i == 0 ? 3 : 9);
            config.terms.quantum = quanta[i];
            events[i] = openEvent(config);
        }
        settleInbox();
        subject = openAccount("subject", 1e20);
        other = openAccount("other", 1e24);
        keeper = openAccount("keeper", 1e24);
        deposit(governor, INSURANCE, 1e24);
        settleInbox();
    }

    // ----------------------------------------------------------------- health

    function testFuzz_health_is_the_textbooks(uint256 seed) public {
        Textbook.Facts memory facts = portfolio(seed, type(uint24).max, 0);
        assertHealth(facts);
        // At whatever cash, be it a debt.
        setCash(facts, int256(draw(seed, "cash") % 2e15) - 1e15);
        assertHealth(facts);
        // Hours later, with funding due, some prices elsewhere and some too old.
        moveOn(facts, seed);
        assertHealth(facts);
    }

    function assertHealth(Textbook.Facts memory facts) private view {
        Textbook.Health memory expected = Textbook.health(facts);
        IGroupViews.HealthView memory seen = views.health(subject.account);
        assertEq(seen.usd, expected.usd, "usd");
        assertEq(seen.initialEquity, expected.initialEquity, "initial equity");
        assertEq(seen.maintenanceEquity, expected.maintenanceEquity, "maintenance equity");
        assertEq(int256(seen.initialRequirement), expected.initialRequirement, "initial requirement");
        assertEq(int256(seen.maintenanceRequirement), expected.maintenanceRequirement, "maintenance requirement");
        assertEq(seen.blocked, expected.blocked, "blocked");
    }

    // ----------------------------------------------------------------- accounts that fail

    function testFuzz_a_bankruptcy_price_is_the_textbooks(uint256 seed) public {
        Textbook.Facts memory facts = portfolio(seed, type(uint16).max, 0);
        Textbook.Health memory health = Textbook.health(facts);
        vm.assume(health.maintenanceRequirement > 0);
        setCash(facts, facts.cash - health.maintenance - 1 - int256(draw(seed, "short") % 1e12));
        settle(batchOf(flag(subject)));
        pass(10);
        settlePrices(facts);
        for (uint256 i = 0; i < PERPETUALS; ++i) {
            Textbook.Perpetual memory held = facts.perpetuals[i];
            if (held.size == 0) continue;
            health = Textbook.health(facts);
            if (health.maintenance >= 0) return;
            int256 received = Textbook.bankruptcyValue(health, held);
            settle(batchOf(takeover(subject, perpetuals[i])));
            facts.cash += received;
            held.size = 0;
            assertEq(cashOf(subject), facts.cash, "at the bankruptcy price");
        }
        assertLe(Textbook.health(facts).maintenanceEquity, 0, "nothing is left");
        assertGe(Textbook.health(facts).maintenanceEquity, -int256(PERPETUALS), "and but for rounding nothing is owed");
    }

    /// @dev Searched one by one, against the contract's bisection. Of lots that are worth less than some hundred atoms each
    /// the two may find different numbers, as rounding then weighs more than a lot.
    function testFuzz_a_liquidation_takes_the_fewest_lots(uint256 seed) public {
        uint256 which = draw(seed, "which") % PERPETUALS;
        Textbook.Facts memory facts = portfolio(seed, 200, which + 1);
        // A lot frees half a per cent of its value at least.
        vm.assume(facts.perpetuals[which].price >= 1e12);
        Textbook.Health memory health = Textbook.health(facts);
        Textbook.Perpetual memory held = facts.perpetuals[which];
        int256 gap = health.initialRequirement - health.maintenanceRequirement;
        setCash(facts, facts.cash - health.maintenance - 1 - int256(draw(seed, "short") % uint256(gap + 1)));

        uint256 size = uint256(Textbook.size(held));
        uint64 asked = uint64(1 + draw(seed, "asked") % (2 * size));
        uint256 most = asked < size ? asked : size;
        uint256 lots = Textbook.fewestLots(facts, which, most, uint256(PENALTY));
        Liquidate memory request = liquidateMessage(keeper, subject, perpetuals[which], asked);
        settle(batchOf(liquidation(keeper, request)));
        (int256 received, int256 charge) = Textbook.liquidationOf(held.price, held.size, lots, uint256(PENALTY));
        charge = Textbook.affordable(Textbook.health(facts), held, lots, charge);
        (int256 left,,) = views.holding(subject.account, FeedId.wrap(uint8(which + 1)));
        assertEq(left, held.size > 0 ? held.size - int256(lots) : held.size + int256(lots), "lots");
        assertEq(cashOf(subject), facts.cash + received - charge, "cash");
    }

    // ----------------------------------------------------------------- shared losses

    function testFuzz_shared_losses_are_shared_as_the_textbook_does(uint256 seed) public {
        uint128 tokens = uint128(1 + draw(seed, "tokens") % 1e12);
        uint128 missing = uint128(1 + (draw(seed, "missing") % 1e12 >> draw(seed, "magnitude") % 40));
        Textbook.Facts memory facts;
        setCash(facts, int256(uint256(tokens) + missing));
        setPool(tokens, missing);
        for (uint256 i = 0; i < 4; ++i) {
            (uint128 pool, uint128 debt,) = views.pool();
            int256 cash = cashOf(subject);
            if (cash == 0) return;
            uint256 amount = 1 + (draw(seed, bytes32(i)) % uint256(cash) >> draw(seed, bytes32(i + 10)) % 42);
            if (draw(seed, bytes32(i + 20)) % 3 == 0) {
                deposit(subject.owner, subject.account, amount);
                settleInbox();
                uint256 claim = Textbook.claimFor(amount, pool, debt);
                assertEq(cashOf(subject), cash + int256(claim));
                assertPool(pool + amount, debt + claim - amount);
                continue;
            }
            bool isForced = draw(seed, bytes32(i + 30)) % 2 == 0;
            if (isForced && amount > pool) amount = pool;
            uint256 paid = Textbook.paidOut(amount, pool, debt);
            if (!isForced && paid == 0) continue;
            uint256 before = token.balanceOf(subject.owner);
            if (isForced) {
                requestWithdrawal(subject, uint128(amount));
                settleInbox();
            } else {
                settle(batchOf(withdrawal(subject, uint128(amount))));
            }
            assertEq(token.balanceOf(subject.owner) - before, paid);
            if (paid == 0) amount = 0;
            assertEq(cashOf(subject), cash - int256(amount), "a claim that pays nothing is not taken");
            assertPool(pool - paid, debt - (amount - paid));
        }
    }

    /// @dev A request that cannot be refused would have to be consumed and could not: the group would freeze.
    function test_a_forced_withdrawal_too_small_to_pay_does_not_stop_the_group() public {
        Textbook.Facts memory facts;
        setCash(facts, 1e9);
        setPool(1e9, 1e9);
        requestWithdrawal(subject, 1);
        settleInbox();
        assertEq(cashOf(subject), 1e9);
        assertEq(token.balanceOf(subject.owner), 0);
    }

    function assertPool(uint256 tokens, uint256 missing) private view {
        (uint128 pool, uint128 debt,) = views.pool();
        assertEq(pool, tokens, "pool");
        assertEq(debt, missing, "shared losses");
    }

    // ----------------------------------------------------------------- portfolios

    /// @notice Gives the subject up to eight holdings and positions in two events, under random terms and prices.
    /// @param most Lots of a perpetual at most.
    /// @param only The one perpetual to hold, from 1; 0 for any.
    function portfolio(uint256 seed, uint24 most, uint256 only) private returns (Textbook.Facts memory facts) {
        facts.perpetuals = new Textbook.Perpetual[](PERPETUALS);
        facts.assets = new Textbook.Asset[](ASSETS);
        facts.events = new Textbook.Event[](2);
        facts.cash = cashOf(subject);
        for (uint256 i = 0; i < PERPETUALS; ++i) {
            facts.perpetuals[i] = termsOf(draw(seed, bytes32(i)), i);
        }
        for (uint256 i = 0; i < ASSETS; ++i) {
            facts.assets[i] = weightsOf(draw(seed, bytes32(i + 10)), i);
        }
        settlePrices(facts);
        for (uint256 i = 0; i < PERPETUALS; ++i) {
            uint256 word = draw(seed, bytes32(i + 20));
            if (only == 0 ? word % 4 != 0 : only == i + 1) trades(facts, i, word, most);
        }
        for (uint256 i = 0; i < ASSETS; ++i) {
            uint256 word = draw(seed, bytes32(i + 30));
            if (word % 3 == 0) continue;
            facts.assets[i].balance = int256(1 + (word >> 8) % (10 ** (8 + 4 * i)));
            deposit(subject.owner, subject.account, address(assets[i]), uint256(facts.assets[i].balance));
        }
        settleInbox();
        for (uint256 i = 0; i < 2; ++i) {
            bets(facts, i, draw(seed, bytes32(i + 40)));
        }
    }

    /// @dev Ascending fractions and bounds, with a few equal ones among them.
    function termsOf(uint256 word, uint256 i) private returns (Textbook.Perpetual memory held) {
        PerpetualConfig memory config = perpetualConfig(bytes32(i + 1));
        uint24 initial = 10_000;
        uint24 maintenance = 5000;
        uint32 bound;
        for (uint256 tier = 0; tier < 4; ++tier) {
            uint256 part = draw(word, bytes32(tier));
            initial += uint24(part % 80_000);
            maintenance += uint24((part >> 32) % 40_000);
            if (maintenance >= initial) maintenance = initial - 1;
            (config.initialFractions[tier], config.maintenanceFractions[tier]) = (initial, maintenance);
            (held.initialFractions[tier], held.maintenanceFractions[tier]) = (initial, maintenance);
            if (tier == 3) continue;
            bound += uint32((part >> 64) % 2000 >> (part >> 96) % 12);
            (config.tierBounds[tier], held.bounds[tier]) = (bound, bound);
        }
        config.penalty = uint24(uint256(PENALTY));
        (config.lossCap, config.fundingCap) = (type(uint96).max, 40_000);
        config.feed.maxGap = type(uint32).max;
        setPerpetual(perpetuals[i], config);
        held.price = 1e9 + (word >> 64) % (1e17 >> (word >> 32) % 24);
    }

    function weightsOf(uint256 word, uint256 i) private returns (Textbook.Asset memory held) {
        AssetConfig memory config = assetConfig(address(assets[i]), bytes32(i + 100));
        (config.maintenanceWeight, config.initialWeight) = (uint24(word % 950_001), uint24((word >> 32) % 950_001));
        if (config.initialWeight > config.maintenanceWeight) config.initialWeight = config.maintenanceWeight;
        config.feed.maxGap = type(uint32).max;
        addAsset(config);
        held.lot = config.lot;
        (held.initialWeight, held.maintenanceWeight) = (config.initialWeight, config.maintenanceWeight);
        held.price = 1 + (word >> 64) % (1e17 >> (word >> 200) % 30);
    }

    /// @dev Of a perpetual, at a price of the book's own.
    function trades(Textbook.Facts memory facts, uint256 i, uint256 word, uint24 most) private {
        uint64 size = uint64(1 + (word >> 8) % most);
        uint64 price = uint64(1 + (word >> 64) % 1000);
        bool buys = (word >> 40) % 2 == 0;
        settle(batchOf(trade(buys ? subject : other, buys ? other : subject, perpetuals[i], size, price)));
        int256 lots = buys ? int256(uint256(size)) : -int256(uint256(size));
        facts.perpetuals[i].size = lots;
        facts.cash -= lots * int256(uint256(price * DOLLAR_QUANTUM));
    }

    function bets(Textbook.Facts memory facts, uint256 i, uint256 word) private {
        uint256 outcomes = i == 0 ? 3 : 9;
        (facts.events[i].payout, facts.events[i].positions) =
        (int256(uint256(TICKS * quanta[i])), new int256[](outcomes));
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](outcomes);
        for (uint8 k = 0; k < outcomes; ++k) {
            uint256 part = draw(word, bytes32(uint256(k)));
            uint64 size = uint64(1 + part % 100_000);
            uint64 price = uint64(1 + (part >> 64) % (TICKS - 1));
            bool buys = (part >> 128) % 2 == 0;
            batch.markets[k] = trade(buys ? subject : other, buys ? other : subject, market(events[i], k), size, price);
            int256 lots = buys ? int256(uint256(size)) : -int256(uint256(size));
            facts.events[i].positions[k] = lots;
            facts.cash -= lots * int256(uint256(price * quanta[i]));
        }
        settle(batch);
    }

    // ----------------------------------------------------------------- prices, cash and losses

    function settlePrices(Textbook.Facts memory facts) private {
        settle(priced(facts));
    }

    /// @notice A frame that says the facts' prices, but for those that are stale.
    function priced(Textbook.Facts memory facts) private returns (Batch memory batch) {
        batch = inboxBatch();
        for (uint8 i = 1; i <= PERPETUALS + ASSETS; ++i) {
            bool isAsset = i > PERPETUALS;
            uint256 price = isAsset ? facts.assets[i - PERPETUALS - 1].price : facts.perpetuals[i - 1].price;
            bool stale = isAsset ? facts.assets[i - PERPETUALS - 1].stale : facts.perpetuals[i - 1].stale;
            // The unit is 1e12: a price of 18 decimals gives its millionth part.
            if (!stale) addPriceAt(batch, FeedId.wrap(i), price * 1e6, batch.time);
        }
    }

    /// @dev Two hours later: prices within a factor of two, funding within its cap for one, every fourth feed without a price.
    function moveOn(Textbook.Facts memory facts, uint256 seed) private {
        pass(7200);
        for (uint256 i = 0; i < PERPETUALS; ++i) {
            uint256 word = draw(seed, bytes32(i + 50));
            facts.perpetuals[i].stale = word % 4 == 0;
            if (!facts.perpetuals[i].stale) facts.perpetuals[i].price = moved(facts.perpetuals[i].price, word);
            word = draw(seed, bytes32(i + 60));
            facts.assets[i].stale = word % 4 == 0;
            if (!facts.assets[i].stale) facts.assets[i].price = moved(facts.assets[i].price, word);
        }
        Batch memory batch = priced(facts);
        for (uint256 i = 0; i < PERPETUALS; ++i) {
            uint256 cap = facts.perpetuals[i].price * 4 / 100;
            int256 index = int256(draw(seed, bytes32(i + 70)) % (2 * cap + 1)) - int256(cap);
            facts.perpetuals[i].fundingIndex = index;
            addFunding(batch, FeedId.wrap(uint8(i + 1)), int128(index));
        }
        settle(batch);
    }

    function moved(uint256 price, uint256 word) private pure returns (uint256) {
        return price / 2 + 1 + (word >> 8) % price;
    }

    function setCash(Textbook.Facts memory facts, int256 cash) private {
        facts.cash = cash;
        bytes32 slot = keccak256(abi.encode(AccountId.unwrap(subject.account), ACCOUNTS_SLOT));
        uint256 word = uint256(vm.load(address(group), slot));
        vm.store(address(group), slot, bytes32(word >> 128 << 128 | uint256(cash) & type(uint128).max));
        assertEq(cashOf(subject), cash);
    }

    function setPool(uint128 tokens, uint128 missing) private {
        vm.store(address(group), bytes32(POOL_SLOT), bytes32(uint256(missing) << 128 | tokens));
        assertPool(tokens, missing);
    }

    function draw(uint256 seed, bytes32 what) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what)));
    }
}
