//! A running service, live: what `corectl top` shows.
//!
//! ```text
//!  /v1/status, /metrics ─▶ Sample ─┬─▶ TopView (what happened between two) ─▶ draw
//!  the same, a second later ───────┘
//! ```
//!
//! **Not**: how a process is asked, or a terminal; the verb does both.

mod asker;
mod draw;
mod histogram;
mod sample;
#[cfg(test)]
mod tests;
mod view;

pub use asker::Asker;
pub use draw::{draw, drawn};
pub use sample::{Sample, SampleError};
pub use view::{RateHistory, TopView};
