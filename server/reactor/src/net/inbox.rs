//! What a connection has received and its task has not read.
//!
//! **Not** bounding: the state decides when a receive is stopped, by the number of bytes here.
//!
//! **Invariants**: `bytes` is the sum of all pieces; `rest` is empty when there is no first piece; an inbox that has
//! been read holds no buffer, and room for a few pieces at most.

use std::collections::VecDeque;

use crate::buffer::Received;

/// Pooled buffers a connection may hold unread; what comes beyond is copied out of the pool, so that one task that
/// is slow to read cannot starve its core's other connections.
pub(crate) const INBOX_POOLED_MAX: usize = 4;

#[derive(Default)]
pub(crate) struct Inbox {
    /// The oldest piece, nearly always the only one: a request that is read at once never reaches the queue.
    first: Option<Received>,
    rest: VecDeque<Received>,
    bytes: usize,
}

impl Inbox {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The unread pieces, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Received> {
        self.first.iter().chain(&self.rest)
    }

    /// Queues received bytes.
    #[inline]
    pub(crate) fn push(&mut self, data: Received, buffers_scarce: bool) {
        self.bytes += data.unread();
        if self.first.is_none() && !buffers_scarce {
            self.first = Some(data);
        } else {
            self.push_behind(data, buffers_scarce);
        }
    }

    #[inline(never)]
    fn push_behind(&mut self, data: Received, buffers_scarce: bool) {
        let pieces = self.rest.len() + usize::from(self.first.is_some());
        let pooled = !buffers_scarce && pieces < INBOX_POOLED_MAX;
        let data = if pooled {
            data
        } else {
            // Many small pieces become one: an inbox is bounded in bytes, and must not cost a multiple of them.
            let last = self.rest.back_mut().or(self.first.as_mut());
            if last.is_some_and(|last| last.append(&data)) {
                return;
            }
            data.into_owned()
        };
        match self.first {
            None => self.first = Some(data),
            Some(_) => self.rest.push_back(data),
        }
    }

    /// Puts bytes before all others.
    pub(crate) fn push_front(&mut self, data: Received) {
        self.bytes += data.unread();
        if let Some(second) = self.first.replace(data) {
            self.rest.push_front(second);
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Received> {
        if self.rest.is_empty() {
            self.bytes = 0;
            return self.first.take();
        }
        self.pop_before_rest()
    }

    #[inline(never)]
    fn pop_before_rest(&mut self) -> Option<Received> {
        let data = std::mem::replace(&mut self.first, self.rest.pop_front())?;
        if self.rest.is_empty() {
            self.rest.shrink_to(INBOX_POOLED_MAX);
        }
        self.bytes -= data.unread();
        Some(data)
    }

    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.rest.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Whatever the sizes and however scarce the buffers, the bytes come out once and in order.
    #[test]
    fn hands_out_every_byte_once_in_order() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut inbox = Inbox::default();
            let (mut pushed, mut popped): (Vec<u8>, Vec<u8>) = Default::default();
            for _ in 0..200 {
                if random.chance(600) {
                    let bytes: Vec<u8> = (0..random.between(1, 50)).map(|_| random.next_u64() as u8).collect();
                    pushed.extend_from_slice(&bytes);
                    inbox.push(Received::owned(bytes), random.chance(300));
                } else if let Some(mut data) = inbox.pop() {
                    // A part of it may be put back.
                    let count = random.between(1, data.unread() as u64) as usize;
                    popped.extend_from_slice(&data[..count]);
                    data.consume(count);
                    if data.unread() > 0 {
                        inbox.push_front(data);
                    }
                }
                assert_eq!(inbox.bytes(), pushed.len() - popped.len());
                assert!(inbox.first.is_some() || inbox.rest.is_empty(), "a queue without a first piece");
            }
            while let Some(data) = inbox.pop() {
                popped.extend_from_slice(&data);
            }
            assert_eq!(popped, pushed);
            assert!(inbox.rest.capacity() <= INBOX_POOLED_MAX);
        }
    }
}
