//! What is sent, sealed into records.
//!
//! **Not** when to send, or how much: `layer` is asked by its connection.
//!
//! **Invariants**: a record has 16 KiB of text at most. PlainText of 4 KiB and more is sealed out of place: to copy it behind a header and
//! seal it there would cost thirty times as much, since the copy lies five bytes past its source within a page. No key of AES-GCM seals more
//! records than its bound.
//!
//! **Source**: RFC 8446 sections 4.6.3, 5.1, 5.2 and 5.5; RFC 5288 section 3.

use super::fault::{RecordFault, TlsAlert};
use super::header::{ContentType, HEADER_BYTES, RecordFormat, TAG_BYTES, TEXT_BYTES_MAX, VERSION};
use super::keys::Direction;
use super::messages::KEY_UPDATE;
use super::side::KernelSide;
use super::v12;

/// From this many bytes on, text is not copied before it is sealed.
const IN_PLACE_BYTES_MAX: usize = 4096;

/// Most records of one key of AES-GCM: below the 2^24.5 at which RFC 8446 section 5.5 sees its margin gone.
pub(super) const GCM_RECORDS_MAX: u64 = 1 << 23;

/// The text that waits to be sent: the front of a queue, piece by piece.
pub(super) trait PlainText {
    /// Its first piece; empty when there is no more.
    fn chunk(&self) -> &[u8];

    /// Bytes in all of its pieces.
    fn remaining(&self) -> usize;

    /// Takes the first `count` bytes of its first piece.
    fn consume(&mut self, count: usize);
}

/// The sending direction of a connection.
pub(super) struct Sealing {
    direction: Direction,
    format: RecordFormat,
    /// Records after which a key is changed.
    records_max: u64,
    /// The peer has asked for it.
    update_owed: bool,
}

impl Sealing {
    pub(super) fn new(direction: Direction, format: RecordFormat, records_max: u64) -> Self {
        Sealing { direction, format, records_max, update_owed: false }
    }

    /// Changes the key before the next text.
    pub(super) fn owe_update(&mut self) {
        self.update_owed = true;
    }

    /// Seals all of `text`, and appends the records to `wire`.
    ///
    /// # Errors
    /// Ours: a key that cannot be changed has sealed all that it may. Nothing more may be sealed but the alert that says so.
    pub(super) fn seal(
        &mut self,
        text: &mut impl PlainText,
        side: &mut KernelSide,
        wire: &mut Vec<u8>,
    ) -> Result<(), RecordFault> {
        let records = text.remaining() / TEXT_BYTES_MAX + 2;
        wire.reserve(text.remaining() + records * self.format.overhead_bytes());
        while text.remaining() > 0 {
            self.renew(side, wire)?;
            if text.chunk().len() < IN_PLACE_BYTES_MAX {
                self.seal_gathered(text, wire);
            } else {
                let record_bytes = text.chunk().len().min(TEXT_BYTES_MAX);
                self.seal_copied(&text.chunk()[..record_bytes], wire);
                text.consume(record_bytes);
            }
        }
        Ok(())
    }

    /// Changes the key if it is time.
    fn renew(&mut self, side: &mut KernelSide, wire: &mut Vec<u8>) -> Result<(), RecordFault> {
        let is_used_up = self.direction.sequence() >= self.records_max;
        if !is_used_up && !self.update_owed {
            return Ok(());
        }
        if self.format != RecordFormat::Tls13 {
            return Err(RecordFault::RecordLimit);
        }
        let next = side.next_to_seal()?;
        let next = Direction::new(&next)?;
        // Not asking for the same: the peer's key is the peer's to count.
        self.seal_whole(ContentType::HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0], wire);
        self.direction = next;
        self.update_owed = false;
        Ok(())
    }

    /// A record of an alert.
    pub(super) fn seal_alert(&mut self, alert: TlsAlert, wire: &mut Vec<u8>) {
        let level = match alert {
            TlsAlert::CLOSE_NOTIFY | TlsAlert::NO_RENEGOTIATION => 1,
            _ => 2,
        };
        self.seal_whole(ContentType::ALERT, &[level, alert.0], wire);
    }

    fn seal_whole(&mut self, content: ContentType, text: &[u8], wire: &mut Vec<u8>) {
        let start = self.begin(content, wire);
        wire.extend_from_slice(text);
        self.end(content, start, wire);
    }

    /// A record of small pieces, copied together.
    fn seal_gathered(&mut self, text: &mut impl PlainText, wire: &mut Vec<u8>) {
        let start = self.begin(ContentType::DATA, wire);
        let mut room = TEXT_BYTES_MAX;
        loop {
            let chunk = text.chunk();
            let count = chunk.len().min(room);
            if count == 0 || chunk.len() >= IN_PLACE_BYTES_MAX {
                break;
            }
            wire.extend_from_slice(&chunk[..count]);
            text.consume(count);
            room -= count;
        }
        self.end(ContentType::DATA, start, wire);
    }

    /// Header and nonce; the length is written when it is known.
    fn begin(&mut self, content: ContentType, wire: &mut Vec<u8>) -> usize {
        let start = wire.len();
        wire.extend_from_slice(&[content.0, VERSION[0], VERSION[1], 0, 0]);
        match self.format {
            RecordFormat::Tls13 => wire[start] = ContentType::DATA.0,
            RecordFormat::Tls12Gcm => wire.extend_from_slice(&self.direction.explicit_nonce()),
            RecordFormat::Tls12ChaCha => {}
        }
        start
    }

    /// Seals what is behind the header at `start`, in place.
    fn end(&mut self, content: ContentType, start: usize, wire: &mut Vec<u8>) {
        let text_bytes = wire.len() - start - HEADER_BYTES - self.format.front_bytes();
        if self.format == RecordFormat::Tls13 {
            wire.push(content.0);
        }
        wire.extend_from_slice(&[0; TAG_BYTES]);
        let (header, sealed) = split(self.format, &mut wire[start..]);
        let (text, tag) = sealed.split_at_mut(sealed.len() - TAG_BYTES);
        if self.format == RecordFormat::Tls13 {
            self.direction.seal(header, text, tag);
        } else {
            let associated = v12::associated(self.direction.sequence(), content, text_bytes);
            self.direction.seal(&associated, text, tag);
        }
    }

    /// A record of data, at most as much as a record takes.
    fn seal_copied(&mut self, text: &[u8], wire: &mut Vec<u8>) {
        let start = self.begin(ContentType::DATA, wire);
        wire.resize(wire.len() + text.len() + self.format.back_bytes(), 0);
        let (header, sealed) = split(self.format, &mut wire[start..]);
        let (sealed, tail) = sealed.split_at_mut(text.len());
        if self.format == RecordFormat::Tls13 {
            self.direction.seal_from(header, (text, &[ContentType::DATA.0]), sealed, tail);
        } else {
            let associated = v12::associated(self.direction.sequence(), ContentType::DATA, text.len());
            self.direction.seal_from(&associated, (text, &[]), sealed, tail);
        }
    }
}

/// Writes a record's length; its header, and what is sealed.
fn split(format: RecordFormat, record: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let (header, body) = record.split_at_mut(HEADER_BYTES);
    header[3..].copy_from_slice(&(body.len() as u16).to_be_bytes());
    (header, &mut body[format.front_bytes()..])
}
