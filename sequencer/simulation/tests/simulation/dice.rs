//! All chance of a life comes from its seed. Whoever draws has dice of his own, so that one more draw of one changes nothing
//! for the others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Clones share their throws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Arc<Mutex<ChaCha8Rng>>);

impl Dice {
    pub(crate) fn new(seed: u64, whose: &str) -> Self {
        let key = blake3::Hasher::new().update(&seed.to_le_bytes()).update(whose.as_bytes()).finalize();
        Self(Arc::new(Mutex::new(ChaCha8Rng::from_seed(*key.as_bytes()))))
    }

    /// Both ends included.
    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        self.0.lock().unwrap().random_range(least..=most)
    }

    pub(crate) fn index(&self, count: usize) -> usize {
        self.0.lock().unwrap().random_range(0..count)
    }

    /// True so often in a thousand times.
    pub(crate) fn chance(&self, permille: u64) -> bool {
        self.between(0, 999) < permille
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    pub(crate) fn ms(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }
}
