//! Conditional requests: `If-Match` and `If-None-Match` against the current entity tag.
//!
//! **Not**: dates (`If-Modified-Since` and its opposite are ignored: values have no modification date); `If-Range`,
//! see [`crate::range`].
//! **Invariants**: `If-Match` compares strongly, `If-None-Match` weakly; a malformed list matches nothing and is an
//! error, whatever stands before the fault.
//! **Source**: RFC 9110 section 8.8.3 and 13.

#[cfg(test)]
mod tests;

use crate::Method;
use crate::class;
use crate::entity_tag::EntityTag;
use crate::request::{FieldLines, RequestHead};
use thiserror::Error;

/// A list of entity tags is malformed. The peer's fault; answer 400. The connection may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("If-Match or If-None-Match is neither * nor a list of entity tags")]
pub struct TagListError;

/// What a field with entity tags asks for.
#[derive(Debug, Clone, Copy)]
struct Tags<'a> {
    any: bool,
    matched: bool,
    tag_count: usize,
    last: Option<EntityTag<'a>>,
}

/// How tags are compared with the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagComparison {
    Strong,
    Weak,
}

impl<'a> Tags<'a> {
    /// Reads every line to its end, so that a fault is found wherever it stands.
    fn read(
        lines: FieldLines<'a>,
        comparison: TagComparison,
        current: Option<EntityTag<'_>>,
    ) -> Result<Self, TagListError> {
        let mut tags = Self { any: false, matched: false, tag_count: 0, last: None };
        let mut star_count = 0;
        for line in lines {
            if line == b"*" {
                star_count += 1;
                continue;
            }
            let mut rest = skip_separators(line);
            while !rest.is_empty() {
                let (tag, after) = EntityTag::split(rest).ok_or(TagListError)?;
                tags.note(tag, comparison, current);
                rest = skip_separators(end_of_element(after)?);
            }
        }
        match (star_count, tags.tag_count) {
            (0, 1..) => Ok(tags),
            (1, 0) => Ok(Self { any: true, matched: current.is_some(), ..tags }),
            _ => Err(TagListError),
        }
    }

    fn note(&mut self, tag: EntityTag<'a>, comparison: TagComparison, current: Option<EntityTag<'_>>) {
        self.tag_count += 1;
        self.last = Some(tag);
        self.matched |= current.is_some_and(|current| match comparison {
            TagComparison::Strong => tag.matches_strongly(current),
            TagComparison::Weak => tag.matches_weakly(current),
        });
    }
}

fn skip_separators(list: &[u8]) -> &[u8] {
    let mut rest = list;
    while let [b' ' | b'\t' | b',', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// What is left from the comma on that ends an element.
fn end_of_element(after: &[u8]) -> Result<&[u8], TagListError> {
    let rest = class::trim(after);
    if rest.is_empty() || rest[0] == b',' { Ok(rest) } else { Err(TagListError) }
}

/// What a request's conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Go on as if there were none.
    Proceed,
    /// 304: the client has this representation.
    NotModified,
    /// 412: change nothing.
    Failed,
}

/// A write's conditions in the form in which a store checks them in one step with the write.
#[derive(Debug, Clone, Copy)]
pub enum WriteCondition<'a> {
    /// There are none.
    Always,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: *`.
    Present,
    /// `If-Match` with one strong tag.
    Matches(EntityTag<'a>),
    /// Anything else: read the current tag, [`Preconditions::evaluate`] it, and if that says proceed, write on
    /// condition that it is still the current one.
    Evaluate,
}

/// The conditions of one request.
#[derive(Debug, Clone)]
pub struct Preconditions<'a> {
    method: Method,
    if_match: FieldLines<'a>,
    if_none_match: FieldLines<'a>,
}

impl<'a> Preconditions<'a> {
    /// The conditions in `head`.
    #[inline]
    #[must_use]
    pub fn of(head: &RequestHead<'a>) -> Self {
        Self { method: head.method(), if_match: head.if_match(), if_none_match: head.if_none_match() }
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_empty() && self.if_none_match.is_empty()
    }

    /// Weighs them against the current entity tag, `None` if there is no value.
    ///
    /// A read of what is absent is 404 with any conditions, and need not ask (section 13.2.1). A write asks in any case:
    /// `If-Match` of what is absent fails (section 13.1.1), for `DELETE` as for `PUT`.
    ///
    /// # Errors
    ///
    /// The peer's fault: a malformed list.
    pub fn evaluate(&self, current: Option<EntityTag<'_>>) -> Result<Precondition, TagListError> {
        let mut outcome = Precondition::Proceed;
        if !self.if_none_match.is_empty()
            && Tags::read(self.if_none_match.clone(), TagComparison::Weak, current)?.matched
        {
            outcome = if self.method.is_read() { Precondition::NotModified } else { Precondition::Failed };
        }
        if !self.if_match.is_empty() && !Tags::read(self.if_match.clone(), TagComparison::Strong, current)?.matched {
            outcome = Precondition::Failed;
        }
        Ok(outcome)
    }

    /// The form a store can check by itself.
    ///
    /// # Errors
    ///
    /// The peer's fault: a malformed list.
    pub fn for_write(&self) -> Result<WriteCondition<'a>, TagListError> {
        let read = |lines: &FieldLines<'a>, comparison| {
            if lines.is_empty() { Ok(None) } else { Tags::read(lines.clone(), comparison, None).map(Some) }
        };
        let if_match = read(&self.if_match, TagComparison::Strong)?;
        let if_none_match = read(&self.if_none_match, TagComparison::Weak)?;
        Ok(match (if_match, if_none_match) {
            (None, None) => WriteCondition::Always,
            (None, Some(Tags { any: true, .. })) => WriteCondition::Absent,
            (Some(Tags { any: true, .. }), None) => WriteCondition::Present,
            (Some(Tags { tag_count: 1, last: Some(tag), .. }), None) if !tag.is_weak() => WriteCondition::Matches(tag),
            _ => WriteCondition::Evaluate,
        })
    }
}
