//! A bounded queue from one thread to one other: single producer, single consumer, no lock, no read-modify-write.
//!
//! ```text
//!          head (consumer writes)            tail (producer writes)
//!            v                                 v
//!   [ . . .  m m m m m m m m m m m m m m m m m . . . . ]      capacity: a power of two
//!            '---------- filled ---------------'
//! ```
//!
//! **Invariants**: `tail - head <= capacity`; slots in `head..tail` hold a message, all others hold none; only the
//! producer stores `tail`, only the consumer stores `head`.
//!
//! **Source**: Lamport, "Specifying concurrent program modules" (1983); the cached opposite index is from Ð. Rigtorp's
//! description of bounded SPSC queues (2021).

use std::mem::MaybeUninit;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU32, Ordering, UnsafeCell};

struct SpscQueue<T> {
    head: CachePadded<AtomicU32>,
    tail: CachePadded<AtomicU32>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a message is written by the producer before `tail` is released past it and read by the consumer after
// `tail` was acquired, so that it moves from one thread to another exactly once; that needs `T: Send` and no more.
unsafe impl<T: Send> Sync for SpscQueue<T> {}
// SAFETY: as above; the ring owns its messages.
unsafe impl<T: Send> Send for SpscQueue<T> {}

impl<T> SpscQueue<T> {
    fn slot(&self, position: u32) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }
}

impl<T> Drop for SpscQueue<T> {
    fn drop(&mut self) {
        let (mut head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        while head != tail {
            // SAFETY: nobody else has the ring any more (`&mut self`), and slots in `head..tail` hold a message.
            self.slot(head).with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            head = head.wrapping_add(1);
        }
    }
}

/// The sending end: of one thread.
pub struct Producer<T> {
    ring: Arc<SpscQueue<T>>,
    tail: u32,
    /// `head` as last seen: it only grows, so that an old value errs on the side of "full".
    head_seen: u32,
}

/// The receiving end: of one thread.
pub struct Consumer<T> {
    ring: Arc<SpscQueue<T>>,
    head: u32,
}

/// A queue for `capacity` messages, a power of two below 2^31. Its memory is touched as messages come.
///
/// # Panics
/// When the capacity is another number.
#[must_use]
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two() && capacity < 1 << 31, "capacity {capacity} is not a power of two below 2^31");
    let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let index = || CachePadded::new(AtomicU32::new(0));
    let ring = Arc::new(SpscQueue { head: index(), tail: index(), slots });
    (Producer { ring: Arc::clone(&ring), tail: 0, head_seen: 0 }, Consumer { ring, head: 0 })
}

impl<T> Producer<T> {
    /// Queues a message.
    ///
    /// # Errors
    /// The queue is full: the message comes back.
    pub fn push(&mut self, message: T) -> Result<(), T> {
        let capacity = self.ring.slots.len() as u32;
        if self.tail.wrapping_sub(self.head_seen) == capacity {
            // Acquire: the consumer has read the slot before it moved `head` past it.
            self.head_seen = self.ring.head.load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.head_seen) == capacity {
                return Err(message);
            }
        }
        // SAFETY: the slot is outside `head..tail`, hence empty and not touched by the consumer; `&mut self` makes
        // this the only producer.
        self.ring.slot(self.tail).with_mut(|slot| unsafe { (*slot).write(message) });
        self.tail = self.tail.wrapping_add(1);
        // Release: the message is in the slot before the consumer sees the new `tail`.
        self.ring.tail.store(self.tail, Ordering::Release);
        Ok(())
    }

    /// Whether as many messages have been queued as is a multiple of `count`, a power of two.
    pub fn has_turned(&self, count: usize) -> bool {
        debug_assert!(count.is_power_of_two());
        self.tail as usize & (count - 1) == 0
    }

    /// Messages that have not been taken. Looks at what the consumer writes, which `push` does only when it must.
    pub fn queued(&mut self) -> usize {
        // Acquire: as in `push`, which goes by what is noted here.
        self.head_seen = self.ring.head.load(Ordering::Acquire);
        self.tail.wrapping_sub(self.head_seen) as usize
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest message, if there is one.
    pub fn pop(&mut self) -> Option<T> {
        // Acquire: pairs with the producer's release, so that the message is there to be read.
        if self.head == self.ring.tail.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the slot is in `head..tail`, hence holds a message the producer no longer touches; it is moved out
        // once, since `head` moves past it below; `&mut self` makes this the only consumer.
        let message = self.ring.slot(self.head).with_mut(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        // Release: the slot has been read before the producer may write to it again.
        self.ring.head.store(self.head, Ordering::Release);
        Some(message)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn is_a_bounded_queue() {
        let (mut producer, mut consumer) = ring(4);
        for turn in 0..10 {
            for n in 0..4 {
                assert_eq!(producer.push(turn * 10 + n), Ok(()));
            }
            assert_eq!(producer.push(99), Err(99), "full");
            assert_eq!(producer.queued(), 4);
            for n in 0..4 {
                assert_eq!(consumer.pop(), Some(turn * 10 + n));
            }
            assert_eq!(consumer.pop(), None);
            assert_eq!(producer.queued(), 0);
        }
    }

    #[test]
    fn drops_what_is_left() {
        let message = Arc::new(());
        let (mut producer, mut consumer) = ring(8);
        for _ in 0..6 {
            producer.push(Arc::clone(&message)).unwrap();
        }
        drop(consumer.pop());
        assert_eq!(Arc::strong_count(&message), 6);
        drop((producer, consumer));
        assert_eq!(Arc::strong_count(&message), 1);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test is about two threads")]
    fn crosses_threads_in_order() {
        let (mut producer, mut consumer) = ring(64);
        const COUNT: u64 = if cfg!(miri) { 1_000 } else { 200_000 };
        let thread = std::thread::spawn(move || {
            for mut n in 0..COUNT {
                while let Err(back) = producer.push(n) {
                    n = back;
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < COUNT {
            match consumer.pop() {
                Some(message) => {
                    assert_eq!(message, expected);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        thread.join().unwrap();
    }
}
