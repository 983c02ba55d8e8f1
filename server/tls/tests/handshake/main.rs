//! Handshakes of both sides, against rustls's own connections, against each other, and against OpenSSL.

#![expect(clippy::unwrap_used, reason = "a test")]

mod authority;
mod client;
mod driven;
mod early;
mod faults;
mod openssl;
mod pair;
mod seeded;
mod server;
