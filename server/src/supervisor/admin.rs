//! What the admin listener answers about an edge.
//!
//! **Invariants**: reads counters only; nothing here is asked of a data core.

use control::admin::{Admin, Page, PageRequest, Readiness};
use control::drain::State;
use control::metrics::{Build, Text};
use serde_json::Value;
use shardstore::cache::CacheStats;

use super::families as f;
use super::{Supervisor, key_page, status};
use crate::edge::metrics::CoreMetrics;

const BUILD: Build = Build { program: "corelane", version: env!("CARGO_PKG_VERSION") };

impl Admin for Supervisor {
    fn readiness(&self) -> Readiness {
        match self.state.get() {
            State::Serving => Readiness::Ready,
            State::Starting => Readiness::NotReady(vec!["the process is starting".to_owned()]),
            State::Draining { .. } => Readiness::NotReady(vec!["the process is draining".to_owned()]),
            State::Stopped(_) => Readiness::NotReady(vec!["the process has stopped".to_owned()]),
        }
    }

    fn metrics(&self, text: &mut Text) {
        if let Some(Ok(usage)) = self.usage.map(|read| read()) {
            usage.render(&BUILD, text);
        }
        for (core, metrics) in self.metrics.iter().enumerate() {
            render_core(core, metrics, text);
        }
        for (core, nodes) in &*self.nodes.borrow() {
            for node in nodes {
                text.sample(&f::NODE_UP, &[("core", core), ("node", &node.id)], u64::from(node.up));
            }
        }
        let epoch = self.snapshot().topology.as_ref().map_or(0, |topology| topology.epoch());
        text.sample(&f::EPOCH, &[], u64::from(epoch));
        text.sample(&f::RELOADS, &[("result", &"loaded")], self.reloads.get());
        text.sample(&f::RELOADS, &[("result", &"refused")], self.reloads_refused.get());
    }

    fn status(&self) -> Value {
        status::render(self)
    }

    fn config(&self) -> Value {
        self.effective.to_json()
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<Page> {
        key_page::page(self, request)
    }
}

fn render_core(core: usize, metrics: &CoreMetrics, text: &mut Text) {
    for (name, value) in metrics.counters() {
        match f::of_counter(name) {
            (family, "", _) => text.sample(family, &[("core", &core)], value),
            (family, label, word) => text.sample(family, &[("core", &core), (label, &word)], value),
        }
    }
    text.sample(&f::CONNECTIONS, &[("core", &core)], metrics.connections.value());
    text.sample(&f::BODY_BYTES, &[("core", &core)], metrics.body_bytes.value());
    text.sample(&f::FILLS, &[("core", &core)], metrics.fills_open.value());
    let shard = metrics.shard.stats();
    text.sample(&f::SHARD_ITEMS, &[("core", &core)], shard.items);
    for (kind, bytes) in CacheStats::BYTE_KINDS.iter().zip(shard.bytes()) {
        text.sample(&f::SHARD_BYTES, &[("core", &core), ("kind", &kind)], bytes);
    }
    for (event, count) in CacheStats::EVENTS.iter().zip(shard.events()) {
        text.sample(&f::SHARD_EVENTS, &[("core", &core), ("event", &event)], count);
    }
    for (ttl, bytes) in CacheStats::GROUPS.iter().zip(shard.bytes_by_group) {
        text.sample(&f::SHARD_TTL_BYTES, &[("core", &core), ("ttl", &ttl)], bytes);
    }
    for (queue, age_ms) in [("small", shard.oldest_small_ms), ("main", shard.oldest_main_ms)] {
        text.sample(&f::SHARD_OLDEST, &[("core", &core), ("queue", &queue)], age_ms / 1000);
    }
    render_reactor(core, metrics, text);
}

fn render_reactor(core: usize, metrics: &CoreMetrics, text: &mut Text) {
    let reactor = &metrics.reactor;
    let events = [
        ("pass", &reactor.passes),
        ("completion", &reactor.completions),
        ("send", &reactor.sends),
        ("starved", &reactor.starved),
        ("wake", &reactor.wakes),
        ("overflow", &reactor.overflows),
        ("held_back", &reactor.held_back),
        ("accept_error", &reactor.accept_errors),
    ];
    for (event, gauge) in events {
        text.sample(&f::REACTOR_EVENTS, &[("core", &core), ("event", &event)], gauge.value());
    }
    for (direction, gauge) in [("received", &reactor.received_bytes), ("sent", &reactor.sent_bytes)] {
        text.sample(&f::REACTOR_BYTES, &[("core", &core), ("direction", &direction)], gauge.value());
    }
    text.sample(&f::REACTOR_TASKS, &[("core", &core)], reactor.tasks.value());
    text.sample(&f::REACTOR_TIMERS, &[("core", &core)], reactor.timers.value());
}
