//! A record of which a part has come.
//!
//! **Invariants**: at most one record, header and all, whose header may come; nothing between records.

use super::fault::RecordFault;
use super::header::{HEADER_BYTES, RecordFormat};

/// The bytes of the record that is coming.
#[derive(Default)]
pub(super) struct Partial {
    bytes: Vec<u8>,
}

impl Partial {
    /// Whether nothing of a record has come.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what the record still needs from the front of `input`, and says how much that was.
    ///
    /// # Errors
    /// The peer's: its header is one that may not come.
    pub(super) fn fill(&mut self, input: &[u8], format: RecordFormat) -> Result<usize, RecordFault> {
        let header_bytes = HEADER_BYTES.saturating_sub(self.bytes.len()).min(input.len());
        let (header, rest) = input.split_at(header_bytes);
        self.bytes.extend_from_slice(header);
        let Some(record_bytes) = format.record_bytes(&self.bytes)? else { return Ok(header_bytes) };
        let missing = record_bytes - self.bytes.len();
        self.bytes.reserve_exact(missing);
        let body = &rest[..missing.min(rest.len())];
        self.bytes.extend_from_slice(body);
        Ok(header_bytes + body.len())
    }

    /// Gives out the record, if it is whole; then nothing is kept.
    pub(super) fn take_whole(&mut self, format: RecordFormat) -> Option<Vec<u8>> {
        let record_bytes = format.record_bytes(&self.bytes).ok()??;
        (self.bytes.len() == record_bytes).then(|| std::mem::take(&mut self.bytes))
    }

    /// Bytes of memory that are held.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_with_its_last_byte_whatever_the_pieces() {
        let record: Vec<u8> = [23, 3, 3, 0, 40].into_iter().chain(0..40).collect();
        for piece_bytes in 1..=record.len() {
            let mut partial = Partial::default();
            for (index, piece) in record.chunks(piece_bytes).enumerate() {
                assert_eq!(partial.take_whole(RecordFormat::Tls13), None, "piece {index} of {piece_bytes}");
                assert_eq!(partial.fill(piece, RecordFormat::Tls13), Ok(piece.len()));
            }
            assert_eq!(partial.fill(b"what follows", RecordFormat::Tls13), Ok(0));
            assert_eq!(partial.take_whole(RecordFormat::Tls13).as_ref(), Some(&record));
            assert_eq!(partial.capacity(), 0);
        }
    }

    #[test]
    fn what_may_not_come_is_refused_with_its_header() {
        let mut partial = Partial::default();
        assert_eq!(partial.fill(&[23, 3, 3, 0x41], RecordFormat::Tls13), Ok(4));
        assert_eq!(partial.fill(&[0x01, 0, 0], RecordFormat::Tls13), Err(RecordFault::RecordLength));
        assert!(partial.capacity() <= 8, "room is made for what may come");
    }
}
