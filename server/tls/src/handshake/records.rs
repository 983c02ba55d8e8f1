//! What has come of a handshake, and how much of it rustls may see: up to the end of one record.
//!
//! ```text
//!  bytes  | given up | rustls has seen it | the next record | what follows |
//!         0        start                shown
//! ```
//!
//! **Not** a parser: of a record only the header's length counts here; all else is rustls's to judge.
//!
//! **Invariants**: `start <= shown <= bytes.len()`, and `shown` is where a record ends; a flight has at most
//! [`FLIGHT_BYTES_MAX`] bytes and [`FLIGHT_RECORDS_MAX`] records.

/// Bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 5;

/// Bytes that the records of one flight may have: a chain of certificates, or the largest hello of anybody, several times.
pub(super) const FLIGHT_BYTES_MAX: usize = 64 * 1024;

/// Records that one flight may have. Each may have a certificate's length divided by 64, the least that a peer may ask for
/// (RFC 8449); without a bound, records of one byte make joining their messages cost the square of their number.
pub(super) const FLIGHT_RECORDS_MAX: usize = 512;

/// The longest body of a record that is encrypted (RFC 5246, 6.2.3).
const BODY_BYTES_MAX: usize = 16 * 1024 + 2048;

/// What has come, and where rustls is in it.
#[derive(Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    start: usize,
    shown: usize,
    flight_bytes: usize,
    flight_records: usize,
}

/// The record that comes next.
pub(super) enum NextRecord<'a> {
    /// It is not whole.
    Partial,
    /// It would be one too many, or have too many bytes.
    TooMany,
    /// What is there is no record.
    None,
    /// The whole record.
    Whole(&'a [u8]),
}

impl Records {
    /// Appends bytes that have come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The record after what rustls has seen.
    pub(super) fn next(&self) -> NextRecord<'_> {
        let rest = &self.bytes[self.shown..];
        let Some(&[kind, major, _, high, low]) = rest.first_chunk::<HEADER_BYTES>() else { return NextRecord::Partial };
        let body_bytes = usize::from(u16::from_be_bytes([high, low]));
        if !(20..=24).contains(&kind) || major != 3 || body_bytes > BODY_BYTES_MAX {
            return NextRecord::None;
        }
        let record_bytes = HEADER_BYTES + body_bytes;
        if self.flight_bytes + record_bytes > FLIGHT_BYTES_MAX || self.flight_records >= FLIGHT_RECORDS_MAX {
            return NextRecord::TooMany;
        }
        rest.get(..record_bytes).map_or(NextRecord::Partial, NextRecord::Whole)
    }

    /// Lets rustls see the next record.
    ///
    /// # Panics
    /// When it is not whole.
    pub(super) fn show_next(&mut self) {
        let NextRecord::Whole(record) = self.next() else { panic!("a record is shown when it is whole") };
        let record_bytes = record.len();
        self.shown += record_bytes;
        self.flight_bytes += record_bytes;
        self.flight_records += 1;
    }

    /// Lets rustls see the header of what is no record, and nothing behind it: it takes some of these for records.
    pub(super) fn show_header(&mut self) {
        self.shown += HEADER_BYTES;
    }

    /// What rustls may see.
    pub(super) fn shown(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.shown]
    }

    /// Drops the first `count` bytes of what rustls may see. Without any left, the memory is given up: many half-open handshakes wait.
    pub(super) fn discard(&mut self, count: usize) {
        self.start += count;
        assert!(self.start <= self.shown, "rustls gives up at most what it has seen");
        if self.start == self.bytes.len() {
            *self =
                Records { flight_bytes: self.flight_bytes, flight_records: self.flight_records, ..Records::default() };
        }
    }

    /// The peer's flight has been answered: the next one begins.
    pub(super) fn begin_flight(&mut self) {
        (self.flight_bytes, self.flight_records) = (0, 0);
    }

    /// What rustls has not seen.
    pub(super) fn into_unseen(mut self) -> Vec<u8> {
        self.bytes.drain(..self.shown);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{FLIGHT_BYTES_MAX, FLIGHT_RECORDS_MAX, NextRecord, Records};

    fn record(body_bytes: usize) -> Vec<u8> {
        [&[22, 3, 1], &(body_bytes as u16).to_be_bytes()[..], &vec![7; body_bytes]].concat()
    }

    #[test]
    fn one_record_is_shown_at_a_time_however_the_bytes_come() {
        let mut records = Records::default();
        let wire = [record(10), record(0), record(300)].concat();
        for byte in &wire[..14] {
            records.push(&[*byte]);
            assert!(matches!(records.next(), NextRecord::Partial));
        }
        records.push(&wire[14..]);
        for body_bytes in [10, 0, 300] {
            assert!(matches!(records.next(), NextRecord::Whole(it) if it == record(body_bytes)));
            records.show_next();
            assert_eq!(records.shown(), record(body_bytes));
            records.discard(5 + body_bytes);
        }
        assert_eq!(records.bytes.capacity(), 0, "nothing is kept");
        records.push(b"later");
        assert_eq!(records.into_unseen(), b"later");
    }

    #[test]
    fn of_what_is_no_record_the_header_is_shown() {
        for wire in [&b"GET / HTTP/1.1\r\n"[..], &[22, 2, 0, 0, 1], &[22, 3, 1, 0x48, 1], &[25, 3, 3, 0, 1]] {
            let mut records = Records::default();
            records.push(wire);
            assert!(matches!(records.next(), NextRecord::None));
            records.show_header();
            assert_eq!(records.shown(), &wire[..5]);
        }
    }

    #[test]
    fn a_flight_has_a_bound_on_bytes_and_on_records() {
        let mut records = Records::default();
        for _ in 0..FLIGHT_BYTES_MAX / 16_384 - 1 {
            records.push(&record(16_379));
            records.show_next();
            records.discard(16_384);
        }
        records.push(&record(16_380));
        assert!(matches!(records.next(), NextRecord::TooMany));
        records.begin_flight();
        assert!(matches!(records.next(), NextRecord::Whole(_)));

        let mut records = Records::default();
        for _ in 0..FLIGHT_RECORDS_MAX {
            records.push(&record(1));
            records.show_next();
        }
        records.push(&record(1));
        assert!(matches!(records.next(), NextRecord::TooMany));
    }
}
