// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Board} from "./Board.sol";
import {Custody} from "./Custody.sol";
import {Holdings} from "./Holdings.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Nonces} from "./Nonces.sol";
import {Signers} from "./Signers.sol";
import {Account, GroupState} from "./State.sol";
import {Touched} from "./Touched.sol";
import {TypedData} from "./TypedData.sol";
import {AccountId, FeedId, SignedTransfer, SignedWithdraw, Transfer, Withdraw} from "./Types.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @notice Step 7 of a batch: signed withdrawals and transfers leave their accounts; and, when all else is decided, the
/// tokens leave the contract.
library Withdrawals {
    using Nonces for Nonces.Ledger;
    using SafeCast for uint256;

    /// @dev What leaves an account by its owner's wish is spent, and must leave initial health behind.
    uint256 private constant FLAGS = Touched.GREW | Touched.SPENT;

    /// @notice What every message of a batch is judged by.
    struct Context {
        address settlementToken;
        uint64 time;
        bytes32 domain;
    }

    function withdraw(GroupState storage s, SignedWithdraw[] calldata withdrawals, Context memory context) external {
        for (uint256 i = 0; i < withdrawals.length; ++i) {
            _withdrawOne(s, withdrawals[i], context);
        }
    }

    function transfer(GroupState storage s, SignedTransfer[] calldata transfers, Context memory context) external {
        for (uint256 i = 0; i < transfers.length; ++i) {
            _transferOne(s, transfers[i], context);
        }
    }

    function _withdrawOne(GroupState storage s, SignedWithdraw calldata signed, Context memory context) private {
        Withdraw calldata request = signed.withdraw;
        address signer = TypedData.signer(context.domain, TypedData.hashWithdraw(request), signed.signature);
        address owner = _authorise(s, request.account, request.nonce, request.expiry, context.time, signer);
        FeedId feed = _feedOf(s, request.token, request.amount, context);
        _requireUngated(s, request.account, feed, request.amount, context.time);
        Custody.Destination memory destination = Custody.Destination(owner, address(0), AccountId.wrap(0));
        Custody.take(s, request.account, request.token, feed, request.amount, destination, FLAGS);
    }

    function _transferOne(GroupState storage s, SignedTransfer calldata signed, Context memory context) private {
        Transfer calldata request = signed.transfer;
        address signer = TypedData.signer(context.domain, TypedData.hashTransfer(request), signed.signature);
        // A key may move money between its owner's accounts; where another group's gateway sends it only the owner may say.
        if (request.gateway != address(0) && signer != s.accounts[request.account].owner) {
            address expected = s.accounts[request.account].owner;
            revert IRiskGroup.MessageSignedByAnother(request.account, request.nonce, expected, signer);
        }
        address owner = _authorise(s, request.account, request.nonce, request.expiry, context.time, signer);
        FeedId feed = _feedOf(s, request.token, request.amount, context);
        if (request.gateway == address(0)) {
            _moveInside(s, request.account, request.to, owner, feed, request.amount);
        } else {
            _requireUngated(s, request.account, feed, request.amount, context.time);
            Custody.Destination memory destination = Custody.Destination(owner, request.gateway, request.to);
            Custody.take(s, request.account, request.token, feed, request.amount, destination, FLAGS);
        }
    }

    /// @notice The transfers of the whole batch, when nothing is left that they could disturb.
    function pay(GroupState storage s) external {
        Custody.payAll(s);
    }

    /// @notice What could not be delivered to the caller, to an address of its choice.
    function claim(GroupState storage s, address token, address to) external returns (uint256 amount) {
        amount = s.claimable[msg.sender][token];
        if (amount == 0) revert IRiskGroup.NothingToClaim(msg.sender, token);
        delete s.claimable[msg.sender][token];
        emit IRiskGroup.Claimed(msg.sender, token, to, amount);
        if (!Custody.trySend(token, to, amount)) revert IRiskGroup.TransferFailed(token);
    }

    /// @notice What the escape hatch pays out of a frozen group.
    function release(GroupState storage s, address token, address to, uint256 amount) external {
        if (!Custody.trySend(token, to, amount)) s.claimable[to][token] += amount;
    }

    /// @dev Principal stays where it was paid in: moving money between one's accounts makes no profit withdrawable.
    function _moveInside(GroupState storage s, AccountId from, AccountId to, address owner, FeedId feed, uint128 amount)
        private
    {
        Account storage target = s.accounts[to];
        if (target.owner == address(0) && Ledger.isIsolated(to)) _openIsolated(s, to, owner);
        if (target.owner != owner) revert IRiskGroup.NotSameOwner(from, to, owner, target.owner);
        if (target.nonceFloor == Ledger.CLOSED) revert IRiskGroup.AccountClosed(to);
        int256 atoms = uint256(amount).toInt256();
        if (FeedId.unwrap(feed) == 0) {
            Ledger.move(s, from, -atoms, Touched.GREW | Touched.SPENT);
            Ledger.move(s, to, atoms, 0);
        } else {
            Ledger.tradeAsset(s, from, feed, -atoms, 0, Touched.GREW);
            Ledger.tradeAsset(s, to, feed, atoms, 0, Touched.GIVEN);
        }
    }

    /// @dev Its number says whose it is, so opening it needs no counter that two transactions could race for.
    function _openIsolated(GroupState storage s, AccountId id, address owner) private {
        if (s.accounts[Ledger.parentOf(id)].owner != owner) {
            revert IRiskGroup.NotSameOwner(Ledger.parentOf(id), id, s.accounts[Ledger.parentOf(id)].owner, owner);
        }
        s.accounts[id].owner = owner;
        s.isolated[s.isolatedCount++] = id;
        emit IRiskGroup.IsolatedOpened(id, owner);
    }

    function _authorise(GroupState storage s, AccountId id, uint64 nonce, uint64 expiry, uint64 time, address signer)
        private
        returns (address owner)
    {
        owner = Ledger.ownerOf(s, id);
        Signers.requireCurrent(s, id, nonce, expiry, time);
        if (signer != owner && !Signers.mayWithdraw(s, id, signer, time)) {
            revert IRiskGroup.MessageSignedByAnother(id, nonce, owner, signer);
        }
        s.nonces.spend(id, nonce);
    }

    function _feedOf(GroupState storage s, address token, uint128 amount, Context memory context)
        private
        view
        returns (FeedId feed)
    {
        if (amount == 0) revert IRiskGroup.ZeroAmount();
        if (token == context.settlementToken) return FeedId.wrap(0);
        feed = s.assets[token];
        if (FeedId.unwrap(feed) == 0) revert IRiskGroup.UnknownToken(token, context.settlementToken);
    }

    function _requireUngated(GroupState storage s, AccountId id, FeedId feed, uint128 amount, uint64 time)
        private
        view
    {
        uint256 most = Custody.gate(s, Board.open(s, time), id, feed);
        if (amount > most) revert IRiskGroup.ProfitsWait(id, amount, most);
    }
}
