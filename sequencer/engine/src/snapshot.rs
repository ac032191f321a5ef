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
use xos_book::Book;
use xos_types::{
    AccountId, Address, BuilderId, EventId, FeedId, GroupConfig, GroupTerms, Hash, Hours, MarketId, MarketKind, Nonce,
    Order, Phase, Side, Signed, SignerGrant, Ticks, TimeMs, VenueConfig, VenueId,
};

use crate::account::{Account, Granted};
use crate::accounts::Accounts;
use crate::auction::is_crossed;
use crate::digest::STATE;
use crate::engine::{Engine, Listing, ListingConfig, event_index};
use crate::feeds::Board;
use crate::fees::builder_reserve;
use crate::frame::{LineRef, OpenFrame};
use crate::holdings::Held;
use crate::log::Log;
use crate::losses::Pool;
use crate::nonces::Nonces;
use crate::orders::{Rested, ToRest};
use crate::plans::{Name, Pair, Plans, Waiting};
use crate::rescue::Rescues;
use crate::terms::Terms;
use crate::tiers::Tiers;
use crate::trees::Trees;
use crate::watch::Before;

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

/// The sums of an account's margin as they were written: worst payoff, and [`Account::pledged`].
type Sums = (i128, i128);

impl<'a> Records<'a> {
    fn next<T: Deserialize<'a>>(&mut self) -> Result<T, SnapshotError> {
        let (record, rest) = postcard::take_from_bytes(self.0)
            .map_err(|error| SnapshotError::Damaged(format!("a record cannot be decoded ({error})")))?;
        self.0 = rest;
        Ok(record)
    }

    fn engine(&mut self) -> Result<Engine, SnapshotError> {
        let (config, log, next_inbox, pool) = self.next::<(GroupConfig, Log, u64, Pool)>()?;
        let mut engine = Engine::new(config);
        (engine.log, engine.next_inbox, engine.pool) = (log, next_inbox, pool);
        (engine.venues, engine.tiers) = self.next::<(BTreeMap<VenueId, VenueConfig>, BTreeMap<VenueId, Tiers>)>()?;
        (engine.builders, engine.group_terms) = self.next::<(BTreeMap<BuilderId, AccountId>, GroupTerms)>()?;
        (engine.board, engine.watched, engine.lingering, engine.rescues) =
            self.next::<(Board, BTreeMap<AccountId, Before>, Vec<(AccountId, FeedId)>, Rescues)>()?;
        engine.frame = self.next::<OpenFrame>()?;

        let (numbered, isolated) = (self.next::<usize>()?, self.next::<Vec<AccountId>>()?);
        // An account is longer than a byte, so more than that were not written.
        if numbered > self.0.len() {
            return Err(SnapshotError::Damaged(format!("it ends before the last of {numbered} accounts")));
        }
        let (mut positions, mut sums) = (Positions::default(), Vec::with_capacity(numbered));
        engine.accounts = Accounts::with_room(numbered);
        for id in (1..=numbered as u64).map(AccountId).chain(isolated) {
            let (mut account, account_sums) = self.account(id, &mut engine.board, &mut positions)?;
            let belongs = match id.is_isolated() {
                true => engine.find_account(id.parent()).is_some(),
                false => (1..=numbered as u64).contains(&id.0),
            };
            if engine.find_account(id).is_some() || !belongs {
                return Err(SnapshotError::Damaged(format!("account {id} is there twice, or without its parent")));
            }
            account.watched = engine.watched.contains_key(&id);
            engine.rights.remember(id, &account, engine.frame.time);
            engine.accounts.open(id, account);
            sums.push(account_sums);
        }
        engine.owners = engine.accounts.entries().map(|(id, account)| (account.owner, id)).collect();
        engine.accounts.restore_promises(self.next()?);
        engine.orders.trees = Trees::restore(self.next()?);

        let lines = engine.frame.line_refs();
        for number in 1..=self.next::<u32>()? {
            self.listing(EventId(number), &mut engine, &lines)?;
        }
        let (redemptions, switches) = self.next()?;
        engine.redemptions = redemptions;
        for (account, time) in BTreeMap::<AccountId, TimeMs>::into_iter(switches) {
            engine.switches.set(account, time);
        }
        self.plans(&mut engine)?;
        if engine.orders.trees.uses().values().any(|uses| *uses == 0) {
            return Err(SnapshotError::Damaged("a tree is there of which no order is".to_owned()));
        }
        positions.hold(&mut engine)?;
        check_sums(&engine, &sums)?;
        Ok(engine)
    }

    /// What waits, and the orders that exclude each other.
    fn plans(&mut self, engine: &mut Engine) -> Result<(), SnapshotError> {
        let (counters, pairs) = self.next::<((u64, u64), BTreeMap<Name, Pair>)>()?;
        let known = |engine: &Engine, account: AccountId| {
            let unknown = || SnapshotError::Damaged(format!("orders of account {account} wait, and it is not there"));
            if engine.find_account(account).is_some() { Ok(()) } else { Err(unknown()) }
        };
        for (account, _) in pairs.keys() {
            known(engine, *account)?;
            engine.accounts[*account].links += 1;
        }
        engine.plans = Plans::restore(counters, pairs);
        for _ in 0..self.next::<usize>()? {
            let waiting = self.next::<Waiting>()?;
            let (account, nonce) = waiting.name();
            known(engine, account)?;
            let rests = engine.accounts[account].orders.find(&engine.orders.resting, nonce).is_some();
            if rests || engine.plans.get(waiting.name()).is_some() || !waiting.is_possible() {
                return Err(SnapshotError::Damaged(format!(
                    "order {nonce} of account {account} cannot wait like that"
                )));
            }
            let state = &mut engine.accounts[account];
            state.waiting += 1;
            state.links += u32::from(waiting.plan.after.is_some());
            let expiry = waiting.signed.message.expiry;
            if expiry != TimeMs(0) {
                engine.expiries.insert((expiry, account, nonce));
            }
            check_tree(&engine.orders.trees, &waiting.signed)?;
            engine.orders.trees.hold(&waiting.signed.signature);
            engine.plans.insert(waiting);
        }
        if !engine.plans.restore_reached(self.next()?) {
            return Err(SnapshotError::Damaged("an order is to be triggered that waits for no price".to_owned()));
        }
        engine.reducing = engine.find_reducing();
        for (account, count) in engine.reducing.counts() {
            engine.accounts[account].reducing = count;
        }
        Ok(())
    }

    /// An account without its orders and its outcomes; what listings must know of its positions goes to `held`.
    fn account(
        &mut self,
        id: AccountId,
        board: &mut Board,
        held: &mut Positions,
    ) -> Result<(Account, Sums), SnapshotError> {
        let (owner, cash, nonces) = self.next::<(Address, i128, Nonces)>()?;
        let mut account = Account::new(owner);
        (account.cash, account.nonces) = (cash, nonces);
        let (referrer, signers, memberships) =
            self.next::<(BuilderId, BTreeMap<Address, SignerGrant>, BTreeMap<VenueId, TimeMs>)>()?;
        account.referrer = referrer;
        if !signers.is_empty() || !memberships.is_empty() {
            *account.granted_mut() = Granted { signers, memberships };
        }
        let positions = self.next::<Vec<(MarketId, i64)>>()?;
        held.outcomes.extend(positions.into_iter().map(|(market, position)| (id, market, position)));
        account.principal = self.next()?;
        for _ in 0..self.next::<usize>()? {
            let (feed, holding) = self.next::<(FeedId, Held)>()?;
            if board.find(feed).is_none_or(|found| found.is_perpetual() != matches!(holding, Held::Perpetual(_))) {
                return Err(SnapshotError::Damaged(format!("account {id} holds what feed {} is not", feed.0)));
            }
            if let Held::Perpetual(position) = &holding {
                add(held.long.entry(feed).or_default(), position.size)?;
            }
            let record = &mut board[feed];
            record.holders.insert(id);
            account.holdings.restore(feed, record, holding);
        }
        account.restore_did(self.next()?);
        Ok((account, self.next()?))
    }

    /// A listing with the orders of its books, in the order in which they would fill.
    fn listing(
        &mut self,
        event: EventId,
        engine: &mut Engine,
        lines: &BTreeMap<(MarketId, AccountId, Nonce), LineRef>,
    ) -> Result<(), SnapshotError> {
        let (config, payouts, phase, fees, volume) =
            self.next::<(ListingConfig, Option<Vec<u64>>, Phase, i128, u128)>()?;
        let (hours, last_trades) = self.next::<(Hours, Vec<Ticks>)>()?;
        let terms = terms_of(&engine.board, event, &config)?;
        let mut listing = Listing { payouts, phase, fees, volume, last_trades, ..Listing::new(event, terms, config) };
        if listing.last_trades.len() != listing.books.len() {
            return Err(SnapshotError::Damaged(format!("event {event} has not a last trade for each outcome")));
        }
        if self.next::<usize>()? != listing.books.len() {
            return Err(SnapshotError::Damaged(format!("event {event} has not a book for each outcome")));
        }
        for book in &mut listing.books {
            for side in [Side::Buy, Side::Sell] {
                for _ in 0..self.next::<usize>()? {
                    let rested: Rested = self.next()?;
                    let order = &rested.signed.message;
                    let (account, nonce, market, expiry) = (order.account, order.nonce, order.market, order.expiry);
                    let is_new = |account: &Account| account.orders.find(&engine.orders.resting, nonce).is_none();
                    if !engine.find_account(account).is_some_and(is_new)
                        || order.side != side
                        || market != book.market()
                        || !rested.is_possible(&listing.terms)
                    {
                        return Err(SnapshotError::Damaged(format!(
                            "an order of event {event} is not where it belongs"
                        )));
                    }
                    check_tree(&engine.orders.trees, &rested.signed)?;
                    let line = match lines.get(&(market, account, nonce)) {
                        Some(line) => *line,
                        None if rested.has_filled() => LineRef::EARLIER,
                        None => LineRef::default(),
                    };
                    let Rested { signed, price, remaining, less, display, shown, credit } = rested;
                    let state = &mut engine.accounts[account];
                    engine.orders.insert(
                        book,
                        state,
                        &ToRest { signed: &signed, price, remaining, less, display, shown, credit, line },
                    );
                    if expiry != TimeMs(0) {
                        engine.expiries.insert((expiry, account, nonce));
                    }
                    let terms = &listing.terms;
                    state.pledged -= credit.outstanding(terms.fee_base(price, remaining), terms.maker_fee.fee());
                    let builder = builder_reserve(terms, price, signed.message.builder_fee);
                    state.pledged -= builder * i128::from(remaining.0);
                    if terms.kind != MarketKind::Outcome {
                        // Its holding was written with its orders.
                        continue;
                    }
                    state.change(terms, market, |outcome| outcome.reserve(terms, side, price, remaining));
                }
            }
        }
        listing.hours = hours;
        listing.closed = !hours.contains(engine.frame.time);
        if hours != Hours::default() {
            engine.timed.insert(event);
        }
        engine.crossed.extend(listing.books.iter().filter(|book| is_crossed(book)).map(Book::market));
        engine.listings.push(listing);
        Ok(())
    }
}

fn check_tree(trees: &Trees, signed: &Signed<Order>) -> Result<(), SnapshotError> {
    if trees.has(&signed.signature) {
        return Ok(());
    }
    let Order { account, nonce, .. } = signed.message;
    Err(SnapshotError::Damaged(format!("order {nonce} of account {account} is of a tree that is not there")))
}

/// A listing's terms, from what was asked for.
fn terms_of(board: &Board, number: EventId, config: &ListingConfig) -> Result<Terms, SnapshotError> {
    let damaged = |why: &str| SnapshotError::Damaged(format!("listing {number}: {why}"));
    let terms = match config {
        ListingConfig::Event(config) => Terms::event(config),
        ListingConfig::Spot(config) => {
            let asset = board.find(config.asset).filter(|feed| !feed.is_perpetual());
            Terms::spot(asset.ok_or_else(|| damaged("its asset is not there"))?.as_asset().lot, config)
        }
        ListingConfig::Perpetual(config) => {
            let feed = board.perpetual_of(MarketId::new(number, 0)).ok_or_else(|| damaged("its feed is not there"))?;
            Terms::perpetual(feed, config)
        }
    };
    terms.map_err(damaged)
}

/// What listings must know of the positions that accounts were read with: nobody looks at every account once more for that.
#[derive(Default)]
struct Positions {
    outcomes: Vec<(AccountId, MarketId, i64)>,
    /// Lots of all long positions, by feed of their perpetual.
    long: BTreeMap<FeedId, u64>,
}

impl Positions {
    /// Gives accounts their outcomes, and listings what is open of them.
    fn hold(self, engine: &mut Engine) -> Result<(), SnapshotError> {
        for listing in engine.listings.iter_mut().filter(|listing| listing.terms.kind == MarketKind::Perpetual) {
            listing.open_interest[0] = self.long.get(&listing.terms.feed).copied().unwrap_or_default();
        }
        for (account, market, position) in self.outcomes {
            let unknown = || {
                SnapshotError::Damaged(format!("account {account} holds shares of market {market}, which is not there"))
            };
            if !(1..=engine.listings.len()).contains(&usize::try_from(market.event().0).unwrap_or_default()) {
                return Err(unknown());
            }
            let listing = &mut engine.listings[event_index(market.event())];
            let open = listing.open_interest.get_mut(usize::from(market.outcome())).ok_or_else(unknown)?;
            add(open, position)?;
            engine.accounts[account].change(&listing.terms, market, |outcome| outcome.position = position);
        }
        Ok(())
    }
}

/// Counts a position's lots if it is long.
fn add(open: &mut u64, position: i64) -> Result<(), SnapshotError> {
    let sum = open.checked_add(position.max(0).unsigned_abs());
    *open = sum.ok_or_else(|| SnapshotError::Damaged("more is open than can be counted".to_owned()))?;
    Ok(())
}

/// Holds the sums of accounts' margins to those that were written.
fn check_sums(engine: &Engine, sums: &[Sums]) -> Result<(), SnapshotError> {
    for ((id, account), sums) in engine.accounts.entries().zip(sums) {
        if (account.worst_payoff, account.pledged) != *sums {
            return Err(SnapshotError::Damaged(format!("the margin of account {id} does not add up")));
        }
    }
    Ok(())
}
