//! Sizes and durations as an operator writes them: a whole number followed by a unit, such as `256MiB` or `10s`.
//!
//! **Not**: a parser of fractions, signs, spaces or several terms (`1h30m`). One spelling per value keeps files searchable.
//!
//! **Invariants**: what [`format_bytes`] and [`format_duration`] write is read back as the same value. Nothing overflows:
//! a number too large for `u64` (bytes, nanoseconds) is no quantity.
//!
//! **Source**: IEC 80000-13 for the binary prefixes.

use std::time::Duration;

/// One kibibyte, in bytes.
pub const KIB: u64 = 1 << 10;
/// One mebibyte, in bytes.
pub const MIB: u64 = 1 << 20;
/// One gibibyte, in bytes.
pub const GIB: u64 = 1 << 30;
/// One tebibyte, in bytes.
pub const TIB: u64 = 1 << 40;

/// Units of size with their bytes. The binary ones come first and largest first: formatting takes the first that divides.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", TIB),
    ("GiB", GIB),
    ("MiB", MIB),
    ("KiB", KIB),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Units of duration with their nanoseconds, largest first.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("d", 86_400 * SECOND_NS),
    ("h", 3_600 * SECOND_NS),
    ("m", 60 * SECOND_NS),
    ("s", SECOND_NS),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SECOND_NS: u64 = 1_000_000_000;

/// The units a size may have, as an error message lists them.
pub(super) const BYTE_UNITS_TEXT: &str = "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB";
/// The units a duration may have, as an error message lists them.
pub(super) const DURATION_UNITS_TEXT: &str = "ns, us, ms, s, m, h, d";

/// Reads a size such as `16KiB`; `None` when it is not one or does not fit 64 bits. The result is in bytes.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    parse_scaled(text, &BYTE_UNITS)
}

/// Reads a duration such as `250ms`; `None` when it is not one or its nanoseconds do not fit 64 bits (584 years).
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse_scaled(text, &DURATION_UNITS).map(Duration::from_nanos)
}

/// Reads a plain number: ASCII digits only, no sign; `None` otherwise or when it does not fit 64 bits.
#[must_use]
pub fn parse_count(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Writes a size with the largest binary unit that divides it. `bytes` is any number.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    format_scaled(bytes, &BYTE_UNITS, "B")
}

/// Writes a duration with the largest unit that divides it. Durations over 584 years are written as that bound, which
/// no setting reaches.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    format_scaled(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), &DURATION_UNITS, "s")
}

fn parse_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digit_count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digit_count);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

fn format_scaled(amount: u64, units: &[(&str, u64)], unit_of_zero: &str) -> String {
    if amount == 0 {
        return format!("0{unit_of_zero}");
    }
    let (name, scale) =
        units.iter().find(|(_, scale)| amount.is_multiple_of(*scale)).expect("each list holds a unit of scale one");
    format!("{}{name}", amount / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [
            ("0B", Some(0)),
            ("1B", Some(1)),
            ("16KiB", Some(16 * KIB)),
            ("256MiB", Some(256 * MIB)),
            ("2GiB", Some(2 * GIB)),
            ("3TiB", Some(3 * TIB)),
            ("4KB", Some(4_000)),
            ("5MB", Some(5_000_000)),
            ("6GB", Some(6_000_000_000)),
            ("18446744073709551615B", Some(u64::MAX)),
            ("18446744073709551616B", None),
            ("16777216TiB", None),
            ("16", None),
            ("KiB", None),
            ("", None),
            ("1.5GiB", None),
            ("-1B", None),
            ("+1B", None),
            ("1 KiB", None),
            ("1kib", None),
            ("1KiBs", None),
            ("1s", None),
            ("١KiB", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, ns) in [
            ("0s", Some(0)),
            ("7ns", Some(7)),
            ("7us", Some(7_000)),
            ("250ms", Some(250_000_000)),
            ("10s", Some(10 * SECOND_NS)),
            ("2m", Some(120 * SECOND_NS)),
            ("1h", Some(3_600 * SECOND_NS)),
            ("1d", Some(86_400 * SECOND_NS)),
            ("213504d", None),
            ("10", None),
            ("s", None),
            ("1h30m", None),
            ("1.5s", None),
            ("-1s", None),
            ("1 s", None),
            ("1S", None),
        ] {
            assert_eq!(parse_duration(text), ns.map(Duration::from_nanos), "{text:?}");
        }
    }

    #[test]
    fn counts_are_digits_only() {
        for (text, count) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1_0", None),
            ("1k", None),
        ] {
            assert_eq!(parse_count(text), count, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [0, 1, 1023, 1024, 1025, 1_000_000, 64 * MIB, 3 * GIB, 5 * TIB, u64::MAX] {
            assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
            let duration = Duration::from_nanos(bytes);
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
        assert_eq!(format_bytes(16 * KIB), "16KiB");
        assert_eq!(format_bytes(1_000_000), "1000000B");
        assert_eq!(format_duration(Duration::from_secs(75)), "75s");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }
}
