//! coreperf as the bench: `run` loads the server and leaves a result, `compare` judges the results of two folders.
//!
//! ```text
//!  runs/KNOB/a/00/result.json …     one folder for each run, by side and number
//!  runs/KNOB/b/00/result.json …     pair i is run i of both
//! ```
//!
//! **Not** in this process: what coreperf links is no part of an operator's tool.
//!
//! **Source**: docs/perf-scenarios.md (result.json), proc_pid_net(5).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use super::program::{BoundedProgram, StopFlag, last_words};
use super::report::{FigureGain, JudgedFigure};
use super::{AbBench, AbError, AbRun, AbSide};
use crate::host::HostAccess;

/// Figures that are judged, as coreperf calls them.
const FIGURES: &[&str] = &["cpu", "p50", "p99"];

/// A server has begun to listen by then.
const START_SECONDS_MAX: u64 = 30;

/// The judge resamples some thousand times; that takes milliseconds.
const JUDGE_SECONDS_MAX: u64 = 60;

/// `TCP_LISTEN` of `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// What is run, and against whom.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The program, with words before it if need be: `ip netns exec lab coreperf`.
    pub coreperf: String,
    /// The scenario's file.
    pub scenario: PathBuf,
    /// Where requests go, instead of the scenario's address.
    pub url: Option<String>,
    /// Agents that load instead of this host.
    pub agents: Vec<String>,
    /// CPUs of a generator on this host.
    pub cpus: Option<String>,
    /// A server that is started anew for every run; none where one is there.
    pub server: Option<String>,
    /// Times that a run is made at most, until one is valid.
    pub attempts: u32,
    /// Seconds after which a run is given up.
    pub run_seconds_max: u64,
    /// Folder for the results of all runs.
    pub folder: PathBuf,
}

/// The bench.
pub struct CoreperfBench<'h> {
    host: &'h dyn HostAccess,
    options: BenchOptions,
    stop: StopFlag,
    last_result: Value,
}

/// `coreperf compare --out`.
#[derive(Deserialize)]
struct Judgement {
    ratio: f64,
    interval: (f64, f64),
    verdict: String,
    chance: Option<f64>,
    pairs: Vec<(f64, f64)>,
}

impl<'h> CoreperfBench<'h> {
    /// A bench on this host.
    #[must_use]
    pub fn new(host: &'h dyn HostAccess, options: BenchOptions, stop: StopFlag) -> Self {
        CoreperfBench { host, options, stop, last_result: Value::Null }
    }

    /// Words of the last result: the commit and the CPU's model.
    #[must_use]
    pub fn commit_and_cpu(&self) -> (String, String) {
        let word = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
        (word(&self.last_result["commit"]), word(&self.last_result["host"]["cpu"]))
    }

    fn coreperf(&self) -> Result<Command, AbError> {
        command_of(&self.options.coreperf, "--coreperf")
    }

    fn folder(&self, knob: &str) -> PathBuf {
        self.options.folder.join(knob)
    }

    fn side(&self, knob: &str, side: AbSide) -> PathBuf {
        self.folder(knob).join(if side == AbSide::A { "a" } else { "b" })
    }

    /// The port of the address that is loaded.
    fn port(&self) -> Result<u16, AbError> {
        let url = match &self.options.url {
            Some(url) => url.clone(),
            None => self.scenario_url()?,
        };
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.ok_or_else(|| AbError::Asked(format!("--server needs a port to wait for, and {url} has none")))
    }

    fn scenario_url(&self) -> Result<String, AbError> {
        let name = self.options.scenario.display().to_string();
        let text = std::fs::read_to_string(&self.options.scenario).map_err(|error| AbError::run(&name, &error))?;
        let scenario: toml::Table = text.parse().map_err(|error| AbError::run(&name, &error))?;
        let url = scenario.get("url").and_then(toml::Value::as_str).map(str::to_owned);
        url.ok_or_else(|| AbError::run(&name, &"it has no url"))
    }

    fn serve(&self, folder: &Path) -> Result<Option<BoundedProgram>, AbError> {
        let Some(server) = &self.options.server else { return Ok(None) };
        let port = self.port()?;
        let mut program = BoundedProgram::start(&mut command_of(server, "--server")?, &folder.join("server.log"))?;
        program.wait_ready(START_SECONDS_MAX, &self.stop, || listens(self.host, port))?;
        Ok(Some(program))
    }

    fn run_command(&self, folder: &Path) -> Result<Command, AbError> {
        let mut command = self.coreperf()?;
        command.arg("run").arg(&self.options.scenario).arg("--out").arg(folder);
        if let Some(url) = &self.options.url {
            command.args(["--url", url]);
        }
        if !self.options.agents.is_empty() {
            command.args(["--agents", &self.options.agents.join(",")]);
        }
        if let Some(cpus) = &self.options.cpus {
            command.args(["--cpus", cpus]);
        }
        Ok(command)
    }

    /// A run that was not valid has a result all the same, which says why; its pair does not count.
    fn attempt(&mut self, folder: &Path) -> Result<(), AbError> {
        let name = folder.display().to_string();
        std::fs::create_dir_all(folder).map_err(|error| AbError::run(&name, &error))?;
        let _server = self.serve(folder)?;
        let said = folder.join("coreperf.log");
        let result = folder.join("result.json");
        let _ = std::fs::remove_file(&result);
        let program = BoundedProgram::start(&mut self.run_command(folder)?, &said)?;
        program.wait(self.options.run_seconds_max, &self.stop)?;
        let Ok(text) = std::fs::read_to_string(&result) else {
            return Err(AbError::run("coreperf run", &last_words(&said)));
        };
        self.last_result = serde_json::from_str(&text).map_err(|error| AbError::run("result.json", &error))?;
        Ok(())
    }

    fn judged(&self, knob: &str, figure: &str) -> Result<Result<FigureGain, String>, AbError> {
        let [judgement, said] = ["json", "log"].map(|end| self.folder(knob).join(format!("{figure}.{end}")));
        let mut command = self.coreperf()?;
        command.arg("compare").args([self.side(knob, AbSide::A), self.side(knob, AbSide::B)]);
        command.args(["--figure", figure, "--out"]).arg(&judgement);
        // Its status says whether B is slower; whether there is a judgement, its file says.
        BoundedProgram::start(&mut command, &said)?.wait(JUDGE_SECONDS_MAX, &self.stop)?;
        let Ok(text) = std::fs::read_to_string(&judgement) else {
            return Ok(Err(last_words(&said).trim_start_matches("error: ").to_owned()));
        };
        let judged: Judgement =
            serde_json::from_str(&text).map_err(|error| AbError::run("coreperf compare", &error))?;
        Ok(Ok(FigureGain {
            gain: 1.0 - judged.ratio,
            interval: (1.0 - judged.interval.1, 1.0 - judged.interval.0),
            verdict: judged.verdict,
            chance: judged.chance.unwrap_or(1.0),
            pairs: judged.pairs,
        }))
    }
}

impl AbBench for CoreperfBench<'_> {
    fn begin(&mut self, knob: &str) -> Result<(), AbError> {
        let folder = self.folder(knob);
        let name = folder.display().to_string();
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| AbError::run(&name, &error))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| AbError::run(&name, &error))
    }

    fn measure(&mut self, run: AbRun<'_>) -> Result<(), AbError> {
        let folder = self.side(run.knob, run.side).join(format!("{:03}", run.number));
        for _ in 0..self.options.attempts.max(1) {
            self.attempt(&folder)?;
            if is_believed(&self.last_result) {
                break;
            }
        }
        self.stop.check()
    }

    fn judge(&mut self, knob: &str) -> Result<Vec<JudgedFigure>, AbError> {
        let judge = |figure: &&str| {
            let gain = self.judged(knob, figure)?;
            Ok(JudgedFigure { figure: (*figure).into(), gain })
        };
        FIGURES.iter().map(judge).collect()
    }
}

/// Whether a result gives a figure: a generator at its limit leaves the CPU per request, as coreperf judges it.
fn is_believed(result: &Value) -> bool {
    let kinds = result["invalid_kinds"].as_array();
    kinds.is_none_or(|kinds| kinds.iter().all(|kind| kind == "generator_busy"))
}

fn command_of(words: &str, option: &str) -> Result<Command, AbError> {
    let mut words = words.split_whitespace();
    let program = words.next().ok_or_else(|| AbError::Asked(format!("{option} is empty")))?;
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}

/// Whether somebody listens at a port of this network.
fn listens(host: &dyn HostAccess, port: u16) -> bool {
    let end = format!(":{port:04X}");
    let is_listener = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&end)) && fields.nth(1) == Some(LISTEN)
    };
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .any(|path| host.read(path).is_ok_and(|text| text.lines().any(is_listener)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{FakeHost, FileTree, MemoryTree};

    #[test]
    fn a_listener_is_seen_and_a_connection_is_none() {
        let host = FakeHost::new(MemoryTree::default());
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F91 0100007F:D431 01 0\n";
        host.files().store("/proc/net/tcp", table).unwrap();
        assert!(listens(&host, 8080));
        assert!(!listens(&host, 8081) && !listens(&host, 80));
    }
}
