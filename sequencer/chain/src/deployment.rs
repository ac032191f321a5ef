//! Where a group's contracts are: `deployments/<chain id>.json`, written by the deploy script.

use std::path::Path;

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};
use xos_auth::Domain;
use xos_types::{GroupConfig, GroupTerms, Ppm};

use crate::attribution::Attribution;
use crate::error::ChainError;

/// One deployed risk group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The chain.
    pub chain_id: u64,
    /// Its settlement token.
    pub token: Address,
    /// The risk group contract: custody and settlement.
    pub group: Address,
    /// Its gateway: where everything is asked for.
    pub gateway: Address,
    /// Who pays everybody out when the group is frozen.
    pub escape_hatch: Address,
    /// Owner of the insurance fund and of the protocol's treasury.
    pub governance: Address,
    /// Who signs batches.
    pub sequencer: Address,
    /// Most assets and perpetuals that an account may hold at once, as the group was created.
    pub max_holdings: u8,
    /// What a keeper gets of a liquidation's penalty, parts per million, as the group was created.
    pub keeper_share: u32,
    /// Milliseconds that keepers have before the insurance fund takes over, as the group was created.
    pub grace: u32,
    /// Who lists the markets of the first venue.
    pub deployer: Address,
    /// The block that the group was created in: nothing of it is older.
    pub block: u64,
    /// What its batches say of who brought them about.
    #[serde(default, skip_serializing_if = "Attribution::is_empty")]
    pub attribution: Attribution,
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
            ("gateway", deployment.gateway),
            ("escapeHatch", deployment.escape_hatch),
            ("governance", deployment.governance),
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
        let Self { chain_id, group, token, governance, sequencer, max_holdings, grace, .. } = *self;
        let terms = GroupTerms { sequencer, max_holdings, keeper_share: Ppm(self.keeper_share), grace };
        GroupConfig { chain_id, group, token, governance, terms }
    }

    /// What signatures for this group are good for.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::new(self.chain_id, self.group)
    }
}
