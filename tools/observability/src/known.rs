//! The metrics that our programs have, by name, with their labels: what an expression may speak of.
//!
//! **Invariants**: taken from the declarations that the programs are compiled with; nothing is listed by hand but what
//! Prometheus itself adds.
//!
//! **Source**: docs/metrics.md, whose tables are of the same declarations.

use std::collections::BTreeMap;

use control::metrics::Kind;
use control::metrics::reference::ReferenceTable;
use control::process_tables::process_tables;

/// Labels that every target has: those of Prometheus, and those that the role `observability` writes from the inventory.
pub(crate) const TARGET_LABELS: [&str; 5] = ["job", "instance", "cluster", "zone", "rack"];

/// Ends of the series of a histogram.
const HISTOGRAM_ENDS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The labels of a metric, each with its words: none where any value may come.
pub(crate) type LabelWords = BTreeMap<&'static str, Vec<&'static str>>;

/// All series, by name.
pub(crate) struct KnownMetrics(BTreeMap<String, LabelWords>);

impl KnownMetrics {
    /// Those of both servers and of corectl.
    pub(crate) fn of_all_programs() -> Self {
        let parts = [
            process_tables(),
            store_runtime::metrics::metric_tables(),
            corelane::metric_tables(),
            shardstored::metric_tables(),
            vec![corectl_table()],
        ];
        let mut known = KnownMetrics(BTreeMap::from([("up".to_owned(), target_labels())]));
        for table in parts.iter().flatten() {
            known.add(table);
        }
        known
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, series: &str) -> Option<&LabelWords> {
        self.0.get(series)
    }

    /// Whether any series has this label.
    pub(crate) fn has_label(&self, label: &str) -> bool {
        self.0.values().any(|labels| labels.contains_key(label))
    }

    fn add(&mut self, table: &ReferenceTable) {
        for family in &table.families {
            let is_histogram = family.kind() == Kind::Histogram;
            let ends = if is_histogram { &HISTOGRAM_ENDS[..] } else { &[""] };
            for end in ends {
                let labels = self.0.entry(format!("{}{end}", family.name())).or_insert_with(target_labels);
                if table.per_core && !is_histogram {
                    labels.entry("core").or_default();
                }
                if *end == "_bucket" {
                    labels.entry("le").or_default();
                }
                for label in family.labels() {
                    labels.entry(label.name).or_default().extend(label.words);
                }
            }
        }
    }
}

/// What `corectl tune status --metrics` writes.
pub(crate) fn corectl_table() -> ReferenceTable {
    ReferenceTable { name: "corectl", per_core: false, families: corectl::status::metric_families() }
}

fn target_labels() -> LabelWords {
    TARGET_LABELS.into_iter().map(|label| (label, Vec::new())).collect()
}
