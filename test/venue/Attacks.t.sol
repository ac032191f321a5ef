// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {AccountId, GroupTerms, MarketId, PerpetualConfig, VenueId} from "../../contracts/group/Types.sol";
import {VenueNumber, VenueRequest} from "../../contracts/venue/VenueTypes.sol";
import {XipNumber} from "../../contracts/xip/XipTypes.sol";
import {VenueTest} from "./VenueTest.sol";

/// @notice Whatever is called, it burns all gas; and it says that it would have allowed anything.
contract Furnace {
    fallback() external {
        while (true) {}
    }
}

/// @notice A settlement token that calls back whenever it is moved.
contract CallingToken is ERC20 {
    address public target;
    bytes public data;
    bool public called;
    bool public succeeded;

    constructor() ERC20("Calling", "CALL") {}

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function callBack(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target == address(0)) return;
        called = true;
        (succeeded,) = target.call(data);
    }
}

/// @notice A hostile price source, compliance rule, token or deployer hurts its own venue and nobody else's.
contract AttacksTest is VenueTest {
    address private mallory = makeAddr("mallory");

    function setUp() public override {
        super.setUp();
        vm.prank(address(timelock));
        rollout.setAllowed(mallory, true);
    }

    function deposit(VenueNumber venue, address owner, uint256 amount) private returns (AccountId id) {
        IGateway gateway = gatewayOf(venue);
        simulated.mint(owner, amount);
        vm.startPrank(owner);
        simulated.approve(address(gateway), amount);
        id = gateway.deposit(AccountId.wrap(0), owner, address(simulated), amount);
        vm.stopPrank();
    }

    function withdraw(VenueNumber venue, AccountId id, uint128 amount) private {
        IGateway gateway = gatewayOf(venue);
        uint256 fee = gateway.requestFee();
        address owner = gateway.ownerOf(id);
        vm.deal(owner, fee);
        vm.prank(owner);
        gateway.requestWithdrawal{value: fee}(id, address(simulated), amount);
    }

    function test_a_hostile_price_source_stops_nobody_else_and_no_exit() public {
        VenueNumber good = openVenue();
        VenueNumber bad = open(mallory, venueRequest());
        PerpetualConfig memory config = perpetualOf(bad);
        config.feed.source = address(new Furnace());
        vm.prank(mallory);
        listings.listPerpetual(bad, config);
        listPerpetual(good);
        AccountId here = deposit(good, alice, 100e6);
        AccountId there = deposit(bad, bob, 100e6);
        // Settlement asks a source only for prices that the batch brings.
        settleInbox(bad);
        settleInbox(good);
        withdraw(good, here, 100e6);
        withdraw(bad, there, 100e6);
        settleInbox(good);
        settleInbox(bad);
        assertEq(simulated.balanceOf(alice), 100e6);
        assertEq(simulated.balanceOf(bob), 100e6);
    }

    function test_a_hostile_compliance_rule_is_never_asked_and_blocks_no_exit() public {
        VenueRequest memory request = venueRequest();
        request.registrar = address(new Furnace());
        VenueNumber venue = open(mallory, request);
        listEvent(venue);
        AccountId id = deposit(venue, alice, 100e6);
        settleInbox(venue);
        withdraw(venue, id, 100e6);
        settleInbox(venue);
        assertEq(simulated.balanceOf(alice), 100e6);
        // All that it can do is to say who is a member, of its own venue.
        IGateway gateway = gatewayOf(venue);
        vm.startPrank(request.registrar);
        gateway.setMembership(id, VenueId.wrap(1), 1);
        vm.expectRevert(
            abi.encodeWithSelector(IGateway.NotRegistrar.selector, VenueId.wrap(2), request.registrar, address(0))
        );
        gateway.setMembership(id, VenueId.wrap(2), 1);
        vm.stopPrank();
    }

    function test_a_hostile_token_gets_no_bond_and_nothing_twice() public {
        openToAll();
        CallingToken token = new CallingToken();
        VenueRequest memory request = venueRequest();
        request.spec.settlementToken = address(token);
        VenueNumber venue = open(mallory, request);
        XipNumber number = file(deployer, venueRequest());
        token.mint(address(registry), 5e6);
        token.callBack(address(registry), abi.encodeCall(registry.withdrawVenue, (number)));
        registry.collect(registry.venueOf(venue).group, token);
        assertTrue(token.called());
        assertFalse(token.succeeded());
        token.callBack(address(registry), abi.encodeCall(registry.collect, (registry.venueOf(venue).group, okb)));
        token.mint(address(registry), 5e6);
        registry.collect(registry.venueOf(venue).group, token);
        assertFalse(token.succeeded(), "one thing after the other");
        assertEq(okb.balanceOf(address(registry)), BOND);
        assertEq(registry.bondsHeld(), BOND);
    }

    function test_a_deployer_goes_round_neither_registry_nor_listings() public {
        VenueNumber venue = open(mallory, venueRequest());
        MarketId market = listPerpetual(venue);
        IGateway gateway = gatewayOf(venue);
        PerpetualConfig memory config = perpetualOf(venue);
        VenueId id = registry.venueOf(venue).id;
        GroupTerms memory terms = registry.termsOf(registry.venueOf(venue).group);
        bytes memory refusal = abi.encodeWithSelector(IGateway.NotDeployer.selector, id, mallory, address(listings));
        vm.startPrank(mallory);
        vm.expectRevert(refusal);
        gateway.listPerpetual(config);
        vm.expectRevert(refusal);
        gateway.setPerpetual(market, config);
        refusal = abi.encodeWithSelector(IGateway.NotGovernor.selector, mallory, address(registry));
        vm.expectRevert(refusal);
        gateway.setGovernor(mallory);
        vm.expectRevert(refusal);
        gateway.setTerms(terms);
        vm.expectRevert(refusal);
        gateway.collectFees(payable(mallory));
        vm.expectRevert(refusal);
        gateway.openVenue(mallory, mallory, venueConfig());
        vm.stopPrank();
    }

    function test_nobody_can_take_what_is_in_the_insurance_fund() public {
        VenueNumber venue = openVenue();
        // Its account is the registry's, which has no door that withdraws from it.
        assertEq(gatewayOf(venue).ownerOf(AccountId.wrap(1)), address(registry));
        IGateway gateway = gatewayOf(venue);
        vm.deal(address(timelock), 1 ether);
        vm.prank(address(timelock));
        vm.expectRevert(
            abi.encodeWithSelector(IGateway.NotOwner.selector, AccountId.wrap(1), address(timelock), address(registry))
        );
        gateway.requestWithdrawal{value: 1 ether}(AccountId.wrap(1), address(simulated), 1);
    }

    /// @dev Another group's loss, or its end, changes no balance here.
    function test_a_venue_of_members_only_and_an_open_one_do_not_touch() public {
        VenueNumber kyc = openVenue();
        VenueNumber free = open(mallory, venueRequest());
        AccountId member = deposit(kyc, alice, 100e6);
        deposit(free, bob, 100e6);
        settleInbox(kyc);
        settleInbox(free);
        deposit(free, bob, 1e6);
        pass(1 days + 1);
        IRiskGroup(groupOf(free).group).freeze();
        assertEq(viewsOf(kyc).account(member).cash, 100e6);
        withdraw(kyc, member, 40e6);
        settleInbox(kyc);
        assertEq(simulated.balanceOf(alice), 40e6);
        assertEq(viewsOf(kyc).account(member).cash, 60e6);
    }
}
