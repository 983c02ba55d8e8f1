//! The client's side of a handshake, without a socket and without time.
//!
//! **Not** gated: who opens connections decides how many, while a server's are decided by others.
//!
//! **Invariants**: nothing is trusted before the server's certificate was checked against the configuration's authorities and the
//! name that was asked for.

use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ReadEarlyData, UnbufferedStatus};
pub use rustls::{AlertDescription, ClientConfig};
use rustls::{CommonState, Error, ExtractedSecrets};

use super::engine::{EarlyData, FinishedHandshake, HandshakeEngine, HandshakeStep, RustlsSide};
use super::fault::HandshakeFault;
use super::records::NextRecord;

/// Sets what every configuration of a client needs, whatever else it says: the keys can be taken out, TLS 1.2 has the extended master
/// secret, certificates are not compressed, and what the server chooses was offered.
pub fn prepare(config: &mut ClientConfig) {
    config.enable_secret_extraction = true;
    config.require_ems = true;
    config.enable_early_data = false;
    config.check_selected_alpn = true;
    config.cert_compressors.clear();
    config.cert_decompressors.clear();
}

/// A handshake with a server.
pub struct ClientHandshake {
    engine: HandshakeEngine<UnbufferedClientConnection>,
    /// What is told as the name that was asked for.
    server_name: Option<Box<str>>,
}

impl ClientHandshake {
    /// Begins a handshake with the server `name`, by a configuration that [`prepare`] has seen. [`ClientHandshake::advance`] writes the
    /// first flight.
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`]: the configuration does not allow what is needed.
    pub fn new(config: &Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, HandshakeFault> {
        let server_name = match &name {
            ServerName::DnsName(name) => Some(name.as_ref().to_ascii_lowercase().into_boxed_str()),
            _ => None,
        };
        let connection = UnbufferedClientConnection::new(Arc::clone(config), name).map_err(HandshakeFault::Internal)?;
        Ok(ClientHandshake { engine: HandshakeEngine::new(connection), server_name })
    }

    /// Takes bytes of the server's, in any pieces.
    pub fn push(&mut self, bytes: &[u8]) {
        self.engine.push(bytes);
    }

    /// Goes on with what has come, and appends what is to be sent to `wire`, the alert of a fault among it.
    ///
    /// # Errors
    /// Any [`HandshakeFault`]; the handshake is over, and is not to be called again.
    pub fn advance(&mut self, wire: &mut Vec<u8>) -> Result<HandshakeStep, HandshakeFault> {
        // The first flight needs no bytes of the peer's.
        self.engine.run(wire)?;
        while !self.engine.is_done() {
            match self.engine.next() {
                NextRecord::Partial => return Ok(HandshakeStep::NeedsBytes),
                NextRecord::None => return Err(self.engine.refuse_no_record(wire)),
                NextRecord::TooMany => return Err(self.refuse(HandshakeFault::FlightTooLong, wire)),
                NextRecord::Whole(_) => self.engine.show_next(wire)?,
            }
        }
        Ok(HandshakeStep::Done)
    }

    /// Ends the handshake for a reason from outside (time, the socket, a bound), and appends the alert to `wire`, while one
    /// can be read.
    pub fn refuse(&self, fault: HandshakeFault, wire: &mut Vec<u8>) -> HandshakeFault {
        self.engine.refuse(fault, wire)
    }

    /// The keys and what else there is, after [`HandshakeStep::Done`].
    ///
    /// # Errors
    /// [`HandshakeFault::Internal`]: the configuration does not let keys out.
    ///
    /// # Panics
    /// When the handshake is not done.
    pub fn finish(self) -> Result<FinishedHandshake<ClientConnectionData>, HandshakeFault> {
        self.engine.finish(self.server_name, EarlyData::None)
    }
}

impl RustlsSide for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, shown: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(shown)
    }

    fn read_early(_: ReadEarlyData<'_, '_, ClientConnectionData>, _: &mut Vec<u8>) -> Result<(), Error> {
        Err(Error::General("a server has no early data".to_owned()))
    }

    fn state(&self) -> &CommonState {
        self
    }

    fn into_kernel(self) -> Result<(ExtractedSecrets, KernelConnection<ClientConnectionData>), Error> {
        self.dangerous_into_kernel_connection()
    }
}
