//! The mailbox under every interleaving and reordering that the memory model allows.
//!
//! Run by `cargo xtask test` with `RUSTFLAGS="--cfg loom"`; compiles to nothing otherwise.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use reactor::mailbox_model::{Bell, queue};

#[test]
fn messages_cross_once_and_in_order() {
    loom::model(|| {
        let (mut sender, mut receiver) = queue::<Box<u32>>(2);
        let producer = thread::spawn(move || {
            for n in 0..3 {
                let mut message = Box::new(n);
                while let Err(back) = sender.push(message) {
                    message = back;
                    thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < 3 {
            match receiver.pop() {
                Some(message) => {
                    assert_eq!(*message, expected);
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        producer.join().unwrap();
        assert!(receiver.pop().is_none());
    });
}

/// A receiver that goes to sleep is woken for a message that it has not seen.
#[test]
fn no_message_is_left_behind_a_sleeper() {
    loom::model(|| {
        let bell = Arc::new(Bell::default());
        let woken = Arc::new(AtomicBool::new(false));
        let (mut sender, mut receiver) = queue::<u32>(2);
        let producer = {
            let (bell, woken) = (Arc::clone(&bell), Arc::clone(&woken));
            thread::spawn(move || {
                sender.push(7).unwrap();
                if bell.ring() {
                    woken.store(true, Ordering::Relaxed);
                }
            })
        };
        // One pass of the receiver: look, and if there is nothing, park.
        let mut seen = bell.take() && receiver.pop().is_some();
        let mut asleep = false;
        if !seen {
            asleep = bell.park();
            if !asleep {
                assert!(bell.take());
                seen = receiver.pop().is_some();
            }
        }
        producer.join().unwrap();
        assert!(seen || (asleep && woken.load(Ordering::Relaxed)), "asleep: {asleep}, nobody wakes it");
    });
}
