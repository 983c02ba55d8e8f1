//! Which configuration key sets the bound that a request exceeded.
//!
//! **Not** the bound itself, which the parser knows.
//!
//! **Invariants**: a bound that can be set is never reported without its key.

use corelane_http::problem::{Limit, Problem};

/// The bounds that can be set, by the slug of the problem that reports them.
const KEYS: [(&str, &str); 4] = [
    ("head-too-large", "limits.header_bytes"),
    ("too-many-fields", "limits.header_count"),
    ("target-too-long", "limits.target_bytes"),
    ("body-too-large", "limits.body_bytes"),
];

/// The problem, with the key that sets the bound it reports.
pub(super) fn keyed(problem: Problem<'static>) -> Problem<'static> {
    let key = KEYS.iter().find(|(slug, _)| *slug == problem.slug).map(|(_, key)| *key);
    Problem { limit: problem.limit.map(|limit| Limit { key, ..limit }), ..problem }
}

#[cfg(test)]
mod tests {
    use control::settings::Settings as _;
    use corelane_http::MessageLimits;
    use corelane_http::h1::chunked::ChunkedError;
    use corelane_http::h1::request::RequestError;

    use super::*;
    use crate::settings::EdgeSettings;

    #[test]
    fn every_bound_names_its_key() {
        let limits = MessageLimits::default();
        for (problem, expected) in [
            (RequestError::HeadTooLarge.problem(&limits), Some((16 << 10, Some("limits.header_bytes")))),
            (RequestError::TooManyFields.problem(&limits), Some((100, Some("limits.header_count")))),
            (RequestError::TargetTooLong.problem(&limits), Some((8 << 10, Some("limits.target_bytes")))),
            (RequestError::BodyTooLarge.problem(&limits), Some((64 << 20, Some("limits.body_bytes")))),
            (ChunkedError::BodyTooLarge.problem(&limits), Some((64 << 20, Some("limits.body_bytes")))),
            (ChunkedError::TrailersTooLarge.problem(&limits), Some((8 << 10, None))),
            (ChunkedError::Size.problem(&limits), None),
            (RequestError::HostMissing.problem(&limits), None),
        ] {
            let limit = keyed(problem).limit;
            assert_eq!(limit.map(|limit| (limit.max, limit.key)), expected, "{}", problem.slug);
        }
        for (_, key) in KEYS {
            assert!(EdgeSettings::SCHEMA.key(key).is_some(), "{key} is a key");
        }
    }
}
