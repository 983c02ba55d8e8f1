//! Received bytes that have not been used: the buffer they came in as long as possible, a copy only of what is partial.
//!
//! **Not** a parser.
//! **Invariants**: bytes come out in the order they went in; nothing lent is held after [`LentInput::release`]; what has been
//! consumed is not kept beyond the next bytes, so that a peer that always leaves a partial message costs no more than
//! that message.

use std::ops::Deref;

/// Input of one connection. `B` is what a receive lends: it is given back when its bytes are used, or copied.
#[derive(Debug)]
pub struct LentInput<B> {
    lent: Option<B>,
    /// Used when nothing is lent.
    copied: Vec<u8>,
    /// Where the bytes not used begin in either.
    start: usize,
}

impl<B> Default for LentInput<B> {
    fn default() -> Self {
        Self { lent: None, copied: Vec::new(), start: 0 }
    }
}

impl<B: Deref<Target = [u8]>> LentInput<B> {
    /// What is there to be read.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.lent {
            Some(lent) => &lent[self.start..],
            None => &self.copied[self.start..],
        }
    }

    /// Whether nothing is there to be read.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Adds bytes behind what is there.
    #[inline]
    pub fn push(&mut self, bytes: B) {
        if self.lent.is_none() && self.copied.is_empty() {
            // The usual message: nothing is left of the one before.
            self.lent = Some(bytes);
        } else {
            self.push_behind(&bytes);
        }
    }

    #[cold]
    fn push_behind(&mut self, bytes: &[u8]) {
        self.release();
        self.copied.drain(..self.start);
        self.start = 0;
        self.copied.extend_from_slice(bytes);
    }

    /// Takes bytes off the start.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.bytes().len(), "only what is there is consumed");
        self.start += count;
        if self.is_empty() {
            // An idle connection owns no buffer, not even an empty one.
            *self = Self::default();
        }
    }

    /// Gives the lent buffer back, and keeps a copy of what is left in it. Before every wait.
    #[inline]
    pub fn release(&mut self) {
        if let Some(lent) = self.lent.take() {
            self.copied.extend_from_slice(&lent[self.start..]);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    /// A buffer that shows whether somebody holds it.
    struct Lent(Rc<[u8]>);

    impl Deref for Lent {
        type Target = [u8];
        fn deref(&self) -> &[u8] {
            &self.0
        }
    }

    /// Pushes the pieces, consumes up to `consumed` bytes after each; all that came out.
    fn pass_through(pieces: [&[u8]; 2], consumed: usize, releases: bool) -> Vec<u8> {
        let mut input = LentInput::default();
        let mut out = Vec::new();
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            input.push(Lent(piece.into()));
            if releases {
                input.release();
            }
            let taken = consumed.min(input.bytes().len());
            out.extend_from_slice(&input.bytes()[..taken]);
            input.consume(taken);
        }
        out.extend_from_slice(input.bytes());
        out
    }

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let all = b"hello, world";
        for (split, consumed) in
            (0..=all.len()).flat_map(|split| (0..=all.len()).map(move |consumed| (split, consumed)))
        {
            for releases in [false, true] {
                let (first, second) = all.split_at(split);
                let out = pass_through([first, second], consumed, releases);
                assert_eq!(out, all, "split at {split}, {consumed} consumed");
            }
        }
    }

    #[test]
    fn a_buffer_is_held_until_it_is_used_or_released() {
        let buffer: Rc<[u8]> = b"abc"[..].into();
        let mut input = LentInput::default();
        input.push(Lent(Rc::clone(&buffer)));
        input.consume(2);
        assert_eq!((input.bytes(), Rc::strong_count(&buffer)), (&b"c"[..], 2));
        input.consume(1);
        assert_eq!((input.is_empty(), Rc::strong_count(&buffer)), (true, 1));
        input.push(Lent(Rc::clone(&buffer)));
        input.consume(1);
        input.release();
        assert_eq!((input.bytes(), Rc::strong_count(&buffer)), (&b"bc"[..], 1));
        input.push(Lent(Rc::clone(&buffer)));
        assert_eq!((input.bytes(), Rc::strong_count(&buffer)), (&b"bcabc"[..], 1), "behind a copy is a copy");
    }

    #[test]
    fn what_was_consumed_is_not_kept() {
        let mut input = LentInput::default();
        for _ in 0..1000 {
            input.push(Lent(b"abcdefgh"[..].into()));
            input.release();
            input.consume(8);
            input.push(Lent(b"x"[..].into()));
            input.release();
            input.push(Lent(b"abcdefg"[..].into()));
            input.consume(7);
            assert_eq!(input.bytes(), b"g");
            assert!(input.copied.len() <= 16, "{} bytes", input.copied.len());
            input.consume(1);
            assert_eq!(input.copied.capacity(), 0);
        }
    }
}
