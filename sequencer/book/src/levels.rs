//! Price levels, found by price and walked from the best.
//!
//! One side of a book is a tree over 64-bit keys in which the best price is the smallest key ([`key_of`]). Its leaves hold
//! [`LEVELS`] neighbouring prices each, the levels themselves; its inner nodes have 64 children and stand only where keys
//! part (a path-compressed radix tree). So what lies between prices costs nothing: prices within 1,024 ticks are one inner
//! node apart, whether they are about 500 or about 10^12, and no set of prices makes the tree deeper than 11.

use xos_types::{Side, Ticks};

use crate::fetch::fetch;
use crate::pool::Pool;

/// Prices to a leaf: 16 levels are 384 bytes. Wider leaves make the tree no flatter where it matters (an inner node over
/// them spans 1,024 ticks), and lonely prices dearer.
const LEAF_BITS: u32 = 4;
const LEVELS: usize = 1 << LEAF_BITS;
/// Children of an inner node: as many as a word has bits.
const NODE_BITS: u32 = 6;
const CHILDREN: usize = 1 << NODE_BITS;

/// The orders of one side at one price.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    /// Ends of the queue; 0 in an empty one.
    pub(crate) oldest: u32,
    pub(crate) youngest: u32,
    /// Σ remaining, 96 bits of it: no crowd of 2^32 orders overflows that.
    lots_low: u64,
    lots_high: u32,
    orders: u32,
}

impl Level {
    /// What its orders have left, together.
    #[must_use]
    pub fn lots(&self) -> u128 {
        u128::from(self.lots_high) << 64 | u128::from(self.lots_low)
    }

    /// How many orders wait in it.
    #[must_use]
    pub fn orders(&self) -> u32 {
        self.orders
    }

    #[inline]
    pub(crate) fn join(&mut self, order: u32, lots: u64) {
        self.oldest = if self.orders == 0 { order } else { self.oldest };
        self.youngest = order;
        self.orders += 1;
        let (low, carry) = self.lots_low.overflowing_add(lots);
        self.lots_low = low;
        self.lots_high += u32::from(carry);
    }

    /// An order between these two (0: it was an end) leaves.
    #[inline]
    pub(crate) fn leave(&mut self, older: u32, younger: u32, lots: u64) {
        self.oldest = if older == 0 { younger } else { self.oldest };
        self.youngest = if younger == 0 { older } else { self.youngest };
        self.orders -= 1;
        self.reduce(lots);
    }

    #[inline]
    pub(crate) fn reduce(&mut self, lots: u64) {
        let (low, borrow) = self.lots_low.overflowing_sub(lots);
        self.lots_low = low;
        self.lots_high -= u32::from(borrow);
    }
}

/// Where a level lies: its leaf, and which of the leaf's levels it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LevelId(u32);

impl LevelId {
    /// No level: leaves never become so many.
    pub(crate) const NONE: Self = Self(u32::MAX);

    fn new(leaf: u32, level: u32) -> Self {
        debug_assert!(leaf < 1 << (32 - LEAF_BITS), "memory ends long before 2^28 leaves");
        Self(leaf << LEAF_BITS | level)
    }

    fn leaf(self) -> u32 {
        self.0 >> LEAF_BITS
    }

    fn level(self) -> usize {
        self.0 as usize % LEVELS
    }
}

/// Prices as keys that are smaller the better the price, for either side.
#[inline]
pub(crate) fn key_of(side: Side, price: Ticks) -> u64 {
    price.0 ^ mask_of(side)
}

#[inline]
fn mask_of(side: Side) -> u64 {
    // All ones for a bid, without a branch: sides come in no order.
    (side as u64).wrapping_sub(1)
}

/// Which of its leaf's levels a key is.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "below 16")]
fn level_of(key: u64) -> u32 {
    key as u32 % LEVELS as u32
}

/// What levels at neighbouring prices of one side have in common. It is 16 bytes and lies apart from them, so that the leaves of
/// all that trades lie in the nearest cache: whoever looks for a level waits for the level alone.
#[derive(Debug)]
struct Leaf {
    /// Key of the first level; a multiple of [`LEVELS`].
    key: u64,
    /// The book's market.
    market: u32,
    /// Which levels hold orders; never none.
    occupied: u16,
    side: Side,
}

/// Where keys part that are the same in every digit above.
#[derive(Debug)]
struct Node {
    /// The smallest key that could lie below.
    key: u64,
    /// Which children there are; always two or more.
    occupied: u64,
    children: [Child; CHILDREN],
}

/// A subtree: nothing, a leaf, or a node and the digit by which its children differ: whoever walks on needs it before the node,
/// and waits for the child alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Child(u32);

const IS_NODE: u32 = 1 << 31;
/// Bits of a node's place; above them stands its digit, of which there are ten.
const PLACE_BITS: u32 = 27;

impl Child {
    const NONE: Self = Self(0);

    fn leaf(place: u32) -> Self {
        Self(place + 1)
    }

    fn node(place: u32, digit: Digit) -> Self {
        assert!(place < 1 << PLACE_BITS, "memory ends long before 2^27 nodes");
        Self(IS_NODE | digit.0 << PLACE_BITS | place)
    }
}

/// A subtree, looked at.
enum Kind {
    Leaf(u32),
    Node(u32, Digit),
}

impl Child {
    #[inline]
    fn kind(self) -> Kind {
        debug_assert!(self != Self::NONE);
        if self.0 < IS_NODE {
            return Kind::Leaf(self.0 - 1);
        }
        let digit = Digit((self.0 & !IS_NODE) >> PLACE_BITS);
        Kind::Node(self.0 & ((1 << PLACE_BITS) - 1), digit)
    }
}

/// A digit of keys, of six bits; the lowest one, 0, is that right above the levels of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digit(u32);

impl Digit {
    /// The highest one in which two keys of different leaves differ.
    fn parting(difference: u64) -> Self {
        let highest = u64::BITS - 1 - difference.leading_zeros();
        Self((highest - LEAF_BITS) / NODE_BITS)
    }

    fn shift(self) -> u32 {
        LEAF_BITS + self.0 * NODE_BITS
    }

    /// Its value in a key.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a digit has six bits")]
    fn of(self, key: u64) -> usize {
        key.wrapping_shr(self.shift()) as usize % CHILDREN
    }

    /// Bits of a key up to its own.
    fn span(self) -> u64 {
        u64::MAX >> (u64::BITS - NODE_BITS - self.shift())
    }
}

impl Node {
    fn put(&mut self, digit: usize, child: Child) {
        self.children[digit] = child;
        self.occupied |= 1 << digit;
    }
}

/// One side of a book.
#[derive(Debug)]
pub(crate) struct Ladder {
    root: Child,
    /// Key of the best level, and the level; any, while the root is none.
    best_key: u64,
    best: LevelId,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { root: Child::NONE, best_key: u64::MAX, best: LevelId::default() }
    }
}

impl Ladder {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.root == Child::NONE
    }

    #[inline]
    pub(crate) fn best_key(&self) -> u64 {
        self.best_key
    }

    #[inline]
    pub(crate) fn best(&self) -> LevelId {
        self.best
    }
}

/// Leaves and nodes of every ladder of a group.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    leaves: Pool<Leaf>,
    /// By leaf. Those of a vacant place are empty.
    levels: Vec<[Level; LEVELS]>,
    nodes: Pool<Node>,
}

impl Levels {
    #[inline]
    pub(crate) fn get(&self, id: LevelId) -> &Level {
        &self.levels[id.leaf() as usize][id.level()]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: LevelId) -> &mut Level {
        &mut self.levels[id.leaf() as usize][id.level()]
    }

    /// Fetches a level and its leaf, if there is one: an order that has left since has none.
    #[inline]
    pub(crate) fn fetch(&self, id: LevelId) {
        let Some(levels) = self.levels.get(id.leaf() as usize) else { return };
        let level = &levels[id.level()];
        fetch(&level.oldest);
        fetch(&level.orders);
        fetch(&self.leaves[id.leaf()]);
    }

    #[inline]
    pub(crate) fn side(&self, id: LevelId) -> Side {
        self.leaves[id.leaf()].side
    }

    #[inline]
    pub(crate) fn price(&self, id: LevelId) -> Ticks {
        let leaf = &self.leaves[id.leaf()];
        Ticks((leaf.key + id.level() as u64) ^ mask_of(leaf.side))
    }

    /// Market, side and price of a level.
    #[inline]
    pub(crate) fn stands_at(&self, id: LevelId) -> (u32, Side, Ticks) {
        let leaf = &self.leaves[id.leaf()];
        (leaf.market, leaf.side, Ticks((leaf.key + id.level() as u64) ^ mask_of(leaf.side)))
    }

    #[inline]
    pub(crate) fn market(&self, id: LevelId) -> u32 {
        self.leaves[id.leaf()].market
    }

    /// The level of a key, which an order is about to join; `O(depth)`.
    #[inline]
    pub(crate) fn level_for(&mut self, ladder: &mut Ladder, market: u32, side: Side, key: u64) -> LevelId {
        let place = match self.find_leaf(ladder, key) {
            Some(place) => place,
            None => self.insert_leaf(ladder, market, side, key),
        };
        let level = level_of(key);
        let id = LevelId::new(place, level);
        self.leaves[place].occupied |= 1 << level;
        let is_best = key <= ladder.best_key;
        ladder.best_key = if is_best { key } else { ladder.best_key };
        ladder.best = if is_best { id } else { ladder.best };
        id
    }

    /// An order between these two (0: it was an end) leaves a level; `O(1)` unless the level was the best or the last of its leaf, then
    /// `O(depth)`.
    #[inline]
    pub(crate) fn leave(&mut self, ladders: &mut [Ladder; 2], id: LevelId, older: u32, younger: u32, lots: u64) {
        let level = &mut self.levels[id.leaf() as usize][id.level()];
        level.leave(older, younger, lots);
        let leaf = &mut self.leaves[id.leaf()];
        // Without a branch: whether a level empties is a toss-up.
        leaf.occupied &= !(u16::from(level.orders == 0) << id.level());
        let ladder = &mut ladders[leaf.side as usize];
        if leaf.occupied == 0 || (ladder.best == id && leaf.occupied >> id.level() & 1 == 0) {
            let (key, is_empty) = (leaf.key, leaf.occupied == 0);
            if is_empty {
                self.remove_leaf(ladder, key);
            }
            self.find_best(ladder);
        }
    }

    /// The level that a key most likely has, without a look at its leaf: digits that the path leaves out are not compared.
    #[inline]
    pub(crate) fn guess(&self, ladder: &Ladder, key: u64) -> Option<LevelId> {
        let mut at = ladder.root;
        while at != Child::NONE {
            match at.kind() {
                Kind::Leaf(place) => return Some(LevelId::new(place, level_of(key))),
                Kind::Node(place, digit) => at = self.nodes[place].children[digit.of(key)],
            }
        }
        None
    }

    /// Fetches the second link on the way to a key; the first one, the root's, is read.
    #[inline]
    pub(crate) fn fetch_path(&self, ladder: &Ladder, key: u64) {
        if let Some(first) = self.link_below(ladder.root, key)
            && let Some(second) = self.link_below(*first, key)
        {
            fetch(second);
        }
    }

    /// Where a node links on towards a key, if this is one.
    #[inline]
    fn link_below(&self, at: Child, key: u64) -> Option<&Child> {
        if at == Child::NONE {
            return None;
        }
        match at.kind() {
            Kind::Leaf(_) => None,
            Kind::Node(place, digit) => Some(&self.nodes[place].children[digit.of(key)]),
        }
    }

    #[inline]
    fn find_leaf(&self, ladder: &Ladder, key: u64) -> Option<u32> {
        let mut at = ladder.root;
        if at == Child::NONE {
            return None;
        }
        loop {
            match at.kind() {
                // Digits that the path leaves out are compared here, all at once.
                Kind::Leaf(place) => {
                    return (self.leaves[place].key == key & !(LEVELS as u64 - 1)).then_some(place);
                }
                Kind::Node(place, digit) => {
                    at = self.nodes[place].children[digit.of(key)];
                    if at == Child::NONE {
                        return None;
                    }
                }
            }
        }
    }

    /// Points the ladder at its first level.
    #[cold]
    fn find_best(&self, ladder: &mut Ladder) {
        if ladder.is_empty() {
            *ladder = Ladder::default();
            return;
        }
        let place = self.first_leaf(ladder.root);
        let leaf = &self.leaves[place];
        let level = leaf.occupied.trailing_zeros();
        ladder.best_key = leaf.key + u64::from(level);
        ladder.best = LevelId::new(place, level);
    }

    fn first_leaf(&self, mut at: Child) -> u32 {
        loop {
            match at.kind() {
                Kind::Leaf(place) => return place,
                Kind::Node(place, _) => {
                    let node = &self.nodes[place];
                    at = node.children[node.occupied.trailing_zeros() as usize];
                }
            }
        }
    }

    /// The level of the smallest key that is at least `key`; `O(depth)`.
    fn next(&self, ladder: &Ladder, key: u64) -> Option<(u64, LevelId)> {
        let found = |place: u32, from: u32| {
            let leaf = &self.leaves[place];
            let level = (leaf.occupied >> from << from).trailing_zeros();
            (level < u16::BITS).then(|| (leaf.key + u64::from(level), LevelId::new(place, level)))
        };
        // Where the walk goes on if it finds nothing below the path that it takes.
        let mut later = Child::NONE;
        let mut at = ladder.root;
        while at != Child::NONE {
            let (first, span) = match at.kind() {
                Kind::Leaf(place) => (self.leaves[place].key, LEVELS as u64 - 1),
                Kind::Node(place, digit) => (self.nodes[place].key, digit.span()),
            };
            if key < first {
                return found(self.first_leaf(at), 0);
            }
            if key > first + span {
                break;
            }
            match at.kind() {
                Kind::Leaf(place) => {
                    let level = found(place, level_of(key));
                    if level.is_some() {
                        return level;
                    }
                    break;
                }
                Kind::Node(place, digit) => {
                    let node = &self.nodes[place];
                    let digit = digit.of(key);
                    let after = node.occupied & !1 << digit;
                    if after != 0 {
                        later = node.children[after.trailing_zeros() as usize];
                    }
                    at = node.children[digit];
                }
            }
        }
        if later == Child::NONE { None } else { found(self.first_leaf(later), 0) }
    }

    /// Levels of a ladder, best first.
    pub(crate) fn iter<'a>(&'a self, ladder: &'a Ladder) -> impl Iterator<Item = LevelId> + use<'a> {
        let mut from = Some(0);
        core::iter::from_fn(move || {
            let (key, id) = self.next(ladder, from?)?;
            from = key.checked_add(1);
            Some(id)
        })
    }

    #[cold]
    fn insert_leaf(&mut self, ladder: &mut Ladder, market: u32, side: Side, key: u64) -> u32 {
        let first = key & !(LEVELS as u64 - 1);
        let place = self.leaves.add(Leaf { key: first, market, occupied: 0, side });
        if self.levels.len() == place as usize {
            self.levels.push([Level::default(); LEVELS]);
        }
        let new = Child::leaf(place);
        // The node that links to `at`, and by which digit.
        let mut parent: Option<(u32, usize)> = None;
        let mut at = ladder.root;
        loop {
            if at == Child::NONE {
                self.link(ladder, parent, new);
                return place;
            }
            let (there, span) = match at.kind() {
                Kind::Leaf(place) => (self.leaves[place].key, LEVELS as u64 - 1),
                Kind::Node(place, digit) => (self.nodes[place].key, digit.span()),
            };
            let difference = (first ^ there) & !span;
            if difference != 0 {
                // They part above `at`: a node takes its place.
                let digit = Digit::parting(difference);
                let mut node = Node { key: first & !digit.span(), occupied: 0, children: [Child::NONE; CHILDREN] };
                node.put(digit.of(there), at);
                node.put(digit.of(first), new);
                let node = Child::node(self.nodes.add(node), digit);
                self.link(ladder, parent, node);
                return place;
            }
            let Kind::Node(node, digit) = at.kind() else { unreachable!("a leaf of the same key was looked for") };
            let digit = digit.of(first);
            parent = Some((node, digit));
            at = self.nodes[node].children[digit];
        }
    }

    #[cold]
    fn remove_leaf(&mut self, ladder: &mut Ladder, key: u64) {
        let (mut grandparent, mut parent) = (None, None);
        let mut at = ladder.root;
        let leaf = loop {
            match at.kind() {
                Kind::Leaf(place) => break place,
                Kind::Node(place, digit) => {
                    let digit = digit.of(key);
                    (grandparent, parent) = (parent, Some((place, digit)));
                    at = self.nodes[place].children[digit];
                }
            }
        };
        debug_assert_eq!(self.leaves[leaf].key, key);
        self.leaves.remove(leaf);
        let Some((place, digit)) = parent else {
            ladder.root = Child::NONE;
            return;
        };
        let node = &mut self.nodes[place];
        node.children[digit] = Child::NONE;
        node.occupied &= !(1 << digit);
        if node.occupied.is_power_of_two() {
            // Nothing parts here any more.
            let only = node.children[node.occupied.trailing_zeros() as usize];
            self.nodes.remove(place);
            self.link(ladder, grandparent, only);
        }
    }

    fn link(&mut self, ladder: &mut Ladder, parent: Option<(u32, usize)>, child: Child) {
        match parent {
            None => ladder.root = child,
            Some((node, digit)) => self.nodes[node].put(digit, child),
        }
    }

    /// Leaves and nodes in use.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.leaves.len(), self.nodes.len())
    }
}
