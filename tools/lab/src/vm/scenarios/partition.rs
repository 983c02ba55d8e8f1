//! A cpuset partition of the services' slice: it holds over restarts, and everybody else leaves its CPUs.

use anyhow::{Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};
use super::{service, tuner::Tuner};

const PARTITION: &str = "cat /sys/fs/cgroup/corelane.slice/cpuset.cpus.partition";
const FIRST_PROCESS: &str = "sed -n 's/^Cpus_allowed_list:\\s*//p' /proc/1/status";

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    service::install(machine, "")?;
    service::restart(machine)?;
    // The control thread's CPU is the slice's; the host keeps another.
    let layout = "housekeeping = \"0,3\"\n";
    let tuner = Tuner::with_layout(machine, "data0", layout)?;
    let before = tuner.facts()?;
    // The slice has a cpuset, and with it the file of the partition, once its CPUs are restricted: two changes.
    let cpus = "--set service.slice_cpus=layout";
    for settings in [cpus.to_owned(), format!("{cpus} --set service.cpu_partition=isolated")] {
        tuner.succeed(&format!("apply --profile safe --only service --max-risk perf {settings} --revert-after 30m"))?;
        tuner.succeed("confirm")?;
    }
    // The service takes as many cores as the slice has now.
    service::restart(machine)?;
    let mut seen = vec![look(machine)?];
    service::restart(machine)?;
    seen.push(look(machine)?);
    machine.run("systemctl daemon-reload")?;
    seen.push(look(machine)?);
    ensure!(seen.iter().all(|look| look == &seen[0]), "at first, after a restart, after daemon-reload: {seen:?}");
    let tuner = Tuner::with_layout(machine, "data0", layout)?;
    tuner.succeed("rollback")?;
    tuner.facts()?.same_as(&before)?;
    service::stop(machine)?;
    Ok(format!("{}; the same after a restart of the service and daemon-reload", seen[0]))
}

fn look(machine: &GuestMachine) -> Result<String> {
    let partition = machine.run(PARTITION)?;
    ensure!(partition.trim() == "isolated", "cpuset.cpus.partition is `{}`", partition.trim());
    let first = machine.run(FIRST_PROCESS)?;
    let cores = service::cpus_by_core(machine)?;
    ensure!(!cores.iter().any(|cpus| cpus == first.trim()), "PID 1 may use {first}, data cores {cores:?}");
    Ok(format!("isolated, PID 1 on CPU {}, data cores on {}", first.trim(), cores.join(" ")))
}
