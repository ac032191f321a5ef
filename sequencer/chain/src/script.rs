//! Runs the repository's forge scripts (`script/`), which is how anything is deployed or opened.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use xos_auth::Key;

use crate::error::ChainError;

/// Where npm puts Foundry's programs, each in a package for the platform. The launchers in `.bin` hide the exit status and
/// leave the program behind when they are killed.
const FOUNDRY: &str = "node_modules/@foundry-rs";
/// What the programs look for by name: the compiler's interpreter and the like.
const BIN: &str = "node_modules/.bin";
/// What forge has built, by its own account.
const CACHE: &str = "solidity-files-cache.json";
/// Where it keeps that.
const CACHE_FOLDER: &str = "cache";
/// Lines of a log that are shown when a script fails.
const LOG_TAIL: usize = 15;

/// A program of Foundry's, as installed in the repository whose root is the working directory.
///
/// # Errors
/// If it is not there, with what to do.
pub fn foundry(tool: &str) -> Result<PathBuf, String> {
    let packages = std::fs::read_dir(FOUNDRY).into_iter().flatten().flatten();
    let programs = packages
        .filter(|package| package.file_name().to_string_lossy().starts_with(&format!("{tool}-")))
        .map(|package| package.path().join("bin").join(tool));
    programs
        .into_iter()
        .find(|program| program.is_file())
        .ok_or_else(|| format!("no `{tool}` in {FOUNDRY}; run `make deps`, and this from the repository's root"))
}

/// Who runs scripts against which chain, and where they write what they deploy.
#[derive(Clone, Debug)]
pub struct Scripts {
    /// JSON-RPC of the chain.
    pub url: String,
    /// Who sends the transactions.
    pub key: Key,
    /// The folder of `<chain id>.core.json` and its like, inside `deployments` or `run`.
    pub deployments: PathBuf,
    /// Where what forge says is kept.
    pub log: PathBuf,
    /// Whether a script's transactions are sent all at once, for a chain whose blocks have room for them. Else each waits for the
    /// one before it: anvil forgets transactions that a full block has left over, and forge waits for them for ever.
    pub at_once: bool,
}

impl Scripts {
    /// Runs `script/<name>.s.sol` with a function's arguments, and waits until its transactions are mined.
    ///
    /// # Errors
    /// If forge is missing or the script fails, with the end of what it said.
    pub async fn run(&self, name: &str, signature: &str, arguments: &[&str]) -> Result<(), ChainError> {
        self.run_with(name, signature, arguments, &[]).await
    }

    /// The same, with more in its environment.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_with(
        &self,
        name: &str,
        signature: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(), ChainError> {
        let failed = |reason: String| ChainError::Script { script: format!("script/{name}.s.sol"), reason };
        let mut command = tokio::process::Command::new(foundry("forge").map_err(failed)?);
        command.args(["script", &format!("script/{name}.s.sol:{name}"), "--sig", signature]).args(arguments);
        command.args(["--rpc-url", &self.url, "--broadcast", "--non-interactive"]);
        if !self.at_once {
            command.arg("--slow");
        }
        // Tools of the repository (its compiler) are found by name, as the Makefile does it.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", Path::new(BIN).display()));
        let cache = own_cache().map_err(|error| failed(format!("{CACHE}: {error}")))?;
        if let Some(cache) = &cache {
            command.env("FOUNDRY_CACHE_PATH", cache.path());
        }
        command.env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1");
        command.env("DEPLOYER_KEY", alloy::hex::encode_prefixed(self.key.to_bytes()));
        command.env("DEPLOYMENTS", &self.deployments);
        command.envs(environment.iter().copied());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| failed(format!("{}: {error}", self.log.display())))?;
        let errors = log.try_clone().map_err(|error| failed(error.to_string()))?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(true).process_group(0);
        let status = command.status().await.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(format!("{status}\n{}", tail(&self.log)))) }
    }
}

/// A folder with a copy of forge's cache, if there is one. Forge writes the file anew each time, over what others read; one that finds
/// half of it builds for minutes what was built.
fn own_cache() -> std::io::Result<Option<TempDir>> {
    let cache = Path::new(CACHE_FOLDER).join(CACHE);
    if !cache.is_file() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    std::fs::copy(cache, folder.path().join(CACHE))?;
    Ok(Some(folder))
}

/// The end of a log, for whoever must see why something failed.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
    format!("--- end of {} ---\n{last}", log.display())
}
