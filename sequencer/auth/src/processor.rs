//! Code for processors that have wide vectors, chosen while running.
//!
//! The one place of this crate with unsafe code: Rust cannot see that a processor was asked before a function was called
//! that is compiled for it.

/// Calls `wide`, a function compiled for AVX-512 with multiplication of 52 bits
/// (`#[target_feature(enable = "avx512f,avx512ifma")]`), where the processor has these, and `portable` where not.
#[inline]
pub(crate) fn choose<Input, Output>(
    input: Input,
    #[cfg(target_arch = "x86_64")] wide: unsafe fn(Input) -> Output,
    portable: fn(Input) -> Output,
) -> Output {
    #[cfg(target_arch = "x86_64")]
    if has_lanes() {
        #[allow(unsafe_code, reason = "a function for a processor that was just asked")]
        // SAFETY: what is passed are safe functions; all that calling them asks for is that the processor knows the
        // instructions that they were compiled to, as it has just said.
        return unsafe { wide(input) };
    }
    portable(input)
}

/// Whether [`choose`] takes what is compiled for AVX-512.
#[inline]
pub(crate) fn has_lanes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}
