//! Paths that the documents name exist.
//!
//! A path is a code span that begins with a folder of the top level: `server/src/main.rs`, or with an item of that file,
//! `server/src/main.rs::main`. Spans with spaces, `*`, `…` or braces are commands and patterns, and are not looked at.
//!
//! **Not** decision records and the changelog: they say what was there when they were written.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "doc-paths";

/// Folders whose names begin a path.
const FOLDERS: &[&str] = &["server/", "shardstore/", "perf/", "tools/", "docs/", "ansible/"];

/// Reports paths in documents that lead nowhere.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.files.iter().filter(|file| {
        file.path.ends_with(".md") && !file.path.starts_with("docs/adr/") && file.path != "CHANGELOG.md"
    });
    let mut findings = Vec::new();
    for document in documents {
        for (index, line) in document.text.lines().enumerate() {
            // Every second piece between backticks is inside a pair of them.
            let spans = line.split('`').skip(1).step_by(2).filter(|span| is_path(span));
            findings.extend(spans.filter_map(|span| {
                let message = problem(tree, span)?;
                Some(Finding::new(RULE, &document.path, index + 1, message))
            }));
        }
    }
    findings
}

fn is_path(span: &str) -> bool {
    FOLDERS.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '*', '…', '{', '<', '$'])
}

fn problem(tree: &Tree, span: &str) -> Option<String> {
    let (path, item) = span.split_once("::").map_or((span, None), |(path, item)| (path, Some(item)));
    let path = path.trim_end_matches('/');
    if let Some(file) = tree.file(path) {
        let name = item?.rsplit("::").next().unwrap_or_default();
        return (!file.text.contains(name)).then(|| format!("{path} has no `{name}`; name what is there"));
    }
    let folder = format!("{path}/");
    let is_folder = item.is_none() && tree.files.iter().any(|file| file.path.starts_with(&folder));
    (!is_folder).then(|| format!("`{span}` does not exist; name what is there today"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&Tree::of(&[("docs/testing.md", text), ("server/src/a.rs", "fn decide() {}")])).len()
    }

    #[test]
    fn files_folders_and_items_that_exist_are_fine() {
        for good in [
            "`server/src/a.rs`, `server/src`, `server/src/`, and `server/src/a.rs::decide`",
            "`cargo run server/src/b.rs`, `server/src/*.rs`, `server/tests/{name}`, `b.rs`",
        ] {
            assert_eq!(findings(good), 0, "{good}");
        }
    }

    #[test]
    fn what_does_not_exist_is_reported() {
        for bad in ["`server/src/b.rs`", "`server/lib`", "`server/src/a.rs::weigh`", "`server/src::decide`"] {
            assert_eq!(findings(bad), 1, "{bad}");
        }
    }

    #[test]
    fn records_of_the_past_are_left_alone() {
        let tree = Tree::of(&[("docs/adr/0001-a.md", "`server/old.rs`"), ("CHANGELOG.md", "`server/old.rs`")]);
        assert!(check(&tree).is_empty());
    }
}
