//! Whether a run can be believed. One that cannot prints no percentiles, only why.
//!
//! **Not** I/O: decides over what was collected.
//!
//! **Invariants**: each reason says what was seen, what is allowed, and what to do.

use std::time::Duration;

use super::conduct::Conducted;
use super::reason::{InvalidReason, Kind, Reasons};
use super::scenario::Scenario;
use crate::system::cpu::CpuTime;

/// How late the 99th of a hundred requests may be written, at least.
const LATENESS_MAX: Duration = Duration::from_millis(1);

/// And as a share of the 99th percentile of the latency.
const LATENESS_SHARE_MAX: f64 = 0.01;

/// Share of its time that a core of the generator may be busy.
const BUSY_MAX: f64 = 0.9;

/// Share of the time that generator or server may have waited for a CPU that others had.
const DISTURBED_MAX: f64 = 0.1;

/// Why the run is not valid; empty if it is.
pub(super) fn reasons(scenario: &Scenario, run: &Conducted) -> Reasons {
    let mut reasons = Vec::new();
    if let Some(agent) = &run.lost {
        let text = format!("agent {agent} was lost; look at what it says, and measure again");
        reasons.push(InvalidReason::new(Kind::AgentLost, text));
    } else if run.is_interrupted {
        let text = format!("it was interrupted after {:.1} s of {:.1} s", secs(run.span), secs(scenario.duration));
        reasons.push(InvalidReason::new(Kind::Interrupted, text));
    }
    let measured = &run.measured;
    if measured.answered == 0 {
        reasons.push(InvalidReason::new(Kind::NoAnswers, "no request was answered as expected"));
    }
    if !run.is_steady {
        let text = format!(
            "the warm-up did not become steady: two windows in a row differed by more than 5 %, or had no answers; \
             lengthen warmup = {}",
            humantime::format_duration(scenario.warmup)
        );
        reasons.push(InvalidReason::new(Kind::NotSteady, text));
    }
    reasons.extend(errors(scenario, run));
    reasons.extend(lateness(run));
    reasons.extend(busy(run));
    reasons.extend(disturbed(run));
    reasons.into()
}

/// A generator at its limit: it may have sent less than it should, or later.
fn busy(run: &Conducted) -> Option<InvalidReason> {
    let busy = run.measured.busy();
    (busy > BUSY_MAX).then(|| {
        let text = format!(
            "the generator was busy {:.0} % of the time; at most {:.0} %: give it more CPUs, or ask for less",
            busy * 100.0,
            BUSY_MAX * 100.0
        );
        InvalidReason::new(Kind::GeneratorBusy, text)
    })
}

/// Time that others had the CPUs of the generator or of the server.
fn disturbed(run: &Conducted) -> Vec<InvalidReason> {
    let server = run.server.map_or(0.0, |usage| kept_from(usage.time, run.span, run.server_cpus.len()));
    let both = [(Kind::GeneratorWaited, "the generator", run.waited), (Kind::ServerWaited, "the server", server)];
    let too_long = both.into_iter().filter(|(.., waited)| *waited > DISTURBED_MAX);
    let reason = |(kind, who, waited): (Kind, &str, f64)| {
        let text = format!(
            "{who} waited {:.0} % of the time for a CPU that others used; at most {:.0} %: quiet the host",
            waited * 100.0,
            DISTURBED_MAX * 100.0
        );
        InvalidReason::new(kind, text)
    };
    too_long.map(reason).collect()
}

/// Share of the time that others kept a server from the CPUs it is bound to (0 if it may run anywhere). Its threads may have waited for
/// each other, so it is not more than what they have left of these CPUs, and never more than all of it.
fn kept_from(time: CpuTime, span: Duration, cpus: usize) -> f64 {
    let span_ns = span.as_nanos().max(1) as f64;
    let left_ns = if cpus == 0 { f64::INFINITY } else { (cpus as f64 * span_ns - time.used_ns as f64).max(0.0) };
    ((time.waited_ns as f64).min(left_ns) / span_ns).min(1.0)
}

/// Failures beyond the scenario's bound, with their kinds.
fn errors(scenario: &Scenario, run: &Conducted) -> Option<InvalidReason> {
    let measured = &run.measured;
    let unanswered = measured.outstanding();
    let failed = measured.failures.total() + measured.failures.connect + unanswered;
    let share = failed as f64 / (measured.due.max(failed)).max(1) as f64;
    if share <= scenario.bounds.errors {
        return None;
    }
    let mut kinds: Vec<String> = measured
        .failures
        .each()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if unanswered > 0 {
        kinds.push(format!("{unanswered} without an answer at the end"));
    }
    let statuses: Vec<String> = measured.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    let text = format!(
        "{:.3} % of the requests failed ({}); allowed: {:.3} %; statuses seen: {}",
        share * 100.0,
        kinds.join(", "),
        scenario.bounds.errors * 100.0,
        if statuses.is_empty() { "none".to_owned() } else { statuses.join(", ") }
    );
    Some(InvalidReason::new(Kind::Errors, text))
}

/// Requests written long after they were due although a connection had room: the generator's fault.
fn lateness(run: &Conducted) -> Option<InvalidReason> {
    let late = Duration::from_nanos(run.measured.lateness.value_at_quantile(0.99));
    let latency = Duration::from_nanos(run.measured.latency.value_at_quantile(0.99));
    let allowed = LATENESS_MAX.max(latency.mul_f64(LATENESS_SHARE_MAX));
    (late > allowed).then(|| {
        let text = format!(
            "the generator was late: p99 {:.0} us after the instant a request was due; at most {:.0} us: \
             give it a CPU of its own, or more of them",
            late.as_secs_f64() * 1e6,
            allowed.as_secs_f64() * 1e6
        );
        InvalidReason::new(Kind::GeneratorLate, text)
    })
}

fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::super::tally::{RequestFailure, RequestTally};
    use super::*;
    use crate::system::listening::Usage;

    fn good() -> Conducted {
        let mut measured =
            RequestTally { due: 1_000, sent: 1_000, idle_ns: 50, elapsed_ns: 100, ..RequestTally::default() };
        for _ in 0..1_000 {
            measured.count_answers(1, 200_000, 128);
            measured.lateness.saturating_record(3_000);
        }
        let span = Duration::from_secs(1);
        Conducted {
            measured,
            seconds: Vec::new(),
            is_steady: true,
            is_interrupted: false,
            lost: None,
            span,
            server: None,
            server_cpus: Vec::new(),
            softnet: None,
            system_calls: None,
            waited: 0.0,
        }
    }

    fn scenario() -> Scenario {
        Scenario::parse("url = \"http://127.0.0.1:1/\"\n").expect("it is right")
    }

    type Spoil = fn(&mut Conducted);

    #[test]
    fn a_good_run_is_valid_and_each_fault_is_named() {
        assert_eq!(reasons(&scenario(), &good()), Reasons::default());
        let cases: [(Spoil, Kind, &str); 10] = [
            (|run| run.lost = Some("h:1".to_owned()), Kind::AgentLost, "agent h:1 was lost"),
            (|run| run.is_interrupted = true, Kind::Interrupted, "interrupted"),
            (|run| (run.measured.answered, run.measured.due) = (0, 0), Kind::NoAnswers, "no request was answered"),
            (|run| run.is_steady = false, Kind::NotSteady, "steady"),
            (|run| run.measured.failures.count(RequestFailure::Body), Kind::Errors, "1 body"),
            (|run| run.measured.due += 7, Kind::Errors, "7 without an answer"),
            (
                |run| (0..50).for_each(|_| run.measured.lateness.saturating_record(2_000_000)),
                Kind::GeneratorLate,
                "late",
            ),
            (|run| run.measured.idle_ns = 5, Kind::GeneratorBusy, "busy 95 %"),
            (|run| run.waited = 0.2, Kind::GeneratorWaited, "the generator waited 20 %"),
            (
                |run| {
                    let time = CpuTime { used_ns: 0, waited_ns: 300_000_000 };
                    run.server = Some(Usage { time, ..Usage::default() });
                },
                Kind::ServerWaited,
                "the server waited 30 %",
            ),
        ];
        for (spoil, kind, expected) in cases {
            let mut run = good();
            spoil(&mut run);
            let found = reasons(&scenario(), &run);
            assert!(found.len() == 1 && found[0].text.contains(expected), "{expected}: {found:?}");
            assert_eq!(found[0].kind, kind);
        }
    }

    #[test]
    fn errors_within_the_bound_are_allowed() {
        let mut scenario = scenario();
        scenario.bounds.errors = 0.01;
        let mut run = good();
        (0..10).for_each(|_| run.measured.failures.count(RequestFailure::TimedOut));
        run.measured.due += 10;
        assert_eq!(reasons(&scenario, &run), Reasons::default());
        (0..10).for_each(|_| run.measured.failures.count(RequestFailure::TimedOut));
        assert_eq!(reasons(&scenario, &run).len(), 1);
    }

    /// Two threads on one CPU wait for each other all the time: what others had is what both have left of it.
    #[test]
    fn a_server_is_not_disturbed_by_itself() {
        let mut run = good();
        run.server_cpus = vec![0];
        for (used_ns, is_valid) in [(950_000_000, true), (700_000_000, false)] {
            let time = CpuTime { used_ns, waited_ns: 900_000_000 };
            run.server = Some(Usage { time, ..Usage::default() });
            assert_eq!(reasons(&scenario(), &run).is_empty(), is_valid, "{used_ns} ns used");
        }
        run.server_cpus.clear();
        assert_eq!(reasons(&scenario(), &run).len(), 1, "where it may run is not known");
        assert!(
            (kept_from(CpuTime { used_ns: 0, waited_ns: 3_000_000_000 }, Duration::from_secs(1), 0) - 1.0).abs() < 1e-9
        );
    }

    /// A late generator is excused by a latency against which it does not count.
    #[test]
    fn lateness_is_judged_beside_the_latency() {
        let mut run = good();
        run.measured.latency.clear();
        (0..1_000).for_each(|_| run.measured.latency.saturating_record(500_000_000));
        (0..50).for_each(|_| run.measured.lateness.saturating_record(2_000_000));
        assert_eq!(reasons(&scenario(), &run), Reasons::default());
    }
}
