//! How many connections of clients the limit on open files leaves.
//!
//! ```text
//!  open files = connections of clients + shed ones + admin, nodes, rings, files (reserved)
//! ```
//!
//! **Invariants**: connections of clients never take what admin, reconnects to nodes and the process itself need: each core has a
//! bound, whatever `limits.connections_per_core` says.

use std::fmt::Display;

use reactor::OpenFiles;

use crate::admin;
use crate::log::{LogFields, LogLevel};

/// Connections of a core that are being answered 503 at a time.
pub const SHEDDING_MAX: usize = 256;

/// What a process without any connection has open at most: standard streams, logs, settings, topology, signals, libraries; with room to spare.
const PROCESS_FILES: u64 = 64;

/// What a core has open: its ring, its bell, its shard, its listeners; with room to spare.
const CORE_FILES: u64 = 32;

/// Connections of a core below which a limit on open files is worth a warning whatever was asked for.
const FEW_CONNECTIONS: usize = 1024;

/// How the open files of a process are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorPlan {
    open_files: OpenFiles,
    /// Kept for all but clients.
    reserved: u64,
    /// What is left for the clients of each core.
    pub connections_per_core: usize,
    /// Whether the operator has said how many connections a core is to have: then fewer are worth a warning.
    is_wanted: bool,
}

impl DescriptorPlan {
    /// For so many data cores, each with so many connections to nodes, and so many listeners for operators.
    ///
    /// # Errors
    ///
    /// The operator's: the limit leaves no connection; with the limit that would.
    pub fn new(
        open_files: OpenFiles,
        cores: usize,
        node_connections_per_core: usize,
        admin_listeners: u64,
    ) -> Result<Self, String> {
        let cores = cores.max(1) as u64;
        let per_core = CORE_FILES + SHEDDING_MAX as u64 + node_connections_per_core as u64;
        let reserved = PROCESS_FILES + admin_listeners * admin::DESCRIPTORS_MAX as u64 + cores * per_core;
        let left = open_files.limit.saturating_sub(reserved) / cores;
        if left == 0 {
            return Err(format!(
                "the limit on open files is {}, and {} are needed before any client connects; raise the hard limit (systemd: \
                 LimitNOFILE=1048576; shell: ulimit -Hn)",
                open_files.limit,
                reserved + cores
            ));
        }
        Ok(Self {
            open_files,
            reserved,
            connections_per_core: usize::try_from(left).unwrap_or(usize::MAX),
            is_wanted: false,
        })
    }

    /// The same, for an operator who has said how many connections a core is to have, or has not.
    #[must_use]
    pub const fn asked_for(self, is_wanted: bool) -> Self {
        Self { is_wanted, ..self }
    }

    /// Logs what it comes to, as a warning where that is few, or less than the `wanted` connections for each core that the operator
    /// has asked for.
    pub fn log(&self, wanted: usize, event: &dyn Fn(LogLevel, &str, LogFields<'_>)) {
        let connections_per_core = self.connections_per_core.min(wanted);
        let remedy = "raise the hard limit on open files (LimitNOFILE=), or lower limits.connections_per_core";
        let fields: [(&'static str, &dyn Display); 5] = [
            ("limit", &self.open_files.limit),
            ("found", &self.open_files.found),
            ("reserved", &self.reserved),
            ("connections_per_core", &connections_per_core),
            ("remedy", &remedy),
        ];
        if connections_per_core < wanted && (self.is_wanted || connections_per_core < FEW_CONNECTIONS) {
            event(LogLevel::Warn, "open_files", &fields);
        } else {
            event(LogLevel::Info, "open_files", &fields[..4]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_is_reserved_is_not_for_clients() {
        let plan = |limit, cores, nodes| DescriptorPlan::new(OpenFiles { found: 1024, limit }, cores, nodes, 2);
        let reserved = 64 + 2 * admin::DESCRIPTORS_MAX as u64 + 2 * (32 + 256 + 24);
        assert_eq!(plan(reserved + 2001, 2, 24).unwrap().connections_per_core, 1000);
        let refused = plan(reserved + 1, 2, 24).unwrap_err();
        assert!(refused.contains(&format!("{} are needed", reserved + 2)), "{refused}");
        let log = RefCell::new(Vec::new());
        let event = |level: LogLevel, event: &str, fields: LogFields<'_>| {
            log.borrow_mut().push(format!("{} {event} {} {}", level.word(), fields[3].1, fields.len()));
        };
        let few = plan(reserved + 2001, 2, 24).unwrap();
        few.log(1000, &event);
        few.log(1001, &event);
        let many = plan(reserved + 2 * 1024, 2, 24).unwrap();
        many.log(65_536, &event);
        many.asked_for(true).log(65_536, &event);
        let expected =
            ["info open_files 1000 4", "warn open_files 1000 5", "info open_files 1024 4", "warn open_files 1024 5"];
        assert_eq!(*log.borrow(), expected);
    }
}
