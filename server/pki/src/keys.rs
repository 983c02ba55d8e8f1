//! Private keys: where they come from, and their text.
//!
//! **Invariants**: a key is never shown by `Debug`.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::error::PkiError;

/// What stands in front of an Ed25519 seed in PKCS #8 (RFC 8410, section 7): version 0, the algorithm, an octet string in one.
const ED25519_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Length of an Ed25519 seed.
const SEED_BYTES: usize = 32;

/// Where new keys come from.
pub enum KeySource<'a> {
    /// ECDSA on P-256, from the system's random numbers: what every client accepts.
    P256,
    /// Ed25519 from numbers that the caller brings: the same numbers make the same keys, serials and signatures. For simulations
    /// only; browsers do not accept Ed25519.
    Ed25519(&'a mut dyn FnMut(&mut [u8])),
}

impl KeySource<'_> {
    /// A new key.
    pub(crate) fn generate(&mut self) -> Result<KeyPair, PkiError> {
        match self {
            Self::P256 => Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?),
            Self::Ed25519(random) => {
                let mut document = [0; ED25519_PREFIX.len() + SEED_BYTES];
                document[..ED25519_PREFIX.len()].copy_from_slice(&ED25519_PREFIX);
                random(&mut document[ED25519_PREFIX.len()..]);
                Ok(KeyPair::try_from(document.as_slice())?)
            }
        }
    }
}

impl fmt::Debug for KeySource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P256",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}

/// A private key in PEM form (PKCS #8).
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKeyText(String);

impl PrivateKeyText {
    pub(crate) fn of(key: &KeyPair) -> Self {
        Self(key.serialize_pem())
    }

    /// The text, for a file that only its owner reads.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyText(not shown)")
    }
}

/// Reads a private key.
pub(crate) fn parse(pem: &str) -> Result<KeyPair, PkiError> {
    KeyPair::from_pem(pem).map_err(|error| PkiError::NotAKey(error.to_string()))
}
