//! A change of a host that can be taken back: by an operator, by a timer, or by whoever comes next after a crash.
//!
//! ```text
//!             store priors   arm the timer     write, in order     confirm
//!  (nothing) ─────────────▶ Prepared ─────▶ Writing ─────────▶ Pending ─────▶ confirmed.json
//!                              │               │                 │ deadline, rollback, a write that failed
//!                              ▼ forgotten     ▼                 ▼
//!                                           Reverting ─────▶ (nothing), every prior value back
//! ```
//!
//! **Not**: atomic. Values change one by one; what holds at every moment is that each can be put back.
//!
//! **Invariants**: every prior value is on disk before the first write. Prior values are kept until all of them are back. A process
//! that dies at any step leaves a state that the next call completes or takes back. After a reboot nothing of an unconfirmed change
//! is made again: what the kernel forgot stays forgotten, and files are put back.
//!
//! **Source**: docs/operations.md, "Tune a host".

mod apply;
mod arm;
mod boot;
mod confirm;
mod core_map;
mod record;
mod recover;
mod revert;
mod store;

use serde::{Deserialize, Serialize};

pub use apply::{ApplyOptions, apply};
pub use arm::{ArmedTimer, RevertCommand};
pub use boot::reapply;
pub use confirm::{Confirmed, confirm};
pub use record::{SavedSetting, TransactionPhase, TransactionRecord};
pub use recover::{Recovery, recover};
pub use revert::{expire, rollback};
pub use store::{STATE_FOLDER, StateStore};

use crate::host::HostError;

/// Why a change could not be made, kept or taken back.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The host's.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The operator's: the plan must not be applied.
    #[error("the plan has problems: {}", .problems.join("; "))]
    Problems {
        /// Which ones.
        problems: Vec<String>,
    },
    /// The operator's: what gives a protection up needs a word for the record.
    #[error("{} give a protection up; say who has agreed: --acknowledge \"NAME: REASON\"", .knobs.join(", "))]
    Unacknowledged {
        /// Which knobs.
        knobs: Vec<String>,
    },
    /// The operator's: one change at a time.
    #[error("a change waits for `corectl tune confirm` or `corectl tune rollback`: profile {profile}")]
    Waiting {
        /// Its profile.
        profile: String,
    },
    /// There is nothing to confirm.
    #[error("nothing waits to be confirmed")]
    NothingPending,
    /// There is nothing to take back.
    #[error("nothing was changed by corectl, or it is back already")]
    NothingApplied,
    /// A write failed; the change has been taken back.
    #[error("{setting}: {why}; everything is back as before. To leave this setting alone: --set {knob}=leave")]
    Refused {
        /// Which setting.
        setting: String,
        /// Its knob.
        knob: String,
        /// In the words of the kernel or the driver.
        why: String,
    },
    /// Some prior values could not be put back; the next call tries again.
    #[error("not everything is back: {}; the next call of corectl tries again", .settings.join("; "))]
    NotBack {
        /// Which ones, and why.
        settings: Vec<String>,
    },
    /// A file of the state directory is not what this program wrote.
    #[error("{path} is not a state of corectl: {why}")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransactionEnd {
    /// An operator kept it.
    Confirmed,
    /// It was taken back.
    Reverted,
}
