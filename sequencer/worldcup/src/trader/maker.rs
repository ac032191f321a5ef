//! Market makers: a ladder of post-only orders on both sides of every outcome of an event, around the model's price,
//! leaning against what they hold, moved as the price moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use xos_types::{EventId, Lots, MarketId, Nonce, OrderKind, Side, Ticks, TimeMs};

use super::{TICKS, pick, ticks};
use crate::facts::Subject;
use crate::fair::Board;
use crate::session::{Intent, Session, Trouble};

const LEVELS: u8 = 3;
/// Lots of the innermost level, before the maker's own factor.
const SIZE: f64 = 4000.;
/// Outcomes below this chance are sold only, and those above the opposite bought only.
const LONG_SHOT: f64 = 0.005;
/// Where a long shot is offered, above its chance.
const LONG_SHOT_MARGIN: f64 = 0.002;
/// An outcome is quoted anew once its price has moved by this part of the spread, but not for less than a tick.
const TOLERANCE: f64 = 0.3;
/// A price that jumps by so many spreads is no longer quoted for a moment: every other maker's old quote is in the way.
const JUMP: f64 = 1.5;
/// Events are quoted anew, those being played first, until a step has sent so many orders.
const ORDERS_A_STEP: u32 = 60;
/// How often the maker asks the node what it holds and what rests: fills reach it this late at most.
const SYNC_EVERY: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug)]
struct Quote {
    nonce: Nonce,
    side: Side,
    price: Ticks,
}

/// Where an outcome should be quoted.
#[derive(Clone, Copy, Debug)]
struct Middle {
    market: MarketId,
    fair: f64,
    /// Around which price.
    price: f64,
    /// How far from it at least.
    half: f64,
}

#[derive(Debug)]
pub(super) struct Maker {
    quotes: BTreeMap<MarketId, Vec<Quote>>,
    positions: BTreeMap<MarketId, i64>,
    synced: Option<Instant>,
    /// The middle around which each outcome was last quoted.
    quoted: BTreeMap<MarketId, f64>,
    /// Factor on spreads and sizes, its own.
    width: f64,
    weight: f64,
    /// How wrong it is about chances, on the whole.
    opinion: f64,
}

impl Maker {
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            quotes: BTreeMap::new(),
            positions: BTreeMap::new(),
            synced: None,
            quoted: BTreeMap::new(),
            width: rng.random_range(0.8..1.5),
            weight: rng.random_range(0.6..1.6),
            opinion: rng.random_range(-0.1..0.1),
        }
    }

    /// The line broke: what rests is what the node says.
    pub(super) fn forget(&mut self) {
        self.synced = None;
        self.quoted.clear();
    }

    pub(super) async fn step(
        &mut self,
        session: &mut Session,
        board: &Board,
        rng: &mut ChaCha8Rng,
    ) -> Result<u32, Trouble> {
        if self.synced.is_none_or(|at| at.elapsed() > SYNC_EVERY) {
            self.sync(session).await?;
        }
        self.withdraw_from_decided(session, board).await?;
        let mut moved: Vec<(Subject, f64)> =
            board.active().iter().copied().filter(|&(subject, _)| self.has_moved(board, subject)).collect();
        moved.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut sent = 0;
        for &(subject, _) in &moved {
            if sent < ORDERS_A_STEP {
                sent += self.quote(session, board, subject).await?;
            }
        }
        if let Some(subject) = pick(board, rng)
            && moved.is_empty()
        {
            // Nothing moved: somewhere a quote may have been filled.
            self.forget_middles(subject);
            sent += self.quote(session, board, subject).await?;
        }
        Ok(sent)
    }

    fn has_moved(&self, board: &Board, subject: Subject) -> bool {
        let Some(fair) = board.fair(subject) else { return false };
        self.middles(subject.event(), fair).any(|middle| self.is_stale(&middle))
    }

    fn is_stale(&self, middle: &Middle) -> bool {
        let tolerance = (TOLERANCE * middle.half).max(1. / TICKS);
        self.quoted.get(&middle.market).is_none_or(|quoted| (quoted - middle.price).abs() > tolerance)
    }

    fn forget_middles(&mut self, subject: Subject) {
        self.quoted.retain(|market, _| market.event() != subject.event());
    }

    async fn sync(&mut self, session: &Session) -> Result<(), Trouble> {
        let account = session.account_info().await?;
        self.positions = account.positions.iter().map(|position| (position.market, position.lots.0)).collect();
        self.quotes.clear();
        for order in session.open_orders().await? {
            let quote = Quote { nonce: order.nonce, side: order.side, price: order.price };
            self.quotes.entry(order.market).or_default().push(quote);
        }
        self.synced = Some(Instant::now());
        Ok(())
    }

    /// Nobody should be able to trade with a maker who has not heard of the final whistle.
    async fn withdraw_from_decided(&mut self, session: &Session, board: &Board) -> Result<(), Trouble> {
        let decided: Vec<MarketId> =
            self.quotes.keys().copied().filter(|market| board.fair_of(market.event()).is_none()).collect();
        let nonces: Vec<Nonce> =
            decided.iter().filter_map(|market| self.quotes.remove(market)).flatten().map(|quote| quote.nonce).collect();
        session.cancel(&nonces).await.map(drop)
    }

    /// Moves the ladders of an event to where they belong; answers how many orders that took.
    async fn quote(&mut self, session: &mut Session, board: &Board, subject: Subject) -> Result<u32, Trouble> {
        let Some(fair) = board.fair(subject) else { return Ok(0) };
        let stale_middles: Vec<Middle> =
            self.middles(subject.event(), fair).filter(|middle| self.is_stale(middle)).collect();
        let mut missing: Vec<Intent> = Vec::new();
        let mut stale = Vec::new();
        for middle in &stale_middles {
            let jumps =
                self.quoted.get(&middle.market).is_some_and(|at| (at - middle.price).abs() > JUMP * middle.half);
            let mut wanted = if jumps { Vec::new() } else { self.ladder(middle) };
            let quotes = self.quotes.entry(middle.market).or_default();
            quotes.retain(|quote| {
                let place = wanted.iter().position(|want| want.side == quote.side && want.price == quote.price);
                match place {
                    Some(place) => drop(wanted.swap_remove(place)),
                    None => stale.push(quote.nonce),
                }
                place.is_some()
            });
            missing.extend(wanted);
            if jumps {
                self.quoted.remove(&middle.market);
            } else {
                self.quoted.insert(middle.market, middle.price);
            }
        }
        session.cancel(&stale).await?;
        for (intent, placed) in missing.iter().zip(session.place(&missing).await?) {
            if placed.outcome.is_ok_and(|ack| ack.remaining > Lots(0)) {
                let quote = Quote { nonce: placed.nonce, side: intent.side, price: intent.price };
                self.quotes.entry(intent.market).or_default().push(quote);
            }
        }
        Ok(u32::try_from(missing.len()).unwrap_or(u32::MAX))
    }

    /// Where each outcome of an event should be quoted.
    fn middles<'a>(&'a self, event: EventId, fair: &'a [f64]) -> impl Iterator<Item = Middle> + 'a {
        let holds = move |outcome: u8| {
            let lots = self.positions.get(&MarketId::new(event, outcome)).copied().unwrap_or(0);
            i32::try_from(lots).map_or(f64::from(i32::MAX), f64::from)
        };
        let outcomes = move || (0..fair.len()).map(crate::facts::small);
        // One of each outcome is money, not risk: only what differs from the average leans the quotes.
        let average = outcomes().map(holds).sum::<f64>() / f64::from(crate::facts::small(fair.len()));
        outcomes().map(move |outcome| {
            let fair = fair[usize::from(outcome)];
            let half = (0.002 + 0.028 * (fair * (1. - fair)).sqrt()) * self.width;
            // Less than the spread: leaning on inventory alone never crosses the price.
            let lean = 0.8 * half * ((holds(outcome) - average) / (SIZE * 8.)).tanh();
            let market = MarketId::new(event, outcome);
            Middle { market, fair, price: fair + half * self.opinion - lean, half }
        })
    }

    fn ladder(&self, middle: &Middle) -> Vec<Intent> {
        let Middle { market, fair, price, half } = *middle;
        let kind = OrderKind::PostOnly;
        let intent = |side, price, size| Intent { market, side, kind, size, price: ticks(price), expiry: TimeMs(0) };
        if fair < LONG_SHOT {
            return vec![intent(Side::Sell, fair + LONG_SHOT_MARGIN * self.width, lots(SIZE))];
        }
        if fair > 1. - LONG_SHOT {
            return vec![intent(Side::Buy, fair - LONG_SHOT_MARGIN * self.width, lots(SIZE))];
        }
        let step = (half * 0.6).max(1. / TICKS);
        let mut ladder = Vec::new();
        for level in 0..LEVELS {
            let distance = half + f64::from(level) * step;
            let size = lots(SIZE * self.weight * (1. + 0.5 * f64::from(level)));
            if price - distance >= 1. / TICKS {
                ladder.push(intent(Side::Buy, price - distance, size));
            }
            if price + distance <= 1. - 1. / TICKS {
                ladder.push(intent(Side::Sell, price + distance, size));
            }
        }
        ladder
    }
}

fn lots(size: f64) -> Lots {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are a few thousand lots")]
    Lots(size.clamp(1., 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn best(maker: &Maker, fair: &[f64], outcome: u8) -> (Option<Ticks>, Option<Ticks>) {
        let middle = maker.middles(EventId(20), fair).nth(outcome.into()).expect("there is such an outcome");
        let ladder = maker.ladder(&middle);
        assert!(ladder.iter().all(|intent| (1..=999).contains(&intent.price.0)));
        let side = |side| ladder.iter().filter(move |i| i.side == side).map(|i| i.price);
        (side(Side::Buy).max(), side(Side::Sell).min())
    }

    #[test]
    fn quotes_surround_the_price_and_never_cross() {
        for seed in 0..50 {
            let maker = Maker::new(&mut ChaCha8Rng::seed_from_u64(seed));
            for fair in [[0.5, 0.3, 0.2], [0.97, 0.02, 0.01], [0.004, 0.006, 0.99], [0.001, 0.001, 0.998]] {
                for outcome in 0..3 {
                    let (bid, ask) = best(&maker, &fair, outcome);
                    let fair = fair[usize::from(outcome)];
                    if let (Some(bid), Some(ask)) = (bid, ask) {
                        assert!(bid < ask, "{fair}: {bid} {ask}");
                    }
                    assert!(bid.is_none_or(|bid| bid <= ticks(fair)) && ask.is_none_or(|ask| ask >= ticks(fair)));
                    assert!(bid.is_some() || ask.is_some(), "{fair}: every outcome has a price");
                }
            }
        }
    }

    #[test]
    fn a_maker_leans_against_what_it_holds_but_not_against_complete_sets() {
        let mut maker = Maker::new(&mut ChaCha8Rng::seed_from_u64(1));
        let fair = [0.4, 0.3, 0.3];
        let flat = best(&maker, &fair, 0);
        maker.positions = (0..3).map(|outcome| (MarketId::new(EventId(20), outcome), 50_000)).collect();
        assert_eq!(best(&maker, &fair, 0), flat);
        maker.positions.insert(MarketId::new(EventId(20), 0), 150_000);
        let long = best(&maker, &fair, 0);
        assert!(long.0 < flat.0 && long.1 < flat.1);
    }
}
