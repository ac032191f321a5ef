//! The door's JSON-RPC on text from anybody: the page's requests, changed here and there, the same every time. Whatever it is, the
//! answer is one of JSON-RPC, and its errors are in the catalogue.

use std::sync::Arc;

use jsonrpsee::core::server::{BoundedSubscriptions, ConnectionId, MethodSink, Methods};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use xos_api::Explained;

use super::calls::Calls;
use crate::testing::idle_rpc;

const PAGE: &str = include_str!("../../../../docs/rpc.md");
const CASES: usize = 3_000;

/// Words that readers of JSON stumble over.
const WORDS: [&str; 16] = [
    "null",
    "-1",
    "1e400",
    "18446744073709551616",
    "0.5",
    "[]",
    "{}",
    "[[[[",
    "\"",
    "\\u0000",
    "\u{fffd}",
    ",",
    "}",
    "true",
    "\"id\":1,",
    "\"xos_book\"",
];

/// The text, changed in up to three places.
fn change(text: &str, random: &mut ChaCha8Rng) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..=text.len());
        let end = text.len().min(at + random.random_range(0..24_usize));
        text.splice(at..end, WORDS[random.random_range(0..WORDS.len())].chars());
    }
    text.into_iter().collect()
}

#[test]
fn whatever_text_comes_is_answered_in_json_rpc_and_from_the_catalogue() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let (sink, mut updates) = tokio::sync::mpsc::channel(1 << 10);
    let calls = Calls {
        methods: Methods::from(idle_rpc().module()),
        connection: ConnectionId(1),
        subscriptions: Arc::new(BoundedSubscriptions::new(u32::MAX)),
        sink: MethodSink::new(sink),
        response_bytes: 1 << 20,
        batch_requests: 20,
    };
    let blocks = PAGE.split("```json\n").skip(1).filter_map(|block| block.split("\n```").next());
    let mut requests: Vec<String> = blocks.filter(|block| block.contains("\"method\"")).map(String::from).collect();
    requests.push(format!("[{},{}]", requests[0], requests[1]));
    requests.push(format!("[{}]", vec!["1"; 30].join(",")));
    requests.push("[".repeat(10_000));
    let check = |answer: &Value| {
        assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
        match answer.get("error") {
            Some(error) => assert!(Explained::all().any(|known| error["code"] == known.code), "{error}"),
            None => assert!(answer.get("result").is_some(), "{answer}"),
        }
    };
    let (mut random, mut answered) = (ChaCha8Rng::seed_from_u64(7), 0);
    for case in 0..CASES {
        let text = change(&requests[case % requests.len()], &mut random);
        if let Some(answer) = runtime.block_on(calls.clone().execute(&text)) {
            answered += 1;
            match serde_json::from_str(answer.get()).unwrap() {
                Value::Array(answers) => answers.iter().for_each(check),
                answer => check(&answer),
            }
        }
        while updates.try_recv().is_ok() {}
    }
    assert!(answered > CASES / 2, "{answered} of {CASES} were answered");
}
