//! What `forge build` made of the contracts.

use std::path::PathBuf;

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolValue;
use serde_json::Value;

/// Creation code of a contract, with its constructor's arguments appended.
fn creation_code(contract: &str, arguments: &[u8]) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../out/{contract}.sol/{contract}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build the contracts first: `make contracts`", path.display()));
    let artifact: Value = serde_json::from_str(&text).unwrap();
    let code: Bytes = artifact["bytecode"]["object"].as_str().unwrap().parse().unwrap();
    [&code, arguments].concat().into()
}

pub(crate) fn token() -> Bytes {
    creation_code("SimulatedToken", &[])
}

pub(crate) fn risk_group(token: Address, sequencer: Address, deployer: Address, deadline_ms: u64) -> Bytes {
    creation_code("RiskGroup", &(token, sequencer, deployer, deadline_ms).abi_encode_params())
}
