//! `xos venue`

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;
use xos_auth::Key;
use xos_chain::{Core, ProtocolLimits, Registry, Scripts, Standing, Terms};
use xos_types::{Address, FeeTier};

use crate::error::CliError;
use crate::session::KeyFlags;
use crate::venues::List;

const OKB: u128 = 1_000_000_000_000_000_000;
/// Of a simulated dollar.
const ATOMS: u128 = 1_000_000;
/// Gas of a Venue XIP that makes a group (docs/governance.md), and of listing one event.
const GROUP_GAS: u64 = 12_200_000;
const EVENT_GAS: u64 = 250_000;

/// Open a venue, or list those of a group
#[derive(Args)]
#[command(after_help = "Examples:
  xos venue list                                venues, and what those pay there who trade much
  xos venue new                                 asks, explains, and opens an outcome venue
  xos venue new --from plan.json --yes          the same for machines
  xos venue new --dry-run                       writes the plan and opens nothing")]
pub(crate) struct Venue {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(List),
    New(New),
}

/// Open a venue of your own: asks, checks against the protocol's limits, says what it costs, and runs the scripts
///
/// Run it in the repository's root: what opens the venue is script/OpenVenue.s.sol and script/ListMarket.s.sol, with
/// configurations that are left beside the deployment. The key's address becomes the deployer; it must be one that the rollout
/// allows, and hold OKB for stake, bond and gas.
#[derive(Args)]
struct New {
    /// A plan instead of questions: {"name": …, "venue": {…}, "markets": [{"list": "events", "config": {…}}]}
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Do not ask whether to go on
    #[arg(long)]
    yes: bool,
    /// Write the configurations, and open nothing
    #[arg(long)]
    dry_run: bool,
    /// JSON-RPC of an X Layer node
    #[arg(long, env = "XOS_CHAIN", value_name = "URL", default_value = "http://127.0.0.1:8545")]
    chain: String,
    /// What script/DeployCore.s.sol wrote; configurations and the new group's deployment are written beside it
    #[arg(long, env = "XOS_CORE", value_name = "FILE", default_value = "deployments/31337.core.json")]
    core: PathBuf,
    #[command(flatten)]
    key: KeyFlags,
}

/// What is to be opened: what the scripts are given, in one file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// What its files are called.
    name: String,
    /// As script/config/venue-worldcup.json.
    venue: Value,
    /// What is listed, in this order.
    markets: Vec<Listed>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    list: Kind,
    /// As script/config/events-worldcup.json, market-btc.json or market-stock.json; of events, `from` may be the list itself.
    config: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Events,
    Perpetual,
    Spot,
}

impl Kind {
    const fn signature(self) -> &'static str {
        match self {
            Self::Events => "events(string)",
            Self::Perpetual => "perpetual(string)",
            Self::Spot => "spot(string)",
        }
    }
}

impl Venue {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::New(new) => new.run().await,
        }
    }
}

impl New {
    async fn run(self) -> Result<(), CliError> {
        let begun = Instant::now();
        let key = self.key.key()?;
        let core = Core::load(&self.core)?;
        let registry = Registry::connect(&self.chain, &core).await?;
        let (terms, limits) = (registry.terms().await?, registry.limits().await?);
        let standing = registry.standing(key.address()).await?;
        let mut dialog = Dialog::standard();
        let plan = match &self.from {
            Some(path) => read(path)?,
            None => ask(&key, &core, &limits, &mut dialog)?,
        };
        let problems = faults(&plan, &limits);
        if !problems.is_empty() {
            return Err(CliError::usage(format!("the plan is outside the protocol's limits: {}", problems.join("; "))));
        }
        let missing = shortfall(&terms, &standing);
        println!("{}", account(&plan, &terms, &standing));
        let folder = self.core.parent().unwrap_or_else(|| Path::new(".")).to_owned();
        let venue_file = write(&folder, &format!("venue-{}", plan.name), &plan.venue)?;
        if self.dry_run {
            println!("written: {}; nothing is opened", venue_file.display());
            return Ok(());
        }
        if let Some(missing) = missing {
            return Err(CliError::Refused(missing));
        }
        if !self.yes && !dialog.agrees("Open it now?")? {
            println!("written: {}; nothing is opened", venue_file.display());
            return Ok(());
        }
        let scripts = Scripts {
            url: self.chain.clone(),
            key,
            deployments: folder.clone(),
            log: folder.join("forge.log"),
            at_once: false,
        };
        let number = open(&scripts, &registry, &terms, &standing, &venue_file).await?;
        for (index, listed) in (1..).zip(&plan.markets) {
            list(&scripts, &folder, &plan.name, index, number, listed).await?;
        }
        println!(
            "venue {number} is open, with {} listed in {:.0} s; its group's deployment is in {}",
            plan.markets.len(),
            begun.elapsed().as_secs_f64(),
            folder.display()
        );
        Ok(())
    }
}

fn read(path: &Path) -> Result<Plan, CliError> {
    let failed = |error: String| CliError::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(format!("no plan: {error}")))
}

fn write(folder: &Path, name: &str, config: &Value) -> Result<PathBuf, CliError> {
    let path = folder.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(config)?;
    std::fs::write(&path, text).map_err(|error| CliError::Refused(format!("{}: {error}", path.display())))?;
    Ok(path)
}

/// Stakes what is missing, files the Venue XIP, waits for its notice and carries it out. Answers the venue's number.
async fn open(
    scripts: &Scripts,
    registry: &Registry,
    terms: &Terms,
    standing: &Standing,
    config: &Path,
) -> Result<u32, CliError> {
    let config = config.to_string_lossy().into_owned();
    let stake = (standing.locked + terms.required_stake).saturating_sub(standing.staked);
    let wrap = (stake + terms.bond).saturating_sub(standing.wrapped);
    if wrap > 0 {
        println!("wrapping {} OKB", okb(wrap));
        scripts.run("Stake", "wrap(uint256)", &[&wrap.to_string()]).await?;
    }
    if stake > 0 {
        println!("staking {} OKB", okb(stake));
        scripts.run("Stake", "stake(uint256)", &[&stake.to_string()]).await?;
    }
    let before = registry.xips().await?;
    scripts.run("OpenVenue", "file(string)", &[&config]).await?;
    let xip = registry.filed_since(scripts.key.address(), before).await?;
    let xip = xip.ok_or_else(|| CliError::Refused("the Venue XIP that was filed is not on the chain".into()))?;
    println!("Venue XIP {xip} is filed; its notice takes {} s", terms.notice);
    sleep(Duration::from_secs(terms.notice + 1)).await;
    scripts.run("OpenVenue", "execute(string,uint64)", &[&config, &xip.to_string()]).await?;
    Ok(registry.venue_of_xip(xip).await?)
}

async fn list(
    scripts: &Scripts,
    folder: &Path,
    name: &str,
    index: usize,
    venue: u32,
    listed: &Listed,
) -> Result<(), CliError> {
    let mut config = listed.config.clone();
    config["venue"] = json!(venue);
    if config["from"].is_array() {
        let events = write(folder, &format!("events-{name}-{index}"), &json!({ "events": config["from"] }))?;
        config["from"] = json!(events);
    }
    let path = write(folder, &format!("market-{name}-{index}"), &config)?;
    scripts.run("ListMarket", listed.list.signature(), &[&path.to_string_lossy()]).await?;
    Ok(())
}

// ---------------------------------------------------------------- what the limits say

/// Everything in a plan that the protocol would refuse.
fn faults(plan: &Plan, limits: &ProtocolLimits) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = |config: &Value, field: &str, least: u128, most: u128| {
        let value = number(&config[field]);
        match value {
            None => found.push(format!("`{field}` is no whole number")),
            Some(value) if value < least || value > most => {
                found.push(format!("`{field}` is {value}, expected {least} to {most}"));
            }
            Some(_) => {}
        }
    };
    let venue = &plan.venue;
    if number(&venue["group"]) == Some(0) {
        within(venue, "inboxDeadlineMs", 3_600_000, 259_200_000);
        within(venue, "requestFeeWei", 0, limits.max_request_fee);
    }
    within(venue, "protocolShare", limits.min_protocol_share.into(), 1_000_000);
    let tiers = &venue["feeTiers"];
    let (mut volume, mut takers, mut makers) = (0, 1_000_000, 1_000_000);
    for tier in tiers.as_array().into_iter().flatten() {
        within(tier, "volume", volume + 1, u128::MAX);
        within(tier, "takerShare", 0, takers);
        within(tier, "makerShare", 0, makers);
        volume = number(&tier["volume"]).unwrap_or(volume).min(u128::MAX - 1);
        takers = number(&tier["takerShare"]).unwrap_or(takers);
        makers = number(&tier["makerShare"]).unwrap_or(makers);
    }
    for listed in &plan.markets {
        let config = &listed.config;
        within(config, "takerFee", 0, limits.max_fee.into());
        if config["makerFee"].as_i64().is_none_or(|fee| fee >= 0) {
            within(config, "makerFee", 0, limits.max_fee.into());
        }
        if listed.list == Kind::Events {
            continue;
        }
        within(&config["feed"], "maxAgeMs", 0, limits.max_age_ms.into());
        within(&config["feed"], "maxGapMs", 0, limits.max_gap_ms.into());
        within(&config["feed"], "maxMove", 0, limits.max_move.into());
        if listed.list == Kind::Spot {
            within(&config["asset"], "initialWeight", 0, limits.max_initial_weight.into());
            continue;
        }
        within(config, "fundingCap", 0, limits.max_funding_cap.into());
        within(config, "lossCap", 0, limits.max_loss_cap);
        within(config, "openInterestCap", 1, limits.max_open_interest.into());
        let first = |list: &str| json!({ list: config[list][0] });
        within(&first("initialFractions"), "initialFractions", limits.min_initial_fraction.into(), 1_000_000);
        within(
            &first("maintenanceFractions"),
            "maintenanceFractions",
            limits.min_maintenance_fraction.into(),
            1_000_000,
        );
    }
    if !tiers.is_null() && tiers.as_array().is_none_or(|tiers| tiers.len() > FeeTier::MOST) {
        found.push(format!("`feeTiers` is no list of at most {} tiers", FeeTier::MOST));
    }
    found
}

/// A whole number, plain or as text: amounts in wei are more than JSON numbers hold.
fn number(value: &Value) -> Option<u128> {
    value.as_u64().map(u128::from).or_else(|| value.as_str()?.parse().ok())
}

/// What the deployer lacks, if anything.
fn shortfall(terms: &Terms, standing: &Standing) -> Option<String> {
    if !terms.open_to_all && !standing.allowed {
        return Some(
            "the rollout does not allow this key's address to open venues yet; a Standards XIP adds it (docs/governance.md)".into(),
        );
    }
    let stake = (standing.locked + terms.required_stake).saturating_sub(standing.staked);
    let needed = (stake + terms.bond).saturating_sub(standing.wrapped);
    // Some of it is for gas.
    (standing.native < needed + OKB / 10)
        .then(|| format!("{} OKB and some for gas are needed, the address holds {}", okb(needed), okb(standing.native)))
}

/// Cost and risks, for people.
fn account(plan: &Plan, terms: &Terms, standing: &Standing) -> String {
    let stake = (standing.locked + terms.required_stake).saturating_sub(standing.staked);
    let events = plan.markets.iter().filter(|listed| listed.list == Kind::Events);
    let listed: u64 = events.map(|listed| listed.config["from"].as_array().map_or(1, |list| list.len() as u64)).sum();
    let value = if terms.real_value { "" } else { "\n  The rollout is in its first phase: tokens without value only." };
    format!(
        "\nWhat it costs\n  stake   {} OKB are tied down while the venue is open ({} more must be staked); they can be \
         slashed for recorded misconduct\n  bond    {} OKB, which come back when the venue opens\n  notice  {} s in which \
         anyone can read what you ask for\n  gas     about {:.1} million for the group, {:.1} for its events\n  slots   {} \
         events, {} spot markets and {} perpetuals are free; more are sold by auction\n\nWhat to know\n  The group, its \
         settlement token and its inbox deadline are for good; so are an event's terms and who resolves it.\n  Whoever resolves \
         decides where the money goes: name yourself only where traders have reason to trust you.\n  If the sequencer ignores \
         the group for its deadline anyone may freeze it, and everyone leaves with what is theirs.{value}\n",
        okb(terms.required_stake),
        okb(stake),
        okb(terms.bond),
        terms.notice,
        millions(GROUP_GAS),
        millions(EVENT_GAS * listed),
        terms.base_slots[0],
        terms.base_slots[1],
        terms.base_slots[2],
    )
}

fn millions(gas: u64) -> f64 {
    f64::from(u32::try_from(gas).unwrap_or(u32::MAX)) / 1e6
}

fn okb(wei: u128) -> String {
    xos_api::people::ratio(wei, OKB)
}

// ---------------------------------------------------------------- questions

/// Asks and hears.
struct Dialog<'a> {
    answers: Box<dyn BufRead + 'a>,
    questions: Box<dyn Write + 'a>,
}

impl Dialog<'_> {
    fn standard() -> Self {
        Self { answers: Box::new(std::io::BufReader::new(std::io::stdin())), questions: Box::new(std::io::stdout()) }
    }

    /// Asks until `read` understands; an empty answer is the usual one.
    fn ask<T>(&mut self, question: &str, usual: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, CliError> {
        loop {
            write!(self.questions, "{question} [{usual}] ")
                .and_then(|()| self.questions.flush())
                .map_err(CliError::Write)?;
            let mut line = String::new();
            let heard = self.answers.read_line(&mut line).map_err(CliError::Write)?;
            if heard == 0 {
                return Err(CliError::usage("the answers ended before the questions did; --from takes a plan instead"));
            }
            let answer = line.trim();
            match read(if answer.is_empty() { usual } else { answer }) {
                Ok(value) => return Ok(value),
                Err(problem) => writeln!(self.questions, "  {problem}").map_err(CliError::Write)?,
            }
        }
    }

    fn agrees(&mut self, question: &str) -> Result<bool, CliError> {
        self.ask(question, "no", |answer| match answer.to_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("yes or no?".into()),
        })
    }
}

/// The questions of an outcome venue with one event.
fn ask(key: &Key, core: &Core, limits: &ProtocolLimits, dialog: &mut Dialog<'_>) -> Result<Plan, CliError> {
    let text = |answer: &str| Ok(answer.to_owned());
    println!(
        "A venue of outcome markets: each event asks a question, and of its outcomes exactly one pays.\n\
         An empty answer takes what stands in brackets."
    );
    let name = dialog.ask("What are its files called (letters, digits, dashes)?", "my-venue", |answer| {
        let plain = !answer.is_empty() && answer.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if plain { Ok(answer.to_owned()) } else { Err("letters, digits and dashes only".into()) }
    })?;
    let title = dialog.ask("What does its first event ask?", "Is a coin heads?", text)?;
    let labels = dialog.ask("Its outcomes, separated by commas (2 to 128)?", "Yes, No", |answer| {
        let labels: Vec<String> = answer.split(',').map(|label| label.trim().to_owned()).collect();
        let good = (2..=128).contains(&labels.len()) && labels.iter().all(|label| !label.is_empty());
        if good { Ok(labels) } else { Err("2 to 128 names, separated by commas".into()) }
    })?;
    let most = limits.max_fee;
    let fee = dialog.ask(
        &format!("What takers pay, in parts per million of the value (at most {most}; 1000 is 0.1 %)?"),
        "1000",
        |answer| match answer.parse::<u32>() {
            Ok(fee) if fee <= most => Ok(fee),
            _ => Err(format!("0 to {most}")),
        },
    )?;
    let least = limits.min_protocol_share;
    let share = dialog.ask(
        &format!("The protocol's share of that, in parts per million (at least {least})?"),
        &least.max(100_000).to_string(),
        |answer| match answer.parse::<u32>() {
            Ok(share) if (least..=1_000_000).contains(&share) => Ok(share),
            _ => Err(format!("{least} to 1000000")),
        },
    )?;
    let tiers = dialog.ask(
        "Who trades much pays less? As dollars:percent of the fee, separated by commas (100000:80, 1000000:60), or `no`.\n\
         What one trades counts for 14 to 28 days.",
        "no",
        |answer| if answer == "no" { Ok(Vec::new()) } else { answer.split(',').map(tier).collect() },
    )?;
    let resolver = dialog.ask(
        "Who says how it ended: `me`, or `anyone` with a bond that anyone may dispute?",
        "anyone",
        |answer| match answer {
            "me" => Ok(key.address()),
            "anyone" => Ok(core.resolver),
            _ => Err("me or anyone".into()),
        },
    )?;
    let mut plan = outcome_plan(&name, &title, &labels, fee, share, resolver);
    plan.venue["feeTiers"] = json!(tiers);
    Ok(plan)
}

/// A tier in words: so many dollars, and such a part of the fee. Makers pay nothing in the venue that is asked about.
fn tier(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{}` is not like 100000:80", text.trim());
    let (dollars, percent) = text.trim().split_once(':').ok_or_else(wrong)?;
    let (dollars, percent) =
        (dollars.parse::<u64>().map_err(|_| wrong())?, percent.parse::<u32>().map_err(|_| wrong())?);
    if dollars == 0 || percent > 100 {
        return Err(wrong());
    }
    let volume = u128::from(dollars) * ATOMS;
    Ok(json!({ "volume": volume.to_string(), "takerShare": percent * 10_000, "makerShare": percent * 10_000 }))
}

fn outcome_plan(name: &str, title: &str, labels: &[String], fee: u32, share: u32, resolver: Address) -> Plan {
    let zero = Address::ZERO;
    Plan {
        name: name.into(),
        venue: json!({
            "group": 0, "settlementToken": zero, "inboxDeadlineMs": 86_400_000, "requestFeeWei": "100000000000000",
            "maxHoldings": 16, "keeperShare": 500_000, "graceMs": 5_000, "registrar": zero, "treasury": 2,
            "protocolShare": share, "insuranceShare": 0, "referrerShare": 0,
            "metadata": format!("https://exchange.example/{name}.json"), "text": format!("https://exchange.example/{name}.md"),
        }),
        markets: vec![Listed {
            list: Kind::Events,
            config: json!({
                "venue": 0, "from": [{ "title": title, "labels": labels }], "after": 0, "resolver": resolver, "ticks": 1000,
                "quantum": 10, "takerFee": fee, "makerFee": 0, "curve": false, "restricted": false, "isolatedOnly": false,
                "positionCap": 0, "openInterestCap": 0,
            }),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ProtocolLimits {
        ProtocolLimits {
            min_initial_fraction: 20_000,
            min_maintenance_fraction: 10_000,
            max_fee: 20_000,
            min_protocol_share: 50_000,
            max_funding_cap: 10_000,
            max_age_ms: 60_000,
            max_gap_ms: 600_000,
            max_move: 50_000,
            max_initial_weight: 900_000,
            max_loss_cap: 10_000_000_000_000,
            max_open_interest: 1_000_000_000_000_000,
            max_request_fee: 10_000_000_000_000_000,
        }
    }

    fn shipped(name: &str) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../script/config").join(format!("{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_shipped_configurations_are_within_the_limits_and_what_is_not_is_named() {
        let venue = shipped("venue-worldcup");
        let listed = |list, name: &str| Listed { list, config: shipped(name) };
        let markets = vec![
            listed(Kind::Events, "events-worldcup"),
            listed(Kind::Perpetual, "market-btc"),
            listed(Kind::Perpetual, "market-eth"),
            listed(Kind::Spot, "market-stock"),
            listed(Kind::Perpetual, "market-house"),
        ];
        let mut plan = Plan { name: "all".into(), venue, markets };
        assert_eq!(faults(&plan, &limits()), Vec::<String>::new());
        plan.venue = shipped("venue-perpetuals");
        assert_eq!(faults(&plan, &limits()), Vec::<String>::new());
        plan.venue["feeTiers"][1]["volume"] = plan.venue["feeTiers"][0]["volume"].clone();
        plan.venue["feeTiers"][2]["takerShare"] = json!(900_000);
        plan.venue["feeTiers"][0]["makerShare"] = json!(1_000_001);
        plan.venue["protocolShare"] = json!(1);
        plan.markets[0].config["takerFee"] = json!(20_001);
        plan.markets[1].config["initialFractions"][0] = json!(19_999);
        plan.markets[3].config["feed"]["maxAgeMs"] = json!("60001");
        let found = faults(&plan, &limits());
        plan.venue["feeTiers"] = json!("none");
        assert!(faults(&plan, &limits()).iter().any(|fault| fault.contains("at most 8 tiers")));
        let tiers = ["makerShare", "volume", "takerShare"];
        let names = [&["protocolShare"][..], &tiers, &["takerFee", "initialFractions", "maxAgeMs"]].concat();
        assert_eq!(found.len(), names.len(), "{found:?}");
        assert!(found.iter().zip(names).all(|(fault, name)| fault.contains(name)), "{found:?}");
    }

    #[test]
    fn questions_are_asked_again_until_they_are_answered() {
        let answers = "coin\nIs it heads?\nYes\nYes, No\n30000\n500\n\n100000\n1000:80, 20000:0\nnobody\nme\n";
        let mut asked = Vec::new();
        let key = Key::from_bytes([1; 32]).unwrap();
        let core: Core = serde_json::from_value(json!({
            "chainId": 1, "block": 1, "okb": Address::ZERO, "simulatedToken": Address::ZERO, "simulatedAsset": Address::ZERO, "stake": Address::ZERO,
            "slots": Address::ZERO, "rollout": Address::ZERO, "limits": Address::ZERO, "resolver": Address::ZERO,
            "registrar": Address::ZERO, "registry": Address::ZERO, "listings": Address::ZERO, "xips": Address::ZERO,
        }))
        .unwrap();
        let mut dialog = Dialog { answers: Box::new(answers.as_bytes()), questions: Box::new(&mut asked) };
        let plan = ask(&key, &core, &limits(), &mut dialog).unwrap();
        drop(dialog);
        assert_eq!(plan.name, "coin");
        assert_eq!(plan.venue["protocolShare"], 100_000);
        let tiers = json!([
            { "volume": "1000000000", "takerShare": 800_000, "makerShare": 800_000 },
            { "volume": "20000000000", "takerShare": 0, "makerShare": 0 },
        ]);
        assert_eq!(plan.venue["feeTiers"], tiers);
        assert_eq!(faults(&plan, &limits()), Vec::<String>::new());
        let event = &plan.markets[0].config;
        assert_eq!((event["takerFee"].as_u64(), event["resolver"].clone()), (Some(500), json!(key.address())));
        assert_eq!(event["from"], json!([{ "title": "Is it heads?", "labels": ["Yes", "No"] }]));
        let asked = String::from_utf8(asked).unwrap();
        assert_eq!(asked.matches("2 to 128 names").count(), 1);
        assert_eq!(asked.matches("  0 to 20000").count(), 1);
        assert_eq!(asked.matches("  me or anyone").count(), 1);
        assert_eq!(asked.matches("is not like").count(), 1);
        let mut dialog = Dialog { answers: Box::new("coin\n".as_bytes()), questions: Box::new(std::io::sink()) };
        assert!(ask(&key, &core, &limits(), &mut dialog).unwrap_err().to_string().contains("--from"));
    }
}
