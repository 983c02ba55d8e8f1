//! The one judge: what measurements show, and whether it is more than noise.
//!
//! | module | question | answer |
//! |---|---|---|
//! | `spread` | what do the rounds show? | median, smallest, largest |
//! | `paired` | is B slower than A, by pairs measured side by side? | [`PairComparison`]: verdict, ratio, 95 % interval |
//! | `estimate` | is a ratio that of the baseline, measured at another time? | [`PairComparison`] |
//! | `gate` | does a figure lie where it has to? | pass, fail, or why it is not judged |
//!
//! **Not**: I/O.
//!
//! **Invariants**: figures are better when they are smaller. Without a difference beyond noise the verdict is
//! [`ComparisonVerdict::CannotTell`].

mod estimate;
mod gate;
mod paired;
mod spread;

pub use estimate::{Estimate, ROUNDS_MIN};
pub use gate::{Bound, GateCheck, GateResult, Unit, all_hold, table};
pub use paired::{PAIRS_MIN, compare_pairs};
use serde::Serialize;
pub use spread::Spread;

/// What a comparison of two figures shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonVerdict {
    /// The second figure is smaller.
    Faster,
    /// It is larger.
    Slower,
    /// Noise alone explains what is seen.
    CannotTell,
}

impl ComparisonVerdict {
    /// The verdict as text, said of the second one.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::CannotTell => "cannot tell",
        }
    }

    /// The verdict on a figure that was `before` and is `now`, if it may differ by a share of `allowed`.
    pub fn of_change(before: f64, now: f64, allowed: f64) -> Self {
        match now {
            now if now > before * (1.0 + allowed) => Self::Slower,
            now if now < before * (1.0 - allowed) => Self::Faster,
            _ => Self::CannotTell,
        }
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairComparison {
    /// Whether the second figure is better than the first.
    pub verdict: ComparisonVerdict,
    /// The second figure divided by the first.
    pub ratio: f64,
    /// Where that ratio lies: with 95 % confidence for pairs, within three standard errors for estimates.
    pub interval: (f64, f64),
    /// How often chance alone is as far off; none where only the interval decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}
