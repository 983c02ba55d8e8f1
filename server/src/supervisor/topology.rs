//! Reading the topology's file again: when asked, when it changes, and when a node knows a newer one.
//!
//! **Not**: taking a topology from a node. Its content comes from the file alone; a node that claims an epoch is a reason to read.
//!
//! **Invariants**: a bad file changes nothing and is logged with its line; a hint that the file does not bear out changes
//! nothing, and is logged once and counted.
//!
//! **Source**: docs/topology.md.

use std::fmt::Display;
use std::sync::Arc;

use control::log::LogLevel;
use control::topology_file::{self, Follows, TopologySource, successor};
use shardstore::placement::Topology;

use super::Supervisor;
use crate::nodes::TopologyHint;

impl Supervisor {
    /// A node knows a newer topology: reads ours again.
    pub(super) fn follow_hint(&self, hint: TopologyHint) {
        let in_force = self.topology_epoch();
        let Some(source) = self.source.as_ref().filter(|_| hint.epoch > in_force) else { return };
        self.topology_metrics.hints.increment();
        let is_ours = |text: &String| self.snapshot().topology.as_ref().is_some_and(|topology| topology.text() == text);
        if !(source.read)().is_ok_and(|text| is_ours(&text)) {
            self.read_topology();
        }
        if hint.epoch > self.topology_epoch() && self.hinted.replace(hint.epoch) != hint.epoch {
            self.log_behind(source, hint);
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

    /// Reads the topology's file, if there is one.
    pub(super) fn read_topology(&self) {
        let Some(source) = &self.source else { return };
        match (source.read)() {
            Ok(text) => self.take_topology(&text, &source.name),
            Err(error) => {
                self.topology_metrics.refused.increment();
                self.event(LogLevel::Error, "topology_refused", &[("file", &source.name), ("error", &error)]);
            }
        }
    }

    /// Checks a topology's text and puts it in force.
    fn take_topology(&self, text: &str, origin: &str) {
        let topology = match Topology::parse(text) {
            Ok(topology) => topology,
            Err(error) => {
                self.topology_metrics.refused.increment();
                let refusal = topology_file::refusal(origin, &error);
                self.event(LogLevel::Error, "topology_refused", &[("error", &refusal)]);
                return;
            }
        };
        let current = self.snapshot().topology.clone();
        match current.as_ref().map_or(Ok(Follows::Newer), |current| successor(current, &topology)) {
            Ok(Follows::Newer) => {}
            Ok(Follows::Same) => return,
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
