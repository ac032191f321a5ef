//! Perpetuals, spot markets and what is held at index prices, as the RPC shows them.

use xos_api::{EventStatus, HoldingInfo, IndexKind, IndexMarketInfo};
use xos_engine::{Engine, IndexMarketView};
use xos_types::{AccountId, Phase, Ticks};

use crate::sequencer::View;
use xos_api::people::ratio;

/// Index prices and units are atoms times this.
const SCALE: u128 = 1_000_000_000;

pub(crate) fn markets(view: &View<'_>, decimals: u8) -> Vec<IndexMarketInfo> {
    view.engine.index_markets().map(|market| info(view, &market, decimals)).collect()
}

fn info(view: &View<'_>, market: &IndexMarketView<'_>, decimals: u8) -> IndexMarketInfo {
    let feed = view.engine.feeds().find(|feed| feed.feed == market.feed);
    let (best_bid, best_ask) = view.engine.best_prices(market.market).unwrap_or_default();
    let index = feed.map_or(0, |feed| feed.price);
    let quantum = market.terms.quantum;
    let ticks = index / SCALE / u128::from(quantum.max(1));
    // A dollar's worth of price makes a lot worth `unit`, so `unit` in whole tokens is how many coins a lot is.
    let token = 10_u128.saturating_pow(decimals.into());
    let unit = market.unit.unwrap_or(0);
    IndexMarketInfo {
        market: market.market,
        venue: market.terms.venue,
        kind: if market.perpetual { IndexKind::Perpetual } else { IndexKind::Spot },
        title: market.title.to_owned(),
        status: status(market),
        tick_size: ratio(u128::from(quantum).saturating_mul(SCALE), unit),
        lot_size: ratio(unit, token.saturating_mul(SCALE)),
        quantum,
        taker_fee: market.terms.taker_fee,
        maker_fee: market.terms.maker_fee,
        restricted: market.terms.restricted,
        feed: market.feed,
        index,
        index_ticks: Ticks(u64::try_from(ticks).unwrap_or(u64::MAX)),
        index_time: feed.map_or_else(Default::default, |feed| feed.time),
        stale: feed.is_none_or(|feed| feed.stale),
        funding_index: feed.map_or(0, |feed| feed.funding_index),
        open_interest: market.open_interest,
        best_bid,
        best_ask,
        last: view.history.last(market.market),
    }
}

fn status(market: &IndexMarketView<'_>) -> EventStatus {
    match market.phase {
        Phase::Pending => EventStatus::Pending,
        Phase::Delisted => EventStatus::Resolved,
        Phase::Halted => EventStatus::Halted,
        _ if market.closed => EventStatus::Closed,
        Phase::Auction => EventStatus::Auction,
        Phase::PostOnly => EventStatus::PostOnly,
        Phase::Open => EventStatus::Open,
        Phase::ReduceOnly => EventStatus::ReduceOnly,
    }
}

pub(crate) fn holdings(engine: &Engine, account: AccountId) -> Option<Vec<HoldingInfo>> {
    engine.account(account)?;
    let market_of = |feed| {
        engine.index_markets().find(|market| market.perpetual && market.feed == feed).map(|market| market.market)
    };
    let info = |holding: xos_engine::HoldingView| HoldingInfo {
        feed: holding.feed,
        market: market_of(holding.feed),
        amount: holding.amount,
        entry: holding.entry,
        offered: holding.offered,
    };
    Some(engine.holdings(account).into_iter().map(info).collect())
}
