//! The bound on lines per second.
//!
//! **Not** a token bucket: a second begins with the wall clock's, so that the count of what was dropped is of one second.

/// Lines that leave in one second at most: more than anyone reads, few enough that a log that rotates by size keeps hours.
pub const LINES_PER_SECOND_MAX: u32 = 100;

/// Whether a line may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineDecision {
    Yes,
    No,
}

/// Lines of the second that runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    second: u64,
    lines: u32,
    dropped: u64,
}

impl Rate {
    /// Begins a new second if the old one is over, and returns how many lines were dropped in the old one.
    pub(super) fn turn(&mut self, wall_ms: u64) -> u64 {
        let second = wall_ms / 1000;
        // A clock that was set back also begins a new second; it must not silence the log until it has caught up.
        if second == self.second {
            return 0;
        }
        let dropped = self.dropped;
        *self = Self { second, lines: 0, dropped: 0 };
        dropped
    }

    /// Takes in one line: whether it may be written, and what [`Rate::turn`] returns.
    pub(super) fn admit(&mut self, wall_ms: u64) -> (LineDecision, u64) {
        let unreported = self.turn(wall_ms);
        if self.lines == LINES_PER_SECOND_MAX {
            self.dropped += 1;
            return (LineDecision::No, unreported);
        }
        self.lines += 1;
        (LineDecision::Yes, unreported)
    }
}
