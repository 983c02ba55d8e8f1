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
//! is made again: what the kernel forgot stays forgotten, files are put back, and parameters of the boot loader are not written
//! before the change is confirmed. Prior values are put back also where the state cannot be written any more (a full disk).
//!
//! **Source**: docs/operations.md, "Tune a host".

mod apply;
mod arm;
mod boot;
mod confirm;
mod core_map;
mod origin;
mod record;
mod recover;
mod revert;
mod store;

use serde::{Deserialize, Serialize};

pub use apply::{ApplyOptions, apply};
pub use arm::{ArmedTimer, RevertCommand};
pub use boot::reapply;
pub use confirm::{Confirmed, confirm};
pub use origin::{CardIdentity, ChangeOrigin};
pub use record::{SavedSetting, TransactionPhase, TransactionRecord};
pub use recover::{Recovery, recover};
pub use revert::{TakenBack, expire, give_up, rollback};
pub use store::{STATE_FOLDER, StateStore};

use crate::host::HostError;

/// Times that settings are looked at: once to write them, once more for those that another write has reset.
const PASSES: u32 = 2;

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
    #[error("nothing waits to be confirmed{}", .said)]
    NothingPending {
        /// What became of the last change, after a semicolon; empty where nobody knows.
        said: String,
    },
    /// The operator's: a setting that is being measured is no change to keep.
    #[error(
        "what waits is a setting that `corectl tune ab` tries out; it takes itself back, or at once: corectl tune rollback"
    )]
    OnlyTried,
    /// There is nothing to take back.
    #[error("nothing was changed by corectl, or it is back already")]
    NothingApplied,
    /// The state is of a change in another network namespace.
    #[error(
        "{folder} holds a change of the network namespace {network}, and this is {here}: call corectl there (nsenter, ip netns exec), or give this network a state of its own (--state DIR)"
    )]
    Elsewhere {
        /// The namespace of the change.
        network: String,
        /// This one.
        here: String,
        /// The state's folder.
        folder: String,
    },
    /// A parameter of the boot loader could not be written when the change was to be confirmed; the change still waits.
    #[error("{setting}: {why}; the change is not confirmed, and still waits")]
    NotKept {
        /// Which setting.
        setting: String,
        /// In the words of the boot loader's program.
        why: String,
    },
    /// Every value is back, and the state cannot be forgotten.
    #[error("every value is back as before, and {why}; the next call of corectl looks again")]
    NotForgotten {
        /// Why.
        why: String,
    },
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
    #[error("not everything is back: {}; the next call of corectl tries again; to leave one as it is: corectl tune rollback --give-up KNOB", .settings.join("; "))]
    NotBack {
        /// Which ones, and why.
        settings: Vec<String>,
    },
    /// The operator's: nothing of this knob was changed.
    #[error("--give-up: nothing of {knob} was changed; corectl tune status tells what was")]
    NothingOfKnob {
        /// Which knob.
        knob: String,
    },
    /// A file of the state directory is not what this program wrote.
    #[error(
        "{path} is not a state of corectl: {why}; bring the file back from a copy, or move it away: what was there before corectl came is then only in the file `journal` beside it"
    )]
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
