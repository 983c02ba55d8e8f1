//! Stopping one thread of a process, as a kernel that gives it no CPU would, while the others go on.
//!
//! **Source**: ptrace(2): a tracee that was seized and interrupted stands still until its tracer lets go or ends.

use anyhow::{Context, Result};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A thread that stands still; it goes on when this is dropped, if it still exists.
#[derive(Debug)]
pub(crate) struct StoppedThread(Pid);

impl StoppedThread {
    /// Stops the thread with this id, as the machine counts them.
    ///
    /// # Errors
    /// It is gone, or somebody else traces it.
    pub(crate) fn stop(thread: i32) -> Result<Self> {
        let thread = Pid::from_raw(thread);
        ptrace::seize(thread, ptrace::Options::empty()).context("the thread cannot be traced")?;
        ptrace::interrupt(thread).context("the thread cannot be stopped")?;
        Ok(Self(thread))
    }

    /// Takes note of the thread's end: a process whose thread is traced is not gone before its tracer has.
    pub(crate) fn reap(&self) {
        // Nothing to take note of, or taken note of already.
        let _ = waitpid(self.0, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL));
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // Gone with its process in most cases.
        let _ = ptrace::detach(self.0, None);
    }
}
