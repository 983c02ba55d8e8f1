//! What is wrong with services and routes, as an operator needs it: place, key, what was found, what is allowed.
//!
//! **Not**: stopping at the first.
//!
//! **Invariants**: a message is one line; of what was written at most [`FOUND_CHARS_MAX`] characters are repeated.
//!
//! **Source**: the rule of docs/config.md that every error names file, line, key, what was found and what is allowed.

use std::fmt;

use thiserror::Error;

use crate::source::SourcePlace;

/// Longest piece of the operator's text that a message repeats, in characters.
const FOUND_CHARS_MAX: usize = 80;

/// One thing that is wrong. The operator's to correct.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {key}: {reason}")]
pub struct SourceFault {
    /// Where it stands.
    pub place: SourcePlace,
    /// The path of the key: `route[2].service`.
    pub key: String,
    /// What is wrong, and what to do.
    pub reason: FaultReason,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FaultReason {
    /// The value is not allowed.
    #[error("found {found}, allowed: {allowed}")]
    Invalid {
        /// The value, quoted.
        found: String,
        /// What would be accepted.
        allowed: String,
    },
    /// No service has the name.
    #[error("found {found}, allowed: a [service.NAME]{near}")]
    UnknownService {
        /// The name, quoted.
        found: String,
        /// The name that may have been meant, with its place, as a question; may be empty.
        near: String,
    },
    /// Two routes answer the same requests, and none is more specific.
    #[error("answers the same requests as {with} ({what}); add a method or header to one of them")]
    Tie {
        /// The route that was written before.
        with: SourcePlace,
        /// Host and path of them.
        what: String,
    },
    /// What is needed is not there, or two things are that exclude each other.
    #[error("{0}")]
    Shape(&'static str),
}

impl FaultReason {
    /// A value that is not allowed.
    pub(crate) fn invalid(found: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self::Invalid { found: quoted(&found.to_string()), allowed: allowed.into() }
    }
}

/// The operator's text in quotes, on one line and not too long.
pub(crate) fn quoted(text: &str) -> String {
    let mut short = String::from("\"");
    for character in text.chars().take(FOUND_CHARS_MAX) {
        if character.is_control() { short.extend(character.escape_debug()) } else { short.push(character) }
    }
    if text.chars().nth(FOUND_CHARS_MAX).is_some() {
        short.push('…');
    }
    short.push('"');
    short
}
