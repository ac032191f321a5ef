// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Custody} from "./Custody.sol";
import {Fills} from "./Fills.sol";
import {GroupViews} from "./GroupViews.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Inbox} from "./Inbox.sol";
import {InboxItems} from "./InboxItems.sol";
import {Ledger} from "./Ledger.sol";
import {Judgement} from "./Judgement.sol";
import {Prices} from "./Prices.sol";
import {Redemptions} from "./Redemptions.sol";
import {Rescues} from "./Rescues.sol";
import {GroupStorage, LastBatch} from "./State.sol";
import {Touched} from "./Touched.sol";
import {TypedData} from "./TypedData.sol";
import {AccountId, Batch, GroupTerms, InboxItem, InboxKind, MarketId, Signature} from "./Types.sol";
import {Withdrawals} from "./Withdrawals.sol";

/// @title The risk group contract
/// @notice See `IRiskGroup` for what it promises. `settle` reads as the steps of a batch, one function or library per step.
/// @dev Steps that few batches need (inbox items, prices, redemptions, rescues, withdrawals) are linked libraries: code at
/// fixed addresses, shared by all groups, that works on this contract's one `GroupState`. Nothing can be exchanged later.
contract RiskGroup is GroupStorage, IRiskGroup, ReentrancyGuardTransient {
    using Inbox for Inbox.Queue;

    /// @notice How far behind and ahead of block time a frame's time may be, in milliseconds. Behind is longer than the
    /// inbox deadline, so that frames sealed before an outage still settle after it if nobody froze the group.
    uint64 public constant MAX_FRAME_LAG = 7 days * 1000;
    uint64 public constant MAX_FRAME_LEAD = 60 seconds * 1000;

    /// @dev Selector, offset of the batch, and the signature's two words: then comes the batch to the calldata's end.
    uint256 private constant BATCH_START = 4 + 3 * 32;

    address public immutable settlementToken;
    address public immutable gateway;
    address public immutable escapeHatch;
    uint64 public immutable inboxDeadline;
    uint256 private immutable _chainId;
    bytes32 private immutable _separator;

    /// @param token Settlement token.
    /// @param gateway_ The only address that may `enqueue`.
    /// @param escapeHatch_ The only address that may `release` when the group is frozen.
    /// @param governance Owner of the insurance fund (account 1) and of the protocol's treasury (account 2).
    constructor(
        address token,
        address gateway_,
        address escapeHatch_,
        address governance,
        uint64 inboxDeadlineMs,
        GroupTerms memory terms_
    ) {
        if (token.code.length == 0) revert InvalidGroupConfig("token");
        if (gateway_ == address(0)) revert InvalidGroupConfig("gateway");
        if (escapeHatch_ == address(0)) revert InvalidGroupConfig("escapeHatch");
        if (governance == address(0)) revert InvalidGroupConfig("governance");
        if (inboxDeadlineMs == 0) revert InvalidGroupConfig("inboxDeadline");
        if (terms_.sequencer == address(0)) revert InvalidGroupConfig("sequencer");
        settlementToken = token;
        gateway = gateway_;
        escapeHatch = escapeHatch_;
        inboxDeadline = inboxDeadlineMs;
        // Kept for the chain that it was made on; after a fork the other chain's is made anew each time.
        (_chainId, _separator) = (block.chainid, TypedData.domainSeparator(address(this)));
        _s.terms = terms_;
        _s.accounts[Ledger.INSURANCE].owner = governance;
        _s.accounts[Ledger.PROTOCOL].owner = governance;
    }

    // ----------------------------------------------------------------- the inbox

    /// @inheritdoc IRiskGroup
    function enqueue(InboxKind kind, bytes calldata payload) external {
        if (msg.sender != gateway) revert NotGateway(msg.sender, gateway);
        // What happens in the world still decides an event when the group is frozen: `applyFrozen` takes it from here.
        if (kind != InboxKind.EventResolved) _requireLive();
        _s.inbox.push(kind, payload);
    }

    /// @inheritdoc IRiskGroup
    function claim(address token, address to) external nonReentrant returns (uint256 amount) {
        return Withdrawals.claim(_s, token, to);
    }

    // ----------------------------------------------------------------- settlement

    /// @inheritdoc IRiskGroup
    function settle(Batch calldata batch, Signature calldata signature) external nonReentrant {
        Touched.begin(batch.id);
        bytes32 hash = _checkHeader(batch, signature);
        _consumeInbox(batch);
        _applyPrices(batch);
        _redeem(batch);
        _rescue(batch);
        _fill(batch);
        // What withdrawals look at (whether the fund is negative) must be whole again.
        bool clear = Judgement.closeEvents(_s);
        _withdraw(batch);
        _checkMargin(batch, clear);
        _store(batch, hash);
        if (Custody.owes()) Withdrawals.pay(_s);
    }

    /// @inheritdoc IRiskGroup
    function probe(Batch calldata, Signature calldata) external {
        bytes memory call = bytes.concat(this.settle.selector, msg.data[4:]);
        uint256 gasBefore = gasleft();
        (bool settles, bytes memory failure) = address(this).call(call);
        uint256 gasUsed = gasBefore - gasleft();
        // What fails without a word could not be decoded (or ran out of gas).
        if (!settles && failure.length == 0) failure = abi.encodeWithSelector(MalformedCalldata.selector);
        revert Probed(gasUsed, failure);
    }

    // ----------------------------------------------------------------- the steps of a batch

    /// @dev Step 1: the batch follows the last one, and the sequencer signed it.
    function _checkHeader(Batch calldata batch, Signature calldata signature) private view returns (bytes32 hash) {
        _requireLive();
        uint256 start;
        assembly ("memory-safe") {
            start := batch
        }
        if (start != BATCH_START) revert MalformedCalldata();

        LastBatch memory last = _s.last;
        if (batch.id != last.id + 1) revert WrongBatchId(last.id + 1, batch.id);
        if (batch.parent != last.hash) revert WrongParent(last.hash, batch.parent);
        hash = TypedData.hashBatch(batch.id, batch.parent, TypedData.hashCalldataFrom(BATCH_START));
        address recovered = TypedData.signer(domainSeparator(), hash, signature);
        address sequencer = _s.terms.sequencer;
        if (recovered != sequencer) revert WrongSequencer(sequencer, recovered);

        if (batch.time < last.time) revert FrameTimeWentBack(last.time, batch.time);
        if (batch.sequence < last.sequence) revert SequenceWentBack(last.sequence, batch.sequence);
        uint64 blockTime = Inbox.nowMs();
        uint64 earliest = blockTime > MAX_FRAME_LAG ? blockTime - MAX_FRAME_LAG : 0;
        uint64 latest = blockTime + MAX_FRAME_LEAD;
        if (batch.time < earliest || batch.time > latest) revert FrameTimeOutOfRange(batch.time, earliest, latest);
    }

    /// @dev Step 2: what the chain told the sequencer takes effect, in the order in which it was queued.
    function _consumeInbox(Batch calldata batch) private {
        if (batch.inbox.length != 0) {
            InboxItems.consume(_s, batch.inbox, settlementToken, inboxDeadline, batch.time);
        } else {
            _s.inbox.requireNotOverdue(inboxDeadline, batch.time);
        }
    }

    /// @dev Steps 3 and 4: index prices, then funding; and what waited for prices.
    function _applyPrices(Batch calldata batch) private {
        if (batch.prices.length != 0) Prices.update(_s, batch.prices, batch.time);
        if (batch.funding.length != 0) Prices.fund(_s, batch.funding, batch.time);
        for (uint256 i = 0; i < batch.inbox.length; ++i) {
            InboxItem calldata item = batch.inbox[i];
            if (item.kind == InboxKind.ForcedWithdrawal) {
                InboxItems.withdraw(_s, item.payload, settlementToken, batch.time);
            } else if (item.kind == InboxKind.ForcedLiquidation) {
                Rescues.tryForced(_s, item.payload, batch.time);
            }
        }
    }

    /// @dev Step 5: positions in resolved events and delisted perpetuals become cash.
    function _redeem(Batch calldata batch) private {
        if (batch.redemptions.length != 0) Redemptions.redeem(_s, batch.redemptions, batch.time);
    }

    /// @dev Step 5: accounts that fail.
    function _rescue(Batch calldata batch) private {
        if (batch.rescues.length != 0) Rescues.run(_s, batch.rescues, batch.time, domainSeparator());
    }

    /// @dev Step 6: every market's fills.
    function _fill(Batch calldata batch) private {
        if (batch.markets.length == 0) return;
        Fills.Context memory context = Fills.open(_s, batch.trees, batch.time, domainSeparator());
        MarketId previous;
        for (uint256 i = 0; i < batch.markets.length; ++i) {
            MarketId id = batch.markets[i].market;
            if (MarketId.unwrap(id) <= MarketId.unwrap(previous)) revert MarketsNotAscending(previous, id);
            previous = id;
            Fills.settleMarket(_s, context, batch.markets[i], batch.trees);
        }
    }

    /// @dev Step 7: signed withdrawals and transfers leave their accounts. The tokens follow at the very end.
    function _withdraw(Batch calldata batch) private {
        if (batch.withdrawals.length == 0 && batch.transfers.length == 0) return;
        Withdrawals.Context memory context = Withdrawals.Context(settlementToken, batch.time, domainSeparator());
        if (batch.withdrawals.length != 0) Withdrawals.withdraw(_s, batch.withdrawals, context);
        if (batch.transfers.length != 0) Withdrawals.transfer(_s, batch.transfers, context);
    }

    /// @dev Step 8: every account that the batch changed is judged, once.
    /// @param clear Whether all of them were fine by one look when the fills were done; whoever sent money away since then
    /// asks for another.
    function _checkMargin(Batch calldata batch, bool clear) private {
        if (clear && batch.withdrawals.length == 0 && batch.transfers.length == 0) return;
        Judgement.judge(_s, batch.time);
    }

    /// @dev Step 9: this batch is the next one's parent.
    function _store(Batch calldata batch, bytes32 hash) private {
        _s.last = LastBatch({hash: hash, id: batch.id, time: batch.time, sequence: batch.sequence, frozenAt: 0});
        emit BatchSettled(batch.id, hash, batch.time, batch.sequence, batch.logHash, _s.inbox.head);
    }

    // ----------------------------------------------------------------- when the sequencer is gone

    /// @inheritdoc IRiskGroup
    function freeze() external {
        _requireLive();
        InboxItems.freeze(_s, inboxDeadline);
    }

    /// @inheritdoc IRiskGroup
    function freezeForClose(AccountId id, MarketId market) external {
        _requireLive();
        InboxItems.freezeForClose(_s, id, market, inboxDeadline);
    }

    /// @inheritdoc IRiskGroup
    function applyFrozen(uint64 index, InboxItem calldata item) external {
        _requireFrozen();
        InboxItems.applyFrozen(_s, index, item);
    }

    /// @inheritdoc IRiskGroup
    function release(address token, address to, uint256 amount) external nonReentrant {
        if (msg.sender != escapeHatch) revert NotEscapeHatch(msg.sender, escapeHatch);
        _requireFrozen();
        Withdrawals.release(_s, token, to, amount);
    }

    function _requireLive() private view {
        if (_s.last.frozenAt != 0) revert GroupFrozen(_s.last.frozenAt);
    }

    function _requireFrozen() private view {
        if (_s.last.frozenAt == 0) revert NotFrozen();
    }

    // ----------------------------------------------------------------- views

    /// @inheritdoc IRiskGroup
    function domainSeparator() public view returns (bytes32) {
        return block.chainid == _chainId ? _separator : TypedData.domainSeparator(address(this));
    }

    /// @notice Answers `IGroupViews`.
    /// @dev Whatever is not listed above is a question, and `GroupViews`, a linked library of nothing but view functions,
    /// answers it from this contract's storage. They do not fit beside settlement in the 24,576 bytes of one contract.
    fallback() external {
        address views = address(GroupViews);
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let succeeded := delegatecall(gas(), views, data, calldatasize(), 0, 0)
            returndatacopy(data, 0, returndatasize())
            if succeeded { return(data, returndatasize()) }
            revert(data, returndatasize())
        }
    }
}
