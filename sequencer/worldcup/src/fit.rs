//! Fits the rating model to past results: Elo ratings with goal difference and home advantage, and the expected goals
//! that a rating difference stands for. Run by `examples/fit-ratings.rs`; the product uses the tables that it writes.
//!
//! Elo as on eloratings.net: `R' = R + K·G·(W − We)`, `We = 1/(1 + 10^(−d/400))`, `G` growing with the goal difference
//! and `K` with what is at stake. Goals are independent Poisson variables with `ln λ = level ± slope·d/400`, where `d` is
//! the rating difference with home advantage; `level` and `slope` are the maximum-likelihood fit, and so are home
//! advantage and `K`'s scale over a small grid.

use std::collections::BTreeMap;

use crate::facts::facts;

/// The first day of the tournament: no result from it on is read.
pub const TOURNAMENT_BEGINS: &str = "2026-06-11";
/// Goals are fitted to matches from this day on, ratings are carried from the beginning.
const GOALS_FITTED_FROM: &str = "2006-01-01";
const INITIAL_RATING: f64 = 1500.;

/// A past result.
#[derive(Clone, Debug)]
pub struct PastMatch {
    date: String,
    teams: [String; 2],
    goals: [f64; 2],
    tournament: String,
    neutral: bool,
}

/// Reads results as published by martj42/international_results, up to the day before the tournament.
///
/// # Errors
/// With the first line that is not of that form.
pub fn read(csv: &str) -> Result<Vec<PastMatch>, String> {
    let mut matches: Vec<PastMatch> = Vec::new();
    for line in csv.lines().skip(1) {
        let columns: Vec<&str> = line.splitn(7, ',').collect();
        let [date, home, away, home_goals, away_goals, tournament, rest] = columns[..] else {
            return Err(format!("expected at least 7 columns: {line}"));
        };
        if date >= TOURNAMENT_BEGINS {
            continue;
        }
        let goals = |text: &str| text.parse::<f64>().map_err(|_| format!("not a number of goals: {line}"));
        matches.push(PastMatch {
            date: date.into(),
            teams: [home.into(), away.into()],
            goals: [goals(home_goals)?, goals(away_goals)?],
            tournament: tournament.into(),
            neutral: rest.ends_with("TRUE"),
        });
    }
    matches.sort_by(|a, b| a.date.cmp(&b.date));
    Ok(matches)
}

/// What is at stake, as eloratings.net weighs it.
fn importance(tournament: &str) -> f64 {
    const CONTINENTAL: [&str; 8] = [
        "UEFA Euro",
        "Copa América",
        "African Cup of Nations",
        "AFC Asian Cup",
        "Gold Cup",
        "Oceania Nations Cup",
        "Confederations Cup",
        "CONCACAF Championship",
    ];
    match tournament {
        "FIFA World Cup" => 60.,
        _ if CONTINENTAL.contains(&tournament) => 50.,
        _ if tournament.ends_with("qualification") || tournament.ends_with("Nations League") => 40.,
        "Friendly" => 20.,
        _ => 30.,
    }
}

fn margin_weight(difference: f64) -> f64 {
    match difference {
        d if d < 1.5 => 1.,
        d if d < 2.5 => 1.5,
        d => (11. + d) / 8.,
    }
}

/// The fitted model.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Ratings of the tournament's teams, in the order of `teams.tsv`.
    pub ratings: Vec<f64>,
    /// Rating points that playing at home is worth.
    pub home_advantage: f64,
    /// Factor on the published weights `K`.
    pub weight_scale: f64,
    /// Logarithm of the goals of either side between equals.
    pub level: f64,
    /// What 400 points more add to that logarithm (and take from the opponent's).
    pub slope: f64,
    /// Mean log-likelihood of a side's goals, the measure of the fit.
    pub log_likelihood: f64,
    /// Matches that the goals were fitted to.
    pub matches: usize,
}

/// Fits everything.
///
/// # Errors
/// If a team of the tournament never played.
pub fn fit(matches: &[PastMatch]) -> Result<Fit, String> {
    let mut best: Option<(Fit, BTreeMap<&str, f64>)> = None;
    for home_advantage in [60., 70., 80., 90., 100., 110., 120.] {
        for weight_scale in [0.8, 1., 1.2, 1.4, 1.6, 1.8, 2., 2.2] {
            let (ratings, samples) = rate(matches, home_advantage, weight_scale);
            let (level, slope, log_likelihood) = fit_goals(&samples);
            if best.as_ref().is_none_or(|(fit, _)| log_likelihood > fit.log_likelihood) {
                let fit = Fit {
                    ratings: Vec::new(),
                    home_advantage,
                    weight_scale,
                    level,
                    slope,
                    log_likelihood,
                    matches: samples.len(),
                };
                best = Some((fit, ratings));
            }
        }
    }
    let (mut fit, ratings) = best.ok_or("nothing to fit")?;
    fit.ratings = facts()
        .teams
        .iter()
        .map(|team| ratings.get(results_name(&team.name)).copied().ok_or_else(|| format!("{} never played", team.name)))
        .collect::<Result<_, _>>()?;
    Ok(fit)
}

/// What the results call a team of the tournament.
fn results_name(team: &str) -> &str {
    match team {
        "USA" => "United States",
        "Bosnia & Herzegovina" => "Bosnia and Herzegovina",
        other => other,
    }
}

/// A match as seen before it was played: rating difference / 400, and what came of it.
struct Sample {
    difference: f64,
    goals: [f64; 2],
}

fn rate(matches: &[PastMatch], home_advantage: f64, weight_scale: f64) -> (BTreeMap<&str, f64>, Vec<Sample>) {
    let mut ratings: BTreeMap<&str, f64> = BTreeMap::new();
    let mut samples = Vec::new();
    for m in matches {
        let [home, away] =
            [0, 1].map(|end: usize| ratings.get(m.teams[end].as_str()).copied().unwrap_or(INITIAL_RATING));
        let difference = (home - away + if m.neutral { 0. } else { home_advantage }) / 400.;
        if m.date.as_str() >= GOALS_FITTED_FROM {
            samples.push(Sample { difference, goals: m.goals });
        }
        let lead = m.goals[0] - m.goals[1];
        let won = if lead > 0. {
            1.
        } else if lead < 0. {
            0.
        } else {
            0.5
        };
        let expected = 1. / (1. + 10_f64.powf(-difference));
        let change = weight_scale * importance(&m.tournament) * margin_weight(lead.abs()) * (won - expected);
        ratings.insert(&m.teams[0], home + change);
        ratings.insert(&m.teams[1], away - change);
    }
    (ratings, samples)
}

/// Newton's method on the Poisson likelihood, which is concave: a few steps from anywhere sensible reach its top.
fn fit_goals(samples: &[Sample]) -> (f64, f64, f64) {
    let sides = || samples.iter().flat_map(|s| [(s.difference, s.goals[0]), (-s.difference, s.goals[1])]);
    let (mut level, mut slope) = (0., 0.5);
    for _ in 0..20 {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0., 0., 0., 0., 0.);
        for (x, goals) in sides() {
            let rate = f64::exp(level + slope * x);
            g0 += goals - rate;
            g1 += (goals - rate) * x;
            h00 += rate;
            h01 += rate * x;
            h11 += rate * x * x;
        }
        let determinant = h00 * h11 - h01 * h01;
        level += (h11 * g0 - h01 * g1) / determinant;
        slope += (h00 * g1 - h01 * g0) / determinant;
    }
    // The factorial of the goals does not depend on the parameters and is left out.
    let (total, count) = sides().fold((0., 0.), |(total, count), (x, goals)| {
        let log_rate = level + slope * x;
        (total + goals * log_rate - log_rate.exp(), count + 1.)
    });
    (level, slope, total / count)
}

impl Fit {
    /// `ratings.tsv`: a row per team.
    #[must_use]
    pub fn ratings_table(&self) -> String {
        let mut table = String::from("team\trating\n");
        for (team, rating) in facts().teams.iter().zip(&self.ratings) {
            table += &format!("{}\t{rating:.1}\n", team.name);
        }
        table
    }

    /// `model.tsv`: the constants.
    #[must_use]
    pub fn model_table(&self) -> String {
        format!(
            "constant\tvalue\nhome_advantage\t{}\nweight_scale\t{}\nlevel\t{:.4}\nslope\t{:.4}\n",
            self.home_advantage, self.weight_scale, self.level, self.slope
        )
    }
}
