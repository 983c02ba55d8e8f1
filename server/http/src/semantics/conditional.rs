//! Conditional requests: `If-Match` and `If-None-Match` against a value's version.
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
use crate::request::{FieldLines, Head};
use thiserror::Error;

/// A list of entity tags is malformed. The peer's fault; answer 400. The connection may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("If-Match or If-None-Match is neither * nor a list of entity tags")]
pub struct TagListError;

/// An entity tag as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads a value that is one entity tag and nothing else.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        match Self::split(value)? {
            (tag, []) => Some(tag),
            _ => None,
        }
    }

    /// Reads the tag at the start of `value`; also what follows it.
    fn split(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let opaque = quoted.strip_prefix(b"\"")?;
        let end = class::run_end(opaque, 0, class::ETAG);
        let rest = opaque[end..].strip_prefix(b"\"")?;
        Some((Self { weak, opaque: &opaque[..end] }, rest))
    }

    /// Whether it is marked `W/`.
    #[must_use]
    pub fn is_weak(self) -> bool {
        self.weak
    }

    /// The version it names: a decimal number as this project writes them (no sign, no leading zero). Other tags are
    /// somebody else's, and match no value.
    #[must_use]
    pub fn version(self) -> Option<u64> {
        match self.opaque {
            [b'0', _, ..] => None,
            digits => class::decimal(digits).flatten(),
        }
    }
}

/// What a field with entity tags asks for.
#[derive(Debug, Clone, Copy)]
struct Tags {
    any: bool,
    matched: bool,
    tag_count: usize,
    /// The version of the last tag that could match.
    version: Option<u64>,
}

/// How tags are compared with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

impl Tags {
    /// Reads every line to its end, so that a fault is found wherever it stands.
    fn read(lines: FieldLines<'_>, comparison: Comparison, current: Option<u64>) -> Result<Self, TagListError> {
        let mut tags = Self { any: false, matched: false, tag_count: 0, version: None };
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

    fn note(&mut self, tag: EntityTag<'_>, comparison: Comparison, current: Option<u64>) {
        self.tag_count += 1;
        if tag.weak && comparison == Comparison::Strong {
            return;
        }
        if let Some(version) = tag.version() {
            self.version = Some(version);
            self.matched |= current == Some(version);
        }
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
pub enum Verdict {
    /// Go on as if there were none.
    Proceed,
    /// 304: the client has this version.
    NotModified,
    /// 412: change nothing.
    Failed,
}

/// A write's conditions in the form in which a store checks them in one step with the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteCondition {
    /// There are none.
    Always,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: *`.
    Present,
    /// `If-Match` with one version.
    Version(u64),
    /// Anything else: read the current version, [`Conditions::evaluate`] it, and if that says proceed, write on
    /// condition that it is still the current one.
    Evaluate,
}

/// The conditions of one request.
#[derive(Debug, Clone)]
pub struct Conditions<'a> {
    method: Method,
    if_match: FieldLines<'a>,
    if_none_match: FieldLines<'a>,
}

impl<'a> Conditions<'a> {
    /// The conditions in `head`.
    #[inline]
    #[must_use]
    pub fn of(head: &Head<'a>) -> Self {
        Self { method: head.method(), if_match: head.if_match(), if_none_match: head.if_none_match() }
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_empty() && self.if_none_match.is_empty()
    }

    /// Weighs them against the current version, `None` if there is no value.
    ///
    /// A read of what is absent is 404 with any conditions, and need not ask (section 13.2.1). A write asks in any case:
    /// `If-Match` of what is absent fails (section 13.1.1), for `DELETE` as for `PUT`.
    ///
    /// # Errors
    ///
    /// The peer's fault: a malformed list.
    pub fn evaluate(&self, current: Option<u64>) -> Result<Verdict, TagListError> {
        let mut verdict = Verdict::Proceed;
        if !self.if_none_match.is_empty() && Tags::read(self.if_none_match.clone(), Comparison::Weak, current)?.matched
        {
            verdict = if self.method.is_read() { Verdict::NotModified } else { Verdict::Failed };
        }
        if !self.if_match.is_empty() && !Tags::read(self.if_match.clone(), Comparison::Strong, current)?.matched {
            verdict = Verdict::Failed;
        }
        Ok(verdict)
    }

    /// The form a store can check by itself.
    ///
    /// # Errors
    ///
    /// The peer's fault: a malformed list.
    pub fn for_write(&self) -> Result<WriteCondition, TagListError> {
        let read = |lines: &FieldLines<'a>, comparison| {
            if lines.is_empty() { Ok(None) } else { Tags::read(lines.clone(), comparison, None).map(Some) }
        };
        let if_match = read(&self.if_match, Comparison::Strong)?;
        let if_none_match = read(&self.if_none_match, Comparison::Weak)?;
        Ok(match (if_match, if_none_match) {
            (None, None) => WriteCondition::Always,
            (None, Some(Tags { any: true, .. })) => WriteCondition::Absent,
            (Some(Tags { any: true, .. }), None) => WriteCondition::Present,
            (Some(Tags { tag_count: 1, version: Some(version), .. }), None) => WriteCondition::Version(version),
            _ => WriteCondition::Evaluate,
        })
    }
}
