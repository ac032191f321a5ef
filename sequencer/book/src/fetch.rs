//! Fetching what will be needed soon.

/// Asks the processor for the cache line in which a value begins, and waits for nothing. Its bytes are not read, so a reference
/// to a value elsewhere is one that has to be there already. On processors other than x86 it does nothing.
#[inline(always)]
pub fn fetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(value);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
