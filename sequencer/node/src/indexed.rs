//! Perpetuals, spot markets and what is held at index prices, as the RPC shows them.

use xos_api::{AssetTerms, EventStatus, HoldingInfo, IndexKind, IndexMarketInfo, PerpetualTerms, SourceTerms};
use xos_engine::{Engine, IndexMarketView, Traded};
use xos_types::{AccountId, AssetConfig, FeedConfig, FeedId, PerpetualConfig, Phase, Ticks};

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
    // A dollar's worth of price makes a lot worth `unit`, so `unit` in whole tokens is how many coins a lot is.
    let token = 10_u128.saturating_pow(decimals.into());
    let unit = market.source.map_or(0, |source| source.unit);
    let (kind, margin, asset) = match market.trades {
        Traded::Perpetual(config) => (IndexKind::Perpetual, Some(perpetual(config)), None),
        Traded::Spot(config) => (IndexKind::Spot, None, Some(asset_terms(config))),
    };
    IndexMarketInfo {
        market: market.market,
        venue: market.terms.venue,
        kind,
        title: market.title.to_owned(),
        status: status(market),
        tick_size: ratio(u128::from(quantum).saturating_mul(SCALE), unit),
        lot_size: ratio(unit, token.saturating_mul(SCALE)),
        quantum,
        taker_fee: market.terms.taker_fee,
        maker_fee: market.terms.maker_fee,
        curve: market.terms.curve,
        restricted: market.terms.restricted,
        isolated_only: market.terms.isolated_only,
        position_cap: market.terms.position_cap,
        open_interest_cap: market.terms.open_interest_cap,
        margin,
        asset,
        source: market.source.map(source),
        feed: market.feed,
        index,
        index_ticks: in_ticks(index, quantum),
        index_time: feed.map_or_else(Default::default, |feed| feed.time),
        stale: feed.is_none_or(|feed| feed.stale),
        funding_index: feed.map_or(0, |feed| feed.funding_index),
        open_interest: market.open_interest,
        best_bid,
        best_ask,
        last: view.history.last(market.market),
    }
}

/// A price in atoms per lot times 1e9 as ticks, rounded down.
pub(crate) fn in_ticks(price: u128, quantum: u64) -> Ticks {
    let ticks = price / SCALE / u128::from(quantum.max(1));
    Ticks(u64::try_from(ticks).unwrap_or(u64::MAX))
}

fn perpetual(config: &PerpetualConfig) -> PerpetualTerms {
    let &PerpetualConfig { initial_fractions, maintenance_fractions, tier_bounds, .. } = config;
    let &PerpetualConfig { penalty, funding_cap, loss_cap, .. } = config;
    PerpetualTerms { initial_fractions, maintenance_fractions, tier_bounds, penalty, funding_cap, loss_cap }
}

fn asset_terms(config: &AssetConfig) -> AssetTerms {
    let &AssetConfig { token, lot, initial_weight, maintenance_weight, conversion_discount, cap, .. } = config;
    AssetTerms { token, lot, initial_weight, maintenance_weight, conversion_discount, cap }
}

fn source(config: FeedConfig) -> SourceTerms {
    let FeedConfig { source: contract, name, unit, max_age: max_age_ms, max_gap: max_gap_ms, max_move } = config;
    SourceTerms { contract, name, unit, max_age_ms, max_gap_ms, max_move }
}

/// The market of a perpetual's index price.
pub(crate) fn perpetual_of(engine: &Engine, feed: FeedId) -> Option<IndexMarketView<'_>> {
    engine.index_markets().find(|market| matches!(market.trades, Traded::Perpetual(_)) && market.feed == feed)
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
    let info = |holding: xos_engine::HoldingView| HoldingInfo {
        feed: holding.feed,
        market: perpetual_of(engine, holding.feed).map(|market| market.market),
        amount: holding.amount,
        entry: holding.entry,
        offered: holding.offered,
    };
    Some(engine.holdings(account).into_iter().map(info).collect())
}
