//! Which nodes are out of reach, over all cores: one report for a node and change.
//!
//! ```text
//!  core: node, error ─▶ states of all cores ─▶ reachable ──any core has an error──▶ unreachable
//!                                                 ▲───────no core has one───────────┘
//! ```
//!
//! **Not** what a core decides by: that is its own breaker.
//!
//! **Invariants**: a node is reported when the verdict on it changes, whatever the number of cores, and however often their
//! breakers open and close meanwhile; another reason of an outage that lasts is reported, but not at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use reactor::Instant;

use crate::nodes::NodeState;

/// A node on which the verdict has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReachChange {
    pub(super) node: u32,
    /// Why it is out of reach; `None` when it is back.
    pub(super) error: Option<String>,
}

/// How often another reason of the same outage is reported at most: cores try again all the time, each for itself.
const REASON_INTERVAL: Duration = Duration::from_secs(5);

/// The nodes that were reported as out of reach: why, and when.
#[derive(Debug, Default)]
pub(super) struct Reachability(RefCell<BTreeMap<u32, (String, Instant)>>);

impl Reachability {
    /// What has changed, with the states as each core sees them. Asked when one of them changes, and once a second.
    pub(super) fn changes(&self, nodes: &BTreeMap<u16, Vec<NodeState>>, now: Instant) -> Vec<ReachChange> {
        let mut errors: BTreeMap<u32, Option<&String>> = BTreeMap::new();
        for state in nodes.values().flatten() {
            let error = errors.entry(state.id).or_default();
            *error = error.or(state.error.as_ref());
        }
        let mut reported = self.0.borrow_mut();
        reported.retain(|node, _| errors.contains_key(node));
        let changed = errors.into_iter().filter(|(node, error)| match error {
            None => reported.remove(node).is_some(),
            Some(error) => {
                let is_new = reported
                    .get(node)
                    .is_none_or(|(reason, since)| reason != *error && now >= *since + REASON_INTERVAL);
                if is_new {
                    reported.insert(*node, ((*error).clone(), now));
                }
                is_new
            }
        });
        changed.map(|(node, error)| ReachChange { node, error: error.cloned() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::CallTimes;

    fn state(id: u32, up: bool, error: &str) -> NodeState {
        let error = (!error.is_empty()).then(|| error.to_owned());
        NodeState { id, up, connections: 1, error, is_behind: false, calls: CallTimes::default() }
    }

    fn told(reachability: &Reachability, nodes: &BTreeMap<u16, Vec<NodeState>>) -> Vec<(u32, Option<String>)> {
        told_at(reachability, nodes, 0)
    }

    fn told_at(
        reachability: &Reachability,
        nodes: &BTreeMap<u16, Vec<NodeState>>,
        seconds: u64,
    ) -> Vec<(u32, Option<String>)> {
        let now = Instant::default() + Duration::from_secs(seconds);
        reachability.changes(nodes, now).into_iter().map(|change| (change.node, change.error)).collect()
    }

    #[test]
    fn an_outage_is_one_report_and_its_end_another() {
        let reachability = Reachability::default();
        let mut nodes: BTreeMap<u16, Vec<NodeState>> =
            (0..4).map(|core| (core, vec![state(1, true, ""), state(2, true, "")])).collect();
        assert_eq!(told(&reachability, &nodes), []);
        nodes.insert(0, vec![state(1, true, ""), state(2, true, "refused")]);
        assert_eq!(told(&reachability, &nodes), [(2, Some("refused".to_owned()))]);
        // Other cores notice, breakers open, probes fail for other reasons.
        for core in 0..4 {
            nodes.insert(core, vec![state(1, true, ""), state(2, false, "timed out")]);
            assert_eq!(told(&reachability, &nodes), []);
        }
        assert_eq!(told_at(&reachability, &nodes, 4), []);
        assert_eq!(told_at(&reachability, &nodes, 5), [(2, Some("timed out".to_owned()))], "it is another reason now");
        assert_eq!(told_at(&reachability, &nodes, 60), []);
        for core in 0..3 {
            nodes.insert(core, vec![state(1, true, ""), state(2, true, "")]);
            assert_eq!(told(&reachability, &nodes), [], "core 3 has not reached it yet");
        }
        nodes.insert(3, vec![state(1, true, ""), state(2, true, "")]);
        assert_eq!(told(&reachability, &nodes), [(2, None)]);
        nodes.insert(3, vec![state(1, true, "")]);
        assert_eq!(told(&reachability, &nodes), []);
    }
}
