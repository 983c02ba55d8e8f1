//! The rules that Prometheus loads, and the scenes that promtool plays against them.
//!
//! **Invariants**: what is written depends on the declarations alone. A scene expects the whole alert: labels, summary, runbook.
//!
//! **Source**: Prometheus' documentation of recording rules, alerting rules, and unit tests of rules.

use std::fmt::Write as _;

use crate::alerts::{self, Alert, Scene};

/// Where the runbooks are, for a person who is woken.
const RUNBOOKS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/operations.md#");

/// The file of rules, beside its tests.
pub(crate) const RULES_FILE: &str = "corelane.rules";

/// A series that rules make: its name and what it is.
pub(crate) struct RecordedSeries {
    pub(crate) name: String,
    pub(crate) expression: String,
}

/// All of them: what alerts ask over long spans, and dashboards for all hosts.
pub(crate) fn recorded() -> Vec<RecordedSeries> {
    let errors = ["5m", "30m", "1h", "6h", "3d"].map(|window| RecordedSeries {
        name: format!("cluster:corelane_http_errors:ratio_rate{window}"),
        expression: format!(
            "sum by (cluster) (rate(corelane_http_responses_total{{class=\"5xx\"}}[{window}]))\n  \
             / sum by (cluster) (rate(corelane_http_responses_total[{window}]))"
        ),
    });
    let hits = RecordedSeries {
        name: "cluster:corelane_kv_hits:ratio_rate30m".to_owned(),
        expression: "sum by (cluster) (rate(corelane_kv_reads_total{source=~\"own_core|other_core\"}[30m]))\n  \
                     / sum by (cluster) (rate(corelane_kv_reads_total[30m]))"
            .to_owned(),
    };
    errors.into_iter().chain([hits]).collect()
}

/// The file of rules.
pub(crate) fn rules() -> String {
    let mut text = header("Rules for Prometheus.");
    text += "groups:\n  - name: corelane-recorded\n    rules:\n";
    for series in recorded() {
        write_line(&mut text, 6, &format!("- record: {}", series.name));
        write_expression(&mut text, &series.expression);
    }
    for group in &alerts::GROUPS {
        write_line(&mut text, 2, &format!("- name: {}", group.name));
        write_line(&mut text, 4, "rules:");
        for alert in group.alerts {
            write_alert(&mut text, alert);
        }
    }
    text
}

fn write_alert(text: &mut String, alert: &Alert) {
    write_line(text, 6, &format!("- alert: {}", alert.name));
    write_expression(text, alert.expression);
    write_line(text, 8, &format!("for: {}", alert.hold));
    write_line(text, 8, "labels:");
    write_line(text, 10, &format!("severity: {}", alert.severity.word()));
    write_line(text, 8, "annotations:");
    write_line(text, 10, &format!("summary: {}", quoted(alert.summary)));
    write_line(text, 10, &format!("runbook_url: {}", quoted(&runbook_url(alert))));
}

/// The tests of the rules: each alert fires in one scene and is silent in another.
pub(crate) fn tests() -> String {
    let mut text = header("Scenes of every alert: promtool test rules corelane.rules.test");
    write_line(&mut text, 0, &format!("rule_files: [{RULES_FILE}]"));
    write_line(&mut text, 0, "evaluation_interval: 1m");
    write_line(&mut text, 0, "tests:");
    for alert in alerts::all() {
        write_scene(&mut text, alert, &alert.fires);
        write_expected(&mut text, alert);
        write_scene(&mut text, alert, &alert.silent);
        write_line(&mut text, 8, "exp_alerts: []");
    }
    text
}

fn write_scene(text: &mut String, alert: &Alert, scene: &Scene) {
    write_line(text, 2, &format!("- name: {}", quoted(&format!("{}: {}", alert.name, scene.name))));
    write_line(text, 4, "interval: 1m");
    write_line(text, 4, "input_series:");
    for (series, values) in scene.series {
        write_line(text, 6, &format!("- series: {}", quoted(series)));
        write_line(text, 8, &format!("values: {}", quoted(values)));
    }
    write_line(text, 4, "alert_rule_test:");
    write_line(text, 6, &format!("- eval_time: {}m", scene.minutes));
    write_line(text, 8, &format!("alertname: {}", alert.name));
}

fn write_expected(text: &mut String, alert: &Alert) {
    write_line(text, 8, "exp_alerts:");
    write_line(text, 10, "- exp_labels:");
    write_line(text, 14, &format!("severity: {}", alert.severity.word()));
    let mut summary = alert.summary.to_owned();
    for (label, value) in alert.labels {
        write_line(text, 14, &format!("{label}: {}", quoted(value)));
        summary = summary.replace(&format!("{{{{ $labels.{label} }}}}"), value);
    }
    write_line(text, 12, "exp_annotations:");
    write_line(text, 14, &format!("summary: {}", quoted(&summary)));
    write_line(text, 14, &format!("runbook_url: {}", quoted(&runbook_url(alert))));
}

fn runbook_url(alert: &Alert) -> String {
    format!("{RUNBOOKS}{}", alert.name.to_lowercase())
}

/// The head of a file that is not to be edited.
pub(crate) fn header(what: &str) -> String {
    format!(
        "---\n# {what}\n# Made of the declarations in tools/observability: cargo run -p observability -- ansible/roles/observability/files\n"
    )
}

fn write_expression(text: &mut String, expression: &str) {
    write_line(text, 8, "expr: |-");
    for line in expression.lines() {
        write_line(text, 10, line);
    }
}

fn write_line(text: &mut String, indent: usize, line: &str) {
    writeln!(text, "{:indent$}{line}", "").expect("a string takes all that is written to it");
}

/// A string as YAML has it: JSON's strings are its double-quoted ones.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
