//! What a page tells of one scenario: servers, each with its rounds.
//!
//! **Invariants**: a ratio is formed of two servers' runs of the same round; figures come of runs that can be believed as
//! far as they go: percentiles and rates of valid ones only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::results::{FoundResult, difference, log};
use crate::run::outcome::{LatencyPercentiles, Outcome};
use perf_basis::judge::Spread;

/// One run of a server.
pub(crate) struct ServerRun {
    pub(crate) round: u32,
    pub(crate) outcome: Outcome,
}

/// A server and its runs, in the order of their rounds.
pub(crate) struct ReportServer {
    pub(crate) name: String,
    /// Its colour and its dashes.
    pub(crate) mark: usize,
    pub(crate) runs: Vec<ServerRun>,
    /// All latencies of its valid runs, in nanoseconds.
    pub(crate) latencies: Option<Histogram<u64>>,
}

/// One scenario against some servers.
pub(crate) struct ReportSection {
    pub(crate) name: String,
    /// Whether rounds tell which runs were taken side by side.
    pub(crate) has_rounds: bool,
    pub(crate) servers: Vec<ReportServer>,
}

impl ReportServer {
    /// Median and extremes of a figure over the runs that have it.
    pub(crate) fn spread(&self, figure: impl Fn(&Outcome) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| figure(&run.outcome)))
    }

    /// The ratio of a figure to that of another server, round by round, and of how many rounds.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Outcome) -> Option<f64>) -> Option<(Spread, usize)> {
        let ratios = self.ratios(other, figure);
        Some((Spread::of(ratios.iter().copied())?, ratios.len()))
    }

    /// The ratios of all rounds in which both have the figure.
    pub(crate) fn ratios(&self, other: &Self, figure: impl Fn(&Outcome) -> Option<f64>) -> Vec<f64> {
        let below: BTreeMap<u32, f64> =
            other.runs.iter().filter_map(|run| Some((run.round, figure(&run.outcome)?))).collect();
        let pair =
            |run: &ServerRun| Some(figure(&run.outcome)? / below.get(&run.round).filter(|figure| **figure > 0.0)?);
        self.runs.iter().filter_map(pair).collect()
    }

    /// Runs that were valid.
    pub(crate) fn valid(&self) -> impl Iterator<Item = &ServerRun> {
        self.runs.iter().filter(|run| run.outcome.valid)
    }
}

/// Microseconds of CPU per request.
pub(crate) fn cpu(outcome: &Outcome) -> Option<f64> {
    outcome.cpu_believed().map(|cpu| cpu.total)
}

/// Runs of a server that can be believed, at least as far as their CPU time goes.
pub(crate) fn counted(server: &ReportServer) -> usize {
    server.runs.iter().filter(|run| cpu(&run.outcome).is_some() || run.outcome.valid).count()
}

/// Percentiles of a valid run.
pub(crate) fn latency(outcome: &Outcome) -> Option<LatencyPercentiles> {
    outcome.latency.filter(|_| outcome.valid)
}

/// Answers per second of a valid run.
pub(crate) fn rate(outcome: &Outcome) -> Option<f64> {
    outcome.valid.then_some(outcome.rate_answered)
}

impl ReportSection {
    pub(crate) fn server(&self, name: &str) -> Option<&ReportServer> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// Whose results these are in the first place: Corelane's or a node's, or those of the only server that is not the floor.
    pub(crate) fn subject(&self) -> &ReportServer {
        let other = || self.servers.iter().find(|server| server.name != "floor");
        self.server("corelane").or_else(|| self.server("shardstored")).or_else(other).unwrap_or(&self.servers[0])
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = &ServerRun> {
        self.servers.iter().flat_map(|server| &server.runs)
    }

    /// What it is about: the scenario's title, or else its address.
    pub(crate) fn title(&self) -> String {
        let scenario = &self.subject().runs[0].outcome.scenario;
        if scenario.title.is_empty() { scenario.url.clone() } else { scenario.title.clone() }
    }
}

/// Where a result belongs, by the names of its folders.
struct ResultPath {
    /// Results with the same one stand side by side.
    section: String,
    scenario: Option<PathBuf>,
    server: String,
    round: Option<u32>,
}

fn place(found: &FoundResult) -> ResultPath {
    let path = found.folder.canonicalize().unwrap_or_else(|_| found.folder.clone());
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let last = name(Some(&path)).unwrap_or_else(|| "result".to_owned());
    let (server, scenario) = (path.parent(), path.parent().and_then(Path::parent));
    match (last.parse(), name(server), scenario) {
        (Ok(round), Some(server), Some(scenario)) => ResultPath {
            section: scenario.display().to_string(),
            scenario: Some(scenario.into()),
            server,
            round: Some(round),
        },
        _ => ResultPath { section: key(&found.outcome), scenario: None, server: last, round: None },
    }
}

/// What a plain run was asked, but for where it was asked.
fn key(outcome: &Outcome) -> String {
    let mut keys = difference::keys(&outcome.scenario);
    ["url", "cpus", "seed", "values.fill", "expect.body"].iter().for_each(|key| drop(keys.remove(*key)));
    format!("{keys:?}")
}

/// Sorts results into sections, in the order in which they were found.
pub(crate) fn of(found: &[FoundResult]) -> Result<Vec<ReportSection>> {
    let mut sections: Vec<(String, Option<PathBuf>, ReportSection)> = Vec::new();
    for one in found {
        let place = place(one);
        let at = sections.iter().position(|(key, ..)| *key == place.section).unwrap_or_else(|| {
            let name =
                place.scenario.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            let section = ReportSection {
                name: name.unwrap_or_default(),
                has_rounds: place.round.is_some(),
                servers: Vec::new(),
            };
            sections.push((place.section.clone(), place.scenario.clone(), section));
            sections.len() - 1
        });
        add(&mut sections[at].2, place, one)?;
    }
    tell_apart(&mut sections);
    Ok(sections.into_iter().map(|(.., section)| finished(section)).collect())
}

fn add(section: &mut ReportSection, place: ResultPath, one: &FoundResult) -> Result<()> {
    let mut name = place.server;
    // Two plain runs may lie in folders of one name.
    if place.round.is_none() && section.server(&name).is_some() {
        name = one.folder.display().to_string();
    }
    let at = section.servers.iter().position(|server| server.name == name).unwrap_or_else(|| {
        section.servers.push(ReportServer { name, mark: 0, runs: Vec::new(), latencies: None });
        section.servers.len() - 1
    });
    let server = &mut section.servers[at];
    if one.outcome.valid && one.log().exists() {
        let latencies = one.latencies()?;
        match &mut server.latencies {
            Some(sum) => log::add(sum, &latencies)?,
            None => server.latencies = Some(latencies),
        }
    }
    server.runs.push(ServerRun { round: place.round.unwrap_or(1), outcome: one.outcome.clone() });
    Ok(())
}

/// Scenarios of one name from several folders are called by their folders too.
fn tell_apart(sections: &mut [(String, Option<PathBuf>, ReportSection)]) {
    let names: Vec<String> = sections.iter().map(|(.., section)| section.name.clone()).collect();
    for (_, path, section) in sections {
        let is_twice = names.iter().filter(|name| **name == section.name).count() > 1;
        let folder = path.as_deref().and_then(Path::parent).and_then(Path::file_name);
        if let Some(folder) = folder.filter(|_| is_twice) {
            section.name = format!("{}/{}", folder.to_string_lossy(), section.name);
        }
    }
}

/// Servers in the order of the page, with their marks.
fn finished(mut section: ReportSection) -> ReportSection {
    const KNOWN: [&str; 6] = ["corelane", "floor", "nginx", "haproxy", "varnish", "h2o"];
    let rank = |server: &ReportServer| KNOWN.iter().position(|name| *name == server.name).unwrap_or(KNOWN.len());
    section.servers.sort_by_key(rank);
    let mut next = if section.servers.iter().any(|server| rank(server) < KNOWN.len()) { KNOWN.len() } else { 0 };
    for server in &mut section.servers {
        server.mark = rank(server);
        if server.mark == KNOWN.len() {
            (server.mark, next) = (next, next + 1);
        }
        server.runs.sort_by_key(|run| run.round);
    }
    section
}
