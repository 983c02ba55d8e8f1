//! Dashboards for Grafana.
//!
//! ```text
//!  fleet.rs, process.rs: rows of panels ─▶ json.rs ─▶ corelane-fleet.json, corelane-process.json
//! ```
//!
//! **Not** bound to a data source by name: the dashboard asks which one.
//!
//! **Invariants**: every query speaks of series that exist; `@` in a query stands for the choice of cluster and instance.
//!
//! **Source**: Grafana's documentation of the JSON model of a dashboard.

mod fleet;
mod json;
mod process;

/// How a panel draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawing {
    /// Lines over time.
    Lines,
    /// Areas over time, one on another.
    Stacked,
    /// One number.
    Number,
    /// A row for each series, as it is now.
    Table,
    /// Buckets of a histogram over time.
    Heat,
}

/// A query, and what its series are called.
pub(crate) type PanelQuery = (&'static str, &'static str);

/// A panel.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// What to look for.
    pub(crate) about: &'static str,
    pub(crate) drawing: Drawing,
    /// A unit of Grafana.
    pub(crate) unit: &'static str,
    /// Of 24.
    pub(crate) width: u32,
    pub(crate) queries: &'static [PanelQuery],
}

/// Panels under a heading.
pub(crate) struct PanelRow {
    pub(crate) title: &'static str,
    pub(crate) panels: &'static [Panel],
}

/// A dashboard.
pub(crate) struct Dashboard {
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) rows: &'static [PanelRow],
}

/// All of them.
pub(crate) const DASHBOARDS: [Dashboard; 2] = [
    Dashboard { uid: "corelane-fleet", title: "Corelane: fleet", rows: fleet::ROWS },
    Dashboard { uid: "corelane-process", title: "Corelane: one process", rows: process::ROWS },
];

impl Dashboard {
    /// The queries, as Grafana sends them.
    pub(crate) fn queries(&self) -> impl Iterator<Item = String> {
        let panels = self.rows.iter().flat_map(|row| row.panels);
        panels.flat_map(|panel| panel.queries).map(|(expression, _)| chosen(expression))
    }

    /// The file.
    pub(crate) fn file(&self) -> String {
        json::dashboard(self)
    }
}

/// A query with the choice of cluster and instance in it.
fn chosen(expression: &str) -> String {
    expression.replace('@', "cluster=~\"$cluster\",instance=~\"$instance\"")
}
