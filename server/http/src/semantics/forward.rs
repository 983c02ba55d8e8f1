//! Which fields of a message an intermediary passes on.
//!
//! **Not** what it adds of its own (`Via`, `Forwarded`), which is a policy's; not trailers.
//!
//! **Invariants**: what concerns one connection stays on it: the fields that `Connection` names, those that always do, and the framing,
//! which whoever writes the message determines anew.
//!
//! **Source**: RFC 9110 section 7.6.1 (`Connection`), 6.5.1 (trailers), 10.1.4 (`TE`); RFC 9112 section 9.3 and appendix C.2.2
//! (`Keep-Alive`, `Proxy-Connection`).

use crate::field::Fields;
use crate::known::KnownField;
use crate::list::Elements;

/// Most options that the `Connection` fields of one message may name, those with a meaning of their own apart.
pub const CONNECTION_OPTIONS_MAX: usize = 16;

/// Fields that concern one connection whether `Connection` names them or not.
const HOP_BY_HOP: [&[u8]; 8] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"upgrade",
];

/// Options that name no field which would be passed on.
const OPTIONS_WITHOUT_FIELD: [&[u8]; 5] = [b"close", b"keep-alive", b"upgrade", b"te", b"proxy-connection"];

/// More fields are said to concern one connection than [`CONNECTION_OPTIONS_MAX`]. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Connection field names more than {CONNECTION_OPTIONS_MAX} other fields")]
pub struct TooManyConnectionOptions;

/// The fields of a message that go from end to end, in the order sent.
#[derive(Debug, Clone)]
pub struct EndToEnd<'a> {
    fields: Fields<'a>,
    named: [&'a [u8]; CONNECTION_OPTIONS_MAX],
    named_count: usize,
}

impl<'a> EndToEnd<'a> {
    /// Of these fields.
    ///
    /// # Errors
    /// The peer's: comparing every field with more names than that would be work without a bound.
    pub fn of(fields: Fields<'a>) -> Result<Self, TooManyConnectionOptions> {
        let mut end_to_end = EndToEnd { fields: fields.clone(), named: [&[]; CONNECTION_OPTIONS_MAX], named_count: 0 };
        for (name, value) in fields {
            if KnownField::from_name(name) == Some(KnownField::Connection) {
                for option in Elements::new(value).filter(|option| !is_one_of(&OPTIONS_WITHOUT_FIELD, option)) {
                    end_to_end.note(option)?;
                }
            }
        }
        Ok(end_to_end)
    }

    fn note(&mut self, option: &'a [u8]) -> Result<(), TooManyConnectionOptions> {
        *self.named.get_mut(self.named_count).ok_or(TooManyConnectionOptions)? = option;
        self.named_count += 1;
        Ok(())
    }

    fn passes(&self, name: &[u8]) -> bool {
        let is_framing = KnownField::from_name(name).is_some_and(KnownField::is_framing);
        !is_framing && !is_one_of(&HOP_BY_HOP, name) && !is_one_of(&self.named[..self.named_count], name)
    }
}

impl<'a> Iterator for EndToEnd<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.fields.next()?;
            if self.passes(name) {
                return Some((name, value));
            }
        }
    }
}

fn is_one_of(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(section: &str) -> Result<Vec<String>, TooManyConnectionOptions> {
        let section = format!("{section}\r\n");
        let fields = EndToEnd::of(Fields::new(section.as_bytes()))?;
        Ok(fields.map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect())
    }

    #[test]
    fn what_concerns_one_connection_stays_on_it() {
        let cases: &[(&str, &[&str])] = &[
            ("A: 1\r\nb: 2\r\nA: 3\r\n", &["A", "b", "A"]),
            ("Connection: close, X-Own\r\nx-own: 1\r\nX-Owner: 2\r\n", &["X-Owner"]),
            ("X-Own: 1\r\nConnection: x-own\r\n", &[]),
            ("Connection: a\r\nConnection: b ,, \"q\"\r\nA: 1\r\nB: 2\r\nC: 3\r\n", &["C"]),
            ("Keep-Alive: 1\r\nTE: trailers\r\nTrailer: a\r\nUpgrade: b\r\nProxy-Authorization: c\r\n", &[]),
            ("PROXY-CONNECTION: a\r\nProxy-Authenticate: b\r\nProxy-Status: c\r\n", &["Proxy-Status"]),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: a\r\nExpect: b\r\n", &["Host", "Expect"]),
        ];
        for (section, expected) in cases {
            assert_eq!(passed(section).unwrap(), *expected, "{section:?}");
        }
    }

    #[test]
    fn names_to_compare_with_are_bounded() {
        let section = |count: usize| {
            let names: Vec<_> = (0..count).map(|number| format!("x{number}")).collect();
            format!("Connection: close, keep-alive, {}\r\nX0: 1\r\nY: 2\r\n", names.join(", "))
        };
        assert_eq!(passed(&section(CONNECTION_OPTIONS_MAX)).unwrap(), ["Y"]);
        assert_eq!(passed(&section(CONNECTION_OPTIONS_MAX + 1)), Err(TooManyConnectionOptions));
    }
}
