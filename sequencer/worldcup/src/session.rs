//! One trader's line to the node: signs, sends, remembers every acknowledged order, and comes back after the line broke.
//!
//! It uses nothing but the public JSON-RPC, and logs in before all else: who has logged in is nobody whom the node must suspect, and
//! cancels without further signatures. A broken line is an ordinary event here ([`Trouble::Lost`]): the strategy
//! calls [`Session::resume`], which reconnects and asks the log about the latest acknowledged orders, and starts over
//! from what the node says. An acknowledged order that the log does not know is counted as lost, which fails the run.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy::primitives::Bytes;
use futures::stream::{self, StreamExt};
use jsonrpsee::core::ClientError;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use tokio::time::sleep;
use xos_api::{
    AccountInfo, Ack, ApiError, BookInfo, CancelRequest, Code, EventInfo, HoldingInfo, IndexMarketInfo, Info,
    LoginRequest, MarketInfo, OpenOrder, OrderOutcome, OrderRequest, OrderStatus, Receipt, WithdrawRequest,
    XosApiClient,
};
use xos_auth::{Domain, Key, LogHead, parse_signature, recover, signature_bytes};
use xos_types::{
    AccountId, Address, EventId, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Scope, Side, Ticks, TimeMs, Withdraw,
};

use crate::tally::Tally;

/// Orders or cancellations in one call.
const CALL_MAX: usize = 200;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a node may be away before the run fails.
const AWAY_MAX: Duration = Duration::from_secs(60);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long a login may be used.
const LOGGED_IN_FOR: Duration = Duration::from_hours(24);
/// Acknowledged orders that are looked up at once after a reconnect.
const SAMPLE: usize = 25;
/// Of so many acknowledgements one has its receipt's signature checked.
const RECEIPT_CHECKED_OF: u64 = 50;
const LOOKUPS_AT_A_TIME: usize = 50;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The line broke; whether the call took effect is unknown.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// The node refused the call as a whole.
    #[error("refused ({code}): {message}")]
    Refused {
        /// The API's code.
        code: i32,
        /// The node's words.
        message: String,
    },
    /// The node did not come back.
    #[error("the node at {url} was away for more than {} s: {reason}", AWAY_MAX.as_secs())]
    Away {
        /// Where it should be.
        url: String,
        /// The last error.
        reason: String,
    },
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Call(object) => Self::Refused { code: object.code(), message: object.message().into() },
            other => Self::Lost(other.to_string()),
        }
    }
}

/// What a trader wants to place; the session adds account, nonce, fee limit and signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The book.
    pub market: MarketId,
    /// Buy or sell.
    pub side: Side,
    /// What becomes of the rest.
    pub kind: OrderKind,
    /// Lots.
    pub size: Lots,
    /// Limit.
    pub price: Ticks,
    /// Last millisecond, or 0.
    pub expiry: TimeMs,
}

/// What became of an intent.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its name.
    pub nonce: Nonce,
    /// The answer.
    pub outcome: Result<Ack, ApiError>,
}

/// Where the node is, and what signatures for it are bound to.
#[derive(Clone, Debug)]
pub struct Venue {
    /// WebSocket address.
    pub url: String,
    /// EIP-712 domain.
    pub domain: Domain,
    /// The settlement token.
    pub token: Address,
    /// Who signs receipts.
    pub sequencer: Address,
}

/// A line to the node for one account.
#[derive(Debug)]
pub struct Session {
    venue: Arc<Venue>,
    key: Key,
    account: AccountId,
    client: WsClient,
    next_nonce: u64,
    max_fee: Ppm,
    quantum: u64,
    tally: Arc<Tally>,
    /// Every acknowledged order.
    acknowledged: Vec<Nonce>,
    /// Of these, how many were acknowledged before the line last broke.
    before_break: usize,
    receipts: u64,
}

impl Session {
    /// Connects for an account that the node knows.
    ///
    /// # Errors
    /// If the node cannot be reached for a minute.
    pub async fn open(venue: Arc<Venue>, key: Key, account: AccountId, tally: Arc<Tally>) -> Result<Self, Trouble> {
        let client = log_in(&venue, &key, account).await?;
        // The highest fee and the first quantum of whatever the group lists: a trader who signs more than a market asks pays no
        // more than it asks.
        let outcomes = client.markets(Some(EventId(1))).await.ok().and_then(|markets| markets.into_iter().next());
        let terms = match outcomes {
            Some(market) => Some((market.taker_fee.max(market.maker_fee.fee()), market.quantum)),
            None => {
                let indexed = client.index_markets().await?.into_iter().next();
                indexed.map(|market| (market.taker_fee.max(market.maker_fee.fee()), market.quantum))
            }
        };
        let (max_fee, quantum) = terms.ok_or_else(|| Trouble::Refused {
            code: Code::UnknownMarket as i32,
            message: "the node lists no market".into(),
        })?;
        let next_nonce = client.account(account).await?.next_nonce.0;
        Ok(Self {
            venue,
            key,
            account,
            client,
            next_nonce,
            max_fee,
            quantum,
            tally,
            acknowledged: Vec::new(),
            before_break: 0,
            receipts: 0,
        })
    }

    /// The same, whose nonces begin at `first`: for a second session of the account.
    #[must_use]
    pub const fn counting_from(mut self, first: Nonce) -> Self {
        self.next_nonce = first.0;
        self
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The account's owner.
    #[must_use]
    pub const fn owner(&self) -> Address {
        self.key.address()
    }

    /// Comes back after the line broke, and asks the log about the latest acknowledged orders.
    ///
    /// # Errors
    /// If the node stays away.
    pub async fn resume(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + AWAY_MAX;
        self.before_break = self.acknowledged.len();
        loop {
            match self.come_back().await {
                // It went away again, or is not ready yet.
                Err(trouble) if Instant::now() > deadline => {
                    return Err(Trouble::Away { url: self.venue.url.clone(), reason: trouble.to_string() });
                }
                Err(_) => sleep(RECONNECT_PAUSE).await,
                Ok(()) => break,
            }
        }
        self.tally.reconnected();
        Ok(())
    }

    async fn come_back(&mut self) -> Result<(), Trouble> {
        self.client = log_in(&self.venue, &self.key, self.account).await?;
        let latest = self.acknowledged.len().saturating_sub(SAMPLE);
        self.look_up(latest..self.acknowledged.len()).await
    }

    /// Asks the log about every order that was acknowledged before the line last broke, and about the latest ones.
    ///
    /// # Errors
    /// If the line breaks.
    pub async fn verify_all(&self) -> Result<(), Trouble> {
        self.look_up(0..self.before_break).await?;
        let latest = self.acknowledged.len().saturating_sub(SAMPLE).max(self.before_break);
        self.look_up(latest..self.acknowledged.len()).await
    }

    async fn look_up(&self, range: core::ops::Range<usize>) -> Result<(), Trouble> {
        let lookups: Vec<_> =
            self.acknowledged[range].iter().map(|&nonce| self.client.order(self.account, nonce)).collect();
        let mut answers = stream::iter(lookups).buffer_unordered(LOOKUPS_AT_A_TIME);
        while let Some(answer) = answers.next().await {
            self.tally.verified(answer?.status != OrderStatus::Unknown);
        }
        Ok(())
    }

    /// Signs and places orders, in order.
    ///
    /// # Errors
    /// If the line breaks, or the node refuses the call as a whole.
    pub async fn place(&mut self, intents: &[Intent]) -> Result<Vec<Placed>, Trouble> {
        let mut placed = Vec::with_capacity(intents.len());
        for chunk in intents.chunks(CALL_MAX) {
            let begun = Instant::now();
            let requests: Vec<OrderRequest> = chunk.iter().map(|intent| self.sign(intent)).collect();
            let nonces: Vec<Nonce> = requests.iter().map(|request| request.nonce).collect();
            let outcomes = match self.client.place_orders(requests).await.map_err(Trouble::from) {
                Ok(outcomes) => outcomes,
                Err(trouble) => {
                    if let Trouble::Refused { code, .. } = trouble {
                        self.tally.rejected(count(chunk.len()), &name_of(code));
                    }
                    return Err(trouble);
                }
            };
            let after = begun.elapsed();
            let mut accepted = 0;
            for ((intent, nonce), outcome) in chunk.iter().zip(nonces).zip(outcomes) {
                let outcome = match outcome {
                    OrderOutcome::Ok(ack) => {
                        accepted += 1;
                        self.remember(intent, nonce, &ack);
                        Ok(ack)
                    }
                    OrderOutcome::Error(error) => {
                        self.tally.rejected(1, &name_of(error.code));
                        Err(error)
                    }
                };
                placed.push(Placed { nonce, outcome });
            }
            self.tally.acknowledged(accepted, after);
        }
        Ok(placed)
    }

    fn sign(&mut self, intent: &Intent) -> OrderRequest {
        let order = Order {
            account: self.account,
            market: intent.market,
            side: intent.side,
            kind: intent.kind,
            reduce_only: false,
            size: intent.size,
            price: intent.price,
            nonce: self.take_nonce(),
            expiry: intent.expiry,
            max_fee: self.max_fee,
            builder: 0,
            builder_fee: Ppm(0),
        };
        let signature = self.key.sign_typed(&self.venue.domain, order).signature;
        OrderRequest::new(order, signature_bytes(&signature).into())
    }

    const fn take_nonce(&mut self) -> Nonce {
        let nonce = Nonce(self.next_nonce);
        self.next_nonce += 1;
        nonce
    }

    fn remember(&mut self, intent: &Intent, nonce: Nonce, ack: &Ack) {
        self.acknowledged.push(nonce);
        for fill in &ack.fills {
            let value = u128::from(fill.price.0) * u128::from(fill.size.0) * u128::from(self.quantum);
            self.tally.traded(intent.market, fill.price, value);
        }
        self.receipts += 1;
        if self.receipts % RECEIPT_CHECKED_OF == 1 {
            self.tally.receipt(self.holds(&ack.receipt));
        }
    }

    /// Whether a receipt would prove a broken promise: it is the sequencer's, and covers the command.
    fn holds(&self, receipt: &Receipt) -> bool {
        let head = LogHead { sequence: receipt.log_sequence, log_hash: receipt.log_hash.0 };
        let signer = parse_signature(&receipt.signature)
            .and_then(|signature| recover(self.venue.domain.digest(&head), &signature));
        receipt.sequence <= receipt.log_sequence && signer.is_ok_and(|signer| signer == self.venue.sequencer)
    }

    /// Cancels orders; those that are gone already do no harm. Answers how many were still there.
    ///
    /// # Errors
    /// If the line breaks, or the node refuses the call as a whole.
    pub async fn cancel(&self, nonces: &[Nonce]) -> Result<u64, Trouble> {
        let mut cancelled = 0;
        for chunk in nonces.chunks(CALL_MAX) {
            let requests =
                chunk.iter().map(|&nonce| CancelRequest { account: self.account, nonce, signature: Bytes::new() });
            let outcomes = self.client.cancel_orders(requests.collect()).await?;
            cancelled += count(outcomes.iter().filter(|outcome| matches!(outcome, OrderOutcome::Ok(_))).count());
        }
        self.tally.cancelled(cancelled);
        Ok(cancelled)
    }

    /// Withdraws an amount to the owner.
    ///
    /// # Errors
    /// If the line breaks or the node refuses.
    pub async fn withdraw(&mut self, amount: u128) -> Result<Ack, Trouble> {
        let message = Withdraw {
            account: self.account,
            token: self.venue.token,
            amount,
            nonce: self.take_nonce(),
            expiry: TimeMs(0),
        };
        let signature = self.key.sign_typed(&self.venue.domain, message).signature;
        let request = WithdrawRequest {
            account: message.account,
            token: message.token,
            amount,
            nonce: message.nonce,
            expiry: message.expiry,
            signature: signature_bytes(&signature).into(),
        };
        Ok(self.client.withdraw(request).await?)
    }

    /// The account as the node sees it.
    ///
    /// # Errors
    /// If the line breaks or the node refuses; so of all questions below.
    pub async fn account_info(&self) -> Result<AccountInfo, Trouble> {
        Ok(self.client.account(self.account).await?)
    }

    /// The account's resting orders.
    pub async fn open_orders(&self) -> Result<Vec<OpenOrder>, Trouble> {
        Ok(self.client.open_orders(self.account).await?)
    }

    /// The markets of an event, with the best prices.
    pub async fn markets(&self, event: EventId) -> Result<Vec<MarketInfo>, Trouble> {
        Ok(self.client.markets(Some(event)).await?)
    }

    /// Perpetuals and spot markets, with their index prices.
    pub async fn index_markets(&self) -> Result<Vec<IndexMarketInfo>, Trouble> {
        Ok(self.client.index_markets().await?)
    }

    /// What the account holds at index prices.
    pub async fn holdings(&self) -> Result<Vec<HoldingInfo>, Trouble> {
        Ok(self.client.holdings(self.account).await?)
    }

    /// The best level of a book.
    pub async fn top(&self, market: MarketId) -> Result<BookInfo, Trouble> {
        Ok(self.client.book(market, Some(1)).await?)
    }

    /// Every event.
    pub async fn events(&self) -> Result<Vec<EventInfo>, Trouble> {
        Ok(self.client.events().await?)
    }

    /// How the node stands.
    pub async fn info(&self) -> Result<Info, Trouble> {
        Ok(self.client.info().await?)
    }
}

/// Connects, and logs in to cancel for an account, whose orders stay when the connection breaks.
async fn log_in(venue: &Venue, key: &Key, account: AccountId) -> Result<WsClient, Trouble> {
    let client = connect(&venue.url).await?;
    let challenge = client.challenge().await?;
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + LOGGED_IN_FOR;
    let expiry = TimeMs(u64::try_from(until.as_millis()).unwrap_or(u64::MAX));
    let message = xos_types::Session { account, scope: Scope::Cancel, expiry, challenge: challenge.0 };
    let signature = signature_bytes(&key.sign_typed(&venue.domain, message).signature).into();
    let cancel_on_disconnect = false;
    let login = LoginRequest { account, scope: Scope::Cancel, expiry, challenge, cancel_on_disconnect, signature };
    client.login(login).await?;
    Ok(client)
}

/// Connects, and keeps trying while the node is away.
///
/// # Errors
/// If it is away for too long.
pub async fn connect(url: &str) -> Result<WsClient, Trouble> {
    let deadline = Instant::now() + AWAY_MAX;
    loop {
        match WsClientBuilder::default().request_timeout(REQUEST_TIMEOUT).build(url).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => {
                return Err(Trouble::Away { url: url.into(), reason: error.to_string() });
            }
            Err(_) => sleep(RECONNECT_PAUSE).await,
        }
    }
}

fn name_of(code: i32) -> String {
    let name = Code::from_number(code).and_then(|code| serde_json::to_value(code).ok());
    name.and_then(|name| name.as_str().map(String::from)).unwrap_or_else(|| format!("code {code}"))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
