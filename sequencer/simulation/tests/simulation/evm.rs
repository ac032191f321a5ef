//! The compiled contracts in an EVM in memory: a state, and what a transaction makes of it.

use std::sync::{Arc, OnceLock};

use alloy::primitives::{Address, Bytes, Log, U256};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, InMemoryDB};
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{Database, DatabaseCommit, ExecuteCommitEvm, MainBuilder, MainContext};
use xos_auth::Key;
use xos_chain::{Attribution, Deployment};

use crate::artifact::{ESCAPE_HATCH, Plan};

pub(crate) const CHAIN_ID: u64 = 31_337;
/// What X Layer will take (EIP-7825).
pub(crate) const GAS_LIMIT: u64 = 1 << 24;
const CREATOR: Address = Address::repeat_byte(0xc0);
/// Wei of everybody who pays for requests.
const RICH: U256 = U256::from_limbs([0, 1, 0, 0]);

pub(crate) type State = InMemoryDB;

/// The block that a transaction is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockAt {
    pub(crate) number: u64,
    /// Unix seconds.
    pub(crate) time: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    pub(crate) gas_limit: u64,
}

/// What came of a transaction.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    /// What it returned, or why it reverted.
    pub(crate) output: Bytes,
}

/// A group on a chain with nothing else, deployed once in a process: all lives begin with it.
#[derive(Debug)]
pub(crate) struct Genesis {
    pub(crate) state: State,
    pub(crate) deployment: Deployment,
}

/// Signs and relays batches.
pub(crate) fn sequencer() -> Key {
    Key::from_bytes([1; 32]).unwrap()
}

/// Governs the group, lists its markets, resolves its events.
pub(crate) fn house() -> Key {
    Key::from_bytes([2; 32]).unwrap()
}

pub(crate) fn trader(number: u8) -> Key {
    Key::from_bytes([10 + number; 32]).unwrap()
}

pub(crate) const TRADERS: u8 = 4;

impl Genesis {
    pub(crate) fn get() -> &'static Self {
        static GENESIS: OnceLock<Genesis> = OnceLock::new();
        GENESIS.get_or_init(Self::deploy)
    }

    fn deploy() -> Self {
        let mut state = State::default();
        let people = (0..TRADERS).map(trader).chain([house(), sequencer()]);
        for person in people {
            state.insert_account_info(person.address(), AccountInfo { balance: RICH, ..AccountInfo::default() });
        }
        let plan = Plan::new(CREATOR, 0, sequencer().address(), house().address());
        let deployment = Deployment {
            chain_id: CHAIN_ID,
            token: plan.token,
            group: plan.group,
            gateway: plan.gateway,
            escape_hatch: ESCAPE_HATCH,
            governance: house().address(),
            sequencer: sequencer().address(),
            max_holdings: 16,
            keeper_share: 500_000,
            grace: 5_000,
            deployer: house().address(),
            block: 0,
            attribution: Attribution::default(),
        };
        for (address, code) in plan.creations {
            let creation = TxEnv { kind: TxKind::Create, data: code, ..transaction(CREATOR) };
            match run(&mut state, BlockAt { number: 0, time: 0 }, creation) {
                ExecutionResult::Success { output: Output::Create(_, Some(created)), .. } => {
                    assert_eq!(created, address, "creations come in the order of the plan");
                }
                other => panic!("the contract was not created: {other:?}"),
            }
        }
        Self { state, deployment }
    }
}

/// Executes a transaction and keeps what it changed.
pub(crate) fn execute(state: &mut State, block: BlockAt, call: &Call) -> Executed {
    executed(run(state, block, environment(call)))
}

/// Executes a transaction on top of a state that stays as it is.
pub(crate) fn look(state: &Arc<State>, block: BlockAt, call: &Call) -> Executed {
    executed(run(&mut CacheDB::new(Arc::clone(state)), block, environment(call)))
}

fn environment(call: &Call) -> TxEnv {
    let Call { from, to, value, data, gas_limit } = call.clone();
    TxEnv { kind: TxKind::Call(to), value, data, gas_limit, ..transaction(from) }
}

fn transaction(caller: Address) -> TxEnv {
    TxEnv { caller, gas_limit: GAS_LIMIT, chain_id: Some(CHAIN_ID), ..TxEnv::default() }
}

fn run<DB>(database: &mut DB, block: BlockAt, transaction: TxEnv) -> ExecutionResult
where
    DB: Database + DatabaseCommit,
    DB::Error: std::fmt::Debug + std::error::Error + Send + Sync + 'static,
{
    let context = Context::mainnet().with_db(database).modify_cfg_chained(|cfg| {
        cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
        cfg.chain_id = CHAIN_ID;
        cfg.disable_nonce_check = true;
    });
    let mut evm = context.build_mainnet();
    evm.ctx.block.number = U256::from(block.number);
    evm.ctx.block.timestamp = U256::from(block.time);
    evm.transact_commit(transaction).unwrap()
}

fn executed(result: ExecutionResult) -> Executed {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            Executed { success: true, gas_used, logs, output: output.into_data() }
        }
        ExecutionResult::Revert { output, .. } => Executed { success: false, gas_used, logs: Vec::new(), output },
        ExecutionResult::Halt { .. } => Executed { success: false, gas_used, logs: Vec::new(), output: Bytes::new() },
    }
}
