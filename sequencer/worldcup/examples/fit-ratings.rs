//! Fits the rating model and writes its tables to the folder `worldcup/`:
//!
//!     cargo run -p xos-worldcup --release --example fit-ratings -- <results.csv>
//!
//! from martj42/international_results. Nothing from the tournament's first day on is read.

use std::error::Error;
use std::fs;
use std::path::Path;

use xos_worldcup::fit::{fit, read};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: fit-ratings <results.csv>")?;
    let matches = read(&fs::read_to_string(&path)?)?;
    let fit = fit(&matches)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../worldcup");
    fs::write(folder.join("ratings.tsv"), fit.ratings_table())?;
    fs::write(folder.join("model.tsv"), fit.model_table())?;
    println!(
        "{} results, goals fitted to {}: mean log-likelihood {:.5}, home advantage {}, weights x{}, level {:.4}, slope {:.4}",
        matches.len(),
        fit.matches,
        fit.log_likelihood,
        fit.home_advantage,
        fit.weight_scale,
        fit.level,
        fit.slope
    );
    Ok(())
}
