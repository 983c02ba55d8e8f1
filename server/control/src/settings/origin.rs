//! Where a value came from.
//!
//! **Not**: the value. **Invariants**: lines count from 1.
//!
//! **Source**: the order of precedence in docs/config.md.

use std::{fmt, path::PathBuf};

/// The place that decided a value, in rising order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It is not set: the built-in default.
    Default,
    /// The configuration file.
    File {
        /// The file as it was named.
        file: PathBuf,
        /// The line the key stands on, counted from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag, by its name without the dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "file {}:{line}", file.display().to_string().escape_debug()),
            Self::Environment(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}
