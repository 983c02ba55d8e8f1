//! The path patterns of one host, and all of them that a path matches, the most specific first.
//!
//! ```text
//!  /a/b  /a/{x}  /a/{*r}        a ─┬─ b        at every segment: its text, then a parameter, then the rest
//!                                  ├─ {}
//!                                  └─ {*}
//! ```
//!
//! **Not**: conditions. Several routes may have one pattern; whoever visits decides which of them is meant, or goes on.
//!
//! **Invariants**: a visit takes no allocation, descends at most [`PATH_SEGMENTS_MAX`] segments and sees a node once.
//!
//! **Source**: docs/proxy.md, "Which route wins".

use std::ops::ControlFlow;

use crate::pattern::{PATH_PARAMETERS_MAX, PATH_SEGMENTS_MAX, SegmentPattern};

/// A route by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteIndex(pub(crate) u32);

/// The values of a pattern's parameters in one path, in order.
#[derive(Clone, Copy, Debug)]
pub struct PathParameters<'r> {
    values: [&'r [u8]; PATH_PARAMETERS_MAX],
    count: usize,
}

impl<'r> PathParameters<'r> {
    pub(crate) const fn none() -> Self {
        Self { values: [&[]; PATH_PARAMETERS_MAX], count: 0 }
    }

    /// The values, in normal form, at most [`PATH_PARAMETERS_MAX`].
    #[must_use]
    pub fn values(&self) -> &[&'r [u8]] {
        &self.values[..self.count]
    }

    fn with(mut self, value: &'r [u8]) -> Self {
        self.values[self.count] = value;
        self.count += 1;
        self
    }
}

#[derive(Clone, Debug, Default)]
struct PathNode {
    /// Sorted by their text.
    texts: Vec<(Box<[u8]>, PathNode)>,
    parameter: Option<Box<PathNode>>,
    /// Routes whose pattern ends with all that follows.
    rest: Vec<RouteIndex>,
    /// Routes whose pattern ends here.
    routes: Vec<RouteIndex>,
}

/// The patterns of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathTree(PathNode);

impl PathTree {
    /// The routes that have exactly this pattern; more may be added.
    pub(crate) fn routes_of(&mut self, segments: &[SegmentPattern]) -> &mut Vec<RouteIndex> {
        debug_assert!((1..=PATH_SEGMENTS_MAX).contains(&segments.len()));
        let mut node = &mut self.0;
        for segment in segments {
            node = match segment {
                SegmentPattern::Text(text) => {
                    let at = match node.texts.binary_search_by(|(known, _)| known.cmp(text)) {
                        Ok(at) => at,
                        Err(at) => {
                            node.texts.insert(at, (text.clone(), PathNode::default()));
                            at
                        }
                    };
                    &mut node.texts[at].1
                }
                SegmentPattern::Parameter => node.parameter.get_or_insert_default(),
                SegmentPattern::Rest => return &mut node.rest,
            };
        }
        &mut node.routes
    }

    /// Shows `found` the routes of every pattern that the path matches, the most specific first, until it breaks.
    pub(crate) fn visit<'r, B>(
        &self,
        path: &'r [u8],
        found: &mut impl FnMut(&[RouteIndex], PathParameters<'r>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match path {
            [b'/', rest @ ..] => self.0.visit(rest, PathParameters::none(), found),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl PathNode {
    /// `path` is what follows the slash of this node.
    fn visit<'r, B>(
        &self,
        path: &'r [u8],
        parameters: PathParameters<'r>,
        found: &mut impl FnMut(&[RouteIndex], PathParameters<'r>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let slash = memchr::memchr(b'/', path);
        let segment = &path[..slash.unwrap_or(path.len())];
        if let Ok(at) = self.texts.binary_search_by(|(text, _)| (**text).cmp(segment)) {
            self.texts[at].1.follow(slash.map(|slash| &path[slash + 1..]), parameters, found)?;
        }
        if let Some(node) = &self.parameter
            && !segment.is_empty()
        {
            node.follow(slash.map(|slash| &path[slash + 1..]), parameters.with(segment), found)?;
        }
        if self.rest.is_empty() {
            return ControlFlow::Continue(());
        }
        found(&self.rest, parameters.with(path))
    }

    /// Behind the segment of this node: at the end of the path, or after a slash.
    fn follow<'r, B>(
        &self,
        rest: Option<&'r [u8]>,
        parameters: PathParameters<'r>,
        found: &mut impl FnMut(&[RouteIndex], PathParameters<'r>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match rest {
            Some(rest) => self.visit(rest, parameters, found),
            None if self.routes.is_empty() => ControlFlow::Continue(()),
            None => found(&self.routes, parameters),
        }
    }
}
