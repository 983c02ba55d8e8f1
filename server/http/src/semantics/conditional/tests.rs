//! Tests of [`super`], by way of whole heads.

use super::*;
use crate::MessageLimits;
use crate::h1::Parsed;
use crate::h1::request::{Resume, parse};

fn with_conditions<T>(method: &str, fields: &str, judge: impl Fn(Preconditions<'_>) -> T) -> T {
    let text = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    match parse(text.as_bytes(), &MessageLimits::default(), &mut Resume::default()) {
        Ok(Parsed::Complete(head)) => judge(Preconditions::of(&head)),
        other => panic!("{fields:?}: {other:?}"),
    }
}

#[test]
fn verdicts() {
    use Precondition::{Failed, NotModified, Proceed};
    for (method, fields, current, want) in [
        ("GET", "", Some("7"), Ok(Proceed)),
        ("GET", "If-None-Match: \"7\"\r\n", Some("7"), Ok(NotModified)),
        ("HEAD", "If-None-Match: W/\"7\"\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-None-Match: \"8\", \"7\"\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-None-Match: \"8\"\r\nIf-None-Match: \"7\"\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-None-Match: \"8\"\r\nX: y\r\nIf-None-Match: \"9\"\r\n", Some("7"), Ok(Proceed)),
        ("GET", "If-None-Match: ,\"8\",, ,\"7\" ,\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-None-Match: *\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-None-Match: \"07\"\r\n", Some("7"), Ok(Proceed)),
        ("GET", "If-None-Match: \"a,7\"\r\n", Some("7"), Ok(Proceed)),
        ("GET", "If-None-Match: \"a\\\", \"7\"\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-None-Match: \"\"\r\n", Some("0"), Ok(Proceed)),
        ("GET", "If-None-Match: \"0\"\r\n", Some("0"), Ok(NotModified)),
        ("GET", "If-None-Match: \"18446744073709551615\"\r\n", Some("18446744073709551615"), Ok(NotModified)),
        ("GET", "If-None-Match: \"18446744073709551616\"\r\n", Some("0"), Ok(Proceed)),
        ("GET", "If-Match: \"7\"\r\n", Some("7"), Ok(Proceed)),
        ("GET", "If-Match: \"7\"\r\nIf-None-Match: \"7\"\r\n", Some("7"), Ok(NotModified)),
        ("GET", "If-Match: \"8\"\r\nIf-None-Match: \"7\"\r\n", Some("7"), Ok(Failed)),
        ("PUT", "If-None-Match: *\r\n", Some("7"), Ok(Failed)),
        ("PUT", "If-None-Match: *\r\n", None, Ok(Proceed)),
        ("PUT", "If-None-Match: \"7\"\r\n", None, Ok(Proceed)),
        ("PUT", "If-Match: *\r\n", None, Ok(Failed)),
        ("PUT", "If-Match: *\r\n", Some("7"), Ok(Proceed)),
        ("DELETE", "If-Match: *\r\n", None, Ok(Failed)),
        ("DELETE", "If-Match: \"7\", \"8\"\r\n", None, Ok(Failed)),
        ("DELETE", "If-None-Match: \"7\"\r\n", None, Ok(Proceed)),
        ("PUT", "If-Match: W/\"7\"\r\n", Some("7"), Ok(Failed)),
        ("PUT", "If-Match: \"6\", \"7\"\r\n", Some("7"), Ok(Proceed)),
        ("GET", "If-None-Match:\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: ,\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: 7\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: \"7\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: \"7\" \"8\"\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: \"7\", 8\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: \"7\", *\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: *\r\nIf-None-Match: *\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: *\r\nIf-None-Match: \"7\"\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: w/\"7\"\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-None-Match: \"a b\"\r\n", Some("7"), Err(TagListError)),
        ("GET", "If-Match: x\r\nIf-None-Match: \"7\"\r\n", Some("7"), Err(TagListError)),
    ] {
        let got = with_conditions(method, fields, |conditions| {
            conditions.evaluate(current.map(|tag| EntityTag::strong(tag.as_bytes()).unwrap()))
        });
        assert_eq!(got, want, "{method} {fields:?} of {current:?}");
    }
}

#[test]
fn write_conditions() {
    for (fields, want) in [
        ("", Ok("always")),
        ("If-None-Match: *\r\n", Ok("absent")),
        ("If-Match: *\r\n", Ok("present")),
        ("If-Match: \"7\"\r\n", Ok("7")),
        ("If-Match: \"a-b\"\r\n", Ok("a-b")),
        ("If-Match: \"\"\r\n", Ok("")),
        ("If-Match: W/\"7\"\r\n", Ok("evaluate")),
        ("If-Match: \"7\", \"8\"\r\n", Ok("evaluate")),
        ("If-None-Match: \"7\"\r\n", Ok("evaluate")),
        ("If-Match: *\r\nIf-None-Match: *\r\n", Ok("evaluate")),
        ("If-Match: 7\r\n", Err(TagListError)),
    ] {
        let got = with_conditions("PUT", fields, |conditions| {
            conditions.for_write().map(|condition| match condition {
                WriteCondition::Always => "always".to_owned(),
                WriteCondition::Absent => "absent".to_owned(),
                WriteCondition::Present => "present".to_owned(),
                WriteCondition::Matches(tag) => String::from_utf8(tag.opaque().to_vec()).unwrap(),
                WriteCondition::Evaluate => "evaluate".to_owned(),
            })
        });
        assert_eq!(got, want.map(str::to_owned), "{fields:?}");
        let empty = with_conditions("PUT", fields, |conditions| conditions.is_empty());
        assert_eq!(empty, fields.is_empty());
    }
}
