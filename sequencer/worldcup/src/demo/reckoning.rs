//! After the final: everything settled, everybody paid out, every sum checked, from what the chain says.

use std::borrow::Borrow;

use alloy::consensus::Transaction;
use alloy::primitives::Address;
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::TransactionReceipt;
use futures::future::try_join_all;
use tokio::time::{Duration, Instant, sleep};
use xos_chain::At;
use xos_node::audit;
use xos_types::{AccountId, Atoms};

use super::funding::in_atoms;
use super::screen::Screen;
use super::{DemoError, Exchange, Played, resolver};
use crate::facts::Subject;
use crate::replay::replay;
use crate::session::Session;
use crate::tally::Tally;
use crate::trader::Kind;

const SETTLED_WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(250);

/// The account that fees go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Treasury {
    pub(super) account: AccountId,
    /// What it held before the first trade.
    pub(super) brought: Atoms,
    /// What its owner's wallet held then.
    pub(super) wallet: u128,
}

/// What everybody has won or lost, in atoms.
#[derive(Clone, Debug)]
pub(super) struct Result {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) profit: i128,
}

/// The outcome of all checks.
#[derive(Debug)]
pub(super) struct Reckoning {
    pub(super) problems: Vec<String>,
    pub(super) results: Vec<Result>,
    /// What came to the venue's treasury.
    pub(super) fees: i128,
    /// What the protocol and the insurance fund got of the fees; it stays in the group.
    pub(super) shares: i128,
    pub(super) decimals: u8,
}

/// Audits, pays everybody out, audits again and adds up.
pub(super) async fn reckon(
    exchange: &Exchange,
    played: &mut Played,
    treasury: Treasury,
    screen: &mut Screen,
) -> std::result::Result<Reckoning, DemoError> {
    let mut problems = Vec::new();
    let step = screen.step("audit: journal replayed, compared with node and chain");
    let rounded = left_by_rounding(exchange).await?;
    // Two positions change in each trade of a perpetual, and each may leave less than two atoms.
    let most = 4 * i128::from(played.desk.tally.counts().trades);
    if !(0..=most).contains(&rounded) {
        problems.push(format!(
            "custody less what accounts own is {rounded} atoms, but rounding in perpetuals leaves {most} at most"
        ));
    }
    let said = run_audit(exchange, &mut problems).await?;
    screen.done(step, &said);

    let step = screen.step("everybody withdraws everything");
    let mut sessions: Vec<&mut Session> = played.traders.iter_mut().map(|trader| &mut trader.session).collect();
    let tally = std::sync::Arc::new(Tally::default());
    let venue = std::sync::Arc::clone(&exchange.venue);
    let mut treasurer = Session::open(venue, exchange.deployer.key().clone(), treasury.account, tally).await?;
    sessions.push(&mut treasurer);
    sessions.push(&mut played.desk.maker);
    try_join_all(sessions.iter_mut().map(|session| withdraw_all(session))).await?;
    wait_settled(exchange, &sessions).await?;
    screen.done(step, &format!("{} accounts", sessions.len()));

    let decimals = exchange.chain.token_decimals().await?;
    let (results, fees) = count_profits(exchange, played, treasury).await?;
    let shares = exchange.chain.account(AccountId::INSURANCE, At::Latest).await?.cash.0
        + exchange.chain.account(AccountId::PROTOCOL, At::Latest).await?.cash.0;
    let sum = results.iter().map(|result| result.profit).sum::<i128>() + fees + shares + rounded;
    if sum != 0 {
        problems.push(format!("profits, losses, fees and rounding of all wallets sum to {sum} atoms, not to 0"));
    }
    let left = in_atoms(exchange.chain.token_balance(exchange.chain.deployment().group, At::Latest).await?)?;
    if u128::try_from(shares + rounded) != Ok(left) {
        problems.push(format!(
            "{left} atoms are left in the group's custody, though everybody has withdrawn and the protocol's and the \
             insurance fund's shares of the fees are {shares}, and rounding left {rounded}"
        ));
    }
    let after = left_by_rounding(exchange).await?;
    if after != rounded {
        problems.push(format!("withdrawals changed what rounding has left from {rounded} to {after} atoms"));
    }
    let step = screen.step("audit again, with every account empty");
    let said = run_audit(exchange, &mut problems).await?;
    screen.done(step, &said);
    Ok(Reckoning { problems, results, fees, shares, decimals })
}

async fn withdraw_all(session: &mut Session) -> std::result::Result<(), DemoError> {
    let account = session.account_info().await?;
    if !account.positions.is_empty() || account.reserved != Atoms::ZERO {
        let reason = format!("account {} still holds {} positions", account.account, account.positions.len());
        return Err(DemoError::failed("withdraw everything", reason));
    }
    let amount = u128::try_from(account.cash.0)
        .map_err(|_| DemoError::failed("withdraw everything", format!("account {} is in debt", account.account)))?;
    if amount > 0 {
        session.withdraw(amount).await?;
    }
    Ok(())
}

/// Waits until the log has consumed the whole inbox, the chain has settled every frame, and nobody holds a position.
pub(super) async fn wait_settled(
    exchange: &Exchange,
    sessions: &[impl Borrow<Session>],
) -> std::result::Result<(), DemoError> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    let Some(first) = sessions.first() else { return Ok(()) };
    loop {
        let info = first.borrow().info().await?;
        if let Some(reason) = info.settlement.halted {
            return Err(DemoError::failed("settle", reason));
        }
        let inbox = exchange.chain.inbox(At::Latest).await?;
        let last = exchange.chain.last_batch(At::Latest).await?;
        let mut open = 0;
        for session in sessions {
            let account = session.borrow().account_info().await?;
            let on_chain = exchange.chain.account(account.account, At::Latest).await?;
            open += account.positions.len() + usize::from(on_chain.cash != account.cash);
        }
        let settled = info.settlement.sealed == last.id && info.settlement.settled == last.id;
        if inbox.head == inbox.tail && settled && open == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let reason = format!(
                "after {} s the inbox stands at {} of {}, batches at {} of {}, and {open} positions or balances are open",
                SETTLED_WITHIN.as_secs(),
                inbox.head,
                inbox.tail,
                last.id,
                info.settlement.sealed
            );
            return Err(DemoError::failed("settle everything", reason));
        }
        sleep(POLL).await;
    }
}

/// What is in custody beyond the accounts' cash, in atoms. With every event redeemed and every perpetual closed they hold
/// nothing else.
async fn left_by_rounding(exchange: &Exchange) -> std::result::Result<i128, DemoError> {
    let chain = &exchange.chain;
    let mut cash = 0;
    for account in 1..=chain.accounts(At::Latest).await? {
        cash += chain.account(AccountId(account), At::Latest).await?.cash.0;
    }
    let custody = in_atoms(chain.token_balance(chain.deployment().group, At::Latest).await?)?;
    Ok(i128::try_from(custody).unwrap_or(i128::MAX) - cash)
}

async fn run_audit(exchange: &Exchange, problems: &mut Vec<String>) -> std::result::Result<String, DemoError> {
    let folder = exchange.sequencer.shards.folder(super::WORLD_CUP_GROUP);
    let subject = audit::Subject {
        chain: exchange.local_chain.url.clone(),
        deployment: folder.join("deployment.json"),
        data: folder.join("node"),
        node: Some(exchange.http.clone()),
    };
    let report = audit::audit(&subject).await?;
    let failed = report.checks.iter().filter(|check| !check.passed);
    problems.extend(failed.map(|check| format!("audit: {}: {}", check.rule, check.detail)));
    Ok(format!(
        "{}: {} commands, {} batches, {} accounts",
        report.audit, report.commands, report.batches, report.accounts
    ))
}

/// What each wallet holds now, less what it brought.
async fn count_profits(
    exchange: &Exchange,
    played: &Played,
    treasury: Treasury,
) -> std::result::Result<(Vec<Result>, i128), DemoError> {
    let holds = |owner: Address| async move {
        let balance = in_atoms(exchange.chain.token_balance(owner, At::Latest).await?)?;
        i128::try_from(balance).map_err(|error| DemoError::failed("count a balance", error))
    };
    let mut results = Vec::new();
    for (trader, &brought) in played.traders.iter().zip(&played.brought) {
        let brought = i128::try_from(brought).map_err(|error| DemoError::failed("count a balance", error))?;
        let profit = holds(trader.session.owner()).await? - brought;
        results.push(Result { name: trader.name.clone(), kind: trader.kind, profit });
    }
    let brought = i128::try_from(played.desk.brought).map_err(|error| DemoError::failed("count a balance", error))?;
    let profit = holds(played.desk.maker.owner()).await? - brought;
    results.push(Result { name: "maker of perpetuals".into(), kind: Kind::Maker, profit });
    let wallet = i128::try_from(treasury.wallet).map_err(|error| DemoError::failed("count a balance", error))?;
    let fees = holds(exchange.deployer.address()).await? - wallet - treasury.brought.0;
    Ok((results, fees))
}

/// Every event must pay what the results say.
pub(super) async fn wrong_payouts(exchange: &Exchange) -> std::result::Result<Vec<String>, DemoError> {
    let end = replay().known(replay().calendar(replay().length()));
    let mut wrong = Vec::new();
    for subject in Subject::all() {
        let (expected, paid) = (end.winner(subject), resolver::paid(&exchange.chain, subject).await?);
        if paid != expected {
            wrong.push(format!("event {} pays outcome {paid:?}, the result is {expected:?}", subject.event()));
        }
    }
    Ok(wrong)
}

/// What settlement cost, by the receipts on chain.
pub(super) struct Gas {
    pub(super) batches: u64,
    /// Where each transaction that reverted is, and why.
    pub(super) reverted: Vec<String>,
    pub(super) used: u64,
    pub(super) problems: Vec<String>,
}

/// Adds up the receipts of all that was sent to the group, up to one block, because settlement goes on meanwhile. Only the relayer
/// sends it anything: batches. Everybody else goes through the gateway. The block is not the newest one: while anvil mines the next,
/// it answers for the newest from the state of both.
pub(super) async fn settlement_gas(exchange: &Exchange, played: &Played) -> std::result::Result<Gas, DemoError> {
    let failed = |reason: String| DemoError::failed("read receipts", reason);
    let url = exchange.local_chain.url.parse().map_err(|error| failed(format!("{error}")))?;
    let provider = ProviderBuilder::new().connect_http(url);
    let deployment = exchange.chain.deployment();
    let mut sent = Vec::new();
    let until = exchange.chain.block_number().await?.saturating_sub(1);
    for block in deployment.block..=until {
        let receipts = provider.get_block_receipts(block.into()).await.map_err(|error| failed(error.to_string()))?;
        let receipts = receipts.ok_or_else(|| failed(format!("none for block {block}")))?;
        sent.extend(receipts.into_iter().filter(|receipt| receipt.to == Some(deployment.group)));
    }
    let (settled, failures): (Vec<_>, Vec<_>) = sent.into_iter().partition(TransactionReceipt::status);
    let mut reverted = Vec::new();
    for receipt in failures {
        let transaction = provider.get_transaction_by_hash(receipt.transaction_hash).await;
        let transaction = transaction.map_err(|error| failed(error.to_string()))?;
        let transaction = transaction.ok_or_else(|| failed(format!("no transaction of {receipt:?}")))?;
        let (block, nonce) = (receipt.block_number.unwrap_or_default(), transaction.nonce());
        let why = exchange.chain.why_reverted("settle", &receipt).await;
        reverted.push(format!("block {block}, nonce {nonce}: {why}"));
    }
    let used = settled.iter().map(|receipt| receipt.gas_used).sum();
    let batches = u64::try_from(settled.len()).map_err(|error| failed(error.to_string()))?;
    let last = exchange.chain.last_batch(At::Block(until)).await?.id;
    let seen = played.sight.seen();
    let mut problems = Vec::new();
    if batches == 0 || batches != last {
        problems.push(format!("{batches} transactions settled batches, and the last batch is number {last}"));
    }
    let reported: u64 = seen.batches.iter().map(|batch| batch.gas_used).sum();
    // The observer stops before the withdrawals: the node's own figures end with the batch that it saw last.
    if seen.batches.iter().zip(&settled).any(|(reported, settled)| reported.transaction != settled.transaction_hash) {
        problems.push("the node names other transactions for its batches than the chain".into());
    }
    if reported > used {
        problems.push(format!("the node reports {reported} gas for its batches, the chain {used}"));
    }
    Ok(Gas { batches, reverted, used, problems })
}
