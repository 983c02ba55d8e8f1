//! The file that lines go to: opened, written, and opened anew when another has its name.
//!
//! ```text
//!  once a second, and on a command: look ─┬─ the name leads to another file, or to none ─▶ open
//!                                         └─ the last opening failed ─▶ open
//!  opening fails ─▶ what is open stays in use; nothing open ─▶ Failing until it succeeds
//!  writing fails ─▶ Failing for a second; a pipe is opened anew
//! ```
//!
//! **Not** a clock: instants come in. **Not** dropping anything: what could not be written is kept by the caller.
//!
//! **Invariants**: a failure is reported once, and its end; a pipe that nobody reads blocks neither opening nor writing; a
//! file that is opened anew goes on where it was left, in the middle of a line too.
//!
//! **Source**: open(2), fifo(7); logrotate(8) for renames.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use control::log::LogLevel;
use rustix::fs::OFlags;

use super::control::{AccessLogMetrics, Report};
use super::place::STANDARD_OUTPUT;

/// How often the file is looked at, and a failure repeated.
const LOOK: Duration = Duration::from_secs(1);

/// Who may read a new file: the operators' group, since targets may be confidential.
const FILE_MODE: u32 = 0o640;

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    /// So many bytes, at least one, were taken.
    Bytes(usize),
    /// Nothing: the reader of a pipe is behind.
    Blocked,
    /// Nothing, and not before the next look.
    Failing,
}

pub(super) struct LogFile {
    /// `None` while the log is off.
    path: Option<PathBuf>,
    sink: Option<Sink>,
    /// Whether the path is still to be opened.
    opens: bool,
    next_look: Instant,
    /// By when a write may be tried again.
    rests_until: Instant,
    /// What failed last and has not succeeded since.
    error: Option<String>,
    reports: SyncSender<Report>,
    metrics: Arc<AccessLogMetrics>,
}

struct Sink {
    file: File,
    identity: FileIdentity,
    kind: SinkKind,
}

/// What distinguishes a file from others on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        FileIdentity { device: metadata.dev(), inode: metadata.ino() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinkKind {
    /// A regular file, which is looked for under its name.
    File,
    /// A named pipe, which is opened anew when nobody reads it.
    Pipe,
    /// A device, or standard output.
    Other,
}

impl LogFile {
    pub(super) fn new(reports: SyncSender<Report>, metrics: Arc<AccessLogMetrics>, now: Instant) -> Self {
        let (path, sink, error) = (None, None, None);
        LogFile { path, sink, opens: false, next_look: now, rests_until: now, error, reports, metrics }
    }

    /// Whether lines go anywhere, or are to.
    pub(super) fn is_on(&self) -> bool {
        self.path.is_some()
    }

    /// Goes on with another file, once it is open, or with none.
    pub(super) fn set_path(&mut self, path: Option<PathBuf>, now: Instant) {
        if self.path == path {
            return;
        }
        self.path = path;
        self.error = None;
        if self.path.is_none() {
            self.sink = None;
            self.opens = false;
        } else {
            self.reopen(now);
        }
    }

    /// Opens the file anew at the next look, which is now.
    pub(super) fn reopen(&mut self, now: Instant) {
        self.opens = self.is_on();
        (self.next_look, self.rests_until) = (now, now);
    }

    /// Looks at the file if it is time; whether another one than before is open now, which has nothing of a line that was
    /// begun.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK;
        let Some(path) = &self.path else { return false };
        if !self.opens && !self.sink.as_ref().is_some_and(|sink| sink.is_elsewhere(path)) {
            return false;
        }
        match Sink::open(path) {
            Ok(sink) => {
                let identity = sink.identity;
                let before = self.sink.replace(sink);
                self.opens = false;
                self.succeed("access_log_opened");
                before.is_none_or(|before| before.identity != identity)
            }
            Err(error) => {
                self.opens = true;
                self.fail(&error);
                false
            }
        }
    }

    /// Writes as much as goes at once.
    pub(super) fn write(&mut self, bytes: &[u8], now: Instant) -> WriteOutcome {
        if now < self.rests_until {
            return WriteOutcome::Failing;
        }
        let Some(sink) = &mut self.sink else { return WriteOutcome::Failing };
        let is_pipe = sink.kind == SinkKind::Pipe;
        match sink.file.write(bytes) {
            Ok(count) if count > 0 => {
                // While another file is still to be opened, that the old one works is no news.
                if self.error.is_some() && !self.opens {
                    self.succeed("access_log_recovered");
                }
                WriteOutcome::Bytes(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => WriteOutcome::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => WriteOutcome::Blocked,
            outcome => {
                self.fail(&outcome.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                self.rests_until = now + LOOK;
                if is_pipe {
                    self.sink = None;
                    self.opens = true;
                    self.next_look = now + LOOK;
                }
                WriteOutcome::Failing
            }
        }
    }

    fn succeed(&mut self, event: &'static str) {
        self.error = None;
        self.report(LogLevel::Info, event, String::new());
    }

    fn fail(&mut self, error: &io::Error) {
        self.metrics.failed.increment();
        let error = error.to_string();
        if self.error.as_ref() != Some(&error) {
            self.error = Some(error.clone());
            self.report(LogLevel::Error, "access_log_failed", error);
        }
    }

    fn report(&self, level: LogLevel, event: &'static str, error: String) {
        let path = self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        // The control thread is behind: it has something like this to log already.
        let _ = self.reports.try_send(Report { level, event, path, error });
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Sink> {
        if path.as_os_str() == STANDARD_OUTPUT {
            let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let identity = (&file.metadata()?).into();
            return Ok(Sink { file, identity, kind: SinkKind::Other });
        }
        // Of a pipe: opening it fails while it has no reader, and writing while it is full, instead of waiting.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open(2) are an int");
        let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        let kind = match metadata.file_type() {
            kind if kind.is_file() => SinkKind::File,
            kind if kind.is_fifo() => SinkKind::Pipe,
            _ => SinkKind::Other,
        };
        Ok(Sink { file, identity: (&metadata).into(), kind })
    }

    /// Whether its name leads to another file, or to none.
    fn is_elsewhere(&self, path: &Path) -> bool {
        self.kind == SinkKind::File
            && std::fs::metadata(path).ok().is_none_or(|found| FileIdentity::from(&found) != self.identity)
    }
}
