//! What the score so far makes of a match: chances from ratings fitted before the tournament (`worldcup/ratings.tsv`,
//! `worldcup/model.tsv`, written by [`crate::fit`]), the minute and the goals as they stand.

use std::sync::LazyLock;

use crate::facts::{End, Score, TEAMS, Team, rows};

/// Most goals that one side is thought to score in what remains.
const GOALS_MAX: usize = 12;
/// Extra time is 30 minutes of 90.
const EXTRA_TIME: f64 = 1. / 3.;
/// Countries that host matches; a team plays at home in its own.
const HOSTS: [(&str, &str); 3] = [("CA", "CAN"), ("MX", "MEX"), ("US", "USA")];

/// Where a match is played, as an index into the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Venue(usize);

impl Venue {
    /// The venue by country code.
    #[must_use]
    pub fn of(country: &str) -> Self {
        Self(
            HOSTS.iter().position(|(host, _)| *host == country).expect("matches.tsv names hosts only; a test reads it"),
        )
    }
}

/// Ratings and constants, with the chances that are asked for often computed once.
#[derive(Debug)]
pub struct Model {
    ratings: [f64; TEAMS],
    home_advantage: f64,
    level: f64,
    slope: f64,
    /// By venue and teams: chance that the first one wins a knockout match that has not begun.
    knockout: Vec<f64>,
}

/// The model with the committed tables.
#[must_use]
pub fn model() -> &'static Model {
    static MODEL: LazyLock<Model> = LazyLock::new(|| {
        Model::parse(include_str!("../../../worldcup/ratings.tsv"), include_str!("../../../worldcup/model.tsv"))
            .expect("the tables are compiled in and a test reads them")
    });
    &MODEL
}

impl Model {
    fn parse(ratings: &str, constants: &str) -> Option<Self> {
        let numbers: Vec<f64> = rows(ratings).map(|row| row.get(1)?.parse().ok()).collect::<Option<_>>()?;
        let constant = |name: &str| {
            rows(constants).find(|row| row.first() == Some(&name)).and_then(|row| row.get(1)?.parse::<f64>().ok())
        };
        let mut model = Self {
            ratings: numbers.try_into().ok()?,
            home_advantage: constant("home_advantage")?,
            level: constant("level")?,
            slope: constant("slope")?,
            knockout: Vec::new(),
        };
        let pairs =
            (0..HOSTS.len()).flat_map(|venue| Team::all().flat_map(move |a| Team::all().map(move |b| (venue, a, b))));
        model.knockout = pairs.map(|(venue, a, b)| model.wins_knockout(model.rates([a, b], Venue(venue)))).collect();
        Some(model)
    }

    /// A team's rating.
    #[must_use]
    pub fn rating(&self, team: Team) -> f64 {
        self.ratings[team.index()]
    }

    /// Expected goals of both teams in 90 minutes.
    #[must_use]
    pub fn rates(&self, teams: [Team; 2], venue: Venue) -> [f64; 2] {
        let [first, second] = teams.map(|team| {
            let at_home = team.code() == HOSTS[venue.0].1;
            self.rating(team) + if at_home { self.home_advantage } else { 0. }
        });
        let difference = self.slope * (first - second) / 400.;
        [(self.level + difference).exp(), (self.level - difference).exp()]
    }

    /// Chance that the first team wins a knockout match that has not begun.
    #[must_use]
    pub fn knockout(&self, teams: [Team; 2], venue: Venue) -> f64 {
        self.knockout[(venue.0 * TEAMS + teams[0].index()) * TEAMS + teams[1].index()]
    }

    fn wins_knockout(&self, rates: [f64; 2]) -> f64 {
        to_advance(&after_90(rates, 1., Score::default()), rates)
    }
}

/// Chances of first team, draw and second team after 90 minutes, when `left` of the goals' time remains.
#[must_use]
pub fn after_90(rates: [f64; 2], left: f64, score: Score) -> [f64; 3] {
    three_way(rates.map(|rate| rate * left), score)
}

/// Chance that the first team goes on, from its chances after 90 minutes.
#[must_use]
pub fn to_advance(after_90: &[f64; 3], rates: [f64; 2]) -> f64 {
    after_90[0] + after_90[1] * in_extra_time(rates, 1., Score::default())
}

/// Chance that the first team goes on, when `left` of extra time remains. Shoot-outs are a coin.
#[must_use]
pub fn in_extra_time(rates: [f64; 2], left: f64, score: Score) -> f64 {
    let [first, draw, _] = three_way(rates.map(|rate| rate * EXTRA_TIME * left), score);
    first + draw * 0.5
}

fn three_way(means: [f64; 2], score: Score) -> [f64; 3] {
    let [first, second] = means.map(poisson);
    let mut chances = [0.; 3];
    for (a, p) in (0_u8..).zip(first) {
        for (b, q) in (0_u8..).zip(second) {
            let outcome = match Score(score.0 + a, score.1 + b).leader() {
                Some(End::First) => 0,
                None => 1,
                Some(End::Second) => 2,
            };
            chances[outcome] += p * q;
        }
    }
    chances
}

/// Chances of 0, 1, … goals; the last entry holds the tail, so that they sum to 1.
#[must_use]
pub fn poisson(mean: f64) -> [f64; GOALS_MAX] {
    let mut chances = [0.; GOALS_MAX];
    let mut term = (-mean).exp();
    let mut left = 1.;
    for (goals, chance) in (1_u32..).zip(&mut chances) {
        *chance = term;
        left -= term;
        term *= mean / f64::from(goals);
    }
    chances[GOALS_MAX - 1] += left.max(0.);
    chances
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::facts;

    #[test]
    fn chances_sum_to_one() {
        for (rates, left, score) in
            [([1.4, 1.1], 1., Score(0, 0)), ([3., 0.3], 0.4, Score(1, 2)), ([1., 1.], 0., Score(0, 1))]
        {
            let sum: f64 = after_90(rates, left, score).iter().sum();
            assert!((sum - 1.).abs() < 1e-9, "{sum}");
        }
        assert_eq!(after_90([1., 1.], 0., Score(0, 1)), [0., 0., 1.]);
    }

    #[test]
    fn equals_have_equal_chances_and_a_goal_breaks_them() {
        let [first, draw, second] = after_90([1.2, 1.2], 1., Score(0, 0));
        assert!((first - second).abs() < 1e-12 && draw > 0.2 && draw < 0.35);
        assert!(after_90([1.2, 1.2], 0.5, Score(1, 0))[0] > 0.6);
        assert!((to_advance(&[first, draw, second], [1.2, 1.2]) - 0.5).abs() < 1e-12);
        assert!((in_extra_time([1.2, 1.2], 0., Score(1, 0)) - 1.).abs() < 1e-12);
    }

    #[test]
    fn knockout_chances_of_both_teams_sum_to_one_and_hosts_gain_at_home() {
        let model = model();
        let team = |name: &str| Team::all().find(|team| team.name() == name).expect("it plays");
        let [spain, mexico] = [team("Spain"), team("Mexico")];
        for venue in ["CA", "MX", "US"].map(Venue::of) {
            let sum = model.knockout([spain, mexico], venue) + model.knockout([mexico, spain], venue);
            assert!((sum - 1.).abs() < 1e-9);
        }
        assert!(
            model.knockout([mexico, spain], Venue::of("MX")) > model.knockout([mexico, spain], Venue::of("US")) + 0.05
        );
    }

    /// The model knew nothing of these results, and still must tell them better than equal chances would.
    #[test]
    fn the_forecast_of_the_tournament_beats_equal_chances() {
        let mut log_likelihood = 0.;
        for m in &facts().matches {
            let chances = after_90(model().rates(m.teams, Venue::of(&m.country)), 1., Score::default());
            let outcome = match m.after_90.leader() {
                Some(End::First) => 0,
                None => 1,
                Some(End::Second) => 2,
            };
            log_likelihood += chances[outcome].ln();
        }
        let mean = log_likelihood / 104.;
        assert!(mean > (1_f64 / 3.).ln() + 0.1, "{mean}");
    }
}
