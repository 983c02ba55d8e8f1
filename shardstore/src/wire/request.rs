//! Requests as a node and an edge work with them.
//!
//! ```text
//!  op        key  value section       ext                     header
//!  PING      -    -                   -                       -
//!  GET       yes  -                   -                       -
//!  SET       yes  the value           METADATA, CONDITION     ttl_ms, version (0 = the node's next), value_crc32c
//!  DELETE    yes  -                   CONDITION               version (0 = the node's next)
//!  TOUCH     yes  -                   -                       ttl_ms (0 = no expiry)
//!  READ      yes  -                   WANTED                  -
//!  MGET      -    keys (BATCH)        -                       slot of the first key
//!  MSET      -    items (BATCH)       -                       slot of the first key
//!  STATS     -    -                   -                       -
//!  TOPOLOGY  -    -                   -                       slot_epoch = the epoch the asker has
//! ```
//!
//! **Not**: whether this node owns the slot, or whether the value's checksum holds (that is the shard's).
//!
//! **Invariants**: a request that was parsed has the sections its operation needs and no others; what is parsed encodes
//! to the same bytes.
//!
//! **Source**: docs/wire.md, "Operations".

use super::batch::{BATCH_ENTRIES_MAX, MgetKeys, MsetItems};
use super::code::{Kind, Opcode};
use super::error::FrameError;
use super::ext::{Ext, TraceContext, WantedPart};
use super::flags::{Flags, SchedulingClass};
use super::frame::{self, Frame};
use super::header::{CORE_ANY, Header};
use super::reassembly::ValuePart;
use crate::key::SlotId;
use crate::version::Condition;

/// In what version and for which cluster frames are written on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The negotiated major version.
    pub version: u8,
    /// Tag of the cluster's name.
    pub cluster_tag: u32,
}

impl Dialect {
    /// An empty header in this dialect.
    pub(super) const fn header(self, kind: Kind, code: u16) -> Header {
        let mut header = Header::new(kind, code, self.cluster_tag);
        header.major = self.version;
        header
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Are you there?
    Ping,
    /// Read a key.
    Get {
        /// The stored key.
        key: &'a [u8],
    },
    /// Read a part of a key's value, or what is known of it.
    Read {
        /// The stored key.
        key: &'a [u8],
        /// Which part.
        wanted: WantedPart,
    },
    /// Write a key.
    Set(Set<'a>),
    /// Remove a key.
    Delete {
        /// The stored key.
        key: &'a [u8],
        /// Version of the removal, 0 for the node's own next one.
        version: u64,
        /// On what it depends.
        condition: Condition,
    },
    /// Give a key another expiry.
    Touch {
        /// The stored key.
        key: &'a [u8],
        /// Time to live from now in milliseconds, 0 for none.
        ttl_ms: u32,
    },
    /// Read many keys.
    Mget(MgetKeys<'a>),
    /// Write many keys.
    Mset(MsetItems<'a>),
    /// The node's counters.
    Stats,
    /// The node's topology.
    Topology,
}

/// A write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set<'a> {
    /// The stored key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// What is stored beside it, at most `METADATA_BYTES_MAX` bytes.
    pub metadata: &'a [u8],
    /// CRC-32C of the value, made where the value was made.
    pub value_crc32c: u32,
    /// Time to live in milliseconds, 0 for none.
    pub ttl_ms: u32,
    /// Version to store it under, 0 for the node's own next one. A fill carries the version it saw.
    pub version: u64,
    /// On what it depends.
    pub condition: Condition,
}

/// A request with what surrounds its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The asker's id for it.
    pub id: u64,
    /// Slot of the key; of the first key in a batch; 0 without a key.
    pub slot: SlotId,
    /// Epoch of the slot as the asker knows it.
    pub slot_epoch: u32,
    /// The core of the node that is wanted, or [`CORE_ANY`].
    pub core: u8,
    /// Scheduling class.
    pub class: SchedulingClass,
    /// Of QUIET, IDEMPOTENT, REPLICA_OK, STALE_OK; the flags that belong to the encoding are set by it.
    pub flags: Flags,
    /// [`Kind::Request`], or [`Kind::OneWay`] when no answer is wanted.
    pub kind: Kind,
    /// Budget left in microseconds, 0 for none.
    pub deadline_us: u32,
    /// The sampled trace it belongs to.
    pub trace: Option<TraceContext>,
    /// What is asked.
    pub op: Op<'a>,
}

/// Flags that a request's asker chooses; the others follow from its sections.
const CHOSEN: Flags = Flags::QUIET.with(Flags::IDEMPOTENT).with(Flags::REPLICA_OK).with(Flags::STALE_OK);

impl<'a> Request<'a> {
    /// A request for `op` with everything around it at its default.
    #[inline]
    #[must_use]
    pub const fn new(id: u64, slot: SlotId, slot_epoch: u32, op: Op<'a>) -> Self {
        Self {
            id,
            slot,
            slot_epoch,
            core: CORE_ANY,
            class: SchedulingClass::DEFAULT,
            flags: Flags::NONE,
            kind: Kind::Request,
            deadline_us: 0,
            trace: None,
            op,
        }
    }

    /// Understands a frame as a request.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: where [`FrameError::answer`] says so, the request is answered by that status and the connection goes
    /// on; else the connection ends. The peer is at fault.
    #[inline]
    pub fn parse(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let header = &frame.header;
        if !matches!(header.kind, Kind::Request | Kind::OneWay) {
            return Err(FrameError::Unexpected);
        }
        let opcode = header.opcode().ok_or(FrameError::UnknownOpcode(header.code))?;
        let unknown = header.flags.not_understood(Flags::UNDERSTOOD);
        if !unknown.is_empty() {
            return Err(FrameError::UnknownFlags(unknown.bits()));
        }
        let details;
        let ext = if frame.ext.is_empty() {
            const { &Ext::NONE }
        } else {
            details = Ext::parse(frame.ext)?;
            &details
        };
        check_sections(frame, opcode, ext)?;
        Ok(Self {
            id: header.request_id,
            slot: header.slot,
            slot_epoch: header.slot_epoch,
            core: header.core,
            class: header.class,
            flags: header.flags & CHOSEN,
            kind: header.kind,
            deadline_us: header.deadline_us,
            trace: ext.trace,
            op: parse_op(frame, opcode, ext)?,
        })
    }

    /// Appends the request as one frame to `out`; allocates only when `out` has no room. Returns its length in bytes.
    ///
    /// # Panics
    ///
    /// As [`frame::encode_head`].
    #[inline]
    pub fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) -> usize {
        let value = self.op.value();
        let total = u32::try_from(value.len()).expect("a value is at most VALUE_BYTES_MAX long");
        let head_bytes = self.encode_head(dialect, ValuePart::whole(total), out);
        out.extend_from_slice(value);
        head_bytes + value.len()
    }

    /// Appends the head of the frame that carries one part of the operation's value; the part itself is sent after it.
    /// The first part's head carries key and details, a later one only what names the part.
    ///
    /// # Panics
    ///
    /// As [`frame::encode_head`].
    #[inline]
    pub fn encode_head(&self, dialect: Dialect, part: ValuePart, out: &mut Vec<u8>) -> usize {
        let mut header = dialect.header(self.kind, self.op.opcode().number());
        header.class = self.class;
        header.flags = self.flags & CHOSEN;
        header.request_id = self.id;
        header.slot = self.slot;
        header.core = self.core;
        header.slot_epoch = self.slot_epoch;
        header.deadline_us = self.deadline_us;
        header.value_len = part.length;
        if part.has_more() {
            header.flags |= Flags::MORE;
        }
        let mut ext = Ext { trace: self.trace, chunk: part.chunk(), ..Ext::default() };
        self.op.write_details(&mut header, &mut ext);
        if part.offset == 0 {
            return frame::encode_head(out, &header, &ext, self.op.key());
        }
        let ext = Ext { chunk: part.chunk(), ..Ext::default() };
        frame::encode_head(out, &header, &ext, &[])
    }
}

impl<'a> Op<'a> {
    /// The operation's opcode.
    #[inline]
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::Ping => Opcode::Ping,
            Self::Get { .. } => Opcode::Get,
            Self::Read { .. } => Opcode::Read,
            Self::Set(_) => Opcode::Set,
            Self::Delete { .. } => Opcode::Delete,
            Self::Touch { .. } => Opcode::Touch,
            Self::Mget(_) => Opcode::Mget,
            Self::Mset(_) => Opcode::Mset,
            Self::Stats => Opcode::Stats,
            Self::Topology => Opcode::Topology,
        }
    }

    /// The stored key; empty for operations without one.
    #[inline]
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        match self {
            Self::Get { key } | Self::Read { key, .. } | Self::Delete { key, .. } | Self::Touch { key, .. } => key,
            Self::Set(set) => set.key,
            Self::Ping | Self::Mget(_) | Self::Mset(_) | Self::Stats | Self::Topology => &[],
        }
    }

    /// The value section; empty for operations without one.
    #[inline]
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        match self {
            Self::Set(set) => set.value,
            Self::Mget(keys) => keys.payload(),
            Self::Mset(items) => items.payload(),
            _ => &[],
        }
    }

    #[inline]
    fn write_details(&self, header: &mut Header, ext: &mut Ext<'a>) {
        match self {
            Self::Set(set) => {
                header.flags |= Flags::VALUE_CRC;
                header.value_crc32c = set.value_crc32c;
                header.ttl_ms = set.ttl_ms;
                header.version = set.version;
                ext.metadata = set.metadata;
                ext.condition = set.condition;
            }
            Self::Delete { version, condition, .. } => {
                header.version = *version;
                ext.condition = *condition;
            }
            Self::Touch { ttl_ms, .. } => header.ttl_ms = *ttl_ms,
            Self::Read { wanted, .. } => ext.wanted = Some(*wanted),
            Self::Mget(_) | Self::Mset(_) => {
                header.flags |= Flags::VALUE_CRC | Flags::BATCH;
                header.value_crc32c = super::checksum(self.value());
            }
            Self::Ping | Self::Get { .. } | Self::Stats | Self::Topology => {}
        }
    }
}

/// Whether the frame has the sections its operation needs, and no others.
#[inline]
fn check_sections(frame: &Frame<'_>, opcode: Opcode, ext: &Ext<'_>) -> Result<(), FrameError> {
    let (wants_key, wants_value, wants_batch) = match opcode {
        Opcode::Get | Opcode::Read | Opcode::Delete | Opcode::Touch => (true, false, false),
        Opcode::Set => (true, true, false),
        Opcode::Mget | Opcode::Mset => (false, true, true),
        Opcode::Ping | Opcode::Stats | Opcode::Topology => (false, false, false),
        Opcode::Hello => return Err(FrameError::Unexpected),
    };
    if wants_key == frame.key.is_empty() {
        return Err(FrameError::BadKey);
    }
    let flags = frame.header.flags;
    let is_whole = match ext.chunk {
        None => true,
        Some(chunk) => chunk.offset == 0 && chunk.total as usize == frame.value.len(),
    };
    let value_fits = if wants_value { flags.contains(Flags::VALUE_CRC) } else { frame.value.is_empty() };
    let conditional = matches!(opcode, Opcode::Set | Opcode::Delete) || ext.condition == Condition::Any;
    let parted = ext.wanted.is_some() == (opcode == Opcode::Read) && ext.part.is_none();
    let fits = value_fits && conditional && parted && is_whole && !flags.contains(Flags::MORE);
    if fits && flags.contains(Flags::BATCH) == wants_batch { Ok(()) } else { Err(FrameError::BadPayload) }
}

#[inline]
fn parse_op<'a>(frame: &Frame<'a>, opcode: Opcode, ext: &Ext<'a>) -> Result<Op<'a>, FrameError> {
    let header = &frame.header;
    let key = frame.key;
    Ok(match opcode {
        Opcode::Ping => Op::Ping,
        Opcode::Get => Op::Get { key },
        Opcode::Read => Op::Read { key, wanted: ext.wanted.ok_or(FrameError::BadPayload)? },
        Opcode::Set => Op::Set(Set {
            key,
            value: frame.value,
            metadata: ext.metadata,
            value_crc32c: header.value_crc32c,
            ttl_ms: header.ttl_ms,
            version: header.version,
            condition: ext.condition,
        }),
        Opcode::Delete => Op::Delete { key, version: header.version, condition: ext.condition },
        Opcode::Touch => Op::Touch { key, ttl_ms: header.ttl_ms },
        Opcode::Mget => Op::Mget(MgetKeys::parse(sound_batch(frame)?, BATCH_ENTRIES_MAX)?),
        Opcode::Mset => Op::Mset(MsetItems::parse(sound_batch(frame)?, BATCH_ENTRIES_MAX)?),
        Opcode::Stats => Op::Stats,
        Opcode::Topology => Op::Topology,
        Opcode::Hello => return Err(FrameError::Unexpected),
    })
}

/// A batch is structure, not somebody's value: its checksum is checked before it is walked.
fn sound_batch<'a>(frame: &Frame<'a>) -> Result<&'a [u8], FrameError> {
    if frame.value_is_sound() { Ok(frame.value) } else { Err(FrameError::BadPayload) }
}
