//! Profiles: which knobs are turned, and how far. They are data; a host's own file and the command line come after them.
//!
//! ```text
//!  extends ─▶ profile ─▶ [drivers.NAME] ─▶ the host's file ─▶ --set
//! ```
//!
//! **Invariants**: what names no knob is refused, with the one that was probably meant.
//!
//! **Source**: `ansible/profiles/`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::knobs::{self, Risk};
use crate::layout::LayoutOptions;

/// The profiles that come with the program.
pub const PROFILES: &[(&str, &str)] = &[
    ("safe", include_str!("../../../ansible/profiles/safe.toml")),
    ("throughput", include_str!("../../../ansible/profiles/throughput.toml")),
    ("latency", include_str!("../../../ansible/profiles/latency.toml")),
    ("extreme", include_str!("../../../ansible/profiles/extreme.toml")),
];

/// The value of a knob that is left alone although a profile below turns it.
pub const LEAVE: &str = "leave";

/// Why a profile, a host's file or `--set` cannot be used. The operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// There is no such profile.
    #[error("there is no profile {name}; there are safe, throughput, latency and extreme")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// It is no valid TOML, or has other keys.
    #[error("{origin}: {why}")]
    Malformed {
        /// The profile, the file or the option.
        origin: String,
        /// Line, column and fault.
        why: String,
    },
    /// A knob is not there.
    #[error("{origin}: there is no knob {name}{}", .meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default())]
    UnknownKnob {
        /// The profile, the file or the option.
        origin: String,
        /// What was written.
        name: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
}

type KnobValues = BTreeMap<String, toml::Value>;

/// A file: a profile, or what one host says for itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ProfileFile {
    extends: Option<String>,
    description: String,
    max_risk: Option<Risk>,
    layout: LayoutOptions,
    knobs: KnobValues,
    drivers: BTreeMap<String, KnobValues>,
}

/// What is wanted of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The class of risk that it turns knobs of, unless more is allowed.
    pub max_risk: Risk,
    /// Which CPU does what.
    pub layout: LayoutOptions,
    values: BTreeMap<String, String>,
    drivers: BTreeMap<String, BTreeMap<String, String>>,
}

impl Profile {
    /// A profile that comes with the program.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let text = PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let text = text.ok_or_else(|| ProfileError::Unknown { name: name.into() })?;
        let file = parse(&format!("profile {name}"), text)?;
        let mut profile = match &file.extends {
            Some(below) => Self::named(below)?,
            None => Self::empty(),
        };
        profile.add(&format!("profile {name}"), &file)?;
        profile.name = name.into();
        Ok(profile)
    }

    fn empty() -> Self {
        Profile {
            name: String::new(),
            description: String::new(),
            max_risk: Risk::Safe,
            layout: LayoutOptions::default(),
            values: BTreeMap::new(),
            drivers: BTreeMap::new(),
        }
    }

    /// Adds what a host says for itself.
    ///
    /// # Errors
    /// The text is not valid, or names a knob that is not there.
    pub fn override_with(&mut self, origin: &str, text: &str) -> Result<(), ProfileError> {
        let file = parse(origin, text)?;
        if file.extends.is_some() {
            let why = "`extends` is for profiles; a host's file is added to whichever is chosen".into();
            return Err(ProfileError::Malformed { origin: origin.into(), why });
        }
        self.add(origin, &file)
    }

    /// Adds `knob=value`.
    ///
    /// # Errors
    /// There is no `=`, or no such knob.
    pub fn set(&mut self, assignment: &str) -> Result<(), ProfileError> {
        let origin = format!("--set {assignment}");
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(ProfileError::Malformed { origin, why: "expected KNOB=VALUE".into() });
        };
        known(&origin, name.trim())?;
        self.insert(name.trim(), value.trim().into());
        Ok(())
    }

    /// What comes later counts for cards of every driver.
    fn insert(&mut self, name: &str, value: String) {
        for values in self.drivers.values_mut() {
            values.remove(name);
        }
        self.values.insert(name.into(), value);
    }

    /// What is wanted of a knob; for one of a card, by its driver.
    #[must_use]
    pub fn value(&self, knob: &str, driver: Option<&str>) -> Option<&str> {
        let of_driver = driver.and_then(|driver| self.drivers.get(driver)?.get(knob));
        let value = of_driver.or_else(|| self.values.get(knob))?;
        (value != LEAVE).then_some(value)
    }

    /// The same, naming no other knobs than these.
    #[must_use]
    pub fn only(&self, knobs: &[&str]) -> Self {
        let mut profile = self.clone();
        profile.values.retain(|name, _| knobs.contains(&name.as_str()));
        for values in profile.drivers.values_mut() {
            values.retain(|name, _| knobs.contains(&name.as_str()));
        }
        profile
    }

    /// What is wanted of a knob by driver, where the profile says it of some drivers only.
    #[must_use]
    pub fn drivers_with(&self, knob: &str) -> Vec<(&str, &str)> {
        let values =
            self.drivers.iter().filter_map(|(driver, values)| Some((driver.as_str(), values.get(knob)?.as_str())));
        values.collect()
    }

    fn add(&mut self, origin: &str, file: &ProfileFile) -> Result<(), ProfileError> {
        if !file.description.is_empty() {
            self.description.clone_from(&file.description);
        }
        self.max_risk = file.max_risk.unwrap_or(self.max_risk);
        self.layout = std::mem::take(&mut self.layout).overridden_by(&file.layout);
        for (name, value) in &file.knobs {
            self.insert(known(origin, name)?, text_of(origin, name, value)?);
        }
        for (driver, values) in &file.drivers {
            let of_driver = self.drivers.entry(driver.clone()).or_default();
            for (name, value) in values {
                of_driver.insert(known(origin, name)?.into(), text_of(origin, name, value)?);
            }
        }
        Ok(())
    }
}

fn parse(origin: &str, text: &str) -> Result<ProfileFile, ProfileError> {
    toml::from_str(text).map_err(|error| ProfileError::Malformed { origin: origin.into(), why: error.to_string() })
}

fn known<'n>(origin: &str, name: &'n str) -> Result<&'n str, ProfileError> {
    if knobs::by_name(name).is_some() {
        return Ok(name);
    }
    let meant = knobs::closest(name);
    Err(ProfileError::UnknownKnob { origin: origin.into(), name: name.into(), meant })
}

fn text_of(origin: &str, name: &str, value: &toml::Value) -> Result<String, ProfileError> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(is_on) => Ok(if *is_on { "on" } else { "off" }.into()),
        _ => {
            let why = format!("{name}: expected a text, a whole number, true or false");
            Err(ProfileError::Malformed { origin: origin.into(), why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_valid_and_extends_the_one_below() {
        for (name, _) in PROFILES {
            let profile = Profile::named(name).unwrap();
            assert_eq!(profile.value("net.core.somaxconn", None), Some("65535"), "{name}");
            assert!(!profile.description.is_empty());
        }
        let maximum = |name| Profile::named(name).unwrap().max_risk;
        assert_eq!([maximum("safe"), maximum("extreme")], [Risk::Safe, Risk::Reboot]);
    }

    #[test]
    fn a_host_says_what_differs_and_the_command_line_says_last() {
        let mut profile = Profile::named("throughput").unwrap();
        let own = "[knobs]\n\"net.core.somaxconn\" = 70000\n[drivers.ice]\n\"nic.ring.rx\" = 2048\n";
        profile.override_with("tune.toml", own).unwrap();
        assert_eq!(profile.value("net.core.somaxconn", None), Some("70000"));
        assert_eq!(profile.value("nic.ring.rx", Some("ice")), Some("2048"));
        assert_eq!(profile.value("nic.ring.rx", Some("igb")), Some("4096"));
        profile.set("nic.ring.rx=leave").unwrap();
        assert_eq!(profile.value("nic.ring.rx", Some("ice")), None);
    }

    #[test]
    fn what_comes_later_counts_for_cards_of_every_driver() {
        let mut profile = Profile::named("throughput").unwrap();
        profile.override_with("fleet.toml", "[drivers.ice]\n\"nic.ring.rx\" = 2048\n").unwrap();
        assert_eq!(profile.value("nic.ring.rx", Some("ice")), Some("2048"));
        profile.override_with("tune.toml", "[knobs]\n\"nic.ring.rx\" = 1024\n").unwrap();
        assert_eq!(profile.value("nic.ring.rx", Some("ice")), Some("1024"));
    }

    #[test]
    fn faults_are_named() {
        let mut profile = Profile::named("safe").unwrap();
        let text = |error: ProfileError| error.to_string();
        assert_eq!(
            text(profile.set("net.core.somaxcon=1").unwrap_err()),
            "--set net.core.somaxcon=1: there is no knob net.core.somaxcon; did you mean net.core.somaxconn?"
        );
        assert_eq!(text(profile.set("x").unwrap_err()), "--set x: expected KNOB=VALUE");
        assert!(
            text(profile.override_with("t", "[knobs]\n\"nic.xps\" = [1]").unwrap_err()).contains("expected a text")
        );
        assert!(text(profile.override_with("t", "nobs = 1").unwrap_err()).contains("unknown field `nobs`"));
        assert!(text(Profile::named("fast").unwrap_err()).contains("there is no profile fast"));
    }
}
