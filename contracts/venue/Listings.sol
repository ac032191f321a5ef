// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IGateway} from "../group/IGateway.sol";
import {IGroupViews} from "../group/IGroupViews.sol";
import {
    EventConfig,
    FeeTier,
    Hours,
    MarketId,
    MarketKind,
    PerpetualConfig,
    Phase,
    SpotConfig,
    TradingTerms,
    VenueId,
    firstMarket
} from "../group/Types.sol";
import {isDue} from "../xip/Deadlines.sol";
import {Governed} from "../xip/Governed.sol";
import {Reviews} from "../xip/Reviews.sol";
import {Rollout} from "../xip/Rollout.sol";
import {ProtocolLimits} from "./ProtocolLimits.sol";
import {Slots} from "./Slots.sol";
import {VenueRegistry} from "./VenueRegistry.sol";
import {Group, GroupNumber, Venue, VenueNumber} from "./VenueTypes.sol";

/// @title Listings: the markets of all venues
/// @notice Deployers, and the keys that they delegate single actions to, list markets here, change their terms, halt and
/// delist them. A market takes a slot, is held against rollout and protocol limits, and reaches its group through the inbox.
///
/// Traders are warned: new terms of a perpetual, and a delisting, wait for `notice`; a market that will be delisted only
/// reduces until then. A guardian may make a market reduce-only, for a bounded time and not again before a rest.
contract Listings is Governed, ReentrancyGuardTransient {
    using SafeCast for uint256;

    /// @notice How long the guardian stops a market, and how long it must then leave it alone.
    uint64 public constant GUARDIAN_PAUSE = 3 days;
    uint64 public constant GUARDIAN_REST = 14 days;
    /// @notice The longest that an emergency XIP stops a market.
    uint64 public constant MAX_PAUSE = 30 days;

    /// @notice What a key may do for a venue.
    /// @param price Announce terms of a perpetual: fees, margin, price source. Set fee tiers.
    /// @param list List, set trading hours, announce a delisting.
    /// @param halt Move a market from phase to phase.
    struct Powers {
        bool price;
        bool list;
        bool halt;
    }

    /// @param phase As its deployer wants it; `Delisted` from the moment that it will be.
    /// @param crossApproved Whether a XIP admitted it to cross margin in its shared group. One way.
    /// @param freed Whether its slot is free again.
    /// @param pausedUntil Until when it only reduces whatever its deployer wants; unix seconds.
    /// @param restsUntil Until when the guardian leaves it alone.
    /// @param dueAt When what is announced may take effect; unix seconds, 0 for nothing.
    /// @param announced Hash of the terms that are announced; 0 where a delisting is.
    struct Market {
        VenueNumber venue;
        MarketKind kind;
        Phase phase;
        bool crossApproved;
        bool delisting;
        bool freed;
        uint64 pausedUntil;
        uint64 restsUntil;
        uint64 dueAt;
        bytes32 announced;
    }

    VenueRegistry public immutable registry;
    Slots public immutable slots;
    ProtocolLimits public immutable limits;
    Rollout public immutable rollout;
    Reviews public immutable reviews;
    /// @notice How long changes are announced before they take effect, in seconds.
    uint64 public immutable notice;

    /// @notice Who may stop new risk for a moment; may be nobody.
    address public guardian;
    /// @notice Until when nothing new is listed.
    uint64 public listingsPausedUntil;
    uint64 public listingsRestUntil;
    mapping(VenueNumber => mapping(address key => Powers)) private _powers;
    mapping(GroupNumber => mapping(MarketId => Market)) private _markets;

    event Listed(VenueNumber indexed venue, GroupNumber indexed group, MarketId indexed market, MarketKind kind);
    event PowersSet(VenueNumber indexed venue, address indexed key, Powers powers);
    event TermsAnnounced(VenueNumber indexed venue, MarketId indexed market, PerpetualConfig config, uint64 dueAt);
    event TermsApplied(VenueNumber indexed venue, MarketId indexed market);
    event DelistingAnnounced(VenueNumber indexed venue, MarketId indexed market, uint64 dueAt);
    event Delisted(VenueNumber indexed venue, MarketId indexed market);
    event PhaseChosen(VenueNumber indexed venue, MarketId indexed market, Phase phase);
    event Paused(VenueNumber indexed venue, MarketId indexed market, uint64 until, address by);
    event Resumed(VenueNumber indexed venue, MarketId indexed market, Phase phase);
    event ListingsPaused(uint64 until, address indexed by);
    event SlotFreed(VenueNumber indexed venue, MarketId indexed market);
    event CrossApproved(VenueNumber indexed venue, MarketId indexed market);
    event GuardianSet(address indexed guardian);

    error NotPermitted(VenueNumber venue, address caller);
    error NotGuardian(address caller, address guardian);
    error NoSuchMarket(VenueNumber venue, MarketId market);
    error VenueNotOpen(VenueNumber venue);
    error WrongVenue(VenueId expected, VenueId given);
    error MustBeIsolated(VenueNumber venue);
    error CrossIsForGood(VenueNumber venue, MarketId market);
    error NotAnnounced(VenueNumber venue, MarketId market);
    error NoticeRuns(uint64 dueAt);
    error MarketPaused(uint64 until);
    error GuardianRests(uint64 until);
    error ListingPaused(uint64 until);
    error PhaseNotForDeployers(Phase phase);
    error DelistingUnderWay(VenueNumber venue, MarketId market);
    error StillListed(VenueNumber venue, MarketId market);
    error AlreadyFreed(VenueNumber venue, MarketId market);
    error PauseTooLong(uint64 time, uint64 most);
    error EventsEndByTheirResolver(MarketId market);

    /// @param registry_ The registry, which is deployed first and names this contract as its listings.
    constructor(VenueRegistry registry_, address governance_, address guardian_, uint64 notice_) Governed(governance_) {
        (registry, slots, limits) = (registry_, registry_.slots(), registry_.limits());
        (rollout, reviews, notice) = (registry_.rollout(), registry_.reviews(), notice_);
        _setGuardian(guardian_);
    }

    // ----------------------------------------------------------------- delegates (the deployer)

    /// @notice Lets a key do single actions for the venue, or no longer.
    function setPowers(VenueNumber number, address key, Powers calldata powers) external {
        address deployer = registry.venueOf(number).deployer;
        if (msg.sender != deployer) revert NotPermitted(number, msg.sender);
        _powers[number][key] = powers;
        emit PowersSet(number, key, powers);
    }

    // ----------------------------------------------------------------- listing

    /// @notice Opens an event with a market per outcome; it takes one slot.
    // Locked.
    // slither-disable-next-line reentrancy-benign
    function listEvent(VenueNumber number, EventConfig calldata config)
        external
        nonReentrant
        returns (MarketId market)
    {
        (Venue memory venue, Group memory group) = _toList(number, MarketKind.Outcome, config.terms);
        market = firstMarket(IGateway(group.gateway).openEvent(config));
        _record(number, venue, market, MarketKind.Outcome);
    }

    /// @notice Lists a spot market of an asset that the group has.
    // Locked.
    // slither-disable-next-line reentrancy-benign
    function listSpot(VenueNumber number, SpotConfig calldata config) external nonReentrant returns (MarketId market) {
        (Venue memory venue, Group memory group) = _toList(number, MarketKind.Spot, config.terms);
        market = IGateway(group.gateway).listSpot(config);
        _record(number, venue, market, MarketKind.Spot);
    }

    /// @notice Lists a perpetual. In a shared group it is for isolated accounts until a XIP approves it for cross margin, and
    /// its price source is a reviewed one.
    // Locked.
    // slither-disable-next-line reentrancy-benign
    function listPerpetual(VenueNumber number, PerpetualConfig calldata config)
        external
        nonReentrant
        returns (MarketId market)
    {
        (Venue memory venue, Group memory group) = _toList(number, MarketKind.Perpetual, config.terms);
        _checkPerpetual(number, group, config, false);
        market = IGateway(group.gateway).listPerpetual(config);
        _record(number, venue, market, MarketKind.Perpetual);
    }

    function _toList(VenueNumber number, MarketKind kind, TradingTerms calldata terms)
        private
        returns (Venue memory venue, Group memory group)
    {
        if (!isDue(listingsPausedUntil)) revert ListingPaused(listingsPausedUntil);
        venue = registry.venueOf(number);
        if (msg.sender != venue.deployer && !_powers[number][msg.sender].list) {
            revert NotPermitted(number, msg.sender);
        }
        if (VenueId.unwrap(terms.venue) != VenueId.unwrap(venue.id)) revert WrongVenue(venue.id, terms.venue);
        group = registry.groupOf(venue.group);
        rollout.requireListing(venue.deployer, kind, group.simulated);
        limits.requireTerms(terms);
        slots.take(number, kind);
    }

    function _record(VenueNumber number, Venue memory venue, MarketId market, MarketKind kind) private {
        Market storage listed = _markets[venue.group][market];
        (listed.venue, listed.kind, listed.phase) = (number, kind, Phase.Open);
        emit Listed(number, venue.group, market, kind);
    }

    function _checkPerpetual(VenueNumber number, Group memory group, PerpetualConfig calldata config, bool approved)
        private
        view
    {
        limits.requirePerpetual(config);
        if (group.steward != address(0)) return;
        reviews.requireReviewed(config.feed.source);
        if (!config.terms.isolatedOnly && !approved) revert MustBeIsolated(number);
    }

    // ----------------------------------------------------------------- terms of a perpetual

    /// @notice Announces new terms of a perpetual; announcing again replaces what was announced.
    function announceTerms(VenueNumber number, MarketId id, PerpetualConfig calldata config) external {
        (Market storage market, Venue memory venue) = _market(number, id);
        if (msg.sender != venue.deployer && !_powers[number][msg.sender].price) {
            revert NotPermitted(number, msg.sender);
        }
        if (market.delisting) revert DelistingUnderWay(number, id);
        _checkTerms(number, id, market, venue, config);
        market.announced = keccak256(abi.encode(config));
        market.dueAt = block.timestamp.toUint64() + notice;
        emit TermsAnnounced(number, id, config, market.dueAt);
    }

    /// @notice Applies what was announced, once its notice is over. Anyone may; it is held against the limits once more.
    function applyTerms(VenueNumber number, MarketId id, PerpetualConfig calldata config) external {
        (Market storage market, Venue memory venue) = _market(number, id);
        if (market.announced == 0 || market.announced != keccak256(abi.encode(config))) {
            revert NotAnnounced(number, id);
        }
        if (!isDue(market.dueAt)) revert NoticeRuns(market.dueAt);
        _checkTerms(number, id, market, venue, config);
        (market.announced, market.dueAt) = (0, 0);
        emit TermsApplied(number, id);
        _gatewayOf(venue).setPerpetual(id, config);
    }

    function _checkTerms(
        VenueNumber number,
        MarketId id,
        Market storage market,
        Venue memory venue,
        PerpetualConfig calldata config
    ) private view {
        if (market.kind != MarketKind.Perpetual) revert NoSuchMarket(number, id);
        if (market.crossApproved && config.terms.isolatedOnly) revert CrossIsForGood(number, id);
        _checkPerpetual(number, registry.groupOf(venue.group), config, market.crossApproved);
    }

    // ----------------------------------------------------------------- fee tiers

    /// @notice Sets what those pay who trade much at the venue. Without notice, for a tier takes from nobody what a market's terms
    /// promise: it only lowers fees, and orders allow the full rate.
    function setFeeTiers(VenueNumber number, FeeTier[] calldata tiers) external {
        Venue memory venue = registry.venueOf(number);
        if (msg.sender != venue.deployer && !_powers[number][msg.sender].price) {
            revert NotPermitted(number, msg.sender);
        }
        _gatewayOf(venue).setFeeTiers(venue.id, tiers);
    }

    // ----------------------------------------------------------------- phases

    /// @notice Moves a market to another phase. While it is paused, to one that takes no new risk, or for when it resumes.
    function setPhase(VenueNumber number, MarketId id, Phase phase) external {
        (Market storage market, Venue memory venue) = _market(number, id);
        if (msg.sender != venue.deployer && !_powers[number][msg.sender].halt) {
            revert NotPermitted(number, msg.sender);
        }
        if (phase == Phase.None || phase == Phase.Delisted) revert PhaseNotForDeployers(phase);
        if (market.delisting && _takesRisk(phase)) revert DelistingUnderWay(number, id);
        market.phase = phase;
        emit PhaseChosen(number, id, phase);
        if (!_isPaused(market) || !_takesRisk(phase)) _gatewayOf(venue).setPhase(id, phase);
    }

    function setHours(VenueNumber number, MarketId id, Hours calldata tradingHours) external {
        (, Venue memory venue) = _market(number, id);
        if (msg.sender != venue.deployer && !_powers[number][msg.sender].list) {
            revert NotPermitted(number, msg.sender);
        }
        _gatewayOf(venue).setHours(id, tradingHours);
    }

    /// @notice Announces that a spot market or a perpetual will be delisted; from now on it only reduces. For good.
    function announceDelisting(VenueNumber number, MarketId id) external {
        (Market storage market, Venue memory venue) = _market(number, id);
        if (msg.sender != venue.deployer && !_powers[number][msg.sender].list) {
            revert NotPermitted(number, msg.sender);
        }
        if (market.kind == MarketKind.Outcome) revert EventsEndByTheirResolver(id);
        if (market.delisting) revert DelistingUnderWay(number, id);
        market.delisting = true;
        (market.announced, market.dueAt) = (0, block.timestamp.toUint64() + notice);
        emit DelistingAnnounced(number, id, market.dueAt);
        if (_takesRisk(market.phase)) {
            market.phase = Phase.ReduceOnly;
            _gatewayOf(venue).setPhase(id, Phase.ReduceOnly);
        }
    }

    /// @notice Delists what was announced: its orders are cancelled and its positions settle at the index price. Anyone may.
    function delist(VenueNumber number, MarketId id) external {
        (Market storage market, Venue memory venue) = _market(number, id);
        if (!market.delisting || market.phase == Phase.Delisted) revert NotAnnounced(number, id);
        if (!isDue(market.dueAt)) revert NoticeRuns(market.dueAt);
        market.phase = Phase.Delisted;
        emit Delisted(number, id);
        _gatewayOf(venue).setPhase(id, Phase.Delisted);
    }

    /// @notice Frees the slot of a market whose end has taken effect: the group knows it as delisted or resolved, or is
    /// frozen for good. Anyone may.
    function freeSlot(VenueNumber number, MarketId id) external {
        Venue memory venue = registry.venueOf(number);
        Market storage market = _markets[venue.group][id];
        if (market.phase == Phase.None || !_same(market.venue, number)) revert NoSuchMarket(number, id);
        if (market.freed) revert AlreadyFreed(number, id);
        IGroupViews group = IGroupViews(registry.groupOf(venue.group).group);
        (,, uint64 frozenAt) = group.pool();
        if (frozenAt == 0 && group.market(id).phase != Phase.Delisted) revert StillListed(number, id);
        (market.freed, market.phase) = (true, Phase.Delisted);
        emit SlotFreed(number, id);
        slots.free(number, market.kind);
    }

    // ----------------------------------------------------------------- emergencies: new risk only, for a bounded time

    /// @notice Makes a market reduce-only for `GUARDIAN_PAUSE`. The guardian only.
    function pause(VenueNumber number, MarketId id) external {
        _requireGuardian();
        (Market storage market, Venue memory venue) = _market(number, id);
        if (!isDue(market.restsUntil)) revert GuardianRests(market.restsUntil);
        _pause(number, id, market, venue, GUARDIAN_PAUSE);
        market.restsUntil = market.pausedUntil + GUARDIAN_REST;
    }

    /// @notice As `pause`, for as long as an emergency XIP says. Governance only.
    function pauseFor(VenueNumber number, MarketId id, uint64 time) external onlyGovernance {
        if (time > MAX_PAUSE) revert PauseTooLong(time, MAX_PAUSE);
        (Market storage market, Venue memory venue) = _market(number, id);
        _pause(number, id, market, venue, time);
    }

    function _pause(VenueNumber number, MarketId id, Market storage market, Venue memory venue, uint64 time) private {
        uint64 until = block.timestamp.toUint64() + time;
        if (until > market.pausedUntil) market.pausedUntil = until;
        emit Paused(number, id, market.pausedUntil, msg.sender);
        if (_takesRisk(market.phase)) _gatewayOf(venue).setPhase(id, Phase.ReduceOnly);
    }

    /// @notice Ends a pause that is over: the market is again as its deployer wants it. Anyone may.
    function resume(VenueNumber number, MarketId id) external {
        (Market storage market, Venue memory venue) = _market(number, id);
        if (market.pausedUntil == 0) revert NotAnnounced(number, id);
        if (_isPaused(market)) revert MarketPaused(market.pausedUntil);
        market.pausedUntil = 0;
        emit Resumed(number, id, market.phase);
        _gatewayOf(venue).setPhase(id, market.phase);
    }

    /// @notice Stops new listings, in all groups, for `GUARDIAN_PAUSE`. The guardian only.
    function pauseListings() external {
        _requireGuardian();
        if (!isDue(listingsRestUntil)) revert GuardianRests(listingsRestUntil);
        listingsPausedUntil = block.timestamp.toUint64() + GUARDIAN_PAUSE;
        listingsRestUntil = listingsPausedUntil + GUARDIAN_REST;
        emit ListingsPaused(listingsPausedUntil, msg.sender);
    }

    // ----------------------------------------------------------------- governance only

    /// @notice Admits a perpetual to the cross margin of its shared group: its deployer may then announce terms that say
    /// so. One way.
    function approveCross(VenueNumber number, MarketId id) external onlyGovernance {
        (Market storage market,) = _market(number, id);
        if (market.kind != MarketKind.Perpetual) revert NoSuchMarket(number, id);
        market.crossApproved = true;
        emit CrossApproved(number, id);
    }

    function setGuardian(address guardian_) external onlyGovernance {
        _setGuardian(guardian_);
    }

    function _setGuardian(address guardian_) private {
        // Nobody is guardian if it is zero.
        // slither-disable-next-line missing-zero-check
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    // ----------------------------------------------------------------- views

    function marketOf(VenueNumber number, MarketId id) external view returns (Market memory) {
        return _markets[registry.venueOf(number).group][id];
    }

    function powersOf(VenueNumber number, address key) external view returns (Powers memory) {
        return _powers[number][key];
    }

    // ----------------------------------------------------------------- small rules

    /// @dev A market of this venue that has not ended here.
    function _market(VenueNumber number, MarketId id) private view returns (Market storage market, Venue memory venue) {
        venue = registry.venueOf(number);
        market = _markets[venue.group][id];
        bool ended = market.phase == Phase.None || market.phase == Phase.Delisted;
        if (ended || !_same(market.venue, number)) revert NoSuchMarket(number, id);
    }

    function _gatewayOf(Venue memory venue) private view returns (IGateway) {
        return IGateway(registry.groupOf(venue.group).gateway);
    }

    function _requireGuardian() private view {
        if (msg.sender != guardian) revert NotGuardian(msg.sender, guardian);
    }

    function _isPaused(Market storage market) private view returns (bool) {
        return !isDue(market.pausedUntil);
    }

    function _takesRisk(Phase phase) private pure returns (bool) {
        // slither-disable-next-line incorrect-equality
        return phase == Phase.Auction || phase == Phase.PostOnly || phase == Phase.Open;
    }

    function _same(VenueNumber one, VenueNumber other) private pure returns (bool) {
        return VenueNumber.unwrap(one) == VenueNumber.unwrap(other);
    }
}
