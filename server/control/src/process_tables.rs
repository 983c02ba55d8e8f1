//! Which metrics every process has, wherever in this crate they are declared.
//!
//! **Not** what a table looks like, which is [`crate::metrics::reference`]'s.
//!
//! **Invariants**: a metric of this crate that is in no table here is in no document either, which the documents' tests find.

use crate::metrics::reference::ReferenceTable;
use crate::metrics::{
    ClockMetrics, ConfigMetrics, HandshakeMetrics, PROCESS_FAMILIES, ReactorMetrics, SecurityMetrics, TopologyMetrics,
};

/// What is counted of certificates, and told of them.
fn tls_table() -> ReferenceTable {
    let mut table = ReferenceTable::of::<SecurityMetrics>("tls", false);
    table.families.extend(crate::security::report::FAMILIES);
    table
}

/// The tables of what every process counts, but for the cache.
#[must_use]
pub fn process_tables() -> Vec<ReferenceTable> {
    vec![
        ReferenceTable {
            name: "process",
            per_core: false,
            families: [&PROCESS_FAMILIES[..], &crate::memory::FAMILIES[..]].concat(),
        },
        ReferenceTable::of::<crate::admin::AdminMetrics>("admin", false),
        ReferenceTable::of::<crate::log::LogMetrics>("log", false),
        ReferenceTable::of::<ConfigMetrics>("config", false),
        ReferenceTable::of::<TopologyMetrics>("topology", false),
        ReferenceTable::of::<ClockMetrics>("clock", false),
        tls_table(),
        ReferenceTable::of::<HandshakeMetrics>("handshakes", true),
        ReferenceTable::of::<crate::lame_duck::LameDuckMetrics>("drain", false),
        ReferenceTable::of::<ReactorMetrics>("reactor", true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::reference::{assert_same, refreshed};

    #[test]
    fn the_reference_is_up_to_date() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let found = std::fs::read_to_string(document).unwrap();
        let expected = refreshed(&found, &process_tables()).expect("docs/metrics.md has all markers");
        assert_same(document, &found, &expected);
    }
}
