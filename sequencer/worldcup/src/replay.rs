//! The tournament in compressed time: every match keeps its course and matches that overlapped overlap, but hours in
//! which nobody plays are skipped, and the later the round, the more time it gets.

use std::sync::LazyLock;

use crate::bracket::KNOCKOUTS;
use crate::clock::{Clock, Moment, Phase};
use crate::facts::{End, GROUP_MATCHES, GROUP_TEAMS, GROUPS, MATCHES, MatchId, Stage, Subject, Team, facts};
use crate::model::model;
use crate::simulate::{Known, State};
use crate::table::{Result, rank};

/// Minutes kept before a kickoff, for trading ahead of the match.
const BEFORE: f64 = 20.;
/// Minutes kept after a match, for prices and money to settle.
const AFTER: f64 = 10.;

/// The whole tournament.
#[derive(Debug)]
pub struct Replay {
    clocks: Vec<Clock>,
    /// Stretches of the calendar in which somebody plays, in minutes since the beginning of June.
    stretches: Vec<Stretch>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    begin: f64,
    end: f64,
    /// How much of the replay a minute takes.
    weight: f64,
    /// How much of the replay comes before.
    before: f64,
}

impl Stretch {
    fn length(&self) -> f64 {
        (self.end - self.begin) * self.weight
    }
}

/// A minute of the final takes as long as seven of the group stage.
const fn weight(stage: Stage) -> f64 {
    match stage {
        Stage::Group => 1.,
        Stage::RoundOf32 => 1.25,
        Stage::RoundOf16 | Stage::ThirdPlace => 1.5,
        Stage::QuarterFinal => 2.,
        Stage::SemiFinal => 3.,
        Stage::Final => 7.,
    }
}

/// The tournament.
#[must_use]
pub fn replay() -> &'static Replay {
    static REPLAY: LazyLock<Replay> = LazyLock::new(Replay::new);
    &REPLAY
}

impl Replay {
    fn new() -> Self {
        let clocks: Vec<Clock> = facts().matches.iter().map(Clock::new).collect();
        let mut spans: Vec<Stretch> = MatchId::all()
            .map(|id| {
                let (begin, end) = (kickoff(id) - BEFORE, kickoff(id) + clocks[id.index()].end() + AFTER);
                Stretch { begin, end, weight: weight(id.facts().stage), before: 0. }
            })
            .collect();
        spans.sort_by(|a, b| a.begin.total_cmp(&b.begin));
        let mut stretches: Vec<Stretch> = Vec::new();
        for span in spans {
            match stretches.last_mut() {
                Some(last) if span.begin <= last.end => {
                    last.end = last.end.max(span.end);
                    last.weight = last.weight.max(span.weight);
                }
                last => {
                    let before = last.map_or(0., |last| last.before + last.length());
                    stretches.push(Stretch { before, ..span });
                }
            }
        }
        Self { clocks, stretches }
    }

    /// How long the replay is, in units of its own: a minute of the group stage is one.
    #[must_use]
    pub fn length(&self) -> f64 {
        self.stretches.last().map_or(0., |last| last.before + last.length())
    }

    /// The calendar (minutes since the beginning of June) at a point of the replay.
    #[must_use]
    pub fn calendar(&self, point: f64) -> f64 {
        let index = self.stretches.partition_point(|stretch| stretch.before <= point).saturating_sub(1);
        self.stretches
            .get(index)
            .map_or(0., |stretch| (stretch.begin + (point - stretch.before) / stretch.weight).min(stretch.end))
    }

    /// A match at a moment of the calendar.
    #[must_use]
    pub fn at(&self, id: MatchId, calendar: f64) -> Moment {
        self.clocks[id.index()].at(calendar - kickoff(id))
    }

    /// What is known at a moment of the calendar.
    #[must_use]
    pub fn known(&self, calendar: f64) -> Snapshot {
        let moments: Vec<Moment> = MatchId::all().map(|id| self.at(id, calendar)).collect();
        let over = |id: MatchId| moments[id.index()].phase == Phase::Over;
        let groups_over = MatchId::all().take(GROUP_MATCHES).all(over);
        let teams = core::array::from_fn(|index| {
            let id = MatchId(crate::facts::small(index + GROUP_MATCHES + 1));
            let decided = match id.facts().stage {
                Stage::RoundOf32 => groups_over,
                _ => crate::bracket::bracket()[index].iter().all(|slot| match slot {
                    crate::bracket::Slot::WinnerOf(source) | crate::bracket::Slot::LoserOf(source) => over(*source),
                    _ => groups_over,
                }),
            };
            decided.then_some(id.facts().teams)
        });
        let states: [State; MATCHES] = core::array::from_fn(|index| moments[index].state);
        Snapshot { calendar, moments, known: Known { states, teams } }
    }
}

/// The tournament at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Minutes since the beginning of June.
    pub calendar: f64,
    /// Every match.
    pub moments: Vec<Moment>,
    /// What the model is told.
    pub known: Known,
}

impl Snapshot {
    /// A match.
    #[must_use]
    pub fn moment(&self, id: MatchId) -> &Moment {
        &self.moments[id.index()]
    }

    /// Which outcome of an event has come true, as soon as the results so far say so.
    #[must_use]
    pub fn winner(&self, subject: Subject) -> Option<usize> {
        match subject {
            Subject::Champion => {
                let last = MatchId::all().last()?;
                let end = self.result(last)?;
                Some(last.facts().teams[end as usize].index())
            }
            Subject::GroupWinner(group) => {
                let matches: Vec<MatchId> = MatchId::all().filter(|id| id.facts().group == Some(group)).collect();
                let results: Vec<Result> = matches
                    .iter()
                    .map(|id| match self.known.states[id.index()] {
                        State::Over { after_90, .. } => Some(Result {
                            places: id.facts().teams.map(|team| crate::facts::small(team.place())),
                            score: after_90,
                        }),
                        _ => None,
                    })
                    .collect::<Option<_>>()?;
                let ratings: [f64; GROUP_TEAMS] = core::array::from_fn(|place| model().rating(Team::new(group, place)));
                Some(rank(&results, &ratings).0[0].into())
            }
            Subject::After90(id) => {
                let moment = self.moment(id);
                // After 90 minutes the scoreboard may already count goals of extra time: those are left out.
                moment.ninety_over.then(|| crate::clock::outcome_after_90(id.facts().after_90))
            }
            Subject::Decided(id) => self.result(id).map(|end| end as usize),
        }
    }

    fn result(&self, id: MatchId) -> Option<End> {
        match self.known.states[id.index()] {
            State::Over { winner, .. } => winner,
            _ => None,
        }
    }

    /// Matches being played.
    pub fn live(&self) -> impl Iterator<Item = MatchId> {
        MatchId::all().filter(|id| !matches!(self.moment(*id).phase, Phase::Ahead | Phase::Over))
    }

    /// The next matches whose teams are known, by kickoff.
    #[must_use]
    pub fn upcoming(&self, most: usize) -> Vec<MatchId> {
        let mut ahead: Vec<MatchId> = MatchId::all()
            .filter(|id| self.moment(*id).phase == Phase::Ahead && self.known.teams(*id).is_some())
            .collect();
        ahead.sort_by_key(|id| (id.facts().kickoff, *id));
        ahead.truncate(most);
        ahead
    }
}

fn kickoff(id: MatchId) -> f64 {
    // Minutes of two months are small whole numbers.
    f64::from(i32::try_from(id.facts().kickoff).expect("matches.tsv lies in June and July"))
}

const _: () = assert!(KNOCKOUTS + GROUP_MATCHES == MATCHES && GROUPS * 6 == GROUP_MATCHES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_hours_are_skipped_and_nothing_played_is_lost() {
        let replay = replay();
        let skipped = replay.calendar(replay.length()) - replay.calendar(0.) - replay.length();
        assert!(skipped > 20. * 1440., "{skipped}");
        let first = replay.known(replay.calendar(0.));
        assert!(first.moments.iter().all(|moment| moment.phase == Phase::Ahead));
        assert!(first.known.teams.iter().all(Option::is_none));
        let mut goals = 0;
        let mut before = first;
        let steps = 40_000;
        for step in 1..=steps {
            let now = replay.known(replay.calendar(replay.length() * f64::from(step) / f64::from(steps)));
            assert!(now.calendar >= before.calendar);
            for (a, b) in before.moments.iter().zip(&now.moments) {
                goals += u32::from(b.score.0 - a.score.0) + u32::from(b.score.1 - a.score.1);
            }
            before = now;
        }
        assert_eq!(goals, 308);
        assert!(before.moments.iter().all(|moment| moment.phase == Phase::Over));
    }

    #[test]
    fn results_decide_every_event_in_the_end_and_none_before_the_first_match() {
        let replay = replay();
        let begin = replay.known(replay.calendar(0.));
        let end = replay.known(replay.calendar(replay.length()));
        for subject in Subject::all() {
            assert_eq!(begin.winner(subject), None);
            assert!(end.winner(subject).is_some_and(|winner| winner < subject.outcomes()), "{subject:?}");
        }
        let champion = end.winner(Subject::Champion).map(|index| facts().teams[index].name.as_str());
        assert_eq!(champion, Some("Spain"));
        assert_eq!(end.winner(Subject::After90(MatchId(104))), Some(1));
        assert_eq!(end.winner(Subject::Decided(MatchId(104))), Some(0));
    }

    #[test]
    fn a_match_that_goes_on_decides_its_90_minutes_first() {
        let replay = replay();
        let id = MatchId(104);
        let extra = replay.known(kickoff(id) + 125.);
        assert_eq!(extra.moment(id).phase, Phase::Half(2));
        assert_eq!(extra.winner(Subject::After90(id)), Some(1));
        assert_eq!(extra.winner(Subject::Decided(id)), None);
        assert_eq!(extra.winner(Subject::Champion), None);
    }
}
