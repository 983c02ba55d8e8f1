//! The writer's thread. The binary starts it before its cores, and ends it after them.
//!
//! **Invariants**: the only thread of an edge that may wait for a file; its end is waited for no longer than
//! [`FINISH_TIME`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Thread, park_timeout};
use std::time::{Duration, Instant};

use reactor::Address;

use super::writer::{Turn, Writer};
use super::{AccessLogPort, port};
use crate::settings::EdgeSettings;

/// How long what is left may take to be written when the process ends.
const FINISH_TIME: Duration = Duration::from_secs(2);

/// How long the writer rests when there is nothing to do: how old a line is at most that could be in the file.
const IDLE_TIME: Duration = Duration::from_millis(20);

/// How long it rests when its file takes nothing.
const BLOCKED_TIME: Duration = Duration::from_millis(20);

/// How long it rests while the log is off; a command wakes it.
const OFF_TIME: Duration = Duration::from_secs(10);

/// The thread, as the binary sees it.
pub struct AccessLogThread {
    thread: Thread,
    is_ending: Arc<AtomicBool>,
    ended: Receiver<()>,
}

/// Starts the thread that writes the access log of an edge of so many data cores. It rests while the settings name no file.
///
/// # Errors
/// The operator's: no thread can be made.
pub fn start(cores: usize, settings: &EdgeSettings) -> io::Result<(AccessLogPort, AccessLogThread)> {
    let cores = u16::try_from(cores).map_err(|_| io::Error::other("more than 65535 cores"))?;
    let (into_port, writer_port) = port(cores);
    let listeners = settings.listeners().map(|it| Address::from(&it.address).to_string()).collect();
    let writer = Writer::new(writer_port, listeners, &settings.access_log, now());
    let is_ending = Arc::new(AtomicBool::new(false));
    let (ending, ended) = sync_channel(1);
    let asked = Arc::clone(&is_ending);
    let run = move || {
        run(writer, &asked);
        // Nobody waits any more if this comes too late.
        let _ = ending.send(());
    };
    let thread = Builder::new().name("access-log".to_owned()).spawn(run)?.thread().clone();
    Ok((into_port(Some(thread.clone())), AccessLogThread { thread, is_ending, ended }))
}

impl AccessLogThread {
    /// Has all that was recorded written, and ends the thread; whether it ended in time. To be called when the cores have
    /// ended.
    #[must_use]
    pub fn finish(self) -> bool {
        self.is_ending.store(true, Ordering::Release);
        self.thread.unpark();
        self.ended.recv_timeout(FINISH_TIME).is_ok()
    }
}

#[expect(clippy::disallowed_methods, reason = "the thread is no core: it has no reactor to ask")]
fn now() -> Instant {
    Instant::now()
}

fn run(mut writer: Writer, is_ending: &AtomicBool) {
    loop {
        // Looked at before the turn: what was recorded before the end was asked for is in the turn.
        let is_ending = is_ending.load(Ordering::Acquire);
        match writer.turn(now()) {
            Turn::Busy => {}
            Turn::Idle | Turn::Off | Turn::Failing if is_ending => return,
            Turn::Idle => park_timeout(IDLE_TIME),
            Turn::Blocked | Turn::Failing => park_timeout(BLOCKED_TIME),
            Turn::Off => park_timeout(OFF_TIME),
        }
    }
}

#[cfg(test)]
mod tests {
    use control::log::LogFormat;

    use super::super::record::{AccessRecord, ClientAddress, RequestLine};
    use super::*;
    use crate::settings::AccessLogSettings;

    #[test]
    fn what_was_recorded_before_the_end_is_written() {
        const RECORDS: usize = 5_000;
        let file = std::env::temp_dir().join(format!("corelane-access-end-{}.log", std::process::id()));
        let settings =
            AccessLogSettings { path: Some(file.clone()), format: LogFormat::Json, sample: 1, slow: Duration::ZERO };
        let (into_port, writer_port) = port(1);
        let mut cores = into_port(None).cores;
        let record = AccessRecord::of(&RequestLine::of_bytes(b""), ClientAddress::Unknown);
        (0..RECORDS).for_each(|_| assert!(cores[0].records.push(record).is_ok(), "they fit the queue"));
        run(Writer::new(writer_port, Vec::new(), &settings, now()), &AtomicBool::new(true));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        assert_eq!(text.lines().count(), RECORDS);
    }
}
