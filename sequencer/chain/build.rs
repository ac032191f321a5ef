//! Writes the group's Solidity interface into the crate as one `sol!` call, so that the Rust types are the contract's
//! own declarations and cannot drift from them.
//!
//! The JSON artifact would do the same, but `sol!` cannot resolve the value types that an interface's nested structs
//! use there; and from the sources the crate builds before the contracts do.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

const SOURCES: [&str; 4] = ["Types.sol", "IRiskGroup.sol", "IGroupViews.sol", "IGateway.sol"];

/// What the contracts say in comments only: the payload of each `InboxKind`, and the token's functions.
const ADDITIONS: &str = "
    struct DepositPayload { AccountId account; address owner; address token; uint128 amount; }
    struct EventOpenedPayload { EventId eventId; EventConfig config; }
    struct EventResolvedPayload { EventId eventId; uint64[] payouts; }
    struct ForcedWithdrawalPayload { AccountId account; address token; uint128 amount; }
    struct CancelAllPayload { AccountId account; uint64 floor; }
    struct ForcedClosePayload { AccountId account; MarketId market; }
    struct ForcedLiquidationPayload { Liquidate request; }
    struct SignerSetPayload { AccountId account; SignerGrant grant; }
    struct MembershipSetPayload { AccountId account; VenueId venue; uint64 until; }
    struct ReferrerSetPayload { AccountId account; BuilderId referrer; }
    struct BuilderSetPayload { BuilderId builder; AccountId account; }
    struct VenueSetPayload { VenueId venue; VenueConfig config; }
    struct AssetSetPayload { FeedId feed; AssetConfig config; }
    struct SpotListedPayload { MarketId market; SpotConfig config; }
    struct PerpetualSetPayload { MarketId market; FeedId feed; PerpetualConfig config; }
    struct PhaseSetPayload { MarketId market; Phase phase; }
    struct HoursSetPayload { MarketId market; Hours tradingHours; }
    struct FeeTiersSetPayload { VenueId venue; FeeTier[] tiers; }
    struct TermsSetPayload { GroupTerms terms; }

    interface IToken {
        function mint(address to, uint256 amount) external;
        function approve(address spender, uint256 amount) external returns (bool);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
        function balanceOf(address owner) external view returns (uint256);
        function decimals() external view returns (uint8);
    }
";

fn main() -> Result<(), Box<dyn Error>> {
    let contracts = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../contracts/group");
    let mut abi = String::from("alloy::sol! {\n#![sol(extra_derives(Debug, PartialEq, Eq))]\n");
    for name in SOURCES {
        let path = contracts.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        let source = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // One file needs no imports, and the compiler's version is not our concern.
        let mut skipped = false;
        for line in source.lines() {
            skipped |= line.starts_with("import ") || line.starts_with("pragma ");
            if !skipped {
                writeln!(abi, "{line}")?;
            }
            skipped &= !line.ends_with(';');
        }
    }
    abi.push_str(ADDITIONS);
    abi.push_str("}\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("abi.rs"), abi)?;
    Ok(())
}
