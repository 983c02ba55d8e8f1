//! Classes of bytes in HTTP's grammar, and scans for the end of a run of them.
//!
//! **Not**: what a run means.
//! **Invariants**: scans never read past the slice and return an index in `at..=buf.len()` when `at <= buf.len()`.
//! **Source**: RFC 9110 section 5.5 (field values), 5.6.2 (tokens); RFC 3986 section 2 and 3 (URI characters).

/// `tchar`: what a method, a field name or a directive is made of.
pub(crate) const TOKEN: u8 = 1;
/// What a field value may hold: visible ASCII, space, tab and `obs-text`.
pub(crate) const VALUE: u8 = 2;
/// What any form of a request target may hold, the brackets of an IPv6 literal among it.
pub(crate) const TARGET: u8 = 4;
/// What a registered name or an IPv4 address may hold, escapes apart.
pub(crate) const HOST: u8 = 8;
/// What a quoted string may hold unescaped.
pub(crate) const QUOTED: u8 = 16;
/// What an entity tag may hold between its quotes.
pub(crate) const ETAG: u8 = 32;

/// What a path may hold that needs no second look: [`TARGET`] without escapes, brackets and the start of a query.
pub(crate) const PLAIN: u8 = 64;

const UNRESERVED: &[u8] = b"-._~";
const SUB_DELIMS: &[u8] = b"!$&'()*+,;=";
const TOKEN_MARKS: &[u8] = b"!#$%&'*+-.^_`|~";

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = classes_of(byte as u8);
        byte += 1;
    }
    table
}

const fn classes_of(byte: u8) -> u8 {
    let mut set = 0;
    let alphanumeric = byte.is_ascii_alphanumeric();
    if alphanumeric || contains(TOKEN_MARKS, byte) {
        set |= TOKEN;
    }
    if byte == b'\t' || (byte >= 0x20 && byte != 0x7f) {
        set |= VALUE;
        if byte != b'"' && byte != b'\\' {
            set |= QUOTED;
        }
    }
    if byte > 0x20 && byte != b'"' && byte != 0x7f {
        set |= ETAG;
    }
    if alphanumeric || contains(UNRESERVED, byte) || contains(SUB_DELIMS, byte) {
        set |= TARGET | HOST | PLAIN;
    }
    if contains(b":@/", byte) {
        set |= TARGET | PLAIN;
    }
    if contains(b"[]%?", byte) {
        set |= TARGET;
    }
    set
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

const _: () = assert!(classes_of(b'\r') == 0 && classes_of(b'\n') == 0 && classes_of(0) == 0 && classes_of(0x7f) == 0);
const _: () = assert!(classes_of(b'{') & TARGET == 0 && classes_of(b'%') & PLAIN == 0, "a plain key has no hash tag");
const _: () = assert!(classes_of(b' ') == VALUE | QUOTED && classes_of(b':') & TOKEN == 0);

/// Whether `byte` is in any class of `class`.
#[inline]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// Whether every byte is in `class`.
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|&byte| is(byte, class))
}

/// Index of the first byte from `at` that is not in `class`, which is one class, or the length.
///
/// Four bytes per branch: a run of a head is some ten bytes long.
#[inline]
pub(crate) fn run_end(buf: &[u8], at: usize, class: u8) -> usize {
    let mut end = at;
    while let Some(&[a, b, c, d]) = buf.get(end..end + 4).and_then(|four| four.first_chunk::<4>()) {
        let of = |byte: u8| CLASSES[byte as usize];
        if of(a) & of(b) & of(c) & of(d) & class == 0 {
            break;
        }
        end += 4;
    }
    while end < buf.len() && is(buf[end], class) {
        end += 1;
    }
    end
}

/// Index of the first byte from `at` that no field value may hold, or the length.
///
/// Eight bytes at a time, because values are most of a head's bytes (user agents, cookies, traces).
#[inline]
pub(crate) fn value_end(buf: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(word) = buf.get(end..end + WORD_BYTES) {
        let word = u64::from_le_bytes(word.try_into().expect("the slice has eight bytes"));
        let suspects = suspects(word);
        if suspects == 0 {
            end += WORD_BYTES;
            continue;
        }
        // The lowest mark is exact (borrows only travel upwards), and it is a tab or the end.
        end += suspects.trailing_zeros() as usize / 8;
        if buf[end] != b'\t' {
            return end;
        }
        end += 1;
    }
    run_end(buf, end, VALUE)
}

const WORD_BYTES: usize = 8;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// High bit of each byte that is below 0x20 or is 0x7f; bytes above the lowest marked one may be marked in error.
#[inline]
fn suspects(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let deletes = word ^ (ONES * 0x7f);
    let delete = deletes.wrapping_sub(ONES) & !deletes;
    (below_space | delete) & HIGHS
}

/// `bytes` without spaces and tabs (`OWS`) at either end.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A number written as one or more decimal digits and nothing else; `None` for anything else.
/// The inner `None` means that the number is above `u64::MAX`.
pub(crate) fn decimal(digits: &[u8]) -> Option<Option<u64>> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number =
        digits.iter().try_fold(0u64, |number, &digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_end_agrees_with_the_table_at_every_byte_and_alignment() {
        for byte in 0..=255u8 {
            for filler in [b'a', b'\t', 0x80, 0xff] {
                for at in 0..20 {
                    let mut buf = vec![filler; 21];
                    buf[at] = byte;
                    assert_eq!(value_end(&buf, 0), run_end(&buf, 0, VALUE), "byte {byte:#x} at {at}");
                    buf[at + 1] = b'\r';
                    assert_eq!(value_end(&buf, 0), run_end(&buf, 0, VALUE), "byte {byte:#x} at {at} before CR");
                }
            }
        }
    }

    #[test]
    fn decimals() {
        for (text, want) in [
            ("0", Some(Some(0))),
            ("007", Some(Some(7))),
            ("18446744073709551615", Some(Some(u64::MAX))),
            ("18446744073709551616", Some(None)),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1 ", None),
            ("0x1", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), want, "{text:?}");
        }
    }
}
