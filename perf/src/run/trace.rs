//! A trace as load: the keys of recorded requests, asked for in their order, round and round.
//!
//! ```text
//!  requests   0 1 2 3 4 5 6 7 8 …        a key's number is its place in the order of first requests
//!  core 0     ^     ^     ^              3 cores take them in turn
//!  core 1       ^     ^     ^
//!  core 2         ^     ^     ^
//! ```
//!
//! Cores take requests in turn rather than keys for good: were keys split, a core with a hot one would have more of the trace
//! to ask for at the same rate, fall behind the others, and the distance between two requests for a key would no longer be the
//! recorded one. In an open loop cores keep abreast; a key's order is that of the trace but for requests that are under way at
//! the same time, as it is with several connections of one core.
//!
//! **Not** when a request comes: the scenario's rate says so, not the trace.
//!
//! **Invariants**: all cores together ask for every request of the trace once a round; the memory is bounded, see
//! [`BOUNDS`]; a key's size is that of its first request, for good.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::scenario::{Keys, ValueOptions};
use super::workload::VALUE_BYTES_MAX;
use crate::system::stop::StopSignal;
use perf_basis::compressed;
use perf_basis::progress::ProgressLine;
use perf_basis::trace::format;
use perf_basis::trace::{Builder, Trace, TraceBounds};

/// Longest trace: 4 bytes a request are 1 GiB (2 GiB while sizes are read), and 4 more a key with sizes. The table that
/// numbers the keys while they are read, some 40 bytes a key and the text of keys that are text, is gone before the run.
const BOUNDS: TraceBounds = TraceBounds { requests: 1 << 28, keys: 1 << 26, text_bytes: 4 << 30 };

/// Requests between looks whether somebody wants to stop.
const LOOK_STRIDE: u64 = 1 << 16;

/// The keys of a trace.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Of every request, in order.
    keys: Vec<u32>,
    /// How many different ones there are, numbered from 0.
    key_count: u64,
    /// Bytes of the value of every key; empty unless they are wanted.
    value_bytes: Vec<u32>,
}

impl Recorded {
    /// Reads the trace of a scenario, if it has one.
    pub(super) fn read(keys: &Keys, values: &ValueOptions, stop: &StopSignal) -> Result<Option<Self>> {
        let Some((path, format)) = keys.trace.as_deref().zip(keys.format) else { return Ok(None) };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let mut progress = ProgressLine::on_stderr(format!("reading {name}"));
        let mut looked = 0;
        let mut tick = |requests: u64| {
            progress.tick(requests, None);
            if requests - looked >= LOOK_STRIDE {
                looked = requests;
                stop.check()?;
            }
            Ok(())
        };
        let mut builder = Builder::within(BOUNDS);
        let place = || format!("keys.trace: {}", path.display());
        let mut source = open(path).context("keys.trace")?;
        format::read(format, &mut source, &mut builder, &mut tick).with_context(place)?;
        Self::of(builder.finish(), values.from_trace).with_context(place).map(Some)
    }

    fn of(trace: Trace, has_sizes: bool) -> Result<Self> {
        let key_count = trace.unique();
        let mut value_bytes = Vec::with_capacity(if has_sizes { key_count } else { 0 });
        for request in trace.requests().filter(|_| has_sizes) {
            // Keys are numbered as they come, so that the first request of the next key is the one that is not known.
            if request.id as usize == value_bytes.len() {
                let bytes = request.value_bytes;
                ensure!(
                    bytes as usize <= VALUE_BYTES_MAX,
                    "request {}: a value of {bytes} bytes, at most {VALUE_BYTES_MAX}; set values.from_trace = false, or cut \
                     the trace",
                    u64::from(request.at) + 1
                );
                value_bytes.push(bytes);
            }
        }
        let mut keys = trace.into_ids();
        keys.shrink_to_fit();
        Ok(Self { keys, key_count: key_count as u64, value_bytes })
    }

    /// Count of requests.
    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Count of different keys.
    pub(super) const fn key_count(&self) -> u64 {
        self.key_count
    }

    /// Bytes of the value of each key, if they were wanted.
    pub(super) fn value_bytes(&self) -> &[u32] {
        &self.value_bytes
    }
}

fn open(path: &Path) -> Result<Box<dyn std::io::BufRead>> {
    ensure!(!path.is_dir(), "{} is a folder; name a file in it", path.display());
    compressed::open(path)
}

/// A core's way through a trace.
#[derive(Debug)]
pub(super) struct TraceCursor {
    trace: Arc<Recorded>,
    at: usize,
    step: usize,
}

impl TraceCursor {
    /// The way of one core among `of`: every `of`-th request from `index` on.
    pub(super) fn new(trace: Arc<Recorded>, (index, of): (usize, usize)) -> Self {
        assert!(index < of && trace.len() > 0, "a core is one of all, and a trace has a request");
        Self { at: index % trace.len(), step: of, trace }
    }

    /// The next key.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        let key = self.trace.keys[self.at];
        self.at += self.step;
        if self.at >= self.trace.len() {
            self.at %= self.trace.len();
        }
        key.into()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;
    use perf_basis::trace::format::Format;

    /// A file of one test, gone with it.
    pub(in crate::run) struct File(pub(in crate::run) PathBuf);

    impl File {
        pub(in crate::run) fn new(name: &str, bytes: &[u8]) -> Self {
            let file = std::env::temp_dir().join(format!("coreperf-unit-{}-{name}", std::process::id()));
            std::fs::write(&file, bytes).unwrap();
            Self(file)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn read(file: &File, format: Format, from_trace: bool) -> Result<Recorded> {
        let keys = Keys { trace: Some(file.0.clone()), format: Some(format), ..Keys::default() };
        let values = ValueOptions { from_trace, ..ValueOptions::default() };
        Recorded::read(&keys, &values, &StopSignal::never()).map(|trace| trace.expect("there is one"))
    }

    fn oracle(requests: &[(u64, u32)]) -> Vec<u8> {
        let record = |(key, size): &(u64, u32)| {
            [&[0; 4], &key.to_le_bytes()[..], &size.to_le_bytes(), &(-1i64).to_le_bytes()].concat()
        };
        requests.iter().flat_map(record).collect()
    }

    #[test]
    fn cores_and_agents_ask_for_every_request_in_turn_round_and_round() {
        let bytes: Vec<u8> = [70u32, 10, 70, 30, 10, 50, 90].iter().flat_map(|key| key.to_be_bytes()).collect();
        let file = File::new("turn", &bytes);
        let trace = Arc::new(read(&file, Format::I32be, false).unwrap());
        assert_eq!((trace.len(), trace.key_count(), trace.value_bytes().len()), (7, 5, 0));
        let expected: Vec<u64> = [0, 1, 0, 2, 1, 3, 4].into_iter().cycle().take(30).collect();
        for count in [1, 2, 3, 10] {
            let mut cursors: Vec<_> =
                (0..count).map(|core| TraceCursor::new(Arc::clone(&trace), (core, count))).collect();
            let asked: Vec<u64> = (0..30).map(|turn| cursors[turn % count].next()).collect();
            assert_eq!(asked, expected, "{count} cores");
        }
    }

    #[test]
    fn a_key_has_the_size_of_its_first_request() {
        let bytes = oracle(&[(9, 100), (4, 2_000_000), (9, 7), (3, 0)]);
        let file = File::new("sizes", &bytes);
        assert_eq!(read(&file, Format::Oracle, true).unwrap().value_bytes(), [100, 2_000_000, 0]);
        assert!(read(&file, Format::Oracle, false).unwrap().value_bytes().is_empty(), "they are not wanted");
    }

    #[test]
    fn bad_files_are_named_with_place_and_remedy() {
        let huge = oracle(&[(9, 100), (4, 64 << 20), (5, (64 << 20) + 1)]);
        for (name, bytes, format, expected) in [
            ("short", &[0; 9][..], Format::I32be, ["record 3 (at byte 8)", "cut short"]),
            ("line", b"1\n\n2\n", Format::Text, ["line 2", "remove it"]),
            ("none", b"", Format::Text, ["holds no requests", "check the file"]),
            ("huge", &huge, Format::Oracle, ["request 3", "values.from_trace = false"]),
        ] {
            let file = File::new(name, bytes);
            let error = format!("{:#}", read(&file, format, true).unwrap_err());
            let file = file.0.display().to_string();
            assert!(error.contains(&file) && expected.iter().all(|text| error.contains(text)), "{error}");
        }
        for (path, expected) in [("/nowhere/x.gz", "check its name"), ("/", "folder")] {
            let keys = Keys { trace: Some(path.into()), format: Some(Format::Text), ..Keys::default() };
            let error =
                format!("{:#}", Recorded::read(&keys, &ValueOptions::default(), &StopSignal::never()).unwrap_err());
            assert!(error.contains("keys.trace") && error.contains(path) && error.contains(expected), "{error}");
        }
    }
}
