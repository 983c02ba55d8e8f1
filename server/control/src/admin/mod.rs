//! The admin listener: what operators, load balancers and scrapers ask a process, answered on its control core.
//!
//! ```text
//!  Listener ── accept ──▶ place free? ── yes ──▶ connection: head ─▶ route ─▶ Answer ─▶ encode, in order
//!                              └─ no ──▶ 503, close                  │
//!                                                                    └── the binary's Admin
//! ```
//!
//! | path | answer |
//! |---|---|
//! | `/` | a live page for people, with links to the others |
//! | `/healthz` | 200 while the process is alive |
//! | `/readyz` | 200, or 503 with the reasons |
//! | `/metrics` | Prometheus text |
//! | `/v1/status` | JSON: what the process is doing |
//! | `/v1/config` | JSON: effective settings with their origin |
//! | `/v1/debug/key/KEYSPACE/KEY` | JSON: where a key belongs, and what the process stores for it |
//! | `POST /v1/drain`, `POST /v1/undrain` | the process is to be left, or not any more; on the listener for commands only |
//!
//! **Not**: for the public, so it listens on loopback by default, and answers under its own names only; bodies of requests, which are refused.
//!
//! **Invariants**: at most [`CONNECTIONS_MAX`] connections are served and as many shed; every wait has a deadline; answers of
//! a connection are in the order of its requests; nothing here runs on a data core.
//!
//! **Source**: RFC 9110, RFC 9112, RFC 9457; docs/metrics.md.

mod accept;
mod answer;
mod connection;
mod hosts;
mod key_page;
mod page;
mod protect;
mod route;
mod server;
#[cfg(test)]
mod tests;

use std::{fmt::Display, io, rc::Rc, sync::Arc};

use corelane_tls::{crypto::WallClock, store::ServerSnapshot};
use reactor::{Address, ListenOptions, Reactor};
use serde_json::Value;

use crate::settings::value::SocketMode;

use self::protect::AdminProtection;
pub(crate) use self::server::AdminMetrics;
pub use self::{
    accept::{CONNECTIONS_MAX, DESCRIPTORS_MAX},
    key_page::{KeyDescriptions, page as key_page},
    page::{AdminPage, PageRequest},
};
use crate::{ListenRefusal, metrics::Text};

/// Connections that may wait to be accepted: as many as can be served, so that a burst of scrapers is not refused.
const BACKLOG: u32 = 64;

/// Whether a process is ready to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It serves.
    Ready,
    /// It does not, or should not be sent new work, for these reasons: sentences without a full stop.
    NotReady(Vec<String>),
}

/// What an operator asks a process to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainCommand {
    /// Not to be ready any more, so that others send their work elsewhere.
    Drain,
    /// To be ready again.
    Undrain,
}

/// What a binary reports about itself. Called on the control core, once per request.
pub trait Admin {
    /// Whether it is ready to serve.
    fn readiness(&self) -> Readiness;

    /// What is to be looked after although it is ready: sentences without a full stop.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes its metric families. The listener adds its own.
    fn metrics(&self, text: &mut Text);

    /// What it is doing: version, cores, connections, cache, nodes, topology epoch.
    fn status(&self) -> Value;

    /// Names under which the listener may be spoken to, besides addresses and names without a dot; separated by commas.
    fn hosts(&self) -> Option<String> {
        None
    }

    /// What handshakes of the listener use, where it speaks TLS.
    fn security(&self) -> Option<Arc<ServerSnapshot>> {
        None
    }

    /// Logs that `peer` was refused in its handshake, and why.
    fn note_refused(&self, peer: &str, error: &dyn Display) {
        let _ = (peer, error);
    }

    /// Its effective settings, with secrets redacted.
    fn config(&self) -> Value;

    /// Does what is asked for, and says what has become of it.
    fn command(&self, command: DrainCommand) -> AdminPage;

    /// A page of the binary's own, for a path that is not one of the listener's. `None` answers 404.
    fn page(&self, request: &PageRequest<'_>) -> Option<AdminPage> {
        let _ = request;
        None
    }
}

/// Opens the admin listener on `reactor`'s core and serves it until that core stops. Returns the address it got, with the
/// port that was chosen when port 0 was asked for. The file of a Unix socket gets `mode`, or without one what the umask leaves.
/// With `tls`, the wall time by which certificates are valid, every connection begins with a handshake by [`Admin::security`].
///
/// # Errors
///
/// The operator's, as a [`ListenRefusal`] inside: the address is in use, not local or not permitted. The text names the key
/// and what to do.
pub fn serve(
    reactor: &Reactor,
    address: &Address,
    (mode, tls): (Option<SocketMode>, Option<&Arc<WallClock>>),
    admin: Rc<dyn Admin>,
) -> io::Result<Address> {
    open(reactor, ("admin", address, mode), admin, (Commands::Refused, AdminProtection::new(reactor, tls)))
}

/// Opens the listener that takes commands, besides all that [`serve`] answers. The rest is as there.
///
/// # Errors
///
/// As [`serve`].
pub fn serve_commands(
    reactor: &Reactor,
    address: &Address,
    mode: SocketMode,
    admin: Rc<dyn Admin>,
) -> io::Result<Address> {
    let protection = AdminProtection::new(reactor, None);
    open(reactor, ("command_listen", address, Some(mode)), admin, (Commands::Taken, protection))
}

/// Whether a listener takes commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commands {
    Taken,
    Refused,
}

fn open(
    reactor: &Reactor,
    (key, address, mode): (&'static str, &Address, Option<SocketMode>),
    admin: Rc<dyn Admin>,
    (commands, protection): (Commands, AdminProtection),
) -> io::Result<Address> {
    let unix_mode = mode.map(SocketMode::bits);
    // One process to an address: with SO_REUSEPORT a second one would silently take half of the scrapes.
    let options = ListenOptions { backlog: BACKLOG, reuse_port: false, unix_mode, ..ListenOptions::default() };
    let listener = reactor.listen(address, &options).map_err(|error| ListenRefusal::of(key, address, error))?;
    let bound = listener.address().clone();
    let server = Rc::new(server::AdminServer::new(reactor.clone(), admin, commands, protection));
    reactor.spawn(async move { reactor::accept(&listener, &server).await }).map_err(io::Error::other)?;
    Ok(bound)
}
