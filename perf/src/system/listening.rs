//! The processes that listen at an address of this host, and what they cost.
//!
//! **Not** across network namespaces: what listens in another one is not seen.
//!
//! **Source**: proc_pid_net(5) (`/proc/net/tcp`: local address, state, inode), proc_pid_fd(5), proc_pid_stat(5) (utime,
//! stime), proc_stat(5) (softirq).

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use super::cpu::CpuTime;
use super::interrupts;
use perf_basis::machine::resident_bytes;

/// `TCP_LISTEN` of `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Processes that serve one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListeningProcesses {
    pub(crate) processes: Vec<u32>,
}

/// What they have used since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Exact, user and system together.
    pub(crate) time: CpuTime,
    /// In clock ticks: good for the ratio of the two.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    /// Soft interrupts on the CPUs they are bound to, in clock ticks; 0 when they may run anywhere.
    pub(crate) softirq_ticks: u64,
    /// On the same CPUs, of all kinds.
    pub(crate) interrupts: u64,
    pub(crate) context_switches: u64,
    /// Memory that they hold now, not since they began.
    pub(crate) resident_bytes: u64,
}

impl Usage {
    /// What was used since an earlier look; the memory is that of the later one.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            time: self.time - earlier.time,
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
            softirq_ticks: self.softirq_ticks.saturating_sub(earlier.softirq_ticks),
            interrupts: self.interrupts.saturating_sub(earlier.interrupts),
            context_switches: self.context_switches.saturating_sub(earlier.context_switches),
            resident_bytes: self.resident_bytes,
        }
    }

    /// The exact time, split into user and system in the ratio of the ticks, in nanoseconds.
    pub(crate) fn user_and_system_ns(&self) -> (f64, f64) {
        let ticks = (self.user_ticks + self.system_ticks).max(1) as f64;
        let all = self.time.used_ns as f64;
        (all * self.user_ticks as f64 / ticks, all * self.system_ticks as f64 / ticks)
    }
}

impl ListeningProcesses {
    /// Who listens at `address`, or on its port at all addresses; nobody, if that is not this host.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let inodes: BTreeSet<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|table| inodes_on(&table, address.port()))
            .collect();
        let is_here = address.ip().is_loopback() || is_own(address);
        let holds = |process: &u32| is_here && holds_socket(*process, &inodes);
        Self { processes: processes().filter(holds).collect() }
    }

    /// What they have used; none of those that have ended.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let mut sum = Usage::default();
        let mut cpus = BTreeSet::new();
        for process in &self.processes {
            sum.time = sum.time + CpuTime::of_process(*process).ok()?;
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let (user, system) = ticks(&stat)?;
            sum.user_ticks += user;
            sum.system_ticks += system;
            let (switches, allowed) = switches_and_cpus(*process);
            sum.context_switches += switches;
            cpus.extend(allowed);
            sum.resident_bytes += resident_bytes(*process).unwrap_or(0);
        }
        sum.softirq_ticks = softirq_ticks(&cpus);
        sum.interrupts = interrupts::taken_by(&cpus);
        (!self.processes.is_empty()).then_some(sum)
    }

    /// The CPUs that their threads are bound to; none of threads that may run anywhere.
    pub(crate) fn cpus(&self) -> BTreeSet<usize> {
        self.processes.iter().flat_map(|process| switches_and_cpus(*process).1).collect()
    }
}

/// Whether the address is one of this host's: only then it can be bound.
fn is_own(address: SocketAddr) -> bool {
    std::net::TcpListener::bind((address.ip(), 0)).is_ok()
}

fn inodes_on(table: &str, port: u16) -> Vec<u64> {
    let port = format!(":{port:04X}");
    let listens = |line: &&str| {
        let mut fields = line.split_whitespace();
        fields.nth(1).is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some(LISTEN)
    };
    let inode = |line: &str| line.split_whitespace().nth(9)?.parse().ok();
    table.lines().skip(1).filter(listens).filter_map(inode).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn holds_socket(process: u32, inodes: &BTreeSet<u64>) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|link| {
        let inode = link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

/// User and system time of a `stat` line, in ticks: fields 14 and 15, the name being the second.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Context switches of all threads, and the CPUs that threads are bound to, if they are bound.
fn switches_and_cpus(process: u32) -> (u64, Vec<usize>) {
    let (mut switches, mut cpus) = (0, Vec::new());
    for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
        for line in status.lines() {
            if let Some((_, count)) = line.split_once("ctxt_switches:") {
                switches += count.trim().parse().unwrap_or(0);
            }
            // A single number is a pinned thread; a range is one that may go anywhere.
            if let Some(cpu) = line.strip_prefix("Cpus_allowed_list:") {
                cpus.extend(cpu.trim().parse::<usize>());
            }
        }
    }
    (switches, cpus)
}

fn softirq_ticks(cpus: &BTreeSet<usize>) -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.strip_prefix("cpu")?.split_whitespace();
        let cpu = fields.next()?.parse().ok()?;
        cpus.contains(&cpu).then(|| fields.nth(6)?.parse::<u64>().ok())?
    };
    text.lines().filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_is_found_with_what_it_uses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let found = ListeningProcesses::at(address);
        assert_eq!(found.processes, [std::process::id()]);
        let usage = found.usage().expect("we run");
        assert!(usage.time.used_ns > 0 && usage.resident_bytes > 4096);
        assert_eq!(usage.since(&usage).resident_bytes, usage.resident_bytes, "memory is no difference");
        drop(listener);
        assert!(ListeningProcesses::at(address).processes.is_empty(), "nobody listens there now");
        assert!(ListeningProcesses::at(address).usage().is_none());
    }

    #[test]
    fn kernel_files_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n   \
            1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4\n";
        assert_eq!(inodes_on(table, 8080), [4711]);
        assert!(inodes_on(table, 8081).is_empty());
        assert_eq!(ticks("1 (a b) S 0 1 1 0 -1 0 0 0 0 0 17 4 0 0"), Some((17, 4)));
    }
}
