//! Keyspaces by name, with what their policy says about writes.
//!
//! **Invariants**: `default` is always there, and found without a look-up.

use std::collections::HashMap;

use crate::settings::{EdgeSettings, KeyspaceSettings};

/// The name of the keyspace that always exists.
pub(crate) const DEFAULT: &[u8] = b"default";

/// A keyspace's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Time to live of values stored without one, in milliseconds; 0 for none.
    pub(crate) ttl_ms: u64,
    pub(crate) value_bytes_max: usize,
    /// The configuration key that says so.
    pub(crate) value_bytes_key: &'static str,
}

#[derive(Clone)]
pub(crate) struct Keyspaces {
    default: Policy,
    others: HashMap<Box<[u8]>, Policy>,
}

impl Keyspaces {
    pub(crate) fn new(settings: &EdgeSettings) -> Self {
        let policy = |keyspace: &KeyspaceSettings| Policy {
            ttl_ms: u64::try_from(keyspace.ttl.as_millis()).unwrap_or(u64::MAX),
            value_bytes_max: keyspace.value_bytes_max,
            value_bytes_key: "keyspace.NAME.value_bytes_max",
        };
        let mut others: HashMap<Box<[u8]>, Policy> =
            settings.keyspace.iter().map(|(name, keyspace)| (name.as_bytes().into(), policy(keyspace))).collect();
        let fallback =
            Policy { ttl_ms: 0, value_bytes_max: settings.limits.body_bytes, value_bytes_key: "limits.body_bytes" };
        let default = others.remove(DEFAULT).unwrap_or(fallback);
        Keyspaces { default, others }
    }

    /// Whether there is a keyspace of this name: all that a read has to know.
    #[inline(always)]
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        name == DEFAULT || self.others.contains_key(name)
    }

    pub(crate) fn policy(&self, name: &[u8]) -> Option<Policy> {
        if name == DEFAULT { Some(self.default) } else { self.others.get(name).copied() }
    }
}

#[cfg(test)]
mod tests {
    use crate::snapshot::fixture::snapshot;

    use super::*;

    #[test]
    fn a_keyspace_has_its_own_policy_and_default_is_always_there() {
        let keyspaces = snapshot(1, "[keyspace.short]\nttl = \"2s\"\nvalue_bytes_max = \"7B\"\n").keyspaces;
        let value_bytes_key = "keyspace.NAME.value_bytes_max";
        let preset = Policy { ttl_ms: 0, value_bytes_max: 64 << 20, value_bytes_key };
        let cases: [(&[u8], Option<Policy>); 4] = [
            (b"default", Some(preset)),
            (b"short", Some(Policy { ttl_ms: 2_000, value_bytes_max: 7, ..preset })),
            (b"Short", None),
            (b"", None),
        ];
        for (name, policy) in cases {
            assert_eq!((keyspaces.policy(name), keyspaces.contains(name)), (policy, policy.is_some()), "{name:?}");
        }
        let written = snapshot(1, "[keyspace.default]\nttl = \"3s\"\n").keyspaces;
        assert_eq!(written.policy(DEFAULT), Some(Policy { ttl_ms: 3_000, ..preset }));
    }
}
