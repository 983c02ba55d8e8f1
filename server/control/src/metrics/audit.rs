//! Checks on groups of metrics, for the tests of those who declare them: each source is written alone, and exactly the sample
//! it belongs to must change.
//!
//! **Invariants**: a family that no write has changed fails the check, so that a list of writes cannot be forgotten.

use super::declare::{MetricGroup, Reading};
use super::family::{Family, Label};

/// The samples of a group that are not zero, as a scraper would write them.
#[must_use]
pub fn changed<G: MetricGroup>(group: &G) -> Vec<String> {
    let mut changed = Vec::new();
    group.visit(&mut |family, word, reading| {
        let is_zero = match reading {
            Reading::Number(number) => number == 0,
            Reading::Latency(latency) => latency.count() == 0,
        };
        if !is_zero {
            changed.push(sample_name(family, word));
        }
    });
    changed
}

/// The name of a sample, with its own label: `corelane_http_responses_total{class="2xx"}`.
#[must_use]
pub fn sample_name(family: &Family, word: Option<&str>) -> String {
    match (family.labels, word) {
        ([label], Some(word)) => format!("{}{{{}=\"{word}\"}}", family.name, label.name),
        _ => family.name.to_owned(),
    }
}

/// Writes to a group, each to one of its numbers, and the sample that must change.
pub type WriteChecks<G> = &'static [(fn(&G), &'static str)];

/// Asserts that each write changes exactly the sample that stands beside it, and that every family of the group
/// itself is written.
///
/// # Panics
///
/// When that is not so.
pub fn assert_alone<G: MetricGroup + Default>(writes: WriteChecks<G>) {
    for (write, sample) in writes {
        let group = G::default();
        write(&group);
        assert_eq!(changed(&group), [*sample]);
    }
    let samples: Vec<&str> = writes.iter().map(|(_, sample)| *sample).collect();
    assert_complete::<G>(&samples);
}

/// Changes to a source of which a group is a copy, one number at a time, and the sample that must change.
pub type CopyChecks<T> = &'static [(fn(&mut T), &'static str)];

/// Asserts that each number of a source changes exactly the sample that stands beside it, and that every family of the group
/// has a source.
///
/// # Panics
///
/// When that is not so.
pub fn assert_copied<T: Default, G: MetricGroup + Default>(sources: CopyChecks<T>, publish: fn(&G, &T)) {
    for (change, sample) in sources {
        let mut source = T::default();
        change(&mut source);
        let group = G::default();
        publish(&group, &source);
        assert_eq!(changed(&group), [*sample]);
    }
    let samples: Vec<&str> = sources.iter().map(|(_, sample)| *sample).collect();
    assert_complete::<G>(&samples);
}

/// Asserts that every family of a group has a sample in the list, and no sample is listed twice.
///
/// # Panics
///
/// When that is not so.
pub fn assert_complete<G: MetricGroup>(samples: &[&str]) {
    for family in G::own_families() {
        let fixed = match family.labels {
            [Label { words: [word], .. }] => Some(*word),
            _ => None,
        };
        let name = sample_name(family, fixed);
        let is_of = |sample: &str| sample == name || (fixed.is_none() && sample.split('{').next() == Some(family.name));
        assert!(samples.iter().any(|sample| is_of(sample)), "nothing writes {name}");
    }
    let distinct: std::collections::BTreeSet<_> = samples.iter().collect();
    assert_eq!(distinct.len(), samples.len(), "a sample is listed twice");
}
