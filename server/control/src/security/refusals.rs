//! Peers that are refused again and again are told of once in a while.
//!
//! **Not**: why they are refused.
//!
//! **Invariants**: a line that differs from the last one is always told.

use std::{fmt::Display, time::Duration};

use reactor::Instant;

/// How often the same refusal is logged at most.
const REFUSED_INTERVAL: Duration = Duration::from_secs(10);

/// The last line about a refused peer, and when it was told.
#[derive(Debug, Default)]
pub struct Refusals(Option<(String, Instant)>);

impl Refusals {
    /// Whether this refusal of this host, whatever the port, has been told a moment ago; if not, it is told now.
    pub fn is_repeated(&mut self, peer: &str, fault: &dyn Display, now: Instant) -> bool {
        let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
        let line = format!("{host} {fault}");
        if self.0.as_ref().is_some_and(|(last, at)| *last == line && now < *at + REFUSED_INTERVAL) {
            return true;
        }
        self.0 = Some((line, now));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_told_every_ten_seconds_and_another_at_once() {
        let mut refusals = Refusals::default();
        let cases = [(0, "a", false), (0, "a", true), (9_999, "a", true), (10_000, "a", false), (19_999, "a", true)];
        let others = [(20_000, "b", false), (20_001, "a", false), (20_002, "a", true)];
        for (at_ms, line, expected) in cases.into_iter().chain(others) {
            let now = Instant::default() + Duration::from_millis(at_ms);
            assert_eq!(refusals.is_repeated("127.0.0.1:5", &line, now), expected, "{line} at {at_ms} ms");
        }
    }
}
