// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Vm.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    AssetConfig,
    Batch,
    EventConfig,
    FeedConfig,
    FeedId,
    InboxItem,
    InboxKind,
    Lots,
    MarketId,
    PerpetualConfig,
    Phase,
    Signature,
    SpotConfig,
    TradingTerms,
    VenueConfig,
    VenueId
} from "../../contracts/group/Types.sol";
import {Group, GroupNumber, GroupSpec, VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {RolloutPhase} from "../../contracts/xip/Rollout.sol";
import {XipNumber} from "../../contracts/xip/XipTypes.sol";
import {MockPriceSource} from "../group/MockPriceSource.sol";
import {XipTest} from "../xip/XipTest.sol";

/// @notice Venues in real groups, which the factory makes and whose batches this test's sequencer signs.
abstract contract VenueTest is XipTest {
    MockPriceSource internal source;
    address internal resolver = makeAddr("resolver");
    address internal registrar = makeAddr("registrar");
    mapping(address group => InboxItem[]) private _queued;

    function setUp() public virtual override {
        super.setUp();
        source = new MockPriceSource();
        vm.recordLogs();
    }

    // ----------------------------------------------------------------- opening a venue

    function groupSpec() internal view returns (GroupSpec memory) {
        return GroupSpec({
            settlementToken: address(simulated),
            inboxDeadline: 24 hours * 1000,
            requestFee: 0.001 ether,
            maxHoldings: 16,
            keeperShare: 500_000,
            grace: 5000
        });
    }

    function venueConfig() internal pure returns (VenueConfig memory config) {
        (config.treasury, config.protocolShare) = (AccountId.wrap(2), 100_000);
    }

    function venueRequest() internal view returns (VenueRequest memory request) {
        request.spec = groupSpec();
        (request.registrar, request.config, request.metadata) = (registrar, venueConfig(), "ipfs://venue");
    }

    function file(address author, VenueRequest memory request) internal returns (XipNumber number) {
        okb.mint(author, BOND);
        vm.startPrank(author);
        okb.approve(address(registry), BOND);
        number = registry.fileVenue(request, "ipfs://venue xip");
        vm.stopPrank();
    }

    /// @notice Stakes for `author` and takes its Venue XIP from filing to execution.
    function open(address author, VenueRequest memory request) internal returns (VenueNumber) {
        stakeAs(author, REQUIRED);
        XipNumber number = file(author, request);
        pass(NOTICE);
        return registry.executeVenue(number, request);
    }

    function openVenue() internal returns (VenueNumber) {
        return open(deployer, venueRequest());
    }

    /// @notice The rollout as it is when everybody may do everything, as governance will have moved it.
    function openToAll() internal {
        vm.startPrank(address(timelock));
        for (uint8 phase = 1; phase <= uint8(RolloutPhase.Open); ++phase) {
            rollout.advance(RolloutPhase(phase));
        }
        vm.stopPrank();
    }

    // ----------------------------------------------------------------- markets

    function termsOf(VenueNumber venue) internal view returns (TradingTerms memory terms) {
        (terms.venue, terms.quantum, terms.takerFee) = (registry.venueOf(venue).id, 1000, 1000);
    }

    function eventOf(VenueNumber venue) internal view returns (EventConfig memory) {
        string[] memory labels = new string[](2);
        (labels[0], labels[1]) = ("yes", "no");
        return EventConfig({
            terms: termsOf(venue), outcomes: 2, ticks: 1000, resolver: resolver, title: "Will it?", labels: labels
        });
    }

    function feedConfig(bytes32 name) internal view returns (FeedConfig memory) {
        return
            FeedConfig({
                source: address(source), name: name, unit: 1e12, maxAge: 60_000, maxGap: 600_000, maxMove: 50_000
            });
    }

    function perpetualOf(VenueNumber venue) internal view returns (PerpetualConfig memory config) {
        config = PerpetualConfig({
            terms: termsOf(venue),
            feed: feedConfig("BTC"),
            initialFractions: [uint24(50_000), 100_000, 200_000, 400_000],
            maintenanceFractions: [uint24(30_000), 60_000, 120_000, 240_000],
            tierBounds: [uint32(1_000_000), 5_000_000, 20_000_000],
            penalty: 10_000,
            fundingCap: 10_000,
            lossCap: 1e12,
            title: "BTC"
        });
        config.terms.openInterestCap = Lots.wrap(1_000_000);
    }

    function assetOf(address token) internal view returns (AssetConfig memory) {
        return AssetConfig({
            token: token,
            lot: 1000,
            initialWeight: 800_000,
            maintenanceWeight: 900_000,
            conversionDiscount: 50_000,
            cap: type(uint128).max,
            feed: feedConfig("ASSET")
        });
    }

    function spotOf(VenueNumber venue, FeedId asset) internal view returns (SpotConfig memory) {
        return SpotConfig({terms: termsOf(venue), asset: asset, title: "A spot market"});
    }

    function listEvent(VenueNumber venue) internal returns (MarketId market) {
        EventConfig memory config = eventOf(venue);
        vm.prank(registry.venueOf(venue).deployer);
        market = listings.listEvent(venue, config);
    }

    function listPerpetual(VenueNumber venue) internal returns (MarketId market) {
        PerpetualConfig memory config = perpetualOf(venue);
        vm.prank(registry.venueOf(venue).deployer);
        market = listings.listPerpetual(venue, config);
    }

    // ----------------------------------------------------------------- the group

    function groupOf(VenueNumber venue) internal view returns (Group memory) {
        return registry.groupOf(registry.venueOf(venue).group);
    }

    function gatewayOf(VenueNumber venue) internal view returns (IGateway) {
        return IGateway(groupOf(venue).gateway);
    }

    function viewsOf(VenueNumber venue) internal view returns (IGroupViews) {
        return IGroupViews(groupOf(venue).group);
    }

    function phaseOf(VenueNumber venue, MarketId market) internal view returns (Phase) {
        return viewsOf(venue).market(market).phase;
    }

    /// @notice The group's sequencer settles a batch with everything that waits in the inbox.
    function settleInbox(VenueNumber venue) internal {
        settleInbox(groupOf(venue).group);
    }

    function settleInbox(address group) internal {
        noteQueued();
        Batch memory batch;
        (uint64 id, bytes32 parent,, uint64 sequence) = IGroupViews(group).lastBatch();
        (batch.id, batch.parent, batch.sequence) = (id + 1, parent, sequence + 1);
        batch.time = uint64(vm.getBlockTimestamp() * 1000);
        (uint64 head, uint64 tail) = IGroupViews(group).inbox();
        batch.inbox = new InboxItem[](tail - head);
        for (uint64 i = head; i < tail; ++i) {
            batch.inbox[i - head] = _queued[group][i];
        }
        IRiskGroup(group).settle(batch, sign(group, batch));
    }

    /// @dev As the sequencer reads it: from the groups' logs.
    function noteQueued() private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IRiskGroup.InboxQueued.selector) continue;
            (InboxKind kind, uint64 time, bytes memory payload) = abi.decode(logs[i].data, (InboxKind, uint64, bytes));
            assertEq(uint256(logs[i].topics[1]), _queued[logs[i].emitter].length);
            _queued[logs[i].emitter].push(InboxItem(kind, time, payload));
        }
    }

    function sign(address group, Batch memory batch) private view returns (Signature memory signature) {
        bytes memory encoded = abi.encode(batch);
        bytes32 content;
        assembly ("memory-safe") {
            // Past the length, and past the offset that a lone dynamic tuple is prefixed with.
            content := keccak256(add(encoded, 64), sub(mload(encoded), 32))
        }
        bytes32 hash = keccak256(
            abi.encode(keccak256("Batch(uint64 id,bytes32 parent,bytes32 content)"), batch.id, batch.parent, content)
        );
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Exchange OS"),
                keccak256("1"),
                block.chainid,
                group
            )
        );
        (signature.r, signature.vs) =
            vm.signCompact(SEQUENCER_KEY, keccak256(abi.encodePacked(hex"1901", separator, hash)));
    }
}
