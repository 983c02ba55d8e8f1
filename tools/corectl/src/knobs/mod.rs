//! The table of knobs: one declaration for each setting that a profile may name.
//!
//! ```text
//!  a Knob: name, group, risk, access, rule, reason, source
//!     ├─▶ settings()      the addresses it has on a host: what facts read and plans compare
//!     └─▶ reference       a row of docs/tuning.md
//! ```
//!
//! **Invariants**: a name is declared once. A knob of a group that is not confined to a network namespace is never written from one.
//!
//! **Source**: docs/tuning.md, where every row names its own.

mod declare;
mod expand;
mod host;
mod net;
mod nic;
mod report;

pub use declare::{Access, Document, Group, Knob, Risk, Rule, Tool};
pub use expand::{Setting, SettingTarget, settings, settings_with};

/// All knobs, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Knob> {
    [net::KNOBS, nic::KNOBS, host::KNOBS, report::KNOBS].into_iter().flatten()
}

/// A knob by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Knob> {
    all().find(|knob| knob.name == name)
}

/// The name that was most likely meant.
#[must_use]
pub fn closest(name: &str) -> Option<&'static str> {
    let scored = all().map(|knob| (strsim::jaro_winkler(knob.name, name), knob.name));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 > SIMILAR).then_some(best.1)
}

/// Below this, two names have nothing to do with each other.
const SIMILAR: f64 = 0.75;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_declared_once_and_says_its_reason() {
        let mut names: Vec<&str> = all().map(|knob| knob.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for knob in all() {
            assert!(knob.reason.len() > 20 && knob.reason.ends_with('.'), "{}", knob.name);
            assert!(!knob.source.is_empty(), "{}", knob.name);
        }
    }

    #[test]
    fn a_misspelt_name_is_guessed() {
        assert_eq!(closest("net.core.somaxcon"), Some("net.core.somaxconn"));
        assert_eq!(closest("zzz"), None);
    }
}
