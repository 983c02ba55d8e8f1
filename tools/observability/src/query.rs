//! What an expression speaks of: series, labels and their values; and whether our programs have them.
//!
//! **Not** a parser of PromQL: promtool says whether an expression is one. Here names are found, and what stands in the braces
//! behind them and in the parentheses behind `by` and its kin.
//!
//! **Source**: Prometheus' documentation of its query language.

use crate::known::{KnownMetrics, TARGET_LABELS};

/// What all our names begin with, those of recorded series too.
const PRODUCT: &str = "corelane";

/// What a list of labels follows.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Everything in an expression that does not exist, in words; `recorded` are the series that rules make.
pub(crate) fn unknown_in(expression: &str, known: &KnownMetrics, recorded: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut rest = expression;
    while let Some(begin) = rest.find(is_word) {
        let word_and_on = &rest[begin..];
        let (word, on) = word_and_on.split_at(word_and_on.find(|c| !is_word(c)).unwrap_or(word_and_on.len()));
        rest = on;
        let is_ours = word.starts_with(PRODUCT) || word.contains(':') || word == "up";
        if GROUPINGS.contains(&word) {
            faults.extend(unknown_labels(inside(on, '(', ')'), known));
        } else if is_ours && !recorded.contains(&word) {
            faults.extend(unknown_series(word, on, known));
        }
        // Strings, and matchers that were looked at, are passed over.
        if is_ours && on.starts_with('{') {
            rest = on.split_once('}').map_or("", |(_, after)| after);
        }
    }
    faults
}

fn unknown_series(series: &str, after: &str, known: &KnownMetrics) -> Vec<String> {
    let Some(labels) = known.labels(series) else { return vec![format!("no program has the metric {series}")] };
    let mut faults = Vec::new();
    for matcher in inside(after, '{', '}').unwrap_or_default().split(',').filter(|matcher| !matcher.trim().is_empty()) {
        let name: &str = matcher.trim().split(['=', '!']).next().unwrap_or_default();
        let Some(words) = labels.get(name) else {
            faults.push(format!("{series} has no label {name}"));
            continue;
        };
        let pattern = matcher.split('"').nth(1).unwrap_or_default();
        let is_free = words.is_empty() || pattern.is_empty() || pattern.contains(['.', '[', '$']);
        let values = pattern.split('|').filter(|value| !is_free && !words.contains(value));
        faults.extend(values.map(|value| format!("{series} has no {name}=\"{value}\"")));
    }
    faults
}

fn unknown_labels(list: Option<&str>, known: &KnownMetrics) -> Vec<String> {
    let names = list.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let unknown = names.filter(|name| !TARGET_LABELS.contains(name) && !known.has_label(name));
    unknown.map(|name| format!("no metric has the label {name}")).collect()
}

/// What stands between the brackets that `text` begins with, spaces apart.
fn inside(text: &str, open: char, close: char) -> Option<&str> {
    text.trim_start().strip_prefix(open)?.split_once(close).map(|(inner, _)| inner)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_program_has_is_found() {
        let known = KnownMetrics::of_all_programs();
        let recorded = ["cluster:corelane_x:rate5m"];
        for (expression, fault) in [
            ("rate(corelane_http_requests_total[5m])", ""),
            ("sum by (instance, core) (corelane_cache_items)", ""),
            ("corelane_http_request_duration_seconds_bucket{route=~\"hit|read\", le=\"0.1\"}", ""),
            ("corelane_process_cpu_seconds_total{thread=~\"core-[0-9]+\"}", ""),
            ("cluster:corelane_x:rate5m > 1 and up == 0", ""),
            ("rate(corelane_http_request_total[5m])", "no program has the metric corelane_http_request_total"),
            (
                "corelane_http_request_duration_seconds",
                "no program has the metric corelane_http_request_duration_seconds",
            ),
            ("corelane_http_responses_total{class=\"6xx\"}", "corelane_http_responses_total has no class=\"6xx\""),
            ("corelane_http_responses_total{code=\"200\"}", "corelane_http_responses_total has no label code"),
            ("corelane_kv_reads_total{source=~\"node|other\"}", "corelane_kv_reads_total has no source=\"other\""),
            ("sum by (host) (corelane_cache_items)", "no metric has the label host"),
            ("cluster:corelane_y:rate5m", "no program has the metric cluster:corelane_y:rate5m"),
        ] {
            assert_eq!(unknown_in(expression, &known, &recorded).join("; "), fault, "{expression}");
        }
    }
}
