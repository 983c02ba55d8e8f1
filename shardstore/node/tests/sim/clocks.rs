//! The wall clock is set while the node serves: lifetimes stay, versions grow, and the operator is told once.

use std::time::Duration;

use shardstore::version::Condition;
use shardstore::wire::request::Set;
use shardstore::wire::{Op, Status};

use crate::peer::{Peer, key};
use crate::rig::{Rig, script};

/// Far more than any lifetime of this file.
const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_wall_clock_that_is_set_changes_no_lifetime_and_is_reported_once() {
    for (seed, by_ms) in [(0, -60_000), (1, HOUR_MS), (2, -HOUR_MS)] {
        let mut rig = Rig::new(seed, &[]);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let began = reactor.now();
            let mut last = 0;
            for n in 0..20 {
                let (name, value) = (key(format!("item:{n}")), b"value");
                let value_crc32c = shardstore::wire::checksum(value);
                let (metadata, condition) = (&b""[..], Condition::Any);
                let set = Set { key: &name, value, metadata, value_crc32c, ttl_ms: 10_000, version: 0, condition };
                assert_eq!(peer.call(Op::Set(set)).await.status, Status::Ok);
            }
            // The clock is set after 3 s.
            reactor.sleep(Duration::from_secs(6)).await;
            for n in 0..20 {
                let read = peer.get(&key(format!("item:{n}"))).await;
                let left_ms = 10_000 - reactor.now().since(began).as_millis() as u32;
                assert_eq!(read.status, Status::Ok, "its time is not over");
                assert!((1..=left_ms + 1_000).contains(&read.ttl_ms), "{} ms, of {left_ms}", read.ttl_ms);
                let written = peer.set(&key("counter"), b"again").await;
                assert!(written.version > last.max(read.version), "versions grow");
                last = written.version;
            }
            reactor.sleep(Duration::from_secs(5)).await;
            for n in 0..20 {
                assert_eq!(peer.get(&key(format!("item:{n}"))).await.status, Status::NotFound, "its time is over");
            }
        }));
        rig.world.run_for(Duration::from_secs(3));
        rig.world.set_clock_skew(rig.node, by_ms);
        rig.finish(peer);
        let exposed = rig.log.text().matches("event=listener_exposed").count();
        assert_eq!(exposed, 2, "the addresses of the simulation are no loopback: the node's and its admin listener's");
        let reports: Vec<String> =
            rig.log.text().lines().filter(|line| line.contains("wall_clock")).map(Into::into).collect();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains("level=warn") && reports[0].ends_with(&format!("by_ms={by_ms}")), "{reports:?}");
    }
}
