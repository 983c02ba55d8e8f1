//! What the store computes: digests, and tickets sealed under a key of their own each.
//!
//! ```text
//!  sealed: │ salt (16) │ nonce (12) │ ciphertext │ tag (16) │    key: HMAC-SHA-256(ticket key, "corelane ticket" context salt)
//! ```
//!
//! **Not**: which key; that is the name in front, [`super::tickets`]'s.
//!
//! **Invariants**: salt and nonce are random for every ticket, 224 bits: no number of tickets under one ticket key makes a
//! repetition likely. A ticket key is held by the library only, which wipes it.
//!
//! **Source**: NIST SP 800-38D; the derivation for each message follows XAES-256-GCM.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use rustls::crypto::SecureRandom;
use zeroize::Zeroizing;

/// Bytes of a ticket key.
pub(super) const SECRET_BYTES: usize = 32;

const SALT_BYTES: usize = 16;
const FRONT_BYTES: usize = SALT_BYTES + NONCE_LEN;
const TAG_BYTES: usize = 16;
const _: () = assert!(NONCE_LEN == 12, "the layout above");

/// A digest of 32 bytes.
pub(super) type Sha256 = [u8; 32];

/// SHA-256 of parts, each with its length in front: no two lists of parts give the same input.
pub(super) fn digest_of(parts: &[&[u8]]) -> Sha256 {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    bytes_of(context.finish().as_ref())
}

/// SHA-256 of `bytes`, as other tools compute a fingerprint.
pub(super) fn fingerprint(bytes: &[u8]) -> Sha256 {
    bytes_of(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn bytes_of(digest: &[u8]) -> Sha256 {
    digest.try_into().expect("SHA-256 has 32 bytes")
}

/// `bytes` in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key that tickets' keys are derived from.
#[derive(Clone)]
pub(super) struct TicketSecret(hmac::Key);

impl TicketSecret {
    pub(super) fn new(bytes: &[u8; SECRET_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A number that says which key this is and nothing of the key; the same on every host.
    pub(super) fn name(&self) -> [u8; 8] {
        let tag = hmac::sign(&self.0, b"corelane ticket key name");
        *tag.as_ref().first_chunk().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// Appends `plain`, sealed, to `out`; `bound` has to be the same when it is opened. Nothing if there are no random bytes.
    pub(super) fn seal(
        &self,
        random: &dyn SecureRandom,
        bound: TicketBinding<'_>,
        mut plain: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let mut front = [0; FRONT_BYTES];
        random.fill(&mut front).ok()?;
        let (salt, nonce) = front.split_at(SALT_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = self.derived(bound.context, salt)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(bound.name), &mut plain).ok()?;
        let mut sealed = Vec::with_capacity(bound.name.len() + FRONT_BYTES + plain.len() + TAG_BYTES);
        for part in [bound.name, &front, &plain, tag.as_ref()] {
            sealed.extend_from_slice(part);
        }
        Some(sealed)
    }

    /// What [`Self::seal`] sealed, without the name in front; nothing for anything else.
    pub(super) fn open(&self, bound: TicketBinding<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (front, rest) = sealed.split_at_checked(FRONT_BYTES)?;
        let (salt, nonce) = front.split_at(SALT_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let key = self.derived(bound.context, salt)?;
        let length = key.open_in_place(nonce, Aad::from(bound.name), &mut rest).ok()?.len();
        rest.truncate(length);
        Some(rest)
    }

    fn derived(&self, context: &Sha256, salt: &[u8]) -> Option<LessSafeKey> {
        let mut input = [0; 15 + 32 + SALT_BYTES];
        input[..15].copy_from_slice(b"corelane ticket");
        input[15..47].copy_from_slice(context);
        input[47..].copy_from_slice(salt);
        let tag = hmac::sign(&self.0, &input);
        let bytes = Zeroizing::new(bytes_of(tag.as_ref()));
        UnboundKey::new(&AES_256_GCM, &*bytes).ok().map(LessSafeKey::new)
    }
}

/// What a ticket is good for: it opens only where all of it is the same.
#[derive(Clone, Copy)]
pub(super) struct TicketBinding<'a> {
    /// The key's name, in front of the ticket.
    pub(super) name: &'a [u8],
    /// Digest of what a session was allowed by.
    pub(super) context: &'a Sha256,
}
