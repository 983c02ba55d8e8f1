//! `cargo xtask perf`: the standard scenarios against the floor and every peer that is installed, and a report to look at.
//!
//! **Not** the measurement itself: that is `coreperf`.
//!
//! **Invariants**: a step that fails is reported, and the report is still made of what was measured.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::child;
use crate::packages;
use crate::poll::Stop;
use crate::steps::Outcome;
use corelane_lab::preflight::is_installed;

/// What users will see: the load of a web application. Caches in front of an origin are left out: nginx needs 5 GB for these keys.
const WEB: [&str; 2] = ["web", "web-pipelined"];
const WEB_PEERS: [(&str, &str); 3] =
    [("redis", "redis-server"), ("valkey", "valkey-server"), ("memcached", "memcached")];

/// Closed loops: how many requests a server answers, and what each costs.
const CLOSED: [&str; 4] = ["hit", "pipelined", "put", "large"];

/// How long a closed loop is measured in each round: half a million requests say what one costs.
const CLOSED_SECONDS: &str = "2";

/// The scenario whose latencies are compared at the same rate, the share of the slowest server's maximum, and the others' servers: those
/// that are fast, since the slowest one sets the rate for all.
const OPEN: (&str, &str) = ("hit", "0.7");
const OPEN_PEERS: [&str; 2] = ["nginx", "h2o"];

/// Closed loops that key-value servers are asked.
const KEY_VALUE: [&str; 2] = ["kv", "kv-pipelined"];

/// The pages whose tables `--update-docs` writes, the answers and the rest, and what the tables are called there.
const ANSWERS: &str = "docs/performance.md";
const TABLES: &str = "docs/perf-tables.md";
const WEB_BLOCK: &str = "coreperf peers, web";
const CLOSED_BLOCK: &str = "coreperf peers";
const CORES_BLOCK: &str = "coreperf cores";
const OPEN_BLOCK: &str = "coreperf peers, open loop";
const KEY_VALUE_BLOCK: &str = "coreperf peers, key-value";
const GATES_BLOCK: &str = "coreperf peers, gates";

/// Closed loops that the gates rest on, and the servers that are asked; without `--update-docs` the last one alone.
const GATED: [&str; 3] = ["hit", "pipelined", "miss"];
const GATES_SERVERS: &str = "floor,corelane,nginx,cluster";

/// The step that judges ratios, which is left out as long as there is nothing to judge them by.
const RATIOS: &str = "CPU per request beside other servers, and what it was at the baseline";

/// What they are judged by.
const BASELINE: &str = "perf/baselines/ratios.toml";

/// Building with whole-program optimisation takes minutes on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// A round of all scenarios against six servers takes about two minutes.
const ROUND_LIMIT: Duration = Duration::from_secs(6 * 60);

/// What to run, and where the results go.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// Install the servers to compare with first, from Debian's packages (nginx, h2o, haproxy, varnish, redis, memcached)
    #[arg(long)]
    install_peers: bool,
    /// Alternating rounds; fewer than 5 give an indication only
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Write the ratios to the other servers to the baseline, instead of judging them; on a quiet host, with 5 rounds or more
    #[arg(long)]
    accept_ratios: bool,
    /// Write the tables of docs/performance.md and docs/perf-tables.md anew, all of them
    #[arg(long)]
    update_docs: bool,
    /// Folder for the results and the report, relative to the workspace
    #[arg(long, value_name = "DIR", default_value = "target/perf")]
    out: PathBuf,
}

/// Runs the verb. Exit status 1 when a step failed.
///
/// # Errors
/// The operator's: something cannot be installed or built.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    if options.install_peers {
        packages::ensure_peers_installed()?;
    }
    let mut build = cargo(root);
    build.args(["build", "--profile", "dist", "--locked"]);
    let (outcome, _) = child::run_step(&mut build, BUILD_LIMIT, &stop)?;
    ensure!(matches!(outcome, Outcome::Passed), "the dist build failed");
    let out = root.join(&options.out);
    std::fs::create_dir_all(&out).with_context(|| format!("{} could not be made", out.display()))?;
    let mut all_passed = true;
    for (name, mut command) in commands(root, options, &out) {
        println!("\n== {name}");
        if name == RATIOS && !options.accept_ratios && !root.join(BASELINE).is_file() {
            println!("SKIPPED: there is no {BASELINE}; take it on a quiet host: cargo xtask perf --accept-ratios");
            continue;
        }
        let (outcome, _) = child::run_step(&mut command, ROUND_LIMIT * options.rounds, &stop)?;
        all_passed &= matches!(outcome, Outcome::Passed);
        if stop.requested() {
            break;
        }
    }
    let page = out.join("report.html");
    if page.is_file() {
        println!("\nthe report: {}", page.display());
    }
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    command
}

/// The steps, in order; the report is the last.
fn commands(root: &Path, options: &Options, out: &Path) -> Vec<(&'static str, Command)> {
    let coreperf = |arguments: &[&str]| {
        let mut command = Command::new(root.join("target/dist/coreperf"));
        command.current_dir(root).args(arguments);
        command
    };
    // Where a step writes its table, if it is to; the cores' has one name for good.
    let update = |page: &'static str, block: &'static str| -> Vec<&'static str> {
        let named =
            if block == CORES_BLOCK { vec!["--update", page] } else { vec!["--update", page, "--block", block] };
        if options.update_docs { named } else { Vec::new() }
    };
    let rounds = options.rounds.to_string();
    let scenario = |name: &str| format!("perf/scenarios/{name}.toml");
    let closed_out = out.join("closed");
    let open_out = out.join("open");
    let web_out = out.join("web");
    let mut web = coreperf(&["peers", "--rounds", &rounds, "--seconds", CLOSED_SECONDS]);
    let peers = WEB_PEERS.into_iter().filter(|(_, program)| is_installed(program)).map(|(name, _)| name);
    web.arg("--only").arg(["corelane"].into_iter().chain(peers).collect::<Vec<_>>().join(","));
    web.args(WEB.map(scenario)).arg("--out").arg(&web_out).args(update(ANSWERS, WEB_BLOCK));
    let mut closed = coreperf(&["peers", "--rounds", &rounds, "--seconds", CLOSED_SECONDS]);
    closed.args(CLOSED.map(scenario)).arg("--out").arg(&closed_out).args(update(TABLES, CLOSED_BLOCK));
    let mut open = coreperf(&["peers", "--rounds", &rounds, "--at-share", OPEN.1]);
    let peers = OPEN_PEERS.into_iter().filter(|peer| is_installed(peer));
    open.arg("--only").arg(["floor", "corelane"].into_iter().chain(peers).collect::<Vec<_>>().join(","));
    open.arg(scenario(OPEN.0)).arg("--out").arg(&open_out).args(update(TABLES, OPEN_BLOCK));
    let kv_out = out.join("kv");
    let mut kv = coreperf(&["peers", "--rounds", &rounds, "--seconds", CLOSED_SECONDS]);
    kv.args(KEY_VALUE.map(scenario)).arg("--out").arg(&kv_out).args(update(TABLES, KEY_VALUE_BLOCK));
    let mut gates = coreperf(&["peers", "--gates", "--idle", "--rounds", &rounds, "--only", GATES_SERVERS]);
    gates.args(GATED[if options.update_docs { 0 } else { GATED.len() - 1 }..].iter().copied().map(scenario));
    gates.arg("--out").arg(out.join("gates")).args(update(ANSWERS, GATES_BLOCK));
    let mut cores = coreperf(&["cores", "--seconds", "1", "--rounds", &rounds]);
    cores.arg("--out").arg(out.join("cores.json")).args(update(TABLES, CORES_BLOCK));
    let mut ratios = coreperf(&["gate", "--ratios"]);
    ratios.arg(&closed_out).arg(&open_out).args(options.accept_ratios.then_some("--accept"));
    let mut report = coreperf(&["report"]);
    report.arg(&web_out).arg(&closed_out).arg(&open_out).arg(&kv_out).arg("--html").arg(out.join("report.html"));
    vec![
        ("what a request of a web application costs", web),
        ("what a request costs, and how many are answered", closed),
        ("latency at the same rate", open),
        ("what a request costs key-value servers", kv),
        ("misses that a node serves, and idle connections: the gates", gates),
        ("hits in another core's memory", cores),
        (RATIOS, ratios),
        ("report", report),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_there_and_the_report_comes_last() {
        let root = crate::workspace::root().expect("tests run in the workspace");
        for name in WEB.iter().chain(&CLOSED).chain(&KEY_VALUE).chain(&GATED).chain([&OPEN.0]) {
            assert!(root.join(format!("perf/scenarios/{name}.toml")).is_file(), "{name}");
        }
        let options = Options {
            install_peers: false,
            rounds: 3,
            accept_ratios: false,
            update_docs: false,
            out: PathBuf::from("target/perf"),
        };
        let commands = commands(&root, &options, Path::new("/results"));
        let report = commands.last().expect("there are steps").1.get_args();
        let report: Vec<_> = report.filter_map(std::ffi::OsStr::to_str).collect();
        let folders = ["web", "closed", "open", "kv"].map(|name| format!("/results/{name}"));
        assert_eq!(
            report,
            [&["report"], &folders.each_ref().map(String::as_str)[..], &["--html", "/results/report.html"]].concat()
        );
        let updating = self::commands(&root, &Options { update_docs: true, ..options.clone() }, Path::new("/results"));
        let page = |name: &str| std::fs::read_to_string(root.join(name)).expect("the page is there");
        for (_, command) in updating.iter().filter(|(name, _)| *name != RATIOS && *name != "report") {
            let arguments: Vec<_> = command.get_args().filter_map(std::ffi::OsStr::to_str).collect();
            let at = |flag| Some(arguments[arguments.iter().position(|argument| *argument == flag)? + 1]);
            let whole = !arguments.contains(&"--gates") || arguments.contains(&"perf/scenarios/hit.toml");
            let (page_name, block) = (at("--update").expect("it writes a table"), at("--block").unwrap_or(CORES_BLOCK));
            let has_place = page(page_name).contains(&format!("<!-- begin: {block} -->"));
            assert!(whole && has_place, "{page_name} has no place for {block}: {arguments:?}");
        }
        for (accept_ratios, more) in [(false, &[][..]), (true, &["--accept"][..])] {
            let commands = self::commands(&root, &Options { accept_ratios, ..options.clone() }, Path::new("/results"));
            let (_, ratios) = commands.iter().find(|(name, _)| *name == RATIOS).expect("it is a step");
            let expected = [&["gate", "--ratios", "/results/closed", "/results/open"], more].concat();
            assert_eq!(ratios.get_args().collect::<Vec<_>>(), expected);
        }
    }
}
