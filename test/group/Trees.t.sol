// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {
    Batch,
    EventId,
    Fill,
    MarketFills,
    MarketId,
    Order,
    OrderTree,
    Side,
    Signature,
    SignerGrant
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice One signature covers a ladder of orders: exactly those under its root.
contract TreesTest is GroupTest {
    Trader internal alice;
    Trader internal bob;
    MarketId internal first;
    MarketId internal second;

    function setUp() public override {
        super.setUp();
        alice = openAccount("alice", 1_000_000_000);
        bob = openAccount("bob", 1_000_000_000);
        EventId eventId = openEvent(3);
        (first, second) = (market(eventId, 0), market(eventId, 1));
        settleInbox();
    }

    function test_one_signature_covers_a_ladder_over_two_markets() public {
        settle(ladder());
        assertEq(positionOf(alice, first), 1 + 2);
        assertEq(positionOf(alice, second), 3 + 4);
        for (uint64 nonce = 1; nonce <= 4; ++nonce) {
            assertNonce(alice, nonce, true, 0);
        }
    }

    function test_an_order_of_a_tree_fills_once() public {
        Batch memory batch = ladder();
        settle(batch);
        Batch memory again = nextBatch();
        (again.trees, again.markets) = (batch.trees, batch.markets);
        assertRefused(again, abi.encodeWithSelector(IRiskGroup.OrderSpent.selector, alice.account, 1));
    }

    function test_a_tree_of_one_order_needs_no_proof() public {
        Fill[] memory lines = new Fill[](1);
        lines[0] = fill(alice, order(alice, first, Side.Buy, 10, 500));
        Batch memory batch = nextBatch();
        batch.trees = new OrderTree[](1);
        batch.trees[0] = treeOf(alice.key, 1, lines);
        assertEq(batch.trees[0].proofs.length, 0);
        batch.markets = batchOf(fills(first, lines[0], sell(first, 10))).markets;
        settle(batch);
        assertEq(positionOf(alice, first), 10);
    }

    function test_an_order_outside_the_tree_is_refused() public {
        for (uint256 field = 0; field < 3; ++field) {
            Batch memory batch = ladder();
            Order memory altered = batch.markets[0].fills[0].order;
            if (field == 0) altered.nonce += 1_000_000;
            if (field == 1) altered.maxFee += 1;
            if (field == 2) altered.account = bob.account;
            assertRefused(batch, notInTree(altered, batch.trees[0].root));
        }
    }

    function test_a_wrong_proof_is_refused() public {
        Batch memory batch = ladder();
        batch.trees[0].proofs[0] ^= bytes32(uint256(1));
        assertRefused(batch, notInTree(batch.markets[0].fills[0].order, batch.trees[0].root));
    }

    /// @dev The words have no owner but their place: each fill takes the next ones.
    function test_proofs_are_consumed_in_the_order_of_the_fills() public {
        Batch memory batch = ladder();
        MarketFills memory bought = batch.markets[0];
        (bought.fills[0], bought.fills[1]) = (bought.fills[1], bought.fills[0]);
        assertRefused(batch, notInTree(bought.fills[0].order, batch.trees[0].root));
    }

    function test_a_fill_without_enough_proof_words_left_is_refused() public {
        Batch memory batch = ladder();
        bytes32[] memory short = new bytes32[](7);
        for (uint256 i = 0; i < 7; ++i) {
            short[i] = batch.trees[0].proofs[i];
        }
        batch.trees[0].proofs = short;
        assertRefused(batch, notInTree(batch.markets[1].fills[1].order, batch.trees[0].root));
    }

    function test_a_proof_of_another_tree_is_refused() public {
        Batch memory batch = ladder();
        Batch memory other = ladder();
        OrderTree[] memory both = new OrderTree[](2);
        (both[0], both[1]) = (batch.trees[0], other.trees[0]);
        batch.trees = both;
        batch.markets[0].fills[0].tree = 2;
        assertRefused(batch, notInTree(batch.markets[0].fills[0].order, both[1].root));
    }

    function test_two_trees_keep_their_own_proofs() public {
        Fill[] memory bids = new Fill[](2);
        Fill[] memory asks = new Fill[](2);
        for (uint64 i = 0; i < 2; ++i) {
            bids[i] = fill(alice, order(alice, first, Side.Buy, 10 + i, 500));
            asks[i] = fill(bob, order(bob, first, Side.Sell, 10 + i, 500));
        }
        Batch memory batch = nextBatch();
        batch.trees = new OrderTree[](2);
        (batch.trees[0], batch.trees[1]) = (treeOf(alice.key, 1, bids), treeOf(bob.key, 2, asks));
        batch.markets = new MarketFills[](1);
        batch.markets[0].market = first;
        batch.markets[0].fills = new Fill[](4);
        for (uint256 i = 0; i < 2; ++i) {
            (batch.markets[0].fills[2 * i], batch.markets[0].fills[2 * i + 1]) = (asks[i], bids[i]);
        }
        settle(batch);
        assertEq(positionOf(bob, first), -21);
    }

    function test_a_tree_that_the_batch_does_not_carry_is_refused() public {
        Batch memory batch = ladder();
        Fill memory lost = batch.markets[0].fills[0];
        lost.tree = 2;
        assertRefused(batch, abi.encodeWithSelector(IRiskGroup.NoSuchTree.selector, alice.account, lost.order.nonce, 2));
    }

    function test_a_tree_that_another_key_signed_is_refused() public {
        Batch memory batch = ladder();
        batch.trees[0].signature = sign(bob.key, hashOrderTree(batch.trees[0].root));
        assertRefused(batch, signedByAnother(bob.owner));
        batch.trees[0].signature = Signature(0, 0);
        assertRefused(batch, signedByAnother(address(0)));
    }

    /// @dev The fill's own signature is no way around the tree's.
    function test_a_good_signature_of_the_order_does_not_mend_a_bad_tree() public {
        Batch memory batch = ladder();
        Fill memory line = batch.markets[0].fills[0];
        line.signature = sign(alice.key, hashOrder(line.order));
        batch.trees[0].signature = sign(bob.key, hashOrderTree(batch.trees[0].root));
        assertRefused(batch, signedByAnother(bob.owner));
    }

    function test_a_key_that_may_trade_may_sign_a_tree() public {
        (address key, uint256 secret) = makeAddrAndKey("key");
        Batch memory batch = ladder();
        batch.trees[0].signature = sign(secret, hashOrderTree(batch.trees[0].root));
        assertRefused(batch, signedByAnother(key));
        SignerGrant memory grant = grantTo(key);
        setSigner(alice, grant);
        batch.inbox = takeInbox();
        settle(batch);
    }

    // ----------------------------------------------------------------- words

    /// @dev Alice's one signature for four bids, of 1 and 2 lots in the first market and 3 and 4 in the second.
    function ladder() private returns (Batch memory batch) {
        Fill[] memory lines = new Fill[](4);
        for (uint64 i = 0; i < 4; ++i) {
            lines[i] = fill(alice, order(alice, i < 2 ? first : second, Side.Buy, 1 + i, 500 + i));
        }
        batch = nextBatch();
        batch.trees = new OrderTree[](1);
        batch.trees[0] = treeOf(alice.key, 1, lines);
        batch.markets = new MarketFills[](2);
        (batch.markets[0].market, batch.markets[1].market) = (first, second);
        for (uint256 i = 0; i < 2; ++i) {
            batch.markets[i].fills = new Fill[](4);
            for (uint64 k = 0; k < 2; ++k) {
                uint64 size = uint64(1 + 2 * i + k);
                batch.markets[i].fills[k] = lines[2 * i + k];
                Order memory sale = order(bob, batch.markets[i].market, Side.Sell, size, uint64(500 + 2 * i + k));
                batch.markets[i].fills[2 + k] = fill(bob, sale);
            }
        }
    }

    function sell(MarketId where, uint64 size) private returns (Fill memory) {
        return fill(bob, order(bob, where, Side.Sell, size, 500));
    }

    function notInTree(Order memory signed, bytes32 root) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRiskGroup.NotInTree.selector, signed.account, signed.nonce, root);
    }

    /// @dev About the last ladder's first order.
    function signedByAnother(address recovered) private view returns (bytes memory) {
        return
            abi.encodeWithSelector(IRiskGroup.OrderSignedByAnother.selector, alice.account, 1, alice.owner, recovered);
    }
}
