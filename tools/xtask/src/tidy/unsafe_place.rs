//! Where `unsafe` may stand, and that each use says why it is sound.
//!
//! **Invariants**: a `// SAFETY:` comment stands directly above the statement (attributes between them allowed) or on
//! its line; an `unsafe fn` or trait has a `# Safety` section in its documentation instead or as well. A function that
//! implements a trait's `unsafe fn` has the contract the trait documents.

use super::finding::Finding;
use super::functions;
use super::scan::{UnsafeKind, UnsafeRef};
use super::source::SourceFile;
use super::tree::Tree;

const RULE: &str = "unsafe";

/// Path prefixes of the files that may use `unsafe`: the reactor, and the memory of the cache engine.
const PLACES: &[&str] = &["server/reactor/", "shardstore/src/cache/arena"];

/// Reports `unsafe` outside its places, and without a reason inside them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let is_allowed = PLACES.iter().any(|place| source.path.starts_with(place));
        for found in &source.scan.unsafes {
            let message = if !is_allowed {
                "unsafe is for server/reactor and shardstore/src/cache/arena only; use a safe interface of theirs"
            } else if !is_explained(source, found) {
                "unsafe without its reason; write `// SAFETY: …` directly above (or `# Safety` in an unsafe fn's doc)"
            } else {
                continue;
            };
            findings.push(Finding::new(RULE, &source.path, found.line, message));
        }
    }
    findings
}

fn is_explained(source: &SourceFile, found: &UnsafeRef) -> bool {
    let marks: &[&str] = match found.kind {
        UnsafeKind::Pointer => return true,
        UnsafeKind::Function if implements_trait(source, found.line) => return true,
        UnsafeKind::Block | UnsafeKind::Impl => &["SAFETY:"],
        UnsafeKind::Function | UnsafeKind::Declaration => &["SAFETY:", "# Safety"],
    };
    let is_marked = |line: &str| marks.iter().any(|mark| line.contains(mark));
    let lines: Vec<&str> = source.text.lines().take(found.line).collect();
    let Some((own, above)) = lines.split_last() else { return false };
    if own.split_once("//").is_some_and(|(_, comment)| is_marked(comment)) {
        return true;
    }
    // Upwards over comments, attributes and the earlier lines of the same statement.
    above
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| is_comment(line) || line.starts_with("#[") || is_continued(line))
        .any(|line| is_comment(line) && is_marked(line))
}

fn implements_trait(source: &SourceFile, line: usize) -> bool {
    let Ok(ast) = &source.ast else { return false };
    functions::shapes(ast).iter().any(|shape| shape.is_trait_impl && shape.line == line)
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//")
}

/// Whether the statement on this line goes on below it.
fn is_continued(line: &str) -> bool {
    !line.is_empty() && !line.ends_with([';', '{', '}', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn unsafe_stands_in_its_places_only() {
        let text = "// SAFETY: it is.\nunsafe impl Send for A {}\n";
        assert_eq!(count("server/reactor/src/a.rs", text), 0);
        assert_eq!(count("shardstore/src/cache/arena/chunk.rs", text), 0);
        assert_eq!(count("shardstore/src/cache/arena.rs", text), 0);
        assert_eq!(count("shardstore/src/cache/index.rs", text), 1);
        assert_eq!(count("server/src/a.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(count("server/src/a.rs", "#![deny(unsafe_code)] // unsafe\nfn f() { g(\"unsafe\") }"), 0);
    }

    #[test]
    fn every_use_says_why_it_is_sound() {
        for good in [
            "fn f() {\n    // SAFETY: it is.\n    unsafe { g() };\n}",
            "fn f() {\n    // SAFETY: it is,\n    // for two reasons.\n    #[rustfmt::skip]\n    let x =\n        unsafe { g() };\n}",
            "fn f() {\n    g(unsafe { h() }) // SAFETY: it is.\n}",
            "/// Doc.\n///\n/// # Safety\n/// Call it once.\n#[inline]\npub unsafe fn f() {}",
            "type F = unsafe fn(u8);",
            "impl T for A {\n    unsafe fn f() {}\n}",
        ] {
            assert_eq!(count("server/reactor/src/a.rs", good), 0, "{good}");
        }
        for bad in [
            "fn f() {\n    unsafe { g() };\n}",
            "// SAFETY: of something else.\nfn a() {}\nfn f() {\n    unsafe { g() };\n}",
            "/// # Safety\n/// Not for a block.\nfn f() {\n    unsafe { g() };\n}",
            "// SAFETY: it is.\nunsafe impl Send for A {}\nunsafe impl Sync for A {}",
            "/// Doc.\npub unsafe fn f() {}",
            "impl A {\n    unsafe fn f() {}\n}",
        ] {
            assert_eq!(count("server/reactor/src/a.rs", bad), 1, "{bad}");
        }
    }
}
