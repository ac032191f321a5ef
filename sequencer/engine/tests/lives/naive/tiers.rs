//! Volume tiers, from a list of everything that was ever traded where there are any.

use super::*;

/// Fourteen days.
const PERIOD: u64 = 1_209_600_000;

/// One side of a fill of a frame that was sealed.
#[derive(Clone, Debug)]
pub(crate) struct Traded {
    venue: VenueId,
    account: AccountId,
    time: u64,
    value: u128,
}

impl Naive {
    /// The open frame's fills, at venues that have tiers.
    pub(super) fn note_traded(&mut self) {
        let traded = |frame::Part { signed, price, size, .. }: &frame::Part| {
            let listing = self.listing(signed.message.market);
            let (venue, account) = (listing.terms.venue, signed.message.account.parent());
            let value = listing.value(*price, *size).unsigned_abs();
            self.tiers.contains_key(&venue).then_some(Traded { venue, account, time: self.open.time, value })
        };
        let traded: Vec<_> = self.open.parts.iter().filter_map(traded).collect();
        self.traded.extend(traded);
    }

    pub(super) fn set_fee_tiers(&mut self, venue: VenueId, tiers: &[FeeTier], out: &mut Vec<Event>) {
        self.tiers.insert(venue, tiers.to_vec());
        if tiers.is_empty() {
            self.tiers.remove(&venue);
            self.traded.retain(|traded| traded.venue != venue);
        }
        out.push(Event::FeeTiersSet { venue, tiers: tiers.to_vec() });
    }

    /// What an account has traded at a venue in this period and the one before.
    pub(crate) fn volume(&self, venue: VenueId, account: AccountId) -> u128 {
        let recent = |traded: &&Traded| traded.time / PERIOD + 1 >= self.open.time / PERIOD;
        let own = self.traded.iter().filter(|traded| (traded.venue, traded.account) == (venue, account.parent()));
        own.filter(recent).map(|traded| traded.value).sum()
    }

    /// The highest tier that an account has reached.
    pub(crate) fn tier(&self, venue: VenueId, account: AccountId) -> FeeTier {
        let volume = self.volume(venue, account);
        let mut tiers = self.tiers.get(&venue).into_iter().flatten();
        tiers.rfind(|tier| tier.volume <= volume).copied().unwrap_or(FeeTier::NONE)
    }

    pub(super) fn taker_rate(&self, order: &Order) -> Ppm {
        let terms = self.listing(order.market).terms;
        part(terms.taker_fee, self.tier(terms.venue, order.account).taker_share)
    }

    pub(super) fn maker_rate(&self, order: &Order) -> Ppm {
        let terms = self.listing(order.market).terms;
        part(terms.maker_fee.fee(), self.tier(terms.venue, order.account).maker_share)
    }
}

fn part(rate: Ppm, share: Ppm) -> Ppm {
    let part = ceil(i128::from(rate.0) * i128::from(share.0), MILLION);
    Ppm(part.try_into().unwrap())
}
