//! While the World Cup is traded: another deployer opens a spot venue for customers whom an issuer knows, in a group of its own.
//! The sequencer hears of the group from the registry and serves it without a restart. Two customers trade; a stranger may not.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::Address;
use alloy::sol_types::{SolStruct, SolValue, eip712_domain};
use serde_json::json;
use tokio::time::{Duration, sleep, timeout};
use xos_auth::{Domain, Key};
use xos_chain::{Chain, Deployment, sign_digest};
use xos_node::audit;
use xos_types::{AccountId, Lots, OrderKind, Side, Ticks, TimeMs};

use super::opening::Opening;
use super::process::Shards;
use super::{DemoError, funding};
use crate::session::{Intent, Session, Trouble, Venue, connect};
use crate::tally::Tally;

/// The registry's number of the group, and of the venue; the XIP that opens it. Two came before.
const GROUP: u32 = 2;
const VENUE: u32 = 3;
const XIP: u64 = 3;
/// Where customers live, by ISO 3166-1.
const SPAIN: u16 = 724;
/// Each customer brings so many dollars, and the seller so many atoms of the stock.
const TOKENS: u128 = 10_000;
const STOCK: u128 = 50_000_000;
const WITHIN: Duration = Duration::from_secs(60);

#[allow(missing_docs, clippy::all, reason = "generated code")]
mod abi {
    alloy::sol! {
        struct Credential { address subject; uint16 jurisdiction; uint8 tier; uint64 expiry; uint64 number; }
    }
}

/// What the venue came to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Trades of members.
    pub(super) trades: u64,
    /// What the node told the stranger.
    pub(super) refusal: String,
    /// What an audit of the group found wrong.
    pub(super) problems: Vec<String>,
    /// How the audit went.
    pub(super) audit: String,
}

/// Everything that the venue needs and shares with nobody but the chain and the sequencer.
pub(super) struct Plan {
    pub(super) url: String,
    pub(super) opening: Opening,
    pub(super) shards: Shards,
    pub(super) sequencer: Address,
}

/// Opens it, trades and audits.
pub(super) async fn open_and_trade(plan: Plan) -> Result<Outcome, DemoError> {
    let Plan { url, opening, shards, sequencer } = plan;
    let issuer = Key::random();
    opening.stake().await?;
    opening.venue("venue-stock", XIP, &[]).await?;
    let venue = [("venue", json!(VENUE))];
    let rule = [venue[0].clone(), ("issuer", json!(issuer.address()))];
    opening.run("Rule", "credential(string)", "rule-credential", &rule).await?;
    opening.run("ListMarket", "spot(string)", "market-stock", &venue).await?;

    let node = shards.serves(GROUP).await?;
    let deployment = Deployment::load(&shards.folder(GROUP).join("deployment.json"))?;
    let chain = Chain::connect(&url, &deployment).await?;
    let line = Venue { url: node.ws, domain: deployment.domain(), token: deployment.token, sequencer };
    let desk =
        Desk { chain, line: Arc::new(line), stock: opening.core().simulated_asset, purse: opening.key().clone() };

    let mut seller = desk.customer(STOCK).await?;
    let mut buyer = desk.customer(0).await?;
    let mut stranger = desk.customer(0).await?;
    let rule = opening.part("credentialRule")?;
    for (customer, number) in [(&seller, 1), (&buyer, 2)] {
        let evidence = credential(&issuer, &deployment.domain(), rule, customer.owner(), number);
        desk.join(opening.core().registrar, customer, evidence).await?;
    }
    let (trades, refusal) = trade(&mut seller, &mut buyer, &mut stranger).await?;

    let subject = audit::Subject {
        chain: url,
        deployment: shards.folder(GROUP).join("deployment.json"),
        data: shards.folder(GROUP).join("node"),
        node: Some(node.http),
    };
    let report = audit::audit(&subject).await?;
    let problems = report
        .checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| format!("group {GROUP}: {}: {}", check.rule, check.detail))
        .collect();
    Ok(Outcome { trades, refusal, problems, audit: format!("{}: {} commands", report.audit, report.commands) })
}

struct Desk {
    chain: Chain,
    line: Arc<Venue>,
    stock: Address,
    purse: Key,
}

impl Desk {
    /// Somebody with dollars, and perhaps stock, in an account of this group.
    async fn customer(&self, stock: u128) -> Result<Session, DemoError> {
        let key = Key::random();
        self.chain.wallet(self.purse.clone()).send_native(key.address(), funding::GAS_MONEY).await?;
        let token = 10_u128.pow(self.chain.token_decimals().await?.into());
        let wallet = self.chain.wallet(key.clone());
        let account = wallet.fund(None, TOKENS * token).await?.account;
        if stock > 0 {
            wallet.fund_asset(self.stock, account, stock).await?;
        }
        wait_known(&self.line.url, account).await?;
        Ok(Session::open(Arc::clone(&self.line), key, account, Arc::new(Tally::default())).await?)
    }

    /// Shows the registrar what the issuer signed, and waits until the node knows the member.
    async fn join(&self, registrar: Address, customer: &Session, evidence: Vec<u8>) -> Result<(), DemoError> {
        let wallet = self.chain.wallet(self.purse.clone());
        Ok(wallet.join(registrar, VENUE, customer.account(), evidence).await?)
    }
}

async fn wait_known(url: &str, account: AccountId) -> Result<(), DemoError> {
    let client = connect(url).await?;
    let known = async {
        while xos_api::XosApiClient::account(&client, account).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(WITHIN, known).await.map_err(|_| DemoError::failed("deposit", format!("account {account} is not credited")))
}

/// What the rule believes: the issuer's word about an address, for a day.
fn credential(issuer: &Key, group: &Domain, rule: Address, subject: Address, number: u64) -> Vec<u8> {
    let domain = eip712_domain! {
        name: "Exchange OS Credentials", version: "1", chain_id: group.chain_id(), verifying_contract: rule,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let credential = abi::Credential { subject, jurisdiction: SPAIN, tier: 1, expiry: now + 86_400, number };
    let signature = sign_digest(issuer, credential.eip712_signing_hash(&domain));
    (credential, signature).abi_encode_params()
}

/// The seller offers, the buyer takes some of it, and the stranger is refused. Answers how many trades there were, and why the
/// stranger made none.
async fn trade(seller: &mut Session, buyer: &mut Session, stranger: &mut Session) -> Result<(u64, String), DemoError> {
    let failed = |reason: String| DemoError::failed("trade as a member", reason);
    let market =
        seller.index_markets().await?.into_iter().next().ok_or_else(|| failed("no market is listed".into()))?;
    let intent = |side, size, price| Intent {
        market: market.market,
        side,
        kind: if side == Side::Buy { OrderKind::ImmediateOrCancel } else { OrderKind::GoodTillCancelled },
        size: Lots(size),
        price: Ticks(price),
        expiry: TimeMs(0),
    };
    let (offer, bid) = (intent(Side::Sell, 500, 23_200), intent(Side::Buy, 100, 23_300));
    let offered = settled(seller, &offer).await?;
    offered.map_err(failed)?;
    let bought = settled(buyer, &bid).await?;
    let trades = bought.map_err(failed)?;
    let refusal = match stranger.place(&[bid]).await?.remove(0).outcome {
        Ok(_) => return Err(failed("a stranger's order was taken".into())),
        Err(error) => error.message,
    };
    let rest: Vec<_> = seller.open_orders().await?.iter().map(|order| order.nonce).collect();
    seller.cancel(&rest).await?;
    Ok((trades, refusal))
}

/// Places an order as soon as the node knows that its sender may: the membership and the first price come through inbox and
/// frame. Answers its fills, or what still stood in its way in the end.
async fn settled(session: &mut Session, intent: &Intent) -> Result<Result<u64, String>, Trouble> {
    let mut last = String::new();
    for _ in 0..100 {
        match session.place(&[*intent]).await?.remove(0).outcome {
            Ok(ack) => return Ok(Ok(u64::try_from(ack.fills.len()).unwrap_or(u64::MAX))),
            Err(error) => last = error.message,
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(Err(last))
}
