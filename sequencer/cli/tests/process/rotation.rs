//! The sequencer's key is changed while orders wait for their batches.

use alloy::hex;
use xos_api::XosApiClient;
use xos_chain::At;
use xos_types::{GroupTerms, Side};

use crate::exchange::{ALICE, BOB, Exchange, alice, bob, key, order, place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_the_old_key_may_not_sign_any_more_settle_with_the_new_one() {
    let mut exchange = Exchange::open().await;
    let (old, new) = (key(1), key(5));
    assert_eq!(exchange.chain.sequencer().await.unwrap(), old.address());
    let config = exchange.deployment.group_config();
    let terms = GroupTerms { sequencer: new.address(), ..config.terms };
    exchange.chain.wallet(key(2)).set_terms(&terms).await.unwrap();
    exchange
        .until("the group obeys another key", async |exchange| {
            exchange.chain.sequencer().await.is_ok_and(|sequencer| sequencer == new.address())
        })
        .await;

    // Trading goes on; settlement does not, and says why.
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 600)).await;
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 100, 600)).await;
    let settled = exchange.chain.last_batch(At::Latest).await.unwrap().id;
    exchange
        .until("settlement stands still", async |exchange| {
            exchange.client.info().await.is_ok_and(|info| info.settlement.halted.is_some())
        })
        .await;
    let halted = exchange.client.info().await.unwrap().settlement.halted.unwrap();
    println!("{halted}");
    assert_eq!(exchange.ask("/ready").unwrap().0, 503);

    exchange.kill_node();
    let refused = exchange.xos("", &["node", "--config", exchange.path("node.toml").to_str().unwrap()]);
    assert!(!refused.status.success(), "the old key is refused at a start");
    std::fs::write(exchange.path("sequencer.key"), hex::encode(new.to_bytes())).unwrap();
    std::fs::write(exchange.path("relayer.key"), hex::encode(old.to_bytes())).unwrap();
    let relayer = exchange.path("relayer.key");
    exchange
        .start_node_with(|node| {
            node.arg("--relayer-key-file").arg(relayer);
        })
        .await;
    exchange.until_all_is_settled().await;
    assert!(exchange.chain.last_batch(At::Latest).await.unwrap().id > settled);
    let settlement = exchange.client.info().await.unwrap().settlement;
    assert_eq!((settlement.halted, settlement.reverted), (None, 0));
    exchange.audit();
}
