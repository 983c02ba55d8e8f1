//! One kind of watched files: looking at them, reading them, and what becomes of a look or a read that takes too long.
//!
//! ```text
//!          ┌── look ──▶ Same, Changing, Gone
//!  idle ───┤     └────▶ Changed ──▶ wanted
//!          └── read (wanted: signal, change, peer) ──▶ settle (topology: 20 ms, a look) ──▶ adopt
//!                │                                        └─ other marks: it is being written, read again
//!                │ 5 s: reported, what is in use stays; whatever comes later is not used, but read again
//! ```
//!
//! **Not** I/O: what is under way runs elsewhere.
//!
//! **Invariants**: one look or read is under way at a time; a wish is never lost, and several before a read are one; a topology that
//! changes while it is read is not adopted.

use std::{fmt::Display, io, time::Duration};

use reactor::Instant;

use super::{ControlledProcess, FILES_TIMEOUT, ReloadCause, Watched};
use crate::log::{LogFields, LogLevel};
use crate::reading::PendingFiles;
use crate::security::SecurityFiles;
use crate::watch::{Mark, Sight, Watch};

/// How long a topology must have kept still after it was read. Its beginning can be a valid topology of fewer nodes, and who writes it in
/// place pauses for less. Shorter than the time for which a node lets requests wait for its file.
const SETTLE_TIME: Duration = Duration::from_millis(20);

/// What was read.
pub enum Contents<C> {
    /// The configuration and what it includes.
    Config(C),
    /// The text of the topology.
    Topology(io::Result<String>),
    /// There is no topology.
    NoTopology,
    /// What the files of [`Watched::Security`] hold.
    Security(SecurityFiles),
}

/// What is read, and the marks of before.
pub type PendingRead<C> = PendingFiles<(Vec<Mark>, Contents<C>)>;

enum UnderWay<C> {
    Look(PendingFiles<Vec<Mark>>),
    Read(PendingRead<C>, ReloadCause),
    Settle(Settling<C>),
}

/// What was read, until it is known that nobody writes it.
struct Settling<C> {
    marks: Vec<Mark>,
    contents: Contents<C>,
    cause: ReloadCause,
    /// A look at what it is now, once some time has passed.
    look: Option<PendingFiles<Vec<Mark>>>,
}

pub(super) struct FileWatch<C> {
    watched: Watched,
    watch: Watch,
    under_way: Option<(UnderWay<C>, Instant)>,
    is_late: bool,
    wanted: Option<ReloadCause>,
    /// Since when what is read has changed again and again.
    restless_since: Option<Instant>,
}

impl<C> FileWatch<C> {
    pub(super) fn new(watched: Watched, marks: Vec<Mark>) -> Self {
        Self { watched, watch: Watch::new(marks), under_way: None, is_late: false, wanted: None, restless_since: None }
    }

    /// Whether something is under way that is expected soon.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some() && !self.is_late
    }

    /// Whether nothing is under way or wanted, or nothing comes of it.
    pub(super) fn is_settled(&self) -> bool {
        self.is_late || (self.under_way.is_none() && self.wanted.is_none())
    }

    /// Has the files read as soon as what is under way is over.
    pub(super) fn want(&mut self, cause: ReloadCause) {
        self.wanted = Some(cause);
    }

    /// A wish of the operator's, who is told at once when it has to wait for files that hang.
    pub(super) fn want_now(&mut self, process: &dyn ControlledProcess<Config = C>, now: Instant) {
        self.want(ReloadCause::Signal);
        if let Some((_, since)) = self.under_way.as_ref().filter(|_| self.is_late) {
            self.report_hang(process, now.since(*since));
        }
    }

    /// Looks at the files, unless something is under way.
    pub(super) fn look(&mut self, process: &dyn ControlledProcess<Config = C>, now: Instant) {
        if self.under_way.is_none() && self.wanted.is_none() {
            self.under_way = Some((UnderWay::Look(process.look(self.watched)), now));
        }
    }

    /// Takes what has come, and begins what is wanted; whether there was anything of that.
    pub(super) fn attend(&mut self, process: &dyn ControlledProcess<Config = C>, now: Instant) -> bool {
        let Some((under_way, since)) = &mut self.under_way else { return self.begin(process, now) };
        let since = *since;
        match under_way {
            UnderWay::Look(pending) => {
                if let Some(marks) = pending.take() {
                    self.end(process);
                    self.judge(process, marks);
                    return true;
                }
            }
            UnderWay::Read(pending, cause) => {
                let cause = *cause;
                if let Some((marks, contents)) = pending.take() {
                    if self.end(process) {
                        self.wanted.get_or_insert(cause);
                    } else if self.watched == Watched::Topology && !marks.is_empty() {
                        let settling = Settling { marks, contents, cause, look: None };
                        self.under_way = Some((UnderWay::Settle(settling), now));
                    } else {
                        self.adopt(process, (marks, contents), cause);
                    }
                    return true;
                }
            }
            UnderWay::Settle(settling) => match &settling.look {
                None if now >= since + SETTLE_TIME => {
                    // What was wished until now is the file that this look finds.
                    settling.cause = self.wanted.take().unwrap_or(settling.cause);
                    settling.look = Some(process.look(self.watched));
                    return true;
                }
                None => return false,
                Some(look) => {
                    if let Some(marks) = look.take() {
                        self.settle(process, &marks, now);
                        return true;
                    }
                }
            },
        }
        if !self.is_late && now >= since + FILES_TIMEOUT {
            self.is_late = true;
            self.report_hang(process, now.since(since));
        }
        false
    }

    /// A second look has shown what was read: takes it if it is the same, and has it read again if not, for a while.
    fn settle(&mut self, process: &dyn ControlledProcess<Config = C>, marks: &[Mark], now: Instant) {
        let Some((UnderWay::Settle(read), _)) = self.under_way.take() else { return };
        if self.end(process) {
            self.wanted.get_or_insert(read.cause);
        } else if read.marks == marks {
            self.adopt(process, (read.marks, read.contents), read.cause);
        } else if now < *self.restless_since.get_or_insert(now) + FILES_TIMEOUT {
            self.wanted.get_or_insert(read.cause);
        } else {
            // It is a change that has not kept still yet: looks find it when it does.
            self.restless_since = None;
            self.report(
                process,
                LogLevel::Warn,
                ["config_files_change", "topology_file_changes", "security_files_change"],
                &[],
            );
        }
    }

    fn adopt(
        &mut self,
        process: &dyn ControlledProcess<Config = C>,
        read: (Vec<Mark>, Contents<C>),
        cause: ReloadCause,
    ) {
        let (marks, contents) = read;
        self.restless_since = None;
        self.watch.note_read(marks);
        process.adopt(contents, cause);
    }

    fn begin(&mut self, process: &dyn ControlledProcess<Config = C>, now: Instant) -> bool {
        let Some(cause) = self.wanted.take() else { return false };
        self.under_way = Some((UnderWay::Read(process.read(self.watched), cause), now));
        true
    }

    /// What was under way is over; whether it was late.
    fn end(&mut self, process: &dyn ControlledProcess<Config = C>) -> bool {
        self.under_way = None;
        let was_late = std::mem::take(&mut self.is_late);
        if was_late {
            self.report(
                process,
                LogLevel::Info,
                ["config_files_answer", "topology_file_answers", "security_files_answer"],
                &[],
            );
        }
        was_late
    }

    fn judge(&mut self, process: &dyn ControlledProcess<Config = C>, marks: Vec<Mark>) {
        match self.watch.look(marks) {
            Sight::Same | Sight::Changing => {}
            Sight::Gone => self.report(
                process,
                LogLevel::Warn,
                ["config_files_gone", "topology_file_gone", "security_files_gone"],
                &[],
            ),
            Sight::Changed => {
                self.wanted.get_or_insert(ReloadCause::Change);
            }
        }
    }

    fn report_hang(&self, process: &dyn ControlledProcess<Config = C>, waited: Duration) {
        let remedy = "what was read before stays in use; look at the file system it lies on";
        let fields: [(&'static str, &dyn Display); 2] = [("seconds", &waited.as_secs()), ("remedy", &remedy)];
        self.report(
            process,
            LogLevel::Warn,
            ["config_files_hang", "topology_file_hangs", "security_files_hang"],
            &fields,
        );
    }

    /// Logs an event of these files, by its name for each of [`Watched::ALL`].
    fn report(
        &self,
        process: &dyn ControlledProcess<Config = C>,
        level: LogLevel,
        names: [&str; Watched::ALL.len()],
        more: LogFields<'_>,
    ) {
        let file = process.files_name(self.watched);
        let fields: Vec<(&'static str, &dyn Display)> =
            std::iter::once(("file", &file as &dyn Display)).chain(more.iter().copied()).collect();
        process.log_event(level, names[self.watched as usize], &fields);
    }
}
