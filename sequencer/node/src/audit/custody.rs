//! Whether the group holds what it owes.

use std::collections::{BTreeMap, BTreeSet};

use xos_api::people::tokens;
use xos_chain::{At, Chain, InboxConfig, InboxNews, InboxReader};
use xos_engine::Engine;
use xos_types::{Address, Atoms, FeedId, InboxItem, InboxPayload, MarketId, U256};

use super::state::ask_all;
use super::{AuditError, Check, Subject, verdict};

/// Funding indices are atoms of a lot, times this.
const FUNDING_SCALE: i128 = 1_000_000_000;

/// What a group owes to nobody's account yet, or no more.
pub(super) struct Owed {
    /// Everybody who has an account.
    owners: Vec<Address>,
    /// Atoms by token that wait in the inbox.
    waiting: BTreeMap<Address, u128>,
}

impl Owed {
    pub(super) async fn read(chain: &Chain, subject: &Subject, at: At, engine: &Engine) -> Result<Self, AuditError> {
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
pub(super) async fn check_money(
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
pub(super) async fn check_assets(chain: &Chain, at: At, engine: &Engine, owed: &Owed) -> Result<Check, AuditError> {
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
