// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, Batch, EventId, FeedId, Redemption} from "../../contracts/group/Types.sol";
import {Money} from "./Money.sol";
import {Textbook} from "./Textbook.sol";

/// @notice What happens to markets: prices move, jump and go missing, funding accrues, events resolve and are paid.
abstract contract Markets is Money {
    uint256 private constant MOST_LISTINGS = 16;

    // ----------------------------------------------------------------- prices

    function moves_prices(uint256 seed) external action("moves prices") {
        for (uint8 i = 1; i <= FEEDS; ++i) {
            shift(FeedId.wrap(i), int256(draw(seed, bytes32(uint256(i))) % 30_001) - 15_000);
        }
        tick();
        ++done["moves prices"];
    }

    /// @dev Far, but within what the feed's rule allows for the time.
    function jumps_prices(uint256 seed) external action("jumps prices") {
        FeedId feed = FeedId.wrap(uint8(1 + draw(seed, "which") % FEEDS));
        shift(feed, int256(draw(seed, "jump") % 360_001) - 180_000);
        tickAfter(10);
        ++done["jumps prices"];
    }

    /// @dev Further than the rule allows: the price is clamped, the incident recorded, the market reduces only.
    function breaches_prices(uint256 seed) external action("breaches prices") {
        FeedId feed = FeedId.wrap(uint8(1 + draw(seed, "which") % FEEDS));
        if (silent[feed] || views.feed(feed).price != indexOf(truth[feed])) return;
        uint64 incidents = views.incidents();
        truth[feed] = seed % 2 == 0 ? truth[feed] * 2 : truth[feed] / 2;
        tick();
        assertGt(views.incidents(), incidents, "on record for good");
        assertTrue(quotes()[FeedId.unwrap(feed)].stale);
        if (seed % 4 != 0) truth[feed] = uint256(views.feed(feed).price) * 1e9 / DOLLAR_QUANTUM;
        ++done["breaches prices"];
    }

    /// @dev A source is silent for a few steps, until its price is too old; or once for so long that it was too rare.
    function silences(uint256 seed) external action("silences") {
        ++done["silences"];
        FeedId feed = FeedId.wrap(uint8(1 + draw(seed, "which") % FEEDS));
        (silent[feed], shutAt) = (true, steps);
        tickAfter(seed % 8 == 0 ? 3700 : 62);
        assertTrue(quotes()[FeedId.unwrap(feed)].stale);
    }

    function funds(uint256 seed) external action("funds") {
        pass(600);
        Batch memory batch = frame();
        Quote[] memory said = quotesAt(batch.time);
        for (uint8 i = 1; i <= 2; ++i) {
            // A hundredth of the price an hour is the cap; a sixth of an hour has passed.
            uint256 cap = said[i].price * 600 / 360_000;
            int256 change = int256(draw(seed, bytes32(uint256(i))) % (2 * cap + 1)) - int256(cap);
            addFunding(batch, FeedId.wrap(i), int128(said[i].funding + change));
        }
        settleFrame(batch);
        ++done["funds"];
    }

    /// @notice Moves what the world says of a feed by millionths, back towards where it began when it has gone far.
    function shift(FeedId feed, int256 millionths) internal {
        uint256 start =
            same(feed, BITCOIN) ? 50_000e18 : same(feed, ETHER) ? 3000e18 : same(feed, OKB) ? 50e18 : 2000e18;
        bool tooFar = millionths > 0 ? truth[feed] > 2 * start : truth[feed] < start / 2;
        if (tooFar) millionths = -millionths;
        truth[feed] = uint256(int256(truth[feed]) * (1e6 + millionths) / 1e6);
    }

    // ----------------------------------------------------------------- events

    function resolves(uint256 seed) external action("resolves") {
        (bool found, uint256 place) = openPlace(seed);
        uint256 open;
        for (uint256 i = 0; i < events.length; ++i) {
            if (!isResolved[events[i]]) ++open;
        }
        if (!found || open == 1) return;
        EventId id = events[place];
        uint8 outcomes = views.market(market(id, 0)).outcomes;
        uint64[] memory payouts = new uint64[](outcomes);
        if (seed % 3 == 0) {
            // Void: all alike, the first has what is left over.
            for (uint256 k = 0; k < outcomes; ++k) {
                payouts[k] = TICKS / outcomes;
            }
            payouts[0] += TICKS % outcomes;
        } else {
            uint64 part = seed % 3 == 1 ? TICKS : uint64(draw(seed, "part") % TICKS);
            payouts[draw(seed, "first") % outcomes] += part;
            payouts[draw(seed, "second") % outcomes] += TICKS - part;
        }
        resolveEvent(id, payouts);
        tick();
        isResolved[id] = true;
        ++done["resolves"];
    }

    /// @dev Some of the accounts that hold something in a resolved event are paid; when all are, another event opens.
    function redeems(uint256 seed) external action("redeems") {
        for (uint256 place = 0; place < events.length; ++place) {
            if (!isResolved[events[place]]) continue;
            bool all = true;
            AccountId[] memory accounts = everyone();
            for (uint256 i = 0; i < accounts.length; ++i) {
                AccountId id = accounts[addmod(seed, i, accounts.length)];
                if (!holdsIn(id, place)) continue;
                if (draw(seed, bytes32(i)) % 3 == 0) all = false;
                else redeemOne(id, place);
            }
            if (all) retire(place);
            ++done["redeems"];
            return;
        }
    }

    function redeemOne(AccountId id, uint256 place) private {
        pass(1);
        int256 owed = payoffOf(id, place);
        int256 worst = Textbook.worst(factsOf(id, quotes()).events[place].positions) * int64(TICKS * QUANTUM);
        bool closed = views.account(id).nonceFloor == type(uint64).max;
        int256 before = cashOf(id);
        Batch memory batch = frame();
        batch.redemptions = new Redemption[](1);
        batch.redemptions[0] = Redemption(id, market(events[place], 0));
        settleFrame(batch);
        if (!same(id, INSURANCE)) assertEq(cashOf(id) - before, closed && owed > worst ? worst : owed, "paid");
        assertFalse(holdsIn(id, place));
    }

    function retire(uint256 place) private {
        uint8 outcomes = views.market(market(events[place], 0)).outcomes;
        if (gateway.listings() < MOST_LISTINGS) {
            openWorldEvent(outcomes);
            tick();
        } else if (events.length == 1) {
            return;
        }
        events[place] = events[events.length - 1];
        events.pop();
    }

    function holdsIn(AccountId id, uint256 place) internal view returns (bool) {
        int64[] memory held = views.positions(id, events[place]);
        for (uint256 k = 0; k < held.length; ++k) {
            if (held[k] != 0) return true;
        }
        return false;
    }

    /// @notice What the account's positions in a resolved event bring, in atoms.
    function payoffOf(AccountId id, uint256 place) internal view returns (int256 atoms) {
        uint64[] memory payouts = views.payouts(events[place]);
        int64[] memory held = views.positions(id, events[place]);
        for (uint256 k = 0; k < payouts.length; ++k) {
            atoms += int256(held[k]) * int64(payouts[k]) * int64(QUANTUM);
        }
    }
}
