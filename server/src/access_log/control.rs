//! The control thread's side: what it commands the writer, and what the writer reports.
//!
//! **Invariants**: never waits for the writer; what finds no room is sent again with the next tick.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::thread::Thread;

use control::log::LogLevel;
use control::metrics::Counter;

use crate::settings::AccessLogSettings;

control::metrics! {
    /// What the writer of the access log counts. One for the process.
    pub(crate) struct AccessLogMetrics {
        /// Lines of the access log that were written.
        written: Counter = "corelane_access_log_written_total",
        /// Attempts to open or to write the file of the access log that failed. Each is repeated after a second.
        failed: Counter = "corelane_access_log_write_errors_total",
    }
}

/// A command to the writer.
pub(super) enum Command {
    /// Go on by these settings.
    Adopt(AccessLogSettings),
    /// Open the file anew: another may have its name.
    Reopen,
}

/// What the control thread is to log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) level: LogLevel,
    pub(crate) event: &'static str,
    /// The file.
    pub(crate) path: String,
    /// What went wrong; empty where nothing did.
    pub(crate) error: String,
}

/// The control thread's end of an access log.
pub(crate) struct AccessLogControl {
    commands: SyncSender<Command>,
    reports: Receiver<Report>,
    writer: Option<Thread>,
    /// What the writer has not been sent yet.
    settings: RefCell<Option<AccessLogSettings>>,
    reopens: Cell<bool>,
    metrics: Arc<AccessLogMetrics>,
}

impl AccessLogControl {
    pub(super) fn new(
        commands: SyncSender<Command>,
        reports: Receiver<Report>,
        writer: Option<Thread>,
        metrics: Arc<AccessLogMetrics>,
    ) -> Self {
        let (settings, reopens) = (RefCell::default(), Cell::default());
        AccessLogControl { commands, reports, writer, settings, reopens, metrics }
    }

    /// Has the writer go on by other settings.
    pub(crate) fn adopt(&self, settings: &AccessLogSettings) {
        self.settings.replace(Some(settings.clone()));
        self.send();
    }

    /// Has the writer open its file anew.
    pub(crate) fn reopen(&self) {
        self.reopens.set(true);
        self.send();
    }

    /// Sends what found no room before. Called once a second, too.
    pub(crate) fn send(&self) {
        let mut settings = self.settings.borrow_mut();
        if let Some(unsent) = settings.take()
            && let Err(TrySendError::Full(Command::Adopt(unsent))) = self.commands.try_send(Command::Adopt(unsent))
        {
            *settings = Some(unsent);
        }
        if self.reopens.get() {
            let is_full = matches!(self.commands.try_send(Command::Reopen), Err(TrySendError::Full(_)));
            self.reopens.set(is_full);
        }
        if let Some(writer) = &self.writer {
            writer.unpark();
        }
    }

    /// What there is to be logged.
    pub(crate) fn reports(&self) -> impl Iterator<Item = Report> {
        self.reports.try_iter()
    }

    pub(crate) fn metrics(&self) -> &AccessLogMetrics {
        &self.metrics
    }
}
