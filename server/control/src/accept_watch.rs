//! Accepts that failed: counted by the cores, and reported from here, once a second at most.
//!
//! **Not** the remedy: the cores rest and try again.
//!
//! **Invariants**: a second without a failure is not reported; nothing is reported twice.

use std::cell::Cell;
use std::fmt::Display;

use reactor::Reactor;

use crate::log::{Log, LogLevel};

/// Remembers how many were reported.
#[derive(Debug, Default)]
pub struct AcceptWatch(Cell<u64>);

impl AcceptWatch {
    /// Reports what has failed since the last look; `failed`: in all cores since the start. Called once a second.
    pub fn look(&self, reactor: &Reactor, log: &Log, failed: u64) {
        if let Some(count) = self.since(failed) {
            let remedy =
                "clients wait: raise the limit of open files (ulimit -n, LimitNOFILE=), or lower connections_per_core";
            let fields: [(&'static str, &dyn Display); 2] = [("count", &count), ("remedy", &remedy)];
            log.event(reactor.wall_ms(), LogLevel::Error, "accept_failed", &fields);
        }
    }

    fn since(&self, failed: u64) -> Option<u64> {
        let count = failed.saturating_sub(self.0.replace(failed));
        (count > 0).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_reported_once() {
        let watch = AcceptWatch::default();
        for (failed, expected) in [(0, None), (3, Some(3)), (3, None), (10, Some(7)), (10, None)] {
            assert_eq!(watch.since(failed), expected);
        }
    }
}
