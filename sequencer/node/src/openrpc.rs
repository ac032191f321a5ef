//! The OpenRPC document that `rpc.discover` answers: for programs, what `docs/rpc.md` is for people.
//!
//! Nothing is written down twice. The methods are those that are registered; their parameters, and what may stand in them, are
//! asked of the code that reads them; what they mean, examples and error codes are those of the page, which tests hold to
//! the code.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::params::{Check, params_of};

const PAGE: &str = include_str!("../../../docs/rpc.md");

/// The document of these methods.
pub(crate) fn document(methods: impl Iterator<Item = &'static str>) -> Value {
    let sections = sections();
    let errors = errors();
    let references: Vec<Value> =
        errors.keys().map(|name| json!({ "$ref": format!("#/components/errors/{name}") })).collect();
    let mut methods: Vec<&str> = methods.filter(|name| !name.contains("unsubscribe")).collect();
    methods.sort_unstable();
    let methods = methods.into_iter().map(|name| {
        let Section { text, examples } = sections.get(name).cloned().unwrap_or_default();
        let params: Vec<Value> = params_of(name)
            .unwrap_or_default()
            .iter()
            .map(|param| json!({ "name": param.name, "required": param.needed, "schema": schema(param.check) }))
            .collect();
        let mut method = json!({
            "name": name, "description": text, "paramStructure": "either", "params": params,
            "result": { "name": "result", "schema": {} }, "errors": references,
        });
        if let Some(example) = example(&examples) {
            method["examples"] = json!([example]);
        }
        method
    });
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Exchange OS",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Signing, units, order of execution and binary order entry are described in docs/rpc.md.",
        },
        "methods": methods.collect::<Vec<_>>(),
        "components": { "errors": errors },
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

/// The rows of the page's table of codes, by name.
fn errors() -> Map<String, Value> {
    let rows = PAGE.lines().skip_while(|line| *line != "## Errors").filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [code, name, when, data] = cells[..] else { return None };
        let code: i32 = code.parse().ok()?;
        Some((name.to_owned(), json!({ "code": code, "message": when, "data": data })))
    });
    rows.collect()
}

/// What a parameter may be: the reader is asked what it thinks of one value of each kind.
fn schema(check: Check) -> Value {
    let is_taken = |json: &str| match check(json) {
        Ok(()) => true,
        Err((_, problem)) => !problem.contains("invalid type") && !problem.contains("invalid length"),
    };
    let kinds = [("string", "\"1\""), ("integer", "1"), ("boolean", "true"), ("array", "[]"), ("object", "{}")];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(_, json)| is_taken(json)).map(|(kind, _)| kind).collect();
    let mut schema = json!({ "type": kinds });
    if let Some(names) = alternatives(check, "\"?\"") {
        schema["enum"] = json!(names);
    }
    let properties = |names: Vec<String>| names.into_iter().map(|name| (name, json!({}))).collect::<Map<_, _>>();
    if let Some(names) = alternatives(check, r#"{"?":0}"#) {
        schema["properties"] = Value::Object(properties(names));
    }
    if let Some(names) = alternatives(check, r#"[{"?":0}]"#) {
        schema["items"] = json!({ "type": "object", "properties": properties(names) });
    }
    schema
}

/// The names that the reader would have taken in the place of `?`.
fn alternatives(check: Check, json: &str) -> Option<Vec<String>> {
    let (_, problem) = check(json).err()?;
    let (_, expected) = problem.strip_prefix("unknown ")?.split_once("expected ")?;
    Some(expected.split('`').skip(1).step_by(2).map(String::from).collect())
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
        assert_eq!(order["schema"]["type"], json!(["object"]));
        for field in ["account", "reduceOnly", "builderFee", "signature"] {
            assert!(order["schema"]["properties"][field].is_object(), "{order}");
        }
        assert_eq!(order["schema"]["properties"].as_object().unwrap().len(), 13);
        let orders = &of(&document, "xos_placeOrders")["params"][0]["schema"];
        assert_eq!(orders["type"], json!(["array"]));
        assert_eq!(orders["items"]["properties"], order["schema"]["properties"]);
        let candles = &of(&document, "xos_candles")["params"];
        assert_eq!(candles[1]["schema"]["enum"], json!(["1m", "5m", "15m", "1h", "4h", "1d"]));
        assert_eq!(candles[2]["schema"]["type"], json!(["string", "integer"]));
        assert_eq!(of(&document, "xos_markets")["params"][0]["required"], false);
        assert!(of(&document, "xos_login")["description"].as_str().unwrap().starts_with("Logs the connection in"));
    }

    #[test]
    fn every_code_is_in_the_catalogue() {
        let errors = errors();
        assert_eq!(errors.len(), xos_api::Code::ALL.len());
        for code in xos_api::Code::ALL {
            let name = serde_json::to_value(code).unwrap();
            let error = &errors[name.as_str().unwrap()];
            assert_eq!(error["code"], code as i32);
            assert!(error["message"].as_str().is_some_and(|when| when.len() > 10), "{error}");
        }
    }
}
