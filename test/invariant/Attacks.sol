// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    Batch,
    BuilderId,
    FORCED,
    FeedId,
    Fill,
    InboxItem,
    Lots,
    MarketFills,
    MarketId,
    Order,
    OrderKind,
    Redemption,
    Rescue,
    Side,
    Signature,
    SignedTransfer,
    SignedWithdraw,
    TickLots,
    Ticks
} from "../../contracts/group/Types.sol";
import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";
import {Rescuing} from "./Rescuing.sol";
import {Textbook} from "./Textbook.sol";

/// @notice What a sequencer, a keeper or a trader may not do. Each is an honest batch with one thing wrong, which the group
/// must refuse for exactly that.
abstract contract Attacks is Rescuing {
    uint256 internal constant DEAL_ATTACKS = 18;
    uint256 internal constant BATCH_ATTACKS = 8;
    uint256 internal constant MONEY_ATTACKS = 6;
    uint256 internal constant RESCUE_ATTACKS = 10;
    mapping(uint256 number => uint256) internal refusedDeals;
    mapping(uint256 number => uint256) internal refusedBatches;
    mapping(uint256 number => uint256) internal refusedMessages;
    mapping(uint256 number => uint256) internal refusedRescues;

    /// @dev The batch must be refused with this error, and change nothing.
    function refuse(Batch memory batch, bytes4 expected) internal {
        refuse(batch, signBatch(batch), expected);
    }

    function refuse(Batch memory batch, Signature memory signature, bytes4 expected) internal {
        (bool settled, bytes memory failure) =
            address(group).call(abi.encodeCall(IRiskGroup.settle, (batch, signature)));
        assertFalse(settled, "an attack went through");
        assertEq(bytes4(failure), expected, "refused for something else");
    }

    // ----------------------------------------------------------------- fills

    function attacks_with_a_fill(uint256 seed) external action("attacks with a fill") {
        Deal memory deal = perpetualDeal(seed);
        Trader memory buyer = pick(seed, "buyer");
        (deal.buyer, deal.seller) = (buyer, maker);
        deal.size = 2 + deal.size / 100;
        uint64 size = fit(deal);
        (uint64 toClose,) = views.forcedClose(buyer.account, deal.where);
        if (size < 2 || deal.buyerReduces || toClose != 0 || same(buyer.account, maker.account)) return;
        deal.size = size;
        for (uint256 number = 0; number < DEAL_ATTACKS; ++number) {
            deal.buyer = buyer;
            (Batch memory batch, bytes4 expected) = tamper(deal, number, seed);
            refuse(batch, expected);
            ++refusedDeals[number];
        }
        ++done["attacks with a fill"];
    }

    function tamper(Deal memory deal, uint256 number, uint256 seed)
        private
        returns (Batch memory batch, bytes4 expected)
    {
        deal.rate = 0;
        MarketFills memory made = fillsOf(deal, seed - seed % 2);
        Fill memory buy = made.fills[0];
        Order memory bought = buy.order;
        if (number == 0) {
            bought.size = Lots.wrap(deal.size - 1);
            expected = IRiskGroup.OrderOverfilled.selector;
        } else if (number == 1) {
            bought.price = Ticks.wrap(deal.price - 1);
            expected = deal.price == 1 ? IRiskGroup.PriceOutOfRange.selector : IRiskGroup.PriceWorseThanLimit.selector;
        } else if (number == 2) {
            buy.signature = sign(another(seed, deal.buyer).key ^ 1, hashOrder(bought));
            expected = IRiskGroup.OrderSignedByAnother.selector;
        } else if (number == 3) {
            (bool any, Trader memory who, uint64 nonce) = someSpent(seed);
            if (any) (deal.buyer, bought.account, bought.nonce) = (who, who.account, nonce);
            else bought.expiry = 1;
            expected = any ? refusalOf(who.account, nonce) : IRiskGroup.OrderExpired.selector;
        } else if (number == 4) {
            buy.fee = int128(Textbook.ceil(int256(uint256(deal.size) * deal.price * deal.quantum * TAKER_FEE), 1e6)) + 1;
            expected = IRiskGroup.FeeAboveLimit.selector;
        } else if (number == 5) {
            (bought.maxFee, buy.fee) = (0, 1);
            expected = IRiskGroup.FeeAboveLimit.selector;
        } else if (number == 6) {
            buy.filled = Lots.wrap(deal.size - 1);
            bought.price = Ticks.wrap(type(uint32).max);
            expected = IRiskGroup.SizesDoNotSumToZero.selector;
            bought.kind = OrderKind.GoodTillCancelled;
        } else if (number == 7) {
            bought.price = Ticks.wrap(type(uint32).max);
            raise(buy, 1);
            expected = IRiskGroup.NotionalsDoNotSumToZero.selector;
        } else {
            return tamperMore(deal, number, made);
        }
        if (number != 2) buy.signature = lineOf(deal, deal.buyer, bought, deal.size).signature;
        return (dealBatch(made), expected);
    }

    function tamperMore(Deal memory deal, uint256 number, MarketFills memory made)
        private
        returns (Batch memory batch, bytes4 expected)
    {
        Fill memory buy = made.fills[0];
        Order memory bought = buy.order;
        if (number == 8) {
            bought.expiry = nowMs() - 1;
            expected = IRiskGroup.OrderExpired.selector;
        } else if (number == 9) {
            bought.reduceOnly = true;
            (Textbook.Facts memory facts,) = heldBy(deal.buyer, deal.feed);
            int256 before = positionIn(facts, deal);
            bool grows = isLarger(before, before + int256(uint256(deal.size))) || before == 0;
            expected = grows ? IRiskGroup.OnlyReducing.selector : IRiskGroup.OrderOverfilled.selector;
            if (!grows) bought.size = Lots.wrap(deal.size - 1);
        } else if (number == 10) {
            (bought.builder, bought.builderFee, bought.maxFee) = (BuilderId.wrap(99), 1, 2000);
            expected = IRiskGroup.NoSuchBuilder.selector;
        } else if (number == 11) {
            bought.account = AccountId.wrap(gateway.accounts() + 1);
            expected = IRiskGroup.NoSuchAccount.selector;
        } else if (number == 12) {
            bought.market = marketOf[OKB];
            expected = IRiskGroup.OrderForAnotherMarket.selector;
        } else if (number == 13) {
            int256 value = int256(uint256(deal.size) * deal.price * deal.quantum);
            buy.fee = -int128(Textbook.floor(value * int256(uint256(MAKER_REBATE)), 1e6)) - 1;
            expected = IRiskGroup.RebateAboveLimit.selector;
        } else if (number == 14) {
            (buy.fee, made.fills[1].fee) = (0, -1);
            bool covered = uint256(deal.size) * deal.price * deal.quantum * MAKER_REBATE >= 1e6;
            expected = covered ? IRiskGroup.RebatesAboveFees.selector : IRiskGroup.RebateAboveLimit.selector;
        } else if (number == 15) {
            buy.tree = FORCED;
            expected = IRiskGroup.NotForced.selector;
        } else if (number == 16) {
            (buy.filled, buy.notional, bought.kind) = (Lots.wrap(0), TickLots.wrap(0), OrderKind.GoodTillCancelled);
            expected = IRiskGroup.EmptyFill.selector;
        } else {
            // More than all that the buyer has could carry.
            bought.size = buy.filled = made.fills[1].order.size = made.fills[1].filled = Lots.wrap(1e12);
            buy.notional = made.fills[1].notional = TickLots.wrap(uint128(1e12) * deal.price);
            made.fills[1].signature = lineOf(deal, deal.seller, made.fills[1].order, 1).signature;
            bool capped = same(deal.feed, ETHER);
            expected = capped ? IRiskGroup.PositionAboveCap.selector : IRiskGroup.MarginShortfall.selector;
        }
        buy.signature = lineOf(deal, deal.buyer, bought, 1).signature;
        return (dealBatch(made), expected);
    }

    function dealBatch(MarketFills memory made) private returns (Batch memory batch) {
        batch = frame();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = made;
    }

    /// @dev A nonce that a trader who is still there has spent.
    function someSpent(uint256 seed) private view returns (bool, Trader memory who, uint64) {
        if (spentNonces.length == 0) return (false, who, 0);
        uint256 place = draw(seed, "spent") % spentNonces.length;
        for (uint256 i = 0; i < traders.length; ++i) {
            if (same(traders[i].account, spentAccounts[place])) return (true, traders[i], spentNonces[place]);
        }
        return (false, who, 0);
    }

    function refusalOf(AccountId id, uint64 nonce) private view returns (bytes4) {
        bool below = nonce < views.account(id).nonceFloor;
        return below ? IRiskGroup.NonceBelowFloor.selector : IRiskGroup.OrderSpent.selector;
    }

    // ----------------------------------------------------------------- batches

    function attacks_with_a_batch(uint256 seed) external action("attacks with a batch") {
        for (uint256 left = BATCH_ATTACKS; left > 0; --left) {
            uint256 number = left - 1;
            if (number == 0) depositTwice(seed);
            Batch memory batch = frame();
            bytes4 expected = spoil(batch, number);
            if (expected == 0) continue;
            refuse(batch, number == 4 ? sign(keeper.key, hashBatch(batch)) : signBatch(batch), expected);
            ++refusedBatches[number];
        }
        tick();
        ++done["attacks with a batch"];
    }

    function spoil(Batch memory batch, uint256 number) private view returns (bytes4) {
        if (number == 0) {
            InboxItem[] memory items = batch.inbox;
            batch.inbox = new InboxItem[](1);
            batch.inbox[0] = items[1];
            return IRiskGroup.InboxMismatch.selector;
        }
        if (number == 1) {
            batch.time += 1;
            return batch.prices.length == 0 ? bytes4(0) : IPriceSource.PriceNotProven.selector;
        }
        if (number == 2) {
            FeedId loud = silent[BITCOIN] ? ETHER : BITCOIN;
            uint256 cap = 2 * quotesAt(batch.time)[FeedId.unwrap(loud)].price;
            addFunding(batch, loud, views.feed(loud).fundingIndex + int128(uint128(cap)));
            return IRiskGroup.FundingAboveCap.selector;
        }
        if (number == 3) {
            batch.parent ^= bytes32(uint256(1));
            return IRiskGroup.WrongParent.selector;
        }
        if (number == 4) return IRiskGroup.WrongSequencer.selector;
        if (number == 5) {
            batch.id -= 1;
            return IRiskGroup.WrongBatchId.selector;
        }
        if (number == 6) {
            (,, uint64 last,) = views.lastBatch();
            batch.time = last - 1;
            return IRiskGroup.FrameTimeWentBack.selector;
        }
        batch.sequence = 0;
        return IRiskGroup.SequenceWentBack.selector;
    }

    function depositTwice(uint256 seed) private {
        deposit(makeAddr("friend"), pick(seed, "first").account, 1e6);
        deposit(makeAddr("friend"), pick(seed, "second").account, 2e6);
    }

    // ----------------------------------------------------------------- money

    function attacks_with_a_message(uint256 seed) external action("attacks with a message") {
        Trader memory who = pick(seed, "who");
        for (uint256 number = 0; number < MONEY_ATTACKS; ++number) {
            Batch memory batch = frame();
            bytes4 expected = number < 4 ? overdraw(batch, who, number) : misdirect(batch, who, number == 4);
            if (expected == 0) continue;
            refuse(batch, expected);
            ++refusedMessages[number];
        }
        ++done["attacks with a message"];
    }

    function overdraw(Batch memory batch, Trader memory who, uint256 number) private returns (bytes4) {
        uint128 amount = number == 0 ? 1 + uint128(withdrawable(who.account, FeedId.wrap(0))) : 1;
        SignedWithdraw memory message = withdrawal(who, amount);
        batch.withdrawals = new SignedWithdraw[](1);
        batch.withdrawals[0] = message;
        if (number == 0) return beyondSpare(who, amount);
        if (number == 2) message.withdraw.expiry = nowMs() - 1;
        if (number == 3) message.withdraw.amount = 0;
        message.signature = sign(number == 1 ? keeper.key : who.key, hashWithdraw(message.withdraw));
        if (number == 1) return IRiskGroup.MessageSignedByAnother.selector;
        return number == 2 ? IRiskGroup.MessageExpired.selector : IRiskGroup.ZeroAmount.selector;
    }

    /// @dev To somebody else's account, or to an isolated one of a parent that is somebody else's.
    function misdirect(Batch memory batch, Trader memory who, bool plain) private returns (bytes4) {
        batch.transfers = new SignedTransfer[](1);
        AccountId to = plain ? keeper.account : isolatedOf(keeper, marketOf[BITCOIN]).account;
        batch.transfers[0] = transfer(who, to, 1);
        return IRiskGroup.NotSameOwner.selector;
    }

    /// @dev Why an atom more than can be spared may not leave; 0 if it is not for the account's sake.
    function beyondSpare(Trader memory who, uint128 amount) private view returns (bytes4) {
        Quote[] memory said = quotesAt(nowMs());
        if (Textbook.health(factsOf(INSURANCE, said)).usd < 0) return 0;
        (uint128 tokens, uint128 debt,) = views.pool();
        Textbook.Health memory health = Textbook.health(factsOf(who.account, said));
        if (amount > tokens || Textbook.paidOut(amount, tokens, debt) == 0) return IRiskGroup.PoolExhausted.selector;
        if (health.blocked && health.initial >= int256(uint256(amount))) return IRiskGroup.HoldsStalePrice.selector;
        if (health.initial < int256(uint256(amount))) return IRiskGroup.MarginShortfall.selector;
        return health.usd < int256(uint256(amount)) ? IRiskGroup.CashShortfall.selector : bytes4(0);
    }

    // ----------------------------------------------------------------- rescues of who needs none

    function attacks_with_a_rescue(uint256 seed) external action("attacks with a rescue") {
        FeedId feed = perpetual(seed);
        Trader memory who = traders[draw(seed, "who") % traders.length];
        (, int256 held) = heldBy(who, feed);
        Quote[] memory said = quotesAt(nowMs());
        Textbook.Health memory health = Textbook.health(factsOf(who.account, said));
        (uint64 left,) = views.forcedClose(who.account, marketOf[feed]);
        bool stale = said[FeedId.unwrap(feed)].stale || said[FeedId.unwrap(OKB)].stale;
        if (health.maintenance < 0 || health.usd < 0 || held == 0 || stale || left != 0) return;
        for (uint256 number = 0; number < RESCUE_ATTACKS; ++number) {
            Batch memory batch = frame();
            batch.rescues = new Rescue[](1);
            refuse(batch, meddle(batch, number, who, feed));
            ++refusedRescues[number];
        }
        ++done["attacks with a rescue"];
    }

    /// @dev The account is healthy and owes nothing.
    function meddle(Batch memory batch, uint256 number, Trader memory who, FeedId feed) private returns (bytes4) {
        MarketId where = marketOf[feed];
        if (number == 0) {
            batch.rescues[0] = liquidation(keeper, liquidateMessage(keeper, who, where, 1));
        } else if (number == 1) {
            batch.rescues[0] = liquidation(who, liquidateMessage(who, who, where, 1));
            return IRiskGroup.SameOwner.selector;
        } else if (number == 2) {
            batch.rescues[0] = flag(who);
        } else if (number == 3) {
            batch.rescues[0] = takeover(who, where);
        } else if (number == 4) {
            (, int256 held) = heldBy(who, feed);
            batch.rescues[0] = deleveraging(who, where, queueAgainst(held, feed));
        } else if (number == 5) {
            batch.rescues[0] = bankruptcy(who);
            return IRiskGroup.AccountOwesNothing.selector;
        } else if (number == 6) {
            batch.rescues[0] = conversion(keeper, convertMessage(keeper, who, OKB, 1));
            return IRiskGroup.AccountOwesNothing.selector;
        } else if (number == 7) {
            Trader memory false_ = Trader(who.key, keeper.owner, keeper.account);
            batch.rescues[0] = liquidation(false_, liquidateMessage(keeper, who, where, 1));
            return IRiskGroup.MessageSignedByAnother.selector;
        } else if (number == 8) {
            batch.rescues = new Rescue[](0);
            batch.redemptions = new Redemption[](1);
            batch.redemptions[0] = Redemption(who.account, where);
            return IRiskGroup.MarketNotDelisted.selector;
        } else {
            batch.rescues[0] = liquidation(keeper, liquidateMessage(keeper, who, marketOf[OKB], 1));
            return IRiskGroup.NotPerpetual.selector;
        }
        return IRiskGroup.NotFailing.selector;
    }
}
