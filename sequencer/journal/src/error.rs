//! Why a journal cannot be opened, read or written.

use std::io;
use std::path::PathBuf;

use xos_types::GroupConfig;

/// What was wrong, what was expected, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("{action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// Somebody else writes this journal.
    #[error("{path} is locked: another node runs on this directory; stop it, or give this one a directory of its own", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// There is no journal to read.
    #[error("no journal in {path}; is this the node's data directory?", path = path.display())]
    Missing {
        /// Where segments were looked for.
        path: PathBuf,
    },
    /// Its older segments are somewhere else.
    #[error(
        "the journal in {path} begins with command {first}, but {wanted} is needed: put the older segments back into that folder, \
         from the archive or a backup; a start needs them only if it has no snapshot that is new enough", path = path.display()
    )]
    BeginsLater {
        /// The journal's directory.
        path: PathBuf,
        /// The first command that it holds.
        first: u64,
        /// The command that was to be read.
        wanted: u64,
    },
    /// The file is something else.
    #[error("{path} is not a journal of format version {expected}: {what}", path = path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// The version that this program reads.
        expected: u32,
        /// What is wrong with the header.
        what: String,
    },
    /// The journal belongs to another group.
    #[error(
        "{path} is the journal of group {found_group} on chain {found_chain} (token {found_token}, governance {found_governance}), not of group {expected_group} on chain {expected_chain} (token {expected_token}, governance {expected_governance}); give each group a directory of its own",
        path = path.display(),
        found_group = found.group, found_chain = found.chain_id, found_token = found.token, found_governance = found.governance,
        expected_group = expected.group, expected_chain = expected.chain_id, expected_token = expected.token, expected_governance = expected.governance,
    )]
    OtherGroup {
        /// The file.
        path: PathBuf,
        /// Whose journal it is.
        found: Box<GroupConfig>,
        /// Whose was asked for.
        expected: Box<GroupConfig>,
    },
    /// Something in the middle is not what was written.
    #[error(
        "{path} is damaged at byte {offset}, at command {sequence}: {what}. Nothing was changed. Fill the gap from a replica with `xos journal repair --from-replica`, or restore a backup; commands from {sequence} on cannot be trusted, and cutting them off loses acknowledged orders",
        path = path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damaged block begins.
        offset: u64,
        /// The first command that it should hold.
        sequence: u64,
        /// How it shows.
        what: String,
    },
    /// A repair was begun and not ended.
    #[error("{path} is left of a repair that was interrupted; run `xos journal repair` again", path = path.display())]
    HalfRepaired {
        /// The unfinished repair.
        path: PathBuf,
    },
    /// The replica does not fill the gap.
    #[error("command {sequence} is missing here, and the replica in {replica} has no block that continues the chain there ({what}); nothing was changed", replica = replica.display())]
    NotRepairable {
        /// The command that nobody has.
        sequence: u64,
        /// Where it was looked for.
        replica: PathBuf,
        /// What is there instead.
        what: String,
    },
    /// A command that no block has room for.
    #[error("a command of {bytes} bytes exceeds a block's {limit}; nothing was written")]
    CommandTooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Every segment is full and no other can be made.
    #[error("there is no room for another segment in {path}: {why}; make room on the disk and restart the node, which keeps every acknowledged command", path = path.display())]
    Full {
        /// The journal's directory.
        path: PathBuf,
        /// What came back when one was to be made.
        why: String,
    },
    /// An earlier write failed.
    #[error(
        "the journal failed and takes nothing more ({cause}); restart the node, which keeps every acknowledged command"
    )]
    Failed {
        /// What happened.
        cause: String,
    },
}

impl JournalError {
    /// Names the action and the file that an I/O error belongs to.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
