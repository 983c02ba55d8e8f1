//! Where a node is reached: an address, or a host's name with a port.
//!
//! **Not** resolving names; whoever connects does.
//!
//! **Invariants**: an address has a port and is one that can be connected to; a name is in lower case, and never what somebody meant
//! as an address. The same text in two files is the same address.
//!
//! **Source**: RFC 1123, section 2.1 (names of hosts).

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Longest name of a host in bytes.
const HOST_BYTES_MAX: usize = 253;

/// Longest part of a name between dots in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Where a node listens for the shard protocol, as the topology file has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NodeAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host's name and a port.
    Name(HostPort),
}

/// A host's name and a port, not 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: Arc<str>,
    port: u16,
}

impl HostPort {
    /// The host's name.
    #[must_use]
    pub const fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse::<u16>().ok().filter(|port| *port != 0 && text.as_bytes()[host.len() + 1] != b'+')?;
        let is_label = |label: &str| {
            let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            plain && (1..=LABEL_BYTES_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        // What ends in a number is an address with a mistake.
        let is_number = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        let is_host = host.len() <= HOST_BYTES_MAX && host.split('.').all(is_label) && !is_number;
        is_host.then(|| Self { host: host.to_ascii_lowercase().into(), port })
    }
}

impl NodeAddress {
    /// Reads it as a topology file has it; `None` where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse::<SocketAddr>() {
            Ok(address) => (address.port() != 0 && !address.ip().is_unspecified()).then_some(Self::Ip(address)),
            Err(_) => HostPort::parse(text).map(Self::Name),
        }
    }

    /// As the shard protocol says it: of a name the port alone, with the unspecified address.
    #[must_use]
    pub fn on_the_wire(&self) -> SocketAddr {
        match self {
            Self::Ip(address) => *address,
            Self::Name(name) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, name.port)),
        }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => write!(f, "{}:{}", name.host, name.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart_and_mistakes_are_neither() {
        for (text, shown) in [
            ("10.0.0.1:7401", "10.0.0.1:7401"),
            ("[fd00::1]:7401", "[fd00::1]:7401"),
            ("node-1:7401", "node-1:7401"),
            ("Node_1.Cache.svc.cluster.local:1", "node_1.cache.svc.cluster.local:1"),
            ("3com.example:65535", "3com.example:65535"),
        ] {
            let address = NodeAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.on_the_wire().port(), shown.rsplit(':').next().unwrap().parse::<u16>().unwrap());
        }
        let long = format!("{}:1", "a.".repeat(127) + "a");
        assert!(NodeAddress::parse(&long.replacen("a.", "", 1)).is_some());
        let label = format!("{}:1", "a".repeat(64));
        for text in [
            "",
            ":1",
            "node",
            "node:",
            "node:0",
            "node:65536",
            "node:+1",
            "node:1:2",
            "10.0.0.256:1",
            "10.0.0:1",
            "7:1",
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:0",
            "-node:1",
            "node-:1",
            "a..b:1",
            "node.:1",
            "no de:1",
            "nöde:1",
            "http://n:1",
            &long,
            &label,
        ] {
            assert_eq!(NodeAddress::parse(text), None, "{text}");
        }
    }
}
