//! What a connection does for an account that logged it in: cancellations without a signature of their own. Each comes with
//! the login, and is judged by what the login's signer may do now: a key that was revoked has no sessions.

use xos_types::{Act, CancelAfter, CancelMany, Event, Reject, Session, Signed, SignerGrant, VenueId};

use crate::engine::Engine;

impl Engine {
    /// Refuses a login that allows nothing now.
    ///
    /// # Errors
    /// If it has expired, or its signer may not trade for the account at all.
    pub fn check_login(&self, login: &Signed<Session>) -> Result<(), Reject> {
        self.check_lasts(login)?;
        let account = login.message.account;
        let state = self.find_account(account).ok_or(Reject::UnknownAccount { account })?;
        let trades = |grant: &SignerGrant| grant.trade && grant.expiry >= self.frame.time;
        let granted = self.accounts.parent(account).granted();
        if login.signer == state.owner || granted.signers.get(&login.signer).is_some_and(trades) {
            return Ok(());
        }
        Err(state.not_authorized(account, login.signer))
    }

    /// Refuses a login whose signer may not cancel everything.
    ///
    /// # Errors
    /// As [`Self::check_login`], and if the signer is a key for some venues only.
    pub fn check_cancels_everything(&self, login: &Signed<Session>) -> Result<(), Reject> {
        self.check_lasts(login)?;
        self.check_canceller(login.message.account, login.signer, VenueId(0))
    }

    pub(crate) fn act(&mut self, login: &Signed<Session>, act: Act, events: &mut Vec<Event>) {
        let (account, signer) = (login.message.account, login.signer);
        let mut refuse = |reject| events.push(Event::Rejected { account, nonce: act.nonce(), reject });
        if let Err(reject) = self.check_lasts(login) {
            return refuse(reject);
        }
        match act {
            Act::Cancel { nonce } => self.cancel_one(account, nonce, signer, events),
            Act::CancelAll { below } => self.cancel_all(account, below, signer, events),
            Act::CancelMany { venue, market, sides } => {
                let scope = self.find_market(market).map_or(venue, |listing| listing.terms.venue);
                match self.check_canceller(account, signer, scope) {
                    Ok(()) => {
                        self.cancel_chosen(&CancelMany { account, venue, market, sides, nonce: act.nonce() }, events)
                    }
                    Err(reject) => refuse(reject),
                }
            }
            Act::CancelAfter { time } => match self.check_canceller(account, signer, VenueId(0)) {
                Ok(()) => self.turn_switch(&CancelAfter { account, time, nonce: act.nonce() }, events),
                Err(reject) => refuse(reject),
            },
        }
    }

    /// A session always ends, so that 0 is no end for ever but one that is past.
    fn check_lasts(&self, login: &Signed<Session>) -> Result<(), Reject> {
        let (expiry, time) = (login.message.expiry, self.frame.time);
        if expiry < time { Err(Reject::Expired { expiry, time }) } else { Ok(()) }
    }
}
