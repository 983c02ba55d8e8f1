//! Latency histograms of `/metrics`, and the quantiles of what was added between two of them.
//!
//! **Not** a general parser of the exposition format: of lines that are no bucket nothing is taken.
//!
//! **Source**: the Prometheus text format 0.0.4; docs/metrics.md.

use std::collections::BTreeMap;

use super::sample::text;

/// Durations counted in buckets: each an upper bound in seconds, and how many were at most that, since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LatencyBuckets(Vec<(f64, u64)>);

/// By family without its unit, and label: `http_request hit`.
pub(super) type LatencyFamilies = BTreeMap<String, LatencyBuckets>;

/// All histograms of durations in a page of metrics.
pub(super) fn parse(page: &str) -> LatencyFamilies {
    let mut histograms = LatencyFamilies::new();
    for line in page.lines() {
        if let Some((name, bound, count)) = bucket(line) {
            histograms.entry(name).or_default().0.push((bound, count));
        }
    }
    histograms
}

/// `corelane_http_request_duration_seconds_bucket{route="hit",le="0.001"} 12`.
fn bucket(line: &str) -> Option<(String, f64, u64)> {
    let (family, rest) = line.strip_prefix("corelane_")?.split_once("_duration_seconds_bucket{")?;
    let (labels, count) = rest.split_once("} ")?;
    let (mut bound, mut words) = (None, vec![family.to_owned()]);
    for label in labels.split(',') {
        let (name, value) = label.split_once('=')?;
        let value = value.trim_matches('"');
        match name {
            "le" => bound = Some(if value == "+Inf" { f64::INFINITY } else { value.parse().ok()? }),
            _ => words.push(value.to_owned()),
        }
    }
    Some((text(&words.join(" ")), bound?, count.trim().parse().ok()?))
}

impl LatencyBuckets {
    /// What was added since an earlier one; all of it where that is of another process.
    pub(super) fn since(&self, earlier: Option<&LatencyBuckets>) -> LatencyBuckets {
        let before = |index: usize| earlier.and_then(|earlier| earlier.0.get(index)).map_or(0, |&(_, count)| count);
        let is_later = self.0.iter().enumerate().all(|(index, &(_, count))| count >= before(index));
        let added = self
            .0
            .iter()
            .enumerate()
            .map(|(index, &(bound, count))| (bound, if is_later { count - before(index) } else { count }));
        LatencyBuckets(added.collect())
    }

    /// How many durations.
    pub(super) fn count(&self) -> u64 {
        self.0.last().map_or(0, |&(_, count)| count)
    }

    /// The upper bound of the bucket that a quantile is in, in seconds: infinite beyond the last. `None` where nothing was counted.
    pub(super) fn quantile_s(&self, quantile: f64) -> Option<f64> {
        let count = self.count();
        let rank = (count as f64 * quantile).ceil().max(1.0) as u64;
        self.0.iter().find(|&&(_, at_most)| count > 0 && at_most >= rank).map(|&(bound, _)| bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE corelane_http_request_duration_seconds histogram\n\
        corelane_http_request_duration_seconds_bucket{route=\"hit\",le=\"0.001\"} 90\n\
        corelane_http_request_duration_seconds_bucket{route=\"hit\",le=\"0.002\"} 99\n\
        corelane_http_request_duration_seconds_bucket{route=\"hit\",le=\"+Inf\"} 100\n\
        corelane_http_request_duration_seconds_count{route=\"hit\"} 100\n\
        corelane_http_requests_total{core=\"0\"} 100\nrubbish\n";

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let histograms = parse(PAGE);
        assert_eq!(histograms.keys().collect::<Vec<_>>(), ["http_request hit"]);
        let hit = &histograms["http_request hit"];
        let quantiles = [0.0, 0.5, 0.9, 0.91, 0.99, 0.999].map(|quantile| hit.quantile_s(quantile).unwrap());
        assert_eq!(quantiles, [0.001, 0.001, 0.001, 0.002, 0.002, f64::INFINITY]);
        assert_eq!(LatencyBuckets::default().quantile_s(0.5), None);
    }

    #[test]
    fn what_was_added_is_what_counts() {
        let before = &parse(PAGE)["http_request hit"];
        let later = LatencyBuckets(vec![(0.001, 90), (0.002, 109), (f64::INFINITY, 110)]);
        let added = later.since(Some(before));
        assert_eq!((added.count(), added.quantile_s(0.5)), (10, Some(0.002)));
        assert_eq!(later.since(None), later);
        assert_eq!(before.since(Some(&later)), *before, "a process that was started anew counts from 0");
        assert_eq!(later.since(Some(&later)).quantile_s(0.5), None);
    }
}
