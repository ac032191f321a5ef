//! What settling a frame costs on chain, estimated from above, so that no frame can outgrow a transaction (16.7M gas,
//! EIP-7825), whatever traders do.
//!
//! A line's cost depends on what its storage holds: a first write to a word costs 22.1k, a later one 5k, and a trader may
//! choose nonces and partial fills to be expensive. The engine knows enough of the contract's storage to tell (which words
//! of nonces and positions are in use), and where it does not know it takes the dearer. A word that only ever gains bits or
//! money is counted once in a batch. Positions are counted with every line: traders can arrange that a word goes back to
//! zero and is written anew again and again. Refunds are not counted, so crowded frames cost well below the estimate. One
//! place to tune when the contract's measured costs move (`snapshots/settle.json`).

use xos_types::{AccountId, Address, InboxPayload, MarketKind, PriceUpdate, SignedTree, Transfer};

/// First access of a storage word, first writes of it, and later writes in the same batch (EIP-2929, EIP-2200).
const COLD_READ: u64 = 2_100;
const FIRST_WRITE: u64 = 22_100;
const REWRITE: u64 = 5_000;
const WARM_WRITE: u64 = 300;

/// A batch of nothing: the transaction, header, signature, hashes, the stored head.
pub(crate) const BATCH: u64 = 100_000;
/// A market whose every word is written for the first time, and whose fees go three ways.
const DEAREST_MARKET: u64 = MARKET + 4 * FIRST_WRITE;
/// One signed withdrawal: line, nonce, account, what was paid in, the pool, the insurance fund that is looked at, and the
/// token's transfer (a deny-listing proxy needs 40k to 70k).
pub(crate) const WITHDRAWAL: u64 = LINE + SIGNATURE + 6 * COLD_READ + FIRST_WRITE + 3 * REWRITE + JUDGED + PAYMENT;

/// One price: its source, which may have to verify the signatures of a quorum, the feed's words, and the records of the three rules
/// that it may break.
const PRICE: u64 = 180_000;
const PRICE_BYTE: u64 = 30;
/// One funding index: the feed's three words, two of them written.
pub(crate) const FUNDING: u64 = 3 * COLD_READ + 2 * REWRITE + FIRST_WRITE;
/// What one asset or perpetual more that an account holds costs its judgement, what it was before included; and the words of
/// its feed, as if no other account had read them.
const HOLDING: u64 = 16_000;
/// An isolated account's place among all, and their count; its parent's owner; and a log. Its own words are written by the
/// transfer that opens it.
pub(crate) const OPENING: u64 = 2 * FIRST_WRITE + COLD_READ + 4_000;
/// A deposit into another group's inbox, from its allowance to the queued item.
const DEPOSIT_ELSEWHERE: u64 = 600_000;

/// A market's terms, its venue's shares, the losses that the insurance fund would pay first, and the sums over its lines.
const MARKET: u64 = 3 * COLD_READ + 6_000;
/// Calldata and checks of one order.
const LINE: u64 = 14_000;
/// A signature of its own: calldata, and the signer recovered.
const SIGNATURE: u64 = 4_000;
/// One word of the proof that an order is in a tree: calldata, and a hash.
const PROOF_WORD: u64 = 800;
/// A tree, once in a batch: calldata, and the signer recovered.
pub(crate) const TREE: u64 = 8_000;
/// An order of the largest tree that is the first of its tree in the batch.
const DEAREST_EVIDENCE: u64 = TREE + PROOF_WORD * SignedTree::MOST.ilog2() as u64;
/// Looking up who referred the trader, and the venue's share for it.
const REFERRER: u64 = 2 * COLD_READ + 1_000;
/// A transfer that uses all the gas it may (100k), its log, and the write that makes it claimable.
const PAYMENT: u64 = 130_000;
/// Four positions of an account, read to find the worst.
const POSITION_WORD: u64 = 3_000;
/// Outcomes of a narrow event, whose positions share one word. An account has a summary of its own in a wider one.
const NARROW: u8 = 4;
/// An account's part in the list of those to be judged, and its judgement.
const JUDGED: u64 = 6_000;
const REDEMPTION: u64 = 10_000;
const INBOX_ITEM: u64 = 12_000;
const INBOX_BYTE: u64 = 20;

/// What one order's matches may add to a frame. A node that seals frames at up to 13M stays below the cap with it.
pub(crate) const MATCHES: u64 = 3_700_000;

/// The highest gas target of a node (configured there) and the most that a transaction may use (EIP-7825).
pub(crate) const TARGET_MAX: u64 = 13_000_000;
const TRANSACTION_MAX: u64 = 1 << 24;
const _: () = assert!(TARGET_MAX + MATCHES < TRANSACTION_MAX);
const _: () = assert!(BATCH + INBOX_GAS_PER_FRAME + REDEMPTION_GAS_PER_FRAME + RESCUE_GAS_PER_FRAME < TARGET_MAX);

/// How much of a frame inbox items should take; a node passes no more of them on at once than their estimates
/// ([`Engine::inbox_gas`](crate::Engine::inbox_gas)) allow, but one at least.
pub const INBOX_GAS_PER_FRAME: u64 = 4_000_000;

/// How much of a frame redemptions may take; the rest of the queue waits for the next frames.
pub const REDEMPTION_GAS_PER_FRAME: u64 = 3_000_000;

/// How much of a frame call auctions may take; what is still crossed then waits for the next one.
pub const AUCTION_GAS_PER_FRAME: u64 = 5_000_000;
/// Once planned orders have brought so much to a frame as it opens, the rest of them waits for the next ones.
pub(crate) const RELEASES_PER_FRAME: u64 = 3_000_000;
/// Once closes that owners forced have brought so much to a frame by meeting orders in the books, the rest of them waits for the
/// next ones.
pub(crate) const FORCED_CLOSES_PER_FRAME: u64 = 3_000_000;
/// How much of a frame rescues may take, a third of it for each of their parts; the rest waits for the next frames.
pub const RESCUE_GAS_PER_FRAME: u64 = 4_200_000;

/// What a storage word holds when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing yet.
    Unused,
    /// Something from before the batch.
    Used,
    /// Something that the batch itself has written.
    Warm,
}

impl Word {
    pub(crate) const fn used_if(used: bool) -> Self {
        if used { Self::Used } else { Self::Unused }
    }

    const fn write(self) -> u64 {
        match self {
            Self::Unused => FIRST_WRITE,
            Self::Used => REWRITE,
            Self::Warm => WARM_WRITE,
        }
    }
}

/// What the contract's storage holds before a market's lines in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarketState {
    /// The market's open interest, where it is counted: where there is a cap.
    pub(crate) open_interest: Option<Word>,
    /// Cash of whoever gets a part of its fees: the venue's treasury, the protocol, the insurance fund.
    pub(crate) payees: [Option<Word>; 3],
}

/// What the contract's storage holds before an order's line in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineState {
    pub(crate) kind: MarketKind,
    /// Outcomes of the event.
    pub(crate) outcomes: u8,
    /// Assets and perpetuals that the account holds or has orders for.
    pub(crate) holdings: u64,
    /// The order filled in an earlier frame.
    pub(crate) partly_filled: bool,
    /// After this fill nothing more of it can fill.
    pub(crate) completes: bool,
    /// The word of its nonce's bit; the bit is set with the order's first fill.
    pub(crate) nonce_word: Word,
    /// The word of its position.
    pub(crate) position_word: Word,
    /// The word of the account's cash.
    pub(crate) cash_word: Word,
    /// Who is paid a share of the trader's fees, if anybody, and the word of its cash.
    pub(crate) referrer: Option<(AccountId, Word)>,
    /// Who is paid for the interface that the order names, if anybody, and the word of its cash.
    pub(crate) builder: Option<(AccountId, Word)>,
}

/// What the lines of one market have in common.
pub(crate) fn market(state: MarketState) -> u64 {
    let fees: u64 = state.payees.into_iter().flatten().map(Word::write).sum();
    MARKET + state.open_interest.map_or(0, Word::write) + fees
}

/// The line of an order that fills for the first time in a frame, and its market's accounts aside.
pub(crate) fn line(state: LineState) -> u64 {
    let bit = state.nonce_word.write();
    let nonce = match (state.partly_filled, state.completes) {
        // The bit is read, the slot of the partly filled order rewritten or cleared.
        (true, _) => COLD_READ + REWRITE,
        (false, true) => bit,
        (false, false) => bit + FIRST_WRITE,
    };
    let payee = |payee: Option<(AccountId, Word)>| match payee {
        None => 0,
        Some((_, Word::Warm)) => WARM_WRITE,
        Some((_, cash)) => REFERRER + cash.write(),
    };
    // What is held at an index price is marked in a word of the account, and in another that it holds anything.
    let marks = if state.kind == MarketKind::Outcome { 0 } else { FIRST_WRITE + REWRITE };
    LINE + nonce + payee(state.referrer) + payee(state.builder) + state.position_word.write() + marks
}

/// What says that an order's line was signed: a signature of its own, or so many words of proof.
pub(crate) fn evidence(proof: Option<u32>) -> u64 {
    proof.map_or(SIGNATURE, |words| PROOF_WORD * u64::from(words))
}

/// An account's first line of an event in a frame: its owner, its cash, and its positions for the margin check.
pub(crate) fn touch(state: LineState) -> u64 {
    let cash = state.cash_word.write();
    let summary = if state.outcomes > NARROW { FIRST_WRITE } else { 0 };
    2 * COLD_READ + cash + summary + JUDGED + POSITION_WORD * words(state.outcomes) + HOLDING * state.holdings
}

/// The most that a line can cost of an account that holds so many assets and perpetuals.
pub(crate) fn dearest_line(kind: MarketKind, outcomes: u8, holdings: usize, pays_builder: bool) -> u64 {
    // What it trades may be one more to hold.
    let holdings = holdings + usize::from(kind != MarketKind::Outcome);
    let state = LineState {
        kind,
        outcomes,
        holdings: holdings as u64,
        partly_filled: false,
        completes: false,
        nonce_word: Word::Unused,
        position_word: Word::Unused,
        cash_word: Word::Unused,
        referrer: Some((AccountId(0), Word::Unused)),
        builder: pays_builder.then_some((AccountId(0), Word::Unused)),
    };
    line(state) + DEAREST_EVIDENCE + touch(state)
}

/// Whether `gas` is certain to pay for matches with orders whose dearest lines come to `makers`: matching goes on while
/// a line more for each side fits, and what it has spent by then is at most a market, the arriving order's line and those of the
/// orders met.
pub(crate) fn certain(taker: u64, makers: u64, gas: u64) -> bool {
    DEAREST_MARKET + 2 * taker + makers <= gas
}

/// How many matches between accounts that hold nothing at index prices are certain.
pub(crate) fn certain_matches(kind: MarketKind, outcomes: u8) -> u64 {
    (MATCHES - DEAREST_MARKET) / dearest_line(kind, outcomes, 0, false) - 2
}

/// One price.
pub(crate) fn price(update: &PriceUpdate) -> u64 {
    PRICE + PRICE_BYTE * update.proof.len() as u64
}

/// One signed transfer: as a withdrawal, or into another account, or into another group's inbox.
pub(crate) fn transfer(transfer: &Transfer) -> u64 {
    let far = if transfer.gateway == Address::ZERO { 3 * FIRST_WRITE } else { DEPOSIT_ELSEWHERE };
    WITHDRAWAL + far
}

/// One account's redemption of an event: every word may be read for the worst, then paid and cleared.
pub(crate) fn redemption(kind: MarketKind, outcomes: u8) -> u64 {
    if kind != MarketKind::Outcome {
        // The position, the account's cash and marks, and what is open.
        return REDEMPTION + FIRST_WRITE + 4 * REWRITE + 6 * COLD_READ + JUDGED;
    }
    let summary = if outcomes > NARROW { 2 * REWRITE } else { 0 };
    REDEMPTION + FIRST_WRITE + summary + (POSITION_WORD + REWRITE) * words(outcomes)
}

/// What the judgement of an account costs for so many assets and perpetuals.
pub(crate) fn holdings(count: usize) -> u64 {
    HOLDING * count as u64
}

/// One inbox item, by its payload's ABI encoding and by what it writes.
pub(crate) fn inbox_item(payload: &InboxPayload) -> u64 {
    let writes = match payload {
        // The account's owner and cash, what was paid in, and the pool.
        InboxPayload::Deposit { .. } => 5 * FIRST_WRITE + REWRITE + JUDGED,
        InboxPayload::EventOpened { .. } => 2 * FIRST_WRITE,
        InboxPayload::EventResolved { payouts, .. } => FIRST_WRITE * (1 + (payouts.len() as u64).div_ceil(4)) + REWRITE,
        // The account, what was paid in, the pool, and the insurance fund that is looked at.
        InboxPayload::ForcedWithdrawal { .. } => 6 * COLD_READ + 3 * REWRITE + JUDGED + PAYMENT,
        InboxPayload::AssetSet { .. } => 10 * FIRST_WRITE,
        InboxPayload::SpotListed { .. } => 3 * FIRST_WRITE,
        InboxPayload::PerpetualSet { .. } => 12 * FIRST_WRITE,
        InboxPayload::CancelAll { .. } | InboxPayload::ReferrerSet { .. } | InboxPayload::PhaseSet { .. } => REWRITE,
        InboxPayload::SignerSet { .. }
        | InboxPayload::MembershipSet { .. }
        | InboxPayload::BuilderSet { .. }
        | InboxPayload::VenueSet { .. }
        | InboxPayload::TermsSet(_) => FIRST_WRITE,
        InboxPayload::HoursSet { .. } | InboxPayload::FeeTiersSet { .. } => 0,
        InboxPayload::ForcedClose { .. } => 3 * COLD_READ + FIRST_WRITE,
        // What it does is counted when it is tried.
        InboxPayload::ForcedLiquidation(_) => 0,
    };
    INBOX_ITEM + REWRITE + INBOX_BYTE * abi_bytes(payload) + writes
}

/// A step of a rescue: its calldata, its event, and the words that it looks at before anything.
const RESCUE: u64 = 16_000;
/// A position that leaves an account: its word, the account's cash, what is open, and whether its owner forced a close.
const LEAVES: u64 = JUDGED + 4 * REWRITE + 4 * COLD_READ;
/// A position that comes to an account that has none yet: its word, its mark, cash, and what is open.
const COMES: u64 = JUDGED + 3 * FIRST_WRITE + 2 * REWRITE + 4 * COLD_READ;

/// A flag on an account that holds so many assets and perpetuals.
#[must_use]
pub fn flag(held: usize) -> u64 {
    RESCUE + FIRST_WRITE + 3 * COLD_READ + holdings(held)
}

/// A liquidation of an account by a keeper that holds so much: the signature, the nonce, the market's loss, the fund's part.
#[must_use]
pub fn liquidation(held: usize, own: usize) -> u64 {
    RESCUE + LINE + SIGNATURE + 2 * FIRST_WRITE + 2 * REWRITE + LEAVES + COMES + holdings(held + own + 2)
}

/// A conversion, from an account to a keeper that hold so much.
#[must_use]
pub fn conversion(held: usize, own: usize) -> u64 {
    RESCUE + LINE + SIGNATURE + FIRST_WRITE + LEAVES + COMES + holdings(held + own + 2)
}

/// A takeover, from an account to an insurance fund that hold so much.
#[must_use]
pub fn takeover(held: usize, fund: usize) -> u64 {
    RESCUE + REWRITE + LEAVES + COMES + holdings(held + fund + 2)
}

/// A deleveraging, of an account that holds so much; without those who close against it.
#[must_use]
pub fn deleveraging(held: usize, fund: usize) -> u64 {
    RESCUE + LEAVES + holdings(held + fund + 2)
}

/// One who closes against it and holds so much: it is ranked, then closed and judged.
#[must_use]
pub fn counterparty(held: usize) -> u64 {
    RESCUE / 4 + LEAVES + holdings(held + 1)
}

/// A bankruptcy of an account, with a fund that holds so much, and so many assets that go to it.
#[must_use]
pub fn bankruptcy(held: usize, fund: usize, swept: usize) -> u64 {
    let sweeping = (LEAVES + COMES) * swept as u64;
    RESCUE + 2 * JUDGED + 4 * REWRITE + FIRST_WRITE + 6 * COLD_READ + sweeping + holdings(held + fund + swept + 2)
}

/// Storage words that an account's positions in an event take.
fn words(outcomes: u8) -> u64 {
    u64::from(outcomes.div_ceil(4))
}

/// Length of the payload's ABI encoding.
fn abi_bytes(payload: &InboxPayload) -> u64 {
    const WORD: u64 = 32;
    let text = |text: &String| WORD + (text.len() as u64).next_multiple_of(WORD);
    match payload {
        InboxPayload::Deposit { .. } => 4 * WORD,
        InboxPayload::EventOpened { config, .. } => {
            let labels: u64 = config.labels.iter().map(|label| WORD + text(label)).sum();
            18 * WORD + text(&config.title) + labels
        }
        InboxPayload::EventResolved { payouts, .. } => (3 + payouts.len() as u64) * WORD,
        InboxPayload::ForcedWithdrawal { .. } | InboxPayload::MembershipSet { .. } => 3 * WORD,
        InboxPayload::CancelAll { .. }
        | InboxPayload::ForcedClose { .. }
        | InboxPayload::ReferrerSet { .. }
        | InboxPayload::BuilderSet { .. }
        | InboxPayload::PhaseSet { .. } => 2 * WORD,
        InboxPayload::ForcedLiquidation(_) => 7 * WORD,
        InboxPayload::SignerSet { .. } => 9 * WORD,
        InboxPayload::VenueSet { .. } => 5 * WORD,
        InboxPayload::FeeTiersSet { tiers, .. } => (3 + 3 * tiers.len() as u64) * WORD,
        InboxPayload::HoursSet { .. } | InboxPayload::TermsSet(_) => 4 * WORD,
        InboxPayload::AssetSet { .. } => 13 * WORD,
        InboxPayload::SpotListed { config, .. } => 14 * WORD + text(&config.title),
        InboxPayload::PerpetualSet { config, .. } => 34 * WORD + text(&config.title),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_costs_more_than_the_dearest() {
        for flags in 0u8..64 {
            let set = |bit: u8| flags >> bit & 1 == 1;
            let state = LineState {
                kind: MarketKind::Outcome,
                outcomes: 48,
                holdings: 0,
                builder: None,
                partly_filled: set(0),
                completes: set(1),
                nonce_word: Word::used_if(set(2)),
                position_word: Word::used_if(set(3)),
                cash_word: Word::used_if(set(4)),
                referrer: set(5).then_some((AccountId(0), Word::Used)),
            };
            let evidence = evidence(None).max(TREE + evidence(Some(10)));
            assert!(line(state) + evidence + touch(state) <= dearest_line(MarketKind::Outcome, 48, 0, false));
        }
    }
}
