//! The entity tag of a version of a value: its number in decimal digits.
//!
//! **Invariants**: a version has one tag, and a tag names at most one version: what is not written as this process writes
//! it (a sign, a leading zero, `W/`) is a tag of another server.

use corelane_http::entity_tag::{EntityTag, TagRoom};

/// The tag of a version.
#[inline]
pub(crate) fn tag_of(version: u64, room: &mut TagRoom) -> EntityTag<'_> {
    EntityTag::number(version, room)
}

/// The version that a tag names, if it can be one of ours.
pub(crate) fn version_of(tag: EntityTag<'_>) -> Option<u64> {
    let version = std::str::from_utf8(tag.opaque()).ok()?.parse().ok()?;
    tag_of(version, &mut TagRoom::new()).matches_strongly(tag).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_the_version_it_was_made_of() {
        for version in [0, 1, 42, u64::MAX] {
            let mut room = TagRoom::new();
            let tag = tag_of(version, &mut room);
            assert_eq!(tag.opaque(), version.to_string().as_bytes());
            assert_eq!(version_of(tag), Some(version));
        }
    }

    #[test]
    fn other_tags_name_no_version() {
        for text in [
            "\"\"",
            "\"07\"",
            "\"00\"",
            "\"+7\"",
            "\"-7\"",
            "\"7a\"",
            "\"18446744073709551616\"",
            "W/\"7\"",
            "\"\u{e9}\"",
        ] {
            let tag = EntityTag::parse(text.as_bytes()).unwrap();
            assert_eq!(version_of(tag), None, "{text}");
        }
    }
}
