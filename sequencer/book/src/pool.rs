//! Records of one kind that come and go, named by number.

use core::ops::{Index, IndexMut};

/// A vector with a list of its vacant places. Places are reused, last vacated first; giving one back never allocates.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    places: Vec<T>,
    vacant: Vec<u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { places: Vec::new(), vacant: Vec::new() }
    }
}

impl<T> Pool<T> {
    pub(crate) fn add(&mut self, record: T) -> u32 {
        if let Some(place) = self.vacant.pop() {
            self.places[place as usize] = record;
            return place;
        }
        let place = u32::try_from(self.places.len()).expect("memory ends long before 2^32 records");
        self.places.push(record);
        // Room for every place to be vacant.
        self.vacant.reserve(self.places.capacity());
        place
    }

    pub(crate) fn remove(&mut self, place: u32) {
        self.vacant.push(place);
    }

    /// Places in use.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }
}

impl<T> Index<u32> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: u32) -> &T {
        &self.places[place as usize]
    }
}

impl<T> IndexMut<u32> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.places[place as usize]
    }
}
