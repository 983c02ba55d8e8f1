//! TLS over a stream that blocks, for programs without a reactor: what operators run.
//!
//! **Not** for servers, nor for the load generator: records are rustls's here, and cost what they cost.
//!
//! **Invariants**: nothing is sent before the server's certificate was checked. The server's verdict on ours comes with the first read,
//! because a handshake of TLS 1.3 ends before it.
//!
//! **Source**: RFC 8446 section 4.4.2.4.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Error, StreamOwned};

use super::fault::HandshakeFault;

/// A connection with a server.
pub struct BlockingTls<S: Read + Write>(StreamOwned<ClientConnection, S>);

impl<S: Read + Write> fmt::Debug for BlockingTls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTls").finish_non_exhaustive()
    }
}

impl<S: Read + Write> BlockingTls<S> {
    /// Does a handshake with the server `name`.
    ///
    /// # Errors
    /// The stream's, or a refusal of one of the two, which [`fault_of`] has.
    pub fn connect(config: &Arc<ClientConfig>, name: ServerName<'static>, mut stream: S) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(config), name);
        let mut connection = connection.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        while connection.is_handshaking() {
            if let Err(error) = connection.complete_io(&mut stream) {
                // The alert may be behind other records, of which rustls writes one at a time to a stream like this.
                while connection.wants_write() && connection.write_tls(&mut stream).is_ok_and(|bytes| bytes > 0) {}
                return Err(error);
            }
        }
        Ok(Self(StreamOwned::new(connection, stream)))
    }
}

impl<S: Read + Write> Read for BlockingTls<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Read + Write> Write for BlockingTls<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What TLS has against the connection, if it is that, and not the stream.
#[must_use]
pub fn fault_of(error: &io::Error) -> Option<HandshakeFault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(if super::fault::is_no_record(error) { HandshakeFault::NotTls } else { error.clone().into() })
}
