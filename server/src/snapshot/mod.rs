//! What a data core decides by: settings that can change while the process runs, what is made from them, and the topology.
//!
//! ```text
//!  control core: settings, topology ─▶ Arc<Snapshot> ── by message ──▶ data core: Rc<Snapshot>, swapped whole
//! ```
//!
//! A data core keeps a copy of its own behind an `Rc`, so that no request writes a count that another core writes too.
//! What runs in one poll borrows it; what awaits holds the `Rc`, and ends by the settings it began with.
//!
//! **Not**: what is fixed when the process starts; keys that need a restart keep their first value in here.
//!
//! **Invariants**: immutable; a later snapshot of a process has a higher generation.

#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod keyspaces;

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use corelane_gateway::RouteTable;
use corelane_http::MessageLimits;
use shardstore::placement::Topology;

use crate::security::Security;
use crate::settings::EdgeSettings;
use crate::settings::gateway::{self, route_table};
use keyspaces::Keyspaces;

/// Everything data cores decide by, as of one moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// Counts the snapshots of this process, from 1.
    pub(crate) generation: u64,
    pub(crate) settings: EdgeSettings,
    /// What heads and bodies of requests are held to.
    pub(crate) head_limits: MessageLimits,
    pub(crate) keyspaces: Keyspaces,
    /// Which service a request is for.
    pub(crate) routes: Arc<RouteTable>,
    /// `None` in embedded mode.
    pub(crate) topology: Option<Arc<Topology>>,
    /// Who it is to clients and nodes, and whom it trusts.
    pub(crate) security: Arc<Security>,
}

impl Snapshot {
    pub(crate) fn new(
        generation: u64,
        settings: EdgeSettings,
        topology: Option<Arc<Topology>>,
        security: Arc<Security>,
    ) -> Self {
        Snapshot {
            generation,
            head_limits: head_limits(&settings),
            keyspaces: Keyspaces::new(&settings),
            routes: Arc::new(route_table(&settings)),
            settings,
            topology,
            security,
        }
    }

    /// What follows this snapshot; routes that have not changed are not compiled again.
    pub(crate) fn followed_by(
        &self,
        generation: u64,
        settings: EdgeSettings,
        topology: Option<Arc<Topology>>,
        security: Arc<Security>,
    ) -> Self {
        if !gateway::are_same(&self.settings, &settings) {
            return Snapshot::new(generation, settings, topology, security);
        }
        Snapshot {
            generation,
            head_limits: head_limits(&settings),
            keyspaces: Keyspaces::new(&settings),
            routes: Arc::clone(&self.routes),
            settings,
            topology,
            security,
        }
    }
}

fn head_limits(settings: &EdgeSettings) -> MessageLimits {
    let limits = &settings.limits;
    MessageLimits {
        head_bytes_max: u32::try_from(limits.header_bytes).unwrap_or(u32::MAX),
        field_count_max: u16::try_from(limits.header_count).unwrap_or(u16::MAX),
        target_bytes_max: u32::try_from(limits.target_bytes).unwrap_or(u32::MAX),
        body_bytes_max: limits.body_bytes as u64,
        ..MessageLimits::default()
    }
}

/// The snapshot that a data core decides by now.
pub(crate) struct CurrentSnapshot {
    current: RefCell<Rc<Snapshot>>,
    /// Whether the KV API is on some hosts only: read for every request.
    narrows_kv: Cell<bool>,
}

impl CurrentSnapshot {
    pub(crate) fn new(first: &Snapshot) -> Self {
        let narrows_kv = Cell::new(first.routes.narrows_kv());
        CurrentSnapshot { current: RefCell::new(Rc::new(first.clone())), narrows_kv }
    }

    /// Not for use across an `await`, nor while a snapshot may come: see [`Self::hold`].
    #[inline(always)]
    pub(crate) fn get(&self) -> Ref<'_, Snapshot> {
        Ref::map(self.current.borrow(), |snapshot| &**snapshot)
    }

    /// The same for as long as the caller wants it.
    pub(crate) fn hold(&self) -> Rc<Snapshot> {
        Rc::clone(&self.current.borrow())
    }

    /// Decides by another snapshot from now on.
    pub(crate) fn replace(&self, next: &Snapshot) {
        self.narrows_kv.set(next.routes.narrows_kv());
        self.current.replace(Rc::new(next.clone()));
    }

    /// Whether the KV API is on some hosts only.
    #[inline(always)]
    pub(crate) fn narrows_kv(&self) -> bool {
        self.narrows_kv.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_held_to_what_the_settings_say() {
        let text =
            "[limits]\nheader_bytes = \"2KiB\"\nheader_count = 17\ntarget_bytes = \"1KiB\"\nbody_bytes = \"3KiB\"\n";
        let limits = fixture::snapshot(1, text).head_limits;
        let bounds = (limits.head_bytes_max, limits.field_count_max, limits.target_bytes_max, limits.body_bytes_max);
        assert_eq!(bounds, (2048, 17, 1024, 3072));
    }

    #[test]
    fn where_the_kv_api_is_follows_the_snapshot_and_routes_are_compiled_when_they_change() {
        let narrowed = fixture::snapshot(1, "[kv]\nhosts = [\"a.example\"]\n");
        let current = CurrentSnapshot::new(&narrowed);
        assert!(current.narrows_kv());
        current.replace(&fixture::snapshot(2, ""));
        assert!(!current.narrows_kv());
        current.replace(&narrowed);
        assert!(current.narrows_kv());
        let follows = |settings: EdgeSettings| narrowed.followed_by(2, settings, None, Arc::default());
        assert!(Arc::ptr_eq(&follows(narrowed.settings.clone()).routes, &narrowed.routes));
        assert!(!follows(fixture::snapshot(2, "").settings).routes.narrows_kv());
    }

    #[test]
    fn what_holds_a_snapshot_keeps_it_and_others_see_the_next() {
        let current = CurrentSnapshot::new(&fixture::snapshot(1, ""));
        let held = current.hold();
        current.replace(&fixture::snapshot(2, ""));
        assert_eq!((held.generation, current.get().generation, current.hold().generation), (1, 2, 2));
    }
}
