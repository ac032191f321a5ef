//! One signature for many orders: the tree whose root is signed, and each order's proof.
//!
//! A leaf is an order's struct hash, a node the hash of its two children in ascending order (as OpenZeppelin's
//! `MerkleProof` and with it `Fills.sol` have it, so that a proof needs no directions). The contract takes proofs of one
//! length from a tree: what is missing to a power of two is filled up with leaves of zero, to which no order hashes.

use alloy_primitives::{Address, keccak256};
use xos_types::{Hash, Order, OrderTree, Signature, Signed};

use crate::batch::Claim;
use crate::domain::Domain;
use crate::keccak::{LANES, hash_together};
use crate::signature::AuthError;

/// A tree over orders. Keeps its memory from one tree to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The leaves, then each level of parents; the root is the last.
    nodes: Vec<Hash>,
    leaves: usize,
    orders: usize,
}

impl Tree {
    /// Most orders of one tree. A fill's proof has ten words at that size.
    pub const MOST: usize = 1_024;

    /// Makes this the tree over `orders`, in their order.
    ///
    /// # Errors
    /// If there are none, or more than [`Self::MOST`].
    pub fn build(&mut self, domain: &Domain, orders: &[Order]) -> Result<(), AuthError> {
        if orders.is_empty() || orders.len() > Self::MOST {
            return Err(AuthError::TreeSize { got: orders.len(), most: Self::MOST });
        }
        self.orders = orders.len();
        self.leaves = orders.len().next_power_of_two();
        self.nodes.clear();
        domain.struct_hashes(orders, &mut self.nodes);
        self.nodes.resize(self.leaves, Hash::default());
        let mut level = 0;
        while self.nodes.len() < 2 * self.leaves - 1 {
            let end = self.nodes.len();
            self.add_parents(level..end);
            level = end;
        }
        Ok(())
    }

    fn add_parents(&mut self, level: std::ops::Range<usize>) {
        let pairs = level.len() / 2;
        let pair = |nodes: &[Hash], number: usize| {
            sorted(nodes[level.start + 2 * number], nodes[level.start + 2 * number + 1])
        };
        let mut done = 0;
        while pairs - done >= LANES {
            let messages: [[Hash; 2]; LANES] = std::array::from_fn(|lane| pair(&self.nodes, done + lane));
            self.nodes.extend(hash_together(messages.each_ref().map(|message| message.as_flattened())));
            done += LANES;
        }
        for number in done..pairs {
            let parent = parent(pair(&self.nodes, number));
            self.nodes.push(parent);
        }
    }

    /// What is signed.
    ///
    /// # Panics
    /// If nothing was built.
    #[must_use]
    pub fn message(&self) -> OrderTree {
        OrderTree { root: *self.nodes.last().expect("a tree was built") }
    }

    /// The tree's signature as one claim of a batch. Its verdict is that of every order.
    #[must_use]
    pub fn claim(&self, domain: &Domain, signature: Signature, signer: Option<Address>) -> Claim {
        Claim { digest: domain.digest(&self.message()), signature, signer }
    }

    /// The nodes beside the way from an order to the root, from the leaf up.
    ///
    /// # Panics
    /// If the tree has not so many orders.
    pub fn proof(&self, order: usize) -> impl ExactSizeIterator<Item = Hash> + '_ {
        assert!(order < self.orders, "the tree has {} orders, and {order} was asked for", self.orders);
        (0..self.leaves.ilog2()).map(move |level| {
            // 2·leaves nodes less those of this level and above.
            let first = 2 * self.leaves - ((2 * self.leaves) >> level);
            self.nodes[first + ((order >> level) ^ 1)]
        })
    }

    /// Each order as the engine takes it, under the tree's signature. What proves it on chain is [`Self::proof`].
    ///
    /// # Panics
    /// If these are not as many orders as the tree was built over.
    pub fn signed<'a>(
        &self,
        orders: &'a [Order],
        signature: Signature,
        signer: Address,
    ) -> impl ExactSizeIterator<Item = Signed<Order>> + 'a {
        assert_eq!(orders.len(), self.orders, "the orders that the tree was built over");
        orders.iter().map(move |&message| Signed { message, signature, signer })
    }
}

/// The tree that `proof` puts an order into: for an order that comes without the others. Whoever signed this root signed
/// the order.
#[must_use]
pub fn tree_of(domain: &Domain, order: &Order, proof: &[Hash]) -> OrderTree {
    let leaf = domain.struct_hash(order).0;
    OrderTree { root: proof.iter().fold(leaf, |node, &other| parent(sorted(node, other))) }
}

fn sorted(a: Hash, b: Hash) -> [Hash; 2] {
    if a < b { [a, b] } else { [b, a] }
}

fn parent(children: [Hash; 2]) -> Hash {
    keccak256(children.as_flattened()).0
}
