//! The chain dies under a node that trades, and comes back as it was, or as it was a while ago.

use std::time::Instant;

use super::*;
use crate::operations::{metric, missing};

/// Blocks within which settlement must be level again.
const LEVEL_BLOCKS: u64 = 10;

/// Two people who trade with each other until they are told to stop; nobody may refuse them or keep them waiting.
struct Trading {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Duration>,
}

impl Trading {
    fn begin(exchange: &Exchange) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let (client, domain) = (exchange.client.clone(), exchange.domain);
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for nonce in 1.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                for (account, key, side) in [(ALICE, alice(), Side::Buy), (BOB, bob(), Side::Sell)] {
                    let asked = Instant::now();
                    let order = order(account, nonce, side, 1 + nonce % 5, 500);
                    client.place_order(request(&key, &domain, order)).await.unwrap();
                    longest = longest.max(asked.elapsed());
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            longest
        });
        Self { stop, acknowledged, task }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How long the longest answer took.
    async fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Nothing more is mined, and what was the node has read: a saved chain of anvil's may not tell it any more. Answers the last batch.
async fn everything_is_read(exchange: &Exchange) -> u64 {
    exchange.anvil.mine_every(0).await;
    exchange
        .until("the node has read all of it", async |exchange| {
            let mined = exchange.chain.last_batch(At::Latest).await.unwrap().id;
            exchange.client.info().await.unwrap().settlement.settled == mined
        })
        .await;
    exchange.chain.last_batch(At::Latest).await.unwrap().id
}

/// The chain is dead: clients go on, operators are told.
async fn trades_without_its_chain(exchange: &Exchange, trading: &Trading) {
    let before = trading.acknowledged();
    exchange.until("the chain is missed", async |exchange| !missing(exchange).is_empty()).await;
    let found = missing(exchange);
    assert!(found.len() == 1 && found[0].0 == "chain" && found[0].1.contains("did not answer"), "{found:?}");
    assert!(metric(exchange, "xos_chain_silence_seconds") > 8.0 && metric(exchange, "xos_unsettled_value_atoms") > 0.0);
    assert!(
        metric(exchange, "xos_ready{check=\"chain\"}") < 0.5 && metric(exchange, "xos_ready{check=\"commands\"}") > 0.5
    );
    assert!(
        trading.acknowledged() > before + 50,
        "{} orders were acknowledged meanwhile",
        trading.acknowledged() - before
    );
    assert_eq!(exchange.ask("/health").unwrap().0, 200, "a restart would not help");
}

/// The chain is back: whatever was sealed by then is settled within ten of its blocks.
async fn is_level_again(exchange: &Exchange) -> u64 {
    let began = exchange.chain.block_number().await.unwrap();
    let sealed = exchange.client.info().await.unwrap().settlement.sealed;
    exchange
        .until("settlement is level", async |exchange| {
            exchange.chain.last_batch(At::Latest).await.is_ok_and(|last| last.id >= sealed)
        })
        .await;
    let blocks = exchange.chain.block_number().await.unwrap() - began;
    assert!(blocks <= LEVEL_BLOCKS, "{blocks} blocks");
    blocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_dies_and_comes_back_costs_clients_nothing_and_settles_everything_once() {
    let mut exchange = Exchange::open().await;
    let (state, old_state) = (exchange.path("chain.json"), exchange.path("old-chain.json"));
    let trading = Trading::begin(&exchange);
    exchange
        .until("there are batches", async |exchange| exchange.chain.last_batch(At::Latest).await.unwrap().id > 5)
        .await;

    // It comes back as it was.
    let settled = everything_is_read(&exchange).await;
    exchange.anvil.save(&state).await;
    exchange.anvil.kill();
    trades_without_its_chain(&exchange, &trading).await;
    exchange.anvil.come_back(&state);
    assert!(exchange.chain.last_batch(At::Latest).await.unwrap().id >= settled);
    let as_it_was = is_level_again(&exchange).await;
    exchange.until("it is ready", async |exchange| missing(exchange).is_empty()).await;
    assert_eq!(exchange.client.info().await.unwrap().settlement.reorganised, 0);

    // It comes back without its newest blocks: as after a reorganisation, their batches are sent again.
    let saved = everything_is_read(&exchange).await;
    exchange.anvil.save(&old_state).await;
    exchange.anvil.mine_every(1).await;
    exchange
        .until("there are further batches", async |exchange| {
            exchange.client.info().await.unwrap().settlement.settled >= saved + 4
        })
        .await;
    exchange.anvil.kill();
    trades_without_its_chain(&exchange, &trading).await;
    exchange.anvil.come_back(&old_state);
    let as_of_a_while_ago = is_level_again(&exchange).await;
    exchange.until("it is ready", async |exchange| missing(exchange).is_empty()).await;
    let settlement = exchange.client.info().await.unwrap().settlement;
    assert!(settlement.reorganised >= 4, "{settlement:?}");

    let acknowledged = trading.acknowledged();
    let longest = trading.end().await;
    exchange.until_all_is_settled().await;
    let settlement = exchange.client.info().await.unwrap().settlement;
    assert_eq!((settlement.reverted, settlement.halted), (0, None));
    // Each order once, and the chain holds what the engine holds.
    let audit = exchange.audit();
    assert!(!audit.contains("DIFFER"), "{audit}");
    let batches = exchange.client.batches(1, Some(1_000)).await.unwrap();
    assert!((1..).zip(&batches).all(|(number, batch)| batch.id == number), "{batches:?}");
    let filled: u64 = batches.iter().map(|batch| batch.orders_filled).sum();
    assert!(filled >= acknowledged, "{filled} lines of {acknowledged} orders");
    println!(
        "{acknowledged} orders acknowledged, none later than {longest:?}; level {as_it_was} blocks after the chain was back, \
         and {as_of_a_while_ago} after it was back without its newest blocks ({} batches were sent again)",
        settlement.reorganised
    );
}
