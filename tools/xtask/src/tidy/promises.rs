//! Every promise of docs/specification.md names a test that exists.
//!
//! A promise is a line `- **S-name** text — test: ` followed by the test as `path::function` in backticks; several tests
//! are separated by commas. Lines that begin with two spaces continue the promise above them.

use std::collections::HashSet;

use super::finding::Finding;
use super::source::SourceFile;
use super::tree::Tree;

const RULE: &str = "promises";

const SPECIFICATION: &str = "docs/specification.md";

/// A promise with its continuation lines joined.
struct Promise {
    line: usize,
    id: String,
    text: String,
}

/// Reports promises without a test, with a test that is not there, and ids used twice.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(SPECIFICATION) else {
        return vec![Finding::new(RULE, SPECIFICATION, 1, "missing; write down what the product promises")];
    };
    let mut findings = Vec::new();
    let mut ids = HashSet::new();
    for promise in promises(&file.text) {
        let mut problems = problems(tree, &promise);
        if !ids.insert(promise.id.clone()) {
            problems.push("this id is used twice; give it one of its own".into());
        }
        let named = problems.into_iter().map(|problem| format!("{}: {problem}", promise.id));
        findings.extend(named.map(|message| Finding::new(RULE, SPECIFICATION, promise.line, message)));
    }
    findings
}

fn promises(text: &str) -> Vec<Promise> {
    let mut found: Vec<Promise> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("- **S-") {
            let id = format!("S-{}", rest.split("**").next().unwrap_or_default());
            found.push(Promise { line: index + 1, id, text: line.into() });
            open = true;
        } else if let Some(promise) = found.last_mut().filter(|_| open && line.starts_with("  ")) {
            promise.text.push(' ');
            promise.text.push_str(line.trim());
        } else {
            open = false;
        }
    }
    found
}

fn problems(tree: &Tree, promise: &Promise) -> Vec<String> {
    let Some((_, tests)) = promise.text.rsplit_once("test: ") else {
        return vec!["names no test; end it with — test: `path::function`".into()];
    };
    // Every second piece between backticks is inside a pair of them.
    let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return vec!["names no test; put it in backticks as `path::function`".into()];
    }
    named.into_iter().filter_map(|test| problem(tree, test)).collect()
}

fn problem(tree: &Tree, test: &str) -> Option<String> {
    let Some((path, rest)) = test.split_once("::") else {
        return Some(format!("`{test}` is not `path::function`"));
    };
    let function = rest.rsplit("::").next().unwrap_or(rest);
    match tree.sources.iter().find(|source| source.path == path) {
        None => Some(format!("{path} does not exist; name the file the test is in")),
        Some(source) if !has_function(source, function) => {
            Some(format!("{path} has no `fn {function}`; name a test that exists"))
        }
        Some(_) => None,
    }
}

/// Whether the text has a function of that name, also inside a macro that generates tests.
fn has_function(source: &SourceFile, function: &str) -> bool {
    let wanted = format!("fn {function}");
    source.text.match_indices(&wanted).any(|(at, _)| {
        let after = source.text[at + wanted.len()..].chars().next();
        !after.is_some_and(|character| character.is_alphanumeric() || character == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(specification: &str) -> Vec<String> {
        let tree = Tree::of(&[(SPECIFICATION, specification), ("server/tests/kv.rs", "#[test]\nfn put_then_get() {}")]);
        check(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn promises_name_tests_that_exist() {
        for good in [
            "- **S-1** A PUT is read back — test: `server/tests/kv.rs::put_then_get`",
            "- **S-1** A PUT\n  is read back — test: `server/tests/kv.rs::put_then_get`",
            "# Title\n\nText about `code`.",
        ] {
            assert_eq!(findings(good), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "- **S-1** A PUT is read back",
            "- **S-1** x — test: server/tests/kv.rs",
            "- **S-1** x — test: `server/tests/kv.rs::put`",
            "- **S-1** x — test: `server/tests/other.rs::put_then_get`",
            "- **S-1** x — test: `put_then_get`",
            "- **S-1** x\n\n  not a continuation — test: `server/tests/kv.rs::put_then_get`",
        ] {
            assert_eq!(findings(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn ids_are_unique_and_the_file_exists() {
        let promise = "- **S-1** x — test: `server/tests/kv.rs::put_then_get`\n";
        assert_eq!(findings(&promise.repeat(2)), ["S-1: this id is used twice; give it one of its own"]);
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
