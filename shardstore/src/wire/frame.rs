//! Frames: header, ext, key and value as one message, checked as a whole.
//!
//! ```text
//!  ┌───────────┬───────────────┬─────────────┬───────────────┐
//!  │ header 64 │ ext 8·ext_len │ key key_len │ value_len     │
//!  └───────────┴───────────────┴─────────────┴───────────────┘
//!  ├──────── head: header_crc32c ────────────┤
//!                                            ├ value_crc32c ─┤   (end to end; checked by who keeps or uses the value)
//! ```
//!
//! **Not**: what the frame means (`request`, `response`), and the checksum of the value: it is made where the value is
//! made and checked where it is kept or used, not at every hop.
//!
//! **Invariants**: incomplete input is [`Decoded::Partial`], never an error; the head is checked before the value has
//! arrived, so a wrong length costs at most a head's worth of waiting; a decoded frame encodes to the same bytes.
//!
//! **Source**: docs/wire.md, "Frame".

use super::error::FrameError;
use super::ext::Ext;
use super::flags::Flags;
use super::header::{self, EXT_BYTES_MAX, EXT_UNIT_BYTES, HEADER_BYTES, Header, MAGIC};
use crate::key::STORED_KEY_BYTES_MAX;

/// Longest head in bytes: what a receiver must be able to hold before it knows whether a frame is sound.
pub const HEAD_BYTES_MAX: usize = HEADER_BYTES + EXT_BYTES_MAX + STORED_KEY_BYTES_MAX;

/// What a frame on this connection is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest value section in bytes, as negotiated.
    pub frame_value_bytes_max: u32,
    /// Tag of the cluster this process belongs to.
    pub cluster_tag: u32,
}

/// A complete frame; borrows its sections from the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The header's fields.
    pub header: Header,
    /// The ext section, padding included; see [`Ext::parse`].
    pub ext: &'a [u8],
    /// The stored key; empty for operations without one.
    pub key: &'a [u8],
    /// The value section.
    pub value: &'a [u8],
}

impl Frame<'_> {
    /// Length of the whole frame in bytes.
    #[inline]
    #[must_use]
    pub const fn wire_bytes(&self) -> usize {
        HEADER_BYTES + self.ext.len() + self.key.len() + self.value.len()
    }

    /// Whether the value matches its checksum. Meaningless for a chunk: its checksum covers the whole value.
    #[inline]
    #[must_use]
    pub fn value_is_sound(&self) -> bool {
        super::checksum(self.value) == self.header.value_crc32c
    }
}

/// What lies at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A frame; its [`Frame::wire_bytes`] are consumed.
    Frame(Frame<'a>),
    /// Not all of it has arrived.
    Partial {
        /// Length the buffer must at least have before another try can get further; above the current length.
        need: usize,
    },
}

/// A frame without its value section, for a receiver that streams values elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedHead<'a> {
    /// The head; `header.value_len` bytes of value follow it.
    Head(FrameHead<'a>),
    /// Not all of it has arrived.
    Partial {
        /// As in [`Decoded::Partial`].
        need: usize,
    },
}

/// Header, ext and key, checked against their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead<'a> {
    /// The header's fields.
    pub header: Header,
    /// The ext section.
    pub ext: &'a [u8],
    /// The stored key.
    pub key: &'a [u8],
}

impl<'a> FrameHead<'a> {
    /// Length of the head in bytes.
    #[inline]
    #[must_use]
    pub const fn wire_bytes(&self) -> usize {
        HEADER_BYTES + self.ext.len() + self.key.len()
    }

    /// The frame that this head and its value make.
    #[inline]
    #[must_use]
    pub const fn with_value(self, value: &'a [u8]) -> Frame<'a> {
        Frame { header: self.header, ext: self.ext, key: self.key, value }
    }
}

/// Reads the frame at the start of `bytes`.
///
/// # Errors
///
/// A fatal [`FrameError`]; the peer or the network is at fault and the connection has to end.
#[inline]
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Decoded<'a>, FrameError> {
    let head = match decode_head(bytes, limits)? {
        DecodedHead::Head(head) => head,
        DecodedHead::Partial { need } => return Ok(Decoded::Partial { need }),
    };
    let value_at = head.wire_bytes();
    let end = value_at + head.header.value_len as usize;
    match bytes.get(value_at..end) {
        Some(value) => Ok(Decoded::Frame(head.with_value(value))),
        None => Ok(Decoded::Partial { need: end }),
    }
}

/// Reads the head of the frame at the start of `bytes`.
///
/// # Errors
///
/// As [`decode`].
#[inline]
pub fn decode_head<'a>(bytes: &'a [u8], limits: &Limits) -> Result<DecodedHead<'a>, FrameError> {
    let Some((header_bytes, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return partial_header(bytes);
    };
    let read = header::read(header_bytes)?;
    check_limits(&read, limits)?;
    let sections_bytes = read.ext_bytes + read.key_bytes;
    let Some(sections) = rest.get(..sections_bytes) else {
        return Ok(DecodedHead::Partial { need: HEADER_BYTES + sections_bytes });
    };
    if super::checksum_append(read.crc_header, sections) != read.crc_claimed {
        return Err(FrameError::HeaderCrc);
    }
    let (ext, key) = sections.split_at(read.ext_bytes);
    Ok(DecodedHead::Head(FrameHead { header: read.header, ext, key }))
}

/// A glance at what may be a whole frame at the start of `bytes`: its length in bytes and its key (no more of it than
/// [`STORED_KEY_BYTES_MAX`]), of which nothing is checked; `None` when it goes on beyond `bytes`. For whoever prepares for frames that are decoded later.
#[inline]
#[must_use]
pub fn glance(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (header_bytes, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (frame_bytes, ext_bytes, key_bytes) = header::lengths(header_bytes);
    let key = rest.get(ext_bytes..ext_bytes + key_bytes.min(STORED_KEY_BYTES_MAX))?;
    (frame_bytes <= bytes.len()).then_some((frame_bytes, key))
}

/// Says at the first byte whether this can become a frame at all.
#[cold]
fn partial_header<'a>(bytes: &[u8]) -> Result<DecodedHead<'a>, FrameError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] == MAGIC[..known] {
        return Ok(DecodedHead::Partial { need: HEADER_BYTES });
    }
    let mut found = [0; MAGIC.len()];
    found[..known].copy_from_slice(&bytes[..known]);
    Err(FrameError::Magic(found))
}

#[inline]
fn check_limits(read: &header::HeaderRead, limits: &Limits) -> Result<(), FrameError> {
    let header = &read.header;
    if header.cluster_tag != limits.cluster_tag {
        return Err(FrameError::ClusterTag { ours: limits.cluster_tag, theirs: header.cluster_tag });
    }
    if read.key_bytes > STORED_KEY_BYTES_MAX {
        return Err(FrameError::KeyLength(read.key_bytes));
    }
    if header.value_len > limits.frame_value_bytes_max {
        return Err(FrameError::ValueLength { length: header.value_len, limit: limits.frame_value_bytes_max });
    }
    if header.flags.contains(Flags::EXT) != (read.ext_bytes > 0) {
        return Err(FrameError::ExtFlag);
    }
    let has_crc = header.flags.contains(Flags::VALUE_CRC);
    if !has_crc && (header.value_len > 0 || header.value_crc32c != 0) {
        return Err(FrameError::ValueCrcFlag);
    }
    Ok(())
}

/// Appends the head of a frame to `out`; the caller sends `header.value_len` bytes of value after it, from wherever
/// they lie. EXT is set here as `ext` needs it; everything else in `header` is written as it is.
///
/// Allocates only when `out` has no room. Returns the length of the head in bytes.
///
/// # Panics
///
/// When the key is longer than [`STORED_KEY_BYTES_MAX`] or the details longer than [`EXT_BYTES_MAX`]: both are bounded
/// where they are taken in.
#[inline]
pub fn encode_head(out: &mut Vec<u8>, header: &Header, ext: &Ext<'_>, key: &[u8]) -> usize {
    assert!(key.len() <= STORED_KEY_BYTES_MAX, "a stored key is bounded where it is made");
    let start = out.len();
    out.reserve(HEADER_BYTES + key.len());
    out.extend_from_slice(&[0; HEADER_BYTES]);
    ext.write(out);
    let ext_bytes = (out.len() - start - HEADER_BYTES).next_multiple_of(EXT_UNIT_BYTES);
    assert!(ext_bytes <= EXT_BYTES_MAX, "each detail occurs once, and together they fit");
    out.resize(start + HEADER_BYTES + ext_bytes, 0);
    out.extend_from_slice(key);

    let mut header = *header;
    header.flags = if ext_bytes > 0 { header.flags.with(Flags::EXT) } else { header.flags.without(Flags::EXT) };
    let lengths = header::Lengths { ext_units: (ext_bytes / EXT_UNIT_BYTES) as u8, key_bytes: key.len() as u16 };
    header::seal(&mut out[start..], &header, lengths);
    out.len() - start
}

/// Appends a whole frame to `out`, with `value_len` taken from `value`. The checksum of the value is the caller's: it comes
/// from where the value was made.
///
/// Allocates only when `out` has no room. Returns the length of the frame in bytes.
///
/// # Panics
///
/// As [`encode_head`], and when the value is longer than [`u32::MAX`].
#[inline]
pub fn encode(out: &mut Vec<u8>, header: &Header, ext: &Ext<'_>, key: &[u8], value: &[u8]) -> usize {
    let mut header = *header;
    header.value_len = u32::try_from(value.len()).expect("a value is at most VALUE_BYTES_MAX long");
    let head_bytes = encode_head(out, &header, ext, key);
    out.extend_from_slice(value);
    head_bytes + value.len()
}
