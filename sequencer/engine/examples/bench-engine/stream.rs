//! Commands with their bytes, written before anything is measured.

use std::collections::BTreeMap;

use xos_engine::Engine;
use xos_types::{
    AccountId, Address, Cancel, CancelReason, Command, Event, EventConfig, EventId, GroupConfig, GroupTerms, InboxItem,
    InboxPayload, Instructions, Logged, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Signed, Ticks,
    TimeMs, TradingTerms, VenueConfig, VenueId,
};

pub(crate) const GROUP: GroupConfig = GroupConfig {
    chain_id: 1,
    group: Address::ZERO,
    token: Address::ZERO,
    governance: Address::ZERO,
    terms: GroupTerms::usual(Address::ZERO),
};
const VENUE: VenueId = VenueId(1);
/// Number of the first account that a deposit opens.
const FIRST: u64 = 3;
const TICKS: u32 = 100_000;
const MIDDLE: u64 = 50_000;
/// Gas at which a node seals a frame.
const FRAME_GAS: u64 = 12_000_000;

/// Who trades where.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) accounts: u64,
    /// Events of two outcomes; both trade, or only the first if there is one event.
    pub(crate) events: u32,
    /// Resting orders in all.
    pub(crate) orders: usize,
    /// Prices of a side on which they come to rest.
    pub(crate) spread: u64,
    /// Prices that they then occupy, on both sides, if it is to be checked.
    pub(crate) slots: Option<usize>,
}

pub(crate) struct Stream {
    /// Deposits, events, positions, and a book of orders.
    pub(crate) opening: Vec<Logged>,
    pub(crate) commands: Vec<Logged>,
    /// Orders that rest, immediate ones, cancels, replacements; and how many of all of them traded.
    mix: [usize; 5],
}

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

type Name = (AccountId, Nonce);

/// The stream is written along an engine, so that whatever is cancelled or replaced rests.
struct Writer {
    dice: Dice,
    crowd: Crowd,
    engine: Engine,
    events: Vec<Event>,
    nonces: Vec<u64>,
    /// What rests, and where in the list it stands.
    live: Vec<(Name, MarketId, Side)>,
    places: BTreeMap<Name, usize>,
    log: Vec<Logged>,
    time: u64,
}

fn owner(account: AccountId) -> Address {
    Address::left_padding_from(&account.0.to_be_bytes())
}

fn sign<T>(message: T, account: AccountId) -> Signed<T> {
    let mut signature = Signature { r: [0x5a; 32], vs: [0xa5; 32] };
    signature.r[..8].copy_from_slice(&account.0.to_le_bytes());
    Signed { message, signature, signer: owner(account) }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

impl Stream {
    /// The mix is what the head of `main.rs` says, within a hundredth.
    pub(crate) fn check_mix(&self) {
        let measured: usize = self.mix[..4].iter().sum();
        for (count, percent) in self.mix.into_iter().zip([9, 3, 6, 82, 6]) {
            let difference = (count * 100).abs_diff(measured * percent);
            assert!(difference <= measured, "the mix is {:?} of {measured}", self.mix);
        }
    }

    pub(crate) fn mixed(count: usize, crowd: Crowd) -> Self {
        let mut writer = Writer::open(crowd);
        writer.take_positions();
        while writer.live.len() < crowd.orders {
            writer.add();
        }
        let opening = std::mem::take(&mut writer.log);
        let mut mix = [0; 5];
        while writer.log.len() < count {
            let (kind, trades) = writer.step();
            mix[kind] += 1;
            mix[4] += usize::from(trades);
        }
        writer.check();
        Self { opening, commands: writer.log, mix }
    }
}

impl Writer {
    fn open(crowd: Crowd) -> Self {
        let Crowd { accounts, events, .. } = crowd;
        let deposits = (FIRST..FIRST + accounts).map(|account| {
            let account = AccountId(account);
            let amount = 1_000_000_000_000_000;
            InboxPayload::Deposit { account, owner: owner(account), token: Address::ZERO, amount }
        });
        let config = EventConfig {
            terms: TradingTerms { taker_fee: Ppm(500), ..TradingTerms::free(VENUE, 100) },
            outcomes: 2,
            ticks: TICKS,
            resolver: Address::ZERO,
            title: "Champion".into(),
            labels: vec!["Yes".into(), "No".into()],
        };
        let opened =
            (1..=events).map(|event| InboxPayload::EventOpened { event: EventId(event), config: config.clone() });
        let config = VenueConfig {
            treasury: AccountId::PROTOCOL,
            protocol_share: Ppm(0),
            insurance_share: Ppm(50_000),
            referrer_share: Ppm(0),
        };
        let payloads = (0..).zip(deposits.chain([InboxPayload::VenueSet { venue: VENUE, config }]).chain(opened));
        let inbox = payloads.map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload }).collect();
        let mut writer = Self {
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            crowd,
            engine: Engine::new(GROUP),
            events: Vec::new(),
            nonces: vec![0; index(FIRST + accounts)],
            live: Vec::new(),
            places: BTreeMap::new(),
            log: Vec::new(),
            time: 1,
        };
        writer.write(Command::Frame { time: TimeMs(1), inbox, prices: Vec::new() });
        writer
    }

    /// Every account trades with its neighbour, so that all hold positions.
    fn take_positions(&mut self) {
        for account in FIRST..FIRST + self.crowd.accounts {
            let market = self.market();
            for (side, account) in
                [(Side::Sell, account), (Side::Buy, FIRST + (account + 1 - FIRST) % self.crowd.accounts)]
            {
                let order = Order { size: Lots(500), ..self.order(AccountId(account), market, side, MIDDLE) };
                self.write(Command::place(sign(order, order.account)));
            }
        }
    }

    fn market(&mut self) -> MarketId {
        let events = self.crowd.events;
        let event = EventId(1 + u32::try_from(self.dice.below(events.into())).expect("few events"));
        let outcome = if events == 1 { 0 } else { self.dice.below(2) };
        MarketId::new(event, u8::try_from(outcome).expect("two outcomes"))
    }

    fn anybody(&mut self) -> AccountId {
        AccountId(FIRST + self.dice.below(self.crowd.accounts))
    }

    fn side(&mut self) -> Side {
        if self.dice.below(2) == 0 { Side::Buy } else { Side::Sell }
    }

    fn order(&mut self, account: AccountId, market: MarketId, side: Side, price: u64) -> Order {
        let nonce = &mut self.nonces[index(account.0)];
        *nonce += 1;
        Order {
            account,
            market,
            side,
            kind: OrderKind::GoodTillCancelled,
            reduce_only: false,
            size: Lots(1),
            price: Ticks(price),
            nonce: Nonce(*nonce),
            expiry: TimeMs(0),
            max_fee: Ppm(1_000),
            builder: 0,
            builder_fee: Ppm(0),
        }
    }

    /// An order that trades, or one that rests. One that replaces another and trades costs the book an order, its own or one
    /// that it meets; small takers cost no more, so that what is added, cancelled and traded is in balance.
    fn limit(&mut self, account: AccountId, market: MarketId, side: Side, crosses: bool) -> Order {
        let spread = self.crowd.spread;
        let (distance, lots) = if crosses {
            (self.dice.below(spread / 40), 1 + self.dice.below(6))
        } else {
            (self.dice.below(spread), 1 + self.dice.below(100))
        };
        let buys = side == Side::Buy;
        let price = if buys == crosses { MIDDLE + 1 + distance } else { MIDDLE - distance };
        Order { size: Lots(lots), ..self.order(account, market, side, price) }
    }

    fn add(&mut self) -> bool {
        let (account, market, side) = (self.anybody(), self.market(), self.side());
        let order = self.limit(account, market, side, false);
        self.write(Command::place(sign(order, account)))
    }

    fn pick(&mut self) -> (Name, MarketId, Side) {
        let pick = self.dice.below(self.live.len() as u64);
        self.live[index(pick)]
    }

    /// One command of the mix: which kind, and whether it traded.
    fn step(&mut self) -> (usize, bool) {
        let (live, target) = (self.live.len(), self.crowd.orders);
        match self.dice.below(100) {
            // Nine and six of a hundred, but for what keeps the number of orders where it is.
            0..15 if live < target - target / 20 || (live < target + target / 20 && self.dice.below(15) < 9) => {
                (0, self.add())
            }
            0..15 => {
                let ((account, nonce), ..) = self.pick();
                (2, self.write(Command::Cancel(sign(Cancel { account, nonce }, account))))
            }
            15..18 => {
                let (account, market, side) = (self.anybody(), self.market(), self.side());
                let order = self.limit(account, market, side, true);
                let order = Order { kind: OrderKind::ImmediateOrCancel, ..order };
                (1, self.write(Command::place(sign(order, account))))
            }
            _ => {
                let ((account, nonce), market, side) = self.pick();
                let crosses = self.dice.below(1_000) < 35;
                let order = sign(self.limit(account, market, side, crosses), account);
                (3, self.write(Command::Replace { nonce, order, instructions: Instructions::default() }))
            }
        }
    }

    /// Adds a command, and a frame if the open one is full; returns whether it traded.
    fn write(&mut self, command: Command) -> bool {
        let trades = self.apply(command);
        if self.engine.frame_gas() >= FRAME_GAS {
            self.time += 1_000;
            self.apply(Command::Frame { time: TimeMs(self.time), inbox: Vec::new(), prices: Vec::new() });
        }
        trades
    }

    fn apply(&mut self, command: Command) -> bool {
        let logged = Logged::new(command);
        let mut events = std::mem::take(&mut self.events);
        self.engine.apply(&logged, &mut events);
        self.log.push(logged);
        let mut trades = false;
        for event in events.drain(..) {
            match event {
                Event::Rested { account, nonce, market, side, .. } => {
                    self.places.insert((account, nonce), self.live.len());
                    self.live.push(((account, nonce), market, side));
                }
                Event::Filled(fill) => {
                    trades = true;
                    if fill.maker_remaining == Lots(0) {
                        self.forget((fill.maker, fill.maker_nonce));
                    }
                }
                Event::Cancelled { account, nonce, reason, .. } if reason != CancelReason::Immediate => {
                    self.forget((account, nonce));
                }
                Event::Rejected { reject, .. } => panic!("{reject}"),
                _ => {}
            }
        }
        self.events = events;
        trades
    }

    fn forget(&mut self, name: Name) {
        // An arriving order that was dropped never rested.
        let Some(place) = self.places.remove(&name) else { return };
        self.live.swap_remove(place);
        if let Some((moved, ..)) = self.live.get(place) {
            self.places.insert(*moved, place);
        }
    }

    fn check(&self) {
        self.engine.check_invariants();
        let (orders, target) = (self.engine.resting_orders(), self.crowd.orders);
        assert!(orders.abs_diff(target) <= target / 10, "{orders} orders");
        if let Some(slots) = self.crowd.slots {
            let book = self.engine.book(MarketId::new(EventId(1), 0), usize::MAX).expect("it exists");
            let occupied = book.bids.len() + book.asks.len();
            assert!(occupied.abs_diff(slots) <= slots / 10, "{occupied} prices");
        }
    }
}
