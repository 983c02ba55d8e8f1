//! `cargo xtask tidy`: the rules of the project that neither the compiler nor clippy knows. Takes a second.
//!
//! Each rule is a file with one `check` function from the [`Tree`] to findings, and its tests: a sample that passes and
//! one that does not.
//!
//! **Not**: formatting (rustfmt), spelling (typos), licences (cargo-deny).
//!
//! **Invariants**: every file git knows or would add is looked at; a finding names path, line, what, and what to do.

mod adr;
mod api;
mod doc_paths;
mod finding;
mod functions;
mod header;
mod layers;
mod leftovers;
mod machine_paths;
mod metrics;
mod names;
mod nouns;
mod promises;
mod reasons;
mod ring;
mod scan;
mod shape;
mod size;
mod source;
mod top_level;
mod tree;
mod unsafe_place;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use finding::{Finding, Severity};
use tree::Tree;

/// The rules, in the order in which their findings about one line are printed.
const RULES: &[fn(&Tree) -> Vec<Finding>] = &[
    top_level::check,
    source::check,
    layers::check,
    api::check,
    ring::check,
    unsafe_place::check,
    header::check,
    size::check,
    shape::check,
    names::check,
    nouns::check,
    leftovers::check,
    machine_paths::check,
    reasons::check,
    metrics::check,
    promises::check,
    adr::check,
    doc_paths::check,
];

/// Checks the project's own rules; prints `path:line: rule: what, what to do` for each violation.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print only findings in files whose path starts with one of these (for example `server/http`)
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// Runs the verb. Exit status 1 when there is a violation.
///
/// # Errors
/// git is missing, or a file cannot be read.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let mut findings = findings(&Tree::read(root)?);
    findings.retain(|finding| {
        options.paths.is_empty() || options.paths.iter().any(|start| finding.path.starts_with(start.as_str()))
    });
    let violations = print(&findings);
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the whole tree, prints the findings and returns the number of violations.
///
/// # Errors
/// As [`run`].
pub(crate) fn check(root: &Path) -> Result<usize> {
    Ok(print(&findings(&Tree::read(root)?)))
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

fn print(findings: &[Finding]) -> usize {
    for finding in findings {
        println!("{finding}");
    }
    let violations = findings.iter().filter(|finding| finding.severity == Severity::Violation).count();
    println!("tidy: {violations} violations, {} warnings", findings.len() - violations);
    violations
}
