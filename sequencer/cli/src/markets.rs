//! `xos markets` and `xos book`

use clap::Args;
use xos_api::people::ratio;
use xos_api::{BookInfo, EventStatus, MarketInfo, XosApiClient};
use xos_types::{Lots, Ticks};

use crate::error::CliError;
use crate::output::{Output, table};
use crate::session::{NodeFlags, ticks};

/// List markets with their prices
#[derive(Args)]
#[command(after_help = "Examples:
  xos markets
  xos markets \"group h\"
  xos markets spain --json")]
pub(crate) struct Markets {
    /// Only those whose event or outcome contains this
    #[arg(value_name = "TEXT", default_value = "")]
    text: String,
    /// Resolved events too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    output: Output,
}

impl Markets {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let session = self.node.connect().await?;
        let text = self.text.to_lowercase();
        let mut markets = session.markets().await?;
        markets.retain(|(event, market)| {
            let fits = event.title.to_lowercase().contains(&text) || market.label.to_lowercase().contains(&text);
            fits && (self.all || event.status == EventStatus::Open)
        });
        self.output.print(&markets, |markets| {
            let rows: Vec<Vec<String>> = markets
                .iter()
                .map(|(event, market)| {
                    let price = |ticks: Option<Ticks>| ticks.map_or_else(|| "-".into(), |ticks| price(market, ticks));
                    vec![
                        market.market.to_string(),
                        event.title.clone(),
                        market.label.clone(),
                        price(market.best_bid),
                        price(market.best_ask),
                        price(market.last),
                    ]
                })
                .collect();
            table(&["market", "event", "outcome", "bid", "ask", "last"], 3, &rows)
        })
    }
}

/// Show the order book of a market
#[derive(Args)]
#[command(after_help = "Examples:
  xos book champion/spain
  xos book 256 --depth 5")]
pub(crate) struct Book {
    /// Number, or event/outcome
    #[arg(value_name = "MARKET")]
    market: String,
    /// Price levels of each side
    #[arg(long, default_value_t = 10, value_name = "LEVELS")]
    depth: u32,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    output: Output,
}

impl Book {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let session = self.node.connect().await?;
        let (event, market) = session.market(&self.market).await?;
        let book = session.ask(session.client.book(market.market, Some(self.depth))).await?;
        self.output.print(&book, |book| {
            let mut text = format!("{}: {} (market {})\n", event.title, market.label, market.market);
            text.push_str(&levels(book, &market, session.info.token_decimals));
            text
        })
    }
}

fn levels(book: &BookInfo, market: &MarketInfo, decimals: u8) -> String {
    let side = |name: &str, level: &xos_api::Level| {
        vec![
            name.to_owned(),
            price(market, level.price),
            shares(market, level.size, decimals),
            level.orders.to_string(),
        ]
    };
    let asks = book.asks.iter().rev().map(|level| side("ask", level));
    let bids = book.bids.iter().map(|level| side("bid", level));
    table(&["", "price", "shares", "orders"], 1, &asks.chain(bids).collect::<Vec<_>>())
}

/// Ticks as a decimal price.
pub(crate) fn price(market: &MarketInfo, price: Ticks) -> String {
    ratio(price.0.into(), ticks(market))
}

/// Lots as shares.
pub(crate) fn shares(market: &MarketInfo, lots: Lots, decimals: u8) -> String {
    let payout = ticks(market) * u128::from(market.quantum);
    let one = 10_u128.checked_pow(decimals.into()).unwrap_or(u128::MAX);
    ratio(payout.saturating_mul(lots.0.into()), one)
}
