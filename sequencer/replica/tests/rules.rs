//! What leaders and standbys promise, on a log in memory with virtual time. The same on real servers: `cli/tests/cluster`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future, stream};
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc, watch};
use xos_journal::{Journal, SealedBlock, Settings, Tip};
use xos_replica::{
    Ack, AppendError, Beat, Beats, EpochRecord, Joined, Leadership, LocalBlocks, Log, LogError, Message, Messages,
    News, NodeId, Publisher, Refill, ReplicaError, Standby, Standing, join,
};
use xos_types::{Address, Command, GroupConfig, GroupTerms, Logged, TimeMs};

const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: Address::ZERO,
    governance: Address::ZERO,
    terms: GroupTerms::usual(Address::ZERO),
};
const LEASE: Duration = Duration::from_secs(1);
const A: NodeId = NodeId([1; 16]);
const B: NodeId = NodeId([2; 16]);

/// A log that does what it promises, and may keep its answers to itself.
#[derive(Clone)]
struct Memory {
    messages: Arc<Mutex<Vec<Bytes>>>,
    changed: Arc<watch::Sender<()>>,
    beats: broadcast::Sender<Bytes>,
    /// Answers that are lost from now on.
    mute: Arc<Mutex<usize>>,
}

impl Memory {
    fn new() -> Self {
        Self {
            messages: Arc::default(),
            changed: Arc::new(watch::channel(()).0),
            beats: broadcast::channel(100).0,
            mute: Arc::default(),
        }
    }

    fn len(&self) -> u64 {
        self.messages.lock().unwrap().len() as u64
    }

    fn lose(&self, kept: usize) {
        self.messages.lock().unwrap().truncate(kept);
    }

    fn all(&self) -> Vec<Message> {
        self.messages.lock().unwrap().iter().map(|bytes| Message::decode(bytes.clone()).unwrap()).collect()
    }

    async fn append(&self, after: u64, message: &Message) -> Result<u64, AppendError> {
        self.send(after, message.encode()).await.await
    }
}

impl Log for Memory {
    async fn send(&self, after: u64, message: Bytes) -> Ack {
        let mut messages = self.messages.lock().unwrap();
        if messages.len() as u64 != after {
            return future::ready(Err(AppendError::NotLast)).boxed();
        }
        messages.push(message);
        self.changed.send_replace(());
        let mut mute = self.mute.lock().unwrap();
        if *mute > 0 {
            *mute -= 1;
            return future::ready(Err(AppendError::Unknown("lost".into()))).boxed();
        }
        future::ready(Ok(after + 1)).boxed()
    }

    async fn last(&self) -> Result<u64, LogError> {
        Ok(self.len())
    }

    async fn first(&self) -> Result<u64, LogError> {
        Ok(1)
    }

    async fn get(&self, number: u64) -> Result<Option<Bytes>, LogError> {
        let index = usize::try_from(number).unwrap().checked_sub(1);
        Ok(index.and_then(|index| self.messages.lock().unwrap().get(index).cloned()))
    }

    async fn read(&self, from: u64) -> Result<Messages, LogError> {
        let (log, changes) = (self.clone(), self.changed.subscribe());
        Ok(stream::unfold((log, changes, from), |(log, mut changes, next)| async move {
            loop {
                if let Some(bytes) = log.get(next).await.unwrap() {
                    return Some((Ok((next, bytes)), (log, changes, next + 1)));
                }
                changes.changed().await.ok()?;
            }
        })
        .boxed())
    }

    async fn beat(&self, beat: Bytes) {
        let _ = self.beats.send(beat);
    }

    async fn beats(&self) -> Result<Beats, LogError> {
        let heard = self.beats.subscribe();
        Ok(stream::unfold(heard, |mut heard| async move { heard.recv().await.ok().map(|beat| (beat, heard)) }).boxed())
    }
}

/// A journal of so many blocks, one command each, that begins at a time of its own so that two differ.
fn journal(blocks: u64, time: u64) -> (TempDir, Vec<SealedBlock>, Vec<Tip>) {
    let dir = tempfile::tempdir().unwrap();
    extend(&dir, blocks, time);
    let blocks = xos_journal::blocks(dir.path(), &GROUP, 1).unwrap().map(Result::unwrap).collect();
    let tips = open(&dir).tips(1).unwrap();
    (dir, blocks, tips)
}

fn open(dir: &TempDir) -> xos_journal::Recovery {
    Journal::open(dir.path(), &GROUP, Settings { segment_bytes: 64 << 10, ..Settings::default() }).unwrap()
}

fn extend(dir: &TempDir, blocks: u64, time: u64) {
    let mut journal = open(dir).resume().unwrap();
    for number in 0..blocks {
        let command = Command::Window { time: TimeMs(time + number) };
        let sequence = journal.append(&[Logged::new(command)]).unwrap();
        journal.durability().wait_for(sequence).unwrap();
    }
    journal.close().unwrap();
}

fn refill(dir: &TempDir) -> Refill {
    let path = dir.path().to_owned();
    Arc::new(move |tip, end| {
        let blocks =
            xos_journal::blocks(&path, &GROUP, tip.sequence + 1).unwrap().map(|block| block.map_err(|e| e.to_string()));
        let within = move |block: &Result<SealedBlock, String>| block.as_ref().is_ok_and(|block| block.first() <= end);
        Ok(if tip.sequence >= end {
            Box::new(std::iter::empty()) as LocalBlocks
        } else {
            Box::new(blocks.take_while(within))
        })
    })
}

fn genesis() -> Tip {
    Tip::genesis(&GROUP)
}

fn fresh() -> Joined {
    Joined { position: 0, epoch: 0, tip: genesis(), standing: Standing::Follows }
}

async fn lead(log: &Memory, node: NodeId) -> Leadership {
    let mut standby = Standby::new(log.clone(), node, &fresh(), LEASE);
    loop {
        if let News::Lead(lead) = standby.next().await.unwrap() {
            return lead;
        }
    }
}

/// Publishes blocks and says up to which command they were confirmed, and how it ended.
async fn publish(
    log: &Memory,
    lead: Leadership,
    refill: Refill,
    blocks: &[SealedBlock],
) -> (u64, Result<(), ReplicaError>) {
    let confirmed = Arc::new(Mutex::new(0));
    let confirming = Arc::clone(&confirmed);
    let publisher = Publisher::new(log.clone(), lead, genesis(), refill, move |to| *confirming.lock().unwrap() = to);
    let (sender, mut receiver) = mpsc::channel(blocks.len().max(1));
    for block in blocks {
        sender.send(block.clone()).await.unwrap();
    }
    drop(sender);
    let ended = publisher.run(&mut receiver).await;
    let confirmed = *confirmed.lock().unwrap();
    (confirmed, ended)
}

#[tokio::test(start_paused = true)]
async fn a_standby_gets_every_block_and_leads_when_nothing_is_heard_for_a_lease() {
    let (dir, blocks, _) = journal(5, 10);
    let log = Memory::new();
    let a = lead(&log, A).await;
    assert_eq!((a.epoch, a.position, a.tip), (1, 1, genesis()));
    let mut standby = Standby::new(log.clone(), B, &fresh(), LEASE);
    let News::Epoch(record) = standby.next().await.unwrap() else { panic!("the leader is there") };
    assert_eq!((record.epoch, record.leader), (1, A));
    let (confirmed, ended) = publish(&log, a, refill(&dir), &blocks).await;
    assert_eq!((confirmed, ended), (5, Ok(())));
    for block in &blocks {
        assert_eq!(standby.next().await.unwrap(), News::Block(block.clone()));
    }
    // Signs of life keep it waiting, those of an older epoch do not.
    let started = tokio::time::Instant::now();
    let beat = |epoch| Beat { epoch, leader: A, frame: 0, log_hash: [0; 32], address: String::new() };
    let beats = log.clone();
    tokio::spawn(async move {
        for epoch in [1, 1, 1, 0, 0, 0, 0] {
            tokio::time::sleep(LEASE / 2).await;
            beats.beat(beat(epoch).encode()).await;
        }
    });
    for _ in 0..3 {
        assert_eq!(standby.next().await.unwrap(), News::Beat(beat(1)));
    }
    let News::Lead(lead) = standby.next().await.unwrap() else { panic!("nobody else leads") };
    assert_eq!((lead.epoch, lead.position, lead.tip.sequence), (2, 7, 5));
    let waited = started.elapsed();
    assert!((LEASE * 5 / 2..LEASE * 3).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_replaced_confirms_nothing_more() {
    let (dir, blocks, _) = journal(4, 10);
    let log = Memory::new();
    let a = lead(&log, A).await;
    publish(&log, a, refill(&dir), &blocks[..2]).await.1.unwrap();
    let record = EpochRecord { epoch: 2, leader: B, tip: blocks[1].tip() };
    log.append(3, &Message::Epoch(record)).await.unwrap();
    let a = Leadership { position: 3, tip: blocks[1].tip(), ..a };
    let (confirmed, ended) = publish(&log, a, refill(&dir), &blocks[2..]).await;
    assert_eq!((confirmed, ended), (0, Err(ReplicaError::Deposed { epoch: 2 })));
    assert_eq!(log.len(), 4, "nothing of it is in the log");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_neither_loses_nor_repeats_a_block() {
    let (dir, blocks, _) = journal(40, 10);
    for lost in [1, 2, 7, 40] {
        let log = Memory::new();
        let a = lead(&log, A).await;
        *log.mute.lock().unwrap() = lost;
        let (confirmed, ended) = publish(&log, a, refill(&dir), &blocks).await;
        assert_eq!((confirmed, ended), (40, Ok(())), "{lost} answers lost");
        let tips: Vec<Tip> = log.all().iter().skip(1).map(Message::tip).collect();
        assert_eq!(tips, blocks.iter().map(SealedBlock::tip).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_what_it_had_is_refilled_from_the_journal() {
    let (dir, blocks, _) = journal(6, 10);
    for kept in 0..=5 {
        let log = Memory::new();
        let a = lead(&log, A).await;
        publish(&log, a, refill(&dir), &blocks[..4]).await.1.unwrap();
        log.lose(kept);
        let a = Leadership { position: 5, tip: blocks[3].tip(), ..a };
        let (confirmed, ended) = publish(&log, a, refill(&dir), &blocks[4..]).await;
        assert_eq!((confirmed, ended), (6, Ok(())), "{kept} kept");
        let in_log: Vec<_> = log.all().into_iter().filter(|message| matches!(message, Message::Block { .. })).collect();
        assert_eq!(
            in_log.iter().map(Message::tip).collect::<Vec<_>>(),
            blocks.iter().map(SealedBlock::tip).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_finds_where_its_journal_and_the_log_part() {
    let (dir, blocks, tips) = journal(6, 10);
    let log = Memory::new();
    // Nobody else is there: it leads, with all that it has.
    let joined = join(&log, A, &tips, LEASE).await.unwrap();
    let Standing::Leads(a) = joined.standing else { panic!("{joined:?}") };
    assert_eq!((joined.position, joined.tip, a.tip, a.position), (0, genesis(), genesis(), 1));
    let mut publisher = Publisher::new(log.clone(), a, genesis(), refill(&dir), |_| {});
    publisher.level(6).await.unwrap();
    assert_eq!(log.all().last().unwrap().tip(), blocks[5].tip());

    // Level, behind, and empty.
    for have in [6, 3, 0] {
        let joined = join(&log, B, &tips[..=have], LEASE).await.unwrap();
        assert_eq!((joined.standing, joined.tip), (Standing::Follows, tips[have]));
        assert_eq!(joined.position, if have == 0 { 1 } else { 1 + have as u64 }, "{have}");
    }

    // Another node took over behind the fourth, and went on: what this one has beyond it goes.
    log.lose(5);
    log.append(5, &Message::Epoch(EpochRecord { epoch: 2, leader: B, tip: tips[4] })).await.unwrap();
    let beating = log.clone();
    tokio::spawn(async move {
        loop {
            let beat = Beat { epoch: 2, leader: B, frame: 0, log_hash: [0; 32], address: String::new() };
            beating.beat(beat.encode()).await;
            tokio::time::sleep(LEASE / 5).await;
        }
    });
    let joined = join(&log, A, &tips, LEASE).await.unwrap();
    assert_eq!((joined.standing, joined.tip), (Standing::Cut, tips[4]), "somebody is heard");
    let (_other, others, _) = journal(5, 99);
    let foreign = Memory::new();
    let b = lead(&foreign, B).await;
    publish(&foreign, b, refill(&dir), &others).await.1.unwrap();
    assert_eq!(join(&foreign, A, &tips, LEASE).await.unwrap().standing, Standing::Cut, "they only share the beginning");

    // Its own journal begins later than the log ends.
    let error = join(&foreign, A, &tips[3..], LEASE).await.unwrap_err();
    assert!(matches!(&error, ReplicaError::Diverged(what) if what.contains("copy the data folder")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_continue_the_log_is_refused() {
    let (_dir, blocks, _) = journal(3, 10);
    let block = |epoch, block: &SealedBlock| Message::Block { epoch, block: block.clone() };
    for (message, why) in [
        (block(1, &blocks[1]), "does not continue"),
        (block(0, &blocks[0]), "does not continue"),
        (Message::Epoch(EpochRecord { epoch: 1, leader: B, tip: genesis() }), "does not continue"),
        (Message::Epoch(EpochRecord { epoch: 2, leader: B, tip: blocks[0].tip() }), "does not continue"),
    ] {
        let log = Memory::new();
        lead(&log, A).await;
        log.append(1, &message).await.unwrap();
        let mut standby = Standby::new(log, B, &fresh(), LEASE);
        standby.next().await.unwrap();
        let error = standby.next().await.unwrap_err();
        assert!(matches!(&error, ReplicaError::BadMessage { number: 2, what } if what.contains(why)), "{error}");
    }
    // A flipped bit anywhere in a block's message.
    let bytes = block(1, &blocks[0]).encode();
    for bit in (0..bytes.len() * 8).step_by(7) {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Message::decode(damaged.into()).is_err(), "bit {bit}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_standbys_one_leads_and_the_other_follows_it() {
    let log = Memory::new();
    let mut standbys = [A, B].map(|node| Standby::new(log.clone(), node, &fresh(), LEASE));
    let [first, second] = &mut standbys;
    let (first, second) = tokio::join!(first.next(), second.next());
    let News::Lead(lead) = first.unwrap() else { panic!("the one with the smaller name is faster") };
    assert_eq!(second.unwrap(), News::Epoch(EpochRecord { epoch: lead.epoch, leader: A, tip: genesis() }));
}

#[tokio::test(start_paused = true)]
async fn an_epoch_record_whose_answer_was_lost_counts_when_it_is_read() {
    let log = Memory::new();
    *log.mute.lock().unwrap() = 1;
    let a = lead(&log, A).await;
    assert_eq!((a.epoch, a.position, log.len()), (1, 1, 1));
}
