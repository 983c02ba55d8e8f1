//! A plain reader of the text exposition: what a scraper would make of it. For tests.
//!
//! **Not** fast or lenient. **Invariants**: an exposition that [`check`] takes is one that Prometheus takes, and a histogram
//! in it is cumulative and complete.
//!
//! **Source**: the Prometheus text exposition format, version 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// Reads an exposition.
///
/// # Panics
///
/// When it is not one, or breaks a rule of its kind.
pub(crate) fn check(text: &str) -> Vec<Sample> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line ends");
    let mut samples = Vec::new();
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.split_terminator('\n') {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap().to_owned();
            assert!(!families.contains_key(&current), "{current} is not in one piece");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            assert_eq!(name, current, "TYPE follows its HELP");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(current.clone(), kind.to_owned()).is_none(), "{line} stands twice");
        } else {
            let sample = read_sample(line);
            let kind = families.get(&current).unwrap_or_else(|| panic!("{line} before any TYPE"));
            assert!(belongs(&sample.name, &current, kind), "{line} in {current}");
            assert!(kind == "gauge" || sample.value >= 0.0, "{line}");
            samples.push(sample);
        }
    }
    let series: BTreeSet<String> = samples.iter().map(|s| format!("{} {:?}", s.name, s.labels)).collect();
    assert_eq!(series.len(), samples.len(), "a series stands twice in {text}");
    for (name, _) in families.iter().filter(|(_, kind)| *kind == "histogram") {
        check_histogram(name, &samples);
    }
    samples
}

fn belongs(sample: &str, family: &str, kind: &str) -> bool {
    let rest = sample.strip_prefix(family);
    match kind {
        "histogram" => rest.is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end)),
        _ => rest == Some(""),
    }
}

fn read_sample(line: &str) -> Sample {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    let end = line.find(|char| !is_name(char)).expect(line);
    let (name, mut rest) = line.split_at(end);
    assert!(!name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = read_label(rest);
            labels.push(label);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect(line);
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    assert!(is_number || ["NaN", "+Inf", "-Inf"].contains(&value), "{line}");
    Sample { name: name.to_owned(), labels, value: value.parse().expect(line) }
}

/// Reads `name="value"` and returns what follows.
fn read_label(text: &str) -> ((String, String), &str) {
    let (name, quoted) = text.split_once("=\"").expect(text);
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{text}");
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return ((name.to_owned(), value), &quoted[at + 1..]),
            '\\' => match chars.next().expect(text).1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                other => panic!("\\{other} is no escape: {text}"),
            },
            other => value.push(other),
        }
    }
    panic!("a label without an end: {text}")
}

fn check_histogram(name: &str, samples: &[Sample]) {
    let mut by_labels: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
        let (bounds, others): (Vec<_>, Vec<_>) = sample.labels.iter().partition(|(label, _)| label == "le");
        let bound = bounds[0].1.parse().expect("le is a number");
        by_labels.entry(format!("{others:?}")).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in by_labels {
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name}{labels}: le does not rise");
        assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}{labels}: not cumulative");
        let last = buckets.last().unwrap();
        assert_eq!(last.0, f64::INFINITY, "{name}{labels}: no +Inf");
        let count = samples.iter().find(|s| s.name == format!("{name}_count") && is_of(s, &labels));
        assert_eq!(count.expect("a histogram has a count").value, last.1, "{name}{labels}");
        assert!(samples.iter().any(|s| s.name == format!("{name}_sum") && is_of(s, &labels)), "{name}{labels}: no sum");
    }
}

fn is_of(sample: &Sample, labels: &str) -> bool {
    format!("{:?}", sample.labels.iter().collect::<Vec<_>>()) == labels
}
