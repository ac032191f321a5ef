//! The fence: what a leader that was replaced has on its way reaches nobody.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use xos_journal::{Journal, SealedBlock, Settings, Tip};
use xos_replica::{
    Ack, AppendError, Beats, EpochRecord, Leadership, Log, LogError, Message, Messages, NodeId, Publisher, ReplicaError,
};
use xos_types::{Address, Command, GroupConfig, GroupTerms, Logged, TimeMs};

const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: Address::ZERO,
    governance: Address::ZERO,
    terms: GroupTerms::usual(Address::ZERO),
};

/// An append on its way: behind which message, and who waits for the answer.
struct Sent {
    after: u64,
    message: Bytes,
    answer: oneshot::Sender<Result<u64, AppendError>>,
}

/// A log whose network the test is.
#[derive(Clone, Default)]
struct Slow {
    messages: Arc<Mutex<Vec<Bytes>>>,
    on_the_way: Arc<Mutex<Vec<Sent>>>,
}

impl Slow {
    fn append(&self, after: u64, message: Bytes) -> Result<u64, AppendError> {
        let mut messages = self.messages.lock().unwrap();
        if messages.len() as u64 != after {
            return Err(AppendError::NotLast);
        }
        messages.push(message);
        Ok(messages.len() as u64)
    }

    /// Everything that is on its way arrives.
    fn deliver(&self) {
        for Sent { after, message, answer } in self.on_the_way.lock().unwrap().drain(..) {
            // Who sent it may be gone.
            let _ = answer.send(self.append(after, message));
        }
    }

    async fn until_something_is_sent(&self) {
        while self.on_the_way.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        // Whatever else would follow has its chance.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

impl Log for Slow {
    async fn send(&self, after: u64, message: Bytes) -> Ack {
        let (answer, answered) = oneshot::channel();
        self.on_the_way.lock().unwrap().push(Sent { after, message, answer });
        Box::pin(async move { answered.await.unwrap_or(Err(AppendError::Unknown("gone".into()))) })
    }

    async fn last(&self) -> Result<u64, LogError> {
        Ok(self.messages.lock().unwrap().len() as u64)
    }

    async fn first(&self) -> Result<u64, LogError> {
        Ok(1)
    }

    async fn get(&self, number: u64) -> Result<Option<Bytes>, LogError> {
        Ok(self.messages.lock().unwrap().get(usize::try_from(number).unwrap() - 1).cloned())
    }

    async fn read(&self, _: u64) -> Result<Messages, LogError> {
        Ok(futures::stream::pending().boxed())
    }

    async fn beat(&self, _: Bytes) {}

    async fn beats(&self) -> Result<Beats, LogError> {
        Ok(futures::stream::pending().boxed())
    }
}

/// Blocks of one command each.
fn three_blocks() -> Vec<SealedBlock> {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes: 1 << 16, ..Settings::default() };
    let mut journal = Journal::open(dir.path(), &GROUP, settings).unwrap().resume().unwrap();
    let durability = journal.durability();
    for time in 1..=3 {
        let last = journal.append(&[Logged::new(Command::Window { time: TimeMs(time) })]).unwrap();
        durability.wait_for(last).unwrap();
    }
    drop(journal);
    xos_journal::blocks(dir.path(), &GROUP, 1).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_leader_that_was_replaced_appends_nothing_behind_the_record_of_who_replaced_it() {
    let blocks = three_blocks();
    let genesis = blocks[0].before();
    let log = Slow::default();
    let record = |epoch, node, tip: Tip| EpochRecord { epoch, leader: NodeId([node; 16]), tip };
    log.append(0, Message::Epoch(record(1, 1, genesis)).encode()).unwrap();
    let lead = Leadership { node: NodeId([1; 16]), epoch: 1, position: 1, tip: genesis };
    let confirmed = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&confirmed);
    let refill = Arc::new(|_, _| Err("nothing was lost".to_owned()));
    let publisher =
        Publisher::new(log.clone(), lead, genesis, refill, move |sequence| told.lock().unwrap().push(sequence));
    let (offer, mut offered) = mpsc::channel(8);
    for block in &blocks {
        offer.send(block.clone()).await.unwrap();
    }
    let leading = tokio::spawn(async move { publisher.run(&mut offered).await });
    log.until_something_is_sent().await;
    log.deliver();
    log.until_something_is_sent().await;
    assert_eq!(*confirmed.lock().unwrap(), [1]);

    // While its second block is on its way, somebody else takes the lead. Whatever arrives late is refused.
    log.append(2, Message::Epoch(record(2, 2, blocks[0].tip())).encode()).unwrap();
    log.deliver();
    assert_eq!(leading.await.unwrap(), Err(ReplicaError::Deposed { epoch: 2 }));
    log.deliver();
    assert_eq!(log.messages.lock().unwrap().len(), 3, "two records and the block that was confirmed");
    assert_eq!(*confirmed.lock().unwrap(), [1]);
}
