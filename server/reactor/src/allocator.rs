//! Giving free memory back to the kernel.
//!
//! **Source**: malloc_trim(3).

/// Gives the kernel the pages that are free in the allocator, of all threads. Threads that allocate or free meanwhile wait, for
/// about a millisecond for each 10 MiB that is given back. Does nothing where the allocator is not glibc's.
pub fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
