//! The writer against real files, turn by turn, at times of the test's own.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use control::log::{LogFormat, LogLevel};
use reactor::spsc::Producer;

use super::super::control::{AccessLogControl, Report};
use super::super::record::{ClientAddress, RequestLine};
use super::super::{AccessLogPort, RECORDS_PER_CORE, port};
use super::*;

/// A writer, and what feeds it.
struct Bench {
    folder: PathBuf,
    writer: Writer,
    control: AccessLogControl,
    cores: Vec<Producer<AccessRecord>>,
    now: Instant,
    next: u32,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn settings(path: Option<&Path>) -> AccessLogSettings {
    let path = path.map(Path::to_owned);
    AccessLogSettings { path, format: LogFormat::Logfmt, sample: 1, slow: Duration::ZERO }
}

impl Bench {
    /// With a log of this name in a folder of its own.
    #[expect(clippy::disallowed_methods, reason = "an instant to begin with; the others follow from it")]
    fn new(name: Option<&str>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("corelane-access-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = name.map(|name| folder.join(name));
        let (into_port, writer_port) = port(2);
        let AccessLogPort { cores, control } = into_port(None);
        let now = Instant::now();
        let writer = Writer::new(writer_port, Vec::new(), &settings(path.as_deref()), now);
        let cores = cores.into_iter().map(|core| core.records).collect();
        Bench { folder, writer, control, cores, now, next: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Records responses of a core; whether there was room for all of them.
    fn record(&mut self, core: usize, count: u32) -> bool {
        (0..count).all(|_| {
            let uri = format!("/{}", self.next);
            let line = RequestLine { method: b"GET", uri: uri.as_bytes(), protocol: None };
            self.next += 1;
            self.cores[core].push(AccessRecord::of(&line, ClientAddress::Unknown)).is_ok()
        })
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Turns until there is nothing to do at once.
    fn work(&mut self) -> Turn {
        for _ in 0..100_000 {
            match self.writer.turn(self.now) {
                Turn::Busy => {}
                turn => return turn,
            }
        }
        panic!("there is no end to it");
    }

    /// The targets in a file, each of a whole line.
    fn logged(&self, name: &str) -> Vec<u32> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        numbers_in(&text)
    }

    /// With a log that is a named pipe.
    fn of_pipe() -> Self {
        let bench = Bench::new(Some("pipe"));
        let made = std::process::Command::new("mkfifo").arg(bench.path("pipe")).status().unwrap();
        assert!(made.success());
        bench
    }

    /// A reader of the pipe that does not wait.
    fn pipe_reader(&self) -> fs::File {
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        fs::OpenOptions::new().read(true).custom_flags(flags).open(self.path("pipe")).unwrap()
    }

    fn events(&self) -> Vec<&'static str> {
        self.control.reports().map(|report| report.event).collect()
    }

    fn written(&self) -> u64 {
        self.control.metrics().written.value()
    }
}

/// The targets of lines that are whole.
fn numbers_in(text: &str) -> Vec<u32> {
    let number = |line: &str| {
        assert!(line.starts_with("time=1970-01-01T00:00:00.000Z method=GET uri=/"), "{line}");
        assert!(line.ends_with(" sampled=false"), "{line}");
        line.split("uri=/").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    text.lines().map(number).collect()
}

#[test]
fn lines_of_a_core_are_in_order_and_all_there() {
    let mut bench = Bench::new(Some("log"));
    for _ in 0..3 {
        assert!(bench.record(0, 3000) && bench.record(1, 500));
        assert_eq!(bench.work(), Turn::Idle);
    }
    let logged = bench.logged("log");
    assert_eq!((logged.len(), bench.written()), (10_500, 10_500));
    let of_first_core: Vec<u32> = logged.into_iter().filter(|number| number % 3500 < 3000).collect();
    assert!(of_first_core.is_sorted() && of_first_core.len() == 9000);
    assert_eq!(bench.events(), ["access_log_opened"]);
}

#[test]
fn no_core_is_kept_waiting_by_another_that_always_has_more() {
    // Lines of which a batch holds fewer than one core has its turn for, and about as many.
    let uris = [vec![b'"'; 384]].into_iter().chain((85..=100).map(|length| vec![b'x'; length]));
    for uri in uris {
        let mut bench = Bench::new(Some("log"));
        for (core, method) in [b"A", b"B"].into_iter().enumerate() {
            let line = RequestLine { method, uri: &uri, protocol: None };
            let record = AccessRecord::of(&line, ClientAddress::Unknown);
            (0..2000).for_each(|_| assert!(bench.cores[core].push(record).is_ok()));
        }
        for _ in 0..12 {
            assert_eq!(bench.writer.turn(bench.now), Turn::Busy, "the queues are not empty yet");
        }
        let text = fs::read_to_string(bench.path("log")).unwrap();
        let [of_first, of_second] = ["method=A", "method=B"].map(|method| text.matches(method).count());
        assert!(of_second > 0 && of_first.abs_diff(of_second) <= RECORDS_PER_CORE_AND_TURN, "{of_first}, {of_second}");
    }
}

#[test]
fn a_file_that_was_renamed_or_removed_is_followed_by_a_new_one() {
    let mut bench = Bench::new(Some("log"));
    bench.record(0, 10);
    bench.work();
    fs::rename(bench.path("log"), bench.path("log.1")).unwrap();
    // Nothing was said: lines go to the old file until the next look.
    bench.record(0, 10);
    bench.work();
    assert_eq!(bench.logged("log.1"), (0..20).collect::<Vec<_>>());
    bench.pass(Duration::from_secs(1));
    bench.record(0, 10);
    bench.work();
    assert_eq!(bench.logged("log"), (20..30).collect::<Vec<_>>());
    fs::remove_file(bench.path("log")).unwrap();
    bench.control.reopen();
    bench.record(0, 10);
    bench.work();
    assert_eq!(bench.logged("log"), (30..40).collect::<Vec<_>>());
    assert_eq!(bench.events(), ["access_log_opened"; 3]);
}

#[test]
fn a_look_at_a_file_in_its_place_opens_nothing() {
    let mut bench = Bench::new(Some("log"));
    for _ in 0..5 {
        bench.work();
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.events(), ["access_log_opened"]);
}

#[test]
fn what_cannot_be_opened_is_reported_once_and_tried_again() {
    let mut bench = Bench::new(Some("later/log"));
    assert!(bench.record(0, 10));
    for _ in 0..5 {
        assert_eq!(bench.work(), Turn::Failing);
        bench.pass(Duration::from_secs(1));
    }
    let reports: Vec<Report> = bench.control.reports().collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!((reports[0].level, reports[0].event), (LogLevel::Error, "access_log_failed"));
    assert!(reports[0].error.contains("No such file") && reports[0].path.ends_with("later/log"), "{reports:?}");
    assert_eq!(bench.control.metrics().failed.value(), 5);
    // What does not fit the queue is its core's to count.
    assert!(!bench.record(0, RECORDS_PER_CORE as u32 + 1));
    fs::create_dir(bench.path("later")).unwrap();
    assert_eq!(bench.work(), Turn::Idle);
    assert_eq!(bench.events(), ["access_log_opened"]);
    assert_eq!(bench.logged("later/log").len() as u64, bench.written());
    assert!(bench.written() >= RECORDS_PER_CORE as u64);
}

#[test]
fn a_new_path_that_cannot_be_opened_leaves_the_old_one_in_use() {
    let mut bench = Bench::new(Some("log"));
    bench.work();
    bench.control.adopt(&settings(Some(&bench.path("no/log"))));
    bench.record(0, 10);
    for _ in 0..3 {
        assert_eq!(bench.work(), Turn::Idle);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.logged("log").len(), 10);
    assert_eq!(bench.events(), ["access_log_opened", "access_log_failed"]);
    bench.control.adopt(&settings(Some(&bench.path("other"))));
    bench.record(0, 10);
    assert_eq!(bench.work(), Turn::Idle);
    assert_eq!((bench.logged("log").len(), bench.logged("other").len()), (10, 10));
}

#[test]
fn a_log_that_is_turned_off_takes_what_is_under_way_and_then_nothing() {
    let mut bench = Bench::new(Some("log"));
    bench.work();
    bench.control.adopt(&settings(None));
    bench.record(0, 10);
    assert_eq!(bench.work(), Turn::Idle);
    bench.record(0, 10);
    bench.pass(CLOSING_TIME);
    bench.work();
    assert_eq!(bench.logged("log").len(), 20);
    bench.record(0, 10);
    assert_eq!(bench.work(), Turn::Off);
    bench.control.adopt(&settings(Some(&bench.path("log"))));
    bench.record(0, 10);
    bench.work();
    assert_eq!(bench.logged("log").len(), 30, "what was recorded in between is forgotten");
}

#[test]
fn a_pipe_without_a_reader_blocks_nothing_and_a_new_reader_gets_whole_lines() {
    let mut bench = Bench::of_pipe();
    assert!(bench.record(0, 5000));
    assert_eq!(bench.work(), Turn::Failing, "nobody reads");
    let mut reader = bench.pipe_reader();
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.work(), Turn::Blocked, "a pipe holds less than that");
    let mut part = vec![0; 10_000];
    reader.read_exact(&mut part).unwrap();
    drop(reader);
    assert_eq!(bench.work(), Turn::Failing, "nobody reads any more");
    let mut reader = bench.pipe_reader();
    bench.pass(Duration::from_secs(1));
    let mut text = String::new();
    while bench.work() != Turn::Idle {
        // What is there; then the pipe is empty.
        let _ = reader.read_to_string(&mut text);
    }
    let _ = reader.read_to_string(&mut text);
    assert!(text.starts_with("time=") && text.ends_with("/4999 status=0 body_bytes_sent=0 body_bytes_received=0 duration_us=0 source=none connection_requests=0 core=0 sampled=false\n"), "{}", &text[text.len() - 300..]);
    assert!(numbers_in(&text).windows(2).all(|pair| pair[1] == pair[0] + 1), "no line is missing or cut");
}

#[test]
fn a_pipe_that_is_opened_anew_in_the_middle_of_a_line_gets_the_rest_of_it() {
    let mut bench = Bench::of_pipe();
    let mut reader = bench.pipe_reader();
    assert!(bench.record(0, 5000));
    let mut text = Vec::new();
    let mut part = vec![0; 10_007];
    for _ in 0..1000 {
        let turn = bench.work();
        bench.control.reopen();
        match reader.read(&mut part) {
            Ok(count) => text.extend_from_slice(&part[..count]),
            Err(_) if turn == Turn::Idle => break,
            Err(_) => {}
        }
    }
    assert_eq!(numbers_in(std::str::from_utf8(&text).unwrap()), (0..5000).collect::<Vec<_>>());
}

#[test]
fn a_file_that_takes_nothing_is_reported_and_loses_nothing_of_a_batch() {
    // Every write to it fails with ENOSPC.
    let mut bench = Bench::new(None);
    bench.control.adopt(&settings(Some(Path::new("/dev/full"))));
    assert!(bench.record(0, 10));
    assert_eq!(bench.work(), Turn::Failing);
    assert_eq!(bench.events(), ["access_log_opened", "access_log_failed"]);
    bench.control.adopt(&settings(Some(&bench.path("log"))));
    assert_eq!(bench.work(), Turn::Idle);
    assert_eq!(bench.logged("log"), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_line_that_was_begun_elsewhere_is_written_whole() {
    let mut batch = Batch { bytes: b"first\nsecond\nthird\n".to_vec(), written: 0, lines: 3 };
    for (written, expected) in [(0, 0), (3, 0), (5, 0), (6, 6), (9, 6), (13, 13), (18, 13)] {
        batch.written = written;
        batch.rewind();
        assert_eq!(batch.written, expected);
    }
}
