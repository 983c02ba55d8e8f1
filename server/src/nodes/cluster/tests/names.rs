//! Nodes that the file names by a host's name.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use super::map::version;
use super::*;

fn named_file() -> String {
    FIRST_OWNS_ALL.replace("10.0.0.1:", "Node-1.test:").replace("10.0.0.2:", "node-2.test:")
}

#[test]
fn a_named_node_is_reached_once_its_name_means_something_and_stays_known() {
    /// The last number of the address that the name of the first node means; 0 for none.
    static FIRST: AtomicU8 = AtomicU8::new(0);
    let names = NameLookup::in_place(|host| match (host, FIRST.load(Ordering::Relaxed)) {
        // At the first address nobody listens.
        ("node-1.test", last @ 1..) => vec![IpAddr::from([10, 0, 0, 99]), IpAddr::from([10, 0, 0, last])],
        _ => Vec::new(),
    });
    let first = || {
        let of = [|response| version(response, 1), |response| version(response, 2)];
        vec![Says::Answer(5, of[0]), Says::End, Says::Answer(5, of[1])]
    };
    with_named_nodes((named_file(), Some(names)), first, Vec::new, |rig| async move {
        FIRST.store(0, Ordering::Relaxed);
        rig.sleep(1_000).await;
        assert_eq!(refused(&rig.get().await), Some(Refusal::Unavailable));
        let error = rig.cluster.node_states()[0].error.clone().unwrap_or_default();
        assert!(error.contains("\"node-1.test\" could not be resolved"), "{error}");

        FIRST.store(1, Ordering::Relaxed);
        rig.sleep(1_000).await;
        assert_eq!(found_version(&rig.get().await), 1);
        assert_eq!(rig.state(1), Some((true, 1)));

        // The resolver has forgotten it: the address that was known is as good as any.
        FIRST.store(0, Ordering::Relaxed);
        assert_eq!(refused(&rig.set().await), Some(Refusal::Unknown), "the link ends");
        rig.sleep(1_000).await;
        assert_eq!(found_version(&rig.get().await), 2);
        assert_eq!(rig.first.accepted.get(), 2);
    });
}
