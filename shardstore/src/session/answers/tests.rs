//! HELLOs and answers as they come, in any pieces.

use super::*;
use crate::session::testing::{edge_hello, node_hello};
use crate::wire::reassembly::split;
use crate::wire::request::Dialect;
use crate::wire::{Header, Opcode, Status, checksum, frame};

fn terms() -> SessionTerms {
    negotiate(&edge_hello(), &node_hello()).unwrap()
}

fn response(id: u64, value: &[u8]) -> Response<'_> {
    let mut response = Response::new(id, Status::Ok);
    (response.value, response.value_crc32c) = (value, Some(checksum(value)));
    response
}

fn encoded(response: &Response<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(terms().dialect(), &mut out);
    out
}

fn chunks(response: &Response<'_>) -> Vec<Vec<u8>> {
    split(response.value.len() as u32, terms().limits.frame_value_bytes_max)
        .map(|part| {
            let mut out = Vec::new();
            let credits = if part.has_more() { 0 } else { response.credits };
            Response { credits, ..*response }.encode_head(terms().dialect(), part, &mut out);
            out.extend_from_slice(&response.value[part.range()]);
            out
        })
        .collect()
}

/// What a caller sees: id, credits, the value if it is readable, whether it was checked.
type Seen = Vec<(u64, u16, Option<Vec<u8>>, bool)>;

fn read(pieces: &[&[u8]]) -> Result<(Seen, usize), ReassemblyError> {
    let (mut reader, mut spares) = (AnswerReader::new(FrameReader::default(), &terms()), SpareBuffers::default());
    let (mut seen, mut parts) = (Seen::new(), 0);
    for piece in pieces {
        reader.read(piece, &mut spares, |incoming| {
            match incoming {
                Incoming::Part { .. } => parts += 1,
                Incoming::Answer { id, credits, answer } => {
                    let is_readable = answer.response()?.is_some();
                    let checked = answer.is_checked();
                    let value = answer.into_value();
                    seen.push((id.0, credits, is_readable.then_some(value), checked));
                }
            }
            Ok(())
        })?;
    }
    Ok((seen, parts))
}

/// Answers out of order, chunks with another answer between them, a push, a status of a later release.
#[test]
fn answers_come_out_whole_in_any_pieces() {
    let large: Vec<u8> = (0..9000_u32).map(|at| at as u8).collect();
    let parts = chunks(&Response { credits: 3, ..response(1, &large) });
    let push = Header {
        flags: crate::wire::Flags::VALUE_CRC,
        ..Header::new(Kind::Push, Opcode::Topology.number(), terms().limits.cluster_tag)
    };
    let mut stream = parts[0].clone();
    frame::encode(&mut stream, &push, &Default::default(), &[], b"a topology");
    stream.extend(encoded(&response(2, b"small")));
    stream.extend(&parts[1]);
    let unknown = Header { request_id: 4, credits: 1, ..Header::new(Kind::Response, 999, terms().limits.cluster_tag) };
    frame::encode(&mut stream, &unknown, &Default::default(), &[], b"");
    stream.extend(&parts[2]);
    let expected = vec![(2, 1, Some(b"small".to_vec()), false), (4, 1, None, false), (1, 3, Some(large.clone()), true)];
    for step in (1..100).chain([4096, stream.len()]) {
        let pieces: Vec<&[u8]> = stream.chunks(step).collect();
        assert_eq!(read(&pieces), Ok((expected.clone(), 2)), "in pieces of {step}");
    }
}

#[test]
fn what_ends_the_connection_is_named() {
    let large = vec![1; 9000];
    let parts = chunks(&response(1, &large));
    let mut corrupt = parts.concat();
    let last = corrupt.len() - 1;
    corrupt[last] ^= 1;
    let mut damaged = encoded(&response(1, b"x"));
    damaged[20] ^= 1;
    let (mut keyed, ok) = (Vec::new(), Header::new(Kind::Response, Status::Ok.number(), terms().limits.cluster_tag));
    frame::encode(&mut keyed, &ok, &Default::default(), b"\0key", b"");
    for (bytes, name) in [
        (corrupt, "chunk_corrupt"),
        (keyed, "bad_key"),
        (damaged, "header_crc"),
        ([&parts[0][..], &parts[2]].concat(), "chunk_out_of_order"),
    ] {
        let refused = read(&[&bytes]).map_err(|error| error.name());
        assert_eq!(refused, Err(name));
    }
}

#[test]
fn hellos_agree_in_any_pieces_and_what_follows_is_kept() {
    let mut stream = Vec::new();
    node_hello().encode(&mut stream);
    let hello_bytes = stream.len();
    stream.extend(encoded(&response(2, b"early")));
    for step in [1, 50, hello_bytes, stream.len()] {
        let (mut out, mut spares) = (Vec::new(), SpareBuffers::default());
        let mut handshake = Handshake::begin(edge_hello(), &mut out);
        let mut ours = Vec::new();
        edge_hello().encode(&mut ours);
        assert_eq!(out, ours);
        let mut pieces = stream.chunks(step);
        let agreed = pieces.find_map(|piece| handshake.receive(piece, &mut spares).unwrap());
        assert_eq!(agreed, Some(terms()), "in pieces of {step}");
        let mut reader = AnswerReader::new(handshake.into_reader(), &terms());
        let mut count = 0;
        for piece in [&[][..]].into_iter().chain(pieces) {
            let read = reader.read(piece, &mut spares, |incoming| {
                count += usize::from(matches!(incoming, Incoming::Answer { id: CorrelationId(2), .. }));
                Ok(())
            });
            assert_eq!(read, Ok(()));
        }
        assert_eq!(count, 1, "in pieces of {step}");
    }
}

#[test]
fn a_node_of_another_cluster_is_named() {
    let mut stream = Vec::new();
    Hello { cluster: "other".to_owned(), ..node_hello() }.encode(&mut stream);
    let mut handshake = Handshake::begin(edge_hello(), &mut Vec::new());
    let refused = handshake.receive(&stream, &mut SpareBuffers::default());
    assert!(matches!(refused, Err(HandshakeError::Disagreed(HelloError::Cluster { .. }))), "{refused:?}");
    let dialect = Dialect { version: 1, cluster_tag: 1 };
    let mut noise = Vec::new();
    Response::new(1, Status::Ok).encode(dialect, &mut noise);
    let mut handshake = Handshake::begin(edge_hello(), &mut Vec::new());
    let refused = handshake.receive(&noise, &mut SpareBuffers::default());
    assert!(matches!(refused, Err(HandshakeError::Read(HelloReadError::Format(_)))), "{refused:?}");
}

#[test]
fn the_bytes_that_a_frame_lacks_are_known() {
    let bytes = encoded(&response(1, &[7; 1000]));
    let (mut reader, mut spares) = (AnswerReader::new(FrameReader::default(), &terms()), SpareBuffers::default());
    for (from, to) in [(0, 400), (400, 999), (999, bytes.len())] {
        reader.read(&bytes[from..to], &mut spares, |_| Ok(())).unwrap();
        assert_eq!(reader.missing_bytes(), bytes.len() - to);
    }
}
