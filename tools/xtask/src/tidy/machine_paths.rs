//! Paths of one machine have no meaning on another: none of them in any file.

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "machine-path";

/// Folders in which someone's clone or home lies. Written in halves so that this file does not contain them.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Reports absolute paths into such folders. Further down in a longer path or address they mean something else.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(folder) = FOLDERS.iter().find(|folder| starts_somewhere(line, folder)) {
                let message = format!("a path under {folder} exists on one machine only; use a relative one");
                findings.push(Finding::new(RULE, &file.path, index + 1, message));
            }
        }
    }
    findings
}

fn starts_somewhere(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || "._-~*}>".contains(character))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        for folder in FOLDERS {
            assert_eq!(check(&Tree::of(&[("a.md", &format!("\nsee {folder}x"))]))[0].line, 2);
            assert_eq!(check(&Tree::of(&[("a.toml", &format!("path = \"{folder}x\""))])).len(), 1);
            assert!(check(&Tree::of(&[("a.md", &format!("https://example.org{folder}x"))])).is_empty());
        }
        assert!(check(&Tree::of(&[("a.md", "the work/ folder")])).is_empty());
    }
}
