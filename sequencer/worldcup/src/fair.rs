//! The board: what the model thinks every open event is worth, kept up to date by a thread of its own while the replay
//! runs. Makers quote around it, takers disagree with it, the table on the screen shows the match states in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use xos_types::EventId;

use crate::facts::{EVENTS, GROUPS, MatchId, Score, Subject};
use crate::model::{self, Venue, model};
use crate::replay::{Snapshot, replay};
use crate::simulate::{Forecast, Known, State, first_goes_on, simulate};

/// Lives of the tournament behind one forecast.
const LIVES: u32 = 4000;
/// Between looks at the matches.
const STEP: Duration = Duration::from_millis(25);
/// A forecast is made anew after a goal or a final whistle, and at least this often.
const FORECAST_AGE_MAX: Duration = Duration::from_millis(700);
/// Television is a moment behind: most people see a goal so much later than those in the stadium.
const TELEVISION_DELAY: Duration = Duration::from_millis(300);
/// Matches ahead that already trade in earnest.
const UPCOMING: usize = 5;

/// Prices and match states at a moment.
#[derive(Clone, Debug)]
pub struct Board {
    /// The tournament.
    pub snapshot: Snapshot,
    /// Chances of every outcome, by event number less one; `None` while teams are unknown or once it is decided.
    fair: Vec<Option<Vec<f64>>>,
    /// Where the trading is, with a weight each.
    active: Vec<(Subject, f64)>,
    /// Counts goals, so that a change can be seen at once.
    pub goals: u32,
    /// The replay has ended.
    pub finished: bool,
}

impl Board {
    fn new(snapshot: Snapshot, forecast: &Forecast, finished: bool) -> Self {
        let mut fair = vec![None; EVENTS];
        let mut active = Vec::new();
        for subject in Subject::all().filter(|&subject| snapshot.winner(subject).is_none()) {
            fair[index(subject)] = chances(subject, &snapshot.known, forecast);
        }
        let upcoming = snapshot.upcoming(UPCOMING);
        let known_and_open = |subject: Subject| fair[index(subject)].is_some();
        for (matches, weight) in [(snapshot.live().collect::<Vec<_>>(), 6.), (upcoming, 2.)] {
            for id in matches {
                let decided = id.is_knockout().then_some(Subject::Decided(id));
                let subjects = [Some(Subject::After90(id)), decided].into_iter().flatten();
                active.extend(subjects.filter(|&s| known_and_open(s)).map(|subject| (subject, weight)));
            }
        }
        let long_term =
            [(Subject::Champion, 2.5)].into_iter().chain((0..GROUPS).map(|group| (Subject::GroupWinner(group), 0.4)));
        active.extend(long_term.filter(|&(subject, _)| known_and_open(subject)));
        let goals = snapshot.moments.iter().map(|moment| u32::from(moment.score.0) + u32::from(moment.score.1)).sum();
        Self { snapshot, fair, active, goals, finished }
    }

    /// Chances of an event's outcomes; `None` while nobody can know or once everybody does.
    #[must_use]
    pub fn fair(&self, subject: Subject) -> Option<&[f64]> {
        self.fair[index(subject)].as_deref()
    }

    /// The same by event number.
    #[must_use]
    pub fn fair_of(&self, event: EventId) -> Option<&[f64]> {
        Subject::of(event).and_then(|subject| self.fair(subject))
    }

    /// Where the trading is, with a weight each: matches that are played, then those to come, then the long term.
    #[must_use]
    pub fn active(&self) -> &[(Subject, f64)] {
        &self.active
    }
}

fn index(subject: Subject) -> usize {
    usize::try_from(subject.event().0).expect("event numbers are at most 149") - 1
}

fn chances(subject: Subject, known: &Known, forecast: &Forecast) -> Option<Vec<f64>> {
    let rates = |id: MatchId| {
        let teams = known.teams(id)?;
        Some((teams, Venue::of(&id.facts().country)))
    };
    match subject {
        Subject::Champion => Some(forecast.champion.to_vec()),
        Subject::GroupWinner(group) => Some(forecast.group_winner[group].to_vec()),
        Subject::After90(id) => {
            let (teams, venue) = rates(id)?;
            let (left, score) = match known.states[id.index()] {
                State::Ahead => (1., Score::default()),
                State::Regular { left, score } => (left, score),
                State::Extra { .. } | State::Over { .. } => return None,
            };
            Some(model::after_90(model().rates(teams, venue), left, score).to_vec())
        }
        Subject::Decided(id) => {
            let (teams, venue) = rates(id)?;
            let first = first_goes_on(model(), known.states[id.index()], teams, venue);
            Some(vec![first, 1. - first])
        }
    }
}

/// The tempo of the replay: when it began, and how fast it runs.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    begun: Instant,
    seconds: f64,
}

impl Tempo {
    /// Begins now and takes so many seconds.
    #[must_use]
    pub fn begin(seconds: f64) -> Self {
        Self { begun: Instant::now(), seconds }
    }

    /// The part that has been played, 0 to 1.
    #[must_use]
    pub fn played(&self) -> f64 {
        (self.begun.elapsed().as_secs_f64() / self.seconds).min(1.)
    }
}

/// The board as the stadium sees it, and as television shows it a moment later.
#[derive(Clone, Debug)]
pub struct Boards {
    /// Now.
    pub stadium: watch::Sender<Arc<Board>>,
    /// A moment ago.
    pub television: watch::Sender<Arc<Board>>,
}

impl Boards {
    /// The eve of the tournament. They stand still until [`Pricer::start`].
    #[must_use]
    pub fn eve(seed: u64) -> Self {
        let snapshot = replay().known(replay().calendar(0.));
        let forecast = simulate(model(), &snapshot.known, LIVES, seed);
        let board = Arc::new(Board::new(snapshot, &forecast, false));
        Self { stadium: watch::Sender::new(Arc::clone(&board)), television: watch::Sender::new(board) }
    }
}

/// The thread that keeps the boards up to date; stops when dropped.
#[derive(Debug)]
pub struct Pricer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pricer {
    /// Plays the tournament at a tempo.
    #[must_use]
    pub fn start(boards: Boards, tempo: Tempo, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut on_air: VecDeque<(Instant, Arc<Board>)> = VecDeque::new();
            let mut forecast: Option<(Forecast, Instant, Occasion)> = None;
            while !stopped.load(Ordering::Relaxed) {
                let played = tempo.played();
                let snapshot = replay().known(replay().calendar(replay().length() * played));
                let occasion = Occasion::of(&snapshot);
                let current = match forecast.take() {
                    Some(kept) if kept.2 == occasion && kept.1.elapsed() < FORECAST_AGE_MAX => kept,
                    _ => (simulate(model(), &snapshot.known, LIVES, seed), Instant::now(), occasion),
                };
                let finished = played >= 1.;
                let board = Arc::new(Board::new(snapshot, &current.0, finished));
                boards.stadium.send_replace(Arc::clone(&board));
                if finished {
                    boards.television.send_replace(board);
                    break;
                }
                on_air.push_back((Instant::now(), board));
                while let Some((_, shown)) = on_air.pop_front_if(|(at, _)| at.elapsed() >= TELEVISION_DELAY) {
                    boards.television.send_replace(shown);
                }
                forecast = Some(current);
                std::thread::sleep(STEP);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Pricer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there leaves the board as it was; whoever waits for the end of the replay times out and says so.
            let _ = thread.join();
        }
    }
}

/// What makes an old forecast worthless: goals, and matches that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Occasion {
    goals: u32,
    over: usize,
}

impl Occasion {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            goals: snapshot.moments.iter().map(|moment| u32::from(moment.score.0) + u32::from(moment.score.1)).sum(),
            over: snapshot.known.states.iter().filter(|state| matches!(state, State::Over { .. })).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board_at(played: f64) -> Board {
        let snapshot = replay().known(replay().calendar(replay().length() * played));
        let forecast = simulate(model(), &snapshot.known, 200, 7);
        Board::new(snapshot, &forecast, played >= 1.)
    }

    #[test]
    fn every_price_is_a_set_of_chances_and_decided_events_have_none() {
        for step in 0..=50 {
            let board = board_at(f64::from(step) / 50.);
            for subject in Subject::all() {
                let Some(fair) = board.fair(subject) else { continue };
                assert!(board.snapshot.winner(subject).is_none(), "{subject:?} is decided");
                assert_eq!(fair.len(), subject.outcomes());
                assert!((fair.iter().sum::<f64>() - 1.).abs() < 1e-6, "{subject:?}: {fair:?}");
            }
            assert!(board.active().iter().all(|&(subject, _)| board.fair(subject).is_some()));
            assert_eq!(board.active().is_empty(), step == 50, "step {step}");
        }
    }

    #[test]
    fn knockout_matches_trade_once_their_teams_are_known() {
        assert!(board_at(0.).fair(Subject::After90(MatchId(1))).is_some());
        assert!(board_at(0.).fair(Subject::After90(MatchId(73))).is_none());
        assert!(board_at(0.97).fair(Subject::Decided(MatchId(104))).is_some());
    }
}
