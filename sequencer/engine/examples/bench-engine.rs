//! Throughput of the engine on one core: `cargo run --release -p xos-engine --example bench-engine`.
//!
//! One event of 48 outcomes, of which 8 trade, with fees; 40 accounts, each with its margin; about 1,000 resting orders.
//! A step is a new order that rests (9 %), an immediate-or-cancel order that trades (3 %), a cancel (6 %), or a cancel and a
//! new order (82 %), as in the usual benchmarks of books; each cancel and each order is one command. A frame is sealed every
//! 2,000 steps. What is measured is `Engine::apply` as the node calls it: checks, margin, matching, netting and the log's
//! hash; not signatures and not the journal.
//!
//! Prints one line of JSON; the value is the median of five runs.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout)]

use std::time::Instant;

use xos_engine::Engine;
use xos_types::{
    AccountId, Address, Cancel, Command, EventConfig, EventId, GroupConfig, InboxItem, InboxPayload, Logged, Lots,
    MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs, TradingTerms, VenueConfig, VenueId,
};

const STEPS: u64 = 300_000;
const RUNS: usize = 5;
const VENUE: VenueId = VenueId(1);
/// Number of the first account that a deposit opens.
const FIRST: u64 = 3;
const ACCOUNTS: u64 = 40;
const MARKETS: u64 = 8;
const RESTING: usize = 1_000;
const FRAME_STEPS: u64 = 2_000;

/// Xorshift: the same commands every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

struct Script {
    dice: Dice,
    commands: Vec<Logged>,
    /// Orders that were meant to rest; some have filled since, and cancelling those is refused.
    resting: Vec<(AccountId, Nonce)>,
    nonces: Vec<u64>,
}

fn owner(account: AccountId) -> Address {
    Address::left_padding_from(&account.0.to_be_bytes())
}

impl Script {
    fn sign<T>(message: T, account: AccountId) -> Signed<T> {
        Signed { message, signature: Signature::default(), signer: owner(account) }
    }

    fn place(&mut self, kind: OrderKind) {
        let account = AccountId(FIRST + self.dice.below(ACCOUNTS));
        let index = usize::try_from(account.0).expect("few accounts");
        self.nonces[index] += 1;
        let nonce = Nonce(self.nonces[index]);
        let outcome = u8::try_from(self.dice.below(MARKETS)).expect("few markets");
        let buys = self.dice.below(2) == 0;
        // Resting orders keep away from the middle; those that are to trade cross it.
        let takes = kind == OrderKind::ImmediateOrCancel;
        let distance = self.dice.below(40);
        let price = if buys == takes { 501 + distance } else { 499 - distance };
        let order = Order {
            account,
            market: MarketId::new(EventId(1), outcome),
            side: if buys { Side::Buy } else { Side::Sell },
            kind,
            reduce_only: false,
            size: Lots(1 + self.dice.below(100)),
            price: Ticks(price),
            nonce,
            expiry: TimeMs(0),
            max_fee: Ppm(1_000),
            builder: 0,
            builder_fee: Ppm(0),
        };
        if !takes {
            self.resting.push((account, nonce));
        }
        self.commands.push(Command::place(Self::sign(order, account)).into());
    }

    fn cancel(&mut self) {
        let pick = self.dice.below(self.resting.len() as u64);
        let (account, nonce) = self.resting.swap_remove(usize::try_from(pick).expect("a small index"));
        self.commands.push(Command::Cancel(Self::sign(Cancel { account, nonce }, account)).into());
    }

    fn write() -> Self {
        let mut script = Self {
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            commands: Vec::new(),
            resting: Vec::new(),
            nonces: vec![0; usize::try_from(FIRST + ACCOUNTS).expect("few accounts")],
        };
        let deposits = (FIRST..FIRST + ACCOUNTS).map(|account| {
            let account = AccountId(account);
            let amount = 1_000_000_000_000;
            InboxPayload::Deposit { account, owner: owner(account), token: Address::ZERO, amount }
        });
        let config = EventConfig {
            terms: TradingTerms { taker_fee: Ppm(1_000), ..TradingTerms::free(VENUE, 1_000) },
            outcomes: 48,
            ticks: 1_000,
            resolver: Address::ZERO,
            title: "Champion".into(),
            labels: (0..48).map(|k| format!("Team {k}")).collect(),
        };
        let opened = InboxPayload::EventOpened { event: EventId(1), config };
        let venue = VenueConfig {
            treasury: AccountId::PROTOCOL,
            protocol_share: Ppm(0),
            insurance_share: Ppm(50_000),
            referrer_share: Ppm(0),
        };
        let venue = InboxPayload::VenueSet { venue: VENUE, config: venue };
        let payloads = (0..).zip(deposits.chain([venue, opened]));
        let inbox = payloads.map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload }).collect();
        script.commands.push(Command::Frame { time: TimeMs(1), inbox }.into());
        while script.resting.len() < RESTING {
            script.place(OrderKind::GoodTillCancelled);
        }
        for step in 0..STEPS {
            match script.dice.below(100) {
                0..9 if script.resting.len() < 2 * RESTING => script.place(OrderKind::GoodTillCancelled),
                9..12 => script.place(OrderKind::ImmediateOrCancel),
                12..18 if script.resting.len() > RESTING => script.cancel(),
                _ => {
                    script.cancel();
                    script.place(OrderKind::GoodTillCancelled);
                }
            }
            if step % FRAME_STEPS == FRAME_STEPS - 1 {
                script.commands.push(Command::Frame { time: TimeMs(2 + step), inbox: vec![] }.into());
            }
        }
        script
    }
}

fn main() {
    let script = Script::write();
    let mut rates: Vec<u128> = (0..RUNS)
        .map(|_| {
            let mut engine = Engine::new(GroupConfig {
                chain_id: 1,
                group: Address::ZERO,
                token: Address::ZERO,
                governance: Address::ZERO,
            });
            let mut events = Vec::new();
            let start = Instant::now();
            for command in &script.commands {
                events.clear();
                engine.apply(command, &mut events);
            }
            let elapsed = start.elapsed();
            engine.check_invariants();
            assert!(engine.event(EventId(1)).is_some_and(|event| event.volume > 0), "the workload trades");
            script.commands.len() as u128 * 1_000_000_000 / elapsed.as_nanos()
        })
        .collect();
    rates.sort_unstable();
    println!(r#"{{"bench":"engine.mixed.throughput","value":{},"unit":"commands/s"}}"#, rates[RUNS / 2]);
}
