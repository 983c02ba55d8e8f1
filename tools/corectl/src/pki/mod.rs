//! The folder in which a cluster's authority, its certificates and its ticket keys are kept.
//!
//! ```text
//!  ca.pem           what every process trusts: one authority, two while it is rotated
//!  crl.pem          a revocation list of each of them
//!  ROLE-ID.pem      a certificate            ROLE-ID.key      its key
//!  ticket.keys      keys of session tickets, shared by a fleet
//!  ca/ID.pem        an authority             ca/ID.key        its key, unless it is kept elsewhere
//!  state.json       who is current, what was issued, what is revoked
//! ```
//!
//! **Not** distribution: who copies files to hosts, and when, is the operator's or a playbook's matter.
//!
//! **Invariants**: one process at a time changes the folder. Keys are readable by their owner only. A file is replaced as a whole; a
//! process that is killed leaves certificates with the keys that belong to them (`disk`).
//!
//! **Source**: docs/tls.md.

mod authorities;
mod disk;
mod error;
mod folder;
mod issue;
mod leaf;
mod revoke;
mod rotate;
mod show;
mod state;
mod tickets;

pub use error::PkiFault;
pub use folder::{InitOptions, KeyFiles, PkiFolder, init};
pub use issue::{IssueOptions, RENEWED_LIFETIME, RenewOptions, RenewOutcome, RenewReport, RenewedLeaf};
pub use leaf::LeafName;
pub use revoke::RevokeTarget;
pub use rotate::RotationStep;
pub use show::{PkiPicture, PkiRow, RowState, span};
pub use tickets::{TicketKeyChange, change_ticket_keys};
