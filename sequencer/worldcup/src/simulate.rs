//! Plays the rest of the tournament many times, from what is known now, to price the champion and the group winners.
//!
//! Every life draws the same luck for the same match in every forecast, so that a price moves only when something has
//! happened, and not because the dice were thrown again.

use crate::bracket::{KNOCKOUTS, Slot, THIRDS, bracket, thirds};
use crate::facts::{End, GROUP_MATCHES, GROUP_TEAMS, GROUPS, MATCHES, MatchId, Score, TEAMS, Team, facts};
use crate::model::{self, Model, Venue, poisson};
use crate::table::{GROUP_PAIRS, Record, Result, rank};

/// What is known of a match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// It has not begun.
    Ahead,
    /// Within 90 minutes: `left` is the share of the goals' time that remains, 0 once only extra time is to come.
    Regular {
        /// Share of the goals' time that remains.
        left: f64,
        /// The score.
        score: Score,
    },
    /// In extra time; the score counts the goals of extra time only.
    Extra {
        /// Share of extra time that remains; 0 during a shoot-out.
        left: f64,
        /// Goals of extra time.
        score: Score,
    },
    /// It is over.
    Over {
        /// The score after 90 minutes.
        after_90: Score,
        /// Who won in the end.
        winner: Option<End>,
    },
}

/// What is known of the tournament.
#[derive(Clone, Debug)]
pub struct Known {
    /// Every match.
    pub states: [State; MATCHES],
    /// Who meets in the knockout matches, as far as it is decided.
    pub teams: [Option<[Team; 2]>; KNOCKOUTS],
}

impl Known {
    /// The eve of the tournament.
    #[must_use]
    pub fn nothing() -> Self {
        Self { states: [State::Ahead; MATCHES], teams: [None; KNOCKOUTS] }
    }

    /// Who plays a match, if that is decided.
    #[must_use]
    pub fn teams(&self, id: MatchId) -> Option<[Team; 2]> {
        if id.is_knockout() { self.teams[id.index() - GROUP_MATCHES] } else { Some(id.facts().teams) }
    }
}

/// Chances over the rest of the tournament.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Of becoming champion.
    pub champion: [f64; TEAMS],
    /// Of winning the group, by group and place.
    pub group_winner: [[f64; GROUP_TEAMS]; GROUPS],
}

/// A group match whose goals are still to come.
struct Pending {
    index: usize,
    group: usize,
    pair: usize,
    score: Score,
    goals: [Cumulative; 2],
}

/// Chances of at most 0, 1, … goals.
struct Cumulative([f64; 12]);

impl Cumulative {
    fn new(mean: f64) -> Self {
        let mut sum = 0.;
        Self(poisson(mean).map(|chance| {
            sum += chance;
            sum
        }))
    }

    fn sample(&self, draw: f64) -> u8 {
        (0_u8..11).find(|&goals| draw < self.0[usize::from(goals)]).unwrap_or(11)
    }
}

/// How a knockout match is drawn in one life of the tournament.
#[derive(Clone, Copy)]
enum Knockout {
    /// By the ratings of whoever meets.
    Open,
    /// Between these, with this chance of the first.
    Known([Team; 2], f64),
}

/// The luck of one life: a number from 0 to 1 for each match and purpose, by splitmix64 of where it is used.
#[derive(Clone, Copy)]
struct Luck {
    seed: u64,
}

impl Luck {
    const fn of(seed: u64, life: u32) -> Self {
        Self { seed: mix(seed ^ mix(life as u64)) }
    }

    fn draw(self, match_index: usize, purpose: u8) -> f64 {
        let place = u64::from(crate::facts::small(match_index)) << 8 | u64::from(purpose);
        let upper = u32::try_from(mix(self.seed ^ mix(place)) >> 32).expect("32 bits are left");
        f64::from(upper) / (f64::from(u32::MAX) + 1.)
    }
}

/// Steele, Lea and Flood's finalizer.
const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Plays the rest `lives` times.
#[must_use]
pub fn simulate(model: &Model, known: &Known, lives: u32, seed: u64) -> Forecast {
    let mut results = [[Result::default(); GROUP_PAIRS]; GROUPS];
    let mut pending = Vec::new();
    let mut filled = [0; GROUPS];
    for (m, state) in facts().matches[..GROUP_MATCHES].iter().zip(&known.states) {
        let group = m.teams[0].group();
        let pair = filled[group];
        filled[group] += 1;
        let (left, score) = match *state {
            State::Ahead => (1., Score::default()),
            State::Regular { left, score } => (left, score),
            State::Extra { .. } => unreachable!("group matches end after 90 minutes"),
            State::Over { after_90, .. } => (0., after_90),
        };
        results[group][pair] = Result { places: m.teams.map(|team| crate::facts::small(team.place())), score };
        if left > 0. {
            let goals = model.rates(m.teams, Venue::of(&m.country)).map(|rate| Cumulative::new(rate * left));
            pending.push(Pending { index: m.id.index(), group, pair, score, goals });
        }
    }
    let ratings: [[f64; GROUP_TEAMS]; GROUPS] =
        core::array::from_fn(|group| core::array::from_fn(|place| model.rating(Team::new(group, place))));
    let venues: [Venue; KNOCKOUTS] =
        core::array::from_fn(|index| Venue::of(&facts().matches[GROUP_MATCHES + index].country));
    let knockouts: [Knockout; KNOCKOUTS] = core::array::from_fn(|index| match known.teams[index] {
        None => Knockout::Open,
        Some(teams) => {
            Knockout::Known(teams, first_goes_on(model, known.states[GROUP_MATCHES + index], teams, venues[index]))
        }
    });

    let mut champions = [0_u32; TEAMS];
    let mut winners = [[0_u32; GROUP_TEAMS]; GROUPS];
    // A group without pending matches has the same table in every life.
    let open: [bool; GROUPS] = core::array::from_fn(|group| pending.iter().any(|p| p.group == group));
    let mut tables = core::array::from_fn(|group| rank(&results[group], &ratings[group]));
    for life in 0..lives {
        let luck = Luck::of(seed, life);
        for p in &pending {
            let [first, second] = [0, 1].map(|end: u8| p.goals[usize::from(end)].sample(luck.draw(p.index, end)));
            results[p.group][p.pair].score = Score(p.score.0 + first, p.score.1 + second);
        }
        for group in (0..GROUPS).filter(|&group| open[group]) {
            tables[group] = rank(&results[group], &ratings[group]);
        }
        for (group, (order, _)) in tables.iter().enumerate() {
            winners[group][usize::from(order[0])] += 1;
        }
        champions[play_knockouts(model, &tables, &ratings, &knockouts, &venues, luck).index()] += 1;
    }
    let share = |count: u32| f64::from(count) / f64::from(lives.max(1));
    Forecast { champion: champions.map(share), group_winner: winners.map(|group| group.map(share)) }
}

/// Chance that the first of two known teams wins a knockout match.
#[must_use]
pub fn first_goes_on(model: &Model, state: State, teams: [Team; 2], venue: Venue) -> f64 {
    let rates = model.rates(teams, venue);
    match state {
        State::Ahead => model.knockout(teams, venue),
        State::Regular { left, score } => model::to_advance(&model::after_90(rates, left, score), rates),
        State::Extra { left, score } => model::in_extra_time(rates, left, score),
        State::Over { winner, .. } => f64::from(u8::from(winner == Some(End::First))),
    }
}

type Table = ([u8; GROUP_TEAMS], [Record; GROUP_TEAMS]);

fn play_knockouts(
    model: &Model,
    tables: &[Table; GROUPS],
    ratings: &[[f64; GROUP_TEAMS]; GROUPS],
    knockouts: &[Knockout; KNOCKOUTS],
    venues: &[Venue; KNOCKOUTS],
    luck: Luck,
) -> Team {
    let mut ranked: [usize; GROUPS] = core::array::from_fn(|group| group);
    let third = |group: usize| usize::from(tables[group].0[2]);
    ranked.sort_unstable_by(|&a, &b| {
        let record = |group: usize| tables[group].1[third(group)];
        record(b).cmp(&record(a)).then(ratings[b][third(b)].total_cmp(&ratings[a][third(a)]))
    });
    let best = ranked[..THIRDS].iter().fold(0, |set, group| set | 1 << group);
    let assignment = thirds(best).expect("a test finds an assignment for every set of eight");

    let mut winners = [Team(0); KNOCKOUTS];
    let mut losers = [Team(0); KNOCKOUTS];
    for (index, slots) in bracket().iter().enumerate() {
        let (teams, chance) = match knockouts[index] {
            Knockout::Known(teams, chance) => (teams, chance),
            Knockout::Open => {
                let teams = slots.map(|slot| match slot {
                    Slot::Winner(group) => Team::new(group, tables[group].0[0].into()),
                    Slot::RunnerUp(group) => Team::new(group, tables[group].0[1].into()),
                    Slot::Third { nth, .. } => {
                        let group = usize::from(assignment[nth]);
                        Team::new(group, third(group))
                    }
                    Slot::WinnerOf(id) => winners[id.index() - GROUP_MATCHES],
                    Slot::LoserOf(id) => losers[id.index() - GROUP_MATCHES],
                });
                (teams, model.knockout(teams, venues[index]))
            }
        };
        let first = luck.draw(GROUP_MATCHES + index, 0) < chance;
        winners[index] = teams[usize::from(!first)];
        losers[index] = teams[usize::from(first)];
    }
    winners[KNOCKOUTS - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::model;

    fn everything() -> Known {
        let mut known = Known::nothing();
        for (m, state) in facts().matches.iter().zip(&mut known.states) {
            *state = State::Over { after_90: m.after_90, winner: m.winner() };
            if m.id.is_knockout() {
                known.teams[m.id.index() - GROUP_MATCHES] = Some(m.teams);
            }
        }
        known
    }

    #[test]
    fn before_the_tournament_everyone_has_a_chance_and_the_chances_sum_to_one() {
        let forecast = simulate(model(), &Known::nothing(), 4000, 1);
        assert!((forecast.champion.iter().sum::<f64>() - 1.).abs() < 1e-9);
        for group in forecast.group_winner {
            assert!((group.iter().sum::<f64>() - 1.).abs() < 1e-9);
        }
        assert!(forecast.champion.iter().all(|&chance| chance < 0.5));
        assert!(forecast.champion.iter().filter(|&&chance| chance > 0.01).count() >= 8);
    }

    #[test]
    fn the_same_knowledge_gives_the_same_forecast_and_another_seed_nearly_the_same() {
        let forecast = |seed| simulate(model(), &Known::nothing(), 8000, seed);
        assert_eq!(forecast(1), forecast(1));
        let (one, other) = (forecast(1), forecast(2));
        assert_ne!(one, other);
        for (a, b) in one.champion.iter().zip(other.champion) {
            assert!((a - b).abs() < 0.025, "{a} {b}");
        }
    }

    #[test]
    fn a_result_that_changes_little_moves_prices_little() {
        let before = simulate(model(), &Known::nothing(), 2000, 1);
        let mut known = Known::nothing();
        let opening = &facts().matches[0];
        known.states[0] = State::Over { after_90: opening.after_90, winner: opening.winner() };
        let after = simulate(model(), &known, 2000, 1);
        let others = Team::all().filter(|team| team.group() != opening.teams[0].group());
        for team in others {
            assert!((before.champion[team.index()] - after.champion[team.index()]).abs() < 0.01, "{}", team.name());
        }
    }

    #[test]
    fn after_the_tournament_the_champion_is_certain() {
        let forecast = simulate(model(), &everything(), 10, 1);
        let spain = Team::all().find(|team| team.name() == "Spain").expect("it played");
        assert_eq!(forecast.champion[spain.index()], 1.);
        assert!(forecast.group_winner.iter().all(|group| group.contains(&1.)));
    }

    #[test]
    fn a_goal_in_the_final_moves_the_champion() {
        let mut known = everything();
        let last = MATCHES - 1;
        let [spain, argentina] = facts().matches[last].teams;
        let price = |state| {
            known.states[last] = state;
            simulate(model(), &known, 4000, 1).champion
        };
        let [level, ahead, behind] =
            [Score(0, 0), Score(1, 0), Score(0, 1)].map(|score| State::Regular { left: 0.3, score }).map(price);
        assert!(ahead[spain.index()] > level[spain.index()] + 0.1);
        assert!(behind[argentina.index()] > level[argentina.index()] + 0.1);
        assert!((level[spain.index()] + level[argentina.index()] - 1.).abs() < 1e-9);
    }
}
