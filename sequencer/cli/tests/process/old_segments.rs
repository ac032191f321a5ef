//! A node whose old segments leave, that dies and comes back without them, and what is said to whoever misses them.

use super::*;

/// Orders of both traders until the journal has used another segment; the nonce that comes next.
async fn fill_a_segment(exchange: &Exchange, mut nonce: u64) -> u64 {
    let segments = || {
        let names = std::fs::read_dir(exchange.path("data/journal")).unwrap().flatten();
        names.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.ends_with(".segment")).max()
    };
    let before = segments();
    while segments() == before {
        let mut asked = tokio::task::JoinSet::new();
        for (account, key, side) in [(ALICE, alice(), Side::Buy), (BOB, bob(), Side::Sell)] {
            for nonce in nonce..nonce + 50 {
                let request = request(&key, &exchange.domain, order(account, nonce, side, 1, 500));
                let client = exchange.client.clone();
                asked.spawn(async move { client.place_order(request).await.unwrap() });
            }
        }
        asked.join_all().await;
        nonce += 50;
    }
    nonce
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_segments_go_to_the_archive_and_the_node_dies_and_comes_back_without_them() {
    let mut exchange = Exchange::open().await;
    exchange.kill_node();
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = format!("old_segments = \"archive\"\n{config}");
    std::fs::write(exchange.path("node.toml"), config).unwrap();
    exchange.start_node().await;
    let saved = |exchange: &Exchange| {
        let names = std::fs::read_dir(exchange.path("data/snapshots")).unwrap().flatten();
        let sequence = |name: String| name.strip_suffix(".snapshot")?.parse::<u64>().ok();
        names.filter_map(|entry| sequence(entry.file_name().into_string().ok()?)).max().unwrap_or(0)
    };
    let archived = |exchange: &Exchange| std::fs::read_dir(exchange.path("data/archive")).map_or(0, Iterator::count);

    // Nothing goes that the chain might still lose, whatever has been saved.
    let mut nonce = fill_a_segment(&exchange, 1).await;
    exchange.until_all_is_settled().await;
    assert_eq!(archived(&exchange), 0);
    exchange.anvil.mine(70).await;
    let mut filled = 1;
    while archived(&exchange) == 0 {
        nonce = fill_a_segment(&exchange, nonce).await;
        exchange.until_all_is_settled().await;
        // Who saves the state has less of a hurry than anybody, other tests included.
        let sequence = exchange.client.info().await.unwrap().sequence;
        exchange.until("the state is saved", async |exchange| saved(exchange) + 1_000 > sequence).await;
        exchange.anvil.mine(70).await;
        filled += 1;
        assert!(filled < 8, "nothing leaves; the node said:\n{}", exchange.log());
    }
    let last = place(&exchange, &alice(), order(ALICE, nonce, Side::Buy, 1, 400)).await;
    exchange.kill_node();
    exchange.start_node().await;
    let known = exchange.client.order(AccountId(ALICE), Nonce(nonce)).await.unwrap();
    assert_ne!(known.status, OrderStatus::Unknown, "{last:?}");
    exchange.until_all_is_settled().await;
    exchange.kill_node();

    // What is left is read from where it begins; who needs the rest is told so.
    let data = exchange.path("data");
    let journal = |arguments: &[&str]| exchange.xos("", &[arguments, &["--data", data.to_str().unwrap()]].concat());
    let verified = journal(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    let refused = journal(&["audit", "--offline"]);
    assert!(!refused.status.success());
    let said = text(&refused.stderr) + &text(&refused.stdout);
    assert!(said.contains("but 1 is needed: put the older segments back into that folder"), "{said}");

    // What was put back stays only if the node does not archive it again.
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = config.replace("old_segments = \"archive\"", "old_segments = \"keep\"");
    std::fs::write(exchange.path("node.toml"), config).unwrap();
    for entry in std::fs::read_dir(data.join("archive")).unwrap().flatten() {
        std::fs::rename(entry.path(), data.join("journal").join(entry.file_name())).unwrap();
    }
    exchange.start_node().await;
    exchange.until_all_is_settled().await;
    let audit = exchange.audit();
    assert!(!audit.contains("DIFFER"), "{audit}");
    println!("{filled} segments were filled before the first one left\n{audit}");
}
