//! The tree: every file of the project, Rust files already parsed.
//!
//! **Invariants**: paths are relative to the root and sorted. Files that are not UTF-8 are listed but have no text.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::source::SourceFile;
use crate::workspace;

/// A file with its text.
pub(super) struct TextFile {
    /// Relative to the root.
    pub(super) path: String,
    /// Empty for a file that is not UTF-8: no rule looks into binary files.
    pub(super) text: String,
}

/// All files of the project.
pub(super) struct Tree {
    /// Every file, Rust or not.
    pub(super) files: Vec<TextFile>,
    /// Every Rust file, parsed.
    pub(super) sources: Vec<SourceFile>,
}

impl Tree {
    /// Reads everything git knows or would add.
    ///
    /// # Errors
    /// git is missing, or a file cannot be read.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in workspace::files(root)? {
            let bytes = std::fs::read(root.join(&path)).with_context(|| format!("{path} could not be read"))?;
            files.push(TextFile { path, text: String::from_utf8(bytes).unwrap_or_default() });
        }
        Ok(Self::parse(files))
    }

    fn parse(files: Vec<TextFile>) -> Self {
        let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
        let mut sources: Vec<SourceFile> = rust.map(|file| SourceFile::parse(&file.path, &file.text)).collect();
        // A module declared under #[cfg(test)] is test code, whatever its file is called.
        let test_modules: HashSet<String> = sources.iter().flat_map(SourceFile::test_modules).collect();
        for source in &mut sources {
            source.is_test |= test_modules.iter().any(|module| source.is_module(module));
        }
        Self { files, sources }
    }

    /// The file at this path.
    pub(super) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The crate a file belongs to: its folder (the nearest one with a `Cargo.toml`; `""` for the root).
    pub(super) fn crate_folder<'a>(&self, path: &'a str) -> &'a str {
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            folder = parent;
            if self.file(&format!("{folder}/Cargo.toml")).is_some() {
                return folder;
            }
        }
        ""
    }

    /// A tree of these files, for the tests of rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self::parse(files.iter().map(|&(path, text)| TextFile { path: path.into(), text: text.into() }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_declared_for_tests_are_test_code_with_their_children() {
        let tree = Tree::of(&[
            ("a/src/lib.rs", "#[cfg(test)] mod model; mod real;"),
            ("a/src/model.rs", "mod rules;"),
            ("a/src/model/rules.rs", ""),
            ("a/src/real.rs", ""),
            ("a/src/real/tests.rs", ""),
            ("a/tests/kv.rs", ""),
            ("a/src/slow_tests.rs", ""),
        ]);
        let tests: Vec<_> = tree.sources.iter().map(|source| (source.path.as_str(), source.is_test)).collect();
        assert_eq!(
            tests,
            [
                ("a/src/lib.rs", false),
                ("a/src/model.rs", true),
                ("a/src/model/rules.rs", true),
                ("a/src/real.rs", false),
                ("a/src/real/tests.rs", true),
                ("a/tests/kv.rs", true),
                ("a/src/slow_tests.rs", true),
            ]
        );
    }

    #[test]
    fn a_file_belongs_to_the_nearest_crate_above_it() {
        let tree = Tree::of(&[("Cargo.toml", ""), ("a/Cargo.toml", ""), ("a/b/Cargo.toml", ""), ("a/b/src/x.rs", "")]);
        assert_eq!(tree.crate_folder("a/b/src/x.rs"), "a/b");
        assert_eq!(tree.crate_folder("a/src/x.rs"), "a");
        assert_eq!(tree.crate_folder("x.rs"), "");
    }
}
