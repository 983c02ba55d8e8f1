//! Memory of a data core for what its peers make it hold, in bytes for each purpose.
//!
//! **Not** the shard's memory, which is `memory`.
//!
//! **Source**: docs/operations.md, "Memory".

/// Copies of large values that are being sent. Pins come first; this is for what may not be pinned and for what comes from
/// another core.
pub(crate) const COPIES_BYTES_MAX: usize = 128 << 20;

/// Values that are arriving in chunks.
pub(crate) const ASSEMBLING_BYTES_MAX: usize = 128 << 20;

/// What has come of frames that have not come whole.
pub(crate) const FRAMES_IN_PART_BYTES_MAX: usize = 64 << 20;

/// Answers that peers have not taken, copied into send buffers.
pub(crate) const SEND_BYTES_MAX: usize = 64 << 20;

/// Answers to batches that are not together yet, and those of other cores on their way: for each core of the node, shared by all.
pub(crate) const BATCH_BYTES_MAX: usize = 64 << 20;

/// All of these.
pub(crate) const PER_CORE_BYTES: u64 =
    (COPIES_BYTES_MAX + ASSEMBLING_BYTES_MAX + FRAMES_IN_PART_BYTES_MAX + SEND_BYTES_MAX + BATCH_BYTES_MAX) as u64;
