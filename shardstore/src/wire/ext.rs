//! The ext section: optional details as type-length-value entries.
//!
//! ```text
//!  ┌──────┬─────┬─────────┬──────┬─────┬─────────┬─────┬───────────────────────────────┐
//!  │ type │ len │ payload │ type │ len │ payload │ ... │ 0 to 7 zero bytes: to 8 units │
//!  │  1 B │ 1 B │  len B  │      │     │         │     │                               │
//!  └──────┴─────┴─────────┴──────┴─────┴─────────┴─────┴───────────────────────────────┘
//!  type: bit 7 set = must be understood; type 0 = padding, up to the end
//! ```
//!
//! **Not**: what an operation does with a detail.
//!
//! **Invariants**: each type at most once; unknown types are skipped, unknown must-understand types are an answerable error;
//! padding is zero and less than one unit, so that there is one way to write a given list of details.
//!
//! **Source**: docs/wire.md, "Ext".

use std::net::{IpAddr, SocketAddr};

use super::METADATA_BYTES_MAX;
use super::cursor::Cursor;
use super::error::FrameError;
use super::header::EXT_UNIT_BYTES;
use crate::key::SlotId;
use crate::version::{Condition, Version};

/// Types of the entries; bit 7 means that the receiver must understand it.
mod tlv {
    pub(super) const PADDING: u8 = 0x00;
    pub(super) const TRACE: u8 = 0x01;
    pub(super) const METADATA: u8 = 0x02;
    pub(super) const MOVED: u8 = 0x03;
    pub(super) const RETRY_AFTER: u8 = 0x04;
    pub(super) const PREVIOUS_VERSION: u8 = 0x05;
    pub(super) const CONDITION: u8 = 0x81;
    pub(super) const CHUNK: u8 = 0x82;
    pub(super) const WANTED: u8 = 0x83;
    pub(super) const PART: u8 = 0x84;
}

/// Bit of a type that the receiver must understand.
const MUST_UNDERSTAND: u8 = 0x80;

/// W3C trace context; present only when the trace is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace id, as the W3C header has it, in network order.
    pub trace_id: [u8; 16],
    /// Id of the caller's span.
    pub span_id: [u8; 8],
    /// Trace flags; bit 0 = sampled.
    pub flags: u8,
}

/// Who owns a slot range now, in the answer MOVED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// First slot of the range.
    pub first: SlotId,
    /// Last slot of the range, included; not below `first`.
    pub last: SlotId,
    /// Epoch of the topology that says so.
    pub epoch: u32,
    /// Id of the owner.
    pub node: u32,
    /// Where the owner listens.
    pub address: SocketAddr,
}

/// Which part of a larger value a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Length of the whole value in bytes.
    pub total: u32,
    /// Where this part begins.
    pub offset: u32,
}

/// Which part of a value a READ wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedPart {
    /// Where it begins, in bytes from the value's start.
    pub offset: u32,
    /// The most bytes that are wanted; 0 for none of the value, only what is known of it.
    pub bytes_max: u32,
    /// The value is wanted if all of it from `offset` on has at most `bytes_max` bytes; else none of it is.
    pub is_all_or_none: bool,
    /// It is the first of several parts: the value should stay as it is until they have been read.
    pub is_first: bool,
    /// The version that is wanted, 0 for the one that is stored.
    pub version: u64,
}

/// Which part of a value the answer to a READ carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedPart {
    /// Length of the whole value in bytes.
    pub total: u32,
    /// Where the part begins.
    pub offset: u32,
    /// CRC-32C of the whole value.
    pub value_crc32c: u32,
}

/// The details of a frame, taken apart; what is absent has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ext<'a> {
    /// The sampled trace the frame belongs to.
    pub trace: Option<TraceContext>,
    /// What is stored beside the value (its content type), at most 255 bytes; empty for none.
    pub metadata: &'a [u8],
    /// On what the write depends.
    pub condition: Condition,
    /// Who owns the slot.
    pub moved: Option<Moved>,
    /// How long to wait before trying again, in microseconds.
    pub retry_after_us: Option<u32>,
    /// SET, DELETE: the version that was replaced. NOT_APPLIED: the version that is there.
    pub previous_version: Option<u64>,
    /// Which part of a larger value this is.
    pub chunk: Option<Chunk>,
    /// READ: which part of the value is wanted.
    pub wanted: Option<WantedPart>,
    /// Answer to READ: which part of the value it carries.
    pub part: Option<CarriedPart>,
}

impl<'a> Ext<'a> {
    /// No details: what an empty section says.
    pub const NONE: Self = Self {
        trace: None,
        metadata: &[],
        condition: Condition::Any,
        moved: None,
        retry_after_us: None,
        previous_version: None,
        chunk: None,
        wanted: None,
        part: None,
    };

    /// Takes an ext section apart.
    ///
    /// # Errors
    ///
    /// [`FrameError::Ext`] and [`FrameError::BadTlv`] when it is malformed (fatal), [`FrameError::UnknownTlv`] when an entry
    /// must be understood and is not (answerable). The peer is at fault.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut ext = Self::default();
        if bytes.is_empty() {
            return Ok(ext);
        }
        let mut cursor = Cursor::new(bytes);
        let mut seen = 0_u64;
        while !cursor.is_empty() {
            let before = cursor.rest();
            let kind = cursor.u8().ok_or(FrameError::Ext)?;
            if kind == tlv::PADDING {
                return if is_padding(before) { Ok(ext) } else { Err(FrameError::Ext) };
            }
            let length = usize::from(cursor.u8().ok_or(FrameError::Ext)?);
            let payload = cursor.take(length).ok_or(FrameError::Ext)?;
            // Known types differ in their low six bits or in the top bit; both together name a bit of `seen`.
            let bit = 1_u64 << ((kind & 0x1f) | (kind & MUST_UNDERSTAND) >> 2);
            if ext.accept(kind, payload)? {
                if seen & bit != 0 {
                    return Err(FrameError::BadTlv(kind));
                }
                seen |= bit;
            }
        }
        Ok(ext)
    }

    /// Takes one entry in; false when its type is unknown and may be skipped.
    fn accept(&mut self, kind: u8, payload: &'a [u8]) -> Result<bool, FrameError> {
        let parsed = match kind {
            tlv::TRACE => parse_trace(payload).map(|trace| self.trace = Some(trace)),
            tlv::METADATA => parse_metadata(payload).map(|metadata| self.metadata = metadata),
            tlv::MOVED => parse_moved(payload).map(|moved| self.moved = Some(moved)),
            tlv::RETRY_AFTER => parse_u32(payload).map(|us| self.retry_after_us = Some(us)),
            tlv::PREVIOUS_VERSION => parse_u64(payload).map(|version| self.previous_version = Some(version)),
            tlv::CONDITION => parse_condition(payload).map(|condition| self.condition = condition),
            tlv::CHUNK => parse_chunk(payload).map(|chunk| self.chunk = Some(chunk)),
            tlv::WANTED => parse_wanted(payload).map(|wanted| self.wanted = Some(wanted)),
            tlv::PART => parse_part(payload).map(|part| self.part = Some(part)),
            unknown if unknown & MUST_UNDERSTAND != 0 => return Err(FrameError::UnknownTlv(unknown)),
            _ => return Ok(false),
        };
        parsed.map(|()| true).ok_or(FrameError::BadTlv(kind))
    }

    /// Appends every detail that is not at its default.
    ///
    /// # Panics
    ///
    /// When the metadata is longer than [`METADATA_BYTES_MAX`]: the caller checks what it stores.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        if *self == Self::default() {
            return;
        }
        if let Some(trace) = &self.trace {
            begin(out, tlv::TRACE, 25);
            out.extend_from_slice(&trace.trace_id);
            out.extend_from_slice(&trace.span_id);
            out.push(trace.flags);
        }
        if !self.metadata.is_empty() {
            assert!(self.metadata.len() <= METADATA_BYTES_MAX, "metadata is bounded where it is taken in");
            begin(out, tlv::METADATA, self.metadata.len() as u8);
            out.extend_from_slice(self.metadata);
        }
        self.write_condition(out);
        self.write_outcome(out);
        if let Some(chunk) = &self.chunk {
            begin(out, tlv::CHUNK, 8);
            out.extend_from_slice(&chunk.total.to_le_bytes());
            out.extend_from_slice(&chunk.offset.to_le_bytes());
        }
        self.write_parts(out);
    }

    fn write_parts(&self, out: &mut Vec<u8>) {
        if let Some(wanted) = &self.wanted {
            begin(out, tlv::WANTED, 17);
            out.extend_from_slice(&wanted.offset.to_le_bytes());
            out.extend_from_slice(&wanted.bytes_max.to_le_bytes());
            out.push(u8::from(wanted.is_all_or_none) | u8::from(wanted.is_first) << 1);
            out.extend_from_slice(&wanted.version.to_le_bytes());
        }
        if let Some(part) = &self.part {
            begin(out, tlv::PART, 12);
            out.extend_from_slice(&part.total.to_le_bytes());
            out.extend_from_slice(&part.offset.to_le_bytes());
            out.extend_from_slice(&part.value_crc32c.to_le_bytes());
        }
    }

    fn write_condition(&self, out: &mut Vec<u8>) {
        match self.condition {
            Condition::Any => {}
            Condition::Absent => out.extend_from_slice(&[tlv::CONDITION, 1, 1]),
            Condition::Present => out.extend_from_slice(&[tlv::CONDITION, 1, 2]),
            Condition::VersionEquals(version) => {
                begin(out, tlv::CONDITION, 9);
                out.push(3);
                out.extend_from_slice(&version.bits().to_le_bytes());
            }
        }
    }

    fn write_outcome(&self, out: &mut Vec<u8>) {
        if let Some(moved) = &self.moved {
            write_moved(moved, out);
        }
        if let Some(us) = self.retry_after_us {
            begin(out, tlv::RETRY_AFTER, 4);
            out.extend_from_slice(&us.to_le_bytes());
        }
        if let Some(version) = self.previous_version {
            begin(out, tlv::PREVIOUS_VERSION, 8);
            out.extend_from_slice(&version.to_le_bytes());
        }
    }
}

fn begin(out: &mut Vec<u8>, kind: u8, length: u8) {
    out.extend_from_slice(&[kind, length]);
}

/// Padding ends the section: all zero and shorter than a unit.
fn is_padding(rest: &[u8]) -> bool {
    rest.len() < EXT_UNIT_BYTES && rest.iter().all(|&byte| byte == 0)
}

/// Metadata that is empty is written by leaving it out.
fn parse_metadata(payload: &[u8]) -> Option<&[u8]> {
    (!payload.is_empty()).then_some(payload)
}

fn parse_u32(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_le_bytes)
}

fn parse_u64(payload: &[u8]) -> Option<u64> {
    payload.try_into().ok().map(u64::from_le_bytes)
}

fn parse_trace(payload: &[u8]) -> Option<TraceContext> {
    let mut cursor = Cursor::new(payload);
    let trace = TraceContext { trace_id: cursor.array()?, span_id: cursor.array()?, flags: cursor.u8()? };
    cursor.is_empty().then_some(trace)
}

fn parse_condition(payload: &[u8]) -> Option<Condition> {
    match payload {
        [1] => Some(Condition::Absent),
        [2] => Some(Condition::Present),
        [3, version @ ..] => parse_u64(version).map(|version| Condition::VersionEquals(Version::from_bits(version))),
        _ => None,
    }
}

fn parse_chunk(payload: &[u8]) -> Option<Chunk> {
    let mut cursor = Cursor::new(payload);
    let chunk = Chunk { total: cursor.u32()?, offset: cursor.u32()? };
    cursor.is_empty().then_some(chunk)
}

/// `offset u32 | bytes_max u32 | bits u8: 0 all or none, 1 first of several | version u64`.
fn parse_wanted(payload: &[u8]) -> Option<WantedPart> {
    let mut cursor = Cursor::new(payload);
    let (offset, bytes_max, bits) = (cursor.u32()?, cursor.u32()?, cursor.u8()?);
    let version = u64::from_le_bytes(cursor.array()?);
    let wanted = WantedPart { offset, bytes_max, is_all_or_none: bits & 1 != 0, is_first: bits & 2 != 0, version };
    (bits < 4 && cursor.is_empty()).then_some(wanted)
}

/// `total u32 | offset u32 | value_crc32c u32`.
fn parse_part(payload: &[u8]) -> Option<CarriedPart> {
    let mut cursor = Cursor::new(payload);
    let part = CarriedPart { total: cursor.u32()?, offset: cursor.u32()?, value_crc32c: cursor.u32()? };
    cursor.is_empty().then_some(part)
}

/// `first u16 | last u16 | epoch u32 | node u32 | port u16 | IPv4 (4 bytes) or IPv6 (16 bytes), network order`.
fn parse_moved(payload: &[u8]) -> Option<Moved> {
    let mut cursor = Cursor::new(payload);
    let (first, last) = (SlotId::new(cursor.u16()?)?, SlotId::new(cursor.u16()?)?);
    let (epoch, node, port) = (cursor.u32()?, cursor.u32()?, cursor.u16()?);
    let ip = match cursor.rest().len() {
        4 => IpAddr::from(cursor.array::<4>()?),
        16 => IpAddr::from(cursor.array::<16>()?),
        _ => return None,
    };
    (first <= last).then_some(Moved { first, last, epoch, node, address: SocketAddr::new(ip, port) })
}

fn write_moved(moved: &Moved, out: &mut Vec<u8>) {
    let ip_bytes = if moved.address.is_ipv4() { 4 } else { 16 };
    begin(out, tlv::MOVED, 14 + ip_bytes);
    out.extend_from_slice(&moved.first.number().to_le_bytes());
    out.extend_from_slice(&moved.last.number().to_le_bytes());
    out.extend_from_slice(&moved.epoch.to_le_bytes());
    out.extend_from_slice(&moved.node.to_le_bytes());
    out.extend_from_slice(&moved.address.port().to_le_bytes());
    match moved.address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Ext<'static> {
        Ext {
            trace: Some(TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 }),
            metadata: b"text/plain",
            condition: Condition::VersionEquals(Version::from_bits(u64::MAX)),
            moved: Some(Moved {
                first: SlotId::ZERO,
                last: SlotId::new(16_383).unwrap(),
                epoch: 9,
                node: 3,
                address: "[::1]:7401".parse().unwrap(),
            }),
            retry_after_us: Some(250),
            previous_version: Some(77),
            chunk: Some(Chunk { total: 9, offset: 4 }),
            wanted: Some(WantedPart { offset: 1, bytes_max: 2, is_all_or_none: true, is_first: false, version: 3 }),
            part: Some(CarriedPart { total: 9, offset: 1, value_crc32c: 8 }),
        }
    }

    #[test]
    fn every_detail_round_trips_and_every_cut_is_refused() {
        let mut bytes = Vec::new();
        full().write(&mut bytes);
        assert_eq!(Ext::parse(&bytes), Ok(full()));
        let whole_entries = (0..bytes.len()).filter(|&cut| Ext::parse(&bytes[..cut]).is_ok()).count();
        assert_eq!(whole_entries, 9, "only cuts between entries (and the empty section) are well-formed");
    }

    #[test]
    fn hostile_sections_are_refused_by_name() {
        let cases: &[(&[u8], Result<(), FrameError>)] = &[
            (&[], Ok(())),
            (&[0; 7], Ok(())),
            (&[0; 8], Err(FrameError::Ext)),
            (&[0, 0, 1], Err(FrameError::Ext)),
            (&[tlv::RETRY_AFTER], Err(FrameError::Ext)),
            (&[tlv::RETRY_AFTER, 4, 1], Err(FrameError::Ext)),
            (&[tlv::RETRY_AFTER, 1, 1], Err(FrameError::BadTlv(tlv::RETRY_AFTER))),
            (&[0x7e, 2, 1, 1], Ok(())),
            (&[0x7e, 0, 0x7e, 0], Ok(())),
            (&[0xfe, 0], Err(FrameError::UnknownTlv(0xfe))),
            (&[tlv::METADATA, 0], Err(FrameError::BadTlv(tlv::METADATA))),
            (&[tlv::CONDITION, 1, 1, tlv::CONDITION, 1, 1], Err(FrameError::BadTlv(tlv::CONDITION))),
            (&[tlv::CONDITION, 1, 9], Err(FrameError::BadTlv(tlv::CONDITION))),
            (&[tlv::WANTED, 17, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], Ok(())),
            (
                &[tlv::WANTED, 17, 0, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
                Err(FrameError::BadTlv(tlv::WANTED)),
            ),
            (&[tlv::WANTED, 4, 0, 0, 0, 0], Err(FrameError::BadTlv(tlv::WANTED))),
            (&[tlv::PART, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err(FrameError::BadTlv(tlv::PART))),
            (&[tlv::MOVED, 18, 5, 0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 127, 0, 0, 1], Err(FrameError::BadTlv(3))),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Ext::parse(bytes).map(|_| ()), *expected, "{bytes:02x?}");
        }
    }
}
