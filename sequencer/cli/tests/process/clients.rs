//! Clients that share no code with us.

use std::process::Command;

use alloy::hex;
use xos_types::AccountId;

use crate::exchange::{ALICE, Exchange, MARKET, alice, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viem_signs_orders_and_whatever_is_changed_afterwards_is_refused() {
    let exchange = Exchange::open().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/clients/viem.mjs");
    let key = format!("0x{}", hex::encode(alice().to_bytes()));
    let said = Command::new("node")
        .args([script, &exchange.http, &key, &AccountId(ALICE).to_string(), &MARKET.to_string()])
        .output()
        .unwrap();
    assert!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
    assert!(text(&said.stdout).contains("12 changes were refused"), "{}", text(&said.stdout));
}
