//! Prints the model's view on the eve of the tournament, and what a forecast costs.

use std::time::Instant;

use xos_worldcup::facts::Team;
use xos_worldcup::model::model;
use xos_worldcup::simulate::{Known, simulate};

fn main() {
    let lives = 20_000;
    let _ = simulate(model(), &Known::nothing(), 1, 2026);
    let begun = Instant::now();
    let forecast = simulate(model(), &Known::nothing(), lives, 2026);
    println!("{lives} tournaments in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let mut teams: Vec<Team> = Team::all().collect();
    teams.sort_by(|a, b| forecast.champion[b.index()].total_cmp(&forecast.champion[a.index()]));
    for team in teams {
        let champion = forecast.champion[team.index()] * 100.;
        let group = forecast.group_winner[team.group()][team.place()] * 100.;
        println!("{:<24} champion {champion:5.1} %   group {group:5.1} %", team.name());
    }
}
