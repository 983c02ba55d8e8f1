//! Tests of the gates: verdicts from made-up rows.

use super::*;
use crate::wrk::sample::Sample;

fn row(load: &'static str, server: &'static str, cpu_us: &[f64], rate: f64) -> Row {
    let samples = cpu_us.iter().map(|&cpu_us| Sample { cpu_us, rate, waited: 0.0, client_waited: 0.0 }).collect();
    Row { load, server, samples, invalid: None }
}

fn verdicts(rows: &[Row]) -> Vec<Verdict> {
    judge(rows, None).into_iter().map(|judged| judged.verdict).collect()
}

#[test]
fn hits_are_judged_to_the_floor_and_to_nginx() {
    for (corelane, expected) in [
        (6.6, [Verdict::Pass, Verdict::Pass]),
        (6.8, [Verdict::Fail, Verdict::Pass]),
        (8.0, [Verdict::Fail, Verdict::Fail]),
    ] {
        let rows = [
            row("hit", "floor", &[6.0], 1.0),
            row("hit", "corelane", &[corelane], 1.0),
            row("hit", "nginx", &[8.0], 1.0),
        ];
        assert_eq!(verdicts(&rows), expected, "{corelane}");
    }
}

#[test]
fn one_bad_round_does_not_decide() {
    let rows = [
        row("hit", "floor", &[6.0, 6.0, 6.0], 1.0),
        row("hit", "corelane", &[6.3, 9.0, 6.2], 1.0),
        row("hit", "nginx", &[9.0, 9.0, 9.0], 1.0),
    ];
    assert_eq!(verdicts(&rows), [Verdict::Pass, Verdict::Pass]);
}

#[test]
fn the_rate_is_judged_where_the_floor_is_fast_enough() {
    for (floor, corelane, expected) in [
        (1_250_000.0, 1_000_000.0, Verdict::Pass),
        (1_250_000.0, 999_999.0, Verdict::Fail),
        (1_100_000.0, 900_000.0, Verdict::NotJudged("the floor reaches 1100000, not 1200000".into())),
    ] {
        let rows = [
            row("pipelined", "floor", &[0.5], floor),
            row("pipelined", "corelane", &[0.6], corelane),
            row("pipelined", "nginx", &[9.0], 100_000.0),
        ];
        assert_eq!(verdicts(&rows), [expected, Verdict::Pass], "{floor} {corelane}");
    }
}

#[test]
fn a_miss_is_judged_to_a_hit_of_the_same_keys() {
    for (miss, expected) in [(15.4, Verdict::Pass), (15.5, Verdict::Fail)] {
        let rows = [row("miss", "corelane", &[7.0], 1.0), row("miss", "corelane + node", &[miss], 1.0)];
        assert_eq!(verdicts(&rows), [expected], "{miss}");
    }
}

#[test]
fn nothing_is_judged_from_an_invalid_run() {
    let mut rows =
        [row("hit", "floor", &[6.0], 1.0), row("hit", "corelane", &[6.0], 1.0), row("hit", "nginx", &[8.0], 1.0)];
    rows[0].invalid = Some("round 1: Socket errors".into());
    assert_eq!(verdicts(&rows), [Verdict::Invalid("floor, round 1: Socket errors".into()), Verdict::Pass]);
}

#[test]
fn no_rate_is_judged_from_a_host_that_was_not_quiet() {
    for (load, expected) in [("pipelined", 0), ("hit", 2)] {
        let mut rows =
            [row(load, "floor", &[6.0], 2e6), row(load, "corelane", &[6.0], 2e6), row(load, "nginx", &[8.0], 1e5)];
        rows[1].samples[0].client_waited = 0.2;
        let passed = verdicts(&rows).iter().filter(|verdict| **verdict == Verdict::Pass).count();
        assert_eq!(passed, expected, "{load}");
    }
}

#[test]
fn idle_memory_is_judged_per_connection() {
    let idle = Idle { connections: 10_000, empty_bytes: 0, full_bytes: 20_480_000, invalid: None };
    assert_eq!(judge(&[], Some(&idle))[0].verdict, Verdict::Pass);
    let larger = Idle { full_bytes: 20_490_000, ..idle.clone() };
    assert_eq!(judge(&[], Some(&larger))[0].verdict, Verdict::Fail);
    let lost = Idle { invalid: Some("2 connections were lost while idle".into()), ..idle };
    assert!(matches!(judge(&[], Some(&lost))[0].verdict, Verdict::Invalid(_)));
}
