//! Keccak-f[1600] on four states, whose words lie side by side.

use core::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_andnot_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_sll_epi64, _mm256_srl_epi64, _mm256_xor_si256,
};

use xos_types::Hash;
use zerocopy::transmute;

use super::{LANES, ROUNDS, TURNS, sponge};

/// What [`super::hash_together`] does.
#[target_feature(enable = "avx2")]
pub(super) fn in_halves([a, b, c, d, e, f, g, h]: [&[u8]; LANES]) -> [Hash; LANES] {
    let ([a, b, c, d], [e, f, g, h]) = (four([a, b, c, d]), four([e, f, g, h]));
    [a, b, c, d, e, f, g, h]
}

#[target_feature(enable = "avx2")]
fn four(messages: [&[u8]; LANES / 2]) -> [Hash; LANES / 2] {
    sponge(messages, |state| permute(state))
}

/// What [`super::permute`] does with eight.
#[inline(never)]
#[target_feature(enable = "avx2")]
fn permute(state: &mut [[u64; LANES / 2]; 25]) {
    let mut words: [__m256i; 25] = transmute!(*state);
    for round in ROUNDS {
        let column = |x: usize| (1..5).fold(words[x], |sum, y| _mm256_xor_si256(sum, words[x + 5 * y]));
        let columns = [column(0), column(1), column(2), column(3), column(4)];
        let mut turned = [_mm256_setzero_si256(); 25];
        // One by one, since the compiler would leave loops around them, and no word in a register.
        turn::<0>(&words, &columns, &mut turned);
        turn::<1>(&words, &columns, &mut turned);
        turn::<2>(&words, &columns, &mut turned);
        turn::<3>(&words, &columns, &mut turned);
        turn::<4>(&words, &columns, &mut turned);
        mix::<0>(&turned, &mut words);
        mix::<1>(&turned, &mut words);
        mix::<2>(&turned, &mut words);
        mix::<3>(&turned, &mut words);
        mix::<4>(&turned, &mut words);
        words[0] = _mm256_xor_si256(words[0], _mm256_set1_epi64x(round.cast_signed()));
    }
    *state = transmute!(words);
}

/// What becomes of the words of one `x` (θ, ρ and π).
#[inline]
#[target_feature(enable = "avx2")]
fn turn<const X: usize>(words: &[__m256i; 25], columns: &[__m256i; 5], turned: &mut [__m256i; 25]) {
    let change = _mm256_xor_si256(columns[(X + 4) % 5], rotate(columns[(X + 1) % 5], 1));
    for y in 0..5 {
        let place = X + 5 * y;
        turned[y + 5 * ((2 * X + 3 * y) % 5)] = rotate(_mm256_xor_si256(words[place], change), TURNS[place]);
    }
}

/// A row's words from its own (χ).
#[inline]
#[target_feature(enable = "avx2")]
fn mix<const Y: usize>(turned: &[__m256i; 25], words: &mut [__m256i; 25]) {
    let row = |x: usize| turned[x % 5 + 5 * Y];
    for x in 0..5 {
        words[x + 5 * Y] = _mm256_xor_si256(row(x), _mm256_andnot_si256(row(x + 1), row(x + 2)));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate(word: __m256i, by: u32) -> __m256i {
    let bits = |by: u32| _mm_cvtsi32_si128(by.cast_signed());
    _mm256_or_si256(_mm256_sll_epi64(word, bits(by)), _mm256_srl_epi64(word, bits(64 - by)))
}
