//! Asking a process without waiting for it: one request at a time, on one thread.
//!
//! ```text
//!  ask() ─▶ thread ─▶ the process      take() ◀─ what it said, when it has said it
//! ```
//!
//! **Not** what is asked: a function that the caller gives, and that ends by itself.
//!
//! **Invariants**: there is never more than one thread and one request, however long an answer takes.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::Builder;

/// Asks, and has answers.
#[derive(Debug)]
pub struct Asker<T> {
    asking: SyncSender<()>,
    answers: Receiver<T>,
    is_waiting: bool,
}

impl<T: Send + 'static> Asker<T> {
    /// One that asks by calling `ask`, on a thread that ends with this.
    ///
    /// # Errors
    /// The operator's: no thread is left.
    pub fn start(ask: impl Fn() -> T + Send + 'static) -> io::Result<Self> {
        let (asking, asked) = sync_channel(1);
        let (answering, answers) = sync_channel(1);
        Builder::new().name("ask".to_owned()).spawn(
            move || {
                while asked.recv().is_ok() && answering.send(ask()).is_ok() {}
            },
        )?;
        Ok(Asker { asking, answers, is_waiting: false })
    }

    /// Asks, unless an answer is awaited already.
    pub fn ask(&mut self) {
        if !self.is_waiting {
            self.is_waiting = self.asking.try_send(()).is_ok();
        }
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The answer, once it is there.
    pub fn take(&mut self) -> Option<T> {
        match self.answers.try_recv() {
            Ok(answer) => {
                self.is_waiting = false;
                Some(answer)
            }
            Err(TryRecvError::Empty) => None,
            // The thread has panicked, and is asked no more.
            Err(TryRecvError::Disconnected) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_silent_process_is_asked_once() {
        let (asked, may_answer) = (Arc::new(AtomicU32::new(0)), sync_channel::<()>(0));
        let (count, (answer, answering)) = (Arc::clone(&asked), may_answer);
        let mut asker = Asker::start(move || {
            let count = count.fetch_add(1, Ordering::Relaxed) + 1;
            answering.recv().ok().map(|()| count)
        })
        .unwrap();
        for round in 1..=2 {
            for _ in 0..100 {
                asker.ask();
                assert!(asker.is_waiting() && asker.take().is_none(), "nothing is waited for");
            }
            // The thread takes it, so it has asked.
            answer.send(()).unwrap();
            let said = loop {
                if let Some(said) = asker.take() {
                    break said;
                }
                std::thread::yield_now();
            };
            assert_eq!((said, asked.load(Ordering::Relaxed)), (Some(round), round));
        }
    }
}
