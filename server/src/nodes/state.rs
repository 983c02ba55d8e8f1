//! How a node looks from one core.

use std::sync::Arc;

use control::metrics::Latency;

/// A node as one core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub(crate) id: u32,
    /// The core's breaker for it is closed.
    pub(crate) up: bool,
    /// The core's connections to it.
    pub(crate) connections: usize,
    /// Why the last connection that ended did, if none has come up since.
    pub(crate) error: Option<String>,
    /// It has an older map than the edge, and serves none of the edge's requests.
    pub(crate) is_behind: bool,
    pub(crate) calls: CallTimes,
}

/// How long calls to a node took, as the core records it. Others only read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTimes(pub(crate) Arc<Latency>);

impl PartialEq for CallTimes {
    /// Whether both are the same record, whatever has come into it.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CallTimes {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What is told to the control core is told again when it differs; the times themselves are shared, not told.
    #[test]
    fn times_are_the_same_as_long_as_it_is_the_same_record() {
        let times = CallTimes::default();
        let shared = times.clone();
        times.0.record(Duration::from_millis(1));
        assert!(times == shared && times != CallTimes::default());
    }
}
