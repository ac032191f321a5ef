// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Board} from "./Board.sol";
import {ForcedCloses} from "./ForcedCloses.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Nonces} from "./Nonces.sol";
import {PPM, Rounding} from "./Rounding.sol";
import {Signers} from "./Signers.sol";
import {Account, GroupState, MarketTerms} from "./State.sol";
import {Touched} from "./Touched.sol";
import {TypedData} from "./TypedData.sol";
import {
    AccountId,
    BuilderId,
    FORCED,
    Fill,
    Lots,
    MarketFills,
    MarketId,
    MarketKind,
    Order,
    OrderTree,
    Phase,
    Side,
    TickLots,
    Ticks,
    VenueConfig
} from "./Types.sol";

/// @notice Step 6 of a batch: every market's fills, each within what its trader signed, together taking from nobody.
library Fills {
    // Casts between int256 and uint256 are safe in this file because lots are within 64 bits, notionals and fees within 128,
    // and the sign is known where it is dropped.
    // forge-lint: disable-start(unsafe-typecast)

    using Board for Board.Prices;
    using Nonces for Nonces.Ledger;

    /// @notice What the fills of a batch have in common.
    /// @param treeSigners Who signed each of the batch's trees.
    /// @param proofsUsed How many of each tree's proof words earlier fills have used.
    /// @param line The fill at hand, read into the same memory one after the other; `orderHash` is its order's.
    struct Context {
        bytes32 domain;
        uint64 time;
        Board.Prices board;
        address[] treeSigners;
        uint256[] proofsUsed;
        Fill line;
        bytes32 orderHash;
    }

    /// @notice Whose order a line fills; one slot of the account.
    struct Party {
        address owner;
        BuilderId referrer;
        uint64 nonceFloor;
    }

    /// @notice What the fills of one market add up to.
    /// @param place Where the price board has the market's price; outcomes have none.
    /// @param lots What the first line filled, and
    /// @param notional at what; in a call auction every line must have the same price.
    /// @param reduceOnly No new risk is allowed here: by the market's phase or the state of its price.
    struct Sums {
        int256 sizes;
        int256 notionals;
        int256 fees;
        int256 openInterest;
        uint256 place;
        uint256 lots;
        uint256 notional;
        bool reduceOnly;
    }

    function open(GroupState storage s, OrderTree[] calldata trees, uint64 time, bytes32 domain)
        internal
        view
        returns (Context memory context)
    {
        context.domain = domain;
        context.time = time;
        context.board = Board.open(s, time);
        context.line = TypedData.newLine();
        context.treeSigners = new address[](trees.length);
        context.proofsUsed = new uint256[](trees.length);
        for (uint256 i = 0; i < trees.length; ++i) {
            context.treeSigners[i] =
                TypedData.signer(domain, TypedData.hashOrderTree(trees[i].root), trees[i].signature);
        }
    }

    function settleMarket(
        GroupState storage s,
        Context memory context,
        MarketFills calldata market,
        OrderTree[] calldata trees
    ) internal {
        MarketId id = market.market;
        MarketTerms memory terms = s.markets[id.listing()].terms;
        Sums memory sums;
        if (terms.kind != MarketKind.Outcome) sums.place = context.board.find(s, terms.feed);
        sums.reduceOnly = _requireOpen(context, sums.place, id, terms);

        for (uint256 i = 0; i < market.fills.length; ++i) {
            context.orderHash = TypedData.load(context.line, market.fills[i]);
            if (terms.phase == Phase.Auction) _requireOnePrice(sums, context.line);
            _settleFill(s, context, id, terms, context.line, trees, sums);
        }
        if (sums.sizes != 0) revert IRiskGroup.SizesDoNotSumToZero(id, sums.sizes);
        if (sums.notionals != 0) revert IRiskGroup.NotionalsDoNotSumToZero(id, sums.notionals);
        if (sums.openInterest != 0) _moveOpenInterest(s, id, terms, sums.openInterest);
        if (sums.fees != 0) _shareFees(s, id, terms, sums.fees);
    }

    // ----------------------------------------------------------------- one line

    function _settleFill(
        GroupState storage s,
        Context memory context,
        MarketId id,
        MarketTerms memory terms,
        Fill memory fill,
        OrderTree[] calldata trees,
        Sums memory sums
    ) private {
        AccountId account = fill.order.account;
        Party memory party = _party(s.accounts[account]);
        if (MarketId.unwrap(fill.order.market) != MarketId.unwrap(id)) {
            revert IRiskGroup.OrderForAnotherMarket(id, fill.order.market);
        }
        if (party.owner == address(0)) revert IRiskGroup.NoSuchAccount(account);
        bool mustReduce = sums.reduceOnly || fill.order.reduceOnly;
        if (fill.tree == FORCED) {
            // A close that the owner forced needs no signature: the inbox item allows it.
            ForcedCloses.settle(s, id, context.board.price(sums.place), fill);
            mustReduce = true;
        } else {
            _requireSigned(s, context, terms, fill, trees, party);
        }
        if (terms.restricted && s.memberships[Ledger.parentOf(account)][terms.venue] < context.time) mustReduce = true;
        if (terms.isolatedOnly && !_isIsolatedHere(account, id)) {
            // Whoever holds it from before may still leave.
            mustReduce = true;
        }
        uint256 builderFee = _requireWithinOrder(s, fill, terms, context.time);

        (int256 lots, int256 notional) =
            (int256(uint256(Lots.unwrap(fill.filled))), int256(uint256(TickLots.unwrap(fill.notional))));
        if (fill.order.side == Side.Sell) (lots, notional) = (-lots, -notional);
        int256 cash;
        int256 referred = fill.fee > 0 ? _payReferrer(s, terms, party.referrer, fill.fee) : int256(0);
        // Sums of 128-bit numbers overflow no sooner than after 2^127 fills; uint128 times uint64 is below 2^192.
        unchecked {
            sums.sizes += lots;
            sums.notionals += notional;
            sums.fees += int256(fill.fee) - referred;
            cash = -notional * int256(uint256(terms.quantum)) - fill.fee - int256(builderFee);
        }
        _trade(s, context, id, terms, fill, lots, cash, mustReduce, sums);
    }

    /// @dev The one position path, by kind; and what a line may not do to a position.
    function _trade(
        GroupState storage s,
        Context memory context,
        MarketId id,
        MarketTerms memory terms,
        Fill memory fill,
        int256 lots,
        int256 cash,
        bool mustReduce,
        Sums memory sums
    ) private {
        AccountId account = fill.order.account;
        int256 before;
        int256 position;
        if (terms.kind == MarketKind.Outcome) {
            (before, position) = Ledger.tradeOutcome(s, account, id, terms, lots, cash);
        } else if (terms.kind == MarketKind.Perpetual) {
            int256 index = context.board.fundingIndex(sums.place);
            (before, position) =
                Ledger.tradePerpetual(s, account, terms.feed, index, lots, TickLots.unwrap(fill.notional), cash, 0);
            Ledger.endForced(s, account, id, before, position);
        } else {
            int256 atoms = lots * int256(context.board.lot(sums.place));
            // A buyer spends; a seller's order only ever reduces what it holds.
            uint256 flags = lots > 0 ? Touched.GREW | Touched.SPENT : 0;
            position = Ledger.tradeAsset(s, account, terms.feed, atoms, cash, flags);
            before = position - atoms;
        }
        bool grows = Ledger.grows(before, position);
        if (mustReduce && (grows || before == 0)) {
            revert IRiskGroup.OnlyReducing(account, fill.order.nonce, before, position);
        }
        // Who has no cap on outcomes, which need none, pays for no count of them either.
        if (terms.kind == MarketKind.Spot || terms.kind == MarketKind.Outcome && !terms.capped) return;
        if (grows && terms.capped) _requireBelowCap(s, account, id, position);
        // Sums of 64-bit numbers, as above.
        unchecked {
            sums.openInterest += (position > 0 ? position : int256(0)) - (before > 0 ? before : int256(0));
        }
    }

    function _party(Account storage account) private view returns (Party memory) {
        return Party({owner: account.owner, referrer: BuilderId.wrap(account.referrer), nonceFloor: account.nonceFloor});
    }

    // ----------------------------------------------------------------- who signed

    /// @dev The owner signed the order, or a key that may; alone, or as a leaf of a tree; and its nonce has room for it.
    function _requireSigned(
        GroupState storage s,
        Context memory context,
        MarketTerms memory terms,
        Fill memory fill,
        OrderTree[] calldata trees,
        Party memory party
    ) private {
        Order memory order = fill.order;
        address signer = fill.tree == 0
            ? TypedData.signer(context.domain, context.orderHash, fill.signature)
            : _treeSigner(context, trees, fill.tree, order);
        if (signer != party.owner) {
            // uint64 each, so the product is below 2^192.
            uint256 notional = uint256(Lots.unwrap(order.size)) * Ticks.unwrap(order.price) * terms.quantum;
            if (!Signers.mayTrade(s, order.account, signer, terms.venue, notional, context.time)) {
                revert IRiskGroup.OrderSignedByAnother(order.account, order.nonce, party.owner, signer);
            }
        }
        Signers.requireAboveFloor(order.account, order.nonce, party.nonceFloor);
        s.nonces.fill(order, context.orderHash, Lots.unwrap(fill.filled));
    }

    function _treeSigner(Context memory context, OrderTree[] calldata trees, uint256 number, Order memory order)
        private
        pure
        returns (address)
    {
        if (number > trees.length) {
            revert IRiskGroup.NoSuchTree(order.account, order.nonce, number);
        }
        OrderTree calldata tree = trees[number - 1];
        uint256 first = context.proofsUsed[number - 1];
        uint256 end = first + tree.depth;
        if (end > tree.proofs.length) revert IRiskGroup.NotInTree(order.account, order.nonce, tree.root);
        context.proofsUsed[number - 1] = end;
        if (!MerkleProof.verifyCalldata(tree.proofs[first:end], tree.root, context.orderHash)) {
            revert IRiskGroup.NotInTree(order.account, order.nonce, tree.root);
        }
        return context.treeSigners[number - 1];
    }

    // ----------------------------------------------------------------- within the order

    /// @notice Checks a fill against its order's limits and its market's terms, as of the frame's time.
    /// @return builderFee Atoms for the builder, paid to its account: rounded down, in favour of the trader.
    function _requireWithinOrder(GroupState storage s, Fill memory fill, MarketTerms memory terms, uint64 time)
        private
        returns (uint256 builderFee)
    {
        Order memory order = fill.order;
        (AccountId account, uint64 nonce, uint256 price) = (order.account, order.nonce, Ticks.unwrap(order.price));
        if (order.expiry != 0 && time > order.expiry) {
            revert IRiskGroup.OrderExpired(account, nonce, order.expiry, time);
        }
        uint256 filled = Lots.unwrap(fill.filled);
        uint256 notional = TickLots.unwrap(fill.notional);
        if (filled == 0) revert IRiskGroup.EmptyFill(account, nonce);
        uint256 highest;
        uint256 value;
        uint256 limit;
        uint256 most;
        // Factors are uint64 (there are at least two ticks), but for notional, which is uint128: no product reaches 2^192.
        unchecked {
            highest = terms.kind == MarketKind.Outcome ? terms.ticks - 1 : type(uint64).max;
            value = notional * terms.quantum;
            limit = filled * price;
            most = filled * highest;
        }
        // Every trade happened at 1 to the highest price, whatever the orders would have put up with.
        if (notional < filled || notional > most) {
            revert IRiskGroup.NotionalOutOfRange(account, nonce, filled, most, notional);
        }
        if (fill.tree != FORCED) {
            if (price == 0 || price > highest) revert IRiskGroup.PriceOutOfRange(account, nonce, order.price, highest);
            if (order.side == Side.Buy ? notional > limit : notional < limit) {
                revert IRiskGroup.PriceWorseThanLimit(account, nonce, limit, notional);
            }
            if (BuilderId.unwrap(order.builder) != 0) {
                builderFee = value * order.builderFee / PPM;
                AccountId payee = s.builders[order.builder];
                if (AccountId.unwrap(payee) == 0) revert IRiskGroup.NoSuchBuilder(account, nonce, order.builder);
                Ledger.credit(s, payee, builderFee);
            }
        }
        if (fill.fee != 0) _requireFee(fill, terms, value, filled, notional);
        if (builderFee != 0 || fill.fee > 0) {
            most = fill.tree == FORCED ? type(uint256).max : Rounding.up(value * order.maxFee, PPM);
            uint256 charged = builderFee + (fill.fee > 0 ? uint256(int256(fill.fee)) : 0);
            if (charged > most) revert IRiskGroup.FeeAboveLimit(account, nonce, most, int256(charged));
        }
    }

    /// @dev The fee is within the venue's schedule. It may round up, in favour of the pool, and a rebate down. The engine
    /// charges the ceiling over an order's life, frame by frame what is new of it, and a ceiling of a sum is no more than
    /// the sum of the ceilings.
    ///
    /// On the curve the fee of a trade is `rate · size · p · (1 − p)`. A line nets trades at several prices, and as
    /// `p · (1 − p)` is concave, its sum over them is at most that of the whole size at the average price (Jensen).
    function _requireFee(Fill memory fill, MarketTerms memory terms, uint256 value, uint256 filled, uint256 notional)
        private
        pure
    {
        uint256 base = value;
        if (terms.curve) {
            uint256 certain = filled * terms.ticks;
            base = Math.mulDiv(value, certain - notional, certain, Math.Rounding.Ceil);
        }
        if (fill.fee > 0) {
            uint256 rate = terms.takerFee;
            if (terms.makerFee > int256(rate)) rate = uint256(int256(terms.makerFee));
            uint256 most = Rounding.up(base * rate, PPM);
            if (uint256(int256(fill.fee)) > most) {
                revert IRiskGroup.FeeAboveLimit(fill.order.account, fill.order.nonce, most, fill.fee);
            }
        } else {
            uint256 most = terms.makerFee < 0 ? base * uint256(-int256(terms.makerFee)) / PPM : 0;
            if (uint256(-int256(fill.fee)) > most) {
                revert IRiskGroup.RebateAboveLimit(fill.order.account, fill.order.nonce, most, fill.fee);
            }
        }
    }

    // ----------------------------------------------------------------- the market

    /// @return reduceOnly Whether the market takes no new risk now.
    function _requireOpen(Context memory context, uint256 place, MarketId id, MarketTerms memory terms)
        private
        pure
        returns (bool reduceOnly)
    {
        Phase phase = terms.phase;
        bool fills = phase == Phase.Open || phase == Phase.ReduceOnly || phase == Phase.Auction;
        if (!fills || id.outcomeOf() >= terms.outcomes) revert IRiskGroup.MarketNotOpen(id);
        if (phase == Phase.ReduceOnly) return true;
        if (terms.kind == MarketKind.Outcome) return false;
        return context.board.isStale(place);
    }

    /// @dev A call auction has one price: who sells gets what every buyer pays.
    function _requireOnePrice(Sums memory sums, Fill memory fill) private pure {
        (uint256 lots, uint256 notional) = (Lots.unwrap(fill.filled), TickLots.unwrap(fill.notional));
        if (sums.lots == 0) (sums.lots, sums.notional) = (lots, notional);
        // uint128 times uint64: no product reaches 2^192.
        unchecked {
            if (notional * sums.lots != sums.notional * lots) {
                revert IRiskGroup.NotOnePrice(fill.order.account, fill.order.nonce, sums.lots, sums.notional);
            }
        }
    }

    function _requireBelowCap(GroupState storage s, AccountId account, MarketId id, int256 position) private view {
        uint256 cap = Lots.unwrap(s.markets[id.listing()].positionCap);
        if (cap != 0 && Rounding.abs(position) > cap) {
            revert IRiskGroup.PositionAboveCap(account, id, cap, position);
        }
    }

    function _moveOpenInterest(GroupState storage s, MarketId id, MarketTerms memory terms, int256 change) private {
        uint256 total = Ledger.addOpenInterest(s, id, change);
        if (change < 0 || !terms.capped) return;
        uint256 cap = Lots.unwrap(s.markets[id.listing()].openInterestCap);
        if (cap != 0 && total > cap) revert IRiskGroup.OpenInterestAboveCap(id, cap, total);
    }

    // ----------------------------------------------------------------- fees

    /// @dev The referrer's share of one line's fee, rounded down.
    function _payReferrer(GroupState storage s, MarketTerms memory terms, BuilderId referrer, int128 fee)
        private
        returns (int256)
    {
        if (BuilderId.unwrap(referrer) == 0) return 0;
        uint256 share = uint256(int256(fee)) * s.venues[terms.venue].referrerShare / PPM;
        AccountId payee = s.builders[referrer];
        if (share == 0 || AccountId.unwrap(payee) == 0) return 0;
        Ledger.credit(s, payee, share);
        return int256(share);
    }

    /// @dev Shares round down; the rest is the venue's.
    function _shareFees(GroupState storage s, MarketId id, MarketTerms memory terms, int256 fees) private {
        if (fees < 0) revert IRiskGroup.RebatesAboveFees(id, fees);
        uint256 total = uint256(fees);
        VenueConfig memory venue = s.venues[terms.venue];
        uint256 protocol = total * venue.protocolShare / PPM;
        uint256 insurance = total * venue.insuranceShare / PPM;
        if (protocol != 0) Ledger.credit(s, Ledger.PROTOCOL, protocol);
        if (insurance != 0) Ledger.insure(s, insurance);
        Ledger.credit(s, venue.treasury, total - protocol - insurance);
    }

    function _isIsolatedHere(AccountId account, MarketId id) private pure returns (bool) {
        return Ledger.isIsolated(account)
            && MarketId.unwrap(Ledger.isolatedMarket(account).listing()) == MarketId.unwrap(id.listing());
    }
    // forge-lint: disable-end(unsafe-typecast)
}
