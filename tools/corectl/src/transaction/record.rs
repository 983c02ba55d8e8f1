//! What is kept of a change while it can be taken back.
//!
//! **Source**: the files `pending.json` and `confirmed.json` of the state directory.

use serde::{Deserialize, Serialize};

use super::ArmedTimer;
use super::origin::ChangeOrigin;
use crate::host::HostTime;
use crate::setting::{SettingAddress, SettingReading};

/// The form of the state's files; a file of another version is refused.
pub(super) const VERSION: u32 = 1;

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransactionPhase {
    /// Prior values are saved; nothing is written.
    Prepared,
    /// Values are being written.
    Writing,
    /// All is written, and waits to be confirmed.
    Pending,
    /// Prior values are being put back.
    Reverting,
}

/// A setting with what was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSetting {
    /// Its knob.
    pub knob: String,
    /// Of what; empty for the whole host.
    pub target: String,
    /// Where it is.
    pub address: SettingAddress,
    /// What was there.
    pub prior: SettingReading,
    /// What shall be there. `None` for what the profile does not name, and drivers forget when other settings change: it is kept.
    pub wanted: Option<String>,
}

impl SavedSetting {
    /// What shall be there after the change: what is wanted, or what was there.
    #[must_use]
    pub fn goal(&self) -> Option<&str> {
        self.wanted.as_deref().or_else(|| self.prior.value())
    }

    /// Makes it a setting of the card's new name.
    pub(super) fn rename_card(&mut self, from: &str, to: &str) {
        if self.address.nic() == Some(from) {
            self.address = self.address.on_nic(to);
            self.target =
                self.target.split(' ').map(|word| if word == from { to } else { word }).collect::<Vec<_>>().join(" ");
        }
    }

    /// Knob and target in words.
    #[must_use]
    pub fn words(&self) -> String {
        if self.target.is_empty() { self.knob.clone() } else { format!("{} of {}", self.knob, self.target) }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionRecord {
    /// The form of this file.
    pub version: u32,
    /// Which change it is.
    pub id: String,
    /// The profile's name.
    pub profile: String,
    /// How far it has come.
    pub phase: TransactionPhase,
    /// In which boot and network, with which cards it was made.
    pub origin: ChangeOrigin,
    /// When it was made.
    pub epoch_seconds: u64,
    /// When it is taken back unless it is confirmed, in seconds since the boot.
    pub deadline_boot_seconds: u64,
    /// What takes it back.
    pub timer: Option<ArmedTimer>,
    /// Whether it puts back what was confirmed: the confirmed state goes with it.
    pub ends_confirmed: bool,
    /// What an operator wrote when a protection was given up.
    pub acknowledgement: Option<String>,
    /// Whether `tune ab` made it, to measure what it is worth.
    pub is_trial: bool,
    /// The settings, in the order of writing.
    pub settings: Vec<SavedSetting>,
}

impl TransactionRecord {
    /// Whether its time is over.
    #[must_use]
    pub fn is_overdue(&self, now: HostTime) -> bool {
        now.boot_seconds >= self.deadline_boot_seconds
    }
}
