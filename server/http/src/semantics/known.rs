//! Field names this crate acts on or records by place.
//!
//! **Not**: their grammar.
//! **Invariants**: recorded fields come first, so that their discriminant indexes the record.
//! **Source**: RFC 9110 section 5.1 (names are compared without case).

/// A field name with a meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownField {
    Host,
    IfMatch,
    IfNoneMatch,
    IfRange,
    Range,
    ContentType,
    ContentRange,
    CacheControl,
    // Consumed while parsing, not recorded.
    Connection,
    ContentLength,
    TransferEncoding,
    Expect,
}

/// Fields whose place is recorded.
pub(crate) const RECORDED_COUNT: usize = 8;

const _: () = assert!(KnownField::CacheControl as usize + 1 == RECORDED_COUNT);

impl KnownField {
    /// The field a name stands for; the name is a token. Length first: most names differ in it from every known one.
    #[inline]
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        if let Some(name) = name.first_chunk::<4>().filter(|_| name.len() == 4) {
            return (lower(*name) == *b"host").then_some(Self::Host);
        }
        let (known, text): (Self, &[u8]) = match (name.len(), name[0] | ASCII_LOWER) {
            (5, _) => (Self::Range, b"range"),
            (6, _) => (Self::Expect, b"expect"),
            (8, _) if name[3] | ASCII_LOWER == b'm' => (Self::IfMatch, b"if-match"),
            (8, _) => (Self::IfRange, b"if-range"),
            (10, _) => (Self::Connection, b"connection"),
            (12, _) => (Self::ContentType, b"content-type"),
            (13, b'i') => (Self::IfNoneMatch, b"if-none-match"),
            (13, _) if name[1] | ASCII_LOWER == b'a' => (Self::CacheControl, b"cache-control"),
            (13, _) => (Self::ContentRange, b"content-range"),
            (14, _) => (Self::ContentLength, b"content-length"),
            (17, _) => (Self::TransferEncoding, b"transfer-encoding"),
            _ => return None,
        };
        name.iter().zip(text).all(|(byte, text)| byte | ASCII_LOWER == *text).then_some(known)
    }

    /// Whether the field says where its message ends, or what becomes of the connection.
    pub(crate) fn is_framing(self) -> bool {
        matches!(self, Self::Connection | Self::ContentLength | Self::TransferEncoding)
    }

    /// Whether the field may stand on several lines, whose values then form one list.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::IfMatch | Self::IfNoneMatch | Self::CacheControl)
    }
}

/// The bit in which ASCII letters of the two cases differ. Setting it makes no other byte of a token a letter, or a hyphen.
const ASCII_LOWER: u8 = 0x20;

#[inline]
fn lower(bytes: [u8; 4]) -> [u8; 4] {
    bytes.map(|byte| byte | ASCII_LOWER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class;

    #[test]
    fn names_of_either_case_and_near_misses() {
        for (name, want) in [
            ("host", KnownField::Host),
            ("if-match", KnownField::IfMatch),
            ("if-none-match", KnownField::IfNoneMatch),
            ("if-range", KnownField::IfRange),
            ("range", KnownField::Range),
            ("content-type", KnownField::ContentType),
            ("content-range", KnownField::ContentRange),
            ("cache-control", KnownField::CacheControl),
            ("connection", KnownField::Connection),
            ("content-length", KnownField::ContentLength),
            ("transfer-encoding", KnownField::TransferEncoding),
            ("expect", KnownField::Expect),
        ] {
            assert_eq!(KnownField::from_name(name.as_bytes()), Some(want), "{name}");
            assert_eq!(KnownField::from_name(name.to_uppercase().as_bytes()), Some(want), "{name}");
            for (at, byte) in (0..name.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut near = name.as_bytes().to_vec();
                near[at] = byte;
                let want = near.eq_ignore_ascii_case(name.as_bytes()).then_some(want);
                if class::is(byte, class::TOKEN) {
                    assert_eq!(KnownField::from_name(&near), want, "{name} with {byte:#x} at {at}");
                }
            }
        }
    }
}
