//! After the tournament, for whoever wants to try it: one open event with somebody on the other side, a key with gas money,
//! and the commands.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::time::{Duration, sleep};
use xos_auth::Key;
use xos_chain::{At, EventState};
use xos_types::{EventId, Lots, MarketId, OrderKind, Side, Ticks, TimeMs};

use super::process::write_key;
use super::{DemoError, Exchange, funding};
use crate::facts::facts;
use crate::session::{Intent, Session};
use crate::tally::Tally;

const TITLE: &str = "Try it: is a coin heads";
/// Bids just below, asks just above: ticks of 1000.
const LADDER: [(u64, u64); 3] = [(490, 510), (480, 520), (470, 530)];
const LADDER_LOTS: Lots = Lots(10_000);
const HOUSE_TOKENS: u128 = 10_000;
const POLL: Duration = Duration::from_millis(200);

/// Opens the event, quotes it, and says how to trade. Answers the house's line: dropping it would not take its orders out
/// of the book, but a maker stays while the door is open.
pub(super) async fn open_door(exchange: &Exchange) -> Result<(Session, String), DemoError> {
    let event = open_event(exchange).await?;
    let house = quote(exchange, event).await?;
    let visitor = Key::random();
    exchange.deployer.send_native_to_all(&[visitor.address()], funding::GAS_MONEY).await?;
    let key_file = exchange.folder.join("you.key");
    write_key(&key_file, &visitor)?;
    Ok((house, instructions(exchange, &key_file)))
}

async fn open_event(exchange: &Exchange) -> Result<EventId, DemoError> {
    let before = exchange.chain.events(At::Latest).await?;
    let event = EventId(before + 1);
    let file = exchange.folder.join("encore.json");
    let content = json!({ "events": [{ "title": TITLE, "labels": ["Yes", "No"] }] });
    std::fs::write(&file, content.to_string()).map_err(|error| DemoError::failed("write the encore", error))?;
    let changes = [("from", json!(file)), ("after", json!(facts().events.len()))];
    exchange.opening.run("ListMarket", "events(string)", "events-worldcup", &changes).await?;
    while exchange.chain.event(event, At::Latest).await?.state != EventState::Open {
        sleep(POLL).await;
    }
    Ok(event)
}

async fn quote(exchange: &Exchange, event: EventId) -> Result<Session, DemoError> {
    let key = Key::random();
    exchange.deployer.send_native_to_all(&[key.address()], funding::GAS_MONEY).await?;
    let token = 10_u128.pow(exchange.chain.token_decimals().await?.into());
    let account = exchange.chain.wallet(key.clone()).fund(None, HOUSE_TOKENS * token).await?.account;
    funding::wait_credited(exchange, account).await?;
    let venue = Arc::clone(&exchange.venue);
    let mut house = Session::open(venue, key, account, Arc::new(Tally::default())).await?;
    let intents: Vec<Intent> = LADDER
        .iter()
        .flat_map(|&(bid, ask)| [(0, Side::Buy, bid), (0, Side::Sell, ask), (1, Side::Buy, bid), (1, Side::Sell, ask)])
        .map(|(outcome, side, price)| Intent {
            market: MarketId::new(event, outcome),
            side,
            kind: OrderKind::PostOnly,
            size: LADDER_LOTS,
            price: Ticks(price),
            expiry: TimeMs(0),
        })
        .collect();
    house.place(&intents).await?;
    Ok(house)
}

fn instructions(exchange: &Exchange, key_file: &Path) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "xos".into());
    let (folder, key) = (exchange.folder.display(), key_file.display());
    format!(
        "\nThe chain and the node stay up until Ctrl-C, with one open event for you. In another terminal, from here:\n\n  \
         export XOS_RPC={} XOS_CHAIN={} XOS_DEPLOYMENT={folder}/31337.group-1.json\n  \
         {program} markets \"try it\"\n  \
         {program} deposit 100 --mint --key-file {key}\n  \
         {program} order buy \"try it/yes\" --price 0.52 --size 10 --key-file {key}\n  \
         {program} account --key-file {key}\n\n\
         WebSocket {}   group {}   journal, keys and logs in {folder}\n",
        exchange.http,
        exchange.local_chain.url,
        exchange.venue.url,
        exchange.chain.deployment().group,
    )
}
