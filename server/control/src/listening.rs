//! The addresses that the data cores of a process listen on, each for itself and all on the same.
//!
//! **Not** accepting: nothing is served before the whole process has started.
//!
//! **Invariants**: the first core makes sure that no other process listens there, and takes the port that the kernel chooses for
//! port 0; the others join it. A path is bound once, by the first core.

use std::{io, sync::OnceLock};

use reactor::{Address, CoreId, ListenOptions, Listener, Reactor};

use crate::ListenRefusal;

/// What the first core listens on.
#[derive(Debug, Default)]
pub struct SharedListen(OnceLock<Vec<Address>>);

impl SharedListen {
    /// Listens on `wanted` on this core, which are the same on all; a listener for each, but for paths on later cores. Cores start
    /// one after the other.
    ///
    /// # Errors
    ///
    /// The operator's: a [`ListenRefusal`] under the key `listen`.
    pub fn open(
        &self,
        reactor: &Reactor,
        wanted: &[Address],
        options: &ListenOptions,
    ) -> io::Result<Vec<Option<Listener>>> {
        let is_first = reactor.core() == CoreId(0);
        let options = ListenOptions { claim: is_first, ..options.clone() };
        let open = |address: &Address| {
            if matches!(address, Address::Unix(_)) && !is_first {
                return Ok(None);
            }
            let listener = reactor.listen(address, &options);
            listener.map(Some).map_err(|error| ListenRefusal::of("listen", address, error))
        };
        let addresses = self.0.get().map_or(wanted, Vec::as_slice);
        let listeners = addresses.iter().map(open).collect::<io::Result<Vec<Option<Listener>>>>()?;
        if is_first {
            let bound = listeners.iter().flatten().map(|listener| listener.address().clone()).collect();
            self.0.set(bound).map_err(|_| io::Error::other("cores start one after the other"))?;
        }
        Ok(listeners)
    }

    /// The addresses, with the ports that were chosen; none before the first core has started.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.0.get().cloned().unwrap_or_default()
    }
}
