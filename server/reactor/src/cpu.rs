//! The machine's CPUs, NUMA nodes and NIC queues, and pinning to them.
//!
//! **Not** tuning: it reads; `corectl tune` changes.
//!
//! **Invariants**: reads below a root that can be a fixture, so that machines nobody here owns can be tested.
//!
//! **Source**: Documentation/admin-guide/cputopology.rst, Documentation/ABI/testing/sysfs-class-net-queues,
//! sched_setaffinity(2).

use std::io;
use std::path::Path;

/// A logical CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number, as `taskset` takes it.
    pub id: usize,
    /// The NUMA node it belongs to; 0 where there is only one.
    pub node: usize,
    /// The physical package (socket).
    pub package: usize,
    /// All logical CPUs of its physical core, itself included.
    pub siblings: Vec<usize>,
}

/// A network interface with hardware behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// As `ip link` names it.
    pub name: String,
    /// The NUMA node its bus hangs on, where known.
    pub node: Option<usize>,
    /// Receive queues.
    pub receive_queues: usize,
}

/// What the machine consists of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CpuTopology {
    /// Online CPUs by number.
    pub cpus: Vec<Cpu>,
    /// Interfaces by name.
    pub nics: Vec<Nic>,
}

impl CpuTopology {
    /// Reads the topology below `root` (`/` for this machine).
    ///
    /// # Errors
    /// The operator's: sysfs is not mounted, or holds nothing about CPUs.
    pub fn read(root: &Path) -> io::Result<CpuTopology> {
        let cpu_dir = root.join("sys/devices/system/cpu");
        let online = read_text(&cpu_dir.join("online"))?;
        let ids = parse_list(&online).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}/online: not a CPU list", cpu_dir.display()))
        })?;
        let nodes = numa_nodes(root);
        let cpus = ids.into_iter().map(|id| read_cpu(&cpu_dir, id, &nodes)).collect();
        Ok(CpuTopology { cpus, nics: read_nics(root) })
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn read_number(path: &Path) -> Option<usize> {
    read_text(path).ok()?.trim().parse().ok()
}

fn read_cpu(cpu_dir: &Path, id: usize, nodes: &[(usize, Vec<usize>)]) -> Cpu {
    let topology = cpu_dir.join(format!("cpu{id}/topology"));
    let siblings = read_text(&topology.join("thread_siblings_list")).ok().and_then(|text| parse_list(&text));
    Cpu {
        id,
        node: nodes.iter().find(|(_, cpus)| cpus.contains(&id)).map_or(0, |(node, _)| *node),
        package: read_number(&topology.join("physical_package_id")).unwrap_or(0),
        siblings: siblings.unwrap_or_else(|| vec![id]),
    }
}

fn numa_nodes(root: &Path) -> Vec<(usize, Vec<usize>)> {
    let Ok(entries) = std::fs::read_dir(root.join("sys/devices/system/node")) else { return Vec::new() };
    let parse = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let node = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
        Some((node, parse_list(&read_text(&entry.path().join("cpulist")).ok()?)?))
    };
    entries.filter_map(parse).collect()
}

fn read_nics(root: &Path) -> Vec<Nic> {
    let Ok(entries) = std::fs::read_dir(root.join("sys/class/net")) else { return Vec::new() };
    let mut nics: Vec<Nic> = entries.filter_map(|entry| read_nic(&entry.ok()?.path())).collect();
    nics.sort_by(|a, b| a.name.cmp(&b.name));
    nics
}

/// An interface without a device behind it (loopback, bridges) is none.
fn read_nic(path: &Path) -> Option<Nic> {
    if !path.join("device").exists() {
        return None;
    }
    let queues = std::fs::read_dir(path.join("queues")).ok()?;
    let is_receive = |entry: &io::Result<std::fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("rx-"))
    };
    Some(Nic {
        name: path.file_name()?.to_str()?.to_owned(),
        // -1 says "no NUMA information", which does not parse as an index.
        node: read_number(&path.join("device/numa_node")),
        receive_queues: queues.filter(is_receive).count(),
    })
}

/// Parses the kernel's list format: `0-3,8,10-11`. `None` when it is malformed.
pub fn parse_list(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > CPUS_MAX {
            return None;
        }
        list.extend(first..=last);
    }
    Some(list)
}

/// What `cpu_set_t` holds.
const CPUS_MAX: usize = libc::CPU_SETSIZE as usize - 1;

/// The CPUs this process may run on.
///
/// # Errors
/// Ours: the call fails only on machines with more CPUs than `cpu_set_t` holds.
pub fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is plain data for which zero is valid; the call fills at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) != 0 {
            return Err(io::Error::last_os_error());
        }
        set
    };
    // SAFETY: CPU_ISSET reads a bit below CPU_SETSIZE of an initialised set.
    Ok((0..=CPUS_MAX).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Pins the calling thread to a CPU.
///
/// # Errors
/// The operator's: there is no such CPU, or this process may not use it.
pub fn pin_to(cpu: usize) -> io::Result<()> {
    if cpu > CPUS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("CPU {cpu}: there is no such CPU")));
    }
    // SAFETY: cpu_set_t is plain data for which zero is the empty set; `cpu` is below its size; the call reads it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let text =
        format!("cannot pin to CPU {cpu}: {error}; this process may use CPUs {:?}", allowed().unwrap_or_default());
    Err(io::Error::new(error.kind(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_kernels_lists() {
        let cases: [(&str, Option<Vec<usize>>); 7] = [
            ("0-3,8,10-11\n", Some(vec![0, 1, 2, 3, 8, 10, 11])),
            ("5", Some(vec![5])),
            ("\n", Some(vec![])),
            ("3-1", None),
            ("a", None),
            ("1,,2", None),
            ("0-99999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_list(text), expected, "{text:?}");
        }
    }

    /// A two-socket machine with SMT and a NIC on its second node, from files.
    #[test]
    fn reads_a_two_socket_machine() {
        let root = std::env::temp_dir().join(format!("corelane-topology-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("sys/devices/system/cpu/online", "0-3\n");
        for (cpu, package, siblings) in [(0, 0, "0,2"), (2, 0, "0,2"), (1, 1, "1,3"), (3, 1, "1,3")] {
            write(&format!("sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"), &format!("{package}\n"));
            write(&format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), siblings);
        }
        write("sys/devices/system/node/node0/cpulist", "0,2\n");
        write("sys/devices/system/node/node1/cpulist", "1,3\n");
        write("sys/class/net/lo/queues/rx-0/x", "");
        for queue in ["rx-0", "rx-1", "tx-0"] {
            write(&format!("sys/class/net/eth0/queues/{queue}/x"), "");
        }
        write("sys/class/net/eth0/device/numa_node", "1\n");
        let topology = CpuTopology::read(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        let expected = Cpu { id: 3, node: 1, package: 1, siblings: vec![1, 3] };
        assert_eq!(topology.cpus.len(), 4);
        assert_eq!(topology.cpus[3], expected);
        assert_eq!(topology.nics, vec![Nic { name: "eth0".into(), node: Some(1), receive_queues: 2 }]);
    }

    #[test]
    fn reads_this_machine() {
        let topology = CpuTopology::read(Path::new("/")).unwrap();
        let allowed = allowed().unwrap();
        assert!(!allowed.is_empty());
        assert!(allowed.iter().all(|cpu| topology.cpus.iter().any(|known| known.id == *cpu)));
    }

    #[test]
    fn refuses_a_cpu_that_is_not_there() {
        let error = pin_to(1000).unwrap_err().to_string();
        assert!(error.contains("CPU 1000") && error.contains("may use"), "{error}");
    }
}
