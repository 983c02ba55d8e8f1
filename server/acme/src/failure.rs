//! Why there is no certificate yet: whose fault, and what the authority said.
//!
//! **Not** secrets: no key, token or nonce is in a message.

use std::time::Duration;

use thiserror::Error;

/// Why an order was not begun or did not end well. What comes from the authority is cut and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AcmeFailure {
    /// The folder, or a file of it, cannot be used: the operator's or the host's.
    #[error("{path}: {error}")]
    Folder {
        /// The file or folder.
        path: String,
        /// What the host said.
        error: String,
    },
    /// Another process uses the folder.
    #[error("{0} is used by another process")]
    FolderInUse(String),
    /// `acme.ca`, or the host's own authorities, cannot be read: the operator's.
    #[error("the authorities that the directory is checked with: {0}")]
    Roots(String),
    /// No answer: the network's, or the authority's.
    #[error("{step}: no answer: {error}")]
    Unreachable {
        /// What was being done.
        step: &'static str,
        /// What went wrong.
        error: String,
    },
    /// An answer that is no answer of the protocol: the authority's.
    #[error("{step}: the answer makes no sense: {error}")]
    Garbled {
        /// What was being done.
        step: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// The authority says that there were too many requests or orders.
    #[error("{step}: the authority's limit is reached: {detail}")]
    RateLimited {
        /// What was being done.
        step: &'static str,
        /// In its words.
        detail: String,
    },
    /// The authority refuses.
    #[error("{step}: refused: {detail}")]
    Refused {
        /// What was being done.
        step: &'static str,
        /// In its words.
        detail: String,
    },
    /// The authority does not offer the challenge for this domain.
    #[error("{domain}: the authority does not offer {challenge} for it")]
    NotOffered {
        /// The domain.
        domain: String,
        /// The challenge.
        challenge: &'static str,
    },
    /// The authority looked and did not find the proof: the operator's, mostly (DNS, firewall, another host answers).
    #[error("{domain}: not proved: {detail}")]
    NotProved {
        /// The domain.
        domain: String,
        /// In its words.
        detail: String,
    },
    /// The listeners did not take the challenges in time: ours.
    #[error("the listeners did not take the challenges in time")]
    NotInForce,
    /// The order took too long.
    #[error("{step}: the order was not done in time")]
    TimedOut {
        /// What was waited for.
        step: &'static str,
    },
    /// The certificate that came is not the one that was ordered: the authority's.
    #[error("the certificate that came cannot be used: {0}")]
    Unfit(String),
    /// Making a key or a request failed: ours.
    #[error("a key or request could not be made: {0}")]
    Crypto(String),
    /// The process ends.
    #[error("the process ends")]
    Stopped,
}

/// Longest text of an authority that is kept, in characters.
const TEXT_CHARS_MAX: usize = 500;

impl AcmeFailure {
    /// The words of [`AcmeFailure::label`], each once.
    pub const LABELS: [&'static str; 13] = [
        "folder",
        "folder_in_use",
        "roots",
        "unreachable",
        "garbled",
        "rate_limited",
        "refused",
        "not_offered",
        "not_proved",
        "not_in_force",
        "timed_out",
        "unfit",
        "crypto",
    ];

    /// A short word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            AcmeFailure::Folder { .. } => "folder",
            AcmeFailure::FolderInUse(_) => "folder_in_use",
            AcmeFailure::Roots(_) => "roots",
            AcmeFailure::Unreachable { .. } => "unreachable",
            AcmeFailure::Garbled { .. } => "garbled",
            AcmeFailure::RateLimited { .. } => "rate_limited",
            AcmeFailure::Refused { .. } => "refused",
            AcmeFailure::NotOffered { .. } => "not_offered",
            AcmeFailure::NotProved { .. } => "not_proved",
            AcmeFailure::NotInForce => "not_in_force",
            AcmeFailure::TimedOut { .. } => "timed_out",
            AcmeFailure::Unfit(_) => "unfit",
            AcmeFailure::Crypto(_) => "crypto",
            AcmeFailure::Stopped => "stopped",
        }
    }
}

/// A failure with how long the authority wants to be left alone.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) failure: AcmeFailure,
    pub(crate) retry_after: Option<Duration>,
}

impl From<AcmeFailure> for Setback {
    fn from(failure: AcmeFailure) -> Self {
        Setback { failure, retry_after: None }
    }
}

/// The text of somebody else as it may be logged: printable, on one line, at most [`TEXT_CHARS_MAX`] characters.
pub(crate) fn printable(text: &str) -> String {
    let is_hidden = |char: char| {
        char.is_control() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().take(TEXT_CHARS_MAX).map(|char| if is_hidden(char) { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_cut_and_harmless() {
        assert_eq!(printable("a\nb\u{1b}[31mc\u{202e}d"), "a b [31mc d");
        assert_eq!(printable(&"ä".repeat(1000)).chars().count(), TEXT_CHARS_MAX);
    }
}
