//! Signed EIP-1559 transactions, and how endpoints answer to them.

use std::time::Duration;

use alloy::consensus::{SignableTransaction, Transaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, Signature as EcdsaSignature, TxKind, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use xos_auth::Key;

use crate::error::ChainError;
use crate::rpc::Rpc;

/// The most gas that one transaction may use (EIP-7825).
pub(crate) const TRANSACTION_GAS_CAP: u64 = 1 << 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) max: u128,
    pub(crate) priority: u128,
}

impl Fees {
    /// What the endpoint thinks gets into the next blocks.
    pub(crate) async fn estimate(rpc: &Rpc) -> Result<Self, ChainError> {
        let fees = rpc.ask("eth_feeHistory", |provider| async move { provider.estimate_eip1559_fees().await }).await?;
        Ok(Self { max: fees.max_fee_per_gas, priority: fees.max_priority_fee_per_gas })
    }

    /// A quarter more: nodes replace a pending transaction for a tenth more at least.
    pub(crate) const fn bumped(self) -> Self {
        Self { max: self.max + self.max / 4 + 1, priority: self.priority + self.priority / 4 + 1 }
    }

    pub(crate) fn at_least(self, other: Self) -> Self {
        Self { max: self.max.max(other.max), priority: self.priority.max(other.priority) }
    }

    pub(crate) fn capped(self, cap: u128) -> Self {
        Self { max: self.max.min(cap), priority: self.priority.min(cap) }
    }
}

/// What is to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) gas_limit: u64,
    pub(crate) fees: Fees,
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
}

impl Request {
    /// The bytes to send and the hash under which the chain will know them. Signing is deterministic: the same request
    /// is the same transaction.
    pub(crate) fn sign(self, key: &Key) -> (Vec<u8>, B256) {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.fees.max,
            max_priority_fee_per_gas: self.fees.priority,
            to: TxKind::Call(self.to),
            value: self.value,
            access_list: Default::default(),
            input: self.input,
        };
        let signature = key.sign(transaction.signature_hash());
        let bytes = xos_auth::signature_bytes(&signature);
        let signed = transaction.into_signed(EcdsaSignature::from_erc2098(&bytes));
        let envelope = TxEnvelope::from(signed);
        (envelope.encoded_2718(), *envelope.tx_hash())
    }
}

/// How an endpoint took a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It has it, now or from before.
    Pending,
    /// A transaction of this nonce is mined.
    NonceUsed,
    /// Another transaction of this nonce is pending and pays as much.
    Underpriced,
}

/// Sends signed bytes. Sending the same bytes again is harmless, so failures to reach the endpoint are retried.
pub(crate) async fn send(rpc: &Rpc, asked: &str, raw: &[u8]) -> Result<Taken, ChainError> {
    let sent = rpc
        .ask(
            asked,
            |provider| async move { provider.send_raw_transaction(raw).await.map(|pending| *pending.tx_hash()) },
        )
        .await;
    match sent {
        Ok(_) => Ok(Taken::Pending),
        Err(ChainError::Rpc { reason, .. }) if has(&reason, &["already known", "already imported"]) => {
            Ok(Taken::Pending)
        }
        Err(ChainError::Rpc { reason, .. }) if has(&reason, &["nonce too low"]) => Ok(Taken::NonceUsed),
        Err(ChainError::Rpc { reason, .. }) if has(&reason, &["underpriced"]) => Ok(Taken::Underpriced),
        Err(error) => Err(error),
    }
}

/// Nodes agree on these words and not on codes.
fn has(reason: &str, words: &[&str]) -> bool {
    let reason = reason.to_lowercase();
    words.iter().any(|word| reason.contains(word))
}

/// The receipt, once the transaction is mined.
pub(crate) async fn receipt(rpc: &Rpc, transaction: B256) -> Result<Option<TransactionReceipt>, ChainError> {
    rpc.ask("eth_getTransactionReceipt", |provider| async move { provider.get_transaction_receipt(transaction).await })
        .await
}

/// Waits for the receipt of a transaction that was sent.
pub(crate) async fn mined(
    rpc: &Rpc,
    asked: &str,
    transaction: B256,
    patience: Duration,
) -> Result<TransactionReceipt, ChainError> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(receipt) = receipt(rpc, transaction).await? {
            return Ok(receipt);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(ChainError::NotMined { asked: asked.into(), transaction, waited: patience });
        }
        tokio::time::sleep(rpc.poll_interval()).await;
    }
}

/// The error of a transaction that was mined and reverted. Its call is repeated after its block, where whatever came before it has
/// happened, and before its block, so that the contract says why.
pub(crate) async fn reverted(rpc: &Rpc, asked: &str, receipt: &TransactionReceipt) -> ChainError {
    let transaction = receipt.transaction_hash;
    let reason = match why(rpc, asked, receipt).await {
        Ok(Some(reason)) => reason,
        Ok(None) => format!("the same call would succeed now; it used {} gas", receipt.gas_used),
        Err(error) => format!("and why could not be asked: {error}"),
    };
    ChainError::Reverted { asked: asked.into(), transaction, reason }
}

async fn why(rpc: &Rpc, asked: &str, receipt: &TransactionReceipt) -> Result<Option<String>, ChainError> {
    let (hash, block) = (receipt.transaction_hash, receipt.block_number.unwrap_or_default());
    let sent = rpc
        .ask("eth_getTransactionByHash", |provider| async move { provider.get_transaction_by_hash(hash).await })
        .await?;
    let Some(sent) = sent else { return Ok(None) };
    let call = TransactionRequest::default()
        .from(receipt.from)
        .to(receipt.to.unwrap_or_default())
        .value(sent.value())
        .gas_limit(sent.gas_limit())
        .input(sent.input().clone().into());
    for at in [block, block.saturating_sub(1)] {
        let called = rpc
            .ask(asked, |provider| {
                let call = call.clone();
                async move { provider.call(call).block(at.into()).await }
            })
            .await;
        match called {
            Err(ChainError::Refused { reason, .. } | ChainError::Rpc { reason, .. }) => return Ok(Some(reason)),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(None)
}
