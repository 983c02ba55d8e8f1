//! What the tasks of a data core share that no request needs: those that receive messages, and the one that reports.
//!
//! **Not** what requests are served with: services and frontends hold what they need of it themselves.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use corelane_tls::handshake::drive::Handshakes;
use reactor::{CoreId, Reactor};

use super::storage::Storage;
use crate::access_log::Recorder;
use crate::connections::Connections;
use crate::exchange::memory::ConnectionMemory;
use crate::handshakes::gate_limits;
use crate::hot_keys::HotKeys;
use crate::metrics::CoreMetrics;
use crate::snapshot::{CurrentSnapshot, Snapshot};

pub(super) struct Core {
    pub(super) reactor: Reactor,
    pub(super) snapshot: Rc<CurrentSnapshot>,
    pub(super) storage: Storage,
    pub(super) memory: ConnectionMemory,
    pub(super) connections: Rc<Connections>,
    pub(super) recorder: Rc<Recorder>,
    pub(super) hot_keys: Rc<RefCell<HotKeys>>,
    pub(super) handshakes: Rc<Handshakes>,
    pub(super) metrics: Arc<CoreMetrics>,
}

impl Core {
    /// Decides by another snapshot from now on.
    pub(super) fn adopt(&self, next: &Snapshot) {
        assert!(next.generation > self.snapshot.get().generation, "snapshots come in the order they were made in");
        self.memory.adopt(&next.settings.limits);
        self.storage.adopt(next);
        self.handshakes.set_limits(gate_limits(&next.settings.tls));
        self.recorder.adopt(&next.settings.access_log);
        self.snapshot.replace(next);
    }

    /// The control core of this process.
    pub(super) fn control(&self) -> CoreId {
        self.storage.store.cores().control()
    }
}
