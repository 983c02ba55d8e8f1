//! What a machine must have before a lab is made on it. Everything that is missing is named at once, with the command that
//! brings it.
//!
//! **Not**: installing. What one of the checks names is left to the operator.

use std::path::Path;

use anyhow::{Result, bail};

/// A program and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The program's file name.
    pub name: &'static str,
    /// The package.
    pub package: &'static str,
}

/// What makes hosts with a real systemd in containers, and what looks at them.
pub const HOST_PROGRAMS: &[Program] = &[
    Program { name: "mmdebstrap", package: "mmdebstrap" },
    Program { name: "systemd-nspawn", package: "systemd-container" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "nsenter", package: "util-linux" },
    Program { name: "mount", package: "mount" },
];

/// What a fleet of such hosts is reached, loaded and ended with.
pub const FLEET_PROGRAMS: &[Program] = &[
    Program { name: "ssh", package: "openssh-client" },
    Program { name: "ssh-keygen", package: "openssh-client" },
    Program { name: "haproxy", package: "haproxy" },
    Program { name: "prometheus", package: "prometheus" },
    Program { name: "unshare", package: "util-linux" },
    Program { name: "setpriv", package: "util-linux" },
];

/// Where servers and administrators' programs are; often not in an ordinary user's PATH.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What was found to be missing.
#[derive(Debug, Default)]
pub struct Preflight {
    missing: Vec<String>,
}

impl Preflight {
    /// Something is missing unless `there`; `missing` says what, and what to do.
    pub fn require(&mut self, there: bool, missing: impl FnOnce() -> String) {
        if !there {
            self.missing.push(missing());
        }
    }

    /// Looks for programs.
    pub fn require_programs(&mut self, programs: &[Program]) {
        let packages = missing_packages(programs);
        self.require(packages.is_empty(), || {
            format!("programs; install them with: apt-get install {}", packages.join(" "))
        });
    }

    /// Looks at the room that a folder's file system has.
    pub fn require_room(&mut self, folder: &Path, mib: u64) {
        let free = rustix::fs::statvfs(folder).map(|room| (room.f_bavail * room.f_frsize) >> 20).unwrap_or_default();
        self.require(free >= mib, || {
            format!(
                "room: {} MiB in {}, of which {free} are free; XDG_CACHE_HOME names another folder",
                mib,
                folder.display()
            )
        });
    }

    /// Ends the look.
    ///
    /// # Errors
    /// The operator's: all that is missing, a line each.
    pub fn finish(self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        bail!("this machine lacks\n  - {}", self.missing.join("\n  - "))
    }
}

/// Whether a program is in PATH, or where administrators' programs are.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:{SYSTEM_FOLDERS}").split(':').any(|folder| Path::new(folder).join(program).is_file())
}

/// The packages of those programs that are not installed, each once.
#[must_use]
pub fn missing_packages(programs: &[Program]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for program in programs {
        if !packages.contains(&program.package) && !is_installed(program.name) {
            packages.push(program.package);
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_brings_two_missing_programs_is_named_once() {
        let absent = |name| Program { name, package: "no-such-package" };
        let programs = [Program { name: "sh", package: "dash" }, absent("no-such-a"), absent("no-such-b")];
        assert_eq!(missing_packages(&programs), ["no-such-package"]);
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let mut preflight = Preflight::default();
        let here = Program { name: "sh", package: "dash" };
        preflight.require_programs(&[here, Program { name: "no-such-program", package: "no-such-package" }]);
        preflight.require_room(Path::new("/"), u64::MAX);
        preflight.require(true, || "nothing".into());
        let error = preflight.finish().unwrap_err().to_string();
        assert!(error.contains("apt-get install no-such-package\n  - room: "), "{error}");
        assert!(!error.contains("dash") && !error.contains("nothing"), "{error}");
    }

    #[test]
    fn a_machine_that_has_everything_passes() {
        let mut preflight = Preflight::default();
        preflight.require_programs(&[Program { name: "sh", package: "dash" }]);
        preflight.require_room(Path::new("/"), 0);
        assert!(preflight.finish().is_ok());
    }
}
