//! The access log: one line for each response, written off the data cores.
//!
//! ```text
//!  data core: response written ─▶ Recorder ── AccessRecord, bounded queue ──▶ thread "access-log": Writer
//!             queue full: dropped, counted                                    RecordEncoder ─▶ LogFile
//!  control thread: settings, SIGHUP ── Command, bounded queue ──▶ the thread ── Report, bounded queue ──▶ the log
//! ```
//!
//! **Not** for events, which the control thread logs. **Not** in the simulation: a plan without a port records nothing.
//!
//! **Invariants**: neither a data core nor the control thread waits for the writer, whatever becomes of its file; what is
//! not logged is counted; while the log is off a response pays one branch.
//!
//! **Source**: docs/access-log.md.

mod control;
mod downstream;
mod lines;
mod output;
mod place;
mod record;
mod recorder;
mod thread;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;

use reactor::spsc::{Consumer, Producer, ring};

pub(crate) use self::control::{AccessLogControl, AccessLogMetrics};
use self::control::{Command, Report};
pub(crate) use self::downstream::Downstream;
pub(crate) use self::place::check as check_place;
#[cfg(test)]
pub(crate) use self::record::ClientAddress;
pub(crate) use self::record::{AccessRecord, RequestLine, ResponseNote};
pub(crate) use self::recorder::Recorder;
pub use self::thread::{AccessLogThread, start};

/// Records of a core that wait for the writer. 4 MiB of memory, which is touched as records come; at half a million
/// responses a second the writer may be away for 16 ms before one is dropped.
const RECORDS_PER_CORE: usize = 8192;

/// Commands that wait for the writer: there are two kinds, and what finds no room is sent again.
const COMMANDS_MAX: usize = 4;

/// Reports that wait for the control thread, which looks once a second.
const REPORTS_MAX: usize = 16;

/// The way into an access log: for the data cores and the control thread of an edge.
pub struct AccessLogPort {
    /// Of each data core.
    pub(crate) cores: Vec<CorePort>,
    pub(crate) control: AccessLogControl,
}

/// A data core's end.
pub(crate) struct CorePort {
    records: Producer<AccessRecord>,
    /// Who takes them.
    writer: Option<Thread>,
}

/// The other ends: the writer's.
struct WriterPort {
    /// Of each data core.
    records: Vec<Consumer<AccessRecord>>,
    commands: Receiver<Command>,
    reports: SyncSender<Report>,
    metrics: Arc<AccessLogMetrics>,
}

/// Both ends of the queues between an edge of so many data cores and its writer, `writer` once there is one.
fn port(cores: u16) -> (impl FnOnce(Option<Thread>) -> AccessLogPort, WriterPort) {
    let (producers, records): (Vec<_>, Vec<_>) = (0..cores).map(|_| ring(RECORDS_PER_CORE)).unzip();
    let (commanding, commands) = sync_channel(COMMANDS_MAX);
    let (reports, reported) = sync_channel(REPORTS_MAX);
    let metrics = Arc::new(AccessLogMetrics::default());
    let shown = Arc::clone(&metrics);
    let port = |writer: Option<Thread>| AccessLogPort {
        cores: producers.into_iter().map(|records| CorePort { records, writer: writer.clone() }).collect(),
        control: AccessLogControl::new(commanding, reported, writer, shown),
    };
    (port, WriterPort { records, commands, reports, metrics })
}

/// A port without a thread behind it: what is recorded is taken from the queues of the cores.
#[cfg(test)]
pub(crate) fn collected(cores: u16) -> (AccessLogPort, Vec<Consumer<AccessRecord>>) {
    let (port, writer) = port(cores);
    (port(None), writer.records)
}
