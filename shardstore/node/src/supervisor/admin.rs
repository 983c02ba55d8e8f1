//! What a node tells on its admin listener.
//!
//! **Not**: HTTP. **Invariants**: everything here is read from counters and from the control core's own state.
//!
//! **Source**: docs/metrics.md.

use control::admin::{Admin, Readiness};
use control::drain::State;
use control::metrics::{Build, Text, add_to_status};
use serde_json::{Value, json};
use shardstore::placement::NodeId;

use super::Supervisor;

const BUILD: Build = Build { program: "shardstored", version: env!("CARGO_PKG_VERSION") };

impl Supervisor {
    fn me(&self) -> NodeId {
        NodeId(u32::from(self.shared.settings.node_id))
    }

    fn core_status(&self, index: usize) -> Value {
        let mut core = serde_json::Map::from_iter([("id".to_owned(), index.into())]);
        add_to_status(&*self.metrics.cores[index], &mut core);
        core.into()
    }
}

impl Admin for Supervisor {
    fn readiness(&self) -> Readiness {
        match self.state.get() {
            State::Serving => Readiness::Ready,
            State::Starting => Readiness::NotReady(vec!["the node is starting".to_owned()]),
            State::Draining { .. } | State::Stopped(_) => Readiness::NotReady(vec!["the node is draining".to_owned()]),
        }
    }

    fn metrics(&self, text: &mut Text) {
        text.group(&[], &self.topology_metrics);
        for (index, core) in self.metrics.cores.iter().enumerate() {
            text.group(&[("core", &index)], &**core);
        }
        text.group(&[], self.config.metrics());
        if let Some(Ok(usage)) = self.usage.map(|read| read()) {
            usage.render(&BUILD, text);
        }
    }

    fn status(&self) -> Value {
        let topology = self.topology.borrow();
        let cores: Vec<Value> = (0..self.metrics.cores.len()).map(|index| self.core_status(index)).collect();
        json!({
            "program": BUILD.program,
            "version": BUILD.version,
            "node": self.shared.settings.node_id,
            "cluster": &*self.shared.cluster,
            "config_generation": self.config.generation(),
            "incarnation": self.shared.incarnation.to_string(),
            "listen": self.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "topology": {
                "epoch": topology.epoch(),
                "nodes": topology.nodes().len(),
                "slots_owned": topology.owned_slots(self.me()),
            },
            "connections": self.open_connections(),
            "cores": cores,
        })
    }

    fn config(&self) -> Value {
        self.config.to_json()
    }
}
