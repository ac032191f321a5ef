//! Every decoder on hostile bytes, the same every time: bytes of no kind, real messages cut off at every place, and real messages that
//! were changed here and there.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use xos_hostile::{DECODERS, Decoder, decoder};

/// Of each kind.
const CASES: u32 = 400;

/// What becomes of a message on its way.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Bit(Index, u8),
    /// A number at its ends.
    Number(Index, u64),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let number =
            prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 63), Just(u64::from(u32::MAX)), any::<u64>()];
        prop_oneof![
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Byte(at, byte)),
            (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Self::Bit(at, bit)),
            (any::<Index>(), number).prop_map(|(at, number)| Self::Number(at, number)),
            (any::<Index>(), 1..20_usize).prop_map(|(at, count)| Self::Remove(at, count)),
            (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (any::<Index>(), 1..200_usize).prop_map(|(at, count)| Self::Repeat(at, count)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Byte(at, byte) => *at.get_mut(bytes) = *byte,
            Self::Bit(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Self::Number(at, number) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + 8);
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + count));
            }
            Self::Insert(at, inserted) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Repeat(at, count) => {
                let at = at.index(bytes.len());
                let part = bytes[at..bytes.len().min(at + count)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

/// What libFuzzer has found once (`make fuzz`), in files that begin with their decoder's name.
fn found(name: &str) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/found")).unwrap();
    let is_its = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}-"));
    files.map(|file| file.unwrap().path()).filter(is_its).map(|path| std::fs::read(path).unwrap()).collect()
}

fn stands(name: &str) {
    let Decoder { holds, seeds, .. } = decoder(name);
    found(name).iter().for_each(|bytes| holds(bytes));
    let seeds = seeds();
    for seed in &seeds {
        holds(seed);
        // Long ones are cut off at some places.
        for length in (0..seed.len()).step_by(1 + seed.len() / 400) {
            holds(&seed[..length]);
        }
    }
    let run = |strategy: BoxedStrategy<Vec<u8>>| {
        let mut runner = TestRunner::new_with_rng(
            Config { cases: CASES, failure_persistence: None, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        runner
            .run(&strategy, |bytes| {
                holds(&bytes);
                Ok(())
            })
            .unwrap();
    };
    run(vec(any::<u8>(), 0..2_000).boxed());
    let changed = (proptest::sample::select(seeds), vec(Change::any(), 1..6)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    });
    run(changed.boxed());
}

macro_rules! decoders {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            stands(stringify!($name));
        })*

        #[test]
        fn every_decoder_is_tested_and_has_a_fuzz_target() {
            let names = DECODERS.map(|decoder| decoder.name);
            assert_eq!(names, [$(stringify!($name)),*]);
            let fuzz = include_str!("../../../fuzz/Cargo.toml");
            for name in names {
                assert!(fuzz.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

decoders!(entry_request entry_answer request_json feed_json command block journal snapshot signatures);
