//! A data core of the edge: what it is made of, and the tasks that run on it.
//!
//! ```text
//!  start ─┬─ Storage: shard, tiers, nodes ──▶ KvStore ─▶ services ─▶ frontend ─▶ listener
//!         └─ Core: storage, memory, connections ──▶ mail (messages, draining), report
//! ```
//!
//! **Not** shared: other cores reach it by message only.
//!
//! **Invariants**: no borrow of its tables is held across an `await`.

mod core;
mod mail;
mod plan;
mod report;
mod storage;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use corelane_tls::handshake::drive::Handshakes;
use reactor::Reactor;

use self::core::Core;
use crate::access_log::Recorder;
use crate::connections::Connections;
use crate::exchange::memory::ConnectionMemory;
use crate::frontend::h1::{H1, H1Parts};
use crate::handshakes::gate_limits;
use crate::hot_keys::HotKeys;
use crate::listener::Acceptor;
use crate::services::Services;
use crate::services::challenge::ChallengeService;
use crate::services::gateway::GatewayService;
use crate::services::kv::KvService;
use crate::snapshot::CurrentSnapshot;
pub(crate) use plan::CorePlan;
use storage::Storage;

/// Makes a data core and starts its tasks.
///
/// # Errors
/// The operator's: no memory for the shard, or an address that cannot be listened on.
pub(crate) fn start(reactor: &Reactor, mut plan: CorePlan) -> std::io::Result<()> {
    let metrics = Arc::clone(&plan.metrics);
    let snapshot = Rc::new(CurrentSnapshot::new(&plan.snapshot));
    let memory = ConnectionMemory::new(&plan.snapshot.settings.limits);
    let access_log = plan.access_log.take();
    let recorder = Rc::new(Recorder::new(reactor, access_log, &plan.snapshot.settings.access_log, &metrics));
    let (listening, cpus, connections_max) =
        (Arc::clone(&plan.listening), Arc::clone(&plan.cpus), plan.connections_max);
    let handshakes = Handshakes::new(reactor, gate_limits(&plan.snapshot.settings.tls), &plan.clock);
    let handshakes = Rc::new(handshakes);
    let storage = Storage::start(reactor, plan, &handshakes)?;
    let connections = Connections::new(reactor, &metrics, connections_max);

    let hot_keys = Rc::new(RefCell::new(HotKeys::new()));
    let services = Services {
        kv: KvService::new(storage.for_kv(reactor, &snapshot), &memory, &metrics),
        challenge: ChallengeService::new(&snapshot),
        gateway: GatewayService::new(&snapshot),
    };
    let h1 = H1::new(
        &H1Parts {
            reactor,
            snapshot: &snapshot,
            connections: &connections,
            recorder: &recorder,
            metrics: &metrics,
            heads_in_part: &memory.heads_in_part,
            hot_keys: &hot_keys,
        },
        services,
    );
    Acceptor::new(reactor, &snapshot, &connections, &metrics, (h1, &handshakes)).start(&listening, &cpus)?;

    let core = Rc::new(Core {
        reactor: reactor.clone(),
        snapshot,
        storage,
        memory,
        connections,
        recorder,
        hot_keys,
        handshakes,
        metrics,
    });
    mail::start(&core)?;
    report::start(&core)
}
