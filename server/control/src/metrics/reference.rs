//! The tables of docs/metrics.md, written from the declarations so that they cannot go stale.
//!
//! **Not**: the prose around them. **Invariants**: a document is changed only between its markers.
//!
//! **Source**: GitHub Flavored Markdown for tables and comments.

use std::fmt::Write as _;

use super::{
    declare::MetricGroup,
    family::{Family, Kind},
};

/// A table of the document.
pub struct ReferenceTable {
    /// What stands in its markers, `<!-- begin: NAME -->` and `<!-- end: NAME -->`.
    pub name: &'static str,
    /// Whether the families have the label `core` as well. Histograms are merged over cores.
    pub per_core: bool,
    /// What is listed.
    pub families: Vec<&'static Family>,
}

impl ReferenceTable {
    /// The families of a group, those of the groups in it included.
    #[must_use]
    pub fn of<G: MetricGroup>(name: &'static str, per_core: bool) -> Self {
        ReferenceTable { name, per_core, families: G::families() }
    }

    /// The families of a group itself, without those of the groups in it.
    #[must_use]
    pub fn of_own<G: MetricGroup>(name: &'static str, per_core: bool) -> Self {
        ReferenceTable { name, per_core, families: G::own_families() }
    }
}

/// The document with the given parts brought up to date. `None` when a marker is missing.
#[must_use]
pub fn refreshed(document: &str, parts: &[ReferenceTable]) -> Option<String> {
    parts.iter().try_fold(document.to_owned(), |document, part| {
        let (begin, end) = (format!("<!-- begin: {} -->\n", part.name), format!("<!-- end: {} -->", part.name));
        let (before, rest) = document.split_once(&begin)?;
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}{}{end}{after}", table(part)))
    })
}

fn table(part: &ReferenceTable) -> String {
    let mut text = String::from("| name | type | labels | meaning |\n|---|---|---|---|\n");
    for family in &part.families {
        // Series that are fields of their own stand in one row for each.
        let has_core = part.per_core && family.kind != Kind::Histogram;
        let core = has_core.then(|| "`core`".to_owned());
        let own = family.labels.iter().map(|label| match label.words {
            [] => format!("`{}`", label.name),
            words => format!("`{}`: {}", label.name, words.join(", ")),
        });
        let labels = core.into_iter().chain(own).collect::<Vec<_>>().join("; ");
        let (name, kind, help) = (family.name, family.kind.word(), family.help);
        writeln!(text, "| `{name}` | {kind} | {labels} | {help} |").expect("a string takes all that is written to it");
    }
    text
}

/// Asserts that a document is as it should be; otherwise leaves the right one in the temporary folder and says how to take it.
///
/// # Panics
///
/// When the two differ.
pub fn assert_same(path: &str, found: &str, expected: &str) {
    if found == expected {
        return;
    }
    let written = std::env::temp_dir().join(format!("metrics-{}.md", std::process::id()));
    std::fs::write(&written, expected).expect("the temporary folder is writable");
    panic!("docs/metrics.md is out of date; bring it up to date with: cp {} {path}", written.display());
}

#[cfg(test)]
mod tests {
    use super::super::TopologyMetrics;
    use super::*;

    #[test]
    fn a_missing_marker_is_reported() {
        let part = || [ReferenceTable::of::<TopologyMetrics>("topology", false)];
        assert_eq!(refreshed("# Metrics\n", &part()), None);
        let text = refreshed("a\n<!-- begin: topology -->\nSTALE\n<!-- end: topology -->\nb\n", &part()).unwrap();
        assert!(
            text.starts_with("a\n<!-- begin: topology -->\n| name |")
                && text.ends_with("|\n<!-- end: topology -->\nb\n")
        );
        assert!(!text.contains("STALE"));
    }
}
