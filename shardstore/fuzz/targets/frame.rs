//! Any bytes as a stream of frames: never a panic, never an unbounded wait, and what is understood encodes back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shardstore::wire::batch::{BATCH_ENTRIES_MAX, BatchAnswers};
use shardstore::wire::frame::{self, Decoded, HEAD_BYTES_MAX};
use shardstore::wire::reassembly::Reassembler;
use shardstore::wire::request::Dialect;
use shardstore::wire::stats::Stats;
use shardstore::wire::topology::TopologyText;
use shardstore::wire::{Frame, HEADER_BYTES, Limits, Request, Response, checksum, cluster_tag};

const FRAME_VALUE_BYTES_MAX: u32 = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { frame_value_bytes_max: FRAME_VALUE_BYTES_MAX, cluster_tag: cluster_tag("golden") };
    let mut sealed = data.to_vec();
    seal(&mut sealed, limits.cluster_tag);
    for bytes in [data, &sealed] {
        let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 21);
        let mut rest = bytes;
        loop {
            match frame::decode(rest, &limits) {
                Ok(Decoded::Frame(frame)) => {
                    understand(&frame, &mut reassembler);
                    rest = &rest[frame.wire_bytes()..];
                }
                Ok(Decoded::Partial { need }) => {
                    assert!(need > rest.len() && need <= HEAD_BYTES_MAX + FRAME_VALUE_BYTES_MAX as usize);
                    break;
                }
                Err(error) => {
                    assert!(error.is_fatal());
                    break;
                }
            }
        }
    }
});

/// Gives the first frame a cluster tag and a checksum that hold, so that the fuzzer gets past them.
fn seal(bytes: &mut [u8], tag: u32) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    bytes[60..64].copy_from_slice(&tag.to_le_bytes());
    bytes[12..16].fill(0);
    let sections = usize::from(bytes[26]) * 8 + usize::from(u16::from_le_bytes([bytes[32], bytes[33]]));
    let end = (HEADER_BYTES + sections).min(bytes.len());
    let crc = checksum(&bytes[..end]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
}

fn understand(frame: &Frame<'_>, reassembler: &mut Reassembler) {
    let dialect = Dialect { version: frame.header.major, cluster_tag: frame.header.cluster_tag };
    let mut out = Vec::new();
    if let Ok(request) = Request::parse(frame) {
        let length = request.encode(dialect, &mut out);
        assert_eq!(length, out.len());
        let limits = Limits { frame_value_bytes_max: u32::MAX, cluster_tag: dialect.cluster_tag };
        let Ok(Decoded::Frame(again)) = frame::decode(&out, &limits) else {
            panic!("a request that was understood does not encode");
        };
        assert_eq!(Request::parse(&again), Ok(request));
    }
    if let Ok(response) = Response::parse(frame) {
        let _ = BatchAnswers::parse(response.value, BATCH_ENTRIES_MAX).map(|answers| answers.iter().count());
        let _ = Stats::parse(response.value).map(|stats| stats.iter().count());
        let _ = TopologyText::parse(response.value);
    }
    if let Ok(Some(chunk)) = Reassembler::chunk_of(frame) {
        let _ = reassembler.accept(frame, chunk);
        assert!(reassembler.unfinished() <= 4 && reassembler.bytes_claimed() <= 1 << 21);
    }
}
