//! Every exception to a lint says why.

use proc_macro2::{TokenStream, TokenTree};

use super::finding::Finding;
use super::source::words;
use super::tree::Tree;

const RULE: &str = "reasons";

/// Reports `allow` and `expect` attributes without a reason.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let unexplained = source.scan.attributes.iter().filter(|found| is_unexplained(found.tokens.clone()));
        let message = "an exception without its reason; add `reason = \"…\"`";
        findings.extend(unexplained.map(|found| Finding::new(RULE, &source.path, found.line, message)));
    }
    findings
}

/// Whether the attribute is, or contains (`cfg_attr`), an exception without `reason`.
fn is_unexplained(attribute: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    let is_exception =
        |token: &TokenTree| matches!(token, TokenTree::Ident(name) if name == "allow" || name == "expect");
    let direct = tokens.windows(2).any(|pair| match pair {
        [name, TokenTree::Group(list)] if is_exception(name) => {
            !words(list.stream()).iter().any(|word| word == "reason")
        }
        _ => false,
    });
    let is_conditional = matches!(tokens.first(), Some(TokenTree::Ident(name)) if name == "cfg_attr");
    let nested = is_conditional
        && tokens.iter().any(|token| matches!(token, TokenTree::Group(inner) if is_unexplained(inner.stream())));
    direct || nested
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_say_why() {
        for good in [
            "#[allow(dead_code, reason = \"used on other targets\")] fn f() {}",
            "#![expect(clippy::all, reason = \"x\")]",
            "#[doc = \"allow(x)\"] #[deny(x)] fn f() { a.expect(\"holds\") }",
        ] {
            assert!(check(&Tree::of(&[("a.rs", good)])).is_empty(), "{good}");
        }
        for bad in [
            "#[allow(dead_code)] fn f() {}",
            "#![expect(clippy::all)]",
            "fn f() { #[allow(unused)] let a = 1; }",
            "#[cfg_attr(test, allow(dead_code))] fn f() {}",
        ] {
            assert_eq!(check(&Tree::of(&[("a.rs", bad)])).len(), 1, "{bad}");
        }
    }
}
