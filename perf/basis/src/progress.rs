//! How far a replay is, on standard error.
//!
//! **Invariants**: a run that takes less than a few seconds prints nothing where nobody watches.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(250);

/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// Requests between looks at the clock.
const STRIDE: u64 = 1 << 16;

/// Tells how far a piece of work is.
#[derive(Debug)]
pub struct ProgressLine {
    what: String,
    output: Output,
    /// Requests at which the clock is looked at next.
    due: u64,
    told: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Terminal,
    Log,
    Nowhere,
}

impl ProgressLine {
    /// Tells on standard error, as a line that is redrawn when that is a terminal.
    pub fn on_stderr(what: String) -> Self {
        let output = if std::io::stderr().is_terminal() { Output::Terminal } else { Output::Log };
        Self { what, output, due: STRIDE, told: Instant::now() }
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self { what: String::new(), output: Output::Nowhere, due: u64::MAX, told: Instant::now() }
    }

    /// Says that `done` requests are done, of `total` if that is known.
    #[inline]
    pub fn tick(&mut self, done: u64, total: Option<u64>) {
        if done.is_multiple_of(STRIDE) || done >= self.due {
            self.due = done + STRIDE;
            self.tell(done, total);
        }
    }

    #[cold]
    fn tell(&mut self, done: u64, total: Option<u64>) {
        let pause = if self.output == Output::Terminal { REDRAW } else { LINE };
        if self.output == Output::Nowhere || self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        let millions = done as f64 / 1e6;
        let far = match total {
            Some(total) => {
                let percent = done as f64 * 100.0 / total.max(1) as f64;
                format!("{}: {millions:.1} M requests, {percent:.0} %", self.what)
            }
            None => format!("{}: {millions:.1} M requests", self.what),
        };
        if self.output == Output::Terminal {
            // Progress that cannot be shown is not worth failing for.
            let _ = write!(std::io::stderr(), "\r\x1b[K{far}");
        } else {
            eprintln!("{far}");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.output == Output::Terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
