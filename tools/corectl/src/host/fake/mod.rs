//! A host that is a folder or a map of files: programs answer from files and change them.
//!
//! | file | what it is |
//! |---|---|
//! | `/fake/nic/NAME.toml` | a network card: what `ethtool` shows, changes, refuses, forgets and lies about |
//! | `/fake/unit/NAME` | a unit of systemd: `active` or `inactive` |
//! | `/fake/nft` | the table that nftables has; not there without nft |
//! | `/fake/ignored` | files, one a line, whose writes succeed and change nothing |
//! | `/fake/refused` | files, one a line, whose writes fail |
//!
//! **Not**: a kernel. What a write does to other files is what drivers are known to do, and nothing else.
//!
//! **Invariants**: no program is run. What is not emulated is not installed.

mod ethtool;
mod nic;
mod programs;
mod queues;

pub use nic::FakeNic;

use std::cell::Cell;
use std::rc::Rc;

use super::process::{self, DetachedProcess};
use super::real;
use super::{CommandOutput, DiskTree, FileTree, HeldLock, HostAccess, HostError, HostTime, MemoryTree};

/// A file system that can stand for a host.
pub trait FakeFiles: FileTree {
    /// A lock that other processes see, if there can be others.
    ///
    /// # Errors
    /// Another process holds it.
    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError>;
    /// Whether other processes see the files, so that one can be left behind and clocks must agree.
    fn is_shared(&self) -> bool;
}

impl FakeFiles for DiskTree {
    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
        real::lock(self, path)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

struct NoLock;

impl HeldLock for NoLock {}

impl FakeFiles for MemoryTree {
    fn lock(&self, _path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
        Ok(Rc::new(NoLock))
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// A host of files.
pub struct FakeHost<T: FakeFiles> {
    files: T,
    boot_seconds: Cell<u64>,
}

/// What a host in memory shows as the time at first.
const FIRST_SECOND: u64 = 1000;

impl<T: FakeFiles> FakeHost<T> {
    /// A host of these files.
    #[must_use]
    pub fn new(files: T) -> Self {
        FakeHost { files, boot_seconds: Cell::new(FIRST_SECOND) }
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &T {
        &self.files
    }

    /// Lets time pass, where no other process sees it.
    pub fn pass_seconds(&self, seconds: u64) {
        self.boot_seconds.set(self.boot_seconds.get() + seconds);
    }

    /// A card, with its queues' files, put into the host.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn insert_nic(&self, name: &str, nic: &FakeNic) -> Result<(), HostError> {
        nic.store(&self.files, name)?;
        queues::lay_out(&self.files, name, nic)
    }

    fn is_listed(&self, list: &str, path: &str) -> bool {
        self.files.read(list).is_ok_and(|text| text.lines().any(|line| line == path))
    }
}

impl<T: FakeFiles> HostAccess for FakeHost<T> {
    fn tree(&self) -> &dyn FileTree {
        &self.files
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.files.read(path)?;
        if self.is_listed("/fake/refused", path) {
            return Err(HostError::refused(path, &"Invalid argument (os error 22)"));
        }
        if self.is_listed("/fake/ignored", path) {
            return Ok(());
        }
        self.files.write(path, &queues::as_shown(&self.files, path, text))?;
        queues::follow(&self.files, path, text)
    }

    fn link(&self, path: &str) -> Result<String, HostError> {
        Err(HostError::Absent { path: path.into() })
    }

    fn store(&self, path: &str, text: &str) -> Result<(), HostError> {
        if self.is_listed("/fake/refused", path) {
            return Err(HostError::refused(path, &"Read-only file system (os error 30)"));
        }
        self.files.store(path, text)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError> {
        match program {
            "ethtool" => ethtool::run(&self.files, arguments),
            "systemctl" => programs::systemctl(&self.files, arguments),
            "nft" => programs::nft(&self.files, arguments),
            "update-grub" => programs::update_grub(&self.files),
            _ => Err(HostError::NoProgram { program: program.into() }),
        }
    }

    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
        self.files.lock(path)
    }

    fn now(&self) -> HostTime {
        if self.files.is_shared() {
            return real::now();
        }
        let boot_seconds = self.boot_seconds.get();
        HostTime { epoch_seconds: 1_700_000_000 + boot_seconds, boot_seconds }
    }

    fn detach(&self, arguments: &[String]) -> Result<DetachedProcess, HostError> {
        if self.files.is_shared() { process::detach(arguments) } else { Ok(NOBODY) }
    }

    fn end(&self, process: &DetachedProcess) {
        if self.files.is_shared() {
            process.end();
        }
    }

    fn has_systemd(&self) -> bool {
        false
    }
}

/// What a host in memory leaves behind: its test lets time pass and calls what the process would.
const NOBODY: DetachedProcess = DetachedProcess { pid: 0, started_ticks: 0 };
