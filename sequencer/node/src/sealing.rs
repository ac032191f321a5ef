//! How full a frame may be: the gas target, corrected by what batches have really cost.
//!
//! The engine prices every line from above, so what a batch uses is below its estimate. Should that ever be wrong (a chain that
//! changes its prices, an upgrade of the contracts, a bug), receipts show it, and frames are sealed sooner from the next one on.
//! Never later: lines that cost less than they might are no promise about the next ones, and whoever chooses them could fill
//! a frame that outgrows a transaction. Where a frame was sealed stands in the log, so nobody who replays it needs to know why.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Gas that one transaction may use (EIP-7825), and what one command may bring by the engine's estimate.
const TRANSACTION_MAX: u64 = 1 << 24;
const COMMAND_MAX: u64 = 3_700_000;
/// Parts that a correction is counted in.
const WHOLE: u64 = 1_000;
/// No correction goes further: an engine that is so wrong must not trade for long, and its operator is told.
const MOST: u64 = 1_500;
/// What is added to what was measured, for the next frame may be a little dearer still.
const MARGIN: u64 = 20;
/// Estimates below that say little: what every batch costs is most of them.
const TELLING: u64 = 1_000_000;
/// So many batches in a row must be cheaper by more than the margin before the correction shrinks, and then to what they showed: a
/// mix of orders that comes and goes shall not make the target swing.
const CALM: u32 = 256;
/// Frames whose estimates are remembered until they are settled.
const REMEMBERED: usize = 8_192;

/// What is known of estimates and truth.
#[derive(Debug)]
pub(crate) struct Sealing(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Of frames that are sealed and not settled, in order.
    estimates: VecDeque<(u64, u64)>,
    /// By how much estimates are multiplied, in parts of [`WHOLE`].
    correction: u64,
    /// Batches in a row that were cheaper than the correction says, and the dearest of them.
    calm: u32,
    dearest: u64,
}

impl Default for Sealing {
    fn default() -> Self {
        Self(Mutex::new(State { estimates: VecDeque::new(), correction: WHOLE, calm: 0, dearest: WHOLE }))
    }
}

impl Sealing {
    /// A frame is sealed, with that estimate.
    pub(crate) fn sealed(&self, frame: u64, estimate: u64) {
        let mut state = self.state();
        if state.estimates.len() == REMEMBERED {
            state.estimates.pop_front();
        }
        state.estimates.push_back((frame, estimate));
    }

    /// Its batch is settled, and used so much gas.
    pub(crate) fn settled(&self, frame: u64, used: u64) {
        let mut state = self.state();
        while state.estimates.front().is_some_and(|(before, _)| *before < frame) {
            state.estimates.pop_front();
        }
        // One that a reorganisation settles again has told what it cost.
        let Some((_, estimate)) = state.estimates.pop_front_if(|(known, _)| *known == frame) else { return };
        if estimate >= TELLING {
            state.learn(frame, estimate, used);
        }
    }

    /// The estimate at which a frame is full, where `target` is what it may really use.
    pub(crate) fn full_at(&self, target: u64) -> u64 {
        let correction = self.correction();
        // The last command may go beyond it, and is estimated as wrongly as the rest.
        let room = (TRANSACTION_MAX * WHOLE / correction).saturating_sub(COMMAND_MAX);
        (target.saturating_mul(WHOLE) / correction).min(if correction == WHOLE { u64::MAX } else { room })
    }

    /// In parts of a thousand; a thousand where estimates hold.
    pub(crate) fn correction(&self) -> u64 {
        self.state().correction
    }

    /// The same as a number to multiply with.
    pub(crate) fn factor(&self) -> f64 {
        f64::from(u32::try_from(self.correction()).unwrap_or(u32::MAX)) / 1_000.0
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Whoever panicked with it left numbers that are right one by one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn learn(&mut self, frame: u64, estimate: u64, used: u64) {
        let measured = used.saturating_mul(WHOLE).div_ceil(estimate);
        let wanted = if measured > WHOLE { (measured + MARGIN).min(MOST) } else { WHOLE };
        if measured > self.correction {
            tracing::error!(
                batch = frame,
                estimate,
                used,
                correction = wanted,
                "a batch used more gas than the engine estimated: frames are sealed sooner from now on"
            );
            (self.correction, self.calm, self.dearest) = (wanted.max(self.correction), 0, WHOLE);
            return;
        }
        if wanted + MARGIN >= self.correction {
            (self.calm, self.dearest) = (0, WHOLE);
            return;
        }
        self.calm += 1;
        self.dearest = self.dearest.max(wanted);
        if self.calm >= CALM {
            tracing::info!(from = self.correction, to = self.dearest, "batches cost less again: frames may be fuller");
            (self.correction, self.calm, self.dearest) = (self.dearest, 0, WHOLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: u64 = 12_000_000;

    /// Frames that are as full as they may be, and truly cost so many parts of a thousand of their estimates; what the last used.
    fn live(sealing: &Sealing, from: u64, costs: impl IntoIterator<Item = u64>) -> u64 {
        let mut used = 0;
        for (frame, cost) in (from..).zip(costs) {
            let estimate = sealing.full_at(TARGET);
            used = estimate * cost / WHOLE;
            sealing.sealed(frame, estimate);
            sealing.settled(frame, used);
        }
        used
    }

    #[test]
    fn a_wrong_estimate_is_corrected_with_the_next_frame() {
        let sealing = Sealing::default();
        // A quarter too low: one frame is beyond the target, and far below what a transaction may use.
        assert_eq!(live(&sealing, 1, [1_250]), 15_000_000);
        assert_eq!(sealing.correction(), 1_270);
        let used = live(&sealing, 2, [1_250]);
        assert!(used <= TARGET && used > TARGET / 10 * 7, "{used}");
        // The frame's last command is estimated as wrongly.
        assert!((sealing.full_at(TARGET) + COMMAND_MAX) * 1_270 / WHOLE <= TRANSACTION_MAX);
    }

    #[test]
    fn cheap_frames_never_make_room_for_dear_ones() {
        let sealing = Sealing::default();
        live(&sealing, 1, std::iter::repeat_n(500, 2_000));
        assert_eq!((sealing.correction(), sealing.full_at(TARGET)), (WHOLE, TARGET));
        // Nor do small ones say anything, whatever they cost.
        sealing.sealed(5_000, TELLING - 1);
        sealing.settled(5_000, 3 * TELLING);
        assert_eq!(sealing.correction(), WHOLE);
    }

    #[test]
    fn a_correction_shrinks_only_after_a_long_calm_and_starts_anew_when_it_is_broken() {
        let sealing = Sealing::default();
        live(&sealing, 1, [1_300]);
        live(&sealing, 2, std::iter::repeat_n(1_100, CALM as usize - 1));
        assert_eq!(sealing.correction(), 1_320);
        live(&sealing, 1_000, [1_300]);
        live(&sealing, 1_001, std::iter::repeat_n(1_100, CALM as usize - 1));
        assert_eq!(sealing.correction(), 1_320);
        live(&sealing, 2_000, [1_050]);
        assert_eq!(sealing.correction(), 1_120, "what the dearest of them needed");
        // A mix that comes and goes within the margin changes nothing.
        live(&sealing, 3_000, [1_110, 1_090].into_iter().cycle().take(3_000));
        assert_eq!(sealing.correction(), 1_120);
        live(&sealing, 9_000, std::iter::repeat_n(900, CALM as usize));
        assert_eq!(sealing.correction(), WHOLE);
    }

    #[test]
    fn batches_that_settle_again_or_were_sealed_in_another_life_teach_nothing() {
        let sealing = Sealing::default();
        sealing.settled(1, TARGET * 2);
        sealing.sealed(2, TARGET);
        sealing.settled(2, TARGET);
        sealing.settled(2, TARGET * 2);
        assert_eq!(sealing.correction(), WHOLE);
    }

    /// However wrong estimates become, within the most that is corrected: only a frame that is dearer than those before it goes
    /// beyond the target, and none goes beyond a transaction.
    #[test]
    fn no_frame_goes_beyond_the_target_twice() {
        for life in 0_u32..200 {
            let mut costs = blake3::Hasher::new().update(&life.to_le_bytes()).finalize_xof();
            let sealing = Sealing::default();
            let mut lately: VecDeque<u64> = VecDeque::new();
            let mut bytes = [0; 2];
            for frame in 1..600 {
                costs.fill(&mut bytes);
                // Most lives are never so wrong; some are in some of their frames.
                let cost = 300 + u64::from(u16::from_le_bytes(bytes)) % (500 + u64::from(life) * 3).min(1_090);
                let used = live(&sealing, frame, [cost]);
                let known = lately.iter().any(|before| *before >= cost);
                assert!(used <= TARGET || !known, "life {life}, frame {frame}: {used} gas at {cost}");
                assert!(used <= TRANSACTION_MAX);
                lately.push_back(cost);
                if lately.len() >= CALM as usize {
                    lately.pop_front();
                }
            }
        }
    }
}
