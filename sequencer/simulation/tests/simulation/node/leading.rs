//! What a leader does: takes commands, inbox items and time, and seals frames.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use xos_chain::{InboxConfig, InboxNews, InboxReader, Submitter, SubmitterConfig};
use xos_node::{NodeError, parts};
use xos_types::{Command, Event, Frame, Logged, TimeMs, WindowOrder};

use super::{
    Answer, FRAME_INTERVAL, FRAME_ITEMS, FRAMES_BEHIND, Held, INGRESS_WINDOW, Life, Node, PUT_OFF_MAX, Request, State,
    UNSETTLED_MAX, Unanswered, short,
};
use crate::evm::sequencer;

impl Node {
    /// Takes commands, inbox items and time, from here on.
    pub(super) async fn lead(self: Rc<Self>, life: &Rc<Life>) {
        let chain = self.world.chain();
        let anchor = loop {
            match parts::anchor(&chain).await {
                Ok(anchor) => break anchor,
                Err(error) => self.note(format!("cannot see the chain: {}", short(&error.to_string()))),
            }
            sleep(Duration::from_millis(500)).await;
        };
        let frames = life.state.borrow().frames.clone();
        if let Some(frame) = frames.iter().find(|frame| frame.id == anchor.id)
            && (frame.sequence, frame.log_hash) != (anchor.sequence, anchor.log_hash)
        {
            self.broken(format!("batch {} on chain is not its frame", anchor.id));
        }
        if anchor.id > life.state.borrow().engine.frames_sealed() {
            return match &self.world.stream {
                // It was replaced already and does not know it.
                Some(_) => self.stop(format!("the chain has settled batch {} already", anchor.id)),
                None => self.broken(format!("leads, and the chain has settled batch {} already", anchor.id)),
            };
        }
        loop {
            match parts::check_consumed(&chain, &frames, anchor.id).await {
                Ok(()) => break,
                Err(NodeError::InboxTakenBack { index }) => {
                    return self.end_for_good(format!("the chain took back inbox item {index}"));
                }
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        }
        let (sealed, mut frames_sealed) = mpsc::unbounded_channel::<Frame>();
        let (hand_in, handed_in) = mpsc::channel(16);
        let (reports, mut settled) = mpsc::unbounded_channel();
        // They are durable, so they are let out, whatever the last life came to.
        frames.iter().for_each(|frame| self.world.truth.borrow_mut().sealed(self.name, frame));
        // As the product hands them in: what a reorganisation may still take back.
        for frame in frames.into_iter().filter(|frame| frame.id + 320 > anchor.id) {
            let _ = sealed.send(frame);
        }
        let next_inbox = {
            let mut state = life.state.borrow_mut();
            (state.sealed, state.settled) = (Some(sealed), anchor.id);
            state.engine.next_inbox()
        };
        self.note(format!("leads; {} is the last batch on chain", anchor.id));
        life.process.spawn(async move {
            while let Some(frame) = frames_sealed.recv().await {
                if hand_in.send(frame).await.is_err() {
                    return;
                }
            }
        });
        let submitter = Submitter::on(chain.clone(), sequencer(), sequencer(), SubmitterConfig::default());
        let node = Rc::clone(&self);
        life.process.spawn(async move {
            if let Err(error) = submitter.run(handed_in, reports).await {
                if node.world.setup.is_shallow() {
                    node.end_for_good(format!("settlement halts: {}", short(&error.to_string())));
                } else {
                    node.broken(format!("settlement halts: {error}"));
                }
            }
        });
        let notes = Rc::clone(life);
        life.process.spawn(async move {
            while let Some(batch) = settled.recv().await {
                let mut state = notes.state.borrow_mut();
                state.settled = state.settled.max(batch.id);
            }
        });
        let config = InboxConfig { confirmations: self.world.setup.confirmations, ..InboxConfig::default() };
        let reader = InboxReader::on(chain, config, next_inbox);
        let (news, mut inbox) = mpsc::channel(64);
        let node = Rc::clone(&self);
        life.process.spawn(async move {
            if let Err(error) = reader.run(news).await {
                node.broken(format!("the inbox cannot be read any further: {error}"));
            }
        });
        let mut next_frame = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sleep_until(next_frame) => {
                    next_frame = (next_frame + FRAME_INTERVAL).max(Instant::now());
                    while let Ok(piece) = inbox.try_recv() {
                        if let Some(index) = hear(&mut life.state.borrow_mut(), piece) {
                            return self.end_for_good(format!("the chain took back inbox item {index}"));
                        }
                    }
                    if !puts_off(&mut life.state.borrow_mut()) {
                        self.frame(life);
                    }
                }
                () = life.arrived.notified() => {
                    sleep(INGRESS_WINDOW).await;
                    self.window(life);
                }
            }
        }
    }

    /// A client's commands arrive.
    pub(crate) fn arrive(&self, commands: Vec<Command>) -> Result<oneshot::Receiver<Vec<Answer>>, Unanswered> {
        let life = self.life.borrow();
        let life = life.as_ref().ok_or(Unanswered::NotHere)?;
        let mut state = life.state.borrow_mut();
        if state.sealed.is_none() {
            return Err(Unanswered::NotHere);
        }
        let short = life.journal.borrow().as_ref().is_some_and(|journal| journal.durability().shortage().is_some());
        let places = commands.iter().any(|command| matches!(command, Command::Place { .. }));
        if (short && places) || state.engine.frames_sealed().saturating_sub(state.settled) >= UNSETTLED_MAX {
            return Err(Unanswered::Refused);
        }
        let (reply, answer) = oneshot::channel();
        state.requests.push(Request { commands, reply });
        life.arrived.notify_one();
        Ok(answer)
    }

    pub(super) fn apply(&self, state: &mut State, command: &Logged) -> Vec<Event> {
        let mut events = Vec::new();
        state.engine.apply(command, &mut events);
        for event in &events {
            if let Event::FrameSealed(frame) = event {
                state.frames.push((**frame).clone());
            }
        }
        events
    }

    pub(super) fn append(&self, life: &Life, commands: &[Logged]) {
        let mut journal = life.journal.borrow_mut();
        journal.as_mut().expect("a process has a journal").append(commands).expect("commands of these clients fit");
        life.appended.notify_one();
    }

    pub(super) fn window(&self, life: &Life) {
        let mut state = life.state.borrow_mut();
        let requests = std::mem::take(&mut state.requests);
        if requests.is_empty() {
            return;
        }
        let opening = Logged::new(Command::Window { time: TimeMs(self.unix_ms()) });
        self.apply(&mut state, &opening);
        let mut block = vec![opening];
        let mut replies = Vec::new();
        let mut window = WindowOrder::default();
        let mut order = Vec::new();
        for (index, Request { commands, reply }) in requests.into_iter().enumerate() {
            order.extend(commands.into_iter().map(|command| (window.next(&command), index, command)));
            replies.push((reply, Vec::new(), Vec::new()));
        }
        order.sort_by_key(|(turn, ..)| *turn);
        for (_, index, command) in order {
            let command = Logged::new(command);
            let events = self.apply(&mut state, &command);
            let rejected = events.iter().find_map(|event| match event {
                Event::Rejected { reject, .. } => Some(reject.to_string()),
                _ => None,
            });
            let sequence = state.engine.sequence();
            let (_, answers, told) = &mut replies[index];
            answers.push(rejected.map_or(Answer::Done(sequence), Answer::Rejected));
            if matches!(answers.last(), Some(Answer::Done(_))) {
                told.push((sequence, command.clone()));
            }
            block.push(command);
        }
        self.append(life, &block);
        let head = (state.engine.sequence(), state.engine.log_hash());
        for (reply, answers, told) in replies {
            state.held.push_back((head.0, Held::Answers { told, head, reply, answers }));
        }
    }

    pub(super) fn frame(&self, life: &Life) {
        let mut state = life.state.borrow_mut();
        let items = state.waiting.len().min(FRAME_ITEMS);
        let inbox = state.waiting.drain(..items).collect();
        let time = TimeMs(self.unix_ms().max(state.engine.frame_time().0 + 1));
        let command = Logged::new(Command::Frame { time, inbox, prices: Vec::new() });
        let events = self.apply(&mut state, &command);
        self.append(life, &[command]);
        let sequence = state.engine.sequence();
        for event in events {
            if let Event::FrameSealed(frame) = event {
                state.held.push_back((sequence, Held::Frame(frame)));
            }
        }
        self.world.truth.borrow_mut().stands(self.name, &state.engine);
    }

    /// What its own clock says.
    pub(super) fn unix_ms(&self) -> u64 {
        self.world.unix_ms().saturating_add_signed(self.clock.get())
    }
}

/// Takes note of what the chain says; the first item that it took back although the log has consumed it.
fn hear(state: &mut State, news: InboxNews) -> Option<u64> {
    match news {
        InboxNews::Item(item) => state.waiting.push_back(item),
        InboxNews::TakenBack(from) if from < state.engine.next_inbox() => return Some(from),
        InboxNews::TakenBack(from) => state.waiting.retain(|item| item.index < from),
    }
    None
}

fn puts_off(state: &mut State) -> bool {
    let behind = state.engine.frames_sealed().saturating_sub(state.settled) >= FRAMES_BEHIND;
    let put_off = state.put_off < PUT_OFF_MAX && behind && state.waiting.is_empty();
    state.put_off = if put_off { state.put_off + 1 } else { 0 };
    put_off
}
