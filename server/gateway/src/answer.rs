//! Answers that are the same for every request.
//!
//! **Not**: reading the file that holds a body.
//!
//! **Invariants**: a body has at most [`ANSWER_BYTES_MAX`] bytes, and none where its status has none.
//!
//! **Source**: RFC 9110 sections 8.3 and 15.

use std::sync::Arc;

use corelane_http::Status;

use crate::fault::{FaultReason, SourceFault};
use crate::source::{AnswerSource, Placed, SourcePlace};

/// Longest body, in bytes: it is copied into each response. A page with its styles is some kilobytes.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Type of a body without an extension that is known.
const OCTET_STREAM: &str = "application/octet-stream";

/// Types by the extension of the file.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", HTML),
    ("html", HTML),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("pem", "application/x-pem-file"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", TEXT),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
];
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A response that is the same for every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedAnswer {
    /// The status.
    pub status: Status,
    /// What the body is; none without a body.
    pub content_type: Option<&'static str>,
    /// The body, at most [`ANSWER_BYTES_MAX`].
    pub body: Arc<[u8]>,
    /// After so many seconds clients may try again.
    pub retry_after_s: Option<u32>,
}

/// Checks an answer; what is wrong goes to `faults`. `key` is its path, and `place` where the service stands.
pub(crate) fn compile_answer(
    source: &AnswerSource,
    key: &str,
    place: &SourcePlace,
    faults: &mut Vec<SourceFault>,
) -> Option<FixedAnswer> {
    let before = faults.len();
    let mut refuse = |place: &SourcePlace, name: &str, reason: FaultReason| {
        faults.push(SourceFault { place: place.clone(), key: format!("{key}.{name}"), reason });
    };
    let code = source.status.as_ref().map_or(200, |status| status.value);
    let status = Status::from_code(code).filter(|status| !status.is_interim());
    if let (None, Some(written)) = (status, &source.status) {
        refuse(&written.place, "status", FaultReason::invalid(code, "200 to 599"));
    }
    let (body, content_type) = match (&source.text, &source.file) {
        (Some(_), Some(file)) => {
            refuse(&file.place, "file", FaultReason::Shape("stands beside text; an answer has one body"));
            (Arc::default(), None)
        }
        (Some(text), None) => (text.value.as_bytes().into(), Some(TEXT)),
        (None, Some(Placed { value: file, .. })) => (Arc::clone(&file.content), Some(type_of(&file.path))),
        (None, None) => (Arc::default(), None),
    };
    let from = source.text.as_ref().map(|text| &text.place).or(source.file.as_ref().map(|file| &file.place));
    let name = if source.text.is_some() { "text" } else { "file" };
    if body.len() > ANSWER_BYTES_MAX {
        let allowed = format!("at most {ANSWER_BYTES_MAX} bytes");
        refuse(from.unwrap_or(place), name, FaultReason::invalid(format!("{} bytes", body.len()), allowed));
    }
    if from.is_some() && status.is_some_and(|status| !status.has_body()) {
        refuse(from.unwrap_or(place), name, FaultReason::Shape("a response with this status has no body; remove it"));
    }
    let answer = FixedAnswer { status: status?, content_type, body, retry_after_s: source.retry_after_s };
    (faults.len() == before).then_some(answer)
}

fn type_of(path: &str) -> &'static str {
    let extension =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, extension)| extension);
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    known.map_or(OCTET_STREAM, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::AnswerFile;

    fn placed<T>(value: T) -> Option<Placed<T>> {
        Some(Placed { value, place: SourcePlace::new("a.toml:3") })
    }

    fn compiled(source: &AnswerSource) -> Result<FixedAnswer, Vec<String>> {
        let mut faults = Vec::new();
        let answer = compile_answer(source, "service.x.answer", &SourcePlace::new("a.toml:1"), &mut faults);
        answer.ok_or_else(|| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_body_is_a_text_a_file_or_none() {
        let text = AnswerSource { text: placed("hi".to_owned()), ..AnswerSource::default() };
        let answer = compiled(&text).unwrap();
        assert_eq!((answer.status.code(), answer.content_type, &*answer.body), (200, Some(TEXT), &b"hi"[..]));
        for (path, media_type) in [
            ("down.html", HTML),
            ("/a.b/DOWN.HTML", HTML),
            ("/a.html/x", OCTET_STREAM),
            ("robots.txt", TEXT),
            ("x.unknown", OCTET_STREAM),
        ] {
            let file = AnswerFile { path: path.to_owned(), content: (*b"page").into() };
            let source = AnswerSource { status: placed(503), file: placed(file), ..AnswerSource::default() };
            let answer = compiled(&source).unwrap();
            assert_eq!((answer.status.code(), answer.content_type), (503, Some(media_type)), "{path}");
        }
        let none = compiled(&AnswerSource { status: placed(204), ..AnswerSource::default() }).unwrap();
        assert_eq!((none.status.code(), none.content_type, none.body.len()), (204, None, 0));
    }

    #[test]
    fn refused_answers() {
        let file = |content: Arc<[u8]>| placed(AnswerFile { path: "x.html".to_owned(), content });
        let text = || placed("hi".to_owned());
        let none = AnswerSource::default;
        let large: Arc<[u8]> = vec![0; ANSWER_BYTES_MAX + 1].into();
        for (source, message) in [
            (
                AnswerSource { status: placed(100), ..none() },
                "a.toml:3: service.x.answer.status: found \"100\", allowed: 200 to 599",
            ),
            (
                AnswerSource { text: text(), file: file(Arc::default()), ..none() },
                "a.toml:3: service.x.answer.file: stands beside text; an answer has one body",
            ),
            (
                AnswerSource { file: file(large), ..none() },
                "a.toml:3: service.x.answer.file: found \"65537 bytes\", allowed: at most 65536 bytes",
            ),
            (
                AnswerSource { status: placed(304), text: text(), ..none() },
                "a.toml:3: service.x.answer.text: a response with this status has no body; remove it",
            ),
        ] {
            assert_eq!(compiled(&source), Err(vec![message.to_owned()]));
        }
        let largest: Arc<[u8]> = vec![0; ANSWER_BYTES_MAX].into();
        assert!(compiled(&AnswerSource { file: file(largest), ..none() }).is_ok());
    }
}
