//! `coreperf floor`: serves the bare loop of the reactor crate.
//!
//! With `--work-ns` it is a server that is slower by a known amount, by which `compare` is tried (`coreperf truth`).
//!
//! **Not** a measurement by itself: a load generator and `/proc/PID/stat` make it one (see docs/performance.md).
//!
//! **Invariants**: without `--work-ns` nothing is called between a receive and its send.

pub(crate) mod work;

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use reactor::{Address, Descriptors, FloorOptions, serve_floor};

use perf_basis::machine::pin_to;
use work::{Work, step_ns_here};

/// Where and on which CPU the floor is served.
#[derive(Args)]
pub(crate) struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// CPU to pin the loop to.
    #[arg(long)]
    cpu: Option<usize>,
    /// Bytes of every body.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=64 << 20))]
    body_bytes: u32,
    /// Use ordinary file descriptors instead of registered ones, to see what those save (ADR 1).
    #[arg(long)]
    plain_descriptors: bool,
    /// Compute so long for every request, in nanoseconds: a server that is slower by a known amount.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=WORK_NS_MAX))]
    work_ns: u64,
    /// How long a step of that work takes, in nanoseconds, instead of measuring it: floors that are compared do the same work then.
    #[arg(long, value_name = "NS", value_parser = step_ns)]
    step_ns: Option<f64>,
}

fn step_ns(text: &str) -> Result<f64, String> {
    let allowed = |ns: &f64| (0.01..=1_000.0).contains(ns);
    text.parse().ok().filter(allowed).ok_or_else(|| "it is from 0.01 to 1000".to_owned())
}

/// Work for one request at most: a millisecond.
const WORK_NS_MAX: u64 = 1_000_000;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    println!("serving the floor on {}; Ctrl-C ends it", options.listen);
    let descriptors = if options.plain_descriptors { Descriptors::Plain } else { Descriptors::Direct };
    let served = FloorOptions { cpu: options.cpu, descriptors, body_bytes: options.body_bytes as usize };
    // Calibrated where it will run; afterwards the floor is pinned there anyway.
    options.cpu.filter(|_| options.work_ns > 0).map(pin_to).transpose()?;
    let step_ns = || options.step_ns.unwrap_or_else(step_ns_here);
    let work = (options.work_ns > 0).then(|| Work::of_ns(options.work_ns, step_ns()));
    if let Some(work) = work {
        println!("{} ns of work for each request: {} steps of {:.3} ns", options.work_ns, work.steps(), work.step_ns());
    }
    let each_request = work.map(|work| move || work.once());
    let each_request = each_request.as_ref().map(|work| work as &dyn Fn());
    serve_floor(&Address::Tcp(options.listen), served, each_request)
        .with_context(|| format!("cannot serve the floor on {}", options.listen))
}
