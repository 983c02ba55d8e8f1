//! Authorities and what they issue: judged by rustls, webpki and OpenSSL.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod handshakes;
mod issue;
mod openssl;
mod support;
