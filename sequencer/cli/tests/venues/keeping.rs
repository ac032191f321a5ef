//! A failing account on a live node: a keeper hears of it and takes what it holds, and the chain has it so.

use std::process::Command;

use jsonrpsee::core::client::{ClientT, Subscription};
use jsonrpsee::rpc_params;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use xos_api::{LiquidateRequest, LiquidationsMessage, XosApiClient};
use xos_auth::signature_bytes;
use xos_types::{AccountId, Atoms, Liquidate, Lots, Nonce, OrderKind, Position, Side, Ticks, TimeMs};
use xos_worldcup::prices::Tape;
use xos_worldcup::session::{Intent, Session};

use crate::life::{DOLLARS, Desk, line, priced, until, with};
use crate::schema::Document;
use crate::world::{DEPLOYERS, LONG, World};

const CHAIN: u64 = 31_337;
/// Of a bitcoin's ten thousandths: six hundred dollars' worth.
const LOTS: u64 = 100;
/// Forty dollars carry them until they have lost four percent.
const MARGIN: u128 = 40_000_000;

/// Down by eleven percent within 37 seconds, and up again: whoever holds much fails, long or short, wherever it was
/// entered, and slowly enough for a keeper to come before nothing is left.
fn tape() -> Tape {
    let (high, step, steps, rest) = (6_100_000, 1_830, 366, 50);
    let falling = (0..steps).map(|number| high - step * number);
    let flat = |price| std::iter::repeat_n(price, rest);
    Tape::of("BTC", flat(high).chain(falling).chain(flat(high - step * steps)).collect())
}

/// What the feed tells next under that name.
async fn told(feed: &mut Subscription<LiquidationsMessage>, name: &str) -> Value {
    loop {
        let next = tokio::time::timeout(LONG, feed.next()).await.unwrap_or_else(|_| panic!("nothing is {name}"));
        let message = next.expect("the feed goes on").unwrap();
        if let Some(event) = message.events.into_iter().find_map(|told| told.event.get(name).cloned()) {
            return event;
        }
    }
}

fn part<T: DeserializeOwned>(event: &Value, name: &str) -> T {
    serde_json::from_value(event[name].clone()).unwrap()
}

async fn held(session: &Session) -> i128 {
    session.holdings().await.unwrap().iter().map(|holding| holding.amount).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_takes_what_a_failing_account_holds_and_the_chain_has_it_so() {
    let mut world = World::begin(CHAIN, &[]).await;
    let [deployer, keeper] = DEPLOYERS;
    let _reporters = priced(&world, deployer, CHAIN, tape()).await;
    world.start_shards();
    let market = json!([{ "list": "perpetual", "config": with("market-btc", &[("venue", json!(0))]) }]);
    world.open_with(deployer, "perpetuals", &with("venue-perpetuals", &[("group", json!(0))]), &market);
    let node = world.until("the group's node", |world| world.node(1)).await;

    let (mut keeper, wallet) = line(&world, 1, keeper, DOLLARS).await;
    let client = xos_worldcup::session::connect(&node.ws).await.unwrap();
    let document = Document::of(&client).await;
    let mut feed = client.subscribe_liquidations(None).await.unwrap();
    let mut desk = Desk::open(&world, 1, MARGIN).await;
    let market = desk.market().await;
    desk.deal(market.market, market.index_ticks, LOTS).await;
    // The middle of these is above the index price, so the one who is long pays the other.
    for (side, percent) in [(Side::Buy, 98), (Side::Sell, 104)] {
        let price = Ticks(market.index_ticks.0 * percent / 100);
        let (kind, expiry) = (OrderKind::GoodTillCancelled, TimeMs(0));
        let quote = Intent { market: market.market, side, kind, size: Lots(1), price, expiry };
        keeper.place(&[quote]).await.unwrap().remove(0).outcome.unwrap();
    }

    // Prices move until somebody fails.
    let account: AccountId = part(&told(&mut feed, "Failing").await, "account");
    let failing = desk.sessions.iter().position(|session| session.account() == account).unwrap();
    let limit = if failing == 0 { u128::from(u64::MAX) } else { 1 };
    let (nonce, expiry, size) = (Nonce(1 << 20), TimeMs(0), Lots(LOTS));
    let message = Liquidate { keeper: keeper.account(), account, market: market.market, size, limit, nonce, expiry };
    let signed = wallet.key().sign_typed(&world.deployment(1).domain(), message);
    let signature = signature_bytes(&signed.signature).into();
    let Liquidate { keeper: by, market, .. } = message;
    let request = LiquidateRequest { keeper: by, account, market, size, limit, nonce, expiry, signature };
    let acknowledged: Value = client.request("xos_liquidate", rpc_params![request]).await.unwrap();
    document.result_fits("xos_liquidate", &acknowledged);

    let taken = told(&mut feed, "Liquidated").await;
    assert_eq!((part::<AccountId>(&taken, "account"), part::<AccountId>(&taken, "keeper")), (account, by), "{taken}");
    let value = part::<Atoms>(&taken, "value").0;
    let taken = i128::from(part::<Position>(&taken, "size").0);
    let whole = if failing == 0 { i128::from(LOTS) } else { -i128::from(LOTS) };
    assert!(taken * whole > 0 && taken.abs() <= whole.abs(), "{taken} of {whole}");
    assert_eq!((held(&keeper).await, held(&desk.sessions[failing]).await), (taken, whole - taken));
    let left = desk.sessions[failing].account_info().await.unwrap();
    let worth = left.cash.0 + value * (whole - taken) / taken;
    assert!(worth < i128::try_from(MARGIN).unwrap(), "what it lost and its penalty are paid: {left:?}");

    // Both sides are told what it cost.
    for (account, role, lots) in [(account, "subject", -taken), (by, "keeper", taken)] {
        let list = || async { client.request::<Value, _>("xos_liquidations", rpc_params![account]).await.unwrap() };
        let is_it = |record: &Value| record["kind"] == "liquidated" && record["role"] == role;
        let told = |list: &Value| list.as_array().unwrap().iter().find(|record| is_it(record)).cloned();
        until("the liquidation's record", || async { told(&list().await).is_some() }).await;
        document.result_fits("xos_liquidations", &list().await);
        let record = told(&list().await).unwrap();
        assert_eq!((&record["amount"], &record["nonce"]), (&json!(lots.to_string()), &json!(nonce)), "{record}");
    }

    // Who held a position has paid for it, or was paid.
    for session in &desk.sessions {
        let funding = || async { client.request("xos_funding", rpc_params![session.account()]).await.unwrap() };
        until("funding", || async { !Value::as_array(&funding().await).unwrap().is_empty() }).await;
        document.result_fits("xos_funding", &funding().await);
    }

    // The contract has taken it as it was: every account is the same there.
    let chain = world.chain(1).await;
    let cash = left.cash;
    until("the batch", || async { chain.account(account, xos_chain::At::Latest).await.unwrap().cash == cash }).await;
    let audit = Command::new(env!("CARGO_BIN_EXE_xos"))
        .args(["audit", "--chain", &world.anvil.url, "--data"])
        .arg(world.path("shards/group-1/node"))
        .arg("--deployment")
        .arg(world.deployment_file("group-1"))
        .output()
        .unwrap();
    assert!(audit.status.success(), "{audit:?}");
}
