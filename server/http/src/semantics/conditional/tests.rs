//! Tests of [`super`], by way of whole heads.

use super::*;
use crate::Limits;
use crate::h1::request::{Parsed, Resume, parse};

fn with_conditions<T>(method: &str, fields: &str, judge: impl Fn(Conditions<'_>) -> T) -> T {
    let text = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    match parse(text.as_bytes(), &Limits::default(), &mut Resume::default()) {
        Ok(Parsed::Complete(head)) => judge(Conditions::of(&head)),
        other => panic!("{fields:?}: {other:?}"),
    }
}

#[test]
fn verdicts() {
    use Verdict::{Failed, NotModified, Proceed};
    for (method, fields, current, want) in [
        ("GET", "", Some(7), Ok(Proceed)),
        ("GET", "If-None-Match: \"7\"\r\n", Some(7), Ok(NotModified)),
        ("HEAD", "If-None-Match: W/\"7\"\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-None-Match: \"8\", \"7\"\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-None-Match: \"8\"\r\nIf-None-Match: \"7\"\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-None-Match: \"8\"\r\nX: y\r\nIf-None-Match: \"9\"\r\n", Some(7), Ok(Proceed)),
        ("GET", "If-None-Match: ,\"8\",, ,\"7\" ,\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-None-Match: *\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-None-Match: \"07\"\r\n", Some(7), Ok(Proceed)),
        ("GET", "If-None-Match: \"a,7\"\r\n", Some(7), Ok(Proceed)),
        ("GET", "If-None-Match: \"a\\\", \"7\"\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-None-Match: \"\"\r\n", Some(0), Ok(Proceed)),
        ("GET", "If-None-Match: \"0\"\r\n", Some(0), Ok(NotModified)),
        ("GET", "If-None-Match: \"18446744073709551615\"\r\n", Some(u64::MAX), Ok(NotModified)),
        ("GET", "If-None-Match: \"18446744073709551616\"\r\n", Some(0), Ok(Proceed)),
        ("GET", "If-Match: \"7\"\r\n", Some(7), Ok(Proceed)),
        ("GET", "If-Match: \"7\"\r\nIf-None-Match: \"7\"\r\n", Some(7), Ok(NotModified)),
        ("GET", "If-Match: \"8\"\r\nIf-None-Match: \"7\"\r\n", Some(7), Ok(Failed)),
        ("PUT", "If-None-Match: *\r\n", Some(7), Ok(Failed)),
        ("PUT", "If-None-Match: *\r\n", None, Ok(Proceed)),
        ("PUT", "If-None-Match: \"7\"\r\n", None, Ok(Proceed)),
        ("PUT", "If-Match: *\r\n", None, Ok(Failed)),
        ("PUT", "If-Match: *\r\n", Some(7), Ok(Proceed)),
        ("DELETE", "If-Match: *\r\n", None, Ok(Failed)),
        ("DELETE", "If-Match: \"7\", \"8\"\r\n", None, Ok(Failed)),
        ("DELETE", "If-None-Match: \"7\"\r\n", None, Ok(Proceed)),
        ("PUT", "If-Match: W/\"7\"\r\n", Some(7), Ok(Failed)),
        ("PUT", "If-Match: \"6\", \"7\"\r\n", Some(7), Ok(Proceed)),
        ("GET", "If-None-Match:\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: ,\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: 7\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: \"7\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: \"7\" \"8\"\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: \"7\", 8\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: \"7\", *\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: *\r\nIf-None-Match: *\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: *\r\nIf-None-Match: \"7\"\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: w/\"7\"\r\n", Some(7), Err(TagListError)),
        ("GET", "If-None-Match: \"a b\"\r\n", Some(7), Err(TagListError)),
        ("GET", "If-Match: x\r\nIf-None-Match: \"7\"\r\n", Some(7), Err(TagListError)),
    ] {
        let got = with_conditions(method, fields, |conditions| conditions.evaluate(current));
        assert_eq!(got, want, "{method} {fields:?} of {current:?}");
    }
}

#[test]
fn write_conditions() {
    use WriteCondition::{Absent, Always, Evaluate, Present, Version};
    for (fields, want) in [
        ("", Ok(Always)),
        ("If-None-Match: *\r\n", Ok(Absent)),
        ("If-Match: *\r\n", Ok(Present)),
        ("If-Match: \"7\"\r\n", Ok(Version(7))),
        ("If-Match: W/\"7\"\r\n", Ok(Evaluate)),
        ("If-Match: \"abc\"\r\n", Ok(Evaluate)),
        ("If-Match: \"7\", \"8\"\r\n", Ok(Evaluate)),
        ("If-None-Match: \"7\"\r\n", Ok(Evaluate)),
        ("If-Match: *\r\nIf-None-Match: *\r\n", Ok(Evaluate)),
        ("If-Match: 7\r\n", Err(TagListError)),
    ] {
        let got = with_conditions("PUT", fields, |conditions| conditions.for_write());
        assert_eq!(got, want, "{fields:?}");
        let empty = with_conditions("PUT", fields, |conditions| conditions.is_empty());
        assert_eq!(empty, fields.is_empty());
    }
}
