//! One account's resting orders, by nonce.

use core::ops::{Deref, DerefMut};
use std::collections::BTreeMap;

use xos_types::Nonce;

use crate::fetch::fetch;
use crate::orders::{Handle, Orders};

/// How many places from its home on a handle may lie: a cache line of them.
const PROBES: usize = 16;
/// Places of the smallest table, which needs no memory of its own.
const FEW: usize = 4;

/// The handles of one account's resting orders, found by nonce: open addressing with the nonce as its own hash, because most
/// owners count, and then every order lies at its home. An account has its table to itself, so nobody's nonces slow
/// another's down, and no growth copies more than one account's orders.
///
/// Handles that find no place near home, because an owner chose nonces that collide, go to an ordered map: `O(log n)` then,
/// `O(1)` otherwise. A table of `n` counted nonces has less than `2n` places of 4 bytes, and one of chosen nonces less
/// than `8n`. It never shrinks.
#[derive(Debug, Default)]
pub struct OpenOrders {
    places: Places,
    #[allow(
        clippy::box_collection,
        reason = "hardly any account has one, and accounts are many: a word instead of three"
    )]
    crowded: Option<Box<BTreeMap<Nonce, Handle>>>,
    len: u32,
}

/// A table's places, a power of two of them.
#[derive(Debug)]
enum Places {
    /// Most accounts have few orders, and spare the way to a table elsewhere.
    Few([Option<Handle>; FEW]),
    Many(Box<[Option<Handle>]>),
}

impl Default for Places {
    fn default() -> Self {
        Self::Few([None; FEW])
    }
}

impl Deref for Places {
    type Target = [Option<Handle>];

    #[inline]
    fn deref(&self) -> &[Option<Handle>] {
        match self {
            Self::Few(places) => places,
            Self::Many(places) => places,
        }
    }
}

impl DerefMut for Places {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Option<Handle>] {
        match self {
            Self::Few(places) => places,
            Self::Many(places) => places,
        }
    }
}

impl OpenOrders {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The order of that nonce.
    #[inline]
    #[must_use]
    pub fn find<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>, nonce: Nonce) -> Option<Handle> {
        let found = self.place_of(orders, nonce).and_then(|place| self.places[place]);
        match &self.crowded {
            Some(crowded) if found.is_none() => crowded.get(&nonce).copied(),
            _ => found,
        }
    }

    /// Where in the table the order of that nonce is, and the order; `None` also if it is crowded out of it.
    #[inline(always)]
    #[must_use]
    pub fn place<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>, nonce: Nonce) -> Option<(usize, Handle)> {
        let place = self.place_of(orders, nonce)?;
        self.places[place].map(|handle| (place, handle))
    }

    /// Fetches the part of the table in which an order of that nonce lies or would lie.
    #[inline]
    pub fn fetch(&self, nonce: Nonce) {
        self.probe(nonce).take(1).for_each(|place| fetch(&self.places[place]));
    }

    /// Those orders that most likely have that nonce, without a look at them: what lies at its home and right behind.
    #[inline]
    #[must_use]
    pub fn guess(&self, nonce: Nonce) -> [Option<Handle>; 2] {
        let (places, mut probe) = (&*self.places, self.probe(nonce));
        [probe.next(), probe.next()].map(|place| places[place.unwrap_or_default()])
    }

    /// Adds an order of a nonce that is not here yet.
    #[inline]
    pub fn insert<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce, handle: Handle) {
        debug_assert_eq!(self.find(orders, nonce), None);
        self.len += 1;
        match self.free_place(nonce) {
            Some(place) => self.places[place] = Some(handle),
            None => self.insert_crowded(orders, nonce, handle),
        }
    }

    /// Takes an order out, before it leaves its book, and returns it.
    #[inline]
    pub fn remove<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce) -> Option<Handle> {
        let found = match self.place_of(orders, nonce) {
            Some(place) => self.places[place].take(),
            None => self.crowded.as_mut().and_then(|crowded| crowded.remove(&nonce)),
        };
        self.len -= u32::from(found.is_some());
        found
    }

    /// The order at a [place](Self::place) gets another nonce, which is not here yet; its record gets it by itself.
    ///
    /// # Panics
    /// If another order or none is there.
    #[inline(always)]
    pub fn rename<H: Copy + Default, C: Copy>(
        &mut self,
        orders: &Orders<H, C>,
        (place, handle): (usize, Handle),
        new: Nonce,
    ) {
        assert!(self.places[place].take() == Some(handle), "nothing has changed since it was found");
        match self.free_place(new) {
            Some(place) => self.places[place] = Some(handle),
            None => self.insert_crowded(orders, new, handle),
        }
    }

    /// All of them, in no order that means anything: sort what must not depend on how the table grew.
    pub fn iter(&self) -> impl Iterator<Item = Handle> {
        self.places.iter().flatten().chain(self.crowded.iter().flat_map(|crowded| crowded.values())).copied()
    }

    /// All of them by nonce, from the lowest; `O(n log n)`, and it allocates.
    #[must_use]
    pub fn by_nonce<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>) -> Vec<(Nonce, Handle)> {
        let mut sorted: Vec<_> = self.iter().map(|handle| (orders.get(handle).nonce(), handle)).collect();
        sorted.sort_unstable_by_key(|(nonce, _)| *nonce);
        sorted
    }

    /// Places where an order of that nonce may lie, nearest first.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked below the number of places")]
    fn probe(&self, nonce: Nonce) -> impl Iterator<Item = usize> + use<> {
        let count = self.places.len();
        let mask = count - 1;
        let home = nonce.0 as usize & mask;
        (0..PROBES.min(count)).map(move |step| (home + step) & mask)
    }

    #[inline]
    fn place_of<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>, nonce: Nonce) -> Option<usize> {
        let is_it = |handle: Handle| orders.get(handle).nonce == nonce.0;
        self.probe(nonce).find(|place| self.places[*place].is_some_and(is_it))
    }

    #[inline]
    fn free_place(&self, nonce: Nonce) -> Option<usize> {
        self.probe(nonce).find(|place| self.places[*place].is_none())
    }

    #[cold]
    fn insert_crowded<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce, handle: Handle) {
        // In a table this empty it is the nonces that crowd, and a larger one would not help.
        while self.len() * 4 > self.places.len() {
            self.grow(orders);
            if let Some(place) = self.free_place(nonce) {
                self.places[place] = Some(handle);
                return;
            }
        }
        self.crowded.get_or_insert_default().insert(nonce, handle);
    }

    /// Twice the places, and everything in its new one.
    fn grow<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>) {
        let places = Places::Many(vec![None; self.places.len() * 2].into());
        let before = core::mem::replace(&mut self.places, places);
        let crowded = self.crowded.take().map(|crowded| *crowded).unwrap_or_default();
        for handle in before.iter().flatten().chain(crowded.values()).copied() {
            let nonce = orders.get(handle).nonce();
            match self.free_place(nonce) {
                Some(place) => self.places[place] = Some(handle),
                None => {
                    self.crowded.get_or_insert_default().insert(nonce, handle);
                }
            }
        }
    }
}
