//! Edges that are asked to end while they serve.

use std::time::Duration;

use rustix::process::Signal;

use super::keys::get;
use super::rig::Rig;
use crate::support::load::Load;

#[test]
fn an_edge_that_ends_under_load_loses_no_request() {
    const CONNECTIONS: usize = 6;
    for edge_ttl in [Duration::ZERO, Duration::from_secs(1)] {
        let mut rig = Rig::start(edge_ttl);
        let load = Load::start(rig.edges[0].address, CONNECTIONS);
        load.await_warm();
        rig.edges[0].signal(Signal::TERM);
        for account in load.finish() {
            assert!(account.faults.is_empty() && account.sent == account.answered, "{edge_ttl:?}: {account:?}");
        }
        assert_eq!(rig.edges[0].await_exit(), 0, "{edge_ttl:?}: {:#?}", rig.edges[0].log_so_far());
        // What was acknowledged is there, for whoever asks elsewhere.
        let mut other = rig.edges[1].connect();
        for number in 0..CONNECTIONS {
            assert_eq!(get(&mut other, &number.to_string()).status, 200, "{number}");
        }
    }
}
