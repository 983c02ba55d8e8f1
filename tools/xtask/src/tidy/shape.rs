//! How large a function may be: lines, arguments, bools, nesting.

use super::finding::Finding;
use super::functions::{self, FunctionShape};
use super::tree::Tree;

const RULE: &str = "function-shape";

/// What fits on a screen.
const LINES_MAX: usize = 70;

/// More belong into an options struct.
const ARGUMENTS_MAX: usize = 5;

/// Two bools in a call read as nothing at all.
const BOOLS_MAX: usize = 1;

/// A branch in a branch in a branch in a branch; beyond, a reader has lost the conditions.
const NESTING_MAX: usize = 4;

/// Reports functions over a limit. Implementations of traits take the arguments the trait gives them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let Ok(ast) = &source.ast else { continue };
        for shape in functions::shapes(ast) {
            findings.extend(
                problems(&shape)
                    .into_iter()
                    .map(|problem| Finding::new(RULE, &source.path, shape.line, format!("`{}` {problem}", shape.name))),
            );
        }
    }
    findings
}

fn problems(shape: &FunctionShape) -> Vec<String> {
    let free = !shape.is_trait_impl;
    let checks = [
        (true, shape.lines, LINES_MAX, "lines", "name a part of it and move that into its own function"),
        (free, shape.arguments, ARGUMENTS_MAX, "arguments", "group them in a struct"),
        (free, shape.bools, BOOLS_MAX, "bool arguments", "use an enum or an options struct"),
        (true, shape.nesting, NESTING_MAX, "levels of nesting", "return early or move the inside into a function"),
    ];
    let over = checks.into_iter().filter(|&(applies, value, limit, ..)| applies && value > limit);
    over.map(|(_, value, limit, what, remedy)| format!("has {value} {what}, at most {limit}; {remedy}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Tree::of(&[("a.rs", text)])).len()
    }

    #[test]
    fn functions_stay_within_their_limits() {
        let lines = |count: usize| format!("fn f() {{\n{}}}", "a();\n".repeat(count - 2));
        let nested = |levels: usize| format!("fn f() {{ {} {} }}", "if a {".repeat(levels), "}".repeat(levels));
        for good in [
            lines(LINES_MAX),
            nested(NESTING_MAX),
            "impl A { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }".into(),
            "fn f(a: bool) {}".into(),
            "impl T for A { fn f(a: bool, b: bool) {} }".into(),
        ] {
            assert_eq!(count(&good), 0, "{good}");
        }
        for bad in [
            lines(LINES_MAX + 1),
            nested(NESTING_MAX + 1),
            "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, g: u8) {}".into(),
            "fn f(a: bool, b: bool) {}".into(),
            "trait T { fn f(a: bool, b: bool); }".into(),
        ] {
            assert_eq!(count(&bad), 1, "{bad}");
        }
    }
}
