//! Which keys are asked for most: a sketch of a core's samples, and the sum of all cores' for `/v1/status`.
//!
//! ```text
//!  data core: one round in 61 ─▶ its first key ─▶ HotKeys ── a window's HotKeyReport, every 5 s ─▶ control thread: HotKeyReports
//! ```
//!
//! **Not** exact: shares are of samples, and a key is named if more than one sample in [`KEYS_MAX`] is of it.
//!
//! **Invariants**: a sample allocates nothing; a key is kept with its first [`NAME_BYTES_MAX`] bytes, as it was sent.
//!
//! **Source**: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005): Space-Saving.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde_json::{Value, json};

/// Keys that a core counts at once.
const KEYS_MAX: usize = 64;

/// Bytes of a key's name that are kept.
pub(crate) const NAME_BYTES_MAX: usize = 120;

/// How long a core counts before it reports and begins anew.
pub(crate) const WINDOW: Duration = Duration::from_secs(5);

/// Keys that are shown.
const SHOWN_MAX: usize = 20;

/// A key and how often it was sampled.
#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Of all of its name, seeded: two keys are one where it is the same.
    hash: u64,
    name: [u8; NAME_BYTES_MAX],
    name_bytes: u8,
    samples: u32,
    /// Of these, those that may have been of keys that were counted here before.
    error: u32,
}

impl Counted {
    const NONE: Counted = Counted { hash: 0, name: [0; NAME_BYTES_MAX], name_bytes: 0, samples: 0, error: 0 };

    fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_bytes)]
    }

    fn rename(&mut self, parts: [&[u8]; 3]) {
        self.name_bytes = 0;
        for byte in parts.into_iter().flatten().take(NAME_BYTES_MAX) {
            self.name[usize::from(self.name_bytes)] = *byte;
            self.name_bytes += 1;
        }
    }
}

/// What a core has counted in a window.
#[derive(Debug, Default)]
pub(crate) struct HotKeyReport {
    samples: u32,
    keys: Vec<Counted>,
}

/// The keys that a core samples.
#[derive(Debug)]
pub(crate) struct HotKeys {
    samples: u32,
    hasher: RandomState,
    /// [`KEYS_MAX`] at most.
    keys: Vec<Counted>,
}

impl HotKeys {
    pub(crate) fn new() -> Self {
        HotKeys { samples: 0, hasher: RandomState::new(), keys: Vec::with_capacity(KEYS_MAX) }
    }

    /// Counts a sample, of a key as it was sent.
    pub(crate) fn note(&mut self, keyspace: &[u8], raw_key: &[u8]) {
        self.samples = self.samples.saturating_add(1);
        let hash = self.hasher.hash_one((keyspace, raw_key));
        if let Some(counted) = self.keys.iter_mut().find(|counted| counted.hash == hash) {
            counted.samples = counted.samples.saturating_add(1);
            return;
        }
        if self.keys.len() < KEYS_MAX {
            self.keys.push(Counted::NONE);
        }
        let Some(least) = self.keys.iter_mut().min_by_key(|counted| counted.samples) else { return };
        least.error = least.samples;
        least.samples = least.samples.saturating_add(1);
        least.hash = hash;
        least.rename([keyspace, b"/", raw_key]);
    }

    /// Ends the window.
    pub(crate) fn take(&mut self) -> HotKeyReport {
        let report = HotKeyReport { samples: self.samples, keys: self.keys.clone() };
        self.samples = 0;
        self.keys.clear();
        report
    }
}

/// What the cores have reported last.
#[derive(Debug, Default)]
pub(crate) struct HotKeyReports(BTreeMap<u16, HotKeyReport>);

impl HotKeyReports {
    pub(crate) fn insert(&mut self, core: u16, report: HotKeyReport) {
        self.0.insert(core, report);
    }

    /// As `/v1/status` shows them.
    pub(crate) fn to_json(&self, is_on: bool) -> Value {
        let samples: u32 = self.0.values().map(|report| report.samples).sum();
        let mut sums: BTreeMap<&[u8], (u32, u32)> = BTreeMap::new();
        for counted in self.0.values().flat_map(|report| &report.keys) {
            let sum = sums.entry(counted.name()).or_default();
            *sum = (sum.0 + counted.samples, sum.1 + counted.error);
        }
        let mut keys: Vec<_> = sums.into_iter().collect();
        keys.sort_by_key(|&(_, (samples, error))| std::cmp::Reverse((samples, samples - error)));
        let share = |count: u32| f64::from(count) / f64::from(samples.max(1));
        let keys = keys.iter().take(SHOWN_MAX).map(|&(name, (count, error))| {
            json!({
                "key": String::from_utf8_lossy(name),
                "cut": name.len() == NAME_BYTES_MAX,
                "share": share(count),
                "share_min": share(count - error),
            })
        });
        json!({
            "sampling": is_on,
            "window_seconds": WINDOW.as_secs(),
            "samples": samples,
            "keys": keys.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(reports: &HotKeyReports) -> Vec<(String, f64)> {
        let value = reports.to_json(true);
        let keys = value["keys"].as_array().expect("keys");
        keys.iter()
            .map(|key| (key["key"].as_str().expect("text").to_owned(), key["share"].as_f64().expect("a share")))
            .collect()
    }

    #[test]
    fn keys_of_many_samples_are_found_among_many_others() {
        let mut reports = HotKeyReports::default();
        for core in 0..2 {
            let mut keys = HotKeys::new();
            for index in 0..6_000_u32 {
                match index % 10 {
                    0..=2 => keys.note(b"default", b"hottest"),
                    3 | 4 => keys.note(b"other", b"hot"),
                    _ => keys.note(b"default", format!("cold-{core}-{index}").as_bytes()),
                }
            }
            reports.insert(core, keys.take());
            assert_eq!(keys.take().samples, 0, "a window begins anew");
        }
        let shares = shares(&reports);
        assert_eq!((shares[0].0.as_str(), shares[1].0.as_str()), ("default/hottest", "other/hot"));
        assert!((shares[0].1 - 0.3).abs() < 0.02 && (shares[1].1 - 0.2).abs() < 0.02, "{shares:?}");
        // No count is below the truth, and by less than one in KEYS_MAX above it.
        assert!(shares[2..].iter().all(|(_, share)| *share < 0.5 / 40.0), "{shares:?}");
        assert_eq!(shares.len(), SHOWN_MAX);
    }

    #[test]
    fn long_names_are_cut() {
        let mut keys = HotKeys::new();
        let long = [b'x'; 300];
        keys.note(b"k", &long);
        keys.note(b"k", &long);
        keys.note(b"k", &long[..50]);
        keys.note(b"k", &long[..50]);
        keys.note(b"k", &long[..51]);
        let mut reports = HotKeyReports::default();
        reports.insert(0, keys.take());
        let value = reports.to_json(true);
        let cut: Vec<_> =
            value["keys"].as_array().expect("keys").iter().map(|key| (&key["cut"], &key["share"])).collect();
        assert_eq!(cut.len(), 3);
        assert_eq!(
            cut.iter().filter(|(cut, share)| **cut == true && **share == 0.4).count(),
            1,
            "both long ones: {value}"
        );
        assert_eq!(cut.iter().filter(|(cut, _)| **cut == false).count(), 2);
    }

    #[test]
    fn nothing_is_divided_by_where_nothing_was_sampled() {
        assert_eq!(HotKeyReports::default().to_json(false)["samples"], 0);
    }
}
