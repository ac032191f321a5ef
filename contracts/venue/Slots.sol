// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MarketKind} from "../group/Types.sol";
import {Governed} from "../xip/Governed.sol";
import {IStakeLock} from "./IStakeLock.sol";
import {VenueNumber} from "./VenueTypes.sol";

/// @title Slots: the right to list one market
/// @notice An open venue ties down `requiredStake` of its deployer's stake and has for it Base Slots of each kind; more come
/// from the Slot Auction and are the venue's while it is open. A market takes a slot when it is listed and frees it when its
/// delisting has taken effect. An event is one market here, however many outcomes it has.
///
/// Nothing is counted twice: `taken ≤ base + bought` when a slot is taken; a venue closes with no slot taken, and only then
/// is its stake no longer tied.
contract Slots is IStakeLock, Governed {
    /// @param bought Slots from the auction.
    /// @param taken Slots with a market in them.
    struct Count {
        uint32 bought;
        uint32 taken;
    }

    /// @param locked Stake that it ties down, as it was required when the venue opened.
    struct Venue {
        address deployer;
        uint88 locked;
        bool open;
    }

    /// @notice Who opens and closes venues, who lists markets, who sells slots.
    struct Users {
        address registry;
        address listings;
        address auction;
    }

    /// @notice Staked OKB.
    IERC20 public immutable stake;
    address public immutable registry;
    address public immutable listings;
    address public immutable auction;

    /// @notice What a venue that opens from now on ties down.
    uint88 public requiredStake;
    mapping(MarketKind => uint32) public baseSlots;
    mapping(address account => uint256) public lockedStake;
    mapping(VenueNumber => Venue) private _venues;
    mapping(VenueNumber => mapping(MarketKind => Count)) private _counts;

    event VenueOpened(VenueNumber indexed venue, address indexed deployer, uint256 locked);
    event VenueClosed(VenueNumber indexed venue, address indexed deployer, uint256 unlocked);
    event SlotTaken(VenueNumber indexed venue, MarketKind indexed kind, uint32 taken);
    event SlotFreed(VenueNumber indexed venue, MarketKind indexed kind, uint32 taken);
    event SlotGranted(VenueNumber indexed venue, MarketKind indexed kind, uint32 bought);
    event RequiredStakeSet(uint88 amount);
    event BaseSlotsSet(MarketKind indexed kind, uint32 count);

    error NotAllowed(address caller, address expected);
    error VenueAlreadyOpened(VenueNumber venue);
    error VenueNotOpen(VenueNumber venue);
    error StakeTooSmall(address deployer, uint256 staked, uint256 required);
    error NoFreeSlot(VenueNumber venue, MarketKind kind, uint256 slots);
    error NoSlotTaken(VenueNumber venue, MarketKind kind);
    error MarketsLive(VenueNumber venue, MarketKind kind, uint32 taken);

    /// @param base Base Slots of outcome, spot and perpetual markets.
    constructor(IERC20 stake_, Users memory users, address governance_, uint88 requiredStake_, uint32[3] memory base)
        Governed(governance_)
    {
        (stake, registry, listings, auction) = (stake_, users.registry, users.listings, users.auction);
        _setRequiredStake(requiredStake_);
        for (uint256 kind = 0; kind < base.length; ++kind) {
            _setBaseSlots(MarketKind(kind), base[kind]);
        }
    }

    modifier only(address expected) {
        if (msg.sender != expected) revert NotAllowed(msg.sender, expected);
        _;
    }

    // ----------------------------------------------------------------- venues (the registry only)

    /// @notice Ties down the deployer's stake for a venue.
    function open(VenueNumber venue, address deployer) external only(registry) {
        if (_venues[venue].deployer != address(0)) revert VenueAlreadyOpened(venue);
        _venues[venue] = Venue({deployer: deployer, locked: requiredStake, open: true});
        lockedStake[deployer] += requiredStake;
        _requireStake(deployer);
        emit VenueOpened(venue, deployer, requiredStake);
    }

    /// @notice Ends a venue that has no market left, for good. Its stake may then be asked back.
    function close(VenueNumber venue) external only(registry) {
        _requireOpen(venue);
        for (uint8 kind = 0; kind <= uint8(type(MarketKind).max); ++kind) {
            uint32 taken = _counts[venue][MarketKind(kind)].taken;
            if (taken != 0) revert MarketsLive(venue, MarketKind(kind), taken);
        }
        Venue storage closing = _venues[venue];
        closing.open = false;
        lockedStake[closing.deployer] -= closing.locked;
        emit VenueClosed(venue, closing.deployer, closing.locked);
    }

    // ----------------------------------------------------------------- slots

    /// @notice A market is listed. Refused while a slash has left the deployer with less stake than its venues need.
    function take(VenueNumber venue, MarketKind kind) external only(listings) {
        _requireOpen(venue);
        _requireStake(_venues[venue].deployer);
        Count storage count = _counts[venue][kind];
        uint256 slots = uint256(baseSlots[kind]) + count.bought;
        if (count.taken >= slots) revert NoFreeSlot(venue, kind, slots);
        ++count.taken;
        emit SlotTaken(venue, kind, count.taken);
    }

    /// @notice A market's delisting has taken effect.
    function free(VenueNumber venue, MarketKind kind) external only(listings) {
        Count storage count = _counts[venue][kind];
        if (count.taken == 0) revert NoSlotTaken(venue, kind);
        --count.taken;
        emit SlotFreed(venue, kind, count.taken);
    }

    /// @notice The venue has bought a slot. One that closed meanwhile has no use of it.
    function grant(VenueNumber venue, MarketKind kind) external only(auction) {
        Count storage count = _counts[venue][kind];
        ++count.bought;
        emit SlotGranted(venue, kind, count.bought);
    }

    // ----------------------------------------------------------------- terms (governance only)

    /// @notice Sets what venues tie down that open from now on.
    function setRequiredStake(uint88 amount) external onlyGovernance {
        _setRequiredStake(amount);
    }

    /// @notice Sets the Base Slots of a kind, of every venue; fewer take nobody's market away.
    function setBaseSlots(MarketKind kind, uint32 count) external onlyGovernance {
        _setBaseSlots(kind, count);
    }

    function _setRequiredStake(uint88 amount) private {
        requiredStake = amount;
        emit RequiredStakeSet(amount);
    }

    function _setBaseSlots(MarketKind kind, uint32 count) private {
        baseSlots[kind] = count;
        emit BaseSlotsSet(kind, count);
    }

    // ----------------------------------------------------------------- views

    function venueOf(VenueNumber number) external view returns (Venue memory) {
        return _venues[number];
    }

    function countOf(VenueNumber number, MarketKind kind) external view returns (Count memory) {
        return _counts[number][kind];
    }

    // ----------------------------------------------------------------- small rules

    function _requireOpen(VenueNumber number) private view {
        if (!_venues[number].open) revert VenueNotOpen(number);
    }

    function _requireStake(address deployer) private view {
        (uint256 staked, uint256 required) = (stake.balanceOf(deployer), lockedStake[deployer]);
        if (staked < required) revert StakeTooSmall(deployer, staked, required);
    }
}
