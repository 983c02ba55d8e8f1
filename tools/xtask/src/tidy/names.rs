//! Names that say nothing: files called after no thing in particular, and `get_`.

use super::finding::Finding;
use super::functions;
use super::tree::Tree;

const RULE: &str = "names";

/// Words that fit every file, and so distinguish none.
const EMPTY_WORDS: &[&str] =
    &["util", "utils", "manager", "managers", "helper", "helpers", "common", "misc", "miscellaneous"];

/// The folder from which Ansible sends code along with modules; its name is in their imports.
const NAMED_BY_ANSIBLE: &str = "ansible/plugins/module_utils/";

/// Names the standard library gives to access by key or index; a reader expects them on a container.
const STANDARD_GETTERS: &[&str] = &["get_mut", "get_unchecked", "get_unchecked_mut"];

/// Reports files and folders named with an empty word, and functions named `get_…`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        if let Some(word) = empty_word(&file.path) {
            let message = format!("`{word}` in a file name says nothing; name the thing it holds");
            findings.push(Finding::new(RULE, &file.path, 1, message));
        }
    }
    for source in &tree.sources {
        let Ok(ast) = &source.ast else { continue };
        let shapes = functions::shapes(ast).into_iter();
        let getters = shapes.filter(|shape| {
            let is_chosen = !shape.is_trait_impl && !STANDARD_GETTERS.contains(&shape.name.as_str());
            is_chosen && shape.name.starts_with("get_")
        });
        findings.extend(getters.map(|shape| {
            let message = format!("`{}`: drop the `get_`", shape.name);
            Finding::new(RULE, &source.path, shape.line, message)
        }));
    }
    findings
}

fn empty_word(path: &str) -> Option<&str> {
    path.strip_prefix(NAMED_BY_ANSIBLE)
        .unwrap_or(path)
        .split(['/', '.', '_', '-'])
        .find(|word| EMPTY_WORDS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_things() {
        assert!(check(&Tree::of(&[("server/src/route.rs", ""), ("docs/utility.md", "")])).is_empty());
        assert!(check(&Tree::of(&[("ansible/plugins/module_utils/corelane_host.py", "")])).is_empty());
        for bad in [
            "ansible/plugins/module_utils/utils.py",
            "server/src/util.rs",
            "server/src/common/mod.rs",
            "a/string_helpers.rs",
            "misc.md",
        ] {
            assert_eq!(check(&Tree::of(&[(bad, "")])).len(), 1, "{bad}");
        }
    }

    #[test]
    fn functions_do_not_get() {
        assert!(
            check(&Tree::of(&[(
                "a.rs",
                "fn get() {} fn get_mut() {} fn target() {} impl T for A { fn get_ref(&self) {} }"
            )]))
            .is_empty()
        );
        assert_eq!(check(&Tree::of(&[("a.rs", "impl A { fn get_value(&self) {} }")])).len(), 1);
    }
}
