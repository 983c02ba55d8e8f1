//! A finding: what a rule has to say about a line.

use std::fmt;

/// Whether a finding fails the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The check fails.
    Violation,
    /// Printed only.
    Warning,
}

/// What a rule says about one line of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Relative to the root.
    pub(super) path: String,
    /// From 1; 1 also stands for the file as a whole.
    pub(super) line: usize,
    /// The rule's name.
    pub(super) rule: &'static str,
    /// What was found and what to do about it.
    pub(super) message: String,
    /// Whether it fails the check.
    pub(super) severity: Severity,
}

impl Finding {
    /// A violation.
    pub(super) fn new(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, rule, message: message.into(), severity: Severity::Violation }
    }

    /// A warning.
    pub(super) fn warning(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(rule, path, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Violation => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}: {}: {mark}{}", self.path, self.line, self.rule, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn a_finding_prints_as_compilers_do() {
        let finding = Finding::new("names", "a/b.rs", 7, "bad; rename it");
        assert_eq!(finding.to_string(), "a/b.rs:7: names: bad; rename it");
        assert_eq!(Finding::warning("size", "a.rs", 1, "long").to_string(), "a.rs:1: size: warning: long");
    }
}
