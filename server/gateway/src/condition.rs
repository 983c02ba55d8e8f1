//! What a route asks of a request beside host and path.
//!
//! **Not**: negations, and not expressions: a route that must not match is a more specific route.
//!
//! **Invariants**: two conditions that [`Conditions::may_both_hold`] calls disjoint hold for no request together.
//!
//! **Source**: RFC 9110 sections 5.3 (fields on several lines), 9.1 and 9.3.2 (`HEAD` is `GET` without the body).

use corelane_http::field::{FieldLine, Fields};

use crate::normal::RequestScheme;

/// What is asked of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// One of these methods; none: any.
    pub(crate) methods: Vec<Box<[u8]>>,
    /// This scheme.
    pub(crate) scheme: Option<RequestScheme>,
    /// All of these.
    pub(crate) fields: Vec<FieldCondition>,
}

/// What is asked of a field: it is there, and every line of it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldCondition {
    /// Its name, in lower case.
    pub(crate) name: Box<[u8]>,
    value: ValuePattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValuePattern {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
}

/// The condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmetCondition<'t> {
    /// The method is none of those.
    Method,
    /// The scheme is the other one.
    Scheme,
    /// This field is not there, or says something else.
    Field(&'t [u8]),
}

impl FieldCondition {
    /// Reads a condition; or says what is allowed. A value may end in `*` for anything.
    pub(crate) fn parse(name: &str, value: &str) -> Result<Self, &'static str> {
        const ALLOWED: &str = "a field's name, and a value that may end in one \"*\" for anything";
        let (text, is_prefix) = value.strip_suffix('*').map_or((value, false), |text| (text, true));
        if FieldLine::new(name.as_bytes(), text.as_bytes()).is_none() || text.contains('*') && is_prefix {
            return Err(ALLOWED);
        }
        // A value is compared without the space around it.
        if text.starts_with([' ', '\t']) || (!is_prefix && text.ends_with([' ', '\t'])) {
            return Err(ALLOWED);
        }
        let bytes = text.as_bytes().into();
        let value = if is_prefix { ValuePattern::Prefix(bytes) } else { ValuePattern::Exact(bytes) };
        Ok(Self { name: name.to_ascii_lowercase().into_bytes().into(), value })
    }

    fn holds(&self, fields: &Fields<'_>) -> bool {
        let mut lines = fields.clone().filter(|(name, _)| name.eq_ignore_ascii_case(&self.name)).peekable();
        lines.peek().is_some() && lines.all(|(_, value)| self.value.matches(value))
    }
}

impl ValuePattern {
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == &**text,
            Self::Prefix(text) => value.starts_with(text),
        }
    }

    /// Whether some value matches both.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(text), _) => other.matches(text),
            (_, Self::Exact(text)) => self.matches(text),
            (Self::Prefix(one), Self::Prefix(other)) => one.starts_with(other) || other.starts_with(one),
        }
    }
}

/// Whether a request with this method is for a route that names `listed`.
fn is_method(listed: &[u8], method: &[u8]) -> bool {
    listed == method || (listed == b"GET" && method == b"HEAD")
}

impl Conditions {
    /// How many there are: the route that has more is more specific.
    pub(crate) fn count(&self) -> usize {
        usize::from(!self.methods.is_empty()) + usize::from(self.scheme.is_some()) + self.fields.len()
    }

    /// The first that does not hold; `None` where all do.
    pub(crate) fn unmet(
        &self,
        method: &[u8],
        scheme: RequestScheme,
        fields: &Fields<'_>,
    ) -> Option<UnmetCondition<'_>> {
        if !self.methods.is_empty() && !self.methods.iter().any(|listed| is_method(listed, method)) {
            return Some(UnmetCondition::Method);
        }
        if self.scheme.is_some_and(|asked| asked != scheme) {
            return Some(UnmetCondition::Scheme);
        }
        let unmet = self.fields.iter().find(|condition| !condition.holds(fields))?;
        Some(UnmetCondition::Field(&unmet.name))
    }

    /// Whether some request meets both.
    pub(crate) fn may_both_hold(&self, other: &Self) -> bool {
        let meets = |one: &[u8], listed: &[Box<[u8]>]| listed.iter().any(|other| is_method(other, one));
        let share_method = self.methods.is_empty()
            || other.methods.is_empty()
            || self.methods.iter().any(|one| meets(one, &other.methods))
            || other.methods.iter().any(|one| meets(one, &self.methods));
        let share_scheme = self.scheme.zip(other.scheme).is_none_or(|(one, other)| one == other);
        let are_disjoint = |one: &FieldCondition| {
            other.fields.iter().any(|other| other.name == one.name && !one.value.overlaps(&other.value))
        };
        share_method && share_scheme && !self.fields.iter().any(are_disjoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_condition_is_a_name_and_a_value_that_may_end_in_a_star() {
        for (name, value) in [("Accept", "application/json*"), ("X", "*"), ("X", "a"), ("x-y", ""), ("X", "a *")] {
            assert!(FieldCondition::parse(name, value).is_ok(), "{name}: {value}");
        }
        for (name, value) in [("", "a"), ("X Y", "a"), ("X", "a\nb"), ("X", "*a*"), ("X", " a"), ("X", "a ")] {
            assert!(FieldCondition::parse(name, value).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn conditions_that_exclude_each_other() {
        let with = |methods: &[&str], scheme, fields: &[(&str, &str)]| Conditions {
            methods: methods.iter().map(|method| method.as_bytes().into()).collect(),
            scheme,
            fields: fields.iter().map(|(name, value)| FieldCondition::parse(name, value).unwrap()).collect(),
        };
        let (http, https) = (Some(RequestScheme::Http), Some(RequestScheme::Https));
        for (one, other, both) in [
            (with(&["GET"], None, &[]), with(&["PUT", "POST"], None, &[]), false),
            (with(&["GET"], None, &[]), with(&["HEAD"], None, &[]), true),
            (with(&["GET"], None, &[]), with(&[], http, &[]), true),
            (with(&[], http, &[]), with(&[], https, &[]), false),
            (with(&[], None, &[("X", "a")]), with(&[], None, &[("x", "b")]), false),
            (with(&[], None, &[("X", "a")]), with(&[], None, &[("Y", "b")]), true),
            (with(&[], None, &[("X", "ab*")]), with(&[], None, &[("X", "a*")]), true),
            (with(&[], None, &[("X", "ab*")]), with(&[], None, &[("X", "b*")]), false),
            (with(&[], None, &[("X", "ab")]), with(&[], None, &[("X", "a*")]), true),
            (with(&[], None, &[("X", "b")]), with(&[], None, &[("X", "a*")]), false),
        ] {
            assert_eq!((one.may_both_hold(&other), other.may_both_hold(&one)), (both, both), "{one:?} {other:?}");
        }
    }
}
