//! What a read of a value that exists answers: conditions, then ranges.
//!
//! **Source**: RFC 9110 section 13.2.2 (order of precedence), 14.2 (Range), 13.1.5 (If-Range).

use std::ops::Range;

use corelane_http::conditional::{Precondition, Preconditions};
use corelane_http::entity_tag::TagRoom;
use corelane_http::range::{self, Selection};
use corelane_http::request::RequestHead;

use super::version_tag::tag_of;

/// The response to a read of a value of known version and length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadAnswer {
    /// 200 with the whole value.
    Whole,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 400: a list of entity tags is malformed.
    BadConditions,
}

#[inline]
pub(crate) fn decide(head: &RequestHead<'_>, version: u64, value_bytes: u64) -> ReadAnswer {
    if !head.is_conditional_or_partial() {
        return ReadAnswer::Whole;
    }
    decide_more(head, version, value_bytes)
}

fn decide_more(head: &RequestHead<'_>, version: u64, value_bytes: u64) -> ReadAnswer {
    let mut room = TagRoom::new();
    let tag = tag_of(version, &mut room);
    let conditions = Preconditions::of(head);
    if !conditions.is_empty() {
        match conditions.evaluate(Some(tag)) {
            Ok(Precondition::Proceed) => {}
            Ok(Precondition::NotModified) => return ReadAnswer::NotModified,
            Ok(Precondition::Failed) => return ReadAnswer::PreconditionFailed,
            Err(_) => return ReadAnswer::BadConditions,
        }
    }
    // A range is defined for GET only.
    let Some(field) = head.range().filter(|_| head.method() == corelane_http::Method::Get) else {
        return ReadAnswer::Whole;
    };
    if head.if_range().is_some_and(|if_range| !range::if_range_holds(if_range, tag)) {
        return ReadAnswer::Whole;
    }
    match range::select(field, value_bytes) {
        Selection::Whole => ReadAnswer::Whole,
        Selection::Part(part) => ReadAnswer::Part(part),
        Selection::Unsatisfiable => ReadAnswer::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use corelane_http::MessageLimits;
    use corelane_http::h1::Parsed;
    use corelane_http::h1::request::{Resume, parse};

    use super::*;

    #[test]
    fn conditions_come_before_ranges() {
        let cases = [
            ("GET", "", ReadAnswer::Whole),
            ("GET", "Range: bytes=2-3\r\n", ReadAnswer::Part(2..4)),
            ("HEAD", "Range: bytes=2-3\r\n", ReadAnswer::Whole),
            ("GET", "Range: bytes=10-\r\n", ReadAnswer::Unsatisfiable),
            ("GET", "Range: bytes=0-1,3-4\r\n", ReadAnswer::Whole),
            ("GET", "If-None-Match: \"7\"\r\nRange: bytes=2-3\r\n", ReadAnswer::NotModified),
            ("GET", "If-None-Match: W/\"7\"\r\n", ReadAnswer::NotModified),
            ("GET", "If-None-Match: \"8\"\r\nRange: bytes=2-3\r\n", ReadAnswer::Part(2..4)),
            ("GET", "If-Match: \"8\"\r\n", ReadAnswer::PreconditionFailed),
            ("GET", "If-Match: \"7\"\r\n", ReadAnswer::Whole),
            ("GET", "If-Range: \"8\"\r\nRange: bytes=2-3\r\n", ReadAnswer::Whole),
            ("GET", "If-Range: \"7\"\r\nRange: bytes=2-3\r\n", ReadAnswer::Part(2..4)),
            ("GET", "If-None-Match: 7\r\n", ReadAnswer::BadConditions),
        ];
        for (method, fields, expected) in cases {
            let text = format!("{method} /v1/kv/default/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let mut resume = Resume::default();
            let Ok(Parsed::Complete(head)) = parse(text.as_bytes(), &MessageLimits::default(), &mut resume) else {
                panic!("{text}")
            };
            assert_eq!(decide(&head, 7, 10), expected, "{method} {fields:?}");
        }
    }
}
