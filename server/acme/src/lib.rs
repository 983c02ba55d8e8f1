//! Certificates from an authority that speaks ACME (Let's Encrypt and others): ordered, proved, stored and renewed.
//!
//! ```text
//!  control thread ── AcmeHandle ──▶ thread "acme": one order after the other, blocking requests with deadlines
//!       ▲   │ in_force(generation)      │ instant-acme: the protocol    ureq over rustls: HTTP    rcgen: keys, requests
//!       │   └──────────────────────▶    │
//!       └── AcmeEvent: Challenges, Stored, Failed ◀─┘ ─▶ folder: account.key, NAME/chain.pem, NAME/key.pem, NAME/orders.json
//! ```
//!
//! **Goals**:
//! - A public host needs no other tool: what is to be answered comes as [`Challenges`], what is stored is a pair of files
//!   like any other certificate's.
//! - Every failure is an event with its cause and the time of the next try; authorities' limits hold across restarts.
//!
//! **Not**:
//! - Listening: the edge answers challenges, on its own listeners.
//! - dns-01 and wildcards, external account binding, revocation.
//! - Anything on a data core or on the control core: a slow authority holds up this thread alone.
//!
//! **Invariants**: only `authority` and `order` name the protocol's crate; `schedule` and `settings` are pure; only `clock`
//! reads the time.
//!
//! **Source**: RFC 8555, RFC 8737 (tls-alpn-01), RFC 9773 (renewal information); docs/adr/0021-acme.md.

mod authority;
mod certificate;
mod challenge;
mod clock;
mod failure;
mod folder;
mod handle;
mod order;
mod schedule;
mod settings;
mod thread;

pub use challenge::{Challenges, TlsChallenge};
pub use clock::UnixMillis;
pub use failure::AcmeFailure;
pub use handle::{Acme, AcmeEvent, AcmeHandle, StartFault};
pub use settings::{
    AcmeCertificate, AcmePace, AcmeSettings, AcmeSettingsFault, CERTIFICATES_MAX, ChallengeKind, LETS_ENCRYPT,
    NAMES_MAX,
};
