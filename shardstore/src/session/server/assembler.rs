//! Whole requests out of frames: values in chunks are gathered within the bounds of the peer and of the server.
//!
//! ```text
//!  frame ─┬─ whole ─────────────────────────────▶ Request
//!         └─ chunk ─┬─ leased as it comes, or BUSY
//!                   ├─ later: gathered ─ last ──▶ Assembled, as of its first chunk
//!                   └─ of a refused request ────▶ passed over
//! ```
//!
//! **Not**: what a request means, and how much the server can hold; the caller brings a lease.
//!
//! **Invariants**: what is leased is what has come, not what was announced; a value's lease is held from its first chunk until
//! whoever serves it drops it; a request that is refused is answered once, and the rest of it passed over.
//!
//! **Source**: docs/wire.md, "Large values".

use crate::wire::ext::Chunk;
use crate::wire::reassembly::{Assembled, Progress, Reassembler, ReassemblyError};
use crate::wire::terms::SessionTerms;
use crate::wire::{Flags, Frame, FrameError, Header, Kind};

/// A value that is arriving in chunks.
#[derive(Debug)]
struct PendingAssembly<L, I> {
    /// Of its first chunk.
    header: Header,
    arrived: I,
    /// Bytes that have come.
    bytes: usize,
    lease: L,
}

/// What a frame leads to.
#[derive(Debug)]
pub enum Accepted<L, I> {
    /// The frame is a whole request.
    Request,
    /// The frame completes a request, whose first chunk came then; its value is leased.
    Assembled(Assembled, I, L),
    /// Nothing: more chunks are due, or the rest of a refused request goes on.
    Nothing,
}

/// The requests of one connection that are arriving. `L` is a lease on the server's memory, `I` an instant.
#[derive(Debug)]
pub struct RequestAssembler<L, I> {
    reassembler: Reassembler,
    begun: Vec<PendingAssembly<L, I>>,
    /// Requests whose first chunk could not be understood: what is left of them is passed over.
    refused: Vec<u64>,
    refused_max: usize,
}

impl<L, I: Copy + Ord> RequestAssembler<L, I> {
    /// For a connection on these terms, whose peer may have so many requests and bytes in flight.
    #[must_use]
    pub fn new(terms: &SessionTerms, granted_requests: u32, granted_bytes: u32) -> Self {
        let bytes_max = u64::from(terms.value_bytes_max.max(granted_bytes));
        let requests_max = granted_requests as usize;
        let reassembler = Reassembler::new(terms.value_bytes_max, requests_max, bytes_max);
        Self { reassembler, begun: Vec::new(), refused: Vec::new(), refused_max: requests_max }
    }

    /// Takes a frame in. `lease` makes what a value is leased by, nothing at first, cover as many bytes as have come of it.
    ///
    /// # Errors
    ///
    /// [`ReassemblyError`]: where it says so, the request is answered by that status; else the connection has to end.
    #[inline]
    pub fn accept(
        &mut self,
        frame: &Frame<'_>,
        arrived: I,
        lease: impl FnOnce(Option<L>, usize) -> Option<L>,
    ) -> Result<Accepted<L, I>, ReassemblyError> {
        if frame.ext.is_empty() && !frame.header.flags.contains(Flags::MORE) {
            return Ok(Accepted::Request);
        }
        self.accept_detailed(frame, arrived, lease)
    }

    fn accept_detailed(
        &mut self,
        frame: &Frame<'_>,
        arrived: I,
        lease: impl FnOnce(Option<L>, usize) -> Option<L>,
    ) -> Result<Accepted<L, I>, ReassemblyError> {
        if !matches!(frame.header.kind, Kind::Request | Kind::OneWay) {
            return Err(FrameError::Unexpected.into());
        }
        match Reassembler::chunk_of(frame) {
            Ok(Some(_)) if self.passes_over(frame) => Ok(Accepted::Nothing),
            Ok(Some(chunk)) => self.accept_chunk(frame, chunk, arrived, lease),
            Ok(None) => Ok(Accepted::Request),
            Err(error) => self.refuse(frame, error.into()),
        }
    }

    fn accept_chunk(
        &mut self,
        frame: &Frame<'_>,
        chunk: Chunk,
        arrived: I,
        lease: impl FnOnce(Option<L>, usize) -> Option<L>,
    ) -> Result<Accepted<L, I>, ReassemblyError> {
        let begun = self.take_begun(frame.header.request_id);
        match self.reassembler.accept(frame, chunk)? {
            Progress::Skipped => Ok(Accepted::Nothing),
            Progress::Partial => {
                let begun = self.cover(begun, frame, arrived, lease)?;
                self.begun.push(begun);
                Ok(Accepted::Nothing)
            }
            Progress::Whole(assembled) => {
                let PendingAssembly { arrived, lease, .. } = self.cover(begun, frame, arrived, lease)?;
                Ok(Accepted::Assembled(assembled, arrived, lease))
            }
        }
    }

    /// Has one more chunk of a value leased; where that cannot be, the value is forgotten.
    fn cover(
        &mut self,
        begun: Option<PendingAssembly<L, I>>,
        frame: &Frame<'_>,
        arrived: I,
        lease: impl FnOnce(Option<L>, usize) -> Option<L>,
    ) -> Result<PendingAssembly<L, I>, ReassemblyError> {
        let (header, arrived, before, leased) = match begun {
            Some(begun) => (begun.header, begun.arrived, begun.bytes, Some(begun.lease)),
            None => (frame.header, arrived, 0, None),
        };
        let bytes = before + frame.value.len();
        let Some(lease) = lease(leased, bytes) else {
            self.reassembler.discard(header.request_id);
            return Err(ReassemblyError::Busy);
        };
        Ok(PendingAssembly { header, arrived, bytes, lease })
    }

    fn take_begun(&mut self, id: u64) -> Option<PendingAssembly<L, I>> {
        let index = self.begun.iter().position(|begun| begun.header.request_id == id)?;
        Some(self.begun.swap_remove(index))
    }

    /// When the first chunk came of the value that is arriving for longest.
    #[must_use]
    pub fn oldest(&self) -> Option<I> {
        self.begun.iter().map(|begun| begun.arrived).min()
    }

    /// Gives up a value that began no later than `arrived`: the header of its first chunk and when that came. The rest of it is
    /// passed over.
    pub fn give_up(&mut self, arrived: I) -> Option<(Header, I)> {
        let index = self.begun.iter().position(|begun| begun.arrived <= arrived)?;
        let begun = self.begun.swap_remove(index);
        self.reassembler.discard(begun.header.request_id);
        Some((begun.header, begun.arrived))
    }

    /// A frame that cannot be understood: if more of its request is to come, that is passed over.
    fn refuse(&mut self, frame: &Frame<'_>, error: ReassemblyError) -> Result<Accepted<L, I>, ReassemblyError> {
        if error.answer().is_some() && frame.header.flags.contains(Flags::MORE) {
            if self.refused.len() >= self.refused_max {
                return Err(ReassemblyError::Contradiction);
            }
            self.refused.push(frame.header.request_id);
        }
        Err(error)
    }

    /// Whether a chunk belongs to a request that was refused; its last one ends that.
    fn passes_over(&mut self, frame: &Frame<'_>) -> bool {
        let Some(index) = self.refused.iter().position(|refused| *refused == frame.header.request_id) else {
            return false;
        };
        if !frame.header.flags.contains(Flags::MORE) {
            self.refused.swap_remove(index);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::key::SlotId;
    use crate::session::testing::{edge_hello, node_hello};
    use crate::version::Condition;
    use crate::wire::frame::{self, Decoded};
    use crate::wire::reassembly::split;
    use crate::wire::request::Set;
    use crate::wire::terms::negotiate;
    use crate::wire::{Op, Request, checksum};

    /// Bytes that are leased; given back when dropped.
    struct Lease(Rc<Cell<usize>>, usize);

    impl Drop for Lease {
        fn drop(&mut self) {
            self.0.set(self.0.get() - self.1);
        }
    }

    struct Server {
        assembler: RequestAssembler<Lease, u32>,
        leased: Rc<Cell<usize>>,
        terms: SessionTerms,
    }

    const GRANTED: u32 = 2;

    fn server() -> Server {
        let terms = negotiate(&node_hello(), &edge_hello()).unwrap();
        Server { assembler: RequestAssembler::new(&terms, GRANTED, 1 << 20), leased: Rc::default(), terms }
    }

    impl Server {
        /// Takes a frame in at an instant; at most 20,000 bytes are leased.
        fn take(&mut self, bytes: &[u8], now: u32) -> Result<Accepted<Lease, u32>, ReassemblyError> {
            let Ok(Decoded::Frame(frame)) = frame::decode(bytes, &self.terms.limits) else { panic!("not a frame") };
            let leased = Rc::clone(&self.leased);
            self.assembler.accept(&frame, now, |held, bytes| {
                let mut lease = held.unwrap_or_else(|| Lease(Rc::clone(&leased), 0));
                let sum = leased.get() - lease.1 + bytes;
                if sum > 20_000 {
                    return None;
                }
                leased.set(sum);
                lease.1 = bytes;
                Some(lease)
            })
        }
    }

    fn set(id: u64, value: &[u8]) -> Vec<Vec<u8>> {
        let terms = server().terms;
        let set = Set {
            key: b"\0k",
            value,
            metadata: b"m",
            value_crc32c: checksum(value),
            ttl_ms: 0,
            version: 0,
            condition: Condition::Any,
        };
        let request = Request::new(id, SlotId::ZERO, 0, Op::Set(set));
        split(value.len() as u32, terms.limits.frame_value_bytes_max)
            .map(|part| {
                let mut out = Vec::new();
                request.encode_head(terms.dialect(), part, &mut out);
                out.extend_from_slice(&value[part.range()]);
                out
            })
            .collect()
    }

    #[test]
    fn a_request_in_chunks_is_as_old_as_its_first_one() {
        let (mut server, value) = (server(), vec![5; 9000]);
        let parts = set(1, &value);
        assert!(matches!(server.take(&parts[0], 100), Ok(Accepted::Nothing)));
        assert_eq!(server.leased.get(), 4096, "what has come, not what was announced");
        assert!(matches!(server.take(&set(2, b"small")[0], 150), Ok(Accepted::Request)), "others lie between");
        assert!(matches!(server.take(&parts[1], 200), Ok(Accepted::Nothing)));
        assert_eq!((server.leased.get(), server.assembler.oldest()), (8192, Some(100)));
        let Ok(Accepted::Assembled(assembled, arrived, lease)) = server.take(&parts[2], 300) else {
            panic!("not whole")
        };
        assert_eq!((assembled.into_value(), arrived, server.leased.get()), (value, 100, 9000));
        drop(lease);
        assert_eq!((server.leased.get(), server.assembler.oldest()), (0, None));
    }

    #[test]
    fn what_finds_no_lease_is_busy_once_and_passed_over() {
        let (mut server, value) = (server(), vec![5; 12_000]);
        let (first, second) = (set(1, &value), set(2, &value));
        for part in &first[..2] {
            assert!(matches!(server.take(part, 1), Ok(Accepted::Nothing)));
        }
        assert!(matches!(server.take(&second[0], 2), Ok(Accepted::Nothing)));
        assert!(matches!(server.take(&second[1], 2), Ok(Accepted::Nothing)));
        assert_eq!(server.leased.get(), 16_384);
        assert_eq!(server.take(&second[2], 3).err(), Some(ReassemblyError::Busy), "beyond 20,000 bytes");
        assert_eq!(server.leased.get(), 8192, "the first one is not touched");
        let third = set(3, &value);
        assert!(matches!(server.take(&third[0], 4), Ok(Accepted::Nothing)));
        let Ok(Accepted::Assembled(.., lease)) = server.take(&first[2], 5) else { panic!("not whole") };
        assert_eq!(server.take(&third[1], 6).err(), Some(ReassemblyError::Busy));
        assert!(matches!(server.take(&third[2], 7), Ok(Accepted::Nothing)), "passed over");
        drop(lease);
        assert_eq!(server.leased.get(), 0);
    }

    #[test]
    fn a_value_that_stays_away_is_given_up() {
        let (mut server, value) = (server(), vec![5; 12_000]);
        let (first, second) = (set(1, &value), set(2, &value));
        assert!(server.take(&first[0], 10).is_ok() && server.take(&second[0], 20).is_ok());
        assert!(server.assembler.give_up(9).is_none());
        let (header, arrived) = server.assembler.give_up(10).unwrap();
        assert_eq!((header.request_id, arrived, server.leased.get()), (1, 10, 4096));
        assert!(server.assembler.give_up(10).is_none() && server.assembler.oldest() == Some(20));
        assert!(matches!(server.take(&first[1], 30), Ok(Accepted::Nothing)), "the rest is passed over");
        assert!(matches!(server.take(&first[2], 30), Ok(Accepted::Nothing)));
        assert!(matches!(server.take(&second[1], 30), Ok(Accepted::Nothing)));
        assert!(matches!(server.take(&second[2], 30), Ok(Accepted::Assembled(..))));
    }

    #[test]
    fn a_value_that_fails_gives_its_lease_back() {
        let (mut server, value) = (server(), vec![5; 9000]);
        let mut parts = set(1, &value);
        *parts[2].last_mut().unwrap() ^= 1;
        assert!(server.take(&parts[0], 1).is_ok() && server.take(&parts[1], 1).is_ok());
        assert_eq!(server.take(&parts[2], 1).err(), Some(ReassemblyError::Corrupt));
        assert_eq!(server.leased.get(), 0);
        assert!(matches!(server.take(&parts[1], 1), Err(ReassemblyError::OutOfOrder { .. })), "it is forgotten");
    }

    /// A chunk with a detail that has to be understood and is not.
    fn strange(id: u64, has_more: bool) -> Vec<u8> {
        let parts = set(id, &[5; 9000]);
        let mut bytes = parts[if has_more { 0 } else { 2 }].clone();
        let kind = bytes[64..].iter().position(|byte| *byte == 0x82).unwrap() + 64;
        bytes[kind] = 0xff;
        bytes[12..16].fill(0);
        let head = 64 + usize::from(bytes[26]) * 8 + usize::from(u16::from_le_bytes([bytes[32], bytes[33]]));
        let crc = checksum(&bytes[..head]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn the_rest_of_what_is_not_understood_is_passed_over() {
        let mut server = server();
        let parts = set(1, &[5; 9000]);
        let refused = server.take(&strange(1, true), 1).err();
        assert!(refused.is_some_and(|error| error.answer().is_some()), "{refused:?}");
        assert!(matches!(server.take(&parts[1], 1), Ok(Accepted::Nothing)));
        assert!(matches!(server.take(&parts[2], 1), Ok(Accepted::Nothing)));
        assert!(
            matches!(server.take(&parts[2], 1), Err(ReassemblyError::OutOfOrder { .. })),
            "its last one ended that"
        );
        assert!(server.take(&strange(1, false), 1).is_err());
        assert!(matches!(server.take(&parts[1], 1), Err(ReassemblyError::OutOfOrder { .. })), "nothing was to come");
        for id in 0..u64::from(GRANTED) {
            assert!(server.take(&strange(id, true), 1).is_err_and(|error| error.answer().is_some()));
        }
        assert_eq!(server.take(&strange(9, true), 1).err(), Some(ReassemblyError::Contradiction), "over its credit");
    }

    #[test]
    fn only_requests_are_taken() {
        let mut server = server();
        let value = vec![5; 9000];
        let mut response = crate::wire::Response::new(1, crate::wire::Status::Ok);
        (response.value, response.value_crc32c) = (&value, Some(checksum(&value)));
        let part = split(9000, 4096).next().unwrap();
        let mut out = Vec::new();
        response.encode_head(server.terms.dialect(), part, &mut out);
        out.extend_from_slice(&value[part.range()]);
        assert_eq!(server.take(&out, 1).err(), Some(ReassemblyError::Frame(FrameError::Unexpected)));
    }
}
