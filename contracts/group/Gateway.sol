// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IGateway} from "./IGateway.sol";
import {IGroupViews} from "./IGroupViews.sol";
import {IPermit2} from "./IPermit2.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Limits} from "./Limits.sol";
import {
    AccountId,
    AssetConfig,
    BuilderId,
    EventConfig,
    EventId,
    FeeTier,
    FeedId,
    GroupTerms,
    Hours,
    InboxKind,
    Liquidate,
    MarketId,
    MarketKind,
    PerpetualConfig,
    Phase,
    SignerGrant,
    SpotConfig,
    VenueConfig,
    VenueId,
    firstMarket
} from "./Types.sol";

/// @title The gateway contract
/// @notice See `IGateway`.
/// @dev It keeps what it needs to know who may ask for what; the group keeps what has taken effect. The two agree because
/// the group changes by consumed items only, and every item was queued here.
contract Gateway is IGateway, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice How many deposits, requests and changes of memberships a block admits.
    uint256 public constant DEPOSITS_PER_BLOCK = 200;
    uint256 public constant REQUESTS_PER_BLOCK = 100;
    uint256 public constant MEMBERSHIPS_PER_BLOCK = 100;
    /// @notice So many waiting items add one `baseFee` to the fee of a request.
    uint256 public constant FEE_STEP = 64;
    IPermit2 public constant PERMIT2 = IPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    /// @dev No single deposit can bring a sum of cash near the end of `int128`, whatever the token's supply.
    uint256 private constant MAX_DEPOSIT = type(uint96).max;
    /// @dev A batch must be able to re-supply the item, whatever is in it.
    uint256 private constant MAX_PAYLOAD = 16 * 1024;

    struct Venue {
        address deployer;
        address registrar;
    }

    struct Listing {
        VenueId venue;
        MarketKind kind;
        Phase phase;
        uint8 outcomes;
        FeedId feed;
        uint32 ticks;
        uint64 quantum;
        address resolver;
    }

    struct Asset {
        FeedId feed;
        uint64 lot;
        uint128 cap;
    }

    /// @dev How many items of each sort the block has admitted.
    struct Load {
        uint64 blockNumber;
        uint64 deposits;
        uint64 requests;
        uint64 memberships;
    }

    address public immutable group;
    address public immutable settlementToken;
    /// @notice What a request costs when the inbox is empty, in wei.
    uint256 public immutable baseFee;

    address public governor;
    address public guardian;
    uint64 public accounts;
    uint24 public listings;
    uint32 public venues;
    uint24 public builders;
    uint8 public feeds;
    Load private _load;
    mapping(AccountId => address) private _owners;
    mapping(AccountId => bool) private _referred;
    mapping(VenueId => Venue) private _venues;
    mapping(MarketId => Listing) private _listings;
    mapping(address token => Asset) private _assets;
    mapping(FeedId => bool) private _isAsset;

    /// @param group_ The group, which must name this gateway as its own.
    /// @param governor_ Owner of the insurance fund and of the protocol's treasury too.
    constructor(address group_, address settlementToken_, address governor_, address guardian_, uint256 baseFee_) {
        if (group_ == address(0) || governor_ == address(0) || settlementToken_ == address(0)) revert ZeroAddress();
        group = group_;
        settlementToken = settlementToken_;
        governor = governor_;
        // The zero address is nobody: there need not be a guardian.
        // slither-disable-next-line missing-zero-check
        guardian = guardian_;
        baseFee = baseFee_;
        accounts = 2;
        _owners[Ledger.INSURANCE] = governor_;
        _owners[Ledger.PROTOCOL] = governor_;
    }

    // ----------------------------------------------------------------- deposits

    /// @inheritdoc IGateway
    function deposit(AccountId id, address owner, address token, uint256 amount)
        external
        nonReentrant
        returns (AccountId)
    {
        uint256 before = IERC20(token).balanceOf(group);
        _pull(token, amount);
        return _deposited(id, owner, token, before);
    }

    /// @inheritdoc IGateway
    function depositWithPermit(
        AccountId id,
        address owner,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (AccountId) {
        // Somebody else may have used the permit already; then the allowance is there.
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        uint256 before = IERC20(token).balanceOf(group);
        _pull(token, amount);
        return _deposited(id, owner, token, before);
    }

    /// @inheritdoc IGateway
    function depositWithPermit2(
        AccountId id,
        address owner,
        address token,
        uint256 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant returns (AccountId) {
        uint256 before = IERC20(token).balanceOf(group);
        PERMIT2.permitTransferFrom(
            IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(token, amount), nonce, deadline),
            IPermit2.SignatureTransferDetails(group, amount),
            msg.sender,
            signature
        );
        return _deposited(id, owner, token, before);
    }

    function _pull(address token, uint256 amount) private {
        if (!IERC20(token).trySafeTransferFrom(msg.sender, group, amount)) revert TransferFailed(token);
    }

    /// @dev Credits what arrived, which a token that takes a fee makes less than what was sent.
    function _deposited(AccountId id, address owner, address token, uint256 before) private returns (AccountId) {
        uint256 held = IERC20(token).balanceOf(group);
        uint256 arrived = held - before;
        // Tokens that someone sends beside only make this more than nothing.
        // slither-disable-next-line incorrect-equality
        if (arrived == 0) revert ZeroAmount();
        if (arrived > MAX_DEPOSIT) revert AmountTooLarge(arrived, MAX_DEPOSIT);
        if (token != settlementToken) {
            Asset memory asset = _assets[token];
            if (FeedId.unwrap(asset.feed) == 0) revert UnknownToken(token);
            if (held > asset.cap) revert DepositCapReached(token, asset.cap, held);
        }
        Load memory load = _loadOfThisBlock();
        if (++load.deposits > DEPOSITS_PER_BLOCK) revert InboxBusy(block.number, DEPOSITS_PER_BLOCK);
        _load = load;

        if (AccountId.unwrap(id) == 0) {
            if (owner == address(0)) revert ZeroAddress();
            id = AccountId.wrap(++accounts);
            _owners[id] = owner;
        } else {
            // An isolated account is funded by a transfer from its parent, which also opens it.
            owner = _owners[id];
            if (owner == address(0)) revert NoSuchAccount(id);
            // An account can hold only so many assets, so what goes in beside cash is its owner's choice.
            if (token != settlementToken && msg.sender != owner) revert NotOwner(id, msg.sender, owner);
        }
        _enqueue(InboxKind.Deposit, abi.encode(id, owner, token, arrived.toUint128()));
        return id;
    }

    // ----------------------------------------------------------------- forced requests

    /// @dev Admits a request of the account's owner against the fee; what was paid too much goes back.
    modifier forced(AccountId id) {
        address owner = ownerOf(id);
        if (msg.sender != owner) revert NotOwner(id, msg.sender, owner);
        Load memory load = _loadOfThisBlock();
        if (++load.requests > REQUESTS_PER_BLOCK) revert InboxBusy(block.number, REQUESTS_PER_BLOCK);
        _load = load;
        uint256 fee = requestFee();
        if (msg.value < fee) revert FeeTooLow(fee, msg.value);
        _;
        if (msg.value > fee) Address.sendValue(payable(msg.sender), msg.value - fee);
    }

    /// @inheritdoc IGateway
    function requestWithdrawal(AccountId id, address token, uint128 amount) external payable forced(id) {
        if (amount == 0) revert ZeroAmount();
        if (token != settlementToken && FeedId.unwrap(_assets[token].feed) == 0) revert UnknownToken(token);
        _enqueue(InboxKind.ForcedWithdrawal, abi.encode(id, token, amount));
    }

    /// @inheritdoc IGateway
    function requestCancelAll(AccountId id, uint64 floor) external payable forced(id) {
        // The highest floor would close the account.
        if (floor == Ledger.CLOSED) revert InvalidConfig("floor");
        _enqueue(InboxKind.CancelAll, abi.encode(id, floor));
    }

    /// @inheritdoc IGateway
    function requestClose(AccountId id, MarketId market) external payable forced(id) {
        _requirePerpetual(market);
        _enqueue(InboxKind.ForcedClose, abi.encode(id, market));
    }

    /// @inheritdoc IGateway
    function requestLiquidation(Liquidate calldata request) external payable forced(request.keeper) {
        _requirePerpetual(request.market);
        _enqueue(InboxKind.ForcedLiquidation, abi.encode(request));
    }

    /// @inheritdoc IGateway
    function setSigner(AccountId id, SignerGrant calldata grant) external payable forced(id) {
        if (Ledger.isIsolated(id)) revert NoSuchAccount(id);
        if (grant.signer == address(0)) revert ZeroAddress();
        if (grant.expiry > type(uint48).max) revert InvalidConfig("expiry");
        _enqueue(InboxKind.SignerSet, abi.encode(id, grant));
    }

    /// @inheritdoc IGateway
    function setReferrer(AccountId id, BuilderId referrer) external payable forced(id) {
        if (BuilderId.unwrap(referrer) == 0 || BuilderId.unwrap(referrer) > builders) revert NoSuchBuilder(referrer);
        if (_referred[id]) revert ReferrerAlreadySet(id, referrer);
        _referred[id] = true;
        _enqueue(InboxKind.ReferrerSet, abi.encode(id, referrer));
    }

    /// @inheritdoc IGateway
    function registerBuilder(AccountId id) external payable forced(id) returns (BuilderId builder) {
        // An isolated account may not have been opened, and holds what it has for one market.
        if (Ledger.isIsolated(id)) revert NoSuchAccount(id);
        builder = BuilderId.wrap(++builders);
        _enqueue(InboxKind.BuilderSet, abi.encode(builder, id));
    }

    // ----------------------------------------------------------------- venues

    /// @inheritdoc IGateway
    function openVenue(address deployer, address registrar, VenueConfig calldata config) external returns (VenueId id) {
        _requireGovernor();
        id = VenueId.wrap(++venues);
        _setVenue(id, deployer, registrar, config);
    }

    /// @inheritdoc IGateway
    function setVenue(VenueId id, address deployer, address registrar, VenueConfig calldata config) external {
        _requireGovernor();
        if (_venues[id].deployer == address(0)) revert NoSuchVenue(id);
        _setVenue(id, deployer, registrar, config);
    }

    function _setVenue(VenueId id, address deployer, address registrar, VenueConfig calldata config) private {
        if (deployer == address(0)) revert ZeroAddress();
        Limits.requireVenue(config, AccountId.unwrap(config.treasury), accounts);
        _venues[id] = Venue({deployer: deployer, registrar: registrar});
        _enqueue(InboxKind.VenueSet, abi.encode(id, config));
    }

    /// @inheritdoc IGateway
    function setMembership(AccountId id, VenueId venue, uint64 until) external {
        address registrar = _venues[venue].registrar;
        if (msg.sender != registrar) revert NotRegistrar(venue, msg.sender, registrar);
        if (_owners[id] == address(0)) revert NoSuchAccount(id);
        Load memory load = _loadOfThisBlock();
        if (++load.memberships > MEMBERSHIPS_PER_BLOCK) revert InboxBusy(block.number, MEMBERSHIPS_PER_BLOCK);
        _load = load;
        _enqueue(InboxKind.MembershipSet, abi.encode(id, venue, until));
    }

    /// @inheritdoc IGateway
    function setFeeTiers(VenueId id, FeeTier[] calldata tiers) external {
        _requireDeployer(id);
        Limits.requireFeeTiers(tiers);
        _enqueue(InboxKind.FeeTiersSet, abi.encode(id, tiers));
    }

    // ----------------------------------------------------------------- markets

    /// @inheritdoc IGateway
    function openEvent(EventConfig calldata config) external returns (EventId id) {
        _requireDeployer(config.terms.venue);
        Limits.requireEvent(config);
        id = EventId.wrap(++listings);
        bytes memory payload = abi.encode(id, config);
        if (payload.length > MAX_PAYLOAD) revert InvalidConfig("payload");
        Listing storage listing = _listings[firstMarket(id)];
        (listing.venue, listing.kind, listing.phase) = (config.terms.venue, MarketKind.Outcome, Phase.Open);
        (listing.outcomes, listing.ticks, listing.resolver) = (config.outcomes, config.ticks, config.resolver);
        _enqueue(InboxKind.EventOpened, payload);
    }

    /// @inheritdoc IGateway
    function resolveEvent(EventId id, uint64[] calldata payouts) external {
        Listing storage listing = _listings[firstMarket(id)];
        if (msg.sender != listing.resolver) revert NotResolver(id, msg.sender, listing.resolver);
        if (listing.phase == Phase.Delisted) revert AlreadyResolved(id);
        uint256 sum;
        for (uint256 outcome = 0; outcome < payouts.length; ++outcome) {
            sum += payouts[outcome];
        }
        if (payouts.length != listing.outcomes || sum != listing.ticks) {
            revert InvalidPayouts(listing.outcomes, payouts.length, listing.ticks, sum);
        }
        listing.phase = Phase.Delisted;
        _enqueue(InboxKind.EventResolved, abi.encode(id, payouts));
    }

    /// @inheritdoc IGateway
    function listSpot(SpotConfig calldata config) external returns (MarketId id) {
        _requireDeployer(config.terms.venue);
        Limits.requireSpot(config);
        if (!_isAsset[config.asset]) revert InvalidConfig("asset");
        id = firstMarket(EventId.wrap(++listings));
        Listing storage listing = _listings[id];
        (listing.venue, listing.kind, listing.phase) = (config.terms.venue, MarketKind.Spot, Phase.Open);
        _enqueueText(InboxKind.SpotListed, abi.encode(id, config));
    }

    /// @inheritdoc IGateway
    function listPerpetual(PerpetualConfig calldata config) external returns (MarketId id) {
        _requireDeployer(config.terms.venue);
        Limits.requirePerpetual(config);
        id = firstMarket(EventId.wrap(++listings));
        Listing storage listing = _listings[id];
        (listing.venue, listing.kind, listing.phase) = (config.terms.venue, MarketKind.Perpetual, Phase.Open);
        (listing.feed, listing.quantum) = (FeedId.wrap(++feeds), config.terms.quantum);
        _enqueueText(InboxKind.PerpetualSet, abi.encode(id, listing.feed, config));
    }

    /// @inheritdoc IGateway
    function setPerpetual(MarketId id, PerpetualConfig calldata config) external {
        _requirePerpetual(id);
        Listing storage listing = _listings[id];
        _requireDeployer(listing.venue);
        Limits.requirePerpetual(config);
        if (VenueId.unwrap(config.terms.venue) != VenueId.unwrap(listing.venue)) revert InvalidConfig("venue");
        if (config.terms.quantum != listing.quantum) revert InvalidConfig("quantum");
        _enqueueText(InboxKind.PerpetualSet, abi.encode(id, listing.feed, config));
    }

    /// @inheritdoc IGateway
    function setPhase(MarketId id, Phase phase) external {
        Listing storage listing = _listings[id];
        Phase from = listing.phase;
        if (from == Phase.None) revert NoSuchMarket(id);
        bool stops = phase == Phase.ReduceOnly || phase == Phase.Halted;
        if (msg.sender != guardian || !stops) _requireDeployer(listing.venue);
        // An event is delisted by its resolution.
        bool decided = phase == Phase.Delisted && listing.kind == MarketKind.Outcome;
        if (from == Phase.Delisted || phase == Phase.None || decided) revert PhaseNotAllowed(id, from, phase);
        listing.phase = phase;
        _enqueue(InboxKind.PhaseSet, abi.encode(id, phase));
    }

    /// @inheritdoc IGateway
    function setHours(MarketId id, Hours calldata tradingHours) external {
        Listing storage listing = _listings[id];
        if (listing.phase == Phase.None) revert NoSuchMarket(id);
        _requireDeployer(listing.venue);
        Limits.requireHours(tradingHours);
        _enqueue(InboxKind.HoursSet, abi.encode(id, tradingHours));
    }

    // ----------------------------------------------------------------- the group

    /// @inheritdoc IGateway
    function setAsset(AssetConfig calldata config) external returns (FeedId id) {
        _requireGovernor();
        if (config.token == settlementToken) revert InvalidConfig("token");
        Limits.requireAsset(config);
        Asset storage asset = _assets[config.token];
        if (FeedId.unwrap(asset.feed) == 0) {
            asset.feed = FeedId.wrap(++feeds);
            asset.lot = config.lot;
            _isAsset[asset.feed] = true;
        }
        if (asset.lot != config.lot) revert InvalidConfig("lot");
        asset.cap = config.cap;
        id = asset.feed;
        _enqueue(InboxKind.AssetSet, abi.encode(id, config));
    }

    /// @inheritdoc IGateway
    function setTerms(GroupTerms calldata terms) external {
        _requireGovernor();
        Limits.requireGroupTerms(terms);
        _enqueue(InboxKind.TermsSet, abi.encode(terms));
    }

    /// @inheritdoc IGateway
    function setGuardian(address guardian_) external {
        _requireGovernor();
        // As in the constructor.
        // slither-disable-next-line missing-zero-check
        guardian = guardian_;
    }

    /// @inheritdoc IGateway
    function setGovernor(address governor_) external {
        _requireGovernor();
        if (governor_ == address(0)) revert ZeroAddress();
        governor = governor_;
    }

    /// @inheritdoc IGateway
    function collectFees(address payable to) external returns (uint256 amount) {
        _requireGovernor();
        amount = address(this).balance;
        Address.sendValue(to, amount);
    }

    // ----------------------------------------------------------------- views

    /// @inheritdoc IGateway
    function ownerOf(AccountId id) public view returns (address) {
        return _owners[Ledger.parentOf(id)];
    }

    /// @inheritdoc IGateway
    function deployerOf(VenueId id) external view returns (address) {
        return _venues[id].deployer;
    }

    /// @inheritdoc IGateway
    function resolverOf(EventId id) external view returns (address) {
        return _listings[firstMarket(id)].resolver;
    }

    /// @inheritdoc IGateway
    function requestFee() public view returns (uint256) {
        (uint64 head, uint64 tail) = IGroupViews(group).inbox();
        return baseFee * (1 + (tail - head) / FEE_STEP);
    }

    // ----------------------------------------------------------------- small rules

    function _enqueue(InboxKind kind, bytes memory payload) private {
        IRiskGroup(group).enqueue(kind, payload);
    }

    function _enqueueText(InboxKind kind, bytes memory payload) private {
        if (payload.length > MAX_PAYLOAD) revert InvalidConfig("payload");
        _enqueue(kind, payload);
    }

    function _loadOfThisBlock() private view returns (Load memory load) {
        load = _load;
        if (load.blockNumber != block.number) load = Load(block.number.toUint64(), 0, 0, 0);
    }

    function _requireGovernor() private view {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
    }

    function _requireDeployer(VenueId id) private view {
        address deployer = _venues[id].deployer;
        if (msg.sender != deployer) revert NotDeployer(id, msg.sender, deployer);
    }

    function _requirePerpetual(MarketId id) private view {
        Listing storage listing = _listings[id];
        if (listing.phase == Phase.None || listing.kind != MarketKind.Perpetual) revert NoSuchMarket(id);
    }
}
