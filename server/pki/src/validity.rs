//! When a certificate holds, and when it is renewed.
//!
//! **Not** a clock: `now` is brought by the caller.

use std::time::Duration;

use time::OffsetDateTime;

use crate::error::PkiError;

/// How far back a validity begins, for hosts whose clocks are late.
const BACKDATED_SECONDS: u64 = 3600;

/// The end of year 9999: the last time that X.509 can write.
const LATEST: u64 = 253_402_300_799;

/// A span of time, both ends in it, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: u64,
    /// The last second.
    pub until: u64,
}

impl Validity {
    /// From an hour before `now`, for clocks that are late, until `lifetime` after it.
    #[must_use]
    pub fn starting(now: u64, lifetime: Duration) -> Self {
        Self { from: now.saturating_sub(BACKDATED_SECONDS), until: now.saturating_add(lifetime.as_secs()) }
    }

    /// Whether `now` is in it.
    #[must_use]
    pub fn contains(self, now: u64) -> bool {
        (self.from..=self.until).contains(&now)
    }

    /// Whether it is time to renew: a third of the lifetime or less is left.
    ///
    /// Two thirds of use leave a third for whoever has to notice that renewing fails.
    #[must_use]
    pub fn is_renewal_due(self, now: u64) -> bool {
        self.until.saturating_sub(now) <= self.until.saturating_sub(self.from) / 3
    }

    /// Seconds that are left; 0 when it has ended.
    #[must_use]
    pub fn seconds_left(self, now: u64) -> u64 {
        self.until.saturating_sub(now)
    }

    /// The ends as the library takes them.
    ///
    /// # Errors
    /// It is empty, or X.509 cannot write it. The operator is at fault.
    pub(crate) fn ends(self) -> Result<(OffsetDateTime, OffsetDateTime), PkiError> {
        let wrong = || PkiError::Validity { from: self.from, until: self.until };
        if self.from >= self.until || self.until > LATEST {
            return Err(wrong());
        }
        let time = |seconds: u64| {
            let seconds = i64::try_from(seconds).map_err(|_| wrong())?;
            OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| wrong())
        };
        Ok((time(self.from)?, time(self.until)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_due_when_a_third_is_left() {
        let validity = Validity { from: 1000, until: 1900 };
        for (now, due) in [(0, false), (1000, false), (1599, false), (1600, true), (1900, true), (5000, true)] {
            assert_eq!(validity.is_renewal_due(now), due, "{now}");
        }
        // A lifetime of nothing, and one turned round, are always due.
        assert!(Validity { from: 10, until: 10 }.is_renewal_due(10));
        assert!(Validity { from: 20, until: 10 }.is_renewal_due(10));
    }

    #[test]
    fn it_begins_before_now_and_holds_at_both_ends() {
        let validity = Validity::starting(10_000, Duration::from_secs(500));
        assert_eq!(validity, Validity { from: 6_400, until: 10_500 });
        assert!(validity.contains(6_400) && validity.contains(10_500));
        assert!(!validity.contains(6_399) && !validity.contains(10_501));
        assert_eq!((validity.seconds_left(10_400), validity.seconds_left(20_000)), (100, 0));
        assert_eq!(Validity::starting(5, Duration::from_secs(1)).from, 0);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert!(Validity { from: 5, until: 6 }.ends().is_ok());
        for (from, until) in [(6, 6), (7, 6), (0, LATEST + 1), (0, u64::MAX)] {
            assert!(Validity { from, until }.ends().is_err(), "{from} {until}");
        }
    }
}
