//! Resolves each event on chain as soon as the results decide it. The contract takes the payouts from nobody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::try_join_all;
use tokio::sync::watch;
use xos_chain::{At, Wallet};

use super::DemoError;
use crate::facts::Subject;
use crate::fair::Board;

/// Follows the board until every event is resolved.
pub(super) async fn resolve_all(wallet: Wallet, mut board: watch::Receiver<Arc<Board>>) -> Result<(), DemoError> {
    let mut open: BTreeSet<Subject> = Subject::all().collect();
    while !open.is_empty() {
        let now = Arc::clone(&board.borrow_and_update());
        let decided: Vec<(Subject, usize)> =
            open.iter().filter_map(|&subject| Some((subject, now.snapshot.winner(subject)?))).collect();
        try_join_all(decided.iter().map(|&(subject, winner)| resolve(&wallet, subject, winner))).await?;
        for (subject, _) in &decided {
            open.remove(subject);
        }
        if decided.is_empty() && board.changed().await.is_err() {
            return Err(DemoError::failed("resolve events", format!("the replay ended with {} undecided", open.len())));
        }
    }
    Ok(())
}

async fn resolve(wallet: &Wallet, subject: Subject, winner: usize) -> Result<(), DemoError> {
    let ticks = wallet.chain().event(subject.event(), At::Latest).await?.ticks;
    let mut payouts = vec![0; subject.outcomes()];
    payouts[winner] = ticks.into();
    wallet.resolve_event(subject.event(), &payouts).await?;
    Ok(())
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
