//! Handshake messages after the handshake: what may still come, gathered where it is split over records.
//!
//! **Not** handshakes: a connection whose records are ours begins no other.
//!
//! **Invariants**: a message that may not come is refused with its first byte, and one that is too long with its fourth; between
//! messages nothing is kept.
//!
//! **Source**: RFC 8446 sections 4.6 and 5.1, RFC 5246 section 7.4.1.

use super::fault::RecordFault;
use super::header::RecordFormat;

/// Longest message, in bytes: a ticket may carry a chain of client certificates.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 14;

/// Its type and its length.
const PREFIX_BYTES: usize = 4;

/// A message that may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LateMessage<'a> {
    /// From here on the peer seals with its next key.
    KeyUpdate {
        /// And asks us to do the same.
        requested: bool,
    },
    /// What a client may resume with.
    Ticket(&'a [u8]),
    /// The peer wants another handshake.
    Renegotiation,
}

/// Which messages may come, and the beginning of one.
pub(super) struct LateMessages {
    format: RecordFormat,
    is_client: bool,
    begun: Vec<u8>,
}

impl LateMessages {
    pub(super) fn new(format: RecordFormat, is_client: bool) -> Self {
        LateMessages { format, is_client, begun: Vec::new() }
    }

    /// Whether a message has begun and is not whole.
    pub(super) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Reads the content of a record; `each` is told every message that is whole.
    ///
    /// # Errors
    /// The peer's: what came may not come; and those of `each`.
    pub(super) fn read(
        &mut self,
        content: &[u8],
        mut each: impl FnMut(LateMessage<'_>) -> Result<(), RecordFault>,
    ) -> Result<(), RecordFault> {
        if content.is_empty() {
            return Err(RecordFault::EmptyMessage);
        }
        if self.begun.is_empty() {
            let used = self.read_whole(content, &mut each)?;
            self.begun = content[used..].to_vec();
        } else {
            let bytes = [&std::mem::take(&mut self.begun), content].concat();
            let used = self.read_whole(&bytes, &mut each)?;
            self.begun = bytes[used..].to_vec();
        }
        Ok(())
    }

    /// Reads the messages that are whole; how many bytes they have.
    fn read_whole(
        &self,
        bytes: &[u8],
        each: &mut impl FnMut(LateMessage<'_>) -> Result<(), RecordFault>,
    ) -> Result<usize, RecordFault> {
        let mut used = 0;
        while let Some(&kind) = bytes.get(used) {
            let body_bytes_max = self.body_bytes_max(kind)?;
            let Some(&[_, high, middle, low]) = bytes[used..].first_chunk::<PREFIX_BYTES>() else { break };
            let body_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
            if body_bytes > body_bytes_max {
                return Err(RecordFault::MessageLength);
            }
            let start = used + PREFIX_BYTES;
            let Some(body) = bytes.get(start..start + body_bytes) else { break };
            used = start + body_bytes;
            let message = message(kind, body)?;
            // What follows would be sealed with the next key.
            if matches!(message, LateMessage::KeyUpdate { .. }) && used < bytes.len() {
                return Err(RecordFault::MessageSplit);
            }
            each(message)?;
        }
        Ok(used)
    }

    /// Longest body of a message of this kind, in bytes.
    fn body_bytes_max(&self, kind: u8) -> Result<usize, RecordFault> {
        match (kind, self.format == RecordFormat::Tls13, self.is_client) {
            (KEY_UPDATE, true, _) => Ok(1),
            (NEW_SESSION_TICKET, true, true) | (CLIENT_HELLO, false, false) => Ok(MESSAGE_BYTES_MAX - PREFIX_BYTES),
            (HELLO_REQUEST, false, true) => Ok(0),
            _ => Err(RecordFault::MessageType),
        }
    }

    /// Bytes of memory that are held.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.begun.capacity()
    }
}

const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const NEW_SESSION_TICKET: u8 = 4;
pub(super) const KEY_UPDATE: u8 = 24;

/// A whole message of a kind that may come.
fn message(kind: u8, body: &[u8]) -> Result<LateMessage<'_>, RecordFault> {
    Ok(match (kind, body) {
        (KEY_UPDATE, [0]) => LateMessage::KeyUpdate { requested: false },
        (KEY_UPDATE, [1]) => LateMessage::KeyUpdate { requested: true },
        (KEY_UPDATE, [_]) => return Err(RecordFault::KeyUpdate),
        (KEY_UPDATE, _) => return Err(RecordFault::MessageLength),
        (NEW_SESSION_TICKET, ticket) => LateMessage::Ticket(ticket),
        _ => LateMessage::Renegotiation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(messages: &mut LateMessages, content: &[u8]) -> Result<Vec<String>, RecordFault> {
        let mut told = Vec::new();
        messages.read(content, |message| {
            told.push(format!("{message:?}"));
            Ok(())
        })?;
        Ok(told)
    }

    #[test]
    fn messages_are_told_when_they_are_whole_however_they_are_split() {
        let stream = [&[4, 0, 0, 3, 7, 8, 9][..], &[4, 0, 0, 0], &[24, 0, 0, 1, 1]].concat();
        let expected = ["Ticket([7, 8, 9])", "Ticket([])", "KeyUpdate { requested: true }"];
        for piece_bytes in 1..=stream.len() {
            let mut messages = LateMessages::new(RecordFormat::Tls13, true);
            let told: Vec<_> =
                stream.chunks(piece_bytes).flat_map(|piece| read(&mut messages, piece).unwrap()).collect();
            assert_eq!(told, expected, "in pieces of {piece_bytes}");
            assert!(!messages.has_begun());
        }
    }

    #[test]
    fn what_may_not_come_is_refused_as_soon_as_it_is_seen() {
        use RecordFault::{EmptyMessage, KeyUpdate, MessageLength, MessageSplit, MessageType};
        for (format, is_client, content, expected) in [
            (RecordFormat::Tls13, false, &[][..], EmptyMessage),
            (RecordFormat::Tls13, false, &[4], MessageType),
            (RecordFormat::Tls13, false, &[1], MessageType),
            (RecordFormat::Tls13, true, &[13], MessageType),
            (RecordFormat::Tls13, true, &[20], MessageType),
            (RecordFormat::Tls13, true, &[0], MessageType),
            (RecordFormat::Tls13, true, &[4, 0, 0x3f, 0xfd], MessageLength),
            (RecordFormat::Tls13, true, &[24, 0, 0, 0], MessageLength),
            (RecordFormat::Tls13, true, &[24, 0, 0, 2], MessageLength),
            (RecordFormat::Tls13, true, &[24, 1, 0, 1], MessageLength),
            (RecordFormat::Tls13, true, &[24, 0, 0, 1, 2], KeyUpdate),
            (RecordFormat::Tls13, true, &[24, 0, 0, 1, 0, 24], MessageSplit),
            (RecordFormat::Tls12Gcm, true, &[1], MessageType),
            (RecordFormat::Tls12Gcm, false, &[0], MessageType),
            (RecordFormat::Tls12Gcm, true, &[4], MessageType),
            (RecordFormat::Tls12Gcm, true, &[24], MessageType),
            (RecordFormat::Tls12Gcm, true, &[0, 0, 0, 1], MessageLength),
        ] {
            let mut messages = LateMessages::new(format, is_client);
            assert_eq!(read(&mut messages, content), Err(expected), "{format:?} {is_client} {content:?}");
            assert_eq!(messages.capacity(), 0);
        }
    }

    #[test]
    fn another_handshake_is_known_by_either_side() {
        let mut server = LateMessages::new(RecordFormat::Tls12Gcm, false);
        assert_eq!(read(&mut server, &[1, 0, 0, 2, 3, 3]), Ok(vec!["Renegotiation".to_owned()]));
        let mut client = LateMessages::new(RecordFormat::Tls12ChaCha, true);
        assert_eq!(read(&mut client, &[0, 0, 0, 0]), Ok(vec!["Renegotiation".to_owned()]));
    }
}
