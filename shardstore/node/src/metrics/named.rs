//! Counters found by name: for faults, whose names the wire codec gives.
//!
//! **Not** for the hot path: a name is looked for in a list.
//!
//! **Invariants**: a name that is not in the list is counted as `other`, never lost.
//!
//! **Source**: docs/wire.md, "Errors".

use control::metrics::{Counter, Kind, Measure, Reading};

/// Every name, in the order of docs/wire.md.
pub(crate) const FAULTS: [&str; 45] = [
    "magic",
    "version",
    "kind",
    "reserved_bits",
    "slot",
    "key_length",
    "value_length",
    "ext_flag",
    "value_crc_flag",
    "cluster_tag",
    "header_crc",
    "ext",
    "unexpected",
    "unknown_opcode",
    "unknown_status",
    "unknown_flags",
    "unknown_tlv",
    "bad_tlv",
    "bad_key",
    "bad_payload",
    "chunk_out_of_order",
    "chunk_contradiction",
    "chunk_too_large",
    "chunk_busy",
    "chunk_corrupt",
    "chunk_timed_out",
    "hello_expected",
    "hello_corrupt",
    "hello_truncated",
    "hello_field",
    "hello_version",
    "hello_cluster",
    "hello_hash_function",
    "hello_hash_seed",
    "hello_roles",
    "hello_same_node",
    "hello_other_node",
    "hello_map",
    "hello_too_large",
    "version_ahead",
    "value_crc",
    "tls",
    "wrong_identity",
    "link_too_old",
    "other",
];

/// A counter for each of [`FAULTS`].
#[derive(Debug)]
pub(crate) struct NamedCounters([Counter; FAULTS.len()]);

impl Default for NamedCounters {
    fn default() -> Self {
        NamedCounters([const { Counter::new() }; FAULTS.len()])
    }
}

impl NamedCounters {
    /// Counts a fault.
    #[cold]
    pub(crate) fn note(&self, name: &str) {
        let index = FAULTS.iter().position(|known| *known == name).unwrap_or(FAULTS.len() - 1);
        self.0[index].increment();
    }
}

impl Measure for NamedCounters {
    const KIND: Kind = Kind::Counter;
    const SERIES: usize = FAULTS.len();

    fn read(&self, words: &'static [&'static str], each: &mut dyn FnMut(Option<&'static str>, Reading<'_>)) {
        for (word, counter) in words.iter().zip(&self.0) {
            each(Some(word), Reading::Number(counter.value()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shardstore::wire::FrameError;

    #[test]
    fn faults_are_counted_under_their_names() {
        let named = NamedCounters::default();
        for error in [FrameError::Magic([0; 3]), FrameError::BadPayload, FrameError::Unexpected] {
            named.note(error.name());
        }
        named.note("never heard of");
        let mut counted = Vec::new();
        named.read(&FAULTS, &mut |word, reading| match reading {
            Reading::Number(number) if number > 0 => counted.push((word.unwrap(), number)),
            _ => {}
        });
        assert_eq!(counted, [("magic", 1), ("unexpected", 1), ("bad_payload", 1), ("other", 1)]);
    }
}
