//! Inbox items between the contract's bytes and our types. The contract stored a hash of the bytes and a batch must
//! supply them again, so decoding and encoding are inverse to each other, or the item is refused.

use alloy::primitives::aliases::U96;
use alloy::primitives::{B256, keccak256};
use alloy::sol_types::abi::TokenSeq;
use alloy::sol_types::{SolType, SolValue};
use xos_types::{
    AccountId, AssetConfig, BuilderId, EventConfig, FeeTier, FeedConfig, FeedId, GroupTerms, Hours, InboxItem,
    InboxPayload, Liquidate, Lots, MarketId, Nonce, PerpetualConfig, Phase, Ppm, Rate, SignerGrant, SpotConfig, TimeMs,
    TradingTerms, VenueConfig, VenueId,
};

use crate::abi;
use crate::error::ChainError;

/// Reads an item as it stands in an `InboxQueued` log. `kind` is the contract's `InboxKind`.
///
/// # Errors
/// If the payload is not of that kind, our encoding of it would not give the same bytes (a title that is not UTF-8), or it
/// says what the gateway never does.
pub fn decode_inbox_item(index: u64, kind: u8, time: TimeMs, payload: &[u8]) -> Result<InboxItem, ChainError> {
    let malformed = |reason: String| ChainError::MalformedItem { index, reason };
    let unserved = |what: &str| Err(ChainError::UnservedItem { index, what: what.into() });
    let decoded = match abi::InboxKind::try_from(kind) {
        Ok(abi::InboxKind::Deposit) => read(payload, |p: abi::DepositPayload| InboxPayload::Deposit {
            account: AccountId(p.account),
            owner: p.owner,
            token: p.token,
            amount: p.amount,
        }),
        Ok(abi::InboxKind::EventOpened) => read(payload, |p: abi::EventOpenedPayload| InboxPayload::EventOpened {
            event: abi::event_id(p.eventId),
            config: event_from_abi(p.config),
        }),
        Ok(abi::InboxKind::EventResolved) => read(payload, |p: abi::EventResolvedPayload| {
            InboxPayload::EventResolved { event: abi::event_id(p.eventId), payouts: p.payouts }
        }),
        Ok(abi::InboxKind::ForcedWithdrawal) => read(payload, |p: abi::ForcedWithdrawalPayload| {
            InboxPayload::ForcedWithdrawal { account: AccountId(p.account), token: p.token, amount: p.amount }
        }),
        Ok(abi::InboxKind::CancelAll) => read(payload, |p: abi::CancelAllPayload| InboxPayload::CancelAll {
            account: AccountId(p.account),
            floor: Nonce(p.floor),
        }),
        Ok(abi::InboxKind::ForcedClose) => read(payload, |p: abi::ForcedClosePayload| InboxPayload::ForcedClose {
            account: AccountId(p.account),
            market: MarketId(p.market),
        }),
        Ok(abi::InboxKind::ForcedLiquidation) => read(payload, |p: abi::ForcedLiquidationPayload| {
            InboxPayload::ForcedLiquidation(liquidate_from_abi(&p.request))
        }),
        Ok(abi::InboxKind::SignerSet) => read(payload, |p: abi::SignerSetPayload| InboxPayload::SignerSet {
            account: AccountId(p.account),
            grant: grant_from_abi(&p.grant),
        }),
        Ok(abi::InboxKind::MembershipSet) => {
            read(payload, |p: abi::MembershipSetPayload| InboxPayload::MembershipSet {
                account: AccountId(p.account),
                venue: VenueId(p.venue),
                until: TimeMs(p.until),
            })
        }
        Ok(abi::InboxKind::ReferrerSet) => read(payload, |p: abi::ReferrerSetPayload| InboxPayload::ReferrerSet {
            account: AccountId(p.account),
            referrer: BuilderId(p.referrer),
        }),
        Ok(abi::InboxKind::BuilderSet) => read(payload, |p: abi::BuilderSetPayload| InboxPayload::BuilderSet {
            builder: BuilderId(p.builder),
            account: AccountId(p.account),
        }),
        Ok(abi::InboxKind::VenueSet) => read(payload, |p: abi::VenueSetPayload| InboxPayload::VenueSet {
            venue: VenueId(p.venue),
            config: venue_from_abi(&p.config),
        }),
        Ok(abi::InboxKind::PhaseSet) => {
            let p = <abi::PhaseSetPayload as SolValue>::abi_decode_params(payload)
                .map_err(|error| malformed(error.to_string()))?;
            match phase_from_abi(p.phase) {
                Some(phase) => Ok(InboxPayload::PhaseSet { market: MarketId(p.market), phase }),
                None => return unserved("moves a market to a phase that the gateway never sets"),
            }
        }
        Ok(abi::InboxKind::HoursSet) => read(payload, |p: abi::HoursSetPayload| InboxPayload::HoursSet {
            market: MarketId(p.market),
            hours: Hours {
                weekdays: p.tradingHours.weekdays,
                opens: p.tradingHours.opens,
                closes: p.tradingHours.closes,
            },
        }),
        Ok(abi::InboxKind::FeeTiersSet) => read(payload, |p: abi::FeeTiersSetPayload| InboxPayload::FeeTiersSet {
            venue: VenueId(p.venue),
            tiers: p.tiers.iter().map(tier_from_abi).collect(),
        }),
        Ok(abi::InboxKind::TermsSet) => {
            read(payload, |p: abi::TermsSetPayload| InboxPayload::TermsSet(terms_from_abi(&p.terms)))
        }
        Ok(abi::InboxKind::AssetSet) => read(payload, |p: abi::AssetSetPayload| InboxPayload::AssetSet {
            feed: FeedId(p.feed),
            config: asset_from_abi(&p.config),
        }),
        Ok(abi::InboxKind::SpotListed) => read(payload, |p: abi::SpotListedPayload| InboxPayload::SpotListed {
            market: MarketId(p.market),
            config: spot_from_abi(p.config),
        }),
        Ok(abi::InboxKind::PerpetualSet) => read(payload, |p: abi::PerpetualSetPayload| InboxPayload::PerpetualSet {
            market: MarketId(p.market),
            feed: FeedId(p.feed),
            config: perpetual_from_abi(p.config),
        }),
        Ok(abi::InboxKind::__Invalid) | Err(_) => {
            return Err(malformed(format!("kind {kind} is not known; expected 0 to {LAST_KIND}")));
        }
    };
    let payload_decoded = decoded.map_err(|error| malformed(error.to_string()))?;
    if encode_payload(&payload_decoded) != payload {
        return Err(malformed("the payload does not encode back to its bytes (is a title or label not UTF-8?)".into()));
    }
    Ok(InboxItem { index, time, payload: payload_decoded })
}

/// The highest number of the contract's `InboxKind`.
const LAST_KIND: u8 = abi::InboxKind::FeeTiersSet as u8;

/// The hash that the contract stored when the item was queued.
#[must_use]
pub fn inbox_item_hash(item: &InboxItem) -> B256 {
    let item = item_to_abi(item);
    keccak256((item.kind, item.time, item.payload).abi_encode_params())
}

pub(crate) fn item_to_abi(item: &InboxItem) -> abi::InboxItem {
    let kind = match &item.payload {
        InboxPayload::Deposit { .. } => abi::InboxKind::Deposit,
        InboxPayload::EventOpened { .. } => abi::InboxKind::EventOpened,
        InboxPayload::EventResolved { .. } => abi::InboxKind::EventResolved,
        InboxPayload::ForcedWithdrawal { .. } => abi::InboxKind::ForcedWithdrawal,
        InboxPayload::CancelAll { .. } => abi::InboxKind::CancelAll,
        InboxPayload::ForcedClose { .. } => abi::InboxKind::ForcedClose,
        InboxPayload::ForcedLiquidation(_) => abi::InboxKind::ForcedLiquidation,
        InboxPayload::SignerSet { .. } => abi::InboxKind::SignerSet,
        InboxPayload::MembershipSet { .. } => abi::InboxKind::MembershipSet,
        InboxPayload::ReferrerSet { .. } => abi::InboxKind::ReferrerSet,
        InboxPayload::BuilderSet { .. } => abi::InboxKind::BuilderSet,
        InboxPayload::VenueSet { .. } => abi::InboxKind::VenueSet,
        InboxPayload::PhaseSet { .. } => abi::InboxKind::PhaseSet,
        InboxPayload::HoursSet { .. } => abi::InboxKind::HoursSet,
        InboxPayload::FeeTiersSet { .. } => abi::InboxKind::FeeTiersSet,
        InboxPayload::TermsSet(_) => abi::InboxKind::TermsSet,
        InboxPayload::AssetSet { .. } => abi::InboxKind::AssetSet,
        InboxPayload::SpotListed { .. } => abi::InboxKind::SpotListed,
        InboxPayload::PerpetualSet { .. } => abi::InboxKind::PerpetualSet,
    };
    abi::InboxItem { kind, time: item.time.0, payload: encode_payload(&item.payload).into() }
}

fn read<P>(payload: &[u8], convert: impl FnOnce(P) -> InboxPayload) -> alloy::sol_types::Result<InboxPayload>
where
    P: SolValue + From<<P::SolType as SolType>::RustType>,
    for<'a> <P::SolType as SolType>::Token<'a>: TokenSeq<'a>,
{
    <P as SolValue>::abi_decode_params(payload).map(convert)
}

fn encode_payload(payload: &InboxPayload) -> Vec<u8> {
    match payload {
        InboxPayload::Deposit { account, owner, token, amount } => {
            abi::DepositPayload { account: account.0, owner: *owner, token: *token, amount: *amount }
                .abi_encode_params()
        }
        InboxPayload::EventOpened { event, config } => {
            abi::EventOpenedPayload { eventId: abi::event_number(*event), config: event_to_abi(config) }
                .abi_encode_params()
        }
        InboxPayload::EventResolved { event, payouts } => {
            abi::EventResolvedPayload { eventId: abi::event_number(*event), payouts: payouts.clone() }
                .abi_encode_params()
        }
        InboxPayload::ForcedWithdrawal { account, token, amount } => {
            abi::ForcedWithdrawalPayload { account: account.0, token: *token, amount: *amount }.abi_encode_params()
        }
        InboxPayload::CancelAll { account, floor } => {
            abi::CancelAllPayload { account: account.0, floor: floor.0 }.abi_encode_params()
        }
        InboxPayload::ForcedClose { account, market } => {
            abi::ForcedClosePayload { account: account.0, market: market.0 }.abi_encode_params()
        }
        InboxPayload::ForcedLiquidation(request) => {
            abi::ForcedLiquidationPayload { request: liquidate_to_abi(request) }.abi_encode_params()
        }
        InboxPayload::SignerSet { account, grant } => {
            abi::SignerSetPayload { account: account.0, grant: grant_to_abi(grant) }.abi_encode_params()
        }
        InboxPayload::MembershipSet { account, venue, until } => {
            abi::MembershipSetPayload { account: account.0, venue: venue.0, until: until.0 }.abi_encode_params()
        }
        InboxPayload::ReferrerSet { account, referrer } => {
            abi::ReferrerSetPayload { account: account.0, referrer: referrer.0 }.abi_encode_params()
        }
        InboxPayload::BuilderSet { builder, account } => {
            abi::BuilderSetPayload { builder: builder.0, account: account.0 }.abi_encode_params()
        }
        InboxPayload::VenueSet { venue, config } => {
            abi::VenueSetPayload { venue: venue.0, config: venue_to_abi(config) }.abi_encode_params()
        }
        InboxPayload::HoursSet { market, hours: Hours { weekdays, opens, closes } } => {
            let hours = abi::Hours { weekdays: *weekdays, opens: *opens, closes: *closes };
            abi::HoursSetPayload { market: market.0, tradingHours: hours }.abi_encode_params()
        }
        InboxPayload::FeeTiersSet { venue, tiers } => {
            abi::FeeTiersSetPayload { venue: venue.0, tiers: tiers.iter().map(tier_to_abi).collect() }
                .abi_encode_params()
        }
        InboxPayload::PhaseSet { market, phase } => {
            abi::PhaseSetPayload { market: market.0, phase: phase_to_abi(*phase) }.abi_encode_params()
        }
        InboxPayload::TermsSet(terms) => abi::TermsSetPayload { terms: terms_to_abi(terms) }.abi_encode_params(),
        InboxPayload::AssetSet { feed, config } => {
            abi::AssetSetPayload { feed: feed.0, config: asset_to_abi(config) }.abi_encode_params()
        }
        InboxPayload::SpotListed { market, config } => {
            abi::SpotListedPayload { market: market.0, config: spot_to_abi(config) }.abi_encode_params()
        }
        InboxPayload::PerpetualSet { market, feed, config } => {
            abi::PerpetualSetPayload { market: market.0, feed: feed.0, config: perpetual_to_abi(config) }
                .abi_encode_params()
        }
    }
}

// ---------------------------------------------------------------- configurations, both ways

fn trading_to_abi(terms: &TradingTerms) -> abi::TradingTerms {
    abi::TradingTerms {
        venue: terms.venue.0,
        quantum: terms.quantum,
        takerFee: abi::parts(terms.taker_fee),
        makerFee: abi::signed_parts(terms.maker_fee),
        curve: terms.curve,
        restricted: terms.restricted,
        isolatedOnly: terms.isolated_only,
        positionCap: terms.position_cap.0,
        openInterestCap: terms.open_interest_cap.0,
    }
}

fn trading_from_abi(terms: &abi::TradingTerms) -> TradingTerms {
    TradingTerms {
        venue: VenueId(terms.venue),
        quantum: terms.quantum,
        taker_fee: Ppm(terms.takerFee.to()),
        maker_fee: Rate(terms.makerFee.as_i32()),
        curve: terms.curve,
        restricted: terms.restricted,
        isolated_only: terms.isolatedOnly,
        position_cap: Lots(terms.positionCap),
        open_interest_cap: Lots(terms.openInterestCap),
    }
}

pub(crate) fn event_to_abi(config: &EventConfig) -> abi::EventConfig {
    abi::EventConfig {
        terms: trading_to_abi(&config.terms),
        outcomes: config.outcomes,
        ticks: config.ticks,
        resolver: config.resolver,
        title: config.title.clone(),
        labels: config.labels.clone(),
    }
}

fn event_from_abi(config: abi::EventConfig) -> EventConfig {
    EventConfig {
        terms: trading_from_abi(&config.terms),
        outcomes: config.outcomes,
        ticks: config.ticks,
        resolver: config.resolver,
        title: config.title,
        labels: config.labels,
    }
}

fn feed_to_abi(config: &FeedConfig) -> abi::FeedConfig {
    abi::FeedConfig {
        source: config.source,
        name: config.name,
        unit: U96::saturating_from(config.unit),
        maxAge: config.max_age,
        maxGap: config.max_gap,
        maxMove: config.max_move.0,
    }
}

fn feed_from_abi(config: &abi::FeedConfig) -> FeedConfig {
    FeedConfig {
        source: config.source,
        name: config.name,
        unit: config.unit.to(),
        max_age: config.maxAge,
        max_gap: config.maxGap,
        max_move: Ppm(config.maxMove),
    }
}

pub(crate) fn asset_to_abi(config: &AssetConfig) -> abi::AssetConfig {
    abi::AssetConfig {
        token: config.token,
        lot: config.lot,
        initialWeight: abi::parts(config.initial_weight),
        maintenanceWeight: abi::parts(config.maintenance_weight),
        conversionDiscount: abi::parts(config.conversion_discount),
        cap: config.cap,
        feed: feed_to_abi(&config.feed),
    }
}

fn asset_from_abi(config: &abi::AssetConfig) -> AssetConfig {
    AssetConfig {
        token: config.token,
        lot: config.lot,
        initial_weight: Ppm(config.initialWeight.to()),
        maintenance_weight: Ppm(config.maintenanceWeight.to()),
        conversion_discount: Ppm(config.conversionDiscount.to()),
        cap: config.cap,
        feed: feed_from_abi(&config.feed),
    }
}

pub(crate) fn spot_to_abi(config: &SpotConfig) -> abi::SpotConfig {
    abi::SpotConfig { terms: trading_to_abi(&config.terms), asset: config.asset.0, title: config.title.clone() }
}

fn spot_from_abi(config: abi::SpotConfig) -> SpotConfig {
    SpotConfig { terms: trading_from_abi(&config.terms), asset: FeedId(config.asset), title: config.title }
}

pub(crate) fn perpetual_to_abi(config: &PerpetualConfig) -> abi::PerpetualConfig {
    abi::PerpetualConfig {
        terms: trading_to_abi(&config.terms),
        feed: feed_to_abi(&config.feed),
        initialFractions: config.initial_fractions.map(abi::parts),
        maintenanceFractions: config.maintenance_fractions.map(abi::parts),
        tierBounds: config.tier_bounds,
        penalty: abi::parts(config.penalty),
        fundingCap: config.funding_cap.0,
        lossCap: U96::saturating_from(config.loss_cap),
        title: config.title.clone(),
    }
}

fn perpetual_from_abi(config: abi::PerpetualConfig) -> PerpetualConfig {
    PerpetualConfig {
        terms: trading_from_abi(&config.terms),
        feed: feed_from_abi(&config.feed),
        initial_fractions: config.initialFractions.map(|fraction| Ppm(fraction.to())),
        maintenance_fractions: config.maintenanceFractions.map(|fraction| Ppm(fraction.to())),
        tier_bounds: config.tierBounds,
        penalty: Ppm(config.penalty.to()),
        funding_cap: Ppm(config.fundingCap),
        loss_cap: config.lossCap.to(),
        title: config.title,
    }
}

pub(crate) fn venue_to_abi(config: &VenueConfig) -> abi::VenueConfig {
    abi::VenueConfig {
        treasury: config.treasury.0,
        protocolShare: abi::parts(config.protocol_share),
        insuranceShare: abi::parts(config.insurance_share),
        referrerShare: abi::parts(config.referrer_share),
    }
}

pub(crate) fn venue_from_abi(config: &abi::VenueConfig) -> VenueConfig {
    VenueConfig {
        treasury: AccountId(config.treasury),
        protocol_share: Ppm(config.protocolShare.to()),
        insurance_share: Ppm(config.insuranceShare.to()),
        referrer_share: Ppm(config.referrerShare.to()),
    }
}

fn tier_to_abi(tier: &FeeTier) -> abi::FeeTier {
    abi::FeeTier {
        volume: tier.volume,
        takerShare: abi::parts(tier.taker_share),
        makerShare: abi::parts(tier.maker_share),
    }
}

fn tier_from_abi(tier: &abi::FeeTier) -> FeeTier {
    FeeTier { volume: tier.volume, taker_share: Ppm(tier.takerShare.to()), maker_share: Ppm(tier.makerShare.to()) }
}

pub(crate) fn grant_to_abi(grant: &SignerGrant) -> abi::SignerGrant {
    abi::SignerGrant {
        signer: grant.signer,
        expiry: grant.expiry.0,
        maxNotional: U96::saturating_from(grant.max_notional),
        trade: grant.trade,
        withdraw: grant.withdraw,
        venues: grant.venues.map(|venue| venue.0),
    }
}

fn grant_from_abi(grant: &abi::SignerGrant) -> SignerGrant {
    SignerGrant {
        signer: grant.signer,
        expiry: TimeMs(grant.expiry),
        max_notional: grant.maxNotional.to(),
        trade: grant.trade,
        withdraw: grant.withdraw,
        venues: grant.venues.map(VenueId),
    }
}

pub(crate) fn liquidate_to_abi(request: &Liquidate) -> abi::Liquidate {
    abi::Liquidate {
        keeper: request.keeper.0,
        account: request.account.0,
        market: request.market.0,
        size: request.size.0,
        limit: request.limit,
        nonce: request.nonce.0,
        expiry: request.expiry.0,
    }
}

fn liquidate_from_abi(request: &abi::Liquidate) -> Liquidate {
    Liquidate {
        keeper: AccountId(request.keeper),
        account: AccountId(request.account),
        market: MarketId(request.market),
        size: Lots(request.size),
        limit: request.limit,
        nonce: Nonce(request.nonce),
        expiry: TimeMs(request.expiry),
    }
}

pub(crate) fn terms_to_abi(terms: &GroupTerms) -> abi::GroupTerms {
    abi::GroupTerms {
        sequencer: terms.sequencer,
        maxHoldings: terms.max_holdings,
        keeperShare: abi::parts(terms.keeper_share),
        grace: terms.grace,
    }
}

fn terms_from_abi(terms: &abi::GroupTerms) -> GroupTerms {
    GroupTerms {
        sequencer: terms.sequencer,
        max_holdings: terms.maxHoldings,
        keeper_share: Ppm(terms.keeperShare.to()),
        grace: terms.grace,
    }
}

pub(crate) fn phase_to_abi(phase: Phase) -> abi::Phase {
    match phase {
        Phase::Pending => abi::Phase::Pending,
        Phase::Auction => abi::Phase::Auction,
        Phase::PostOnly => abi::Phase::PostOnly,
        Phase::Open => abi::Phase::Open,
        Phase::ReduceOnly => abi::Phase::ReduceOnly,
        Phase::Halted => abi::Phase::Halted,
        Phase::Delisted => abi::Phase::Delisted,
    }
}

fn phase_from_abi(phase: abi::Phase) -> Option<Phase> {
    match phase {
        abi::Phase::Pending => Some(Phase::Pending),
        abi::Phase::Auction => Some(Phase::Auction),
        abi::Phase::PostOnly => Some(Phase::PostOnly),
        abi::Phase::Open => Some(Phase::Open),
        abi::Phase::ReduceOnly => Some(Phase::ReduceOnly),
        abi::Phase::Halted => Some(Phase::Halted),
        abi::Phase::Delisted => Some(Phase::Delisted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use proptest::prelude::*;
    use xos_types::EventId;

    use super::*;

    fn address() -> impl Strategy<Value = Address> {
        any::<[u8; 20]>().prop_map(Address::from)
    }

    fn trading_terms() -> impl Strategy<Value = TradingTerms> {
        let rates = (0_u32..1 << 24, -(1_i32 << 23)..1 << 23);
        (any::<(u32, u64, bool, bool, bool, u64, u64)>(), rates).prop_map(
            |((venue, quantum, curve, restricted, isolated_only, position_cap, open_interest_cap), (taker, maker))| {
                TradingTerms {
                    venue: VenueId(venue),
                    quantum,
                    taker_fee: Ppm(taker),
                    maker_fee: Rate(maker),
                    curve,
                    restricted,
                    isolated_only,
                    position_cap: Lots(position_cap),
                    open_interest_cap: Lots(open_interest_cap),
                }
            },
        )
    }

    fn config() -> impl Strategy<Value = EventConfig> {
        let text = (".{0,70}", proptest::collection::vec(".{0,40}", 0..50));
        (trading_terms(), any::<(u8, u32)>(), address(), text).prop_map(
            |(terms, (outcomes, ticks), resolver, (title, labels))| EventConfig {
                terms,
                outcomes,
                ticks,
                resolver,
                title,
                labels,
            },
        )
    }

    fn feed_config() -> impl Strategy<Value = FeedConfig> {
        (address(), any::<[u8; 32]>(), 0_u128..1 << 96, any::<[u32; 4]>()).prop_map(
            |(source, name, unit, [max_age, max_gap, max_move, _])| FeedConfig {
                source,
                name: name.into(),
                unit,
                max_age,
                max_gap,
                max_move: Ppm(max_move),
            },
        )
    }

    fn asset_config() -> impl Strategy<Value = AssetConfig> {
        let parts = || (0_u32..1 << 24).prop_map(Ppm);
        (address(), any::<(u64, u128)>(), [parts(), parts(), parts()], feed_config()).prop_map(
            |(token, (lot, cap), [initial_weight, maintenance_weight, conversion_discount], feed)| AssetConfig {
                token,
                lot,
                initial_weight,
                maintenance_weight,
                conversion_discount,
                cap,
                feed,
            },
        )
    }

    fn perpetual_config() -> impl Strategy<Value = PerpetualConfig> {
        let parts = || (0_u32..1 << 24).prop_map(Ppm);
        let fractions = || [parts(), parts(), parts(), parts()];
        let rest = (parts(), any::<u32>(), 0_u128..1 << 96, ".{0,70}");
        (trading_terms(), feed_config(), fractions(), fractions(), any::<[u32; 3]>(), rest).prop_map(
            |(
                terms,
                feed,
                initial_fractions,
                maintenance_fractions,
                tier_bounds,
                (penalty, funding_cap, loss_cap, title),
            )| {
                PerpetualConfig {
                    terms,
                    feed,
                    initial_fractions,
                    maintenance_fractions,
                    tier_bounds,
                    penalty,
                    funding_cap: Ppm(funding_cap),
                    loss_cap,
                    title,
                }
            },
        )
    }

    fn grant() -> impl Strategy<Value = SignerGrant> {
        (address(), any::<(u64, bool, bool, [u32; 3])>(), 0_u128..1 << 96).prop_map(
            |(signer, (expiry, trade, withdraw, venues), max_notional)| SignerGrant {
                signer,
                expiry: TimeMs(expiry),
                max_notional,
                trade,
                withdraw,
                venues: venues.map(VenueId),
            },
        )
    }

    fn venue_config() -> impl Strategy<Value = VenueConfig> {
        let share = || (0_u32..1 << 24).prop_map(Ppm);
        (any::<u64>(), share(), share(), share()).prop_map(
            |(treasury, protocol_share, insurance_share, referrer_share)| VenueConfig {
                treasury: AccountId(treasury),
                protocol_share,
                insurance_share,
                referrer_share,
            },
        )
    }

    fn fee_tier() -> impl Strategy<Value = FeeTier> {
        let share = || (0_u32..1 << 24).prop_map(Ppm);
        (any::<u128>(), share(), share()).prop_map(|(volume, taker_share, maker_share)| FeeTier {
            volume,
            taker_share,
            maker_share,
        })
    }

    fn liquidate() -> impl Strategy<Value = Liquidate> {
        any::<(u64, u64, u32, u64, u128, u64, u64)>().prop_map(
            |(keeper, account, market, size, limit, nonce, expiry)| Liquidate {
                keeper: AccountId(keeper),
                account: AccountId(account),
                market: MarketId(market),
                size: Lots(size),
                limit,
                nonce: Nonce(nonce),
                expiry: TimeMs(expiry),
            },
        )
    }

    fn payload() -> impl Strategy<Value = InboxPayload> {
        let event = || (0_u32..1 << 24).prop_map(EventId);
        let account = || any::<u64>().prop_map(AccountId);
        let (market, venue) = (|| any::<u32>().prop_map(MarketId), || any::<u32>().prop_map(VenueId));
        let builder = || any::<u32>().prop_map(BuilderId);
        let phase = prop_oneof![
            Just(Phase::Pending),
            Just(Phase::Auction),
            Just(Phase::PostOnly),
            Just(Phase::Open),
            Just(Phase::ReduceOnly),
            Just(Phase::Halted),
            Just(Phase::Delisted)
        ];
        let terms = (address(), any::<(u8, u32)>(), 0_u32..1 << 24).prop_map(
            |(sequencer, (max_holdings, grace), keeper_share)| GroupTerms {
                sequencer,
                max_holdings,
                keeper_share: Ppm(keeper_share),
                grace,
            },
        );
        let money =
            prop_oneof![
                (account(), address(), address(), any::<u128>()).prop_map(|(account, owner, token, amount)| {
                    InboxPayload::Deposit { account, owner, token, amount }
                }),
                (account(), address(), any::<u128>())
                    .prop_map(|(account, token, amount)| InboxPayload::ForcedWithdrawal { account, token, amount }),
            ];
        let listings = prop_oneof![
            (event(), config()).prop_map(|(event, config)| InboxPayload::EventOpened { event, config }),
            (event(), proptest::collection::vec(any::<u64>(), 0..130))
                .prop_map(|(event, payouts)| InboxPayload::EventResolved { event, payouts }),
            (market(), phase).prop_map(|(market, phase)| InboxPayload::PhaseSet { market, phase }),
            (market(), any::<u8>(), any::<u16>(), any::<u16>()).prop_map(|(market, weekdays, opens, closes)| {
                InboxPayload::HoursSet { market, hours: Hours { weekdays, opens, closes } }
            }),
            (venue(), venue_config()).prop_map(|(venue, config)| InboxPayload::VenueSet { venue, config }),
            (venue(), proptest::collection::vec(fee_tier(), 0..9))
                .prop_map(|(venue, tiers)| InboxPayload::FeeTiersSet { venue, tiers }),
            terms.prop_map(InboxPayload::TermsSet),
            (any::<u8>(), asset_config())
                .prop_map(|(feed, config)| InboxPayload::AssetSet { feed: FeedId(feed), config }),
            (market(), trading_terms(), any::<u8>(), ".{0,70}").prop_map(|(market, terms, asset, title)| {
                InboxPayload::SpotListed { market, config: SpotConfig { terms, asset: FeedId(asset), title } }
            }),
            (market(), any::<u8>(), perpetual_config()).prop_map(|(market, feed, config)| {
                InboxPayload::PerpetualSet { market, feed: FeedId(feed), config }
            }),
        ];
        let requests = prop_oneof![
            (account(), any::<u64>())
                .prop_map(|(account, floor)| InboxPayload::CancelAll { account, floor: Nonce(floor) }),
            (account(), market()).prop_map(|(account, market)| InboxPayload::ForcedClose { account, market }),
            liquidate().prop_map(InboxPayload::ForcedLiquidation),
            (account(), grant()).prop_map(|(account, grant)| InboxPayload::SignerSet { account, grant }),
            (account(), venue(), any::<u64>()).prop_map(|(account, venue, until)| InboxPayload::MembershipSet {
                account,
                venue,
                until: TimeMs(until)
            }),
            (account(), builder()).prop_map(|(account, referrer)| InboxPayload::ReferrerSet { account, referrer }),
            (builder(), account()).prop_map(|(builder, account)| InboxPayload::BuilderSet { builder, account }),
        ];
        prop_oneof![money, listings, requests]
    }

    fn kind_of(item: &InboxItem) -> u8 {
        item_to_abi(item).kind.into()
    }

    proptest! {
        #[test]
        fn every_payload_survives_the_way_there_and_back(payload in payload()) {
            let item = InboxItem { index: 7, time: TimeMs(1_000), payload };
            let bytes = encode_payload(&item.payload);
            prop_assert_eq!(decode_inbox_item(7, kind_of(&item), TimeMs(1_000), &bytes).unwrap(), item);
        }

        #[test]
        fn bytes_that_are_taken_are_given_back(payload in payload(), at: usize, change: u8, kind in 0..=LAST_KIND) {
            let mut bytes = encode_payload(&payload);
            let at = at % bytes.len();
            bytes[at] ^= change;
            if let Ok(item) = decode_inbox_item(0, kind, TimeMs(0), &bytes) {
                prop_assert_eq!(encode_payload(&item.payload), bytes);
            }
        }
    }

    #[test]
    fn other_encodings_of_the_same_are_refused() {
        let deposit =
            InboxPayload::Deposit { account: AccountId(1), owner: Address::ZERO, token: Address::ZERO, amount: 1 };
        let bytes = encode_payload(&deposit);
        assert!(decode_inbox_item(0, 0, TimeMs(0), &bytes).is_ok());
        assert!(decode_inbox_item(0, 0, TimeMs(0), &[&bytes[..], &[0; 32]].concat()).is_err());
        assert!(decode_inbox_item(0, 0, TimeMs(0), &bytes[..bytes.len() - 1]).is_err());
        let mut dirty = bytes.clone();
        dirty[0] = 1;
        assert!(decode_inbox_item(0, 0, TimeMs(0), &dirty).is_err());
        let error = decode_inbox_item(9, LAST_KIND + 1, TimeMs(0), &bytes).unwrap_err().to_string();
        assert!(error.contains("inbox item 9") && error.contains("kind 19"), "{error}");
    }

    #[test]
    fn a_phase_that_the_gateway_never_sets_is_named() {
        let none = abi::PhaseSetPayload { market: 256, phase: abi::Phase::None }.abi_encode_params();
        let error = decode_inbox_item(5, abi::InboxKind::PhaseSet as u8, TimeMs(0), &none).unwrap_err();
        assert!(matches!(error, ChainError::UnservedItem { index: 5, .. }), "{error}");
    }

    #[test]
    fn a_title_that_is_not_utf8_is_refused_by_name() {
        let config = EventConfig {
            terms: TradingTerms::free(VenueId(1), 1),
            outcomes: 2,
            ticks: 10,
            resolver: Address::ZERO,
            title: "title".into(),
            labels: vec!["a".into(), "b".into()],
        };
        let mut bytes = encode_payload(&InboxPayload::EventOpened { event: EventId(1), config });
        let at = bytes.windows(5).position(|window| window == b"title").unwrap();
        bytes[at] = 0xff;
        let error = decode_inbox_item(3, 1, TimeMs(0), &bytes).unwrap_err().to_string();
        assert!(error.contains("inbox item 3"), "{error}");
        assert!(error.to_lowercase().contains("utf"), "{error}");
    }
}
