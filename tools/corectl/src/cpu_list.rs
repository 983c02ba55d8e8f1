//! Sets of CPUs as the kernel writes them: lists (`0-3,8`) and masks (`f,00000001`).
//!
//! **Invariants**: ascending, without repetition; at most [`CPU_MAX`].
//!
//! **Source**: cpuset(7), "Mask format" and "List format".

use std::fmt;

/// The largest CPU number that is believed: the kernel's own limit is 8192 CPUs.
pub const CPU_MAX: u32 = 8191;

/// Bits of one comma-separated group of a mask.
const MASK_GROUP_BITS: u32 = 32;

/// CPUs in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuList(Vec<u32>);

impl CpuList {
    /// The CPUs of a slice, in whatever order they are.
    #[must_use]
    pub fn of(cpus: &[u32]) -> Self {
        let mut cpus = cpus.to_vec();
        cpus.sort_unstable();
        cpus.dedup();
        CpuList(cpus)
    }

    /// Reads `0-3,8`. Empty text is the empty set; `None` when it is no list.
    #[must_use]
    pub fn from_list(text: &str) -> Option<Self> {
        let mut cpus = Vec::new();
        for part in text.trim().split(',').filter(|part| !part.trim().is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if first > last || last > CPU_MAX {
                return None;
            }
            cpus.extend(first..=last);
        }
        Some(Self::of(&cpus))
    }

    /// Reads `f,00000001`. `None` when it is no mask.
    #[must_use]
    pub fn from_mask(text: &str) -> Option<Self> {
        let mut cpus = Vec::new();
        for (group, digits) in (0..).zip(text.trim().rsplit(',')) {
            let bits = u32::from_str_radix(digits.trim(), 16).ok()?;
            let set = (0..MASK_GROUP_BITS).filter(|bit| bits >> bit & 1 == 1);
            cpus.extend(set.map(|bit| group * MASK_GROUP_BITS + bit));
        }
        cpus.iter().all(|&cpu| cpu <= CPU_MAX).then(|| Self::of(&cpus))
    }

    /// As the kernel takes a mask: groups of 32 bits, the highest first.
    #[must_use]
    pub fn to_mask(&self) -> String {
        let groups = self.0.last().map_or(1, |last| last / MASK_GROUP_BITS + 1);
        let mut bits = vec![0_u32; groups as usize];
        for cpu in &self.0 {
            bits[(cpu / MASK_GROUP_BITS) as usize] |= 1 << (cpu % MASK_GROUP_BITS);
        }
        let mut digits = bits.iter().rev().map(|group| format!("{group:08x}"));
        let first = digits.next().unwrap_or_default();
        let first = first.trim_start_matches('0');
        let first = if first.is_empty() { "0".to_owned() } else { first.to_owned() };
        std::iter::once(first).chain(digits).collect::<Vec<_>>().join(",")
    }

    /// The CPUs.
    #[must_use]
    pub fn cpus(&self) -> &[u32] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        let mut separator = "";
        while let Some(&first) = rest.first() {
            let run = (first..).zip(rest).take_while(|(expected, found)| expected == *found).count();
            let last = rest[run - 1];
            match run {
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            (rest, separator) = (&rest[run..], ",");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_masks_are_the_same_sets() {
        for (list, mask) in [
            ("", "0"),
            ("0", "1"),
            ("0-3,8", "10f"),
            ("31-32", "1,80000000"),
            ("64,127", "80000000,00000001,00000000,00000000"),
        ] {
            let set = CpuList::from_list(list).unwrap();
            assert_eq!(set.to_string(), list);
            assert_eq!(set.to_mask(), mask);
            assert_eq!(CpuList::from_mask(mask), Some(set));
        }
        assert_eq!(CpuList::from_mask("ff,ffffffff\n").unwrap().to_string(), "0-39");
        assert_eq!(CpuList::from_list(" 3,1-2,2\n").unwrap().to_string(), "1-3");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["a", "3-1", "1-", "0-100000", "-1"] {
            assert_eq!(CpuList::from_list(text), None, "{text}");
        }
        for text in ["", "g", "1,,1", "123456789"] {
            assert_eq!(CpuList::from_mask(text), None, "{text}");
        }
    }
}
