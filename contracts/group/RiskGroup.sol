// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Custody} from "./Custody.sol";
import {EventRecord, EventTerms, Events} from "./Events.sol";
import {Fills} from "./Fills.sol";
import {IRiskGroup} from "./IRiskGroup.sol";
import {Inbox} from "./Inbox.sol";
import {Account, Margin} from "./Margin.sol";
import {Nonces} from "./Nonces.sol";
import {Positions} from "./Positions.sol";
import {Touched} from "./Touched.sol";
import {TypedData} from "./TypedData.sol";
import {
    AccountId,
    Batch,
    EventConfig,
    EventId,
    Fill,
    InboxItem,
    InboxKind,
    MarketFills,
    MarketId,
    Redemption,
    Side,
    Signature,
    SignedWithdraw,
    Withdraw
} from "./Types.sol";

/// @title The risk group contract
/// @notice See `IRiskGroup` for what it promises. `settle` reads as the steps of a batch, one function per step.
/// @dev Token, sequencer, deployer and deadline cannot change. Rotating a sequencer key will come through the inbox, as
/// everything does that could make a sealed frame invalid.
contract RiskGroup is IRiskGroup, EIP712, ReentrancyGuardTransient {
    using Custody for Custody.Payments;
    using Events for EventRecord;
    using Events for EventTerms;
    using Inbox for Inbox.Queue;
    using Margin for Account;
    using Nonces for Nonces.Ledger;
    using Positions for Positions.Ledger;
    using SafeCast for int256;
    using SafeCast for uint256;
    using Touched for Touched.List;

    /// @notice How far behind and ahead of block time a frame's time may be, in milliseconds.
    uint64 public constant MAX_FRAME_LAG = 24 hours * 1000;
    uint64 public constant MAX_FRAME_LEAD = 60 seconds * 1000;

    /// @dev No single deposit can bring a sum of cash near the end of `int128`, whatever the token's supply.
    uint256 private constant MAX_DEPOSIT = type(uint96).max;
    /// @dev A batch must be able to re-supply the item, whatever is in it.
    uint256 private constant MAX_EVENT_PAYLOAD = 16 * 1024;
    /// @dev Selector, offset of the batch, and the signature's two words: then comes the batch to the calldata's end.
    uint256 private constant BATCH_START = 4 + 3 * 32;

    address public immutable settlementToken;
    address public immutable sequencer;
    address public immutable deployer;
    uint64 public immutable inboxDeadline;

    struct LastBatch {
        bytes32 hash;
        uint64 id;
        uint64 time;
        uint64 sequence;
    }

    LastBatch private _lastBatch;
    Inbox.Queue private _inbox;
    uint64 public accounts;
    uint24 public events;
    mapping(AccountId => Account) private _accounts;
    mapping(EventId => EventRecord) private _events;
    Positions.Ledger private _positions;
    Nonces.Ledger private _nonces;
    mapping(address owner => uint256) public claimable;

    constructor(address token, address sequencer_, address deployer_, uint64 inboxDeadlineMs)
        EIP712("Exchange OS", "1")
    {
        if (token.code.length == 0) revert InvalidGroupConfig("token");
        if (sequencer_ == address(0)) revert InvalidGroupConfig("sequencer");
        if (deployer_ == address(0)) revert InvalidGroupConfig("deployer");
        if (inboxDeadlineMs == 0) revert InvalidGroupConfig("inboxDeadline");
        settlementToken = token;
        sequencer = sequencer_;
        deployer = deployer_;
        inboxDeadline = inboxDeadlineMs;
    }

    // ----------------------------------------------------------------- requests

    /// @inheritdoc IRiskGroup
    function deposit(AccountId id, uint256 amount) external nonReentrant returns (AccountId) {
        uint256 arrived = Custody.receiveFromCaller(settlementToken, amount);
        if (arrived == 0) revert ZeroAmount();
        if (arrived > MAX_DEPOSIT) revert AmountTooLarge(arrived, MAX_DEPOSIT);

        if (AccountId.unwrap(id) == 0) {
            id = AccountId.wrap(++accounts);
            _accounts[id].owner = msg.sender;
        }
        _inbox.push(InboxKind.Deposit, abi.encode(id, _ownerOf(id), settlementToken, arrived.toUint128()));
        return id;
    }

    /// @inheritdoc IRiskGroup
    function requestWithdrawal(AccountId id, uint128 amount) external {
        address owner = _ownerOf(id);
        if (msg.sender != owner) revert NotOwner(id, msg.sender, owner);
        if (amount == 0) revert ZeroAmount();
        _inbox.push(InboxKind.ForcedWithdrawal, abi.encode(id, settlementToken, amount));
    }

    /// @inheritdoc IRiskGroup
    function openEvent(EventConfig calldata config) external returns (EventId id) {
        if (msg.sender != deployer) revert NotDeployer(msg.sender, deployer);
        Events.requireValid(config, accounts);
        id = EventId.wrap(++events);
        bytes memory payload = abi.encode(id, config);
        if (payload.length > MAX_EVENT_PAYLOAD) revert InvalidEventConfig("payload");
        _events[id].write(config);
        _inbox.push(InboxKind.EventOpened, payload);
    }

    /// @inheritdoc IRiskGroup
    function resolveEvent(EventId id, uint64[] calldata payouts_) external {
        EventRecord storage record = _events[id];
        if (msg.sender != record.resolver) revert NotResolver(id, msg.sender, record.resolver);
        if (record.decided) revert AlreadyResolved(id);
        record.requirePayouts(payouts_);
        record.decided = true;
        _inbox.push(InboxKind.EventResolved, abi.encode(id, payouts_));
    }

    /// @inheritdoc IRiskGroup
    function claim(address to) external nonReentrant returns (uint256 amount) {
        amount = claimable[msg.sender];
        if (amount == 0) revert NothingToClaim(msg.sender);
        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, to, amount);
        Custody.send(settlementToken, to, amount);
    }

    // ----------------------------------------------------------------- settlement

    /// @inheritdoc IRiskGroup
    function settle(Batch calldata batch, Signature calldata signature) external nonReentrant {
        Touched.List memory touched = Touched.create(batch.id, _mostTouched(batch));
        Custody.Payments memory payments = Custody.create(batch.inbox.length + batch.withdrawals.length);

        bytes32 hash = _checkHeader(batch, signature);
        _consumeInbox(batch.inbox, touched, payments);
        // Prices, then funding, are applied here, before anything that they could make invalid. Outcome markets have
        // neither.
        _redeem(batch.redemptions, touched);
        _fill(batch.markets, batch.time, touched);
        _withdraw(batch.withdrawals, batch.time, touched, payments);
        _checkMargin(touched);
        _store(batch, hash);
        _pay(payments);
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
        uint256 start;
        assembly ("memory-safe") {
            start := batch
        }
        if (start != BATCH_START) revert MalformedCalldata();

        LastBatch memory last = _lastBatch;
        if (batch.id != last.id + 1) revert WrongBatchId(last.id + 1, batch.id);
        if (batch.parent != last.hash) revert WrongParent(last.hash, batch.parent);
        hash = TypedData.hashBatch(batch.id, batch.parent, TypedData.hashCalldataFrom(BATCH_START));
        address recovered = TypedData.signer(_domainSeparatorV4(), hash, signature);
        if (recovered != sequencer) revert WrongSequencer(sequencer, recovered);

        if (batch.time < last.time) revert FrameTimeWentBack(last.time, batch.time);
        if (batch.sequence < last.sequence) revert SequenceWentBack(last.sequence, batch.sequence);
        uint64 blockTime = Inbox.nowMs();
        uint64 earliest = blockTime > MAX_FRAME_LAG ? blockTime - MAX_FRAME_LAG : 0;
        uint64 latest = blockTime + MAX_FRAME_LEAD;
        if (batch.time < earliest || batch.time > latest) revert FrameTimeOutOfRange(batch.time, earliest, latest);
    }

    /// @dev Step 2: what the chain told the sequencer takes effect, in the order in which it was queued.
    function _consumeInbox(InboxItem[] calldata items, Touched.List memory touched, Custody.Payments memory payments)
        private
    {
        for (uint256 i = 0; i < items.length; ++i) {
            InboxItem calldata item = items[i];
            _inbox.consume(item);
            if (item.kind == InboxKind.Deposit) {
                _creditDeposit(item.payload);
            } else if (item.kind == InboxKind.EventOpened) {
                EventId id = abi.decode(item.payload, (EventId));
                _events[id].terms.state = EventState.Open;
            } else if (item.kind == InboxKind.EventResolved) {
                (EventId id, uint64[] memory payouts_) = abi.decode(item.payload, (EventId, uint64[]));
                _events[id].payouts = payouts_;
                _events[id].terms.state = EventState.Resolved;
            } else {
                _forceWithdrawal(item.payload, touched, payments);
            }
        }
        _inbox.requireNotOverdue(inboxDeadline);
    }

    function _creditDeposit(bytes calldata payload) private {
        (AccountId id,,, uint128 amount) = abi.decode(payload, (AccountId, address, address, uint128));
        _accounts[id].addCash(uint256(amount).toInt256());
    }

    function _forceWithdrawal(bytes calldata payload, Touched.List memory touched, Custody.Payments memory payments)
        private
    {
        (AccountId id,, uint128 amount) = abi.decode(payload, (AccountId, address, uint128));
        Account storage account_ = _accounts[id];
        int256 spare = account_.health();
        if (spare <= 0) return;
        uint256 paid = Math.min(amount, spare.toUint256());
        account_.addCash(-paid.toInt256());
        touched.add(id);
        payments.add(id, account_.owner, paid);
    }

    /// @dev Step 5: positions in resolved events become cash, account by account as listed.
    function _redeem(Redemption[] calldata redemptions, Touched.List memory touched) private {
        for (uint256 i = 0; i < redemptions.length; ++i) {
            (AccountId id, EventId eventId) = (redemptions[i].account, redemptions[i].eventId);
            EventTerms memory terms = _events[eventId].terms;
            if (terms.state != EventState.Resolved) revert EventNotResolved(eventId);

            Account storage account_ = _accounts[id];
            account_.addWorstPayoff(-_worstPayoff(id, eventId, terms));
            (bool held, int256 value) = _positions.clear(id, eventId, _events[eventId].payouts);
            if (!held) revert NothingToRedeem(id, eventId);
            account_.addCash(value * int256(uint256(terms.quantum)));
            touched.add(id);
        }
    }

    /// @dev Step 6: every market's fills, each within what its trader signed, together taking from nobody.
    function _fill(MarketFills[] calldata markets, uint64 time, Touched.List memory touched) private {
        bytes32 domain = _domainSeparatorV4();
        MarketId previous;
        for (uint256 i = 0; i < markets.length; ++i) {
            MarketId market = markets[i].market;
            if (MarketId.unwrap(market) <= MarketId.unwrap(previous)) revert MarketsNotAscending(previous, market);
            previous = market;
            _fillMarket(market, markets[i].fills, time, domain, touched);
        }
    }

    function _fillMarket(
        MarketId market,
        Fill[] calldata fills,
        uint64 time,
        bytes32 domain,
        Touched.List memory touched
    ) private {
        EventTerms memory terms = _events[market.eventOf()].terms;
        if (terms.state != EventState.Open || market.outcomeOf() >= terms.outcomes) revert MarketNotOpen(market);

        int256 sizes;
        int256 notionals;
        uint256 fees;
        for (uint256 i = 0; i < fills.length; ++i) {
            Fill calldata fill = fills[i];
            Account storage account_ = _accounts[fill.order.account];
            _checkOrder(fill, market, account_.owner, terms, time, domain);

            (int256 size, int256 notional) = (int256(uint256(fill.filled)), int256(uint256(fill.notional)));
            if (fill.order.side == Side.Sell) (size, notional) = (-size, -notional);
            int256 cash;
            // Sums of uint128 overflow no sooner than after 2^127 fills; uint128 times uint64 is below 2^192.
            unchecked {
                sizes += size;
                notionals += notional;
                fees += fill.fee;
                cash = -notional * int256(uint256(terms.quantum)) - int256(uint256(fill.fee));
            }
            _trade(fill.order.account, account_, market, terms, size, cash, touched);
        }
        if (sizes != 0) revert SizesDoNotSumToZero(market, sizes);
        if (notionals != 0) revert NotionalsDoNotSumToZero(market, notionals);
        if (fees != 0) _accounts[_events[market.eventOf()].treasury].addCash(fees.toInt256());
    }

    /// @dev The order is of this market, its owner signed it, the fill is within it, and its nonce has room for it.
    function _checkOrder(
        Fill calldata fill,
        MarketId market,
        address owner,
        EventTerms memory terms,
        uint64 time,
        bytes32 domain
    ) private {
        if (MarketId.unwrap(fill.order.market) != MarketId.unwrap(market)) {
            revert OrderForAnotherMarket(market, fill.order.market);
        }
        if (owner == address(0)) revert NoSuchAccount(fill.order.account);
        bytes32 orderHash = TypedData.hashOrder(fill.order);
        address recovered = TypedData.signer(domain, orderHash, fill.signature);
        if (recovered != owner) {
            revert OrderSignedByAnother(fill.order.account, fill.order.nonce, owner, recovered);
        }
        Fills.requireWithinOrder(fill, terms, time);
        _nonces.fill(fill.order, orderHash, fill.filled);
    }

    /// @dev The one position path: `(Δposition, Δcash)`. At an account's first trade in an event its worst payoff there
    /// is taken out of the account's sum; step 8 puts the new one in.
    function _trade(
        AccountId id,
        Account storage account_,
        MarketId market,
        EventTerms memory terms,
        int256 lots,
        int256 cash,
        Touched.List memory touched
    ) private {
        EventId eventId = market.eventOf();
        if (touched.add(id, eventId)) account_.addWorstPayoff(-_worstPayoff(id, eventId, terms));
        _positions.add(id, market, terms.outcomes, lots);
        account_.addCash(cash);
    }

    /// @dev Step 7: signed withdrawals leave their accounts. The tokens follow at the very end.
    function _withdraw(
        SignedWithdraw[] calldata withdrawals,
        uint64 time,
        Touched.List memory touched,
        Custody.Payments memory payments
    ) private {
        bytes32 domain = _domainSeparatorV4();
        for (uint256 i = 0; i < withdrawals.length; ++i) {
            Withdraw calldata request = withdrawals[i].withdraw;
            (AccountId id, uint64 nonce) = (request.account, request.nonce);
            address recovered = TypedData.signer(domain, TypedData.hashWithdraw(request), withdrawals[i].signature);
            address owner = _ownerOf(id);
            if (recovered != owner) revert WithdrawSignedByAnother(id, nonce, owner, recovered);
            if (request.token != settlementToken) revert UnknownToken(request.token, settlementToken);
            if (request.amount == 0) revert ZeroAmount();
            if (request.expiry != 0 && time > request.expiry) {
                revert WithdrawExpired(id, nonce, request.expiry, time);
            }
            _nonces.spend(id, nonce);
            _accounts[id].addCash(-uint256(request.amount).toInt256());
            touched.add(id);
            payments.add(id, owner, request.amount);
        }
    }

    /// @dev Step 8: the worst payoff of every event that an account traded goes back into its sum; then nobody may be
    /// short.
    function _checkMargin(Touched.List memory touched) private {
        for (uint256 i = 0; i < touched.length; ++i) {
            (AccountId id, EventId eventId) = touched.read(i);
            if (EventId.unwrap(eventId) == 0) continue;
            _accounts[id].addWorstPayoff(_worstPayoff(id, eventId, _events[eventId].terms));
        }
        for (uint256 i = 0; i < touched.length; ++i) {
            (AccountId id,) = touched.read(i);
            _accounts[id].requireHealthy(id);
        }
    }

    /// @dev Step 9: this batch is the next one's parent.
    function _store(Batch calldata batch, bytes32 hash) private {
        _lastBatch = LastBatch({hash: hash, id: batch.id, time: batch.time, sequence: batch.sequence});
        emit BatchSettled(batch.id, hash, batch.time, batch.sequence, batch.logHash, _inbox.head);
    }

    /// @dev The transfers of steps 2 and 7, when nothing is left that they could disturb. What the token refuses
    /// waits for its owner's `claim`.
    function _pay(Custody.Payments memory payments) private {
        for (uint256 i = 0; i < payments.length; ++i) {
            Custody.Payment memory payment = payments.entries[i];
            bool delivered = Custody.trySend(settlementToken, payment.owner, payment.amount);
            if (!delivered) claimable[payment.owner] += payment.amount;
            emit Withdrawn(payment.account, payment.owner, payment.amount, delivered);
        }
    }

    /// @dev At most how many entries the batch can put on the list of what it touched.
    function _mostTouched(Batch calldata batch) private pure returns (uint256 most) {
        most = batch.inbox.length + batch.redemptions.length + batch.withdrawals.length;
        for (uint256 i = 0; i < batch.markets.length; ++i) {
            most += batch.markets[i].fills.length;
        }
    }

    // ----------------------------------------------------------------- views

    /// @inheritdoc IRiskGroup
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IRiskGroup
    function lastBatch() external view returns (uint64 id, bytes32 hash, uint64 time, uint64 sequence) {
        LastBatch memory last = _lastBatch;
        return (last.id, last.hash, last.time, last.sequence);
    }

    /// @inheritdoc IRiskGroup
    function inbox() external view returns (uint64 head, uint64 tail) {
        return (_inbox.head, _inbox.tail);
    }

    /// @inheritdoc IRiskGroup
    function inboxHash(uint64 index) external view returns (bytes32) {
        return _inbox.entries[index].hash;
    }

    /// @inheritdoc IRiskGroup
    function account(AccountId id) external view returns (AccountView memory) {
        Account storage account_ = _accounts[id];
        return AccountView({owner: account_.owner, cash: account_.cash, worstPayoff: account_.worstPayoff});
    }

    /// @inheritdoc IRiskGroup
    function eventInfo(EventId id) external view returns (EventView memory) {
        EventRecord storage record = _events[id];
        EventTerms memory terms = record.terms;
        return EventView({
            venue: terms.venue,
            outcomes: terms.outcomes,
            ticks: terms.ticks,
            quantum: terms.quantum,
            takerFee: terms.takerFee,
            makerFee: terms.makerFee,
            treasury: record.treasury,
            resolver: record.resolver,
            state: terms.state
        });
    }

    /// @inheritdoc IRiskGroup
    function positions(AccountId id, EventId eventId) external view returns (int64[] memory) {
        return _positions.list(id, eventId, _events[eventId].terms.outcomes);
    }

    /// @inheritdoc IRiskGroup
    function payouts(EventId id) external view returns (uint64[] memory) {
        return _events[id].payouts;
    }

    /// @inheritdoc IRiskGroup
    function nonceState(AccountId id, uint64 nonce) external view returns (bool spent, uint64 filled) {
        return _nonces.state(id, nonce);
    }

    /// @dev The account must exist.
    function _ownerOf(AccountId id) private view returns (address owner) {
        owner = _accounts[id].owner;
        if (owner == address(0)) revert NoSuchAccount(id);
    }

    /// @dev What the account's positions in the event pay at worst, in atoms.
    function _worstPayoff(AccountId id, EventId eventId, EventTerms memory terms) private returns (int256) {
        return _positions.worst(id, eventId, terms.outcomes) * terms.payoutPerLot();
    }
}
