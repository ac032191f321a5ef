//! The output stage: a thread that lets out, in the order of the log, what the disk has.
//!
//! The sequencer runs ahead of the disk. Whatever it would tell anybody (acknowledgements, feeds, sealed frames, answers to
//! questions, which show its state) is held here with the sequence number that it rests on, until that command survives a
//! crash. If the journal fails, what is held is dropped: whoever waits learns that the node stopped, and not what never
//! came to be.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc as tokio_mpsc;
use xos_api::PriceInfo;
use xos_journal::Durability;
use xos_types::{Event, Frame, TimeMs};

use crate::feeds::Feeds;
use crate::ingress::{Backlog, Delivery, Ingress, Sequencer};
use crate::receipt::{Head, Outcome};
use crate::vitals::Vitals;

/// Windows and answers by which the sequencer may be ahead; then it waits.
const HELD_MAX: usize = 4096;

/// What waits for the disk.
pub(crate) enum Output {
    /// Commands had these effects; the engine had applied them at that moment. After a frame was opened, prices are these.
    Happened { applied: Vec<Applied>, prices: Option<Vec<PriceInfo>>, executed: Instant },
    /// Requests are answered, and promised what the log was at the end of their window, unless nothing came into the log.
    Answered(Vec<(Ingress, Vec<Outcome>)>, Option<Arc<Head>>),
    /// A question is answered.
    Told(Delivery),
}

/// One applied command and what came of it.
pub(crate) struct Applied {
    pub(crate) sequence: u64,
    pub(crate) time: TimeMs,
    pub(crate) events: Vec<Event>,
}

/// The sequencer's end of the output stage.
pub(crate) struct Outputs {
    held: SyncSender<(u64, Output)>,
    thread: JoinHandle<()>,
}

impl Outputs {
    /// Starts the stage. It stops the sequencer if the journal fails.
    pub(crate) fn start(
        durability: Durability,
        frames: tokio_mpsc::UnboundedSender<Frame>,
        backlog: Arc<Backlog>,
        sequencer: Sequencer,
        vitals: Arc<Vitals>,
        feeds: Feeds,
    ) -> io::Result<Self> {
        let (held, receiver) = sync_channel(HELD_MAX);
        let stage = Stage { durability, feeds, frames, backlog, sequencer, vitals };
        let thread = std::thread::Builder::new().name("output".into()).spawn(move || stage.run(&receiver))?;
        Ok(Self { held, thread })
    }

    /// Lets something out when the command with that sequence number survives a crash.
    pub(crate) fn hold(&self, sequence: u64, output: Output) {
        // It ends early only if the journal has failed, which the sequencer learns from the journal itself.
        let _ = self.held.send((sequence, output));
    }

    /// Lets out what is still held, and ends.
    pub(crate) fn end(self) {
        drop(self.held);
        if let Err(panic) = self.thread.join() {
            resume_unwind(panic);
        }
    }
}

struct Stage {
    durability: Durability,
    feeds: Feeds,
    /// To the submitter.
    frames: tokio_mpsc::UnboundedSender<Frame>,
    backlog: Arc<Backlog>,
    sequencer: Sequencer,
    vitals: Arc<Vitals>,
}

impl Stage {
    fn run(mut self, held: &Receiver<(u64, Output)>) {
        self.let_all_out(held);
        self.feeds.end();
    }

    fn let_all_out(&mut self, held: &Receiver<(u64, Output)>) {
        let mut next = held.recv().ok();
        while let Some(first) = next.take() {
            if self.durability.wait_for(first.0).is_err() {
                return self.sequencer.stop();
            }
            // What the same write made durable goes out together.
            let durable = self.durability.sequence();
            let mut together = vec![first];
            while together.len() < HELD_MAX
                && let Ok(held) = held.try_recv()
            {
                if held.0 > durable {
                    next = Some(held);
                    break;
                }
                together.push(held);
            }
            share_promise(&together);
            together.into_iter().for_each(|(sequence, output)| self.let_out(sequence, output));
            next = next.or_else(|| held.recv().ok());
        }
    }

    fn let_out(&mut self, sequence: u64, output: Output) {
        match output {
            Output::Happened { applied, prices, executed } => {
                self.vitals.durable(sequence, applied.len(), executed);
                self.publish(applied, prices);
            }
            Output::Answered(answers, _) => answers.into_iter().for_each(|(request, told)| request.answer(told)),
            Output::Told(deliver) => {
                // A bug in a question costs its asker the answer and nobody else anything.
                if catch_unwind(AssertUnwindSafe(|| deliver(&mut self.feeds))).is_err() {
                    tracing::error!("an answer could not be delivered; its asker gets none");
                }
            }
        }
    }

    fn publish(&mut self, applied: Vec<Applied>, prices: Option<Vec<PriceInfo>>) {
        let begun = Instant::now();
        for event in applied.iter().flat_map(|applied| &applied.events) {
            if let Event::FrameSealed(frame) = event {
                self.backlog.set_sealed(frame.id);
                self.sequencer.role().sealed(frame);
                // If the submitter has stopped it has said why; the frame is in the log.
                let _ = self.frames.send((**frame).clone());
            }
        }
        self.feeds.happened(applied, prices);
        self.vitals.metrics.publish.observe(begun.elapsed().as_secs_f64());
    }
}

/// Everybody who is answered now is promised the last of these heads: a signature takes longer than a window of orders.
fn share_promise(together: &[(u64, Output)]) {
    let heads = || {
        together
            .iter()
            .filter_map(|(_, output)| if let Output::Answered(_, head) = output { head.as_ref() } else { None })
    };
    let Some(last) = heads().next_back() else { return };
    heads().for_each(|head| head.goes_with(last));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;

    use xos_journal::Journal;
    use xos_types::Logged;

    use super::*;
    use crate::replication::Role;
    use crate::testing::{GROUP, SMALL_DISK, cancel, idle_feeds, idle_vitals};

    #[test]
    fn nothing_leaves_before_its_command_is_durable_nor_out_of_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), &GROUP, SMALL_DISK).unwrap().resume().unwrap();
        let (frames, _sealed) = tokio_mpsc::unbounded_channel();
        let backlog = Backlog::new(0, 0, 1);
        let (sequencer, _items) = Sequencer::channel(1, 1, Arc::clone(&backlog), journal.durability(), Role::alone());
        let outputs =
            Outputs::start(journal.durability(), frames, backlog, sequencer, idle_vitals(), idle_feeds()).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let tells = |what: &'static str| {
            let tell = tell.clone();
            Output::Told(Box::new(move |_: &mut Feeds| tell.send(what).unwrap()))
        };
        outputs.hold(0, tells("what was there"));
        outputs.hold(2, tells("the second command"));
        outputs.hold(2, Output::Told(Box::new(|_| panic!("a bug in an answer"))));
        outputs.hold(3, tells("the third command"));
        let wait = Duration::from_millis(50);
        assert_eq!(told.recv_timeout(wait), Ok("what was there"));
        assert_eq!(told.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
        journal.append(&[Logged::new(cancel(1))]).unwrap();
        assert_eq!(told.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
        journal.append(&[Logged::new(cancel(2))]).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok("the second command"));
        assert_eq!(told.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
        journal.append(&[Logged::new(cancel(3))]).unwrap();
        outputs.end();
        assert_eq!(told.try_recv(), Ok("the third command"), "the end lets out what is held");
    }
}
