//! Holds `docs/rpc.md` to the code: every method, every code, and examples that parse.

use std::collections::BTreeSet;

use serde_json::Value;
use xos_api::{Data, Explained};

use crate::door::budget::WEIGHTS;
use crate::params::refusal_of;
use crate::testing::idle_rpc;

const PAGE: &str = include_str!("../../../docs/rpc.md");

/// Names of the methods that the node serves, without those that end subscriptions.
fn methods() -> BTreeSet<String> {
    let module = idle_rpc().module();
    module.method_names().filter(|name| !name.contains("unsubscribe")).map(String::from).collect()
}

#[test]
fn the_page_describes_exactly_the_methods_that_are_served() {
    let described: BTreeSet<String> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### ")).map(String::from).collect();
    assert_eq!(described, methods());
}

#[test]
fn every_example_is_a_request_that_parses() {
    let mut exemplified = BTreeSet::new();
    for block in PAGE.split("```json\n").skip(1) {
        let json = block.split("\n```").next().unwrap();
        let example: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        if let Some(method) = example["method"].as_str() {
            assert_eq!(refusal_of(method, &example["params"].to_string()), None, "{json}");
            if example["params"].is_object() {
                assert!(refusal_of(method, "7").is_some(), "{method}'s parameters are known by name");
            }
            exemplified.insert(method.to_owned());
        }
    }
    assert_eq!(exemplified, methods(), "every method has an example");
}

#[test]
fn what_calls_cost_is_what_the_page_says() {
    for (weight, methods) in WEIGHTS {
        let methods: Vec<String> = methods.iter().map(|method| format!("`{method}`")).collect();
        let row = format!("| {weight} | {} |", methods.join(", "));
        assert!(PAGE.contains(&row), "{row}");
    }
    for (_, methods) in WEIGHTS {
        assert!(methods.iter().all(|method| self::methods().contains(*method)), "{methods:?}");
    }
}

#[test]
fn every_method_s_answer_is_described() {
    let module = idle_rpc().module();
    let document = crate::openrpc::document(module.method_names());
    for method in document["methods"].as_array().unwrap() {
        assert!(method["result"]["schema"].is_object(), "of {} nobody knows what it answers", method["name"]);
    }
}

#[test]
fn the_table_of_errors_is_the_catalogue() {
    let row = |error: Explained| {
        let Explained { code, name, meaning, remedy, data } = error;
        let fields: Vec<String> = match data {
            Data::Text => Vec::new(),
            Data::Fields(fields) => fields.iter().map(|field| format!("`{}`", field.name)).collect(),
        };
        format!("| {code} | {name} | {meaning} | {remedy} | {} |\n", fields.join(", "))
    };
    let table: String = Explained::all().map(row).collect();
    let begin = PAGE.find("| 1000 |").expect("the table begins with the first code");
    let end = PAGE[begin..].find("\n\n").map_or(PAGE.len(), |length| begin + length + 1);
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rpc.md");
        std::fs::write(path, [&PAGE[..begin], &table, &PAGE[end..]].concat()).unwrap();
    } else {
        assert_eq!(PAGE[begin..end], table, "run this test with BLESS=1 to write the table anew");
    }
}
