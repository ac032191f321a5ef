//! Replays a journal from its first command and compares it with the chain, and with the node that wrote it.
//!
//! Nothing is changed and nothing is taken on trust: the journal's hashes are checked as it is read, every settled batch is
//! rebuilt from it and its hash compared with the chain's, and every account is compared at the last settled batch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;
use jsonrpsee::http_client::HttpClientBuilder;
use serde::Serialize;
use tokio::task::JoinSet;
use xos_api::people::tokens;
use xos_api::{StateHash, XosApiClient};
use xos_auth::{Domain, Tree, recover};
use xos_chain::{
    AccountState, At, BatchHead, Chain, ChainError, Deployment, HoldingState, InboxConfig, InboxNews, InboxReader,
    batch_hash,
};
use xos_engine::{Engine, HoldingView};
use xos_journal::JournalError;
use xos_types::{
    AccountId, Address, Atoms, B256, Command, Event, EventId, FeedId, InboxItem, InboxPayload, MarketId, Position,
    Precedence, Session, Signed, U256, WindowOrder,
};

use crate::node::JOURNAL_FOLDER;

/// Questions asked of the chain at a time.
const ASKED_AT_ONCE: usize = 32;
/// Up to so many pairs of account and event all are asked of the chain; beyond, those that ever traded.
const PAIRS_MAX: usize = 20_000;
/// Funding indices are atoms of a lot, times this.
const FUNDING_SCALE: i128 = 1_000_000_000;
/// Differences that are shown of one check.
const SHOWN: usize = 5;

/// What to audit.
#[derive(Clone, Debug)]
pub struct Subject {
    /// JSON-RPC address of an X Layer node.
    pub chain: String,
    /// Deployment file.
    pub deployment: PathBuf,
    /// The node's data folder.
    pub data: PathBuf,
    /// The running node's JSON-RPC over HTTP, if its state is to be compared too.
    pub node: Option<String>,
}

/// Why an audit could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain does not answer, or is not the deployment's.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The node does not answer.
    #[error(
        "the node at {url} does not answer xos_stateHash: {reason}; is it running? Leave it out to audit the journal alone"
    )]
    Node {
        /// Where it was asked.
        url: String,
        /// What came back.
        reason: String,
    },
    /// The journal is another group's.
    #[error(
        "the journal belongs to group {journal}, the deployment is group {deployment}; name the node's own data folder"
    )]
    OtherGroup {
        /// The journal's group.
        journal: Address,
        /// The deployment's group.
        deployment: Address,
    },
    /// A replay ended by a bug of ours.
    #[error("the replay broke off: {reason}")]
    Replay {
        /// How.
        reason: String,
    },
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What must hold.
    pub rule: String,
    /// Whether it does.
    pub passed: bool,
    /// Figures, or what differs.
    pub detail: String,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `passed` or `failed`.
    pub audit: &'static str,
    /// Commands replayed.
    pub commands: u64,
    /// Last settled batch.
    pub batches: u64,
    /// Accounts compared.
    pub accounts: usize,
    /// Hash of the state after the last command.
    pub state_hash: B256,
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.rule.len()).max().unwrap_or(0);
        for check in &self.checks {
            let mark = if check.passed { "ok    " } else { "DIFFER" };
            writeln!(f, "{mark}  {:width$}  {}", check.rule, check.detail)?;
        }
        write!(
            f,
            "audit {}: {} commands, {} batches, {} accounts",
            self.audit, self.commands, self.batches, self.accounts
        )
    }
}

/// Audits. `Err` means that it could not be done, a failed [`Report`] that something differs.
///
/// # Errors
/// If chain, journal or node cannot be read.
pub fn audit(subject: &Subject) -> BoxFuture<'_, Result<Report, AuditError>> {
    compare(subject).boxed()
}

async fn compare(subject: &Subject) -> Result<Report, AuditError> {
    // In this order, so that the journal is at least as new as what it is compared with.
    let node = match &subject.node {
        Some(url) => Some(ask_node(url).await?),
        None => None,
    };
    let deployment = Deployment::load(&subject.deployment)?;
    let chain = Chain::connect(&subject.chain, &deployment).await?;
    let newest = chain.block_number().await?;
    let report = compare_at(subject, node, &deployment, &chain, newest).await?;
    // While a local chain mines, it may answer for its newest block from the next one's state. Once that is there, it cannot.
    if report.passed() || chain.block_number().await? == newest {
        return Ok(report);
    }
    compare_at(subject, node, &deployment, &chain, newest).await
}

async fn compare_at(
    subject: &Subject,
    node: Option<StateHash>,
    deployment: &Deployment,
    chain: &Chain,
    block: u64,
) -> Result<Report, AuditError> {
    let at = At::Block(block);
    let head = chain.last_batch(at).await?;

    let journal = subject.data.join(JOURNAL_FOLDER);
    let node_sequence = node.map(|node| node.sequence);
    let deployment = deployment.clone();
    let (first, second) = tokio::task::spawn_blocking(move || {
        let first = replay_once(&journal, &deployment)?;
        let second = replay_again(&journal, first.sequence, head.sequence, node_sequence)?;
        Ok::<_, AuditError>((first, second))
    })
    .await
    .map_err(|error| AuditError::Replay { reason: error.to_string() })??;

    let mut checks = vec![
        check_replays(&first, &second),
        check_windows(&first.windows),
        check_logins(&first.logins),
        check_trees(&first.trees),
    ];
    checks.extend(node.map(|node| check_node(&node, &second)));
    checks.push(check_batches(chain, head, &first).await?);
    checks.push(check_positions_sum(&second.at_settled));
    let on_chain = read_chain(chain, at, &first, &second.at_settled).await?;
    checks.push(check_accounts(&second.at_settled, &on_chain));
    checks.push(check_positions(&second.at_settled, &on_chain));
    checks.push(check_holdings(chain, at, &second.at_settled, &on_chain).await?);
    let owed = Owed::read(chain, subject, at, &second.at_settled).await?;
    checks.push(check_money(chain, at, &second.at_settled, &owed, first.perpetual_changes).await?);
    checks.push(check_assets(chain, at, &second.at_settled, &owed).await?);

    let passed = checks.iter().all(|check| check.passed);
    Ok(Report {
        audit: if passed { "passed" } else { "failed" },
        commands: first.sequence,
        batches: head.id,
        accounts: on_chain.accounts.len(),
        state_hash: first.state_hash,
        checks,
    })
}

async fn ask_node(url: &str) -> Result<StateHash, AuditError> {
    let failed = |reason: String| AuditError::Node { url: url.into(), reason };
    let client = HttpClientBuilder::default().build(url).map_err(|error| failed(error.to_string()))?;
    client.state_hash().await.map_err(|error| failed(error.to_string()))
}

// ---- the journal

struct FirstReplay {
    sequence: u64,
    log_hash: B256,
    state_hash: B256,
    /// Every sealed frame as a batch: its hash, and where it ends in the log.
    batches: BTreeMap<u64, BatchEnd>,
    /// Who ever traded in which event.
    traded: BTreeMap<AccountId, Vec<EventId>>,
    windows: Windows,
    trees: Trees,
    logins: Logins,
    /// How often an account's position in a perpetual changed.
    perpetual_changes: u64,
}

/// Whether every ingress window executed makers first.
#[derive(Default)]
struct Windows {
    /// How many there were.
    count: u64,
    /// The latest turn so far in the window, once there is one.
    turn: Option<Precedence>,
    order: WindowOrder,
    /// The first command that came after one with a later turn.
    out_of_turn: Option<u64>,
}

impl Windows {
    fn see(&mut self, sequence: u64, command: &Command) {
        if let Command::Window { .. } = command {
            self.count += 1;
            (self.turn, self.order) = (None, WindowOrder::default());
        }
        let Some(turn) = self.order.next(command) else { return };
        if self.turn.is_some_and(|latest| turn < latest) {
            self.out_of_turn.get_or_insert(sequence);
        }
        self.turn = self.turn.max(Some(turn));
    }
}

/// Whether whoever a tree's orders are placed for has signed it.
#[derive(Default)]
struct Trees {
    /// How many there were, and their orders.
    count: u64,
    orders: u64,
    /// The first command whose signature is not its signer's.
    forged: Option<u64>,
}

impl Trees {
    fn see(&mut self, sequence: u64, command: &Command, domain: &Domain) {
        let Command::PlaceTree { tree, .. } = command else { return };
        self.count += 1;
        self.orders += tree.orders().len() as u64;
        let mut built = Tree::default();
        let signer =
            built.build(domain, tree.orders()).and_then(|()| recover(domain.digest(&built.message()), &tree.signature));
        if signer.ok() != Some(tree.signer) {
            self.forged.get_or_insert(sequence);
        }
    }
}

/// Whether those whom the log names have signed every login whose session did something.
#[derive(Default)]
struct Logins {
    /// Digest, signature and signer of those that are right.
    right: BTreeSet<(B256, [u8; 32], [u8; 32], Address)>,
    /// Commands of sessions.
    commands: u64,
    /// The first command whose login somebody else signed.
    forged: Option<u64>,
}

impl Logins {
    fn see(&mut self, sequence: u64, login: &Signed<Session>, domain: &Domain) {
        self.commands += 1;
        let Signed { message, signature, signer } = login;
        let digest = domain.digest(message);
        let key = (digest, signature.r, signature.vs, *signer);
        if self.right.contains(&key) {
            return;
        }
        if recover(digest, signature) == Ok(*signer) {
            self.right.insert(key);
        } else {
            self.forged.get_or_insert(sequence);
        }
    }
}

struct BatchEnd {
    hash: B256,
    sequence: u64,
    log_hash: B256,
}

struct SecondReplay {
    log_hash: B256,
    state_hash: B256,
    /// Log and state hash where the node said that it stood.
    at_node: Option<(B256, B256)>,
    /// The state that the last settled batch leaves, but for its fees, which become cash when the next frame opens.
    at_settled: Engine,
}

fn replay_once(journal: &std::path::Path, deployment: &Deployment) -> Result<FirstReplay, AuditError> {
    let replay = xos_journal::read_only(journal, 1)?;
    let config = replay.group();
    if config.group != deployment.group {
        return Err(AuditError::OtherGroup { journal: config.group, deployment: deployment.group });
    }
    let mut engine = Engine::new(config);
    let (mut batches, mut traded) = (BTreeMap::new(), BTreeMap::<AccountId, Vec<EventId>>::new());
    let (mut windows, mut logins, mut trees) = (Windows::default(), Logins::default(), Trees::default());
    let mut perpetual_changes = 0;
    let (mut parent, domain) = (B256::ZERO, deployment.domain());
    let mut events = Vec::new();
    for command in replay {
        let (_, command) = command?;
        engine.apply(&command, &mut events);
        windows.see(engine.sequence(), command.command());
        trees.see(engine.sequence(), command.command(), &domain);
        if let Command::InSession { login, .. } = command.command() {
            logins.see(engine.sequence(), login, &domain);
        }
        for event in events.drain(..) {
            perpetual_changes += changes_of_perpetuals(&engine, &event);
            match event {
                Event::FrameSealed(frame) => {
                    parent = batch_hash(&frame, parent, &domain, &deployment.attribution);
                    let log_hash = B256::from(frame.log_hash);
                    batches.insert(frame.id, BatchEnd { hash: parent, sequence: frame.sequence, log_hash });
                }
                Event::Filled(fill) => note_trade(&mut traded, [fill.maker, fill.taker], fill.market),
                Event::AuctionFilled(fill) => {
                    note_trade(&mut traded, [fill.buyer.account, fill.seller.account], fill.market);
                }
                _ => {}
            }
        }
    }
    Ok(FirstReplay {
        sequence: engine.sequence(),
        log_hash: B256::from(engine.log_hash()),
        state_hash: B256::from(engine.state_hash()),
        batches,
        traded,
        windows,
        trees,
        logins,
        perpetual_changes,
    })
}

/// How many accounts' positions in a perpetual the event changed.
fn changes_of_perpetuals(engine: &Engine, event: &Event) -> u64 {
    let of_fill = |market: MarketId| if engine.event(market.event()).is_none() { 2 } else { 0 };
    match event {
        Event::Filled(fill) => of_fill(fill.market),
        Event::AuctionFilled(fill) => of_fill(fill.market),
        Event::Liquidated { .. } | Event::TakenOver { .. } => 2,
        Event::Deleveraged { others, .. } => 1 + others.len() as u64,
        Event::Closed { .. } => 1,
        _ => 0,
    }
}

fn note_trade(traded: &mut BTreeMap<AccountId, Vec<EventId>>, parties: [AccountId; 2], market: MarketId) {
    for account in parties {
        let events = traded.entry(account).or_default();
        if let Err(position) = events.binary_search(&market.event()) {
            events.insert(position, market.event());
        }
    }
}

fn replay_again(
    journal: &std::path::Path,
    last: u64,
    settled: u64,
    node: Option<u64>,
) -> Result<SecondReplay, AuditError> {
    let replay = xos_journal::read_only(journal, 1)?;
    let config = replay.group();
    let (mut engine, mut at_settled) = (Engine::new(config), Engine::new(config));
    let mut at_node = None;
    let mut events = Vec::new();
    for command in replay {
        let (sequence, command) = command?;
        if sequence > last {
            break;
        }
        engine.apply(&command, &mut events);
        if sequence <= settled {
            at_settled.apply(&command, &mut events);
        }
        events.clear();
        if Some(sequence) == node {
            at_node = Some((B256::from(engine.log_hash()), B256::from(engine.state_hash())));
        }
    }
    Ok(SecondReplay {
        log_hash: B256::from(engine.log_hash()),
        state_hash: B256::from(engine.state_hash()),
        at_node,
        at_settled,
    })
}

fn check_replays(first: &FirstReplay, second: &SecondReplay) -> Check {
    let passed = (first.log_hash, first.state_hash) == (second.log_hash, second.state_hash);
    let detail = if passed {
        format!("{} commands, state {}", first.sequence, first.state_hash)
    } else {
        format!("state {} and then {}", first.state_hash, second.state_hash)
    };
    Check { rule: "the journal replays to the same state".into(), passed, detail }
}

fn check_windows(windows: &Windows) -> Check {
    let detail = match windows.out_of_turn {
        None => format!("{} windows", windows.count),
        Some(sequence) => format!("command {sequence} came after one whose turn was later"),
    };
    Check { rule: "every window executed makers first".into(), passed: windows.out_of_turn.is_none(), detail }
}

fn check_trees(trees: &Trees) -> Check {
    let detail = match trees.forged {
        None => format!("{} trees of {} orders", trees.count, trees.orders),
        Some(sequence) => format!("command {sequence} is a tree that somebody else signed"),
    };
    Check { rule: "every tree is signed by its signer".into(), passed: trees.forged.is_none(), detail }
}

fn check_logins(logins: &Logins) -> Check {
    let detail = match logins.forged {
        None => format!("{} commands by {} logins", logins.commands, logins.right.len()),
        Some(sequence) => format!("command {sequence} has a login that its signer did not sign"),
    };
    Check { rule: "every session was opened by its signer".into(), passed: logins.forged.is_none(), detail }
}

fn check_node(node: &StateHash, second: &SecondReplay) -> Check {
    let rule = "the node's state is that of its journal".into();
    let (passed, detail) = match second.at_node {
        None => (false, format!("the node stands at command {}, which the journal does not have", node.sequence)),
        Some((log_hash, state_hash)) if (log_hash, state_hash) == (node.log_hash, node.state_hash) => {
            (true, format!("at command {}", node.sequence))
        }
        Some((_, state_hash)) => {
            (false, format!("at command {}: node {}, journal {state_hash}", node.sequence, node.state_hash))
        }
    };
    Check { rule, passed, detail }
}

// ---- the chain

struct OnChain {
    accounts: BTreeMap<AccountId, AccountState>,
    positions: BTreeMap<(AccountId, EventId), Vec<Position>>,
}

async fn check_batches(chain: &Chain, head: BatchHead, first: &FirstReplay) -> Result<Check, AuditError> {
    let mut differences = Vec::new();
    for batch in chain.batches(1).await?.iter().filter(|batch| batch.id <= head.id) {
        match first.batches.get(&batch.id) {
            None => differences.push(format!("batch {} is not in the journal", batch.id)),
            Some(ours) => {
                if (ours.hash, ours.sequence, ours.log_hash) != (batch.hash, batch.sequence, batch.log_hash) {
                    differences.push(format!("batch {}: chain {}, journal {}", batch.id, batch.hash, ours.hash));
                }
            }
        }
    }
    if head.id > 0 && first.batches.get(&head.id).is_none_or(|ours| ours.hash != head.hash) {
        differences.push(format!("the last batch on chain is {}", head.hash));
    }
    let sealed = first.batches.len();
    Ok(verdict("every settled batch is the journal's", &differences, format!("{} settled, {sealed} sealed", head.id)))
}

/// Accounts and positions at one block.
async fn read_chain(chain: &Chain, at: At, first: &FirstReplay, engine: &Engine) -> Result<OnChain, AuditError> {
    let mut accounts: Vec<AccountId> = (1..=chain.accounts(at).await?).map(AccountId).collect();
    let isolated = ask_all((0..chain.isolated_accounts(at).await?).collect(), |index| {
        let chain = chain.clone();
        async move { chain.isolated_account(index, at).await }
    });
    accounts.extend(isolated.await?.into_values());
    let events: Vec<EventId> = engine.events().map(|event| event.event).collect();
    let all = accounts.len().saturating_mul(events.len()) <= PAIRS_MAX;
    let pairs: Vec<(AccountId, EventId)> = if all {
        accounts.iter().flat_map(|account| events.iter().map(|event| (*account, *event))).collect()
    } else {
        first.traded.iter().flat_map(|(account, events)| events.iter().map(|event| (*account, *event))).collect()
    };
    let accounts = ask_all(accounts, |account| {
        let chain = chain.clone();
        async move { chain.account(account, at).await }
    });
    let accounts = accounts.await?;
    let positions = ask_all(pairs, |(account, event)| {
        let chain = chain.clone();
        async move { chain.positions(account, event, at).await }
    });
    Ok(OnChain { accounts, positions: positions.await? })
}

/// Asks one question of each key, some at a time.
async fn ask_all<K, V, F>(keys: Vec<K>, ask: impl Fn(K) -> F) -> Result<BTreeMap<K, V>, AuditError>
where
    K: Ord + Copy + Send + 'static,
    V: Send + 'static,
    F: Future<Output = Result<V, ChainError>> + Send + 'static,
{
    let mut answers = BTreeMap::new();
    let mut asking = JoinSet::new();
    let mut keys = keys.into_iter();
    loop {
        while asking.len() < ASKED_AT_ONCE
            && let Some(key) = keys.next()
        {
            let answer = ask(key);
            asking.spawn(async move { (key, answer.await) });
        }
        match asking.join_next().await {
            None => return Ok(answers),
            Some(Err(error)) => return Err(AuditError::Replay { reason: error.to_string() }),
            Some(Ok((key, answer))) => {
                answers.insert(key, answer?);
            }
        }
    }
}

fn check_accounts(engine: &Engine, on_chain: &OnChain) -> Check {
    let mut differences = Vec::new();
    let accrued = engine.accrued_fees();
    for (account, chain) in &on_chain.accounts {
        // An account whose first deposit waits in the inbox exists on chain only.
        let (owner, cash, worst) = engine
            .account(*account)
            .map_or((chain.owner, Atoms::ZERO, Atoms::ZERO), |view| (view.owner, view.cash, view.worst_payoff));
        let cash = cash + accrued.get(account).copied().unwrap_or_default();
        if (owner, cash, worst) != (chain.owner, chain.cash, chain.worst_payoff) {
            differences.push(format!(
                "account {account}: chain {} {} {}, journal {owner} {cash} {worst}",
                chain.owner, chain.cash, chain.worst_payoff
            ));
        }
    }
    let known = engine.account_ids().count();
    if known > on_chain.accounts.len() {
        differences.push(format!("the journal has {known} accounts, the chain {}", on_chain.accounts.len()));
    }
    let figures = format!("{} accounts: owner, cash, worst payoff", on_chain.accounts.len());
    verdict("every account on chain is the journal's", &differences, figures)
}

fn check_positions(engine: &Engine, on_chain: &OnChain) -> Check {
    let mut differences = Vec::new();
    let mut compared = 0;
    let mut ours: BTreeMap<(AccountId, EventId), Vec<(MarketId, Position)>> = BTreeMap::new();
    for account in engine.account_ids() {
        for (market, position) in engine.positions(account) {
            ours.entry((account, market.event())).or_default().push((market, position));
        }
    }
    for ((account, event), chain) in &on_chain.positions {
        let held = (0u8..).zip(chain).map(|(outcome, position)| (MarketId::new(*event, outcome), *position));
        let held: Vec<_> = held.filter(|(_, position)| position.0 != 0).collect();
        let ours = ours.remove(&(*account, *event)).unwrap_or_default();
        compared += chain.len();
        if held != ours {
            differences.push(format!("account {account} in event {event}: chain {held:?}, journal {ours:?}"));
        }
    }
    for ((account, event), _) in ours {
        differences.push(format!("account {account} holds positions in event {event} by the journal alone"));
    }
    verdict("every position on chain is the journal's", &differences, format!("{compared} positions"))
}

/// Assets and perpetuals, wherever journal or chain has some.
async fn check_holdings(chain: &Chain, at: At, engine: &Engine, on_chain: &OnChain) -> Result<Check, AuditError> {
    let held = |account| engine.holdings(account).into_iter().filter(|holding| holding.amount != 0);
    let mut ours: BTreeMap<(AccountId, FeedId), HoldingState> = BTreeMap::new();
    for account in engine.account_ids() {
        for HoldingView { feed, amount, entry, paid_up_to, .. } in held(account) {
            ours.insert((account, feed), HoldingState { amount, entry, paid_up_to });
        }
    }
    let told = on_chain.accounts.iter().flat_map(|(account, state)| state.feeds().map(|feed| (*account, feed)));
    let pairs: BTreeSet<_> = told.chain(ours.keys().copied()).collect();
    let theirs = ask_all(pairs.into_iter().collect(), |(account, feed)| {
        let chain = chain.clone();
        async move { chain.holding(account, feed, at).await }
    });
    let theirs = theirs.await?;
    let mut differences = Vec::new();
    for ((account, feed), chain) in &theirs {
        let journal = ours.get(&(*account, *feed)).copied().unwrap_or_default();
        if journal != *chain {
            differences.push(format!("account {account} at feed {feed}: chain {chain:?}, journal {journal:?}"));
        }
    }
    let figures = format!("{} holdings: amount, entry price, funding paid", theirs.len());
    Ok(verdict("every asset and perpetual on chain is the journal's", &differences, figures))
}

fn check_positions_sum(engine: &Engine) -> Check {
    let mut sums: BTreeMap<MarketId, i128> = BTreeMap::new();
    for account in engine.account_ids() {
        for (market, position) in engine.positions(account) {
            *sums.entry(market).or_default() += i128::from(position.0);
        }
    }
    let mut differences = Vec::new();
    let mut markets = 0;
    for event in engine.events() {
        markets += event.config.labels.len();
        // While an event's positions are being paid, one side may be paid before the other.
        if event.payouts.is_some() {
            continue;
        }
        for (outcome, _) in (0u8..).zip(&event.config.labels) {
            let market = MarketId::new(event.event, outcome);
            let sum = sums.get(&market).copied().unwrap_or_default();
            if sum != 0 {
                differences.push(format!("market {market}: {sum} lots"));
            }
        }
    }
    verdict("positions of every open market sum to zero", &differences, format!("{markets} markets"))
}

/// What a group owes to nobody's account yet, or no more.
struct Owed {
    /// Everybody who has an account.
    owners: Vec<Address>,
    /// Atoms by token that wait in the inbox.
    waiting: BTreeMap<Address, u128>,
}

impl Owed {
    async fn read(chain: &Chain, subject: &Subject, at: At, engine: &Engine) -> Result<Self, AuditError> {
        let owners: BTreeSet<Address> =
            engine.account_ids().filter_map(|id| engine.account(id)).map(|view| view.owner).collect();
        let range = chain.inbox(at).await?;
        let mut waiting = BTreeMap::new();
        if range.head < range.tail {
            let mut reader = InboxReader::new(&subject.chain, chain.deployment(), InboxConfig::default(), range.head)?;
            for news in reader.poll().await? {
                let InboxNews::Item(InboxItem { index, payload, .. }) = news else { continue };
                if let InboxPayload::Deposit { token, amount, .. } = payload
                    && index < range.tail
                {
                    *waiting.entry(token).or_default() += amount;
                }
            }
        }
        Ok(Self { owners: owners.into_iter().collect(), waiting })
    }

    fn waiting(&self, token: Address) -> u128 {
        self.waiting.get(&token).copied().unwrap_or_default()
    }

    /// What owners may claim of a token.
    async fn claimable(&self, chain: &Chain, token: Address, at: At) -> Result<u128, AuditError> {
        let claims = ask_all(self.owners.clone(), |owner| {
            let chain = chain.clone();
            async move { chain.claimable(owner, token, at).await }
        });
        Ok(claims.await?.into_values().map(|claim| u128::try_from(claim).unwrap_or(u128::MAX)).sum())
    }
}

/// Tokens in custody are what accounts own, what funding is still to bring them, what owners may claim, what waits in the
/// inbox, and what rounding has left: when a position in a perpetual changes, its funding and its value at the index price are
/// each rounded against the account, by less than an atom (`docs/rounding.md`).
async fn check_money(
    chain: &Chain,
    at: At,
    engine: &Engine,
    owed: &Owed,
    perpetual_changes: u64,
) -> Result<Check, AuditError> {
    let (token, group) = (chain.deployment().token, chain.deployment().group);
    let decimals = chain.token_decimals().await?;
    let balance = chain.token_balance(group, at).await?;
    let cash: Atoms = engine.account_ids().filter_map(|id| engine.account(id)).map(|view| view.cash).sum();
    let cash = cash + engine.accrued_fees().into_values().sum();
    let (unpaid, funding) = (unpaid(engine), funding_due(engine));
    let (claimable, waiting) = (owed.claimable(chain, token, at).await?, owed.waiting(token));
    let signed = |amount: u128| i128::try_from(amount).unwrap_or(i128::MAX);
    let total = cash.0 + unpaid + funding + signed(claimable) + signed(waiting);
    let held = i128::try_from(balance).unwrap_or(i128::MAX);
    let rounded = held - total;
    let most = 2 * i128::from(perpetual_changes);
    let mut differences = Vec::new();
    if !(0..=most).contains(&rounded) {
        differences.push(format!(
            "the group holds {held} atoms, but owes {total} (cash {cash}, unpaid {unpaid}, funding {funding}, \
             claimable {claimable}, in the inbox {waiting}), and rounding leaves {most} at most; tokens that were sent to it without a deposit show here too"
        ));
    }
    if cash.0 + unpaid + funding + rounded != engine.custody().0 {
        differences.push(format!(
            "deposits less withdrawals are {}, accounts own {}, and rounding has left {rounded}",
            engine.custody(),
            cash.0 + unpaid + funding
        ));
    }
    let figures = format!(
        "{} tokens held = {} cash + {} unpaid payouts + {} funding due + {} claimable + {} in the inbox + {rounded} atoms of \
         rounding",
        tokens(held, decimals),
        tokens(cash.0, decimals),
        tokens(unpaid, decimals),
        tokens(funding, decimals),
        tokens(signed(claimable), decimals),
        tokens(signed(waiting), decimals),
    );
    Ok(verdict("the group holds what it owes, to the atom", &differences, figures))
}

/// Of every asset the group holds what accounts hold, what owners may claim, and what waits in the inbox. More is what somebody has
/// sent to it without a deposit.
async fn check_assets(chain: &Chain, at: At, engine: &Engine, owed: &Owed) -> Result<Check, AuditError> {
    let counted: BTreeMap<FeedId, u128> = engine.feeds().map(|feed| (feed.feed, feed.custody)).collect();
    let mut held: BTreeMap<FeedId, i128> = BTreeMap::new();
    for holding in engine.account_ids().flat_map(|account| engine.holdings(account)) {
        *held.entry(holding.feed).or_default() += holding.amount;
    }
    let mut differences = Vec::new();
    let assets = chain.assets(at).await?;
    for (feed, token) in &assets {
        let accounts = held.get(feed).copied().unwrap_or_default();
        let counted = counted.get(feed).copied().unwrap_or_default();
        if u128::try_from(accounts) != Ok(counted) {
            differences.push(format!("of {token} accounts hold {accounts} atoms, and {counted} were counted"));
        }
        let (claimable, waiting) = (owed.claimable(chain, *token, at).await?, owed.waiting(*token));
        let balance = chain.balance_of(*token, chain.deployment().group, at).await?;
        if balance < U256::from(counted) + U256::from(claimable) + U256::from(waiting) {
            differences.push(format!(
                "the group holds {balance} atoms of {token}, but owes accounts {counted}, claimable {claimable}, in the inbox \
                 {waiting}"
            ));
        }
    }
    Ok(verdict("the group holds every asset that it owes", &differences, format!("{} assets", assets.len())))
}

/// What positions in resolved events are still to be paid, in sum.
fn unpaid(engine: &Engine) -> i128 {
    let payouts: BTreeMap<MarketId, i128> = engine
        .events()
        .filter_map(|event| Some((event, event.payouts?)))
        .flat_map(|(event, payouts)| {
            (0u8..).zip(payouts).map(move |(outcome, ticks)| {
                let market = MarketId::new(event.event, outcome);
                (market, i128::from(*ticks) * i128::from(event.config.terms.quantum))
            })
        })
        .collect();
    let positions = engine.account_ids().flat_map(|account| engine.positions(account));
    positions.filter_map(|(market, lots)| Some(payouts.get(&market)? * i128::from(lots.0))).sum()
}

/// What funding up to now brings to who holds perpetuals, in sum, each rounded down; it is paid when a position changes.
fn funding_due(engine: &Engine) -> i128 {
    let indices: BTreeMap<FeedId, i128> =
        engine.feeds().filter(|feed| feed.perpetual).map(|feed| (feed.feed, feed.funding_index)).collect();
    let holdings = engine.account_ids().flat_map(|account| engine.holdings(account));
    let due = holdings.filter_map(|held| {
        let moved = indices.get(&held.feed)? - held.paid_up_to;
        Some((-held.amount * moved).div_euclid(FUNDING_SCALE))
    });
    due.sum()
}

fn verdict(rule: &str, differences: &[String], figures: String) -> Check {
    let detail = if differences.is_empty() {
        figures
    } else {
        let more = differences.len().saturating_sub(SHOWN);
        let shown = differences[..differences.len().min(SHOWN)].join("; ");
        if more > 0 { format!("{shown}; and {more} more") } else { shown }
    };
    Check { rule: rule.into(), passed: differences.is_empty(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cancel, order};
    use xos_types::OrderKind::{GoodTillCancelled, PostOnly};
    use xos_types::TimeMs;

    #[test]
    fn a_command_that_was_let_in_before_its_turn_is_seen_and_named() {
        let window = || Command::Window { time: TimeMs(0) };
        let (taker, quote) = (|| order(1, GoodTillCancelled), || order(2, PostOnly));
        let seen = |log: &[Command]| {
            let mut windows = Windows::default();
            (1..).zip(log).for_each(|(sequence, command)| windows.see(sequence, command));
            (windows.count, windows.out_of_turn)
        };
        assert_eq!(seen(&[window(), cancel(3), quote(), taker(), window(), cancel(4), quote()]), (2, None));
        assert_eq!(seen(&[window(), taker(), quote(), cancel(3)]), (1, Some(3)));
        assert_eq!(seen(&[window(), quote(), taker(), window(), quote(), cancel(3)]), (2, Some(6)));
        assert_eq!(seen(&[window(), taker(), cancel(1)]), (1, None), "it takes away what came in the same window");
        assert_eq!(seen(&[window(), taker(), window(), quote(), cancel(1)]), (2, Some(5)), "or in another");
    }
}
