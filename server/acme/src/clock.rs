//! The time of day: the one place that reads it.
//!
//! Validity of certificates is time of day, so deadlines are, too; a clock that is set changes when a wait ends, never whether.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The host's time of day; 0 where it is before 1970.
    pub(crate) fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "certificates end at a time of day; nothing here runs on a core")]
        let now = SystemTime::now();
        Self::from_duration(now.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The time that is `since` after the beginning of 1970.
    pub fn from_duration(since: Duration) -> Self {
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time `seconds` after (negative: before, which is taken as) the beginning of 1970.
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        UnixMillis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
    }

    /// This time as the standard library's.
    pub fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }

    /// `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        UnixMillis(self.0.saturating_add(Self::from_duration(span).0))
    }

    /// `span` earlier, 1970 at the earliest.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        UnixMillis(self.0.saturating_sub(Self::from_duration(span).0))
    }

    /// Time from `earlier` to this; zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
