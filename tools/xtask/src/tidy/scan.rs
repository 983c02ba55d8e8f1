//! What a file's tokens say: paths, macros, attributes, strings and `unsafe`, each with its line.
//!
//! Tokens rather than text, so that comments and strings never count as code; tokens rather than a syntax tree, so that
//! the inside of macro calls counts too.
//!
//! **Not**: name resolution. A rule that needs it asks for a path's spelling and says so.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// `a::b::c` as written; each leaf of a `use` tree is one path, a glob ends in `*`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathRef {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// Something named, and its line: a macro that is called, or a string literal's content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) text: String,
    pub(super) line: usize,
}

/// `#[…]` or `#![…]`.
#[derive(Debug)]
pub(super) struct AttributeRef {
    pub(super) tokens: TokenStream,
    pub(super) line: usize,
    /// The last line of the item it stands on; the whole file's for `#![…]`.
    pub(super) item_end: usize,
    /// The name of the module it stands on, when that is in another file (`mod name;`).
    pub(super) module: Option<String>,
}

/// What follows the keyword `unsafe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnsafeKind {
    Block,
    Impl,
    Function,
    /// A trait or a foreign block.
    Declaration,
    /// The type of a function pointer: promises nothing by itself.
    Pointer,
}

/// One use of `unsafe`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnsafeRef {
    pub(super) kind: UnsafeKind,
    pub(super) line: usize,
}

/// Everything found in one file.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) paths: Vec<PathRef>,
    pub(super) macros: Vec<Named>,
    pub(super) strings: Vec<Named>,
    pub(super) attributes: Vec<AttributeRef>,
    pub(super) unsafes: Vec<UnsafeRef>,
}

impl Scan {
    /// Reads a file's tokens.
    pub(super) fn of(tokens: TokenStream) -> Self {
        let mut scan = Self::default();
        scan.walk(tokens);
        scan
    }

    fn walk(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(&tokens, at),
                TokenTree::Ident(name) if name == "unsafe" => self.unsafe_keyword(&tokens, at),
                TokenTree::Ident(_) => self.path(&tokens, at),
                TokenTree::Group(group) => {
                    self.walk(group.stream());
                    at + 1
                }
                TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(string) = syn::Lit::new(literal.clone()) {
                        self.strings.push(Named { text: string.value(), line: line(&tokens[at]) });
                    }
                    at + 1
                }
                TokenTree::Punct(_) => at + 1,
            };
        }
    }

    fn attribute(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let inner = is_punct(tokens.get(at + 1), '!');
        let body_at = at + 1 + usize::from(inner);
        let Some(body) = group(tokens.get(body_at), Delimiter::Bracket) else { return at + 1 };
        let (item_end, module) = if inner { (usize::MAX, None) } else { item_after(tokens, body_at + 1) };
        self.attributes.push(AttributeRef { tokens: body.stream(), line: line(&tokens[at]), item_end, module });
        body_at + 1
    }

    fn unsafe_keyword(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let word = |offset: usize| match tokens.get(at + offset) {
            Some(TokenTree::Ident(name)) => name.to_string(),
            _ => String::new(),
        };
        let kind = match word(1).as_str() {
            "impl" => UnsafeKind::Impl,
            "fn" if word(2).is_empty() => UnsafeKind::Pointer,
            "fn" => UnsafeKind::Function,
            // `unsafe extern "C" fn name` and the pointer type `unsafe extern "C" fn(…)` differ after the `fn`.
            "extern" if word(3) == "fn" && word(4).is_empty() => UnsafeKind::Pointer,
            "extern" if word(3) == "fn" => UnsafeKind::Function,
            "extern" | "trait" | "auto" => UnsafeKind::Declaration,
            _ => UnsafeKind::Block,
        };
        self.unsafes.push(UnsafeRef { kind, line: line(&tokens[at]) });
        at + 1
    }

    /// Reads a path that starts at an identifier; returns the index behind it.
    fn path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let first_line = line(&tokens[at]);
        let imported = at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(name) if name == "use" || name == "crate");
        let mut segments = vec![tokens[at].to_string()];
        let mut next = at + 1;
        while is_path_separator(tokens, next) {
            match tokens.get(next + 2) {
                Some(TokenTree::Ident(name)) => segments.push(name.to_string()),
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".into()),
                Some(TokenTree::Group(tree)) if tree.delimiter() == Delimiter::Brace => {
                    self.use_tree(&segments, tree);
                    return next + 3;
                }
                _ => break, // a turbofish: what follows it is a path of its own
            }
            next += 3;
        }
        if is_punct(tokens.get(next), '!') && matches!(tokens.get(next + 1), Some(TokenTree::Group(_))) {
            let text = segments.last().cloned().unwrap_or_default();
            self.macros.push(Named { text, line: first_line });
        }
        if segments.len() > 1 || imported {
            self.paths.push(PathRef { segments, line: first_line });
        }
        next
    }

    /// One path for each leaf of `prefix::{…}`.
    fn use_tree(&mut self, prefix: &[String], tree: &Group) {
        let tokens: Vec<TokenTree> = tree.stream().into_iter().collect();
        for leaf in tokens.split(|token| is_punct(Some(token), ',')) {
            let Some(first) = leaf.first() else { continue };
            let mut segments = prefix.to_vec();
            let mut nested = false;
            for token in leaf {
                match token {
                    TokenTree::Ident(name) if name == "as" => break,
                    TokenTree::Ident(name) if name == "self" => {}
                    TokenTree::Ident(name) => segments.push(name.to_string()),
                    TokenTree::Punct(star) if star.as_char() == '*' => segments.push("*".into()),
                    TokenTree::Group(inner) => {
                        self.use_tree(&segments, inner);
                        nested = true;
                    }
                    _ => {}
                }
            }
            if !nested {
                self.paths.push(PathRef { segments, line: line(first) });
            }
        }
    }
}

/// The line on which a token starts, from 1.
fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(colon)) if colon.as_char() == ':' && colon.spacing() == Spacing::Joint)
        && is_punct(tokens.get(at + 1), ':')
}

/// Where the item that starts at `at` (further attributes first) ends, and its name if it is `mod name;`.
fn item_after(tokens: &[TokenTree], mut at: usize) -> (usize, Option<String>) {
    while is_punct(tokens.get(at), '#') && group(tokens.get(at + 1), Delimiter::Bracket).is_some() {
        at += 2;
    }
    let Some(item) = tokens.get(at..).filter(|item| !item.is_empty()) else { return (0, None) };
    let end = item.iter().position(|token| {
        is_punct(Some(token), ';') || matches!(token, TokenTree::Group(body) if body.delimiter() == Delimiter::Brace)
    });
    let end = end.unwrap_or(item.len() - 1);
    let module = match &item[..end] {
        [.., TokenTree::Ident(keyword), TokenTree::Ident(name)] if keyword == "mod" && is_punct(item.get(end), ';') => {
            Some(name.to_string())
        }
        _ => None,
    };
    (item[end].span().end().line, module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Scan {
        Scan::of(text.parse().expect("the sample is Rust"))
    }

    fn paths(text: &str) -> Vec<String> {
        scan(text).paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_read_from_code_imports_and_macros() {
        for (text, expected) in [
            ("fn f() { std::fs::read(p) }", vec!["std::fs::read"]),
            ("use std::{fs, net::{self, TcpStream as T}};", vec!["std::fs", "std::net", "std::net::TcpStream"]),
            ("use io_uring;", vec!["io_uring"]),
            ("use a::*;", vec!["a::*"]),
            ("m!(std::thread::spawn)", vec!["std::thread::spawn"]),
            ("// std::fs\n /* std::fs */ const A: &str = \"std::fs\";", vec![]),
            ("fn f(x: ::std::net::IpAddr) {}", vec!["std::net::IpAddr"]),
        ] {
            assert_eq!(paths(text), expected, "{text}");
        }
    }

    #[test]
    fn macros_are_calls_and_not_comparisons() {
        let names: Vec<_> = scan("f!(); if a != (b) {} std::println![]").macros.into_iter().map(|m| m.text).collect();
        assert_eq!(names, ["f", "println"]);
    }

    #[test]
    fn unsafe_is_told_apart() {
        let text = "unsafe fn a() {}\nunsafe impl Send for A {}\nfn b() { unsafe { a() } }\ntype P = unsafe fn();\n\
                    unsafe extern \"C\" { }\nunsafe extern \"C\" fn c() {}";
        let kinds: Vec<_> = scan(text).unsafes.iter().map(|found| (found.line, found.kind)).collect();
        use UnsafeKind::{Block, Declaration, Function, Impl, Pointer};
        assert_eq!(kinds, [(1, Function), (2, Impl), (3, Block), (4, Pointer), (5, Declaration), (6, Function)]);
    }

    #[test]
    fn attributes_know_the_end_of_their_item() {
        let scan = scan("#[cfg(test)]\n#[path = \"x.rs\"]\nmod far;\n#[cfg(test)]\nmod near {\n}\n");
        let ends: Vec<_> = scan.attributes.iter().map(|a| (a.line, a.item_end, a.module.as_deref())).collect();
        assert_eq!(ends, [(1, 3, Some("far")), (2, 3, Some("far")), (4, 6, None)]);
    }
}
