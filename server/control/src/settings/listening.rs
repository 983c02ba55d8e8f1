//! Addresses that one process cannot listen on at the same time.
//!
//! **Not** what other processes listen on: that shows at the start.
//!
//! **Invariants**: an address of IPv6 and one of IPv4 never meet, since listeners of IPv6 take IPv6 only; a port of the kernel's
//! choice meets none.

use std::net::IpAddr;

use super::{
    error::SettingError,
    origin::Origin,
    tree::SettingsTree,
    value::{ListenAddress, SettingValue},
};

/// An address with the key that names it.
struct KeyedAddress<'a> {
    key: String,
    origin: &'a Origin,
    address: &'a ListenAddress,
}

impl SettingsTree {
    /// Every address that takes what an earlier one takes.
    pub(super) fn collisions(&self) -> Vec<SettingError> {
        let mut seen: Vec<KeyedAddress<'_>> = Vec::new();
        let mut collisions = Vec::new();
        for (key, entry) in self.entries() {
            let addresses = match &entry.value {
                Some(SettingValue::Address(address)) => std::slice::from_ref(address),
                Some(SettingValue::Addresses(addresses)) => addresses,
                _ => continue,
            };
            for address in addresses {
                if let Some(other) = seen.iter().find(|other| meet(other.address, address)) {
                    collisions.push(collision(&key, &entry.origin, address, other));
                }
                seen.push(KeyedAddress { key: key.clone(), origin: &entry.origin, address });
            }
        }
        collisions
    }
}

fn collision(key: &str, origin: &Origin, address: &ListenAddress, other: &KeyedAddress<'_>) -> SettingError {
    let reason =
        format!("{} takes it, which listens on {} ({}); name another port", other.key, other.address, other.origin);
    SettingError::Unusable { origin: origin.clone(), key: key.to_owned(), found: address.to_string(), reason }
}

/// Whether a connection could be meant for either.
fn meet(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Unix(one), ListenAddress::Unix(other)) => one == other,
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            one.port() != 0 && one.port() == other.port() && overlap(one.ip(), other.ip())
        }
        _ => false,
    }
}

fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_meet_where_one_connection_could_be_meant_for_both() {
        let cases = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.2:80", true),
            ("127.0.0.2:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::]:80", false),
            ("[::]:80", "[::1]:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", "127.0.0.1:80", false),
        ];
        for (one, other, expected) in cases {
            let address = |text: &str| text.parse::<ListenAddress>().expect("an address");
            assert_eq!(meet(&address(one), &address(other)), expected, "{one} and {other}");
        }
    }
}
