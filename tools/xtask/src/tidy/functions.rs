//! The shape of every function of a file: lines, arguments, bools, nesting.
//!
//! **Invariants**: a function inside another counts by itself and does not deepen its parent. `else if` is one level, as
//! it reads.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, FnArg, Signature, Type};

/// What the rules want to know about one function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FunctionShape {
    pub(super) name: String,
    /// The line of its signature, from 1.
    pub(super) line: usize,
    /// From the signature to the closing brace.
    pub(super) lines: usize,
    /// Without `self`.
    pub(super) arguments: usize,
    /// Arguments of type `bool`.
    pub(super) bools: usize,
    /// The deepest `if`, `match` or loop inside `if`, `match` or loop; 0 for straight code.
    pub(super) nesting: usize,
    /// Whether it implements a trait's function: its name and arguments are not its author's choice.
    pub(super) is_trait_impl: bool,
}

/// The shapes of all functions with a body in a file, and of the signatures in its traits.
pub(super) fn shapes(file: &syn::File) -> Vec<FunctionShape> {
    let mut collector = Collector { found: Vec::new(), is_trait_impl: false };
    collector.visit_file(file);
    collector.found
}

struct Collector {
    found: Vec<FunctionShape>,
    is_trait_impl: bool,
}

impl Collector {
    fn add(&mut self, signature: &Signature, body: Option<&syn::Block>) {
        let typed = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        });
        let types: Vec<&Type> = typed.collect();
        let line = signature.span().start().line;
        let mut depth = Depth::default();
        if let Some(body) = body {
            depth.visit_block(body);
        }
        self.found.push(FunctionShape {
            name: signature.ident.to_string(),
            line,
            lines: body.map_or(line, |body| body.span().end().line) + 1 - line,
            arguments: types.len(),
            bools: types.iter().filter(|ty| matches!(ty, Type::Path(path) if path.path.is_ident("bool"))).count(),
            nesting: depth.deepest,
            is_trait_impl: self.is_trait_impl,
        });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let outer = std::mem::replace(&mut self.is_trait_impl, false);
        self.add(&item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
        self.is_trait_impl = outer;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = std::mem::replace(&mut self.is_trait_impl, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.is_trait_impl = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, Some(&item.block));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.add(&item.sig, item.default.as_ref());
        visit::visit_trait_item_fn(self, item);
    }
}

/// Measures nesting inside one body.
#[derive(Default)]
struct Depth {
    current: usize,
    deepest: usize,
}

impl Depth {
    fn deeper(&mut self, visit: impl FnOnce(&mut Self)) {
        self.current += 1;
        self.deepest = self.deepest.max(self.current);
        visit(self);
        self.current -= 1;
    }
}

impl<'ast> Visit<'ast> for Depth {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Match(_) | Expr::While(_) | Expr::Loop(_) | Expr::ForLoop(_) => {
                self.deeper(|depth| visit::visit_expr(depth, expr));
            }
            Expr::If(branch) => {
                self.deeper(|depth| {
                    depth.visit_expr(&branch.cond);
                    depth.visit_block(&branch.then_branch);
                });
                if let Some((_, otherwise)) = &branch.else_branch {
                    match &**otherwise {
                        Expr::Block(block) => self.deeper(|depth| depth.visit_block(&block.block)),
                        chained => self.visit_expr(chained),
                    }
                }
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> FunctionShape {
        let mut shapes = shapes(&syn::parse_file(text).expect("the sample is Rust"));
        assert_eq!(shapes.len(), 1, "{text}");
        shapes.remove(0)
    }

    #[test]
    fn lines_arguments_and_bools_are_counted() {
        let shape = only("impl A {\n    /// Doc.\n    fn f(&self, a: bool, b: &str, c: bool) {\n        b;\n    }\n}");
        assert_eq!((shape.line, shape.lines, shape.arguments, shape.bools), (3, 3, 3, 2));
        assert!(!shape.is_trait_impl);
        assert!(only("impl T for A { fn f(&self) {} }").is_trait_impl);
    }

    #[test]
    fn nesting_counts_branches_and_loops() {
        for (body, nesting) in [
            ("a();", 0),
            ("if a { b } else if c { d } else { e }", 1),
            ("for a in b { if c { match d { _ => loop {} } } }", 4),
            ("let f = || if a { b };", 1),
            ("{ { { a } } }", 0),
            ("if a { 1 } else { if b { 2 } }", 2),
        ] {
            assert_eq!(only(&format!("fn f() {{ {body} }}")).nesting, nesting, "{body}");
        }
        let nested = shapes(&syn::parse_file("fn a() { if x { fn b() { if y {} } } }").expect("the sample is Rust"));
        assert!(nested.iter().all(|shape| shape.nesting == 1), "{nested:?}");
    }
}
