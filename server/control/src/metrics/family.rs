//! Declarations of metric families: name, kind, labels and help, checked when they are compiled.
//!
//! **Not**: values. **Invariants**: a family declared as a constant has a name of the form
//! `corelane_<what>_<unit>[_total]`; counters end in `_total` and nothing else does.
//!
//! **Source**: docs/metrics.md; Prometheus' conventions for names, units and `_total`.

/// The first word of every name, so that a scraper of many programs can distinguish ours.
const PRODUCT: &str = "corelane";

/// Ends that the format itself appends to the samples of a histogram.
const RESERVED_ENDS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// What kind of number a family's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum since the start of the process.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// A distribution of durations.
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

/// A label of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, when they are known before the process runs; empty otherwise.
    pub words: &'static [&'static str],
}

impl Label {
    /// A label whose values are known only to the running process, such as the id of a node.
    #[must_use]
    pub const fn open(name: &'static str) -> Self {
        Self { name, words: &[] }
    }
}

/// The declaration of a metric: all its samples have one name, one kind and one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [Label],
    pub(super) help: &'static str,
}

impl Family {
    /// A family of sums since the start, `corelane_<what>[_<unit>]_total`.
    ///
    /// # Panics
    ///
    /// When the name is not of that form; for a constant, that is when it is compiled.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [Label], help: &'static str) -> Self {
        Self::declared(name, Kind::Counter, labels, help)
    }

    /// A family of numbers that go up and down, `corelane_<what>[_<unit>]`.
    ///
    /// # Panics
    ///
    /// When the name is not of that form; for a constant, that is when it is compiled.
    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [Label], help: &'static str) -> Self {
        Self::declared(name, Kind::Gauge, labels, help)
    }

    /// A family of any kind. Histograms are of latencies, `corelane_<what>_seconds`.
    ///
    /// # Panics
    ///
    /// When the name is not of the kind's form; for a constant, that is when it is compiled.
    #[must_use]
    pub const fn declared(name: &'static str, kind: Kind, labels: &'static [Label], help: &'static str) -> Self {
        assert!(is_well_formed(name), "a metric is called corelane_<what>_<unit>[_total], in lower case");
        match kind {
            Kind::Counter => assert!(ends_with(name, "_total"), "a counter's name ends in _total"),
            Kind::Gauge => assert!(!ends_with(name, "_total"), "only a counter's name ends in _total"),
            Kind::Histogram => assert!(ends_with(name, "_seconds"), "a latency is in seconds, and the name says so"),
        }
        Self { name, kind, labels, help: help.trim_ascii() }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it says, in sentences.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// The labels, without `core`.
    #[must_use]
    pub const fn labels(&self) -> &'static [Label] {
        self.labels
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where `/v1/status` has it: the subject, and the name within the subject. `corelane_http_requests_total` is `requests`
    /// of `http`.
    #[must_use]
    pub fn status_path(&self) -> (&'static str, &'static str) {
        let rest = &self.name[PRODUCT.len() + 1..];
        let rest = rest.strip_suffix("_total").unwrap_or(rest);
        rest.split_once('_').unwrap_or((rest, "value"))
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
        assert!(panics(|| Family::counter("corelane_hits", &[], "")));
        assert!(panics(|| Family::gauge("corelane_hits_total", &[], "")));
        assert!(panics(|| Family::declared("corelane_hits_bytes", Kind::Histogram, &[], "")));
    }

    #[test]
    fn status_names_follow_from_the_name() {
        let path = |name| Family::declared(name, Kind::Gauge, &[], "").status_path();
        assert_eq!(path("corelane_cache_live_bytes"), ("cache", "live_bytes"));
        assert_eq!(path("corelane_x"), ("x", "value"));
        let counter = Family::counter("corelane_http_requests_total", &[], " Requests. ");
        assert_eq!((counter.status_path(), counter.help), (("http", "requests"), "Requests."));
    }
}
