// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Vm.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Registrar} from "../contracts/compliance/Registrar.sol";
import {OptimisticResolver} from "../contracts/resolver/OptimisticResolver.sol";
import {ChunkWriter} from "../contracts/venue/CodeChunks.sol";
import {GroupFactory} from "../contracts/venue/GroupFactory.sol";
import {Listings} from "../contracts/venue/Listings.sol";
import {ProtocolLimits} from "../contracts/venue/ProtocolLimits.sol";
import {SimulatedTokens} from "../contracts/venue/SimulatedTokens.sol";
import {SlotAuction} from "../contracts/venue/SlotAuction.sol";
import {Slots} from "../contracts/venue/Slots.sol";
import {StakedOkb} from "../contracts/venue/StakedOkb.sol";
import {VenueRegistry} from "../contracts/venue/VenueRegistry.sol";
import {Reviews} from "../contracts/xip/Reviews.sol";
import {Rollout} from "../contracts/xip/Rollout.sol";
import {XipActions} from "../contracts/xip/XipActions.sol";
import {XipGovernor} from "../contracts/xip/XipGovernor.sol";
import {IXipProcedure, XipRegistry} from "../contracts/xip/XipRegistry.sol";
import {XipTimelock} from "../contracts/xip/XipTimelock.sol";
import {Procedure} from "../contracts/xip/XipTypes.sol";

/// @notice The contracts that all groups share: governance, stake, slots, registry.
struct Core {
    IERC20 okb;
    XipTimelock timelock;
    XipRegistry xips;
    StakedOkb stake;
    Slots slots;
    SlotAuction auction;
    Rollout rollout;
    Reviews reviews;
    ProtocolLimits limits;
    XipActions actions;
    XipGovernor governor;
    GroupFactory factory;
    VenueRegistry registry;
    Listings listings;
    OptimisticResolver resolver;
    Registrar registrar;
}

/// @notice What the core begins with; XIPs change what they may from there.
/// @param allowed Deployers of the rollout's first phase.
/// @param simulated Who makes tokens without value.
struct CoreTerms {
    IERC20 okb;
    Procedure[4] procedures;
    uint64 cooldown;
    uint88 requiredStake;
    uint32[3] baseSlots;
    SlotAuction.Terms auction;
    ProtocolLimits.Bounds limits;
    address sequencer;
    address guardian;
    uint64 notice;
    uint96 bond;
    address[] allowed;
    SimulatedTokens simulated;
    ResolverTerms resolver;
}

/// @param window How long a claim can be disputed, in seconds.
/// @param patience How long a disputed event waits for a XIP, in seconds; a standard one takes eleven days.
/// @param leastBond In atoms of the group's settlement token.
/// @param bondShare Of what is open in the event, parts per million.
struct ResolverTerms {
    uint64 window;
    uint64 patience;
    uint96 leastBond;
    uint24 bondShare;
}

/// @notice Creation code of a group's contracts, linked, without arguments.
struct GroupCode {
    bytes group;
    bytes gateway;
    bytes escapeHatch;
}

/// @title Deploys the core
/// @notice Its contracts name each other for good and nobody has a key to them, so their addresses are foretold from the
/// sender's nonce.
library CoreDeployment {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error CreatedElsewhere(address expected, address got);

    /// @notice The procedures that XIPs begin with; docs/governance.md explains them.
    function procedures() internal pure returns (Procedure[4] memory table) {
        table[0] = Procedure(1000, 100_000, 666_667, 50 ether, 1 hours, 1 days, 1 hours);
        table[1] = Procedure(1000, 50_000, 500_000, 50 ether, 12 hours, 3 days, 1 days);
        table[2] = Procedure(1000, 80_000, 500_000, 100 ether, 2 days, 5 days, 3 days);
        table[3] = Procedure(5000, 200_000, 666_667, 500 ether, 3 days, 10 days, 14 days);
    }

    /// @notice The limits that the protocol begins with.
    function limits() internal pure returns (ProtocolLimits.Bounds memory) {
        return ProtocolLimits.Bounds({
            minInitialFraction: 20_000,
            minMaintenanceFraction: 10_000,
            maxFee: 20_000,
            minProtocolShare: 0,
            maxFundingCap: 10_000,
            maxAge: 60_000,
            maxGap: 600_000,
            maxMove: 50_000,
            maxInitialWeight: 900_000,
            maxLossCap: 10_000_000e6,
            maxOpenInterest: 1e15,
            maxRequestFee: 0.01 ether
        });
    }

    /// @param sender Who creates the contracts: the script's broadcaster, or a test.
    function deploy(address sender, CoreTerms memory terms, GroupCode memory code) internal returns (Core memory core) {
        ChunkWriter writer = new ChunkWriter();
        GroupFactory factory =
            new GroupFactory(writer.write(code.group), writer.write(code.gateway), writer.write(code.escapeHatch));
        core = foretell(sender);
        (core.okb, core.factory) = (terms.okb, factory);
        deployGovernance(core);
        deployStake(core, terms);
        deployRules(core, terms);
        expect(address(core.actions), address(new XipActions(actionsOf(core))));
        expect(
            address(core.governor),
            address(new XipGovernor(core.stake, core.timelock, core.okb, core.xips, core.actions, terms.procedures))
        );
        deployVenues(core, terms);
        // Nobody names it but venues that choose to, so it need not be foretold.
        core.registrar = new Registrar(core.registry, terms.notice);
    }

    /// @dev In the order in which they are created.
    function foretell(address sender) private view returns (Core memory core) {
        uint64 nonce = vm.getNonce(sender);
        core.timelock = XipTimelock(payable(vm.computeCreateAddress(sender, nonce)));
        core.xips = XipRegistry(vm.computeCreateAddress(sender, nonce + 1));
        core.stake = StakedOkb(vm.computeCreateAddress(sender, nonce + 2));
        core.slots = Slots(vm.computeCreateAddress(sender, nonce + 3));
        core.auction = SlotAuction(vm.computeCreateAddress(sender, nonce + 4));
        core.rollout = Rollout(vm.computeCreateAddress(sender, nonce + 5));
        core.reviews = Reviews(vm.computeCreateAddress(sender, nonce + 6));
        core.limits = ProtocolLimits(vm.computeCreateAddress(sender, nonce + 7));
        core.actions = XipActions(vm.computeCreateAddress(sender, nonce + 8));
        core.governor = XipGovernor(payable(vm.computeCreateAddress(sender, nonce + 9)));
        core.registry = VenueRegistry(vm.computeCreateAddress(sender, nonce + 10));
        core.listings = Listings(vm.computeCreateAddress(sender, nonce + 11));
        core.resolver = OptimisticResolver(vm.computeCreateAddress(sender, nonce + 12));
    }

    function deployGovernance(Core memory core) private {
        expect(address(core.timelock), address(new XipTimelock(address(core.governor))));
        IXipProcedure[] memory procedures_ = new IXipProcedure[](2);
        (procedures_[0], procedures_[1]) = (core.governor, core.registry);
        expect(address(core.xips), address(new XipRegistry(address(core.timelock), procedures_)));
    }

    function deployStake(Core memory core, CoreTerms memory terms) private {
        address governance = address(core.timelock);
        expect(address(core.stake), address(new StakedOkb(core.okb, core.slots, governance, terms.cooldown)));
        Slots.Users memory users = Slots.Users(address(core.registry), address(core.listings), address(core.auction));
        Slots slots = new Slots(core.stake, users, governance, terms.requiredStake, terms.baseSlots);
        expect(address(core.slots), address(slots));
        SlotAuction auction = new SlotAuction(core.okb, core.slots, governance, governance, terms.auction);
        expect(address(core.auction), address(auction));
    }

    function deployRules(Core memory core, CoreTerms memory terms) private {
        address governance = address(core.timelock);
        expect(address(core.rollout), address(new Rollout(governance, terms.allowed)));
        expect(address(core.reviews), address(new Reviews(governance)));
        expect(address(core.limits), address(new ProtocolLimits(governance, terms.limits)));
    }

    function deployVenues(Core memory core, CoreTerms memory terms) private {
        address governance = address(core.timelock);
        VenueRegistry.Core memory parts = VenueRegistry.Core({
            okb: core.okb,
            xips: core.xips,
            slots: core.slots,
            factory: core.factory,
            limits: core.limits,
            rollout: core.rollout,
            reviews: core.reviews,
            simulated: terms.simulated,
            listings: address(core.listings)
        });
        VenueRegistry registry = new VenueRegistry(parts, governance, terms.sequencer, terms.notice, terms.bond);
        expect(address(core.registry), address(registry));
        Listings listings = new Listings(core.registry, governance, terms.guardian, terms.notice);
        expect(address(core.listings), address(listings));
        ResolverTerms memory resolver = terms.resolver;
        OptimisticResolver deployed = new OptimisticResolver(
            governance, governance, resolver.window, resolver.patience, resolver.leastBond, resolver.bondShare
        );
        expect(address(core.resolver), address(deployed));
    }

    function actionsOf(Core memory core) private pure returns (XipActions.Contracts memory) {
        return XipActions.Contracts({
            stake: core.stake,
            slots: core.slots,
            auction: core.auction,
            registry: core.registry,
            listings: core.listings,
            limits: core.limits,
            rollout: core.rollout,
            reviews: core.reviews,
            resolver: core.resolver,
            governor: core.governor,
            timelock: core.timelock,
            xips: core.xips
        });
    }

    function expect(address expected, address got) private pure {
        if (expected != got) revert CreatedElsewhere(expected, got);
    }
}
