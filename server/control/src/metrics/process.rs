//! What the process uses, as the kernel counts it: memory, CPU by thread, descriptors, start.
//!
//! **Not** for data cores: reading `/proc` is file I/O. Not for simulated processes, which all share one real one.
//!
//! **Invariants**: reading and rendering are apart; threads of one name are one series.
//!
//! **Source**: proc(5): `/proc/PID/stat`, `/proc/PID/status`, `/proc/PID/fd`, `/proc/stat`.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::build::{self, Build};

use super::{
    family::{Family, Label},
    text::Text,
};

/// Ticks per second in `/proc/PID/stat`: `USER_HZ`, part of the kernel's ABI and 100 on every architecture we run on.
const TICKS_PER_SECOND: f64 = 100.0;

const MEMORY: Family = Family::gauge("corelane_process_resident_memory_bytes", &[], "Memory in RAM.");
const CPU: Family = Family::counter(
    "corelane_process_cpu_seconds_total",
    &[Label::open("thread"), Label { name: "mode", words: &["user", "system"] }],
    "CPU time of the threads of this name, to 10 ms.",
);
const THREADS: Family = Family::gauge("corelane_process_threads", &[], "Threads.");
const DESCRIPTORS: Family = Family::gauge("corelane_process_open_file_descriptors", &[], "Open file descriptors.");
const START: Family = Family::gauge("corelane_process_start_time_seconds", &[], "Start of the process, in Unix time.");
const BUILD: Family = Family::gauge(
    "corelane_process_build_info",
    &[
        Label::open("program"),
        Label::open("version"),
        Label::open("commit"),
        Label::open("profile"),
        Label::open("digest"),
    ],
    "Always 1; its labels say what is running; `digest` is the SHA-256 of the program, empty until it is known after the first scrape.",
);

/// The families of this file, for their reference.
pub(crate) const FAMILIES: [&Family; 6] = [&BUILD, &START, &MEMORY, &DESCRIPTORS, &THREADS, &CPU];

/// What a process uses at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessUsage {
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// CPU time of the threads that run now, by thread name, in ticks.
    threads: BTreeMap<String, Ticks>,
    /// Threads.
    pub thread_count: usize,
    /// Open file descriptors.
    pub descriptor_count: usize,
    /// When it started, in seconds of Unix time.
    pub started_unix_s: f64,
}

/// Reads what the process uses, as the kernel tells it; called on the control core only.
pub type ReadUsage = fn() -> io::Result<ProcessUsage>;

/// CPU time in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    user: u64,
    system: u64,
}

/// What a `stat` file says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProcStat {
    name: String,
    cpu: Ticks,
    /// Ticks from the boot of the machine to the start of the thread.
    started: u64,
}

impl ProcessUsage {
    /// Reads what this process uses. Blocks for as long as the kernel needs, which is microseconds per thread.
    ///
    /// # Errors
    ///
    /// The operator's: `/proc` is not mounted, or no file descriptor is left to read it with.
    pub fn read() -> io::Result<Self> {
        Self::read_from(Path::new("/proc"))
    }

    fn read_from(proc: &Path) -> io::Result<Self> {
        let this = proc.join("self");
        let mut threads: BTreeMap<String, Ticks> = BTreeMap::new();
        let mut thread_count = 0;
        for task in fs::read_dir(this.join("task"))? {
            // A thread may end between the listing and the reading; it is not there any more then.
            let Ok(text) = fs::read_to_string(task?.path().join("stat")) else { continue };
            let stat = ProcStat::parse(&text).ok_or_else(|| malformed("self/task/*/stat"))?;
            let ticks = threads.entry(stat.name).or_default();
            ticks.user += stat.cpu.user;
            ticks.system += stat.cpu.system;
            thread_count += 1;
        }
        let stat = fs::read_to_string(this.join("stat"))?;
        let stat = ProcStat::parse(&stat).ok_or_else(|| malformed("self/stat"))?;
        let status = fs::read_to_string(this.join("status"))?;
        let machine = fs::read_to_string(proc.join("stat"))?;
        let boot_unix_s = number_after(&machine, "btime ").ok_or_else(|| malformed("stat"))?;
        // The listing holds a descriptor of its own while it is read.
        let descriptor_count = fs::read_dir(this.join("fd"))?.count().saturating_sub(1);
        Ok(Self {
            resident_bytes: number_after(&status, "VmRSS:").ok_or_else(|| malformed("self/status"))? * 1024,
            threads,
            thread_count,
            descriptor_count,
            started_unix_s: boot_unix_s as f64 + stat.started as f64 / TICKS_PER_SECOND,
        })
    }

    /// CPU time of all threads that run now, in seconds.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.threads.values().map(|ticks| (ticks.user + ticks.system) as f64 / TICKS_PER_SECOND).sum()
    }

    /// CPU time by thread name, in seconds.
    pub fn cpu_s_by_thread(&self) -> impl Iterator<Item = (&str, f64)> {
        self.threads.iter().map(|(name, ticks)| (&**name, (ticks.user + ticks.system) as f64 / TICKS_PER_SECOND))
    }

    /// Writes the `corelane_process_*` families.
    pub fn render(&self, build: &Build, text: &mut Text) {
        let Build { program, version, commit, profile } = build;
        let digest = build::digest().unwrap_or_default();
        let labels: [(&'static str, &dyn std::fmt::Display); 5] =
            [("program", program), ("version", version), ("commit", commit), ("profile", profile), ("digest", &digest)];
        text.sample(&BUILD, &labels, 1_u64);
        text.sample(&START, &[], self.started_unix_s);
        text.sample(&MEMORY, &[], self.resident_bytes);
        text.sample(&DESCRIPTORS, &[], self.descriptor_count);
        text.sample(&THREADS, &[], self.thread_count);
        for (name, ticks) in &self.threads {
            for (mode, ticks) in [("user", ticks.user), ("system", ticks.system)] {
                text.sample(&CPU, &[("thread", name), ("mode", &mode)], ticks as f64 / TICKS_PER_SECOND);
            }
        }
    }
}

impl ProcStat {
    fn parse(text: &str) -> Option<Self> {
        // A name may hold spaces and parentheses; the last one ends it.
        let (start, end) = (text.find('(')?, text.rfind(')')?);
        let name = text.get(start + 1..end)?.to_owned();
        // Fields are numbered from 1 and the first after the name is number 3.
        let fields: Vec<&str> = text.get(end + 1..)?.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self { name, cpu: Ticks { user: field(14)?, system: field(15)? }, started: field(22)? })
    }
}

/// The number after `start` at the beginning of a line.
fn number_after(text: &str, start: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(start))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn malformed(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{file} is not as proc(5) says"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::exposition;

    #[test]
    fn stat_lines() {
        let rest = "S 1 2 3 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 4 0 98765 1000000 500";
        for name in ["core 0", "a) S (b", "", "x"] {
            let stat = ProcStat::parse(&format!("1234 ({name}) {rest}\n")).unwrap();
            let expected = ProcStat { name: name.to_owned(), cpu: Ticks { user: 250, system: 75 }, started: 98765 };
            assert_eq!(stat, expected);
        }
        for bad in ["", "1 (x", "1 x) (", "1 (x) S 1", &format!("1 (x) {}", rest.replace("75", "-"))] {
            assert_eq!(ProcStat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn rendered_by_thread_name() {
        let threads = [("core 0".to_owned(), Ticks { user: 250, system: 75 })];
        let usage = ProcessUsage {
            resident_bytes: 4096,
            threads: threads.into(),
            thread_count: 3,
            descriptor_count: 9,
            started_unix_s: 1_700_000_000.25,
        };
        assert!((usage.cpu_s() - 3.25).abs() < 1e-9);
        let mut text = Text::new();
        usage.render(&Build { program: "corelane", version: "0.1.0", commit: "abc", profile: "debug" }, &mut text);
        let text = text.finish();
        exposition::check(&text);
        for line in [
            "corelane_process_build_info{program=\"corelane\",version=\"0.1.0\",commit=\"abc\",profile=\"debug\",digest=\"",
            "corelane_process_start_time_seconds 1700000000.25\n",
            "corelane_process_resident_memory_bytes 4096\n",
            "corelane_process_open_file_descriptors 9\n",
            "corelane_process_threads 3\n",
            "corelane_process_cpu_seconds_total{thread=\"core 0\",mode=\"user\"} 2.5\n",
            "corelane_process_cpu_seconds_total{thread=\"core 0\",mode=\"system\"} 0.75\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = ProcessUsage::read().unwrap();
        assert!(usage.resident_bytes > 100_000 && usage.thread_count >= 1 && usage.descriptor_count >= 3, "{usage:?}");
        assert!(usage.started_unix_s > 1_500_000_000.0, "{usage:?}");
        assert!(ProcessUsage::read_from(Path::new("/nonexistent")).is_err());
    }
}
