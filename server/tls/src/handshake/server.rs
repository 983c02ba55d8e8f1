//! The server's side of a handshake, without a socket and without time.
//!
//! ```text
//!  push ─▶ advance ─▶ NeedsBytes │ NeedsPermit ─▶ permit ─▶ advance │ HasEarlyData ─▶ take_early │ Done ─▶ finish
//!                                                                        └─▶ seal_early, until it is done
//! ```
//!
//! **Not** the choice of certificate, versions or protocols: those are the configuration's.
//!
//! **Invariants**: a ClientHello is worked on only with a permit: that is where a server computes.

use std::sync::Arc;

use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ReadEarlyData, UnbufferedStatus};
use rustls::{CommonState, Error, ExtractedSecrets, ProtocolVersion, ServerConfig};

use super::engine::{EarlyData, FinishedHandshake, HandshakeEngine, HandshakeStep, Negotiated, RustlsSide};
use super::fault::HandshakeFault;
use super::hello::HelloWatch;
use super::records::NextRecord;

/// First byte of a record of TLS 1.3 that is encrypted.
const ENCRYPTED: u8 = 23;

/// Bytes of the record that ends early data, as everybody writes it: header, message, type, tag.
const END_OF_EARLY_DATA_BYTES: usize = 5 + 4 + 1 + 16;

/// Sets what every configuration of a server needs, whatever else it says: the keys can be taken out, TLS 1.2 has the extended master
/// secret, certificates are not compressed, nothing is sent before the client has finished unless it may send early data.
pub fn prepare(config: &mut ServerConfig) {
    config.enable_secret_extraction = true;
    config.require_ems = true;
    config.send_half_rtt_data = config.max_early_data_size > 0;
    config.ignore_client_order = false;
    config.cert_compressors.clear();
    config.cert_decompressors.clear();
}

/// A handshake with a client.
pub struct ServerHandshake {
    engine: HandshakeEngine<UnbufferedServerConnection>,
    hello: HelloWatch,
    needs_permit: bool,
    server_name: Option<Box<str>>,
    offers_early_data: bool,
    /// Bytes of the first record behind its hello that is encrypted.
    first_encrypted_bytes: Option<usize>,
}

impl ServerHandshake {
    /// Begins a handshake by a configuration that [`prepare`] has seen.
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`]: the configuration does not allow what is needed.
    pub fn new(config: &Arc<ServerConfig>) -> Result<Self, HandshakeFault> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config)).map_err(HandshakeFault::Internal)?;
        let engine = HandshakeEngine::new(connection);
        Ok(ServerHandshake {
            engine,
            hello: HelloWatch::default(),
            needs_permit: false,
            server_name: None,
            offers_early_data: false,
            first_encrypted_bytes: None,
        })
    }

    /// Takes bytes of the client's, in any pieces.
    pub fn push(&mut self, bytes: &[u8]) {
        self.engine.push(bytes);
    }

    /// Goes on with what has come, and appends what is to be sent to `wire`, the alert of a fault among it.
    ///
    /// # Errors
    /// Any [`HandshakeFault`]; the handshake is over, and is not to be called again.
    pub fn advance(&mut self, wire: &mut Vec<u8>) -> Result<HandshakeStep, HandshakeFault> {
        while !self.engine.is_done() {
            if self.engine.holds_early() {
                return Ok(HandshakeStep::HasEarlyData);
            }
            if self.needs_permit {
                return Ok(HandshakeStep::NeedsPermit);
            }
            // In TLS 1.2 nothing after the first hello is one, and what is encrypted may look like one.
            let may_be_hello = self.engine.version() != Some(ProtocolVersion::TLSv1_2);
            match self.engine.next() {
                NextRecord::Partial => return Ok(HandshakeStep::NeedsBytes),
                NextRecord::None => return Err(self.engine.refuse_no_record(wire)),
                NextRecord::TooMany => return Err(self.refuse(HandshakeFault::FlightTooLong, wire)),
                NextRecord::Whole(record) if record[0] == ENCRYPTED => {
                    self.first_encrypted_bytes.get_or_insert(record.len());
                    self.engine.show_next(wire)?;
                    if self.offers_early_data && !self.engine.is_done() {
                        self.engine.discard_skipped();
                    }
                }
                NextRecord::Whole(record) => match may_be_hello.then(|| self.hello.observe(record)).flatten() {
                    // rustls looks at it later, and blames an extension that TLS 1.1 did not have.
                    Some(hello) if hello.is_before_tls12 => {
                        return Err(self.refuse(HandshakeFault::NoCommonVersion, wire));
                    }
                    Some(hello) => {
                        self.server_name = hello.server_name;
                        // After a HelloRetryRequest it does not offer them again.
                        self.offers_early_data |= hello.offers_early_data;
                        self.needs_permit = true;
                    }
                    None => self.engine.show_next(wire)?,
                },
            }
        }
        Ok(HandshakeStep::Done)
    }

    /// Does the expensive step, after [`HandshakeStep::NeedsPermit`]; then goes on as [`ServerHandshake::advance`].
    ///
    /// # Errors
    /// As of [`ServerHandshake::advance`].
    ///
    /// # Panics
    /// When no permit is needed.
    pub fn advance_permitted(&mut self, wire: &mut Vec<u8>) -> Result<HandshakeStep, HandshakeFault> {
        assert!(std::mem::take(&mut self.needs_permit), "a permit is taken when one is needed");
        self.engine.show_next(wire)?;
        self.advance(wire)
    }

    /// Ends the handshake for a reason from outside (time, the socket, a bound), and appends the alert to `wire`, while one
    /// can be read.
    pub fn refuse(&self, fault: HandshakeFault, wire: &mut Vec<u8>) -> HandshakeFault {
        self.engine.refuse(fault, wire)
    }

    /// The name that the hello asks for.
    #[cfg(any(test, fuzzing))]
    pub(super) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn has_chosen_version(&self) -> bool {
        self.engine.version().is_some()
    }

    /// Takes the early data that have come, after [`HandshakeStep::HasEarlyData`].
    pub fn take_early(&mut self) -> Vec<u8> {
        self.engine.take_early()
    }

    /// What is negotiated already when the client's early data are read.
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`]: the client's hello is not answered yet.
    pub fn negotiated(&self) -> Result<Negotiated, HandshakeFault> {
        self.engine.negotiated(self.server_name.clone(), self.early_data())
    }

    /// Seals `text` while the handshake is not done, after [`HandshakeStep::HasEarlyData`], and appends the records to `wire`.
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`].
    pub fn seal_early(&mut self, text: &[u8], wire: &mut Vec<u8>) -> Result<(), HandshakeFault> {
        Ok(self.engine.write_traffic(wire, |traffic, room| traffic.encrypt(text, room))?)
    }

    /// As [`ServerHandshake::seal_early`]: says that nothing more will be sent.
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`].
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not one of all lifetimes")]
    pub fn close_early(&mut self, wire: &mut Vec<u8>) -> Result<(), HandshakeFault> {
        Ok(self.engine.write_traffic(wire, |traffic, room| traffic.queue_close_notify(room))?)
    }

    /// What has become of early data until now.
    pub(super) fn early_data(&self) -> EarlyData {
        match (self.engine.has_early(), self.first_encrypted_bytes) {
            (true, _) => EarlyData::Accepted,
            // rustls does not say that it accepts what does not come.
            (false, None | Some(END_OF_EARLY_DATA_BYTES)) => EarlyData::None,
            (false, Some(_)) if self.offers_early_data => EarlyData::Refused,
            (false, Some(_)) => EarlyData::None,
        }
    }

    /// The keys and what else there is, after [`HandshakeStep::Done`].
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`]: the configuration does not let keys out.
    ///
    /// # Panics
    /// When the handshake is not done.
    pub fn finish(self) -> Result<FinishedHandshake<ServerConnectionData>, HandshakeFault> {
        let early_data = self.early_data();
        self.engine.finish(self.server_name, early_data)
    }
}

impl RustlsSide for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, shown: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(shown)
    }

    fn read_early(mut early: ReadEarlyData<'_, '_, ServerConnectionData>, text: &mut Vec<u8>) -> Result<(), Error> {
        while let Some(record) = early.next_record() {
            text.extend_from_slice(record?.payload);
        }
        Ok(())
    }

    fn state(&self) -> &CommonState {
        self
    }

    fn into_kernel(self) -> Result<(ExtractedSecrets, KernelConnection<ServerConnectionData>), Error> {
        self.dangerous_into_kernel_connection()
    }
}
