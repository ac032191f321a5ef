//! A thread that hashes the log's blocks, so that the one that changes state does not wait for it.
//!
//! A block lies in a queue for 50 µs while many come, and up to a millisecond after a while in which others hashed what came.
//! Nobody is woken for it, which would cost the sender as much as the hash; only while nothing comes does the thread sleep until it
//! is called. Whoever asks for the hash does what is left in the queue
//! itself, and waits for the one block at most that the thread is about: on its feet, because to sleep until it is called would
//! take longer than the block.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use xos_engine::{HashBlocks, hash_block};
use xos_types::Hash;

/// How long the thread lets blocks gather. Each nap in which none came doubles the next one.
const NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(1);
/// How many naps without a block make it sleep.
const NAPS: u32 = 20;
/// How often somebody looks for the thread to end its block before sleeping: some ten microseconds, a few blocks.
const LOOKS: u32 = 1_000;

/// See the module's head. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct HashThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The hash after the last block that left the queue. Whoever takes a block holds this first, so blocks are hashed in
    /// their order.
    last: Mutex<Hash>,
    sleeps: AtomicBool,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    blocks: VecDeque<Vec<u8>>,
    /// Buffers of blocks that are hashed.
    spare: Vec<Vec<u8>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds a lock")
}

impl Shared {
    /// Hashes the first block of the queue behind `last`; whether there was one.
    fn step(&self, last: &mut Hash) -> bool {
        let Some(mut block) = locked(&self.queue).blocks.pop_front() else { return false };
        *last = hash_block(last, &mut block);
        locked(&self.queue).spare.push(block);
        true
    }

    /// The hash, as soon as the block is done that somebody is about.
    fn hold(&self) -> MutexGuard<'_, Hash> {
        for _ in 0..LOOKS {
            match self.last.try_lock() {
                Ok(last) => return last,
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
                Err(TryLockError::Poisoned(_)) => break,
            }
        }
        locked(&self.last)
    }

    fn run(&self) {
        let mut naps = 0;
        while !self.stop.load(Ordering::Acquire) {
            naps += 1;
            // Block by block, so that nobody waits for more than one.
            while self.step(&mut locked(&self.last)) {
                naps = 0;
            }
            if naps < NAPS {
                std::thread::sleep(LONGEST_NAP.min(NAP * (1 << naps.min(5))));
                continue;
            }
            self.sleeps.store(true, Ordering::SeqCst);
            // What came before the sender could see that.
            if locked(&self.queue).blocks.is_empty() && !self.stop.load(Ordering::Acquire) {
                std::thread::park();
            }
            self.sleeps.store(false, Ordering::SeqCst);
            naps = 0;
        }
    }
}

impl HashThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("hash".into()).spawn(move || its.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl HashBlocks for HashThread {
    fn begin(&mut self, last: Hash) {
        *locked(&self.shared.last) = last;
    }

    fn take(&mut self, block: Vec<u8>) -> Vec<u8> {
        let spare = {
            let mut queue = locked(&self.shared.queue);
            queue.blocks.push_back(block);
            queue.spare.pop().unwrap_or_default()
        };
        if self.shared.sleeps.load(Ordering::SeqCst) {
            self.wake();
        }
        spare
    }

    fn last(&self) -> Hash {
        let mut last = self.shared.hold();
        while self.shared.step(&mut last) {}
        *last
    }
}

impl Drop for HashThread {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It panics only if a lock was poisoned, and then somebody has said so already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_blocks_in_their_order_whoever_reckons_it() {
        let mut thread = HashThread::start().expect("a thread");
        let mut expected = [3; 32];
        thread.begin(expected);
        for round in 0u8..40 {
            for byte in 0..round {
                let mut block = vec![byte; 20_000];
                expected = hash_block(&expected, &mut block);
                thread.take(vec![byte; 20_000]);
            }
            // Ask while it works, when it has done everything, and when it has fallen asleep.
            match round {
                38 => std::thread::sleep(LONGEST_NAP * NAPS * 3),
                odd if odd % 2 == 1 => std::thread::sleep(NAP * 4),
                _ => {}
            }
            assert_eq!(thread.last(), expected);
        }
    }
}
