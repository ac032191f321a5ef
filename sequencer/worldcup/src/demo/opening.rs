//! How the demo opens its venues: with the scripts that everybody has, and their configurations with a few values changed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::time::{Duration, sleep};
use xos_auth::Key;
use xos_chain::{Core, Registry, Scripts};
use xos_types::Address;

use super::{DemoError, resolver};

/// Seconds that Venue XIPs are public here. `script/config/core.json` says three days: nobody would wait for those, and a chain
/// whose clock is moved would no longer agree with the node's.
pub(super) const NOTICE_SECONDS: u64 = 2;
/// Outcome markets that a venue lists for nothing here: the World Cup has 149 events, and the demo's encore one.
const OUTCOME_SLOTS: u32 = 160;
/// Wei.
const STAKED: &str = "3000000000000000000000";
const WRAPPED: &str = "4000000000000000000000";

/// The deployer's means.
pub(super) struct Opening {
    scripts: Scripts,
    folder: PathBuf,
    core: Core,
}

impl Opening {
    /// Deploys the core, for these deployers, and stakes.
    pub(super) async fn begin(
        url: &str,
        deployer: &Key,
        allowed: &[Address],
        sequencer: Address,
        folder: &Path,
    ) -> Result<Self, DemoError> {
        let log = folder.join("forge.log");
        let scripts =
            Scripts { url: url.into(), key: deployer.clone(), deployments: folder.to_owned(), log, at_once: true };
        let changes = [
            ("sequencer", json!(sequencer)),
            ("allowed", json!(allowed)),
            ("notice", json!(NOTICE_SECONDS)),
            ("baseSlots", json!([OUTCOME_SLOTS, 4, 4])),
            ("resolver", dispute_terms()),
        ];
        let config = configure(folder, "core", &changes)?;
        scripts.run_with("DeployCore", "run()", &[], &[("CORE_CONFIG", &config)]).await?;
        let core = Core::load(&folder.join("31337.core.json"))?;
        let opening = Self { scripts, folder: folder.to_owned(), core };
        opening.stake().await?;
        Ok(opening)
    }

    /// The same for another deployer.
    pub(super) fn of(&self, deployer: &Key) -> Self {
        let log = self.folder.join("forge-other.log");
        let scripts = Scripts { key: deployer.clone(), log, ..self.scripts.clone() };
        Self { scripts, folder: self.folder.clone(), core: self.core.clone() }
    }

    /// Stakes what a venue needs and more.
    pub(super) async fn stake(&self) -> Result<(), DemoError> {
        self.scripts.run("Stake", "wrap(uint256)", &[WRAPPED]).await?;
        Ok(self.scripts.run("Stake", "stake(uint256)", &[STAKED]).await?)
    }

    pub(super) fn key(&self) -> &Key {
        &self.scripts.key
    }

    /// The address of what a script has deployed by that name.
    pub(super) fn part(&self, name: &str) -> Result<Address, DemoError> {
        let path = self.folder.join("31337.parts.json");
        let failed =
            |error: String| DemoError::failed("find what was deployed", format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let parts: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        serde_json::from_value(parts[name].clone()).map_err(|error| failed(format!("`{name}`: {error}")))
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// What `DeployCore` wrote.
    pub(super) fn core_file(&self) -> PathBuf {
        self.folder.join("31337.core.json")
    }

    /// Files a Venue XIP, waits until its notice is over, and carries it out. XIPs are numbered in the order of their filing,
    /// and nobody else files any.
    pub(super) async fn venue(&self, name: &str, xip: u64, changes: &[(&str, Value)]) -> Result<(), DemoError> {
        let config = configure(&self.folder, name, changes)?;
        self.scripts.run("OpenVenue", "file(string)", &[&config]).await?;
        let terms = Registry::connect(&self.scripts.url, &self.core).await?.terms().await?;
        sleep(Duration::from_secs(terms.notice + 1)).await;
        self.scripts.run("OpenVenue", "execute(string,uint64)", &[&config, &xip.to_string()]).await?;
        Ok(())
    }

    /// Runs one function of a script on a configuration.
    pub(super) async fn run(
        &self,
        script: &str,
        signature: &str,
        name: &str,
        changes: &[(&str, Value)],
    ) -> Result<(), DemoError> {
        let config = configure(&self.folder, name, changes)?;
        Ok(self.scripts.run(script, signature, &[&config]).await?)
    }

    /// Changes where a venue's fees go.
    pub(super) async fn change(&self, name: &str, venue: u32, changes: &[(&str, Value)]) -> Result<(), DemoError> {
        let config = configure(&self.folder, name, changes)?;
        Ok(self.scripts.run("OpenVenue", "change(string,uint32)", &[&config, &venue.to_string()]).await?)
    }
}

/// Claims are soon final here; a ruling would still take what a XIP takes.
fn dispute_terms() -> Value {
    let bond = u64::try_from(resolver::LEAST_BOND).unwrap_or(u64::MAX);
    json!({ "window": resolver::WINDOW_SECONDS, "patience": 1_814_400, "leastBond": bond, "bondShare": 10_000 })
}

/// `script/config/<name>.json` with other values, in the run's folder.
fn configure(folder: &Path, name: &str, changes: &[(&str, Value)]) -> Result<String, DemoError> {
    let from = Path::new("script/config").join(format!("{name}.json"));
    let failed = |error: String| DemoError::failed("configure a script", format!("{}: {error}", from.display()));
    let text = std::fs::read_to_string(&from).map_err(|error| failed(error.to_string()))?;
    let mut config: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    for (key, value) in changes {
        let place = config.get_mut(*key).ok_or_else(|| failed(format!("it has no `{key}`")))?;
        *place = value.clone();
    }
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, config.to_string()).map_err(|error| failed(error.to_string()))?;
    Ok(path.to_string_lossy().into_owned())
}
