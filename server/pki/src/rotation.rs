//! Replacing a cluster's authority without a handshake that fails.
//!
//! Who verifies trusts a bundle: a file with one or two authorities. The order matters, and so does that each step has reached
//! every process before the next begins:
//!
//! ```text
//!  step     bundle       who issues    then, on every host
//!  begin    old, new     old           take the bundle            nobody shows what others do not know
//!  switch   old, new     new           take renewed certificates  all certificates are the new authority's
//!  finish   new          new           take the bundle            the old authority's key is worth nothing
//! ```
//!
//! **Invariants**: at every moment each certificate in use has its authority in every bundle in use.

use crate::authority::Authority;
use crate::certificate::{CertificateRecord, KeyId};

/// The bundle of several authorities: each certificate once, in the order given.
#[must_use]
pub fn bundle<'a>(certificates: impl IntoIterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for certificate in certificates {
        let certificate = certificate.trim_end();
        if !certificate.is_empty() && !all.contains(&certificate) {
            all.push(certificate);
        }
    }
    all.iter().map(|certificate| format!("{certificate}\n")).collect()
}

/// Which certificates keep an authority from being dropped: those it issued that still hold at `now`.
pub fn still_needing<'a>(
    authority: &'a KeyId,
    certificates: impl IntoIterator<Item = &'a CertificateRecord>,
    now: u64,
) -> impl Iterator<Item = &'a CertificateRecord> {
    let is_needing = move |facts: &&CertificateRecord| facts.issuer_key_id == *authority && facts.validity.until >= now;
    certificates.into_iter().filter(is_needing)
}

/// Whether `next` can take the place of `current`: the same cluster, another key.
#[must_use]
pub fn can_succeed(current: &Authority, next: &Authority) -> bool {
    current.cluster() == next.cluster() && current.facts().key_id != next.facts().key_id
}
