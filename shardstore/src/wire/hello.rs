//! HELLO: what each side says about itself before anything else.
//!
//! ```text
//!  the value section of a control frame with opcode HELLO
//!   0 ┌─────────────┬─────────────┬──────┬─────────┬───────┬─────────────┐
//!     │ version_min │ version_max │ role │ hash_id │ cores │ wanted_core │
//!   8 ├─────────────┴─────────────┴──────┴─────────┴───────┴─────────────┤
//!     │ features                                                         │
//!  16 ├──────────────────────────────────────────────────────────────────┤
//!     │ hash_seed                                                        │
//!  24 ├──────────────────────────────┬───────────────────────────────────┤
//!     │ node_id                      │ topology_epoch                    │
//!  32 ├──────────────────────────────┴───────────────────────────────────┤
//!     │ incarnation                                                      │
//!  40 ├──────────────────────────────┬───────────────────────────────────┤
//!     │ frame_value_bytes_max        │ value_bytes_max                   │
//!  48 ├──────────────────────────────┼───────────────────────────────────┤
//!     │ credit_requests              │ credit_bytes                      │
//!  56 ├───────────────────┬──────────┴────┬─────────────┬────────────────┤
//!     │ batch_entries_max │ key_bytes_max │ cluster_len │ zero (3)       │
//!  64 ├───────────────────┴───────────────┴─────────────┴────────────────┤
//!     │ cluster's name (1 to 63 bytes), then the extension:              │
//!     ├──────────────────────────────────────────────────────────────────┤
//!     │ clock_us (8), map digest (512), owners of a block (258) or none, │
//!     │ wanted_node (4) or none, then what a later release adds          │
//!     └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! **Not**: what follows from two of them (that is `terms::negotiate`).
//!
//! **Invariants**: a HELLO that was read is in range in every field; bytes after the name are skipped, so that a later
//! release can add to it; a HELLO that ends before the extension has none; a HELLO frame is written in the lowest version its sender speaks, so that a neighbour reads it.
//!
//! **Source**: docs/wire.md, "HELLO".

use std::mem::{offset_of, size_of};
use std::sync::Arc;

use thiserror::Error;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::code::{Kind, Opcode, wire_enum};
use super::ext::Ext;
use super::flags::Flags;
use super::frame::{self, Frame, Limits};
use super::header::Header;
use super::map_digest::{BlockOwners, MapDigest};

/// Longest HELLO payload in bytes that is read; the limit of a frame before anything is negotiated.
pub const HELLO_BYTES_MAX: u32 = 1024;

/// Longest name of a cluster in bytes.
pub const CLUSTER_NAME_BYTES_MAX: usize = 63;

/// `wanted_core` when any core will do.
pub const WANTED_CORE_ANY: u16 = u16::MAX;

/// Bit of [`Hello::features`]: the operation READ is understood.
pub const FEATURE_READ: u64 = 1 << 0;

/// Requests a peer may have in flight on a connection unless configured otherwise.
pub const CREDIT_REQUESTS_DEFAULT: u32 = 256;

/// Bytes of requests a peer may have in flight on a connection unless configured otherwise.
pub const CREDIT_BYTES_DEFAULT: u32 = 4 << 20;

/// Longest value section of a frame unless configured otherwise: a quarter of the byte credit, so that one large value
/// does not stop the connection.
pub const FRAME_VALUE_BYTES_DEFAULT: u32 = 1 << 20;

/// Smallest value section of a frame that may be offered: a chunk must carry more than its head costs.
pub const FRAME_VALUE_BYTES_MIN: u32 = 4096;

/// The fixed part as it lies in a buffer.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHello {
    version_min: u8,
    version_max: u8,
    role: u8,
    hash_id: u8,
    cores: U16,
    wanted_core: U16,
    features: U64,
    hash_seed: U64,
    node_id: U32,
    topology_epoch: U32,
    incarnation: U64,
    frame_value_bytes_max: U32,
    value_bytes_max: U32,
    credit_requests: U32,
    credit_bytes: U32,
    batch_entries_max: U16,
    key_bytes_max: U16,
    cluster_len: u8,
    zero: [u8; 3],
}

const _: () = assert!(size_of::<RawHello>() == 64);
const _: () = assert!(offset_of!(RawHello, features) == 8);
const _: () = assert!(offset_of!(RawHello, hash_seed) == 16);
const _: () = assert!(offset_of!(RawHello, node_id) == 24);
const _: () = assert!(offset_of!(RawHello, incarnation) == 32);
const _: () = assert!(offset_of!(RawHello, frame_value_bytes_max) == 40);
const _: () = assert!(offset_of!(RawHello, credit_requests) == 48);
const _: () = assert!(offset_of!(RawHello, batch_entries_max) == 56);
const _: () = assert!(offset_of!(RawHello, cluster_len) == 60);
/// Bytes of the extension without the owners of a block.
const EXTENSION_BYTES: usize = size_of::<u64>() + MapDigest::BYTES;

/// Most bytes of a HELLO's payload that this release writes.
const PAYLOAD_BYTES_MAX: usize =
    size_of::<RawHello>() + CLUSTER_NAME_BYTES_MAX + EXTENSION_BYTES + BlockOwners::BYTES + size_of::<u32>();

const _: () = assert!(PAYLOAD_BYTES_MAX <= HELLO_BYTES_MAX as usize);

wire_enum! {
    /// What a process is to its peer.
    Role: u8 {
        /// Serves clients and asks nodes; owns no slot.
        Edge = 1, "edge";
        /// The authority for the slots it owns.
        Node = 2, "node";
        /// An operator's tool or a load generator: asks, owns nothing.
        Tool = 3, "tool";
    }
}

/// What one side says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Lowest major version spoken.
    pub version_min: u8,
    /// Highest major version spoken.
    pub version_max: u8,
    /// What the process is.
    pub role: Role,
    /// The hash function; see `key::HASH_ID_RAPIDHASH_V3`.
    pub hash_id: u8,
    /// Seed of the hash function.
    pub hash_seed: u64,
    /// Data cores of the process, at least 1.
    pub cores: u16,
    /// The core of the peer that the connection should be handed to; [`WANTED_CORE_ANY`] for any.
    pub wanted_core: u16,
    /// Optional abilities, a bit each: [`FEATURE_READ`]. Unknown ones are kept, and agreed on by nobody.
    pub features: u64,
    /// The node's id in the topology; 0 for edges and tools.
    pub node_id: u32,
    /// Epoch of the topology in force; 0 for none.
    pub topology_epoch: u32,
    /// Differs between two starts of the same process.
    pub incarnation: u64,
    /// Longest value section of a frame that is taken, in bytes.
    pub frame_value_bytes_max: u32,
    /// Longest value that is taken in chunks, in bytes.
    pub value_bytes_max: u32,
    /// Requests the peer may have in flight, at least 1.
    pub credit_requests: u32,
    /// Bytes of requests the peer may have in flight; room for at least one frame.
    pub credit_bytes: u32,
    /// Entries of a batch that are taken, at least 1.
    pub batch_entries_max: u16,
    /// Longest stored key that is taken, in bytes.
    pub key_bytes_max: u16,
    /// The cluster's name, 1 to [`CLUSTER_NAME_BYTES_MAX`] bytes.
    pub cluster: String,
    /// What later releases of version 1 add. Where both sides have it, deadlines are absolute and maps are compared.
    pub extension: Option<HelloExtension>,
}

/// The clock and the map of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloExtension {
    /// Microseconds of the sender's monotonic clock when it wrote this; its zero is the sender's own.
    pub clock_us: u64,
    /// Digest of the map whose epoch is `topology_epoch`.
    pub map: Arc<MapDigest>,
    /// The owners of one block of slots: in a HELLO that answers one of another map, of the first block that differs.
    pub owners: Option<Box<BlockOwners>>,
    /// The id of the node that the sender takes its peer for; 0 for any. Not written when it is 0.
    pub wanted_node: u32,
}

/// Why a HELLO cannot be read. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HelloFormatError {
    /// The first frame is not a HELLO.
    #[error("the first frame of the connection is not a HELLO")]
    NotHello,
    /// The payload does not match its checksum.
    #[error("the HELLO does not match its checksum")]
    Corrupt,
    /// The payload ends too early.
    #[error("the HELLO is too short")]
    Truncated,
    /// A field is out of its range.
    #[error("the HELLO's {0} is out of range")]
    Field(&'static str),
}

impl HelloFormatError {
    /// The stable snake_case name for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotHello => "hello_expected",
            Self::Corrupt => "hello_corrupt",
            Self::Truncated => "hello_truncated",
            Self::Field(_) => "hello_field",
        }
    }
}

impl Hello {
    /// The limits to read the peer's HELLO with, before anything is negotiated.
    #[must_use]
    pub const fn limits(cluster_tag: u32) -> Limits {
        Limits { frame_value_bytes_max: HELLO_BYTES_MAX, cluster_tag }
    }

    /// Appends the HELLO frame to `out`.
    ///
    /// # Panics
    ///
    /// When the cluster's name is empty or longer than [`CLUSTER_NAME_BYTES_MAX`]: the topology's parser bounds it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let name_bytes = self.cluster.len();
        assert!((1..=CLUSTER_NAME_BYTES_MAX).contains(&name_bytes), "a cluster's name is bounded where it is read");
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        let (fixed, name) = payload.split_at_mut(size_of::<RawHello>());
        fixed.copy_from_slice(self.raw().as_bytes());
        name[..name_bytes].copy_from_slice(self.cluster.as_bytes());
        let mut payload_bytes = size_of::<RawHello>() + name_bytes;
        if let Some(extension) = &self.extension {
            let (clock, map) = payload[payload_bytes..][..EXTENSION_BYTES].split_at_mut(size_of::<u64>());
            clock.copy_from_slice(&extension.clock_us.to_le_bytes());
            extension.map.write(map);
            payload_bytes += EXTENSION_BYTES;
            if let Some(owners) = &extension.owners {
                owners.write(&mut payload[payload_bytes..][..BlockOwners::BYTES]);
                payload_bytes += BlockOwners::BYTES;
            }
            if extension.wanted_node != 0 {
                payload[payload_bytes..][..size_of::<u32>()].copy_from_slice(&extension.wanted_node.to_le_bytes());
                payload_bytes += size_of::<u32>();
            }
        }
        let payload = &payload[..payload_bytes];

        let mut header = Header::new(Kind::Control, Opcode::Hello.number(), super::cluster_tag(&self.cluster));
        header.major = self.version_min;
        header.flags = Flags::VALUE_CRC;
        header.value_crc32c = super::checksum(payload);
        frame::encode(out, &header, &Ext::default(), &[], payload);
    }

    /// Reads the peer's HELLO from its frame.
    ///
    /// # Errors
    ///
    /// [`HelloFormatError`]; the peer is at fault and the connection has to end.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, HelloFormatError> {
        let is_hello = frame.header.kind == Kind::Control && frame.header.opcode() == Some(Opcode::Hello);
        if !is_hello || !frame.key.is_empty() {
            return Err(HelloFormatError::NotHello);
        }
        if !frame.header.flags.not_understood(Flags::NONE).is_empty() {
            return Err(HelloFormatError::Field("flags"));
        }
        if !frame.value_is_sound() {
            return Err(HelloFormatError::Corrupt);
        }
        let (raw, rest) = RawHello::ref_from_prefix(frame.value).map_err(|_| HelloFormatError::Truncated)?;
        let name = rest.get(..usize::from(raw.cluster_len)).ok_or(HelloFormatError::Truncated)?;
        let cluster = std::str::from_utf8(name).map_err(|_| HelloFormatError::Field("cluster"))?;
        let rest = &rest[usize::from(raw.cluster_len)..];
        let extension = rest.split_at_checked(EXTENSION_BYTES).map(|(fixed, rest)| HelloExtension::read(fixed, rest));
        Ok(Self { extension, ..Self::from_raw(raw, cluster)? })
    }

    fn from_raw(raw: &RawHello, cluster: &str) -> Result<Self, HelloFormatError> {
        let role = Role::from_number(raw.role).ok_or(HelloFormatError::Field("role"))?;
        let (frame_max, value_max) = (raw.frame_value_bytes_max.get(), raw.value_bytes_max.get());
        let checks = [
            ("version range", raw.version_min >= 1 && raw.version_min <= raw.version_max),
            ("cores", raw.cores.get() >= 1),
            ("node_id", (role == Role::Node) == (raw.node_id.get() != 0)),
            ("frame_value_bytes_max", frame_max >= FRAME_VALUE_BYTES_MIN),
            ("value_bytes_max", (FRAME_VALUE_BYTES_MIN..=super::VALUE_BYTES_MAX).contains(&value_max)),
            ("credit_requests", raw.credit_requests.get() >= 1),
            ("credit_bytes", raw.credit_bytes.get() >= FRAME_VALUE_BYTES_MIN + frame::HEAD_BYTES_MAX as u32),
            ("batch_entries_max", raw.batch_entries_max.get() >= 1),
            ("key_bytes_max", raw.key_bytes_max.get() >= 1),
            ("reserved bytes", raw.zero == [0; 3]),
            ("cluster", (1..=CLUSTER_NAME_BYTES_MAX).contains(&cluster.len())),
        ];
        if let Some((field, _)) = checks.iter().find(|(_, holds)| !holds) {
            return Err(HelloFormatError::Field(field));
        }
        Ok(Self {
            version_min: raw.version_min,
            version_max: raw.version_max,
            role,
            hash_id: raw.hash_id,
            hash_seed: raw.hash_seed.get(),
            cores: raw.cores.get(),
            wanted_core: raw.wanted_core.get(),
            features: raw.features.get(),
            node_id: raw.node_id.get(),
            topology_epoch: raw.topology_epoch.get(),
            incarnation: raw.incarnation.get(),
            frame_value_bytes_max: frame_max,
            value_bytes_max: value_max,
            credit_requests: raw.credit_requests.get(),
            credit_bytes: raw.credit_bytes.get(),
            batch_entries_max: raw.batch_entries_max.get(),
            key_bytes_max: raw.key_bytes_max.get(),
            cluster: cluster.to_owned(),
            extension: None,
        })
    }

    fn raw(&self) -> RawHello {
        RawHello {
            version_min: self.version_min,
            version_max: self.version_max,
            role: self.role.number(),
            hash_id: self.hash_id,
            cores: U16::new(self.cores),
            wanted_core: U16::new(self.wanted_core),
            features: U64::new(self.features),
            hash_seed: U64::new(self.hash_seed),
            node_id: U32::new(self.node_id),
            topology_epoch: U32::new(self.topology_epoch),
            incarnation: U64::new(self.incarnation),
            frame_value_bytes_max: U32::new(self.frame_value_bytes_max),
            value_bytes_max: U32::new(self.value_bytes_max),
            credit_requests: U32::new(self.credit_requests),
            credit_bytes: U32::new(self.credit_bytes),
            batch_entries_max: U16::new(self.batch_entries_max),
            key_bytes_max: U16::new(self.key_bytes_max),
            cluster_len: self.cluster.len() as u8,
            zero: [0; 3],
        }
    }
}

impl HelloExtension {
    /// Reads it from its fixed part and from what follows that.
    fn read(fixed: &[u8], rest: &[u8]) -> Self {
        let (clock, map) = fixed.split_at(size_of::<u64>());
        let clock_us = u64::from_le_bytes(clock.try_into().expect("split there"));
        let (owners, rest) = match rest.split_at_checked(BlockOwners::BYTES) {
            Some((owners, rest)) => (Some(Box::new(BlockOwners::read(owners))), rest),
            None => (None, rest),
        };
        let wanted_node = rest.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        Self { clock_us, map: Arc::new(MapDigest::read(map)), owners, wanted_node }
    }
}
