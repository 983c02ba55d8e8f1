//! The map of a host's cores, queues and IRQs: `corectl tune` writes it, `cores = "profile"` reads it.
//!
//! ```toml
//! version = 1
//! control_cpu = 0          # CPU of the control thread and of what helps it
//! [[core]]
//! cpu = 2
//! numa_node = 0
//! interface = "eth0"       # optional
//! queue = 0                # optional, of that interface
//! irqs = [45]              # may be empty
//! ```
//!
//! **Not** deciding which CPUs those are, which is the tuner's; not pinning.
//!
//! **Invariants**: a map that was read has passed [`CoreMap::faults`]; data cores are started in the order of the file.
//!
//! **Source**: docs/config.md, "The map of cores"; netdevice(7) for the length of an interface's name.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    reading::read_text,
    settings::kind::{CORES_MAX, CPU_MAX},
};

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;

/// Where the map is, unless `cores_map` names another file.
pub const DEFAULT_PATH: &str = "/etc/corelane/cores.toml";

/// Longest name of an interface, in bytes: `IFNAMSIZ` with its terminating zero is 16.
const INTERFACE_BYTES_MAX: usize = 15;

/// Which CPUs a process uses on this host, and what of the network belongs to each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreMap {
    /// [`VERSION`].
    pub version: u32,
    /// The CPU of the control thread and of the threads that write logs and read files, as the kernel numbers it.
    pub control_cpu: u16,
    /// The data cores, 1 to 256, each on a CPU of its own.
    #[serde(default, rename = "core")]
    pub cores: Vec<MappedCore>,
}

/// A data core's place on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedCore {
    /// Its CPU, as the kernel numbers it.
    pub cpu: u16,
    /// The NUMA node of that CPU; 0 on hosts that have none.
    pub numa_node: u16,
    /// The interface whose queue it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The queue, counted from 0; only with an interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// The interrupts that this CPU takes: those of its queue, or none.
    #[serde(default)]
    pub irqs: Vec<u32>,
}

/// Why there is no map. The operator's to correct.
#[derive(Debug, thiserror::Error)]
pub enum CoreMapError {
    /// The file cannot be read.
    #[error("{}: cannot read the map of cores: {error}; `corectl tune` writes it, `cores_map` names it", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is no map. One line for each fault, which begins with the file's name.
    #[error("{0}")]
    Refused(String),
}

/// What is wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreMapFault {
    /// The index of the core at fault in the file's order; `None` for the map as a whole.
    pub core: Option<usize>,
    /// The key, what was found and what is allowed.
    pub what: String,
}

/// The same file with the places of its cores.
#[derive(Deserialize)]
struct CoreSpans {
    #[serde(default)]
    core: Vec<Spanned<toml::Table>>,
}

impl CoreMap {
    /// Reads and checks a map.
    ///
    /// # Errors
    ///
    /// [`CoreMapError`].
    pub fn read(file: &Path) -> Result<Self, CoreMapError> {
        let text = read_text(file).map_err(|error| CoreMapError::Unreadable { file: file.to_owned(), error })?;
        Self::parse(&file.display().to_string(), &text).map_err(CoreMapError::Refused)
    }

    /// Reads and checks the text of a map; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// The operator's: all that is wrong, a line each, as `name:line: what`. Of what is no TOML, or has a key or a value of
    /// another kind than the format's, only the first.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let refused = |error: toml::de::Error| {
            let line = line_of(text, error.span().unwrap_or_default());
            format!("{name}:{line}: {}", error.message().trim().replace('\n', ", "))
        };
        let map: Self = toml::from_str(text).map_err(refused)?;
        let faults = map.faults();
        if faults.is_empty() {
            return Ok(map);
        }
        let places: CoreSpans = toml::from_str(text).map_err(refused)?;
        let place = |fault: &CoreMapFault| match fault.core {
            Some(index) => format!("{name}:{}", line_of(text, places.core[index].span())),
            None => name.to_owned(),
        };
        let lines: Vec<String> = faults.iter().map(|fault| format!("{}: {}", place(fault), fault.what)).collect();
        Err(lines.join("\n"))
    }

    /// The map as a file that reads back as it.
    ///
    /// # Panics
    ///
    /// Never: every map can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a map is numbers, names and lists of them")
    }

    /// All that is wrong with it by itself, the whole first, then by core.
    #[must_use]
    pub fn faults(&self) -> Vec<CoreMapFault> {
        let mut faults = Vec::new();
        let mut whole = |what| faults.push(CoreMapFault { core: None, what });
        if self.version != VERSION {
            whole(format!(
                "version: found {}, allowed: {VERSION}; write it with the corectl of this release",
                self.version
            ));
        }
        if self.control_cpu > CPU_MAX {
            whole(format!("control_cpu: found {}, allowed: a CPU numbered 0 to {CPU_MAX}", self.control_cpu));
        }
        if !(1..=CORES_MAX).contains(&self.cores.len()) {
            whole(format!("core: found {} tables [[core]], allowed: 1 to {CORES_MAX}", self.cores.len()));
        }
        let mut taken = Taken::default();
        for (index, core) in self.cores.iter().enumerate() {
            let of_core = core.faults().into_iter().chain(taken.take(index, core));
            faults.extend(of_core.map(|what| CoreMapFault { core: Some(index), what }));
        }
        faults
    }

    /// All that keeps a process which may use these CPUs from following it, a sentence each.
    #[must_use]
    pub fn host_faults(&self, allowed: &[usize]) -> Vec<String> {
        let is_missing = |cpu: u16| !allowed.contains(&usize::from(cpu));
        let of_this_process = format!("allowed: the CPUs of this process, {allowed:?}");
        let missing = self.cores.iter().map(|core| core.cpu).filter(|cpu| is_missing(*cpu));
        let mut faults: Vec<String> = missing.map(|cpu| format!("cpu: found {cpu}, {of_this_process}")).collect();
        if is_missing(self.control_cpu) {
            faults.push(format!("control_cpu: found {}, {of_this_process}", self.control_cpu));
        }
        let is_data_core = |cpu: usize| self.cores.iter().any(|core| usize::from(core.cpu) == cpu);
        let free: Vec<usize> = allowed.iter().copied().filter(|cpu| !is_data_core(*cpu)).collect();
        if is_data_core(usize::from(self.control_cpu)) && !free.is_empty() {
            let cpu = self.control_cpu;
            faults.push(format!("control_cpu: found {cpu}, which runs a data core, allowed: {free:?}, which run none"));
        }
        faults
    }
}

impl MappedCore {
    /// What is wrong with it whatever the others are.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.cpu > CPU_MAX {
            faults.push(format!("cpu: found {}, allowed: a CPU numbered 0 to {CPU_MAX}", self.cpu));
        }
        if let Some(interface) = self.interface.as_deref().filter(|name| !is_interface(name)) {
            let allowed = format!("1 to {INTERFACE_BYTES_MAX} visible characters of ASCII without / and :");
            faults.push(format!("interface: found {interface:?}, allowed: {allowed}"));
        }
        if let (Some(queue), None) = (self.queue, &self.interface) {
            faults
                .push(format!("queue: found {queue} without an interface, allowed: a queue of the interface it names"));
        }
        faults
    }
}

/// What cores of a map have taken, each by its index.
#[derive(Default)]
struct Taken<'a> {
    cpus: BTreeMap<u16, usize>,
    queues: BTreeMap<(&'a str, u32), usize>,
    irqs: BTreeMap<u32, usize>,
}

impl<'a> Taken<'a> {
    /// Notes what a core takes; what of it an earlier one has already.
    fn take(&mut self, index: usize, core: &'a MappedCore) -> Vec<String> {
        let mut faults = Vec::new();
        let mut note = |earlier: Option<usize>, what: String| {
            if let Some(earlier) = earlier {
                faults.push(format!("{what}, which [[core]] number {} has already", earlier + 1));
            }
        };
        note(self.cpus.insert(core.cpu, index), format!("cpu: found {}", core.cpu));
        if let (Some(interface), Some(queue)) = (core.interface.as_deref(), core.queue) {
            note(self.queues.insert((interface, queue), index), format!("queue: found {queue} of {interface}"));
        }
        for irq in &core.irqs {
            note(self.irqs.insert(*irq, index), format!("irqs: found {irq}"));
        }
        faults
    }
}

fn is_interface(name: &str) -> bool {
    (1..=INTERFACE_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'))
}

/// The line, from 1, at which a span of the text begins.
fn line_of(text: &str, span: Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version = 1\ncontrol_cpu = 0\n\n[[core]]\ncpu = 2\nnuma_node = 0\ninterface = \"eth0\"\nqueue = 0\nirqs = [45]\n\n[[core]]\ncpu = 3\nnuma_node = 1\nirqs = []\n";

    fn core(cpu: u16) -> MappedCore {
        MappedCore { cpu, numa_node: 0, interface: None, queue: None, irqs: Vec::new() }
    }

    #[test]
    fn a_map_is_read_and_written() {
        let map = CoreMap::parse("cores.toml", TEXT).unwrap();
        let first = MappedCore { interface: Some("eth0".to_owned()), queue: Some(0), irqs: vec![45], ..core(2) };
        let second = MappedCore { numa_node: 1, ..core(3) };
        assert_eq!(map, CoreMap { version: 1, control_cpu: 0, cores: vec![first, second] });
        assert_eq!(map.to_toml(), TEXT);
    }

    #[test]
    fn irqs_may_be_left_out() {
        let map = CoreMap::parse("m", "version = 1\ncontrol_cpu = 0\n[[core]]\ncpu = 1\nnuma_node = 0\n").unwrap();
        assert_eq!(map.cores, [core(1)]);
    }

    #[test]
    fn all_faults_come_with_their_places() {
        let text = "version = 2\ncontrol_cpu = 9000\n[[core]]\ncpu = 8192\nnuma_node = 0\ninterface = \"a/b\"\n\
            [[core]]\ncpu = 1\nnuma_node = 0\nqueue = 3\nirqs = [7]\n\
            [[core]]\ncpu = 1\nnuma_node = 0\ninterface = \"eth0\"\nqueue = 1\nirqs = [8, 7]\n\
            [[core]]\ncpu = 2\nnuma_node = 0\ninterface = \"eth0\"\nqueue = 1\n";
        let refused = CoreMap::parse("m.toml", text).unwrap_err();
        let expected = [
            "m.toml: version: found 2, allowed: 1; write it with the corectl of this release",
            "m.toml: control_cpu: found 9000, allowed: a CPU numbered 0 to 8191",
            "m.toml:3: cpu: found 8192, allowed: a CPU numbered 0 to 8191",
            "m.toml:3: interface: found \"a/b\", allowed: 1 to 15 visible characters of ASCII without / and :",
            "m.toml:7: queue: found 3 without an interface, allowed: a queue of the interface it names",
            "m.toml:12: cpu: found 1, which [[core]] number 2 has already",
            "m.toml:12: irqs: found 7, which [[core]] number 2 has already",
            "m.toml:18: queue: found 1 of eth0, which [[core]] number 3 has already",
        ];
        assert_eq!(refused.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_map_is_refused_with_its_line() {
        for (text, line, part) in [
            ("version = 1\ncontrol_cpu =\n", 2, ""),
            ("version = 1\ncontrol_cpu = -1\n", 2, "-1"),
            ("version = 1\ncontrol_cpu = 0\ncontrol = 1\n", 3, "control"),
            ("version = 1\ncontrol_cpu = 0\n[[core]]\ncpu = \"1\"\nnuma_node = 0\n", 4, "string"),
            ("version = 1\ncontrol_cpu = 0\n[[core]]\ncpu = 1\n", 3, "numa_node"),
            ("version = 1\n", 1, "control_cpu"),
        ] {
            let refused = CoreMap::parse("m", text).unwrap_err();
            assert!(refused.starts_with(&format!("m:{line}: ")) && refused.contains(part), "{text}: {refused}");
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
    }

    #[test]
    fn a_map_has_one_core_to_256() {
        let with = |count: u16| CoreMap { version: 1, control_cpu: 900, cores: (0..count).map(core).collect() };
        assert_eq!((with(1).faults(), with(256).faults()), (Vec::new(), Vec::new()));
        let last = CoreMap { control_cpu: CPU_MAX, ..CoreMap { cores: vec![core(CPU_MAX)], ..with(1) } };
        assert_eq!(last.faults(), Vec::new(), "the highest CPU");
        for count in [0, 257] {
            let what = format!("core: found {count} tables [[core]], allowed: 1 to 256");
            assert_eq!(with(count).faults(), [CoreMapFault { core: None, what }]);
        }
        assert_eq!(CoreMap::parse("m", "version = 1\ncontrol_cpu = 0\n").unwrap_err().lines().count(), 1);
    }

    #[test]
    fn names_of_interfaces_are_those_that_the_kernel_takes() {
        for (name, expected) in [
            ("eth0", true),
            ("enp1s0f0np0.4094", false),
            ("enp1s0f0np0.409", true),
            ("", false),
            ("a b", false),
            ("a:1", false),
        ] {
            assert_eq!(is_interface(name), expected, "{name}");
        }
    }

    #[test]
    fn a_host_must_have_its_cpus_and_a_free_one_for_control_if_there_is_any() {
        let map = CoreMap { version: 1, control_cpu: 1, cores: vec![core(1), core(2)] };
        assert_eq!(map.host_faults(&[1, 2]), Vec::<String>::new(), "nothing else is there");
        let shared = "control_cpu: found 1, which runs a data core, allowed: [0, 3], which run none";
        assert_eq!(map.host_faults(&[0, 1, 2, 3]), [shared]);
        let apart = CoreMap { control_cpu: 0, ..map };
        assert_eq!(apart.host_faults(&[0, 1, 2, 3]), Vec::<String>::new());
        let missing = [
            "cpu: found 2, allowed: the CPUs of this process, [1, 5]",
            "control_cpu: found 0, allowed: the CPUs of this process, [1, 5]",
        ];
        assert_eq!(apart.host_faults(&[1, 5]), missing);
    }

    #[test]
    fn a_file_that_is_not_there_names_who_writes_it() {
        let error = CoreMap::read(Path::new("/nonexistent/cores.toml")).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/cores.toml: cannot read the map of cores: "), "{error}");
        assert!(error.ends_with("`corectl tune` writes it, `cores_map` names it"), "{error}");
    }
}
