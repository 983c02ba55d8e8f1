//! HdrHistogram interval logs: `latency.hlog`, in nanoseconds.
//!
//! **Invariants**: a log that is read is whole and has at least one histogram; several are added up.
//!
//! **Source**: HdrHistogram's `HistogramLogWriter`; the crate `hdrhistogram`, `serialization::interval_log`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, LogIteratorError,
};

/// Reads a log as one histogram.
pub(crate) fn read(path: &Path) -> Result<Histogram<u64>> {
    let bytes = std::fs::read(path).with_context(|| format!("{} could not be read", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is no log of latencies, or only a part of one", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Histogram<u64>> {
    let mut sum: Option<Histogram<u64>> = None;
    for entry in IntervalLogIterator::new(bytes) {
        let interval = match entry {
            Ok(LogEntry::Interval(interval)) => interval,
            Ok(_) => continue,
            Err(LogIteratorError::ParseError { offset }) => {
                bail!("what stands at byte {offset} is no line of such a log")
            }
        };
        let histogram = base64::decode(interval.encoded_histogram())?;
        match &mut sum {
            Some(sum) => add(sum, &histogram)?,
            None => sum = Some(histogram),
        }
    }
    sum.context("it has no histogram")
}

/// Adds a histogram to another, which grows if it must.
pub(crate) fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) -> Result<()> {
    sum.auto(true);
    sum.add(other).map_err(|error| anyhow!("two histograms cannot be added: {error}"))
}

/// A log with one histogram, which covers `span`.
pub(crate) fn write(histogram: &Histogram<u64>, span: Duration, comment: &str) -> Result<Vec<u8>> {
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment(comment)
        .begin_log_with(&mut bytes, &mut serializer)
        .context("the log of latencies could not be begun")?;
    writer
        .write_histogram(histogram, Duration::ZERO, span, None)
        .map_err(|error| anyhow!("the latencies could not be encoded: {error:?}"))?;
    Ok(bytes)
}

/// Histograms as text, as the log and the lines between agents have them.
pub(crate) mod base64 {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
    use serde::de::Error as _;
    use serde::{Deserialize, ser::Error as _};

    use crate::run::tally::histogram;

    /// The histogram of such a text.
    pub(super) fn decode(text: &str) -> anyhow::Result<Histogram<u64>> {
        let bytes = STANDARD.decode(text).map_err(|error| anyhow::anyhow!("a histogram is not base64: {error}"))?;
        let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
        histogram.map_err(|error| anyhow::anyhow!("a histogram cannot be decoded: {error}"))
    }

    pub(crate) fn serialize<S: serde::Serializer>(histogram: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(S::Error::custom)?;
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Histogram<u64>, D::Error> {
        let mut all = histogram();
        let told = decode(&String::deserialize(from)?).map_err(D::Error::custom)?;
        all.add(told).map_err(D::Error::custom)?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 100_000_000_000, 3).expect("the bounds make sense");
        (1..=1000).for_each(|us| histogram.saturating_record(us * 1000));
        histogram
    }

    #[test]
    fn what_is_written_is_read_again_and_intervals_are_added_up() {
        let bytes = write(&histogram(), Duration::from_secs(3), "a comment").expect("it is small");
        assert_eq!(parse(&bytes).expect("it was written so"), histogram());
        let line = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).expect("there is a histogram");
        let twice = [&bytes, line, b"\n"].concat();
        let read = parse(&twice).expect("it has two intervals");
        assert_eq!((read.len(), read.max()), (2000, histogram().max()));
    }

    /// Wherever a log is cut, it is an error; and no change of a byte makes a panic.
    #[test]
    fn parts_and_foreign_bytes_are_errors() {
        let bytes = write(&histogram(), Duration::from_secs(3), "a comment").expect("it is small");
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
        }
        for index in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[index] = changed[index].wrapping_add(1);
            let _ = parse(&changed);
        }
        for (foreign, why) in [(&b"hello\n"[..], "byte 0"), (b"", "no histogram"), (b"0.0,1.0,1.0,@@@\n", "base64")] {
            let error = format!("{:#}", parse(foreign).expect_err(why));
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
