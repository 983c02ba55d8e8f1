//! Corelane's threads: its data cores, and its control thread where that is kept on a CPU.
//!
//! **Source**: proc_pid_comm(5), proc_pid_status(5) (`Cpus_allowed_list`).

use serde::Serialize;

use crate::host::HostAccess;

/// The programs whose threads are looked for.
const PROGRAMS: &[&str] = &["corelane", "shardstored"];

/// Names of threads that are data cores.
const DATA_CORE: &str = "core-";

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreThread {
    /// The program.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// The thread's name; that of the control thread is the program's.
    pub name: String,
    /// The one CPU that it may run on.
    pub cpu: u32,
}

impl CoreThread {
    /// Whether it is a data core.
    #[must_use]
    pub fn is_data_core(&self) -> bool {
        self.name.starts_with(DATA_CORE)
    }
}

/// The threads that are bound to one CPU, by process and number.
#[must_use]
pub fn core_threads(host: &dyn HostAccess) -> Vec<CoreThread> {
    let mut processes: Vec<u32> = numbers(host, "/proc");
    processes.retain(|pid| PROGRAMS.contains(&comm(host, &format!("/proc/{pid}")).as_str()));
    processes.into_iter().flat_map(|pid| of_process(host, pid)).collect()
}

fn of_process(host: &dyn HostAccess, pid: u32) -> Vec<CoreThread> {
    let program = comm(host, &format!("/proc/{pid}"));
    let thread = |task: u32| {
        let folder = format!("/proc/{pid}/task/{task}");
        let name = comm(host, &folder);
        let is_ours = name.starts_with(DATA_CORE) || task == pid;
        let status = host.read(&format!("{folder}/status")).ok()?;
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        // A list of more than one CPU is a thread that may go anywhere.
        is_ours.then(|| Some(CoreThread { program: program.clone(), pid, name, cpu: allowed.trim().parse().ok()? }))?
    };
    numbers(host, &format!("/proc/{pid}/task")).into_iter().filter_map(thread).collect()
}

fn numbers(host: &dyn HostAccess, folder: &str) -> Vec<u32> {
    let names = host.list(folder).unwrap_or_default();
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

fn comm(host: &dyn HostAccess, folder: &str) -> String {
    host.read(&format!("{folder}/comm")).map(|text| text.trim().to_owned()).unwrap_or_default()
}
