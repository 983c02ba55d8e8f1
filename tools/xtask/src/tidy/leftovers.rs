//! Unfinished work and waiting by the clock: `todo!`, `unimplemented!`, ignored tests, `thread::sleep`.

use super::finding::Finding;
use super::source::{SourceFile, words};
use super::tree::Tree;

const RULE: &str = "leftovers";

/// The one place of the tools that polls other processes; everyone else waits on readiness or on the reactor.
const POLLING: &str = "tools/lab/src/poll.rs";

/// Reports what must not be committed.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(check_source).collect()
}

fn check_source(source: &SourceFile) -> Vec<Finding> {
    let mut found = Vec::new();
    for called in &source.scan.macros {
        if matches!(called.text.as_str(), "todo" | "unimplemented") {
            found.push((called.line, format!("`{}!`: finish it, or return an error that says so", called.text)));
        }
    }
    for attribute in &source.scan.attributes {
        if words(attribute.tokens.clone()).first().is_some_and(|word| word == "ignore") {
            found.push((attribute.line, "an ignored test tests nothing; make it run or delete it".into()));
        }
    }
    for path in &source.scan.paths {
        let sleeps = path.segments.ends_with(&["thread".into(), "sleep".into()]);
        if sleeps && source.path != POLLING {
            found.push((path.line, "`thread::sleep`: wait on readiness or on a deadline instead".into()));
        }
    }
    found.into_iter().map(|(line, message)| Finding::new(RULE, &source.path, line, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_work_has_no_leftovers() {
        let good = "// todo!()\nfn todo() {} #[should_panic] fn f() { let ignore = \"thread::sleep\"; }";
        assert!(check(&Tree::of(&[("a.rs", good), (POLLING, "use std::thread::sleep;")])).is_empty());
        for bad in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"x\") }",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            "fn f() { std::thread::sleep(d) }",
            "use std::thread::{self, sleep};",
        ] {
            assert_eq!(check(&Tree::of(&[("a.rs", bad)])).len(), 1, "{bad}");
        }
    }
}
