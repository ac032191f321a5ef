// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../../contracts/group/IGateway.sol";
import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {SimulatedToken} from "../../contracts/group/SimulatedToken.sol";
import {
    AccountId,
    Batch,
    FeedId,
    GroupTerms,
    InboxKind,
    MarketId,
    Signature,
    SignedTransfer
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";
import {TestToken} from "./TestToken.sol";

/// @dev A gateway that takes what it is offered, in part, and gives the group as much back by another door.
contract ForeignGateway {
    SimulatedToken private immutable _token;
    IGateway private immutable _real;
    AccountId private immutable _account;
    uint256 private immutable _taken;

    constructor(SimulatedToken token, IGateway real, AccountId account, uint256 taken) {
        (_token, _real, _account, _taken) = (token, real, account, taken);
    }

    function deposit(AccountId, address, address, uint256) external returns (AccountId) {
        _token.transferFrom(msg.sender, address(this), _taken);
        if (AccountId.unwrap(_account) != 0) {
            _token.approve(address(_real), _taken);
            _real.deposit(_account, address(this), address(_token), _taken);
        }
        return AccountId.wrap(1);
    }
}

/// @notice Money moves between an owner's accounts, in this group or to another, and never to anybody else's.
contract TransfersTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    /// @dev Alice's other account.
    Trader internal savings;
    MarketId internal first;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 100_000);
        bob = openAccount("bob", 100_000);
        savings = openAccount("alice", 1);
        first = market(openEvent(2), 0);
        settleInbox();
    }

    // ----------------------------------------------------------------- inside the group

    function test_an_owner_moves_money_between_accounts() public {
        SignedTransfer memory moving = transfer(alice, savings.account, 400);
        settle(batchOf(moving));
        assertEq(cashOf(alice), 100_000 - 400);
        assertEq(cashOf(savings), 1 + 400);
        assertNonce(alice, moving.transfer.nonce, true, 0);
        (uint128 pool,,) = views.pool();
        assertEq(pool, 200_002);
    }

    function test_a_transfer_to_somebody_elses_account_is_refused() public {
        assertRefused(batchOf(transfer(alice, bob.account, 400)), notSameOwner(alice.account, bob.account, bob.owner));
    }

    function test_a_transfer_to_an_account_that_does_not_exist_is_refused() public {
        AccountId nobody = AccountId.wrap(99);
        assertRefused(batchOf(transfer(alice, nobody, 400)), notSameOwner(alice.account, nobody, address(0)));
        assertRefused(batchOf(transfer(alice, NEW_ACCOUNT, 400)), notSameOwner(alice.account, NEW_ACCOUNT, address(0)));
    }

    function test_a_transfer_happens_once() public {
        SignedTransfer memory moving = transfer(alice, savings.account, 400);
        settle(batchOf(moving));
        assertRefused(
            batchOf(moving),
            abi.encodeWithSelector(IRiskGroup.NonceSpent.selector, alice.account, moving.transfer.nonce)
        );
    }

    function test_a_transfer_signed_by_another_is_refused() public {
        SignedTransfer memory moving = transfer(alice, savings.account, 400);
        moving.signature = sign(bob.key, hashTransfer(moving.transfer));
        assertRefused(batchOf(moving), signedByAnother(moving, alice.owner, bob.owner));
    }

    function test_altering_any_field_of_a_transfer_breaks_its_signature() public {
        for (uint256 field = 0; field < 7; ++field) {
            SignedTransfer memory moving = transfer(alice, savings.account, 400);
            address expected = alice.owner;
            if (field == 0) (moving.transfer.account, expected) = (bob.account, bob.owner);
            if (field == 1) moving.transfer.gateway = address(gateway);
            if (field == 2) moving.transfer.to = bob.account;
            if (field == 3) moving.transfer.token = address(1);
            if (field == 4) moving.transfer.amount += 1;
            if (field == 5) moving.transfer.nonce += 1_000_000;
            if (field == 6) moving.transfer.expiry = type(uint64).max;
            address recovered = recover(hashTransfer(moving.transfer), moving.signature);
            assertTrue(recovered != expected);
            assertRefused(batchOf(moving), signedByAnother(moving, expected, recovered));
        }
    }

    function test_a_transfer_counts_until_its_last_millisecond_and_not_after() public {
        SignedTransfer memory moving = transfer(alice, savings.account, 400);
        uint64 expiry = nowMs();
        moving.transfer.expiry = expiry;
        moving.signature = sign(alice.key, hashTransfer(moving.transfer));
        Batch memory late = batchOf(moving);
        late.time = expiry + 1;
        assertRefused(
            late,
            abi.encodeWithSelector(
                IRiskGroup.MessageExpired.selector, alice.account, moving.transfer.nonce, expiry, expiry + 1
            )
        );
        settle(batchOf(moving));
    }

    function test_a_transfer_below_the_nonce_floor_is_refused() public {
        SignedTransfer memory moving = transfer(alice, savings.account, 400);
        requestCancelAll(alice, 10);
        settleInbox();
        assertRefused(
            batchOf(moving),
            abi.encodeWithSelector(IRiskGroup.NonceBelowFloor.selector, alice.account, moving.transfer.nonce, 10)
        );
    }

    function test_a_transfer_moves_some_of_a_token_of_the_group() public {
        assertRefused(
            batchOf(transfer(alice, savings.account, 0)), abi.encodeWithSelector(IRiskGroup.ZeroAmount.selector)
        );
        assertRefused(
            batchOf(transfer(alice, address(0), savings.account, address(1), 1)),
            abi.encodeWithSelector(IRiskGroup.UnknownToken.selector, address(1), address(token))
        );
    }

    function test_a_transfer_leaves_what_positions_need() public {
        settle(batchOf(trade(alice, bob, first, 10, 500)));
        // Bob has 150,000 in cash and may have to pay 100,000.
        Trader memory apart = isolatedOf(bob, first);
        assertRefused(batchOf(transfer(bob, apart.account, 50_001)), shortfall(bob, -1));
        settle(batchOf(transfer(bob, apart.account, 50_000)));
    }

    function test_a_transfer_to_oneself_changes_nothing() public {
        settle(batchOf(transfer(alice, alice.account, 100_000)));
        assertEq(cashOf(alice), 100_000);
    }

    function test_assets_move_between_accounts_too() public {
        (TestToken coin, FeedId asset) = addAsset("ETH");
        deposit(alice.owner, alice.account, address(coin), 5e17);
        settlePrice(asset, 1000);
        settle(batchOf(transfer(alice, address(0), savings.account, address(coin), 2e17)));
        assertEq(balanceOf(alice, asset), 3e17);
        assertEq(balanceOf(savings, asset), 2e17);
        assertRefused(
            batchOf(transfer(alice, address(0), savings.account, address(coin), 4e17)),
            abi.encodeWithSelector(IRiskGroup.AssetOverdrawn.selector, alice.account, asset)
        );
        settle(batchOf(transfer(alice, address(0), savings.account, address(coin), 3e17)));
        assertEq(views.account(alice.account).held, 0);
    }

    /// @dev Below what it needs to open positions, above or below what it needs to keep them.
    function test_an_owner_may_always_add_collateral_to_an_account() public {
        (TestToken coin, FeedId asset) = addAsset("ETH");
        deposit(savings.owner, savings.account, address(coin), 2e18);
        deposit(alice.owner, alice.account, 1_000_000_000 - 100_000);
        deposit(bob.owner, bob.account, 50_000_000_000);
        (MarketId where, FeedId feed) = listPerpetual("BTC");
        Batch memory batch = inboxBatch();
        addPrice(batch, asset, 100);
        addPrice(batch, feed, 1000);
        settle(batch);
        settle(batchOf(trade(alice, bob, where, 15_000, 1000)));
        pass(1);
        settlePrice(feed, 960);
        assertEq(initialHealthOf(alice), -320_000_000);
        assertEq(maintenanceHealthOf(alice), -32_000_000);
        // A coin counts for 80 dollars of the one and 90 of the other.
        settle(batchOf(transfer(savings, address(0), alice.account, address(coin), 1e18)));
        assertEq(initialHealthOf(alice), -240_000_000);
        assertEq(maintenanceHealthOf(alice), 58_000_000);
        settle(batchOf(transfer(savings, alice.account, 1)));
        assertRefused(
            batchOf(transfer(alice, address(0), savings.account, address(coin), 1)), shortfall(alice, -240_000_000)
        );
    }

    function test_a_transfer_gives_nobody_a_holding_too_many() public {
        GroupTerms memory terms = groupTerms();
        terms.maxHoldings = 1;
        setTerms(terms);
        (TestToken coin, FeedId asset) = addAsset("ETH");
        (TestToken gold, FeedId other) = addAsset("XAU");
        deposit(alice.owner, alice.account, address(coin), 1e18);
        deposit(savings.owner, savings.account, address(gold), 1e18);
        Batch memory batch = inboxBatch();
        addPrice(batch, asset, 100);
        addPrice(batch, other, 100);
        settle(batch);
        assertRefused(
            batchOf(transfer(alice, address(0), savings.account, address(coin), 1e17)),
            abi.encodeWithSelector(IRiskGroup.TooManyHoldings.selector, savings.account, 1, 2)
        );
    }

    // ----------------------------------------------------------------- isolated accounts

    function test_a_transfer_opens_an_isolated_account() public {
        Trader memory apart = isolatedOf(alice, first);
        Batch memory batch = batchOf(transfer(alice, apart.account, 400));
        Signature memory signature = signBatch(batch);
        vm.expectEmit();
        emit IRiskGroup.IsolatedOpened(apart.account, alice.owner);
        group.settle(batch, signature);
        assertEq(views.account(apart.account).owner, alice.owner);
        assertEq(cashOf(apart), 400);
        assertEq(views.isolatedCount(), 1);
        assertEq(AccountId.unwrap(views.isolated(0)), AccountId.unwrap(apart.account));
        assertEq(gateway.ownerOf(apart.account), alice.owner);
    }

    function test_an_isolated_account_is_opened_once_and_funded_again() public {
        Trader memory apart = isolatedOf(alice, first);
        settle(batchOf(transfer(alice, apart.account, 400)));
        settle(batchOf(transfer(savings, apart.account, 1)));
        assertEq(cashOf(apart), 401);
        assertEq(views.isolatedCount(), 1);
    }

    function test_an_isolated_account_sends_its_money_back() public {
        Trader memory apart = isolatedOf(alice, first);
        settle(batchOf(transfer(alice, apart.account, 400)));
        settle(batchOf(transfer(apart, alice.account, 400)));
        assertEq(cashOf(alice), 100_000);
        assertEq(cashOf(apart), 0);
    }

    function test_nobody_opens_an_isolated_account_of_somebody_elses() public {
        Trader memory apart = isolatedOf(bob, first);
        assertRefused(
            batchOf(transfer(alice, apart.account, 400)),
            abi.encodeWithSelector(IRiskGroup.NotSameOwner.selector, bob.account, apart.account, bob.owner, alice.owner)
        );
        settle(batchOf(transfer(bob, apart.account, 400)));
        assertRefused(
            batchOf(transfer(alice, apart.account, 400)), notSameOwner(alice.account, apart.account, bob.owner)
        );
    }

    function test_what_an_isolated_account_loses_is_all_that_it_had() public {
        Trader memory apart = isolatedOf(alice, first);
        settle(batchOf(transfer(alice, apart.account, 1000)));
        // Two lots at 0.500 cost 10,000, of which the account has a tenth.
        assertRefused(batchOf(trade(apart, bob, first, 2, 500)), shortfall(apart, -9000));
        assertRefused(batchOf(trade(bob, apart, first, 2, 500)), shortfall(apart, -9000));
    }

    // ----------------------------------------------------------------- to another group

    function test_a_transfer_to_another_group_is_a_deposit_there() public {
        (Deployment memory here, Deployment memory there) = twoGroups();
        SignedTransfer memory moving = transfer(alice, address(there.gateway), NEW_ACCOUNT, address(token), 400);
        Batch memory batch = batchOf(moving);
        Signature memory signature = signBatch(batch);
        vm.expectEmit();
        emit IRiskGroup.InboxQueued(
            0, InboxKind.Deposit, nowMs(), abi.encode(AccountId.wrap(3), alice.owner, address(token), uint128(400))
        );
        vm.expectEmit();
        emit IRiskGroup.Withdrawn(alice.account, alice.owner, address(token), 400, address(there.gateway), true);
        group.settle(batch, signature);
        assertEq(cashOf(alice), 100_000 - 400);
        assertEq(token.allowance(address(here.group), address(there.gateway)), 0);
        assertEq(token.balanceOf(address(there.group)), 400);

        use(there);
        noteQueued(InboxKind.Deposit, abi.encode(AccountId.wrap(3), alice.owner, address(token), uint128(400)));
        settleInbox();
        assertEq(cashOf(AccountId.wrap(3)), 400);
        assertEq(views.account(AccountId.wrap(3)).owner, alice.owner);
    }

    function test_a_transfer_to_another_group_adds_to_the_account_that_it_names() public {
        (Deployment memory here, Deployment memory there) = twoGroups();
        use(there);
        Trader memory abroad = openAccount("alice", 7);
        settleInbox();
        use(here);
        settle(batchOf(transfer(alice, address(there.gateway), abroad.account, address(token), 400)));
        use(there);
        noteQueued(InboxKind.Deposit, abi.encode(abroad.account, alice.owner, address(token), uint128(400)));
        settleInbox();
        assertEq(cashOf(abroad), 407);
    }

    function test_what_another_group_refuses_is_claimed_here() public {
        (, Deployment memory there) = twoGroups();
        // It has no account 99.
        settle(batchOf(transfer(alice, address(there.gateway), AccountId.wrap(99), address(token), 400)));
        assertKept(address(there.gateway), 400);
        vm.prank(alice.owner);
        group.claim(address(token), alice.owner);
        assertEq(token.balanceOf(alice.owner), 400);
    }

    function test_what_a_gateway_that_is_none_leaves_is_claimed_here() public {
        address[2] memory none = [makeAddr("nobody"), address(source)];
        for (uint256 i = 0; i < 2; ++i) {
            settle(batchOf(transfer(alice, none[i], NEW_ACCOUNT, address(token), 400)));
            assertKept(none[i], 400 * (i + 1));
        }
    }

    function test_a_group_sends_nothing_to_itself() public {
        settle(batchOf(transfer(alice, address(gateway), savings.account, address(token), 400)));
        assertKept(address(gateway), 400);
        (uint64 head, uint64 tail) = views.inbox();
        assertEq(head, tail);
    }

    function test_what_a_gateway_takes_in_part_leaves_the_rest_and_no_allowance() public {
        address partly = address(new ForeignGateway(token, gateway, NEW_ACCOUNT, 150));
        settle(batchOf(transfer(alice, partly, NEW_ACCOUNT, address(token), 400)));
        assertEq(token.balanceOf(partly), 150);
        assertKept(partly, 250);
    }

    /// @dev Whether it was delivered does not show in a balance that others can move.
    function test_a_gateway_that_gives_back_what_it_took_is_not_paid_twice() public {
        address foreign = address(new ForeignGateway(token, gateway, savings.account, 400));
        settle(batchOf(transfer(alice, foreign, NEW_ACCOUNT, address(token), 400)));
        noteQueued(InboxKind.Deposit, abi.encode(savings.account, alice.owner, address(token), uint128(400)));
        settleInbox();
        assertEq(cashOf(savings), 401);
        assertEq(views.claimable(alice.owner, address(token)), 0);
        assertEq(cashOf(alice), 100_000 - 400);
    }

    function test_an_asset_moves_to_a_group_that_has_it() public {
        (TestToken coin, FeedId asset) = addAsset("ETH");
        deposit(alice.owner, alice.account, address(coin), 5e17);
        settlePrice(asset, 1000);
        (Deployment memory here, Deployment memory there) = twoGroups();
        settle(batchOf(transfer(alice, address(there.gateway), NEW_ACCOUNT, address(coin), 2e17)));
        assertEq(views.claimable(alice.owner, address(coin)), 2e17);

        use(there);
        vm.prank(governor);
        gateway.setAsset(assetConfig(address(coin), "ETH"));
        use(here);
        settle(batchOf(transfer(alice, address(there.gateway), NEW_ACCOUNT, address(coin), 3e17)));
        assertEq(views.claimable(alice.owner, address(coin)), 2e17);
        assertEq(coin.balanceOf(address(there.group)), 3e17);
        assertEq(balanceOf(alice, asset), 0);
    }

    function test_a_transfer_to_another_group_needs_gas_for_all_that_it_may_take() public {
        (, Deployment memory there) = twoGroups();
        Batch memory batch = batchOf(transfer(alice, address(there.gateway), NEW_ACCOUNT, address(token), 400));
        bytes memory call = abi.encodeCall(IRiskGroup.settle, (batch, signBatch(batch)));
        uint256 refused;
        uint256 settled;
        for (uint256 gasLimit = 60_000; gasLimit < 1_000_000; gasLimit += 20_000) {
            uint256 snapshot = vm.snapshotState();
            (bool succeeded, bytes memory failure) = address(group).call{gas: gasLimit}(call);
            if (succeeded) {
                assertEq(views.claimable(alice.owner, address(token)), 0);
                assertEq(token.balanceOf(address(there.group)), 400);
                ++settled;
            } else if (failure.length != 0) {
                assertEq(bytes4(failure), IRiskGroup.GasTooLow.selector);
                ++refused;
            }
            vm.revertToState(snapshot);
        }
        assertGt(refused, 0);
        assertGt(settled, 0);
    }

    // ----------------------------------------------------------------- words

    /// @dev This group, which is in use, and a second one of the same make.
    function twoGroups() private returns (Deployment memory here, Deployment memory there) {
        here = Deployment(group, gateway, group.escapeHatch());
        there = newDeployment();
    }

    function assertKept(address gateway_, uint256 claimable) private view {
        assertEq(views.claimable(alice.owner, address(token)), claimable);
        assertEq(token.allowance(address(group), gateway_), 0);
    }

    function notSameOwner(AccountId from, AccountId to, address got) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.NotSameOwner.selector, from, to, alice.owner, got);
    }

    function signedByAnother(SignedTransfer memory moving, address expected, address recovered)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRiskGroup.MessageSignedByAnother.selector,
            moving.transfer.account,
            moving.transfer.nonce,
            expected,
            recovered
        );
    }
}
