//! The compiled contracts in an EVM in memory.

use alloy::primitives::{Address, Bytes, Log, U256};
use alloy::sol_types::{SolCall, SolEvent};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::InMemoryDB;
use revm::handler::MainnetContext;
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm};
use xos_chain::abi::IGateway;
use xos_chain::abi::IRiskGroup::InboxQueued;
use xos_chain::{decode_inbox_item, describe_revert};
use xos_types::{InboxItem, TimeMs};

use crate::artifact::Plan;

alloy::sol! {
    /// `test/group/MockPriceSource.sol`.
    interface IMockPriceSource {
        function set(bytes32 name, uint64 time, uint256 price, uint64 publishedAt) external;
    }
}

pub(crate) const CHAIN_ID: u64 = 31_337;
/// What X Layer will take (EIP-7825).
pub(crate) const GAS_LIMIT: u64 = 1 << 24;
const CREATOR: Address = Address::repeat_byte(0xc0);
/// Wei of everybody who pays for requests.
const RICH: U256 = U256::from_limbs([0, 1, 0, 0]);

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
    pub(crate) gateway: Address,
    pub(crate) group: Address,
    /// Says what it was told of a feed at a time.
    pub(crate) source: Address,
    /// Tokens that the group may admit.
    pub(crate) assets: Vec<Address>,
}

impl Evm {
    /// `people` can pay for requests.
    pub(crate) fn deploy(sequencer: Address, governor: Address, people: impl Iterator<Item = Address>) -> Self {
        let mut database = InMemoryDB::default();
        for address in people {
            database.insert_account_info(address, AccountInfo { balance: RICH, ..AccountInfo::default() });
        }
        let context = Context::mainnet().with_db(database).modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
            cfg.chain_id = CHAIN_ID;
            cfg.disable_nonce_check = true;
        });
        let mut plan = Plan::new(CREATOR, 0, sequencer, governor);
        let source = plan.create("MockPriceSource", &[]);
        let assets = (0..3).map(|_| plan.create("SimulatedToken", &[])).collect();
        let (token, gateway, group) = (plan.token, plan.gateway, plan.group);
        let mut this = Self { evm: context.build_mainnet(), token, gateway, group, source, assets };
        for (address, code) in plan.creations {
            let result = this.evm.transact_commit(transaction(CREATOR, TxKind::Create, code)).unwrap();
            match result {
                ExecutionResult::Success { output: Output::Create(_, Some(created)), .. } => {
                    assert_eq!(created, address, "creations come in the order of the plan");
                }
                other => panic!("the contract was not created: {other:?}"),
            }
        }
        this
    }

    pub(crate) fn set_time(&mut self, now: TimeMs) {
        self.evm.ctx.block.timestamp = U256::from(now.0 / 1_000);
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
        self.must_with(from, to, call, U256::ZERO)
    }

    /// As `must`, paying what a request costs.
    pub(crate) fn request<C: SolCall>(&mut self, from: Address, call: &C) -> Done {
        let fee = self.view(self.gateway, &IGateway::requestFeeCall {});
        self.must_with(from, self.gateway, call, fee)
    }

    /// In a block of its own: a block admits so many requests and no more.
    fn must_with<C: SolCall>(&mut self, from: Address, to: Address, call: &C, value: U256) -> Done {
        self.evm.ctx.block.number += U256::ONE;
        let sent = TxEnv { value, ..transaction(from, TxKind::Call(to), call.abi_encode().into()) };
        match unwrap(self.evm.transact_commit(sent).unwrap()) {
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
