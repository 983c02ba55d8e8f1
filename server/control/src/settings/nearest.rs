//! The key an operator may have meant when there is none of the name that was written.
//!
//! **Not**: a guess that is acted on; an unknown key is always an error.
//!
//! **Invariants**: the work is bounded whatever is written, because names over [`NAME_BYTES_MAX`] have no neighbour.
//!
//! **Source**: Damerau-Levenshtein distance, which counts a swap of two letters as one slip.

/// Longest name that is compared, in bytes: twice the longest path of any schema.
const NAME_BYTES_MAX: usize = 96;

/// What is suggested for the spelling that is close enough to `written`. `candidates` are spellings with their suggestions:
/// a key's former name suggests the key.
///
/// A name is close when at most a third of its letters differ. A key that stands in another section is found by its last
/// component (`header_bytes` for `limits.header_bytes`), which counts as one slip more.
pub(super) fn nearest<'a>(written: &str, candidates: &'a [(String, String)]) -> Option<&'a str> {
    if written.len() > NAME_BYTES_MAX {
        return None;
    }
    let scored = candidates.iter().filter_map(|(spelling, meant)| Some((distance(written, spelling)?, meant)));
    scored.min_by_key(|(distance, _)| *distance).map(|(_, meant)| meant.as_str())
}

/// How far apart two paths are; `None` when they are too far for one to be meant by the other.
fn distance(written: &str, candidate: &str) -> Option<usize> {
    let whole = slips(written, candidate);
    let last = slips(last_component(written), last_component(candidate)).map(|slips| slips + 1);
    whole.into_iter().chain(last).min()
}

fn slips(written: &str, candidate: &str) -> Option<usize> {
    let slips = strsim::damerau_levenshtein(written, candidate);
    (slips * 3 <= candidate.len().max(3)).then_some(slips)
}

fn last_component(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known =
            ["listen", "memory", "limits", "limits.header_bytes", "limits.header_count", "keyspace.default.ttl"];
        let mut known = known.map(|path| (path.to_owned(), path.to_owned())).to_vec();
        known.push(("near_ttl".to_owned(), "edge_ttl".to_owned()));
        for (written, expected) in [
            ("lisent", Some("listen")),
            ("memroy", Some("memory")),
            ("limit", Some("limits")),
            ("limits.heder_bytes", Some("limits.header_bytes")),
            ("header_count", Some("limits.header_count")),
            ("limit.header_count", Some("limits.header_count")),
            ("keyspace.default.tll", Some("keyspace.default.ttl")),
            ("near_tll", Some("edge_ttl")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, &known), expected, "{written:?}");
        }
        assert_eq!(nearest(&"memory".repeat(100), &known), None);
    }
}
