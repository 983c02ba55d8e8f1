//! The part of a handshake that both sides share: rustls is shown one record at a time, and what it has to say is gathered.
//!
//! **Not** the end of the connection: a fault's alert is written, and sending it is the caller's.
//!
//! **Invariants**: rustls sees no record after Finished, for it would decrypt traffic with keys that are ours by then. After a fault it is
//! asked once more: the alert comes after the error.

use rustls::kernel::KernelConnection;
use rustls::pki_types::CertificateDer;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, ReadEarlyData, UnbufferedStatus, WriteTraffic,
};
use rustls::{AlertDescription, CipherSuite, CommonState, Error, ExtractedSecrets, HandshakeKind, ProtocolVersion};

use super::fault::{HandshakeFault, is_no_record};
use super::peer::PeerCertificate;
use super::records::{HEADER_BYTES, NextRecord, Records};

/// Bytes of the tag behind the text of a record.
const TAG_BYTES: usize = 16;

/// Levels of alerts.
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeStep {
    /// More bytes of the peer's are needed. What was written is to be sent.
    NeedsBytes,
    /// A server's: the expensive step comes next, and needs a permit.
    NeedsPermit,
    /// A server's: the client has sent early data, which are to be taken; the handshake goes on. Whoever does not want to serve them
    /// before its end may take them and go on.
    HasEarlyData,
    /// Both have finished; what was written is to be sent before anything else.
    Done,
}

/// What has become of data that a client has sent with its first flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyData {
    /// There were none.
    None,
    /// They are thrown away: the client has to send them again.
    Refused,
    /// They are served.
    Accepted,
}

/// What a handshake has negotiated, besides keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Negotiated {
    /// The application protocol that ALPN has chosen; `None`: the peer does not speak ALPN, or none was asked for.
    pub alpn: Option<Box<[u8]>>,
    /// Full or resumed.
    pub kind: HandshakeKind,
    /// TLS 1.2 or 1.3.
    pub version: ProtocolVersion,
    /// The suite that protects records.
    pub suite: CipherSuite,
    /// The name of the server that the client asked for, in small letters.
    pub server_name: Option<Box<str>>,
    /// Who the peer is, when it has shown a certificate.
    pub peer_certificate: Option<PeerCertificate>,
    /// Data that were sent with the first flight.
    pub early_data: EarlyData,
}

/// A handshake that is done.
pub struct FinishedHandshake<Data> {
    /// The keys of both directions, and the sequence numbers with which they begin.
    pub secrets: ExtractedSecrets,
    /// What makes the keys that follow these, and takes a client's tickets.
    pub kernel: KernelConnection<Data>,
    /// Bytes of the peer's that came behind its Finished: records of traffic.
    pub unread: Vec<u8>,
    /// What was negotiated.
    pub negotiated: Negotiated,
}

/// rustls's connection of one side.
pub(super) trait RustlsSide {
    type Data;

    fn process<'c, 'i>(&'c mut self, shown: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Takes the early data that were read.
    fn read_early(early: ReadEarlyData<'_, '_, Self::Data>, text: &mut Vec<u8>) -> Result<(), Error>;

    fn state(&self) -> &CommonState;

    fn into_kernel(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error>;
}

/// A handshake of either side.
pub(super) struct HandshakeEngine<E> {
    side: E,
    records: Records,
    done: bool,
    /// Early data that have not been taken: at most as many as the configuration allows.
    early: Vec<u8>,
    has_early: bool,
}

impl<E: RustlsSide> HandshakeEngine<E> {
    pub(super) fn new(side: E) -> Self {
        HandshakeEngine { side, records: Records::default(), done: false, early: Vec::new(), has_early: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.records.push(bytes);
    }

    pub(super) fn next(&self) -> NextRecord<'_> {
        self.records.next()
    }

    /// The version that was chosen, when one was.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.side.state().protocol_version()
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether early data wait to be taken.
    pub(super) fn holds_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether there were early data.
    pub(super) fn has_early(&self) -> bool {
        self.has_early
    }

    pub(super) fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }

    /// Shows rustls the next record, which is whole, and writes what it has to say.
    pub(super) fn show_next(&mut self, wire: &mut Vec<u8>) -> Result<(), HandshakeFault> {
        self.records.show_next();
        self.run(wire)
    }

    /// Takes a record out of rustls's sight that is of refused early data: rustls has skipped it, would look at it again with each later
    /// one, and count its bytes each time against the bound of what it skips. The text that it cannot open the library has overwritten with
    /// zeros, with which no message of a handshake begins.
    pub(super) fn discard_skipped(&mut self) {
        let shown = self.records.shown();
        let skipped = shown.len();
        let text = shown.get(HEADER_BYTES..skipped.saturating_sub(TAG_BYTES)).unwrap_or_default();
        if !text.is_empty() && text.iter().all(|byte| *byte == 0) {
            self.records.discard(skipped);
        }
    }

    /// Refuses what comes next, which is no record: rustls knows its alert.
    pub(super) fn refuse_no_record(&mut self, wire: &mut Vec<u8>) -> HandshakeFault {
        self.records.show_header();
        self.run(wire).err().unwrap_or_else(|| self.refuse(HandshakeFault::NotTls, wire))
    }

    /// Runs rustls on what it has been shown, and writes what it has to say.
    pub(super) fn run(&mut self, wire: &mut Vec<u8>) -> Result<(), HandshakeFault> {
        let written_before = wire.len();
        let (version, received) = (self.version(), self.records.shown().len());
        match self.run_until_blocked(wire) {
            Ok(()) => {
                if wire.len() > written_before {
                    self.records.begin_flight();
                }
                Ok(())
            }
            Err(error) => {
                self.collect_alert(wire);
                let nothing_read = version.is_none() && received > 0;
                let fault = match nothing_read && is_no_record(&error) {
                    true => HandshakeFault::NotTls,
                    false => HandshakeFault::from(error),
                };
                if wire.len() == written_before { Err(self.refuse(fault, wire)) } else { Err(fault) }
            }
        }
    }

    fn run_until_blocked(&mut self, wire: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            let status = self.side.process(self.records.shown());
            let discard = status.discard;
            let blocked = match status.state {
                Ok(ConnectionState::EncodeTlsData(message)) => encode(message, wire).map(|()| false),
                Ok(ConnectionState::TransmitTlsData(message)) => {
                    message.done();
                    Ok(false)
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Ok(true),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    Err(Error::AlertReceived(AlertDescription::CloseNotify))
                }
                Ok(ConnectionState::ReadEarlyData(early)) => {
                    self.has_early = true;
                    E::read_early(early, &mut self.early).map(|()| false)
                }
                // Not reached: rustls sees no record after Finished.
                Ok(state) => Err(Error::General(format!("traffic within a handshake: {state:?}"))),
                Err(error) => Err(error),
            };
            self.records.discard(discard);
            if blocked? {
                self.done = !self.side.state().is_handshaking();
                return Ok(());
            }
        }
    }

    /// After an error, rustls has its alert to write with the next call. It is not called beyond that: it would read the same
    /// broken record again, and send a second alert.
    fn collect_alert(&mut self, wire: &mut Vec<u8>) {
        const PLAIN_HANDSHAKE: [u8; 2] = [20, 22];
        loop {
            let status = self.side.process(self.records.shown());
            let discard = status.discard;
            let (written, encoded) = (
                wire.len(),
                match status.state {
                    Ok(ConnectionState::EncodeTlsData(message)) => encode(message, wire),
                    _ => return,
                },
            );
            self.records.discard(discard);
            let is_before_alert = wire.get(written).is_some_and(|kind| PLAIN_HANDSHAKE.contains(kind));
            if encoded.is_err() || !is_before_alert {
                return;
            }
        }
    }

    /// Ends the handshake for a reason that rustls does not know, and writes the alert that says so to the peer, while no version is
    /// chosen. Later an alert may have to be encrypted, which rustls does for its own only: the connection just ends.
    pub(super) fn refuse(&self, fault: HandshakeFault, wire: &mut Vec<u8>) -> HandshakeFault {
        if let (None, Some(alert)) = (self.version(), fault.alert()) {
            let level = if alert == AlertDescription::CloseNotify { WARNING } else { FATAL };
            wire.extend_from_slice(&[21, 3, 3, 0, 2, level, u8::from(alert)]);
        }
        fault
    }

    /// Has rustls write with its keys of traffic, which may be used before the peer's Finished has come.
    pub(super) fn write_traffic(
        &mut self,
        wire: &mut Vec<u8>,
        mut write: impl FnMut(&mut WriteTraffic<'_, E::Data>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Error> {
        loop {
            let status = self.side.process(self.records.shown());
            let discard = status.discard;
            let written = match status.state {
                Ok(ConnectionState::EncodeTlsData(message)) => encode(message, wire).map(|()| false),
                Ok(ConnectionState::TransmitTlsData(message)) => {
                    message.done();
                    Ok(false)
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    append(wire, |room| write(&mut traffic, room)).map(|()| true)
                }
                Ok(state) => Err(Error::General(format!("nothing can be sent yet: {state:?}"))),
                Err(error) => Err(error),
            };
            self.records.discard(discard);
            if written? {
                return Ok(());
            }
        }
    }

    /// What was negotiated, as soon as the peer's hello is answered.
    pub(super) fn negotiated(
        &self,
        server_name: Option<Box<str>>,
        early_data: EarlyData,
    ) -> Result<Negotiated, HandshakeFault> {
        negotiated(self.side.state(), server_name, early_data)
    }

    /// The keys and the rest, of a handshake that is done.
    pub(super) fn finish(
        self,
        server_name: Option<Box<str>>,
        early_data: EarlyData,
    ) -> Result<FinishedHandshake<E::Data>, HandshakeFault> {
        assert!(self.done, "a handshake is finished when it is done");
        let negotiated = self.negotiated(server_name, early_data)?;
        let (secrets, kernel) = self.side.into_kernel()?;
        Ok(FinishedHandshake { secrets, kernel, unread: self.records.into_unseen(), negotiated })
    }
}

fn negotiated(
    state: &CommonState,
    server_name: Option<Box<str>>,
    early_data: EarlyData,
) -> Result<Negotiated, HandshakeFault> {
    let unfinished = || HandshakeFault::Internal(Error::HandshakeNotComplete);
    Ok(Negotiated {
        alpn: state.alpn_protocol().map(Box::from),
        kind: state.handshake_kind().ok_or_else(unfinished)?,
        version: state.protocol_version().ok_or_else(unfinished)?,
        suite: state.negotiated_cipher_suite().ok_or_else(unfinished)?.suite(),
        server_name,
        early_data,
        peer_certificate: state
            .peer_certificates()
            .and_then(|chain: &[CertificateDer<'static>]| PeerCertificate::of(chain)),
    })
}

/// Appends what `write` writes: the first call says how much room it needs.
fn append(wire: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>) -> Result<(), Error> {
    let written = wire.len();
    let room = match write(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncryptError::InsufficientSize(size)) => size.required_size,
        Err(error) => return Err(Error::General(error.to_string())),
    };
    wire.resize(written + room, 0);
    let used = write(&mut wire[written..]).map_err(|error| Error::General(error.to_string()))?;
    wire.truncate(written + used);
    Ok(())
}

/// Writes one of rustls's messages.
fn encode<Data>(mut message: EncodeTlsData<'_, Data>, wire: &mut Vec<u8>) -> Result<(), Error> {
    let written = wire.len();
    // The first call says how many bytes it has.
    let Err(EncodeError::InsufficientSize(size)) = message.encode(&mut []) else { return Ok(()) };
    wire.resize(written + size.required_size, 0);
    match message.encode(&mut wire[written..]) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::General(error.to_string())),
    }
}
