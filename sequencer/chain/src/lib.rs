//! The X Layer side: reads the inbox, submits batches.
//!
//! [`InboxReader`] turns the group contract's queue into [`xos_types::InboxItem`]s, in order and without gaps;
//! [`Submitter`] turns sealed [`xos_types::Frame`]s into settled batches, in order, whatever happens in between;
//! [`Chain`] and [`Wallet`] are for everybody else who looks at the contracts or asks something of them.
//!
//! Reorganisations are followed: batches whose blocks are gone are sent again, inbox items that are gone are taken back. Limit:
//! what the log has consumed it cannot give back, so whoever runs it waits for as many confirmations as the chain deserves.

pub mod abi;
mod attribution;
mod batch;
mod chain;
mod claims;
mod deployment;
mod error;
mod inbox;
mod payload;
mod pulse;
mod quorum;
mod registry;
mod rpc;
mod script;
mod settled;
mod submitter;
mod transaction;
mod trees;
mod wallet;

pub use attribution::Attribution;
pub use batch::{SettleCall, batch_hash};
pub use chain::{AccountState, At, BatchHead, Chain, EventInfo, EventState, HoldingState, InboxRange};
pub use claims::{Claim, Claimant, Question};
pub use deployment::Deployment;
pub use error::{ChainError, describe_revert};
pub use inbox::{InboxConfig, InboxNews, InboxReader};
pub use payload::{decode_inbox_item, inbox_item_hash};
pub use pulse::Pulse;
pub use quorum::{ProvenPrice, QuorumSource, SignedReport, sign_digest};
pub use registry::{Core, GroupReader, OpenedGroup, ProtocolLimits, Registry, Standing, Terms};
pub use rpc::REQUEST_TIMEOUT;
pub use script::{Scripts, foundry, tail};
pub use settled::SettledBatch;
pub use submitter::{Settled, SettlementStatus, Submitter, SubmitterConfig};
pub use wallet::{Deposited, EventOpened, Wallet};
