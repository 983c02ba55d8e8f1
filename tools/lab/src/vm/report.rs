//! What a run came to: printed, and recorded in the documentation.

use std::fmt::Write as _;

/// One scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioResult {
    /// Its name.
    pub name: &'static str,
    /// What was read, or why it failed.
    pub outcome: Result<String, String>,
    /// How long it took.
    pub seconds: u64,
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioResult>,
}

impl Report {
    /// Whether there were scenarios and none failed.
    #[must_use]
    pub fn all_passed(&self) -> bool {
        !self.scenarios.is_empty() && self.scenarios.iter().all(|scenario| scenario.outcome.is_ok())
    }

    /// The table of the documentation.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text =
            String::from("| scenario | result | seconds | what was read, or why it failed |\n|---|---|---|---|\n");
        for scenario in &self.scenarios {
            let (result, said) = match &scenario.outcome {
                Ok(said) => ("passed", said),
                Err(why) => ("**failed**", why),
            };
            let said = said.lines().next().unwrap_or_default().replace('|', "/");
            let _ = writeln!(text, "| {} | {result} | {} | {said} |", scenario.name, scenario.seconds);
        }
        text
    }

    /// The last line: `N passed, N failed`.
    #[must_use]
    pub fn last_line(&self) -> String {
        let passed = self.scenarios.iter().filter(|scenario| scenario.outcome.is_ok()).count();
        format!("{passed} passed, {} failed", self.scenarios.len() - passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(outcome: Result<&str, &str>) -> ScenarioResult {
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        ScenarioResult { name: "boot", outcome, seconds: 70 }
    }

    #[test]
    fn a_run_of_nothing_has_not_passed() {
        assert!(!Report::default().all_passed());
    }

    #[test]
    fn a_failure_is_in_the_table_and_in_the_last_line() {
        let report = Report { scenarios: vec![scenario(Ok("kernel 6.1")), scenario(Err("a|b\nmore"))] };
        assert!(!report.all_passed());
        let table = report.table();
        assert!(table.contains("| boot | passed | 70 | kernel 6.1 |\n"), "{table}");
        assert!(table.ends_with("| boot | **failed** | 70 | a/b |\n"), "{table}");
        assert_eq!(report.last_line(), "1 passed, 1 failed");
        assert!(Report { scenarios: vec![scenario(Ok(""))] }.all_passed());
    }
}
