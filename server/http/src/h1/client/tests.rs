//! Tests of [`super`].

use super::*;
use crate::h1::{FieldError, FramingError};

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
    HTTP/1.1 204 No Content\r\n\r\n\
    HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld\
    HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain\
    HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length:3\r\n\r\nno!\
    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n\
    HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
    HTTP/1.0 200 OK\r\nX: y\r\n\r\nuntil the end";

const SEEN: &str = "200 hello. 204 . 200 world. 200 again. 103 404 no!. 200 abcde. 200 . 200 until the end";

/// What comes of `stream` in pieces of `step`, every method being `method`; and what its end means.
fn read(stream: &[u8], step: usize, method: Method) -> Result<(String, Closed), ReadError> {
    read_with(stream, step, method, |_, _, _| false)
}

/// As [`read`], with another way to read a response, which says whether there was one.
fn read_with(
    stream: &[u8],
    step: usize,
    method: Method,
    mut other: impl FnMut(&mut ResponseReader, &mut &[u8], &mut String) -> bool,
) -> Result<(String, Closed), ReadError> {
    let mut reader = ResponseReader::new(MessageLimits::default());
    let mut seen = String::new();
    for mut piece in stream.chunks(step) {
        loop {
            if other(&mut reader, &mut piece, &mut seen) {
                continue;
            }
            let Some(event) = reader.next(&mut piece, method)? else { break };
            match event {
                ResponseEvent::Head(head) => seen.push_str(&format!("{} ", head.status())),
                ResponseEvent::Data(data) => seen.push_str(std::str::from_utf8(data).unwrap()),
                ResponseEvent::End(data) => {
                    seen.push_str(std::str::from_utf8(data).unwrap());
                    seen.push_str(". ");
                }
            }
        }
        assert!(piece.is_empty(), "all is taken: {}", piece.escape_ascii());
    }
    Ok((seen, reader.close()))
}

#[test]
fn responses_are_the_same_in_any_pieces() {
    for step in 1..=STREAM.len() {
        let (seen, closed) = read(STREAM, step, Method::Get).unwrap();
        assert_eq!((seen.as_str(), closed), (SEEN, Closed::Whole), "in pieces of {step}");
    }
}

/// Responses that are like the one before are the same however they are read, and are read so where they come whole.
#[test]
fn responses_that_are_alike_are_the_same() {
    for step in 1..=STREAM.len() {
        let mut count = 0;
        let seen = read_with(STREAM, step, Method::Get, |reader, input, seen| {
            let Some((head, body)) = reader.next_alike(input, Method::Get) else { return false };
            count += 1;
            seen.push_str(&format!("{} {}. ", head.status(), std::str::from_utf8(body).unwrap()));
            true
        });
        assert_eq!(seen, Ok((SEEN.to_owned(), Closed::Whole)), "in pieces of {step}");
        assert!(step < STREAM.len() || count == 1, "{count} in one piece");
    }
}

#[test]
fn the_method_decides_whether_there_is_a_body() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    // The same head means another thing to another method, though its bytes are known.
    let mut reader = ResponseReader::new(MessageLimits::default());
    for (method, has_body) in [(Method::Head, false), (Method::Get, true), (Method::Head, false)] {
        let stream = [&head[..], if has_body { b"hello" } else { b"" }].concat();
        let mut input = &stream[..];
        let mut data_bytes = 0;
        while let Some(event) = reader.next(&mut input, method).unwrap() {
            data_bytes += if let ResponseEvent::Data(data) | ResponseEvent::End(data) = event { data.len() } else { 0 };
        }
        assert_eq!((data_bytes, reader.close()), (if has_body { 5 } else { 0 }, Closed::Between), "{method:?}");
    }
}

#[test]
fn heads_are_lent_with_their_fields() {
    let mut reader = ResponseReader::new(MessageLimits::default());
    let stream = b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for step in [1, 7, stream.len(), stream.len()] {
        let mut tags = Vec::new();
        for mut piece in stream.chunks(step) {
            while let Some(event) = reader.next(&mut piece, Method::Get).unwrap() {
                if let ResponseEvent::Head(head) = event {
                    assert!(!head.keep_alive() && head.head_bytes() == stream.len());
                    tags.push(head.field("etag").unwrap().to_vec());
                }
            }
        }
        assert_eq!(tags, [b"\"1\""], "in pieces of {step}");
    }
}

#[test]
fn what_the_end_of_a_connection_means() {
    for (stream, want) in [
        (&b""[..], Closed::Between),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Closed::Between),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Closed::Between),
        (b"H", Closed::CutOff),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Closed::CutOff),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", Closed::CutOff),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", Closed::CutOff),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Closed::Between),
        (b"HTTP/1.1 200 OK\r\n\r\n", Closed::Whole),
        (b"HTTP/1.1 200 OK\r\n\r\na", Closed::Whole),
    ] {
        for step in [1, 1000] {
            assert_eq!(
                read(stream, step, Method::Get).map(|(_, closed)| closed),
                Ok(want),
                "{}",
                stream.escape_ascii()
            );
        }
    }
    // A final answer is still to come.
    let interim = read(b"HTTP/1.1 100 Continue\r\n\r\n", 1000, Method::Put);
    assert_eq!(interim, Ok(("100 ".to_owned(), Closed::CutOff)));
}

#[test]
fn what_is_no_response_is_refused() {
    let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 16 << 10]].concat();
    for (stream, want) in [
        (&b"220 ready\r\n"[..], ReadError::Head(ResponseError::StatusLine)),
        (b"HTTP/2.0 200 OK\r\n\r\n", ReadError::Head(ResponseError::StatusLine)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ReadError::Head(FramingError::ContentLength.into())),
        (b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", ReadError::Head(FieldError::BareLf.into())),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", ReadError::Body(ChunkedError::Size)),
        (&long, ReadError::Head(ResponseError::HeadTooLarge)),
    ] {
        for step in [1, 5, 1 << 20] {
            let got = read(stream, step, Method::Get);
            assert_eq!(got, Err(want), "{} in pieces of {step}", stream[..20].escape_ascii());
        }
    }
}

#[test]
fn a_head_of_exactly_the_bound_is_read() {
    let limits = MessageLimits::default();
    let start = b"HTTP/1.1 204 No Content\r\nX: ";
    for (over, want) in [(0, true), (1, false)] {
        let filler = limits.head_bytes_max as usize - start.len() - 4 + over;
        let stream = [&start[..], &vec![b'a'; filler], b"\r\n\r\n"].concat();
        for step in [1000, stream.len()] {
            assert_eq!(read(&stream, step, Method::Get).is_ok(), want, "{over} over, in pieces of {step}");
        }
    }
}

/// A head after another says what it says alone, whatever line of it differs.
#[test]
fn a_head_after_another_is_read_as_alone() {
    let heads = [
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"1\"\r\nContent-Length: 1\r\nZ: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"2\"\r\nContent-Length: 1\r\nZ: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 1\r\nZ: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: long\r\nETag: \"23\"\r\nContent-Length: 1\r\nZ: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 1\r\nZ: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETah: \"23\"\r\nContent-Length: 1\r\nZ: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 2\r\nZ: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 1\r\nZ: y\r\nMore: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 404 OK\r\nA: b\r\nETag: \"23\"\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: \"2\r3\"\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\nETag: \"23\"\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: \"23\"\r\nContent-Length: 1\r\n\r\n",
    ];
    let says = |reader: &mut ResponseReader, text: &str| {
        let mut input = text.as_bytes();
        let seen = match reader.next(&mut input, Method::Head).map(Option::unwrap) {
            Ok(ResponseEvent::Head(head)) => {
                let fields: Vec<_> = head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
                let etag = head.etag().map(<[u8]>::to_vec);
                Ok((head.status(), head.keep_alive(), head.content_length(), etag, fields))
            }
            Ok(_) => panic!("a head comes first"),
            Err(error) => return Err(error),
        };
        assert!(input.is_empty() && matches!(reader.next(&mut input, Method::Head), Ok(Some(ResponseEvent::End([])))));
        seen
    };
    for (first, second) in heads.iter().flat_map(|first| heads.iter().map(move |second| (first, second))) {
        let mut reader = ResponseReader::new(MessageLimits::default());
        if says(&mut reader, first).is_ok() {
            let alone = says(&mut ResponseReader::new(MessageLimits::default()), second);
            assert_eq!(says(&mut reader, second), alone, "{first:?} {second:?}");
            let etag = head_field(second);
            assert!(alone.is_err() || alone.is_ok_and(|(_, _, _, tag, _)| tag == etag), "{second:?}");
        }
    }
}

fn head_field(text: &str) -> Option<Vec<u8>> {
    let line = text.lines().find_map(|line| line.strip_prefix("ETag: "))?;
    Some(line.as_bytes().to_vec())
}
