//! What the admin listener answers about an edge.
//!
//! **Invariants**: reads counters only; nothing here is asked of a data core.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use control::admin::{Admin, AdminPage, DrainCommand, PageRequest, Readiness};
use control::lame_duck::DrainScene;
use control::log::LogLevel;
use control::metrics::reference::ReferenceTable;
use control::metrics::{Family, Kind, Label, Latency, Series, Text, latencies};
use control::security::{certificate_metrics, certificate_warnings};
use corelane_tls::store::ServerSnapshot;
use serde_json::Value;

use super::acme::AcmeMetrics;
use super::status::BUILD;
use super::{Supervisor, explain_page, status};
use crate::access_log::AccessLogMetrics;
use crate::metrics::CoreMetrics;
use crate::nodes::NodeState;

const NODE_UP: Family = Family::gauge(
    "corelane_upstream_node_up",
    &[Label::open("node")],
    "1 if this core's breaker for the node is closed, else 0.",
);

const CALL_DURATION: Family = Family::declared(
    "corelane_upstream_call_duration_seconds",
    Kind::Histogram,
    &[Label::open("node")],
    "From a call to the node being begun to its response, over all cores; also calls that were lost or had none in time.",
);

impl Admin for Supervisor {
    fn readiness(&self) -> Readiness {
        let missing = self.topology.is_clustered().then(|| missing(&self.nodes.borrow())).flatten().map(str::to_owned);
        let missing = self.duck.reason().into_iter().chain(missing).collect();
        self.heartbeats.readiness(self.state.get(), self.reactor.now(), missing)
    }

    fn security(&self) -> Option<Arc<ServerSnapshot>> {
        self.snapshot().security.cluster.admin.clone()
    }

    fn warnings(&self) -> Vec<String> {
        let snapshot = self.snapshot();
        let (now, warning) = (self.reactor.wall_ms() / 1_000, snapshot.settings.tls.expiry_warning);
        let keys = snapshot.settings.tls.key_log.as_ref();
        let logged =
            keys.map(|path| format!("the secrets of all connections are written to {} (tls.key_log)", path.display()));
        let mut warnings = certificate_warnings(snapshot.security.lasting_certificates(), now, warning);
        let orders = snapshot.settings.orders();
        warnings.extend(self.acme.warnings(|name| snapshot.security.is_temporary(name), orders.as_ref()));
        warnings.extend(logged);
        warnings
    }

    fn note_refused(&self, peer: &str, error: &dyn Display) {
        self.event(LogLevel::Warn, "operator_refused", &[("peer", &peer), ("error", error)]);
    }

    fn metrics(&self, text: &mut Text) {
        text.group(&[], self.security.metrics());
        let security = Arc::clone(&self.snapshot().security);
        certificate_metrics(security.lasting_certificates(), text);
        text.group(&[], self.acme.metrics(security.temporary_count()));
        if let Some(Ok(usage)) = self.usage.map(|read| read()) {
            usage.render(&BUILD, text);
            self.memory_bound().render(self.host_memory.as_ref(), text);
        }
        text.group(&[], self.topology.metrics());
        text.group(&[], self.clock.metrics());
        self.log.metrics(text);
        self.duck.metrics(text);
        if let Some(access_log) = &self.access_log {
            text.group(&[], access_log.metrics());
        }
        for (core, metrics) in self.metrics.iter().enumerate() {
            text.group(&[("core", &core)], &**metrics);
        }
        for (core, nodes) in &*self.nodes.borrow() {
            for node in nodes {
                text.sample(&NODE_UP, &[("core", core), ("node", &node.id)], u64::from(node.up));
            }
        }
        text.latencies(&self.latencies());
        text.group(&[], self.config.metrics());
    }

    fn status(&self) -> Value {
        status::render(self)
    }

    fn hosts(&self) -> Option<String> {
        self.snapshot().settings.admin_hosts.clone()
    }

    fn config(&self) -> Value {
        self.config.to_json()
    }

    fn command(&self, command: DrainCommand) -> AdminPage {
        let scene = DrainScene {
            reactor: &self.reactor,
            lame_duck: self.snapshot().settings.lame_duck,
            connections: self.open_connections(),
            event: &|level, event, fields| self.event(level, event, fields),
        };
        self.duck.command(command, &scene)
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<AdminPage> {
        explain_page::page(request, &self.snapshot().routes).or_else(|| control::admin::key_page(request, self))
    }
}

impl Supervisor {
    /// How long requests and calls took, over all cores.
    pub(super) fn latencies(&self) -> Vec<Series> {
        let mut merged = latencies(self.metrics.iter().map(|metrics| &**metrics));
        merged.extend(call_latencies(&self.nodes.borrow()));
        merged
    }
}

/// How long calls to each node took, over the cores that call it.
fn call_latencies(nodes: &BTreeMap<u16, Vec<NodeState>>) -> Vec<Series> {
    let mut by_node: BTreeMap<u32, Latency> = BTreeMap::new();
    for state in nodes.values().flatten() {
        by_node.entry(state.id).or_default().merge(&state.calls.0);
    }
    let of_node =
        |(id, latency): (u32, Latency)| Series { family: &CALL_DURATION, word: Some(id.to_string()), latency };
    by_node.into_iter().map(of_node).collect()
}

/// Why no request can be served by nodes in these states, as each core sees them.
fn missing(nodes: &BTreeMap<u16, Vec<NodeState>>) -> Option<&'static str> {
    let mut reached = nodes.values().flatten().filter(|node| node.connections > 0).peekable();
    if reached.peek().is_none() {
        return Some("no node of the topology can be reached");
    }
    reached.all(|node| node.is_behind).then_some(
        "every node that can be reached has an older topology than this edge, and refuses its requests; the nodes need the newer file",
    )
}

/// What an edge counts beside what every process counts, as docs/metrics.md lists it.
#[must_use]
pub fn metric_tables() -> Vec<ReferenceTable> {
    let mut edge = ReferenceTable::of_own::<CoreMetrics>("edge", true);
    edge.families.extend([&NODE_UP, &CALL_DURATION]);
    vec![
        edge,
        ReferenceTable::of_own::<AccessLogMetrics>("access log", false),
        ReferenceTable::of_own::<AcmeMetrics>("acme", false),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use control::metrics::reference::refreshed;

    use super::*;
    use crate::nodes::CallTimes;

    fn state(id: u32, connections: usize, is_behind: bool) -> NodeState {
        NodeState { id, up: true, connections, error: None, is_behind, calls: CallTimes::default() }
    }

    #[test]
    fn calls_of_all_cores_count_for_their_node() {
        let nodes: BTreeMap<u16, Vec<NodeState>> =
            (0..3).map(|core| (core, vec![state(1, 1, false), state(2, 1, false)])).collect();
        for (core, states) in &nodes {
            states[0].calls.0.record_times(Duration::from_millis(1), u64::from(*core) + 1);
            states[1].calls.0.record(Duration::from_millis(2));
        }
        let found = call_latencies(&nodes);
        let counts: Vec<_> = found.iter().map(|series| (series.word.as_deref(), series.latency.count())).collect();
        assert_eq!(counts, [(Some("1"), 6), (Some("2"), 3)]);
        assert!(call_latencies(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn an_edge_is_ready_while_one_node_that_it_reaches_is_as_new_as_it_is() {
        let state = |connections, is_behind| state(1, connections, is_behind);
        let unreached = Some("no node of the topology can be reached");
        let cases: [(&[NodeState], bool); 4] = [
            (&[state(1, false), state(1, true)], true),
            (&[state(1, true), state(2, true)], false),
            (&[state(1, true), state(0, false)], false),
            (&[state(1, false), state(0, true)], true),
        ];
        for (states, is_ready) in cases {
            let by_core = states.iter().map(|state| vec![state.clone()]);
            let found = missing(&(0..).zip(by_core).collect());
            assert_eq!((found.is_none(), found == unreached), (is_ready, false), "{states:?}");
        }
        assert_eq!(missing(&BTreeMap::new()), unreached);
        assert_eq!(missing(&BTreeMap::from([(0, vec![state(0, false)])])), unreached);
    }

    #[test]
    fn the_reference_of_metrics_is_up_to_date() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let found = std::fs::read_to_string(document).unwrap();
        let tables = metric_tables();
        assert_eq!(tables.iter().map(|table| table.name).collect::<Vec<_>>(), ["edge", "access log", "acme"]);
        let expected = refreshed(&found, &tables).expect("docs/metrics.md has all markers");
        control::metrics::reference::assert_same(document, &found, &expected);
    }
}
