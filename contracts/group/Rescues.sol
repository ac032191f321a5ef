// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Board} from "./Board.sol";
import {Holdings} from "./Holdings.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Margin} from "./Margin.sol";
import {Nonces} from "./Nonces.sol";
import {PPM, PRICE_SCALE, Rounding} from "./Rounding.sol";
import {Signers} from "./Signers.sol";
import {Account, Feed, GroupState, MarketTerms} from "./State.sol";
import {Touched} from "./Touched.sol";
import {TypedData} from "./TypedData.sol";
import {
    AccountId,
    Convert,
    Counterparty,
    FeedId,
    Liquidate,
    Lots,
    MarketId,
    MarketKind,
    Rescue,
    RescueKind,
    Signature
} from "./Types.sol";

/// @notice Step 5, second part: accounts that fail (DESIGN.md, section 8), each step checked at the batch's prices.
/// @dev Keepers come first and have `grace` milliseconds; then the insurance fund takes what it can carry; then the
/// opposite side is deleveraged; what is left is a debt, which the fund pays as far as it can and all share.
library Rescues {
    // Casts between int256 and uint256 are safe in this file because lots are within int64, prices below 2^120, cash within
    // int128, and the sign is known where it is dropped.
    // forge-lint: disable-start(unsafe-typecast)

    using Board for Board.Prices;
    using Margin for Margin.Health;
    using Nonces for Nonces.Ledger;
    using SafeCast for int256;
    using SafeCast for uint256;

    /// @dev A flag that old must be renewed: the account may have been healthy in between.
    uint256 private constant FLAG_LIFE = 60_000;
    /// @dev Atoms of cash: less than anybody would sign a conversion for.
    uint256 private constant DUST = 1e6;

    /// @notice Where a position that nobody takes by choice changes hands: the atoms that its account receives for it.
    struct Exit {
        MarketId market;
        FeedId feed;
        uint256 place;
        int256 size;
        int256 received;
        int256 loss;
    }

    // ----------------------------------------------------------------- the steps

    function run(GroupState storage s, Rescue[] calldata rescues, uint64 time, bytes32 domain) external {
        Board.Prices memory board = Board.open(s, time);
        for (uint256 i = 0; i < rescues.length; ++i) {
            (RescueKind kind, bytes calldata payload) = (rescues[i].kind, rescues[i].payload);
            if (kind == RescueKind.Flag) {
                _flag(s, board, abi.decode(payload, (AccountId)));
            } else if (kind == RescueKind.Liquidation) {
                (Liquidate memory request, Signature memory signature) = abi.decode(payload, (Liquidate, Signature));
                _authorise(s, request, signature, time, domain);
                _liquidate(s, board, request);
            } else if (kind == RescueKind.Conversion) {
                (Convert memory request, Signature memory signature) = abi.decode(payload, (Convert, Signature));
                _authorise(s, request, signature, time, domain);
                _convert(s, board, request);
            } else if (kind == RescueKind.Takeover) {
                (AccountId id, MarketId market) = abi.decode(payload, (AccountId, MarketId));
                _takeOver(s, board, id, market);
            } else if (kind == RescueKind.Deleveraging) {
                (AccountId id, MarketId market, Counterparty[] memory others) =
                    abi.decode(payload, (AccountId, MarketId, Counterparty[]));
                _deleverage(s, board, id, market, others);
            } else {
                _declareBankrupt(s, board, abi.decode(payload, (AccountId)));
            }
        }
    }

    /// @notice A liquidation that a keeper forced through the inbox. It happens if it can; it never stops the batch.
    function tryForced(GroupState storage s, bytes calldata payload, uint64 time) external {
        Liquidate memory request = abi.decode(payload, (Liquidate));
        Board.Prices memory board = Board.open(s, time);
        if (_refusal(s, board, request).length != 0) return;
        _liquidate(s, board, request);
    }

    function _flag(GroupState storage s, Board.Prices memory board, AccountId id) private {
        _requireFailing(Margin.health(s, board, id), id);
        uint64 since = s.flagged[id];
        if (since != 0 && since + FLAG_LIFE >= board.time) revert IRiskGroup.AlreadyFlagged(id, since);
        s.flagged[id] = board.time;
        emit IRiskGroup.Flagged(id, board.time);
    }

    /// @dev The keeper pays index price less its part of the penalty, the account receives index price less all of it, and
    /// the insurance fund has the difference. An account pays no penalty that it has not got: the fund would pay it in the
    /// end, and whoever owns both sides would be paid for failing.
    function _liquidate(GroupState storage s, Board.Prices memory board, Liquidate memory request) private {
        bytes memory refusal = _refusal(s, board, request);
        if (refusal.length != 0) _revertWith(refusal);

        (int256 size, int256 value, uint256 charge, uint256 missing) = _portion(s, board, request);
        emit IRiskGroup.Liquidated(request.account, request.keeper, request.market, size, value, charge);
        uint256 keeperPart = charge * s.terms.keeperShare / PPM;
        FeedId feed = s.markets[request.market].terms.feed;
        if (missing != 0) s.feed[feed].loss += missing.toUint96();
        _close(s, board, request.account, request.market, feed, -size, value - int256(charge));
        _take(s, board, request.keeper, request.market, feed, size, -value + int256(keeperPart));
        Ledger.insure(s, charge - keeperPart);
    }

    /// @return size Signed lots that the keeper takes: what restores initial health, or as much as it asked for.
    /// @return value What they are worth at index price.
    /// @return charge The penalty that the account pays on it.
    /// @return missing What the account will be left owing.
    function _portion(GroupState storage s, Board.Prices memory board, Liquidate memory request)
        private
        view
        returns (int256 size, int256 value, uint256 charge, uint256 missing)
    {
        FeedId feed = s.markets[request.market].terms.feed;
        uint256 place = board.find(s, feed);
        int256 held = Holdings.size(Holdings.read(s, request.account, feed));
        Margin.Health memory health = Margin.health(s, board, request.account);
        uint256 penalty = s.feed[feed].penalty;
        uint256 most = Math.min(Rounding.abs(held), _lots(request));
        uint256 lots = _enough(board, place, health, held, most, penalty);
        size = held > 0 ? int256(lots) : -int256(lots);
        (value, charge) = _valueAndCharge(board.price(place), size, penalty);
        charge = Math.min(charge, _affordable(board, place, health, held, lots));
        if (health.maintenanceEquity < 0) missing = Rounding.abs(health.maintenanceEquity);
    }

    /// @dev The keeper pays index price less the discount for as much as brings the account's `usd` back to zero.
    function _convert(GroupState storage s, Board.Prices memory board, Convert memory request) private {
        _requireOtherOwner(s, request.keeper, request.account);
        if (FeedId.unwrap(request.asset) > s.inbox.feeds) revert IRiskGroup.FeedNotPriced(request.asset);
        Feed storage feed = s.feed[request.asset];
        uint256 place = board.find(s, request.asset);
        if (feed.perpetual || board.isStale(place)) revert IRiskGroup.FeedNotPriced(request.asset);
        uint256 price = board.price(place);
        if (price > request.limit) revert IRiskGroup.PriceWorseThanKeeperLimit(request.keeper, request.limit, price);
        int256 usd = Margin.health(s, board, request.account).usd;
        if (usd >= 0) revert IRiskGroup.AccountOwesNothing(request.account, usd);

        uint256 asked = price * (PPM - feed.penalty);
        uint256 scale = board.lot(place) * PRICE_SCALE * PPM;
        // Rounds up: the last atom of the asset may pay a little more than the debt.
        uint256 enough = Math.ceilDiv(Rounding.abs(usd) * scale, asked);
        uint256 amount = Math.min(Math.min(request.amount, enough), Holdings.read(s, request.account, request.asset));
        if (amount == 0) revert IRiskGroup.NothingToConvert(request.account, request.asset);
        // Rounds up, in favour of the account in need.
        uint256 paid = Math.ceilDiv(amount * asked, scale);
        int256 left = Ledger.tradeAsset(s, request.account, request.asset, -int256(amount), int256(paid), 0);
        Touched.rebase(request.account, s.accounts[request.account], request.asset, left);
        Ledger.tradeAsset(s, request.keeper, request.asset, int256(amount), -int256(paid), Touched.GREW | Touched.SPENT);
        emit IRiskGroup.Converted(request.account, request.keeper, request.asset, amount, paid);
    }

    /// @dev The insurance fund takes the whole position, if it can carry it within the market's loss cap.
    function _takeOver(GroupState storage s, Board.Prices memory board, AccountId id, MarketId market) private {
        Exit memory exit = _exit(s, board, id, market);
        if (!_fundCanCarry(s, board, exit)) revert IRiskGroup.FundCannotCarry(market, exit.size, exit.loss);
        if (exit.loss > 0) s.feed[exit.feed].loss += exit.loss.toUint256().toUint96();
        _close(s, board, id, market, exit.feed, -exit.size, exit.received);
        _take(s, board, Ledger.INSURANCE, market, exit.feed, exit.size, -exit.received);
        emit IRiskGroup.TakenOver(id, market, exit.size, exit.received);
    }

    /// @dev The most profitable opposite accounts close against it, in ranked order, when the fund cannot take it. They do
    /// not choose, so they are not judged for it.
    function _deleverage(
        GroupState storage s,
        Board.Prices memory board,
        AccountId id,
        MarketId market,
        Counterparty[] memory others
    ) private {
        Exit memory exit = _exit(s, board, id, market);
        if (_fundCanCarry(s, board, exit)) revert IRiskGroup.FundCanCarry(market, exit.size);
        uint256 whole = Rounding.abs(exit.size);
        uint256 closed;
        int256 received;
        uint256 lastRank = type(uint256).max;
        for (uint256 i = 0; i < others.length; ++i) {
            (AccountId other, uint256 lots) = (others[i].account, _lots(others[i]));
            uint256 rank = _rank(s, board, exit, other, lots);
            if (rank > lastRank) revert IRiskGroup.NotInRankedOrder(other, rank, lastRank);
            lastRank = rank;
            closed += lots;
            if (closed > whole) revert IRiskGroup.DeleveragedTooMuch(id, market, whole, closed);
            // Parts of one sum, each the difference of two rounded totals, so they add up to it.
            int256 total = Rounding.floor(exit.received * int256(closed), whole);
            int256 part = total - received;
            received = total;
            _closeOpposite(s, board, other, exit, lots, part);
        }
        int256 size = exit.size > 0 ? int256(closed) : -int256(closed);
        _close(s, board, id, market, exit.feed, -size, received);
        emit IRiskGroup.Deleveraged(id, market, size, received, others);
    }

    /// @dev Nothing is left but a debt: the fund pays what it can spare, all accounts share the rest, and the account is
    /// closed. What its outcome positions pay above their worst goes to the fund from then on.
    function _declareBankrupt(GroupState storage s, Board.Prices memory board, AccountId id) private {
        Account storage account = s.accounts[id];
        Margin.Health memory health = Margin.health(s, board, id);
        if (health.usd >= 0) revert IRiskGroup.AccountOwesNothing(id, health.usd);
        _requireGraceOver(s, id, board.time);
        if (health.holdings != 0) _sweep(s, board, id, account.held);
        uint256 debt = Rounding.abs(health.usd);
        uint256 paid;
        if (AccountId.unwrap(id) != AccountId.unwrap(Ledger.INSURANCE)) {
            int256 spare = spareOf(Margin.health(s, board, Ledger.INSURANCE));
            paid = Math.min(debt, spare.toUint256());
            // It is within what the fund can spare, so there is nothing more to judge it for.
            if (paid != 0) Ledger.move(s, Ledger.INSURANCE, -paid.toInt256(), 0);
            account.nonceFloor = Ledger.CLOSED;
        }
        s.badDebt = (uint256(s.badDebt) + debt - paid).toUint128();
        Ledger.move(s, id, debt.toInt256(), 0);
        emit IRiskGroup.Bankrupt(id, debt, paid);
    }

    /// @dev Dust goes to the fund, so that it keeps no debt from being recognised; anything more must be sold first.
    function _sweep(GroupState storage s, Board.Prices memory board, AccountId id, uint256 held) private {
        for (uint256 rest = held; rest != 0; rest &= rest - 1) {
            // casting to 'uint8' is safe because a bit of a word has such a number
            // forge-lint: disable-next-line(unsafe-typecast)
            FeedId feed = FeedId.wrap(uint8(Math.log2(rest & (~rest + 1))));
            uint256 word = Holdings.read(s, id, feed);
            if (word == 0) continue;
            uint256 place = board.find(s, feed);
            if (
                board.isPerpetual(place) || board.isStale(place)
                    || Margin.assetValue(board.price(place), board.lot(place), word) > DUST
            ) {
                revert IRiskGroup.StillHolds(id, feed);
            }
            Ledger.tradeAsset(s, id, feed, -int256(word), 0, 0);
            Ledger.tradeAsset(s, Ledger.INSURANCE, feed, int256(word), 0, 0);
        }
    }

    /// @notice What an account can give away: neither its initial health nor its `usd` may fall below zero for it.
    function spareOf(Margin.Health memory health) internal pure returns (int256 spare) {
        if (health.blocked) return 0;
        spare = health.initial() < health.usd ? health.initial() : health.usd;
        if (spare < 0) spare = 0;
    }

    // ----------------------------------------------------------------- liquidation

    /// @return refusal Why the keeper may not; empty if it may.
    function _refusal(GroupState storage s, Board.Prices memory board, Liquidate memory request)
        private
        view
        returns (bytes memory refusal)
    {
        MarketTerms memory terms = s.markets[request.market].terms;
        address owner = s.accounts[request.keeper].owner;
        if (s.accounts[request.keeper].nonceFloor == Ledger.CLOSED) {
            return abi.encodeWithSelector(IRiskGroup.AccountClosed.selector, request.keeper);
        }
        if (terms.kind != MarketKind.Perpetual) {
            return abi.encodeWithSelector(IRiskGroup.NotPerpetual.selector, request.market);
        }
        if (owner == address(0) || owner == s.accounts[request.account].owner) {
            return abi.encodeWithSelector(IRiskGroup.SameOwner.selector, request.keeper, request.account, owner);
        }
        if (terms.isolatedOnly && !_isolatedIn(request.keeper, request.market)) {
            return abi.encodeWithSelector(IRiskGroup.IsolatedOnly.selector, request.keeper, request.market);
        }
        if (terms.restricted && s.memberships[Ledger.parentOf(request.keeper)][terms.venue] < board.time) {
            return abi.encodeWithSelector(IRiskGroup.NotMember.selector, request.keeper, terms.venue);
        }
        uint256 place = board.find(s, terms.feed);
        uint256 price = board.price(place);
        int256 held = Holdings.size(Holdings.read(s, request.account, terms.feed));
        if (board.isStale(place) || price == 0) {
            return abi.encodeWithSelector(IRiskGroup.FeedNotPriced.selector, terms.feed);
        }
        if (held == 0 || _lots(request) == 0) {
            return abi.encodeWithSelector(IRiskGroup.NothingToLiquidate.selector, request.account, request.market);
        }
        if (held > 0 ? price > request.limit : price < request.limit) {
            return
                abi.encodeWithSelector(
                    IRiskGroup.PriceWorseThanKeeperLimit.selector, request.keeper, request.limit, price
                );
        }
        refusal = _healthRefusal(s, board, request, place, held);
        if (refusal.length != 0) return refusal;
        return _keeperRefusal(s, board, request, terms.feed, held);
    }

    /// @dev An account without equity is left with a debt, as a keeper pays index price. So that no position that stays behind
    /// is closed at a price that carries the whole debt, it must be the last; and the debt counts as the market's loss, as
    /// what the fund loses on a takeover does.
    function _healthRefusal(
        GroupState storage s,
        Board.Prices memory board,
        Liquidate memory request,
        uint256 place,
        int256 held
    ) private view returns (bytes memory) {
        Margin.Health memory health = Margin.health(s, board, request.account);
        int256 maintenance = health.maintenance();
        if (maintenance >= 0) {
            return abi.encodeWithSelector(IRiskGroup.NotFailing.selector, request.account, maintenance);
        }
        if (health.maintenanceEquity >= 0) return "";
        (,, uint256 requirement) = Margin.weighPerpetual(board.price(place), board.risk(place), held);
        if (requirement != health.maintenanceRequirement || _lots(request) < Rounding.abs(held)) {
            return abi.encodeWithSelector(IRiskGroup.NotWholeLastPosition.selector, request.account, request.market);
        }
        Feed storage feed = s.feed[s.markets[request.market].terms.feed];
        uint256 loss = feed.loss + Rounding.abs(health.maintenanceEquity);
        if (loss > feed.lossCap) {
            return abi.encodeWithSelector(IRiskGroup.LossAboveCap.selector, request.market, loss, feed.lossCap);
        }
        return "";
    }

    /// @dev The keeper must be able to carry the whole that it asked for, so that what it forces never stops a batch; and have an
    /// atom more than that, because rounding may make a part of it an atom dearer than the whole.
    function _keeperRefusal(
        GroupState storage s,
        Board.Prices memory board,
        Liquidate memory request,
        FeedId feed,
        int256 held
    ) private view returns (bytes memory) {
        uint256 lots = Math.min(Rounding.abs(held), _lots(request));
        int256 size = held > 0 ? int256(lots) : -int256(lots);
        int256 own = Holdings.size(Holdings.read(s, request.keeper, feed));
        Margin.Health memory health = Margin.health(s, board, request.keeper);
        (int256 value,) = _valueAndCharge(board.price(board.find(s, feed)), size, 0);
        int256 after_ = _initialAfter(board, board.find(s, feed), health, own, own + size, -value);
        if (after_ < 1) return abi.encodeWithSelector(IRiskGroup.MarginShortfall.selector, request.keeper, after_);
        if (health.blocked) return abi.encodeWithSelector(IRiskGroup.HoldsStalePrice.selector, request.keeper);
        return _roomRefusal(s, request.keeper, request.market, health, own, own + size);
    }

    /// @return refusal Why an account has no room for a position, however healthy it is with it; empty if it has.
    function _roomRefusal(
        GroupState storage s,
        AccountId id,
        MarketId market,
        Margin.Health memory health,
        int256 before,
        int256 position
    ) private view returns (bytes memory refusal) {
        if (position < type(int64).min || position > type(int64).max) {
            return abi.encodeWithSelector(IRiskGroup.PositionOutOfRange.selector, id, market, position);
        }
        uint256 holdings = before == 0 ? health.holdings + 1 : health.holdings;
        uint256 most = s.terms.maxHoldings;
        if (holdings > most && Ledger.grows(before, position)) {
            return abi.encodeWithSelector(IRiskGroup.TooManyHoldings.selector, id, most, holdings);
        }
    }

    /// @notice The fewest lots whose liquidation restores initial health, or `most` if that many do not.
    /// @dev Bisection, so that engine and contract find the same number whatever rounding does near it: health after
    /// liquidating does not fall as more is liquidated, since the penalty is below every requirement.
    function _enough(
        Board.Prices memory board,
        uint256 place,
        Margin.Health memory health,
        int256 held,
        uint256 most,
        uint256 penalty
    ) private pure returns (uint256 high) {
        uint256 low = 1;
        high = most;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            int256 size = held > 0 ? int256(middle) : -int256(middle);
            (int256 value, uint256 charge) = _valueAndCharge(board.price(place), size, penalty);
            if (_initialAfter(board, place, health, held, held - size, value - int256(charge)) >= 0) high = middle;
            else low = middle + 1;
        }
    }

    /// @dev What these lots' part of the account's equity is, shared out as at the bankruptcy price; rounded down.
    function _affordable(
        Board.Prices memory board,
        uint256 place,
        Margin.Health memory health,
        int256 held,
        uint256 lots
    ) private pure returns (uint256) {
        if (health.maintenanceEquity <= 0) return 0;
        (,, uint256 requirement) = Margin.weighPerpetual(board.price(place), board.risk(place), held);
        // casting to 'uint256' is safe because the equity was just seen to be positive
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 share = Math.mulDiv(uint256(health.maintenanceEquity), requirement, health.maintenanceRequirement);
        return Math.mulDiv(share, lots, Rounding.abs(held));
    }

    /// @dev Initial health if one position changes and cash with it.
    function _initialAfter(
        Board.Prices memory board,
        uint256 place,
        Margin.Health memory health,
        int256 before,
        int256 position,
        int256 cash
    ) private pure returns (int256) {
        (uint256 price, uint256 tiers) = (board.price(place), board.risk(place));
        (int256 oldValue, uint256 oldRequirement,) = Margin.weighPerpetual(price, tiers, before);
        (int256 newValue, uint256 newRequirement,) = Margin.weighPerpetual(price, tiers, position);
        return health.initial() + cash + newValue - oldValue + int256(oldRequirement) - int256(newRequirement);
    }

    /// @return value What the lots are worth at index price, rounded down.
    /// @return charge The penalty on it, rounded up.
    function _valueAndCharge(uint256 price, int256 size, uint256 penalty)
        private
        pure
        returns (int256 value, uint256 charge)
    {
        value = Rounding.floor(size * int256(price), PRICE_SCALE);
        charge = Rounding.up(Rounding.abs(value) * penalty, PPM);
    }

    // ----------------------------------------------------------------- exits that nobody chose

    /// @dev For a failing account the bankruptcy price: what remains of its equity (or is missing) is shared out over its
    /// positions in proportion to their maintenance requirements, so closing all of them leaves nothing. For a forced
    /// close index price less the market's penalty, which is below every requirement.
    ///
    ///     received = ⌊size·index⌋ − ⌈equity · requirement(position) / requirement(all)⌉, between nothing and twice ⌊size·index⌋
    ///
    /// Source of the formula: dYdX v4, bankruptcy price in quote quantums.
    function _exit(GroupState storage s, Board.Prices memory board, AccountId id, MarketId market)
        private
        view
        returns (Exit memory exit)
    {
        MarketTerms memory terms = s.markets[market].terms;
        if (terms.kind != MarketKind.Perpetual) revert IRiskGroup.NotPerpetual(market);
        exit.market = market;
        exit.feed = terms.feed;
        exit.place = board.find(s, terms.feed);
        if (board.isStale(exit.place)) revert IRiskGroup.FeedNotPriced(terms.feed);
        exit.size = Holdings.size(Holdings.read(s, id, terms.feed));
        if (exit.size == 0) revert IRiskGroup.NothingToLiquidate(id, market);

        Margin.Health memory health = Margin.health(s, board, id);
        uint256 price = board.price(exit.place);
        if (health.maintenance() < 0) {
            _requireGraceOver(s, id, board.time);
            (int256 value,, uint256 requirement) = Margin.weighPerpetual(price, board.risk(exit.place), exit.size);
            int256 share =
                -Rounding.floor(-health.maintenanceEquity * requirement.toInt256(), health.maintenanceRequirement);
            // What is left of a larger position does not carry more than itself: beyond that a debt stays.
            int256 most = Rounding.abs(value).toInt256();
            if (share < -most) share = -most;
            exit.received = value - share;
            exit.loss = -share;
        } else {
            uint256 lots = Math.min(s.forced[id][market].size, Rounding.abs(exit.size));
            if (lots == 0) revert IRiskGroup.NotFailing(id, health.maintenance());
            exit.size = exit.size > 0 ? int256(lots) : -int256(lots);
            (int256 value, uint256 charge) = _valueAndCharge(price, exit.size, s.feed[terms.feed].penalty);
            exit.received = value - int256(charge);
        }
    }

    /// @dev Whether the fund has room for it, its initial health stays above zero and the market's loss within its cap.
    function _fundCanCarry(GroupState storage s, Board.Prices memory board, Exit memory exit)
        private
        view
        returns (bool)
    {
        Feed storage feed = s.feed[exit.feed];
        if (exit.loss > 0 && exit.loss.toUint256() + feed.loss > feed.lossCap) return false;
        Margin.Health memory health = Margin.health(s, board, Ledger.INSURANCE);
        int256 own = Holdings.size(Holdings.read(s, Ledger.INSURANCE, exit.feed));
        if (health.blocked) return false;
        int256 position = own + exit.size;
        if (_roomRefusal(s, Ledger.INSURANCE, exit.market, health, own, position).length != 0) return false;
        return _initialAfter(board, exit.place, health, own, position, -exit.received) >= 0;
    }

    /// @notice How profitable and how leveraged an opposite account is: profit of the position over its entry value, times
    /// notional over the account's equity, each in parts per million. Losing positions rank 0.
    /// @dev Source: the ranking by profit and effective leverage that Hyperliquid publishes. The contract sees that the list
    /// is in order; that nobody was left out shows in the published log.
    function _rank(GroupState storage s, Board.Prices memory board, Exit memory exit, AccountId other, uint256 lots)
        private
        view
        returns (uint256)
    {
        uint256 word = Holdings.read(s, other, exit.feed);
        int256 size = Holdings.size(word);
        if (lots == 0 || lots > Rounding.abs(size) || size > 0 == exit.size > 0) {
            revert IRiskGroup.NotAnOppositePosition(other, exit.market, size, lots);
        }
        uint256 price = board.price(exit.place);
        uint256 now_ = Rounding.abs(size) * price / PRICE_SCALE;
        uint256 entry = Holdings.entry(word) * Rounding.abs(size) * s.markets[exit.market].terms.quantum;
        if (entry == 0 || (size > 0 ? now_ <= entry : now_ >= entry)) return 0;
        int256 equity = Margin.health(s, board, other).maintenanceEquity;
        if (equity <= 0) return 0;
        uint256 profit = size > 0 ? now_ - entry : entry - now_;
        return Math.mulDiv(profit, PPM, entry) * Math.mulDiv(now_, PPM, equity.toUint256());
    }

    /// @dev The other side of a deleveraging: closes `lots` of an opposite position for the opposite of `part`.
    function _closeOpposite(
        GroupState storage s,
        Board.Prices memory board,
        AccountId other,
        Exit memory exit,
        uint256 lots,
        int256 part
    ) private {
        int256 size = exit.size > 0 ? int256(lots) : -int256(lots);
        _close(s, board, other, exit.market, exit.feed, size, -part);
    }

    /// @dev Closes lots of a position that somebody else decided to close. Each such step has its own rule, so the account
    /// is not judged for it: what it is now is what it was before.
    function _close(
        GroupState storage s,
        Board.Prices memory board,
        AccountId id,
        MarketId market,
        FeedId feed,
        int256 lots,
        int256 cash
    ) private {
        int256 index = board.fundingIndex(board.find(s, feed));
        (int256 before, int256 position) = Ledger.tradePerpetual(s, id, feed, index, lots, 0, cash, 0);
        Ledger.moveOpenInterest(s, market, before, position);
        Ledger.endForced(s, id, market, before, position);
        Touched.rebase(id, s.accounts[id], feed, position);
        _reduceForced(s, id, market, Rounding.abs(lots));
    }

    /// @dev The other side of a close, for one who chose it and is judged like any trader.
    function _take(
        GroupState storage s,
        Board.Prices memory board,
        AccountId id,
        MarketId market,
        FeedId feed,
        int256 lots,
        int256 cash
    ) private {
        // For the entry price: what was paid or received, in tick·lots.
        uint256 notional = Rounding.abs(cash) / s.markets[market].terms.quantum;
        int256 index = board.fundingIndex(board.find(s, feed));
        (int256 before, int256 position) = Ledger.tradePerpetual(s, id, feed, index, lots, notional, cash, 0);
        Ledger.moveOpenInterest(s, market, before, position);
        Ledger.endForced(s, id, market, before, position);
    }

    // ----------------------------------------------------------------- small rules

    function _requireFailing(Margin.Health memory health, AccountId id) private pure {
        int256 maintenance = health.maintenance();
        if (maintenance >= 0) revert IRiskGroup.NotFailing(id, maintenance);
    }

    function _requireGraceOver(GroupState storage s, AccountId id, uint64 time) private view {
        uint64 since = s.flagged[id];
        uint64 grace = s.terms.grace;
        if (since == 0 || since + grace > time || since + FLAG_LIFE < time) {
            revert IRiskGroup.KeepersHaveTime(id, since, grace, time);
        }
    }

    function _requireOtherOwner(GroupState storage s, AccountId keeper, AccountId account) private view {
        address owner = Ledger.ownerOf(s, keeper);
        if (owner == s.accounts[account].owner) revert IRiskGroup.SameOwner(keeper, account, owner);
    }

    function _isolatedIn(AccountId id, MarketId market) private pure returns (bool) {
        return Ledger.isIsolated(id) && MarketId.unwrap(Ledger.isolatedMarket(id)) == MarketId.unwrap(market);
    }

    function _reduceForced(GroupState storage s, AccountId id, MarketId market, uint256 lots) private {
        uint64 left = s.forced[id][market].size;
        if (left == 0) return;
        // casting to 'uint64' is safe because less than `left` remains
        // forge-lint: disable-next-line(unsafe-typecast)
        if (lots < left) s.forced[id][market].size = uint64(left - lots);
        else delete s.forced[id][market];
    }

    function _lots(Liquidate memory request) private pure returns (uint256) {
        return uint256(Lots.unwrap(request.size));
    }

    function _lots(Counterparty memory other) private pure returns (uint256) {
        return uint256(Lots.unwrap(other.size));
    }

    function _revertWith(bytes memory failure) private pure {
        assembly ("memory-safe") {
            revert(add(failure, 32), mload(failure))
        }
    }

    // ----------------------------------------------------------------- signatures of keepers

    function _authorise(
        GroupState storage s,
        Liquidate memory request,
        Signature memory signature,
        uint64 time,
        bytes32 domain
    ) private {
        Signers.requireKeeper(
            s,
            request.keeper,
            request.nonce,
            request.expiry,
            time,
            TypedData.signer(domain, TypedData.hashLiquidate(request), signature),
            s.markets[request.market].terms.venue
        );
        s.nonces.spend(request.keeper, request.nonce);
    }

    function _authorise(
        GroupState storage s,
        Convert memory request,
        Signature memory signature,
        uint64 time,
        bytes32 domain
    ) private {
        Signers.requireKeeper(
            s,
            request.keeper,
            request.nonce,
            request.expiry,
            time,
            TypedData.signer(domain, TypedData.hashConvert(request), signature),
            Signers.EVERY_VENUE
        );
        s.nonces.spend(request.keeper, request.nonce);
    }
    // forge-lint: disable-end(unsafe-typecast)
}
