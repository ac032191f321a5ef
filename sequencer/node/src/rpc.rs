//! The JSON-RPC: reads requests, has their signatures checked, asks or instructs the sequencer, and puts
//! the answer into the client's words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonrpsee::RpcModule;
use jsonrpsee::core::server::PendingSubscriptionSink;
use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use serde_json::json;
use tokio::sync::Mutex;
use xos_api::{
    AccountInfo, AccountLimits, Ack, AmendRequest, ApiError, BatchInfo, Before, BookInfo, Budget, CancelAfterRequest,
    CancelAllRequest, CancelManyRequest, CancelRequest, Candle, Code, CommandSettlement, ConvertRequest, EventInfo,
    EventStatus, FillRecord, FrameInfo, FundingRecord, HoldingInfo, IndexMarketInfo, Info, Interval, LiquidateRequest,
    LiquidationRecord, LoggedIn, LoginRequest, MarginInfo, MarketInfo, OpenOrder, OrderInfo, OrderOutcome, OrderRecord,
    OrderRequest, OrderStatus, PlanRequest, PlannedOrder, PositionInfo, Receipt, ReplaceRequest, Sequence, StateHash,
    TradeInfo, TransferRecord, TransferRequest, TreeAck, TreeRequest, TrialInfo, TrialRequest, Used, VenueInfo,
    WithdrawRequest, XosApiServer,
};
use xos_auth::{Domain, Key, Typed, parse_signature, recover, signature_bytes};
use xos_engine::{LimitsView, OrderView};
use xos_history::HistoryError;
use xos_types::{
    AccountId, Act, Address, B256, Cancel, CancelAll, Command, Convert, EventId, GroupConfig, Liquidate, MarketId,
    Nonce, Order, Reject, Session, Signature, Signed, Ticks, TimeMs, Transfer, Withdraw,
};

use crate::door::budget::{Budgets, Short};
use crate::door::client;
use crate::door::session::Login;
use crate::feeds::serve::Subscriptions;
use crate::feeds::{Topic, book_info};
use crate::follower::Following;
use crate::indexed;
use crate::ingress::{Refused, Sequencer};
use crate::margin;
use crate::receipt::{Done, Effect, Head, Outcome, Terms};
use crate::refusal::{Signing, invalid, malformed_signature, rejected};
use crate::sequencer::View;
use crate::settlement::Settlement;
use crate::signatures::{Malformed, Signatures, Unverified, Verified, in_session};
use crate::trace;
use crate::trading;
use crate::trees::{self, TreeAnswer};
use crate::venues;
use crate::vitals::Vitals;

/// Orders or cancellations in one call.
pub(crate) const COMMANDS_MAX: usize = 200;
const LISTED_BY_DEFAULT: u32 = 100;
const LISTED_MAX: u32 = 1000;
const DEPTH_BY_DEFAULT: u32 = 20;
/// Between two computations of the state's hash, which looks at everything.
const STATE_HASH_INTERVAL: Duration = Duration::from_secs(1);

/// Serves the API.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) sequencer: Sequencer,
    pub(crate) signatures: Signatures,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) settlement: Arc<Settlement>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) group: GroupConfig,
    pub(crate) domain: Domain,
    pub(crate) key: Key,
    pub(crate) decimals: u8,
    pub(crate) state_hash: Arc<Mutex<Option<(Instant, StateHash)>>>,
    /// What happened, as far as the follower has written it down.
    pub(crate) past: xos_history::History,
    pub(crate) follower: Arc<Following>,
    pub(crate) subscriptions: Arc<Subscriptions>,
}

/// A command that is not handed over.
pub(crate) enum Withheld {
    Malformed(Box<Malformed>),
    /// The account has placed too many orders lately.
    Short(Short),
}

impl Rpc {
    /// Every method that is served, and the one that describes them.
    pub(crate) fn module(self) -> RpcModule<Self> {
        const DISCOVER: &str = "rpc.discover";
        let mut module = self.into_rpc();
        let document = crate::openrpc::document(module.method_names().chain([DISCOVER]));
        module.register_method(DISCOVER, move |_, _, _| document.clone()).expect("no other method has that name");
        module
    }

    /// Checks signatures, and sends the commands whose signatures are some; the others get their explanation. One result for
    /// each, in order.
    pub(crate) async fn execute(&self, unverified: Vec<Unverified>) -> Result<Vec<Result<Done, ApiError>>, ApiError> {
        pay_for_signatures(&unverified)?;
        Ok(self.execute_paid(unverified).await?)
    }

    /// The same for which the client has paid.
    ///
    /// # Errors
    /// If none of them was handed over.
    pub(crate) async fn execute_paid(
        &self,
        unverified: Vec<Unverified>,
    ) -> Result<Vec<Result<Done, ApiError>>, Refused> {
        let verified =
            self.signatures.check(unverified).await.inspect_err(|refused| self.vitals.metrics.refused(refused))?;
        let admitted = self.within_budgets(verified);
        let commands: Vec<Command> = admitted.iter().filter_map(|admitted| admitted.as_ref().ok()).cloned().collect();
        let outcomes = if commands.is_empty() { Vec::new() } else { self.submit(commands).await? };
        let mut outcomes = outcomes.into_iter();
        let mut results = Vec::with_capacity(admitted.len());
        let (mut acted, mut known) = (Vec::with_capacity(admitted.len()), true);
        for admitted in admitted {
            if !known {
                // It takes longer to explain a refusal than to take an order.
                client::pause().await;
            }
            results.push(match admitted {
                Ok(command) => match outcomes.next() {
                    Some(outcome) => {
                        known &= self.charge(&command, &outcome);
                        self.judge(&command, outcome).inspect(|_| acted.extend(command.signer()))
                    }
                    None => Err(no_answer()),
                },
                Err(Withheld::Malformed(malformed)) => {
                    known = false;
                    Err(Box::pin(self.explain(*malformed)).await)
                }
                Err(Withheld::Short(short)) => {
                    // Nobody has seen yet whether its signer may.
                    known = false;
                    Err(short.into())
                }
            });
        }
        client::is_now_known(known);
        self.signatures.acted(acted.into_iter());
        Ok(results)
    }

    /// Withholds the orders for which their accounts have no tokens. Nobody has paid yet: who signed is known, and only the engine
    /// knows for whom they may.
    pub(crate) fn within_budgets(&self, verified: Vec<Verified>) -> Vec<Result<Command, Withheld>> {
        let mut wanted: BTreeMap<AccountId, u64> = BTreeMap::new();
        let admit = |verified: Verified| -> Result<Command, Withheld> {
            let command = verified.map_err(Withheld::Malformed)?;
            if command.is_order()
                && let Some((account, _)) = command.signer()
            {
                let before = wanted.entry(account).or_default();
                self.budgets.affords(account, *before + orders(&command)).map_err(Withheld::Short)?;
                *before += orders(&command);
            }
            Ok(command)
        };
        verified.into_iter().map(admit).collect()
    }

    /// An order whose signer may act for its account costs that account a token, whatever became of it, unless anybody may have sent it.
    /// Answers whether the signer may, or of what anybody may have sent, whether something good has come of the connection before.
    pub(crate) fn charge(&self, command: &Command, outcome: &Outcome) -> bool {
        let Some((account, _)) = command.signer() else { return false };
        if let Outcome::Rejected { reject: Reject::NotAuthorized { .. } | Reject::UnknownAccount { .. }, .. } = outcome
        {
            return false;
        }
        if outcome.may_be_a_copy() {
            client::note_account(self.budgets.left_of_account(account));
            return client::is_known();
        }
        client::note_account(if command.is_order() {
            self.budgets.owe_of_account(account, orders(command))
        } else {
            self.budgets.left_of_account(account)
        });
        true
    }

    pub(crate) async fn submit(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, Refused> {
        let begun = Instant::now();
        let outcomes = self.sequencer.submit(commands).await;
        match &outcomes {
            Ok(_) => self.vitals.metrics.acknowledgement.observe(begun.elapsed().as_secs_f64()),
            Err(refused) => {
                tracing::debug!(reason = %refused, "commands refused");
                self.vitals.metrics.refused(refused);
            }
        }
        outcomes
    }

    async fn execute_one(&self, unverified: Unverified) -> RpcResult<Ack> {
        let result = self.execute(vec![unverified]).await?.pop();
        Ok(result.unwrap_or_else(|| Err(no_answer())).map(|done| self.acknowledge(done))?)
    }

    async fn execute_many(&self, unverified: Vec<Unverified>) -> RpcResult<Vec<OrderOutcome>> {
        let results = self.execute(unverified).await?.into_iter();
        let outcome = |result: Result<Done, ApiError>| match result {
            Ok(done) => OrderOutcome::Ok(self.acknowledge(done)),
            Err(error) => OrderOutcome::Error(error),
        };
        Ok(results.map(outcome).collect())
    }

    fn acknowledge(&self, Done { sequence, head, effect }: Done) -> Ack {
        let Effect { filled, remaining, fills } = effect;
        Ack { receipt: self.receipt(sequence, &head), filled, remaining, fills }
    }

    fn receipt(&self, sequence: u64, head: &Head) -> Receipt {
        let head = head.promised();
        Receipt {
            sequence,
            log_sequence: head.sequence,
            log_hash: B256::from(head.log_hash),
            signature: signature_bytes(&self.promise(head)).into(),
        }
    }

    /// The sequencer's signature over the head of the log.
    pub(crate) fn promise(&self, head: &Head) -> Signature {
        head.signature(&self.key, &self.domain)
    }

    /// What a command came to; the error that its sender gets if it was refused.
    pub(crate) fn judge(&self, command: &Command, outcome: Outcome) -> Result<Done, ApiError> {
        self.vitals.metrics.answered(command, matches!(outcome, Outcome::Done(_)));
        trace::answered(command, &outcome);
        match outcome {
            Outcome::Done(done) => Ok(done),
            // Trees are answered by themselves.
            Outcome::Tree(_) => Err(no_answer()),
            Outcome::Rejected { reject, terms, .. } => {
                let signing = Signing::of_command(&self.domain, command);
                Err(rejected(&reject, signing.as_ref(), terms, self.decimals))
            }
        }
    }

    /// Asks the history, which may read from the disk.
    async fn remember<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&xos_history::History) -> Result<T, HistoryError> + Send + 'static,
    ) -> RpcResult<T> {
        let unavailable = |why: String| {
            let message = format!("the history cannot be asked until the node's operator restarts it ({why})");
            ApiError::new(Code::Unavailable, message, json!({ "why": why }))
        };
        if let Some(why) = self.follower.failure() {
            return Err(unavailable(why).into());
        }
        let past = self.past.clone();
        match tokio::task::spawn_blocking(move || ask(&past)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unavailable(error.to_string()).into()),
            Err(_) => Err(unavailable("the question ended unexpectedly".to_owned()).into()),
        }
    }

    pub(crate) async fn explain(&self, malformed: Malformed) -> ApiError {
        let Malformed { account, error, signing } = malformed;
        let owner = self.sequencer.query(move |view| view.engine.account(account).map(|account| account.owner)).await;
        malformed_signature(&error, signing.as_ref(), owner.ok().flatten())
    }

    async fn query<R: Send + 'static>(&self, question: impl FnOnce(View<'_>) -> R + Send + 'static) -> RpcResult<R> {
        Ok(self.sequencer.query(question).await.map_err(ApiError::from)?)
    }
}

/// Takes a token for each signature that is to be checked.
///
/// # Errors
/// If the client does not have as many.
pub(crate) fn pay_for_signatures(unverified: &[Unverified]) -> Result<(), ApiError> {
    let signatures = unverified.iter().filter(|unverified| unverified.is_signed()).count();
    client::pay(u64::try_from(signatures).unwrap_or(u64::MAX))
}

/// How many orders it brings, if it brings any.
fn orders(command: &Command) -> u64 {
    u64::try_from(command.count()).unwrap_or(u64::MAX)
}

pub(crate) fn no_answer() -> ApiError {
    ApiError::new(Code::Unavailable, "the sequencer gave no answer", json!({}))
}

pub(crate) fn claimed<T: Typed + Copy>(
    domain: &Domain,
    account: AccountId,
    message: T,
    signature: &[u8],
    command: impl FnOnce(Signed<T>) -> Command,
) -> Unverified {
    Unverified::new(domain, account, message, parse_signature(signature), command)
}

pub(crate) fn claimed_order(request: &OrderRequest, command: impl FnOnce(Signed<Order>) -> Command) -> Unverified {
    Unverified::order(Order::from(request), parse_signature(&request.signature), command)
}

fn claimed_cancel(domain: &Domain, request: &CancelRequest) -> Result<Unverified, ApiError> {
    let CancelRequest { account, nonce, ref signature } = *request;
    claimed_or(domain, account, Cancel { account, nonce }, signature, Command::Cancel, Act::Cancel { nonce })
}

/// A signed command, or what a session of the connection does in its stead.
pub(crate) fn claimed_or<T: Typed + Copy>(
    domain: &Domain,
    account: AccountId,
    message: T,
    signature: &[u8],
    command: impl FnOnce(Signed<T>) -> Command,
    act: Act,
) -> Result<Unverified, ApiError> {
    if signature.is_empty() {
        in_session(account, act)
    } else {
        Ok(claimed(domain, account, message, signature, command))
    }
}

fn within(field: &str, given: Option<u32>, default: u32, most: u32) -> Result<usize, ApiError> {
    let given = given.unwrap_or(default);
    if given == 0 || given > most {
        return Err(invalid(field, given, format!("1 to {most}")));
    }
    usize::try_from(given).map_err(|_| invalid(field, given, format!("1 to {most}")))
}

fn not_too_many(field: &str, given: usize) -> Result<(), ApiError> {
    if given == 0 || given > COMMANDS_MAX {
        return Err(invalid(field, format!("a list of {given}"), format!("a list of 1 to {COMMANDS_MAX}")));
    }
    Ok(())
}

pub(crate) fn unknown_market(market: MarketId) -> ApiError {
    let message = format!("market {market} does not exist; xos_markets lists them");
    ApiError::new(Code::UnknownMarket, message, json!({ "market": market }))
}

pub(crate) fn unknown_account(account: AccountId) -> ApiError {
    let message = format!(
        "account {account} does not exist (a deposit through the contract opens one, a transfer an isolated one)"
    );
    ApiError::new(Code::UnknownAccount, message, json!({ "account": account.to_string() }))
}

#[async_trait]
impl XosApiServer for Rpc {
    async fn info(&self) -> RpcResult<Info> {
        let (sequence, log_hash, frame_time, accounts, next_inbox) = self
            .query(|View { engine, .. }| {
                let accounts = engine.account_ids().count();
                (engine.sequence(), engine.log_hash(), engine.frame_time(), accounts, engine.next_inbox())
            })
            .await?;
        Ok(Info {
            version: env!("CARGO_PKG_VERSION").into(),
            chain_id: self.group.chain_id,
            group: self.group.group,
            token: self.group.token,
            token_decimals: self.decimals,
            sequencer: self.key.address(),
            sequence,
            log_hash: B256::from(log_hash),
            frame_time,
            accounts: u64::try_from(accounts).unwrap_or(u64::MAX),
            leads: self.sequencer.role().leads(),
            epoch: self.sequencer.role().epoch(),
            settlement: self.settlement.info(next_inbox),
        })
    }

    async fn health(&self) -> RpcResult<bool> {
        self.query(|_| true).await
    }

    async fn ready(&self) -> RpcResult<bool> {
        self.sequencer.ready().map_err(ApiError::from)?;
        let missing = self.vitals.missing();
        if missing.is_empty() {
            return Ok(true);
        }
        let reasons: Vec<&str> = missing.iter().map(|missing| missing.reason.as_str()).collect();
        Err(ApiError::new(Code::Unavailable, reasons.join("; "), json!({ "missing": missing })).into())
    }

    async fn state_hash(&self) -> RpcResult<StateHash> {
        let mut last = self.state_hash.lock().await;
        if let Some((at, hash)) = *last
            && at.elapsed() < STATE_HASH_INTERVAL
        {
            return Ok(hash);
        }
        let hash = self
            .query(|View { engine, .. }| StateHash {
                sequence: engine.sequence(),
                log_hash: B256::from(engine.log_hash()),
                state_hash: B256::from(engine.state_hash()),
            })
            .await?;
        *last = Some((Instant::now(), hash));
        Ok(hash)
    }

    async fn venues(&self) -> RpcResult<Vec<VenueInfo>> {
        self.query(|View { engine, .. }| venues::infos(engine)).await
    }

    async fn events(&self) -> RpcResult<Vec<EventInfo>> {
        self.query(|View { engine, .. }| {
            let events = engine.events().map(|event| EventInfo {
                event: event.event,
                venue: event.config.terms.venue,
                title: event.config.title.clone(),
                labels: event.config.labels.clone(),
                status: match event.status {
                    xos_engine::EventStatus::Pending => EventStatus::Pending,
                    xos_engine::EventStatus::Auction => EventStatus::Auction,
                    xos_engine::EventStatus::PostOnly => EventStatus::PostOnly,
                    xos_engine::EventStatus::Open => EventStatus::Open,
                    xos_engine::EventStatus::ReduceOnly => EventStatus::ReduceOnly,
                    xos_engine::EventStatus::Halted => EventStatus::Halted,
                    xos_engine::EventStatus::Closed => EventStatus::Closed,
                    xos_engine::EventStatus::Resolved => EventStatus::Resolved,
                },
                payouts: event.payouts.map(<[u64]>::to_vec),
                resolver: event.config.resolver,
            });
            events.collect()
        })
        .await
    }

    async fn markets(&self, event: Option<EventId>) -> RpcResult<Vec<MarketInfo>> {
        let decimals = self.decimals;
        let markets = self
            .query(move |view| match event {
                Some(event) => view.engine.event(event).map(|_| markets_of(&view, event, decimals)),
                None => {
                    let events = view.engine.events().map(|event| event.event);
                    Some(events.flat_map(|event| markets_of(&view, event, decimals)).collect())
                }
            })
            .await?;
        markets.ok_or_else(|| {
            let event = event.unwrap_or_default();
            let message = format!("event {event} does not exist; xos_events lists them");
            ApiError::new(Code::UnknownMarket, message, json!({ "event": event })).into()
        })
    }

    async fn index_markets(&self) -> RpcResult<Vec<IndexMarketInfo>> {
        let decimals = self.decimals;
        self.query(move |view| indexed::markets(&view, decimals)).await
    }

    async fn holdings(&self, account: AccountId) -> RpcResult<Vec<HoldingInfo>> {
        let held = self.query(move |View { engine, .. }| indexed::holdings(engine, account)).await?;
        Ok(held.ok_or_else(|| unknown_account(account))?)
    }

    async fn book(&self, market: MarketId, depth: Option<u32>) -> RpcResult<BookInfo> {
        let depth = within("depth", depth, DEPTH_BY_DEFAULT, LISTED_MAX)?;
        let book = self.query(move |View { engine, .. }| book_info(engine, market, depth)).await?;
        Ok(book.ok_or_else(|| unknown_market(market))?)
    }

    async fn trades(&self, market: MarketId, limit: Option<u32>) -> RpcResult<Vec<TradeInfo>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        let trades = self
            .query(move |view| {
                view.engine.best_prices(market)?;
                Some(view.history.trades(market, limit))
            })
            .await?;
        Ok(trades.ok_or_else(|| unknown_market(market))?)
    }

    async fn account(&self, account: AccountId) -> RpcResult<AccountInfo> {
        let info = self
            .query(move |View { engine, .. }| {
                let view = engine.account(account)?;
                let positions = engine.positions(account).into_iter();
                Some(AccountInfo {
                    account,
                    owner: view.owner,
                    cash: view.cash,
                    worst_payoff: view.worst_payoff,
                    reserved: view.reserved,
                    available: view.available,
                    next_nonce: view.next_nonce,
                    positions: positions.map(|(market, lots)| PositionInfo { market, lots }).collect(),
                    traded: venues::traded(engine, account),
                    limits: account_limits(engine.limits(account)?),
                })
            })
            .await?;
        Ok(info.ok_or_else(|| unknown_account(account))?)
    }

    async fn margin(&self, account: AccountId) -> RpcResult<MarginInfo> {
        let info = self.query(move |View { engine, .. }| margin::of(engine, account)).await?;
        Ok(info.ok_or_else(|| unknown_account(account))?)
    }

    async fn simulate_order(&self, order: TrialRequest) -> RpcResult<TrialInfo> {
        let decimals = self.decimals;
        let tried = self.query(move |View { engine, .. }| {
            margin::trial(engine, &order).map_err(|reject| {
                let event = engine.event(order.market.event());
                rejected(&reject, None, event.map(|event| Terms::of(event.config)), decimals)
            })
        });
        Ok(tried.await??)
    }

    async fn accounts_of(&self, owner: Address) -> RpcResult<Vec<AccountId>> {
        self.query(move |View { engine, .. }| engine.accounts_of(owner)).await
    }

    async fn open_orders(&self, account: AccountId) -> RpcResult<Vec<OpenOrder>> {
        let orders = self
            .query(move |View { engine, .. }| {
                engine.account(account)?;
                Some(engine.open_orders(account).iter().map(open_order).collect())
            })
            .await?;
        Ok(orders.ok_or_else(|| unknown_account(account))?)
    }

    async fn order(&self, account: AccountId, nonce: Nonce) -> RpcResult<OrderInfo> {
        let info = self
            .query(move |View { engine, .. }| {
                let spent = engine.nonce_spent(account, nonce)?;
                let open = engine.order(account, nonce).as_ref().map(open_order);
                let status = match (open, spent) {
                    (Some(_), _) => OrderStatus::Resting,
                    (None, true) if engine.planned_order(account, nonce).is_some() => OrderStatus::Waiting,
                    (None, true) => OrderStatus::Done,
                    (None, false) => OrderStatus::Unknown,
                };
                Some(OrderInfo { status, open })
            })
            .await?;
        Ok(info.ok_or_else(|| unknown_account(account))?)
    }

    async fn order_history(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<OrderRecord>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        self.remember(move |past| past.orders(account, before.map(|before| before.0), limit)).await
    }

    async fn fills(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<FillRecord>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        self.remember(move |past| past.fills(account, before.map(|before| before.0), limit)).await
    }

    async fn trade_history(
        &self,
        market: MarketId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<TradeInfo>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        self.remember(move |past| past.trades(market, before.map(|before| before.0), limit)).await
    }

    async fn candles(
        &self,
        market: MarketId,
        interval: Interval,
        from: TimeMs,
        until: Option<TimeMs>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<Candle>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        let until = until.unwrap_or(TimeMs(u64::MAX >> 1));
        self.remember(move |past| past.candles(market, interval, from, until, limit)).await
    }

    async fn funding(
        &self,
        account: AccountId,
        market: Option<MarketId>,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<FundingRecord>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        self.remember(move |past| past.funding(account, market, before.map(|before| before.0), limit)).await
    }

    async fn transfers(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<TransferRecord>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        self.remember(move |past| past.transfers(account, before.map(|before| before.0), limit)).await
    }

    async fn liquidations(
        &self,
        account: AccountId,
        before: Option<Before>,
        limit: Option<u32>,
    ) -> RpcResult<Vec<LiquidationRecord>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        self.remember(move |past| past.liquidations(account, before.map(|before| before.0), limit)).await
    }

    async fn batches(&self, from: u64, limit: Option<u32>) -> RpcResult<Vec<BatchInfo>> {
        let limit = within("limit", limit, LISTED_BY_DEFAULT, LISTED_MAX)?;
        Ok(self.settlement.batches.list(from, limit))
    }

    async fn settlement(&self, sequence: Sequence) -> RpcResult<CommandSettlement> {
        let sequence = sequence.0;
        let newest = self.query(|view| view.engine.sequence()).await?;
        if sequence == 0 || sequence > newest {
            return Err(invalid("sequence", sequence, format!("a command of the log, 1 to {newest}")).into());
        }
        let frame = self.remember(move |past| past.frame_of(sequence)).await?;
        Ok(self.settlement.of(sequence, frame.map(|(id, time)| FrameInfo { id, time })))
    }

    async fn place_order(&self, order: OrderRequest) -> RpcResult<Ack> {
        self.execute_one(claimed_order(&order, Command::place)).await
    }

    async fn place_orders(&self, orders: Vec<OrderRequest>) -> RpcResult<Vec<OrderOutcome>> {
        not_too_many("orders", orders.len())?;
        self.execute_many(orders.iter().map(|order| claimed_order(order, Command::place)).collect()).await
    }

    async fn place_tree(&self, tree: TreeRequest) -> RpcResult<TreeAck> {
        let TreeAnswer { sequence, head, orders } = self.execute_tree(trees::claimed(&self.domain, &tree)?).await?;
        let orders = orders.into_iter().map(trees::outcome).collect();
        Ok(TreeAck { receipt: self.receipt(sequence, &head), orders })
    }

    async fn cancel(&self, cancel: CancelRequest) -> RpcResult<Ack> {
        self.execute_one(claimed_cancel(&self.domain, &cancel)?).await
    }

    async fn cancel_orders(&self, cancels: Vec<CancelRequest>) -> RpcResult<Vec<OrderOutcome>> {
        not_too_many("cancels", cancels.len())?;
        let claimed = cancels.iter().map(|cancel| claimed_cancel(&self.domain, cancel));
        self.execute_many(claimed.collect::<Result<_, _>>()?).await
    }

    async fn cancel_all(&self, cancel: CancelAllRequest) -> RpcResult<Ack> {
        let CancelAllRequest { account, below, ref signature } = cancel;
        let (message, act) = (CancelAll { account, below }, Act::CancelAll { below });
        self.execute_one(claimed_or(&self.domain, account, message, signature, Command::CancelAll, act)?).await
    }

    async fn plan_orders(&self, orders: Vec<PlanRequest>) -> RpcResult<Vec<OrderOutcome>> {
        not_too_many("orders", orders.len())?;
        self.execute_many(orders.iter().map(trading::claimed_plan).collect()).await
    }

    async fn replace_orders(&self, replacements: Vec<ReplaceRequest>) -> RpcResult<Vec<OrderOutcome>> {
        not_too_many("replacements", replacements.len())?;
        self.execute_many(replacements.iter().map(trading::claimed_replacement).collect()).await
    }

    async fn amend_orders(&self, amendments: Vec<AmendRequest>) -> RpcResult<Vec<OrderOutcome>> {
        not_too_many("amendments", amendments.len())?;
        self.execute_many(amendments.iter().map(|request| trading::claimed_amendment(&self.domain, request)).collect())
            .await
    }

    async fn cancel_many(&self, cancel: CancelManyRequest) -> RpcResult<Ack> {
        self.execute_one(trading::claimed_cancel_many(&self.domain, &cancel)?).await
    }

    async fn cancel_after(&self, switch: CancelAfterRequest) -> RpcResult<Ack> {
        self.execute_one(trading::claimed_switch(&self.domain, &switch)?).await
    }

    async fn challenge(&self) -> RpcResult<B256> {
        Ok(client::sessions()?.challenge.into())
    }

    async fn login(&self, request: LoginRequest) -> RpcResult<LoggedIn> {
        let sessions = client::sessions()?;
        let LoginRequest { account, scope, expiry, challenge, cancel_on_disconnect, ref signature } = request;
        if challenge != sessions.challenge {
            return Err(invalid(
                "challenge",
                challenge,
                format!("{}, this connection's", B256::from(sessions.challenge)),
            )
            .into());
        }
        let message = Session { account, scope, expiry, challenge: challenge.0 };
        let signing = Signing::of(&self.domain, &message);
        client::pay(1)?;
        let recovered = parse_signature(signature)
            .and_then(|signature| Ok((signature, recover(self.domain.digest(&message), &signature)?)));
        let (signature, signer) = match recovered {
            Ok(recovered) => recovered,
            Err(error) => {
                client::is_now_known(false);
                return Err(self.explain(Malformed { account, error, signing: Some(signing) }).await.into());
            }
        };
        let signed = Signed { message, signature, signer };
        let allowed = self
            .query(move |View { engine, .. }| {
                engine.check_login(&signed)?;
                if cancel_on_disconnect { engine.check_cancels_everything(&signed) } else { Ok(()) }
            })
            .await?;
        client::is_now_known(allowed.is_ok());
        allowed.map_err(|reject| rejected(&reject, Some(&signing), None, self.decimals))?;
        sessions.open(Login { signed, cancels_at_end: cancel_on_disconnect })?;
        Ok(LoggedIn { account, signer, scope, expiry, cancel_on_disconnect })
    }

    async fn logout(&self, account: AccountId) -> RpcResult<bool> {
        Ok(client::sessions()?.close(account))
    }

    async fn budget(&self, account: Option<AccountId>) -> RpcResult<Budget> {
        Ok(client::left(account))
    }

    async fn planned_orders(&self, account: AccountId) -> RpcResult<Vec<PlannedOrder>> {
        let orders = self
            .query(move |View { engine, .. }| {
                engine.account(account)?;
                Some(engine.planned_orders(account).iter().map(trading::planned_order).collect())
            })
            .await?;
        Ok(orders.ok_or_else(|| unknown_account(account))?)
    }

    async fn withdraw(&self, withdraw: WithdrawRequest) -> RpcResult<Ack> {
        let message = Withdraw {
            account: withdraw.account,
            token: withdraw.token,
            amount: withdraw.amount,
            nonce: withdraw.nonce,
            expiry: withdraw.expiry,
        };
        self.execute_one(claimed(&self.domain, withdraw.account, message, &withdraw.signature, Command::Withdraw)).await
    }

    async fn transfer(&self, transfer: TransferRequest) -> RpcResult<Ack> {
        let message = Transfer {
            account: transfer.account,
            gateway: transfer.gateway,
            to: transfer.to,
            token: transfer.token,
            amount: transfer.amount,
            nonce: transfer.nonce,
            expiry: transfer.expiry,
        };
        self.execute_one(claimed(&self.domain, transfer.account, message, &transfer.signature, Command::Transfer)).await
    }

    async fn liquidate(&self, liquidate: LiquidateRequest) -> RpcResult<Ack> {
        let message = Liquidate {
            keeper: liquidate.keeper,
            account: liquidate.account,
            market: liquidate.market,
            size: liquidate.size,
            limit: liquidate.limit,
            nonce: liquidate.nonce,
            expiry: liquidate.expiry,
        };
        self.execute_one(claimed(&self.domain, liquidate.keeper, message, &liquidate.signature, Command::Liquidate))
            .await
    }

    async fn convert(&self, convert: ConvertRequest) -> RpcResult<Ack> {
        let message = Convert {
            keeper: convert.keeper,
            account: convert.account,
            asset: convert.asset,
            amount: convert.amount,
            limit: convert.limit,
            nonce: convert.nonce,
            expiry: convert.expiry,
        };
        self.execute_one(claimed(&self.domain, convert.keeper, message, &convert.signature, Command::Convert)).await
    }

    async fn subscribe_book(
        &self,
        pending: PendingSubscriptionSink,
        market: MarketId,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Book(market), from).await
    }

    async fn subscribe_orders(
        &self,
        pending: PendingSubscriptionSink,
        market: MarketId,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Orders(market), from).await
    }

    async fn subscribe_bbo(
        &self,
        pending: PendingSubscriptionSink,
        market: MarketId,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Bbo(market), from).await
    }

    async fn subscribe_trades(
        &self,
        pending: PendingSubscriptionSink,
        market: Option<MarketId>,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Trades(market), from).await
    }

    async fn subscribe_candles(
        &self,
        pending: PendingSubscriptionSink,
        market: MarketId,
        interval: Interval,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Candles(market, interval), from).await
    }

    async fn subscribe_prices(&self, pending: PendingSubscriptionSink, from: Option<Sequence>) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Prices, from).await
    }

    async fn subscribe_funding(&self, pending: PendingSubscriptionSink, from: Option<Sequence>) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Funding, from).await
    }

    async fn subscribe_liquidations(
        &self,
        pending: PendingSubscriptionSink,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Liquidations, from).await
    }

    async fn subscribe_account(
        &self,
        pending: PendingSubscriptionSink,
        account: AccountId,
        from: Option<Sequence>,
    ) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Account(account), from).await
    }

    async fn subscribe_markets(&self, pending: PendingSubscriptionSink, from: Option<Sequence>) -> SubscriptionResult {
        self.subscriptions.serve(pending, Topic::Markets, from).await
    }
}

fn markets_of(view: &View<'_>, event: EventId, decimals: u8) -> Vec<MarketInfo> {
    let Some(event) = view.engine.event(event) else { return Vec::new() };
    let terms = Terms::of(event.config);
    let market = |outcome: u8, label: &String| {
        let market = MarketId::new(event.event, outcome);
        let (best_bid, best_ask) = view.engine.best_prices(market).unwrap_or_default();
        MarketInfo {
            market,
            venue: event.config.terms.venue,
            event: event.event,
            label: label.clone(),
            tick_size: terms.tick_size(),
            lot_size: terms.lot_size(decimals),
            lowest: Ticks(1),
            highest: Ticks(terms.ticks - 1),
            quantum: terms.quantum,
            taker_fee: event.config.terms.taker_fee,
            maker_fee: event.config.terms.maker_fee,
            curve: event.config.terms.curve,
            restricted: event.config.terms.restricted,
            isolated_only: event.config.terms.isolated_only,
            position_cap: event.config.terms.position_cap,
            open_interest_cap: event.config.terms.open_interest_cap,
            open_interest: view.engine.open_interest(market).unwrap_or_default(),
            best_bid,
            best_ask,
            last: view.history.last(market),
        }
    };
    (0u8..).zip(&event.config.labels).map(|(outcome, label)| market(outcome, label)).collect()
}

fn account_limits(limits: LimitsView) -> AccountLimits {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let used = |(used, limit): (usize, usize)| Used { used: number(used), limit: number(limit) };
    AccountLimits { orders: used(limits.orders), waiting: used(limits.waiting), holdings: used(limits.holdings) }
}

fn open_order(view: &OrderView) -> OpenOrder {
    OpenOrder {
        nonce: view.order.nonce,
        market: view.order.market,
        side: view.order.side,
        price: view.order.price,
        size: view.order.size,
        remaining: view.remaining,
    }
}
