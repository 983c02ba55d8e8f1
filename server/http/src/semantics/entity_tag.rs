//! Entity tags: opaque names of one state of a representation.
//!
//! **Not**: what a tag is made of; that is the business of its maker.
//! **Invariants**: the bytes can end neither the tag nor its field: `etagc` only.
//! **Source**: RFC 9110 section 8.8.3.

use crate::class;

/// An entity tag, without its quotes.
///
/// It has no `==`: there are two ways to compare tags, and which one is right depends on what is asked.
#[derive(Debug, Clone, Copy)]
pub struct EntityTag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// The strong tag of these bytes, or `None` if one of them may not stand in a tag.
    #[must_use]
    pub fn strong(opaque: &'a [u8]) -> Option<Self> {
        class::all(opaque, class::ETAG).then_some(Self { is_weak: false, opaque })
    }

    /// The weak tag of these bytes, or `None` if one of them may not stand in a tag.
    #[must_use]
    pub fn weak(opaque: &'a [u8]) -> Option<Self> {
        Self::strong(opaque).map(|tag| Self { is_weak: true, ..tag })
    }

    /// The strong tag that is a number in decimal digits. It is written into `room`, which costs no allocation and no
    /// second look at its bytes.
    #[inline]
    #[must_use]
    pub fn number(number: u64, room: &'a mut TagRoom) -> Self {
        Self { is_weak: false, opaque: room.0.format(number).as_bytes() }
    }

    /// Reads a field's value that is one entity tag and nothing else.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        match Self::split(value)? {
            (tag, []) => Some(tag),
            _ => None,
        }
    }

    /// Reads the tag at the start of `value`; also what follows it.
    pub(super) fn split(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let opaque = quoted.strip_prefix(b"\"")?;
        let end = class::run_end(opaque, 0, class::ETAG);
        let rest = opaque[end..].strip_prefix(b"\"")?;
        Some((Self { is_weak, opaque: &opaque[..end] }, rest))
    }

    /// Whether it is marked `W/`: equal tags then mean equivalent content, not the same bytes.
    #[inline]
    #[must_use]
    pub fn is_weak(self) -> bool {
        self.is_weak
    }

    /// The bytes between the quotes.
    #[inline]
    #[must_use]
    pub fn opaque(self) -> &'a [u8] {
        self.opaque
    }

    /// Strong comparison: both are strong and have the same bytes.
    #[must_use]
    pub fn matches_strongly(self, other: EntityTag<'_>) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Weak comparison: both have the same bytes, weak or not.
    #[must_use]
    pub fn matches_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// Room for the digits of a tag that is a number; see [`EntityTag::number`].
pub struct TagRoom(itoa::Buffer);

impl TagRoom {
    /// Empty room.
    #[inline]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "room on the stack, named where it is used")]
    pub fn new() -> Self {
        Self(itoa::Buffer::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_with_their_quotes() {
        for (text, want) in [
            ("\"a\"", Some((false, "a"))),
            ("W/\"a\"", Some((true, "a"))),
            ("\"\"", Some((false, ""))),
            ("\"W/\"", Some((false, "W/"))),
            ("\"\u{e9}!#~\"", Some((false, "\u{e9}!#~"))),
            ("w/\"a\"", None),
            ("W/ \"a\"", None),
            ("a", None),
            ("\"a", None),
            ("\"a b\"", None),
            ("\"a\"b", None),
            ("\"a\" ", None),
            ("", None),
        ] {
            let read = EntityTag::parse(text.as_bytes()).map(|tag| (tag.is_weak(), tag.opaque()));
            assert_eq!(read, want.map(|(is_weak, opaque)| (is_weak, opaque.as_bytes())), "{text:?}");
        }
    }

    /// The table of RFC 9110 section 8.8.3.2.
    #[test]
    fn comparison_is_strong_or_weak() {
        for (first, second, strongly, weakly) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("\"1\"", "\"01\"", false, false),
        ] {
            let tag = |text: &'static str| EntityTag::parse(text.as_bytes()).unwrap();
            for (one, other) in [(tag(first), tag(second)), (tag(second), tag(first))] {
                assert_eq!(one.matches_strongly(other), strongly, "{first} {second}");
                assert_eq!(one.matches_weakly(other), weakly, "{first} {second}");
            }
        }
    }

    #[test]
    fn tags_that_are_made_hold_only_what_a_tag_may() {
        for byte in 0..=255u8 {
            let allowed = byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80;
            assert_eq!(EntityTag::strong(&[b'a', byte]).is_some(), allowed, "{byte:#x}");
            assert_eq!(EntityTag::weak(&[byte]).is_some_and(EntityTag::is_weak), allowed, "{byte:#x}");
        }
        for (number, digits) in [(0, "0"), (7, "7"), (u64::MAX, "18446744073709551615")] {
            let mut room = TagRoom::new();
            let tag = EntityTag::number(number, &mut room);
            assert!(tag.matches_strongly(EntityTag::strong(digits.as_bytes()).unwrap()), "{number}");
        }
    }
}
