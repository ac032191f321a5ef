//! Commands on their way from the bytes of a journal to whoever applies them.

use xos_types::Logged;

/// Commands that are handed over together. What comes back is decoded over, in memory that is soon as much as any command takes: to
/// free what a thread allocated and another one is done with costs as much as to decode it.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    commands: Vec<Logged>,
    /// How many of them were decoded since the batch came back; those behind are of the time before.
    filled: usize,
    /// Commands that are done with, of batches that were longer.
    spare: Vec<Logged>,
}

impl Batch {
    /// An empty one with room for so many commands.
    pub(crate) fn with_room(commands: usize) -> Self {
        Self { commands: Vec::with_capacity(commands), ..Self::default() }
    }

    /// Takes the commands out; the next ones are decoded over those of a batch that is done with.
    pub(crate) fn replace(&mut self, done_with: Vec<Logged>) -> Vec<Logged> {
        self.spare.extend(self.commands.drain(self.filled..));
        self.filled = 0;
        std::mem::replace(&mut self.commands, done_with)
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// Decodes the first command of `log`, adds it, and returns what follows; or says why there is none.
    #[inline]
    pub(crate) fn take_from<'a>(&mut self, log: &'a [u8]) -> Result<&'a [u8], String> {
        let rest = match self.commands.get_mut(self.filled) {
            Some(done_with) => done_with.take_over(log).map_err(|error| error.to_string())?,
            None => {
                let (command, rest) = match self.spare.pop() {
                    Some(mut done_with) => done_with.take_over(log).map(|rest| (done_with, rest)),
                    None => Logged::take_from(log),
                }
                .map_err(|error| error.to_string())?;
                self.commands.push(command);
                rest
            }
        };
        self.filled += 1;
        Ok(rest)
    }

    /// Forgets the commands from that place on.
    pub(crate) fn truncate(&mut self, place: usize) {
        self.filled = self.filled.min(place);
    }

    /// Takes out so many commands from that place on, or as many as there are.
    pub(crate) fn skip(&mut self, place: usize, count: usize) {
        let end = place.saturating_add(count).min(self.filled);
        self.commands.drain(place..end);
        self.filled -= end - place;
    }

    /// The commands.
    pub(crate) fn into_commands(mut self) -> Vec<Logged> {
        self.commands.truncate(self.filled);
        self.commands
    }
}

#[cfg(test)]
mod tests {
    use xos_types::{Command, PriceUpdate, TimeMs};

    use super::*;

    /// Commands of many lengths.
    fn window(number: u64) -> Logged {
        Command::Window { time: TimeMs(1 << (number % 60)) }.into()
    }

    fn frame(number: usize) -> Logged {
        let price = PriceUpdate {
            feed: xos_types::FeedId(1),
            answer: 7,
            published_at: TimeMs(3),
            proof: vec![0xab; 50 * number],
        };
        Command::Frame { time: TimeMs(number as u64), inbox: Vec::new(), prices: vec![price] }.into()
    }

    #[test]
    fn whatever_a_batch_held_before_it_holds_what_was_decoded_last() {
        let mut batch = Batch::default();
        for round in 0..6 {
            let commands: Vec<Logged> = (0..10 + 3 * (round % 4))
                .map(|n| if n % 3 == round % 3 { frame(n) } else { window(n as u64) })
                .collect();
            for command in &commands {
                assert!(batch.take_from(&[command.bytes(), &[0xff; 7]].concat()).unwrap() == [0xff; 7]);
            }
            assert!(batch.take_from(&[0xff]).is_err());
            assert_eq!(batch.len(), commands.len(), "an error adds nothing");
            batch.truncate(commands.len() - 1);
            batch.skip(1, 2);
            let expected: Vec<Logged> = commands[..1].iter().chain(&commands[3..commands.len() - 1]).cloned().collect();
            let taken = batch.into_commands();
            assert_eq!(taken, expected, "round {round}");
            assert!(taken.iter().all(|command| Logged::take_from(command.bytes()).unwrap().0 == *command));
            batch = Batch::default();
            for command in &taken {
                batch.take_from(command.bytes()).unwrap();
            }
            batch.truncate(taken.len() / 2);
            assert_eq!(batch.replace(taken.clone()), taken[..taken.len() / 2]);
            batch.skip(0, usize::MAX);
            assert_eq!(batch.len(), 0);
        }
    }
}
