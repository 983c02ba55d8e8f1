//! What requests are served by.
//!
//! **Not** aware of connections or of the protocol that carried a request; a service does not see another's state.

pub(crate) mod kv;
pub(crate) mod router;
pub(crate) mod status;

use kv::KvService;

/// The services of a core.
pub(crate) struct Services {
    pub(crate) kv: KvService,
}
