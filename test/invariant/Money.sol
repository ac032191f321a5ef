// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    FeedId,
    MarketFills,
    MarketId,
    Order,
    Phase,
    Side,
    SignedTransfer,
    SignedWithdraw,
    SignerGrant
} from "../../contracts/group/Types.sol";
import {MoodyToken} from "../group/MoodyToken.sol";
import {Textbook} from "./Textbook.sol";
import {Trading} from "./Trading.sol";

/// @notice Money that comes, goes and moves between accounts; and what owners ask of the group through its inbox.
abstract contract Money is Trading {
    // ----------------------------------------------------------------- in

    function deposits(uint256 seed) external action("deposits") {
        Trader memory who = pick(seed, "who");
        uint256 amount = 1 + draw(seed, "amount") % (60_000e6 >> draw(seed, "magnitude") % 36);
        if (seed % 4 == 0) {
            bool isGold = seed % 8 == 0;
            give(who, isGold ? GOLD : OKB, isGold ? amount / 2000 + 1 : amount * 1e9);
            tick();
        } else {
            (uint128 tokens, uint128 debt,) = views.pool();
            int256 before = cashOf(who);
            deposit(seed % 3 == 0 ? makeAddr("friend") : who.owner, who.account, amount);
            tick();
            uint256 credited = Textbook.claimFor(amount, tokens, debt);
            assertEq(cashOf(who) - before, int256(credited), "what tokens are worth as a claim");
        }
        ++done["deposits"];
    }

    /// @dev Tokens sent past the door belong to nobody, and harm nobody.
    function donates(uint256 seed) external action("donates") {
        FeedId feed = seed % 2 == 0 ? OKB : GOLD;
        address gift = seed % 3 == 0 ? address(token) : address(assetTokens[feed]);
        uint256 amount = draw(seed, "amount") % 1e12;
        MoodyToken(gift).mint(address(group), amount);
        donated[gift] += amount;
        ++done["donates"];
    }

    // ----------------------------------------------------------------- out

    function withdraws(uint256 seed) external action("withdraws") {
        Trader memory who = pick(seed, "who");
        (address what, FeedId feed) = tokenOf(seed);
        uint256 most = withdrawable(who.account, feed);
        if (most == 0) return;
        uint256 amount = 1 + draw(seed, "amount") % most;
        uint256 due = dueFor(amount, feed);
        if (due == 0) return;
        Batch memory batch = frame();
        batch.withdrawals = new SignedWithdraw[](1);
        batch.withdrawals[0] = withdrawal(withKey(who), what, uint128(amount));
        settlePayment(batch, who.owner, what, due, FeedId.unwrap(feed) == 0 && seed % 3 == 0);
        spentAccounts.push(who.account);
        spentNonces.push(batch.withdrawals[0].withdraw.nonce);
        ++done["withdraws"];
    }

    /// @dev Of cash, a part while losses are shared.
    function dueFor(uint256 amount, FeedId feed) private view returns (uint256) {
        (uint128 tokens, uint128 debt,) = views.pool();
        return FeedId.unwrap(feed) == 0 ? Textbook.paidOut(amount, tokens, debt) : amount;
    }

    /// @dev What the token refuses waits for its owner.
    function settlePayment(Batch memory batch, address to, address what, uint256 due, bool refused) private {
        if (refused) moody.setMood(MoodyToken.Mood.Reverts);
        (uint256 held, uint256 owed) = (IERC20(what).balanceOf(to), views.claimable(to, what));
        settleFrame(batch);
        moody.setMood(MoodyToken.Mood.Good);
        assertEq(IERC20(what).balanceOf(to) - held, refused ? 0 : due, "paid");
        assertEq(views.claimable(to, what) - owed, refused ? due : 0, "to be claimed");
    }

    function claims(uint256 seed) external action("claims") {
        for (uint256 i = 0; i < traders.length; ++i) {
            address owner = traders[addmod(seed, i, traders.length)].owner;
            uint256 owed = views.claimable(owner, address(token));
            if (owed == 0) continue;
            vm.prank(owner);
            assertEq(group.claim(address(token), owner), owed);
            ++done["claims"];
            return;
        }
    }

    function forces_withdrawals(uint256 seed) external action("forces withdrawals") {
        Trader memory who = pick(seed, "who");
        (address what, FeedId feed) = tokenOf(seed);
        uint128 amount = uint128(
            1
                + (draw(seed, "amount") % (FeedId.unwrap(feed) == 3 ? 400 ether : 200_000e6)
                        >> (draw(seed, "magnitude") % 48))
        );
        requestWithdrawal(who, what, amount);
        uint256 most = withdrawable(who.account, feed);
        if (amount < most) most = amount;
        uint256 due = dueFor(most, feed);
        bool wasHealthy = Textbook.health(factsOf(who.account, quotesAt(nowMs()))).initial >= 0;
        uint256 held = IERC20(what).balanceOf(who.owner);
        settleFrame(frame());
        uint256 paid = IERC20(what).balanceOf(who.owner) - held;
        // What an asset still counts for is rounded with two atoms to spare.
        if (FeedId.unwrap(feed) == 0) assertEq(paid, due, "as much as can be spared");
        else assertLe(paid, due, "no more than can be spared");
        if (wasHealthy) assertGe(healthOf(who.account).initial, 0, "and no more");
        ++done["forces withdrawals"];
    }

    /// @notice What can leave the account at the next frame.
    function withdrawable(AccountId id, FeedId feed) internal view returns (uint256 most) {
        Quote[] memory said = quotesAt(nowMs());
        Textbook.Facts memory facts = factsOf(id, said);
        Textbook.Health memory health = Textbook.health(facts);
        if (health.blocked || health.initial < 0) return 0;
        if (FeedId.unwrap(feed) == 0) {
            int256 spare = health.initial < health.usd ? health.initial : health.usd;
            (uint128 tokens,,) = views.pool();
            most = spare < 0 ? 0 : uint256(spare) < tokens ? uint256(spare) : tokens;
        } else {
            Textbook.Asset memory held = facts.assets[FeedId.unwrap(feed) - 3];
            most = uint256(largestAsset(facts, held));
        }
        if (Textbook.health(factsOf(INSURANCE, said)).usd >= 0) return most;
        uint256 principal = views.principal(id, feed);
        return most < principal ? most : principal;
    }

    /// @dev The most of an asset without which the account stays healthy, by bisection.
    function largestAsset(Textbook.Facts memory facts, Textbook.Asset memory held) private pure returns (int256 low) {
        int256 balance = held.balance;
        int256 high = balance;
        while (low < high) {
            int256 middle = (low + high + 1) / 2;
            held.balance = balance - middle;
            if (Textbook.health(facts).initial >= 0) low = middle;
            else high = middle - 1;
        }
    }

    // ----------------------------------------------------------------- between accounts

    /// @dev Between two accounts of one owner.
    function transfers(uint256 seed) external action("transfers") {
        bool back = seed % 2 == 0;
        move(traders[back ? 7 : 1], traders[back ? 1 : 7].account, seed, "transfers");
    }

    /// @dev Money goes to the account for one market, which opens with it; trades there; and comes back.
    function isolates(uint256 seed) external action("isolates") {
        Trader memory who = pick(seed, "who");
        FeedId feed = seed % 2 == 0 ? BITCOIN : ETHER;
        Trader memory apart = isolatedOf(who, marketOf[feed]);
        bool isNew = views.account(apart.account).owner == address(0);
        if (isNew && isolatedAccounts.length == 6) return;
        if (!isNew && seed % 3 == 0) return move(apart, who.account, seed, "isolates");
        move(who, apart.account, seed, "isolates");
        if (views.account(apart.account).owner == address(0)) return;
        if (isNew) isolatedAccounts.push(apart.account);
        pass(1);
        Deal memory deal = dealIn(marketOf[feed], feed, sizeOf(seed, 20_000), skew(ticksOf(feed), seed));
        meet(deal, apart, maker, draw(seed, "side") % 2 == 0);
        uint64 size = fit(deal);
        if (size == 0) return;
        settleDeal(deal, size, seed);
        did("isolated trades");
    }

    function move(Trader memory from, AccountId to, uint256 seed, bytes32 name) private {
        (address what, FeedId feed) = tokenOf(seed);
        Textbook.Facts memory facts = factsOf(from.account, quotesAt(nowMs()));
        Textbook.Health memory health = Textbook.health(facts);
        if (health.blocked || health.initial < 0) return;
        uint256 most;
        if (FeedId.unwrap(feed) == 0) {
            int256 spare = health.initial < health.usd ? health.initial : health.usd;
            most = spare < 0 ? 0 : uint256(spare);
        } else {
            most = uint256(largestAsset(facts, facts.assets[FeedId.unwrap(feed) - 3]));
        }
        if (most == 0 || (FeedId.unwrap(feed) != 0 && !mayReceive(to))) return;
        Batch memory batch = frame();
        batch.transfers = new SignedTransfer[](1);
        uint128 amount = uint128(1 + draw(seed, "amount") % most);
        batch.transfers[0] = transfer(from, address(0), to, what, amount);
        settleFrame(batch);
        assertGe(healthOf(from.account).initial, 0, "what moved was spare");
        ++done[name];
    }

    /// @dev An asset that arrives is one thing more to hold, so its account is judged as one that grew.
    function mayReceive(AccountId id) private view returns (bool) {
        Textbook.Health memory health = Textbook.health(factsOf(id, quotesAt(nowMs())));
        return health.initial >= 0 && !health.blocked;
    }

    // ----------------------------------------------------------------- what owners ask for

    function cancels_all(uint256 seed) external action("cancels all") {
        Deal memory deal = perpetualDeal(seed);
        (deal.buyer, deal.seller, deal.size) = (pick(seed, "who"), maker, 1);
        if (fit(deal) == 0) return;
        MarketFills memory late = fillsOf(deal, seed);
        uint64 floor = late.fills[0].order.nonce + 1;
        requestCancelAll(deal.buyer, floor);
        tick();
        late.fills[0].order.expiry = 0;
        late.fills[0] = lineOf(deal, deal.buyer, late.fills[0].order, 1);
        Batch memory batch = nextBatch();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = late;
        bytes4 refusal = IRiskGroup.NonceBelowFloor.selector;
        assertRefused(batch, abi.encodeWithSelector(refusal, deal.buyer.account, floor - 1, floor));
        (bool spent,) = views.nonceState(deal.buyer.account, floor - 1);
        assertTrue(spent);
        noteSpent(late.fills[0].order);
        ++done["cancels all"];
    }

    /// @dev A key for everything, for some venue, or for nothing any more.
    function grants(uint256 seed) external action("grants") {
        Trader memory who = pick(seed, "who");
        uint256 key = uint256(keccak256(abi.encode("key", who.account, seed % 2)));
        SignerGrant memory grant = grantTo(vm.addr(key));
        if (seed % 3 == 0) grant.venues[1] = VENUE;
        bool revokes = signerKeys[who.account] != 0;
        if (revokes) {
            grant = grantTo(vm.addr(signerKeys[who.account]));
            grant.expiry = 0;
        }
        setSigner(who, grant);
        tick();
        signerKeys[who.account] = revokes ? 0 : key;
        ++done["grants"];
    }

    /// @dev For a few steps.
    function changes_phases(uint256 seed) external action("changes phases") {
        uint8 which = uint8(1 + draw(seed, "which") % 4);
        if (which == 4 && isResolved[events[0]]) return;
        MarketId chosen = which == 4 ? market(events[0], 0) : marketOf[FeedId.wrap(which)];
        Phase phase = seed % 3 == 0 ? Phase.Halted : Phase.ReduceOnly;
        setPhase(chosen, phase);
        tick();
        (phaseNow[chosen], shutAt) = (phase, steps);
        ++done["changes phases"];
    }

    // ----------------------------------------------------------------- words

    function tokenOf(uint256 seed) internal view returns (address, FeedId) {
        uint256 mood = draw(seed, "token") % 4;
        if (mood < 2) return (address(token), FeedId.wrap(0));
        FeedId feed = mood == 2 ? OKB : GOLD;
        return (address(assetTokens[feed]), feed);
    }

    /// @notice The trader, signing with the account's key if it has one.
    function withKey(Trader memory who) internal view returns (Trader memory) {
        uint256 key = signerKeys[who.account];
        return key == 0 ? who : Trader(key, who.owner, who.account);
    }
}
