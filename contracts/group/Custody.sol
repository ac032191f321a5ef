// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IGateway} from "./IGateway.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Board} from "./Board.sol";
import {Ledger} from "./Ledger.sol";
import {Holdings} from "./Holdings.sol";
import {Margin} from "./Margin.sol";
import {GroupState} from "./State.sol";
import {Touched} from "./Touched.sol";
import {AccountId, FeedId} from "./Types.sol";

/// @notice What leaves an account for the outside, and the tokens that follow at the very end of a batch.
/// @dev What a batch owes is kept in transient storage until then, because `settle` and its linked libraries share it.
library Custody {
    using SafeCast for uint256;

    /// @dev What a transfer out of a batch may use. Proxied stablecoins with a deny-list need 40 to 70 thousand; a deposit
    /// into another group's inbox about 150 thousand more.
    uint256 internal constant TRANSFER_GAS = 100_000;
    uint256 internal constant DEPOSIT_GAS = 350_000;

    uint256 private constant COUNT = 8 << 248;
    uint256 private constant ENTRY = 9 << 248;

    /// @notice Where tokens go: to an owner, or through another group's gateway to an account there.
    struct Destination {
        address owner;
        address gateway;
        AccountId to;
    }

    /// @notice Whether the batch owes anything to anybody.
    function owes() internal view returns (bool) {
        return _load(COUNT) != 0;
    }

    // ----------------------------------------------------------------- out of the account

    /// @notice Takes `amount` atoms of a token from an account and owes it to the destination.
    /// @dev While losses are shared, a claim on cash pays its part of what is there: `⌊amount · pool / (pool + badDebt)⌋`. The
    /// ratio is the same before and after, so leaving first gains nothing.
    /// @param flags What `Touched` is told of it.
    function take(
        GroupState storage s,
        AccountId id,
        address token,
        FeedId feed,
        uint256 amount,
        Destination memory destination,
        uint256 flags
    ) internal {
        uint256 key = Holdings.key(id, feed);
        uint256 principal = s.principal[key];
        s.principal[key] = (principal > amount ? principal - amount : 0).toUint128();
        uint256 paid = amount;
        if (FeedId.unwrap(feed) == 0) {
            Ledger.move(s, id, -amount.toInt256(), flags);
            (uint256 pool, uint256 debt) = (s.pool, s.badDebt);
            paid = coveredOf(s, amount);
            if (paid > pool || paid == 0) revert IRiskGroup.PoolExhausted(id, amount, pool);
            // Claims and what covers them both shrink: `pool + badDebt` by the amount, `pool` by what is paid.
            s.pool = (pool - paid).toUint128();
            if (debt != 0) s.badDebt = (debt - (amount - paid)).toUint128();
        } else {
            Ledger.tradeAsset(s, id, feed, -amount.toInt256(), 0, flags & Touched.GREW);
        }
        _owe(id, token, paid, destination);
    }

    /// @notice The part of a claim on cash that the pool covers, rounded down in favour of those who stay.
    function coveredOf(GroupState storage s, uint256 amount) internal view returns (uint256) {
        (uint256 pool, uint256 debt) = (s.pool, s.badDebt);
        return debt == 0 ? amount : amount * pool / (pool + debt);
    }

    /// @notice What an account may take out of a token while the insurance fund is negative: what was put in.
    /// @dev Profits wait until the losses on the other side of them are dealt with, so that nobody runs first.
    function gate(GroupState storage s, Board.Prices memory board, AccountId id, FeedId feed)
        internal
        view
        returns (uint256)
    {
        if (Margin.health(s, board, Ledger.INSURANCE).usd >= 0) return type(uint256).max;
        return s.principal[Holdings.key(id, feed)];
    }

    // ----------------------------------------------------------------- out of the contract

    /// @notice Sends everything that the batch owes. What a token or a gateway refuses waits for its owner's `claim`.
    function payAll(GroupState storage s) internal {
        uint256 count = _load(COUNT);
        for (uint256 i = 0; i < count; ++i) {
            (AccountId id, address token, uint256 amount, Destination memory destination) = _read(i);
            uint256 kept = destination.gateway == address(0)
                ? (trySend(token, destination.owner, amount) ? 0 : amount)
                : _tryDeposit(token, amount, destination);
            if (kept != 0) s.claimable[destination.owner][token] += kept;
            emit IRiskGroup.Withdrawn(id, destination.owner, token, amount, destination.gateway, kept == 0);
        }
        _store(COUNT, 0);
    }

    /// @notice Sends tokens if the token lets it; whatever the token does, this returns.
    /// @dev Gas is capped and at most one word of the answer is read.
    function trySend(address token, address to, uint256 amount) internal returns (bool) {
        return _tryCall(token, abi.encodeCall(IERC20.transfer, (to, amount)), TRANSFER_GAS);
    }

    /// @dev The other group pulls the tokens as it does from any depositor. What it did not pull shows in the allowance that
    /// is left (a balance could be moved about by whoever is called), and no allowance stays behind.
    /// @return kept What was not pulled.
    function _tryDeposit(address token, uint256 amount, Destination memory destination) private returns (uint256 kept) {
        address gateway = destination.gateway;
        if (!_tryCall(token, abi.encodeCall(IERC20.approve, (gateway, amount)), TRANSFER_GAS)) return amount;
        _tryRaw(
            gateway, abi.encodeCall(IGateway.deposit, (destination.to, destination.owner, token, amount)), DEPOSIT_GAS
        );
        (bool answered, uint256 size, uint256 left) =
            _tryRaw(token, abi.encodeCall(IERC20.allowance, (address(this), gateway)), TRANSFER_GAS);
        if (!answered || size < 32 || left == 0) return 0;
        _tryCall(token, abi.encodeCall(IERC20.approve, (gateway, 0)), TRANSFER_GAS);
        return left < amount ? left : amount;
    }

    /// @dev A token's call: it may answer nothing (as old tokens do) or true.
    function _tryCall(address token, bytes memory data, uint256 gasCap) private returns (bool) {
        (bool succeeded, uint256 size, uint256 word) = _tryRaw(token, data, gasCap);
        if (size == 0) return succeeded && token.code.length != 0;
        return succeeded && size >= 32 && word == 1;
    }

    /// @dev A call gets at most 63/64 of what is left (EIP-150), so without the check a relayer could starve the transfer
    /// while the batch goes through.
    function _tryRaw(address target, bytes memory data, uint256 gasCap)
        private
        returns (bool succeeded, uint256 size, uint256 word)
    {
        uint256 needed = gasCap + gasCap / 63 + 10_000;
        if (gasleft() < needed) revert IRiskGroup.GasTooLow(needed, gasleft());
        assembly ("memory-safe") {
            succeeded := call(gasCap, target, 0, add(data, 32), mload(data), 0, 32)
            size := returndatasize()
            word := mload(0)
        }
    }

    // ----------------------------------------------------------------- the list of payments

    function _owe(AccountId id, address token, uint256 amount, Destination memory destination) private {
        uint256 count = _load(COUNT);
        uint256 key = ENTRY | count << 8;
        _store(key, uint256(uint160(token)) << 64 | AccountId.unwrap(id));
        _store(key | 1, amount);
        _store(key | 2, uint256(uint160(destination.owner)) << 64 | AccountId.unwrap(destination.to));
        _store(key | 3, uint160(destination.gateway));
        _store(COUNT, count + 1);
    }

    function _read(uint256 index)
        private
        view
        returns (AccountId id, address token, uint256 amount, Destination memory destination)
    {
        uint256 key = ENTRY | index << 8;
        uint256 first = _load(key);
        uint256 third = _load(key | 2);
        // casting is safe because the words were put together from such parts
        // forge-lint: disable-start(unsafe-typecast)
        (id, token) = (AccountId.wrap(uint64(first)), address(uint160(first >> 64)));
        amount = _load(key | 1);
        destination.owner = address(uint160(third >> 64));
        destination.to = AccountId.wrap(uint64(third));
        destination.gateway = address(uint160(_load(key | 3)));
        // forge-lint: disable-end(unsafe-typecast)
    }

    function _load(uint256 key) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := tload(key)
        }
    }

    function _store(uint256 key, uint256 word) private {
        assembly ("memory-safe") {
            tstore(key, word)
        }
    }
}
