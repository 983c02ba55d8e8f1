//! What is wrong with the settings, as an operator needs it: place, key, what was found, what is allowed.
//!
//! **Not**: stopping at the first. **Invariants**: a secret's value is in no message; what was found is quoted with control
//! characters escaped and cut at `FOUND_CHARS_MAX`, so that a message stays on one line.
//!
//! **Source**: the rule of docs/config.md that every error names file, line, key, what was found and what is allowed.

use std::{fmt, path::PathBuf};

use super::{
    origin::Origin,
    schema::{Secrecy, SettingKey},
};

/// Longest piece of the operator's text that a message repeats, in characters: enough for any sensible value, and a
/// message still fits a terminal's few lines.
const FOUND_CHARS_MAX: usize = 80;

/// One thing that is wrong. All of them are the operator's to correct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The command line is not understood.
    #[error("command line: {reason}")]
    CommandLine {
        /// Which argument, and what was expected.
        reason: String,
    },
    /// A configuration file cannot be read.
    #[error("{}: cannot be read: {reason}; it was named by {named_by}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why, as the system says it.
        reason: String,
        /// Where the file's name came from.
        named_by: Origin,
    },
    /// A configuration file is not TOML. Only the first such error of a file is reported.
    #[error("{}:{line}: not valid TOML: {reason}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line at fault, counted from 1.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// No such key.
    #[error("{}: {key}: unknown key; {hint}", Shown(origin))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The path as it was written.
        key: String,
        /// What may have been meant.
        hint: String,
    },
    /// The value is not allowed.
    #[error("{}: {key}: found {found}, allowed: {allowed}", Shown(origin))]
    Invalid {
        /// Where it stands.
        origin: Origin,
        /// The path of the key.
        key: String,
        /// The value as it was written.
        found: String,
        /// What would be accepted.
        allowed: String,
    },
    /// A key that has no default is not set.
    #[error("{}{key}: not set, and it has no default; set it by {ways}; allowed: {allowed}", Before(origin))]
    Missing {
        /// The table it is missing in, where that is one of several.
        origin: Option<Origin>,
        /// The path of the key.
        key: String,
        /// The flag, the variable and the line of the file that set it.
        ways: String,
        /// What would be accepted.
        allowed: String,
    },
    /// What may stand in one place stands in two.
    #[error("{}: {key}: set a second time; the first is at {first}; remove one of them", Shown(origin))]
    Duplicate {
        /// The second place.
        origin: Origin,
        /// The path of the key or table.
        key: String,
        /// The first place.
        first: Origin,
    },
    /// The value is allowed, but what it names cannot be used on this host.
    #[error("{}: {key}: {found} cannot be used: {reason}", Shown(origin))]
    Unusable {
        /// Where it stands.
        origin: Origin,
        /// The path of the key.
        key: String,
        /// The value.
        found: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The value, or its absence, does not go with other settings.
    #[error("{}{key}: {reason}", Before(origin))]
    Unfit {
        /// Where it stands, or the table it is missing in; `None` where neither is written.
        origin: Option<Origin>,
        /// The path of the key, or of its table.
        key: String,
        /// What was found, why it cannot be, and what to do.
        reason: String,
    },
    /// Two values that are allowed alone do not go together.
    #[error("{}: {key}: found {found}, allowed: at most {bound_key}, which is {bound} ({bound_origin})", Shown(origin))]
    Contradiction {
        /// Where the greater value stands.
        origin: Origin,
        /// The path of its key.
        key: String,
        /// The value.
        found: String,
        /// The path of the key that bounds it.
        bound_key: String,
        /// That key's value.
        bound: String,
        /// Where that value came from.
        bound_origin: Origin,
    },
}

impl SettingError {
    /// A value that is not allowed. `found` is the text as it was written.
    pub(super) fn invalid(key: &SettingKey, path: &str, origin: Origin, found: &str) -> Self {
        let found = match key.secrecy {
            Secrecy::Shown => shortened(found),
            Secrecy::Secret => "a secret".to_owned(),
        };
        Self::Invalid { origin, key: path.to_owned(), found, allowed: key.kind.allowed() }
    }

    /// The key at fault, where the error is about one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. }
            | Self::Invalid { key, .. }
            | Self::Missing { key, .. }
            | Self::Duplicate { key, .. }
            | Self::Unusable { key, .. }
            | Self::Unfit { key, .. }
            | Self::Contradiction { key, .. } => Some(key),
            Self::CommandLine { .. } | Self::Unreadable { .. } | Self::Syntax { .. } => None,
        }
    }

    /// The line of the configuration file at fault, counted from 1, where the error is about one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } => Some(*line),
            Self::UnknownKey { origin, .. }
            | Self::Invalid { origin, .. }
            | Self::Duplicate { origin, .. }
            | Self::Unusable { origin, .. }
            | Self::Contradiction { origin, .. }
            | Self::Missing { origin: Some(origin), .. }
            | Self::Unfit { origin: Some(origin), .. }
            | Self::Unreadable { named_by: origin, .. } => {
                if let Origin::File { line, .. } = origin {
                    Some(*line)
                } else {
                    None
                }
            }
            Self::CommandLine { .. } | Self::Missing { origin: None, .. } | Self::Unfit { origin: None, .. } => None,
        }
    }
}

/// Everything that is wrong with the settings, in the order command line, environment, file by line, and the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsErrors(Vec<SettingError>);

impl SettingsErrors {
    /// Wraps the errors.
    ///
    /// # Panics
    ///
    /// When there is none: a failure without a reason is a defect of ours.
    pub(crate) fn new(errors: Vec<SettingError>) -> Self {
        assert!(!errors.is_empty(), "a refusal has a reason");
        Self(errors)
    }

    /// The errors, at least one.
    #[must_use]
    pub fn errors(&self) -> &[SettingError] {
        &self.0
    }
}

/// One error a line, without a newline at the end.
impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// An origin at the head of a message: a file's is written `file:line`, as editors and terminals make links of it.
pub(super) struct Shown<'a>(pub(super) &'a Origin);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Origin::File { file, line } => write!(f, "{}:{line}", file.display()),
            other => write!(f, "{other}"),
        }
    }
}

/// The same before a message that may do without.
struct Before<'a>(&'a Option<Origin>);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |origin| write!(f, "{}: ", Shown(origin)))
    }
}

/// The operator's text on one line and not too long.
pub(super) fn shortened(text: &str) -> String {
    let escape = |character: char| {
        if character.is_control() { character.escape_debug().to_string() } else { character.to_string() }
    };
    let mut short: String = text.chars().take(FOUND_CHARS_MAX).map(escape).collect();
    if text.chars().nth(FOUND_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}
