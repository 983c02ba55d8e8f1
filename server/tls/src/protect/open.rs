//! Records that have come, opened in place.
//!
//! ```text
//!  before │ header │ sealed text A │ tag │ header │ sealed text B │ tag │ header │ part of C …
//!  after  │        │ text A │ text B │ …                               └ kept by `partial`
//! ```
//!
//! **Not** the reactor's buffers: `layer` brings them.
//!
//! **Invariants**: after a close_notify or a fault nothing more is opened; the texts of a run lie side by side, in order; what a
//! peer may send without data is bounded.
//!
//! **Source**: RFC 8446 sections 4.6.3, 5 and 6; RFC 5246 sections 6.2 and 7.2.

use std::ops::Range;

use super::fault::{RecordFault, TlsAlert};
use super::header::{ContentType, HEADER_BYTES, RecordFormat, TEXT_BYTES_MAX};
use super::keys::Direction;
use super::messages::{LateMessage, LateMessages};
use super::side::KernelSide;
use super::v12;

/// Most records without text in a row.
pub(super) const EMPTY_RECORDS_MAX: u8 = 32;

/// Most KeyUpdates and tickets without text between them: each costs several microseconds.
pub(super) const MESSAGES_MAX: u8 = 32;

/// Most warnings of a connection.
pub(super) const WARNINGS_MAX: u8 = 4;

/// What the peer may still send without data.
#[derive(Default)]
struct DatalessCounts {
    empty_records: u8,
    messages: u8,
    warnings: u8,
    renegotiations: u8,
}

/// What a record asks of the side that seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OwedReplies {
    /// Our keys change before we send more.
    pub(super) key_update: bool,
    /// The peer is told that there will be no other handshake.
    pub(super) no_renegotiation: bool,
}

/// What was opened of a run of bytes.
#[derive(Debug, Default)]
pub(super) struct OpenedRun {
    /// Where the text is.
    pub(super) text: Range<usize>,
    /// Bytes of whole records.
    pub(super) used: usize,
}

/// The receiving direction of a connection.
pub(super) struct Opening {
    direction: Direction,
    format: RecordFormat,
    messages: LateMessages,
    spent: DatalessCounts,
    ended: bool,
    asked: OwedReplies,
}

impl Opening {
    pub(super) fn new(direction: Direction, format: RecordFormat, is_client: bool) -> Self {
        let messages = LateMessages::new(format, is_client);
        Opening {
            direction,
            format,
            messages,
            spent: DatalessCounts::default(),
            ended: false,
            asked: OwedReplies::default(),
        }
    }

    /// Whether the peer has said that it sends no more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What was asked since the last time.
    pub(super) fn take_asked(&mut self) -> OwedReplies {
        std::mem::take(&mut self.asked)
    }

    /// Opens the whole records at the front of `bytes`, and moves their text together. `run` says how far it came, with a fault too.
    ///
    /// # Errors
    /// The peer's: what is behind `run` is wrong.
    pub(super) fn open_run(
        &mut self,
        bytes: &mut [u8],
        side: &mut KernelSide,
        run: &mut OpenedRun,
    ) -> Result<(), RecordFault> {
        while !self.ended {
            let Some(record_bytes) = self.format.record_bytes(&bytes[run.used..])? else { break };
            let Some(record) = bytes.get_mut(run.used..run.used + record_bytes) else { break };
            let text = self.open(record, side)?;
            let text = run.used + text.start..run.used + text.end;
            run.used += record_bytes;
            if run.text.is_empty() {
                run.text = text;
            } else if !text.is_empty() {
                let text_bytes = text.len();
                bytes.copy_within(text, run.text.end);
                run.text.end += text_bytes;
            }
        }
        Ok(())
    }

    /// Opens a whole record; where its text is, empty if it has none for the task.
    ///
    /// # Errors
    /// The peer's.
    pub(super) fn open(&mut self, record: &mut [u8], side: &mut KernelSide) -> Result<Range<usize>, RecordFault> {
        let (content, text) = match self.format {
            RecordFormat::Tls13 => open_13(&mut self.direction, record)?,
            RecordFormat::Tls12Gcm | RecordFormat::Tls12ChaCha => v12::open(&mut self.direction, self.format, record)?,
        };
        if content != ContentType::HANDSHAKE && self.messages.has_begun() {
            return Err(RecordFault::MessageSplit);
        }
        match content {
            ContentType::DATA if text.is_empty() => {
                spend(&mut self.spent.empty_records, EMPTY_RECORDS_MAX).then_some(text).ok_or(RecordFault::EmptyRecords)
            }
            ContentType::DATA => {
                (self.spent.empty_records, self.spent.messages) = (0, 0);
                Ok(text)
            }
            ContentType::ALERT => self.alert(&record[text]).map(|()| 0..0),
            ContentType::HANDSHAKE => self.handshake(&record[text], side).map(|()| 0..0),
            _ => Err(RecordFault::RecordType),
        }
    }

    fn alert(&mut self, content: &[u8]) -> Result<(), RecordFault> {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        let (level, alert) = match *content {
            [] => return Err(RecordFault::EmptyMessage),
            [level, alert] => (level, TlsAlert(alert)),
            _ => return Err(RecordFault::AlertLength),
        };
        match (level, alert) {
            (WARNING | FATAL, TlsAlert::CLOSE_NOTIFY) => self.ended = true,
            (WARNING, warning) if self.format != RecordFormat::Tls13 || warning == TlsAlert::USER_CANCELED => {
                if !spend(&mut self.spent.warnings, WARNINGS_MAX) {
                    return Err(RecordFault::Warnings);
                }
            }
            (WARNING | FATAL, alert) => return Err(RecordFault::Received(alert)),
            _ => return Err(RecordFault::AlertLevel),
        }
        Ok(())
    }

    fn handshake(&mut self, content: &[u8], side: &mut KernelSide) -> Result<(), RecordFault> {
        let Opening { direction, messages, spent, asked, .. } = self;
        messages.read(content, |message| {
            if !spend(&mut spent.messages, MESSAGES_MAX) {
                return Err(RecordFault::Messages);
            }
            match message {
                LateMessage::KeyUpdate { requested } => {
                    *direction = Direction::new(&side.next_to_open()?)?;
                    asked.key_update |= requested;
                }
                LateMessage::Ticket(ticket) => side.keep_ticket(ticket)?,
                LateMessage::Renegotiation if spend(&mut spent.renegotiations, 1) => asked.no_renegotiation = true,
                LateMessage::Renegotiation => return Err(RecordFault::Renegotiation),
            }
            Ok(())
        })
    }

    /// Bytes of memory that are held for a handshake message.
    #[cfg(test)]
    pub(super) fn message_capacity(&self) -> usize {
        self.messages.capacity()
    }
}

/// Takes one of `most`; false when all are taken.
fn spend(spent: &mut u8, most: u8) -> bool {
    if *spent == most {
        return false;
    }
    *spent += 1;
    true
}

/// Opens a whole record of TLS 1.3, header and all, in place; its type, and where its text is.
///
/// # Errors
/// The peer's: it does not open, has no type, or its text is too long.
fn open_13(direction: &mut Direction, record: &mut [u8]) -> Result<(ContentType, Range<usize>), RecordFault> {
    let (header, sealed) = record.split_first_chunk_mut::<HEADER_BYTES>().expect("a whole record has its header");
    let inner_bytes = direction.open(None, header, sealed)?;
    if inner_bytes > TEXT_BYTES_MAX + 1 {
        return Err(RecordFault::RecordLength);
    }
    let inner = &sealed[..inner_bytes];
    let text_bytes = inner.iter().rposition(|&byte| byte != 0).ok_or(RecordFault::RecordPadding)?;
    Ok((ContentType(inner[text_bytes]), HEADER_BYTES..HEADER_BYTES + text_bytes))
}
