//! What happened, for whoever asks: orders, fills, transfers and liquidations by account, trades and candles by market, funding.
//!
//! It is kept in a [`sled`] database and follows from the log: delete it, apply the log again, and it is the same. So nothing
//! here is ever what anybody relies on, and it never holds anybody up.
//!
//! **A crash leaves some events written and others not**, in whatever record. Each record knows the last event that it counts, so
//! the same events may come again, from the cursor on or from the beginning: what is counted already is passed over. The
//! cursor says from which command on they must.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `orders` | account, nonce | the order and how far it has come |
//! | `placed` | account, moment | its nonce |
//! | `fills` | account, moment, side of the trade | one side of a trade |
//! | `trades` | market, moment | a trade |
//! | `candles` | market, length, start | trades of a minute, an hour or a day; other lengths are put together from these |
//! | `positions` | account, perpetual, moment | lots held from then on |
//! | `funding` | perpetual, moment | its funding index from then on, and by how much it moved |
//! | `perpetuals` | feed | its market |
//! | `transfers` | account, moment, number | money or an asset that came, left or moved; an event may tell of several |
//! | `liquidations` | account, moment, number | its side of what was done about an account that fails |
//! | `assets` | feed | its token |
//! | `frames` | sequence number of its last command | a sealed frame's number, and when it opened |
//!
//! A *moment* is a command's sequence number and an event's place among its events. Keys are big-endian, so they lie in order.

mod liquidations;
mod read;
mod transfers;
mod write;

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use read::CandleSoFar;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::{Db, IVec, Tree};
use xos_types::{Address, GroupConfig, Hash};

/// What the records look like; a database of another version is made anew.
const VERSION: u32 = 3;
const CURSOR: &str = "cursor";
const IDENTITY: &str = "identity";
/// How long somebody else may hold the database before that is an error, and how often it is looked.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why it cannot be read or written. Nothing else depends on it, so trading goes on; delete its folder to have it made anew.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database refuses.
    #[error("the history's database: {0}")]
    Database(#[from] sled::Error),
    /// A record is not what was written.
    #[error("a record of the history cannot be read: {0}")]
    Record(#[from] postcard::Error),
}

impl HistoryError {
    /// Whether what stands there is no use any more; else it may be tomorrow.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Database(sled::Error::Corruption { .. } | sled::Error::Unsupported(_)) | Self::Record(_))
    }
}

/// Whether somebody holds the database. Its words are all that the error keeps of that.
fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

/// An event's place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
struct Moment {
    sequence: u64,
    event: u32,
}

impl Moment {
    /// The first of a command.
    const fn of(sequence: u64) -> Self {
        Self { sequence, event: 0 }
    }

    fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.sequence.to_be_bytes());
        key[8..].copy_from_slice(&self.event.to_be_bytes());
        key
    }

    /// The moment at the end of a key.
    fn at_end(key: &[u8]) -> Self {
        Self::read(&key[key.len() - 12..])
    }

    fn read(key: &[u8]) -> Self {
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        Self { sequence: number(&key[..8]), event: u32::try_from(number(&key[8..12])).unwrap_or(u32::MAX) }
    }
}

/// The history of one group. Clones share it; one of them writes.
#[derive(Clone, Debug)]
pub struct History {
    db: Db,
    meta: Tree,
    orders: Tree,
    placed: Tree,
    fills: Tree,
    trades: Tree,
    candles: Tree,
    positions: Tree,
    funding: Tree,
    perpetuals: Tree,
    transfers: Tree,
    liquidations: Tree,
    assets: Tree,
    frames: Tree,
    /// The settlement token.
    token: Address,
}

impl History {
    /// Opens the history in `dir`, or begins it. What was written by another version, or of another group, is thrown away.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn open(dir: impl AsRef<Path>, group: &GroupConfig) -> Result<Self, HistoryError> {
        let config = sled::Config::new().path(dir);
        let begun = Instant::now();
        loop {
            match config.open() {
                // The database's own threads may hold what was closed a moment ago.
                Err(sled::Error::Io(error)) if is_locked(&error) && begun.elapsed() < LOCK_WAIT => sleep(LOCK_PAUSE),
                opened => return Self::of(opened?, group),
            }
        }
    }

    /// A history that is gone with the process, for where none can be kept.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn forgetful(group: &GroupConfig) -> Result<Self, HistoryError> {
        Self::of(sled::Config::new().temporary(true).open()?, group)
    }

    fn of(db: Db, group: &GroupConfig) -> Result<Self, HistoryError> {
        let identity = postcard::to_allocvec(&(VERSION, group))?;
        let meta = db.open_tree("meta")?;
        if meta.get(IDENTITY)?.is_none_or(|found| found != identity) {
            for name in db.tree_names() {
                // The default tree cannot be dropped, and holds nothing.
                if name != b"__sled__default" {
                    db.drop_tree(name)?;
                }
            }
        }
        let history = Self {
            meta: db.open_tree("meta")?,
            orders: db.open_tree("orders")?,
            placed: db.open_tree("placed")?,
            fills: db.open_tree("fills")?,
            trades: db.open_tree("trades")?,
            candles: db.open_tree("candles")?,
            positions: db.open_tree("positions")?,
            funding: db.open_tree("funding")?,
            perpetuals: db.open_tree("perpetuals")?,
            transfers: db.open_tree("transfers")?,
            liquidations: db.open_tree("liquidations")?,
            assets: db.open_tree("assets")?,
            frames: db.open_tree("frames")?,
            token: group.token,
            db,
        };
        history.meta.insert(IDENTITY, identity)?;
        Ok(history)
    }

    /// Sequence number of the last command whose events are all written; 0 before the first. Events of later ones must come
    /// (again).
    ///
    /// # Errors
    /// If the database refuses; so of all that follow.
    pub fn cursor(&self) -> Result<u64, HistoryError> {
        Ok(get(&self.meta, CURSOR.as_bytes())?.unwrap_or(0))
    }

    /// Writes everything to the disk. It happens by itself, too, twice a second.
    ///
    /// # Errors
    /// See [`Self::cursor`].
    pub fn flush(&self) -> Result<(), HistoryError> {
        self.db.flush()?;
        Ok(())
    }

    /// A hash of everything that it holds: equal histories have equal ones.
    ///
    /// # Errors
    /// See [`Self::cursor`].
    pub fn digest(&self) -> Result<Hash, HistoryError> {
        let mut hasher = blake3::Hasher::new();
        let trees = [
            &self.meta,
            &self.orders,
            &self.placed,
            &self.fills,
            &self.trades,
            &self.candles,
            &self.positions,
            &self.funding,
            &self.perpetuals,
            &self.transfers,
            &self.liquidations,
            &self.assets,
            &self.frames,
        ];
        for tree in trees {
            for entry in tree.iter() {
                let (key, value) = entry?;
                for part in [&key, &value] {
                    hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
                }
            }
            hasher.update(&u64::MAX.to_be_bytes());
        }
        Ok(*hasher.finalize().as_bytes())
    }
}

fn get<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>, HistoryError> {
    tree.get(key)?.map(|value| read(&value)).transpose()
}

fn put<T: Serialize>(tree: &Tree, key: &[u8], value: &T) -> Result<(), HistoryError> {
    tree.insert(key, postcard::to_allocvec(value)?)?;
    Ok(())
}

fn read<T: DeserializeOwned>(value: &IVec) -> Result<T, HistoryError> {
    Ok(postcard::from_bytes(value)?)
}
