//! Listings as somebody who follows them begins: what is listed, by whom, and when it trades.

use xos_types::{EventId, FeedId, Hours, MarketKind, Phase, VenueId};

use crate::engine::{Engine, ListingConfig};

/// An event with its markets, or a market of an index price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingView {
    /// Its number.
    pub event: EventId,
    /// The venue that lists it.
    pub venue: VenueId,
    /// How many markets it has.
    pub outcomes: u8,
    /// Its index price's; none of an event.
    pub feed: Option<FeedId>,
    /// What a long lot of a perpetual has paid, atoms times 1e9.
    pub funding_index: i128,
    /// How far its life has come.
    pub phase: Phase,
    /// When it trades.
    pub hours: Hours,
    /// Whether it is outside of its hours.
    pub closed: bool,
    /// Ticks per lot and outcome, once decided.
    pub payouts: Option<Vec<u64>>,
}

impl Engine {
    /// Everything that is listed, by number.
    pub fn listings(&self) -> impl Iterator<Item = ListingView> + use<'_> {
        (1u32..).zip(&self.listings).map(|(number, listing)| {
            let terms = match &listing.config {
                ListingConfig::Event(config) => &config.terms,
                ListingConfig::Spot(config) => &config.terms,
                ListingConfig::Perpetual(config) => &config.terms,
            };
            let feed = (listing.terms.kind != MarketKind::Outcome).then_some(listing.terms.feed);
            ListingView {
                event: EventId(number),
                venue: terms.venue,
                outcomes: listing.terms.outcomes,
                feed,
                funding_index: feed.map_or(0, |feed| self.board[feed].funding_index),
                phase: listing.phase,
                hours: listing.hours,
                closed: listing.closed,
                payouts: listing.payouts.clone(),
            }
        })
    }
}
