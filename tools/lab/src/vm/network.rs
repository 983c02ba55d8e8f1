//! The guest's two networks, in a namespace of the run's own.
//!
//! | card of the guest | driver | guest | namespace | for |
//! |---|---|---|---|---|
//! | `mgmt0` | virtio_net, 4 queues | 198.18.0.2 | 198.18.0.254 | SSH |
//! | `data0` | igb | 198.18.1.2 | 198.18.1.254 | traffic |
//!
//! **Source**: RFC 2544 reserves 198.18.0.0/15 for such networks.

use anyhow::Result;

use crate::namespace::TestNamespace;

/// The guest's address for SSH.
pub const GUEST_MANAGEMENT: &str = "198.18.0.2";
/// The guest's address for traffic.
pub const GUEST_DATA: &str = "198.18.1.2";

pub(super) const MANAGEMENT_TAP: &str = "tap-mgmt";
pub(super) const DATA_TAP: &str = "tap-data";

/// Makes the namespace and its two taps.
pub(super) fn create() -> Result<TestNamespace> {
    let namespace = TestNamespace::create("corelane-vm")?;
    let taps = [(MANAGEMENT_TAP, "198.18.0.254/24", true), (DATA_TAP, "198.18.1.254/24", false)];
    for (tap, address, has_queues) in taps {
        let queues: &[&str] = if has_queues { &["multi_queue"] } else { &[] };
        namespace.ip(&[&["tuntap", "add", "dev", tap, "mode", "tap"], queues].concat())?;
        namespace.ip(&["addr", "add", address, "dev", tap])?;
        namespace.ip(&["link", "set", tap, "up"])?;
    }
    Ok(namespace)
}
