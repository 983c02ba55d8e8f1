//! `coreperf-paths`: does one pure path of the product many times, for `coreperf gate` to count its instructions.
//!
//! ```text
//!  coreperf-paths                 its paths, one a line: name, tab, what it does
//!  coreperf-paths NAME COUNT      does one of them COUNT times, and says what processor it sees
//! ```
//!
//! A program of its own: what is inlined where depends on everything else in a program, and another verb of `coreperf`
//! must not move these counts.
//!
//! **Not**: a measurement by itself; nothing here reads a clock or draws by lot.
//!
//! **Invariants**: what is done before the first and after the last time does not depend on COUNT, so that it is gone from
//! the difference of two counts; every time does the same work, or the same round of work over the keys of a cache.

mod cache;
mod http;
mod tls;
mod wire;

use std::hint::black_box;
use std::process::ExitCode;

/// A path that can be counted.
struct TimedPath {
    name: &'static str,
    what: &'static str,
    /// Does it so many times.
    run: fn(u64),
}

/// All paths, in the order of a request.
const PATHS: &[TimedPath] = &[
    TimedPath { name: "parse-plain", what: "request head of a GET with Host alone", run: http::parse_plain },
    TimedPath { name: "parse-browser", what: "request head of a GET with 12 fields", run: http::parse_browser },
    TimedPath {
        name: "parse-remembered",
        what: "the same, its fields as in the head before",
        run: http::parse_remembered,
    },
    TimedPath { name: "lookup-hit", what: "key stored, hashed and found, 128 bytes", run: cache::hit },
    TimedPath { name: "lookup-miss", what: "key stored, hashed and not found", run: cache::miss },
    TimedPath { name: "answer-head", what: "response head of a hit", run: http::answer_head },
    TimedPath { name: "ask-encode", what: "GET as a frame", run: wire::encode_ask },
    TimedPath { name: "ask-decode", what: "the same frame checked and read", run: wire::decode_ask },
    TimedPath { name: "reply-encode", what: "answer of 128 bytes as a frame", run: wire::encode_reply },
    TimedPath { name: "reply-decode", what: "the same frame checked and read", run: wire::decode_reply },
    TimedPath {
        name: "tls-records",
        what: "request of 128 bytes and answer of 330, sealed and opened",
        run: tls::records,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => list(),
        [name, count] => return count_one(name, count),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn list() {
    for path in PATHS {
        println!("{}\t{}", path.name, path.what);
    }
}

fn count_one(name: &str, count: &str) -> ExitCode {
    let path = PATHS.iter().find(|path| path.name == name);
    let (Some(path), Ok(count)) = (path, count.parse()) else { return usage() };
    (path.run)(black_box(count));
    println!("{}", processor());
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: coreperf-paths [NAME COUNT]; without arguments it lists the names");
    ExitCode::from(2)
}

/// What the code was built for, and what libraries that look for themselves (checksums, searches, copies) can find. Under
/// valgrind this is the processor that valgrind shows.
fn processor() -> String {
    let built: Vec<&str> = BUILT_FOR.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
    format!("{}, built for [{}], finds [{}]", std::env::consts::ARCH, built.join(" "), found().join(" "))
}

/// Features the compiler was told it may use.
const BUILT_FOR: [(&str, bool); 4] = [
    ("sse4.2", cfg!(target_feature = "sse4.2")),
    ("avx2", cfg!(target_feature = "avx2")),
    ("avx512f", cfg!(target_feature = "avx512f")),
    ("crc", cfg!(target_feature = "crc")),
];

#[cfg(target_arch = "x86_64")]
fn found() -> Vec<&'static str> {
    let features = [
        ("sse4.2", std::arch::is_x86_feature_detected!("sse4.2")),
        ("pclmulqdq", std::arch::is_x86_feature_detected!("pclmulqdq")),
        ("bmi2", std::arch::is_x86_feature_detected!("bmi2")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    features.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn found() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_does_what_it_says() {
        // Each asserts its own outcome: that the head was whole, the key there or not, the frame sound.
        for path in PATHS {
            (path.run)(3);
        }
    }

    #[test]
    fn names_are_told_apart_and_fit_a_line() {
        for (index, path) in PATHS.iter().enumerate() {
            assert!(path.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", path.name);
            assert!(!path.what.contains(['\t', '\n']), "{}", path.what);
            assert!(PATHS[..index].iter().all(|other| other.name != path.name), "{}", path.name);
        }
    }
}
