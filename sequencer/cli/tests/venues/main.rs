//! Anyone opens an exchange: a core by its scripts, `xos shards` that waits for groups, and deployers who open venues with
//! `xos venue new` while it runs. Neither group's failure touches the other.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared with the chain crate's tests, which use more of it")]
#[path = "../../../chain/tests/artifact/mod.rs"]
mod artifact;
#[allow(dead_code, reason = "shared with the chain crate's tests, which use more of it")]
#[path = "../../../chain/tests/anvil/node.rs"]
mod node;
#[allow(dead_code, reason = "shared with the process tests, which use more of it")]
#[path = "../process/schema.rs"]
mod schema;

mod keeping;
mod life;
mod resolution;
mod world;

use std::time::Instant;

use serde_json::json;

use crate::world::{DEPLOYERS, TRADERS, World, key, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn venues_open_while_the_sequencer_runs_and_neither_s_failure_touches_the_other() {
    let mut world = World::begin(31_337, &[]).await;
    world.start_shards();
    let begun = Instant::now();
    world.open(DEPLOYERS[0], "first", &["Is first heads?"], json!("core"));
    world.until("the first group's node", |world| world.node(1)).await;
    for trader in TRADERS {
        world.xos_ok(1, trader, &["deposit", "100", "--mint"]);
    }
    let sold = world.trade(1);
    assert!(sold.contains("4 filled"), "{sold}");
    let newcomer = begun.elapsed();
    println!("{:.1} s from `xos venue new` to the first trade", newcomer.as_secs_f64());
    assert!(newcomer.as_secs() < 300, "a newcomer has a venue and a trade on it in five minutes");

    // Another deployer, another group; nothing was restarted.
    let first = world.node(1).unwrap().pid;
    world.open(DEPLOYERS[1], "second", &["Is second heads?"], json!(key(DEPLOYERS[1]).address()));
    let second = world.until("the second group's node", |world| world.node(2)).await;
    assert_eq!(world.node(1).unwrap().pid, first);
    assert_ne!(world.node(1).unwrap().group, second.group);
    for trader in TRADERS {
        world.xos_ok(2, trader, &["deposit", "100", "--mint"]);
    }
    assert!(world.trade(2).contains("4 filled"));

    // One node dies; the other trades on as if nothing were, and the dead one comes back with every order.
    signal(second.pid, "KILL");
    assert!(world.trade(1).contains("4 filled"));
    world.until("the second node again", |world| world.node(2).filter(|node| node.pid != second.pid)).await;
    let rest = ["order", "sell", "heads/yes", "--price", "0.5", "--size", "6"];
    let sold = world.xos_ok(2, TRADERS[1], &rest);
    assert!(sold.contains("6 filled"), "the rest of the order still stood: {sold}");
    assert_eq!(world.node(1).unwrap().pid, first);

    // A group whose journal is beyond repair stays down, and the other one does not notice.
    let journal = world.path("shards/group-2/node/journal");
    let third = world.node(2).unwrap().pid;
    for file in std::fs::read_dir(&journal).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = 4096.min(bytes.len() / 2);
            bytes.iter_mut().take(middle).for_each(|byte| *byte ^= 0xff);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    signal(third, "KILL");
    world
        .until("the second node's refusal to start", |world| {
            let log = std::fs::read_to_string(world.path("shards/group-2/node.log")).ok()?;
            log.contains("error:").then_some(())
        })
        .await;
    assert!(world.trade(1).contains("4 filled"));
    assert_eq!(world.node(1).unwrap().pid, first);
}
