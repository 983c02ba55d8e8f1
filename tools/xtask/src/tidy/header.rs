//! Every file says at its top what it is; modules of the product also say what they never do, what always holds, or
//! where it comes from.

use super::finding::Finding;
use super::source::SourceFile;
use super::tree::Tree;

const RULE: &str = "header";

/// Below this, a one-sentence header says enough.
const SHORT_LINES: usize = 60;

const SECTIONS: &[&str] = &["**Not**", "**Invariants**", "**Source**"];

/// Reports files without a header, and product modules whose header lacks every section.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let outside_tests = tree.sources.iter().filter(|source| !source.is_test);
    outside_tests.filter_map(|source| Some(Finding::new(RULE, &source.path, 1, problem(source)?))).collect()
}

fn problem(source: &SourceFile) -> Option<&'static str> {
    if !source.text.trim_start().starts_with("//!") {
        return Some("no header; open the file with `//!` and what it is");
    }
    let header: Vec<&str> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let is_product = ["server/", "shardstore/"].iter().any(|folder| source.path.starts_with(folder));
    let has_section = header.iter().any(|line| SECTIONS.iter().any(|section| line.contains(section)));
    let needs_section = is_product && source.text.lines().count() > SHORT_LINES;
    (needs_section && !has_section)
        .then_some("the header has none of **Not**, **Invariants**, **Source**; say what it never does or what holds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn files_open_with_what_they_are() {
        assert_eq!(count("server/src/a.rs", "//! A thing.\n"), 0);
        assert_eq!(count("server/src/a.rs", "fn f() {}\n"), 1);
        assert_eq!(count("server/src/a.rs", "// A thing.\n"), 1);
        assert_eq!(count("server/src/a/tests.rs", "fn f() {}\n"), 0);
    }

    #[test]
    fn longer_product_modules_say_more() {
        let body = "\n".repeat(SHORT_LINES);
        assert_eq!(count("server/src/a.rs", &format!("//! A thing.\n{body}")), 1);
        assert_eq!(count("server/src/a.rs", &format!("//! A thing.\n//!\n//! **Not**: more.\n{body}")), 0);
        assert_eq!(count("server/src/a.rs", &format!("//! A thing.\n{body}//! **Not**: more.\n")), 1);
        assert_eq!(count("tools/xtask/src/a.rs", &format!("//! A thing.\n{body}")), 0);
    }
}
