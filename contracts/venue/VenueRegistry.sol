// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IGateway} from "../group/IGateway.sol";
import {IRiskGroup} from "../group/IRiskGroup.sol";
import {AccountId, AssetConfig, FeedId, GroupTerms, VenueConfig, VenueId} from "../group/Types.sol";
import {isDue, isPast} from "../xip/Deadlines.sol";
import {Governed} from "../xip/Governed.sol";
import {Reviews} from "../xip/Reviews.sol";
import {Rollout} from "../xip/Rollout.sol";
import {IXipProcedure, XipRegistry} from "../xip/XipRegistry.sol";
import {XipNumber, XipStatus} from "../xip/XipTypes.sol";
import {GroupFactory} from "./GroupFactory.sol";
import {ProtocolLimits} from "./ProtocolLimits.sol";
import {SimulatedTokens} from "./SimulatedTokens.sol";
import {Slots} from "./Slots.sol";
import {Group, GroupNumber, GroupSpec, Venue, VenueNumber, VenueRequest} from "./VenueTypes.sol";

/// @title The venue registry
/// @notice Anyone who stakes opens a venue in a risk group of its own, by a **Venue XIP**: numbered, public, with a bond and
/// a notice period, without a vote, carried out by anyone after it. Whatever touches others, a venue in a **shared** group and
/// a shared group's assets and terms, takes a Standards XIP: the functions marked "governance only".
///
/// The registry is the governor of every group that it makes, and `Listings` the deployer of every venue, as the groups'
/// gateways know them; so nothing reaches a group that is not held against rollout, limits and slots first. Neither can
/// touch what traders hold: a governor has no door to that.
contract VenueRegistry is Governed, IXipProcedure, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice How long a Venue XIP can be carried out once its notice is over.
    uint256 public constant EXECUTION_LIFE = 30 days;
    AccountId private constant PROTOCOL = AccountId.wrap(2);

    /// @param executable When its notice is over, unix seconds.
    /// @param ended How it ended; `None` while it has not.
    /// @param bonded Whether its bond is still here.
    struct Filing {
        address author;
        uint64 executable;
        XipStatus ended;
        bool bonded;
        uint96 bond;
        VenueNumber venue;
        bytes32 content;
    }

    /// @param dueAt When what is announced may take effect, unix seconds.
    struct Announcement {
        bytes32 content;
        uint64 dueAt;
    }

    struct Core {
        IERC20 okb;
        XipRegistry xips;
        Slots slots;
        GroupFactory factory;
        ProtocolLimits limits;
        Rollout rollout;
        Reviews reviews;
        SimulatedTokens simulated;
        address listings;
    }

    IERC20 public immutable okb;
    XipRegistry public immutable xips;
    Slots public immutable slots;
    GroupFactory public immutable factory;
    ProtocolLimits public immutable limits;
    Rollout public immutable rollout;
    Reviews public immutable reviews;
    /// @notice Who makes tokens without value.
    SimulatedTokens public immutable simulatedTokens;
    /// @notice The deployer of every venue, as the gateways know it.
    address public immutable listings;
    /// @notice How long a Venue XIP, and a change of an asset, is public before it can be carried out, in seconds.
    uint64 public immutable notice;

    /// @notice What a Venue XIP's author puts down until it is carried out or taken back.
    uint96 public bond;
    /// @notice Who signs the batches of new groups.
    address public sequencer;
    uint256 public bondsHeld;
    uint32 public groups;
    uint32 public venues;
    mapping(XipNumber => Filing) private _filings;
    mapping(GroupNumber => Group) private _groups;
    mapping(GroupNumber => GroupTerms) private _terms;
    mapping(VenueNumber => Venue) private _venues;
    mapping(GroupNumber => mapping(address token => bool)) public isAsset;
    mapping(GroupNumber => mapping(address token => Announcement)) private _announced;

    event VenueFiled(XipNumber indexed number, address indexed author, VenueRequest request, uint64 executable);
    event VenueXipEnded(XipNumber indexed number, XipStatus status, VenueNumber venue);
    event BondReturned(XipNumber indexed number, address indexed to, uint96 amount);
    event GroupOpened(GroupNumber indexed group, Group contracts, GroupSpec spec);
    event VenueOpened(
        VenueNumber indexed venue, GroupNumber indexed group, VenueId id, address indexed deployer, string metadata
    );
    event VenueChanged(VenueNumber indexed venue, address registrar, VenueConfig config);
    event MetadataSet(VenueNumber indexed venue, string uri);
    event VenueClosed(VenueNumber indexed venue);
    event TermsSet(GroupNumber indexed group, GroupTerms terms);
    event AssetAnnounced(GroupNumber indexed group, address indexed token, AssetConfig config, uint64 dueAt);
    event AssetSet(GroupNumber indexed group, FeedId indexed feed, address indexed token);
    event GroupMoved(GroupNumber indexed group, address governor);
    event BondSet(uint96 bond);
    event SequencerSet(address indexed sequencer);

    error NotDeployer(VenueNumber venue, address caller, address deployer);
    error NotSteward(GroupNumber group, address caller, address steward);
    error NotAuthor(XipNumber number, address caller, address author);
    error NoSuchGroup(GroupNumber group);
    error NoSuchVenue(VenueNumber venue);
    error NotShared(GroupNumber group);
    error NotOpen(VenueNumber venue);
    error WrongStatus(XipNumber number, XipStatus status);
    error NoticeRuns(XipNumber number, uint64 executable);
    error WrongContent(XipNumber number);
    error NothingBonded(XipNumber number);
    error ValueMixed(address token, bool simulatedGroup);
    error AssetNotAnnounced(GroupNumber group, address token);
    error AssetNoticeRuns(uint64 dueAt);
    error ZeroAddress();

    constructor(Core memory core, address governance_, address sequencer_, uint64 notice_, uint96 bond_)
        Governed(governance_)
    {
        (okb, xips, slots, factory) = (core.okb, core.xips, core.slots, core.factory);
        (limits, rollout, reviews, simulatedTokens) = (core.limits, core.rollout, core.reviews, core.simulated);
        // slither-disable-next-line missing-zero-check
        (listings, notice) = (core.listings, notice_);
        _setSequencer(sequencer_);
        _setBond(bond_);
    }

    // ----------------------------------------------------------------- Venue XIPs

    /// @notice Files a Venue XIP and puts down its bond. What could not be carried out now cannot be filed.
    /// @param uri Where its text is, for people.
    // Locked.
    // slither-disable-next-line reentrancy-benign
    function fileVenue(VenueRequest calldata request, string calldata uri)
        external
        nonReentrant
        returns (XipNumber number)
    {
        _checkRequest(msg.sender, request);
        bytes32 content = keccak256(abi.encode(request));
        number = xips.file(msg.sender, content, uri);
        Filing storage filing = _filings[number];
        (filing.author, filing.executable) = (msg.sender, block.timestamp.toUint64() + notice);
        (filing.content, filing.bond, filing.bonded) = (content, bond, true);
        bondsHeld += bond;
        emit VenueFiled(number, msg.sender, request, filing.executable);
        okb.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// @notice Carries out a Venue XIP whose notice is over: makes its group if it asks for one, opens the venue, returns the
    /// bond. Anyone may do it; it is held against rollout, limits and stake once more.
    /// @dev Locked; what it calls is ours, but for the settlement token's code, which nothing here runs.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-benign
    function executeVenue(XipNumber number, VenueRequest calldata request)
        external
        nonReentrant
        returns (VenueNumber venue)
    {
        XipStatus status = statusOf(number);
        Filing storage filing = _filings[number];
        if (status == XipStatus.Review) revert NoticeRuns(number, filing.executable);
        if (status != XipStatus.Queued) revert WrongStatus(number, status);
        if (keccak256(abi.encode(request)) != filing.content) revert WrongContent(number);
        address deployer = filing.author;
        _checkRequest(deployer, request);

        filing.ended = XipStatus.Executed;
        GroupNumber group = request.group;
        if (GroupNumber.unwrap(group) == 0) group = _openGroup(request.spec, deployer);
        venue = _openVenue(group, deployer, request.registrar, request.config, request.metadata);
        filing.venue = venue;
        emit VenueXipEnded(number, XipStatus.Executed, venue);
        _returnBond(number, deployer);
    }

    /// @notice Takes a Venue XIP back, or the bond of one that expired. Its author only.
    function withdrawVenue(XipNumber number) external nonReentrant {
        Filing storage filing = _filings[number];
        if (msg.sender != filing.author) revert NotAuthor(number, msg.sender, filing.author);
        XipStatus status = statusOf(number);
        if (status == XipStatus.Review || status == XipStatus.Queued) {
            filing.ended = XipStatus.Withdrawn;
            emit VenueXipEnded(number, XipStatus.Withdrawn, VenueNumber.wrap(0));
        } else if (status != XipStatus.Expired) {
            revert WrongStatus(number, status);
        }
        _returnBond(number, msg.sender);
    }

    /// @notice Stops a Venue XIP, for example one that pretends to be somebody else's; its bond is the treasury's.
    /// Governance only.
    function rejectVenue(XipNumber number) external onlyGovernance nonReentrant {
        XipStatus status = statusOf(number);
        if (status != XipStatus.Review && status != XipStatus.Queued) revert WrongStatus(number, status);
        _filings[number].ended = XipStatus.Rejected;
        emit VenueXipEnded(number, XipStatus.Rejected, VenueNumber.wrap(0));
        _returnBond(number, governance);
    }

    function _returnBond(XipNumber number, address to) private {
        Filing storage filing = _filings[number];
        if (!filing.bonded) revert NothingBonded(number);
        filing.bonded = false;
        bondsHeld -= filing.bond;
        emit BondReturned(number, to, filing.bond);
        okb.safeTransfer(to, filing.bond);
    }

    function _checkRequest(address deployer, VenueRequest calldata request) private view {
        bool simulated;
        if (GroupNumber.unwrap(request.group) == 0) {
            limits.requireGroup(request.spec);
            simulated = isSimulated(request.spec.settlementToken);
        } else {
            Group storage group = _groupOf(request.group);
            if (group.steward != deployer) revert NotSteward(request.group, deployer, group.steward);
            simulated = group.simulated;
        }
        limits.requireVenue(request.config);
        rollout.requireVenue(deployer, simulated);
    }

    // ----------------------------------------------------------------- venues (their deployers)

    /// @notice Changes who decides on members, and where the venue's fees go.
    function setVenue(VenueNumber number, address registrar, VenueConfig calldata config) external nonReentrant {
        Venue storage venue = _ownVenue(number);
        limits.requireVenue(config);
        venue.registrar = registrar;
        emit VenueChanged(number, registrar, config);
        _gatewayOf(venue.group).setVenue(venue.id, listings, registrar, config);
    }

    function setMetadata(VenueNumber number, string calldata uri) external {
        _ownVenue(number);
        emit MetadataSet(number, uri);
    }

    /// @notice Closes a venue that has no market left, for good. Its stake can then be asked back.
    function closeVenue(VenueNumber number) external nonReentrant {
        _ownVenue(number).open = false;
        emit VenueClosed(number);
        slots.close(number);
    }

    function _ownVenue(VenueNumber number) private view returns (Venue storage venue) {
        venue = _venues[number];
        if (msg.sender != venue.deployer) revert NotDeployer(number, msg.sender, venue.deployer);
        if (!venue.open) revert NotOpen(number);
    }

    /// @dev Called by what is locked only.
    // slither-disable-next-line reentrancy-benign
    function _openVenue(
        GroupNumber group,
        address deployer,
        address registrar,
        VenueConfig calldata config,
        string calldata metadata
    ) private returns (VenueNumber number) {
        number = VenueNumber.wrap(++venues);
        slots.open(number, deployer);
        VenueId id = _gatewayOf(group).openVenue(listings, registrar, config);
        _venues[number] = Venue({group: group, id: id, deployer: deployer, registrar: registrar, open: true});
        emit VenueOpened(number, group, id, deployer, metadata);
    }

    // ----------------------------------------------------------------- groups (their stewards)

    /// @notice Announces new terms of an asset that a group of the caller's own has. Those who hold it are warned: they
    /// can be set when `notice` is over.
    function announceAsset(GroupNumber number, AssetConfig calldata config) external {
        _groupToSteward(number);
        Announcement memory announced =
            Announcement({content: keccak256(abi.encode(config)), dueAt: block.timestamp.toUint64() + notice});
        _announced[number][config.token] = announced;
        emit AssetAnnounced(number, config.token, config, announced.dueAt);
    }

    /// @notice Admits a token as an asset of a group, or changes its terms: the steward of a group of its own, who has
    /// announced a change, or governance for a shared one. Tokens with and without value do not meet in a group, and a
    /// shared group believes reviewed price sources only.
    function setAsset(GroupNumber number, AssetConfig calldata config) external nonReentrant returns (FeedId feed) {
        Group storage group = _groupToSteward(number);
        if (isSimulated(config.token) != group.simulated) revert ValueMixed(config.token, group.simulated);
        limits.requireAsset(config);
        if (group.steward == address(0)) reviews.requireReviewed(config.feed.source);
        else if (isAsset[number][config.token]) _useAnnouncement(number, config);
        isAsset[number][config.token] = true;
        feed = IGateway(group.gateway).setAsset(config);
        emit AssetSet(number, feed, config.token);
    }

    function _useAnnouncement(GroupNumber number, AssetConfig calldata config) private {
        Announcement memory announced = _announced[number][config.token];
        if (announced.content != keccak256(abi.encode(config))) revert AssetNotAnnounced(number, config.token);
        if (!isDue(announced.dueAt)) revert AssetNoticeRuns(announced.dueAt);
        delete _announced[number][config.token];
    }

    /// @notice Changes what may change of a group, but for its sequencer.
    function setTerms(GroupNumber number, GroupTerms calldata terms) external nonReentrant {
        _groupToSteward(number);
        GroupTerms memory changed = terms;
        changed.sequencer = _terms[number].sequencer;
        _setTerms(number, changed);
    }

    function _groupToSteward(GroupNumber number) private view returns (Group storage group) {
        group = _groupOf(number);
        address steward = group.steward == address(0) ? governance : group.steward;
        if (msg.sender != steward) revert NotSteward(number, msg.sender, steward);
    }

    function _setTerms(GroupNumber number, GroupTerms memory terms) private {
        _terms[number] = terms;
        emit TermsSet(number, terms);
        _gatewayOf(number).setTerms(terms);
    }

    /// @dev Called by what is locked only.
    // slither-disable-next-line reentrancy-benign
    function _openGroup(GroupSpec calldata spec, address steward) private returns (GroupNumber number) {
        number = GroupNumber.wrap(++groups);
        GroupTerms memory terms = GroupTerms({
            sequencer: sequencer, maxHoldings: spec.maxHoldings, keeperShare: spec.keeperShare, grace: spec.grace
        });
        _terms[number] = terms;
        Group memory made = Group(address(0), address(0), address(0), steward, isSimulated(spec.settlementToken));
        (made.group, made.gateway, made.escapeHatch) = factory.create(
            GroupFactory.Order({
                settlementToken: spec.settlementToken,
                governance: address(this),
                guardian: address(0),
                inboxDeadline: spec.inboxDeadline,
                requestFee: spec.requestFee,
                terms: terms
            }),
            bytes32(uint256(GroupNumber.unwrap(number)))
        );
        _groups[number] = made;
        emit GroupOpened(number, made, spec);
        // Through the gateway, too: it knows which terms nobody may set, the group's constructor does not.
        IGateway(made.gateway).setTerms(terms);
    }

    // ----------------------------------------------------------------- shared groups and keys (governance only)

    /// @notice Makes a group that XIPs look after.
    function openSharedGroup(GroupSpec calldata spec) external onlyGovernance nonReentrant returns (GroupNumber) {
        limits.requireGroup(spec);
        return _openGroup(spec, address(0));
    }

    /// @notice Opens a deployer's venue in a shared group. One way: its markets are the group's from then on.
    function admitVenue(
        GroupNumber number,
        address deployer,
        address registrar,
        VenueConfig calldata config,
        string calldata metadata
    ) external onlyGovernance nonReentrant returns (VenueNumber) {
        Group storage group = _groupOf(number);
        if (group.steward != address(0)) revert NotShared(number);
        limits.requireVenue(config);
        rollout.requireVenue(deployer, group.simulated);
        return _openVenue(number, deployer, registrar, config, metadata);
    }

    /// @notice Sets who signs a group's batches.
    function setGroupSequencer(GroupNumber number, address sequencer_) external onlyGovernance {
        _groupOf(number);
        GroupTerms memory terms = _terms[number];
        terms.sequencer = sequencer_;
        _setTerms(number, terms);
    }

    /// @notice Sets who signs the batches of groups that are made from now on.
    function setSequencer(address sequencer_) external onlyGovernance {
        _setSequencer(sequencer_);
    }

    function _setSequencer(address sequencer_) private {
        if (sequencer_ == address(0)) revert ZeroAddress();
        sequencer = sequencer_;
        emit SequencerSet(sequencer_);
    }

    function setBond(uint96 bond_) external onlyGovernance {
        _setBond(bond_);
    }

    function _setBond(uint96 bond_) private {
        bond = bond_;
        emit BondSet(bond_);
    }

    /// @notice Hands a group to another governor, for example a later registry. One way, by a constitutional XIP.
    function moveGroup(GroupNumber number, address governor) external onlyGovernance {
        emit GroupMoved(number, governor);
        _gatewayOf(number).setGovernor(governor);
    }

    // ----------------------------------------------------------------- the protocol's income (anyone)

    /// @notice Asks for fees that a group has credited to the protocol, at the fee of a forced request.
    function requestIncome(GroupNumber number, address token, uint128 amount) external payable nonReentrant {
        IGateway gateway = _gatewayOf(number);
        uint256 fee = gateway.requestFee();
        if (msg.value < fee) revert IGateway.FeeTooLow(fee, msg.value);
        gateway.requestWithdrawal{value: fee}(PROTOCOL, token, amount);
        if (msg.value > fee) Address.sendValue(payable(msg.sender), msg.value - fee);
    }

    /// @notice Sends to the treasury what a group could not pay out when it should have.
    function claimIncome(GroupNumber number, address token) external returns (uint256) {
        return IRiskGroup(_groupOf(number).group).claim(token, governance);
    }

    /// @notice Sends what has come in to the treasury: what forced requests have paid at a group's gateway, and what came in
    /// of a token.
    function collect(GroupNumber number, IERC20 token) external nonReentrant {
        _gatewayOf(number).collectFees(payable(governance));
        uint256 amount = token.balanceOf(address(this));
        // The bonds are their authors'.
        if (address(token) == address(okb)) amount -= bondsHeld;
        token.safeTransfer(governance, amount);
    }

    // ----------------------------------------------------------------- views

    /// @inheritdoc IXipProcedure
    function statusOf(XipNumber number) public view returns (XipStatus) {
        Filing storage filing = _filings[number];
        if (filing.author == address(0) || filing.ended != XipStatus.None) return filing.ended;
        if (!isDue(filing.executable)) return XipStatus.Review;
        return isPast(filing.executable + EXECUTION_LIFE) ? XipStatus.Expired : XipStatus.Queued;
    }

    function filingOf(XipNumber number) external view returns (Filing memory) {
        return _filings[number];
    }

    function venueOf(VenueNumber number) external view returns (Venue memory) {
        return _venues[number];
    }

    function groupOf(GroupNumber number) external view returns (Group memory) {
        return _groups[number];
    }

    /// @notice A group's terms as they were last asked for.
    function termsOf(GroupNumber number) external view returns (GroupTerms memory) {
        return _terms[number];
    }

    /// @notice Whether a token is one without value.
    function isSimulated(address token) public view returns (bool) {
        return simulatedTokens.isMade(token);
    }

    // ----------------------------------------------------------------- small rules

    function _groupOf(GroupNumber number) private view returns (Group storage group) {
        group = _groups[number];
        if (group.group == address(0)) revert NoSuchGroup(number);
    }

    function _gatewayOf(GroupNumber number) private view returns (IGateway) {
        return IGateway(_groupOf(number).gateway);
    }
}
