//! What a node does with its disk: writes its journal, saves its state, and lets out what is durable.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use xos_node::parts::SavedState;
use xos_types::Command;

use super::{Held, Life, Node};
use crate::truth::kind;
use crate::world::group;

impl Node {
    pub(super) async fn write(self: Rc<Self>, life: Rc<Life>) {
        loop {
            let wrote = {
                let mut journal = life.journal.borrow_mut();
                let journal = journal.as_mut().expect("a process has a journal");
                journal.set_room(self.disk_full.get().then(|| "no space left".to_owned()));
                journal.write()
            };
            match wrote {
                Ok(false) => {
                    life.appended.notified().await;
                    continue;
                }
                Ok(true) => {}
                Err(error) => return self.stop(kind(&error)),
            }
            sleep(self.dice.ms(0, self.disk_ms.get())).await;
            let synced = {
                let mut journal = life.journal.borrow_mut();
                let journal = journal.as_mut().expect("a process has a journal");
                if self.sync_fails.take() {
                    journal.fail_sync();
                }
                journal.commit()
            };
            if let Err(error) = synced {
                life.refused.set(true);
                self.note(format!("stops: {}", kind(&error)));
                // Nobody knows what of it is on the disk: as little as after a power failure, perhaps.
                return self.crash(true);
            }
            life.advanced.notify_one();
            sleep(self.dice.ms(0, 2)).await;
        }
    }

    /// What the follower does: saves the state now and then, from the files.
    pub(super) async fn save(self: Rc<Self>, life: Rc<Life>) {
        let every = self.world.setup.snapshot_every;
        if every == 0 {
            return;
        }
        let mut state = SavedState::newest(&self.snapshots_dir(), group()).expect("the folder is there");
        let mut saved = state.sequence();
        loop {
            sleep(Duration::from_millis(500)).await;
            let durable = life.journal.borrow().as_ref().expect("a process has a journal").durability().sequence();
            if durable < saved + every {
                continue;
            }
            let Ok(replay) = xos_journal::read_only(self.journal_dir(), state.sequence() + 1) else { return };
            for read in replay {
                let Ok((sequence, command)) = read else { return };
                if sequence <= state.sequence() {
                    continue;
                }
                state.apply(&command);
                if sequence == durable {
                    break;
                }
            }
            let step = async || {
                life.saving.set(life.saving.get() + 1);
                if let Some((steps, power_fails)) = self.crash_in_save.get().filter(|(at, _)| *at == life.saving.get())
                {
                    self.crash_in_save.set(None);
                    self.note(format!("is to crash at step {steps} of saving a state"));
                    self.crash(power_fails);
                }
                sleep(self.dice.ms(0, 20)).await;
            };
            state.save(&self.snapshots_dir(), step).await.expect("there is room for it");
            life.saving.set(0);
            saved = state.sequence();
            self.note(format!("saves the state after command {saved}"));
        }
    }

    /// Lets out what is durable.
    pub(super) async fn let_out(self: Rc<Self>, life: Rc<Life>) {
        loop {
            life.advanced.notified().await;
            let durable = life.journal.borrow().as_ref().expect("a process has a journal").durability().sequence();
            loop {
                let held = {
                    let mut state = life.state.borrow_mut();
                    if state.held.front().is_none_or(|(sequence, _)| *sequence > durable) {
                        break;
                    }
                    state.held.pop_front().expect("it was just looked at").1
                };
                self.tell(&life, held);
            }
        }
    }

    pub(super) fn tell(&self, life: &Life, held: Held) {
        if life.refused.get() {
            self.broken("tells somebody something after its disk has refused");
        }
        let mut truth = self.world.truth.borrow_mut();
        match held {
            Held::Answers { told, head, reply, answers } => {
                for (sequence, command) in &told {
                    truth.told(self.name, *sequence, command, head);
                    if let Command::Place { order, .. } = command.command() {
                        truth.accepted(self.name, order.message.account, order.message.nonce, *sequence);
                    }
                }
                // Its sender may have given up.
                let _ = reply.send(answers);
            }
            Held::Frame(frame) => {
                truth.sealed(self.name, &frame);
                if let Some(sealed) = &life.state.borrow().sealed {
                    // The submitter ended only if it halted, which it has said.
                    let _ = sealed.send(*frame);
                }
            }
        }
    }
}
