//! Accepts that failed: counted by the cores, and reported from here, once a second at most.
//!
//! **Not** the remedy: the cores rest and try again.
//!
//! **Invariants**: a second without a failure is not reported; nothing is reported twice.

use std::cell::Cell;
use std::fmt::Display;
use std::io;

use reactor::Reactor;

use crate::log::{Log, LogLevel};

// errno.h, on every architecture that io_uring servers run on.
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

/// Remembers how many were reported.
#[derive(Debug, Default)]
pub struct AcceptWatch(Cell<u64>);

impl AcceptWatch {
    /// Reports what has failed since the last look; `failed`: in all cores since the start, and the error number of the last of a core
    /// in which any has. Called once a second.
    pub fn look(&self, reactor: &Reactor, log: &Log, (failed, errno): (u64, u64)) {
        if let Some(count) = self.since(failed) {
            let error = io::Error::from_raw_os_error(i32::try_from(errno).unwrap_or_default());
            let remedy = remedy(&error);
            let fields: [(&'static str, &dyn Display); 3] = [("count", &count), ("error", &error), ("remedy", &remedy)];
            log.event(reactor.wall_ms(), LogLevel::Error, "accept_failed", &fields);
        }
    }

    fn since(&self, failed: u64) -> Option<u64> {
        let count = failed.saturating_sub(self.0.replace(failed));
        (count > 0).then_some(count)
    }
}

/// What the operator can do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(EMFILE) => {
            "clients wait: raise the limit of open files (ulimit -n, LimitNOFILE=), or lower connections_per_core"
        }
        Some(ENFILE) => {
            "clients wait: the host has no open files left; raise the sysctl fs.file-max, or find who holds them"
        }
        Some(ENOMEM | ENOBUFS) => {
            "clients wait: the kernel has no memory for sockets; look at the sysctl net.ipv4.tcp_mem and the cgroup"
        }
        _ => "clients wait; see accept(2) for this error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_that_of_the_error() {
        let of = |errno| remedy(&io::Error::from_raw_os_error(errno));
        assert!(of(EMFILE).contains("LimitNOFILE") && of(ENFILE).contains("fs.file-max"));
        assert!(of(ENOMEM).contains("tcp_mem") && of(ENOBUFS) == of(ENOMEM) && of(1).contains("accept(2)"));
        assert_eq!(io::Error::from_raw_os_error(EMFILE).to_string(), "Too many open files (os error 24)");
    }

    #[test]
    fn failures_are_reported_once() {
        let watch = AcceptWatch::default();
        for (failed, expected) in [(0, None), (3, Some(3)), (3, None), (10, Some(7)), (10, None)] {
            assert_eq!(watch.since(failed), expected);
        }
    }
}
