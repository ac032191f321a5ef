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
/// A price that has moved by this much since it was quoted is quoted anew.
const MOVED: f64 = 0.004;
/// Events that are quoted anew in one step: those being played come first.
const EVENTS_A_STEP: usize = 3;
/// How often the maker asks the node what it holds and what rests: fills reach it this late at most.
const SYNC_EVERY: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug)]
struct Quote {
    nonce: Nonce,
    side: Side,
    price: Ticks,
}

#[derive(Debug)]
pub(super) struct Maker {
    quotes: BTreeMap<MarketId, Vec<Quote>>,
    positions: BTreeMap<MarketId, i64>,
    synced: Option<Instant>,
    /// Chances as they were when they were last quoted.
    quoted: BTreeMap<Subject, Vec<f64>>,
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
            opinion: rng.random_range(-0.15..0.15),
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
    ) -> Result<(), Trouble> {
        if self.synced.is_none_or(|at| at.elapsed() > SYNC_EVERY) {
            self.sync(session).await?;
        }
        self.withdraw_from_decided(session, board).await?;
        let mut moved: Vec<(Subject, f64)> =
            board.active().iter().copied().filter(|&(subject, _)| self.has_moved(board, subject)).collect();
        moved.sort_by(|a, b| b.1.total_cmp(&a.1));
        for &(subject, _) in moved.iter().take(EVENTS_A_STEP) {
            self.quote(session, board, subject).await?;
        }
        if !moved.is_empty() {
            return Ok(());
        }
        // Nothing moved: somewhere a quote may have been filled.
        match pick(board, rng) {
            Some(subject) => self.quote(session, board, subject).await,
            None => Ok(()),
        }
    }

    fn has_moved(&self, board: &Board, subject: Subject) -> bool {
        let (Some(now), Some(then)) = (board.fair(subject), self.quoted.get(&subject)) else { return true };
        now.iter().zip(then).any(|(now, then)| (now - then).abs() > MOVED)
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

    async fn quote(&mut self, session: &mut Session, board: &Board, subject: Subject) -> Result<(), Trouble> {
        let Some(fair) = board.fair(subject) else { return Ok(()) };
        let event = subject.event();
        let wanted = self.ladder(event, fair);
        let mut missing = wanted.clone();
        let mut stale = Vec::new();
        for outcome in (0..fair.len()).map(crate::facts::small) {
            let Some(quotes) = self.quotes.get_mut(&MarketId::new(event, outcome)) else { continue };
            quotes.retain(|quote| {
                let market = MarketId::new(event, outcome);
                let place = missing
                    .iter()
                    .position(|want| want.market == market && want.side == quote.side && want.price == quote.price);
                match place {
                    Some(place) => drop(missing.swap_remove(place)),
                    None => stale.push(quote.nonce),
                }
                place.is_some()
            });
        }
        self.quoted.insert(subject, fair.to_vec());
        session.cancel(&stale).await?;
        for (intent, placed) in missing.iter().zip(session.place(&missing).await?) {
            if placed.outcome.is_ok_and(|ack| ack.remaining > Lots(0)) {
                let quote = Quote { nonce: placed.nonce, side: intent.side, price: intent.price };
                self.quotes.entry(intent.market).or_default().push(quote);
            }
        }
        Ok(())
    }

    fn ladder(&self, event: EventId, fair: &[f64]) -> Vec<Intent> {
        let holds = |outcome: u8| {
            let lots = self.positions.get(&MarketId::new(event, outcome)).copied().unwrap_or(0);
            i32::try_from(lots).map_or(f64::from(i32::MAX), f64::from)
        };
        let outcomes = || (0..fair.len()).map(crate::facts::small);
        // One of each outcome is money, not risk: only what differs from the average leans the quotes.
        let average = outcomes().map(holds).sum::<f64>() / f64::from(crate::facts::small(fair.len()));
        let mut ladder = Vec::new();
        for outcome in outcomes() {
            let fair = fair[usize::from(outcome)];
            let intent = |side, price, size| Intent {
                market: MarketId::new(event, outcome),
                side,
                kind: OrderKind::PostOnly,
                size,
                price,
                expiry: TimeMs(0),
            };
            if fair < LONG_SHOT {
                ladder.push(intent(Side::Sell, ticks(fair + LONG_SHOT_MARGIN * self.width), lots(SIZE)));
                continue;
            }
            if fair > 1. - LONG_SHOT {
                ladder.push(intent(Side::Buy, ticks(fair - LONG_SHOT_MARGIN * self.width), lots(SIZE)));
                continue;
            }
            let spread = (fair * (1. - fair)).sqrt();
            let half = (0.002 + 0.028 * spread) * self.width;
            // Less than the spread: leaning on inventory alone never crosses the price.
            let lean = 0.8 * half * ((holds(outcome) - average) / (SIZE * 8.)).tanh();
            let middle = fair + half * self.opinion - lean;
            let step = (half * 0.6).max(1. / TICKS);
            for level in 0..LEVELS {
                let distance = half + f64::from(level) * step;
                let size = lots(SIZE * self.weight * (1. + 0.5 * f64::from(level)));
                if middle - distance >= 1. / TICKS {
                    ladder.push(intent(Side::Buy, ticks(middle - distance), size));
                }
                if middle + distance <= 1. - 1. / TICKS {
                    ladder.push(intent(Side::Sell, ticks(middle + distance), size));
                }
            }
        }
        // Rounded to ticks, two levels may meet at one price.
        ladder.sort_by_key(|intent| (intent.market, intent.side, intent.price));
        ladder.dedup_by_key(|intent| (intent.market, intent.side, intent.price));
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

    fn best(ladder: &[Intent], outcome: u8) -> (Option<Ticks>, Option<Ticks>) {
        let market = MarketId::new(EventId(20), outcome);
        let side = |side| ladder.iter().filter(move |i| i.market == market && i.side == side).map(|i| i.price);
        (side(Side::Buy).max(), side(Side::Sell).min())
    }

    #[test]
    fn quotes_surround_the_price_and_never_cross() {
        for seed in 0..50 {
            let maker = Maker::new(&mut ChaCha8Rng::seed_from_u64(seed));
            for fair in [[0.5, 0.3, 0.2], [0.97, 0.02, 0.01], [0.004, 0.006, 0.99], [0.001, 0.001, 0.998]] {
                let ladder = maker.ladder(EventId(20), &fair);
                for (outcome, fair) in (0..).zip(fair) {
                    let (bid, ask) = best(&ladder, outcome);
                    if let (Some(bid), Some(ask)) = (bid, ask) {
                        assert!(bid < ask, "{fair}: {bid} {ask}");
                    }
                    assert!(bid.is_none_or(|bid| bid <= ticks(fair)) && ask.is_none_or(|ask| ask >= ticks(fair)));
                    assert!(bid.is_some() || ask.is_some(), "{fair}: every outcome has a price");
                }
                assert!(ladder.iter().all(|intent| (1..=999).contains(&intent.price.0)));
            }
        }
    }

    #[test]
    fn a_maker_leans_against_what_it_holds_but_not_against_complete_sets() {
        let mut maker = Maker::new(&mut ChaCha8Rng::seed_from_u64(1));
        let fair = [0.4, 0.3, 0.3];
        let flat = best(&maker.ladder(EventId(20), &fair), 0);
        maker.positions = (0..3).map(|outcome| (MarketId::new(EventId(20), outcome), 50_000)).collect();
        assert_eq!(best(&maker.ladder(EventId(20), &fair), 0), flat);
        maker.positions.insert(MarketId::new(EventId(20), 0), 150_000);
        let long = best(&maker.ladder(EventId(20), &fair), 0);
        assert!(long.0 < flat.0 && long.1 < flat.1);
    }
}
