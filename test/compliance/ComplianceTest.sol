// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";
import {Registrar} from "../../contracts/compliance/Registrar.sol";
import {IGateway} from "../../contracts/group/IGateway.sol";
import {AccountId} from "../../contracts/group/Types.sol";
import {VenueNumber} from "../../contracts/venue/VenueTypes.sol";
import {VenueTest} from "../venue/VenueTest.sol";
import {MoodyRule} from "./MoodyRule.sol";

/// @notice A venue whose members a registrar decides on by a rule that says what the test wants.
abstract contract ComplianceTest is VenueTest {
    uint32 internal constant TERM = 30 days;
    uint64 internal constant ALWAYS = type(uint64).max;

    Registrar internal doors;
    MoodyRule internal rule;
    VenueNumber internal venue;
    AccountId internal account;

    function setUp() public virtual override {
        super.setUp();
        doors = new Registrar(registry, NOTICE);
        registrar = address(doors);
        rule = new MoodyRule();
        venue = openVenue();
        setRule(rule, TERM);
        account = deposit(venue, alice, 100e6);
        settleInbox(venue);
    }

    function setRule(IComplianceRule rule_, uint32 term) internal {
        vm.prank(deployer);
        doors.setRule(venue, rule_, term);
    }

    function deposit(VenueNumber where, address owner, uint256 amount) internal returns (AccountId id) {
        IGateway gateway = gatewayOf(where);
        simulated.mint(owner, amount);
        vm.startPrank(owner);
        simulated.approve(address(gateway), amount);
        id = gateway.deposit(AccountId.wrap(0), owner, address(simulated), amount);
        vm.stopPrank();
    }

    function withdraw(VenueNumber where, AccountId id, uint128 amount) internal {
        IGateway gateway = gatewayOf(where);
        uint256 fee = gateway.requestFee();
        address owner = gateway.ownerOf(id);
        vm.deal(owner, fee);
        vm.prank(owner);
        gateway.requestWithdrawal{value: fee}(id, address(simulated), amount);
    }

    /// @notice Until when the group knows the account as a member, unix milliseconds.
    function membershipOf(AccountId id) internal view returns (uint64) {
        return viewsOf(venue).membership(id, registry.venueOf(venue).id);
    }

    function nowS() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp());
    }
}
