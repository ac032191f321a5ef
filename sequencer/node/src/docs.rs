//! Holds `docs/rpc.md` to the code: every method, every code, and examples that parse.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use xos_api::Code;
use xos_auth::{Domain, Key};

use crate::door::budget::WEIGHTS;
use crate::feeds::serve::Subscriptions;
use crate::ingress::{Backlog, Sequencer};
use crate::params::refusal_of;
use crate::rpc::Rpc;
use crate::settlement::{Batches, Settlement};
use crate::testing::{GROUP, idle_disk, idle_feeds};
use crate::vitals::Vitals;

const PAGE: &str = include_str!("../../../docs/rpc.md");

/// Names of the methods that the node serves, without those that end subscriptions.
fn methods() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let batches = Batches::open(&folder.path().join("batches.jsonl")).unwrap();
    let backlog = Backlog::new(0, 0, 1);
    let (_, status) = tokio::sync::watch::channel(xos_chain::SettlementStatus::default());
    let vitals = Vitals::new(&GROUP, folder.path(), std::time::Duration::from_secs(1));
    let domain = Domain::from(&GROUP);
    let sequencer = Sequencer::channel(1, 1, Arc::clone(&backlog), idle_disk(), crate::replication::Role::alone()).0;
    let past = xos_history::History::open(folder.path().join("history"), &GROUP).unwrap();
    let rpc = Rpc {
        sequencer: sequencer.clone(),
        settlement: Arc::new(Settlement::new(batches, status, backlog)),
        budgets: Arc::new(crate::door::budget::Budgets::new(&crate::testing::ample_limits())),
        signatures: crate::signatures::Signatures::start(domain, Arc::clone(&vitals)).unwrap(),
        vitals,
        group: GROUP,
        domain,
        key: Key::from_bytes([1; 32]).unwrap(),
        decimals: 6,
        state_hash: std::sync::Arc::default(),
        subscriptions: Arc::new(Subscriptions::new(idle_feeds(), sequencer, past.clone())),
        past,
        follower: Arc::default(),
    };
    let module = rpc.module();
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
fn every_code_is_in_the_table() {
    for code in Code::ALL {
        let name = serde_json::to_value(code).unwrap();
        let row = format!("| {} | {} |", code as i32, name.as_str().unwrap());
        assert!(PAGE.contains(&row), "{row}");
    }
}
