//! What is in force, beside what was asked for.
//!
//! **Not**: what programs and drivers answered; they are known to answer success and do nothing.
//!
//! **Invariants**: changes nothing.

use serde::{Deserialize, Serialize};

use crate::host::HostAccess;
use crate::setting::{SettingAddress, SettingReading, effective, read, shown};
use crate::transaction::SavedSetting;

/// How a setting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// In force.
    Holds,
    /// Accepted; in force with the next interrupt, or from the next boot on.
    Lags,
    /// A boot parameter, which is written only when the change is confirmed.
    Waits,
    /// Something else is in force.
    Differs,
    /// It is no longer there.
    Missing,
}

/// A setting that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedSetting {
    /// The knob.
    pub knob: String,
    /// Of what; empty for the whole host.
    pub target: String,
    /// How it stands.
    pub standing: Standing,
    /// What was asked for.
    pub wanted: String,
    /// What is in force.
    pub found: SettingReading,
}

impl VerifiedSetting {
    /// Whether it is as it should be, or is going to be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        matches!(self.standing, Standing::Holds | Standing::Lags | Standing::Waits)
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let of = if self.target.is_empty() { String::new() } else { format!(" of {}", self.target) };
        let (knob, wanted, found) = (&self.knob, shown(&self.wanted), &self.found);
        match self.standing {
            Standing::Holds => format!("{knob}{of} is {found}"),
            Standing::Lags => {
                let event = if knob.starts_with("boot.") { "boot" } else { "interrupt" };
                format!("{knob}{of} is {wanted} from the next {event} on; now {found}")
            }
            Standing::Waits => format!("{knob}{of} is written when the change is confirmed; now {found}"),
            Standing::Differs if self.wanted.contains('\n') => format!("{knob}{of} is not as it was written"),
            Standing::Differs => format!("{knob}{of} is {found}, not {wanted}"),
            Standing::Missing => format!("{knob}{of} is not there; wanted {wanted}"),
        }
    }
}

/// Looks at all settings of a confirmed change that were asked for.
#[must_use]
pub fn verify(host: &dyn HostAccess, settings: &[SavedSetting]) -> Vec<VerifiedSetting> {
    settings.iter().filter_map(|setting| verified(host, setting)).collect()
}

/// Looks at all settings of a change that waits to be confirmed.
#[must_use]
pub fn verify_waiting(host: &dyn HostAccess, settings: &[SavedSetting]) -> Vec<VerifiedSetting> {
    let waits = |setting: &SavedSetting, found: &VerifiedSetting| {
        setting.address.waits_for_confirmation() && found.standing != Standing::Holds
    };
    let looked_at = settings.iter().filter_map(|setting| {
        let found = verified(host, setting)?;
        let standing = if waits(setting, &found) { Standing::Waits } else { found.standing };
        Some(VerifiedSetting { standing, ..found })
    });
    looked_at.collect()
}

fn verified(host: &dyn HostAccess, setting: &SavedSetting) -> Option<VerifiedSetting> {
    let wanted = setting.wanted.clone()?;
    let found = effective(host, &setting.address);
    let standing = match &found {
        found if found.shows(&wanted) => Standing::Holds,
        _ if lags(host, &setting.address, &wanted) => Standing::Lags,
        SettingReading::Absent => Standing::Missing,
        _ => Standing::Differs,
    };
    let (knob, target) = (setting.knob.clone(), setting.target.clone());
    Some(VerifiedSetting { knob, target, standing, wanted, found })
}

/// An interrupt moves when it is next raised, and on some architectures nothing says where it is; a parameter is for the next boot.
fn lags(host: &dyn HostAccess, address: &SettingAddress, wanted: &str) -> bool {
    matches!(address, SettingAddress::Irq { .. } | SettingAddress::Boot { .. })
        && read(host, address).value() == Some(wanted)
}
