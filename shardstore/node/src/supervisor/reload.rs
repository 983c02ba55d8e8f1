//! Reading settings and topology again: when asked, when a file changes, and when a peer has seen a newer topology.
//!
//! **Not**: parsing, which is `shardstore::placement`'s.
//!
//! **Invariants**: what does not follow the topology in force is refused whole, with a reason and a remedy; the map of all
//! cores changes by one message each.
//!
//! **Source**: docs/wire.md, "Epochs and placement".

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use control::lifecycle::ReloadCause;
use control::log::LogLevel;
use control::reload::ConfigRead;
use reactor::CoreId;
use shardstore::placement::{NodeId, Topology};

use control::topology_file::{Follows, refusals, successor};

use super::NodeSupervisor;
use crate::message::NodeMessage;
use crate::settings::NodeSettings;
use crate::snapshot::NodeSnapshot;

impl NodeSupervisor {
    /// A peer has seen `epoch`: has the topology read unless that is known already.
    pub(super) fn look_for(&self, epoch: u32) {
        if epoch > self.topology.borrow().epoch() {
            self.topology_metrics.hints.increment();
            self.hint.set(epoch.max(self.hint.get()));
            self.wishes.wish();
        }
    }

    /// Logs that a peer claims an epoch which the file does not have.
    fn log_behind(&self) {
        let (claimed, now) = (self.hint.take(), self.topology.borrow().epoch());
        if claimed > now && self.hinted.replace(claimed) != claimed {
            let remedy = "give this process the file of that epoch; if there is none, look at who asks";
            let fields: [(&'static str, &dyn Display); 4] =
                [("claims", &claimed), ("epoch", &now), ("file", &self.source.name), ("remedy", &remedy)];
            self.event(LogLevel::Warn, "topology_behind", &fields);
        }
    }

    /// Puts in force what can change of settings that were read again.
    pub(super) fn adopt_settings(&self, read: ConfigRead<NodeSettings>, cause: ReloadCause) {
        let event = |level, event: &str, fields: control::log::LogFields<'_>| self.event(level, event, fields);
        if let Some(settings) = self.config.reload(read, cause, &event) {
            self.log.adopt(&settings.log);
            self.settings.replace(settings);
            self.send_snapshot();
        }
    }

    fn send_snapshot(&self) {
        let generation = self.config.next_generation();
        self.event(LogLevel::Info, "in_force", &[("generation", &generation)]);
        let (limits, topology) = (self.settings.borrow().limits.clone(), Arc::clone(&self.topology.borrow()));
        let snapshot = Arc::new(NodeSnapshot { limits, topology });
        let all = (0..self.shared.cores).map(|core| (CoreId(core), Arc::clone(&snapshot)));
        self.behind.borrow_mut().extend(all);
        self.send_behind();
    }

    /// Sends cores what they are to decide by: each of them every snapshot, since what a core drops follows from the change.
    pub(super) fn send_behind(&self) {
        let waiting = self.behind.take();
        let mut full: Vec<CoreId> = Vec::new();
        for (core, snapshot) in waiting {
            let message = NodeMessage::Snapshot(Arc::clone(&snapshot));
            if full.contains(&core) || self.mailbox.send(&self.reactor, core, message).is_err() {
                full.push(core);
                self.behind.borrow_mut().push_back((core, snapshot));
            }
        }
        for core in full {
            self.event(LogLevel::Error, "mailbox_full", &[("core", &core.0)]);
        }
    }

    /// Takes the text of the topology, and puts it in force when it follows the one that is.
    pub(super) fn adopt_topology(&self, text: io::Result<String>, cause: ReloadCause) {
        match text {
            // What a peer says of other files is no news of ours.
            Ok(text) if cause == ReloadCause::Peer && text == self.topology.borrow().text() => {}
            Ok(text) => self.take_topology(&text, cause),
            Err(error) => {
                let remedy = "correct the file and send SIGHUP; the topology in force stays";
                self.refuse(&[("file", &self.source.name), ("error", &error), ("remedy", &remedy)]);
            }
        }
        self.log_behind();
    }

    fn take_topology(&self, text: &str, cause: ReloadCause) {
        let next = match Topology::parse(text) {
            Ok(next) => next,
            Err(error) => {
                self.topology_metrics.refused.increment();
                for refusal in refusals(&self.source.name, &error) {
                    self.event(LogLevel::Error, "topology_refused", &[("error", &refusal)]);
                }
                return;
            }
        };
        let current = Arc::clone(&self.topology.borrow());
        match successor(&current, &next) {
            Ok(Follows::Same) => {
                self.event(LogLevel::Info, "topology_unchanged", &[("epoch", &next.epoch()), ("cause", &cause)]);
            }
            Ok(Follows::Newer) => self.put_in_force(next, cause),
            Err(reason) => self.refuse(&[("file", &self.source.name), ("error", &reason)]),
        }
    }

    /// Publishes what is in force.
    pub(super) fn note_topology(&self, topology: &Topology) {
        let me = NodeId(u32::from(self.shared.settings.node_id));
        self.topology_metrics.epoch.set(u64::from(topology.epoch()));
        self.topology_metrics.slots_owned.set(topology.owned_slots(me) as u64);
    }

    fn put_in_force(&self, next: Topology, cause: ReloadCause) {
        let me = NodeId(u32::from(self.shared.settings.node_id));
        self.topology_metrics.reloads.increment();
        let slots = next.owned_slots(me);
        let lost = self.note_lost(&next);
        let fields: [(&'static str, &dyn Display); 4] =
            [("epoch", &next.epoch()), ("slots_owned", &slots), ("slots_lost", &lost), ("cause", &cause)];
        self.note_topology(&next);
        self.event(LogLevel::Info, "topology_loaded", &fields);
        if next.node(me).is_none() {
            let remedy = "every request fails with MOVED; stop this node when its peers have the new topology";
            self.event(LogLevel::Warn, "not_in_topology", &[("node", &me), ("remedy", &remedy)]);
        }
        self.topology.replace(Arc::new(next));
        self.send_snapshot();
    }

    fn refuse(&self, fields: control::log::LogFields<'_>) {
        self.topology_metrics.refused.increment();
        self.event(LogLevel::Error, "topology_refused", fields);
    }
}
