//! How often processes call the kernel, counted by its own tracepoint.
//!
//! **Not** beside a measurement: while it counts, every call of the whole host takes some 50 ns longer. That is a tenth of what a call
//! costs a server that makes several for each request.
//!
//! **Invariants**: none is said where none could be counted: that takes root, or CAP_PERFMON and a readable tracefs.
//!
//! **Source**: perf_event_open(2); Documentation/trace/events.rst (`raw_syscalls:sys_enter`).

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};

/// Where the tracepoint's number stands, where tracefs is mounted and where it was before.
const NUMBER_FILES: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// System calls per second of all threads of these processes, counted for about as long as `span`; none if they cannot be counted.
pub(crate) fn per_second(processes: &[u32], span: Duration) -> Option<f64> {
    let mut counters = counters(processes, number()?).ok().filter(|counters| !counters.is_empty())?;
    let began = Instant::now();
    counters.iter_mut().try_for_each(Counter::enable).ok()?;
    let ends = began + span;
    while let Some(left) = ends.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
    let counts: io::Result<Vec<u64>> =
        counters.iter_mut().map(|counter| counter.disable().and_then(|()| counter.read())).collect();
    Some(counts.ok()?.iter().sum::<u64>() as f64 / began.elapsed().as_secs_f64())
}

/// The tracepoint's number, where it may be read.
fn number() -> Option<u64> {
    NUMBER_FILES.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
}

/// A counter for each thread.
fn counters(processes: &[u32], number: u64) -> io::Result<Vec<Counter>> {
    let mut counters = Vec::new();
    for process in processes {
        for thread in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
            let Some(thread) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // The kernel is where a tracepoint of the kernel lies.
            let counter =
                Builder::new(Tracepoint::with_id(number)).observe_pid(thread).any_cpu().include_kernel().build()?;
            counters.push(counter);
        }
    }
    Ok(counters)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// Where calls cannot be counted nothing is said; where they can, a thread's own are all there.
    #[test]
    fn calls_are_counted_or_nothing_is_said() {
        let (ends, made) = (AtomicBool::new(false), AtomicU64::new(0));
        let counted = thread::scope(|scope| {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    let _ = fs::metadata("/");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
            while made.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            let before = (made.load(Ordering::Relaxed), Instant::now());
            let counted = per_second(&[std::process::id()], Duration::from_millis(50));
            let made = (made.load(Ordering::Relaxed) - before.0) as f64 / before.1.elapsed().as_secs_f64();
            ends.store(true, Ordering::Relaxed);
            counted.map(|counted| (counted, made))
        });
        match counted {
            // The two looks at the clock do not lie at the same instants.
            Some((counted, made)) => {
                assert!(counted > made / 10.0 && counted > 0.0, "{counted} of {made} calls a second");
            }
            // Nothing is said only where the kernel does not let us.
            None => {
                let refused =
                    number().map(|number| counters(&[std::process::id()], number).err().map(|why| why.kind()));
                assert!(matches!(refused, None | Some(Some(io::ErrorKind::PermissionDenied))), "{refused:?}");
            }
        }
        assert_eq!(per_second(&[], Duration::from_millis(1)), None);
    }
}
