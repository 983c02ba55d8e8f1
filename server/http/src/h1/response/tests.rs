//! Tests of [`super`].

use super::*;

fn outcome(text: &[u8], method: Method) -> Result<Option<(u16, ResponseBody, bool)>, ResponseError> {
    Ok(match parse(text, &MessageLimits::default(), method)? {
        Parsed::Partial => None,
        Parsed::Complete(head) => {
            assert_eq!(head.head_bytes(), text.len());
            Some((head.status(), head.body(), head.keep_alive()))
        }
    })
}

#[test]
fn accepted() {
    for (line, fields, method, want) in [
        ("HTTP/1.1 200 OK", "Content-Length: 5\r\n", Method::Get, (200, ResponseBody::Length(5), true)),
        ("HTTP/1.1 200 OK", "Content-Length: 0\r\n", Method::Get, (200, ResponseBody::None, true)),
        ("HTTP/1.1 200 OK", "Content-Length: 5\r\n", Method::Head, (200, ResponseBody::None, true)),
        ("HTTP/1.1 200 ", "transfer-encoding: Chunked\r\n", Method::Get, (200, ResponseBody::Chunked, true)),
        ("HTTP/1.1 200", "Content-Length: 5\r\n", Method::Get, (200, ResponseBody::Length(5), true)),
        ("HTTP/1.1 404 Not\tHere \u{e9}", "", Method::Get, (404, ResponseBody::UntilClose, false)),
        ("HTTP/1.1 204 No Content", "", Method::Get, (204, ResponseBody::None, true)),
        ("HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", Method::Get, (304, ResponseBody::None, true)),
        ("HTTP/1.1 100 Continue", "", Method::Put, (100, ResponseBody::None, true)),
        ("HTTP/1.1 200 OK", "", Method::Connect, (200, ResponseBody::None, true)),
        (
            "HTTP/1.1 200 OK",
            "Connection: close\r\nContent-Length: 5\r\n",
            Method::Get,
            (200, ResponseBody::Length(5), false),
        ),
        ("HTTP/1.0 200 OK", "Content-Length: 5\r\n", Method::Get, (200, ResponseBody::Length(5), false)),
        (
            "HTTP/1.0 200 OK",
            "Connection: x, Keep-Alive\r\nContent-Length: 5\r\n",
            Method::Get,
            (200, ResponseBody::Length(5), true),
        ),
    ] {
        let text = format!("{line}\r\n{fields}\r\n");
        assert_eq!(outcome(text.as_bytes(), method), Ok(Some(want)), "{text:?}");
        for cut in 0..text.len() {
            assert_eq!(outcome(&text.as_bytes()[..cut], method), Ok(None), "{text:?} cut at {cut}");
        }
    }
}

#[test]
fn refused() {
    use ResponseError::StatusLine;
    for (text, want) in [
        ("HTTP/2 200\r\n\r\n", StatusLine),
        ("HTTP/1.2 200 OK\r\n\r\n", StatusLine),
        ("http/1.1 200 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1 600 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1  200 OK\r\n\r\n", StatusLine),
        ("\x16\x03\x01", StatusLine),
        ("HTTP/1.1 200 OK\n\n", FieldError::BareLf.into()),
        ("HTTP/1.1 200 O\rK\r\n\r\n", FieldError::BareCr.into()),
        ("HTTP/1.1 200 O\0K\r\n\r\n", FieldError::Value.into()),
        ("HTTP/1.1 200 OK\r\n a: b\r\n\r\n", FieldError::Folded.into()),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n", FramingError::ContentLengthDiffers.into()),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n", FramingError::ContentLength.into()),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n", FramingError::TransferEncoding.into()),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", FramingError::Both.into()),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", FramingError::TransferEncodingVersion.into()),
    ] {
        assert_eq!(outcome(text.as_bytes(), Method::Get), Err(want), "{text:?}");
    }
}

#[test]
fn limits() {
    let text = b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n";
    let with = |limits: MessageLimits| parse(text, &limits, Method::Get).map(|_| ());
    let head_bytes_max = text.len() as u32;
    assert_eq!(with(MessageLimits { head_bytes_max, field_count_max: 2, ..MessageLimits::default() }), Ok(()));
    let too_large = with(MessageLimits { head_bytes_max: head_bytes_max - 1, ..MessageLimits::default() });
    assert_eq!(too_large, Err(ResponseError::HeadTooLarge));
    let too_many = with(MessageLimits { field_count_max: 1, ..MessageLimits::default() });
    assert_eq!(too_many, Err(ResponseError::TooManyFields));
}

#[test]
fn fields_are_found_by_name() {
    let Ok(Parsed::Complete(head)) =
        parse(b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\n\r\n", &MessageLimits::default(), Method::Get)
    else {
        panic!("a valid head");
    };
    assert_eq!((head.field("etag"), head.field("age")), (Some(&b"\"1\""[..]), None));
    assert_eq!(head.fields().count(), 1);
}
