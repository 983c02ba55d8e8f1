//! Whether a host is still as it was confirmed: for people, for scripts, and for a collector of metrics.
//!
//! **Invariants**: changes nothing. The metrics' file is replaced as a whole, so that a collector never reads half of it.
//!
//! **Source**: docs/operations.md, "Tune a host"; the textfile collector of Prometheus' node exporter.

use std::fmt::Write as _;

use control::metrics::{Family, Label};
use serde::Serialize;

use crate::host::HostAccess;
use crate::transaction::{Confirmed, SavedSetting, StateStore, TransactionError, TransactionRecord};
use crate::verify::{VerifiedSetting, verify, verify_waiting};

const STATE: Family = Family::gauge(
    "corelane_tune_state",
    &[Label { name: "state", words: &["untouched", "pending", "confirmed", "drifted"] }],
    "1 for what the host's tuning is: as confirmed, drifted, pending or untouched.",
);
const SETTINGS: Family = Family::gauge("corelane_tune_settings", &[], "Settings that corectl keeps.");
const DRIFTED: Family = Family::gauge("corelane_tune_drifted_settings", &[], "Settings that are not as confirmed.");
const DRIFT: Family = Family::gauge(
    "corelane_tune_drift",
    &[Label::open("knob"), Label::open("target")],
    "1 for each setting that is not as confirmed.",
);
const CONFIRMED: Family =
    Family::gauge("corelane_tune_confirmed_timestamp_seconds", &[], "When the last change was confirmed.");
const LOOKED: Family = Family::gauge("corelane_tune_status_timestamp_seconds", &[], "When corectl looked.");

/// What [`TuneStatus::metrics`] writes.
#[must_use]
pub fn metric_families() -> Vec<&'static Family> {
    vec![&STATE, &SETTINGS, &DRIFTED, &DRIFT, &CONFIRMED, &LOOKED]
}

/// What corectl knows of a host.
#[derive(Debug, Serialize)]
pub struct TuneStatus {
    /// The change that waits to be confirmed.
    pub pending: Option<TransactionRecord>,
    /// What was confirmed.
    pub confirmed: Option<Confirmed>,
    /// How every setting stands: of the change that waits over what was confirmed.
    pub settings: Vec<VerifiedSetting>,
}

/// What there is to say in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TuneState {
    /// corectl has changed nothing.
    Untouched,
    /// A change waits to be confirmed.
    Pending,
    /// Everything is as confirmed.
    Confirmed,
    /// Something is not as confirmed.
    Drifted,
}

impl TuneState {
    const ALL: &'static [(TuneState, &'static str)] = &[
        (TuneState::Untouched, "untouched"),
        (TuneState::Pending, "pending"),
        (TuneState::Confirmed, "confirmed"),
        (TuneState::Drifted, "drifted"),
    ];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }
}

impl TuneStatus {
    /// Looks at a host.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn of(store: &StateStore<'_>) -> Result<Self, TransactionError> {
        let (pending, confirmed) = (store.pending()?, store.confirmed()?);
        let mut status = TuneStatus { pending, confirmed, settings: Vec::new() };
        let (saved, waiting) = (status.saved(), status.waiting());
        let mut settings = verify(store.host(), &saved[..saved.len() - waiting.len()]);
        settings.extend(verify_waiting(store.host(), waiting));
        status.settings = settings;
        Ok(status)
    }

    /// The settings as they were saved: of the change that waits over what was confirmed.
    #[must_use]
    pub fn saved(&self) -> Vec<SavedSetting> {
        let mut settings = self.confirmed.as_ref().map(|confirmed| confirmed.settings.clone()).unwrap_or_default();
        let waiting = self.waiting();
        settings.retain(|setting| !waiting.iter().any(|other| other.address == setting.address));
        settings.extend_from_slice(waiting);
        settings
    }

    fn waiting(&self) -> &[SavedSetting] {
        self.pending.as_ref().map(|pending| pending.settings.as_slice()).unwrap_or_default()
    }

    /// Settings that are not as they should be.
    pub fn drifted(&self) -> impl Iterator<Item = &VerifiedSetting> {
        self.settings.iter().filter(|setting| !setting.is_right())
    }

    /// The one word.
    #[must_use]
    pub fn state(&self) -> TuneState {
        match (&self.pending, &self.confirmed) {
            (Some(_), _) => TuneState::Pending,
            (None, None) => TuneState::Untouched,
            (None, Some(_)) if self.drifted().next().is_some() => TuneState::Drifted,
            (None, Some(_)) => TuneState::Confirmed,
        }
    }

    /// As Prometheus' text format.
    #[must_use]
    pub fn metrics(&self, host: &dyn HostAccess) -> String {
        let mut text = String::new();
        let mut write = |family: &Family, samples: &[(String, u64)]| {
            let (name, help) = (family.name(), family.help());
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let states = TuneState::ALL.iter().map(|(state, word)| {
            let is_now = *state == self.state();
            (format!("{{state=\"{word}\"}}"), u64::from(is_now))
        });
        write(&STATE, &states.collect::<Vec<_>>());
        let plain = |value: usize| [(String::new(), value as u64)];
        write(&SETTINGS, &plain(self.settings.len()));
        write(&DRIFTED, &plain(self.drifted().count()));
        let labels = |setting: &VerifiedSetting| {
            format!("{{knob=\"{}\",target=\"{}\"}}", label(&setting.knob), label(&setting.target))
        };
        let drifted = self.drifted().map(|setting| (labels(setting), 1));
        write(&DRIFT, &drifted.collect::<Vec<_>>());
        let confirmed = self.confirmed.as_ref().map(|confirmed| (String::new(), confirmed.epoch_seconds));
        write(&CONFIRMED, &confirmed.into_iter().collect::<Vec<_>>());
        let now = [(String::new(), host.now().epoch_seconds)];
        write(&LOOKED, &now);
        text
    }
}

/// The value of a label, as the text format of Prometheus quotes it.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
