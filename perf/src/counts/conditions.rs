//! What a count of instructions depends on beside the code, and counts as figures of a committed file.
//!
//! **Not** the tolerance; that is the judgement's.

use serde::{Deserialize, Serialize};

use crate::baseline::Figure;

/// The committed counts: instructions per time, by path.
pub(crate) type Baseline = crate::baseline::Baseline<Conditions, f64>;

/// What a count depends on beside the code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conditions {
    /// The compiler that built the counted program, as it says itself.
    pub(crate) compiler: String,
    /// Architecture, what the code was built for, and what libraries that choose code by processor find under valgrind.
    pub(crate) processor: String,
    /// The C library: copying and comparing memory is its code.
    pub(crate) libc: String,
    /// What counted.
    pub(crate) valgrind: String,
}

impl Conditions {
    /// Each condition that differs: its name, what it is in `self`, what it is in `other`.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'static str, &'a str, &'a str)> {
        let all = [
            ("compiler", &self.compiler, &other.compiler),
            ("processor", &self.processor, &other.processor),
            ("libc", &self.libc, &other.libc),
            ("valgrind", &self.valgrind, &other.valgrind),
        ];
        all.into_iter().filter(|(_, a, b)| a != b).map(|(name, a, b)| (name, a.as_str(), b.as_str())).collect()
    }

    /// The architecture: counts of another one have nothing to do with these.
    pub(crate) fn architecture(&self) -> &str {
        self.processor.split(',').next().unwrap_or_default()
    }
}

impl Figure for f64 {
    const PREAMBLE: &str = "\
# Instructions per time of the pure paths, counted by callgrind. Written by `coreperf gate --update`: do not edit.
# A change that moves these numbers brings this file with it, and its commit says why.
";
    const TABLE: &str = "instructions";
    const FLAG: &str = "--update";

    fn fault(self) -> Option<&'static str> {
        (!self.is_finite() || self <= 0.0).then_some("a count of instructions is above 0")
    }

    fn toml(self) -> String {
        format!("{self:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::tests::holds;

    fn baseline() -> Baseline {
        Baseline {
            taken: "2026-11-24 15:00 UTC".into(),
            commit: "0123456789ab+dirty".into(),
            conditions: Conditions {
                compiler: "rustc 1.95.0".into(),
                processor: "x86_64, built for [], finds [avx2]".into(),
                libc: "glibc 2.36".into(),
                valgrind: "callgrind-3.19.0".into(),
            },
            figures: [("parse-plain".to_owned(), 756.0), ("lookup-hit".to_owned(), 406.5)].into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_errors_name_file_and_line() {
        let mistakes = [
            ("\"lookup-hit\" = 406.5", "lookup-hit = 0.0", "b.toml:13: lookup-hit: a count of instructions is above 0"),
            ("\"lookup-hit\" = 406.5", "lookup-hit = nan", "b.toml:13: lookup-hit: a count"),
            ("\"parse-plain\" = 756.0", "parse-plain = \"many\"", "b.toml:14: invalid type"),
            ("\"parse-plain\" = 756.0", "parse-plain = 756 0", "b.toml:14: "),
            ("libc = \"glibc 2.36\"", "libv = \"\"", "b.toml:9: unknown field `libv`"),
            ("commit = \"0123456789ab+dirty\"\n", "", "missing field `commit`"),
        ];
        holds(&baseline(), &mistakes);
    }

    #[test]
    fn conditions_that_differ_are_named() {
        let ours = baseline().conditions;
        assert_eq!(ours.differences(&ours), []);
        let theirs = Conditions { compiler: "rustc 1.96.0".into(), ..ours.clone() };
        assert_eq!(ours.differences(&theirs), [("compiler", "rustc 1.95.0", "rustc 1.96.0")]);
        assert_eq!(ours.architecture(), "x86_64");
    }
}
