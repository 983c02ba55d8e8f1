//! The list of a core's precise waits: when each ends, and whose it is.
//!
//! **Not** ordered: there are a handful.

use crate::id::TaskId;
use crate::time::Instant;

/// The precise waits of one core.
#[derive(Default)]
pub(crate) struct PreciseWaits(Vec<(Instant, TaskId)>);

impl PreciseWaits {
    /// When the next of them ends.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(instant, _)| *instant).min()
    }

    /// Takes out a task whose instant has come.
    #[inline]
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<TaskId> {
        let due = self.0.iter().position(|(instant, _)| *instant <= now)?;
        Some(self.0.swap_remove(due).1)
    }

    pub(crate) fn insert(&mut self, instant: Instant, task: TaskId) {
        self.0.push((instant, task));
    }

    pub(crate) fn remove(&mut self, instant: Instant, task: TaskId) {
        self.0.retain(|entry| *entry != (instant, task));
    }
}
