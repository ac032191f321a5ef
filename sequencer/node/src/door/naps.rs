//! A thread that is woken for every single message costs more by being woken than by what it does: each time it takes the
//! processor from somebody who works, reads a message, and hands on a signature that would have been cheaper together with the next.
//! So a thread of the node that is woken very often naps before it waits. When little comes it does not, and nobody waits for it.

use std::cell::Cell;
use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// What a nap takes: a tenth of the millisecond in which an order should be answered.
const NAP: Duration = Duration::from_micros(100);
/// A thread that has nothing to do again after so little time, nap included, is woken often.
const OFTEN: Duration = Duration::from_micros(500);
/// As many times in a row, before it naps.
const TIMES: u32 = 8;

thread_local! {
    static IDLED: Cell<Option<Idled>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Idled {
    last: Instant,
    /// How many times in a row it was often.
    times: u32,
}

/// The runtime of a node's tasks, whose threads nap.
///
/// # Errors
/// If the system has no thread or no file descriptor left for it.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().on_thread_start(naps_exactly).on_thread_park(idle).build()
}

/// A nap of this thread ends when it should, and not 50 µs later.
fn naps_exactly() {
    // If not, it naps a little longer.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// This thread has nothing to do.
fn idle() {
    let now = Instant::now();
    let times = times(IDLED.get(), now);
    IDLED.set(Some(Idled { last: now, times }));
    if times >= TIMES {
        std::thread::sleep(NAP);
    }
}

fn times(before: Option<Idled>, now: Instant) -> u32 {
    before.filter(|idled| now.duration_since(idled.last) < OFTEN).map_or(0, |idled| TIMES.min(idled.times + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_woken_often_naps() {
        let begun = Instant::now();
        let naps = |gap: Duration| {
            let mut idled = None;
            (1..=20).find(|number| {
                let last = begun + gap * *number;
                let times = times(idled, last);
                idled = Some(Idled { last, times });
                times >= TIMES
            })
        };
        assert_eq!(naps(OFTEN / 2), Some(TIMES + 1));
        assert_eq!(naps(OFTEN), None);
        let long_ago = Idled { last: begun, times: TIMES };
        assert_eq!(times(Some(long_ago), begun + OFTEN), 0, "a pause wakes it up");
    }
}
