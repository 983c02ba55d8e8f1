//! A running service, live: what `corectl top` shows.
//!
//! ```text
//!  /v1/status, /metrics ─▶ Sample ─┬─▶ TopView (what happened between two) ─▶ draw
//!  the same, a second later ───────┘
//! ```
//!
//! **Not**: asking, or a terminal; the verb does both.

mod draw;
mod histogram;
mod sample;
#[cfg(test)]
mod tests;
mod view;

pub use draw::{draw, drawn};
pub use sample::{Sample, SampleError};
pub use view::{RateHistory, TopView};
