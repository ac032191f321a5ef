//! Looking at the contracts: accounts, events, the inbox and the chain of batches.

use alloy::consensus::BlockHeader;
use alloy::network::BlockResponse;
use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{BlockId, BlockNumberOrTag, Filter, Log, TransactionReceipt};
use xos_auth::Key;
use xos_types::{AccountId, Atoms, EventId, FeedId, MarketId, Nonce, Position, Ticks, TimeMs, VenueConfig, VenueId};

use crate::abi::{self, IGateway, IGroupViews, IRiskGroup, IToken, event_number};
use crate::deployment::Deployment;
use crate::error::ChainError;
use crate::payload::venue_from_abi;
use crate::rpc::Rpc;
use crate::settled::{SettledBatch, SettledLogs};
use crate::transaction;
use crate::wallet::Wallet;

/// As of which block to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The newest.
    #[default]
    Latest,
    /// That one; the endpoint must still keep its state.
    Block(u64),
}

impl At {
    pub(crate) const fn id(self) -> BlockId {
        match self {
            Self::Latest => BlockId::Number(BlockNumberOrTag::Latest),
            Self::Block(number) => BlockId::Number(BlockNumberOrTag::Number(number)),
        }
    }
}

/// An account as the contract holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Whose account it is; the zero address if it does not exist.
    pub owner: Address,
    /// Its cash.
    pub cash: Atoms,
    /// Worst payoff of its positions, summed over events.
    pub worst_payoff: Atoms,
    /// Every nonce below is spent.
    pub floor: Nonce,
    /// The feeds of the assets and perpetuals that it holds, a bit each.
    pub held: U256,
}

impl AccountState {
    /// The feeds at which it holds something.
    pub fn feeds(&self) -> impl Iterator<Item = FeedId> + use<> {
        let held = self.held;
        (0..=u8::MAX).filter(move |feed| held.bit(usize::from(*feed))).map(FeedId)
    }
}

/// What an account holds at a feed; all zero if nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldingState {
    /// Signed lots of a perpetual, atoms of an asset.
    pub amount: i128,
    /// Average price at which a perpetual was entered; 0 of an asset.
    pub entry: Ticks,
    /// Funding index up to which a perpetual has paid; 0 of an asset.
    pub paid_up_to: i128,
}

/// The last settled batch; all zero before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchHead {
    /// Its number.
    pub id: u64,
    /// Its hash.
    pub hash: B256,
    /// Its frame's time.
    pub time: TimeMs,
    /// The log's sequence number at its end.
    pub sequence: u64,
}

/// The inbox holds items from `head` (the next to consume) up to but excluding `tail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxRange {
    /// The next to be consumed by a batch.
    pub head: u64,
    /// The next to be queued.
    pub tail: u64,
}

/// Where an event stands on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// No such event.
    None,
    /// Queued, not yet consumed by a batch.
    Pending,
    /// Its markets settle fills.
    Open,
    /// They settle fills that reduce positions.
    ReduceOnly,
    /// They settle nothing for now.
    Halted,
    /// Its positions redeem.
    Resolved,
}

/// An event as the contracts hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventInfo {
    /// The venue that lists it.
    pub venue: VenueId,
    /// Number of outcomes; 0 before a batch has opened it, and so of what follows.
    pub outcomes: u8,
    /// Price of certainty.
    pub ticks: u32,
    /// Atoms per tick·lot.
    pub quantum: u64,
    /// Who may resolve it.
    pub resolver: Address,
    /// Where it stands.
    pub state: EventState,
}

/// Read access to one deployed group. Cheap to clone. Failures to reach the endpoint are retried for some seconds.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(crate) rpc: Rpc,
    deployment: Deployment,
}

impl Chain {
    /// Connects, and makes sure that the endpoint serves the deployment's chain and that the contract is there.
    ///
    /// # Errors
    /// If not.
    pub async fn connect(url: &str, deployment: &Deployment) -> Result<Self, ChainError> {
        let chain = Self::new(url, deployment)?;
        chain.check().await?;
        Ok(chain)
    }

    /// As [`Self::connect`], without asking the endpoint anything.
    pub(crate) fn new(url: &str, deployment: &Deployment) -> Result<Self, ChainError> {
        Ok(Self { rpc: Rpc::new(url)?, deployment: deployment.clone() })
    }

    /// Reaches the chain over these clients instead of URLs, each with the name that errors call it by, and asks nothing yet. For
    /// who brings a transport of his own, as the simulation does.
    ///
    /// # Errors
    /// If there is none.
    pub fn over(clients: Vec<(String, RpcClient)>, deployment: &Deployment) -> Result<Self, ChainError> {
        Ok(Self { rpc: Rpc::over(clients)?, deployment: deployment.clone() })
    }

    /// The same chain, for somebody who would rather hear that it does not answer than wait: nothing is asked twice.
    #[must_use]
    pub fn impatient(&self) -> Self {
        Self { rpc: self.rpc.impatient(), deployment: self.deployment.clone() }
    }

    pub(crate) async fn check(&self) -> Result<(), ChainError> {
        let url = || self.rpc.url();
        let got = self.rpc.ask("eth_chainId", |provider| async move { provider.get_chain_id().await }).await?;
        if got != self.deployment.chain_id {
            return Err(ChainError::WrongChain { url: url(), expected: self.deployment.chain_id, got });
        }
        let address = self.deployment.group;
        let code = self.rpc.ask("eth_getCode", |provider| async move { provider.get_code_at(address).await }).await?;
        if code.is_empty() {
            return Err(ChainError::NoContract { url: url(), address });
        }
        Ok(())
    }

    /// What it is connected to.
    #[must_use]
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The means to send transactions as `key`. Use one wallet (and its clones) per key: it hands out the nonces.
    #[must_use]
    pub fn wallet(&self, key: Key) -> Wallet {
        Wallet::new(self.clone(), key)
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// If the endpoint does not answer; so of all views below.
    pub async fn block_number(&self) -> Result<u64, ChainError> {
        self.rpc.ask("eth_blockNumber", |provider| async move { provider.get_block_number().await }).await
    }

    /// Time of the newest block, unix seconds.
    pub async fn time(&self) -> Result<u64, ChainError> {
        let newest = BlockNumberOrTag::Latest;
        let block =
            self.rpc.ask("eth_getBlockByNumber", |provider| async move { provider.get_block_by_number(newest).await });
        Ok(block.await?.map_or(0, |block| block.header().timestamp()))
    }

    /// Hash of a block; `None` if the endpoint has none of that number.
    pub(crate) async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        self.hash_of(BlockNumberOrTag::Number(number)).await.map(|block| block.map(|(_, hash)| hash))
    }

    /// Number of the newest block that no reorganisation can take back; `None` if the endpoint does not say.
    pub(crate) async fn finalized(&self) -> Result<Option<u64>, ChainError> {
        match self.hash_of(BlockNumberOrTag::Finalized).await {
            Ok(block) => Ok(block.map(|(number, _)| number)),
            Err(ChainError::Rpc { .. } | ChainError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last batch in a block that no reorganisation can take back; `None` if the endpoint does not say which those are.
    ///
    /// # Errors
    /// If the endpoint does not answer.
    pub async fn last_final_batch(&self) -> Result<Option<BatchHead>, ChainError> {
        match self.finalized().await? {
            Some(block) => self.last_batch(At::Block(block)).await.map(Some),
            None => Ok(None),
        }
    }

    async fn hash_of(&self, block: BlockNumberOrTag) -> Result<Option<(u64, B256)>, ChainError> {
        let found = self
            .rpc
            .ask("eth_getBlockByNumber", |provider| async move { provider.get_block_by_number(block).await })
            .await?;
        Ok(found.map(|block| (block.header().number(), block.header().hash)))
    }

    /// The next nonce of an address as of a block.
    pub(crate) async fn nonce(&self, of: Address, block: u64) -> Result<u64, ChainError> {
        self.rpc
            .ask("eth_getTransactionCount", |provider| async move {
                provider.get_transaction_count(of).block_id(At::Block(block).id()).await
            })
            .await
    }

    /// The same, counting what waits in the pool without a gap.
    pub(crate) async fn pending_nonce(&self, of: Address) -> Result<u64, ChainError> {
        self.rpc
            .ask(
                "eth_getTransactionCount",
                |provider| async move { provider.get_transaction_count(of).pending().await },
            )
            .await
    }

    /// Wei that an address holds, for gas.
    pub async fn native_balance(&self, owner: Address) -> Result<U256, ChainError> {
        self.rpc.ask("eth_getBalance", |provider| async move { provider.get_balance(owner).await }).await
    }

    /// Atoms of the settlement token that an address holds.
    pub async fn token_balance(&self, owner: Address, at: At) -> Result<U256, ChainError> {
        self.balance_of(self.deployment.token, owner, at).await
    }

    /// Atoms of a token that an address holds.
    pub async fn balance_of(&self, token: Address, owner: Address, at: At) -> Result<U256, ChainError> {
        self.rpc.view(token, &IToken::balanceOfCall { owner }, at.id()).await
    }

    /// The tokens that are assets of the group, each with its feed.
    pub async fn assets(&self, at: At) -> Result<Vec<(FeedId, Address)>, ChainError> {
        let mut assets = Vec::new();
        for id in 1..=self.group(&IGroupViews::feedsCall {}, at).await? {
            let feed = self.group(&IGroupViews::feedCall { id }, at).await?;
            if !feed.perpetual {
                assets.push((FeedId(id), feed.token));
            }
        }
        Ok(assets)
    }

    /// Decimals of the settlement token.
    pub async fn token_decimals(&self) -> Result<u8, ChainError> {
        self.rpc.view(self.deployment.token, &IToken::decimalsCall {}, At::Latest.id()).await
    }

    /// The group's EIP-712 domain separator.
    pub async fn domain_separator(&self) -> Result<B256, ChainError> {
        self.group(&IRiskGroup::domainSeparatorCall {}, At::Latest).await
    }

    /// Whose signature the group takes on batches.
    pub async fn sequencer(&self) -> Result<Address, ChainError> {
        Ok(self.group(&IGroupViews::termsCall {}, At::Latest).await?.sequencer)
    }

    /// The last settled batch.
    pub async fn last_batch(&self, at: At) -> Result<BatchHead, ChainError> {
        let last = self.group(&IGroupViews::lastBatchCall {}, at).await?;
        Ok(BatchHead { id: last.id, hash: last.hash, time: TimeMs(last.time), sequence: last.sequence })
    }

    /// How far the inbox reaches.
    pub async fn inbox(&self, at: At) -> Result<InboxRange, ChainError> {
        let range = self.group(&IGroupViews::inboxCall {}, at).await?;
        Ok(InboxRange { head: range.head, tail: range.tail })
    }

    /// Hash of a queued inbox item; zero once it is consumed.
    pub async fn inbox_hash(&self, index: u64, at: At) -> Result<B256, ChainError> {
        self.group(&IGroupViews::inboxHashCall { index }, at).await
    }

    /// How many accounts exist, the insurance fund and the protocol's treasury among them; they are numbered from 1. Isolated
    /// ones are not counted.
    pub async fn accounts(&self, at: At) -> Result<u64, ChainError> {
        self.gateway(&IGateway::accountsCall {}, at).await
    }

    /// How many isolated accounts batches have opened.
    pub async fn isolated_accounts(&self, at: At) -> Result<u64, ChainError> {
        self.group(&IGroupViews::isolatedCountCall {}, at).await
    }

    /// The isolated account that was opened after so many others.
    pub async fn isolated_account(&self, index: u64, at: At) -> Result<AccountId, ChainError> {
        self.group(&IGroupViews::isolatedCall { index }, at).await.map(AccountId)
    }

    /// How many events exist; they are numbered from 1.
    pub async fn events(&self, at: At) -> Result<u32, ChainError> {
        Ok(self.gateway(&IGateway::listingsCall {}, at).await?.to())
    }

    /// Where a venue's fees go; its treasury is account 0 if there is no such venue, or no batch has opened it yet.
    pub async fn venue(&self, venue: VenueId, at: At) -> Result<VenueConfig, ChainError> {
        Ok(venue_from_abi(&self.group(&IGroupViews::venueCall { id: venue.0 }, at).await?))
    }

    /// What a forced request costs now, in wei.
    pub async fn request_fee(&self) -> Result<U256, ChainError> {
        self.gateway(&IGateway::requestFeeCall {}, At::Latest).await
    }

    /// One account.
    pub async fn account(&self, id: AccountId, at: At) -> Result<AccountState, ChainError> {
        let account = self.group(&IGroupViews::accountCall { id: id.0 }, at).await?;
        Ok(AccountState {
            owner: account.owner,
            cash: Atoms(account.cash),
            worst_payoff: Atoms(account.worstPayoff),
            floor: Nonce(account.nonceFloor),
            held: account.held,
        })
    }

    /// What an account holds at a feed.
    pub async fn holding(&self, id: AccountId, feed: FeedId, at: At) -> Result<HoldingState, ChainError> {
        let holding = self.group(&IGroupViews::holdingCall { id: id.0, feed: feed.0 }, at).await?;
        // A word of storage has room for no more.
        Ok(HoldingState {
            amount: holding.amount.try_into().unwrap_or(i128::MAX),
            entry: Ticks(holding.entryPrice.saturating_to()),
            paid_up_to: holding.paidUpTo.try_into().unwrap_or(i128::MAX),
        })
    }

    /// What an account holds in an event, by outcome; empty if the event does not exist.
    pub async fn positions(&self, id: AccountId, event: EventId, at: At) -> Result<Vec<Position>, ChainError> {
        let lots = self.group(&IGroupViews::positionsCall { id: id.0, eventId: event_number(event) }, at).await?;
        Ok(lots.into_iter().map(Position).collect())
    }

    /// One event.
    pub async fn event(&self, event: EventId, at: At) -> Result<EventInfo, ChainError> {
        let market = self.group(&IGroupViews::marketCall { id: MarketId::new(event, 0).0 }, at).await?;
        // Who may resolve it is known from the moment that it is asked for; the group never needs to know.
        let resolver = self.gateway(&IGateway::resolverOfCall { eventId: event_number(event) }, at).await?;
        Ok(EventInfo {
            venue: VenueId(market.venue),
            outcomes: market.outcomes,
            ticks: market.ticks,
            quantum: market.quantum,
            resolver,
            state: match market.phase {
                abi::Phase::None if resolver == Address::ZERO => EventState::None,
                abi::Phase::None | abi::Phase::Pending | abi::Phase::__Invalid => EventState::Pending,
                abi::Phase::Auction | abi::Phase::PostOnly | abi::Phase::Open => EventState::Open,
                abi::Phase::ReduceOnly => EventState::ReduceOnly,
                abi::Phase::Halted => EventState::Halted,
                abi::Phase::Delisted => EventState::Resolved,
            },
        })
    }

    /// What each outcome of a resolved event pays, in ticks a lot; empty before.
    pub async fn payouts(&self, event: EventId, at: At) -> Result<Vec<u64>, ChainError> {
        self.group(&IGroupViews::payoutsCall { id: event_number(event) }, at).await
    }

    /// What a token refused to deliver to an owner, waiting for its claim.
    pub async fn claimable(&self, owner: Address, token: Address, at: At) -> Result<U256, ChainError> {
        self.group(&IGroupViews::claimableCall { owner, token }, at).await
    }

    /// Every settled batch from number `from` on, oldest first, as the chain's logs tell them.
    pub async fn batches(&self, from: u64) -> Result<Vec<SettledBatch>, ChainError> {
        let last = self.last_batch(At::Latest).await?.id;
        let mut logs = SettledLogs::new(self.clone());
        let mut batches = Vec::new();
        for id in from.max(1)..=last {
            batches.push(logs.find(id).await?);
        }
        Ok(batches)
    }

    /// What the contract says about a transaction that was mined and reverted, as [`ChainError::Reverted`].
    pub async fn why_reverted(&self, asked: &str, receipt: &TransactionReceipt) -> ChainError {
        transaction::reverted(&self.rpc, asked, receipt).await
    }

    /// The group's logs of one event in a range of blocks, both ends included.
    pub(crate) async fn logs(&self, event: &str, topic: B256, from: u64, to: u64) -> Result<Vec<Log>, ChainError> {
        let filter = Filter::new().address(self.deployment.group).event_signature(topic).from_block(from).to_block(to);
        self.rpc
            .ask(&format!("eth_getLogs {event}"), |provider| {
                let filter = filter.clone();
                async move { provider.get_logs(&filter).await }
            })
            .await
    }

    async fn group<C: alloy::sol_types::SolCall>(&self, call: &C, at: At) -> Result<C::Return, ChainError> {
        self.rpc.view(self.deployment.group, call, at.id()).await
    }

    async fn gateway<C: alloy::sol_types::SolCall>(&self, call: &C, at: At) -> Result<C::Return, ChainError> {
        self.rpc.view(self.deployment.gateway, call, at.id()).await
    }
}
