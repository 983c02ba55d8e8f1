//! Why nothing was issued.
//!
//! **Not** errors of files: whoever reads them names them.

use thiserror::Error;

/// Why a certificate, a key or a revocation list was not made or not read. The operator is at fault, except for `Library`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A cluster's name is empty, too long, or has characters that a topology does not allow.
    #[error("cluster {found:?}: allowed are 1 to 63 characters of a-z A-Z 0-9 . _ -")]
    Cluster {
        /// What was given.
        found: String,
    },
    /// An id does not fit its role.
    #[error("{role} {found:?}: allowed {allowed}")]
    Id {
        /// The role, as operators write it.
        role: &'static str,
        /// What was given.
        found: String,
        /// What fits.
        allowed: &'static str,
    },
    /// A DNS name that no certificate can carry.
    #[error(
        "name {found:?}: not a DNS name; labels of a-z 0-9 - _ joined by dots, `*.` in front for all names below, international names as xn--"
    )]
    Name {
        /// What was given.
        found: String,
    },
    /// A server without a name and an address: no client would accept it.
    #[error("a server needs at least one DNS name or address: clients compare it with what they connect to")]
    NoNames,
    /// The lifetime is empty, or before 1970 or after 9999.
    #[error("a certificate cannot be valid from {from} until {until} (seconds since 1970)")]
    Validity {
        /// Begin.
        from: u64,
        /// End.
        until: u64,
    },
    /// The authority has ended, or ends before the certificate would begin.
    #[error("the authority is no longer valid (it ended {until}, seconds since 1970); make a new one")]
    AuthorityEnded {
        /// When the authority ended.
        until: u64,
    },
    /// Not a PEM file with a certificate, or not an X.509 certificate.
    #[error("no certificate in PEM form: {0}")]
    NotACertificate(String),
    /// Not a PEM file with a revocation list, or not an X.509 one.
    #[error("no revocation list in PEM form: {0}")]
    NotARevocationList(String),
    /// Not an unencrypted private key of a kind that is supported.
    #[error("no private key in PEM form (PKCS #8, SEC 1; ECDSA, Ed25519 or RSA; without a passphrase): {0}")]
    NotAKey(String),
    /// The certificate is not one of an authority made by this crate.
    #[error("not the certificate of a cluster's authority: {0}")]
    NotAnAuthority(&'static str),
    /// Certificate and key are not a pair.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// Not a serial number.
    #[error("serial {found:?}: 1 to 20 bytes in hexadecimal")]
    Serial {
        /// What was given.
        found: String,
    },
    /// The library could not do it.
    #[error("the certificate could not be made: {0}")]
    Library(#[from] rcgen::Error),
}
