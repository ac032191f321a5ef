//! The simulated chain: a pool of transactions, blocks with a state each, and reorganisations that take blocks back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use alloy::primitives::{Address, B256, Bytes, Log, U256, keccak256};
use revm::DatabaseRef;

use crate::dice::Dice;
use crate::evm::{BlockAt, Call, GAS_LIMIT, Genesis, State, execute, look};
use crate::trace::Trace;

/// Gas that the transactions of a block may use.
const BLOCK_GAS: u64 = 36_000_000;
/// Blocks whose state endpoints still have.
const STATES_KEPT: u64 = 64;
/// Wei per gas in quiet times.
pub(crate) const QUIET_FEE: u128 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent: Option<Arc<Block>>,
    /// Unix seconds.
    pub(crate) time: u64,
    pub(crate) base_fee: u128,
    pub(crate) mined: Vec<Mined>,
    state: Mutex<Option<Arc<State>>>,
}

impl Block {
    pub(crate) fn at(&self) -> BlockAt {
        BlockAt { number: self.number, time: self.time }
    }

    /// The state behind it; None if it is so old that endpoints have forgotten it.
    pub(crate) fn state(&self) -> Option<Arc<State>> {
        self.state.lock().unwrap().clone()
    }

    pub(crate) fn nonce(&self, of: Address) -> Option<u64> {
        Some(self.state()?.basic_ref(of).unwrap().map_or(0, |account| account.nonce))
    }
}

/// From a block back to the first.
pub(crate) fn back(from: &Arc<Block>) -> impl Iterator<Item = &Arc<Block>> {
    std::iter::successors(Some(from), |block| block.parent.as_ref())
}

/// The block of that number in the branch that ends with a tip.
pub(crate) fn ancestor(tip: &Arc<Block>, number: u64) -> Option<Arc<Block>> {
    back(tip).take_while(|block| block.number >= number).find(|block| block.number == number).cloned()
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub(crate) struct Mined {
    pub(crate) transaction: Transaction,
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
}

#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) hash: B256,
    pub(crate) call: Call,
    /// None: whatever its sender's next one is, as for people who notice when theirs was dropped.
    pub(crate) nonce: Option<u64>,
    pub(crate) max_fee: u128,
    pub(crate) priority: u128,
}

/// How the pool took a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Pending,
    AlreadyKnown,
    NonceTooLow,
    Underpriced,
}

/// The chain as all endpoints together know it.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) tip: Arc<Block>,
    /// The highest block that ever was.
    highest: u64,
    /// No reorganisation goes deeper below that.
    deepest: u64,
    pool: BTreeMap<(Address, u64), Transaction>,
    requests: VecDeque<Transaction>,
    pub(crate) base_fee: u128,
    /// So many, so that no two requests and no two blocks have one hash.
    made: u64,
    dice: Dice,
    trace: Trace,
}

impl Blocks {
    pub(crate) fn new(now: u64, deepest: u64, dice: Dice, trace: Trace) -> Self {
        let genesis = Block {
            number: 0,
            hash: B256::repeat_byte(0xee),
            parent: None,
            time: now,
            base_fee: QUIET_FEE,
            mined: Vec::new(),
            state: Mutex::new(Some(Arc::new(Genesis::get().state.clone()))),
        };
        let (pool, requests) = (BTreeMap::new(), VecDeque::new());
        let tip = Arc::new(genesis);
        Self { tip, highest: 0, deepest, pool, requests, base_fee: QUIET_FEE, made: 0, dice, trace }
    }

    /// No reorganisation takes this block back.
    fn finalized(&self) -> u64 {
        self.finalized_below(self.highest)
    }

    /// Nor that one, once there was a block of that number.
    pub(crate) fn finalized_below(&self, number: u64) -> u64 {
        number.saturating_sub(self.deepest)
    }

    /// Somebody asks the contracts for something.
    pub(crate) fn request(&mut self, from: Address, to: Address, value: U256, data: Vec<u8>) {
        self.made += 1;
        let hash = keccak256([&data[..], from.as_slice(), &self.made.to_be_bytes()].concat());
        let call = Call { from, to, value, data: data.into(), gas_limit: GAS_LIMIT };
        self.requests.push_back(Transaction { hash, call, nonce: None, max_fee: u128::MAX, priority: 0 });
    }

    /// Takes a relayer's transaction.
    pub(crate) fn send(&mut self, transaction: Transaction) -> Taken {
        let from = transaction.call.from;
        let nonce = transaction.nonce.expect("a relayer's transaction has one");
        if nonce < self.tip.nonce(from).expect("the newest state is kept") {
            return Taken::NonceTooLow;
        }
        if let Some(known) = self.pool.get(&(from, nonce)) {
            if known.hash == transaction.hash {
                return Taken::AlreadyKnown;
            }
            // As nodes have it: a tenth more of both.
            let more = |old: u128| old + old / 10;
            if transaction.max_fee < more(known.max_fee) || transaction.priority < more(known.priority) {
                return Taken::Underpriced;
            }
        }
        self.pool.insert((from, nonce), transaction);
        Taken::Pending
    }

    /// The relayer's next nonce, counting what waits without a gap.
    pub(crate) fn pending_nonce(&self, of: Address) -> u64 {
        let mut nonce = self.tip.nonce(of).expect("the newest state is kept");
        while self.pool.contains_key(&(of, nonce)) {
            nonce += 1;
        }
        nonce
    }

    /// What a call would come to behind everything that waits.
    pub(crate) fn look_pending(&self, call: &Call) -> crate::evm::Executed {
        let mut state = (*self.tip.state().expect("the newest state is kept")).clone();
        let at = BlockAt { number: self.tip.number + 1, time: self.tip.time + 1 };
        for (&(from, nonce), transaction) in &self.pool {
            if self.tip.nonce(from).is_some_and(|next| nonce >= next) {
                execute(&mut state, at, &transaction.call);
            }
        }
        look(&Arc::new(state), at, call)
    }

    /// The pool forgets some of what waits.
    pub(crate) fn drop_pending(&mut self, permille: u64) {
        let dice = self.dice.clone();
        let before = self.pool.len();
        self.pool.retain(|_, _| !dice.chance(permille));
        self.trace.note("chain", format!("the pool forgets {} of {before} transactions", before - self.pool.len()));
    }

    /// Mines a block; each transaction has its chance to be in it.
    pub(crate) fn mine(&mut self, now: u64, permille: u64) {
        let number = self.tip.number + 1;
        let time = now.max(self.tip.time + 1);
        let mut state = (*self.tip.state().expect("the newest state is kept")).clone();
        let (mut gas, mut mined) = (0, Vec::new());
        let mut skipped = VecDeque::new();
        while let Some(transaction) = self.requests.pop_front() {
            if skipped.is_empty() && gas + GAS_LIMIT <= BLOCK_GAS && self.dice.chance(permille) {
                mined.push(run(&mut state, BlockAt { number, time }, transaction, &mut gas));
            } else {
                skipped.push_back(transaction);
            }
        }
        self.requests = skipped;
        let senders: Vec<Address> = self.pool.keys().map(|(from, _)| *from).collect();
        for from in senders {
            let mut nonce = state.basic_ref(from).unwrap().map_or(0, |account| account.nonce);
            while let Some(next) = self.pool.get(&(from, nonce)) {
                let fits = gas + next.call.gas_limit <= BLOCK_GAS && next.max_fee >= self.base_fee;
                if !fits || !self.dice.chance(permille) {
                    break;
                }
                let transaction = self.pool.remove(&(from, nonce)).expect("it was just looked at");
                mined.push(run(&mut state, BlockAt { number, time }, transaction, &mut gas));
                nonce += 1;
            }
            // Those that are mined under their nonces are of no use to anybody.
            self.pool.retain(|(sender, other), _| *sender != from || *other >= nonce);
        }
        self.made += 1;
        let hashes: Vec<u8> = mined.iter().flat_map(|mined| mined.transaction.hash).collect();
        let hash = keccak256([self.tip.hash.as_slice(), &hashes, &self.made.to_be_bytes()].concat());
        if mined.is_empty() {
            self.trace.note("chain", format!("block {number}"));
        } else {
            let failed = mined.iter().filter(|mined| !mined.success).count();
            self.trace.note("chain", format!("block {number} with {} transactions, {failed} failed", mined.len()));
        }
        let state = Mutex::new(Some(Arc::new(state)));
        let (parent, base_fee) = (Some(Arc::clone(&self.tip)), self.base_fee);
        self.tip = Arc::new(Block { number, hash, parent, time, base_fee, mined, state });
        self.highest = self.highest.max(number);
        if let Some(old) = number.checked_sub(STATES_KEPT).and_then(|old| ancestor(&self.tip, old)) {
            *old.state.lock().unwrap() = None;
        }
    }

    /// Takes back the newest blocks, and puts others in their place. What they held waits again, or is forgotten.
    pub(crate) fn reorganise(&mut self, depth: u64, now: u64) {
        let depth = depth.min(self.tip.number.saturating_sub(self.finalized()));
        if depth == 0 {
            return;
        }
        let fork = ancestor(&self.tip, self.tip.number - depth).expect("the chain has no gaps");
        let mut gone: Vec<Mined> = back(&self.tip)
            .take_while(|block| block.number > fork.number)
            .flat_map(|block| block.mined.iter().rev().cloned())
            .collect();
        gone.reverse();
        let forgets = self.dice.pick(&[0, 0, 200, 1000]);
        self.trace.note("chain", format!("{depth} blocks with {} transactions are reorganised away", gone.len()));
        self.tip = fork;
        let mut again = VecDeque::new();
        for Mined { transaction, .. } in gone {
            if self.dice.chance(forgets) {
                continue;
            }
            match transaction.nonce {
                Some(nonce) => drop(self.pool.insert((transaction.call.from, nonce), transaction)),
                None => again.push_back(transaction),
            }
        }
        if self.dice.chance(300) {
            again.make_contiguous().reverse();
        }
        again.append(&mut self.requests);
        self.requests = again;
        // The new branch is longer, or soon will be.
        let blocks = (depth + self.dice.between(0, 2)).saturating_sub(1);
        let permille = self.dice.pick(&[0, 500, 1000]);
        for left in (0..blocks).rev() {
            self.mine(now.saturating_sub(left), permille);
        }
    }
}

fn run(state: &mut State, at: BlockAt, transaction: Transaction, gas: &mut u64) -> Mined {
    let executed = execute(state, at, &transaction.call);
    *gas += executed.gas_used;
    Mined { transaction, success: executed.success, gas_used: executed.gas_used, logs: executed.logs }
}

/// A view of a contract, for who looks at the chain from outside of the story.
pub(crate) fn view<C: alloy::sol_types::SolCall>(block: &Block, to: Address, call: &C) -> C::Return {
    let data = Bytes::from(call.abi_encode());
    let call = Call { from: Address::ZERO, to, value: U256::ZERO, data, gas_limit: GAS_LIMIT };
    let seen = look(&block.state().expect("a recent block"), block.at(), &call);
    assert!(seen.success, "{}: {}", C::SIGNATURE, xos_chain::describe_revert(&seen.output));
    C::abi_decode_returns(&seen.output).unwrap()
}
