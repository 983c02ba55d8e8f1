//! How large values are: all alike, or drawn from a histogram.
//!
//! **Not**: which key has which size; the caller hands in a number that is even over 0 to 2^64, such as a hash of the key.
//!
//! **Invariants**: the same number gives the same size; a size drawn is one that the file names, and a size comes as often
//! as the file says.
//!
//! **Source**: the `sizes.json` files of CacheLib's cachebench (`test_configs/hit_ratio`).

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::compressed;

/// Value sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// Every value has this many bytes.
    Fixed(u32),
    /// As often as a histogram says.
    Drawn(Histogram),
}

/// Sizes with how often each comes.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bytes: Vec<u32>,
    /// By size: the share of all values up to and including it, as a part of 2^64; the last is all of it.
    up_to: Vec<u64>,
    mean: f64,
}

/// The file, as cachebench writes it. Ranges of a size each: `valSizeRange` may have one entry more than there are
/// counts, and then a value's size lies between an entry and the next.
#[derive(Deserialize)]
struct HistogramFile {
    #[serde(rename = "valSizeRange")]
    sizes: Vec<f64>,
    #[serde(rename = "valSizeRangeProbability")]
    counts: Vec<f64>,
}

impl Sizes {
    /// Reads a histogram; .gz, .xz and .zst are decompressed.
    ///
    /// # Errors
    /// The file cannot be read or is none; the message names it, what is wrong, and the line where JSON breaks off.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        Histogram::parse(&text).map(Self::Drawn).with_context(|| path.display().to_string())
    }

    /// The size that a number stands for.
    #[inline]
    pub fn of(&self, number: u64) -> u32 {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Drawn(histogram) => histogram.of(number),
        }
    }

    /// Mean in bytes.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed(bytes) => f64::from(*bytes),
            Self::Drawn(histogram) => histogram.mean,
        }
    }

    /// The largest that can come.
    pub fn largest(&self) -> u32 {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Drawn(histogram) => *histogram.bytes.last().expect("a histogram has a size"),
        }
    }
}

/// The whole of a text file, decompressed.
///
/// # Errors
/// It cannot be read, or is no UTF-8; the message names it.
pub fn read_text(path: &Path) -> Result<String> {
    ensure!(!fs::metadata(path).is_ok_and(|meta| meta.is_dir()), "{} is a folder; name a file in it", path.display());
    let mut text = String::new();
    let mut source = compressed::open(path)?;
    source.read_to_string(&mut text).with_context(|| format!("{} could not be read as text", path.display()))?;
    Ok(text)
}

impl Histogram {
    fn parse(text: &str) -> Result<Self> {
        let file: HistogramFile = serde_json::from_str(text).context(
            "not a histogram of sizes; it takes {\"valSizeRange\": [bytes, …], \"valSizeRangeProbability\": [count, …]}",
        )?;
        let (sizes, counts) = (file.sizes, file.counts);
        ensure!(!counts.is_empty(), "valSizeRangeProbability is empty; give a count for every size");
        ensure!(
            sizes.len() == counts.len() || sizes.len() == counts.len() + 1,
            "valSizeRange has {} entries and valSizeRangeProbability {}; give as many, or one size more",
            sizes.len(),
            counts.len()
        );
        for (at, size) in sizes.iter().enumerate() {
            let fits = *size >= 0.0 && *size <= f64::from(u32::MAX);
            ensure!(fits, "valSizeRange: entry {} is {size}; a size is 0 to {} bytes", at + 1, u32::MAX);
        }
        for (at, count) in counts.iter().enumerate() {
            let fits = *count >= 0.0 && count.is_finite();
            ensure!(fits, "valSizeRangeProbability: entry {} is {count}; a count is 0 or more", at + 1);
        }
        ensure!(counts.iter().sum::<f64>() > 0.0, "all of valSizeRangeProbability is 0; give a count above 0");
        Ok(Self::of_pairs(&sizes, &counts))
    }

    fn of_pairs(sizes: &[f64], counts: &[f64]) -> Self {
        let mut pairs: Vec<(u32, f64)> = if sizes.len() == counts.len() {
            sizes.iter().zip(counts).map(|(size, count)| (*size as u32, *count)).collect()
        } else {
            // Ranges: their middle, so that the mean is kept.
            let middles = sizes.windows(2).map(|ends| f64::midpoint(ends[0], ends[1]) as u32);
            middles.zip(counts).map(|(size, count)| (size, *count)).collect()
        };
        pairs.retain(|(_, count)| *count > 0.0);
        pairs.sort_by_key(|(size, _)| *size);
        let total: f64 = pairs.iter().map(|(_, count)| count).sum();
        let mean = pairs.iter().map(|(size, count)| f64::from(*size) * count).sum::<f64>() / total;
        let mut sum = 0.0;
        let mut up_to: Vec<u64> = Vec::with_capacity(pairs.len());
        for (_, count) in &pairs {
            sum += count;
            // `as` stops at the largest number.
            up_to.push((sum / total * 2f64.powi(64)) as u64);
        }
        // Rounding must not leave numbers beyond the last size.
        *up_to.last_mut().expect("a count is above 0") = u64::MAX;
        Self { bytes: pairs.iter().map(|(size, _)| *size).collect(), up_to, mean }
    }

    #[inline]
    fn of(&self, number: u64) -> u32 {
        self.bytes[self.up_to.partition_point(|end| *end < number).min(self.bytes.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mixed;

    const TEXT: &str = r#"{"valSizeRange": [100, 1000, 10], "valSizeRangeProbability": [60, 1, 39]}"#;

    #[test]
    fn what_is_drawn_has_the_mean_and_the_percentiles_of_the_file() {
        let sizes = Sizes::Drawn(Histogram::parse(TEXT).unwrap());
        let mut drawn: Vec<u32> = (0..1_000_000).map(|number| sizes.of(mixed(number))).collect();
        let mean = drawn.iter().map(|size| f64::from(*size)).sum::<f64>() / 1e6;
        assert!((sizes.mean() - 73.9).abs() < 1e-9, "{}", sizes.mean());
        assert!((mean / 73.9 - 1.0).abs() < 0.01, "{mean}");
        drawn.sort_unstable();
        let percentile = |part: f64| drawn[(part * 1e6) as usize];
        assert_eq!([0.38, 0.40, 0.50, 0.98, 0.995].map(percentile), [10, 100, 100, 100, 1000]);
        assert_eq!((sizes.of(0), sizes.of(u64::MAX), sizes.largest()), (10, 1000, 1000));
    }

    #[test]
    fn the_sizes_of_ranges_are_their_middles() {
        let ranges = r#"{"valSizeRange": [1, 9, 21], "valSizeRangeProbability": [1, 0]}"#;
        assert_eq!(Sizes::Drawn(Histogram::parse(ranges).unwrap()).of(77), 5);
    }

    #[test]
    fn bad_files_are_refused_with_what_is_wrong() {
        for (text, expected) in [
            ("{", "line 1"),
            ("{}", "valSizeRange"),
            (r#"{"valSizeRange": [], "valSizeRangeProbability": []}"#, "is empty"),
            (r#"{"valSizeRange": [1, 2, 3], "valSizeRangeProbability": [1]}"#, "3 entries and"),
            (r#"{"valSizeRange": [1, -2], "valSizeRangeProbability": [1, 1]}"#, "entry 2 is -2"),
            (r#"{"valSizeRange": [1, 2], "valSizeRangeProbability": [1, -1]}"#, "entry 2 is -1"),
            (r#"{"valSizeRange": [1], "valSizeRangeProbability": [0]}"#, "above 0"),
        ] {
            let error = format!("{:#}", Histogram::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = format!("{:#}", Sizes::read(Path::new("/nowhere/sizes.json")).unwrap_err());
        assert!(error.contains("/nowhere/sizes.json"), "{error}");
    }
}
