//! `coreperf peers`: the same scenarios against the floor, ours and other servers, in alternating rounds.
//!
//! ```text
//!  round 1: floor, corelane, nginx, …    round 2: corelane, nginx, …, floor    …
//!  DIR/SCENARIO/SERVER/ROUND/result.json, latency.hlog; DIR/peers.json: all of them side by side
//! ```
//!
//! A scenario whose url is `http://` is asked of HTTP servers; one that names keys and nothing else (`shard://`, `redis://`,
//! `memcached://`) of all key-value servers, each in its own protocol.
//!
//! With `--gates` the gates of docs/performance.md are judged.
//!
//! **Invariants**: every server has the same core and the generator another one; what changes on the host while it is
//! measured changes for all of them.

mod gates;
mod idle;
mod table;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use perf_basis::files::{update_block, write_json};
use perf_basis::judge::{self, GateCheck, Spread};
use perf_basis::table::grouped;
use serde::Serialize;

use crate::run::outcome::Outcome;
use crate::run::protocol::Scheme;
use crate::run::scenario::{ExpectedBody, Scenario};
use crate::run::{KeysPart, RunOptions, WINDOW, fill, measure};
use crate::servers::peers::is_installed;
use crate::servers::{TestBed, TestServer, ensure_optimized};
use crate::system::child::Child;
use crate::system::cpus::Cpus;
use idle::Idle;

/// How long an edge keeps copies where only what is absent is to be asked of its node: the longest there is.
const COLD_EDGE_TTL: &str = "1h";

/// What to run, and against whom.
#[derive(Args)]
pub(crate) struct Options {
    /// Scenarios; their url's host and port are replaced by each server's
    #[arg(value_name = "SCENARIO.toml", required = true)]
    scenarios: Vec<PathBuf>,
    /// Alternating rounds; fewer than 5 give an indication only
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Length of each run, in seconds, instead of the scenarios'
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: Option<u16>,
    /// Measure these only
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Folder of our programs, unless it is the one that coreperf lies in
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
    #[command(flatten)]
    cpus: Cpus,
    /// Open loop at this share of what the slowest server but the floor reaches in a closed one, such as 0.7
    #[arg(long, value_name = "SHARE")]
    at_share: Option<f64>,
    /// Judge the gates of docs/performance.md, as far as what is measured shows them
    #[arg(long, conflicts_with = "at_share")]
    gates: bool,
    /// With --gates: measure the memory of 10,000 idle connections too
    #[arg(long, requires = "gates")]
    idle: bool,
    /// Replace the generated block of this name on the Markdown page of --update
    #[arg(long, value_name = "NAME", default_value = "coreperf peers")]
    block: String,
    /// Replace a generated block of this Markdown page
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The bare ring loop
    Floor,
    Corelane,
    /// An edge before a node; it keeps copies only if a scenario has absent keys. Of others it is asked only if it is named
    Cluster,
    Nginx,
    Haproxy,
    Varnish,
    H2o,
    /// A node, asked in the shard protocol
    Shardstored,
    Redis,
    Valkey,
    Memcached,
}

impl Kind {
    /// The program it needs, if that is none of ours.
    const fn program(self) -> Option<&'static str> {
        match self {
            Self::Floor | Self::Corelane | Self::Cluster | Self::Shardstored => None,
            Self::Nginx => Some("nginx"),
            Self::Haproxy => Some("haproxy"),
            Self::Varnish => Some("varnishd"),
            Self::H2o => Some("h2o"),
            Self::Redis => Some("redis-server"),
            Self::Valkey => Some("valkey-server"),
            Self::Memcached => Some("memcached"),
        }
    }

    const fn scheme(self) -> Scheme {
        match self {
            Self::Shardstored => Scheme::Shard,
            Self::Redis | Self::Valkey => Scheme::Redis,
            Self::Memcached => Scheme::Memcached,
            _ => Scheme::Http,
        }
    }

    /// Starts it; a cache of the web in front of `origin`.
    fn start(self, bed: &TestBed, scenario: &Scenario, origin: Option<SocketAddr>) -> Result<TestServer> {
        let body_bytes = scenario.values.bytes;
        match (self, origin) {
            (Self::Nginx, Some(origin)) => return bed.start_nginx_cache(origin),
            (Self::Varnish, Some(origin)) => return bed.start_varnish_cache(origin),
            _ => {}
        }
        match self {
            Self::Floor => bed.start_floor(body_bytes),
            Self::Corelane => bed.start_corelane(),
            Self::Cluster => bed.start_cluster(if scenario.is_cold() { COLD_EDGE_TTL } else { "0s" }),
            Self::Nginx => bed.start_nginx(body_bytes),
            Self::Haproxy => bed.start_haproxy(body_bytes),
            Self::Varnish => bed.start_varnish(body_bytes),
            Self::H2o => bed.start_h2o(body_bytes),
            Self::Shardstored => bed.start_shardstored(),
            Self::Redis => bed.start_redis(),
            Self::Valkey => bed.start_valkey(),
            Self::Memcached => bed.start_memcached(scenario.values.largest()?),
        }
    }

    /// How whoever is behind it is given values: its node in the shard protocol, an origin by PUT.
    const fn scheme_behind(self) -> Scheme {
        if matches!(self, Self::Cluster) { Scheme::Shard } else { Scheme::Http }
    }

    /// Its processes beside the one that is asked: the node of a cluster.
    fn beside(self, server: &TestServer) -> Vec<u32> {
        let is_cluster = self == Self::Cluster;
        server.children.iter().skip(1).filter(|_| is_cluster).map(Child::id).collect()
    }

    /// Whether it keeps what it is given, under any key.
    fn stores(self) -> bool {
        matches!(self, Self::Corelane | Self::Cluster) || self.scheme().is_key_value()
    }

    /// Whether it answers what the web asks from a cache in front of an origin.
    fn is_cache(self, scenario: &Scenario) -> bool {
        scenario.is_web() && matches!(self, Self::Nginx | Self::Varnish)
    }

    /// Whether it can answer this scenario: of the HTTP servers only Corelane stores, HAProxy has no large bodies, and keys with
    /// sizes of their own are known to Corelane alone. What the web asks is asked of caches and of key-value servers as well, and what
    /// is absent of those that have somebody behind them.
    fn answers(self, scenario: &Scenario) -> bool {
        const HAPROXY_BYTES_MAX: usize = 8 * 1024;
        if scenario.is_cold() {
            return self == Self::Cluster || self.is_cache(scenario);
        }
        if scenario.is_web() {
            let is_asked = matches!(self, Self::Corelane | Self::Redis | Self::Valkey | Self::Memcached);
            return is_asked || self.is_cache(scenario);
        }
        let is_key_value = scenario.scheme().is_ok_and(Scheme::is_key_value);
        if self.scheme().is_key_value() != is_key_value {
            return false;
        }
        let only_reads = scenario.mix.put == 0.0 && scenario.mix.delete == 0.0;
        let one_size = scenario.values.are_alike() && scenario.keys.is_one();
        let fits = self != Self::Haproxy || scenario.values.bytes <= HAPROXY_BYTES_MAX;
        // Requests for one key that are under way at once share a fill.
        let asks_node = self != Self::Cluster || !scenario.keys.is_one();
        asks_node && (self.stores() || one_size && only_reads && fits)
    }

    /// The scenario as this server can answer it: others know nothing of our keys, only of the length of a value.
    fn adapt(self, scenario: &Scenario, server: &TestServer, is_first: bool) -> Result<Scenario> {
        let mut scenario = scenario.spoken(self.scheme(), server.address)?;
        if self.stores() {
            scenario.values.fill &= is_first;
            // An edge has the node's values when each has been asked for.
            scenario.values.fill_by_get |= self == Self::Cluster && scenario.is_cold();
        } else if self.is_cache(&scenario) {
            // A cache takes no writes, and has the origin's values when each has been asked for.
            (scenario.mix.put, scenario.mix.delete) = (0.0, 0.0);
            scenario.values.fill &= is_first;
            scenario.values.fill_by_get = true;
        } else {
            scenario.values.fill = false;
            if scenario.expect.body == ExpectedBody::Value {
                scenario.expect.body = ExpectedBody::Length;
            }
        }
        scenario.check()?;
        Ok(scenario)
    }
}

/// One scenario against one server, round by round.
#[derive(Clone, Debug, Serialize)]
struct Row {
    server: &'static str,
    rounds: Vec<Outcome>,
}

impl Row {
    /// A figure of the rounds that have it.
    fn spread(&self, figure: fn(&Outcome) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(figure))
    }

    /// Its ratio to another server's, over the rounds in which both have it.
    fn ratios(&self, to: &Self, figure: fn(&Outcome) -> Option<f64>) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&to.rounds);
        Spread::of(pairs.filter_map(|(own, other)| Some(figure(own)? / figure(other)?)))
    }
}

/// One scenario against all servers.
#[derive(Clone, Debug, Serialize)]
struct ScenarioRows {
    scenario: String,
    rows: Vec<Row>,
}

/// Runs the verb. Exit status 1 when no round of some server can be believed, or a gate does not hold.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure_optimized("peers")?;
    let scenarios = options.scenarios.iter().map(|path| Ok((name_of(path), options.read(path)?)));
    let scenarios = scenarios.collect::<Result<Vec<_>>>()?;
    let kinds = options.kinds(&scenarios)?;
    let bed = TestBed::new("peers", &options.cpus, options.bin_dir.as_deref())?;
    let mut comparisons = Vec::new();
    for (name, scenario) in &scenarios {
        let comparison = compare(&bed, options, &kinds, (name, scenario))?;
        print!("{}", table::of(&comparison));
        comparisons.push(comparison);
    }
    let idle = if options.idle { Some(idle::measure(&bed)?) } else { None };
    let gates = if options.gates { gates::judge(&comparisons, idle.as_ref()) } else { Vec::new() };
    let judged = if options.gates { words(&gates, idle.as_ref()) } else { String::new() };
    print!("{judged}");
    if let Some(page) = &options.update {
        update_block(page, &options.block, &(judged + &table::block(&comparisons)))?;
    }
    if let Some(folder) = &options.out {
        write_json(&folder.join("peers.json"), &comparisons)?;
        if options.gates {
            write_json(&folder.join("gates.json"), &(&gates, &idle))?;
        }
    }
    let is_measured = |row: &Row| row.spread(table::cpu).is_some();
    let all = comparisons.iter().flat_map(|comparison| &comparison.rows).all(is_measured);
    Ok(if all && judge::all_hold(&gates) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The gates as Markdown, and what the idle connections took.
fn words(gates: &[GateCheck], idle: Option<&Idle>) -> String {
    let kib = |bytes: u64| grouped(bytes as f64 / 1024.0);
    let idle = idle.map(|idle| {
        format!(
            "\nIdle: {} connections, resident memory {} KiB without and {} KiB with them.\n",
            grouped(idle.connections as f64),
            kib(idle.empty_bytes),
            kib(idle.full_bytes),
        )
    });
    judge::table(gates) + &idle.unwrap_or_default() + "\n"
}

impl Options {
    fn read(&self, path: &Path) -> Result<Scenario> {
        let mut scenario = Scenario::read(path)?;
        scenario.duration = self.seconds.map_or(scenario.duration, |seconds| Duration::from_secs(seconds.into()));
        Ok(scenario)
    }

    /// The servers that are asked for, can answer one of the scenarios, and are installed; those that are not are named.
    fn kinds(&self, scenarios: &[(String, Scenario)]) -> Result<Vec<Kind>> {
        let is_cold = scenarios.iter().any(|(_, scenario)| scenario.is_cold());
        let unasked = || Kind::value_variants().iter().copied().filter(|kind| *kind != Kind::Cluster || is_cold);
        let mut wanted = if self.only.is_empty() { unasked().collect() } else { self.only.clone() };
        wanted.retain(|kind| scenarios.iter().any(|(_, scenario)| kind.answers(scenario)));
        let missing = |kind: &Kind| kind.program().filter(|program| !is_installed(program));
        for program in wanted.iter().filter_map(missing) {
            ensure!(self.only.is_empty(), "{program} is not installed; install it, or leave it out of --only");
            eprintln!("{program} is not installed and is left out");
        }
        Ok(wanted.into_iter().filter(|kind| missing(kind).is_none()).collect())
    }
}

/// A scenario's name: that of its file.
fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(|| "scenario".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn compare(
    bed: &TestBed,
    options: &Options,
    kinds: &[Kind],
    (name, scenario): (&str, &Scenario),
) -> Result<ScenarioRows> {
    let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.answers(scenario)).collect();
    ensure!(!kinds.is_empty(), "{name}: none of these servers can answer it; leave --only out to see who can");
    let (kinds, servers) = start(bed, &kinds, (name, scenario))?;
    let mut rows: Vec<Row> = servers.iter().map(|server| Row { server: server.name, rounds: Vec::new() }).collect();
    let run_options = RunOptions::unseen(&options.cpus.clients, WINDOW);
    let rate = match options.at_share {
        Some(share) => Some(share * slowest(bed, &run_options, (&kinds, &servers), scenario)?),
        None => scenario.rate,
    };
    for round in 0..usize::from(options.rounds) {
        for index in (0..kinds.len()).map(|turn| (round + turn) % kinds.len()) {
            let server = &servers[index];
            let mut asked = Scenario { rate, ..scenario.clone() };
            asked.keys.run = round as u32 + 1;
            store_absent(bed, kinds[index], &asked, server)?;
            let adapted = kinds[index].adapt(&asked, server, rows[index].rounds.is_empty())?;
            let processes = kinds[index].beside(server);
            let run_options = RunOptions { beside: &processes, ..run_options };
            let measured =
                measure(adapted, &run_options, &bed.stop).with_context(|| format!("{name}: {}", server.name))?;
            bed.stop.check()?;
            eprintln!(
                "{name}, round {} of {}: {}",
                round + 1,
                options.rounds,
                table::line(server.name, &measured.outcome)
            );
            if let Some(folder) = &options.out {
                measured.write(&folder.join(name).join(server.name).join((round + 1).to_string()))?;
            }
            rows[index].rounds.push(measured.outcome);
        }
    }
    Ok(ScenarioRows { scenario: name.to_owned(), rows })
}

/// Starts all that can be started. Another's server that cannot is named and left out, so that the others are measured all the same.
fn start(bed: &TestBed, kinds: &[Kind], (name, scenario): (&str, &Scenario)) -> Result<(Vec<Kind>, Vec<TestServer>)> {
    let mut started = (Vec::new(), Vec::new());
    let origin = if kinds.iter().any(|kind| kind.is_cache(scenario)) { Some(origin(bed, scenario)?) } else { None };
    for kind in kinds {
        match kind.start(bed, scenario, origin.as_ref().map(|origin| origin.address)) {
            Ok(server) => {
                if *kind == Kind::Cluster && scenario.is_cold() {
                    store(bed, *kind, scenario, (&server, KeysPart::Present))?;
                }
                started.0.push(*kind);
                started.1.push(server);
            }
            Err(error) if kind.program().is_some() && bed.stop.check().is_ok() => {
                eprintln!("{name}: {kind:?} is left out: {error:#}");
            }
            Err(error) => return Err(error),
        }
    }
    ensure!(!started.0.is_empty(), "{name}: no server could be started");
    // It lives as long as one of the caches, which alone ask it.
    let asks = |server: &&mut TestServer| origin.as_ref().is_some_and(|origin| server.behind == Some(origin.address));
    let last = started.1.iter_mut().rev().find(asks);
    if let (Some(last), Some(origin)) = (last, origin) {
        last.children.extend(origin.children);
    }
    Ok(started)
}

/// Starts the origin of the caches, with all values.
fn origin(bed: &TestBed, scenario: &Scenario) -> Result<TestServer> {
    let origin = bed.start_origin()?;
    let spoken = scenario.spoken(Scheme::Http, origin.address)?;
    fill(spoken, KeysPart::Present, bed.client_cpu, &bed.stop).context("the origin")?;
    Ok(origin)
}

/// Gives whoever is behind a server the values that this run asks for the first time.
fn store_absent(bed: &TestBed, kind: Kind, scenario: &Scenario, server: &TestServer) -> Result<()> {
    if scenario.is_cold() { store(bed, kind, scenario, (server, KeysPart::Absent)) } else { Ok(()) }
}

/// Gives whoever is behind a server a part of the values.
fn store(bed: &TestBed, kind: Kind, scenario: &Scenario, (server, part): (&TestServer, KeysPart)) -> Result<()> {
    let Some(behind) = server.behind else { return Ok(()) };
    let spoken = scenario.spoken(kind.scheme_behind(), behind)?;
    fill(spoken, part, bed.client_cpu, &bed.stop).with_context(|| format!("who is behind {}", server.name))
}

/// The rate that the slowest server but the floor reaches in a closed loop.
fn slowest(
    bed: &TestBed,
    run_options: &RunOptions<'_>,
    (kinds, servers): (&[Kind], &[TestServer]),
    scenario: &Scenario,
) -> Result<f64> {
    let mut slowest = f64::INFINITY;
    for (kind, server) in kinds.iter().zip(servers).filter(|(kind, _)| **kind != Kind::Floor) {
        let asked = Scenario { rate: None, ..scenario.clone() };
        store_absent(bed, *kind, &asked, server)?;
        let adapted = kind.adapt(&asked, server, true)?;
        let measured = measure(adapted, run_options, &bed.stop).with_context(|| server.name.to_owned())?;
        bed.stop.check()?;
        eprintln!("closed loop: {}", table::line(server.name, &measured.outcome));
        slowest = slowest.min(measured.outcome.rate_answered);
    }
    ensure!(slowest.is_finite() && slowest > 0.0, "no server but the floor answers this scenario");
    Ok(slowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(scenario: &str) -> Vec<Kind> {
        let scenario = Scenario::parse(scenario).expect("it is right");
        Kind::value_variants().iter().copied().filter(|kind| kind.answers(&scenario)).collect()
    }

    #[test]
    fn scenarios_are_asked_of_those_who_can_answer() {
        use Kind::{Cluster, Corelane, Floor, H2o, Haproxy, Memcached, Nginx, Redis, Shardstored, Valkey, Varnish};
        let key_value = [Shardstored, Redis, Valkey, Memcached];
        assert_eq!(answering("url = \"shard://127.0.0.1:1/k\"\n[mix]\nput = 1\n"), key_value);
        assert_eq!(answering("url = \"redis://127.0.0.1:1/k{key}\"\n[keys]\ncount = 9\n"), key_value);
        let http = "url = \"http://127.0.0.1:1/k\"\n";
        assert_eq!(answering(http), [Floor, Corelane, Nginx, Haproxy, Varnish, H2o]);
        assert_eq!(answering(&format!("{http}[values]\nbytes = 100000\n")), [Floor, Corelane, Nginx, Varnish, H2o]);
        assert_eq!(answering(&format!("{http}[mix]\nput = 1\n")), [Corelane]);
        let web = answering(&format!("{http}[clients]\ncount = 9\n"));
        assert_eq!(web, [Corelane, Nginx, Varnish, Redis, Valkey, Memcached]);
        let cold = "url = \"http://127.0.0.1:1/{key}\"\n[keys]\ncount = 9\nabsent = 0.1\n[clients]\ncount = 9\n";
        assert_eq!(answering(cold), [Cluster, Nginx, Varnish], "those who can ask somebody");
    }

    #[test]
    fn each_server_is_asked_in_its_protocol() {
        let scenario =
            Scenario::parse("url = \"shard://127.0.0.1:1/k\"\n[values]\nfill = true\n").expect("it is right");
        let address = "127.0.0.1:9".parse().expect("an address");
        let server = TestServer { name: "any", address, children: Vec::new(), behind: None, _files: None };
        for (kind, url) in [
            (Kind::Shardstored, "shard://127.0.0.1:9/k"),
            (Kind::Valkey, "redis://127.0.0.1:9/k"),
            (Kind::Memcached, "memcached://127.0.0.1:9/k"),
        ] {
            for is_first in [true, false] {
                let adapted = kind.adapt(&scenario, &server, is_first).expect("it fits");
                assert_eq!((adapted.url.as_str(), adapted.values.fill), (url, is_first), "{kind:?}");
            }
        }
    }

    /// An edge has its copies by asking, as caches have; what is absent is nowhere before the run but behind them.
    #[test]
    fn an_edge_that_keeps_copies_is_filled_by_asking() {
        let text = "url = \"http://127.0.0.1:1/v1/kv/default/{key}\"\n[keys]\ncount = 9\n[values]\nfill = true\n\
                    [clients]\ncount = 3\n";
        let address = "127.0.0.1:9".parse().expect("an address");
        let server = TestServer { name: "any", address, children: Vec::new(), behind: None, _files: None };
        let mut scenario = Scenario::parse(text).expect("it is right");
        for (absent, by_get) in [(0.0, false), (0.1, true)] {
            scenario.keys.absent = absent;
            let adapted = Kind::Cluster.adapt(&scenario, &server, true).expect("it fits");
            assert!(adapted.values.fill && adapted.values.fill_by_get == by_get, "{absent}");
        }
        assert_eq!((Kind::Cluster.scheme_behind(), Kind::Nginx.scheme_behind()), (Scheme::Shard, Scheme::Http));
    }

    /// A cache is filled by asking and takes no writes; a key-value server knows nothing of our paths.
    #[test]
    fn the_web_is_asked_of_each_as_it_can() {
        let text = "url = \"http://127.0.0.1:1/v1/kv/default/{key}\"\n[keys]\ncount = 9\n[values]\nfill = true\n\
                    [clients]\ncount = 3\n[mix]\nget = 9\nput = 1\nhead = 1\n";
        let scenario = Scenario::parse(text).expect("it is right");
        let address = "127.0.0.1:9".parse().expect("an address");
        let server = TestServer { name: "any", address, children: Vec::new(), behind: None, _files: None };
        for (kind, url, put, by_get) in [
            (Kind::Corelane, "http://127.0.0.1:9/v1/kv/default/{key}", 1.0, false),
            (Kind::Nginx, "http://127.0.0.1:9/v1/kv/default/{key}", 0.0, true),
            (Kind::Varnish, "http://127.0.0.1:9/v1/kv/default/{key}", 0.0, true),
            (Kind::Redis, "redis://127.0.0.1:9/{key}", 1.0, false),
        ] {
            let adapted = kind.adapt(&scenario, &server, true).expect("it fits");
            assert_eq!(
                (adapted.url.as_str(), adapted.mix.put, adapted.values.fill_by_get),
                (url, put, by_get),
                "{kind:?}"
            );
            assert!(adapted.values.fill && !kind.adapt(&scenario, &server, false).expect("it fits").values.fill);
        }
    }
}
