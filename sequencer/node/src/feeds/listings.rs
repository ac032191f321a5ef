//! What is listed, from the engine's events: whose every market is, and when it trades.

use std::collections::BTreeMap;

use serde::Serialize;
use xos_api::{FundingInfo, ListingInfo, MarketEvent, Session};
use xos_engine::{Engine, ListingView};
use xos_types::{Event, EventId, FeedId, Hours, MarketId, Phase, TimeMs, VenueId};

/// Everything that is listed.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    listings: BTreeMap<EventId, ListingView>,
    perpetuals: BTreeMap<FeedId, EventId>,
}

impl Listings {
    /// As the engine has them.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut all = Self::default();
        for listing in engine.listings() {
            all.perpetuals.extend(listing.feed.map(|feed| (feed, listing.event)));
            all.listings.insert(listing.event, listing);
        }
        all
    }

    /// Takes note of an event; the listing that it changed, if it changed one.
    pub(crate) fn note(&mut self, event: &Event) -> Option<EventId> {
        match event {
            Event::EventOpened { event, config } => {
                self.open(*event, config.terms.venue, config.outcomes, None);
                Some(*event)
            }
            Event::SpotListed { market, config } => {
                self.open(market.event(), config.terms.venue, 1, None);
                Some(market.event())
            }
            Event::PerpetualSet { market, feed, config } => {
                let number = market.event();
                match self.listings.get_mut(&number) {
                    Some(listing) => listing.venue = config.terms.venue,
                    None => self.open(number, config.terms.venue, 1, Some(*feed)),
                }
                Some(number)
            }
            Event::PhaseSet { event, phase } => self.change(*event, |listing| listing.phase = *phase),
            Event::HoursSet { event, hours } => self.change(*event, |listing| listing.hours = *hours),
            Event::SessionTurned { event, open } => self.change(*event, |listing| listing.closed = !open),
            Event::EventResolved { event, payouts } => {
                self.change(*event, |listing| listing.payouts = Some(payouts.clone()))
            }
            _ => None,
        }
    }

    fn open(&mut self, event: EventId, venue: VenueId, outcomes: u8, feed: Option<FeedId>) {
        self.perpetuals.extend(feed.map(|feed| (feed, event)));
        let listing = ListingView {
            event,
            venue,
            outcomes,
            feed,
            funding_index: 0,
            phase: Phase::default(),
            hours: Hours::default(),
            closed: false,
            payouts: None,
        };
        self.listings.insert(event, listing);
    }

    fn change(&mut self, event: EventId, change: impl FnOnce(&mut ListingView)) -> Option<EventId> {
        change(self.listings.get_mut(&event)?);
        Some(event)
    }

    /// The venue of a market; `None` if there is no such market.
    pub(crate) fn venue(&self, market: MarketId) -> Option<VenueId> {
        let listing = self.listings.get(&market.event())?;
        (market.outcome() < listing.outcomes).then_some(listing.venue)
    }

    /// A perpetual's funding index moved.
    pub(crate) fn fund(&mut self, feed: FeedId, index: i128) -> Option<FundingInfo> {
        let listing = self.listings.get_mut(self.perpetuals.get(&feed)?)?;
        let moved = index - std::mem::replace(&mut listing.funding_index, index);
        Some(FundingInfo { venue: listing.venue, market: MarketId::new(listing.event, 0), index, moved })
    }

    /// One of them as it travels.
    pub(crate) fn info(&self, event: EventId, time: TimeMs) -> Option<ListingInfo> {
        self.listings.get(&event).map(|listing| info(listing, time))
    }

    /// All of them.
    pub(crate) fn infos(&self, time: TimeMs) -> Vec<ListingInfo> {
        self.listings.values().map(|listing| info(listing, time)).collect()
    }

    /// An event as it travels, with where it happened.
    pub(crate) fn located(&self, event: &Event) -> MarketEvent {
        let market = market_of(event);
        let venue = match event {
            Event::VenueSet { venue, .. } | Event::FeeTiersSet { venue, .. } | Event::MembershipSet { venue, .. } => {
                Some(*venue)
            }
            _ => market.and_then(|market| self.venue(market)),
        };
        MarketEvent { venue, market, event: json(event) }
    }
}

fn json(event: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(event).unwrap_or_default()
}

fn info(listing: &ListingView, time: TimeMs) -> ListingInfo {
    let ended = listing.payouts.is_some() || listing.phase == Phase::Delisted;
    ListingInfo {
        venue: listing.venue,
        event: listing.event,
        markets: (0..listing.outcomes).map(|outcome| MarketId::new(listing.event, outcome)).collect(),
        phase: listing.phase,
        hours: Some(listing.hours).filter(|hours| *hours != Hours::default()),
        session: if listing.closed { Session::Closed } else { Session::Open },
        turns: if ended { None } else { listing.hours.next_turn(time) },
        payouts: listing.payouts.clone(),
    }
}

/// Where an event happened, if it happened in a market.
fn market_of(event: &Event) -> Option<MarketId> {
    match event {
        Event::Filled(fill) => Some(fill.market),
        Event::AuctionFilled(fill) => Some(fill.market),
        Event::Accepted { order } | Event::Planned { order, .. } => Some(order.market),
        Event::Rested { market, .. }
        | Event::Refilled { market, .. }
        | Event::Reduced { market, .. }
        | Event::Cancelled { market, .. }
        | Event::AuctionHeld { market, .. }
        | Event::SpotListed { market, .. }
        | Event::PerpetualSet { market, .. }
        | Event::Liquidated { market, .. }
        | Event::CloseForced { market, .. }
        | Event::TakenOver { market, .. }
        | Event::Deleveraged { market, .. }
        | Event::Closed { market, .. } => Some(*market),
        Event::EventOpened { event, .. }
        | Event::EventResolved { event, .. }
        | Event::Redeemed { event, .. }
        | Event::PhaseSet { event, .. }
        | Event::HoursSet { event, .. }
        | Event::SessionTurned { event, .. } => Some(MarketId::new(*event, 0)),
        _ => None,
    }
}
