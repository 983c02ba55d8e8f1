//! HTTP/1.1 byte for byte: the cases of `tests/http_cases/*.cases` against the real binary.
//!
//! Every case runs twice, as it is written and (when it is short) byte by byte; the outcome must be the same. After each
//! of them a connection that was opened before all of them must still work.
//!
//! **Source**: RFC 9110, RFC 9112; docs/specification.md.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/case_file.rs"]
mod case_file;
#[path = "support/case_run.rs"]
mod case_run;
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use case_file::Case;
use case_run::{Mode, Runner};
use support::server::{Plan, Server};

/// The promise of docs/specification.md.
const CASES_MIN: usize = 200;

/// Longer cases are not sent byte by byte: what they try is a size, and it would take long.
const SPLIT_BYTES_MAX: usize = 600;

/// Keyspaces that cases use: `small` takes values of 16 bytes, values in `brief` live an hour.
const CONFIG: &str =
    "memory = \"64MiB\"\n[keyspace.small]\nvalue_bytes_max = \"16B\"\n[keyspace.brief]\nttl = \"1h\"\n";

fn all_cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let cases = case_file::parse(&std::fs::read_to_string(&path).unwrap());
        let cases = cases.unwrap_or_else(|mistake| panic!("{file}:{mistake}"));
        all.extend(cases.into_iter().map(|case| (file.clone(), case)));
    }
    all
}

#[test]
fn there_are_enough_cases_each_of_its_own_name() {
    let cases = all_cases();
    let mut names = BTreeSet::new();
    let twice: Vec<&str> =
        cases.iter().map(|(_, case)| case.name.as_str()).filter(|name| !names.insert(*name)).collect();
    assert!(twice.is_empty(), "names that stand twice: {twice:?}");
    assert!(names.len() >= CASES_MIN, "{} cases, at least {CASES_MIN}", names.len());
}

#[test]
fn every_problem_is_in_the_specification() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/specification.md");
    let document = std::fs::read_to_string(document).unwrap();
    let problems = all_cases().into_iter().flat_map(|(_, case)| case.answers);
    let named: BTreeSet<String> = problems
        .filter_map(|answer| Some(format!("| {} |{}", answer.status, answer.slug.map(|slug| format!("`{slug}`"))?)))
        .collect();
    assert!(named.len() > 40, "{named:?}");
    for problem in &named {
        let (status, slug) = problem.rsplit_once('|').unwrap();
        let is_listed = document.lines().any(|row| row.starts_with(status) && row.contains(slug));
        assert!(is_listed, "no row of docs/specification.md begins with {status}| and has {slug}");
    }
}

#[test]
fn every_case_is_answered_as_it_says() {
    let server = Server::start(&Plan { config: CONFIG, ..Plan::default() });
    let mut runner = Runner::new(server.address);
    let mut failures = Vec::new();
    let mut runs = 0;
    for (file, case) in &all_cases() {
        for mode in [Mode::AsWritten, Mode::ByteByByte] {
            if mode == Mode::ByteByByte && case.sent_bytes() >= SPLIT_BYTES_MAX {
                continue;
            }
            runs += 1;
            if let Err(report) = runner.run(case, mode) {
                failures.push(format!("{file}, case {}, {mode:?}: {report}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {runs} runs failed:\n\n{}", failures.len(), failures.join("\n\n"));
    println!("{runs} runs");
}

#[test]
fn mistakes_in_a_file_are_found_by_their_line() {
    let cases = [
        ("> GET", 1, "before the first case"),
        ("case a\n> b\n", 2, "has no `end`"),
        ("case a\nend open\n", 2, "sends nothing"),
        ("case a\n> b\nend later\n", 3, "`end later`"),
        ("case a\n> b\n<= c\nend open\n", 3, "before any answer"),
        ("case a\n> b\n< 2x0\nend open\n", 3, "no status"),
        ("case a\n> b\n??? c\nend open\n", 3, "before any answer"),
        ("case a\n> b\n< 200\n??? c\nend open\n", 4, "no word"),
        ("case a\nwith A: b\n", 2, "`with` without `store`"),
    ];
    for (text, line, what) in cases {
        let mistake = case_file::parse(text).unwrap_err();
        assert_eq!(mistake.line, line, "{text:?}: {mistake}");
        assert!(mistake.what.contains(what), "{text:?}: {mistake}");
    }
}
