//! Settings and topology that were read again: what becomes of them, and how cores learn of it.
//!
//! **Not**: which of them may be put in force, which is `control::reload`'s and `control::topology_reload`'s.
//!
//! **Invariants**: the map of all cores changes by one message each; every core gets every map.
//!
//! **Source**: docs/config.md, "Changes while it runs"; docs/wire.md, "Epochs and placement".

use std::path::PathBuf;
use std::sync::Arc;

use control::lifecycle::ReloadCause;
use control::log::{LogFields, LogLevel};
use control::reload::ConfigRead;
use control::security::{ClusterReload, SecurityFault, SecurityFiles, SecurityUser};
use control::topology_reload::TopologyUser;
use shardstore::placement::Topology;

use super::NodeSupervisor;
use crate::message::NodeMessage;
use crate::settings::NodeSettings;
use crate::snapshot::NodeSnapshot;

impl NodeSupervisor {
    /// Puts in force what can change of settings that were read again.
    pub(super) fn adopt_settings(&self, read: ConfigRead<NodeSettings>, cause: ReloadCause) {
        let event = |level, event: &str, fields: LogFields<'_>| self.event(level, event, fields);
        if let Some(settings) = self.config.reload(read, cause, &event) {
            self.log.adopt(&settings.log);
            let before = self.settings.replace(settings);
            if before.cluster != self.settings.borrow().cluster {
                self.security_files.want(self.reactor.now());
            }
            self.send_snapshot();
        }
    }

    fn send_snapshot(&self) {
        let generation = self.config.next_generation();
        self.event(LogLevel::Info, "in_force", &[("generation", &generation)]);
        let (limits, topology) = (self.settings.borrow().limits.clone(), Arc::clone(&self.topology.borrow()));
        let security = Arc::clone(&self.security.borrow());
        let snapshot = Arc::new(NodeSnapshot { limits, topology, security });
        self.behind.borrow_mut().push(self.shared.cores, &snapshot);
        self.send_behind();
    }

    /// Sends cores what they are to decide by.
    pub(super) fn send_behind(&self) {
        let send = |core, snapshot| self.mailbox.send(&self.reactor, core, NodeMessage::Snapshot(snapshot)).is_ok();
        for core in self.behind.borrow_mut().send(send) {
            self.event(LogLevel::Error, "mailbox_full", &[("core", &core.0)]);
        }
    }
}

impl SecurityUser for NodeSupervisor {
    fn security_names(&self) -> Vec<PathBuf> {
        control::boot::Bootable::security_files(&*self.settings.borrow())
    }

    fn put_security(&self, files: &SecurityFiles) -> Result<bool, Vec<SecurityFault>> {
        let (settings, topology) = (self.settings.borrow().clone(), Arc::clone(&self.topology.borrow()));
        let before = Arc::clone(&self.security.borrow());
        let identity = settings.identity(topology.cluster());
        let ClusterReload { security, faults } = before.reload(&identity, files, self.security_files.parts());
        let changed = security.is_some();
        if let Some(security) = security {
            self.security.replace(Arc::new(security));
            self.send_snapshot();
        }
        if faults.is_empty() { Ok(changed) } else { Err(faults) }
    }

    fn log_security(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.event(level, event, fields);
    }
}

impl TopologyUser for NodeSupervisor {
    fn topology(&self) -> Option<Arc<Topology>> {
        Some(Arc::clone(&self.topology.borrow()))
    }

    fn put_topology(&self, next: Arc<Topology>, slots_lost: u64) {
        self.note_lost(&next, slots_lost);
        let me = self.me();
        if next.node(me).is_none() {
            let remedy = "every request fails with MOVED; stop this node when its peers have the new topology";
            self.event(LogLevel::Warn, "not_in_topology", &[("node", &me), ("remedy", &remedy)]);
        }
        self.topology.replace(next);
        self.send_snapshot();
    }

    fn log_topology(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.event(level, event, fields);
    }
}
