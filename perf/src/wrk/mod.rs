//! `coreperf wrk`: the measurement behind docs/performance.md.
//!
//! ```text
//!  client CPU                       server CPU, one server loaded at a time
//!  wrk, 64 connections ──loopback──▶ floor | corelane | nginx | corelane ──▶ shardstored
//! ```
//!
//! Rounds alternate: each measures every server once, beginning with another one each time, so that what changes on
//! the host while it is measured changes for all of them.
//!
//! **Not**: a latency measurement; that takes an open loop.
//!
//! **Invariants**: every process started is ended, also on an error and on Ctrl-C. A run with an error gives no
//! figure.

mod gates;
mod host;
mod idle;
mod load;
mod report;
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::servers::{Rig, Server, VALUE_BYTES};
use crate::system::scratch::Scratch;
use crate::system::stop::Stop;
use host::Host;
use load::Requests;
use report::Report;
use sample::{Row, Sample};

/// What to measure, where, and where the result goes.
#[derive(Args)]
pub(crate) struct Options {
    /// Alternating rounds; fewer than 5 give an indication only
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Length of each run, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Measure these only
    #[arg(long, value_enum, value_delimiter = ',', default_value = "hit,pipelined,miss,idle")]
    only: Vec<Subject>,
    /// Folder of the release binaries
    #[arg(long, value_name = "FOLDER", default_value = "target/release")]
    bin_dir: PathBuf,
    /// CPU of the servers
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_cpu: usize,
    /// CPU of the load generator
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_cpu: usize,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the generated block of this Markdown page
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// GET of one key, one request at a time on a connection
    Hit,
    /// GET of one key, 16 requests at once on a connection
    Pipelined,
    /// GET of 1000 keys in turn: from the own store, and from a node
    Miss,
    /// Memory of 10,000 idle connections
    Idle,
}

/// One load and the servers that are compared under it.
struct Series<'a> {
    load: &'static str,
    requests: Requests,
    servers: &'a [Server],
}

/// Runs the verb. Exit status 1 when a gate failed or a run was not valid.
///
/// # Errors
/// Something is missing, a server did not start, or the measurement was stopped.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.server_cpu == options.client_cpu {
        bail!("--server-cpu and --client-cpu are both {}; a client costs as much as a server", options.client_cpu);
    }
    let measures = |subject| options.only.contains(subject);
    if options.update.is_some() && !Subject::value_variants().iter().all(measures) {
        bail!("--update replaces the whole report of a page; leave out --only");
    }
    host::check_programs(&options.bin_dir)?;
    let rig = Rig {
        binaries: options.bin_dir.clone(),
        scratch: Scratch::new("wrk")?,
        server_cpu: options.server_cpu,
        client_cpu: options.client_cpu,
        stop: Stop::on_signals()?,
    };
    let report = measure(&rig, options)?;
    let text = report.text();
    print!("{text}");
    if let Some(path) = &options.out {
        let json = serde_json::to_string_pretty(&report).context("the report could not be written as JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("{} could not be written", path.display()))?;
    }
    if let Some(path) = &options.update {
        crate::page::update(path, "coreperf wrk", &text)?;
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(rig: &Rig, options: &Options) -> Result<Report> {
    let host = Host::describe()?;
    let wants = |subject| options.only.contains(&subject);
    let mut rows = Vec::new();
    if wants(Subject::Hit) || wants(Subject::Pipelined) {
        let servers = [rig.start_floor(VALUE_BYTES)?, rig.start_corelane()?, rig.start_nginx(VALUE_BYTES)?];
        servers[1].fill()?;
        let mut all = Vec::new();
        if wants(Subject::Hit) {
            all.push(Series { load: "hit", requests: Requests::Single, servers: &servers });
        }
        if wants(Subject::Pipelined) {
            all.push(Series { load: "pipelined", requests: Requests::Pipelined, servers: &servers });
        }
        rows.extend(alternate(rig, options, &all)?);
    }
    if wants(Subject::Miss) {
        let servers = [rig.start_corelane()?, rig.start_cluster()?];
        servers.iter().try_for_each(Server::fill)?;
        let series = Series { load: "miss", requests: Requests::RoundRobin, servers: &servers };
        rows.extend(alternate(rig, options, &[series])?);
    }
    let idle = if wants(Subject::Idle) { Some(idle::measure(rig)?) } else { None };
    let gates = gates::judge(&rows, idle.as_ref());
    Ok(Report { host, rounds: options.rounds.into(), seconds: options.seconds.into(), gates, rows, idle })
}

/// Measures all servers of all series, round by round; returns a row for each, in order.
fn alternate(rig: &Rig, options: &Options, all: &[Series<'_>]) -> Result<Vec<Row>> {
    let duration = Duration::from_secs(options.seconds.into());
    let mut rows = Vec::new();
    for series in all {
        let empty = |server: &Server| Row { load: series.load, server: server.name, samples: vec![], invalid: None };
        rows.extend(series.servers.iter().map(empty));
    }
    for round in 0..usize::from(options.rounds) {
        let mut first_row = 0;
        for series in all {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, series.load);
            let count = series.servers.len();
            for index in (0..count).map(|turn| (round + turn) % count) {
                let sample = measure_once(rig, series.requests, &series.servers[index], duration)?;
                rows[first_row + index].add(sample);
            }
            first_row += count;
        }
    }
    Ok(rows)
}

/// One run against one server. The inner error says why it is not valid.
fn measure_once(rig: &Rig, requests: Requests, server: &Server, duration: Duration) -> Result<Result<Sample, String>> {
    let (before, began) = (server.cpu_time()?, Instant::now());
    let outcome = load::run(rig, requests, server.address, duration)?;
    let time = server.cpu_time()? - before;
    let elapsed = began.elapsed();
    // Tells a server that hung from one that was kept from its CPU.
    let share = |part_ns: u64| part_ns as f64 * 100.0 / elapsed.as_nanos() as f64;
    Ok(outcome.map(|outcome| Sample::of(outcome, time, elapsed)).map_err(|why| {
        format!("{why}; server used {:.0} % of a CPU, waited {:.0} %", share(time.used_ns), share(time.waited_ns))
    }))
}
