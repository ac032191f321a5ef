//! Commands are read ahead as bytes, and decoded by whoever takes them: in batches, one by one, or both by turns.

use super::*;

/// What a replay has, taken in batches where `batches` says so and one by one elsewhere, and how it ends.
fn taken(mut replay: Replay, mut batches: impl FnMut() -> bool) -> (Vec<(u64, Logged)>, Result<Replay, JournalError>) {
    let mut taken = Vec::new();
    let end = loop {
        if batches() {
            match replay.next_batch() {
                Ok(Some((first, batch))) => taken.extend((first..).zip(batch.iter().cloned())),
                Ok(None) => break Ok(replay),
                Err(error) => break Err(error),
            }
        } else {
            match replay.next() {
                Some(Ok(command)) => taken.push(command),
                Some(Err(error)) => break Err(error),
                None => break Ok(replay),
            }
        }
    };
    (taken, end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each batch is decoded over the one before, whose commands may have been longer and of other kinds.
    #[test]
    fn whatever_is_taken_in_batches_or_one_by_one_is_what_was_appended(
        windows in prop::collection::vec(prop::collection::vec(commands::command(), 1..90), 1..12),
        from in 0_usize..400,
        batches in prop::collection::vec(prop::bool::weighted(0.8), 1..50),
    ) {
        let dir = tempdir().unwrap();
        let settings = Settings { segment_bytes: 64 << 10, ..Settings::default() };
        let mut journal = Journal::open(dir.path(), &group(), settings).unwrap().resume().unwrap();
        let mut all = Vec::new();
        for window in windows {
            let window: Vec<Logged> = window.into_iter().map(Logged::new).collect();
            append(&mut journal, &window);
            all.extend((1 + all.len() as u64..).zip(window));
        }
        let mut turns = batches.iter().cycle();
        let (taken, end) = taken(read_only(dir.path(), from as u64 + 1).unwrap(), || *turns.next().unwrap());
        prop_assert_eq!(&taken, &all[all.len().min(from)..]);
        prop_assert_eq!(end.unwrap().last_sequence(), all.len() as u64);
    }
}

/// A command that this version does not know, in a block whose hash is right: what stands before it is handed over, nothing behind it.
#[test]
fn a_command_of_another_version_is_refused_where_it_stands() {
    const LAST_BLOCK: usize = 3 * SECTOR;
    let dir = three_blocks();
    let (path, mut bytes) = contents(dir.path()).remove(0);
    // The second of two commands of one length, behind the block's head.
    let head = &bytes[LAST_BLOCK..][..8];
    let payload = u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
    assert_eq!(head[4..], [2, 0, 0, 0]);
    bytes[LAST_BLOCK + 48 + payload / 2] = 0xff;
    let (hashed, hash) = bytes[LAST_BLOCK..][..SECTOR].split_at_mut(SECTOR - 32);
    hash.copy_from_slice(blake3::hash(hashed).as_bytes());
    fs::write(&path, &bytes).unwrap();

    for in_batches in [false, true] {
        let (taken, end) = taken(read_only(dir.path(), 1).unwrap(), || in_batches);
        assert!(taken.into_iter().eq((1..).zip(window(0, 6))), "{in_batches}");
        let Err(JournalError::Damaged { path: named, offset, sequence, what }) = end else {
            panic!("it was read to its end")
        };
        // The place is behind the block, which is as it was written.
        assert_eq!((named, offset, sequence), (path.clone(), (LAST_BLOCK + SECTOR) as u64, 8));
        assert!(what.starts_with("the block before is intact, but command 1 of 2 cannot be decoded"), "{what}");
    }
    // Whoever begins behind it does not decode it.
    let behind: Vec<_> = read_only(dir.path(), 8).unwrap().collect();
    assert!(behind.is_empty(), "{behind:?}");
    let mut reader = Reader::open(dir.path(), 1).unwrap();
    let error = reader.next_batch(7).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { sequence: 8, .. }), "{error}");
}
