//! Prices that a quorum of reporters signs (`contracts/oracle/QuorumSource.sol`): signing a report, and making of several what
//! the contract will believe. Whatever is handed on here was held against every rule of the contract first, for a batch with a
//! price that is not believed would be refused as a whole.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::rpc::types::BlockId;
use alloy::sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain};
use xos_auth::{Key, signature_bytes};
use xos_types::TimeMs;

use crate::chain::Chain;
use crate::error::ChainError;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod abi {
    alloy::sol! {
        struct PriceReport { bytes32 feed; uint256 price; uint64 time; }
        struct Report { uint256 price; uint64 time; bytes signature; }
        interface IQuorumSource {
            function quorum() external view returns (uint256);
            function spread() external view returns (uint64);
            function lookback() external view returns (uint64);
            function isSigner(address signer) external view returns (bool);
        }
    }
}

use abi::{IQuorumSource, PriceReport, Report};

/// One reporter's word on a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReport {
    /// What the source calls what is priced.
    pub feed: B256,
    /// Dollars with 18 decimals.
    pub price: u128,
    /// When the reporter saw it.
    pub time: TimeMs,
    /// 65 bytes: r, s, v.
    pub signature: Bytes,
}

fn domain(chain_id: u64, source: Address) -> Eip712Domain {
    eip712_domain! { name: "Exchange OS Prices", version: "1", chain_id: chain_id, verifying_contract: source, }
}

fn digest(domain: &Eip712Domain, feed: B256, price: u128, time: TimeMs) -> B256 {
    PriceReport { feed, price: U256::from(price), time: time.0 }.eip712_signing_hash(domain)
}

impl SignedReport {
    /// Signs a report for one source.
    #[must_use]
    pub fn sign(key: &Key, chain_id: u64, source: Address, feed: B256, price: u128, time: TimeMs) -> Self {
        let digest = digest(&domain(chain_id, source), feed, price, time);
        Self { feed, price, time, signature: sign_digest(key, digest) }
    }
}

/// A signature in the form that OpenZeppelin's verifiers take: 65 bytes, r, s and v.
#[must_use]
pub fn sign_digest(key: &Key, digest: B256) -> Bytes {
    let compact = signature_bytes(&key.sign(digest));
    Signature::from_erc2098(&compact).as_bytes().into()
}

/// A price that the contract believes for a frame's time, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenPrice {
    /// Dollars with 18 decimals.
    pub price: u128,
    /// When the oldest of the reports was made.
    pub published_at: TimeMs,
    /// What the contract wants to see.
    pub proof: Vec<u8>,
}

/// A deployed source, with the latest report of each reporter on each feed.
#[derive(Clone, Debug)]
pub struct QuorumSource {
    address: Address,
    domain: Eip712Domain,
    quorum: usize,
    spread: u64,
    lookback: u64,
    reporters: BTreeSet<Address>,
    strangers: BTreeSet<Address>,
    /// By feed and reporter; by signer in ascending order, as the contract wants them.
    latest: BTreeMap<B256, BTreeMap<Address, SignedReport>>,
}

/// Signers whose standing is remembered; whoever sends reports could sign with as many keys as he likes.
const STRANGERS_MAX: usize = 1_000;

impl QuorumSource {
    /// Reads a source's rules from the chain; they are for good.
    ///
    /// # Errors
    /// If the endpoint does not answer, or the contract is no such source.
    pub async fn find(chain: &Chain, address: Address) -> Result<Self, ChainError> {
        let latest = BlockId::latest();
        let quorum = chain.rpc.view(address, &IQuorumSource::quorumCall {}, latest).await?;
        Ok(Self {
            address,
            domain: domain(chain.deployment().chain_id, address),
            quorum: usize::try_from(quorum).unwrap_or(usize::MAX),
            spread: chain.rpc.view(address, &IQuorumSource::spreadCall {}, latest).await?,
            lookback: chain.rpc.view(address, &IQuorumSource::lookbackCall {}, latest).await?,
            reporters: BTreeSet::new(),
            strangers: BTreeSet::new(),
            latest: BTreeMap::new(),
        })
    }

    /// Takes note of a report, if one of the source's reporters signed it and it is newer than the reporter's last one; whether it
    /// was.
    ///
    /// # Errors
    /// If it must be asked whether the signer is a reporter, and the endpoint does not answer.
    pub async fn hear(&mut self, chain: &Chain, report: SignedReport) -> Result<bool, ChainError> {
        if report.price == 0 {
            return Ok(false);
        }
        let hash = digest(&self.domain, report.feed, report.price, report.time);
        let Some(signer) = signer(hash, &report.signature) else { return Ok(false) };
        if !self.is_reporter(chain, signer).await? {
            return Ok(false);
        }
        let of_feed = self.latest.entry(report.feed).or_default();
        if of_feed.get(&signer).is_some_and(|last| last.time >= report.time) {
            return Ok(false);
        }
        of_feed.insert(signer, report);
        Ok(true)
    }

    async fn is_reporter(&mut self, chain: &Chain, signer: Address) -> Result<bool, ChainError> {
        if self.reporters.contains(&signer) {
            return Ok(true);
        }
        if self.strangers.contains(&signer) || self.strangers.len() >= STRANGERS_MAX {
            return Ok(false);
        }
        let known = chain.rpc.view(self.address, &IQuorumSource::isSignerCall { signer }, BlockId::latest()).await?;
        if known { &mut self.reporters } else { &mut self.strangers }.insert(signer);
        Ok(known)
    }

    /// Takes over what another copy of this source has heard.
    pub fn merge(&mut self, other: Self) {
        self.reporters.extend(other.reporters);
        self.strangers.extend(other.strangers);
        for (feed, reports) in other.latest {
            let ours = self.latest.entry(feed).or_default();
            for (signer, report) in reports {
                if ours.get(&signer).is_none_or(|last| last.time < report.time) {
                    ours.insert(signer, report);
                }
            }
        }
    }

    /// The price of a feed at a frame's time, as the newest reports that the contract takes together show it; `None` if there
    /// are too few.
    #[must_use]
    pub fn price_at(&self, feed: B256, time: TimeMs) -> Option<ProvenPrice> {
        let of_feed = self.latest.get(&feed)?;
        let in_time = |report: &&SignedReport| report.time <= time && time.0 - report.time.0 <= self.lookback;
        let newest = of_feed.values().filter(in_time).map(|report| report.time).max()?;
        let together: Vec<&SignedReport> =
            of_feed.values().filter(in_time).filter(|report| newest.0 - report.time.0 <= self.spread).collect();
        if together.is_empty() || together.len() < self.quorum {
            return None;
        }
        let mut prices: Vec<u128> = together.iter().map(|report| report.price).collect();
        prices.sort_unstable();
        let reports: Vec<Report> = together
            .iter()
            .map(|report| Report {
                price: U256::from(report.price),
                time: report.time.0,
                signature: report.signature.clone(),
            })
            .collect();
        Some(ProvenPrice {
            // The median; of an even number the lower one in the middle.
            price: prices[(prices.len() - 1) / 2],
            published_at: together.iter().map(|report| report.time).min()?,
            proof: reports.abi_encode(),
        })
    }
}

/// Who signed, as the contract sees it: 65 bytes, `s` in the lower half.
fn signer(hash: B256, signature: &[u8]) -> Option<Address> {
    let signature = Signature::from_raw(<&[u8; 65]>::try_from(signature).ok()?).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    signature.recover_address_from_prehash(&hash).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: B256 = B256::repeat_byte(0xbc);

    fn source() -> QuorumSource {
        let address = Address::repeat_byte(0x50);
        let keys = [1, 2, 3].map(|byte| Key::from_bytes([byte; 32]).unwrap());
        QuorumSource {
            address,
            domain: domain(31_337, address),
            quorum: 2,
            spread: 500,
            lookback: 2_000,
            reporters: keys.iter().map(Key::address).collect(),
            strangers: BTreeSet::new(),
            latest: BTreeMap::new(),
        }
    }

    fn with(reports: &[(u8, u128, u64)]) -> QuorumSource {
        let mut source = source();
        for &(byte, price, time) in reports {
            let key = Key::from_bytes([byte; 32]).unwrap();
            let report = SignedReport::sign(&key, 31_337, source.address, FEED, price, TimeMs(time));
            let hash = digest(&source.domain, FEED, price, TimeMs(time));
            assert_eq!(signer(hash, &report.signature), Some(key.address()));
            source.latest.entry(FEED).or_default().insert(key.address(), report);
        }
        source
    }

    #[test]
    fn a_price_is_the_median_of_a_quorum_and_as_old_as_its_oldest_report() {
        let price = |reports: &[(u8, u128, u64)], time| with(reports).price_at(FEED, TimeMs(time));
        let proven = price(&[(1, 100, 5_000), (2, 104, 5_100), (3, 90, 5_200)], 5_300).unwrap();
        assert_eq!((proven.price, proven.published_at), (100, TimeMs(5_000)));
        // Of two the lower one.
        assert_eq!(price(&[(1, 100, 5_000), (2, 104, 5_100)], 5_300).unwrap().price, 100);
        // One is no quorum; nor is what lies in the frame's future, too far back, or too far apart.
        assert_eq!(price(&[(1, 100, 5_000)], 5_300), None);
        assert_eq!(price(&[(1, 100, 5_000), (2, 104, 5_400)], 5_300), None);
        assert_eq!(price(&[(1, 100, 5_000), (2, 104, 5_100)], 7_200), None);
        assert_eq!(price(&[(1, 100, 5_000), (2, 104, 5_501)], 6_000), None);
        // One that is late does not stand in the way of two that agree in time.
        assert_eq!(price(&[(1, 90, 4_000), (2, 104, 5_100), (3, 105, 5_200)], 5_300).unwrap().price, 104);
    }

    #[test]
    fn a_proof_is_what_the_contract_decodes_with_signers_ascending() {
        let proven = with(&[(1, 100, 5_000), (2, 104, 5_100), (3, 90, 5_200)]).price_at(FEED, TimeMs(5_300)).unwrap();
        let reports = Vec::<Report>::abi_decode(&proven.proof).unwrap();
        let domain = domain(31_337, Address::repeat_byte(0x50));
        let signers: Vec<Address> = reports
            .iter()
            .map(|report| {
                let hash = digest(&domain, FEED, report.price.to(), TimeMs(report.time));
                signer(hash, &report.signature).unwrap()
            })
            .collect();
        assert_eq!(signers.len(), 3);
        assert!(signers.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn a_malleable_or_short_signature_is_nobodys() {
        let source = source();
        let key = Key::from_bytes([1; 32]).unwrap();
        let report = SignedReport::sign(&key, 31_337, source.address, FEED, 100, TimeMs(1));
        let hash = digest(&source.domain, FEED, 100, TimeMs(1));
        assert_eq!(signer(hash, &report.signature[..64]), None);
        let signature = Signature::from_raw_array(report.signature[..].try_into().unwrap()).unwrap();
        let order =
            U256::from_be_bytes(alloy::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
        let other = Signature::new(signature.r(), order - signature.s(), !signature.v());
        assert_eq!(other.recover_address_from_prehash(&hash).unwrap(), key.address());
        assert_eq!(signer(hash, &other.as_bytes()), None);
    }
}
