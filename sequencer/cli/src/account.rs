//! `xos account`

use clap::Args;
use serde::Serialize;
use xos_api::people::tokens;
use xos_api::{AccountInfo, EventInfo, MarketInfo, OpenOrder, PlannedOrder, WaitsFor, XosApiClient};
use xos_types::{AccountId, Address, Lots, MarketId, Side, Ticks, TriggerWhen};

use crate::error::CliError;
use crate::markets::{price, shares};
use crate::output::{Output, table};
use crate::session::{KeyFlags, NodeFlags, Session};
use crate::venues::percent;

/// Show accounts: cash, volume tiers, positions, and orders that rest or wait
#[derive(Args)]
#[command(after_help = "Examples:
  xos account                    the accounts of your key
  xos account 7
  xos account 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --json")]
pub(crate) struct Account {
    /// Account number or owner's address; without it, the owner of your key
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    account: AccountInfo,
    orders: Vec<OpenOrder>,
    planned: Vec<PlannedOrder>,
}

impl Account {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let session = self.node.connect().await?;
        let mut shown = Vec::new();
        for account in self.named(&session).await? {
            let orders = session.ask(session.client.open_orders(account)).await?;
            let planned = session.ask(session.client.planned_orders(account)).await?;
            shown.push(Shown { account: session.ask(session.client.account(account)).await?, orders, planned });
        }
        let markets = session.markets().await?;
        let decimals = session.info.token_decimals;
        self.output.print(&shown, |shown| {
            shown.iter().map(|shown| describe(shown, &markets, decimals)).collect::<Vec<_>>().join("\n")
        })
    }

    async fn named(&self, session: &Session) -> Result<Vec<AccountId>, CliError> {
        let owner = match &self.account {
            Some(text) => {
                if let Ok(account) = text.parse::<AccountId>() {
                    return Ok(vec![account]);
                }
                text.parse::<Address>().map_err(|_| {
                    CliError::usage(format!(
                        "`{text}` is neither an account's number nor an address (0x and 40 digits)"
                    ))
                })?
            }
            None => match self.key.key_if_any()? {
                Some(key) => key.address(),
                None => {
                    return Err(CliError::usage(
                        "whose? Give an account's number, an address, or a key (--key-file, XOS_KEY)",
                    ));
                }
            },
        };
        let accounts = session.ask(session.client.accounts_of(owner)).await?;
        if accounts.is_empty() {
            return Err(CliError::usage(format!("{owner} has no account in this group; `xos deposit` opens one")));
        }
        Ok(accounts)
    }
}

fn describe(shown: &Shown, markets: &[(EventInfo, MarketInfo)], decimals: u8) -> String {
    let account = &shown.account;
    let money = |atoms: xos_types::Atoms| tokens(atoms.0, decimals);
    let find = |market: MarketId| markets.iter().find(|(_, info)| info.market == market);
    let name = |market: MarketId| {
        find(market).map_or_else(
            || vec![market.to_string(), String::new(), String::new()],
            |(event, info)| vec![market.to_string(), event.title.clone(), info.label.clone()],
        )
    };
    let size = |market: MarketId, lots: Lots| {
        find(market).map_or_else(|| format!("{lots} lots"), |(_, info)| shares(info, lots, decimals))
    };
    let mut text = format!(
        "account {} of {}\n  cash {}  worst payoff {}  reserved {}  available {}  next nonce {}\n",
        account.account,
        account.owner,
        money(account.cash),
        money(account.worst_payoff),
        money(account.reserved),
        money(account.available),
        account.next_nonce,
    );
    for traded in account.traded.iter().filter(|traded| traded.volume > 0) {
        let volume = tokens(i128::try_from(traded.volume).unwrap_or(i128::MAX), decimals);
        let [taker, maker] = [traded.taker_share, traded.maker_share].map(percent);
        let tier = match traded.tier {
            0 => "no volume tier yet".to_owned(),
            tier => format!("tier {tier}: pays {taker} % of taker fees, {maker} % of maker fees"),
        };
        text.push_str(&format!("  venue {}: traded {volume}, {tier}\n", traded.venue));
    }
    if !account.positions.is_empty() {
        let rows: Vec<_> = account
            .positions
            .iter()
            .map(|position| {
                let sign = if position.lots.0 < 0 { "-" } else { "" };
                let lots = size(position.market, Lots(position.lots.0.unsigned_abs()));
                [name(position.market), vec![format!("{sign}{lots}")]].concat()
            })
            .collect();
        text.push_str(&indent(&table(&["market", "event", "outcome", "shares"], 3, &rows)));
    }
    if !shown.orders.is_empty() {
        let rows: Vec<_> = shown
            .orders
            .iter()
            .map(|order| {
                let at =
                    find(order.market).map_or_else(|| order.price.to_string(), |(_, info)| price(info, order.price));
                let side = match order.side {
                    Side::Buy => "buy",
                    Side::Sell => "sell",
                };
                let figures = vec![side.to_owned(), size(order.market, order.remaining), at, order.nonce.to_string()];
                [name(order.market), figures].concat()
            })
            .collect();
        text.push_str(&indent(&table(&["market", "event", "outcome", "side", "shares", "price", "nonce"], 4, &rows)));
    }
    if !shown.planned.is_empty() {
        let rows: Vec<_> = shown
            .planned
            .iter()
            .map(|order| {
                let at =
                    |ticks: Ticks| find(order.market).map_or_else(|| ticks.to_string(), |(_, info)| price(info, ticks));
                let side = match order.side {
                    Side::Buy => "buy",
                    Side::Sell => "sell",
                };
                let waits_for = match (order.waits_for, order.plan.trigger, order.plan.after) {
                    (WaitsFor::Price, Some(trigger), _) => match trigger.when {
                        TriggerWhen::AtOrAbove => format!("{} or more", at(trigger.price)),
                        TriggerWhen::AtOrBelow => format!("{} or less", at(trigger.price)),
                    },
                    (WaitsFor::Order, _, Some(after)) => format!("order {after}"),
                    (WaitsFor::Time(_), ..) => "its next slice".to_owned(),
                    _ => "the next frame".to_owned(),
                };
                let figures = vec![
                    side.to_owned(),
                    size(order.market, order.remaining),
                    at(order.price),
                    order.nonce.to_string(),
                    waits_for,
                ];
                [name(order.market), figures].concat()
            })
            .collect();
        let heads = ["market", "event", "outcome", "side", "shares", "price", "nonce", "waits for"];
        text.push_str(&indent(&table(&heads, 4, &rows)));
    }
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
