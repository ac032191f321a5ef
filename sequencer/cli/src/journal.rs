//! `xos journal`

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde::Serialize;
use xos_journal::{first_command, read_only, repair, verify};
use xos_node::JOURNAL_FOLDER;
use xos_types::{B256, Command};

use crate::error::CliError;
use crate::output::Output;

/// Between two lines about how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Check, read or repair the journal of a node
///
/// Exit code 0 if all is well, 1 if the journal is damaged, cannot be read or cannot be repaired (what is wrong, where, and
/// what to do is printed). Checking and reading change nothing and may be done beside a running node.
#[derive(Args)]
#[command(after_help = "Examples:
  xos journal verify --data run/node
  xos journal dump --data run/node --from 1000 --to 1100
  xos journal repair --data run/node --from-replica backup/node")]
pub(crate) struct Journal {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Subcommand)]
enum JournalCommand {
    Verify(Verify),
    Dump(Dump),
    Repair(Repair),
}

/// Read every byte and check lengths, hashes, the chain and every command
#[derive(Args)]
#[command(after_help = "Examples:
  xos journal verify --data run/node
  xos journal verify --data backup/node --json")]
struct Verify {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// Print commands, one JSON object a line
///
/// Each line has the command's sequence number and the command as the engine takes it. What stands before the segment in
/// which the first one lies is not read.
#[derive(Args)]
#[command(after_help = "Examples:
  xos journal dump --data run/node --from 1000 --to 1100
  xos journal dump --data run/node | grep Withdraw")]
struct Dump {
    #[command(flatten)]
    place: Place,
    /// Sequence number of the first command [default: the first that the journal has]
    #[arg(long, value_name = "SEQUENCE")]
    from: Option<u64>,
    /// Sequence number of the last command; to the end if not given
    #[arg(long, value_name = "SEQUENCE")]
    to: Option<u64>,
}

/// Fill what is damaged or missing with the blocks of a replica, if its chain is the same
///
/// The node must not run. Segments that are replaced are kept in a folder `damaged-…` beside the others. What the replica has
/// behind the last command is taken, too. If it lacks a block that is needed, nothing is changed. A repair that was interrupted
/// is finished by the next one.
#[derive(Args)]
#[command(after_help = "Examples:
  xos journal repair --data run/node --from-replica backup/node
  xos journal verify --data run/node")]
struct Repair {
    #[command(flatten)]
    place: Place,
    /// The replica's data folder, or its journal's; it is only read
    #[arg(long, value_name = "FOLDER")]
    from_replica: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Place {
    /// The node's data folder, or its journal's
    #[arg(long, value_name = "FOLDER", default_value = "run/node")]
    data: PathBuf,
}

/// What was checked, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    group: String,
    chain_id: u64,
    first: u64,
    last: u64,
    blocks: u64,
    segments: u64,
    hash: B256,
    dropped_bytes: u64,
}

/// What was repaired, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    commands_from_replica: u64,
    first_from_replica: Option<u64>,
    last: u64,
    kept: Option<PathBuf>,
}

/// A line of a dump.
#[derive(Serialize)]
struct Line<'a> {
    sequence: u64,
    command: &'a Command,
}

impl Journal {
    pub(crate) fn run(self) -> Result<(), CliError> {
        match self.command {
            JournalCommand::Verify(verify) => verify.run(),
            JournalCommand::Dump(dump) => dump.run(),
            JournalCommand::Repair(repair) => repair.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<(), CliError> {
        let mut progress = Progress::new("commands checked");
        let found = verify(folder(&self.place.data), |sequence| progress.tell(sequence))?;
        let checked = Checked {
            group: found.group.group.to_string(),
            chain_id: found.group.chain_id,
            first: found.first,
            last: found.last,
            blocks: found.blocks,
            segments: found.segments,
            hash: B256::from(found.hash),
            dropped_bytes: found.dropped_tail.map_or(0, |tail| tail.bytes),
        };
        self.output.print(&checked, |checked| {
            let Checked { group, chain_id, first, last, blocks, segments, hash, dropped_bytes } = checked;
            let mut text = format!("the journal of group {group} on chain {chain_id} is intact\n");
            text += &match first.cmp(last) {
                std::cmp::Ordering::Greater => "it holds no commands".to_owned(),
                _ => format!("commands {first} to {last} in {blocks} blocks, the last with hash {hash}, "),
            };
            text += &format!("{segments} segment files\n");
            if *dropped_bytes > 0 {
                text += &format!(
                    "{dropped_bytes} bytes of an unfinished write stand behind them; the node drops them when it starts\n"
                );
            }
            text
        })
    }
}

impl Dump {
    fn run(self) -> Result<(), CliError> {
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let journal = folder(&self.place.data);
        let from = self.from.map_or_else(|| first_command(&journal), Ok)?;
        for read in read_only(&journal, from)? {
            let (sequence, command) = read?;
            if self.to.is_some_and(|to| sequence > to) {
                break;
            }
            let line = serde_json::to_vec(&Line { sequence, command: command.command() })?;
            if !still_read(out.write_all(&line).and_then(|()| out.write_all(b"\n")))? {
                return Ok(());
            }
        }
        still_read(out.flush()).map(drop)
    }
}

/// Whether the reader still wants more; `head`, for one, has enough at some point.
fn still_read(written: io::Result<()>) -> Result<bool, CliError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::Write(error)),
    }
}

impl Repair {
    fn run(self) -> Result<(), CliError> {
        let mut progress = Progress::new("megabytes read");
        let (ours, replica) = (folder(&self.place.data), folder(&self.from_replica));
        let repaired = repair(ours, replica, |bytes| progress.tell(bytes >> 20))?;
        let outcome = Outcome {
            commands_from_replica: repaired.commands,
            first_from_replica: repaired.first,
            last: repaired.last,
            kept: repaired.kept,
        };
        self.output.print(&outcome, |outcome| {
            let Outcome { commands_from_replica, first_from_replica, last, kept } = outcome;
            let Some(kept) = kept else {
                return format!(
                    "nothing to repair: the journal is intact up to command {last}, and so far goes the replica"
                );
            };
            let taken = first_from_replica
                .map_or("nothing".to_owned(), |first| format!("{commands_from_replica} commands, from {first} on,"));
            let kept = kept.display();
            format!(
                "repaired up to command {last}: {taken} came from the replica\nthe replaced segments are kept in {kept}"
            )
        })
    }
}

/// The journal in a node's data folder, or the folder itself.
fn folder(data: &Path) -> PathBuf {
    let inside = data.join(JOURNAL_FOLDER);
    if inside.is_dir() { inside } else { data.to_owned() }
}

/// Says on standard error how far long work is.
struct Progress {
    what: &'static str,
    said: Instant,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self { what, said: Instant::now() }
    }

    fn tell(&mut self, count: u64) {
        if self.said.elapsed() >= PROGRESS_INTERVAL {
            self.said = Instant::now();
            eprintln!("{count} {}", self.what);
        }
    }
}
