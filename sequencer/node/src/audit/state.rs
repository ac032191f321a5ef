//! What the chain says at one block, account by account, beside the state that its last batch leaves.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinSet;
use xos_chain::{AccountState, At, BatchHead, Chain, ChainError, HoldingState};
use xos_engine::{Engine, HoldingView};
use xos_types::{AccountId, Atoms, EventId, FeedId, MarketId, Position};

use super::replays::FirstReplay;
use super::{AuditError, Check, verdict};

/// Questions asked of the chain at a time.
const ASKED_AT_ONCE: usize = 32;
/// Up to so many pairs of account and event all are asked of the chain; beyond, those that ever traded.
const PAIRS_MAX: usize = 20_000;

pub(super) struct OnChain {
    pub(super) accounts: BTreeMap<AccountId, AccountState>,
    positions: BTreeMap<(AccountId, EventId), Vec<Position>>,
}

pub(super) async fn check_batches(chain: &Chain, head: BatchHead, first: &FirstReplay) -> Result<Check, AuditError> {
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
pub(super) async fn read_chain(
    chain: &Chain,
    at: At,
    first: &FirstReplay,
    engine: &Engine,
) -> Result<OnChain, AuditError> {
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
pub(super) async fn ask_all<K, V, F>(keys: Vec<K>, ask: impl Fn(K) -> F) -> Result<BTreeMap<K, V>, AuditError>
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

pub(super) fn check_accounts(engine: &Engine, on_chain: &OnChain) -> Check {
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

pub(super) fn check_positions(engine: &Engine, on_chain: &OnChain) -> Check {
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
pub(super) async fn check_holdings(
    chain: &Chain,
    at: At,
    engine: &Engine,
    on_chain: &OnChain,
) -> Result<Check, AuditError> {
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

pub(super) fn check_positions_sum(engine: &Engine) -> Check {
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
