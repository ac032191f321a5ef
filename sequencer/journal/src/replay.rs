//! Loggeds of a journal, from the first on.

use std::fs::File;
use std::io;
use std::path::Path;

use xos_types::{GroupConfig, Logged};

use crate::LOG_FILE;
use crate::error::JournalError;
use crate::format::decode_commands;
use crate::scan::{DroppedTail, Next, Scanner, Tip};

/// Iterates over `(sequence, command)`, checking hashes and chain again as it reads. It ends where the journal ended when
/// it was opened, and after the first error.
#[derive(Debug)]
pub struct Replay {
    scanner: Option<Scanner>,
    block: std::vec::IntoIter<Logged>,
    next: u64,
    end: Tip,
    dropped: Option<DroppedTail>,
}

impl Replay {
    /// Checks whose journal it is, if that is `expected`, and then the whole file; what it iterates over is intact.
    pub(crate) fn check(
        path: &Path,
        file: File,
        expected: Option<&GroupConfig>,
    ) -> Result<(Self, GroupConfig), JournalError> {
        let again = file.try_clone().map_err(JournalError::io("cannot read", path))?;
        let (mut scanner, config) = Scanner::open(path, file)?;
        if let Some(expected) = expected.filter(|expected| **expected != config) {
            let (found, expected) = (Box::new(config), Box::new(*expected));
            return Err(JournalError::OtherGroup { path: path.to_owned(), found, expected });
        }
        let dropped = loop {
            match scanner.advance()? {
                Next::Block(_) => {}
                Next::End => break None,
                Next::TornTail(tail) => break Some(tail),
            }
        };
        let end = scanner.tip();
        // Both handles share one position in the file; the first is done with it.
        drop(scanner);
        let (mut scanner, _) = Scanner::open(path, again)?;
        scanner.limit(end.offset);
        Ok((Self { scanner: Some(scanner), block: Vec::new().into_iter(), next: 1, end, dropped }, config))
    }

    /// Sequence number of the last command; 0 if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.end.sequence
    }

    /// What was not a whole block at the end, and is not part of the journal.
    #[must_use]
    pub fn dropped_tail(&self) -> Option<DroppedTail> {
        self.dropped
    }

    pub(crate) fn end(&self) -> Tip {
        self.end
    }

    fn read_block(&mut self) -> Result<bool, JournalError> {
        let Some(scanner) = &mut self.scanner else { return Ok(false) };
        let before = scanner.tip();
        match scanner.advance()? {
            Next::Block(head) => {
                let commands =
                    decode_commands(scanner.payload(), head.commands).map_err(|what| JournalError::Damaged {
                        path: scanner.path().to_owned(),
                        offset: before.offset,
                        sequence: before.sequence + 1,
                        what: format!("the block is intact, but {what}; was it written by another version?"),
                    })?;
                self.block = commands.into_iter();
                Ok(true)
            }
            Next::End => Ok(false),
            Next::TornTail(_) => Err(scanner.damaged("it was intact when the journal was opened".to_owned())),
        }
    }
}

impl Iterator for Replay {
    type Item = Result<(u64, Logged), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(command) = self.block.next() {
                let sequence = self.next;
                self.next += 1;
                return Some(Ok((sequence, command)));
            }
            match self.read_block() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.scanner = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Reads a journal for an audit: takes no lock and changes nothing. The tail that a running node is just writing may show
/// as torn; it is left out.
///
/// # Errors
/// If there is no journal, or it is damaged.
pub fn read_only(dir: impl AsRef<Path>) -> Result<(GroupConfig, Replay), JournalError> {
    let path = dir.as_ref().join(LOG_FILE);
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => JournalError::Missing { path: path.clone() },
        _ => JournalError::io("cannot open", &path)(error),
    })?;
    let (replay, config) = Replay::check(&path, file, None)?;
    Ok((config, replay))
}
