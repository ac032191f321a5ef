//! Keccak-256 of eight messages side by side.
//!
//! One hash keeps a core's vector units idle: its steps wait for each other. With AVX-512 a register holds one word of
//! eight states, and rotating and the three-way logic are instructions, so that eight hashes cost little more than one
//! (docs/decisions/0027). With AVX2 it holds one of four, so there eight are hashed in [two halves](avx2). Where there is neither,
//! each message is hashed by itself.

#[cfg(target_arch = "x86_64")]
mod avx2;

use alloy_primitives::keccak256;
use xos_types::Hash;

use crate::processor::choose;

/// Messages that are hashed together.
pub(crate) const LANES: usize = 8;

/// One word of eight states.
type Word = [u64; LANES];

/// Bytes that a permutation takes in.
const RATE: usize = 136;

/// FIPS 202, section 3.2.5 (ι).
const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// By how much the word at `x + 5·y` turns (section 3.2.2, ρ).
const TURNS: [u32; 25] = [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

/// Keccak-256 of each message. All are of one length.
pub(crate) fn hash_together(messages: [&[u8]; LANES]) -> [Hash; LANES] {
    debug_assert!(messages.iter().all(|message| message.len() == messages[0].len()));
    choose(
        messages,
        #[cfg(target_arch = "x86_64")]
        wide,
        #[cfg(target_arch = "x86_64")]
        avx2::in_halves,
        one_by_one,
    )
}

fn one_by_one(messages: [&[u8]; LANES]) -> [Hash; LANES] {
    messages.map(|message| keccak256(message).0)
}

/// [`sponge`], compiled for AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512ifma")]
fn wide(messages: [&[u8]; LANES]) -> [Hash; LANES] {
    sponge(messages, permute)
}

#[inline(always)]
fn sponge<const LANES: usize>(messages: [&[u8]; LANES], permute: impl Fn(&mut [[u64; LANES]; 25])) -> [Hash; LANES] {
    let mut state = [[0; LANES]; 25];
    let blocks = messages.map(|message| message.chunks_exact(RATE));
    let mut last = [[0; RATE]; LANES];
    for (last, blocks) in last.iter_mut().zip(&blocks) {
        let rest = blocks.remainder();
        last[..rest.len()].copy_from_slice(rest);
        // Keccak's own padding, which is older than SHA-3's.
        last[rest.len()] = 0x01;
        last[RATE - 1] |= 0x80;
    }
    for number in 0..messages[0].len() / RATE {
        absorb(&mut state, messages.map(|message| &message[number * RATE..][..RATE]));
        permute(&mut state);
    }
    absorb(&mut state, last.each_ref().map(|block| &block[..]));
    permute(&mut state);
    std::array::from_fn(|lane| {
        let mut hash = [0; 32];
        for (bytes, word) in hash.chunks_exact_mut(8).zip(&state) {
            bytes.copy_from_slice(&word[lane].to_le_bytes());
        }
        hash
    })
}

#[inline(always)]
fn absorb<const LANES: usize>(state: &mut [[u64; LANES]; 25], blocks: [&[u8]; LANES]) {
    for (place, word) in state.iter_mut().take(RATE / 8).enumerate() {
        for (lane, block) in blocks.iter().enumerate() {
            let bytes = block[8 * place..][..8].try_into().expect("eight bytes were taken");
            word[lane] ^= u64::from_le_bytes(bytes);
        }
    }
}

/// Keccak-f[1600], FIPS 202, section 3.
#[inline(always)]
fn permute(state: &mut [Word; 25]) {
    for round in ROUNDS {
        let column = |x: usize| each(|l| (0..5).fold(0, |sum, y| sum ^ state[x + 5 * y][l]));
        let columns: [Word; 5] = [column(0), column(1), column(2), column(3), column(4)];
        let mut turned = [[0; LANES]; 25];
        for x in 0..5 {
            let (before, after) = (columns[(x + 4) % 5], columns[(x + 1) % 5]);
            let change = each(|l| before[l] ^ after[l].rotate_left(1));
            for y in 0..5 {
                let word = state[x + 5 * y];
                turned[y + 5 * ((2 * x + 3 * y) % 5)] = each(|l| (word[l] ^ change[l]).rotate_left(TURNS[x + 5 * y]));
            }
        }
        for y in 0..5 {
            let row: [Word; 5] = std::array::from_fn(|x| turned[x + 5 * y]);
            for x in 0..5 {
                let (a, b, c) = (row[x], row[(x + 1) % 5], row[(x + 2) % 5]);
                state[x + 5 * y] = each(|l| a[l] ^ (!b[l] & c[l]));
            }
        }
        for word in &mut state[0] {
            *word ^= round;
        }
    }
}

#[inline(always)]
fn each(word: impl Fn(usize) -> u64) -> Word {
    let mut words = [0; LANES];
    for (lane, out) in words.iter_mut().enumerate() {
        *out = word(lane);
    }
    words
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    use super::{LANES, hash_together, permute, sponge};
    use crate::processor::testing::with_each;

    proptest! {
        #[test]
        fn eight_hashes_are_those_of_each(bytes in proptest::collection::vec(any::<u8>(), LANES * 500), length in 0_usize..=500) {
            let messages: [&[u8]; LANES] = std::array::from_fn(|lane| &bytes[500 * lane..][..length]);
            let alone = messages.map(|message| keccak256(message).0);
            prop_assert_eq!(sponge(messages, permute), alone);
            for hashes in with_each(|_| hash_together(messages)) {
                prop_assert_eq!(hashes, alone);
            }
        }
    }
}
