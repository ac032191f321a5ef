//! What the operator decides: a TOML file, overridden by flags, checked as a whole before anything starts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use xos_auth::Key;
use xos_journal::OldSegments;
use xos_replica::JetStreamConfig;

/// Environment variable that holds the sequencer's key.
pub const SEQUENCER_KEY: &str = "XOS_SEQUENCER_KEY";
/// Environment variable that holds the relayer's key.
pub const RELAYER_KEY: &str = "XOS_RELAYER_KEY";

/// What may be set, as a file says it; every value may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// JSON-RPC address of an X Layer node.
    pub chain: Option<String>,
    /// Deployment file that the deploy script wrote.
    pub deployment: Option<PathBuf>,
    /// Folder of the journal; created if missing.
    pub data: Option<PathBuf>,
    /// Address that the JSON-RPC listens on; port 0 takes a free one.
    pub listen: Option<String>,
    /// Address that `/metrics`, `/health` and `/ready` listen on, for operators only; port 0 takes a free one.
    pub operations_listen: Option<String>,
    /// Proxies that are believed about who their client is (`X-Forwarded-For`): addresses, or networks like `10.0.0.0/8`,
    /// separated by commas.
    pub trusted_proxies: Option<String>,
    /// Origins whose web pages may talk to the node, like `https://app.example`, separated by commas; `*` for all.
    pub allowed_origins: Option<String>,
    /// Milliseconds that a node that is told to stop waits for its batches to settle.
    pub stop_wait_ms: Option<u64>,
    /// Milliseconds from one frame to the next.
    pub frame_interval_ms: Option<u64>,
    /// Microseconds during which commands are gathered before they execute, maker-friendly.
    pub ingress_window_us: Option<u64>,
    /// Blocks on top of a block before its inbox items count.
    pub confirmations: Option<u64>,
    /// `local`: what the disk has is durable. `replicated`: what a log on several servers has, too, which other nodes follow.
    pub durability: Option<String>,
    /// What becomes of journal segments that no restart needs any more: `keep`, `archive` (into the folder `archive` within the data
    /// folder, which may be a link to another disk) or `remove`.
    pub old_segments: Option<String>,
    /// That log.
    pub replication: ReplicationSettings,
    /// Where price reporters serve what they sign, `http://host:port`, separated by commas.
    pub price_reporters: Option<String>,
    /// File with the key that signs batches and receipts (64 hexadecimal digits).
    pub sequencer_key_file: Option<PathBuf>,
    /// File with the key that pays for gas; the sequencer's own key if not set.
    pub relayer_key_file: Option<PathBuf>,
    /// Bounds on what clients may ask for.
    pub limits: LimitSettings,
}

/// The `[replication]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplicationSettings {
    /// NATS servers with JetStream, `nats://host:port`, separated by commas.
    pub servers: Option<String>,
    /// How many of them keep each block.
    pub replicas: Option<usize>,
    /// Milliseconds without a sign of a leader after which a standby takes the lead.
    pub lease_ms: Option<u64>,
    /// Where clients reach this node's JSON-RPC; standbys send them there. The address it listens on if not set.
    pub advertise: Option<String>,
    /// File with NATS credentials.
    pub credentials_file: Option<PathBuf>,
}

/// The `[limits]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Connections at a time.
    pub connections: Option<u32>,
    /// Connections of one address.
    pub address_connections: Option<u32>,
    /// Tokens that an address gets every second; requests cost tokens.
    pub address_per_second: Option<u32>,
    /// Tokens that an address can save up.
    pub address_burst: Option<u32>,
    /// Orders that an account may place every second.
    pub account_per_second: Option<u32>,
    /// Orders that an account can save up.
    pub account_burst: Option<u32>,
    /// Subscriptions of one connection.
    pub subscriptions: Option<u32>,
    /// Bytes of one request.
    pub request_bytes: Option<u32>,
    /// Bytes of one response.
    pub response_bytes: Option<u32>,
    /// Requests in one JSON-RPC batch.
    pub batch_requests: Option<u32>,
    /// Messages that wait for a slow connection before it is no longer read from.
    pub message_buffer: Option<u32>,
    /// Commands that wait for the sequencer; further ones are refused as overloaded.
    pub queued_commands: Option<usize>,
    /// Questions that wait for the sequencer; further ones are refused as overloaded.
    pub queued_queries: Option<usize>,
    /// Commands of one ingress window.
    pub window_commands: Option<usize>,
    /// Inbox items of one frame.
    pub frame_inbox_items: Option<usize>,
    /// Payload bytes of the inbox items of one frame.
    pub frame_inbox_bytes: Option<usize>,
    /// Estimated gas at which a frame is sealed before its time.
    pub frame_gas: Option<u64>,
    /// Sealed frames that may wait for settlement; at the limit commands are refused as overloaded.
    pub unsettled_frames: Option<u64>,
    /// Megabytes of each file of the journal. Two are always on the disk that nothing, or little, is in yet; when there is no
    /// room for the second one, orders are refused as `disk_full`, and cancellations go on in what is left of the first.
    pub journal_segment_mb: Option<u64>,
    /// Commands after which the state is saved, so that a restart need not apply them again; 0 for never.
    pub snapshot_commands: Option<u64>,
    /// How many saved states are kept.
    pub snapshots_kept: Option<usize>,
}

impl Settings {
    /// Reads a configuration file. Paths in it are relative to the file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or sets what is not known here.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::one("config file", path.display(), format!("a readable TOML file ({error})"))
        })?;
        let mut settings: Self = toml::from_str(&text).map_err(|error| {
            ConfigError::one("config file", path.display(), format!("known settings only: {}", error.message()))
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        let paths = [
            &mut settings.deployment,
            &mut settings.data,
            &mut settings.sequencer_key_file,
            &mut settings.relayer_key_file,
            &mut settings.replication.credentials_file,
        ];
        for path in paths.into_iter().flatten() {
            *path = base.join(&path);
        }
        Ok(settings)
    }

    /// What `over` sets, and what is set here where `over` is silent.
    #[must_use]
    pub fn overridden_by(self, over: Self) -> Self {
        Self {
            chain: over.chain.or(self.chain),
            deployment: over.deployment.or(self.deployment),
            data: over.data.or(self.data),
            listen: over.listen.or(self.listen),
            operations_listen: over.operations_listen.or(self.operations_listen),
            trusted_proxies: over.trusted_proxies.or(self.trusted_proxies),
            allowed_origins: over.allowed_origins.or(self.allowed_origins),
            stop_wait_ms: over.stop_wait_ms.or(self.stop_wait_ms),
            frame_interval_ms: over.frame_interval_ms.or(self.frame_interval_ms),
            ingress_window_us: over.ingress_window_us.or(self.ingress_window_us),
            confirmations: over.confirmations.or(self.confirmations),
            durability: over.durability.or(self.durability),
            old_segments: over.old_segments.or(self.old_segments),
            replication: ReplicationSettings {
                servers: over.replication.servers.or(self.replication.servers),
                replicas: over.replication.replicas.or(self.replication.replicas),
                lease_ms: over.replication.lease_ms.or(self.replication.lease_ms),
                advertise: over.replication.advertise.or(self.replication.advertise),
                credentials_file: over.replication.credentials_file.or(self.replication.credentials_file),
            },
            price_reporters: over.price_reporters.or(self.price_reporters),
            sequencer_key_file: over.sequencer_key_file.or(self.sequencer_key_file),
            relayer_key_file: over.relayer_key_file.or(self.relayer_key_file),
            limits: LimitSettings {
                connections: over.limits.connections.or(self.limits.connections),
                address_connections: over.limits.address_connections.or(self.limits.address_connections),
                address_per_second: over.limits.address_per_second.or(self.limits.address_per_second),
                address_burst: over.limits.address_burst.or(self.limits.address_burst),
                account_per_second: over.limits.account_per_second.or(self.limits.account_per_second),
                account_burst: over.limits.account_burst.or(self.limits.account_burst),
                subscriptions: over.limits.subscriptions.or(self.limits.subscriptions),
                request_bytes: over.limits.request_bytes.or(self.limits.request_bytes),
                response_bytes: over.limits.response_bytes.or(self.limits.response_bytes),
                batch_requests: over.limits.batch_requests.or(self.limits.batch_requests),
                message_buffer: over.limits.message_buffer.or(self.limits.message_buffer),
                queued_commands: over.limits.queued_commands.or(self.limits.queued_commands),
                queued_queries: over.limits.queued_queries.or(self.limits.queued_queries),
                window_commands: over.limits.window_commands.or(self.limits.window_commands),
                frame_inbox_items: over.limits.frame_inbox_items.or(self.limits.frame_inbox_items),
                frame_inbox_bytes: over.limits.frame_inbox_bytes.or(self.limits.frame_inbox_bytes),
                frame_gas: over.limits.frame_gas.or(self.limits.frame_gas),
                unsettled_frames: over.limits.unsettled_frames.or(self.limits.unsettled_frames),
                journal_segment_mb: over.limits.journal_segment_mb.or(self.limits.journal_segment_mb),
                snapshot_commands: over.limits.snapshot_commands.or(self.limits.snapshot_commands),
                snapshots_kept: over.limits.snapshots_kept.or(self.limits.snapshots_kept),
            },
        }
    }

    /// The configuration, with defaults filled in and keys read (from their file, else from the environment).
    ///
    /// # Errors
    /// Everything that is wrong, not just the first of it.
    pub fn check(self) -> Result<Config, ConfigError> {
        self.check_with(|name| std::env::var(name).ok())
    }

    fn check_with(self, environment: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let mut problems = Problems::default();
        let chain = self.chain.unwrap_or_else(|| "http://127.0.0.1:8545".into());
        if !chain.starts_with("http://") && !chain.starts_with("https://") {
            problems.add("chain", &chain, "an http:// or https:// address");
        }
        let deployment = self.deployment.unwrap_or_else(|| "deployments/31337.group-1.json".into());
        if !deployment.is_file() {
            problems.add("deployment", deployment.display(), "the file that the deploy script writes");
        }
        let data = self.data.unwrap_or_else(|| "run/node".into());
        if data.exists() && !data.is_dir() {
            problems.add("data", data.display(), "a folder");
        }
        let listen = problems.address("listen", self.listen, "127.0.0.1:8645");
        let operations_listen = problems.address("operations_listen", self.operations_listen, "127.0.0.1:8646");
        if listen.is_some_and(|listen| listen.port() != 0 && Some(listen) == operations_listen) {
            problems.add("operations_listen", "the address of `listen`", "an address of its own");
        }
        let trusted_proxies = problems.proxies(self.trusted_proxies);
        let allowed_origins = problems.origins(self.allowed_origins);
        let stop_wait = problems.within("stop_wait_ms", self.stop_wait_ms, 5_000, 0, 600_000);
        let key = problems.key("sequencer_key_file", self.sequencer_key_file, SEQUENCER_KEY, &environment);
        if key.is_none() && problems.0.is_empty() {
            problems.add(
                "sequencer key",
                "nothing",
                format!("`sequencer_key_file`, or {SEQUENCER_KEY} in the environment"),
            );
        }
        let relayer = problems.key("relayer_key_file", self.relayer_key_file, RELAYER_KEY, &environment);
        let replication = problems.replication(self.durability, self.replication);
        let old_segments = problems.old_segments(self.old_segments, &data);
        let price_reporters = problems.reporters(self.price_reporters);
        let limits = self.limits;
        let frame_interval = problems.within("frame_interval_ms", self.frame_interval_ms, 1000, 10, 60_000);
        let ingress_window = problems.within("ingress_window_us", self.ingress_window_us, 1000, 0, 100_000);
        let confirmations = problems.within("confirmations", self.confirmations, 0, 0, 1000);
        let limits = Limits {
            connections: problems.within("limits.connections", limits.connections, 10_000, 1, 100_000),
            address_connections: problems.within(
                "limits.address_connections",
                limits.address_connections,
                256,
                1,
                100_000,
            ),
            // A full list of orders costs a tenth of the least burst.
            address: Allowance {
                per_second: problems.within(
                    "limits.address_per_second",
                    limits.address_per_second,
                    10_000,
                    1,
                    1_000_000_000,
                ),
                burst: problems.within("limits.address_burst", limits.address_burst, 50_000, 2_000, 1_000_000_000),
            },
            account: Allowance {
                per_second: problems.within(
                    "limits.account_per_second",
                    limits.account_per_second,
                    2_000,
                    1,
                    1_000_000_000,
                ),
                burst: problems.within("limits.account_burst", limits.account_burst, 10_000, 200, 1_000_000_000),
            },
            subscriptions: problems.within("limits.subscriptions", limits.subscriptions, 1024, 0, 100_000),
            request_bytes: problems.within("limits.request_bytes", limits.request_bytes, 1 << 20, 1 << 10, 1 << 26),
            response_bytes: problems.within("limits.response_bytes", limits.response_bytes, 8 << 20, 1 << 16, 1 << 28),
            batch_requests: problems.within("limits.batch_requests", limits.batch_requests, 100, 1, 10_000),
            message_buffer: problems.within("limits.message_buffer", limits.message_buffer, 256, 1, 65_536),
            queued_commands: problems.within("limits.queued_commands", limits.queued_commands, 20_000, 200, 1 << 20),
            queued_queries: problems.within("limits.queued_queries", limits.queued_queries, 4096, 1, 1 << 20),
            window_commands: problems.within("limits.window_commands", limits.window_commands, 1000, 1, 10_000),
            // A hundred of the dearest items (forced withdrawals), or 64 KB of the dearest bytes (payouts of many outcomes),
            // cost less than 12M gas, which with redemptions stays below EIP-7825's cap.
            frame_inbox_items: problems.within("limits.frame_inbox_items", limits.frame_inbox_items, 100, 1, 100),
            frame_inbox_bytes: problems.within(
                "limits.frame_inbox_bytes",
                limits.frame_inbox_bytes,
                64 << 10,
                1 << 10,
                64 << 10,
            ),
            // The engine's estimate is from above, and what one command may add to 13M stays below the cap.
            frame_gas: problems.within("limits.frame_gas", limits.frame_gas, 12_000_000, 4_000_000, 13_000_000),
            unsettled_frames: problems.within("limits.unsettled_frames", limits.unsettled_frames, 3600, 1, 1 << 20),
            // The largest command, a frame full of inbox items, must fit.
            journal_segment_mb: problems.within("limits.journal_segment_mb", limits.journal_segment_mb, 64, 1, 4096),
            snapshot_commands: problems.within(
                "limits.snapshot_commands",
                limits.snapshot_commands,
                1_000_000,
                0,
                1_000_000_000,
            ),
            snapshots_kept: problems.within("limits.snapshots_kept", limits.snapshots_kept, 2, 1, 1000),
        };
        match (key, listen, operations_listen) {
            (Some(sequencer_key), Some(listen), Some(operations_listen)) if problems.0.is_empty() => Ok(Config {
                chain,
                deployment,
                data,
                listen,
                operations_listen,
                trusted_proxies,
                allowed_origins,
                stop_wait: Duration::from_millis(stop_wait),
                frame_interval: Duration::from_millis(frame_interval),
                ingress_window: Duration::from_micros(ingress_window),
                confirmations,
                replication,
                old_segments,
                price_reporters,
                relayer_key: relayer.unwrap_or_else(|| sequencer_key.clone()),
                sequencer_key,
                limits,
            }),
            _ => Err(ConfigError(problems.0)),
        }
    }
}

/// Folder of archived journal segments within the data folder.
const ARCHIVE_FOLDER: &str = "archive";

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// JSON-RPC address of an X Layer node.
    pub chain: String,
    /// Deployment file.
    pub deployment: PathBuf,
    /// Folder of the journal.
    pub data: PathBuf,
    /// Where the JSON-RPC listens.
    pub listen: SocketAddr,
    /// Where operators ask how it is doing.
    pub operations_listen: SocketAddr,
    /// Who is believed about who its client is.
    pub trusted_proxies: Vec<Prefix>,
    /// Whose web pages may talk to it.
    pub allowed_origins: Origins,
    /// How long it waits for its batches when it is told to stop.
    pub stop_wait: Duration,
    /// From one frame to the next.
    pub frame_interval: Duration,
    /// How long commands are gathered before they execute.
    pub ingress_window: Duration,
    /// Blocks on top of a block before its inbox items count.
    pub confirmations: u64,
    /// The log that the nodes of the group share; none if this node is alone.
    pub replication: Option<Replication>,
    /// What becomes of journal segments that no restart needs any more.
    pub old_segments: OldSegments,
    /// Who is asked for index prices.
    pub price_reporters: Vec<String>,
    /// Signs batches and receipts.
    pub sequencer_key: Key,
    /// Pays for gas.
    pub relayer_key: Key,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
}

/// See [`ReplicationSettings`].
#[derive(Clone, Debug)]
pub struct Replication {
    /// The servers that keep the log, and how.
    pub servers: JetStreamConfig,
    /// How long a standby waits for a sign of a leader.
    pub lease: Duration,
    /// Where clients reach this node, if not where it listens.
    pub advertise: Option<String>,
}

/// Bounds; see [`LimitSettings`] for what each means.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Limits {
    pub connections: u32,
    pub address_connections: u32,
    pub address: Allowance,
    pub account: Allowance,
    pub subscriptions: u32,
    pub request_bytes: u32,
    pub response_bytes: u32,
    pub batch_requests: u32,
    pub message_buffer: u32,
    pub queued_commands: usize,
    pub queued_queries: usize,
    pub window_commands: usize,
    pub frame_inbox_items: usize,
    pub frame_inbox_bytes: usize,
    pub frame_gas: u64,
    pub unsettled_frames: u64,
    pub journal_segment_mb: u64,
    pub snapshot_commands: u64,
    pub snapshots_kept: usize,
}

/// A bucket of tokens: how fast it fills, and how many it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Tokens that it gets.
    pub per_second: u32,
    /// Tokens that it holds at most.
    pub burst: u32,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u32,
}

impl Prefix {
    /// Whether that address begins so.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(drop)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(drop)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all { Err(()) } else { Ok(Self { address, bits }) }
    }
}

/// Whose web pages may talk to the node. What a page could do, its visitor has signed, so by default all may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's.
    All,
    /// Those.
    Listed(Vec<String>),
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Each thing that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.0
    }

    fn one(setting: &str, value: impl fmt::Display, expected: impl fmt::Display) -> Self {
        let mut problems = Problems::default();
        problems.add(setting, value, expected);
        Self(problems.0)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, setting: &str, value: impl fmt::Display, expected: impl fmt::Display) {
        self.0.push(format!("{setting} is `{value}`, expected {expected}"));
    }

    fn within<T: Copy + PartialOrd + fmt::Display>(
        &mut self,
        setting: &str,
        value: Option<T>,
        default: T,
        lowest: T,
        highest: T,
    ) -> T {
        let value = value.unwrap_or(default);
        if value < lowest || value > highest {
            self.add(setting, value, format!("{lowest} to {highest}"));
        }
        value
    }

    fn old_segments(&mut self, value: Option<String>, data: &Path) -> OldSegments {
        match value.as_deref() {
            None | Some("keep") => OldSegments::Keep,
            Some("archive") => OldSegments::Archive(data.join(ARCHIVE_FOLDER)),
            Some("remove") => OldSegments::Remove,
            Some(other) => {
                self.add("old_segments", other, "`keep`, `archive` or `remove`");
                OldSegments::Keep
            }
        }
    }

    fn replication(&mut self, durability: Option<String>, settings: ReplicationSettings) -> Option<Replication> {
        match durability.as_deref() {
            None | Some("local") => {
                if settings.servers.is_some() {
                    self.add("replication.servers", "set", "`durability = \"replicated\"` beside it");
                }
                return None;
            }
            Some("replicated") => {}
            Some(other) => {
                self.add("durability", other, "`local` or `replicated`");
                return None;
            }
        }
        let servers: Vec<String> = settings
            .servers
            .iter()
            .flat_map(|servers| servers.split(','))
            .map(|server| server.trim().to_owned())
            .collect();
        if servers.is_empty() {
            self.add(
                "replication.servers",
                "nothing",
                "the addresses of NATS servers, `nats://host:port`, separated by commas",
            );
        }
        let lease = self.within("replication.lease_ms", settings.lease_ms, 1_000, 100, 60_000);
        let replicas = self.within("replication.replicas", settings.replicas, 3, 1, 5);
        Some(Replication {
            servers: JetStreamConfig { servers, replicas, credentials: settings.credentials_file },
            lease: Duration::from_millis(lease),
            advertise: settings.advertise,
        })
    }

    fn proxies(&mut self, value: Option<String>) -> Vec<Prefix> {
        let mut proxies = Vec::new();
        for proxy in value.iter().flat_map(|proxies| proxies.split(',')).map(str::trim) {
            match proxy.parse() {
                Ok(proxy) => proxies.push(proxy),
                Err(()) => {
                    self.add("trusted_proxies", proxy, "addresses or networks like 10.0.0.0/8, separated by commas")
                }
            }
        }
        proxies
    }

    fn origins(&mut self, value: Option<String>) -> Origins {
        let Some(value) = value.filter(|value| value.trim() != "*") else { return Origins::All };
        let origins: Vec<String> = value.split(',').map(|origin| origin.trim().to_owned()).collect();
        for origin in &origins {
            let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', '*'])
            });
            if !is_origin {
                self.add("allowed_origins", origin, "origins like https://app.example, separated by commas, or `*`");
            }
        }
        Origins::Listed(origins)
    }

    fn reporters(&mut self, value: Option<String>) -> Vec<String> {
        let reporters: Vec<String> =
            value.iter().flat_map(|urls| urls.split(',')).map(|url| url.trim().to_owned()).collect();
        for url in &reporters {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                self.add("price_reporters", url, "http:// or https:// addresses, separated by commas");
            }
        }
        reporters
    }

    fn address(&mut self, setting: &str, value: Option<String>, default: &str) -> Option<SocketAddr> {
        let value = value.unwrap_or_else(|| default.into());
        let address = value.parse().ok();
        if address.is_none() {
            self.add(setting, &value, format!("an IP address and port, like {default}"));
        }
        address
    }

    /// Reads a key and says what is wrong with it, never what it is.
    fn key(
        &mut self,
        setting: &str,
        file: Option<PathBuf>,
        variable: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Option<Key> {
        let (source, text) = match file {
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => (format!("the content of {}", path.display()), text),
                Err(error) => {
                    self.add(setting, path.display(), format!("a readable file with a key ({error})"));
                    return None;
                }
            },
            None => (variable.to_string(), environment(variable)?),
        };
        match Key::from_hex(&text) {
            Ok(key) => Some(key),
            Err(error) => {
                self.0.push(format!("{source} is {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";

    fn settings(folder: &Path, text: &str) -> Result<Settings, ConfigError> {
        let path = folder.join("node.toml");
        std::fs::write(&path, text).unwrap();
        Settings::read(&path)
    }

    #[test]
    fn flags_override_the_file_and_defaults_fill_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("d.json"), "{}").unwrap();
        let file =
            settings(folder.path(), "deployment = \"d.json\"\nframe_interval_ms = 500\n[limits]\nconnections = 7\n");
        let flags = Settings { frame_interval_ms: Some(250), ..Settings::default() };
        let config = file.unwrap().overridden_by(flags).check_with(|_| Some(KEY.into())).unwrap();
        assert_eq!(config.frame_interval, Duration::from_millis(250));
        assert_eq!(config.limits.connections, 7);
        assert_eq!(config.ingress_window, Duration::from_micros(1000));
        assert_eq!(config.deployment, folder.path().join("d.json"));
        assert_eq!(config.relayer_key.address(), config.sequencer_key.address());
    }

    #[test]
    fn unknown_settings_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = settings(folder.path(), "frame_intervall_ms = 500").unwrap_err().to_string();
        assert!(error.contains("frame_intervall_ms") && error.contains("frame_interval_ms"), "{error}");
        let error = settings(folder.path(), "[limits]\nconections = 5").unwrap_err().to_string();
        assert!(error.contains("conections"), "{error}");
    }

    #[test]
    fn everything_wrong_is_said_at_once_and_no_key_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let secret = "00112233445566778899aabbccddeeff-not-a-key";
        let wrong = Settings {
            chain: Some("ftp://somewhere".into()),
            deployment: Some(folder.path().join("missing.json")),
            listen: Some("nowhere".into()),
            operations_listen: Some("127.0.0.1".into()),
            frame_interval_ms: Some(1),
            old_segments: Some("burn".into()),
            trusted_proxies: Some("10.0.0.0/33".into()),
            allowed_origins: Some("https://app.example/path".into()),
            ..Settings::default()
        };
        let error = wrong.check_with(|_| Some(secret.into())).unwrap_err().to_string();
        for expected in [
            "chain is `ftp://",
            "missing.json",
            "listen is `nowhere`",
            "operations_listen is `127.0.0.1`",
            "10 to 60000",
            "old_segments is `burn`",
            "trusted_proxies is `10.0.0.0/33`",
            "allowed_origins is `https://app.example/path`",
            SEQUENCER_KEY,
        ] {
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert!(!error.contains(secret));
    }

    #[test]
    fn a_missing_key_says_where_to_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let deployment = folder.path().join("d.json");
        std::fs::write(&deployment, "{}").unwrap();
        let settings = Settings { deployment: Some(deployment), ..Settings::default() };
        let error = settings.check_with(|_| None).unwrap_err().to_string();
        assert!(error.contains("sequencer_key_file") && error.contains(SEQUENCER_KEY), "{error}");
    }

    #[test]
    fn a_network_contains_what_begins_like_it() {
        let contains =
            |prefix: &str, address: &str| prefix.parse::<Prefix>().unwrap().contains(address.parse().unwrap());
        for (prefix, address) in [
            ("10.0.0.0/8", "10.9.8.7"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1"),
            ("0.0.0.0/0", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:1::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(contains(prefix, address), "{prefix} {address}");
        }
        for (prefix, address) in [("10.0.0.0/8", "11.0.0.1"), ("127.0.0.1", "127.0.0.2"), ("::/0", "192.0.2.1")] {
            assert!(!contains(prefix, address), "{prefix} {address}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1", "::/129", "host"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }
}
