//! Numbers as people read them.

use perf_basis::judge::Spread;

/// Microseconds, with the digits that tell something: `3.60 µs`, `250 µs`, `1.25 ms`.
pub(super) fn us(us: f64) -> String {
    match us {
        _ if us < 10.0 => format!("{us:.2} µs"),
        _ if us < 100.0 => format!("{us:.1} µs"),
        _ if us < 1e3 => format!("{us:.0} µs"),
        _ if us < 1e4 => format!("{:.2} ms", us / 1e3),
        _ if us < 1e6 => format!("{:.1} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// Memory: `812 KiB`, `14.2 MiB`, `3.10 GiB`.
pub(super) fn bytes(bytes: f64) -> String {
    let kib = bytes / 1024.0;
    match kib {
        _ if kib < 1024.0 => format!("{kib:.0} KiB"),
        _ if kib < 1024.0 * 1024.0 => format!("{:.1} MiB", kib / 1024.0),
        _ => format!("{:.2} GiB", kib / 1024.0 / 1024.0),
    }
}

/// A whole number with its thousands apart: `228,666`.
pub(super) use perf_basis::table::grouped as count;

/// Median, and the extremes when there is more than one.
pub(super) fn spread(spread: Option<Spread>, shown: impl Fn(f64) -> String) -> String {
    match spread {
        None => "–".to_owned(),
        Some(it) if it.min < it.max => format!("{} ({} to {})", shown(it.median), shown(it.min), shown(it.max)),
        Some(it) => shown(it.median),
    }
}

/// A ratio: `1.064`.
pub(super) fn ratio(ratio: f64) -> String {
    format!("{ratio:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let times = [(3.6, "3.60 µs"), (42.0, "42.0 µs"), (250.4, "250 µs"), (1250.0, "1.25 ms"), (2e6, "2.00 s")];
        times.iter().for_each(|(value, text)| assert_eq!(us(*value), *text));
        let counts = [(7.0, "7"), (999.6, "1,000"), (228_666.0, "228,666"), (1_000_000.0, "1,000,000")];
        counts.iter().for_each(|(value, text)| assert_eq!(count(*value), *text));
        let sizes = [(831_488.0, "812 KiB"), (14_889_779.0, "14.2 MiB"), (3_328_599_654.0, "3.10 GiB")];
        sizes.iter().for_each(|(value, text)| assert_eq!(bytes(*value), *text));
    }
}
