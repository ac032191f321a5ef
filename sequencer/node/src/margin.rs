//! How accounts stand, and what orders would do, as the RPC shows them.

use xos_api::{LiquidationPrice, MarginInfo, PositionMarginInfo, TrialInfo, TrialRequest};
use xos_engine::{Engine, MarginView, PositionMargin, Preview};
use xos_types::{AccountId, Atoms, Instructions, Order, Ppm, Reject, TimeMs};

use crate::indexed::{in_ticks, perpetual_of};

/// A fee limit that suffices everywhere: all of the value.
const ANY_FEE: Ppm = Ppm(1_000_000);

/// How an account stands, if there is one of that number.
pub(crate) fn of(engine: &Engine, account: AccountId) -> Option<MarginInfo> {
    engine.margin(account).map(|view| info(engine, account, view))
}

/// What an order would do.
///
/// # Errors
/// What it would be refused for.
pub(crate) fn trial(engine: &Engine, request: &TrialRequest) -> Result<TrialInfo, Reject> {
    let &TrialRequest { account, market, side, kind, reduce_only, size, price, self_trade, crossing } = request;
    let nonce = engine.account(account).map_or_else(Default::default, |view| view.next_nonce);
    let (expiry, max_fee, builder, builder_fee) = (TimeMs(0), ANY_FEE, 0, Ppm(0));
    let order =
        Order { account, market, side, kind, reduce_only, size, price, nonce, expiry, max_fee, builder, builder_fee };
    let preview = engine.preview(&order, Instructions { self_trade, crossing })?;
    let Preview { price, filled, notional, fees, rests, margin } = preview;
    Ok(TrialInfo { filled, notional, fees, rests, price, margin: info(engine, account, margin) })
}

fn info(engine: &Engine, account: AccountId, view: MarginView) -> MarginInfo {
    let MarginView { health, available, positions } = view;
    MarginInfo {
        account,
        usd: Atoms(health.usd),
        initial_equity: Atoms(health.initial_equity),
        maintenance_equity: Atoms(health.maintenance_equity),
        initial_requirement: Atoms(health.initial_requirement),
        maintenance_requirement: Atoms(health.maintenance_requirement),
        available,
        failing: health.maintenance() < 0,
        blocked: health.blocked,
        positions: positions.into_iter().filter_map(|position| position_info(engine, position)).collect(),
    }
}

/// Every perpetual has a market.
fn position_info(engine: &Engine, position: PositionMargin) -> Option<PositionMarginInfo> {
    let PositionMargin { feed, size: lots, value, funding, initial, maintenance, liquidation } = position;
    let market = perpetual_of(engine, feed)?;
    let quantum = market.terms.quantum;
    Some(PositionMarginInfo {
        market: market.market,
        feed,
        lots,
        value,
        funding,
        initial_requirement: initial,
        maintenance_requirement: maintenance,
        liquidation: liquidation.map(|index| LiquidationPrice { index, ticks: in_ticks(index, quantum) }),
    })
}
