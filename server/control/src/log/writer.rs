//! The thread that writes log lines, and the bounded queue that leads to it.
//!
//! ```text
//!  control thread ── LogQueue (1,024 lines) ──▶ log thread ── write ──▶ standard error
//!        └─ full: the line is dropped and counted
//! ```
//!
//! **Not** formatting, and not deciding what is logged.
//!
//! **Invariants**: the control thread never waits for standard error; nor does the end of the process, beyond a second.
//!
//! **Source**: pipe(7): a write to a full pipe waits for its reader.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread::Builder,
    time::Duration,
};

/// Lines that wait to be written at most: ten seconds of the most that is logged in one.
pub const LINES_QUEUED_MAX: usize = 1024;

/// How long the end of a process waits for what is left to be written.
const FINISH_TIME: Duration = Duration::from_secs(1);

/// Where lines of a log go.
pub trait LineSink {
    /// Takes one line, newline included; whether it was taken.
    fn take(&mut self, line: &str) -> bool;

    /// Lines that were taken and could not be written, since the start.
    fn lost(&self) -> u64 {
        0
    }
}

/// A writer takes a line in one write, so that lines of several processes on one pipe do not mix (pipe(7), `PIPE_BUF`).
impl<W: Write> LineSink for W {
    fn take(&mut self, line: &str) -> bool {
        self.write_all(line.as_bytes()).is_ok()
    }
}

/// The end of the queue that lines are put into.
#[derive(Clone)]
pub struct LogQueue {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

impl LineSink for LogQueue {
    fn take(&mut self, line: &str) -> bool {
        match self.lines.try_send(line.to_owned()) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// The thread, as `main` sees it.
pub struct LogThread {
    lines: SyncSender<String>,
    ended: Receiver<()>,
}

/// Starts the thread that writes lines to `sink`.
///
/// # Errors
/// The operator's: no thread can be made.
pub fn start(sink: impl Write + Send + 'static) -> io::Result<(LogQueue, LogThread)> {
    let (lines, queued) = sync_channel(LINES_QUEUED_MAX);
    let (ending, ended) = channel();
    let lost = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&lost);
    Builder::new().name("log".to_owned()).spawn(move || run(&queued, sink, &counted, &ending))?;
    Ok((LogQueue { lines: lines.clone(), lost }, LogThread { lines, ended }))
}

impl LogThread {
    /// Puts in a line of the process's own, newline excluded, behind those of its log.
    pub fn say(&self, line: &str) {
        // A queue that is full at the end of the process is one that nobody reads.
        let _ = self.lines.try_send(format!("{line}\n"));
    }

    /// Waits until all that was put in is written, for a second at most; whether it was. To be called when every
    /// [`LogQueue`] is gone, or has nothing more to say.
    pub fn finish(self) -> bool {
        // An empty line is none: it asks for an end.
        let is_asked = self.lines.try_send(String::new()).is_ok();
        is_asked && self.ended.recv_timeout(FINISH_TIME).is_ok()
    }
}

fn run(lines: &Receiver<String>, mut sink: impl Write, lost: &AtomicU64, ending: &Sender<()>) {
    while let Ok(line) = lines.recv() {
        if line.is_empty() {
            break;
        }
        if sink.write_all(line.as_bytes()).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
    // Nobody waits any more if this comes too late.
    let _ = ending.send(());
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvError;

    use super::*;

    /// A pipe whose reader lets in one line for each message it gets.
    struct Gate {
        opens: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.opens.recv().map_err(|RecvError| io::ErrorKind::BrokenPipe)?;
            self.written.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_takes_nothing_holds_up_nobody() {
        let (open, opens) = channel();
        let (written, writes) = channel();
        let (mut queue, thread) = start(Gate { opens, written }).unwrap();
        let taken = (0..2 * LINES_QUEUED_MAX).filter(|n| queue.take(&format!("{n}\n"))).count();
        assert!((LINES_QUEUED_MAX..=LINES_QUEUED_MAX + 1).contains(&taken), "{taken}: one may be with the thread");
        for n in 0..3 {
            open.send(()).unwrap();
            assert_eq!(writes.recv().unwrap(), format!("{n}\n").into_bytes(), "in their order");
        }
        drop(open);
        drop(writes);
        // What is left fails, and is counted; the end comes behind it.
        while !queue.take("last\n") {
            std::thread::yield_now();
        }
        assert!(thread.finish());
        assert_eq!(queue.lost(), taken as u64 + 1 - 3);
    }

    #[test]
    fn what_was_said_before_the_end_is_written() {
        let (written, writes) = channel();
        let (open, opens) = channel();
        (0..3).for_each(|_| open.send(()).unwrap());
        let (mut queue, thread) = start(Gate { opens, written }).unwrap();
        assert!(queue.take("one\n") && queue.take("two\n"));
        thread.say("three");
        assert!(thread.finish());
        let all: Vec<Vec<u8>> = writes.try_iter().collect();
        assert_eq!(all.concat(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn an_end_waits_only_so_long_for_a_sink_that_takes_nothing() {
        let (written, _writes) = channel();
        let (_open, opens) = channel();
        let (mut queue, thread) = start(Gate { opens, written }).unwrap();
        assert!(queue.take("stuck\n"));
        assert!(!thread.finish());
    }
}
