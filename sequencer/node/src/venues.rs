//! Venues and what was traded there, as the RPC shows them.

use xos_api::{FeeTierInfo, TradedInfo, VenueInfo};
use xos_engine::{Engine, TradedView};
use xos_types::{AccountId, VenueConfig, VenueId};

pub(crate) fn infos(engine: &Engine) -> Vec<VenueInfo> {
    engine.venues().map(|venue| info(engine, venue)).collect()
}

fn info(engine: &Engine, (venue, config): (VenueId, VenueConfig)) -> VenueInfo {
    let VenueConfig { treasury, protocol_share, insurance_share, referrer_share } = config;
    let fee_tiers = engine.fee_tiers(venue).iter().copied().map(FeeTierInfo::from).collect();
    VenueInfo { venue, treasury, protocol_share, insurance_share, referrer_share, fee_tiers }
}

pub(crate) fn traded(engine: &Engine, account: AccountId) -> Vec<TradedInfo> {
    let info = |TradedView { venue, volume, tier, taker_share, maker_share }| TradedInfo {
        venue,
        volume,
        tier,
        taker_share,
        maker_share,
    };
    engine.traded(account).map(info).collect()
}
