//! The writer without threads writes the same bytes, and says what a crash would lose.

use xos_journal::Unsynced;

use super::*;

fn step_by_step(dir: &Path) -> xos_journal::Stepwise {
    open(dir).unwrap().step_by_step().unwrap()
}

#[test]
fn steps_and_threads_write_the_same_bytes() {
    let (stepped, threaded) = (tempdir().unwrap(), tempdir().unwrap());
    let mut steps = step_by_step(stepped.path());
    let mut journal = resume(threaded.path()).unwrap();
    for from in 0..20 {
        let commands = window(from, 1);
        append(&mut journal, &commands);
        assert_eq!(steps.append(&commands).unwrap(), from + 1);
        assert!(steps.write().unwrap());
        steps.commit().unwrap();
        assert_eq!(steps.durability().sequence(), from + 1);
    }
    assert!(!steps.write().unwrap(), "nothing is left");
    drop((steps, journal));
    let whole = |dir: &Path| contents(dir).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    assert_eq!(whole(stepped.path()), whole(threaded.path()));
}

#[test]
fn what_is_written_and_not_synced_is_what_a_crash_may_lose() {
    let dir = tempdir().unwrap();
    let mut steps = step_by_step(dir.path());
    steps.append(&window(0, 2)).unwrap();
    assert_eq!((steps.unsynced(), steps.durability().sequence()), (None, 0));
    steps.write().unwrap();
    let path = segments(dir.path()).remove(0);
    assert_eq!(steps.unsynced(), Some(Unsynced { path, bytes: 512..1024 }));
    assert_eq!(steps.durability().sequence(), 0);
    steps.commit().unwrap();
    assert_eq!((steps.unsynced(), steps.durability().sequence()), (None, 2));
}

#[test]
fn without_room_orders_can_be_refused_a_segment_ahead_and_at_last_writing_fails() {
    let dir = tempdir().unwrap();
    let mut steps = step_by_step(dir.path());
    // The spare that waits is used up first.
    steps.set_room(Some("no space".into()));
    assert_eq!(steps.durability().shortage(), None);
    let mut from = 0;
    let failed = loop {
        steps.append(&window(from, 1)).unwrap();
        match steps.write() {
            Ok(_) => steps.commit().unwrap(),
            Err(error) => break error,
        }
        from += 1;
        assert_eq!(steps.durability().shortage().is_some(), from > 7, "{from}");
    };
    assert!(matches!(failed, JournalError::Full { .. }), "{failed}");
    drop(steps);
    assert_eq!(held(dir.path()), window(0, 14));
}
