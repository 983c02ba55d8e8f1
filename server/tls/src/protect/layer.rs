//! The layer of a connection whose handshake is over.
//!
//! **Not** handshakes, and no clock: an answering KeyUpdate goes with the next data that we send, so that a peer gets at most one for
//! each of our sends and none for KeyUpdates alone.
//!
//! **Invariants**: an idle layer holds no buffer; a connection whose records are whole in what is received takes no memory; after a fatal
//! alert or a close_notify nothing more is sealed, and what is written is dropped.

use reactor::{Fault, Opened, Plain, Protection, Received};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, ProtocolVersion};

use super::fault::{RecordFault, TlsAlert};
use super::header::RecordFormat;
use super::keys::Direction;
use super::open::{OpenedRun, Opening};
use super::partial::Partial;
use super::seal::{GCM_RECORDS_MAX, PlainText, Sealing};
use super::side::KernelSide;

/// Records of one connection, in both directions.
pub struct RecordLayer {
    opening: Opening,
    sealing: Sealing,
    side: KernelSide,
    format: RecordFormat,
    partial: Partial,
    fault: Option<RecordFault>,
    /// What the peer is to be told first.
    alert: Option<TlsAlert>,
    /// The task has nothing more to write.
    is_closing: bool,
    /// Nothing more is sealed.
    is_closed: bool,
}

/// Secrets of a suite or a version that records cannot be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("records of this suite or version are not known")]
pub struct UnknownRecords;

impl RecordLayer {
    /// Goes on where rustls has stopped: keys, and the numbers of the next records, are in `secrets`.
    ///
    /// # Errors
    /// Ours: the configuration has let the peers agree on something else than TLS 1.2 or 1.3 with AES-GCM or ChaCha20-Poly1305.
    pub fn new(secrets: ExtractedSecrets, side: KernelSide, version: ProtocolVersion) -> Result<Self, UnknownRecords> {
        RecordLayer::with_records_max(secrets, side, version, GCM_RECORDS_MAX)
    }

    /// As [`RecordLayer::new`], with another bound for the records of one key of AES-GCM.
    pub(super) fn with_records_max(
        secrets: ExtractedSecrets,
        side: KernelSide,
        version: ProtocolVersion,
        gcm_records_max: u64,
    ) -> Result<Self, UnknownRecords> {
        let ExtractedSecrets { tx, rx } = secrets;
        let is_chacha = matches!(tx.1, ConnectionTrafficSecrets::Chacha20Poly1305 { .. });
        let format = match version {
            ProtocolVersion::TLSv1_3 => RecordFormat::Tls13,
            ProtocolVersion::TLSv1_2 if is_chacha => RecordFormat::Tls12ChaCha,
            ProtocolVersion::TLSv1_2 => RecordFormat::Tls12Gcm,
            _ => return Err(UnknownRecords),
        };
        // The number of a record of ChaCha20-Poly1305 is its only bound.
        let records_max = if is_chacha { u64::MAX } else { gcm_records_max };
        let direction = |secrets| Direction::new(secrets).map_err(|_| UnknownRecords);
        Ok(RecordLayer {
            opening: Opening::new(direction(&rx)?, format, side.is_client()),
            sealing: Sealing::new(direction(&tx)?, format, records_max),
            side,
            format,
            partial: Partial::default(),
            fault: None,
            alert: None,
            is_closing: false,
            is_closed: false,
        })
    }

    /// Bytes of memory that are held for records and messages that are not whole.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.partial.capacity() + self.opening.message_capacity()
    }

    fn open_all(&mut self, mut received: Received, opened: &mut Opened) -> Result<(), RecordFault> {
        if !self.partial.is_empty() {
            let taken = self.partial.fill(&received, self.format)?;
            received.consume(taken);
            let Some(record) = self.partial.take_whole(self.format) else { return Ok(()) };
            self.open_gathered(record, opened)?;
        }
        let mut run = OpenedRun::default();
        let mut outcome = self.opening.open_run(received.bytes_mut(), &mut self.side, &mut run);
        if outcome.is_ok() && !self.opening.has_ended() && run.used < received.len() {
            outcome = self.partial.fill(&received[run.used..], self.format).map(|_all| ());
        }
        received.consume(run.text.start);
        received.truncate(run.text.len());
        opened.push(received);
        outcome
    }

    /// A record that came in parts.
    fn open_gathered(&mut self, mut record: Vec<u8>, opened: &mut Opened) -> Result<(), RecordFault> {
        let text = self.opening.open(&mut record, &mut self.side)?;
        let mut piece = Received::owned(record);
        piece.consume(text.start);
        piece.truncate(text.len());
        opened.push(piece);
        Ok(())
    }

    fn answer_what_was_asked(&mut self) {
        let asked = self.opening.take_asked();
        if asked.key_update {
            self.sealing.owe_update();
        }
        if asked.no_renegotiation {
            self.alert = Some(TlsAlert::NO_RENEGOTIATION);
        }
    }

    fn fail(&mut self, fault: RecordFault) {
        self.fault = Some(fault);
        self.alert = fault.alert();
        self.partial = Partial::default();
    }

    /// Says what is to be said first; a fatal alert is the last thing that is sent.
    fn say(&mut self, wire: &mut Vec<u8>) {
        if self.is_closed {
            self.alert = None;
        }
        if let Some(alert) = self.alert.take() {
            self.sealing.seal_alert(alert, wire);
        }
        self.is_closed |= self.fault.is_some();
    }
}

impl Protection for RecordLayer {
    fn open(&mut self, received: Received, opened: &mut Opened) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(told(fault));
        }
        if self.opening.has_ended() {
            return Ok(());
        }
        let outcome = self.open_all(received, opened);
        self.answer_what_was_asked();
        if self.opening.has_ended() {
            self.partial = Partial::default();
            opened.end();
        }
        outcome.map_err(|fault| {
            self.fail(fault);
            told(fault)
        })
    }

    fn seal(&mut self, plain: &mut Plain<'_>, wire: &mut Vec<u8>) {
        self.say(wire);
        if !self.is_closed
            && let Err(fault) = self.sealing.seal(plain, &mut self.side, wire)
        {
            self.fail(fault);
            self.say(wire);
        }
        if self.is_closing && !self.is_closed {
            self.sealing.seal_alert(TlsAlert::CLOSE_NOTIFY, wire);
            self.is_closed = true;
        }
        while self.is_closed && plain.remaining() > 0 {
            plain.consume(plain.chunk().len());
        }
    }

    fn has_to_say(&self) -> bool {
        !self.is_closed && (self.alert.is_some() || self.is_closing)
    }

    fn close(&mut self) {
        self.is_closing = true;
    }
}

impl PlainText for Plain<'_> {
    fn chunk(&self) -> &[u8] {
        Plain::chunk(self)
    }

    fn remaining(&self) -> usize {
        Plain::remaining(self)
    }

    fn consume(&mut self, count: usize) {
        Plain::consume(self, count);
    }
}

fn told(fault: RecordFault) -> Fault {
    Fault(fault.word())
}
