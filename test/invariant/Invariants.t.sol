// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {console} from "forge-std/console.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {AccountId, EventId, FeedId, InboxItem, InboxKind, Lots} from "../../contracts/group/Types.sol";
import {ACTIONS, Exchange} from "./Exchange.sol";
import {Textbook} from "./Textbook.sol";

/// @notice A whole group lives at random, and is whole after every step.
contract ExchangeInvariants is Exchange {
    uint128 private _pool;
    uint128 private _debt;
    uint256 private _bankruptcies;

    function setUp() public override {
        super.setUp();
        targetContract(address(this));
        targetSelector(FuzzSelector({addr: address(this), selectors: actions()}));
        excludeSender(address(0));
    }

    /// @dev One campaign for all of them: each sees every step.
    function invariant_the_group_is_whole_after_every_step() public {
        AccountId[] memory all = everyone();
        accounts_are_what_the_textbook_says(all);
        nobody_owns_what_is_not_there(all);
        every_token_is_owed_to_somebody(all);
        markets_sum_to_zero(all);
        spent_nonces_stay_spent();
        shared_losses_grow_by_bankruptcies_only();
        the_twin_is_at_rest();
    }

    /// @dev Health to the atom, the worst payoffs and the bits of what is held.
    function accounts_are_what_the_textbook_says(AccountId[] memory all) internal view {
        Quote[] memory said = quotes();
        for (uint256 i = 0; i < all.length; ++i) {
            Textbook.Facts memory facts = factsOf(all[i], said);
            Textbook.Health memory health = Textbook.health(facts);
            IGroupViews.HealthView memory seen = views.health(all[i]);
            assertEq(seen.usd, health.usd, "usd");
            assertEq(seen.initialEquity, health.initialEquity, "initial equity");
            assertEq(seen.maintenanceEquity, health.maintenanceEquity, "maintenance equity");
            assertEq(int256(seen.initialRequirement), health.initialRequirement, "initial requirement");
            assertEq(int256(seen.maintenanceRequirement), health.maintenanceRequirement, "maintenance requirement");
            assertEq(seen.blocked, health.blocked, "blocked");
            assertFalse(health.overdrawn, "overdrawn");

            IGroupViews.AccountView memory account = views.account(all[i]);
            assertEq(account.worstPayoff, worstOf(facts), "worst payoff");
            assertEq(account.held, heldOf(facts), "held bits");
        }
    }

    function worstOf(Textbook.Facts memory facts) private pure returns (int256 sum) {
        for (uint256 i = 0; i < facts.events.length; ++i) {
            sum += Textbook.worst(facts.events[i].positions) * facts.events[i].payout;
        }
    }

    function heldOf(Textbook.Facts memory facts) private pure returns (uint256 bits) {
        for (uint256 i = 0; i < 2; ++i) {
            if (facts.perpetuals[i].size != 0) bits |= 1 << (i + 1);
            if (facts.assets[i].balance != 0) bits |= 1 << (i + 3);
        }
    }

    /// @dev Events at their worst, and at what the resolved ones truly pay.
    function nobody_owns_what_is_not_there(AccountId[] memory all) internal view {
        Quote[] memory said = quotes();
        int256 atWorst;
        int256 atTruth;
        for (uint256 i = 0; i < all.length; ++i) {
            Textbook.Facts memory facts = factsOf(all[i], said);
            int256 usd = Textbook.health(facts).usd;
            atWorst += usd;
            atTruth += usd - worstOf(facts);
            for (uint256 place = 0; place < events.length; ++place) {
                if (isResolved[events[place]]) atTruth += payoffOf(all[i], place);
            }
        }
        (uint128 tokens, uint128 debt,) = views.pool();
        assertLe(atWorst, int256(uint256(tokens) + debt), "at worst");
        assertLe(atTruth, int256(uint256(tokens) + debt), "at the true payoff");
    }

    function every_token_is_owed_to_somebody(AccountId[] memory all) internal view {
        (uint128 tokens,,) = views.pool();
        uint256 owed = tokens + unsettled(address(token)) + donated[address(token)];
        assertEq(owed, token.balanceOf(address(group)), "dollars");
        for (uint8 i = 3; i <= 4; ++i) {
            address asset = address(assetTokens[FeedId.wrap(i)]);
            owed = unsettled(asset) + donated[asset];
            for (uint256 k = 0; k < all.length; ++k) {
                (int256 balance,,) = views.holding(all[k], FeedId.wrap(i));
                owed += uint256(balance);
            }
            assertEq(owed, IERC20(asset).balanceOf(address(group)), "an asset");
        }
    }

    /// @dev What waits to be claimed, and deposits that no batch has consumed.
    function unsettled(address what) private view returns (uint256 sum) {
        for (uint256 i = 0; i < traders.length; ++i) {
            if (i != 7) sum += views.claimable(traders[i].owner, what);
        }
        (uint64 head, uint64 tail) = views.inbox();
        for (uint64 i = head; i < tail; ++i) {
            InboxItem memory item = queued(i);
            if (item.kind != InboxKind.Deposit) continue;
            (,, address put, uint128 amount) = abi.decode(item.payload, (AccountId, address, address, uint128));
            if (put == what) sum += amount;
        }
    }

    function markets_sum_to_zero(AccountId[] memory all) internal view {
        for (uint8 i = 1; i <= 2; ++i) {
            int256 sum;
            int256 long;
            for (uint256 k = 0; k < all.length; ++k) {
                (int256 size,,) = views.holding(all[k], FeedId.wrap(i));
                sum += size;
                if (size > 0) long += size;
            }
            assertEq(sum, 0, "sizes");
            assertEq(long, int256(uint256(views.market(marketOf[FeedId.wrap(i)]).openInterest)), "open interest");
        }
        for (uint256 place = 0; place < events.length; ++place) {
            if (!isResolved[events[place]]) outcomesSumToZero(all, events[place]);
        }
    }

    function outcomesSumToZero(AccountId[] memory all, EventId id) private view {
        uint8 outcomes = views.market(market(id, 0)).outcomes;
        int256[] memory sums = new int256[](outcomes);
        int256[] memory longs = new int256[](outcomes);
        for (uint256 i = 0; i < all.length; ++i) {
            int64[] memory held = views.positions(all[i], id);
            for (uint256 k = 0; k < outcomes; ++k) {
                sums[k] += held[k];
                if (held[k] > 0) longs[k] += held[k];
            }
        }
        for (uint8 k = 0; k < outcomes; ++k) {
            assertEq(sums[k], 0, "positions");
            IGroupViews.MarketView memory info = views.market(market(id, k));
            bool capped = Lots.unwrap(info.positionCap) != 0;
            assertEq(int256(uint256(info.openInterest)), capped ? longs[k] : int256(0), "open interest, if capped");
        }
    }

    function spent_nonces_stay_spent() internal view {
        for (uint256 i = 0; i < spentNonces.length; i += 1 + spentNonces.length / 32) {
            (bool spent,) = views.nonceState(spentAccounts[i], spentNonces[i]);
            assertTrue(spent, "a spent nonce");
        }
    }

    function shared_losses_grow_by_bankruptcies_only() internal {
        (uint128 tokens, uint128 debt,) = views.pool();
        if (bankruptcies == _bankruptcies) {
            uint256 before = uint256(_pool) * (uint256(tokens) + debt);
            assertGe(uint256(tokens) * (uint256(_pool) + _debt), before, "what a claim pays");
        }
        (_pool, _debt, _bankruptcies) = (tokens, debt, bankruptcies);
    }

    function the_twin_is_at_rest() internal {
        Deployment memory own = Deployment(group, gateway, address(0));
        use(twin);
        bytes32 now_ = stateOf();
        use(own);
        assertEq(now_, twinAtRest, "another group");
    }

    /// @dev An invariant that is never put to the test holds nothing.
    function afterInvariant() public view {
        report();
        uint256 attempts;
        uint256 successes;
        for (uint256 i = 0; i < actionNames.length; ++i) {
            attempts += tried[actionNames[i]];
            successes += done[actionNames[i]] > tried[actionNames[i]] ? tried[actionNames[i]] : done[actionNames[i]];
        }
        assertGe(successes * 2, attempts, "most actions should have found something to do");
    }

    // ----------------------------------------------------------------- one life that is always the same

    /// @notice In a life of a thousand steps every action happens, and every attack is refused, many times.
    function test_a_long_life_has_everything_in_it() public {
        bytes4[] memory list = actions();
        uint256 failures;
        vm.pauseGasMetering();
        for (uint256 step = 0; step < 1000; ++step) {
            uint256 seed = uint256(keccak256(abi.encode("a long life", step)));
            bytes4 chosen = list[seed % list.length];
            (bool lived, bytes memory failure) = address(this).call(abi.encodeWithSelector(chosen, draw(seed, "seed")));
            if (!lived) {
                console.log("failed: step, action", step, seed % list.length);
                console.logBytes(failure);
                ++failures;
            }
            if (step % 10 == 0) this.invariant_the_group_is_whole_after_every_step();
        }
        report();
        assertEq(failures, 0, "every step succeeds");
        assertGe(actionNames.length, ACTIONS + 8, "every action, and what some of them led to");
        for (uint256 i = 0; i < actionNames.length; ++i) {
            assertGe(done[actionNames[i]], 2, string(abi.encodePacked("too seldom: ", actionNames[i])));
        }
        assertRefusedOften(refusedDeals, DEAL_ATTACKS);
        assertRefusedOften(refusedBatches, BATCH_ATTACKS);
        assertRefusedOften(refusedMessages, MONEY_ATTACKS);
        assertRefusedOften(refusedRescues, RESCUE_ATTACKS);
    }

    function assertRefusedOften(mapping(uint256 => uint256) storage refused, uint256 attacks) private view {
        for (uint256 number = 0; number < attacks; ++number) {
            assertGe(refused[number], 5, "each attack, often");
        }
    }
}
