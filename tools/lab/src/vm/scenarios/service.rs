//! The edge in the guest, under the unit that a release has.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};
use super::super::network::GUEST_DATA;
use crate::capture::capture;

const UNIT: &str = include_str!("../../../../release/packaging/systemd/corelane.service");
const SLICE: &str = include_str!("../../../../release/packaging/systemd/corelane.slice");
const USERS: &str = include_str!("../../../../release/packaging/systemd/sysusers.conf");

/// Software emulation takes seconds where a machine takes milliseconds: a core may not pass its loop for longer than the
/// watchdog of the unit allows, and readiness is asked for.
const DROP_IN: &str = "[Service]\nType=exec\nWatchdogSec=0\nExecStart=\nExecStart=/usr/local/bin/corelane --config /etc/corelane/corelane.toml\n";

const ADMIN_PORT: u16 = 9180;
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Puts the unit and a configuration into the guest; `more` is added to the latter.
pub(super) fn install(machine: &GuestMachine, more: &str) -> Result<()> {
    machine.write("/etc/systemd/system/corelane.service", UNIT)?;
    machine.write("/etc/systemd/system/corelane.slice", SLICE)?;
    machine.write("/etc/systemd/system/corelane.service.d/lab.conf", DROP_IN)?;
    machine.write("/etc/sysusers.d/corelane.conf", USERS)?;
    let configuration = format!(
        "listen = [\"{GUEST_DATA}:8080\"]\nadmin = \"127.0.0.1:{ADMIN_PORT}\"\nmemory = \"64MiB\"\n{more}\n[limits]\nconnections_per_core = 1024\n"
    );
    machine.write("/etc/corelane/corelane.toml", &configuration)?;
    machine.run("systemd-sysusers && systemctl daemon-reload")?;
    Ok(())
}

/// Starts or restarts it, and waits until it is ready.
pub(super) fn restart(machine: &mut GuestMachine) -> Result<()> {
    machine.run("systemctl restart corelane")?;
    let ready = machine.wait("/readyz of the edge", READY_LIMIT, |machine| {
        let page = admin_page(machine, "/readyz").ok()?;
        page.starts_with("HTTP/1.1 200").then_some(())
    });
    ready.with_context(|| machine.run("journalctl -u corelane -n 20 --no-pager -o cat").unwrap_or_default())
}

/// Stops it.
pub(super) fn stop(machine: &GuestMachine) -> Result<()> {
    machine.run("systemctl stop corelane").map(drop)
}

/// Head and body of a page of the admin listener. The guest has no HTTP client; its shell opens connections.
fn admin_page(machine: &GuestMachine, path: &str) -> Result<String> {
    let request = format!("GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n");
    machine.run(&format!("exec 3<>/dev/tcp/127.0.0.1/{ADMIN_PORT} && printf '{request}' >&3 && cat <&3"))
}

/// Requests that each data core has served so far, in the cores' order.
pub(super) fn requests_by_core(machine: &GuestMachine) -> Result<Vec<u64>> {
    let page = admin_page(machine, "/metrics")?;
    let counts = page.lines().filter_map(|line| line.strip_prefix("corelane_http_requests_total{core=\""));
    let mut counts: Vec<(u64, u64)> = counts
        .filter_map(|rest| {
            let (core, count) = rest.split_once("\"} ")?;
            Some((core.parse().ok()?, count.trim().parse().ok()?))
        })
        .collect();
    counts.sort_unstable();
    ensure!(!counts.is_empty(), "no corelane_http_requests_total in\n{page}");
    Ok(counts.into_iter().map(|(_, count)| count).collect())
}

/// The CPUs that each data core may run on, in the cores' order: `Cpus_allowed_list` of the threads core-N.
pub(super) fn cpus_by_core(machine: &GuestMachine) -> Result<Vec<String>> {
    let script = "cd /proc/$(systemctl show -P MainPID corelane)/task && for t in *; do \
                  echo $(cat $t/comm) $(sed -n 's/^Cpus_allowed_list:\\s*//p' $t/status); done";
    let text = machine.run(script)?;
    let mut cores: Vec<(u32, String)> = text
        .lines()
        .filter_map(|line| {
            let (core, cpus) = line.strip_prefix("core-")?.split_once(' ')?;
            Some((core.parse().ok()?, cpus.to_owned()))
        })
        .collect();
    cores.sort_unstable();
    ensure!(!cores.is_empty(), "no thread is called core-N:\n{text}");
    Ok(cores.into_iter().map(|(_, cpus)| cpus).collect())
}

/// Loads it from the namespace: requests over as many connections, for some seconds.
pub(super) fn load(machine: &GuestMachine, programs: &GuestPrograms, connections: u32, seconds: u32) -> Result<()> {
    let folder = std::env::temp_dir();
    let scenario = folder.join(format!("corelane-vm-{}.load.toml", std::process::id()));
    // Of a key that is not there: what is counted is requests, not values.
    std::fs::write(
        &scenario,
        format!("url = \"http://{GUEST_DATA}:8080/v1/kv/default/k\"\n[expect]\nstatus = [404]\n"),
    )?;
    let mut command: Command = machine.namespace().command(&programs.folder.join("coreperf").display().to_string());
    command.args(["run", "--closed", "--sleep", "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s")]).arg(&scenario);
    let captured = capture(&mut command, READY_LIMIT, machine.stop());
    std::fs::remove_file(&scenario)?;
    let captured = captured?;
    // 1: not valid as a measurement, which this is not.
    ensure!(
        matches!(captured.status, Some(0 | 1)),
        "coreperf: {:?}\n{}{}",
        captured.status,
        captured.stdout,
        captured.stderr
    );
    Ok(())
}
