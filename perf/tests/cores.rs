//! `coreperf cores` against the real binary: every answer comes from the memory that was meant, or the run fails.
//!
//! Needs `corelane` beside it: `cargo test --workspace` builds both.

use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

#[test]
fn hits_from_own_and_other_memory_are_set_side_by_side() {
    let own = Path::new(env!("CARGO_BIN_EXE_coreperf"));
    let binaries = own.parent().expect("a binary is in a folder");
    let output = Command::new(own)
        .args(["cores", "--rounds", "1", "--seconds", "1", "--connections", "4", "--bin-dir"])
        .arg(binaries)
        .output()
        .expect("coreperf starts");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        assert_eq!(output.status.code(), Some(2), "two data cores need two CPUs: {text}{errors}");
        return;
    }
    // What it costs is not judged here: other tests run beside it.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{text}{errors}");
    let rows =
        text.lines().filter(|line| ["| both busy, ", "| one core busy, "].iter().any(|row| line.starts_with(row)));
    assert_eq!(rows.count(), 6, "{text}");
    assert!(!text.contains("NaN"), "{text}");
}
