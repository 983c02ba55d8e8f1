//! `cargo xtask demo`: three nodes and two edges on loopback, from nothing to something to try.
//!
//! **Not**: a deployment. Everything is on 127.0.0.1 and gone afterwards.
//!
//! **Invariants**: the demonstration never leaves a process behind, also when it fails half way. Readiness is asked of
//! the processes' admin listeners, not guessed from time.

mod cluster;
mod pki;
mod ready;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::child::ChildProcess;
use crate::poll::{self, Stop};
use crate::workspace;
use cluster::{DemoCluster, Member};

/// From start to `/readyz` answering 200: reserving memory and connecting to the nodes takes well under a second.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Without `--seconds` the cluster runs until Ctrl-C; a day bounds a forgotten one.
const RUN_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Starts 3 shard nodes and 2 edges as real processes on loopback, prints what to try, and stops them on Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Stop after this many seconds instead of on Ctrl-C (for scripts)
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// With certificates: edges, nodes and clients speak TLS
    #[arg(long)]
    tls: bool,
}

/// Runs the verb. Exit status 1 when a process did not stop within its grace.
///
/// # Errors
/// The build failed, a port is taken, or a process did not become ready; the end of its log is in the message.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    println!("building corelane and shardstored (release profile); the first time takes a minute or two on two cores");
    let mut build = Command::new("cargo");
    build.current_dir(root).args(["build", "--release", "--locked", "--bin", "corelane", "--bin", "shardstored"]);
    if options.tls {
        build.args(["--bin", "corectl"]);
    }
    let build = build.status().context("cargo could not be started")?;
    ensure!(build.success(), "the release build failed");
    let binaries = workspace::target_folder(root)?.join("release");

    let stop = Stop::on_signals()?;
    let folder = DemoFolder(std::env::temp_dir().join(format!("corelane-demo-{}", std::process::id())));
    let cluster = DemoCluster::write(&folder.0, &binaries, options.tls)?;
    let mut running = Vec::new();
    for member in &cluster.members {
        running.push(start(member).with_context(|| format!("{} could not be started", member.name))?);
    }
    for (member, child) in cluster.members.iter().zip(&mut running) {
        wait_ready(member, child, &stop)?;
    }
    let ids: Vec<u32> = running.iter().map(ChildProcess::id).collect();
    println!("{}\n{}\n{}", cluster.inventory(&ids), cluster.invitation(&ids), how_to_stop(options));
    watch(&cluster.members, &mut running, options, &stop);
    println!("stopping");
    let clean = stop_all(&cluster.members, &mut running);
    if clean {
        println!("stopped");
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The demonstration's files; gone with it, however it ends.
struct DemoFolder(PathBuf);

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // It may not have been made.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn how_to_stop(options: &Options) -> String {
    let keys = "Ctrl-C here stops what is in the table above and removes its files";
    match options.seconds {
        Some(seconds) => format!("{keys}; without it, that is done after {seconds} s."),
        None => format!("{keys}."),
    }
}

fn start(member: &Member) -> Result<ChildProcess> {
    let log = std::fs::File::create(&member.log).with_context(|| member.log.display().to_string())?;
    let mut command = Command::new(&member.binary);
    // The settings of the demo are those of its files, whatever the shell it is started from has set.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CORELANE_")) {
        command.env_remove(name);
    }
    command.arg("--config").arg(&member.configuration);
    command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
    ChildProcess::start(&mut command)
}

fn wait_ready(member: &Member, child: &mut ChildProcess, stop: &Stop) -> Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    let ready = poll::until(deadline, stop, || {
        if let Some(status) = child.exited() {
            return Some(Err(status));
        }
        ready::is_ready(member.admin).then_some(Ok(()))
    });
    match ready {
        Some(Ok(())) => {
            println!("{} is ready", member.name);
            Ok(())
        }
        Some(Err(status)) => bail!("{} ended before it was ready ({status}):\n{}", member.name, log_end(&member.log)),
        None if stop.requested() => bail!("stopped before {} was ready", member.name),
        None => {
            bail!("{} did not become ready within {} s:\n{}", member.name, READY_LIMIT.as_secs(), log_end(&member.log))
        }
    }
}

/// Waits for the end of the demonstration, reporting every process that leaves: killing one is part of it.
fn watch(members: &[Member], running: &mut [ChildProcess], options: &Options, stop: &Stop) {
    let deadline = Instant::now() + options.seconds.map_or(RUN_LIMIT, Duration::from_secs);
    let mut reported = vec![false; members.len()];
    poll::until(deadline, stop, || {
        for (index, child) in running.iter_mut().enumerate() {
            let Some(status) = child.exited() else { continue };
            if !std::mem::replace(&mut reported[index], true) {
                let member = &members[index];
                println!("{} ended ({status}); start it again with:\n    {}", member.name, member.command_line());
            }
        }
        None::<()>
    });
}

fn stop_all(members: &[Member], running: &mut [ChildProcess]) -> bool {
    // Edges first: a node that leaves first would make them log what is only the end of the demonstration.
    for child in running.iter().rev() {
        child.terminate();
    }
    // A second Ctrl-C must not cut the grace short, or processes could be left to be killed that would have left.
    let mut clean = true;
    let patient = Stop::never();
    for (member, child) in members.iter().zip(running).rev() {
        if !child.finish(&patient) {
            println!("{} did not stop in time and was killed", member.name);
            clean = false;
        }
    }
    clean
}

/// The last lines of a log, for an error message.
fn log_end(log: &Path) -> String {
    const LINES: usize = 15; // enough for an error with its remedy
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
