// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Credential, CredentialRule} from "../../contracts/compliance/CredentialRule.sol";
import {Gateway} from "../../contracts/group/Gateway.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {IGroupViews} from "../../contracts/group/IGroupViews.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {
    AccountId,
    EventId,
    FeeTier,
    InboxKind,
    MarketId,
    MarketKind,
    Phase,
    VenueId
} from "../../contracts/group/Types.sol";
import {QuorumSource} from "../../contracts/oracle/QuorumSource.sol";
import {CommitteeResolver} from "../../contracts/resolver/CommitteeResolver.sol";
import {OptimisticResolver} from "../../contracts/resolver/OptimisticResolver.sol";
import {Listings} from "../../contracts/venue/Listings.sol";
import {Slots} from "../../contracts/venue/Slots.sol";
import {WrappedOkb} from "../../contracts/venue/WrappedOkb.sol";
import {Group, GroupNumber, VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {XipKind} from "../../contracts/xip/IXipActions.sol";
import {XipNumber, XipStatus} from "../../contracts/xip/XipTypes.sol";
import {Committee} from "../../script/Committee.s.sol";
import {Core, GroupCode} from "../../script/Core.sol";
import {CoreScript} from "../../script/CoreScript.sol";
import {Leave} from "../../script/Leave.s.sol";
import {ListMarket} from "../../script/ListMarket.s.sol";
import {OpenVenue} from "../../script/OpenVenue.s.sol";
import {Prices} from "../../script/Prices.s.sol";
import {Resolve} from "../../script/Resolve.s.sol";
import {Rule} from "../../script/Rule.s.sol";
import {Stake} from "../../script/Stake.s.sol";
import {Xip} from "../../script/Xip.s.sol";

/// @dev With the groups' code from its artifacts, which are built with other settings than tests.
contract DeployCoreFromArtifacts is CoreScript {
    function groupCode() internal view override returns (GroupCode memory) {
        return GroupCode({
            group: vm.getCode("RiskGroup.sol:RiskGroup"),
            gateway: vm.getCode("Gateway.sol:Gateway"),
            escapeHatch: vm.getCode("EscapeHatch.sol:EscapeHatch")
        });
    }
}

/// @notice Every script, as forge runs it on X Layer, its test net and a local chain: a core, a stake, venues, markets, a XIP.
/// @dev One test, because environment variables and files are shared by all that run at once.
contract CoreScriptsTest is Test {
    uint256 private constant X_LAYER = 196;
    uint256 private constant X_LAYER_TEST_NET = 1952;
    uint256 private constant LOCAL = 31_337;
    /// @dev Wrapped OKB on X Layer.
    address private constant WOKB = 0xe538905cf8410324e03A5A23C1c177a474D59b2b;
    string private constant FOLDER = "run/scripts-test";
    string private constant CONFIG = "run/scripts-test/config.json";
    string private constant VENUE = "script/config/venue-worldcup.json";

    function test_every_script_runs_on_x_layer_its_test_net_and_a_local_chain() public {
        vm.setEnv("DEPLOYER_KEY", vm.toString(bytes32(uint256(keccak256("deployer")))));
        vm.setEnv("DEPLOYMENTS", FOLDER);
        vm.setEnv("CORE_CONFIG", CONFIG);
        vm.createDir(FOLDER, true);
        vm.etch(WOKB, address(new WrappedOkb()).code);
        take(X_LAYER, WOKB);
        take(X_LAYER_TEST_NET, address(0));
        take(LOCAL, address(0));
        vm.removeDir(FOLDER, true);
    }

    function files() private view returns (string memory) {
        return string.concat(FOLDER, "/", vm.toString(block.chainid));
    }

    /// @dev A core on that chain, and everything that scripts can do with it.
    function take(uint256 chain, address okb) private {
        address deployer = vm.addr(uint256(keccak256("deployer")));
        vm.chainId(chain);
        vm.warp(1_781_000_000);
        string memory config = vm.replace(
            vm.readFile("script/config/core.json"), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", vm.toString(deployer)
        );
        config = vm.replace(
            config, string.concat('"okb": "', vm.toString(address(0))), string.concat('"okb": "', vm.toString(okb))
        );
        vm.writeFile(CONFIG, config);

        Core memory core = new DeployCoreFromArtifacts().run();
        if (okb != address(0)) assertEq(address(core.okb), okb);
        string memory written = vm.readFile(string.concat(files(), ".core.json"));
        assertEq(vm.parseJsonAddress(written, ".registry"), address(core.registry));
        assertEq(vm.parseJsonAddress(written, ".registrar"), address(core.registrar));
        assertEq(address(core.registrar.registry()), address(core.registry));
        assertEq(vm.parseJsonUint(written, ".chainId"), block.chainid);
        assertEq(core.slots.baseSlots(MarketKind.Outcome), 128);

        vm.deal(deployer, 10_000 ether);
        new Stake().wrap(8000 ether);
        new Stake().stake(4000 ether);
        vm.warp(vm.getBlockTimestamp() + 1);
        assertEq(core.stake.balanceOf(deployer), 4000 ether);

        openVenue(core, deployer);
        listEvents(core);
        resolve(core);
        listPerpetual(core);
        listSpotForMembers(core, deployer);
        enactXip(core);
    }

    function openVenue(Core memory core, address deployer) private {
        OpenVenue opening = new OpenVenue();
        XipNumber number = opening.file(VENUE);
        assertEq(uint8(core.xips.status(number)), uint8(XipStatus.Review));
        vm.warp(vm.getBlockTimestamp() + core.registry.notice());
        VenueNumber venue = opening.execute(VENUE, XipNumber.unwrap(number));
        assertEq(core.registry.venueOf(venue).deployer, deployer);
        assertWritten(core, deployer);
        opening.change("script/config/venue-perpetuals.json", VenueNumber.unwrap(venue));
        setTiers(core, opening, venue);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        new Stake().bid(2, VenueNumber.unwrap(venue), 10 ether);
        vm.warp(vm.getBlockTimestamp() + 15 minutes);
        core.auction.settle(MarketKind.Perpetual);
        assertEq(core.slots.countOf(venue, MarketKind.Perpetual).bought, 1);
    }

    /// @dev What reaches the group is what the file says.
    function setTiers(Core memory core, OpenVenue opening, VenueNumber venue) private {
        IGroupViews views = IGroupViews(core.registry.groupOf(GroupNumber.wrap(1)).group);
        (, uint64 next) = views.inbox();
        opening.tiers("script/config/venue-perpetuals.json", VenueNumber.unwrap(venue));
        FeeTier[] memory tiers = new FeeTier[](3);
        tiers[0] = FeeTier({volume: 100_000e6, takerShare: 900_000, makerShare: 800_000});
        tiers[1] = FeeTier({volume: 1_000_000e6, takerShare: 800_000, makerShare: 500_000});
        tiers[2] = FeeTier({volume: 10_000_000e6, takerShare: 600_000, makerShare: 0});
        bytes memory payload = abi.encode(VenueId.wrap(1), tiers);
        uint64 time = uint64(vm.getBlockTimestamp()) * 1000;
        assertEq(views.inboxHash(next), keccak256(abi.encode(InboxKind.FeeTiersSet, time, payload)));
    }

    /// @dev Everything that a node needs of a group is in the file that its opening leaves.
    function assertWritten(Core memory core, address deployer) private view {
        string memory written = vm.readFile(string.concat(files(), ".group-1.json"));
        Group memory group = core.registry.groupOf(GroupNumber.wrap(1));
        IGroupViews views = IGroupViews(group.group);
        assertEq(group.steward, deployer);
        assertEq(vm.parseJsonUint(written, ".chainId"), block.chainid);
        assertEq(vm.parseJsonUint(written, ".block"), vm.getBlockNumber());
        assertEq(vm.parseJsonAddress(written, ".token"), IRiskGroup(group.group).settlementToken());
        assertEq(vm.parseJsonAddress(written, ".group"), group.group);
        assertEq(vm.parseJsonAddress(written, ".gateway"), group.gateway);
        assertEq(vm.parseJsonAddress(written, ".escapeHatch"), group.escapeHatch);
        assertEq(vm.parseJsonAddress(written, ".governance"), address(core.registry));
        assertEq(vm.parseJsonAddress(written, ".deployer"), address(core.listings));
        assertEq(vm.parseJsonAddress(written, ".sequencer"), views.terms().sequencer);
        assertEq(vm.parseJsonUint(written, ".maxHoldings"), views.terms().maxHoldings);
        assertEq(vm.parseJsonUint(written, ".keeperShare"), views.terms().keeperShare);
        assertEq(vm.parseJsonUint(written, ".grace"), views.terms().grace);
    }

    /// @dev The World Cup's terms with three events.
    function listEvents(Core memory core) private {
        string memory config = vm.replace(
            vm.readFile("script/config/events-worldcup.json"), "worldcup/events.json", "test/vectors/events.json"
        );
        vm.writeFile(CONFIG, config);
        ListMarket list = new ListMarket();
        list.events(CONFIG);
        IGateway gateway = gatewayOf(core, 1);
        assertEq(gateway.listings(), 3);
        assertEq(gateway.resolverOf(EventId.wrap(1)), address(core.resolver));
        // Nothing is opened twice.
        list.events(CONFIG);
        assertEq(gateway.listings(), 3);
    }

    /// @dev No batch has opened the event, so the resolver cannot look at it yet: what reaches it is what the file says.
    function resolve(Core memory core) private {
        Resolve script = new Resolve();
        bytes memory early = abi.encodeWithSelector(
            OptimisticResolver.NotSettledYet.selector, address(gatewayOf(core, 1)), EventId.wrap(1)
        );
        vm.expectRevert(early);
        script.claim("script/config/resolution.json");
        vm.stopBroadcast();
        decideByCommittee(core);
        XipNumber asked = script.ask("script/config/resolution.json");
        assertEq(uint8(core.governor.xipOf(asked).kind), uint8(XipKind.RuleEvent));
    }

    /// @dev The second event's committee is its deployer alone, who signs what the file says. No batch has opened the event, so
    /// the gateway hears of an event that another resolver has.
    function decideByCommittee(Core memory core) private {
        string memory config = vm.replace(
            vm.readFile("script/config/resolver-committee.json"),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            vm.toString(vm.addr(uint256(keccak256("deployer"))))
        );
        vm.writeFile(CONFIG, config);
        Committee script = new Committee();
        CommitteeResolver committee = script.deploy(CONFIG);
        assertEq(committee.quorum(), 1);
        bytes memory refusal = abi.encodeWithSelector(
            IGateway.NotResolver.selector, EventId.wrap(1), address(committee), address(core.resolver)
        );
        vm.expectRevert(refusal);
        script.decide("script/config/resolution.json", new bytes[](0));
        vm.stopBroadcast();
        vm.expectRevert(abi.encodeWithSelector(CommitteeResolver.NotDueYet.selector, committee.deadline()));
        script.void("script/config/resolution.json");
        vm.stopBroadcast();
    }

    function listPerpetual(Core memory core) private {
        OpenVenue opening = new OpenVenue();
        XipNumber number = opening.file("script/config/venue-perpetuals.json");
        vm.warp(vm.getBlockTimestamp() + core.registry.notice());
        VenueNumber venue = opening.execute("script/config/venue-perpetuals.json", XipNumber.unwrap(number));
        assertEq(VenueNumber.unwrap(venue), 2);
        assertEq(core.registry.groups(), 1);
        QuorumSource source = new Prices().quorum("script/config/prices-quorum.json");
        assertEq(source.quorum(), 2);
        ListMarket list = new ListMarket();
        MarketId btc = list.perpetual("script/config/market-btc.json");
        MarketId eth = list.perpetual("script/config/market-eth.json");
        assertEq(uint8(core.listings.marketOf(venue, btc).kind), uint8(MarketKind.Perpetual));
        assertEq(uint8(core.listings.marketOf(venue, eth).kind), uint8(MarketKind.Perpetual));
        assertEq(Gateway(address(gatewayOf(core, 1))).feeds(), 2);
        source = new Prices().quorum("script/config/prices-venue.json");
        assertEq(source.quorum(), 1);
        MarketId house = list.perpetual("script/config/market-house.json");
        assertEq(uint8(core.listings.marketOf(venue, house).kind), uint8(MarketKind.Perpetual));
        delist(core, venue, eth);
    }

    /// @dev No batch has consumed it, so its slot stays taken, and the venue open.
    function delist(Core memory core, VenueNumber venue, MarketId market) private {
        Leave leave = new Leave();
        (uint32 number, uint32 id) = (VenueNumber.unwrap(venue), MarketId.unwrap(market));
        leave.announce(number, id);
        assertTrue(core.listings.marketOf(venue, market).delisting);
        vm.warp(vm.getBlockTimestamp() + core.listings.notice());
        leave.delist(number, id);
        assertEq(uint8(core.listings.marketOf(venue, market).phase), uint8(Phase.Delisted));
        vm.expectRevert(abi.encodeWithSelector(Listings.StillListed.selector, venue, market));
        leave.free(number, id);
        vm.stopBroadcast();
        vm.expectRevert(abi.encodeWithSelector(Slots.MarketsLive.selector, venue, MarketKind.Perpetual, uint32(3)));
        leave.close(number);
        vm.stopBroadcast();
    }

    function listSpotForMembers(Core memory core, address deployer) private {
        OpenVenue opening = new OpenVenue();
        XipNumber number = opening.file("script/config/venue-stock.json");
        vm.warp(vm.getBlockTimestamp() + core.registry.notice());
        VenueNumber venue = opening.execute("script/config/venue-stock.json", XipNumber.unwrap(number));
        assertEq(core.registry.venueOf(venue).registrar, address(core.registrar));
        MarketId market = new ListMarket().spot("script/config/market-stock.json");
        assertEq(uint8(core.listings.marketOf(venue, market).kind), uint8(MarketKind.Spot));
        CredentialRule rule = new Rule().credential("script/config/rule-credential.json");
        assertTrue(rule.admits(724));
        assertFalse(rule.admits(840));

        joinByCredential(core, deployer, venue);
    }

    /// @dev Its issuer's word lets an account in.
    function joinByCredential(Core memory core, address deployer, VenueNumber venue) private {
        (address issuer, uint256 key) = makeAddrAndKey("issuer");
        uint16[] memory admitted = new uint16[](1);
        admitted[0] = 724;
        CredentialRule rule = new CredentialRule(issuer, admitted, 1);
        new Rule().set(VenueNumber.unwrap(venue), address(rule), 365 days);
        vm.warp(vm.getBlockTimestamp() + core.registrar.notice());
        new Rule().apply_(VenueNumber.unwrap(venue));
        Credential memory credential = Credential(deployer, 724, 1, uint64(vm.getBlockTimestamp() + 30 days), 1);
        bytes memory signature = sign(key, rule.hashCredential(credential));
        AccountId account = deposit(core, deployer);
        uint64 until = core.registrar.join(venue, account, abi.encode(credential, signature));
        assertEq(until, credential.expiry);
    }

    function sign(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function deposit(Core memory core, address owner) private returns (AccountId) {
        IGateway gateway = gatewayOf(core, 2);
        SimulatedToken token = SimulatedToken(IRiskGroup(gateway.group()).settlementToken());
        token.mint(owner, 1e6);
        vm.startPrank(owner);
        token.approve(address(gateway), 1e6);
        AccountId account = gateway.deposit(AccountId.wrap(0), owner, address(token), 1e6);
        vm.stopPrank();
        return account;
    }

    function gatewayOf(Core memory core, uint32 group) private view returns (IGateway) {
        return IGateway(core.registry.groupOf(GroupNumber.wrap(group)).gateway);
    }

    function enactXip(Core memory core) private {
        Xip xip = new Xip();
        XipNumber number =
            xip.propose(uint8(XipKind.SetBaseSlots), abi.encode(MarketKind.Spot, uint32(9)), "https://xip");
        uint64 plain = XipNumber.unwrap(number);
        uint256 proposal = core.governor.xipOf(number).proposalId;
        vm.warp(core.governor.proposalSnapshot(proposal) + 1);
        xip.vote(plain, 1);
        vm.warp(core.governor.proposalDeadline(proposal) + 1);
        xip.queue(plain);
        vm.warp(core.governor.proposalEta(proposal));
        xip.execute(plain);
        assertEq(uint8(xip.status(plain)), uint8(XipStatus.Executed));
        assertEq(core.slots.baseSlots(MarketKind.Spot), 9);
    }
}
