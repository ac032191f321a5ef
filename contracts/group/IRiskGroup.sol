// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    Batch,
    BuilderId,
    Counterparty,
    FeedId,
    InboxItem,
    InboxKind,
    MarketId,
    Signature,
    Ticks,
    VenueId
} from "./Types.sol";

/// @title A risk group: one segregated pool of collateral, its accounts, its markets and its chain of batches
/// @notice Traders, keepers and auditors read this page; the code behind it carries no further promises. Requests come
/// through the group's `IGateway`, settlement through `settle`, and when the sequencer is gone, `freeze` and the group's
/// `IEscapeHatch`. Amounts are in atoms of the settlement token unless said otherwise.
///
/// Accounts that fail. An account whose maintenance health is below zero can be flagged; from then on keepers liquidate it
/// at index price less a penalty, as far as restores its initial health. After the grace period the insurance fund takes
/// positions at the bankruptcy price while it can carry them, else the most profitable opposite accounts are deleveraged
/// at that price. An account that owes cash has its assets converted by keepers. A debt with nothing behind it is paid by
/// the insurance fund as far as it can; all accounts share the rest in proportion.
interface IRiskGroup {
    // ----------------------------------------------------------------- events

    /// @notice The chain told the sequencer something; it takes effect when a batch consumes the item.
    event InboxQueued(uint64 indexed index, InboxKind kind, uint64 time, bytes payload);

    /// @notice A frame was settled. `inboxHead` is the first inbox item that is not consumed yet.
    event BatchSettled(
        uint64 indexed id, bytes32 hash, uint64 time, uint64 sequence, bytes32 logHash, uint64 inboxHead
    );

    /// @notice `amount` atoms of `token` left the account for its owner, or through `gateway` for another group.
    /// `delivered` is false if the transfer was refused and the owner may `claim` it instead.
    event Withdrawn(
        AccountId indexed account, address indexed owner, address token, uint256 amount, address gateway, bool delivered
    );

    /// @notice `owner` collected what could not be delivered.
    event Claimed(address indexed owner, address token, address to, uint256 amount);

    /// @notice An account for one market was opened by a transfer from its parent.
    event IsolatedOpened(AccountId indexed account, address indexed owner);

    /// @notice TooRare: `value` is the time between two prices, `bound` the longest allowed, in milliseconds. TooFar:
    /// `value` is the price that the source gave, `bound` the one that was taken instead. TooOld: `value` is the age of a
    /// price that is new, `bound` the age from which it carries no new risk, in milliseconds.
    enum IncidentKind {
        TooRare,
        TooFar,
        TooOld
    }

    /// @notice A price broke a rule of its feed. `incident(number)` keeps the hash of this record for good.
    event Incident(
        uint64 indexed number,
        VenueId venue,
        FeedId feed,
        IncidentKind kind,
        uint256 value,
        uint256 bound,
        uint64 time,
        bytes32 evidence
    );

    /// @notice The account is failing; the insurance fund may act when the grace period is over.
    event Flagged(AccountId indexed account, uint64 time);

    /// @notice A keeper took `size` lots worth `value`; `penalty` was charged.
    event Liquidated(
        AccountId indexed account, AccountId indexed keeper, MarketId market, int256 size, int256 value, uint256 penalty
    );

    /// @notice A keeper bought `amount` atoms of an asset for `paid`.
    event Converted(AccountId indexed account, AccountId indexed keeper, FeedId asset, uint256 amount, uint256 paid);

    /// @notice The insurance fund took a position for `received` (negative if the account paid).
    event TakenOver(AccountId indexed account, MarketId market, int256 size, int256 received);

    /// @notice Opposite accounts closed against a position for `received` in all.
    event Deleveraged(
        AccountId indexed account, MarketId market, int256 size, int256 received, Counterparty[] counterparties
    );

    /// @notice The account owed `debt`; the fund paid `paid`, all accounts share the rest. It is closed.
    event Bankrupt(AccountId indexed account, uint256 debt, uint256 paid);

    /// @notice The group will never settle again; `IEscapeHatch` pays everybody out.
    event Frozen(uint64 time);

    // ----------------------------------------------------------------- errors: who, what

    error NotGateway(address caller, address gateway);
    error NotEscapeHatch(address caller, address escapeHatch);
    error NoSuchAccount(AccountId account);
    error UnknownToken(address token, address settlementToken);
    error ZeroAmount();
    error TransferFailed(address token);
    error NothingToClaim(address owner, address token);
    error InvalidGroupConfig(bytes32 field);

    // ----------------------------------------------------------------- errors: batches, in the order of the steps

    error MalformedCalldata();
    error GroupFrozen(uint64 since);
    error WrongBatchId(uint64 expected, uint64 got);
    error WrongParent(bytes32 expected, bytes32 got);
    error WrongSequencer(address expected, address recovered);
    error FrameTimeWentBack(uint64 last, uint64 got);
    error SequenceWentBack(uint64 last, uint64 got);
    error FrameTimeOutOfRange(uint64 time, uint64 earliest, uint64 latest);

    /// @notice The item supplied at `index` is not the one that was queued there (skipped, altered or invented).
    error InboxMismatch(uint64 index, bytes32 expected, bytes32 got);
    error InboxOverdue(uint64 index, uint64 queuedAt, uint64 deadline);

    error FeedsNotAscending(FeedId previous, FeedId got);
    /// @notice The feed does not exist, takes no prices any more, has none yet or a stale one, or is not of that kind.
    error FeedNotPriced(FeedId feed);
    error PriceTimeOutOfRange(FeedId feed, uint64 publishedAt, uint64 last, uint64 frame);
    error PriceOutOfBounds(FeedId feed, uint256 price, uint256 highest);
    error FundingAboveCap(FeedId feed, uint256 move, uint256 cap);

    error MarketNotDelisted(MarketId market);
    error NothingToRedeem(AccountId account, MarketId market);

    error NotFailing(AccountId account, int256 maintenanceHealth);
    /// @notice The account owes more than it has: a keeper may take its last perpetual position, whole, and no other.
    error NotWholeLastPosition(AccountId account, MarketId market);
    /// @notice What the account would be left owing is more than the market's losses may be.
    error LossAboveCap(MarketId market, uint256 loss, uint256 cap);
    error AlreadyFlagged(AccountId account, uint64 since);
    error KeepersHaveTime(AccountId account, uint64 flaggedAt, uint64 grace, uint64 time);
    error SameOwner(AccountId keeper, AccountId account, address owner);
    error IsolatedOnly(AccountId account, MarketId market);
    error NotMember(AccountId account, VenueId venue);
    error NotPerpetual(MarketId market);
    error NothingToLiquidate(AccountId account, MarketId market);
    error PriceWorseThanKeeperLimit(AccountId keeper, uint256 limit, uint256 price);
    error NothingToConvert(AccountId account, FeedId asset);
    error AccountOwesNothing(AccountId account, int256 usd);
    error FundCannotCarry(MarketId market, int256 size, int256 loss);
    error FundCanCarry(MarketId market, int256 size);
    error NotAnOppositePosition(AccountId account, MarketId market, int256 size, uint256 lots);
    error NotInRankedOrder(AccountId account, uint256 rank, uint256 previous);
    error DeleveragedTooMuch(AccountId account, MarketId market, uint256 size, uint256 closed);
    error StillHolds(AccountId account, FeedId feed);

    error MarketNotOpen(MarketId market);
    error MarketsNotAscending(MarketId previous, MarketId got);
    error OrderForAnotherMarket(MarketId expected, MarketId got);
    error OrderSignedByAnother(AccountId account, uint64 nonce, address expected, address recovered);
    error NoSuchTree(AccountId account, uint64 nonce, uint256 tree);
    error NotInTree(AccountId account, uint64 nonce, bytes32 root);
    error NotForced(AccountId account, MarketId market, uint256 left, uint256 filled);
    error OrderExpired(AccountId account, uint64 nonce, uint64 expiry, uint64 time);
    error NonceBelowFloor(AccountId account, uint64 nonce, uint64 floor);
    error OrderSpent(AccountId account, uint64 nonce);
    error NonceOfAnotherOrder(AccountId account, uint64 nonce);
    error OrderOverfilled(AccountId account, uint64 nonce, uint64 size, uint256 filled);
    error FillOrKillNotFilled(AccountId account, uint64 nonce, uint64 size, uint64 filled);
    error EmptyFill(AccountId account, uint64 nonce);
    error PriceOutOfRange(AccountId account, uint64 nonce, Ticks price, uint256 highest);
    /// @notice No trades at prices that the market has can have this notional.
    error NotionalOutOfRange(AccountId account, uint64 nonce, uint256 lowest, uint256 highest, uint256 notional);
    error PriceWorseThanLimit(AccountId account, uint64 nonce, uint256 limit, uint256 notional);
    /// @notice In a call auction every line has the price of the first one, which filled `lots` for `notional`.
    error NotOnePrice(AccountId account, uint64 nonce, uint256 lots, uint256 notional);
    error FeeAboveLimit(AccountId account, uint64 nonce, uint256 limit, int256 fee);
    error RebateAboveLimit(AccountId account, uint64 nonce, uint256 limit, int256 fee);
    error NoSuchBuilder(AccountId account, uint64 nonce, BuilderId builder);
    /// @notice The order, its market's phase, the age of its price, or a missing membership allows only a smaller position.
    error OnlyReducing(AccountId account, uint64 nonce, int256 before, int256 position);
    error PositionOutOfRange(AccountId account, MarketId market, int256 position);
    error PositionAboveCap(AccountId account, MarketId market, uint256 cap, int256 position);
    error OpenInterestAboveCap(MarketId market, uint256 cap, uint256 openInterest);
    error OpenInterestOutOfRange(MarketId market, int256 openInterest);
    error SizesDoNotSumToZero(MarketId market, int256 sum);
    error NotionalsDoNotSumToZero(MarketId market, int256 sum);
    error RebatesAboveFees(MarketId market, int256 fees);

    error MessageSignedByAnother(AccountId account, uint64 nonce, address expected, address recovered);
    error MessageExpired(AccountId account, uint64 nonce, uint64 expiry, uint64 time);
    error NonceSpent(AccountId account, uint64 nonce);
    error NotSameOwner(AccountId from, AccountId to, address expected, address got);
    error AccountClosed(AccountId account);
    /// @notice The pool holds fewer tokens than that: others owe it the rest, against assets that keepers will convert.
    error PoolExhausted(AccountId account, uint256 amount, uint256 pool);
    /// @notice The insurance fund is negative: only what was paid in may leave until the losses are dealt with.
    error ProfitsWait(AccountId account, uint256 amount, uint256 most);

    /// @notice The account's initial health would be negative after taking new risk or sending value away, or its
    /// maintenance health worse than it was and negative.
    error MarginShortfall(AccountId account, int256 health);
    /// @notice The account would have spent money that is not in the pool.
    error CashShortfall(AccountId account, int256 usd);
    error AssetOverdrawn(AccountId account, FeedId feed);
    /// @notice The account holds a perpetual whose price is stale, so it may only reduce.
    error HoldsStalePrice(AccountId account);
    error TooManyHoldings(AccountId account, uint256 most, uint256 holdings);

    /// @notice The sender of the batch gave it too little gas for its transfers; the batch itself is fine.
    error GasTooLow(uint256 needed, uint256 left);

    /// @notice What `probe` answers. `failure` is empty if the batch would settle, else the error it would fail with.
    error Probed(uint256 gasUsed, bytes failure);

    // ----------------------------------------------------------------- errors: freezing

    error NotOverdue(uint64 head, uint64 tail, uint64 deadline);
    error CloseNotOverdue(AccountId account, MarketId market, uint64 size, uint64 since, uint64 deadline);
    error NotFrozen();
    error NotWhileFrozen(InboxKind kind);

    // ----------------------------------------------------------------- the inbox

    /// @notice Puts an item into the inbox. The group's gateway only, which has checked that a batch can apply it. A frozen
    /// group takes nothing but the resolutions of its events.
    function enqueue(InboxKind kind, bytes calldata payload) external;

    /// @notice Pays the caller what could not be delivered to it, to an address of its choice.
    /// @return amount Atoms of the token.
    function claim(address token, address to) external returns (uint256 amount);

    // ----------------------------------------------------------------- settlement

    /// @notice Verifies one frame and applies it whole, or reverts. Anyone may send it; the sequencer's signature over
    /// it is what counts: EIP-712 `Batch(uint64 id,bytes32 parent,bytes32 content)`, where `content` is the keccak of
    /// the batch's ABI encoding in the calldata. The struct hash of that message is the batch's hash.
    function settle(Batch calldata batch, Signature calldata signature) external;

    /// @notice Tries `settle` and reverts with `Probed` in any case: call it, never send it.
    function probe(Batch calldata batch, Signature calldata signature) external;

    // ----------------------------------------------------------------- when the sequencer is gone

    /// @notice Ends settlement for good. Anyone may, once an inbox item has waited longer than the deadline.
    function freeze() external;

    /// @notice As `freeze`, for a close of `market` that the account's owner forced and nobody carried out.
    function freezeForClose(AccountId account, MarketId market) external;

    /// @notice Applies an item that no batch will ever consume: an event's resolution, queued before the freeze or after,
    /// takes effect; a deposit becomes claimable by its owner. Anyone; nothing else applies any more.
    function applyFrozen(uint64 index, InboxItem calldata item) external;

    /// @notice Pays tokens out of a frozen group. Its escape hatch only. What is refused becomes claimable by `to`.
    function release(address token, address to, uint256 amount) external;

    // ----------------------------------------------------------------- what never changes

    function settlementToken() external view returns (address);
    function gateway() external view returns (address);
    function escapeHatch() external view returns (address);
    /// @notice Milliseconds after which a batch must have consumed an inbox item.
    function inboxDeadline() external view returns (uint64);
    function domainSeparator() external view returns (bytes32);
}
