//! Latencies summed over cores: a bound is a time series of the scraper's, and one for each core would be too many.
//!
//! **Not** for data cores: made anew on the control core whenever it is asked.

use serde_json::{Value, json};

use super::declare::{MetricGroup, Reading};
use super::family::Family;
use super::latency::Latency;

/// One distribution over all cores.
#[derive(Debug)]
pub struct Series {
    /// What it is of.
    pub family: &'static Family,
    /// The word of its label, if it has one.
    pub word: Option<String>,
    /// All that the cores have recorded.
    pub latency: Latency,
}

/// All latencies of groups of one type, merged, in the order of the declarations.
pub fn latencies<'a, G: MetricGroup + 'a>(groups: impl IntoIterator<Item = &'a G>) -> Vec<Series> {
    let mut merged: Vec<Series> = Vec::new();
    for group in groups {
        let mut at = 0;
        group.visit(&mut |family, word, reading| {
            let Reading::Latency(latency) = reading else { return };
            if at == merged.len() {
                merged.push(Series { family, word: word.map(str::to_owned), latency: Latency::new() });
            }
            merged[at].latency.merge(latency);
            at += 1;
        });
    }
    merged
}

/// The list `latency` of `/v1/status`: what was measured at least once. A quantile is the upper bound of its bucket, null
/// beyond the last one.
#[must_use]
pub fn latency_status(merged: &[Series]) -> Value {
    merged.iter().filter(|series| series.latency.count() > 0).map(status).collect()
}

fn status(series: &Series) -> Value {
    let latency = &series.latency;
    let (subject, name) = series.family.status_path();
    let what = name.trim_end_matches("_duration_seconds");
    let word = series.word.as_deref().map(|word| format!(": {word}")).unwrap_or_default();
    json!({
        "name": format!("{subject} {what}{word}"),
        "count": latency.count(),
        "p50_s": latency.quantile_s(0.5),
        "p90_s": latency.quantile_s(0.9),
        "p99_s": latency.quantile_s(0.99),
        "p999_s": latency.quantile_s(0.999),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Counter, Text, exposition};
    use super::*;

    crate::metrics! {
        /// A group.
        struct Kitchen {
            /// Meals.
            meals: Counter = "corelane_kitchen_meals_total",
            /// Waiting, by table.
            waits: [Latency; 2] = "corelane_kitchen_wait_duration_seconds" by "table" in ["door", "window"],
        }
    }

    #[test]
    fn cores_are_merged_by_series() {
        let kitchens = [Kitchen::default(), Kitchen::default()];
        kitchens[0].waits[1].record(Duration::from_millis(1));
        kitchens[1].waits[1].record_times(Duration::from_micros(4), 9);
        kitchens[1].meals.add(3);
        let merged = latencies(&kitchens);
        assert_eq!(merged.len(), 2);
        let expected = json!([{
            "name": "kitchen wait: window", "count": 10,
            "p50_s": 0.000_004, "p90_s": 0.000_004, "p99_s": 0.001_024, "p999_s": 0.001_024,
        }]);
        assert_eq!(latency_status(&merged), expected, "what was never measured is left out");

        let mut text = Text::new();
        kitchens.iter().enumerate().for_each(|(core, kitchen)| text.group(&[("core", &core)], kitchen));
        text.latencies(&merged);
        let text = text.finish();
        exposition::check(&text);
        for line in [
            "corelane_kitchen_meals_total{core=\"1\"} 3\n",
            "corelane_kitchen_wait_duration_seconds_bucket{table=\"window\",le=\"+Inf\"} 10\n",
            "corelane_kitchen_wait_duration_seconds_count{table=\"door\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
