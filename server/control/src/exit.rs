//! How a process ends, and the status that says it.
//!
//! **Not** when it ends, which its lifecycle decides.
//!
//! **Source**: docs/operations.md, "Exit statuses"; sysexits.h; systemd.service(5) for what a supervisor makes of them.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was accepted was answered.
    Clean,
    /// It has ended without deciding to.
    Failed,
    /// It never served, and would not at another try: configuration, rights or kernel refused it, and said why.
    Refused,
    /// Requests in flight were cut off.
    Cut,
    /// It never served for want of what may be there later: an address, memory, descriptors.
    TryAgain,
}

impl Exit {
    /// All of them, by status.
    pub const ALL: [Self; 5] = [Self::Clean, Self::Failed, Self::Refused, Self::Cut, Self::TryAgain];

    /// What it means to whoever has started the process.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "ended clean",
            Self::Failed => "failed",
            Self::Refused => "refused by settings, rights or kernel: never retry",
            Self::Cut => "requests were cut at the end of drain_timeout",
            Self::TryAgain => "an address, memory or descriptors are missing now: try again",
        }
    }

    /// The exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Cut => 3,
            // EX_TEMPFAIL of sysexits.h.
            Self::TryAgain => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

/// How a process that runs on cores of its own ends; shared by its control core and `main`, which waits for it.
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<AtomicU8>);

impl Ending {
    /// Sets how it has ended.
    pub fn set(&self, exit: Exit) {
        // 0 stands for "not yet", so that statuses are stored one higher.
        self.0.store(exit.status() + 1, Ordering::Release);
    }

    /// The exit status, once the process has ended by its own decision.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.0.load(Ordering::Acquire).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses() {
        assert_eq!(Exit::ALL.map(Exit::status), [0, 1, 2, 3, 75]);
        for exit in Exit::ALL {
            let ending = Ending::default();
            assert_eq!(ending.status(), None);
            ending.set(exit);
            assert_eq!(ending.status(), Some(exit.status()));
        }
    }
}
