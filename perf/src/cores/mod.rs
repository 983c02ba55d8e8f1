//! `coreperf cores`: what a hit in another core's memory costs, beside one in the own core's.
//!
//! ```text
//!  first CPU            second CPU
//!  data core 0 ◀─────── client of its connections       one core busy: data core 1 sleeps
//!  client of core 1's ─▶ data core 1                     both busy: each CPU has a data core and the other's client
//! ```
//!
//! Connections are sorted by the core that accepted them, and keys by the core that owns them, so that every request is known
//! beforehand to be answered from the own core's memory, or from the other's. Rounds alternate between the two.
//!
//! **Not**: a load that arrives as people's do. A client writes one request to each of its connections, then reads all the answers,
//! so that every load finds the server in the same state, and batches are as large.
//!
//! **Invariants**: an answer that does not come from where it should ends the measurement; only the server's CPU time is judged.

mod lanes;
mod load;
mod report;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::servers::{TestBed, TestServer};
use crate::system::cpus::Cpus;
use lanes::CoreLanes;
use load::Side;
use perf_basis::files::{update_block, write_json};
use report::{CoresSample, Report, Row};

/// Where to measure, how long, and where the result goes.
#[derive(Args)]
pub(crate) struct Options {
    /// Alternating rounds; fewer than 5 give an indication only
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Length of each run, in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Connections of each core
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Folder of our programs, unless it is the one that coreperf lies in
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
    /// CPUs of the two data cores; each has the client of the other beside it
    #[arg(long, value_name = "CPU", value_delimiter = ',', num_args = 1, default_values_t = [0, 1])]
    cpus: Vec<usize>,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the generated block of this Markdown page
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
}

/// Which cores work, and where the keys are that they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CoresLoad {
    /// As the table calls it.
    pub(crate) name: &'static str,
    /// Which cores have clients.
    pub(crate) busy: usize,
    /// Where the keys are.
    pub(crate) from: KeysFrom,
    /// Keys of each core that are asked for, in turn.
    pub(crate) keys: usize,
}

/// Whose memory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeysFrom {
    /// That of the core that was asked.
    Own,
    /// The other's.
    Other,
    /// That of the first core, whichever was asked.
    First,
}

/// Keys of each core: as many as fill its share of the first caches a few times over.
const KEYS: usize = 500;

/// Every load, in pairs of which the second is judged by the first.
pub(crate) const LOADS: [CoresLoad; 6] = [
    CoresLoad { name: "one core busy, own keys", busy: 1, from: KeysFrom::Own, keys: KEYS },
    CoresLoad { name: "one core busy, the other's keys", busy: 1, from: KeysFrom::Other, keys: KEYS },
    CoresLoad { name: "both busy, own keys", busy: 2, from: KeysFrom::Own, keys: KEYS },
    CoresLoad { name: "both busy, the other's keys", busy: 2, from: KeysFrom::Other, keys: KEYS },
    CoresLoad { name: "both busy, one own key each", busy: 2, from: KeysFrom::Own, keys: 1 },
    CoresLoad { name: "both busy, one key for both", busy: 2, from: KeysFrom::First, keys: 1 },
];

/// Runs the verb. Exit status 1 when a gate failed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let &[first, second] = options.cpus.as_slice() else { bail!("--cpus takes two, such as --cpus 0,1") };
    ensure!(first != second, "--cpus names {first} twice; the two data cores need a CPU each");
    let bed = TestBed::new("cores", &Cpus { server: first, clients: vec![second] }, options.bin_dir.as_deref())?;
    let report = measure(&bed, options)?;
    let text = report.text();
    print!("{text}");
    if let Some(path) = &options.out {
        write_json(path, &report)?;
    }
    if let Some(path) = &options.update {
        update_block(path, "coreperf cores", &text)?;
    }
    Ok(report.exit())
}

fn measure(bed: &TestBed, options: &Options) -> Result<Report> {
    let (server, admin) = bed.start_corelane_on(&options.cpus)?;
    let mut bench = CoreLanes::prepare(server.address, admin, options.connections.into(), KEYS)?;
    let mut rows: Vec<Row> = LOADS.iter().map(Row::empty).collect();
    for round in 0..usize::from(options.rounds) {
        for index in (0..LOADS.len()).map(|turn| (round + turn) % LOADS.len()) {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, LOADS[index].name);
            bed.stop.check()?;
            let duration = Duration::from_secs(options.seconds.into());
            let sample = measure_once(&server, &mut bench, &LOADS[index], (&options.cpus, duration))?;
            rows[index].samples.push(sample);
        }
    }
    Ok(Report::of(rows, options.rounds.into(), options.seconds.into(), options.connections.into()))
}

/// One run of a load: a client thread for each busy core, on the other core's CPU.
fn measure_once(
    server: &TestServer,
    bench: &mut CoreLanes,
    load: &CoresLoad,
    (cpus, duration): (&[usize], Duration),
) -> Result<CoresSample> {
    let requests = bench.requests(load);
    let before = server.cpu_time()?;
    let sides = std::thread::scope(|scope| {
        let clients: Vec<_> = bench
            .lanes
            .iter_mut()
            .zip(&requests)
            .zip(cpus.iter().rev())
            .take(load.busy)
            .map(|((lanes, requests), cpu): ((&mut Vec<TcpStream>, _), _)| {
                scope.spawn(move || load::run(lanes, requests, *cpu, duration))
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect::<Result<Vec<_>>>()
    })
    .with_context(|| format!("load \"{}\"", load.name))?;
    Ok(CoresSample::of(&Side::sum(sides), server.cpu_time()? - before))
}
