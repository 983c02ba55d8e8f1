//! The files that say who a process is and whom it trusts: certificates, keys, authorities, lists of what was revoked.
//!
//! ```text
//!  settings ─▶ names of files ─▶ SecuritySource ── read, look ──▶ SecurityFiles ─▶ SecurityReloader ─▶ the binary's snapshots
//! ```
//!
//! **Not** what is in them, which is `corelane-tls`'s; nor when they are read, which is [`crate::lifecycle`]'s.
//!
//! **Invariants**: what was read of a file is kept no longer than until snapshots were made of it.

mod cluster;
mod files;
mod refusals;
mod reload;
pub(crate) mod report;
mod settings;

pub use cluster::{ClusterIdentity, ClusterReload, ClusterRole, ClusterSecurity, check_listeners, check_plaintext};
pub use files::{SecurityAtStart, SecurityFiles, SecuritySource, names_of};
pub use refusals::Refusals;
pub use reload::{SecurityFault, SecurityReloader, SecurityUser, lines_of};
pub use report::{certificate_metrics, certificate_status, certificate_warnings, ticket_key_status};
pub use settings::{ADMIN_CLIENT_CA, ADMIN_TLS, ClusterSettings, Plaintext};
