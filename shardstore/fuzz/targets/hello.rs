//! Any bytes as the payload of a HELLO: never a panic, and two sides always come to the same verdict.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::hello::Hello;
use shardstore::wire::session::negotiate;
use shardstore::wire::{Flags, Frame, Header, Kind, Opcode, checksum, cluster_tag};

fuzz_target!(|data: &[u8]| {
    let mut header = Header::new(Kind::Control, Opcode::Hello.number(), cluster_tag("golden"));
    header.flags = Flags::VALUE_CRC;
    header.value_crc32c = checksum(data);
    header.value_len = data.len() as u32;
    let Ok(theirs) = Hello::parse(&Frame { header, ext: &[], key: &[], value: data }) else {
        return;
    };
    let mut ours = theirs.clone();
    ours.node_id = 0;
    ours.role = shardstore::wire::hello::Role::Edge;
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
});
