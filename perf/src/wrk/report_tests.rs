//! Tests of the report: what a reader finds in it, from made-up rows.

use super::*;
use crate::wrk::gates::judge;
use crate::wrk::sample::Sample;

fn row(server: &'static str, cpu_us: &[f64]) -> Row {
    let samples =
        cpu_us.iter().map(|&cpu_us| Sample { cpu_us, rate: 123_456.0, waited: 0.01, client_waited: 0.01 }).collect();
    Row { load: "hit", server, samples, invalid: None }
}

fn report(rows: Vec<Row>) -> Report {
    let host = Host {
        date: "2026-01-02 03:04 UTC".into(),
        commit: "abc".into(),
        cpu: "a CPU, 2 CPUs".into(),
        kernel: "Linux 6.18".into(),
        nginx: "nginx/1.22".into(),
        wrk: "wrk 4.1".into(),
        load_before: "0.10".into(),
    };
    Report { host, rounds: 5, seconds: 3, gates: judge(&rows, None), rows, idle: None }
}

#[test]
fn a_reader_finds_figures_verdicts_and_host() {
    let report = report(vec![row("floor", &[6.0, 6.1]), row("corelane", &[6.3, 6.3]), row("nginx", &[9.0, 9.0])]);
    let text = report.text();
    for expected in [
        "costs 6.30 us of CPU; the kernel alone (floor) 6.05 us, nginx 9.00 us",
        "Gates: 2 pass, 0 fail, 0 not judged, 0 invalid. 5 alternating rounds of 3 s",
        "<= 1.10 x | PASS",
        "| hit  | corelane | 6.300 (6.300 to 6.300) | 123,456",
        "2026-01-02 03:04 UTC at commit abc on a CPU, 2 CPUs, Linux 6.18",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    assert!(report.is_good() && !text.contains("not quiet") && !text.contains("indication"));
}

#[test]
fn an_invalid_row_says_why_and_gives_no_figure() {
    let mut floor = row("floor", &[6.0]);
    floor.invalid = Some("round 2: Non-2xx or 3xx responses: 7".into());
    let report = report(vec![floor, row("corelane", &[6.3]), row("nginx", &[9.0])]);
    let text = report.text();
    assert!(text.contains("| INVALID: round 2: Non-2xx or 3xx responses: 7"), "{text}");
    assert!(!text.contains("6.000") && !text.contains("kernel alone"), "{text}");
    assert!(!report.is_good());
}

#[test]
fn a_failed_gate_and_a_disturbed_host_are_told() {
    let mut rows = vec![row("floor", &[6.0]), row("corelane", &[7.0]), row("nginx", &[9.0])];
    rows[0].samples[0].waited = 0.2;
    let mut report = report(rows);
    report.rounds = 1;
    let text = report.text();
    assert!(text.contains("| FAIL") && text.contains("not quiet") && text.contains("indication only"), "{text}");
    assert!(!report.is_good());
}
