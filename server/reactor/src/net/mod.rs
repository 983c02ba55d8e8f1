//! Listeners and connections, as tasks see them, and what the loop does for them.
//!
//! **Not** protocol: bytes in, bytes out.
//!
//! **Invariants**: dropping any handle or future here is sound at any time; operations under way are cancelled and
//! their memory is kept until the driver has reported their end.

mod accept;
pub(crate) mod backlog;
mod connection;
mod events;
mod inbox;
mod listener;
mod protected;
mod protection;
pub(crate) mod state;

pub use accept::{AcceptPolicy, Place, Places, Shedding, accept};
pub use connection::{Connection, ConnectionError, ConnectionSender, Detached, WriteGuard};
pub use listener::{ListenError, Listener};
pub use protection::{Fault, Opened, Plain, PlainSource, Protection};
