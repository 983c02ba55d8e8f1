//! Any split of a stream gives the same frames, and memory is held only while a frame is partial.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key::SlotId;
use crate::wire::request::Dialect;
use crate::wire::{Op, Request, Response, Status, checksum, cluster_tag};

const LIMITS: Limits = Limits { frame_value_bytes_max: 1 << 20, cluster_tag: 7 };

/// A response with a value of this length.
fn response(id: u64, value_bytes: usize, out: &mut Vec<u8>) {
    let value: Vec<u8> = (0..value_bytes).map(|at| (at * 31 + id as usize) as u8).collect();
    let mut response = Response::new(id, Status::Ok);
    response.value = &value;
    response.value_crc32c = Some(checksum(&value));
    response.metadata = if id.is_multiple_of(2) { b"text/plain" } else { b"" };
    response.encode(Dialect { version: 1, cluster_tag: LIMITS.cluster_tag }, out);
}

fn stream_of(lengths: &[usize]) -> Vec<u8> {
    let mut stream = Vec::new();
    (0..).zip(lengths).for_each(|(id, length)| response(id, *length, &mut stream));
    stream
}

/// The buffers in which a stream arrives: cut at these places.
fn pieces<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

type Seen = Vec<(u64, Vec<u8>)>;

/// Reads all pieces; `breaks` stops after every so many frames, as a caller does whose peer has to read first.
fn frames_in(pieces: &[&[u8]], breaks: usize) -> Seen {
    let (mut reader, mut spares, mut seen) = (FrameReader::default(), SpareBuffers::default(), Seen::new());
    for piece in pieces {
        let mut received = *piece;
        loop {
            let read = reader.read(received, &LIMITS, &mut spares, |frame, from| {
                assert!(from.len() >= frame.wire_bytes(), "it begins with the frame");
                seen.push((frame.header.request_id, frame.value.to_vec()));
                Ok::<_, FrameError>(if seen.len() % breaks == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            });
            read.unwrap();
            received = &[];
            if !reader.has_backlog() {
                break;
            }
        }
    }
    assert!(reader.is_empty() && reader.held.capacity() == 0, "a reader without bytes owns no buffer");
    seen
}

/// The same by heads, values taken as they come.
fn values_in(pieces: &[&[u8]]) -> Seen {
    let (mut reader, mut spares, mut seen) = (FrameReader::default(), SpareBuffers::default(), Seen::new());
    let mut left = 0;
    for piece in pieces {
        let mut received = *piece;
        loop {
            if left > 0 {
                let (value, rest) = received.split_at(received.len().min(left));
                seen.last_mut().unwrap().1.extend_from_slice(value);
                (left, received) = (left - value.len(), rest);
            }
            if left > 0 || received.is_empty() {
                break;
            }
            let head = reader.read_head(&mut received, &LIMITS, &mut spares, |head| {
                Ok::<_, FrameError>((head.header.request_id, head.header.value_len as usize))
            });
            let Some((id, value_bytes)) = head.unwrap() else { break };
            seen.push((id, Vec::new()));
            left = value_bytes;
            assert!(reader.is_empty(), "never more is held than one head");
        }
    }
    assert_eq!(left, 0);
    seen
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        lengths in vec(prop_oneof![0..40_usize, 0..5000_usize], 1..20),
        cuts in vec(any::<prop::sample::Index>(), 0..30),
        breaks in 1..5_usize,
    ) {
        let stream = stream_of(&lengths);
        let whole = frames_in(&[&stream], usize::MAX);
        prop_assert_eq!(whole.len(), lengths.len());
        let pieces = pieces(&stream, &cuts);
        prop_assert_eq!(&frames_in(&pieces, usize::MAX), &whole);
        prop_assert_eq!(&frames_in(&pieces, breaks), &whole);
        prop_assert_eq!(&values_in(&pieces), &whole);
    }
}

#[test]
fn byte_by_byte_gives_the_same_frames() {
    let stream = stream_of(&[0, 1, 300, 70_000]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    let whole = frames_in(&[&stream], usize::MAX);
    assert_eq!(frames_in(&bytes, usize::MAX), whole);
    assert_eq!(frames_in(&bytes, 1), whole);
    assert_eq!(values_in(&bytes), whole);
}

#[test]
fn a_whole_frame_is_read_where_it_lies() {
    let stream = stream_of(&[10, 20]);
    let mut reader = FrameReader::default();
    let mut seen = 0;
    let read = reader.read(&stream, &LIMITS, &mut SpareBuffers::default(), |frame, from| {
        assert!(stream.as_ptr_range().contains(&frame.value.as_ptr()), "not copied");
        assert_eq!(from.as_ptr_range().end, stream.as_ptr_range().end, "all that lies in one piece");
        seen += 1;
        Ok::<_, FrameError>(ControlFlow::Continue(()))
    });
    assert_eq!((read, seen, reader.is_empty()), (Ok(()), 2, true));
}

#[test]
fn a_frame_that_is_announced_holds_what_has_arrived() {
    let mut stream = Vec::new();
    response(0, 1 << 20, &mut stream);
    let (mut reader, mut spares) = (FrameReader::default(), SpareBuffers::default());
    let take = |_: &Frame<'_>, _: &[u8]| Ok::<_, FrameError>(ControlFlow::Continue(()));
    reader.read(&stream[..1000], &LIMITS, &mut spares, take).unwrap();
    assert_eq!(reader.missing_bytes(), stream.len() - 1000);
    assert!(reader.held.capacity() < 4096, "{} bytes are held of 1000", reader.held.capacity());
    assert!(!reader.has_backlog() && !reader.is_empty());
    reader.read(&stream[1000..], &LIMITS, &mut spares, take).unwrap();
    assert!(reader.is_empty() && spares.0.is_empty(), "a large buffer goes back to the allocator");
}

#[test]
fn a_spare_buffer_is_used_again() {
    let stream = stream_of(&[100, 100]);
    let (mut reader, mut spares) = (FrameReader::default(), SpareBuffers::default());
    let take = |_: &Frame<'_>, _: &[u8]| Ok::<_, FrameError>(ControlFlow::Continue(()));
    reader.read(&stream[..30], &LIMITS, &mut spares, take).unwrap();
    reader.read(&stream[30..200], &LIMITS, &mut spares, take).unwrap();
    assert!(!reader.is_empty(), "the second frame is cut");
    assert!(reader.held.capacity() >= 160, "it has the buffer of the first one, not one for a few bytes");
    reader.read(&stream[200..], &LIMITS, &mut spares, take).unwrap();
    assert_eq!(spares.0.len(), 1);
    for _ in 0..2 * SPARES_MAX {
        spares.give(Vec::with_capacity(100));
    }
    spares.give(Vec::with_capacity(SPARE_BYTES_MAX + 1));
    assert_eq!(spares.0.len(), SPARES_MAX);
}

#[test]
fn the_rest_goes_to_the_next_reader() {
    let stream = stream_of(&[10, 20, 30]);
    let (mut reader, mut spares) = (FrameReader::default(), SpareBuffers::default());
    let stop = |_: &Frame<'_>, _: &[u8]| Ok::<_, FrameError>(ControlFlow::Break(()));
    reader.read(&stream[..150], &LIMITS, &mut spares, stop).unwrap();
    assert!(reader.has_backlog(), "what is left has not been looked at");
    reader.hold(&stream[150..], &mut spares);
    let rest = reader.into_rest();
    let whole = frames_in(&[&stream], usize::MAX);
    assert_eq!(frames_in(&[&rest], usize::MAX), whole[1..]);
    let mut again = FrameReader::with_rest(rest);
    let mut count = 0;
    let read = again.read(&[], &LIMITS, &mut spares, |_, _| {
        count += 1;
        Ok::<_, FrameError>(ControlFlow::Continue(()))
    });
    assert_eq!((read, count), (Ok(()), 2));
}

#[test]
fn noise_ends_the_reading_at_its_first_byte() {
    let (mut reader, mut spares) = (FrameReader::default(), SpareBuffers::default());
    let take = |_: &Frame<'_>, _: &[u8]| Ok::<_, FrameError>(ControlFlow::Continue(()));
    let refused = reader.read(b"G", &LIMITS, &mut spares, take);
    assert_eq!(refused, Err(FrameError::Magic(*b"G\0\0")));
    let refused = reader.read_head(&mut &b"G"[..], &LIMITS, &mut spares, |_| Ok::<_, FrameError>(()));
    assert_eq!(refused, Err(FrameError::Magic(*b"G\0\0")));
}

fn hello(cluster: &str) -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        role: crate::wire::hello::Role::Tool,
        hash_id: 1,
        hash_seed: 2,
        cores: 1,
        wanted_core: 3,
        features: 0,
        node_id: 0,
        topology_epoch: 0,
        incarnation: 4,
        frame_value_bytes_max: 4096,
        value_bytes_max: 8192,
        credit_requests: 5,
        credit_bytes: 1 << 20,
        batch_entries_max: 6,
        key_bytes_max: 7,
        cluster: cluster.to_owned(),
        extension: None,
    }
}

#[test]
fn a_hello_is_read_whatever_its_cluster() {
    let (mut bytes, ours) = (Vec::new(), hello("of somebody"));
    ours.encode(&mut bytes);
    let hello_bytes = bytes.len();
    let dialect = Dialect { version: 1, cluster_tag: cluster_tag("of somebody") };
    Request::new(9, SlotId::ZERO, 0, Op::Ping).encode(dialect, &mut bytes);
    for step in [1, 63, 64, 65, hello_bytes, bytes.len()] {
        let (mut reader, mut spares) = (FrameReader::default(), SpareBuffers::default());
        let mut found = None;
        for piece in bytes.chunks(step) {
            if found.is_some() {
                reader.hold(piece, &mut spares);
            } else {
                found = reader.read_hello(piece, &mut spares).unwrap();
            }
        }
        assert_eq!(found.as_ref(), Some(&ours), "in pieces of {step}");
        assert_eq!(reader.into_rest(), bytes[hello_bytes..], "what follows is kept");
    }
}

#[test]
fn what_is_no_hello_is_named() {
    let read = |bytes: &[u8]| FrameReader::default().read_hello(bytes, &mut SpareBuffers::default());
    assert_eq!(read(b""), Ok(None));
    assert_eq!(read(b"HTTP"), Err(HelloReadError::Frame(FrameError::Magic(*b"HTT"))));
    let mut ping = Vec::new();
    Request::new(9, SlotId::ZERO, 0, Op::Ping).encode(Dialect { version: 1, cluster_tag: 1 }, &mut ping);
    assert_eq!(read(&ping), Err(HelloReadError::Format(HelloFormatError::NotHello)));
}
