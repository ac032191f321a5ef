//! Two nodes on a log that three real NATS servers keep: leaders that die, sleep, and are cut off, while traders trade.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../chain/tests/artifact/mod.rs"]
mod artifact;
#[allow(dead_code, reason = "shared with the tests of one node, which use more of it")]
#[path = "../process/exchange.rs"]
mod exchange;
#[allow(dead_code, reason = "shared with the chain crate's tests, which use more of it")]
#[path = "../../../chain/tests/anvil/node.rs"]
mod node;
mod nodes;
#[path = "../../../replica/tests/servers/mod.rs"]
mod servers;

use std::time::{Duration, Instant};

use xos_api::{Code, OrderStatus, XosApiClient};
use xos_replica::{Beat, JetStream, JetStreamConfig, Log, NodeId};
use xos_types::{AccountId, Nonce};

use exchange::{ALICE, alice, cancel_all_below, order, request, signal};
use nodes::{Cluster, Heard, Traders};
use xos_types::Side;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_die_standbys_take_over_and_no_acknowledged_order_is_lost() {
    let kills: u64 = std::env::var("XOS_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let mut cluster = Cluster::open().await;
    let mut acknowledged = 0;
    for kill in 0..kills {
        let leader = cluster.leader().await;
        let traders = Traders::start(&cluster, kill);
        traders.until_acknowledged(300, &cluster).await;
        cluster.kill(leader);
        let killed = Instant::now();
        let next = cluster.leader().await;
        assert_ne!(next, leader);
        let before = traders.acknowledged();
        traders.until_acknowledged(before + 100, &cluster).await;
        println!("kill {kill}: orders were acknowledged again {:?} after it", traders.first_after(killed));
        let told = traders.stop().await;
        acknowledged += cluster.check(next, &told).await;
        cancel_all_below(&cluster.client(next), &cluster.domain(), Traders::first_nonce_after(kill)).await;
        // It comes back as a standby, and takes over next time.
        cluster.start(leader).await;
        cluster.until_level().await;
    }
    println!("{acknowledged} acknowledged orders survived {kills} leaders");
    cluster.until_level().await;
    cluster.until_all_is_settled().await;
    cluster.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_slept_acknowledges_nothing_and_comes_back_as_a_standby() {
    let mut cluster = Cluster::open().await;
    let old = cluster.leader().await;
    let traders = Traders::start(&cluster, 0);
    traders.until_acknowledged(200, &cluster).await;
    signal(cluster.pid(old), "STOP");
    let new = cluster.leader_other_than(old).await;
    let before = traders.acknowledged();
    traders.until_acknowledged(before + 100, &cluster).await;

    // Orders wait in the sleeper's door when it wakes up.
    let (client, domain) = (cluster.client(old), cluster.domain());
    let sent = tokio::spawn(async move {
        let mut answers = Vec::new();
        for nonce in 900_000..900_020 {
            answers.push((
                nonce,
                client.place_order(request(&alice(), &domain, order(ALICE, nonce, Side::Buy, 1, 10))).await,
            ));
        }
        answers
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(cluster.pid(old), "CONT");
    let status = cluster.ended(old).await;
    assert_eq!(status.code(), Some(1), "{}", cluster.log(old));
    assert!(cluster.log(old).contains("another node leads since epoch"), "{}", cluster.log(old));
    for (nonce, answer) in sent.await.unwrap() {
        assert!(answer.is_err(), "order {nonce} was acknowledged by a node that does not lead: {answer:?}");
        let order = cluster.client(new).order(AccountId(ALICE), Nonce(nonce)).await.unwrap();
        assert_eq!(order.status, OrderStatus::Unknown, "and did not happen");
    }
    let told = traders.stop().await;
    cluster.check(new, &told).await;

    // What it had written and nobody else got is taken back.
    cluster.start(old).await;
    cluster.until_level().await;
    let client = cluster.client(old);
    cluster
        .until("the standby has heard the leader", async |_| client.info().await.is_ok_and(|info| info.epoch > 0))
        .await;
    let refused = client.place_order(request(&alice(), &cluster.domain(), order(ALICE, 950_000, Side::Buy, 1, 10)));
    let jsonrpsee::core::ClientError::Call(refused) = refused.await.unwrap_err() else { panic!("it refuses") };
    assert_eq!(refused.code(), Code::Standby as i32);
    assert!(refused.data().unwrap().get().contains(&cluster.http(new)), "{refused:?}");
    cluster.until_all_is_settled().await;
    cluster.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_whose_engine_does_not_do_as_the_leader_s_stops() {
    let mut cluster = Cluster::open().await;
    let leader = cluster.leader().await;
    let standby = 1 - leader;
    let traders = Traders::start(&cluster, 0);
    traders.until_acknowledged(100, &cluster).await;
    traders.stop().await;
    cluster.until_level().await;
    // A leader whose last frame has another hash than the standby's engine came to.
    cluster
        .until("a frame is sealed", async |cluster| {
            cluster.client(leader).info().await.is_ok_and(|info| info.settlement.sealed > 0)
        })
        .await;
    let info = cluster.client(leader).info().await.unwrap();
    let servers = JetStreamConfig { servers: cluster.servers.list(), replicas: 3, credentials: None };
    let log = JetStream::connect(&servers, &cluster.exchange.deployment.group_config()).await.unwrap();
    let beat = Beat {
        epoch: info.epoch,
        leader: NodeId([7; 16]),
        frame: info.settlement.sealed,
        log_hash: [7; 32],
        address: cluster.http(leader),
    };
    log.beat(beat.encode()).await;
    assert_eq!(cluster.ended(standby).await.code(), Some(1));
    let said = cluster.log(standby);
    assert!(said.contains(&format!("another hash than the leader's at frame {}", beat.frame)), "{said}");
    // The leader goes on, and the standby was right: its journal is the leader's.
    cluster.start(standby).await;
    cluster.until_level().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_die_and_sleep_and_orders_wait_for_a_majority() {
    let mut cluster = Cluster::open().await;
    let leader = cluster.leader().await;
    let traders = Traders::start(&cluster, 0);
    traders.until_acknowledged(200, &cluster).await;
    // One of three is not needed.
    cluster.servers.kill(0);
    let before = traders.acknowledged();
    traders.until_acknowledged(before + 200, &cluster).await;
    cluster.servers.revive(0);
    tokio::time::sleep(Duration::from_secs(3)).await;

    // Two are: nobody is told anything until one is back.
    for asleep in [1, 2] {
        signal(cluster.servers.pid(asleep), "STOP");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = traders.acknowledged();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(traders.acknowledged(), before, "nothing is acknowledged without a majority");
    for asleep in [1, 2] {
        signal(cluster.servers.pid(asleep), "CONT");
    }
    traders.until_acknowledged(before + 200, &cluster).await;
    let told = traders.stop().await;
    let leader_now = cluster.leader().await;
    let known = cluster.check(leader_now, &told).await;
    let unheard = told.iter().filter(|told| told.heard == Heard::Nothing).count();
    println!("{known} acknowledged, {unheard} unanswered; leader {leader} then {leader_now}");
    cluster.until_level().await;
    cluster.until_all_is_settled().await;
    cluster.audit();
}
