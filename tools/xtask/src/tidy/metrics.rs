//! Names of metrics: `corelane_<what>_<unit>[_total]`, in code and in docs/metrics.md.
//!
//! A string counts as a metric's name when it starts with the product's prefix, when it follows `# TYPE` or `# HELP`,
//! or, in a file about metrics, when it ends as only metrics do.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "metrics";

const PREFIX: &str = "corelane_";

/// Ends that only a metric's name has.
const ENDS: &[&str] = &["_total", "_seconds", "_bytes", "_ratio"];

/// Reports malformed names.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let product = |path: &str| path.starts_with("server/") || path.starts_with("shardstore/");
    for source in tree.sources.iter().filter(|source| product(&source.path)) {
        let is_about_metrics = source.path.contains("metric");
        for literal in source.scan.strings.iter().filter(|literal| !source.is_test_line(literal.line)) {
            let names = names_in(&literal.text, is_about_metrics).into_iter().filter(|name| !is_well_formed(name));
            findings.extend(names.map(|name| Finding::new(RULE, &source.path, literal.line, malformed(name))));
        }
    }
    if let Some(file) = tree.file("docs/metrics.md") {
        for (index, line) in file.text.lines().enumerate() {
            let Some(name) = documented_name(line).filter(|name| !is_well_formed(name)) else { continue };
            findings.push(Finding::new(RULE, &file.path, index + 1, malformed(name)));
        }
    }
    findings
}

fn names_in(literal: &str, is_about_metrics: bool) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for mark in ["# TYPE ", "# HELP "] {
        let marked = literal.match_indices(mark).map(|(at, _)| first_word(&literal[at + mark.len()..]));
        // A name that is formatted in is a literal of its own elsewhere.
        names.extend(marked.filter(|name| !name.is_empty() && !name.starts_with('{')));
    }
    let is_word = !literal.is_empty() && literal.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_name = literal.starts_with(PREFIX) || (is_about_metrics && ENDS.iter().any(|end| literal.ends_with(end)));
    if is_word && is_name && !literal.starts_with('_') {
        names.push(literal);
    }
    names
}

fn first_word(text: &str) -> &str {
    text.split([' ', '\n', '\\']).next().unwrap_or_default()
}

/// The first column of a table row, if it is a name in backticks (`| `corelane_…` | … |`).
fn documented_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("| `")?.split_once('`')?.0;
    Some(name.split('{').next().unwrap_or(name))
}

fn is_well_formed(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.split('_')
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
    })
}

fn malformed(name: &str) -> String {
    format!("`{name}` is not a metric's name; call it corelane_<what>_<unit>[_total] in lower case")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn names_start_with_the_product_and_are_lower_case() {
        let path = "server/control/src/metrics.rs";
        assert_eq!(count(path, "const A: &str = \"corelane_requests_total\"; const B: &str = \"max_bytes found\";"), 0);
        assert_eq!(count(path, "const A: &str = \"# TYPE {name} counter\";"), 0);
        for bad in ["requests_total", "corelane_Requests", "corelane__x", "# TYPE up gauge"] {
            assert_eq!(count(path, &format!("const A: &str = \"{bad}\";")), 1, "{bad}");
        }
        assert_eq!(count("server/src/limits.rs", "const A: &str = \"header_bytes\";"), 0);
    }

    #[test]
    fn documented_names_are_checked() {
        let row = "| `corelane_requests_total{core}` | counter |\n| `cache_hits` | counter |\n| name | type |\n";
        assert_eq!(check(&Tree::of(&[("docs/metrics.md", row)])).iter().map(|f| f.line).collect::<Vec<_>>(), [2]);
    }
}
