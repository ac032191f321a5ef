//! What a price reporter serves to nodes: its latest signed reports. A node asks; a reporter knows no node.

use alloy_primitives::{Address, B256, Bytes};
use jsonrpsee::core::RpcResult;
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};
use xos_types::{Number, TimeMs};

/// A reporter's word on a price, good for one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceReport {
    /// The contract that it is signed for.
    pub source: Address,
    /// What the source calls what is priced.
    pub feed: B256,
    /// Dollars with 18 decimals.
    #[serde(with = "Number::<u128>")]
    pub price: u128,
    /// When the reporter saw it.
    pub time: TimeMs,
    /// Over `PriceReport(bytes32 feed,uint256 price,uint64 time)`, as `QuorumSource` wants it: 65 bytes.
    pub signature: Bytes,
}

/// The reporter's only method.
#[rpc(server, client, namespace = "xosPrices")]
pub trait PriceReporter {
    /// Its latest report on each feed.
    #[method(name = "reports")]
    async fn reports(&self) -> RpcResult<Vec<PriceReport>>;
}
