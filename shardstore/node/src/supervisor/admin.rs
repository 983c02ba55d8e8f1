//! What a node reports on its admin listener.
//!
//! **Not**: HTTP. **Invariants**: everything here is read from counters and from the control core's own state.
//!
//! **Source**: docs/metrics.md.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use control::activity;
use control::admin::{Admin, AdminPage, DrainCommand, KeyDescriptions, PageRequest, Readiness};
use control::lame_duck::DrainScene;
use control::log::LogLevel;
use control::metrics::{Build, Series, Text, add_to_status, latencies, latency_status};
use control::security::{certificate_metrics, certificate_status, certificate_warnings};
use corelane_tls::store::ServerSnapshot;
use serde_json::{Map, Value, json};
use shardstore::placement::NodeId;
use store_runtime::key_facts;

use super::NodeSupervisor;

/// How long before its end a certificate is warned of.
const EXPIRY_WARNING: Duration = Duration::from_secs(7 * 86_400);

const BUILD: Build = Build::of("shardstored");

impl NodeSupervisor {
    pub(super) fn me(&self) -> NodeId {
        NodeId(u32::from(self.shared.settings.node_id))
    }

    /// How long requests took, over all cores.
    fn latencies(&self) -> Vec<Series> {
        latencies(self.metrics.cores.iter().map(|core| &**core))
    }

    fn core_status(&self, index: usize) -> Value {
        let mut core = serde_json::Map::from_iter([("id".to_owned(), index.into())]);
        add_to_status(&*self.metrics.cores[index], &mut core);
        core.into()
    }
}

impl Admin for NodeSupervisor {
    fn readiness(&self) -> Readiness {
        self.heartbeats.readiness(self.state.get(), self.reactor.now(), self.duck.reason().into_iter().collect())
    }

    fn warnings(&self) -> Vec<String> {
        let now_s = self.reactor.wall_ms() / 1_000;
        certificate_warnings(self.security.borrow().certificates(), now_s, EXPIRY_WARNING)
    }

    fn security(&self) -> Option<Arc<ServerSnapshot>> {
        self.security.borrow().admin.clone()
    }

    fn note_refused(&self, peer: &str, error: &dyn Display) {
        self.event(LogLevel::Warn, "operator_refused", &[("peer", &peer), ("error", error)]);
    }

    fn metrics(&self, text: &mut Text) {
        text.group(&[], self.security_files.metrics());
        certificate_metrics(self.security.borrow().certificates(), text);
        text.group(&[], self.topology_file.metrics());
        text.group(&[], self.clock.metrics());
        self.log.metrics(text);
        self.duck.metrics(text);
        for (index, core) in self.metrics.cores.iter().enumerate() {
            text.group(&[("core", &index)], &**core);
        }
        text.latencies(&self.latencies());
        text.group(&[], self.config.metrics());
        if let Some(Ok(usage)) = self.usage.map(|read| read()) {
            usage.render(&BUILD, text);
            self.memory_bound().render(self.host_memory.as_ref(), text);
        }
    }

    fn status(&self) -> Value {
        let topology = self.topology.borrow();
        let cores: Vec<Value> = (0..self.metrics.cores.len()).map(|index| self.core_status(index)).collect();
        let mut status = json!({
            "program": BUILD.program,
            "version": BUILD.version,
            "commit": BUILD.commit,
            "profile": BUILD.profile,
            "control_cpu": self.process.control_cpu,
            "drain": self.duck.to_json(self.reactor.now(), self.settings.borrow().lame_duck),
            "state": self.state.get().word(),
            "node": self.shared.settings.node_id,
            "cluster": &*self.shared.cluster,
            "config_generation": self.config.generation(),
            "totals": self.activity.render(self.reactor.now(), self.metrics.totals()),
            "latency": latency_status(&self.latencies()),
            "memory": self.memory_bound().to_json(self.host_memory.as_ref()),
            "warnings": self.log.recent(),
            "tls": { "certificates": certificate_status(self.security.borrow().certificates()) },
            "incarnation": self.shared.incarnation.to_string(),
            "listen": self.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "topology": {
                "epoch": topology.epoch(),
                "slots_owned": topology.owned_slots(self.me()),
                "dropped": self.dropped.borrow().to_json(),
                "nodes": topology.nodes().iter().map(|node| json!({
                    "id": node.id.0,
                    "address": node.address.to_string(),
                    "slots": topology.owned_slots(node.id),
                })).collect::<Vec<_>>(),
            },
            "cores": cores,
        });
        if let Some(Ok(usage)) = self.usage.map(|read| read()) {
            status["process"] = activity::process(&usage);
        }
        status
    }

    fn hosts(&self) -> Option<String> {
        self.settings.borrow().admin_hosts.clone()
    }

    fn config(&self) -> Value {
        self.config.to_json()
    }

    fn command(&self, command: DrainCommand) -> AdminPage {
        let scene = DrainScene {
            reactor: &self.reactor,
            lame_duck: self.settings.borrow().lame_duck,
            connections: self.open_connections(),
            event: &|level, event, fields| self.event(level, event, fields),
        };
        self.duck.command(command, &scene)
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<AdminPage> {
        control::admin::key_page(request, self)
    }
}

impl KeyDescriptions for NodeSupervisor {
    fn has_keyspace(&self, _: &str) -> bool {
        // Keyspaces are declared at edges; a node stores what it is sent.
        true
    }

    fn describe(&self, stored: &[u8]) -> Result<Map<String, Value>, &'static str> {
        let hash = self.hasher.hash(stored);
        let node = self.topology.borrow().owner(hash.slot()).id.0;
        key_facts::describe(&self.shards, (hash, stored), Some(node), self.reactor.steady_ms())
    }
}
