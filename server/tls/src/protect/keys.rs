//! One direction of a connection: its key, and the number of its next record.
//!
//! **Not** formats: what is authenticated beside the text is given by `open`, `seal` and `v12`.
//!
//! **Invariants**: nothing else names the library that computes. A nonce that seals is made of the sequence number, which only goes
//! up: no two records are sealed with the same. Key and nonce base are wiped when a direction is dropped.
//!
//! **Source**: RFC 8446 section 5.3, RFC 5288, RFC 7905.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use zeroize::Zeroizing;

use super::fault::RecordFault;

/// Why `seal` cannot fail: the library refuses wrong lengths only.
const LENGTHS_FIT: &str = "the room for the tag is as long as a tag, and a record is short";

/// A key that opens or seals records, one after the other.
pub(super) struct Direction {
    /// Wiped by the library.
    key: LessSafeKey,
    iv: Zeroizing<[u8; NONCE_LEN]>,
    /// Records opened or sealed with this key.
    sequence: u64,
}

impl Direction {
    /// The next record is that of `sequence`.
    ///
    /// # Errors
    /// Ours: secrets of a suite that is none of the three.
    pub(super) fn new((sequence, secrets): &(u64, ConnectionTrafficSecrets)) -> Result<Self, RecordFault> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(RecordFault::Keys),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| RecordFault::Keys)?;
        let iv = iv.as_ref().try_into().map_err(|_| RecordFault::Keys)?;
        Ok(Direction { key: LessSafeKey::new(key), iv: Zeroizing::new(iv), sequence: *sequence })
    }

    /// The number of the next record.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The nonce of the next record.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = *self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    /// The part of it that records of TLS 1.2 with AES-GCM carry.
    pub(super) fn explicit_nonce(&self) -> [u8; 8] {
        let [.., a, b, c, d, e, f, g, h] = self.nonce();
        [a, b, c, d, e, f, g, h]
    }

    /// Opens `sealed`, a text and its tag, in place; the text's length.
    ///
    /// # Errors
    /// The peer's: it is not the next record, sealed with this key.
    pub(super) fn open(
        &mut self,
        explicit: Option<[u8; 8]>,
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, RecordFault> {
        let mut nonce = self.nonce();
        if let Some(explicit) = explicit {
            nonce[NONCE_LEN - 8..].copy_from_slice(&explicit);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let text = self.key.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| RecordFault::RecordMac)?;
        self.sequence += 1;
        Ok(text.len())
    }

    /// The nonce of the next record, which is used up.
    fn next_nonce(&mut self) -> Nonce {
        let nonce = self.nonce();
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals `text` in place.
    pub(super) fn seal(&mut self, aad: &[u8], text: &mut [u8], tag: &mut [u8]) {
        let nonce = self.next_nonce();
        self.key.seal_in_place_scatter(nonce, Aad::from(aad), text, &[], tag).expect(LENGTHS_FIT);
    }

    /// Seals `text` and `extra`, of which `sealed` takes the first and `tail` the second, and the tag.
    pub(super) fn seal_from(&mut self, aad: &[u8], (text, extra): (&[u8], &[u8]), sealed: &mut [u8], tail: &mut [u8]) {
        let nonce = self.next_nonce();
        self.key.seal_out_of_place_scatter(nonce, Aad::from(aad), text, sealed, extra, tail).expect(LENGTHS_FIT);
    }
}
