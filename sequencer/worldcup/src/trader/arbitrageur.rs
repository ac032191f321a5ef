//! Arbitrageurs: exactly one outcome of an event pays 1. Where one of each can be bought for less than 1, or sold for
//! more, fees included, they do; a complete set counts as cash at once, so it needs no conversion and no waiting.

use rand_chacha::ChaCha8Rng;
use xos_api::{BookInfo, MarketInfo};
use xos_types::{Lots, OrderKind, Side, Ticks, TimeMs};

use super::{TICKS, chance, pick};
use crate::fair::Board;
use crate::session::{Intent, Session, Trouble};

/// Lots of one round at most.
const SIZE_MAX: Lots = Lots(10_000);
/// Profit per set that makes a round worth while, in parts of 1.
const EDGE: f64 = 0.5 / TICKS;

#[derive(Debug, Default)]
pub(super) struct Arbitrageur {
    /// An event where the last look promised something is looked at again before anything else.
    again: Option<crate::facts::Subject>,
}

impl Arbitrageur {
    pub(super) async fn step(
        &mut self,
        session: &mut Session,
        board: &Board,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Trouble> {
        let subject = self.again.take().filter(|&subject| board.fair(subject).is_some());
        let Some(subject) = subject.or_else(|| pick(board, rng)) else { return Ok(()) };
        let markets = session.markets(subject.event()).await?;
        let Some(side) = profitable(&markets) else { return Ok(()) };
        // The prices are right; how much is there?
        let tops: Vec<_> = markets.iter().map(|market| session.top(market.market)).collect();
        let books = futures::future::try_join_all(tops).await?;
        let Some(round) = round(&markets, &books, side) else { return Ok(()) };
        session.place(&round).await?;
        self.again = Some(subject);
        Ok(())
    }
}

/// Which side of every outcome to take, if the best prices leave a profit.
fn profitable(markets: &[MarketInfo]) -> Option<Side> {
    let sum = |best: fn(&MarketInfo) -> Option<Ticks>, fees: f64| {
        markets.iter().try_fold(0., |sum, market| {
            let fee = f64::from(market.taker_fee.0) / 1e6;
            best(market).map(|price| sum + chance(price) * (1. + fees * fee))
        })
    };
    if sum(|market| market.best_ask, 1.).is_some_and(|cost| cost < 1. - EDGE) {
        return Some(Side::Buy);
    }
    sum(|market| market.best_bid, -1.).is_some_and(|gain| gain > 1. + EDGE).then_some(Side::Sell)
}

/// One order per outcome, as large as the smallest of the best levels.
fn round(markets: &[MarketInfo], books: &[BookInfo], side: Side) -> Option<Vec<Intent>> {
    let mut intents = Vec::with_capacity(books.len());
    let mut size = SIZE_MAX;
    for book in books {
        let level = match side {
            Side::Buy => book.asks.first()?,
            Side::Sell => book.bids.first()?,
        };
        size = size.min(level.size);
        let kind = OrderKind::ImmediateOrCancel;
        intents.push(Intent { market: book.market, side, kind, size, price: level.price, expiry: TimeMs(0) });
    }
    // The books may have moved since the first look.
    let moved: Vec<MarketInfo> = markets
        .iter()
        .zip(&intents)
        .map(|(market, intent)| MarketInfo {
            best_ask: (side == Side::Buy).then_some(intent.price),
            best_bid: (side == Side::Sell).then_some(intent.price),
            ..market.clone()
        })
        .collect();
    profitable(&moved)?;
    for intent in &mut intents {
        intent.size = size;
    }
    Some(intents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xos_api::Level;
    use xos_types::{EventId, MarketId, Ppm, Rate, VenueId};

    fn market(outcome: u8, bid: u64, ask: u64) -> MarketInfo {
        MarketInfo {
            market: MarketId::new(EventId(20), outcome),
            venue: VenueId(1),
            event: EventId(20),
            label: String::new(),
            tick_size: "0.001".into(),
            lot_size: "0.01".into(),
            lowest: Ticks(1),
            highest: Ticks(999),
            quantum: 10,
            taker_fee: Ppm(1000),
            maker_fee: Rate(0),
            curve: false,
            restricted: false,
            isolated_only: false,
            position_cap: Lots(0),
            open_interest_cap: Lots(0),
            open_interest: Lots(0),
            best_bid: Some(Ticks(bid)),
            best_ask: Some(Ticks(ask)),
            last: None,
        }
    }

    fn book(outcome: u8, bid: (u64, u64), ask: (u64, u64)) -> BookInfo {
        let level = |(price, size)| vec![Level { price: Ticks(price), size: Lots(size), orders: 1 }];
        BookInfo { market: MarketId::new(EventId(20), outcome), sequence: 0, bids: level(bid), asks: level(ask) }
    }

    #[test]
    fn a_set_below_one_is_bought_and_above_one_sold_but_fees_count() {
        assert_eq!(profitable(&[market(0, 490, 495), market(1, 480, 500)]), Some(Side::Buy));
        assert_eq!(profitable(&[market(0, 510, 520), market(1, 500, 520)]), Some(Side::Sell));
        assert_eq!(profitable(&[market(0, 490, 499), market(1, 480, 500)]), None);
        assert_eq!(profitable(&[market(0, 500, 510), market(1, 501, 510)]), None);
    }

    #[test]
    fn every_leg_has_the_size_of_the_smallest_level_and_a_moved_book_stops_the_round() {
        let markets = [market(0, 490, 495), market(1, 480, 490)];
        let books = [book(0, (490, 5), (495, 700)), book(1, (480, 5), (490, 300))];
        let round_trip = round(&markets, &books, Side::Buy).expect("it is profitable");
        assert!(round_trip.iter().all(|intent| intent.size == Lots(300) && intent.side == Side::Buy));
        let moved = [book(0, (490, 5), (495, 700)), book(1, (480, 5), (520, 300))];
        assert_eq!(round(&markets, &moved, Side::Buy), None);
    }
}
