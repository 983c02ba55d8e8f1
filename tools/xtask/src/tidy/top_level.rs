//! What may stand in the root folder. A new entry is a decision about the project's shape, taken here.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "top-level";

const ALLOWED: &[&str] = &[
    ".cargo",
    ".ci",
    ".editorconfig",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "_typos.toml",
    "ansible",
    "clippy.toml",
    "deny.toml",
    "docs",
    "perf",
    "rustfmt.toml",
    "server",
    "shardstore",
    "tools",
];

/// Reports entries of the root folder that are not on the list.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let entries: BTreeSet<&str> = tree.files.iter().filter_map(|file| file.path.split('/').next()).collect();
    let unknown = entries.into_iter().filter(|entry| !ALLOWED.contains(entry));
    unknown
        .map(|entry| Finding::new(RULE, entry, 1, "not a top-level entry; move it into one of the folders"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_entries_stand_in_the_root() {
        assert!(check(&Tree::of(&[("Cargo.toml", ""), ("docs/a.md", "")])).is_empty());
        let found = check(&Tree::of(&[("src/a.rs", ""), ("src/b.rs", ""), ("notes.txt", "")]));
        assert_eq!(found.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), ["notes.txt", "src"]);
    }
}
