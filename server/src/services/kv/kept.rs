//! The fields that are kept with a value: what a PUT says of its representation, and every read of it gives back.
//!
//! ```text
//!  metadata of an item:  content type *( CR LF name ": " value )      names and their order: KEPT
//! ```
//!
//! A value without fields but its type has metadata without a line end, as every version before had it.
//!
//! **Not** judged: a media type, a coding or a language may be any that a field can say.
//!
//! **Invariants**: what is kept is given back as it was sent, or the PUT was refused with the name of what cannot be kept; metadata
//! that this module has not written, such as of a node's, yields no fields but those of [`KEPT`].
//!
//! **Source**: RFC 9110 sections 8.3 to 8.5, 8.8 and 9.3.4; RFC 6266; RFC 9111 section 5.2.

use std::io::Write as _;

use corelane_http::Status;
use corelane_http::cache_control;
use corelane_http::field::{FieldLine, FieldValue};
use corelane_http::problem::Problem;
use corelane_http::request::RequestHead;
use shardstore::cache::METADATA_BYTES_MAX;
use store_runtime::edge_copy::CLIENT_METADATA_BYTES_MAX;

const _: () = assert!(CLIENT_METADATA_BYTES_MAX == 247, "the sentences below have the number");

/// A field that is kept, besides `Content-Type`.
struct Kept {
    name: &'static str,
    /// Whether its lines form one list.
    is_list: bool,
    too_long: &'static str,
}

macro_rules! kept {
    ($name:literal, $is_list:literal) => {
        Kept { name: $name, is_list: $is_list, too_long: concat!("no room to keep ", $name, ": Content-Type, Content-Encoding, Content-Language, Content-Disposition and Cache-Control of a value have 247 bytes together, with the names of all but the first") }
    };
}

const KEPT: [Kept; 4] = [
    kept!("Content-Encoding", true),
    kept!("Content-Language", true),
    kept!("Content-Disposition", false),
    kept!("Cache-Control", true),
];

/// Where `Cache-Control` is in [`KEPT`].
const CACHE_CONTROL: usize = 3;

const TYPE_TOO_LONG: &str =
    "the Content-Type is longer than 247 bytes, which is what the kept fields of a value have together";

/// Fields that say something about a value that would be lost, and what is answered. Fields that nobody knows are ignored, as
/// RFC 9110 (section 5.1) wants.
const NOT_KEPT: [(&str, &str); 6] = [
    ("Content-MD5", "Content-MD5 is neither checked nor kept; send the value without it"),
    ("Content-Digest", "Content-Digest is neither checked nor kept; send the value without it"),
    ("Repr-Digest", "Repr-Digest is neither checked nor kept; send the value without it"),
    (
        "Content-Transfer-Encoding",
        "Content-Transfer-Encoding has no meaning in HTTP; say how the value is coded with Content-Encoding",
    ),
    ("Expires", "Expires is not kept; say how long the value lives with Cache-Control: max-age"),
    ("Last-Modified", "Last-Modified is not kept; a value's version is its ETag"),
];

/// The metadata to store with a PUT's value.
///
/// # Errors
///
/// The client's: a field cannot be kept; the problem names it.
pub(super) fn of_request(head: &RequestHead<'_>) -> Result<Box<[u8]>, Problem<'static>> {
    let mut metadata = Vec::new();
    append(&mut metadata, head.content_type().unwrap_or_default(), TYPE_TOO_LONG)?;
    let mut lines: [Vec<u8>; KEPT.len()] = Default::default();
    for (name, value) in head.fields() {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if let Some((_, detail)) = NOT_KEPT.iter().find(|(name, _)| is(name)) {
            return Err(refused(detail));
        }
        let Some(at) = KEPT[..CACHE_CONTROL].iter().position(|kept| is(kept.name)) else { continue };
        if !KEPT[at].is_list && !lines[at].is_empty() {
            return Err(refused("Content-Disposition appears more than once"));
        }
        join(&mut lines[at], value);
    }
    for directive in cache_control::kept_directives(head.cache_control()) {
        let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"s-maxage") {
            return Err(refused("s-maxage of Cache-Control is not kept; say how long the value lives with max-age"));
        }
        join(&mut lines[CACHE_CONTROL], directive);
    }
    for (kept, line) in KEPT.iter().zip(&lines).filter(|(_, line)| !line.is_empty()) {
        for part in [b"\r\n", kept.name.as_bytes(), b": ", line] {
            append(&mut metadata, part, kept.too_long)?;
        }
    }
    Ok(metadata.into())
}

/// Adds an element to a list.
fn join(line: &mut Vec<u8>, element: &[u8]) {
    if !line.is_empty() && !element.is_empty() {
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(element);
}

fn append(metadata: &mut Vec<u8>, part: &[u8], too_long: &'static str) -> Result<(), Problem<'static>> {
    if metadata.len() + part.len() > CLIENT_METADATA_BYTES_MAX {
        return Err(refused(too_long));
    }
    metadata.extend_from_slice(part);
    Ok(())
}

fn refused(detail: &'static str) -> Problem<'static> {
    Problem { status: Status::BadRequest, slug: "not-kept", detail, limit: None }
}

/// What metadata with line ends says.
#[derive(Debug)]
pub(crate) struct KeptFields<'a> {
    /// Empty when the client gave none.
    pub(crate) content_type: &'a [u8],
    lines: [Option<FieldLine<'a>>; KEPT.len()],
}

impl<'a> KeptFields<'a> {
    /// Reads metadata; nothing of what is malformed.
    pub(crate) fn of(metadata: &'a [u8]) -> Self {
        Self::parse(metadata).unwrap_or(KeptFields { content_type: b"", lines: [None; KEPT.len()] })
    }

    fn parse(metadata: &'a [u8]) -> Option<Self> {
        let mut parts = MetadataLines(Some(metadata));
        let content_type = parts.next()?;
        FieldValue::new(content_type)?;
        let mut lines = [None; KEPT.len()];
        let mut next = 0;
        for part in parts {
            let colon = memchr::memmem::find(part, b": ")?;
            let (name, value) = (&part[..colon], &part[colon + 2..]);
            let at = next + KEPT[next..].iter().position(|kept| kept.name.as_bytes() == name)?;
            lines[at] = Some(FieldLine::new(name, value)?);
            next = at + 1;
        }
        Some(KeptFields { content_type, lines })
    }

    /// Has `then` look at the fields besides the type: all of them, or those that a 304 repeats. The seconds that the value has
    /// left are handed on, unless they are in a kept `Cache-Control`: one line is read right by everybody.
    pub(super) fn with_lines<R>(
        &self,
        only_caching: bool,
        max_age_s: Option<u32>,
        then: impl FnOnce(Option<u32>, &[FieldLine<'_>]) -> R,
    ) -> R {
        let mut room = [0; CACHE_CONTROL_BYTES_MAX];
        let (mut lines, mut max_age_s) = (self.lines, max_age_s);
        if let (Some(kept), Some(seconds)) = (lines[CACHE_CONTROL], max_age_s) {
            lines[CACHE_CONTROL] = Some(merged(kept, seconds, &mut room));
            max_age_s = None;
        }
        let mut present = lines[if only_caching { CACHE_CONTROL } else { 0 }..].iter().flatten();
        let Some(&first) = present.next() else { return then(max_age_s, &[]) };
        let mut sent = [first; KEPT.len()];
        let mut count = 1;
        for line in present {
            sent[count] = *line;
            count += 1;
        }
        then(max_age_s, &sent[..count])
    }
}

/// Room for `max-age` with its seconds in front of what is kept.
const CACHE_CONTROL_BYTES_MAX: usize = "max-age=, ".len() + 10 + METADATA_BYTES_MAX;

fn merged<'a>(kept: FieldLine<'_>, seconds: u32, room: &'a mut [u8; CACHE_CONTROL_BYTES_MAX]) -> FieldLine<'a> {
    let mut left = &mut room[..];
    write!(left, "max-age={seconds}, ").and_then(|()| left.write_all(kept.value().as_bytes())).expect("there is room");
    let unused = left.len();
    let bytes = room.len() - unused;
    FieldLine::new(KEPT[CACHE_CONTROL].name.as_bytes(), &room[..bytes]).expect("made of a field's value")
}

/// What is between line ends.
struct MetadataLines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for MetadataLines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.take()?;
        let Some(at) = memchr::memmem::find(rest, b"\r\n") else { return Some(rest) };
        self.0 = Some(&rest[at + 2..]);
        Some(&rest[..at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::fakes::with_head;

    fn kept(fields: &str) -> Result<String, String> {
        let text = format!("PUT /v1/kv/default/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        with_head(&text, |head| {
            let metadata = of_request(head).map_err(|problem| problem.detail.to_owned())?;
            Ok(String::from_utf8(metadata.into()).expect("what was sent"))
        })
    }

    #[test]
    fn what_a_put_says_of_its_value_is_kept_in_one_order() {
        for (fields, metadata) in [
            ("", ""),
            ("Content-Type: text/plain\r\n", "text/plain"),
            ("content-encoding: gzip\r\n", "\r\nContent-Encoding: gzip"),
            (
                "Cache-Control: max-age=9, public, immutable\r\nContent-Encoding: br\r\nContent-Type: a/b\r\n\
                 Content-Encoding: gzip\r\nContent-Language: de, fr\r\nContent-Disposition: attachment; filename=\"a b\"\r\n",
                "a/b\r\nContent-Encoding: br, gzip\r\nContent-Language: de, fr\r\n\
                 Content-Disposition: attachment; filename=\"a b\"\r\nCache-Control: public, immutable",
            ),
            ("Cache-Control: no-cache, no-store, max-age=1, only-if-cached\r\n", ""),
            ("Cache-Control: no-cache=\"a, b\"\r\n", "\r\nCache-Control: no-cache=\"a, b\""),
            ("Content-Encoding:\r\nX-Any: b\r\nContent-Location: /c\r\n", ""),
        ] {
            assert_eq!(kept(fields).as_deref(), Ok(metadata), "{fields}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        let long = |name: &str, bytes: usize| format!("{name}: {}\r\n", "x".repeat(bytes));
        for (fields, name) in [
            (long("Content-Type", 248), "Content-Type"),
            (long("Content-Language", 230), "Content-Language"),
            (format!("Content-Type: text/plain\r\n{}", long("Content-Disposition", 220)), "Content-Disposition"),
            (long("Cache-Control", 240), "Cache-Control"),
            ("Content-Disposition: inline\r\nContent-Disposition: inline\r\n".to_owned(), "Content-Disposition"),
            ("Cache-Control: S-MaxAge=5\r\n".to_owned(), "s-maxage"),
            ("content-md5: x\r\n".to_owned(), "Content-MD5"),
            ("Expires: 0\r\n".to_owned(), "Expires"),
        ] {
            let detail = kept(&fields).expect_err("it cannot be kept");
            assert!(detail.contains(name), "{name}: {detail}");
        }
        assert!(kept(&long("Content-Type", 247)).is_ok() && kept(&long("Content-Language", 227)).is_ok());
    }

    #[test]
    fn metadata_is_read_as_it_was_written_and_nothing_else_is() {
        let lines = |metadata: &str, only_caching| -> Vec<String> {
            KeptFields::of(metadata.as_bytes()).with_lines(only_caching, None, |_, lines| {
                let text = |line: &FieldLine<'_>| [line.name(), b": ", line.value().as_bytes()].concat();
                lines.iter().map(|line| String::from_utf8(text(line)).expect("as given")).collect()
            })
        };
        let all = "\r\nContent-Encoding: gzip\r\nContent-Language: de\r\nContent-Disposition: inline\r\nCache-Control: public";
        assert_eq!(lines(all, false).concat().len() + 8, all.len());
        assert_eq!(lines(all, true), ["Cache-Control: public"]);
        assert_eq!(KeptFields::of(b"a/b\r\nContent-Language: de").content_type, b"a/b");
        for (metadata, expected) in [
            ("a/b\r\nContent-Language: de", vec!["Content-Language: de"]),
            ("a/b\r\nSet-Cookie: a", vec![]),
            ("a/b\r\nContent-Length: 1", vec![]),
            ("a/b\r\nContent-Language: de\r\nContent-Encoding: gzip", vec![]),
            ("a/b\r\nContent-Language: de\r\nContent-Language: fr", vec![]),
            ("a/b\r\nContent-Language: d\ne", vec![]),
            ("a\0b\r\nContent-Language: de", vec![]),
            ("a/b\r\n", vec![]),
            ("a/b\r\nContent-Language", vec![]),
        ] {
            assert_eq!(lines(metadata, false), expected, "{metadata:?}");
        }
    }

    #[test]
    fn seconds_left_and_what_is_kept_are_one_line() {
        let said = |metadata: &[u8], max_age_s| {
            KeptFields::of(metadata).with_lines(false, max_age_s, |left, lines| {
                (left, lines.iter().map(|line| line.value().as_bytes().to_vec()).collect::<Vec<_>>())
            })
        };
        let long = [b"\r\nCache-Control: ".to_vec(), vec![b'x'; METADATA_BYTES_MAX - 17]].concat();
        let merged = [b"max-age=4294967295, ".to_vec(), vec![b'x'; METADATA_BYTES_MAX - 17]].concat();
        assert_eq!(said(&long, Some(u32::MAX)), (None, vec![merged]));
        assert_eq!(said(b"\r\nCache-Control: public", None), (None, vec![b"public".to_vec()]));
        assert_eq!(said(b"\r\nContent-Language: de", Some(5)), (Some(5), vec![b"de".to_vec()]));
    }
}
