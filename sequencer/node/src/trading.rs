//! Orders beyond the plain one, between the RPC and the engine: what a request asks for, once its signature is checked.

use xos_api::{
    AmendRequest, ApiError, CancelAfterRequest, CancelManyRequest, PlanRequest, PlannedOrder, ReplaceRequest, Wait,
};
use xos_auth::Domain;
use xos_engine::PlannedView;
use xos_types::{Act, Amend, CancelAfter, CancelMany, Command, Instructions};

use crate::rpc::{claimed, claimed_or, claimed_order};
use crate::signatures::Unverified;

pub(crate) fn claimed_plan(request: &PlanRequest) -> Unverified {
    let (plan, instructions) =
        (request.plan, Instructions { self_trade: request.self_trade, crossing: request.crossing });
    claimed_order(&request.order, |order| Command::Plan { order, instructions, plan })
}

pub(crate) fn claimed_replacement(request: &ReplaceRequest) -> Unverified {
    let instructions = Instructions { self_trade: request.self_trade, crossing: request.crossing };
    let nonce = request.replaces;
    claimed_order(&request.order, |order| match request.wait {
        Some(Wait { trigger, pace }) => Command::Replan { nonce, order, instructions, trigger, pace },
        None => Command::Replace { nonce, order, instructions },
    })
}

pub(crate) fn claimed_amendment(domain: &Domain, request: &AmendRequest) -> Unverified {
    let AmendRequest { account, nonce, size, ref signature } = *request;
    claimed(domain, account, Amend { account, nonce, size }, signature, Command::Amend)
}

pub(crate) fn claimed_cancel_many(domain: &Domain, request: &CancelManyRequest) -> Result<Unverified, ApiError> {
    let CancelManyRequest { account, venue, market, sides, nonce, ref signature } = *request;
    let message = CancelMany { account, venue, market, sides, nonce };
    let act = Act::CancelMany { venue, market, sides };
    claimed_or(domain, account, message, signature, Command::CancelMany, act)
}

pub(crate) fn claimed_switch(domain: &Domain, request: &CancelAfterRequest) -> Result<Unverified, ApiError> {
    let CancelAfterRequest { account, time, nonce, ref signature } = *request;
    let message = CancelAfter { account, time, nonce };
    claimed_or(domain, account, message, signature, Command::CancelAfter, Act::CancelAfter { time })
}

pub(crate) fn planned_order(view: &PlannedView) -> PlannedOrder {
    let PlannedView { order, plan, remaining, filled, excludes, waits_for } = *view;
    PlannedOrder {
        nonce: order.nonce,
        market: order.market,
        side: order.side,
        kind: order.kind,
        reduce_only: order.reduce_only,
        price: order.price,
        size: order.size,
        plan,
        remaining,
        filled,
        excludes,
        waits_for: match waits_for {
            xos_engine::WaitsFor::Order => xos_api::WaitsFor::Order,
            xos_engine::WaitsFor::Price => xos_api::WaitsFor::Price,
            xos_engine::WaitsFor::Time(time) => xos_api::WaitsFor::Time(time),
            xos_engine::WaitsFor::Frame => xos_api::WaitsFor::Frame,
        },
    }
}
