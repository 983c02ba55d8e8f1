//! What the figures were taken on and with: programs, host, commit, date.
//!
//! **Source**: proc_cpuinfo(5), proc_loadavg(5).

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// Programs that are run, the flag that makes each say its version, and the Debian package that has it.
const TOOLS: [(&str, &str, &str); 5] = [
    ("wrk", "-v", "wrk"),
    ("nginx", "-v", "nginx"),
    ("taskset", "--version", "util-linux"),
    ("git", "--version", "git"),
    ("date", "--version", "coreutils"),
];

/// Binaries of the project that are run.
const BINARIES: [&str; 2] = ["corelane", "shardstored"];

/// Where and when a measurement was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host {
    /// Start of the measurement, UTC.
    pub(crate) date: String,
    /// Commit of the working tree, with `+dirty` when it differs from it.
    pub(crate) commit: String,
    /// Model of the CPU and how many of them.
    pub(crate) cpu: String,
    /// Release of the kernel.
    pub(crate) kernel: String,
    /// Version of nginx.
    pub(crate) nginx: String,
    /// Version of wrk.
    pub(crate) wrk: String,
    /// Load average of the minute before the measurement: what else ran.
    pub(crate) load_before: String,
}

impl Host {
    /// Describes this host, now.
    ///
    /// # Errors
    /// The operator's: a program is missing; its package is named.
    pub(crate) fn describe() -> Result<Self> {
        let cpus = std::thread::available_parallelism().context("the number of CPUs is unknown")?;
        let cpu_info = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo could not be read")?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's release is unknown")?;
        let load = fs::read_to_string("/proc/loadavg").context("/proc/loadavg could not be read")?;
        Ok(Self {
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?,
            commit: commit()?,
            cpu: format!("{}, {cpus} CPUs", cpu_model(&cpu_info)),
            kernel: format!("Linux {}", kernel.trim()),
            nginx: said("nginx", &["-v"])?.replace("nginx version: ", ""),
            wrk: said("wrk", &["-v"])?.split(" Copyright").next().unwrap_or_default().to_owned(),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }
}

/// Fails before anything is started if something to be run is missing.
///
/// # Errors
/// The operator's: the package or the build that is missing is named.
pub(crate) fn check_programs(binaries: &Path) -> Result<()> {
    if cfg!(debug_assertions) {
        bail!("this is a debug build, whose floor is no floor; use: cargo run --release --bin coreperf -- wrk");
    }
    for (tool, version_flag, package) in TOOLS {
        match Command::new(tool).arg(version_flag).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("{tool} is not installed; install the package {package} (apt-get install {package})")
            }
            other => other.with_context(|| format!("{tool} could not be run"))?,
        };
    }
    for binary in BINARIES {
        if !binaries.join(binary).is_file() {
            bail!("{} has no {binary}; build it first: cargo build --release", binaries.display());
        }
    }
    Ok(())
}

/// First line of what a program says, on whichever stream: nginx and wrk disagree on which.
fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("{program} could not be run"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
}

fn commit() -> Result<String> {
    let commit = said("git", &["rev-parse", "--short=10", "HEAD"])?;
    let is_clean = said("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(if is_clean { commit } else { commit + "+dirty" })
}

fn cpu_model(cpu_info: &str) -> &str {
    let line = cpu_info.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unknown model", |(_, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: EPYC 7B13\nmodel name\t: other\n"), "EPYC 7B13");
        assert_eq!(cpu_model("processor\t: 0\n"), "unknown model");
    }

    #[test]
    fn the_first_line_of_either_stream_is_heard() {
        for script in ["echo one; echo two", "echo one >&2"] {
            assert_eq!(said("sh", &["-c", script]).expect("sh exists"), "one");
        }
        let error = said("no-such-program-here", &[]).expect_err("it does not exist");
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
