//! A look ahead at the commands that come next.
//!
//! With many accounts and orders nearly everything that a command touches lies in memory and not in a cache, and each step on
//! the way (account, index of its orders, order, level) waits for the one before. So the way of a command is gone ahead of it, one
//! step at a time, while the commands before it are applied: each step asks for what the next one needs, and by then it is there.
//!
//! ```text
//! applied ──▶   n      n+1 … n+REACH
//!               │        ▲      ▲      ▲      ▲
//!               │        │      │      │      └─ 1  its account, and where it would queue
//!               │        │      │      └─ 2  the account's lists and index, the ends of queues
//!               │        │      └─ 3  the orders that the index names, and whom it would meet
//!               │        └─ 4  what lies around them
//! ```
//!
//! Nothing waits and nothing is written, so what happens depends neither on who looked ahead nor on how far: a command in between
//! may have moved what was fetched, and then it is fetched again by whoever needs it.

use xos_book::{Guess, Handle};
use xos_types::{AccountId, Command, MarketId, Nonce, Order, Side, Ticks};

use crate::engine::Engine;

/// Commands between two steps, by measurement (docs/decisions/0020).
const STRIDE: usize = 3;
const STEPS: usize = 4;
/// How far ahead the first step is.
const REACH: usize = STRIDE * STEPS;
/// Places for those on their way and the next one; a power of two, so that going round them needs no division.
const TARGETS: usize = 16;
const _: () = assert!(TARGETS.is_power_of_two() && TARGETS > REACH);

/// Accounts and orders, together, that lie in the caches anyway; what is fetched for nothing costs a tenth of a command.
const CACHED: usize = 10_000;

/// Commands that are on their way: see [`Engine::look_ahead`].
#[derive(Debug, Default)]
pub struct Lookout {
    targets: [Target; TARGETS],
    /// Where the command stands that is applied next.
    next: usize,
    /// Those behind it have been looked at.
    begun: bool,
}

/// What a command is going to touch.
#[derive(Clone, Copy, Debug, Default)]
struct Target {
    account: AccountId,
    /// The order that it is about.
    nonce: Option<Nonce>,
    /// The one that may come to rest.
    arriving: Option<Arriving>,
    /// Where in the book that is, and where the order lies that it would meet first.
    queue: Option<Guess>,
    crossing: Option<Guess>,
    /// The order that it would meet first.
    met: Option<Handle>,
}

#[derive(Clone, Copy, Debug)]
struct Arriving {
    market: MarketId,
    side: Side,
    price: Ticks,
    nonce: Nonce,
}

impl Target {
    fn of(command: &Command) -> Option<Self> {
        let (account, nonce, arriving) = match command {
            Command::Place { order, .. } => (order.message.account, None, Some(&order.message)),
            Command::Replace { nonce, order, .. } => (order.message.account, Some(*nonce), Some(&order.message)),
            Command::Cancel(signed) => (signed.message.account, Some(signed.message.nonce), None),
            Command::Amend(signed) => (signed.message.account, Some(signed.message.nonce), None),
            _ => return None,
        };
        let arriving = arriving.map(|order| {
            let Order { market, side, price, nonce, .. } = *order;
            Arriving { market, side, price, nonce }
        });
        Some(Self { account, nonce, arriving, ..Self::default() })
    }
}

impl Engine {
    /// Fetches what commands will touch that are applied soon, unless the state is small. It changes nothing.
    ///
    /// To be called before each command of a run with the same lookout, new at its begin, and with what is left of the run: first
    /// the command that is applied next. `command` takes it out of whatever it lies in.
    #[inline]
    pub fn look_ahead<T>(&self, lookout: &mut Lookout, rest: &[T], command: impl Fn(&T) -> &Command) {
        if self.accounts.len() + self.orders.len() >= CACHED {
            self.fetch(lookout, rest, command);
        }
    }

    fn fetch<T>(&self, lookout: &mut Lookout, rest: &[T], command: impl Fn(&T) -> &Command) {
        let Lookout { targets, next, begun } = lookout;
        let first = *next;
        // Whoever begins goes each step for all that are within its reach.
        let from = |reach: usize| if *begun { reach } else { 0 };
        for n in from(REACH)..=REACH {
            let target = &mut targets[(first + n) % TARGETS];
            *target = rest.get(n).and_then(|coming| Target::of(command(coming))).unwrap_or_default();
            self.fetch_account(target);
        }
        for n in from(REACH - STRIDE)..=REACH - STRIDE {
            self.fetch_lists(&mut targets[(first + n) % TARGETS]);
        }
        for n in from(REACH - 2 * STRIDE)..=REACH - 2 * STRIDE {
            self.fetch_orders(&targets[(first + n) % TARGETS]);
        }
        for n in from(REACH - 3 * STRIDE)..=REACH - 3 * STRIDE {
            self.fetch_around(&targets[(first + n) % TARGETS]);
        }
        (*next, *begun) = ((first + 1) % TARGETS, true);
    }

    /// The first step: the account, the way to where the arriving order would queue, and the level that it would meet.
    #[inline]
    fn fetch_account(&self, target: &mut Target) {
        if let Some(account) = self.find_account(target.account) {
            account.fetch();
        }
        if let Some(order) = target.arriving
            && let Some(book) = self.find_book(order.market)
        {
            book.fetch_path(&self.orders.resting, order.side, order.price);
            target.crossing = book.guess_crossing(order.side, order.price);
            target.crossing.into_iter().for_each(|best| self.orders.resting.fetch_level(best));
        }
    }

    /// The second one: what the account points to, the level in which it would queue, and the order that it would meet.
    #[inline]
    fn fetch_lists(&self, target: &mut Target) {
        let Some(account) = self.find_account(target.account) else { return };
        target.nonce.into_iter().for_each(|nonce| account.orders.fetch(nonce));
        account.holdings.fetch();
        account.margins.fetch();
        let orders = &self.orders.resting;
        if let Some(order) = target.arriving {
            account.orders.fetch(order.nonce);
            target.queue = self.find_book(order.market).and_then(|book| book.guess(orders, order.side, order.price));
            target.queue.into_iter().for_each(|queue| orders.fetch_level(queue));
        }
        target.met = target.crossing.and_then(|best| orders.oldest_at(best));
        target.met.into_iter().for_each(|met| orders.fetch(met));
    }

    /// The third one: the order, whom it would queue behind, and the account of the one that it would meet.
    #[inline]
    fn fetch_orders(&self, target: &Target) {
        let orders = &self.orders.resting;
        if let (Some(account), Some(nonce)) = (self.find_account(target.account), target.nonce) {
            account.orders.guess(nonce).into_iter().for_each(|handle| orders.fetch(handle));
        }
        let youngest = target.queue.and_then(|queue| orders.youngest_at(queue));
        youngest.into_iter().for_each(|handle| orders.fetch(handle));
        if let Some(maker) = target.met.and_then(|met| self.find_account(self.orders.account(met))) {
            maker.fetch();
        }
    }

    /// The last one: what lies around the orders.
    #[inline]
    fn fetch_around(&self, target: &Target) {
        if let Some(handle) = target.nonce.and_then(|nonce| self.resting(target.account, nonce)) {
            self.orders.fetch_around(handle);
        }
        if let Some(met) = target.met
            && let Some(maker) = self.find_account(self.orders.account(met))
        {
            self.orders.fetch_around(met);
            maker.orders.fetch(self.orders.nonce(met));
            maker.holdings.fetch();
            maker.margins.fetch();
        }
    }
}

#[cfg(test)]
mod tests {
    use xos_types::{
        Address, Cancel, EventConfig, EventId, GroupConfig, GroupTerms, InboxItem, InboxPayload, Instructions, Lots,
        OrderKind, Ppm, Signature, Signed, TimeMs, TradingTerms, VenueConfig, VenueId,
    };

    use super::*;

    fn signed<T>(message: T) -> Signed<T> {
        Signed { message, signature: Signature::default(), signer: Address::ZERO }
    }

    fn order(account: u64, market: u32, price: u64) -> Signed<Order> {
        signed(Order {
            account: AccountId(account),
            market: MarketId(market),
            side: Side::Buy,
            kind: OrderKind::GoodTillCancelled,
            reduce_only: false,
            size: Lots(1),
            price: Ticks(price),
            nonce: Nonce(7),
            expiry: TimeMs(0),
            max_fee: Ppm(0),
            builder: 0,
            builder_fee: Ppm(0),
        })
    }

    #[test]
    fn whatever_comes_can_be_looked_at() {
        let terms = GroupTerms::usual(Address::ZERO);
        let (group, token, governance) = (Address::ZERO, Address::ZERO, Address::ZERO);
        let group = GroupConfig { chain_id: 1, group, token, governance, terms };
        let mut engine = Engine::new(group);
        let venue = VenueConfig {
            treasury: AccountId::PROTOCOL,
            protocol_share: Ppm(0),
            insurance_share: Ppm(0),
            referrer_share: Ppm(0),
        };
        let event = EventConfig {
            terms: TradingTerms::free(VenueId(1), 1),
            outcomes: 2,
            ticks: 1_000,
            resolver: Address::ZERO,
            title: String::new(),
            labels: Vec::new(),
        };
        let payloads = [
            InboxPayload::Deposit { account: AccountId(3), owner: Address::ZERO, token: Address::ZERO, amount: 1_000 },
            InboxPayload::VenueSet { venue: VenueId(1), config: venue },
            InboxPayload::EventOpened { event: EventId(1), config: event },
        ];
        let inbox = (0..).zip(payloads).map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload }).collect();
        let mut events = Vec::new();
        engine.apply(&Command::Frame { time: TimeMs(1), inbox, prices: Vec::new() }.into(), &mut events);
        engine.apply(&Command::place(order(3, 0x100, 500)).into(), &mut events);
        assert_eq!(engine.resting_orders(), 1);

        let state = engine.state_hash();
        let mut commands = vec![Command::Frame { time: TimeMs(2), inbox: Vec::new(), prices: Vec::new() }];
        for account in [0, 1, 3, 4, u64::MAX] {
            for (market, price) in [(0, 0), (0x100, 500), (0x101, 500), (0x1ff, 1), (0x200, 1), (u32::MAX, u64::MAX)] {
                let (order, instructions) = (order(account, market, price), Instructions::default());
                commands.push(Command::place(order));
                commands.extend([7, 8, u64::MAX].map(|nonce| {
                    let nonce = Nonce(nonce);
                    Command::Replace { nonce, order, instructions }
                }));
            }
            commands.push(Command::Cancel(signed(Cancel { account: AccountId(account), nonce: Nonce(7) })));
        }
        let mut lookout = Lookout::default();
        for next in 0..commands.len() {
            engine.fetch(&mut lookout, &commands[next..], |command| command);
        }
        assert_eq!(engine.state_hash(), state);

        // What a lookout knows may leave before it is looked at again: here the order that an arriving one would have met.
        let taker = Order { side: Side::Sell, nonce: Nonce(8), ..order(3, 0x100, 500).message };
        let takers = vec![Command::place(signed(taker)); 3 * TARGETS];
        let mut lookout = Lookout::default();
        engine.fetch(&mut lookout, &takers, |command| command);
        let cancel = Command::Cancel(signed(Cancel { account: AccountId(3), nonce: Nonce(7) }));
        engine.apply(&cancel.into(), &mut events);
        assert_eq!(engine.resting_orders(), 0);
        for next in 1..takers.len() {
            engine.fetch(&mut lookout, &takers[next..], |command| command);
        }
    }
}
