//! Many orders under one signature, and how an order says that it is one of them.

use std::sync::Arc;

use alloy_primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::order::{Order, Signature};
use crate::units::AccountId;

/// Number of a tree: the place in the log of the command that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TreeId(pub u64);

/// Orders of one account under one signature over their [`OrderTree`](crate::OrderTree), and the signer that the gateway recovered
/// from it. Each is an order like any other; the signature is all that they share. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTree {
    orders: Arc<[Order]>,
    /// The tree's signature.
    pub signature: Signature,
    /// Who signed, as recovered.
    pub signer: Address,
}

/// Why orders make no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitTree {
    /// There are none, or too many.
    #[error("a tree has 1 to {most} orders, not {got}", most = SignedTree::MOST)]
    Size {
        /// How many there are.
        got: usize,
    },
    /// They are not all of one account.
    #[error("the orders of a tree are of one account, and order {number} is of account {got} instead of {expected}")]
    Accounts {
        /// Which order, from 0.
        number: usize,
        /// Its account.
        got: AccountId,
        /// That of the first.
        expected: AccountId,
    },
}

impl SignedTree {
    /// Most orders of one tree. The proof of one of them has ten words at that size.
    pub const MOST: usize = 1_024;

    /// These orders, in their order.
    ///
    /// # Errors
    /// If there are none, more than [`Self::MOST`], or some of another account.
    pub fn new(orders: impl Into<Arc<[Order]>>, signature: Signature, signer: Address) -> Result<Self, UnfitTree> {
        let orders = orders.into();
        let Some(first) = orders.first().filter(|_| orders.len() <= Self::MOST) else {
            return Err(UnfitTree::Size { got: orders.len() });
        };
        let expected = first.account;
        match orders.iter().enumerate().find(|(_, order)| order.account != expected) {
            Some((number, order)) => Err(UnfitTree::Accounts { number, got: order.account, expected }),
            None => Ok(Self { orders, signature, signer }),
        }
    }

    /// Its orders; one at least.
    #[must_use]
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// The account of all its orders.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.orders[0].account
    }

    /// Words of each order's proof.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.orders.len().next_power_of_two().ilog2()
    }
}

impl Serialize for SignedTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.orders(), self.signature, self.signer).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (orders, signature, signer) = <(Vec<Order>, Signature, Address)>::deserialize(deserializer)?;
        Self::new(orders, signature, signer).map_err(serde::de::Error::custom)
    }
}

/// An order of a tree has no signature of its own. In the place of one stands the tree's number, behind an `r` of zero, which no
/// signature has.
impl Signature {
    /// Refers to the tree that an order is of.
    #[must_use]
    pub fn of_tree(tree: TreeId) -> Self {
        let mut signature = Self::default();
        signature.vs[24..].copy_from_slice(&tree.0.to_be_bytes());
        signature
    }

    /// The tree that it refers to, if it is no signature. Whoever signs nothing (the owner of a forced close) refers to none.
    #[inline]
    #[must_use]
    pub fn tree(&self) -> Option<TreeId> {
        if self.r != [0; 32] {
            return None;
        }
        let number = u64::from_be_bytes(*self.vs.last_chunk().expect("a signature is longer than a number"));
        (number > 0).then_some(TreeId(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lots, MarketId, Nonce, OrderKind, Ppm, Side, Ticks, TimeMs};

    fn order(account: u64) -> Order {
        Order {
            account: AccountId(account),
            market: MarketId(256),
            side: Side::Buy,
            kind: OrderKind::PostOnly,
            reduce_only: false,
            size: Lots(1),
            price: Ticks(2),
            nonce: Nonce(3),
            expiry: TimeMs(0),
            max_fee: Ppm(0),
            builder: 0,
            builder_fee: Ppm(0),
        }
    }

    fn tree(orders: Vec<Order>) -> Result<SignedTree, UnfitTree> {
        SignedTree::new(orders, Signature { r: [1; 32], vs: [2; 32] }, Address::repeat_byte(3))
    }

    #[test]
    fn a_tree_has_orders_of_one_account_and_not_too_many() {
        assert_eq!(tree(vec![]), Err(UnfitTree::Size { got: 0 }));
        assert_eq!(tree(vec![order(7); 1_025]), Err(UnfitTree::Size { got: 1_025 }));
        let mixed = UnfitTree::Accounts { number: 2, got: AccountId(8), expected: AccountId(7) };
        assert_eq!(tree(vec![order(7), order(7), order(8)]), Err(mixed));
        let depths = [1, 2, 3, 64, 65, 1_024].map(|count| tree(vec![order(7); count]).unwrap().depth());
        assert_eq!(depths, [0, 1, 2, 6, 7, 10]);
    }

    #[test]
    fn what_is_no_tree_cannot_be_read() {
        let good = tree(vec![order(7); 3]).unwrap();
        let bytes = postcard::to_allocvec(&good).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(good));
        let mixed = (vec![order(7), order(8)], Signature::default(), Address::ZERO);
        assert!(postcard::from_bytes::<SignedTree>(&postcard::to_allocvec(&mixed).unwrap()).is_err());
    }

    #[test]
    fn a_reference_to_a_tree_is_told_from_a_signature() {
        for number in [1, 255, u64::MAX] {
            assert_eq!(Signature::of_tree(TreeId(number)).tree(), Some(TreeId(number)));
        }
        assert_eq!(Signature::default().tree(), None);
        let mut signed = Signature::of_tree(TreeId(9));
        signed.r[31] = 1;
        assert_eq!(signed.tree(), None);
    }
}
