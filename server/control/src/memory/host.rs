//! What the host leaves a process of its memory.
//!
//! **Not** for data cores: reading `/proc` and `/sys` is file I/O.
//!
//! **Invariants**: the tightest limit above the process counts, whichever of its cgroups or the host has it; what cannot be
//! read limits nothing.
//!
//! **Source**: proc(5) `/proc/meminfo`; cgroups(7); the kernel's cgroup-v2 documentation, `memory.max`.

use std::fs;
use std::path::Path;

/// A limit, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// In bytes.
    pub bytes: u64,
    /// Whose limit it is, as a sentence says it: `the cgroup /x`, `this host`.
    pub of: String,
}

/// The memory that a process finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMemory {
    /// What the process may have in all.
    pub limit: MemoryLimit,
    /// What of it nobody uses now; of a cgroup, what it may have in all.
    pub available: MemoryLimit,
}

impl HostMemory {
    /// What is too little for `bytes`, and whether it always is: more than there ever is, not only more than there is now.
    #[must_use]
    pub fn lacks(&self, bytes: u64) -> Option<(&MemoryLimit, bool)> {
        (bytes > self.available.bytes).then_some((&self.available, bytes > self.limit.bytes))
    }

    /// What this process finds; `None` where the kernel does not say.
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::read_from(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }

    fn read_from(proc: &Path, cgroups: &Path) -> Option<Self> {
        let meminfo = fs::read_to_string(proc.join("meminfo")).ok()?;
        let of_host = |name| Some(MemoryLimit { bytes: meminfo_bytes(&meminfo, name)?, of: "this host".to_owned() });
        let (total, available) = (of_host("MemTotal:")?, of_host("MemAvailable:")?);
        let membership = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let of_cgroup = cgroup_limit(&membership, cgroups);
        let tightest = |host: MemoryLimit| match &of_cgroup {
            Some(cgroup) if cgroup.bytes < host.bytes => cgroup.clone(),
            _ => host,
        };
        Some(HostMemory { limit: tightest(total), available: tightest(available) })
    }
}

/// A line of `/proc/meminfo`, which counts in KiB.
fn meminfo_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The tightest limit of the cgroups that `/proc/self/cgroup` names, and of those above them.
fn cgroup_limit(membership: &str, root: &Path) -> Option<MemoryLimit> {
    let limits = membership.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next(), fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|it| it == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let levels = Path::new(path).ancestors().filter_map(move |level| {
            let inside = level.strip_prefix("/").unwrap_or(level);
            let text = fs::read_to_string(root.join(inside).join(file)).ok()?;
            Some(MemoryLimit { bytes: text.trim().parse().ok()?, of: format!("the cgroup {}", level.display()) })
        });
        levels.collect()
    });
    limits.min_by_key(|limit| limit.bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder with these files, gone with its handle.
    struct Folder(PathBuf);

    impl Folder {
        fn with(name: &str, files: &[(&str, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("host-memory-{name}-{}", std::process::id()));
            for (file, text) in files {
                let file = path.join(file);
                fs::create_dir_all(file.parent().expect("a folder")).expect("the folder is made");
                fs::write(file, text).expect("the file is written");
            }
            Folder(path)
        }

        fn read(&self) -> Option<HostMemory> {
            HostMemory::read_from(&self.0.join("proc"), &self.0.join("cgroup"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // A folder that stays behind harms nobody.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n");

    #[test]
    fn what_is_there_at_another_time_is_told_from_what_never_is() {
        let limit = |bytes| MemoryLimit { bytes, of: "this host".to_owned() };
        let host = HostMemory { limit: limit(100), available: limit(60) };
        let lacks = [60, 61, 100, 101].map(|bytes| host.lacks(bytes).map(|(limit, for_good)| (limit.bytes, for_good)));
        assert_eq!(lacks, [None, Some((60, false)), Some((60, false)), Some((60, true))]);
    }

    #[test]
    fn without_a_cgroup_the_host_limits() {
        let found = Folder::with("host", &[MEMINFO]).read().expect("memory");
        assert_eq!((found.limit.bytes, found.available.bytes), (1_024_000, 614_400));
        assert_eq!(found.limit.of, "this host");
        assert_eq!(Folder::with("none", &[("proc/x", "")]).read(), None);
    }

    #[test]
    fn the_tightest_cgroup_above_the_process_limits() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("cgroup/a/b/memory.max", "max\n"),
            ("cgroup/a/memory.max", "700000\n"),
            ("cgroup/memory.max", "800000\n"),
        ];
        let found = Folder::with("v2", &files).read().expect("memory");
        assert_eq!((found.limit.bytes, &*found.limit.of), (700_000, "the cgroup /a"));
        assert_eq!((found.available.bytes, &*found.available.of), (614_400, "this host"));
    }

    #[test]
    fn a_cgroup_of_the_first_version_limits_too() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "3:cpu,cpuacct:/a\n2:memory:/a\n0::/\n"),
            ("cgroup/memory/a/memory.limit_in_bytes", "500000\n"),
            ("cgroup/cpu,cpuacct/a/memory.limit_in_bytes", "1\n"),
        ];
        let found = Folder::with("v1", &files).read().expect("memory");
        assert_eq!((found.limit.bytes, found.available.bytes), (500_000, 500_000));
    }
}
