//! The OpenRPC document that `rpc.discover` answers: for programs, what `docs/rpc.md` is for people.
//!
//! Nothing is written down twice. The methods are those that are registered; what may stand in parameters and answers is derived
//! from the types that read and write them, with their own documentation; errors are [`Explained`] by the API; what methods mean, and
//! examples, are those of the page, which tests hold to the code.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use xos_api::{
    AccountInfo, AccountMessage, Ack, BatchInfo, BboMessage, BookInfo, BookMessage, Budget, Candle, CandlesMessage,
    CommandSettlement, EventInfo, Explained, FillRecord, FundingMessage, FundingRecord, HoldingInfo, IndexMarketInfo,
    Info, LiquidationRecord, LiquidationsMessage, LoggedIn, MarginInfo, MarketInfo, MarketsMessage, OpenOrder,
    OrderInfo, OrderOutcome, OrderRecord, OrdersMessage, PlannedOrder, PricesMessage, StateHash, TradeInfo,
    TradesMessage, TransferRecord, TreeAck, TrialInfo, VenueInfo,
};
use xos_types::{AccountId, Hex};

use crate::params::{Describe, params_of};

const PAGE: &str = include_str!("../../../docs/rpc.md");

/// The document of these methods.
pub(crate) fn document(methods: impl Iterator<Item = &'static str>) -> Value {
    let mut settings = SchemaSettings::draft07().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    let answers = &mut settings.clone().into_generator();
    settings.inline_subschemas = true;
    let requests = &mut settings.clone().for_deserialize().into_generator();
    let errors = errors(&settings);
    let references: Vec<Value> =
        errors.keys().map(|name| json!({ "$ref": format!("#/components/errors/{name}") })).collect();
    let sections = sections();
    let mut methods: Vec<&str> = methods.filter(|name| !name.contains("unsubscribe")).collect();
    methods.sort_unstable();
    let methods = methods.into_iter().map(|name| {
        let Section { text, examples } = sections.get(name).cloned().unwrap_or_default();
        let params: Vec<Value> = params_of(name)
            .unwrap_or_default()
            .iter()
            .map(|param| json!({ "name": param.name, "required": param.needed, "schema": (param.schema)(requests) }))
            .collect();
        let result = result_of(name).map(|describe| describe(answers));
        let mut method = json!({
            "name": name, "description": text, "paramStructure": "either", "params": params,
            "result": { "name": "result", "schema": result }, "errors": references,
        });
        if let Some(describe) = message_of(name) {
            method["x-message"] = json!({ "schema": describe(answers) });
        }
        if let Some(example) = example(&examples) {
            method["examples"] = json!([example]);
        }
        method
    });
    let methods: Vec<Value> = methods.collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Exchange OS",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Signing, units, order of execution and binary order entry are described in docs/rpc.md.",
        },
        "methods": methods,
        "components": { "errors": errors, "schemas": answers.take_definitions(true) },
    })
}

/// What the page says of one method.
#[derive(Clone, Default)]
struct Section {
    text: String,
    examples: Vec<Value>,
}

fn sections() -> BTreeMap<&'static str, Section> {
    let sections = PAGE.split("\n### ").skip(1).filter_map(|section| {
        let section = section.split("\n## ").next()?;
        let (name, body) = section.split_once('\n')?;
        let mut parts = body.split("```");
        let text = parts.next()?.split_whitespace().collect::<Vec<_>>().join(" ");
        let examples = parts.filter_map(|part| serde_json::from_str(part.strip_prefix("json")?).ok());
        Some((name, Section { text, examples: examples.collect() }))
    });
    sections.collect()
}

/// A request of the page with its answer, in OpenRPC's form.
fn example(examples: &[Value]) -> Option<Value> {
    let params = match &examples.first()?["params"] {
        Value::Object(params) => params.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect(),
        _ => Vec::new(),
    };
    let mut example = json!({ "name": "as in docs/rpc.md", "params": params });
    if let Some(result) = examples.get(1) {
        example["result"] = json!({ "name": "result", "value": result });
    }
    Some(example)
}

/// Every error, by name.
fn errors(settings: &SchemaSettings) -> Map<String, Value> {
    let generator = &mut settings.clone().into_generator();
    let errors = Explained::all().map(|error| {
        let data = json!({ "remedy": error.remedy, "schema": error.schema(generator) });
        (error.name.to_owned(), json!({ "code": error.code, "message": error.meaning, "data": data }))
    });
    errors.collect()
}

/// What a method answers.
fn result_of(method: &str) -> Option<Describe> {
    Some(match method {
        "xos_info" => answer::<Info>,
        "xos_health" | "xos_ready" | "xos_logout" => answer::<bool>,
        "xos_stateHash" => answer::<StateHash>,
        "xos_events" => answer::<Vec<EventInfo>>,
        "xos_markets" => answer::<Vec<MarketInfo>>,
        "xos_indexMarkets" => answer::<Vec<IndexMarketInfo>>,
        "xos_venues" => answer::<Vec<VenueInfo>>,
        "xos_holdings" => answer::<Vec<HoldingInfo>>,
        "xos_book" => answer::<BookInfo>,
        "xos_trades" | "xos_tradeHistory" => answer::<Vec<TradeInfo>>,
        "xos_account" => answer::<AccountInfo>,
        "xos_margin" => answer::<MarginInfo>,
        "xos_simulateOrder" => answer::<TrialInfo>,
        "xos_accountsOf" => answer::<Vec<AccountId>>,
        "xos_openOrders" => answer::<Vec<OpenOrder>>,
        "xos_plannedOrders" => answer::<Vec<PlannedOrder>>,
        "xos_order" => answer::<OrderInfo>,
        "xos_orderHistory" => answer::<Vec<OrderRecord>>,
        "xos_fills" => answer::<Vec<FillRecord>>,
        "xos_candles" => answer::<Vec<Candle>>,
        "xos_funding" => answer::<Vec<FundingRecord>>,
        "xos_transfers" => answer::<Vec<TransferRecord>>,
        "xos_liquidations" => answer::<Vec<LiquidationRecord>>,
        "xos_batches" => answer::<Vec<BatchInfo>>,
        "xos_settlement" => answer::<CommandSettlement>,
        "xos_placeOrder" | "xos_cancel" | "xos_cancelAll" | "xos_cancelMany" | "xos_cancelAfter" | "xos_withdraw"
        | "xos_transfer" | "xos_liquidate" | "xos_convert" => answer::<Ack>,
        "xos_placeOrders" | "xos_cancelOrders" | "xos_planOrders" | "xos_replaceOrders" | "xos_amendOrders" => {
            answer::<Vec<OrderOutcome>>
        }
        "xos_placeTree" => answer::<TreeAck>,
        "xos_challenge" => answer::<Hex<32>>,
        "xos_login" => answer::<LoggedIn>,
        "xos_budget" => answer::<Budget>,
        "rpc.discover" => answer::<Map<String, Value>>,
        _ if message_of(method).is_some() => answer::<u64>,
        _ => return None,
    })
}

/// What the messages of a subscription say; its result is the number that they bear.
fn message_of(method: &str) -> Option<Describe> {
    Some(match method {
        "xos_subscribeBook" => answer::<BookMessage>,
        "xos_subscribeOrders" => answer::<OrdersMessage>,
        "xos_subscribeBbo" => answer::<BboMessage>,
        "xos_subscribeTrades" => answer::<TradesMessage>,
        "xos_subscribeCandles" => answer::<CandlesMessage>,
        "xos_subscribePrices" => answer::<PricesMessage>,
        "xos_subscribeFunding" => answer::<FundingMessage>,
        "xos_subscribeLiquidations" => answer::<LiquidationsMessage>,
        "xos_subscribeAccount" => answer::<AccountMessage>,
        "xos_subscribeMarkets" => answer::<MarketsMessage>,
        _ => return None,
    })
}

fn answer<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(document: &'a Value, method: &str) -> &'a Value {
        document["methods"].as_array().unwrap().iter().find(|each| each["name"] == method).unwrap()
    }

    #[test]
    fn parameters_are_described_by_the_code_that_reads_them() {
        let names = ["xos_placeOrder", "xos_placeOrders", "xos_candles", "xos_markets", "xos_login"];
        let document = document(names.into_iter());
        let order = &of(&document, "xos_placeOrder")["params"][0];
        assert_eq!((&order["name"], &order["required"]), (&json!("order"), &json!(true)));
        assert_eq!(order["schema"]["type"], "object");
        for field in ["account", "reduceOnly", "builderFee", "signature"] {
            assert!(order["schema"]["properties"][field].is_object(), "{order}");
        }
        assert_eq!(order["schema"]["properties"].as_object().unwrap().len(), 13);
        let orders = &of(&document, "xos_placeOrders")["params"][0]["schema"];
        assert_eq!(orders["type"], "array");
        assert_eq!(orders["items"]["properties"], order["schema"]["properties"]);
        let candles = &of(&document, "xos_candles")["params"];
        let intervals =
            candles[1]["schema"]["oneOf"].as_array().unwrap().iter().map(|one| one["const"].as_str().unwrap());
        assert_eq!(intervals.collect::<Vec<_>>(), ["1m", "5m", "15m", "1h", "4h", "1d"]);
        assert_eq!(candles[2]["schema"]["type"], json!(["string", "integer"]));
        assert_eq!(of(&document, "xos_markets")["params"][0]["required"], false);
        assert!(of(&document, "xos_login")["description"].as_str().unwrap().starts_with("Logs the connection in"));
    }

    #[test]
    fn what_is_answered_is_described_and_so_is_all_that_it_refers_to() {
        let document = document(["xos_book", "xos_placeOrders", "xos_challenge", "xos_subscribeBbo"].into_iter());
        let result = |method: &str| of(&document, method)["result"]["schema"].clone();
        assert_eq!(result("xos_book"), json!({ "$ref": "#/components/schemas/BookInfo" }));
        let book = &document["components"]["schemas"]["BookInfo"];
        assert_eq!(book["properties"]["sequence"]["type"], "string");
        assert_eq!(book["properties"]["bids"]["items"], json!({ "$ref": "#/components/schemas/Level" }));
        let level = &document["components"]["schemas"]["Level"]["properties"];
        assert_eq!((&level["size"]["description"], &level["orders"]["type"]), (&json!("Lots."), &json!("integer")));
        assert_eq!(result("xos_challenge")["pattern"], "^0x[0-9a-fA-F]{64}$");
        assert_eq!(result("xos_subscribeBbo")["type"], "integer");
        let message = json!({ "schema": { "$ref": "#/components/schemas/BboMessage" } });
        assert_eq!(of(&document, "xos_subscribeBbo")["x-message"], message);
        for reference in document.to_string().split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn every_code_is_in_the_catalogue() {
        let document = document([].into_iter());
        for code in xos_api::Code::ALL {
            let error = &document["components"]["errors"][code.explained().name];
            assert_eq!(error["code"], code as i32);
            assert_eq!(error["data"]["schema"]["properties"]["name"], json!({ "const": code }));
        }
    }
}
