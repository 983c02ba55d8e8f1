//! How long a file may be: past the first limit look for the second noun, past the second it is not one file any more.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "file-size";

/// From here on a file probably holds two things.
const LINES_WARN: usize = 600;

/// From here on it certainly does.
const LINES_MAX: usize = 1000;

const _: () = assert!(LINES_WARN < LINES_MAX);

/// Reports Rust files over the limits.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let measured = tree.sources.iter().map(|source| (source, source.text.lines().count()));
    measured
        .filter(|&(_, lines)| lines > LINES_WARN)
        .map(|(source, lines)| {
            let finding = if lines > LINES_MAX { Finding::new } else { Finding::warning };
            finding(RULE, &source.path, lines, format!("{lines} lines; move the second noun into its own file"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn long_files_warn_and_longer_ones_fail() {
        for (lines, expected) in [
            (LINES_WARN, vec![]),
            (LINES_WARN + 1, vec![Severity::Warning]),
            (LINES_MAX, vec![Severity::Warning]),
            (LINES_MAX + 1, vec![Severity::Violation]),
        ] {
            let text = "\n".repeat(lines);
            let found: Vec<_> = check(&Tree::of(&[("a.rs", &text)])).iter().map(|finding| finding.severity).collect();
            assert_eq!(found, expected, "{lines}");
        }
    }
}
