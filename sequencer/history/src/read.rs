//! Questions.
//!
//! Lists come newest first, in pages: `before` is the sequence number that the page before ended with. What one command did stays
//! together, so a page may be a little longer than was asked for.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use sled::{IVec, Tree};
use xos_api::{Candle, FillRecord, FundingRecord, Interval, LiquidationRecord, OrderRecord, TradeInfo, TransferRecord};
use xos_types::{AccountId, Atoms, MarketId, Nonce, Position, TimeMs};

use crate::write::{WRITTEN, account, candle_key, order_key, position_key};
use crate::{History, HistoryError, Moment, get, read};

/// Index prices and funding indices are atoms per lot times this.
const PRICE_SCALE: i128 = 1_000_000_000;

/// A candle as it is written down so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandleSoFar {
    /// The last trade that it counts: its command, and its event's place among that command's.
    pub counted: (u64, u32),
    /// The candle.
    pub candle: Candle,
}

impl History {
    /// One order, if it was ever accepted.
    ///
    /// # Errors
    /// If the database refuses; so of all that follow.
    pub fn order(&self, account: AccountId, nonce: Nonce) -> Result<Option<OrderRecord>, HistoryError> {
        Ok(get::<(Moment, OrderRecord)>(&self.orders, &order_key(account, nonce))?.map(|(_, record)| record))
    }

    /// An account's orders, those placed last first.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn orders(&self, of: AccountId, before: Option<u64>, limit: usize) -> Result<Vec<OrderRecord>, HistoryError> {
        let nonces: Vec<(Moment, Nonce)> = newest(&self.placed, &account(of), before, limit)?;
        let orders = nonces.into_iter().filter_map(|(_, nonce)| self.order(of, nonce).transpose());
        orders.collect()
    }

    /// An account's sides of trades.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn fills(&self, of: AccountId, before: Option<u64>, limit: usize) -> Result<Vec<FillRecord>, HistoryError> {
        Ok(newest(&self.fills, &account(of), before, limit)?.into_iter().map(|(_, fill)| fill).collect())
    }

    /// What came to an account, left it, or moved between it and another.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn transfers(
        &self,
        of: AccountId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<TransferRecord>, HistoryError> {
        Ok(newest(&self.transfers, &account(of), before, limit)?.into_iter().map(|(_, record)| record).collect())
    }

    /// What was done about an account that fails, and what an account did about others.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn liquidations(
        &self,
        of: AccountId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LiquidationRecord>, HistoryError> {
        Ok(newest(&self.liquidations, &account(of), before, limit)?.into_iter().map(|(_, record)| record).collect())
    }

    /// The number of the frame that a command belongs to, and when it opened; `None` until it is sealed. What changed nothing that
    /// settles is in the log that the next sealed frame ends.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn frame_of(&self, sequence: u64) -> Result<Option<(u64, TimeMs)>, HistoryError> {
        self.frames.range(sequence.to_be_bytes()..).next().map(|entry| read(&entry?.1)).transpose()
    }

    /// A market's trades.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn trades(&self, of: MarketId, before: Option<u64>, limit: usize) -> Result<Vec<TradeInfo>, HistoryError> {
        Ok(newest(&self.trades, &of.0.to_be_bytes(), before, limit)?.into_iter().map(|(_, trade)| trade).collect())
    }

    /// Every market that ever traded.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn markets(&self) -> Result<Vec<MarketId>, HistoryError> {
        let mut markets = Vec::new();
        let mut from = 0u32;
        while let Some(entry) = self.trades.range(from.to_be_bytes()..).next() {
            let trade = read::<TradeInfo>(&entry?.1)?;
            markets.push(trade.market);
            let Some(next) = trade.market.0.checked_add(1) else { break };
            from = next;
        }
        Ok(markets)
    }

    /// A market's candles that begin in a stretch of time, `from` included and `until` not, oldest first; at most `limit`.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn candles(
        &self,
        market: MarketId,
        interval: Interval,
        from: TimeMs,
        until: TimeMs,
        limit: usize,
    ) -> Result<Vec<Candle>, HistoryError> {
        let parts = parts_of(interval);
        let mut candles: Vec<Candle> = Vec::new();
        // The first one begins in the stretch, and the last one may end behind it.
        let first = from.0.div_ceil(interval.ms()).saturating_mul(interval.ms());
        let end = until.0.div_ceil(interval.ms()).saturating_mul(interval.ms());
        let range = candle_key(market, parts, first)..candle_key(market, parts, end.max(first));
        for entry in self.candles.range(range) {
            let (_, part) = read::<(Moment, Candle)>(&entry?.1)?;
            let start = TimeMs(part.start.0 / interval.ms() * interval.ms());
            let is_full = candles.len() == limit;
            match candles.last_mut().filter(|last| last.start == start) {
                Some(last) => *last = joined(*last, part),
                None if is_full => break,
                None => candles.push(Candle { start, ..part }),
            }
        }
        Ok(candles)
    }

    /// The candle that a time lies in, as far as it is written down, even while it is being written.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn candle(
        &self,
        market: MarketId,
        interval: Interval,
        time: TimeMs,
    ) -> Result<Option<CandleSoFar>, HistoryError> {
        let mut seen = self.candle_once(market, interval, time)?;
        loop {
            // Its parts are read one after the other; what is read twice was there at one moment.
            let again = self.candle_once(market, interval, time)?;
            if again == seen {
                return Ok(seen);
            }
            seen = again;
        }
    }

    fn candle_once(
        &self,
        market: MarketId,
        interval: Interval,
        time: TimeMs,
    ) -> Result<Option<CandleSoFar>, HistoryError> {
        let start = time.0 / interval.ms() * interval.ms();
        let parts = parts_of(interval);
        let mut so_far: Option<CandleSoFar> = None;
        for entry in
            self.candles.range(candle_key(market, parts, start)..candle_key(market, parts, start + interval.ms()))
        {
            let (last, part) = read::<(Moment, Candle)>(&entry?.1)?;
            let counted = (last.sequence, last.event);
            so_far = Some(match so_far {
                Some(before) => CandleSoFar { counted, candle: joined(before.candle, part) },
                None => CandleSoFar { counted, candle: Candle { start: TimeMs(start), ..part } },
            });
        }
        Ok(so_far)
    }

    /// What funding brought an account's positions, in one perpetual or in all.
    ///
    /// # Errors
    /// See [`Self::order`].
    pub fn funding(
        &self,
        of: AccountId,
        market: Option<MarketId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<FundingRecord>, HistoryError> {
        let mut markets = BTreeSet::new();
        for entry in self.perpetuals.iter() {
            markets.insert(read::<MarketId>(&entry?.1)?);
        }
        let mut records = Vec::new();
        for market in markets.into_iter().filter(|perpetual| market.is_none_or(|market| market == *perpetual)) {
            self.funding_in(of, market, before, limit, &mut records)?;
        }
        records.sort_by_key(|record: &FundingRecord| std::cmp::Reverse((record.sequence, record.market)));
        cut(&mut records, limit, |record| record.sequence);
        Ok(records)
    }

    /// The same, of one perpetual: from the last position that it held back to the first.
    fn funding_in(
        &self,
        of: AccountId,
        market: MarketId,
        before: Option<u64>,
        limit: usize,
        records: &mut Vec<FundingRecord>,
    ) -> Result<(), HistoryError> {
        let mut end = Moment::of(before.unwrap_or(u64::MAX));
        let mut found = 0;
        let held = position_key(of, market, Moment::default())..position_key(of, market, end);
        for entry in self.positions.range(held).rev() {
            let (key, value) = entry?;
            let (since, position) = (Moment::at_end(&key), read::<Position>(&value)?);
            if position != Position(0) {
                let of_market = market.0.to_be_bytes();
                let range = [of_market.as_slice(), &since.key()].concat()..[of_market.as_slice(), &end.key()].concat();
                for entry in self.funding.range(range).rev() {
                    let (key, value) = entry?;
                    let (_, moved, time) = read::<(i128, i128, TimeMs)>(&value)?;
                    let amount = (-i128::from(position.0) * moved).div_euclid(PRICE_SCALE);
                    let sequence = Moment::at_end(&key).sequence;
                    records.push(FundingRecord { market, position, moved, amount: Atoms(amount), sequence, time });
                    found += 1;
                    if found == limit {
                        return Ok(());
                    }
                }
            }
            end = since;
        }
        Ok(())
    }
}

/// The newest entries under a prefix, and what else their last command did.
fn newest<T: DeserializeOwned>(
    tree: &Tree,
    prefix: &[u8],
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(Moment, T)>, HistoryError> {
    let end = [prefix, &Moment::of(before.unwrap_or(u64::MAX)).key()].concat();
    let mut found: Vec<(Moment, T)> = Vec::new();
    for entry in tree.range(prefix.to_vec()..end).rev() {
        let (key, value): (IVec, IVec) = entry?;
        let moment = Moment::read(&key[prefix.len()..]);
        if found.len() >= limit && found.last().is_none_or(|(last, _)| last.sequence != moment.sequence) {
            break;
        }
        found.push((moment, read(&value)?));
    }
    Ok(found)
}

/// Cuts a list that has the newest first, but not within what one command did.
fn cut<T>(list: &mut Vec<T>, limit: usize, sequence: impl Fn(&T) -> u64) {
    let Some(last) = limit.checked_sub(1).and_then(|last| list.get(last)).map(&sequence) else {
        return list.truncate(limit);
    };
    let kept = list.iter().take_while(|entry| sequence(entry) >= last).count();
    list.truncate(kept);
}

/// The candles of which one is put together.
fn parts_of(interval: Interval) -> Interval {
    let written = WRITTEN.into_iter().rev().find(|written| interval.ms().is_multiple_of(written.ms()));
    written.unwrap_or(Interval::Minute)
}

/// A candle and the one that follows it within the same stretch.
fn joined(candle: Candle, next: Candle) -> Candle {
    Candle {
        high: candle.high.max(next.high),
        low: candle.low.min(next.low),
        close: next.close,
        volume: candle.volume + next.volume,
        trades: candle.trades + next.trades,
        ..candle
    }
}
