//! The real `corelane` binary over TLS: what OpenSSL, curl, Python and Chromium make of it, certificates that change while it serves,
//! clients that mean harm.
//!
//! `HANDSHAKES=10000 cargo test -p corelane --test tls swap` makes that many handshakes while certificates are swapped.
//!
//! **Not** handshakes and records one by one, which the crate `corelane-tls` compares with those of others.
//!
//! **Invariants**: no client here shares code with the server; a tool that is not installed fails its test, which names the package.
//! Every wait has a bound; readiness is what a process says of itself.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

mod tls {
    mod certificates;
    mod clients;
    mod early;
    mod hello;
    mod hostile;
    mod names;
    mod openssl;
    mod peers;
    mod pki;
    mod python;
    mod s_client;
    mod settings;
    mod swap;
    mod tickets;
}
