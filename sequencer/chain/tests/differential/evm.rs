//! The compiled contracts in an EVM in memory.

use alloy::primitives::{Address, Bytes, Log, U256};
use alloy::sol_types::{SolCall, SolEvent};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::InMemoryDB;
use revm::handler::MainnetContext;
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm};
use xos_chain::abi::IRiskGroup::InboxQueued;
use xos_chain::{decode_inbox_item, describe_revert};
use xos_types::{InboxItem, TimeMs};

use crate::artifact;

pub(crate) const CHAIN_ID: u64 = 31_337;
/// What X Layer will take (EIP-7825).
pub(crate) const GAS_LIMIT: u64 = 1 << 24;
const DEADLINE_MS: u64 = 24 * 3_600 * 1_000;

/// A transaction that went through.
pub(crate) struct Done {
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) output: Bytes,
}

/// What a reverted transaction said.
#[derive(Debug)]
pub(crate) struct Reverted(pub(crate) Bytes);

pub(crate) struct Evm {
    evm: MainnetEvm<MainnetContext<InMemoryDB>>,
    pub(crate) token: Address,
    pub(crate) group: Address,
}

impl Evm {
    pub(crate) fn deploy(sequencer: Address, deployer: Address) -> Self {
        let context = Context::mainnet().with_db(InMemoryDB::default()).modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
            cfg.chain_id = CHAIN_ID;
            cfg.disable_nonce_check = true;
        });
        let mut this = Self { evm: context.build_mainnet(), token: Address::ZERO, group: Address::ZERO };
        this.token = this.create(artifact::token());
        this.group = this.create(artifact::risk_group(this.token, sequencer, deployer, DEADLINE_MS));
        this
    }

    pub(crate) fn set_time(&mut self, now: TimeMs) {
        self.evm.ctx.block.timestamp = U256::from(now.0 / 1_000);
    }

    fn create(&mut self, code: Bytes) -> Address {
        let creator = Address::repeat_byte(0xc0);
        let result = self.evm.transact_commit(transaction(creator, TxKind::Create, code)).unwrap();
        match result {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => address,
            other => panic!("the contract was not created: {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, from: Address, to: Address, data: Bytes) -> Result<Done, Reverted> {
        let result = self.evm.transact_commit(transaction(from, TxKind::Call(to), data)).unwrap();
        unwrap(result)
    }

    /// As `send`, without keeping what it changed.
    pub(crate) fn simulate(&mut self, from: Address, to: Address, data: Bytes) -> Result<Done, Reverted> {
        let result = self.evm.transact(transaction(from, TxKind::Call(to), data)).unwrap();
        unwrap(result.result)
    }

    pub(crate) fn must<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Done {
        match self.send(from, to, call.abi_encode().into()) {
            Ok(done) => done,
            Err(Reverted(data)) => panic!("{} by {from}: {}", C::SIGNATURE, describe_revert(&data)),
        }
    }

    pub(crate) fn view<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        match self.simulate(Address::ZERO, to, call.abi_encode().into()) {
            Ok(done) => C::abi_decode_returns(&done.output).unwrap(),
            Err(Reverted(data)) => panic!("{}: {}", C::SIGNATURE, describe_revert(&data)),
        }
    }
}

/// The inbox item that a request queued, read from its log as the inbox reader does.
pub(crate) fn queued(done: &Done) -> InboxItem {
    let log = done.logs.iter().find_map(|log| InboxQueued::decode_log(log).ok()).expect("the request queues an item");
    decode_inbox_item(log.index, log.kind.into(), TimeMs(log.time), &log.payload).unwrap()
}

fn transaction(from: Address, to: TxKind, data: Bytes) -> TxEnv {
    TxEnv { caller: from, gas_limit: GAS_LIMIT, kind: to, data, chain_id: Some(CHAIN_ID), ..TxEnv::default() }
}

fn unwrap(result: ExecutionResult) -> Result<Done, Reverted> {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => Ok(Done { gas_used, logs, output: output.into_data() }),
        ExecutionResult::Revert { output, .. } => Err(Reverted(output)),
        ExecutionResult::Halt { reason, .. } => panic!("the EVM halted: {reason:?}"),
    }
}
