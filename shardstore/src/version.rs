//! Versions and the hybrid logical clock that makes them.
//!
//! ```text
//!   63                                              18 17        6 5      0
//!  ├───────────────────────────────────────────────────┼────────────┼────────┤
//!  │ milliseconds since 1970 (46; until the year 4199) │ counter 12 │region 6│
//!  └───────────────────────────────────────────────────┴────────────┴────────┘
//! ```
//!
//! Compared as whole numbers, versions order by time, then by counter, then by region. When 4096 versions were made in
//! one millisecond, the counter carries into the milliseconds, and the clock runs ahead of the wall until that catches up.
//!
//! **Not**: reading a clock; the caller hands in the time.
//!
//! **Invariants**: every version a clock makes is greater than every one it made or observed before, also when the time
//! handed in stands still or steps back.
//!
//! **Source**: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.

use std::fmt;

use thiserror::Error;

const REGION_BITS: u32 = 6;
const COUNTER_BITS: u32 = 12;
const MS_BITS: u32 = 46;

const _: () = assert!(REGION_BITS + COUNTER_BITS + MS_BITS == u64::BITS);

/// Largest region number.
pub const REGION_MAX: u8 = (1 << REGION_BITS) - 1;

/// How far ahead of our time a peer's version may be, in milliseconds. One minute is far more than clocks kept by NTP
/// differ, and small enough that one peer with a wrong clock cannot push everybody's versions years ahead.
pub const AHEAD_MS_MAX: u64 = 60_000;

/// Which write a value comes from; greater is newer. 0 is older than every write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version with these bits, as the wire and the item header carry them.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits that the wire and the item header carry.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Milliseconds since 1970, below 2^46.
    #[inline]
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 >> (COUNTER_BITS + REGION_BITS)
    }

    /// Position within the millisecond, below 4096.
    #[inline]
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 >> REGION_BITS) as u16 & ((1 << COUNTER_BITS) - 1)
    }

    /// The region whose clock made it, 0 to [`REGION_MAX`].
    #[inline]
    #[must_use]
    pub const fn region(self) -> u8 {
        self.0 as u8 & REGION_MAX
    }
}

/// Under which state of its key an operation is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Any,
    /// Only if there is no item (`If-None-Match: *`).
    Absent,
    /// Only if there is one (`If-Match: *`).
    Present,
    /// Only if the item has exactly this version (`If-Match: "<version>"`).
    VersionEquals(Version),
}

impl Condition {
    /// Whether the condition holds for a key whose living item has this version.
    #[must_use]
    pub fn holds(self, current: Option<Version>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::VersionEquals(version) => current == Some(version),
        }
    }
}

impl fmt::Display for Version {
    /// The decimal number; what an `ETag` shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a clock did not accept a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClockError {
    /// The peer's clock (or ours) is wrong by more than [`AHEAD_MS_MAX`]; the operator is at fault.
    #[error("a version is {ahead_ms} ms ahead of this host's time; check the clocks of both hosts")]
    Ahead {
        /// By how much, in milliseconds.
        ahead_ms: u64,
    },
}

/// The clock of one shard.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Milliseconds and counter of the greatest version made or observed.
    last: u64,
    region: u8,
}

impl Clock {
    /// A clock that makes versions of one region.
    ///
    /// # Panics
    ///
    /// When `region` is above [`REGION_MAX`].
    #[must_use]
    pub const fn new(region: u8) -> Self {
        assert!(region <= REGION_MAX, "a region has 6 bits");
        Self { last: 0, region }
    }

    /// Makes the next version. `now_ms`: unix milliseconds; what exceeds 46 bits is cut to them.
    ///
    /// # Panics
    ///
    /// When all versions are used up, in the year 4199.
    #[inline]
    pub const fn tick(&mut self, now_ms: u64) -> Version {
        let wall = clamp_ms(now_ms) << COUNTER_BITS;
        self.last = if wall > self.last { wall } else { self.last + 1 };
        assert!(self.last >> (COUNTER_BITS + MS_BITS) == 0, "46 bits of milliseconds last until the year 4199");
        Version(self.last << REGION_BITS | self.region as u64)
    }

    /// A version that none that was made or observed exceeds, and that every later [`Clock::tick`] does.
    #[must_use]
    pub const fn latest(&self) -> Version {
        Version(self.last << REGION_BITS | REGION_MAX as u64)
    }

    /// Takes note of a version made elsewhere: every later [`Clock::tick`] is greater.
    ///
    /// # Errors
    ///
    /// [`ClockError::Ahead`] when the version is too far in the future; the clock is unchanged.
    #[inline]
    pub const fn observe(&mut self, version: Version, now_ms: u64) -> Result<(), ClockError> {
        let ahead_ms = version.ms().saturating_sub(clamp_ms(now_ms));
        if ahead_ms > AHEAD_MS_MAX {
            return Err(ClockError::Ahead { ahead_ms });
        }
        let seen = version.0 >> REGION_BITS;
        if seen > self.last {
            self.last = seen;
        }
        Ok(())
    }
}

const fn clamp_ms(now_ms: u64) -> u64 {
    let ms_max = (1 << MS_BITS) - 1;
    if now_ms > ms_max { ms_max } else { now_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_lie_where_the_picture_says() {
        let version = Version::from_bits(1_700_000_000_000 << 18 | 5 << 6 | 9);
        assert_eq!((version.ms(), version.counter(), version.region()), (1_700_000_000_000, 5, 9));
        assert_eq!(Clock::new(9).tick(1_700_000_000_000).bits(), 1_700_000_000_000 << 18 | 9);
    }

    #[test]
    fn versions_grow_whatever_the_time_does() {
        let mut clock = Clock::new(3);
        let mut last = Version::default();
        // Standing still for more than a counter's worth, stepping back, jumping, the first and the last instant.
        let times = [7, 7, 0, 9, 8].into_iter().chain(std::iter::repeat_n(9, 10_000)).chain([10, 5_000, 1]);
        for now_ms in times {
            let version = clock.tick(now_ms);
            assert!(version > last, "{version} after {last} at {now_ms}");
            assert_eq!(version.region(), 3);
            last = version;
        }
        assert_eq!(last.ms(), 5_000);
    }

    #[test]
    fn a_full_counter_carries_into_the_milliseconds() {
        let mut clock = Clock::new(0);
        let versions: Vec<_> = (0..4097).map(|_| clock.tick(100)).collect();
        assert_eq!((versions[4095].ms(), versions[4095].counter()), (100, 4095));
        assert_eq!((versions[4096].ms(), versions[4096].counter()), (101, 0));
    }

    #[test]
    fn an_observed_version_is_passed() {
        let mut clock = Clock::new(0);
        let theirs = Version::from_bits(u64::MAX >> 46 | 1_000 << 18);
        assert_eq!(clock.observe(theirs, 900), Ok(()));
        assert!(clock.tick(900) > theirs);
        assert_eq!(clock.observe(Version::from_bits(1), 900), Ok(()));
        assert!(clock.tick(0) > theirs, "an older version takes nothing back");
    }

    #[test]
    fn the_latest_version_lies_between_what_was_and_what_comes() {
        let mut clock = Clock::new(3);
        let made = clock.tick(100);
        assert!(made <= clock.latest());
        let observed = Version::from_bits(200 << 18 | 7 << 6 | 63);
        clock.observe(observed, 150).unwrap();
        let latest = clock.latest();
        assert!(observed <= latest && clock.tick(150) > latest);
    }

    #[test]
    fn a_version_from_the_far_future_is_refused() {
        let mut clock = Clock::new(0);
        let edge = Version::from_bits((1_000 + AHEAD_MS_MAX) << 18);
        assert_eq!(clock.observe(edge, 1_000), Ok(()));
        let mut clock = Clock::new(0);
        assert_eq!(clock.observe(edge, 999), Err(ClockError::Ahead { ahead_ms: AHEAD_MS_MAX + 1 }));
        assert_eq!(clock.tick(5).ms(), 5);
        assert!(clock.observe(Version::from_bits(u64::MAX), 5).is_err());
    }
}
