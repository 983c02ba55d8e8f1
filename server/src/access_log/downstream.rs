//! What the access log says about a connection, beside its requests.
//!
//! **Invariants**: a connection owns no memory for it before its first response is logged.

use reactor::{Address, Connection};

use super::record::ClientAddress;

/// A connection from downstream.
pub(crate) struct Downstream {
    /// Index of its listener.
    pub(super) listener: u16,
    /// Requests of it since the log was turned on.
    pub(super) requests: u32,
    /// Its other end, once it was asked for.
    client: Option<Box<ClientAddress>>,
}

impl Downstream {
    /// A new connection of a listener.
    pub(crate) fn new(listener: u16) -> Self {
        Downstream { listener, requests: 0, client: None }
    }

    /// Counts a request.
    pub(crate) fn count_request(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// The other end. The kernel is asked once.
    pub(super) fn client(&mut self, connection: &Connection) -> ClientAddress {
        **self.client.get_or_insert_with(|| {
            Box::new(match connection.peer() {
                Some(Address::Tcp(address)) => ClientAddress::Tcp(address),
                Some(Address::Unix(_)) => ClientAddress::Unix,
                None => ClientAddress::Unknown,
            })
        })
    }
}
