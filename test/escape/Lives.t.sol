// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, Batch, EventId, FeedId, MarketId, Phase, Redemption} from "../../contracts/group/Types.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {TestToken} from "../group/TestToken.sol";
import {EscapeTest} from "./EscapeTest.sol";

/// @notice Random lives that end in a freeze at any moment: with open, resolved and half redeemed events, positions at a
/// loss, debts, and losses that all share. Then everything that can be claimed is claimed, in random order.
contract LivesTest is EscapeTest {
    uint256 private constant TRADERS = 5;
    uint256 private constant STEPS = 24;

    Trader[] private traders;
    EventId[] private events;
    TestToken private ether_;
    FeedId private etherFeed;
    uint256 private price = 50_000;
    uint256 private dice;

    mapping(AccountId => uint256) private repaid;

    function setUp() public override {
        super.setUp();
        string[5] memory names = ["ann", "ben", "cleo", "dan", "eve"];
        for (uint256 i = 0; i < TRADERS; ++i) {
            traders.push(openAccount(names[i], (i + 1) * 40 * DOLLAR));
        }
        ether_ = new TestToken("ETH", 18);
        etherFeed = addAsset(assetConfig(address(ether_), "ETH"));
        events.push(openEvent(3));
        events.push(openEvent(6));
        events.push(openEvent(2));
        settleInbox();
        settlePrices();
    }

    function testFuzz_a_frozen_group_never_pays_more_than_it_has_and_everyone_gets_the_same_share(uint256 seed) public {
        dice = seed;
        for (uint256 i = 0; i < STEPS; ++i) {
            live();
        }
        if (roll(2) == 0) failSomebody();
        freezeGroup();
        uint256 bound_ = tallyInParts();
        leave();
        settleAccounts(bound_);
    }

    /// @dev The same with the events only, where every atom of a solvent pool must find its owner.
    function testFuzz_of_a_solvent_group_nothing_is_left_when_all_have_left(uint256 seed) public {
        dice = seed;
        for (uint256 i = 0; i < STEPS; ++i) {
            uint256 kind = roll(3);
            if (kind == 0) redeemSome();
            else tradeEvent();
        }
        freezeGroup();
        tallyInParts();
        (uint256 tokens_, uint256 claims) = hatch.ratio();
        assertEq(tokens_, claims);
        leave();
        assertEq(token.balanceOf(address(group)), 0);
    }

    // ----------------------------------------------------------------- living

    function live() private {
        uint256 kind = roll(10);
        if (kind < 3) tradeEvent();
        else if (kind < 6) tradePerpetual();
        else if (kind < 8) moveIndex();
        else if (kind == 8) redeemSome();
        else addEther();
    }

    function tradeEvent() private {
        (Trader memory a, Trader memory b) = pair();
        EventId id = events[roll(events.length)];
        IGroupViews.MarketView memory terms = views.market(market(id, 0));
        if (terms.phase != Phase.Open) return;
        MarketId where = market(id, uint8(roll(terms.outcomes)));
        trySettle(batchOf(trade(a, b, where, uint64(1 + roll(8000)), uint64(1 + roll(TICKS - 1)))));
    }

    function tradePerpetual() private {
        (Trader memory a, Trader memory b) = pair();
        trySettle(batchOf(trade(a, b, perpetual, uint64(1 + roll(60)), uint64(price))));
    }

    /// @dev Up or down by as much as a quarter, with some funding.
    function moveIndex() private {
        pass(1 + roll(10));
        price = price * (750 + roll(500)) / 1000;
        Batch memory batch = nextBatch();
        addPrice(batch, perpetualFeed, price);
        addPrice(batch, etherFeed, 2000);
        int256 most = int256(price * DOLLAR_QUANTUM * 10_000 / 1e6 / 3600);
        int256 index = views.feed(perpetualFeed).fundingIndex + int256(roll(uint256(2 * most) + 1)) - most;
        addFunding(batch, perpetualFeed, int128(index));
        settle(batch);
    }

    /// @dev Resolves an event if it is open yet, and redeems one account of it.
    function redeemSome() private {
        EventId id = events[roll(events.length)];
        IGroupViews.MarketView memory terms = views.market(market(id, 0));
        if (terms.phase == Phase.Open) {
            if (roll(3) != 0) return;
            resolveEvent(id, someResult(terms.outcomes));
            settleInbox();
        }
        trySettle(batchOf(Redemption(traders[roll(TRADERS)].account, market(id, 0))));
    }

    function addEther() private {
        Trader memory trader = traders[roll(TRADERS)];
        deposit(trader.owner, trader.account, address(ether_), roll(1e17) + 1);
        settleInbox();
    }

    /// @dev Keepers take what they can of accounts that fail with a debt; what then remains is declared.
    function failSomebody() private {
        for (uint256 i = 0; i < TRADERS; ++i) {
            Trader memory failing = traders[i];
            if (usdOf(failing) >= 0 || maintenanceHealthOf(failing) >= 0) continue;
            pass(1);
            Batch memory batch = batchOf(flag(failing));
            addPrice(batch, perpetualFeed, price);
            addPrice(batch, etherFeed, 2000);
            settle(batch);
            for (uint256 k = 0; k < TRADERS; ++k) {
                if (k == i) continue;
                trySettle(batchOf(liquidation(traders[k], liquidateMessage(traders[k], failing, perpetual, 1_000_000))));
                trySettle(batchOf(conversion(traders[k], convertMessage(traders[k], failing, etherFeed, 1e18))));
            }
            pass(15);
            batch = batchOf(bankruptcy(failing));
            addPrice(batch, perpetualFeed, price);
            addPrice(batch, etherFeed, 2000);
            trySettle(batch);
        }
    }

    function settlePrices() private {
        Batch memory batch = nextBatch();
        addPrice(batch, perpetualFeed, price);
        addPrice(batch, etherFeed, 2000);
        settle(batch);
    }

    /// @dev What the group refuses does not happen.
    function trySettle(Batch memory batch) private {
        try group.settle(batch, signBatch(batch)) {} catch {}
    }

    // ----------------------------------------------------------------- leaving

    /// @return claims The bound, as it is when the count is complete.
    function tallyInParts() private returns (uint256 claims) {
        (uint256 counted, uint256 total) = hatch.progress();
        while (counted < total) {
            hatch.tally(1 + roll(4));
            (counted, total) = hatch.progress();
        }
        (, claims) = hatch.ratio();
    }

    function leave() private {
        for (uint256 i = 0; i < events.length; ++i) {
            IGroupViews.MarketView memory terms = views.market(market(events[i], 0));
            if (terms.phase == Phase.Open) resolveFrozen(events[i], someResult(terms.outcomes));
        }
        uint256 last;
        for (uint256 step = 0; step < 60; ++step) {
            leaveOne(accountOf(roll(TRADERS + 3)));
            last = assertShareDoesNotFall(last);
        }
        for (uint256 i = 0; i < TRADERS + 3; ++i) {
            leaveWholly(accountOf(i));
        }
    }

    /// @dev One step of one account, which may be refused.
    function leaveOne(AccountId id) private {
        uint256 kind = roll(6);
        if (kind < 2) {
            try hatch.exit(id) {} catch {}
        } else if (kind < 4) {
            try hatch.redeem(id, events[roll(events.length)]) {} catch {}
        } else if (kind == 4) {
            try hatch.collect(id) {} catch {}
        } else if (roll(3) == 0 && hatch.debtOf(id) != 0) {
            repay(id);
        }
        assertLe(hatch.paidOut(), tokens());
    }

    function leaveWholly(AccountId id) private {
        for (uint256 i = 0; i < events.length; ++i) {
            if (hatch.hasRedeemed(id, events[i])) continue;
            try hatch.redeem(id, events[i]) {} catch {}
        }
        if (!hatch.hasExited(id) && hatch.debtOf(id) == 0) hatch.exit(id);
        assertLe(hatch.paidOut(), tokens());
    }

    /// @dev Everyone was paid the same share of what it owned, to the atom.
    function settleAccounts(uint256 bound_) private {
        uint256 claimed;
        for (uint256 i = 0; i < TRADERS + 3; ++i) {
            int256 usd = views.health(accountOf(i)).usd;
            claimed += (usd > 0 ? uint256(usd) : 0) + gainsOf(accountOf(i));
        }
        assertLe(claimed, bound_, "claims are a bound of all that was ever claimed");
        // Nothing but what was rounded down lies between them.
        assertLe(bound_ - claimed, 400, "claims are no more than that");

        for (uint256 i = 0; i < TRADERS + 3; ++i) {
            AccountId id = accountOf(i);
            if (hatch.dueTo(id) != 0) hatch.collect(id);
            assertEq(hatch.dueTo(id), 0);
        }
        (uint256 tokens_, uint256 claims) = hatch.ratio();
        assertLe(tokens_, claims);
        for (uint256 i = 0; i < TRADERS; ++i) {
            AccountId id = traders[i].account;
            if (hatch.debtOf(id) != 0 || views.account(id).nonceFloor == type(uint64).max) continue;
            assertEq(token.balanceOf(traders[i].owner), ownNow(id) * tokens_ / claims, "the same share for everyone");
            assertEq(ether_.balanceOf(traders[i].owner), balanceOfEther(id), "assets whole");
        }
        assertLe(hatch.paidOut(), tokens_);
        assertEq(token.balanceOf(address(group)), tokens_ - hatch.paidOut());
    }

    function gainsOf(AccountId id) private view returns (uint256 gains) {
        for (uint256 i = 0; i < events.length; ++i) {
            try hatch.gainOf(id, events[i]) returns (uint256 gain) {
                gains += gain;
            } catch {}
        }
    }

    /// @dev What counts for an account that owes nothing any more: less what its gains set off.
    function ownNow(AccountId id) private view returns (uint256) {
        int256 usd = views.health(id).usd;
        if (usd >= 0) return uint256(usd) + gainsOf(id);
        return gainsOf(id) + repaid[id] - uint256(-usd);
    }

    function balanceOfEther(AccountId id) private view returns (uint256) {
        (int256 atoms,,) = views.holding(id, etherFeed);
        return uint256(atoms);
    }

    // ----------------------------------------------------------------- small things

    function repay(AccountId id) private {
        address payer = makeAddr("payer");
        uint256 debt = hatch.debtOf(id);
        token.mint(payer, debt);
        vm.startPrank(payer);
        token.approve(address(hatch), debt);
        repaid[id] += hatch.repay(id);
        vm.stopPrank();
    }

    function tokens() private view returns (uint256 tokens_) {
        (tokens_,) = hatch.ratio();
    }

    /// @return share Parts per 1e18.
    function assertShareDoesNotFall(uint256 last) private view returns (uint256 share) {
        (uint256 tokens_, uint256 claims) = hatch.ratio();
        share = claims == 0 ? 0 : tokens_ * 1e18 / claims;
        assertGe(share, last);
        assertLe(share, 1e18);
    }

    function accountOf(uint256 i) private view returns (AccountId) {
        if (i < TRADERS) return traders[i].account;
        if (i == TRADERS) return treasury.account;
        return i == TRADERS + 1 ? INSURANCE : PROTOCOL;
    }

    function pair() private returns (Trader memory a, Trader memory b) {
        uint256 first = roll(TRADERS);
        return (traders[first], traders[(first + 1 + roll(TRADERS - 1)) % TRADERS]);
    }

    /// @dev A winner, a split of two, or void as evenly as ticks divide.
    function someResult(uint8 outcomes) private returns (uint64[] memory payouts) {
        uint256 kind = roll(3);
        if (kind == 0) return winner(outcomes, uint8(roll(outcomes)));
        if (kind == 1) return split(outcomes, 0, outcomes - 1);
        payouts = new uint64[](outcomes);
        uint64 left = TICKS;
        for (uint256 i = 0; i + 1 < outcomes; ++i) {
            payouts[i] = TICKS / outcomes;
            left -= payouts[i];
        }
        payouts[outcomes - 1] = left;
    }

    function roll(uint256 sides) private returns (uint256) {
        dice = uint256(keccak256(abi.encode(dice)));
        return dice % sides;
    }
}
