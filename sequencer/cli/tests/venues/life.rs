//! The whole life of a venue of each kind, on a live node: opened, traded on, ended, closed, and the stake back in its
//! deployer's wallet.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::rpc_params;
use serde_json::{Value, json};
use tokio::time::sleep;
use xos_api::{AccountInfo, EventStatus, IndexMarketInfo};
use xos_chain::{At, EventState, Registry, Wallet};
use xos_types::{EventId, Lots, MarketId, OrderKind, Side, Ticks, TimeMs, VenueId};
use xos_worldcup::prices::{Reporters, Tape};
use xos_worldcup::session::{Intent, Session, Venue};
use xos_worldcup::tally::Tally;

use crate::schema::Document;
use crate::world::{DEPLOYERS, SEQUENCER, TRADERS, World, key, shipped};

/// On a chain that says it is X Layer.
const CHAIN: u64 = 196;
const DAY: u64 = 86_400;
/// Atoms of dollars, and of the stock.
pub(crate) const DOLLARS: u128 = 10_000_000_000;
const STOCK: u128 = 50_000_000;

/// A line to a group's node, of somebody with so many atoms of dollars in a new account there.
pub(crate) async fn line(world: &World, group: u32, number: u8, atoms: u128) -> (Session, Wallet) {
    let node = world.node(group).unwrap();
    let deployment = world.deployment(group);
    let venue = Arc::new(Venue {
        url: node.ws,
        domain: deployment.domain(),
        token: deployment.token,
        sequencer: key(SEQUENCER).address(),
    });
    let wallet = world.chain(group).await.wallet(key(number));
    let account = wallet.fund(None, atoms).await.unwrap().account;
    let line = xos_worldcup::session::connect(&venue.url).await.unwrap();
    until("the deposit", || async { xos_api::XosApiClient::account(&line, account).await.is_ok() }).await;
    let session = Session::open(venue, wallet.key().clone(), account, Arc::new(Tally::default())).await.unwrap();
    (session, wallet)
}

/// The two traders' lines to a group's node.
pub(crate) struct Desk {
    pub(crate) sessions: [Session; 2],
    pub(crate) wallets: [Wallet; 2],
}

impl Desk {
    /// Each with so many atoms of dollars in the group.
    pub(crate) async fn open(world: &World, group: u32, atoms: u128) -> Self {
        let [first, second] = TRADERS;
        let (first, second) = (line(world, group, first, atoms).await, line(world, group, second, atoms).await);
        Self { sessions: [first.0, second.0], wallets: [first.1, second.1] }
    }

    /// The group's one market with an index price, once it has one.
    pub(crate) async fn market(&self) -> IndexMarketInfo {
        let priced = || async { self.sessions[0].index_markets().await.unwrap().iter().any(|market| !market.stale) };
        until("a price", priced).await;
        self.sessions[0].index_markets().await.unwrap().remove(0)
    }

    /// The second sells to the first at that price; what the first pays for taking it.
    pub(crate) async fn deal(&mut self, market: MarketId, price: Ticks, lots: u64) -> i128 {
        let mut fee = 0;
        for (session, side) in self.sessions.iter_mut().zip([Side::Buy, Side::Sell]).rev() {
            let kind = OrderKind::GoodTillCancelled;
            let intent = Intent { market, side, kind, size: Lots(lots), price, expiry: TimeMs(0) };
            let placed = session.place(&[intent]).await.unwrap().remove(0).outcome.unwrap();
            let filled: u64 = placed.fills.iter().map(|fill| fill.size.0).sum();
            assert_eq!(filled, if side == Side::Buy { lots } else { 0 });
            fee += placed.fills.iter().map(|fill| fill.fee.0).sum::<i128>();
        }
        fee
    }

    /// Everybody has been paid and takes it home; answers what both have together.
    async fn leave(&mut self) -> u128 {
        let mut together = 0;
        for (session, wallet) in self.sessions.iter_mut().zip(&self.wallets) {
            let cash = u128::try_from(session.account_info().await.unwrap().cash.0).unwrap();
            let before = wallet.balance().await.unwrap().to::<u128>();
            session.withdraw(cash).await.unwrap();
            until("the withdrawal", || async { wallet.balance().await.unwrap().to::<u128>() == before + cash }).await;
            together += cash;
        }
        together
    }
}

pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} does not come");
}

/// Announces, waits and delists; a batch has then told the group.
async fn delist(world: &World, by: u8, venue: &str, group: u32, market: MarketId) {
    let number = market.0.to_string();
    world.script(by, "Leave", "announce(uint32,uint32)", &[venue, &number]).await;
    sleep(Duration::from_secs(2)).await;
    world.script(by, "Leave", "delist(uint32,uint32)", &[venue, &number]).await;
    ended(world, group, market.event()).await;
}

async fn ended(world: &World, group: u32, event: EventId) {
    let chain = world.chain(group).await;
    until("the market's end", || async { chain.event(event, At::Latest).await.unwrap().state == EventState::Resolved })
        .await;
}

/// Gives the slot back and closes the venue.
async fn close(world: &World, by: u8, venue: &str, market: MarketId) {
    world.script(by, "Leave", "free(uint32,uint32)", &[venue, &market.0.to_string()]).await;
    world.script(by, "Leave", "close(uint32)", &[venue]).await;
}

/// What the first group's node answers about markets with an index price is what its document says.
async fn answers_as_documented(world: &World) {
    let client = HttpClientBuilder::default().build(world.node(1).unwrap().http).unwrap();
    let markets: Value = client.request("xos_indexMarkets", rpc_params![]).await.unwrap();
    assert_eq!(markets.as_array().unwrap().len(), 1);
    Document::of(&client).await.result_fits("xos_indexMarkets", &markets);
}

/// Reporters who sign what the tape says, for a quorum's contract that is deployed here. Before the nodes start: they are told.
pub(crate) async fn priced(world: &World, by: u8, chain_id: u64, tape: Tape) -> Reporters {
    let reporters = Reporters::start(tape, 3, chain_id).await.unwrap();
    let node = format!("price_reporters = \"{}\"\n", reporters.urls.join(","));
    std::fs::write(world.path("node.toml"), node).unwrap();
    let quorum = with("prices-quorum", &[("reporters", json!(reporters.addresses))]);
    world.script(by, "Prices", "quorum(string)", &[&world.write("prices", &quorum)]).await;
    reporters.sign_for(world.part("quorumSource"));
    reporters
}

pub(crate) fn with(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut config = shipped(name);
    for (field, value) in changes {
        config[*field] = value.clone();
    }
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_of_each_kind_is_opened_traded_on_ended_and_its_stake_released() {
    let mut world = World::begin(CHAIN, &[]).await;
    let [first, second] = DEPLOYERS;
    let _reporters = priced(&world, first, CHAIN, Tape::load(7)).await;
    world.start_shards();

    // An outcome venue; a venue of perpetuals in the same group; a spot venue of another deployer in a group of its own.
    let committee = with("resolver-committee", &[("members", json!([key(first).address()]))]);
    world.script(first, "Committee", "deploy(string)", &[&world.write("committee", &committee)]).await;
    world.open(first, "outcomes", &["Is heads?"], json!(world.part("committee")));
    let market = json!([{ "list": "perpetual", "config": shipped("market-btc") }]);
    // Who has traded a hundred dollars there pays half.
    let tiers = json!([{ "volume": "100000000", "takerShare": 500_000, "makerShare": 0 }]);
    world.open_with(first, "perpetuals", &with("venue-perpetuals", &[("feeTiers", tiers)]), &market);
    let open_to_all = ("registrar", json!("0x0000000000000000000000000000000000000000"));
    let market = json!([{ "list": "spot", "config": with("market-stock", &[("restricted", json!(false))]) }]);
    world.open_with(second, "stock", &with("venue-stock", &[open_to_all]), &market);
    world.until("both groups' nodes", |world| world.node(1).zip(world.node(2))).await;

    // Trades in all three.
    let mut desk = Desk::open(&world, 1, DOLLARS).await;
    let heads = MarketId::new(EventId(1), 0);
    desk.deal(heads, Ticks(600), 400).await;
    let btc = desk.market().await;
    let fee = desk.deal(btc.market, btc.index_ticks, 100).await;
    let tier = |info: AccountInfo| info.traded.iter().map(|traded| (traded.venue, traded.tier)).collect::<Vec<_>>();
    let reached = || async { tier(desk.sessions[0].account_info().await.unwrap()) == [(VenueId(2), 1)] };
    until("the frame that counts the trade", reached).await;
    let listed = Command::new(env!("CARGO_BIN_EXE_xos"))
        .args(["venue", "list", "--rpc", &world.node(1).unwrap().http])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("venue 2, of the fees") && !listed.contains("venue 1, of the fees"), "{listed}");
    let shown = world.xos_ok(1, TRADERS[0], &["account"]);
    assert!(shown.contains("tier 1: pays 50 % of taker fees, 0 % of maker fees"), "{shown}");
    let less = desk.deal(btc.market, btc.index_ticks, 100).await;
    assert!(fee > 0 && (2 * less - fee).abs() <= 2, "half of {fee} is {less}");
    answers_as_documented(&world).await;
    let mut spot_desk = Desk::open(&world, 2, DOLLARS).await;
    let seller = spot_desk.sessions[1].account();
    spot_desk.wallets[1].fund_asset(world.core().simulated_asset, seller, STOCK).await.unwrap();
    let stock = spot_desk.market().await;
    until("the stock", || async { !spot_desk.sessions[1].holdings().await.unwrap().is_empty() }).await;
    spot_desk.deal(stock.market, stock.index_ticks, 100).await;

    // The event by its committee's word, the others by their delisting.
    let said = json!({ "group": 1, "event": 1, "payouts": [1000, 0], "evidence": "heads" });
    let said = world.write("resolution", &said);
    world.script(first, "Committee", "decide(string,bytes[])", &[&said, "[]"]).await;
    ended(&world, 1, heads.event()).await;
    delist(&world, first, "2", 1, btc.market).await;
    delist(&world, second, "3", 2, stock.market).await;
    assert_eq!(desk.sessions[0].index_markets().await.unwrap()[0].status, EventStatus::Resolved);

    // Everybody is paid: what both have is what they brought, less fees.
    until("the positions' end", || async {
        let info = desk.sessions[0].account_info().await.unwrap();
        info.positions.is_empty() && desk.sessions[0].holdings().await.unwrap().is_empty()
    })
    .await;
    let left = desk.leave().await;
    assert!(left < 2 * DOLLARS && left > 2 * DOLLARS - DOLLARS / 1000, "{left}");
    let left = spot_desk.leave().await;
    assert!(left < 2 * DOLLARS && left > 2 * DOLLARS - DOLLARS / 1000, "{left}");

    // The slots are free, the venues closed, and the stake comes back after its cooldown.
    close(&world, first, "1", heads).await;
    close(&world, first, "2", btc.market).await;
    close(&world, second, "3", stock.market).await;
    let registry = Registry::connect(&world.anvil.url, &world.core()).await.unwrap();
    let mut staked = Vec::new();
    for deployer in DEPLOYERS {
        let standing = registry.standing(key(deployer).address()).await.unwrap();
        assert_eq!(standing.locked, 0, "nothing ties it down");
        staked.push(standing.staked);
        world.script(deployer, "Stake", "unstake(uint256)", &[&standing.staked.to_string()]).await;
    }
    world.pass(21 * DAY + 1).await;
    for (deployer, staked) in DEPLOYERS.into_iter().zip(staked) {
        let before = registry.standing(key(deployer).address()).await.unwrap();
        world.script(deployer, "Stake", "release()", &[]).await;
        let after = registry.standing(key(deployer).address()).await.unwrap();
        assert!(staked > 0 && after.wrapped == before.wrapped + staked && after.staked == 0, "{after:?}");
    }
}
