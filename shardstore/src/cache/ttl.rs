//! Classes of times to live: items that expire about together are written together, so that whole segments expire at once.
//!
//! ```text
//!  27 classes:  below 0.5 s │ 1 s │ 2 s │ 4 s │ … │ 1 min │ … │ 1 h │ … │ 12 d │ … │ 97 d │ longer │ never
//! ```
//!
//! The classes are spread evenly over the logarithm of the time to live, a factor of two each. Each that is in use keeps a segment
//! open in each queue, and one more for large values, so a small shard has fewer classes, which span more.
//!
//! **Not** exact: expiry is in each item's header, and looked at with each read.
//!
//! **Invariants**: an item that never expires is in a class of its own, where there is more than one class.
//!
//! **Source**: Yang, Yue, Rashmi, "Segcache", NSDI 2021 (TTL buckets).

/// Most classes of a shard.
pub(super) const CLASSES_MAX: usize = 27;

/// Data segments of a shard per class: open segments, which are half full on average, are then a sixteenth of it at most, with two
/// queues, and an eighth with large values of every class too; few shards see more than a handful of classes. A shard of few segments
/// has fewer to give away.
const SEGMENTS_PER_CLASS: u32 = 16;
const SEGMENTS_PER_CLASS_OF_FEW: u32 = 32;
const FEW_SEGMENTS: u32 = 256;

/// Times to live from here on are one class: 2^26 units of 250 ms are 194 days.
const SPAN_BITS: u32 = 26;
const UNIT_MS: u64 = 250;

const _: () = assert!(CLASSES_MAX as u32 == SPAN_BITS + 1, "a factor of two each, and one for ever");

/// The number of a class, below [`CLASSES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TtlClass(u8);

impl TtlClass {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a segment is opened for, for people who look: the time to live of its items at that moment, or large values of whatever
/// time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TtlGroup(u8);

impl TtlGroup {
    /// How many there are: one for each class of a shard that has all of them, and [`TtlGroup::LARGE`].
    pub(super) const COUNT: usize = CLASSES_MAX + 1;

    /// Values in chains.
    pub(super) const LARGE: Self = Self(CLASSES_MAX as u8);

    /// Names: times to live in seconds, up to which items are in the group, and beyond those of the one before.
    pub(super) const NAMES: [&str; Self::COUNT] = [
        "0.5", "1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "8192", "16384",
        "32768", "65536", "131072", "262144", "524288", "1048576", "2097152", "4194304", "8388608", "longer", "never",
        "large",
    ];

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The classes of a shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classes {
    count: u8,
}

impl Classes {
    /// As many as a shard of so many data segments can have.
    pub(super) const fn for_segments(data_segments: u32) -> Self {
        let per_class = if data_segments < FEW_SEGMENTS { SEGMENTS_PER_CLASS_OF_FEW } else { SEGMENTS_PER_CLASS };
        let count = data_segments / per_class;
        let count = if count == 0 { 1 } else { count };
        Self { count: if count > CLASSES_MAX as u32 { CLASSES_MAX as u8 } else { count as u8 } }
    }

    /// The group of a class: in a shard of few classes, which span more, that of its longest times to live.
    pub(super) const fn group(self, class: TtlClass) -> TtlGroup {
        let timed = self.count as u32 - 1;
        if class.0 as u32 >= timed {
            return TtlGroup(CLASSES_MAX as u8 - 1);
        }
        TtlGroup((((class.0 as u32 + 1) * SPAN_BITS).div_ceil(timed) - 1) as u8)
    }

    /// The class of an item that expires at `expire_ms` (0 for never), seen from `now_ms`.
    pub(super) fn of(self, expire_ms: u64, now_ms: u64) -> TtlClass {
        let timed = self.count - 1;
        if expire_ms == 0 || timed == 0 {
            return TtlClass(timed);
        }
        // The logarithm in 256ths, near enough: the bits below the highest stand for its fraction.
        let units = (expire_ms.saturating_sub(now_ms) / UNIT_MS).clamp(1, (1 << SPAN_BITS) - 1);
        let whole = units.ilog2();
        let fraction = (units << (u64::BITS - 1 - whole) << 1 >> (u64::BITS - 8)) as u32;
        let log = whole << 8 | fraction;
        TtlClass((log * u32::from(timed) / (SPAN_BITS << 8)) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn classes_grow_with_the_time_to_live_and_the_last_is_for_ever() {
        for (segments, count) in [(29, 1), (63, 1), (64, 2), (240, 7), (256, 16), (100_000, 27)] {
            let classes = Classes::for_segments(segments);
            assert_eq!(classes.count, count);
            assert_eq!(classes.of(0, NOW), TtlClass(count - 1));
            let mut seen = vec![TtlClass(0)];
            let mut ttl_ms = 1;
            while ttl_ms < 400 * 86_400_000 {
                let class = classes.of(NOW + ttl_ms, NOW);
                assert!(class.0 >= seen.last().unwrap().0, "{ttl_ms} ms");
                if class != *seen.last().unwrap() {
                    seen.push(class);
                }
                ttl_ms += ttl_ms / 16 + 1;
            }
            assert_eq!(seen.len() as u8, (count - 1).max(1), "every class but the last is used: {seen:?}");
        }
    }

    /// The table at the top of the module.
    #[test]
    fn classes_end_where_the_table_says() {
        let classes = Classes::for_segments(100_000);
        for class in 0..25_u8 {
            let end_ms = 500 * 2_u64.pow(u32::from(class));
            assert_eq!(classes.of(NOW + end_ms - 1, NOW), TtlClass(class), "just below {end_ms} ms");
            assert_eq!(classes.of(NOW + end_ms, NOW), TtlClass(class + 1), "{end_ms} ms");
        }
    }

    /// An item's group says how long it may live at least as long as it does.
    #[test]
    fn groups_are_named_by_their_longest_time_to_live() {
        for segments in [64, 240, 256, 300, 100_000] {
            let classes = Classes::for_segments(segments);
            let name = |expire_ms| TtlGroup::NAMES[classes.group(classes.of(expire_ms, NOW)).index()];
            assert_eq!(name(0), "never");
            for ttl_ms in [1_u64, 499, 500, 999, 60_000, 3_600_000, 86_400_000, 8_388_607_999] {
                let end_s = name(NOW + ttl_ms).parse::<f64>().unwrap_or(f64::INFINITY);
                assert!(ttl_ms as f64 / 1000.0 <= end_s, "{ttl_ms} ms is in {end_s} of {segments} segments");
                assert!(
                    segments < 100_000 || ttl_ms as f64 / 1000.0 >= end_s / 2.0 || end_s == 0.5,
                    "{ttl_ms} in {end_s}"
                );
            }
            assert_eq!(name(NOW + 8_388_608_000), "longer");
        }
    }

    #[test]
    fn a_class_spans_a_factor_of_two() {
        let classes = Classes::for_segments(100_000);
        for ttl_ms in [4_000_u64, 60_000, 3_600_000, 86_400_000] {
            let (class, much_longer) = (classes.of(NOW + ttl_ms, NOW), classes.of(NOW + 5 * ttl_ms / 2, NOW));
            assert_ne!(class, much_longer, "{ttl_ms} ms");
            assert!(classes.of(NOW + ttl_ms + ttl_ms / 8, NOW).0 <= class.0 + 1);
        }
        assert_eq!(classes.of(NOW - 5, NOW), TtlClass(0), "what has expired already");
    }
}
