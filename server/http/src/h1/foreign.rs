//! What a client of HTTP/2 is told on a connection that speaks HTTP/1 only, in its own protocol.
//!
//! ```text
//!  SETTINGS   length 0  | type 4 | flags 0 | stream 0                         a server's first frame
//!  GOAWAY     length n  | type 7 | flags 0 | stream 0 | last stream 0 | HTTP_1_1_REQUIRED | a sentence
//! ```
//!
//! **Not** HTTP/2: nothing that the client sends is read, beyond the preface by which it was recognised.
//!
//! **Invariants**: no stream was processed, and the frame says so, so that the client may send its request again elsewhere or
//! with HTTP/1.1.
//!
//! **Source**: RFC 9113 sections 3.4, 4.1, 6.5, 6.8 and 7.

const SENTENCE: &[u8; 46] = b"this port speaks HTTP/1.1 only; use HTTP/1.1\r\n";

/// Type, flags and stream of a frame of the connection, behind its length.
const fn frame_head(length: usize, kind: u8) -> [u8; 9] {
    assert!(length < 256, "its length takes one of three bytes");
    [0, 0, length as u8, kind, 0, 0, 0, 0, 0]
}

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const HTTP_1_1_REQUIRED: u8 = 13;
/// Last stream and error code.
const GOAWAY_FIXED_BYTES: usize = 8;

/// The last bytes for a client that has begun with the preface of HTTP/2; the connection closes after them.
pub const HTTP2_GOAWAY: &[u8] = &goaway();

const HTTP2_GOAWAY_BYTES: usize = 9 + 9 + GOAWAY_FIXED_BYTES + SENTENCE.len();

const fn goaway() -> [u8; HTTP2_GOAWAY_BYTES] {
    let mut bytes = [0; HTTP2_GOAWAY_BYTES];
    let (settings, rest) = bytes.split_at_mut(9);
    settings.copy_from_slice(&frame_head(0, SETTINGS));
    let (head, rest) = rest.split_at_mut(9);
    head.copy_from_slice(&frame_head(GOAWAY_FIXED_BYTES + SENTENCE.len(), GOAWAY));
    rest[GOAWAY_FIXED_BYTES - 1] = HTTP_1_1_REQUIRED;
    rest.split_at_mut(GOAWAY_FIXED_BYTES).1.copy_from_slice(SENTENCE);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_http_2_can_read_it() {
        assert_eq!(&HTTP2_GOAWAY[..9], b"\0\0\0\x04\0\0\0\0\0");
        let (length, goaway) = (usize::from(HTTP2_GOAWAY[11]), &HTTP2_GOAWAY[18..]);
        assert_eq!(&HTTP2_GOAWAY[12..18], b"\x07\0\0\0\0\0");
        assert_eq!((goaway.len(), &goaway[..8]), (length, &b"\0\0\0\0\0\0\0\x0d"[..]));
        assert!(goaway[8..].starts_with(b"this port speaks HTTP/1.1"));
    }
}
