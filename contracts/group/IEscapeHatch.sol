// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountId, EventId} from "./Types.sol";

/// @title The way out of a frozen group
/// @notice When the sequencer is gone, anyone freezes the group (`IRiskGroup.freeze`), anyone counts its accounts here, and
/// then every account is paid to its owner. Nobody holds a key to any of it, and everyone may call everything: what is paid
/// goes to the account's owner whoever calls. Amounts are in atoms of the settlement token unless said otherwise.
///
/// What an account owns is its `usd` at the last settled prices: cash, perpetuals at index price, funding, and events at
/// their worst payoff. What an event pays above its worst comes when it is resolved (`redeem`), also after the freeze. Other
/// assets are never shared: whoever holds them gets them whole.
///
/// All are paid the same share of what they own, `tokens / claims`, in whatever order they come. It is 1 unless accounts have
/// lost more than they had. An account that owes (negative `usd`) lowers it; when such a debt is paid or set off after all,
/// the share rises for everyone alike, and those who were paid before `collect` the difference.
interface IEscapeHatch {
    // ----------------------------------------------------------------- events

    /// @notice `counted` of `total` accounts have been counted.
    event Tallied(uint256 counted, uint256 total);

    /// @notice The count is complete: `tokens` are there for `claims`.
    event TallyCompleted(uint256 tokens, uint256 claims);

    /// @notice The account left with `owned` to its name, of which its owner is paid the share.
    event Exited(AccountId indexed account, address indexed owner, uint256 owned);

    /// @notice The account's positions in a resolved event pay `gain` above their worst.
    event Redeemed(AccountId indexed account, EventId indexed eventId, uint256 gain);

    /// @notice `amount` of what the account owed was paid, or set off against its gain; `left` remains.
    event DebtReduced(AccountId indexed account, uint256 amount, uint256 left);

    /// @notice `amount` atoms of `token` were released to the account's owner.
    event Paid(AccountId indexed account, address indexed owner, address token, uint256 amount);

    // ----------------------------------------------------------------- errors

    error GroupNotFrozen(address group);
    error AlreadyTallied(uint256 total);
    error TallyIncomplete(uint256 counted, uint256 total);
    error NoSuchAccount(AccountId account);
    error AlreadyExited(AccountId account);
    /// @notice The account's assets stand for its debt: `repay` it first, or `redeem` events that cover it.
    error OwesFirst(AccountId account, uint256 debt);
    error OwesNothing(AccountId account);
    error NotResolved(EventId eventId);
    error HoldsNothing(AccountId account, EventId eventId);
    error AlreadyRedeemed(AccountId account, EventId eventId);
    error NothingDue(AccountId account);

    // ----------------------------------------------------------------- the count

    /// @notice Counts the next `count` accounts, or as many as are left. Anyone, in any number of calls.
    /// Errors: `GroupNotFrozen`, `AlreadyTallied`.
    function tally(uint256 count) external;

    // ----------------------------------------------------------------- leaving

    /// @notice Pays the account's owner, once, its share of what the account owns, and every asset that it holds, whole.
    /// Anyone. A token that refuses the transfer can be claimed from the group (`IRiskGroup.claim`).
    /// Errors: `TallyIncomplete`, `NoSuchAccount`, `AlreadyExited`, `OwesFirst`.
    /// @return paid Atoms of the settlement token.
    function exit(AccountId id) external returns (uint256 paid);

    /// @notice Pays the account's share of what its positions in a resolved event pay above their worst; once per account
    /// and event, before or after its exit. Anyone. The gain first sets off what the account owes, at face value. The gain
    /// of an account that was declared bankrupt is not its own: as in a live group it pays back the losses that all share,
    /// and the rest belongs to the insurance fund, which paid its debt.
    /// Errors: `TallyIncomplete`, `NoSuchAccount`, `AlreadyRedeemed`, `NotResolved`, `HoldsNothing`.
    /// @return paid Atoms of the settlement token.
    function redeem(AccountId id, EventId eventId) external returns (uint256 paid);

    /// @notice Pays what the account owes, from the caller's tokens, to the group. Anyone, having approved this contract for
    /// `debtOf(id)`. Of a token that takes a fee, what arrives counts.
    /// Errors: `TallyIncomplete`, `OwesNothing`.
    /// @return amount Atoms by which the debt is less.
    function repay(AccountId id) external returns (uint256 amount);

    /// @notice Pays the account's owner what has become due since its last payment, because the share has risen. Anyone.
    /// Errors: `TallyIncomplete`, `NoSuchAccount`, `NothingDue`.
    /// @return paid Atoms of the settlement token.
    function collect(AccountId id) external returns (uint256 paid);

    // ----------------------------------------------------------------- views

    function group() external view returns (address);
    /// @notice Accounts counted so far, and all of them.
    function progress() external view returns (uint256 counted, uint256 total);
    /// @notice What there is for all claims, and all claims. Both are 0 until the count is complete; then the share never
    /// falls and is never above 1.
    function ratio() external view returns (uint256 tokens, uint256 claims);
    /// @notice Paid out so far, of all `tokens`.
    function paidOut() external view returns (uint256);
    function hasExited(AccountId id) external view returns (bool);
    function hasRedeemed(AccountId id, EventId eventId) external view returns (bool);
    /// @notice What the account still owes.
    function debtOf(AccountId id) external view returns (uint256);
    /// @notice What the account's positions in a resolved event pay above their worst. Errors: `NotResolved`, `HoldsNothing`.
    function gainOf(AccountId id, EventId eventId) external view returns (uint256);
    /// @notice What `collect` would pay now.
    function dueTo(AccountId id) external view returns (uint256);
    /// @notice What `exit` would pay now, and atoms of which assets. Errors: as `exit`.
    function previewExit(AccountId id)
        external
        view
        returns (uint256 paid, address[] memory tokens, uint256[] memory amounts);
}
