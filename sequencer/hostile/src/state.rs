//! Saved states.

use xos_engine::Engine;

const HASH_BYTES: usize = 32;
/// Magic number and version.
const HEAD_BYTES: usize = 12;

/// A snapshot is refused, or is a state whose snapshot is the same state. Bytes are tried as they are, and with the hash put right.
pub(crate) fn snapshot(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    if let Some(end) = sealed.len().checked_sub(HASH_BYTES).filter(|end| *end >= HEAD_BYTES) {
        let hash = *blake3::hash(&sealed[HEAD_BYTES..end]).as_bytes();
        sealed[end..].copy_from_slice(&hash);
    }
    for bytes in [bytes, &sealed] {
        if let Ok(engine) = Engine::restore(bytes) {
            let mut written = Vec::new();
            let hash = engine.snapshot(&mut written).expect("memory takes everything");
            let again = Engine::restore(&written[..]).expect("what was written is read");
            assert_eq!(again.state_hash(), hash);
        }
    }
}
