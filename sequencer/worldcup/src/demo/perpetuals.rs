//! Beside the World Cup, in the same group: a venue of perpetuals. A maker quotes BTC and ETH around the index price; some of the
//! World Cup's traders take from the very accounts that hold their shares, and close everything in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;
use xos_api::{Code, HoldingInfo, IndexMarketInfo};
use xos_auth::Key;
use xos_types::{AccountId, Lots, MarketId, Nonce, OrderKind, Side, Ticks, TimeMs};

use super::funding::{self, Member, in_atoms};
use super::{DemoError, Exchange};
use crate::session::{Intent, Session, Trouble};
use crate::tally::Tally;
use crate::trader::Kind;

/// The XIP that opens the venue; the World Cup's is the first.
const XIP: u64 = 2;
const MARKETS: [&str; 2] = ["market-btc", "market-eth"];
/// World Cup traders who trade perpetuals, too.
const TAKERS: usize = 4;
const MAKER_TOKENS: u128 = 1_000_000;
/// Nonces that a World Cup trader does not come to: both sessions of its account count upwards.
const NONCES_FROM: u64 = 1_000_000;
/// How far from the index the maker quotes, parts of 10,000, and how much each.
const LADDER: [(u64, u64); 3] = [(3, 400), (6, 1_200), (12, 4_000)];
/// The maker quotes anew once the index has moved by this part of 10,000.
const TOLERANCE: u64 = 2;
/// What a taker gives away at most, and in the end, when it must get out.
const REACH: u64 = 40;
const REACH_TO_CLOSE: u64 = 300;
/// Most lots that a taker orders, and holds.
const SIZE_MAX: u64 = 300;
const POSITION_MAX: i128 = 1_000;
const PRICED_WITHIN: Duration = Duration::from_secs(60);
const CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// Opens the venue in the World Cup's group and lists its markets; answers when they have prices.
pub(super) async fn open(exchange: &Exchange, treasury: AccountId) -> Result<Vec<IndexMarketInfo>, DemoError> {
    let opening = &exchange.opening;
    opening.venue("venue-perpetuals", XIP, &[("treasury", json!(treasury.0))]).await?;
    opening
        .run("Prices", "quorum(string)", "prices-quorum", &[("reporters", json!(exchange.reporters.addresses))])
        .await?;
    exchange.reporters.sign_for(opening.part("quorumSource")?);
    for market in MARKETS {
        opening.run("ListMarket", "perpetual(string)", market, &[]).await?;
    }
    let line = crate::session::connect(&exchange.venue.url).await?;
    let begun = Instant::now();
    loop {
        let markets = xos_api::XosApiClient::index_markets(&line).await.map_err(Trouble::from)?;
        if markets.len() == MARKETS.len() && markets.iter().all(|market| !market.stale) {
            return Ok(markets);
        }
        if begun.elapsed() > PRICED_WITHIN {
            return Err(DemoError::failed("price the perpetuals", format!("{markets:?}")));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Who trades perpetuals.
pub(super) struct Desk {
    pub(super) maker: Session,
    /// Tokens of the maker's wallet before it deposited.
    pub(super) brought: u128,
    takers: Vec<Session>,
    pub(super) tally: Arc<Tally>,
    seed: u64,
}

impl Desk {
    /// A maker with an account of its own, and takers with those of World Cup traders.
    pub(super) async fn gather(exchange: &Exchange, members: &[Member], seed: u64) -> Result<Self, DemoError> {
        let tally = Arc::new(Tally::default());
        let key = Key::random();
        exchange.deployer.send_native_to_all(&[key.address()], funding::GAS_MONEY).await?;
        let token = 10_u128.pow(exchange.chain.token_decimals().await?.into());
        let wallet = exchange.chain.wallet(key.clone());
        let amount = MAKER_TOKENS * token;
        tokio::try_join!(wallet.mint(wallet.address(), amount), wallet.approve(amount))?;
        let brought = in_atoms(wallet.balance().await?)?;
        let account = wallet.deposit(None, amount).await?.account;
        funding::wait_credited(exchange, account).await?;
        let maker = Session::open(Arc::clone(&exchange.venue), key, account, Arc::clone(&tally)).await?;
        let takers = members.iter().filter(|member| member.kind == Kind::Taker).take(TAKERS).map(|member| async {
            let venue = Arc::clone(&exchange.venue);
            let session = Session::open(venue, member.key.clone(), member.account, Arc::clone(&tally)).await?;
            Ok::<_, Trouble>(session.counting_from(Nonce(NONCES_FROM)))
        });
        let takers = try_join_all(takers).await?;
        Ok(Self { maker, brought, takers, tally, seed })
    }

    /// Trades until `closing` turns true; then the takers close what they hold, and with that the maker's positions are closed.
    pub(super) async fn trade(self, closing: watch::Receiver<bool>) -> Result<Self, DemoError> {
        let Self { maker, brought, takers, tally, seed } = self;
        let (close_book, book_closes) = watch::channel(false);
        let making = tokio::spawn(make(maker, book_closes));
        let taking = takers.into_iter().zip(0u64..).map(|(session, salt)| {
            let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(salt));
            tokio::spawn(take(session, rng, closing.clone()))
        });
        let mut takers = Vec::new();
        for taken in try_join_all(taking).await? {
            takers.push(taken?);
        }
        close_book.send_replace(true);
        let maker = making.await??;
        Ok(Self { maker, brought, takers, tally, seed })
    }

    /// Confirms that the log has what was acknowledged.
    pub(super) async fn verify(&self) -> Result<(), Trouble> {
        for session in self.takers.iter().chain([&self.maker]) {
            session.verify_all().await?;
        }
        Ok(())
    }
}

/// Goes on after what a killed node or a full queue does to a session.
async fn recover(session: &mut Session, trouble: Trouble) -> Result<(), Trouble> {
    match trouble {
        Trouble::Lost(_) => session.resume().await,
        Trouble::Refused { code, .. }
            if [Code::Overloaded, Code::Unavailable, Code::Stopping].map(|wait| wait as i32).contains(&code) =>
        {
            sleep(Duration::from_millis(250)).await;
            Ok(())
        }
        other => Err(other),
    }
}

// ---------------------------------------------------------------- the maker

#[derive(Default)]
struct Quotes {
    /// By market: the index that they stand around, and their names.
    standing: BTreeMap<MarketId, (u64, Vec<Nonce>)>,
}

async fn make(mut session: Session, mut closing: watch::Receiver<bool>) -> Result<Session, Trouble> {
    let mut quotes = Quotes::default();
    while !*closing.borrow() {
        if let Err(trouble) = quotes.step(&mut session).await {
            recover(&mut session, trouble).await?;
            // What rests is not known any more; `leave` finds it.
            quotes.standing.clear();
            let _ = leave(&mut session).await;
        }
        tokio::select! {
            () = sleep(Duration::from_millis(250)) => {}
            _ = closing.changed() => {}
        }
    }
    loop {
        match leave(&mut session).await {
            Ok(()) => return Ok(session),
            Err(trouble) => recover(&mut session, trouble).await?,
        }
    }
}

async fn leave(session: &mut Session) -> Result<(), Trouble> {
    let open: Vec<Nonce> = session.open_orders().await?.iter().map(|order| order.nonce).collect();
    session.cancel(&open).await.map(drop)
}

impl Quotes {
    async fn step(&mut self, session: &mut Session) -> Result<(), Trouble> {
        for market in session.index_markets().await? {
            let index = market.index_ticks.0;
            let (around, nonces) = self.standing.remove(&market.market).unwrap_or_default();
            if market.stale || index == 0 {
                session.cancel(&nonces).await?;
                continue;
            }
            if !nonces.is_empty() && index.abs_diff(around) * 10_000 < index * TOLERANCE {
                self.standing.insert(market.market, (around, nonces));
                continue;
            }
            session.cancel(&nonces).await?;
            let ladder = LADDER.iter().flat_map(|&(away, size)| {
                let away = (index * away / 10_000).max(1);
                [(Side::Buy, index - away), (Side::Sell, index + away)].map(|(side, price)| Intent {
                    market: market.market,
                    side,
                    kind: OrderKind::PostOnly,
                    size: Lots(size),
                    price: Ticks(price),
                    expiry: TimeMs(0),
                })
            });
            let placed = session.place(&ladder.collect::<Vec<_>>()).await?;
            let standing = placed.iter().filter(|placed| placed.outcome.is_ok()).map(|placed| placed.nonce).collect();
            self.standing.insert(market.market, (index, standing));
        }
        Ok(())
    }
}

// ---------------------------------------------------------------- takers

async fn take(
    mut session: Session,
    mut rng: ChaCha8Rng,
    mut closing: watch::Receiver<bool>,
) -> Result<Session, DemoError> {
    while !*closing.borrow() {
        if let Err(trouble) = bet(&mut session, &mut rng).await {
            recover(&mut session, trouble).await?;
        }
        let pause = Duration::from_millis(rng.random_range(250..900));
        tokio::select! {
            () = sleep(pause) => {}
            _ = closing.changed() => {}
        }
    }
    let begun = Instant::now();
    loop {
        match close(&mut session).await {
            Ok(0) => return Ok(session),
            Ok(open) if begun.elapsed() > CLOSED_WITHIN => {
                let reason = format!("account {} still holds {open}", session.account());
                return Err(DemoError::failed("close the perpetuals", reason));
            }
            Ok(_) => {}
            Err(trouble) => recover(&mut session, trouble).await?,
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn held_in(holdings: &[HoldingInfo], market: MarketId) -> i128 {
    holdings.iter().find(|holding| holding.market == Some(market)).map_or(0, |holding| holding.amount)
}

async fn bet(session: &mut Session, rng: &mut ChaCha8Rng) -> Result<(), Trouble> {
    let markets = session.index_markets().await?;
    let Some(market) = markets.choose(rng).filter(|market| !market.stale) else { return Ok(()) };
    let held = held_in(&session.holdings().await?, market.market);
    let side = match held {
        _ if held > POSITION_MAX => Side::Sell,
        _ if held < -POSITION_MAX => Side::Buy,
        _ if rng.random() => Side::Buy,
        _ => Side::Sell,
    };
    session.place(&[across(market, side, rng.random_range(1..=SIZE_MAX), REACH)]).await.map(drop)
}

/// Answers how many positions were open.
async fn close(session: &mut Session) -> Result<usize, Trouble> {
    let markets = session.index_markets().await?;
    let holdings = session.holdings().await?;
    let open = holdings.iter().filter(|holding| holding.amount != 0).count();
    for market in &markets {
        let held = held_in(&holdings, market.market);
        if held != 0 {
            let side = if held > 0 { Side::Sell } else { Side::Buy };
            let size = u64::try_from(held.unsigned_abs()).unwrap_or(u64::MAX);
            session.place(&[across(market, side, size, REACH_TO_CLOSE)]).await?;
        }
    }
    Ok(open)
}

/// Through the index by so many parts of 10,000: takes what the maker quotes.
fn across(market: &IndexMarketInfo, side: Side, size: u64, reach: u64) -> Intent {
    let index = market.index_ticks.0;
    let reach = (index * reach / 10_000).max(1);
    let price = match side {
        Side::Buy => index + reach,
        Side::Sell => index - reach,
    };
    Intent {
        market: market.market,
        side,
        kind: OrderKind::ImmediateOrCancel,
        size: Lots(size),
        price: Ticks(price),
        expiry: TimeMs(0),
    }
}
