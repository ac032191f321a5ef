//! Binary order entry: what market makers send over the WebSocket instead of JSON, with the same meaning. `docs/order-entry.md`
//! has the layout as a table.
//!
//! One binary message is one request, and has one answer with the same tag. Integers are little-endian; nothing is padded.

use xos_types::{
    AccountId, Address, Cancel, CancelAll, Crossing, Hash, Instructions, Lots, MarketId, Nonce, Order, OrderKind, Ppm,
    SelfTrade, Side, Signature, SignedTree, Ticks, TimeMs, UnfitTree,
};

use crate::codes::Code;
use crate::session::Budget;

/// The first byte of every message.
const VERSION: u8 = 1;
/// Bytes of version, kind, count and tag.
const HEADER: usize = 8;
/// Bytes of an order without a signature.
const BODY: usize = 60;
/// Bytes of an order with its signature.
const ORDER: usize = BODY + SIGNATURE;
const SIGNATURE: usize = 64;
/// Bytes of a cancellation with its signature.
const CANCEL: usize = 16 + SIGNATURE;
/// Bytes of the promise that all results of an answer share.
const PROMISE: usize = 8 + 32 + SIGNATURE;
/// Bytes of what is left to the client.
const BUDGET: usize = 8;
/// Stands for the budget of no account.
const NO_ACCOUNT: u32 = u32::MAX;
/// Bytes of a text for people at most.
const TEXT_MAX: usize = 1024;
/// Bytes of one result.
const RESULT: usize = 28;
const SELF_TRADE_BITS: u8 = 0b0000_0011;
const SLIDE_BIT: u8 = 0b0001_0000;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Place = 1,
    Replace = 2,
    Cancel = 3,
    CancelAll = 4,
    Tree = 5,
    MovedTree = 6,
}

const KINDS: &str = "1 (place), 2 (replace), 3 (cancel), 4 (cancel all), 5 (tree) or 6 (tree that replaces)";

/// What an answer is: each command has a result.
const DONE: u8 = 0x80;
/// Nothing of the request was done.
const REFUSED: u8 = 0xff;

/// One command of a request. Cancellations may have a session of the connection instead of a signature: [`BY_SESSION`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Places an order.
    Place(Order, Instructions, Signature),
    /// Places an order in the stead of the resting one with that nonce.
    Replace(Nonce, Order, Instructions, Signature),
    /// Cancels an order.
    Cancel(Cancel, Signature),
    /// Cancels every order below a nonce.
    CancelAll(CancelAll, Signature),
    /// Places orders under one signature, the only entry of its request. Each order takes the stead of one of these nonces, or none
    /// does. Who signed is not known here: the tree's signer is nobody.
    Tree(SignedTree, Box<[Nonce]>, Instructions),
}

/// Stands for no signature: a session of the connection stands in for it. No key makes this one.
pub const BY_SESSION: Signature = Signature { r: [0; 32], vs: [0; 32] };

/// A request: commands of one kind, executed in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRequest {
    /// The client's own number for it; the answer has it too.
    pub tag: u32,
    /// At least one, all of the same kind; of trees one only.
    pub entries: Vec<Entry>,
}

/// What became of one command, or of one order of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryResult {
    /// Why it did nothing, if so.
    pub refused: Option<Code>,
    /// Its place in the log; 0 if it did nothing.
    pub sequence: u64,
    /// Lots that filled at once.
    pub filled: Lots,
    /// Lots that rest in the book, or that were taken out of it.
    pub remaining: Lots,
}

/// The log up to `sequence` hashes to `log_hash`, says the sequencer's signature: a promise that covers every result of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryPromise {
    /// Commands in the log.
    pub sequence: u64,
    /// Rolling hash there.
    pub log_hash: Hash,
    /// Over `LogHead(uint64 sequence,bytes32 logHash)`.
    pub signature: Signature,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryAnswer {
    /// Each command has a result, and of a tree each order.
    Done {
        /// The request's.
        tag: u32,
        /// Zeros if no command did anything.
        promise: EntryPromise,
        /// What is left to the client.
        budget: Budget,
        /// In the request's order.
        results: Vec<EntryResult>,
        /// For people: which command was refused, and why.
        reasons: Vec<(u16, String)>,
    },
    /// Nothing was done.
    Refused {
        /// The request's; 0 if it could not be read.
        tag: u32,
        /// Why.
        code: Code,
        /// After how many milliseconds it is worth trying again; 0 if it is not.
        retry_ms: u32,
        /// What is left to the client.
        budget: Budget,
        /// For people.
        reason: String,
    },
}

/// A message that is not of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {got}, expected {expected}")]
pub struct EntryError {
    /// Where, as `entries[3].side`.
    pub field: String,
    /// What stood there.
    pub got: String,
    /// What may stand there.
    pub expected: String,
}

impl EntryError {
    fn new(field: impl Into<String>, got: impl ToString, expected: impl Into<String>) -> Self {
        Self { field: field.into(), got: got.to_string(), expected: expected.into() }
    }
}

/// Takes fields off the front; whoever made it has checked that there are enough bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the length was checked");
        self.0 = rest;
        *field
    }

    fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn signature(&mut self) -> Signature {
        Signature { r: self.take(), vs: self.take() }
    }

    fn order(&mut self, entry: usize) -> Result<(Order, Instructions), EntryError> {
        let wrong = |field: &str, got: u8, expected: &str| {
            EntryError::new(format!("entries[{entry}].{field}"), got, expected.to_owned())
        };
        let (account, size, price) = (AccountId(self.u64()), Lots(self.u64()), Ticks(self.u64()));
        let (nonce, expiry) = (Nonce(self.u64()), TimeMs(self.u64()));
        let (market, max_fee) = (MarketId(self.u32()), Ppm(self.u32()));
        let (builder, builder_fee) = (self.u32(), Ppm(self.u32()));
        let side = match self.u8() {
            0 => Side::Buy,
            1 => Side::Sell,
            got => return Err(wrong("side", got, "0 (buy) or 1 (sell)")),
        };
        let kind = match self.u8() {
            0 => OrderKind::GoodTillCancelled,
            1 => OrderKind::ImmediateOrCancel,
            2 => OrderKind::FillOrKill,
            3 => OrderKind::PostOnly,
            got => return Err(wrong("kind", got, "0 (GTC), 1 (IOC), 2 (FOK) or 3 (post-only)")),
        };
        let reduce_only = match self.u8() {
            0 => false,
            1 => true,
            got => return Err(wrong("reduceOnly", got, "0 or 1")),
        };
        let bits = self.u8();
        if bits & !(SELF_TRADE_BITS | SLIDE_BIT) != 0 {
            return Err(wrong("instructions", bits, "bits 0 and 1 (self-trade) and 4 (slide) only"));
        }
        let self_trade = match bits & SELF_TRADE_BITS {
            0 => SelfTrade::CancelMaker,
            1 => SelfTrade::CancelTaker,
            2 => SelfTrade::CancelBoth,
            _ => SelfTrade::Decrement,
        };
        let crossing = if bits & SLIDE_BIT == 0 { Crossing::Refuse } else { Crossing::Slide };
        let order = Order {
            account,
            market,
            side,
            kind,
            reduce_only,
            size,
            price,
            nonce,
            expiry,
            max_fee,
            builder,
            builder_fee,
        };
        Ok((order, Instructions { self_trade, crossing }))
    }

    /// A tree of so many orders, with what each takes the stead of if they are to move.
    fn tree(&mut self, count: usize, moves: bool) -> Result<Entry, EntryError> {
        let signature = self.signature();
        let (mut orders, mut replaces) = (Vec::with_capacity(count), Vec::with_capacity(if moves { count } else { 0 }));
        let mut common = Instructions::default();
        for number in 0..count {
            if moves {
                replaces.push(Nonce(self.u64()));
            }
            let (order, instructions) = self.order(number)?;
            if number == 0 {
                common = instructions;
            } else if instructions != common {
                let (field, got, all) = (format!("entries[{number}].instructions"), bits(instructions), bits(common));
                return Err(EntryError::new(field, got, format!("{all}, as in the tree's first order")));
            }
            orders.push(order);
        }
        let tree = SignedTree::new(orders, signature, Address::ZERO).map_err(|unfit| match unfit {
            UnfitTree::Size { got } => EntryError::new("count", got, format!("1 to {}", SignedTree::MOST)),
            UnfitTree::Accounts { number, got, expected } => {
                let expected = format!("{expected}, as in the tree's first order");
                EntryError::new(format!("entries[{number}].account"), got, expected)
            }
        })?;
        Ok(Entry::Tree(tree, replaces.into(), common))
    }
}

/// Instructions as their byte.
fn bits(instructions: Instructions) -> u8 {
    let self_trade = match instructions.self_trade {
        SelfTrade::CancelMaker => 0,
        SelfTrade::CancelTaker => 1,
        SelfTrade::CancelBoth => 2,
        SelfTrade::Decrement => 3,
    };
    self_trade | if instructions.crossing == Crossing::Slide { SLIDE_BIT } else { 0 }
}

fn write_order(to: &mut Vec<u8>, order: &Order, instructions: Instructions) {
    for field in [order.account.0, order.size.0, order.price.0, order.nonce.0, order.expiry.0] {
        to.extend(field.to_le_bytes());
    }
    for field in [order.market.0, order.max_fee.0, order.builder, order.builder_fee.0] {
        to.extend(field.to_le_bytes());
    }
    to.extend([order.side as u8, order.kind as u8, order.reduce_only.into(), bits(instructions)]);
}

fn write_signature(to: &mut Vec<u8>, signature: &Signature) {
    to.extend(signature.r);
    to.extend(signature.vs);
}

fn header(kind: u8, count: usize, tag: u32) -> Vec<u8> {
    let mut bytes = vec![VERSION, kind];
    bytes.extend(u16::try_from(count).expect("a request has at most 65,535 entries").to_le_bytes());
    bytes.extend(tag.to_le_bytes());
    bytes
}

/// The tag of a request of which the rest may be anything; 0 if even that is missing.
#[must_use]
pub fn tag_of(message: &[u8]) -> u32 {
    message.get(4..HEADER).and_then(|tag| tag.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Whether two messages bring commands of one kind, so that they can be executed as if they were one. Trees are not counted
/// among them: each brings enough by itself.
#[must_use]
pub fn are_alike(one: &[u8], other: &[u8]) -> bool {
    const KINDS: std::ops::RangeInclusive<u8> = Kind::Place as u8..=Kind::CancelAll as u8;
    one.get(1).is_some_and(|kind| KINDS.contains(kind)) && one.get(..2) == other.get(..2)
}

impl EntryRequest {
    /// The message.
    ///
    /// # Panics
    /// If there are no entries, more than 65,535, entries of different kinds, or a tree of which some orders replace and others do
    /// not.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self.entries.first().expect("a request has entries") {
            Entry::Place(..) => Kind::Place,
            Entry::Replace(..) => Kind::Replace,
            Entry::Cancel(..) => Kind::Cancel,
            Entry::CancelAll(..) => Kind::CancelAll,
            Entry::Tree(tree, replaces, instructions) => {
                assert!(self.entries.len() == 1, "a tree is the only entry of its request");
                return encode_tree(self.tag, tree, replaces, *instructions);
            }
        };
        let mut bytes = header(kind as u8, self.entries.len(), self.tag);
        for entry in &self.entries {
            match (kind, entry) {
                (Kind::Place, Entry::Place(order, instructions, signature)) => {
                    write_order(&mut bytes, order, *instructions);
                    write_signature(&mut bytes, signature);
                }
                (Kind::Replace, Entry::Replace(nonce, order, instructions, signature)) => {
                    bytes.extend(nonce.0.to_le_bytes());
                    write_order(&mut bytes, order, *instructions);
                    write_signature(&mut bytes, signature);
                }
                (Kind::Cancel, Entry::Cancel(Cancel { account, nonce }, signature))
                | (Kind::CancelAll, Entry::CancelAll(CancelAll { account, below: nonce }, signature)) => {
                    bytes.extend(account.0.to_le_bytes());
                    bytes.extend(nonce.0.to_le_bytes());
                    write_signature(&mut bytes, signature);
                }
                _ => panic!("the entries of a request are of one kind"),
            }
        }
        bytes
    }

    /// Reads a message of at most `most` entries, or one tree.
    ///
    /// # Errors
    /// Which field is wrong, and what is expected there.
    pub fn decode(message: &[u8], most: usize) -> Result<Self, EntryError> {
        if message.len() < HEADER {
            return Err(EntryError::new("length", message.len(), format!("at least the {HEADER} bytes of the header")));
        }
        let mut reader = Reader(message);
        let version = reader.u8();
        if version != VERSION {
            return Err(EntryError::new("version", version, VERSION.to_string()));
        }
        let (kind, each) = match reader.u8() {
            1 => (Kind::Place, ORDER),
            2 => (Kind::Replace, 8 + ORDER),
            3 => (Kind::Cancel, CANCEL),
            4 => (Kind::CancelAll, CANCEL),
            5 => (Kind::Tree, BODY),
            6 => (Kind::MovedTree, 8 + BODY),
            got => return Err(EntryError::new("kind", got, KINDS)),
        };
        let (most, signature) = match kind {
            Kind::Tree | Kind::MovedTree => (SignedTree::MOST, SIGNATURE),
            Kind::Place | Kind::Replace | Kind::Cancel | Kind::CancelAll => (most, 0),
        };
        let count = usize::from(reader.u16());
        if count == 0 || count > most {
            return Err(EntryError::new("count", count, format!("1 to {most}")));
        }
        let tag = reader.u32();
        let expected = HEADER + signature + count * each;
        if message.len() != expected {
            return Err(EntryError::new(
                "length",
                message.len(),
                format!("{expected} for {count} entries of that kind"),
            ));
        }
        let entries_of_it = if matches!(kind, Kind::Tree | Kind::MovedTree) { 1 } else { count };
        let mut entries = Vec::with_capacity(entries_of_it);
        for number in 0..entries_of_it {
            entries.push(match kind {
                Kind::Tree | Kind::MovedTree => reader.tree(count, kind == Kind::MovedTree)?,
                Kind::Place => {
                    let (order, instructions) = reader.order(number)?;
                    Entry::Place(order, instructions, reader.signature())
                }
                Kind::Replace => {
                    let nonce = Nonce(reader.u64());
                    let (order, instructions) = reader.order(number)?;
                    Entry::Replace(nonce, order, instructions, reader.signature())
                }
                Kind::Cancel => {
                    let cancel = Cancel { account: AccountId(reader.u64()), nonce: Nonce(reader.u64()) };
                    Entry::Cancel(cancel, reader.signature())
                }
                Kind::CancelAll => {
                    let cancel = CancelAll { account: AccountId(reader.u64()), below: Nonce(reader.u64()) };
                    Entry::CancelAll(cancel, reader.signature())
                }
            });
        }
        Ok(Self { tag, entries })
    }
}

fn encode_tree(tag: u32, tree: &SignedTree, replaces: &[Nonce], instructions: Instructions) -> Vec<u8> {
    let orders = tree.orders();
    let kind = if replaces.is_empty() { Kind::Tree } else { Kind::MovedTree };
    assert!(replaces.is_empty() || replaces.len() == orders.len(), "each order of a tree replaces one, or none does");
    let mut bytes = header(kind as u8, orders.len(), tag);
    bytes.reserve(SIGNATURE + orders.len() * (8 + BODY));
    write_signature(&mut bytes, &tree.signature);
    for (number, order) in orders.iter().enumerate() {
        if let Some(nonce) = replaces.get(number) {
            bytes.extend(nonce.0.to_le_bytes());
        }
        write_order(&mut bytes, order, instructions);
    }
    bytes
}

impl EntryAnswer {
    /// The message. A reason that is longer than a kilobyte is cut.
    ///
    /// # Panics
    /// If there are more than 65,535 results.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Done { tag, promise, budget, results, reasons } => {
                let mut bytes = header(DONE, results.len(), *tag);
                bytes.reserve(PROMISE + BUDGET + results.len() * RESULT);
                bytes.extend(promise.sequence.to_le_bytes());
                bytes.extend(promise.log_hash);
                write_signature(&mut bytes, &promise.signature);
                write_budget(&mut bytes, budget);
                for result in results {
                    let code = result.refused.map_or(0, |code| code as i32);
                    bytes.extend(code.to_le_bytes());
                    for field in [result.sequence, result.filled.0, result.remaining.0] {
                        bytes.extend(field.to_le_bytes());
                    }
                }
                for (number, reason) in reasons {
                    bytes.extend(number.to_le_bytes());
                    write_text(&mut bytes, reason);
                }
                bytes
            }
            Self::Refused { tag, code, retry_ms, budget, reason } => {
                let mut bytes = header(REFUSED, 0, *tag);
                bytes.extend((*code as i32).to_le_bytes());
                bytes.extend(retry_ms.to_le_bytes());
                write_budget(&mut bytes, budget);
                write_text(&mut bytes, reason);
                bytes
            }
        }
    }

    /// The same answer with what is left to the client.
    #[must_use]
    pub fn with_budget(mut self, left: Budget) -> Self {
        let (Self::Done { budget, .. } | Self::Refused { budget, .. }) = &mut self;
        *budget = left;
        self
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// Which field is wrong, and what is expected there.
    pub fn decode(message: &[u8]) -> Result<Self, EntryError> {
        let length = |at_least: usize| EntryError::new("length", message.len(), format!("at least {at_least}"));
        let code = |number: i32| {
            Code::from_number(number).ok_or_else(|| EntryError::new("code", number, "a code of docs/rpc.md"))
        };
        if message.len() < HEADER {
            return Err(length(HEADER));
        }
        let mut reader = Reader(message);
        let (version, kind, count, tag) = (reader.u8(), reader.u8(), usize::from(reader.u16()), reader.u32());
        if version != VERSION {
            return Err(EntryError::new("version", version, VERSION.to_string()));
        }
        if kind == REFUSED {
            if message.len() < HEADER + 10 + BUDGET {
                return Err(length(HEADER + 10 + BUDGET));
            }
            let (code, retry_ms) = (code(i32::from_le_bytes(reader.take()))?, reader.u32());
            let budget = read_budget(&mut reader);
            return Ok(Self::Refused { tag, code, retry_ms, budget, reason: read_text(&mut reader, message.len())? });
        }
        if kind != DONE {
            return Err(EntryError::new("kind", kind, format!("{DONE} (done) or {REFUSED} (refused)")));
        }
        if message.len() < HEADER + PROMISE + BUDGET + count * RESULT {
            return Err(length(HEADER + PROMISE + BUDGET + count * RESULT));
        }
        let promise = EntryPromise { sequence: reader.u64(), log_hash: reader.take(), signature: reader.signature() };
        let budget = read_budget(&mut reader);
        let mut results = Vec::with_capacity(count);
        for _ in 0..count {
            let refused = match i32::from_le_bytes(reader.take()) {
                0 => None,
                number => Some(code(number)?),
            };
            let (sequence, filled, remaining) = (reader.u64(), Lots(reader.u64()), Lots(reader.u64()));
            results.push(EntryResult { refused, sequence, filled, remaining });
        }
        let mut reasons = Vec::new();
        while !reader.0.is_empty() {
            if reader.0.len() < 4 {
                return Err(length(message.len() + 4 - reader.0.len()));
            }
            reasons.push((reader.u16(), read_text(&mut reader, message.len())?));
        }
        Ok(Self::Done { tag, promise, budget, results, reasons })
    }
}

/// More than fits is as much as fits.
fn write_budget(to: &mut Vec<u8>, budget: &Budget) {
    let fit = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    to.extend(fit(budget.address).to_le_bytes());
    to.extend(budget.account.map_or(NO_ACCOUNT, |tokens| fit(tokens).min(NO_ACCOUNT - 1)).to_le_bytes());
}

fn read_budget(reader: &mut Reader<'_>) -> Budget {
    let (address, account) = (reader.u32().into(), reader.u32());
    Budget { address, account: (account != NO_ACCOUNT).then_some(account.into()) }
}

/// Two bytes of length, and UTF-8; what is longer than may be is cut.
fn write_text(to: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(TEXT_MAX)];
    to.extend(u16::try_from(text.len()).expect("it was cut").to_le_bytes());
    to.extend(text.as_bytes());
}

fn read_text(reader: &mut Reader<'_>, whole: usize) -> Result<String, EntryError> {
    let length = usize::from(reader.u16());
    if length > TEXT_MAX {
        return Err(EntryError::new("reason", format!("{length} bytes"), format!("at most {TEXT_MAX}")));
    }
    let Some((text, rest)) = reader.0.split_at_checked(length) else {
        return Err(EntryError::new("length", whole, format!("at least {}", whole + length - reader.0.len())));
    };
    reader.0 = rest;
    let text = str::from_utf8(text).map_err(|error| EntryError::new("reason", error, "UTF-8".to_owned()))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(nonce: u64) -> Order {
        Order {
            account: AccountId(7),
            market: MarketId(257),
            side: Side::Sell,
            kind: OrderKind::PostOnly,
            reduce_only: true,
            size: Lots(1 << 40),
            price: Ticks(523),
            nonce: Nonce(nonce),
            expiry: TimeMs(1_790_000_000_000),
            max_fee: Ppm(150),
            builder: 3,
            builder_fee: Ppm(10),
        }
    }

    fn tree(orders: u64) -> SignedTree {
        let signature = Signature { r: [1; 32], vs: [2; 32] };
        SignedTree::new((1..=orders).map(order).collect::<Vec<_>>(), signature, Address::ZERO).unwrap()
    }

    fn requests() -> Vec<EntryRequest> {
        let signature = Signature { r: [1; 32], vs: [2; 32] };
        let instructions = Instructions { self_trade: SelfTrade::Decrement, crossing: Crossing::Slide };
        vec![
            EntryRequest {
                tag: 9,
                entries: (1..=3).map(|n| Entry::Place(order(n), instructions, signature)).collect(),
            },
            EntryRequest { tag: 10, entries: vec![Entry::Replace(Nonce(4), order(5), instructions, signature)] },
            EntryRequest {
                tag: 11,
                entries: vec![Entry::Cancel(Cancel { account: AccountId(7), nonce: Nonce(5) }, signature)],
            },
            EntryRequest {
                tag: u32::MAX,
                entries: vec![Entry::CancelAll(CancelAll { account: AccountId(7), below: Nonce(6) }, signature)],
            },
            EntryRequest { tag: 12, entries: vec![Entry::Tree(tree(3), [].into(), instructions)] },
            EntryRequest { tag: 13, entries: vec![Entry::Tree(tree(2), [Nonce(8), Nonce(9)].into(), instructions)] },
        ]
    }

    #[test]
    fn only_messages_of_one_kind_are_alike_and_trees_never_are() {
        let message = |kind: u8| [VERSION, kind, 1, 0];
        for one in 0..=u8::MAX {
            for other in 0..=u8::MAX {
                assert_eq!(are_alike(&message(one), &message(other)), one == other && (1..=4).contains(&one));
            }
        }
        assert!(!are_alike(&[], &[]) && !are_alike(&message(1), &[VERSION]) && !are_alike(&message(1), &[2, 1]));
    }

    #[test]
    fn requests_are_read_as_they_were_written_and_nothing_shorter_or_longer_is() {
        for request in requests() {
            let message = request.encode();
            assert_eq!(EntryRequest::decode(&message, 3).as_ref(), Ok(&request));
            assert_eq!(tag_of(&message), request.tag);
            for length in 0..message.len() {
                assert!(EntryRequest::decode(&message[..length], 3).is_err(), "{length} bytes of {}", message.len());
            }
            let longer = [&message[..], &[0]].concat();
            assert_eq!(EntryRequest::decode(&longer, 3).unwrap_err().field, "length");
        }
        assert_eq!(EntryRequest::decode(&requests()[0].encode(), 2).unwrap_err().field, "count");
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let message = requests()[0].encode();
        assert_eq!(message.len(), 8 + 3 * 124);
        assert_eq!(message[..8], [1, 1, 3, 0, 9, 0, 0, 0]);
        assert_eq!(message[8..16], 7_u64.to_le_bytes());
        assert_eq!(message[48..52], 257_u32.to_le_bytes());
        assert_eq!(message[64..68], [1, 3, 1, 0b10011]);
        assert_eq!(message[68..132], [[1; 32], [2; 32]].concat());
    }

    #[test]
    fn a_tree_has_one_signature_before_its_orders() {
        let messages = [4, 5].map(|number| requests()[number].encode());
        assert_eq!(messages.each_ref().map(Vec::len), [8 + 64 + 3 * 60, 8 + 64 + 2 * 68]);
        assert_eq!(messages[0][..8], [1, 5, 3, 0, 12, 0, 0, 0]);
        assert_eq!(messages[0][8..72], [[1; 32], [2; 32]].concat());
        assert_eq!(messages[0][72..132], requests()[0].encode()[8..68]);
        assert_eq!(messages[1][72..80], 8_u64.to_le_bytes());
        let large =
            EntryRequest { tag: 1, entries: vec![Entry::Tree(tree(1_024), [].into(), Instructions::default())] };
        assert_eq!(EntryRequest::decode(&large.encode(), 3), Ok(large));

        let mut other = messages[0].clone();
        other[72 + 60] = 8;
        assert_eq!(EntryRequest::decode(&other, 3).unwrap_err().field, "entries[1].account");
        let mut other = messages[0].clone();
        other[72 + 2 * 60 + 59] = 0;
        assert_eq!(EntryRequest::decode(&other, 3).unwrap_err().field, "entries[2].instructions");
    }

    #[test]
    fn a_field_that_cannot_be_is_named() {
        let good = requests()[0].encode();
        let second = 8 + 124;
        let cases = [
            (0, 2, "version"),
            (1, 9, "kind"),
            (second + 56, 2, "entries[1].side"),
            (second + 57, 4, "entries[1].kind"),
            (second + 58, 2, "entries[1].reduceOnly"),
            (second + 59, 4, "entries[1].instructions"),
        ];
        for (at, value, field) in cases {
            let mut message = good.clone();
            message[at] = value;
            let error = EntryRequest::decode(&message, 3).unwrap_err();
            assert_eq!((error.field.as_str(), error.got.as_str()), (field, value.to_string().as_str()));
        }
    }

    #[test]
    fn answers_are_read_as_they_were_written_and_a_cut_one_is_not() {
        let promise =
            EntryPromise { sequence: 77, log_hash: [5; 32], signature: Signature { r: [3; 32], vs: [4; 32] } };
        let done = EntryResult { refused: None, sequence: 76, filled: Lots(2), remaining: Lots(8) };
        let refused = EntryResult { refused: Some(Code::WouldTrade), sequence: 0, filled: Lots(0), remaining: Lots(0) };
        let budget = Budget { address: 7, account: Some(8) };
        let answers = [
            EntryAnswer::Done {
                tag: 5, promise, budget, results: vec![done, refused], reasons: vec![(1, "é".into())]
            },
            EntryAnswer::Refused {
                tag: 6,
                code: Code::Overloaded,
                retry_ms: 20,
                budget: Budget { account: None, ..budget },
                reason: "busy".into(),
            },
        ];
        for answer in answers {
            let message = answer.encode();
            assert_eq!(EntryAnswer::decode(&message).as_ref(), Ok(&answer));
            for length in 0..message.len() {
                // Without its reasons an answer is still one.
                let whole = EntryAnswer::decode(&message[..length]);
                assert!(whole.is_err() || length == 8 + 104 + 8 + 2 * 28, "{length} bytes of {}", message.len());
            }
        }
        let long =
            EntryAnswer::Refused { tag: 0, code: Code::Overloaded, retry_ms: 0, budget, reason: "é".repeat(1000) };
        let EntryAnswer::Refused { reason, .. } = EntryAnswer::decode(&long.encode()).unwrap() else { panic!() };
        assert_eq!(reason, "é".repeat(512));
        let mut bytes = long.encode();
        *bytes.last_mut().unwrap() = b'x';
        assert_eq!(EntryAnswer::decode(&bytes).unwrap_err().field, "reason", "half of a letter");
    }
}
