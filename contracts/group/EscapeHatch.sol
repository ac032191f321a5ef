// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IEscapeHatch} from "./IEscapeHatch.sol";
import {IGateway} from "./IGateway.sol";
import {IGroupViews} from "./IGroupViews.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {AccountId, EventId, FeedId, MarketKind, Phase, firstMarket} from "./Types.sol";

/// @title The escape hatch contract
/// @notice See `IEscapeHatch`. It reads the frozen group, which no longer changes but for events that are resolved, and
/// tells it what to release.
/// @dev Why it never pays more than there is. Of account i let u be its `usd` when the group was frozen, w the worst payoff
/// in it of the events that it has positions in, and p what those turn out to pay, which is never less than w.
///
/// 1. The group's books balance: `Σ (u − w + p) ≤ pool + badDebt`, whatever the events turn out to pay. Trades, fees and
///    rescues move cash from account to account; deposits, withdrawals and bankruptcies change both sides alike; perpetuals
///    and funding sum to zero and are rounded down account by account. In each outcome positions sum to zero, and so do
///    their payoffs. Where a batch has redeemed only some of an event's accounts, their cash has changed by their payoffs,
///    so the payoffs of the others sum to the opposite. (Σ −w alone would not bound those: it is too little if losers were
///    redeemed first, too much if winners were.)
/// 2. So all that can ever be claimed is `Σ max(0, u) + Σ (p − w) = Σ (u − w + p) + Σ max(0, −u)`, at most
///    `pool + badDebt + Σ max(0, −u)`. That is what `tally` adds up; while events are open less is claimed.
/// 3. `tokens / claims` never falls. It starts as `pool / (pool + badDebt + debts)`; a debt that is paid adds to `tokens`;
///    a gain that is set off against a debt, or against losses that all share, will never be claimed and is taken from
///    `claims`. Debts and shared losses are covered once, so `tokens ≤ claims` throughout.
/// 4. An account has been paid at most `⌊owned · tokens / claims⌋` as it was then, hence as it is now. What all own
///    together is at most `claims`, so what all were paid is at most `tokens`.
contract EscapeHatch is IEscapeHatch, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @param owned What counts for the account so far: its `usd` once it has left, and its gains.
    /// @param paid What its owner has been paid of that.
    /// @param covered How much of its debt is paid or set off.
    struct Book {
        uint256 owned;
        uint256 paid;
        uint256 covered;
        bool exited;
    }

    address public immutable group;

    uint256 public paidOut;
    uint256 private _counted;
    bool private _complete;
    uint256 private _tokens;
    /// @dev While counting, the debts so far.
    uint256 private _claims;
    /// @dev Losses that all share, as far as no bankrupt account's gain has paid them back.
    uint256 private _sharedLosses;
    mapping(AccountId => Book) private _books;
    mapping(AccountId => mapping(EventId => bool)) private _redeemed;

    /// @param group_ The group, which must name this contract as its escape hatch. Either may be deployed first.
    constructor(address group_) {
        // A hatch without its group is one that no group names.
        // slither-disable-next-line missing-zero-check
        group = group_;
    }

    modifier whenTallied() {
        _requireTallied();
        _;
    }

    // ----------------------------------------------------------------- the count

    /// @inheritdoc IEscapeHatch
    function tally(uint256 count) external {
        (uint256 pool, uint256 badDebt, uint64 frozenAt) = IGroupViews(group).pool();
        if (frozenAt == 0) revert GroupNotFrozen(group);
        (uint256 counted, uint256 total) = progress();
        if (_complete) revert AlreadyTallied(total);
        uint256 numbered = _numbered();
        uint256 end = count < total - counted ? counted + count : total;
        uint256 debts;
        for (uint256 i = counted; i < end; ++i) {
            debts += _debt(_accountAt(i, numbered));
        }
        _counted = end;
        _claims += debts;
        emit Tallied(end, total);
        if (end != total) return;

        (_complete, _tokens, _sharedLosses) = (true, pool, badDebt);
        _claims += pool + badDebt;
        emit TallyCompleted(_tokens, _claims);
    }

    // ----------------------------------------------------------------- leaving

    /// @inheritdoc IEscapeHatch
    function exit(AccountId id) external nonReentrant whenTallied returns (uint256 paid) {
        (address owner, uint256 owned) = _requireMayExit(id);
        _books[id].exited = true;
        _books[id].owned += owned;
        emit Exited(id, owner, owned);
        paid = _pay(id, owner);
        (address[] memory tokens, uint256[] memory amounts) = _assetsOf(id);
        for (uint256 i = 0; i < tokens.length; ++i) {
            _release(id, owner, tokens[i], amounts[i]);
        }
    }

    /// @inheritdoc IEscapeHatch
    function redeem(AccountId id, EventId eventId) external nonReentrant whenTallied returns (uint256 paid) {
        _ownerOf(id);
        if (_redeemed[id][eventId]) revert AlreadyRedeemed(id, eventId);
        uint256 gain = gainOf(id, eventId);
        _redeemed[id][eventId] = true;
        emit Redeemed(id, eventId, gain);

        if (IGroupViews(group).account(id).nonceFloor == Ledger.CLOSED) {
            uint256 shared = Math.min(gain, _sharedLosses);
            _sharedLosses -= shared;
            _claims -= shared;
            (id, gain) = (Ledger.INSURANCE, gain - shared);
        }
        uint256 setOff = Math.min(gain, debtOf(id));
        if (setOff != 0) {
            _claims -= setOff;
            _cover(id, setOff);
        }
        _books[id].owned += gain - setOff;
        return _pay(id, _ownerOf(id));
    }

    /// @inheritdoc IEscapeHatch
    function repay(AccountId id) external nonReentrant whenTallied returns (uint256 amount) {
        uint256 debt = debtOf(id);
        if (debt == 0) revert OwesNothing(id);
        IERC20 token = IERC20(IRiskGroup(group).settlementToken());
        uint256 before = token.balanceOf(group);
        token.safeTransferFrom(msg.sender, group, debt);
        amount = Math.min(token.balanceOf(group) - before, debt);
        _tokens += amount;
        _cover(id, amount);
    }

    /// @inheritdoc IEscapeHatch
    function collect(AccountId id) external nonReentrant whenTallied returns (uint256 paid) {
        paid = _pay(id, _ownerOf(id));
        // What is due is counted in the books, and no transfer from outside changes them.
        // slither-disable-next-line incorrect-equality
        if (paid == 0) revert NothingDue(id);
    }

    // ----------------------------------------------------------------- views

    /// @inheritdoc IEscapeHatch
    function progress() public view returns (uint256 counted, uint256 total) {
        return (_counted, _numbered() + IGroupViews(group).isolatedCount());
    }

    /// @inheritdoc IEscapeHatch
    function ratio() external view returns (uint256 tokens, uint256 claims) {
        if (_complete) return (_tokens, _claims);
    }

    /// @inheritdoc IEscapeHatch
    function hasExited(AccountId id) external view returns (bool) {
        return _books[id].exited;
    }

    /// @inheritdoc IEscapeHatch
    function hasRedeemed(AccountId id, EventId eventId) external view returns (bool) {
        return _redeemed[id][eventId];
    }

    /// @inheritdoc IEscapeHatch
    function debtOf(AccountId id) public view returns (uint256) {
        return _debt(id) - _books[id].covered;
    }

    /// @inheritdoc IEscapeHatch
    function gainOf(AccountId id, EventId eventId) public view returns (uint256 gain) {
        IGroupViews.MarketView memory terms = IGroupViews(group).market(firstMarket(eventId));
        if (terms.kind != MarketKind.Outcome || terms.phase != Phase.Delisted) revert NotResolved(eventId);
        int64[] memory positions = IGroupViews(group).positions(id, eventId);
        uint64[] memory payouts = IGroupViews(group).payouts(eventId);
        bool holds;
        int256 worst = type(int256).max;
        int256 value;
        for (uint256 outcome = 0; outcome < positions.length; ++outcome) {
            int256 position = positions[outcome];
            if (position != 0) holds = true;
            if (position < worst) worst = position;
            value += position * int256(uint256(payouts[outcome]));
        }
        if (!holds) revert HoldsNothing(id, eventId);
        // Payouts sum to `ticks`, so their mean of the positions is no less than the worst of these.
        value = (value - worst * int256(uint256(terms.ticks))) * int256(uint256(terms.quantum));
        // casting to 'uint256' is safe because of that
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint256(value);
    }

    /// @inheritdoc IEscapeHatch
    function dueTo(AccountId id) external view returns (uint256) {
        return _complete ? _due(id, _books[id].owned) : 0;
    }

    /// @inheritdoc IEscapeHatch
    function previewExit(AccountId id)
        external
        view
        whenTallied
        returns (uint256 paid, address[] memory tokens, uint256[] memory amounts)
    {
        (, uint256 owned) = _requireMayExit(id);
        paid = _due(id, _books[id].owned + owned);
        (tokens, amounts) = _assetsOf(id);
    }

    // ----------------------------------------------------------------- paying

    function _pay(AccountId id, address owner) private returns (uint256 paid) {
        paid = _due(id, _books[id].owned);
        // As above.
        // slither-disable-next-line incorrect-equality
        if (paid == 0) return 0;
        _books[id].paid += paid;
        paidOut += paid;
        _release(id, owner, IRiskGroup(group).settlementToken(), paid);
    }

    /// @dev Rounds down, in favour of the pool. By the proof above what is left always suffices; should the books be wrong
    /// after all, what is not the pool's (deposits to refund, payments to claim) stays out of reach.
    function _due(AccountId id, uint256 owned) private view returns (uint256) {
        if (_claims == 0) return 0;
        return Math.min(Math.mulDiv(owned, _tokens, _claims) - _books[id].paid, _tokens - paidOut);
    }

    function _release(AccountId id, address owner, address token, uint256 amount) private {
        IRiskGroup(group).release(token, owner, amount);
        emit Paid(id, owner, token, amount);
    }

    function _cover(AccountId id, uint256 amount) private {
        _books[id].covered += amount;
        emit DebtReduced(id, amount, debtOf(id));
    }

    // ----------------------------------------------------------------- what the frozen group says

    /// @dev What the account owes by the group's books, which do not change any more.
    function _debt(AccountId id) private view returns (uint256) {
        // The callee is the group, whose code is known, and `tally`'s caller says how many accounts it counts.
        // slither-disable-next-line calls-loop
        int256 usd = IGroupViews(group).health(id).usd;
        // casting to 'uint256' is safe because the number is positive
        // forge-lint: disable-next-line(unsafe-typecast)
        return usd < 0 ? uint256(-usd) : 0;
    }

    function _requireMayExit(AccountId id) private view returns (address owner, uint256 owned) {
        owner = _ownerOf(id);
        if (_books[id].exited) revert AlreadyExited(id);
        int256 usd = IGroupViews(group).health(id).usd;
        // casting to 'uint256' is safe because the number is positive
        // forge-lint: disable-next-line(unsafe-typecast)
        if (usd >= 0) return (owner, uint256(usd));
        uint256 debt = debtOf(id);
        if (debt != 0) revert OwesFirst(id, debt);
    }

    /// @dev Every asset that the account holds; a perpetual is in its `usd` already.
    function _assetsOf(AccountId id) private view returns (address[] memory tokens, uint256[] memory amounts) {
        uint256 held = IGroupViews(group).account(id).held;
        tokens = new address[](256);
        amounts = new uint256[](256);
        uint256 count;
        for (uint256 rest = held; rest != 0; rest &= rest - 1) {
            // casting to 'uint8' is safe because a bit of a word has such a number
            // forge-lint: disable-next-line(unsafe-typecast)
            FeedId feed = FeedId.wrap(uint8(Math.log2(rest & (~rest + 1))));
            // The callee is the group, whose code is known, and an account holds a bounded number of things.
            // slither-disable-next-line calls-loop
            IGroupViews.FeedView memory terms = IGroupViews(group).feed(feed);
            // slither-disable-next-line calls-loop
            (int256 amount,,) = IGroupViews(group).holding(id, feed);
            if (terms.perpetual || amount == 0) continue;
            // casting to 'uint256' is safe because a settled balance is not negative
            // forge-lint: disable-next-line(unsafe-typecast)
            (tokens[count], amounts[count]) = (terms.token, uint256(amount));
            ++count;
        }
        assembly ("memory-safe") {
            mstore(tokens, count)
            mstore(amounts, count)
        }
    }

    /// @dev First the numbered accounts, from 1, then the isolated ones, from 0.
    function _accountAt(uint256 place, uint256 numbered) private view returns (AccountId) {
        // casting to 'uint64' is safe because the gateway's and the group's counters have 64 bits
        // forge-lint: disable-start(unsafe-typecast)
        if (place < numbered) return AccountId.wrap(uint64(place + 1));
        // As in `_debt`.
        // slither-disable-next-line calls-loop
        return IGroupViews(group).isolated(uint64(place - numbered));
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev Numbers that the gateway has given out; it gives out no more, because a frozen group takes no deposits.
    function _numbered() private view returns (uint256) {
        return IGateway(IRiskGroup(group).gateway()).accounts();
    }

    /// @dev The gateway knows the owners of accounts that the group has not heard of yet, such as an isolated account that
    /// fees are paid to before it is opened.
    function _ownerOf(AccountId id) private view returns (address owner) {
        owner = IGateway(IRiskGroup(group).gateway()).ownerOf(id);
        if (owner == address(0)) revert NoSuchAccount(id);
    }

    function _requireTallied() private view {
        (uint256 counted, uint256 total) = progress();
        if (!_complete) revert TallyIncomplete(counted, total);
    }
}
