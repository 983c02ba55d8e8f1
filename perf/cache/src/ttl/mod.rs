//! `cacheperf ttl`: how much of the cache's memory items hold that have expired, under the times to live of real clusters.
//!
//! ```text
//!  table ─ clusters ─▶ load ─▶ drive: virtual time, the cache, its maintenance ─▶ samples ─▶ report, picture
//! ```
//!
//! **Not**: speed; a run is as long as its requests and turns of maintenance take.
//!
//! **Invariants**: a run is a function of its arguments and the table.

mod clusters;
mod drive;
mod load;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use clusters::{Clusters, TraceCluster};
use drive::Schedule;
use report::{Report, Row};

use perf_basis::{judge, plot, sizes};

/// Which clusters, on how large a cache, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Markdown table of clusters, as in twitter/cache-trace (`stat/2020Mar.md`): the columns `cluster`, `key size`,
    /// `value size`, `common TTL` (as 300s:0.98, 1h:0.02), `operation` (as set:0.80 get:0.20) and `Zipf alpha` are read
    #[arg(long, value_name = "FILE")]
    clusters: PathBuf,
    /// Only these clusters; several separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Whose maintenance
    #[arg(long, value_enum, value_delimiter = ',', default_value = "node,edge")]
    schedule: Vec<Schedule>,
    /// Items that are alive at a time, in multiples of what the cache holds; several separated by commas
    #[arg(long, value_name = "X", value_delimiter = ',', default_value = "0.5,1.5", value_parser = load_amount)]
    load: Vec<f64>,
    /// Memory of the cache in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    limit: u64,
    /// Requests after which a run ends, if it has not come to two and a half longest times to live before
    #[arg(long, value_name = "N", default_value_t = 4_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw the runs with the largest shares over time into this file, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Runs the verb. Exit status 1 when a gate failed.
///
/// # Errors
/// The table cannot be read, a cluster is not in it, the cache cannot be made, or a result cannot be written.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Clusters { complete, incomplete } = read(&options.clusters)?;
    let chosen = choose(&complete, &incomplete, &options.only)?;
    let mut rows = Vec::new();
    for (at, cluster) in chosen.iter().enumerate() {
        eprintln!("{} of {}: {}", at + 1, chosen.len(), cluster.name);
        rows.extend(measure(options, cluster)?);
    }
    let report = Report { limit_bytes: options.limit << 20, left_out: incomplete, gates: report::judge(&rows), rows };
    print!("{}", report.text());
    if let Some(path) = &options.out {
        let json = serde_json::to_string_pretty(&report).context("the report could not be written as JSON")?;
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &options.plot {
        write(path, &plot::svg(&report.chart()))?;
    }
    Ok(if judge::all_hold(&report.gates) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<Clusters> {
    let text = sizes::read_text(path)?;
    clusters::parse(&text).with_context(|| path.display().to_string())
}

fn choose<'a>(complete: &'a [TraceCluster], incomplete: &[String], only: &[String]) -> Result<Vec<&'a TraceCluster>> {
    if only.is_empty() {
        return Ok(complete.iter().collect());
    }
    let find = |name: &String| match complete.iter().find(|cluster| cluster.name == *name) {
        Some(cluster) => Ok(cluster),
        None if incomplete.contains(name) => bail!("--only {name}: the table lacks figures of it"),
        None => bail!(
            "--only {name}: not in the table; it has {} to {}",
            complete[0].name,
            complete[complete.len() - 1].name
        ),
    };
    only.iter().map(find).collect()
}

fn measure(options: &Options, cluster: &TraceCluster) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &schedule in &options.schedule {
        for &load in &options.load {
            let outcome = drive::run(cluster, schedule, options.limit << 20, load, options.requests)
                .with_context(|| cluster.name.clone())?;
            let longest_s = cluster.longest_s();
            rows.push(Row { cluster: cluster.name.clone(), schedule, load, longest_s, outcome });
        }
    }
    Ok(rows)
}

/// Above 4 the popularity of keys would have to be given up to keep so many of them alive.
fn load_amount(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount > 0.0 && amount <= 4.0 => Ok(amount),
        _ => Err("it takes a number above 0, at most 4".to_owned()),
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("{} could not be written", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Result<Options, String> {
        let line = ["x", "--clusters", "t.md"].iter().chain(arguments);
        Line::try_parse_from(line).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cluster_is_run_from_its_row() {
        let table = "| cluster | key size | value size | common TTL | operation | Zipf alpha |\n\
                     | a | 20 | 1000 | 10s:1.00, | set:1.00 | 0 |\n| b | N/A | 1 | 1s:1 | get:1 | 0 |\n";
        let clusters = clusters::parse(table).unwrap();
        let options = options(&["--limit", "8", "--requests", "30000", "--load", "0.5"]).unwrap();
        let rows = measure(&options, &clusters.complete[0]).unwrap();
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert!((2.3..=2.5).contains(&row.outcome.lives), "{}", row.outcome.lives);
            // Half of what fits is alive, and an expired item is found soon: every segment comes under the scan within a second or two.
            let items = row.outcome.steady()[0].items;
            assert!((3_000..6_000).contains(&items), "{items}");
        }
        assert_eq!(choose(&clusters.complete, &[], &["a".into()]).unwrap().len(), 1);
        for (name, expected) in [("b", "lacks figures"), ("c", "not in the table")] {
            let error = choose(&clusters.complete, &clusters.incomplete, &[name.into()]).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (arguments, expected) in [
            (["--load", "0"], "--load"),
            (["--load", "nan"], "above 0, at most 4"),
            (["--schedule", "origin"], "origin"),
            (["--limit", "1"], "--limit"),
        ] {
            let error = options(&arguments).err().expect("it is wrong");
            assert!(error.contains(expected), "{error}");
        }
        let error = format!("{:#}", read(Path::new("/nowhere/t.md")).unwrap_err());
        assert!(error.contains("/nowhere/t.md"), "{error}");
        assert!(read(Path::new("/")).unwrap_err().to_string().contains("is a folder"));
    }
}
