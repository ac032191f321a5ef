//! Every error that a node answers: its code, what it means, what to do about it, and what its data says. The OpenRPC document
//! and the table of `docs/rpc.md` are made of this.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use xos_types::{
    AccountId, Atoms, BuilderId, EventId, FeedId, Hex, Lots, MarketId, Nonce, Number, Position, Ppm, Restriction,
    Ticks, TimeMs, VenueId,
};

/// An error that clients may get.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    /// The number, stable for ever.
    pub code: i32,
    /// What it is called; stable, too.
    pub name: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What whoever gets it does.
    pub remedy: &'static str,
    /// What else it says.
    pub data: Data,
}

/// What the `data` of an error is.
#[derive(Clone, Copy, Debug)]
pub enum Data {
    /// Nothing, or a text for people.
    Text,
    /// An object: the code's `name`, and of these fields those that belong to what was wrong.
    Fields(&'static [Field]),
}

/// A field of an error's data.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What it is called.
    pub name: &'static str,
    meaning: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

const fn field<T: JsonSchema>(name: &'static str, meaning: &'static str) -> Field {
    Field { name, meaning, schema: T::json_schema }
}

const ACCOUNT: Field = field::<AccountId>("account", "the account");
const MARKET: Field = field::<MarketId>("market", "the market");
const NONCE: Field = field::<Nonce>("nonce", "the order");
const WRONG: Field = field::<String>("field", "the parameter that is wrong");
const WHY: Field = field::<String>("why", "what is amiss with the node");
const WHAT: Field = field::<String>("what", "what there is too much of");
const LIMIT: Field = field::<Number<i128>>("limit", "how much there may be");
const RETRY_MS: Field = field::<u64>("retryMs", "milliseconds to wait");
const PRICE: Field = field::<Ticks>("price", "the price that was given");
const PRICE_DECIMAL: Field = field::<Option<String>>("priceDecimal", "the same in tokens");
const SIZE: Field = field::<Lots>("size", "the size that was given");

/// The codes with what is known of each, once: `/// meaning`, name and number, remedy, data.
macro_rules! codes {
    ($(#[doc = $meaning:literal] $variant:ident $name:literal = $number:literal, $remedy:literal, [$($field:expr),*];)*) => {
        /// Codes of this API; they never change their meaning. Below −32000 stand JSON-RPC's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[repr(i32)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant = $number,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$variant),*];

            /// What the code means.
            #[must_use]
            pub const fn explained(self) -> Explained {
                match self {
                    $(Self::$variant => Explained {
                        code: $number, name: $name, meaning: $meaning.trim_ascii(), remedy: $remedy, data: Data::Fields(const { &[$($field),*] }),
                    },)*
                }
            }
        }
    };
}

codes! {
    /// the request asks for nothing, for too much, or for what cannot be
    InvalidRequest "invalid_request" = 1000, "send what `expected` says", [
        WRONG, field::<String>("got", "what was given"), field::<String>("expected", "what may be given"),
        field::<Value>("fault", "what is wrong with a plan"), ACCOUNT, field::<AccountId>("to", "where a transfer was to go"),
        field::<AccountId>("keeper", "the keeper"), NONCE];
    /// the signature is malformed, or recovers to somebody who may not act for the account
    BadSignature "bad_signature" = 1001, "compare `digest` with what you signed; sign with a key of `expected`", [
        ACCOUNT, field::<Option<Hex<20>>>("recovered", "who signed that"), field::<Vec<Hex<20>>>("expected", "who may sign"),
        field::<Value>("domain", "the EIP-712 domain"), field::<String>("type", "the EIP-712 type"),
        field::<Hex<32>>("structHash", "of the message that the node read"), field::<Hex<32>>("digest", "what is to be signed"),
        field::<String>("problem", "why it is no signature")];
    /// no such account
    UnknownAccount "unknown_account" = 1002, "`xos_accountsOf` lists an owner's; a deposit opens one, a transfer an isolated one", [
        ACCOUNT, field::<String>("opens", "when it will be there")];
    /// no such market or event
    UnknownMarket "unknown_market" = 1003, "`xos_events`, `xos_markets` and `xos_indexMarkets` list what there is", [
        MARKET, field::<EventId>("event", "the event")];
    /// the market takes no such order in its phase: pending, post-only, in a call auction, halted, closed or resolved
    MarketClosed "market_closed" = 1004, "wait for another phase, which `xos_subscribeMarkets` tells; cancellations are taken", [
        MARKET, field::<EventId>("event", "its event"), field::<String>("status", "where it stands"),
        field::<FeedId>("feed", "the index price that is missing")];
    /// not a price of the market
    BadPrice "bad_price" = 1005, "send a price of `nearest`", [
        PRICE, PRICE_DECIMAL, field::<Ticks>("lowest", "the lowest price"), field::<String>("lowestDecimal", "the same in tokens"),
        field::<Ticks>("highest", "the highest price"), field::<String>("highestDecimal", "the same in tokens"),
        field::<Vec<Ticks>>("nearest", "the nearest prices"), field::<Vec<String>>("nearestDecimal", "the same in tokens"),
        field::<String>("tickSize", "a tick in tokens")];
    /// not a size of the market, or of an amendment not smaller
    BadSize "bad_size" = 1006, "send a size from `smallest` to `largest`", [
        NONCE, SIZE, field::<Lots>("smallest", "the smallest size"), field::<Lots>("largest", "the largest size"),
        field::<Option<String>>("lotSize", "a lot in shares or coins")];
    /// the nonce was used, or lies below the account's floor
    NonceSpent "nonce_spent" = 1007, "if the order is yours, it arrived, and `xos_order` says what of it; else sign with `next`", [
        NONCE, field::<Nonce>("next", "one that is free")];
    /// the order's time is up
    Expired "expired" = 1008, "sign it anew with a later expiry", [
        field::<TimeMs>("expiry", "when its time was up"), field::<TimeMs>("time", "the frame's time")];
    /// `maxFee` is below what the venue charges
    FeeTooLow "fee_too_low" = 1009, "sign it with a `maxFee` of at least `required`", [
        field::<Ppm>("maxFee", "what the order allows"), field::<Ppm>("required", "what it must allow")];
    /// a builder that is not registered, or that would be paid too much
    Unsupported "unsupported" = 1010, "leave `field` out, or name a builder that is registered", [
        WRONG, field::<BuilderId>("builder", "who is not registered"), field::<Ppm>("got", "the builder's fee"),
        field::<Ppm>("highest", "the highest")];
    /// the account would be short at its worst case
    InsufficientFunds "insufficient_funds" = 1011, "deposit, cancel orders, or make this smaller", [
        ACCOUNT, field::<Atoms>("cash", "its cash"), field::<Atoms>("worstPayoff", "what its positions pay at worst"),
        field::<Atoms>("reserved", "what its orders hold back"), field::<Number<i128>>("available", "what is free"),
        field::<Number<i128>>("required", "what this needs"), field::<Value>("decimals", "each of these in tokens"),
        field::<Atoms>("missing", "what a keeper would be short of")];
    /// too large a position, too many orders or logins, or a market full to its cap
    LimitReached "limit_reached" = 1012, "make room by what `what` names, or make this smaller", [
        WHAT, LIMIT, MARKET, field::<Lots>("open", "lots that are open"),
        field::<Number<u128>>("loss", "atoms that it would have cost others")];
    /// post-only, but it meets an order
    WouldTrade "would_trade" = 1013, "send a price behind `best`, or have it `slide`", [
        PRICE, PRICE_DECIMAL, field::<Ticks>("best", "the price that it meets"),
        field::<Option<String>>("bestDecimal", "the same in tokens")];
    /// fill or kill, but not all of it can fill; or a keeper asks for what cannot be taken
    NotFillable "not_fillable" = 1014, "ask for at most `fillable`, or send an order of another kind", [
        SIZE, field::<Lots>("fillable", "what could fill"), ACCOUNT, MARKET, field::<FeedId>("asset", "the asset"),
        field::<Number<u128>>("limit", "the keeper's"), field::<Number<u128>>("price", "the index price"),
        field::<Atoms>("maintenance", "the account's health"), field::<Atoms>("usd", "cash and what counts as such")];
    /// no such order rests or waits
    UnknownOrder "unknown_order" = 1015, "`xos_order` says whether it filled or never arrived", [ACCOUNT, NONCE];
    /// the group does not hold that token
    UnknownToken "unknown_token" = 1016, "send `expected`", [
        field::<Hex<20>>("token", "what was given"), field::<Hex<20>>("expected", "what is held")];
    /// the market's phase, its price or the account's membership allows smaller positions only
    OnlyReducing "only_reducing" = 1017, "send at most `reducible` lots on the reducing side, or end what `why` names", [
        ACCOUNT, MARKET, field::<VenueId>("venue", "the venue"), field::<Position>("position", "what the account holds"),
        field::<Lots>("reducible", "lots that orders may still reduce"), field::<Restriction>("why", "what restricts it")];
    /// it is not signed, and no session of the connection stands in for that; or the connection is no WebSocket
    NoSession "no_session" = 1018, "sign it, or log in with `xos_login`", [ACCOUNT];
    /// a subscription cannot resume there: what came after is not kept
    NotKept "not_kept" = 1019, "subscribe without `from`", [
        field::<Number<u64>>("from", "where it was to resume"), field::<Number<u64>>("oldest", "where it can")];
    /// a queue is full; nothing was done. Cancellations have a queue of their own
    Overloaded "overloaded" = 1100, "send it again after `retryMs`", [
        WHAT, field::<u64>("queued", "how much waits"), field::<u64>("limit", "how much may"), RETRY_MS];
    /// the node stopped before it answered, or `xos_ready` finds something missing
    Unavailable "unavailable" = 1101, "ask `xos_order` what became of it before you send it again", [
        WHY, field::<Vec<Value>>("missing", "what does not hold: `check` and `reason`")];
    /// the node's disk is nearly full: it takes no orders, but cancellations and withdrawals
    DiskFull "disk_full" = 1102, "cancel what should not rest; trade again when its operator has made room", [
        WHY, field::<Number<u64>>("bytesLeft", "room on the disk")];
    /// the node is shutting down; nothing was done
    Stopping "stopping" = 1103, "connect again in a moment, and send it again", [];
    /// another node leads; nothing was done
    Standby "standby" = 1104, "send it to `leader`", [
        field::<Option<String>>("leader", "its address, or null if none was heard of")];
    /// the address, or the account, has too few tokens left; nothing was done
    OverBudget "over_budget" = 1105, "send it again after `retryMs`, and less often", [
        WHAT, field::<u64>("left", "tokens that are left"), field::<u64>("perSecond", "tokens that come"),
        field::<u64>("burst", "tokens that are saved up at most"), RETRY_MS];
}

/// JSON-RPC's own, and those of the library that serves it.
const PROTOCOL: [Explained; 10] = [
    Explained {
        data: Data::Fields(&[WRONG, field::<String>("problem", "what is wrong with it")]),
        ..protocol(-32602, "invalid_params", "a parameter is missing or malformed", "correct `field`")
    },
    protocol(-32700, "parse_error", "the message is no JSON", "send a JSON-RPC 2.0 request, or a list of them"),
    protocol(-32600, "no_request", "the message is JSON, but no request", "send a JSON-RPC 2.0 request"),
    protocol(-32601, "unknown_method", "no such method", "`rpc.discover` lists those that there are"),
    protocol(-32603, "internal_error", "the node could not make its answer", "ask again, and tell its operator"),
    protocol(-32006, "many_subscriptions", "the connection has as many as may be", "end some, or connect once more"),
    protocol(-32007, "large_request", "the message is larger than may be", "send less at a time"),
    protocol(-32008, "large_response", "the answer would be larger than may be", "ask for less at a time"),
    protocol(-32010, "large_batch", "the list has more requests than may be", "send fewer at a time"),
    protocol(
        -32011,
        "large_batch_response",
        "the answers would be larger than may be together",
        "send fewer at a time",
    ),
];

const fn protocol(code: i32, name: &'static str, meaning: &'static str, remedy: &'static str) -> Explained {
    Explained { code, name, meaning, remedy, data: Data::Text }
}

impl Code {
    /// The code with that number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as i32 == number)
    }
}

impl Explained {
    /// Every error that a node answers, the API's own first.
    pub fn all() -> impl Iterator<Item = Self> {
        Code::ALL.into_iter().map(Code::explained).chain(PROTOCOL)
    }

    /// The schema of its data.
    #[must_use]
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let Data::Fields(fields) = self.data else { return json_schema!({ "type": "string" }) };
        let properties = fields.iter().map(|field| {
            let mut schema = (field.schema)(generator);
            schema.insert("description".into(), field.meaning.into());
            (field.name.to_owned(), schema.to_value())
        });
        let mut properties: Map<String, Value> = properties.collect();
        // JSON-RPC's own codes are told by their numbers.
        let named = self.code > 0;
        if named {
            properties.insert("name".into(), serde_json::json!({ "const": self.name }));
        }
        let required: &[&str] = if named { &["name"] } else { &[] };
        json_schema!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }
}
