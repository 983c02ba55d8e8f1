//! One noun, one type: a name that is declared in two places makes its reader ask which one is meant.
//!
//! Declarations are `struct`, `enum`, `union`, `trait` and `type`, also private ones, at any depth of a file, and those
//! that stand in a macro's call or definition.
//!
//! **Not**: tests, benchmarks and fuzz targets; associated types, whose names their traits choose.
//!
//! **Invariants**: both lists hold nothing that no longer applies.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::finding::Finding;
use super::tree::Tree;

const RULE: &str = "nouns";

/// Where the lists are, for findings about them.
const HERE: &str = "tools/xtask/src/tidy/nouns.rs";

/// Words that a module uses of itself, as Rust programs do: none of them is a noun of the domain. At most 25.
const LOCAL_WORDS: &[&str] =
    &["Arguments", "Entry", "Kind", "Options", "Outcome", "Report", "Row", "Shared", "State", "Table"];

/// Names with two types on purpose, and why each of them is right.
const EXPLAINED: &[(&str, &str)] = &[
    ("Backing", "the heap under Miri and mapped memory otherwise: one concept, of which a build has one"),
    ("RequestContext", "the node's is the session engine's, with the clock that the node measures by"),
];

const LOCAL_WORDS_MAX: usize = 25;
const _: () = assert!(LOCAL_WORDS.len() <= LOCAL_WORDS_MAX, "a longer list is no list of exceptions");

/// What declares a type. Not `type`: in a macro it may as well be a trait's.
const KEYWORDS: &[&str] = &["struct", "enum", "trait"];

/// Reports names that are declared more than once, and entries of the lists that are not needed.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let declared = declarations(tree);
    let mut findings = repeated(&declared, &|name| is_listed(name));
    // The lists can only be judged where the whole project is.
    if tree.file(HERE).is_some() {
        findings.extend(unneeded(&declared, LOCAL_WORDS.iter().chain(EXPLAINED.iter().map(|(name, _)| name))));
    }
    findings
}

fn is_listed(name: &str) -> bool {
    LOCAL_WORDS.contains(&name) || EXPLAINED.iter().any(|&(explained, _)| explained == name)
}

/// Each name with the places where it is declared.
type Declarations<'a> = BTreeMap<String, Vec<(&'a str, usize)>>;

fn declarations(tree: &Tree) -> Declarations<'_> {
    let mut declared = Declarations::new();
    for source in &tree.sources {
        let Ok(ast) = &source.ast else { continue };
        let mut names = TypeNames::default();
        names.visit_file(ast);
        for (name, line) in names.found {
            if !source.is_test_line(line) {
                declared.entry(name).or_default().push((&source.path, line));
            }
        }
    }
    declared
}

fn repeated(declared: &Declarations<'_>, is_listed: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, places) in declared.iter().filter(|(name, places)| places.len() > 1 && !is_listed(name)) {
        for &(path, line) in places {
            let others: Vec<String> = places
                .iter()
                .filter(|&&other| other != (path, line))
                .map(|(path, line)| format!("{path}:{line}"))
                .collect();
            let message = format!(
                "`{name}` is also declared at {}; give one of them its own noun, or say in {HERE} why both are right",
                others.join(", ")
            );
            findings.push(Finding::new(RULE, path, line, message));
        }
    }
    findings
}

fn unneeded<'n>(declared: &Declarations<'_>, listed: impl Iterator<Item = &'n &'n str>) -> Vec<Finding> {
    let single = listed.filter(|name| declared.get(**name).is_none_or(|places| places.len() < 2));
    single
        .map(|name| Finding::new(RULE, HERE, 1, format!("`{name}` does not name two types; remove the entry")))
        .collect()
}

/// The names of a file's own types, with their lines.
#[derive(Default)]
struct TypeNames {
    found: Vec<(String, usize)>,
}

impl TypeNames {
    fn add(&mut self, name: &syn::Ident) {
        self.found.push((name.to_string(), name.span().start().line));
    }

    /// What is declared in a macro: a keyword and a name beside each other.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut follows_keyword = false;
        for token in tokens {
            let is_keyword = matches!(&token, TokenTree::Ident(word) if KEYWORDS.contains(&word.to_string().as_str()));
            match token {
                TokenTree::Ident(name) if follows_keyword => self.add(&name),
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                _ => {}
            }
            follows_keyword = is_keyword;
        }
    }
}

impl<'ast> Visit<'ast> for TypeNames {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add(&item.ident);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.add(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        self.add_tokens(item.mac.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(files);
        repeated(&declarations(&tree), &|name| name == "Options").into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn one_noun_names_one_type() {
        let good = [
            ("a/src/a.rs", "struct Slot; impl Iterator for Slot { type Item = u8; } trait Wire { type Reply; }"),
            ("a/src/b.rs", "struct Bucket; impl Iterator for Bucket { type Item = u8; } struct Options;"),
            ("a/src/c.rs", "struct Options; #[cfg(test)] mod tests { struct Slot; } // struct Slot;"),
            ("a/tests/d.rs", "struct Slot;"),
            ("a/benches/e.rs", "struct Slot;"),
            ("a/fuzz/f.rs", "struct Slot;"),
        ];
        assert!(names(&good).is_empty());
    }

    #[test]
    fn every_kind_of_declaration_counts() {
        for second in [
            "pub enum Slot {}",
            "union Slot { a: u8 }",
            "pub(crate) trait Slot {}",
            "type Slot = u8;",
            "fn f() { struct Slot; }",
            "mod inner { struct Slot; }",
            "metrics! { /// A group.\n pub struct Slot { a: u8 = \"a\" } }",
            "macro_rules! m { ($a:ident) => { pub struct Slot; struct $a; } }",
        ] {
            assert_eq!(names(&[("a/src/a.rs", "struct Slot;"), ("a/src/b.rs", second)]), ["a/src/a.rs", "a/src/b.rs"]);
        }
        let twice = Tree::of(&[("a/src/a.rs", "struct Slot;\nmod b { struct Slot; }")]);
        assert!(check(&twice)[0].message.contains("a/src/a.rs:2"));
    }

    #[test]
    fn an_entry_that_no_longer_applies_is_a_finding() {
        let tree = Tree::of(&[("a/src/a.rs", "struct Options; struct Kind;"), ("a/src/b.rs", "struct Options;")]);
        let declared = declarations(&tree);
        assert!(unneeded(&declared, ["Options"].iter()).is_empty());
        assert_eq!(unneeded(&declared, ["Options", "Kind", "Report"].iter()).len(), 2);
    }

    #[test]
    fn each_name_is_listed_once_and_explained_in_a_sentence() {
        let mut listed: Vec<&str> =
            LOCAL_WORDS.iter().copied().chain(EXPLAINED.iter().map(|&(name, _)| name)).collect();
        listed.sort_unstable();
        assert!(listed.windows(2).all(|pair| pair[0] != pair[1]), "{listed:?}");
        for (name, reason) in EXPLAINED {
            assert!(reason.split(' ').count() >= 6, "{name}: {reason}");
        }
    }
}
