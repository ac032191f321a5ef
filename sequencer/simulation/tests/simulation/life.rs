//! A life: a chain, nodes and clients, faults for a while, and then the proof that everything has become level again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use alloy::primitives::U256;
use alloy::sol_types::{SolCall, SolEvent};
use tokio::time::sleep;
use xos_chain::abi::IRiskGroup::{BatchSettled, InboxQueued};
use xos_chain::abi::{self, IGateway, IGroupViews, IToken};
use xos_chain::decode_inbox_item;
use xos_types::{InboxPayload, TimeMs};

use crate::blocks::{Block, back, view};
use crate::client::{Client, Crowd};
use crate::evm::{Genesis, TRADERS, house, trader};
use crate::faults::{Faults, Kind};
use crate::node::Node;
use crate::world::World;

const NAMES: [&str; 3] = ["A", "B", "C"];
/// How long things go wrong.
const FAULTS_SECONDS: u64 = 60;
/// How long orders still come when nothing goes wrong any more.
const QUIET_SECONDS: u64 = 6;
/// Blocks within which settlement must be level again after a fault: every frame that was let out when it was over is settled.
const LEVEL_BLOCKS: u64 = 10;
/// Looks half a second apart that must find everything level.
const LEVEL_LOOKS: u64 = 10;

/// What a life came to.
#[derive(Debug)]
pub(crate) struct Lived {
    pub(crate) hash: String,
    pub(crate) broken: Option<String>,
    pub(crate) end: String,
    pub(crate) acknowledged: usize,
    pub(crate) batches: u64,
    pub(crate) blocks: u64,
    /// Blocks that it took at most to become level after a fault of each kind; after all of them together that have no kind.
    pub(crate) level: BTreeMap<Option<Kind>, u64>,
}

/// Lives the life of a seed, in a folder of its own.
pub(crate) async fn live(seed: u64, dir: &Path, lines: usize) -> Lived {
    let world = Rc::new(World::new(seed));
    let level = RefCell::default();
    story(&world, dir, &level).await;
    let blocks = world.blocks.lock().unwrap();
    let batches = view(&blocks.tip, Genesis::get().deployment.group, &IGroupViews::lastBatchCall {}).id;
    let acknowledged = world.truth.borrow().acknowledged();
    world.trace.note("seed", format!("{acknowledged} commands acknowledged, {batches} batches settled"));
    Lived {
        hash: world.trace.hash(),
        broken: world.trace.what_is_broken(),
        end: world.trace.end(lines),
        acknowledged,
        batches,
        blocks: blocks.tip.number,
        level: level.take(),
    }
}

async fn story(world: &Rc<World>, dir: &Path, level: &Level) {
    open(world);
    let nodes: Vec<Rc<Node>> =
        NAMES[..world.setup.nodes].iter().map(|name| Node::new(name, world, dir.join(name))).collect();
    let crowd =
        Rc::new(Crowd { world: Rc::clone(world), nodes: nodes.clone(), lost: Cell::new(0), done: Cell::new(0) });
    tokio::task::spawn_local(mine(Rc::clone(world)));
    for node in &nodes {
        tokio::task::spawn_local(Rc::clone(node).supervise());
    }
    for number in 0..TRADERS {
        tokio::task::spawn_local(Client::new(&crowd, number).live());
    }
    let mut faults = Faults::new(world, &nodes, &crowd);
    while world.trace.now() < FAULTS_SECONDS * 1000 {
        sleep(faults.pause()).await;
        let struck = faults.strike();
        if let Some((kind, lasts)) = struck.filter(|_| faults.one_at_a_time) {
            sleep(lasts).await;
            until_settled(world, Some(kind), level).await;
        }
        if world.trace.what_is_broken().is_some() {
            return;
        }
    }
    faults.end();
    if world.setup.is_shallow() {
        // Nothing more can be asked of it: it may have stopped, or be about to.
        return;
    }
    until_settled(world, None, level).await;
    let before = crowd.done.get();
    sleep(Duration::from_secs(QUIET_SECONDS)).await;
    let mut waited = QUIET_SECONDS;
    while crowd.done.get() == before && world.trace.what_is_broken().is_none() {
        sleep(Duration::from_secs(1)).await;
        waited += 1;
        if waited > 30 {
            world.trace.broken("clients", "nothing goes wrong any more, and nobody is answered");
            return;
        }
    }
    world.busy.set(false);
    world.trace.note("seed", "the clients go home");
    let begun = world.mined.get();
    // What they paid in last waits for so many blocks before it counts.
    let within = LEVEL_BLOCKS + world.setup.confirmations;
    // Orders may be in a frame that is not sealed yet, so one look is not enough.
    let mut looks = 0;
    while looks < LEVEL_LOOKS && world.trace.what_is_broken().is_none() {
        sleep(Duration::from_millis(500)).await;
        if is_level(world, &nodes) {
            looks += 1;
            continue;
        }
        looks = 0;
        if world.mined.get() > begun + within {
            let stand: Vec<_> = nodes.iter().map(|node| (node.name, node.leads(), node.sealed())).collect();
            world.trace.broken("seed", format!("not level {within} blocks after the last order: {stand:?}"));
        }
    }
    if world.trace.what_is_broken().is_none() {
        compare(world, &nodes);
    }
}

type Level = RefCell<BTreeMap<Option<Kind>, u64>>;

/// A fault is over: waits until every frame that was let out so far is settled, and notes how many blocks that took.
async fn until_settled(world: &World, kind: Option<Kind>, level: &Level) {
    if world.setup.is_shallow() {
        return;
    }
    let (begun, last) = (world.mined.get(), world.truth.borrow().last_frame());
    let group = Genesis::get().deployment.group;
    while world.trace.what_is_broken().is_none() {
        let tip = std::sync::Arc::clone(&world.blocks.lock().unwrap().tip);
        let blocks = world.mined.get() - begun;
        let settled = view(&tip, group, &IGroupViews::lastBatchCall {}).id;
        if settled >= last {
            world.trace.note("seed", format!("settlement is level {blocks} blocks after {kind:?}"));
            let mut level = level.borrow_mut();
            let most = level.entry(kind).or_default();
            *most = blocks.max(*most);
            return;
        }
        if blocks > LEVEL_BLOCKS {
            let what = format!("{blocks} blocks after {kind:?} {settled} of {last} frames are settled");
            world.trace.broken("seed", what);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// What the chain holds before anybody trades: a venue, money, an event with three outcomes.
fn open(world: &World) {
    let deployment = &Genesis::get().deployment;
    let (token, gateway) = (deployment.token, deployment.gateway);
    let mut blocks = world.blocks.lock().unwrap();
    let house = house().address();
    let share = |parts: u32| alloy::primitives::aliases::U24::from(parts);
    let config = abi::VenueConfig {
        treasury: 2,
        protocolShare: share(0),
        insuranceShare: share(100_000),
        referrerShare: share(0),
    };
    let call = IGateway::openVenueCall { deployer: house, registrar: house, config };
    blocks.request(house, gateway, U256::ZERO, call.abi_encode());
    for number in 0..TRADERS {
        let owner = trader(number).address();
        let plenty = U256::from(1_000_000_000_000_u64);
        blocks.request(owner, token, U256::ZERO, IToken::mintCall { to: owner, amount: plenty }.abi_encode());
        blocks.request(owner, token, U256::ZERO, IToken::approveCall { spender: gateway, amount: plenty }.abi_encode());
        let deposit = IGateway::depositCall { account: 0, owner, token, amount: U256::from(1_000_000_000) };
        blocks.request(owner, gateway, U256::ZERO, deposit.abi_encode());
    }
    let config = abi::EventConfig {
        terms: abi::TradingTerms {
            venue: 1,
            quantum: 10,
            takerFee: share(1_000),
            makerFee: alloy::primitives::aliases::I24::ZERO,
            curve: false,
            restricted: false,
            isolatedOnly: false,
            positionCap: 0,
            openInterestCap: 0,
        },
        outcomes: 3,
        ticks: 1_000,
        resolver: house,
        title: "Who wins?".into(),
        labels: vec!["one".into(), "two".into(), "neither".into()],
    };
    blocks.request(house, gateway, U256::ZERO, IGateway::openEventCall { config }.abi_encode());
    // So deep that nothing takes it back.
    for _ in 0..3 + world.setup.deepest {
        let time = blocks.tip.time + 1;
        blocks.mine(time, 1000);
    }
}

/// A block a second, and what must be true of each.
async fn mine(world: Rc<World>) {
    let dice = world.dice("miner");
    loop {
        sleep(dice.ms(900, 1_100)).await;
        let tip = {
            let mut blocks = world.blocks.lock().unwrap();
            if world.busy.get() && dice.chance(150) {
                deposit(&mut blocks, &dice);
            }
            let now = world.unix_ms() / 1000;
            blocks.mine(now, 950);
            world.mined.set(world.mined.get() + 1);
            std::sync::Arc::clone(&blocks.tip)
        };
        watch(&world, &tip);
    }
}

fn deposit(blocks: &mut crate::blocks::Blocks, dice: &crate::dice::Dice) {
    let deployment = &Genesis::get().deployment;
    let number = u8::try_from(dice.between(0, u64::from(TRADERS) - 1)).unwrap();
    let owner = trader(number).address();
    let amount = U256::from(dice.between(1, 1_000_000));
    let account = 3 + u64::from(number);
    let call = IGateway::depositCall { account, owner, token: deployment.token, amount };
    blocks.request(owner, deployment.gateway, U256::ZERO, call.abi_encode());
}

/// Batches are frames that were let out, and the tokens are what the accounts hold.
fn watch(world: &World, tip: &Block) {
    let deployment = &Genesis::get().deployment;
    let mut any = false;
    for log in tip.mined.iter().flat_map(|mined| &mined.logs).filter(|log| log.address == deployment.group) {
        if let Ok(settled) = BatchSettled::decode_log(log) {
            any = true;
            world.truth.borrow().settled(settled.id, (settled.sequence, settled.logHash.0));
        }
    }
    if any {
        conserves(world, tip);
    }
}

fn conserves(world: &World, tip: &Block) {
    let deployment = &Genesis::get().deployment;
    let count = view(tip, deployment.gateway, &IGateway::accountsCall {});
    let mut cash: i128 = 0;
    for id in 1..=count {
        cash += view(tip, deployment.group, &IGroupViews::accountCall { id }).cash;
    }
    let head = view(tip, deployment.group, &IGroupViews::inboxCall {}).head;
    let queued: u128 = back_logs(tip)
        .filter_map(|log| InboxQueued::decode_log(log).ok())
        .filter(|queued| queued.index >= head)
        .filter_map(|queued| {
            decode_inbox_item(queued.index, queued.kind.into(), TimeMs(queued.time), &queued.payload).ok()
        })
        .filter_map(|item| match item.payload {
            InboxPayload::Deposit { amount, .. } => Some(amount),
            _ => None,
        })
        .sum();
    let custody = view(tip, deployment.token, &IToken::balanceOfCall { owner: deployment.group });
    let claims = cash + i128::try_from(queued).unwrap();
    if U256::from(claims.unsigned_abs()) != custody || claims < 0 {
        world.trace.broken("chain", format!("{custody} tokens in custody, and claims of {claims}"));
    }
}

/// Logs of a block and all before it.
fn back_logs(tip: &Block) -> impl Iterator<Item = &alloy::primitives::Log> {
    let before = tip.parent.iter().flat_map(|parent| back(parent).map(|block| &**block));
    std::iter::once(tip).chain(before).flat_map(|block| block.mined.iter().flat_map(|mined| &mined.logs))
}

/// Every node stands where the others do, and every frame is settled.
fn is_level(world: &World, nodes: &[Rc<Node>]) -> bool {
    let tip = std::sync::Arc::clone(&world.blocks.lock().unwrap().tip);
    let group = Genesis::get().deployment.group;
    let settled = view(&tip, group, &IGroupViews::lastBatchCall {}).id;
    let inbox = view(&tip, group, &IGroupViews::inboxCall {});
    let stands: Vec<_> = nodes.iter().map(|node| node.sealed()).collect();
    let leads = nodes.iter().filter(|node| node.leads()).count() == 1;
    leads && inbox.head == inbox.tail && stands.iter().all(|stand| stand.is_some_and(|(sealed, _)| sealed == settled))
}

/// The chain holds what the engine holds, to the atom; every journal leads there.
fn compare(world: &World, nodes: &[Rc<Node>]) {
    let deployment = &Genesis::get().deployment;
    let tip = std::sync::Arc::clone(&world.blocks.lock().unwrap().tip);
    let leader = nodes.iter().find(|node| node.leads()).expect("it is level");
    let differing = leader.look(|engine| {
        engine.check_invariants();
        let differs = |id: xos_types::AccountId| {
            let ours = engine.account(id).expect("it is listed");
            let theirs = view(&tip, deployment.group, &IGroupViews::accountCall { id: id.0 });
            (ours.owner, ours.cash.0, ours.worst_payoff.0) != (theirs.owner, theirs.cash, theirs.worstPayoff)
        };
        engine.account_ids().find(|id| differs(*id))
    });
    if let Some(account) = differing.flatten() {
        world.trace.broken("chain", format!("account {} holds something else there", account.0));
    }
    for node in nodes {
        let told = if nodes.len() == 1 { world.truth.borrow().last() } else { 0 };
        world.truth.borrow_mut().check_journal(node.name, &node.journal_dir(), told);
    }
}
