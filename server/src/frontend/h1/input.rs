//! Received bytes that have not been used: the ring's own buffer as long as possible, a copy only of what is partial.
//!
//! **Not** a parser.
//!
//! **Invariants**: bytes come out in the order they went in; nothing of the ring's pool is held while waiting; what has
//! been consumed is not kept beyond the next bytes, so that a client that always leaves a partial head costs no more
//! than that head.

use reactor::Received;

#[derive(Default)]
pub(crate) struct Input {
    lent: Option<Received>,
    copied: Vec<u8>,
    start: usize,
}

impl Input {
    /// What is there to be read.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.lent {
            Some(received) => received,
            None => &self.copied[self.start..],
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Adds bytes behind what is there.
    #[inline(always)]
    pub(crate) fn push(&mut self, received: Received) {
        match self.lent {
            // The usual request: nothing is left of the one before.
            None if self.copied.is_empty() => self.lent = Some(received),
            _ => self.push_behind(&received),
        }
    }

    #[cold]
    fn push_behind(&mut self, received: &[u8]) {
        self.release();
        self.drop_consumed();
        self.copied.extend_from_slice(received);
    }

    #[inline(always)]
    pub(crate) fn consume(&mut self, count: usize) {
        match &mut self.lent {
            Some(received) => received.consume(count),
            None => self.start += count,
        }
        if self.is_empty() {
            self.clear();
        }
    }

    /// Gives the ring's buffer back, keeping a copy of what is left in it.
    #[inline]
    pub(crate) fn release(&mut self) {
        if let Some(received) = self.lent.take() {
            debug_assert!(self.copied.is_empty());
            self.copied.extend_from_slice(&received);
        }
    }

    fn drop_consumed(&mut self) {
        self.copied.drain(..self.start);
        self.start = 0;
    }

    /// An idle connection owns no buffer, not even an empty one.
    #[inline(never)]
    fn forget_copied(&mut self) {
        self.copied = Vec::new();
        self.start = 0;
    }

    #[inline]
    fn clear(&mut self) {
        self.lent = None;
        if self.copied.capacity() > 0 {
            self.forget_copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        for split in 0..12 {
            for consumed in 0..12 {
                let all = b"hello, world";
                let mut input = Input::default();
                input.push(Received::owned(all[..split].to_vec()));
                input.consume(consumed.min(split));
                if consumed % 2 == 0 {
                    input.release();
                }
                input.push(Received::owned(all[split..].to_vec()));
                assert_eq!(input.bytes(), &all[consumed.min(split)..]);
                let left = input.bytes().len();
                input.consume(left);
                assert!(input.is_empty() && input.copied.is_empty());
            }
        }
    }

    /// A client that sends the end of one request together with the beginning of the next leaves the input never empty.
    #[test]
    fn what_is_consumed_is_not_kept() {
        let round = b"ET / HTTP/1.1\r\nHost: h\r\n\r\nG";
        let mut input = Input::default();
        input.push(Received::owned(b"G".to_vec()));
        for _ in 0..10_000 {
            input.release();
            input.push(Received::owned(round.to_vec()));
            assert_eq!(input.bytes().len(), round.len() + 1);
            input.consume(round.len());
            assert_eq!(input.bytes(), b"G");
        }
        assert!(input.copied.capacity() <= 4 * round.len(), "{} bytes kept", input.copied.capacity());
    }
}
