//! A process that writes a journal is killed again and again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use xos_journal::verify;

use super::*;

const DIR: &str = "XOS_JOURNAL_OF_THE_VICTIM";
const KILLS: u64 = 100;

#[test]
fn kill_9_at_any_moment_loses_nothing_that_was_said_to_be_durable() {
    let dir = tempdir().unwrap();
    let (mut said, mut rotations) = (0, 0);
    for kill in 0..KILLS {
        let mut victim = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writes_until_it_is_killed", "--include-ignored", "--nocapture", "--quiet"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let reading = std::thread::spawn(move || {
            let numbers = lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok());
            numbers.last()
        });
        // From before it has opened the journal to after some segments.
        std::thread::sleep(Duration::from_micros(kill * 7_919 % 40_000));
        victim.kill().unwrap();
        victim.wait().unwrap();
        said = reading.join().unwrap().unwrap_or(said);

        if segments(dir.path()).is_empty() {
            assert_eq!(said, 0);
            continue;
        }
        let found = verify(dir.path(), |_| {}).unwrap();
        assert!(found.last >= said, "{} of {said} after {} kills", found.last, kill + 1);
        rotations = found.segments;
    }
    assert!(said > 100 && rotations > 10, "{said} commands in {rotations} segments");
    let held = held(dir.path());
    assert_eq!(held, window(0, held.len() as u64));
    println!("{said} durable commands in {rotations} segments survived {KILLS} kills");
}

#[test]
#[ignore = "the victim of the test above"]
fn writes_until_it_is_killed() {
    let dir = std::env::var_os(DIR).expect("the test above names a directory");
    let mut journal = resume(Path::new(&dir)).unwrap();
    let durability = journal.durability();
    loop {
        let next = journal.last_sequence();
        journal.append(&window(next, 1 + next % 5)).unwrap();
        // Whatever is durable by now, which may be less.
        writeln!(std::io::stdout(), "{}", durability.sequence()).unwrap();
    }
}
