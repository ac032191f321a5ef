//! Says which field of a request is wrong. The server's own words for malformed parameters are those of the JSON parser,
//! which knows a position but no names; on that path only, the parameters are read again with their names.

use std::collections::BTreeMap;
use std::future::Future;

use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::core::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::error::INVALID_PARAMS_CODE;
use jsonrpsee::types::{ErrorObjectOwned, Request};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use xos_api::{
    AmendRequest, Before, CancelAfterRequest, CancelAllRequest, CancelManyRequest, CancelRequest, ConvertRequest,
    Interval, LiquidateRequest, LoginRequest, OrderRequest, PlanRequest, ReplaceRequest, Sequence, TransferRequest,
    TreeRequest, TrialRequest, WithdrawRequest,
};
use xos_types::{AccountId, Address, EventId, Hex, MarketId, Nonce, TimeMs};

/// Wraps a service so that it names what is wrong with parameters.
#[derive(Clone)]
pub(crate) struct NamedParams<S> {
    pub(crate) inner: S,
    pub(crate) response_bytes: usize,
}

impl<S> NamedParams<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    async fn checked_call(inner: S, request: Request<'_>) -> MethodResponse {
        if is_subscription(request.method_name())
            && let Some(error) = explain(&request)
        {
            // A subscription's own refusal bypasses this layer, so it is not let in.
            return MethodResponse::error(request.id, error);
        }
        let again = request.clone();
        let response = inner.call(request).await;
        if response.as_error_code() != Some(INVALID_PARAMS_CODE) || response.is_subscription() {
            return response;
        }
        match explain(&again) {
            Some(error) => MethodResponse::error(again.id, error),
            None => response,
        }
    }
}

impl<S> RpcServiceT for NamedParams<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        Self::checked_call(self.inner.clone(), request)
    }

    fn batch<'a>(&self, requests: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let inner = self.inner.clone();
        let mut responses = BatchResponseBuilder::new_with_limit(self.response_bytes);
        async move {
            let mut notified = false;
            for entry in requests {
                let response = match entry {
                    Ok(BatchEntry::Call(request)) => Self::checked_call(inner.clone(), request).await,
                    Ok(BatchEntry::Notification(notification)) => {
                        inner.notification(notification).await;
                        notified = true;
                        continue;
                    }
                    Err(error) => {
                        let (error, id) = error.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = responses.append(response) {
                    return too_large;
                }
            }
            // Nothing but notifications is answered with nothing; nothing at all is an invalid request.
            if responses.is_empty() && notified {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(responses.finish())
        }
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let inner = self.inner.clone();
        async move { inner.notification(notification).await }
    }
}

fn is_subscription(method: &str) -> bool {
    method.starts_with("xos_subscribe")
}

/// What is wrong with a parameter: where in it, and what.
type Check = fn(&str) -> Result<(), (String, String)>;

/// What values are described by.
pub(crate) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// One parameter of a method.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) needed: bool,
    pub(crate) check: Check,
    pub(crate) schema: Describe,
}

const fn needed<T: DeserializeOwned + JsonSchema>(name: &'static str) -> Param {
    Param { name, needed: true, check: check::<T>, schema: SchemaGenerator::subschema_for::<T> }
}

const fn optional<T: DeserializeOwned + JsonSchema>(name: &'static str) -> Param {
    Param { name, needed: false, check: check::<Option<T>>, schema: SchemaGenerator::subschema_for::<Option<T>> }
}

/// The parameters of a method, in order.
pub(crate) fn params_of(method: &str) -> Option<Vec<Param>> {
    Some(match method {
        "xos_markets" => vec![optional::<EventId>("event")],
        "xos_book" => vec![needed::<MarketId>("market"), optional::<u32>("depth")],
        "xos_trades" => vec![needed::<MarketId>("market"), optional::<u32>("limit")],
        "xos_account" | "xos_margin" | "xos_holdings" | "xos_openOrders" | "xos_plannedOrders" => {
            vec![needed::<AccountId>("account")]
        }
        "xos_accountsOf" => {
            let schema: Describe = SchemaGenerator::subschema_for::<Hex<20>>;
            vec![Param { name: "owner", needed: true, check: check::<Address>, schema }]
        }
        "xos_order" => vec![needed::<AccountId>("account"), needed::<Nonce>("nonce")],
        "xos_orderHistory" | "xos_fills" | "xos_transfers" | "xos_liquidations" => {
            vec![needed::<AccountId>("account"), optional::<Before>("before"), optional::<u32>("limit")]
        }
        "xos_tradeHistory" => {
            vec![needed::<MarketId>("market"), optional::<Before>("before"), optional::<u32>("limit")]
        }
        "xos_candles" => vec![
            needed::<MarketId>("market"),
            needed::<Interval>("interval"),
            needed::<TimeMs>("from"),
            optional::<TimeMs>("until"),
            optional::<u32>("limit"),
        ],
        "xos_funding" => vec![
            needed::<AccountId>("account"),
            optional::<MarketId>("market"),
            optional::<Before>("before"),
            optional::<u32>("limit"),
        ],
        "xos_batches" => vec![needed::<u64>("from"), optional::<u32>("limit")],
        "xos_settlement" => vec![needed::<Sequence>("sequence")],
        "xos_placeOrder" => vec![needed::<OrderRequest>("order")],
        "xos_simulateOrder" => vec![needed::<TrialRequest>("order")],
        "xos_placeOrders" => vec![needed::<Vec<OrderRequest>>("orders")],
        "xos_placeTree" => vec![needed::<TreeRequest>("tree")],
        "xos_cancel" => vec![needed::<CancelRequest>("cancel")],
        "xos_cancelOrders" => vec![needed::<Vec<CancelRequest>>("cancels")],
        "xos_cancelAll" => vec![needed::<CancelAllRequest>("cancel")],
        "xos_planOrders" => vec![needed::<Vec<PlanRequest>>("orders")],
        "xos_replaceOrders" => vec![needed::<Vec<ReplaceRequest>>("replacements")],
        "xos_amendOrders" => vec![needed::<Vec<AmendRequest>>("amendments")],
        "xos_cancelMany" => vec![needed::<CancelManyRequest>("cancel")],
        "xos_cancelAfter" => vec![needed::<CancelAfterRequest>("switch")],
        "xos_login" => vec![needed::<LoginRequest>("login")],
        "xos_logout" => vec![needed::<AccountId>("account")],
        "xos_budget" => vec![optional::<AccountId>("account")],
        "xos_withdraw" => vec![needed::<WithdrawRequest>("withdraw")],
        "xos_transfer" => vec![needed::<TransferRequest>("transfer")],
        "xos_liquidate" => vec![needed::<LiquidateRequest>("liquidate")],
        "xos_convert" => vec![needed::<ConvertRequest>("convert")],
        "xos_subscribeBook" | "xos_subscribeOrders" | "xos_subscribeBbo" => {
            vec![needed::<MarketId>("market"), optional::<Sequence>("from")]
        }
        "xos_subscribeTrades" => vec![optional::<MarketId>("market"), optional::<Sequence>("from")],
        "xos_subscribeCandles" => {
            vec![needed::<MarketId>("market"), needed::<Interval>("interval"), optional::<Sequence>("from")]
        }
        "xos_subscribePrices" | "xos_subscribeFunding" | "xos_subscribeLiquidations" | "xos_subscribeMarkets" => {
            vec![optional::<Sequence>("from")]
        }
        "xos_subscribeAccount" => vec![needed::<AccountId>("account"), optional::<Sequence>("from")],
        _ => return None,
    })
}

/// What is wrong with the request's parameters, if something is.
fn explain(request: &Request<'_>) -> Option<ErrorObjectOwned> {
    let params = params_of(request.method_name())?;
    let given = request.params.as_ref().map_or("[]", |given| given.get());
    let by_name: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(given).ok();
    let by_position: Option<Vec<&RawValue>> = serde_json::from_str(given).ok();
    if by_name.is_none() && by_position.is_none() {
        return Some(error("params", "expected an array or an object"));
    }
    for (position, param) in params.iter().enumerate() {
        let value = match (&by_name, &by_position) {
            (Some(values), _) => values.get(param.name).copied(),
            (None, Some(values)) => values.get(position).copied(),
            (None, None) => None,
        };
        match value {
            None if param.needed => return Some(error(param.name, "missing")),
            None => {}
            Some(value) => {
                if let Err((path, problem)) = (param.check)(value.get()) {
                    return Some(error(&join(param.name, &path, &problem), &problem));
                }
            }
        }
    }
    None
}

fn check<T: DeserializeOwned>(json: &str) -> Result<(), (String, String)> {
    let deserializer = &mut serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize::<_, T>(deserializer).map(drop).map_err(|error| {
        let problem = error.inner().to_string();
        let problem = problem.rsplit_once(" at line ").map_or(problem.as_str(), |(problem, _)| problem);
        (error.path().to_string(), problem.to_owned())
    })
}

/// `order` and `price` to `order.price`; the parser names a missing or unknown field in its words only.
fn join(param: &str, path: &str, problem: &str) -> String {
    let mut field = param.to_owned();
    if path != "." {
        if !path.starts_with('[') {
            field.push('.');
        }
        field.push_str(path);
    }
    let named = ["missing field `", "unknown field `"].into_iter().find_map(|prefix| problem.strip_prefix(prefix));
    if let Some((name, _)) = named.and_then(|rest| rest.split_once('`'))
        && !field.ends_with(&format!(".{name}"))
    {
        field.push('.');
        field.push_str(name);
    }
    field
}

fn error(field: &str, problem: &str) -> ErrorObjectOwned {
    let data = json!({ "field": field, "problem": problem });
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, format!("invalid parameter `{field}`: {problem}"), Some(data))
}

/// The data of the error that these parameters get, if any.
#[cfg(test)]
pub(crate) fn refusal_of(method: &str, params: &str) -> Option<String> {
    let params = RawValue::from_string(params.into()).unwrap();
    let request = Request::owned(method.into(), Some(params), jsonrpsee::types::Id::Number(1));
    Some(explain(&request)?.data()?.get().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(method: &'static str, params: &str) -> Option<(String, String)> {
        let data: serde_json::Value = serde_json::from_str(&refusal_of(method, params)?).unwrap();
        Some((data["field"].as_str()?.into(), data["problem"].as_str()?.into()))
    }

    #[test]
    fn the_wrong_field_is_named() {
        let order = r#"{"account":"1","market":256,"side":"buy","kind":"post_only","size":"1","price":"abc","nonce":"1","maxFee":0,"signature":"0x"}"#;
        let (field, problem) = explained("xos_placeOrder", &format!("[{order}]")).unwrap();
        assert_eq!(field, "order.price");
        assert!(problem.contains("a whole number in range"), "{problem}");
        let (field, _) = explained("xos_placeOrders", &format!(r#"{{"orders":[{order}]}}"#)).unwrap();
        assert_eq!(field, "orders[0].price");
        let cases = [
            ("xos_placeOrder", r#"[{"account":"1"}]"#, "order.market"),
            ("xos_cancel", r#"[{"account":"1","nonce":"2","signature":"0x","extra":1}]"#, "cancel.extra"),
            ("xos_cancel", r#"[{"account":"1","nonce":"-2","signature":"0x"}]"#, "cancel.nonce"),
            ("xos_cancel", r#"[{"account":"1","nonce":"2","signature":"0xzz"}]"#, "cancel.signature"),
            ("xos_cancel", "[]", "cancel"),
            ("xos_book", r#"["x"]"#, "market"),
            ("xos_book", r#"{"market":1,"depth":-1}"#, "depth"),
            ("xos_order", "[1]", "nonce"),
            ("xos_accountsOf", r#"["0x12"]"#, "owner"),
            ("xos_placeOrder", r#""order""#, "params"),
        ];
        for (method, params, field) in cases {
            assert_eq!(explained(method, params).map(|explained| explained.0).as_deref(), Some(field), "{params}");
        }
        assert_eq!(explained("xos_markets", "[]"), None);
        assert_eq!(explained("xos_markets", "[null]"), None);
    }
}
