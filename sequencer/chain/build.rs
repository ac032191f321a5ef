//! Writes the group's Solidity interface into the crate as one `sol!` call, so that the Rust types are the contract's
//! own declarations and cannot drift from them; and the errors of every contract, to put reverts into words.
//!
//! The JSON artifact would do the same, but `sol!` cannot resolve the value types that an interface's nested structs
//! use there; and from the sources the crate builds before the contracts do.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

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

/// Errors of the library that the contracts use (OpenZeppelin's ERC-20).
const LIBRARY_ERRORS: &str = "
error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
error SafeERC20FailedOperation(address token);
";

fn main() -> Result<(), Box<dyn Error>> {
    let contracts = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../contracts");
    let mut abi = String::from("alloy::sol! {\n#![sol(extra_derives(Debug, PartialEq, Eq))]\n");
    for name in SOURCES {
        let path = contracts.join("group").join(name);
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
    println!("cargo::rerun-if-changed={}", contracts.display());
    let mut sources = String::from(LIBRARY_ERRORS);
    read_all(&contracts, &mut sources)?;
    write_errors(&sources, &mut abi)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("abi.rs"), abi)?;
    Ok(())
}

fn read_all(folder: &Path, sources: &mut String) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => read_all(&path, sources)?,
            false => sources.push_str(&fs::read_to_string(&path)?),
        }
    }
    Ok(())
}

/// Writes a function that puts any contract's error into words. One interface cannot have two errors of a name, so a second one goes
/// to a second interface.
fn write_errors(sources: &str, abi: &mut String) -> Result<(), Box<dyn Error>> {
    if let Some(cut) = sources.lines().find(|line| line.trim().starts_with("error ") && !line.ends_with(';')) {
        return Err(format!("an error's declaration is more than a line, which nobody reads: {cut}").into());
    }
    let statements = || sources.lines().filter_map(|line| line.trim().strip_suffix(';'));
    let values: BTreeMap<&str, &str> =
        statements().filter_map(|statement| statement.strip_prefix("type ")?.split_once(" is ")).collect();
    // How a type travels. No error has a struct.
    let travels = |name: &str| match values.get(name) {
        Some(elementary) => (*elementary).to_owned(),
        None if sources.contains(&format!("enum {name} ")) => "uint8".into(),
        None if name.starts_with(|first: char| first.is_uppercase()) => "address".into(),
        None => name.to_owned(),
    };
    // Those of a name by the types of their arguments, which are what tells them apart.
    let mut errors = BTreeMap::<&str, BTreeMap<Vec<String>, String>>::new();
    for error in statements().filter_map(|statement| statement.strip_prefix("error ")) {
        let (name, arguments) = error.split_once('(').ok_or(error)?;
        let arguments = arguments.trim_end_matches(')').split(", ").filter_map(|argument| argument.split_once(' '));
        let (types, named) = arguments.map(|(kind, name)| (travels(kind), format!("{} {name}", travels(kind)))).unzip();
        let named: Vec<String> = named;
        errors.entry(name).or_default().entry(types).or_insert_with(|| named.join(", "));
    }
    let interfaces = errors.values().map(BTreeMap::len).max().unwrap_or_default();
    abi.push_str("alloy::sol! {\n#![sol(extra_derives(Debug))]\n");
    for interface in 0..interfaces {
        writeln!(abi, "interface Errors{interface} {{")?;
        for (name, variants) in &errors {
            if let Some(arguments) = variants.values().nth(interface) {
                writeln!(abi, "error {name}({arguments});")?;
            }
        }
        abi.push_str("}\n");
    }
    abi.push_str("}\n/// A contract's error as Rust would print it, if it is known.\n");
    abi.push_str("pub(crate) fn error_of(data: &[u8]) -> Option<String> {\n    use alloy::sol_types::SolInterface;\n");
    for interface in 0..interfaces {
        writeln!(abi, "    if let Ok(error) = Errors{interface}::Errors{interface}Errors::abi_decode(data) {{")?;
        abi.push_str("        return Some(format!(\"{error:?}\"));\n    }\n");
    }
    abi.push_str("    None\n}\n");
    Ok(())
}
