//! What `forge build` made of the contracts, and how to deploy a group of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy::primitives::aliases::U24;
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolValue;
use serde_json::Value;
use xos_chain::abi;

/// How long an inbox item may wait.
const DEADLINE_MS: u64 = 24 * 3_600 * 1_000;
/// Wei that a forced request costs when the inbox is empty.
const REQUEST_FEE: u64 = 1_000_000_000;
/// Stands for the contract that pays out a frozen group: no group is frozen here.
pub(crate) const ESCAPE_HATCH: Address = Address::repeat_byte(0xe5);

/// The creations that make a group, in order, and the addresses that they result in when `creator` sends them one after the
/// other. The contracts name each other in their constructors, so all of it is known before the first is sent.
pub(crate) struct Plan {
    pub(crate) creations: Vec<(Address, Bytes)>,
    pub(crate) token: Address,
    pub(crate) gateway: Address,
    pub(crate) group: Address,
    creator: Address,
    nonce: u64,
    /// Addresses of the libraries that are linked.
    libraries: BTreeMap<String, Address>,
}

impl Plan {
    /// A group whose `governor` is its guardian too; `nonce` is the creator's next one.
    pub(crate) fn new(creator: Address, nonce: u64, sequencer: Address, governor: Address) -> Self {
        let zero = Address::ZERO;
        let (creations, libraries) = (Vec::new(), BTreeMap::new());
        let mut plan = Self { creations, token: zero, gateway: zero, group: zero, creator, nonce, libraries };
        plan.token = plan.create("SimulatedToken", &[]);
        let group_code = plan.link("RiskGroup");
        plan.group = plan.next();
        plan.gateway = creator.create(plan.nonce + 1);
        let terms = abi::GroupTerms { sequencer, maxHoldings: 16, keeperShare: U24::from(500_000), grace: 5_000 };
        let arguments = (plan.token, plan.gateway, ESCAPE_HATCH, governor, DEADLINE_MS, terms);
        plan.push([&group_code, &arguments.abi_encode_params()[..]].concat());
        let arguments = (plan.group, plan.token, governor, governor, U256::from(REQUEST_FEE));
        assert_eq!(plan.create("Gateway", &arguments.abi_encode_params()), plan.gateway);
        plan
    }

    /// Plans one more contract.
    pub(crate) fn create(&mut self, contract: &str, arguments: &[u8]) -> Address {
        let code = self.link(contract);
        self.push([&code, arguments].concat())
    }

    fn next(&self) -> Address {
        self.creator.create(self.nonce)
    }

    fn push(&mut self, code: Vec<u8>) -> Address {
        let address = self.next();
        self.nonce += 1;
        self.creations.push((address, code.into()));
        address
    }

    /// Creation code, with the addresses of its libraries where it calls them; they are planned first if they are not yet.
    fn link(&mut self, contract: &str) -> Vec<u8> {
        let bytecode = &artifact(contract)["bytecode"];
        let mut code = bytecode["object"].as_str().unwrap().trim_start_matches("0x").to_owned();
        let references = bytecode["linkReferences"].as_object().unwrap();
        for (library, places) in references.values().flat_map(|libraries| libraries.as_object().unwrap()) {
            let address = match self.libraries.get(library) {
                Some(address) => *address,
                None => self.create(library, &[]),
            };
            self.libraries.insert(library.clone(), address);
            for place in places.as_array().unwrap() {
                let start = 2 * usize::try_from(place["start"].as_u64().unwrap()).unwrap();
                code.replace_range(start..start + 40, &alloy::hex::encode(address));
            }
        }
        alloy::hex::decode(&code).unwrap_or_else(|error| panic!("{contract}: {error}"))
    }
}

fn artifact(contract: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../out/{contract}.sol/{contract}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build the contracts first: `make contracts`", path.display()));
    serde_json::from_str(&text).unwrap()
}
