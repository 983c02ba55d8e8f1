//! This machine: where the thread runs, how large the last cache is, how much memory is left and how much a process holds.
//!
//! **Source**: sysfs-devices-system-cpu (`cache/index3/size`), proc_meminfo(5), proc_pid_status(5) (`VmRSS`), sched_setaffinity(2),
//! clock_gettime(2) (`CLOCK_THREAD_CPUTIME_ID`).

use std::fs;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Taken where the kernel does not tell the size of the last cache.
const CACHE_BYTES_UNKNOWN: u64 = 32 << 20;

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// There is no such CPU, or it is not ours.
pub fn pin_to(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    let within = cpu < CpuSet::MAX_CPU;
    if within {
        set.set(cpu);
    }
    let pinned = if within { sched_setaffinity(None, &set) } else { Err(rustix::io::Errno::INVAL) };
    pinned
        .with_context(|| format!("--cpu {cpu}: this process may not run there; `nproc` and `taskset -p $$` tell where"))
}

/// Bytes of the last level of cache that the first CPU sees. A virtual machine may be told a size that it shares with others.
pub fn last_cache_bytes() -> u64 {
    let text = fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index3/size");
    text.ok().and_then(|text| parse_size(&text)).unwrap_or(CACHE_BYTES_UNKNOWN)
}

/// Bytes that could be taken now without swapping.
///
/// # Errors
/// /proc is not mounted, or the kernel is older than this field.
pub fn available_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("/proc/meminfo could not be read")?;
    parse_available(&text).context("/proc/meminfo has no MemAvailable")
}

/// Resident memory of `process`, in bytes: what it has touched, kernel buffers of its sockets not included.
///
/// # Errors
/// The process has ended.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("process {process} has ended"))?;
    parse_resident_bytes(&text).with_context(|| format!("{path} has no VmRSS"))
}

/// CPU time of the calling thread, user and system, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A size as sysfs writes it: 32768K.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok().map(|number| number * factor)
}

fn parse_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn parse_resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_read() {
        for (text, bytes) in [("32768K\n", Some(32 << 20)), ("8M", Some(8 << 20)), ("512", Some(512)), ("", None)] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        assert_eq!(parse_available("MemFree: 1 kB\nMemAvailable:      12 kB\n"), Some(12 << 10));
        assert_eq!(parse_available("MemFree: 1 kB\n"), None);
        assert!(available_bytes().unwrap() > 1 << 20);
        assert_eq!(parse_resident_bytes("VmHWM:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12288));
        assert_eq!(parse_resident_bytes("VmHWM:\t 9 kB\n"), None);
        assert!(resident_bytes(std::process::id()).unwrap() > 4096);
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_by_name() {
        for cpu in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU] {
            let error = format!("{:#}", pin_to(cpu).unwrap_err());
            assert!(error.contains(&format!("--cpu {cpu}")), "{error}");
        }
    }

    #[test]
    fn cpu_time_passes() {
        let before = thread_cpu_ns();
        let mut sum = 0u64;
        while thread_cpu_ns() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(thread_cpu_ns() > before);
    }
}
