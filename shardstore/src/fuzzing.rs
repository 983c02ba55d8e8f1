//! What the fuzz targets check, kept here so that the targets are one line each and tests run the same checks.
//!
//! **Not**: part of the interface; compiled only for fuzzing and tests.
//!
//! **Invariants**: every function accepts any bytes, and panics only if a promise of this crate is broken.

use crate::key::SlotId;
use crate::placement::Topology;
use crate::wire::batch::{BATCH_ENTRIES_MAX, BatchAnswers};
use crate::wire::frame::{self, Decoded, HEAD_BYTES_MAX};
use crate::wire::hello::{Hello, Role};
use crate::wire::reassembly::Reassembler;
use crate::wire::request::Dialect;
use crate::wire::stats::Stats;
use crate::wire::terms::negotiate;
use crate::wire::topology::TopologyText;
use crate::wire::{Flags, Frame, HEADER_BYTES, Header, Kind, Limits, Opcode, Request, Response, checksum, cluster_tag};

const FRAME_VALUE_BYTES_MAX: u32 = 1 << 16;

/// Any bytes as a stream of frames: never an unbounded wait, and what is understood encodes back.
pub fn frames(data: &[u8]) {
    let limits = Limits { frame_value_bytes_max: FRAME_VALUE_BYTES_MAX, cluster_tag: cluster_tag("golden") };
    let mut sealed = data.to_vec();
    seal(&mut sealed, limits.cluster_tag);
    for bytes in [data, &sealed] {
        let mut reassembler = Reassembler::new(1 << 20, 4, 1 << 21);
        let mut rest = bytes;
        loop {
            // Taken of any bytes, before anybody has looked at them.
            let glance = frame::glance(rest);
            match frame::decode(rest, &limits) {
                Ok(Decoded::Frame(frame)) => {
                    assert_eq!(glance, Some((frame.wire_bytes(), frame.key)));
                    understand(&frame, &mut reassembler);
                    rest = &rest[frame.wire_bytes()..];
                }
                Ok(Decoded::Partial { need }) => {
                    assert_eq!(glance, None, "what is not whole");
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
}

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

/// Any bytes as the payload of a HELLO: two sides always come to the same verdict.
pub fn hello(data: &[u8]) {
    let mut header = Header::new(Kind::Control, Opcode::Hello.number(), cluster_tag("golden"));
    header.flags = Flags::VALUE_CRC;
    header.value_crc32c = checksum(data);
    header.value_len = data.len() as u32;
    let Ok(theirs) = Hello::parse(&Frame { header, ext: &[], key: &[], value: data }) else {
        return;
    };
    let mut ours = theirs.clone();
    ours.node_id = 0;
    ours.role = Role::Edge;
    let (a, b) = (negotiate(&ours, &theirs), negotiate(&theirs, &ours));
    assert_eq!(a.is_ok(), b.is_ok());
    if let (Ok(a), Ok(b)) = (a, b) {
        assert_eq!((a.version, a.limits, a.features), (b.version, b.limits, b.features));
    }
    // The header's major version is the payload's, which this release may not speak; then the frame is refused as such.
    let mut bytes = Vec::new();
    theirs.encode(&mut bytes);
    if let Ok(Decoded::Frame(frame)) = frame::decode(&bytes, &Hello::limits(cluster_tag(&theirs.cluster))) {
        assert_eq!(Hello::parse(&frame), Ok(theirs));
    }
}

/// Any text as a topology file: a refusal names a line of the file.
pub fn topology(text: &str) {
    match Topology::parse(text) {
        Ok(map) => {
            let owned: usize = map.nodes().iter().map(|node| map.owned_slots(node.id)).sum();
            assert_eq!(owned, SlotId::all().len(), "every slot has exactly one owner");
            assert_eq!(Topology::parse(text).as_ref(), Ok(&map));
        }
        Err(error) => {
            assert!((1..=text.lines().count() + 1).contains(&error.line()), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs the seeds and their prefixes, so that a seed that found something keeps finding it.
    #[test]
    fn seeds() {
        type Check = fn(&[u8]);
        let topology: Check = |bytes| super::topology(&String::from_utf8_lossy(bytes));
        for (name, check, count_min) in
            [("frame", super::frames as Check, 20), ("hello", super::hello, 2), ("topology", topology, 4)]
        {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
            let mut count = 0;
            for entry in std::fs::read_dir(folder).unwrap() {
                let seed = std::fs::read(entry.unwrap().path()).unwrap();
                check(&seed);
                for cut in 0..seed.len().min(512) {
                    check(&seed[..cut]);
                }
                count += 1;
            }
            assert!(count >= count_min, "{name} has lost its seeds");
        }
    }
}
