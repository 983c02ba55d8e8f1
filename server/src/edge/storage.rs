//! A core's items: its shard and the other cores', the tiers over them, and the nodes behind.
//!
//! **Not** what requests make of them: that is for services.

use std::rc::Rc;
use std::sync::Arc;

use corelane_tls::handshake::drive::Handshakes;
use reactor::Reactor;
use shardstore::key::KeyHasher;
use store_runtime::fills::FillBounds;
use store_runtime::mail::CoreMail;
use store_runtime::store::{ShardPlan, Store};
use store_runtime::tiers::{StoreEvent, TierBounds, TierPlan, Tiers};

use super::plan::CorePlan;
use crate::message::Message;
use crate::metrics::CoreMetrics;
use crate::nodes::Links;
use crate::nodes::{Cluster, ClusterOptions};
use crate::services::kv::store::KvStore;
use crate::snapshot::{CurrentSnapshot, Snapshot};

/// Requests of one core that may wait for others. A connection has one of them at a time, and no core has this many.
const HOPS_MAX: usize = 1 << 20;

pub(super) struct Storage {
    /// This core's shard, and the other cores'.
    pub(super) store: Rc<Store>,
    /// The store as requests see it that take more than a poll.
    pub(super) tiers: Rc<Tiers<Cluster, Message>>,
    /// `None` in embedded mode.
    pub(super) cluster: Option<Rc<Cluster>>,
    pub(super) mail: Rc<CoreMail<Message>>,
    hasher: KeyHasher,
}

impl Storage {
    /// # Errors
    /// The operator's: no memory for the shard.
    pub(super) fn start(reactor: &Reactor, plan: CorePlan, handshakes: &Rc<Handshakes>) -> std::io::Result<Self> {
        let snapshot = &*plan.snapshot;
        let shard = ShardPlan {
            limit_bytes: plan.shard_bytes,
            commit: snapshot.settings.memory_commit,
            hasher: plan.hasher,
            region: snapshot.settings.region,
            published: plan.shards,
        };
        let store = Rc::new(Store::start(reactor, shard)?);
        let cluster = snapshot.topology.as_ref().map(|topology| {
            let options = cluster_options(snapshot, plan.cores, plan.incarnation);
            let links = Links::new(handshakes, &snapshot.security.cluster, &snapshot.settings.cluster);
            Cluster::new(reactor.clone(), options, Arc::clone(&plan.metrics), (topology, plan.names.clone(), links))
        });
        let mail = CoreMail::start(reactor, plan.mailbox)?;
        let tiers = TierPlan {
            store: Rc::clone(&store),
            mail: Rc::clone(&mail),
            behind: cluster.clone(),
            bounds: tier_bounds(snapshot),
            hops_max: HOPS_MAX,
            note: note_into(&plan.metrics),
        };
        Ok(Storage { tiers: Tiers::new(reactor, tiers), store, cluster, mail, hasher: plan.hasher })
    }

    /// The store as the key-value service sees it.
    pub(super) fn for_kv(&self, reactor: &Reactor, snapshot: &Rc<CurrentSnapshot>) -> KvStore {
        KvStore {
            reactor: reactor.clone(),
            snapshot: Rc::clone(snapshot),
            hasher: self.hasher,
            store: Rc::clone(&self.store),
            tiers: Rc::clone(&self.tiers),
            is_authority: self.cluster.is_none(),
        }
    }

    /// Decides by another snapshot from now on.
    pub(super) fn adopt(&self, next: &Snapshot) {
        self.tiers.set_bounds(tier_bounds(next));
        if let (Some(cluster), Some(topology)) = (&self.cluster, &next.topology) {
            let options = cluster_options(next, self.store.cores().cores(), cluster.shared.options.get().incarnation);
            cluster.shared.options.set(options);
            cluster.shared.links.adopt(&next.security.cluster, &next.settings.cluster);
            cluster.install(topology);
        }
    }
}

fn tier_bounds(snapshot: &Snapshot) -> TierBounds {
    let Snapshot { settings, .. } = snapshot;
    TierBounds {
        fills: FillBounds {
            fills_max: settings.limits.fills_per_core,
            waiters_max: settings.limits.waiters_per_fill,
            edge_ttl: settings.edge_ttl,
        },
        retry_time: settings.upstream.request_timeout / 2,
        fetch_bytes_max: settings.limits.body_memory_bytes,
    }
}

/// Counts what happens to requests.
fn note_into(metrics: &Arc<CoreMetrics>) -> Box<dyn Fn(StoreEvent)> {
    let metrics = Arc::clone(metrics);
    Box::new(move |event| match event {
        StoreEvent::Hop => metrics.hops.increment(),
        StoreEvent::HopRefused => metrics.hops_refused.increment(),
        StoreEvent::Fill => metrics.fills.increment(),
        StoreEvent::FillCoalesced => metrics.reads_coalesced.increment(),
    })
}

fn cluster_options(snapshot: &Snapshot, cores: u16, incarnation: u64) -> ClusterOptions {
    let upstream = &snapshot.settings.upstream;
    ClusterOptions {
        connect_timeout: upstream.connect_timeout,
        connections_per_node: upstream.connections_per_node,
        queue_per_node: upstream.queue_per_node,
        breaker_failures: upstream.breaker_failures,
        breaker_probe_time: upstream.breaker_probe_time,
        request_timeout: upstream.request_timeout,
        cores,
        incarnation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_the_store_has_its_own_count() {
        let metrics = Arc::new(CoreMetrics::default());
        let note = note_into(&metrics);
        let events = [StoreEvent::Hop, StoreEvent::HopRefused, StoreEvent::Fill, StoreEvent::FillCoalesced];
        for (index, event) in events.into_iter().enumerate() {
            (0..=index).for_each(|_| note(event));
        }
        let counts = [&metrics.hops, &metrics.hops_refused, &metrics.fills, &metrics.reads_coalesced];
        assert_eq!(counts.map(control::metrics::Counter::value), [1, 2, 3, 4]);
    }

    #[test]
    fn settings_bound_what_they_say() {
        let text = "edge_ttl = \"2s\"\n[limits]\nfills_per_core = 7\nwaiters_per_fill = 8\n[upstream]\n\
            request_timeout = \"3s\"\nconnect_timeout = \"40ms\"\nconnections_per_node = 5\nqueue_per_node = 6\n\
            breaker_failures = 9\nbreaker_probe_time = \"70ms\"\n";
        let snapshot = crate::snapshot::fixture::snapshot(1, text);
        let TierBounds { fills, retry_time, fetch_bytes_max } = tier_bounds(&snapshot);
        assert_eq!((fills.fills_max, fills.waiters_max, fills.edge_ttl.as_secs()), (7, 8, 2));
        assert_eq!(fetch_bytes_max, snapshot.settings.limits.body_memory_bytes);
        assert_eq!(retry_time.as_millis(), 1_500, "a request that is repeated has half its time left");
        let options = cluster_options(&snapshot, 3, 11);
        let times = [options.request_timeout, options.connect_timeout, options.breaker_probe_time];
        assert_eq!(times.map(|time| time.as_millis()), [3_000, 40, 70]);
        assert_eq!((options.connections_per_node, options.queue_per_node, options.breaker_failures), (5, 6, 9));
        assert_eq!((options.cores, options.incarnation), (3, 11));
    }
}
