//! The log of the control thread: one line per event on standard error, in logfmt.
//!
//! ```text
//!  2026-01-01T00:00:00Z level=info event=topology_reloaded epoch=7 file="/etc/core lane.toml"
//! ```
//!
//! **Not** for data cores, which count instead: a write to standard error can block.
//!
//! **Invariants**: an event is one line and one write, whatever its fields hold; at most [`LINES_PER_SECOND_MAX`] lines leave
//! in a second, what is beyond is counted and the count is logged.
//!
//! **Source**: logfmt as Go's and Heroku's tools read it; RFC 3339 for the time.

mod logfmt;
mod rate;

use std::{
    cell::{Cell, RefCell},
    fmt::Display,
    io::{self, Write},
};

use self::rate::{Admission, Rate};
pub use self::{logfmt::Fields, rate::LINES_PER_SECOND_MAX};
use crate::metrics::{Counter, Text};

crate::metrics! {
    /// What the log counts. One for the process.
    pub(crate) struct LogMetrics {
        /// Log lines beyond 100 in a second, or that could not be written.
        dropped: Counter = "corelane_log_lines_dropped_total",
    }
}

/// How much an event matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work, and somebody must act.
    Error,
    /// Something does not work as it should, and goes on.
    Warn,
    /// What an operator wants to find later: start, reload, drain, stop.
    Info,
    /// What a developer wants to know.
    Debug,
}

impl Level {
    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// A log, owned by the control thread.
pub struct Log {
    level: Level,
    rate: Cell<Rate>,
    line: RefCell<String>,
    sink: RefCell<Box<dyn Write>>,
    metrics: LogMetrics,
}

impl Log {
    /// A log of events of `level` and those that matter more, on standard error.
    #[must_use]
    pub fn stderr(level: Level) -> Self {
        Self::new(level, Box::new(io::stderr()))
    }

    /// The same to any writer.
    #[must_use]
    pub fn new(level: Level, sink: Box<dyn Write>) -> Self {
        let (rate, metrics) = (Cell::default(), LogMetrics::default());
        Self { level, rate, line: RefCell::default(), sink: RefCell::new(sink), metrics }
    }

    /// Logs one event. `wall_ms` is the time of the pass, in milliseconds of Unix time.
    pub fn event(&self, wall_ms: u64, level: Level, event: &str, fields: Fields<'_>) {
        if level > self.level {
            return;
        }
        let mut rate = self.rate.get();
        let (admission, unreported) = rate.admit(wall_ms);
        self.rate.set(rate);
        self.report(wall_ms, unreported);
        match admission {
            Admission::Yes => self.write(wall_ms, level, event, fields),
            Admission::No => self.metrics.dropped.increment(),
        }
    }

    /// Logs how many lines were dropped in a second that is over, if any were. Called once a second, so that the count is
    /// told even when nothing else is.
    pub fn flush(&self, wall_ms: u64) {
        let mut rate = self.rate.get();
        let unreported = rate.turn(wall_ms);
        self.rate.set(rate);
        self.report(wall_ms, unreported);
    }

    /// Lines that were dropped for the bound or could not be written, since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.metrics.dropped.value()
    }

    /// Writes the log's own family.
    pub fn metrics(&self, text: &mut Text) {
        text.group(&[], &self.metrics);
    }

    fn report(&self, wall_ms: u64, unreported: u64) {
        if unreported > 0 {
            let fields: Fields<'_> = &[("count", &unreported as &dyn Display)];
            self.write(wall_ms, Level::Warn, "log_lines_dropped", fields);
        }
    }

    fn write(&self, wall_ms: u64, level: Level, event: &str, fields: Fields<'_>) {
        let mut line = self.line.borrow_mut();
        line.clear();
        logfmt::encode(&mut line, wall_ms, &[("level", &level.word()), ("event", &event)], fields);
        // One write per line, so that lines of several processes on one pipe do not mix (pipe(7), PIPE_BUF).
        if self.sink.borrow_mut().write_all(line.as_bytes()).is_err() {
            self.metrics.dropped.increment();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.take()).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            text.lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn events_below_the_level_are_not_written() {
        let paper = Paper::default();
        let log = Log::new(Level::Info, Box::new(paper.clone()));
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
            log.event(0, level, "tick", &[]);
        }
        let levels: Vec<String> = paper.lines().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(levels, ["level=error", "level=warn", "level=info"]);
        assert_eq!(log.dropped(), 0, "what is filtered is not dropped");
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let paper = Paper::default();
        let log = Log::new(Level::Info, Box::new(paper.clone()));
        let bound = u64::from(LINES_PER_SECOND_MAX);
        (0..bound + 5).for_each(|n| log.event(1_000 + n, Level::Info, "flood", &[("n", &n)]));
        assert_eq!(paper.lines().len() as u64, bound);
        assert_eq!(log.dropped(), 5);
        log.flush(1_999);
        assert!(paper.lines().is_empty(), "the second is not over");
        log.event(2_000, Level::Info, "calm", &[]);
        log.flush(2_100);
        let expected = [
            "1970-01-01T00:00:02Z level=warn event=log_lines_dropped count=5",
            "1970-01-01T00:00:02Z level=info event=calm",
        ];
        assert_eq!(paper.lines(), expected);
        (0..=bound).for_each(|n| log.event(3_000 + n, Level::Info, "flood", &[]));
        paper.lines();
        log.flush(4_000);
        assert_eq!(paper.lines(), ["1970-01-01T00:00:04Z level=warn event=log_lines_dropped count=1"]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_the_log() {
        let paper = Paper::default();
        let log = Log::new(Level::Info, Box::new(paper.clone()));
        (0..LINES_PER_SECOND_MAX).for_each(|_| log.event(9_000, Level::Info, "before", &[]));
        paper.lines();
        log.event(3_000, Level::Info, "after", &[]);
        assert_eq!(paper.lines(), ["1970-01-01T00:00:03Z level=info event=after"]);
    }

    #[test]
    fn a_sink_that_fails_is_counted() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = Log::new(Level::Info, Box::new(Closed));
        log.event(0, Level::Error, "lost", &[]);
        assert_eq!(log.dropped(), 1);
        let mut text = Text::new();
        log.metrics(&mut text);
        assert!(text.finish().ends_with("\ncorelane_log_lines_dropped_total 1\n"));
    }
}
