//! The five bytes in front of every record, and what they may say once a handshake is over.
//!
//! ```text
//!  0            1            3            5
//! ┌────────────┬────────────┬────────────┬──────────────┬───────────────────────────────────┬────────┐
//! │ type       │ 0x0303     │ length     │ nonce        │ sealed: text (type, zeros in 1.3) │ tag    │
//! └────────────┴────────────┴────────────┴──────────────┴───────────────────────────────────┴────────┘
//!   1            2            2            8, GCM of 1.2                                      16
//! ```
//!
//! **Not** what is sealed: `open` and `seal`.
//!
//! **Invariants**: a record that is too long, or of a type that may not come, is refused with its header, before any of its bytes are
//! kept.
//!
//! **Source**: RFC 8446 section 5, RFC 5246 section 6.2.

use super::fault::RecordFault;

/// Length of a header, in bytes.
pub(super) const HEADER_BYTES: usize = 5;

/// Length of a tag, in bytes: the same for all suites.
pub(super) const TAG_BYTES: usize = 16;

/// Most text in a record, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 14;

/// The version of every record after a handshake, in both versions of the protocol.
pub(super) const VERSION: [u8; 2] = [3, 3];

/// Longest record of any format, with its header, in bytes.
pub(super) const RECORD_BYTES_MAX: usize = HEADER_BYTES + TEXT_BYTES_MAX + 2048;

// A record's length is a number of 16 bits.
const _: () = assert!(RECORD_BYTES_MAX - HEADER_BYTES <= u16::MAX as usize);

/// What a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentType(pub(super) u8);

impl ContentType {
    pub(super) const ALERT: ContentType = ContentType(21);
    pub(super) const HANDSHAKE: ContentType = ContentType(22);
    pub(super) const DATA: ContentType = ContentType(23);
}

/// How the records of a connection are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordFormat {
    /// TLS 1.3, every suite: the type is sealed with the text.
    Tls13,
    /// TLS 1.2 with AES-GCM: half of the nonce is in the record.
    Tls12Gcm,
    /// TLS 1.2 with ChaCha20-Poly1305.
    Tls12ChaCha,
}

impl RecordFormat {
    /// Bytes between the header and what is sealed.
    pub(super) fn front_bytes(self) -> usize {
        match self {
            RecordFormat::Tls13 | RecordFormat::Tls12ChaCha => 0,
            RecordFormat::Tls12Gcm => 8,
        }
    }

    /// Bytes behind the text.
    pub(super) fn back_bytes(self) -> usize {
        match self {
            RecordFormat::Tls13 => 1 + TAG_BYTES,
            RecordFormat::Tls12Gcm | RecordFormat::Tls12ChaCha => TAG_BYTES,
        }
    }

    /// What a record takes beside its text.
    pub(super) fn overhead_bytes(self) -> usize {
        HEADER_BYTES + self.front_bytes() + self.back_bytes()
    }

    /// Most bytes behind a header.
    fn body_bytes_max(self) -> usize {
        match self {
            RecordFormat::Tls13 => TEXT_BYTES_MAX + 256,
            RecordFormat::Tls12Gcm | RecordFormat::Tls12ChaCha => TEXT_BYTES_MAX + 2048,
        }
    }

    /// Whether a record of this type may come.
    fn admits(self, content: ContentType) -> bool {
        match content {
            ContentType::DATA => true,
            ContentType::ALERT | ContentType::HANDSHAKE => self != RecordFormat::Tls13,
            _ => false,
        }
    }

    /// Length of the record that begins with these bytes, with its header; nothing when the header is not whole.
    ///
    /// # Errors
    /// The peer's: no record of this connection begins like this.
    pub(super) fn record_bytes(self, bytes: &[u8]) -> Result<Option<usize>, RecordFault> {
        if bytes.first().is_some_and(|&content| !self.admits(ContentType(content))) {
            return Err(RecordFault::RecordType);
        }
        if bytes.get(1..3).is_some_and(|version| version != VERSION) {
            return Err(RecordFault::RecordVersion);
        }
        let Some(&[_, _, _, high, low]) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let body_bytes = usize::from(u16::from_be_bytes([high, low]));
        if body_bytes > self.body_bytes_max() {
            return Err(RecordFault::RecordLength);
        }
        Ok(Some(HEADER_BYTES + body_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_judged_as_soon_as_it_can_be() {
        let long_13 = (TEXT_BYTES_MAX + 256) as u16;
        let long_12 = (TEXT_BYTES_MAX + 2048) as u16;
        let of = |content: u8, version: [u8; 2], length: u16| {
            let [high, low] = length.to_be_bytes();
            [content, version[0], version[1], high, low]
        };
        for (format, header, expected) in [
            (RecordFormat::Tls13, of(23, VERSION, 0), Ok(Some(5))),
            (RecordFormat::Tls13, of(23, VERSION, long_13), Ok(Some(5 + 16640))),
            (RecordFormat::Tls13, of(23, VERSION, long_13 + 1), Err(RecordFault::RecordLength)),
            (RecordFormat::Tls12Gcm, of(23, VERSION, long_12), Ok(Some(RECORD_BYTES_MAX))),
            (RecordFormat::Tls12ChaCha, of(21, VERSION, long_12 + 1), Err(RecordFault::RecordLength)),
            (RecordFormat::Tls12Gcm, of(22, VERSION, 40), Ok(Some(45))),
            (RecordFormat::Tls12Gcm, of(20, VERSION, 1), Err(RecordFault::RecordType)),
            (RecordFormat::Tls12Gcm, of(24, VERSION, 40), Err(RecordFault::RecordType)),
            (RecordFormat::Tls13, of(20, VERSION, 1), Err(RecordFault::RecordType)),
            (RecordFormat::Tls13, of(21, VERSION, 2), Err(RecordFault::RecordType)),
            (RecordFormat::Tls13, of(22, VERSION, 40), Err(RecordFault::RecordType)),
            (RecordFormat::Tls13, of(b'G', *b"ET", 0x202f), Err(RecordFault::RecordType)),
            (RecordFormat::Tls13, of(23, [3, 1], 40), Err(RecordFault::RecordVersion)),
            (RecordFormat::Tls12Gcm, of(23, [3, 4], 40), Err(RecordFault::RecordVersion)),
            (RecordFormat::Tls12Gcm, of(23, [2, 3], 40), Err(RecordFault::RecordVersion)),
        ] {
            assert_eq!(format.record_bytes(&header), expected, "{format:?} {header:?}");
            // A type takes a byte, a version three: no more is waited for.
            for cut in 0..HEADER_BYTES {
                let is_known = matches!(
                    (expected, cut),
                    (Err(RecordFault::RecordType), 1..) | (Err(RecordFault::RecordVersion), 3..)
                );
                let expected = if is_known { expected } else { Ok(None) };
                assert_eq!(format.record_bytes(&header[..cut]), expected, "{format:?} {header:?}, {cut} bytes");
            }
        }
    }
}
