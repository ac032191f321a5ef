// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IPermit2} from "../../contracts/group/IPermit2.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    AccountId,
    AssetConfig,
    BuilderId,
    EventId,
    FeeTier,
    FeedId,
    GroupTerms,
    Hours,
    InboxKind,
    Liquidate,
    Lots,
    MarketId,
    PerpetualConfig,
    Phase,
    SignerGrant,
    SpotConfig,
    VenueConfig,
    VenueId
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {Permit2StandIn} from "./Permit2StandIn.sol";
import {TestToken} from "./TestToken.sol";

/// @notice The doors into the inbox, function by function: who may ask for what, at what price, and what no batch could
/// apply is never queued.
contract GatewayTest is GroupTest {
    address private constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    Trader internal alice;
    Trader internal bob;
    TestToken internal coin;
    FeedId internal asset;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1000);
        bob = openAccount("bob", 1000);
        (coin, asset) = addAsset("ETH");
        settleInbox();
    }

    // ----------------------------------------------------------------- deposit

    /// @dev Cash is welcome from anyone. `Inbox.t.sol` has the rest of what a deposit of cash does.
    function test_a_deposit_opens_an_account_for_whomever_it_names() public {
        token.mint(alice.owner, 10);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), 10);
        bytes memory payload = abi.encode(AccountId.wrap(6), bob.owner, address(token), uint128(10));
        expectQueued(InboxKind.Deposit, payload);
        assertEq(AccountId.unwrap(gateway.deposit(NEW_ACCOUNT, bob.owner, address(token), 10)), 6);
        vm.stopPrank();
        assertEq(gateway.ownerOf(AccountId.wrap(6)), bob.owner);
        assertEq(token.balanceOf(address(gateway)), 0);
    }

    function test_an_account_is_opened_for_somebody() public {
        token.mint(alice.owner, 10);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), 10);
        vm.expectRevert(IGateway.ZeroAddress.selector);
        gateway.deposit(NEW_ACCOUNT, address(0), address(token), 10);
    }

    function test_the_owner_that_a_deposit_names_does_not_take_an_account_over() public {
        token.mint(bob.owner, 10);
        vm.startPrank(bob.owner);
        token.approve(address(gateway), 10);
        gateway.deposit(alice.account, bob.owner, address(token), 10);
        vm.stopPrank();
        noteQueued(InboxKind.Deposit, abi.encode(alice.account, alice.owner, address(token), uint128(10)));
        settleInbox();
        assertEq(gateway.ownerOf(alice.account), alice.owner);
        assertEq(views.account(alice.account).owner, alice.owner);
    }

    function test_the_insurance_fund_takes_deposits_of_cash() public {
        deposit(alice.owner, INSURANCE, 500);
        settleInbox();
        assertEq(cashOf(INSURANCE), 500);
    }

    function test_an_isolated_account_takes_no_deposits() public {
        AccountId apart = isolatedOf(alice, MarketId.wrap(1 << 8)).account;
        token.mint(alice.owner, 10);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), 10);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchAccount.selector, apart));
        gateway.deposit(apart, alice.owner, address(token), 10);
    }

    function test_an_asset_is_deposited_atom_by_atom() public {
        deposit(alice.owner, alice.account, address(coin), 5e17 + 1);
        settleInbox();
        assertEq(balanceOf(alice, asset), 5e17 + 1);
        assertEq(coin.balanceOf(address(group)), 5e17 + 1);
        assertEq(views.principal(alice.account, asset), 5e17 + 1);
    }

    /// @dev An account can hold only so many assets, so what fills it up is its owner's choice.
    function test_nobody_puts_assets_into_somebody_elses_account() public {
        coin.mint(bob.owner, 10);
        vm.startPrank(bob.owner);
        coin.approve(address(gateway), 10);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotOwner.selector, alice.account, bob.owner, alice.owner));
        gateway.deposit(alice.account, bob.owner, address(coin), 10);
    }

    function test_a_token_that_the_group_does_not_know_is_refused() public {
        TestToken stranger = new TestToken("STRAY", 18);
        stranger.mint(alice.owner, 10);
        vm.startPrank(alice.owner);
        stranger.approve(address(gateway), 10);
        vm.expectRevert(abi.encodeWithSelector(IGateway.UnknownToken.selector, address(stranger)));
        gateway.deposit(alice.account, alice.owner, address(stranger), 10);
    }

    function test_an_asset_is_taken_in_up_to_its_cap() public {
        AssetConfig memory config = assetConfig(address(coin), "ETH");
        config.cap = 100;
        addAsset(config);
        deposit(alice.owner, alice.account, address(coin), 100);
        coin.mint(alice.owner, 1);
        vm.startPrank(alice.owner);
        coin.approve(address(gateway), 1);
        vm.expectRevert(abi.encodeWithSelector(IGateway.DepositCapReached.selector, address(coin), 100, 101));
        gateway.deposit(alice.account, alice.owner, address(coin), 1);
    }

    function test_a_block_admits_two_hundred_deposits() public {
        vm.roll(block.number + 1);
        for (uint256 i = 0; i < 200; ++i) {
            deposit(alice.owner, alice.account, 1);
        }
        token.mint(alice.owner, 1);
        vm.startPrank(alice.owner);
        token.approve(address(gateway), 1);
        vm.expectRevert(abi.encodeWithSelector(IGateway.InboxBusy.selector, block.number, 200));
        gateway.deposit(alice.account, alice.owner, address(token), 1);
        vm.stopPrank();
        // Requests have a share of their own, and the next block has a new one.
        requestCancelAll(alice, 1);
        vm.roll(block.number + 1);
        deposit(alice.owner, alice.account, 1);
    }

    // ----------------------------------------------------------------- depositWithPermit

    function test_a_permit_is_an_allowance() public {
        coin.mint(alice.owner, 10);
        (uint8 v, bytes32 r, bytes32 s) = permit(alice, 10);
        vm.prank(alice.owner);
        gateway.depositWithPermit(alice.account, alice.owner, address(coin), 10, nowMs(), v, r, s);
        assertEq(coin.balanceOf(address(group)), 10);
        assertEq(coin.allowance(alice.owner, address(gateway)), 0);
    }

    /// @dev Somebody who saw the signature may use it first.
    function test_a_permit_that_was_used_already_does_not_stop_the_deposit() public {
        coin.mint(alice.owner, 10);
        (uint8 v, bytes32 r, bytes32 s) = permit(alice, 10);
        coin.permit(alice.owner, address(gateway), 10, nowMs(), v, r, s);
        vm.prank(alice.owner);
        gateway.depositWithPermit(alice.account, alice.owner, address(coin), 10, nowMs(), v, r, s);
        assertEq(coin.balanceOf(address(group)), 10);
    }

    function test_a_permit_of_another_moves_nobodys_tokens() public {
        coin.mint(alice.owner, 10);
        coin.mint(bob.owner, 10);
        (uint8 v, bytes32 r, bytes32 s) = permit(alice, 10);
        vm.prank(bob.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.TransferFailed.selector, address(coin)));
        gateway.depositWithPermit(bob.account, bob.owner, address(coin), 10, nowMs(), v, r, s);
    }

    // ----------------------------------------------------------------- depositWithPermit2

    function test_a_permit2_signature_moves_the_tokens() public {
        bytes memory signature = permit2(alice, 10, 7, address(gateway));
        vm.prank(alice.owner);
        gateway.depositWithPermit2(alice.account, alice.owner, address(coin), 10, 7, nowMs(), signature);
        assertEq(coin.balanceOf(address(group)), 10);
        vm.prank(alice.owner);
        vm.expectRevert(Permit2StandIn.InvalidNonce.selector);
        gateway.depositWithPermit2(alice.account, alice.owner, address(coin), 10, 7, nowMs(), signature);
    }

    function test_a_permit2_signature_is_the_callers_for_this_gateway_and_amount() public {
        bytes memory signature = permit2(alice, 10, 7, address(gateway));
        coin.mint(bob.owner, 10);
        vm.prank(bob.owner);
        coin.approve(PERMIT2, 10);
        vm.prank(bob.owner);
        vm.expectRevert(Permit2StandIn.InvalidSigner.selector);
        gateway.depositWithPermit2(bob.account, bob.owner, address(coin), 10, 7, nowMs(), signature);

        vm.startPrank(alice.owner);
        vm.expectRevert(Permit2StandIn.InvalidSigner.selector);
        gateway.depositWithPermit2(alice.account, alice.owner, address(coin), 9, 7, nowMs(), signature);
        vm.expectRevert(Permit2StandIn.InvalidSigner.selector);
        gateway.depositWithPermit2(alice.account, alice.owner, address(coin), 10, 8, nowMs(), signature);
        vm.expectRevert(Permit2StandIn.InvalidSigner.selector);
        gateway.depositWithPermit2(alice.account, alice.owner, address(coin), 10, 7, nowMs() + 1, signature);
        vm.stopPrank();
        signature = permit2(alice, 10, 7, bob.owner);
        vm.prank(alice.owner);
        vm.expectRevert(Permit2StandIn.InvalidSigner.selector);
        gateway.depositWithPermit2(alice.account, alice.owner, address(coin), 10, 7, nowMs(), signature);
    }

    function test_a_permit2_deposit_is_checked_like_any_other() public {
        bytes memory signature = permit2(alice, 10, 7, address(gateway));
        vm.prank(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchAccount.selector, 99));
        gateway.depositWithPermit2(AccountId.wrap(99), alice.owner, address(coin), 10, 7, nowMs(), signature);
    }

    // ----------------------------------------------------------------- what requests have in common

    function test_only_the_owner_asks_for_an_account() public {
        (MarketId where,) = listPerpetual("BTC");
        Liquidate memory request = liquidateRequest(where);
        bytes[7] memory calls = [
            abi.encodeCall(IGateway.requestWithdrawal, (alice.account, address(token), 1)),
            abi.encodeCall(IGateway.requestCancelAll, (alice.account, 1)),
            abi.encodeCall(IGateway.requestClose, (alice.account, where)),
            abi.encodeCall(IGateway.requestLiquidation, (request)),
            abi.encodeCall(IGateway.setSigner, (alice.account, grantTo(bob.owner))),
            abi.encodeCall(IGateway.setReferrer, (alice.account, BuilderId.wrap(1))),
            abi.encodeCall(IGateway.registerBuilder, (alice.account))
        ];
        bytes memory refusal = abi.encodeWithSelector(IGateway.NotOwner.selector, alice.account, bob.owner, alice.owner);
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 fee = payFee(bob.owner);
            (bool succeeded, bytes memory failure) = address(gateway).call{value: fee}(calls[i]);
            assertFalse(succeeded);
            assertEq(failure, refusal);
        }
    }

    function test_every_request_pays_the_fee() public {
        (MarketId where,) = listPerpetual("BTC");
        registerBuilder(bob);
        Liquidate memory request = liquidateRequest(where);
        bytes[7] memory calls = [
            abi.encodeCall(IGateway.requestWithdrawal, (alice.account, address(token), 1)),
            abi.encodeCall(IGateway.requestCancelAll, (alice.account, 1)),
            abi.encodeCall(IGateway.requestClose, (alice.account, where)),
            abi.encodeCall(IGateway.requestLiquidation, (request)),
            abi.encodeCall(IGateway.setSigner, (alice.account, grantTo(bob.owner))),
            abi.encodeCall(IGateway.setReferrer, (alice.account, BuilderId.wrap(1))),
            abi.encodeCall(IGateway.registerBuilder, (alice.account))
        ];
        uint256 collected = address(gateway).balance;
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 fee = payFee(alice.owner);
            (bool succeeded, bytes memory failure) = address(gateway).call{value: fee - 1}(calls[i]);
            assertFalse(succeeded);
            assertEq(failure, abi.encodeWithSelector(IGateway.FeeTooLow.selector, fee, fee - 1));
            fee = payFee(alice.owner);
            (succeeded,) = address(gateway).call{value: fee}(calls[i]);
            assertTrue(succeeded);
            collected += fee;
            assertEq(address(gateway).balance, collected);
        }
    }

    function test_what_a_request_pays_too_much_goes_back() public {
        vm.deal(alice.owner, 1 ether);
        vm.prank(alice.owner);
        gateway.requestCancelAll{value: 1 ether}(alice.account, 1);
        assertEq(alice.owner.balance, 1 ether - BASE_FEE);
        assertEq(address(gateway).balance, BASE_FEE);
    }

    function test_the_fee_grows_with_the_queue_and_falls_when_it_is_consumed() public {
        assertEq(gateway.requestFee(), BASE_FEE);
        for (uint256 i = 0; i < 63; ++i) {
            requestCancelAll(alice, 1);
        }
        assertEq(gateway.requestFee(), BASE_FEE);
        requestCancelAll(alice, 1);
        assertEq(gateway.requestFee(), 2 * BASE_FEE);
        vm.roll(block.number + 1);
        for (uint256 i = 0; i < 64; ++i) {
            deposit(alice.owner, alice.account, 1);
        }
        assertEq(gateway.requestFee(), 3 * BASE_FEE);
        settleInbox();
        assertEq(gateway.requestFee(), BASE_FEE);
    }

    function test_a_block_admits_a_hundred_requests() public {
        vm.roll(block.number + 1);
        for (uint256 i = 0; i < 100; ++i) {
            requestCancelAll(i % 2 == 0 ? alice : bob, 1);
        }
        uint256 fee = payFee(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.InboxBusy.selector, block.number, 100));
        gateway.requestCancelAll{value: fee}(alice.account, 1);
        deposit(alice.owner, alice.account, 1);
        vm.roll(block.number + 1);
        requestCancelAll(alice, 1);
    }

    function test_an_owner_asks_for_isolated_accounts_too() public {
        Trader memory apart = isolatedOf(alice, MarketId.wrap(1 << 8));
        requestCancelAll(apart, 77);
        settleInbox();
        assertEq(views.account(apart.account).nonceFloor, 77);
        uint256 fee = payFee(bob.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotOwner.selector, apart.account, bob.owner, alice.owner));
        gateway.requestCancelAll{value: fee}(apart.account, 77);
    }

    // ----------------------------------------------------------------- requestCancelAll

    /// @dev The highest floor closes an account, as a bankruptcy does.
    function test_a_cancellation_does_not_close_the_account() public {
        uint256 fee = payFee(alice.owner);
        vm.expectRevert(invalid("floor"));
        gateway.requestCancelAll{value: fee}(alice.account, type(uint64).max);
        requestCancelAll(alice, type(uint64).max - 1);
    }

    // ----------------------------------------------------------------- requestClose, requestLiquidation

    function test_only_perpetuals_are_closed_and_liquidated_by_force() public {
        MarketId outcome = market(openEvent(2), 0);
        MarketId spot = listSpot(asset);
        MarketId[3] memory others = [outcome, spot, MarketId.wrap(99 << 8)];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory refusal = abi.encodeWithSelector(IGateway.NoSuchMarket.selector, others[i]);
            uint256 fee = payFee(alice.owner);
            vm.expectRevert(refusal);
            gateway.requestClose{value: fee}(alice.account, others[i]);
            Liquidate memory request = liquidateRequest(others[i]);
            fee = payFee(alice.owner);
            vm.expectRevert(refusal);
            gateway.requestLiquidation{value: fee}(request);
        }
    }

    function test_a_close_and_a_liquidation_are_queued_as_they_were_asked_for() public {
        (MarketId where,) = listPerpetual("BTC");
        requestClose(alice, where);
        requestLiquidation(alice, liquidateRequest(where));
        // What is queued is consumed, though there is nothing to close and nobody to liquidate.
        settleInbox();
        (uint64 size,) = views.forcedClose(alice.account, where);
        assertEq(size, 0);
    }

    // ----------------------------------------------------------------- setSigner

    function test_a_grant_names_a_key_and_a_time_that_can_be_kept() public {
        SignerGrant memory grant = grantTo(address(0));
        uint256 fee = payFee(alice.owner);
        vm.expectRevert(IGateway.ZeroAddress.selector);
        gateway.setSigner{value: fee}(alice.account, grant);
        grant = grantTo(bob.owner);
        grant.expiry = uint64(type(uint48).max) + 1;
        fee = payFee(alice.owner);
        vm.expectRevert(invalid("expiry"));
        gateway.setSigner{value: fee}(alice.account, grant);
    }

    /// @dev Its keys are its parent's.
    function test_an_isolated_account_has_no_keys_of_its_own() public {
        AccountId apart = isolatedOf(alice, MarketId.wrap(1 << 8)).account;
        uint256 fee = payFee(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchAccount.selector, apart));
        gateway.setSigner{value: fee}(apart, grantTo(bob.owner));
    }

    // ----------------------------------------------------------------- setReferrer, registerBuilder

    function test_builders_are_numbered_from_1() public {
        assertEq(BuilderId.unwrap(registerBuilder(alice)), 1);
        assertEq(BuilderId.unwrap(registerBuilder(bob)), 2);
        settleInbox();
        assertEq(AccountId.unwrap(views.builder(BuilderId.wrap(2))), AccountId.unwrap(bob.account));
    }

    function test_an_account_is_referred_once_by_somebody_who_is_registered() public {
        for (uint32 nobody = 0; nobody < 2; ++nobody) {
            uint256 fee = payFee(alice.owner);
            vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchBuilder.selector, nobody));
            gateway.setReferrer{value: fee}(alice.account, BuilderId.wrap(nobody));
        }
        BuilderId builder = registerBuilder(bob);
        setReferrer(alice, builder);
        uint256 once = payFee(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.ReferrerAlreadySet.selector, alice.account, builder));
        gateway.setReferrer{value: once}(alice.account, builder);
        settleInbox();
        assertEq(BuilderId.unwrap(views.account(alice.account).referrer), 1);
    }

    // ----------------------------------------------------------------- openVenue, setVenue, setMembership

    function test_the_governor_opens_venues() public {
        VenueConfig memory config = venueConfig();
        (config.protocolShare, config.insuranceShare, config.referrerShare) = (1, 2, 999_997);
        assertEq(VenueId.unwrap(openVenue(config)), 2);
        settleInbox();
        assertEq(abi.encode(views.venue(VenueId.wrap(2))), abi.encode(config));
        assertEq(gateway.deployerOf(VenueId.wrap(2)), deployer);
        assertEq(gateway.venues(), 2);

        vm.prank(deployer);
        vm.expectRevert(notGovernor(deployer));
        gateway.openVenue(deployer, registrar, config);
        vm.prank(deployer);
        vm.expectRevert(notGovernor(deployer));
        gateway.setVenue(VENUE, deployer, registrar, config);
    }

    function test_a_venue_changes_hands_by_the_governors_word() public {
        vm.prank(governor);
        gateway.setVenue(VENUE, alice.owner, bob.owner, venueConfig());
        vm.prank(deployer);
        vm.expectRevert(notDeployer(VENUE, deployer, alice.owner));
        gateway.openEvent(eventConfig(2));
        vm.prank(registrar);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotRegistrar.selector, VENUE, registrar, bob.owner));
        gateway.setMembership(alice.account, VENUE, 1);
        vm.prank(alice.owner);
        gateway.openEvent(eventConfig(2));
        vm.prank(bob.owner);
        gateway.setMembership(alice.account, VENUE, 1);
    }

    function test_a_venue_with_a_senseless_term_is_refused_by_its_name() public {
        VenueConfig memory config = venueConfig();
        config.treasury = AccountId.wrap(0);
        assertVenueInvalid(config, "treasury");
        config.treasury = AccountId.wrap(gateway.accounts() + 1);
        assertVenueInvalid(config, "treasury");
        config.treasury = isolatedOf(alice, MarketId.wrap(1 << 8)).account;
        assertVenueInvalid(config, "treasury");
        config = venueConfig();
        (config.protocolShare, config.insuranceShare, config.referrerShare) = (1, 2, 999_998);
        assertVenueInvalid(config, "shares");
        vm.startPrank(governor);
        vm.expectRevert(IGateway.ZeroAddress.selector);
        gateway.openVenue(address(0), registrar, venueConfig());
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchVenue.selector, 2));
        gateway.setVenue(VenueId.wrap(2), deployer, registrar, venueConfig());
    }

    function test_only_the_registrar_says_who_is_a_member_and_of_accounts_that_exist() public {
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotRegistrar.selector, VENUE, deployer, registrar));
        gateway.setMembership(alice.account, VENUE, 1);
        vm.prank(registrar);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotRegistrar.selector, 2, registrar, address(0)));
        gateway.setMembership(alice.account, VenueId.wrap(2), 1);
        vm.prank(registrar);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchAccount.selector, 99));
        gateway.setMembership(AccountId.wrap(99), VENUE, 1);
    }

    function test_a_block_admits_a_bounded_number_of_memberships() public {
        vm.startPrank(registrar);
        for (uint64 i = 0; i < 100; ++i) {
            gateway.setMembership(alice.account, VENUE, i);
        }
        vm.expectRevert(abi.encodeWithSelector(IGateway.InboxBusy.selector, block.number, 100));
        gateway.setMembership(alice.account, VENUE, 0);
        vm.stopPrank();
        // Requests and deposits have shares of their own, and the next block has a new one.
        requestCancelAll(alice, 1);
        deposit(alice.owner, alice.account, 1);
        vm.roll(block.number + 1);
        vm.prank(registrar);
        gateway.setMembership(alice.account, VENUE, 0);
    }

    // ----------------------------------------------------------------- listSpot

    /// @dev `Events.t.sol` has what an event's terms may be.
    function test_only_the_deployer_lists_markets() public {
        PerpetualConfig memory perpetual = perpetualConfig("BTC");
        SpotConfig memory spot = spotConfig(asset);
        vm.startPrank(governor);
        vm.expectRevert(notDeployer(VENUE, governor, deployer));
        gateway.listPerpetual(perpetual);
        vm.expectRevert(notDeployer(VENUE, governor, deployer));
        gateway.listSpot(spot);
        vm.stopPrank();
        vm.startPrank(deployer);
        (perpetual.terms.venue, spot.terms.venue) = (VenueId.wrap(2), VenueId.wrap(2));
        vm.expectRevert(notDeployer(VenueId.wrap(2), deployer, address(0)));
        gateway.listPerpetual(perpetual);
        vm.expectRevert(notDeployer(VenueId.wrap(2), deployer, address(0)));
        gateway.listSpot(spot);
    }

    function test_a_spot_market_trades_an_asset_of_the_group() public {
        (, FeedId perpetual) = listPerpetual("BTC");
        FeedId[3] memory none = [FeedId.wrap(0), perpetual, FeedId.wrap(77)];
        for (uint256 i = 0; i < 3; ++i) {
            assertSpotInvalid(spotConfig(none[i]), "asset");
        }
        MarketId where = listSpot(asset);
        settleInbox();
        assertEq(FeedId.unwrap(views.market(where).feed), FeedId.unwrap(asset));
    }

    function test_a_spot_market_with_a_senseless_term_is_refused_by_its_name() public {
        SpotConfig memory config = spotConfig(asset);
        config.terms.curve = true;
        assertSpotInvalid(config, "curve");
        config = spotConfig(asset);
        config.terms.quantum = 0;
        assertSpotInvalid(config, "quantum");
        config.terms.quantum = 1e12 + 1;
        assertSpotInvalid(config, "quantum");
        config = spotConfig(asset);
        config.terms.takerFee = 100_001;
        assertSpotInvalid(config, "takerFee");
        config = spotConfig(asset);
        config.terms.makerFee = 100_001;
        assertSpotInvalid(config, "makerFee");
        config.terms.makerFee = -1001;
        assertSpotInvalid(config, "makerFee");
        config = spotConfig(asset);
        config.title = string(abi.encodePacked(hex"FF"));
        assertSpotInvalid(config, "title");
        config.title = string(new bytes(16 * 1024));
        assertSpotInvalid(config, "payload");
    }

    // ----------------------------------------------------------------- listPerpetual

    function test_a_perpetual_with_a_senseless_term_is_refused_by_its_name() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.curve = true;
        assertPerpetualInvalid(config, "curve");
        config = perpetualConfig("BTC");
        config.terms.quantum = 0;
        assertPerpetualInvalid(config, "quantum");
        config = perpetualConfig("BTC");
        config.terms.takerFee = 100_001;
        assertPerpetualInvalid(config, "takerFee");
        config = perpetualConfig("BTC");
        config.terms.makerFee = -1001;
        assertPerpetualInvalid(config, "makerFee");
        config = perpetualConfig("BTC");
        config.title = string(abi.encodePacked(hex"FF"));
        assertPerpetualInvalid(config, "title");
        config.title = string(new bytes(16 * 1024));
        assertPerpetualInvalid(config, "payload");
    }

    function test_a_feed_with_a_senseless_term_is_refused_by_its_name() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.feed.source = makeAddr("no contract");
        assertPerpetualInvalid(config, "source");
        config = perpetualConfig("BTC");
        config.feed.unit = 0;
        assertPerpetualInvalid(config, "unit");
        config = perpetualConfig("BTC");
        config.feed.maxAge = 0;
        assertPerpetualInvalid(config, "maxAge");
        config.feed.maxAge = 3_600_001;
        assertPerpetualInvalid(config, "maxAge");
        config = perpetualConfig("BTC");
        config.feed.maxGap = 0;
        assertPerpetualInvalid(config, "maxGap");
        config = perpetualConfig("BTC");
        config.feed.maxMove = 0;
        assertPerpetualInvalid(config, "maxMove");
        config.feed.maxMove = 1_000_001;
        assertPerpetualInvalid(config, "maxMove");
    }

    function test_a_perpetual_with_senseless_tiers_is_refused_by_their_name() public {
        for (uint256 tier = 0; tier < 4; ++tier) {
            PerpetualConfig memory config = perpetualConfig("BTC");
            config.initialFractions[tier] = 9_999;
            assertPerpetualInvalid(config, "initialFractions");
            config.initialFractions[tier] = 1_000_001;
            assertPerpetualInvalid(config, "initialFractions");
            config = perpetualConfig("BTC");
            config.maintenanceFractions[tier] = 4_999;
            assertPerpetualInvalid(config, "maintenanceFractions");
            config.maintenanceFractions[tier] = config.initialFractions[tier];
            assertPerpetualInvalid(config, "maintenanceFractions");
            if (tier == 0) continue;
            // A larger position needs no smaller fraction.
            config = perpetualConfig("BTC");
            config.initialFractions[tier] = config.initialFractions[tier - 1] - 1;
            config.maintenanceFractions[tier] = 5_000;
            assertPerpetualInvalid(config, "initialFractions");
            config = perpetualConfig("BTC");
            config.maintenanceFractions[tier] = config.maintenanceFractions[tier - 1] - 1;
            assertPerpetualInvalid(config, "maintenanceFractions");
            if (tier == 1) continue;
            config = perpetualConfig("BTC");
            config.tierBounds[tier - 1] = config.tierBounds[tier - 2] - 1;
            assertPerpetualInvalid(config, "tierBounds");
        }
    }

    function test_a_perpetuals_penalty_and_funding_are_bounded() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.penalty = config.maintenanceFractions[0] + 1;
        assertPerpetualInvalid(config, "penalty");
        config = perpetualConfig("BTC");
        config.fundingCap = 40_001;
        assertPerpetualInvalid(config, "fundingCap");
    }

    function test_the_extremes_of_a_perpetuals_terms_are_accepted() public {
        PerpetualConfig memory config = perpetualConfig("BTC");
        (config.terms.quantum, config.terms.takerFee, config.terms.makerFee) = (1e12, 100_000, -100_000);
        (config.feed.maxAge, config.feed.maxGap, config.feed.maxMove) = (3_600_000, type(uint32).max, 1);
        config.initialFractions = [uint24(10_000), 10_000, 10_000, 1_000_000];
        config.maintenanceFractions = [uint24(5_000), 5_000, 9_999, 999_999];
        config.tierBounds = [uint32(0), 0, type(uint32).max];
        (config.penalty, config.fundingCap) = (5_000, 40_000);
        listPerpetual(config);
        settleInbox();
        assertEq(views.feed(FeedId.wrap(2)).penalty, 5_000);
    }

    // ----------------------------------------------------------------- setPerpetual

    function test_a_perpetual_keeps_its_venue_and_its_quantum() public {
        openVenue(venueConfig());
        (MarketId where,) = listPerpetual("BTC");
        PerpetualConfig memory config = perpetualConfig("BTC");
        config.terms.venue = VenueId.wrap(2);
        assertChangeInvalid(where, config, "venue");
        config = perpetualConfig("BTC");
        config.terms.quantum += 1;
        assertChangeInvalid(where, config, "quantum");
        config = perpetualConfig("BTC");
        config.penalty = 30_001;
        assertChangeInvalid(where, config, "penalty");
        config = perpetualConfig("BTC");
        config.title = string(new bytes(16 * 1024));
        assertChangeInvalid(where, config, "payload");
    }

    function test_a_perpetuals_terms_change_with_the_batch_that_consumes_the_change() public {
        (MarketId where, FeedId feed) = listPerpetual("BTC");
        settleInbox();
        PerpetualConfig memory config = perpetualConfig("BTC");
        (config.penalty, config.terms.positionCap, config.lossCap) = (20_000, Lots.wrap(7), 9);
        setPerpetual(where, config);
        assertEq(views.feed(feed).penalty, 10_000);
        settleInbox();
        assertEq(views.feed(feed).penalty, 20_000);
        assertEq(views.feed(feed).lossCap, 9);
        assertEq(Lots.unwrap(views.market(where).positionCap), 7);
    }

    function test_only_the_deployer_changes_a_perpetual_that_exists() public {
        (MarketId where,) = listPerpetual("BTC");
        MarketId spot = listSpot(asset);
        PerpetualConfig memory config = perpetualConfig("BTC");
        vm.prank(governor);
        vm.expectRevert(notDeployer(VENUE, governor, deployer));
        gateway.setPerpetual(where, config);
        vm.startPrank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchMarket.selector, spot));
        gateway.setPerpetual(spot, config);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchMarket.selector, 99 << 8));
        gateway.setPerpetual(MarketId.wrap(99 << 8), config);
    }

    // ----------------------------------------------------------------- setPhase

    function test_the_deployer_moves_a_market_forward_and_back() public {
        MarketId[3] memory markets = everyKind();
        Phase[8] memory path = [
            Phase.Pending,
            Phase.PostOnly,
            Phase.Auction,
            Phase.Open,
            Phase.Halted,
            Phase.ReduceOnly,
            Phase.Auction,
            Phase.Open
        ];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 k = 0; k < path.length; ++k) {
                setPhase(markets[i], path[k]);
                settleInbox();
                assertTrue(views.market(markets[i]).phase == path[k]);
            }
        }
    }

    function test_the_guardian_stops_a_market_and_no_more() public {
        MarketId where = everyKind()[1];
        vm.startPrank(guardian);
        gateway.setPhase(where, Phase.Halted);
        gateway.setPhase(where, Phase.ReduceOnly);
        Phase[5] memory others = [Phase.Pending, Phase.Auction, Phase.PostOnly, Phase.Open, Phase.Delisted];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(notDeployer(VENUE, guardian, deployer));
            gateway.setPhase(where, others[i]);
        }
    }

    function test_nobody_else_moves_a_market() public {
        MarketId where = everyKind()[1];
        address[3] memory others = [governor, registrar, alice.owner];
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(notDeployer(VENUE, others[i], deployer));
            gateway.setPhase(where, Phase.Halted);
        }
    }

    function test_a_market_never_goes_back_to_where_it_was_not() public {
        assertPhaseRefused(everyKind()[1], Phase.Open, Phase.None);
    }

    function test_delisting_is_final() public {
        MarketId[3] memory markets = everyKind();
        for (uint256 i = 1; i < 3; ++i) {
            setPhase(markets[i], Phase.Delisted);
            assertPhaseRefused(markets[i], Phase.Delisted, Phase.Open);
            assertPhaseRefused(markets[i], Phase.Delisted, Phase.Halted);
            assertPhaseRefused(markets[i], Phase.Delisted, Phase.Delisted);
        }
        vm.prank(guardian);
        vm.expectRevert(
            abi.encodeWithSelector(IGateway.PhaseNotAllowed.selector, markets[1], Phase.Delisted, Phase.Halted)
        );
        gateway.setPhase(markets[1], Phase.Halted);
    }

    function test_an_event_ends_by_its_resolver_only() public {
        MarketId where = everyKind()[0];
        assertPhaseRefused(where, Phase.Open, Phase.Delisted);
        resolveEvent(where.eventOf(), winner(2, 0));
        assertPhaseRefused(where, Phase.Delisted, Phase.Open);
    }

    function test_the_deployer_sets_when_a_market_trades() public {
        MarketId[3] memory markets = everyKind();
        settleInbox();
        Hours memory tradingHours = Hours({weekdays: 0x1f, opens: 870, closes: 1260});
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(deployer);
            gateway.setHours(markets[i], tradingHours);
            noteQueued(InboxKind.HoursSet, abi.encode(markets[i], tradingHours));
        }
        settleInbox();
        vm.prank(guardian);
        vm.expectRevert(notDeployer(VENUE, guardian, deployer));
        gateway.setHours(markets[0], tradingHours);
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchMarket.selector, MarketId.wrap(99 << 8)));
        gateway.setHours(MarketId.wrap(99 << 8), tradingHours);
    }

    function test_hours_that_no_week_has_are_refused_by_their_name() public {
        MarketId where = everyKind()[1];
        Hours memory latest = Hours({weekdays: 127, opens: 1439, closes: 1440});
        vm.startPrank(deployer);
        gateway.setHours(where, latest);
        vm.expectRevert(invalid("weekdays"));
        gateway.setHours(where, Hours({weekdays: 128, opens: 0, closes: 0}));
        vm.expectRevert(invalid("opens"));
        gateway.setHours(where, Hours({weekdays: 1, opens: 1440, closes: 0}));
        vm.expectRevert(invalid("closes"));
        gateway.setHours(where, Hours({weekdays: 1, opens: 0, closes: 1441}));
    }

    function test_the_deployer_sets_what_those_pay_who_trade_much() public {
        FeeTier[] memory tiers = tiersOf(8);
        vm.prank(deployer);
        gateway.setFeeTiers(VENUE, tiers);
        noteQueued(InboxKind.FeeTiersSet, abi.encode(VENUE, tiers));
        vm.prank(deployer);
        gateway.setFeeTiers(VENUE, tiersOf(0));
        noteQueued(InboxKind.FeeTiersSet, abi.encode(VENUE, tiersOf(0)));
        settleInbox();
        address[3] memory others = [governor, guardian, alice.owner];
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(notDeployer(VENUE, others[i], deployer));
            gateway.setFeeTiers(VENUE, tiers);
        }
        vm.prank(deployer);
        vm.expectRevert(notDeployer(VenueId.wrap(9), deployer, address(0)));
        gateway.setFeeTiers(VenueId.wrap(9), tiers);
    }

    function test_a_table_of_tiers_that_raises_a_fee_is_refused_by_its_field() public {
        assertTiersRefused("tiers", tiersOf(9));
        FeeTier[] memory tiers = tiersOf(3);
        tiers[0].volume = 0;
        assertTiersRefused("volume", tiers);
        tiers = tiersOf(3);
        tiers[2].volume = tiers[1].volume;
        assertTiersRefused("volume", tiers);
        tiers = tiersOf(3);
        tiers[0].takerShare = 1_000_001;
        assertTiersRefused("takerShare", tiers);
        tiers = tiersOf(3);
        tiers[2].takerShare = tiers[1].takerShare + 1;
        assertTiersRefused("takerShare", tiers);
        tiers = tiersOf(3);
        tiers[0].makerShare = 1_000_001;
        assertTiersRefused("makerShare", tiers);
        tiers = tiersOf(3);
        tiers[1].makerShare = tiers[0].makerShare + 1;
        assertTiersRefused("makerShare", tiers);
    }

    function assertTiersRefused(bytes32 field, FeeTier[] memory tiers) private {
        vm.prank(deployer);
        vm.expectRevert(invalid(field));
        gateway.setFeeTiers(VENUE, tiers);
    }

    /// @dev The first costs nothing less, and the same shares as below are a tier, too.
    function tiersOf(uint24 count) private pure returns (FeeTier[] memory tiers) {
        tiers = new FeeTier[](count);
        for (uint24 i = 0; i < count; ++i) {
            tiers[i] = FeeTier({
                volume: 1 + 1000 * uint128(i),
                takerShare: 1_000_000 - 100_000 * i,
                makerShare: 1_000_000 - 200_000 * (i / 2)
            });
        }
    }

    function test_a_halted_event_resolves() public {
        MarketId where = everyKind()[0];
        setPhase(where, Phase.Halted);
        resolveEvent(where.eventOf(), winner(2, 0));
        settleInbox();
        assertTrue(views.market(where).phase == Phase.Delisted);
    }

    function test_a_market_that_does_not_exist_has_no_phase() public {
        EventId eventId = openEvent(2);
        MarketId[2] memory none = [MarketId.wrap(99 << 8), market(eventId, 1)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(deployer);
            vm.expectRevert(abi.encodeWithSelector(IGateway.NoSuchMarket.selector, none[i]));
            gateway.setPhase(none[i], Phase.Halted);
        }
    }

    // ----------------------------------------------------------------- setAsset

    function test_an_asset_is_listed_once_and_changed_from_then_on() public {
        AssetConfig memory config = assetConfig(address(coin), "ETH");
        (config.initialWeight, config.conversionDiscount) = (100_000, 60_000);
        assertEq(FeedId.unwrap(addAsset(config)), FeedId.unwrap(asset));
        settleInbox();
        assertEq(views.feeds(), 1);
        assertEq(views.feed(asset).penalty, 60_000);
        assertEq(views.feed(asset).token, address(coin));
        assertEq(views.feed(asset).lot, 1e15);
        assertEq(FeedId.unwrap(views.assetFeed(address(coin))), FeedId.unwrap(asset));
        (, FeedId next) = addAsset("XAU");
        assertEq(FeedId.unwrap(next), 2);
    }

    function test_an_asset_with_a_senseless_term_is_refused_by_its_name() public {
        AssetConfig memory config = assetConfig(address(token), "USD");
        assertAssetInvalid(config, "token");
        config = assetConfig(address(coin), "ETH");
        config.lot = 1e14;
        assertAssetInvalid(config, "lot");
        config.lot = 0;
        assertAssetInvalid(config, "lot");
        config = assetConfig(address(coin), "ETH");
        config.initialWeight = 900_001;
        assertAssetInvalid(config, "initialWeight");
        config = assetConfig(address(coin), "ETH");
        config.conversionDiscount = 200_001;
        assertAssetInvalid(config, "conversionDiscount");
        config = assetConfig(address(coin), "ETH");
        config.maintenanceWeight = 950_001;
        assertAssetInvalid(config, "maintenanceWeight");
        config = assetConfig(address(coin), "ETH");
        config.feed.maxAge = 0;
        assertAssetInvalid(config, "maxAge");
        assertAssetInvalid(assetConfig(address(new TestToken("FEW", 5)), "FEW"), "decimals");
        assertAssetInvalid(assetConfig(address(new TestToken("MANY", 19)), "MANY"), "decimals");
    }

    function test_the_extremes_of_an_assets_terms_are_accepted() public {
        AssetConfig memory config = assetConfig(address(new TestToken("SIX", 6)), "SIX");
        (config.initialWeight, config.maintenanceWeight, config.conversionDiscount) = (800_000, 800_000, 200_000);
        addAsset(config);
        config = assetConfig(address(new TestToken("EUR", 18)), "EUR");
        (config.initialWeight, config.maintenanceWeight, config.conversionDiscount) = (0, 1_000_000, 0);
        (config.lot, config.cap) = (1, 0);
        addAsset(config);
        settleInbox();
        assertEq(views.feeds(), 3);
    }

    // ----------------------------------------------------------------- setTerms

    function test_the_groups_terms_change_with_the_batch_that_consumes_the_change() public {
        GroupTerms memory terms = groupTerms();
        terms.sequencer = bob.owner;
        setTerms(terms);
        assertEq(views.terms().sequencer, vm.addr(SEQUENCER_KEY));
        settleInbox();
        assertEq(views.terms().sequencer, bob.owner);
        assertRefused(
            nextBatch(), abi.encodeWithSelector(IRiskGroup.WrongSequencer.selector, bob.owner, vm.addr(SEQUENCER_KEY))
        );
        group.settle(nextBatch(), sign(bob.key, hashBatch(nextBatch())));
    }

    function test_the_extremes_of_the_groups_terms_are_accepted() public {
        GroupTerms memory terms = groupTerms();
        (terms.maxHoldings, terms.keeperShare, terms.grace) = (1, 1_000_000, 30_000);
        setTerms(terms);
        settleInbox();
        assertEq(abi.encode(views.terms()), abi.encode(terms));
    }

    function test_group_terms_that_are_senseless_are_refused_by_their_name() public {
        GroupTerms memory terms = groupTerms();
        terms.sequencer = address(0);
        assertTermsInvalid(terms, "sequencer");
        terms = groupTerms();
        terms.maxHoldings = 0;
        assertTermsInvalid(terms, "maxHoldings");
        terms.maxHoldings = 33;
        assertTermsInvalid(terms, "maxHoldings");
        terms = groupTerms();
        terms.keeperShare = 1_000_001;
        assertTermsInvalid(terms, "keeperShare");
        terms = groupTerms();
        terms.grace = 30_001;
        assertTermsInvalid(terms, "grace");
    }

    // ----------------------------------------------------------------- the governor

    function test_only_the_governor_governs() public {
        AssetConfig memory config = assetConfig(address(coin), "ETH");
        vm.startPrank(deployer);
        vm.expectRevert(notGovernor(deployer));
        gateway.setAsset(config);
        vm.expectRevert(notGovernor(deployer));
        gateway.setTerms(groupTerms());
        vm.expectRevert(notGovernor(deployer));
        gateway.setGuardian(deployer);
        vm.expectRevert(notGovernor(deployer));
        gateway.setGovernor(deployer);
        vm.expectRevert(notGovernor(deployer));
        gateway.collectFees(payable(deployer));
    }

    function test_the_governor_hands_over_to_somebody() public {
        vm.startPrank(governor);
        vm.expectRevert(IGateway.ZeroAddress.selector);
        gateway.setGovernor(address(0));
        gateway.setGovernor(alice.owner);
        vm.expectRevert(abi.encodeWithSelector(IGateway.NotGovernor.selector, governor, alice.owner));
        gateway.setGuardian(governor);
        vm.stopPrank();
        vm.prank(alice.owner);
        gateway.setGuardian(bob.owner);
        assertEq(gateway.governor(), alice.owner);
        assertEq(gateway.guardian(), bob.owner);
    }

    function test_fees_are_collected_to_where_the_governor_says() public {
        requestCancelAll(alice, 1);
        requestCancelAll(bob, 1);
        address payable vault = payable(makeAddr("vault"));
        vm.prank(governor);
        assertEq(gateway.collectFees(vault), 2 * BASE_FEE);
        assertEq(vault.balance, 2 * BASE_FEE);
        assertEq(address(gateway).balance, 0);
    }

    // ----------------------------------------------------------------- enqueue

    function test_only_the_gateway_puts_items_into_the_inbox() public {
        bytes memory payload = abi.encode(alice.account, alice.owner, address(token), uint128(1e12));
        vm.prank(governor);
        vm.expectRevert(abi.encodeWithSelector(IRiskGroup.NotGateway.selector, governor, address(gateway)));
        group.enqueue(InboxKind.Deposit, payload);
    }

    function test_a_gateway_has_a_group_and_a_governor() public {
        bytes[2] memory arguments = [
            abi.encode(address(0), token, governor, guardian, BASE_FEE),
            abi.encode(group, token, address(0), guardian, BASE_FEE)
        ];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory creation = bytes.concat(vm.getCode("Gateway.sol:Gateway"), arguments[i]);
            address made;
            bytes memory refusal;
            assembly ("memory-safe") {
                made := create(0, add(creation, 32), mload(creation))
                refusal := mload(0x40)
                mstore(refusal, returndatasize())
                returndatacopy(add(refusal, 32), 0, returndatasize())
                mstore(0x40, add(refusal, add(32, returndatasize())))
            }
            assertEq(made, address(0));
            assertEq(refusal, abi.encodeWithSelector(IGateway.ZeroAddress.selector));
        }
    }

    // ----------------------------------------------------------------- words

    function expectQueued(InboxKind kind, bytes memory payload) private {
        (, uint64 tail) = views.inbox();
        vm.expectEmit(address(group));
        emit IRiskGroup.InboxQueued(tail, kind, nowMs(), payload);
    }

    function permit(Trader memory trader, uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                trader.owner,
                address(gateway),
                amount,
                coin.nonces(trader.owner),
                uint256(nowMs())
            )
        );
        return vm.sign(trader.key, keccak256(abi.encodePacked(hex"1901", coin.DOMAIN_SEPARATOR(), structHash)));
    }

    /// @dev The trader has the tokens, Permit2 may move them, and this is the signature that says how.
    function permit2(Trader memory trader, uint256 amount, uint256 nonce, address spender)
        private
        returns (bytes memory)
    {
        vm.etch(PERMIT2, type(Permit2StandIn).runtimeCode);
        coin.mint(trader.owner, amount);
        vm.prank(trader.owner);
        coin.approve(PERMIT2, type(uint256).max);
        IPermit2.PermitTransferFrom memory signed =
            IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(address(coin), amount), nonce, nowMs());
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(trader.key, Permit2StandIn(PERMIT2).digestOf(signed, spender));
        return abi.encodePacked(r, s, v);
    }

    /// @dev Alice would take a lot of Bob's.
    function liquidateRequest(MarketId where) private view returns (Liquidate memory) {
        return Liquidate({
            keeper: alice.account,
            account: bob.account,
            market: where,
            size: Lots.wrap(1),
            limit: type(uint128).max,
            nonce: 0,
            expiry: 0
        });
    }

    function everyKind() private returns (MarketId[3] memory markets) {
        markets[0] = market(openEvent(2), 0);
        markets[1] = listSpot(asset);
        (markets[2],) = listPerpetual("BTC");
    }

    function assertPhaseRefused(MarketId where, Phase from, Phase to) private {
        vm.prank(deployer);
        vm.expectRevert(abi.encodeWithSelector(IGateway.PhaseNotAllowed.selector, where, from, to));
        gateway.setPhase(where, to);
    }

    function assertVenueInvalid(VenueConfig memory config, bytes32 field) private {
        vm.startPrank(governor);
        vm.expectRevert(invalid(field));
        gateway.openVenue(deployer, registrar, config);
        vm.expectRevert(invalid(field));
        gateway.setVenue(VENUE, deployer, registrar, config);
        vm.stopPrank();
    }

    function assertSpotInvalid(SpotConfig memory config, bytes32 field) private {
        vm.prank(deployer);
        vm.expectRevert(invalid(field));
        gateway.listSpot(config);
    }

    function assertPerpetualInvalid(PerpetualConfig memory config, bytes32 field) private {
        vm.prank(deployer);
        vm.expectRevert(invalid(field));
        gateway.listPerpetual(config);
    }

    function assertChangeInvalid(MarketId where, PerpetualConfig memory config, bytes32 field) private {
        vm.prank(deployer);
        vm.expectRevert(invalid(field));
        gateway.setPerpetual(where, config);
    }

    function assertAssetInvalid(AssetConfig memory config, bytes32 field) private {
        vm.prank(governor);
        vm.expectRevert(invalid(field));
        gateway.setAsset(config);
    }

    function assertTermsInvalid(GroupTerms memory terms, bytes32 field) private {
        vm.prank(governor);
        vm.expectRevert(invalid(field));
        gateway.setTerms(terms);
    }

    function invalid(bytes32 field) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IGateway.InvalidConfig.selector, field);
    }

    function notGovernor(address caller) private view returns (bytes memory) {
        return abi.encodeWithSelector(IGateway.NotGovernor.selector, caller, governor);
    }

    function notDeployer(VenueId venue, address caller, address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IGateway.NotDeployer.selector, venue, caller, expected);
    }
}
