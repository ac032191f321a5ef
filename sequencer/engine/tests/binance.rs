//! A real market through the engine: a capture of Binance's BTCUSDT and ETHUSDT perpetuals (2024-08-08, six minutes each, from
//! the examples of nkaz001/hftbacktest). Depth updates become quotes of many makers, trades become orders that take, and at
//! every one of the capture's best bids and asks the engine's must be the same.
//!
//! They cannot always be: a depth update says at its end what changed over about 50 milliseconds, while best prices are told
//! one by one. So the test counts twice. After a depth update the engine must have the newest best prices that the update's
//! number covers (7 of 13,124 times it has not: the update shows a level already gone of which the best prices are told only
//! after it); and at each message of best prices it may lack what the next update will tell, having seen only the trades.
//!
//! `XOS_DATA` names the folder that holds `binance-usdm-20240808/`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use serde::Deserialize;
use xos_engine::Engine;
use xos_types::*;

const MARKET: MarketId = MarketId::new(EventId(1), 0);
const FEED: FeedId = FeedId(1);
const VENUE: VenueId = VenueId(1);
const OWNER: Address = Address::repeat_byte(0x22);
const TOKEN: Address = Address::repeat_byte(0x70);
const TREASURY: u64 = 3;
const TAKER: u64 = 4;
/// Who quotes: a price belongs to one of them.
const MAKERS: core::ops::Range<u64> = 5..37;
/// An index price and a batch this often.
const FRAME_MS: u64 = 1_000;

/// How many decimals of the capture's prices are ticks, and atoms per tick·lot; a lot is 0.001 of the coin.
struct Scale {
    decimals: u32,
    quantum: u64,
}

/// One message, with what it means and the exchange's time of it.
struct Message {
    time: u64,
    /// Number of the last update of the book that it knows.
    update: u64,
    what: What,
}

enum What {
    Trade { price: u64, lots: u64, buyer_makes: bool },
    Depth { bids: Vec<(u64, u64)>, asks: Vec<(u64, u64)> },
    Best { bid: u64, ask: u64 },
}

/// Every message's fields, by Binance's letters.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Data {
    e: String,
    #[serde(rename = "T")]
    time: u64,
    u: u64,
    #[serde(rename = "lastUpdateId")]
    last_update: u64,
    b: serde_json::Value,
    a: serde_json::Value,
    bids: serde_json::Value,
    asks: serde_json::Value,
    p: String,
    q: String,
    m: bool,
}

fn capture(symbol: &str) -> Option<String> {
    let file: PathBuf = Path::new(&std::env::var_os("XOS_DATA")?).join(format!("binance-usdm-20240808/{symbol}.gz"));
    let unpacked = Program::new("gzip").arg("-dc").arg(file).output().ok()?;
    unpacked.status.success().then(|| String::from_utf8(unpacked.stdout).expect("the capture is UTF-8"))
}

/// A decimal number in units of its last kept place.
fn fixed(text: &str, decimals: u32) -> u64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let places = decimals as usize;
    assert!(part.bytes().skip(places).all(|digit| digit == b'0'), "{text} has more than {decimals} decimals");
    format!("{whole}{:0<places$}", &part[..part.len().min(places)]).parse().expect("a number")
}

fn levels(of: &serde_json::Value, scale: &Scale) -> Vec<(u64, u64)> {
    let text = |value: &serde_json::Value| value.as_str().expect("a number in quotes").to_owned();
    let level = |pair: &serde_json::Value| (fixed(&text(&pair[0]), scale.decimals), fixed(&text(&pair[1]), 3));
    of.as_array().expect("levels").iter().map(level).collect()
}

/// The capture in the order in which things happened at the exchange: streams arrive one by one, and are not in step.
fn messages(capture: &str, scale: &Scale) -> Vec<Message> {
    let (mut messages, mut known) = (Vec::new(), 0);
    for line in capture.lines() {
        let (_, text) = line.split_once(' ').expect("a time and a message");
        let mut line: serde_json::Value = serde_json::from_str(text).expect("a message");
        // The snapshot of the book comes as it is, everything else as a stream's data.
        let data = if line["data"].is_null() { line } else { line["data"].take() };
        let data: Data = serde_json::from_value(data).expect("fields by Binance's letters");
        let what = match data.e.as_str() {
            "" => {
                known = data.last_update;
                let (bids, asks) = (levels(&data.bids, scale), levels(&data.asks, scale));
                messages.push(Message { time: data.time, update: known, what: What::Depth { bids, asks } });
                continue;
            }
            "trade" => {
                What::Trade { price: fixed(&data.p, scale.decimals), lots: fixed(&data.q, 3), buyer_makes: data.m }
            }
            "depthUpdate" => What::Depth { bids: levels(&data.b, scale), asks: levels(&data.a, scale) },
            "bookTicker" => What::Best {
                bid: fixed(data.b.as_str().expect("a price"), scale.decimals),
                ask: fixed(data.a.as_str().expect("a price"), scale.decimals),
            },
            other => panic!("a message of another stream: {other}"),
        };
        messages.push(Message { time: data.time, update: data.u, what });
    }
    // The book begins with the snapshot of it; what is older is in it.
    let start = messages.iter().find(|message| message.update == known).expect("the capture has a snapshot").time;
    messages.retain(|message| match message.what {
        What::Trade { .. } => message.time > start,
        What::Depth { .. } | What::Best { .. } => message.update >= known,
    });
    messages.sort_by_key(|message| match message.what {
        What::Trade { .. } => (message.time, 0, 0),
        What::Depth { .. } => (message.time, 1, message.update),
        What::Best { .. } => (message.time, 1, message.update + 1),
    });
    messages
}

/// The engine with the market, and who quotes what there.
struct Replay {
    engine: Engine,
    events: Vec<Event>,
    quantum: u64,
    nonces: BTreeMap<u64, u64>,
    /// The maker's order at a price.
    quotes: BTreeMap<(Side, u64), Nonce>,
    next_frame: u64,
    commands: u64,
    fills: u64,
    refused: u64,
}

impl Replay {
    fn new(scale: &Scale) -> Self {
        let governance = Address::repeat_byte(0x60);
        let terms = GroupTerms { sequencer: OWNER, max_holdings: 32, keeper_share: Ppm(500_000), grace: 10_000 };
        let group = Address::repeat_byte(0x99);
        let config = GroupConfig { chain_id: 1952, group, token: TOKEN, governance, terms };
        let mut replay = Self {
            engine: Engine::new(config),
            events: Vec::new(),
            quantum: scale.quantum,
            nonces: BTreeMap::new(),
            quotes: BTreeMap::new(),
            next_frame: 0,
            commands: 0,
            fills: 0,
            refused: 0,
        };
        let deposits = (TREASURY..MAKERS.end).map(|account| InboxPayload::Deposit {
            account: AccountId(account),
            owner: OWNER,
            token: TOKEN,
            amount: 1 << 80,
        });
        let feed = FeedConfig {
            source: Address::repeat_byte(0x50),
            name: B256::ZERO,
            // A lot is a thousandth: a dollar of price is a thousand atoms of a lot.
            unit: 1_000_000_000_000,
            max_age: 60_000,
            max_gap: 60_000,
            max_move: Ppm(1_000_000),
        };
        let perpetual = PerpetualConfig {
            terms: TradingTerms {
                taker_fee: Ppm(450),
                maker_fee: Rate(150),
                ..TradingTerms::free(VENUE, scale.quantum)
            },
            feed,
            initial_fractions: [20_000, 50_000, 100_000, 200_000].map(Ppm),
            maintenance_fractions: [10_000, 25_000, 50_000, 100_000].map(Ppm),
            tier_bounds: [10, 100, 1_000],
            penalty: Ppm(5_000),
            funding_cap: Ppm(40_000),
            loss_cap: 1 << 60,
            title: "replayed".into(),
        };
        let venue = VenueConfig {
            treasury: AccountId(TREASURY),
            protocol_share: Ppm(0),
            insurance_share: Ppm(0),
            referrer_share: Ppm(0),
        };
        let payloads: Vec<InboxPayload> = deposits
            .chain([
                InboxPayload::VenueSet { venue: VENUE, config: venue },
                InboxPayload::PerpetualSet { market: MARKET, feed: FEED, config: perpetual },
            ])
            .collect();
        let inbox = (0u64..).zip(payloads).map(|(index, payload)| InboxItem { index, time: TimeMs(0), payload });
        replay.apply(Command::Frame { time: TimeMs(1), inbox: inbox.collect(), prices: vec![] });
        replay
    }

    fn apply(&mut self, command: Command) {
        self.events.clear();
        self.engine.apply(&command.into(), &mut self.events);
        self.commands += 1;
        for event in &self.events {
            match event {
                Event::Filled(_) => self.fills += 1,
                Event::Rejected { .. } => self.refused += 1,
                _ => {}
            }
        }
    }

    /// Seals a frame if it is time, at an index price of the middle.
    fn advance(&mut self, time: u64) {
        let Some((Some(bid), Some(ask))) = self.engine.best_prices(MARKET) else { return };
        if time < self.next_frame {
            return;
        }
        self.next_frame = time + FRAME_MS;
        // Dollars with 18 decimals: a price of one atom a lot is a thousandth of a dollar.
        let answer = u128::from(bid.0.midpoint(ask.0)) * u128::from(self.quantum) * 1_000_000_000_000_000;
        let price = PriceUpdate { feed: FEED, answer, published_at: TimeMs(time), proof: vec![] };
        self.apply(Command::Frame { time: TimeMs(time), inbox: vec![], prices: vec![price] });
    }

    fn order(&mut self, account: u64, kind: OrderKind, (side, price, lots): (Side, u64, u64)) -> Signed<Order> {
        let nonce = self.nonces.entry(account).or_default();
        *nonce += 1;
        let message = Order {
            account: AccountId(account),
            market: MARKET,
            side,
            kind,
            reduce_only: false,
            size: Lots(lots),
            price: Ticks(price),
            nonce: Nonce(*nonce),
            expiry: TimeMs(0),
            max_fee: Ppm(1_000),
            builder: 0,
            builder_fee: Ppm(0),
        };
        Signed { message, signature: Signature::default(), signer: OWNER }
    }

    /// Makes what is quoted at a price what the capture says.
    fn quote(&mut self, side: Side, price: u64, lots: u64) {
        let account = MAKERS.start + price % (MAKERS.end - MAKERS.start);
        let old = self.quotes.remove(&(side, price));
        // A trade may have taken it already.
        let old = old.filter(|nonce| self.engine.order(AccountId(account), *nonce).is_some());
        if lots == 0 {
            let Some(nonce) = old else { return };
            let message = Cancel { account: AccountId(account), nonce };
            return self.apply(Command::Cancel(Signed { message, signature: Signature::default(), signer: OWNER }));
        }
        let order = self.order(account, OrderKind::PostOnly, (side, price, lots));
        let (arriving, instructions) = (order.message.nonce, Instructions::default());
        match old {
            Some(nonce) => self.apply(Command::Replace { nonce, order, instructions }),
            None => self.apply(Command::place(order)),
        }
        let rests = !matches!(self.events.first(), Some(Event::Rejected { .. }));
        if let Some(nonce) = if rests { Some(arriving) } else { old } {
            self.quotes.insert((side, price), nonce);
        }
    }

    fn depth(&mut self, bids: &[(u64, u64)], asks: &[(u64, u64)]) {
        let sides = [(Side::Buy, bids), (Side::Sell, asks)];
        // What leaves makes room for what comes.
        for leaves in [true, false] {
            for (side, levels) in sides {
                for (price, lots) in levels.iter().filter(|(_, lots)| (*lots == 0) == leaves) {
                    self.quote(side, *price, *lots);
                }
            }
        }
    }

    fn trade(&mut self, price: u64, lots: u64, buyer_makes: bool) {
        let side = if buyer_makes { Side::Sell } else { Side::Buy };
        let order = self.order(TAKER, OrderKind::ImmediateOrCancel, (side, price, lots));
        self.apply(Command::place(order));
    }
}

/// How many of the capture's best prices the engine has too, of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Agreement {
    agree: u64,
    of: u64,
}

impl Agreement {
    fn count(&mut self, agrees: bool) {
        self.agree += u64::from(agrees);
        self.of += 1;
    }

    /// In thousandths of a percent.
    fn share(self) -> u64 {
        self.agree * 100_000 / self.of.max(1)
    }
}

/// Agreement after every depth update, and at every message of best prices.
fn replay(symbol: &str, scale: &Scale) -> Option<[Agreement; 2]> {
    let messages = messages(&capture(symbol)?, scale);
    let told: BTreeMap<u64, (u64, u64)> = messages
        .iter()
        .filter_map(|message| match message.what {
            What::Best { bid, ask } => Some((message.update, (bid, ask))),
            _ => None,
        })
        .collect();
    let mut replay = Replay::new(scale);
    let (mut updated, mut everywhere) = (Agreement::default(), Agreement::default());
    let best = |replay: &Replay| match replay.engine.best_prices(MARKET) {
        Some((Some(bid), Some(ask))) => Some((bid.0, ask.0)),
        _ => None,
    };
    for message in &messages {
        replay.advance(message.time);
        match &message.what {
            What::Trade { price, lots, buyer_makes } => replay.trade(*price, *lots, *buyer_makes),
            What::Depth { bids, asks } => {
                replay.depth(bids, asks);
                if let Some((_, newest)) = told.range(..=message.update).next_back() {
                    updated.count(best(&replay) == Some(*newest));
                }
            }
            What::Best { bid, ask } => everywhere.count(best(&replay) == Some((*bid, *ask))),
        }
    }
    replay.engine.check_invariants();
    println!(
        "{symbol}: {} commands, {} fills, {} refused; best prices agree after {} of {} depth updates, and at {} of {} messages \
         anywhere between them",
        replay.commands, replay.fills, replay.refused, updated.agree, updated.of, everywhere.agree, everywhere.of,
    );
    Some([updated, everywhere])
}

#[test]
fn the_engine_has_the_best_prices_that_the_exchange_had() {
    let symbols = [("btcusdt", Scale { decimals: 1, quantum: 100 }), ("ethusdt", Scale { decimals: 2, quantum: 10 })];
    for (symbol, scale) in symbols {
        let Some([updated, everywhere]) = replay(symbol, &scale) else {
            println!("SKIPPED: set XOS_DATA to a folder with binance-usdm-20240808/ to replay a real market");
            return;
        };
        assert!(updated.of > 1_000 && updated.share() > 99_900, "{symbol}: {updated:?}");
        assert!(everywhere.share() > 50_000, "{symbol}: {everywhere:?}");
    }
}
