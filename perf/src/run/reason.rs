//! Why a run cannot be believed: a kind for programs, and a text for people.
//!
//! ```text
//!  "invalid_reasons": ["the generator was busy 95 % of the time; …"],   texts, which may change
//!  "invalid_kinds":   ["generator_busy"]                                one for each text, which stay
//! ```
//!
//! **Not** deciding which there are: `validity` does.
//!
//! **Invariants**: nothing is decided by a text. What is read has as many kinds as texts; a result from before there were
//! kinds has [`Kind::Unknown`] for each of its texts.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// What was wrong, as programs tell it apart. The names are part of the schema of `result.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An agent was lost on the way.
    AgentLost,
    /// Somebody ended the run before its time.
    Interrupted,
    /// Not one request was answered as expected.
    NoAnswers,
    /// The warm-up did not become steady.
    NotSteady,
    /// More requests failed than the scenario allows.
    Errors,
    /// The generator wrote requests long after they were due.
    GeneratorLate,
    /// The generator was at its limit.
    GeneratorBusy,
    /// Others ran on the generator's CPUs.
    GeneratorWaited,
    /// Others ran on the server's CPUs.
    ServerWaited,
    /// Of a result that was written by another version.
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// Whether the generator or the host is to blame, and never the server.
    pub(crate) const fn spares_the_server(self) -> bool {
        matches!(
            self,
            Self::AgentLost | Self::GeneratorLate | Self::GeneratorBusy | Self::GeneratorWaited | Self::ServerWaited
        )
    }
}

/// One reason. Its text says what was seen, what is allowed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidReason {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl InvalidReason {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All reasons of a run; none if it is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenReasons", into = "WrittenReasons")]
pub(crate) struct Reasons(Vec<InvalidReason>);

impl Reasons {
    /// Whether `kind` is the only reason, or there is none.
    pub(crate) fn nothing_but(&self, kind: Kind) -> bool {
        self.0.iter().all(|reason| reason.kind == kind)
    }

    /// All texts in a line.
    pub(crate) fn line(&self) -> String {
        self.0.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl Deref for Reasons {
    type Target = [InvalidReason];

    fn deref(&self) -> &[InvalidReason] {
        &self.0
    }
}

impl From<Vec<InvalidReason>> for Reasons {
    fn from(reasons: Vec<InvalidReason>) -> Self {
        Self(reasons)
    }
}

/// The same as it stands in `result.json`.
#[derive(Clone, Serialize, Deserialize)]
struct WrittenReasons {
    invalid_reasons: Vec<String>,
    /// Absent from results that were written before there were kinds.
    #[serde(default)]
    invalid_kinds: Option<Vec<Kind>>,
}

impl From<Reasons> for WrittenReasons {
    fn from(reasons: Reasons) -> Self {
        let (kinds, texts) = reasons.0.into_iter().map(|reason| (reason.kind, reason.text)).unzip();
        Self { invalid_reasons: texts, invalid_kinds: Some(kinds) }
    }
}

impl TryFrom<WrittenReasons> for Reasons {
    type Error = String;

    fn try_from(written: WrittenReasons) -> Result<Self, String> {
        let texts = written.invalid_reasons;
        let kinds = written.invalid_kinds.unwrap_or_else(|| vec![Kind::Unknown; texts.len()]);
        if kinds.len() != texts.len() {
            return Err(format!("{} invalid_kinds stand beside {} invalid_reasons", kinds.len(), texts.len()));
        }
        Ok(Self(kinds.into_iter().zip(texts).map(|(kind, text)| InvalidReason { kind, text }).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_stay_and_kinds_stand_beside_them() {
        let reasons = Reasons::from(vec![
            InvalidReason::new(Kind::GeneratorBusy, "the generator was busy 95 %"),
            InvalidReason::new(Kind::NotSteady, "no steady state"),
        ]);
        let written = serde_json::to_value(&reasons).expect("it is plain data");
        let expected = json!({
            "invalid_reasons": ["the generator was busy 95 %", "no steady state"],
            "invalid_kinds": ["generator_busy", "not_steady"],
        });
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<Reasons>(written).expect("it was written so"), reasons);
        assert!(!reasons.nothing_but(Kind::GeneratorBusy));
    }

    /// A text that says the generator was busy is not believed without the kind.
    #[test]
    fn other_versions_are_read_and_nothing_is_made_of_their_texts() {
        for other in [
            json!({"invalid_reasons": ["the generator was busy 95 %"]}),
            json!({"invalid_reasons": ["the generator was busy 95 %"], "invalid_kinds": ["of_later"]}),
        ] {
            let reasons: Reasons = serde_json::from_value(other).expect("it is read");
            assert_eq!((reasons.len(), reasons[0].kind), (1, Kind::Unknown));
            assert!(!reasons.nothing_but(Kind::GeneratorBusy));
        }
        let short = json!({"invalid_reasons": ["a", "b"], "invalid_kinds": ["errors"]});
        let error = serde_json::from_value::<Reasons>(short).expect_err("one has no kind").to_string();
        assert!(error.contains("1 invalid_kinds stand beside 2"), "{error}");
    }
}
