//! Asking the contracts for something: a key, its nonces, and the requests of traders, deployers and resolvers.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::sol_types::{SolCall, SolEvent};
use futures::future::try_join_all;
use tokio::sync::Mutex;
use xos_auth::Key;
use xos_types::{
    AccountId, BuilderId, EventConfig, EventId, GroupTerms, InboxItem, InboxPayload, MarketId, Nonce, Phase,
    SignerGrant, TimeMs, VenueConfig, VenueId,
};

use crate::abi::IRiskGroup::{self, InboxQueued};
use crate::abi::{IGateway, IToken, event_number};
use crate::chain::{At, Chain};
use crate::error::ChainError;
use crate::payload::{decode_inbox_item, event_to_abi, grant_to_abi, phase_to_abi, terms_to_abi, venue_to_abi};
use crate::registry::IRegistrar;
use crate::transaction::{self, Fees, Request, TRANSACTION_GAS_CAP, Taken};

/// How long to wait for a transaction to be mined.
const PATIENCE: Duration = Duration::from_secs(120);
/// What another transaction mined first may add to the gas that was estimated.
const GAS_MARGIN_PERCENT: u64 = 30;
/// How many times the fee of a request is offered.
const FEE_MARGIN: u64 = 2;
/// Nonces that somebody else used before us: another process with the same key.
const NONCE_TRIES: u32 = 5;

/// A deposit that waits in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposited {
    /// The account that will be credited.
    pub account: AccountId,
    /// Atoms that arrived.
    pub amount: u128,
    /// The inbox item; once a batch has consumed it, the money can be used.
    pub inbox_index: u64,
    /// The block.
    pub block: u64,
    /// The transaction.
    pub transaction: B256,
}

/// An event that waits in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventOpened {
    /// Its number.
    pub event: EventId,
    /// The inbox item; once the log has consumed it, its markets trade.
    pub inbox_index: u64,
    /// The transaction.
    pub transaction: B256,
}

/// A key that sends transactions. Clones share its nonces, so any number of tasks may use one key at the same time; two
/// processes with one key get along as well, more slowly.
#[derive(Clone, Debug)]
pub struct Wallet {
    chain: Chain,
    key: Key,
    /// The nonce after the last one sent; `None` when only the chain knows.
    next_nonce: Arc<Mutex<Option<u64>>>,
}

impl Wallet {
    pub(crate) fn new(chain: Chain, key: Key) -> Self {
        Self { chain, key, next_nonce: Arc::default() }
    }

    /// Who it sends as.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.key.address()
    }

    /// The chain that it sends to.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The key, for signing orders.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Mints simulated tokens.
    ///
    /// # Errors
    /// If the endpoint stays away, the contract refuses or the transaction is not mined; so of all requests below.
    pub async fn mint(&self, to: Address, amount: u128) -> Result<(), ChainError> {
        self.call(self.token(), &IToken::mintCall { to, amount: U256::from(amount) }).await.map(drop)
    }

    /// Lets the gateway pull up to `amount` tokens.
    pub async fn approve(&self, amount: u128) -> Result<(), ChainError> {
        self.approve_for(self.gateway(), amount).await
    }

    /// Lets somebody else pull as many.
    pub(crate) async fn approve_for(&self, spender: Address, amount: u128) -> Result<(), ChainError> {
        let call = IToken::approveCall { spender, amount: U256::from(amount) };
        self.call(self.token(), &call).await.map(drop)
    }

    /// Sends tokens.
    pub async fn transfer(&self, to: Address, amount: u128) -> Result<(), ChainError> {
        self.call(self.token(), &IToken::transferCall { to, amount: U256::from(amount) }).await.map(drop)
    }

    /// Deposits tokens that the wallet holds into `account`, or into a new one; approves them first if need be.
    pub async fn deposit(&self, account: Option<AccountId>, amount: u128) -> Result<Deposited, ChainError> {
        let allowance = IToken::allowanceCall { owner: self.address(), spender: self.gateway() };
        let latest = alloy::rpc::types::BlockId::latest();
        if self.chain.rpc.view(self.token(), &allowance, latest).await? < U256::from(amount) {
            self.approve(amount).await?;
        }
        let call = IGateway::depositCall {
            account: account.unwrap_or_default().0,
            owner: self.address(),
            token: self.token(),
            amount: U256::from(amount),
        };
        let receipt = self.call(self.gateway(), &call).await?;
        let item = self.queued(IGateway::depositCall::SIGNATURE, &receipt)?;
        match item.payload {
            InboxPayload::Deposit { account, amount, .. } => Ok(Deposited {
                account,
                amount,
                inbox_index: item.index,
                block: receipt.block_number.unwrap_or_default(),
                transaction: receipt.transaction_hash,
            }),
            _ => Err(self.missing(IGateway::depositCall::SIGNATURE, &receipt)),
        }
    }

    /// Mints simulated tokens to itself and deposits them: the whole way in, on a simulated venue.
    pub async fn fund(&self, account: Option<AccountId>, amount: u128) -> Result<Deposited, ChainError> {
        tokio::try_join!(self.mint(self.address(), amount), self.approve(amount))?;
        self.deposit(account, amount).await
    }

    /// Mints a simulated asset to itself and deposits it into its account.
    pub async fn fund_asset(&self, token: Address, account: AccountId, amount: u128) -> Result<(), ChainError> {
        let atoms = U256::from(amount);
        self.call(token, &IToken::mintCall { to: self.address(), amount: atoms }).await?;
        self.call(token, &IToken::approveCall { spender: self.gateway(), amount: atoms }).await?;
        let call = IGateway::depositCall { account: account.0, owner: self.address(), token, amount: atoms };
        self.call(self.gateway(), &call).await.map(drop)
    }

    /// Shows a venue's registrar the evidence by which an account becomes a member; `venue` is the registry's number.
    pub async fn join(
        &self,
        registrar: Address,
        venue: u32,
        account: AccountId,
        evidence: Vec<u8>,
    ) -> Result<(), ChainError> {
        let call = IRegistrar::joinCall { number: venue, account: account.0, evidence: evidence.into() };
        self.call(registrar, &call).await.map(drop)
    }

    /// Opens an event. The venue's deployer only.
    pub async fn open_event(&self, config: &EventConfig) -> Result<EventOpened, ChainError> {
        let opened = self.open_events(std::slice::from_ref(config)).await?;
        Ok(opened[0])
    }

    /// Opens events, numbered in the order given, many to a block. The venue's deployer only.
    pub async fn open_events(&self, configs: &[EventConfig]) -> Result<Vec<EventOpened>, ChainError> {
        let asked = IGateway::openEventCall::SIGNATURE;
        let mut sent = Vec::with_capacity(configs.len());
        for config in configs {
            let input = IGateway::openEventCall { config: event_to_abi(config) }.abi_encode();
            sent.push(self.send(asked, self.gateway(), U256::ZERO, input.into()).await?);
        }
        let receipts = try_join_all(sent.into_iter().map(|transaction| self.succeeded(asked, transaction))).await?;
        receipts.iter().map(|receipt| self.event_opened(receipt)).collect()
    }

    fn event_opened(&self, receipt: &TransactionReceipt) -> Result<EventOpened, ChainError> {
        let asked = IGateway::openEventCall::SIGNATURE;
        let item = self.queued(asked, receipt)?;
        match item.payload {
            InboxPayload::EventOpened { event, .. } => {
                Ok(EventOpened { event, inbox_index: item.index, transaction: receipt.transaction_hash })
            }
            _ => Err(self.missing(asked, receipt)),
        }
    }

    /// Decides an event; answers the inbox item's number. The event's resolver only.
    pub async fn resolve_event(&self, event: EventId, payouts: &[u64]) -> Result<u64, ChainError> {
        let call = IGateway::resolveEventCall { eventId: event_number(event), payouts: payouts.to_vec() };
        self.queue(&call).await
    }

    /// Moves an event to another phase; answers the inbox item's number. The venue's deployer, or the guardian.
    pub async fn set_phase(&self, event: EventId, phase: Phase) -> Result<u64, ChainError> {
        let call = IGateway::setPhaseCall { market: MarketId::new(event, 0).0, phase: phase_to_abi(phase) };
        self.queue(&call).await
    }

    /// Opens a venue that the wallet's address deploys markets of and registers members of; answers its number once it waits
    /// in the inbox. The governor only.
    pub async fn open_venue(&self, config: VenueConfig) -> Result<VenueId, ChainError> {
        let (deployer, registrar) = (self.address(), self.address());
        let call = IGateway::openVenueCall { deployer, registrar, config: venue_to_abi(&config) };
        let receipt = self.call(self.gateway(), &call).await?;
        match self.queued(IGateway::openVenueCall::SIGNATURE, &receipt)?.payload {
            InboxPayload::VenueSet { venue, .. } => Ok(venue),
            _ => Err(self.missing(IGateway::openVenueCall::SIGNATURE, &receipt)),
        }
    }

    /// Changes the group's terms, the sequencer's address among them; answers the inbox item's number. The governor only.
    pub async fn set_terms(&self, terms: &GroupTerms) -> Result<u64, ChainError> {
        let call = IGateway::setTermsCall { terms: terms_to_abi(terms) };
        let receipt = self.call(self.gateway(), &call).await?;
        Ok(self.queued(IGateway::setTermsCall::SIGNATURE, &receipt)?.index)
    }

    // ---------------------------------------------------------------- forced requests: the account's owner, for a fee

    /// Asks for money without the sequencer's consent; answers the inbox item's number.
    pub async fn request_withdrawal(&self, account: AccountId, amount: u128) -> Result<u64, ChainError> {
        let token = self.token();
        self.request(&IGateway::requestWithdrawalCall { account: account.0, token, amount }).await
    }

    /// Spends every nonce below `floor`; answers the inbox item's number.
    pub async fn request_cancel_all(&self, account: AccountId, floor: Nonce) -> Result<u64, ChainError> {
        self.request(&IGateway::requestCancelAllCall { account: account.0, floor: floor.0 }).await
    }

    /// Lets a key act for the account, or changes or revokes what it may; answers the inbox item's number.
    pub async fn set_signer(&self, account: AccountId, grant: &SignerGrant) -> Result<u64, ChainError> {
        self.request(&IGateway::setSignerCall { account: account.0, grant: grant_to_abi(grant) }).await
    }

    /// Names who referred the account, once; answers the inbox item's number.
    pub async fn set_referrer(&self, account: AccountId, referrer: BuilderId) -> Result<u64, ChainError> {
        self.request(&IGateway::setReferrerCall { account: account.0, referrer: referrer.0 }).await
    }

    /// Registers the account as a builder and referrer; answers its number once it waits in the inbox.
    pub async fn register_builder(&self, account: AccountId) -> Result<BuilderId, ChainError> {
        let call = IGateway::registerBuilderCall { account: account.0 };
        let receipt = self.pay(&call).await?;
        match self.queued(IGateway::registerBuilderCall::SIGNATURE, &receipt)?.payload {
            InboxPayload::BuilderSet { builder, .. } => Ok(builder),
            _ => Err(self.missing(IGateway::registerBuilderCall::SIGNATURE, &receipt)),
        }
    }

    /// Collects what the settlement token refused to deliver to the wallet's address.
    pub async fn claim(&self, to: Address) -> Result<(), ChainError> {
        self.call(self.group(), &IRiskGroup::claimCall { token: self.token(), to }).await.map(drop)
    }

    /// Sends gas money.
    pub async fn send_native(&self, to: Address, wei: U256) -> Result<(), ChainError> {
        let asked = "a transfer of gas money";
        let transaction = self.send(asked, to, wei, Bytes::new()).await?;
        self.succeeded(asked, transaction).await.map(drop)
    }

    /// Sends gas money to many, many to a block.
    pub async fn send_native_to_all(&self, to: &[Address], wei: U256) -> Result<(), ChainError> {
        try_join_all(to.iter().map(|&to| self.send_native(to, wei))).await.map(drop)
    }

    async fn queue<C: SolCall>(&self, call: &C) -> Result<u64, ChainError> {
        let receipt = self.call(self.gateway(), call).await?;
        Ok(self.queued(C::SIGNATURE, &receipt)?.index)
    }

    async fn request<C: SolCall>(&self, call: &C) -> Result<u64, ChainError> {
        let receipt = self.pay(call).await?;
        Ok(self.queued(C::SIGNATURE, &receipt)?.index)
    }

    /// A request with its fee. It grows with the queue, so it is sent with as much as some more items would make it; the
    /// gateway gives back what is too much.
    async fn pay<C: SolCall>(&self, call: &C) -> Result<TransactionReceipt, ChainError> {
        let fee = self.chain.request_fee().await? * U256::from(FEE_MARGIN);
        let transaction = self.send(C::SIGNATURE, self.gateway(), fee, call.abi_encode().into()).await?;
        self.succeeded(C::SIGNATURE, transaction).await
    }

    pub(crate) async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<TransactionReceipt, ChainError> {
        let transaction = self.send(C::SIGNATURE, to, U256::ZERO, call.abi_encode().into()).await?;
        self.succeeded(C::SIGNATURE, transaction).await
    }

    /// Sends a transaction and does not wait for it to be mined.
    async fn send(&self, asked: &str, to: Address, value: U256, input: Bytes) -> Result<B256, ChainError> {
        let gas_limit = self.estimate(asked, to, value, input.clone()).await?;
        let rpc = &self.chain.rpc;
        let fees = Fees::estimate(rpc).await?;
        let mut next_nonce = self.next_nonce.lock().await;
        for _ in 0..NONCE_TRIES {
            let nonce = self.pending_nonce().await?.max(next_nonce.unwrap_or(0));
            let chain_id = self.chain.deployment().chain_id;
            let request = Request { chain_id, nonce, gas_limit, fees, to, value, input: input.clone() };
            let (raw, transaction) = request.sign(&self.key);
            let sent = transaction::send(rpc, asked, &raw).await;
            // An answer that got lost may still have been a yes.
            let known = match sent {
                Ok(Taken::Pending) => true,
                Ok(Taken::NonceUsed) => transaction::receipt(rpc, transaction).await?.is_some(),
                Ok(Taken::Underpriced) => false,
                Err(error) => {
                    *next_nonce = None;
                    return Err(error);
                }
            };
            if known {
                *next_nonce = Some(nonce + 1);
                return Ok(transaction);
            }
            *next_nonce = None;
            tokio::time::sleep(rpc.poll_interval()).await;
        }
        Err(ChainError::Rpc {
            url: rpc.url(),
            asked: asked.into(),
            reason: format!("the nonces of {} were taken again and again; who else uses its key?", self.address()),
        })
    }

    async fn estimate(&self, asked: &str, to: Address, value: U256, input: Bytes) -> Result<u64, ChainError> {
        let request = TransactionRequest::default().from(self.address()).to(to).value(value).input(input.into());
        let estimate = self
            .chain
            .rpc
            .ask(asked, |provider| {
                let request = request.clone();
                async move { provider.estimate_gas(request).await }
            })
            .await?;
        Ok((estimate + estimate / 100 * GAS_MARGIN_PERCENT).min(TRANSACTION_GAS_CAP))
    }

    async fn pending_nonce(&self) -> Result<u64, ChainError> {
        let address = self.address();
        self.chain
            .rpc
            .ask("eth_getTransactionCount", |provider| async move {
                provider.get_transaction_count(address).pending().await
            })
            .await
    }

    async fn succeeded(&self, asked: &str, transaction: B256) -> Result<TransactionReceipt, ChainError> {
        let receipt = transaction::mined(&self.chain.rpc, asked, transaction, PATIENCE).await;
        if receipt.is_err() {
            // It may have been dropped: the nonces after it would wait for ever.
            *self.next_nonce.lock().await = None;
        }
        let receipt = receipt?;
        if receipt.status() {
            return Ok(receipt);
        }
        Err(transaction::reverted(&self.chain.rpc, asked, &receipt).await)
    }

    /// The item that a transaction put into the inbox.
    fn queued(&self, asked: &'static str, receipt: &TransactionReceipt) -> Result<InboxItem, ChainError> {
        let queued = receipt
            .inner
            .logs()
            .iter()
            .filter(|log| log.address() == self.group())
            .find_map(|log| InboxQueued::decode_log(&log.inner).ok())
            .ok_or_else(|| self.missing(asked, receipt))?;
        decode_inbox_item(queued.index, queued.kind.into(), TimeMs(queued.time), &queued.payload)
    }

    fn missing(&self, asked: &'static str, receipt: &TransactionReceipt) -> ChainError {
        ChainError::MissingLog {
            asked: asked.into(),
            transaction: receipt.transaction_hash,
            log: "InboxQueued",
            group: self.group(),
        }
    }

    /// Atoms of the settlement token in the wallet.
    pub async fn balance(&self) -> Result<U256, ChainError> {
        self.chain.token_balance(self.address(), At::Latest).await
    }

    const fn group(&self) -> Address {
        self.chain.deployment().group
    }

    const fn gateway(&self) -> Address {
        self.chain.deployment().gateway
    }

    const fn token(&self) -> Address {
        self.chain.deployment().token
    }
}
