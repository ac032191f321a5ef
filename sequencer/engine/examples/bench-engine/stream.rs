//! Commands with their bytes, written before anything is measured.

use std::collections::BTreeMap;

use xos_engine::Engine;
use xos_types::{
    AccountId, Cancel, CancelReason, Command, Event, Instructions, Logged, Lots, MarketId, Nonce, Order, OrderKind,
    Side, TimeMs,
};

use crate::mix::{Dice, Kind, Mix};
use crate::opening::{FIRST, GROUP, Opening, order, sign};

/// Gas at which a node seals a frame.
const FRAME_GAS: u64 = 12_000_000;
/// Of the log's clock.
const COMMANDS_PER_MS: usize = 1_000;
const MS_BETWEEN_PRICES: u64 = 100;

/// Who trades where.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) opening: Opening,
    /// Markets in which an account trades.
    pub(crate) markets: usize,
    /// Resting orders in all.
    pub(crate) orders: usize,
    /// Prices of a side on which they come to rest.
    pub(crate) spread: u64,
    /// Prices that they then occupy in the first market, on both sides, if it is to be checked.
    pub(crate) slots: Option<usize>,
    /// Whether prices move now and then.
    pub(crate) reprices: bool,
}

/// Accounts that trade in the same markets are so many numbers apart.
const CIRCLES: u64 = 50;

pub(crate) struct Stream {
    /// Deposits, markets, positions, and a book of orders.
    pub(crate) opening: Vec<Logged>,
    pub(crate) commands: Vec<Logged>,
}

type Name = (AccountId, Nonce);

/// The stream is written along an engine, so that whatever is cancelled or replaced rests.
struct Writer {
    dice: Dice,
    crowd: Crowd,
    /// By circle.
    markets: Vec<Vec<MarketId>>,
    engine: Engine,
    events: Vec<Event>,
    nonces: Vec<u64>,
    /// What rests, and where in the list it stands.
    live: Vec<(Name, MarketId, Side)>,
    places: BTreeMap<Name, usize>,
    log: Vec<Logged>,
    /// When the first command of the log came, the last frame, and the last prices.
    began: u64,
    time: u64,
    priced: u64,
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

impl Crowd {
    /// The markets of each circle: as many of each kind as there are in all, in proportion.
    fn circles(&self) -> Vec<Vec<MarketId>> {
        let all = self.opening.markets();
        let step = all.len() / self.markets;
        (0..index(CIRCLES))
            .map(|circle| (0..self.markets).map(|n| all[(circle + n * step) % all.len()]).collect())
            .collect()
    }
}

impl Stream {
    pub(crate) fn mixed(count: usize, crowd: Crowd) -> Self {
        let mut writer = Writer::open(crowd);
        writer.take_positions();
        while writer.live.len() < crowd.orders {
            writer.add();
        }
        writer.seal();
        let opening = std::mem::take(&mut writer.log);
        writer.began = writer.time;
        let mut mix = Mix::default();
        while writer.log.len() < count {
            let (kind, trades) = writer.step();
            mix.count(kind, trades);
        }
        writer.check();
        mix.check();
        Self { opening, commands: writer.log }
    }

    /// A frame in which every index price moves, to follow the last command.
    pub(crate) fn reprice(&self, opening: &Opening) -> Logged {
        let time = |logged: &Logged| match logged.command() {
            Command::Frame { time, .. } => Some(time.0),
            _ => None,
        };
        let last = self.commands.iter().rev().find_map(time);
        let time = last.expect("so many commands fill a frame") + 1_000;
        Command::Frame { time: TimeMs(time), inbox: Vec::new(), prices: opening.prices(time, 1) }.into()
    }
}

impl Writer {
    fn open(crowd: Crowd) -> Self {
        let markets = crowd.circles();
        let trades = |account: AccountId, market| markets[index((account.0 - FIRST) % CIRCLES)].contains(&market);
        let frame = crowd.opening.frame(1_000_000, trades);
        let mut writer = Self {
            dice: Dice::default(),
            crowd,
            markets,
            engine: Engine::new(GROUP),
            events: Vec::new(),
            nonces: vec![0; index(FIRST + crowd.opening.accounts)],
            live: Vec::new(),
            places: BTreeMap::new(),
            log: Vec::new(),
            began: 1,
            time: 1,
            priced: 1,
        };
        writer.write(frame);
        writer
    }

    /// Every account trades with the next one of its circle, so that all hold positions.
    fn take_positions(&mut self) {
        let accounts = self.crowd.opening.accounts;
        for account in FIRST..FIRST + accounts {
            let (account, next) = (AccountId(account), AccountId(FIRST + (account - FIRST + CIRCLES) % accounts));
            let market = self.market(account);
            for (side, account) in [(Side::Sell, account), (Side::Buy, next)] {
                let middle = self.crowd.opening.middle();
                let order = Order { size: Lots(500), ..self.order(account, market, side, middle) };
                self.write(Command::place(sign(order, order.account)));
            }
        }
    }

    /// One of those in which the account trades.
    fn market(&mut self, account: AccountId) -> MarketId {
        let markets = &self.markets[index((account.0 - FIRST) % CIRCLES)];
        markets[self.dice.index(markets.len())]
    }

    fn anybody(&mut self) -> AccountId {
        AccountId(FIRST + self.dice.below(self.crowd.opening.accounts))
    }

    fn side(&mut self) -> Side {
        if self.dice.below(2) == 0 { Side::Buy } else { Side::Sell }
    }

    fn order(&mut self, account: AccountId, market: MarketId, side: Side, price: u64) -> Order {
        let nonce = &mut self.nonces[index(account.0)];
        *nonce += 1;
        order(account, Nonce(*nonce), market, side, price)
    }

    /// An order that trades, or one that rests.
    fn limit(&mut self, account: AccountId, market: MarketId, side: Side, crosses: bool) -> Order {
        let (distance, lots) = self.dice.distance_and_lots(self.crowd.spread, crosses);
        let (buys, middle) = (side == Side::Buy, self.crowd.opening.middle());
        let price = if buys == crosses { middle + 1 + distance } else { middle - distance };
        Order { size: Lots(lots), ..self.order(account, market, side, price) }
    }

    fn add(&mut self) -> bool {
        let account = self.anybody();
        let (market, side) = (self.market(account), self.side());
        let order = self.limit(account, market, side, false);
        self.write(Command::place(sign(order, account)))
    }

    fn pick(&mut self) -> (Name, MarketId, Side) {
        self.live[self.dice.index(self.live.len())]
    }

    /// One command of the mix: which kind, and whether it traded.
    fn step(&mut self) -> (Kind, bool) {
        let kind = self.dice.kind(self.live.len(), self.crowd.orders);
        let trades = match kind {
            Kind::Rest => self.add(),
            Kind::Cancel => {
                let ((account, nonce), ..) = self.pick();
                self.write(Command::Cancel(sign(Cancel { account, nonce }, account)))
            }
            Kind::Immediate => {
                let account = self.anybody();
                let (market, side) = (self.market(account), self.side());
                let order = self.limit(account, market, side, true);
                let order = Order { kind: OrderKind::ImmediateOrCancel, ..order };
                self.write(Command::place(sign(order, account)))
            }
            Kind::Move => {
                let ((account, nonce), market, side) = self.pick();
                let crosses = self.dice.move_crosses();
                let order = sign(self.limit(account, market, side, crosses), account);
                self.write(Command::Replace { nonce, order, instructions: Instructions::default() })
            }
        };
        (kind, trades)
    }

    /// Adds a command, and a frame if the open one is full; returns whether it traded.
    fn write(&mut self, command: Command) -> bool {
        let trades = self.apply(command);
        if self.engine.frame_gas() >= FRAME_GAS {
            self.seal();
        }
        trades
    }

    fn seal(&mut self) {
        let time = self.began + (self.log.len() / COMMANDS_PER_MS) as u64;
        self.time = time;
        let mut prices = Vec::new();
        if self.crowd.reprices && time >= self.priced + MS_BETWEEN_PRICES {
            self.priced = time;
            prices = self.crowd.opening.prices(time, self.dice.below(10));
        }
        self.apply(Command::Frame { time: TimeMs(time), inbox: Vec::new(), prices });
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
            let book = self.engine.book(self.crowd.opening.markets()[0], usize::MAX).expect("it exists");
            let occupied = book.bids.len() + book.asks.len();
            assert!(occupied.abs_diff(slots) <= slots / 10, "{occupied} prices");
        }
    }
}
