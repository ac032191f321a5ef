// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
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
    Order,
    OrderKind,
    Redemption,
    Side,
    Signature,
    SignedWithdraw,
    Withdraw
} from "../../contracts/group/Types.sol";

/// @notice A group with a token, a treasury and a sequencer whose key the test holds, and the words to write batches in.
/// @dev Hashes are written out here once more, from the type strings, so that the contract is not its own witness.
abstract contract GroupTest is Test {
    struct Trader {
        uint256 key;
        address owner;
        AccountId account;
    }

    uint64 internal constant TICKS = 1000;
    uint64 internal constant QUANTUM = 10;
    uint64 internal constant DEADLINE = 24 hours * 1000;
    uint256 internal constant SEQUENCER_KEY = uint256(keccak256("sequencer"));

    SimulatedToken internal token;
    IRiskGroup internal group;
    address internal deployer = makeAddr("deployer");
    address internal resolver = makeAddr("resolver");
    Trader internal treasury;

    InboxItem[] internal queued;
    mapping(AccountId => uint64) private _lastNonce;

    function setUp() public virtual {
        vm.warp(1_781_000_000);
        token = newToken();
        group = newGroup();
        treasury = openAccount("treasury", 1);
    }

    function newToken() internal virtual returns (SimulatedToken) {
        return new SimulatedToken();
    }

    /// @dev From its artifact, so that tests compile without the contract's own compiler settings.
    function newGroup() internal returns (IRiskGroup) {
        bytes memory arguments = abi.encode(token, vm.addr(SEQUENCER_KEY), deployer, DEADLINE);
        return IRiskGroup(deployCode("RiskGroup.sol:RiskGroup", arguments));
    }

    // ----------------------------------------------------------------- doors into the inbox

    function openAccount(string memory name, uint256 amount) internal returns (Trader memory trader) {
        (trader.owner, trader.key) = makeAddrAndKey(name);
        trader.account = deposit(trader.owner, AccountId.wrap(0), amount);
    }

    function deposit(address from, AccountId id, uint256 amount) internal returns (AccountId) {
        token.mint(from, amount);
        vm.startPrank(from);
        token.approve(address(group), amount);
        id = group.deposit(id, amount);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, abi.encode(id, group.account(id).owner, address(token), uint128(amount)));
        return id;
    }

    function openEvent(uint8 outcomes) internal returns (EventId) {
        return openEvent(eventConfig(outcomes));
    }

    function openEvent(EventConfig memory config) internal returns (EventId id) {
        vm.prank(deployer);
        id = group.openEvent(config);
        noteQueued(InboxKind.EventOpened, abi.encode(id, config));
    }

    function resolveEvent(EventId id, uint64[] memory payouts) internal {
        vm.prank(resolver);
        group.resolveEvent(id, payouts);
        noteQueued(InboxKind.EventResolved, abi.encode(id, payouts));
    }

    function requestWithdrawal(Trader memory trader, uint128 amount) internal {
        vm.prank(trader.owner);
        group.requestWithdrawal(trader.account, amount);
        noteQueued(InboxKind.ForcedWithdrawal, abi.encode(trader.account, address(token), amount));
    }

    function noteQueued(InboxKind kind, bytes memory payload) internal {
        queued.push(InboxItem({kind: kind, time: nowMs(), payload: payload}));
    }

    function eventConfig(uint8 outcomes) internal view returns (EventConfig memory) {
        string[] memory labels = new string[](outcomes);
        for (uint256 i = 0; i < outcomes; ++i) {
            labels[i] = vm.toString(i);
        }
        return EventConfig({
            venue: 1,
            outcomes: outcomes,
            ticks: TICKS,
            quantum: QUANTUM,
            takerFee: 1000,
            makerFee: 0,
            treasury: treasury.account,
            resolver: resolver,
            title: "Who wins?",
            labels: labels
        });
    }

    function winner(uint8 outcomes, uint8 outcome) internal pure returns (uint64[] memory payouts) {
        payouts = new uint64[](outcomes);
        payouts[outcome] = TICKS;
    }

    function market(EventId id, uint8 outcome) internal pure returns (MarketId) {
        return MarketId.wrap(uint32(EventId.unwrap(id)) << 8 | outcome);
    }

    // ----------------------------------------------------------------- orders and fills

    function order(Trader memory trader, MarketId where, Side side, uint64 size, uint64 price)
        internal
        returns (Order memory)
    {
        return Order({
            account: trader.account,
            market: where,
            side: side,
            kind: OrderKind.GoodTillCancelled,
            reduceOnly: false,
            size: size,
            price: price,
            nonce: nextNonce(trader.account),
            expiry: 0,
            maxFee: 1000,
            builder: 0,
            builderFee: 0
        });
    }

    function nextNonce(AccountId id) internal returns (uint64) {
        return ++_lastNonce[id];
    }

    /// @notice `filled` lots of the order at `price`, without a fee, signed by the trader.
    function fill(Trader memory trader, Order memory signed, uint64 filled, uint64 price)
        internal
        view
        returns (Fill memory)
    {
        return Fill({
            order: signed,
            filled: filled,
            notional: uint128(filled) * price,
            fee: 0,
            signature: sign(trader.key, hashOrder(signed))
        });
    }

    /// @notice A whole order filled at its own price.
    function fill(Trader memory trader, Order memory signed) internal view returns (Fill memory) {
        return fill(trader, signed, signed.size, signed.price);
    }

    /// @notice A new buy order and a new sell order that meet at `price`.
    function trade(Trader memory buyer, Trader memory seller, MarketId where, uint64 size, uint64 price)
        internal
        returns (MarketFills memory)
    {
        return fills(
            where,
            fill(buyer, order(buyer, where, Side.Buy, size, price)),
            fill(seller, order(seller, where, Side.Sell, size, price))
        );
    }

    function fills(MarketId where, Fill memory a, Fill memory b) internal pure returns (MarketFills memory result) {
        result.market = where;
        result.fills = new Fill[](2);
        (result.fills[0], result.fills[1]) = (a, b);
    }

    function withdrawal(Trader memory trader, uint128 amount) internal returns (SignedWithdraw memory result) {
        result.withdraw = Withdraw({
            account: trader.account, token: address(token), amount: amount, nonce: nextNonce(trader.account), expiry: 0
        });
        result.signature = sign(trader.key, hashWithdraw(result.withdraw));
    }

    // ----------------------------------------------------------------- batches

    /// @notice The next batch, with nothing in it.
    function nextBatch() internal view returns (Batch memory batch) {
        uint64 sequence;
        (batch.id, batch.parent,, sequence) = group.lastBatch();
        batch.id += 1;
        batch.time = nowMs();
        batch.sequence = sequence + 1;
        batch.logHash = keccak256(abi.encode(batch.sequence));
    }

    /// @notice The next batch, consuming the whole inbox.
    function inboxBatch() internal view returns (Batch memory batch) {
        batch = nextBatch();
        (uint64 head, uint64 tail) = group.inbox();
        batch.inbox = new InboxItem[](tail - head);
        for (uint64 i = head; i < tail; ++i) {
            batch.inbox[i - head] = queued[i];
        }
    }

    function batchOf(MarketFills memory only) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.markets = new MarketFills[](1);
        batch.markets[0] = only;
    }

    function batchOf(MarketFills memory first, MarketFills memory second) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.markets = new MarketFills[](2);
        (batch.markets[0], batch.markets[1]) = (first, second);
    }

    function batchOf(SignedWithdraw memory only) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.withdrawals = new SignedWithdraw[](1);
        batch.withdrawals[0] = only;
    }

    function batchOf(Redemption memory only) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.redemptions = new Redemption[](1);
        batch.redemptions[0] = only;
    }

    function settleInbox() internal {
        settle(inboxBatch());
    }

    function settle(Batch memory batch) internal {
        group.settle(batch, signBatch(batch));
    }

    /// @notice The sequencer signs this batch, and the group refuses it with exactly this error.
    function assertRefused(Batch memory batch, bytes memory refusal) internal {
        assertRefused(batch, signBatch(batch), refusal);
    }

    function assertRefused(Batch memory batch, Signature memory signature, bytes memory refusal) internal {
        vm.expectRevert(refusal);
        group.settle(batch, signature);
    }

    function signBatch(Batch memory batch) internal view returns (Signature memory) {
        return sign(SEQUENCER_KEY, hashBatch(batch));
    }

    // ----------------------------------------------------------------- typed data

    function hashOrder(Order memory signed) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Order(uint64 account,uint32 market,uint8 side,uint8 kind,bool reduceOnly,uint64 size,uint64 price,uint64 nonce,uint64 expiry,uint32 maxFee,uint32 builder,uint32 builderFee)"
                ),
                signed
            )
        );
    }

    function hashWithdraw(Withdraw memory signed) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("Withdraw(uint64 account,address token,uint128 amount,uint64 nonce,uint64 expiry)"), signed
            )
        );
    }

    function hashBatch(Batch memory batch) internal pure returns (bytes32) {
        bytes memory encoded = abi.encode(batch);
        bytes32 content;
        assembly ("memory-safe") {
            // Past the length, and past the offset that a lone dynamic tuple is prefixed with.
            content := keccak256(add(encoded, 64), sub(mload(encoded), 32))
        }
        return keccak256(
            abi.encode(keccak256("Batch(uint64 id,bytes32 parent,bytes32 content)"), batch.id, batch.parent, content)
        );
    }

    function separatorOf(address contract_, uint256 chainId) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Exchange OS"),
                keccak256("1"),
                chainId,
                contract_
            )
        );
    }

    function digest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", separatorOf(address(group), block.chainid), structHash));
    }

    function sign(uint256 key, bytes32 structHash) internal view returns (Signature memory signature) {
        (signature.r, signature.vs) = vm.signCompact(key, digest(structHash));
    }

    /// @notice Whom a signature names when it is held against this struct hash.
    function recover(bytes32 structHash, Signature memory signature) internal view returns (address) {
        bytes32 s = signature.vs & bytes32(type(uint256).max >> 1);
        return ecrecover(digest(structHash), uint8(27 + (uint256(signature.vs) >> 255)), signature.r, s);
    }

    // ----------------------------------------------------------------- readings

    function nowMs() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp() * 1000);
    }

    function cashOf(Trader memory trader) internal view returns (int256) {
        return group.account(trader.account).cash;
    }

    function worstPayoffOf(Trader memory trader) internal view returns (int256) {
        return group.account(trader.account).worstPayoff;
    }

    function positionOf(Trader memory trader, MarketId where) internal view returns (int256) {
        EventId id = EventId.wrap(uint24(MarketId.unwrap(where) >> 8));
        return group.positions(trader.account, id)[uint8(MarketId.unwrap(where))];
    }
}
