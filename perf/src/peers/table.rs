//! A comparison as people read it.
//!
//! **Invariants**: a row without a valid round has no figures, only a reason; ratios are formed round by round.

use std::fmt::Write;

use super::{Row, ScenarioRows};
use crate::run::outcome::Outcome;
use perf_basis::judge::Spread;

/// One round in a line, as progress.
pub(super) fn line(server: &str, outcome: &Outcome) -> String {
    let cpu = outcome.cpu_us_per_request.map_or(f64::NAN, |cpu| cpu.total);
    let reason = outcome.invalid_reasons.first().map_or_else(String::new, |reason| format!("; not valid: {reason}"));
    format!("{server}: {:.0} requests/s, {cpu:.3} us of CPU each{reason}", outcome.rate_answered)
}

/// All comparisons as a block of a Markdown page, with where and when they were made.
pub(super) fn block(comparisons: &[ScenarioRows]) -> String {
    let mut text = "```text".to_owned();
    comparisons.iter().for_each(|comparison| text.push_str(&of(comparison)));
    text.push_str("```\n");
    if let Some(round) = comparisons.iter().flat_map(|comparison| &comparison.rows).find_map(|row| row.rounds.first()) {
        let rounds = comparisons.iter().flat_map(|comparison| &comparison.rows).map(|row| row.rounds.len()).max();
        let _ = writeln!(
            text,
            "\nMeasured {} at commit {} on {}, {} CPUs, Linux {}; {} alternating rounds of {:.0} s.",
            round.started,
            round.commit,
            round.host.cpu,
            round.host.cpus,
            round.host.kernel,
            rounds.unwrap_or_default(),
            round.seconds_measured
        );
    }
    text
}

/// Ours among the servers: of a scenario only one of them is asked.
const OURS: [&str; 2] = ["corelane", "shardstored"];

/// The whole comparison; without a floor there is no column for it.
pub(super) fn of(comparison: &ScenarioRows) -> String {
    let of = |names: &[&str]| comparison.rows.iter().find(|row| names.contains(&row.server));
    let bases: Vec<(&str, &Row)> = [("to floor", of(&["floor"])), ("to ours", of(&OURS))]
        .into_iter()
        .filter_map(|(head, row)| Some((head, row?)))
        .collect();
    let mut text = format!("\n{}\n{:<12} {:>24}", comparison.scenario, "server", "CPU us/request");
    bases.iter().for_each(|(head, _)| text.push_str(&format!(" {head:>10}")));
    let _ = writeln!(
        text,
        " {:>12} {:>12} {:>9} {:>9} {:>9}",
        "generator us", "requests/s", "p50 us", "p99 us", "p99.9 us"
    );
    for row in &comparison.rows {
        let _ = writeln!(text, "{}", row_line(row, &bases));
    }
    text
}

fn row_line(row: &Row, bases: &[(&str, &Row)]) -> String {
    let Some(spread) = row.spread(cpu) else {
        let reason = row.rounds.iter().find_map(|round| round.invalid_reasons.first());
        return format!(
            "{:<12} {}",
            row.server,
            reason.map_or("its processes are not on this host", |reason| &reason.text)
        );
    };
    let median = |figure: fn(&Outcome) -> Option<f64>, digits: usize| {
        row.spread(figure).map_or_else(|| "-".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    let mut line = format!("{:<12} {:>8.3} ({:.3} to {:.3})", row.server, spread.median, spread.min, spread.max);
    for (_, to) in bases {
        let ratio = row.ratios(to, cpu).map_or_else(|| "-".to_owned(), |spread| format!("{:.3}", spread.median));
        line.push_str(&format!(" {ratio:>10}"));
    }
    line.push_str(&format!(
        " {:>12} {:>12} {:>9} {:>9} {:>9}",
        median(|round| round.cpu_believed().map(|_| round.generator_us_per_request), 3),
        rate(row),
        median(|round| Some(round.latency?.p50_us), 1),
        median(|round| Some(round.latency?.p99_us), 1),
        median(|round| Some(round.latency?.p999_us), 1),
    ));
    line
}

/// Requests per second; where the generator was the limit, the server answers at least as many.
fn rate(row: &Row) -> String {
    let believed = row.rounds.iter().filter(|round| round.cpu_believed().is_some());
    let at_least = believed.clone().any(|round| !round.valid);
    let spread = Spread::of(believed.map(|round| round.rate_answered));
    let rate = spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.0}", spread.median));
    if at_least { format!(">={rate}") } else { rate }
}

/// CPU per request.
pub(super) fn cpu(round: &Outcome) -> Option<f64> {
    round.cpu_believed().map(|cpu| cpu.total)
}
