//! A line of a plan.

use serde::{Deserialize, Serialize};

use crate::knobs::{Group, Risk};
use crate::setting::{SettingAddress, SettingReading};

/// What is done about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineAction {
    /// It is changed.
    Change,
    /// It is right already, and is kept so when others are changed.
    Keep,
    /// It would be changed, if the risk were allowed.
    HeldBack,
    /// This host has no such setting, or it cannot be changed here.
    NotHere,
}

/// A setting of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    /// What is done.
    pub action: LineAction,
    /// The knob.
    pub knob: String,
    /// Of what; empty for the whole host.
    pub target: String,
    /// What it is about.
    pub group: Group,
    /// What can go wrong.
    pub risk: Risk,
    /// Where it is.
    pub address: SettingAddress,
    /// Whether it gives a protection up.
    pub weakens: bool,
    /// What is there.
    pub current: SettingReading,
    /// What shall be there.
    pub wanted: String,
    /// Why one would.
    pub reason: String,
    /// Why it is not changed, or not as the profile says; empty where it is.
    pub note: String,
}
