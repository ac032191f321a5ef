//! What most commands need: a node, a key, the group's terms, and markets by name.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use xos_api::people::{Decimal, DecimalError};
use xos_api::{AccountInfo, EventInfo, Info, MarketInfo, XosApiClient};
use xos_auth::{Domain, Key};
use xos_chain::{Chain, Deployment, Wallet};
use xos_types::{AccountId, MarketId};

use crate::error::CliError;

/// Environment variable with a trader's key.
const KEY: &str = "XOS_KEY";
const PATIENCE: Duration = Duration::from_secs(30);
/// Candidates that are shown when a name fits several markets.
const CANDIDATES: usize = 6;

/// Which node.
#[derive(Args)]
pub(crate) struct NodeFlags {
    /// The node's JSON-RPC
    #[arg(long, env = "XOS_RPC", value_name = "URL", default_value = "http://127.0.0.1:8645")]
    pub(crate) rpc: String,
}

/// Which key.
#[derive(Args)]
pub(crate) struct KeyFlags {
    /// File with your private key, 64 hexadecimal digits; without it, XOS_KEY from the environment
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Which chain.
#[derive(Args)]
pub(crate) struct ChainFlags {
    /// JSON-RPC of an X Layer node
    #[arg(long, env = "XOS_CHAIN", value_name = "URL", default_value = "http://127.0.0.1:8545")]
    pub(crate) chain: String,
    /// Deployment file that the deploy script wrote
    #[arg(long, env = "XOS_DEPLOYMENT", value_name = "FILE", default_value = "deployments/31337.group-1.json")]
    pub(crate) deployment: PathBuf,
}

impl KeyFlags {
    pub(crate) fn key(&self) -> Result<Key, CliError> {
        self.key_if_any()?.ok_or_else(|| CliError::usage(format!("no key: name a file with --key-file, or set {KEY}")))
    }

    pub(crate) fn key_if_any(&self) -> Result<Option<Key>, CliError> {
        let (source, text) = match &self.key_file {
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => (path.display().to_string(), text),
                Err(error) => {
                    return Err(CliError::usage(format!("cannot read the key in {}: {error}", path.display())));
                }
            },
            None => match std::env::var(KEY) {
                Ok(text) => (KEY.to_owned(), text),
                Err(_) => return Ok(None),
            },
        };
        Key::from_hex(&text).map(Some).map_err(|error| CliError::usage(format!("{source}: {error}")))
    }
}

impl ChainFlags {
    pub(crate) async fn connect(&self) -> Result<Chain, CliError> {
        Ok(Chain::connect(&self.chain, &Deployment::load(&self.deployment)?).await?)
    }

    /// A wallet of the group that the node serves.
    pub(crate) async fn wallet(&self, key: Key, node: &Session) -> Result<Wallet, CliError> {
        let chain = self.connect().await?;
        let ours = chain.deployment();
        if (ours.group, ours.chain_id) != (node.info.group, node.info.chain_id) {
            return Err(CliError::usage(format!(
                "the node serves group {} on chain {}, but {} names {} on chain {}; choose another --rpc or --deployment",
                node.info.group,
                node.info.chain_id,
                self.deployment.display(),
                ours.group,
                ours.chain_id
            )));
        }
        Ok(chain.wallet(key))
    }
}

/// A node, and what it serves.
pub(crate) struct Session {
    url: String,
    pub(crate) client: HttpClient,
    pub(crate) info: Info,
}

impl NodeFlags {
    pub(crate) async fn connect(&self) -> Result<Session, CliError> {
        let client = HttpClientBuilder::default().request_timeout(PATIENCE).build(&self.rpc).map_err(|error| {
            CliError::usage(format!("`{}` is no node's address ({error}); expected http://host:port", self.rpc))
        })?;
        let info = client.info().await.map_err(|error| CliError::from_node(&self.rpc, &error))?;
        Ok(Session { url: self.rpc.clone(), client, info })
    }
}

impl Session {
    /// Asks the node, and puts its refusal into words.
    pub(crate) async fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, jsonrpsee::core::ClientError>>,
    ) -> Result<T, CliError> {
        answer.await.map_err(|error| CliError::from_node(&self.url, &error))
    }

    pub(crate) fn domain(&self) -> Domain {
        Domain::new(self.info.chain_id, self.info.group)
    }

    /// The account that was named, or the only one of the key but for isolated ones.
    pub(crate) async fn account(&self, named: Option<AccountId>, key: &Key) -> Result<AccountInfo, CliError> {
        let account = match named {
            Some(account) => account,
            None => {
                let mut owned = self.ask(self.client.accounts_of(key.address())).await?;
                owned.retain(|account| !account.is_isolated());
                match owned.as_slice() {
                    [account] => *account,
                    [] => {
                        return Err(CliError::usage(format!(
                            "{} has no account in this group; `xos deposit` opens one",
                            key.address()
                        )));
                    }
                    several => {
                        let several: Vec<String> = several.iter().map(ToString::to_string).collect();
                        return Err(CliError::usage(format!(
                            "{} has several accounts ({}); choose one with --account",
                            key.address(),
                            several.join(", ")
                        )));
                    }
                }
            }
        };
        let info = self.ask(self.client.account(account)).await?;
        if info.owner != key.address() {
            return Err(CliError::usage(format!(
                "account {account} belongs to {}, but the key is {}'s",
                info.owner,
                key.address()
            )));
        }
        Ok(info)
    }

    /// Every market with its event.
    pub(crate) async fn markets(&self) -> Result<Vec<(EventInfo, MarketInfo)>, CliError> {
        let events = self.ask(self.client.events()).await?;
        let markets = self.ask(self.client.markets(None)).await?;
        let event_of = |market: &MarketInfo| events.iter().find(|event| event.event == market.event).cloned();
        Ok(markets.into_iter().filter_map(|market| Some((event_of(&market)?, market))).collect())
    }

    /// The market of that number or name.
    pub(crate) async fn market(&self, name: &str) -> Result<(EventInfo, MarketInfo), CliError> {
        find_market(self.markets().await?, name)
    }

    /// Whole tokens as atoms.
    pub(crate) fn atoms(&self, amount: Decimal) -> Result<u128, CliError> {
        amount.atoms(self.info.token_decimals).map_err(|error| match error {
            DecimalError::BetweenUnits { .. } => CliError::usage(format!(
                "{amount} has more digits than the token's {} decimals",
                self.info.token_decimals
            )),
            other => CliError::usage(other.to_string()),
        })
    }
}

/// A market by number, by outcome, or by `event/outcome`; letters' case does not matter, and the event may be a part of
/// its title.
fn find_market(markets: Vec<(EventInfo, MarketInfo)>, name: &str) -> Result<(EventInfo, MarketInfo), CliError> {
    if let Ok(number) = name.parse::<MarketId>() {
        let found = markets.into_iter().find(|(_, market)| market.market == number);
        return found
            .ok_or_else(|| CliError::usage(format!("market {number} does not exist; `xos markets` lists them")));
    }
    let (title, label) = name.rsplit_once('/').unwrap_or(("", name));
    let (title, label) = (title.trim().to_lowercase(), label.trim().to_lowercase());
    let of_event: Vec<_> =
        markets.into_iter().filter(|(event, _)| event.title.to_lowercase().contains(&title)).collect();
    let exact = of_event.iter().filter(|(_, market)| market.label.to_lowercase() == label).count();
    let fits = |market: &MarketInfo| {
        let ours = market.label.to_lowercase();
        if exact > 0 { ours == label } else { ours.contains(&label) }
    };
    let mut found: Vec<_> = of_event.into_iter().filter(|(_, market)| fits(market)).collect();
    // A whole title beats a part of others.
    if let Some(whole) = found.iter().position(|(event, _)| event.title.to_lowercase() == title) {
        return Ok(found.swap_remove(whole));
    }
    if found.len() == 1 {
        return Ok(found.swap_remove(0));
    }
    if found.is_empty() {
        return Err(CliError::usage(format!("no market is called `{name}`; `xos markets` lists them")));
    }
    let mut candidates: Vec<String> = found
        .iter()
        .take(CANDIDATES)
        .map(|(event, market)| format!("{} = {}/{}", market.market, event.title, market.label))
        .collect();
    if found.len() > CANDIDATES {
        candidates.push(format!("and {} more", found.len() - CANDIDATES));
    }
    Err(CliError::usage(format!(
        "`{name}` fits several markets: {}; use the number, or more words",
        candidates.join(", ")
    )))
}

/// Ticks in one share's price, that is, the price of certainty.
pub(crate) fn ticks(market: &MarketInfo) -> u128 {
    u128::from(market.highest.0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use xos_api::EventStatus;
    use xos_types::{Address, EventId, Lots, Ppm, Rate, Ticks, VenueId};

    fn markets() -> Vec<(EventInfo, MarketInfo)> {
        let mut all = Vec::new();
        for (number, title, labels) in [
            (1, "Champion", ["Spain", "France"]),
            (2, "Group H winner", ["Spain", "Uruguay"]),
            (3, "Spain - France, after 90 minutes", ["Spain", "Draw"]),
        ] {
            for (outcome, label) in (0u8..).zip(labels) {
                let event = EventId(number);
                let info = EventInfo {
                    event,
                    venue: VenueId(1),
                    title: title.into(),
                    labels: labels.map(String::from).to_vec(),
                    status: EventStatus::Open,
                    payouts: None,
                    resolver: Address::ZERO,
                };
                let market = MarketInfo {
                    market: MarketId::new(event, outcome),
                    venue: VenueId(1),
                    event,
                    label: label.into(),
                    tick_size: "0.001".into(),
                    lot_size: "0.01".into(),
                    lowest: Ticks(1),
                    highest: Ticks(999),
                    quantum: 10,
                    taker_fee: Ppm(0),
                    maker_fee: Rate(0),
                    curve: false,
                    restricted: false,
                    isolated_only: false,
                    position_cap: Lots(0),
                    open_interest_cap: Lots(0),
                    open_interest: Lots(0),
                    best_bid: None,
                    best_ask: None,
                    last: None,
                };
                all.push((info, market));
            }
        }
        all
    }

    #[test]
    fn markets_are_found_by_number_or_by_enough_words() {
        for (name, number) in [
            ("257", MarketId::new(EventId(1), 1)),
            ("champion/spain", MarketId::new(EventId(1), 0)),
            ("Group H/uru", MarketId::new(EventId(2), 1)),
            ("draw", MarketId::new(EventId(3), 1)),
            ("90 minutes/SPAIN", MarketId::new(EventId(3), 0)),
        ] {
            assert_eq!(find_market(markets(), name).unwrap().1.market, number, "{name}");
        }
    }

    #[test]
    fn an_unclear_name_lists_what_it_could_mean() {
        let error = find_market(markets(), "spain").unwrap_err().to_string();
        assert!(error.contains("256 = Champion/Spain") && error.contains("512 = Group H winner/Spain"), "{error}");
        assert!(find_market(markets(), "atlantis").unwrap_err().to_string().contains("xos markets"));
        assert!(find_market(markets(), "9999").unwrap_err().to_string().contains("does not exist"));
    }
}
