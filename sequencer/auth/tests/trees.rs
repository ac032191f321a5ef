//! Orders under one signature: what is signed, and what proves each.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use alloy_primitives::{Address, keccak256};
use proptest::prelude::*;
use xos_auth::{AuthError, Domain, Key, KeyBook, Tree, Verifier, tree_of, verify};
use xos_types::{
    AccountId, Hash, Lots, MarketId, Nonce, Order, OrderKind, OrderTree, Ppm, Side, Signed, Ticks, TimeMs,
};

fn domain() -> Domain {
    Domain::new(196, Address::repeat_byte(3))
}

fn orders(count: usize) -> Vec<Order> {
    let order = |nonce: u64| Order {
        account: AccountId(7),
        market: MarketId(258),
        side: if nonce.is_multiple_of(2) { Side::Buy } else { Side::Sell },
        kind: OrderKind::PostOnly,
        reduce_only: false,
        size: Lots(100),
        price: Ticks(505 + nonce),
        nonce: Nonce(nonce),
        expiry: TimeMs(0),
        max_fee: Ppm(1000),
        builder: 0,
        builder_fee: Ppm(0),
    };
    (0..count as u64).map(order).collect()
}

/// `MerkleProof.processProof` with `Hashes.commutativeKeccak256`, as OpenZeppelin has them.
fn process_proof(proof: &[Hash], leaf: Hash) -> Hash {
    proof.iter().fold(leaf, |hash, &other| {
        keccak256(if hash < other { [hash, other].concat() } else { [other, hash].concat() }).0
    })
}

fn tree(orders: &[Order]) -> Tree {
    let mut tree = Tree::default();
    tree.build(&domain(), orders).unwrap();
    tree
}

#[test]
fn every_order_of_a_tree_of_any_size_is_proven_by_as_many_words() {
    let mut tree = Tree::default();
    for count in (1..=70).chain([255, 256, 257, 1_023, 1_024]) {
        let orders = orders(count);
        // The memory of the tree before must not show.
        tree.build(&domain(), &orders).unwrap();
        let depth = count.next_power_of_two().ilog2() as usize;
        for (index, order) in orders.iter().enumerate() {
            let proof: Vec<Hash> = tree.proof(index).collect();
            assert_eq!(proof.len(), depth, "the contract takes proofs of one length");
            assert_eq!(process_proof(&proof, domain().struct_hash(order).0), tree.message().root);
            assert_eq!(tree_of(&domain(), order, &proof), tree.message());
        }
    }
}

#[test]
fn a_tree_of_one_order_is_its_struct_hash() {
    let orders = orders(1);
    assert_eq!(tree(&orders).message(), OrderTree { root: domain().struct_hash(&orders[0]).0 });
    assert_eq!(tree(&orders).proof(0).len(), 0);
}

#[test]
fn a_tree_of_none_or_too_many_is_refused() {
    for got in [0, Tree::MOST + 1] {
        let refused = Tree::default().build(&domain(), &orders(got));
        assert_eq!(refused, Err(AuthError::TreeSize { got, most: Tree::MOST }));
    }
}

#[test]
fn what_fills_a_tree_up_is_no_order() {
    let tree = tree(&orders(3));
    let beside: Vec<Hash> = tree.proof(2).collect();
    assert_eq!(beside[0], Hash::default());
    assert!(std::panic::catch_unwind(|| tree.proof(3).len()).is_err());
}

#[test]
fn a_ladder_is_signed_once_and_checked_in_a_batch() {
    let (domain, key) = (domain(), Key::random());
    let mut verifier = Verifier::new();
    let mut book = KeyBook::new(8);
    let mut claims = Vec::new();
    let ladders: Vec<Vec<Order>> = (1..30).map(orders).collect();
    for orders in &ladders {
        let tree = tree(orders);
        let signature = key.sign_typed(&domain, tree.message()).signature;
        assert_eq!(verify(&domain, tree.message(), signature).unwrap().signer, key.address());
        claims.push(tree.claim(&domain, signature, Some(key.address())));
    }
    let mut verdicts = Vec::new();
    verifier.verify(&mut book, &claims, &mut verdicts);
    for ((orders, claim), verdict) in ladders.iter().zip(&claims).zip(verdicts) {
        let signer = verdict.unwrap();
        assert_eq!(signer, key.address());
        let signed: Vec<Signed<Order>> = tree(orders).signed(orders, claim.signature, signer).collect();
        assert!(signed.iter().zip(orders).all(|(signed, order)| signed.message == *order));
        assert!(signed.iter().all(|signed| signed.signature == claim.signature && signed.signer == signer));
    }
}

proptest! {
    #[test]
    fn a_changed_order_or_proof_is_of_another_tree(count in 2_usize..40, index: usize, word: usize, bit in 0_usize..256) {
        let orders = orders(count);
        let index = index % count;
        let tree = tree(&orders);
        let mut proof: Vec<Hash> = tree.proof(index).collect();
        let mut other = orders[index];
        other.size.0 += 1;
        prop_assert_ne!(tree_of(&domain(), &other, &proof), tree.message());
        let word = word % proof.len();
        proof[word][bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(tree_of(&domain(), &orders[index], &proof), tree.message());
        proof.truncate(word);
        prop_assert_ne!(tree_of(&domain(), &orders[index], &proof), tree.message());
    }

    #[test]
    fn hashes_in_bulk_are_those_of_each(count in 0_usize..40) {
        let orders = orders(count);
        let (mut hashes, mut digests) = (vec![[9; 32]], vec![[9; 32]]);
        domain().struct_hashes(&orders, &mut hashes);
        domain().digests(&orders, &mut digests);
        prop_assert_eq!(hashes.len(), count + 1);
        prop_assert_eq!(digests.len(), count + 1);
        for (i, order) in orders.iter().enumerate() {
            prop_assert_eq!(hashes[i + 1], domain().struct_hash(order).0);
            prop_assert_eq!(digests[i + 1], domain().digest(order).0);
        }
    }
}
