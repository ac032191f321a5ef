//! A command as it stands in the log.

use crate::command::Command;
use crate::decode::take_common;
use crate::units::TimeMs;

/// A command and the bytes that stand for it in the log (postcard). They are made once, by whoever lets the command in, and
/// are what the journal writes and what the engine's log hash covers. The two always belong together: there is no other
/// way to make one than to encode or to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    command: Command,
    bytes: Vec<u8>,
}

impl Logged {
    /// Encodes a command.
    #[must_use]
    pub fn new(command: Command) -> Self {
        if let Command::PlaceTree { tree, .. } = &command {
            // With numbers of the usual size an order takes some forty bytes.
            let room = Vec::with_capacity(256 + 40 * tree.orders().len());
            let bytes = postcard::to_extend(&command, room).expect("plain data always encodes");
            return Self { command, bytes };
        }
        // All others but frames fit: one allocation of the right size.
        let mut buffer = [0; 256];
        let bytes = match postcard::to_slice(&command, &mut buffer) {
            Ok(bytes) => bytes.to_vec(),
            Err(_) => postcard::to_allocvec(&command).expect("plain data always encodes"),
        };
        Self { command, bytes }
    }

    /// Decodes the first command of `log` and returns what follows it. The bytes are those that stood there.
    ///
    /// # Errors
    /// If no command stands there.
    pub fn take_from(log: &[u8]) -> Result<(Self, &[u8]), postcard::Error> {
        let mut logged = Self { command: Command::Window { time: TimeMs(0) }, bytes: Vec::new() };
        let rest = logged.take_over(log)?;
        Ok((logged, rest))
    }

    /// As [`Self::take_from`], in the memory of a command that is done with.
    ///
    /// # Errors
    /// If no command stands there; then nothing has changed.
    pub fn take_over<'a>(&mut self, log: &'a [u8]) -> Result<&'a [u8], postcard::Error> {
        let rest = decode(log, &mut self.command)?;
        self.bytes.clear();
        self.bytes.extend_from_slice(&log[..log.len() - rest.len()]);
        Ok(rest)
    }

    /// The command.
    #[inline]
    #[must_use]
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// Its bytes in the log.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The command alone.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command
    }
}

impl From<Command> for Logged {
    fn from(command: Command) -> Self {
        Self::new(command)
    }
}

/// Decodes the first command of `log` over another one; what follows it.
fn decode<'a>(log: &'a [u8], command: &mut Command) -> Result<&'a [u8], postcard::Error> {
    if let Some(rest) = take_common(log, command) {
        return Ok(rest);
    }
    let (found, rest) = postcard::take_from_bytes(log)?;
    *command = found;
    Ok(rest)
}
