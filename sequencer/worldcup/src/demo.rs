//! The whole path with one command: a chain, the contracts, the node as a process of its own, traders who know nothing but
//! the public interfaces, the 104 matches, resolution, withdrawal and audit.

mod encore;
mod funding;
mod members;
mod observer;
mod opening;
mod perpetuals;
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

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use xos_api::{MarketInfo, XosApiClient};
use xos_auth::Key;
use xos_chain::{Chain, ChainError, Deployment, Wallet, tail};
use xos_node::audit;
use xos_types::Ticks;

use crate::facts::{MATCHES, MatchId, Subject, facts};
use crate::fair::{Board, Boards, Pricer, Tempo};
use crate::prices::{Reporters, Tape};
use crate::session::{Session, Trouble, Venue, connect};
use crate::tally::Tally;
use crate::trader::{Floor, Kind, Trader};
use observer::{Sight, observe};
use opening::Opening;
use process::{LocalChain, Sequencer, free_port, write_key};
use reckoning::Reckoning;
use screen::Screen;

/// The registry's number of the group that the World Cup is traded in.
const WORLD_CUP_GROUP: u32 = 1;
/// Price reporters; two of them make a price.
const REPORTERS: usize = 3;
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
    /// Trades in perpetuals, of accounts of the same group.
    pub perpetual_trades: u64,
    /// Trades in the venue for members only, in a group of its own.
    pub member_trades: u64,
    /// Events that a claim with a bond has decided.
    pub events_resolved: usize,
    /// Claims that were disputed.
    pub claims_disputed: usize,
    /// Netted fills of orders, settled on chain.
    pub fills_settled: u64,
    /// Settled batches.
    pub batches: u64,
    /// Batch transactions that reverted, by the chain's receipts.
    pub batches_reverted: usize,
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
pub fn run(options: Options) -> BoxFuture<'static, Result<Summary, DemoError>> {
    play_until_interrupted(options).boxed()
}

async fn play_until_interrupted(options: Options) -> Result<Summary, DemoError> {
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
    /// Opens events, and owns the treasury. Who resolves them needs no rights.
    deployer: Wallet,
    opening: Opening,
    /// Opens a venue of its own meanwhile.
    other_deployer: Key,
    reporters: Reporters,
    sequencer: Sequencer,
    venue: Arc<Venue>,
    http: String,
}

async fn demo(options: &Options, screen: &mut Screen) -> Result<Summary, DemoError> {
    let begun = Instant::now();
    let exchange = set_up(options.seed, screen).await?;
    let mut failed = exchange.sequencer.failed.clone();
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
        exchange.sequencer.stop().await;
        exchange.local_chain.stop().await;
        return Ok(summary);
    }
    let (_house, instructions) = encore::open_door(&exchange).await?;
    println!("{instructions}\n{json}");
    let mut failed = exchange.sequencer.failed.clone();
    // Until Ctrl-C, which drops everything.
    match failed.wait_for(Option::is_some).await {
        Ok(reason) => Err(DemoError::failed("keep the node running", reason.as_deref().unwrap_or_default())),
        Err(error) => Err(DemoError::failed("watch the node", error)),
    }
}

// ---------------------------------------------------------------- setting up

async fn set_up(seed: u64, screen: &mut Screen) -> Result<Exchange, DemoError> {
    let folder = run_folder()?;
    let step = screen.step("a local chain with blocks of a second");
    let local_chain = LocalChain::start(&folder).await?;
    screen.done(step, &local_chain.url);

    let [deployer, other_deployer, sequencer, relayer] = [(); 4].map(|()| Key::random());
    for key in [&deployer, &other_deployer, &relayer] {
        funding::endow(&local_chain.url, key.address()).await?;
    }
    let step = screen.step("the core: governance, stake, slots, venue registry; and the deployer's stake");
    let allowed = [deployer.address(), other_deployer.address()];
    let opening = Opening::begin(&local_chain.url, &deployer, &allowed, sequencer.address(), &folder).await?;
    screen.done(step, &format!("registry {}", opening.core().registry));

    let step = screen.step("the sequencer: a node for every group, as soon as the registry has one");
    write_key(&folder.join("sequencer.key"), &sequencer)?;
    write_key(&folder.join("relayer.key"), &relayer)?;
    let tape = Tape::load(seed);
    let prices = tape.source;
    let reporters = Reporters::start(tape, REPORTERS, opening.core().chain_id).await;
    let reporters = reporters.map_err(|error| DemoError::failed("start price reporters", error))?;
    let shards = start_sequencer(&local_chain, &opening, &reporters, &folder)?;
    screen.done(step, &format!("no group yet; {REPORTERS} price reporters have {prices}"));

    let step = screen.step("the World Cup's venue, by Venue XIP, in a risk group of its own");
    opening.venue("venue-worldcup", 1, &[]).await?;
    let node = shards.shards.serves(WORLD_CUP_GROUP).await?;
    let deployment = same_deployment(&shards, &folder)?;
    let (notice, group) = (opening::NOTICE_SECONDS, deployment.group);
    screen.done(step, &format!("group {group}, public for {notice} s (three days where it counts)"));

    let step = screen.step("the World Cup's events");
    let chain = Chain::connect(&local_chain.url, &deployment).await?;
    opening.run("ListMarket", "events(string)", "events-worldcup", &[]).await?;
    let events = chain.events(xos_chain::At::Latest).await?;
    if usize::try_from(events) != Ok(facts().events.len()) {
        let reason = format!("{events} are open, expected {}", facts().events.len());
        return Err(DemoError::failed("open the World Cup's events", reason));
    }
    let venue =
        Venue { url: node.ws, domain: deployment.domain(), token: deployment.token, sequencer: sequencer.address() };
    wait_ready(&shards, &venue.url, events).await?;
    screen.done(step, &format!("{events} events, {} markets", Subject::all().map(Subject::outcomes).sum::<usize>()));

    let deployer = chain.wallet(deployer);
    let (venue, http) = (Arc::new(venue), node.http);
    Ok(Exchange {
        folder,
        local_chain,
        chain,
        deployer,
        opening,
        other_deployer,
        reporters,
        sequencer: shards,
        venue,
        http,
    })
}

fn start_sequencer(
    local_chain: &LocalChain,
    opening: &Opening,
    reporters: &Reporters,
    folder: &Path,
) -> Result<Sequencer, DemoError> {
    let config = folder.join("node.toml");
    // All traders have one address, and are as fast as `SPEED` says.
    let text = format!(
        "# Every node of the demo.\nprice_reporters = \"{}\"\n[limits]\naddress_connections = 10000\n\
         address_per_second = 1000000\naddress_burst = 1000000\naccount_per_second = 100000\naccount_burst = 100000\n",
        reporters.urls.join(",")
    );
    std::fs::write(&config, text).map_err(|error| DemoError::failed("write node.toml", error))?;
    let config = config.display().to_string();
    let program = std::env::current_exe().map_err(|error| DemoError::failed("find this program", error))?;
    let [core, sequencer, relayer] = [opening.core_file(), folder.join("sequencer.key"), folder.join("relayer.key")]
        .map(|path| path.display().to_string());
    let listen = format!("127.0.0.1:{}", free_port()?);
    let arguments = [
        ["--chain", &local_chain.url],
        ["--core", &core],
        ["--config", &config],
        ["--sequencer-key-file", &sequencer],
        ["--relayer-key-file", &relayer],
        ["--listen", &listen],
    ];
    Sequencer::start(&program, arguments.as_flattened(), folder.join("shards"), &folder.join("shards.log"))
}

/// What the sequencer read from the registry must be what the script wrote down, but for the block: the script ran before its
/// transactions were mined.
fn same_deployment(shards: &Sequencer, folder: &Path) -> Result<Deployment, DemoError> {
    let read = Deployment::load(&shards.shards.folder(WORLD_CUP_GROUP).join("deployment.json"))?;
    let written = Deployment::load(&folder.join("31337.group-1.json"))?;
    if (Deployment { block: read.block, ..written.clone() }) != read || written.block > read.block {
        let reason = format!("the script wrote {written:?}, the registry says {read:?}");
        return Err(DemoError::failed("find the group", reason));
    }
    Ok(read)
}

/// A folder of this run's own, for the journal, keys and logs.
fn run_folder() -> Result<PathBuf, DemoError> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let folder = Path::new("run").join(format!("demo-{}-{}", since_epoch.as_secs(), std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| DemoError::failed("make a folder", format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// Waits until the node serves every event.
async fn wait_ready(shards: &Sequencer, url: &str, events: u32) -> Result<(), DemoError> {
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
    let mut failed = shards.failed.clone();
    tokio::select! {
        ready = timeout(Duration::from_secs(60), ready) => match ready {
            Ok(ready) => ready,
            Err(_) => Err(DemoError::failed("start the node", tail(&shards.shards.folder(WORLD_CUP_GROUP).join("node.log")))),
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
    desk: perpetuals::Desk,
    members: members::Outcome,
    resolution: resolver::Resolution,
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
    let treasury = funding::open_treasury(exchange).await?;
    let (members, treasury) = funding::fund(exchange, &cast, treasury).await?;
    let mut traders = Vec::new();
    let mut brought = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let key = member.key.clone();
        let session = Session::open(Arc::clone(&exchange.venue), key, member.account, Arc::clone(&tally)).await?;
        traders.push(Trader::new(index, member.kind, session, options.seed));
        brought.push(member.brought);
    }
    let of = |kind| cast.iter().filter(|&&one| one == kind).count();
    screen.done(
        step,
        &format!("{} makers, {} takers, {} arbitrageurs", of(Kind::Maker), of(Kind::Taker), of(Kind::Arbitrageur)),
    );

    let step = screen.step("perpetuals, by a second Venue XIP, in the same group");
    let perpetuals = perpetuals::open(exchange, treasury.account).await?;
    let desk = perpetuals::Desk::gather(exchange, &members, options.seed).await?;
    let titles: Vec<&str> = perpetuals.iter().map(|market| market.title.as_str()).collect();
    screen.done(step, &format!("{}, traded from the accounts that hold World Cup shares", titles.join(" and ")));

    let claimants = resolver::Claimants::gather(exchange).await?;
    let (close_desk, desk_closes) = watch::channel(false);
    let mut dealing = tokio::spawn(desk.trade(desk_closes));
    let opening_beside = members::Plan {
        url: exchange.local_chain.url.clone(),
        opening: exchange.opening.of(&exchange.other_deployer),
        shards: exchange.sequencer.shards.clone(),
        sequencer: exchange.venue.sequencer,
    };
    let mut beside = tokio::spawn(members::open_and_trade(opening_beside));

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
    let mut resolving = tokio::spawn(claimants.resolve_all(board.subscribe()));
    let mut resolution = None;
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
            exchange.sequencer.shards.kill(WORLD_CUP_GROUP).await?;
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
            resolved = &mut resolving, if resolution.is_none() => resolution = Some(resolved??),
            dealt = &mut dealing => {
                dealt??;
                return Err(DemoError::failed("trade perpetuals", "the desk left early"));
            }
        }
    }
    drop(pricer);
    let trading = begun.elapsed();
    screen.settle();

    let step = screen.step("the perpetuals' takers close what they hold");
    close_desk.send_replace(true);
    let desk = timeout(END_WITHIN, &mut dealing)
        .await
        .map_err(|_| DemoError::failed("close the perpetuals", "it takes too long"))???;
    desk.verify().await?;
    screen.done(step, &format!("{} trades", desk.tally.counts().trades));

    let step = screen.step("the last orders leave the books, the last events are resolved");
    let ending = async {
        close.send_replace(true);
        let mut traders = Vec::new();
        while let Some(trader) = desks.join_next().await {
            traders.push(trader??);
        }
        let resolution = match resolution {
            Some(resolution) => resolution,
            None => (&mut resolving).await??,
        };
        traders.sort_by_key(|trader| trader.session.account());
        Ok::<_, DemoError>((traders, resolution))
    };
    let (traders, resolution) =
        timeout(END_WITHIN, ending).await.map_err(|_| DemoError::failed("end the trading", "it takes too long"))??;
    let sessions: Vec<_> = traders.iter().map(|trader| &trader.session).collect();
    reckoning::wait_settled(exchange, &sessions).await?;
    screen.done(
        step,
        &format!(
            "{} events by claims with a bond, each open to dispute for {} s; {} was disputed, and its bond shared",
            resolution.events,
            resolver::WINDOW_SECONDS,
            resolution.disputed
        ),
    );
    end.send_replace(true);
    (&mut observing).await??;
    let step = screen.step("meanwhile, a spot venue for members only, by another deployer, in a group of its own");
    let members = timeout(END_WITHIN, &mut beside)
        .await
        .map_err(|_| DemoError::failed("open the members' venue", "it takes too long"))???;
    screen.done(step, &format!("{} trades of members; a stranger hears: {}", members.trades, members.refusal));
    Ok((Played { traders, brought, sight, tally, desk, members, resolution, kills: killed, trading }, treasury))
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
    problems.extend(played.members.problems.iter().cloned());
    problems.extend(played.resolution.problems.iter().cloned());
    problems.extend(reckoning::wrong_payouts(exchange).await?);
    problems.extend(gas.problems);
    let mut require = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    let dealt = played.desk.tally.counts();
    require(dealt.trades > 0, "nobody traded a perpetual".into());
    require(dealt.lost == 0, format!("{} acknowledged orders of perpetuals are unknown to the log", dealt.lost));
    require(dealt.receipts_broken == 0, format!("{} receipts do not hold", dealt.receipts_broken));
    require(played.members.trades > 0, "no member traded".into());
    let resolved = (played.resolution.events, played.resolution.disputed);
    require(resolved == (facts().events.len(), 1), format!("(events resolved, claims disputed) = {resolved:?}"));
    require(counts.lost == 0, format!("{} acknowledged orders are unknown to the log", counts.lost));
    require(counts.receipts_broken == 0, format!("{} receipts do not hold", counts.receipts_broken));
    require(gas.reverted.is_empty(), format!("batch transactions reverted: {}", gas.reverted.join("; ")));
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
        perpetual_trades: played.desk.tally.counts().trades,
        member_trades: played.members.trades,
        events_resolved: played.resolution.events,
        claims_disputed: played.resolution.disputed,
        fills_settled: fills,
        batches: gas.batches,
        batches_reverted: gas.reverted.len(),
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
