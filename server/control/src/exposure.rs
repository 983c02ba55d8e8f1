//! Addresses that others than this host can reach: what listens there without a protection of its own is reported at the start.
//!
//! **Not** forbidding: a firewall or a private network may be all the protection that is needed.

use std::fmt::Display;
use std::net::IpAddr;

use reactor::Address;

use crate::log::{LogFields, LogLevel};

/// What an exposed admin listener means.
pub const ADMIN: &str = "whoever reaches it reads status, settings and metrics";

/// Whether others than this host's own processes can connect.
#[must_use]
pub fn is_exposed(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => false,
    }
}

/// The IP address, where others than this host's own processes can connect.
#[must_use]
pub fn exposed_ip(address: &Address) -> Option<IpAddr> {
    match address {
        Address::Tcp(tcp) if is_exposed(address) => Some(tcp.ip()),
        Address::Tcp(_) | Address::Unix(_) => None,
    }
}

/// Warns of those of these addresses that are exposed: `what` listens there, and `consequence` follows. `event` logs.
pub fn warn<'a>(
    what: &'static str,
    consequence: &'static str,
    addresses: impl IntoIterator<Item = &'a Address>,
    event: &dyn Fn(LogLevel, &str, LogFields<'_>),
) {
    let exposed: Vec<String> =
        addresses.into_iter().filter(|address| is_exposed(address)).map(ToString::to_string).collect();
    if !exposed.is_empty() {
        let addresses = exposed.join(",");
        let fields: [(&'static str, &dyn Display); 3] =
            [("listener", &what), ("address", &addresses), ("consequence", &consequence)];
        event(LogLevel::Warn, "listener_exposed", &fields);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn tcp(text: &str) -> Address {
        Address::Tcp(text.parse().expect("it is an address"))
    }

    #[test]
    fn what_leaves_the_host_is_exposed() {
        for (text, expected) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.1:1", true),
        ] {
            assert_eq!(is_exposed(&tcp(text)), expected, "{text}");
        }
        assert!(!is_exposed(&Address::Unix("/run/a".into())));
    }

    #[test]
    fn one_line_names_all_that_is_exposed() {
        let lines = RefCell::new(Vec::new());
        let note = |_, event: &str, fields: LogFields<'_>| {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.borrow_mut().push(format!("{event} {}", fields.join(" ")));
        };
        warn("admin", "a", &[tcp("127.0.0.1:1")], &note);
        warn("node", "b", &[tcp("127.0.0.1:1"), tcp("0.0.0.0:2"), tcp("10.0.0.1:3")], &note);
        assert_eq!(*lines.borrow(), ["listener_exposed listener=node address=0.0.0.0:2,10.0.0.1:3 consequence=b"]);
    }
}
