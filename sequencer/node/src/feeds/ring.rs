//! The latest messages of a topic, each written once, and the places of those who read them.
//!
//! Nobody waits for a reader: what does not fit any more goes, and a reader who had not come so far learns that it did.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::watch;

use super::topic::Slow;

/// Messages of a topic that are kept.
pub(crate) const MESSAGES_MAX: usize = 4096;
/// Their bytes.
pub(crate) const BYTES_MAX: usize = 2 << 20;
/// Messages by which a reader of a book may be behind before it gets the whole anew.
const BEHIND_MAX: u64 = 32;

/// A message as it travels, but for the number of the subscription.
pub(crate) type Text = Arc<RawValue>;

/// What a topic has said lately.
#[derive(Debug)]
pub(crate) struct Ring {
    kept: Mutex<Kept>,
    /// Number of the message that comes next.
    end: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Number of the first of them; the first that the topic ever said is 0.
    first: u64,
    /// Sequence number after which nothing is missing.
    since: u64,
    /// Why nothing more comes, if so.
    ended: Option<&'static str>,
}

#[derive(Debug)]
struct Message {
    sequence: u64,
    /// Whether who resumes from its own sequence number gets it, too: it stands where another one stood already.
    beside: bool,
    text: Text,
}

/// What came of waiting for the next message.
#[derive(Debug)]
pub(crate) enum Next {
    /// It came.
    Message(Text),
    /// So many are missing, or too many to go through.
    Behind(u64),
    /// None comes any more.
    Ended(&'static str),
}

/// A place from which nobody can resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotKept {
    /// Where the reader stands.
    pub(crate) from: u64,
    /// The earliest place from which it could.
    pub(crate) oldest: u64,
}

impl Ring {
    /// Of a topic that is followed from a sequence number on.
    pub(crate) fn new(since: u64) -> Arc<Self> {
        let kept = Kept { messages: VecDeque::new(), bytes: 0, first: 0, since, ended: None };
        Arc::new(Self { kept: Mutex::new(kept), end: watch::Sender::new(0) })
    }

    /// Adds a message that brings readers up to a sequence number; how many there are.
    pub(crate) fn push(&self, sequence: u64, text: Text) -> usize {
        self.add(Message { sequence, beside: false, text })
    }

    /// Adds one that no command caused, at the last one's number.
    pub(crate) fn push_beside(&self, sequence: u64, text: Text) -> usize {
        self.add(Message { sequence, beside: true, text })
    }

    fn add(&self, message: Message) -> usize {
        let mut kept = self.lock();
        kept.bytes += message.text.get().len();
        kept.messages.push_back(message);
        while (kept.messages.len() > MESSAGES_MAX || kept.bytes > BYTES_MAX)
            && let Some(oldest) = kept.messages.pop_front()
        {
            kept.bytes -= oldest.text.get().len();
            kept.first += 1;
            kept.since = oldest.sequence;
        }
        let end = kept.end();
        drop(kept);
        self.end.send_replace(end);
        self.end.receiver_count()
    }

    /// Says nothing more, and why.
    pub(crate) fn end(&self, why: &'static str) {
        let mut kept = self.lock();
        kept.ended = Some(why);
        let end = kept.end();
        drop(kept);
        self.end.send_replace(end);
    }

    pub(crate) fn readers(&self) -> usize {
        self.end.receiver_count()
    }

    /// A reader of what comes from here on.
    pub(crate) fn reader(self: &Arc<Self>, slow: Slow) -> Reader {
        let next = self.lock().end();
        self.reader_at(next, slow, BEHIND_MAX)
    }

    /// A reader who has everything up to a sequence number.
    pub(crate) fn resume(self: &Arc<Self>, slow: Slow, from: u64) -> Result<Reader, NotKept> {
        let kept = self.lock();
        if from < kept.since {
            return Err(NotKept { from, oldest: kept.since });
        }
        let known = kept.messages.partition_point(|message| message.sequence < from);
        let rest = kept.messages.iter().skip(known);
        let known = known + rest.take_while(|message| message.sequence == from && !message.beside).count();
        let next = kept.first + u64::try_from(known).unwrap_or(u64::MAX);
        let waiting = kept.end() - next;
        drop(kept);
        Ok(self.reader_at(next, slow, waiting + BEHIND_MAX))
    }

    fn reader_at(self: &Arc<Self>, next: u64, slow: Slow, behind_max: u64) -> Reader {
        Reader { next, slow, behind_max, end: self.end.subscribe(), ring: Arc::clone(self) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.first + u64::try_from(self.messages.len()).unwrap_or(u64::MAX)
    }
}

/// One who reads a topic, at its own pace.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: Arc<Ring>,
    /// Number of the message that it reads next.
    next: u64,
    slow: Slow,
    /// By how many messages it may be behind before it begins anew: who resumes asked for what it has missed.
    behind_max: u64,
    end: watch::Receiver<u64>,
}

impl Reader {
    /// The next message, when it has come.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.look() {
                return next;
            }
            if self.end.changed().await.is_err() {
                return Next::Ended("the node is stopping");
            }
        }
    }

    fn look(&mut self) -> Option<Next> {
        let kept = self.ring.lock();
        let waiting = kept.end() - self.next;
        if waiting == 0 {
            return kept.ended.map(Next::Ended);
        }
        match self.slow {
            Slow::Skips => self.next = kept.end() - 1,
            Slow::BeginsAnew if waiting > self.behind_max => return Some(Next::Behind(waiting)),
            Slow::BeginsAnew | Slow::Ends => {}
        }
        let Some(place) = self.next.checked_sub(kept.first) else { return Some(Next::Behind(kept.first - self.next)) };
        let message = usize::try_from(place).ok().and_then(|place| kept.messages.get(place))?;
        self.next += 1;
        Some(Next::Message(Arc::clone(&message.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u64) -> Text {
        Arc::from(serde_json::value::to_raw_value(&number).unwrap())
    }

    /// What it can read at once.
    fn read(reader: &mut Reader) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(Next::Message(text)) = reader.look() {
            texts.push(text.get().to_owned());
        }
        texts
    }

    #[test]
    fn who_resumes_gets_what_it_has_not_and_learns_if_that_is_gone() {
        let ring = Ring::new(100);
        for sequence in [105, 107, 120] {
            ring.push(sequence, text(sequence));
        }
        ring.push_beside(120, text(0));
        let from = |from| ring.resume(Slow::Ends, from).map(|mut reader| read(&mut reader));
        assert_eq!(from(99), Err(NotKept { from: 99, oldest: 100 }));
        assert_eq!(from(100).unwrap(), ["105", "107", "120", "0"]);
        assert_eq!(from(107).unwrap(), ["120", "0"]);
        assert_eq!(from(110).unwrap(), ["120", "0"]);
        assert_eq!(from(120).unwrap(), ["0"], "it may not have seen what stands beside");
        assert!(from(121).unwrap().is_empty());
        for sequence in 121..121 + MESSAGES_MAX as u64 {
            ring.push(sequence, text(sequence));
        }
        assert_eq!(from(119), Err(NotKept { from: 119, oldest: 120 }));
        assert_eq!(from(120).unwrap().len(), MESSAGES_MAX);
    }

    #[test]
    fn a_slow_reader_skips_begins_anew_or_is_told() {
        let ring = Ring::new(0);
        let [mut skips, mut anew, mut ends] = [Slow::Skips, Slow::BeginsAnew, Slow::Ends].map(|slow| ring.reader(slow));
        for sequence in 1..=BEHIND_MAX + 1 {
            ring.push(sequence, text(sequence));
        }
        assert_eq!(read(&mut skips), [(BEHIND_MAX + 1).to_string()]);
        assert!(matches!(anew.look(), Some(Next::Behind(_))));
        let mut resumed = ring.resume(Slow::BeginsAnew, 0).unwrap();
        assert_eq!(read(&mut resumed).len() as u64, BEHIND_MAX + 1, "who resumes wants what it has missed");
        assert_eq!(read(&mut ends).len() as u64, BEHIND_MAX + 1);
        let long = Arc::<RawValue>::from(serde_json::value::to_raw_value(&"x".repeat(BYTES_MAX / 2)).unwrap());
        for sequence in 100..103 {
            ring.push(sequence, Arc::clone(&long));
        }
        assert!(matches!(ends.look(), Some(Next::Behind(_))), "bytes are bounded, too");
        ring.end("over");
        assert!(matches!(skips.look(), Some(Next::Message(_))), "the end comes last");
        assert!(matches!(skips.look(), Some(Next::Ended("over"))));
    }
}
