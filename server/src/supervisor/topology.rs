//! Reading the topology's file again: when asked, when it changes, and when a node knows a newer one.
//!
//! **Not**: taking a topology from a node. Its content comes from the file alone; a node that claims an epoch is a reason to read.
//!
//! **Invariants**: a bad file changes nothing and is logged with its line; a hint that the file does not bear out changes
//! nothing, and is logged once and counted.
//!
//! **Source**: docs/topology.md.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use control::lifecycle::ReloadCause;
use control::log::LogLevel;
use control::topology_file::{self, Follows, TopologySource, successor};
use shardstore::placement::Topology;

use super::Supervisor;
use crate::nodes::TopologyHint;

impl Supervisor {
    /// A node knows a newer topology: has ours read again.
    pub(super) fn follow_hint(&self, hint: TopologyHint) {
        if self.source.is_some() && hint.epoch > self.topology_epoch() {
            self.topology_metrics.hints.increment();
            self.hint.set(Some(hint));
            self.wishes.wish();
        }
    }

    fn log_behind(&self, source: &TopologySource, hint: TopologyHint) {
        let remedy = "give this process the file of that epoch; if there is none, look at that node";
        let fields: [(&'static str, &dyn Display); 5] = [
            ("node", &hint.node),
            ("claims", &hint.epoch),
            ("epoch", &self.topology_epoch()),
            ("file", &source.name),
            ("remedy", &remedy),
        ];
        self.event(LogLevel::Warn, "topology_behind", &fields);
    }

    fn topology_epoch(&self) -> u32 {
        self.snapshot().topology.as_ref().map_or(0, |topology| topology.epoch())
    }

    /// Takes the text of the topology's file.
    pub(super) fn adopt_topology(&self, text: io::Result<String>, cause: ReloadCause) {
        let Some(source) = &self.source else { return };
        match text {
            // What a node says of other files is no news of ours.
            Ok(text) if cause == ReloadCause::Peer && self.is_in_force(&text) => {}
            Ok(text) => self.take_topology(&text, &source.name),
            Err(error) => {
                self.topology_metrics.refused.increment();
                self.event(LogLevel::Error, "topology_refused", &[("file", &source.name), ("error", &error)]);
            }
        }
        if let Some(hint) = self.hint.take()
            && hint.epoch > self.topology_epoch()
            && self.hinted.replace(hint.epoch) != hint.epoch
        {
            self.log_behind(source, hint);
        }
    }

    fn is_in_force(&self, text: &str) -> bool {
        self.snapshot().topology.as_ref().is_some_and(|topology| topology.text() == text)
    }

    /// Checks a topology's text and puts it in force.
    fn take_topology(&self, text: &str, origin: &str) {
        let topology = match Topology::parse(text) {
            Ok(topology) => topology,
            Err(error) => {
                self.topology_metrics.refused.increment();
                for refusal in topology_file::refusals(origin, &error) {
                    self.event(LogLevel::Error, "topology_refused", &[("error", &refusal)]);
                }
                return;
            }
        };
        let current = self.snapshot().topology.clone();
        match current.as_ref().map_or(Ok(Follows::Newer), |current| successor(current, &topology)) {
            Ok(Follows::Newer) => {}
            Ok(Follows::Same) => {
                let fields: [(&'static str, &dyn Display); 2] = [("file", &origin), ("epoch", &topology.epoch())];
                self.event(LogLevel::Info, "topology_unchanged", &fields);
                return;
            }
            Err(refusal) => {
                self.topology_metrics.refused.increment();
                let refusal = format!("{origin}: {refusal}");
                self.event(LogLevel::Error, "topology_refused", &[("error", &refusal)]);
                return;
            }
        }
        self.topology_metrics.reloads.increment();
        self.event(LogLevel::Info, "topology_loaded", &[("from", &origin), ("epoch", &topology.epoch())]);
        self.put_in_force(self.snapshot().settings.clone(), Some(Arc::new(topology)));
    }
}
