// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Section 5 and 8 of DESIGN.md as one would write them on paper: slow, plain, and without a line in common with the
/// contracts, whose witness it is.
/// @dev Index prices and funding are atoms per lot times 1e9; rates are millionths.
library Textbook {
    /// @param fundingIndex What a long lot has paid since the market began; `paidUpTo` how much of it this position has.
    /// @param bounds Highest notional of the first three tiers, in millions of atoms.
    struct Perpetual {
        int256 size;
        uint256 price;
        int256 fundingIndex;
        int256 paidUpTo;
        uint256[4] initialFractions;
        uint256[4] maintenanceFractions;
        uint256[3] bounds;
        bool stale;
    }

    struct Asset {
        int256 balance;
        uint256 price;
        uint256 lot;
        uint256 initialWeight;
        uint256 maintenanceWeight;
        bool stale;
    }

    /// @param payout Atoms that a lot of the outcome that wins pays.
    struct Event {
        int256[] positions;
        int256 payout;
    }

    /// @notice Everything that says what an account is worth.
    struct Facts {
        int256 cash;
        Perpetual[] perpetuals;
        Asset[] assets;
        Event[] events;
    }

    struct Health {
        int256 usd;
        int256 initialEquity;
        int256 maintenanceEquity;
        int256 initialRequirement;
        int256 maintenanceRequirement;
        int256 initial;
        int256 maintenance;
        bool blocked;
        bool overdrawn;
    }

    int256 internal constant SCALE = 1e9;
    int256 internal constant MILLION = 1e6;

    // ----------------------------------------------------------------- what an account is worth

    function health(Facts memory facts) internal pure returns (Health memory result) {
        result.usd = facts.cash;
        for (uint256 i = 0; i < facts.events.length; ++i) {
            result.usd += worst(facts.events[i].positions) * facts.events[i].payout;
        }
        for (uint256 i = 0; i < facts.perpetuals.length; ++i) {
            Perpetual memory held = facts.perpetuals[i];
            if (held.size == 0) continue;
            result.usd += value(held) + funding(held);
            (int256 initial, int256 maintenance) = requirements(held);
            result.initialRequirement += initial;
            result.maintenanceRequirement += maintenance;
            if (held.stale) result.blocked = true;
        }
        result.initialEquity = result.maintenanceEquity = result.usd;
        for (uint256 i = 0; i < facts.assets.length; ++i) {
            Asset memory held = facts.assets[i];
            if (held.balance < 0) result.overdrawn = true;
            if (held.balance <= 0) continue;
            int256 whole = worth(held);
            result.maintenanceEquity += floor(whole * int256(held.maintenanceWeight), MILLION);
            if (!held.stale) result.initialEquity += floor(whole * int256(held.initialWeight), MILLION);
        }
        result.initial = result.initialEquity - result.initialRequirement;
        result.maintenance = result.maintenanceEquity - result.maintenanceRequirement;
    }

    /// @notice The least that one of the outcomes brings.
    function worst(int256[] memory positions) internal pure returns (int256 least) {
        least = type(int256).max;
        for (uint256 k = 0; k < positions.length; ++k) {
            if (positions[k] < least) least = positions[k];
        }
    }

    function value(Perpetual memory held) internal pure returns (int256) {
        return floor(held.size * int256(held.price), SCALE);
    }

    /// @notice What the position receives for funding since it last did; negative is what it pays.
    function funding(Perpetual memory held) internal pure returns (int256) {
        return floor(-held.size * (held.fundingIndex - held.paidUpTo), SCALE);
    }

    function requirements(Perpetual memory held) internal pure returns (int256 initial, int256 maintenance) {
        int256 notional = ceil(size(held) * int256(held.price), SCALE);
        uint256 tier = 3;
        for (uint256 i = 3; i > 0; --i) {
            if (notional <= int256(held.bounds[i - 1]) * 1e6) tier = i - 1;
        }
        initial = ceil(notional * int256(held.initialFractions[tier]), MILLION);
        maintenance = ceil(notional * int256(held.maintenanceFractions[tier]), MILLION);
    }

    function size(Perpetual memory held) internal pure returns (int256) {
        return held.size < 0 ? -held.size : held.size;
    }

    function worth(Asset memory held) internal pure returns (int256) {
        return floor(held.balance * int256(held.price), int256(held.lot) * SCALE);
    }

    /// @notice The funding is paid: cash has it and the position no longer owes it.
    function settleFunding(Facts memory facts) internal pure {
        for (uint256 i = 0; i < facts.perpetuals.length; ++i) {
            Perpetual memory held = facts.perpetuals[i];
            facts.cash += funding(held);
            held.paidUpTo = held.fundingIndex;
        }
    }

    function holdings(Facts memory facts) internal pure returns (uint256 count) {
        for (uint256 i = 0; i < facts.perpetuals.length; ++i) {
            if (facts.perpetuals[i].size != 0) ++count;
        }
        for (uint256 i = 0; i < facts.assets.length; ++i) {
            if (facts.assets[i].balance != 0) ++count;
        }
    }

    // ----------------------------------------------------------------- accounts that fail

    /// @notice What an account of that health receives for the position at its bankruptcy price.
    function bankruptcyValue(Health memory now_, Perpetual memory held) internal pure returns (int256) {
        (, int256 requirement) = requirements(held);
        return value(held) - ceil(now_.maintenanceEquity * requirement, now_.maintenanceRequirement);
    }

    /// @notice The fewest lots, up to `most`, after whose liquidation initial health is not negative; tried one by one.
    function fewestLots(Facts memory facts, uint256 which, uint256 most, uint256 penalty)
        internal
        pure
        returns (uint256)
    {
        Perpetual memory held = facts.perpetuals[which];
        (int256 sizeBefore, int256 cashBefore) = (held.size, facts.cash);
        uint256 lots = 1;
        for (; lots < most; ++lots) {
            (int256 received, int256 charge) = liquidationOf(held.price, sizeBefore, lots, penalty);
            held.size = sizeBefore > 0 ? sizeBefore - int256(lots) : sizeBefore + int256(lots);
            facts.cash = cashBefore + received - charge;
            bool enough = health(facts).initial >= 0;
            (held.size, facts.cash) = (sizeBefore, cashBefore);
            if (enough) break;
        }
        return lots;
    }

    /// @return received The value of that many lots of a position.
    /// @return charge The penalty on it.
    function liquidationOf(uint256 price, int256 position, uint256 lots, uint256 penalty)
        internal
        pure
        returns (int256 received, int256 charge)
    {
        int256 signed = position > 0 ? int256(lots) : -int256(lots);
        received = floor(signed * int256(price), SCALE);
        charge = ceil((received < 0 ? -received : received) * int256(penalty), MILLION);
    }

    /// @notice What of a penalty an account of that health can pay for so many lots: their part of its equity.
    function affordable(Health memory before, Perpetual memory held, uint256 lots, int256 charge)
        internal
        pure
        returns (int256)
    {
        if (before.maintenanceEquity <= 0) return 0;
        (, int256 requirement) = requirements(held);
        int256 share = floor(before.maintenanceEquity * requirement, before.maintenanceRequirement);
        int256 part = floor(share * int256(lots), size(held));
        return part < charge ? part : charge;
    }

    /// @notice How an opposite account stands in the queue of a deleveraging: profit over entry value, times notional over
    /// equity; nothing for one that loses.
    /// @param entryValue What the position cost in atoms.
    function rank(Perpetual memory held, int256 entryValue, int256 equity) internal pure returns (int256) {
        int256 worthNow = size(held) * int256(held.price) / SCALE;
        int256 profit = held.size > 0 ? worthNow - entryValue : entryValue - worthNow;
        if (profit <= 0 || entryValue == 0 || equity <= 0) return 0;
        return profit * MILLION / entryValue * (worthNow * MILLION / equity);
    }

    // ----------------------------------------------------------------- shared losses and prices

    /// @notice Tokens that leave for a claim, while all accounts share losses of `debt` beyond `pool`.
    function paidOut(uint256 claim, uint256 pool, uint256 debt) internal pure returns (uint256) {
        return debt == 0 ? claim : claim * pool / (pool + debt);
    }

    /// @notice The claim that tokens buy.
    function claimFor(uint256 tokens, uint256 pool, uint256 debt) internal pure returns (uint256) {
        return debt == 0 || pool == 0 ? tokens : tokens * (pool + debt) / pool;
    }

    /// @notice The price that a feed takes: no further from the last than its rule allows for the time.
    function accepted(uint256 last, uint256 told, uint256 elapsedMs, uint256 maxMove) internal pure returns (uint256) {
        if (last == 0) return told;
        uint256 bound = last * maxMove * elapsedMs / 1e9;
        if (told > last + bound) return last + bound;
        if (bound >= last) bound = last - 1;
        return told < last - bound ? last - bound : told;
    }

    // ----------------------------------------------------------------- arithmetic

    function floor(int256 a, int256 b) internal pure returns (int256) {
        return a >= 0 ? a / b : -((-a + b - 1) / b);
    }

    function ceil(int256 a, int256 b) internal pure returns (int256) {
        return -floor(-a, b);
    }
}
