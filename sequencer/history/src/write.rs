//! From events to records.

use xos_api::{Candle, FillRecord, Interval, OrderRecord, OrderState, Role, TradeInfo};
use xos_types::{
    AccountId, Atoms, AuctionParty, Event, FeedId, Lots, MarketId, Nonce, Order, Position, Side, Ticks, TimeMs,
};

use crate::{CURSOR, History, HistoryError, Moment, get, put};

/// Candles that are written; the others are put together from these.
pub(crate) const WRITTEN: [Interval; 3] = [Interval::Minute, Interval::Hour, Interval::Day];

/// Where in the log an event stands, and when it was.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) moment: Moment,
    pub(crate) time: TimeMs,
}

/// Whose side of a trade, and what it paid.
#[derive(Clone, Copy)]
struct Party {
    account: AccountId,
    nonce: Nonce,
    fee: Atoms,
}

/// What changed an order last, and the order.
type Kept = (Moment, OrderRecord);

impl History {
    /// Takes note of what the commands up to `sequence` caused, each with its number, its frame's time and its events. Commands
    /// must come in order, without gaps from the cursor on; such as were noted before may come again.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn record<'a>(
        &self,
        commands: impl IntoIterator<Item = (u64, TimeMs, &'a [Event])>,
    ) -> Result<(), HistoryError> {
        let mut last = 0;
        for (sequence, time, events) in commands {
            for (number, event) in (0..).zip(events) {
                self.note(event, At { moment: Moment { sequence, event: number }, time })?;
            }
            last = sequence;
        }
        if last > self.cursor()? {
            put(&self.meta, CURSOR.as_bytes(), &last)?;
        }
        Ok(())
    }

    fn note(&self, event: &Event, at: At) -> Result<(), HistoryError> {
        self.note_transfers(event, at)?;
        self.note_liquidations(event, at)?;
        match event {
            Event::Accepted { order } => self.begin(order, OrderState::Open, at),
            Event::Planned { order, .. } => self.begin(order, OrderState::Waiting, at),
            Event::Rested { account, nonce, .. } => {
                self.change(*account, *nonce, at, |record| record.state = OrderState::Open)
            }
            Event::Reduced { account, nonce, remaining, .. } => {
                self.change(*account, *nonce, at, |record| record.remaining = *remaining)
            }
            Event::Cancelled { account, nonce, reason, .. } => self.change(*account, *nonce, at, |record| {
                record.state = OrderState::Cancelled(*reason);
                record.remaining = Lots(0);
            }),
            Event::Filled(fill) => {
                let trade = trade(at, fill.market, fill.price, fill.size, Some(fill.taker_side));
                let maker = Party { account: fill.maker, nonce: fill.maker_nonce, fee: fill.maker_fee };
                let taker = Party { account: fill.taker, nonce: fill.taker_nonce, fee: fill.taker_fee };
                self.trade(trade, at)?;
                self.fill(trade, maker, fill.taker_side.opposite(), Role::Maker, at)?;
                self.fill(trade, taker, fill.taker_side, Role::Taker, at)
            }
            Event::AuctionFilled(fill) => {
                let trade = trade(at, fill.market, fill.price, fill.size, None);
                self.trade(trade, at)?;
                self.fill(trade, auctioned(fill.buyer), Side::Buy, Role::Auction, at)?;
                self.fill(trade, auctioned(fill.seller), Side::Sell, Role::Auction, at)
            }
            Event::PerpetualSet { market, feed, .. } => put(&self.perpetuals, &[feed.0], market),
            Event::AssetSet { feed, config } => put(&self.assets, &[feed.0], &config.token),
            Event::Funded { feed, index } => self.fund(*feed, *index, at),
            Event::FrameSealed(frame) => put(&self.frames, &frame.sequence.to_be_bytes(), &(frame.id, frame.time)),
            Event::Liquidated { account, keeper, market, size, .. } => {
                self.move_position(*account, *market, -size.0, at)?;
                self.move_position(*keeper, *market, size.0, at)
            }
            Event::TakenOver { account, market, size, .. } => {
                self.move_position(*account, *market, -size.0, at)?;
                self.move_position(AccountId::INSURANCE, *market, size.0, at)
            }
            Event::Deleveraged { account, market, size, others, .. } => {
                self.move_position(*account, *market, -size.0, at)?;
                for other in others {
                    let lots = i64::try_from(other.size.0).unwrap_or(i64::MAX);
                    self.move_position(other.account, *market, lots * size.0.signum(), at)?;
                }
                Ok(())
            }
            Event::Closed { account, market, .. } => {
                let held = self.position_before(*account, *market, at.moment)?.unwrap_or(0);
                self.move_position(*account, *market, -held, at)
            }
            _ => Ok(()),
        }
    }

    fn begin(&self, order: &Order, state: OrderState, at: At) -> Result<(), HistoryError> {
        let key = order_key(order.account, order.nonce);
        if self.orders.contains_key(key)? {
            return Ok(());
        }
        let record = OrderRecord {
            order: *order,
            state,
            filled: Lots(0),
            remaining: order.size,
            notional: 0,
            fees: Default::default(),
            placed: at.moment.sequence,
            placed_at: at.time,
            changed: at.moment.sequence,
            changed_at: at.time,
        };
        // In this order: a sudden death between the two must not leave an order that is known and not listed.
        put(&self.placed, &[account(order.account).as_slice(), &at.moment.key()].concat(), &order.nonce)?;
        put(&self.orders, &key, &(at.moment, record))
    }

    /// Changes the record of an order, unless it knows of this event.
    fn change(
        &self,
        account: AccountId,
        nonce: Nonce,
        at: At,
        change: impl FnOnce(&mut OrderRecord),
    ) -> Result<(), HistoryError> {
        let key = order_key(account, nonce);
        let Some((last, mut record)) = get::<Kept>(&self.orders, &key)? else { return Ok(()) };
        if at.moment <= last {
            return Ok(());
        }
        change(&mut record);
        (record.changed, record.changed_at) = (at.moment.sequence, at.time);
        put(&self.orders, &key, &(at.moment, record))
    }

    fn fill(&self, trade: TradeInfo, party: Party, side: Side, role: Role, at: At) -> Result<(), HistoryError> {
        let Party { account: owner, nonce, fee } = party;
        let TradeInfo { market, price, size, sequence, time, .. } = trade;
        let record = FillRecord { account: owner, nonce, market, side, price, size, fee, role, sequence, time };
        let key = [account(owner).as_slice(), &at.moment.key(), &[side as u8]].concat();
        put(&self.fills, &key, &record)?;
        self.change(owner, nonce, at, |record| {
            record.filled.0 += size.0;
            record.remaining.0 = record.remaining.0.saturating_sub(size.0);
            record.notional += u128::from(price.0) * u128::from(size.0);
            record.fees.0 += fee.0;
            if record.remaining == Lots(0) {
                record.state = OrderState::Filled;
            }
        })?;
        if self.is_perpetual(market)? {
            let lots = i64::try_from(size.0).unwrap_or(i64::MAX);
            let lots = if side == Side::Buy { lots } else { -lots };
            self.move_position(owner, market, lots, at)?;
        }
        Ok(())
    }

    fn trade(&self, trade: TradeInfo, at: At) -> Result<(), HistoryError> {
        let market = trade.market.0.to_be_bytes();
        put(&self.trades, &[market.as_slice(), &at.moment.key()].concat(), &trade)?;
        for interval in WRITTEN {
            let start = trade.time.0 / interval.ms() * interval.ms();
            let key = candle_key(trade.market, interval, start);
            let TradeInfo { price, size, .. } = trade;
            let candle = match get::<(Moment, Candle)>(&self.candles, &key)? {
                Some((last, _)) if at.moment <= last => continue,
                Some((_, candle)) => Candle {
                    high: candle.high.max(price),
                    low: candle.low.min(price),
                    close: price,
                    volume: candle.volume + u128::from(size.0),
                    trades: candle.trades + 1,
                    ..candle
                },
                None => Candle {
                    start: TimeMs(start),
                    open: price,
                    high: price,
                    low: price,
                    close: price,
                    volume: size.0.into(),
                    trades: 1,
                },
            };
            put(&self.candles, &key, &(at.moment, candle))?;
        }
        Ok(())
    }

    fn fund(&self, feed: FeedId, index: i128, at: At) -> Result<(), HistoryError> {
        let Some(market) = get::<MarketId>(&self.perpetuals, &[feed.0])? else { return Ok(()) };
        let market = market.0.to_be_bytes();
        let key = [market.as_slice(), &at.moment.key()].concat();
        let before = self.funding.range(market.to_vec()..key.clone()).next_back().transpose()?;
        let before = before.map(|(_, value)| crate::read::<(i128, i128, TimeMs)>(&value)).transpose()?;
        let moved = index - before.map_or(0, |(index, ..)| index);
        put(&self.funding, &key, &(index, moved, at.time))
    }

    fn is_perpetual(&self, market: MarketId) -> Result<bool, HistoryError> {
        for entry in self.perpetuals.iter() {
            if crate::read::<MarketId>(&entry?.1)? == market {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn move_position(&self, account: AccountId, market: MarketId, by: i64, at: At) -> Result<(), HistoryError> {
        let key = position_key(account, market, at.moment);
        if self.positions.contains_key(&key)? {
            return Ok(());
        }
        let held = self.position_before(account, market, at.moment)?.unwrap_or(0);
        put(&self.positions, &key, &Position(held + by))
    }

    /// What an account held of a perpetual right before a moment, if it ever held any.
    pub(crate) fn position_before(
        &self,
        account: AccountId,
        market: MarketId,
        moment: Moment,
    ) -> Result<Option<i64>, HistoryError> {
        let first = position_key(account, market, Moment::default());
        let before = self.positions.range(first..position_key(account, market, moment)).next_back().transpose()?;
        before.map(|(_, value)| Ok(crate::read::<Position>(&value)?.0)).transpose()
    }
}

fn trade(at: At, market: MarketId, price: Ticks, size: Lots, taker_side: Option<Side>) -> TradeInfo {
    TradeInfo { market, sequence: at.moment.sequence, time: at.time, price, size, taker_side }
}

fn auctioned(AuctionParty { account, nonce, fee, .. }: AuctionParty) -> Party {
    Party { account, nonce, fee }
}

pub(crate) fn account(account: AccountId) -> [u8; 8] {
    account.0.to_be_bytes()
}

pub(crate) fn order_key(owner: AccountId, nonce: Nonce) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&account(owner));
    key[8..].copy_from_slice(&nonce.0.to_be_bytes());
    key
}

/// Where an account's part in an event stands, if the event may have several.
pub(crate) fn entry_key(owner: AccountId, moment: Moment, number: u32) -> Vec<u8> {
    [account(owner).as_slice(), &moment.key(), &number.to_be_bytes()].concat()
}

pub(crate) fn candle_key(market: MarketId, interval: Interval, start: u64) -> Vec<u8> {
    [market.0.to_be_bytes().as_slice(), &[interval as u8], &start.to_be_bytes()].concat()
}

pub(crate) fn position_key(owner: AccountId, market: MarketId, moment: Moment) -> Vec<u8> {
    [account(owner).as_slice(), &market.0.to_be_bytes(), &moment.key()].concat()
}
