//! Code for processors that have vectors, chosen while running.
//!
//! The one place of this crate with unsafe code: Rust cannot see that a processor was asked before a function was called
//! that is compiled for it.

/// What a processor does to several numbers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Vectors {
    /// Nothing that is used here.
    None,
    /// AVX2: four numbers of 64 bits, multiplied as 32.
    Four,
    /// AVX-512 with multiplication of 52 bits: eight numbers.
    Eight,
}

/// What this processor has.
#[inline]
pub(crate) fn vectors() -> Vectors {
    #[cfg(target_arch = "x86_64")]
    let vectors = if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma") {
        Vectors::Eight
    } else if is_x86_feature_detected!("avx2") {
        Vectors::Four
    } else {
        Vectors::None
    };
    #[cfg(not(target_arch = "x86_64"))]
    let vectors = Vectors::None;
    #[cfg(test)]
    let vectors = vectors.min(testing::MOST.get());
    vectors
}

/// Calls the function that is compiled for what the processor has: `eight` with
/// `#[target_feature(enable = "avx512f,avx512ifma")]`, `four` with `#[target_feature(enable = "avx2")]`.
#[inline]
pub(crate) fn choose<Input, Output>(
    input: Input,
    #[cfg(target_arch = "x86_64")] eight: unsafe fn(Input) -> Output,
    #[cfg(target_arch = "x86_64")] four: unsafe fn(Input) -> Output,
    portable: fn(Input) -> Output,
) -> Output {
    #[cfg(target_arch = "x86_64")]
    {
        let compiled = match vectors() {
            Vectors::Eight => eight,
            Vectors::Four => four,
            Vectors::None => return portable(input),
        };
        #[allow(unsafe_code, reason = "a function for a processor that was just asked")]
        // SAFETY: what is passed are safe functions; all that calling them asks for is that the processor knows the
        // instructions that they were compiled to, as it has just said.
        unsafe {
            compiled(input)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    portable(input)
}

#[cfg(test)]
pub(crate) mod testing {
    use std::cell::Cell;

    use super::{Vectors, vectors};

    thread_local! {
        /// The most that is used on this thread.
        pub(super) static MOST: Cell<Vectors> = const { Cell::new(Vectors::Eight) };
    }

    /// Does something once for all that this processor has.
    pub(crate) fn with_each<R>(mut test: impl FnMut(Vectors) -> R) -> Vec<R> {
        let best = vectors();
        let each = [Vectors::None, Vectors::Four, Vectors::Eight].into_iter().filter(|vectors| *vectors <= best);
        let results = each.map(|vectors| {
            MOST.set(vectors);
            test(vectors)
        });
        let results = results.collect();
        MOST.set(Vectors::Eight);
        results
    }
}
