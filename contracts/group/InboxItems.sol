// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Board} from "./Board.sol";
import {Custody} from "./Custody.sol";
import {Holdings} from "./Holdings.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Inbox} from "./Inbox.sol";
import {Ledger} from "./Ledger.sol";
import {Margin} from "./Margin.sol";
import {PPM, PRICE_SCALE} from "./Rounding.sol";
import {Signers} from "./Signers.sol";
import {Account, Feed, ForcedClose, GroupState, Market, MarketTerms} from "./State.sol";
import {
    AccountId,
    AssetConfig,
    BuilderId,
    EventConfig,
    EventId,
    FeedConfig,
    FeedId,
    GroupTerms,
    InboxItem,
    InboxKind,
    Lots,
    MarketId,
    MarketKind,
    PerpetualConfig,
    Phase,
    SignerGrant,
    SpotConfig,
    TradingTerms,
    VenueConfig,
    VenueId
} from "./Types.sol";

/// @notice Step 2 of a batch: what the chain told the sequencer takes effect, in the order in which it was queued. The
/// gateway checked each item when it queued it, so nothing here can refuse one.
library InboxItems {
    using Board for Board.Prices;
    using Inbox for Inbox.Queue;
    using Margin for Margin.Health;
    using SafeCast for uint256;

    function consume(
        GroupState storage s,
        InboxItem[] calldata items,
        address settlementToken,
        uint64 deadline,
        uint64 time
    ) external {
        for (uint256 i = 0; i < items.length; ++i) {
            s.inbox.consume(items[i]);
            _apply(s, items[i], settlementToken, time);
        }
        s.inbox.requireNotOverdue(deadline, time);
    }

    /// @notice Freezes the group if the next item has waited longer than the deadline.
    function freeze(GroupState storage s, uint64 deadline) external {
        if (!s.inbox.isOverdue(deadline, Inbox.nowMs())) {
            revert IRiskGroup.NotOverdue(s.inbox.head, s.inbox.tail, deadline);
        }
        _freeze(s);
    }

    /// @notice Freezes the group if a close has been forced for longer than the deadline and its position is still there.
    function freezeForClose(GroupState storage s, AccountId id, MarketId market, uint64 deadline) external {
        ForcedClose memory forced = s.forced[id][market];
        bool open = Holdings.size(Holdings.read(s, id, s.markets[market].terms.feed)) != 0;
        if (forced.size == 0 || !open || uint256(forced.time) + deadline >= Inbox.nowMs()) {
            revert IRiskGroup.CloseNotOverdue(id, market, forced.size, forced.time, deadline);
        }
        _freeze(s);
    }

    function _freeze(GroupState storage s) private {
        s.last.frozenAt = Inbox.nowMs();
        emit IRiskGroup.Frozen(s.last.frozenAt);
    }

    /// @notice What no batch will ever consume: a resolution takes effect, a deposit goes back to its owner, to `claim`.
    function applyFrozen(GroupState storage s, uint64 index, InboxItem calldata item) external {
        s.inbox.take(index, item);
        if (item.kind == InboxKind.EventResolved) {
            _resolveEvent(s, item.payload);
        } else if (item.kind == InboxKind.Deposit) {
            (, address owner, address token, uint128 amount) =
                abi.decode(item.payload, (AccountId, address, address, uint128));
            s.claimable[owner][token] += amount;
        } else {
            revert IRiskGroup.NotWhileFrozen(item.kind);
        }
    }

    function _apply(GroupState storage s, InboxItem calldata item, address settlementToken, uint64 time) private {
        (InboxKind kind, bytes calldata payload) = (item.kind, item.payload);
        if (kind == InboxKind.Deposit) {
            _creditDeposit(s, payload, settlementToken);
        } else if (kind == InboxKind.EventOpened) {
            _openEvent(s, payload);
        } else if (kind == InboxKind.EventResolved) {
            _resolveEvent(s, payload);
        } else if (kind == InboxKind.CancelAll) {
            (AccountId id, uint64 floor) = abi.decode(payload, (AccountId, uint64));
            Account storage account = s.accounts[id];
            if (floor > account.nonceFloor) account.nonceFloor = floor;
        } else if (kind == InboxKind.ForcedClose) {
            _forceClose(s, payload, item.time);
        } else if (kind == InboxKind.SignerSet) {
            (AccountId id, SignerGrant memory grant) = abi.decode(payload, (AccountId, SignerGrant));
            Signers.store(s, id, grant);
        } else if (kind == InboxKind.MembershipSet) {
            (AccountId id, VenueId venue, uint64 until) = abi.decode(payload, (AccountId, VenueId, uint64));
            s.memberships[id][venue] = until;
        } else if (kind == InboxKind.ReferrerSet) {
            (AccountId id, BuilderId referrer) = abi.decode(payload, (AccountId, BuilderId));
            // casting to 'uint24' is safe because the gateway registers no more builders
            // forge-lint: disable-next-line(unsafe-typecast)
            s.accounts[id].referrer = uint24(BuilderId.unwrap(referrer));
        } else if (kind == InboxKind.BuilderSet) {
            (BuilderId builder, AccountId id) = abi.decode(payload, (BuilderId, AccountId));
            s.builders[builder] = id;
        } else if (kind == InboxKind.VenueSet) {
            (VenueId venue, VenueConfig memory config) = abi.decode(payload, (VenueId, VenueConfig));
            s.venues[venue] = config;
        } else if (kind == InboxKind.AssetSet) {
            _setAsset(s, payload, time);
        } else if (kind == InboxKind.SpotListed) {
            _listSpot(s, payload);
        } else if (kind == InboxKind.PerpetualSet) {
            _setPerpetual(s, payload, time);
        } else if (kind == InboxKind.PhaseSet) {
            _setPhase(s, payload);
        } else if (kind == InboxKind.TermsSet) {
            s.terms = abi.decode(payload, (GroupTerms));
        }
        // Forced withdrawals and liquidations wait for this frame's prices: `settle` runs them right after those.
    }

    // ----------------------------------------------------------------- money

    /// @dev While losses are shared, new cash buys claims at what claims are worth, so it is not diluted and dilutes nobody.
    function _creditDeposit(GroupState storage s, bytes calldata payload, address settlementToken) private {
        (AccountId id, address owner, address token, uint128 amount) =
            abi.decode(payload, (AccountId, address, address, uint128));
        Account storage account = s.accounts[id];
        if (account.owner == address(0)) account.owner = owner;
        if (token == settlementToken) {
            (uint256 pool, uint256 debt) = (s.pool, s.badDebt);
            uint256 credited = amount;
            if (debt != 0 && pool != 0) {
                credited = uint256(amount) * (pool + debt) / pool;
                s.badDebt = (debt + credited - amount).toUint128();
            }
            s.pool = (pool + amount).toUint128();
            s.principal[Holdings.key(id, FeedId.wrap(0))] += amount;
            Ledger.credit(s, id, credited);
        } else {
            FeedId feed = s.assets[token];
            // No deposit may stop an account from trading, as one holding too many would: it waits to be claimed instead.
            // A one shifted by the feed's number is its bit.
            // forge-lint: disable-next-line(incorrect-shift)
            if (account.held & 1 << FeedId.unwrap(feed) == 0 && _count(account.held) >= s.terms.maxHoldings) {
                s.claimable[account.owner][token] += amount;
                return;
            }
            s.principal[Holdings.key(id, feed)] += amount;
            Ledger.tradeAsset(s, id, feed, uint256(amount).toInt256(), 0, 0);
        }
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) {
            ++count;
        }
    }

    /// @notice Pays what an owner asked for through the inbox, as far as the account can spare it at the frame's prices.
    function withdraw(GroupState storage s, bytes calldata payload, address settlementToken, uint64 time) external {
        (AccountId id, address token, uint128 amount) = abi.decode(payload, (AccountId, address, uint128));
        FeedId feed = token == settlementToken ? FeedId.wrap(0) : s.assets[token];
        Board.Prices memory board = Board.open(s, time);
        Margin.Health memory health = Margin.health(s, board, id);
        uint256 spare = _spare(s, board, id, feed, health);
        uint256 paid = Math.min(Math.min(amount, spare), Custody.gate(s, board, id, feed));
        if (FeedId.unwrap(feed) == 0) {
            paid = Math.min(paid, s.pool);
            // A claim of which less than an atom is covered is refused when it is taken; here nothing may be refused.
            if (Custody.coveredOf(s, paid) == 0) return;
        }
        if (paid == 0) return;
        // While losses are shared, the smallest claims are worth less than an atom: they stay, and stop nothing.
        if (FeedId.unwrap(feed) == 0 && paid * s.pool / (uint256(s.pool) + s.badDebt) == 0) return;
        Custody.Destination memory destination =
            Custody.Destination(s.accounts[id].owner, address(0), AccountId.wrap(0));
        // It is within what the account can spare, so there is nothing more to judge it for.
        Custody.take(s, id, token, feed, paid, destination, 0);
    }

    /// @dev What can leave: of cash, what neither initial health nor `usd` needs. Of an asset, the whole balance if the
    /// account is healthy without it, else as many atoms as its spare health covers.
    function _spare(
        GroupState storage s,
        Board.Prices memory board,
        AccountId id,
        FeedId feed,
        Margin.Health memory health
    ) private view returns (uint256) {
        if (health.blocked || health.initial() < 0) return 0;
        if (FeedId.unwrap(feed) == 0) {
            int256 spare = health.initial() < health.usd ? health.initial() : health.usd;
            // Casting is safe because it was just seen not to be negative.
            // forge-lint: disable-next-line(unsafe-typecast)
            return spare < 0 ? 0 : uint256(spare);
        }
        uint256 balance = Holdings.read(s, id, feed);
        uint256 place = board.find(s, feed);
        uint256 weight = board.isStale(place) ? 0 : board.risk(place) & 0xFFFFFF;
        uint256 value = Margin.assetValue(board.price(place), board.lot(place), balance);
        uint256 counted = value * weight / PPM;
        if (counted <= uint256(health.initial())) return balance;
        // Two divisions were rounded down, so what remains must count for its part and two atoms of cash more.
        uint256 needed = counted - uint256(health.initial()) + 2;
        uint256 kept = Math.ceilDiv(
            Math.mulDiv(needed, PPM * board.lot(place) * PRICE_SCALE, weight, Math.Rounding.Ceil), board.price(place)
        );
        return kept >= balance ? 0 : balance - kept;
    }

    /// @dev The position as it is now is to be closed; orders, rescues and redemptions of this and later batches do it.
    function _forceClose(GroupState storage s, bytes calldata payload, uint64 queuedAt) private {
        (AccountId id, MarketId market) = abi.decode(payload, (AccountId, MarketId));
        MarketTerms memory terms = s.markets[market].terms;
        if (terms.kind != MarketKind.Perpetual) return;
        int256 size = Holdings.size(Holdings.read(s, id, terms.feed));
        if (size == 0) return;
        // casting to 'uint64' is safe because a size is an int64
        // forge-lint: disable-next-line(unsafe-typecast)
        s.forced[id][market].size = uint64(uint256(size < 0 ? -size : size));
        if (s.forced[id][market].time == 0) s.forced[id][market].time = queuedAt;
    }

    // ----------------------------------------------------------------- listings

    function _openEvent(GroupState storage s, bytes calldata payload) private {
        (EventId id, EventConfig memory config) = abi.decode(payload, (EventId, EventConfig));
        Market storage market = s.markets[MarketId.wrap(uint32(EventId.unwrap(id)) << 8)];
        MarketTerms memory terms = _terms(market, config.terms);
        (terms.kind, terms.phase) = (MarketKind.Outcome, Phase.Open);
        (terms.outcomes, terms.ticks) = (config.outcomes, config.ticks);
        market.terms = terms;
    }

    function _resolveEvent(GroupState storage s, bytes calldata payload) private {
        (EventId id, uint64[] memory payouts) = abi.decode(payload, (EventId, uint64[]));
        Market storage market = s.markets[MarketId.wrap(uint32(EventId.unwrap(id)) << 8)];
        market.payouts = payouts;
        market.terms.phase = Phase.Delisted;
    }

    function _listSpot(GroupState storage s, bytes calldata payload) private {
        (MarketId id, SpotConfig memory config) = abi.decode(payload, (MarketId, SpotConfig));
        Market storage market = s.markets[id];
        MarketTerms memory terms = _terms(market, config.terms);
        (terms.kind, terms.phase, terms.feed, terms.outcomes) = (MarketKind.Spot, Phase.Open, config.asset, 1);
        market.terms = terms;
        if (MarketId.unwrap(s.feed[config.asset].market) == 0) s.feed[config.asset].market = id;
    }

    function _setPerpetual(GroupState storage s, bytes calldata payload, uint64 time) private {
        (MarketId id, FeedId feedId, PerpetualConfig memory config) =
            abi.decode(payload, (MarketId, FeedId, PerpetualConfig));
        Market storage market = s.markets[id];
        bool isNew = market.terms.phase == Phase.None;
        Phase phase = isNew ? Phase.Open : market.terms.phase;
        MarketTerms memory terms = _terms(market, config.terms);
        (terms.kind, terms.phase, terms.feed, terms.outcomes) = (MarketKind.Perpetual, phase, feedId, 1);
        market.terms = terms;

        Feed storage feed = s.feed[feedId];
        if (phase != Phase.Delisted) _setFeed(s, feedId, config.feed);
        feed.perpetual = true;
        feed.risk = Margin.packTiers(config.initialFractions, config.maintenanceFractions, config.tierBounds);
        (feed.penalty, feed.fundingCap, feed.lossCap) = (config.penalty, config.fundingCap, config.lossCap);
        feed.market = id;
        if (isNew) feed.fundingTime = time;
    }

    function _setAsset(GroupState storage s, bytes calldata payload, uint64) private {
        (FeedId feedId, AssetConfig memory config) = abi.decode(payload, (FeedId, AssetConfig));
        Feed storage feed = s.feed[feedId];
        _setFeed(s, feedId, config.feed);
        feed.risk = Margin.packWeights(config.initialWeight, config.maintenanceWeight);
        (feed.lot, feed.penalty, feed.token) = (config.lot, config.conversionDiscount, config.token);
        s.assets[config.token] = feedId;
    }

    /// @dev A perpetual that is delisted takes no further price: its last one is final.
    function _setPhase(GroupState storage s, bytes calldata payload) private {
        (MarketId id, Phase phase) = abi.decode(payload, (MarketId, Phase));
        MarketTerms storage terms = s.markets[id].terms;
        if (terms.phase == Phase.Delisted) return;
        terms.phase = phase;
        if (phase == Phase.Delisted && terms.kind == MarketKind.Perpetual) s.feed[terms.feed].source = address(0);
    }

    function _setFeed(GroupState storage s, FeedId id, FeedConfig memory config) private {
        Feed storage feed = s.feed[id];
        (feed.source, feed.unit, feed.name) = (config.source, config.unit, config.name);
        (feed.maxAge, feed.maxGap, feed.maxMove) = (config.maxAge, config.maxGap, config.maxMove);
        if (FeedId.unwrap(id) > s.inbox.feeds) s.inbox.feeds = FeedId.unwrap(id);
    }

    function _terms(Market storage market, TradingTerms memory config) private returns (MarketTerms memory terms) {
        (terms.venue, terms.quantum) = (config.venue, config.quantum);
        (terms.takerFee, terms.makerFee, terms.curve) = (config.takerFee, config.makerFee, config.curve);
        (terms.restricted, terms.isolatedOnly) = (config.restricted, config.isolatedOnly);
        terms.capped = Lots.unwrap(config.positionCap) != 0 || Lots.unwrap(config.openInterestCap) != 0;
        (market.positionCap, market.openInterestCap) = (config.positionCap, config.openInterestCap);
    }
}
