//! The engine of a server's connection, in pieces and by several connections.

use super::*;
use crate::request::RequestBody;
use crate::response::ConnectionOption;

const STREAM: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz\
    \r\nHEAD /c HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n";

fn scratch() -> RequestScratch {
    RequestScratch::with_memos(4)
}

/// Goes on with the body under way, or with the next head, and notes what it found; false if more has to come.
fn go_on(
    reader: &mut RequestReader<&'static [u8], ()>,
    scratch: &mut RequestScratch,
    (body, seen): (&mut Option<BodyReader>, &mut Vec<u8>),
) -> bool {
    if let Some(under_way) = body {
        match under_way.next(reader.input()).unwrap() {
            BodyStep::Data => seen.extend_from_slice(under_way.data(reader.input())),
            BodyStep::More => return false,
            BodyStep::End => *body = None,
        }
        return true;
    }
    let limits = MessageLimits::default();
    let serve = |head: &RequestHead<'_>| {
        seen.extend_from_slice(head.target_text());
        *body = (head.body() != RequestBody::None).then(|| BodyReader::new(head.body(), &limits));
    };
    reader.next(&limits, scratch, || (), serve).unwrap().is_some()
}

/// However the stream is cut, the same requests are served, and the body is there between two of them.
#[test]
fn requests_are_served_in_any_pieces() {
    for step in 1..=STREAM.len() {
        let mut scratch = scratch();
        let mut reader = RequestReader::new(&mut scratch);
        let (mut seen, mut body) = (Vec::new(), None);
        for piece in STREAM.chunks(step) {
            reader.push(piece);
            reader.release();
            while go_on(&mut reader, &mut scratch, (&mut body, &mut seen)) {}
        }
        assert_eq!(String::from_utf8(seen).unwrap(), "/a/bxyz/c/a", "in pieces of {step}");
        assert!(body.is_none() && reader.input().is_empty() && reader.head_began().is_none());
    }
}

#[test]
fn a_head_begins_with_its_first_bytes_and_ends_with_its_last() {
    let mut scratch = scratch();
    let mut reader = RequestReader::new(&mut scratch);
    let mut next = |reader: &mut RequestReader<&'static [u8], u32>, now: u32| {
        reader.next(&MessageLimits::default(), &mut scratch, || now, |_| ()).map(|served| served.is_some())
    };
    assert_eq!((next(&mut reader, 1), reader.head_began()), (Ok(false), None), "idle");
    reader.push(b"GET / HTTP/1.1\r\n");
    assert_eq!((next(&mut reader, 2), reader.head_began()), (Ok(false), Some(2)));
    reader.push(b"Host: h\r\n");
    assert_eq!((next(&mut reader, 3), reader.head_began()), (Ok(false), Some(2)), "it began before");
    reader.push(b"\r\nG");
    assert_eq!((next(&mut reader, 4), reader.head_began()), (Ok(true), None));
    assert_eq!((next(&mut reader, 5), reader.head_began()), (Ok(false), Some(5)), "another head");
    reader.push(b"\0");
    assert_eq!(next(&mut reader, 6), Err(RequestError::Method));
}

/// Two connections whose heads come in turns do not disturb each other, nor one whose heads come whole.
#[test]
fn connections_share_a_scratch() {
    let mut scratch = scratch();
    let mut readers: [RequestReader<&[u8], ()>; 3] = std::array::from_fn(|_| RequestReader::new(&mut scratch));
    let mut next = |reader: &mut RequestReader<&'static [u8], ()>, piece: &'static [u8]| {
        reader.push(piece);
        reader.next(&MessageLimits::default(), &mut scratch, || (), |head| head.target_text().to_vec()).unwrap()
    };
    let [one, two, whole] = &mut readers;
    assert_eq!(next(one, b"GET /one HTTP/1.1\r\nHo"), None);
    assert_eq!(next(two, b"GET /two HTT"), None);
    assert_eq!(next(whole, b"GET /whole HTTP/1.1\r\nHost: h\r\n\r\n").as_deref(), Some(&b"/whole"[..]));
    assert_eq!(next(one, b"st: h\r\n\r\n").as_deref(), Some(&b"/one"[..]));
    assert_eq!(next(two, b"P/1.1\r\nHost: h\r\n\r\n").as_deref(), Some(&b"/two"[..]));
}

/// More connections than memos: each has one, in turn.
#[test]
fn connections_have_memos_in_turn() {
    let mut scratch = scratch();
    let memos = [(); 6].map(|()| RequestReader::<&[u8], ()>::new(&mut scratch).memo);
    assert_eq!(memos.map(|memo| memo % 4), [1, 2, 3, 0, 1, 2]);
    let mut memos: Vec<_> = memos.map(|memo| std::ptr::from_mut(scratch.memos.of(memo))).to_vec();
    memos.sort_unstable();
    memos.dedup();
    assert_eq!(memos.len(), 4);
}

/// Limits change while a server runs: fields that were within them when they were remembered are judged by those of each head.
#[test]
fn remembered_fields_are_judged_by_the_limits_of_each_head() {
    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nContent-Length: 2\r\n\r\n";
    let usual = MessageLimits::default();
    let cases = [
        (MessageLimits { field_count_max: 2, ..usual }, RequestError::TooManyFields),
        (MessageLimits { head_bytes_max: HEAD.len() as u32 - 1, ..usual }, RequestError::HeadTooLarge),
        (MessageLimits { body_bytes_max: 1, ..usual }, RequestError::BodyTooLarge),
    ];
    for (changed, error) in cases {
        let mut scratch = scratch();
        for limits in [usual, usual, usual, changed] {
            let mut reader = RequestReader::<&[u8], ()> { memo: 0, ..RequestReader::new(&mut scratch) };
            reader.push(HEAD);
            let next = reader.next(&limits, &mut scratch, || (), |_| ()).map(|served| served.is_some());
            assert_eq!(next, if limits == usual { Ok(true) } else { Err(error) });
        }
    }
}

#[test]
fn a_connection_goes_on_if_all_want_that_and_the_request_ends() {
    use ConnectionOption::{Close, KeepAlive, Open};
    // A request, and what a response says after its body, as the server's last, and before its body.
    let cases = [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", [Open, Close, Open]),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", [Close, Close, Close]),
        ("GET / HTTP/1.0\r\n\r\n", [Close, Close, Close]),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [KeepAlive, Close, KeepAlive]),
        ("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", [Open, Close, Open]),
        ("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", [Open, Close, Close]),
        ("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", [Open, Close, Close]),
    ];
    let mut scratch = scratch();
    for (text, expected) in cases {
        let mut reader = RequestReader::<&[u8], ()>::new(&mut scratch);
        reader.push(text.as_bytes());
        let forms = |head: &RequestHead<'_>| {
            let form = ResponseForm::of(head, false);
            [form, ResponseForm::of(head, true), form.before(head.body())]
        };
        let forms = reader.next(&MessageLimits::default(), &mut scratch, || (), forms).unwrap().unwrap();
        assert_eq!(forms.map(|form| form.connection), expected, "{text}");
        assert_eq!(forms.map(ResponseForm::stays), expected.map(|option| option != Close), "{text}");
    }
}

/// What a round looks at, and what it serves, of a connection that has these bytes: targets, or the error at the end.
fn round(
    reader: &mut RequestReader<&'static [u8], ()>,
    scratch: &mut RequestScratch,
    serves_max: usize,
) -> (Vec<String>, Vec<String>) {
    let (limits, mut looked, mut served) = (MessageLimits::default(), Vec::new(), Vec::new());
    let target = |head: &RequestHead<'_>| String::from_utf8(head.target_text().to_vec()).unwrap();
    let mut round = reader.begin_round(&limits, scratch);
    for _ in 0..serves_max {
        round.read_ahead(|head| looked.push(target(head)));
        match round.next(|| (), target) {
            Ok(Some(target)) => served.push(target),
            Ok(None) => break,
            Err(error) => {
                served.push(error.slug().to_owned());
                break;
            }
        }
    }
    (looked, served)
}

#[test]
fn a_round_looks_at_what_it_serves() {
    const A: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    const LENGTH: &str = "GET /l HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n";
    // What has come, what is looked at, and what is served.
    let cases = [
        (String::new(), "", ""),
        (A.to_owned(), "", "/a"),
        (A.repeat(2), "/a/a", "/a/a"),
        (format!("{A}GET /b"), "/a", "/a"),
        (format!("{A}\0"), "/a", "/amethod"),
        (A.repeat(40), &"/a".repeat(40), &"/a".repeat(40)),
    ];
    for (text, looked, served) in cases {
        let mut scratch = scratch();
        let mut reader = RequestReader::new(&mut scratch);
        reader.push(text.clone().leak().as_bytes());
        let found = round(&mut reader, &mut scratch, 100);
        assert_eq!((found.0.concat(), found.1.concat()), (looked.to_owned(), served.to_owned()), "{text}");
    }
    // The byte behind the third head is its body: whoever serves it reads on from there.
    let mut scratch = scratch();
    let mut reader = RequestReader::new(&mut scratch);
    reader.push(format!("{A}{A}{LENGTH}GET /").leak().as_bytes());
    assert_eq!(round(&mut reader, &mut scratch, 3).0.concat(), "/a/a");
    assert_eq!(reader.input().bytes(), b"GET /");
}

/// A round that ends early keeps what it has read for the next one of its connection, and leaves nothing to another's.
#[test]
fn a_round_serves_its_own_connection() {
    const OWN: &[u8] =
        b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n";
    const OTHER: &[u8] = b"GET /other HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    let mut scratch = scratch();
    let mut readers: [RequestReader<&[u8], ()>; 2] = std::array::from_fn(|_| RequestReader::new(&mut scratch));
    let [own, other] = &mut readers;
    own.push(OWN);
    other.push(OTHER);
    let found = round(own, &mut scratch, 1);
    assert_eq!((found.0.concat(), found.1.concat()), ("/1/2/3".to_owned(), "/1".to_owned()));
    own.release();
    assert_eq!(round(other, &mut scratch, 9).1, ["/other"]);
    own.push(OTHER);
    let found = round(own, &mut scratch, 9);
    assert_eq!((found.0.concat(), found.1.concat()), (String::new(), "/2/3/other".to_owned()), "each is read once");
    assert!(own.kept.is_none() && own.input().is_empty());
    // What another connection has sent in part is not gone on with.
    own.push(b"GET /4 HTTP/1.1\r\nHost: h\r\n\r\nGET /partial HTTP/1.1\r\nHost: ");
    assert_eq!(round(own, &mut scratch, 9).1, ["/4"]);
    other.push(OWN);
    assert_eq!(round(other, &mut scratch, 9).1, ["/1", "/2", "/3"]);
}
