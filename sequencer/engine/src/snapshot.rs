//! The state in a file, and back: a start that need not replay the log from its first command.
//!
//! | snapshot | bytes |
//! |---|---|
//! | magic `XOSSNAP\0` | 8 |
//! | format version, 1, little-endian | 4 |
//! | the state's records, as [`crate::digest`] walks them; the second names the group, the sequence and the log's hash | … |
//! | the state's hash: blake3 of the records | 32 |
//!
//! The hash that guards the file is the hash that nodes and audits compare, so a snapshot that was damaged or is another state
//! is refused. Version and [`STATE`] change with what the records are; there is no reading of older ones, because the log
//! is the truth and leads to the state by itself.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::Deserialize;
use xos_types::{
    AccountId, Address, BuilderId, EventConfig, EventId, GroupConfig, GroupTerms, Hash, MarketId, Nonce, Phase, Side,
    SignerGrant, TimeMs, VenueConfig, VenueId,
};

use crate::account::{Account, Standing};
use crate::digest::STATE;
use crate::engine::{Engine, Listing, account_index, event_index};
use crate::frame::{LineRef, OpenFrame};
use crate::log::Log;
use crate::margin::EventMargin;
use crate::nonces::Nonces;
use crate::orders::{Rested, ToRest};

const MAGIC: [u8; 8] = *b"XOSSNAP\0";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = MAGIC.len() + size_of::<u32>();
const HASH_BYTES: usize = size_of::<Hash>();

/// Why a snapshot does not become a state.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("cannot read the snapshot: {0}")]
    Io(#[from] io::Error),
    /// It is something else, or of another version.
    #[error("this is not a snapshot of format version {VERSION}: {0}; replay the log from its first command instead")]
    NotASnapshot(String),
    /// What was read is not what was written.
    #[error("the snapshot is damaged: {0}; use another one, or replay the log from its first command")]
    Damaged(String),
}

impl Engine {
    /// Writes the state as it is after the last command, and returns its hash; `O(state)`.
    ///
    /// # Errors
    /// If the writer refuses.
    pub fn snapshot(&self, mut writer: impl Write) -> io::Result<Hash> {
        writer.write_all(&MAGIC)?;
        writer.write_all(&VERSION.to_le_bytes())?;
        let hash = self.write_state(&mut writer)?;
        writer.write_all(&hash)?;
        writer.flush()?;
        Ok(hash)
    }

    /// The state that a snapshot holds: it continues with the command after [`Engine::sequence`], and every later hash and
    /// event is what it would have been without the detour. `O(state)`, and the whole snapshot is in memory meanwhile.
    ///
    /// # Errors
    /// If the reader refuses, or what it gives is no intact snapshot of this version.
    pub fn restore(mut reader: impl Read) -> Result<Self, SnapshotError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let (head, rest) = bytes
            .split_first_chunk::<HEAD_BYTES>()
            .ok_or_else(|| SnapshotError::NotASnapshot("it ends within its head".to_owned()))?;
        if head[..MAGIC.len()] != MAGIC {
            return Err(SnapshotError::NotASnapshot("it does not begin with the magic number".to_owned()));
        }
        if head[MAGIC.len()..] != VERSION.to_le_bytes() {
            return Err(SnapshotError::NotASnapshot("its version is another".to_owned()));
        }
        let (records, hash) = rest
            .split_last_chunk::<HASH_BYTES>()
            .ok_or_else(|| SnapshotError::Damaged("it ends before its hash".to_owned()))?;
        if blake3::hash(records).as_bytes() != hash {
            return Err(SnapshotError::Damaged("its hash does not match".to_owned()));
        }
        let mut records = Records(records);
        if records.next::<String>()? != STATE {
            return Err(SnapshotError::NotASnapshot(format!("its records are not those of {STATE}")));
        }
        let engine = records.engine()?;
        if records.0.is_empty() { Ok(engine) } else { Err(SnapshotError::Damaged("bytes follow its state".to_owned())) }
    }
}

/// Records that are still to be read.
struct Records<'a>(&'a [u8]);

/// The sums of an account's margin as they were written: worst payoff, worst with orders, reserve for fees.
type Sums = (i128, i128, i128);

impl<'a> Records<'a> {
    fn next<T: Deserialize<'a>>(&mut self) -> Result<T, SnapshotError> {
        let (record, rest) = postcard::take_from_bytes(self.0)
            .map_err(|error| SnapshotError::Damaged(format!("a record cannot be decoded ({error})")))?;
        self.0 = rest;
        Ok(record)
    }

    fn engine(&mut self) -> Result<Engine, SnapshotError> {
        let (config, log, next_inbox, custody) = self.next::<(GroupConfig, Log, u64, i128)>()?;
        let mut engine = Engine::new(config);
        (engine.log, engine.next_inbox, engine.custody) = (log, next_inbox, custody);
        (engine.venues, engine.builders, engine.group_terms) =
            self.next::<(BTreeMap<VenueId, VenueConfig>, BTreeMap<BuilderId, AccountId>, Option<GroupTerms>)>()?;
        engine.frame = self.next::<OpenFrame>()?;

        let accounts = self.next::<usize>()?;
        let (mut held, mut sums) = (Vec::new(), Vec::new());
        engine.accounts = Vec::with_capacity(accounts);
        engine.owners.clear();
        for number in 1..=accounts as u64 {
            let (account, account_sums) = self.account(AccountId(number), &mut held)?;
            engine.owners.entry(account.owner).or_default().push(AccountId(number));
            engine.rights.remember(AccountId(number), &account, engine.frame.time);
            engine.accounts.push(account);
            sums.push(account_sums);
        }

        let lines = engine.frame.line_refs();
        for number in 1..=self.next::<u32>()? {
            self.listing(EventId(number), &mut engine, &lines)?;
        }
        let (redemptions, switches) = self.next()?;
        engine.redemptions = redemptions;
        for (account, time) in BTreeMap::<AccountId, TimeMs>::into_iter(switches) {
            engine.switches.set(account, time);
        }
        hold(&mut engine, held);
        rederive(&mut engine, &sums)?;
        Ok(engine)
    }

    /// An account without its orders; its positions go to `held`.
    fn account(
        &mut self,
        id: AccountId,
        held: &mut Vec<(AccountId, EventId, Vec<i64>)>,
    ) -> Result<(Account, Sums), SnapshotError> {
        let (owner, cash, nonces) = self.next::<(Address, i128, Nonces)>()?;
        let mut account = Account::new(owner);
        (account.cash, account.nonces) = (cash, nonces);
        (account.referrer, account.signers, account.memberships) =
            self.next::<(BuilderId, BTreeMap<Address, SignerGrant>, BTreeMap<VenueId, TimeMs>)>()?;
        for _ in 0..self.next::<usize>()? {
            held.push((id, self.next()?, self.next()?));
        }
        Ok((account, self.next()?))
    }

    /// An event with the orders of its books, in the order in which they would fill.
    fn listing(
        &mut self,
        event: EventId,
        engine: &mut Engine,
        lines: &BTreeMap<(MarketId, AccountId, Nonce), LineRef>,
    ) -> Result<(), SnapshotError> {
        let (config, payouts, phase, fees, volume) =
            self.next::<(EventConfig, Option<Vec<u64>>, Phase, i128, u128)>()?;
        let mut listing = Listing { payouts, phase, fees, volume, ..Listing::new(event, config) };
        if self.next::<usize>()? != listing.books.len() {
            return Err(SnapshotError::Damaged(format!("event {event} has not a book for each outcome")));
        }
        for book in &mut listing.books {
            for side in [Side::Buy, Side::Sell] {
                for _ in 0..self.next::<usize>()? {
                    let rested: Rested = self.next()?;
                    let order = &rested.signed.message;
                    let (account, nonce, market, expiry) = (order.account, order.nonce, order.market, order.expiry);
                    let known = engine.find_account(account).is_some();
                    if !known || order.side != side || market.event() != event {
                        return Err(SnapshotError::Damaged(format!(
                            "an order of event {event} is not where it belongs"
                        )));
                    }
                    let line = match lines.get(&(market, account, nonce)) {
                        Some(line) => *line,
                        None if rested.has_filled() => LineRef::EARLIER,
                        None => LineRef::default(),
                    };
                    let Rested { signed, price, remaining, less, credit } = rested;
                    let state = &mut engine.accounts[account_index(account)];
                    engine.orders.insert(
                        book,
                        state,
                        &ToRest { signed: &signed, price, remaining, less, credit, line },
                    );
                    if expiry != TimeMs(0) {
                        engine.expiries.insert((expiry, account, nonce));
                    }
                    let terms = &listing.terms;
                    state.fee_reserve += credit.outstanding(terms.fee_base(price, remaining), terms.maker_fee.fee());
                    let margin = state.margins.get_or_insert_with(event, || EventMargin::new(terms));
                    let Standing { side, price, lots, .. } = Standing { market, side, price, lots: remaining };
                    margin.reserve(terms, market.outcome(), side, price, lots);
                }
            }
        }
        engine.listings.push(listing);
        Ok(())
    }
}

/// Gives accounts their positions, and events what is open of them.
fn hold(engine: &mut Engine, held: Vec<(AccountId, EventId, Vec<i64>)>) {
    for (account, event, positions) in held {
        let listing = &mut engine.listings[event_index(event)];
        let margins = &mut engine.accounts[account_index(account)].margins;
        let margin = margins.get_or_insert_with(event, || EventMargin::new(&listing.terms));
        for ((entry, open), position) in margin.outcomes.iter_mut().zip(&mut listing.open_interest).zip(positions) {
            entry.position = position;
            *open += position.max(0).unsigned_abs();
        }
    }
}

/// Derives the margins anew, and holds them to the sums that were written.
fn rederive(engine: &mut Engine, sums: &[Sums]) -> Result<(), SnapshotError> {
    for (index, (account, sums)) in engine.accounts.iter_mut().zip(sums).enumerate() {
        for (event, margin) in account.margins.iter_mut() {
            margin.rederive(&engine.listings[event_index(*event)].terms);
            account.worst_payoff += margin.worst_payoff;
            account.worst_with_orders += margin.worst_with_orders;
        }
        if (account.worst_payoff, account.worst_with_orders, account.fee_reserve) != *sums {
            return Err(SnapshotError::Damaged(format!("the margin of account {} does not add up", index + 1)));
        }
    }
    Ok(())
}
