//! What a tuner may do to a machine: read, write and list files, run programs, lock, tell the time, leave a process behind.
//!
//! ```text
//!  facts, access, transaction ─▶ dyn HostAccess ─┬─ RealHost             the machine
//!                                          └─ FakeHost<FileTree>   a folder (--root) or memory; programs are emulated
//! ```
//!
//! **Invariants**: nothing else of this crate touches the machine. What decides (layout, plan) does not see a host.

mod bounded;
mod fake;
mod process;
mod real;
mod tree;

pub use fake::{FakeFiles, FakeHost, FakeNic};
pub use process::{DETACHED, DetachedProcess};
pub use real::RealHost;
pub use tree::{DiskTree, FileTree, MemoryTree};

use std::rc::Rc;

/// Why a host did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The file is not there: this kernel, driver or machine lacks it.
    #[error("{path} is not there")]
    Absent {
        /// Which file.
        path: String,
    },
    /// The kernel or a program refused.
    #[error("{what}: {why}")]
    Refused {
        /// The file or the command.
        what: String,
        /// In the words of the kernel or the program.
        why: String,
    },
    /// A program is not installed.
    #[error("{program} is not installed")]
    NoProgram {
        /// Its name.
        program: String,
    },
    /// Another process holds the lock.
    #[error("another corectl is at work: it holds {path}")]
    Locked {
        /// The lock's file.
        path: String,
    },
}

impl HostError {
    /// Whether it means that the machine has no such thing, rather than that it refused.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, HostError::Absent { .. } | HostError::NoProgram { .. })
    }

    pub(crate) fn refused(what: impl Into<String>, why: &impl ToString) -> Self {
        HostError::Refused { what: what.into(), why: why.to_string() }
    }
}

/// What a program left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// What a program leaves that succeeded.
    fn answer(stdout: impl Into<String>) -> Self {
        CommandOutput { stdout: stdout.into(), ..CommandOutput::default() }
    }

    /// What a program leaves that failed, with a line that says why.
    fn failure(status: i32, why: &str) -> Self {
        CommandOutput { status, stderr: format!("{why}\n"), ..CommandOutput::default() }
    }

    /// Standard output, if the program succeeded.
    ///
    /// # Errors
    /// What it wrote to standard error otherwise.
    pub fn success(self, what: &str) -> Result<String, HostError> {
        if self.status == 0 {
            return Ok(self.stdout);
        }
        let said = if self.stderr.trim().is_empty() { self.stdout.trim() } else { self.stderr.trim() };
        let why = if said.is_empty() { format!("exit status {}", self.status) } else { said.replace('\n', "; ") };
        Err(HostError::refused(what, &why))
    }
}

/// A moment on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostTime {
    /// Seconds since 1970. Can be set, so only shown.
    pub epoch_seconds: u64,
    /// Seconds since the boot, sleep included. Deadlines count on this one.
    pub boot_seconds: u64,
}

/// Held until it is dropped, or its process ends.
pub trait HeldLock {}

/// A machine, or what stands in for one. Paths are absolute paths of that machine.
pub trait HostAccess {
    /// The files, as nothing stands between them and their reader. For implementations: whoever uses a host calls the methods below.
    fn tree(&self) -> &dyn FileTree;

    /// The text of a file.
    ///
    /// # Errors
    /// The file is not there, or cannot be read.
    fn read(&self, path: &str) -> Result<String, HostError> {
        self.tree().read(path)
    }

    /// Writes to a file of the kernel that is there, in one write.
    ///
    /// # Errors
    /// The file is not there, or the kernel refuses the text.
    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.tree().write(path, text)
    }

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// The folder is not there, or cannot be read.
    fn list(&self, path: &str) -> Result<Vec<String>, HostError> {
        self.tree().list(path)
    }

    /// Where a symbolic link points.
    ///
    /// # Errors
    /// It is not there, or no link.
    fn link(&self, path: &str) -> Result<String, HostError>;

    /// Replaces an ordinary file as a whole; makes it, and its folder, where they are not there. Durable on return.
    ///
    /// # Errors
    /// The file system refuses.
    fn store(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.tree().store(path, text)
    }

    /// Appends to an ordinary file. Durable on return.
    ///
    /// # Errors
    /// The file system refuses.
    fn append(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.tree().append(path, text)
    }

    /// Removes an ordinary file; one that is not there is right already. Durable on return.
    ///
    /// # Errors
    /// The file system refuses.
    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.tree().remove(path)
    }

    /// Runs a program to its end, or kills it when that does not come in time.
    ///
    /// # Errors
    /// It is not installed, or did not end. A status other than 0 is no error here.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError>;

    /// Takes a lock that ends with this process.
    ///
    /// # Errors
    /// Another process holds it, or its file cannot be made.
    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError>;

    /// The time.
    fn now(&self) -> HostTime;

    /// Starts this program again with other arguments, in a session of its own that outlives this one.
    ///
    /// # Errors
    /// It could not be started, or did not say that it is ready.
    fn detach(&self, arguments: &[String]) -> Result<DetachedProcess, HostError>;

    /// Ends a process that was left behind, if it is still that process.
    fn end(&self, process: &DetachedProcess);

    /// Whether service units and timers of systemd can be used for this host, from here.
    fn has_systemd(&self) -> bool;
}
