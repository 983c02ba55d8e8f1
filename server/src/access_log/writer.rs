//! The writer: takes records from the cores' queues, makes lines of them, and has them written in batches.
//!
//! **Not** a thread or a clock: [`super::thread`] calls [`Writer::turn`] with the time.
//!
//! **Invariants**: lines of one core are in the order of its responses; a line that was begun in a file that is no longer
//! written is written whole to the next; while nothing can be written nothing is taken, so that the queues bound memory.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use reactor::spsc::Consumer;

use super::WriterPort;
use super::control::{AccessLogMetrics, Command};
use super::lines::RecordEncoder;
use super::output::{LogFile, WriteOutcome};
use super::record::AccessRecord;
use crate::settings::AccessLogSettings;

/// Bytes of lines that are gathered before they are written: some hundred lines, so that a system call costs each little.
const BATCH_BYTES: usize = 64 * 1024;

/// Records taken from one core before it is another's turn.
const RECORDS_PER_CORE_AND_TURN: usize = 256;

/// How long the file stays open when the log is turned off: cores that have not heard of it still record.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more to do at once.
    Busy,
    /// Nothing was recorded.
    Idle,
    /// The reader of a pipe is behind.
    Blocked,
    /// The file cannot be written.
    Failing,
    /// The log is off.
    Off,
}

pub(super) struct Writer {
    records: Vec<Consumer<AccessRecord>>,
    /// The core whose turn it is, and how many of its records are still taken in it.
    core: usize,
    turn_left: usize,
    commands: Receiver<Command>,
    lines: RecordEncoder,
    output: LogFile,
    batch: Batch,
    /// When the log is to be off.
    off_at: Option<Instant>,
    metrics: Arc<AccessLogMetrics>,
}

/// Lines on their way.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Bytes that are written.
    written: usize,
    lines: u64,
}

impl Batch {
    /// Takes back the part of a line that went to a file which is not written any more.
    fn rewind(&mut self) {
        let line_ends = self.bytes[..self.written].iter().rposition(|byte| *byte == b'\n');
        self.written = line_ends.map_or(0, |at| at + 1);
    }
}

impl Writer {
    pub(super) fn new(port: WriterPort, listeners: Vec<String>, settings: &AccessLogSettings, now: Instant) -> Self {
        let WriterPort { records, commands, reports, metrics } = port;
        let mut output = LogFile::new(reports, Arc::clone(&metrics), now);
        output.set_path(settings.path.clone(), now);
        let lines = RecordEncoder::new(settings.format, listeners);
        let (core, turn_left, batch) = (0, RECORDS_PER_CORE_AND_TURN, Batch::default());
        Writer { records, core, turn_left, commands, lines, output, batch, off_at: None, metrics }
    }

    /// Does what there is to do now, a bounded part of it.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        self.take_commands(now);
        if self.output.look(now) {
            self.batch.rewind();
        }
        if !self.output.is_on() {
            self.discard();
            return Turn::Off;
        }
        if self.batch.bytes.is_empty() {
            self.gather();
        }
        if self.batch.bytes.is_empty() {
            return self.rest(Turn::Idle, now);
        }
        match self.output.write(&self.batch.bytes[self.batch.written..], now) {
            WriteOutcome::Blocked => self.rest(Turn::Blocked, now),
            WriteOutcome::Failing => self.rest(Turn::Failing, now),
            WriteOutcome::Bytes(count) => {
                self.batch.written += count;
                if self.batch.written == self.batch.bytes.len() {
                    self.metrics.written.add(self.batch.lines);
                    self.batch.bytes.clear();
                    (self.batch.written, self.batch.lines) = (0, 0);
                }
                Turn::Busy
            }
        }
    }

    /// Turns the log off if that is due, now that there is nothing to do.
    fn rest(&mut self, turn: Turn, now: Instant) -> Turn {
        if self.off_at.is_some_and(|at| now >= at) {
            self.off_at = None;
            self.output.set_path(None, now);
        }
        turn
    }

    fn take_commands(&mut self, now: Instant) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Reopen => self.output.reopen(now),
                Command::Adopt(settings) => {
                    self.lines.format = settings.format;
                    let closes = settings.path.is_none() && self.output.is_on();
                    self.off_at = closes.then(|| now + CLOSING_TIME);
                    if settings.path.is_some() {
                        self.output.set_path(settings.path, now);
                    }
                }
            }
        }
    }

    /// Makes lines of what was recorded, by turns of the cores. A turn that does not fit a batch goes on in the next one.
    fn gather(&mut self) {
        let Batch { bytes, lines, .. } = &mut self.batch;
        for _ in 0..self.records.len() {
            while self.turn_left > 0 {
                if bytes.len() >= BATCH_BYTES {
                    return;
                }
                let Some(record) = self.records[self.core].pop() else { break };
                self.lines.push(&record, bytes);
                *lines += 1;
                self.turn_left -= 1;
            }
            self.core = (self.core + 1) % self.records.len();
            self.turn_left = RECORDS_PER_CORE_AND_TURN;
        }
    }

    /// Forgets what was recorded after the log was turned off.
    fn discard(&mut self) {
        self.batch = Batch::default();
        self.records.iter_mut().for_each(|core| while core.pop().is_some() {});
    }
}

#[cfg(test)]
mod tests;
