//! A small group to state rules in: accounts with money, one event, and short words for commands.

use xos_engine::Engine;
use xos_types::*;

pub(crate) const TOKEN: Address = Address::repeat_byte(0x70);
pub(crate) const EVENT: EventId = EventId(1);
pub(crate) const VENUE: VenueId = VenueId(1);
pub(crate) const INSURANCE: u64 = AccountId::INSURANCE.0;
pub(crate) const PROTOCOL: u64 = AccountId::PROTOCOL.0;
/// Receives the venue's fees.
pub(crate) const TREASURY: u64 = 3;
pub(crate) const ALICE: u64 = 4;
pub(crate) const BOB: u64 = 5;
pub(crate) const CAROL: u64 = 6;

/// Deposit of each account that [`Group::new`] opens.
pub(crate) const DEPOSIT: i128 = 1_000_000;

pub(crate) struct Group {
    pub(crate) engine: Engine,
    inbox: u64,
    nonce: u64,
}

/// Terms of an event of `outcomes` at 1,000 ticks of one atom.
pub(crate) fn terms(outcomes: u8, taker_fee: u32, maker_fee: i32) -> EventConfig {
    let free = TradingTerms::free(VENUE, 1);
    EventConfig {
        terms: TradingTerms { taker_fee: Ppm(taker_fee), maker_fee: Rate(maker_fee), ..free },
        outcomes,
        ticks: 1_000,
        resolver: Address::ZERO,
        title: "Who wins?".into(),
        labels: (0..outcomes).map(|k| k.to_string()).collect(),
    }
}

/// The same with other terms.
pub(crate) fn with(mut config: EventConfig, change: impl FnOnce(&mut TradingTerms)) -> EventConfig {
    change(&mut config.terms);
    config
}

/// A venue whose treasury is [`TREASURY`] and that shares so many parts per million with the protocol, the insurance fund
/// and referrers.
pub(crate) fn venue(shares: [u32; 3]) -> InboxPayload {
    let [protocol_share, insurance_share, referrer_share] = shares.map(Ppm);
    let treasury = AccountId(TREASURY);
    let config = VenueConfig { treasury, protocol_share, insurance_share, referrer_share };
    InboxPayload::VenueSet { venue: VENUE, config }
}

pub(crate) fn owner(account: u64) -> Address {
    Address::left_padding_from(&account.to_be_bytes())
}

pub(crate) fn signed<T>(account: u64, message: T) -> Signed<T> {
    Signed { message, signature: Signature::default(), signer: owner(account) }
}

impl Group {
    /// Treasury, Alice, Bob and Carol with [`DEPOSIT`] each, a venue that keeps its fees, and one event of it.
    pub(crate) fn new(terms: EventConfig) -> Self {
        let mut group = Self { engine: Engine::new(config()), inbox: 0, nonce: 0 };
        let mut items: Vec<_> = (TREASURY..=CAROL).map(|account| deposit(account, DEPOSIT.unsigned_abs())).collect();
        items.push(venue([0; 3]));
        items.push(InboxPayload::EventOpened { event: EVENT, config: terms });
        group.frame(1_000, items);
        group
    }

    /// An event of two outcomes without fees.
    pub(crate) fn free() -> Self {
        Self::new(terms(2, 0, 0))
    }

    pub(crate) fn apply(&mut self, command: Command) -> Vec<Event> {
        let mut events = vec![];
        self.engine.apply(&command.into(), &mut events);
        self.engine.check_invariants();
        events
    }

    pub(crate) fn frame(&mut self, time: u64, payloads: Vec<InboxPayload>) -> Vec<Event> {
        self.frame_with(time, payloads, vec![])
    }

    pub(crate) fn frame_with(
        &mut self,
        time: u64,
        payloads: Vec<InboxPayload>,
        prices: Vec<PriceUpdate>,
    ) -> Vec<Event> {
        let inbox = (self.inbox..).zip(payloads).map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload });
        let inbox: Vec<_> = inbox.collect();
        self.inbox += inbox.len() as u64;
        self.apply(Command::Frame { time: TimeMs(time), inbox, prices })
    }

    pub(crate) fn next_nonce(&mut self) -> Nonce {
        self.nonce += 1;
        Nonce(self.nonce)
    }

    /// An order of the event's outcome 0 with the next unused nonce of the group.
    pub(crate) fn order(&mut self, account: u64, side: Side, size: u64, price: u64) -> Order {
        let nonce = self.next_nonce();
        Order {
            account: AccountId(account),
            market: MarketId::new(EVENT, 0),
            side,
            kind: OrderKind::GoodTillCancelled,
            reduce_only: false,
            size: Lots(size),
            price: Ticks(price),
            nonce,
            expiry: TimeMs(0),
            max_fee: Ppm(100_000),
            builder: 0,
            builder_fee: Ppm(0),
        }
    }

    pub(crate) fn place(&mut self, order: Order) -> Vec<Event> {
        self.apply(Command::place(signed(order.account.0, order)))
    }

    pub(crate) fn buy(&mut self, account: u64, size: u64, price: u64) -> Vec<Event> {
        let order = self.order(account, Side::Buy, size, price);
        self.place(order)
    }

    pub(crate) fn sell(&mut self, account: u64, size: u64, price: u64) -> Vec<Event> {
        let order = self.order(account, Side::Sell, size, price);
        self.place(order)
    }

    pub(crate) fn withdraw(&mut self, account: u64, amount: u128) -> Vec<Event> {
        let (account_id, nonce) = (AccountId(account), self.next_nonce());
        let message = Withdraw { account: account_id, token: TOKEN, amount, nonce, expiry: TimeMs(0) };
        self.apply(Command::Withdraw(signed(account, message)))
    }

    /// As [`Group::place`], signed by a key that may act for the account.
    pub(crate) fn place_as(&mut self, signer: Address, order: Order) -> Vec<Event> {
        self.apply(Command::place(Signed { signer, ..signed(order.account.0, order) }))
    }

    pub(crate) fn available(&self, account: u64) -> i128 {
        self.engine.account(AccountId(account)).unwrap().available.0
    }

    pub(crate) fn cash(&self, account: u64) -> i128 {
        self.engine.account(AccountId(account)).unwrap().cash.0
    }
}

pub(crate) fn config() -> GroupConfig {
    let governance = Address::repeat_byte(0x60);
    let terms = GroupTerms::usual(Address::ZERO);
    GroupConfig { chain_id: 1952, group: Address::repeat_byte(0x99), token: TOKEN, governance, terms }
}

pub(crate) fn deposit(account: u64, amount: u128) -> InboxPayload {
    InboxPayload::Deposit { account: AccountId(account), owner: owner(account), token: TOKEN, amount }
}

pub(crate) fn resolve(payouts: &[u64]) -> InboxPayload {
    InboxPayload::EventResolved { event: EVENT, payouts: payouts.to_vec() }
}

pub(crate) fn fills(events: &[Event]) -> Vec<Fill> {
    let fills = events.iter().filter_map(|event| if let Event::Filled(fill) = event { Some(*fill) } else { None });
    fills.collect()
}

pub(crate) fn sealed(events: &[Event]) -> Option<&Frame> {
    events.iter().find_map(|event| if let Event::FrameSealed(frame) = event { Some(&**frame) } else { None })
}

#[track_caller]
pub(crate) fn rejected(events: &[Event]) -> &Reject {
    match events {
        [Event::Rejected { reject, .. }] => reject,
        other => panic!("expected one rejection, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn cancelled(events: &[Event]) -> Vec<(u64, CancelReason)> {
    let of = |event: &Event| match event {
        Event::Cancelled { remaining, reason, .. } => Some((remaining.0, *reason)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
