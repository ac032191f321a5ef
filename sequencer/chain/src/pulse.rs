//! A look at how chain and group are doing, for whoever watches over a node.

use alloy::consensus::BlockHeader;
use alloy::network::BlockResponse;
use alloy::primitives::Address;
use alloy::providers::Provider;
use alloy::rpc::types::BlockId;
use xos_types::TimeMs;

use crate::abi::{IGroupViews, IRiskGroup};
use crate::chain::{At, Chain, InboxRange};
use crate::error::ChainError;

/// What the endpoint said in one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The newest block.
    pub block: u64,
    /// Its time.
    pub block_time: TimeMs,
    /// Its base fee, in wei per gas.
    pub base_fee: u64,
    /// Wei that the relayer has left for gas.
    pub relayer_balance: u128,
    /// How far the inbox reaches, as settled.
    pub inbox: InboxRange,
    /// When the group was frozen, if it is.
    pub frozen_at: Option<TimeMs>,
}

impl Chain {
    /// The endpoint as errors name it: scheme, host and port only, because what follows may be a secret.
    #[must_use]
    pub fn url(&self) -> String {
        self.rpc.url()
    }

    /// How things stand there, and what `relayer` can still pay.
    ///
    /// # Errors
    /// If the endpoint does not answer.
    pub async fn pulse(&self, relayer: Address) -> Result<Pulse, ChainError> {
        let latest =
            self.rpc.ask("eth_getBlockByNumber", |provider| async move { provider.get_block(BlockId::latest()).await });
        let (latest, relayer_balance, inbox, frozen_at) =
            tokio::try_join!(latest, self.native_balance(relayer), self.inbox(At::Latest), self.frozen_at())?;
        let block = latest.ok_or_else(|| ChainError::Unreachable {
            url: self.url(),
            asked: "eth_getBlockByNumber".into(),
            reason: "it knows no latest block".into(),
        })?;
        let header = block.header();
        Ok(Pulse {
            block: header.number(),
            block_time: TimeMs(header.timestamp().saturating_mul(1000)),
            base_fee: header.base_fee_per_gas().unwrap_or_default(),
            // More than there is of any coin.
            relayer_balance: u128::try_from(relayer_balance).unwrap_or(u128::MAX),
            inbox,
            frozen_at,
        })
    }

    /// When the group was frozen, if it is: it settles nothing any more then.
    ///
    /// # Errors
    /// If the endpoint does not answer.
    pub async fn frozen_at(&self) -> Result<Option<TimeMs>, ChainError> {
        let pool = self.rpc.view(self.deployment().group, &IGroupViews::poolCall {}, At::Latest.id()).await?;
        Ok((pool.frozenAt != 0).then_some(TimeMs(pool.frozenAt)))
    }

    /// Milliseconds that an inbox item may wait for a batch before anyone may freeze the group.
    ///
    /// # Errors
    /// If the endpoint does not answer.
    pub async fn inbox_deadline(&self) -> Result<u64, ChainError> {
        self.rpc.view(self.deployment().group, &IRiskGroup::inboxDeadlineCall {}, At::Latest.id()).await
    }
}
