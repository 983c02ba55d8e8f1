//! `coreperf wake`: what waking a sleeping core costs, by eventfd and by ring message.
//!
//! Two cores pass numbers back and forth, a few at a time, so that each sleeps while the other works.
//!
//! **Not** a benchmark of the mailbox itself, which costs a few nanoseconds when nobody sleeps.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use reactor::{CoreId, CoreSpec, Host, Mailbox, Reactor, Threads, WakeMethod, mailboxes};

/// How the two ways are compared.
#[derive(Args)]
pub(crate) struct Options {
    /// Round trips of every run.
    #[arg(long, default_value_t = 100_000)]
    trips: u64,
    /// Messages under way at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    depth: Vec<u64>,
    /// Alternating runs of each; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The two CPUs.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1])]
    cpus: Vec<usize>,
}

/// One run: CPU time of both cores and elapsed time, per round trip.
#[derive(Clone, Copy)]
struct Run {
    cpu_us: f64,
    elapsed_us: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.cpus.len() == 2, "--cpus takes two CPUs, as in --cpus 0,1");
    ensure!(options.trips > 0 && options.rounds > 0, "--trips and --rounds are at least 1");
    println!("{:>8} {:>6} {:>20} {:>20}", "method", "depth", "CPU us/round trip", "elapsed us/trip");
    for &depth in &options.depth {
        let mut runs: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
        for _ in 0..options.rounds {
            for (name, method) in [("eventfd", WakeMethod::EventFd), ("msg_ring", WakeMethod::MsgRing)] {
                runs.entry(name).or_default().push(measure(options, method, depth)?);
            }
        }
        for (name, runs) in runs {
            let median = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
            println!("{name:>8} {depth:>6} {:>20.3} {:>20.3}", median(|run| run.cpu_us), median(|run| run.elapsed_us));
        }
    }
    Ok(())
}

fn measure(options: &Options, method: WakeMethod, depth: u64) -> anyhow::Result<Run> {
    let mut threads = Threads::new(Some(method));
    let doorbells = threads.doorbells(2)?;
    let ends = mailboxes::<u64>(&doorbells, 1024);
    let began = std::time::Instant::now();
    let (used, cpu_ns) = channel();
    for (index, mailbox) in ends.into_iter().enumerate() {
        let id = CoreId(index as u16);
        let spec = CoreSpec {
            id,
            cpu: Some(options.cpus[index]),
            name: format!("wake-{index}"),
            doorbells: doorbells.clone(),
        };
        let trips = options.trips;
        let used = used.clone();
        let body = move |reactor: Reactor| {
            let starts = if index == 0 { depth } else { 0 };
            let passing = pass_on(reactor.clone(), mailbox, trips, starts);
            let task = async move {
                passing.await;
                // The thread's own account, while it is still there to be asked.
                let _ = used.send(own_cpu_ns());
            };
            reactor.spawn(task).expect("the first task of a core has room");
        };
        threads.start_core(spec, Box::new(body))?;
    }
    threads.join();
    let elapsed_us = began.elapsed().as_secs_f64() * 1e6;
    let cpu_ns: Option<u64> = cpu_ns.try_iter().sum();
    let cpu_ns = cpu_ns.context("this kernel keeps no scheduler statistics (CONFIG_SCHED_INFO)")?;
    let trips = options.trips as f64;
    Ok(Run { cpu_us: cpu_ns as f64 / 1e3 / trips, elapsed_us: elapsed_us / trips })
}

/// CPU time of the calling thread in nanoseconds (Documentation/scheduler/sched-stats.rst).
fn own_cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Sends every number back, plus one; the core that has begun counts the round trips.
async fn pass_on(reactor: Reactor, mailbox: Mailbox<u64>, trips: u64, starts: u64) {
    let other = CoreId(1 - mailbox.core().0);
    let send = |number| mailbox.send(&reactor, other, number).expect("fewer are under way than the queue holds");
    (0..starts).for_each(&send);
    let mut left = trips;
    let limit = reactor.now() + Duration::from_secs(120);
    while left > 0 && reactor.now() < limit {
        while let Some((_, number)) = mailbox.try_receive() {
            left = left.saturating_sub(1);
            send(number + 1);
        }
        if left > 0 {
            mailbox.rung(&reactor).await;
        }
    }
}
