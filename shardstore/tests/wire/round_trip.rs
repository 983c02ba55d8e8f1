//! Round trips: what is written is what is read, for random requests and responses; and no input at all panics.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use shardstore::key::SlotId;
use shardstore::version::{Condition, Version};
use shardstore::wire::ext::{CarriedPart, Ext, Moved, TraceContext, WantedPart};
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::request::Set;
use shardstore::wire::{Flags, Kind, Op, Request, Response, SchedulingClass, Status, checksum};

use crate::corpus::{dialect, limits, samples};

#[derive(Clone, Debug)]
struct Parts {
    key: Vec<u8>,
    value: Vec<u8>,
    metadata: Vec<u8>,
    numbers: (u64, u32, u32, u32, u64),
    slot: SlotId,
    class: SchedulingClass,
    condition: Condition,
    trace: Option<TraceContext>,
}

fn slots() -> impl Strategy<Value = SlotId> {
    (0..16_384_u16).prop_map(|number| SlotId::new(number).unwrap())
}

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = (vec(any::<u8>(), 1..200), vec(any::<u8>(), 0..2000), vec(any::<u8>(), 0..=255));
    let condition = prop_oneof![
        Just(Condition::Any),
        Just(Condition::Absent),
        Just(Condition::Present),
        any::<u64>().prop_map(|version| Condition::VersionEquals(Version::from_bits(version)))
    ];
    let trace = option::of(any::<([u8; 16], [u8; 8], u8)>());
    let class = (0..64_u8).prop_map(|bits| SchedulingClass::from_bits(bits).unwrap());
    (bytes, any::<(u64, u32, u32, u32, u64)>(), slots(), class, condition, trace).prop_map(
        |((key, value, metadata), numbers, slot, class, condition, trace)| Parts {
            key,
            value,
            metadata,
            numbers,
            slot,
            class,
            condition,
            trace: trace.map(|(trace_id, span_id, flags)| TraceContext { trace_id, span_id, flags }),
        },
    )
}

impl Parts {
    fn wanted(&self) -> WantedPart {
        let (_, offset, bytes_max, mode, version) = self.numbers;
        WantedPart { offset, bytes_max, is_all_or_none: mode % 2 == 1, is_first: mode % 3 == 1, version }
    }

    fn op(&self, which: usize) -> Op<'_> {
        let (_, _, _, ttl_ms, version) = self.numbers;
        let key = self.key.as_slice();
        match which {
            0 => Op::Get { key },
            1 => Op::Set(Set {
                key,
                value: &self.value,
                metadata: &self.metadata,
                value_crc32c: checksum(&self.value),
                ttl_ms,
                version,
                condition: self.condition,
            }),
            2 => Op::Delete { key, version, condition: self.condition },
            3 => Op::Touch { key, ttl_ms },
            4 => Op::Ping,
            5 => Op::Stats,
            6 => Op::Topology,
            _ => Op::Read { key, wanted: self.wanted() },
        }
    }
}

proptest! {
    #[test]
    fn requests(parts in parts(), which in 0..8_usize, flags in 0..64_u32, one_way in any::<bool>()) {
        let (id, slot_epoch, deadline_us, ..) = parts.numbers;
        let chosen = Flags::QUIET | Flags::IDEMPOTENT | Flags::REPLICA_OK | Flags::STALE_OK;
        let sent = Request {
            class: parts.class,
            flags: Flags::from_bits(flags) & chosen,
            kind: if one_way { Kind::OneWay } else { Kind::Request },
            core: id as u8,
            deadline_us,
            trace: parts.trace,
            ..Request::new(id, parts.slot, slot_epoch, parts.op(which))
        };
        let mut bytes = vec![0xee; 3];
        let length = sent.encode(dialect(), &mut bytes);
        prop_assert_eq!(bytes.len(), length + 3);
        let Ok(Decoded::Frame(frame)) = frame::decode(&bytes[3..], &limits()) else {
            panic!("not a frame");
        };
        prop_assert_eq!(frame.wire_bytes(), length);
        prop_assert!(frame.value_is_sound());
        let read = Request::parse(&frame).unwrap();
        prop_assert_eq!(read, sent);
        let mut again = vec![0xee; 3];
        read.encode(dialect(), &mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn responses(parts in parts(), status in 0..11_u16, details in any::<(Option<u64>, Option<u32>, u16, bool)>()) {
        let (id, slot_epoch, server_us, ttl_ms, version) = parts.numbers;
        let status = Status::from_number(status).unwrap();
        let moved = Moved {
            first: parts.slot.min(SlotId::new(100).unwrap()),
            last: parts.slot.max(SlotId::new(100).unwrap()),
            epoch: slot_epoch,
            node: server_us,
            address: if details.3 { "[2001:db8::7]:9" } else { "192.0.2.7:9" }.parse().unwrap(),
        };
        let sent = Response {
            slot: parts.slot,
            slot_epoch,
            core: id as u8,
            credits: details.2,
            server_us,
            flags: if details.3 { Flags::MAP_HINT } else { Flags::NONE },
            version,
            ttl_ms,
            value_crc32c: Some(checksum(&parts.value)),
            metadata: &parts.metadata,
            previous_version: details.0,
            retry_after_us: details.1,
            moved: (status == Status::Moved).then_some(moved),
            part: details.3.then_some(CarriedPart { total: ttl_ms, offset: server_us, value_crc32c: slot_epoch }),
            value: &parts.value,
            ..Response::new(id, status)
        };
        let mut bytes = Vec::new();
        sent.encode(dialect(), &mut bytes);
        let Ok(Decoded::Frame(frame)) = frame::decode(&bytes, &limits()) else {
            panic!("not a frame");
        };
        prop_assert_eq!(Response::parse(&frame).unwrap(), sent);
    }

    #[test]
    fn no_bytes_panic(noise in vec(any::<u8>(), 0..300), which in any::<prop::sample::Index>(), at in 0..300_usize) {
        let _ = Ext::parse(&noise);
        let _ = frame::decode(&noise, &limits());
        // Noise inside a real frame gets further than noise alone.
        let samples = samples();
        let mut bytes = samples[which.index(samples.len())].bytes.clone();
        let from = at.min(bytes.len());
        let to = (from + noise.len()).min(bytes.len());
        bytes[from..to].copy_from_slice(&noise[..to - from]);
        if let Ok(Decoded::Frame(frame)) = frame::decode(&bytes, &limits()) {
            let _ = (Request::parse(&frame), Response::parse(&frame));
        }
    }
}
