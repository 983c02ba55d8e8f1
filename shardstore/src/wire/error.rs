//! Why a frame is not accepted, and what to do about it.
//!
//! **Not**: incomplete input, which is `Decoded::Partial`.
//!
//! **Invariants**: names are stable, metrics are counted under them; after a fatal error nothing more is read from the
//! connection, since the position of the next frame is not known or the peer is not who it should be.
//!
//! **Source**: docs/wire.md, "Errors".

use thiserror::Error;

use super::code::Status;

/// Why a frame is not accepted. Always the peer's fault, or the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The first bytes are not this protocol's: a client on the wrong port.
    #[error("not the shard protocol: the frame starts with {0:02x?}, expected f5 43 4c")]
    Magic([u8; 3]),
    /// A major version this release does not speak.
    #[error("protocol version {0} is not spoken here")]
    Version(u8),
    /// A kind this release does not know.
    #[error("frame kind {0} is not known")]
    Kind(u8),
    /// A reserved bit is set.
    #[error("a reserved bit is set")]
    ReservedBits,
    /// A slot number of 16384 or above.
    #[error("slot {0} is out of range; slots are 0 to 16383")]
    Slot(u16),
    /// The key is longer than any stored key.
    #[error("the key has {0} bytes, over the limit")]
    KeyLength(usize),
    /// The value section is longer than the negotiated limit of a frame.
    #[error("the value section has {length} bytes; the negotiated limit is {limit}")]
    ValueLength {
        /// What the frame says.
        length: u32,
        /// What was negotiated.
        limit: u32,
    },
    /// The EXT flag and `ext_len` contradict each other.
    #[error("the EXT flag and ext_len contradict each other")]
    ExtFlag,
    /// A value without VALUE_CRC, or a checksum without the flag.
    #[error("the VALUE_CRC flag contradicts value_len or value_crc32c")]
    ValueCrcFlag,
    /// The frame belongs to another cluster.
    #[error("cluster tag {theirs:#010x} is not this cluster's {ours:#010x}")]
    ClusterTag {
        /// The tag of our cluster.
        ours: u32,
        /// The tag the frame carries.
        theirs: u32,
    },
    /// Header, ext or key do not match their checksum.
    #[error("header_crc32c does not match: a bit changed on the way")]
    HeaderCrc,
    /// The ext section is not a sequence of TLVs.
    #[error("the ext section is not a well-formed sequence of TLVs")]
    Ext,
    /// A kind of frame that has no place here, such as a response sent to a node.
    #[error("a frame of this kind is not expected here")]
    Unexpected,
    /// An opcode this release does not know.
    #[error("opcode {0} is not known")]
    UnknownOpcode(u16),
    /// A status this release does not know.
    #[error("status {0} is not known")]
    UnknownStatus(u16),
    /// A must-understand flag that is not understood.
    #[error("flags {0:#010x} must be understood and are not")]
    UnknownFlags(u32),
    /// A must-understand TLV that is not understood.
    #[error("ext TLV {0:#04x} must be understood and is not")]
    UnknownTlv(u8),
    /// A TLV of a known type with impossible content.
    #[error("ext TLV {0:#04x} has a malformed payload")]
    BadTlv(u8),
    /// The operation's key is missing, malformed, or present where none belongs.
    #[error("the key does not fit the operation")]
    BadKey,
    /// The operation's payload is malformed.
    #[error("the payload does not fit the operation")]
    BadPayload,
}

impl FrameError {
    /// The stable snake_case name for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Magic(_) => "magic",
            Self::Version(_) => "version",
            Self::Kind(_) => "kind",
            Self::ReservedBits => "reserved_bits",
            Self::Slot(_) => "slot",
            Self::KeyLength(_) => "key_length",
            Self::ValueLength { .. } => "value_length",
            Self::ExtFlag => "ext_flag",
            Self::ValueCrcFlag => "value_crc_flag",
            Self::ClusterTag { .. } => "cluster_tag",
            Self::HeaderCrc => "header_crc",
            Self::Ext => "ext",
            Self::Unexpected => "unexpected",
            Self::UnknownOpcode(_) => "unknown_opcode",
            Self::UnknownStatus(_) => "unknown_status",
            Self::UnknownFlags(_) => "unknown_flags",
            Self::UnknownTlv(_) => "unknown_tlv",
            Self::BadTlv(_) => "bad_tlv",
            Self::BadKey => "bad_key",
            Self::BadPayload => "bad_payload",
        }
    }

    /// The status to answer the request with, or `None` when the error ends the connection.
    ///
    /// Answerable is what a newer peer of the same major version may send in good faith; anything else means that the two
    /// sides no longer agree on where frames start or on what the rules are.
    #[must_use]
    pub const fn answer(&self) -> Option<Status> {
        match self {
            Self::UnknownOpcode(_) | Self::UnknownFlags(_) | Self::UnknownTlv(_) | Self::UnknownStatus(_) => {
                Some(Status::Unsupported)
            }
            _ => None,
        }
    }

    /// Whether the error ends the connection.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        self.answer().is_none()
    }
}
