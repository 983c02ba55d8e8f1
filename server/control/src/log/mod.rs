//! The log of the control thread: one line per event on standard error, in logfmt or JSON.
//!
//! ```text
//!  2026-01-01T00:00:00Z level=info event=topology_loaded epoch=7 file="/etc/core lane.toml"
//! ```
//!
//! **Not** for data cores, which count instead. **Not** writing to standard error itself, which can block: [`writer`] does.
//!
//! **Invariants**: an event is one line and one write, whatever its fields hold; at most [`LINES_PER_SECOND_MAX`] lines leave
//! in a second; what is beyond, or finds no room, is counted and the count is logged.
//!
//! **Source**: logfmt as Go's and Heroku's tools read it; RFC 3339 for the time.

mod json;
mod logfmt;
mod rate;
pub mod writer;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt::Display,
};

use self::rate::{LineDecision, Rate};
pub use self::{
    logfmt::{LogFields, push_time},
    rate::LINES_PER_SECOND_MAX,
    writer::LineSink,
};
use crate::metrics::{Counter, Text};
use crate::settings::{kind::Kind, schema::SettingKey};

crate::metrics! {
    /// What the log counts. One for the process.
    pub(crate) struct LogMetrics {
        /// Log lines beyond 100 in a second, that found no room because standard error is not read, or that could not be written.
        dropped: Counter = "corelane_log_lines_dropped_total",
    }
}

crate::choice! {
    /// How much an event matters, the most first.
    pub enum LogLevel {
        /// Something does not work, and an operator must act.
        Error = "error",
        /// Something does not work as it should; the process continues.
        Warn = "warn",
        /// What an operator wants to find later: start, reload, drain, stop.
        Info = "info",
        /// What a developer wants to know.
        Debug = "debug",
    }
}

impl LogLevel {
    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// Whether it matters at least as much as `other`.
    const fn is_at_least(self, other: Self) -> bool {
        self as u8 <= other as u8
    }
}

crate::choice! {
    /// How a line is written.
    pub enum LogFormat {
        /// `name=value` pairs.
        Logfmt = "logfmt",
        /// An object in JSON, whose values are all strings.
        Json = "json",
    }
}

crate::settings! {
    /// What is logged, and how.
    pub struct LogSettings {
        /// Least important level that is logged.
        pub level: LogLevel = SettingKey::new(Kind::Choice(LogLevel::WORDS)).preset("info"),
        /// Format of a line: `name=value` pairs, or a JSON object.
        pub format: LogFormat = SettingKey::new(Kind::Choice(LogFormat::WORDS)).preset("logfmt"),
    }
}

/// Warnings and errors that are kept for `/v1/status`: what fits on a page.
const RECENT_MAX: usize = 32;

/// A log, owned by the control thread.
pub struct Log {
    settings: RefCell<LogSettings>,
    /// The last warnings and errors, the newest last.
    recent: RefCell<VecDeque<String>>,
    rate: Cell<Rate>,
    line: RefCell<String>,
    sink: RefCell<Box<dyn LineSink>>,
    /// Lines that the sink did not take and that were not reported yet.
    refused: Cell<u64>,
    /// What the sink had lost when that was reported last.
    lost: Cell<u64>,
    metrics: LogMetrics,
}

impl Log {
    /// A log to any writer, or to the queue of one.
    #[must_use]
    pub fn new(settings: LogSettings, sink: Box<dyn LineSink>) -> Self {
        Self {
            settings: RefCell::new(settings),
            recent: RefCell::default(),
            rate: Cell::default(),
            line: RefCell::default(),
            sink: RefCell::new(sink),
            refused: Cell::new(0),
            lost: Cell::new(0),
            metrics: LogMetrics::default(),
        }
    }

    /// Goes on by other settings.
    pub fn adopt(&self, settings: &LogSettings) {
        self.settings.replace(settings.clone());
    }

    /// The last warnings and errors that were logged, in logfmt, the newest first.
    #[must_use]
    pub fn recent(&self) -> Vec<String> {
        self.recent.borrow().iter().rev().cloned().collect()
    }

    /// Logs one event. `wall_ms` is the time of the pass, in milliseconds of Unix time.
    pub fn event(&self, wall_ms: u64, level: LogLevel, event: &str, fields: LogFields<'_>) {
        if !level.is_at_least(self.settings.borrow().level) {
            return;
        }
        let mut rate = self.rate.get();
        let (admission, unreported) = rate.admit(wall_ms);
        self.rate.set(rate);
        self.report(wall_ms, unreported);
        match admission {
            LineDecision::Yes => self.write(wall_ms, level, event, fields),
            LineDecision::No => self.metrics.dropped.increment(),
        }
    }

    /// Logs how many lines were dropped since the last time, if any were. Called once a second, so that the count is
    /// told even when nothing else is.
    pub fn flush(&self, wall_ms: u64) {
        let mut rate = self.rate.get();
        let beyond_rate = rate.turn(wall_ms);
        self.rate.set(rate);
        self.count_lost();
        self.report(wall_ms, beyond_rate + self.refused.take());
    }

    /// Counts what the sink took and could not write.
    fn count_lost(&self) {
        let lost = self.sink.borrow().lost();
        let new = lost - self.lost.replace(lost);
        self.metrics.dropped.add(new);
        self.refused.set(self.refused.get() + new);
    }

    /// Lines that were dropped for the bound, for want of room or that could not be written, since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.count_lost();
        self.metrics.dropped.value()
    }

    /// Writes the log's own family.
    pub fn metrics(&self, text: &mut Text) {
        self.count_lost();
        text.group(&[], &self.metrics);
    }

    fn keep(&self, line: &str) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() == RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(line.to_owned());
    }

    fn report(&self, wall_ms: u64, unreported: u64) {
        if unreported > 0 {
            let refused_before = self.refused.get();
            let fields: LogFields<'_> = &[("count", &unreported as &dyn Display)];
            self.write(wall_ms, LogLevel::Warn, "log_lines_dropped", fields);
            if self.refused.get() > refused_before {
                // Not said: the next line that gets through says it.
                self.refused.set(self.refused.get() + unreported);
            }
        }
    }

    fn write(&self, wall_ms: u64, level: LogLevel, event: &str, fields: LogFields<'_>) {
        let mut line = self.line.borrow_mut();
        line.clear();
        let head: LogFields<'_> = &[("level", &level.word()), ("event", &event)];
        if level.is_at_least(LogLevel::Warn) {
            logfmt::encode(&mut line, wall_ms, head, fields);
            self.keep(line.trim_end());
            line.clear();
        }
        let format = self.settings.borrow().format;
        match format {
            LogFormat::Logfmt => logfmt::encode(&mut line, wall_ms, head, fields),
            LogFormat::Json => json::encode(&mut line, wall_ms, head, fields),
        }
        if !self.sink.borrow_mut().take(&line) {
            self.metrics.dropped.increment();
            self.refused.set(self.refused.get() + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        rc::Rc,
    };

    use super::*;

    const USUAL: LogSettings = LogSettings { level: LogLevel::Info, format: LogFormat::Logfmt };

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
        let log = Log::new(USUAL, Box::new(paper.clone()));
        for level in [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug] {
            log.event(0, level, "tick", &[]);
        }
        let levels: Vec<String> = paper.lines().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(levels, ["level=error", "level=warn", "level=info"]);
        assert_eq!(log.dropped(), 0, "what is filtered is not dropped");
    }

    #[test]
    fn settings_are_adopted_while_it_runs() {
        let paper = Paper::default();
        let log = Log::new(USUAL, Box::new(paper.clone()));
        log.event(0, LogLevel::Info, "calm", &[]);
        log.adopt(&LogSettings { level: LogLevel::Warn, format: LogFormat::Json });
        log.event(0, LogLevel::Info, "calm", &[]);
        log.event(0, LogLevel::Error, "storm", &[]);
        let expected = [
            "1970-01-01T00:00:00Z level=info event=calm",
            r#"{"time":"1970-01-01T00:00:00Z","level":"error","event":"storm"}"#,
        ];
        assert_eq!(paper.lines(), expected);
    }

    #[test]
    fn warnings_are_kept_for_operators_and_lines_may_be_json() {
        let paper = Paper::default();
        let options = LogSettings { level: LogLevel::Debug, format: LogFormat::Json };
        let log = Log::new(options, Box::new(paper.clone()));
        log.event(0, LogLevel::Info, "calm", &[]);
        for n in 0..RECENT_MAX + 1 {
            log.event(0, LogLevel::Warn, "storm", &[("n", &n), ("text", &"a\n\"b\"")]);
        }
        let recent = log.recent();
        assert_eq!(recent.len(), RECENT_MAX);
        assert_eq!(
            recent[0],
            format!("1970-01-01T00:00:00Z level=warn event=storm n={RECENT_MAX} text=\"a\\n\\\"b\\\"\"")
        );
        let lines = paper.lines();
        assert_eq!(lines[0], r#"{"time":"1970-01-01T00:00:00Z","level":"info","event":"calm"}"#);
        let storm: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!((&storm["n"], &storm["text"]), (&"0".into(), &"a\n\"b\"".into()));
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let paper = Paper::default();
        let log = Log::new(USUAL, Box::new(paper.clone()));
        let bound = u64::from(LINES_PER_SECOND_MAX);
        (0..bound + 5).for_each(|n| log.event(1_000 + n, LogLevel::Info, "flood", &[("n", &n)]));
        assert_eq!(paper.lines().len() as u64, bound);
        assert_eq!(log.dropped(), 5);
        log.flush(1_999);
        assert!(paper.lines().is_empty(), "the second is not over");
        log.event(2_000, LogLevel::Info, "calm", &[]);
        log.flush(2_100);
        let expected = [
            "1970-01-01T00:00:02Z level=warn event=log_lines_dropped count=5",
            "1970-01-01T00:00:02Z level=info event=calm",
        ];
        assert_eq!(paper.lines(), expected);
        (0..=bound).for_each(|n| log.event(3_000 + n, LogLevel::Info, "flood", &[]));
        paper.lines();
        log.flush(4_000);
        assert_eq!(paper.lines(), ["1970-01-01T00:00:04Z level=warn event=log_lines_dropped count=1"]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_the_log() {
        let paper = Paper::default();
        let log = Log::new(USUAL, Box::new(paper.clone()));
        (0..LINES_PER_SECOND_MAX).for_each(|_| log.event(9_000, LogLevel::Info, "before", &[]));
        paper.lines();
        log.event(3_000, LogLevel::Info, "after", &[]);
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
        let log = Log::new(USUAL, Box::new(Closed));
        log.event(0, LogLevel::Error, "lost", &[]);
        assert_eq!(log.dropped(), 1);
        let mut text = Text::new();
        log.metrics(&mut text);
        assert!(text.finish().ends_with("\ncorelane_log_lines_dropped_total 1\n"));
    }

    /// A queue that has room when it is told so, and has lost what it is told.
    #[derive(Clone, Default)]
    struct Queue {
        paper: Paper,
        is_full: Rc<Cell<bool>>,
        lost: Rc<Cell<u64>>,
    }

    impl LineSink for Queue {
        fn take(&mut self, line: &str) -> bool {
            !self.is_full.get() && self.paper.take(line)
        }

        fn lost(&self) -> u64 {
            self.lost.get()
        }
    }

    #[test]
    fn what_found_no_room_is_reported_when_there_is_some() {
        let queue = Queue::default();
        let log = Log::new(USUAL, Box::new(queue.clone()));
        queue.is_full.set(true);
        log.event(1_000, LogLevel::Info, "one", &[]);
        log.event(1_000, LogLevel::Info, "two", &[]);
        // The report finds no room either: it is one more that was dropped, and is made again.
        log.flush(2_000);
        assert_eq!(log.dropped(), 3);
        queue.is_full.set(false);
        queue.lost.set(4);
        log.flush(3_000);
        assert_eq!(queue.paper.lines(), ["1970-01-01T00:00:03Z level=warn event=log_lines_dropped count=7"]);
        assert_eq!(log.dropped(), 7);
        log.flush(4_000);
        assert!(queue.paper.lines().is_empty(), "it is reported once");
    }
}
