//! The topology of a running process: when its file is read again, what of it is put in force, and what peers claim.
//!
//! ```text
//!  hint of a peer ─▶ wish ─┐
//!  SIGHUP, change ─────────┴─▶ text ─▶ parse ─▶ does it follow? ─▶ TopologyUser::put_topology
//!                                       └──────────┴─▶ refused: log with line and remedy, counter
//!                                  still older than the hint ─▶ `topology_behind`, once an epoch
//! ```
//!
//! **Not**: reading, which is [`TopologySource`]'s; nor what a binary makes of a new topology. Nothing is taken from a peer: one
//! that claims an epoch is a reason to read the file.
//!
//! **Invariants**: a topology that does not follow the one in force changes nothing, and is logged and counted; a hint that the file
//! does not bear out changes nothing, and is logged once.
//!
//! **Source**: docs/topology.md; docs/wire.md, "Epochs and placement".

use std::{cell::Cell, fmt::Display, io, sync::Arc};

use reactor::Reactor;
use shardstore::placement::{NodeId, Topology};

use crate::{
    lifecycle::{Contents, PendingRead, ReloadCause, TopologyWishes},
    log::{LogFields, LogLevel},
    metrics::TopologyMetrics,
    reading::PendingFiles,
    topology_file::{Follows, TopologySource, refusals, successor},
    watch::Mark,
};

/// What the operator does about a file that was refused.
const REFUSED_REMEDY: &str = "correct the file and send SIGHUP; the topology in force stays";

/// What the operator does about a claim that the file does not bear out.
const BEHIND_REMEDY: &str =
    "give this process the file of that epoch; if there is none, look at the peer that claims it";

/// What a peer has said about the topology: it has, or has seen, a newer one than ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologyHint {
    /// Which node, if it is one.
    pub node: Option<NodeId>,
    /// The epoch it claims.
    pub epoch: u32,
}

/// A process that works by a topology, on its control core.
pub trait TopologyUser {
    /// The topology in force; none in embedded mode.
    fn topology(&self) -> Option<Arc<Topology>>;

    /// Puts `next` in force. It follows the one in force, and takes `slots_lost` slots from this process.
    fn put_topology(&self, next: Arc<Topology>, slots_lost: u64);

    /// Logs an event.
    fn log_topology(&self, level: LogLevel, event: &str, fields: LogFields<'_>);
}

/// The topology's file of a running process. Owned by the control core.
pub struct TopologyReloader {
    /// None in embedded mode.
    source: Option<TopologySource>,
    /// What this process is in the topology, if it owns slots.
    me: Option<NodeId>,
    metrics: TopologyMetrics,
    /// What peers have made us look for.
    wishes: TopologyWishes,
    /// The highest claim that the file was not read for yet.
    hint: Cell<Option<TopologyHint>>,
    /// The last epoch that was reported as claimed and not in the file.
    reported: Cell<u32>,
}

impl TopologyReloader {
    /// A reloader of `source`; `in_force` is what was read of it at the start.
    #[must_use]
    pub fn new(
        reactor: &Reactor,
        source: Option<TopologySource>,
        me: Option<NodeId>,
        in_force: Option<&Topology>,
    ) -> Self {
        let reloader = Self {
            source,
            me,
            metrics: TopologyMetrics::default(),
            wishes: TopologyWishes::new(reactor),
            hint: Cell::new(None),
            reported: Cell::new(0),
        };
        if let Some(topology) = in_force {
            reloader.publish(topology);
        }
        reloader
    }

    /// Whether there is a topology at all.
    #[must_use]
    pub fn is_clustered(&self) -> bool {
        self.source.is_some()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &TopologyMetrics {
        &self.metrics
    }

    /// What peers wish.
    #[must_use]
    pub fn wishes(&self) -> &TopologyWishes {
        &self.wishes
    }

    /// How the file is called in messages; empty in embedded mode.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.as_ref().map_or("", |source| &source.name)
    }

    /// The marks of the file before it was read at the start.
    #[must_use]
    pub fn marks_at_start(&self) -> Vec<Mark> {
        self.source.as_ref().map_or_else(Vec::new, TopologySource::marks_at_start)
    }

    /// Looks at the file: its marks.
    pub fn look(&self) -> PendingFiles<Vec<Mark>> {
        self.source.as_ref().map_or_else(|| PendingFiles::ready(Vec::new()), TopologySource::look)
    }

    /// Reads the file: its marks before it was read, and its text.
    pub fn read<C: Send + 'static>(&self) -> PendingRead<C> {
        let nothing = || PendingFiles::ready((Vec::new(), Contents::NoTopology));
        self.source.as_ref().map_or_else(nothing, TopologySource::read)
    }

    /// A peer claims an epoch: has the file read unless that epoch is known.
    pub fn follow_hint(&self, hint: TopologyHint, user: &impl TopologyUser) {
        if self.source.is_none() || hint.epoch <= epoch_of(user) {
            return;
        }
        self.metrics.hints.increment();
        let earlier = self.hint.get().filter(|earlier| earlier.epoch >= hint.epoch);
        self.hint.set(earlier.or(Some(hint)));
        self.wishes.wish();
    }

    /// Takes the text of the file, and puts it in force when it follows what is.
    pub fn adopt(&self, text: io::Result<String>, cause: ReloadCause, user: &impl TopologyUser) {
        match text {
            // What a peer says of other files is no news of ours.
            Ok(text)
                if cause == ReloadCause::Peer && user.topology().is_some_and(|in_force| in_force.text() == text) => {}
            Ok(text) => self.take(&text, cause, user),
            Err(error) => self.refuse(&error, user),
        }
        self.report_behind(user);
    }

    /// Checks a topology's text and puts it in force.
    fn take(&self, text: &str, cause: ReloadCause, user: &impl TopologyUser) {
        let next = match Topology::parse(text) {
            Ok(next) => next,
            Err(error) => {
                self.metrics.refused.increment();
                for refusal in refusals(self.name(), &error) {
                    user.log_topology(LogLevel::Error, "topology_refused", &[("error", &refusal)]);
                }
                return;
            }
        };
        let current = user.topology();
        match current.as_ref().map_or(Ok(Follows::Newer), |current| successor(current, &next)) {
            Ok(Follows::Newer) => self.put(next, current.as_deref(), cause, user),
            Ok(Follows::Same) => {
                let fields: [(&'static str, &dyn Display); 3] =
                    [("epoch", &next.epoch()), ("file", &self.name()), ("cause", &cause)];
                user.log_topology(LogLevel::Info, "topology_unchanged", &fields);
            }
            Err(reason) => self.refuse(&reason, user),
        }
    }

    fn put(&self, next: Topology, current: Option<&Topology>, cause: ReloadCause, user: &impl TopologyUser) {
        let lost = self.me.zip(current).map_or(0, |(me, current)| current.slots_lost(me, &next).count() as u64);
        self.metrics.reloads.increment();
        self.metrics.slots_lost.add(lost);
        self.publish(&next);
        let owned = self.metrics.slots_owned.value();
        let fields: [(&'static str, &dyn Display); 5] = [
            ("epoch", &next.epoch()),
            ("file", &self.name()),
            ("cause", &cause),
            ("slots_owned", &owned),
            ("slots_lost", &lost),
        ];
        // An edge owns none.
        let fields = if self.me.is_some() { &fields[..] } else { &fields[..3] };
        user.log_topology(LogLevel::Info, "topology_loaded", fields);
        user.put_topology(Arc::new(next), lost);
    }

    fn publish(&self, topology: &Topology) {
        self.metrics.epoch.set(u64::from(topology.epoch()));
        self.metrics.slots_owned.set(self.me.map_or(0, |me| topology.owned_slots(me) as u64));
    }

    fn refuse(&self, error: &dyn Display, user: &impl TopologyUser) {
        self.metrics.refused.increment();
        let fields: [(&'static str, &dyn Display); 3] =
            [("file", &self.name()), ("error", error), ("remedy", &REFUSED_REMEDY)];
        user.log_topology(LogLevel::Error, "topology_refused", &fields);
    }

    /// Logs a claim that the file does not bear out.
    fn report_behind(&self, user: &impl TopologyUser) {
        let Some(hint) = self.hint.take() else { return };
        let epoch = epoch_of(user);
        if hint.epoch <= epoch || self.reported.replace(hint.epoch) == hint.epoch {
            return;
        }
        let node = hint.node.map_or_else(|| "unknown".to_owned(), |node| node.to_string());
        let fields: [(&'static str, &dyn Display); 5] = [
            ("node", &node),
            ("claims", &hint.epoch),
            ("epoch", &epoch),
            ("file", &self.name()),
            ("remedy", &BEHIND_REMEDY),
        ];
        user.log_topology(LogLevel::Warn, "topology_behind", &fields);
    }
}

fn epoch_of(user: &impl TopologyUser) -> u32 {
    user.topology().map_or(0, |topology| topology.epoch())
}

#[cfg(test)]
mod tests;
