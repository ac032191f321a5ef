//! What settling a frame costs on chain, estimated from above, so that a frame is sealed before its batch outgrows a
//! transaction. One place to tune when the contract's measured costs move.

use xos_types::InboxPayload;

/// A batch of nothing: calldata, signature, hashes, the stored head.
pub(crate) const BATCH: u64 = 150_000;
/// One order's line: its signature, nonce, position, cash and its share of the margin check.
pub(crate) const FILL_LINE: u64 = 25_000;
/// One signed withdrawal with its token transfer.
pub(crate) const WITHDRAWAL: u64 = 60_000;

const REDEMPTION: u64 = 20_000;
const REDEMPTION_WORD: u64 = 3_000;
const INBOX_ITEM: u64 = 30_000;
const INBOX_BYTE: u64 = 20;

/// How much of a frame redemptions may take; the rest of the queue waits for the next frames.
pub const REDEMPTION_GAS_PER_FRAME: u64 = 4_000_000;

/// One account's redemption of an event; positions of four outcomes share a storage word.
pub(crate) fn redemption(outcomes: u8) -> u64 {
    REDEMPTION + REDEMPTION_WORD * u64::from(outcomes.div_ceil(4))
}

/// One inbox item, by the size of its payload.
pub(crate) fn inbox_item(payload: &InboxPayload) -> u64 {
    INBOX_ITEM + INBOX_BYTE * abi_bytes(payload)
}

/// Length of the payload's ABI encoding.
fn abi_bytes(payload: &InboxPayload) -> u64 {
    const WORD: u64 = 32;
    let text = |text: &String| WORD + (text.len() as u64).next_multiple_of(WORD);
    match payload {
        InboxPayload::Deposit { .. } => 4 * WORD,
        InboxPayload::EventOpened { config, .. } => {
            let labels: u64 = config.labels.iter().map(|label| WORD + text(label)).sum();
            13 * WORD + text(&config.title) + labels
        }
        InboxPayload::EventResolved { payouts, .. } => (3 + payouts.len() as u64) * WORD,
        InboxPayload::ForcedWithdrawal { .. } => 3 * WORD,
    }
}
