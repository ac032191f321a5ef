//! What happened lately, for people who ask: bounded and in memory. What happened earlier, [`xos_history`] knows.

use std::collections::{BTreeMap, VecDeque};

use xos_api::TradeInfo;
use xos_types::{Event, MarketId, Ticks, TimeMs};

/// Trades that are kept for each market.
pub(crate) const TRADES_MAX: usize = 1000;

/// The latest trades of every market.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Oldest first.
    trades: BTreeMap<MarketId, VecDeque<TradeInfo>>,
}

impl History {
    /// As it was after a command, as far as the history on the disk knows.
    ///
    /// # Errors
    /// If that cannot be read.
    pub(crate) fn load(from: &xos_history::History, sequence: u64) -> Result<Self, xos_history::HistoryError> {
        let mut trades = BTreeMap::new();
        for market in from.markets()? {
            let latest = from.trades(market, Some(sequence + 1), TRADES_MAX)?;
            trades.insert(market, latest.into_iter().rev().collect());
        }
        Ok(Self { trades })
    }

    /// Takes note of what one command caused.
    pub(crate) fn record(&mut self, sequence: u64, time: TimeMs, events: &[Event]) {
        for trade in trades(sequence, time, events) {
            let kept = self.trades.entry(trade.market).or_default();
            if kept.len() == TRADES_MAX {
                kept.pop_front();
            }
            kept.push_back(trade);
        }
    }

    /// Price of the market's last trade.
    #[must_use]
    pub(crate) fn last(&self, market: MarketId) -> Option<Ticks> {
        self.trades.get(&market)?.back().map(|trade| trade.price)
    }

    /// The market's latest trades, newest first.
    #[must_use]
    pub(crate) fn trades(&self, market: MarketId, limit: usize) -> Vec<TradeInfo> {
        self.trades.get(&market).into_iter().flat_map(|kept| kept.iter().rev()).take(limit).copied().collect()
    }
}

/// The trades among a command's events.
pub(crate) fn trades(sequence: u64, time: TimeMs, events: &[Event]) -> impl Iterator<Item = TradeInfo> {
    events.iter().filter_map(move |event| {
        let (market, price, size, taker_side) = match event {
            Event::Filled(fill) => (fill.market, fill.price, fill.size, Some(fill.taker_side)),
            Event::AuctionFilled(fill) => (fill.market, fill.price, fill.size, None),
            _ => return None,
        };
        Some(TradeInfo { market, sequence, time, price, size, taker_side })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fill;

    #[test]
    fn the_newest_trades_are_kept_and_come_first() {
        let mut history = History::default();
        for sequence in 1..=1500 {
            history.record(sequence, TimeMs(sequence), &[fill(MarketId(256), sequence)]);
        }
        let trades = history.trades(MarketId(256), 2000);
        assert_eq!(trades.len(), TRADES_MAX);
        assert_eq!((trades[0].sequence, trades[999].sequence), (1500, 501));
        assert_eq!(history.last(MarketId(256)), Some(Ticks(1500)));
        assert_eq!(history.last(MarketId(257)), None);
    }
}
