//! The committed ratings are what the fit gives, where the results are at hand: `XOS_DATA` names the folder that holds
//! `football/results.csv.xz` (or `results.csv`), from martj42/international_results.

use std::fs;
use std::path::Path;
use std::process::Command;

use xos_worldcup::fit::{fit, read};

fn results() -> Option<String> {
    let folder = Path::new(&std::env::var_os("XOS_DATA")?).join("football");
    if let Ok(text) = fs::read_to_string(folder.join("results.csv")) {
        return Some(text);
    }
    let unpacked = Command::new("xz").arg("-dc").arg(folder.join("results.csv.xz")).output().ok()?;
    unpacked.status.success().then(|| String::from_utf8(unpacked.stdout).expect("the results are UTF-8"))
}

#[test]
fn the_committed_tables_are_what_the_fit_gives() {
    let Some(csv) = results() else {
        println!("SKIPPED: set XOS_DATA to a folder with football/results.csv.xz to refit the ratings");
        return;
    };
    let matches = read(&csv).expect("the results have the published form");
    let fit = fit(&matches).expect("every team has played");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../worldcup");
    assert_eq!(fit.ratings_table(), fs::read_to_string(folder.join("ratings.tsv")).unwrap());
    assert_eq!(fit.model_table(), fs::read_to_string(folder.join("model.tsv")).unwrap());
}

#[test]
fn nothing_from_the_tournament_is_read() {
    let csv = "date,home_team,away_team,home_score,away_score,tournament,city,country,neutral\n\
               2026-06-10,Spain,Iraq,1,1,Friendly,Vigo,Spain,FALSE\n\
               2026-06-11,Mexico,South Africa,2,0,FIFA World Cup,Mexico City,Mexico,FALSE\n";
    assert_eq!(read(csv).map(|matches| matches.len()), Ok(1));
}
