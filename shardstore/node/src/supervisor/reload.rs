//! Reading the topology again: when asked, when its file changes, and when a peer has seen a newer one.
//!
//! **Not**: parsing, which is `shardstore::placement`'s.
//!
//! **Invariants**: what does not follow the topology in force is refused whole, with a reason and a remedy; the map of all
//! cores changes by one message each.
//!
//! **Source**: docs/wire.md, "Epochs and placement".

use std::fmt::Display;
use std::sync::Arc;

use control::log::Level;
use shardstore::placement::{NodeId, Topology};

use super::Supervisor;
use crate::message::Message;

impl Supervisor {
    /// A peer has seen `epoch`: reads the topology unless that is known already.
    pub(super) fn look_for(&self, epoch: u32) {
        if epoch > self.topology.borrow().epoch() {
            self.read_topology("peer");
        }
    }

    /// Reads the topology, and puts it in force when it follows the one that is.
    pub(super) fn read_topology(&self, cause: &str) {
        let text = match (self.source.read)() {
            Ok(text) => text,
            Err(error) => {
                let remedy = "mend it and send SIGHUP; the one in force stays";
                self.refuse(&[("file", &self.source.name), ("error", &error), ("remedy", &remedy)]);
                return;
            }
        };
        let next = match Topology::parse(&text) {
            Ok(next) => next,
            Err(error) => {
                let at = format!("{}:{}", self.source.name, error.line());
                self.refuse(&[("at", &at), ("error", &error)]);
                return;
            }
        };
        let current = Arc::clone(&self.topology.borrow());
        match successor(&current, &next) {
            Ok(Follows::Same) => {
                self.event(Level::Info, "topology_unchanged", &[("epoch", &next.epoch()), ("cause", &cause)]);
            }
            Ok(Follows::Newer) => self.put_in_force(next, cause),
            Err(reason) => self.refuse(&[("file", &self.source.name), ("error", &reason)]),
        }
    }

    fn put_in_force(&self, next: Topology, cause: &str) {
        let me = NodeId(u32::from(self.shared.settings.node_id));
        self.reloads.set(self.reloads.get() + 1);
        let slots = next.owned_slots(me);
        let fields: [(&'static str, &dyn Display); 3] =
            [("epoch", &next.epoch()), ("slots_owned", &slots), ("cause", &cause)];
        self.event(Level::Info, "topology_reloaded", &fields);
        if next.node(me).is_none() {
            let remedy = "every request is answered MOVED; stop this node once its peers know";
            self.event(Level::Warn, "not_in_topology", &[("node", &me), ("remedy", &remedy)]);
        }
        let next = Arc::new(next);
        *self.topology.borrow_mut() = Arc::clone(&next);
        self.tell_all(|| Message::Topology(Arc::clone(&next)));
    }

    fn refuse(&self, fields: control::log::Fields<'_>) {
        self.reloads_refused.set(self.reloads_refused.get() + 1);
        self.event(Level::Error, "topology_refused", fields);
    }
}

/// How a topology relates to the one in force.
#[derive(Debug, PartialEq, Eq)]
enum Follows {
    Same,
    Newer,
}

/// Whether `next` may follow `current`, or why not.
fn successor(current: &Topology, next: &Topology) -> Result<Follows, String> {
    if next.cluster() != current.cluster() {
        return Err(format!(
            "cluster is {:?}, this node belongs to {:?}; start it anew to move it to another cluster",
            next.cluster(),
            current.cluster()
        ));
    }
    if next.hash_seed() != current.hash_seed() {
        return Err("hash_seed differs, which would move every key; start all processes of the cluster anew".into());
    }
    if next.epoch() < current.epoch() {
        return Err(format!("epoch is {}, {} is in force; raise it with every change", next.epoch(), current.epoch()));
    }
    if next.epoch() > current.epoch() {
        return Ok(Follows::Newer);
    }
    if next.text() == current.text() {
        return Ok(Follows::Same);
    }
    Err(format!("it differs from the one in force, but its epoch is {} too; raise the epoch", next.epoch()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(cluster: &str, epoch: u32, rest: &str) -> Topology {
        let text = format!(
            "cluster = \"{cluster}\"\nepoch = {epoch}\n{rest}\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n"
        );
        Topology::parse(&text).unwrap()
    }

    #[test]
    fn only_a_successor_is_put_in_force() {
        let seed = "hash_seed = 7";
        let current = topology("blue", 5, seed);
        let cases = [
            (topology("blue", 5, seed), Ok(Follows::Same)),
            (topology("blue", 6, seed), Ok(Follows::Newer)),
            (topology("blue", 5, "hash_seed = 7 # changed"), Err("raise the epoch")),
            (topology("blue", 4, seed), Err("raise it with every change")),
            (topology("blue", 6, "hash_seed = 8"), Err("hash_seed differs")),
            (topology("green", 6, seed), Err("another cluster")),
        ];
        for (next, expected) in cases {
            match (successor(&current, &next), expected) {
                (Ok(follows), Ok(expected)) => assert_eq!(follows, expected),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        }
    }
}
