//! What the pure crates must not touch: files, sockets, threads, clocks, standard output.
//!
//! corelane-gateway, corelane-http and shardstore decide and do no I/O; time and bytes come to them as arguments. That is what makes them
//! fuzzable and the whole system simulable.
//!
//! **Not**: their tests, which may read golden files and start threads.

use super::finding::Finding;
use super::scan::PathRef;
use super::tree::Tree;

const RULE: &str = "pure";

/// The crates that do no I/O.
const PURE: &[&str] = &["server/gateway", "server/http", "shardstore"];

/// Types of `std::net` that are addresses only: parsing and printing them does no I/O.
const ADDRESS_TYPES: &[&str] =
    &["SocketAddr", "SocketAddrV4", "SocketAddrV6", "IpAddr", "Ipv4Addr", "Ipv6Addr", "AddrParseError"];

const PRINTING: &[&str] = &["println", "eprintln", "print", "eprint", "dbg"];

/// Reports I/O in crates that must not do any.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| PURE.contains(&tree.crate_folder(&source.path))) {
        let paths = source.scan.paths.iter().filter_map(|path| Some((path.line, forbidden(path)?)));
        let macros = source.scan.macros.iter().filter(|called| PRINTING.contains(&called.text.as_str()));
        let macros = macros.map(|called| (called.line, "return a value and let the caller print it"));
        let outside_tests = paths.chain(macros).filter(|&(line, _)| !source.is_test_line(line));
        findings.extend(
            outside_tests.map(|(line, remedy)| {
                Finding::new(RULE, &source.path, line, format!("this crate does no I/O; {remedy}"))
            }),
        );
    }
    findings
}

/// What to do instead, if the path is forbidden.
fn forbidden(path: &PathRef) -> Option<&'static str> {
    let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    let clock = "take `now` as an argument";
    if segments.windows(2).any(|pair| matches!(pair, ["time", "Instant" | "SystemTime"])) {
        return Some(clock);
    }
    match segments.as_slice() {
        ["std", "time"] | ["std", "time", "*"] => Some(clock),
        ["std", "fs", ..] => Some("take the bytes as an argument"),
        ["std", "thread", ..] => Some("leave threads to the reactor"),
        ["std" | "core", "net", name, ..] if ADDRESS_TYPES.contains(name) => None,
        ["std" | "core", "net", ..] => Some("leave sockets to the reactor (import address types by name)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Tree::of(&[("shardstore/Cargo.toml", ""), ("shardstore/src/a.rs", text)])).len()
    }

    #[test]
    fn addresses_durations_and_tests_are_fine() {
        for good in [
            "use std::net::{IpAddr, SocketAddr}; use std::time::Duration;",
            "#[cfg(test)] mod tests { use std::fs; fn f() { println!(\"{}\", 1); } }",
            "// std::fs::read\nconst A: &str = \"std::fs\";",
        ] {
            assert_eq!(count(good), 0, "{good}");
        }
        let elsewhere = Tree::of(&[("server/reactor/Cargo.toml", ""), ("server/reactor/src/a.rs", "use std::fs;")]);
        assert!(check(&elsewhere).is_empty());
    }

    #[test]
    fn input_output_is_not() {
        for bad in [
            "use std::net::TcpStream;",
            "use std::net::*;",
            "use std::{fs};",
            "fn f() { std::thread::yield_now() }",
            "use std::time::{Duration, Instant};",
            "fn f() { time::SystemTime::now() }",
            "fn f() { eprintln!(\"x\") }",
        ] {
            assert_eq!(count(bad), 1, "{bad}");
        }
    }
}
