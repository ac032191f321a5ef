//! The whole path with one command: a chain, the contracts, the node as a process of its own, traders who know nothing but
//! the public interfaces, the 104 matches, resolution, withdrawal and audit.

mod encore;
mod funding;
mod observer;
mod process;
mod reckoning;
mod resolver;
mod screen;
mod story;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use xos_api::{MarketInfo, XosApiClient};
use xos_auth::Key;
use xos_chain::{Chain, ChainError, Deployment, Wallet};
use xos_node::audit;
use xos_types::Ticks;

use crate::facts::{MATCHES, MatchId, Subject, facts};
use crate::fair::{Board, Boards, Pricer, Tempo};
use crate::session::{Session, Trouble, Venue, connect};
use crate::tally::Tally;
use crate::trader::{Floor, Kind, Trader};
use observer::{Sight, observe};
use process::{LocalChain, NodeProcess, forge_script, free_port, write_key};
use reckoning::Reckoning;
use screen::Screen;

/// The replay at speed 1.
const REPLAY_SECONDS: f64 = 120.;
/// Traders set up their books before the first match begins.
const WARM_UP: Duration = Duration::from_secs(4);
/// How often the screen is refreshed.
const REFRESH: Duration = Duration::from_millis(250);
/// How long the end may take once the final is over: the last orders, batches and resolutions.
const END_WITHIN: Duration = Duration::from_secs(120);

/// How the demo runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How fast: 1 replays the tournament in about two minutes
    #[arg(long, env = "SPEED", default_value_t = 1.0, value_parser = positive)]
    pub speed: f64,
    /// Traders, each with a key, an account and an opinion of its own
    #[arg(long, env = "TRADERS", default_value_t = 48, value_parser = clap::value_parser!(u16).range(10..=400))]
    pub traders: u16,
    /// Kill the node (-9) so many times at random moments of the replay
    #[arg(long, value_name = "TIMES", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=20))]
    pub kill_node: u16,
    /// Seed of everything random but the keys
    #[arg(long, env = "SEED", default_value_t = 2026)]
    pub seed: u64,
    /// End after the audit, with exit status 0 only if everything is right
    #[arg(long, env = "EXIT", value_parser = clap::builder::FalseyValueParser::new())]
    pub exit: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.05..=50.).contains(&speed) => Ok(speed),
        _ => Err("expected a number from 0.05 to 50".into()),
    }
}

/// Why the demo could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A step went wrong.
    #[error("cannot {step}: {reason}")]
    Failed {
        /// Which.
        step: &'static str,
        /// Why.
        reason: String,
    },
    /// A trader's line to the node.
    #[error("a trader: {0}")]
    Trouble(#[from] Trouble),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The audit could not be done.
    #[error("cannot audit: {0}")]
    Audit(#[from] audit::AuditError),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; everything was stopped")]
    Interrupted,
}

impl DemoError {
    fn failed(step: &'static str, reason: impl Display) -> Self {
        Self::Failed { step, reason: reason.to_string() }
    }
}

impl From<JoinError> for DemoError {
    fn from(error: JoinError) -> Self {
        Self::failed("run a task", error)
    }
}

/// What came of it; printed as the last line, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `passed` or `failed`.
    pub audit: &'static str,
    /// Everything that is not as it should be; empty if all is well.
    pub problems: Vec<String>,
    /// The team that the contract pays in the champion event.
    pub champion: String,
    /// The outcome that the contract pays in the final's 90-minute event.
    pub final_after_90: String,
    /// Traders that took part.
    pub traders: usize,
    /// Signed orders that the node accepted.
    pub orders_accepted: u64,
    /// Signed orders that the node refused.
    pub orders_rejected: u64,
    /// Trades, each between two orders.
    pub trades: u64,
    /// Netted fills of orders, settled on chain.
    pub fills_settled: u64,
    /// Settled batches.
    pub batches: u64,
    /// Batch transactions that reverted, by the chain's count.
    pub batches_reverted: u64,
    /// Gas of all batches, all in, by settled fill.
    pub gas_per_filled_order: u64,
    /// Microseconds from signing to acknowledgement, median.
    pub ack_p50_us: u64,
    /// The same, 99th percentile.
    pub ack_p99_us: u64,
    /// The whole demo.
    pub seconds: u64,
    /// How often the node was killed.
    pub node_kills: u16,
    /// Acknowledged orders that the log did not know afterwards.
    pub acked_orders_lost: u64,
    /// Acknowledged orders that the log was asked about.
    pub acked_orders_verified: u64,
}

impl Summary {
    /// Whether everything is right.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Runs the demo from the repository's root, and prints as it goes; the last line is the summary as JSON.
///
/// # Errors
/// If it could not be carried out. That something is not right in the end is said by the summary.
pub async fn run(options: Options) -> Result<Summary, DemoError> {
    let mut screen = Screen::new();
    let interrupted = interruption()?;
    tokio::select! {
        result = demo(&options, &mut screen) => result,
        () = interrupted => Err(DemoError::Interrupted),
    }
}

/// Resolves at the first Ctrl-C or SIGTERM. What runs is then dropped, and with it every child process.
fn interruption() -> Result<impl Future<Output = ()>, DemoError> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| DemoError::failed("listen for signals", error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// What stands once everything is up.
struct Exchange {
    folder: PathBuf,
    local_chain: LocalChain,
    chain: Chain,
    /// Opens and resolves events, and owns the treasury.
    deployer: Wallet,
    relayer: Key,
    node: NodeProcess,
    venue: Arc<Venue>,
    http: String,
}

async fn demo(options: &Options, screen: &mut Screen) -> Result<Summary, DemoError> {
    let begun = Instant::now();
    let exchange = set_up(screen).await?;
    let mut failed = exchange.node.failed.clone();
    let played = tokio::select! {
        played = play(options, &exchange, screen) => played,
        Ok(reason) = failed.wait_for(Option::is_some) => {
            Err(DemoError::failed("keep the node running", reason.as_deref().unwrap_or_default()))
        }
    };
    let (mut played, treasury) = played?;
    let reckoning = reckoning::reckon(&exchange, &mut played, treasury, screen).await?;
    let summary = summarize(options, &exchange, &played, &reckoning, begun.elapsed()).await?;
    story::tell(&played, &reckoning, &summary);
    let json = serde_json::to_string(&summary).map_err(|error| DemoError::failed("print the summary", error))?;
    if options.exit {
        println!("{json}");
        exchange.node.stop().await;
        exchange.local_chain.stop().await;
        return Ok(summary);
    }
    let (_house, instructions) = encore::open_door(&exchange).await?;
    println!("{instructions}\n{json}");
    let mut failed = exchange.node.failed.clone();
    // Until Ctrl-C, which drops everything.
    match failed.wait_for(Option::is_some).await {
        Ok(reason) => Err(DemoError::failed("keep the node running", reason.as_deref().unwrap_or_default())),
        Err(error) => Err(DemoError::failed("watch the node", error)),
    }
}

// ---------------------------------------------------------------- setting up

async fn set_up(screen: &mut Screen) -> Result<Exchange, DemoError> {
    let folder = run_folder()?;
    let step = screen.step("a local chain with blocks of a second");
    let local_chain = LocalChain::start(&folder).await?;
    screen.done(step, &local_chain.url);

    let [deployer, sequencer, relayer] = [(); 3].map(|()| Key::random());
    funding::endow(&local_chain.url, deployer.address()).await?;
    let step = screen.step("contracts: a simulated token, a risk group and its gateway");
    let sequencer_address = [("SEQUENCER", sequencer.address().to_string())];
    forge_script("script/Deploy.s.sol:Deploy", &local_chain.url, &deployer, &sequencer_address, &folder).await?;
    let (deployment, deployment_file) = take_deployment(&folder)?;
    screen.done(step, &format!("group {}", deployment.group));

    let step = screen.step("the World Cup's events");
    forge_script("script/OpenWorldCup.s.sol:OpenWorldCup", &local_chain.url, &deployer, &[], &folder).await?;
    let chain = Chain::connect(&local_chain.url, &deployment).await?;
    let events = chain.events(xos_chain::At::Latest).await?;
    if usize::try_from(events) != Ok(facts().events.len()) {
        let reason = format!("{events} are open, expected {}", facts().events.len());
        return Err(DemoError::failed("open the World Cup's events", reason));
    }
    screen.done(step, &format!("{events} events, {} markets", Subject::all().map(Subject::outcomes).sum::<usize>()));

    let step = screen.step("the sequencer, a process of its own");
    let deployer = chain.wallet(deployer);
    deployer.send_native_to_all(&[relayer.address()], funding::GAS_MONEY).await?;
    let port = free_port()?;
    write_key(&folder.join("sequencer.key"), &sequencer)?;
    write_key(&folder.join("relayer.key"), &relayer)?;
    let config = folder.join("node.toml");
    write_config(&config, &local_chain.url, &deployment_file, port)?;
    let program = std::env::current_exe().map_err(|error| DemoError::failed("find this program", error))?;
    let node = NodeProcess::start(program, config, folder.join("node.log"))?;
    let venue = Venue {
        url: format!("ws://127.0.0.1:{port}"),
        domain: deployment.domain(),
        token: deployment.token,
        sequencer: sequencer.address(),
    };
    wait_ready(&node, &venue.url, events, &folder).await?;
    screen.done(step, &format!("{}, journal in {}", venue.url, folder.join("node").display()));
    let http = format!("http://127.0.0.1:{port}");
    Ok(Exchange { folder, local_chain, chain, deployer, relayer, node, venue: Arc::new(venue), http })
}

/// A folder of this run's own, for the journal, keys and logs.
fn run_folder() -> Result<PathBuf, DemoError> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let folder = Path::new("run").join(format!("demo-{}-{}", since_epoch.as_secs(), std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| DemoError::failed("make a folder", format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// Reads what the deploy script wrote, and keeps a copy: another demo may write over it.
fn take_deployment(folder: &Path) -> Result<(Deployment, PathBuf), DemoError> {
    let kept = folder.join("deployment.json");
    std::fs::copy("deployments/31337.json", &kept)
        .map_err(|error| DemoError::failed("read deployments/31337.json", error))?;
    Ok((Deployment::load(&kept)?, kept))
}

fn write_config(path: &Path, chain: &str, deployment: &Path, port: u16) -> Result<(), DemoError> {
    let deployment = deployment.file_name().unwrap_or_default().to_string_lossy();
    let text = format!(
        "# The demo's node; paths are relative to this file.\nchain = \"{chain}\"\ndeployment = \"{deployment}\"\ndata = \"node\"\n\
         listen = \"127.0.0.1:{port}\"\noperations_listen = \"127.0.0.1:0\"\n\
         sequencer_key_file = \"sequencer.key\"\nrelayer_key_file = \"relayer.key\"\n"
    );
    std::fs::write(path, text).map_err(|error| DemoError::failed("write node.toml", error))
}

/// Waits until the node serves every event.
async fn wait_ready(node: &NodeProcess, url: &str, events: u32, folder: &Path) -> Result<(), DemoError> {
    let ready = async {
        let client = connect(url).await?;
        loop {
            let listed = client.events().await.map_err(Trouble::from)?.len();
            if u32::try_from(listed) == Ok(events) {
                return Ok::<_, DemoError>(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let mut failed = node.failed.clone();
    tokio::select! {
        ready = timeout(Duration::from_secs(60), ready) => match ready {
            Ok(ready) => ready,
            Err(_) => Err(DemoError::failed("start the node", process::tail(&folder.join("node.log")))),
        },
        Ok(reason) = failed.wait_for(Option::is_some) => {
            Err(DemoError::failed("start the node", reason.as_deref().unwrap_or_default()))
        }
    }
}

// ---------------------------------------------------------------- playing

/// What the tournament leaves behind.
struct Played {
    traders: Vec<Trader>,
    /// Tokens that each trader's wallet held before it deposited, in the order of the traders.
    brought: Vec<u128>,
    sight: Sight,
    tally: Arc<Tally>,
    kills: u16,
    /// From the first match's kickoff to the last order.
    trading: Duration,
}

async fn play(
    options: &Options,
    exchange: &Exchange,
    screen: &mut Screen,
) -> Result<(Played, reckoning::Treasury), DemoError> {
    let tally = Arc::new(Tally::default());
    let cast = Kind::cast(usize::from(options.traders));
    let step = screen.step("traders deposit through the contract");
    let (members, treasury) = funding::fund(exchange, &cast).await?;
    let mut traders = Vec::new();
    let mut brought = Vec::new();
    for (index, member) in members.into_iter().enumerate() {
        let session =
            Session::open(Arc::clone(&exchange.venue), member.key, member.account, Arc::clone(&tally)).await?;
        traders.push(Trader::new(index, member.kind, session, options.seed));
        brought.push(member.brought);
    }
    let of = |kind| cast.iter().filter(|&&one| one == kind).count();
    screen.done(
        step,
        &format!("{} makers, {} takers, {} arbitrageurs", of(Kind::Maker), of(Kind::Taker), of(Kind::Arbitrageur)),
    );

    let boards = Boards::eve(options.seed);
    let board = &boards.stadium;
    let backlog = Arc::new(AtomicU64::new(0));
    let (close, closing) = watch::channel(false);
    let (end, done) = watch::channel(false);
    let sight = Sight::default();
    let floor = Floor {
        stadium: board.subscribe(),
        television: boards.television.subscribe(),
        backlog: Arc::clone(&backlog),
        closing,
    };
    let mut desks: JoinSet<Result<Trader, Trouble>> = JoinSet::new();
    for trader in traders {
        desks.spawn(trader.run(floor.clone()));
    }
    let mut observing =
        tokio::spawn(observe(exchange.venue.url.clone(), board.subscribe(), sight.clone(), Arc::clone(&backlog), done));
    screen.kick_off(options.speed);
    sleep(WARM_UP).await;

    let begun = Instant::now();
    let tempo = Tempo::begin(REPLAY_SECONDS / options.speed);
    let pricer = Pricer::start(boards.clone(), tempo, options.seed);
    let mut resolving = tokio::spawn(resolver::resolve_all(exchange.deployer.clone(), board.subscribe()));
    let mut kills = planned_kills(options);
    let mut killed = 0;
    loop {
        let now: Arc<Board> = Arc::clone(&board.borrow());
        let counts = tally.counts();
        screen.show(&screen::View { board: &now, played: tempo.played(), counts, sight: &sight, killed });
        if now.finished {
            break;
        }
        if kills.last().is_some_and(|&moment| tempo.played() >= moment) {
            kills.pop();
            exchange.node.kill().await?;
            killed += 1;
            screen.line(&format!("   node killed with -9 and started again ({killed} of {})", options.kill_node));
        }
        tokio::select! {
            () = sleep(REFRESH) => {}
            Some(ended) = desks.join_next() => {
                let trader = ended??;
                return Err(DemoError::failed("keep every trader at work", format!("{} left early", trader.name)));
            }
            observed = &mut observing => {
                observed??;
                return Err(DemoError::failed("watch the market", "the observer left early"));
            }
            resolved = &mut resolving, if !resolving.is_finished() => resolved??,
        }
    }
    drop(pricer);
    let trading = begun.elapsed();
    screen.settle();

    let step = screen.step("the last orders leave the books, the last events are resolved");
    let ending = async {
        close.send_replace(true);
        let mut traders = Vec::new();
        while let Some(trader) = desks.join_next().await {
            traders.push(trader??);
        }
        if !resolving.is_finished() {
            (&mut resolving).await??;
        }
        traders.sort_by_key(|trader| trader.session.account());
        Ok::<_, DemoError>(traders)
    };
    let traders =
        timeout(END_WITHIN, ending).await.map_err(|_| DemoError::failed("end the trading", "it takes too long"))??;
    reckoning::wait_settled(exchange, &traders).await?;
    screen.done(step, &format!("{} events", facts().events.len()));
    end.send_replace(true);
    (&mut observing).await??;
    Ok((Played { traders, brought, sight, tally, kills: killed, trading }, treasury))
}

/// Random moments of the replay, the last one first.
fn planned_kills(options: &Options) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed.wrapping_add(9));
    let mut moments: Vec<f64> = (0..options.kill_node).map(|_| rng.random_range(0.05..0.95)).collect();
    moments.sort_by(|a, b| b.total_cmp(a));
    moments
}

// ---------------------------------------------------------------- ending

async fn summarize(
    options: &Options,
    exchange: &Exchange,
    played: &Played,
    reckoning: &Reckoning,
    took: Duration,
) -> Result<Summary, DemoError> {
    let counts = played.tally.counts();
    let gas = reckoning::settlement_gas(exchange, played).await?;
    let label = |subject: Subject, outcome: Option<usize>| {
        let event = &facts().events[subject.event().0 as usize - 1];
        outcome.and_then(|outcome| event.labels.get(outcome).cloned()).unwrap_or_else(|| "nobody".into())
    };
    let last = Subject::After90(MatchId(crate::facts::small(MATCHES)));
    let champion = label(Subject::Champion, resolver::paid(&exchange.chain, Subject::Champion).await?);
    let final_after_90 = label(last, resolver::paid(&exchange.chain, last).await?);
    let mut problems = reckoning.problems.clone();
    problems.extend(reckoning::wrong_payouts(exchange).await?);
    problems.extend(gas.problems);
    let mut require = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    require(counts.lost == 0, format!("{} acknowledged orders are unknown to the log", counts.lost));
    require(counts.receipts_broken == 0, format!("{} receipts do not hold", counts.receipts_broken));
    require(gas.reverted == 0, format!("{} batch transactions reverted", gas.reverted));
    require(played.kills == options.kill_node, format!("the node was killed {} times", played.kills));
    let fills = played.sight.seen().fills();
    Ok(Summary {
        audit: if problems.is_empty() { "passed" } else { "failed" },
        problems,
        champion,
        final_after_90,
        traders: played.traders.len(),
        orders_accepted: counts.accepted,
        orders_rejected: counts.rejected,
        trades: counts.trades,
        fills_settled: fills,
        batches: gas.batches,
        batches_reverted: gas.reverted,
        gas_per_filled_order: gas.used.checked_div(fills).unwrap_or(0),
        ack_p50_us: played.tally.latency_us(0.5),
        ack_p99_us: played.tally.latency_us(0.99),
        seconds: took.as_secs(),
        node_kills: played.kills,
        acked_orders_lost: counts.lost,
        acked_orders_verified: counts.verified,
    })
}

/// A price in parts of 1.
fn in_parts(price: Ticks, market: &MarketInfo) -> f64 {
    let number = |ticks: u64| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
    number(price.0) / (number(market.highest.0) + 1.)
}
