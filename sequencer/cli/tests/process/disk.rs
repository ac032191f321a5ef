//! A node whose disk fills up, as its clients see it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// A small file system, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None if this user may not mount one.
    fn mount(at: PathBuf, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            refused => {
                eprintln!("SKIPPED: a full disk cannot be tested here, mount is not permitted: {refused:?}");
                None
            }
        }
    }
}

/// Writes a file that leaves so many bytes of its disk free.
fn fill(ballast: &Path, free: u64) {
    let mut file = std::fs::File::create(ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let full = file.metadata().unwrap().len();
    file.set_len(full - free).unwrap();
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // If it stays mounted there is nothing to be done about it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_orders_are_refused_and_cancellations_and_withdrawals_go_on() {
    let mut exchange = Exchange::open().await;
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 100, 400)).await;
    exchange.until_all_is_settled().await;
    exchange.kill_node();

    // The node's data moves to a disk on which there is no room for a second segment.
    let Some(disk) = SmallDisk::mount(exchange.path("disk"), 8 << 10) else { return };
    let (data, ballast) = (disk.0.join("data"), disk.0.join("ballast"));
    std::fs::remove_file(exchange.path("data/journal/spare")).unwrap();
    let copied = Command::new("cp").arg("-r").arg(exchange.path("data")).arg(&data).status().unwrap();
    assert!(copied.success());
    // The history's database needs half of it.
    fill(&ballast, 1_016 << 10);
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    std::fs::write(exchange.path("node.toml"), config.replace("\"data\"", "\"disk/data\"")).unwrap();
    exchange.start_node().await;

    // So small a disk is never reason enough to call the node ready; here only the log's room matters.
    let is_full = async |exchange: &Exchange| {
        let missing = exchange.client.ready().await.unwrap_err();
        format!("{missing:?}").contains("no room for more of its log")
    };
    exchange.until("the full disk is noticed", is_full).await;
    let refused = order(ALICE, 2, Side::Buy, 100, 400);
    let refused = exchange.client.place_order(request(&alice(), &exchange.domain, refused)).await.unwrap_err();
    let jsonrpsee::core::ClientError::Call(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.code(), Code::DiskFull as i32, "{refused}");
    assert!(refused.message().contains("no room") && refused.message().contains("cancel or withdraw"), "{refused}");
    let data: Value = serde_json::from_str(refused.data().unwrap().get()).unwrap();
    assert!(data["bytesLeft"].as_str().unwrap().parse::<u64>().unwrap() > 1 << 19, "{data}");

    let cancelled = exchange.xos_ok("alice", &["cancel", "1"]);
    assert!(cancelled.contains("100 lots taken out"), "{cancelled}");
    let paid = exchange.xos_ok("alice", &["withdraw", "10"]);
    assert!(paid.contains("paid 10"), "{paid}");

    // Room comes back, and with it the orders.
    std::fs::remove_file(&ballast).unwrap();
    exchange.until("there is room again", async |exchange| !is_full(exchange).await).await;
    // The withdrawal had nonce 2.
    place(&exchange, &alice(), order(ALICE, 3, Side::Buy, 100, 400)).await;
    exchange.until_all_is_settled().await;
    exchange.kill_node();
}
