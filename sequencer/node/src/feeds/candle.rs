//! A candle that somebody watches: what the history has written down of it, and the trades since.

use xos_api::{Candle, CandlesMessage, Interval, Sequence, TradeInfo};
use xos_history::CandleSoFar;
use xos_types::{MarketId, TimeMs, VenueId};

/// Trades that may wait for the history's word. It is asked for at once, and speaks within a second or is not heard at all.
const WAITING_MAX: usize = 1 << 16;

/// The open candle of a market.
pub(crate) struct FollowedCandle {
    venue: VenueId,
    market: MarketId,
    interval: Interval,
    /// Trades since the candle is followed, with their places in the log, until it is known what came before.
    waiting: Option<Vec<((u64, u32), TradeInfo)>>,
    open: Option<Candle>,
    /// Candles that ended since the last message.
    complete: Vec<Candle>,
    /// The last trade's command, if it was not told yet.
    untold: Option<u64>,
}

impl FollowedCandle {
    pub(crate) fn new(venue: VenueId, market: MarketId, interval: Interval) -> Self {
        let waiting = Some(Vec::new());
        Self { venue, market, interval, waiting, open: None, complete: Vec::new(), untold: None }
    }

    /// Whether it is known what came before it was followed.
    pub(crate) fn is_whole(&self) -> bool {
        self.waiting.is_none()
    }

    /// What the history says of it, at some moment since it is followed.
    pub(crate) fn begin(&mut self, so_far: Option<CandleSoFar>) {
        let Some(waiting) = self.waiting.take() else { return };
        let counted = so_far.map_or((0, 0), |so_far| so_far.counted);
        self.open = so_far.map(|so_far| so_far.candle);
        for (place, trade) in waiting {
            if so_far.is_none() || place > counted {
                self.add(trade);
            }
        }
        self.complete.clear();
        self.untold = None;
    }

    /// The next trade; false if it cannot be kept.
    #[must_use]
    pub(crate) fn trade(&mut self, event: u32, trade: TradeInfo) -> bool {
        match &mut self.waiting {
            Some(waiting) if waiting.len() == WAITING_MAX => return false,
            Some(waiting) => waiting.push(((trade.sequence, event), trade)),
            None => self.add(trade),
        }
        true
    }

    fn add(&mut self, trade: TradeInfo) {
        let TradeInfo { sequence, time, price, size, .. } = trade;
        let start = TimeMs(time.0 / self.interval.ms() * self.interval.ms());
        self.untold = Some(sequence);
        if let Some(open) = self.open.as_mut().filter(|open| open.start == start) {
            open.high = open.high.max(price);
            open.low = open.low.min(price);
            open.close = price;
            open.volume += u128::from(size.0);
            open.trades += 1;
            return;
        }
        let begun =
            Candle { start, open: price, high: price, low: price, close: price, volume: size.0.into(), trades: 1 };
        self.complete.extend(self.open.replace(begun));
    }

    /// Whether something is to be told.
    pub(crate) fn has_changed(&self) -> bool {
        self.untold.is_some()
    }

    /// What changed since the last message, and the command that changed it last.
    pub(crate) fn take(&mut self) -> Option<(u64, Vec<Candle>)> {
        let sequence = self.untold.take()?;
        Some((sequence, std::mem::take(&mut self.complete).into_iter().chain(self.open).collect()))
    }

    /// The candle as it was last told.
    pub(crate) fn whole(&self) -> Vec<Candle> {
        self.open.into_iter().collect()
    }

    pub(crate) fn message(
        &self,
        sequence: Sequence,
        previous: Option<Sequence>,
        candles: Vec<Candle>,
    ) -> CandlesMessage {
        let Self { venue, market, interval, .. } = *self;
        CandlesMessage { venue, market, interval, sequence, previous, candles }
    }
}

#[cfg(test)]
mod tests {
    use xos_types::{Lots, Ticks};

    use super::*;

    const MARKET: MarketId = MarketId(256);

    fn trade(sequence: u64, minute: u64, price: u64) -> TradeInfo {
        let time = TimeMs(minute * 60_000 + 5);
        TradeInfo { market: MARKET, sequence, time, price: Ticks(price), size: Lots(2), taker_side: None }
    }

    #[test]
    fn a_candle_counts_every_trade_once_whatever_the_history_knew_of_it() {
        let mut followed = FollowedCandle::new(VenueId(1), MARKET, Interval::Minute);
        for (event, sequence, price) in [(3, 10, 50), (5, 10, 60), (1, 11, 40)] {
            assert!(followed.trade(event, trade(sequence, 7, price)));
        }
        let start = TimeMs(7 * 60_000);
        let (open, price) = (Ticks(45), Ticks(50));
        // It has counted the first of the three, and one before anybody followed.
        let candle = Candle { start, open, high: price, low: open, close: price, volume: 4, trades: 2 };
        followed.begin(Some(CandleSoFar { counted: (10, 3), candle }));
        assert!(!followed.has_changed(), "what a reader begins with needs no telling");
        let expected = Candle { start, open, high: Ticks(60), low: Ticks(40), close: Ticks(40), volume: 8, trades: 4 };
        assert_eq!(followed.whole(), [expected]);
        // The next minute: the candle is complete, and another one begins.
        assert!(followed.trade(1, trade(12, 7, 41)) && followed.trade(1, trade(13, 8, 42)));
        let (sequence, told) = followed.take().unwrap();
        assert_eq!((sequence, told.len(), told[0].trades, told[0].close, told[1].trades), (13, 2, 5, Ticks(41), 1));
        assert_eq!(followed.take(), None);
    }
}
