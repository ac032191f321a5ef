//! Says on chain how each event ended as soon as the results decide it: a claim with a bond, which is final once nobody has
//! disputed it for its window. Nobody is trusted with it: who claims is neither the deployer nor anybody else in particular,
//! and the first claim about the first match is a lie, which is disputed.

use std::sync::Arc;

use alloy::primitives::{B256, keccak256};
use futures::future::try_join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};
use xos_auth::Key;
use xos_chain::{At, Claimant};

use super::funding::{self, in_atoms};
use super::{DemoError, Exchange};
use crate::facts::{MatchId, Subject};
use crate::fair::Board;

/// Seconds in which a claim may be disputed: some blocks, on a machine that does other things as well. `script/config/core.json`
/// says two hours.
pub(super) const WINDOW_SECONDS: u64 = 8;
/// Least atoms of a first claim's bond: ten dollars.
pub(super) const LEAST_BOND: u128 = 10_000_000;
/// Atoms that each claimant brings. Bonds grow with what is open in the event.
const PURSE: u128 = 100_000 * LEAST_BOND;
/// What is lied about.
const LIED_ABOUT: Subject = Subject::After90(MatchId(1));
const POLL: Duration = Duration::from_millis(200);

/// Who says how events ended.
pub(super) struct Claimants {
    honest: Claimant,
    liar: Claimant,
}

/// What it took to decide an event.
#[derive(Clone, Copy, Debug, Default)]
struct Decision {
    /// Claims that had to be disputed.
    disputed: usize,
    /// Atoms of the lie's bond.
    lost: u128,
}

/// What became of the claims.
#[derive(Clone, Debug)]
pub(super) struct Resolution {
    /// Events that a claim has decided.
    pub(super) events: usize,
    /// Claims that were disputed.
    pub(super) disputed: usize,
    /// Atoms of the lie's bond.
    pub(super) lost: u128,
    /// Atoms that whoever told the truth has won of it.
    pub(super) won: u128,
    /// What is not as it should be.
    pub(super) problems: Vec<String>,
}

impl Claimants {
    /// Two people with tokens for their bonds, and no rights.
    pub(super) async fn gather(exchange: &Exchange) -> Result<Self, DemoError> {
        let keys = [(); 2].map(|()| Key::random());
        let addresses = keys.each_ref().map(Key::address);
        exchange.deployer.send_native_to_all(&addresses, funding::GAS_MONEY).await?;
        let resolver = exchange.opening.core().resolver;
        let claimants = keys.into_iter().map(|key| async {
            let wallet = exchange.chain.wallet(key);
            let claimant = Claimant::new(wallet.clone(), resolver);
            tokio::try_join!(wallet.mint(wallet.address(), PURSE), claimant.approve(u128::MAX))?;
            Ok::<_, DemoError>(claimant)
        });
        let [honest, liar] = <[Claimant; 2]>::try_from(try_join_all(claimants).await?)
            .map_err(|claimants| DemoError::failed("gather claimants", format!("{} came", claimants.len())))?;
        Ok(Self { honest, liar })
    }

    /// Follows the board until every event is resolved, and takes the bonds back.
    pub(super) async fn resolve_all(self, mut board: watch::Receiver<Arc<Board>>) -> Result<Resolution, DemoError> {
        let mut open: Vec<Subject> = Subject::all().collect();
        let mut under_way = FuturesUnordered::new();
        let (mut events, mut all) = (0, Decision::default());
        while !open.is_empty() || !under_way.is_empty() {
            let now = Arc::clone(&board.borrow_and_update());
            open.retain(|&subject| match now.snapshot.winner(subject) {
                Some(winner) => {
                    under_way.push(self.decide(subject, winner));
                    false
                }
                None => true,
            });
            tokio::select! {
                Some(decided) = under_way.next() => {
                    let Decision { disputed, lost } = decided?;
                    events += 1;
                    all.disputed += disputed;
                    all.lost += lost;
                }
                changed = board.changed(), if !open.is_empty() => if changed.is_err() {
                    let reason = format!("the replay ended with {} undecided", open.len());
                    return Err(DemoError::failed("resolve events", reason));
                }
            }
        }
        drop(under_way);
        self.settle(events, all).await
    }

    /// Claims, disputes what somebody else claims instead, and makes it final.
    async fn decide(&self, subject: Subject, winner: usize) -> Result<Decision, DemoError> {
        let (event, chain) = (subject.event(), self.honest.wallet().chain());
        let ticks = u64::from(chain.event(event, At::Latest).await?.ticks);
        let paying = |outcome: usize| {
            let mut payouts = vec![0; subject.outcomes()];
            payouts[outcome] = ticks;
            payouts
        };
        if subject == LIED_ABOUT {
            self.liar.claim(event, &paying((winner + 1) % subject.outcomes()), B256::ZERO).await?;
        }
        let payouts = paying(winner);
        let mut decision = Decision::default();
        loop {
            let question = self.honest.question(event).await?;
            match question.claims.last() {
                _ if question.decided => return Ok(decision),
                Some(last) if last.says(&payouts) => {
                    if chain.time().await? >= question.closes {
                        self.honest.finalize(event, &payouts).await?;
                    } else {
                        sleep(POLL).await;
                    }
                }
                other => {
                    if let Some(lie) = other {
                        decision.disputed += 1;
                        decision.lost += lie.bond;
                    }
                    self.honest.claim(event, &payouts, evidence()).await?;
                }
            }
        }
    }

    /// Everybody takes what the claims have brought: the truth its bonds and half of what the lie put down, the lie nothing.
    async fn settle(&self, events: usize, all: Decision) -> Result<Resolution, DemoError> {
        let Decision { disputed, lost } = all;
        let mut problems = Vec::new();
        self.honest.withdraw().await?;
        let holds = in_atoms(self.honest.wallet().balance().await?)?;
        let won = holds.saturating_sub(PURSE);
        if won != lost / 2 {
            problems.push(format!("who told the truth has won {won} atoms of a lie's bond of {lost}"));
        }
        let left = in_atoms(self.liar.wallet().balance().await? + self.liar.owed().await?)?;
        if left + lost != PURSE {
            problems.push(format!("who lied has {left} atoms of {PURSE} left, a bond of {lost} should be lost"));
        }
        Ok(Resolution { events, disputed, lost, won, problems })
    }
}

/// The results that claims rest on.
fn evidence() -> B256 {
    keccak256(include_bytes!("../../../../worldcup/matches.tsv"))
}

/// Which outcome the contract pays for an event; `None` if it is not resolved to a single one.
pub(super) async fn paid(chain: &xos_chain::Chain, subject: Subject) -> Result<Option<usize>, DemoError> {
    let payouts = chain.payouts(subject.event(), At::Latest).await?;
    let mut winners = payouts.iter().enumerate().filter(|(_, payout)| **payout > 0);
    Ok(match (winners.next(), winners.next()) {
        (Some((winner, _)), None) => Some(winner),
        _ => None,
    })
}
