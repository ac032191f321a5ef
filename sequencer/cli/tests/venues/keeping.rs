//! A failing account on a live node: a keeper hears of it and takes what it holds, and the chain has it so.

use std::process::{Command, Output};
use std::time::Duration;

use alloy::primitives::U256;
use alloy::providers::Provider;
use alloy::sol_types::SolCall;
use jsonrpsee::core::client::{ClientT, Subscription};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClient;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use xos_api::{ConvertRequest, HoldingInfo, LiquidateRequest, LiquidationsMessage, MarginInfo, XosApiClient};
use xos_auth::signature_bytes;
use xos_chain::Wallet;
use xos_types::{AccountId, Atoms, Convert, Liquidate, Lots, Nonce, OrderKind, Position, Side, Ticks, TimeMs};
use xos_worldcup::prices::Tape;
use xos_worldcup::session::{Intent, Session};

use crate::life::{DOLLARS, Desk, line, priced, until, with};
use crate::schema::Document;
use crate::world::{DEPLOYERS, LONG, RELAYER, World};

alloy::sol! {
    function transfer(address to, uint256 amount) external returns (bool);
}

const CHAIN: u64 = 31_337;
/// Of a bitcoin's ten thousandths: six hundred dollars' worth.
const LOTS: u64 = 100;
/// Forty dollars carry them until they have lost four percent.
const MARGIN: u128 = 40_000_000;
/// What a share costs all the time, in cents; that is ten thousand a lot of a hundredth.
const SHARE: u64 = 23_150;
/// Ten shares, of which a hundredth is a lot of ten thousand atoms.
const SHARES: u128 = 10_000_000;
/// A dollar, which the first move of a percent takes.
const HARDLY_ANY: u128 = 1_000_000;

/// Down by eleven percent within 37 seconds, and up again: whoever holds much fails, long or short, wherever it was
/// entered, and slowly enough for a keeper to come before nothing is left.
fn tape() -> Tape {
    let (high, step, steps, rest) = (6_100_000, 1_830, 366, 50);
    let falling = (0..steps).map(|number| high - step * number);
    let flat = |price| std::iter::repeat_n(price, rest);
    let bitcoin = flat(high).chain(falling).chain(flat(high - step * steps)).collect();
    Tape::of([("BTC", bitcoin), ("ACME", vec![SHARE; 2])])
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
    let open_to_all = ("registrar", json!("0x0000000000000000000000000000000000000000"));
    let stock = with("market-stock", &[("venue", json!(0)), ("restricted", json!(false))]);
    let venue = with("venue-stock", &[("group", json!(1)), open_to_all]);
    world.open_with(deployer, "stock", &venue, &json!([{ "list": "spot", "config": stock }]));
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
    let taken = i128::from(part::<Position>(&taken, "size").0);
    let whole = if failing == 0 { i128::from(LOTS) } else { -i128::from(LOTS) };
    assert!(taken * whole > 0 && taken.abs() <= whole.abs(), "{taken} of {whole}");
    assert_eq!((held(&keeper).await, held(&desk.sessions[failing]).await), (taken, whole - taken));
    let stands: Value = client.request("xos_margin", rpc_params![account]).await.unwrap();
    document.result_fits("xos_margin", &stands);
    let stands: MarginInfo = serde_json::from_value(stands).unwrap();
    assert!(
        !stands.failing && stands.usd.0 < i128::try_from(MARGIN).unwrap(),
        "it has paid, and may go on: {stands:?}"
    );

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

    // Nobody else's deal is to meet them.
    let quotes: Vec<Nonce> = keeper.open_orders().await.unwrap().iter().map(|quote| quote.nonce).collect();
    keeper.cancel(&quotes).await.unwrap();

    a_debt_is_bought(&world, (&keeper, &wallet), &client, &document, &mut feed).await;
    a_keeper_by_command_line(&world, &keeper).await;

    // The contract has taken it as it was: every account is the same there.
    let chain = world.chain(1).await;
    let here = || async { XosApiClient::account(&client, account).await.unwrap().cash };
    let there = || async { chain.account(account, xos_chain::At::Latest).await.unwrap().cash };
    until("the batch", || async { there().await == here().await }).await;
    let passed = audited(&world, &[]);
    assert!(passed.status.success(), "{passed:?}");

    // While the node is away, dollars and shares wait in the inbox, each among its own.
    world.stop_shards();
    wallet.fund(Some(by), 2_500_000).await.unwrap();
    wallet.fund_asset(world.core().simulated_asset, by, SHARES).await.unwrap();
    let passed = audited(&world, &["--offline"]);
    let said = String::from_utf8_lossy(&passed.stdout);
    assert!(passed.status.success() && said.contains("+ 2.5 in the inbox"), "{passed:?}");

    // Whoever is as mighty as a chain takes a thousandth of a share away, and the audit knows.
    let (provider, group, token) = (&world.anvil.provider, world.deployment(1).group, world.core().simulated_asset);
    let lost = transferCall { to: wallet.address(), amount: U256::from(1_000) }.abi_encode();
    let taken = json!({ "from": group, "to": token, "data": alloy::hex::encode_prefixed(lost) });
    provider.raw_request::<_, ()>("anvil_impersonateAccount".into(), (group,)).await.unwrap();
    provider
        .raw_request::<_, ()>("anvil_setBalance".into(), (group, U256::from(10).pow(U256::from(18))))
        .await
        .unwrap();
    let sent = provider.raw_request::<_, Value>("eth_sendTransaction".into(), (taken,)).await.unwrap();
    let receipt = || async {
        let found = provider.raw_request::<_, Value>("eth_getTransactionReceipt".into(), (&sent,)).await.unwrap();
        found["status"] == "0x1"
    };
    until("the theft", receipt).await;
    let failed = audited(&world, &["--offline"]);
    let said = String::from_utf8_lossy(&failed.stdout);
    let differ: Vec<&str> = said.lines().filter(|line| line.starts_with("DIFFER")).collect();
    assert!(!failed.status.success() && differ.len() == 1, "{failed:?}");
    assert!(
        differ[0].contains("the group holds every asset that it owes") && differ[0].contains("but owes"),
        "{differ:?}"
    );
}

/// What `xos audit` says of the group.
fn audited(world: &World, more: &[&str]) -> Output {
    let [data, deployment] = [world.path("shards/group-1/node"), world.deployment_file("group-1")];
    let arguments = ["audit", "--chain", &world.anvil.url, "--data"];
    let mut audit = Command::new(env!("CARGO_BIN_EXE_xos"));
    audit.args(arguments).arg(data).arg("--deployment").arg(deployment).args(more).output().unwrap()
}

/// `xos keep` refuses what it could not do before it listens.
fn what_a_keeper_cannot_ask_for(world: &World) {
    let [_, keeper] = DEPLOYERS;
    for (by, arguments, why) in [
        (
            keeper,
            &["keep", "100", "--slippage", "100"][..],
            "100 % is no slippage; expected at least 0, less than 100, like 0.5",
        ),
        (keeper, &["keep", "0.0000001"], "0.0000001"),
        (keeper, &["keep", "100", "--market", "x"], "'--market <NUMBER>'"),
        (RELAYER, &["keep", "100"], "has no account in this group; `xos deposit` opens one"),
    ] {
        let refused = world.xos(1, by, arguments);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why), "{arguments:?}: {refused:?}");
    }
}

/// `xos keep` takes a part of what somebody holds who fails, and ends.
async fn a_keeper_by_command_line(world: &World, keeper: &Session) {
    tokio::task::block_in_place(|| what_a_keeper_cannot_ask_for(world));
    let mut desk = Desk::open(world, 1, MARGIN).await;
    let market = desk.market().await;
    desk.deal(market.market, market.index_ticks, LOTS).await;
    let before = held(keeper).await;
    let number = market.market.0.to_string();
    let arguments = ["keep", "100", "--market", &number, "--slippage", "5", "--times", "1", "--json"];
    let said = tokio::task::block_in_place(|| world.xos_ok(1, DEPLOYERS[1], &arguments));
    let taken: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    // A lot is about six dollars' worth. Who fails first may be one of those before, who have less left.
    let lots = i128::from(taken["lots"].as_i64().unwrap());
    let (value, reward) = (dollars(&taken["value"]), dollars(&taken["reward"]));
    assert!(0 < lots.abs() && lots.abs() <= 20 && taken["market"] == json!(market.market), "{said}");
    assert!((4.0..=7.0).contains(&(value / lots as f64)) && value.abs() <= 100.0, "{said}");
    assert!(0.0 < reward && reward < value.abs() / 20.0, "{said}");
    assert_eq!(held(keeper).await, before + lots, "{said}");
}

fn dollars(amount: &Value) -> f64 {
    amount.as_str().unwrap().parse().unwrap()
}

async fn shares(session: &Session) -> HoldingInfo {
    session.holdings().await.unwrap().into_iter().find(|holding| holding.market.is_none()).unwrap()
}

/// Two who have shares and hardly any cash, one long and one short: whoever loses owes, and a keeper buys shares of theirs.
async fn a_debt_is_bought(
    world: &World,
    (keeper, wallet): (&Session, &Wallet),
    client: &WsClient,
    document: &Document,
    feed: &mut Subscription<LiquidationsMessage>,
) {
    let mut desk = Desk::open(world, 1, HARDLY_ANY).await;
    for (session, wallet) in desk.sessions.iter().zip(&desk.wallets) {
        wallet.fund_asset(world.core().simulated_asset, session.account(), SHARES).await.unwrap();
        until("the shares", || async { !session.holdings().await.unwrap().is_empty() }).await;
    }
    let priced = || async { keeper.index_markets().await.unwrap().iter().all(|market| !market.stale) };
    until("a price of everything", priced).await;
    let market = desk.market().await;
    desk.deal(market.market, market.index_ticks, LOTS).await;

    let stands = |account| async move { XosApiClient::margin(client, account).await.unwrap() };
    let mut owing = None;
    while owing.is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for session in &desk.sessions {
            let margin = stands(session.account()).await;
            assert!(!margin.failing, "shares carry it: {margin:?}");
            owing = owing.or((margin.usd.0 < 0).then_some(session));
        }
    }
    let owing = owing.unwrap();
    let asset = shares(owing).await.feed;
    let (account, nonce, expiry) = (owing.account(), Nonce(1 << 21), TimeMs(0));
    let (amount, limit) = (SHARES, u128::from(u64::MAX));
    let message = Convert { keeper: keeper.account(), account, asset, amount, limit, nonce, expiry };
    let signed = wallet.key().sign_typed(&world.deployment(1).domain(), message);
    let signature = signature_bytes(&signed.signature).into();
    let by = keeper.account();
    let request = ConvertRequest { keeper: by, account, asset, amount, limit, nonce, expiry, signature };
    let acknowledged: Value = client.request("xos_convert", rpc_params![request]).await.unwrap();
    document.result_fits("xos_convert", &acknowledged);

    let bought = told(feed, "Converted").await;
    assert_eq!(
        (part::<AccountId>(&bought, "account"), part::<AccountId>(&bought, "keeper")),
        (account, by),
        "{bought}"
    );
    let atoms: u128 = part::<String>(&bought, "amount").parse().unwrap();
    // Five percent below what they cost, rounded up.
    let price = u128::from(SHARE) * 10_000 * 95 / 100;
    let paid = (atoms * price).div_ceil(SHARES / 10);
    assert_eq!(part::<Atoms>(&bought, "paid").0, i128::try_from(paid).unwrap(), "{bought}");
    assert!(0 < atoms && atoms < SHARES / 10, "a debt of some dollars takes less than a share: {bought}");
    let amounts = [shares(keeper).await.amount, shares(owing).await.amount];
    assert_eq!(amounts, [atoms, SHARES - atoms].map(|atoms| i128::try_from(atoms).unwrap()));
}
