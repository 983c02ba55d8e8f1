//! Declarations of metric families: name, kind and help, checked when they are compiled.
//!
//! **Not**: values. **Invariants**: a family declared as a constant has a name of the form
//! `corelane_<what>_<unit>[_total]`; counters end in `_total` and nothing else does.
//!
//! **Source**: docs/metrics.md; Prometheus' conventions for names, units and `_total`.

/// The first word of every name, so that a scraper of many programs can tell ours.
const PRODUCT: &str = "corelane";

/// Ends that the format itself appends to the samples of a histogram.
const RESERVED_ENDS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// What kind of number a family's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// The word of the format.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family of counters or gauges. Declare it as a constant beside what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// A family of histograms of [`super::Latency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramFamily(pub(super) Family);

impl Family {
    /// A family of sums since the start, `corelane_<what>[_<unit>]_total`.
    ///
    /// # Panics
    ///
    /// When the name is not of that form; for a constant, that is when it is compiled.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        assert!(is_well_formed(name), "a metric is called corelane_<what>_<unit>[_total], in lower case");
        assert!(ends_with(name, "_total"), "a counter's name ends in _total");
        Self { name, kind: Kind::Counter, help }
    }

    /// A family of numbers that go up and down, `corelane_<what>[_<unit>]`.
    ///
    /// # Panics
    ///
    /// When the name is not of that form; for a constant, that is when it is compiled.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        assert!(is_well_formed(name), "a metric is called corelane_<what>_<unit>[_total], in lower case");
        assert!(!ends_with(name, "_total"), "only a counter's name ends in _total");
        Self { name, kind: Kind::Gauge, help }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl HistogramFamily {
    /// A family of latencies, `corelane_<what>_seconds`.
    ///
    /// # Panics
    ///
    /// When the name is not of that form; for a constant, that is when it is compiled.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        assert!(is_well_formed(name), "a metric is called corelane_<what>_<unit>[_total], in lower case");
        assert!(ends_with(name, "_seconds"), "latencies are told in seconds, and the name says so");
        Self(Family { name, kind: Kind::Histogram, help })
    }

    /// The name, without the ends that the format appends.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.0.name
    }
}

/// Whether a name is the product's and words of lower-case letters and digits with one `_` between them, the second of
/// which begins with a letter, and has no reserved end.
const fn is_well_formed(name: &str) -> bool {
    let (bytes, product) = (name.as_bytes(), PRODUCT.as_bytes());
    let mut at = 0;
    while at < product.len() {
        if at >= bytes.len() || bytes[at] != product[at] {
            return false;
        }
        at += 1;
    }
    let is_long_enough = at + 1 < bytes.len();
    if !is_long_enough || bytes[at] != b'_' || !bytes[at + 1].is_ascii_lowercase() || bytes[bytes.len() - 1] == b'_' {
        return false;
    }
    while at < bytes.len() {
        let fits = bytes[at].is_ascii_lowercase() || bytes[at].is_ascii_digit();
        if !fits && (bytes[at] != b'_' || bytes[at - 1] == b'_') {
            return false;
        }
        at += 1;
    }
    let mut end = 0;
    while end < RESERVED_ENDS.len() {
        if ends_with(name, RESERVED_ENDS[end]) {
            return false;
        }
        end += 1;
    }
    true
}

const fn ends_with(name: &str, end: &str) -> bool {
    let (name, end) = (name.as_bytes(), end.as_bytes());
    if name.len() < end.len() {
        return false;
    }
    let start = name.len() - end.len();
    let mut at = 0;
    while at < end.len() {
        if name[start + at] != end[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_convention() {
        for good in ["corelane_x", "corelane_cache_hits_total", "corelane_http2_bytes", "corelane_a_1"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "",
            "corelane_",
            "corelane",
            "corelanex",
            "cache_hits_total",
            "corelane__x",
            "corelane_x_",
            "corelane_x__y",
            "corelane_X",
            "corelane_1x",
            "corelane_x-y",
            "corelane_x_bucket",
            "corelane_x_sum",
            "corelane_x_count",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn kinds_and_ends_agree() {
        fn panics<T>(declare: fn() -> T) -> bool {
            std::panic::catch_unwind(declare).is_err()
        }
        assert!(panics(|| Family::counter("corelane_hits", "")));
        assert!(panics(|| Family::gauge("corelane_hits_total", "")));
        assert!(panics(|| HistogramFamily::new("corelane_hits_bytes", "")));
        assert_eq!(HistogramFamily::new("corelane_wait_seconds", "").name(), "corelane_wait_seconds");
    }
}
