//! Markets that follow an index price, as the RPC and the operator's price source see them; nothing here changes anything.

use serde::Serialize;
use xos_types::{
    AssetConfig, EventId, FeedConfig, FeedId, Lots, MarketId, PerpetualConfig, Phase, TimeMs, TradingTerms,
};

use crate::engine::{Engine, ListingConfig};

/// A perpetual or a spot market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IndexMarketView<'a> {
    /// Its number.
    pub market: MarketId,
    /// Its index price's.
    pub feed: FeedId,
    /// What is traded, and how it counts as margin.
    pub trades: Traded<'a>,
    /// What it is called.
    pub title: &'a str,
    /// What it charges, and whom it lets in.
    pub terms: &'a TradingTerms,
    /// Who says its index price, and what is believed of it; nobody once a perpetual is delisted.
    pub source: Option<FeedConfig>,
    /// How far its life has come.
    pub phase: Phase,
    /// Whether it trades at this hour.
    pub closed: bool,
    /// Lots open either way.
    pub open_interest: Lots,
    /// Index price, atoms per lot times 1e9; 0 before the first.
    pub index: u128,
    /// When that was published.
    pub index_time: TimeMs,
    /// New risk may not rely on it.
    pub stale: bool,
    /// Index and book blended, in the same units; 0 before the first index price.
    pub mark: u128,
}

/// What a market at an index price trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Traded<'a> {
    /// Lots of a perpetual.
    Perpetual(&'a PerpetualConfig),
    /// Atoms of an asset.
    Spot(&'a AssetConfig),
}

impl Engine {
    /// Every perpetual and spot market, by number.
    pub fn index_markets(&self) -> impl Iterator<Item = IndexMarketView<'_>> {
        (1u32..).zip(&self.listings).filter_map(|(number, listing)| {
            let market = MarketId::new(EventId(number), 0);
            let feed = listing.terms.feed;
            let (terms, title, trades) = match &listing.config {
                ListingConfig::Event(_) => return None,
                ListingConfig::Spot(config) => {
                    (&config.terms, &config.title, Traded::Spot(self.board[feed].as_asset()))
                }
                ListingConfig::Perpetual(config) => (&config.terms, &config.title, Traded::Perpetual(config)),
            };
            let priced = &self.board[feed];
            let mark = if priced.price == 0 { 0 } else { self.mark(listing).unsigned_abs() };
            Some(IndexMarketView {
                market,
                feed,
                trades,
                title,
                terms,
                source: priced.config,
                phase: listing.phase,
                closed: listing.closed,
                open_interest: Lots(listing.open_interest(market)),
                index: priced.price.unsigned_abs(),
                index_time: priced.time,
                stale: priced.stale,
                mark,
            })
        })
    }

    /// Every feed that takes prices: who says them, and when the last one was published.
    pub fn feed_sources(&self) -> impl Iterator<Item = (FeedId, FeedConfig, TimeMs)> {
        self.board.ids().filter_map(|id| {
            let feed = &self.board[id];
            Some((id, feed.config?, feed.time))
        })
    }
}
