//! A node whose disk fills up, as its clients see it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use xos_api::WithdrawRequest;
use xos_auth::signature_bytes;
use xos_types::{TimeMs, Withdraw};

use super::*;

/// A small file system, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// An ext4 in a file, or where this machine allows no loop device, a tmpfs; which of them, it says. None if this user may
    /// mount neither.
    fn mount(at: PathBuf, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let image = at.with_extension("img");
        std::fs::File::create(&image).and_then(|file| file.set_len(u64::from(kilobytes) << 10)).unwrap();
        let run = |program: &str, arguments: &[&OsStr]| {
            let ran = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
            if ran.status.success() { Ok(()) } else { Err(text(&ran.stderr)) }
        };
        let ext4 = run("mkfs.ext4", &["-q".as_ref(), "-m".as_ref(), "0".as_ref(), image.as_ref()])
            .and_then(|()| run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), at.as_ref()]));
        let Err(no_ext4) = ext4 else {
            println!("the disk is an ext4 of {kilobytes} KiB");
            return Some(Self(at));
        };
        println!("no ext4 can be mounted from a file here ({no_ext4}): the disk is a tmpfs of {kilobytes} KiB");
        let size = format!("size={kilobytes}k");
        match run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), size.as_ref(), "tmpfs".as_ref(), at.as_ref()],
        ) {
            Ok(()) => Some(Self(at)),
            Err(refused) => {
                eprintln!("SKIPPED: a full disk cannot be tested here, mount is not permitted: {refused}");
                None
            }
        }
    }
}

/// Writes a file that leaves so many bytes of its disk free.
fn fill(ballast: &Path, free: u64) {
    let mut file = std::fs::File::create(ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    file.sync_all().unwrap();
    let full = file.metadata().unwrap().len();
    file.set_len(full - free).unwrap();
    file.sync_all().unwrap();
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
    let Some(disk) = SmallDisk::mount(exchange.path("disk"), 24 << 10) else { return };
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

    // This time it does not. What is left of the log goes to withdrawals, until there is nothing left: then the node stops, and
    // its client hears nothing. Everything that he heard of has happened.
    fill(&ballast, 0);
    let (mut paid, mut nonce) = (0, 10);
    let last = loop {
        match exchange.client.withdraw(withdrawal(&exchange, nonce)).await {
            Ok(_) => paid += 1,
            Err(error) => break error,
        }
        nonce += 1;
    };
    // Either he is told that nobody knows, or the connection breaks.
    if let jsonrpsee::core::ClientError::Call(told) = &last {
        assert_eq!(told.code(), Code::Unavailable as i32, "{told}");
    }
    assert!(!exchange.node_ended().await.success());
    assert!(exchange.log().contains("no room for another segment"), "{}", exchange.log());
    std::fs::remove_file(&ballast).unwrap();
    exchange.start_node().await;
    let cash = exchange.client.account(AccountId(ALICE)).await.unwrap().cash.0.unsigned_abs();
    let left = DEPOSIT - 10_000_000 - cash;
    // The last one may have been written, and its answer not.
    assert!((paid..=paid + 1).contains(&left), "{paid} withdrawals of an atom were acknowledged, {left} are gone");
    assert!(paid > 100, "{paid}");
    exchange.until_all_is_settled().await;
    let data = exchange.path("disk/data");
    let audit = exchange.xos_ok("", &["audit", "--data", data.to_str().unwrap()]);
    assert!(!audit.contains("DIFFER"), "{audit}");
    println!("{paid} withdrawals were acknowledged on the full disk, and all of them are there");
    exchange.kill_node();
}

/// Of one atom of Alice's.
fn withdrawal(exchange: &Exchange, nonce: u64) -> WithdrawRequest {
    let (account, token, nonce) = (AccountId(ALICE), exchange.deployment.token, Nonce(nonce));
    let withdraw = Withdraw { account, token, amount: 1, nonce, expiry: TimeMs(0) };
    let signed = alice().sign_typed(&exchange.domain, withdraw);
    let signature = signature_bytes(&signed.signature).into();
    WithdrawRequest { account, token, amount: 1, nonce, expiry: TimeMs(0), signature }
}
