//! What a process knows of itself and of what started it. Made before its cores are, and only reported and used by its control core.
//!
//! **Not** settings: nothing of it can be set by an operator's keys alone.
//!
//! **Invariants**: a simulated process has none of it ([`ProcessContext::default`]).

use crate::notify::NotifyPlan;

/// What a process knows of itself.
#[derive(Clone, Debug, Default)]
pub struct ProcessContext {
    /// The CPU that the control thread is pinned to; `None` leaves it to the scheduler.
    pub control_cpu: Option<usize>,
    /// Who is told of its life; `None` where no service manager asked for it.
    pub notify: Option<NotifyPlan>,
}
