//! A flash move through a hundred thousand stops: each frame's work is bounded, the order is kept, and nobody is lost.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use std::collections::BTreeSet;

use group::*;
use xos_engine::Engine;
use xos_engine::limits::{RELEASES_MAX, TRIGGERS_MAX, WAITING_MAX};
use xos_types::*;

const MARKET: MarketId = MarketId::new(EVENT, 0);
const FIRST: u64 = 10;
const TRADERS: u64 = 500;

/// An engine alone: what the helpers check after every command would take too long here.
struct Flash {
    engine: Engine,
    time: u64,
    inbox: u64,
    nonce: u64,
}

impl Flash {
    fn new() -> Self {
        let mut this = Self { engine: Engine::new(config()), time: 1_000, inbox: 0, nonce: 0 };
        let opened = InboxPayload::EventOpened { event: EVENT, config: terms(2, 0, 0) };
        let traders = (TREASURY..FIRST + TRADERS).map(|account| deposit(account, DEPOSIT.unsigned_abs()));
        this.frame(traders.chain([venue([0; 3]), opened]).collect());
        this
    }

    fn apply(&mut self, command: Command) -> Vec<Event> {
        let mut events = vec![];
        self.engine.apply(&command.into(), &mut events);
        events
    }

    fn frame(&mut self, payloads: Vec<InboxPayload>) -> Vec<Event> {
        self.time += 1_000;
        let items = payloads.into_iter().enumerate().map(|(index, payload)| InboxItem {
            index: self.inbox + index as u64,
            time: TimeMs(0),
            payload,
        });
        let inbox: Vec<_> = items.collect();
        self.inbox += inbox.len() as u64;
        self.apply(Command::Frame { time: TimeMs(self.time), inbox, prices: vec![] })
    }

    fn order(&mut self, account: u64, side: Side, size: u64, price: u64) -> Order {
        self.nonce += 1;
        Order {
            account: AccountId(account),
            market: MARKET,
            side,
            kind: OrderKind::GoodTillCancelled,
            reduce_only: false,
            size: Lots(size),
            price: Ticks(price),
            nonce: Nonce(self.nonce),
            expiry: TimeMs(0),
            max_fee: Ppm(0),
            builder: 0,
            builder_fee: Ppm(0),
        }
    }

    fn trade_at(&mut self, price: u64) {
        for (account, side) in [(BOB, Side::Sell), (CAROL, Side::Buy)] {
            let order = self.order(account, side, 1, price);
            let events = self.apply(Command::place(signed(account, order)));
            assert!(matches!(events[0], Event::Accepted { .. }), "{events:?}");
        }
    }

    /// An order that waits for the mark to fall to a price.
    fn stop(&mut self, account: u64, kind: OrderKind, price: u64) -> Nonce {
        let order = Order { kind, ..self.order(account, Side::Sell, 1, 1) };
        let trigger = Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrBelow, price: Ticks(price) };
        let plan = Plan { trigger: Some(trigger), ..Plan::default() };
        let (order, instructions) = (signed(account, order), Instructions::default());
        let events = self.apply(Command::Plan { order, instructions, plan });
        assert!(matches!(events[..], [Event::Planned { .. }]), "{events:?}");
        Nonce(self.nonce)
    }
}

fn triggered(events: &[Event]) -> Vec<Nonce> {
    let of = |event: &Event| if let Event::Triggered { nonce, .. } = event { Some(*nonce) } else { None };
    events.iter().filter_map(of).collect()
}

#[test]
fn a_flash_move_through_a_hundred_thousand_stops_keeps_each_frames_work_bounded() {
    let mut flash = Flash::new();
    flash.trade_at(900);
    // Fill-or-kill into an empty book: refused as they are released, so that what remains to be seen is the triggering itself.
    let mut stops = vec![];
    for round in 0..u64::from(WAITING_MAX) {
        for account in FIRST..FIRST + TRADERS {
            let price = 100 + (account * 31 + round * 17) % 700;
            stops.push((core::cmp::Reverse(price), flash.stop(account, OrderKind::FillOrKill, price)));
        }
    }
    assert_eq!((stops.len(), flash.frame(vec![]).len()), (100_000, 1), "nobody's price is there");

    // The price is there for one frame, and back before the next.
    flash.trade_at(90);
    let mut seen = triggered(&flash.frame(vec![]));
    assert_eq!(seen.len(), TRIGGERS_MAX);
    flash.trade_at(900);
    let late = flash.stop(BOB, OrderKind::FillOrKill, 500);
    // One that was reached and waits for its turn is cancelled.
    stops.sort();
    let (_, spared) = stops[50_000];
    let account = (FIRST..FIRST + TRADERS)
        .map(AccountId)
        .find(|account| flash.engine.planned_order(*account, spared).is_some())
        .unwrap();
    let events = flash.apply(Command::Cancel(signed(account.0, Cancel { account, nonce: spared })));
    assert!(matches!(events[..], [Event::Cancelled { .. }]), "{events:?}");

    let mut snapshot = vec![];
    let hash = flash.engine.snapshot(&mut snapshot).unwrap();
    let mut restored = Engine::restore(&snapshot[..]).unwrap();
    assert_eq!(restored.state_hash(), hash);
    let mut frames = 1;
    while seen.len() < stops.len() - 1 {
        let events = flash.frame(vec![]);
        let mut there = vec![];
        let time = TimeMs(flash.time);
        restored.apply(&Command::Frame { time, inbox: vec![], prices: vec![] }.into(), &mut there);
        assert_eq!(events, there, "a restored engine goes on in the same order");
        let here = triggered(&events);
        assert!(!here.is_empty() && here.len() <= TRIGGERS_MAX, "{} in one frame", here.len());
        // Each is triggered, released, refused and cancelled; beside them only the frame is sealed.
        let released = events.iter().filter(|event| matches!(event, Event::Refused { .. })).count();
        assert!(released <= RELEASES_MAX as usize && events.len() <= 1 + here.len() + 2 * released, "{frames}");
        seen.extend(here);
        frames += 1;
    }
    assert_eq!(frames, stops.len().div_ceil(TRIGGERS_MAX));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "nobody twice");
    // By level, and at one level as they came.
    let expected: Vec<Nonce> = stops.iter().map(|(_, nonce)| *nonce).filter(|nonce| *nonce != spared).collect();
    assert_eq!(seen, expected);
    assert!(flash.engine.planned_order(AccountId(BOB), late).is_some(), "the price was gone when it came");
    flash.engine.check_invariants();
}

/// The same for slices that are due at once.
#[test]
fn slices_that_are_due_at_once_come_a_bounded_number_a_frame() {
    let mut flash = Flash::new();
    let plan = Plan { pace: Pace::Twap { slices: 2, interval: 1_000 }, ..Plan::default() };
    for _ in 0..20 {
        for account in FIRST..FIRST + TRADERS {
            let order = flash.order(account, Side::Buy, 2, 1);
            let (order, instructions) = (signed(account, order), Instructions::default());
            flash.apply(Command::Plan { order, instructions, plan });
        }
    }
    let mut slices = 0;
    for frame in 0..8 {
        let events = flash.frame(vec![]);
        let released = events.iter().filter(|event| matches!(event, Event::Released { .. })).count();
        assert!(released <= RELEASES_MAX as usize, "{released} in frame {frame}");
        slices += released;
    }
    assert_eq!(slices, 20_000, "two slices each");
}
