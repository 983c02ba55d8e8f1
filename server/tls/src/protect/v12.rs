//! What TLS 1.2 does otherwise: what is authenticated beside the text, and where the nonce is.
//!
//! **Not** renegotiation, compression, or suites that pad and then hash.
//!
//! **Invariants**: the number in what is authenticated is that of the record, also where the nonce is in the record.
//!
//! **Source**: RFC 5246 section 6.2.3.3, RFC 5288 section 3, RFC 7905 section 2.

use std::ops::Range;

use super::fault::RecordFault;
use super::header::{ContentType, HEADER_BYTES, RecordFormat, TAG_BYTES, TEXT_BYTES_MAX, VERSION};
use super::keys::Direction;

/// What is authenticated beside the text of the record with this number.
pub(super) fn associated(sequence: u64, content: ContentType, text_bytes: usize) -> [u8; 13] {
    let mut bytes = [0; 13];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[8] = content.0;
    bytes[9..11].copy_from_slice(&VERSION);
    bytes[11..].copy_from_slice(&(text_bytes as u16).to_be_bytes());
    bytes
}

/// Opens a whole record, header and all, in place; its type, and where its text is.
///
/// # Errors
/// The peer's: it does not open, or its text is too long.
pub(super) fn open(
    direction: &mut Direction,
    format: RecordFormat,
    record: &mut [u8],
) -> Result<(ContentType, Range<usize>), RecordFault> {
    let content = ContentType(record[0]);
    let start = HEADER_BYTES + format.front_bytes();
    let text_bytes = record.len().checked_sub(start + TAG_BYTES).ok_or(RecordFault::RecordMac)?;
    let explicit = match format {
        RecordFormat::Tls12Gcm => record[HEADER_BYTES..].first_chunk::<8>().copied(),
        RecordFormat::Tls12ChaCha | RecordFormat::Tls13 => None,
    };
    let associated = associated(direction.sequence(), content, text_bytes);
    direction.open(explicit, &associated, &mut record[start..])?;
    if text_bytes > TEXT_BYTES_MAX {
        return Err(RecordFault::RecordLength);
    }
    Ok((content, start..start + text_bytes))
}
