//! The state, record by record: what its hash covers and what a snapshot holds.
//!
//! The walk goes through everything that can influence a later event. Every record is postcard, every list is preceded by its
//! length, and lists are in the order of their keys (orders: the order in which they would fill). Where an order lies in
//! memory and what follows from other state are left out, so the hash does not depend on how the state came to be in memory.
//! [`crate::snapshot`] reads the same records in the same order.

use std::io::{self, Write};

use serde::Serialize;
use xos_types::{Hash, Side};

use crate::account::Account;
use crate::engine::{Engine, Listing};

/// Names the records and their order.
pub(crate) const STATE: &str = "exchange-os/state/13";
/// Bytes that are gathered before they are hashed and written.
const GATHERED: usize = 1 << 16;

/// Records on their way to the hash and to a writer.
struct Digest<W> {
    gathered: Vec<u8>,
    hasher: blake3::Hasher,
    writer: W,
}

impl<W: Write> Digest<W> {
    fn new(writer: W) -> Self {
        Self { gathered: Vec::with_capacity(2 * GATHERED), hasher: blake3::Hasher::new(), writer }
    }

    fn record<T: Serialize + ?Sized>(&mut self, record: &T) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered = postcard::to_extend(record, gathered).expect("plain data always encodes");
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.gathered);
        self.writer.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Hash> {
        self.flush()?;
        Ok(*self.hasher.finalize().as_bytes())
    }
}

impl Engine {
    /// Hash of the whole state; `O(state)`. Equal logs give equal hashes.
    #[must_use]
    pub fn state_hash(&self) -> Hash {
        self.write_state(io::sink()).expect("a sink takes everything")
    }

    /// Writes every record of the state and returns their hash.
    pub(crate) fn write_state(&self, writer: impl Write) -> io::Result<Hash> {
        let mut digest = Digest::new(writer);
        digest.record(STATE)?;
        digest.record(&(self.config, &self.log, self.next_inbox, self.pool))?;
        digest.record(&(&self.venues, &self.tiers))?;
        digest.record(&(&self.builders, self.group_terms))?;
        digest.record(&(&self.board, &self.watched, &self.lingering, &self.rescues))?;
        digest.record(&self.frame)?;
        digest.record(&(self.accounts.len() - self.accounts.isolated_len()))?;
        digest.record(&self.accounts.ids().filter(|id| id.is_isolated()).collect::<Vec<_>>())?;
        for account in self.accounts.iter() {
            digest_account(&mut digest, account)?;
        }
        digest.record(self.accounts.promises())?;
        digest.record(&self.orders.trees.iter().collect::<Vec<_>>())?;
        digest.record(&self.listings.len())?;
        for listing in &self.listings {
            self.digest_listing(&mut digest, listing)?;
        }
        digest.record(&(&self.redemptions, self.switches.by_account()))?;
        digest.record(&(self.plans.counters(), self.plans.pairs()))?;
        digest.record(&self.plans.len())?;
        for waiting in self.plans.iter() {
            digest.record(waiting)?;
        }
        digest.record(&self.plans.reached())?;
        digest.finish()
    }

    fn digest_listing(&self, digest: &mut Digest<impl Write>, listing: &Listing) -> io::Result<()> {
        digest.record(&(&listing.config, &listing.payouts, listing.phase, listing.fees, listing.volume))?;
        digest.record(&(listing.hours, &listing.last_trades))?;
        digest.record(&listing.books.len())?;
        for book in &listing.books {
            for side in [Side::Buy, Side::Sell] {
                digest.record(&book.queue(&self.orders.resting, side).count())?;
                for handle in book.queue(&self.orders.resting, side) {
                    digest.record(&self.orders.rested(handle, &self.accounts))?;
                }
            }
        }
        Ok(())
    }
}

fn digest_account(digest: &mut Digest<impl Write>, account: &Account) -> io::Result<()> {
    digest.record(&(account.owner, account.cash, &account.nonces))?;
    digest.record(&(account.referrer, &account.granted().signers, &account.granted().memberships))?;
    let held = account.margins.iter().filter(|(_, outcome)| outcome.position != 0);
    digest.record(&held.map(|(market, outcome)| (market, outcome.position)).collect::<Vec<_>>())?;
    digest.record(&account.principal)?;
    digest.record(&account.holdings.iter().count())?;
    for holding in account.holdings.iter() {
        digest.record(&(holding.feed, holding.held))?;
    }
    digest.record(&account.last_did())?;
    // Resting orders and their reserves are in the books.
    digest.record(&(account.worst_payoff, account.pledged))
}
