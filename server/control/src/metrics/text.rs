//! The Prometheus text exposition: families in the order first given, each with its samples together.
//!
//! ```text
//!  # HELP corelane_cache_hits_total Lookups that found the key.
//!  # TYPE corelane_cache_hits_total counter
//!  corelane_cache_hits_total{core="0"} 12
//! ```
//!
//! **Not**: collecting; the owners of numbers write them here, on the control core.
//!
//! **Invariants**: `HELP` and `TYPE` stand once, before the family's samples, however the samples come in; whatever text a
//! label holds, the line stays one line.
//!
//! **Source**: the Prometheus text exposition format, version 0.0.4.

use std::fmt::{self, Display, Write as _};

use super::{
    declare::{MetricGroup, Reading},
    family::Family,
    latency::Latency,
    merge::Series,
};

/// Labels of a sample: names of letters, digits and `_`, and values of any text.
pub type Labels<'a> = &'a [(&'static str, &'a dyn Display)];

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleValue {
    /// A whole number.
    Whole(u64),
    /// Any other.
    Real(f64),
}

impl From<u64> for SampleValue {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for SampleValue {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<f64> for SampleValue {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl Display for SampleValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Real(number) if number == f64::INFINITY => f.write_str("+Inf"),
            Self::Real(number) if number == f64::NEG_INFINITY => f.write_str("-Inf"),
            Self::Real(number) => write!(f, "{number}"),
        }
    }
}

/// The samples of one family, as lines.
#[derive(Debug)]
struct Block {
    family: Family,
    samples: String,
}

/// An exposition that is being written.
#[derive(Debug, Default)]
pub struct Text {
    blocks: Vec<Block>,
    /// The block written last; the next sample is nearly always of the same family.
    last: usize,
}

impl Text {
    /// An empty exposition.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. A family has one sample for each set of labels; a scraper refuses a second one.
    pub fn sample(&mut self, family: &Family, labels: Labels<'_>, value: impl Into<SampleValue>) {
        let samples = self.samples(family);
        push_sample(samples, (family.name, ""), labels, value.into());
    }

    /// Adds every number of a group. `labels` come before a family's own. Its latencies are merged over cores, and added by
    /// [`Text::latencies`].
    pub fn group<G: MetricGroup + ?Sized>(&mut self, labels: Labels<'_>, group: &G) {
        group.visit(&mut |family, word, reading| {
            let Reading::Number(number) = reading else { return };
            let mut all = labels.to_vec();
            let word = word.unwrap_or_default();
            if let [label] = family.labels {
                all.push((label.name, &word));
            }
            self.sample(family, &all, number);
        });
    }

    /// Adds latencies that are merged over cores.
    pub fn latencies(&mut self, merged: &[Series]) {
        for Series { family, word, latency } in merged {
            match (family.labels, word) {
                ([label], Some(word)) => self.latency(family, &[(label.name, word)], latency),
                _ => self.latency(family, &[], latency),
            }
        }
    }

    /// Adds a histogram.
    pub fn latency(&mut self, family: &Family, labels: Labels<'_>, latency: &Latency) {
        let (cumulative, count) = latency.cumulative();
        let sum = latency.sum_s();
        let name = family.name();
        let samples = self.samples(family);
        let bounds = cumulative.into_iter().map(|(bound, count)| (SampleValue::Real(bound), count));
        for (bound, count) in bounds.chain([(SampleValue::Real(f64::INFINITY), count)]) {
            let mut with_bound: Vec<(&'static str, &dyn Display)> = labels.to_vec();
            with_bound.push(("le", &bound));
            push_sample(samples, (name, "_bucket"), &with_bound, SampleValue::Whole(count));
        }
        push_sample(samples, (name, "_sum"), labels, SampleValue::Real(sum));
        push_sample(samples, (name, "_count"), labels, SampleValue::Whole(count));
    }

    /// The whole exposition.
    #[must_use]
    pub fn finish(self) -> String {
        let mut out = String::new();
        for Block { family, samples } in self.blocks {
            let (name, kind) = (family.name, family.kind.word());
            out.push_str("# HELP ");
            out.push_str(name);
            out.push(' ');
            push_help(&mut out, family.help);
            push(&mut out, format_args!("\n# TYPE {name} {kind}\n"));
            out.push_str(&samples);
        }
        out
    }

    fn samples(&mut self, family: &Family) -> &mut String {
        let is_last = self.blocks.get(self.last).is_some_and(|block| block.family.name == family.name);
        if !is_last {
            let known = self.blocks.iter().position(|block| block.family.name == family.name);
            self.last = known.unwrap_or_else(|| {
                self.blocks.push(Block { family: *family, samples: String::new() });
                self.blocks.len() - 1
            });
        }
        let block = &mut self.blocks[self.last];
        debug_assert_eq!(block.family.kind, family.kind, "{} is declared twice", family.name);
        &mut block.samples
    }
}

fn push_sample(out: &mut String, name: (&str, &str), labels: Labels<'_>, value: SampleValue) {
    out.push_str(name.0);
    out.push_str(name.1);
    let mut before = '{';
    for (label, text) in labels {
        debug_assert!(is_label(label), "{label:?} is not a label's name");
        push(out, format_args!("{before}{label}=\""));
        write!(Escaped(out), "{text}").expect("a string takes all that is written to it");
        out.push('"');
        before = ',';
    }
    if !labels.is_empty() {
        out.push('}');
    }
    push(out, format_args!(" {value}\n"));
}

fn push(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all that is written to it");
}

fn is_label(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Writes the inside of a label's quotes.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// Help is not quoted, so that only what would end the line is escaped.
fn push_help(out: &mut String, help: &str) {
    for char in help.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{exposition, family::Kind};

    const HITS: Family = Family::counter("corelane_hits_total", &[], "Lookups that found the key.");
    const LEVEL: Family = Family::gauge("corelane_level_ratio", &[], "A \"ratio\"\\\nin two lines.");
    const WAIT: Family = Family::declared("corelane_wait_seconds", Kind::Histogram, &[], "Waiting.");

    #[test]
    fn families_stand_together_in_the_order_first_given() {
        let mut text = Text::new();
        text.sample(&LEVEL, &[], 0.5);
        for core in 0..2_u64 {
            text.sample(&HITS, &[("core", &core)], core * 7);
            text.sample(&LEVEL, &[("core", &core), ("path", &"a\"b\\c\nd")], f64::INFINITY);
        }
        let expected = "# HELP corelane_level_ratio A \"ratio\"\\\\\\nin two lines.\n\
            # TYPE corelane_level_ratio gauge\n\
            corelane_level_ratio 0.5\n\
            corelane_level_ratio{core=\"0\",path=\"a\\\"b\\\\c\\nd\"} +Inf\n\
            corelane_level_ratio{core=\"1\",path=\"a\\\"b\\\\c\\nd\"} +Inf\n\
            # HELP corelane_hits_total Lookups that found the key.\n\
            # TYPE corelane_hits_total counter\n\
            corelane_hits_total{core=\"0\"} 0\n\
            corelane_hits_total{core=\"1\"} 7\n";
        assert_eq!(text.finish(), expected);
        exposition::check(expected);
    }

    #[test]
    fn values_of_every_kind() {
        for (value, expected) in [
            (SampleValue::from(u64::MAX), "18446744073709551615"),
            (SampleValue::from(0_usize), "0"),
            (SampleValue::from(-0.25), "-0.25"),
            (SampleValue::from(f64::NAN), "NaN"),
            (SampleValue::from(f64::NEG_INFINITY), "-Inf"),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }

    #[test]
    fn histograms_follow_the_grammar() {
        let mut text = Text::new();
        for core in 0..2 {
            let latency = Latency::new();
            (0..1000).for_each(|n| latency.record(Duration::from_micros(n * n * core)));
            text.latency(&WAIT, &[("core", &core)], &latency);
        }
        let text = text.finish();
        exposition::check(&text);
        for line in [
            "corelane_wait_seconds_bucket{core=\"0\",le=\"0.000001\"} 1000\n",
            "corelane_wait_seconds_bucket{core=\"1\",le=\"+Inf\"} 1000\n",
            "corelane_wait_seconds_sum{core=\"1\"} 332.8335\n",
            "corelane_wait_seconds_count{core=\"1\"} 1000\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    /// Whatever text labels hold, they are read back as they were.
    #[test]
    fn labels_survive() {
        let mut random = reactor::Random::new(3);
        for _ in 0..2000 {
            let letters = ['a', '"', '\\', '\n', '{', '}', ',', '=', ' ', 'é', '\r', '\0'];
            let label: String = (0..random.below(8)).map(|_| letters[random.below(12) as usize]).collect();
            let mut text = Text::new();
            text.sample(&LEVEL, &[("path", &label), ("core", &1)], 1_u64);
            let samples = exposition::check(&text.finish());
            assert_eq!(samples[0].labels, [("path".to_owned(), label), ("core".to_owned(), "1".to_owned())]);
        }
    }
}
