//! Where a match stands at a moment of its course: minutes since kickoff in, phase, score and minute out. It looks at no
//! goal that lies ahead; how much time will be added to a half is guessed, not known.

use crate::facts::{End, Goal, Match, Minute, Score};
use crate::simulate::State;

const HALF: f64 = 45.;
const HALF_TIME: f64 = 15.;
const EXTRA_HALF: f64 = 15.;
const BREAK_BEFORE_EXTRA: f64 = 5.;
const BREAK_IN_EXTRA: f64 = 2.;
const SHOOTOUT: f64 = 15.;
/// Minutes usually added to a half; more if a goal was scored later than that.
const ADDED: [f64; 4] = [2., 5., 1., 2.];
/// Share of a match's goals that fall in its first half.
const FIRST_HALF_GOALS: f64 = 0.46;
/// A half never seems over before the whistle.
const LEFT_AT_LEAST: f64 = 0.5;

/// What spectators see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    Ahead,
    /// One of the halves, extra time's being the third and fourth.
    Half(u8),
    /// Between halves.
    Break,
    /// Penalties.
    Shootout,
    /// Over.
    Over,
}

/// A match at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// What spectators see.
    pub phase: Phase,
    /// The minute on the scoreboard.
    pub minute: Minute,
    /// The score on the scoreboard.
    pub score: Score,
    /// Whether 90 minutes and their added time are over.
    pub ninety_over: bool,
    /// What the model is told.
    pub state: State,
}

/// The course of one match in minutes since kickoff.
#[derive(Clone, Debug)]
pub struct Clock {
    facts: &'static Match,
    /// Beginning and end of each half that was played.
    halves: Vec<[f64; 2]>,
    end: f64,
}

impl Clock {
    /// The course of a match.
    #[must_use]
    pub fn new(facts: &'static Match) -> Self {
        let played = if facts.after_extra.is_some() { 4 } else { 2 };
        let mut halves: Vec<[f64; 2]> = Vec::new();
        for half in 0..played {
            let latest = facts.goals.iter().filter(|goal| half_of(goal.minute) == half).map(|goal| goal.minute.added);
            let added = ADDED[half].max(f64::from(latest.max().unwrap_or(0)) + 0.5);
            let begin = halves.last().map_or(0., |last| last[1]) + PAUSES[half];
            halves.push([begin, begin + LENGTHS[half] + added]);
        }
        let whistle = halves.last().map_or(0., |last| last[1]);
        let end = whistle + if facts.penalties.is_some() { SHOOTOUT } else { 0. };
        Self { facts, halves, end }
    }

    /// Minutes from kickoff to the end.
    #[must_use]
    pub const fn end(&self) -> f64 {
        self.end
    }

    /// When a goal fell, in minutes since kickoff.
    #[must_use]
    pub fn goal(&self, goal: &Goal) -> f64 {
        let half = half_of(goal.minute);
        self.halves[half][0] + f64::from(goal.minute.regular) - STARTS[half] + f64::from(goal.minute.added) - 0.5
    }

    /// How the match stands.
    #[must_use]
    pub fn at(&self, minutes: f64) -> Moment {
        let score_of = |extra: bool| {
            let scored = self.facts.goals.iter().filter(|goal| self.goal(goal) <= minutes);
            scored
                .filter(|goal| !extra || goal.minute.regular > 90)
                .fold(Score::default(), |score, goal| score.plus(goal.end))
        };
        let score = score_of(false);
        let ninety_over = minutes >= self.halves[1][1];
        let half = self.halves.iter().position(|[begin, end]| (*begin..*end).contains(&minutes));
        let last = self.halves.iter().rposition(|[_, end]| minutes >= *end);
        let phase = match (half, last) {
            _ if minutes >= self.end => Phase::Over,
            (Some(half), _) => Phase::Half(crate::facts::small(half)),
            (None, None) => Phase::Ahead,
            (None, Some(last)) if last + 1 == self.halves.len() => Phase::Shootout,
            (None, Some(_)) => Phase::Break,
        };
        let minute = match (half, last) {
            (Some(half), _) => scoreboard(half, minutes - self.halves[half][0]),
            (None, None) => Minute { regular: 0, added: 0 },
            (None, Some(last)) => scoreboard(last, LENGTHS[last] - 0.5),
        };
        let state = match phase {
            Phase::Ahead => State::Ahead,
            Phase::Over => State::Over { after_90: self.facts.after_90, winner: self.facts.winner() },
            _ if !ninety_over => State::Regular { left: self.regular_left(minutes), score },
            _ => State::Extra { left: self.extra_left(minutes), score: score_of(true) },
        };
        Moment { phase, minute, score, ninety_over, state }
    }

    fn regular_left(&self, minutes: f64) -> f64 {
        let first = left_of_half(0, minutes - self.halves[0][0]);
        let second = left_of_half(1, minutes - self.halves[1][0]);
        first * FIRST_HALF_GOALS + second * (1. - FIRST_HALF_GOALS)
    }

    /// A drawn match goes to extra time: once 90 minutes are over everyone knows that, so looking at the halves to come
    /// reveals nothing.
    fn extra_left(&self, minutes: f64) -> f64 {
        let left = |half: usize| self.halves.get(half).map_or(0., |[begin, _]| left_of_half(half, minutes - begin));
        (left(2) + left(3)) / 2.
    }
}

const STARTS: [f64; 4] = [0., HALF, 2. * HALF, 2. * HALF + EXTRA_HALF];
const LENGTHS: [f64; 4] = [HALF, HALF, EXTRA_HALF, EXTRA_HALF];
const PAUSES: [f64; 4] = [0., HALF_TIME, BREAK_BEFORE_EXTRA, BREAK_IN_EXTRA];

const fn half_of(minute: Minute) -> usize {
    match minute.regular {
        ..=45 => 0,
        46..=90 => 1,
        91..=105 => 2,
        _ => 3,
    }
}

/// Share of a half's goals that are still to come, guessed from the time that is usually added.
fn left_of_half(half: usize, into: f64) -> f64 {
    let length = LENGTHS[half] + ADDED[half];
    if into >= length + 30. { 0. } else { ((length - into).max(LEFT_AT_LEAST) / length).min(1.) }
}

fn scoreboard(half: usize, into: f64) -> Minute {
    let whole = |minutes: f64| (0_u8..=130).take_while(|&minute| f64::from(minute) <= minutes).last().unwrap_or(0);
    if into < LENGTHS[half] {
        Minute { regular: whole(STARTS[half] + into) + 1, added: 0 }
    } else {
        Minute { regular: whole(STARTS[half] + LENGTHS[half]), added: whole(into - LENGTHS[half]) + 1 }
    }
}

/// Who was ahead after 90 minutes, as the outcome of the 90-minute event.
#[must_use]
pub const fn outcome_after_90(score: Score) -> usize {
    match score.leader() {
        Some(End::First) => 0,
        None => 1,
        Some(End::Second) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{MatchId, facts};

    #[test]
    fn every_goal_falls_at_its_minute_and_every_score_is_reached() {
        for m in &facts().matches {
            let clock = Clock::new(m);
            assert_eq!(clock.at(-1.).phase, Phase::Ahead);
            for goal in &m.goals {
                let at = clock.goal(goal);
                let shown = clock.at(at).minute;
                assert_eq!(shown, goal.minute, "match {} at {at}", m.id.0);
                assert!(clock.at(at).score != clock.at(at - 0.01).score);
            }
            let whistle = clock.halves[1][1];
            assert!(!clock.at(whistle - 0.01).ninety_over && clock.at(whistle).ninety_over);
            assert_eq!(clock.at(whistle).score, m.after_90);
            let end = clock.at(clock.end());
            assert_eq!((end.phase, end.score), (Phase::Over, m.final_score()));
            assert_eq!(end.state, State::Over { after_90: m.after_90, winner: m.winner() });
        }
    }

    #[test]
    fn what_is_left_only_shrinks() {
        for m in &facts().matches {
            let clock = Clock::new(m);
            let mut last = f64::INFINITY;
            for minute in 0..150 {
                let left = match clock.at(f64::from(minute)).state {
                    State::Ahead => unreachable!("it has begun"),
                    State::Regular { left, .. } => 1. + left,
                    State::Extra { left, .. } => left,
                    State::Over { .. } => -1.,
                };
                assert!(left <= last, "match {} in minute {minute}", m.id.0);
                last = left;
            }
        }
    }

    #[test]
    fn the_final_stands_level_after_90_minutes_and_is_won_in_extra_time() {
        let clock = Clock::new(MatchId(104).facts());
        let extra = clock.at(clock.halves[3][0]);
        assert_eq!((extra.phase, extra.score), (Phase::Half(3), Score(0, 0)));
        assert!(matches!(clock.at(clock.end() - 1.).state, State::Extra { score: Score(1, 0), .. }));
    }
}
