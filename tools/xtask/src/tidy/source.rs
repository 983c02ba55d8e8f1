//! A Rust file, parsed once for all rules, with its test code marked.
//!
//! **Invariants**: test code is what is compiled for tests, benchmarks or fuzzing only: by its folder, by its name
//! (`tests.rs`, `…_tests.rs`), or by `#[cfg(test)]`.

use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};

use super::finding::Finding;
use super::scan::{AttributeRef, Scan};
use super::tree::Tree;

/// A parsed Rust file.
pub(super) struct SourceFile {
    /// Relative to the root.
    pub(super) path: String,
    /// As it is on disk.
    pub(super) text: String,
    /// Its tokens' facts.
    pub(super) scan: Scan,
    /// Its syntax tree, or the line and the message of the first error.
    pub(super) ast: Result<syn::File, (usize, String)>,
    /// Whether the whole file is test code.
    pub(super) is_test: bool,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// Every Rust file must be readable by the other rules.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let failed = tree.sources.iter().filter_map(|source| Some((source, source.ast.as_ref().err()?)));
    failed
        .map(|(source, (line, error))| Finding::new("parse", &source.path, *line, format!("{error}; make it compile")))
        .collect()
}

impl SourceFile {
    /// Parses a file. A file that is not Rust has an error in `ast` and nothing in `scan`.
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let described = |error: syn::Error| (error.span().start().line.max(1), error.to_string());
        let tokens = text.parse::<TokenStream>().map_err(|error| described(error.into()));
        let scan = tokens.as_ref().map(|tokens| Scan::of(tokens.clone())).unwrap_or_default();
        let ast = tokens.and_then(|tokens| syn::parse2(tokens).map_err(described));
        let test_lines: Vec<_> = scan
            .attributes
            .iter()
            .filter(|&found| is_for_tests(found))
            .map(|found| found.line..=found.item_end)
            .collect();
        // An inner #![cfg(test)] marks the file as a whole.
        let is_test = is_test_path(path) || test_lines.iter().any(|lines| *lines.end() == usize::MAX);
        Self { path: path.into(), text: text.into(), scan, ast, is_test, test_lines }
    }

    /// Whether this line is test code.
    pub(super) fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// The modules this file declares for tests only, as paths without `.rs`.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let stem = file.trim_end_matches(".rs");
        let folder = if matches!(stem, "lib" | "main" | "mod") { folder.into() } else { format!("{folder}/{stem}") };
        let declared = self.scan.attributes.iter().filter(|&found| is_for_tests(found));
        declared.filter_map(|found| Some(format!("{folder}/{}", found.module.as_deref()?))).collect()
    }

    /// Whether this file is the module at `path` (without `.rs`) or inside it.
    pub(super) fn is_module(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

fn is_test_path(path: &str) -> bool {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| matches!(folder, "tests" | "benches" | "fuzz"))
        || file == "tests.rs"
        || file.ends_with("_tests.rs")
}

/// `#[test]`, `#[cfg(test)]` and conditions that contain `test` positively.
fn is_for_tests(attribute: &AttributeRef) -> bool {
    let words = words(attribute.tokens.clone());
    match words.first().map(String::as_str) {
        Some("test") => words.len() == 1,
        Some("cfg") => words.iter().any(|word| word == "test") && !words.iter().any(|word| word == "not"),
        _ => false,
    }
}

/// All identifiers of a token stream, at any depth.
pub(super) fn words(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => found.push(name.to_string()),
            TokenTree::Group(group) => found.extend(words(group.stream())),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_code_is_told_by_path_and_by_attribute() {
        for (path, is_test) in [
            ("a/tests/x.rs", true),
            ("a/fuzz/fuzz_targets/x.rs", true),
            ("a/src/x/tests.rs", true),
            ("a/src/x_tests.rs", true),
            ("a/src/attests.rs", false),
            ("a/src/x.rs", false),
        ] {
            assert_eq!(SourceFile::parse(path, "").is_test, is_test, "{path}");
        }
        let source =
            SourceFile::parse("a.rs", "fn a() {}\n#[cfg(all(test, unix))]\nmod b {\n}\n#[cfg(not(test))]\nfn c() {}\n");
        let lines: Vec<_> = (1..=6).filter(|&line| source.is_test_line(line)).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_reported() {
        assert!(check(&Tree::of(&[("a.rs", "fn a() {}")])).is_empty());
        assert_eq!(check(&Tree::of(&[("a.rs", "fn a() {")])).len(), 1);
        assert_eq!(check(&Tree::of(&[("a.rs", "\nfn 1() {}")]))[0].line, 2);
    }
}
