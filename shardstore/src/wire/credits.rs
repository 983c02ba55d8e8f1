//! Flow control: how much a sender may have in flight, in requests and in bytes.
//!
//! ```text
//!            grant (HELLO)                     spend (send a request)
//!  ┌──────┐ ───────────────▶ ┌───────────────┐ ──────────────────▶ ┌───────────┐
//!  │ none │                  │ free requests │                     │ in flight │
//!  └──────┘                  │ free bytes    │ ◀────────────────── └───────────┘
//!                            └───────────────┘  complete (the response; requests as it grants, bytes as spent)
//!                                               refund (the request was never sent)
//! ```
//!
//! **Not**: the bounded queue of those who wait, and their deadlines.
//!
//! **Invariants**: free never exceeds what was granted in bytes; a request larger than the whole byte window goes only when
//! nothing else is in flight, so it is never stuck forever.
//!
//! **Source**: docs/wire.md, "Flow control".

/// Most request credits a sender keeps, whatever a peer grants: a response's grant cannot grow the window without bound.
pub const CREDIT_REQUESTS_MAX: u32 = 65_536;

/// What a sender may still put in flight on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credits {
    requests_free: u32,
    requests_in_flight: u32,
    bytes_granted: u64,
    bytes_in_flight: u64,
}

/// What one request has taken; hand it back with [`Credits::complete`] or [`Credits::refund`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a spent credit that is not handed back is lost until the connection ends"]
pub struct Spent {
    bytes: u32,
}

impl Spent {
    /// The bytes that were spent.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }
}

impl Credits {
    /// The credits that a peer's HELLO grants: requests and bytes in flight.
    #[must_use]
    pub fn granted(requests: u32, bytes: u32) -> Self {
        Self {
            requests_free: requests.min(CREDIT_REQUESTS_MAX),
            requests_in_flight: 0,
            bytes_granted: u64::from(bytes),
            bytes_in_flight: 0,
        }
    }

    /// Takes credit for a request of `bytes` bytes on the wire, or `None` when it has to wait.
    #[inline]
    pub fn spend(&mut self, bytes: u32) -> Option<Spent> {
        let fits = self.bytes_in_flight + u64::from(bytes) <= self.bytes_granted || self.bytes_in_flight == 0;
        if self.requests_free == 0 || !fits {
            return None;
        }
        self.requests_free -= 1;
        self.requests_in_flight += 1;
        self.bytes_in_flight += u64::from(bytes);
        Some(Spent { bytes })
    }

    /// Takes the response to a request in: its bytes come back, and as many requests as it grants (0 shrinks the
    /// window, more than 1 widens it).
    ///
    /// # Panics
    ///
    /// When more is handed back than was spent: then `spent` is of another connection.
    #[inline]
    pub fn complete(&mut self, spent: Spent, requests_granted: u16) {
        self.take_back(spent);
        self.grant_requests(requests_granted);
    }

    /// Hands back what a request took that was never sent.
    ///
    /// # Panics
    ///
    /// As [`Credits::complete`].
    #[inline]
    pub fn refund(&mut self, spent: Spent) {
        self.take_back(spent);
        self.grant_requests(1);
    }

    /// Takes request credits in that came without a response of ours.
    #[inline]
    pub fn grant_requests(&mut self, requests: u16) {
        let room = CREDIT_REQUESTS_MAX - self.requests_in_flight.min(CREDIT_REQUESTS_MAX);
        self.requests_free = (self.requests_free + u32::from(requests)).min(room);
    }

    fn take_back(&mut self, Spent { bytes }: Spent) {
        let bytes = u64::from(bytes);
        assert!(self.requests_in_flight > 0, "a credit is handed back where it was spent");
        assert!(self.bytes_in_flight >= bytes, "bytes are handed back where they were spent");
        self.requests_in_flight -= 1;
        self.bytes_in_flight -= bytes;
    }

    /// Requests that may still be sent.
    #[must_use]
    pub const fn requests_free(&self) -> u32 {
        self.requests_free
    }

    /// Bytes that may still be sent.
    #[must_use]
    pub const fn bytes_free(&self) -> u64 {
        self.bytes_granted.saturating_sub(self.bytes_in_flight)
    }

    /// Requests in flight.
    #[must_use]
    pub const fn requests_in_flight(&self) -> u32 {
        self.requests_in_flight
    }
}
