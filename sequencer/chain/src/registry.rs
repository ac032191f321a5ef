//! What all groups of a chain share: the venue registry and its limits, and through it every risk group that there is.
//!
//! The groups' own interface is read from the Solidity sources (`build.rs`). Of the registry only what is asked for here is
//! declared; the tests on a real chain would notice a difference.

use std::path::Path;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{BlockId, Filter, Log};
use alloy::sol_types::SolEvent;
use serde::{Deserialize, Serialize};

use crate::attribution::Attribution;
use crate::deployment::Deployment;
use crate::error::ChainError;
use crate::rpc::Rpc;
use crate::settled::LOG_CHUNK;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod abi {
    alloy::sol! {
        #[derive(Debug)]
        interface IVenueRegistry {
            struct Group { address group; address gateway; address escapeHatch; address steward; bool simulated; }
            struct GroupSpec {
                address settlementToken; uint64 inboxDeadline; uint96 requestFee; uint8 maxHoldings; uint24 keeperShare; uint32 grace;
            }
            event GroupOpened(uint32 indexed group, Group contracts, GroupSpec spec);
            event SequencerSet(address indexed sequencer);
            function bond() external view returns (uint96);
            function notice() external view returns (uint64);
            function venues() external view returns (uint32);
            struct Filing {
                address author; uint64 executable; uint8 ended; bool bonded; uint96 bond; uint32 venue; bytes32 content;
            }
            function filingOf(uint64 number) external view returns (Filing);
            function isSimulated(address token) external view returns (bool);
        }
        interface IXips {
            function count() external view returns (uint256);
        }
        interface IProtocolLimits {
            struct Bounds {
                uint24 minInitialFraction; uint24 minMaintenanceFraction; uint24 maxFee; uint24 minProtocolShare;
                uint32 maxFundingCap; uint32 maxAge; uint32 maxGap; uint32 maxMove; uint24 maxInitialWeight;
                uint96 maxLossCap; uint64 maxOpenInterest; uint96 maxRequestFee;
            }
            function bounds() external view returns (Bounds);
        }
        interface ISlots {
            function requiredStake() external view returns (uint88);
            function baseSlots(uint8 kind) external view returns (uint32);
            function lockedStake(address account) external view returns (uint256);
        }
        interface IRollout {
            function phase() external view returns (uint8);
            function isAllowed(address deployer) external view returns (bool);
        }
        interface IRegistrar {
            function join(uint32 number, uint64 account, bytes evidence) external returns (uint64);
        }
        interface IStake {
            function balanceOf(address owner) external view returns (uint256);
        }
    }
}

pub(crate) use abi::IRegistrar;
use abi::IVenueRegistry::{GroupOpened, SequencerSet};
use abi::{IProtocolLimits, IRollout, ISlots, IStake, IVenueRegistry, IXips};

/// The core's contracts, as `script/DeployCore.s.sol` writes them to `deployments/<chain id>.core.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Core {
    /// The chain.
    pub chain_id: u64,
    /// The block that the core was created in: nothing of it is older.
    pub block: u64,
    /// Wrapped OKB.
    pub okb: Address,
    /// A dollar without value.
    pub simulated_token: Address,
    /// An asset without value.
    pub simulated_asset: Address,
    /// Where OKB is staked.
    pub stake: Address,
    /// Who may list how much.
    pub slots: Address,
    /// Who may open what yet.
    pub rollout: Address,
    /// The protocol's limits.
    pub limits: Address,
    /// Decides events by claims that anybody may dispute.
    pub resolver: Address,
    /// Asks compliance rules who is a member.
    pub registrar: Address,
    /// Every XIP.
    pub xips: Address,
    /// Every venue and every group.
    pub registry: Address,
    /// Every venue's markets.
    pub listings: Address,
    /// What batches of its groups say of who brought them about.
    #[serde(default, skip_serializing_if = "Attribution::is_empty")]
    pub attribution: Attribution,
}

impl Core {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there or is not a core.
    pub fn load(path: &Path) -> Result<Self, ChainError> {
        let failed = |reason: String| ChainError::Deployment { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }
}

/// Hard caps of the protocol; parts per million, milliseconds, atoms and lots as the contract documents them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ProtocolLimits {
    pub min_initial_fraction: u32,
    pub min_maintenance_fraction: u32,
    pub max_fee: u32,
    pub min_protocol_share: u32,
    pub max_funding_cap: u32,
    pub max_age_ms: u32,
    pub max_gap_ms: u32,
    pub max_move: u32,
    pub max_initial_weight: u32,
    pub max_loss_cap: u128,
    pub max_open_interest: u64,
    pub max_request_fee: u128,
}

/// What opening a venue takes, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Wei that a Venue XIP puts down until it is carried out.
    pub bond: u128,
    /// Seconds that a Venue XIP is public before it can be carried out.
    pub notice: u64,
    /// Wei of staked OKB that a venue ties down.
    pub required_stake: u128,
    /// Markets that a venue may list for nothing: outcome, spot, perpetual.
    pub base_slots: [u32; 3],
    /// Whether anyone who stakes may open a venue yet.
    pub open_to_all: bool,
    /// Whether groups of real value may be opened yet.
    pub real_value: bool,
    /// Venues so far.
    pub venues: u32,
}

/// What a deployer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Wei staked.
    pub staked: u128,
    /// Of these, tied down by venues.
    pub locked: u128,
    /// Wei of wrapped OKB.
    pub wrapped: u128,
    /// Wei of native OKB.
    pub native: u128,
    /// Whether it is on the list of the rollout's first phases.
    pub allowed: bool,
}

/// Read access to the core.
#[derive(Clone, Debug)]
pub struct Registry {
    rpc: Rpc,
    core: Core,
}

impl Registry {
    /// Connects, and checks that it is the right chain.
    ///
    /// # Errors
    /// If the endpoint does not answer or is another chain's.
    pub async fn connect(url: &str, core: &Core) -> Result<Self, ChainError> {
        let rpc = Rpc::new(url)?;
        let got = rpc.ask("eth_chainId", |provider| async move { provider.get_chain_id().await }).await?;
        if got != core.chain_id {
            return Err(ChainError::WrongChain { url: rpc.url(), expected: core.chain_id, got });
        }
        Ok(Self { rpc, core: core.clone() })
    }

    /// The core's contracts.
    #[must_use]
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The protocol's limits.
    ///
    /// # Errors
    /// If the endpoint does not answer; so of all views below.
    pub async fn limits(&self) -> Result<ProtocolLimits, ChainError> {
        let bounds = self.view(self.core.limits, &IProtocolLimits::boundsCall {}).await?;
        Ok(ProtocolLimits {
            min_initial_fraction: bounds.minInitialFraction.to(),
            min_maintenance_fraction: bounds.minMaintenanceFraction.to(),
            max_fee: bounds.maxFee.to(),
            min_protocol_share: bounds.minProtocolShare.to(),
            max_funding_cap: bounds.maxFundingCap,
            max_age_ms: bounds.maxAge,
            max_gap_ms: bounds.maxGap,
            max_move: bounds.maxMove,
            max_initial_weight: bounds.maxInitialWeight.to(),
            max_loss_cap: bounds.maxLossCap.to(),
            max_open_interest: bounds.maxOpenInterest,
            max_request_fee: bounds.maxRequestFee.to(),
        })
    }

    /// What opening a venue takes.
    pub async fn terms(&self) -> Result<Terms, ChainError> {
        let (registry, slots, rollout) = (self.core.registry, self.core.slots, self.core.rollout);
        let phase = self.view(rollout, &IRollout::phaseCall {}).await?;
        let mut base_slots = [0; 3];
        for (kind, slot) in (0u8..).zip(&mut base_slots) {
            *slot = self.view(slots, &ISlots::baseSlotsCall { kind }).await?;
        }
        Ok(Terms {
            bond: self.view(registry, &IVenueRegistry::bondCall {}).await?.to(),
            notice: self.view(registry, &IVenueRegistry::noticeCall {}).await?,
            required_stake: self.view(slots, &ISlots::requiredStakeCall {}).await?.to(),
            base_slots,
            // The order of `RolloutPhase`: the first is without value, the last open to all.
            open_to_all: phase == 4,
            real_value: phase > 0,
            venues: self.view(registry, &IVenueRegistry::venuesCall {}).await?,
        })
    }

    /// What a deployer has staked, holds and may.
    pub async fn standing(&self, deployer: Address) -> Result<Standing, ChainError> {
        let amount = |value: U256| u128::try_from(value).unwrap_or(u128::MAX);
        let native =
            self.rpc.ask("eth_getBalance", |provider| async move { provider.get_balance(deployer).await }).await?;
        Ok(Standing {
            staked: amount(self.view(self.core.stake, &IStake::balanceOfCall { owner: deployer }).await?),
            locked: amount(self.view(self.core.slots, &ISlots::lockedStakeCall { account: deployer }).await?),
            wrapped: amount(self.view(self.core.okb, &IStake::balanceOfCall { owner: deployer }).await?),
            native: amount(native),
            allowed: self.view(self.core.rollout, &IRollout::isAllowedCall { deployer }).await?,
        })
    }

    /// How many XIPs there are; they are numbered from 1.
    pub async fn xips(&self) -> Result<u64, ChainError> {
        let count = self.view(self.core.xips, &IXips::countCall {}).await?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// The last Venue XIP that an author has filed after number `after`.
    pub async fn filed_since(&self, author: Address, after: u64) -> Result<Option<u64>, ChainError> {
        for number in (after + 1..=self.xips().await?).rev() {
            if self.view(self.core.registry, &IVenueRegistry::filingOfCall { number }).await?.author == author {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The venue that a Venue XIP has opened; 0 if it has not.
    pub async fn venue_of_xip(&self, number: u64) -> Result<u32, ChainError> {
        Ok(self.view(self.core.registry, &IVenueRegistry::filingOfCall { number }).await?.venue)
    }

    /// Whether a token is one without value.
    pub async fn is_simulated(&self, token: Address) -> Result<bool, ChainError> {
        self.view(self.core.registry, &IVenueRegistry::isSimulatedCall { token }).await
    }

    async fn view<C: alloy::sol_types::SolCall>(&self, to: Address, call: &C) -> Result<C::Return, ChainError> {
        self.rpc.view(to, call, BlockId::latest()).await
    }
}

/// A group of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedGroup {
    /// Its number.
    pub number: u32,
    /// Its contracts, and the terms that it was created with: what `script/OpenVenue.s.sol` writes down, but for the block.
    pub deployment: Deployment,
}

/// Hears of every group that the registry makes, from the first on.
#[derive(Debug)]
pub struct GroupReader {
    registry: Registry,
    confirmations: u64,
    next_block: u64,
    /// Who signs for groups that are made from here on.
    sequencer: Address,
}

impl GroupReader {
    /// A reader that begins where the core does. A group counts once so many blocks lie on top of its own.
    #[must_use]
    pub fn new(registry: Registry, confirmations: u64) -> Self {
        let next_block = registry.core.block;
        Self { registry, confirmations, next_block, sequencer: Address::ZERO }
    }

    /// The groups that are new since the last look.
    ///
    /// # Errors
    /// If the endpoint does not answer; nothing is missed, the next look begins where this one did.
    pub async fn poll(&mut self) -> Result<Vec<OpenedGroup>, ChainError> {
        let rpc = &self.registry.rpc;
        let head = rpc.ask("eth_blockNumber", |provider| async move { provider.get_block_number().await }).await?;
        let Some(confirmed) = head.checked_sub(self.confirmations) else { return Ok(Vec::new()) };
        let mut opened = Vec::new();
        let (mut from, mut sequencer) = (self.next_block, self.sequencer);
        while from <= confirmed {
            let to = confirmed.min(from + LOG_CHUNK - 1);
            for log in self.logs(from, to).await? {
                if let Ok(set) = SequencerSet::decode_log(&log.inner) {
                    sequencer = set.sequencer;
                } else if let Ok(event) = GroupOpened::decode_log(&log.inner) {
                    let block = log.block_number.unwrap_or(from);
                    opened.push(self.opened(&event, sequencer, block));
                }
            }
            from = to + 1;
        }
        (self.next_block, self.sequencer) = (from, sequencer);
        Ok(opened)
    }

    async fn logs(&self, from: u64, to: u64) -> Result<Vec<Log>, ChainError> {
        let topics: Vec<B256> = vec![GroupOpened::SIGNATURE_HASH, SequencerSet::SIGNATURE_HASH];
        let filter =
            Filter::new().address(self.registry.core.registry).event_signature(topics).from_block(from).to_block(to);
        self.registry
            .rpc
            .ask("eth_getLogs GroupOpened", |provider| {
                let filter = filter.clone();
                async move { provider.get_logs(&filter).await }
            })
            .await
    }

    fn opened(&self, event: &GroupOpened, sequencer: Address, block: u64) -> OpenedGroup {
        let core = &self.registry.core;
        let deployment = Deployment {
            chain_id: core.chain_id,
            token: event.spec.settlementToken,
            group: event.contracts.group,
            gateway: event.contracts.gateway,
            escape_hatch: event.contracts.escapeHatch,
            governance: core.registry,
            sequencer,
            max_holdings: event.spec.maxHoldings,
            keeper_share: event.spec.keeperShare.to(),
            grace: event.spec.grace,
            deployer: core.listings,
            block,
            attribution: core.attribution.clone(),
        };
        OpenedGroup { number: event.group, deployment }
    }
}
