//! What a node does when there are several: follows the log, takes the lead, and fills the log.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use xos_journal::{JournalError, Tip};
use xos_replica::{Beat, Joined, Leadership, News, NodeId, Publisher, ReplicaError, Standby, Standing};

use super::{LEASE, Life, Node, short};
use crate::stream::Way;
use crate::world::group;

impl Node {
    pub(super) async fn take_part(self: Rc<Self>, life: Rc<Life>, way: Way, id: NodeId, joined: Joined, genesis: Tip) {
        let lead = match joined.standing {
            Standing::Leads(lead) => lead,
            Standing::Follows | Standing::Cut => match self.follow(&life, &way, id, &joined).await {
                Some(lead) => lead,
                None => return,
            },
        };
        self.note(format!("takes the lead: epoch {}, message {}", lead.epoch, lead.position));
        if !self.publish(&life, way.clone(), lead, genesis).await {
            return;
        }
        // It may have been replaced already and not know it; then it can tell nobody anything.
        self.world.truth.borrow_mut().check_journal(self.name, &self.journal_dir(), 0);
        let (node, beats) = (Rc::clone(&self), Rc::clone(&life));
        life.process.spawn(async move {
            loop {
                let (frame, log_hash) = {
                    let state = beats.state.borrow();
                    state.frames.last().map_or((0, [0; 32]), |frame| (frame.id, frame.log_hash))
                };
                let beat = Beat { epoch: lead.epoch, leader: id, frame, log_hash, address: node.name.to_owned() };
                xos_replica::Log::beat(&way, beat.encode()).await;
                sleep(LEASE / 4).await;
            }
        });
        self.lead(&life).await;
    }

    /// Applies what the leader writes, until this node leads.
    pub(super) async fn follow(&self, life: &Life, way: &Way, id: NodeId, joined: &Joined) -> Option<Leadership> {
        let mut standby = Standby::new(way.clone(), id, joined, LEASE);
        loop {
            match standby.next().await {
                Ok(News::Block(block)) => {
                    let mut state = life.state.borrow_mut();
                    for command in block.commands().expect("a leader's block") {
                        self.apply(&mut state, &command);
                    }
                    self.world.truth.borrow_mut().stands(self.name, &state.engine);
                    life.journal.borrow_mut().as_mut().expect("a process has a journal").append_block(block);
                    life.appended.notify_one();
                }
                Ok(News::Beat(beat)) => {
                    let differs = life
                        .state
                        .borrow()
                        .frames
                        .iter()
                        .any(|frame| frame.id == beat.frame && frame.log_hash != beat.log_hash);
                    if differs {
                        self.broken(format!("differs from the leader at frame {}", beat.frame));
                    }
                }
                Ok(News::Epoch(record)) => self.note(format!("hears of epoch {}", record.epoch)),
                Ok(News::Lead(lead)) => {
                    // The product waits for its disk, too, before it takes commands.
                    loop {
                        let local = {
                            let journal = life.journal.borrow();
                            let journal = journal.as_ref().expect("a process has a journal");
                            journal.durability().local_sequence() >= journal.last_sequence()
                        };
                        if local {
                            return Some(lead);
                        }
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                Err(error) => {
                    self.stop(format!("it cannot follow: {}", short(&error.to_string())));
                    return None;
                }
            }
        }
    }

    /// Brings the stream level with the journal; from then on it must have what anybody is told of.
    pub(super) async fn publish(self: &Rc<Self>, life: &Rc<Life>, way: Way, lead: Leadership, genesis: Tip) -> bool {
        let (durability, end) = {
            let journal = life.journal.borrow();
            let journal = journal.as_ref().expect("a process has a journal");
            (journal.durability(), journal.last_sequence())
        };
        let dir = self.journal_dir();
        let refill = Arc::new(move |tip: Tip, end: u64| {
            let say = |error: JournalError| error.to_string();
            let blocks = xos_journal::blocks(&dir, &group(), tip.sequence + 1).map_err(say)?;
            let wanted =
                blocks.take_while(move |block| block.as_ref().map_or(true, |block| block.tip().sequence <= end));
            Ok(Box::new(wanted.map(move |block| block.map_err(say))) as xos_replica::LocalBlocks)
        });
        let advanced = Arc::clone(&life.advanced);
        let confirm = move |sequence| {
            durability.confirm(sequence);
            advanced.notify_one();
        };
        let mut publisher = Publisher::new(way, lead, genesis, refill, confirm);
        if let Err(error) = publisher.level(end).await {
            self.leads_no_more(&error);
            return false;
        }
        let (offer, mut blocks) = mpsc::channel(10_000);
        life.journal.borrow_mut().as_mut().expect("a process has a journal").replicate(move |block| {
            // If nobody takes it, the node has just learned that it leads no more.
            let _ = offer.try_send(block);
        });
        let node = Rc::clone(self);
        life.process.spawn(async move {
            if let Err(error) = publisher.run(&mut blocks).await {
                node.leads_no_more(&error);
            }
        });
        true
    }

    pub(super) fn leads_no_more(&self, error: &ReplicaError) {
        match error {
            ReplicaError::Deposed { .. } => self.stop("another node leads"),
            other => self.broken(format!("cannot lead any more: {other}")),
        }
    }
}
