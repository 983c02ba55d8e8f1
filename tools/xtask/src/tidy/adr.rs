//! Decision records (docs/adr) have the four parts that make them worth reading later.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "adr";

const PARTS: &[&str] = &["Status", "Context", "Decision", "Consequences"];

/// Reports records that lack a part.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let records = tree.files.iter().filter(|file| {
        let name = file.path.strip_prefix("docs/adr/");
        name.is_some_and(|name| name.ends_with(".md") && name != "README.md")
    });
    let mut findings = Vec::new();
    for record in records {
        let missing = PARTS.iter().filter(|part| !record.text.lines().any(|line| opens_part(line, part)));
        findings.extend(missing.map(|part| {
            Finding::new(RULE, &record.path, 1, format!("has no `{part}`; add a heading or a line that begins so"))
        }));
    }
    findings
}

/// Whether a line is a heading of that name, or begins with it and a colon (`Status: accepted`).
fn opens_part(line: &str, part: &str) -> bool {
    let bare = line.trim_start_matches(['#', '-', '*', ' ']);
    let is_heading = line.starts_with('#');
    bare.strip_prefix(part).is_some_and(|rest| {
        let rest = rest.trim_start_matches('*');
        rest.starts_with(':') || (is_heading && rest.trim().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_four_parts() {
        let good = "# 1. Title\n\nStatus: accepted\n\n## Context\nx\n## Decision\nx\n## Consequences\nx\n";
        assert!(check(&Tree::of(&[("docs/adr/0001-x.md", good), ("docs/adr/README.md", "")])).is_empty());
        let bad = "# Title\n\n## Status\naccepted\n## Context\nContextual\nDecision making\n## Consequences of it\n";
        assert_eq!(check(&Tree::of(&[("docs/adr/0001-x.md", bad)])).len(), 2);
    }
}
