//! Payload of the answer to TOPOLOGY, and of the push that announces a new one.
//!
//! ```text
//!  │ epoch u32 │ zero u32 │ the topology file's text, UTF-8 │
//! ```
//! The text is empty when the asker's `slot_epoch` is already the node's.
//!
//! **Not**: parsing the text (that is `placement`).
//!
//! **Invariants**: the text is UTF-8 and at most [`TOPOLOGY_BYTES_MAX`] long.
//!
//! **Source**: docs/wire.md, "TOPOLOGY".

use super::cursor::Cursor;
use super::error::FrameError;

/// Longest text of a topology in bytes: thousands of nodes with their assignments.
pub const TOPOLOGY_BYTES_MAX: usize = 1 << 20;

/// A topology as a node sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologyText<'a> {
    /// Epoch of the topology in force at the node.
    pub epoch: u32,
    /// The file's text; empty when the asker has this epoch already.
    pub text: &'a str,
}

impl<'a> TopologyText<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadPayload`] when it is malformed; the peer is at fault.
    pub fn parse(payload: &'a [u8]) -> Result<Self, FrameError> {
        Self::read(payload).ok_or(FrameError::BadPayload)
    }

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(payload);
        let (epoch, zero) = (cursor.u32()?, cursor.u32()?);
        let text = std::str::from_utf8(cursor.rest()).ok()?;
        (zero == 0 && text.len() <= TOPOLOGY_BYTES_MAX).then_some(Self { epoch, text })
    }

    /// Appends the payload to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(self.text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_bad_payloads_are_refused() {
        let sent = TopologyText { epoch: 7, text: "cluster = \"a\"" };
        let mut out = Vec::new();
        sent.write(&mut out);
        assert_eq!(TopologyText::parse(&out), Ok(sent));
        for bad in [&out[..7], &[1, 0, 0, 0, 1, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0, 0xff]] {
            assert_eq!(TopologyText::parse(bad), Err(FrameError::BadPayload));
        }
    }
}
