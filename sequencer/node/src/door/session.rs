//! Sessions: a connection that was logged in for an account with one signature cancels for it without further ones, and may
//! have everything cancelled when it ends. Every command that it gives carries the login, so that the log alone shows who
//! allowed it (`docs/decisions/`, 32).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use xos_api::{ApiError, Code};
use xos_types::{AccountId, Act, Command, Hash, MarketId, Session, Sides, Signed, VenueId};

use crate::ingress::Refused;
use crate::refusal::RETRY_MS;
use crate::rpc::Rpc;

/// Accounts that one connection may be logged in for.
const ACCOUNTS_MAX: usize = 256;
/// Every order of an account.
pub(crate) const EVERYTHING: Act = Act::CancelMany { venue: VenueId(0), market: MarketId(0), sides: Sides::Both };

/// What one connection has logged in for.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// What a login on this connection signs: nobody can repeat it on another one.
    pub(crate) challenge: Hash,
    logins: Mutex<BTreeMap<AccountId, Login>>,
}

/// What the connection does for an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login {
    pub(crate) signed: Signed<Session>,
    /// Everything of the account is cancelled when the connection ends.
    pub(crate) cancels_at_end: bool,
}

impl Sessions {
    /// # Errors
    /// If the machine has no randomness to give.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut challenge = Hash::default();
        getrandom::fill(&mut challenge)?;
        Ok(Self { challenge, logins: Mutex::default() })
    }

    /// Logs in, in place of what was logged in for that account before.
    ///
    /// # Errors
    /// If the connection is logged in for too many.
    pub(crate) fn open(&self, login: Login) -> Result<(), ApiError> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let account = login.signed.message.account;
        if logins.len() >= ACCOUNTS_MAX && !logins.contains_key(&account) {
            let message =
                format!("this connection is logged in for {ACCOUNTS_MAX} accounts, the most; log out of some");
            return Err(ApiError::new(
                Code::LimitReached,
                message,
                json!({ "what": "sessions", "limit": ACCOUNTS_MAX.to_string() }),
            ));
        }
        logins.insert(account, login);
        Ok(())
    }

    /// Ends what was logged in for an account, and cancels nothing; whether there was something.
    pub(crate) fn close(&self, account: AccountId) -> bool {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).remove(&account).is_some()
    }

    /// The command that does something for an account in the session's name.
    ///
    /// # Errors
    /// If the connection is not logged in for it.
    pub(crate) fn command(&self, account: AccountId, act: Act) -> Result<Command, ApiError> {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        match logins.get(&account) {
            Some(login) => Ok(Command::InSession { login: login.signed, act }),
            None => {
                let message = format!(
                    "this is not signed, and the connection is not logged in for account {account}; sign it, or log in with \
                     xos_login"
                );
                Err(ApiError::new(Code::NoSession, message, json!({ "account": account.to_string() })))
            }
        }
    }

    /// The connection is gone: does what was asked for that case, as soon as the sequencer takes it.
    pub(crate) async fn end(&self, rpc: &Rpc) {
        let logins = std::mem::take(&mut *self.logins.lock().unwrap_or_else(PoisonError::into_inner));
        let asked = logins.into_values().filter(|login| login.cancels_at_end);
        let commands: Vec<Command> =
            asked.map(|login| Command::InSession { login: login.signed, act: EVERYTHING }).collect();
        if commands.is_empty() {
            return;
        }
        loop {
            match rpc.submit(commands.clone()).await {
                Ok(outcomes) => {
                    for (command, outcome) in commands.iter().zip(outcomes) {
                        let account = command.signer().map_or(0, |(account, _)| account.0);
                        match rpc.judge(command, outcome) {
                            Ok(done) => {
                                let (sequence, lots) = (done.sequence, done.effect.remaining.0);
                                tracing::info!(account, sequence, lots, "a connection ended and its orders with it");
                            }
                            Err(error) => {
                                tracing::warn!(account, reason = %error.message, "a connection's orders stay")
                            }
                        }
                    }
                    return;
                }
                Err(Refused::Overloaded { .. }) => tokio::time::sleep(Duration::from_millis(RETRY_MS.into())).await,
                Err(refused) => {
                    tracing::warn!(reason = %refused, "the orders of a connection that ended stay");
                    return;
                }
            }
        }
    }
}
