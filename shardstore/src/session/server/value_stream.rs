//! A large value on its way out: frame by frame, each when the connection has room.
//!
//! **Not**: waiting for room; the connection's task does.
//!
//! **Invariants**: a frame is written whole, so that frames of other answers can only lie between two of them; only the last
//! one grants credit.
//!
//! **Source**: docs/wire.md, "Large values".

use std::ops::Range;

use super::peer_credit::PeerCredit;
use crate::wire::Response;
use crate::wire::reassembly::ValuePart;
use crate::wire::terms::SessionTerms;

/// A value that does not change while it is sent.
pub trait StreamBody {
    /// Its length.
    fn bytes(&self) -> usize;
    /// Appends a part of it.
    fn copy(&self, range: Range<usize>, out: &mut Vec<u8>);
}

/// A value of which a part has been written.
#[derive(Debug)]
pub struct ValueStream<B> {
    body: B,
    written: u32,
}

impl<B: StreamBody> ValueStream<B> {
    /// A value of which nothing has been written.
    pub const fn new(body: B) -> Self {
        Self { body, written: 0 }
    }

    /// Appends the next frame of `response`, which has everything but the value; true when it was the last.
    ///
    /// # Panics
    ///
    /// When the value is longer than 4 GiB.
    pub fn write_frame(
        &mut self,
        mut response: Response<'_>,
        terms: &SessionTerms,
        credit: &PeerCredit,
        out: &mut Vec<u8>,
    ) -> bool {
        let total = u32::try_from(self.body.bytes()).expect("a value is at most VALUE_BYTES_MAX long");
        let length = terms.limits.frame_value_bytes_max.min(total - self.written);
        let part = ValuePart { offset: self.written, length, total };
        if !part.has_more() {
            response.credits = credit.take_credits();
        }
        response.encode_head(terms.dialect(), part, out);
        self.body.copy(part.range(), out);
        self.written += length;
        self.written == total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{edge_hello, node_hello};
    use crate::session::{AnswerReader, FrameReader, Incoming, SpareBuffers};
    use crate::wire::terms::negotiate;
    use crate::wire::{Status, checksum};

    impl StreamBody for Vec<u8> {
        fn bytes(&self) -> usize {
            self.len()
        }

        fn copy(&self, range: Range<usize>, out: &mut Vec<u8>) {
            out.extend_from_slice(&self[range]);
        }
    }

    #[test]
    fn a_caller_puts_together_what_was_cut() {
        let terms = negotiate(&edge_hello(), &node_hello()).unwrap();
        for (bytes, frames) in [(4096, 1), (4097, 2), (8192, 2), (20_000, 5)] {
            let value: Vec<u8> = (0..bytes as u32).map(|at| at as u8).collect();
            let credit = PeerCredit::new(9, 9);
            credit.note_silenced();
            let (mut stream, mut out, mut count) = (ValueStream::new(value.clone()), Vec::new(), 0);
            loop {
                let response =
                    Response { value_crc32c: Some(checksum(&value)), metadata: b"m", ..Response::new(3, Status::Ok) };
                count += 1;
                if stream.write_frame(response, &terms, &credit, &mut out) {
                    break;
                }
            }
            assert_eq!((count, credit.take_credits()), (frames, 1), "the last frame carries all credit");
            let mut seen = None;
            let mut answers = AnswerReader::new(FrameReader::default(), &terms);
            let read = answers.read(&out, &mut SpareBuffers::default(), |incoming| {
                if let Incoming::Answer { id, credits, answer } = incoming {
                    let metadata = answer.response()?.map(|response| response.metadata.to_vec());
                    seen = Some((id.0, credits, metadata, answer.into_value()));
                }
                Ok(())
            });
            assert_eq!(read, Ok(()));
            assert_eq!(seen, Some((3, 2, Some(b"m".to_vec()), value)), "{bytes} bytes");
        }
    }
}
