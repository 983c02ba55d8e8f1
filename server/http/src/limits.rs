//! The bounds a peer's message must keep.
//!
//! **Not**: time limits; those belong to the frontend, which has a clock.
//! **Invariants**: every bound has a finite default; exceeding one is an error with its own status.
//! **Source**: RFC 9110 section 15.5.14 (413), 15.5.15 (414); RFC 6585 section 5 (431).

/// Size bounds of one message. All are inclusive: a message of exactly the bound is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of a head, from its first byte through the empty line that ends it. Beyond it: 431.
    pub head_bytes_max: u32,
    /// Field lines of a head, and of a trailer section. Beyond it: 431.
    pub field_count_max: u16,
    /// Bytes of a request target. Beyond it: 414.
    pub target_bytes_max: u32,
    /// Bytes of a body after its transfer coding is removed. Beyond it: 413.
    pub body_bytes_max: u64,
    /// Bytes of all chunk extensions of one body together. Extensions carry nothing anyone uses, so this is small.
    /// Beyond it: 400.
    pub chunk_extension_bytes_max: u32,
    /// Bytes of a chunked body's trailer section. Beyond it: 431.
    pub trailer_bytes_max: u32,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            field_count_max: 100,
            target_bytes_max: 8 << 10,
            body_bytes_max: 64 << 20,
            chunk_extension_bytes_max: 4 << 10,
            trailer_bytes_max: 8 << 10,
        }
    }
}
