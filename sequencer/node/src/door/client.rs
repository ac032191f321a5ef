//! Who asks: what the node knows of a client beyond what the message says. A message is worked on in the name of its client,
//! which pays for it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::task_local;
use xos_api::{ApiError, Budget, Code};
use xos_types::AccountId;

use super::addresses::Network;
use super::budget::{Budgets, Short, tokens_for};
use super::session::Sessions;

task_local! {
    static ASKING: Asking;
}

/// One message that is worked on.
struct Asking {
    client: Client,
    /// The least that any account has left for which the message asked something.
    account_left: Cell<Option<u64>>,
}

/// One client; cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: Network,
    budgets: Arc<Budgets>,
    /// What came last of its connection was signed by those who may.
    is_known: Arc<AtomicBool>,
    /// What it has logged in for; only a connection that stays can.
    sessions: Option<Arc<Sessions>>,
}

impl Client {
    /// Somebody who asks once, on a connection that is known by what came of it before.
    pub(crate) fn new(address: Network, budgets: Arc<Budgets>, is_known: Arc<AtomicBool>) -> Self {
        Self { address, budgets, is_known, sessions: None }
    }

    /// The same with a connection that stays.
    pub(crate) fn with_sessions(self, sessions: Arc<Sessions>) -> Self {
        Self { sessions: Some(sessions), ..self }
    }

    /// Whether something good has come of its connection lately, as it changes.
    pub(crate) fn known(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_known)
    }

    /// Whether something good has come of its connection lately.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Works in the name of this client; answers also what is left to it.
    pub(crate) async fn asks<W: Future>(self, work: W) -> (W::Output, Budget) {
        let (address, budgets) = (self.address, Arc::clone(&self.budgets));
        let asking = Asking { client: self, account_left: Cell::new(None) };
        let (output, account) = ASKING.scope(asking, counting(work)).await;
        (output, Budget { address: budgets.left(address), account })
    }

    /// Pays for a message of so many bytes; `Err` if it has asked for too much for too long.
    pub(crate) fn pays_for_message(&self, bytes: usize) -> Result<(), Short> {
        match self.budgets.spend(self.address, tokens_for(bytes)) {
            Err(short) if short.is_hopeless => Err(short),
            // Its calls will hear of it.
            _ => Ok(()),
        }
    }

    /// Pays for an answer that was given, beyond what every answer has.
    pub(crate) fn pays_for_answer(&self, bytes: usize) {
        let tokens = tokens_for(bytes) - 1;
        if tokens > 0 {
            self.budgets.owe(self.address, tokens);
        }
    }
}

/// The work, and what its accounts have left.
async fn counting<W: Future>(work: W) -> (W::Output, Option<u64>) {
    let output = work.await;
    (output, ASKING.with(|asking| asking.account_left.get()))
}

/// Takes tokens of whoever asks for what this task works on.
///
/// # Errors
/// If there are not as many.
pub(crate) fn pay(tokens: u64) -> Result<(), ApiError> {
    ASKING.try_with(|asking| asking.client.budgets.spend(asking.client.address, tokens)).map_or(Ok(()), |paid| {
        paid?;
        Ok(())
    })
}

/// Notes what an account has left, for the answer.
pub(crate) fn note_account(left: u64) {
    // Who asks within the node hears no budget.
    let _ = ASKING.try_with(|asking| {
        let least = asking.account_left.get().map_or(left, |before| before.min(left));
        asking.account_left.set(Some(least));
    });
}

/// Whether something good has come of the connection lately; whoever asks within the node is known.
pub(crate) fn is_known() -> bool {
    ASKING.try_with(|asking| asking.client.is_known()).unwrap_or(true)
}

/// Notes whether all that came of the connection just now was signed by those who may.
pub(crate) fn is_now_known(known: bool) {
    // Who asks within the node is known anyway.
    let _ = ASKING.try_with(|asking| asking.client.is_known.store(known, Ordering::Relaxed));
}

/// Between two pieces of work: a stranger's threads may rest, and others' messages go first.
pub(crate) async fn pause() {
    if !is_known() {
        tokio::task::yield_now().await;
    }
}

/// The sessions of the connection that this task works for.
///
/// # Errors
/// If it has none, because it is no WebSocket.
pub(crate) fn sessions() -> Result<Arc<Sessions>, ApiError> {
    let sessions = ASKING.try_with(|asking| asking.client.sessions.clone()).ok().flatten();
    sessions.ok_or_else(|| {
        let message = "a session belongs to a WebSocket connection, and this is none; connect by WebSocket, or sign";
        ApiError::new(Code::NoSession, message, json!({}))
    })
}

/// What is left to whoever asks: all that its account has, if it names one.
pub(crate) fn left(account: Option<AccountId>) -> Budget {
    ASKING
        .try_with(|asking| Budget {
            address: asking.client.budgets.left(asking.client.address),
            account: account.map(|account| asking.client.budgets.left_of_account(account)),
        })
        .unwrap_or_default()
}
