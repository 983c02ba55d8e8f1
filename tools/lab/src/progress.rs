//! What long work is at, with the time since it began.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// Between two lines about work that says nothing by itself.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// A clock that prints.
#[derive(Debug, Clone, Copy)]
pub struct ProgressLog {
    began: Instant,
}

impl ProgressLog {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// Prints a line with the time since the beginning.
    pub fn say(&self, text: &str) {
        println!("[{:>7.1} s] {text}", self.began.elapsed().as_secs_f64());
        // A log file shows what is under way.
        let _ = std::io::stdout().flush();
    }
}
