//! Dates as HTTP writes them.
//!
//! **Not**: reading a clock; reading dates (no field that holds one is acted on: values carry versions, not times).
//! **Invariants**: always 29 bytes, always GMT.
//! **Source**: RFC 9110 section 5.6.7 (IMF-fixdate); Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

/// Bytes of `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const DATE_BYTES: usize = 29;

/// The value of a `Date` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpDate([u8; DATE_BYTES]);

/// The last second that has a four-digit year: 9999-12-31 23:59:59.
const LAST_SECOND: u64 = 253_402_300_799;
const DAY_S: u64 = 86_400;
const WEEKDAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

impl HttpDate {
    /// The date of a second since 1970-01-01 00:00:00 UTC. Beyond the year 9999 it stays at that year's last second.
    #[must_use]
    pub fn from_unix_seconds(unix_s: u64) -> Self {
        let unix_s = unix_s.min(LAST_SECOND);
        let (days, second) = (unix_s / DAY_S, unix_s % DAY_S);
        let (year, month, day) = civil(days);
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        let weekday = (days % 7) as usize * 3;
        text[0..3].copy_from_slice(&WEEKDAYS[weekday..weekday + 3]);
        put_two_digits(&mut text, 5, day);
        let name = (month as usize - 1) * 3;
        text[8..11].copy_from_slice(&MONTHS[name..name + 3]);
        put_two_digits(&mut text, 12, year / 100);
        put_two_digits(&mut text, 14, year % 100);
        put_two_digits(&mut text, 17, second / 3600);
        put_two_digits(&mut text, 20, second / 60 % 60);
        put_two_digits(&mut text, 23, second % 60);
        Self(text)
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; DATE_BYTES] {
        &self.0
    }
}

fn put_two_digits(text: &mut [u8; DATE_BYTES], at: usize, number: u64) {
    debug_assert!(number < 100);
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month (1 to 12) and day (1 to 31) of a day since 1970-01-01.
///
/// Counts from 0000-03-01, so that the leap day is the last of its year; 400 years are always 146,097 days.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_s: u64) -> String {
        String::from_utf8(HttpDate::from_unix_seconds(unix_s).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn known_dates() {
        for (unix_s, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(text(unix_s), want);
        }
    }

    /// Counts days one by one, as a calendar on the wall does.
    #[test]
    fn every_day_to_the_year_2400() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..(2400 - 1970) * 366 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
            day += 1;
            if day > last {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
