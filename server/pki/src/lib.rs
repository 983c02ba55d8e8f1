//! A cluster's own certificate authority: makes, renews and revokes the certificates of edges, nodes, operators and servers.
//!
//! ```text
//!  Authority ── issue(CertificateRequest) ──▶ Issued { chain, key }          spiffe://CLUSTER/edge/ID
//!   (CA, key)   revoke(serials) ─▶ CRL                            spiffe://CLUSTER/node/ID
//!                                                                 spiffe://CLUSTER/operator/NAME
//!  CertificateRecord ◀── a certificate's PEM                       (servers have DNS names and addresses only)
//! ```
//!
//! **Goals**: one level (the authority issues leaves and nothing else), names that say the role, renewal long before the end.
//!
//! **Not**:
//! - A file, a clock, a socket: callers bring text and seconds since 1970, and get text.
//! - The judge of a peer: handshakes verify chains and identities.
//! - Name constraints: identities are URIs, webpki refuses every chain whose authority constrains URIs, and constraints on DNS
//!   names would not keep a stolen authority from issuing identities.
//!
//! **Invariants**: private keys appear in [`PrivateKeyText`] only, whose `Debug` does not show them. Each issue makes a new key. A
//! leaf never outlives its authority.
//!
//! **Source**: RFC 5280; SPIFFE X.509-SVID.

mod authority;
mod certificate;
mod error;
mod identity;
mod keys;
mod names;
mod revocation;
pub mod rotation;
mod self_signed;
mod validity;

pub use authority::{Authority, CertificateRequest, Issued};
pub use certificate::{CertificateRecord, KeyId, Serial};
pub use error::PkiError;
pub use identity::{HolderRole, Identity};
pub use keys::{KeySource, PrivateKeyText};
pub use names::SubjectNames;
pub use revocation::{Revocation, RevocationRecord};
pub use self_signed::{self_signed, self_signed_for};
pub use validity::Validity;
