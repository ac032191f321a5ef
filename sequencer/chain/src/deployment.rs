//! Where a group's contracts are: `deployments/<chain id>.json`, written by the deploy script.

use std::path::Path;

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};
use xos_auth::Domain;
use xos_types::GroupConfig;

use crate::error::ChainError;

/// One deployed risk group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The chain.
    pub chain_id: u64,
    /// Its settlement token.
    pub token: Address,
    /// The risk group contract.
    pub group: Address,
    /// Who signs batches.
    pub sequencer: Address,
    /// Who opens events.
    pub deployer: Address,
    /// The block that the group was created in: nothing of it is older.
    pub block: u64,
}

impl Deployment {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there or is not a deployment.
    pub fn load(path: &Path) -> Result<Self, ChainError> {
        let failed = |reason: String| ChainError::Deployment { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let deployment: Self = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        for (field, address) in [
            ("token", deployment.token),
            ("group", deployment.group),
            ("sequencer", deployment.sequencer),
            ("deployer", deployment.deployer),
        ] {
            if address == Address::ZERO {
                return Err(failed(format!("`{field}` is the zero address")));
            }
        }
        Ok(deployment)
    }

    /// What the journal and the EIP-712 domain are bound to.
    #[must_use]
    pub const fn group_config(&self) -> GroupConfig {
        GroupConfig { chain_id: self.chain_id, group: self.group, token: self.token }
    }

    /// What signatures for this group are good for.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::new(self.chain_id, self.group)
    }
}
