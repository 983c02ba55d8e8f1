//! Alerts: when each fires, what it says, and the scenes in which it is seen to fire and to stay silent.
//!
//! ```text
//!  Alert ─▶ rules.rs ─▶ corelane.rules        what Prometheus loads
//!                   └─▶ corelane.rules.test   its scenes, which promtool plays
//! ```
//!
//! **Not** thresholds of one fleet: they are where something is wrong in any.
//!
//! **Invariants**: an alert has a scene of each kind, or it does not compile; its runbook is a section of docs/operations.md.
//!
//! **Source**: The Site Reliability Workbook, chapter 5, for alerts on burn rates.

mod agreement;
mod clients;
mod nodes;
mod records;
mod resources;

/// Whom an alert reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlertSeverity {
    /// Somebody is woken: users are being failed, or soon will be.
    Page,
    /// Somebody looks at it on the next working day.
    Ticket,
}

impl AlertSeverity {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// A series of a scene: its name with labels, and its values in promtool's notation, one a step.
pub(crate) type SceneSeries = (&'static str, &'static str);

/// What Prometheus sees, and when it is asked.
pub(crate) struct Scene {
    /// What happens, in a few words.
    pub(crate) name: &'static str,
    /// Minutes from the first sample.
    pub(crate) minutes: u32,
    /// One sample a minute.
    pub(crate) series: &'static [SceneSeries],
}

/// An alert and its scenes.
pub(crate) struct Alert {
    /// Also the heading of its runbook.
    pub(crate) name: &'static str,
    pub(crate) severity: AlertSeverity,
    /// What is wrong while it has a value.
    pub(crate) expression: &'static str,
    /// How long it must be wrong, in Prometheus' notation.
    pub(crate) hold: &'static str,
    /// One line; `{{ $labels.NAME }}` is a label.
    pub(crate) summary: &'static str,
    /// It fires at the end of this scene,
    pub(crate) fires: Scene,
    /// with these labels.
    pub(crate) labels: &'static [(&'static str, &'static str)],
    /// It does not fire at the end of this one.
    pub(crate) silent: Scene,
}

/// Alerts of one subject.
pub(crate) struct AlertGroup {
    pub(crate) name: &'static str,
    pub(crate) alerts: &'static [Alert],
}

/// All of them.
pub(crate) const GROUPS: [AlertGroup; 5] = [
    AlertGroup { name: "corelane-clients", alerts: clients::ALERTS },
    AlertGroup { name: "corelane-nodes", alerts: nodes::ALERTS },
    AlertGroup { name: "corelane-agreement", alerts: agreement::ALERTS },
    AlertGroup { name: "corelane-resources", alerts: resources::ALERTS },
    AlertGroup { name: "corelane-records", alerts: records::ALERTS },
];

/// Every alert.
pub(crate) fn all() -> impl Iterator<Item = &'static Alert> {
    GROUPS.iter().flat_map(|group| group.alerts)
}
