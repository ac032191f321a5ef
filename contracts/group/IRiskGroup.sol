// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, Batch, EventConfig, EventId, InboxKind, MarketId, Signature} from "./Types.sol";

/// @title A risk group: one segregated pool of collateral, its accounts, its events and its chain of batches
/// @notice Traders, keepers and auditors read this page; the code behind it carries no further promises.
/// Amounts are in atoms of the settlement token unless said otherwise.
interface IRiskGroup {
    // ----------------------------------------------------------------- events

    /// @notice The chain told the sequencer something; it takes effect when a batch consumes the item.
    event InboxQueued(uint64 indexed index, InboxKind kind, uint64 time, bytes payload);

    /// @notice A frame was settled. `inboxHead` is the first inbox item that is not consumed yet.
    event BatchSettled(
        uint64 indexed id, bytes32 hash, uint64 time, uint64 sequence, bytes32 logHash, uint64 inboxHead
    );

    /// @notice `amount` left the account. `delivered` is false if the token refused the transfer and the owner may
    /// `claim` it instead.
    event Withdrawn(AccountId indexed account, address indexed owner, uint256 amount, bool delivered);

    /// @notice `owner` collected what the token had refused to deliver.
    event Claimed(address indexed owner, address to, uint256 amount);

    // ----------------------------------------------------------------- errors: requests

    error NotDeployer(address caller, address deployer);
    error NotResolver(EventId eventId, address caller, address resolver);
    error NotOwner(AccountId account, address caller, address owner);
    error NoSuchAccount(AccountId account);
    error UnknownToken(address token, address settlementToken);
    error ZeroAmount();
    error AmountTooLarge(uint256 amount, uint256 limit);
    error TransferFailed(address token);
    error InvalidEventConfig(bytes32 field);
    error AlreadyResolved(EventId eventId);
    error InvalidPayouts(uint256 expectedLength, uint256 length, uint256 expectedSum, uint256 sum);
    error NothingToClaim(address owner);
    error InvalidGroupConfig(bytes32 field);

    // ----------------------------------------------------------------- errors: batches, in the order of the steps

    error MalformedCalldata();
    error WrongBatchId(uint64 expected, uint64 got);
    error WrongParent(bytes32 expected, bytes32 got);
    error WrongSequencer(address expected, address recovered);
    error FrameTimeWentBack(uint64 last, uint64 got);
    error SequenceWentBack(uint64 last, uint64 got);
    error FrameTimeOutOfRange(uint64 time, uint64 earliest, uint64 latest);

    /// @notice The item supplied at `index` is not the one that was queued there (skipped, altered or invented).
    error InboxMismatch(uint64 index, bytes32 expected, bytes32 got);
    error InboxOverdue(uint64 index, uint64 queuedAt, uint64 deadline);

    error EventNotResolved(EventId eventId);
    error NothingToRedeem(AccountId account, EventId eventId);

    error MarketNotOpen(MarketId market);
    error MarketsNotAscending(MarketId previous, MarketId got);
    error OrderForAnotherMarket(MarketId expected, MarketId got);
    error OrderSignedByAnother(AccountId account, uint64 nonce, address expected, address recovered);
    error OrderExpired(AccountId account, uint64 nonce, uint64 expiry, uint64 time);
    error OrderSpent(AccountId account, uint64 nonce);
    error NonceOfAnotherOrder(AccountId account, uint64 nonce);
    error OrderOverfilled(AccountId account, uint64 nonce, uint64 size, uint256 filled);
    error FillOrKillNotFilled(AccountId account, uint64 nonce, uint64 size, uint64 filled);
    error EmptyFill(AccountId account, uint64 nonce);
    error PriceOutOfRange(AccountId account, uint64 nonce, uint64 price, uint64 ticks);
    /// @notice No trade at prices from 1 to `ticks - 1` can have this notional.
    error NotionalOutOfRange(AccountId account, uint64 nonce, uint256 lowest, uint256 highest, uint256 notional);
    error PriceWorseThanLimit(AccountId account, uint64 nonce, uint256 limit, uint256 notional);
    error FeeAboveLimit(AccountId account, uint64 nonce, uint256 limit, uint256 fee);
    error ReduceOnlyNotSupported(AccountId account, uint64 nonce);
    error BuilderNotSupported(AccountId account, uint64 nonce);
    error SizesDoNotSumToZero(MarketId market, int256 sum);
    error NotionalsDoNotSumToZero(MarketId market, int256 sum);
    error PositionOutOfRange(AccountId account, MarketId market, int256 position);

    error WithdrawSignedByAnother(AccountId account, uint64 nonce, address expected, address recovered);
    error WithdrawExpired(AccountId account, uint64 nonce, uint64 expiry, uint64 time);
    error NonceSpent(AccountId account, uint64 nonce);

    error MarginShortfall(AccountId account, int256 health);

    /// @notice The sender of the batch gave it too little gas for its transfers; the batch itself is fine.
    error GasTooLow(uint256 needed, uint256 left);

    /// @notice What `probe` answers. `failure` is empty if the batch would settle, else the error it would fail with.
    error Probed(uint256 gasUsed, bytes failure);

    // ----------------------------------------------------------------- requests: the doors into the inbox

    /// @notice Moves `amount` of the settlement token from the caller into the group and credits what arrived to
    /// `account`, or to a new account of the caller if `account` is 0. Usable once a batch has consumed the item.
    /// @return The account.
    function deposit(AccountId account, uint256 amount) external returns (AccountId);

    /// @notice Asks for `amount` to be paid to the owner without the sequencer's consent. When consumed it pays as much
    /// of it as the account can spare without leaving initial health below zero. Owner only.
    function requestWithdrawal(AccountId account, uint128 amount) external;

    /// @notice Opens an event with a market per outcome. Deployer only.
    /// @return The event's number.
    function openEvent(EventConfig calldata config) external returns (EventId);

    /// @notice Decides an event: what a lot of each outcome pays, in ticks, adding up to the event's `ticks`. A winner,
    /// a split and a void are all vectors of this kind. The event's resolver only, once.
    function resolveEvent(EventId eventId, uint64[] calldata payouts) external;

    /// @notice Pays the caller what the token refused to deliver to it, to an address of its choice.
    function claim(address to) external returns (uint256 amount);

    // ----------------------------------------------------------------- settlement

    /// @notice Verifies one frame and applies it whole, or reverts. Anyone may send it; the sequencer's signature over
    /// it is what counts: EIP-712 `Batch(uint64 id,bytes32 parent,bytes32 content)`, where `content` is the keccak of
    /// the batch's ABI encoding in the calldata. The struct hash of that message is the batch's hash.
    function settle(Batch calldata batch, Signature calldata signature) external;

    /// @notice Tries `settle` and reverts with `Probed` in any case: call it, never send it.
    function probe(Batch calldata batch, Signature calldata signature) external;

    // ----------------------------------------------------------------- views

    struct AccountView {
        address owner;
        int128 cash;
        int128 worstPayoff;
    }

    struct EventView {
        uint32 venue;
        uint8 outcomes;
        uint64 ticks;
        uint64 quantum;
        uint32 takerFee;
        uint32 makerFee;
        AccountId treasury;
        address resolver;
        EventState state;
    }

    /// @notice Pending: queued, not yet consumed. Open: its markets settle fills. Resolved: its positions redeem.
    enum EventState {
        None,
        Pending,
        Open,
        Resolved
    }

    function settlementToken() external view returns (address);
    function sequencer() external view returns (address);
    function deployer() external view returns (address);
    /// @notice Milliseconds after which a batch must have consumed an inbox item.
    function inboxDeadline() external view returns (uint64);
    function domainSeparator() external view returns (bytes32);

    /// @notice Id, hash, frame time and log sequence of the last settled batch.
    function lastBatch() external view returns (uint64 id, bytes32 hash, uint64 time, uint64 sequence);
    /// @notice The inbox holds items from `head` (the next to consume) up to but excluding `tail`.
    function inbox() external view returns (uint64 head, uint64 tail);
    function inboxHash(uint64 index) external view returns (bytes32);
    /// @notice How many accounts exist; they are numbered from 1.
    function accounts() external view returns (uint64);
    /// @notice How many events exist; they are numbered from 1.
    function events() external view returns (uint24);

    function account(AccountId id) external view returns (AccountView memory);
    function eventInfo(EventId id) external view returns (EventView memory);
    /// @notice Lots per outcome that the account holds in an event; negative is short.
    function positions(AccountId id, EventId eventId) external view returns (int64[] memory);
    /// @notice Ticks per lot that each outcome of a resolved event pays.
    function payouts(EventId id) external view returns (uint64[] memory);
    /// @notice Whether the nonce can never fill again, and how much of a partly filled order is filled.
    function nonceState(AccountId id, uint64 nonce) external view returns (bool spent, uint64 filled);
    /// @notice What `owner` may `claim`.
    function claimable(address owner) external view returns (uint256);
}
