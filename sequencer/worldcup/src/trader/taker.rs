//! Takers: people with opinions. Some know better than the model on a good day, some follow their team whatever it costs,
//! some chase the last goal; they hit what the book shows, and now and then leave an order of their own.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use xos_api::MarketInfo;
use xos_types::{Lots, OrderKind, Side, TimeMs};

use super::{chance, noise, outcome_of, pick, ticks};
use crate::facts::{Subject, Team};
use crate::fair::Board;
use crate::session::{Intent, Session, Trouble};

/// How far opinions lie from the model, in standard deviations of the outcome itself.
const NOISE: f64 = 0.06;
/// What a taker's patience for its own resting orders is.
const RESTS: Duration = Duration::from_secs(8);
/// What a fan would pay above the fair price.
const LOYALTY: f64 = 0.05;
/// Part of a move that a chaser expects to follow.
const ECHO: f64 = 0.35;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    /// Has its own model, a noisy one.
    Punter,
    /// Backs a team.
    Fan(Team),
    /// Believes that what moves goes on moving.
    Chaser,
}

impl Temper {
    pub(super) fn pick(index: usize, rng: &mut ChaCha8Rng) -> Self {
        match index % 5 {
            1 => {
                let teams: Vec<Team> = Team::all().collect();
                let rating = |team: &Team| ((crate::model::model().rating(*team) - 1700.).max(50.) / 100.).powi(2);
                teams.choose_weighted(rng, rating).map_or(Self::Punter, |team| Self::Fan(*team))
            }
            4 => Self::Chaser,
            _ => Self::Punter,
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Punter => "punter".into(),
            Self::Fan(team) => format!("{} fan", team.name()),
            Self::Chaser => "chaser".into(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Taker {
    temper: Temper,
    /// Prices as they stood when it last looked.
    seen: BTreeMap<Subject, Vec<f64>>,
}

impl Taker {
    pub(super) const fn new(temper: Temper) -> Self {
        Self { temper, seen: BTreeMap::new() }
    }

    pub(super) async fn step(
        &mut self,
        session: &mut Session,
        board: &Board,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Trouble> {
        let Some(subject) = self.choose(board, rng) else { return Ok(()) };
        let Some(fair) = board.fair(subject) else { return Ok(()) };
        let opinion = self.opinion(board, subject, fair, rng);
        let markets = session.markets(subject.event()).await?;
        match decide(&markets, &opinion, rng) {
            Some(intent) => session.place(&[intent]).await.map(drop),
            None => Ok(()),
        }
    }

    fn choose(&self, board: &Board, rng: &mut ChaCha8Rng) -> Option<Subject> {
        if let Temper::Fan(team) = self.temper {
            // Half of a fan's thoughts are with its own team.
            let own: Vec<Subject> = board
                .active()
                .iter()
                .map(|(subject, _)| *subject)
                .filter(|&subject| outcome_of(board, subject, team).is_some())
                .collect();
            if rng.random::<bool>()
                && let Some(subject) = own.choose(rng)
            {
                return Some(*subject);
            }
        }
        pick(board, rng)
    }

    fn opinion(&mut self, board: &Board, subject: Subject, fair: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
        let before = self.seen.insert(subject, fair.to_vec());
        let deviation = |chance: f64| NOISE * (chance * (1. - chance)).sqrt();
        let mut opinion: Vec<f64> = fair.iter().map(|&chance| chance + noise(deviation(chance), rng)).collect();
        match self.temper {
            Temper::Punter => {}
            Temper::Fan(team) => {
                if let Some(outcome) = outcome_of(board, subject, team) {
                    opinion[outcome] += LOYALTY * fair[outcome].sqrt();
                }
            }
            Temper::Chaser => {
                for ((opinion, now), before) in opinion.iter_mut().zip(fair).zip(before.as_deref().unwrap_or(fair)) {
                    *opinion += ECHO * (now - before);
                }
            }
        }
        opinion
    }
}

/// The most attractive price on either side of any outcome, if one is worth its fee; else, at times, an order that waits.
fn decide(markets: &[MarketInfo], opinion: &[f64], rng: &mut ChaCha8Rng) -> Option<Intent> {
    let size = |rng: &mut ChaCha8Rng| Lots(rng.random_range(5..=60) * 100);
    let mut best: Option<(f64, Intent)> = None;
    for (market, &opinion) in markets.iter().zip(opinion) {
        let fee = f64::from(market.taker_fee.0) / 1e6;
        let mut consider = |edge: f64, side, price| {
            if edge > 0. && best.is_none_or(|(other, _)| edge > other) {
                let kind = OrderKind::ImmediateOrCancel;
                best =
                    Some((edge, Intent { market: market.market, side, kind, size: Lots(0), price, expiry: TimeMs(0) }));
            }
        };
        if let Some(ask) = market.best_ask {
            consider(opinion - chance(ask) * (1. + fee), Side::Buy, ask);
        }
        if let Some(bid) = market.best_bid {
            consider(chance(bid) * (1. - fee) - opinion, Side::Sell, bid);
        }
    }
    if let Some((_, intent)) = best {
        return Some(Intent { size: size(rng), ..intent });
    }
    if rng.random_range(0..3) != 0 {
        return None;
    }
    let (market, &opinion) = markets.iter().zip(opinion).collect::<Vec<_>>().choose(rng).copied()?;
    if !(0.02..0.98).contains(&opinion) {
        return None;
    }
    let side = if rng.random() { Side::Buy } else { Side::Sell };
    let patience = 0.004 + 0.01 * opinion * (1. - opinion);
    let price = ticks(if side == Side::Buy { opinion - patience } else { opinion + patience });
    let kind = OrderKind::GoodTillCancelled;
    Some(Intent { market: market.market, side, kind, size: size(rng), price, expiry: after(RESTS) })
}

fn after(time: Duration) -> TimeMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from((now + time).as_millis()).unwrap_or(u64::MAX))
}
