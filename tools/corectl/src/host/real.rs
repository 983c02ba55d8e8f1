//! The machine itself.
//!
//! **Source**: proc(5), flock(2), namespaces(7).

use std::fs::{OpenOptions, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::rc::Rc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::bounded;
use super::process::{self, DetachedProcess};
use super::{CommandOutput, DiskTree, FileTree, HeldLock, HostAccess, HostError, HostTime};

/// Files under `/`, and programs that are run.
pub struct RealHost {
    files: DiskTree,
}

impl RealHost {
    /// This machine.
    #[must_use]
    pub fn new() -> Self {
        RealHost { files: DiskTree::new("/") }
    }
}

impl Default for RealHost {
    fn default() -> Self {
        Self::new()
    }
}

/// A locked file; the kernel lets go of it with the descriptor, whatever happens to the process.
struct FileLock {
    _file: OwnedFd,
}

impl HeldLock for FileLock {}

/// Nobody but its owner may open the lock: whoever can open it can hold it, and keep the timer from taking a change back.
const LOCK_MODE: u32 = 0o600;

/// Locks a file of the disk.
///
/// # Errors
/// It is locked, or cannot be made.
pub(super) fn lock(files: &DiskTree, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
    let resolved = files.resolve(path);
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            HostError::refused(path, &"only root may look at and change what is tuned")
        }
        _ => HostError::refused(path, &error),
    };
    if let Some(folder) = resolved.parent() {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(LOCK_MODE).open(resolved);
    let file = opened.map_err(refused)?;
    if file.metadata().is_ok_and(|found| found.permissions().mode() & 0o777 != LOCK_MODE) {
        file.set_permissions(Permissions::from_mode(LOCK_MODE)).map_err(refused)?;
    }
    let file = OwnedFd::from(file);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Rc::new(FileLock { _file: file })),
        Err(Errno::WOULDBLOCK) => Err(HostError::Locked { path: path.into() }),
        Err(error) => Err(HostError::refused(path, &error)),
    }
}

/// The time of this machine.
pub(super) fn now() -> HostTime {
    let seconds = |clock| u64::try_from(clock_gettime(clock).tv_sec).unwrap_or_default();
    HostTime { epoch_seconds: seconds(ClockId::Realtime), boot_seconds: seconds(ClockId::Boottime) }
}

impl HostAccess for RealHost {
    fn tree(&self) -> &dyn FileTree {
        &self.files
    }

    fn link(&self, path: &str) -> Result<String, HostError> {
        let target = std::fs::read_link(path).map_err(|_| HostError::Absent { path: path.into() })?;
        Ok(target.to_string_lossy().into_owned())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<CommandOutput, HostError> {
        bounded::run(program, arguments)
    }

    fn lock(&self, path: &str) -> Result<Rc<dyn HeldLock>, HostError> {
        lock(&self.files, path)
    }

    fn now(&self) -> HostTime {
        now()
    }

    fn detach(&self, arguments: &[String]) -> Result<DetachedProcess, HostError> {
        process::detach(arguments)
    }

    fn end(&self, process: &DetachedProcess) {
        process.end();
    }

    fn has_systemd(&self) -> bool {
        // A unit runs in the namespaces of PID 1: from a network namespace it would change another network.
        let namespace = |process: &str| self.link(&format!("/proc/{process}/ns/net")).ok();
        self.files.list("/run/systemd/system").is_ok() && namespace("self") == namespace("1")
    }
}
