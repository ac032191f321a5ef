//! Saying how an event ended, as anybody may with the core's optimistic resolver: a claim with a bond, a dispute with twice
//! the bond, and what comes back.
//!
//! As of the registry, only what is asked for here is declared; the tests on a real chain would notice a difference.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::rpc::types::BlockId;
use alloy::sol_types::SolValue;
use xos_types::EventId;

use crate::abi::event_number;
use crate::error::ChainError;
use crate::wallet::Wallet;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod abi {
    alloy::sol! {
        interface IOptimisticResolver {
            struct Claim { address claimant; uint96 bond; bytes32 payouts; }
            struct Question { uint64 closes; bool decided; Claim[] claims; }
            function claim(address gateway, uint24 id, uint64[] payouts, bytes32 evidence) external;
            function finalize(address gateway, uint24 id, uint64[] payouts) external;
            function withdraw(address token) external returns (uint256);
            function questionOf(address gateway, uint24 id) external view returns (Question);
            function owed(address token, address claimant) external view returns (uint256);
        }
    }
}

use abi::IOptimisticResolver as resolver;

/// What has been said about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// When the last claim has stood for its window, unix seconds.
    pub closes: u64,
    /// Whether one of the claims, or something else, has become final.
    pub decided: bool,
    /// Who has claimed what, the first first.
    pub claims: Vec<Claim>,
}

/// One claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub claimant: Address,
    /// Atoms that were put down for it.
    pub bond: u128,
    payouts: B256,
}

impl Claim {
    /// Whether it says that the outcomes pay so.
    #[must_use]
    pub fn says(&self, payouts: &[u64]) -> bool {
        self.payouts == keccak256(payouts.to_vec().abi_encode())
    }
}

/// A wallet that makes claims about the events of its group.
#[derive(Clone, Debug)]
pub struct Claimant {
    wallet: Wallet,
    resolver: Address,
}

impl Claimant {
    /// Claims with this resolver are made from `wallet`.
    #[must_use]
    pub const fn new(wallet: Wallet, resolver: Address) -> Self {
        Self { wallet, resolver }
    }

    /// Whose claims they are.
    #[must_use]
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Lets the resolver take bonds of so many atoms together.
    ///
    /// # Errors
    /// If the endpoint stays away, the contract refuses or the transaction is not mined; so of all requests below.
    pub async fn approve(&self, amount: u128) -> Result<(), ChainError> {
        self.wallet.approve_for(self.resolver, amount).await
    }

    /// Claims what each outcome pays, in ticks a lot: first, or against the last claim.
    pub async fn claim(&self, event: EventId, payouts: &[u64], evidence: B256) -> Result<(), ChainError> {
        let (gateway, id) = (self.gateway(), event_number(event));
        let call = resolver::claimCall { gateway, id, payouts: payouts.to_vec(), evidence };
        self.wallet.call(self.resolver, &call).await.map(drop)
    }

    /// Makes the last claim final, which its window must be over for.
    pub async fn finalize(&self, event: EventId, payouts: &[u64]) -> Result<(), ChainError> {
        let call =
            resolver::finalizeCall { gateway: self.gateway(), id: event_number(event), payouts: payouts.to_vec() };
        self.wallet.call(self.resolver, &call).await.map(drop)
    }

    /// Takes the bonds that came back, and those that were won. There must be some.
    pub async fn withdraw(&self) -> Result<(), ChainError> {
        let token = self.wallet.chain().deployment().token;
        self.wallet.call(self.resolver, &resolver::withdrawCall { token }).await.map(drop)
    }

    /// What has been said about an event.
    pub async fn question(&self, event: EventId) -> Result<Question, ChainError> {
        let asked = resolver::questionOfCall { gateway: self.gateway(), id: event_number(event) };
        let said = self.view(&asked).await?;
        let claims = said.claims.into_iter().map(|claim| Claim {
            claimant: claim.claimant,
            bond: claim.bond.to(),
            payouts: claim.payouts,
        });
        Ok(Question { closes: said.closes, decided: said.decided, claims: claims.collect() })
    }

    /// Atoms that `withdraw` would bring.
    pub async fn owed(&self) -> Result<U256, ChainError> {
        let token = self.wallet.chain().deployment().token;
        self.view(&resolver::owedCall { token, claimant: self.wallet.address() }).await
    }

    async fn view<C: alloy::sol_types::SolCall>(&self, call: &C) -> Result<C::Return, ChainError> {
        self.wallet.chain().rpc.view(self.resolver, call, BlockId::latest()).await
    }

    const fn gateway(&self) -> Address {
        self.wallet.chain().deployment().gateway
    }
}
