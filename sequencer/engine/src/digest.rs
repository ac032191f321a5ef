//! The state's hash: blake3 over a canonical walk of everything that can influence a later event.
//!
//! Every record is postcard, every list is preceded by its length, and lists are in the order of their keys (orders: the
//! order in which they would fill). Where an order lies in memory and indexes that follow from other state
//! are left out, so the hash does not depend on how the state came to be in memory.

use serde::Serialize;
use xos_types::{Hash, Side};

use crate::account::Account;
use crate::engine::{Engine, Listing};

/// A hash that is fed records.
struct Digest(blake3::Hasher);

impl Digest {
    fn record<T: Serialize + ?Sized>(&mut self, record: &T) {
        postcard::to_io(record, &mut self.0).expect("plain data always encodes, and hashing cannot fail");
    }
}

impl Engine {
    /// Hash of the whole state; `O(state)`. Equal logs give equal hashes.
    #[must_use]
    pub fn state_hash(&self) -> Hash {
        let mut digest = Digest(blake3::Hasher::new());
        digest.record("exchange-os/state/3");
        digest.record(&(self.config, self.sequence(), self.log_hash(), self.next_inbox, self.custody));
        digest.record(&(&self.venues, &self.builders, self.group_terms));
        digest.record(&self.frame);
        digest.record(&self.accounts.len());
        for account in &self.accounts {
            digest_account(&mut digest, account);
        }
        digest.record(&self.listings.len());
        for listing in &self.listings {
            self.digest_listing(&mut digest, listing);
        }
        digest.record(&(&self.redemptions, self.switches.by_account()));
        *digest.0.finalize().as_bytes()
    }

    fn digest_listing(&self, digest: &mut Digest, listing: &Listing) {
        digest.record(&(&listing.config, &listing.payouts, listing.phase, listing.fees, listing.volume));
        digest.record(&listing.books.len());
        for book in &listing.books {
            for side in [Side::Buy, Side::Sell] {
                digest.record(&book.queue(&self.orders.resting, side).count());
                for handle in book.queue(&self.orders.resting, side) {
                    let signed = self.orders.signed(handle, &self.accounts);
                    let (remaining, credit) = (self.orders.remaining(handle), self.orders.credit(handle));
                    digest.record(&(signed, remaining, credit, self.orders.altered(handle)));
                }
            }
        }
    }
}

fn digest_account(digest: &mut Digest, account: &Account) {
    digest.record(&(account.owner, account.cash, &account.nonces));
    digest.record(&(account.referrer, &account.signers, &account.memberships));
    let held = || account.margins.iter().filter(|(_, margin)| margin.holds_position());
    digest.record(&held().count());
    for (event, margin) in held() {
        digest.record(event);
        digest.record(&margin.outcomes.iter().map(|outcome| outcome.position).collect::<Vec<_>>());
    }
    // Resting orders and their reserves are in the books.
    digest.record(&(account.worst_payoff, account.worst_with_orders, account.fee_reserve));
}
