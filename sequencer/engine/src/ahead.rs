//! A look ahead at the commands that come next.
//!
//! With many accounts and orders nearly everything that a command touches lies in memory and not in a cache, and each step on
//! the way (account, index of its orders, order, level) waits for the one before. Commands that come together need not wait for
//! each other: one pass over all of them for each step, and the machine fetches a window's accounts side by side, then what
//! these point to, then its orders, then what lies around them. A step follows a pointer that the step before has fetched and
//! decides nothing by what it fetches itself: a branch on what is not there yet is guessed, and a wrong guess ends the
//! side by side. It only reads, so nothing that happens depends on who looked ahead, or how far.

use std::hint::black_box;

use xos_book::{Guess, Handle};
use xos_types::{AccountId, Command, MarketId, MarketKind, Nonce, Order};

use crate::account::Account;
use crate::engine::Engine;

/// How many commands are looked at side by side: about as many as memory serves at once, and few enough to still be in the first
/// cache when their turn comes.
pub const LOOK_AHEAD: usize = 16;

/// Accounts and orders, together, that lie in the caches anyway; what is fetched for nothing costs a tenth of a command.
const CACHED: usize = 10_000;

/// What a command is going to touch.
#[derive(Clone, Copy, Default)]
struct Target<'a> {
    account: AccountId,
    /// The order that it is about, and what that may be by its account's index.
    nonce: Option<Nonce>,
    candidates: [Option<Handle>; 2],
    handle: Option<Handle>,
    /// The one that may come to rest.
    arriving: Option<&'a Order>,
    /// Where in the book that is, and where the order lies that it would meet first.
    queue: Option<Guess>,
    crossing: Option<Guess>,
    /// The order behind which it would queue.
    youngest: Option<Handle>,
    /// The order that it would meet first.
    met: Option<Handle>,
}

impl<'a> Target<'a> {
    fn of(command: &'a Command) -> Option<Self> {
        let (account, nonce, arriving) = match command {
            Command::Place { order, .. } => (order.message.account, None, Some(&order.message)),
            Command::Replace { nonce, order, .. } => (order.message.account, Some(*nonce), Some(&order.message)),
            Command::Cancel(signed) => (signed.message.account, Some(signed.message.nonce), None),
            Command::Amend(signed) => (signed.message.account, Some(signed.message.nonce), None),
            _ => return None,
        };
        Some(Self { account, nonce, arriving, ..Self::default() })
    }
}

impl Engine {
    /// Fetches what the first [`LOOK_AHEAD`] of these commands will touch, unless the state is small. Worth it when they are
    /// applied right after; it changes nothing.
    pub fn look_ahead<'a>(&self, commands: impl Iterator<Item = &'a Command>) {
        if self.accounts.len() + self.orders.len() >= CACHED {
            self.fetch(commands);
        }
    }

    fn fetch<'a>(&self, commands: impl Iterator<Item = &'a Command>) {
        let mut targets = [Target::default(); LOOK_AHEAD];
        let mut count = 0;
        for (target, command) in targets.iter_mut().zip(commands.filter_map(Target::of)) {
            *target = command;
            count += 1;
        }
        let targets = &mut targets[..count];
        let mut seen = 0;
        // Each loop is short: as many of its turns as the machine has in hand at once wait together.
        for target in targets.iter() {
            seen ^= self.find_account(target.account).map_or(0, Account::glance);
        }
        for target in targets.iter_mut() {
            if let Some(order) = target.arriving
                && let Some(book) = self.find_book(order.market)
            {
                target.queue = book.guess(&self.orders.resting, order.side, order.price);
                target.crossing = book.guess_crossing(order.side, order.price);
            }
        }
        for guess in targets.iter().filter_map(|target| target.queue) {
            seen ^= self.orders.resting.glance_at(guess);
        }
        for target in targets.iter_mut() {
            let Some(account) = self.find_account(target.account) else { continue };
            target.candidates = target.nonce.map_or([None; 2], |nonce| account.orders.glance(nonce));
            // Where the arriving one will have its place.
            let place = target.arriving.map_or([None; 2], |order| account.orders.glance(order.nonce));
            seen ^= u64::from(place[0].is_some());
        }
        for target in targets.iter() {
            if let (Some(account), Some(order)) = (self.find_account(target.account), target.arriving) {
                seen ^= self.glance_at_margin(account, order.market);
            }
        }
        for target in targets.iter_mut() {
            target.youngest = target.queue.and_then(|guess| self.orders.resting.youngest_at(guess));
            target.met = target.crossing.and_then(|guess| self.orders.resting.oldest_at(guess));
        }
        for target in targets.iter() {
            let [first, second] = target.candidates;
            let glance = |seen, order| seen ^ self.orders.resting.glance(order);
            seen ^= [first, second, target.youngest].into_iter().fold(0, glance);
        }
        for target in targets.iter_mut() {
            target.handle = target.nonce.and_then(|nonce| self.resting(target.account, nonce));
        }
        for target in targets.iter() {
            for handle in [target.handle, target.met].into_iter().flatten() {
                seen ^= self.orders.glance(handle);
            }
        }
        for target in targets.iter() {
            for handle in [target.handle, target.met].into_iter().flatten() {
                seen ^= self.orders.resting.glance_around(handle);
            }
            if let Some(met) = target.met {
                seen ^= self.find_account(self.orders.account(met)).map_or(0, Account::glance);
            }
        }
        for target in targets.iter().filter(|target| target.arriving.is_none()) {
            if let (Some(account), Some(handle)) = (self.find_account(target.account), target.handle) {
                seen ^= self.glance_at_margin(account, self.orders.market(handle));
            }
        }
        for (target, met) in targets.iter().filter_map(|target| Some((target, target.met?))) {
            let maker = self.find_account(self.orders.account(met)).zip(target.arriving);
            seen ^= maker.map_or(0, |(maker, order)| {
                let index = maker.orders.glance(self.orders.nonce(met));
                self.glance_at_margin(maker, order.market) ^ u64::from(index.contains(&Some(met)))
            });
        }
        black_box(seen);
    }

    /// Fetches what some accounts hold at index prices, side by side.
    pub(crate) fn glance_at_holdings(&self, accounts: impl Iterator<Item = AccountId>) {
        let glance = |account| self.find_account(account).map_or(0, |account| account.holdings.glance());
        black_box(accounts.fold(0, |seen, account| seen ^ glance(account)));
    }

    fn glance_at_margin(&self, account: &Account, market: MarketId) -> u64 {
        let Some(listing) = self.find_market(market) else { return 0 };
        match listing.terms.kind {
            MarketKind::Outcome => account.margins.glance(market),
            MarketKind::Perpetual | MarketKind::Spot => account.holdings.glance(),
        }
    }
}

#[cfg(test)]
mod tests {
    use xos_types::{
        Address, Cancel, EventConfig, EventId, GroupConfig, GroupTerms, InboxItem, InboxPayload, Instructions, Lots,
        OrderKind, Ppm, Side, Signature, Signed, Ticks, TimeMs, TradingTerms, VenueConfig, VenueId,
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
        for window in commands.chunks(LOOK_AHEAD) {
            engine.fetch(window.iter());
        }
        assert_eq!(engine.state_hash(), state);
        engine.look_ahead(commands.iter());
    }
}
