// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {
    AccountId,
    AssetConfig,
    Batch,
    BuilderId,
    Convert,
    Counterparty,
    EventConfig,
    EventId,
    FeedConfig,
    FeedId,
    Fill,
    FundingUpdate,
    GroupTerms,
    InboxItem,
    InboxKind,
    Liquidate,
    Lots,
    MarketFills,
    MarketId,
    MarketKind,
    Order,
    OrderKind,
    OrderTree,
    PerpetualConfig,
    Phase,
    PriceUpdate,
    Redemption,
    Rescue,
    RescueKind,
    Side,
    Signature,
    SignedTransfer,
    SignedWithdraw,
    SignerGrant,
    SpotConfig,
    TickLots,
    Ticks,
    TradingTerms,
    Transfer,
    VenueConfig,
    VenueId,
    Withdraw
} from "../../contracts/group/Types.sol";
import {MockPriceSource} from "./MockPriceSource.sol";
import {TestToken} from "./TestToken.sol";

/// @dev Stands where a group's escape hatch stands, in tests that never leave through it.
contract EscapeHatchStandIn {
    address public immutable group;

    constructor(address group_) {
        group = group_;
    }
}

/// @notice A group with its gateway, a token, a venue with a treasury, and a sequencer whose key the test holds; and the
/// words to write batches in.
/// @dev Hashes are written out here once more, from the type strings, so that the contract is not its own witness.
///
/// Numbers. An outcome's certainty is 1000 ticks of 10 atoms: a winning lot pays 10,000 atoms, a cent. On perpetuals and
/// spot markets a tick is a dollar and a lot a thousandth of a unit: at 50,000 ticks a lot is worth 50 dollars, 50,000,000
/// atoms, and the quantum is 1000 atoms.
abstract contract GroupTest is Test {
    struct Trader {
        uint256 key;
        address owner;
        AccountId account;
    }

    /// @notice A group and what was made with it.
    struct Deployment {
        IRiskGroup group;
        IGateway gateway;
        address escapeHatch;
    }

    uint64 internal constant TICKS = 1000;
    uint64 internal constant QUANTUM = 10;
    /// @dev Atoms of a dollar's tick on a thousandth's lot.
    uint64 internal constant DOLLAR_QUANTUM = 1000;
    uint256 internal constant PRICE_SCALE = 1e9;
    uint64 internal constant DEADLINE = 24 hours * 1000;
    uint256 internal constant BASE_FEE = 0.001 ether;
    uint256 internal constant SEQUENCER_KEY = uint256(keccak256("sequencer"));
    VenueId internal constant VENUE = VenueId.wrap(1);
    AccountId internal constant INSURANCE = AccountId.wrap(1);
    AccountId internal constant PROTOCOL = AccountId.wrap(2);
    AccountId internal constant NEW_ACCOUNT = AccountId.wrap(0);

    SimulatedToken internal token;
    MockPriceSource internal source;
    IRiskGroup internal group;
    /// @dev The same contract as `group`, for questions.
    IGroupViews internal views;
    IGateway internal gateway;
    address internal governor = makeAddr("governor");
    address internal guardian = makeAddr("guardian");
    address internal deployer = makeAddr("deployer");
    address internal registrar = makeAddr("registrar");
    address internal resolver = makeAddr("resolver");
    Trader internal treasury;

    mapping(IRiskGroup => InboxItem[]) private _queued;
    mapping(IRiskGroup => mapping(AccountId => uint64)) private _lastNonce;
    mapping(FeedId => bytes32) private _feedNames;

    function setUp() public virtual {
        vm.warp(1_781_000_000);
        token = newToken();
        source = new MockPriceSource();
        use(newDeployment());
        treasury = openAccount("treasury", 1);
        openVenue(venueConfig());
    }

    function newToken() internal virtual returns (SimulatedToken) {
        return new SimulatedToken();
    }

    /// @notice Makes the escape hatch of the group that will be at this address: exactly one contract.
    function newEscapeHatch(address group_) internal virtual returns (address) {
        return address(new EscapeHatchStandIn(group_));
    }

    /// @dev From their artifacts, so that tests compile without the contracts' own compiler settings.
    function newDeployment() internal returns (Deployment memory made) {
        address expected = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 2);
        made.gateway =
            IGateway(deployCode("Gateway.sol:Gateway", abi.encode(expected, token, governor, guardian, BASE_FEE)));
        made.escapeHatch = newEscapeHatch(expected);
        bytes memory arguments = abi.encode(token, made.gateway, made.escapeHatch, governor, DEADLINE, groupTerms());
        made.group = IRiskGroup(deployCode("RiskGroup.sol:RiskGroup", arguments));
        assertEq(address(made.group), expected);
    }

    /// @notice From here on the test's words mean this group.
    function use(Deployment memory deployment) internal {
        group = deployment.group;
        views = IGroupViews(address(deployment.group));
        gateway = deployment.gateway;
    }

    // ----------------------------------------------------------------- doors into the inbox: users

    function openAccount(string memory name, uint256 amount) internal returns (Trader memory trader) {
        (trader.owner, trader.key) = makeAddrAndKey(name);
        trader.account = deposit(trader.owner, NEW_ACCOUNT, amount);
    }

    function deposit(address from, AccountId id, uint256 amount) internal returns (AccountId) {
        return deposit(from, id, address(token), amount);
    }

    /// @notice `from` mints tokens and deposits them to an account; to a new one of its own if `id` is `NEW_ACCOUNT`.
    function deposit(address from, AccountId id, address token_, uint256 amount) internal returns (AccountId) {
        SimulatedToken(token_).mint(from, amount);
        vm.startPrank(from);
        SimulatedToken(token_).approve(address(gateway), amount);
        id = gateway.deposit(id, from, token_, amount);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, abi.encode(id, gateway.ownerOf(id), token_, uint128(amount)));
        return id;
    }

    function requestWithdrawal(Trader memory trader, uint128 amount) internal {
        requestWithdrawal(trader, address(token), amount);
    }

    function requestWithdrawal(Trader memory trader, address token_, uint128 amount) internal {
        gateway.requestWithdrawal{value: payFee(trader.owner)}(trader.account, token_, amount);
        noteQueued(InboxKind.ForcedWithdrawal, abi.encode(trader.account, token_, amount));
    }

    function requestCancelAll(Trader memory trader, uint64 floor) internal {
        gateway.requestCancelAll{value: payFee(trader.owner)}(trader.account, floor);
        noteQueued(InboxKind.CancelAll, abi.encode(trader.account, floor));
    }

    function requestClose(Trader memory trader, MarketId where) internal {
        gateway.requestClose{value: payFee(trader.owner)}(trader.account, where);
        noteQueued(InboxKind.ForcedClose, abi.encode(trader.account, where));
    }

    function requestLiquidation(Trader memory keeper, Liquidate memory request) internal {
        gateway.requestLiquidation{value: payFee(keeper.owner)}(request);
        noteQueued(InboxKind.ForcedLiquidation, abi.encode(request));
    }

    function setSigner(Trader memory trader, SignerGrant memory grant) internal {
        gateway.setSigner{value: payFee(trader.owner)}(trader.account, grant);
        noteQueued(InboxKind.SignerSet, abi.encode(trader.account, grant));
    }

    function setReferrer(Trader memory trader, BuilderId referrer) internal {
        gateway.setReferrer{value: payFee(trader.owner)}(trader.account, referrer);
        noteQueued(InboxKind.ReferrerSet, abi.encode(trader.account, referrer));
    }

    function registerBuilder(Trader memory trader) internal returns (BuilderId builder) {
        builder = gateway.registerBuilder{value: payFee(trader.owner)}(trader.account);
        noteQueued(InboxKind.BuilderSet, abi.encode(builder, trader.account));
    }

    /// @notice The next call is `from`'s, who has the fee of a request.
    function payFee(address from) internal returns (uint256 fee) {
        fee = gateway.requestFee();
        vm.deal(from, fee);
        vm.prank(from);
    }

    /// @notice A key that may do everything for ever; narrow it down.
    function grantTo(address signer) internal pure returns (SignerGrant memory grant) {
        grant.signer = signer;
        grant.expiry = type(uint48).max;
        (grant.trade, grant.withdraw) = (true, true);
    }

    // ----------------------------------------------------------------- doors into the inbox: venues and the governor

    function openVenue(VenueConfig memory config) internal returns (VenueId id) {
        vm.prank(governor);
        id = gateway.openVenue(deployer, registrar, config);
        noteQueued(InboxKind.VenueSet, abi.encode(id, config));
    }

    function setVenue(VenueConfig memory config) internal {
        vm.prank(governor);
        gateway.setVenue(VENUE, deployer, registrar, config);
        noteQueued(InboxKind.VenueSet, abi.encode(VENUE, config));
    }

    function setMembership(Trader memory trader, uint64 until) internal {
        vm.prank(registrar);
        gateway.setMembership(trader.account, VENUE, until);
        noteQueued(InboxKind.MembershipSet, abi.encode(trader.account, VENUE, until));
    }

    function openEvent(uint8 outcomes) internal returns (EventId) {
        return openEvent(eventConfig(outcomes));
    }

    function openEvent(EventConfig memory config) internal returns (EventId id) {
        vm.prank(deployer);
        id = gateway.openEvent(config);
        noteQueued(InboxKind.EventOpened, abi.encode(id, config));
    }

    function resolveEvent(EventId id, uint64[] memory payouts) internal {
        vm.prank(resolver);
        gateway.resolveEvent(id, payouts);
        noteQueued(InboxKind.EventResolved, abi.encode(id, payouts));
    }

    function listPerpetual(bytes32 name) internal returns (MarketId, FeedId) {
        return listPerpetual(perpetualConfig(name));
    }

    function listPerpetual(PerpetualConfig memory config) internal returns (MarketId id, FeedId feed) {
        vm.prank(deployer);
        id = gateway.listPerpetual(config);
        feed = nameNextFeed(config.feed.name);
        noteQueued(InboxKind.PerpetualSet, abi.encode(id, feed, config));
    }

    function setPerpetual(MarketId id, PerpetualConfig memory config) internal {
        vm.prank(deployer);
        gateway.setPerpetual(id, config);
        noteQueued(InboxKind.PerpetualSet, abi.encode(id, views.market(id).feed, config));
    }

    function listSpot(FeedId asset) internal returns (MarketId) {
        return listSpot(spotConfig(asset));
    }

    function listSpot(SpotConfig memory config) internal returns (MarketId id) {
        vm.prank(deployer);
        id = gateway.listSpot(config);
        noteQueued(InboxKind.SpotListed, abi.encode(id, config));
    }

    /// @notice A new token with 18 decimals, as an asset of the group with the default weights.
    function addAsset(bytes32 name) internal returns (TestToken asset, FeedId feed) {
        asset = new TestToken("ASSET", 18);
        feed = addAsset(assetConfig(address(asset), name));
    }

    function addAsset(AssetConfig memory config) internal returns (FeedId feed) {
        vm.prank(governor);
        feed = gateway.setAsset(config);
        if (_feedNames[feed] == 0) nameNextFeed(config.feed.name);
        noteQueued(InboxKind.AssetSet, abi.encode(feed, config));
    }

    function setPhase(MarketId where, Phase phase) internal {
        vm.prank(deployer);
        gateway.setPhase(where, phase);
        noteQueued(InboxKind.PhaseSet, abi.encode(where, phase));
    }

    function setTerms(GroupTerms memory terms) internal {
        vm.prank(governor);
        gateway.setTerms(terms);
        noteQueued(InboxKind.TermsSet, abi.encode(terms));
    }

    function noteQueued(InboxKind kind, bytes memory payload) internal {
        _queued[group].push(InboxItem({kind: kind, time: nowMs(), payload: payload}));
    }

    /// @notice Item `index` of the inbox, as this test had it queued.
    function queued(uint64 index) internal view returns (InboxItem memory) {
        return _queued[group][index];
    }

    // ----------------------------------------------------------------- configurations

    function groupTerms() internal pure returns (GroupTerms memory) {
        return GroupTerms({sequencer: vm.addr(SEQUENCER_KEY), maxHoldings: 32, keeperShare: 500_000, grace: 10_000});
    }

    /// @notice All fees are the treasury's.
    function venueConfig() internal view returns (VenueConfig memory config) {
        config.treasury = treasury.account;
    }

    function tradingTerms(uint64 quantum) internal pure returns (TradingTerms memory terms) {
        (terms.venue, terms.quantum, terms.takerFee) = (VENUE, quantum, 1000);
    }

    function eventConfig(uint8 outcomes) internal view returns (EventConfig memory) {
        string[] memory labels = new string[](outcomes);
        for (uint256 i = 0; i < outcomes; ++i) {
            labels[i] = vm.toString(i);
        }
        return EventConfig({
            terms: tradingTerms(QUANTUM),
            outcomes: outcomes,
            ticks: uint32(TICKS),
            resolver: resolver,
            title: "Who wins?",
            labels: labels
        });
    }

    /// @notice Good for a minute; prices may double or halve each second without an incident.
    function feedConfig(bytes32 name) internal view returns (FeedConfig memory) {
        return FeedConfig({
            source: address(source),
            name: name,
            unit: uint96(DOLLAR_QUANTUM * PRICE_SCALE),
            maxAge: 60_000,
            maxGap: 3_600_000,
            maxMove: 1_000_000
        });
    }

    /// @notice 5 % to open, 3 % to stay, up to a million dollars; more above. A liquidation costs 1 %.
    function perpetualConfig(bytes32 name) internal view returns (PerpetualConfig memory) {
        return PerpetualConfig({
            terms: tradingTerms(DOLLAR_QUANTUM),
            feed: feedConfig(name),
            initialFractions: [uint24(50_000), 100_000, 200_000, 400_000],
            maintenanceFractions: [uint24(30_000), 60_000, 120_000, 240_000],
            tierBounds: [uint32(1_000_000), 5_000_000, 20_000_000],
            penalty: 10_000,
            fundingCap: 10_000,
            lossCap: 1e12,
            title: "A perpetual"
        });
    }

    /// @notice Counts for 80 % to open, for 90 % to stay; keepers buy it 5 % below its price.
    function assetConfig(address asset, bytes32 name) internal view returns (AssetConfig memory) {
        return AssetConfig({
            token: asset,
            lot: 1e15,
            initialWeight: 800_000,
            maintenanceWeight: 900_000,
            conversionDiscount: 50_000,
            cap: type(uint128).max,
            feed: feedConfig(name)
        });
    }

    function spotConfig(FeedId asset) internal pure returns (SpotConfig memory) {
        return SpotConfig({terms: tradingTerms(DOLLAR_QUANTUM), asset: asset, title: "A spot market"});
    }

    function winner(uint8 outcomes, uint8 outcome) internal pure returns (uint64[] memory payouts) {
        payouts = new uint64[](outcomes);
        payouts[outcome] = TICKS;
    }

    function market(EventId id, uint8 outcome) internal pure returns (MarketId) {
        return MarketId.wrap(uint32(EventId.unwrap(id)) << 8 | outcome);
    }

    /// @notice The trader's account for one market only.
    function isolatedOf(Trader memory trader, MarketId where) internal pure returns (Trader memory) {
        uint64 number = 1 << 63 | AccountId.unwrap(trader.account) << 32 | MarketId.unwrap(where);
        return Trader({key: trader.key, owner: trader.owner, account: AccountId.wrap(number)});
    }

    // ----------------------------------------------------------------- prices

    /// @notice Lets the source say a price in dollars, as of the batch's time, and puts it among the batch's prices.
    function addPrice(Batch memory batch, FeedId feed, uint256 dollars) internal {
        addPriceAt(batch, feed, dollars * 1e18, batch.time);
    }

    /// @param price With 18 decimals.
    function addPriceAt(Batch memory batch, FeedId feed, uint256 price, uint64 publishedAt) internal {
        source.set(_feedNames[feed], batch.time, price, publishedAt);
        PriceUpdate[] memory old = batch.prices;
        batch.prices = new PriceUpdate[](old.length + 1);
        uint256 place = old.length;
        while (place > 0 && FeedId.unwrap(old[place - 1].feed) > FeedId.unwrap(feed)) {
            batch.prices[place] = old[place - 1];
            --place;
        }
        batch.prices[place] = PriceUpdate({feed: feed, proof: abi.encode(_feedNames[feed], batch.time)});
        while (place > 0) {
            --place;
            batch.prices[place] = old[place];
        }
    }

    /// @notice Settles a batch that does nothing but set a price.
    function settlePrice(FeedId feed, uint256 dollars) internal {
        Batch memory batch = inboxBatch();
        addPrice(batch, feed, dollars);
        settle(batch);
    }

    /// @notice Puts a funding index (atoms per lot, times 1e9) into the batch; call in ascending order of feeds.
    function addFunding(Batch memory batch, FeedId feed, int128 index) internal pure {
        FundingUpdate[] memory old = batch.funding;
        batch.funding = new FundingUpdate[](old.length + 1);
        for (uint256 i = 0; i < old.length; ++i) {
            batch.funding[i] = old[i];
        }
        batch.funding[old.length] = FundingUpdate({feed: feed, index: index});
    }

    /// @dev The group numbers its feeds in the order in which they are made; so does this.
    function nameNextFeed(bytes32 name) private returns (FeedId feed) {
        uint8 number = 1;
        while (_feedNames[FeedId.wrap(number)] != 0) ++number;
        feed = FeedId.wrap(number);
        _feedNames[feed] = name;
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
            size: Lots.wrap(size),
            price: Ticks.wrap(price),
            nonce: nextNonce(trader.account),
            expiry: 0,
            maxFee: 1000,
            builder: BuilderId.wrap(0),
            builderFee: 0
        });
    }

    function nextNonce(AccountId id) internal returns (uint64) {
        return ++_lastNonce[group][id];
    }

    /// @notice `filled` lots of the order at `price`, without a fee, signed by the trader.
    function fill(Trader memory trader, Order memory signed, uint64 filled, uint64 price)
        internal
        view
        returns (Fill memory)
    {
        return Fill({
            order: signed,
            filled: Lots.wrap(filled),
            notional: TickLots.wrap(uint128(filled) * price),
            fee: 0,
            tree: 0,
            signature: sign(trader.key, hashOrder(signed))
        });
    }

    /// @notice A whole order filled at its own price.
    function fill(Trader memory trader, Order memory signed) internal view returns (Fill memory) {
        return fill(trader, signed, Lots.unwrap(signed.size), Ticks.unwrap(signed.price));
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

    /// @notice `more` tick·lots more than a line says.
    function raise(Fill memory line, int256 more) internal pure {
        line.notional = TickLots.wrap(uint128(uint256(int256(uint256(TickLots.unwrap(line.notional))) + more)));
    }

    // ----------------------------------------------------------------- money messages

    function withdrawal(Trader memory trader, uint128 amount) internal returns (SignedWithdraw memory) {
        return withdrawal(trader, address(token), amount);
    }

    function withdrawal(Trader memory trader, address token_, uint128 amount)
        internal
        returns (SignedWithdraw memory result)
    {
        result.withdraw = Withdraw({
            account: trader.account, token: token_, amount: amount, nonce: nextNonce(trader.account), expiry: 0
        });
        result.signature = sign(trader.key, hashWithdraw(result.withdraw));
    }

    /// @notice Settlement tokens to another account of the owner in this group.
    function transfer(Trader memory from, AccountId to, uint128 amount) internal returns (SignedTransfer memory) {
        return transfer(from, address(0), to, address(token), amount);
    }

    function transfer(Trader memory from, address gateway_, AccountId to, address token_, uint128 amount)
        internal
        returns (SignedTransfer memory result)
    {
        result.transfer = Transfer({
            account: from.account,
            gateway: gateway_,
            to: to,
            token: token_,
            amount: amount,
            nonce: nextNonce(from.account),
            expiry: 0
        });
        result.signature = sign(from.key, hashTransfer(result.transfer));
    }

    // ----------------------------------------------------------------- rescues

    function flag(Trader memory trader) internal pure returns (Rescue memory) {
        return Rescue(RescueKind.Flag, abi.encode(trader.account));
    }

    /// @notice What a keeper signs who takes up to `size` lots at any price.
    function liquidateMessage(Trader memory keeper, Trader memory failing, MarketId where, uint64 size)
        internal
        returns (Liquidate memory)
    {
        int64 position = int64(positionOf(failing, where));
        return Liquidate({
            keeper: keeper.account,
            account: failing.account,
            market: where,
            size: Lots.wrap(size),
            limit: position > 0 ? type(uint128).max : 0,
            nonce: nextNonce(keeper.account),
            expiry: 0
        });
    }

    function liquidation(Trader memory keeper, Liquidate memory request) internal view returns (Rescue memory) {
        return Rescue(RescueKind.Liquidation, abi.encode(request, sign(keeper.key, hashLiquidate(request))));
    }

    /// @notice What a keeper signs who buys up to `amount` atoms of an asset at any price.
    function convertMessage(Trader memory keeper, Trader memory failing, FeedId asset, uint128 amount)
        internal
        returns (Convert memory)
    {
        return Convert({
            keeper: keeper.account,
            account: failing.account,
            asset: asset,
            amount: amount,
            limit: type(uint128).max,
            nonce: nextNonce(keeper.account),
            expiry: 0
        });
    }

    function conversion(Trader memory keeper, Convert memory request) internal view returns (Rescue memory) {
        return Rescue(RescueKind.Conversion, abi.encode(request, sign(keeper.key, hashConvert(request))));
    }

    function takeover(Trader memory failing, MarketId where) internal pure returns (Rescue memory) {
        return Rescue(RescueKind.Takeover, abi.encode(failing.account, where));
    }

    function deleveraging(Trader memory failing, MarketId where, Counterparty[] memory others)
        internal
        pure
        returns (Rescue memory)
    {
        return Rescue(RescueKind.Deleveraging, abi.encode(failing.account, where, others));
    }

    function bankruptcy(Trader memory failing) internal pure returns (Rescue memory) {
        return Rescue(RescueKind.Bankruptcy, abi.encode(failing.account));
    }

    // ----------------------------------------------------------------- trees of orders

    /// @notice A tree over all of these fills' orders, signed with `key`; each fill names it as the batch's tree `number`.
    /// @param lines Two, four, eight ... of them; all stand in the batch, in this order.
    function treeOf(uint256 key, uint32 number, Fill[] memory lines) internal view returns (OrderTree memory tree) {
        bytes32[] memory leaves = new bytes32[](lines.length);
        for (uint256 i = 0; i < lines.length; ++i) {
            leaves[i] = hashOrder(lines[i].order);
            lines[i].tree = number;
            lines[i].signature = Signature(0, 0);
        }
        tree.root = rootOf(leaves);
        tree.signature = sign(key, hashOrderTree(tree.root));
        while (uint256(1) << tree.depth < lines.length) ++tree.depth;
        tree.proofs = new bytes32[](lines.length * tree.depth);
        for (uint256 i = 0; i < lines.length; ++i) {
            bytes32[] memory proof = proofOf(leaves, i);
            for (uint256 k = 0; k < tree.depth; ++k) {
                tree.proofs[i * tree.depth + k] = proof[k];
            }
        }
    }

    function rootOf(bytes32[] memory leaves) internal pure returns (bytes32) {
        while (leaves.length > 1) {
            leaves = parentsOf(leaves);
        }
        return leaves[0];
    }

    function proofOf(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory proof) {
        uint256 depth;
        while (uint256(1) << depth < leaves.length) ++depth;
        proof = new bytes32[](depth);
        for (uint256 level = 0; level < depth; ++level) {
            proof[level] = leaves[index ^ 1];
            leaves = parentsOf(leaves);
            index /= 2;
        }
    }

    function parentsOf(bytes32[] memory leaves) private pure returns (bytes32[] memory parents) {
        parents = new bytes32[](leaves.length / 2);
        for (uint256 i = 0; i < parents.length; ++i) {
            (bytes32 a, bytes32 b) = (leaves[2 * i], leaves[2 * i + 1]);
            parents[i] = a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
        }
    }

    // ----------------------------------------------------------------- batches

    /// @notice The next batch, with nothing in it.
    function nextBatch() internal view returns (Batch memory batch) {
        uint64 sequence;
        (batch.id, batch.parent,, sequence) = views.lastBatch();
        batch.id += 1;
        batch.time = nowMs();
        batch.sequence = sequence + 1;
        batch.logHash = keccak256(abi.encode(batch.sequence));
    }

    /// @notice The next batch, consuming the whole inbox.
    function inboxBatch() internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.inbox = takeInbox();
    }

    /// @notice Everything that waits in the inbox.
    function takeInbox() internal view returns (InboxItem[] memory items) {
        (uint64 head, uint64 tail) = views.inbox();
        items = new InboxItem[](tail - head);
        for (uint64 i = head; i < tail; ++i) {
            items[i - head] = queued(i);
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

    function batchOf(SignedTransfer memory only) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.transfers = new SignedTransfer[](1);
        batch.transfers[0] = only;
    }

    function batchOf(Redemption memory only) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.redemptions = new Redemption[](1);
        batch.redemptions[0] = only;
    }

    function batchOf(Rescue memory only) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.rescues = new Rescue[](1);
        batch.rescues[0] = only;
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

    function hashTransfer(Transfer memory signed) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Transfer(uint64 account,address gateway,uint64 to,address token,uint128 amount,uint64 nonce,uint64 expiry)"
                ),
                signed
            )
        );
    }

    function hashLiquidate(Liquidate memory signed) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Liquidate(uint64 keeper,uint64 account,uint32 market,uint64 size,uint128 limit,uint64 nonce,uint64 expiry)"
                ),
                signed
            )
        );
    }

    function hashConvert(Convert memory signed) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Convert(uint64 keeper,uint64 account,uint8 asset,uint128 amount,uint128 limit,uint64 nonce,uint64 expiry)"
                ),
                signed
            )
        );
    }

    function hashOrderTree(bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("OrderTree(bytes32 root)"), root));
    }

    function hashBatch(Batch memory batch) internal pure returns (bytes32) {
        bytes memory encoded = abi.encode(batch);
        bytes32 content;
        assembly ("memory-safe") {
            // Past the length, and past the offset that a lone dynamic tuple is prefixed with.
            content := keccak256(add(encoded, 64), sub(mload(encoded), 32))
        }
        return hashBatch(batch.id, batch.parent, content);
    }

    function hashBatch(uint64 id, bytes32 parent, bytes32 content) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("Batch(uint64 id,bytes32 parent,bytes32 content)"), id, parent, content));
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

    /// @notice Lets so many seconds pass, a block each.
    function pass(uint256 secondsLong) internal {
        vm.warp(vm.getBlockTimestamp() + secondsLong);
        vm.roll(vm.getBlockNumber() + secondsLong);
    }

    function cashOf(Trader memory trader) internal view returns (int256) {
        return cashOf(trader.account);
    }

    function cashOf(AccountId id) internal view returns (int256) {
        return views.account(id).cash;
    }

    function worstPayoffOf(Trader memory trader) internal view returns (int256) {
        return views.account(trader.account).worstPayoff;
    }

    function usdOf(Trader memory trader) internal view returns (int256) {
        return views.health(trader.account).usd;
    }

    function initialHealthOf(Trader memory trader) internal view returns (int256) {
        IGroupViews.HealthView memory health = views.health(trader.account);
        return health.initialEquity - int256(health.initialRequirement);
    }

    function maintenanceHealthOf(Trader memory trader) internal view returns (int256) {
        IGroupViews.HealthView memory health = views.health(trader.account);
        return health.maintenanceEquity - int256(health.maintenanceRequirement);
    }

    /// @notice Signed lots of an outcome or a perpetual.
    function positionOf(Trader memory trader, MarketId where) internal view returns (int256 lots) {
        IGroupViews.MarketView memory info = views.market(where);
        if (info.kind == MarketKind.Outcome) {
            return views.positions(trader.account, where.eventOf())[where.outcomeOf()];
        }
        (lots,,) = views.holding(trader.account, info.feed);
    }

    /// @notice Atoms of an asset.
    function balanceOf(Trader memory trader, FeedId asset) internal view returns (int256 atoms) {
        (atoms,,) = views.holding(trader.account, asset);
    }

    function assertNonce(Trader memory trader, uint64 nonce, bool isSpent, uint64 filled) internal view {
        (bool actuallySpent, uint64 actuallyFilled) = views.nonceState(trader.account, nonce);
        assertEq(actuallySpent, isSpent);
        assertEq(actuallyFilled, filled);
    }

    function shortfall(Trader memory trader, int256 health) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.MarginShortfall.selector, trader.account, health);
    }
}
