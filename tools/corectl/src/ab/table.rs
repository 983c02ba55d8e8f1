//! The report as Markdown: a row for each knob that was tried, those without an effect among them, and why others were not.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use super::report::{AbReport, AbResult, AbRow, AbSetting, JudgedFigure};

/// Figures and their titles, in the order of the columns.
const FIGURES: &[(&str, &str)] = &[("cpu", "CPU per request"), ("p50", "p50"), ("p99", "p99")];

/// The text.
#[must_use]
pub fn markdown(report: &AbReport) -> String {
    let began = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(report.epoch_seconds));
    let mut text = format!(
        "# Knobs of profile {} on {}\n\n{began}, Linux {}, CPUs {}{}, commit {}, scenario {}, {} rounds (A B B A or B A A B, by lot).\n\n",
        report.profile,
        report.hostname,
        report.kernel,
        report.cpus,
        if report.cpu_model.is_empty() { String::new() } else { format!(" ({})", report.cpu_model) },
        report.commit,
        report.scenario,
        report.rounds,
    );
    text += "What B saves of A's figure, and where that lies with 95 % confidence. Bold: chance alone explains it in at most one of a hundred \
             cases.\n\n";
    let titles: Vec<&str> = FIGURES.iter().map(|(_, title)| *title).collect();
    let _ = writeln!(text, "| knob | risk | A | B | pairs | {} |", titles.join(" | "));
    let _ = writeln!(text, "|---|---|---|---|---|{}", "---|".repeat(titles.len()));
    let mut notes = Vec::new();
    for row in &report.rows {
        match &row.result {
            AbResult::Tried { figures, .. } => text += &tried(row, figures, &mut notes),
            AbResult::NotTried { why } => notes.push(format!("{}: not tried: {why}", row.knob)),
        }
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn tried(row: &AbRow, figures: &[JudgedFigure], notes: &mut Vec<String>) -> String {
    let found = |name: &str| figures.iter().find(|judged| judged.figure == name);
    let pairs = figures.iter().filter_map(|judged| Some(judged.gain.as_ref().ok()?.pairs.len())).max().unwrap_or(0);
    let cells: Vec<String> = FIGURES.iter().map(|(name, _)| found(name).map_or_else(|| "-".into(), cell)).collect();
    let reasons: Vec<String> = figures
        .iter()
        .filter_map(|judged| Some(format!("{}: {}: {}", row.knob, judged.figure, judged.gain.as_ref().err()?)))
        .collect();
    notes.extend(reasons);
    let (a, b) = (values(&row.settings, |setting| &setting.a), values(&row.settings, |setting| &setting.b));
    format!("| `{}` | {} | {a} | {b} | {pairs} | {} |\n", row.knob, row.risk, cells.join(" | "))
}

fn cell(judged: &JudgedFigure) -> String {
    let Ok(gain) = &judged.gain else { return "-".into() };
    let percent = |share: f64| format!("{:+.1} %", share * 100.0);
    let value = percent(gain.gain);
    let value = if gain.verdict == "cannot_tell" { value } else { format!("**{value}**") };
    format!("{value} ({} to {})", percent(gain.interval.0), percent(gain.interval.1))
}

/// The values of a knob's settings: the one that all have, or how many there are.
fn values(settings: &[AbSetting], value: impl Fn(&AbSetting) -> &String) -> String {
    let mut distinct: Vec<&String> = settings.iter().map(value).collect();
    distinct.sort();
    distinct.dedup();
    match distinct[..] {
        [] => "-".into(),
        [one] => one.clone(),
        [first, ..] => format!("{first} and {} others", distinct.len() - 1),
    }
}
