//! The steps of a long run: what each came to, how long it took, and the summary at the end.
//!
//! **Invariants**: a step that did not run is listed as skipped with its reason, never left out; one failed step makes
//! the whole run fail, and does not keep the others from running.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran and succeeded.
    Passed,
    /// It ran and failed, or could not be run at all; the text says which.
    Failed(String),
    /// It was not run; the text says why.
    Skipped(String),
}

/// Tests that a step ran, as its `test result:` lines say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TestCount {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl TestCount {
    /// Reads one line of libtest's output (`test result: ok. 3 passed; 0 failed; …`), or the last line of a test with a
    /// runner of its own (`3 passed, 0 failed` and nothing else); zero for any other line.
    pub(crate) fn in_line(line: &str) -> Self {
        let Some((_, result)) = line.split_once("test result: ") else { return Self::in_own_line(line.trim_end()) };
        let number_before = |word: &str| {
            let (before, _) = result.split_once(word)?;
            before.split_whitespace().next_back()?.parse().ok()
        };
        Self {
            passed: number_before(" passed").unwrap_or_default(),
            failed: number_before(" failed").unwrap_or_default(),
        }
    }

    fn in_own_line(line: &str) -> Self {
        let counts = line.strip_suffix(" failed").and_then(|line| line.split_once(" passed, "));
        let counts = counts.and_then(|(passed, failed)| Some((passed.parse().ok()?, failed.parse().ok()?)));
        counts.map_or_else(Self::default, |(passed, failed)| Self { passed, failed })
    }

    /// Adds another count to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

struct Row {
    name: String,
    outcome: Outcome,
    tests: TestCount,
    elapsed: Duration,
}

/// The steps run so far.
#[derive(Default)]
pub(crate) struct Steps {
    rows: Vec<Row>,
}

impl Steps {
    /// Prints a header, runs `step`, prints what it came to, and keeps it for the summary.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<(Outcome, TestCount)>) {
        println!("\n==== {name}");
        let began = Instant::now();
        let (outcome, tests) =
            step().unwrap_or_else(|error| (Outcome::Failed(format!("{error:#}")), TestCount::default()));
        let row = Row { name: name.into(), outcome, tests, elapsed: began.elapsed() };
        println!("==== {name}: {} ({:.1} s)", described(&row.outcome), row.elapsed.as_secs_f64());
        // What the children print is not ours to buffer: keep the order of lines for whoever reads a log file.
        let _ = std::io::stdout().flush();
        self.rows.push(row);
    }

    /// Whether no step failed.
    pub(crate) fn all_passed(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_)))
    }

    /// The table, the list of what was skipped, and the last line `N passed, N failed`.
    ///
    /// The last line counts tests where a step ran tests, and the step itself where it ran none. A step that failed
    /// without a failed test (it did not compile, or ran out of time) counts as one failure.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!("\n{:<28} {:>9} {:>8} {:>8}  result\n", "step", "seconds", "passed", "failed");
        let mut total = TestCount::default();
        for row in &self.rows {
            let counted = row.counted();
            total.add(counted);
            let _ = writeln!(
                text,
                "{:<28} {:>9.1} {:>8} {:>8}  {}",
                row.name,
                row.elapsed.as_secs_f64(),
                counted.passed,
                counted.failed,
                described(&row.outcome)
            );
        }
        let _ = write!(text, "\n{} passed, {} failed", total.passed, total.failed);
        text
    }
}

impl Row {
    fn counted(&self) -> TestCount {
        let ran_tests = self.tests != TestCount::default();
        match self.outcome {
            Outcome::Passed if ran_tests => self.tests,
            Outcome::Passed => TestCount { passed: 1, failed: 0 },
            Outcome::Failed(_) => TestCount { passed: self.tests.passed, failed: self.tests.failed.max(1) },
            Outcome::Skipped(_) => TestCount::default(),
        }
    }
}

fn described(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".into(),
        Outcome::Failed(why) => format!("FAILED: {why}"),
        Outcome::Skipped(why) => format!("SKIPPED: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        for (line, passed, failed) in [
            ("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out", 12, 0),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored", 3, 2),
            ("running 12 tests", 0, 0),
            ("12 passed", 0, 0),
            ("998 passed, 2 failed\n", 998, 2),
            ("1 passed, 0 failed", 1, 0),
            ("of them 1 passed, 0 failed", 0, 0),
        ] {
            assert_eq!(TestCount::in_line(line), TestCount { passed, failed }, "{line}");
        }
    }

    #[test]
    fn the_summary_counts_tests_and_steps_and_names_what_was_skipped() {
        let mut steps = Steps::default();
        let none = TestCount::default();
        steps.run("format", || Ok((Outcome::Passed, none)));
        steps.run("tests", || Ok((Outcome::Passed, TestCount { passed: 40, failed: 0 })));
        steps.run("loom", || Ok((Outcome::Skipped("not asked for".into()), none)));
        assert!(steps.all_passed());
        steps.run("docs", || anyhow::bail!("no rustdoc"));
        assert!(!steps.all_passed());
        let summary = steps.summary();
        assert!(summary.contains("SKIPPED: not asked for"), "{summary}");
        assert!(summary.contains("FAILED: no rustdoc"), "{summary}");
        assert!(summary.ends_with("\n41 passed, 1 failed"), "{summary}");
    }
}
