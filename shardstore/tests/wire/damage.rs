//! Damaged frames: cut at every byte, every single bit flipped, hostile lengths, foreign protocols.

use shardstore::wire::frame::{self, Decoded, HEAD_BYTES_MAX};
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::{Progress, Reassembler};
use shardstore::wire::{Flags, Frame, FrameError, HEADER_BYTES, Kind, Limits, Request, Response, Status};

use crate::corpus::{dialect, limits, request, samples, set};

fn decode(bytes: &[u8]) -> Result<Decoded<'_>, FrameError> {
    frame::decode(bytes, &limits())
}

fn whole(bytes: &[u8]) -> Frame<'_> {
    match decode(bytes) {
        Ok(Decoded::Frame(frame)) => frame,
        other => panic!("not a whole frame: {other:?}"),
    }
}

#[test]
fn every_cut_is_partial_and_asks_for_what_is_missing() {
    for sample in samples() {
        let bytes = &sample.bytes;
        assert_eq!(whole(bytes).wire_bytes(), bytes.len(), "{}", sample.name);
        for cut in 0..bytes.len() {
            match decode(&bytes[..cut]) {
                Ok(Decoded::Partial { need }) => {
                    assert!(need > cut && need <= bytes.len(), "{} cut at {cut} needs {need}", sample.name);
                }
                other => panic!("{} cut at {cut}: {other:?}", sample.name),
            }
        }
        let two = [bytes.as_slice(), bytes].concat();
        assert_eq!(whole(&two), whole(bytes), "what follows a frame is not part of it");
    }
}

/// How a damaged frame was noticed, if it was.
fn noticed(bytes: &[u8]) -> bool {
    // Whatever a wrong length asks for arrives: zeros, enough for the longest head and value section.
    match decode(bytes) {
        Err(error) => error.is_fatal(),
        Ok(Decoded::Partial { .. }) => false,
        Ok(Decoded::Frame(frame)) if frame.header.flags.contains(Flags::MORE) => {
            let chunk = Reassembler::chunk_of(&frame).unwrap().unwrap();
            let rest = vec![b'v'; chunk.total as usize - frame.value.len()];
            let mut last = Vec::new();
            let part = shardstore::wire::reassembly::ValuePart {
                offset: frame.value.len() as u32,
                length: rest.len() as u32,
                total: chunk.total,
            };
            let value = vec![b'v'; chunk.total as usize];
            request(frame.header.request_id, shardstore::wire::Op::Set(set(&value))).encode_head(
                dialect(),
                part,
                &mut last,
            );
            last.extend_from_slice(&rest);
            let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 20);
            assert_eq!(reassembler.accept(&frame, chunk), Ok(Progress::Partial));
            let last = whole(&last);
            let chunk = Reassembler::chunk_of(&last).unwrap().unwrap();
            reassembler.accept(&last, chunk).is_err()
        }
        Ok(Decoded::Frame(frame)) => !frame.value_is_sound(),
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for sample in samples() {
        // The tail is what a frame with a wrong length would go on to read.
        let tail = vec![0; HEAD_BYTES_MAX + (1 << 20)];
        let mut bytes = [sample.bytes.as_slice(), &tail].concat();
        for at in 0..sample.bytes.len() {
            // Large values repeat one byte; a sample of their positions is enough.
            if at > 400 && !at.is_multiple_of(97) {
                continue;
            }
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert!(noticed(&bytes), "{}: bit {bit} of byte {at} flipped unnoticed", sample.name);
                bytes[at] ^= 1 << bit;
            }
        }
        assert!(!noticed(&bytes), "{} itself is sound", sample.name);
    }
}

#[test]
fn a_damaged_frame_never_waits_for_more_than_a_head() {
    for sample in samples() {
        let head_bytes = sample.bytes.len() - whole(&sample.bytes).value.len();
        for at in 0..head_bytes * 8 {
            let mut bytes = sample.bytes[..head_bytes].to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(Decoded::Partial { need }) = decode(&bytes) {
                assert!(need <= HEAD_BYTES_MAX, "{}: bit {at} makes it wait for {need} bytes", sample.name);
            }
        }
    }
}

/// The golden SET with bytes of its header overwritten and the head sealed again: damage that the checksum does not see.
fn forged(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    request(1, shardstore::wire::Op::Set(set(b"hello"))).encode(dialect(), &mut bytes);
    let head_bytes = bytes.len() - 5;
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes[12..16].fill(0);
    let crc = shardstore::wire::checksum(&bytes[..head_bytes]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&[0; 8192]);
    bytes
}

#[test]
fn forged_headers_are_refused_by_name() {
    let cases: &[(usize, &[u8], &str)] = &[
        (0, b"GET", "magic"),
        (3, &[9], "version"),
        (3, &[0], "version"),
        (4, &[0], "kind"),
        (4, &[6], "kind"),
        (5, &[0x40], "reserved_bits"),
        (8, &[0x08, 0, 0, 0], "ext_flag"),
        (8, &[0x01, 0, 0, 0], "value_crc_flag"),
        (24, &[0, 0x40], "slot"),
        (32, &[0xff, 0xff], "key_length"),
        (36, &[0xff, 0xff, 0xff, 0xff], "value_length"),
        (36, &[1, 0, 0x10, 0], "value_length"),
        (60, &[1, 2, 3, 4], "cluster_tag"),
        (26, &[0xff], "header_crc"),
    ];
    for (at, with, name) in cases {
        let bytes = forged(*at, with);
        let error = decode(&bytes).expect_err(name);
        assert_eq!(error.name(), *name, "byte {at}");
        assert!(error.is_fatal(), "{name} ends the connection");
    }
}

#[test]
fn forged_requests_are_answered_or_end_the_connection() {
    let cases: &[(usize, &[u8], &str, Option<Status>)] = &[
        (6, &[0xff, 0x7f], "unknown_opcode", Some(Status::Unsupported)),
        (11, &[0x80], "unknown_flags", Some(Status::Unsupported)),
        (10, &[0x04], "unknown_flags", Some(Status::Unsupported)),
        (10, &[0x01], "bad_payload", None),
        (10, &[0x02], "bad_payload", None),
        (4, &[2], "unexpected", None),
        (6, &[16, 0], "bad_payload", None),
        (6, &[2, 0], "bad_key", None),
        (64, &[0xf0], "unknown_tlv", Some(Status::Unsupported)),
        (65, &[0xff], "ext", None),
        (64, &[0x04], "bad_tlv", None),
    ];
    for (at, with, name, answer) in cases {
        let bytes = forged(*at, with);
        let error = Request::parse(&whole(&bytes)).expect_err(name);
        assert_eq!((error.name(), error.answer()), (*name, *answer), "byte {at}");
    }
    let unknown_lower_flag = forged(9, &[0x40]);
    assert!(Request::parse(&whole(&unknown_lower_flag)).is_ok(), "a flag of the lower half may be ignored");
}

#[test]
fn foreign_protocols_are_seen_at_the_first_byte() {
    for opening in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"*1\r\n$4\r\nPING\r\n", b"PRI", b"\0", b"\xf5CX"] {
        let first = if opening[0] == 0xf5 { opening } else { &opening[..1] };
        assert_eq!(decode(first).map_err(|error| error.name()), Err("magic"), "{opening:?}");
    }
    assert_eq!(decode(&[]), Ok(Decoded::Partial { need: HEADER_BYTES }));
}

#[test]
fn sides_are_not_confused() {
    for sample in samples() {
        let frame = whole(&sample.bytes);
        let understood =
            [Hello::parse(&frame).is_ok(), Request::parse(&frame).is_ok(), Response::parse(&frame).is_ok()];
        let expected = match frame.header.kind {
            Kind::Control => [true, false, false],
            Kind::Response => [false, false, true],
            // A chunk is a request only once it is put together.
            _ => [false, !frame.header.flags.contains(Flags::MORE), false],
        };
        assert_eq!(understood, expected, "{}", sample.name);
    }
    let small = Limits { frame_value_bytes_max: 4, ..limits() };
    let set = samples().into_iter().find(|sample| sample.name == "set").unwrap();
    assert_eq!(frame::decode(&set.bytes, &small), Err(FrameError::ValueLength { length: 5, limit: 4 }));
}
