//! `xos journal` as an operator calls it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};

use serde_json::Value;
use tempfile::{TempDir, tempdir};
use xos_journal::{Journal, Settings};
use xos_types::{AccountId, Address, Cancel, Command, GroupConfig, GroupTerms, Logged, Nonce, Signature, Signed};

const SECTOR: usize = 512;

/// A data folder whose journal holds so many cancellations, each a block of its own, in segments of seven.
fn data(commands: u64) -> TempDir {
    let data = tempdir().unwrap();
    let group = GroupConfig {
        chain_id: 1952,
        group: Address::repeat_byte(0x11),
        token: Address::repeat_byte(0x22),
        governance: Address::repeat_byte(0x33),
        terms: GroupTerms::usual(Address::repeat_byte(0x44)),
    };
    let settings = Settings { segment_bytes: 8 * 512, ..Settings::default() };
    let mut journal = Journal::open(data.path().join("journal"), &group, settings).unwrap().resume().unwrap();
    for nonce in 1..=commands {
        let message = Cancel { account: AccountId(3), nonce: Nonce(nonce) };
        let signature = Signature { r: [0xab; 32], vs: [0xcd; 32] };
        let signed = Signed { message, signature, signer: Address::repeat_byte(0x55) };
        let last = journal.append(&[Logged::new(Command::Cancel(signed))]).unwrap();
        journal.durability().wait_for(last).unwrap();
    }
    data
}

fn xos(arguments: &[&str], data: &Path) -> Output {
    Process::new(env!("CARGO_BIN_EXE_xos")).arg("journal").args(arguments).arg("--data").arg(data).output().unwrap()
}

/// Exit code, standard output, standard error.
fn said(arguments: &[&str], data: &Path) -> (i32, String, String) {
    let output = xos(arguments, data);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn segment(data: &Path, first: u64) -> PathBuf {
    data.join(format!("journal/{first:020}.segment"))
}

fn damage(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_intact_journal_is_verified() {
    let data = data(20);
    let (code, out, error) = said(&["verify"], data.path());
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.contains("is intact") && out.contains("commands 1 to 20 in 20 blocks"), "{out}");
    assert!(out.contains(&Address::repeat_byte(0x11).to_string()) && out.contains("3 segment files"), "{out}");
    // The journal's own folder will do as well.
    let (code, out, _) = said(&["verify", "--json"], &data.path().join("journal"));
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found["last"], &found["segments"]), (0, &Value::from(20), &Value::from(3)));
}

#[test]
fn a_dump_has_one_line_a_command_and_goes_from_here_to_there() {
    let data = data(20);
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let (code, out, error) = said(&[&["dump"], arguments].concat(), data.path());
        assert_eq!((code, error.as_str()), (0, ""));
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines(&[]);
    assert_eq!(all.len(), 20);
    let some = lines(&["--from", "9", "--to", "11"]);
    assert_eq!(some, all[8..11]);
    assert_eq!(some[0]["sequence"], 9);
    let cancel = &some[0]["command"]["Cancel"];
    assert_eq!(cancel["message"]["nonce"], "9");
    assert_eq!(cancel["signature"]["r"], format!("0x{}", "ab".repeat(32)));
    assert_eq!(lines(&["--from", "21"]), [] as [Value; 0]);

    // Whoever reads may have enough.
    let mut dump = Process::new(env!("CARGO_BIN_EXE_xos"))
        .args(["journal", "dump", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(dump.stdout.take());
    assert!(dump.wait().unwrap().success());
}

#[test]
fn damage_is_reported_with_its_place_and_repaired_from_a_replica() {
    let (data, replica) = (data(20), data(23));
    let damaged = segment(data.path(), 8);
    damage(&damaged, 3 * SECTOR + 60);
    let before = fs::read(&damaged).unwrap();
    let (code, out, error) = said(&["verify"], data.path());
    assert_eq!((code, out.as_str()), (1, ""));
    for expected in [damaged.to_str().unwrap(), "damaged at byte 1536, at command 10", "xos journal repair"] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // What stands before the damage can still be read.
    let (code, out, error) = said(&["dump"], data.path());
    assert!(code == 1 && error.contains("at command 10"), "{error}");
    assert_eq!(out.lines().count(), 9);

    let of_replica = ["repair", "--from-replica", replica.path().to_str().unwrap()];
    let (code, out, error) = said(&of_replica, data.path());
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.contains("repaired up to command 23: 4 commands, from 10 on, came from the replica"), "{out}");
    let kept = data.path().join("journal/damaged-8");
    assert!(out.contains(kept.to_str().unwrap()), "{out}");
    assert_eq!(fs::read(kept.join(damaged.file_name().unwrap())).unwrap(), before);
    let (code, out, _) = said(&["verify"], data.path());
    assert!(code == 0 && out.contains("commands 1 to 23"), "{out}");
    assert_eq!(said(&["dump"], data.path()), said(&["dump"], replica.path()));
    let (code, out, _) = said(&of_replica, data.path());
    assert!(code == 0 && out.contains("nothing to repair"), "{out}");
}

#[test]
fn what_cannot_be_repaired_is_left_alone_and_said() {
    let (data, short) = (data(20), data(8));
    damage(&segment(data.path(), 8), 3 * SECTOR + 60);
    let before = fs::read(segment(data.path(), 8)).unwrap();
    let (code, _, error) = said(&["repair", "--from-replica", short.path().to_str().unwrap()], data.path());
    assert!(
        code == 1 && error.contains("command 10 is missing here") && error.contains("nothing was changed"),
        "{error}"
    );
    assert_eq!(fs::read(segment(data.path(), 8)).unwrap(), before);
    let (code, _, error) = said(&["verify"], short.path().join("nowhere").as_path());
    assert!(code == 1 && error.contains("nowhere"), "{error}");
    assert_eq!(said(&["repair"], data.path()).0, 2, "a replica must be named");
}

#[test]
fn every_part_explains_itself_with_an_example() {
    for part in [&["--help"][..], &["verify", "--help"], &["dump", "--help"], &["repair", "--help"]] {
        let output = Process::new(env!("CARGO_BIN_EXE_xos")).arg("journal").args(part).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("Examples:\n  xos journal"), "{part:?}: {help}");
    }
}
