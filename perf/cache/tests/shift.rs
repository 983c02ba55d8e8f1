//! The process stays within the cache's limit while the sizes of values shift, and the cache recovers from it.
//!
//! In a process of its own: in this one, other tests take memory too.

use std::process::Command;

#[test]
fn memory_stays_within_the_limit_and_small_values_get_it_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_cacheperf")).args(["shift", "--limit", "64"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(text.matches("PASS").count(), 2, "{text}");
}

#[test]
fn a_limit_that_is_too_small_for_the_sizes_is_told_with_a_remedy() {
    let output = Command::new(env!("CARGO_BIN_EXE_cacheperf"))
        .args(["shift", "--limit", "64", "--sizes", "67108864"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("give more --limit"), "{errors}");
}
