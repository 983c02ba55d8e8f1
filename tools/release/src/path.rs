//! Paths of files in a release: relative, plain, and not able to leave their folder.
//!
//! **Invariants**: a [`ReleasePath`] has one spelling; joined to a folder it names something inside that folder.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ReleaseError;

/// Longest path, in bytes: what ustar holds without an extension of the format.
pub const PATH_BYTES_MAX: usize = 100;

/// A path of a file in a release: 1 to [`PATH_BYTES_MAX`] bytes of printable ASCII, parts divided by single `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleasePath(String);

impl ReleasePath {
    /// Checks a path.
    ///
    /// # Errors
    /// The maker's: it would lead out of the folder, or has another spelling.
    pub fn new(text: impl Into<String>) -> Result<Self, ReleaseError> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text)),
            Some(reason) => Err(ReleaseError::Escapes { path: text, reason }),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is in `folder`.
    #[must_use]
    pub fn within(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }

    /// The folders above it, outermost first, without the root.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(end, _)| &self.0[..end])
    }
}

fn fault(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("it is empty"),
        _ if text.len() > PATH_BYTES_MAX => Some("it is longer than 100 bytes"),
        _ if text.starts_with('/') => Some("it begins at the root"),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some("only printable ASCII without spaces is allowed")
        }
        _ if text.contains('\\') => Some("it has a backslash"),
        _ if text.split('/').any(|part| part == "..") => Some("it goes up with \"..\""),
        _ if text.split('/').any(|part| part.is_empty() || part == ".") => Some("it has an empty part or \".\""),
        _ => None,
    }
}

impl fmt::Display for ReleasePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for ReleasePath {
    type Error = ReleaseError;

    fn try_from(text: String) -> Result<Self, ReleaseError> {
        Self::new(text)
    }
}

impl From<ReleasePath> for String {
    fn from(path: ReleasePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_are_taken() {
        for good in ["a", "bin/corelane", "share/man/man1/corelane.1", "..a/b.."] {
            assert_eq!(ReleasePath::new(good).unwrap().as_str(), good);
        }
        let deep = ReleasePath::new("a/b/c").unwrap();
        assert_eq!(deep.folders().collect::<Vec<_>>(), ["a", "a/b"]);
    }

    #[test]
    fn what_could_leave_the_folder_is_refused_by_name() {
        let long = "a".repeat(PATH_BYTES_MAX + 1);
        let bad = [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a/./b",
            "a b",
            "ä",
            "a\\b",
            "a\0",
            &long,
        ];
        for bad in bad {
            let error = ReleasePath::new(bad).expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
