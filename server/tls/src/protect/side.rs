//! What rustls keeps of a connection whose records are ours: the secrets that new keys are made of, and a client's tickets.
//!
//! **Not** keys: those are in `keys`.

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, Error};

use super::fault::RecordFault;

/// Which end of the connection this is, and what rustls keeps of it.
pub enum KernelSide {
    /// The end that was connected to.
    Server(KernelConnection<ServerConnectionData>),
    /// The end that connected.
    Client(KernelConnection<ClientConnectionData>),
}

impl KernelSide {
    /// Whether this end connected.
    pub(super) fn is_client(&self) -> bool {
        matches!(self, KernelSide::Client(_))
    }

    /// The next secrets of what the peer sends.
    pub(super) fn next_to_open(&mut self) -> Result<(u64, ConnectionTrafficSecrets), RecordFault> {
        match self {
            KernelSide::Server(kernel) => kernel.update_rx_secret(),
            KernelSide::Client(kernel) => kernel.update_rx_secret(),
        }
        .map_err(no_keys)
    }

    /// The next secrets of what we send.
    pub(super) fn next_to_seal(&mut self) -> Result<(u64, ConnectionTrafficSecrets), RecordFault> {
        match self {
            KernelSide::Server(kernel) => kernel.update_tx_secret(),
            KernelSide::Client(kernel) => kernel.update_tx_secret(),
        }
        .map_err(no_keys)
    }

    /// Keeps a ticket for the next connection to this server.
    ///
    /// # Errors
    /// The peer's: it cannot be read, or this end is the server.
    pub(super) fn keep_ticket(&mut self, body: &[u8]) -> Result<(), RecordFault> {
        match self {
            KernelSide::Server(_) => Err(RecordFault::MessageType),
            KernelSide::Client(kernel) => kernel.handle_new_session_ticket(body).map_err(|_| RecordFault::Ticket),
        }
    }
}

/// Only a connection of TLS 1.2 has no next secrets, and nothing asks it.
fn no_keys(_: Error) -> RecordFault {
    RecordFault::Keys
}
