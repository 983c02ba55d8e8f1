//! Certificates, names and settings, as snapshots.
//!
//! ```text
//!  bytes of files ─▶ certificate ─▶ names ──┐
//!                 ─▶ trust ─▶ peers ────────┼─▶ config ─▶ Arc<ServerConfig>, Arc<ClientConfig>
//!                 ─▶ tickets, sessions ─────┘      ▲ reload: an old snapshot and new bytes
//! ```
//!
//! **Not**: reading files, or watching them; deciding when a snapshot is replaced.
//!
//! **Invariants**: a snapshot never changes; what is refused changes nothing, and every error names the setting, the file, what
//! is wrong and what to do.

mod authority;
mod certificate;
mod challenges;
mod config;
mod error;
mod facts;
mod identity;
mod names;
mod operator;
mod peers;
mod pem;
mod reload;
mod secret;
mod sessions;
mod tickets;

#[cfg(test)]
mod tests;

pub use authority::{PeerAuthorities, RevocationList};
pub use certificate::{Certificate, CertificateFiles};
pub use challenges::{ACME_ALPN, ChallengeCertificates};
pub use config::{
    CLUSTER_ALPN, ClientSettings, ClientSnapshot, ClusterFiles, MinVersion, Purpose, ServerFiles, ServerSettings,
    ServerSnapshot, TicketPolicy, TlsParts,
};
pub use error::{NamedFile, StoreError, StoreFault};
pub use facts::{CertificateFacts, KeyKind};
pub use identity::{
    ExpectedPeer, IdentityFault, PeerRefusal, PeerRole, PresentedCertificate, ProcessIdentity, verdict,
};
pub use names::CertificateNames;
pub use operator::{OperatorBytes, operator_config};
pub use peers::{ClientAuth, node_server_name, refusal_of};
pub use reload::{ClientReload, ServerReload, reload_client, reload_server};
pub use sessions::{SESSION_MEMORY_MAX, Sessions};
pub use tickets::{TicketKeyFacts, TicketKeyPhase, TicketKeys};
