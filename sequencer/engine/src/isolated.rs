//! Accounts for one market alone, so that a loss there takes what was put in and no more (DESIGN.md, section 5;
//! `Withdrawals.sol`).
//!
//! The number of such an account says whose it is and for which market, so the first transfer to it opens it. It has the owner,
//! keys and memberships of its parent and everything else for itself: money, positions, orders, nonces, a referrer. Its owner
//! may trade elsewhere with it, too; markets for isolated accounts only admit their own.
//!
//! A batch makes transfers when its fills and withdrawals are done. What opens in a frame may therefore neither trade nor
//! withdraw in it; it may from the next frame on.

use xos_types::{AccountId, BuilderId, Event, Nonce, Reject};

use crate::accounts::Promise;
use crate::engine::Engine;
use crate::gas;

impl Engine {
    /// Whether a transfer from an account may open that one.
    ///
    /// The contract would open one for a market that nobody has listed as well. Nothing could be done with it, and somebody
    /// mistook a number.
    pub(crate) fn check_opening(&self, from: AccountId, to: AccountId) -> Result<(), Reject> {
        if !to.is_isolated() {
            return Err(Reject::UnknownAccount { account: to });
        }
        let parent = to.parent();
        let owner = self.find_account(parent).ok_or(Reject::UnknownAccount { account: parent })?.owner;
        if owner != self.accounts[from].owner {
            return Err(Reject::NotSameOwner { account: from, to });
        }
        let market = to.isolated_market();
        self.find_market(market).map(|_| ()).ok_or(Reject::UnknownMarket { market })
    }

    /// Opens an isolated account that may be opened and is not there yet, as its owner asked for it to be.
    pub(crate) fn open_isolated(&mut self, id: AccountId, events: &mut Vec<Event>) {
        let owner = self.accounts.parent(id).owner;
        self.open_account(id, owner, events);
        self.frame.open_account(id);
        self.frame.charge(gas::OPENING);
        let Promise { floor, referrer } = self.accounts.keep_promise(id);
        if floor > Nonce(0) {
            self.raise_floor(id, floor, events);
        }
        if referrer != BuilderId(0) {
            self.refer(id, referrer, events);
        }
    }

    /// Refuses to let an account trade or withdraw in the frame in which it was opened.
    #[inline]
    pub(crate) fn check_settled(&self, account: AccountId) -> Result<(), Reject> {
        if account.is_isolated() && self.frame.has_opened(account) {
            return Err(Reject::OpensWithNextFrame { account });
        }
        Ok(())
    }

    /// From now on a part of the account's fees is paid to whoever referred it.
    pub(crate) fn refer(&mut self, account: AccountId, referrer: BuilderId, events: &mut Vec<Event>) {
        self.accounts[account].referrer = referrer;
        events.push(Event::ReferrerSet { account, referrer });
    }
}
