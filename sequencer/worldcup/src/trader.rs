//! The traders: forty or more tasks with keys of their own, which know the public JSON-RPC and the board, and nothing else.

mod arbitrageur;
mod maker;
mod taker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::sleep;
use xos_api::Code;
use xos_types::Ticks;

use crate::facts::{Subject, Team};
use crate::fair::Board;
use crate::session::{Session, Trouble};
use arbitrageur::Arbitrageur;
use maker::Maker;
use taker::{Taker, Temper};

/// Price of certainty, in ticks: the World Cup's markets quote thousandths.
const TICKS: f64 = 1000.;
/// Between two orders of one trader, on average, however many go into one call.
const PACE: Duration = Duration::from_millis(5);
/// But nobody looks away from a match for longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Frames waiting for settlement above which takers hold back.
const BACKLOG_COMFORTABLE: u64 = 4;

/// What kind of trader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Quotes both sides around the model's price.
    Maker,
    /// Has an opinion and pays the spread for it.
    Taker,
    /// Sees to it that the outcomes of an event sum to 1.
    Arbitrageur,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Taker => "taker",
            Self::Arbitrageur => "arbitrageur",
        }
    }

    /// Whole tokens that one brings along.
    #[must_use]
    pub const fn capital(self) -> u128 {
        match self {
            Self::Maker => 500_000,
            Self::Taker => 50_000,
            Self::Arbitrageur => 100_000,
        }
    }

    /// The kinds of so many traders: about three makers and two arbitrageurs to five takers.
    #[must_use]
    pub fn cast(traders: usize) -> Vec<Self> {
        (0..traders)
            .map(|index| match index % 10 {
                0 | 3 | 6 => Self::Maker,
                2 | 7 => Self::Arbitrageur,
                _ => Self::Taker,
            })
            .collect()
    }
}

/// What every trader can see without asking the node.
#[derive(Clone, Debug)]
pub struct Floor {
    /// The model's prices and the state of play, as the stadium sees them: what makers pay for.
    pub stadium: watch::Receiver<Arc<Board>>,
    /// The same a moment later: what everybody else sees.
    pub television: watch::Receiver<Arc<Board>>,
    /// Frames that wait for settlement.
    pub backlog: Arc<AtomicU64>,
    /// Turns true when trading ends.
    pub closing: watch::Receiver<bool>,
}

impl Floor {
    fn board(&self, kind: Kind) -> Arc<Board> {
        let board = match kind {
            Kind::Maker => &self.stadium,
            Kind::Taker | Kind::Arbitrageur => &self.television,
        };
        Arc::clone(&board.borrow())
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }
}

/// One trader.
#[derive(Debug)]
pub struct Trader {
    /// Its name on the screen.
    pub name: String,
    /// What kind it is.
    pub kind: Kind,
    /// Its line to the node.
    pub session: Session,
    strategy: Strategy,
    rng: ChaCha8Rng,
}

#[derive(Debug)]
enum Strategy {
    Maker(Maker),
    Taker(Taker),
    Arbitrageur(Arbitrageur),
}

impl Trader {
    /// The `index`-th trader of the cast.
    #[must_use]
    pub fn new(index: usize, kind: Kind, session: Session, seed: u64) -> Self {
        let salt = u64::try_from(index).unwrap_or_default();
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(salt));
        let (name, strategy) = match kind {
            Kind::Maker => (format!("maker {index}"), Strategy::Maker(Maker::new(&mut rng))),
            Kind::Arbitrageur => (format!("arbitrageur {index}"), Strategy::Arbitrageur(Arbitrageur::default())),
            Kind::Taker => {
                let temper = Temper::pick(index, &mut rng);
                (format!("{} {index}", temper.name()), Strategy::Taker(Taker::new(temper)))
            }
        };
        Self { name, kind, session, strategy, rng }
    }

    /// Trades until the floor closes, through broken lines; then takes its orders out of the books and has the log
    /// confirm what was acknowledged.
    ///
    /// # Errors
    /// If the node stays away.
    pub async fn run(mut self, floor: Floor) -> Result<Self, Trouble> {
        while !floor.is_closing() {
            match self.step(&floor).await {
                Ok(sent) => self.pause(&floor, sent).await,
                Err(trouble) => self.recover(trouble).await?,
            }
        }
        loop {
            match self.leave().await {
                Ok(()) => return Ok(self),
                Err(trouble) => self.recover(trouble).await?,
            }
        }
    }

    /// Answers how many orders were sent.
    async fn step(&mut self, floor: &Floor) -> Result<u32, Trouble> {
        let board = floor.board(self.kind);
        let Self { session, strategy, rng, .. } = self;
        match strategy {
            Strategy::Maker(maker) => maker.step(session, &board, rng).await,
            Strategy::Taker(taker) => taker.step(session, &board, rng).await.map(|()| 0),
            Strategy::Arbitrageur(arbitrageur) => arbitrageur.step(session, &board, rng).await.map(|()| 0),
        }
    }

    async fn pause(&mut self, floor: &Floor, sent: u32) {
        let (shortest, longest) = match self.kind {
            Kind::Maker => (60, 120),
            Kind::Taker => (150, 500),
            Kind::Arbitrageur => (150, 400),
        };
        let mut pause = Duration::from_millis(self.rng.random_range(shortest..longest)) + PACE * sent;
        if floor.stadium.borrow().snapshot.live().next().is_some() {
            pause = pause.min(PAUSE_MAX);
        }
        let backlog = floor.backlog.load(Ordering::Relaxed);
        if self.kind != Kind::Maker && backlog > BACKLOG_COMFORTABLE {
            pause *= u32::try_from(backlog - BACKLOG_COMFORTABLE).unwrap_or(10).clamp(2, 10);
        }
        let mut closing = floor.closing.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = closing.changed() => {}
        }
    }

    async fn recover(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        match trouble {
            Trouble::Lost(_) => {
                self.session.resume().await?;
                if let Strategy::Maker(maker) = &mut self.strategy {
                    maker.forget();
                }
                Ok(())
            }
            Trouble::Refused { code, .. }
                if [Code::Overloaded, Code::Unavailable, Code::Stopping].map(|wait| wait as i32).contains(&code) =>
            {
                sleep(Duration::from_millis(250)).await;
                Ok(())
            }
            other => Err(other),
        }
    }

    async fn leave(&mut self) -> Result<(), Trouble> {
        let open = self.session.open_orders().await?;
        let nonces: Vec<_> = open.iter().map(|order| order.nonce).collect();
        self.session.cancel(&nonces).await?;
        self.session.verify_all().await
    }
}

/// Somewhere to trade, the busier places more often.
fn pick(board: &Board, rng: &mut ChaCha8Rng) -> Option<Subject> {
    board.active().choose_weighted(rng, |(_, weight)| *weight).ok().map(|(subject, _)| *subject)
}

/// Which outcome of an event a team's success is.
fn outcome_of(board: &Board, subject: Subject, team: Team) -> Option<usize> {
    match subject {
        Subject::Champion => Some(team.index()),
        Subject::GroupWinner(group) => (team.group() == group).then(|| team.place()),
        Subject::After90(id) | Subject::Decided(id) => {
            let end = board.snapshot.known.teams(id)?.iter().position(|&playing| playing == team)?;
            Some(match subject {
                Subject::After90(_) => end * 2,
                _ => end,
            })
        }
    }
}

/// A chance as a valid price, rounded to the nearest tick.
fn ticks(chance: f64) -> Ticks {
    let bounded = (chance * TICKS).round().clamp(1., TICKS - 1.);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 1 and 999")]
    Ticks(bounded as u64)
}

fn chance(price: Ticks) -> f64 {
    f64::from(u32::try_from(price.0).unwrap_or(u32::MAX)) / TICKS
}

/// Roughly normal: the sum of four uniform numbers, scaled to the wanted deviation.
fn noise(deviation: f64, rng: &mut ChaCha8Rng) -> f64 {
    let sum: f64 = (0..4).map(|_| rng.random::<f64>() - 0.5).sum();
    sum * deviation * 3_f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_cast_has_every_kind_in_earnest() {
        let cast = Kind::cast(48);
        let count = |kind| cast.iter().filter(|&&k| k == kind).count();
        assert!(count(Kind::Maker) >= 12 && count(Kind::Taker) >= 20 && count(Kind::Arbitrageur) >= 8);
        assert_eq!(Kind::cast(10).len(), 10);
    }

    #[test]
    fn prices_stay_valid_and_noise_is_centred() {
        assert_eq!([-1., 0., 0.25, 0.2504, 1., 2.].map(ticks), [1, 1, 250, 250, 999, 999].map(Ticks));
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let samples: Vec<f64> = (0..10_000).map(|_| noise(0.1, &mut rng)).collect();
        let mean = samples.iter().sum::<f64>() / 10_000.;
        let deviation = (samples.iter().map(|x| x * x).sum::<f64>() / 10_000.).sqrt();
        assert!(mean.abs() < 0.01 && (0.09..0.11).contains(&deviation), "{mean} {deviation}");
    }
}
