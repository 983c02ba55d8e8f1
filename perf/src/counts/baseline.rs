//! The file of baselines: what was counted, when, at which commit, and under which conditions.
//!
//! **Not** the tolerance; that is the judgement's.
//!
//! **Invariants**: what [`Baseline::text`] writes, [`Baseline::parse`] reads back. An error names file and line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use toml::Spanned;

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

/// What a file of baselines says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Baseline {
    /// When it was taken, UTC.
    pub(crate) taken: String,
    /// The commit it was taken at. With `+dirty`: before the commit that brought it here.
    pub(crate) commit: String,
    pub(crate) conditions: Conditions,
    /// Instructions per time, by path.
    pub(crate) instructions: BTreeMap<String, f64>,
}

/// The same as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    taken: String,
    commit: String,
    conditions: Conditions,
    instructions: BTreeMap<String, Spanned<f64>>,
}

const PREAMBLE: &str = "\
# Instructions per time of the pure paths, counted by callgrind. Written by `coreperf gate --update`: do not edit.
# A change that moves these numbers brings this file with it, and its commit says why.
";

impl Baseline {
    /// Reads a file of baselines.
    ///
    /// # Errors
    /// The operator's: the file is not there, or what is wrong in it and in which line.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} could not be read; run in the repository's root, or take one with --update", path.display())
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, file: &str) -> Result<Self> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            anyhow::anyhow!("{file}:{line}: {}", error.message())
        })?;
        let mut instructions = BTreeMap::new();
        for (path, count) in written.instructions {
            let (line, count) = (line_of(count.span().start), *count.get_ref());
            if !(count.is_finite() && count > 0.0) {
                bail!("{file}:{line}: {path} = {count}: a count of instructions is above 0");
            }
            instructions.insert(path, count);
        }
        Ok(Self { taken: written.taken, commit: written.commit, conditions: written.conditions, instructions })
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        use std::fmt::Write as _;

        let Self { taken, commit, conditions, instructions } = self;
        let Conditions { compiler, processor, libc, valgrind } = conditions;
        let mut text = format!("{PREAMBLE}taken = {taken:?}\ncommit = {commit:?}\n");
        let _ = write!(
            text,
            "\n[conditions]\ncompiler = {compiler:?}\nprocessor = {processor:?}\nlibc = {libc:?}\nvalgrind = {valgrind:?}\n"
        );
        text.push_str("\n[instructions]\n");
        for (path, count) in instructions {
            let _ = writeln!(text, "{path} = {count:.1}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            instructions: [("parse-plain".to_owned(), 756.0), ("lookup-hit".to_owned(), 406.5)].into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Baseline::parse(&baseline().text(), "f").unwrap(), baseline());
    }

    #[test]
    fn errors_name_file_and_line() {
        let text = baseline().text();
        for (from, to, error) in [
            ("lookup-hit = 406.5", "lookup-hit = 0.0", "b.toml:13: lookup-hit = 0: a count of instructions is above 0"),
            ("lookup-hit = 406.5", "lookup-hit = nan", "b.toml:13: lookup-hit = NaN: a count"),
            ("parse-plain = 756.0", "parse-plain = \"many\"", "b.toml:14: invalid type"),
            ("parse-plain = 756.0", "parse-plain = 756 0", "b.toml:14: "),
            ("libc = \"glibc 2.36\"", "libv = \"\"", "b.toml:9: unknown field `libv`"),
            ("commit = \"0123456789ab+dirty\"\n", "", "missing field `commit`"),
        ] {
            let broken = text.replace(from, to);
            assert_ne!(broken, text, "{from}");
            let found = Baseline::parse(&broken, "b.toml").unwrap_err().to_string();
            assert!(found.starts_with("b.toml:") && found.contains(error), "{to}: {found}");
        }
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
