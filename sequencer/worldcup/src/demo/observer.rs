//! Watches the market from outside, through the same public JSON-RPC as everybody: settlement, batches, the prices of
//! live matches and of the champion, and what each goal did to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonrpsee::ws_client::WsClient;
use tokio::sync::watch;
use tokio::time::sleep;
use xos_api::{BatchInfo, MarketInfo, SettlementInfo, XosApiClient};
use xos_types::EventId;

use crate::facts::{MatchId, Score, Subject};
use crate::fair::Board;
use crate::session::{Trouble, connect};

const STEP: Duration = Duration::from_millis(50);
const SETTLEMENT_EVERY: Duration = Duration::from_millis(200);
const CHAMPION_EVERY: Duration = Duration::from_millis(500);
/// How long the market is given to digest a goal before the swing is measured.
const DIGESTED: Duration = Duration::from_millis(200);
/// Live events whose prices are fetched at a time.
const LIVE_MAX: usize = 10;

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) settlement: SettlementInfo,
    pub(super) batches: Vec<BatchInfo>,
    /// Middle prices by event, 0 to 1.
    pub(super) prices: BTreeMap<EventId, Vec<Option<f64>>>,
    /// Champion prices through the tournament.
    pub(super) champion: Vec<Vec<f64>>,
    pub(super) swings: Vec<Swing>,
}

impl Seen {
    pub(super) fn fills(&self) -> u64 {
        self.batches.iter().map(|batch| batch.orders_filled).sum()
    }

    /// Gas per filled order over the latest batches that filled any.
    pub(super) fn recent_gas_per_fill(&self) -> Option<u64> {
        let recent = || self.batches.iter().rev().filter(|batch| batch.orders_filled > 0).take(10);
        let fills: u64 = recent().map(|batch| batch.orders_filled).sum();
        recent().map(|batch| batch.gas_used).sum::<u64>().checked_div(fills)
    }
}

/// What a goal (or several in one breath) did to a market.
#[derive(Clone, Debug)]
pub(super) struct Swing {
    pub(super) id: MatchId,
    pub(super) subject: Subject,
    pub(super) outcome: usize,
    pub(super) before: f64,
    pub(super) after: f64,
    /// The goals that fell meanwhile.
    pub(super) score_before: Score,
    pub(super) score_after: Score,
    pub(super) minute: crate::facts::Minute,
}

impl Swing {
    pub(super) fn size(&self) -> f64 {
        (self.after - self.before).abs()
    }
}

/// Shared between observer, screen and summary.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight(Arc<Mutex<Seen>>);

impl Sight {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Digesting {
    subject: Subject,
    before: Vec<Option<f64>>,
    score_before: Score,
    minute: crate::facts::Minute,
    since: Instant,
}

/// Watches until `done`; keeps `backlog` up to date for the traders.
pub(super) async fn observe(
    url: String,
    board: watch::Receiver<Arc<Board>>,
    sight: Sight,
    backlog: Arc<AtomicU64>,
    mut done: watch::Receiver<bool>,
) -> Result<(), Trouble> {
    let mut observer = Observer {
        client: connect(&url).await?,
        sight,
        backlog,
        scores: vec![Score::default(); crate::facts::MATCHES],
        digesting: BTreeMap::new(),
        settlement_at: None,
        champion_at: None,
    };
    while !*done.borrow() {
        let now = Arc::clone(&board.borrow());
        match observer.look(&now).await {
            Ok(()) => {}
            // The node is being killed and restarted; so is this line.
            Err(Trouble::Lost(_) | Trouble::Refused { .. }) => observer.client = connect(&url).await?,
            Err(other) => return Err(other),
        }
        tokio::select! {
            () = sleep(STEP) => {}
            _ = done.changed() => {}
        }
    }
    // The last batches settle after the last trade.
    observer.settlement().await
}

struct Observer {
    client: WsClient,
    sight: Sight,
    backlog: Arc<AtomicU64>,
    scores: Vec<Score>,
    digesting: BTreeMap<MatchId, Digesting>,
    settlement_at: Option<Instant>,
    champion_at: Option<Instant>,
}

fn due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= every)
}

impl Observer {
    async fn look(&mut self, board: &Board) -> Result<(), Trouble> {
        if due(self.settlement_at, SETTLEMENT_EVERY) {
            self.settlement().await?;
            self.settlement_at = Some(Instant::now());
        }
        if due(self.champion_at, CHAMPION_EVERY) && board.fair(Subject::Champion).is_some() {
            let prices = self.prices(Subject::Champion).await?;
            // Until makers have set up every book there is no price of the champion.
            if let Some(prices) = prices.into_iter().collect() {
                self.sight.seen().champion.push(prices);
            }
            self.champion_at = Some(Instant::now());
        }
        self.goals(board);
        let live: Vec<Subject> = board
            .snapshot
            .live()
            .flat_map(|id| {
                [Subject::After90(id), Subject::Decided(id)].into_iter().take(1 + usize::from(id.is_knockout()))
            })
            .filter(|&subject| board.fair(subject).is_some())
            .take(LIVE_MAX)
            .collect();
        for subject in live {
            self.prices(subject).await?;
        }
        self.digested(board);
        Ok(())
    }

    async fn settlement(&self) -> Result<(), Trouble> {
        let settlement = self.client.info().await?.settlement;
        self.backlog.store(settlement.sealed.saturating_sub(settlement.settled), Ordering::Relaxed);
        let next = self.sight.seen().batches.last().map_or(1, |batch| batch.id + 1);
        let batches = self.client.batches(next, None).await?;
        let mut seen = self.sight.seen();
        seen.settlement = settlement;
        seen.batches.extend(batches);
        Ok(())
    }

    async fn prices(&self, subject: Subject) -> Result<Vec<Option<f64>>, Trouble> {
        let markets = self.client.markets(Some(subject.event())).await?;
        let prices: Vec<Option<f64>> = markets.iter().map(middle).collect();
        self.sight.seen().prices.insert(subject.event(), prices.clone());
        Ok(prices)
    }

    /// Notes the prices as they stood before each new goal.
    fn goals(&mut self, board: &Board) {
        for id in MatchId::all() {
            let moment = board.snapshot.moment(id);
            let before = std::mem::replace(&mut self.scores[id.index()], moment.score);
            if before == moment.score || self.digesting.contains_key(&id) {
                continue;
            }
            let subject = if id.is_knockout() { Subject::Decided(id) } else { Subject::After90(id) };
            let Some(prices) = self.sight.seen().prices.get(&subject.event()).cloned() else { continue };
            let digesting = Digesting {
                subject,
                before: prices,
                score_before: before,
                minute: moment.minute,
                since: Instant::now(),
            };
            self.digesting.insert(id, digesting);
        }
    }

    /// Measures what the market made of the goals it has had time to digest.
    fn digested(&mut self, board: &Board) {
        let mut seen = self.sight.seen();
        self.digesting.retain(|&id, goal| {
            let open = board.fair(goal.subject).is_some();
            if open && goal.since.elapsed() < DIGESTED {
                return true;
            }
            let after = seen.prices.get(&goal.subject.event()).cloned().unwrap_or_default();
            let moves = goal.before.iter().zip(&after).enumerate();
            let largest = moves
                .filter_map(|(outcome, (before, after))| Some((outcome, (*before)?, (*after)?)))
                .max_by(|a, b| (a.2 - a.1).abs().total_cmp(&(b.2 - b.1).abs()));
            if let Some((outcome, before, after)) = largest {
                seen.swings.push(Swing {
                    id,
                    subject: goal.subject,
                    outcome,
                    before,
                    after,
                    score_before: goal.score_before,
                    score_after: board.snapshot.moment(id).score,
                    minute: goal.minute,
                });
            }
            false
        });
    }
}

/// Between the best prices; the one there is; else the last trade.
fn middle(market: &MarketInfo) -> Option<f64> {
    let price = |ticks: xos_types::Ticks| super::in_parts(ticks, market);
    match (market.best_bid, market.best_ask) {
        (Some(bid), Some(ask)) => Some((price(bid) + price(ask)) / 2.),
        (Some(only), None) | (None, Some(only)) => Some(price(only)),
        (None, None) => market.last.map(price),
    }
}
