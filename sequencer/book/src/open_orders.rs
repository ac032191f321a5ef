//! One account's resting orders, by nonce.

use core::ops::{Deref, DerefMut};
use std::collections::BTreeMap;

use xos_types::Nonce;

use crate::fetch::fetch;
use crate::orders::{Handle, Orders};

/// How many places from its home on a handle may lie: little more than a cache line of them.
const PROBES: usize = 16;
/// Places of the smallest table, which needs no memory of its own.
const FEW: usize = 4;

/// The handles of one account's resting orders, found by nonce: open addressing with the nonce as its own hash, because most
/// owners count, and then every order lies at its home. An account has its table to itself, so nobody's nonces slow
/// another's down, and no growth copies more than one account's orders.
///
/// Counted nonces that are cancelled and replaced leave gaps, and then some orders lie behind their homes. So each place holds a
/// [`tag`] beside the handle: among a million orders a look at one that has another nonce is a wait for memory.
///
/// Handles that find no place near home, because an owner chose nonces that collide, go to an ordered map: `O(log n)` then,
/// `O(1)` otherwise. A table of `n` counted nonces has less than `2n` places of 5 bytes, and one of chosen nonces less
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

/// Room for a handle and its nonce's tag, in bytes: in words they would take three more.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// 0 if it is free.
    handle: [u8; 4],
    tag: u8,
}

impl Place {
    #[inline]
    fn new(handle: Handle, nonce: Nonce) -> Self {
        Self { handle: handle.0.get().to_le_bytes(), tag: tag(nonce) }
    }

    #[inline]
    fn handle(self) -> Option<Handle> {
        Handle::new(u32::from_le_bytes(self.handle))
    }
}

/// A byte in which nonces of the same home differ, but for one in 256.
#[inline]
fn tag(nonce: Nonce) -> u8 {
    // The highest bits of a product with 2^64 over the golden ratio depend on all of the nonce's.
    nonce.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
}

/// A table's places, a power of two of them.
#[derive(Debug)]
enum Places {
    /// Most accounts have few orders, and spare the way to a table elsewhere.
    Few([Place; FEW]),
    Many(Box<[Place]>),
}

impl Default for Places {
    fn default() -> Self {
        Self::Few([Place::default(); FEW])
    }
}

impl Deref for Places {
    type Target = [Place];

    #[inline]
    fn deref(&self) -> &[Place] {
        match self {
            Self::Few(places) => places,
            Self::Many(places) => places,
        }
    }
}

impl DerefMut for Places {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Place] {
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
        let found = self.place(orders, nonce).map(|(_, handle)| handle);
        match &self.crowded {
            Some(crowded) if found.is_none() => crowded.get(&nonce).copied(),
            _ => found,
        }
    }

    /// Where in the table the order of that nonce is, and the order; `None` also if it is crowded out of it.
    #[inline]
    #[must_use]
    pub fn place<H: Copy + Default, C: Copy>(&self, orders: &Orders<H, C>, nonce: Nonce) -> Option<(usize, Handle)> {
        self.candidates(nonce).find(|(_, handle)| orders.get(*handle).nonce == nonce.0)
    }

    /// Fetches the part of the table in which an order of that nonce lies or would lie.
    #[inline]
    pub fn fetch(&self, nonce: Nonce) {
        self.probe(nonce).take(1).for_each(|place| fetch(&self.places[place]));
    }

    /// The order that most likely has that nonce, without a look at it.
    #[inline]
    #[must_use]
    pub fn guess(&self, nonce: Nonce) -> Option<Handle> {
        self.candidates(nonce).map(|(_, handle)| handle).next()
    }

    /// Adds an order of a nonce that is not here yet.
    #[inline]
    pub fn insert<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce, handle: Handle) {
        debug_assert_eq!(self.find(orders, nonce), None);
        self.len += 1;
        self.put(orders, nonce, handle);
    }

    /// Takes an order out, before it leaves its book, and returns it.
    #[inline]
    pub fn remove<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce) -> Option<Handle> {
        let found = match self.place(orders, nonce) {
            Some((place, handle)) => {
                self.places[place] = Place::default();
                Some(handle)
            }
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
        let left = core::mem::take(&mut self.places[place]);
        assert!(left.handle() == Some(handle), "nothing has changed since it was found");
        self.put(orders, new, handle);
    }

    /// All of them, in no order that means anything: sort what must not depend on how the table grew.
    pub fn iter(&self) -> impl Iterator<Item = Handle> {
        let crowded = self.crowded.iter().flat_map(|crowded| crowded.values().copied());
        self.places.iter().filter_map(|place| place.handle()).chain(crowded)
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

    /// Places with the tag of a nonce, and the orders there, nearest first.
    #[inline]
    fn candidates(&self, nonce: Nonce) -> impl Iterator<Item = (usize, Handle)> {
        let (places, tag) = (&*self.places, tag(nonce));
        let tagged = self.probe(nonce).filter(move |at| places[*at].tag == tag);
        tagged.filter_map(|at| places[at].handle().map(|handle| (at, handle)))
    }

    /// Puts a handle where it belongs.
    #[inline]
    fn put<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce, handle: Handle) {
        if !self.put_near(nonce, handle) {
            self.put_crowded(orders, nonce, handle);
        }
    }

    /// Puts a handle in the first free place from home on; whether there was one.
    #[inline]
    fn put_near(&mut self, nonce: Nonce, handle: Handle) -> bool {
        let free = self.probe(nonce).find(|place| self.places[*place].handle().is_none());
        free.is_some_and(|place| {
            self.places[place] = Place::new(handle, nonce);
            true
        })
    }

    #[cold]
    fn put_crowded<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>, nonce: Nonce, handle: Handle) {
        // In a table this empty it is the nonces that crowd, and a larger one would not help.
        while self.len() * 4 > self.places.len() {
            self.grow(orders);
            if self.put_near(nonce, handle) {
                return;
            }
        }
        self.crowded.get_or_insert_default().insert(nonce, handle);
    }

    /// Twice the places, and everything in its new one.
    fn grow<H: Copy + Default, C: Copy>(&mut self, orders: &Orders<H, C>) {
        let places = Places::Many(vec![Place::default(); self.places.len() * 2].into());
        let before = core::mem::replace(&mut self.places, places);
        let crowded = self.crowded.take().map(|crowded| *crowded).unwrap_or_default();
        for handle in before.iter().filter_map(|place| place.handle()).chain(crowded.values().copied()) {
            let nonce = orders.get(handle).nonce();
            if !self.put_near(nonce, handle) {
                self.crowded.get_or_insert_default().insert(nonce, handle);
            }
        }
    }
}
