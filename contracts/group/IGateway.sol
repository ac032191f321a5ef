// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

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
    Liquidate,
    MarketId,
    PerpetualConfig,
    Phase,
    SignerGrant,
    SpotConfig,
    VenueConfig,
    VenueId
} from "./Types.sol";

/// @title The doors into a risk group's inbox
/// @notice Everything that users, deployers and governance ask of a group enters here, is checked so that a batch can
/// always apply it, and takes effect when a batch consumes it. The gateway holds no tokens: deposits go straight to the
/// group. Amounts are in atoms.
///
/// Requests that only burden the sequencer pay a fee in the chain's coin, `requestFee()`, which grows with the queue, and
/// each block admits a bounded number of items, so that a batch can always consume what a block brought.
interface IGateway {
    // ----------------------------------------------------------------- errors

    error NotGovernor(address caller, address governor);
    error NotGuardian(address caller, address guardian);
    error NotDeployer(VenueId venue, address caller, address deployer);
    error NotResolver(EventId eventId, address caller, address resolver);
    error NotRegistrar(VenueId venue, address caller, address registrar);
    error NotOwner(AccountId account, address caller, address owner);
    error NoSuchAccount(AccountId account);
    error NoSuchVenue(VenueId venue);
    error NoSuchMarket(MarketId market);
    error NoSuchBuilder(BuilderId builder);
    error UnknownToken(address token);
    error ZeroAmount();
    error ZeroAddress();
    error AmountTooLarge(uint256 amount, uint256 limit);
    /// @notice A token that delivers more than was sent, or nothing, or that answers false.
    error TransferFailed(address token);
    error DepositCapReached(address token, uint256 cap, uint256 held);
    error FeeTooLow(uint256 required, uint256 paid);
    /// @notice This block's share of the inbox is used up; try again in the next.
    error InboxBusy(uint256 blockNumber, uint256 limit);
    error InvalidConfig(bytes32 field);
    error AlreadyResolved(EventId eventId);
    error InvalidPayouts(uint256 expectedLength, uint256 length, uint256 expectedSum, uint256 sum);
    /// @notice A listing's life goes forward only: delisted is final, and an event ends by its resolver.
    error PhaseNotAllowed(MarketId market, Phase from, Phase to);
    error ReferrerAlreadySet(AccountId account, BuilderId referrer);

    // ----------------------------------------------------------------- deposits

    /// @notice Moves `amount` of `token` from the caller into the group and credits what arrived to `account`, or to a new
    /// account of `owner` if `account` is 0. Anyone may deposit for anyone. No fee.
    /// @return The account.
    function deposit(AccountId account, address owner, address token, uint256 amount) external returns (AccountId);

    /// @notice As `deposit`, with the allowance given by the caller's ERC-2612 signature.
    function depositWithPermit(
        AccountId account,
        address owner,
        address token,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (AccountId);

    /// @notice As `deposit`, by the caller's Permit2 `PermitTransferFrom` signature with this gateway as spender.
    function depositWithPermit2(
        AccountId account,
        address owner,
        address token,
        uint256 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external returns (AccountId);

    // ----------------------------------------------------------------- forced requests (owner only, `requestFee()` each)

    /// @notice Asks for `amount` of `token` to be paid to the owner without the sequencer's consent. When consumed it pays
    /// as much of it as the account can spare.
    function requestWithdrawal(AccountId account, address token, uint128 amount) external payable;

    /// @notice Spends every nonce below `floor`.
    function requestCancelAll(AccountId account, uint64 floor) external payable;

    /// @notice Asks for the account's whole position in a perpetual to be closed at no worse than index price less the
    /// market's penalty.
    function requestClose(AccountId account, MarketId market) external payable;

    /// @notice Asks for a liquidation that the sequencer ignored; the caller owns `request.keeper`. It happens in the batch
    /// that consumes it, if the account is failing and the keeper can carry the position; nonce and expiry do not matter.
    function requestLiquidation(Liquidate calldata request) external payable;

    /// @notice Lets a key act for the account, or changes or revokes (expiry 0) what it may.
    function setSigner(AccountId account, SignerGrant calldata grant) external payable;

    /// @notice Names who referred the account, once.
    function setReferrer(AccountId account, BuilderId referrer) external payable;

    /// @notice Registers the caller's account as a builder and referrer.
    /// @return The builder's number.
    function registerBuilder(AccountId account) external payable returns (BuilderId);

    // ----------------------------------------------------------------- venues

    /// @notice Opens a venue, or changes its fee shares. Governor only; `deployer` lists its markets, `registrar` decides
    /// who is a member.
    /// @return The venue.
    function openVenue(address deployer, address registrar, VenueConfig calldata config) external returns (VenueId);
    function setVenue(VenueId venue, address deployer, address registrar, VenueConfig calldata config) external;

    /// @notice Records that an account is a member of the venue until a date (0: no longer). The venue's registrar only.
    function setMembership(AccountId account, VenueId venue, uint64 until) external;

    /// @notice Sets what those pay who trade much at the venue: at most eight tiers, each of more volume than the one before
    /// and of shares that are not higher; none ends all discounts. The deployer only.
    function setFeeTiers(VenueId venue, FeeTier[] calldata tiers) external;

    // ----------------------------------------------------------------- markets (the venue's deployer only)

    /// @notice Opens an event with a market per outcome.
    function openEvent(EventConfig calldata config) external returns (EventId);

    /// @notice Decides an event: what a lot of each outcome pays, in ticks, adding up to the event's `ticks`. A winner,
    /// a split and a void are all vectors of this kind. The event's resolver only, once.
    function resolveEvent(EventId eventId, uint64[] calldata payouts) external;

    function listSpot(SpotConfig calldata config) external returns (MarketId);
    function listPerpetual(PerpetualConfig calldata config) external returns (MarketId);

    /// @notice Changes a perpetual's terms; its quantum and venue stay.
    function setPerpetual(MarketId market, PerpetualConfig calldata config) external;

    /// @notice Moves a market to another phase. The deployer to any: a market that stays in `Auction` is one of call auctions.
    /// `Delisted` is for good, and an event's comes with its resolution. The guardian to reduce-only or halted.
    function setPhase(MarketId market, Phase phase) external;

    /// @notice Sets when a market trades, in whatever phase it is. The deployer only. Leaving through the inbox has no hours.
    function setHours(MarketId market, Hours calldata tradingHours) external;

    // ----------------------------------------------------------------- the group (governor only)

    /// @notice Admits a token as an asset of the group, or changes all but its lot.
    function setAsset(AssetConfig calldata config) external returns (FeedId);
    function setTerms(GroupTerms calldata terms) external;
    function setGuardian(address guardian) external;
    function setGovernor(address governor) external;

    /// @notice Sends the fees that requests have paid to `to`. Governor only.
    function collectFees(address payable to) external returns (uint256 amount);

    // ----------------------------------------------------------------- views

    function group() external view returns (address);
    function governor() external view returns (address);
    function guardian() external view returns (address);
    /// @notice How many accounts exist; they are numbered from 1. Isolated accounts are not counted.
    function accounts() external view returns (uint64);
    function ownerOf(AccountId account) external view returns (address);
    /// @notice How many listings (events, spot markets, perpetuals) exist; they are numbered from 1.
    function listings() external view returns (uint24);
    function venues() external view returns (uint32);
    function deployerOf(VenueId venue) external view returns (address);
    function resolverOf(EventId eventId) external view returns (address);
    /// @notice What a forced request costs now, in wei of the chain's coin.
    function requestFee() external view returns (uint256);
}
