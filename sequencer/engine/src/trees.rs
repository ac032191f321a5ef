//! Orders under one signature.
//!
//! What comes in a tree is placed order by order, by the way that every order goes. Of the tree remains what proves its orders on
//! chain: their bodies and the signature, kept once, while one of them rests or waits. No hash is taken here. Whoever makes a batch
//! builds the tree anew from the bodies, which take no more memory than signatures of their own would.

use std::collections::BTreeMap;

use xos_types::{AccountId, Event, Instructions, Nonce, Order, Reject, Signature, Signed, SignedTree, TreeId};

use crate::engine::Engine;
use crate::gas;
use crate::limits::TREE_ORDERS_MAX;

/// Trees of which something rests or waits.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    kept: BTreeMap<TreeId, Kept>,
    /// How many orders the trees of an account have together.
    orders: BTreeMap<AccountId, usize>,
}

#[derive(Debug)]
struct Kept {
    tree: SignedTree,
    /// Orders that rest or wait, and one more while the tree is being placed.
    uses: u32,
}

impl Trees {
    /// As a snapshot has them, before the orders that are of them.
    pub(crate) fn restore(trees: Vec<(TreeId, SignedTree)>) -> Self {
        let mut restored = Self::default();
        trees.into_iter().for_each(|(number, tree)| restored.insert(number, tree, 0));
        restored
    }

    fn insert(&mut self, number: TreeId, tree: SignedTree, uses: u32) {
        *self.orders.entry(tree.account()).or_default() += tree.orders().len();
        self.kept.insert(number, Kept { tree, uses });
    }

    /// Whether an account may have another tree.
    fn has_room_for(&self, tree: &SignedTree) -> bool {
        let orders = self.orders.get(&tree.account()).copied().unwrap_or(0);
        orders + tree.orders().len() <= TREE_ORDERS_MAX
    }

    /// The tree that an order is of, if it is of one.
    #[inline]
    pub(crate) fn of(&self, signature: &Signature) -> Option<(TreeId, &SignedTree)> {
        let number = signature.tree()?;
        Some((number, &self.kept.get(&number).expect("a tree is kept while its orders rest or wait").tree))
    }

    /// Whether the tree is there that an order is of, if it is of one.
    pub(crate) fn has(&self, signature: &Signature) -> bool {
        signature.tree().is_none_or(|number| self.kept.contains_key(&number))
    }

    /// An order begins to rest or to wait.
    #[inline]
    pub(crate) fn hold(&mut self, signature: &Signature) {
        if let Some(number) = signature.tree() {
            self.kept.get_mut(&number).expect("a tree is kept while its orders are placed").uses += 1;
        }
    }

    /// An order rests or waits no more.
    #[inline]
    pub(crate) fn release(&mut self, signature: &Signature) {
        if let Some(number) = signature.tree() {
            let kept = self.kept.get_mut(&number).expect("a tree is kept while its orders rest or wait");
            kept.uses -= 1;
            if kept.uses == 0 {
                let (account, count) = (kept.tree.account(), kept.tree.orders().len());
                self.kept.remove(&number);
                let orders = self.orders.get_mut(&account).expect("a tree that is kept counts for its account");
                *orders -= count;
                if *orders == 0 {
                    self.orders.remove(&account);
                }
            }
        }
    }

    /// All of them, by number.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (TreeId, &SignedTree)> {
        self.kept.iter().map(|(number, kept)| (*number, &kept.tree))
    }

    /// # Panics
    /// If accounts' orders are not those of their trees.
    pub(crate) fn check(&self) {
        let mut orders: BTreeMap<AccountId, usize> = BTreeMap::new();
        for Kept { tree, .. } in self.kept.values() {
            *orders.entry(tree.account()).or_default() += tree.orders().len();
        }
        assert_eq!(orders, self.orders, "orders of trees, by account");
    }

    /// How many orders of each rest or wait.
    pub(crate) fn uses(&self) -> BTreeMap<TreeId, u32> {
        self.kept.iter().map(|(number, kept)| (*number, kept.uses)).collect()
    }
}

impl Engine {
    /// Trees of which an order rests or waits.
    #[must_use]
    pub fn living_trees(&self) -> usize {
        self.orders.trees.kept.len()
    }

    /// Places the orders of a tree, each as if it came alone.
    pub(crate) fn place_tree(
        &mut self,
        tree: &SignedTree,
        replaces: &[Nonce],
        instructions: Instructions,
        events: &mut Vec<Event>,
    ) {
        let number = TreeId(self.log.sequence());
        let signature = Signature::of_tree(number);
        if !self.orders.trees.has_room_for(tree) {
            let refused = tree.orders().iter().map(|&Order { account, nonce, .. }| {
                let reject = Reject::TooManyOrders { limit: TREE_ORDERS_MAX as u64 };
                Event::Rejected { account, nonce, reject }
            });
            return events.extend(refused);
        }
        self.orders.trees.insert(number, tree.clone(), 1);
        self.tree_matches_end = Some(self.frame.gas() + gas::MATCHES);
        let mut leaving = replaces.iter();
        for message in tree.orders() {
            let signed = Signed { message: *message, signature, signer: tree.signer };
            match leaving.next() {
                Some(old) => self.replace(*old, &signed, instructions, events),
                None => self.place(&signed, instructions, events),
            }
        }
        self.tree_matches_end = None;
        self.orders.trees.release(&signature);
    }

    /// The frame's gas at which matches of an arriving order end. The orders of a tree share what one order may add: they are
    /// one command, and a frame is sealed between commands only.
    pub(crate) fn matches_end(&self) -> u64 {
        self.tree_matches_end.unwrap_or(self.frame.gas() + gas::MATCHES)
    }
}
